"""Mask, drop or neutralise the words of groups (rule ``scrub.v1``)."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ..data.errors import InputError
from ..data.hashing import Keys
from ..data.match import Matcher, Matches
from ..data.tokens import Tokens, tokenize
from .edits import NONE, Edits, Ints, distinct, splice_rows, touched
from .words import Words

RULE = "scrub.v1"
_SPACE = ord(" ")


@dataclass(frozen=True)
class Scrub:
    """One way of taking the words of a lexicon out of a text.

    Attributes
    ----------
    words : Words
    matcher : Matcher
    step : int
        Index of the plan's step.
    groups : tuple of int
        Groups whose words go.
    mask : str or None
        What is written in the place of each; None drops it together with one adjoining space.
    """

    words: Words
    matcher: Matcher
    step: int
    groups: tuple[int, ...]
    mask: str | None

    def __post_init__(self) -> None:
        if self.mask is None:
            return
        forms = [form.text for form in self.words.lexicon.forms if form.group in self.groups]
        own = {word for text in forms for word in re.split("[ ']", text)}
        clash = [word for word in tokenize(pa.array([self.mask], pa.large_string())).folded if word in own]
        if clash:
            raise InputError(
                f'{self.words.where}with = "{self.mask}": "{clash[0]}" is itself a word of the lexicon '
                f'"{self.words.lexicon.name}", so scrubbing would leave what it takes out; choose another mask'
            )

    def edits(self, tokens: Tokens, matches: Matches, keys: Keys, taken: Edits, *, seed: int) -> tuple[Edits, int]:  # noqa: ARG002
        """The edits of a batch that touch none of those already taken; the rules leave nothing alone.

        Nothing is random here: `keys` and `seed` are what every edit step is given.
        """
        at = np.flatnonzero(self.words.forms_of(self.groups)[matches.form])
        token, length = matches.token[at], matches.length[at]
        free = ~touched(taken, tokens.starts[token], tokens.ends[token + length - 1])
        edits = self.at(tokens, token[free], length[free], taken)
        if self.mask is None and self.words.several and edits.n:
            edits = self._again(tokens, edits, taken)
        return edits, 0

    def at(self, tokens: Tokens, token: Ints, length: Ints, taken: Edits) -> Edits:
        """Edits that take out the given places (first token and number of tokens, ascending)."""
        if not len(token):
            return NONE
        start, end = tokens.starts[token], tokens.ends[token + length - 1]
        row = tokens.row_of(token)
        if self.mask is None:
            start, end = self._with_space(tokens, row, start, end, taken)
        return Edits(
            row=row,
            start=start,
            end=end,
            token=token,
            length=length,
            after=np.zeros(len(token), np.int64),
            step=np.full(len(token), self.step, np.int64),
            texts=("" if self.mask is None else self.mask,),
        )

    def _with_space(self, tokens: Tokens, row: Ints, start: Ints, end: Ints, taken: Edits) -> tuple[Ints, Ints]:
        """Widen each span by the space before it, or else by the one after it, unless it is taken already."""
        data = tokens.data
        left = (start > tokens.offsets[row]) & (data[np.maximum(start - 1, 0)] == _SPACE)
        left &= ~touched(taken, start - 1, start)
        right = (end < tokens.offsets[row + 1]) & (data[np.minimum(end, len(data) - 1)] == _SPACE)
        right &= ~touched(taken, end, end + 1)
        # Words one space apart would want the same one; so a run of them goes all one way, as its first word can.
        goes_on = np.zeros(len(start), np.bool_)
        goes_on[1:] = (row[1:] == row[:-1]) & (start[1:] - end[:-1] == 1) & left[1:]
        first = np.flatnonzero(~goes_on)
        leftwards = np.repeat(left[first], np.diff(np.append(first, len(start))))
        return start - leftwards, end + (right & ~leftwards)

    def _again(self, tokens: Tokens, edits: Edits, taken: Edits) -> Edits:
        """Drop also what becomes a form because the words between its parts are gone, until there is none left."""
        while True:
            rows = distinct(edits.row)
            found = self.matcher.find(tokenize(splice_rows(tokens, edits, rows)))
            chosen = np.flatnonzero(self.words.forms_of(self.groups)[found.form])
            if not len(chosen):
                return edits
            token = self._original(tokens, edits, taken, rows, found, chosen)
            if not len(token):
                return edits
            token = distinct(token)
            both = np.concatenate([edits.token, token])
            order = np.argsort(both)
            length = np.concatenate([edits.length, np.ones(len(token), np.int64)])
            edits = self.at(tokens, both[order], length[order], taken)

    def _original(self, tokens: Tokens, edits: Edits, taken: Edits, rows: Ints, found: Matches, chosen: Ints) -> Ints:
        """The raw tokens that the given matches of the changed rows are made of, without those taken by others."""
        gone = np.zeros(tokens.n, np.bool_)
        gone[np.repeat(edits.token, edits.length) + _within(edits.length)] = True
        kept = np.flatnonzero(~gone & np.isin(tokens.row_of(np.arange(tokens.n)), rows))
        which = np.repeat(found.token[chosen], found.length[chosen]) + _within(found.length[chosen])
        token = kept[which]
        free: Ints = token[~touched(taken, tokens.starts[token], tokens.ends[token])]
        return free


def _within(length: Ints) -> Ints:
    """0 .. n − 1 for each length n, end to end."""
    first = np.cumsum(length) - length
    return np.arange(int(length.sum())) - np.repeat(first, length)
