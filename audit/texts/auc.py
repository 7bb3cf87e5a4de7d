"""The area under the ROC curve within strata, with an interval that respects clusters."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..findings import LEVEL
from ..intervals import wilson

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Area(NamedTuple):
    """A mean of areas, and how much each row moves it.

    Attributes
    ----------
    estimate : float
        NaN where no stratum can be used.
    variance : float
    influence : float64 array
        One entry a row, 0 for rows of strata that are not used.
    weight : float64 array
        Share of each stratum in the mean.
    areas : float64 array
        Of each stratum, NaN where it is not used.
    """

    estimate: float
    variance: float
    influence: Floats
    weight: Floats
    areas: Floats


def midranks(score: Floats, stratum: Ints) -> Floats:
    """Ranks within each stratum from 1, ties sharing their mean.

    Examples
    --------
    >>> midranks(np.array([3.0, 1.0, 3.0, 9.0]), np.array([0, 0, 0, 1])).tolist()
    [2.5, 1.0, 2.5, 1.0]
    """
    order = np.lexsort((score, stratum))
    s, t = score[order], stratum[order]
    fresh = np.ones(len(s), np.bool_)
    fresh[1:] = (s[1:] != s[:-1]) | (t[1:] != t[:-1])
    first = np.flatnonzero(fresh)
    size = np.diff(np.append(first, len(s)))
    middle = np.repeat(first + (size + 1) / 2, size)
    begin = np.ones(len(s), np.bool_)
    begin[1:] = t[1:] != t[:-1]
    start = np.flatnonzero(begin)
    middle -= np.repeat(start, np.diff(np.append(start, len(s))))
    found = np.empty(len(s))
    found[order] = middle
    return found


def stratified_auc(score: Floats, first: Bools, stratum: Ints, cluster: Ints) -> Area:
    """Mean over strata of the chance that a row of the first group scores above one of the second.

    Parameters
    ----------
    score : float64 array
        Higher means the first group; ties count one half. Only scores of one stratum are ever compared.
    first : bool array
        Whether a row is of the first group.
    stratum, cluster : int64 array
        From 0.

    Returns
    -------
    Area

    Notes
    -----
    Strata with fewer than two rows of either group are left out. The others weigh n₁n₀/(n₁+n₀) (van Elteren 1960),
    which under no difference gives the mean its smallest variance. Influence: the placement values of DeLong et al.
    1988, as LeDell et al. 2015 use them for cross-validated areas; summed over each cluster before they are squared.

    Examples
    --------
    >>> score, first = np.array([0.9, 0.4, 0.5, 0.1]), np.array([True, True, False, False])
    >>> stratified_auc(score, first, np.zeros(4, np.int64), np.arange(4)).estimate
    0.75
    """
    strata = int(stratum.max(initial=-1)) + 1
    n1 = np.bincount(stratum[first], minlength=strata).astype(np.float64)
    n0 = np.bincount(stratum[~first], minlength=strata).astype(np.float64)
    used = (n1 >= 2) & (n0 >= 2)
    nothing = np.full(strata, math.nan)
    if not used.any():
        return Area(math.nan, math.nan, np.zeros(len(score)), np.zeros(strata), nothing)
    weight = np.where(used, n1 * n0 / np.maximum(n1 + n0, 1), 0.0)
    weight /= weight.sum()
    own, other = np.where(first, n1[stratum], n0[stratum]), np.where(first, n0[stratum], n1[stratum])
    below = midranks(score, stratum) - midranks(score, stratum * 2 + first)
    placement = np.where(first, below, other - below) / np.maximum(other, 1)
    areas = np.where(used, np.bincount(stratum[first], placement[first], strata) / np.maximum(n1, 1), math.nan)
    estimate = min(float(np.nansum(weight * areas)), 1.0)
    inside = used[stratum]
    influence = np.zeros(len(score))
    n = own[inside]
    # (n - 1)^-1/2 n^-1/2 in place of 1/n makes DeLong's variance unbiased.
    influence[inside] = weight[stratum][inside] * (placement - areas[stratum])[inside] / np.sqrt(n * (n - 1))
    return Area(estimate, variance_of(influence, cluster), influence, weight, areas)


def variance_of(influence: Floats, cluster: Ints) -> float:
    """Sum over clusters of the squared sums of influence."""
    sums = np.bincount(cluster, influence)
    return float(sums @ sums)


def area_interval(estimate: float, variance: float, rows: float, *, level: float = LEVEL) -> tuple[float, float]:
    """Interval of an area: Wilson's, for as many rows as the variance says it is worth.

    Parameters
    ----------
    estimate, variance : float
        From `stratified_auc`.
    rows : float
        Rows of the smaller group: what the estimate is worth where no pair is out of order and the variance is 0.
    level : float
        Confidence level.

    Notes
    -----
    A proportion of n_e = A(1-A)/V rows has the variance V; its Wilson interval stays within 0 and 1 and near the normal
    one around one half.

    Examples
    --------
    >>> [round(end, 3) for end in area_interval(0.6, 0.0004, 100)]
    [0.56, 0.638]
    >>> [round(end, 3) for end in area_interval(1.0, 0.0, 100)]
    [0.963, 1.0]
    """
    if not math.isfinite(estimate):
        return math.nan, math.nan
    spread = estimate * (1 - estimate)
    worth = spread / variance if variance > 0 and spread > 0 else rows
    found = wilson(estimate * worth, worth, level=level)
    return float(found.low), float(found.high)
