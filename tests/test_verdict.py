"""The verdict: every decision is reachable, the first match wins, and nothing passes unearned."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from scipy import stats
from score_sim import TERMS, Arm, simulate, stick, to_table

from evenset.data.config import VerdictConfig
from evenset.data.errors import InputError
from evenset.finetune.judging.decide import DECISIONS, Evidence, Guard, Margins, decide
from evenset.finetune.judging.files import verify_files
from evenset.finetune.judging.fixed import fix
from evenset.finetune.judging.inference import (
    Clusters,
    Interval,
    clusters_needed,
    fieller,
    holm,
    seeds_needed,
    t_interval,
)
from evenset.finetune.judging.metrics import threshold_for_rate
from evenset.finetune.judging.report import verdict_table
from evenset.finetune.judging.resampling import multi_bootstrap, sign_flip
from evenset.finetune.judging.scores import Items, Run, ScoreSet, write
from evenset.finetune.judging.verdict import Verdict, verify
from evenset.finetune.judging.yardstick import Entry, Yardstick, tpr_yardstick


def interval(estimate: float, half: float = 0.01, *, seeds: int = 6, clusters: int = 100) -> Interval:
    """An interval of a given half width, its variance half from seeds and half from rows."""
    half = max(half, 1e-9)
    v = (half / float(stats.t.ppf(0.975, 10))) ** 2
    return Interval(estimate, estimate - half, estimate + half, math.sqrt(v), 10.0, v / 2, v / 2, seeds, clusters)


GOOD = Evidence(
    base=interval(0.2),
    curated=interval(0.1),
    reduction=interval(0.1),
    over_placebo=interval(0.08),
    threshold_free=0.1,
    has_threshold=True,
    threshold_source="dev",
    saturated=(),
    guards=(Guard("AUC", interval(0.0, 0.005), 0.01), Guard("the worst-off group", interval(-0.1), 0.02)),
    distinct=6,
)
MARGINS = Margins()
LOST = (Guard("AUC", interval(0.05), 0.01), GOOD.guards[1])
OPEN = (Guard("AUC", interval(0.005, 0.02), 0.01), GOOD.guards[1])


@pytest.mark.parametrize(
    ("change", "decision", "why"),
    [
        ({}, "shrunk-meaningfully", "by more than the margin"),
        ({"base": interval(0.005)}, "no-gap", "may be 0"),
        ({"base": interval(0.005, 0.05)}, "no-gap", "not proof of no gap"),
        ({"reduction": interval(-0.05)}, "widened", "the gap grew"),
        ({"curated": interval(-0.05), "reduction": interval(0.25)}, "overshot", "turned round"),
        ({"base": interval(-0.2), "curated": interval(0.05), "reduction": interval(0.25)}, "overshot", "turned round"),
        ({"guards": LOST}, "harmful-tradeoff", "AUC lost"),
        ({"reduction": interval(0.005)}, "not-shrunk", "below the margin"),
        ({"reduction": interval(0.012, 0.007)}, "not-shrunk", "below the margin"),
        ({"reduction": interval(0.02)}, "shrunk", "is open"),
        ({"reduction": interval(0.02, 0.05)}, "unclear", "may be 0 and may be beyond the margin"),
        ({"over_placebo": None}, "unclear", "no placebo arm"),
        ({"over_placebo": interval(0.005)}, "unclear", "the placebo may do as much"),
        ({"threshold_free": -0.02}, "unclear", "depends on threshold"),
        ({"threshold_free": math.nan}, "unclear", "depends on threshold"),
        ({"threshold_free": math.nan, "has_threshold": False}, "shrunk-meaningfully", "margin"),
        ({"threshold_source": "test"}, "unclear", "no dev rows"),
        ({"threshold_source": "given"}, "unclear", "without scores"),
        ({"saturated": ("raw",)}, "unclear", "probe saturated"),
        ({"saturated": ("raw",), "base": interval(0.0)}, "unclear", "probe saturated"),
        ({"guards": OPEN}, "unclear", "not shown to be within"),
        ({"guards": (Guard("AUC", None, 0.01), GOOD.guards[1])}, "unclear", "AUC could not be measured"),
        ({"distinct": 1}, "unclear", "repeat the same run"),
        ({"distinct": 1, "base": interval(0.0)}, "unclear", "repeat the same run"),
        ({"reduction": interval(0.1, seeds=2)}, "unclear", "2 seeds: fewer than 3"),
        ({"reduction": interval(0.1, seeds=2), "base": interval(0.0)}, "unclear", "2 seeds: fewer than 3"),
        ({"reduction": interval(0.1, seeds=1)}, "unclear", "one seed"),
        ({"reduction": interval(math.nan)}, "unclear", "too few clusters"),
        # an imbalance within chance certifies nothing, and is no proof of balance either
        ({"chance": 0.4}, "unclear", "within chance (p = 0.40)"),
        ({"chance": 0.01}, "shrunk-meaningfully", "margin"),
        ({"chance": 0.4, "base": interval(0.0)}, "no-gap", "may be 0"),
        ({"chance": 0.4, "reduction": interval(-0.05)}, "widened", "the gap grew"),
        # the order of the rules
        ({"base": interval(0.0), "reduction": interval(-0.05)}, "no-gap", "may be 0"),
        ({"curated": interval(-0.05), "guards": LOST}, "overshot", "turned round"),
        ({"reduction": interval(0.012, 0.007), "guards": LOST}, "harmful-tradeoff", "AUC lost"),
        ({"reduction": interval(0.005), "guards": LOST}, "not-shrunk", "below the margin"),
        ({"over_placebo": None, "guards": LOST}, "harmful-tradeoff", "AUC lost"),
    ],
)
def test_the_first_rule_that_matches_decides(change: dict[str, object], decision: str, why: str) -> None:
    found = decide(dataclasses.replace(GOOD, **change), MARGINS)  # type: ignore[arg-type]
    assert found.name == decision
    assert why in " ".join(found.reasons)
    assert decision in DECISIONS


def test_a_pass_must_hold_for_the_number_of_arms_tried() -> None:
    assert decide(GOOD, MARGINS, survives=(False, True)).name == "shrunk"
    found = decide(GOOD, MARGINS, survives=(False, False))
    assert found.name == "unclear"
    assert "Holm" in found.reasons[0]


def test_p_of_a_pass_is_that_of_its_weakest_condition() -> None:
    assert GOOD.p(0.0) == max(GOOD.reduction.p_below(0), GOOD.over_placebo.p_below(0), *(g.p for g in GOOD.guards))  # type: ignore[union-attr]
    assert math.isnan(dataclasses.replace(GOOD, over_placebo=None).p(0.0))
    edge = interval(0.0, 0.01)
    assert Guard("g", edge, 0.01).state == "passed"
    assert Guard("g", edge, 0.01).p == pytest.approx(0.025)
    exact = Interval(0.01, 0.01, 0.01, 0.0, math.inf, 0.0, 0.0, 6, 10)
    assert (Guard("g", exact, 0.01).state, Guard("g", exact, 0.01).p) == ("passed", 0.0)


def test_unclear_says_how_many_seeds_or_rows_would_settle_it() -> None:
    by_seeds = dataclasses.replace(interval(0.03, 0.04), v_ex=1e-6)
    found = decide(dataclasses.replace(GOOD, reduction=by_seeds), MARGINS)
    assert found.name == "unclear"
    assert found.seeds_needed is not None
    assert found.seeds_needed > 6
    assert f"about {found.seeds_needed} seeds" in " ".join(found.reasons)
    by_rows = dataclasses.replace(interval(0.03, 0.04), v_seed=1e-7, v_ex=4e-4)
    found = decide(dataclasses.replace(GOOD, reduction=by_rows), MARGINS)
    assert (found.seeds_needed, found.clusters_needed is not None) == (None, True)
    assert "independent test rows" in " ".join(found.reasons)
    too_few = decide(dataclasses.replace(GOOD, reduction=interval(0.1, seeds=2)), MARGINS)
    assert too_few.seeds_needed == 3


def test_seeds_needed_would_do_and_one_fewer_would_not() -> None:
    found = dataclasses.replace(interval(0.03, 0.1), v_ex=1e-5)
    need = seeds_needed(found, 0.03)
    assert need is not None
    assert need > 6
    for s, enough in ((need, True), (need - 1, False)):
        v_seed = found.v_seed * found.seeds / s
        v = v_seed + found.v_ex
        df = v**2 / (v_seed**2 / (s - 1) + found.v_ex**2 / 99)
        assert bool(stats.t.ppf(0.975, df) * math.sqrt(v) < 0.03) == enough
    assert seeds_needed(dataclasses.replace(found, v_ex=1.0), 0.03) is None
    assert clusters_needed(dataclasses.replace(found, v_seed=1.0), 0.03) is None


@pytest.mark.parametrize("change", [{"margin": -1}, {"guard_loss": math.nan}, {"guard": "f1"}, {"min_seeds": 2}])
def test_margins_that_make_no_sense_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(change))):
        Margins(**change)  # type: ignore[arg-type]


# inference


def test_the_t_interval_is_the_formula_of_the_methods() -> None:
    per_seed, influence = np.array([0.1, 0.14, 0.09, 0.2]), np.random.default_rng(0).normal(0, 0.01, 30)
    found = t_interval(per_seed, influence, Clusters.of(np.repeat(np.arange(10), 3)[None, :]))
    v_seed = per_seed.var(ddof=1) / 4
    v_ex = (influence.reshape(10, 3).sum(1) ** 2).sum() * 10 / 9
    v = v_seed + v_ex
    df = v**2 / (v_seed**2 / 3 + v_ex**2 / 9)
    half = stats.t.ppf(0.975, df) * math.sqrt(v)
    assert (found.low, found.high) == pytest.approx((per_seed.mean() - half, per_seed.mean() + half))
    assert (found.v_seed, found.v_ex, found.df, found.clusters) == pytest.approx((v_seed, v_ex, df, 10))
    assert found.p_below(found.low) == pytest.approx(0.025)
    assert (-found).low == -found.high


def test_two_ways_of_clustering_add_up_less_what_they_share() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 8, 200), rng.integers(0, 5, 200)
    influence = rng.normal(0, 1, 8)[a] + rng.normal(0, 1, 5)[b] + rng.normal(0, 0.3, 200)

    def one(codes: np.ndarray) -> float:
        count = len(np.unique(codes))
        return sum(influence[codes == c].sum() ** 2 for c in np.unique(codes)) * count / (count - 1)

    both = Clusters.of(np.array([a, b]))
    assert both.n == 5
    assert both.variance(influence) == pytest.approx(max(one(a) + one(b) - one(a * 5 + b), one(a), one(b)))
    three = Clusters.of(np.array([a, b, a]))  # a way given twice changes nothing
    assert three.variance(influence) == pytest.approx(both.variance(influence))


def test_a_variance_is_never_less_than_that_of_one_way() -> None:
    rows = np.repeat(np.arange(10), 10), np.tile(np.arange(10), 10)
    influence = np.array([1.0, -1.0]).repeat(50) * np.tile([1.0, -1.0], 50)
    both = Clusters.of(np.array(rows))
    ways = [Clusters.of(way[None, :]).variance(influence) for way in rows]
    assert both.variance(influence) >= max(ways) - 1e-12
    assert math.isnan(Clusters.of(np.zeros((1, 5), dtype=np.int64)).variance(np.ones(5)))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=2, max_size=8))
def test_the_sign_flip_p_counts_all_flips(values: list[int]) -> None:
    d = np.array(values, float)
    if len(set(values)) == 1:
        assert math.isnan(sign_flip(d))
        return
    sums = [
        abs(sum(s * v for s, v in zip(signs, d, strict=True))) for signs in itertools.product((1, -1), repeat=len(d))
    ]
    assert sign_flip(d) == pytest.approx(np.mean([v >= abs(d.sum()) - 1e-9 for v in sums]))
    assert sign_flip(d) >= 2 / 2 ** len(d)


def test_many_seeds_are_flipped_at_random() -> None:
    d = np.random.default_rng(0).normal(0.3, 1, 25)
    normal = 2 * stats.norm.sf(abs(d.sum()) / math.sqrt((d**2).sum()))
    assert sign_flip(d) == pytest.approx(normal, abs=0.02)


@pytest.mark.parametrize("shape", ["independent", "clusters", "overlap", "two ways"])
def test_the_multi_bootstrap_has_the_spread_of_its_two_sources(shape: str) -> None:
    rng = np.random.default_rng(2)
    rows, seeds = 600, 8
    codes = {
        "independent": np.arange(rows)[None, :],
        "clusters": np.repeat(np.arange(60), 10)[None, :],
        "overlap": np.arange(rows)[None, :],
        "two ways": np.array([np.repeat(np.arange(60), 10), np.tile(np.arange(60), 10)]),
    }[shape]
    hits = (rng.normal(0, 1, rows) + rng.normal(0, 0.2, (seeds, 1)) + rng.normal(0, 0.5, (seeds, rows)) > 0).astype(
        float
    )
    cells = (np.arange(0, 350 if shape == "overlap" else 300), np.arange(300, 600))
    coefficients = np.array([0.7, -0.4])
    low, high = multi_bootstrap(hits, cells, coefficients, codes, key="t", repetitions=2000)
    values = np.array([hits[:, c].mean(1) for c in cells])
    per_seed = coefficients @ values
    influence = np.zeros(rows)
    for a, c in zip(coefficients, cells, strict=True):
        influence[c] += a / len(c) * (hits.mean(0)[c] - hits.mean(0)[c].mean())
    v_ex = Clusters.of(codes).variance(influence)
    wanted = math.sqrt(v_ex + per_seed.var() / seeds)
    assert low < per_seed.mean() < high
    # What seed and row do together is in both, so it may be a little wider; here rows vary and ways do not, so the
    # pigeonhole bootstrap is at its worst, three times the variance.
    most = math.sqrt(3) * 1.1 if shape == "two ways" else 1.2
    assert 0.9 * wanted < (high - low) / (2 * 1.96) < most * wanted


def test_the_bootstrap_is_the_same_again_and_may_be_left_out() -> None:
    hits = np.random.default_rng(0).integers(0, 2, (3, 40)).astype(float)
    cells, a = (np.arange(20), np.arange(20, 40)), np.array([1.0, -1.0])
    codes = np.arange(40)[None, :]
    first = multi_bootstrap(hits, cells, a, codes, key="x", repetitions=50)
    assert first == multi_bootstrap(hits, cells, a, codes, key="x", repetitions=50)
    assert first != multi_bootstrap(hits, cells, a, codes, key="y", repetitions=50)
    assert all(map(math.isnan, multi_bootstrap(hits, cells, a, codes, key="x", repetitions=0)))


def test_fieller_is_the_set_of_shares_that_the_data_do_not_refuse() -> None:
    base, curated = interval(0.2, 0.04), interval(0.08, 0.03)
    difference = dataclasses.replace(interval(0.12, 0.04))
    share, low, high = fieller(base, curated, difference)
    assert share == pytest.approx(0.6)
    assert low < 0.6 < high
    t = stats.t.ppf(0.975, 10)
    vbc = (base.se**2 + curated.se**2 - difference.se**2) / 2
    for bound in (low, high):
        rho = 1 - bound
        z = (curated.estimate - rho * base.estimate) / math.sqrt(curated.se**2 - 2 * rho * vbc + rho**2 * base.se**2)
        assert abs(z) == pytest.approx(t)
    assert all(map(math.isnan, fieller(interval(0.01), curated, difference)))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_rejects_what_stepping_down_rejects(p: list[float]) -> None:
    adjusted = holm(p)
    rejected = set()
    for rank, at in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[at] * (len(p) - rank) > 0.05:
            break
        rejected.add(at)
    assert {at for at, value in enumerate(adjusted) if value <= 0.05} == rejected
    assert holm([math.nan, 0.01]) == [1.0, 0.02]


# the whole


ARMS = {"raw": Arm(0.5), "swap": Arm(0.1), "swap-placebo": Arm(0.48, placebo_of="swap")}


def judged(arms: dict[str, Arm], *, seed: int = 1, **options: object) -> Verdict:
    known = {"seeds": 6, "skeletons": 150, "rows": 2000, "seed_sd": 0.02, "screening": 0}
    sizes = {name: options.pop(name, value) for name, value in known.items()}
    scores = simulate(np.random.default_rng(seed), arms, **sizes)  # type: ignore[arg-type]
    return verify(scores, stick(), bootstrap=0, **options)  # type: ignore[arg-type]


def lone(verdict: Verdict) -> str:
    (arm,) = verdict.arms
    return arm.decision


@pytest.mark.parametrize(
    ("arms", "options", "decision", "code"),
    [
        ({}, {}, "shrunk-meaningfully", 0),
        ({"swap": Arm(0.36)}, {"margins": Margins(margin=0.03), "seeds": 8, "skeletons": 300}, "shrunk", 0),
        ({"raw": Arm(0.0)}, {}, "no-gap", 0),
        ({"swap": Arm(0.9)}, {}, "widened", 1),
        ({"swap": Arm(-0.4)}, {}, "overshot", 1),
        ({"swap": Arm(0.1, quality=0.8)}, {}, "harmful-tradeoff", 1),
        ({"swap": Arm(0.5)}, {"margins": Margins(margin=0.05)}, "not-shrunk", 1),
        ({"swap-placebo": Arm(0.1, placebo_of="swap")}, {}, "unclear", 3),
        ({"raw": Arm(0.8), "swap": Arm(0.72)}, {"seed_sd": 0.12, "seeds": 3}, "unclear", 3),
    ],
)
def test_a_planted_truth_is_decided(arms: dict[str, Arm], options: dict[str, object], decision: str, code: int) -> None:
    verdict = judged(ARMS | arms, **dict(options))
    assert lone(verdict) == verdict.decision == decision
    assert verdict.exit_code == code


def test_a_gap_against_the_data_shrinks_upwards() -> None:
    turned = {name: dataclasses.replace(arm, slope=-arm.slope) for name, arm in ARMS.items()}
    verdict = judged(turned)
    assert lone(verdict) == "shrunk-meaningfully"
    assert verdict.arms[0].base_gap < verdict.arms[0].gap < 0 < verdict.arms[0].reduction


def test_the_second_endpoint_says_what_happened_to_terms_against_bare_rows() -> None:
    (arm,) = judged(ARMS).arms
    second = arm.secondary["mean_fpr_minus_neutral"]
    assert arm.second_endpoint_change == pytest.approx(second["after"] - second["before"])
    assert arm.second_endpoint_change_low < arm.second_endpoint_change < arm.second_endpoint_change_high


def test_the_worst_off_group_must_not_pay() -> None:
    levelled = {**ARMS, "swap": Arm(0.0, shift={TERMS[-1]: 1.1})}
    arm = judged(levelled).arms[0]
    assert (arm.worst_group, arm.worst_group_state) == (TERMS[-1], "failed")
    assert arm.decision == "harmful-tradeoff"
    assert "no screening runs" in arm.worst_group_source


def test_screening_runs_name_the_worst_off_group_and_judge_nothing() -> None:
    arms = {name: dataclasses.replace(arm, shift={"deaf": 1.5}) for name, arm in ARMS.items()}
    verdict = judged(arms, screening=2, screening_seeds=(6, 7))
    (arm,) = verdict.arms
    assert (arm.worst_group, arm.worst_group_source) == ("deaf", "screening runs")
    assert arm.seeds == tuple(range(6))
    assert "screening seeds" in verdict.notes[-1]
    with pytest.raises(InputError, match="fresh"):
        judged(ARMS, screening_seeds=tuple(range(6)))


def test_without_a_placebo_nothing_passes() -> None:
    arms = {name: arm for name, arm in ARMS.items() if not arm.placebo_of}
    verdict = judged(arms)
    assert lone(verdict) == "unclear"
    assert "no placebo arm" in verdict.arms[0].reasons[0]
    assert math.isnan(verdict.arms[0].placebo_margin)


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_never_pass(seeds: int) -> None:
    verdict = judged(ARMS, seeds=seeds)
    assert lone(verdict) == "unclear"
    assert verdict.arms[0].seeds_needed is not None
    assert verdict.arms[0].seeds_needed >= 3


def copied(scores: ScoreSet) -> ScoreSet:
    """Every seed of an arm a copy of its first."""
    first = [next(i for i, other in enumerate(scores.runs) if other.arm == run.arm) for run in scores.runs]
    return dataclasses.replace(scores, score={name: values[first] for name, values in scores.score.items()})


def test_copies_of_one_run_are_one_run() -> None:
    scores = copied(simulate(np.random.default_rng(0), ARMS, seeds=8, skeletons=150, rows=2000))
    (arm,) = verify(scores, stick(), bootstrap=0).arms
    assert arm.decision == "unclear"
    assert "repeat the same run" in arm.reasons[0]
    assert math.isnan(arm.sign_flip_p)
    assert "the same for every seed" in arm.sign_flip_note
    assert arm.v_seed == 0


def test_a_threshold_free_endpoint_of_the_other_sign_leaves_it_unclear() -> None:
    scores = simulate(np.random.default_rng(1), ARMS, seeds=6, skeletons=150, rows=2000, seed_sd=0.02)
    probe, dev = scores.items["probe"], scores.items["dev"]
    hated = np.array([bool(p) and p[0] in TERMS[7:] for p in probe.patterns])[probe.pattern]
    bent = scores.score["probe"].copy()
    for at, run in enumerate(scores.runs):
        if run.arm == "swap":  # every harmless row of a hated term comes to lie just below the threshold
            edge = threshold_for_rate(scores.score["dev"][at], int(dev.is_label("1").sum()))
            low = hated & ~probe.is_label("1") & (bent[at] < edge)
            bent[at][low] = edge - 0.01 + 0.001 * (bent[at][low] - edge)
    verdict = verify(dataclasses.replace(scores, score={**scores.score, "probe": bent}), stick(), bootstrap=0)
    (arm,) = verdict.arms
    assert arm.reduction_low > 0
    assert arm.threshold_free > arm.threshold_free_base
    assert arm.decision == "unclear"
    assert any("depends on threshold" in reason for reason in arm.reasons)


def test_a_saturated_probe_is_no_evidence() -> None:
    scores = simulate(np.random.default_rng(1), ARMS, seeds=4)
    low = {**scores.score, "probe": scores.score["probe"] - 10}
    verdict = verify(dataclasses.replace(scores, score=low), stick(), bootstrap=0)
    assert lone(verdict) == "unclear"
    assert "probe saturated" in verdict.arms[0].reasons[0]
    assert verdict.gaps[0].saturated


def test_without_dev_rows_or_scores_nothing_passes() -> None:
    scores = simulate(np.random.default_rng(1), ARMS, seeds=5, skeletons=150, rows=2000, seed_sd=0.02)
    kept = ("probe", "test")
    blind = dataclasses.replace(
        scores, items={k: scores.items[k] for k in kept}, score={k: scores.score[k] for k in kept}
    )
    verdict = verify(blind, stick(), bootstrap=0)
    assert lone(verdict) == "unclear"
    assert any("no dev rows" in note for note in verdict.notes)
    called = {k: (v > 1.5).astype(np.int64) for k, v in blind.score.items()}
    given_only = dataclasses.replace(blind, score={}, predicted=called)
    verdict = verify(given_only, stick(), bootstrap=0)
    assert lone(verdict) == "unclear"
    reasons = " ".join(verdict.arms[0].reasons)
    assert "without scores" in reasons
    assert "AUC could not be measured" in reasons


def test_a_collapsed_run_is_named_and_stays_in() -> None:
    scores = simulate(np.random.default_rng(1), ARMS, seeds=4)
    test = scores.score["test"].copy()
    test[0] = np.random.default_rng(0).normal(size=test.shape[1])
    verdict = verify(dataclasses.replace(scores, score={**scores.score, "test": test}), stick(), bootstrap=0)
    (arm,) = verdict.arms
    assert len(arm.seeds) == 4
    assert arm.collapsed[0].startswith("arm raw, upstream pretrained, seed 0: AUC")
    assert any("collapsed" in reason for reason in arm.reasons)


def test_of_many_arms_each_must_hold_after_correction() -> None:
    arms = dict(ARMS)
    for at in range(6):
        arms |= {f"x{at}": Arm(0.5), f"x{at}-placebo": Arm(0.5, placebo_of=f"x{at}")}
    alone, crowd = judged(ARMS).arms[0], {arm.arm: arm for arm in judged(arms).arms}
    assert len(crowd) == 7
    assert alone.p_holm == alone.p
    assert crowd["swap"].p_holm == pytest.approx(min(1.0, 7 * crowd["swap"].p))
    assert all(not arm.decision.startswith("shrunk") for name, arm in crowd.items() if name != "swap")


def test_seeds_without_a_pair_are_left_out_aloud() -> None:
    scores = simulate(np.random.default_rng(1), ARMS, seeds=5)
    keep = [at for at, run in enumerate(scores.runs) if not (run.arm == "swap" and run.seed == 4)]
    part = dataclasses.replace(
        scores,
        runs=tuple(scores.runs[at] for at in keep),
        score={name: values[keep] for name, values in scores.score.items()},
    )
    verdict = verify(part, stick(), bootstrap=0)
    assert verdict.arms[0].seeds == (0, 1, 2, 3)
    assert "seeds without a pair, left out: 4" in verdict.notes[-1]


@pytest.mark.parametrize(
    ("arms", "options", "message"),
    [
        ({"rew": Arm(0.5), "swap": Arm(0.1)}, {}, r'no arm "raw".*rew, swap'),
        ({"raw": Arm(0.5), "x": Arm(0.1, placebo_of="y")}, {}, 'placebo of "y"'),
    ],
)
def test_arms_that_cannot_be_compared_are_refused(
    arms: dict[str, Arm], options: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        judged(arms, seeds=2, skeletons=40, **options)


def test_arms_meet_their_own_upstream_and_seeds() -> None:
    scores = simulate(np.random.default_rng(1), ARMS, seeds=3, skeletons=40)
    other = tuple(dataclasses.replace(run, upstream="scratch") if run.arm == "swap" else run for run in scores.runs)
    with pytest.raises(InputError, match='no "raw" runs with that upstream'):
        verify(dataclasses.replace(scores, runs=other), stick(), bootstrap=0)
    apart = tuple(dataclasses.replace(run, seed=run.seed + 50) if run.arm == "swap" else run for run in scores.runs)
    with pytest.raises(InputError, match="shares no seed"):
        verify(dataclasses.replace(scores, runs=apart), stick(), bootstrap=0)


def test_a_single_arm_gets_gaps_and_no_verdict() -> None:
    verdict = judged({"mine": Arm(0.5)}, seeds=1)
    assert (verdict.arms, verdict.decision, verdict.exit_code) == ((), "", 0)
    (gap,) = verdict.gaps
    assert gap.gap_low < gap.gap < gap.gap_high
    assert math.isnan(gap.v_seed)
    assert {row.group for row in gap.groups} >= set(TERMS)
    assert all(row.low <= row.rate <= row.high for row in gap.groups)
    assert len(verdict.to_frame()) == 1


def test_groups_before_and_after_are_in_the_verdict() -> None:
    verdict = judged(ARMS)
    (arm,) = verdict.arms
    change = {row.group: row for row in arm.groups}
    before = {row.group: row for row in verdict.gaps[0].groups}
    for name in TERMS:
        assert change[name].change == pytest.approx(change[name].after - change[name].before)
        assert change[name].before == pytest.approx(before[name].rate)
        assert change[name].change_low <= change[name].change <= change[name].change_high
        assert 0 < change[name].bpsn_before < 1
    assert change[TERMS[-1]].change_high < 0 < change[TERMS[0]].change_low


def test_the_file_holds_the_contract(tmp_path: Path) -> None:
    options = {"environment": {"python": "3"}, "plans": {"swap": "swap-augment"}}
    verdict = judged({**ARMS, "other": Arm(0.5)}, **options)
    path = verdict.save(tmp_path / "out")
    record = json.loads(path.read_text())
    assert record["schema"] == "evenset.verdict/1"
    assert record["environment"] == {"python": "3"}
    assert record["margins"]["margin"] == 0.02
    assert record["margins"]["guard"] == "auc"
    wanted = (
        "arm upstream plan seeds gap gap_low gap_high reduction reduction_low reduction_high reduction_share"
        " accuracy auc worst_group placebo_margin decision"
    )
    for arm in record["arms"]:
        assert set(wanted.split()) <= set(arm)
        assert arm["decision"] in DECISIONS
    by_name = {arm["arm"]: arm for arm in record["arms"]}
    assert by_name["swap"]["plan"] == "swap-augment"
    assert by_name["other"]["placebo_margin"] is None
    assert {gap["role"] for gap in record["gaps"]} == {"base", "curated", "placebo"}
    again = verify(simulate(np.random.default_rng(0), ARMS, seeds=3, skeletons=40), record, bootstrap=0)
    np.testing.assert_allclose(again.yardstick.c, verdict.yardstick.c)
    frame = verdict.to_frame()
    assert list(frame["arm"]) == [arm.arm for arm in verdict.arms]
    assert "<td>shrunk-meaningfully</td>" in verdict._repr_html_()


@pytest.mark.parametrize(
    "arms", [ARMS, {"an-arm-with-quite-a-long-name": Arm(0.5)}, {**ARMS, "other-long-one": Arm(2.0)}]
)
@pytest.mark.parametrize("seeds", [1, 3])
def test_the_table_fits_80_columns_and_puts_the_decision_first(arms: dict[str, Arm], seeds: int) -> None:
    verdict = judged(arms, seeds=seeds)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(verdict_table(verdict))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    if verdict.arms:
        arm = verdict.arms[0]
        at, row = next((at, line) for at, line in enumerate(lines) if line.startswith(arm.decision))
        assert lines[at + 1].startswith(arm.arm[:22])
        assert "…" not in row
        for value in (arm.base_gap, arm.gap, arm.reduction):
            assert f"{value:.3f}".replace("0.", ".", 1) in row
        assert "with groups and labels independent" in text
        # Besides the table, a line or two an arm (folded): no dump of the record.
        assert len(lines) <= 6 + 7 * len(verdict.arms), text
    else:
        assert "no verdict" in text
        assert all(term in text for term in TERMS)


def test_an_upstream_that_says_nothing_is_not_shown() -> None:
    scores = simulate(np.random.default_rng(0), ARMS, seeds=3, skeletons=40)
    for upstream, shown in (("none", False), ("pretrained", False), ("random", True)):
        runs = tuple(dataclasses.replace(run, upstream=upstream) for run in scores.runs)
        verdict = verify(dataclasses.replace(scores, runs=runs), stick(), bootstrap=0)
        console = Console(width=80, record=True, file=io.StringIO())
        console.print(verdict_table(verdict))
        assert (f", {upstream}" in console.export_text()) is shown


# laws


def shuffled(table: pa.Table, seed: int) -> pa.Table:
    return table.take(pa.array(np.random.default_rng(seed).permutation(table.num_rows)))


def close(one: Verdict, two: Verdict) -> None:
    for a, b in zip(one.arms, two.arms, strict=True):
        assert (a.decision, a.seeds) == (b.decision, b.seeds)
        for name in ("gap", "gap_low", "gap_high", "reduction", "reduction_low", "placebo_margin", "guard_loss", "p"):
            assert getattr(a, name) == pytest.approx(getattr(b, name), nan_ok=True, abs=1e-9)


def test_neither_row_order_nor_file_changes_the_verdict(tmp_path: Path) -> None:
    scores = simulate(np.random.default_rng(1), ARMS, seeds=3, skeletons=40)
    table = to_table(scores)
    whole = verify(scores, stick(), bootstrap=100)
    again = verify(shuffled(table, 3), stick(), bootstrap=100)
    close(whole, again)
    assert verify(table, stick(), bootstrap=100).to_dict() == again.to_dict()


def test_files_are_judged_by_the_config(tmp_path: Path) -> None:
    scores = simulate(np.random.default_rng(1), ARMS, seeds=3, skeletons=40)
    table = to_table(scores)
    for arm in ARMS:
        write(table.filter(pc.equal(table["arm"], arm)), tmp_path / f"{arm}.scores.parquet")
    (tmp_path / "audit.json").write_text(json.dumps(stick().to_dict()))
    settings = VerdictConfig(margin=0.04, guard_loss=0.03, worst_group_loss=0.05)
    for paths in ([tmp_path], [tmp_path / f"{arm}.scores.parquet" for arm in ARMS]):
        verdict = verify_files(paths, tmp_path / "audit.json", settings=settings)
        assert verdict.margins == Margins(margin=0.04, guard="auc", guard_loss=0.03, worst_group_loss=0.05)
        close(verdict, verify(scores, stick(), margins=verdict.margins, bootstrap=0))
        assert len(verdict.environment["files"]["audit.json"]) == 64


def test_seeds_of_the_base_arm_alone_name_the_worst_group(tmp_path: Path) -> None:
    arms = {**ARMS, "raw": dataclasses.replace(ARMS["raw"], shift={"deaf": 2.0})}
    table = to_table(simulate(np.random.default_rng(1), arms, seeds=3, skeletons=40, screening=1))
    kept = table.filter(pc.or_(pc.equal(table["arm"], "raw"), pc.less(table["seed"], 3)))
    write(kept, tmp_path / "all.scores.parquet")
    (tmp_path / "audit.json").write_text(json.dumps(stick().to_dict()))
    unsaid = verify_files([tmp_path], tmp_path / "audit.json", settings=VerdictConfig())
    assert not any(arm.worst_group_source == "screening runs" for arm in unsaid.arms)  # nobody said that they screen
    record = tmp_path / "yardstick.json"
    fix(record, stick(), Margins(), seeds=(0, 1, 2), screening_seeds=(3,), choose=False, begun=False)
    verdict = verify_files([tmp_path], tmp_path / "audit.json", settings=VerdictConfig())
    assert all((arm.worst_group, arm.worst_group_source) == ("deaf", "screening runs") for arm in verdict.arms)
    assert all(arm.seeds == (0, 1, 2) for arm in verdict.arms)


def test_a_bend_of_the_scores_changes_no_decision() -> None:
    scores = simulate(np.random.default_rng(1), ARMS, seeds=4, skeletons=60)
    bent = dataclasses.replace(scores, score={k: 1 / (1 + np.exp(-v)) for k, v in scores.score.items()})
    close(verify(scores, stick(), bootstrap=0), verify(bent, stick(), bootstrap=0))


def test_other_names_of_terms_change_names_only() -> None:
    scores = simulate(np.random.default_rng(1), ARMS, seeds=4, skeletons=60)
    names = {term: f"z{99 - at}" for at, term in enumerate(TERMS)}
    items = {
        split: dataclasses.replace(there, patterns=tuple(tuple(names[t] for t in p) for p in there.patterns))
        for split, there in scores.items.items()
    }
    entries = [dataclasses.replace(entry, name=names[entry.name]) for entry in stick().entries]
    renamed = Yardstick("fpr", tuple(sorted(entries, key=lambda entry: entry.name)), "identity", "1")
    one = verify(scores, stick(), bootstrap=0)
    two = verify(dataclasses.replace(scores, items=items), renamed, bootstrap=0)
    close(one, two)
    assert two.arms[0].worst_group == names[one.arms[0].worst_group]


def bios(
    rng: np.random.Generator, strength: dict[str, float], *, seeds: int = 5, n: int = 3000
) -> tuple[ScoreSet, Yardstick]:
    """28-way-like task with predictions: a model leans to the group that is usual in the raw data."""
    share = np.linspace(0.1, 0.9, 6)
    label = rng.integers(0, 6, n)
    she = rng.random(n) < 0.5
    luck = rng.normal(size=n)
    runs, called = [], []
    for arm, lean in sorted(strength.items()):
        for seed in range(seeds):
            mood = lean + rng.normal(0, 0.05)
            seen = luck * 0.7 + rng.normal(0, 0.7, n) + mood * (share[label] - 0.5) * np.where(she, 1, -1) > -0.9
            called.append(np.where(seen, label, (label + 1) % 6))
            runs.append(Run(arm, "pretrained", seed, arm.split("@")[1] if "@" in arm else None))
    names = tuple(f"job{at}" for at in range(6))
    items = Items(
        ids=pa.array([f"{at:06d}" for at in range(n)]),
        label=label,
        labels=names,
        pattern=she.astype(np.int64),
        patterns=(("he",), ("she",)),
        clusters=np.arange(n)[None, :],
    )
    counts = {name: (int(1000 * s), int(1000 * (1 - s))) for name, s in zip(names, share, strict=True)}
    return ScoreSet(tuple(runs), {"test": items}, {}, {"test": np.array(called)}, names), tpr_yardstick(counts)


def test_recall_gaps_are_judged_by_the_same_rules_without_a_threshold() -> None:
    scores, yard = bios(np.random.default_rng(0), {"raw": 1.5, "swap": 0.2, "placebo@swap": 1.5})
    verdict = verify(scores, yard, bootstrap=100)
    (arm,) = verdict.arms
    assert arm.decision == "shrunk-meaningfully"
    assert (arm.guard, verdict.margins.guard) == ("macro_f1", "macro_f1")
    assert arm.worst_group in ("job0 / she", "job5 / he")
    assert math.isnan(arm.auc)
    assert arm.boot_low < arm.reduction < arm.boot_high
    assert 0 < arm.reduction_share_low < arm.reduction_share < arm.reduction_share_high


def test_exchanging_she_and_he_changes_no_verdict() -> None:
    scores, yard = bios(np.random.default_rng(0), {"raw": 1.5, "swap": 0.2, "placebo@swap": 1.5})
    entries = tuple(Entry(e.name, e.n, 1 - e.raw, -e.c, e.used) for e in yard.entries)
    turned = Yardstick("tpr", entries, "pronouns", None, "he", "she")
    one, two = verify(scores, yard, bootstrap=0), verify(scores, turned, bootstrap=0)
    close(one, two)
    assert one.arms[0].secondary["rms_gap"]["before"] == pytest.approx(two.arms[0].secondary["rms_gap"]["before"])
    for mine in one.gaps[0].groups:
        theirs = next(r for r in two.gaps[0].groups if (r.group, r.label) == (mine.group, mine.label))
        assert mine.rate == theirs.rate
