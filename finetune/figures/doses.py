"""Gap and worth against the dose, one curve an upstream."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .common import (
    BAND,
    BLACK,
    GREY,
    GUARDS,
    SMALL,
    Json,
    colour,
    drawn,
    known,
    marker,
    named,
    number,
    what_gap,
)

NAME = "doses"
_CALLED = {"pretrained": "pre-trained", "random": "from scratch", "none": "model"}
_KEYS = {
    "level": "level: 0 raw, 1 balanced, 2 mirrored",
    "log_ratio": "largest log ratio left in the data (less is more change)",
    "rate": "share of the positive label in every group",
}


def draw_doses(report: Json, folder: str | Path) -> list[Path]:
    """Draw ``doses``: the gap above, the worth below, both against the level.

    Parameters
    ----------
    report : mapping
        Contents of dose.json.
    folder : path
        Gets ``doses.svg`` and ``doses.png``.

    Returns
    -------
    list of Path
        Empty where there is no curve.
    """
    curves = [
        (curve, [point for point in curve.get("points") or () if known(point.get("level"), point.get("gap"))])
        for curve in report.get("curves") or ()
    ]
    curves = [(curve, points) for curve, points in curves if len(points) > 1]
    if not curves:
        return []
    margin: Any = (report.get("margins") or {}).get("margin")
    title = _title(report, [curve for curve, _ in curves])
    has_worth = any(known(point.get("guard")) for _, points in curves for point in points)
    key = str(report.get("key"))
    made = drawn(title, x="", y="", alt=_alt(title, report, curves), height=5.0 if has_worth else 3.9)
    made.axes.remove()
    grid = made.canvas.add_gridspec(2, 1, height_ratios=(2.3, 1)) if has_worth else made.canvas.add_gridspec(1, 1)
    top = made.canvas.add_subplot(grid[0])
    made.axes = top
    low = made.canvas.add_subplot(grid[1], sharex=top) if has_worth else None
    if known(margin):
        top.axhspan(-margin, margin, color=BAND, zorder=0)
        top.annotate(f"within {margin:g}", (0, margin), xycoords=("axes fraction", "data"), xytext=(3, 2),
                     textcoords="offset points", ha="left", va="bottom", fontsize=SMALL, color=GREY)  # fmt: skip
    top.axhline(0, color=BLACK, linewidth=1)
    levels = sorted({point["level"] for _, points in curves for point in points})
    nudge = 0.012 * (levels[-1] - levels[0])
    for at, (_, points) in enumerate(curves):
        shift = nudge * (at - (len(curves) - 1) / 2)
        x = [point["level"] + shift for point in points]
        style: dict[str, Any] = {"color": colour(at), "zorder": 3}
        bars = [point for point in points if known(point.get("gap_low"), point.get("gap_high"))]
        top.vlines([point["level"] + shift for point in bars], [point["gap_low"] for point in bars],
                   [point["gap_high"] for point in bars], linewidth=1.1, alpha=0.7, **style)  # fmt: skip
        top.plot(x, [point["gap"] for point in points], marker=marker(at), markersize=5.5, linestyle="none", **style)
        if all(known(point.get("fitted")) for point in points):
            top.plot([point["level"] for point in points], [point["fitted"] for point in points],
                     linewidth=1.6, linestyle=("-", "--", ":", "-.")[at % 4], **style)  # fmt: skip
        if low is not None:
            _worth(low, points, shift, at)
    _smallest(top, [curve for curve, _ in curves], levels, backwards=key == "log_ratio")
    if len(curves) > 1:
        _legend(top, [curve for curve, _ in curves])
    top.set_ylabel(what_gap(report))
    bottom = top if low is None else low
    bottom.set_xlabel(_KEYS.get(key, key))
    if key == "log_ratio":
        bottom.invert_xaxis()
    if low is not None:
        top.tick_params(labelbottom=False)
        low.set_ylabel(GUARDS.get(str(report.get("guard")), str(report.get("guard"))))
        low.locator_params(axis="y", nbins=4)
    return made.save(folder, NAME)


def _worth(axes: Any, points: Sequence[Json], shift: float, at: int) -> None:
    there = [point for point in points if known(point.get("guard"))]
    bars = [point for point in there if known(point.get("guard_low"), point.get("guard_high"))]
    axes.vlines([point["level"] + shift for point in bars], [point["guard_low"] for point in bars],
                [point["guard_high"] for point in bars], color=colour(at), linewidth=1.1, alpha=0.7)  # fmt: skip
    axes.plot([point["level"] + shift for point in there], [point["guard"] for point in there], color=colour(at),
              marker=marker(at), markersize=4.5, linewidth=1.2, linestyle=("-", "--", ":", "-.")[at % 4])  # fmt: skip


def _smallest(axes: Any, curves: Sequence[Json], levels: Sequence[float], *, backwards: bool) -> None:
    """A bar at the foot for the smallest dose of each curve; it runs off where no level is enough."""
    found = [(at, curve["smallest"]) for at, curve in enumerate(curves) if curve.get("smallest")]
    found = [(at, dose) for at, dose in found if known(dose["low"]) or known(dose["estimate"])]
    if not found:
        return
    bottom, top = axes.get_ylim()
    step = 0.075 * (top - bottom)
    for place_, (at, dose) in enumerate(found):
        y = bottom - step * (place_ + 1.2)
        first = dose["low"] if known(dose["low"]) else dose["estimate"]
        is_open = not known(dose["high"])
        last = (levels[0] if backwards else levels[-1]) if is_open else dose["high"]
        axes.plot([first, last], [y, y], color=colour(at), linewidth=4, alpha=0.35, solid_capstyle="butt")
        if known(dose["estimate"]):
            axes.plot([dose["estimate"]], [y], marker="|", markersize=9, markeredgewidth=2, color=colour(at))
    ends = "; no end: no level is enough" if any(not known(dose["high"]) for _, dose in found) else ""
    axes.text(
        (levels[0] + levels[-1]) / 2, bottom - step * 0.25, "smallest dose within, 95 %" + ends,
        ha="center", va="center", fontsize=SMALL, color=GREY,
    )  # fmt: skip
    axes.set_ylim(bottom - step * (len(found) + 1.1), top)


def _legend(axes: Any, curves: Sequence[Json]) -> None:
    """Names in the figure, each in the colour and with the marker of its curve, where the curves leave room."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour(at), marker=marker(at), markersize=5.5, linestyle=("-", "--", ":", "-.")[at % 4],
               label=_name(curve))
        for at, curve in enumerate(curves)
    ]  # fmt: skip
    axes.legend(handles=handles, loc="best", fontsize=SMALL, frameon=True, framealpha=0.85, edgecolor="none")


