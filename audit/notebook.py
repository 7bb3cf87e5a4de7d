"""An audit and a check in a notebook: the answer, the scores, a chart, the findings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..data.showing import clipped
from .findings import Finding
from .page.html import Html, join
from .page.notebook import SHOWN, conclusion, grid, interval, notebook
from .page.plot.forest import Bar, forest
from .words import strength, times

if TYPE_CHECKING:
    from .check import CheckResult
    from .report import AuditReport

_NAME = 30  # characters of a name in a chart
_ORDER = {"fail": 0, "warn": 1, "unclear": 2, "pass": 3, None: 4}
_RATIOS = ("label_log_ratio", "log_ratio_centred")
_BARS = 12


def audit_html(report: AuditReport) -> str:
    """A report for `AuditReport._repr_html_`."""
    found = sorted(report.findings, key=lambda one: (_ORDER[one.status], -_size(one), one.id))
    scores = []
    for axis, score in report.scores.items():
        known = score["value"] is not None and score["low"] is not None
        words = strength(score["low"], score["high"]) if known else "not enough rows to tell"
        number = interval(score["value"], score["low"], score["high"]) if known else join([])
        scores.append((axis, number, words))
    rows = [
        (one.status, one.measure, one.axis, one.group, one.label, interval(one.estimate, one.low, one.high), one.n,
         one.remark)
        for one in found[:SHOWN]
    ]  # fmt: skip
    return notebook(
        conclusion(report.conclusion()),
        grid(["axis", "how much labels depend on it (Cramér's V)", ""], scores),
        _ratios(found),
        grid(["status", "measure", "axis", "group", "label", "estimate", "n", "remark"], rows, total=len(found)),
    )


def _size(one: Finding) -> float:
    near = one.magnitude[0]
    return 0.0 if math.isnan(near) else near


def _ratios(found: list[Finding]) -> Html | None:
    """How many times as often groups have labels: what matters most of what can be told."""
    chosen = [one for one in found if one.measure in _RATIOS and one.enough and one.judged and _drawable(one)][:_BARS]
    if not chosen:
        return None
    bars = [
        Bar(
            _clipped(one), math.exp(one.estimate), math.exp(one.low), math.exp(one.high), one.n, one.status or "quiet",
            group=clipped(one.axis, _NAME), note=times(one.estimate),
        )
        for one in chosen
    ]  # fmt: skip
    return forest(
        bars, title="How many times as often groups have labels", x="times as often (log scale)", reference=1.0,
        log=True, signed=False, names={"quiet": "not judged"},
    )  # fmt: skip


def _drawable(one: Finding) -> bool:
    return all(math.isfinite(value) for value in (one.estimate, one.low, one.high))


def _clipped(one: Finding) -> str:
    return f'{clipped(one.group, _NAME)} labelled "{clipped(one.label, _NAME)}"'


def check_html(result: CheckResult) -> str:
    """A check for `CheckResult._repr_html_`: the answer, then what did not pass."""
    bad = sorted((case for case in result.cases if case.status != "pass"), key=lambda case: _ORDER[case.status])
    rows = [(case.status, case.name, case.message) for case in bad]
    table = grid(["status", "finding", "what"], rows, more="cases") if rows else None
    return notebook(conclusion(result.summary()), table)
