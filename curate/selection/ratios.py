"""The fewest rows to drop or repeat until rates are as near as asked for.

Rows of a cell are alike, so what is decided is a whole number a cell; a set of a row's groups is one pattern, so groups
may overlap.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .moves import EDGE, Bools, Contrast, Goal, Ints, Moves, worst
from .solving import best_of_one, nearest_to

_SOLVES = 20
_LEAST = 1e-3


def within(have: Ints, contrasts: Sequence[Contrast], limit: float, *, method: str, held: bool) -> Ints | None:
    """The table nearest to a table, in rows touched, in which no log ratio is beyond the limit.

    Parameters
    ----------
    have : int64 array, labels × patterns
        Rows as they are.
    contrasts : sequence of Contrast
        The ratios.
    limit : float
        Largest absolute log ratio.
    method : "under", "over" or "mixed"
        Drop, repeat, or either.
    held : bool
        Keep every label's number of rows.

    Returns
    -------
    int64 array or None
        None where no such table was found.

    Notes
    -----
    One ratio without labels held: `solving.best_of_one`. Else ``A/N ≤ eᴸ B/M`` is linear in A and N for a
    given rate B/M of the other side; that rate is linearised where the last solution stands, until it stays there. Then
    whole numbers next to it, row by row until the exact ratios of the whole numbers hold, and last every row whose
    touching turns out not to be needed goes back. On small tables that is the optimum or within a few rows of it.

    Examples
    --------
    >>> have = np.array([[900, 40], [100, 60]])
    >>> gay = Contrast("gay", 1, np.array([False, True]), np.array([True, False]))
    >>> within(have, [gay], 0.2, method="under", held=False).tolist()
    [[900, 40], [100, 5]]
    >>> within(have, [gay], 0.2, method="mixed", held=True).tolist()
    [[900, 40], [152, 8]]
    """
    if not contrasts or worst(have, contrasts) <= limit + EDGE:
        return have.copy()
    moves = Moves.of(have, method, contrasts, held=held)
    if len(contrasts) == 1 and not held:
        return best_of_one(moves, contrasts[0], limit)
    return nearest_to(moves, Goal(contrasts, limit, None, have.shape))


def nearest(have: Ints, contrasts: Sequence[Contrast], *, method: str, held: bool) -> tuple[float, list[str]]:
    """The smallest limit that was found to be reachable, rounded up to three digits, and which ratios are at it.

    By geometric halving, so a small one is found as nearly as a large one; at most 20 tables are looked for.
    """
    best, value = have, worst(have, contrasts)
    low, high, middle = _LEAST, value, _LEAST
    for _ in range(_SOLVES):
        found = within(have, contrasts, middle, method=method, held=held)
        if found is None:
            low = middle
        else:
            best, value = found, worst(found, contrasts)
            high = min(middle, value)
        if high - low < _LEAST or high < 1.01 * low:
            break
        middle = float(np.sqrt(low * high))
    tight = [c.name for c in contrasts if abs(c.log_ratio(best)) >= value - 1e-3]
    return float(np.ceil(value * 1000) / 1000), tight


def at_rate(have: Ints, member: Bools, label: int, rate: float, *, method: str, held: bool) -> Ints | None:
    """The nearest table in which every group's rows have a label at a rate, to half a row.

    Parameters
    ----------
    have : int64 array, labels × patterns
        Rows as they are.
    member : bool array, patterns × groups
        Which groups a pattern holds.
    label : int
        Of which the share is meant.
    rate : float
        The share wanted.
    method, held
        As for `within`.

    Examples
    --------
    >>> have = np.array([[900, 40], [100, 60]])
    >>> at_rate(have, np.array([[False], [True]]), 1, 0.1, method="under", held=False).tolist()
    [[900, 40], [100, 5]]
    """
    contrasts = [
        Contrast("", label, member[:, column], ~member[:, column])
        for column in range(member.shape[1])
        if have[:, member[:, column]].any()
    ]
    if not contrasts:
        return have.copy()
    moves = Moves(have, method != "over", method != "under", held, np.zeros_like(have))
    return nearest_to(moves, Goal(contrasts, 0.5, rate, have.shape))
