"""Names in rules that nobody knows: a slip of the pen would else be a rule that judges nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ...data.errors import InputError, suggest
from ...data.lexicon import builtin_names
from ..findings import Finding
from .words import rule_text

if TYPE_CHECKING:
    from ...data.config import CheckRule
    from ..report import AuditReport
    from ..tally import Tally


def refuse_unknown(
    rule: CheckRule, findings: Sequence[Finding], report: AuditReport | None = None, before: Tally | None = None
) -> None:
    """Refuse a rule that matched nothing where its axis, group or label is known to neither the data nor a lexicon.

    Parameters
    ----------
    rule : CheckRule
        One that matched no finding.
    findings : sequence of Finding
        All there are. Where there is nothing but these, they need not name all labels, nor all axes and groups
        unless they are of built-in lexicons, and such names are not refused.
    report : AuditReport, optional
        What they are of.
    before : Tally, optional
        Counts of a baseline: its groups and labels are known too.

    Raises
    ------
    InputError
        Names the rule, the wrong name and the nearest right one.

    Examples
    --------
    >>> from evenset.data.config import CheckRule
    >>> found = [Finding("identity", "gay", "1", "label_log_ratio", 1.4, 1.2, 1.6, 638, "Katz")]
    >>> refuse_unknown(CheckRule(measure="cramers_v", axis="identity", group="muslim", fail=1), found)
    >>> refuse_unknown(CheckRule(measure="cramers_v", axis="identty", fail=1), found)
    Traceback (most recent call last):
    evenset.data.errors.InputError: the rule (measure = "cramers_v", axis = "identty", fail = 1) matches no finding: \
there is no axis "identty". Did you mean "identity"?
    """
    if not findings:
        return
    tallies = [tally for tally in (None if report is None else report.tally, before) if tally is not None]
    axes = {finding.axis for finding in findings} | {axis for tally in tallies for axis in tally.axes}
    if report is not None:
        axes |= {axis.name for axis in report.axes}
    builtin = set(builtin_names())
    closed = report is not None or axes - {""} <= builtin
    if closed and rule.axis and rule.axis not in axes | builtin:
        raise _unknown(rule, "axis", rule.axis, axes if report is not None else axes | builtin)
    own = {rule.axis} if rule.axis else axes - {""}
    if rule.group and (report is not None or own <= builtin):
        known = _groups(own, findings, report, tallies)
        # Of two groups at once, as in intersections, each must be known.
        if rule.group not in known and not all(part in known for part in rule.group.split("/")):
            raise _unknown(rule, "group", rule.group, known)
    labels = {label for tally in tallies for label in tally.labels}
    labels |= {finding.label for finding in findings if finding.label is not None}
    if rule.label and report is not None and labels and rule.label not in labels:
        raise _unknown(rule, "label", rule.label, labels)


def _groups(
    axes: set[str], findings: Sequence[Finding], report: AuditReport | None, tallies: Sequence[Tally]
) -> set[str]:
    from ...data.lexicon import load

    known = {finding.group for finding in findings if finding.axis in axes and finding.group}
    known |= {group for tally in tallies for axis in axes & set(tally.axes) for group in tally.axes[axis].groups}
    if report is not None:
        known |= {group.name for axis in report.axes if axis.name in axes for group in axis.groups or ()}
    return known | {group.name for axis in axes & set(builtin_names()) for group in load(axis).groups}


def _unknown(rule: CheckRule, key: str, wanted: str, known: Iterable[str]) -> InputError:
    there = sorted(known)
    near = suggest(wanted, there) or (f" There are: {', '.join(there[:20])}." if there else "")
    return InputError(f'the rule ({rule_text(rule)}) matches no finding: there is no {key} "{wanted}".{near}')
