"""What `evenset check --ledger` and `--gx` do besides the check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..audit import AuditReport, CheckResult
    from ..data import Dataset
    from ..data.config import CheckRule, Config


def with_ledger_rule(rules: Sequence[CheckRule], ledger: Path) -> tuple[CheckRule, ...]:
    """The rules, with one that fails from the first mismatch on where none is about the ledger."""
    from ..curate.book.ledger import read_ledger
    from ..curate.book.matching import MEASURE
    from ..data.config import CheckRule

    read_ledger(ledger)  # what is no ledger is refused before the rows are read
    own = () if any(rule.measure == MEASURE for rule in rules) else (CheckRule(measure=MEASURE, fail=1),)
    return (*rules, *own)


def with_ledger(report: AuditReport, dataset: Dataset, ledger: Path) -> AuditReport:
    """The report, with the count of rows that are not what the ledger says."""
    from ..curate.book.matching import matched

    return replace(report, findings=(*report.findings, matched(list(dataset.paths), ledger).finding()))


def refuse_gx(out: Path | None, *, baseline: bool, init: bool) -> None:
    """Refuse what does not go with --gx, before the rows are read; the extra must be there."""
    from ..data import InputError

    if init:
        raise InputError("--gx runs rules, and --init writes them; give one of the two")
    if baseline:
        raise InputError("--gx judges the data as they are, not the change since --baseline; give one of the two")
    if out is None:
        raise InputError("--gx writes data docs: name a folder with --out")
    from ..audit import expectations  # noqa: F401


def write_docs(report: AuditReport, result: CheckResult, config: Config, out: Path, *, allow_unclear: bool) -> None:
    """The data docs of the rules that were judged; they must say what the check says."""
    from ..audit.expectations import suite, validate
    from ..data.errors import EvensetError

    judged = list({id(case.rule): case.rule for case in result.cases}.values())
    docs = validate(report, suite(config.model_copy(update={"check": judged}), allow_unclear=allow_unclear), out=out)
    if docs.status != result.status:
        raise EvensetError(f"Great Expectations came to {docs.status} and the check to {result.status}; please report")
