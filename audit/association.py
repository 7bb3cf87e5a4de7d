"""How strongly labels go with groups, in one number."""

from __future__ import annotations

import numpy as np

from . import intervals
from .cells import AxisCells, Counts, Ints
from .emit import amount, is_judged
from .findings import LEVEL, MINIMUM_ROWS, Finding, Settings
from .intervals import Floats


def cramers_v(cells: AxisCells, settings: Settings) -> list[Finding]:
    """Cramér's V of groups and labels, over the axis and for each group against the rest."""
    if len(cells.labels) < 2:
        return []
    findings = []
    table, rows = axis_table(cells)
    findings.append(_v_finding(cells, None, table, rows, settings))
    for index, group in enumerate(cells.groups):
        inside = cells.has[index]
        split = cells.labelled.over(np.stack([inside, ~inside]))
        if split.rows[0].sum():
            findings.append(_v_finding(cells, group, *_pooled(split), settings))
    return findings


def _v_finding(cells: AxisCells, group: str | None, table: Floats, rows: Ints, settings: Settings) -> Finding:
    estimate, low, high, _ = intervals.cramers_v(table, level=settings.level)
    smallest = int(rows.min()) if len(rows) > 1 else 0
    thin = np.isnan(estimate) or (smallest if group is not None else int(rows.sum())) < MINIMUM_ROWS
    note = ""
    if np.isnan(estimate):
        note = f"insufficient: fewer than two groups or labels with {MINIMUM_ROWS} rows"
    elif thin:
        least = smallest if group is not None else int(rows.sum())
        note = f"insufficient: n<{MINIMUM_ROWS} ({amount(least, least)})"
    method = "Bergsma; noncentral chi-square, multinomial variance"
    return Finding(
        cells.axis,
        group,
        None,
        "cramers_v",
        estimate,
        low,
        high,
        int(rows.sum()),
        method,
        note=note,
        enough=not thin,
        judged=is_judged(cells, group),
    )


def axis_table(cells: AxisCells) -> tuple[Floats, Ints]:
    """Sets of status groups by labels: small sets and rare labels pooled, effective rows.

    An axis that contrasts two groups is reduced to the rows of one or the other.
    """
    if cells.pair:
        return _pooled(cells.labelled.over(cells.contrast()))
    status = frozenset(cells.status_groups)
    kept = [tuple(group for group in pattern if group in status) for pattern in cells.patterns]
    distinct = sorted(set(kept))
    chosen = np.array([[pattern == wanted for pattern in kept] for wanted in distinct], dtype=bool)
    return _pooled(cells.labelled.over(chosen.reshape(len(distinct), len(kept))))


def _pooled(counts: Counts) -> tuple[Floats, Ints]:
    """A table for Cramér's V: rows and then columns with fewer than 30 rows made one, scaled to effective rows."""

    def pool(part: Counts) -> Counts:
        small = part.rows.sum(axis=1) < MINIMUM_ROWS
        if small.sum() < 2:
            return part
        one = [np.vstack([value[~small], value[small].sum(axis=0)]) for value in (part.rows, part.w, part.w2)]
        return Counts(one[0], one[1], one[2])

    def turned(part: Counts) -> Counts:
        return Counts(part.rows.T, part.w.T, part.w2.T)

    table = turned(pool(turned(pool(counts))))
    whole = float(counts.sum(0).sum(0).w)
    return table.w * effective_of_table(table.w, table.w2) / max(whole, 1e-300), table.rows.sum(axis=1)


def effective_of_table(w: Floats, w2: Floats) -> float:
    """Effective rows of a weighted table for the hypothesis that its rows and columns are independent.

    Parameters
    ----------
    w, w2 : array of shape (rows, columns)
        Sums of the weights and of their squares.

    Notes
    -----
    Under independence φ² averages Σ w2_ij k_ij / W², k_ij = (1-r_i)(1-c_j) / r_i c_j, where r and c are the shares of
    the rows and columns. So the rows are worth W over Σ w2 k / Σ w k, the mean design effect (Rao and Scott 1981), and
    somewhat less where the cells' effects differ, so that the upper tail fits too (their second order). Weights that do
    not go with the cells give Kish's number, and equal ones exactly that.

    Examples
    --------
    >>> effective_of_table(np.array([[4.0, 6.0], [8.0, 2.0]]), np.array([[8.0, 12.0], [16.0, 4.0]]))
    10.0
    """
    whole, squares = float(w.sum()), float(w2.sum())
    plain = float(intervals.kish(whole, squares))
    if whole <= 0 or np.allclose(w2 * whole, w * squares, rtol=1e-9, atol=0):
        return plain
    inverse = [np.where(part > 0, whole / np.where(part > 0, part, 1.0) - 1, 0.0) for part in (w.sum(1), w.sum(0))]
    k = np.outer(*inverse)
    effect = float((w2 * k).sum()), float((w * k).sum())
    if min(effect) <= 0:
        return plain
    return whole * effect[1] / effect[0] / _uneven(w, w2)


def _uneven(w: Floats, w2: Floats) -> float:
    """How much further than a chi-square with the same mean the upper tail of one with uneven weights reaches."""
    from scipy.special import chdtri

    whole = float(w.sum())
    w, w2 = w[w.sum(axis=1) > 0][:, w.sum(axis=0) > 0], w2[w.sum(axis=1) > 0][:, w.sum(axis=0) > 0]
    df = (w.shape[0] - 1) * (w.shape[1] - 1)
    if df < 2:
        return 1.0
    r, c = w.sum(axis=1) / whole, w.sum(axis=0) / whole
    each = np.where(w > 0, w2 / np.where(w > 0, w, 1.0), float(w2.sum()) / whole)
    share = each * np.outer(r, c)
    of_rows, of_columns = ((np.diag(1 / part) - 1) for part in (r, c))
    mean = float((share * np.outer(of_rows.diagonal(), of_columns.diagonal())).sum())
    squares = float((share * (of_rows**2 @ share @ of_columns**2)).sum())
    spread = max(1.0, df * squares / mean**2)
    tail = (1 - LEVEL) / 2
    further = spread * float(chdtri(df / spread, tail)) / float(chdtri(df, tail))
    return max(1.0, float(further))
