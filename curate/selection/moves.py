"""Tables of cells, what may be done to them, and what ratios or rates they shall have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ...audit.findings import MINIMUM_ROWS
from ...audit.intervals import SPARSE

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

EDGE = 1e-9
"""Beyond a limit by less than this is rounding."""

MOST_REPEATED = 100
"""No cell gains more rows than this times the table, which is as good as without bound."""


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
        a, n, b, m = np.maximum(sums, 0)  # moves that are not allowed are weighed too
        if self.rate is None:
            off = np.abs(np.log((a + 0.5) / (n + 0.5)) - np.log((b + 0.5) / (m + 0.5)))
        else:
            off = np.abs(a - self.rate * n) + np.where(n < 1, 1.0, 0.0)  # a group is never dropped altogether
        result: Floats = np.maximum(off - self.limit - EDGE, 0)
        return result

    def met(self, table: Ints) -> bool:
        """Whether a table of whole numbers is so."""
        return not self.excess(self.sums @ table.reshape(-1)).any()

    def rows(self, at: Floats) -> tuple[Floats, Floats]:
        """Coefficients and upper bounds of linear constraints, exact at and near a table."""
        _, n, b, m = self.sums @ at.reshape(-1)
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


def worst(table: Any, contrasts: Sequence[Contrast]) -> float:
    """The largest absolute log ratio of a table."""
    return max((abs(contrast.log_ratio(table)) for contrast in contrasts), default=0.0)


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
