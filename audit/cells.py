"""One axis of a tally as arrays: what the measures compute on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .intersections import Combinations
from .intervals import SPARSE, Floats, kish
from .tally import UNIT, AxisNote, Cell, CellKey, Pattern, Tally

if TYPE_CHECKING:
    from ..data.axes import Axis

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

    def effective_of(self, whole: Counts) -> Floats:
        """What the rows of `whole` are worth for the share that these are of it."""
        few = np.minimum(self.rows, whole.rows - self.rows)
        return kish_of_rate(self.w, self.w2, whole.w, whole.w2, few)

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


@dataclass(frozen=True)
class AxisCells:
    """Counts of one axis by label and set of groups.

    Attributes
    ----------
    axis : str
    note : AxisNote
        With the combinations of an intersection that have no row and are reported nevertheless.
    groups : tuple of str
        A lexicon's in its order, others sorted; of an intersection those that occur.
    labels : tuple of str
        Sorted.
    patterns : tuple of Pattern
        Sets of groups, sorted.
    has : bool array of shape (groups, patterns)
    labelled : Counts of shape (labels, patterns)
        Rows with a label, of any length.
    unlabelled : Counts of shape (patterns,)
    edges : tuple of int
        Upper edges of the length buckets, in characters.
    table : mapping of (label, groups of the row, length bucket) to Cell
        What all of it is made from.
    combinations : Combinations or None
        Of an intersection: what can occur.
    """

    axis: str
    note: AxisNote
    groups: tuple[str, ...]
    labels: tuple[str, ...]
    patterns: tuple[Pattern, ...]
    has: Bools
    labelled: Counts
    unlabelled: Counts
    edges: tuple[int, ...]
    table: Mapping[CellKey, Cell]
    combinations: Combinations | None = None

    @staticmethod
    def of(tally: Tally, axis: str, axes: Sequence[Axis] = ()) -> AxisCells:
        """Arrange the cells of an axis.

        Parameters
        ----------
        tally : Tally
            The counts.
        axis : str
            One of its axes.
        axes : sequence of Axis, optional
            Those that were counted: they know which groups an intersection can have.
        """
        note = tally.axes[axis]
        table = tally.cells[axis]
        labels = tuple(sorted({key[0] for key in table if key[0] is not None}))
        patterns = tuple(sorted({key[1] for key in table}))
        groups = tuple(note.groups) if note.kind == "lexicon" else tuple(sorted(note.groups))
        combinations = None
        if note.kind == "intersection":
            combinations = Combinations.of(tally, axis, axes)
            note = replace(note, groups={**note.groups, **combinations.absent})
        whole = _arranged(table, labels, patterns)
        members = [frozenset(pattern) for pattern in patterns]
        has = np.array([[group in member for member in members] for group in groups], dtype=bool)
        return AxisCells(
            axis,
            note,
            groups,
            labels,
            patterns,
            has.reshape(len(groups), len(patterns)),
            Counts(whole.rows[:-1], whole.w[:-1], whole.w2[:-1]),
            Counts(whole.rows[-1], whole.w[-1], whole.w2[-1]),
            tally.edges,
            table,
            combinations,
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
        """Which patterns hold the group; none where it never occurs."""
        if group not in self.groups:
            return np.zeros(len(self.patterns), dtype=np.bool_)
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

    def by_length(self) -> Iterator[tuple[str, Counts]]:
        """Rows with a label, length bucket by length bucket: its range in characters, and what `labelled` is of all."""
        parts: list[dict[CellKey, Cell]] = [{} for _ in range(len(self.edges) + 1)]
        for key, cell in self.table.items():
            if key[0] is not None:
                parts[key[2]][key] = cell
        for name, part in zip(ranges(self.edges), parts, strict=True):
            counts = _arranged(part, self.labels, self.patterns)
            yield name, Counts(counts.rows[:-1], counts.w[:-1], counts.w2[:-1])


def kish_of_rate(
    w: npt.ArrayLike, w2: npt.ArrayLike, whole: npt.ArrayLike, whole2: npt.ArrayLike, few: npt.ArrayLike
) -> Floats:
    """Effective number of rows for a weighted rate: p(1-p) over the variance that the rate really has.

    Parameters
    ----------
    w, w2 : array
        Sums of the weights and of their squares of the rows with the label.
    whole, whole2 : array
        The same of all rows.
    few : array
        Rows with the label or without it, whichever are fewer, as counted.

    Notes
    -----
    Var(p) = ((1-p)² w2 + p² (whole2 - w2)) / whole² (linearised ratio). Where weights have nothing to do with the label
    this is Kish's number, which is taken as it is where both shares are the same or the rate is 0 or 1. Weights that
    go with the label make it less or more: rare events of weight 10 are few, whatever they weigh. Of fewer than five
    rows the squares are no guide to what the weights of others would be, and Kish's number is an upper bound.

    Examples
    --------
    >>> kish_of_rate([10.0, 200.0], [10.0, 2000.0], [100.0, 1000.0], [100.0, 2653.0], [10, 20]).round(1).tolist()
    [100.0, 122.5]
    """
    w, w2, whole, whole2, few = np.broadcast_arrays(
        *(np.asarray(value, dtype=np.float64) for value in (w, w2, whole, whole2, few))
    )
    plain = kish(whole, whole2)
    total = np.where(whole > 0, whole, 1.0)
    p = w / total
    variance = ((1 - p) ** 2 * w2 + p**2 * np.maximum(whole2 - w2, 0)) / total**2
    # Exactly Kish's where weights are alike on both sides: without weights nothing may differ in the last digit either.
    alike = np.isclose(w2 * whole, whole2 * w, rtol=1e-9, atol=0) | (p <= 0) | (p >= 1) | (variance <= 0)
    own = np.where(alike, plain, p * (1 - p) / np.where(alike, 1.0, variance))
    result: Floats = np.where(few < SPARSE, np.minimum(own, plain), own)
    return result


def ranges(edges: Sequence[int]) -> list[str]:
    """The length buckets in words.

    Examples
    --------
    >>> ranges((82, 159))
    ['0-81', '82-158', '159+']
    """
    starts = [0, *edges]
    return [f"{low}-{high - 1}" for low, high in zip(starts, edges, strict=False)] + [f"{starts[-1]}+"]


def _arranged(table: Mapping[CellKey, Cell], labels: Sequence[str], patterns: Sequence[Pattern]) -> Counts:
    """Counts of shape (labels and none, patterns), length buckets added up."""
    place: dict[str | None, int] = {label: index for index, label in enumerate(labels)}
    place[None] = len(labels)
    column = {pattern: index for index, pattern in enumerate(patterns)}
    shape = (len(labels) + 1, len(patterns))
    rows = np.zeros(shape, dtype=np.int64)
    # Whole numbers until the end, so that the order of the cells cannot matter.
    w, w2 = np.zeros(shape, dtype=object), np.zeros(shape, dtype=object)
    for (label, pattern, _), cell in table.items():
        at = place[label], column[pattern]
        rows[at] += cell.rows
        w[at] += cell.w
        w2[at] += cell.w2
    return Counts(rows, w.astype(np.float64) / UNIT, w2.astype(np.float64) / UNIT)
