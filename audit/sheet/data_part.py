"""The data itself: its quality and coverage, what models are measured against, every finding, and what was left out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...data.showing import clipped
from ..findings import Status
from ..page.document import Section, beside, command, computed
from ..page.html import Html, join, tag
from ..page.table import Column, table
from ..scorecard import next_steps, rows_line, unclear_lines
from .wording import RANK, plain, share, typed, worst_first

if TYPE_CHECKING:
    from ..remedies import Remedy
    from ..report import AuditReport

MOST_FINDINGS, MOST_LABELS, MOST_YARDSTICKS = 1500, 300, 300

_CONTRAST_OF = {
    "fpr": "How much more often rows with the term are positive, centred (log ratio)",
    "tpr": "Share of the first group among the label's rows, centred",
}


def next_section(report: AuditReport) -> Section:
    """What to do: the steps of curation that were tried on the counts, and the commands."""
    body: list[Html] = []
    if report.remedies:
        rows = [
            (one.do, clipped(one.axis), one.before, one.after, one.cost, _worth(one))
            for one in sorted(report.remedies, key=lambda one: (one.axis, one.after, -one.left))
        ]
        columns = [
            Column("step", "code"),
            Column("axis"),
            Column("Cramér's V now", "number"),
            Column("after", "number"),
            Column("cost", "long"),
            Column("left of the data", "number"),
        ]
        body.append(
            table(columns, rows, caption="Steps of curation, tried on the counts; nothing was changed", anchor="steps")
        )
    steps = next_steps(report, bare=True)
    if steps is not None:
        say, commands = steps
        body.append(tag("p", f"{say[:1].upper()}{say[1:]}. Run these where the data lies:"))
        body += [command(typed(words)) for words in commands]
    lines = unclear_lines(report)
    if lines:
        body.append(tag("h3", "What is not told"))
        body += [tag("p", tag("strong", heading), " ", text + ".") for heading, text in lines]
    if not body:
        body.append(tag("p", "Nothing to curate was found, and there is no file that a command could name."))
    note = computed(
        "What a step would leave is computed from the counts, before a row is written. Reweighting keeps all rows "
        "(Kamiran and Calders 2012); "
        "left of the data: rows that stay, or their effective number (Kish).",
        "A step evens out the association in the data. Whether a model's gap shrinks is what evenset run and verify "
        "tell.",
    )
    return Section("next", "What to do next", beside(join(body), note))


def _worth(one: Remedy) -> Any:
    return share(one.left / one.worth_before) if one.worth_before else None


def quality_section(report: AuditReport) -> Section:
    """What makes figures wrong, and what there is at all."""
    body: list[Html] = [tag("p", rows_line(report))]
    quality = report.parts.quality
    if quality is not None:
        status: dict[str, Status | None] = {"unclear": "unclear", "warn": "warn", "info": None}
        found = sorted(quality.findings, key=lambda one: RANK[status[one.severity]])
        rows = [
            (
                one.kind.replace("_", " "),
                status[one.severity],
                one.message + ".",
                one.what_to_do,
                share(one.estimate),
                clipped(one.about),
            )
            for one in found
        ]
        columns = [
            Column("check", "long"),
            Column("status", "status"),
            Column("found", "long"),
            Column("what to do", "long"),
            Column("share", "number"),
            Column("about"),
        ]
        made = table(
            columns,
            rows,
            caption="What can make these figures wrong",
            anchor="quality-table",
            remark="Not judged: nothing to worry about.",
        )
        body += [tag("h3", "Quality"), made]
    body.append(_labels(report))
    note = computed(
        "Shares with Wilson's interval. Duplicates: equal text, equal words, and near duplicates by MinHash. "
        "Coverage: rows in which a word "
        "list finds anything; text that it cannot see counts for no group.",
        "Word lists are English. Who is meant is not the same as who is named, and most rows name nobody.",
    )
    return Section("data", "Data quality and coverage", beside(join(body), note))


def _labels(report: AuditReport) -> Html:
    seen = report.coverage
    total = sum(seen["labels"].values())
    body: list[Html] = []
    if total:
        labels = sorted(seen["labels"].items(), key=lambda item: (-item[1], item[0]))
        rows = [(clipped(name), count, share(count / total)) for name, count in labels[:MOST_LABELS]]
        cut = f"The first {MOST_LABELS} of {len(labels):,}." if len(labels) > MOST_LABELS else ""
        body.append(tag("h3", "Labels"))
        body.append(
            table(
                [Column("label", "long"), Column("rows", "number"), Column("share", "number")],
                rows,
                caption="Rows of each label",
                anchor="labels",
                remark=cut,
            )
        )
    if seen["lexicons"]:
        rows_ = [
            (name, one["rows"], share(one["rows"] / seen["rows"]) if seen["rows"] else None, one["tokens"])
            for name, one in seen["lexicons"].items()
        ]
        body.append(tag("h3", "What the word lists see"))
        body.append(
            table(
                [
                    Column("word list", "long"),
                    Column("rows", "number"),
                    Column("share", "number"),
                    Column("words matched", "number"),
                ],
                rows_,
                caption="Coverage",
                anchor="coverage",
            )
        )
    return join(body)


def yardstick_section(report: AuditReport) -> Section | None:
    """What the gap of a model trained on this data is measured against."""
    parts: list[Html] = []
    for at, (axis, kinds) in enumerate(report.yardsticks.items()):
        for kind, found in kinds.items():
            entries: list[Mapping[str, Any]] = found.get("terms") or found.get("labels") or []
            name, first = ("group", "rate") if kind == "fpr" else ("label", "share")
            counts = (
                [Column("rows", "number")]
                if kind == "fpr"
                else [
                    Column(f"rows, {clipped(found['first'], 20)}", "number"),
                    Column(f"rows, {clipped(found['second'], 20)}", "number"),
                ]
            )
            columns = [
                Column(name, "long"),
                Column("c", "number", "+.3f"),
                Column(first, "number"),
                *counts,
                Column("used"),
            ]
            order = sorted(entries, key=lambda one: (not one["in_t"], -abs(one["c"] or 0.0), one[name]))
            rows = [
                (
                    clipped(one[name]),
                    one["c"],
                    share(one[first]),
                    *([one["n"]] if kind == "fpr" else [one["n_first"], one["n_second"]]),
                    "yes" if one["in_t"] else "too few rows or ambiguous",
                )
                for one in order[:MOST_YARDSTICKS]
            ]
            cut = f"The first {MOST_YARDSTICKS} of {len(order):,}." if len(order) > MOST_YARDSTICKS else ""
            parts.append(
                table(
                    columns,
                    rows,
                    caption=f"{clipped(axis)}, {kind}: {_CONTRAST_OF[kind]}",
                    anchor=f"yardstick-{at + 1}-{kind}",
                    remark=cut,
                )
            )
    if not parts:
        return None
    note = computed(
        "fpr: log ratio of the label's rate with the term to that without it, both shrunk with 20 rows at the overall "
        "rate, less its mean. "
        "tpr: share of the first group among the label's rows, less its mean. A model's gap is the slope of its "
        "errors on c (Steed et al. 2022).",
        "Terms and labels with fewer than 30 rows, and ambiguous words, are left out of it.",
    )
    lead = (
        "If a model learns this data's association, its errors follow these numbers; evenset verify holds them against "
        "each other."
    )
    return Section("yardsticks", "Yardsticks for models", beside(join(parts), note), lead)


def findings_section(report: AuditReport) -> Section:
    """Every finding, the worst first."""
    order = sorted(report.findings, key=worst_first)
    columns = [
        Column("measure", "code"),
        Column("status", "status"),
        Column("axis"),
        Column("group"),
        Column("label"),
        Column("estimate", "number", ".4g"),
        Column("interval", "number"),
        Column("rows", "number"),
        Column("q", "number", ".2g"),
        Column("part"),
        Column("method", "long"),
        Column("note", "long"),
    ]
    rows = [
        (
            one.measure,
            one.status,
            clipped(one.axis, 40),
            clipped(one.group or "", 60),
            clipped(one.label or "", 60),
            _finite(one.estimate),
            plain(one.low, one.high, ".3g"),
            one.n,
            one.q,
            one.stratum or "",
            one.method,
            one.remark,
        )
        for one in order[:MOST_FINDINGS]
    ]
    cut = (
        f"The first {len(rows):,} of {len(order):,}, the worst first; all are in audit.json."
        if len(order) > len(rows)
        else ""
    )
    made = table(columns, rows, caption="Findings", anchor="findings-table", remark=cut)
    lead = (
        f"{len(order):,} numbers, each with its interval, its rows and its method. Ratios are natural logs here: 0.69 "
        "is twice as often."
    )
    return Section("findings", "All findings", made, lead)


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else value
