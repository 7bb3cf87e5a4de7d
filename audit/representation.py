"""Who is in the data, and how that compares with a reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..data.errors import InputError, suggest
from . import intervals
from .cells import AxisCells, Bools
from .emit import column, emit
from .findings import Finding, Settings
from .intervals import Interval

_NAMED = 60


def representation(cells: AxisCells, settings: Settings) -> list[Finding]:
    """Share of all rows that belong to the group, also of groups that never occur.

    Of an intersection all combinations of judged groups are there, and the axis as a whole.
    """
    groups: list[str | None] = [*cells.groups]
    chosen = cells.has
    combined = cells.combinations
    if combined is not None:
        groups += [*combined.absent, None]
        nobody = np.zeros((len(combined.absent), len(cells.patterns)), dtype=np.bool_)
        anybody = np.array([[bool(pattern) for pattern in cells.patterns]], dtype=np.bool_).reshape(1, -1)
        chosen = np.vstack([chosen, nobody, anybody])
    group, whole = cells.all.over(chosen), cells.all.sum(0)
    n = group.effective_of(whole)
    estimate = intervals.wilson(group.w / np.maximum(whole.w, 1e-300) * n, n, level=settings.level)
    rows = np.full(len(groups), int(whole.rows))

    def remark(g: int, _: int) -> str:
        if combined is None:
            return ""
        if groups[g] is None:
            return combined.remark
        return "n=0: no row has this combination" if groups[g] in combined.absent else ""

    return emit("representation", cells, groups, [None], column(estimate), rows[:, None], "Wilson", remark=remark)


def representation_ratio(cells: AxisCells, settings: Settings) -> list[Finding]:
    """Log ratio of the group's share to the reference share; of an intersection also of combinations without a row."""
    reference = settings.reference.get(cells.axis)
    if not reference:
        return []
    for name, wanted in reference.items():
        if name not in cells.groups and (cells.combinations is None or not cells.combinations.has(name)):
            known = [*cells.groups, *(() if cells.combinations is None else cells.combinations.absent)]
            raise InputError(
                f'reference.{cells.axis}: there is no group "{name}" on this axis.{suggest(name, known)} '
                f"Groups: {', '.join(known[:_NAMED])}{', ...' if len(known) > _NAMED else ''}."
            )
        if not 0 < wanted <= 1:
            raise InputError(f"reference.{cells.axis}.{name}: a share must be above 0 and at most 1; found {wanted}")
    groups = [name for name in cells.groups if name in reference]
    absent = [name for name in reference if name not in cells.groups]
    if cells.combinations is not None and absent:
        notes = {name: cells.combinations.note(name) for name in absent}
        cells = replace(cells, note=replace(cells.note, groups={**cells.note.groups, **notes}))
    groups += absent
    chosen = np.stack([cells.member(name) for name in groups])
    # Shares that add up to 1 are meant to be all there is: then only rows of these groups count.
    partition = abs(sum(reference.values()) - 1) < 1e-6
    among: Bools = np.ones((1, len(cells.patterns)), dtype=np.bool_)
    if partition:
        among &= chosen.any(axis=0)
    group, whole = cells.all.over(chosen), cells.all.over(among).sum(0)
    n = group.effective_of(whole)
    share = group.w / np.maximum(whole.w, 1e-300)
    target = np.log(np.array([reference[name] for name in groups]))
    _, low, high = intervals.wilson(share * n, n, level=settings.level)
    with np.errstate(divide="ignore"):
        ends = np.log(low) - target, np.log(high) - target
    estimate = Interval(np.log((share * n + 0.5) / (n + 0.5)) - target, *ends)
    rows = np.full((len(groups), 1), int(whole.rows))
    return emit("representation_ratio", cells, groups, [None], column(estimate), rows, "log of Wilson")
