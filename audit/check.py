"""The gate: hold findings against a config's rules, for CI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.errors import InputError
from .findings import Finding, Status
from .gate.words import message, nothing, rule_text
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
        """The cases as JUnit XML, which CI systems show."""
        from .gate.junit import junit

        return junit(self)

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
            cases.append(Case(rule, None, "unclear", nothing(rule, ours, judged, axes)))
    return CheckResult(tuple(cases))
