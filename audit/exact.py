"""Measures that are counts of all rows, so that one row too many is seen; made only when a rule names them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .cells import AxisCells, Bools
from .findings import Finding, Settings
from .tally import Tally

METHOD = "count of all rows"


def exact(
    measure: str,
    count: int,
    rows: int,
    *,
    axis: str = "",
    group: str | None = None,
    note: str = "",
    judged: bool = True,
) -> Finding:
    """A finding without uncertainty: how many of `rows` rows; an axis of "" means the data as a whole.

    Examples
    --------
    >>> one = exact("ledger_mismatches", 2, 100)
    >>> one.id, one.low, one.high, one.n
    ('ledger_mismatches:::', 2.0, 2.0, 100)
    """
    value = float(count)
    return Finding(axis, group, None, measure, value, value, value, rows, METHOD, note=note, judged=judged)


def residual_terms(cells: AxisCells, _: Settings) -> list[Finding]:
    """Rows that hold an unambiguous word of the axis, and of each of its groups."""
    if cells.note.kind != "lexicon":
        return []
    rows = cells.all.rows
    total = int(rows.sum())
    plain = [at for at, group in enumerate(cells.groups) if not cells.note.groups[group].ambiguous]
    held: Bools = np.logical_or.reduce(cells.has[plain], axis=0)
    found = [exact("residual_terms", int(rows[held].sum()), total, axis=cells.axis)]
    for at in plain:
        group = cells.groups[at]
        count = int(rows[cells.has[at]].sum())
        found.append(exact("residual_terms", count, total, axis=cells.axis, group=group, judged=cells.judged(group)))
    return found


def of_all_rows(tally: Tally, measures: Iterable[str]) -> tuple[Finding, ...]:
    """Those that are about no axis."""
    if "invalid_weights" not in measures:
        return ()
    note = "these rows weigh 0 in everything else" if tally.bad_weights else ""
    return (exact("invalid_weights", tally.bad_weights, tally.rows, note=note),)
