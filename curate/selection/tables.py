"""Cells folded into what a step counts: labels × patterns of an axis's groups, groups × length buckets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...data.axes import Axis
from ...data.scan import BUCKET_EDGES
from ..edits import Bools, Ints
from ..units import Cells, Floats, Pattern, Units
from .reweight import cramers_v


@dataclass(frozen=True, slots=True)
class Table:
    """How cells fold into labels × patterns of an axis's status groups.

    Attributes
    ----------
    labels : list of str
        Sorted.
    patterns : list of Pattern
        Sorted.
    label, pattern : int64 arrays
        For each cell an index into them; −1 for rows without a label.
    bucket : int64 array
        Of each cell.
    buckets : int
        How many there can be.
    """

    labels: list[str]
    patterns: list[Pattern]
    label: Ints
    pattern: Ints
    bucket: Ints
    buckets: int

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of labels and of patterns."""
        return len(self.labels), len(self.patterns)

    def flat(self, cell: Any) -> Ints:
        """For the given cells the place in the table, row by row; −1 for rows without a label."""
        flat: Ints = np.where(self.label >= 0, self.label * len(self.patterns) + self.pattern, -1)[cell]
        return flat

    def flat3(self, cell: Any) -> Ints:
        """The same in a table of labels × patterns × length buckets."""
        flat = self.flat(np.arange(len(self.label)))
        place: Ints = np.where(flat >= 0, flat * self.buckets + self.bucket, -1)[cell]
        return place

    def counts3(self, units: Units) -> Ints:
        """Units as labels × patterns × length buckets."""
        flat = self.flat3(units.cell)
        size = self.shape[0] * self.shape[1] * self.buckets
        counts: Ints = np.bincount(flat[flat >= 0], minlength=size).reshape(*self.shape, self.buckets)
        return counts

    def mass3(self, units: Units) -> Floats:
        """Sums of the units' weights as labels × patterns × length buckets."""
        flat = self.flat3(units.cell)
        inside = flat >= 0
        size = self.shape[0] * self.shape[1] * self.buckets
        mass = np.bincount(flat[inside], weights=units.weight[inside], minlength=size).astype(np.float64)
        return mass.reshape(*self.shape, self.buckets)

    def count(self, units: Units) -> Ints:
        """Units in each place of the table."""
        counts: Ints = self._folded(units.count_of(len(self.label)))
        return counts

    def mass(self, units: Units) -> Floats:
        """Sum of the units' weights in each place of the table."""
        mass: Floats = self._folded(units.mass_of(len(self.label)))
        return mass

    def _folded(self, of_cell: Any) -> Any:
        """Numbers of cells summed up in the places of the table."""
        flat = self.flat(slice(None))
        inside = np.flatnonzero(flat >= 0)
        # By size: the numbers that cells happen to have must not show in the rounding.
        inside = inside[np.lexsort((of_cell[inside], flat[inside]))]
        table = np.zeros(self.shape[0] * self.shape[1], of_cell.dtype)
        np.add.at(table, flat[inside], of_cell[inside])
        return table.reshape(self.shape)


def tabulate(cells: Cells, axis: Axis) -> Table:
    """Fold cells into labels × patterns; groups that set no status do not count."""
    status: dict[str, bool] = {}

    def reduced(pattern: Pattern) -> Pattern:
        for name in pattern:
            if name not in status:
                status[name] = axis.info(name).status
        return tuple(name for name in pattern if status[name])

    of_pattern = [reduced(pattern) for pattern in cells.patterns[axis.name]]
    patterns = sorted(set(of_pattern))
    labels = sorted(label for label in cells.labels if label is not None)
    at = {label: code for code, label in enumerate(labels)}
    place = {pattern: code for code, pattern in enumerate(patterns)}
    of_label = np.array([-1 if name is None else at[name] for name in cells.labels], np.int64)
    return Table(
        labels,
        patterns,
        of_label[cells.label_of()],
        np.array([place[pattern] for pattern in of_pattern], np.int64)[cells.pattern_of(axis.name)],
        cells.bucket_of().astype(np.int64),
        len(BUCKET_EDGES) + 1,
    )


def holds(patterns: Sequence[Pattern], groups: Sequence[str]) -> Bools:
    """Which patterns (rows) hold which groups (columns)."""
    table = [[group in pattern for group in groups] for pattern in patterns]
    return np.array(table, np.bool_).reshape(len(patterns), len(groups))


def by_bucket(counts: Ints, held: Bools, bucket: Any, n: int) -> Ints:
    """Counts of cells as groups × length buckets."""
    result = np.zeros((held.shape[1], n), np.int64)
    for code in range(n):
        result[:, code] = counts[bucket == code] @ held[bucket == code]
    return result


def effect(cells: Cells, axis: Axis, before: Units, after: Units) -> dict[str, Any]:
    """What copies, selection and weights do to the association of an axis with the label, from the cells alone.

    Returns
    -------
    dict
        ``cramers_v``: {before, after}, uncorrected and over whole patterns, weighted; ``groups``: for each group and
        label, rows and the share of the group's weight that has the label, before and after.
    """
    table = tabulate(cells, axis)
    if not table.labels:
        return {}
    rows = (table.count(before), table.count(after))
    mass = (table.mass(before), table.mass(after))
    names = sorted({name for pattern in table.patterns for name in pattern})
    held = holds(table.patterns, names)
    groups: list[dict[str, Any]] = []
    of_group = [part @ held for part in (*rows, *mass)]
    for column, name in enumerate(names):
        total = [part[:, column].sum() for part in of_group[2:]]
        for row, label in enumerate(table.labels):
            groups.append({
                "group": name,
                "label": label,
                "rows": {"before": int(of_group[0][row, column]), "after": int(of_group[1][row, column])},
                "share": {
                    when: float(part[row, column] / whole) if whole else None
                    for when, part, whole in zip(("before", "after"), of_group[2:], total, strict=True)
                },
            })  # fmt: skip
    return {"cramers_v": {"before": cramers_v(mass[0]), "after": cramers_v(mass[1])}, "groups": groups}
