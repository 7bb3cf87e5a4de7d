"""What the figures of a verdict share: names that are safe to draw, titles that wrap, labels that keep apart.

Figures are drawn 12 cm wide with letters of 9 points and more, so that they can still be read at 8 cm.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from ...audit.figures import BLACK, COLOURS, MARKERS, Figure, figure

WIDTH = 4.7
GREY, LIGHT, BAND = "#595959", "#8c8c8c", "#dde3ea"
SMALL = 9.0

PASSED = ("shrunk-meaningfully", "shrunk", "no-gap")
RELEASED = ("pretrained", "none")  # upstreams as they are had; "none" is a model without pre-training to vary
GUARDS = {"auc": "AUC", "macro_f1": "macro-F1"}

Json = Mapping[str, Any]


def colour(at: int) -> str:
    """Colour of the n-th series; black is kept for what is as it was."""
    return COLOURS[at % (len(COLOURS) - 1)]


def marker(at: int) -> str:
    """Marker of the n-th series."""
    return MARKERS[at % len(MARKERS)]


def known(*values: Any) -> bool:
    """Whether all are numbers; null and NaN are "not known".

    Examples
    --------
    >>> known(0.1, 2), known(None), known(float("nan")), known("beyond")
    (True, False, False, False)
    """
    return all(isinstance(value, int | float) and math.isfinite(value) for value in values)


def named(text: object, width: int = 26) -> str:
    r"""A name from the data as one short line: no control characters, cut in the middle.

    Examples
    --------
    >>> named("topup"), named("a\x00b\nc"), named("a-very-long-name-of-an-arm", 12)
    ('topup', 'a·b·c', 'a-very…n-arm')
    """
    found = "".join(c if c.isprintable() else "·" for c in str(text))
    half = (width - 1) // 2
    return found if len(found) <= width else f"{found[: width - 1 - half]}…{found[-half:]}"


def arm_name(arm: str, upstream: str, *, several: bool, width: int = 26) -> str:
    """An arm, and its upstream where there are several."""
    return named(f"{arm}, {upstream}" if several else arm, width)


def ordered(upstreams: Sequence[str]) -> list[str]:
    """Each upstream once: as released first, from scratch last.

    Examples
    --------
    >>> ordered(["noise", "random", "pretrained", "noise"])
    ['pretrained', 'noise', 'random']
    """
    return sorted(dict.fromkeys(upstreams), key=lambda up: (up == "random", up not in RELEASED))


def number(value: float) -> str:
    """Three digits that matter, with a true minus.

    Examples
    --------
    >>> number(0.2124), number(-1.5), number(0.016)
    ('0.21', '−1.50', '0.016')
    """
    text = f"{value:.3f}" if abs(value) < 0.1 else f"{value:.2f}"
    return text.replace("-", "−")


def drawn(title: str, *, x: str, y: str, alt: str, height: float, foot: str = "", width: float = WIDTH) -> Figure:
    """An empty figure with title and footnote across the whole width, however wide the names beside the axes are."""
    made = figure(title, x=x, y=y, alt=alt, size=(width, height))
    made.axes.set_title("", loc="left")
    made.canvas.set_layout_engine("constrained")
    lines = textwrap.wrap(title, round(width * 11), break_on_hyphens=False)
    made.canvas.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=11, fontweight="bold")
    footnote(made, foot, width=width)
    return made


def footnote(made: Figure, text: str, *, width: float = WIDTH) -> None:
    """Say below the figure what its marks are."""
    if text:
        lines = "\n".join(textwrap.wrap(text, round(width * 13.5), break_on_hyphens=False))
        made.canvas.supxlabel(lines, x=0.01, ha="left", fontsize=SMALL, color=GREY)


def along(x: Sequence[float], y: Sequence[float], steps: int = 24) -> list[tuple[float, float]]:
    """Points along a straight line, for names to keep away from."""
    return [(x[0] + (x[1] - x[0]) * at / steps, y[0] + (y[1] - y[0]) * at / steps) for at in range(steps + 1)]


def halo() -> list[Any]:
    """White about letters, so that a line behind them does not strike them through."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2.5, foreground="white")]


