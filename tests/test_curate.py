"""Running a plan: order, batches and repetition do not matter; outputs are whole or absent; the report is true."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evenset.data
from evenset.curate import ROWS, Curation, prepare, restore, run
from evenset.data.config import Plan, parse
from evenset.data.errors import InputError


def plan(*steps: dict[str, object]) -> Plan:
    return parse({"plan": {"p": {"step": list(steps)}}}).plan["p"]


SCRUB = {"do": "scrub", "axis": "pronouns", "groups": ["she"]}
RANDOM = {"do": "swap", "axis": "identity", "mode": "augment", "to": "random"}
OPPOSITE = {"do": "swap", "axis": "pronouns", "mode": "augment"}
LEVEL = {"do": "resample", "axis": "pronouns", "level": 1.0}
UNDER = {"do": "resample", "axis": "identity", "target": "independent"}
WEIGH = {"do": "reweight", "axis": "identity"}

PLANS = {
    "scrub": plan(SCRUB),
    "augment": plan(RANDOM, OPPOSITE),
    "level": plan(LEVEL),
    "all": plan(SCRUB, RANDOM, UNDER, WEIGH),
    "over": plan(RANDOM, {**LEVEL, "method": "over"}, WEIGH | {"method": "per-term"}),
}


def table(n: int = 60, *, labels: int = 2) -> pa.Table:
    who, whom = ("She", "He", "It"), ("a gay", "an asian", "a", "a")
    texts = [f"{who[number * 7 % 3]} met {whom[number * 5 % 4]} man, {number % 11}" for number in range(n)]
    return pa.table(
        {"text": texts, "label": [str(number * 3 % 7 % labels) for number in range(n)], "n": list(range(n))}
    )


def opened(rows: pa.Table) -> evenset.data.Dataset:
    return evenset.data.open(rows, text="text", label="label")


def kept(curation: Curation) -> Counter[tuple[Any, ...]]:
    """The rows as a multiset, root keys included."""
    assert curation.rows is not None
    columns = ["text", "label", "evenset_row", "evenset_parent", "weight"]
    return Counter(tuple(row[name] for name in columns) for row in curation.rows.select(columns).to_pylist())


@pytest.mark.parametrize("placebo", [False, True])
@pytest.mark.parametrize("name", PLANS)
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_the_order_of_the_rows_never_matters(name: str, placebo: bool, data: st.DataObject) -> None:
    rows = table()
    order = data.draw(st.permutations(range(rows.num_rows)))
    straight = kept(run(opened(rows), PLANS[name], seed=3, placebo=placebo))
    assert kept(run(opened(rows.take(order)), PLANS[name], seed=3, placebo=placebo)) == straight


@pytest.mark.parametrize("placebo", [False, True])
@pytest.mark.parametrize("name", PLANS)
def test_batch_boundaries_never_matter(name: str, placebo: bool, tmp_path: Path) -> None:
    # A batch never reaches over the end of a file.
    rows = table()
    cuts = [0, 1, 17, 40, 60]
    for part, (low, high) in enumerate(pairwise(cuts)):
        pq.write_table(rows.slice(low, high - low), tmp_path / f"part{part}.parquet")
    whole = run(opened(rows), PLANS[name], seed=1, placebo=placebo)
    cut = run(
        evenset.data.open(str(tmp_path / "part*.parquet"), text="text", label="label"),
        PLANS[name],
        seed=1,
        placebo=placebo,
    )
    assert whole.rows is not None
    assert cut.rows is not None
    assert cut.rows.combine_chunks().equals(whole.rows.combine_chunks())
    assert cut.ledger.combine_chunks().equals(whole.ledger.combine_chunks())
    effects = [curation.report["effect"] for curation in (whole, cut)]
    assert effects[0] == effects[1]


@pytest.mark.parametrize("name", PLANS)
def test_files_hold_what_memory_holds(name: str, tmp_path: Path) -> None:
    rows = table()
    inside = run(opened(rows), PLANS[name], seed=2)
    outside = run(opened(rows), PLANS[name], seed=2, out=tmp_path)
    written = pq.read_table(tmp_path / "data.parquet")
    assert inside.rows is not None
    assert written["text"].to_pylist() == inside.rows["text"].to_pylist()
    assert written["label"].to_pylist() == inside.rows["label"].to_pylist()
    if "weight" in written.schema.names:
        assert written["weight"].to_pylist() == inside.rows["weight"].to_pylist()
    if "evenset_parent" in written.schema.names:
        assert written["evenset_parent"].to_pylist() == inside.rows["evenset_parent"].to_pylist()
    assert outside.rows is None
    assert outside.ledger.equals(inside.ledger.combine_chunks())
    assert outside.report["counts"] == inside.report["counts"]
    assert json.loads((tmp_path / "curation.json").read_text())["counts"] == inside.report["counts"]


def test_prepared_rows_serve_many_seeds() -> None:
    rows = table()
    prepared = prepare(opened(rows), ["pronouns", "identity"])
    for name, steps in PLANS.items():
        for seed in (0, 1):
            for placebo in (False, True):
                fresh = kept(run(opened(rows), steps, seed=seed, placebo=placebo))
                assert kept(run(prepared, steps, seed=seed, placebo=placebo)) == fresh, name
    # An axis that was not asked for is scanned when a plan names it.
    narrow = prepare(opened(rows), ["pronouns"])
    assert kept(run(narrow, PLANS["all"])) == kept(run(prepared, PLANS["all"]))


def test_identical_rows_are_told_apart_by_number_only() -> None:
    rows = pa.table({"text": ["She", "He", "She", "She", "He"], "label": ["a"] * 5})
    found = kept(run(opened(rows), PLANS["level"]))
    assert Counter(text for text, *_ in found.elements()) == {"She": 2, "He": 2}
    assert max(found.values()) == 1


def test_ids_name_the_rows() -> None:
    rows = table().append_column("id", pa.array([f"r{number}" for number in range(60)]))
    data = evenset.data.open(rows, text="text", label="label", id="id")
    changed = rows.set_column(0, "text", pa.array([text + "!" for text in rows["text"].to_pylist()]))
    other = evenset.data.open(changed, text="text", label="label", id="id")
    first, second = run(data, PLANS["level"]).rows, run(other, PLANS["level"]).rows
    assert first is not None
    assert second is not None
    assert first["evenset_row"].to_pylist() == second["evenset_row"].to_pylist()


def test_the_columns_in_memory_are_the_contract() -> None:
    curation = run(opened(table()), PLANS["all"])
    assert curation.rows is not None
    assert curation.rows.schema == ROWS
    assert ROWS.names == ["text", "label", "weight", "evenset_row", "evenset_parent", "bucket"]


def test_unchanged_rows_are_byte_identical(tmp_path: Path) -> None:
    lines = [
        b'{ "text" :"She ran\\u0021",  "label": "a", "n": 1e5}', b'{"text": "It\\/ ran.", "label": "b", "n": 1.50}',
        b'{"label": "a", "text": null}',
    ]  # fmt: skip
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    data = evenset.data.open(tmp_path / "in.jsonl", text="text", label="label")
    run(data, PLANS["scrub"], out=tmp_path / "out")
    written = (tmp_path / "out" / "data.jsonl").read_bytes().split(b"\n")
    assert written[0] == b'{ "text" :"_ ran!",  "label": "a", "n": 1e5}'
    assert written[1:3] == lines[1:]


def test_the_length_bucket_is_that_of_the_raw_text() -> None:
    rows = [{"text": "she " * 30, "label": "a"}, {"text": "she", "label": "b"}]
    curation = run(evenset.data.open(rows, text="text", label="label"), plan({**SCRUB, "with": "drop"}))
    assert curation.rows is not None
    assert curation.rows["text"].to_pylist() == [" ", ""] or curation.rows["text"].to_pylist() == ["", ""]
    assert curation.rows["bucket"].to_pylist() == [1, 0]


def test_swapped_copies_count_with_the_groups_of_their_own_words() -> None:
    cells = [("She", "nurse", 9), ("He", "judge", 6), ("She", "judge", 1)]
    rows = [{"text": f"{word} works {n}", "label": label} for word, label, count in cells for n in range(count)]
    report = run(evenset.data.open(rows, text="text", label="label"), plan(OPPOSITE)).report
    assert report["effect"]["pronouns"]["cramers_v"]["before"] > 0.7
    assert report["effect"]["pronouns"]["cramers_v"]["after"] == pytest.approx(0, abs=1e-7)


def test_the_effect_from_the_cells_is_what_an_audit_of_the_result_finds(tmp_path: Path) -> None:
    curation = run(opened(table(300)), plan(UNDER, WEIGH), out=tmp_path)
    rates = {
        (found["group"], found["label"]): found["after"]["estimate"]
        for found in curation.report["findings"]
        if found["measure"] == "label_rate" and found["axis"] == "identity" and found["after"]
    }
    shares = {
        (item["group"], item["label"]): item["share"]["after"]
        for item in curation.report["effect"]["identity"]["groups"]
    }
    both = set(rates) & set(shares)
    assert ("gay", "1") in both
    for cell in both:
        assert rates[cell] == pytest.approx(shares[cell], abs=1e-6)


def test_findings_before_and_after_show_a_scrub(tmp_path: Path) -> None:
    report = run(opened(table(300)), plan({"do": "scrub", "axis": "pronouns"}), out=tmp_path).report
    shown = {found["id"]: found for found in report["findings"]}["representation:pronouns:she:"]
    assert shown["before"]["estimate"] > 0.2
    assert shown["after"] is None or shown["after"]["estimate"] == 0
    assert shown["before"]["low"] < shown["before"]["estimate"] < shown["before"]["high"]
    quiet = run(
        opened(table(300)), plan({"do": "scrub", "axis": "pronouns"}), out=tmp_path / "quiet", audited=False
    ).report
    assert "findings" not in quiet


@pytest.mark.parametrize("name", PLANS)
def test_a_dry_run_says_what_would_be_and_writes_nothing(name: str, tmp_path: Path) -> None:
    dry = run(opened(table()), PLANS[name], dry_run=True, out=tmp_path / "out")
    real = run(opened(table()), PLANS[name], out=tmp_path / "out2", audited=False)
    assert not (tmp_path / "out").exists()
    assert dry.rows is None
    assert dry.report["counts"] == real.report["counts"]
    assert dry.report["steps"] == real.report["steps"]
    assert dry.report["effect"] == real.report["effect"]
    assert dry.report["output"]["rows"] == real.report["output"]["rows"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError])
def test_nothing_is_half_written(failure: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    run(opened(table()), PLANS["scrub"], out=out, audited=False)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr("evenset.curate.writing.write._written", fail)
    with pytest.raises(failure):
        run(opened(table()), PLANS["all"], out=out, audited=False)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    with pytest.raises(failure):
        run(opened(table()), PLANS["all"], out=tmp_path / "new", audited=False)
    assert not (tmp_path / "new").exists()


def test_a_goal_out_of_reach_writes_nothing(tmp_path: Path) -> None:
    rows = [{"text": "She works", "label": "nurse"}, {"text": "He works", "label": "judge"}]
    with pytest.raises(InputError, match="cannot be"):
        run(evenset.data.open(rows, text="text", label="label"), PLANS["level"], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_curating_twice_is_refused_where_it_could_not_be_undone(tmp_path: Path) -> None:
    run(opened(table()), PLANS["over"], out=tmp_path / "once")
    again = evenset.data.open(tmp_path / "once" / "data.parquet", text="text", label="label", weight="weight")
    with pytest.raises(InputError, match=r"evenset_parent.*curated already"):
        run(again, PLANS["scrub"], out=tmp_path / "twice")
    run(opened(table()), plan(WEIGH), out=tmp_path / "weights")
    unsaid = evenset.data.open(tmp_path / "weights" / "data.parquet", text="text", label="label")
    if unsaid.columns.weight is None:
        with pytest.raises(InputError, match="--weight weight"):
            run(unsaid, plan(WEIGH), out=tmp_path / "twice")


def test_a_hugging_face_folder_stays_one(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = table()
    datasets.Dataset(rows).save_to_disk(str(tmp_path / "hf"))
    data = evenset.data.open(tmp_path / "hf", text="text", label="label")
    run(data, PLANS["augment"], out=tmp_path / "out")
    loaded = datasets.load_from_disk(str(tmp_path / "out" / "data"))
    assert "evenset_parent" in loaded.column_names
    back = restore(tmp_path / "out" / "data", tmp_path / "out" / "ledger.parquet", out=tmp_path / "back")
    again = datasets.load_from_disk(str(back))
    assert again.column_names == rows.column_names
    assert again.to_dict() == rows.to_pydict()


def test_results_show_and_save_themselves(tmp_path: Path) -> None:
    curation = run(opened(table()), PLANS["all"])
    assert "60 rows in" in curation.summary()
    assert "<pre>" in curation._repr_html_()
    assert len(curation.to_frame()) == curation.ledger.num_rows
    curation.save(tmp_path)
    assert pq.read_table(tmp_path / "rows.parquet").num_rows == curation.report["output"]["rows"]
    assert json.loads((tmp_path / "curation.json").read_text()) == json.loads(json.dumps(curation.to_dict()))


def test_an_unknown_axis_is_suggested() -> None:
    with pytest.raises(InputError, match='Did you mean "pronouns"'):
        run(opened(table()), plan({"do": "scrub", "axis": "pronoun"}))


@pytest.mark.real
def test_gab_plans_move_the_association_and_their_placebos_do_not(shared_data: Path) -> None:
    gab = evenset.data.open(shared_data / "gab" / "train.csv", text="text", label="label", positive="1")
    prepared = prepare(gab, ["identity"])
    for steps in (plan(UNDER), plan(WEIGH), plan(WEIGH | {"method": "per-term"})):
        real, placebo = (
            run(prepared, steps, placebo=placebo).report["effect"]["identity"]["cramers_v"] for placebo in (False, True)
        )
        assert real["after"] < 0.25 * real["before"]
        assert placebo["after"] > 0.9 * placebo["before"]
    scrubbed = run(prepared, plan({"do": "scrub", "axis": "identity"}))
    assert scrubbed.rows is not None
    again = prepare(
        evenset.data.open(scrubbed.rows.select(["text", "label"]), text="text", label="label"), ["identity"]
    )
    assert run(again, plan({"do": "scrub", "axis": "identity"})).ledger.num_rows == 0
    assert np.mean(scrubbed.rows["weight"].to_numpy()) == 1
