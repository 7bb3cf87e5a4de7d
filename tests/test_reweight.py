"""Weights: group and label independent, both margins kept, the cap held, input weights counted in."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import evenset.data
from evenset.curate import Curation, run
from evenset.curate.selection.reweight import capped, cramers_v, factors, kamiran_calders, per_term
from evenset.data.config import Plan, ReweightStep, parse
from evenset.data.errors import InputError

TEXTS = {"gay": "a gay man", "asian": "an asian man", "both": "a gay asian", "none": "a man"}


def plan(**step: object) -> Plan:
    return parse({"plan": {"p": {"step": [{"do": "reweight", "axis": "identity", **step}]}}}).plan["p"]


def curate(counts: dict[tuple[str, str], int], *, placebo: bool = False, seed: int = 0, **step: object) -> Curation:
    rows = [(label, f"{TEXTS[group]} {number}") for (label, group), n in counts.items() for number in range(n)]
    table = pa.table({"text": [text for _, text in rows], "label": [label for label, _ in rows]})
    return run(evenset.data.open(table, text="text", label="label"), plan(**step), placebo=placebo, seed=seed)


def weighted(curation: Curation) -> dict[tuple[str, str], float]:
    assert curation.rows is not None
    starts = {text: group for group, text in TEXTS.items()}
    sums: dict[tuple[str, str], float] = {}
    for row in curation.rows.to_pylist():
        cell = (row["label"], starts[row["text"].rsplit(" ", 1)[0]])
        sums[cell] = sums.get(cell, 0.0) + row["weight"]
    return sums


RAW = {
    ("1", "gay"): 20, ("0", "gay"): 20, ("1", "asian"): 6, ("0", "asian"): 34, ("1", "both"): 5, ("0", "both"): 3,
    ("1", "none"): 30, ("0", "none"): 270,
}  # fmt: skip
SHARE = 61 / 388


def test_kamiran_calders_makes_sets_of_groups_independent_of_the_label() -> None:
    curation = curate(RAW)
    sums = weighted(curation)
    for group in TEXTS:
        n = RAW[("0", group)] + RAW[("1", group)]
        assert sums[("0", group)] + sums[("1", group)] == pytest.approx(n)
        assert sums[("1", group)] == pytest.approx(n * SHARE)
    assert curation.report["effect"]["identity"]["cramers_v"]["after"] == pytest.approx(0, abs=1e-7)
    step = curation.report["steps"][0]
    assert step["capped"] == 0
    assert step["label_off"] == pytest.approx(0, abs=1e-12)
    weights = curation.rows["weight"].to_numpy() if curation.rows is not None else np.zeros(0)
    assert weights.mean() == pytest.approx(1)
    assert step["effective_rows"] == pytest.approx(weights.sum() ** 2 / (weights**2).sum())


def test_per_term_gives_every_term_the_rate_of_all_rows() -> None:
    curation = curate(RAW, method="per-term")
    sums = weighted(curation)
    for groups in (("gay", "both"), ("asian", "both")):
        positive, rest = (sum(sums[(label, group)] for group in groups) for label in "10")
        assert positive / (positive + rest) == pytest.approx(SHARE, abs=1e-6)
    assert curation.report["steps"][0]["converged"]
    total = sum(sums[("1", group)] for group in TEXTS)
    assert total == pytest.approx(61)


def test_a_term_without_one_of_the_labels_is_left_out_and_named() -> None:
    counts = RAW | {("1", "asian"): 0, ("1", "both"): 0}
    report = curate(counts, method="per-term").report["steps"][0]
    assert report["left_out"] == ["asian"]
    assert report["converged"]


cells = hnp.arrays(np.float64, st.tuples(st.integers(2, 4), st.integers(2, 5)), elements=st.integers(1, 200))


@given(cells)
def test_both_margins_stay_and_the_association_goes(mass: np.ndarray) -> None:
    after = mass * kamiran_calders(mass)
    assert after.sum(axis=0) == pytest.approx(mass.sum(axis=0))
    assert after.sum(axis=1) == pytest.approx(mass.sum(axis=1))
    assert cramers_v(after) == pytest.approx(0, abs=1e-7)


@given(cells, st.data())
def test_raking_converges_to_the_rate_of_all_rows(mass: np.ndarray, data: st.DataObject) -> None:
    member = np.array([[data.draw(st.booleans()) for _ in range(3)] for _ in range(mass.shape[1])])
    assume(((member.sum(axis=0) > 0) & (member.sum(axis=0) < len(member))).all())
    raked = per_term(mass, member)
    after = mass * raked.factor
    share = mass.sum(axis=1) / mass.sum()
    for group in range(3):
        table = after[:, member[:, group]].sum(axis=1)
        assert table / table.sum() == pytest.approx(share, abs=1e-5)
    assert after.sum() == pytest.approx(mass.sum())


@given(cells, st.floats(1.05, 5))
def test_the_cap_holds_and_the_mean_is_one(mass: np.ndarray, cap: float) -> None:
    factor = capped(kamiran_calders(mass), mass, cap)
    assert factor.max() <= cap * (1 + 1e-12)
    assert (factor * mass).sum() == pytest.approx(mass.sum())


def test_rows_at_the_cap_are_counted_and_the_margins_told() -> None:
    counts = {("1", "gay"): 50, ("0", "gay"): 2, ("1", "none"): 10, ("0", "none"): 338}
    report = curate(counts, cap=2).report["steps"][0]
    assert report["capped"] > 0
    assert report["most"] == pytest.approx(2)
    assert report["label_off"] > 0.01


def test_what_the_cap_leaves_is_told_beside_what_the_weights_leave() -> None:
    # Two buckets, each unlike the other: weights within buckets leave an association over all of them.
    mass = np.array([[[50.0, 5.0], [10.0, 300.0]], [[2.0, 60.0], [338.0, 20.0]]])
    cells = {"patterns": [(), ("gay",)], "labels": ["0", "1"]}
    step = ReweightStep.model_validate({"do": "reweight", "axis": "identity", "within": "length", "cap": 2})
    found = factors(step, mass, **cells)
    free = factors(step.model_copy(update={"cap": 1e6}), mass, **cells)
    assert free.report["cramers_v"] > 0.01
    assert found.report["cramers_v_uncapped"] == pytest.approx(free.report["cramers_v"])
    assert free.report["cramers_v_within"]["after"] == pytest.approx(0, abs=1e-9)
    assert found.report["cramers_v_within"]["after"] > 0.01
    more = found.report["cramers_v"] - free.report["cramers_v"]
    assert f"the cap changes the Cramér's V that is left by {more:+.3g}" in found.notes[0]
    assert "within length buckets by +" in found.notes[0]


def test_input_weights_multiply() -> None:
    rows = [
        ("1", "a gay man", 2.0),
        ("0", "a gay man", 1.0),
        ("1", "a man", 1.0),
        ("0", "a man", 6.0),
        ("0", "a man", 0.0),
    ]
    table = pa.table({"text": [r[1] for r in rows], "label": [r[0] for r in rows], "w": [r[2] for r in rows]})
    curation = run(evenset.data.open(table, text="text", label="label", weight="w"), plan())
    assert curation.rows is not None
    weight = curation.rows["weight"].to_numpy()
    assert weight.mean() == pytest.approx(1)
    assert weight[4] == 0
    assert weight[0] / (weight[0] + weight[1]) == pytest.approx(0.3)
    assert weight[2] / (weight[2] + weight[3]) == pytest.approx(0.3)


def test_rows_without_a_label_weigh_one() -> None:
    rows = [("1", "a gay man"), ("0", "a gay man"), ("1", "a man"), ("0", "a man"), ("0", "a man"), (None, "a man")]
    table = pa.table({"text": [r[1] for r in rows], "label": [r[0] for r in rows]})
    curation = run(evenset.data.open(table, text="text", label="label"), plan())
    assert curation.rows is not None
    assert curation.rows["weight"].to_pylist()[-1] == 1


def test_weights_need_labels() -> None:
    data = evenset.data.open([{"text": "a gay man"}, {"text": "a man"}], text="text")
    with pytest.raises(InputError, match="--label"):
        run(data, plan())


def test_the_placebo_deals_the_same_weights_out_within_each_label() -> None:
    real, placebo = curate(RAW), curate(RAW, placebo=True)
    assert real.rows is not None
    assert placebo.rows is not None
    for label in "01":
        mine = [
            np.sort(rows["weight"].to_numpy()[np.array(rows["label"].to_pylist()) == label])
            for rows in (real.rows, placebo.rows)
        ]
        assert mine[0] == pytest.approx(mine[1])
    assert placebo.report["effect"]["identity"]["cramers_v"]["after"] > 0.1
    again = curate(RAW, placebo=True, seed=1)
    assert again.rows is not None
    assert again.rows["weight"].to_pylist() != placebo.rows["weight"].to_pylist()
