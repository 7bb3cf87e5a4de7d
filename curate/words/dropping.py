"""What goes with a word that is dropped: the blanks around it, and the capital of a sentence that it began.

Dropping leaves no two blanks where there was one on either side, no blank before punctuation or at the beginning of a
line, and a sentence whose first word goes begins with a capital where the next word is a plain one.
"""

from __future__ import annotations

from string import ascii_uppercase

import numpy as np

from ...data.tokens import Tokens
from ..edits import Bools, Edits, Ints, touched
from .protected import reach

TEXTS = ("", " ", *ascii_uppercase)
"""What may stand in the place of what is dropped."""

_SPACE, _TICK = ord(" "), ord("`")
_LINE = (ord("\n"), ord("\r"))
_STOPS = np.frombuffer(b".!?", np.uint8)
_BLANK = np.arange(256) == _SPACE


def widened(
    tokens: Tokens, row: Ints, start: Ints, end: Ints, taken: Edits, *, capitals: bool
) -> tuple[Ints, Ints, Ints]:
    """Widen spans of words by what goes with them.

    Parameters
    ----------
    tokens : Tokens
        Of a batch.
    row, start, end : int64 arrays
        The words, ascending and disjoint.
    taken : Edits
        Places that are left as they are.
    capitals : bool
        Whether the word after a dropped capital at the beginning of a sentence gets it.

    Returns
    -------
    start, end : int64 arrays
    after : int64 array
        Index into `TEXTS`.
    """
    data, low, high = tokens.data, tokens.offsets[row], tokens.offsets[row + 1]
    if taken.n:
        before = np.searchsorted(taken.start, start, side="right") - 1
        low = np.maximum(low, np.where(before >= 0, taken.end[np.maximum(before, 0)], 0))
        behind = np.searchsorted(taken.start, end, side="left")
        high = np.minimum(high, np.where(behind < taken.n, taken.start[np.minimum(behind, taken.n - 1)], high))
    left, right = reach(data, start, low, _BLANK, back=True), reach(data, end, high, _BLANK)
    # Words with nothing but blanks between them go as one; each but the first takes the blanks before it.
    goes_on = np.zeros(len(start), np.bool_)
    goes_on[1:] = (right[:-1] == start[1:]) & (right[:-1] > end[:-1]) & (row[1:] == row[:-1])
    start, end, after = start.copy(), end.copy(), np.zeros(len(start), np.int64)
    start[goes_on] = end[np.flatnonzero(goes_on) - 1]
    first = np.flatnonzero(~goes_on)
    last = np.append(first[1:], len(start)) - 1
    word, left, right = start[first], left[first], right[last]
    at_line = left == tokens.offsets[row[first]]
    before_it = data[np.maximum(left - 1, 0)]
    at_line |= np.isin(before_it, _LINE)
    outer = ~at_line & (left < word)
    start[first] = np.where(outer, left, word)
    # One blank stays where there was one on either side.
    end[last] = np.where(outer & (right > end[last]), right - 1, right)
    capital = np.zeros(len(first), np.bool_)
    if capitals:
        begins = at_line | (outer & np.isin(before_it, _STOPS))
        capital = _capital(tokens, row[first], word, right, taken) & begins
        start[first] = np.where(capital, word, start[first])
        end[last] = np.where(capital, right + 1, end[last])
        after[last] = np.where(capital, 2 + data[np.minimum(right, len(data) - 1)].astype(np.int64) - ord("a"), 0)
    # Two backticks must not come together: they would be another mark than before.
    held = (start[first] > tokens.offsets[row[first]]) & (end[last] < tokens.offsets[row[last] + 1])
    held &= data[np.maximum(start[first] - 1, 0)] == _TICK
    held &= data[np.minimum(end[last], len(data) - 1)] == _TICK
    after[last[held]] = 1
    return start, end, after


def _capital(tokens: Tokens, row: Ints, word: Ints, right: Ints, taken: Edits) -> Bools:
    """Whether a capital goes and a free word in small letters follows after blanks."""
    data, last = tokens.data, len(tokens.data) - 1
    here, then = data[np.minimum(right, last)], data[np.minimum(right + 1, last)]
    result: Bools = (data[word] >= ord("A")) & (data[word] <= ord("Z"))
    result &= (right < tokens.offsets[row + 1]) & (data[np.maximum(right - 1, 0)] == _SPACE)
    result &= (here >= ord("a")) & (here <= ord("z"))
    result &= ~((then >= ord("A")) & (then <= ord("Z")) & (right + 1 < tokens.offsets[row + 1]))
    result &= ~touched(taken, right, right + 1)
    return result
