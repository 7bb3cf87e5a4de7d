"""Gathering the evidence on each arm: pairs of runs, placebo, guards, worst-off group, correction for many arms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ...data.errors import InputError
from .decide import ALPHA, Evidence, Guard, Margins, decide
from .design import Design
from .gaps import Measured
from .inference import Interval, fieller, holm, t_interval
from .resampling import sign_flip

Arms: TypeAlias = Mapping[tuple[str, str], Mapping[int, int]]
_GUARDS = {"auc": "AUC", "macro_f1": "macro-F1"}


@dataclass(frozen=True, slots=True)
class Judged:
    """The evidence on one arm and what was decided, as fields of its verdict."""

    arm: str
    upstream: str
    pairs: tuple[list[int], list[int]]
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Case:
    arm: str
    upstream: str
    seeds: list[int]
    before: list[int]
    after: list[int]
    sign: float
    placebo: str | None
    worst: tuple[int, str]
    evidence: Evidence


def judge(
    measured: Measured,
    arms: Arms,
    placebo_of: Mapping[tuple[str, str], str | None],
    base_arm: str,
    screened: Sequence[int],
    margins: Margins,
    bootstrap: int,
    seed: int,
    *,
    chosen: bool = False,
) -> tuple[Judged, ...]:
    """Decide on every arm that is neither the base nor a placebo.

    Parameters
    ----------
    measured : Measured
        All runs.
    arms : mapping of (str, str) to mapping of int to int
        For each arm and upstream, the run of each seed.
    placebo_of : mapping of (str, str) to str or None
        For each arm and upstream, the arm that it is the placebo of.
    base_arm : str
        The untreated arm.
    screened : sequence of int
        Base runs that name the worst-off group.
    margins : Margins
        Fixed before training.
    bootstrap, seed : int
        Repetitions and seed of the multi-bootstrap.
    chosen : bool
        Whether each upstream's arm was chosen on other rows and seeds: then it answers a question of its own, and
        there is nothing to correct for.

    Returns
    -------
    tuple of Judged
    """
    known = {arm for arm, _ in arms}
    for (arm, _), of in placebo_of.items():
        if of is not None and of not in known:
            raise InputError(
                f'verdict: arm "{arm}" is the placebo of "{of}", which has no runs; arms are {sorted(known)}'
            )
    cases = [
        _case(measured, arms, placebo_of, base_arm, screened, margins, arm, upstream)
        for arm, upstream in arms
        if arm != base_arm and not placebo_of[arm, upstream]
    ]
    # Arms without a placebo cannot pass, so they cost the others nothing.
    family = [at for at, case in enumerate(cases) if case.evidence.over_placebo is not None]
    beyond, shrunk = (
        dict(zip(family, _corrected([cases[at].evidence.p(bound) for at in family], chosen=chosen), strict=True))
        for bound in (margins.margin, 0.0)
    )
    return tuple(
        _judged(measured, case, margins, beyond.get(at, math.nan), shrunk.get(at, math.nan), bootstrap, seed)
        for at, case in enumerate(cases)
    )


def _corrected(p: list[float], *, chosen: bool) -> list[float]:
    return [1.0 if math.isnan(value) else value for value in p] if chosen else holm(p)


def _case(
    measured: Measured,
    arms: Arms,
    placebo_of: Mapping[tuple[str, str], str | None],
    base_arm: str,
    screened: Sequence[int],
    margins: Margins,
    arm: str,
    upstream: str,
) -> _Case:
    if (base_arm, upstream) not in arms:
        raise InputError(f'verdict: arm "{arm}" with upstream "{upstream}" has no "{base_arm}" runs with that upstream')
    base, mine = arms[base_arm, upstream], arms[arm, upstream]
    seeds = sorted(set(base) & set(mine))
    if not seeds:
        raise InputError(
            f'verdict: arm "{arm}" ({upstream}) shares no seed with "{base_arm}": {sorted(mine)} and {sorted(base)}; '
            "train both with the same seeds"
        )
    before, after = [base[s] for s in seeds], [mine[s] for s in seeds]
    gap, one, two = measured.design.gap, measured.hits_of(before), measured.hits_of(after)
    base_gap = gap.interval(one)
    # A gap below 0 shrinks upwards. Only a gap that is clearly below 0 turns the sign, or noise would choose it.
    sign = -1.0 if base_gap.high < 0 else 1.0
    placebo, over = _over_placebo(measured, arms, placebo_of, arm, upstream, sign)
    worst = _worst(measured, [at for at in screened if measured.runs[at].run.upstream == upstream], sign)
    saturated = tuple(
        name
        for name, runs in ((base_arm, before), (arm, after))
        if sum(measured.runs[at].saturated for at in runs) * 2 > len(runs)
    )
    free = [
        measured.runs[b].threshold_free - measured.runs[a].threshold_free for b, a in zip(before, after, strict=True)
    ]
    evidence = Evidence(
        base=base_gap,
        curated=gap.interval(two),
        reduction=gap.interval(sign * (one - two)),
        over_placebo=over,
        threshold_free=sign * float(np.mean(free)),
        has_threshold=measured.design.positive is not None,
        threshold_source=measured.threshold_source,
        saturated=saturated,
        guards=(
            Guard(_GUARDS[measured.guard], guard_loss(measured, before, after), margins.guard_loss),
            Guard(
                f"the worst-off group ({name_of(measured.design, worst[0])})",
                _loss(measured, worst[0], one - two),
                margins.worst_group_loss,
            ),
        ),
        distinct=_distinct(measured, before, after),
        chance=measured.design.stick.chance,
    )
    return _Case(arm, upstream, seeds, before, after, sign, placebo, worst, evidence)


def _over_placebo(
    measured: Measured,
    arms: Arms,
    placebo_of: Mapping[tuple[str, str], str | None],
    arm: str,
    upstream: str,
    sign: float,
) -> tuple[str | None, Interval | None]:
    """Reduction beyond the placebo's, paired by seed; of several placebos the one hardest to beat."""
    found: list[tuple[str, Interval]] = []
    for (name, up), runs in arms.items():
        shared = sorted(set(runs) & set(arms[arm, upstream]))
        if up == upstream and placebo_of[name, up] == arm and shared:
            theirs = measured.hits_of([runs[s] for s in shared])
            mine = measured.hits_of([arms[arm, upstream][s] for s in shared])
            found.append((name, measured.design.gap.interval(sign * (theirs - mine))))
    return min(found, key=lambda pair: pair[1].low) if found else (None, None)


