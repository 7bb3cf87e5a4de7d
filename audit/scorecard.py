"""The audit on one screen: a conclusion, a score an axis, what matters most, what is unclear, what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.showing import spelt
from .cells import AxisCells
from .findings import MINIMUM_ROWS, Finding, Status
from .scorecard_parts import defects, given_away, leanings, left_out
from .words import Speaker, strength, times

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

    from ..data.axes import Axis
    from .remedies import Remedy
    from .report import AuditReport

_STYLE = {"fail": "bold red", "warn": "bold yellow", "unclear": "bold yellow", "pass": "bold green"}
_RANK: dict[Status | None, int] = {"fail": 0, "warn": 1, "pass": 2, "unclear": 3}
# What a group or label is judged by on this screen; Cramér's V of the axis has a line of its own.
_HEADLINE = frozenset({"label_log_ratio", "log_ratio_centred", "label_rate_gap", "label_rate"})
_ASSOCIATION = _HEADLINE - {"label_rate"} | {"cramers_v"}
_TOP = 3
_FEW = 4
_WIDTH = 80
_GRAIN = 0.05  # of a log ratio: 5 %

Unit = tuple[str, str]


def speaker(report: AuditReport) -> Speaker:
    """How this dataset's rows, labels and groups are called."""
    columns = report.dataset.get("columns", {})
    kinds = {name: note.kind for name, note in report.tally.axes.items()}
    return Speaker(columns.get("text"), columns.get("label"), kinds)


def conclusion(report: AuditReport) -> tuple[Status, str]:
    """The audit in a word and a sentence, on one line whatever groups and labels are called."""
    status, sentence = _conclusion(report)
    return status, spelt(sentence)


def _conclusion(report: AuditReport) -> tuple[Status, str]:
    axes = " and ".join(report.tally.axes)
    if not report.tally.rows:
        return "unclear", "There are no rows, so nothing can be said."
    if not report.tally.labels:
        return (
            "unclear",
            f"No labels, so only who is there was counted ({axes}). Name a column with --label, or label "
            "by words: --label axis:occupations.",
        )
    if len(report.tally.labels) == 1:
        only = report.tally.labels[0]
        return "unclear", f'Every label is "{only}", so nothing can be compared. Name another column with --label.'
    if report.findings and not any(finding.measure in _ASSOCIATION for finding in report.findings):
        return "unclear", "Nothing was judged: --measures leaves out the association of labels and groups."
    judged = [finding for finding in report.findings if finding.status is not None]
    worst = min((_RANK[finding.status] for finding in judged), default=None)
    if worst is None:
        return "unclear", f"Nothing to judge: no row belongs to a group on {axes}."
    if worst <= _RANK["warn"]:
        status: Status = "fail" if worst == _RANK["fail"] else "warn"
        parts = [part for axis in report.tally.axes if (part := _skewed(axis, judged))]
        what = "; ".join(parts) or "groups and labels go together, or groups are far from the reference"
        return status, f"This data {'can' if status == 'fail' else 'may'} teach a model a bias: {what}."
    known, unknown, thin = _told(report, judged)
    if unknown and not known:
        return "unclear", f"Too few rows to tell whether labels go with {' and '.join(unknown)}."
    if unknown:
        return (
            "unclear",
            f"No label bias shows on {' and '.join(known)}, but there are too few rows to tell on "
            f"{' and '.join(unknown)}.",
        )
    if report.parts.quality is not None and report.parts.quality.unclear:
        return "unclear", f"No clean bill: {report.parts.quality.unclear[0].message}."
    left = f" {thin} have too few rows to tell." if thin else ""
    return "pass", f"No label bias found beyond the limits on {axes}.{left}"


def _told(report: AuditReport, judged: Iterable[Finding]) -> tuple[list[str], list[str], int]:
    """Axes on which most rows are of groups (or labels) that can be judged, the other axes, and what cannot be."""
    two = len(report.tally.labels) == 2
    units: dict[str, dict[Unit, tuple[bool, int]]] = {axis: {} for axis in report.tally.axes}
    for finding in judged:
        if finding.measure in _HEADLINE and finding.axis in units:
            unit = _unit(finding)
            unit = (unit[0], "") if two else unit  # of two labels the common one passes whatever the rare one does
            unclear, rows = units[finding.axis].get(unit, (False, 0))
            units[finding.axis][unit] = unclear or finding.status == "unclear", max(rows, finding.n)
    known: list[str] = []
    unknown: list[str] = []
    thin = 0
    for axis, found in units.items():
        thin += sum(unclear for unclear, _ in found.values())
        hidden = sum(rows for unclear, rows in found.values() if unclear)
        enough = bool(found) and 2 * hidden <= sum(rows for _, rows in found.values())
        (known if enough else unknown).append(axis)
    return known, unknown, thin


