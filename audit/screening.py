"""Many findings at once: a test for each, and a correction for having looked at so many.

An audit of 50 terms and 28 labels makes 1,400 comparisons, of which 70 have p under 0.05 by luck alone. Of each finding
that has a test, `q` is the smallest share of false alarms at which it would still be picked from its family (Benjamini
and Hochberg 1995).

A family is all comparisons of one measure on one axis: all its groups that are judged and have 30 rows (of two groups:
all labels that have them), by all labels. Those with too few rows with the label to be judged, and those that are not
even listed, are of the family too: a cell gets its fifth row by luck as well, and who counts only the cells that got it
finds luck significant. What is left out is left out for its margins, not for what was found. Measures are not pooled,
since those of association test the same hypothesis, that a label is as frequent in a group as beside it, and would only
count it several times.

Statuses still compare the interval with the limit, and the correction only withholds: with q above 0.05 the near end of
`Finding.magnitude` is 0, so that the finding can pass or be unclear and neither warn nor fail. The interval alone does
not see to that. To warn, a cell without any bias has to be 1.96 + 0.2 / SE standard errors off. With 200 rows that have
the label (SE .07) that is never; but at the least that is reported, 5 rows (SE .43), it is 2.4, which happens to 15 of
1,000 such cells. After the correction 19 of 20 audits without any bias have no false alarm at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .findings import SCREEN
from .intervals import Floats

Bools = npt.NDArray[np.bool_]


def rate_test(x1: npt.ArrayLike, n1: npt.ArrayLike, x2: npt.ArrayLike, n2: npt.ArrayLike) -> Floats:
    """Two-sided p of the hypothesis that two proportions are equal.

    Parameters
    ----------
    x1, n1, x2, n2 : array
        Events and rows of either side; may be fractional.

    Returns
    -------
    array
        1 where a side has no rows, or nothing or everything is an event.

    Notes
    -----
    The larger of the p of Pearson's chi-square and that of the likelihood ratio, one degree of freedom. Each fails
    where the other holds: five events where one was expected have p .004 (exact), .005 (likelihood ratio) and .00006
    (chi-square); none where five were expected .007, .002 and .025.

    Examples
    --------
    >>> [round(float(p), 4) for p in rate_test([30, 30, 5], [100, 100, 100], [80, 300, 100], [1000, 1000, 10_000])]
    [0.0, 1.0, 0.0044]
    """
    from scipy.special import chdtrc, xlogy

    x1, n1, x2, n2 = (np.asarray(value, dtype=np.float64) for value in (x1, n1, x2, n2))
    x1, n1, x2, n2 = np.broadcast_arrays(x1, n1, x2, n2)
    whole = np.maximum(n1 + n2, 1e-300)
    rate = (x1 + x2) / whole
    likelihood, squares = np.zeros(rate.shape), np.zeros(rate.shape)
    for rows, events in ((n1, x1), (n2, x2)):
        for counted, expected in ((events, rate * rows), (rows - events, (1 - rate) * rows)):
            safe = np.where(expected > 0, expected, 1.0)
            likelihood += 2 * xlogy(counted, np.where(expected > 0, counted / safe, 1.0))
            squares += np.where(expected > 0, (counted - expected) ** 2 / safe, 0.0)
    p: Floats = chdtrc(1, np.maximum(np.minimum(likelihood, squares), 0))
    return p


def benjamini_hochberg(p: Sequence[float] | Floats) -> Floats:
    """The q-values of a family of tests.

    Notes
    -----
    q of the i-th smallest of m p-values: the least of m·p_j / j over all j from i on. Benjamini and Hochberg 1995;
    valid for independent tests and for those of groups and labels, which are positively dependent or nearly independent
    (Benjamini and Yekutieli 2001).

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03, 0.5]).round(3).tolist()
    [0.04, 0.053, 0.053, 0.5]
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    ranked = values[order] * len(values) / np.arange(1, len(values) + 1)
    result = np.empty(len(values))
    result[order] = np.minimum(np.minimum.accumulate(ranked[::-1])[::-1], 1.0)
    return result


def q_values(p: Floats, family: Bools) -> Floats:
    """The q of each cell of a family.

    Parameters
    ----------
    p : array
        Of each cell; NaN where there is no test.
    family : bool array of the same shape
        Which cells belong to it.

    Returns
    -------
    array
        NaN outside the family.

    Examples
    --------
    >>> q_values(np.array([0.01, 0.04, 0.5]), np.array([True, True, False])).round(3).tolist()
    [0.02, 0.04, nan]
    """
    result = np.full(p.shape, np.nan)
    held = family & np.isfinite(p)
    result[held] = benjamini_hochberg(p[held])
    return result


def luck(q: float, low: float, high: float, comparisons: int) -> str:
    """What the note of a finding has to say if its interval leaves 0 out and screening did not let it through.

    Examples
    --------
    >>> luck(0.31, 0.1, 0.9, 812)
    'one of 812 comparisons, q=0.31: may be luck'
    """
    return f"one of {comparisons:,} comparisons, q={q:.2g}: may be luck" if q > SCREEN and not low <= 0 <= high else ""
