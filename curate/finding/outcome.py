"""What selection and weights would leave, computed on the counts of cells: no row is drawn, none is written.

The cells are the joint ones of all axes, so a step on one axis is seen on the others too. How many rows a step keeps of
a place of its own table is exact; how these spread over the other axes is what proportion says, to the nearest row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ...audit.counting import notes
from ...audit.tally import UNIT, AxisNote, Cell, CellKey, GroupNote, Tally
from ...data.axes import Axis
from ...data.config import Plan, ResampleStep, ReweightStep
from ..edits import Ints
from ..prepare import Census, Prepared
from ..selection.tables import Table, tabulate
from ..units import Cells, Floats
from . import seams

_SAME = 1e-9
"""A weight that is this near to the mean one is no change."""


@dataclass(frozen=True)
class Frame:
    """What stays the same whatever is done to the rows: the cells, and how they fold for each axis.

    Attributes
    ----------
    cells : Cells
    axes : dict of str to Axis
        By the words of a plan.
    tables : dict of axis name to Table
    keys : dict of axis name to list of (label, groups, length bucket)
    fold : dict of axis name to int64 array
        For each cell its place in `keys`.
    empty : Tally
        Without counts.
    positive : str or None
        The positive label.
    paired : bool
        Rows come in pairs, so each is worth half of one.
    """

    cells: Cells
    axes: dict[str, Axis]
    tables: dict[str, Table]
    keys: dict[str, list[CellKey]]
    fold: dict[str, Ints]
    empty: Tally
    positive: str | None
    paired: bool

    @staticmethod
    def of(prepared: Prepared, census: Census) -> Frame:
        """Arrange the cells of a census."""
        cells = census.cells
        label, bucket = cells.label_of(), cells.bucket_of()
        noted, lexicons = notes(prepared.distinct)
        keys: dict[str, list[CellKey]] = {}
        fold: dict[str, Ints] = {}
        for axis in prepared.distinct:
            pattern = cells.pattern_of(axis.name)
            rows = np.stack([label, pattern, bucket], axis=1)
            which, back = np.unique(rows, axis=0, return_inverse=True)
            patterns = cells.patterns.get(axis.name, [])
            keys[axis.name] = [(cells.labels[one], patterns[two], three) for one, two, three in which.tolist()]
            fold[axis.name] = back.reshape(-1).astype(np.int64)
            known = dict(noted[axis.name].groups)
            for group in (group for found in patterns for group in found if group not in known):
                info = axis.info(group)
                known[group] = GroupNote(info.status, info.ambiguous, info.subaxis)
            noted[axis.name] = AxisNote(axis.kind, known)
        edges = tuple(int(edge) for edge in prepared.scanner.edges)
        conversation = prepared.dataset.conversation
        return Frame(
            cells,
            dict(prepared.axes),
            {axis.name: tabulate(cells, axis) for axis in prepared.distinct},
            keys,
            fold,
            Tally(edges=edges, axes=noted, lexicons=lexicons),
            prepared.dataset.columns.positive,
            conversation is not None and conversation.pair is not None,
        )


@dataclass(frozen=True)
class Outcome:
    """The rows of each cell after some steps.

    Attributes
    ----------
    frame : Frame
    rows : int64 array
        Rows there, repeated ones as often as they are there.
    kept : int64 array
        Of these, rows of the data.
    w, w2 : float64 array
        Sums of the rows' own weights and of their squares.
    factor : float64 array
        What the steps multiply weights by.
    dropped, repeated : int
        Rows of the data that are gone, and rows that are there once more.
    """

    frame: Frame
    rows: Ints
    kept: Ints
    w: Floats
    w2: Floats
    factor: Floats
    dropped: int = 0
    repeated: int = 0

    @staticmethod
    def start(frame: Frame, census: Census) -> Outcome:
        """The data as they are."""
        size = len(frame.cells.table)
        cell, weight = census.units.cell, census.units.weight
        rows = np.bincount(cell, minlength=size).astype(np.int64)
        fixed = np.rint(weight * UNIT) / UNIT
        w, w2 = (np.bincount(cell, weights=part, minlength=size).astype(np.float64) for part in (fixed, fixed**2))
        return Outcome(frame, rows, rows, w, w2, np.ones(size))

    @property
    def weighted(self) -> int:
        """Rows of the data whose weight is another than the mean, but for the weights that they had."""
        total = float(self.w.sum())
        mean = float((self.w * self.factor).sum()) / total if total else 1.0
        return int(self.kept[np.abs(self.factor / (mean or 1.0) - 1) > _SAME].sum())

    @property
    def touched(self) -> int:
        """Rows dropped, rows added, and rows kept with another weight: each once."""
        return self.dropped + self.repeated + self.weighted

    def after(self, plan: Plan) -> Outcome:
        """What the plan's selection and weights make of it.

        Raises
        ------
        InputError
            When a step cannot be done; other steps than these two are a ValueError.
        """
        outcome = self
        for index, step in enumerate(plan.step):
            where = f"step {index + 1} ({step.do}): "
            if isinstance(step, ResampleStep):
                outcome = outcome._resampled(step, where)
            elif isinstance(step, ReweightStep):
                outcome = outcome._reweighted(step, where)
            else:
                raise ValueError(f"{step.do} is not computed from counts")  # noqa: TRY004 - a value of a plan
        return outcome

    def tally(self, axes: Sequence[str] | None = None) -> Tally:
        """The counts as an audit would find them, of all axes or of those named."""
        w = self.w * self.factor
        w2 = self.w2 * self.factor**2 * (2 if self.frame.paired else 1)
        cells: dict[str, dict[CellKey, Cell]] = {}
        for name in self.frame.keys if axes is None else axes:
            fold, keys = self.frame.fold[name], self.frame.keys[name]
            rows = np.bincount(fold, weights=self.rows, minlength=len(keys))
            sums = [np.bincount(fold, weights=part, minlength=len(keys)) * UNIT for part in (w, w2)]
            cells[name] = {
                key: Cell(int(rows[at]), round(float(sums[0][at])), round(float(sums[1][at])))
                for at, key in enumerate(keys)
                if rows[at]
            }
        noted = {name: self.frame.empty.axes[name] for name in cells}
        return replace(self.frame.empty, axes=noted, cells=cells, rows=int(self.rows.sum()))

    def _places(self, table: Table, shape: tuple[int, ...]) -> Ints:
        """For each cell its place in a table of labels × patterns (× buckets); −1 for rows without a label."""
        flat = table.label * shape[1] + table.pattern
        if len(shape) == 3:
            flat = flat * shape[2] + self.frame.cells.bucket_of()
        return np.where(table.label >= 0, flat, -1)

    def _cube(self, table: Table, values: npt.NDArray[np.generic]) -> Floats:
        """Sums over labels × patterns × length buckets."""
        buckets = len(self.frame.empty.edges) + 1
        shape = (*table.shape, buckets)
        place = self._places(table, shape)
        inside = place >= 0
        cube = np.bincount(place[inside], weights=values[inside], minlength=int(np.prod(shape)))
        return cube.astype(np.float64).reshape(shape)

    def _resampled(self, step: ResampleStep, where: str) -> Outcome:
        axis = self.frame.axes[step.axis]
        table = self.frame.tables[axis.name]
        counts = self._cube(table, self.rows).astype(np.int64)
        want = seams.wanted(step, counts, table=table, axis=axis, positive=self.frame.positive, where=where)
        place = self._places(table, want.shape)
        goal = want.reshape(-1)
        have = np.bincount(place[place >= 0], weights=self.rows[place >= 0], minlength=len(goal)).astype(np.int64)
        rows = self.rows.copy()
        for at in np.flatnonzero(have != goal).tolist():
            mine = np.flatnonzero(place == at)
            # In an order of their own, and rounded along the way: the parts add up to what is wanted of the whole.
            mine = mine[np.argsort([self._name(int(cell)) for cell in mine], kind="stable")]
            ends = np.cumsum(self.rows[mine]) * int(goal[at])
            rows[mine] = np.diff((2 * ends + have[at]) // (2 * have[at]), prepend=0)
        share = np.divide(rows, self.rows, out=np.ones(len(rows)), where=self.rows > 0)
        kept = np.minimum(self.kept, rows)
        gone = int((self.kept - kept).sum())
        more = int(rows.sum() - kept.sum())
        return replace(
            self,
            rows=rows,
            kept=kept,
            w=self.w * share,
            w2=self.w2 * share,
            dropped=self.dropped + gone,
            repeated=more,
        )

    def _reweighted(self, step: ReweightStep, where: str) -> Outcome:
        axis = self.frame.axes[step.axis]
        table = self.frame.tables[axis.name]
        mass = self._cube(table, self.w * self.factor)
        factor = seams.factors(step, mass, table=table, where=where)
        place = self._places(table, factor.shape)
        own = np.where(place >= 0, factor.reshape(-1)[np.maximum(place, 0)], 1.0)
        return replace(self, factor=self.factor * own)

    def _name(self, cell: int) -> str:
        """The cell in words: its number depends on the order of the rows."""
        label, bucket, *patterns = self.frame.cells.table[cell]
        cells = self.frame.cells
        found = [cells.patterns[axis][code] for axis, code in zip(cells.axes, patterns, strict=True)]
        return repr((str(cells.labels[label]), bucket, found))
