"""Measures of how well scores or predictions agree with labels, with their influence functions.

An influence function gives each row's share in an estimate's error: summed within clusters and squared,
it is the variance of the estimate when clusters, not rows, are the independent units.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .scores import Bools, Floats, Ints


def placements(positive: Floats, negative: Floats) -> tuple[Floats, Floats]:
    """Each positive's share of negatives below it, each negative's share of positives above it; a tie counts half.

    Both average to the AUC; their spread is its variance.

    Notes
    -----
    DeLong, DeLong and Clarke-Pearson 1988, structural components.
    """
    low, high = np.sort(negative), np.sort(positive)
    below = np.searchsorted(low, positive, "left") + np.searchsorted(low, positive, "right")
    above = 2 * len(high) - np.searchsorted(high, negative, "left") - np.searchsorted(high, negative, "right")
    return below / (2 * max(len(low), 1)), above / (2 * max(len(high), 1))


def auc(score: Floats, positive: Bools, weight: Floats | None = None) -> float:
    """Area under the ROC curve, ties counting half.

    Parameters
    ----------
    score : numpy.ndarray
        Higher means more likely positive.
    positive : numpy.ndarray of bool
        The truth.
    weight : numpy.ndarray, optional
        Row weights.

    Returns
    -------
    float
        NaN where one of the two classes has no weight.

    Examples
    --------
    >>> import numpy as np
    >>> auc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True]))
    0.875
    """
    weight = np.ones(len(score)) if weight is None else weight
    levels = np.unique(score, return_inverse=True)[1]
    up = np.bincount(levels, weights=weight * positive)
    down = np.bincount(levels, weights=weight * ~positive)
    total = up.sum() * down.sum()
    return float((up * (np.cumsum(down) - down / 2)).sum() / total) if total > 0 else float("nan")


def auc_influence(score: Floats, positive: Bools) -> tuple[float, Floats]:
    """AUC and each row's influence on it (DeLong components over class sizes)."""
    influence = np.zeros(len(score))
    if positive.all() or not positive.any():
        return float("nan"), np.full(len(score), np.nan)
    up, down = placements(score[positive], score[~positive])
    value = float(up.mean())
    influence[positive] = (up - value) / len(up)
    influence[~positive] = (down - value) / len(down)
    return value, influence


def average_precision(score: Floats, positive: Bools) -> float:
    """Mean of precision over recall steps, tied scores taken together; NaN without positives.

    Examples
    --------
    >>> import numpy as np
    >>> round(average_precision(np.array([0.9, 0.8, 0.1]), np.array([True, False, True])), 4)
    0.8333
    """
    if not positive.any():
        return float("nan")
    levels = np.unique(-score, return_inverse=True)[1]
    hits = np.cumsum(np.bincount(levels, weights=positive.astype(np.float64)))
    taken = np.cumsum(np.bincount(levels))
    return float((np.diff(hits, prepend=0) * hits / taken).sum() / hits[-1])


def macro_f1(label: Ints, predicted: Ints, weight: Floats | None = None) -> tuple[float, Floats]:
    """Mean F1 over the labels that occur in the truth, and each row's influence on it.

    Notes
    -----
    The labels are those of the truth, so that arms are averaged over the same set: a label that only one arm
    predicts lowers the F1 of the label that it took the row from.
    """
    weight = np.ones(len(label)) if weight is None else weight
    size = int(max(label.max(), predicted.max())) + 1
    true = np.bincount(label, weights=weight, minlength=size)
    called = np.bincount(predicted, weights=weight, minlength=size)
    hit = label == predicted
    present = np.flatnonzero(true > 0)
    total = true + called
    f1 = np.divide(
        2 * np.bincount(label, weights=weight * hit, minlength=size), total, out=np.zeros(size), where=total > 0
    )
    share = np.zeros(size)
    share[present] = 1 / (len(present) * total[present])
    influence = weight * (2 * hit * share[label] - f1[label] * share[label] - f1[predicted] * share[predicted])
    return float(f1[present].mean()), influence


