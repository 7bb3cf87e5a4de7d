"""The frame of a chart: a picture with a name and a description, axes, grid, marks; once wide and once narrow."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..html import Html, join, tag
from .letters import SIZE, folded, words_width
from .scales import Scale, known, linear, log_ticks, logarithmic, nice_ticks, tick_words

WIDE, NARROW = 720, 340
SERIES = ("p-g1", "p-g2", "p-g3", "p-g4", "p-g5", "p-g6")
STATUS = {"pass": "p-pass", "warn": "p-warn", "fail": "p-fail", "unclear": "p-unclear"}
_SHAPES = ("circle", "square", "up", "diamond", "down", "cross")
# What a status looks like without colour: filled where it is certain, hollow where it is open.
_STATUS_SHAPES = {"pass": ("circle", False), "warn": ("up", False), "fail": ("diamond", False),
                  "unclear": ("circle", True)}  # fmt: skip


def px(value: float) -> str:
    """A coordinate with one decimal.

    Examples
    --------
    >>> px(10), px(3.14159), px(-0.0)
    ('10', '3.1', '0')
    """
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")


def picture(*parts: object, width: float, height: float, title: str, desc: str) -> Html:
    """An SVG element of which a screen reader says title and description.

    Parameters
    ----------
    *parts : Html
        What is drawn.
    width, height : float
        Of the view box; on the page it is as wide as there is room.
    title : str
        Its name: what it shows.
    desc : str
        What can be read from it, with the numbers that matter.
    """
    return tag(
        "svg",
        tag("title", title),
        tag("desc", desc),
        *parts,
        role="img",
        aria_label=title,
        viewBox=f"0 0 {px(width)} {px(height)}",
        xmlns="http://www.w3.org/2000/svg",
    )


def responsive(draw: Callable[[int], Html]) -> Html:
    """A chart drawn for wide and for narrow pages; CSS shows the one that fits, so letters keep their size.

    Parameters
    ----------
    draw : callable
        Called with `WIDE` and `NARROW`; gives the picture.
    """
    return tag(
        "div",
        tag("div", draw(WIDE), class_="plot-wide"),
        tag("div", draw(NARROW), class_="plot-narrow"),
        class_="plot",
    )


def words(x: float, y: float, text: object, *classes: str) -> Html:
    """Text whose baseline is at `y`; classes p-end and p-mid say on which side of `x` it stands."""
    return tag("text", text, x=px(x), y=px(y), class_=" ".join(classes) or None)


def stroke(x1: float, y1: float, x2: float, y2: float, *classes: str) -> Html:
    """A straight line."""
    return tag("line", x1=px(x1), y1=px(y1), x2=px(x2), y2=px(y2), class_=" ".join(classes))


def box(x1: float, y1: float, x2: float, y2: float, *classes: str) -> Html:
    """A filled rectangle between two corners."""
    left, top = min(x1, x2), min(y1, y2)
    return tag("rect", x=px(left), y=px(top), width=px(abs(x2 - x1)), height=px(abs(y2 - y1)), class_=" ".join(classes))


def mark(x: float, y: float, *classes: str, shape: str = "circle", size: float = 4.5, tip: str = "") -> Html:
    """One mark: circle, square, up, down, diamond or cross; `tip` is what it says under the pointer."""
    named = " ".join(("p-mark", *classes))
    said = tag("title", tip) if tip else None
    if shape == "circle":
        return tag("circle", said, cx=px(x), cy=px(y), r=px(size), class_=named)
    s = size * {"square": 0.9, "diamond": 1.25, "cross": 0.85}.get(shape, 1.15)
    path = {
        "square": f"M{px(x - s)} {px(y - s)}H{px(x + s)}V{px(y + s)}H{px(x - s)}Z",
        "diamond": f"M{px(x)} {px(y - s)}L{px(x + s)} {px(y)}L{px(x)} {px(y + s)}L{px(x - s)} {px(y)}Z",
        "up": f"M{px(x)} {px(y - s)}L{px(x + s)} {px(y + s * 0.75)}H{px(x - s)}Z",
        "down": f"M{px(x)} {px(y + s)}L{px(x + s)} {px(y - s * 0.75)}H{px(x - s)}Z",
        "cross": f"M{px(x - s)} {px(y - s)}L{px(x + s)} {px(y + s)}M{px(x - s)} {px(y + s)}L{px(x + s)} {px(y - s)}",
    }[shape]
    return tag("path", said, d=path, class_=named)


def series(at: int) -> tuple[str, str]:
    """Colour class and shape of the n-th series: never colour alone.

    Examples
    --------
    >>> series(0), series(7)
    (('p-g1', 'circle'), ('p-g2', 'square'))
    """
    return SERIES[at % len(SERIES)], _SHAPES[at % len(_SHAPES)]


def status(name: str) -> tuple[tuple[str, ...], str]:
    """Classes and shape of a status; whatever is none of pass, warn, fail and unclear is plain."""
    if name not in STATUS:
        return ("p-faint" if name == "quiet" else "p-plain",), "square" if name == "base" else "circle"
    shape, hollow = _STATUS_SHAPES[name]
    return (STATUS[name], "p-hollow") if hollow else (STATUS[name],), shape


def axis_below(scale: Scale, top: float, bottom: float, title: str, *, most: int = 7, percent: bool = False) -> Html:
    """Grid, ticks and title of the horizontal axis; `bottom` is where the frame ends. Takes `below_height` pixels."""
    most = max(2, min(most, int(abs(scale.end - scale.start) / 55)))
    ticks = scale.ticks(most)
    left, right = sorted((scale.start, scale.end))
    parts: list[Html] = []
    for value, text in zip(ticks, _texts(ticks, percent=percent), strict=True):
        at = scale(value)
        parts += [stroke(at, top, at, bottom, "p-grid"), words(at, bottom + 15, text, "p-quiet", "p-mid", "p-small")]
    parts.append(stroke(left, bottom, right, bottom, "p-axis"))
    for number, text in enumerate(folded(title, right - left) if title else ()):
        parts.append(words((left + right) / 2, bottom + 32 + 14 * number, text, "p-quiet", "p-mid"))
    return tag("g", *parts)


def below_height(scale: Scale, title: str) -> float:
    """Pixels that `axis_below` takes."""
    return 20 + (4 + 14 * len(folded(title, abs(scale.end - scale.start))) if title else 0)


def axis_left(scale: Scale, left: float, right: float, title: str, *, most: int = 6, percent: bool = False) -> Html:
    """Grid, ticks and title of the vertical axis; the title stands above it, level, to be read without turning."""
    ticks = scale.ticks(max(2, min(most, int(abs(scale.end - scale.start) / 32))))
    parts: list[Html] = []
    for value, text in zip(ticks, _texts(ticks, percent=percent), strict=True):
        at = scale(value)
        parts += [
            stroke(left, at, right, at, "p-grid"),
            words(left - 6, at + 4, text, "p-quiet", "p-end", "p-small"),
        ]
    parts.append(stroke(left, scale.start, left, scale.end, "p-axis"))
    if title:
        parts.append(words(0, min(scale.start, scale.end) - 12, title, "p-quiet"))
    return tag("g", *parts)


def left_width(scale: Scale, *, percent: bool = False, most: int = 6) -> float:
    """Pixels that the ticks of `axis_left` take."""
    ticks = scale.ticks(max(2, min(most, int(abs(scale.end - scale.start) / 32))))
    return max((words_width(text, 11) for text in _texts(ticks, percent=percent)), default=0.0) + 10


def span_of(
    scale: Scale, y: float, low: float, high: float, *classes: str, upright: bool = False, cap: float = 0.0
) -> Html:
    """An interval along the scale; an end beyond the frame is an arrow head."""
    first, last = scale(low), scale(high)
    parts = [
        stroke(y, first, y, last, "p-span", *classes) if upright else stroke(first, y, last, y, "p-span", *classes)
    ]
    for value, at, back in ((low, first, 1), (high, last, -1)):
        away = back * (1 if scale.end > scale.start else -1) * 5
        if not scale.holds(value):
            path = (
                f"M{px(y - 4)} {px(at + away)}L{px(y)} {px(at)}L{px(y + 4)} {px(at + away)}"
                if upright
                else f"M{px(at + away)} {px(y - 4)}L{px(at)} {px(y)}L{px(at + away)} {px(y + 4)}"
            )
            parts.append(tag("path", d=path, class_=" ".join(("p-span", *classes))))
        elif cap:
            parts.append(
                stroke(y - cap, at, y + cap, at, "p-span", *classes)
                if upright
                else stroke(at, y - cap, at, y + cap, "p-span", *classes)
            )
    return join(parts)


def legend(entries: Iterable[tuple[Html, str]], x: float, y: float, width: float) -> tuple[Html, float]:
    """Marks with names in lines below one another; gives the markup and the pixels that it takes.

    Parameters
    ----------
    entries : iterable of (Html, str)
        A mark drawn about (8, -4), and its name.
    x, y : float
        Left end and baseline of the first line.
    width : float
        Of a line.
    """
    parts: list[Html] = []
    across, down = 0.0, 0.0
    for drawn, name in entries:
        needs = 22 + words_width(name, 11) + 12
        if across and across + needs > width:
            across, down = 0.0, down + 18
        at = tag(
            "g",
            drawn,
            words(20, 0, name, "p-quiet", "p-small"),
            transform=f"translate({px(x + across)} {px(y + down)})",
        )
        parts.append(at)
        across += needs
    return join(parts), (down + 18 if parts else 0.0)


def _texts(ticks: tuple[float, ...], *, percent: bool) -> tuple[str, ...]:
    if not percent:
        return tick_words(ticks)
    return tuple(f"{text} %" for text in tick_words(tuple(round(100 * value, 6) for value in ticks)))


__all__ = ["NARROW", "SERIES", "SIZE", "STATUS", "WIDE", "Scale", "axis_below", "axis_left", "below_height", "box",
           "known", "left_width", "legend", "linear", "log_ticks", "logarithmic", "mark", "nice_ticks", "picture", "px",
           "responsive", "series", "span_of", "status", "stroke", "tick_words", "words"]  # fmt: skip