def _skewed(axis: str, judged: Iterable[Finding]) -> str:
    """How many groups, or for a contrast of two groups labels, of an axis are beyond the limits."""
    ours = [finding for finding in judged if finding.axis == axis and finding.measure in _HEADLINE]
    contrast = any(finding.measure == "log_ratio_centred" for finding in ours)
    known = {_unit(finding) for finding in ours if finding.enough}
    beyond = {_unit(finding) for finding in ours if finding.status in ("fail", "warn")}
    if not beyond:
        return ""
    if not contrast:
        return f"labels are skewed for {len(beyond)} of {len(known)} {axis} groups"
    between = " and ".join(next(iter(beyond))[0].split("/"))
    if len(known) == 1:
        return f"labels are skewed between {between}"
    return f"{len(beyond)} of {len(known)} labels are skewed between {between}"


def _unit(finding: Finding) -> Unit:
    """What a finding is about: a group, or of a contrast of two groups a label."""
    group = finding.group or ""
    return (group, finding.label or "") if finding.measure == "log_ratio_centred" else (group, "")


def top(report: AuditReport) -> list[Finding]:
    """The findings that matter most: the worst status, then the farthest from parity even at the near end."""
    found = [f for f in report.findings if f.status in ("fail", "warn") and f.measure in _HEADLINE]
    found += [f for f in report.findings if f.status in ("fail", "warn") and f.measure == "representation_ratio"]
    chosen: dict[Unit, Finding] = {}
    for finding in sorted(found, key=lambda f: (_RANK[f.status], -f.magnitude[0], f.id)):
        if len(chosen) < _TOP:
            chosen.setdefault(_unit(finding), finding)
    return list(chosen.values())


def scorecard(report: AuditReport) -> Group:
    """The screen, for a terminal of 80 columns; a pipe gets the same without colour."""
    from rich.console import Group
    from rich.text import Text

    status, sentence = conclusion(report)
    parts: list[RenderableType] = [Text.assemble((status.upper(), _STYLE[status]), "  ", (sentence, "bold")), Text("")]
    blocks = (
        _scores(report),
        _findings(report),
        *_more(report),
        _unclear(report),
        _next(report),
        _rows(report),
    )
    for block in blocks:
        if block is not None:
            parts += [block, Text("")]
    return Group(*parts[:-1])


def _scores(report: AuditReport) -> RenderableType | None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for heading in ("axis", "label depends on it (Cramér's V)", "findings"):
        table.add_column(heading, overflow="fold")
    for axis, score in report.scores.items():
        counts = {status: 0 for status in _RANK if status}
        for finding in report.findings:
            if finding.axis == axis and finding.status is not None:
                counts[finding.status] += 1
        if score["value"] is None:
            value = Text("not compared" if report.tally.labels else "no labels")
        else:
            words = strength(score["low"], score["high"])
            value = Text(f"{words}: {score['value']:.2f} ({score['low']:.2f} to {score['high']:.2f})")
        said = Text(" ").join(Text(f"{n} {name}", _STYLE[name]) for name, n in counts.items() if n)
        table.add_row(Text(axis), value, said or Text("none judged"))
    return table if report.scores else None


def _findings(report: AuditReport) -> RenderableType | None:
    chosen = top(report)
    if not chosen:
        return None
    say = speaker(report)
    lines = []
    for finding in chosen:
        lines.append((_STYLE[str(finding.status)], f"{finding.status}", say.sentence(finding) + "."))
        remedy = best(report, finding.axis)
        if remedy is not None and finding.id in remedy.estimates:
            said = any(remedy.cost in line for _, _, line in lines)
            lines.append(("dim", "  do", would(remedy, finding) + ("." if said else f"; {remedy.cost}.")))
    beyond = sum(f.status in ("fail", "warn") and f.measure in _HEADLINE for f in report.findings)
    heading = "What matters most" + (f" (3 of {beyond} beyond the limits)" if beyond > _TOP else "")
    return _listed(heading, lines)


