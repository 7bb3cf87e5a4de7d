"""What is seen first: the scores of the axes and the three findings that matter, with what to do about each."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ...data.showing import clipped
from ..findings import Status
from ..page.document import Matter, Tile
from ..scorecard import best, next_steps, speaker, top, unclear_lines, would
from ..words import strength
from .wording import RANK, typed

if TYPE_CHECKING:
    from ..report import AuditReport

_MATTERS = 3
_ORDER: tuple[Status, ...] = ("fail", "warn", "unclear", "pass")


def named(report: AuditReport) -> str:
    """What was audited: the names of the files."""
    paths = [str(path) for path in report.dataset.get("paths", ())]
    if not paths:
        return "data in memory"
    return clipped(paths[0], 90) if len(paths) == 1 else f"{clipped(paths[0], 90)} and {len(paths) - 1:,} more files"


def names(report: AuditReport) -> set[str]:
    """What axes, groups and labels are called: names that may be as long as the data likes."""
    found = {str(name) for name in report.tally.axes}
    for finding in report.findings:
        found |= {str(name) for name in (finding.axis, finding.group, finding.label) if name}
        found |= set(str(finding.group or "").split("/"))
    return found | {name.partition(":")[2] for name in found if ":" in name}


def tiles(report: AuditReport) -> list[Tile]:
    """A score an axis."""
    return [_tile(report, axis) for axis in report.scores]


def _tile(report: AuditReport, axis: str) -> Tile:
    score = report.scores[axis]
    counts = Counter(finding.status for finding in report.findings if finding.axis == axis and finding.status)
    said = ", ".join(f"{counts[name]:,} {name}" for name in _ORDER if counts[name])
    judged = f"findings: {said}" if said else "no finding judged"
    worst = min((status for status in counts if status), key=lambda status: RANK[status], default=None)
    label = f"{axis}: label depends on it (Cramér's V)"
    if score["value"] is None:
        why = "not compared" if report.tally.labels else "no labels"
        return Tile(label=label, value="–", interval=why, note=judged, status=worst)
    return Tile(
        label=label,
        value=f"{score['value']:.2f}",
        interval=f"{score['low']:.2f} to {score['high']:.2f}",
        note=f"{strength(score['low'], score['high'])}; {judged}",
        status=worst,
    )


def matters(report: AuditReport) -> tuple[str, list[Matter]]:
    """The findings that matter most; where there are fewer than three, what keeps them from being told."""
    found = _beyond(report)
    heading = "What matters most, and what to do" if found else "What is not known, and what to do"
    for one in (*_defects(report), *_unknown(report)):
        if len(found) >= _MATTERS:
            break
        found.append(one)
    return heading, found


def _beyond(report: AuditReport) -> list[Matter]:
    say = speaker(report)
    steps = next_steps(report, bare=True)
    curate = next((words for words in (steps[1] if steps else ()) if words[1] == "curate"), None)
    found: list[Matter] = []
    costs: set[str] = set()
    shown: set[str] = set()
    for finding in top(report):
        todo = command = ""
        remedy = best(report, finding.axis)
        if remedy is not None and finding.id in remedy.estimates:
            todo = would(remedy, finding) + ("." if remedy.cost in costs else f"; {remedy.cost}.")
            costs.add(remedy.cost)
            if curate is not None and remedy.do in curate:
                # One command takes the steps of all axes.
                command = "" if shown else typed(curate)
                shown.add(remedy.do)
        found.append(Matter(title=say.sentence(finding) + ".", todo=todo, command=command, status=finding.status))
    return found


def _defects(report: AuditReport) -> list[Matter]:
    quality = report.parts.quality
    if quality is None:
        return []
    found = sorted((one for one in quality.findings if one.severity != "info"), key=lambda one: RANK[one.severity])
    found.sort(key=lambda one: one.severity != "unclear")
    return [
        Matter(title=one.message + ".", todo=_sentence(one.what_to_do), status=one.severity) for one in found[:_MATTERS]
    ]


def _unknown(report: AuditReport) -> list[Matter]:
    found = [
        Matter(title=heading.removesuffix(":") + ".", what=text + ".", status="unclear")
        for heading, text in unclear_lines(report)
    ]
    if not report.tally.labels and report.tally.rows:
        columns = "Name a column with --label, or label by words: --label axis:occupations."
        found.insert(0, Matter(title="There is no label to compare groups by.", todo=columns, status="unclear"))
    return found


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""
