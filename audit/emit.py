"""From arrays over groups and labels to findings, with the notes that say what a number is worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import intervals
from .cells import AxisCells, Ints
from .findings import MINIMUM_ROWS, Finding
from .intervals import Floats, Interval


def emit(
    measure: str,
    cells: AxisCells,
    groups: Sequence[str],
    labels: Sequence[str | None],
    estimate: Interval,
    rows: Ints,
    method: str,
    *,
    effective: Floats | None = None,
    smallest: Ints | None = None,
    cells4: Floats | None = None,
) -> list[Finding]:
    """Findings of arrays of shape (groups, labels); those of groups without a row are left to `representation`."""
    smallest = rows if smallest is None else smallest
    worth = smallest if effective is None else np.minimum(smallest, effective)
    result = []
    for g, group in enumerate(groups):
        known = cells.note.groups.get(group)
        for k, label in enumerate(labels):
            if not rows[g, k]:
                continue
            thin = bool(worth[g, k] < MINIMUM_ROWS - 1e-9)
            notes = []
            if known is not None and known.ambiguous and not known.status:
                notes.append("ambiguous words; sets no status unless a rule names the group")
            elif known is not None and not known.status:
                notes.append("reported only; sets no status unless a rule names the group")
            few = cells4 is not None and bool(cells4[g, k] < intervals.SPARSE)
            if thin:
                notes.append(f"insufficient: n<{MINIMUM_ROWS} ({amount(smallest[g, k], worth[g, k])})")
            elif few:
                notes.append(
                    f"insufficient: a ratio needs {intervals.SPARSE} rows with and without the label on each side"
                )
            result.append(
                Finding(
                    cells.axis,
                    group,
                    label,
                    measure,
                    float(estimate.estimate[g, k]),
                    float(estimate.low[g, k]),
                    float(estimate.high[g, k]),
                    int(rows[g, k]),
                    method,
                    note="; ".join(notes),
                    enough=not (thin or few),
                    judged=is_judged(cells, group),
                )
            )
    return result


def amount(rows: int, worth: float) -> str:
    """A number of rows in words, and what they are worth if weights make it less."""
    said = f"{rows} row{'' if rows == 1 else 's'}"
    return said if worth >= rows - 1e-9 else f"{said} worth {worth:.1f} after weighting"


def is_judged(cells: AxisCells, group: str | None) -> bool:
    """Whether every rule may judge the group; an axis and a contrast always."""
    return group is None or group not in cells.note.groups or cells.judged(group)


def column(interval: Interval) -> Interval:
    """As arrays of shape (groups, 1)."""
    return Interval(*(np.atleast_1d(value)[:, None] for value in interval))


def row(interval: Interval) -> Interval:
    """As arrays of shape (1, labels)."""
    return Interval(*(np.atleast_1d(value)[None, :] for value in interval))
