"""Downstream measures against brute force, published definitions and planted truth."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from score_sim import TERMS, Arm, items, simulate, stick

from evenset.data.errors import InputError
from evenset.finetune.judging.design import Cell, contrast_of, design
from evenset.finetune.judging.gaps import decided, measure
from evenset.finetune.judging.grouping import groups_of
from evenset.finetune.judging.inference import Clusters
from evenset.finetune.judging.measures import Downstream
from evenset.finetune.judging.measures_amplification import directions
from evenset.finetune.judging.measures_calibration import binned, recalibrated
from evenset.finetune.judging.measures_spread import mean_square_gap, shrink
from evenset.finetune.judging.scores import Run, ScoreSet, align, normalise, read
from evenset.finetune.judging.tables import CellContrasts, rates
from evenset.finetune.judging.verdict import verify
from evenset.finetune.judging.yardstick import Yardstick, tpr_yardstick


def prepared(scores: ScoreSet, yardstick: Yardstick) -> Downstream:
    measured = measure(scores, design(scores, yardstick))
    return Downstream.of(scores, measured, CellContrasts.of(measured.design))


@pytest.fixture(scope="module")
def toxic() -> ScoreSet:
    """Scores with a gap, made probabilities, and copies of the test rows of which half changed."""
    rng = np.random.default_rng(3)
    found = simulate(rng, {"raw": Arm(0.6), "mend": Arm(0.2)}, seeds=3, skeletons=40, rows=900)
    score = {name: 1 / (1 + np.exp(-table)) for name, table in found.score.items()}
    test = found.items["test"]
    groups = [(TERMS[i % len(TERMS)],) if i % 2 == 0 else () for i in range(test.n)]
    test = items(test.label, groups, np.arange(test.n) // 2, "t")
    changed = np.array([bool(one) for one in groups])
    moved = score["test"] + np.where(changed, rng.normal(0, 0.2, score["test"].shape), 0.0)
    every = {"test.scrubbed": dataclasses.replace(test, changed=changed)}
    every["test.swapped"] = every["test.scrubbed"]
    return dataclasses.replace(
        found,
        items={**found.items, "test": test, **every},
        score={**score, "test.scrubbed": np.clip(moved, 0, 1), "test.swapped": np.clip(moved, 0, 1)},
    )


@pytest.fixture(scope="module")
def jobs() -> tuple[ScoreSet, Yardstick]:
    """Predictions of three labels for two groups, with some pull of the group towards its usual label."""
    rng = np.random.default_rng(5)
    n, labels = 1500, ("judge", "nurse", "poet")
    label = rng.integers(0, 3, n)
    side = rng.random(n) < np.array([0.2, 0.8, 0.5])[label]
    patterns = [("she",) if one else ("he",) for one in side]
    patterns[:20] = [("he", "she")] * 20
    there = dataclasses.replace(items(label, patterns, np.arange(n), "t"), labels=labels)
    runs, predicted = [], []
    for arm, pull in (("raw", 0.3), ("mend", 0.05)):
        for seed in range(3):
            runs.append(Run(arm, "pretrained", seed))
            stray = rng.random(n) < pull
            usual = np.where(side, 1, 0)
            predicted.append(np.where(stray, usual, np.where(rng.random(n) < 0.8, label, rng.integers(0, 3, n))))
    order = sorted(range(6), key=lambda at: runs[at])
    score = np.where(np.array(predicted)[order] == label, 0.8, 0.5)
    scores = ScoreSet(
        runs=tuple(runs[at] for at in order),
        items={"test": there},
        score={"test": score},
        predicted={"test": np.array(predicted)[order]},
        labels=labels,
    )
    return scores, tpr_yardstick({"judge": (100, 400), "nurse": (400, 100), "poet": (240, 260), "rare": (3, 9)})


# Directional amplification


def test_amplification_is_the_published_sum(jobs):
    scores, yardstick = jobs
    down = prepared(scores, yardstick)
    stat = down.stats([3, 4, 5])[0]["amplification"]
    test = scores.items["test"]
    # Training rows as a joint table: P(a, t) against P(a) P(t), as Wang and Russakovsky write it.
    train = {("she", e.name): e.events for e in yardstick.entries if e.name != "rare"}
    train |= {("he", e.name): e.n - e.events for e in yardstick.entries if e.name != "rare"}
    total = sum(train.values())
    groups = [set(test.patterns[code]) for code in test.pattern]
    for number, at in enumerate([3, 4, 5]):
        found = []
        for a in ("she", "he"):
            p_a = sum(n for (group, _), n in train.items() if group == a) / total
            rows = [i for i in range(test.n) if groups[i] == {a}]
            for t in scores.labels:
                p_t = sum(n for (_, name), n in train.items() if name == t) / total
                y = train[a, t] / total > p_a * p_t
                code = scores.labels.index(t)
                called = np.mean([scores.predicted["test"][at][i] == code for i in rows])
                delta = called - np.mean([test.label[i] == code for i in rows])
                found.append(y * delta + (1 - y) * -delta)
        assert stat.values[number] == pytest.approx(np.mean(found), abs=1e-12)
    assert stat.interval.low > 0  # the planted pull
    assert stat.n == test.n - 20  # rows of both groups count for neither


def test_terms_pull_towards_the_positive_label_only(toxic):
    signs = directions(stick(), ("0", "1"), "1")
    assert set(signs.values()) == {-1, 1}
    assert {label for _, label in signs} == {"1"}
    entry = stick().entries[0]
    assert signs[entry.name, "1"] == np.sign(entry.raw)
    down = prepared(toxic, stick())
    stat = down.stats([0])[0]["amplification"]
    test = toxic.items["test"]
    called = decided(toxic, "test", 0, down.measured.runs[0].threshold, "1") == 1
    deltas = [
        sign * (called[test.member(term)].mean() - test.is_label("1")[test.member(term)].mean())
        for (term, _), sign in signs.items()
        if test.member(term).sum() >= 30
    ]
    assert stat.values[0] == pytest.approx(np.mean(deltas))


def test_influence_of_amplification_is_that_of_leaving_rows_out(jobs):
    scores, yardstick = jobs
    stat = prepared(scores, yardstick).stats([1])[0]["amplification"]
    test, kept = scores.items["test"], np.arange(1200)

    def part(rows):
        there = dataclasses.replace(
            test, ids=test.ids.take(pa.array(rows)), label=test.label[rows], pattern=test.pattern[rows],
            clusters=test.clusters[:, rows],
        )  # fmt: skip
        small = dataclasses.replace(
            scores,
            items={"test": there},
            score={"test": scores.score["test"][:, rows]},
            predicted={"test": scores.predicted["test"][:, rows]},
        )
        return prepared(small, yardstick).stats([1])[0]["amplification"]

    whole = part(kept)
    left = [whole.values[0] - part(np.delete(kept, at)).values[0] for at in range(20, 60)]
    assert np.corrcoef(left, whole.influence[:40])[0, 1] > 0.999
    assert left == pytest.approx(whole.influence[:40], rel=0.05)
    assert len(stat.influence) == stat.n


# The gap without a threshold


def test_the_bpsn_slope_is_that_of_the_runs_and_its_interval_that_of_the_rows(toxic):
    down = prepared(toxic, stick())
    found = down.stats([0, 1, 2])[0]
    for name in ("bpsn_slope", "bnsp_slope"):
        expected = [down.measured.runs[at].secondary[name] for at in (0, 1, 2)]
        assert found[name].values == pytest.approx(expected, abs=1e-12)
    # The influence of clusters, by leaving each out.
    probe, plan = toxic.items["probe"], down.measured.design
    truth, score = probe.is_label("1"), toxic.score["probe"][0]

    def slope(keep):
        total = 0.0
        for term, c in zip(plan.stick.used, plan.stick.coefficients, strict=True):
            mine = probe.member(term)
            negative, positive = score[keep & mine & ~truth], score[keep & ~mine & truth]
            below, above = negative[:, None] < positive[None, :], negative[:, None] == positive[None, :]
            total += c * (below + 0.5 * above).mean()
        return total

    stat = down.stats([0])[0]["bpsn_slope"]
    code = probe.clusters[0]
    whole = slope(np.ones(probe.n, dtype=bool))
    left = [whole - slope(code != one) for one in range(12)]
    sums = np.bincount(code, weights=stat.influence)[:12]
    assert np.corrcoef(left, sums)[0, 1] > 0.99


# Ratios


def test_log_ratios_and_their_intervals(toxic):
    down = prepared(toxic, stick())
    plan, hits = down.measured.design, down.measured.hits_of([0, 1, 2])
    table = {row.group: row for row in rates(down.measured, down.contrasts, [0, 1, 2])}
    term = plan.stick.used[3]
    cell = plan.cells[plan.find(term)]
    rest = np.setdiff1d(np.arange(len(plan.rows)), cell.rows)
    expected = []
    for run in hits:
        one = (run[cell.rows].sum() + 0.5) / (cell.n + 1)
        two = (run[rest].sum() + 0.5) / (len(rest) + 1)
        expected.append(math.log(one / two))
    assert table[term].log_ratio == pytest.approx(np.mean(expected))
    assert table[term].log_ratio_low < table[term].log_ratio < table[term].log_ratio_high
    assert math.isnan(table["(all rows)"].log_ratio)
    # A bootstrap of skeletons, seeds held, gives the same error within a quarter.
    codes = plan.codes[0]
    draws = np.random.default_rng(0)
    found = []
    names = np.unique(codes)
    for _ in range(400):
        weight = np.bincount(draws.choice(len(names), len(names)), minlength=len(names))[np.searchsorted(names, codes)]
        ratio = [
            math.log(((run * weight)[cell.rows].sum() + 0.5) / (weight[cell.rows].sum() + 1))
            - math.log(((run * weight)[rest].sum() + 0.5) / (weight[rest].sum() + 1))
            for run in hits
        ]
        found.append(np.mean(ratio))
    from evenset.finetune.judging import tables

    one = tables.log_ratio(
        down.contrasts.rate[plan.find(term)], down.contrasts.rest[plan.find(term)],
        down.contrasts.gap[plan.find(term)], np.repeat(hits.mean(axis=0)[None], 2, axis=0),
    )  # fmt: skip
    half = (one[2] - one[1]) / 2 / 2.02
    assert half == pytest.approx(np.std(found), rel=0.25)


# Spread


def test_the_mean_square_gap_of_equal_groups_is_zero_on_average_where_the_plain_one_is_not():
    values, plain = [], []
    for seed in range(40):
        scores = simulate(np.random.default_rng(seed), {"raw": Arm(0.0)}, seeds=1, skeletons=60, rows=200, seed_sd=0.0)
        down = prepared(scores, stick())
        values.append(down.stats([0])[0]["mean_square_gap"].values[0])
        hits = down.measured.hits_of([0])
        plan = down.measured.design
        gaps = [down.contrasts.gap[plan.find(term)].values(hits)[0] for term in plan.stick.used]
        plain.append(np.mean(np.square(gaps)))
    error = np.std(values) / math.sqrt(len(values))
    assert abs(np.mean(values)) < 3 * error
    assert np.mean(plain) > 5 * error


def gaps_over_seeds(rng: np.random.Generator, truth: np.ndarray, *, seeds: int, sd: float, rows: int = 200):
    """The measure for groups whose rates each seed moves by its own luck."""
    groups = len(truth)
    every = np.arange(groups * rows)
    cells = [Cell(f"g{at}", None, every[at * rows : (at + 1) * rows]) for at in range(groups)]
    rests = [Cell("", None, np.setdiff1d(every, cell.rows)) for cell in cells]
    gap = tuple(contrast_of(pair, np.array([1.0, -1.0]), every[None]) for pair in zip(cells, rests, strict=True))
    luck = rng.normal(0, sd, (seeds, groups)) if sd else np.zeros((seeds, groups))
    rate = np.repeat(0.3 + truth + luck, rows, axis=1)
    hits = (rng.random(rate.shape) < rate).astype(float)
    yardstick = SimpleNamespace(kind="fpr", used=tuple(cell.group for cell in cells))
    plan = SimpleNamespace(stick=yardstick, cells=cells, rows=every, codes=every[None])
    measured = SimpleNamespace(design=plan, hits_of=lambda runs: hits[list(runs)])
    return mean_square_gap(measured, SimpleNamespace(gap=gap), range(seeds))


@pytest.mark.parametrize("seeds", [2, 8])
@pytest.mark.parametrize("sd", [0.0, 0.05, 0.1])
def test_the_mean_square_gap_is_the_mean_models_and_not_the_luck_of_seeds(seeds, sd):
    found = [gaps_over_seeds(np.random.default_rng(at), np.zeros(12), seeds=seeds, sd=sd).interval for at in range(40)]
    values = np.array([one.estimate for one in found])
    assert abs(values.mean()) < 3.5 * values.std(ddof=1) / math.sqrt(len(values))
    # A square that keeps the luck of seeds is 12/11 squared times sd ** 2 too large.
    assert abs(values.mean()) < max(0.1 * sd**2 if seeds > 2 else 0.3 * sd**2, 2e-4)
    assert sum(one.low > 0 for one in found) <= 3  # a one-sided error of 2.5 % in 40


def test_the_mean_square_gap_covers_a_true_one():
    truth = np.linspace(-0.12, 0.12, 12)
    right = np.mean(np.square(truth * 12 / 11))  # a group against the mean of the other eleven
    found = [gaps_over_seeds(np.random.default_rng(at), truth, seeds=6, sd=0.04).interval for at in range(40)]
    assert np.mean([one.estimate for one in found]) == pytest.approx(right, rel=0.1)
    assert sum(one.low <= right <= one.high for one in found) >= 35
    assert sum(one.low > 0 for one in found) >= 35


def test_covariances_add_up_to_the_variance_of_the_sum():
    rng = np.random.default_rng(0)
    for codes in (np.arange(60)[None], np.array([np.arange(60) // 5, np.arange(60) % 7])):
        clusters, influences = Clusters.of(codes), rng.normal(size=(4, 60))
        assert clusters.covariance(influences).sum() == pytest.approx(clusters.variance(influences.sum(axis=0)))
        assert clusters.covariance(influences[:1])[0, 0] == pytest.approx(clusters.variance(influences[0]))


def test_the_worst_gap_is_drawn_in_and_named(toxic):
    shifted = simulate(
        np.random.default_rng(1), {"raw": Arm(0.0, shift={"gay": 0.9})}, seeds=3, skeletons=150, rows=200
    )
    worst = prepared(shifted, stick()).of_arm([0, 1, 2])["worst_gap"]
    assert worst["group"] == "gay"
    assert 0 < worst["shrunk"] < worst["gap"]
    assert worst["low"] > 0


@settings(max_examples=50)
@given(st.lists(st.floats(-1, 1), min_size=3, max_size=12), st.floats(1e-4, 1))
def test_shrinking_never_moves_a_gap_past_the_mean_or_out(gaps, variance):
    gap = np.array(gaps)
    means, errors, spread = shrink(gap, np.full(len(gap), variance))
    mean = gap.mean()
    assert (np.abs(means - mean) <= np.abs(gap - mean) + 1e-9).all()
    assert ((means - mean) * (gap - mean) >= -1e-9).all()
    assert spread >= 0
    assert (errors >= 0).all()


def test_shrinking_halves_the_error_of_noisy_gaps():
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 0.05, (200, 20))
    seen = truth + rng.normal(0, 0.1, truth.shape)
    drawn = np.array([shrink(row, np.full(20, 0.01))[0] for row in seen])
    assert ((drawn - truth) ** 2).mean() < 0.5 * ((seen - truth) ** 2).mean()


# Calibration


def test_the_recalibration_slope_is_that_of_an_unpenalised_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(2)
    logit = rng.normal(-1, 2, 3000)
    y = (rng.random(3000) < 1 / (1 + np.exp(-0.5 * logit))).astype(float)
    p = 1 / (1 + np.exp(-logit))
    found = recalibrated(p[None], y[None], Clusters.of(np.arange(3000)[None]))
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit[:, None], y)
    assert found.values[0] == pytest.approx(model.coef_[0, 0], rel=1e-3)
    assert found.interval.low < 0.5 < found.interval.high
    # Model-based standard error of a logistic regression, where it holds.
    mean = model.predict_proba(logit[:, None])[:, 1]
    x = np.column_stack([np.ones(3000), logit])
    error = math.sqrt(np.linalg.inv((x * (mean * (1 - mean))[:, None]).T @ x)[1, 1])
    assert found.interval.se == pytest.approx(error, rel=0.1)


def test_a_perfect_model_has_the_calibration_error_that_chance_gives_and_none_beyond():
    rng = np.random.default_rng(4)
    found = []
    for _ in range(200):
        p = rng.beta(1, 4, 400)
        found.append(binned(p, (rng.random(400) < p).astype(float)))
    ece, null, _ = np.mean(found, axis=0)
    assert ece == pytest.approx(null, rel=0.05)
    squares = np.array([math.copysign(rms**2, rms) for _, _, rms in found])
    assert abs(squares.mean()) < 3 * squares.std() / math.sqrt(200)


def test_calibration_says_nothing_where_it_cannot(toxic):
    calls = prepared(toxic, stick()).of_arm([0, 1])["calibration"]
    by = {row["group"]: row for row in calls}
    test = toxic.items["test"]
    truth, mine = test.is_label("1"), test.member(TERMS[0])
    expected = np.mean([toxic.score["test"][at][mine].mean() - truth[mine].mean() for at in (0, 1)])
    assert by[TERMS[0]]["excess"] == pytest.approx(expected)
    assert by[TERMS[0]]["n"] == mine.sum()
    assert by["(all rows)"]["slope_low"] < by["(all rows)"]["slope"] < by["(all rows)"]["slope_high"]
    wild = dataclasses.replace(toxic, score={**toxic.score, "test": toxic.score["test"] * 3})
    assert prepared(wild, stick()).of_arm([0])["calibration"] == ()
    few = Clusters.of(np.arange(40)[None])
    assert recalibrated(np.full((1, 40), 0.4), np.eye(1, 40), few) is None  # one positive
    separated = np.r_[np.full(20, 0.1), np.full(20, 0.9)][None]
    assert recalibrated(separated, np.repeat([0.0, 1.0], 20)[None], few) is None


# Copies


def test_flips_are_counted_among_changed_rows_only(toxic):
    down = prepared(toxic, stick())
    found, flips = down.stats([0, 1, 2])
    test = toxic.items["test"]
    changed = toxic.items["test.swapped"].changed
    rate, towards, moved = [], [], []
    for at in (0, 1, 2):
        threshold = down.measured.runs[at].threshold
        one, two = toxic.score["test"][at], toxic.score["test.swapped"][at]
        turned = [(one[i] >= threshold) != (two[i] >= threshold) for i in range(test.n) if changed[i]]
        rate.append(np.mean(turned))
        towards.append(np.mean([one[i] < threshold <= two[i] for i in range(test.n) if changed[i]]))
        moved.append(np.mean([abs(one[i] - two[i]) for i in range(test.n) if changed[i]]))
    assert found["flip_rate"].values == pytest.approx(rate)
    assert found["flip_to_positive"].values == pytest.approx(towards)
    assert found["swap_score_change"].values == pytest.approx(moved)
    assert found["flip_rate"].n == changed.sum() == 450
    assert {row["group"] for row in flips} == set(TERMS)
    assert sum(row["n"] * row["rate"] for row in flips) == pytest.approx(450 * np.mean(rate))
    assert all(row["became"] is None for row in flips)


def test_without_a_word_on_what_changed_all_rows_count_and_it_is_said(toxic):
    blind = {name: dataclasses.replace(one, changed=None) for name, one in toxic.items.items()}
    down = prepared(dataclasses.replace(toxic, items=blind), stick())
    assert down.stats([0])[0]["flip_rate"].n == 900
    assert "no column changed" in " ".join(down.notes)


def test_worth_and_gap_on_scrubbed_text_are_those_of_the_copy_taken_as_the_test_set(toxic):
    down = prepared(toxic, stick())
    found = down.stats([0, 1])[0]
    alone = dataclasses.replace(
        toxic,
        items={**{k: toxic.items[k] for k in ("dev", "probe")}, "test": toxic.items["test.scrubbed"]},
        score={**{k: toxic.score[k] for k in ("dev", "probe")}, "test": toxic.score["test.scrubbed"]},
    )
    as_test = measure(alone, design(alone, stick()))
    assert found["scrubbed_auc"].values == pytest.approx([run.utility["auc"] for run in as_test.runs[:2]])
    assert found["scrubbed_macro_f1"].values == pytest.approx([run.utility["macro_f1"] for run in as_test.runs[:2]])
    assert "scrubbed_gap" not in found  # 35 rows a term, of which a third are positive: fewer than 30 harmless ones
    assert "no gap on split test" in down.notes[0]


def test_directions_of_flips_are_named_where_groups_are_opposite(jobs):
    scores, yardstick = jobs
    test = scores.items["test"]
    swapped = scores.predicted["test"].copy()
    she = test.member("she") & ~test.member("he")
    swapped[:, she] = 0
    there = dataclasses.replace(test, changed=np.ones(test.n, dtype=bool))
    both = dataclasses.replace(
        scores,
        items={**scores.items, "test.swapped": there, "test.scrubbed": there},
        score=dict.fromkeys(("test", "test.swapped", "test.scrubbed"), scores.score["test"]),
        predicted={"test": scores.predicted["test"], "test.swapped": swapped, "test.scrubbed": swapped},
    )
    down = prepared(both, yardstick)
    found, flips = down.stats([0, 1, 2])
    by = {row["group"]: row for row in flips}
    assert by["she"]["became"] == "he"
    assert by["she"]["rate"] == pytest.approx((scores.predicted["test"][:3][:, she] != 0).mean())
    assert by["he"]["rate"] == 0
    assert "flip_to_positive" not in found
    # The gap on the copy, where it can be measured: label by label, recall of one group minus the other.
    tpr = design(both, yardstick, split="test.scrubbed")
    hits = (swapped[:3] == test.label)[:, tpr.rows]
    expected = [
        sum(c * run[cell.rows].mean() for c, cell in zip(tpr.coefficients, tpr.cells, strict=True)) for run in hits
    ]
    assert found["scrubbed_gap"].values == pytest.approx(expected)


def test_a_copy_of_other_rows_is_refused(toxic):
    short = dataclasses.replace(toxic.items["test.swapped"], label=1 - toxic.items["test"].label)
    wrong = dataclasses.replace(toxic, items={**toxic.items, "test.swapped": short})
    with pytest.raises(InputError, match=r"test\.swapped has other ids or labels"):
        prepared(wrong, stick())
    alone = dataclasses.replace(toxic, items={k: v for k, v in toxic.items.items() if k != "test"})
    with pytest.raises(InputError, match="copy of the test rows"):
        prepared(alone, stick())


def test_groups_of_a_copy_are_those_of_the_row_as_it_was_where_text_tells_them(tmp_path):
    rows = []
    for at in range(400):
        she, label = at % 2 == 0, ("nurse", "surgeon")[at // 2 % 2]
        other = {"nurse": "surgeon", "surgeon": "nurse"}[label]
        for split, text in (("test", "She" if she else "He"), ("test.swapped", "He" if she else "She"),
                            ("test.scrubbed", "They")):  # fmt: skip
            turned = split != "test" and she  # only rows about women are turned
            rows.append({"arm": "m", "upstream": "x", "seed": 0, "split": split, "id": str(at), "label": label,
                         "prediction": other if turned else label, "text": f"{text} works"})  # fmt: skip
    scores = align(normalise(pa.Table.from_pylist(rows), groups=groups_of("pronouns")))
    assert scores.items["test.swapped"].member("he")[0], "the row about a woman reads as one about a man"
    verdict = verify(scores, tpr_yardstick({"nurse": (90, 40), "surgeon": (40, 160)}), bootstrap=0)
    by = {row["group"]: (row["became"], row["n"], row["rate"]) for row in verdict.gaps[0].flips}
    assert by == {"she": ("he", 200, 1.0), "he": ("she", 200, 0.0)}
    # Scrubbed text names nobody, so its gap has to be read by who the row was about.
    assert verdict.gaps[0].measures["scrubbed_gap"]["n"] == 400


# In the verdict


def test_verdict_has_every_measure_before_and_after(toxic):
    verdict = verify(toxic, stick(), bootstrap=0)
    arm, record = verdict.arms[0], verdict.to_dict()
    assert set(arm.measures) >= {"bpsn_slope", "flip_rate", "amplification", "mean_square_gap", "scrubbed_auc"}
    change = arm.measures["bpsn_slope"]
    assert change["change"] == pytest.approx(change["after"] - change["before"])
    assert change["share_gone"] == pytest.approx(1 - change["after"] / change["before"])
    assert change["share_gone_low"] < change["share_gone"] < change["share_gone_high"]
    for gap in record["gaps"]:
        assert gap["measures"]["flip_rate"]["n"] == 450
        assert gap["calibration"][0]["group"] == "(all rows)"


def test_measures_do_not_hang_on_names_of_groups(jobs):
    scores, yardstick = jobs
    renamed = {"she": "b", "he": "a"}
    test = scores.items["test"]
    patterns = [tuple(sorted(renamed[name] for name in pattern)) for pattern in test.patterns]
    other = dataclasses.replace(scores, items={"test": dataclasses.replace(test, patterns=tuple(patterns))})
    counts = {e.name: (int(e.events), int(e.n - e.events)) for e in yardstick.entries}
    one = prepared(scores, yardstick).of_arm([0, 1])
    two = prepared(other, tpr_yardstick(counts, first="b", second="a")).of_arm([0, 1])
    for name, there in one["measures"].items():
        assert two["measures"][name]["value"] == pytest.approx(there["value"])
    assert two["worst_gap"].get("shrunk") == one["worst_gap"].get("shrunk")


def test_changed_comes_through_a_file(tmp_path):
    import pyarrow.csv as pc

    rows = {
        "arm": ["raw"] * 4, "id": ["a", "b", "a", "b"], "label": ["0", "1", "0", "1"], "score": [0.1, 0.9, 0.4, 0.9],
        "split": ["test", "test", "test.swapped", "test.swapped"], "changed": [None, None, True, False],
    }  # fmt: skip
    pc.write_csv(pa.table(rows), tmp_path / "scores.csv")
    scores = read(tmp_path / "scores.csv")
    assert scores.items["test.swapped"].changed.tolist() == [True, False]
    assert scores.items["test"].changed is None
    rows["changed"] = [None, None, True, None]
    with pytest.raises(InputError, match='no "changed"'):
        read(pa.table(rows))
