"""One axis: how labels go with its groups, how often each label is given, and who is there at all."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...data.config import CheckRule
from ...data.showing import clipped
from ..findings import Finding
from ..page.document import Section, beside, figure
from ..page.html import Html, join, tag
from ..page.plot.forest import Bar, forest
from ..page.table import Cell, Column, number, table
from ..scorecard import speaker
from ..words import strength, times
from .group_heat import MOST_LINES, group_heat
from .wording import counted, factor, method, percent, ratio, ratios, share, shares, shares_said, worst_first

if TYPE_CHECKING:
    from ..report import AuditReport

MOST_BARS = 30
MOST_ROWS = 600

_CONTRAST, _REST = "log_ratio_centred", "label_log_ratio"
Table = dict[str, list[Finding]]


def axis_section(report: AuditReport, axis: str, at: int) -> Section:
    """The part of the page about one axis."""
    found: Table = defaultdict(list)
    for finding in report.findings:
        if finding.axis == axis:
            found[finding.measure].append(finding)
    anchor = f"axis-{at + 1}"
    measure = _CONTRAST if found[_CONTRAST] else _REST
    parts = [
        _associations(report, found, measure),
        group_heat(report, found, anchor),
        _rates(report, found, measure, anchor),
        _presence(found, anchor),
        _other(found, anchor),
    ]
    body = join([part for part in parts if part is not None])
    return Section(anchor, f"Axis: {clipped(axis, 60)}", body, lead=_lead(report, axis))


def _lead(report: AuditReport, axis: str) -> str:
    note = report.tally.axes[axis]
    score = report.scores.get(axis, {})
    what = counted(len(note.groups), "group") + {
        "lexicon": " found by words in the text",
        "column": " given by a column",
        "intersection": " of two or more axes together",
    }.get(note.kind, "")
    if score.get("value") is None:
        return f"{what}. The label was not compared with it."
    said = strength(score["low"], score["high"])
    value = f"{score['value']:.2f} ({score['low']:.2f} to {score['high']:.2f})"
    return f"{what}. The label's dependence on them is {said}: Cramér's V {value}."


def _associations(report: AuditReport, found: Table, measure: str) -> Html | None:
    known = [one for one in found[measure] if one.enough and math.isfinite(one.estimate)]
    if not known:
        return None
    say = speaker(report)
    chosen = sorted(known, key=lambda one: (not one.judged, *worst_first(one)))[:MOST_BARS]
    chosen.sort(key=lambda one: (not one.judged, -one.estimate, one.id))
    labels = {one.label for one in known}
    only = next(iter(labels)) if len(labels) == 1 else None
    bars = [
        Bar(
            _bar_name(one, measure, only),
            math.exp(one.estimate),
            _exp(one.low),
            _exp(one.high),
            one.n,
            one.status or "quiet",
            group="" if one.judged else "Not judged: the words have other senses too",
            note=f"{times(one.estimate)} ({factor(one.low)} to {factor(one.high)})",
        )
        for one in chosen
    ]
    if measure == _CONTRAST:
        first, second = str(known[0].group).split("/", 1)
        what = f"times as often among {clipped(first, 30)} as among {clipped(second, 30)}"
    elif only is not None:
        what = f"times as often {say.labelled(only)} as rows without the group"
    else:
        what = "times as often with the label as rows without the group"
    warn, fail = _limits(report.rules, measure, known[0].axis)
    limits = sorted({math.exp(sign * limit) for limit in (warn, fail) if limit is not None for sign in (1, -1)})
    chart = forest(
        bars,
        title=f"How labels go with groups: {what}",
        x=f"{what} (log scale)",
        reference=1.0,
        limits=limits,
        log=True,
        signed=False,
        names={"quiet": "not judged"},
    )
    cut = (
        f"The {len(chosen)} of {len(known):,} that matter most; all are in the tables below. "
        if len(known) > len(chosen)
        else ""
    )
    limit = "Dashed: the limits of the rules. " if limits else ""
    thin = sum(not one.enough for one in found[measure])
    rest = f"{counted(thin, 'comparison')} with too few rows: only in the table." if thin else ""
    note = method(
        [measure],
        f"Bars are {100 * report.settings.level:.0f} % intervals. A rule compares the whole interval with its limit: "
        "beyond it, "
        "within it, or unclear. Comparisons that are many are screened (Benjamini and Hochberg); q above 0.05 never "
        "fails.",
        "It says how data is labelled, not why: an association may have a cause outside this data.",
    )
    heading = tag("h3", "How labels go with groups")
    return beside(join([heading, figure(chart, f"{cut}1 is parity: no difference. {limit}{rest}")]), note)


def _bar_name(finding: Finding, measure: str, only: str | None) -> str:
    group = (finding.group or "").removesuffix(" (ambiguous)")
    if measure == _CONTRAST:
        return clipped(finding.label if only is None or finding.label not in ("1", "true") else group, 60)
    return clipped(group, 60) if only is not None else f"{clipped(group, 40)}: {clipped(finding.label, 40)}"


def _exp(value: float) -> float:
    return math.exp(min(value, 700.0)) if not math.isnan(value) else math.nan


def _limits(rules: Sequence[CheckRule], measure: str, axis: str) -> tuple[float | None, float | None]:
    """The limits that hold for all groups and labels."""
    for rule in rules:
        if rule.measure == measure and rule.axis in (None, axis) and rule.group is None and rule.label is None:
            return rule.warn, rule.fail
    return None, None


def _rates(report: AuditReport, found: Table, measure: str, anchor: str) -> Html | None:
    say = speaker(report)
    rates = {(one.group, one.label): one for one in found["label_rate"]}
    gaps = {(one.group, one.label): one for one in found["label_rate_gap"]}
    ratio_of = {(one.group, one.label): one for one in found[measure]}
    if not rates and not ratio_of:
        return None
    order = sorted(ratio_of.values(), key=worst_first)
    rows: list[list[object]] = []
    if measure == _CONTRAST:
        first, second = str(order[0].group).split("/", 1)
        columns = [
            Column("label", "long"),
            Column("status", "status"),
            Column(f"ratio {clipped(first, 20)} to {clipped(second, 20)}", "number"),
            Column(f"rate, {clipped(first, 20)}", "number"),
            Column(f"rate, {clipped(second, 20)}", "number"),
            Column("rows", "number"),
            Column("q", "number", ".2g"),
            Column("note", "long"),
        ]
        for one in order[:MOST_ROWS]:
            a, b = rates.get((first, one.label)), rates.get((second, one.label))
            rows.append(
                [
                    clipped(one.label),
                    one.status,
                    _with(ratio(one.estimate), ratios(one.low, one.high)),
                    _rate(a),
                    _rate(b),
                    one.n,
                    one.q,
                    one.remark,
                ]
            )
        title = f"Each label between {clipped(first)} and {clipped(second)}, with intervals"
    else:
        columns = [
            Column("group", "long"),
            Column("label"),
            Column("status", "status"),
            Column("ratio to the rest", "number"),
            Column("label's rate", "number"),
            Column("gap in points", "number"),
            Column("rows", "number"),
            Column("q", "number", ".2g"),
            Column("note", "long"),
        ]
        for one in order[:MOST_ROWS]:
            key = one.group, one.label
            rows.append(
                [
                    clipped(one.group or ""),
                    clipped(say.label(one.label)),
                    one.status,
                    _with(ratio(one.estimate), ratios(one.low, one.high)),
                    _rate(rates.get(key)),
                    _points(gaps.get(key)),
                    one.n,
                    one.q,
                    one.remark,
                ]
            )
        title = "Each group against the rows without it, with intervals"
    cut = f"The first {MOST_ROWS:,} of {len(order):,}; the rest is in audit.json." if len(order) > MOST_ROWS else ""
    made = table(columns, rows, caption=title, anchor=f"{anchor}-rates", remark=cut)
    shown = ("label_rate",) if measure == _CONTRAST else ("label_rate", "label_rate_gap")
    note = method([name for name in shown if found[name]])
    return beside(join([tag("h3", "Label rates"), made]), note)


def _with(value: Cell | None, ends: Cell | None) -> Cell | None:
    """An estimate with its interval below it, so that a table of many has room for its notes."""
    if value is None or ends is None:
        return value
    return Cell(join([value.shown, tag("br"), tag("span", ends.shown, class_="small")]), value.value)


def _rate(finding: Finding | None) -> Cell | None:
    return None if finding is None else _with(share(finding.estimate), shares(finding.low, finding.high))


def _points(finding: Finding | None) -> Cell | None:
    if finding is None or math.isnan(finding.estimate):
        return None
    ends = f"{number(100 * finding.low, '+.1f')} to {number(100 * finding.high, '+.1f')}"
    return _with(
        Cell(number(100 * finding.estimate, "+.1f"), finding.estimate),
        None if math.isnan(finding.low) else Cell(ends, finding.low),
    )


def _presence(found: Table, anchor: str) -> Html | None:
    known = [one for one in found["representation"] if math.isfinite(one.estimate)]
    if not known:
        return None
    known.sort(key=lambda one: (one.group is not None, -one.estimate, one.id))
    ratios_of = {one.group: one for one in found["representation_ratio"]}
    bars = [
        Bar(
            clipped(one.group or "any group", 60),
            one.estimate,
            one.low,
            one.high,
            one.n,
            (ratios_of[one.group].status if one.group in ratios_of else None) or "quiet",
            note=f"{percent(one.estimate)} ({shares_said(one.low, one.high)})",
        )
        for one in known
        if one.estimate > 0
    ][:MOST_BARS]
    chart = forest(
        bars,
        title="How much of the data each group is in",
        x="share of all rows",
        reference=None,
        percent=True,
        signed=False,
    )
    columns = [
        Column("group", "long"),
        Column("share of rows", "number"),
        Column("interval", "number"),
        Column("rows of", "number"),
    ]
    rows: list[list[object]] = []
    if ratios_of:
        columns += [Column("to reference", "number"), Column("interval", "number"), Column("status", "status")]
    for one in known[:MOST_ROWS]:
        row: list[object] = [clipped(one.group or "any group"), share(one.estimate), shares(one.low, one.high), one.n]
        if ratios_of:
            to = ratios_of.get(one.group)
            row += [None, None, None] if to is None else [ratio(to.estimate), ratios(to.low, to.high), to.status]
        rows.append(row)
    cut = f"The first {MOST_ROWS:,} of {len(known):,}; the rest is in audit.json." if len(known) > MOST_ROWS else ""
    data = table(columns, rows, caption="Share of each group", anchor=f"{anchor}-presence", remark=cut)
    note = method(
        ["representation", *(["representation_ratio"] if ratios_of else [])],
        "A row may be of several groups, so shares need not add up to 100 %. "
        + (
            ""
            if ratios_of
            else "No reference was given, so no share is called too small or too large: nothing is assumed to be 50/50."
        ),
    )
    shown = f"The {len(bars)} of {len(known):,} groups with most rows." if len(known) > len(bars) else "All groups."
    return beside(join([tag("h3", "Who is there"), figure(chart, shown, data)]), note)


def _other(found: Table, anchor: str) -> Html | None:
    """Numbers about the axis as a whole."""
    whole = [
        one
        for name in ("cramers_v", "nmi", "label_parity_max")
        for one in found[name]
        if one.group is None or name == "label_parity_max"
    ]
    whole = sorted(whole, key=lambda one: (one.measure, *worst_first(one)))[:MOST_LINES]
    if not whole:
        return None
    columns = [
        Column("measure", "code"),
        Column("label"),
        Column("status", "status"),
        Column("value", "number"),
        Column("interval", "number"),
        Column("rows", "number"),
        Column("note", "long"),
    ]
    rows = [
        [
            one.measure,
            clipped(one.label or ""),
            one.status,
            one.estimate,
            Cell(f"{one.low:.2f} to {one.high:.2f}", one.low) if math.isfinite(one.low) else None,
            one.n,
            one.remark,
        ]
        for one in whole
    ]
    made = table(columns, rows, caption="The axis as a whole", anchor=f"{anchor}-whole")
    return beside(join([tag("h3", "The axis in one number"), made]), method(sorted({one.measure for one in whole})))
