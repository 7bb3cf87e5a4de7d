"""The rule that turns evidence into a decision: first match wins, every decision with its reasons in plain words."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...data.errors import InputError
from .inference import LEVEL, MAX_SEEDS, Interval, clusters_needed, seeds_needed

DECISIONS = (
    "no-gap",
    "widened",
    "overshot",
    "harmful-tradeoff",
    "not-shrunk",
    "shrunk-meaningfully",
    "shrunk",
    "unclear",
)
PASSED = ("shrunk-meaningfully", "shrunk", "no-gap")
ALPHA = (1 - LEVEL) / 2  # one-sided, as the lower bound of the interval is


@dataclass(frozen=True, slots=True)
class Margins:
    """What counts, fixed before training.

    Attributes
    ----------
    margin : float
        Least reduction of the gap worth having, absolute.
    guard : str
        "auc", "macro_f1", or "auto": AUC for two labels, macro-F1 for more.
    guard_loss : float
        Loss of the guard that is still accepted.
    worst_group_loss : float
        Loss for the worst-off group that is still accepted.
    min_seeds : int
        Least number of seeds for a pass; 3 or more.
    """

    margin: float = 0.02
    guard: str = "auto"
    guard_loss: float = 0.01
    worst_group_loss: float = 0.02
    min_seeds: int = 3

    def __post_init__(self) -> None:
        for name in ("margin", "guard_loss", "worst_group_loss"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"verdict: {name} = {value}; give a number of at least 0")
        if self.guard not in ("auto", "auc", "macro_f1"):
            raise InputError(f'verdict: guard = "{self.guard}"; use auto, auc or macro_f1')
        if self.min_seeds < 3:
            raise InputError(f"verdict: min_seeds = {self.min_seeds}; fewer than 3 seeds never pass")


@dataclass(frozen=True, slots=True)
class Guard:
    """Something that must not be lost.

    Attributes
    ----------
    name : str
        In plain words.
    loss : Interval or None
        Positive is worse; None where it could not be measured.
    limit : float
        Loss that is still accepted.
    """

    name: str
    loss: Interval | None
    limit: float

    @property
    def state(self) -> str:
        """One of "passed", "failed" and "unresolved"."""
        if self.loss is None or math.isnan(self.loss.high):
            return "unresolved"
        if self.loss.high <= self.limit:
            return "passed"
        return "failed" if self.loss.estimate > self.limit else "unresolved"

    @property
    def p(self) -> float:
        """One-sided p of "the loss is beyond the limit"."""
        if self.loss is None:
            return math.nan
        # Without any spread nothing is left to chance, and a loss just at the limit is accepted.
        return (-self.loss).p_below(-self.limit) if self.loss.se > 0 else float(self.state != "passed")


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a decision on one arm rests on. Reductions are positive where the gap came nearer to 0.

    Attributes
    ----------
    base, curated : Interval
        Gaps, positive for compounding imbalance.
    reduction : Interval
        Paired by seed.
    over_placebo : Interval or None
        Reduction beyond that of the placebo arm; None without one.
    threshold_free : float
        Reduction of the endpoint without a threshold; NaN where it is not known.
    has_threshold : bool
        Whether decisions hang on a threshold at all (argmax over many labels does not).
    threshold_source : str
        "dev", or where else the threshold is from.
    saturated : tuple of str
        Arms most of whose runs are saturated.
    guards : tuple of Guard
    distinct : int
        Seeds that are not copies of one another.
    chance : float
        How likely chance alone makes the raw data as unbalanced as it is (`Yardstick.chance`); NaN: not known.
    """

    base: Interval
    curated: Interval
    reduction: Interval
    over_placebo: Interval | None
    threshold_free: float
    has_threshold: bool
    threshold_source: str
    saturated: tuple[str, ...]
    guards: tuple[Guard, ...]
    distinct: int
    chance: float = math.nan

    def p(self, bound: float) -> float:
        """One-sided p that a pass with a reduction beyond `bound` is wrong: the worst of its conditions."""
        ps = [self.reduction.p_below(bound), math.nan if self.over_placebo is None else self.over_placebo.p_below(0.0)]
        ps += [guard.p for guard in self.guards]
        return math.nan if any(map(math.isnan, ps)) else max(ps)


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision, why, and what more it would take where it is unclear."""

    name: str
    reasons: tuple[str, ...]
    seeds_needed: int | None = None
    clusters_needed: int | None = None


def span(found: Interval) -> str:
    """An interval in words.

    Examples
    --------
    >>> span(Interval(0.1, 0.05, 0.15, 0.02, 5.0, 0.0, 0.0, 6, 40))
    '+0.100 [+0.050, +0.150]'
    """
    return f"{found.estimate:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def decide(evidence: Evidence, margins: Margins, *, survives: tuple[bool, bool] = (True, True)) -> Decision:
    """Decide on one arm.

    Parameters
    ----------
    evidence : Evidence
        From `judge`.
    margins : Margins
        Fixed before training.
    survives : (bool, bool)
        Whether "beyond the margin" and "beyond 0" hold after correcting for the number of arms tried.

    Returns
    -------
    Decision
        First match: `no-gap`, `widened`, `overshot`, `harmful-tradeoff`, `not-shrunk`, `shrunk-meaningfully`,
        `shrunk`, `unclear`.
    """
    e, reduction = evidence, evidence.reduction
    if e.reduction.seeds < 2:
        return _unclear(e, margins, ["one seed: what another seed would change is unknown"])
    if e.saturated:
        return _unclear(
            e,
            margins,
            [f"probe saturated: over half of the terms have FPR < .01 or > .99 in {' and '.join(e.saturated)}"],
        )
    if any(math.isnan(found.low) for found in (e.base, e.curated, reduction)):
        return _unclear(e, margins, ["the variance cannot be estimated: too few clusters of test rows"])
    few = _too_few(e, margins)
    if e.base.low <= 0 <= e.base.high:
        if few:
            return _unclear(e, margins, ["the base gap's interval holds 0", *few])
        reasons = [f"the base gap {span(e.base)} may be 0: there is nothing to shrink that could be certified"]
        if max(-e.base.low, e.base.high) > margins.margin:
            reasons.append(
                "its interval also holds gaps beyond the margin: this is little evidence, not proof of no gap"
            )
        return Decision("no-gap", tuple(reasons))
    if reduction.high < 0:
        return Decision("widened", (f"the gap grew: reduction {span(reduction)}",))
    beyond = e.curated.high < 0 if e.base.estimate > 0 else e.curated.low > 0
    if beyond:
        return Decision("overshot", (f"the gap turned round: before {span(e.base)}, after {span(e.curated)}",))
    shrank = reduction.low > 0
    failed = [guard for guard in e.guards if guard.state == "failed"]
    if shrank and failed:
        lost = [_lost(guard) for guard in failed]
        return Decision("harmful-tradeoff", (f"the gap shrank by {span(reduction)}", *lost))
    if reduction.high < margins.margin:
        return Decision("not-shrunk", (f"reduction {span(reduction)} stays below the margin {margins.margin:g}",))
    blocks = [*few, *_blocks(e, survives[1])]
    if shrank and not blocks:
        passed = [f"the gap shrank by {span(reduction)}", "the placebo did less", "nothing else was lost"]
        if reduction.low > margins.margin and survives[0]:
            return Decision("shrunk-meaningfully", (*passed, f"by more than the margin {margins.margin:g}"))
        return Decision("shrunk", (*passed, f"whether by more than the margin {margins.margin:g} is open"))
    if not shrank:
        blocks.insert(0, f"the reduction {span(reduction)} may be 0 and may be beyond the margin {margins.margin:g}")
    return _unclear(e, margins, blocks)


def _lost(guard: Guard) -> str:
    """A guard that failed: the estimate and the upper end are beyond its limit, the lower end need not be."""
    if guard.loss is None:
        return f"{guard.name} could not be measured"
    said = "more than" if guard.loss.low > guard.limit else "by estimate more than"
    return f"{guard.name} lost {span(guard.loss)}, {said} {guard.limit:g}"


def _too_few(e: Evidence, margins: Margins) -> list[str]:
    if e.reduction.seeds < margins.min_seeds:
        return [f"{e.reduction.seeds} seeds: fewer than {margins.min_seeds} never pass"]
    if e.distinct < margins.min_seeds:
        return [f"the seeds repeat the same run: only {e.distinct} differ, fewer than {margins.min_seeds} never pass"]
    return []


def _blocks(e: Evidence, survives: bool) -> list[str]:  # noqa: FBT001
    """What stands between a gap that shrank and a pass."""
    found = []
    if e.chance > 1 - LEVEL:
        # Not a "no-gap": that the data look balanced by a test of few rows is no proof that the model's gap is none.
        found.append(
            f"the imbalance of the raw data is within chance (p = {e.chance:.2f}): what shrank may be the accident of "
            "this sample, not a bias of its source; more raw rows would tell"
        )
    if e.over_placebo is None:
        found.append("no placebo arm: any change of the data might have done it")
    elif not e.over_placebo.low > 0:
        found.append(f"the placebo may do as much: reduction beyond it {span(e.over_placebo)}")
    if e.has_threshold and e.threshold_source != "dev":
        found.append(
            "predictions without scores: the threshold they hang on is unknown"
            if e.threshold_source == "given"
            else f"no dev rows: the threshold was set on the {e.threshold_source} rows themselves"
        )
    elif e.has_threshold and math.isnan(e.threshold_free):
        found.append("depends on threshold: the endpoint without one cannot be measured on these rows")
    elif e.has_threshold and e.threshold_free <= 0:
        found.append(f"depends on threshold: without one the gap did not shrink ({e.threshold_free:+.3f})")
    for guard in e.guards:
        if guard.state == "unresolved":
            found.append(
                f"{guard.name} could not be measured"
                if guard.loss is None
                else f"{guard.name}: loss {span(guard.loss)} is not shown to be within {guard.limit:g}"
            )
        elif guard.state == "failed" and guard.loss is not None:
            found.append(_lost(guard))
    if not found and not survives:
        found.append("does not hold after correcting for the number of arms tried (Holm)")
    return found


def _unclear(e: Evidence, margins: Margins, reasons: list[str]) -> Decision:
    open_questions: list[tuple[Interval, float]] = []
    estimate = e.reduction.estimate
    if e.reduction.low <= 0:
        # Either answer would do: beyond 0, or below the margin. The nearer to certain one sets the price.
        open_questions.append((e.reduction, max(estimate, margins.margin - estimate)))
    if e.over_placebo is not None and e.over_placebo.low <= 0 < e.over_placebo.estimate:
        open_questions.append((e.over_placebo, e.over_placebo.estimate))
    open_questions += [
        (g.loss, abs(g.limit - g.loss.estimate)) for g in e.guards if g.loss is not None and g.state == "unresolved"
    ]
    seeds, clusters = margins.min_seeds if e.reduction.seeds < margins.min_seeds else 0, 0
    stuck = False
    for found, distance in open_questions:
        if found.seeds < 2:
            continue
        need = seeds_needed(found, distance)
        if need is not None:
            seeds = max(seeds, need)
            continue
        rows = clusters_needed(found, distance)
        stuck = stuck or rows is None
        clusters = max(clusters, rows or 0)
    advice = []
    # More of one thing settles all of it only where no other question is left open.
    what = "part of it" if clusters or stuck else "it"
    if seeds > e.reduction.seeds:
        advice.append(f"about {seeds} seeds would settle {what}" if open_questions else f"{seeds} seeds are needed")
    if clusters:
        what = "another part" if advice else "part of it" if stuck else "it"
        advice.append(f"about {clusters} independent test rows, not seeds alone, would settle {what}")
    if stuck:
        advice.append(f"neither {MAX_SEEDS} seeds nor test rows alone would settle {'the rest' if advice else 'it'}")
    return Decision(
        "unclear",
        (*reasons, *advice),
        seeds if seeds > e.reduction.seeds else None,
        clusters or None,
    )
