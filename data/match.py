"""Finding a lexicon's forms in tokenised text, vocabulary first.

Each distinct string of a batch is looked up once; after that only integers are compared, and only where a form can
begin. Longest forms are taken first, and each place once within a lexicon, so that "African-American" is never also
"African" and "American".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .lexicon import Lexicon
from .tokens import Tokens

_Ints = npt.NDArray[np.int64]
# What stands between two words of a form: a blank (one space, hyphen or underscore) or an apostrophe.
_NEITHER, _BLANK, APOSTROPHE = -1, 0, 1
CURLY = np.frombuffer("\u2019".encode(), np.uint8)
_CHUNK = 1 << 16


def _joining() -> npt.NDArray[np.int8]:
    kind = np.full(256, _NEITHER, np.int8)
    kind[[ord(" "), ord("-"), ord("_")]] = _BLANK
    kind[ord("'")] = APOSTROPHE
    return kind


JOINING = _joining()


@dataclass(frozen=True, slots=True)
class Matches:
    """Where a lexicon's forms stand, sorted by row and place; no two overlap.

    Attributes
    ----------
    row : numpy.ndarray of int64
    token : numpy.ndarray of int64
        Index of the first token in the `Tokens`.
    length : numpy.ndarray of int64
        How many tokens.
    start, end : numpy.ndarray of int64
        Byte offsets within the row's raw text.
    form : numpy.ndarray of int32
        Index into ``lexicon.forms`` (and `Matcher.forms`); where a form has several slots, the first of them.
    """

    row: npt.NDArray[np.int64]
    token: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    form: npt.NDArray[np.int32]

    @property
    def n(self) -> int:
        """How many places were found."""
        return len(self.row)


@dataclass(frozen=True, slots=True)
class Tree:
    """The words of all forms as a tree: a state is a beginning of some form, 0 the empty one.

    Attributes
    ----------
    first : numpy.ndarray of int64
        Of each word the state after it as a form's first word; 0: it begins none.
    later : numpy.ndarray of bool
        Whether a word can be a later one of a form.
    goes_on : numpy.ndarray of bool
        Whether a form goes on from a state.
    ending : numpy.ndarray of int32
        The form that ends at a state, or -1.
    keys, targets : numpy.ndarray of int64
        Steps to later words: ``(state * 2 + join) * words + word``, ascending, and the states they lead to.
    words : int
        How many words there are, at least 1.
    """

    first: _Ints
    later: npt.NDArray[np.bool_]
    goes_on: npt.NDArray[np.bool_]
    ending: npt.NDArray[np.int32]
    keys: _Ints
    targets: _Ints
    words: int


class Matcher:
    """Finds the forms of one lexicon. Holds no state between calls, so threads may share it.

    Parameters
    ----------
    lexicon : Lexicon

    Attributes
    ----------
    lexicon : Lexicon
    forms : tuple of str
        The text of each of ``lexicon.forms``.
    group_of : numpy.ndarray of int32
        The group of each of them.
    tree : Tree
        Their words.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from evenset.data.lexicon import load
    >>> from evenset.data.tokens import tokenize
    >>> matcher = Matcher(load("identity"))
    >>> found = matcher.find(tokenize(pa.array(["An African-American woman", "Africa"], pa.large_string())))
    >>> [(matcher.forms[form], start, end) for form, start, end in zip(found.form, found.start, found.end)]
    [('african american', np.int64(3), np.int64(19))]
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.forms: tuple[str, ...] = tuple(form.text for form in lexicon.forms)
        self.group_of: npt.NDArray[np.int32] = np.array([form.group for form in lexicon.forms], np.int32)
        self._words: dict[str, int] = {}
        # Words that only count with a capital: those that no other form has.
        proper = {word for form in lexicon.forms if form.capitalised for _, word in _pieces(form.text)}
        proper -= {word for form in lexicon.forms if not form.capitalised for _, word in _pieces(form.text)}
        # A tree of words: a state is a beginning of some form; state 0 is the empty beginning.
        steps: dict[tuple[int, int, int], int] = {}
        ending = [-1]
        for index, text in enumerate(self.forms):
            state = 0
            for join, word in _pieces(text):
                number = self._words.setdefault(word, len(self._words))
                state = steps.setdefault((state, join, number), len(ending))
                if state == len(ending):
                    ending.append(-1)
            if ending[state] == -1:
                ending[state] = index
        self._proper = np.zeros(len(self._words) + 1, np.bool_)
        self._proper[[self._words[word] for word in proper]] = True
        # The last entry, which -1 finds, is for words of no form.
        first = np.zeros(len(self._words) + 1, np.int64)
        later = np.zeros(len(self._words) + 1, np.bool_)
        goes_on = np.zeros(len(ending), np.bool_)
        further = []
        for (state, join, number), to in steps.items():
            if state == 0:
                first[number] = to
            else:
                goes_on[state] = later[number] = True
                further.append((state, join, number, to))
        states, joins, numbers, targets = np.array(further, np.int64).reshape(-1, 4).T
        words = max(len(self._words), 1)
        keys = (states * 2 + joins) * words + numbers
        order = np.argsort(keys)
        self.tree = Tree(
            first, later, goes_on, np.array(ending, np.int32), np.ascontiguousarray(keys[order]), targets[order], words
        )

    def numbers(self, tokens: Tokens) -> _Ints:
        """The number of each word of the vocabulary in the tree, -1 for words of no form."""
        folded = tokens.folded
        number = np.fromiter(map(self._words.get, folded, repeat(-1)), np.int64, len(folded))
        if self._proper.any():
            names = np.flatnonzero(self._proper[number])
            spelt = tokens.vocabulary.take(pa.array(names)).to_pylist()
            number[names[np.array([not word[:1].isupper() for word in spelt], np.bool_)]] = -1
        return number

    def find(self, tokens: Tokens) -> Matches:
        """Find every form: longest first, among forms of one length leftmost first, each place once.

        Parameters
        ----------
        tokens : Tokens
            Of a batch of texts.

        Returns
        -------
        Matches
        """
        found = list(self._all(tokens, self.numbers(tokens)))
        token, length, form = _longest_first(found, tokens.n)
        row = tokens.row_of(token)
        before = tokens.offsets[row]
        return Matches(
            row=row,
            token=token,
            length=length,
            start=tokens.starts[token] - before,
            end=tokens.ends[token + length - 1] - before,
            form=form,
        )

    def _all(self, tokens: Tokens, number: _Ints) -> Iterator[tuple[_Ints, npt.NDArray[np.int32]]]:
        """For each length from 1, the tokens where forms of that length stand, overlapping or not, and the forms."""
        tree = self.tree
        first, later = tree.first[number], tree.later[number]
        at = _where(first > 0, tokens.ids)
        state = first[tokens.ids[at]]
        length = 1
        while True:
            form = tree.ending[state]
            yield at[form >= 0], form[form >= 0]
            # The cheap questions first: there are many candidates and few forms of several words.
            on = tree.goes_on[state] & (at + length < tokens.n)
            at, state = at[on], state[on]
            on = later[tokens.ids[at + length]]
            at, state = at[on], state[on]
            join = _joins(tokens, at + length - 1)
            on = join != _NEITHER
            at, state, join = at[on], state[on], join[on]
            if not len(at):
                return
            key = (state * 2 + join) * tree.words + number[tokens.ids[at + length]]
            place = np.minimum(np.searchsorted(tree.keys, key), len(tree.keys) - 1)
            on = tree.keys[place] == key
            on[on] = at[on] + length < tokens.splits[tokens.row_of(at[on]) + 1]  # not on into the next row
            at, state = at[on], tree.targets[place[on]]
            length += 1


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """The words of a form and what stands before each."""
    parts = re.split("([ '])", text)
    yield _BLANK, parts[0]
    for join, word in zip(parts[1::2], parts[2::2], strict=True):
        yield (APOSTROPHE if join == "'" else _BLANK), word


