"""Forest plot: a row for each estimate with its interval, against a reference and limits."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..html import Html, join, tag
from . import frame as fr
from .frame import known
from .letters import fitted, line, words_width
from .scales import Scale

_ROW, _TALL, _HEAD = 25.0, 39.0, 27.0
_RIGHT = 158.0
_NAMES = {"pass": "pass", "warn": "warn", "fail": "fail", "unclear": "unclear"}


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a forest plot; None and NaN are "not known".

    Attributes
    ----------
    name : str
    value, low, high : float or None
        Estimate and its interval.
    n : int or None
        Rows behind it; shown under the pointer.
    status : str
        "pass", "warn", "fail", "unclear", "base" (what the others are compared with), "quiet" or "".
    group : str
        Heading under which the row stands; rows of a group stand together.
    note : str
        Said at the right in place of the numbers.
    runs : tuple of float
        Single runs, drawn as dots.
    band : (float, float, float) or None
        Low, middle and high of what the row is held against, such as its placebo.
    before : (float, float, float) or None
        Value, low and high before a change; drawn hollow above the row's own.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    status: str = ""
    group: str = ""
    note: str = ""
    runs: tuple[float, ...] = ()
    band: tuple[float | None, float | None, float | None] | None = None
    before: tuple[float | None, float | None, float | None] | None = None


def spelt(value: object, low: object = None, high: object = None, *, signed: bool = True, percent: bool = False) -> str:
    """An estimate with its interval in words.

    Examples
    --------
    >>> spelt(0.1234, -0.05, 0.3), spelt(0.5, signed=False), spelt(None), spelt(0.25, 0.1, 0.4, percent=True)
    ('+0.123 [−0.050, +0.300]', '0.500', 'not known', '+25 % [+10, +40]')
    """
    if not known(value):
        return "not known"

    def one(number: float) -> str:
        if percent:
            return f"{round(100 * number) + 0:{'+' * signed}.0f}".replace("-", "−")
        number, size = (round(number, 3) + 0.0 if abs(number) < 1000 else number), abs(number)
        text = f"{number:{'+' * signed}.3f}" if size < 1000 else f"{number:{'+' * signed}.4g}"
        return text.replace("-", "−")

    first = one(value) + (" %" if percent else "")
    return f"{first} [{one(low)}, {one(high)}]" if known(low) and known(high) else first


def forest(
    rows: Sequence[Bar],
    *,
    title: str,
    x: str,
    reference: float | None = 0.0,
    limits: Sequence[float] = (),
    desc: str = "",
    log: bool = False,
    percent: bool = False,
    signed: bool = True,
    names: Mapping[str, str] | None = None,
    band: str = "",
    runs: str = "",
    before: str = "",
) -> Html:
    """Draw intervals in rows; on a narrow page names stand above their rows.

    Parameters
    ----------
    rows : sequence of Bar
        In the order in which they are shown; rows of a group stand together.
    title : str
        What the chart shows, for a screen reader.
    x : str
        Title of the axis.
    reference : float or None
        Where "nothing" is: a solid line.
    limits : sequence of float
        Dashed lines.
    desc : str
        Description for a screen reader; by default every row in words.
    log : bool
        Whether the axis is logarithmic, for ratios.
    percent : bool
        Whether numbers are shares, shown in per cent.
    signed : bool
        Whether numbers have a sign.
    names : mapping of str to str, optional
        What the statuses are called in the key; by default as they are.
    band, runs, before : str
        What the bands, the dots and the hollow marks are called in the key.

    Returns
    -------
    Html
        A figure's content; nothing where there are no rows.

    Examples
    --------
    >>> print(forest([Bar("<b>", 0.2, 0.1, 0.3, status="fail")], title="Gaps", x="gap")[:60])
    <div class="plot"><div class="plot-wide"><svg role="img" ari
    >>> print(forest([], title="Gaps", x="gap"))
    <BLANKLINE>
    """
    if not rows:
        return join([])
    order = {name: at for at, name in enumerate(dict.fromkeys(row.group for row in rows))}
    placed = sorted(rows, key=lambda row: order[row.group])
    said = desc or ". ".join(
        f"{row.group + ', ' if row.group else ''}{row.name}: "
        f"{spelt(row.value, row.low, row.high, signed=signed, percent=percent)}{', ' + row.note if row.note else ''}"
        for row in placed[:60]
    )
    key = [
        *(
            (fr.mark(8, -4, *fr.status(name)[0], shape=fr.status(name)[1]), called)
            for name, called in ({**_NAMES, **(names or {})}).items()
            if any(row.status == name for row in placed)
        ),
        *([(fr.mark(8, -4, "p-faint", "p-hollow", size=4), before)] if before else []),
        *([(fr.box(0, -10, 16, 1, "p-band"), band)] if band and any(row.band for row in placed) else []),
        *([(_run(8, -4), runs)] if runs and any(row.runs for row in placed) else []),
    ]

    def draw(width: int) -> Html:
        narrow = width == fr.NARROW
        left = 6.0 if narrow else min(230.0, 14 + max(words_width(line(row.name)) for row in placed))
        right = width - (6.0 if narrow else _RIGHT)
        scale = _scale(placed, left + 6, right - 6, reference, limits, log=log)
        parts: list[Html] = []
        made, y = fr.legend(key, 2, 12, width - 4)
        parts.append(made)
        top = y = y + 4
        body: list[Html] = []
        group = ""
        for row in placed:
            if row.group != group:
                group = row.group
                body.append(fr.words(0, y + 18, fitted(group, width), "p-head"))
                y += _HEAD
            high = (_TALL if narrow else _ROW) + (9 if row.before else 0)
            body.append(_row(row, y, high, left, right, width, scale, narrow, signed=signed, percent=percent))
            y += high
        y += 4
        parts.append(fr.axis_below(scale, top, y, x, percent=percent))
        parts += [fr.stroke(scale(at), top, scale(at), y, "p-limit") for at in limits if scale.holds(at)]
        if reference is not None and scale.holds(reference):
            parts.append(fr.stroke(scale(reference), top, scale(reference), y, "p-zero"))
        height = y + fr.below_height(scale, x) + 4
        return fr.picture(*parts, *body, width=width, height=height, title=title, desc=said)

    return fr.responsive(draw)


def _row(
    row: Bar, y: float, high: float, left: float, right: float, width: float, scale: Scale, narrow: bool,  # noqa: FBT001
    *, signed: bool, percent: bool,
) -> Html:  # fmt: skip
    numbers = spelt(row.value, row.low, row.high, signed=signed, percent=percent)
    said = row.note or numbers
    many = "" if row.n is None else f", n = {row.n:,}"
    tip = f"{line(row.name)}: {numbers}{', ' + row.note if row.note else ''}{many}"
    parts: list[Html] = [tag("title", tip)]
    room = width - 12 - words_width(said, 11) if narrow else left - 8
    baseline = y + 13 if narrow else y + high / 2 + 4
    named = ("p-halo",) if narrow else ("p-halo", "p-end")
    parts.append(fr.words(left if narrow else left - 8, baseline, fitted(row.name, room), *named))
    parts.append(
        fr.words(width - 2, baseline, said, "p-end", "p-quiet", "p-small", "p-halo")
        if narrow
        else fr.words(right + 8, baseline, said, "p-quiet", "p-small")
    )
    middle = y + (high - 14) / 2 + 14 if narrow else y + high / 2
    if row.before is not None:
        value, low, end = row.before
        if known(low) and known(end):
            parts.append(fr.span_of(scale, middle - 5, low, end, "p-faint", "p-thin"))
        if known(value):
            parts.append(fr.mark(scale(value), middle - 5, "p-faint", "p-hollow", size=3.6))
        middle += 5
    if row.band is not None:
        low, mid, end = row.band
        if known(low) and known(end):
            parts.append(fr.box(scale(low), middle - 9, scale(end), middle + 9, "p-band"))
        if known(mid):
            parts.append(fr.stroke(scale(mid), middle - 9, scale(mid), middle + 9, "p-band-mid"))
    classes, shape = fr.status(row.status)
    if known(row.low) and known(row.high):
        parts.append(fr.span_of(scale, middle, row.low, row.high, classes[0]))
    parts += [_run(scale(run), middle + 6.5) for run in row.runs if known(run)]
    if known(row.value):
        parts.append(fr.mark(scale(row.value), middle, *classes, shape=shape))
    return tag("g", *parts)


def _run(x: float, y: float) -> Html:
    return tag("circle", cx=fr.px(x), cy=fr.px(y), r=1.9, class_="p-run")


def _scale(
    rows: Sequence[Bar], left: float, right: float, reference: float | None, limits: Sequence[float], *, log: bool
) -> Scale:
    """Holds every estimate, and the intervals so far as they do not squeeze the estimates into a corner."""
    hold = [*([] if reference is None else [reference]), *limits]
    middles = [value for row in rows for value in (row.value, *row.runs, *(row.before or ())[:1]) if known(value)]
    spans = [(row.low, row.high) for row in rows] + [
        pair for row in rows for pair in ((row.band or ())[::2], (row.before or ())[1:]) if pair
    ]
    ends = [(low, high) for low, high in spans if known(low) and known(high)]
    if log:
        return fr.logarithmic([*middles, *(end for pair in ends for end in pair)], left, right, hold=hold)
    inner = [*middles, *hold] or [0.0]
    width = max(inner) - min(inner)
    if ends:
        width = max(width, statistics.median(high - low for low, high in ends))
    least, most = min(inner) - 1.5 * width, max(inner) + 1.5 * width
    return fr.linear([*middles, *(min(max(end, least), most) for pair in ends for end in pair)], left, right, hold=hold)
