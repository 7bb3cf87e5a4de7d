"""Data or upstream? Planted factorials are recovered, shares are Shapley's, and what cannot be told is said."""

import json
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from score_sim import IMBALANCE, TERMS, crossed, items, stick

from evenset.data.errors import InputError
from evenset.finetune.attribution.attribution import Attribution, attribute
from evenset.finetune.attribution.cells import GapTable, largest_grid
from evenset.finetune.attribution.contrasts import interactions
from evenset.finetune.attribution.factorial import effects, permutation_p, squares
from evenset.finetune.attribution.forms import UpstreamScores
from evenset.finetune.attribution.shares import aligned, lmg, r_squared, resampled, shapley
from evenset.finetune.judging.design import design
from evenset.finetune.judging.gaps import measure
from evenset.finetune.judging.scores import Run, ScoreSet
from evenset.finetune.judging.yardstick import tpr_yardstick

UPSTREAMS, PLANS = ("pretrained", "random"), ("raw", "scrub", "weigh")


def runs_of(slopes, *, seeds=4, seed_sd=0.02, skeletons=60, rng=0, terms=TERMS, imbalance=IMBALANCE, placebo=True):
    """Probit scores whose slope on imbalance is planted for each (upstream, plan)."""
    rng = np.random.default_rng(rng)
    probe = crossed(skeletons, positives=skeletons // 2)
    c = np.tile(np.append(imbalance, 0.0), skeletons + skeletons // 2)
    base = np.repeat(rng.normal(0, 0.6, skeletons + skeletons // 2), len(terms) + 1) + rng.normal(0, 0.7, probe.n)
    label = (np.arange(400) % 3 == 0).astype(int)
    flat = items(label, [()] * 400, np.arange(400), "t")
    runs, score = [], {"probe": [], "dev": [], "test": []}
    for (u, d), slope in slopes.items():
        for seed in range(seeds):
            for arm in (d, f"{d}~placebo") if placebo and d != "raw" else (d,):
                runs.append(Run(arm, u, seed, None if arm == d else d))
                moved = slope + rng.normal(0, seed_sd)
                score["probe"].append(1.5 * probe.label + moved * c + base + rng.normal(0, 0.7, probe.n))
                for name in ("dev", "test"):
                    score[name].append(1.5 * label + rng.normal(0, 1, 400))
    order = sorted(range(len(runs)), key=lambda at: runs[at])
    return ScoreSet(
        tuple(runs[at] for at in order),
        {"dev": flat, "probe": probe, "test": flat},
        {name: np.array(rows)[order] for name, rows in score.items()},
        {},
        ("0", "1"),
    )


def slopes(f):
    return {(u, d): f(u, d) for u in UPSTREAMS for d in PLANS}


PLANTED = {
    "data": slopes(lambda u, d: {"raw": 0.6, "scrub": 0.3, "weigh": 0.0}[d]),
    "upstream": slopes(lambda u, d: 0.5 if u == "pretrained" else 0.1),
    "interaction": slopes(lambda u, d: 0.3 + (0.25 if u == "random" else -0.25) * {"raw": -1, "scrub": 1}.get(d, 0)),
}  # fmt: skip


@pytest.mark.parametrize("factor", PLANTED)
def test_a_planted_effect_gets_the_share(factor):
    found = attribute(runs_of(PLANTED[factor]), stick(), repetitions=300)
    one = found.shares.of(factor)
    assert one.share > 0.85
    assert 0.4 < one.low < one.share <= one.high
    assert one.p < 0.01
    for other in found.shares.effects:
        if other.name != factor:
            assert abs(other.share) < 0.1
            assert other.low < 0.05
    single = found.per_target.of(factor)
    assert single.share == max(effect.share for effect in found.per_target.effects)


@pytest.mark.parametrize("fixed", [False, True])
def test_shares_of_an_expected_size_are_covered(fixed):
    """Intervals hold the truth about as often as they say: G = U + D effects + noise, known shares."""
    rng = np.random.default_rng(5)
    t, u, d, s = 20, 2, 4, 4
    c = rng.normal(size=t)
    c -= c.mean()
    up, data = np.array([0.1, -0.1]), np.array([0.3, 0.1, -0.1, -0.3])
    sigma = 0.15
    truth = {"upstream": (up**2).mean(), "data": (data**2).mean()}
    # What the shares estimate: signal over signal and noise of this grid (means over S are of what a run is).
    total = sum(truth.values()) + sigma**2 * (u * d * s - 1) / (u * d * s)
    held = {"upstream": 0, "data": 0}
    trials = 120
    for _ in range(trials):
        slope = up[:, None, None] + data[None, :, None] + rng.normal(0, sigma, (u, d, s))
        gap = c[:, None, None, None] * slope + rng.normal(0, 1e-3, (t, u, d, s))
        spread = resampled(gap, c, repetitions=300, seed=1, fixed=fixed)
        for name in held:
            held[name] += spread[name][0] <= truth[name] / total <= spread[name][1]
    assert min(held.values()) >= 0.85 * trials  # nominal .95; few seeds cost some


def test_sums_of_squares_are_those_of_least_squares():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(2, 3, 4))
    found = squares(y)
    u, d, s = (part.ravel() for part in np.meshgrid(range(2), range(3), range(4), indexing="ij"))
    dummies = {
        "upstream": np.eye(2)[u],
        "data": np.eye(3)[d],
        "interaction": np.einsum("ni,nj->nij", np.eye(2)[u], np.eye(3)[d]).reshape(24, 6),
        "seed": np.eye(4)[s],
    }

    def explained(*names):
        x = np.column_stack([np.ones(24), *(dummies[name] for name in names)])
        return ((x @ np.linalg.lstsq(x, y.ravel(), rcond=None)[0] - y.mean()) ** 2).sum()

    assert found.factors["upstream"] == pytest.approx(explained("upstream"))
    assert found.factors["data"] == pytest.approx(explained("upstream", "data") - explained("upstream"))
    assert found.factors["interaction"] == pytest.approx(
        explained("upstream", "data", "interaction") - explained("upstream", "data")
    )
    everything = explained("upstream", "data", "interaction", "seed")
    assert found.rest == pytest.approx(((y - y.mean()) ** 2).sum() - everything)
    assert found.total == pytest.approx(sum(found.factors.values()) + found.seed + found.rest)


def test_lmg_of_the_factorial_is_eta_squared():
    y = np.random.default_rng(1).normal(size=(2, 3, 4))
    u, d, _ = (part.ravel() for part in np.meshgrid(range(2), range(3), range(4), indexing="ij"))
    up = np.eye(2)[u][:, 1:] - 0.5
    data = np.eye(3)[d][:, 1:] - 1 / 3
    x = np.column_stack([up, data, up * data, y.ravel()])
    x = x - x.mean(axis=0)
    parts = lmg(x.T @ x, [[0], [1, 2], [3, 4]])
    assert [float(p) for p in parts] == pytest.approx([effect.eta2 for effect in effects(squares(y))])


def test_adjusting_for_chance_is_what_permuting_the_block_does():
    """The mean share of a permuted block is df/(df + rest): epsilon squared takes just that off."""
    rng = np.random.default_rng(3)
    y = rng.normal(size=(2, 3, 5)) + np.array([0.0, 1.0, 2.0])[None, :, None]
    found = squares(y - y.mean(axis=(0, 1), keepdims=True))
    left = (y - y.mean(axis=(0, 1)) - (y.mean(axis=(0, 2)) - y.mean())[None, :, None]).reshape(6, 5)
    both = y.mean(axis=2) - y.mean(axis=(0, 2))[None] - y.mean(axis=(1, 2))[:, None] + y.mean()
    left = left - both.reshape(6, 1)  # upstream's own and the rest are left
    chance = []
    for _ in range(1500):
        drawn = squares(rng.permuted(left, axis=0).reshape(2, 3, 5))
        chance.append(drawn.factors["upstream"] / (drawn.total - drawn.seed))
    # Permuted, the block has 1 of the 25 degrees of freedom that seeds leave.
    assert np.mean(chance) == pytest.approx(1 / 25, rel=0.12)
    one = effects(found)[0]
    assert one.share == pytest.approx(one.eta2 - found.error / found.total)


def test_shapley_is_the_mean_over_orders():
    rng = np.random.default_rng(2)
    z = rng.normal(size=(40, 4)) @ rng.normal(size=(4, 4))
    z -= z.mean(axis=0)
    moments = z.T @ z
    players = 3
    brute = np.zeros(players)
    for order in permutations(range(players)):
        before = []
        for player in order:
            after = [*before, player]
            brute[player] += r_squared(moments, sorted(after)) - r_squared(moments, sorted(before))
            before = after
    brute /= 6
    found = shapley(lambda some: r_squared(moments, sorted(some)), players)
    assert [float(part) for part in found] == pytest.approx(brute.tolist())
    assert sum(float(part) for part in found) == pytest.approx(float(r_squared(moments, [0, 1, 2])))
    x, y = z[:, :3], z[:, 3]
    fitted = x @ np.linalg.lstsq(x, y, rcond=None)[0]
    assert float(r_squared(moments, [0, 1, 2])) == pytest.approx((fitted**2).sum() / (y**2).sum())


def test_permutation_p_is_uniform_where_there_is_nothing():
    rng = np.random.default_rng(4)
    p = [permutation_p(rng.normal(size=(2, 3, 4)), repetitions=199, seed=at) for at in range(120)]
    for name in ("upstream", "data", "interaction"):
        below = np.mean([one[name] <= 0.05 for one in p])
        assert below <= 0.12
        assert 0.35 < np.mean([one[name] for one in p]) < 0.65


def test_the_slope_of_the_sample_is_the_gap_of_the_design():
    measured = measure(runs_of(PLANTED["data"]), design(runs_of(PLANTED["data"]), stick()))
    table = GapTable.of(measured, {})
    slope = aligned(table.gap.T, table.c, np.ones((1, len(table.targets))))[0]
    assert slope == pytest.approx([run.gap for run in measured.runs])


def test_the_interaction_is_a_difference_of_differences():
    scores = runs_of(PLANTED["interaction"], seeds=3)
    found = attribute(scores, stick(), repetitions=100)
    measured = measure(scores, design(scores, stick()))
    gap = {(run.run.upstream, run.run.arm, run.run.seed): run.gap for run in measured.runs}
    for effect in found.interaction:
        by_hand = [
            gap["pretrained", "raw", s] - gap["pretrained", effect.plan, s]
            - gap["random", "raw", s] + gap["random", effect.plan, s]
            for s in range(3)
        ]  # fmt: skip
        assert effect.change.estimate == pytest.approx(np.mean(by_hand))
        assert effect.change.v_seed == pytest.approx(np.var(by_hand, ddof=1) / 3)
        assert effect.p_holm >= effect.p
    scrub = next(effect for effect in found.interaction if effect.plan == "scrub")
    assert scrub.change.high < 0 or scrub.change.low > 0
    assert "pretrained" in scrub.sentence


def test_placebos_and_screening_seeds_take_no_part():
    scores = runs_of(PLANTED["data"], seeds=4)
    found = attribute(scores, stick(), screening_seeds=[3], repetitions=100)
    assert found.grid.plans == PLANS
    assert found.grid.seeds == (0, 1, 2)


def test_arms_with_names_of_their_own_are_known_by_their_plan():
    scores = runs_of(PLANTED["data"])
    named = tuple(
        Run(
            "scrub-from-scratch" if (r.arm, r.upstream) == ("scrub", "random") else r.arm,
            r.upstream,
            r.seed,
            r.placebo_of,
        )
        for r in scores.runs
    )
    scores = ScoreSet(named, scores.items, scores.score, scores.predicted, scores.labels)
    found = attribute(scores, stick(), plans={"scrub-from-scratch": "scrub"}, repetitions=100)
    assert found.grid.plans == PLANS


@pytest.mark.parametrize("hole", [("random", "weigh", 0), ("random", "weigh", None)])
def test_holes_are_left_out_and_said(hole):
    scores = runs_of(PLANTED["data"])
    u, d, s = hole
    keep = [at for at, r in enumerate(scores.runs) if not (r.upstream == u and r.arm == d and s in (None, r.seed))]
    scores = ScoreSet(
        tuple(scores.runs[at] for at in keep),
        scores.items,
        {k: v[keep] for k, v in scores.score.items()},
        {},
        ("0", "1"),
    )
    found = attribute(scores, stick(), repetitions=100)
    assert found.grid.size == (18 if s == 0 else 16)
    assert any("left out of the shares" in note for note in found.notes)


def test_the_largest_grid_is_the_largest():
    """Against trying every set of upstreams, plans and seeds."""
    from itertools import chain, combinations

    def subsets(names):
        return chain.from_iterable(combinations(names, size) for size in range(1, len(names) + 1))

    rng = np.random.default_rng(9)
    for _ in range(20):
        keys = [(u, d, s) for u in "ab" for d in "xyz" for s in range(3) if rng.random() < 0.75]
        there = set(keys)
        best = max(
            (len(us) > 1 and len(ds) > 1, len(ss) > 1, len(us) * len(ds) * len(ss))
            for us in subsets("ab")
            for ds in subsets("xyz")
            for ss in subsets(range(3))
            if all((u, d, s) in there for u in us for d in ds for s in ss)
        )
        grid = largest_grid(keys)
        assert all((u, d, s) in there for u in grid.upstreams for d in grid.plans for s in grid.seeds)
        assert (len(grid.upstreams) > 1 and len(grid.plans) > 1, len(grid.seeds) > 1, grid.size) == best


def test_one_upstream_or_one_plan_is_refused():
    whole = {key: slope for key, slope in PLANTED["data"].items() if key[0] == "pretrained"}
    with pytest.raises(InputError, match="at least two plans"):
        attribute(runs_of(whole), stick())
    whole = {key: slope for key, slope in PLANTED["data"].items() if key[1] == "raw"}
    with pytest.raises(InputError, match="raw under pretrained, raw under random"):
        attribute(runs_of(whole), stick())


def test_one_seed_gives_no_shares_and_no_interval():
    found = attribute(runs_of(PLANTED["data"], seeds=1), stick(), repetitions=100)
    assert found.shares is None
    assert "cannot be told" in found.sentence
    assert "one seed" in found.sentence
    assert all(claim.state == "cannot be told" for claim in found.claims)


def test_gaps_that_never_change_are_said_to_have_nothing_to_share():
    scores = runs_of(PLANTED["data"])
    same = {name: np.repeat(values[:1], len(values), axis=0) for name, values in scores.score.items()}
    found = attribute(ScoreSet(scores.runs, scores.items, same, {}, scores.labels), stick(), repetitions=100)
    assert found.shares is None
    assert "nothing to share out" in found.sentence
    assert all(effect.change.estimate == 0 and effect.p == 1 for effect in found.data)


def test_names_do_not_matter():
    one = attribute(runs_of(PLANTED["interaction"]), stick(), repetitions=200)
    scores = runs_of(PLANTED["interaction"])
    names = {"scrub": "a-plan", "scrub~placebo": "a-plan~placebo"}
    renamed = tuple(
        Run(names.get(r.arm, r.arm), r.upstream, r.seed, r.placebo_of and names.get(r.placebo_of, r.placebo_of))
        for r in scores.runs
    )
    two = attribute(ScoreSet(renamed, scores.items, scores.score, {}, scores.labels), stick(), repetitions=200)
    for effect in one.shares.effects:
        other = two.shares.of(effect.name)
        assert (effect.share, effect.low, effect.high) == pytest.approx((other.share, other.low, other.high))


def biases():
    rng = np.random.default_rng(7)
    data = {"raw": IMBALANCE, "scrub": 0 * IMBALANCE, "weigh": 0.1 * IMBALANCE}
    dataset = {d: dict(zip(TERMS, values, strict=True)) for d, values in data.items()}
    measured = dict(zip(TERMS, rng.normal(size=len(TERMS)), strict=True))
    return dataset, {
        "pretrained": UpstreamScores(measured, 0.9, "negativity"),
        "random": UpstreamScores(dict.fromkeys(TERMS, 0.0), assumed=True),
    }


def test_the_whole_answer_is_plain_json_and_fits_a_terminal():
    from io import StringIO

    from rich.console import Console

    from evenset.finetune.attribution.report import attribution_table

    dataset, upstream = biases()
    found = attribute(
        runs_of(PLANTED["data"]), stick(), dataset_bias=dataset, upstream_bias=upstream,
        kinds={"scrub": "scrub", "weigh": "rebalance"}, repetitions=200,
    )  # fmt: skip
    record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert record["sentence"].startswith("Data explains")
    assert [claim["id"] for claim in record["claims"]] == ["A2", "A3", "A5", "A6"]
    assert {claim["id"]: claim["state"] for claim in record["claims"]}["A6"] == "does not hold"
    assert [one["name"] for one in record["observational"]] == ["all arms", "raw, pretrained only"]
    assert record["within"][0]["terms"][1]["name"] == "dataset bias"
    assert record["within"][0]["terms"][1]["low"] > 0
    again = Attribution.from_dict(record)
    assert json.dumps(again.to_dict()) == json.dumps(record)
    text = StringIO()
    Console(file=text, width=80).print(attribution_table(again))
    assert max(len(line) for line in text.getvalue().splitlines()) <= 80
    assert text.getvalue().startswith("Data explains")


def test_the_claims_follow_the_evidence():
    dataset, upstream = biases()
    kinds = {"scrub": "scrub", "weigh": "rebalance"}
    settings = {"dataset_bias": dataset, "upstream_bias": upstream, "kinds": kinds, "repetitions": 100, "margin": 0.05}
    truth = {("pretrained", "raw"): 0.5, ("pretrained", "scrub"): 0.5, ("pretrained", "weigh"): 0.5,
             ("random", "raw"): 0.5, ("random", "scrub"): 0.0, ("random", "weigh"): 0.0}  # fmt: skip
    found = attribute(runs_of(truth, seeds=6, seed_sd=0.005), stick(), **settings)
    states = {claim.id: claim.state for claim in found.claims}
    assert states["A5"] == "holds"
    assert states["A6"] == "holds"
    truth = {**truth, ("pretrained", "scrub"): 0.0, ("pretrained", "weigh"): 0.0}
    found = attribute(runs_of(truth, seeds=6, seed_sd=0.005), stick(), **settings)
    states = {claim.id: claim.state for claim in found.claims}
    assert states["A5"] == "does not hold"
    assert states["A6"] == "does not hold"


def test_missing_biases_leave_the_rest_standing():
    dataset, _ = biases()
    found = attribute(runs_of(PLANTED["data"]), stick(), dataset_bias=dataset, repetitions=100)
    assert found.observational == ()
    assert any("bias of the upstream is not known" in note for note in found.notes)
    assert found.shares is not None
    few = {"pretrained": UpstreamScores({"gay": 1.0, "deaf": 0.5}, 0.9)}
    found = attribute(runs_of(PLANTED["data"]), stick(), dataset_bias=dataset, upstream_bias=few, repetitions=100)
    assert any("2 terms or labels, fewer than 6" in note for note in found.notes)


def test_interactions_need_pairs():
    scores = runs_of(PLANTED["data"])
    measured = measure(scores, design(scores, stick()))
    at = {key: row for key, row in GapTable.of(measured, {}).at.items() if key != ("random", "scrub", 0)}
    found = interactions(measured, at, base="raw", pretrained="pretrained")
    assert {effect.plan: effect.seeds for effect in found} == {"scrub": (1, 2, 3), "weigh": (0, 1, 2, 3)}


def test_a_gap_is_taken_apart_into_words_and_proxies():
    """Labels by two groups; scrubbed copies keep only the proxies' part."""
    rng = np.random.default_rng(0)
    names = ("cook", "judge", "nurse", "pilot")
    n, c = 2400, {"cook": -0.1, "nurse": 0.4, "pilot": -0.3, "judge": 0.0}
    label = rng.integers(0, 4, n)
    she = rng.random(n) < 0.5
    side = np.array([c[names[code]] for code in label]) * np.where(she, 1, -1)
    luck = rng.random(n)
    runs, predicted = [], {"test": [], "test.scrubbed": []}
    truth = {"pretrained": (0.4, 0.3), "random": (0.4, 0.0)}  # words, proxies
    for u, (words, proxies) in truth.items():
        for d in ("raw", "scrub"):
            for seed in range(3):
                runs.append(Run(d, u, seed))
                wrong = (label + 1) % 4
                own = rng.normal(0, 0.02, n)
                for name, slope in (("test", words + proxies), ("test.scrubbed", proxies)):
                    predicted[name].append(np.where(luck < 0.6 + slope * side + own, label, wrong))
    test = replace(items(label, [("she",) if s else ("he",) for s in she], np.arange(n), "t"), labels=names)
    counts = {name: (int(100 * (0.5 + c[name])), int(100 * (0.5 - c[name]))) for name in names}
    counts = {name: (max(a, 30), max(b, 30)) for name, (a, b) in counts.items()}
    order = sorted(range(len(runs)), key=lambda at: runs[at])
    scores = ScoreSet(
        tuple(runs[at] for at in order),
        {"test": test, "test.scrubbed": test},
        {},
        {name: np.array(values)[order] for name, values in predicted.items()},
        names,
    )
    found = attribute(scores, tpr_yardstick(counts), repetitions=100)
    by = {route.upstream: route for route in found.routes}
    scale = by["random"].words.estimate
    assert scale > 0.3
    assert by["random"].proxies.low < 0 < by["random"].proxies.high
    assert by["pretrained"].proxies.low > 0
    assert by["pretrained"].words.estimate == pytest.approx(scale, rel=0.2)
    assert by["pretrained"].gap.estimate == pytest.approx(
        by["pretrained"].proxies.estimate + by["pretrained"].words.estimate
    )
    assert by["random"].change.estimate == pytest.approx(
        by["pretrained"].proxies.estimate - by["random"].proxies.estimate
    )
    assert by["pretrained"].change is None


def test_a_model_without_a_gap_decides_no_claim():
    """Scrubbing what has no gap changes nothing: that is no evidence that scrubbing does not work."""
    scores = runs_of(slopes(lambda *_: 0.0), seeds=4, skeletons=40)
    same = np.repeat(scores.score["probe"][:1], len(scores.runs), axis=0)
    scores = ScoreSet(scores.runs, scores.items, {**scores.score, "probe": same}, {}, scores.labels)
    kinds = {"scrub": "scrub", "weigh": "rebalance"}
    states = {c.id: c.state for c in attribute(scores, stick(), kinds=kinds, repetitions=100, margin=0.02).claims}
    assert states["A5"] == states["A6"] == "cannot be told"


def test_two_seeds_have_shares_without_intervals():
    found = attribute(runs_of(PLANTED["data"], seeds=2), stick(), repetitions=100)
    assert found.shares.of("data").share > 0.5
    assert np.isnan(found.shares.of("data").low)
    assert "[" not in found.sentence