def _name(curve: Json) -> str:
    up = str(curve.get("upstream"))
    return _CALLED.get(up, named(up, 18))


def _title(report: Json, curves: Sequence[Json]) -> str:
    key, margin = report.get("key"), (report.get("margins") or {}).get("margin")
    parts = []
    for curve in curves[:3]:
        dose = curve.get("smallest") or {}
        name = "" if len(curves) == 1 else f"{_name(curve)}: "
        if known(dose.get("estimate")):
            parts.append(f"{name}{key} {number(dose['estimate'])}")
        elif dose.get("estimate") == "beyond":
            parts.append(f"{name}no {key} tried" if len(curves) == 1 else f"{name}more than was tried")
        else:
            parts.append(f"{name}not known")
    within = f"within {margin:g} of 0" if known(margin) else "near 0"
    if len(curves) == 1 and parts[0].startswith("no "):
        return f"No {key} that was tried brings the gap {within}"
    if len(curves) == 1:
        return f"It takes {parts[0]} to bring the gap {within}"
    return f"To bring the gap {within} it takes: " + "; ".join(parts)


def _alt(title: str, report: Json, curves: Sequence[tuple[Json, Sequence[Json]]]) -> str:
    said = []
    for curve, points in curves:
        first, last = points[0], points[-1]
        ends = f"{number(first['gap'])} at {first['level']:g}, {number(last['gap'])} at {last['level']:g}"
        said.append(f"{_name(curve)}: gap {ends}")
        dose = curve.get("smallest") or {}
        if known(dose.get("estimate"), dose.get("low")):
            end = number(dose["high"]) if known(dose.get("high")) else "beyond"
            said[-1] += f", smallest dose {number(dose['estimate'])} ({number(dose['low'])} to {end})"
    return f"{title}. {named(report.get('plan'))} by {report.get('key')}. {'; '.join(said)}."
