"""How strongly each word goes with one side of a contrast, given the label. All figures are vectorised over words.

A word is a yes or no of a document: bursts of it within one text count once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .findings import LEVEL
from .intervals import Floats, z_of
from .sides import Sides
from .vocabulary import Ints
from .word_information import Cells, information

PRIOR = 500.0
"""Documents with any word that the prior of the log odds is worth on each side."""

_TINY = 1e-12
_OWN_DEGREE = 5.0  # documents expected on each side from which a label has a degree of freedom of its own


@dataclass(frozen=True, slots=True, eq=False)
class Keyness:
    """Figures by word, arrays as long as `Sides.words`.

    Attributes
    ----------
    first, second : int64 array
        Documents with the word on each side.
    log_odds, low, high : float64 array
        Mantel-Haenszel log odds ratio over labels, positive where the word goes with the first side; its interval
        (Robins, Breslow & Greenland 1986).
    slack : float64 array
        By how much the log odds ratio could be nearer to 0 than it is if every count that fell short stood on the other
        side; 0 while counts are exact.
    p : float64 array
        Of no association given the label: Mantel-Haenszel's statistic against the normal and against the binomial
        distribution with its mean and variance; the larger p.
    p_labels : float64 array
        With a degree of freedom a label: also sees opposite signs in different labels, which cancel in `p`. NaN where
        too little is expected.
    p_differs : float64 array
        Of one odds ratio in all labels: what of that test is left after `p`'s. NaN where only one label says enough.
    z, delta : float64 array
        Log odds with an informative Dirichlet prior (Monroe et al. 2008), labels put together as above: share of the
        word among all words, so longer texts on one side do not count.
    about_group, about_label : float64 array
        I(word; side | label) / H(side | label) and I(word; label | side) / H(label | side), less what chance gives;
        chance may leave them slightly negative. NaN where there is one label.
    auc : float64 array
        Of the word's presence alone within labels, towards the side it goes with.
    labels : int64 array
        In how many labels it stands.
    top_share : float64 array
        Share of its documents in the label where it is most frequent.
    """

    first: Ints
    second: Ints
    log_odds: Floats
    low: Floats
    high: Floats
    slack: Floats
    p: Floats
    p_labels: Floats
    p_differs: Floats
    z: Floats
    delta: Floats
    about_group: Floats
    about_label: Floats
    auc: Floats
    labels: Ints
    top_share: Floats


def keyness(sides: Sides, *, level: float = LEVEL) -> Keyness:
    """Compute all figures of all words.

    Parameters
    ----------
    sides : Sides
        The contrast.
    level : float
        Of the interval of the odds ratio.

    Notes
    -----
    Documents are taken as independent. Labels with fewer than two documents on either side play no part. Where a word
    stands on one side only, half a document is added to each side in the labels where it stands.

    Examples
    --------
    >>> sides = Sides("x", "she", "he", ("a",), ("ballet",), np.array([[90], [100]]), np.array([[900], [900]]),
    ...               np.array([0]), np.array([0]), np.array([[30], [10]]))
    >>> found = keyness(sides)
    >>> round(float(np.exp(found.log_odds[0])), 6) == 30 * 90 / (60 * 10)
    True
    """
    cells = Cells.of(sides)
    a, b = sides.with_word.astype(np.float64)
    odds, spread = _mantel_haenszel(cells, a, b, cells.one, cells.other)
    reach = z_of(level) * spread
    expected, variance = cells.expected, cells.variance
    u, v = cells.sum(a - expected), cells.sum(variance)
    p_labels, p_differs = _by_label(cells, a)
    delta, error = _fightin(sides, cells, a, b)
    harmonic = float((cells.rows.prod(axis=0) / cells.rows.sum(axis=0)).sum())
    totals = cells.sum(a + b)
    most = np.zeros(len(sides.words))
    np.maximum.at(most, sides.word, a + b)
    about_group, about_label = information(sides, cells, a, b)
    return Keyness(
        first=cells.sum(a).astype(np.int64),
        second=cells.sum(b).astype(np.int64),
        log_odds=odds,
        low=odds - reach,
        high=odds + reach,
        slack=_slack(cells, a, b, sides.bound),
        p=_tail(cells, u, v),
        p_labels=p_labels,
        p_differs=p_differs,
        z=delta / error,
        delta=delta,
        about_group=about_group,
        about_label=about_label,
        auc=0.5 + 0.5 * np.abs(u) / max(harmonic, 1e-300),
        labels=np.bincount(sides.word, minlength=len(sides.words)),
        top_share=most / np.maximum(totals, 1),
    )


def _mantel_haenszel(cells: Cells, a: Floats, b: Floats, one: Floats, other: Floats) -> tuple[Floats, Floats]:
    """Log odds ratio and its standard error, of events a of one and b of other."""
    r, s = (cells.sum(part) for part in (a * (other - b), b * (one - a)))
    half = 0.5 * ((r <= 0) | (s <= 0))[cells.word]
    a, b, c, d = a + half, b + half, one - a + half, other - b + half
    n = a + b + c + d
    p, q, r, s = (a + d) / n, (b + c) / n, a * d / n, b * c / n
    R, S = cells.sum(r), cells.sum(s)
    variance = cells.sum(p * r) / (2 * R**2) + cells.sum(p * s + q * r) / (2 * R * S) + cells.sum(q * s) / (2 * S**2)
    return np.log(R / S), np.sqrt(variance)


def _slack(cells: Cells, a: Floats, b: Floats, bound: int) -> Floats:
    """The most that `bound` documents can take off the log odds ratio: all on the weaker side, in the worst label."""
    if not bound:
        return np.zeros(cells.words)
    r, s = cells.sum(a * (cells.other - b) / cells.n), cells.sum(b * (cells.one - a) / cells.n)
    first, second = bound * (cells.rows / cells.rows.sum(axis=0)).max(axis=1, initial=0)
    # A document more for the second side adds to s what it has rows of the first, and takes as much off r at most.
    gain = np.where(r >= s, first, second)
    stronger, weaker = np.maximum(r, s), np.minimum(r, s)
    known = (stronger > gain) & (weaker > 0)
    left, weaker = np.where(known, stronger - gain, 1.0), np.where(known, weaker, 1.0)
    result: Floats = np.log1p(gain / left) + np.log1p(gain / weaker)
    return np.where(known, result, np.inf)


def _tail(cells: Cells, u: Floats, v: Floats) -> Floats:
    """Two-sided p of the sum over labels.

    Given the margins the sum is a sum of independent yes-or-no draws (Vatutin & Mikhailov 1982), so the binomial
    distribution of the same mean and variance follows its tails where few are expected, and the normal one where many
    are. Of the four sums that say the same the one with the smallest mean is taken, of two such the larger p.
    """
    from scipy.special import betainc, ndtr

    certain = v <= 0
    v = np.where(certain, 1.0, v)
    normal = 2 * ndtr(-np.abs(u) / np.sqrt(v))
    # Labels without the word add nothing to the variance, so of them absence is left out as well.
    sums = np.stack([cells.sum(x) for x in (cells.expected, cells.m - cells.expected)])
    sums = np.concatenate([sums, np.stack([cells.sum(cells.one), cells.sum(cells.other)]) - sums])
    binomial = np.zeros(cells.words)
    for mean, sign in zip(sums, (1, -1, -1, 1), strict=True):
        at = np.flatnonzero((mean <= sums.min(axis=0) * (1 + 1e-9)) & ~certain)
        found, share = mean[at] + sign * u[at], 1 - v[at] / mean[at]
        draws = mean[at] / share
        upper = betainc(np.maximum(found, _TINY), np.maximum(draws - found + 1, _TINY), share)
        lower = betainc(np.maximum(draws - found, _TINY), found + 1, 1 - share)
        upper = np.where(found <= _TINY, 1.0, np.where(found >= draws + 1, 0.0, upper))
        lower = np.where(found >= draws, 1.0, lower)
        binomial[at] = np.maximum(binomial[at], np.minimum(1.0, 2 * np.minimum(upper, lower)))
    result: Floats = np.where(certain, 1.0, np.maximum(normal, binomial))
    return result


def _by_label(cells: Cells, a: Floats) -> tuple[Floats, Floats]:
    """Chi-square with a degree of freedom a label, and its part for differences between labels.

    Labels where little is expected share one degree of freedom.
    """
    from scipy.special import chdtrc

    difference, variance = a - cells.expected, cells.variance
    own = (np.minimum(cells.expected, cells.m - cells.expected) >= _OWN_DEGREE) & (variance > 0)
    square = cells.sum(np.where(own, difference**2 / np.where(variance > 0, variance, 1.0), 0.0))
    degrees = cells.sum(own.astype(np.float64))
    u, v = cells.sum(np.where(own, 0.0, difference)), cells.sum(np.where(own, 0.0, variance))
    shared = cells.sum(np.where(own, 0.0, np.minimum(cells.expected, cells.m - cells.expected))) >= _OWN_DEGREE
    square += np.where(shared, u**2 / np.where(v > 0, v, 1.0), 0.0)
    degrees += shared
    # The same labels, added up before squaring.
    told = own | shared[cells.word]
    u, v = cells.sum(np.where(told, difference, 0.0)), cells.sum(np.where(told, variance, 0.0))
    rest = np.maximum(square - u**2 / np.where(v > 0, v, 1.0), 0.0)
    return (
        np.where(degrees > 0, chdtrc(np.maximum(degrees, 1), square), np.nan),
        np.where(degrees > 1, chdtrc(np.maximum(degrees - 1, 1), rest), np.nan),
    )


def _fightin(sides: Sides, cells: Cells, a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Log odds with a Dirichlet prior of each label's own shares of words, and their standard error.

    The unit is a document with a word, and a side's total their sum over words, so sides whose texts are longer are not
    thereby fonder of every word. Labels are put together as Mantel and Haenszel do, since most words are rare in most.
    """
    pairs = sides.pairs.astype(np.float64)
    one, other = pairs[:, sides.label]
    worth = PRIOR * (one + other) / max(pairs.sum(), 1)
    share = cells.m / np.maximum(one + other, 1)
    return _mantel_haenszel(cells, a + worth * share, b + worth * share, one + worth, other + worth)
