"""Limits that a search shall reach: ``label_log_ratio:identity<=0.2``, and whether findings keep them."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ...audit.findings import Finding, rounded
from ...audit.measures import MEASURES, known_measure
from ...audit.tally import Tally
from ...data.errors import InputError, suggest

_EXAMPLE = "label_log_ratio:identity<=0.2"
_BALANCED_ELSEWHERE = {"correlation_level": "5 is balanced there, not 0; use log_odds, which says the same from 0"}


@dataclass(frozen=True, slots=True)
class Limit:
    """An upper limit on the absolute value of some findings.

    Attributes
    ----------
    text : str
        As it was written, without blanks.
    measure : str
    value : float
        Not negative.
    strict : bool
        Whether the value itself is too much already (``<``).
    where : str or None
        What was written behind the measure, until `bound` finds the axis in it.
    axis, group, label : str or None
        None: of any. An empty group is the axis as a whole, an empty label the finding without one.
    """

    text: str
    measure: str
    value: float
    strict: bool
    where: str | None = None
    axis: str | None = None
    group: str | None = None
    label: str | None = None

    def about(self, finding: Finding) -> bool:
        """Whether the finding is one of those that are limited, with rows enough or not.

        Those that no rule judges unasked (ambiguous words, groups that are only reported) are meant only where the
        limit names their group.
        """
        return (
            finding.measure == self.measure
            and self.axis in (None, finding.axis)
            and self.group in (None, finding.group or "")
            and self.label in (None, finding.label or "")
            and (finding.judged or self.group is not None)
        )

    def keeps(self, size: float) -> bool:
        """Whether a value of this size is within the limit."""
        return size < self.value if self.strict else size <= self.value


@dataclass(frozen=True, slots=True)
class Standing:
    """Where findings stand against a limit.

    Attributes
    ----------
    limit : Limit
    worst : Finding or None
        The farthest from 0 of those that count.
    counted : tuple of str
        Ids of the findings that count: those with rows enough, and those that had them before.
    thin : int
        Of these, findings that no longer have rows enough.
    few : int
        Findings that the limit is about and that never had rows enough.
    lost : tuple of str
        Findings that counted before and that there are no more: they do not keep a limit by vanishing.
    certain : bool or None
        True: every interval is within the limit; False: one is all beyond it; None: the rows cannot tell.
    """

    limit: Limit
    worst: Finding | None
    counted: tuple[str, ...]
    thin: int
    few: int
    lost: tuple[str, ...]
    certain: bool | None

    @property
    def size(self) -> float:
        """Absolute value of the worst finding; 0 where none counts."""
        return 0.0 if self.worst is None else abs(self.worst.estimate)

    @property
    def reached(self) -> bool:
        """Whether the estimates keep the limit; a finding that is no more does not."""
        return self.limit.keeps(self.size) and not self.lost

    @property
    def excess(self) -> float:
        """How many times the limit the worst finding is; infinite where findings are no more."""
        if self.lost:
            return math.inf
        return self.size / self.limit.value if self.limit.value else (math.inf if self.size else 0.0)

    def to_dict(self) -> dict[str, Any]:
        """For tradeoff.json."""
        worst = self.worst
        return {
            "limit": self.limit.text,
            "worst": None if worst is None else worst.id,
            "estimate": None if worst is None else rounded(worst.estimate),
            "low": None if worst is None else rounded(worst.low),
            "high": None if worst is None else rounded(worst.high),
            "n": None if worst is None else worst.n,
            "counted": len(self.counted),
            "thin": self.thin,
            "few_rows": self.few,
            "lost": list(self.lost),
            "reached": self.reached,
            "certain": self.certain,
        }


def parse(text: str) -> Limit:
    """Read a limit, as far as that goes without the data.

    Parameters
    ----------
    text : str
        ``MEASURE[:AXIS[:GROUP[:LABEL]]] <= VALUE``, or ``<``. The absolute value of the measure is meant: 0.2 limits
        a log ratio of -0.3 as it limits one of 0.3.

    Raises
    ------
    InputError
        For what is not written so, and for measures that counts do not give.

    Examples
    --------
    >>> limit = parse("label_log_ratio:identity <= 0.2")
    >>> limit.measure, limit.where, limit.value, limit.strict
    ('label_log_ratio', 'identity', 0.2, False)
    >>> parse("label_logratio<=0.2")
    Traceback (most recent call last):
        ...
    evenset.data.errors.InputError: --until "label_logratio<=0.2": there is no measure "label_logratio". Did you mean \
