"""A curation in a notebook: what was done, and what it changed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..audit.page.html import Html
from ..audit.page.notebook import conclusion, grid, lines, notebook
from ..audit.page.plot.forest import Bar, forest
from ..data.showing import clipped

if TYPE_CHECKING:
    from .book.ledger import Ledger
    from .curation import Curation

_NAME = 30  # characters of a name in a chart
_RATIOS = ("label_log_ratio", "log_ratio_centred")
_BARS = 12


def curation_html(found: Curation) -> str:
    """A curation for `Curation._repr_html_`: the steps, rows, the largest changes, and what is to be said of them."""
    about = found.report
    steps = [(at, step["do"], step["axis"], step.get("rule")) for at, step in enumerate(about["steps"], start=1)]
    rows, out, touched = about["input"].get("rows"), about["output"].get("rows"), about.get("touched") or {}
    counts = [("rows before", rows), ("rows after", out)]
    counts += [(name, touched[name]) for name in ("dropped", "added", "changed") if name in touched]
    summary = found.summary()
    said = "; ".join(f"{do} on {axis}" for _, do, axis, _ in steps) or "no step"
    return notebook(
        conclusion(f"{said}: {rows:,} rows became {out:,}"),
        grid(["step", "what", "axis", "rule"], steps, more="report"),
        grid(["", "rows"], counts, more="report"),
        _changes(about.get("findings") or []),
        lines(summary),
    )


def _changes(findings: list[Mapping[str, Any]]) -> Html | None:
    """How many times as often groups have labels, before and after: the largest before."""
    told = [one for one in findings if one["measure"] in _RATIOS and one.get("judged") and _whole(one)]
    told.sort(key=lambda one: (-min(abs(one["before"][end]) for end in ("low", "high")), str(one["id"])))
    bars = [_bar(one) for one in told[:_BARS]]
    if not bars:
        return None
    return forest(
        bars, title="How many times as often groups have labels", x="times as often (log scale)", reference=1.0,
        log=True, signed=False, before="before",
    )  # fmt: skip


def _bar(one: Mapping[str, Any]) -> Bar:
    name = f'{clipped(one["group"], _NAME)} labelled "{clipped(one["label"], _NAME)}"'
    before, after = ([math.exp(one[when][end]) for end in ("estimate", "low", "high")] for when in ("before", "after"))
    return Bar(
        name, after[0], after[1], after[2], one["after"]["n"], group=clipped(one["axis"], _NAME),
        before=(before[0], before[1], before[2]),
    )  # fmt: skip


def _whole(one: Mapping[str, Any]) -> bool:
    ends = [(one.get(when) or {}).get(name) for when in ("before", "after") for name in ("estimate", "low", "high")]
    return all(end is not None for end in ends)


def text_html(summary: str) -> str:
    """Lines of a summary."""
    return notebook(lines(summary))


def ledger_html(ledger: Ledger) -> str:
    """A ledger for `Ledger._repr_html_`: how many entries of each kind; no word of the data."""
    about = ledger.about
    counts = sorted(about["counts"].items())
    return notebook(
        conclusion(f"Ledger of {about['input']['rows']:,} rows that became {about['output']['rows']:,}"),
        grid(["entries", "number"], [(name.replace("_", " "), number) for name, number in counts], more="about"),
    )
