"""Put the words of another group in the place of a group's words (rule ``swap.v1``).

To the opposite group only where the lexicon says which that is, to a group by name, or to a random one, drawn for each
row and each group in it by the hash of seed, row key and group. What the rules of grammar cannot decide is left as it
is and counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..data.hashing import Keys, combine, hash64, mix
from ..data.match import Matcher, Matches
from ..data.tokens import Tokens, tokenize
from . import grammar
from .edits import NONE, Bools, Edits, Ints, distinct, gather, splice_rows, touched
from .words import Words

RULE = "swap.v1"


@dataclass(frozen=True)
class Swap:
    """One way of swapping the words of a lexicon.

    Attributes
    ----------
    words : Words
    matcher : Matcher
    step : int
        Index of the plan's step.
    groups : tuple of int
        Groups whose words are swapped.
    to : "opposite", "random" or a group's index
    """

    words: Words
    matcher: Matcher
    step: int
    groups: tuple[int, ...]
    to: str | int

    def edits(self, tokens: Tokens, matches: Matches, keys: Keys, taken: Edits, *, seed: int) -> tuple[Edits, int]:
        """The edits of a batch that touch none of those already taken, and how many places the rules left alone.

        Parameters
        ----------
        tokens : Tokens
            Of the batch.
        matches : Matches
            Of the step's lexicon.
        keys : uint64 array
            Row keys.
        taken : Edits
            Of earlier steps.
        seed : int
            Of random targets.
        """
        at = np.flatnonzero(self.words.forms_of(self.groups)[matches.form])
        start, end = _span(tokens, matches, at)
        free = ~touched(taken, start, end)
        at, start, end = at[free], start[free], end[free]
        if not len(at):
            return NONE, 0
        form = matches.form[at].astype(np.int64)
        target = self._targets(matches.row[at], form, keys, seed)
        noun = np.zeros(len(at), np.bool_)
        which = np.flatnonzero(self.words.unclear[form] | self._unclear_target()[target])
        if len(which):
            noun[which] = grammar.before_noun(
                tokens, matches.token[at[which]], matches.length[at[which]], words=self.words.tokens
            )
        article, article_start = self._articles(tokens, matches, at, taken)
        wide = np.where(article, article_start, start)
        made, case = self._look_up(_Situations(gather(tokens.data, wide, end), form, target, noun, article))
        sure = np.array([it is not None for it in made], np.bool_)[case]
        moved = np.array([it is not None and it.moved for it in made], np.bool_)[case]
        edits = Edits(
            row=matches.row[at],
            start=np.where(moved, wide, start),
            end=end,
            token=matches.token[at],
            length=matches.length[at],
            after=case,
            step=np.full(len(at), self.step, np.int64),
            texts=tuple("" if it is None else it.text for it in made),
        ).take(sure)
        if self.to == "opposite" and self.words.several and edits.n:
            new_form = np.array([-1 if it is None else it.form for it in made], np.int64)[case[sure]]
            edits = edits.take(self._turns_back(tokens, matches, edits, new_form))
        return edits, len(at) - edits.n

    def _targets(self, row: Ints, form: Ints, keys: Keys, seed: int) -> Ints:
        """Index of the group that takes the place of each match's group."""
        group = self.matcher.group_of[form].astype(np.int64)
        if isinstance(self.to, int):
            return np.full(len(form), self.to, np.int64)
        target = np.zeros(len(form), np.int64)
        lexicon = self.words.lexicon
        drawn = mix(keys[row], salt=(seed, "swap", self.step)) if self.to == "random" else keys[:0]
        for source in distinct(group).tolist():
            mine = np.flatnonzero(group == source)
            if self.to == "opposite":
                target[mine] = self.words.opposite(source)
            else:
                choice = np.array(self.words.targets(source), np.int64)
                name = hash64([lexicon.groups[source].name], salt="evenset.group")
                target[mine] = choice[(combine(drawn[mine], name) % np.uint64(len(choice))).astype(np.int64)]
        return target

    def _unclear_target(self) -> Bools:
        """For each group, whether one spelling of it has several places, so that the rule has to be sure of it."""
        forms = self.words.lexicon.forms
        groups = np.array([form.group for form in forms])
        result = np.zeros(len(self.words.lexicon.groups), np.bool_)
        result[groups[self.words.unclear]] = True
        return result

    def _articles(self, tokens: Tokens, matches: Matches, at: Ints, taken: Edits) -> tuple[Bools, Ints]:
        """Whether a free "a" or "an" stands one space before each match, and where it begins."""
        token = matches.token[at]
        before = np.maximum(token - 1, 0)
        used, back = np.unique(tokens.ids[before], return_inverse=True)
        articles = {"a", "an"} - self.words.tokens
        there = np.array([tokens.folded[spelling] in articles for spelling in used.tolist()], np.bool_)[back]
        there &= token > tokens.splits[matches.row[at]]
        gap = tokens.data[np.minimum(tokens.ends[before], len(tokens.data) - 1)]
        there &= (tokens.starts[token] - tokens.ends[before] == 1) & (gap == ord(" "))
        there &= ~touched(taken, tokens.starts[before], tokens.ends[before])
        return there, tokens.starts[before]

    def _look_up(self, situations: _Situations) -> tuple[list[_Made | None], Ints]:
        """What to write in each distinct situation (None: not sure), and the situation of each match."""
        spelt = situations.spelt.dictionary_encode()
        raw = spelt.dictionary.to_pylist()
        code = spelt.indices.to_numpy().astype(np.int64)
        flat = code * (int(situations.target.max()) + 1) + situations.target
        flat = flat * 4 + situations.noun * 2 + situations.article
        _, first, back = np.unique(flat, return_index=True, return_inverse=True)
        made: list[_Made | None] = []
        for place in first.tolist():
            text = raw[code[place]]
            article, word = text.split(" ", 1) if situations.article[place] else ("", text)
            new = self.words.replacement(
                article,
                word,
                form=int(situations.form[place]),
                noun=bool(situations.noun[place]),
                target=int(situations.target[place]),
                reversible=self.to == "opposite",
            )
            if new is None:
                made.append(None)
                continue
            moved = new.article != article
            made.append(_Made(f"{new.article} {new.word}" if moved else new.word, moved, new.form))
        return made, back

    def _turns_back(self, tokens: Tokens, matches: Matches, edits: Edits, form: Ints) -> Bools:
        """Which edits to keep: none in rows where a new word joins its neighbours to another form of the lexicon."""
        rows = distinct(edits.row)
        found = self.matcher.find(tokenize(splice_rows(tokens, edits, rows)))
        expected = self._first()[matches.form]
        expected[np.searchsorted(matches.token, edits.token)] = form
        inside = np.isin(matches.row, rows)
        row = np.searchsorted(rows, matches.row[inside])
        wrong = _differ(row, expected[inside], found.row, self._first()[found.form], len(rows))
        bad = np.zeros(tokens.n_rows, np.bool_)
        bad[rows[wrong]] = True
        keep: Bools = ~bad[edits.row]
        return keep

    def _first(self) -> Ints:
        """For each form the first one of the same spelling."""
        return np.array([self.words.first[form.text] for form in self.words.lexicon.forms], np.int64)


@dataclass(frozen=True, slots=True)
class _Situations:
    """All that a replacement depends on, for each match."""

    spelt: Any  # with the article
    form: Ints
    target: Ints
    noun: Bools
    article: Bools


class _Made(NamedTuple):
    """The text of an edit, whether it covers the article too, and the form it writes."""

    text: str
    moved: bool
    form: int


def _span(tokens: Tokens, matches: Matches, at: Ints) -> tuple[Ints, Ints]:
    """Where the matches at these places begin and end in the batch's bytes."""
    return tokens.starts[matches.token[at]], tokens.ends[matches.token[at] + matches.length[at] - 1]


def _differ(row: Ints, form: Ints, found_row: Ints, found_form: Ints, n: int) -> Any:
    """Which of n rows do not show the same forms in the same order."""
    here, there = np.bincount(row, minlength=n), np.bincount(found_row, minlength=n)
    wrong = here != there
    same, found_same = ~wrong[row], ~wrong[found_row]
    unequal = form[same] != found_form[found_same]
    wrong[row[same][unequal]] = True
    return wrong