def place(
    made: Figure,
    points: Sequence[tuple[float, float, str]],
    dots: Sequence[tuple[float, float]],
    others: Sequence[tuple[float, float]] = (),
) -> list[str]:
    """Write names beside their points where they hide neither a point nor another name; earlier ones first.

    Parameters
    ----------
    made : Figure
        With everything else drawn.
    points : sequence of (float, float, str)
        Where a name belongs.
    dots : sequence of (float, float)
        Along lines; names would rather cross a line than be left out.
    others : sequence of (float, float)
        Points without a name, which must not be hidden either.

    Returns
    -------
    list of str
        Names that found no room.
    """
    from matplotlib.transforms import Bbox

    made.canvas.draw_without_rendering()  # the layout has to be known to tell what is beside what
    axes = made.axes
    renderer = made.canvas.canvas.get_renderer()
    frame = axes.get_window_extent(renderer)
    taken = [text.get_window_extent(renderer) for text in axes.texts]
    every = [*others, *((x, y) for x, y, _ in points)]
    marks = axes.transData.transform(every) if every else []
    lines = axes.transData.transform(list(dots)) if dots else []
    missing = []
    for x, y, text in points:
        best: tuple[int, Any, Any] | None = None
        for dx, dy, ha, va in _BESIDE:
            label = axes.annotate(
                text, (x, y), xytext=(dx, dy), textcoords="offset points", ha=ha, va=va, fontsize=SMALL, color=GREY,
                path_effects=halo(),
            )  # fmt: skip
            label.set_in_layout(False)
            box = label.get_window_extent(renderer)
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 + 4 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            wide = Bbox.from_extents(box.x0 - 5, box.y0 - 3, box.x1 + 5, box.y1 + 3)
            hidden = sum(wide.contains(*dot) for dot in marks)
            crossed = sum(box.contains(*dot) for dot in lines)
            own = axes.transData.transform((x, y))
            # A name nearer to another point would be taken for that one's.
            strange = any(_apart(box, dot) + 1 < _apart(box, own) for dot in marks)
            if strange:
                label.remove()
                continue
            if inside and not hidden and not box.count_overlaps(taken) and (best is None or crossed < best[0]):
                if best is not None:
                    best[1].remove()
                best = (crossed, label, box)
                if not crossed:
                    break
            else:
                label.remove()
        if best is None:
            missing.append(text)
        else:
            taken.append(best[2])
    return missing


def _apart(box: Any, dot: Any) -> float:
    """Distance of a point from a box."""
    return math.hypot(max(box.x0 - dot[0], 0, dot[0] - box.x1), max(box.y0 - dot[1], 0, dot[1] - box.y1))


_BESIDE = (
    (7, 0, "left", "center"), (-7, 0, "right", "center"), (0, 7, "center", "bottom"), (0, -7, "center", "top"),
    (6, 6, "left", "bottom"), (-6, 6, "right", "bottom"), (6, -6, "left", "top"), (-6, -6, "right", "top"),
    (12, 14, "left", "bottom"), (-12, 14, "right", "bottom"), (12, -14, "left", "top"), (-12, -14, "right", "top"),
)  # fmt: skip


def what_gap(verdict: Json) -> str:
    """The gap in words, for an axis."""
    stick = verdict.get("yardstick") or {}
    if stick.get("measure") == "tpr":
        first, second = named(stick.get("first"), 12), named(stick.get("second"), 12)
        return f"gap: recall of {first} − {second}\nper unit of the share of {first}"
    return "gap: false-positive rate\nper unit of log ratio in raw data"


__all__ = ["BAND", "BLACK", "GREY", "GUARDS", "LIGHT", "PASSED", "RELEASED", "SMALL", "WIDTH", "Json", "along",
           "arm_name", "colour", "drawn", "footnote", "halo", "known", "marker", "named", "number", "ordered", "place",
           "what_gap"]  # fmt: skip
