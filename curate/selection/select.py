"""From cells to units: copies, pools, selection and weights, decided from counts before a row is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...audit.findings import MINIMUM_ROWS
from ...data.axes import Axis
from ...data.config import ResampleStep, ReweightStep, SwapStep, TopupStep
from ...data.errors import InputError
from ..changes import Changer
from ..edits import Ints
from ..placebo import shuffled
from ..prepare import Census, Prepared
from ..state import Report, State
from ..units import Floats, Pattern, Units, draw
from . import resample, reweight
from .adding import top_up
from .copying import as_copies
from .feasibility import feasibility
from .tables import Table, holds, tabulate

_AS_IT_WAS = 0.01
"""Cramér's V that has fallen by less than this is what it was."""

_OFTEN = 10  # rows written so many times say hardly more than once, and a model learns them by heart


def select(
    prepared: Prepared, changer: Changer, counted: Census, copies: dict[int, Units], *, positive: str | None
) -> State:
    """Run the steps of a plan that copy, add, drop or weight rows.

    Parameters
    ----------
    prepared : Prepared
        The rows.
    changer : Changer
        With the resolved plan, the seed, and whether placebos run in the steps' place.
    counted : Census
        All rows of the data.
    copies : dict of int to Units
        By index of an augmenting step, the copies that it makes.
    positive : str or None
        The positive label.

    Returns
    -------
    State
        After the last step.

    Raises
    ------
    InputError
        When a step cannot reach what it is told to.
    """
    state = State.start(prepared, changer, counted, positive)
    if changer.placebo:
        # A placebo does as much as the step itself would: so that is worked out first.
        state.aimed = select(prepared, replace(changer, placebo=False), counted, copies, positive=positive)
    for index, step in enumerate(changer.resolved.plan.step):
        if isinstance(step, SwapStep) and step.mode == "augment":
            made = copies[index]
            if changer.placebo:
                # A placebo changes no word of the lexicon, so its copies stay in the cells of their rows.
                made = replace(made, cell=counted.units.cell[made.position])
            state.join(made)
            state.reports[index] = {"copies": copies[index].n}
        elif isinstance(step, TopupStep):
            top_up(state, index, step)
        elif isinstance(step, ResampleStep):
            _resample(state, index, step)
        elif isinstance(step, ReweightStep):
            _reweight(state, index, step)
    return state


def _table(state: State, spec: str, where: str) -> Table:
    table = tabulate(state.cells, state.prepared.axes[spec])
    if not table.labels:
        raise InputError(f"{where}the data have no labels; name their column with --label")
    return table


def _resample(state: State, index: int, step: ResampleStep) -> None:
    where = f"step {index + 1} ({step.do}): "
    table = _table(state, step.axis, where)
    label = table.label[state.units.cell]
    counts = table.counts3(state.units)
    if not counts.any():
        raise InputError(f"{where}no row has a label, so there is nothing to drop or repeat")
    cells: dict[str, Any] = {
        "labels": table.labels,
        "patterns": table.patterns,
        "groups": status_groups(state.prepared.axes[step.axis], table.patterns),
        "positive": state.positive,
        # An intersection contrasts no two groups, even where it has two.
        "pair": False if state.prepared.axes[step.axis].kind == "intersection" else None,
    }
    report: Report = {"left": [], "notes": [], "cells": []}
    if state.aimed is None:

        def planned() -> tuple[resample.Wanted, Report]:
            wanted = resample.wanted(step, counts, where=where, **cells)
            return wanted, feasibility(counts, step=step, wanted=wanted, **cells).to_dict()

        # The same for every seed.
        known = (step.model_dump_json(), index, state.positive, tuple(table.patterns), tuple(table.labels))
        wanted, reach = state.prepared.remembered(("resample", *known, counts.tobytes()), planned)
        cell = table.flat3(state.units.cell) if wanted.have.shape[2] > 1 else table.flat(state.units.cell)
        times = draw(
            state.units.keys(), cell.astype(np.int32), wanted.want.reshape(-1), salt=(state.seed, step.do, index)
        )
        state.times[index] = (label, times)
        report = _said(index, step, wanted, cells) | {"feasibility": reach}
    else:
        times = _dealt_times(state, state.aimed, index, label)
    if not times.any():
        raise InputError(f"{where}no row would be left")
    _note_drops(state, index, times)
    before = state.units.n
    state.units = state.units.times(times, step=index)
    state.reports[index] = report | {
        "before": before,
        "after": state.units.n,
        "dropped": int((times == 0).sum()),
        "repeated": int(np.maximum(times - 1, 0).sum()),
        "labels": dict(
            zip(table.labels, _sizes(table.label[state.units.cell], len(table.labels)).tolist(), strict=True)
        ),
    }


def _said(index: int, step: ResampleStep, wanted: resample.Wanted, cells: dict[str, Any]) -> Report:
    """What a resampling leaves alone, what a reader should know, and the cells that it changes."""
    have, want = wanted.have.sum(axis=2), wanted.want.sum(axis=2)
    return {
        "left": list(wanted.left),
        "notes": [*_held_notes(index, step, wanted), *_left_notes(index, wanted, cells)],
        "cells": [
            {
                "label": cells["labels"][row],
                "group": " + ".join(cells["patterns"][column]) or "no group",
                "before": int(have[row, column]),
                "after": int(number),
            }
            for (row, column), number in np.ndenumerate(want)
            if number != have[row, column]
        ],
    }


