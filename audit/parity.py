"""The largest difference in how often groups have a label, over all pairs of groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from . import intervals
from .bootstrap import resampled
from .cells import AxisCells, Bools
from .comparison import rates as rates_of
from .findings import MINIMUM_ROWS, Finding, Settings
from .intervals import Floats, Interval
from .screening import benjamini_hochberg, luck, rate_test

# Beyond these, and beyond so much work, there are fewer groups, labels and draws; the note and the method say so.
MOST_GROUPS = 100
MOST_LABELS = 100
_CELLS = 6_000_000
_PAIRS = 150_000_000
_LEAST_REPLICATES = 300


def label_parity_max(cells: AxisCells, settings: Settings) -> list[Finding]:
    """For each label, the largest difference of its rate between two groups with rows enough."""
    groups, dropped = _groups(cells)
    rows = cells.labelled.rows.sum(axis=1)
    labels = [index for index in cells.chosen_labels(settings.positive) if rows[index] >= MINIMUM_ROWS]
    if len(groups) < 2 or not labels:
        return []
    labels = sorted(sorted(labels, key=lambda index: (-rows[index], index))[:MOST_LABELS])
    member = np.stack([cells.member(group) for group in groups])
    sets, table, weight = _merged(cells, member, labels)
    found = parity_interval(
        table,
        sets,
        rates_of(cells.labelled, member, labels)[1].T,
        weight=weight,
        level=settings.level,
        replicates=settings.replicates,
    )
    n = int(cells.labelled.rows.sum(axis=0)[member.any(axis=0)].sum())
    q = benjamini_hochberg(found.p)
    result = []
    for k, index in enumerate(labels):
        first, second = (groups[g] for g in found.widest[k])
        among = f"{len(groups)} groups" + (f", {dropped} smaller ones left out" if dropped else "")
        note = f"{first} over {second}, of {among}; {found.null[k]:.3g} is the mean when all rates are equal"
        low, high = float(found.interval.low[k]), float(found.interval.high[k])
        lucky = luck(float(q[k]), low, high, len(labels))
        result.append(
            Finding(
                cells.axis,
                None,
                cells.labels[index],
                "label_parity_max",
                float(found.interval.estimate[k]),
                low,
                high,
                n,
                f"Newcombe, all pairs at once (bootstrap of cells, {found.replicates:,} draws)",
                note=f"{note}; {lucky}" if lucky else note,
                p=float(found.p[k]),
                q=float(q[k]),
            )
        )
    return result


def _groups(cells: AxisCells) -> tuple[list[str], int]:
    """Groups that are judged and have rows enough, the largest of them, and how many more there are."""
    counts = cells.labelled.over(cells.has).sum(1)
    enough = [
        (int(counts.rows[k]), group)
        for k, group in enumerate(cells.groups)
        if cells.judged(group) and min(counts.rows[k], counts.effective[k]) >= MINIMUM_ROWS - 1e-9
    ]
    kept = sorted(enough, key=lambda item: (-item[0], item[1]))[:MOST_GROUPS]
    return [group for group in cells.groups if any(group == name for _, name in kept)], len(enough) - len(kept)


def _merged(cells: AxisCells, member: Bools, labels: Sequence[int]) -> tuple[Bools, Floats, Floats | None]:
    """Which groups each set of rows belongs to, and effective rows of the sets by label, the other labels as the last.

    The third is what one of these effective rows weighs, nothing where all weigh the same. Sets that differ only in
    groups that are not compared are one; rows of none are left out.
    """
    distinct, of = np.unique(member.T, axis=0, return_inverse=True)
    sets = of.reshape(-1)[None, :] == np.flatnonzero(distinct.any(axis=1))[:, None]
    counts = cells.labelled.over(sets)
    whole = counts.sum(0).sum(0)
    kept = distinct[distinct.any(axis=1)]

    def columns(value: Floats) -> Floats:
        others = np.maximum(value.sum(axis=1) - value[:, labels].sum(axis=1), 0)
        return np.column_stack([value[:, labels], others])

    if np.allclose(counts.w2 * whole.w, counts.w * whole.w2, rtol=1e-9, atol=0):
        return kept, columns(counts.w * (float(whole.effective) / max(float(whole.w), 1e-300))), None
    rest = [index for index in range(len(cells.labels)) if index not in set(labels)]
    w, w2 = (np.column_stack([value[:, labels], value[:, rest].sum(axis=1)]) for value in (counts.w, counts.w2))
    # A cell without rows gets the weight of its set: rows are drawn there if all rates are equal.
    of_set = w2.sum(axis=1, keepdims=True) / np.maximum(w.sum(axis=1, keepdims=True), 1e-300)
    weight = np.where(w > 0, w2 / np.where(w > 0, w, 1.0), of_set)
    return kept, w / np.where(weight > 0, weight, 1.0), np.where(weight > 0, weight, 1.0)


@dataclass(frozen=True, slots=True)
class Parity:
    """The largest difference between two groups, for each label.

    Attributes
    ----------
    interval : Interval of shape (labels,)
    null : array of shape (labels,)
        Its mean if all groups had the same rates.
    p : array of shape (labels,)
        How often it would then be as large as it is. Where no draw was, no more than what all pairs give.
    widest : list of (int, int)
        The group with the highest rate and that with the lowest.
    replicates : int
        Draws.
    """

    interval: Interval
    null: Floats
    p: Floats
    widest: list[tuple[int, int]]
    replicates: int


def parity_interval(
    table: Floats,
    sets: Bools,
    effective: Floats,
    *,
    weight: Floats | None = None,
    level: float,
    replicates: int,
    seed: int = 0,
) -> Parity:
    """The largest difference of rates over all pairs of groups, with an interval that allows for picking the largest.

    Parameters
    ----------
    table : array of shape (sets, labels + 1)
        Rows of each set of groups by label, those of all other labels in the last column.
    sets : bool array of shape (sets, groups)
        Which groups the rows of a set belong to, one or more.
    effective : array of shape (groups,) or (labels, groups)
        What the rows of a group are worth.
    weight : array of the shape of `table`, optional
        What a row of each cell weighs, if not all weigh the same; `table` then holds each cell's own effective rows.
    level : float
        Confidence level.
    replicates : int
        Draws of the bootstrap; fewer where there are very many cells or pairs.
    seed : int
        Of the draws.

    Notes
    -----
    A largest difference is biased up: ten groups of 100 rows with a rate of 10 % each are .09 apart on average. So
    `null` is its mean over tables drawn with equal rates, and the interval comes from intervals of all pairs that hold
    together: Newcombe's with the quantile that the largest |difference - its mean| / SE over all pairs exceeds in 5 %
    of resampled tables (as in Tukey's test, but for groups of any size that may share rows). The lower end is the
    largest lower end of a pair, or 0 where tables with equal rates are as far apart in more than 5 % of the draws; the
    upper end is the largest upper end. A p of draws is no less than 1 / (draws + 1), too much to be picked from among
    many labels; where no draw was as large, the smallest p of the tests of all pairs, times their number (Bonferroni),
    is taken if it is less. In simulations it holds the truth 94 to 98 % of the time where rates are equal
    or there are two groups, and up to always elsewhere.
    """
    groups, labels = sets.shape[1], table.shape[1] - 1
    draws = min(replicates, _CELLS // table.size, 2 * _PAIRS // (labels * groups * groups))
    draws = max(draws, min(replicates, _LEAST_REPLICATES))
    into = sets.astype(np.float64)
    effective = np.broadcast_to(effective, (labels, groups))

    def rates(tables: Floats) -> Floats:
        """Of shape (labels, groups, tables); a group that was not drawn has the rate it has in the data."""
        weighed = tables if weight is None else tables * weight
        counted = np.einsum("bsl,sg->lgb", weighed, into, optimize=True)
        rows = counted.sum(axis=0)
        safe = np.where(rows > 0, rows, 1.0)
        share: Floats = np.where(rows > 0, counted[:-1] / safe, observed[:, :, None])
        return share

    observed = np.zeros((labels, groups))
    observed = rates(table[None])[:, :, 0]
    x = observed * effective
    error2 = (x + 1) * (effective - x + 1) / (effective + 2) ** 3
    inverse = 1 / np.sqrt(error2[:, :, None] + error2[:, None, :])

    def largest(tables: Floats) -> Floats:
        off = (rates(tables) - observed[:, :, None]).astype(np.float32)
        most = np.zeros((labels, off.shape[2]), dtype=np.float32)
        for g in range(groups - 1):
            apart = np.abs(off[:, g + 1 :] - off[:, g : g + 1])
            apart *= inverse[:, g, g + 1 :, None].astype(np.float32)
            np.maximum(most, apart.max(axis=1), out=most)
        return most.T.astype(np.float64)

    def spread(tables: Floats) -> Floats:
        share = rates(tables)
        result: Floats = (share.max(axis=1) - share.min(axis=1)).T
        return result

    quantile: Floats = np.quantile(resampled(table, largest, replicates=draws, seed=seed), level, axis=0)
    mass = table if weight is None else table * weight
    equal = np.outer(mass.sum(axis=1), mass.sum(axis=0)) / mass.sum()
    if weight is not None:
        equal = equal / weight
    null = resampled(equal, spread, replicates=draws, seed=seed + 1)
    estimate = observed.max(axis=1) - observed.min(axis=1)
    reached = (null >= estimate - 1e-12).sum(axis=0)
    p = (1 + reached) / (draws + 1)
    for label in np.flatnonzero(reached == 0):
        one, other = np.triu_indices(groups, 1)
        pairs = rate_test(x[label, one], effective[label, one], x[label, other], effective[label, other])
        p[label] = min(p[label], len(pairs) * float(pairs.min()))
    low, high = np.empty(labels), np.empty(labels)
    for k in range(labels):
        z = max(float(quantile[k]), intervals.z_of(level))
        _, below, above = intervals.newcombe_difference(
            x[k][:, None],
            effective[k][:, None],
            x[k][None, :],
            effective[k][None, :],
            level=2 * NormalDist().cdf(z) - 1,
        )
        low[k] = max(0.0, float(below.max())) if p[k] <= 1 - level else 0.0
        high[k] = float(above[~np.eye(groups, dtype=bool)].max())
    return Parity(
        Interval(estimate, low, high),
        null.mean(axis=0),
        p,
        [(int(observed[k].argmax()), int(observed[k].argmin())) for k in range(labels)],
        draws,
    )
