"""How far groups lie apart beyond chance: mean square gap without its bias, and the worst group without its luck."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .gaps import Measured
from .inference import Clusters
from .scores import Floats
from .stats import Stat
from .tables import CellContrasts


def mean_square_gap(measured: Measured, contrasts: CellContrasts, runs: Sequence[int]) -> Stat | None:
    """Mean over groups in the gap of the squared gap, less what chance among test rows adds to a square.

    Parameters
    ----------
    measured : Measured
        All runs.
    contrasts : CellContrasts
        Of its design; a term against the rows without it, or of a label the first group against the second.
    runs : sequence of int
        The arm's.

    Returns
    -------
    Stat or None
        In squared rates; may be negative. None where fewer than two groups can be compared.

    Notes
    -----
    Of the mean model: what single seeds have of gaps by luck is no gap of it. The square of a group's gap is the mean
    product of the gaps of two different seeds (a U-statistic, without the variance over seeds that a square has), less
    the covariance over clusters of test rows that such a pair shares. One seed's square keeps what that seed has by
    luck. The interval is of its first-order terms, ``2 mean_i gap_i d_i`` for each seed's and each cluster's deviation
    ``d``, taken at the gaps as measured: where all gaps are near 0 it is wide rather than short.
    """
    plan = measured.design
    used = [at for at in _used(measured) if contrasts.gap[at] is not None]
    if len(used) < 2:
        return None
    hits, n = measured.hits_of(runs), len(runs)
    values, influence, touched = np.zeros(n), np.zeros(len(plan.rows)), np.zeros(len(plan.rows), dtype=bool)
    # Ordered pairs of different seeds; with one seed its square.
    pairs = (np.ones((n, n)) - np.eye(n)) / (n * (n - 1)) if n > 1 else np.ones((1, 1))
    for at in used:
        contrast = contrasts.gap[at]
        assert contrast is not None
        touched[contrast.rows] = True
        gap, share = contrast.values(hits), np.array([contrast.influence(one) for one in hits])
        square = gap @ pairs @ gap - (pairs * contrast.clusters.covariance(share)).sum()
        values += (square + 2 * gap.mean() * (gap - gap.mean())) / len(used)
        influence[contrast.rows] += 2 * (pairs @ gap) @ share / len(used)
    rows = np.flatnonzero(touched)
    return Stat(values, influence[rows], Clusters.of(plan.codes[:, rows]), len(rows))


def _used(measured: Measured) -> list[int]:
    """Cells in the gap; of a label that of the first group stands for both."""
    plan, names = measured.design, set(measured.design.stick.used)
    if plan.stick.kind == "fpr":
        return [at for at, cell in enumerate(plan.cells) if cell.group in names]
    return [at for at, cell in enumerate(plan.cells) if cell.label in names and cell.group == plan.stick.first]


def worst_gap(measured: Measured, contrasts: CellContrasts, runs: Sequence[int]) -> dict[str, Any]:
    """The group with the largest gap, each gap drawn to the mean of all by how uncertain it is.

    The largest of many noisy gaps is large by luck too; drawn together, the luck is taken out.

    Returns
    -------
    dict
        `group`, `label`, `n`, the `gap` as measured, `shrunk` with `low` and `high`, and `spread`, the standard
        deviation of the true gaps; empty where fewer than three groups can be compared. For false-positive rates the
        worst gap is the highest, for true-positive rates the one farthest from 0.

    Notes
    -----
    Normal-normal empirical Bayes: ``mean + B (gap - mean)``, ``B = t2 / (t2 + V)``, ``t2`` by DerSimonian and Laird
    1986; the interval is of the posterior and takes `spread` as known.
    """
    cells = [at for at in _used(measured) if contrasts.gap[at] is not None]
    hits = measured.hits_of(runs)
    found = [gap.interval(hits) for gap in (contrasts.gap[at] for at in cells) if gap is not None]
    keep = [at for at, one in enumerate(found) if math.isfinite(one.se)]
    if len(keep) < 3:
        return {}
    gap = np.array([found[at].estimate for at in keep])
    # A gap that no run and no cluster moved is known as little as the surest of the others.
    variance = np.array([found[at].se ** 2 for at in keep])
    if not (variance > 0).any():
        return {}
    variance = np.maximum(variance, variance[variance > 0].min())
    shrunk, error, spread = shrink(gap, variance)
    at = int(np.argmax(shrunk if measured.design.stick.kind == "fpr" else np.abs(shrunk)))
    cell = measured.design.cells[cells[keep[at]]]
    low, high = float(shrunk[at] - 1.96 * error[at]), float(shrunk[at] + 1.96 * error[at])
    return {
        "group": cell.group,
        "label": cell.label,
        "n": cell.n,
        "gap": float(gap[at]),
        "shrunk": float(shrunk[at]),
        "low": low,
        "high": high,
        "spread": spread,
        "groups": len(keep),
        "method": "empirical Bayes, DerSimonian-Laird",
    }


def shrink(gap: Floats, variance: Floats) -> tuple[Floats, Floats, float]:
    """Posterior means and standard errors, and the standard deviation of the truth.

    Examples
    --------
    >>> means, errors, spread = shrink(np.array([0.0, 0.1, 0.5]), np.full(3, 0.04))
    >>> means.round(2).tolist(), round(spread, 2)
    ([0.11, 0.16, 0.33], 0.17)
    """
    weight = 1 / variance
    mean = float((weight * gap).sum() / weight.sum())
    q = float((weight * (gap - mean) ** 2).sum())
    scale = float(weight.sum() - (weight**2).sum() / weight.sum())
    square = max(0.0, (q - (len(gap) - 1)) / scale)
    total = 1 / (variance + square)
    mean = float((total * gap).sum() / total.sum())
    share = square / (square + variance)
    error = np.sqrt(share * variance + (1 - share) ** 2 / total.sum())
    return mean + share * (gap - mean), error, math.sqrt(square)