"label_log_ratio"? `evenset measures` lists them.
    """
    said = f'--until "{text}": '
    match = re.fullmatch(r"\s*(.*?[^<>=≤≥\s])\s*(<=|>=|==|<|>|=|≤|≥)\s*([^<>=≤≥]*?)\s*", text, re.DOTALL)
    if match is None:
        raise InputError(f"{said}write MEASURE[:AXIS[:GROUP[:LABEL]]]<=VALUE, for example {_EXAMPLE}")
    name, sign, number = match.groups()
    if sign not in ("<=", "<", "≤"):
        raise InputError(f"{said}only upper limits can be searched for; write {name}<=VALUE")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise InputError(
            f'{said}"{number}" is no limit; give a number from 0 on (the absolute value of the measure is meant)'
        )
    measure, colon, where = name.partition(":")
    if measure not in MEASURES:
        raise InputError(
            f'{said}there is no measure "{measure}".{suggest(measure, MEASURES)} `evenset measures` lists them.'
        )
    if known_measure(measure).function is None:
        raise InputError(
            f"{said}{measure} is not computed from counts, so it cannot be searched for; a scrub step has leakage = "
            "VALUE for that"
        )
    if measure in _BALANCED_ELSEWHERE:
        raise InputError(f"{said}{_BALANCED_ELSEWHERE[measure]}")
    written = f"{name}{'<' if sign == '<' else '<='}{number}"
    return Limit(written, measure, value, sign == "<", where if colon else None)


def bound(limit: Limit, tally: Tally) -> Limit:
    """Find axis, group and label of a limit among those that were counted.

    Raises
    ------
    InputError
        For names that are not there, with the nearest ones that are.
    """
    from dataclasses import replace

    if limit.where is None:
        return limit
    said = f'--until "{limit.text}": '
    # An axis may have a colon in its name (column:gender), so the longest that fits is meant.
    fits = [name for name in tally.axes if limit.where == name or limit.where.startswith(f"{name}:")]
    if not fits:
        first = limit.where.split(":")[0]
        near = suggest(limit.where, tally.axes) or suggest(first, tally.axes)
        raise InputError(f'{said}there is no axis "{limit.where}".{near} Axes: {", ".join(tally.axes)}.')
    axis = max(fits, key=len)
    rest = limit.where[len(axis) + 1 :] if limit.where != axis else None
    if rest is None:
        return replace(limit, axis=axis)
    groups = list(tally.axes[axis].groups)
    pairs = [f"{one}/{other}" for one in groups for other in groups if one != other]
    known = sorted([*groups, *pairs], key=len, reverse=True)
    group = next((name for name in known if rest == name or rest.startswith(f"{name}:")), None)
    if group is None and (rest == "" or rest.startswith(":")):
        group = ""
    if group is None:
        written = rest.split(":")[0]
        raise InputError(f'{said}axis "{axis}" has no group "{written}".{suggest(written, groups)}')
    if rest == group:
        return replace(limit, axis=axis, group=group)
    label = rest[len(group) + 1 :]
    if label and label not in tally.labels:
        raise InputError(f'{said}no row has the label "{label}".{suggest(label, tally.labels)}')
    return replace(limit, axis=axis, group=group, label=label)


def standing(limit: Limit, findings: Iterable[Finding], *, before: Collection[str] = ()) -> Standing:
    """Where findings stand against a limit.

    Parameters
    ----------
    limit : Limit
        Bound.
    findings : iterable of Finding
        All there are.
    before : collection of str
        Ids of those that counted in the data as they were. They still count, on however few rows.

    Examples
    --------
    >>> gay = Finding("identity", "gay", "1", "label_log_ratio", -0.3, -0.5, -0.1, 90, "Katz")
    >>> found = standing(parse("label_log_ratio<=0.2"), [gay])
    >>> found.size, found.reached, found.certain
    (0.3, False, None)
    """
    meant = [finding for finding in findings if limit.about(finding)]
    counted = [one for one in meant if (one.enough or one.id in before) and math.isfinite(one.estimate)]
    names = {one.id for one in counted}
    worst = max(counted, key=lambda one: (abs(one.estimate), one.id), default=None)
    ends = [one.magnitude for one in counted]
    certain: bool | None = None
    if any(not limit.keeps(near) for near, _ in ends):
        certain = False
    elif all(limit.keeps(far) for _, far in ends):
        certain = True
    return Standing(
        limit,
        worst,
        tuple(one.id for one in counted),
        sum(not one.enough for one in counted),
        len(meant) - len(counted),
        tuple(name for name in before if name not in names),
        certain,
    )


def reached(standings: Sequence[Standing]) -> bool:
    """Whether all limits are kept."""
    return all(one.reached for one in standings)
