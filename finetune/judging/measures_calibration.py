"""Calibration by group: do scores of a group mean what they say?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...audit.findings import MINIMUM_ROWS as MIN_CELL
from .design import ALL, NEUTRAL
from .gaps import Measured
from .inference import Clusters
from .scores import Bools, Floats, Items, ScoreSet
from .stats import Stat, mean_of

BINS = 10
EVENTS = 10
"""Rows of each outcome that a slope needs."""

_EDGE = 1e-6  # scores are taken no nearer to 0 and 1, or their log odds would be infinite


def calibration(scores: ScoreSet, measured: Measured, runs: Sequence[int]) -> tuple[dict[str, Any], ...]:
    """Calibration of one arm on the test rows of each group.

    Parameters
    ----------
    scores : ScoreSet
        All runs; scores must lie within 0 and 1.
    measured : Measured
        Of the same runs.
    runs : sequence of int
        The arm's.

    Returns
    -------
    tuple of dict
        For all rows, those without a group and each group of 30 rows: `excess`, mean score minus share of positives;
        `slope` of the logistic recalibration (1: right; below: too sure), both with intervals; `ece`, the expected
        calibration error over 10 bins of equal size, beside `ece_null`, what chance alone would give a perfect model;
        and `rms_debiased`, the root of the squared error with chance taken out (negative: less than chance).
        With more than two labels the score is that of the predicted label, and a positive is a right prediction.

    Notes
    -----
    Slope: Cox 1958, ``logit P(y) = a + b logit(score)``. Equal-size bins and debiasing: Kumar, Liang and Ma 2019.
    """
    test = scores.items.get("test")
    if test is None or "test" not in scores.score:
        return ()
    score = scores.score["test"][list(runs)]
    if score.min(initial=0.0) < 0 or score.max(initial=0.0) > 1:
        return ()
    positive = measured.design.positive
    if positive is not None:
        truth = np.tile(test.is_label(positive), (len(runs), 1))
    elif "test" in scores.predicted:
        truth = scores.predicted["test"][list(runs)] == test.label
    else:
        return ()
    return tuple(_row(name, rows, score, truth, test) for name, rows in _groups(test, measured))


def _groups(test: Items, measured: Measured) -> list[tuple[str, Any]]:
    stick = measured.design.stick
    bare = np.array([not pattern for pattern in test.patterns])[test.pattern]
    names = test.groups if stick.kind == "fpr" else (stick.first, stick.second)
    found = [(ALL, np.ones(test.n, dtype=bool)), (NEUTRAL, bare), *((name, test.member(name)) for name in names)]
    return [(name, np.flatnonzero(mask)) for name, mask in found if mask.sum() >= MIN_CELL]


def _row(name: str, rows: Any, score: Floats, truth: Bools, test: Items) -> dict[str, Any]:
    clusters = Clusters.of(test.clusters[:, rows])
    p, y = score[:, rows], truth[:, rows].astype(np.float64)
    excess = mean_of(p - y, clusters).interval
    bins = [binned(*pair) for pair in zip(p, y, strict=True)]
    ece, null, rms = (float(np.mean([found[at] for found in bins])) for at in range(3))
    slope = recalibrated(p, y, clusters)
    found = {
        "group": name,
        "n": len(rows),
        "excess": excess.estimate,
        "excess_low": excess.low,
        "excess_high": excess.high,
        "ece": ece,
        "ece_null": null,
        "rms_debiased": rms,
    }
    low_high = (math.nan, math.nan, math.nan)
    if slope is not None:
        low_high = (slope.interval.estimate, slope.interval.low, slope.interval.high)
    return {**found, **dict(zip(("slope", "slope_low", "slope_high"), low_high, strict=True))}


def binned(p: Floats, y: Floats, bins: int = BINS) -> tuple[float, float, float]:
    """Calibration error over bins of equal size.

    Returns
    -------
    (float, float, float)
        Mean absolute error; its expectation for a perfectly calibrated model; signed root of the squared error less
        what chance adds to it.

    Examples
    --------
    >>> [round(value, 3) for value in binned(np.full(100, 0.3), np.repeat([0.0, 1.0], 50), bins=1)]
    [0.2, 0.037, 0.194]
    """
    ece = null = square = 0.0
    for part in np.array_split(np.argsort(p, kind="stable"), min(bins, len(p) // 2 or 1)):
        share, rate, n = len(part) / len(p), y[part].mean(), len(part)
        error = p[part].mean() - rate
        ece += share * abs(error)
        null += share * math.sqrt(2 / math.pi * float((p[part] * (1 - p[part])).sum())) / n
        square += share * (error**2 - rate * (1 - rate) / max(n - 1, 1))
    return float(ece), null, math.copysign(math.sqrt(abs(square)), square)


def recalibrated(p: Floats, y: Floats, clusters: Clusters) -> Stat | None:
    """Slope of the logistic recalibration of each run (runs × rows); None where it cannot be fitted."""
    total = np.zeros(p.shape[1])
    values = []
    for scores, truth in zip(p, y, strict=True):
        if min(truth.sum(), len(truth) - truth.sum()) < EVENTS:
            return None
        bounded = np.clip(scores, _EDGE, 1 - _EDGE)
        x = np.column_stack([np.ones(len(bounded)), np.log(bounded / (1 - bounded))])
        if np.ptp(x[:, 1]) < 1e-9:
            return None
        fitted = _logistic(x, truth)
        if fitted is None:
            return None
        coefficient, inverse, residual = fitted
        values.append(coefficient[1])
        total += (x * residual[:, None]) @ inverse[1]
    return Stat(np.array(values), total / len(values), clusters, p.shape[1])


def _logistic(x: Floats, y: Floats) -> tuple[Floats, Floats, Floats] | None:
    """Coefficients, inverse information and residuals by Newton's method; None where the outcomes are separated."""
    beta = np.zeros(x.shape[1])
    for _ in range(50):
        mean = 1 / (1 + np.exp(-np.clip(x @ beta, -500, 500)))
        information = (x * (mean * (1 - mean))[:, None]).T @ x
        if not np.linalg.cond(information) < 1e12:
            return None
        inverse = np.linalg.inv(information)
        step = inverse @ (x.T @ (y - mean))
        # Long steps overshoot where the scores say next to nothing; halves of them do not.
        beta = beta + step * min(1.0, 5 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-9:
            return beta, np.asarray(inverse, np.float64), y - mean
    return None
