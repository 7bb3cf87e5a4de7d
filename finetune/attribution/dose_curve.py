"""A gap against a dose: straight line, monotone curve, the dose at which a target is met, and how sure that is.

Everything here counts doses along the treatment, more being more change of the data: levels as they are, limits of the
log ratio with a minus before them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..judging.design import Contrast
from ..judging.inference import LEVEL, Interval, fieller, holm
from ..judging.resampling import bootstrap_draws
from ..judging.scores import Floats

BEYOND = math.inf
"""Of a dose: not met at any level."""


@dataclass(frozen=True, slots=True)
class Dose:
    """The smallest dose that meets a target, with its interval.

    Attributes
    ----------
    target : str
        What is met.
    fit : str
        "monotone" or "linear".
    estimate, low, high : float
        Along the treatment; infinite: not met at any level that was trained; NaN: cannot be told.
    unmet : float
        Share of the bootstrap's draws in which no level meets it; NaN where there are no draws.
    method : str
    """

    target: str
    fit: str
    estimate: float
    low: float
    high: float
    unmet: float
    method: str


@dataclass(frozen=True, slots=True)
class Line:
    """The straight line through the gaps, and whether they go the same way at each step.

    Attributes
    ----------
    slope : Interval
        Change of the gap for one unit of the level.
    trend_p : float
        One-sided p of "the gap does not fall along the treatment".
    rises : tuple of (float, float, float)
        Steps from one level to the next at which the gap clearly rises along the treatment: both levels and p by Holm.
    crossing : Dose
        Where the line crosses 0, by Fieller 1954.
    """

    slope: Interval
    trend_p: float
    rises: tuple[tuple[float, float, float], ...]
    crossing: Dose


def line(contrast: Contrast, hits: Floats, levels: Floats, *, sign: float, falls: bool) -> Line:
    """Fit a line to the gaps of all levels, each weighing the same.

    Parameters
    ----------
    contrast : Contrast
        The gap.
    hits : numpy.ndarray
        Levels × seeds × rows, paired by seed.
    levels : numpy.ndarray
        Along the treatment, ascending.
    sign : float
        -1 where the gap is one below 0, that shrinks upwards.
    falls : bool
        Whether the gap is expected to fall along the treatment; else no test of the trend has a side.

    Returns
    -------
    Line

    Notes
    -----
    Least squares is a weighted sum of gaps, and a gap one of hits. So slope and intercept are contrasts like any gap,
    with the same t interval over seeds and clusters.
    """
    x = levels - levels.mean()
    k = x / (x @ x)
    slope = contrast.interval(np.tensordot(k, hits, axes=1))
    along = slope if sign > 0 else -slope
    start = contrast.interval(np.tensordot(1 / len(x) - levels.mean() * k, hits, axes=1))
    at_one = contrast.interval(np.tensordot(1 / len(x) + (1 - levels.mean()) * k, hits, axes=1))
    # 1 - (a + b) / b = -a / b, and Fieller's method has its interval.
    crossing = fieller(slope, at_one, -start)
    steps = [contrast.interval(sign * (after - before)) for before, after in pairwise(hits)]
    adjusted = holm([step.p_below(0.0) if step.se > 0 else float(step.estimate <= 0) for step in steps])
    rises = tuple(
        (float(levels[at]), float(levels[at + 1]), p) for at, p in enumerate(adjusted) if falls and p < (1 - LEVEL) / 2
    )
    method = "Fieller 1954, t with seeds and clusters"
    return Line(
        slope,
        (-along).p_below(0.0) if falls else math.nan,
        rises,
        Dose("gap of 0", "linear", *crossing, math.nan, method),
    )


def monotone(gaps: Floats, *, increasing: bool = False) -> Floats:
    """The monotone curve nearest to the gaps in least squares.

    Parameters
    ----------
    gaps : numpy.ndarray
        In the order of treatment.
    increasing : bool
        Whether it rises.

    Examples
    --------
    >>> monotone(np.array([0.3, 0.1, 0.2, -0.1])).round(2).tolist()
    [0.3, 0.15, 0.15, -0.1]
    """
    from sklearn.isotonic import isotonic_regression

    return np.asarray(isotonic_regression(gaps, increasing=increasing), dtype=np.float64)


def first_at(curve: Floats, levels: Floats, upper: float, lower: float = -math.inf) -> float:
    """The first level at which a falling curve, straight between its levels, is at most `upper`.

    Parameters
    ----------
    curve, levels : numpy.ndarray
        In the order of treatment; the curve never rises.
    upper, lower : float
        A curve that begins below `lower` never comes back into the band.

    Returns
    -------
    float
        Infinite where no level meets it.

    Examples
    --------
    >>> first_at(np.array([0.4, 0.2, 0.0]), np.array([0.0, 1.0, 2.0]), 0.1)
    1.5
    >>> first_at(np.array([0.4, 0.2, 0.15]), np.array([0.0, 1.0, 2.0]), 0.1)
    inf
    """
    if curve[0] < lower:
        return BEYOND
    met = np.flatnonzero(curve <= upper)
    if not len(met):
        return BEYOND
    at = int(met[0])
    if at == 0:
        return float(levels[0])
    share = (curve[at - 1] - upper) / (curve[at - 1] - curve[at])
    return float(levels[at - 1] + share * (levels[at] - levels[at - 1]))


@dataclass(frozen=True, slots=True)
class Draws:
    """The multi-bootstrap's gaps of several curves, drawn with the same seeds and clusters.

    Attributes
    ----------
    gaps : numpy.ndarray
        Repetitions × curves × levels; no repetitions where nothing can be drawn.
    method : str
    """

    gaps: Floats
    method: str


def draw(
    contrast: Contrast, hits: Sequence[Floats], intervals: Sequence[Sequence[Interval]], *, key: str, repetitions: int
) -> Draws:
    """Draw gaps of all curves and levels together.

    Parameters
    ----------
    contrast : Contrast
        The gap.
    hits : sequence of numpy.ndarray
        A curve each: levels × seeds × rows, all paired by seed.
    intervals : sequence of sequence of Interval
        Of each curve's gaps, for their degrees of freedom.
    key : str
        What the draws depend on.
    repetitions : int
        Number of draws.

    Returns
    -------
    Draws

    Notes
    -----
    The percentile multi-bootstrap under-covers with few seeds. So a draw has one seed fewer than there are, which makes
    its variance over seeds unbiased, and draws are moved away from the estimate by the ratio of the t to the normal
    quantile, with the median degrees of freedom of the gaps.
    """
    from scipy.special import stdtrit

    curves, (levels, seeds) = len(hits), hits[0].shape[:2]
    rows = contrast.rows
    if repetitions == 0 or any((way == way[0]).all() for way in contrast.codes):
        return Draws(np.empty((0, curves, levels)), "no bootstrap: the rows are one cluster")
    stacked = np.concatenate([part[:, :, rows] for part in hits])
    drawn = bootstrap_draws(
        stacked, contrast.cells, contrast.coefficients, contrast.codes, key=key, repetitions=repetitions,
        seeds_drawn=seeds - 1 if seeds > 1 else None,
    ).reshape(repetitions, curves, levels)  # fmt: skip
    centre = np.array([[found.estimate for found in curve] for curve in intervals])
    df = np.array([[found.df for found in curve] for curve in intervals])
    normal = float(stdtrit(1e9, (1 + LEVEL) / 2))
    known = np.isfinite(df).any(axis=1)
    stretch = np.array(
        [
            float(stdtrit(np.nanmedian(np.where(np.isinf(mine), np.nan, mine)), (1 + LEVEL) / 2)) / normal
            if ok
            else 1.0
            for mine, ok in zip(df, known, strict=True)
        ]
    )
    said = "multi-bootstrap over seeds and clusters, widened for few seeds"
    if seeds == 1:
        said = "bootstrap over clusters; one seed says nothing about seeds"
    return Draws(centre + stretch[:, None] * (drawn - centre), said)


def span(values: Floats) -> tuple[float, float]:
    """Percentile interval of doses, some of which may be infinite; NaN where too many are not known."""
    kept = np.sort(values[~np.isnan(values)])
    if not len(values) or len(kept) < LEVEL * len(values):
        return math.nan, math.nan
    # Order statistics and no interpolation: between a number and infinity there is nothing.
    low, high = (float(kept[round(share * (len(kept) - 1))]) for share in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return low, high


def met(curves: Floats, levels: Floats, uppers: Floats, lower: float = -math.inf) -> Floats:
    """The first level of each drawn curve, made monotone, at which it is at most its own bound."""
    return np.array(
        [first_at(monotone(curve), levels, upper, lower) for curve, upper in zip(curves, uppers, strict=True)]
    )
