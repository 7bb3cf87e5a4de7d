"""How sure we are: intervals that allow for seeds and for test rows that belong together.

Two sources of chance move a difference of gaps: which seed a model was trained with, and which rows it was tested on.
More of one never makes up for the other, so both variances are estimated, added and shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np

from .scores import Floats, Ints

LEVEL = 0.95
MAX_SEEDS = 1000  # beyond it "more seeds" is no advice


def dense(codes: Ints) -> tuple[Ints, Ints]:
    """Distinct codes in order, and the place of each code among them: `numpy.unique`, without sorting small numbers.

    Examples
    --------
    >>> import numpy as np
    >>> [part.tolist() for part in dense(np.array([7, 3, 7]))]
    [[3, 7], [1, 0, 1]]
    """
    if not len(codes) or codes.min() < 0 or codes.max() > 4 * len(codes) + 1024:
        distinct, place = np.unique(codes, return_inverse=True)
        return distinct, place
    there = np.zeros(int(codes.max()) + 1, dtype=bool)
    there[codes] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[codes]


@dataclass(frozen=True, slots=True)
class Clusters:
    """Rows that belong together, in one or more ways.

    Attributes
    ----------
    parts : tuple of (int, numpy.ndarray, int)
        Sign, code of each row and number of clusters: each way and each intersection of ways.
    ways : int
        Number of clustering ways; the first so many parts are the ways themselves.
    """

    parts: tuple[tuple[int, Ints, int], ...]
    ways: int

    @staticmethod
    def of(codes: Ints) -> Clusters:
        """From codes, one row a way and one column a test row."""
        parts = []
        for size in range(1, len(codes) + 1):
            for chosen in combinations(range(len(codes)), size):
                joint = codes[chosen[0]]
                for way in chosen[1:]:
                    joint = dense(joint * (codes[way].max(initial=0) + 1) + codes[way])[1]
                distinct, code = dense(joint)
                parts.append(((-1) ** (size + 1), code, len(distinct)))
        return Clusters(tuple(parts), len(codes))

    @property
    def n(self) -> int:
        """Clusters of the way that has the fewest."""
        return min(count for _, _, count in self.parts[: self.ways])

    def variance(self, influence: Floats) -> float:
        """Variance of an estimate from the influence of each row on it; NaN with fewer than two clusters.

        Notes
        -----
        Cameron, Gelbach and Miller 2011: ways are added, intersections subtracted, each with the factor C/(C-1).
        The sum can come out too small, even negative, so it is never taken below the largest single way.
        """
        if self.n < 2:
            return math.nan
        terms = []
        for sign, codes, count in self.parts:
            sums = np.bincount(codes, weights=influence, minlength=count)
            terms.append(sign * float(sums @ sums) * count / (count - 1))
        return max(math.fsum(terms), *terms[: self.ways])

    def covariance(self, influences: Floats) -> Floats:
        """Covariances of several estimates, a row each; the variance of their sum is that of `variance`.

        Examples
        --------
        >>> rows = Clusters.of(np.arange(3)[None, :])
        >>> rows.covariance(np.array([[0.1, 0.0, -0.1], [0.2, -0.2, 0.0]])).round(3).tolist()
        [[0.03, 0.03], [0.03, 0.12]]
        """
        if self.n < 2:
            return np.full((len(influences), len(influences)), math.nan)
        terms = []
        for sign, codes, count in self.parts:
            sums = np.array([np.bincount(codes, weights=one, minlength=count) for one in influences])
            terms.append(sign * (sums @ sums.T) * count / (count - 1))
        return np.asarray(max(np.sum(terms, axis=0), *terms[: self.ways], key=np.sum))


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over seeds with its interval and where its uncertainty comes from.

    Attributes
    ----------
    estimate, low, high : float
    se, df : float
        Standard error and Satterthwaite degrees of freedom.
    v_seed, v_ex : float
        Variance of the mean from seeds (NaN with one seed) and from test clusters.
    seeds, clusters : int
        How many of each.
    """

    estimate: float
    low: float
    high: float
    se: float
    df: float
    v_seed: float
    v_ex: float
    seeds: int
    clusters: int

    def __neg__(self) -> Interval:
        return Interval(
            -self.estimate, -self.high, -self.low, self.se, self.df, self.v_seed, self.v_ex, self.seeds, self.clusters
        )

    def p_below(self, bound: float) -> float:
        """One-sided p of "the truth is at most `bound`"."""
        from scipy.special import stdtr

        if not self.se > 0:
            return math.nan if math.isnan(self.se) else float(self.estimate <= bound)
        return float(stdtr(self.df, (bound - self.estimate) / self.se))


