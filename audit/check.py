"""The gate: hold findings against a config's rules, for CI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.errors import InputError
from .findings import LEVEL, Finding, Status
from .gate.change import UNCOMPARED, Change, settled
from .gate.changes import Changes, screened
from .gate.names import refuse_unknown
from .gate.screen import RANK
from .gate.words import changed, message, nothing, rule_text
from .measures import known_measure
from .rules import applies, judge, rule_for

if TYPE_CHECKING:
    from rich.console import Group

    from ..data.config import CheckRule
    from .gate.baseline import Baseline
    from .report import AuditReport

SCHEMA = "evenset.check/1"
_VERDICT = {"fail": "FAILED", "unclear": "UNCLEAR", "warn": "PASSED with warnings", "pass": "PASSED"}


@dataclass(frozen=True, slots=True)
class Case:
    """One rule on one finding, or a rule that found nothing to judge.

    Attributes
    ----------
    rule : CheckRule
    finding : Finding or None
    status : {"pass", "warn", "fail", "unclear"}
    message : str
        In words.
    change : Change or None
        What became of it since the baseline, where there is one.
    known : bool
        Whether it passes although it is not inside its limits: it was so on the baseline and has grown
        by less than the limit of change.
    """

    rule: CheckRule
    finding: Finding | None
    status: Status
    message: str
    change: Change | None = None
    known: bool = False

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
            **({} if self.change is None else {"change": self.change.to_dict(), "known": self.known}),
        }


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What became of the rules.

    Attributes
    ----------
    cases : tuple of Case
        Rule by finding.
    note : str
        What it was compared with, if anything.
    sources : tuple of Path
        The files of the data.
    """

    cases: tuple[Case, ...]
    note: str = ""
    sources: tuple[Path, ...] = ()

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
        """0 passed (warnings too), 1 failed, 3 unclear; with `allow_unclear` the last is 0 if every rule judged."""
        if self.status == "unclear":
            return 0 if allow_unclear and not self.idle else 3
        return 1 if self.status == "fail" else 0

    @property
    def idle(self) -> int:
        """How many rules found nothing to judge, which more rows need not mend."""
        return sum(case.finding is None for case in self.cases)

    def summary(self) -> str:
        """The result in one line, with the first case that brought it about."""
        worst = next((case for case in self.cases if case.status == self.status and self.status != "pass"), None)
        return f"{self.verdict}: {self.said}." + (f" First: {worst.message}" if worst is not None else "")

    @property
    def verdict(self) -> str:
        """The status in a word or two."""
        return _VERDICT[self.status]

    @property
    def said(self) -> str:
        """How many of each status, in words."""
        found = ", ".join(f"{number} {status}" for status, number in self.counts.items() if number)
        known = sum(case.known for case in self.cases)
        return f"{found} ({known} of them known from the baseline)" if known else found

    @property
    def not_passed(self) -> list[Case]:
        """The cases that did not pass, the worst first."""
        return sorted((case for case in self.cases if case.status != "pass"), key=lambda case: RANK[case.status])

    def _repr_html_(self) -> str:
        from .notebook import check_html

        return check_html(self)

    def table(self) -> Group:
        """The result for the terminal: one line, then what did not pass."""
        from .gate.screen import screen

        return screen(self)

    def to_dict(self) -> dict[str, Any]:
        """As in check.json."""
        return {
            "schema": SCHEMA,
            "status": self.status,
            "exit_code": self.exit_code(),
            "counts": self.counts,
            **({"compared": self.note} if self.note else {}),
            "cases": [case.to_dict() for case in self.cases],
        }

    def junit(self) -> bytes:
        """The cases as JUnit XML, which CI systems show."""
        from .gate.junit import junit

        return junit(self)

    def markdown(self) -> str:
        """The result for the summary of a CI run."""
        from .gate.markdown import markdown

        return markdown(self)

    def sarif(self) -> dict[str, Any]:
        """The result as SARIF 2.1.0, paths relative to the working directory."""
        from .gate.sarif import sarif

        return sarif(self)

    def save(self, folder: str | Path) -> None:
        """Write check.json, junit.xml, check.md and check.sarif."""
        from ..data.files import write_bytes, write_json, write_text

        write_json(Path(folder) / "check.json", self.to_dict())
        write_bytes(Path(folder) / "junit.xml", self.junit())
        write_text(Path(folder) / "check.md", self.markdown())
        write_json(Path(folder) / "check.sarif", self.sarif())


