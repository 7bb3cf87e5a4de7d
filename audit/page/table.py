"""Tables that are read without a script and sort and filter with it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .document import status_mark
from .html import Html, join, tag

Kind = Literal["text", "long", "number", "status", "code"]

_ORDER = {"fail": 0, "warn": 1, "unclear": 2, "pass": 3, None: 4}
_EMPTY = "–"
_ON_PAPER = 60
_MANY = 12  # So many columns or fewer have letters of the usual size on paper.
_SHORT = 25  # So many rows stand open, without a frame that scrolls downwards.
_WORD, _NAME = 20, 300  # A longer word may be broken; a longer name is cut.
_ENDLESS = re.compile(rf"\S{{{_NAME + 1},}}")


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes
    ----------
    name : str
    kind : {"text", "long", "number", "status", "code"}
        Numbers are aligned and sorted as such; a status is a key of `document.STATUSES` or None and sorts by how bad
        it is; long text gets room.
    form : str
        How a number that is not an integer is written, such as ".2f".
    """

    name: str
    kind: Kind = "text"
    form: str = ".2f"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell that shows something else than it is sorted by.

    Attributes
    ----------
    shown : Html or str
    value : float or str
        What it is sorted by.
    """

    shown: Html | str
    value: float | str


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[Any]], *, caption: Html | str, anchor: str, remark: str = ""
) -> Html:
    """A table in a frame that scrolls by itself; its first column names the row.

    Parameters
    ----------
    columns : sequence of Column
        Their headings.
    rows : sequence of sequences
        One value a column: text, a number, None, a `Cell`, or `Html`. What is no `Html` is escaped.
    caption : Html or str
        What the table holds.
    anchor : str
        Its id, unique on the page.
    remark : str
        What else there is to know, such as what was cut.

    Examples
    --------
    >>> page = table([Column("group"), Column("rate", "number")], [("<a>", 0.25)], caption="Rates", anchor="rates")
    >>> '<th scope="row">&lt;a&gt;</th><td class="number" data-v="0.25">0.25</td>' in page
    True
    """
    head = tag("tr", *(tag("th", one.name, scope="col", class_=_aligned(one)) for one in columns))
    body = [_row(columns, row) for row in rows]
    printed = f" On paper the first {_ON_PAPER} of {len(rows):,} rows." if len(rows) > _ON_PAPER else ""
    notes = [tag("span", " ", remark, class_="small")] if remark else []
    if printed:
        notes.append(tag("span", printed, class_="small only-print"))
    named = f"{anchor}-caption"
    return tag(
        "div",
        tag("p", caption, *notes, class_="caption", id=named),
        tag(
            "div",
            tag(
                "table",
                tag("thead", head),
                tag("tbody", join(body, "\n")),
                aria_labelledby=named,
                class_="many" if len(columns) > _MANY else None,
            ),
            class_="scroll tall" if len(rows) > _SHORT else "scroll",
            role="region",
            tabindex="0",
            aria_labelledby=named,
        ),
        class_="table",
        id=anchor,
    )


def _aligned(column: Column) -> str | None:
    return "number" if column.kind == "number" else None


def _row(columns: Sequence[Column], row: Sequence[Any]) -> Html:
    cells = zip(columns, row, strict=True)
    return tag("tr", *(_cell(column, value, first=not at) for at, (column, value) in enumerate(cells)))


def _cell(column: Column, value: Any, *, first: bool) -> Html:
    sort: object = None
    shown: Any = value
    if isinstance(value, Cell):
        shown, sort = value.shown, _plain(value.value)
    elif column.kind == "status":
        shown, sort = status_mark(value), _ORDER[value]
    elif value is None or (isinstance(value, float) and math.isnan(value)):
        shown, sort = (tag("span", _EMPTY, aria_label="none"), "")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        shown, sort = number(value, column.form), _plain(value)
    kinds: list[str] = [column.kind] if column.kind != "status" else []
    if not isinstance(shown, Html):
        shown = _ENDLESS.sub(lambda found: found.group()[: _NAME - 1] + "…", str(shown))
        if first or column.kind == "text":
            shown = shown if len(shown) <= _NAME else shown[: _NAME - 1] + "…"
        if any(len(word) > _WORD for word in shown.replace("-", " ").split()):
            kinds.append("broken")
    if first:
        named = " ".join(kind for kind in kinds if kind in ("long", "code", "broken"))
        return tag("th", shown, scope="row", class_=named or None, data_v=sort)
    return tag("td", shown, class_=" ".join(kinds) or None, data_v=sort)


def number(value: float, form: str = ".2f") -> str:
    """A number for a reader: integers with their thousands apart, a true minus.

    Examples
    --------
    >>> number(12345), number(-0.126), number(float("inf"))
    ('12,345', '−0.13', '∞')
    """
    if isinstance(value, float) and math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:,}" if isinstance(value, int) else format(value, form)
    return text.replace("-", "−")


def _plain(value: float | str) -> str:
    if isinstance(value, float):
        return ("Infinity" if value > 0 else "-Infinity") if math.isinf(value) else f"{value:.6g}"
    return str(value)
