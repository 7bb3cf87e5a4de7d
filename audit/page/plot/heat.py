"""Heat map: a table whose cells say their number and are the darker the further they are from "nothing special"."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..html import Html, tag

_EDGES = (math.log(1.1), math.log(1.5), math.log(2.0), math.log(4.0))
_STEPS = ("under 1.1×", "1.1×", "1.5×", "2×", "4× or more")


@dataclass(frozen=True, slots=True)
class Spot:
    """One cell of a heat map.

    Attributes
    ----------
    shown : str
        What stands in it.
    ratio : float or None
        Natural log of a ratio: its shade. None: no shade.
    tip : str
        What more there is to say, such as rows and interval; read out by a screen reader and shown under the pointer.
    """

    shown: str
    ratio: float | None = None
    tip: str = ""


def heat(
    rows: Sequence[str],
    columns: Sequence[str],
    spots: Mapping[tuple[int, int], Spot],
    *,
    title: str,
    corner: str = "",
    sides: tuple[str, str] = ("rarer", "more often"),
    anchor: str,
) -> Html:
    """Draw a heat map as a table, so that it is read without eyes for colour and without eyes.

    Parameters
    ----------
    rows, columns : sequence of str
        Names.
    spots : mapping of (row, column) to Spot
        Cells without one are shown as a dot: too few rows.
    title : str
        What is shown.
    corner : str
        What rows and columns are.
    sides : (str, str)
        What the two shades mean.
    anchor : str
        Its id, unique on the page.

    Examples
    --------
    >>> page = heat(["<b>"], ["1"], {(0, 0): Spot("60 %", math.log(6), "630 rows")}, title="Rates", anchor="rates-heat")
    >>> '<td class="warm4" title="630 rows">60 %' in page, "&lt;b&gt;" in page
    (True, True)
    """
    named = f"{anchor}-title"
    head = tag(
        "tr", tag("th", corner, scope="col"), *(tag("th", name, scope="col", class_="number") for name in columns)
    )
    body = [
        tag("tr", tag("th", name, scope="row"), *(_cell(spots.get((at, column))) for column in range(len(columns))))
        for at, name in enumerate(rows)
    ]
    grid = tag("table", tag("thead", head), tag("tbody", *body), class_="grid", aria_labelledby=named)
    return tag(
        "div",
        tag("p", title, class_="caption", id=named),
        _key(sides),
        tag("div", grid, class_="scroll", role="region", tabindex="0", aria_labelledby=named),
        class_="heat",
        id=anchor,
    )


def _cell(spot: Spot | None) -> Html:
    if spot is None:
        return tag("td", tag("span", "·", aria_label="too few rows"), class_="few")
    more = tag("span", f" ({spot.tip})", class_="hidden") if spot.tip else None
    return tag("td", spot.shown, more, class_=shade(spot.ratio), title=spot.tip or None)


def shade(ratio: float | None) -> str | None:
    """The class of a log ratio: cold1 to cold4 below 0, warm1 to warm4 above, None near 0.

    Examples
    --------
    >>> shade(math.log(2.5)), shade(math.log(0.5)), shade(0.01), shade(None)
    ('warm3', 'cold3', None, None)
    """
    if ratio is None or math.isnan(ratio):
        return None
    step = bisect_right(_EDGES, abs(ratio) + 1e-12)
    return f"{'warm' if ratio > 0 else 'cold'}{step}" if step else None


def _key(sides: tuple[str, str]) -> Html:
    def swatch(name: str, text: str) -> Html:
        return tag("span", text, class_=f"swatch {name}")

    cold = [swatch(f"cold{step}", _STEPS[step]) for step in (4, 3, 2, 1)]
    warm = [swatch(f"warm{step}", _STEPS[step]) for step in (1, 2, 3, 4)]
    halves = (
        tag("span", tag("span", f"{side} by a factor of", class_="end"), *swatches)
        for side, swatches in zip(sides, (cold, warm), strict=True)
    )
    return tag("p", *halves, class_="key small", aria_hidden="true")
