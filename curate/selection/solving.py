"""Small integer programmes over cells: linear programmes by HiGHS (in scipy), made whole and checked row by row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .moves import EDGE, MOST_REPEATED, Bools, Contrast, Floats, Goal, Ints, Moves, shared

_ROUNDS = 10
# Of the limit, tried one after the other.
_NARROWER = (1.0, 0.97, 0.9, 0.75)
_MOST_REPAIRS = 500
# Cells, and rows touched, of tables in which exchanges are tried.
_SMALL = 40
# Numbers of rows that are tried on a side.
_MOST_LISTED = 4_000_000


def nearest_to(moves: Moves, goal: Goal) -> Ints | None:
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
    gained = np.full(n, MOST_REPEATED * int(have.sum()) * int(moves.repeat))
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


def best_of_one(moves: Moves, contrast: Contrast, limit: float) -> Ints | None:
    """A good table where there is one ratio, and the very best if it touches at most 40 rows.

    Each side's share moves towards the other's. With k rows to touch it moves the most when all are dropped or all are
    repeated, as far as there are rows to drop: it is a ratio of two lines in the number of drops. So every side is a
    list, and for each number on the one side the first on the other is looked for that brings them together. Where that
    number overshoots, tables that mix drops and repeats or move a share the other way may still fit: of these all are
    tried that touch at most 40 rows. So dearer tables may not be the best, and with a limit near 0 none may be found.
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
    at = np.searchsorted(np.maximum.accumulate(other), wanted - EDGE)
    best: tuple[int, int] | None = None
    for one in np.argsort(np.arange(len(at)) + at, kind="stable").tolist():
        two = int(at[one])
        if two == len(other):
            continue
        if best is not None and one + two >= sum(best):
            break
        if sign * (first.value[one] - second.value[two]) >= -limit - EDGE:
            best = (one, two)
    few = _of_few(moves, contrast, limit, _SMALL if best is None else min(sum(best) - 1, _SMALL))
    if few is not None or best is None:
        return few
    table = moves.have.copy()
    for side, number in zip(sides, best, strict=True):
        table = side.apply(table, number)
    return table


def _of_few(moves: Moves, contrast: Contrast, limit: float, most: int) -> Ints | None:
    """The table of fewest rows touched, at most so many, in which one ratio is within the limit: of all there are."""
    sides = [_every(moves, contrast.label, side, most) for side in (contrast.inside, contrast.outside)]
    if most < 0:
        return None
    one, other = (np.concatenate([value for value, _ in side]) for side in sides)
    if one.min() - other.max() > limit + EDGE or other.min() - one.max() > limit + EDGE:
        return None  # so few rows cannot bring them together
    for total in range(most + 1):
        for part in range(total + 1):
            (mine, first), (theirs, second) = sides[0][part], sides[1][total - part]
            if not len(mine) or not len(theirs):
                continue
            at = np.searchsorted(theirs, mine - limit - EDGE)
            near = np.abs(theirs[np.minimum(at, len(theirs) - 1)] - mine) <= limit + EDGE
            if near.any():
                k = int(np.argmax(near))
                table = moves.have.copy()
                for side, (events, rest) in zip(
                    (contrast.inside, contrast.outside), (first[k], second[at[k]]), strict=True
                ):
                    for cells, number in zip(_cells(moves, contrast.label, side), (events, rest), strict=True):
                        spare = np.where(cells, table - moves.floor, 0)
                        table += (
                            shared(int(number), np.where(cells, table, 0), capped=False)
                            if number > 0
                            else -shared(-int(number), spare)
                        )
                return table
    return None


def _cells(moves: Moves, label: int, side: Bools) -> tuple[Bools, Bools]:
    """The cells of a side with the label, and those without it."""
    events = np.zeros(moves.have.shape, np.bool_)
    events[label, side] = True
    rest = np.zeros(moves.have.shape, np.bool_)
    rest[:, side] = True
    return events, rest & ~events


def _every(moves: Moves, label: int, side: Bools, most: int) -> list[tuple[Floats, Ints]]:
    """For each number of rows touched on a side all its log shares, ascending, and what is added of either kind."""
    ranges = []
    for cells in _cells(moves, label, side):
        drop = min(most, int((moves.have - moves.floor)[cells].sum())) if moves.drop else 0
        ranges.append((-drop, most if moves.repeat and moves.have[cells].any() else 0))
    x, n = (int(moves.have[cells].sum()) for cells in ((label, side), (slice(None), side)))
    grid = np.stack(np.meshgrid(*(np.arange(low, high + 1) for low, high in ranges), indexing="ij"), axis=-1)
    pairs = grid.reshape(-1, 2)
    value = np.log((x + pairs[:, 0] + 0.5) / (n + pairs.sum(axis=1) + 0.5))
    cost = np.abs(pairs).sum(axis=1)
    found = []
    for total in range(most + 1):
        which = np.flatnonzero(cost == total)
        which = which[np.argsort(value[which], kind="stable")]
        found.append((value[which], pairs[which]))
    return found


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
        most = spare + (MOST_REPEATED * int(have.sum()) if moves.repeat and have[repeated].any() else 0)
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
