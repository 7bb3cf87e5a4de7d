"""One axis of a tally as arrays: what the measures compute on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .intervals import Floats, kish
from .tally import UNIT, AxisNote, Pattern, Tally

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows, weights and effective rows of some cells, arrays of one shape.

    Attributes
    ----------
    rows : int64 array
    w, w2 : float64 array
        Sums of the weights and of their squares.
    """

    rows: Ints
    w: Floats
    w2: Floats

    @property
    def effective(self) -> Floats:
        """Kish's effective rows; without weights the rows."""
        return kish(self.w, self.w2)

    def sum(self, axis: int) -> Counts:
        """Add up along one dimension."""
        return Counts(self.rows.sum(axis=axis), self.w.sum(axis=axis), self.w2.sum(axis=axis))

    def over(self, chosen: Bools) -> Counts:
        """Add up over sets of patterns.

        Parameters
        ----------
        chosen : bool array of shape (sets, patterns)
            Which patterns belong to each set.

        Returns
        -------
        Counts of shape (sets, labels)
        """
        sets = chosen.T.astype(np.int64)
        weights = chosen.T.astype(np.float64)
        return Counts((self.rows @ sets).T, (self.w @ weights).T, (self.w2 @ weights).T)


@dataclass(frozen=True, slots=True)
class AxisCells:
    """Counts of one axis by label and set of groups, length buckets added up.

    Attributes
    ----------
    axis : str
    note : AxisNote
    groups : tuple of str
        A lexicon's in its order, others sorted.
    labels : tuple of str
        Sorted.
    patterns : tuple of Pattern
        Sets of groups, sorted.
    has : bool array of shape (groups, patterns)
    labelled : Counts of shape (labels, patterns)
        Rows with a label.
    unlabelled : Counts of shape (patterns,)
    """

    axis: str
    note: AxisNote
    groups: tuple[str, ...]
    labels: tuple[str, ...]
    patterns: tuple[Pattern, ...]
    has: Bools
    labelled: Counts
    unlabelled: Counts

    @staticmethod
    def of(tally: Tally, axis: str) -> AxisCells:
        """Arrange the cells of an axis."""
        note = tally.axes[axis]
        table = tally.cells[axis]
        labels = tuple(sorted({key[0] for key in table if key[0] is not None}))
        patterns = tuple(sorted({key[1] for key in table}))
        groups = tuple(note.groups) if note.kind == "lexicon" else tuple(sorted(note.groups))
        place = {label: index for index, label in enumerate(labels)}
        column = {pattern: index for index, pattern in enumerate(patterns)}
        shape = (len(labels) + 1, len(patterns))
        rows = np.zeros(shape, dtype=np.int64)
        # Whole numbers until the end, so that the order of the cells cannot matter.
        w, w2 = np.zeros(shape, dtype=object), np.zeros(shape, dtype=object)
        for (label, pattern, _), cell in table.items():
            at = len(labels) if label is None else place[label], column[pattern]
            rows[at] += cell.rows
            w[at] += cell.w
            w2[at] += cell.w2
        weight, square = w.astype(np.float64) / UNIT, w2.astype(np.float64) / UNIT
        members = [frozenset(pattern) for pattern in patterns]
        has = np.array([[group in member for member in members] for group in groups], dtype=bool)
        return AxisCells(
            axis,
            note,
            groups,
            labels,
            patterns,
            has.reshape(len(groups), len(patterns)),
            Counts(rows[:-1], weight[:-1], square[:-1]),
            Counts(rows[-1], weight[-1], square[-1]),
        )

    @property
    def all(self) -> Counts:
        """All rows by pattern, labelled or not."""
        one, other = self.labelled.sum(0), self.unlabelled
        return Counts(one.rows + other.rows, one.w + other.w, one.w2 + other.w2)

    @property
    def status_groups(self) -> tuple[str, ...]:
        """Groups that may pass or fail: not those that are only reported, nor ambiguous ones unless asked for."""
        return tuple(group for group in self.groups if self.judged(group))

    def judged(self, group: str) -> bool:
        """Whether findings about a group may pass or fail."""
        return self.note.groups[group].status

    @property
    def pair(self) -> tuple[str, str] | None:
        """The two groups of an axis that contrasts exactly two, such as she and he; an intersection contrasts none."""
        groups = () if self.note.kind == "intersection" else self.status_groups
        return (groups[0], groups[1]) if len(groups) == 2 else None

    def member(self, group: str) -> Bools:
        """Which patterns hold the group."""
        result: Bools = self.has[self.groups.index(group)]
        return result

    def contrast(self) -> Bools:
        """Patterns of the first group of the pair without the second, and of the second without the first."""
        if self.pair is None:
            raise ValueError(f"axis {self.axis} contrasts no two groups")
        first, second = (self.member(group) for group in self.pair)
        return np.stack([first & ~second, second & ~first])

    def chosen_labels(self, positive: str | None) -> Sequence[int]:
        """Labels to report: of a task with two labels the positive one says it all."""
        if positive in self.labels and len(self.labels) == 2:
            return [self.labels.index(positive)]
        return range(len(self.labels))
