"""Claims and shares: what is too little evidence for either side is said to be, whatever one interval looks like."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from score_sim import TERMS, stick
from test_attribution import PLANTED, runs_of, slopes

from evenset.finetune.attribution import claims as papers
from evenset.finetune.attribution import finished
from evenset.finetune.attribution.attribution import Attribution, attribute
from evenset.finetune.attribution.cells import GapTable
from evenset.finetune.attribution.contrasts import Effect, data_effects, interactions, two_sided
from evenset.finetune.attribution.shares import redrawn, resampled
from evenset.finetune.figures.shares import _title
from evenset.finetune.judging.design import design
from evenset.finetune.judging.gaps import measure
from evenset.finetune.judging.inference import Interval, holm
from evenset.finetune.judging.scores import ScoreSet
from evenset.finetune.runs import SCHEMA

UPSTREAMS = ("pretrained", "random")


def near(estimate, half, df=12.0):
    se = half / stats.t.ppf(0.975, df)
    return Interval(estimate, estimate - half, estimate + half, se, df, se**2 / 2, se**2 / 2, 8, 50)


def effect(kind, plan, upstream, estimate, half, *, base=0.2, against="", p=None, **more):
    change = near(estimate, half)
    p = two_sided(change) if p is None else p
    return Effect(kind, plan, upstream, against, tuple(range(8)), change, p, p, base=near(base, 0.02), **more)


def states(*, data=(), upstream=(), interaction=(), kinds=None, scores=None, margin=0.02):
    found = papers.claims(
        observational=(), why_none="", data=data, upstream=upstream, interaction=interaction, scores=scores or {},
        kinds=kinds or {}, margin=margin, pretrained="pretrained", scratch=["random"],
    )  # fmt: skip
    return {claim.id: claim for claim in found}


def scrubbed(scratch=0.1, *, mine=0.005, difference=-0.095, p=0.001, **more):
    return states(
        data=[
            effect("data", "scrub", "random", scratch, 0.01, **more),
            effect("data", "scrub", "pretrained", mine, 0.01),
        ],
        interaction=[effect("interaction", "scrub", "pretrained", difference, 0.02, against="random", p=p)],
        kinds={"scrub": "scrub"},
    )["A5"]  # fmt: skip


def test_scrubbing_works_from_scratch_only_if_the_difference_is_clear():
    assert scrubbed().state == "holds"
    assert scrubbed(p=0.2).state == "cannot be told"  # the difference does not survive correction
    assert scrubbed(difference=0.1).state == "cannot be told"  # it is the other way round
    assert scrubbed(0.025).state == "cannot be told"  # beyond 0, not beyond the margin


@pytest.mark.parametrize(
    ("flaw", "said"),
    [
        ({"collapsed": 1, "runs": 16}, "1 of 16 runs are collapsed"),
        ({"saturated": 5, "runs": 16, "stuck": ("scrub, random",)}, "most runs are saturated"),
        ({"has_threshold": True, "free": -0.03, "free_low": -0.1, "free_high": 0.1}, "depends on the threshold"),
        ({"has_threshold": True}, "cannot be measured"),
    ],
)
def test_runs_that_are_not_sound_decide_nothing(flaw, said):
    found = scrubbed(**flaw)
    assert found.state == "cannot be told"
    assert any(said in line for line in found.evidence)
    grown = [effect("data", "rw", "pretrained", 0.1, 0.01, **flaw)]
    found = states(data=grown, kinds={"rw": "rebalance"})["A6"]
    assert found.state == "cannot be told"
    assert any(said in line for line in found.evidence)
    assert states(data=[effect("data", "rw", "pretrained", 0.1, 0.01)], kinds={"rw": "rebalance"})["A6"].state == (
        "does not hold"
    )
    scores = {"pretrained": {"a": 0.0, "b": 1.0}, "noise": {"a": 1.0, "b": 0.0}}
    if "free" not in flaw:  # a change that may be 0 has no sign to disagree with
        assert states(upstream=[effect("upstream", "raw", "noise", 0.0, 0.01)], scores=scores)["A3"].state == "holds"
        moved = effect("upstream", "raw", "noise", 0.0, 0.01, **flaw)
        assert states(upstream=[moved], scores=scores)["A3"].state == "cannot be told"


def test_a_claim_against_the_worst_of_many_plans_allows_for_how_many_there_are():
    """Every plan does just what the margin says: the claim may be called false in 5 % of worlds, of 1 plan or of 8."""
    rng = np.random.default_rng(0)
    for plans in (1, 8):
        bad = 0
        for _ in range(300):
            found = []
            for at in range(plans):
                d = 0.02 + 0.02 * rng.normal(size=8)
                se = d.std(ddof=1) / np.sqrt(8)
                found.append(effect("data", f"p{at}", "pretrained", d.mean(), stats.t.ppf(0.975, 7) * se))
                found[-1] = replace(found[-1], change=replace(found[-1].change, se=se, df=7.0))
            adjusted = holm([one.p for one in found])
            found = [replace(one, p_holm=p) for one, p in zip(found, adjusted, strict=True)]
            bad += states(data=found, kinds={one.plan: "rebalance" for one in found})["A6"].state == "does not hold"
        assert bad / 300 <= 0.07


def test_an_upstream_claim_needs_a_gap_and_scores():
    scores = {"pretrained": {"a": 0.0, "b": 1.0, "c": 2.0}, "noise": {"a": 1.0, "b": 1.0, "c": 0.0}}
    little = effect("upstream", "raw", "noise", 0.0, 0.01)
    assert states(upstream=[little], scores=scores)["A3"].state == "holds"
    bare = replace(little, base=near(0.0, 0.02))
    assert states(upstream=[bare], scores=scores)["A3"].state == "cannot be told"
    unknown = effect("upstream", "raw", "random", 0.1, 0.01)
    found = states(upstream=[little, unknown], scores=scores)["A3"]
    assert found.state == "holds"  # an upstream without scores is printed, and decides nothing
    assert any("random" in line and "decides nothing" in line for line in found.evidence)
    assert states(upstream=[unknown], scores=scores)["A3"].state == "cannot be told"


def test_a_gap_below_0_shrinks_upwards():
    """All gaps turned round: the same reductions, differences and claims."""
    truth = slopes(lambda u, d: 0.0 if d != "raw" and u == "random" else 0.5 if d == "raw" else 0.4)
    one, two = (runs_of({at: sign * slope for at, slope in truth.items()}, seeds=5) for sign in (1, -1))
    found = []
    for scores in (one, two):
        measured = measure(scores, design(scores, stick()))
        at = GapTable.of(measured, {}).at
        found.append(
            (data_effects(measured, at, base="raw"), interactions(measured, at, base="raw", pretrained="pretrained"))
        )
    for turned in found:
        assert all(effect.change.low > 0 for effect in turned[0] if effect.upstream == "random")
        assert all(effect.change.high < 0 for effect in turned[1])
        assert all(not effect.doubts() for effect in turned[0] if effect.upstream == "random")
    assert all(effect.base.high < 0 for effect in found[1][0])
    random = next(effect for effect in found[1][0] if (effect.plan, effect.upstream) == ("scrub", "random"))
    assert random.share == pytest.approx(1, abs=0.2)
    assert random.free > 0
    kinds = {"scrub": "scrub", "weigh": "rebalance"}
    said = [attribute(s, stick(), kinds=kinds, repetitions=50, margin=0.2).claims for s in (one, two)]
    assert [claim.state for claim in said[0]] == [claim.state for claim in said[1]]


def broken(scores, which):
    """Runs that say the same of every row: no models."""
    table = {name: values.copy() for name, values in scores.score.items()}
    rng = np.random.default_rng(1)
    for at, run in enumerate(scores.runs):
        if which(run):
            for values in table.values():
                values[at] = rng.normal(size=values.shape[1])
    return ScoreSet(scores.runs, scores.items, table, {}, scores.labels)


def test_collapsed_runs_are_counted_and_said_first():
    whole = runs_of(slopes(lambda *_: 0.5), seeds=4, placebo=False)
    scores = broken(whole, lambda run: (run.arm, run.upstream) == ("scrub", "random"))
    found = attribute(scores, stick(), kinds={"scrub": "scrub"}, repetitions=50, margin=0.05)
    mine = next(effect for effect in found.data if (effect.plan, effect.upstream) == ("scrub", "random"))
    assert (mine.collapsed, mine.runs) == (4, 8)
    assert mine.change.low > 0  # dead models have no gap
    assert found.sentence.startswith("What moved the gap cannot be told: 4 of 24 runs are collapsed")
    assert {claim.id: claim.state for claim in found.claims}["A5"] == "cannot be told"
    effects = {one.name: (one.share, one.low, one.high) for one in found.shares.effects}
    assert _title(sorted(effects), effects, found.shares.doubt) == found.sentence.split(". At face")[0]


@pytest.mark.parametrize("truth", [PLANTED["data"], slopes(lambda *_: 0.4)])
def test_sentence_and_title_agree(truth):
    found = attribute(runs_of(truth), stick(), repetitions=200)
    effects = {one.name: (one.share, one.low, one.high) for one in found.shares.effects}
    names = sorted(effects, key=lambda name: -effects[name][0])
    title = _title(names, effects, found.shares.doubt)
    assert ("cannot be told" in title) == ("cannot be told" in found.sentence) == bool(found.shares.doubt)
    assert title.split(" % ")[0] == found.sentence.split(" % ")[0] or found.shares.doubt in title


def test_shares_are_of_the_yardsticks_targets():
    """Gaps that hang on two targets: with these the answer is clear, with others drawn it is not."""
    rng = np.random.default_rng(0)
    c = np.array([3.0, -3.0, *0.01 * rng.normal(size=8)])
    c -= c.mean()
    slope = np.array([0.5, 0.1, 0.0])[None, :, None] + 0.02 * rng.normal(size=(2, 3, 6))
    gap = np.zeros((10, 2, 3, 6))
    gap[:2] = c[:2, None, None, None] * slope
    gap[2:] = 0.3 * rng.normal(size=(8, 2, 3, 6))
    these = resampled(gap, c, repetitions=400, seed=0, fixed=True)["data"]
    others = resampled(gap, c, repetitions=400, seed=0)["data"]
    assert these[0] > 0.85
    assert others[0] < these[0] - 0.3
    wide = resampled(gap, c, repetitions=400, seed=0, fixed=True, rows=0.1 * rng.normal(size=(400, 2, 3)))["data"]
    assert wide[1] - wide[0] > 1.5 * (these[1] - these[0])
    assert wide[0] < these[0] < wide[1]


def test_both_intervals_are_kept():
    found = attribute(runs_of(PLANTED["data"]), stick(), repetitions=200)
    one = found.shares.of("data")
    assert one.low_targets <= one.share <= one.high_targets
    assert f"[{100 * one.low:.0f}, {100 * one.high:.0f}]" in found.sentence
    assert any("were others drawn" in note for note in found.notes)
    assert np.isnan(found.per_target.of("data").low_targets)
    record = json.loads(json.dumps(found.to_dict()))
    for effects in record["shares"]["effects"]:
        del effects["low_targets"], effects["high_targets"]  # as records of before
    assert np.isnan(Attribution.from_dict(record).shares.of("data").low_targets)


def test_redrawn_rows_move_the_gap_as_the_contrasts_say():
    scores = runs_of(PLANTED["data"], placebo=False)
    measured = measure(scores, design(scores, stick()))
    hits = measured.hits_of(range(4)).mean(axis=0)
    gap = measured.design.gap
    moved = redrawn(gap, np.array([hits]), repetitions=2000, seed=0)[:, 0]
    wanted = gap.clusters.variance(gap.influence(hits))
    t = stats.t.ppf(0.975, gap.clusters.n - 1) / stats.norm.ppf(0.975)
    assert moved.var() == pytest.approx(wanted * t**2, rel=0.15)
    assert len(TERMS) == len(measured.design.stick.used)


@pytest.mark.parametrize("written", [True, False])
def test_screening_seeds_are_those_written_down_before_training(written, tmp_path, monkeypatch):
    """Where an arm was chosen, all arms have runs of the screening seeds."""
    runs = [(d, u, s) for u in UPSTREAMS for d in ("raw", "scrub") for s in (8, 9)]
    runs += [(d, u, s) for u in UPSTREAMS for d in ("raw", "scrub") for s in range(3)]
    for plan, upstream, seed in runs:
        where = tmp_path / "runs" / plan / upstream
        where.mkdir(parents=True, exist_ok=True)
        record = {"schema": SCHEMA, "arm": plan, "plan": plan, "upstream": upstream, "seed": seed}
        (where / f"{seed}.json").write_text(json.dumps(record))
    monkeypatch.setattr(finished.RunStore, "scores_path", lambda *_: finished.Path(__file__))
    if written:
        fixed = {"yardstick": {}, "margins": {}, "seeds": [0, 1, 2], "screening_seeds": [8, 9], "choose": True}
        (tmp_path / "yardstick.json").write_text(json.dumps(fixed))
    jobs = finished.finished_jobs(tmp_path)
    assert {job.seed for job in jobs if job.screening} == ({8, 9} if written else set())
