"""Split-half reliability: how much of the differences between targets would come back with other templates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ...data.hashing import mix
from .language import Floats

MIN_TEMPLATES, MIN_TARGETS = 2, 3
_SPLITS = 500


@dataclass(frozen=True, slots=True)
class Reliability:
    """Of mean scores over templates.

    Attributes
    ----------
    value, low, high : float
        Share of the variance over targets that is no noise of the templates; NaN where it cannot be told.
    splits : int
        Halvings it is the mean over.
    note : str
        Why there is none; else empty.
    """

    value: float
    low: float
    high: float
    splits: int
    note: str = ""


def split_half(scores: Floats, *, level: float = 0.95, repetitions: int = 2000, seed: int = 0) -> Reliability:
    """Reliability of the mean over templates, from the correlation of halves of them over targets.

    Parameters
    ----------
    scores : numpy.ndarray
        Targets × templates.
    level : float
        Confidence level.
    repetitions : int
        Of the bootstrap.
    seed : int
        Of the bootstrap, and of the halvings where there are more than 500.

    Returns
    -------
    Reliability

    Notes
    -----
    Halves have `h = floor(K / 2)` templates, one of an odd number is left out in turn; r is the mean of Pearson's
    correlation over halvings (all, or 500 drawn). Spearman and Brown: the mean of K templates has the reliability
    `k r / (1 + (k - 1) r)`, k = K / h; what is below -1 is told as -1. The interval is the percentile bootstrap of
    whole targets, templates held as they are.

    Examples
    --------
    >>> import numpy as np
    >>> found = split_half(np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 4.0], [4.0, 3.0]]))  # r = 0.6
    >>> round(found.value, 3), found.splits
    (0.75, 1)
    """
    targets, templates = scores.shape
    lacking = ""
    if templates < MIN_TEMPLATES:
        lacking = f"{templates} template{'s' * (templates != 1)}, and {MIN_TEMPLATES} are needed"
    elif targets < MIN_TARGETS:
        lacking = f"{targets} target{'s' * (targets != 1)}, and {MIN_TARGETS} are needed"
    if lacking:
        return Reliability(math.nan, math.nan, math.nan, 0, f"no reliability: {lacking}")
    rng = np.random.default_rng(int(mix(np.zeros(1, np.uint64), salt=(seed, "evenset.reliability"))[0]))
    left, right = _halvings(templates, rng)
    value = float(_stepped(np.cov(scores.T)[None], left, right, templates)[0])
    if math.isnan(value):
        return Reliability(math.nan, math.nan, math.nan, len(left), "no reliability: all targets score the same")
    drawn = rng.integers(0, targets, (repetitions, targets))
    each = scores[drawn]
    each = each - each.mean(1, keepdims=True)
    found = _stepped(np.einsum("bik,bil->bkl", each, each), left, right, templates)
    tail = (1 - level) / 2
    low, high = np.nanquantile(found, [tail, 1 - tail])
    return Reliability(value, float(low), float(high), len(left))


def _halvings(templates: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Pairs of halves as rows of 0 and 1: all, each once, or so many drawn."""
    h = templates // 2
    ways = math.comb(templates, h) * math.comb(templates - h, h) // 2
    pairs: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    if ways <= _SPLITS:
        for one in combinations(range(templates), h):
            rest = [at for at in range(templates) if at not in one]
            pairs += [(one, other) for other in combinations(rest, h) if one < other]
    else:
        for _ in range(_SPLITS):
            order = rng.permutation(templates)
            pairs.append((tuple(order[:h]), tuple(order[h : 2 * h])))
    halves = np.zeros((2, len(pairs), templates))
    for at, pair in enumerate(pairs):
        for side in (0, 1):
            halves[side, at, list(pair[side])] = 1
    return halves[0], halves[1]


def _stepped(covariance: Floats, left: Floats, right: Floats, templates: int) -> Floats:
    """Reliability from covariance matrices of templates, one a row; NaN where a half does not vary."""
    across = np.einsum("sk,bkl,sl->bs", left, covariance, right)
    variances = [np.einsum("sk,bkl,sl->bs", half, covariance, half) for half in (left, right)]
    scale = np.sqrt(np.maximum(variances[0], 0) * np.maximum(variances[1], 0))
    whole = np.einsum("bkk->b", covariance)[:, None]
    fine = scale > 1e-12 * whole
    r = np.divide(across, scale, out=np.full(across.shape, np.nan), where=fine & (whole > 0)).mean(1)
    factor = templates / (templates // 2)
    below = 1 + (factor - 1) * r
    stepped = np.divide(factor * r, below, out=np.full(r.shape, -1.0), where=below > 0)
    return np.where(np.isnan(r), np.nan, np.maximum(stepped, -1.0))
