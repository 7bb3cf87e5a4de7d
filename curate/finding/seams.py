"""How the search asks resampling and reweighting for their numbers."""

from __future__ import annotations

from ...data.axes import Axis
from ...data.config import ResampleStep, ReweightStep
from ..edits import Ints
from ..selection import resample, reweight
from ..selection.tables import Table
from ..units import Floats


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
    found = resample.wanted(
        step, counts, labels=table.labels, patterns=table.patterns, groups=names, positive=positive, where=where,
        pair=len(names) == 2 and axis.kind != "intersection", nearest=False,
    )  # fmt: skip
    want: Ints = found.want if found.want.shape[2] > 1 else found.want[:, :, 0]
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
    factor: Floats = reweight.factors(step, mass, patterns=table.patterns, where=where).factor
    return factor if factor.ndim == 2 or factor.shape[2] > 1 else factor[:, :, 0]