def t_interval(per_seed: Floats, influence: Floats, clusters: Clusters, *, level: float = LEVEL) -> Interval:
    """Interval of a mean over seeds, allowing for seeds and for clusters of test rows.

    Parameters
    ----------
    per_seed : numpy.ndarray
        The estimate for each seed; for a difference, paired by seed.
    influence : numpy.ndarray
        Influence of each test row on the mean over seeds.
    clusters : Clusters
        Of the same rows.
    level : float
        Confidence level.

    Returns
    -------
    Interval

    Notes
    -----
    `V = var(d_s)/S + V_ex`, `df = V^2 / (V_seed^2/(S-1) + V_ex^2/(C-1))`. It counts what seed and rows do together
    twice, so it is a little wide; with few seeds the percentile bootstrap is much too narrow.

    Examples
    --------
    >>> import numpy as np
    >>> rows = Clusters.of(np.arange(4)[None, :])
    >>> found = t_interval(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.03, -0.03, 0.06, -0.06]), rows)
    >>> round(found.low, 2), round(found.high, 2), round(found.df, 1)
    (-0.08, 0.58, 4.9)
    """
    from scipy.special import stdtrit  # not scipy.stats, which takes a second to import

    s, c = len(per_seed), clusters.n
    mean = float(per_seed.mean())
    v_ex = clusters.variance(influence)
    v_seed = seed_variance(per_seed) / s if s > 1 else math.nan
    v = v_ex + (v_seed if s > 1 else 0.0)
    if v == 0:
        return Interval(mean, mean, mean, 0.0, math.inf, v_seed, v_ex, s, c)
    bottom = v_ex**2 / max(c - 1, 1) + (v_seed**2 / (s - 1) if s > 1 else 0.0)
    df = v**2 / bottom if bottom > 0 else math.nan
    half = float(stdtrit(df, (1 + level) / 2)) * math.sqrt(v)
    return Interval(mean, mean - half, mean + half, math.sqrt(v), df, v_seed, v_ex, s, c)


def seed_variance(values: Floats) -> float:
    """Variance over seeds, exactly 0 where all are equal."""
    # Equal runs must give exactly 0, whatever rounding does to their mean.
    return 0.0 if (values == values[0]).all() else float(values.var(ddof=1))


def fieller(
    base: Interval, curated: Interval, difference: Interval, *, level: float = LEVEL
) -> tuple[float, float, float]:
    """Share of the base gap that is gone, `1 - curated/base`, with Fieller's interval.

    Returns
    -------
    (float, float, float)
        Estimate, low, high; NaN where the base gap is not clearly different from 0, since then no share exists.

    Notes
    -----
    Fieller 1954. The covariance of the two gaps comes from the variances of both and of their difference.
    """
    from scipy.special import stdtrit

    nothing = (math.nan, math.nan, math.nan)
    vb, vc, vd = base.se**2, curated.se**2, difference.se**2
    if base.low <= 0 <= base.high or any(map(math.isnan, (vb, vc, vd))):
        return nothing
    t2 = float(stdtrit(min(base.df, difference.df), (1 + level) / 2)) ** 2
    vbc = (vb + vc - vd) / 2
    a = base.estimate**2 - t2 * vb
    b = base.estimate * curated.estimate - t2 * vbc
    c = curated.estimate**2 - t2 * vc
    root = b * b - a * c
    ratio = curated.estimate / base.estimate
    if a <= 0 or root < 0:
        return 1 - ratio, math.nan, math.nan
    return 1 - ratio, 1 - (b + math.sqrt(root)) / a, 1 - (b - math.sqrt(root)) / a


def seeds_needed(found: Interval, distance: float, *, level: float = LEVEL) -> int | None:
    """Seeds with which the interval's half width would fall below `distance`, test rows unchanged.

    Returns
    -------
    int or None
        None where no number up to `MAX_SEEDS` would do: then the test rows are what is missing.
    """
    from scipy.special import stdtrit

    if found.seeds < 2 or not distance > 0 or math.isnan(found.v_ex):
        return None
    s = np.arange(max(found.seeds, 2), MAX_SEEDS + 1, dtype=np.float64)
    v_seed = found.v_seed * found.seeds / s
    v = v_seed + found.v_ex
    if v[0] == 0:
        return int(s[0])
    df = v**2 / (v_seed**2 / (s - 1) + found.v_ex**2 / max(found.clusters - 1, 1))
    enough = stdtrit(df, (1 + level) / 2) * np.sqrt(v) < distance
    return int(s[np.argmax(enough)]) if enough.any() else None


def clusters_needed(found: Interval, distance: float, *, level: float = LEVEL) -> int | None:
    """Test clusters with which the half width would fall below `distance`, seeds unchanged; None where none would."""
    if found.seeds < 2 or math.isnan(found.v_ex) or found.v_ex == 0 or not distance > 0:
        return None
    left = (distance / NormalDist().inv_cdf((1 + level) / 2)) ** 2 - found.v_seed
    return math.ceil(found.clusters * found.v_ex / left) if left > 0 else None


def holm(p: list[float]) -> list[float]:
    """Holm's step-down adjustment; NaN counts as 1.

    Examples
    --------
    >>> holm([0.01, 0.04])
    [0.02, 0.04]
    """
    values = [1.0 if math.isnan(value) else value for value in p]
    adjusted = [1.0] * len(values)
    running = 0.0
    for rank, at in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        running = max(running, min(1.0, (len(values) - rank) * values[at]))
        adjusted[at] = running
    return adjusted