def _held_notes(index: int, step: ResampleStep, wanted: resample.Wanted) -> list[str]:
    """What held labels are at a level, where rows are only dropped or only repeated: not their sizes before."""
    if step.labels == "equal":
        rows = int(wanted.want.sum())
        return [f"step {index + 1}: {rows:,} rows at every level, half of each label and half of each group"]
    if step.level is None or step.labels != "held" or step.method == "mixed":
        return []
    size = "rows × fewer / more" if step.method == "under" else "rows × more / fewer"
    return [
        f"step {index + 1}: labels are held at {size} of the two groups, {int(wanted.have.sum()):,} → "
        f'{int(wanted.want.sum()):,} rows at every level; method = "mixed" keeps their numbers'
    ]


def _left_notes(index: int, wanted: resample.Wanted, cells: dict[str, Any]) -> list[str]:
    """What was left alone, and which groups come to have too few rows to be judged."""
    notes = []
    present = np.flatnonzero(wanted.have.sum(axis=(1, 2)))
    if len(present) == 1:
        notes.append(
            f'step {index + 1}: every row has the same label "{cells["labels"][int(present[0])]}", so only the numbers '
            "of the groups change and no association; is --label the right column?"
        )
    if wanted.left:
        notes.append(f"step {index + 1} leaves what has too few rows for a ratio to be judged: {_named(wanted.left)}")
    held = holds(cells["patterns"], cells["groups"])
    before, after = (part.sum(axis=(0, 2)) @ held for part in (wanted.have, wanted.want))
    fewer = [
        name
        for name, had, has in zip(cells["groups"], before.tolist(), after.tolist(), strict=True)
        if has < MINIMUM_ROWS <= had
    ]
    if fewer:
        notes.append(f"after step {index + 1} an audit has fewer than {MINIMUM_ROWS} rows of: {_named(fewer)}")
    often = np.argwhere((wanted.have > 0) & (wanted.want > _OFTEN * wanted.have)).tolist()
    if often:
        times = {(row, column): 0.0 for row, column, _ in often}
        for row, column, at in often:
            each = float(wanted.want[row, column, at] / wanted.have[row, column, at])
            times[row, column] = max(times[row, column], each)
        named = [
            f"{cells['labels'][row]} × {' + '.join(cells['patterns'][column]) or 'no group'} ({each:,.0f} times)"
            for (row, column), each in sorted(times.items(), key=lambda item: (-item[1], item[0]))
        ]
        notes.append(f"step {index + 1} writes rows more than {_OFTEN} times on average: {_named(named)}")
    return notes


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _sizes(label: Ints, labels: int) -> Ints:
    return np.bincount(label[label >= 0], minlength=labels)


def _note_drops(state: State, index: int, times: Ints) -> None:
    """Remember which rows of the data are gone after this step."""
    units = state.units
    own = (units.position < state.before.n) & (units.variant == 0)
    there = np.zeros(state.before.n, np.bool_)
    there[units.position[own]] = True
    left = np.zeros(state.before.n, np.bool_)
    left[units.position[own & (times > 0)]] = True
    state.dropped_by[there & ~left] = index + 1


def status_groups(axis: Axis, patterns: Sequence[Pattern]) -> list[str]:
    """The groups of an axis that set a status, in its order; of a column those that occur."""
    groups = axis.status_groups
    if groups is None or axis.kind == "intersection":
        return sorted({name for pattern in patterns for name in pattern})
    return list(groups)


def _reweight(state: State, index: int, step: ReweightStep) -> None:
    where = f"step {index + 1} ({step.do}): "
    table = _table(state, step.axis, where)
    mass = table.mass3(state.units)
    found = reweight.factors(step, mass, patterns=table.patterns, labels=table.labels, where=where)
    flat = table.flat3(state.units.cell)
    inside = flat >= 0
    own = np.ones(state.units.n)
    own[inside] = found.spread(mass.shape[2]).reshape(-1)[flat[inside]]
    over = (np.broadcast_to(found.raw, mass.shape) > step.cap).reshape(-1)
    capped = int(over[flat[inside]].sum())
    label = table.label[state.units.cell]
    notes = [f"step {index + 1}: {note}" for note in [*found.notes, *_stuck(found.report, mass, table)]]
    if not inside.all():
        keep = "are neither dropped nor repeated" if step.as_copies else "keep weight 1"
        notes.append(f"step {index + 1}: {int((~inside).sum()):,} rows without a label {keep}")
    before = state.units.n
    report: Report = dict(found.report)
    if step.as_copies:
        weight = _copied(state, index, step, table, label, own, flat)
        report |= {"before": before, "after": state.units.n, **state.copied[index]}
    else:
        if state.aimed is None:
            state.factors[index] = (label, own)
        else:
            own = _dealt(state, state.aimed, index, label, own)
        weight = state.units.weight * own
        if (state.units.weight != 1).any():
            weight *= len(weight) / weight.sum()
        state.units = state.units.weighted(weight)
        notes.append(
            f'step {index + 1} changes no row: the trainer must use column "weight"; as_copies = true makes rows of it'
        )
    after = table.mass3(state.units)
    after *= mass.sum() / max(float(after.sum()), 1e-300)
    flattened = [part.sum(axis=2) for part in (mass, after)]
    state.reports[index] = report | {
        "capped": capped,
        "least": float(own.min()),
        "most": float(own.max()),
        "effective_rows": reweight.effective_size(_per_row(state.units, weight)),
        "label_off": float(np.abs(after.sum(axis=(1, 2)) - mass.sum(axis=(1, 2))).max() / mass.sum()),
        "groups_off": float(np.abs(after.sum(axis=(0, 2)) - mass.sum(axis=(0, 2))).max() / mass.sum()),
        "cramers_v": {
            "before": reweight.cramers_v(flattened[0]),
            "after": reweight.cramers_v(flattened[1]),
            "planned": report["cramers_v"],
        },
        "notes": notes if state.aimed is None else [],
    }


