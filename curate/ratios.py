"""The fewest rows to drop or repeat until rates are as near as asked for: small integer programmes over cells.

Rows of a cell are alike, so what is decided is a whole number a cell; a set of a row's groups is one pattern, so groups
may overlap. A programme is solved by HiGHS (in scipy); what it gives is checked on the whole numbers themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..audit.findings import MINIMUM_ROWS
from ..audit.intervals import SPARSE

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_ROUNDS = 12
# Of nodes and not of time, so that every machine stops at the same table.
_NODES = 100
_GAP = 1e-3
_EDGE = 1e-9
# Times the table, which is as good as without bound.
_MOST_REPEATED = 100
# Numbers of rows that are tried on a side.
_MOST_LISTED = 4_000_000


@dataclass(frozen=True, slots=True)
class Contrast:
    """A label's share among some rows beside its share among others.

    Attributes
    ----------
    name : str
        Of the group, or of the label where two groups are compared.
    label : int
    inside, outside : bool arrays
        Patterns of either side.
    """

    name: str
    label: int
    inside: Bools
    outside: Bools

    def sums(self, table: Any) -> tuple[float, float, float, float]:
        """Events and rows inside, events and rows outside, each with half a row more."""
        inside, outside = table[:, self.inside], table[:, self.outside]
        return (
            float(inside[self.label].sum()) + 0.5,
            float(inside.sum()) + 0.5,
            float(outside[self.label].sum()) + 0.5,
            float(outside.sum()) + 0.5,
        )

    def log_ratio(self, table: Any) -> float:
        """As the audit has it: ln((x + ½) / (n + ½)) of the one minus that of the other."""
        a, n, b, m = self.sums(table)
        return float(np.log(a / n) - np.log(b / m))

    def judged(self, table: Ints, *, pair: bool) -> bool:
        """Whether the audit would judge the ratio: 30 rows a side, 5 counted or expected with and without the label."""
        a, n, b, m = (int(value) for value in self.sums(table))
        rate = (a + b) / max(n + m, 1)
        cells = [max(a, rate * n), max(n - a, (1 - rate) * n), max(b, rate * m), max(m - b, (1 - rate) * m)]
        few = min(n, m, a + b) if pair else min(n, m)
        return few >= MINIMUM_ROWS and min(cells) >= SPARSE


@dataclass(frozen=True, slots=True)
class Moves:
    """What may be done to the cells of a table, labels × patterns.

    Attributes
    ----------
    have : int64 array
    drop, repeat : bool
        Whether rows may be dropped, and repeated.
    held : bool
        Whether every label keeps its number of rows.
    floor : int64 array
        Rows that must be left of each cell.
    """

    have: Ints
    drop: bool
    repeat: bool
    held: bool
    floor: Ints

    @staticmethod
    def of(have: Ints, method: str, contrasts: Sequence[Contrast], *, held: bool) -> Moves:
        """No side of a contrast may lose its last row of a label: one with nothing left meets every limit."""
        floor = np.zeros_like(have)
        for contrast in contrasts:
            for side in (contrast.inside, contrast.outside):
                for label in range(len(have)):
                    mine = np.flatnonzero(side & (have[label] > 0))
                    if len(mine):  # the largest cell keeps it: it costs the least to keep a row there
                        floor[label, mine[np.argmax(have[label, mine])]] = 1
        return Moves(have, method != "over", method != "under", held, floor)

    def cost(self, table: Any) -> int:
        """Rows dropped and rows repeated."""
        return int(np.abs(table - self.have).sum())

    def allows(self, table: Ints) -> bool:
        """Whether a table can be made."""
        if (table < self.floor).any() or (table[self.have == 0] > 0).any():
            return False
        if self.held and (table.sum(axis=1) != self.have.sum(axis=1)).any():
            return False
        return (self.drop or bool((table >= self.have).all())) and (self.repeat or bool((table <= self.have).all()))


@dataclass(frozen=True, slots=True)
class Row:
    """A linear constraint, ``low ≤ Σ coef × table ≤ high``."""

    coef: Floats
    low: float
    high: float


def within(have: Ints, contrasts: Sequence[Contrast], limit: float, *, method: str, held: bool) -> Ints | None:
    """The table nearest to a table, in rows touched, in which no log ratio is beyond the limit.

    Parameters
    ----------
    have : int64 array, labels × patterns
    contrasts : sequence of Contrast
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
    ``A/N ≤ eᴸ A'/N'`` is linear in A and N for a given rate A'/N' of the other side; that rate is linearised where the
    last solution stands, until it stays there. Then in whole numbers, checked by the exact ratios, with the limit a
    little narrower where rounding crossed it; and last every row whose touching turns out not to be needed goes back.

    Examples
    --------
    >>> have = np.array([[900, 40], [100, 60]])
    >>> gay = Contrast("gay", 1, np.array([False, True]), np.array([True, False]))
    >>> within(have, [gay], 0.2, method="under", held=False).tolist()
    [[900, 40], [100, 5]]
    >>> within(have, [gay], 0.2, method="mixed", held=True) is not None
    True
    """
    moves = Moves.of(have, method, contrasts, held=held)
    if not contrasts or worst(have, contrasts) <= limit + _EDGE:
        return have.copy()
    if len(contrasts) == 1 and not held:
        return _of_one(moves, contrasts[0], limit)
    found = _search(moves, contrasts, limit)
    if found is None:
        nearby = _nearest_table(moves, contrasts, at_most=limit)
        found = nearby if nearby is not None and worst(nearby, contrasts) <= limit + _EDGE else None
    return None if found is None else _polished(moves, contrasts, limit, found)


def nearest(have: Ints, contrasts: Sequence[Contrast], *, method: str, held: bool) -> tuple[float, list[str]]:
    """The smallest limit that was found to be reachable, rounded up to three digits, and which ratios are at it."""
    moves = Moves.of(have, method, contrasts, held=held)
    table = _nearest_table(moves, contrasts, at_most=0.0)
    table = have if table is None else table
    value = worst(table, contrasts)
    tight = [c.name for c in contrasts if abs(c.log_ratio(table)) >= value - 1e-3]
    return float(np.ceil(value * 1000) / 1000), tight


def worst(table: Any, contrasts: Sequence[Contrast]) -> float:
    """The largest absolute log ratio of a table."""
    return max((abs(contrast.log_ratio(table)) for contrast in contrasts), default=0.0)


def at_rate(
    have: Ints, member: Bools, label: int, rate: float, *, method: str, held: bool
) -> Ints | None:
    """The nearest table in which every group's rows have a label at a rate, to half a row.

    Parameters
    ----------
    have : int64 array, labels × patterns
    member : bool array, patterns × groups
    label : int
    rate : float
    method, held
        As for `within`.

    Examples
    --------
    >>> have = np.array([[900, 40], [100, 60]])
    >>> at_rate(have, np.array([[False], [True]]), 1, 0.1, method="under", held=False).tolist()
    [[900, 40], [100, 4]]
    """
    moves = Moves(have, method != "over", method != "under", held, np.zeros_like(have))
    rows = []
    for column in range(member.shape[1]):
        inside = member[:, column]
        if not have[:, inside].any():
            continue
        coef = np.zeros(have.shape)
        coef[:, inside] = -rate
        coef[label, inside] += 1
        rows.append(Row(coef, -0.5, 0.5))
        rows.append(Row((np.zeros(have.shape) + inside).astype(np.float64), 1, np.inf))
    found = _solve(moves, rows, whole=True)
    return None if found is None else found.astype(np.int64)


# -- solving -------------------------------------------------------------------------------------------------------


def _search(moves: Moves, contrasts: Sequence[Contrast], limit: float) -> Ints | None:
    """The cheaper of what is found from the rows as they are and from a table without association."""
    have = moves.have.astype(np.float64)
    even = have.sum(axis=1, keepdims=True) * have.sum(axis=0, keepdims=True) / max(have.sum(), 1)
    found = _search_from(moves, contrasts, limit, have)
    if found is None:
        found = _search_from(moves, contrasts, limit, even)
    return found


def _search_from(moves: Moves, contrasts: Sequence[Contrast], limit: float, at: Floats) -> Ints | None:
    for _ in range(_ROUNDS):
        found = _solve(moves, _rows(contrasts, at, limit), whole=False)
        if found is None:
            return None
        moved = float(np.abs(found - at).max())
        at = found
        if moved < 1e-3:
            break
    best: Ints | None = None
    margin = 0.0
    for _ in range(_ROUNDS):
        whole = _solve(moves, _rows(contrasts, at, max(limit - margin, 0.0)), whole=True)
        if whole is None:
            break
        table = whole.astype(np.int64)
        beyond = worst(table, contrasts) - limit
        if beyond <= _EDGE:
            if best is not None and moves.cost(table) >= moves.cost(best):
                break
            best = table
        else:
            margin += beyond + 1e-9
        if (whole == at).all():
            break
        at = whole
    return best


def _of_one(moves: Moves, contrast: Contrast, limit: float) -> Ints | None:
    """The very best table where there is one ratio: all pairs of numbers of rows touched on either side.

    With k rows to touch, a share moves the most when all are dropped or all are repeated, as far as there are rows to
    drop: it is a ratio of two lines in the number of drops. So every side is a list, and the lists are searched.
    """
    up = contrast.log_ratio(moves.have) > 0
    sides = []
    for inside, falls in ((contrast.inside, up), (contrast.outside, not up)):
        events = np.zeros(moves.have.shape, np.bool_)
        events[contrast.label, inside] = True
        rest = np.zeros(moves.have.shape, np.bool_)
        rest[:, inside] = True
        rest &= ~events
        sides.append(_Side.of(moves, events, rest, falls=falls))
    first, second = sides
    # For each number on the one side the first on the other that brings them together.
    sign = 1.0 if up else -1.0
    wanted = sign * first.value - limit
    other = sign * second.value
    at = np.searchsorted(np.maximum.accumulate(other), wanted - _EDGE)
    best: tuple[int, int] | None = None
    for one in np.argsort(np.arange(len(at)) + at, kind="stable").tolist():
        two = int(at[one])
        if two == len(other):
            continue
        if best is not None and one + two >= sum(best):
            break
        if sign * (first.value[one] - second.value[two]) >= -limit - _EDGE:
            best = (one, two)
    if best is None:
        return None
    table = moves.have.copy()
    for side, number in zip(sides, best, strict=True):
        table = side.apply(table, number)
    return table


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of a ratio: how far its log share comes when so many rows are touched, and which."""

    value: Floats
    drops: Ints
    dropped: Bools
    repeated: Bools
    floor: Ints

    @staticmethod
    def of(moves: Moves, events: Bools, rest: Bools, *, falls: bool) -> _Side:
        """The share falls by dropping events or repeating others, and rises the other way round."""
        dropped, repeated = (events, rest) if falls else (rest, events)
        have = moves.have
        spare = int((have - moves.floor)[dropped].sum()) if moves.drop else 0
        most = spare + (_MOST_REPEATED * int(have.sum()) if moves.repeat and have[repeated].any() else 0)
        most = min(most, _MOST_LISTED)
        x, n = int(have[events].sum()), int(have[events | rest].sum())
        touched = np.arange(most + 1)
        values, drops = [], []
        for drop in (np.minimum(touched, spare), np.zeros_like(touched)):
            repeat = touched - drop
            if repeat.any() and not (moves.repeat and have[repeated].any()):
                continue
            at = x - drop + 0.5 if falls else x + repeat + 0.5
            values.append(np.log(at / (n - drop + repeat + 0.5)))
            drops.append(drop)
        if not values:
            values, drops = [np.log([(x + 0.5) / (n + 0.5)])], [np.zeros(1, np.int64)]
        best = np.argmin(values, axis=0) if falls else np.argmax(values, axis=0)
        where = np.arange(len(best))
        return _Side(np.array(values)[best, where], np.array(drops)[best, where], dropped, repeated, moves.floor)

    def apply(self, table: Ints, number: int) -> Ints:
        """The table with so many rows touched, in proportion to what its cells have."""
        drop = int(self.drops[number])
        table = table.copy()
        spare = np.where(self.dropped, table - self.floor, 0)
        table -= shared(drop, spare)
        table += shared(number - drop, np.where(self.repeated, table, 0), capped=False)
        return table


