"""How strongly labels go with groups, in one number."""

from __future__ import annotations

import numpy as np

from . import intervals
from .cells import AxisCells, Counts, Ints
from .emit import amount, is_judged
from .findings import MINIMUM_ROWS, Finding, Settings
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

    def pool(rows: Ints, w: Floats) -> tuple[Ints, Floats]:
        small = rows.sum(axis=1) < MINIMUM_ROWS
        if small.sum() < 2:
            return rows, w
        return (
            np.vstack([rows[~small], rows[small].sum(axis=0)]),
            np.vstack([w[~small], w[small].sum(axis=0)]),
        )

    rows, w = pool(counts.rows, counts.w)
    columns, w = pool(rows.T, w.T)
    whole = counts.sum(0).sum(0)
    return w.T * float(whole.effective) / max(float(whole.w), 1e-300), columns.T.sum(axis=1)
