"""The gate: hold findings against a config's rules, for CI."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from ..data.errors import InputError, suggest
from .findings import Finding, Status, rounded
from .rules import applies, judge, rule_for

if TYPE_CHECKING:
    from rich.console import Group

    from ..data.config import CheckRule
    from .report import AuditReport

SCHEMA = "evenset.check/1"
_SHOWN = 8
_RANK = {"fail": 0, "unclear": 1, "warn": 2, "pass": 3}
_COLOUR = {"fail": "bold red", "unclear": "bold yellow", "warn": "yellow", "pass": "bold green"}
_VERDICT = {"fail": "FAILED", "unclear": "UNCLEAR", "warn": "PASSED with warnings", "pass": "PASSED"}
LOGS = frozenset({
    "label_log_ratio", "label_log_ratio_by_length", "log_odds", "log_ratio", "log_ratio_centred", "pmi",
    "representation_ratio",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """One rule on one finding, or a rule that found nothing to judge."""

    rule: CheckRule
    finding: Finding | None
    status: Status
    message: str

    @property
    def name(self) -> str:
        """The finding's id, or the rule in words."""
        return rule_text(self.rule) if self.finding is None else self.finding.id

    def to_dict(self) -> dict[str, Any]:
        """As in check.json."""
        return {
            "rule": self.rule.model_dump(exclude_none=True),
            "finding": None if self.finding is None else self.finding.id,
            "status": self.status,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What became of the rules.

    Attributes
    ----------
    cases : tuple of Case
        Rule by finding.
    """

    cases: tuple[Case, ...]

    @property
    def counts(self) -> dict[Status, int]:
        """How many cases have each status."""
        found = Counter(case.status for case in self.cases)
        return {status: found[status] for status in ("fail", "warn", "unclear", "pass")}

    @property
    def status(self) -> Status:
        """The worst that was found: fail before unclear before warn before pass."""
        counts = self.counts
        return next((status for status in ("fail", "unclear", "warn") if counts[status]), "pass")

    def exit_code(self, *, allow_unclear: bool = False) -> int:
        """0 passed (warnings too), 1 failed, 3 unclear; with `allow_unclear` the last is 0."""
        if self.status == "unclear":
            return 0 if allow_unclear else 3
        return 1 if self.status == "fail" else 0

    def summary(self) -> str:
        """The result in one line, with the first case that brought it about."""
        worst = next((case for case in self.cases if case.status == self.status and self.status != "pass"), None)
        return f"{self._verdict}: {self._said}." + (f" First: {worst.message}" if worst is not None else "")

    @property
    def _verdict(self) -> str:
        return _VERDICT[self.status]

    @property
    def _said(self) -> str:
        return ", ".join(f"{number} {status}" for status, number in self.counts.items() if number)

    def _repr_html_(self) -> str:
        from .notebook import check_html

        return check_html(self)

    def table(self) -> Group:
        """The result for the terminal: one line, then what did not pass."""
        from rich.console import Group, RenderableType
        from rich.table import Table
        from rich.text import Text

        parts: list[RenderableType] = [Text.assemble((self._verdict, _COLOUR[self.status]), f": {self._said}")]
        bad = sorted((case for case in self.cases if case.status != "pass"), key=lambda case: _RANK[case.status])
        if bad:
            table = Table.grid(padding=(0, 2))
            for case in bad[:_SHOWN]:
                table.add_row(Text(case.status, style=_COLOUR[case.status]), Text(case.message))
            parts.append(table)
        if len(bad) > _SHOWN:
            parts.append(Text(f"and {len(bad) - _SHOWN} more; all are in check.json (--out DIR)"))
        return Group(*parts)

    def to_dict(self) -> dict[str, Any]:
        """As in check.json."""
        return {
            "schema": SCHEMA,
            "status": self.status,
            "exit_code": self.exit_code(),
            "counts": self.counts,
            "cases": [case.to_dict() for case in self.cases],
        }

    def junit(self) -> bytes:
        """The cases as JUnit XML, which CI systems show: fail is a failure, unclear an error, warn a note."""
        counts = self.counts
        suite = ElementTree.Element(
            "testsuite",
            name="evenset check",
            tests=str(len(self.cases)),
            failures=str(counts["fail"]),
            errors=str(counts["unclear"]),
            skipped="0",
        )
        for case in self.cases:
            where = f"evenset.{case.rule.measure}" + (f".{case.finding.axis}" if case.finding else "")
            item = ElementTree.SubElement(suite, "testcase", classname=_xml(where), name=_xml(case.name))
            if case.status in ("fail", "unclear"):
                tag = "failure" if case.status == "fail" else "error"
                ElementTree.SubElement(item, tag, type=case.status, message=_xml(case.message)).text = _xml(
                    rule_text(case.rule)
                )
            elif case.status == "warn":
                ElementTree.SubElement(item, "system-out").text = _xml(f"warning: {case.message}")
        root = ElementTree.Element("testsuites")
        root.append(suite)
        ElementTree.indent(root)
        document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
        return document + b"\n"

    def save(self, folder: str | Path) -> None:
        """Write check.json and junit.xml."""
        from ..data.files import write_bytes, write_json

        write_json(Path(folder) / "check.json", self.to_dict())
        write_bytes(Path(folder) / "junit.xml", self.junit())


def check(report: AuditReport | Iterable[Finding], rules: Sequence[CheckRule]) -> CheckResult:
    """Hold an audit against rules.

    Parameters
    ----------
    report : AuditReport or iterable of Finding
        What was found; its own statuses do not count.
    rules : sequence of CheckRule
        The config's `[[check]]` sections. The narrowest rule that applies to a finding decides.

    Raises
    ------
    InputError
        When there are no rules, or one names a measure that does not exist.
    """
    if not rules:
        raise InputError(
            "there is nothing to check against: the config has no [[check]] section. "
            "`evenset check DATA --init` writes one from today's data"
        )
    from .report import AuditReport

    findings = report.findings if isinstance(report, AuditReport) else tuple(report)
    judged = judge(findings, rules)
    cases: list[Case] = []
    for rule in rules:
        ours = [finding for finding in judged if applies(rule, finding)]
        own = [finding for finding in ours if rule_for(finding, rules) is rule and finding.status is not None]
        cases += [Case(rule, finding, finding.status, message(finding, rule)) for finding in own if finding.status]
        overruled = any(rule_for(finding, rules) is not rule for finding in ours)
        if not own and not overruled:
            axes = [axis.name for axis in report.axes] if isinstance(report, AuditReport) else []
            cases.append(Case(rule, None, "unclear", _nothing(rule, ours, judged, axes)))
    return CheckResult(tuple(cases))


def message(finding: Finding, rule: CheckRule) -> str:
    """One case in words.

    Examples
    --------
    >>> from evenset.data.config import CheckRule
    >>> found = Finding("identity", "gay", "1", "label_log_ratio", 1.4, 1.2, 1.6, 638, "Katz", status="fail")
    >>> message(found, CheckRule(measure="label_log_ratio", fail=0.5))
    'label_log_ratio of gay, label 1 (identity): 1.40 (1.20 to 1.60), that is 4.06×, n=638; limits: fail 0.5'
    """
    of = f" of {finding.group}" if finding.group else ""
    label = "" if finding.label is None else f", label {finding.label}"
    limits = ", ".join(
        f"{name} {value:g}" for name, value in (("warn", rule.warn), ("fail", rule.fail)) if value is not None
    )
    values = (rounded(value) for value in (finding.estimate, finding.low, finding.high))
    estimate, low, high = ("none" if value is None else f"{value:.2f}" for value in values)
    times = f", that is {math.exp(finding.estimate):.2f}×" if finding.measure in LOGS and estimate != "none" else ""
    remark = f"; {finding.remark}" if finding.remark else ""
    what = f"{finding.measure}{of}{label} ({finding.axis})"
    return f"{what}: {estimate} ({low} to {high}){times}, n={finding.n}; limits: {limits}{remark}"


def rule_text(rule: CheckRule) -> str:
    """A rule in one line, as it stands in the config."""
    given = rule.model_dump(exclude_none=True).items()
    return ", ".join(f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value:g}" for key, value in given)


def _nothing(rule: CheckRule, ours: Sequence[Finding], findings: Sequence[Finding], axes: Sequence[str]) -> str:
    """Why a rule judged nothing."""
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


def _xml(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold: those are spelt out."""
    return "".join(char if _allowed(ord(char)) else f"\\x{ord(char):02x}" for char in text)


def _allowed(code: int) -> bool:
    return code in (0x9, 0xA, 0xD) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000
