"""Mask or drop the words of groups and words that go with them (rule ``scrub.v2``)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from ...data.errors import InputError
from ...data.hashing import Keys
from ...data.match import Matcher, Matches
from ...data.tokens import Tokens, tokenize
from ..edits import NONE, Bools, Edits, Ints, distinct, splice_rows, touched
from .dropping import TEXTS, widened
from .lexical import Words

RULE = "scrub.v2"


@dataclass(frozen=True)
class Scrub:
    """One way of taking words out of a text.

    Attributes
    ----------
    words : Words
    matcher : Matcher
        Of the axis.
    step : int
        Index of the plan's step.
    groups : tuple of int
        Groups whose words go.
    mask : str or None
        What is written in the place of each; None drops it, with what `dropping` says goes with it.
    own : bool
        Whether the axis's own words go.
    proxies : Matcher or None
        Of single words that go too.
    """

    words: Words
    matcher: Matcher
    step: int
    groups: tuple[int, ...]
    mask: str | None
    own: bool = True
    proxies: Matcher | None = None

    def __post_init__(self) -> None:
        if self.mask is None:
            return
        forms = [form.text for form in self.words.lexicon.forms if form.group in self.groups] if self.own else []
        own = {word for text in forms for word in re.split("[ ']", text)}
        learned = set() if self.proxies is None else set(self.proxies.forms)
        folded = tokenize(pa.array([self.mask], pa.large_string())).folded
        clash = [(word, word in own) for word in folded if word in own or word in learned]
        if clash:
            kind = f'itself a word of the lexicon "{self.words.lexicon.name}"' if clash[0][1] else "itself a proxy"
            raise InputError(
                f'{self.words.where}with = "{self.mask}": "{clash[0][0]}" is {kind}, so scrubbing would leave what it '
                "takes out; choose another mask"
            )
        if "`" in self.mask:
            raise InputError(f'{self.words.where}with = "{self.mask}": a backtick begins code; choose another mask')

    @cached_property
    def _chosen(self) -> Bools:
        return self.words.forms_of(self.groups if self.own else ())

    def places(self, tokens: Tokens, matches: Matches) -> Found:
        """Every place that the step is about, ascending."""
        chosen = self._chosen[matches.form]
        if chosen.all():
            row, token, length = matches.row, matches.token, matches.length
        else:
            at = np.flatnonzero(chosen)
            row, token, length = matches.row[at], matches.token[at], matches.length[at]
        if self.proxies is None:
            return Found(row, token, length)
        more = self.proxies.find(tokens).token
        more = more[~covered(matches.token, matches.length, more)]
        both = np.concatenate([token, more])
        order = np.argsort(both, kind="stable")
        length = np.concatenate([length, np.ones(len(more), np.int64)])[order]
        return Found(tokens.row_of(both[order]), both[order], length)

    def edits(self, tokens: Tokens, matches: Matches, keys: Keys, taken: Edits, *, seed: int) -> tuple[Edits, int]:  # noqa: ARG002
        """The edits of a batch that touch none of the places already taken; the rules leave nothing alone.

        Nothing is random here: `keys` and `seed` are what every edit step is given.
        """
        return self.edits_at(tokens, self.places(tokens, matches), taken), 0

    def edits_at(self, tokens: Tokens, found: Found, taken: Edits) -> Edits:
        """The edits at those of some places (of `places`) that touch none already taken."""
        edits = taken_out(tokens, found.free(tokens, taken), taken, step=self.step, mask=self.mask)
        if self.mask is None and self.own and self.words.several and edits.n:
            edits = self._again(tokens, edits, taken)
        return edits

    def at(self, tokens: Tokens, token: Ints, length: Ints, taken: Edits) -> Edits:
        """Edits that take out the given places (first token and number of tokens, ascending)."""
        return taken_out(tokens, Found.of(tokens, token, length), taken, step=self.step, mask=self.mask)

    def reasons(self, tokens: Tokens, matches: Matches, edits: Edits) -> tuple[Ints, list[str]]:
        """Why each edit was made, as an index into names: the group whose word it was, or ``proxy:GROUP``."""
        names = [group.name for group in self.words.lexicon.groups]
        names.append(f"{self.words.lexicon.name} (what was left of a form)")
        why = np.full(edits.n, len(names) - 1, np.int64)
        own = self._chosen[matches.form]
        if np.array_equal(matches.token[own], edits.token):  # as it mostly is, and then nothing need be looked up
            return self.matcher.group_of[matches.form[own]].astype(np.int64), names
        place = np.minimum(np.searchsorted(matches.token, edits.token), max(matches.n - 1, 0))
        if matches.n:
            hit = matches.token[place] == edits.token
            why[hit] = self.matcher.group_of[matches.form[place[hit]]]
        if self.proxies is not None:
            left = np.flatnonzero(why == len(names) - 1)
            found = self.proxies.find(tokens)
            if len(left) and found.n:
                place = np.minimum(np.searchsorted(found.token, edits.token[left]), found.n - 1)
                hit = found.token[place] == edits.token[left]
                why[left[hit]] = len(names) + self.proxies.group_of[found.form[place[hit]]]
            names += [group.name for group in self.proxies.lexicon.groups]
        return why, names

    def _again(self, tokens: Tokens, edits: Edits, taken: Edits) -> Edits:
        """Drop also what becomes a form because the words between its parts are gone, until there is none left."""
        while True:
            rows = distinct(edits.row)
            found = self.matcher.find(tokenize(splice_rows(tokens, edits, rows)))
            chosen = np.flatnonzero(self._chosen[found.form])
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


class Found(NamedTuple):
    """Places in a batch, ascending: row, first token and number of tokens of each."""

    row: Ints
    token: Ints
    length: Ints

    @staticmethod
    def of(tokens: Tokens, token: Ints, length: Ints) -> Found:
        """The places of these first tokens and numbers of tokens."""
        return Found(tokens.row_of(token), token, length)

    def free(self, tokens: Tokens, taken: Edits) -> Found:
        """Those that touch none already taken."""
        if not taken.n:
            return self
        free = ~touched(taken, tokens.starts[self.token], tokens.ends[self.token + self.length - 1])
        return self if free.all() else Found(self.row[free], self.token[free], self.length[free])


def taken_out(
    tokens: Tokens, found: Found, taken: Edits, *, step: int, mask: str | None, capitals: bool = True
) -> Edits:
    """Edits that mask (None: drop) the given places."""
    row, token, length = found
    if not len(token):
        return NONE
    start, end = tokens.starts[token], tokens.ends[token + length - 1]
    after = np.zeros(len(token), np.int64)
    if mask is None:
        start, end, after = widened(tokens, row, start, end, taken, capitals=capitals)
    return Edits(
        row=row,
        start=start,
        end=end,
        token=token,
        length=length,
        after=after,
        step=np.full(len(token), step, np.int64),
        texts=TEXTS if mask is None else (mask,),
    )


def covered(token: Ints, length: Ints, which: Ints) -> Bools:
    """Whether each token is part of one of some places (first token and number of tokens, ascending)."""
    if not len(token):
        return np.zeros(len(which), np.bool_)
    before = np.searchsorted(token, which, side="right") - 1
    held = np.maximum(before, 0)
    result: Bools = (before >= 0) & (which < token[held] + length[held])
    return result


def _within(length: Ints) -> Ints:
    """0 .. n − 1 for each length n, end to end."""
    first = np.cumsum(length) - length
    return np.arange(int(length.sum())) - np.repeat(first, length)
