"""Results in a notebook: a table and a chart in one cell's output, with the look of the reports."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .html import Html, esc, join, tag
from .plot.style import CSS

SHOWN = 15
"""Rows of a table in a notebook; the rest is in `to_frame`."""

_STATUS = frozenset({"pass", "warn", "fail", "unclear"})


def notebook(*parts: object) -> str:
    """The output of a cell: its own style, which touches nothing else on the page, and the parts.

    Parameters
    ----------
    *parts : object
        `Html`, or text, which is escaped; None is left out.

    Examples
    --------
    >>> page = notebook(tag("p", "a < b"))
    >>> page.startswith('<div class="evenset-nb"><style>'), page.endswith("<p>a &lt; b</p></div>")
    (True, True)
    """
    return str(tag("div", tag("style", Html(_style())), *parts, class_="evenset-nb"))


def grid(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, total: int | None = None, more: str = "to_frame()"
) -> Html:
    """A table of at most `SHOWN` rows, with a word on how to get the rest.

    Parameters
    ----------
    columns : sequence of str
        Their headings.
    rows : sequence of sequences
        Text, numbers, None or `Html`; what is no `Html` is escaped. A status has its colour besides its word.
    total : int, optional
        How many rows there are, where only the first are given.
    more : str
        What gives all rows.

    Examples
    --------
    >>> print(grid(["group", "n"], [("<a>", 1200)]))  # doctest: +NORMALIZE_WHITESPACE
    <table><thead><tr><th>group</th><th>n</th></tr></thead><tbody><tr><td>&lt;a&gt;</td><td
    class="n">1,200</td></tr></tbody></table>
    """
    head = tag("tr", *(tag("th", name) for name in columns))
    body = [tag("tr", *map(_cell, row)) for row in rows[:SHOWN]]
    left = (len(rows) if total is None else total) - SHOWN
    rest = tag("p", f"and {left:,} more: ", tag("code", more)) if left > 0 else None
    return join([tag("table", tag("thead", head), tag("tbody", *body)), rest])


def _cell(value: Any) -> Html:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return tag("td", "")
    if isinstance(value, str) and not isinstance(value, Html) and value in _STATUS:
        return tag("td", value, class_=f"s-{value}")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return tag("td", f"{value:,}" if isinstance(value, int) else f"{value:.3g}".replace("-", "−"), class_="n")
    return tag("td", value)


def interval(value: float, low: float, high: float) -> Html:
    """An estimate with its interval, as a cell shows it; empty where there is none.

    Examples
    --------
    >>> print(interval(0.1234, -0.5, 1.0))
    <span class="i">0.12 (−0.50 to 1.00)</span>
    """
    if math.isnan(value):
        return join([])
    return tag("span", f"{value:.2f} ({low:.2f} to {high:.2f})".replace("-", "−"), class_="i")


def lines(text: str) -> Html:
    """Lines as a terminal shows them."""
    return tag("pre", text)


def printed(renderable: Any, *, width: int = 100) -> Html:
    """What rich prints on a terminal, without colours."""
    import io

    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=width, highlight=False, markup=False, emoji=False, color_system=None).print(renderable)
    return tag("pre", out.getvalue().rstrip())


@functools.cache
def _style() -> str:
    sheet = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
    light, dark = (re.sub(r"\s+", " ", block).strip() for block in re.findall(r":root \{([^}]*)\}", sheet)[:2])
    # A notebook's theme need not be that of the system, so what says its theme is asked first.
    return (
        f".evenset-nb{{{light} background:var(--paper);color:var(--ink);font-family:var(--sans);padding:.5rem .75rem}}"
        f"@media (prefers-color-scheme:dark){{.evenset-nb{{{dark}}}}}"
        f'body[data-jp-theme-light="true"] .evenset-nb,body.vscode-light .evenset-nb{{{light}}}'
        f'body[data-jp-theme-light="false"] .evenset-nb,body.vscode-dark .evenset-nb{{{dark}}}'
        ".evenset-nb{p{margin:.25rem 0 .5rem;max-width:60rem}table{border-collapse:collapse;margin:.5rem 0}"
        "th,td{padding:.15rem .6rem;text-align:left;border-bottom:1px solid var(--line);background:none;"
        "color:var(--ink)}td.n{text-align:right;font-variant-numeric:tabular-nums}"
        ".i{white-space:nowrap}pre{background:none;color:var(--ink);white-space:pre-wrap}"
        + "".join(f"td.s-{name}{{color:var(--{name});font-weight:600}}" for name in sorted(_STATUS))
        + CSS
        + "}"
    )


def conclusion(text: str) -> Html:
    """The answer in a sentence, first."""
    return tag("p", tag("strong", esc(text)))