def _worst(measured: Measured, screened: Sequence[int], sign: float) -> tuple[int, str]:
    """The cell that must not get worse, and how it was named.

    Screening runs name it by its rate. Without them the yardstick does; of the runs that are judged it then takes only
    the direction of the base gap, since a gap against the data hurts those whom the data favour.
    """
    plan = measured.design
    used = np.flatnonzero(plan.coefficients)
    if screened:
        hits = measured.hits_of(screened)
        means = np.array([hits[:, plan.cells[at].rows].mean() for at in used])
        at = int(np.argmax(means)) if plan.stick.kind == "fpr" else int(np.argmin(means))
        return int(used[at]), "screening runs"
    if plan.stick.kind == "fpr":
        return int(used[np.argmax(sign * plan.stick.c)]), "yardstick: the largest imbalance, no screening runs"
    label = int(np.argmax(np.abs(plan.stick.c)))
    hurt = plan.stick.second if sign * plan.stick.c[label] > 0 else plan.stick.first
    at = plan.find(hurt, plan.stick.used[label])
    return at, "yardstick: the most unequal label, no screening runs"


def name_of(plan: Design, at: int) -> str:
    """A cell in words: the term, or label and group."""
    cell = plan.cells[at]
    return cell.group if cell.label is None else f"{cell.label} / {cell.group}"


def _loss(measured: Measured, at: int, reduced: Any) -> Interval:
    """Loss of the worst-off group: a risen false-positive rate or a fallen true-positive rate."""
    worse = -1.0 if measured.design.stick.kind == "fpr" else 1.0
    return measured.design.cell(at).interval(worse * reduced)


def guard_loss(measured: Measured, before: list[int], after: list[int]) -> Interval | None:
    """Loss of the guard, runs paired by seed; None where it was not measured."""
    name = measured.guard
    if measured.guard_clusters is None or name not in measured.runs[0].utility:
        return None
    loss = np.array(
        [measured.runs[b].utility[name] - measured.runs[a].utility[name] for b, a in zip(before, after, strict=True)]
    )
    if np.isnan(loss).any():
        return None
    influence = measured.guard_influence[before].mean(axis=0) - measured.guard_influence[after].mean(axis=0)
    return t_interval(loss, influence, measured.guard_clusters)


