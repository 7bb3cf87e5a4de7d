"""The gate: hold findings against a config's rules, for CI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.errors import InputError
from .findings import Finding, Status
from .gate.change import UNCOMPARED, Change, compare, settled
from .gate.names import refuse_unknown
from .gate.parts import Split
from .gate.screen import RANK
from .gate.words import changed, message, nothing, rule_text
from .measures import known_measure
from .rules import applies, judge, rule_for
from .sections import FROM_ROWS
from .sketch import ALL, shared
from .tally import Tally

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
        Whether it passes although it is not inside its limits: it was so on the baseline and has not grown.
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
        changes = Changes.of(replace(report, findings=judged, rules=tuple(rules)), baseline)
    cases: list[Case] = []
    for rule in rules:
        ours = [finding for finding in judged if applies(rule, finding)]
        own = [finding for finding in ours if _judges(rule, finding, rules)]
        cases += [_case(rule, finding, changes) for finding in own]
        overruled = any(not _deciding(rule, finding, rules) for finding in ours)
        if not own and not overruled:
            if not ours and not default:
                before = None if baseline is None else baseline.tally
                refuse_unknown(rule, judged, report if isinstance(report, AuditReport) else None, before)
            axes = [axis.name for axis in report.axes] if isinstance(report, AuditReport) else []
            cases.append(Case(rule, None, "unclear", nothing(rule, ours, judged, axes)))
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


def _case(rule: CheckRule, finding: Finding, changes: Changes | None) -> Case:
    change = None if changes is None else changes.change(finding, rule)
    if change is None:
        new = changes is not None
        status = finding.status or "unclear"
        return Case(rule, finding, status, message(finding, rule) + ("; not on the baseline" if new else ""))
    status, known = settled(finding, change, rule)
    return Case(rule, finding, status, changed(finding, change, rule, known=known), change, known)


@dataclass(frozen=True, slots=True)
class Changes:
    """What the findings of a report were on a baseline."""

    before: Mapping[str, Finding]
    old: Tally
    new: Tally
    level: float
    note: str
    split: Mapping[str, tuple[Split, Split]]

    @staticmethod
    def of(report: AuditReport, baseline: Baseline) -> Changes:
        """Compute the findings of the baseline by today's rules."""
        before = baseline.before(report)
        settings = report.settings
        split = {
            axis: (Split.of(baseline.tally, axis, settings), Split.of(report.tally, axis, settings))
            for axis in report.tally.axes
        }
        return Changes(before, baseline.tally, report.tally, settings.level, baseline.note(report), split)

    def change(self, finding: Finding, rule: CheckRule) -> Change | None:
        """The change of one finding; None where the baseline has nothing to compare with."""
        before = self.before.get(finding.id)
        if before is None or (not before.enough and finding.enough) or finding.measure in UNCOMPARED:
            return None
        on_rows = finding.measure in FROM_ROWS
        old, new = self.old.sketch, self.new.sketch
        if on_rows and old is not None and new is not None and not shared(old.prints[ALL], new.prints[ALL]).same:
            old = new = None  # a probe is fitted anew: nothing is known of how two of them go together
        untouched = finding.axis in self.new.cells and _cells(self.old, finding) == _cells(self.new, finding)
        split = self.split.get(finding.axis)
        first = (None, None) if split is None else (split[0].first(finding), split[1].first(finding))
        return compare(finding, before, rule, old=old, new=new, level=self.level, untouched=untouched, first=first)


def _cells(tally: Tally, finding: Finding) -> dict[object, object]:
    """The counts of the rows of the finding's groups."""
    groups = {finding.group, *(finding.group or "").split("/")}
    return {key: cell for key, cell in tally.cells[finding.axis].items() if groups.intersection(key[1])}
