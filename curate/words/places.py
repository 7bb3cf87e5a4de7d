"""The places that a swap changes, and small questions about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...data.match import Matches
from ...data.tokens import Tokens
from ..edits import Bools, Ints
from .readings import Readings


class Places:
    """Matches that are to be swapped, and what for."""

    __slots__ = ("at", "end", "form", "length", "matches", "row", "start", "target", "token", "tokens")

    def __init__(self, tokens: Tokens, matches: Matches, at: Ints, target: Ints) -> None:
        self.tokens, self.matches, self.at, self.target = tokens, matches, at, target
        self.row, self.token, self.length = matches.row[at], matches.token[at], matches.length[at]
        self.form = matches.form[at].astype(np.int64)
        self.start, self.end = span(tokens, matches, at)

    def take(self, which: Ints) -> Places:
        """The matches at these places of `at`."""
        return Places(self.tokens, self.matches, self.at[which], self.target[which])


@dataclass(frozen=True, slots=True)
class Situations:
    """What a replacement depends on besides form and target, for each match."""

    spelt: Any  # with the article
    reading: Readings
    article: Bools


class Made(NamedTuple):
    """The text of an edit, whether it covers the article too, and the form it writes."""

    text: str
    moved: bool
    form: int


def first_of(code: Ints, size: int) -> tuple[Ints, Ints]:
    """The first place of each distinct number, and for each place the index of its own number among them."""
    if size > 4 * len(code) + 4096:
        _, first, case = np.unique(code, return_index=True, return_inverse=True)
        return first, case
    first_at = np.full(size, -1, np.int64)
    first_at[code[::-1]] = np.arange(len(code))[::-1]
    used = np.flatnonzero(first_at >= 0)
    place = np.empty(size, np.int64)
    place[used] = np.arange(len(used))
    return first_at[used], place[code]


def span(tokens: Tokens, matches: Matches, at: Ints) -> tuple[Ints, Ints]:
    """Where the matches at these places begin and end in the batch's bytes."""
    return tokens.starts[matches.token[at]], tokens.ends[matches.token[at] + matches.length[at] - 1]


def differ(row: Ints, form: Ints, found_row: Ints, found_form: Ints, n: int) -> Any:
    """Which of n rows do not show the same forms in the same order."""
    here, there = np.bincount(row, minlength=n), np.bincount(found_row, minlength=n)
    wrong = here != there
    same, found_same = ~wrong[row], ~wrong[found_row]
    unequal = form[same] != found_form[found_same]
    wrong[row[same][unequal]] = True
    return wrong
