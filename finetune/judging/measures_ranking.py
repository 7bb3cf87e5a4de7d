"""The gap without a threshold: slope of the BPSN and BNSP AUCs of terms on imbalance, with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .gaps import Measured
from .inference import Clusters
from .scores import Floats, Ints, ScoreSet
from .stats import Stat


def ranking(scores: ScoreSet, measured: Measured, runs: Sequence[int]) -> dict[str, Stat]:
    """Slopes of one arm, where there are scores and false-positive rates are the measure.

    Parameters
    ----------
    scores : ScoreSet
        All runs.
    measured : Measured
        Of the same runs.
    runs : sequence of int
        The arm's.

    Returns
    -------
    dict of str to Stat
        `bpsn_slope`: ``sum c_i BPSN_i / sum c_i^2`` over the terms in the gap. Below 0, the harmless rows of terms
        that are toxic in the raw data rank above the toxic rows of others. `bnsp_slope`, where each term has positives.

    Notes
    -----
    Borkan et al. 2019; influence by the structural components of DeLong, DeLong and Clarke-Pearson 1988.
    """
    plan = measured.design
    if plan.stick.kind != "fpr" or plan.positive is None or plan.split not in scores.score:
        return {}
    items = scores.items[plan.split]
    truth = items.is_label(plan.positive)
    members = [items.member(name) for name in plan.stick.used]
    clusters = Clusters.of(items.clusters)
    found = {}
    for name, one, two in (("bpsn_slope", ~truth, truth), ("bnsp_slope", truth, ~truth)):
        pairs = [(np.flatnonzero(one & mine), np.flatnonzero(two & ~mine)) for mine in members]
        if not all(len(inside) and len(outside) for inside, outside in pairs):
            continue
        values, influence = np.zeros(len(runs)), np.zeros(items.n)
        # With the score turned round, the negatives of BPSN are where the positives of BNSP are.
        sign = -1.0 if name == "bpsn_slope" else 1.0
        for number, at in enumerate(runs):
            level = np.unique(sign * scores.score[plan.split][at], return_inverse=True)[1]
            for (inside, outside), c in zip(pairs, plan.stick.coefficients, strict=True):
                up, down = _components(level[inside], level[outside])
                value = up.mean()
                values[number] += c * value
                influence[inside] += c * (up - value) / (len(up) * len(runs))
                influence[outside] += c * (down - value) / (len(down) * len(runs))
        found[name] = Stat(values, influence, clusters, items.n)
    return found


def _components(above: Ints, below: Ints) -> tuple[Floats, Floats]:
    """For each row of either side the share of the other side that it is ranked rightly against; ties count half.

    Scores are levels, small whole numbers: counting them takes a tenth of the time of sorting and searching.
    """
    size = int(max(above.max(), below.max())) + 1
    high, low = np.bincount(above, minlength=size), np.bincount(below, minlength=size)
    up = (2 * np.cumsum(low) - low)[above] / (2 * len(below))
    down = 1 - (2 * np.cumsum(high) - high)[below] / (2 * len(above))
    return up, down