def _more(report: AuditReport) -> Iterable[RenderableType | None]:
    """The parts beyond the counts."""
    for heading, lines in (given_away(report), leanings(report), defects(report), ("", left_out(report))):
        yield _listed(heading, lines) if lines else None


def best(report: AuditReport, axis: str) -> Remedy | None:
    """The step that leaves least association on an axis at a bearable cost; of two as good the one that costs less."""
    return min(
        (
            remedy
            for remedy in report.remedies
            if remedy.axis == axis and remedy.after < remedy.before and 2 * remedy.left > remedy.worth_before
        ),
        key=lambda remedy: (round(remedy.after, 2), -remedy.left),
        default=None,
    )


def would(remedy: Remedy, finding: Finding) -> str:
    """What a step would make of a finding, in words."""
    after = remedy.estimates[finding.id]
    if finding.measure == "label_rate_gap":
        made = f"would make it {100 * abs(after):.1f} points"
    else:
        turned = -after if finding.measure == "log_ratio_centred" and finding.estimate < 0 else after
        made = "would even it out" if abs(after) < _GRAIN / 2 else f"would make it {times(turned)}"
    return f"{remedy.do} {made}"


def _unclear(report: AuditReport) -> RenderableType | None:
    from rich.console import Group

    parts = [_listed(heading, [("", "", text)]) for heading, text in unclear_lines(report)]
    return Group(*parts) if parts else None


def unclear_lines(report: AuditReport) -> list[tuple[str, str]]:
    """What cannot be told, those first that need fewest rows; and what is skewed but not judged: heading and text."""
    waiting: dict[Unit, tuple[int, Finding]] = {}
    for finding in report.findings:
        if finding.status != "unclear" or finding.measure not in _HEADLINE or finding.needs is None:
            continue
        rows, unit = finding.needs, _unit(finding)
        if rows > finding.n and (unit not in waiting or rows > waiting[unit][0]):
            waiting[unit] = rows, finding
    parts: list[tuple[str, str]] = []
    if waiting:
        few = sorted(waiting.values(), key=lambda item: (item[0] - item[1].n, item[1].id))[:_FEW]
        named = ", ".join(f"{_name(finding)} (has {finding.n:,}, needs about {rows:,})" for rows, finding in few)
        more = f" and {len(waiting) - len(few)} more" if len(waiting) > len(few) else ""
        verb = "has" if len(waiting) == 1 else "have"
        heading = f"Unclear: {len(waiting)} {verb} too few rows to tell. Nearest to an answer:"
        parts.append((heading, f"{named}{more}"))
    aside = [
        finding
        for finding in report.findings
        if finding.measure == "label_log_ratio" and not finding.judged and finding.enough and finding.status is None
        and report.tally.axes[finding.axis].groups[str(finding.group)].ambiguous and finding.magnitude[0] > 0.2
    ]  # fmt: skip
    if aside:
        aside.sort(key=lambda finding: -abs(finding.estimate))
        named = ", ".join(f"{_name(f)} {_factor(f)}" for f in aside[:_FEW])
        more = f" and {len(aside) - _FEW} more" if len(aside) > _FEW else ""
        parts.append(("Not judged, as the words have other senses too:", f"{named}{more}"))
    return parts


def _name(finding: Finding) -> str:
    if finding.measure == "log_ratio_centred":
        return str(finding.group) if finding.label in ("1", "true") else f"{finding.label}"
    group = (finding.group or "").removesuffix(" (ambiguous)")
    return group if finding.label in (None, "1", "true") else f"{group} labelled {finding.label}"


def _factor(finding: Finding) -> str:
    return times(finding.estimate)


def _next(report: AuditReport) -> RenderableType | None:
    found = next_steps(report)
    if found is None:
        return None
    from rich.console import Group
    from rich.text import Text

    say, commands = found
    # No table: it would pad the lines, and a backslash before blanks goes on with nothing.
    lines = [Text(f"  {line}", overflow="fold") for command in commands for line in _wrapped(command)]
    return Group(Text(f"Next: {say}", style="bold"), *lines)


