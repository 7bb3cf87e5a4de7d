"""From arrays over groups and labels to findings, with the notes that say what a number is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from . import intervals
from .cells import AxisCells, Bools, Ints
from .findings import MINIMUM_ROWS, Finding
from .intervals import Floats, Interval
from .screening import luck, q_values


def emit(
    measure: str,
    cells: AxisCells,
    groups: Sequence[str | None],
    labels: Sequence[str | None],
    estimate: Interval,
    rows: Ints,
    method: str,
    *,
    effective: Floats | None = None,
    smallest: Ints | None = None,
    cells4: Floats | None = None,
    shown: Bools | None = None,
    only_enough: bool = False,
    p: Floats | None = None,
    stratum: str | None = None,
    remark: Callable[[int, int], str] | None = None,
) -> list[Finding]:
    """Findings of arrays of shape (groups, labels); those of groups without a row are left to `representation`.

    Parameters
    ----------
    measure, cells, groups, labels, estimate, rows, method
        What goes into every finding.
    effective, smallest : array, optional
        What decides whether there are rows enough, if that is not `rows`.
    cells4 : array, optional
        The smallest of the four cells of a comparison, as `comparison.counted_or_expected` has it.
    shown : bool array, optional
        Which cells to report at all.
    only_enough : bool
        Report only cells with rows enough: for measures beside which another reports the rest.
    p : array, optional
        Of the test that the estimate is 0 in truth; its cells are a family for `screening`, shown or not.
    stratum : str, optional
        The part of the rows that they are about.
    remark : callable, optional
        Row and column of a cell to what its note has to say besides.
    """
    smallest = rows if smallest is None else smallest
    worth = smallest if effective is None else np.minimum(smallest, effective)
    judged = np.array([is_judged(cells, group) for group in groups], dtype=np.bool_)
    family = (worth >= MINIMUM_ROWS - 1e-9) & judged[:, None]
    q = None if p is None else q_values(p, family)
    compared = int(family.sum())
    result = []
    for g, group in enumerate(groups):
        known = None if group is None else cells.note.groups.get(group)
        for k, label in enumerate(labels):
            if not rows[g, k] or (shown is not None and not shown[g, k]):
                continue
            thin = bool(worth[g, k] < MINIMUM_ROWS - 1e-9)
            few = cells4 is not None and bool(cells4[g, k] < intervals.SPARSE)
            if only_enough and (thin or few):
                continue
            notes = []
            if known is not None and known.ambiguous and not known.status:
                notes.append("ambiguous words; sets no status unless a rule names the group")
            elif known is not None and not known.status:
                notes.append("reported only; sets no status unless a rule names the group")
            if thin:
                notes.append(f"insufficient: n<{MINIMUM_ROWS} ({amount(smallest[g, k], worth[g, k])})")
            elif few:
                notes.append(
                    f"insufficient: a ratio needs {intervals.SPARSE} rows, counted or expected, with and without the "
                    "label on each side"
                )
            middle, low, high = (float(part[g, k]) for part in estimate)
            picked = None
            if q is not None and family[g, k] and not few and not np.isnan(q[g, k]):
                picked = float(q[g, k])
                notes.append(luck(picked, low, high, compared))
            notes.append("" if remark is None else remark(g, k))
            result.append(
                Finding(
                    cells.axis,
                    group,
                    label,
                    measure,
                    middle,
                    low,
                    high,
                    int(rows[g, k]),
                    method,
                    note="; ".join(note for note in notes if note),
                    enough=not (thin or few),
                    judged=bool(judged[g]),
                    p=None if p is None else float(p[g, k]),
                    q=picked,
                    stratum=stratum,
                )
            )
    return result


def amount(rows: int, worth: float) -> str:
    """A number of rows in words, and what they are worth if weights or pairs make it less."""
    said = f"{rows} row{'' if rows == 1 else 's'}"
    return said if worth >= rows - 1e-9 else f"{said} worth {worth:.1f} independent rows"


def is_judged(cells: AxisCells, group: str | None) -> bool:
    """Whether every rule may judge the group; an axis and a contrast always."""
    return group is None or group not in cells.note.groups or cells.judged(group)


def column(interval: Interval) -> Interval:
    """As arrays of shape (groups, 1)."""
    return Interval(*(np.atleast_1d(value)[:, None] for value in interval))


def row(interval: Interval) -> Interval:
    """As arrays of shape (1, labels)."""
    return Interval(*(np.atleast_1d(value)[None, :] for value in interval))
