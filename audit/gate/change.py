"""How much a finding has changed between two audits that share rows, with a paired interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..findings import LEVEL, SCREEN, Finding, Status, rounded
from ..intervals import z_of
from ..sketch import ALL, Shared, Sketch, shared

if TYPE_CHECKING:
    from ...data.config import CheckRule

QUADRATIC = frozenset({"cramers_v", "nmi"})
UNCOMPARED = frozenset({"log_odds_z"})  # grows with the rows
_OF_GROUP = frozenset({"label_rate", "label_rate_by_length"})  # of the group's rows alone
_RANK: dict[Status | None, int] = {"fail": 2, "warn": 1}
Counted = Callable[[str], tuple[int, int]]
# Two squares of sums share the square of what the sums share, where rows that come are like those that are there. Rows
# that are not count for more: with 5 the intervals held what was planted in all of the worlds of the simulation.
_POWER = 5
_ANY = 1e-9  # the limit of change where the limit of the level is 0


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a finding since the baseline.

    Attributes
    ----------
    before : Finding
        On the baseline, with the status that today's rules give it.
    estimate, low, high : float
        How much worse it is: growth of the absolute value, or fall of the value under a rule with lower limits alone.
    same : bool
        Whether the rows behind it are the same, so that nothing is uncertain.
    paired : bool
        Whether the interval takes account of the rows that both share.
    untouched : bool
        Whether the group's own rows count as they did, so that few of them are no doubt about the change.
    error : float
        Half width of the interval of the plain difference; `low` can be further off where a sign is not certain.
    q : float or None
        Of no growth, after the correction for all that is compared (`changes.screened`).
    remark : str
        What a reader has to know of the comparison besides.
    """

    before: Finding
    estimate: float
    low: float
    high: float
    same: bool
    paired: bool
    untouched: bool = False
    error: float = math.nan
    q: float | None = None
    remark: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As in check.json."""
        before = self.before
        return {
            "before": {"estimate": rounded(before.estimate), "low": rounded(before.low), "high": rounded(before.high),
                       "n": before.n, "status": before.status},
            "growth": rounded(self.estimate), "low": rounded(self.low), "high": rounded(self.high),
            "paired": self.paired,
        }  # fmt: skip


def limits_of(rule: CheckRule) -> tuple[float, float]:
    """Limits of change: the rule's own, else from its limits of the level.

    Returns
    -------
    (warn, fail)
        Without own ones fail is the first limit of the level and warn half of it: what has grown by as much as would be
        worth a look by itself. Of exact counts (a limit of whole rows) see `settled`.

    Examples
    --------
    >>> from evenset.data.config import CheckRule
    >>> limits_of(CheckRule(measure="label_log_ratio", warn=0.2, fail=0.5))
    (0.1, 0.2)
    >>> limits_of(CheckRule(measure="label_log_ratio", fail=0.5, fail_change=0.1))
    (inf, 0.1)
    """
    warn, fail = rule.warn_change, rule.fail_change
    if warn is not None or fail is not None:
        return math.inf if warn is None else warn, math.inf if fail is None else fail
    first = abs(rule.upper if rule.upper is not None else rule.lower or 0.0)
    return max(first / 2, _ANY), max(first, _ANY)


def owns_change(rule: CheckRule) -> bool:
    """Whether a rule has limits of change of its own."""
    return rule.warn_change is not None or rule.fail_change is not None


def settled(now: Finding, change: Change, rule: CheckRule) -> tuple[Status, bool]:
    """The status of a finding beside a baseline, and whether what is over its limit was so on the baseline already.

    Notes
    -----
    - Inside the limits of the level: pass, unless the rule limits the change itself.
    - Grown by `warn_change` or `fail_change` or more, all of the interval: warn or fail; by limits that the rule does
      not give, never worse than the level itself is found to be.
    - A level that warns or fails and did not on the baseline, and has grown for certain: what the level says; unclear
      where that may be the luck of one of many (`q` above 0.05). An exact count that has grown: what the level says.
      Where both this and the line before apply, the worse of the two.
    - Unclear as it was on the baseline, the interval of the growth holding 0 and the growth under the first limit of
      change (all these by limits that the rule does not give): pass, known.
    - Grown by less than the first limit of change (by limits that the rule does not give: less than `fail_change`):
      pass. Where the level is not inside its limits it is known from the baseline, and no failure of this change.
    - Else unclear, and so are too few rows that have changed.
    """
    own = owns_change(rule)
    if now.status == "pass" and not own:
        return "pass", False
    warn, fail = limits_of(rule)
    known = now.status is not None and now.status != "pass"
    if change.same or (change.low == change.high == 0):
        return "pass", known
    if not own and _as_unclear(now, change, min(warn, fail)):
        return "pass", True
    if not (now.enough or change.untouched) or math.isnan(change.low) or math.isnan(change.high):
        return "unclear", False
    found: list[Status] = []
    if change.low >= min(warn, fail):
        grown: Status = "fail" if change.low >= fail else "warn"
        found.append("warn" if not own and now.status == "warn" else grown)
    worse = _RANK.get(now.status, 0) > _RANK.get(change.before.status, 0)
    counted = now.low == now.high and known
    lucky = worse and not counted and change.q is not None and change.q > SCREEN
    if now.status is not None and (worse or counted) and change.low > 0 and not lucky:
        found.append(now.status)
    if found:
        return max(found, key=lambda status: _RANK.get(status, 0)), False
    if lucky and change.low > 0:
        return "unclear", False
    if change.high < (min(warn, fail) if own else fail):
        return "pass", known
    return "unclear", False


def _as_unclear(now: Finding, change: Change, first: float) -> bool:
    if now.status != "unclear" or change.before.status != "unclear":
        return False
    if change.untouched and math.isnan(now.estimate) and math.isnan(change.before.estimate):
        return True
    return change.low <= 0 <= change.high and change.estimate < first


def compare(
    now: Finding,
    before: Finding,
    rule: CheckRule,
    *,
    old: Sketch | None,
    new: Sketch | None,
    level: float = LEVEL,
    untouched: bool = False,
    first: tuple[float | None, float | None] = (None, None),
    counted: Counted | None = None,
) -> Change:
    """The change of a finding.

    Parameters
    ----------
    now, before : Finding
        The same finding of the data as it is and of the baseline.
    rule : CheckRule
        What decides whether growth of the absolute value or fall of the value is worse.
    old, new : Sketch or None
        Of the rows of both; None: as if they shared none.
    level : float
        Confidence level.
    untouched : bool
        Whether the counts of the group are what they were.
    first : (float or None, float or None)
        The share of the first set of rows (the group) in the variance before and now (`parts.Split`).
    counted : callable, optional
        Rows of a group of the axis before and now: where it has no print, no more of them have changed than of all.

    Notes
    -----
    Var(new - old) = V_old + V_new - 2 Cov. With N_o and N_n rows of which k are shared, and σ² the smaller of V_o N_o
    and V_n N_n, Cov = σ² k / (N_o N_n): exact for means of rows of one distribution, so nested additions have V_old -
    V_new. Of two sets of rows (the group and the rows without it) each has its own k and its share of the variances;
    where the shares are not known, the set with the smaller covariance stands for both. Each of m rows that moved from
    one of the two to the other takes at most √(V₁V₂ / (n₁n₂)) off the covariance. V is the square of the longer arm of
    each interval over z. Where an interval holds 0, the interval of the growth of the absolute value holds
    what either sign would give.
    """
    equal = _equal(now, before)
    parts: list[Shared] = []
    if old is not None and new is not None:
        parts = _parts(now, old, new, untouched=untouched, equal=equal, counted=counted)
    if equal and parts and all(part.same for part in parts):
        return Change(before, 0.0, 0.0, 0.0, same=True, paired=True)
    z = z_of(level)
    v_old, v_new = (max(one.estimate - one.low, one.high - one.estimate, 0.0) ** 2 / z**2 for one in (before, now))
    if first[0] is not None and first[1] is not None and len(parts) == 2:
        split = zip(parts, (first[0], 1 - first[0]), (first[1], 1 - first[1]), strict=True)
        covariance = sum(_covariance(v_old * one, v_new * two, part, quadratic=False) for part, one, two in split)
    else:
        each = (_covariance(v_old, v_new, part, quadratic=now.measure in QUADRATIC) for part in parts)
        covariance = min(each, default=0.0)
    if old is not None and new is not None and parts:
        moved = max(
            shared(old.prints[ALL], new.prints[ALL]).rows - shared(old.whole(now.axis), new.whole(now.axis)).rows, 0.0
        )
        if now.measure in QUADRATIC:
            parts = [replace(part, rows=max(part.rows - moved, 0.0)) for part in parts]
            covariance = _covariance(v_old, v_new, parts[0], quadratic=True)
        elif len(parts) == 2:
            covariance -= _crossed(v_old, v_new, parts, moved, first)
    if not math.isfinite(v_old + v_new):
        return Change(
            before, _growth(now, before, rule), math.nan, math.nan, same=False, paired=bool(parts), untouched=untouched
        )
    half = z * math.sqrt(max(v_old + v_new - 2 * covariance, 0.0))
    wide = z * math.sqrt(v_old + v_new + 2 * covariance)
    estimate = _growth(now, before, rule)
    grown = _interval(now, before, half, wide)
    if now.measure in QUADRATIC:
        grown = _of_roots(now, before, grown, min(map(_share, parts), default=0.0) ** 2)
    fallen = before.estimate - now.estimate - half, before.estimate - now.estimate + half
    if rule.upper is None and rule.lower is not None:
        low, high = fallen
    elif rule.lower is not None:
        low, high = max(grown[0], fallen[0]), max(grown[1], fallen[1])
    else:
        low, high = grown
    turned = now.low * now.high > 0 and before.low * before.high > 0 and now.low * before.low < 0
    return Change(
        before, estimate, low, high, same=False, paired=bool(parts), untouched=untouched,
        error=wide if turned else half,
    )  # fmt: skip


def _growth(now: Finding, before: Finding, rule: CheckRule) -> float:
    grown, fallen = abs(now.estimate) - abs(before.estimate), before.estimate - now.estimate
    if rule.upper is None and rule.lower is not None:
        return fallen
    return grown if rule.lower is None else max(grown, fallen)


def _interval(now: Finding, before: Finding, half: float, wide: float) -> tuple[float, float]:
    """Of |new| - |old|, from the half width of new - old (and of new + old, where the signs differ)."""
    signs = [1 if one.low >= 0 else -1 if one.high <= 0 else 0 for one in (now, before)]
    difference = now.estimate - before.estimate
    if signs[0] and signs[1]:
        if signs[0] == signs[1]:
            return signs[0] * difference - half, signs[0] * difference + half
        middle = abs(now.estimate) - abs(before.estimate)
        return middle - wide, middle + wide
    if signs[0]:  # |old| is its sign's value or the other's
        low, high = sorted((signs[0] * difference - half, signs[0] * difference + half))
        return low - 2 * max(0.0, -signs[0] * (before.low if signs[0] > 0 else before.high)), high
    if signs[1]:
        low, high = sorted((signs[1] * difference - half, signs[1] * difference + half))
        return low, high + 2 * max(0.0, -signs[1] * (now.low if signs[1] > 0 else now.high))
    most = abs(difference) + half  # | |new| - |old| | is at most |new - old|
    return max(-most, -max(abs(before.low), abs(before.high))), min(most, max(abs(now.low), abs(now.high)))


def _of_roots(now: Finding, before: Finding, grown: tuple[float, float], share: float) -> tuple[float, float]:
    """Near 0 a root grows fast: there the ends hold those of the difference of the squares, of which one may be 0."""
    squares = now.estimate**2 - before.estimate**2
    arms = [one.high**2 - one.estimate**2 for one in (now, before)]
    half = math.sqrt(max(arms[0] ** 2 + arms[1] ** 2 - 2 * share * arms[0] * arms[1], 0.0))
    low, high = grown
    if before.low <= 0:
        high = max(high, math.sqrt(max(squares + half, 0.0)))
    if now.low <= 0:
        low = min(low, -math.sqrt(max(half - squares, 0.0)))
    return low, high


def _covariance(v_old: float, v_new: float, part: Shared, *, quadratic: bool) -> float:
    if not part.old or not part.new:
        return 0.0
    if quadratic:
        return math.sqrt(v_old * v_new) * _share(part) ** _POWER
    return min(v_old * part.old, v_new * part.new) * part.rows / (part.old * part.new)


def _crossed(
    v_old: float, v_new: float, parts: Sequence[Shared], moved: float, first: tuple[float | None, float | None]
) -> float:
    """What rows that changed sides take off the covariance: at most as many as came and went on the first side."""
    one, two = parts
    rows = min(moved, max(one.old - one.rows, 0.0) + max(one.new - one.rows, 0.0))
    n = math.sqrt(max(min(one.old, one.new) * min(two.old, two.new), 1))
    sides = math.prod(share * (1 - share) for share in (0.5 if each is None else each for each in first)) ** 0.25
    return rows * math.sqrt(v_old * v_new) * sides / n if rows else 0.0


def _share(part: Shared) -> float:
    return part.rows / math.sqrt(part.old * part.new) if part.old and part.new else 0.0


def _equal(now: Finding, before: Finding) -> bool:
    """Whether the numbers are the same, as far as a file holds them."""
    return all(
        rounded(one) == rounded(two)
        for one, two in ((now.estimate, before.estimate), (now.low, before.low), (now.high, before.high))
    )


def _parts(
    finding: Finding, old: Sketch, new: Sketch, *, untouched: bool, equal: bool, counted: Counted | None
) -> list[Shared]:
    """The parts of the rows on which a finding rests, as far as there are prints of them."""
    everything = old.whole(finding.axis), new.whole(finding.axis)
    whole = shared(*everything)
    if (whole.same and equal) or finding.group is None or not finding.axis:
        return [whole]
    names = [(finding.axis, group) for group in finding.group.split("/")]
    if not all(name in old.prints and name in new.prints for name in names):
        names = [(finding.axis, finding.group)]
    found: list[Shared] = []
    for name in names:
        one, two = old.prints.get(name), new.prints.get(name)
        if one is None or two is None:  # so few rows that there is no print of them
            before, now = (finding.n, finding.n) if counted is None else counted(name[1])
            part = Shared(before, now, float(min(before, now)) if untouched else 0.0, same=untouched)
            found.append(part if counted is None else _at_least(part, whole))
        else:
            found.append(_at_least(shared(one, two), whole))
    if len(names) == 1 and finding.measure not in _OF_GROUP:
        one, two = old.prints.get(names[0]), new.prints.get(names[0])
        rest = everything if one is None or two is None else (everything[0] - one, everything[1] - two)
        found.append(_at_least(shared(*rest), whole))
    return found


def _at_least(part: Shared, whole: Shared) -> Shared:
    """No more rows of a part can have gone than of the whole."""
    rows = max(part.rows, part.old - (whole.old - whole.rows), 0.0)
    return Shared(part.old, part.new, min(rows, part.old, part.new), part.same)
