"""Weights as a pure function of counts, strata and caps in words, and rows in place of weights."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import evenset.data
from evenset.curate import Curation, prepare, restore, run
from evenset.curate.selection.copying import as_copies
from evenset.curate.selection.reweight import cramers_v, factors
from evenset.data.config import Plan, ReweightStep, parse
from evenset.data.errors import InputError

METHODS = ("kamiran-calders", "per-term", "inverse-propensity")
PATTERNS = [(), ("asian",), ("asian", "gay"), ("gay",)]
MEMBER = np.array([[False, False], [True, False], [True, True], [False, True]])
LABELS = ["0", "1", "2"]


def step(**options: object) -> ReweightStep:
    return ReweightStep.model_validate({"do": "reweight", "axis": "identity", **options})


def plan(**options: object) -> Plan:
    return parse({"plan": {"p": {"step": [{"do": "reweight", "axis": "identity", **options}]}}}).plan["p"]


full = hnp.arrays(np.float64, (3, 4, 5), elements=st.integers(1, 90))


@settings(max_examples=40, deadline=None)
@given(mass=full, method=st.sampled_from(METHODS), within=st.sampled_from([None, "length"]))
def test_without_a_cap_v_is_zero_and_both_margins_stay(mass: np.ndarray, method: str, within: str | None) -> None:
    found = factors(step(method=method, within=within, cap=1e9), mass, patterns=PATTERNS, labels=LABELS)
    after = mass * found.spread(5)
    parts = [after[:, :, at] for at in range(5)] if within else [after.sum(axis=2)]
    before = [mass[:, :, at] for at in range(5)] if within else [mass.sum(axis=2)]
    for part, old in zip(parts, before, strict=True):
        assert part.sum(axis=1) == pytest.approx(old.sum(axis=1), rel=1e-12)
        assert part.sum() == pytest.approx(old.sum(), rel=1e-12)
        if method == "per-term":
            assert (part @ MEMBER).sum(axis=0) == pytest.approx((old @ MEMBER).sum(axis=0), rel=1e-10)
            tables = [np.stack([part[:, side].sum(axis=1) for side in (m, ~m)], axis=1) for m in MEMBER.T]
        else:
            assert part.sum(axis=0) == pytest.approx(old.sum(axis=0), rel=1e-12)
            tables = [part]
        assert max(cramers_v(table) for table in tables) < 1e-12
    if method == "inverse-propensity":
        # Nor does the label go with the length, unless it is meant to.
        by_length = after.sum(axis=1)
        assert (cramers_v(by_length) < 1e-12) == (within is None) or cramers_v(mass.sum(axis=1)) < 1e-9
        assert by_length.sum(axis=0) == pytest.approx(mass.sum(axis=(0, 1)), rel=1e-12)


def test_inverse_propensity_is_the_stabilised_weight() -> None:
    rng = np.random.default_rng(0)
    mass = rng.integers(1, 40, (2, 3, 5)).astype(float)
    patterns = [(), ("a",), ("b",)]
    plain = factors(step(method="inverse-propensity", cap=1e9), mass, patterns=patterns).factor
    within = factors(step(method="inverse-propensity", within="length", cap=1e9), mass, patterns=patterns).factor
    share = mass.sum(axis=(1, 2)) / mass.sum()
    for label in range(2):
        for pattern in range(3):
            for bucket in range(5):
                propensity = mass[label, pattern, bucket] / mass[:, pattern, bucket].sum()
                assert plain[label, pattern, bucket] == pytest.approx(share[label] / propensity)
                own = mass[label, :, bucket].sum() / mass[:, :, bucket].sum()
                assert within[label, pattern, bucket] == pytest.approx(own / propensity)


def test_rare_cells_are_capped_named_and_warned_of() -> None:
    mass = np.array([[[2.0], [900.0]], [[60.0], [38.0]]])
    found = factors(step(cap=3), mass, patterns=[("gay",), ()], labels=["0", "1"])
    assert found.factor.max() <= 3 + 1e-12
    over = found.report["over"]
    assert over["cells"] == 1
    assert over["share"] == pytest.approx(2 / 1000)
    raw = 902 * 62 / 1000 / 2
    assert over["named"] == [{"label": "0", "groups": "gay", "bucket": None, "mass": 2.0, "factor": pytest.approx(raw)}]
    assert found.report["cramers_v"] > 0.1
    (note,) = found.notes
    assert "1 rare cell would weigh more than the cap of 3: 0 × gay (28)" in note
    curation_note = factors(step(cap=1000), mass, patterns=[("gay",), ()], labels=["0", "1"])
    assert curation_note.notes == []


def test_effective_rows_are_those_of_the_rows_one_by_one() -> None:
    mass = np.array([[[30.0], [10.0], [5.0]], [[10.0], [40.0], [5.0]]])
    found = factors(step(), mass, patterns=[(), ("a",), ("b",)])
    rows = np.repeat(found.factor.reshape(-1), mass.reshape(-1).astype(int))
    assert found.report["effective"]["all"] == pytest.approx(rows.sum() ** 2 / (rows**2).sum())
    mine = np.repeat(found.factor[:, 1, 0], [10, 40])
    assert found.report["effective"]["groups"]["a"] == pytest.approx(mine.sum() ** 2 / (mine**2).sum())


def test_one_label_and_no_weight_are_refused() -> None:
    with pytest.raises(InputError, match=r'same label "0".*--label'):
        factors(step(), np.array([[[3.0], [4.0]]]), patterns=[(), ("a",)], labels=["0"])
    with pytest.raises(InputError, match="--weight"):
        factors(step(), np.zeros((2, 2, 1)), patterns=[(), ("a",)])


# -- rows in place of weights ------------------------------------------------------------------------------------

TEXTS = {"gay": "a gay man", "asian": "an asian man", "none": "a man"}
RAW = {
    ("1", "gay"): 40, ("0", "gay"): 20, ("1", "asian"): 6, ("0", "asian"): 54, ("1", "none"): 30, ("0", "none"): 350,
}  # fmt: skip


def rows(extra: int = 0) -> pa.Table:
    made = [(f"{TEXTS[g]} {n}", label) for (label, g), number in RAW.items() for n in range(number)]
    made += [(f"a gay man of no label {n}", None) for n in range(extra)]
    return pa.table({"text": [text for text, _ in made], "label": [label for _, label in made]})


def curate(table: pa.Table, *, seed: int = 0, placebo: bool = False, **options: object) -> Curation:
    data = evenset.data.open(table, text="text", label="label")
    return run(data, plan(**options), seed=seed, placebo=placebo)


def counted(curation: Curation) -> Counter[tuple[str | None, str]]:
    assert curation.rows is not None
    return Counter(
        (label, text.rsplit(" ", 1)[0])
        for label, text in zip(curation.rows["label"].to_pylist(), curation.rows["text"].to_pylist(), strict=True)
    )


def test_counts_are_the_weights_within_a_row_a_cell() -> None:
    weights, copies = curate(rows(4)), curate(rows(4), as_copies=True)
    assert weights.rows is not None
    assert copies.rows is not None
    wanted: Counter[tuple[str | None, str]] = Counter()
    for row in weights.rows.to_pylist():
        wanted[row["label"], row["text"].rsplit(" ", 1)[0]] += row["weight"]
    got = counted(copies)
    for cell, number in wanted.items():
        assert abs(got[cell] - number) < 1 + 1e-9
    assert set(copies.rows["weight"].to_pylist()) == {1.0}
    assert got[None, "a gay man of no label"] == 4
    step = copies.report["steps"][0]
    assert step["cramers_v"]["after"] < 0.02 < step["cramers_v"]["before"]
    assert step["dropped"] > 0
    assert step["repeated"] > 0
    ops = Counter((entry["op"], entry["rule"]) for entry in copies.ledger.to_pylist())
    assert ops == {("drop", "reweight.v1"): step["dropped"], ("copy", "reweight.v1"): step["repeated"]}
    assert all(" × " in entry["reason"] for entry in copies.ledger.to_pylist())
    assert any('use column "weight"' in note for note in weights.report["notes"])
    assert not any('use column "weight"' in note for note in copies.report["notes"])


def test_the_expectation_is_the_weight() -> None:
    factor = np.array([0.3, 0.3, 1.6, 1.6, 1.6, 2.0])
    stratum = np.array([0, 0, 1, 1, 1, 2])
    keys = np.arange(6, dtype=np.uint64) * np.uint64(7919)
    drawn = np.array([as_copies(factor, stratum, ["a", "b", "c"], keys, salt=seed) for seed in range(4000)])
    assert np.abs(drawn.mean(axis=0) - factor).max() < 0.03
    assert (drawn[:, 5] == 2).all()
    assert (np.abs(drawn - factor) < 1).all()
    assert np.abs(drawn[:, :2].sum(axis=1) - 0.6).max() < 1
    assert set(drawn[:, 2:5].sum(axis=1).tolist()) == {4, 5}


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_neither_the_order_of_rows_nor_the_numbers_of_strata_matter(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 40))
    stratum = np.array(data.draw(st.lists(st.integers(-1, 2), min_size=n, max_size=n)))
    factor = np.where(stratum < 0, 1.0, np.array([0.4, 1.25, 3.1, 1.0])[stratum])
    keys = np.arange(n, dtype=np.uint64) * np.uint64(31)
    times = as_copies(factor, stratum, ["a", "b", "c"], keys, salt=1)
    order = np.array(data.draw(st.permutations(range(n))))
    assert (
        as_copies(factor[order], stratum[order], ["a", "b", "c"], keys[order], salt=1).tolist() == times[order].tolist()
    )
    renamed = np.where(stratum < 0, -1, 2 - stratum)
    assert as_copies(factor, renamed, ["c", "b", "a"], keys, salt=1).tolist() == times.tolist()


def test_copies_are_undone_by_the_ledger_and_write_no_weights(tmp_path: Path) -> None:
    pq.write_table(rows(), tmp_path / "in.parquet")
    data = evenset.data.open(tmp_path / "in.parquet", text="text", label="label")
    run(data, plan(as_copies=True), out=tmp_path / "out")
    written = pq.read_table(tmp_path / "out" / "data.parquet")
    assert written.column_names == ["text", "label", "evenset_parent"]
    back = restore(
        tmp_path / "out" / "data.parquet", tmp_path / "out" / "ledger.parquet", original=tmp_path / "in.parquet",
        out=tmp_path / "back",
    )  # fmt: skip
    assert pq.read_table(back).equals(pq.read_table(tmp_path / "in.parquet"))


def test_weights_of_the_data_stay_with_their_rows() -> None:
    table = rows().append_column("w", pa.array([1.0 + number % 3 for number in range(rows().num_rows)]))
    data = evenset.data.open(table, text="text", label="label", weight="w")
    curation = run(data, plan(as_copies=True))
    assert curation.rows is not None
    weight = {(row["text"], row["label"]): row["w"] for row in table.to_pylist()}
    assert all(row["weight"] == weight[row["text"], row["label"]] for row in curation.rows.to_pylist())
    assert curation.report["steps"][0]["cramers_v"]["after"] < 0.05


# -- placebos ----------------------------------------------------------------------------------------------------


def repeats(curation: Curation) -> dict[str, Counter[int]]:
    """By label, how many rows come how often."""
    assert curation.rows is not None
    times: Counter[tuple[str, int]] = Counter(
        zip(curation.rows["label"].to_pylist(), curation.rows["evenset_row"].to_pylist(), strict=True)
    )
    found: dict[str, Counter[int]] = {}
    for (label, _), number in times.items():
        found.setdefault(label, Counter())[number] += 1
    return found


RESAMPLE = [
    {"target": "independent"}, {"target": "independent", "method": "mixed"}, {"log_ratio": 0.2, "method": "mixed"},
    {"log_ratio": 0.5, "method": "over"}, {"rate": "overall"},
]  # fmt: skip


@pytest.mark.parametrize("options", [{"do": "reweight", "as_copies": True}, *RESAMPLE])
def test_a_placebo_drops_and_repeats_as_many_of_each_label_as_often(options: dict[str, object]) -> None:
    steps = parse({"plan": {"p": {"step": [{"do": "resample", "axis": "identity", **options}]}}}).plan["p"]
    prepared = prepare(evenset.data.open(rows(), text="text", label="label", positive="1"), ["identity"])
    real, placebo = run(prepared, steps), run(prepared, steps, placebo=True)
    assert repeats(real) == repeats(placebo)
    assert counted(real) != counted(placebo)
    assert real.report["steps"][0]["dropped"] == placebo.report["steps"][0]["dropped"]
    v = placebo.report["effect"]["identity"]["cramers_v"]
    # At random the association stays about what it was.
    assert v["after"] > 0.7 * v["before"]
    again = run(prepared, steps, placebo=True, seed=1)
    assert repeats(again) == repeats(run(prepared, steps, seed=1))
    assert counted(again) != counted(placebo)


def test_per_term_within_length_names_what_it_leaves_out() -> None:
    mass = np.ones((2, 2, 5)) * 8
    mass[1, 1, 2] = 0
    found = factors(step(method="per-term", within="length"), mass, patterns=[(), ("gay",)], labels=["0", "1"])
    assert found.report["left_out"] == ["gay"]
    assert "no weights can help groups without one of the labels: gay" in found.notes[0]