def next_steps(report: AuditReport, *, bare: bool = False) -> tuple[str, list[list[str]]] | None:
    """What to type next: what for, and the commands as words; `bare` as for `data_words`."""
    data = data_words(report, bare=bare)
    if data is None or not report.tally.labels:
        return None
    commands, say = [["evenset", "check", *data, "--init"]], "write evenset.toml (limits for CI, a first plan)"
    remedies = [best(report, axis) for axis in dict.fromkeys(finding.axis for finding in top(report))]
    steps = [word for remedy in remedies if remedy is not None for word in ("--do", remedy.do)]
    if steps and report.source is not None and report.source.conversation is None:  # curate cannot write these yet
        commands.insert(0, ["evenset", "curate", *data, *steps, "--out", "curated"])
        say = "change the data, or write limits for CI and a first plan"
    return say, commands


def _wrapped(command: list[str]) -> list[str]:
    """A command in lines that can be pasted as they are."""
    lines = [""]
    for word in map(shlex.quote, command):
        if lines[-1] and len(lines[-1]) + len(word) > _WIDTH - 8:
            lines[-1] += " \\"
            lines.append("    " + word)
        else:
            lines[-1] += (" " if lines[-1] else "") + word
    return lines


def data_words(report: AuditReport, *, bare: bool = False) -> list[str] | None:
    """The data as it is named on the command line, with the columns that were not guessed; None for data in memory.

    Parameters
    ----------
    report : AuditReport
        With its source.
    bare : bool
        Whether files go by their name alone, for a report that others read.
    """
    source = report.source
    if source is None or not source.paths:
        return None
    words = [path.name if bare else str(path) for path in source.paths]
    if len(words) > _FEW or source.paths[0].name.startswith(".evenset-stdin"):
        return None
    if source.conversation is not None:
        words += source.conversation.options()
    columns = source.columns
    guessed = " ".join(source.notes)
    encoding = getattr(source.source, "encoding", "utf-8")
    if encoding != "utf-8":
        words += ["--encoding", encoding]
    given = (("--text", columns.text), ("--label", columns.label), ("--positive", columns.positive))
    for flag, value in given:
        if value is not None and f"{flag[2:]}={value}" not in guessed:
            words += [flag, value]
    if [axis.name for axis in report.axes] != ["pronouns", "identity"]:
        for axis in report.axes:
            words += ["--axis", _named(axis, bare=bare)]
    return words


def _named(axis: Axis, *, bare: bool) -> str:
    """An axis as it is written on the command line; a word list of the user's goes by its file."""
    if not axis.given.startswith("lexicon:"):
        return axis.name
    path = Path(axis.given.removeprefix("lexicon:").strip())
    return f"lexicon:{path.name if bare else path}"


def _rows(report: AuditReport) -> RenderableType:
    from rich.text import Text

    return Text(rows_line(report), style="dim")


def rows_line(report: AuditReport) -> str:
    """How many rows there are, what they lack, and how much of them the word lists see."""
    tally = report.tally
    said = [f"{tally.rows:,} rows"]
    positive = report.settings.positive
    if positive in tally.labels and len(tally.labels) == 2:
        counts = AxisCells.of(tally, next(iter(tally.axes))).labelled.rows.sum(axis=1)
        share = counts[tally.labels.index(positive)] / max(counts.sum(), 1)
        said.append(f"{100 * share:.1f} % labelled {speaker(report).label(positive)}")
    elif tally.labels:
        said.append(f"{len(tally.labels)} label{'s' * (len(tally.labels) > 1)}")
    for number, what in (
        (tally.null_texts, "without text"),
        (tally.empty_texts, "with an empty text"),
        (tally.null_labels, "without label, left out of rates"),
    ):
        if number:
            said.append(f"{number:,} {what}")
    if tally.weighted:
        said.append("weighted (proxies, leakage and word vectors take each row once)")
    line = ", ".join(said) + "."
    if tally.coverage and tally.rows:
        seen = ", ".join(f"{name} in {100 * c.rows / tally.rows:.0f} %" for name, c in tally.coverage.items())
        line += f" Words found: {seen} of rows."
    cluster = report.dataset.get("columns", {}).get("cluster")
    if cluster is not None:
        line += f" Intervals of counts take rows as independent, also those that share their {cluster}."
    return line + f" Groups under {MINIMUM_ROWS} rows are never judged."


def _listed(heading: str, lines: Sequence[tuple[str, str, str]]) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1, 0, 0))
    for style, mark, text in lines:
        table.add_row(Text("  " + mark, style=style) if mark else Text(" "), Text(text))
    return Group(Text(heading, style="bold"), table) if heading else table
