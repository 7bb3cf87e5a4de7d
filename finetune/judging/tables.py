"""Per-group tables: the rate of each group, its gap to the others, and what an arm changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .design import ALL, NEUTRAL, Cell, Contrast, Design, contrast_of
from .gaps import Measured
from .inference import Interval, t_interval
from .scores import Floats

_NOTHING = (math.nan, math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class GroupRate:
    """Rate of one group in one arm.

    Attributes
    ----------
    group : str
    label : str or None
        For true-positive rates.
    n : int
        Test rows.
    in_gap : bool
        Whether it counts in the gap.
    rate, low, high : float
        False-positive or true-positive rate, mean over seeds.
    gap, gap_low, gap_high : float
        Minus the rate of the rows without the term (fpr), or of the other group (tpr).
    bpsn, bnsp : float
        Threshold-free AUC a term; NaN for tpr.
    method : str
        How the intervals were made.
    log_ratio, log_ratio_low, log_ratio_high : float
        Of the rate to that of the rows it is compared with.
    """

    group: str
    label: str | None
    n: int
    in_gap: bool
    rate: float
    low: float
    high: float
    gap: float
    gap_low: float
    gap_high: float
    bpsn: float
    bnsp: float
    method: str
    log_ratio: float = math.nan
    log_ratio_low: float = math.nan
    log_ratio_high: float = math.nan


@dataclass(frozen=True, slots=True)
class GroupChange:
    """Rate of one group before and after."""

    group: str
    label: str | None
    n: int
    in_gap: bool
    before: float
    after: float
    change: float
    change_low: float
    change_high: float
    bpsn_before: float
    bpsn_after: float


@dataclass(frozen=True, slots=True)
class CellContrasts:
    """For each cell its mean, the mean of the rows it is compared with, and the difference; made once for all arms."""

    rate: tuple[Contrast, ...]
    rest: tuple[Contrast | None, ...]
    gap: tuple[Contrast | None, ...]

    @staticmethod
    def of(plan: Design) -> CellContrasts:
        """All contrasts of a design."""
        rests = [_rest(plan, cell) for cell in plan.cells]
        return CellContrasts(
            tuple(plan.cell(at) for at in range(len(plan.cells))),
            tuple(None if rest is None else contrast_of((rest,), np.ones(1), plan.codes) for rest in rests),
            tuple(
                None if rest is None else contrast_of((cell, rest), np.array([1.0, -1.0]), plan.codes)
                for cell, rest in zip(plan.cells, rests, strict=True)
            ),
        )


def _rest(plan: Design, cell: Cell) -> Cell | None:
    if plan.stick.kind == "tpr":
        other = plan.stick.second if cell.group == plan.stick.first else plan.stick.first
        at = plan.find(other, cell.label)
        return plan.cells[at] if at >= 0 else None
    if cell.group in (ALL, NEUTRAL) or cell.n == len(plan.rows):
        return None
    others = np.ones(len(plan.rows), dtype=bool)
    others[cell.rows] = False
    return Cell("", None, np.flatnonzero(others))


def rates(measured: Measured, contrasts: CellContrasts, runs: Sequence[int]) -> tuple[GroupRate, ...]:
    """Per-group table of one arm.

    Parameters
    ----------
    measured : Measured
        All runs.
    contrasts : CellContrasts
        Of its design.
    runs : sequence of int
        The arm's runs. One run gets Wilson and Newcombe intervals, which say nothing of other seeds; several get the
        t interval over seeds and clusters.

    Returns
    -------
    tuple of GroupRate
    """
    plan, hits = measured.design, measured.hits_of(runs)
    used = set(plan.stick.used)
    table = []
    for at, cell in enumerate(plan.cells):
        if len(runs) == 1:
            found, gap, method = _single(contrasts.rate[at], contrasts.rest[at], hits)
        else:
            rate = contrasts.rate[at].interval(hits)
            found = (rate.estimate, max(rate.low, 0.0), min(rate.high, 1.0))
            difference = contrasts.gap[at]
            gap = _NOTHING if difference is None else _three(difference.interval(hits))
            method = "t, seeds and clusters"
        table.append(
            GroupRate(
                cell.group,
                cell.label,
                cell.n,
                (cell.label or cell.group) in used,
                *found,
                *gap,
                _mean(measured, "bpsn", cell.group, runs),
                _mean(measured, "bnsp", cell.group, runs),
                method,
                *log_ratio(contrasts.rate[at], contrasts.rest[at], contrasts.gap[at], hits),
            )
        )
    return tuple(table)


def log_ratio(rate: Contrast, rest: Contrast | None, both: Contrast | None, hits: Floats) -> tuple[float, float, float]:
    """Log ratio of two rates, mean over runs, with its t interval; half a hit and half a miss are added to each.

    Notes
    -----
    ``log((k1 + .5) / (n1 + 1)) - log((k2 + .5) / (n2 + 1))``; delta method over clusters. NaN without rows to compare.
    """
    if rest is None or both is None:
        return _NOTHING
    n, m = len(rate.rows), len(rest.rows)
    one, two = ((part.values(hits) * k + 0.5) / (k + 1) for part, k in ((rate, n), (rest, m)))
    influence = np.zeros(hits.shape[1])
    # Influence is linear in hits, so the mean over runs of (influence / rate) is that of hits weighted by 1 / rate.
    influence[rate.rows] += rate.influence((1 / one) @ hits / len(hits)) * n / (n + 1)
    influence[rest.rows] -= rest.influence((1 / two) @ hits / len(hits)) * m / (m + 1)
    return _three(t_interval(np.log(one) - np.log(two), influence[both.rows], both.clusters))


def _three(found: Interval) -> tuple[float, float, float]:
    return found.estimate, found.low, found.high


def _single(
    rate: Contrast, rest: Contrast | None, hits: Floats
) -> tuple[tuple[float, float, float], tuple[float, float, float], str]:
    from ...audit.intervals import newcombe_difference, wilson

    n = _effective(rate, hits)
    share, low, high = (float(end) for end in wilson(rate.values(hits)[0] * n, n))
    clustered = rate.clusters.n < len(rate.rows)
    method = "Wilson, Newcombe; one run; " + ("design effect of clusters" if clustered else "assumes independent rows")
    if rest is None:
        return (share, low, high), _NOTHING, method
    m = _effective(rest, hits)
    gap, below, above = (float(end) for end in newcombe_difference(share * n, n, rest.values(hits)[0] * m, m))
    return (share, low, high), (gap, below, above), method


def _effective(rate: Contrast, hits: Floats) -> float:
    """Rows that independent sampling would have needed for the variance that clusters give (Kish)."""
    n, share = len(rate.rows), float(rate.values(hits)[0])
    if rate.clusters.n == n or rate.clusters.n < 2:
        return float(max(rate.clusters.n, 1))
    simple = share * (1 - share) / n
    if simple == 0:
        return float(rate.clusters.n)  # no spread to see the design effect in: take the worst
    return n / max(1.0, rate.clusters.variance(rate.influence(hits[0])) / simple)


def _mean(measured: Measured, what: str, name: str, runs: Sequence[int]) -> float:
    values = [getattr(measured.runs[at], what).get(name, math.nan) for at in runs]
    return float(np.mean(values))


def changes(
    measured: Measured, contrasts: CellContrasts, before: Sequence[int], after: Sequence[int]
) -> tuple[GroupChange, ...]:
    """Per-group table of what an arm changed, runs paired by seed."""
    plan, one, two = measured.design, measured.hits_of(before), measured.hits_of(after)
    used = set(plan.stick.used)
    table = []
    for at, cell in enumerate(plan.cells):
        change = contrasts.rate[at].interval(two - one)
        table.append(
            GroupChange(
                cell.group,
                cell.label,
                cell.n,
                (cell.label or cell.group) in used,
                float(contrasts.rate[at].values(one).mean()),
                float(contrasts.rate[at].values(two).mean()),
                *_three(change),
                _mean(measured, "bpsn", cell.group, before),
                _mean(measured, "bpsn", cell.group, after),
            )
        )
    return tuple(table)
