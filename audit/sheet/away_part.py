"""What in the text gives a group away besides its own words: leakage and proxies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...data.showing import clipped
from ..page.document import Section, beside, computed, figure
from ..page.html import Html, join, tag
from ..page.plot.forest import Bar, forest
from ..page.table import Column, table
from ..scorecard_parts import given_away
from .wording import method, plain

if TYPE_CHECKING:
    from ..proxy_report import Proxy, ProxyReport
    from ..report import AuditReport
    from ..texts.leakage import Leakage

MOST_PROXIES, MOST_NEAR, MOST_CONTRASTS = 200, 60, 8

_STEPS = {"raw": "whole text", "scrubbed": "own words hidden", "without proxies": "proxies hidden too"}


def away_section(report: AuditReport) -> Section | None:
    """Leakage before and after words are hidden, and the proxies, axis by axis."""
    parts = report.parts
    if parts.leakage is None and parts.proxies is None:
        return None
    heading, lines = given_away(report)
    said = [tag("li", tag("strong", f"{mark}: ") if mark else None, text) for _, mark, text in lines]
    body: list[Html] = [tag("ul", *said, class_="said")] if said else []
    for at, axis in enumerate(report.tally.axes):
        if parts.leakage is not None and axis in parts.leakage:
            body.append(_leakage(parts.leakage[axis], f"leakage-{at + 1}"))
        if parts.proxies is not None and axis in parts.proxies:
            body.append(_proxies(parts.proxies[axis], f"proxies-{at + 1}"))
    return Section("away", "What gives a group away", join(body), lead=f"{heading}.")


def _step(name: str) -> str:
    return _STEPS.get(name, name.replace("scrubbed of", "also without").removesuffix(" too").replace("_", " "))


def _leakage(found: Leakage, anchor: str) -> Html:
    known = [one for one in found.contrasts if one.steps]
    bars = [
        Bar(
            _step(step.name),
            step.area.estimate,
            step.area.low,
            step.area.high,
            one.n_first + one.n_second,
            "quiet" if step.name == "raw" else "",
            group=f"{clipped(one.first, 40)} from {clipped(one.second or 'all others', 40)}",
            note=f"{step.area.estimate:.2f} ({step.area.low:.2f} to {step.area.high:.2f})",
        )
        for one in known[:MOST_CONTRASTS]
        for step in one.steps
    ]
    chart = forest(
        bars,
        title=f"How well the text tells the groups of {found.axis}, before and after words are hidden",
        x="AUC within labels; 0.5 is chance",
        reference=0.5,
        signed=False,
    )
    columns = [
        Column("group", "long"),
        Column("against"),
        Column("text", "long"),
        Column("AUC", "number"),
        Column("interval", "number"),
        Column("shuffled", "number"),
        Column("p", "number", ".2g"),
        Column("rows", "number"),
        Column("others", "number"),
        Column("note", "long"),
    ]
    rows: list[list[object]] = []
    for one in found.contrasts:
        second = clipped(one.second or "all others")
        for step in one.steps:
            shuffled = step.null_mean if step.permutations else None
            rows.append(
                [
                    clipped(one.first),
                    second,
                    _step(step.name),
                    step.area.estimate,
                    plain(step.area.low, step.area.high),
                    shuffled,
                    step.p,
                    one.n_first,
                    one.n_second,
                    one.note,
                ]
            )
        if not one.steps:
            rows.append(
                [clipped(one.first), second, "not tested", None, None, None, None, one.n_first, one.n_second, one.note]
            )
    data = table(columns, rows, caption=f"Leakage on {found.axis}", anchor=anchor)
    sample = f"A sample of {found.rows:,} of {found.total:,} rows. " if found.rows < found.total else ""
    left = (
        f"Not tested, as others have more rows: {', '.join(map(clipped, found.not_tested[:12]))}"
        if found.not_tested
        else ""
    )
    left += f" and {len(found.not_tested) - 12} more." if len(found.not_tested) > 12 else "." if left else ""
    note = method(
        ["leakage_auc"],
        f"{sample}The probe is a logistic regression on words and pairs of words. It tells what such a probe finds: a "
        "larger model "
        "may find more. Proxies were picked on the same rows, so the last step flatters.",
    )
    body = [tag("h3", f"Leakage: {clipped(found.axis)}")]
    if bars:
        body.append(figure(chart, f"Each block is one group; lower is better. {left}", data))
    elif rows:
        body += [tag("p", "Too few rows to fit a probe."), data]
    else:
        body.append(tag("p", "No group has rows enough to fit a probe."))
    if found.explained:
        words = [
            (one.word, one.fall.estimate, plain(one.fall.low, one.fall.high, ".4f"), one.rows)
            for one in found.explained
        ]
        columns = [
            Column("word", "long"),
            Column("AUC falls by", "number", ".4f"),
            Column("interval", "number"),
            Column("rows", "number"),
        ]
        made = table(
            columns,
            words[:MOST_PROXIES],
            caption=f"What each proxy explains of the leakage of {clipped(known[0].name) if known else found.axis}",
            anchor=f"{anchor}-explained",
        )
        body.append(tag("details", tag("summary", "Which words carry it"), made))
    return beside(join(body), note)


def _proxies(found: ProxyReport, anchor: str) -> Html:
    heading = tag("h3", f"Proxies: {clipped(found.axis)}")
    limit = f"{found.limit:g}"
    note = computed(
        f"A proxy is a word that goes with a group within labels: odds ratio (Mantel and Haenszel 1959) whose interval "
        f"(Robins, Breslow and Greenland 1986) passes {limit}, found among {found.tested:,} words with a rate of "
        "false ones of "
        f"{found.rate:g} (Benjamini and Hochberg), in {found.minimum} rows or more, and that tells more about the "
        "group than about the label.",
        "A proxy is no cause: it may be the task's own word, a name or a topic. z: log odds with an informative prior "
        "(Monroe et al. 2008).",
    )
    said = f"{found.note[:1].upper()}{found.note[1:]}." if found.note else ""
    if not found.proxies:
        word = "unclear" if found.status == "unclear" else f"none among {found.tested:,} words"
        body: list[Html] = [heading, tag("p", f"Proxies: {word}. {said}")]
    else:
        shown = found.proxies[:MOST_PROXIES]
        cut = (
            f"The first {MOST_PROXIES} of {len(found.proxies):,}; the rest is in audit.json."
            if len(found.proxies) > len(shown)
            else ""
        )
        body = [
            heading,
            tag("p", said) if said else Html(""),
            _words(shown, f"Words that stand in for groups of {found.axis}", anchor, cut),
        ]
    if found.near:
        near = found.near[:MOST_NEAR]
        counts = ", ".join(f"{count:,} {kind}" for kind, count in found.near_counts.items() if count)
        cut = f"{len(near)} shown of {counts}." if sum(found.near_counts.values()) > len(near) else ""
        made = _words(near, "Words that failed one rule only", f"{anchor}-near", cut)
        body.append(tag("details", tag("summary", "Near misses, and why they are none"), made))
    return beside(join(body), note)


def _words(words: tuple[Proxy, ...], caption: str, anchor: str, cut: str) -> Html:
    columns = [
        Column("word", "long"),
        Column("goes with"),
        Column("against"),
        Column("odds ratio", "number", ".3g"),
        Column("interval", "number"),
        Column("rows", "number"),
        Column("of the group", "number"),
        Column("tells of the group", "number", ".3f"),
        Column("tells of the label", "number", ".3f"),
        Column("AUC alone", "number"),
        Column("z", "number", ".1f"),
        Column("femaleness", "number"),
        Column("labels", "number"),
        Column("why", "long"),
    ]
    rows = [
        (
            clipped(one.word),
            clipped(one.group),
            clipped(one.against),
            one.odds_ratio,
            plain(one.low, one.high, ".3g"),
            one.n,
            one.group_n,
            one.about_group,
            one.about_label,
            one.auc,
            one.z,
            one.femaleness,
            one.labels,
            one.why + (" (sparse)" if one.sparse else ""),
        )
        for one in words
    ]
    return table(columns, rows, caption=caption, anchor=anchor, remark=cut)
