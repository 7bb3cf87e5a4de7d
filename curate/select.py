"""From cells to units: copies, pools, selection and weights, decided from counts before a row is written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..data.config import ResampleStep, ReweightStep, SwapStep, TopupStep
from ..data.errors import InputError
from . import resample, reweight
from .adding import top_up
from .changes import Changer
from .edits import Ints
from .placebo import shuffled
from .prepare import Census, Prepared
from .state import Report, State
from .tables import Table, holds, tabulate
from .units import Floats, Pattern, Units, draw


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
    if step.level is None:
        columns = [" + ".join(pattern) or "no group" for pattern in table.patterns]
        group = table.pattern[state.units.cell]
    else:
        columns = _two_groups(state, step.axis, table, where)
        alone: dict[Pattern, int] = {(name,): code for code, name in enumerate(columns)}
        group = np.array([alone.get(pattern, -1) for pattern in table.patterns], np.int64)[
            table.pattern[state.units.cell]
        ]
    cell = np.where((label >= 0) & (group >= 0), label * len(columns) + group, -1)
    have = np.bincount(cell[cell >= 0], minlength=len(table.labels) * len(columns)).reshape(-1, len(columns))
    if step.level is None:
        wanted = resample.to_independence(have, method=step.method, labels=table.labels, patterns=table.patterns)
    else:
        pair = (columns[0], columns[1])
        wanted = resample.to_level(have, level=step.level, method=step.method, labels=table.labels, groups=pair)
    goal = wanted.want.reshape(-1)
    if state.aimed is not None:
        # As many of each label, whichever groups they are of.
        cell = label
        goal = np.array([state.aimed.reports[index]["labels"][name] for name in table.labels], np.int64)
    purpose = "placebo" if state.placebo else step.do
    times = draw(state.units.keys(), cell.astype(np.int32), goal, salt=(state.seed, purpose, index))
    _note_drops(state, index, times)
    before = state.units.n
    state.units = state.units.times(times, step=index)
    state.reports[index] = {
        "before": before,
        "after": state.units.n,
        "dropped": int((times == 0).sum()),
        "repeated": int(np.maximum(times - 1, 0).sum()),
        "labels": dict(
            zip(table.labels, _sizes(table.label[state.units.cell], len(table.labels)).tolist(), strict=True)
        ),
        "cells": [
            {"label": table.labels[row], "group": columns[column], "before": int(have[row, column]), "after": int(want)}
            for (row, column), want in np.ndenumerate(wanted.want)
            if want != have[row, column] and state.aimed is None
        ],
    }


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


def _two_groups(state: State, spec: str, table: Table, where: str) -> list[str]:
    groups = state.prepared.axes[spec].status_groups
    if groups is None:
        groups = tuple(sorted({name for pattern in table.patterns for name in pattern}))
    if len(groups) != 2:
        raise InputError(
            f'{where}level needs an axis with two groups, and "{spec}" has {len(groups)}; '
            'use target = "independent", which takes any number'
        )
    return list(groups)


def _reweight(state: State, index: int, step: ReweightStep) -> None:
    where = f"step {index + 1} ({step.do}): "
    table = _table(state, step.axis, where)
    mass = table.mass(state.units)
    if mass.sum() <= 0:
        raise InputError(f"{where}the weights of all rows are 0; choose another --weight")
    report: Report = {}
    if step.method == "per-term":
        names = sorted({name for pattern in table.patterns for name in pattern})
        member = holds(table.patterns, names)
        rated = reweight.rateable(mass, member)
        raked = reweight.per_term(mass, member)
        raw = raked.factor
        report = {
            "rounds": raked.rounds,
            "converged": raked.worst < 1e-6,
            "worst": raked.worst,
            "left_out": [name for at, name in enumerate(names) if at not in rated],
        }
    else:
        raw = reweight.kamiran_calders(mass)
    factor = reweight.capped(raw, mass, step.cap)
    flat = table.flat(state.units.cell)
    inside = flat >= 0
    own = np.ones(state.units.n)
    own[inside] = factor.reshape(-1)[flat[inside]]
    over = (raw > step.cap).reshape(-1)
    capped = int(over[flat[inside]].sum())
    label = table.label[state.units.cell]
    if state.aimed is None:
        state.factors[index] = (label, own)
    else:
        own = _dealt(state, state.aimed, index, label, own)
    weight = state.units.weight * own
    if (state.units.weight != 1).any():
        weight *= len(weight) / weight.sum()
    state.units = state.units.weighted(weight)
    after = table.mass(state.units)
    after *= mass.sum() / after.sum()
    state.reports[index] = report | {
        "cap": step.cap,
        "capped": capped,
        "empty_cells": int((mass == 0).sum()),
        "least": float(own.min()),
        "most": float(own.max()),
        "effective_rows": reweight.effective_size(weight),
        "label_off": float(np.abs(after.sum(axis=1) - mass.sum(axis=1)).max() / mass.sum()),
        "groups_off": float(np.abs(after.sum(axis=0) - mass.sum(axis=0)).max() / mass.sum()),
        "cramers_v": {"before": reweight.cramers_v(mass), "after": reweight.cramers_v(after)},
    }


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