def independence_weights(label: Ints, pattern: Ints) -> Floats:
    """Weights P(a)P(y)/P(a,y) under which label and group pattern are independent; they average to 1.

    An ordinary test set shares the bias of its corpus and so penalises a good change; this one does not.

    Notes
    -----
    Kamiran and Calders 2012, on the test set. Where a cell is empty, independence holds among the cells that exist
    only as far as they allow.
    """
    n_labels = int(label.max()) + 1
    cell = pattern * n_labels + label
    together = np.bincount(cell)
    return np.asarray(
        np.bincount(pattern)[pattern] * np.bincount(label)[label] / (len(label) * together[cell]), np.float64
    )


def background_aucs(
    score: Floats, positive: Bools, members: Sequence[Bools] | Sequence[tuple[Ints, Ints]]
) -> tuple[Floats, Floats]:
    """BPSN and BNSP AUC of each group.

    BPSN: the group's negatives against the positives outside it (low: the group's harmless rows look harmful).
    BNSP: the group's positives against the negatives outside it.

    Parameters
    ----------
    score : numpy.ndarray
        Higher means more likely positive.
    positive : numpy.ndarray of bool
        The truth.
    members : sequence
        Of each group which rows belong to it, or what `split_members` makes of that: the same for every run, so with
        many runs it is worked out once.

    Notes
    -----
    Borkan et al. 2019. Pairs within a group are counted apart and subtracted, so the whole is sorted once.
    """
    places = [split_members(positive, m) if isinstance(m, np.ndarray) else m for m in members]
    levels = np.unique(score, return_inverse=True)[1]
    up, down = levels[positive], levels[~positive]
    size = int(levels.max(initial=-1)) + 1
    n_up, n_down = np.bincount(up, minlength=size), np.bincount(down, minlength=size)
    # A tie counts half, so everything is counted in halves.
    below = (2 * np.cumsum(n_down) - n_down)[up]
    above = (2 * (len(up) - np.cumsum(n_up)) + n_up)[down]
    bpsn, bnsp = np.full(len(places), np.nan), np.full(len(places), np.nan)
    for at, (mine_up, mine_down) in enumerate(places):
        rest_up, rest_down = len(up) - len(mine_up), len(down) - len(mine_down)
        ordered, needles = np.sort(down[mine_down]), np.sort(up[mine_up])
        within = (np.searchsorted(ordered, needles, "left") + np.searchsorted(ordered, needles, "right")).sum()
        if len(mine_down) and rest_up:
            bpsn[at] = (above[mine_down].sum() - within) / (2 * len(mine_down) * rest_up)
        if len(mine_up) and rest_down:
            bnsp[at] = (below[mine_up].sum() - within) / (2 * len(mine_up) * rest_down)
    return bpsn, bnsp


def split_members(positive: Bools, member: Bools) -> tuple[Ints, Ints]:
    """Places of a group's rows among the positives, and among the negatives."""
    return np.flatnonzero(member[positive]), np.flatnonzero(member[~positive])


def threshold_for_rate(score: Floats, count: int) -> float:
    """The score at and above which `count` rows lie, as nearly as ties allow.

    It is one of the scores given, so that any increasing transform of the scores moves it along.
    Of two equally near choices the higher one, with fewer rows above it, is taken; `inf` takes none.

    Examples
    --------
    >>> import numpy as np
    >>> threshold_for_rate(np.array([0.1, 0.5, 0.7, 0.9]), 2)
    0.7
    """
    levels, counts = np.unique(score, return_counts=True)
    taken = np.concatenate([np.cumsum(counts[::-1])[::-1], [0]])
    choices = np.append(levels, np.inf)
    return float(choices[::-1][np.argmin(np.abs(taken[::-1] - count))])
