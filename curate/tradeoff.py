"""The figure of a search: rows touched against bias left, one panel a limit, one point a plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .candidates import Candidate

if TYPE_CHECKING:
    from .found import Found

_PANELS = 4


def kind_of(candidate: Candidate) -> str:
    """The family that a plan belongs to, by which points are coloured."""
    return " then ".join(
        f"{step.do} ({step.method})" if hasattr(step, "method") else step.do for step in candidate.plan.step
    )


def points(found: Found, limit: int) -> dict[str, list[tuple[int, float, bool]]]:
    """For each family the plans that can be done: rows touched, size of the worst finding, whether all limits are kept.

    Those that touch the same number of rows and leave the same bias are one point.
    """
    families: dict[str, set[tuple[int, float, bool]]] = {}
    for one in found.candidates:
        if one.touched is not None and not one.standings[limit].lost:
            families.setdefault(kind_of(one), set()).add((one.touched, one.standings[limit].size, one.reaches))
    return {name: sorted(families[name]) for name in sorted(families)}


def draw(found: Found, folder: Path) -> None:
    """Write tradeoff.svg and tradeoff.png.

    Raises
    ------
    InputError
        When the extra `figures` is not installed.
    """
    from ..data.errors import require

    figures = require("matplotlib.figure", extra="figures", why="the figure of the search")
    matplotlib = require("matplotlib", extra="figures", why="the figure of the search")
    from ..data.files import atomic

    shown = found.before[:_PANELS]
    # The same bytes for the same numbers: no date, and ids that are no random numbers.
    with matplotlib.rc_context({"svg.hashsalt": "evenset", "font.size": 9, "svg.fonttype": "path"}):
        figure = figures.Figure(figsize=(7.2, 1.0 + 3.2 * len(shown)), layout="constrained")
        panels = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
        for at, panel in enumerate(panels):
            _panel(found, at, panel)
        panels[-1].set_xlabel(f"rows touched, of {found.rows:,}")
        for suffix, metadata in (("svg", {"Date": None, "Creator": "evenset"}), ("png", {"Software": "evenset"})):
            with atomic(folder / f"tradeoff.{suffix}") as part:
                figure.savefig(part, format=suffix, dpi=160, metadata=metadata)


def _panel(found: Found, at: int, panel: Any) -> None:
    """One limit: a curve a family, lines for the limit and the data as they are, a ring for the plan that was found."""
    before = found.before[at]
    limit = before.limit
    colours = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#999999")
    markers = "osD^vP*X"
    for place, (name, those) in enumerate(points(found, at).items()):
        colour, marker = colours[place % len(colours)], markers[place % len(markers)]
        x, y = [one[0] for one in those], [one[1] for one in those]
        panel.plot(x, y, color=colour, linewidth=0.8, alpha=0.6)
        panel.scatter(x, y, s=16, color=colour, marker=marker, label=name, zorder=3)
    panel.axhline(
        before.size, color="black", linewidth=0.8, linestyle=":", label=f"the data as they are {before.size:.3g}"
    )
    panel.axhline(limit.value, color="black", linewidth=0.8, linestyle="--", label=f"limit {limit.value:g}")
    if found.best is not None:
        best = found.best.standings[at]
        panel.scatter(
            [found.best.touched], [best.size], s=110, facecolor="none", edgecolor="black", linewidth=1.4, zorder=5,
            label="found",
        )  # fmt: skip
    panel.set_ylim(bottom=0)
    panel.set_xscale("log")  # a plan that touches 2 % and one that touches all belong into one picture
    panel.xaxis.set_major_formatter("{x:,.0f}")
    panel.set_ylabel(f"largest absolute {limit.measure}")
    panel.set_title(f"bias left against rows touched: {limit.text}", loc="left", fontsize=9)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(fontsize=7, frameon=False, loc="best", ncols=2)
