"""A first evenset.toml: limits just above what the data shows today, and a plan to start from."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..data.errors import InputError
from .exact import METHOD
from .findings import Finding
from .rules import DEFAULTS

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from .report import AuditReport

_GRAIN = 0.05
_MOST_RULES = 60


def init_config(
    report: AuditReport,
    *,
    dataset: Dataset | None = None,
    axes: Sequence[str] | None = None,
    measures: Sequence[str] = (),
) -> str:
    """Write a config whose checks pass on the audited data as it is.

    Parameters
    ----------
    report : AuditReport
        Of the data as it is today.
    dataset : Dataset, optional
        By default the report's.
    axes : sequence of str, optional
        The axes as the user wrote them; by default the report's.
    measures : sequence of str
        Measures that get limits besides those that an audit judges by default; the report must have them.

    Returns
    -------
    str
        TOML that `evenset.data.config.load` reads.

    Raises
    ------
    InputError
        When the audit has nothing that limits could be set on.

    Notes
    -----
    A limit is the upper end of today's interval, rounded up to the next 0.05, and never stricter than the default; for
    `representation` it is the lower end, rounded down, and for a count one more row than today. What has too few rows
    today gets no rule, and a comment says so. Where that is everything, the limits of an audit are written, which are
    unclear until there are more rows.
    """
    dataset = report.source if dataset is None else dataset
    names = list(axes) if axes is not None else [axis.name for axis in report.axes] or list(report.tally.axes)
    checks = _checks(report, measures)
    if "[[check]]" not in checks:
        checks = [*checks, *_general(report)]
    if "[[check]]" not in checks:
        raise InputError(
            "there is nothing to limit yet: no label goes with the groups of these rows. Name the label's column with "
            "--label, or have limits on how often groups are mentioned: --init --measures representation"
        )
    lines = [
        "# Written by `evenset check --init`: the checks pass on today's data and fail when it gets worse.",
        "# `warn` is just above today's 95 % interval, `fail` as far beyond as the audit's own limits are apart;",
        "# both hold in either direction. Lower them as the data gets better.",
        "",
        "[data]",
        *_data(dataset, names),
        "",
        *checks,
        *_plan(report),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _data(dataset: Dataset | None, axes: Sequence[str]) -> list[str]:
    lines = []
    if dataset is not None:
        columns = dataset.columns
        if len(dataset.paths) == 1 and not dataset.paths[0].name.startswith(".evenset-stdin"):  # gone after the run
            lines.append(f"train = {_quoted(str(dataset.paths[0]))}")
        given: tuple[tuple[str, Any], ...] = (
            ("text", columns.text),
            ("label", columns.label),
            ("positive", columns.positive),
            ("label_threshold", columns.label_threshold),
            ("id", columns.id),
            ("weight", columns.weight),
            ("preset", dataset.preset),
        )
        if dataset.conversation is not None:
            options = dict(zip(*[iter(dataset.conversation.options())] * 2, strict=True))
            if "--format" in options:
                lines.append(f"format = {_quoted(options['--format'])}")
            if "--roles" in options:
                lines.append(f"roles = [{', '.join(_quoted(role) for role in options['--roles'].split(','))}]")
        for key, value in given:
            if value is not None and _plain(value):
                lines.append(f"{key} = {value if isinstance(value, float) else _quoted(value)}")
    return [*lines, f"axes = [{', '.join(_quoted(axis) for axis in axes)}]"]


def _checks(report: AuditReport, measures: Sequence[str]) -> list[str]:
    lines: list[str] = []
    known = {measure for measure, *_ in DEFAULTS}
    further = [(measure, None, *_FURTHER.get(measure, _OTHER)) for measure in measures if measure not in known]
    for measure, group, warn, fail in (*DEFAULTS, *further):
        for axis in dict.fromkeys([*report.tally.axes, *(f.axis for f in report.findings if f.measure == measure)]):
            found = [f for f in report.findings if f.measure == measure and f.axis == axis and f.judged]
            if group is not None:
                found = [f for f in found if (f.group or "") == group]
            thin = [f for f in found if not _firm(f)]
            firm = [f for f in found if _firm(f)]
            firm.sort(key=lambda f: (-f.n, f.id))
            for finding in firm[:_MOST_RULES]:
                if all(_plain(value) for value in (axis, finding.group, finding.label)):
                    lines += _rule(finding, warn, fail)
            lines += _left(measure, axis, thin, firm[_MOST_RULES:])
    return lines


# Where limits of further measures begin, and how far beyond `warn` their `fail` is.
_FURTHER = {"leakage_auc": (0.6, 0.7), "log_odds_z": (2.0, 4.0), "correlation_level": (5.0, 6.0)}
_OTHER = (0.1, 0.3)


def _general(report: AuditReport) -> list[str]:
    """The limits of an audit, for data of which nothing is certain yet."""
    lines = [
        "# Too few rows today for limits of their own: these are the audit's, and unclear until there are more rows."
    ]
    for measure, group, warn, fail in DEFAULTS:
        if not report.findings or any(finding.measure == measure for finding in report.findings):
            lines += ["[[check]]", f'measure = "{measure}"']
            lines += [] if group is None else [f"group = {_quoted(group)}                # the axis as a whole"]
            lines += [f"warn = {warn}", f"fail = {fail}", ""]
    return lines


def _firm(finding: Finding) -> bool:
    return finding.enough and math.isfinite(finding.magnitude[1])


def _rule(finding: Finding, warn: float, fail: float) -> list[str]:
    """One rule: today's interval is just inside `warn`, and `fail` is as far beyond as in the defaults."""
    if finding.method == METHOD:
        return [*_head(finding), f"fail = {finding.estimate + 1:.0f}               # today {finding.estimate:.0f}", ""]
    if finding.measure == "representation":
        return _floor(finding)
    high = finding.magnitude[1]
    limit = max(warn, math.floor(high / _GRAIN + 1) * _GRAIN)
    beyond = limit + (fail - warn)
    today = f"{finding.estimate:.2f} ({finding.low:.2f} to {finding.high:.2f}), n={finding.n}"
    return [*_head(finding), f"warn = {limit:.2f}               # today {today}", f"fail = {beyond:.2f}", ""]


