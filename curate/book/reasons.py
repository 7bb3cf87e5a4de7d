"""Why a row was dropped, repeated or weighted: the cell it stands in, in words that ledger and report share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from ..edits import Ints, distinct
from ..selection.tables import Table, tabulate
from ..state import State
from ..units import Codes, Floats, Pattern, Units

LABEL_GROUPS = "label × groups"


def cell_name(label: str | None, pattern: Pattern) -> str:
    """A cell in words.

    Examples
    --------
    >>> cell_name("1", ("gay", "muslim")), cell_name("0", ())
    ('1 × gay + muslim', '0 × no group')
    """
    return f"{'no label' if label is None else label} × {group_name(pattern)}"


def group_name(pattern: Pattern) -> str:
    """A set of groups in words."""
    return " + ".join(pattern) or "no group"


class Reasons:
    """Names of cells on the axes of a plan's steps.

    Parameters
    ----------
    state : State, or what was decided about a part, or None
        Whose cells are named: ``cell_of(position)`` and ``names_of(index)`` are asked for.
    placebo : bool
        A placebo's changes have no other reason.
    """

    def __init__(self, state: Any, *, placebo: bool) -> None:
        self._state = state
        self._placebo = placebo
        self._names: dict[int, list[str]] = {}

    def dropped(self, position: Ints, step: Ints) -> Any:
        """Why rows of the data were dropped, from their numbers and that of the step (from 1)."""
        return self._of(self._state.cell_of(position), step)

    def copied(self, units: Units, step: Ints) -> Any:
        """Why copies were made: of a repeated row its cell; one for the sake of its edits is "augmented"."""
        if not units.variant.any():
            return self._of(units.cell, step)
        reasons = np.where(units.repeat > 0, "repeated", "augmented").astype(object)
        again = np.flatnonzero((units.repeat > 0) & (units.variant == 0))
        if len(again):
            named = self._of(units.cell[again], step[again])
            reasons[again] = named if isinstance(named, str) else named.to_pylist()
        return pa.array(reasons, pa.string())

    def weighted(self, units: Units, steps: list[int]) -> Any:
        """Why units have their weights, from the indices of the weighting steps."""
        if self._placebo:
            return "placebo"
        named = [self._of_step(index) for index in steps]
        names = ["; ".join(parts) for parts in zip(*named, strict=True)]
        return pa.array(names, pa.string()).take(pa.array(units.cell))

    def _of(self, cell: Codes, step: Ints) -> Any:
        """The names of cells on the axes of the steps with these numbers."""
        if self._placebo:
            return "placebo"
        known: list[str] = []
        at = np.zeros(len(cell), np.int64)
        for number in distinct(step).tolist():
            mine = step == number
            at[mine] = len(known) + cell[mine]
            known += self._of_step(number - 1)
        return pa.array(known, pa.string()).take(pa.array(at))

    def _of_step(self, index: int) -> list[str]:
        if index not in self._names:
            self._names[index] = self._state.names_of(index)
        return self._names[index]


def names_of_cells(state: State, index: int) -> list[str]:
    """The name of each cell on the axis of a step."""
    spec = state.changer.resolved.plan.step[index].axis
    table = tabulate(state.cells, state.prepared.axes[spec])
    return [
        cell_name(None if label < 0 else table.labels[label], table.patterns[pattern])
        for label, pattern in zip(table.label.tolist(), table.pattern.tolist(), strict=True)
    ]


def weight_cells(state: State, index: int) -> list[dict[str, Any]]:
    """The arithmetic of a weighting step, cell by cell.

    Returns
    -------
    list of dict
        ``label``, ``group`` (the whole set), ``rows``, the weighted shares of the label, of the groups and of both
        together before the step, and the mean ``factor``. Empty for a placebo, whose weights are dealt out.
    """
    later = [state.factors[at][1] for at in sorted(state.factors) if at >= index]
    if not later or any(len(own) != state.units.n for own in later):
        return []
    table = tabulate(state.cells, state.prepared.axes[state.changer.resolved.plan.step[index].axis])
    after = state.units.weight
    own = later[0]
    before = after.copy()
    for factors in later:
        before = np.divide(before, factors, out=np.zeros_like(before), where=factors > 0)
    rows = table.count(state.units)
    mass, raised = _sums(table, state, before), _sums(table, state, before * own)
    total = mass.sum()
    if not total:
        return []
    of_label, of_group = mass.sum(axis=1) / total, mass.sum(axis=0) / total
    return [
        {
            "label": table.labels[y],
            "group": group_name(table.patterns[p]),
            "rows": int(rows[y, p]),
            "share_label": float(of_label[y]),
            "share_groups": float(of_group[p]),
            "share_both": float(mass[y, p] / total),
            "factor": float(raised[y, p] / mass[y, p]),
        }
        for y, p in np.argwhere(mass > 0).tolist()
    ]


def _sums(table: Table, state: State, values: Floats) -> Floats:
    return table.mass(state.units.weighted(values))
