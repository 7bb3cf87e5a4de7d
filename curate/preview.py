"""What selection and weights would do to an audit's findings, computed from its counts before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from ..audit.cells import AxisCells
from ..audit.measures import findings_of
from ..audit.remedies import Remedy
from ..audit.tally import UNIT, Cell, CellKey, Pattern, Tally
from ..data.config import ResampleStep, ReweightStep
from ..data.errors import InputError
from .selection import resample, reweight
from .units import Floats

if TYPE_CHECKING:
    from ..audit.report import AuditReport

_SHOWN = ("label_log_ratio", "log_ratio_centred", "label_rate_gap", "cramers_v")

Factors = Mapping[tuple[str, Pattern], Fraction | float]


def preview(report: AuditReport) -> tuple[Remedy, ...]:
    """Say for each axis what reweighting and resampling would make of its findings.

    Parameters
    ----------
    report : AuditReport
        Of the raw data.

    Returns
    -------
    tuple of Remedy
        By axis: ``reweight`` (Kamiran and Calders, cap 10), and ``resample`` to equal groups within each label where
        the axis contrasts two groups, else to independence. A step that cannot be done is left out.

    Notes
    -----
    Exact up to the rounding of weights: the very cells of the tally are weighted or thinned and measured anew. Which
    rows a resampling keeps is decided by hash rank within cells, so the counts are what `curate` will write; length
    buckets of a cell are thinned in proportion here.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from evenset import audit, data
    >>> labels = ["nurse"] * 120 + ["judge"] * 40 + ["nurse"] * 40 + ["judge"] * 120
    >>> rows = {"text": ["She is kind."] * 160 + ["He is kind."] * 160, "label": labels}
    >>> report = audit.run(data.open(pa.table(rows), text="text", label="label"), ["pronouns"])
    >>> for remedy in preview(report):
    ...     print(f"{remedy.do}: V {remedy.before:.2f} to {remedy.after:.2f}; {remedy.cost}")
    reweight:pronouns: V 0.50 to 0.00; all rows stay, worth 240 of 320
    resample:pronouns,level=1: V 0.50 to 0.00; 160 of 320 rows go
    """
    tally = report.tally
    if len(tally.labels) < 2 or (report.source is not None and report.source.conversation is not None):
        return ()
    found = []
    for axis in tally.axes:
        for do, factors in _steps(tally, axis):
            changed = apply_factors(tally, axis, factors)
            scores = {f.id: f for f in findings_of(changed, report.settings, measures=_SHOWN) if f.axis == axis}
            before = report.scores.get(axis, {}).get("value")
            after = scores.get(f"cramers_v:{axis}::")
            if before is None or after is None:
                continue
            cells = [cell for key, cell in changed.cells[axis].items() if key[0] is not None]
            own = [cell for key, cell in tally.cells[axis].items() if key[0] is not None]
            found.append(
                Remedy(
                    axis=axis,
                    do=do,
                    rows=sum(cell.rows for cell in own),
                    kept=sum(cell.rows for cell in cells),
                    worth_before=_worth(own),
                    worth=_worth(cells),
                    before=before,
                    after=after.estimate,
                    estimates={name: finding.estimate for name, finding in scores.items()},
                )
            )
    return tuple(found)


def apply_factors(tally: Tally, axis: str, factors: Factors) -> Tally:
    """The tally as it would be: rows thinned where the factor is a fraction, weighted where it is a float.

    Parameters
    ----------
    tally : Tally
        The counts.
    axis : str
        Whose cells change.
    factors : mapping of (label, set of status groups) to factor
        Cells that are not named stay.

    Returns
    -------
    Tally
        With the cells of this axis changed; the other axes are as they were.
    """
    status = {group for group, note in tally.axes[axis].groups.items() if note.status}
    table: dict[CellKey, Cell] = {}
    seen: dict[tuple[str, Pattern], int] = {}
    for (label, pattern, bucket), cell in tally.cells[axis].items():
        place = None if label is None else (label, _reduced(pattern, status))
        factor = None if place is None else factors.get(place)
        if place is None or factor is None:
            changed = cell
        elif isinstance(factor, Fraction):
            # Rounded along the way, so that the parts of a cell add up to what is wanted of the whole.
            before = seen.get(place, 0)
            seen[place] = before + cell.rows
            rows = round(seen[place] * factor) - round(before * factor)
            changed = Cell(rows, round(cell.w * rows / cell.rows), round(cell.w2 * rows / cell.rows))
        else:
            changed = Cell(cell.rows, round(cell.w * factor), round(cell.w2 * factor * factor))
        table[label, pattern, bucket] = changed
    return replace(tally, cells={**tally.cells, axis: table})


def _worth(cells: Sequence[Cell]) -> float:
    """Effective rows (Kish)."""
    w, w2 = sum(cell.w for cell in cells), sum(cell.w2 for cell in cells)
    return w * w / (w2 * UNIT) if w2 else 0.0


def _reduced(pattern: Pattern, status: set[str]) -> Pattern:
    return tuple(group for group in pattern if group in status)


def _steps(tally: Tally, axis: str) -> Iterator[tuple[str, Factors]]:
    """Steps that can be done on an axis, with their factors."""
    labels, patterns, rows, mass = _table(tally, axis)
    if len(labels) < 2 or len(patterns) < 2 or not mass.sum():
        return
    weigh = ReweightStep(do="reweight", axis=axis)
    try:
        factor = reweight.factors(weigh, mass[:, :, None], patterns=patterns, labels=labels).factor[:, :, 0]
    except InputError:
        return  # one label only, or no weight at all
    yield (
        f"reweight:{axis}",
        {(label, pattern): float(factor[y, p]) for y, label in enumerate(labels) for p, pattern in enumerate(patterns)},
    )
    pair = AxisCells.of(tally, axis).pair
    if pair is None:
        step = ResampleStep(do="resample", axis=axis, target="independent")
        groups = sorted({name for pattern in patterns for name in pattern})
        do = f"resample:{axis},target=independent"
    else:
        step = ResampleStep(do="resample", axis=axis, level=1)
        groups = list(pair)
        do = f"resample:{axis},level=1"
    try:
        wanted = resample.wanted(step, rows[:, :, None], labels=labels, patterns=patterns, groups=groups, positive=None)
    except InputError:
        return  # nothing to drop or repeat that would reach it
    yield (
        do,
        {
            (labels[y], patterns[p]): Fraction(int(want), int(have))
            for (y, p, _), want in np.ndenumerate(wanted.want)
            if (have := wanted.have[y, p, 0])
        },
    )


def _table(tally: Tally, axis: str) -> tuple[list[str], list[Pattern], resample.Ints, Floats]:
    """Labels × sets of status groups: rows and weights."""
    status = {group for group, note in tally.axes[axis].groups.items() if note.status}
    labels = list(tally.labels)
    patterns = sorted({_reduced(pattern, status) for _, pattern, _ in tally.cells[axis]})
    place = {pattern: at for at, pattern in enumerate(patterns)}
    row = {label: at for at, label in enumerate(labels)}
    rows = np.zeros((len(labels), len(patterns)), np.int64)
    mass = np.zeros(rows.shape)
    for (label, pattern, _), cell in tally.cells[axis].items():
        if label is not None:
            at = row[label], place[_reduced(pattern, status)]
            rows[at] += cell.rows
            mass[at] += cell.w / UNIT
    return labels, patterns, rows, mass
