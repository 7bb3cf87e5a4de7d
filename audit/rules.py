"""Rules: from an interval and limits to pass, warn, fail or unclear.

The interval decides, not the estimate: fail when all of it is beyond the limit, pass when all of it is inside, and
otherwise there is too little evidence to say.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from .exact import METHOD
from .findings import MINIMUM_ROWS, MOST_ROWS, Finding, Status
from .measures import known_measure

if TYPE_CHECKING:
    from ..data.config import CheckRule

# measure, group ("": the axis as a whole), warn, fail. A label 1.2 times as often is worth a look and 1.6 times as
# often is more than chance and taste explain; of two groups 1.3 and 2 times, as occupations differ in any corpus;
# Cramér's V 0.1 and 0.3 are Cohen's small and medium. Conventions, not laws: a config's own rules replace them all.
DEFAULTS = (
    ("label_log_ratio", None, 0.2, 0.5),
    ("log_ratio_centred", None, 0.25, 0.7),
    ("representation_ratio", None, 0.25, 0.7),
    ("cramers_v", "", 0.1, 0.3),
)


def default_rules() -> tuple[CheckRule, ...]:
    """The rules of an audit to which none are given.

    Examples
    --------
    >>> [(rule.measure, rule.warn, rule.fail) for rule in default_rules()][0]
    ('label_log_ratio', 0.2, 0.5)
    """
    from ..data.config import CheckRule

    return tuple(
        CheckRule(measure=measure, group=group, warn=warn, fail=fail) for measure, group, warn, fail in DEFAULTS
    )


def applies(rule: CheckRule, finding: Finding) -> bool:
    """Whether the finding is one of those that the rule is about; a group of "" means the axis as a whole."""
    return (
        rule.measure == finding.measure
        and rule.axis in (None, finding.axis)
        and rule.group in (None, finding.group or "")
        and rule.label in (None, finding.label)
    )


def rule_for(finding: Finding, rules: Sequence[CheckRule]) -> CheckRule | None:
    """The rule that decides: the one that says most about what it applies to, of equals the last."""
    best: CheckRule | None = None
    for rule in rules:
        if applies(rule, finding) and (best is None or _narrowness(rule) >= _narrowness(best)):
            best = rule
    return best


def _narrowness(rule: CheckRule) -> tuple[int, bool, bool]:
    given = [value is not None for value in (rule.axis, rule.group, rule.label)]
    return sum(given), rule.label is not None, rule.group is not None


def judge(findings: Iterable[Finding], rules: Sequence[CheckRule]) -> tuple[Finding, ...]:
    """Give each finding the status that its rule says, and to unclear ones the rows that would decide.

    Parameters
    ----------
    findings : iterable of Finding
        Their old statuses are replaced.
    rules : sequence of CheckRule
        The narrowest that applies decides.

    Raises
    ------
    InputError
        When a rule names a measure that does not exist.
    """
    for rule in rules:
        known_measure(rule.measure)
    by_measure: dict[str, list[CheckRule]] = {}
    for rule in rules:
        if rule.limited:
            by_measure.setdefault(rule.measure, []).append(rule)
    return tuple(_judged(finding, rule_for(finding, by_measure.get(finding.measure, ()))) for finding in findings)


def _judged(finding: Finding, rule: CheckRule | None) -> Finding:
    if rule is None or not (finding.judged or rule.group == finding.group):
        unjudged = finding.status is None and finding.needs is None
        return finding if unjudged else replace(finding, status=None, needs=None)
    status = status_of(finding, rule)
    return replace(finding, status=status, needs=rows_needed(finding, rule) if status == "unclear" else None)


def status_of(finding: Finding, rule: CheckRule) -> Status:
    """Compare the interval with the limits: of the absolute value from above, of the value from below.

    Parameters
    ----------
    finding : Finding
        What was measured.
    rule : CheckRule
        What limits it.

    Returns
    -------
    {"pass", "warn", "fail", "unclear"}
        fail: all of the interval at or beyond `fail`, or at or under `fail_below`; warn: the same with `warn` and
        `warn_below`; pass: all of it inside the first limits there are; else unclear. Too few rows are always unclear.

    Notes
    -----
    The interval of a finding that screening did not let through (`Finding.magnitude`) is taken to hold 0.

    Examples
    --------
    >>> from evenset.data.config import CheckRule
    >>> rule = CheckRule(measure="label_log_ratio", warn=0.2, fail=0.5)
    >>> def of(low, high):
    ...     return status_of(Finding("a", "g", "1", "label_log_ratio", (low + high) / 2, low, high, 99, "Katz"), rule)
    >>> of(-0.1, 0.1), of(0.3, 0.6), of(-0.9, -0.5), of(-0.1, 0.3)
    ('pass', 'warn', 'fail', 'unclear')
    >>> rule = CheckRule(measure="representation", fail_below=0.01)
    >>> of(0.02, 0.03), of(0.001, 0.002), of(0.005, 0.02)
    ('pass', 'fail', 'unclear')
    """
    near, far = finding.magnitude
    if not finding.enough or math.isnan(near) or math.isnan(far):
        return "unclear"
    low, high = (min(finding.low, 0.0), max(finding.high, 0.0)) if finding.screened_out else (finding.low, finding.high)
    for status, above, below in (("fail", rule.fail, rule.fail_below), ("warn", rule.warn, rule.warn_below)):
        if (above is not None and near >= abs(above)) or (below is not None and high <= below):
            return cast("Status", status)
    inside = (rule.upper is None or far < rule.upper) and (rule.lower is None or low > rule.lower)
    return "pass" if inside and rule.limited else "unclear"


def rows_needed(finding: Finding, rule: CheckRule) -> int | None:
    """Rows at which the interval would clear the limit if the estimate stayed where it is.

    Notes
    -----
    The width of an interval goes with 1/√n: n · (half width / distance to the limit)², two digits, rounded up, and
    never below the minimum that a finding needs at all.
    """
    if finding.method.startswith(METHOD):
        return None  # of an exact count more rows decide nothing
    half = (finding.high - finding.low) / 2
    distances = [
        abs(value - limit)
        for value, limit in ((abs(finding.estimate), rule.upper), (finding.estimate, rule.lower))
        if limit is not None
    ]
    distance = min(distances, default=math.nan)
    if not math.isfinite(half) or not math.isfinite(distance) or finding.n == 0:
        return None
    rows = finding.n * (half / distance) ** 2 if distance > 1e-9 else math.inf
    if not rows < MOST_ROWS:
        return MOST_ROWS
    rows = max(rows, MINIMUM_ROWS)
    if rows <= finding.n:
        return None  # it is not the width of the interval that is missing: too few events, or one of many (q)
    unit = 10 ** max(math.floor(math.log10(rows)) - 1, 0)
    return int(math.ceil(rows / unit) * unit)
