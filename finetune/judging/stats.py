"""A figure of an arm as what an interval needs: a value for each seed, and each test row's influence on their mean.

Whatever is a smooth function of means over test rows has such an influence (its derivative, row by row), so one `Stat`
serves AUCs, ratios and rates alike, alone and as the difference of two arms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .inference import Clusters, Interval, fieller, t_interval
from .scores import Floats

_METHOD = "t, seeds and clusters"


@dataclass(frozen=True, slots=True)
class Stat:
    """One figure of one arm.

    Attributes
    ----------
    values : numpy.ndarray
        One a run.
    influence : numpy.ndarray
        Of each row on the mean over runs.
    clusters : Clusters
        Of the same rows.
    n : int
        Rows that it rests on.
    """

    values: Floats
    influence: Floats
    clusters: Clusters
    n: int

    @property
    def interval(self) -> Interval:
        """The mean over runs with its t interval."""
        return t_interval(self.values, self.influence, self.clusters)

    def minus(self, other: Stat) -> Interval:
        """The mean difference to another arm's figure on the same rows, runs paired in order."""
        return t_interval(self.values - other.values, self.influence - other.influence, self.clusters)

    def shown(self) -> dict[str, Any]:
        """As it stands in `verdict.json`."""
        found = self.interval
        return {"value": found.estimate, "low": found.low, "high": found.high, "n": self.n, "method": _METHOD}


def mean_of(values: Floats, clusters: Clusters) -> Stat:
    """A mean over rows, from runs × rows.

    Examples
    --------
    >>> import numpy as np
    >>> rows = Clusters.of(np.arange(4)[None, :])
    >>> mean_of(np.array([[1.0, 0, 0, 1], [1, 1, 0, 1]]), rows).shown()["value"]
    0.625
    """
    average = values.mean(axis=0)
    return Stat(values.mean(axis=1), (average - average.mean()) / len(average), clusters, len(average))


def compared(before: Stat, after: Stat) -> dict[str, Any]:
    """What became of a figure: both values, the change, and the share that is gone where it was clearly not 0."""
    one, two, change = before.interval, after.interval, after.minus(before)
    share, low, high = fieller(one, two, -change)
    return {
        "before": one.estimate,
        "after": two.estimate,
        "change": change.estimate,
        "change_low": change.low,
        "change_high": change.high,
        "share_gone": share,
        "share_gone_low": low,
        "share_gone_high": high,
        "n": after.n,
        "method": f"{_METHOD}; share by Fieller",
    }
