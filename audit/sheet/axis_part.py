"""One axis: how labels go with its groups, how often each label is given, and who is there at all."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...data.config import CheckRule
from ..findings import MINIMUM_ROWS, Finding
from ..page.document import Section, beside, figure
from ..page.html import Html, join, tag
from ..page.plot.forest import Bar, forest
from ..page.plot.heat import Spot, heat
from ..page.table import Cell, Column, number, table
from ..scorecard import speaker
from ..words import strength, times
from .wording import clipped, counted, factor, method, percent, ratio, ratios, share, shares, worst_first

if TYPE_CHECKING:
    from ..report import AuditReport

MOST_BARS = 30
MOST_ROWS = 600
MOST_LINES, MOST_COLUMNS = 40, 16

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
        _associations(report, found, measure, anchor),
        _heat(report, found, anchor),
        _rates(report, found, measure, anchor),
        _presence(report, found, anchor),
        _other(found, anchor),
    ]
    body = join([part for part in parts if part is not None])
    return Section(anchor, f"Axis: {clipped(axis)}", body, lead=_lead(report, axis))


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
    return f"{what}. The label's dependence on them is {said}: Cramér's V {score['value']:.2f} ({score['low']:.2f} to {score['high']:.2f})."


def _associations(report: AuditReport, found: Table, measure: str, anchor: str) -> Html | None:
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
            math.exp(one.estimate), _exp(one.low), _exp(one.high), one.n,
            one.status or "quiet",
            group="" if one.judged else "Not judged: the words have other senses too",
            note=f"{times(one.estimate)} ({factor(one.low)} to {factor(one.high)})",
        )
        for one in chosen
    ]  # fmt: skip
    if measure == _CONTRAST:
        first, second = str(known[0].group).split("/", 1)
        what = f"times as often among {clipped(first, 30)} as among {clipped(second, 30)}"
    elif only is not None:
        what = f"times as often {say.labelled(only)} as rows without the group"
    else:
        what = "times as often with the label as rows without the group"
    warn, fail = _limits(report.rules, measure, known[0].axis)
    limits = sorted({math.exp(sign * limit) for limit in (warn, fail) if limit is not None for sign in (1, -1)})
    chart = forest(bars, title=f"How labels go with groups: {what}", x=f"{what} (log scale)", reference=1.0,
                   limits=limits, log=True, signed=False, names={"quiet": "not judged"})  # fmt: skip
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
        f"Bars are {100 * report.settings.level:.0f} % intervals. A rule compares the whole interval with its limit: beyond it, "
        "within it, or unclear. Comparisons that are many are screened (Benjamini and Hochberg); q above 0.05 never fails.",
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


def _heat(report: AuditReport, found: Table, anchor: str) -> Html | None:
    """Groups by labels; of a task with two labels, where one label says it all, groups by length of text."""
    labels = {one.label for one in found["pmi"]}
    if len(labels) > 1:
        return _heat_labels(found["pmi"], anchor)
    return _heat_lengths(report, found["label_rate_by_length"], anchor)


def _heat_labels(cells: list[Finding], anchor: str) -> Html:
    rows_of: dict[str, float] = defaultdict(float)
    most: dict[str, float] = defaultdict(float)
    for one in cells:
        rows_of[str(one.group)] = max(rows_of[str(one.group)], one.n)
        near = one.magnitude[0]
        most[str(one.label)] = max(most[str(one.label)], near if math.isfinite(near) else 0.0)
    groups = sorted(rows_of, key=lambda name: (-rows_of[name], name))
    labels = sorted(most, key=lambda name: (-most[name], name))
    columns, lines = groups[:MOST_COLUMNS], labels[:MOST_LINES]
    spots = {}
    for one in cells:
        if one.group in columns and one.label in lines and math.isfinite(one.estimate):
            tip = f"{factor(one.low)} to {factor(one.high)}; {one.n:,} rows"
            clear = one.low > 0 or one.high < 0
            spots[lines.index(str(one.label)), columns.index(str(one.group))] = Spot(
                times(one.estimate), one.estimate if clear else None, tip
            )
    cut = []
    if len(labels) > len(lines):
        cut.append(f"the {len(lines)} of {len(labels):,} labels that are furthest from it")
    if len(groups) > len(columns):
        cut.append(f"the {len(columns)} of {len(groups):,} groups with most rows")
    chart = heat(
        [clipped(name, 50) for name in lines], [clipped(name, 40) for name in columns], spots,
        title="Groups and labels: how many times as often together as if they had nothing to do with each other"
        + (f" ({' and '.join(cut)})" if cut else ""),
        corner="label", anchor=f"{anchor}-heat",
    )  # fmt: skip
    note = method(
        ["pmi"], f"Shaded where the interval leaves 1× out. A dot: under {MINIMUM_ROWS} rows, or too few expected."
    )
    return beside(join([tag("h3", "Group by label"), chart]), note)


def _heat_lengths(report: AuditReport, cells: list[Finding], anchor: str) -> Html | None:
    strata = list(dict.fromkeys(str(one.stratum) for one in cells if one.group is None))
    base = {one.stratum: one for one in cells if one.group is None}
    groups: dict[str, int] = defaultdict(int)
    for one in cells:
        if one.group is not None and one.enough and math.isfinite(one.estimate):
            groups[one.group] += one.n
    if not groups or not strata:
        return None
    lines = sorted(groups, key=lambda name: (-groups[name], name))[:MOST_LINES]
    names = ["all rows", *lines]
    spots = {}
    for one in cells:
        if not one.enough or math.isnan(one.estimate) or (one.group is not None and one.group not in lines):
            continue
        whole = base.get(one.stratum)
        tip = f"{percent(one.low)} to {percent(one.high)}; {one.n:,} rows"
        away = None
        if (
            one.group is not None
            and whole is not None
            and whole.estimate > 0
            and not one.low <= whole.estimate <= one.high
        ):
            away = math.log(max(one.estimate, 1e-9) / whole.estimate)
        at = 0 if one.group is None else names.index(one.group)
        spots[at, strata.index(str(one.stratum))] = Spot(percent(one.estimate), away, tip)
    label = speaker(report).label(cells[0].label)
    chart = heat(
        [clipped(name, 50) for name in names], [f"{name} characters" for name in strata], spots,
        title=f"How often {label} is given, by group and length of text", corner="group",
        sides=("rarer than in all rows of that length", "more often"), anchor=f"{anchor}-heat",
    )  # fmt: skip
    note = method(
        ["label_rate_by_length"],
        f"Shaded where the interval leaves the rate of all rows of that length out. A dot: under {MINIMUM_ROWS} rows; "
        "groups with only dots are not shown.",
    )
    return beside(join([tag("h3", "Group by length of text"), chart]), note)


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
            Column("label", "long"), Column("status", "status"), Column(f"ratio {clipped(first, 20)} to {clipped(second, 20)}", "number"),
            Column("interval", "number"), Column(f"rate, {clipped(first, 20)}", "number"), Column("interval", "number"),
            Column(f"rate, {clipped(second, 20)}", "number"), Column("interval", "number"), Column("rows", "number"),
            Column("q", "number", ".2g"), Column("note", "long"),
        ]  # fmt: skip
        for one in order[:MOST_ROWS]:
            a, b = rates.get((first, one.label)), rates.get((second, one.label))
            rows.append([clipped(one.label), one.status, ratio(one.estimate), ratios(one.low, one.high), *_rate(a), *_rate(b),
                         one.n, one.q, one.remark])  # fmt: skip
        title = f"Each label between {first} and {second}"
    else:
        columns = [
            Column("group", "long"), Column("label"), Column("status", "status"), Column("ratio to the rest", "number"),
            Column("interval", "number"), Column("label's rate", "number"), Column("interval", "number"),
            Column("gap in points", "number"), Column("interval", "number"), Column("rows", "number"),
            Column("q", "number", ".2g"), Column("note", "long"),
        ]  # fmt: skip
        for one in order[:MOST_ROWS]:
            key = one.group, one.label
            rows.append([clipped(one.group or ""), clipped(say.label(one.label)), one.status, ratio(one.estimate), ratios(one.low, one.high),
                         *_rate(rates.get(key)), *_points(gaps.get(key)), one.n, one.q, one.remark])  # fmt: skip
        title = "Each group against the rows without it"
    cut = f"The first {MOST_ROWS:,} of {len(order):,}; the rest is in audit.json." if len(order) > MOST_ROWS else ""
    made = table(columns, rows, caption=title, anchor=f"{anchor}-rates", remark=cut)
    note = method([name for name in ("label_rate", "label_rate_gap") if found[name]])
    return beside(join([tag("h3", "Label rates"), made]), note)


def _rate(finding: Finding | None) -> list[Cell | None]:
    return [None, None] if finding is None else [share(finding.estimate), shares(finding.low, finding.high)]


def _points(finding: Finding | None) -> list[Cell | None]:
    if finding is None or math.isnan(finding.estimate):
        return [None, None]
    ends = f"{number(100 * finding.low, '+.1f')} to {number(100 * finding.high, '+.1f')}"
    return [Cell(number(100 * finding.estimate, "+.1f"), finding.estimate), Cell(ends, finding.low)]


def _presence(report: AuditReport, found: Table, anchor: str) -> Html | None:
    known = [one for one in found["representation"] if math.isfinite(one.estimate)]
    if not known:
        return None
    known.sort(key=lambda one: (one.group is not None, -one.estimate, one.id))
    ratios_of = {one.group: one for one in found["representation_ratio"]}
    bars = [
        Bar(
            clipped((one.group or "any group").removesuffix(" (ambiguous)"), 60), one.estimate, one.low, one.high, one.n,
            (ratios_of[one.group].status if one.group in ratios_of else None) or "quiet",
            note=f"{percent(one.estimate)} ({percent(one.low).removesuffix(' %')} to {percent(one.high).removesuffix(' %')})",
        )
        for one in known if one.estimate > 0
    ][:MOST_BARS]  # fmt: skip
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
    columns = [Column("measure", "code"), Column("label"), Column("status", "status"), Column("value", "number"), Column("interval", "number"),
               Column("rows", "number"), Column("note", "long")]  # fmt: skip
    rows = [
        [one.measure, clipped(one.label or ""), one.status, one.estimate,
         Cell(f"{one.low:.2f} to {one.high:.2f}", one.low) if math.isfinite(one.low) else None, one.n, one.remark]
        for one in whole
    ]  # fmt: skip
    made = table(columns, rows, caption="The axis as a whole", anchor=f"{anchor}-whole")
    return beside(join([tag("h3", "The axis in one number"), made]), method(sorted({one.measure for one in whole})))
