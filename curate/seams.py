"""How the search asks resampling and reweighting for their numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.axes import Axis
from ..data.config import ResampleStep, ReweightStep
from ..data.errors import InputError
from . import resample, reweight
from .edits import Ints
from .tables import Table, holds
from .units import Floats


def wanted(step: ResampleStep, counts: Ints, *, table: Table, axis: Axis, positive: str | None, where: str) -> Ints:
    """Rows wanted of labels × patterns (× length buckets).

    Parameters
    ----------
    step : ResampleStep
        Its goal.
    counts : int64 array, labels × patterns × length buckets
        Rows there.
    table : Table
        Names of labels and patterns.
    axis : Axis
        Of the step.
    positive : str or None
        The positive label.
    where : str
        Beginning of messages.

    Raises
    ------
    InputError
        When the step cannot reach its goal.
    """
    names = axis.status_groups or tuple(sorted({name for pattern in table.patterns for name in pattern}))
    full: Any = getattr(resample, "wanted", None)
    if full is not None:
        found = full(
            step, counts, labels=table.labels, patterns=table.patterns, groups=names, positive=positive, where=where,
            pair=len(names) == 2 and axis.kind != "intersection",
        )  # fmt: skip
        want: Ints = found.want if found.want.shape[2] > 1 else found.want[:, :, 0]
        return want
    have: Ints = counts.sum(axis=2)
    if step.method == "mixed" or step.within or step.labels == "held" or (step.level, step.target) == (None, None):
        raise InputError(f"{where}not there yet")
    if step.level is None:
        return resample.to_independence(have, method=step.method, labels=table.labels, patterns=table.patterns).want
    if len(names) != 2:
        raise InputError(f"{where}level needs an axis with two groups")
    pair = (names[0], names[1])
    at = [table.patterns.index((name,)) if (name,) in table.patterns else -1 for name in pair]
    both = np.stack([have[:, one] if one >= 0 else np.zeros(len(have), np.int64) for one in at], axis=1)
    goal = resample.to_level(both, level=step.level, method=step.method, labels=table.labels, groups=pair).want
    want = have.copy()
    for column, one in enumerate(at):
        if one >= 0:
            want[:, one] = goal[:, column]
    return want


def factors(step: ReweightStep, mass: Floats, *, table: Table, where: str) -> Floats:
    """Factor of labels × patterns (× length buckets).

    Parameters
    ----------
    step : ReweightStep
        Its method and cap.
    mass : float64 array, labels × patterns × length buckets
        Sums of weights.
    table : Table
        Names of labels and patterns.
    where : str
        Beginning of messages.

    Raises
    ------
    InputError
        When there is nothing to weight.
    """
    full: Any = getattr(reweight, "factors", None)
    if full is not None:
        found = full(step, mass, patterns=table.patterns, where=where)
        factor: Floats = getattr(found, "factor", found)
        return factor if factor.ndim == 2 or factor.shape[2] > 1 else factor[:, :, 0]
    if step.method == "inverse-propensity" or step.within:
        raise InputError(f"{where}not there yet")
    flat: Floats = mass.sum(axis=2)
    if flat.sum() <= 0:
        raise InputError(f"{where}the weights of all rows are 0; choose another --weight")
    if step.method == "per-term":
        names = sorted({name for pattern in table.patterns for name in pattern})
        raw = reweight.per_term(flat, holds(table.patterns, names)).factor
    else:
        raw = reweight.kamiran_calders(flat)
    return reweight.capped(raw, flat, step.cap)