def check(
    report: AuditReport | Iterable[Finding],
    rules: Sequence[CheckRule],
    *,
    baseline: Baseline | None = None,
    default: bool = False,
) -> CheckResult:
    """Hold an audit against rules.

    Parameters
    ----------
    report : AuditReport or iterable of Finding
        What was found; its own statuses do not count.
    rules : sequence of CheckRule
        The config's `[[check]]` sections. The narrowest rule that applies to a finding decides.
    baseline : Baseline, optional
        An earlier audit: then what counts is the change since (`gate.change.settled`); `report` must be a whole one.
    default : bool
        Whether the rules are the audit's own, which need not all concern these data: those that match nothing are left
        out, unless all are.

    Raises
    ------
    InputError
        When there are no rules, one names a measure, an axis, a group or a label that does not exist or has limits of
        change alone without a baseline, or the baseline is not comparable.
    """
    usable(rules, baseline=baseline is not None)
    from .report import AuditReport

    findings = report.findings if isinstance(report, AuditReport) else tuple(report)
    judged = judge(findings, rules)
    for rule in rules:
        if baseline is None and not rule.limited:
            raise InputError(
                f"the rule ({rule_text(rule)}) limits the change alone: give an earlier audit as --baseline"
            )
    changes = None
    if baseline is not None:
        if not isinstance(report, AuditReport):
            raise TypeError("a baseline is compared with an AuditReport")
        _comparable(report, rules, baseline)
        changes = Changes.of(replace(report, findings=judged, rules=tuple(rules)), baseline)
    drafts: list[tuple[CheckRule, Finding | None, Change | None, str]] = []
    for rule in rules:
        ours = [finding for finding in judged if applies(rule, finding)]
        own = [finding for finding in ours if _judges(rule, finding, rules)]
        drafts += [(rule, one, None if changes is None else changes.change(one, rule), "") for one in own]
        overruled = any(not _deciding(rule, finding, rules) for finding in ours)
        if not own and not overruled:
            if not ours and not default:
                before = None if baseline is None else baseline.tally
                refuse_unknown(rule, judged, report if isinstance(report, AuditReport) else None, before)
            axes = [axis.name for axis in report.axes] if isinstance(report, AuditReport) else []
            gone = "" if changes is None else changes.gone_of(rule)
            drafts.append((rule, None, None, nothing(rule, ours, judged, axes) + gone))
    found = screened([(one, change) for _, one, change, _ in drafts], level=LEVEL if changes is None else changes.level)
    cases = [
        Case(rule, None, "unclear", said) if one is None else _case(rule, one, change, changes)
        for (rule, one, _, said), change in zip(drafts, found, strict=True)
    ]
    if default:
        cases = [case for case in cases if case.finding is not None] or cases
    source = report.source if isinstance(report, AuditReport) else None
    return CheckResult(
        tuple(cases), "" if changes is None else changes.note, () if source is None else tuple(source.paths)
    )


def usable(rules: Sequence[CheckRule], *, baseline: bool) -> None:
    """Refuse rules that cannot be used, before any row is read.

    Parameters
    ----------
    rules : sequence of CheckRule
        Those of the config.
    baseline : bool
        Whether there is one.

    Raises
    ------
    InputError
        As in `check`.
    """
    if not rules:
        raise InputError(
            "there is nothing to check against: the config has no [[check]] section. "
            "`evenset check DATA --init` writes one from today's data"
        )
    for rule in rules:
        known_measure(rule.measure)
        if not baseline and not rule.limited:
            raise InputError(
                f"the rule ({rule_text(rule)}) limits the change alone: give an earlier audit as --baseline"
            )


def _deciding(rule: CheckRule, finding: Finding, rules: Sequence[CheckRule]) -> bool:
    """Whether the rule decides about the finding: its level or, where the rule limits nothing else, its change."""
    kin = [one for one in rules if one.limited == rule.limited]
    return rule_for(finding, kin) is rule


def _judges(rule: CheckRule, finding: Finding, rules: Sequence[CheckRule]) -> bool:
    return _deciding(rule, finding, rules) and (
        finding.status is not None if rule.limited else finding.judged or rule.group == finding.group
    )


def _case(rule: CheckRule, finding: Finding, change: Change | None, changes: Changes | None) -> Case:
    if change is None:
        status, why = finding.status or "unclear", ""
        if changes is not None:
            status, why = changes.alone(finding)
        return Case(rule, finding, status, message(finding, rule) + why)
    status, known = settled(finding, change, rule)
    return Case(rule, finding, status, changed(finding, change, rule, known=known, status=status), change, known)


def _comparable(report: AuditReport, rules: Sequence[CheckRule], baseline: Baseline) -> None:
    """Refuse rules on what grows with the rows, where the rows are not the same."""
    shares = baseline.shares(report)
    for rule in rules:
        if rule.measure in UNCOMPARED and (shares is None or not shares.same):
            raise InputError(
                f"the rule ({rule_text(rule)}) cannot be held against a baseline of other rows: {rule.measure} grows "
                "with the rows; use log_odds"
            )
