"""Dose curves for people: the conclusion first, then a table a curve, 80 columns wide at most."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .dose_claim import number, spanned

if TYPE_CHECKING:
    from rich.console import RenderableType

    from .dose import Curve, DoseReport

_GUARDS = {"auc": "AUC", "macro_f1": "macro-F1"}


def _three(value: float, low: float, high: float, *, signed: bool = True) -> str:
    if math.isnan(value):
        return "?"
    ends = "" if math.isnan(low) else f" [{low:+.3f}, {high:+.3f}]" if signed else f" [{low:.3f}, {high:.3f}]"
    return (f"{value:+.3f}" if signed else f"{value:.3f}") + ends


def dose_table(report: DoseReport) -> RenderableType:
    """The report as a rich renderable.

    Parameters
    ----------
    report : DoseReport
        From `dose_report`.

    Returns
    -------
    rich renderable
    """
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    from .dose_claim import _sentence

    parts: list[RenderableType] = [Text(_sentence(report, curve), style="bold") for curve in report.curves]
    parts += [Text(claim.sentence) for claim in report.claims]
    for curve in report.curves:
        parts += [Text(""), *_curve(report, curve)]
    for one in report.differences:
        dose = spanned(one.smallest, one.smallest_low, one.smallest_high, signed=True)
        parts.append(
            Text(
                f"{one.first} minus {one.second}: smallest dose {dose}; slope "
                f"{_three(one.slope, one.slope_low, one.slope_high)}"
            )
        )
    parts += [Text(f"Note: {note}") for note in report.notes]
    return Padding(Group(*parts), 0, expand=False)


def _curve(report: DoseReport, curve: Curve) -> list[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    seeds = len(curve.seeds)
    named = "" if curve.upstream == "none" else f", {curve.upstream}"
    head = f"{report.plan} by {report.key}{named}; {seeds} seed{'s' * (seeds > 1)}, 95 % intervals"
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(report.key, justify="right", no_wrap=True)
    table.add_column("Gap", no_wrap=True)
    table.add_column("Fit", no_wrap=True)
    table.add_column(_GUARDS[report.guard], no_wrap=True)
    table.add_column("", no_wrap=True)
    for point in curve.points:
        marks = ["within"] * point.within + [f"{len(point.collapsed)} collapsed"] * bool(point.collapsed)
        table.add_row(
            Text(f"{point.level:g}"),
            Text(_three(point.gap, point.gap_low, point.gap_high)),
            Text(f"{point.fitted:+.3f}"),
            Text(_three(point.guard, point.guard_low, point.guard_high, signed=False)),
            Text(" ".join(marks)),
        )
    line = curve.line
    trend = "" if math.isnan(line.trend_p) else f", p of no fall {line.trend_p:.2g}"
    told = [
        f"slope {_three(line.slope.estimate, line.slope.low, line.slope.high)} for 1 of {report.key}{trend}",
        f"gap of 0 at {spanned(curve.crossing.estimate, curve.crossing.low, curve.crossing.high)} (monotone), "
        f"{spanned(line.crossing.estimate, line.crossing.low, line.crossing.high)} (line)",
    ]
    if curve.to_control is not None:
        dose = curve.to_control
        told.append(f"as low as scratch at the first level: {spanned(dose.estimate, dose.low, dose.high)}")
    if curve.raw is not None:
        told.append(f"all raw rows as they are: gap {_three(*curve.raw)}")
    if not math.isnan(curve.shown_within):
        told.append(f"whole interval within the margin first at {number(curve.shown_within)}")
    if stuck := [point for point in curve.points if point.saturated]:
        told.append(
            f"probe saturated at {len(stuck)} of {len(curve.points)} levels: most false-positive rates are at 0 or 1 "
            "and cannot move"
        )
    return [Text(head), table, *(Text(line) for line in told)]
