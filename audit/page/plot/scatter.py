"""Scatter plot: points with intervals on both axes, names where there is room for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..html import Html, join, tag
from . import frame as fr
from .frame import known
from .letters import fitted, line, words_width
from .scales import Scale

_MANY = 60  # with more points, marks are small and pale


@dataclass(frozen=True, slots=True)
class Dot:
    """One point of a scatter plot; None and NaN are "not known", and a point without x or y is not drawn.

    Attributes
    ----------
    name : str
        Always under the pointer; on the chart where `named` and where there is room.
    x, y : float or None
    x_low, x_high, y_low, y_high : float or None
        Intervals.
    series : int
        Colour and shape; -1 is the quiet one.
    named : bool
    base : bool
        Whether it is what the others are compared with: a black square.
    """

    name: str
    x: float | None
    y: float | None
    x_low: float | None = None
    x_high: float | None = None
    y_low: float | None = None
    y_high: float | None = None
    series: int = 0
    named: bool = True
    base: bool = False


@dataclass(frozen=True, slots=True)
class Guide:
    """A line across the frame: at a number of one axis, or sloped through two points.

    Attributes
    ----------
    at : float
        Number on the axis.
    upright : bool
        Whether it is a number of the x axis.
    name : str
        Written at its end.
    solid : bool
        Whether it is "nothing" rather than a limit.
    to : float or None
        On an axis of y: the number at the right end, where the line is sloped.
    """

    at: float
    upright: bool = False
    name: str = ""
    solid: bool = False
    to: float | None = None


def scatter(
    dots: Sequence[Dot],
    *,
    title: str,
    x: str,
    y: str,
    desc: str = "",
    guides: Sequence[Guide] = (),
    series: Sequence[str] = (),
    quiet: str = "",
    base: str = "",
    tall: float = 0.6,
    zone: tuple[float | None, float | None, float | None, float | None] | None = None,
    zone_name: str = "",
    paths: Sequence[tuple[int, Sequence[tuple[float, float]]]] = (),
) -> Html:
    """Draw points.

    Parameters
    ----------
    dots : sequence of Dot
        Earlier ones get their names first.
    title, desc : str
        For a screen reader; by default the description says the points.
    x, y : str
        Titles of the axes.
    guides : sequence of Guide
        Lines at numbers that matter.
    series : sequence of str
        Names of the series, for the key.
    quiet, base : str
        What the quiet points, and the square, are called in the key.
    tall : float
        Height of the frame as a share of the wide picture's width.
    zone : (x low, x high, y low, y high), optional
        A shaded part; None runs to the end of the frame.
    zone_name : str
        What it is called in the key.
    paths : sequence of (int, sequence of (float, float))
        Lines through points of a series.

    Returns
    -------
    Html
        Nothing where no point is known.

    Examples
    --------
    >>> "<circle" in scatter([Dot("nurse", 0.9, 0.3)], title="Words", x="femaleness", y="log odds")
    True
    """
    shown = [dot for dot in dots if known(dot.x) and known(dot.y)]
    if not shown:
        return join([])
    said = desc or ". ".join(f"{line(dot.name)}: {x} {_n(dot.x)}, {y} {_n(dot.y)}" for dot in shown[:40])
    small, faint = len(shown) > _MANY, any(dot.series < 0 and not dot.base for dot in shown)
    key = [
        *([(fr.mark(8, -4, "p-plain", shape="square"), base)] if base and any(dot.base for dot in shown) else []),
        *(
            (fr.mark(8, -4, fr.series(at)[0], shape=fr.series(at)[1]), name)
            for at, name in enumerate(series)
            if any(dot.series == at and not dot.base for dot in shown)
        ),
        *([(fr.mark(8, -4, "p-faint", shape="cross", size=3.5), quiet)] if quiet and faint else []),
        *([(fr.box(0, -10, 16, 1, "p-zone"), zone_name)] if zone and zone_name else []),
    ]  # fmt: skip

    def draw(width: int) -> Html:
        narrow = width == fr.NARROW
        legend, used = fr.legend(key, 2, 12, width - 4)
        top = used + 30.0
        height = width * (tall if not narrow else max(0.85, tall))
        flat_y = [guide.at for guide in guides if not guide.upright] + [
            guide.to for guide in guides if guide.to is not None
        ]
        up = fr.linear(
            [end for dot in shown for end in (dot.y, dot.y_low, dot.y_high)], top + height, top, hold=flat_y, room=0.06
        )
        left = fr.left_width(up)
        across = fr.linear(
            [end for dot in shown for end in (dot.x, dot.x_low, dot.x_high)], left, width - 8,
            hold=[guide.at for guide in guides if guide.upright], room=0.06,
        )  # fmt: skip
        parts = [
            legend,
            _zone(zone, across, up),
            fr.axis_left(up, left, width - 8, y),
            fr.axis_below(across, top, top + height, x),
        ]
        taken: list[tuple[float, float, float, float]] = []
        for guide in guides:
            drawn, label = _guide(guide, across, up)
            parts.append(drawn)
            taken += label
        parts += [_path(at, along, across, up) for at, along in paths]
        marks: list[Html] = []
        for dot in reversed(shown):
            marks += _dot(dot, across, up, small=small)
        points = [(across(_f(dot.x)), up(_f(dot.y))) for dot in shown]
        parts += [*marks, *_names(shown, points, taken, (left, top, width - 2.0, top + height), narrow=narrow)]
        total = top + height + fr.below_height(across, x) + 6
        return fr.picture(*parts, width=width, height=total, title=title, desc=said)

    return fr.responsive(draw)


def _n(value: object) -> str:
    return f"{value:.3g}" if known(value) else "not known"


def _f(value: float | None) -> float:
    return 0.0 if value is None else value


def _dot(dot: Dot, across: Scale, up: Scale, *, small: bool) -> list[Html]:
    colour, shape = (
        ("p-plain", "square") if dot.base else fr.series(dot.series) if dot.series >= 0 else ("p-faint", "cross")
    )
    x, y = across(_f(dot.x)), up(_f(dot.y))
    parts: list[Html] = []
    if known(dot.x_low) and known(dot.x_high):
        parts.append(fr.span_of(across, y, dot.x_low, dot.x_high, colour, "p-thin"))
    if known(dot.y_low) and known(dot.y_high):
        parts.append(fr.span_of(up, x, dot.y_low, dot.y_high, colour, "p-thin", upright=True))
    tip = f"{line(dot.name)}: {_n(dot.x)}, {_n(dot.y)}"
    size = 3.2 if small else 3.5 if dot.series < 0 and not dot.base else 5.0
    parts.append(fr.mark(x, y, colour, *(("p-thin",) if small else ()), shape=shape, size=size, tip=tip))
    return parts


def _path(at: int, along: Sequence[tuple[float, float]], across: Scale, up: Scale) -> Html:
    points = "L".join(f"{fr.px(across(x))} {fr.px(up(y))}" for x, y in along)
    return tag("path", d=f"M{points}", class_=f"p-line {fr.series(at)[0]}") if along else join([])


def _zone(
    zone: tuple[float | None, float | None, float | None, float | None] | None, across: Scale, up: Scale
) -> Html | None:
    if zone is None:
        return None
    x1, x2, y1, y2 = zone
    return fr.box(
        across.start if x1 is None else across(x1), up.start if y1 is None else up(y1),
        across.end if x2 is None else across(x2), up.end if y2 is None else up(y2), "p-zone",
    )  # fmt: skip


def _guide(guide: Guide, across: Scale, up: Scale) -> tuple[Html, list[tuple[float, float, float, float]]]:
    kind = "p-zero" if guide.solid else "p-limit"
    wide = words_width(guide.name, 11)
    if guide.upright:
        at = across(guide.at)
        if not guide.name:
            return fr.stroke(at, up.start, at, up.end, kind), []
        end = at + 5 + wide > across.end
        text = fr.words(at + (-5 if end else 5), up.end + 12, guide.name, "p-quiet", "p-small", "p-halo",
                        *(("p-end",) if end else ()))  # fmt: skip
        x = at - 5 - wide if end else at + 5
        return join([fr.stroke(at, up.start, at, up.end, kind), text]), [(x, up.end, x + wide, up.end + 14)]
    first, last = up(guide.at), up(guide.at if guide.to is None else guide.to)
    line_ = fr.stroke(across.start, first, across.end, last, kind)
    if not guide.name:
        return line_, []
    down = last + 14 < up.start
    baseline = last + 13 if down else last - 5
    text = fr.words(across.end - 3, baseline, guide.name, "p-quiet", "p-small", "p-halo", "p-end")
    return join([line_, text]), [(across.end - 3 - wide, baseline - 11, across.end, baseline + 3)]


def _names(
    dots: Sequence[Dot],
    points: Sequence[tuple[float, float]],
    taken: list[tuple[float, float, float, float]],
    inside: tuple[float, float, float, float],
    *,
    narrow: bool,
) -> list[Html]:
    """Names beside their points where they hide neither a point nor another name; those without room are left out."""
    parts: list[Html] = []
    for (x, y), dot in zip(points, dots, strict=True):
        if not dot.named:
            continue
        text = fitted(dot.name, 110 if narrow else 170, 11)
        wide = words_width(text, 11)
        for dx, dy, side in _BESIDE:
            start = x + dx if side == "" else x + dx - wide if side == "p-end" else x + dx - wide / 2
            area = (start - 1, y + dy - 9, start + wide + 1, y + dy + 3)
            if area[0] < inside[0] or area[1] < inside[1] - 4 or area[2] > inside[2] or area[3] > inside[3]:
                continue
            if any(_meet(area, other) for other in taken):
                continue
            if any(area[0] - 4 < px < area[2] + 4 and area[1] - 4 < py < area[3] + 4 for px, py in points):
                continue
            parts.append(fr.words(x + dx, y + dy, text, "p-small", "p-halo", *((side,) if side else ())))
            taken.append(area)
            break
    return parts


def _meet(one: tuple[float, float, float, float], two: tuple[float, float, float, float]) -> bool:
    return one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]


_BESIDE = (
    (10, 4, ""), (-10, 4, "p-end"), (0, -10, "p-mid"), (0, 18, "p-mid"), (9, -6, ""), (-9, -6, "p-end"), (9, 14, ""),
    (-9, 14, "p-end"), (14, -16, ""), (-14, -16, "p-end"), (14, 24, ""), (-14, 24, "p-end"),
)  # fmt: skip
