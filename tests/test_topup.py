"""Top-up: each term and length bucket reaches the rate of all rows, from rows of the pool that are new."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import evenset.data
from evenset.curate import Curation, prepare, run
from evenset.curate.selection.topup import fill, needed
from evenset.data.config import Plan, parse
from evenset.data.errors import InputError


def plan(**step: object) -> Plan:
    return parse({"plan": {"p": {"step": [{"do": "topup", "axis": "identity", **step}]}}}).plan["p"]


def table(rows: list[tuple[str, str | None]]) -> pa.Table:
    return pa.table({"text": [text for text, _ in rows], "label": [label for _, label in rows]})


def pool(folder: Path, texts: list[str], name: str = "pool.csv") -> str:
    pacsv.write_csv(pa.table({"id": list(range(len(texts))), "comment": texts}), folder / name)
    return str(folder / name)


def data(*, gay: tuple[int, int] = (8, 2), rest: tuple[int, int] = (2, 28), long: bool = False) -> pa.Table:
    filler = " and so on" * 9 if long else ""
    rows: list[tuple[str, str | None]] = []
    for label, n_gay, n_rest in (("1", gay[0], rest[0]), ("0", gay[1], rest[1])):
        rows += [(f"a gay man {label} {number}{filler}", label) for number in range(n_gay)]
        rows += [(f"some man {label} {number}", label) for number in range(n_rest)]
    return table(rows)


def curate(rows: pa.Table, step: Plan, *, seed: int = 0, placebo: bool = False) -> Curation:
    opened = evenset.data.open(rows, text="text", label="label", positive="1")
    return run(opened, step, seed=seed, placebo=placebo)


def added(curation: Curation) -> list[str]:
    assert curation.rows is not None
    rows = curation.rows.to_pylist()
    return [row["text"] for row in rows if (row["evenset_parent"] or "").startswith("pool:")]


@given(st.integers(0, 500), st.integers(0, 500), st.floats(0.01, 0.99))
def test_needed_rows_bring_the_share_about(positive: int, other: int, share: float) -> None:
    more = needed(positive, other, share)
    assert more >= 0
    if more:
        total = positive + other + more
        assert abs((other + more) / total - share) <= 1 / total + 1e-9
    elif positive + other:
        assert other / (positive + other) >= share - 1 / (positive + other)


def test_a_term_reaches_the_rate_of_all_rows(tmp_path: Path) -> None:
    path = pool(tmp_path, [f"the gay choir {number}" for number in range(60)])
    curation = curate(data(), plan(pool=path))
    # 10 of 40 rows are positive; 8 of the term's 10: with a more, 8 / (10 + a) = 1/4.
    texts = added(curation)
    assert len(texts) == 22
    assert len(set(texts)) == 22
    report = curation.report["steps"][0]
    assert report["rate"] == 0.25
    assert report["short"] == 0
    assert report["cells"] == [{"group": "gay", "bucket": 0, "positive": 8, "other": 2, "wanted": 22, "added": 22}]
    rows = curation.rows.to_pylist() if curation.rows is not None else []
    assert all(row["label"] == "0" for row in rows[40:])
    assert rows[40]["evenset_parent"] == f"pool:{rows[40]['evenset_row']:016x}"


def test_a_target_of_ones_own(tmp_path: Path) -> None:
    path = pool(tmp_path, [f"the gay choir {number}" for number in range(60)])
    assert len(added(curate(data(), plan(pool=path, target=0.5)))) == 6
    with pytest.raises(InputError, match="rate above 0"):
        curate(data(), plan(pool=path, target=0.0))


def test_buckets_are_filled_each_by_itself(tmp_path: Path) -> None:
    short = [f"the gay choir {number}" for number in range(60)]
    path = pool(tmp_path, [*short, *(f"the gay choir {number}" + " sings well" * 8 for number in range(5))])
    curation = curate(data(long=True), plan(pool=path))
    assert len(added(curation)) == 5
    assert all(len(text) > 82 for text in added(curation))
    assert curation.report["steps"][0]["short"] == 17


def test_no_pool_row_twice_and_none_that_the_data_have(tmp_path: Path) -> None:
    texts = ["a gay man 1 0", "the gay choir", "the gay choir", "a gay and asian choir", "no such word"]
    curation = curate(data(), plan(pool=pool(tmp_path, texts)))
    assert sorted(added(curation)) == ["a gay and asian choir", "the gay choir"]


def test_two_steps_do_not_add_the_same_rows(tmp_path: Path) -> None:
    path = pool(tmp_path, [f"the gay choir {number}" for number in range(30)])
    steps = [{"do": "topup", "axis": "identity", "pool": path, "target": target} for target in (0.5, 0.25)]
    curation = curate(data(), parse({"plan": {"p": {"step": steps}}}).plan["p"])
    assert len(added(curation)) == len(set(added(curation))) == 22


def test_a_row_that_names_two_terms_counts_for_both() -> None:
    groups = ["a", "b"]
    counts = np.array([[5], [5]]), np.array([[0], [0]])
    member = np.array([[True, True]] * 4 + [[True, False]] * 3 + [[False, True]] * 3)
    rows, cells = fill(
        groups, *counts, 0.5, member=member, bucket=np.zeros(10, np.int8), free=np.ones(10, np.bool_),
        rank=np.arange(10, dtype=np.uint64),
    )  # fmt: skip
    assert rows.tolist() == [0, 1, 2, 3, 4, 7]
    assert [(cell.group, cell.wanted, cell.added) for cell in cells] == [("a", 5, 5), ("b", 1, 1)]


def test_another_seed_takes_other_rows(tmp_path: Path) -> None:
    path = pool(tmp_path, [f"the gay choir {number}" for number in range(60)])
    first, second = (set(added(curate(data(), plan(pool=path), seed=seed))) for seed in (0, 1))
    assert first != second
    assert len(first) == len(second)


def test_the_order_of_pool_and_data_does_not_matter(tmp_path: Path) -> None:
    texts = [f"the gay choir {number}" for number in range(60)]
    rows = data()
    one = curate(rows, plan(pool=pool(tmp_path, texts)))
    two = curate(rows.take(list(range(rows.num_rows))[::-1]), plan(pool=pool(tmp_path, texts[::-1], "back.csv")))
    assert set(added(one)) == set(added(two))


def test_the_placebo_adds_as_many_random_rows_per_bucket(tmp_path: Path) -> None:
    path = pool(tmp_path, [f"the gay choir {number}" for number in range(60)])
    other = pool(tmp_path, [f"whatever {number}" for number in range(80)], "random.csv")
    curation = curate(data(), plan(pool=path, placebo_pool=other), placebo=True)
    assert len(added(curation)) == 22
    assert all(text.startswith("whatever") for text in added(curation))
    assert curation.report["steps"][0]["buckets"][0] == 22
    with pytest.raises(InputError, match="placebo_pool"):
        curate(data(), plan(pool=path), placebo=True)


@pytest.mark.parametrize(
    ("step", "positive", "message"),
    [
        ({"label": "1"}, "1", "is the positive label"),
        ({}, None, "say it with --positive"),
        ({}, "2", 'no row has the positive label "2"'),
        ({"groups": ["gey"]}, "1", 'Did you mean "gay"?'),
        ({"axis": "column:label"}, "1", "only be searched for words"),
    ],
)
def test_what_cannot_be_done_is_said(
    step: dict[str, object], positive: str | None, message: str, tmp_path: Path
) -> None:
    rows = table([("a gay man", "b"), ("a man", "a"), ("a gay woman", "1")])
    opened = evenset.data.open(rows, text="text", label="label")
    with pytest.raises(InputError, match=message):
        run(opened, plan(**{"pool": pool(tmp_path, ["the gay choir"]), **step}), positive=positive)


@pytest.mark.parametrize("kind", ["bool", "threshold", "json numbers", "json strings"])
def test_added_rows_have_their_label_in_the_form_of_the_file(kind: str, tmp_path: Path) -> None:
    texts = data()["text"].to_pylist()
    positive = data()["label"].to_pylist()
    options: dict[str, Any] = {"positive": "1"}
    path = tmp_path / "in.jsonl"
    if kind == "bool":
        path = tmp_path / "in.parquet"
        pq.write_table(pa.table({"text": texts, "label": [label == "1" for label in positive]}), path)
        options = {"positive": "true"}
    elif kind == "threshold":
        path = tmp_path / "in.parquet"
        pq.write_table(pa.table({"text": texts, "label": [0.7 if label == "1" else 0.2 for label in positive]}), path)
        options = {"label_threshold": 0.5, "positive": "1"}
    else:
        value = int if kind == "json numbers" else str
        rows = [{"text": text, "label": value(label)} for text, label in zip(texts, positive, strict=True)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    opened = evenset.data.open(path, text="text", label="label", **options)
    step = plan(pool=pool(tmp_path, [f"the gay choir {number}" for number in range(60)]))
    curation = run(opened, step, out=tmp_path / "out")
    assert curation.report["steps"][0]["added"] == 22
    again = evenset.data.open(tmp_path / "out" / f"data{path.suffix}", text="text", label="label", **options)
    labels = [label for batch in again.batches() for label in batch.label.to_pylist()]
    assert labels[40:] == [curation.report["steps"][0]["label"]] * 22
    if kind.startswith("json"):
        last = json.loads((tmp_path / "out" / "data.jsonl").read_text().splitlines()[-1])
        assert type(last["label"]) is value


def test_with_three_labels_the_new_one_must_be_said(tmp_path: Path) -> None:
    rows = table([("a gay man", "b"), ("a man", "a"), ("a gay woman", "1")])
    opened = evenset.data.open(rows, text="text", label="label", positive="1")
    path = pool(tmp_path, ["the gay choir"])
    with pytest.raises(InputError, match="say with label"):
        run(opened, plan(pool=path))
    assert added(run(opened, plan(pool=path, label="a"))) == ["the gay choir"]


def test_a_missing_pool_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pool: .*nowhere\.csv"):
        curate(data(), plan(pool=str(tmp_path / "nowhere.csv")))


@pytest.mark.real
def test_dixons_pool_on_gab(shared_data: Path) -> None:
    gab = evenset.data.open(shared_data / "gab" / "train.csv", text="text", label="label", positive="1")
    step = plan(
        pool=str(shared_data / "dixon_topup" / "identity_snippets.tsv"),
        pool_text="comment",
        placebo_pool=str(shared_data / "dixon_topup" / "random_snippets.tsv"),
    )
    prepared = prepare(gab, ["identity"])
    real, placebo = run(prepared, step), run(prepared, step, placebo=True)
    buckets = [curation.report["steps"][0]["buckets"] for curation in (real, placebo)]
    assert sum(buckets[0]) > 500
    assert buckets[0] == buckets[1]
    for group, label in (("gay", "1"), ("queer", "1")):
        shares = {(item["group"], item["label"]): item["share"] for item in real.report["effect"]["identity"]["groups"]}
        assert shares[group, label]["after"] < shares[group, label]["before"]
