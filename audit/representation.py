"""Who is in the data, and how that compares with a reference."""

from __future__ import annotations

import numpy as np

from ..data.errors import InputError, suggest
from . import intervals
from .cells import AxisCells, Bools
from .emit import column, emit
from .findings import Finding, Settings
from .intervals import Interval


def representation(cells: AxisCells, settings: Settings) -> list[Finding]:
    """Share of all rows that belong to the group, also of groups that never occur."""
    group, whole = cells.all.over(cells.has), cells.all.sum(0)
    n = whole.effective
    estimate = intervals.wilson(group.w / np.maximum(whole.w, 1e-300) * n, n, level=settings.level)
    rows = np.full(len(cells.groups), int(whole.rows))
    return emit("representation", cells, cells.groups, [None], column(estimate), rows[:, None], "Wilson")


def representation_ratio(cells: AxisCells, settings: Settings) -> list[Finding]:
    """Log ratio of the group's share to the reference share."""
    reference = settings.reference.get(cells.axis)
    if not reference:
        return []
    for name, wanted in reference.items():
        if name not in cells.groups:
            raise InputError(
                f'reference.{cells.axis}: there is no group "{name}" on this axis.{suggest(name, cells.groups)} '
                f"Groups: {', '.join(cells.groups)}."
            )
        if not 0 < wanted <= 1:
            raise InputError(f"reference.{cells.axis}.{name}: a share must be above 0 and at most 1; found {wanted}")
    groups = [name for name in cells.groups if name in reference]
    chosen = np.stack([cells.member(name) for name in groups])
    # Shares that add up to 1 are meant to be all there is: then only rows of these groups count.
    partition = abs(sum(reference.values()) - 1) < 1e-6
    among: Bools = np.ones((1, len(cells.patterns)), dtype=np.bool_)
    if partition:
        among &= chosen.any(axis=0)
    group, whole = cells.all.over(chosen), cells.all.over(among).sum(0)
    n = np.asarray(whole.effective)
    share = group.w / np.maximum(whole.w, 1e-300)
    target = np.log(np.array([reference[name] for name in groups]))
    _, low, high = intervals.wilson(share * n, n, level=settings.level)
    with np.errstate(divide="ignore"):
        ends = np.log(low) - target, np.log(high) - target
    estimate = Interval(np.log((share * n + 0.5) / (n + 0.5)) - target, *ends)
    rows = np.full((len(groups), 1), int(whole.rows))
    return emit("representation_ratio", cells, groups, [None], column(estimate), rows, "log of Wilson")
