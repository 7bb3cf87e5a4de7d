"""The figure of a search: rows touched against bias left, one point a plan."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...data.config import ResampleStep, ReweightStep, Step, SwapStep
from .candidates import Candidate
from .until import Standing

if TYPE_CHECKING:
    from .found import Found


def kind_of(candidate: Candidate) -> str:
    """The family that a plan belongs to: plans of one family differ in a strength only."""
    return " then ".join(map(_kind, candidate.plan.step))


def _kind(step: Step) -> str:
    if isinstance(step, ResampleStep):
        goal = next(name for name in ("level", "log_ratio", "rate", "target") if getattr(step, name) is not None)
        return f"resample {step.method}, {'independent' if goal == 'target' else goal}"
    if isinstance(step, ReweightStep):
        return f"reweight {step.method}"
    return f"{step.do} {step.mode} {step.to}" if isinstance(step, SwapStep) else step.do


def points(found: Found) -> dict[str, list[tuple[int, float]]]:
    """For each family the plans that can be done: rows touched and bias left, as `left` measures it.

    Those that touch the same number of rows and leave the same bias are one point; those that make a finding vanish
    are none.
    """
    families: dict[str, set[tuple[int, float]]] = {}
    for one in found.candidates:
        bias = left(one.standings)
        if one.touched and math.isfinite(bias):
            families.setdefault(kind_of(one), set()).add((one.touched, bias))
    return {name: sorted(families[name]) for name in sorted(families)}


def left(standings: Sequence[Standing]) -> float:
    """The bias left: of one limit the size of the worst finding, of several how many times its limit the worst is."""
    if any(one.lost for one in standings):
        return math.inf
    if len(standings) == 1:
        return standings[0].size
    return max((one.excess for one in standings), default=math.inf)


def draw(found: Found, folder: Path) -> None:
    """Write tradeoff.svg and tradeoff.png.

    Raises
    ------
    InputError
        When the extra `figures` is not installed, or the folder cannot be written.
    """
    from ...audit.figures import BLACK, figure

    limits = [one.limit for one in found.before]
    one = limits[0] if len(limits) == 1 else None
    before, limit = left(found.before), 1.0 if one is None else one.value
    series = points(found)
    said = "no plan keeps the limits"
    if found.best is not None:
        said = f"the plan that was found touches {found.best.touched:,} and leaves {left(found.best.standings):.3g}"
    drawn = figure(
        "Bias left against rows touched",
        x=f"rows touched, of {found.rows:,}",
        y="farthest finding, in times its limit" if one is None else f"largest absolute {one.measure}",
        alt=f"Plans by rows touched and by bias left ({', '.join(each.text for each in limits)}): "
        f"the data as they are have {before:.3g}; {said}.",
        size=(7.0, 4.4),
    )
    for name, those in series.items():
        drawn.line([x for x, _ in those], [y for _, y in those], name, linewidth=0.8, markersize=4)
    if math.isfinite(before):
        drawn.axes.axhline(before, color=BLACK, linewidth=1, linestyle=":", label=f"data as they are: {before:.3g}")
    named = "limit" if one is None else one.text
    drawn.axes.axhline(limit, color=BLACK, linewidth=1, linestyle="--", label=named)
    if found.best is not None and found.best.touched:
        place = [found.best.touched], [left(found.best.standings)]
        drawn.axes.scatter(*place, s=120, facecolor="none", edgecolor=BLACK, linewidth=1.5, zorder=5, label="found")
    drawn.axes.set_ylim(bottom=0)
    if series:  # a plan that touches 2 % of the rows and one that touches all belong into one picture
        drawn.axes.set_xscale("log")
        drawn.axes.xaxis.set_major_formatter("{x:,.0f}")
    drawn.legend()
    drawn.save(folder, "tradeoff")
