"""What a gap is made of: rows, cells and coefficients, fixed before any score is seen.

Every gap here is linear in the runs' hits (a false positive, or a row recovered), cell by cell. So a mean over seeds, a
difference of arms and its influence function are all the same sum, and one `Contrast` serves them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...audit.findings import MINIMUM_ROWS as MIN_CELL
from ...data.errors import InputError
from .inference import Clusters, Interval, dense, t_interval
from .resampling import multi_bootstrap
from .scores import Floats, Ints, Items, ScoreSet
from .yardstick import Yardstick

ALL, NEUTRAL = "(all rows)", "(no term)"


@dataclass(frozen=True, slots=True)
class Cell:
    """Rows whose mean of hits is one rate: a term's harmless rows, or a label's rows of one group."""

    group: str
    label: str | None
    rows: Ints

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Contrast:
    """A weighted sum of cell means, over the rows that it touches."""

    rows: Ints
    cells: tuple[Ints, ...]
    coefficients: Floats
    codes: Ints
    clusters: Clusters

    def values(self, hits: Floats) -> Floats:
        """The sum for each run (row) of a runs × rows matrix."""
        # Sums of whole numbers have no rounding, so equal runs give equal values in whatever order they are added.
        inside = np.zeros((len(self.cells), hits.shape[1]))
        for at, cell in enumerate(self.cells):
            inside[at, self.rows[cell]] = 1.0
        sizes = np.array([len(cell) for cell in self.cells], dtype=np.float64)
        sums = hits @ inside.T
        means = np.array([sums[:, at] / size for at, size in enumerate(sizes)])
        return np.asarray([sum(self.coefficients * run) for run in means.T], dtype=np.float64)

    def influence(self, hits: Floats) -> Floats:
        """Each row's influence on the sum, from mean hits of each row; a row in two cells counts in both."""
        here = hits[self.rows]
        total = np.zeros(len(self.rows))
        for cell, coefficient in zip(self.cells, self.coefficients, strict=True):
            total[cell] += coefficient / len(cell) * (here[cell] - here[cell].mean())
        return total

    def interval(self, hits: Floats) -> Interval:
        """Mean over runs with its t interval."""
        return t_interval(self.values(hits), self.influence(hits.mean(axis=0)), self.clusters)

    def bootstrap(self, hits: Floats, *, key: str, repetitions: int) -> tuple[float, float]:
        """Multi-bootstrap percentile interval, to be printed beside."""
        return multi_bootstrap(
            hits[:, self.rows], self.cells, self.coefficients, self.codes, key=key, repetitions=repetitions
        )


@dataclass(frozen=True, slots=True)
class Design:
    """What is measured on which rows: fixed by yardstick and test rows, before any score is seen.

    Attributes
    ----------
    stick : Yardstick
        Restricted to what these rows can measure.
    split : str
        Where the gap is measured.
    positive : str or None
        The positive label of a binary task.
    rows : numpy.ndarray
        Rows of the split whose hits count.
    cells : tuple of Cell
        Their rows index into `rows`.
    coefficients : numpy.ndarray
        Of the gap, one a cell.
    codes : numpy.ndarray
        Clusters of `rows`, one row a way.
    gap : Contrast
        The gap G.
    notes : tuple of str
    """

    stick: Yardstick
    split: str
    positive: str | None
    rows: Ints
    cells: tuple[Cell, ...]
    coefficients: Floats
    codes: Ints
    gap: Contrast
    notes: tuple[str, ...] = ()

    def find(self, group: str, label: str | None = None) -> int:
        """Index of a cell; -1 where it does not exist."""
        return next((at for at, cell in enumerate(self.cells) if (cell.group, cell.label) == (group, label)), -1)

    @property
    def second(self) -> Contrast | None:
        """Mean rate of the terms in the gap minus that of rows without a term; None without such rows."""
        bare, used = self.find(NEUTRAL), len(self.stick.used)
        if self.stick.kind != "fpr" or bare < 0:
            return None
        weights = np.append(np.full(used, 1 / used), -1.0)
        return contrast_of((*self.cells[:used], self.cells[bare]), weights, self.codes)

    def cell(self, at: int) -> Contrast:
        """The mean of one cell as a contrast."""
        return contrast_of((self.cells[at],), np.ones(1), self.codes)


def contrast_of(cells: Sequence[Cell], coefficients: Floats, codes: Ints) -> Contrast:
    """A contrast of cells, with clusters of the rows that it touches."""
    # Clusters are those of the rows that count: rows that name no term must not lend degrees of freedom.
    rows, inverse = dense(np.concatenate([cell.rows for cell in cells]))
    parts = tuple(np.split(inverse, np.cumsum([cell.n for cell in cells])[:-1]))
    return Contrast(rows, parts, coefficients, codes[:, rows], Clusters.of(codes[:, rows]))


