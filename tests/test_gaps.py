"""Gaps against brute-force loops, the threshold rule, and the measures beside them."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from score_sim import IMBALANCE, TERMS, Arm, simulate, stick
from sklearn import metrics as reference

from evenset.audit.intervals import newcombe_difference, wilson
from evenset.data.errors import InputError
from evenset.finetune.judging import metrics
from evenset.finetune.judging.design import ALL, NEUTRAL, design
from evenset.finetune.judging.gaps import measure
from evenset.finetune.judging.scores import ScoreSet, read
from evenset.finetune.judging.tables import CellContrasts, rates
from evenset.finetune.judging.yardstick import Yardstick, fpr_yardstick, tpr_yardstick

STICK = fpr_yardstick({"gay": (90, 50), "muslim": (80, 25), "sikh": (70, 8)}, total_n=2000, total_positive=200)


def overlapping(n: int = 600, *, seed: int = 3, probe: bool = False) -> pa.Table:
    """Test rows that name none, one or two terms; dev rows besides."""
    rng = np.random.default_rng(seed)
    sets = [[], ["gay"], ["muslim"], ["sikh"], ["gay", "muslim"], ["muslim", "sikh"], ["zoroastrian"]]
    part = {
        "id": [f"r{i}" for i in range(n)],
        "label": [str(int(v)) for v in rng.random(n) < 0.3],
        "groups": [sets[v] for v in rng.integers(0, len(sets), n)],
        "split": ["dev" if i % 3 == 0 else "probe" if probe and i % 3 == 1 else "test" for i in range(n)],
        "cluster": [[f"c{v}"] for v in rng.integers(0, 40, n)],
    }
    truth = np.array(part["label"]) == "1"
    tables = []
    for at in range(3):
        score = np.round(rng.normal(truth * 1.2, 1.0), 1)  # rounded, so that ties happen
        tables.append(pa.table({"arm": ["raw"] * n, "seed": [at] * n, "score": score, **part}))
    return pa.concat_tables(tables)


def brute_gap(table: pa.Table, seed: int, stick: Yardstick, split: str) -> tuple[float, dict[str, float]]:
    rows = [row for row in table.to_pylist() if row["seed"] == seed]
    dev = [row for row in rows if row["split"] == "dev"]
    base = sum(row["label"] == "1" for row in dev)
    best = min(
        [*sorted({row["score"] for row in dev}), math.inf],
        key=lambda t: (abs(sum(row["score"] >= t for row in dev) - base), -t),
    )
    fpr = {}
    for name in stick.used:
        mine = [row for row in rows if row["split"] == split and row["label"] == "0" and name in row["groups"]]
        fpr[name] = sum(row["score"] >= best for row in mine) / len(mine)
    total = sum(c**2 for c in stick.c)
    return sum(c * fpr[name] for name, c in zip(stick.used, stick.c, strict=True)) / total, fpr


@pytest.mark.parametrize("probe", [False, True])
def test_the_gap_is_the_one_that_loops_give(probe: bool) -> None:
    table = overlapping(1800 if probe else 900, probe=probe)
    scores = read(table)
    plan = design(scores, STICK)
    assert plan.split == ("probe" if probe else "test")
    found = measure(scores, plan)
    for at, run in enumerate(scores.runs):
        gap, fpr = brute_gap(table, run.seed, STICK, plan.split)
        assert found.runs[at].gap == pytest.approx(gap, abs=1e-12)
        assert plan.gap.values(found.hits_of([at]))[0] == pytest.approx(gap, abs=1e-12)
        table_of = {row.group: row for row in rates(found, CellContrasts.of(plan), [at])}
        for name, value in fpr.items():
            assert table_of[name].rate == pytest.approx(value)
        assert not table_of["zoroastrian"].in_gap


def test_secondary_endpoints_are_what_they_say() -> None:
    scores = read(overlapping(900))
    plan = design(scores, STICK)
    found = measure(scores, plan)
    items, first = scores.items["test"], found.runs[0]
    called = (scores.score["test"][0] >= first.threshold)[~items.is_label("1")]
    member = {name: items.member(name)[~items.is_label("1")] for name in items.groups}
    bare = ~np.any(list(member.values()), axis=0)
    mean = np.mean([called[member[name]].mean() for name in STICK.used])
    assert first.secondary["fpr_overall"] == pytest.approx(called.mean())
    assert first.secondary["fpr_neutral"] == pytest.approx(called[bare].mean())
    assert first.secondary["mean_fpr_minus_neutral"] == pytest.approx(mean - called[bare].mean())
    plug_in = np.mean([abs(called[member[name]].mean() - called.mean()) for name in STICK.used])
    assert first.secondary["mean_abs_gap"] == pytest.approx(plug_in)
    assert first.secondary["bpsn_slope"] == pytest.approx(-first.threshold_free)


def test_influence_is_the_change_when_a_cluster_is_left_out() -> None:
    """To first order: leaving out a cluster moves the gap by minus its summed influence, over 1 - its share."""
    scores = read(overlapping(3000))
    plan = design(scores, STICK)
    hits = measure(scores, plan).hits_of([0])
    contrast = plan.gap
    influence = contrast.influence(hits[0])
    assert influence.sum() == pytest.approx(0, abs=1e-12)
    whole = contrast.values(hits)[0]
    here = hits[0][contrast.rows]
    moved, predicted = [], []
    for cluster in np.unique(contrast.codes[0]):
        kept = contrast.codes[0] != cluster
        without = sum(
            a * here[cell[kept[cell]]].mean() for a, cell in zip(contrast.coefficients, contrast.cells, strict=True)
        )
        moved.append(whole - without)
        predicted.append(influence[~kept].sum())
    assert np.corrcoef(moved, predicted)[0, 1] > 0.999
    assert np.polyfit(predicted, moved, 1)[0] == pytest.approx(1, abs=0.1)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.7, 1.0]), min_size=1, max_size=12),
    st.integers(0, 12),
)
def test_the_threshold_takes_as_near_to_the_wanted_count_as_ties_allow(values: list[float], count: int) -> None:
    count = min(count, len(values))
    score = np.array(values)
    found = metrics.threshold_for_rate(score, count)
    miss = abs((score >= found).sum() - count)
    assert miss == min(abs((score >= t).sum() - count) for t in [*values, math.inf])
    higher = [t for t in [*values, math.inf] if t > found]
    assert all(abs((score >= t).sum() - count) > miss for t in higher)


def test_the_threshold_is_each_runs_own_from_its_dev_rows() -> None:
    table = overlapping()
    scores = read(table)
    found = measure(scores, design(scores, STICK))
    for at, run in enumerate(found.runs):
        dev = scores.score["dev"][at]
        assert run.threshold == metrics.threshold_for_rate(dev, int(scores.items["dev"].is_label("1").sum()))
    assert len({run.threshold for run in found.runs}) > 1
    assert found.threshold_source == "dev"


def test_an_increasing_transform_of_the_scores_changes_nothing() -> None:
    scores = read(overlapping())
    bent = ScoreSet(
        scores.runs,
        scores.items,
        {name: np.exp(values / 2) + 7 for name, values in scores.score.items()},
        {},
        scores.labels,
    )
    plan = design(scores, STICK)
    one, two = measure(scores, plan), measure(bent, plan)
    np.testing.assert_array_equal(one.hits, two.hits)
    for a, b in zip(one.runs, two.runs, strict=True):
        assert a.gap == b.gap
        assert a.threshold_free == pytest.approx(b.threshold_free)
        assert a.utility == pytest.approx(b.utility)


def pairs(up: np.ndarray, down: np.ndarray) -> float:
    if not (len(up) and len(down)):
        return math.nan
    return float(((up[:, None] > down) + 0.5 * (up[:, None] == down)).mean())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(1, 4)), min_size=2, max_size=25))
def test_auc_is_the_share_of_pairs_in_order(rows: list[tuple[int, bool, int]]) -> None:
    score, truth = np.array([r[0] for r in rows], float), np.array([r[1] for r in rows])
    weight = np.array([r[2] for r in rows])
    wanted = pairs(score[truth], score[~truth])
    assert metrics.auc(score, truth) == pytest.approx(wanted, nan_ok=True)
    value, influence = metrics.auc_influence(score, truth)
    assert value == pytest.approx(wanted, nan_ok=True)
    if not math.isnan(wanted):
        assert influence.sum() == pytest.approx(0, abs=1e-12)
    repeated = metrics.auc(np.repeat(score, weight), np.repeat(truth, weight))
    assert metrics.auc(score, truth, weight.astype(float)) == pytest.approx(repeated, nan_ok=True)


def test_the_auc_influence_gives_delongs_variance() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(400) < 0.4
    score = rng.normal(truth, 1.0)
    _, influence = metrics.auc_influence(score, truth)
    draws = []
    for _ in range(400):
        at = rng.integers(0, 400, 400)
        draws.append(metrics.auc(score[at], truth[at]))
    assert math.sqrt((influence**2).sum()) == pytest.approx(np.std(draws), rel=0.15)


def test_precision_and_f1_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random(300) < 0.2
    score = np.round(rng.normal(truth, 1.0), 1)
    assert metrics.average_precision(score, truth) == pytest.approx(reference.average_precision_score(truth, score))
    assert math.isnan(metrics.average_precision(score, np.zeros(300, bool)))
    label, called = rng.integers(0, 5, 300), rng.integers(0, 5, 300)
    called[:200] = label[:200]
    weight = rng.random(300)
    value, influence = metrics.macro_f1(label, called)
    assert value == pytest.approx(reference.f1_score(label, called, average="macro"))
    assert influence.sum() == pytest.approx(0, abs=1e-12)
    weighted = reference.f1_score(label, called, average="macro", sample_weight=weight)
    assert metrics.macro_f1(label, called, weight)[0] == pytest.approx(weighted)


def test_the_f1_influence_is_its_derivative() -> None:
    rng = np.random.default_rng(2)
    label, called = rng.integers(0, 3, 60), rng.integers(0, 3, 60)
    value, influence = metrics.macro_f1(label, called)
    for row in range(5):
        weight = np.ones(60)
        weight[row] += 1e-6
        slope = (metrics.macro_f1(label, called, weight)[0] - value) / 1e-6
        assert slope == pytest.approx(influence[row], abs=1e-5)


def test_background_aucs_are_those_that_pairs_give() -> None:
    scores = read(overlapping(300))
    items, score = scores.items["test"], scores.score["test"][0]
    truth = items.is_label("1")
    members = [items.member(name) for name in ("gay", "muslim", "sikh")]
    bpsn, bnsp = metrics.background_aucs(score, truth, members)
    for at, member in enumerate(members):
        assert bpsn[at] == pytest.approx(pairs(score[truth & ~member], score[~truth & member]))
        assert bnsp[at] == pytest.approx(pairs(score[truth & member], score[~truth & ~member]))
    assert np.isnan(metrics.background_aucs(score, truth, [truth])[0]).all()


def test_weights_of_independence_make_label_and_group_independent() -> None:
    rng = np.random.default_rng(4)
    pattern = rng.integers(0, 3, 900)
    label = (rng.random(900) < 0.2 + 0.2 * pattern).astype(int)
    weight = metrics.independence_weights(label, pattern)
    assert weight.mean() == pytest.approx(1)
    table = np.array([[weight[(label == y) & (pattern == a)].sum() for a in range(3)] for y in range(2)]) / 900
    np.testing.assert_allclose(table, np.outer(table.sum(1), table.sum(0)), atol=1e-12)


def bios(n: int = 4000, *, seed: int = 5, clusters: bool = False) -> tuple[pa.Table, Yardstick]:
    """Labels with more and fewer women; a model that recovers them better where they are usual."""
    rng = np.random.default_rng(seed)
    share = {"dj": 0.2, "nurse": 0.85, "poet": 0.5, "surgeon": 0.15}
    names = sorted(share)
    label = rng.choice(names, n)
    she = rng.random(n) < np.array([share[v] for v in label])
    hit = rng.random(n) < 0.7 + 0.3 * (np.array([share[v] for v in label]) - 0.4) * np.where(she, 1, -1)
    called = np.where(hit, label, rng.choice(names, n))
    table = pa.table(
        {
            "arm": ["raw"] * n,
            "id": [str(i) for i in range(n)],
            "label": label,
            "predicted": called,
            "group": np.where(she, "she", np.where(rng.random(n) < 0.95, "he", "they")),
            "score": rng.random(n),
            **({"cluster": [str(i // 8) for i in range(n)]} if clusters else {}),
        }
    )
    return table, tpr_yardstick({name: (int(1000 * s), int(1000 * (1 - s))) for name, s in share.items()})


def test_true_positive_gaps_are_those_that_loops_give() -> None:
    table, stick = bios()
    scores = read(table)
    plan = design(scores, stick)
    found = measure(scores, plan).runs[0]
    rows = table.to_pylist()
    gap, squares = {}, []
    for name in stick.used:
        tpr = {}
        for group in ("she", "he"):
            mine = [row for row in rows if row["label"] == name and row["group"] == group]
            tpr[group] = sum(row["predicted"] == name for row in mine) / len(mine), len(mine)
        gap[name] = tpr["she"][0] - tpr["he"][0]
        squares.append(gap[name] ** 2 - sum(p * (1 - p) / (n - 1) for p, n in tpr.values()))
    values = np.array([gap[name] for name in stick.used])
    assert found.gap == pytest.approx((stick.c * values).sum() / (stick.c**2).sum())
    assert found.gap > 0
    assert found.secondary["rms_gap"] == pytest.approx(np.sqrt((values**2).mean()))
    assert found.secondary["rms_gap_unbiased"] == pytest.approx(np.sqrt(np.mean(squares)))
    assert found.secondary["correlation"] == pytest.approx(np.corrcoef(values, stick.c)[0, 1])
    assert math.isnan(found.threshold_free)
    assert set(found.utility) == {"accuracy", "macro_f1", "macro_f1_independent"}


def test_without_a_gap_the_plug_in_is_its_null_value_and_the_unbiased_one_is_near_0() -> None:
    rng = np.random.default_rng(6)
    table, stick = bios(8000)
    label = np.array(table["label"].to_pylist())
    plug, null, square = [], [], []
    for _ in range(30):
        called = np.where(rng.random(len(label)) < 0.7, label, "other")
        scores = read(table.set_column(table.schema.get_field_index("predicted"), "predicted", pa.array(called)))
        found = measure(scores, design(scores, stick)).runs[0].secondary
        plug.append(found["rms_gap"] ** 2)
        null.append(found["rms_gap_null"] ** 2)
        square.append(np.sign(found["rms_gap_unbiased"]) * found["rms_gap_unbiased"] ** 2)
    assert np.mean(plug) == pytest.approx(np.mean(null), rel=0.5)
    assert abs(np.mean(square)) < 3 * np.std(square) / math.sqrt(30)


def test_labels_or_terms_without_enough_test_rows_are_left_out_aloud() -> None:
    table, stick = bios(300)
    with pytest.raises(InputError, match=r"two terms or labels.*under 30 test rows in a group: dj, nurse"):
        design(read(table), stick)
    scores = read(overlapping())
    rare = fpr_yardstick({"gay": (90, 50), "muslim": (80, 25), "ghost": (70, 8)}, total_n=2000, total_positive=200)
    assert design(scores, rare).stick.notes[-1] == "left out of the gap, under 30 harmless test rows: ghost"


def test_two_labels_have_a_threshold_free_recall_gap_of_the_same_sign() -> None:
    rng = np.random.default_rng(8)
    n = 3000
    she, truth = rng.random(n) < 0.5, rng.random(n) < 0.4
    score = rng.normal(1.5 * truth + 0.5 * np.where(she, 1, -1), 1.0)
    table = pa.table(
        {
            "arm": ["raw"] * n,
            "id": [str(i) for i in range(n)],
            "label": np.where(truth, "1", "0"),
            "group": np.where(she, "she", "he"),
            "score": score,
            "split": ["dev" if i % 3 == 0 else "test" for i in range(n)],
        }
    )
    scores = read(table)
    plan = design(scores, tpr_yardstick({"1": (300, 100), "0": (100, 300)}))
    found = measure(scores, plan).runs[0]
    assert found.gap > 0.2
    items, score = scores.items["test"], scores.score["test"][0]
    she, truth = items.member("she"), items.is_label("1")
    aucs = {
        "1": pairs(score[truth & she], score[~truth]) - pairs(score[truth & ~she], score[~truth]),
        "0": pairs(score[truth], score[~truth & she]) - pairs(score[truth], score[~truth & ~she]),
    }
    wanted = sum(a * aucs[name] for name, a in zip(plan.stick.used, plan.stick.coefficients, strict=True))
    assert found.threshold_free == pytest.approx(wanted)
    assert found.threshold_free > 0.1


def test_saturated_and_collapsed_runs_are_flagged() -> None:
    rng = np.random.default_rng(9)
    scores = simulate(rng, {"raw": Arm(0.4)}, seeds=2, skeletons=60)
    plan = design(scores, stick())
    fine = measure(scores, plan)
    assert not any(run.saturated or run.collapsed for run in fine.runs)
    low = scores.score["probe"].copy()
    low[0] -= 10
    noise = scores.score["test"].copy()
    noise[1] = rng.normal(size=noise.shape[1])
    changed = ScoreSet(scores.runs, scores.items, {**scores.score, "probe": low, "test": noise}, {}, scores.labels)
    found = measure(changed, plan)
    assert [run.saturated for run in found.runs] == [True, False]
    assert found.runs[0].collapsed == ""
    assert found.runs[1].collapsed.startswith("AUC 0.")


def test_one_run_gets_wilson_and_newcombe_on_rows_or_on_what_clusters_are_worth() -> None:
    for clusters in (False, True):
        table, stick = bios(clusters=clusters)
        if clusters:  # make rows of a cluster alike, so that clustering costs something
            label = np.array(table["label"].to_pylist())
            luck = np.random.default_rng(0).random(len(label) // 8).repeat(8) < 0.7
            table = table.set_column(
                table.schema.get_field_index("predicted"), "predicted", pa.array(np.where(luck, label, "dj"))
            )
        scores = read(table)
        plan = design(scores, stick)
        row = rates(measure(scores, plan), CellContrasts.of(plan), [0])[plan.find("she", "nurse")]
        _, low, high = (float(end) for end in wilson(row.rate * row.n, row.n))
        other = plan.cells[plan.find("he", "nurse")]
        gap = newcombe_difference(row.rate * row.n, row.n, (row.rate - row.gap) * other.n, other.n)
        if clusters:
            assert row.high - row.low > 1.2 * (high - low)
            assert "design effect" in row.method
        else:
            assert (row.low, row.high) == pytest.approx((low, high))
            assert (row.gap_low, row.gap_high) == pytest.approx((float(gap.low), float(gap.high)))
            assert "independent rows" in row.method


def test_cells_cover_terms_all_rows_and_bare_rows() -> None:
    scores = simulate(np.random.default_rng(0), {"raw": Arm(0.2)}, seeds=1, skeletons=40)
    plan = design(scores, stick())
    names = [cell.group for cell in plan.cells]
    assert names == [*TERMS, ALL, NEUTRAL]
    assert plan.gap.clusters.n == 40
    assert plan.coefficients[: len(TERMS)] @ IMBALANCE == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": ["x", "y"]}, "which label is positive"),
        ({"label": ["0", "2"], "positive": "1"}, '"1" does not occur'),
        ({"split": ["dev", "dev"]}, "no rows of split test or probe"),
        ({"label": ["0", "1"], "predicted": ["2", "0"]}, "need two labels"),
    ],
)
def test_scores_that_the_yardstick_cannot_measure_are_refused(change: dict[str, list[str]], message: str) -> None:
    change = dict(change)
    positive = change.pop("positive", None)
    columns = {"arm": ["raw"] * 2, "id": ["a", "b"], "label": ["0", "1"], "score": [0.1, 0.9], "group": ["gay", ""]}
    scores = read(pa.table(columns | change))
    neutral = Yardstick("fpr", STICK.entries)
    with pytest.raises(InputError, match=message):
        design(scores, neutral, positive=str(positive) if positive else None)


def test_a_recall_gap_needs_both_groups_and_more_than_one_cluster() -> None:
    table, stick = bios(600)
    lone = table.set_column(table.schema.get_field_index("group"), "group", pa.array(["she"] * 600))
    with pytest.raises(InputError, match='no test row of group "he"'):
        design(read(lone), stick)
    scores = read(overlapping().drop_columns("cluster").append_column("cluster", pa.array(["x"] * 1800)))
    with pytest.raises(InputError, match="one cluster"):
        design(scores, STICK)


def test_a_guard_that_does_not_fit_is_refused() -> None:
    table, stick = bios()
    scores = read(table)
    with pytest.raises(InputError, match="macro_f1"):
        measure(scores, design(scores, stick), guard="auc")
    with pytest.raises(InputError, match="unknown"):
        measure(scores, design(scores, stick), guard="f2")
    blind = read(table.drop_columns("predicted"))
    with pytest.raises(InputError, match='"predicted"'):
        measure(blind, design(blind, stick))
