"""Take the names of persons out of a text: as a spaCy pipeline finds them, or by a list of first names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ...data.hashing import Keys
from ...data.match import Matcher, Matches
from ...data.tokens import Tokens, tokenize
from ..edits import NONE, Bools, Edits, Ints, distinct, splice_rows
from .agreement import lists
from .lexical import Words
from .scrub import Found, taken_out
from .tagging import Tagger

# Of a name of a list, so many capitalised words behind it belong to it ("Mary Ann Smith").
_MOST_MORE = 3
# A pipeline sees other names where it does not see those taken out; it is asked again until it sees no more.
_MOST_ROUNDS = 4
_NO_SURNAMES = lists("no_surnames")


@dataclass(frozen=True)
class Names:
    """One way of taking names out.

    Attributes
    ----------
    words : Words
        The list of first names.
    matcher : Matcher
        Of the same.
    step : int
        Index of the plan's step.
    groups : tuple of int
        Groups of the list whose names go.
    mask : str or None
        What is written in the place of each; None drops it.
    tagger : Tagger or None
        Finds the names in place of the list.

    Notes
    -----
    A name of the list counts only where it is capitalised; capitalised words behind it belong to it, unless they are
    words of grammar. What a list cannot know: a surname alone, a rare first name, and whether "Will" or "May" is one.
    """

    words: Words
    matcher: Matcher
    step: int
    groups: tuple[int, ...]
    mask: str | None
    tagger: Tagger | None = None

    def places(self, tokens: Tokens, matches: Matches) -> Found:
        """Every name, ascending."""
        if self.tagger is not None:
            return Found.of(tokens, *self._seen(tokens))
        at = np.flatnonzero(self.words.forms_of(self.groups)[matches.form])
        return Found.of(tokens, *_listed(tokens, matches.token[at], matches.length[at]))

    def edits(self, tokens: Tokens, matches: Matches, keys: Keys, taken: Edits, *, seed: int) -> tuple[Edits, int]:  # noqa: ARG002
        """As `Scrub.edits`."""
        return self.edits_at(tokens, self.places(tokens, matches), taken), 0

    def edits_at(self, tokens: Tokens, found: Found, taken: Edits) -> Edits:
        """The edits at those of some places that touch none already taken."""
        # A capital given to the next word could make a name of it.
        free = found.free(tokens, taken)
        return taken_out(tokens, free, taken, step=self.step, mask=self.mask, capitals=False)

    def at(self, tokens: Tokens, token: Ints, length: Ints, taken: Edits) -> Edits:
        """Edits that take out the given places."""
        found = Found.of(tokens, token, length)
        return taken_out(tokens, found, taken, step=self.step, mask=self.mask, capitals=False)

    def reasons(self, tokens: Tokens, matches: Matches, edits: Edits) -> tuple[Ints, list[str]]:  # noqa: ARG002
        """Why each edit was made."""
        return np.zeros(edits.n, np.int64), ["name"]

    def _seen(self, tokens: Tokens) -> tuple[Ints, Ints]:
        """Names that the pipeline finds, in the texts as they are and then with these taken out."""
        assert self.tagger is not None
        rows = np.flatnonzero(np.diff(tokens.splits))
        token, length = _spans(tokens, rows, self.tagger.persons(_texts(tokens, rows)))
        for _ in range(_MOST_ROUNDS):
            if not len(token):
                break
            edits = taken_out(
                tokens, Found.of(tokens, token, length), NONE, step=self.step, mask=self.mask, capitals=False
            )
            rows = distinct(edits.row)
            left = tokenize(splice_rows(tokens, edits, rows))
            origin = self._origin(tokens, token, length, rows)
            found, size = _spans(left, np.arange(len(rows)), self.tagger.persons(_texts(left, np.arange(len(rows)))))
            every = np.repeat(found, size) + _within(size)
            more = origin[every]
            more = more[more >= 0]
            if not len(more):
                break
            both = np.concatenate([np.repeat(token, length) + _within(length), more])
            token, length = _together(tokens, distinct(both))
        return token, length

    def _origin(self, tokens: Tokens, token: Ints, length: Ints, rows: Ints) -> Ints:
        """For each token of the changed rows the raw one that it was; -1 for those of the mask."""
        written = 0 if self.mask is None else tokenize(pa.array([self.mask], pa.large_string())).n
        times = np.ones(tokens.n, np.int64)
        origin = np.arange(tokens.n)
        gone = np.repeat(token, length) + _within(length)
        times[gone], origin[gone] = 0, -1
        times[token] = written
        inside = np.zeros(tokens.n_rows, np.bool_)
        inside[rows] = True
        times[~np.repeat(inside, np.diff(tokens.splits))] = 0
        return np.repeat(origin, times)


_EMPTY = np.zeros(0, np.int64)


def _listed(tokens: Tokens, token: Ints, length: Ints) -> tuple[Ints, Ints]:
    """Those of some matches that are capitalised, with the capitalised words behind them."""
    named = _capitalised(tokens, token)
    token, end = token[named], (token + length)[named]
    going = np.arange(len(token))
    last = tokens.splits[tokens.row_of(token) + 1] if len(token) else token
    for _ in range(_MOST_MORE):
        going = going[end[going] < last[going]]
        if not len(going):
            break
        here = end[going]
        on = _close(tokens, here) & _capitalised(tokens, here) & ~_grammar(tokens, here)
        going = going[on]
        end[going] += 1
    return _together(tokens, distinct(np.repeat(token, end - token) + _within(end - token)))


def _together(tokens: Tokens, every: Ints) -> tuple[Ints, Ints]:
    """Tokens (ascending) that stand close by as one place each."""
    if not len(every):
        return every, every
    joined = np.zeros(len(every), np.bool_)
    joined[1:] = (every[1:] == every[:-1] + 1) & _close(tokens, every[1:]) & (
        tokens.row_of(every[1:]) == tokens.row_of(every[:-1])
    )  # fmt: skip
    first = np.flatnonzero(~joined)
    return every[first], np.diff(np.append(first, len(every)))


def _close(tokens: Tokens, token: Ints) -> Bools:
    """Whether a blank, a hyphen or an apostrophe, or the full stop of an initial, joins each token with the last."""
    begin, data = tokens.ends[token - 1], tokens.data
    gap = tokens.starts[token] - begin
    between = data[begin]
    result: Bools = (gap == 1) & np.isin(between, np.frombuffer(b" -'", np.uint8))
    initial = (gap == 2) & (tokens.ends[token - 1] - tokens.starts[token - 1] == 1) & (between == ord("."))
    result |= initial & (data[np.minimum(begin + 1, len(data) - 1)] == ord(" "))
    return result


def _capitalised(tokens: Tokens, token: Ints) -> Bools:
    return _of_spellings(tokens, token, lambda word: word[:1].isupper())


def _grammar(tokens: Tokens, token: Ints) -> Bools:
    return _of_spellings(tokens, token, lambda word: word.casefold() in _NO_SURNAMES)


def _of_spellings(tokens: Tokens, token: Ints, ask: Callable[[str], bool]) -> Bools:
    """Ask something of each distinct spelling among some tokens."""
    used, back = np.unique(tokens.ids[token], return_inverse=True)
    spelt = tokens.vocabulary.take(pa.array(used)).to_pylist()
    result: Bools = np.array([ask(word) for word in spelt], np.bool_)[back]
    return result


def _texts(tokens: Tokens, rows: Ints) -> list[str]:
    data, offsets = tokens.data, tokens.offsets
    return [data[offsets[row] : offsets[row + 1]].tobytes().decode() for row in rows.tolist()]


def _spans(tokens: Tokens, rows: Ints, found: list[list[tuple[int, int]]]) -> tuple[Ints, Ints]:
    """Byte spans within rows as places of whole tokens, without a possessive s."""
    spans = [(row, start, end) for row, each in zip(rows.tolist(), found, strict=True) for start, end in each]
    if not spans:
        return _EMPTY, _EMPTY
    row, start, end = np.array(spans, np.int64).T
    start, end = start + tokens.offsets[row], end + tokens.offsets[row]
    first = np.searchsorted(tokens.ends, start, side="right")
    last = np.searchsorted(tokens.starts, end, side="left") - 1
    first, last = np.maximum(first, tokens.splits[row]), np.minimum(last, tokens.splits[row + 1] - 1)
    whole = last >= first
    first, last = first[whole], last[whole]
    s = _of_spellings(tokens, last, lambda word: word.casefold() == "s") if len(last) else last
    last = last - ((last > first) & s)
    fresh = np.ones(len(first), np.bool_)
    fresh[1:] = first[1:] > last[:-1]
    return first[fresh], (last - first + 1)[fresh]


def _within(length: Ints) -> Ints:
    first = np.cumsum(length) - length
    return np.arange(int(length.sum())) - np.repeat(first, length)