def shared(number: int, by: Ints, *, capped: bool = True) -> Ints:
    """A number spread over cells in proportion to `by`, in whole numbers that add up to it.

    Examples
    --------
    >>> shared(5, np.array([[6, 3, 1]])).tolist()
    [[3, 2, 0]]
    """
    total = int(by.sum())
    if not number or not total:
        return np.zeros_like(by)
    ends = np.cumsum(by.reshape(-1)) * number
    parts = np.diff((2 * ends + total) // (2 * total), prepend=0).reshape(by.shape)
    result: Ints = np.minimum(parts, by) if capped else parts
    return result


def _nearest_table(moves: Moves, contrasts: Sequence[Contrast], *, at_most: float) -> Ints | None:
    """A whole table whose worst ratio is as small as halving the limit brings it."""
    best, value = moves.have, worst(moves.have, contrasts)
    low, high = at_most, value
    for _ in range(14):
        middle = low if high == value and low > 0 else (low + high) / 2
        found = _search(moves, contrasts, middle)
        if found is None:
            low = middle
        else:
            reached = worst(found, contrasts)
            if reached < value:
                best, value = found, reached
            high = min(middle, reached)
        if high - low < 5e-4 or value <= at_most:
            break
    return best if moves.allows(best) else None


def _rows(contrasts: Sequence[Contrast], at: Floats, limit: float) -> list[Row]:
    """Both bounds of every ratio, linear around a table."""
    rows = []
    for contrast in contrasts:
        _, n, b, m = contrast.sums(at)
        for side in (1.0, -1.0):
            k = float(np.exp(side * limit))
            # side × (A − k (b/m) N − k n (A'/m − b N'/m²)) ≤ what the constants and the halves leave
            coef = np.zeros(at.shape)
            coef[:, contrast.inside] -= k * b / m
            coef[contrast.label, contrast.inside] += 1
            coef[:, contrast.outside] += k * n * b / m**2
            coef[contrast.label, contrast.outside] -= k * n / m
            rest = 0.5 - 0.5 * k * b / m - k * n / m * 0.5 + k * n * b / m**2 * 0.5
            rows.append(Row(side * coef, -np.inf, -side * rest))
    return rows


def _solve(moves: Moves, rows: Sequence[Row], *, whole: bool) -> Floats | None:
    """Fewest rows touched under linear constraints; in whole numbers next to the best of all numbers."""
    import scipy.sparse as sparse
    from scipy.optimize import Bounds, LinearConstraint, milp

    have = moves.have.reshape(-1)
    cells = np.flatnonzero(have)
    n = len(cells)
    # How many rows each cell loses, then how many it gains.
    lost = (have - moves.floor.reshape(-1))[cells] * int(moves.drop)
    gained = np.full(n, _MOST_REPEATED * int(have.sum()) * int(moves.repeat))
    most = np.concatenate([lost, gained]).astype(np.float64)
    matrix = np.array([row.coef.reshape(-1)[cells] for row in rows]).reshape(len(rows), n)
    base = matrix @ have[cells]
    low = np.array([row.low for row in rows]) - base
    high = np.array([row.high for row in rows]) - base
    constraints = [LinearConstraint(sparse.csr_matrix(np.hstack([-matrix, matrix])), low, high)]
    if moves.held:
        label = cells // moves.have.shape[1]
        kept = np.array([(label == code).astype(np.float64) for code in np.unique(label)])
        constraints.append(LinearConstraint(sparse.csr_matrix(np.hstack([-kept, kept])), 0, 0))
    # Hardly dearer from cell to cell, so that of equally good tables it is always the same one.
    cost = 1 + 1e-5 * np.tile(np.arange(n) / n, 2)
    found = milp(cost, bounds=Bounds(0, most), constraints=constraints).x
    if found is None:
        return None
    if whole:
        found = _whole(found, cost, most, constraints)
        if found is None:
            return None
    table = have.astype(np.float64)
    table[cells] += found[n:] - found[:n]
    result: Floats = table.reshape(moves.have.shape)
    return result


def _whole(found: Floats, cost: Floats, most: Floats, constraints: Any) -> Floats | None:
    """Whole numbers at most one away, wider where there are none, from a solution at a corner: few are not whole."""
    from scipy.optimize import Bounds, milp

    for reach in (1, 4, 30):
        low = np.maximum(np.floor(found + 1e-7) - reach, 0)
        # What is not touched at all stays so, unless nothing else helps.
        high = np.where((found > 1e-7) | (reach > 1), np.ceil(found - 1e-7) + reach, 0)
        result = milp(
            cost,
            integrality=np.ones(len(cost)),
            bounds=Bounds(np.minimum(low, most), np.minimum(high, most)),
            constraints=constraints,
            options={"node_limit": _NODES, "mip_rel_gap": _GAP},
        )
        if result.x is not None:
            whole: Floats = np.rint(result.x)
            return whole
    return None


def _polished(moves: Moves, contrasts: Sequence[Contrast], limit: float, table: Ints) -> Ints:
    """Take back what was touched without need: cell by cell, and for small tables also two for one."""
    table = table.copy()

    def fits(candidate: Ints) -> bool:
        return moves.allows(candidate) and worst(candidate, contrasts) <= limit + _EDGE

    better = True
    while better:
        better = False
        touched = [tuple(at) for at in np.argwhere(table != moves.have).tolist()]
        for place in touched:
            back = int(moves.have[place] - table[place])
            while back:
                candidate = table.copy()
                candidate[place] += back
                if fits(candidate):
                    table, better = candidate, True
                    break
                back = int(back / 2)
        if not better and moves.cost(table) <= _SMALL and moves.have.size <= _SMALL:
            exchanged = _exchanged(moves, table, fits)
            if exchanged is not None:
                table, better = exchanged, True
    return table


_SMALL = 40


def _exchanged(moves: Moves, table: Ints, fits: Any) -> Ints | None:
    """A cheaper table one exchange away: up to three rows of two cells other than they are."""
    places = [tuple(at) for at in np.argwhere(moves.have > 0).tolist()]
    steps = [step for step in range(-3, 4) if step]
    cost = moves.cost(table)
    for at, first in enumerate(places):
        for second in places[at + 1 :]:
            for one in steps:
                for other in steps:
                    candidate = table.copy()
                    candidate[first] += one
                    candidate[second] += other
                    if moves.cost(candidate) < cost and fits(candidate):
                        return candidate
    return None
