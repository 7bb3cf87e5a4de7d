"""The fewest rows to drop or repeat until rates are as near as asked for: small integer programmes over cells.

Rows of a cell are alike, so what is decided is a whole number a cell; a set of a row's groups is one pattern, so groups
may overlap. A programme is solved by HiGHS (in scipy); what it gives is checked on the whole numbers themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..audit.findings import MINIMUM_ROWS
from ..audit.intervals import SPARSE

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


_ROUNDS = 10
_HALVINGS = 6
_EDGE = 1e-9
# Of the limit, tried one after the other.
_NARROWER = (1.0, 0.97, 0.9, 0.75)
_MOST_REPAIRS = 500
# Cells, and rows touched, of tables in which exchanges are tried.
_SMALL = 40
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


@dataclass(frozen=True)
class Goal:
    """What a table shall be like: every ratio within a limit, or every group's share of a label at a rate.

    Attributes
    ----------
    contrasts : sequence of Contrast
    limit : float
        Largest absolute log ratio; with a rate, rows that each group may be off by.
    rate : float or None
    shape : (int, int)
        Labels and patterns.
    """

    contrasts: Sequence[Contrast]
    limit: float
    rate: float | None
    shape: tuple[int, ...]

    @cached_property
    def sums(self) -> Floats:
        """What each cell adds to the events and rows of either side: 4 × contrasts × cells."""
        sums = np.zeros((4, len(self.contrasts), *self.shape))
        for k, contrast in enumerate(self.contrasts):
            sums[0, k, contrast.label, contrast.inside] = 1
            sums[1, k][:, contrast.inside] = 1
            sums[2, k, contrast.label, contrast.outside] = 1
            sums[3, k][:, contrast.outside] = 1
        return sums.reshape(4, len(self.contrasts), -1)

    def excess(self, sums: Floats) -> Floats:
        """How far each is beyond what is allowed, 0 where it is not; `sums` is 4 × contrasts (× more)."""
        a, n, b, m = sums
        if self.rate is None:
            off = np.abs(np.log((a + 0.5) / (n + 0.5)) - np.log((b + 0.5) / (m + 0.5)))
        else:
            off = np.abs(a - self.rate * n) + np.where(n < 1, 1.0, 0.0)  # a group is never dropped altogether
        result: Floats = np.maximum(off - self.limit - _EDGE, 0)
        return result

    def met(self, table: Ints) -> bool:
        """Whether a table of whole numbers is so."""
        return not self.excess(self.sums @ table.reshape(-1)).any()

    def rows(self, at: Floats) -> tuple[Floats, Floats]:
        """Coefficients and upper bounds of linear constraints, exact at and near a table."""
        a, n, b, m = self.sums @ at.reshape(-1)
        of_a, of_n, of_b, of_m = self.sums
        if self.rate is not None:
            off = of_a - self.rate * of_n
            some = np.full(len(off), self.limit)
            return np.vstack([off, -off, -of_n]), np.concatenate([some, some, -np.ones(len(off))])
        n, b, m = n + 0.5, b + 0.5, m + 0.5
        coef, bound = [], []
        for side in (1.0, -1.0):
            # A − k N B/M with B/M linear around where it stands: exact in A and N.
            k = np.exp(side * self.limit)
            line = of_a - (k * b / m)[:, None] * of_n
            line = line - (k * n / m)[:, None] * of_b + (k * n * b / m**2)[:, None] * of_m
            rest = 0.5 - 0.5 * k * b / m - 0.5 * k * n / m + 0.5 * k * n * b / m**2
            coef.append(side * line)
            bound.append(-side * rest)
        return np.vstack(coef), np.concatenate(bound)


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
    One ratio without labels held: the very best table, by trying all. Else ``A/N ≤ eᴸ B/M`` is linear in A and N for a
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
    if not contrasts or worst(have, contrasts) <= limit + _EDGE:
        return have.copy()
    moves = Moves.of(have, method, contrasts, held=held)
    if len(contrasts) == 1 and not held:
        return _of_one(moves, contrasts[0], limit)
    return _nearest_to(moves, Goal(contrasts, limit, None, have.shape))


def nearest(have: Ints, contrasts: Sequence[Contrast], *, method: str, held: bool) -> tuple[float, list[str]]:
    """The smallest limit that was found to be reachable, rounded up to three digits, and which ratios are at it."""
    best, value = have, worst(have, contrasts)
    low, high = 0.0, value
    for _ in range(_HALVINGS):
        if high - low < 2e-3:
            break
        middle = (low + high) / 2
        found = within(have, contrasts, middle, method=method, held=held)
        if found is None:
            low = middle
        else:
            best, value = found, worst(found, contrasts)
            high = min(middle, value)
    tight = [c.name for c in contrasts if abs(c.log_ratio(best)) >= value - 1e-3]
    return float(np.ceil(value * 1000) / 1000), tight


def worst(table: Any, contrasts: Sequence[Contrast]) -> float:
    """The largest absolute log ratio of a table."""
    return max((abs(contrast.log_ratio(table)) for contrast in contrasts), default=0.0)


def at_rate(have: Ints, member: Bools, label: int, rate: float, *, method: str, held: bool) -> Ints | None:
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
    return _nearest_to(moves, Goal(contrasts, 0.5, rate, have.shape))


# -- solving -------------------------------------------------------------------------------------------------------


def _nearest_to(moves: Moves, goal: Goal) -> Ints | None:
    """The cheapest table that is found from the rows as they are, or else from a table without association."""
    have = moves.have.astype(np.float64)
    even = have.sum(axis=1, keepdims=True) * have.sum(axis=0, keepdims=True) / max(have.sum(), 1)
    for start in (have, even):
        for share in _NARROWER:
            # Whole numbers are found more easily a little inside.
            at = _settled(moves, replace(goal, limit=goal.limit * share), start)
            if at is None:
                break
            found = _repaired(moves, goal, at)
            if found is not None:
                return _polished(moves, goal, found)
        if goal.rate is not None:
            break
    return None


def _settled(moves: Moves, goal: Goal, at: Floats) -> Floats | None:
    """Where the linear programme stays when it is set up where it stands."""
    for turn in range(_ROUNDS):
        found = _solve(moves, *goal.rows(at))
        if found is None:
            return None
        moved = float(np.abs(found - at).max())
        at = found if turn < 3 or goal.rate is not None else (at + found) / 2
        if moved < 1e-2 or goal.rate is not None:
            break
    return found


def _solve(moves: Moves, coef: Floats, bound: Floats) -> Floats | None:
    """Fewest rows touched under linear constraints, in any numbers."""
    import scipy.sparse as sparse
    from scipy.optimize import linprog

    have = moves.have.reshape(-1)
    cells = np.flatnonzero(have)
    n = len(cells)
    # How many rows each cell loses, then how many it gains.
    lost = (have - moves.floor.reshape(-1))[cells] * int(moves.drop)
    gained = np.full(n, _MOST_REPEATED * int(have.sum()) * int(moves.repeat))
    matrix = coef[:, cells]
    kept = None
    if moves.held:
        label = cells // moves.have.shape[1]
        each = np.array([(label == code).astype(np.float64) for code in np.unique(label)])
        kept = sparse.csr_matrix(np.hstack([-each, each]))
    found = linprog(
        # Hardly dearer from cell to cell, so that of equally good tables it is always the same one.
        1 + 1e-5 * np.tile(np.arange(n) / n, 2),
        A_ub=sparse.csr_matrix(np.hstack([-matrix, matrix])),
        b_ub=bound - matrix @ have[cells],
        A_eq=kept,
        b_eq=None if kept is None else np.zeros(kept.shape[0]),
        bounds=np.column_stack([np.zeros(2 * n), np.concatenate([lost, gained])]),
        method="highs",
    ).x
    if found is None:
        return None
    table = have.astype(np.float64)
    table[cells] += found[n:] - found[:n]
    result: Floats = table.reshape(moves.have.shape)
    return result


def _repaired(moves: Moves, goal: Goal, at: Floats) -> Ints | None:
    """Whole numbers beside a solution, moved row by row, each time the row that helps most, until the goal is met."""
    table = _rounded(moves, at)
    if table is None:
        return None
    flat, have = table.reshape(-1), moves.have.reshape(-1)
    floor = moves.floor.reshape(-1)
    partner = _partners(moves, goal) if moves.held else None
    sums = goal.sums @ flat
    total = float(goal.excess(sums).sum())
    for _ in range(_MOST_REPAIRS):
        if total <= 0:
            return table
        best: tuple[float, int, int] | None = None
        for sign in (1, -1):
            after = flat + sign
            allowed = (have > 0) & (after >= (floor if moves.drop else have))
            if not moves.repeat:
                allowed &= after <= have
            change = sign * goal.sums
            if partner is not None:
                change = change - sign * goal.sums[:, :, partner]
                allowed &= (flat[partner] - sign >= floor[partner]) & (partner != np.arange(len(flat)))
            beyond = goal.excess(sums[:, :, None] + change).sum(axis=0)
            cost = np.abs(after - have) - np.abs(flat - have)
            score = np.where(allowed, beyond + 1e-7 * cost, np.inf)
            cell = int(np.argmin(score))
            if best is None or score[cell] < best[0]:
                best = (float(score[cell]), cell, sign)
        assert best is not None
        score_of, cell, sign = best
        if score_of > total - 1e-6:
            return None
        flat[cell] += sign
        if partner is not None:
            flat[partner[cell]] -= sign
        sums = goal.sums @ flat
        total = float(goal.excess(sums).sum())
    return None


def _rounded(moves: Moves, at: Floats) -> Ints | None:
    """Nearest whole numbers; with labels held, by largest remainders in each label."""
    if not moves.held:
        return np.rint(at).astype(np.int64)
    table = np.floor(at + 1e-7).astype(np.int64)
    for row, size in enumerate(moves.have.sum(axis=1).tolist()):
        lacking = size - int(table[row].sum())
        rest = np.where(moves.have[row] > 0, at[row] - table[row], -1.0)
        if lacking < 0 or lacking > int((rest >= 0).sum()):
            return None
        table[row, np.argsort(-rest, kind="stable")[:lacking]] += 1
    return table


def _partners(moves: Moves, goal: Goal) -> Ints:
    """For each cell the cell of its label that makes up for a row: the largest on the fewest inner sides."""
    have = moves.have
    inner = goal.sums[1].sum(axis=0).reshape(have.shape)
    best = [
        int(np.lexsort((-row, inside))[0]) for row, inside in zip(have, np.where(have > 0, inner, np.inf), strict=True)
    ]
    width = have.shape[1]
    return np.repeat(np.arange(len(have)) * width + np.array(best, np.int64), width)


def _polished(moves: Moves, goal: Goal, table: Ints) -> Ints:
    """Take back what was touched without need, cell by cell; in small tables also exchange some rows for fewer."""
    table = table.copy()

    def fits(candidate: Ints) -> bool:
        return moves.allows(candidate) and goal.met(candidate)

    better = True
    while better:
        better = False
        for place in [tuple(at) for at in np.argwhere(table != moves.have).tolist()] if not moves.held else []:
            back = int(moves.have[place] - table[place])
            while back:
                candidate = table.copy()
                candidate[place] += back
                if fits(candidate):
                    table, better = candidate, True
                    break
                back = int(back / 2)
        if not better and moves.have.size <= _SMALL and moves.cost(table) <= _SMALL:
            exchanged = _exchanged(moves, table, fits)
            if exchanged is not None:
                table, better = exchanged, True
    return table


def _exchanged(moves: Moves, table: Ints, fits: Any) -> Ints | None:
    """A cheaper table one exchange away: up to three rows of two cells other than they are, labels held if need be."""
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