def _stuck(report: Report, mass: Floats, table: Table) -> list[str]:
    """That weights leave an association as it was, where cells without rows cannot be given any."""
    flat = mass.sum(axis=2)
    labels, patterns = (np.flatnonzero(flat.sum(axis=axis) > 0) for axis in (1, 0))
    empty = [(row, column) for row in labels for column in patterns if flat[row, column] == 0]
    if not empty or report["cramers_v"] < reweight.cramers_v(flat) - _AS_IT_WAS:
        return []
    named = "; ".join(
        f"no row of {' + '.join(table.patterns[column]) or 'no group'} with label {table.labels[row]}"
        for row, column in empty[:3]
    )
    return [f"cannot be made independent: {named}{f' and {len(empty) - 3} more' if len(empty) > 3 else ''}"]


def _copied(state: State, index: int, step: ReweightStep, table: Table, label: Ints, own: Floats, flat: Ints) -> Floats:
    """Rows in place of weights: dropped and repeated in proportion to the factors."""
    if state.aimed is None:
        buckets = range(table.buckets)
        names = [
            "\x1f".join((name, *pattern, str(bucket)))
            for name in table.labels
            for pattern in table.patterns
            for bucket in buckets
        ]
        times = as_copies(own, flat, names, state.units.keys(), salt=(state.seed, step.do, index))
        state.times[index] = (label, times)
    else:
        times = _dealt_times(state, state.aimed, index, label)
    if not times.any():
        raise InputError(f"step {index + 1} ({step.do}): no row would be left")
    _note_drops(state, index, times)
    state.units = state.units.times(times, step=index)
    state.copied[index] = {"dropped": int((times == 0).sum()), "repeated": int(np.maximum(times - 1, 0).sum())}
    return state.units.weight


def _per_row(units: Units, weight: Floats) -> Floats:
    """The weight of each row and copy with all its repetitions: what is repeated says nothing new."""
    if not units.repeat.any():
        return weight
    return np.add.reduceat(weight, np.flatnonzero(units.repeat == 0))


def _dealt_times(state: State, aimed: State, index: int, label: Ints) -> Ints:
    """How often the real step writes rows, dealt out anew within each label, at random."""
    there, times = aimed.times[index]
    inside = label >= 0
    keys = state.units.keys()[inside]
    mine, dealt = label[inside], np.ones(len(label), np.int64)
    times, there = times[there >= 0], there[there >= 0]
    if np.array_equal(np.sort(there), np.sort(mine)):
        value = np.empty(len(mine))
        # In canonical order within each label, so that nothing depends on the order of the rows.
        value[np.lexsort((keys, mine))] = times[np.lexsort((times, there))]
        own = shuffled(value, mine.astype(np.int32), keys, salt=(state.seed, "placebo", index))
        dealt[inside] = own.astype(np.int64)
        return dealt
    # A placebo before this one had fewer rows to give: as many of each label as far as it goes.
    goal = np.bincount(there, weights=times, minlength=int(max(label.max(), there.max())) + 1).astype(np.int64)
    goal[np.bincount(mine, minlength=len(goal)) == 0] = 0
    return draw(state.units.keys(), label.astype(np.int32), goal, salt=(state.seed, "placebo", index))


def _dealt(state: State, aimed: State, index: int, label: Ints, own: Floats) -> Floats:
    """The factors of the real step dealt out anew within each label, at random."""
    inside = label >= 0
    there, factors = aimed.factors[index]
    factors, there = factors[there >= 0], there[there >= 0]
    keys = state.units.keys()[inside]
    order = np.argsort(label[inside], kind="stable")
    value = own[inside]
    if np.array_equal(np.sort(there), label[inside][order]):
        # In canonical order within each label, so that nothing depends on the order of the rows.
        value[np.lexsort((keys, label[inside]))] = factors[np.lexsort((factors, there))]
    dealt = own.copy()
    dealt[inside] = shuffled(value, label[inside].astype(np.int32), keys, salt=(state.seed, "placebo", index))
    return dealt