def _floor(finding: Finding) -> list[str]:
    """Limits from below: the lower end of today's interval, rounded down, and half of that."""
    if not finding.low > 0:
        return []
    unit = 10.0 ** (math.floor(math.log10(finding.low)) - 1)
    limit = (math.ceil(finding.low / unit) - 1) * unit
    today = f"{finding.estimate:.2g} ({finding.low:.2g} to {finding.high:.2g}), n={finding.n}"
    return [
        *_head(finding),
        f"warn_below = {limit:.6g}               # today {today}",
        f"fail_below = {limit / 2:.6g}",
        "",
    ]


def _head(finding: Finding) -> list[str]:
    """The finding that a rule is about."""
    lines = [
        "[[check]]",
        f'measure = "{finding.measure}"',
        *([f"axis = {_quoted(finding.axis)}"] if finding.axis else []),
    ]
    lines.append(
        f"group = {_quoted(finding.group)}"
        if finding.group is not None
        else 'group = ""                # the axis as a whole'
    )
    if finding.label is not None:
        lines.append(f"label = {_quoted(finding.label)}")
    return lines


def _left(measure: str, axis: str, thin: Iterable[Finding], many: Iterable[Finding]) -> list[str]:
    lines = []
    for why, findings in (("too few rows today", thin), ("left out, to keep this file short", many)):
        names = [
            _commented(f"{f.group or axis}" + ("" if f.label is None else f" {f.label}") + f" ({f.n})")
            for f in findings
        ]
        if names:
            shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
            lines += [f"# {measure} on {_commented(axis)}, no rule ({why}): {shown}", ""]
    return lines


def _plan(report: AuditReport) -> list[str]:
    """A plan for the first axis on which something can be balanced."""
    labelled = [axis for axis in report.tally.axes if report.tally.labels and report.scores[axis]["value"] is not None]
    axis = max(labelled, key=lambda name: float(report.scores[name]["value"]), default=None)
    if axis is None or not _plain(axis):
        return []
    return [
        "# A plan to start from: `evenset curate --config evenset.toml --plan balance --out curated`.",
        "[plan.balance]",
        "[[plan.balance.step]]",
        'do = "reweight"',
        f"axis = {_quoted(axis)}",
        'method = "kamiran-calders"',
        "",
        "# To prove on a trained model that it helped, name dev and test data under [data] and run",
        "# `evenset run --config evenset.toml`.",
        "[[arm]]",
        'plan = "raw"',
        "",
        "[[arm]]",
        'plan = "balance"',
    ]


def _plain(value: object) -> bool:
    """Whether a value means the same in a config, where ${NAME} stands for the environment."""
    return "${" not in str(value)


def _quoted(text: object) -> str:
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def _commented(text: str) -> str:
    """Text that cannot end its comment."""
    return "".join(char if char.isprintable() else " " for char in text)
