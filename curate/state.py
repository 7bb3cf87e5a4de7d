"""Where the steps of a plan stand: what they read, and the units they pass on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.hashing import Keys
from .changes import Changer
from .prepare import Census, Prepared
from .selection.topup import Pool
from .units import Cells, Codes, Floats, Ints, Units

Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Added:
    """Rows of a pool that a step adds.

    Attributes
    ----------
    step : int
        Index of the step.
    first : int
        Position of the pool's row 0 among all rows.
    pool : Pool
    label : str
        Of the added rows.
    reasons : dict of int to str
        By row of the pool.
    """

    step: int
    first: int
    pool: Pool
    label: str
    reasons: dict[int, str]


@dataclass(slots=True)
class State:
    """What the steps after the edits work on.

    Attributes
    ----------
    prepared : Prepared
    changer : Changer
        Makes the copies' texts; holds seed and placebo.
    positive : str or None
        The positive label.
    cells : Cells
        Of rows, copies and added rows.
    before : Units
        The rows of the data.
    hashes : uint64 array or None
        Of their texts, ascending.
    units : Units
        What is written as far as the steps done so far decide.
    added : list of Added
    dropped_by : int8 array
        For each row of the data 0, or the number (from 1) of the step that dropped it.
    reports : dict of int to dict
        By index of the step, its numbers.
    aimed : State or None
        For a placebo the state after the real steps: the numbers that it copies.
    factors : dict of int to (labels, factors)
        By index of a weighting step, label (as an index into the sorted labels) and factor of every unit.
    times : dict of int to (labels, times)
        The same of a step that drops and repeats: how often every unit is written.
    copied : dict of int to dict
        By index of a reweighting as copies, rows dropped and repeated.
    """

    prepared: Prepared
    changer: Changer
    positive: str | None
    cells: Cells
    before: Units
    hashes: Keys | None
    units: Units
    added: list[Added] = field(default_factory=list)
    dropped_by: npt.NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))
    reports: dict[int, Report] = field(default_factory=dict)
    aimed: State | None = None
    factors: dict[int, tuple[Ints, Floats]] = field(default_factory=dict)
    times: dict[int, tuple[Ints, Ints]] = field(default_factory=dict)
    copied: dict[int, Report] = field(default_factory=dict)

    @staticmethod
    def start(prepared: Prepared, changer: Changer, counted: Census, positive: str | None) -> State:
        """Before the first step: every row once."""
        return State(
            prepared,
            changer,
            positive,
            counted.cells.copy(),
            counted.units,
            counted.hashes,
            counted.units,
            dropped_by=np.zeros(counted.units.n, np.int8),
        )

    @property
    def seed(self) -> int:
        """Seed of every draw."""
        return self.changer.seed

    @property
    def placebo(self) -> bool:
        """Whether the steps' placebos run in their place."""
        return self.changer.placebo

    def pool(self) -> list[tuple[Added, Units]]:
        """The units that come of each pool."""
        units = self.units
        return [
            (added, units.take(np.flatnonzero((units.position >= self.before.n) & (units.variant == added.step + 1))))
            for added in self.added
        ]

    def join(self, more: Units) -> None:
        """Add units."""
        if more.n:
            self.units = Units.joined([self.units, more])

    def cell_of(self, position: Ints) -> Codes:
        """Cell of rows of the data."""
        return self.before.cell[position]

    def names_of(self, index: int) -> list[str]:
        """The name of each cell on the axis of a step."""
        from .book.reasons import names_of_cells

        return names_of_cells(self, index)