def positive_label(scores: ScoreSet, stick: Yardstick, positive: str | None = None) -> str | None:
    """The positive label of a binary task; None with more than two labels, or where recall can do without it.

    Raises
    ------
    InputError
        The label does not occur, or an fpr yardstick meets a task that is not binary.
    """
    if len(scores.labels) > 2:
        if stick.kind == "fpr":
            names = ", ".join(scores.labels[:5])
            raise InputError(
                f"scores: false-positive rates need two labels; found {len(scores.labels)} ({names}, ...); use tpr"
            )
        return None
    for choice in (positive, stick.positive, "1", "true"):
        alike = [] if choice is None else [name for name in scores.labels if name.casefold() == choice.casefold()]
        if choice is not None and (choice in scores.labels or len(alike) == 1):
            return choice if choice in scores.labels else alike[0]
        if choice is not None and choice in (positive, stick.positive):
            names = ", ".join(scores.labels)
            raise InputError(
                f'scores: the positive label "{choice}" does not occur; labels are {names}; say --positive'
            )
    if stick.kind == "tpr" and scores.predicted:
        return None  # recall needs none, and what is predicted is known
    raise InputError(
        f"scores: which label is positive? Labels are {', '.join(scores.labels)}; give it with positive (--positive)"
    )


def design(scores: ScoreSet, stick: Yardstick, *, positive: str | None = None, split: str | None = None) -> Design:
    """Fix rows, cells and coefficients of the gap.

    Parameters
    ----------
    scores : ScoreSet
        Only ids, labels, groups and clusters are used. False positives are counted on the probe where there is one,
        else on the test split; recovered rows on the test split.
    stick : Yardstick
        From the raw training set.
    positive : str, optional
        The positive label, where the yardstick does not say.
    split : str, optional
        Another split than these: the dev rows to choose an arm by, a copy of the test rows.

    Returns
    -------
    Design

    Raises
    ------
    InputError
        Fewer than two terms or labels of the yardstick have 30 rows here, or all rows are one cluster.
    """
    positive = positive_label(scores, stick, positive)
    order = ("probe", "test") if stick.kind == "fpr" else ("test", "probe")
    split = split or next((name for name in order if name in scores.items), "")
    if split not in scores.items:
        raise InputError("scores: no rows of split test or probe; gaps are not measured on dev rows")
    items = scores.items[split]
    if not items.groups:
        raise InputError(f'scores: no row of split {split} names a group; give a column "group" or "text"')
    make = _fpr_cells if stick.kind == "fpr" else _tpr_cells
    rows, cells, stick, coefficients = make(items, stick, positive, "dev" if split == "dev" else "test")
    codes = items.clusters[:, rows]
    used = np.flatnonzero(coefficients)
    gap = contrast_of([cells[at] for at in used], coefficients[used], codes)
    if gap.clusters.n < 2:
        raise InputError(
            f"scores: all rows of split {split} that count are one cluster; drop that entry of the cluster column"
        )
    return Design(stick, split, positive, rows, cells, coefficients, codes, gap, stick.notes)


def _fpr_cells(
    items: Items, stick: Yardstick, positive: str | None, where: str
) -> tuple[Ints, tuple[Cell, ...], Yardstick, Floats]:
    rows = np.flatnonzero(~items.is_label(positive or ""))
    found = {name: np.flatnonzero(items.member(name)[rows]) for name in items.groups}
    stick = stick.restrict(
        (name for name, at in found.items() if len(at) >= MIN_CELL), f"under {MIN_CELL} harmless {where} rows"
    )
    others = [name for name in found if name not in stick.used and len(found[name])]
    cells = [Cell(name, None, found[name]) for name in (*stick.used, *others)]
    bare = np.flatnonzero(np.array([not pattern for pattern in items.patterns])[items.pattern[rows]])
    cells += [Cell(ALL, None, np.arange(len(rows)))] + ([Cell(NEUTRAL, None, bare)] if len(bare) else [])
    coefficients = np.zeros(len(cells))
    coefficients[: len(stick.used)] = stick.coefficients
    return rows, tuple(cells), stick, coefficients


def _tpr_cells(
    items: Items, stick: Yardstick, _positive: str | None, where: str
) -> tuple[Ints, tuple[Cell, ...], Yardstick, Floats]:
    one, two = items.member(stick.first), items.member(stick.second)
    if not one.any() or not two.any():
        missing = stick.second if one.any() else stick.first
        raise InputError(f'scores: no test row of group "{missing}"; groups are {", ".join(items.groups) or "none"}')
    rows = np.flatnonzero(one ^ two)  # a row of both groups tells them not apart
    sides = {stick.first: one[rows], stick.second: two[rows]}
    found = {
        (name, group): np.flatnonzero(side & items.is_label(name)[rows])
        for name in items.labels
        for group, side in sides.items()
    }
    if not set(items.labels) & {entry.name for entry in stick.entries}:
        raise InputError(
            f"scores: the labels are {', '.join(items.labels[:5])}, and none is one of the training data's, "
            f"{', '.join(entry.name for entry in stick.entries[:5])}; spell them as there"
        )
    enough = [name for name in items.labels if min(len(found[name, group]) for group in sides) >= MIN_CELL]
    stick = stick.restrict(enough, f"under {MIN_CELL} {where} rows in a group")
    names = [*stick.used, *(name for name in items.labels if name not in stick.used)]
    cells = [Cell(group, name, found[name, group]) for name in names for group in sides if len(found[name, group])]
    coefficients = np.zeros(len(cells))
    coefficients[: 2 * len(stick.used)] = np.repeat(stick.coefficients, 2) * np.tile([1.0, -1.0], len(stick.used))
    return rows, tuple(cells), stick, coefficients
