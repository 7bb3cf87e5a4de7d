"""The gap of each label or term against its imbalance in the raw data, before and after a change of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .common import (
    BLACK,
    GREY,
    LIGHT,
    SMALL,
    Json,
    along,
    arm_name,
    colour,
    drawn,
    known,
    named,
    number,
    place,
)

NAME = "imbalance"
_NAMES = 8  # more names than this are not read


def draw_imbalance(verdict: Json, folder: str | Path) -> list[Path]:
    """Draw ``imbalance``: the arm that shrank the gap most, each label or term before and after, with both slopes.

    Parameters
    ----------
    verdict : mapping
        Contents of verdict.json.
    folder : path
        Gets ``imbalance.svg`` and ``.png``; with several upstreams ``imbalance-UPSTREAM``.

    Returns
    -------
    list of Path
        Empty where no arm has gaps of labels or terms.
    """
    arms = [arm for arm in verdict.get("arms") or () if known(arm.get("gap"), arm.get("base_gap"))]
    ups = list(dict.fromkeys(arm["upstream"] for arm in arms))
    written: list[Path] = []
    for up in ups:
        mine = [arm for arm in arms if arm["upstream"] == up]
        passed = [arm for arm in mine if arm["decision"] in ("shrunk-meaningfully", "shrunk")]
        best = min(passed or mine, key=lambda arm: abs(arm["gap"]))
        written += _draw(verdict, best, folder, NAME if len(ups) == 1 else f"{NAME}-{_file(up)}", several=len(ups) > 1)
    return written


def _file(name: str) -> str:
    """A name as part of a file name."""
    return "".join(c if (c.isalnum() and c.isascii()) or c in "-_." else "_" for c in str(name))[:60]


def _draw(verdict: Json, arm: Json, folder: str | Path, name: str, *, several: bool) -> list[Path]:
    stick = verdict.get("yardstick") or {}
    used = [entry for entry in stick.get("entries") or () if entry.get("used") and known(entry.get("c"))]
    gaps = {(gap["arm"], gap["upstream"]): gap for gap in verdict.get("gaps") or ()}
    before = _values(gaps.get((str(verdict.get("base_arm")), arm["upstream"])), stick)
    after = _values(gaps.get((arm["arm"], arm["upstream"])), stick)
    rows = [
        (str(entry["name"]), float(entry["c"]), before[entry["name"]], after[entry["name"]])
        for entry in used
        if entry["name"] in before and entry["name"] in after
    ]
    if len(rows) < 2:
        return []
    tpr = stick.get("measure") == "tpr"
    what = "label" if tpr else "term"
    shown = arm_name(arm["arm"], arm["upstream"], several=several)
    title = (
        f"{shown}: the gap follows the imbalance of the data {_words(arm['base_gap'], arm['gap'])}, slope "
        f"{number(arm['base_gap'])} to {number(arm['gap'])}"
    )
    y_label = (
        f"recall of {named(stick.get('first'), 12)} − {named(stick.get('second'), 12)}"
        if tpr
        else "false-positive rate"
    )
    x_label = (
        f"share of {named(stick.get('first'), 12)} in the raw data, minus the mean" if tpr
        else "log ratio of the positive label in the raw data, minus the mean"
    )  # fmt: skip
    made = drawn(title, x=x_label, y=y_label, alt=_alt(title, rows, what), height=3.9)
    axes = made.axes
    x = [c for _, c, _, _ in rows]
    dots: list[tuple[float, float]] = []
    for _, c, was, now in rows:
        dots += along([c, c], [was, now])
        axes.plot([c, c], [was, now], color=LIGHT, linewidth=1, zorder=1)
    for at, (values, slope, words) in enumerate(
        (([was for *_, was, _ in rows], arm["base_gap"], "raw"), ([now for *_, now in rows], arm["gap"], shown))
    ):
        ink = BLACK if at == 0 else colour(0)
        axes.plot(x, values, marker="s" if at == 0 else "o", markersize=5.5, linestyle="none", color=ink,
                  markerfacecolor="white" if at == 0 else ink, zorder=3)  # fmt: skip
        # c is centred over the rows used, so the line that has the gap as its slope passes through the mean.
        mean, centre = sum(values) / len(values), sum(x) / len(x)
        ends = [min(x), max(x)]
        heights = [mean + slope * (end - centre) for end in ends]
        dots += along(ends, heights, 60)
        axes.plot(ends, heights, color=ink, linewidth=1.6, linestyle="--" if at == 0 else "-", zorder=2, label=words)
    if tpr:
        axes.axhline(0, color=GREY, linewidth=0.8, zorder=1)
    axes.margins(x=0.08, y=0.1)
    _handles(made, shown)
    far = sorted(rows, key=lambda row: -abs(row[2] - row[3]))[:_NAMES]
    points = [(c, was, named(label, 16)) for label, c, was, _ in far]
    own = {label for label, *_ in far}
    place(made, points, dots, [(c, was) for label, c, was, _ in rows if label not in own])
    return made.save(folder, name)


def _values(gap: Json | None, stick: Json) -> dict[str, float]:
    """What the slope is of: the recall of one group minus the other's, or the false-positive rate, by name."""
    if gap is None:
        return {}
    groups: Sequence[Mapping[str, Any]] = gap.get("groups") or ()
    if stick.get("measure") == "tpr":
        return {
            row["label"]: row["gap"] for row in groups if row["group"] == stick.get("first") and known(row.get("gap"))
        }
    return {row["group"]: row["rate"] for row in groups if known(row.get("rate"))}


def _handles(made: Any, shown: str) -> None:
    from matplotlib.lines import Line2D

    lines = (
        Line2D([], [], color=BLACK, marker="s", markerfacecolor="white", markersize=5.5, linestyle="--", label="raw"),
        Line2D([], [], color=colour(0), marker="o", markersize=5.5, label=shown),
    )
    made.canvas.legend(handles=lines, loc="outside lower left", ncols=2, fontsize=SMALL, frameon=False)


def _words(before: float, after: float) -> str:
    if abs(after) < 0.5 * abs(before):
        return "much less"
    return "less" if abs(after) < abs(before) else "no less"


def _alt(title: str, rows: Sequence[tuple[str, float, float, float]], what: str) -> str:
    told = "; ".join(
        f"{named(name, 40)} at {number(c)}: {number(was)} to {number(now)}"
        for name, c, was, now in sorted(rows, key=lambda row: row[1])
    )
    return f"{title}. By {what}, imbalance and value before and after: {told}."
