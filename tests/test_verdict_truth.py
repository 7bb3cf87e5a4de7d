"""Simulations with a known truth: intervals cover it, and nothing is certified where there is nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from score_sim import IMBALANCE, TERMS, Arm, crossed, simulate, stick

from evenset.finetune.judging.decide import Margins
from evenset.finetune.judging.design import Design, design
from evenset.finetune.judging.scores import Items, Run, ScoreSet
from evenset.finetune.judging.verdict import verify
from evenset.finetune.judging.yardstick import tpr_yardstick

THRESHOLD = 1.0
SKELETON_SD = 0.6


def at_least(successes: int, trials: int, rate: float) -> bool:
    """Whether so few successes would be no wonder at this rate (one in a thousand)."""
    return bool(stats.binom.cdf(successes, trials, rate) > 0.001)


def at_most(successes: int, trials: int, rate: float) -> bool:
    """Whether so many successes would be no wonder at this rate (one in a thousand)."""
    return bool(stats.binom.sf(successes - 1, trials, rate) > 0.001)


def planted(slope: float, seed_sd: float) -> float:
    """The gap that a slope means, over all skeletons and seeds."""
    spread = np.sqrt(1 + SKELETON_SD**2 + (seed_sd * IMBALANCE) ** 2)
    return float(stick().coefficients @ stats.norm.sf((THRESHOLD - slope * IMBALANCE) / spread))


def plan_for(probe: Items) -> Design:
    return design(ScoreSet((Run("raw", "pretrained", 0),), {"probe": probe}, {}, {}, ("0", "1")), stick())


def coverage(
    repetitions: int, *, seeds: int, seed_sd: float, skeletons: int, ways: bool = False, bootstrap: int = 0
) -> dict[str, float]:
    """How often the intervals of base gap, curated gap and reduction hold the planted value."""
    rng = np.random.default_rng(seeds * 1000 + skeletons)
    names, adjectives = 45, 16
    skeletons = names * adjectives if ways else skeletons
    probe = crossed(skeletons)
    unit = np.repeat(np.arange(skeletons), len(TERMS) + 1)
    if ways:
        probe = dataclasses.replace(probe, clusters=np.array([unit // adjectives, unit % adjectives]))
    plan = plan_for(probe)
    c = np.tile(np.append(IMBALANCE, 0.0), skeletons)
    slopes = {"base": 0.5, "curated": 0.3}
    truth = {name: planted(slope, seed_sd) for name, slope in slopes.items()}
    truth["reduction"] = truth["base"] - truth["curated"]
    held = dict.fromkeys((*truth, "bootstrap"), 0)
    for at in range(repetitions):
        if ways:
            part = SKELETON_SD / np.sqrt(2)
            ease = rng.normal(0, part, names)[unit // adjectives] + rng.normal(0, part, adjectives)[unit % adjectives]
        else:
            ease = rng.normal(0, SKELETON_SD, skeletons)[unit]
        ease = ease + rng.normal(0, np.sqrt(0.5), probe.n)
        hits = {}
        for name, slope in slopes.items():
            luck = rng.normal(0, np.sqrt(0.5), (seeds, probe.n))
            hits[name] = ((slope + rng.normal(0, seed_sd, (seeds, 1))) * c + ease + luck > THRESHOLD).astype(float)
        hits["reduction"] = hits["base"] - hits["curated"]
        for name, value in truth.items():
            found = plan.gap.interval(hits[name])
            held[name] += found.low <= value <= found.high
        if bootstrap:
            low, high = plan.gap.bootstrap(hits["reduction"], key=str(at), repetitions=bootstrap)
            held["bootstrap"] += low <= truth["reduction"] <= high
    return {name: count / repetitions for name, count in held.items()}


def test_intervals_hold_the_planted_gap() -> None:
    for repetitions, seed_sd, skeletons in ((150, 0.1, 100), (40, 0.02, 757), (60, 0.05, 0)):
        found = coverage(repetitions, seeds=5, seed_sd=seed_sd, skeletons=skeletons, ways=skeletons == 0)
        for name in ("base", "curated", "reduction"):
            assert at_least(round(found[name] * repetitions), repetitions, 0.94), (name, found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seeds", "seed_sd", "skeletons"), [(3, 0.02, 100), (3, 0.1, 100), (5, 0.1, 100), (10, 0.1, 100), (5, 0.02, 757)]
)
def test_coverage_over_seeds_and_skeletons(seeds: int, seed_sd: float, skeletons: int) -> None:
    repetitions = 300
    found = coverage(repetitions, seeds=seeds, seed_sd=seed_sd, skeletons=skeletons)
    for name in ("base", "curated", "reduction"):
        # The methods give .94 to .98; with three seeds of which much depends, a little under.
        assert at_least(round(found[name] * repetitions), repetitions, 0.92 if seeds == 3 else 0.94), (name, found)


@pytest.mark.slow
def test_the_percentile_bootstrap_under_covers_with_few_seeds_so_it_decides_nothing() -> None:
    found = coverage(300, seeds=3, seed_sd=0.15, skeletons=100, bootstrap=300)
    assert found["bootstrap"] < found["reduction"] - 0.04


def certified(repetitions: int, arms: dict[str, Arm], **sizes: float) -> dict[str, int]:
    """Decisions over many corpora."""
    rng = np.random.default_rng(sum(map(ord, "".join(arms))) + repetitions)
    counts: dict[str, int] = {}
    for _ in range(repetitions):
        scores = simulate(rng, arms, **sizes)  # type: ignore[arg-type]
        # Wide guards: only the gap and the placebo stand between these arms and a pass.
        margins = Margins(margin=0.02, guard_loss=0.2, worst_group_loss=0.9)
        (arm,) = verify(scores, stick(), margins=margins, bootstrap=0, measures=False).arms
        counts[arm.decision] = counts.get(arm.decision, 0) + 1
    return counts


NULLS = {
    "no gap and no reduction": {"raw": Arm(0.0), "x": Arm(0.0), "x-placebo": Arm(0.0, placebo_of="x")},
    "a gap and no reduction": {"raw": Arm(0.5), "x": Arm(0.5), "x-placebo": Arm(0.8, placebo_of="x")},
    "a reduction no better than the placebo's": {"raw": Arm(0.6), "x": Arm(0.2), "x-placebo": Arm(0.2, placebo_of="x")},
}
SMALL = {"seeds": 3, "skeletons": 40, "rows": 300, "seed_sd": 0.1}


@pytest.mark.parametrize("name", NULLS)
def test_nothing_is_certified_where_there_is_nothing(name: str) -> None:
    counts = certified(40, NULLS[name], **SMALL)
    passed = sum(count for decision, count in counts.items() if decision.startswith("shrunk"))
    assert at_most(passed, 40, 0.05), counts


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 6])
@pytest.mark.parametrize("name", NULLS)
def test_at_most_one_null_corpus_in_twenty_is_certified(name: str, seeds: int) -> None:
    counts = certified(300, NULLS[name], **(SMALL | {"seeds": seeds}))
    passed = sum(count for decision, count in counts.items() if decision.startswith("shrunk"))
    assert passed <= 0.05 * 300, counts


def test_a_planted_reduction_is_found() -> None:
    arms = {"raw": Arm(0.7), "x": Arm(0.1), "x-placebo": Arm(0.7, placebo_of="x")}
    counts = certified(12, arms, seeds=5, skeletons=100, rows=1000, seed_sd=0.03)
    assert counts == {"shrunk-meaningfully": 12}


def test_an_arm_without_effect_is_said_to_have_none_when_evidence_is_ample() -> None:
    arms = {"raw": Arm(0.7), "x": Arm(0.7), "x-placebo": Arm(0.7, placebo_of="x")}
    counts = certified(8, arms, seeds=8, skeletons=200, rows=2000, seed_sd=0.02)
    assert counts.get("not-shrunk", 0) >= 6, counts


def recall_coverage(repetitions: int, *, seeds: int, clustered: bool) -> float:
    """How often the interval of a reduction of recall gaps holds the planted value, test items shared by all runs."""
    rng = np.random.default_rng(seeds)
    share = np.linspace(0.15, 0.85, 5)
    n, jobs = 1500, tuple(f"job{at}" for at in range(5))
    counts = {name: (int(1000 * s), int(1000 * (1 - s))) for name, s in zip(jobs, share, strict=True)}
    yard = tpr_yardstick(counts)
    held = 0
    lean, sd = {"raw": 1.2, "x": 0.5}, 0.08
    side = np.repeat([1.0, -1.0], n // 2)
    label = np.tile(np.arange(5), n // 5)
    person = np.arange(n) // 3 if clustered else np.arange(n)
    items = Items(
        pa.array([str(at) for at in range(n)]),
        label,
        jobs,
        (side < 0).astype(np.int64),
        (("she",), ("he",)),
        person[None],
    )
    plan = design(ScoreSet((Run("raw", "p", 0),), {"test": items}, {}, {}, jobs), yard)
    spread = np.sqrt(1 + (sd * (share - 0.5)) ** 2)
    gaps = {
        arm: stats.norm.cdf((0.9 + k * (share - 0.5)) / spread) - stats.norm.cdf((0.9 - k * (share - 0.5)) / spread)
        for arm, k in lean.items()
    }
    truth = float(plan.stick.coefficients @ (gaps["raw"] - gaps["x"]))
    for _ in range(repetitions):
        ease = rng.normal(0, np.sqrt(0.3), n)[person] + rng.normal(0, np.sqrt(0.3), n)
        hits = []
        for k in lean.values():
            mood = k + rng.normal(0, sd, (seeds, 1))
            luck = rng.normal(0, np.sqrt(0.4), (seeds, n))
            hits.append((0.9 + mood * (share[label] - 0.5) * side + ease + luck > 0).astype(float))
        found = plan.gap.interval((hits[0] - hits[1])[:, plan.rows])
        held += found.low <= truth <= found.high
    return held / repetitions


@pytest.mark.parametrize("clustered", [False, True])
def test_intervals_hold_a_planted_recall_gap(clustered: bool) -> None:
    found = recall_coverage(200, seeds=5, clustered=clustered)
    assert at_least(round(200 * found), 200, 0.94)