def _where(chosen: npt.NDArray[np.bool_], ids: npt.NDArray[np.int32]) -> _Ints:
    """The positions in `ids` whose vocabulary entry is chosen; in chunks, as numpy widens indices to 64 bits."""
    if not chosen.any():
        return np.zeros(0, np.int64)
    found = [np.flatnonzero(chosen[ids[low : low + _CHUNK]]) + low for low in range(0, len(ids), _CHUNK)]
    return np.concatenate(found)


def _joins(tokens: Tokens, left: _Ints) -> _Ints:
    """What stands between each token and the next."""
    begin = tokens.ends[left]
    gap = tokens.starts[left + 1] - begin
    kind = np.where(gap == 1, JOINING[tokens.data[begin]], np.int8(_NEITHER)).astype(np.int64)
    wide = np.flatnonzero(gap == len(CURLY))
    between = tokens.data[begin[wide, None] + np.arange(len(CURLY))]
    kind[wide[(between == CURLY).all(axis=1)]] = APOSTROPHE
    return kind


def _longest_first(
    found: list[tuple[_Ints, npt.NDArray[np.int32]]], n_tokens: int
) -> tuple[_Ints, _Ints, npt.NDArray[np.int32]]:
    """Of all occurrences those that stand: longer before shorter, then left before right, each token once."""
    if all(not len(at) for at, _ in found[1:]):
        at, form = found[0]
        return at, np.ones(len(at), np.int64), form
    taken = np.zeros(n_tokens, np.bool_)
    kept = []
    for length in range(len(found), 0, -1):
        at, form = found[length - 1]
        # What is taken already is at least as long, so if it overlaps it holds the first or the last token.
        free = ~(taken[at] | taken[at + length - 1])
        at, form = at[free], form[free]
        left = _leftmost(at, length)
        at, form = at[left], form[left]
        for k in range(length):
            taken[at + k] = True
        kept.append((at, np.full(len(at), length, np.int64), form))
    token, size, forms = (np.concatenate(part) for part in zip(*kept, strict=True))
    order = np.argsort(token, kind="stable")
    return token[order], size[order], forms[order]


def _leftmost(at: _Ints, length: int) -> npt.NDArray[np.bool_]:
    """Which of these ascending places of one length stand when the leftmost goes first; only clashes are walked."""
    keep = np.ones(len(at), np.bool_)
    clash = np.diff(at) < length
    if not clash.any():
        return keep
    either = np.concatenate([clash, [False]]) | np.concatenate([[False], clash])
    end = -1
    for k in np.flatnonzero(either).tolist():
        if at[k] < end:
            keep[k] = False
        else:
            end = int(at[k]) + length
    return keep