def _distinct(measured: Measured, before: list[int], after: list[int]) -> int:
    # Eight copies of one run are one run, whatever seeds they claim.
    return len({(measured.fingerprints[b], measured.fingerprints[a]) for b, a in zip(before, after, strict=True)})


def _judged(
    measured: Measured, case: _Case, margins: Margins, beyond: float, shrunk: float, bootstrap: int, seed: int
) -> Judged:
    e, gap = case.evidence, measured.design.gap
    decision = decide(e, margins, survives=(beyond <= ALPHA, shrunk <= ALPHA))
    one, two = measured.hits_of(case.before), measured.hits_of(case.after)
    differences = case.sign * gap.values(one - two)
    flip = sign_flip(differences)
    share, share_low, share_high = fieller(e.base, e.curated, e.reduction)
    key = f"{seed}\x1f{case.arm}\x1f{case.upstream}"
    boot = gap.bootstrap(case.sign * (one - two), key=key, repetitions=bootstrap)
    guard, worst = e.guards
    second = measured.design.second
    facts = [measured.runs[at] for at in case.after]
    collapsed = tuple(
        f"{measured.runs[at].run}: {measured.runs[at].collapsed}"
        for at in (*case.before, *case.after)
        if measured.runs[at].collapsed
    )
    reasons = decision.reasons
    if collapsed:
        reasons = (*reasons, f"{len(collapsed)} collapsed runs are in: {'; '.join(collapsed)}")

    def pair(what: str) -> dict[str, dict[str, float]]:
        names = getattr(facts[0], what)
        means = {
            when: {name: float(np.mean([getattr(measured.runs[at], what)[name] for at in runs])) for name in names}
            for when, runs in (("before", case.before), ("after", case.after))
        }
        return {name: {when: means[when][name] for when in means} for name in names}

    utility = pair("utility")
    fields: dict[str, Any] = {
        "arm": case.arm,
        "upstream": case.upstream,
        "seeds": tuple(case.seeds),
        **_spread("gap", e.curated),
        **_spread("base_gap", e.base),
        **_spread("reduction", e.reduction),
        "reduction_share": share,
        "reduction_share_low": share_low,
        "reduction_share_high": share_high,
        "accuracy": utility.get("accuracy", {}).get("after", math.nan),
        "auc": utility.get("auc", {}).get("after", math.nan),
        "worst_group": name_of(measured.design, case.worst[0]),
        "worst_group_source": case.worst[1],
        "worst_group_state": worst.state,
        **_spread("worst_group_loss", worst.loss),
        "placebo_arm": case.placebo,
        **_spread("placebo_margin", e.over_placebo),
        "guard": measured.guard,
        "guard_state": guard.state,
        **_spread("guard_loss", guard.loss),
        "decision": decision.name,
        "reasons": reasons,
        "seeds_needed": decision.seeds_needed,
        "clusters_needed": decision.clusters_needed,
        **_spread("second_endpoint_change", None if second is None else second.interval(two - one)),
        "threshold_free_base": float(np.mean([measured.runs[at].threshold_free for at in case.before])),
        "threshold_free": float(np.mean([fact.threshold_free for fact in facts])),
        "v_seed": e.reduction.v_seed,
        "v_ex": e.reduction.v_ex,
        "df": e.reduction.df,
        "clusters": e.reduction.clusters,
        "boot_low": boot[0],
        "boot_high": boot[1],
        "sign_flip_p": flip,
        "sign_flip_note": _flip_note(differences, flip),
        "p": e.p(0.0),
        "p_holm": shrunk,
        "utility": utility,
        "secondary": pair("secondary"),
        "collapsed": collapsed,
    }
    return Judged(case.arm, case.upstream, (case.before, case.after), fields)


def _spread(name: str, found: Interval | None) -> dict[str, float]:
    if found is None:
        return {name: math.nan, f"{name}_low": math.nan, f"{name}_high": math.nan}
    return {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}


def _flip_note(differences: Any, p: float) -> str:
    if len(differences) < 2:
        return "one seed: no test over seeds"
    if math.isnan(p):
        return "the reduction is the same for every seed: no test over seeds"
    least = 2 / 2 ** len(differences)
    return f"{len(differences)} seeds cannot reach p < .05 (least {least:g})" if least > 2 * ALPHA else ""
