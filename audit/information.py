"""What labels and groups say about each other, in nats: PMI and NPMI of each pair, NMI of an axis."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from . import intervals
from .association import axis_table
from .cells import AxisCells
from .comparison import against_rest
from .emit import amount, emit
from .findings import LEVEL, MINIMUM_ROWS, Finding, Settings
from .intervals import Floats, Interval, VInterval


def pmi(cells: AxisCells, settings: Settings) -> list[Finding]:
    """Pointwise mutual information of group and label, of documents."""
    return _pointwise("pmi", cells, settings, pmi_of)


def npmi(cells: AxisCells, settings: Settings) -> list[Finding]:
    """Normalised pointwise mutual information of group and label, of documents."""
    return _pointwise("npmi", cells, settings, npmi_of)


def nmi(cells: AxisCells, settings: Settings) -> list[Finding]:
    """Mutual information of the axis and the labels over the geometric mean of their entropies."""
    if len(cells.labels) < 2:
        return []
    table, rows = axis_table(cells)
    found = nmi_interval(table, level=settings.level)
    n = int(rows.sum())
    note = ""
    if np.isnan(found.estimate):
        note = f"insufficient: fewer than two groups or labels with {MINIMUM_ROWS} rows"
    elif n < MINIMUM_ROWS:
        note = f"insufficient: n<{MINIMUM_ROWS} ({amount(n, n)})"
    return [
        Finding(
            cells.axis,
            None,
            None,
            "nmi",
            found.estimate,
            found.low,
            found.high,
            n,
            "Miller-Madow; noncentral chi-square, multinomial variance",
            note=note,
            enough=not note,
        )
    ]


def _pointwise(
    measure: str, cells: AxisCells, settings: Settings, function: Callable[[Floats, Floats, Floats], Floats]
) -> list[Finding]:
    found = against_rest(cells, settings)
    return emit(
        measure,
        cells,
        found.groups,
        found.labels,
        pointwise_interval(
            function, found.x1, found.n1, found.x2, found.n2, share=found.share, both=found.both, level=settings.level
        ),
        found.rows1,
        "MOVER of Wilson, +0.5",
        effective=found.effective,
        smallest=found.smallest,
        cells4=found.fewest,
        only_enough=True,
        p=found.p,
    )


def pmi_of(inside: Floats, outside: Floats, share: Floats) -> Floats:
    """PMI of a group and a label.

    Parameters
    ----------
    inside, outside : array
        Rate of the label among rows with the group and among rows without it.
    share : array
        Share of the rows with the group.

    Returns
    -------
    array
        ln P(y, a) / (P(y) P(a)); -inf where no row of the group has the label.

    Examples
    --------
    >>> round(float(pmi_of(np.array(0.2), np.array(0.1), np.array(0.25))), 4) == round(float(np.log(0.2 / 0.125)), 4)
    True
    """
    with np.errstate(divide="ignore"):
        result: Floats = np.log(inside) - np.log(share * inside + (1 - share) * outside)
    return result


def npmi_of(inside: Floats, outside: Floats, share: Floats) -> Floats:
    """NPMI of a group and a label: PMI over -ln P(y, a), from -1 (never together) over 0 to 1 (never apart).

    Parameters
    ----------
    inside, outside, share : array
        As in `pmi_of`.
    """
    joint = np.clip(share * inside, 0, 1 - 1e-15)
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Floats = np.where(joint > 0, pmi_of(inside, outside, share) / -np.log(joint), -1.0)
    return result


def pointwise_interval(
    function: Callable[[Floats, Floats, Floats], Floats],
    x1: npt.ArrayLike,
    n1: npt.ArrayLike,
    x2: npt.ArrayLike,
    n2: npt.ArrayLike,
    *,
    share: npt.ArrayLike | None = None,
    both: npt.ArrayLike | None = None,
    level: float = LEVEL,
) -> Interval:
    """A function of two rates and of the share of the first side, with an interval.

    Parameters
    ----------
    function : callable
        `pmi_of` or `npmi_of`.
    x1, n1, x2, n2 : array
        Rows with the label and all rows, with the group and without it; may be fractional.
    share, both : array, optional
        Of weighted rows: share of the weight with the group, and the effective rows of that share. Otherwise
        n1 / (n1 + n2) of n1 + n2 rows.
    level : float
        Confidence level.

    Notes
    -----
    Estimate at the rates (x+½)/(n+½), so that a cell without rows is shrunk to half a row. Interval: each of the three
    is moved to either end of its Wilson interval, and the moves of the function, upwards and downwards, are squared and
    added (MOVER, Zou and Donner 2008; given the totals the three are independent). In 20,000 draws of each of 477 cells
    of 300 to 200,000 rows it holds the truth 95.1 % of the time on average and 90 % at worst (rates of .001); the delta
    method falls to 80 %.

    Examples
    --------
    >>> [round(float(end), 3) for end in pointwise_interval(npmi_of, 30, 100, 80, 1000)]
    [0.307, 0.209, 0.398]
    """
    x1, n1, x2, n2 = (np.asarray(value, dtype=np.float64) for value in (x1, n1, x2, n2))
    x1, n1, x2, n2 = np.broadcast_arrays(x1, n1, x2, n2)
    empty = (n1 <= 0) | (n2 <= 0)
    n1, n2 = np.where(empty, 1.0, n1), np.where(empty, 1.0, n2)
    if share is None or both is None:
        with_group, both = n1, n1 + n2
    else:
        both = np.where(empty, 1.0, np.asarray(both, dtype=np.float64))
        with_group = np.asarray(share, dtype=np.float64) * both
    at = [(x1 + 0.5) / (n1 + 0.5), (x2 + 0.5) / (n2 + 0.5), with_group / both]
    estimate = function(*at)
    down, up = np.zeros(estimate.shape), np.zeros(estimate.shape)
    for k, (events, rows) in enumerate(((x1, n1), (x2, n2), (with_group, both))):
        _, *ends = intervals.wilson(events, rows, level=level)
        moves = [function(*(end if j == k else value for j, value in enumerate(at))) - estimate for end in ends]
        down += np.maximum(0, np.maximum(-moves[0], -moves[1])) ** 2
        up += np.maximum(0, np.maximum(moves[0], moves[1])) ** 2
    low, high = estimate - np.sqrt(down), estimate + np.sqrt(up)
    if function is npmi_of:
        low, high = np.maximum(low, -1), np.minimum(high, 1)
    return Interval(*(np.where(empty, np.nan, value) for value in (estimate, low, high)))


def nmi_interval(table: npt.ArrayLike, *, level: float = LEVEL) -> VInterval:
    """NMI of a table of counts, corrected for its bias, with an interval.

    Parameters
    ----------
    table : array of shape (rows, columns)
        Counts; may be fractional. Empty rows and columns are left out.
    level : float
        Confidence level.

    Returns
    -------
    VInterval
        NaN where fewer than two rows or columns are left.

    Notes
    -----
    Estimate: max(0, I - (r-1)(c-1)/2N) / √(H_r H_c), entropies with (r-1)/2N and (c-1)/2N added (Miller 1955). Under
    independence the plug-in I averages (r-1)(c-1)/2N, which is what permuting the labels gives. Interval: 2N·I follows
    the noncentral chi-square distribution nearly; its ends are found as for Cramér's V and pushed out where the
    multinomial variance of I / √(H_r H_c) is larger. It holds the truth 92 to 98 % of the time from 300 rows on, and
    more than that (it is too wide) where NMI is above a half.

    Examples
    --------
    >>> [round(value, 4) for value in nmi_interval([[30, 70], [80, 920]])]
    [0.0497, 0.021, 0.0946, 1100.0]
    >>> nmi_interval([[10, 90], [100, 900]]).estimate
    0.0
    """
    counts = np.asarray(table, dtype=np.float64)
    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    n = float(counts.sum())
    r, c = counts.shape
    if min(r, c) < 2 or n <= 1:
        return VInterval(np.nan, np.nan, np.nan, n)
    p = counts / n
    by_row, by_column = p.sum(axis=1, keepdims=True), p.sum(axis=0, keepdims=True)
    local = np.log(np.where(p > 0, p, 1.0) / np.where(p > 0, by_row * by_column, 1.0))
    own_row, own_column = -np.log(by_row), -np.log(by_column)
    shared = max(0.0, float((p * local).sum()))
    h_row, h_column = float((by_row * own_row).sum()), float((by_column * own_column).sum())
    df = (r - 1) * (c - 1)
    scale = float(np.sqrt((h_row + (r - 1) / (2 * n)) * (h_column + (c - 1) / (2 * n))))
    estimate = min(1.0, max(0.0, shared - df / (2 * n)) / scale)
    # The gradient of I / √(H_r H_c), times √(H_r H_c): the normaliser varies with the table too.
    plain = shared / float(np.sqrt(h_row * h_column))
    gradient = local - plain / 2 * (np.sqrt(h_column / h_row) * own_row + np.sqrt(h_row / h_column) * own_column)
    variance = float((p * gradient**2).sum() - (p * gradient).sum() ** 2)
    overdispersion = variance / (2 * shared) if shared > 1e-12 else 1.0
    lambda_low, lambda_high = intervals.noncentralities(2 * n * shared, df, overdispersion, level=level)
    low = min(estimate, lambda_low / (2 * n) / scale)
    return VInterval(estimate, low, max(estimate, min(1.0, lambda_high / (2 * n) / scale)), n)
