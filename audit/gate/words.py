"""Cases and rules in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...data.errors import suggest
from ...data.showing import spelt
from ..exact import METHOD
from ..findings import Finding, rounded

if TYPE_CHECKING:
    from ...data.config import CheckRule
    from ..findings import Status
    from .change import Change

LOGS = frozenset({
    "label_log_ratio", "label_log_ratio_by_length", "log_odds", "log_ratio", "log_ratio_centred", "pmi",
    "representation_ratio",
})  # fmt: skip


def message(finding: Finding, rule: CheckRule) -> str:
    """One case in words.

    Examples
    --------
    >>> from evenset.data.config import CheckRule
    >>> found = Finding("identity", "gay", "1", "label_log_ratio", 1.4, 1.2, 1.6, 638, "Katz", status="fail")
    >>> message(found, CheckRule(measure="label_log_ratio", fail=0.5))
    'label_log_ratio of gay, label 1 (identity): 1.40 (1.20 to 1.60), that is 4.06×, n=638; limits: fail 0.5'
    """
    remark = f"; {finding.remark}" if finding.remark else ""
    return f"{subject(finding)}: {amount(finding)}; limits: {limits(rule)}{remark}"


def changed(finding: Finding, change: Change, rule: CheckRule, *, known: bool, status: Status) -> str:
    """One case beside its baseline, in words."""
    from .change import limits_of

    if known:
        was = "known: not inside its limits on the baseline already"
        if finding.status == change.before.status == "unclear":
            was = f"known: as unclear as on the baseline: n={change.before.n}"
        elif not change.same:
            was += ", and grown by less than the limit of change" if change.low > 0 else ", and not grown for certain"
    else:
        was = f"was {number(change.before.estimate)} on the baseline"
    if change.same:
        grown = "the same rows"
    else:
        ends = " to ".join(number(value) for value in (change.low, change.high))
        paired = "" if change.paired else ", as of independent rows"
        grown = f"worse by {number(change.estimate)} ({ends}{paired})"
    warn, fail = (f"{value:g}" for value in limits_of(rule))
    notes = [finding.note, change.remark if status == "unclear" else ""]
    remark = "".join(f"; {note}" for note in notes if note)
    return (
        f"{subject(finding)}: {amount(finding)}; {was}; {grown}; limits: {limits(rule)}; of change: "
        + ", ".join(f"{name} {value}" for name, value in (("warn", warn), ("fail", fail)) if value != "inf")
        + remark
    )


def subject(finding: Finding) -> str:
    """What a finding is about."""
    of = f" of {spelt(finding.group)}" if finding.group else ""
    label = "" if finding.label is None else f", label {spelt(finding.label)}"
    stratum = "" if finding.stratum is None else f", length {finding.stratum}"
    return f"{finding.measure}{of}{label}{stratum}" + (f" ({spelt(finding.axis)})" if finding.axis else "")


def amount(finding: Finding) -> str:
    """Its value with the interval and the rows that it rests on."""
    if finding.method.startswith(METHOD):
        most = f" (perhaps up to {finding.high:,.0f})" if finding.high > finding.estimate else ""
        return f"{finding.estimate:,.0f} of {finding.n:,} rows{most}"
    if math.isnan(finding.estimate):
        return f"not measured, n={finding.n}"
    estimate, low, high = (number(value) for value in (finding.estimate, finding.low, finding.high))
    times = f", that is {math.exp(finding.estimate):.2f}×" if finding.measure in LOGS and estimate != "none" else ""
    return f"{estimate} ({low} to {high}){times}, n={finding.n}"


def number(value: float) -> str:
    """Two decimals, or two digits of what is smaller.

    Examples
    --------
    >>> number(1.4), number(0.0021), number(float("nan")), number(0.0)
    ('1.40', '0.0021', 'none', '0.00')
    """
    shown = rounded(value)
    if shown is None:
        return "none"
    return f"{shown:.2f}" if abs(shown) >= 0.01 or not shown else f"{shown:.2g}"


def limits(rule: CheckRule) -> str:
    """The limits of a rule on the level."""
    given = (
        ("warn", rule.warn), ("fail", rule.fail), ("warn below", rule.warn_below), ("fail below", rule.fail_below)
    )  # fmt: skip
    return ", ".join(f"{name} {value:g}" for name, value in given if value is not None) or "none"


def rule_text(rule: CheckRule) -> str:
    """A rule in one line, as it stands in the config."""
    given = rule.model_dump(exclude_none=True).items()
    return ", ".join(f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value:g}" for key, value in given)


def nothing(rule: CheckRule, ours: Sequence[Finding], findings: Sequence[Finding], axes: Sequence[str]) -> str:
    """Why a rule judged nothing."""
    if rule.measure == "ledger_mismatches" and not ours:
        return f"the rule ({rule_text(rule)}) needs the ledger: name it with --ledger"
    if ours:
        return (
            f"the rule ({rule_text(rule)}) applies only to groups that are reported without status; "
            f'name one with `group = "{ours[0].group}"` to judge it'
        )
    same = [finding for finding in findings if finding.measure == rule.measure]
    for key, wanted, there in (
        ("axis", rule.axis, {finding.axis for finding in same}),
        ("group", rule.group, {finding.group for finding in same if finding.group}),
        ("label", rule.label, {finding.label for finding in same if finding.label is not None}),
    ):
        if key == "axis" and wanted in axes and wanted not in there:
            return (
                f'the rule ({rule_text(rule)}) matches no finding: {rule.measure} says nothing on axis "{wanted}" in '
                "this data, which has too few groups or labels for it"
            )
        if wanted and wanted not in there:
            hint = suggest(wanted, sorted(there))
            return f'the rule ({rule_text(rule)}) matches no finding: there is no {key} "{wanted}".{hint}'
    return f"the rule ({rule_text(rule)}) matches no finding in this data"
