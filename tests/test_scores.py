"""The seam of finetune: any trainer's scores are read, checked and aligned, or refused with one clear message."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenset.data.errors import InputError
from evenset.finetune.judging import scores as seam
from evenset.finetune.judging.scores import SCORES, concat, load, normalise, read, write


def foreign(**changes: list[object]) -> pa.Table:
    columns: dict[str, list[object]] = {
        "arm": ["raw", "raw", "swap", "swap"],
        "seed": [0, 0, 0, 0],
        "id": ["a", "b", "b", "a"],
        "label": ["0", "1", "1", "0"],
        "score": [0.1, 0.9, 0.8, 0.2],
        "group": ["gay|muslim", None, None, "muslim|gay"],
    }
    return pa.table({name: values for name, values in (columns | changes).items() if values})


def test_runs_are_aligned_on_shared_rows_whatever_their_order() -> None:
    scores = read(foreign())
    assert [str(run) for run in scores.runs] == [
        "arm raw, upstream pretrained, seed 0",
        "arm swap, upstream pretrained, seed 0",
    ]
    items = scores.items["test"]
    assert items.ids.to_pylist() == ["a", "b"]
    np.testing.assert_array_equal(scores.score["test"], [[0.1, 0.9], [0.2, 0.8]])
    assert items.groups == ("gay", "muslim")
    np.testing.assert_array_equal(items.member("gay"), [True, False])
    np.testing.assert_array_equal(items.is_label("1"), [False, True])
    np.testing.assert_array_equal(items.is_label("nowhere"), [False, False])
    assert scores.arms == ("raw", "swap")


def test_groups_as_text_and_as_list_are_the_same() -> None:
    text = read(foreign()).items["test"]
    lists = read(foreign(group=[], groups=[["muslim", "gay"], [], None, ["gay", "muslim", "gay"]])).items["test"]
    assert [text.patterns[code] for code in text.pattern] == [lists.patterns[code] for code in lists.pattern]


@pytest.mark.parametrize("missing", ["id", "label"])
def test_a_missing_column_is_named(missing: str) -> None:
    with pytest.raises(InputError, match=f'no column "{missing}"'):
        read(foreign(**{missing: []}))


def test_a_misspelt_column_brings_a_suggestion() -> None:
    with pytest.raises(InputError, match='Did you mean "lable"'):
        read(foreign(label=[], lable=["0", "1", "1", "0"]))


def test_scores_or_predictions_are_needed_and_either_is_enough() -> None:
    with pytest.raises(InputError, match=r'"score" .* or "prediction"'):
        read(foreign(score=[]))
    scores = read(foreign(score=[], predicted=["0", "1", "1", "1"]))
    assert not scores.score
    np.testing.assert_array_equal(scores.predicted["test"], [[0, 1], [1, 1]])


@pytest.mark.parametrize("bad", [None, float("nan"), float("inf")])
def test_a_score_that_is_no_number_names_arm_seed_and_row(bad: float | None) -> None:
    with pytest.raises(InputError, match=r'arm swap, upstream pretrained, seed 0, split test, id "b"'):
        read(foreign(score=[0.1, 0.2, bad, 0.3]))


def test_a_prediction_left_out_is_named() -> None:
    with pytest.raises(InputError, match=r'no prediction.*arm raw.*id "b"'):
        read(foreign(predicted=["0", None, "1", "1"]))


def test_an_id_that_repeats_within_a_run_is_refused() -> None:
    with pytest.raises(InputError, match=r'id "a" occurs twice in arm raw'):
        read(foreign(id=["a", "a", "b", "a"]))


def test_runs_on_different_rows_are_named() -> None:
    with pytest.raises(InputError, match=r"arm raw, .* has 2, arm swap, .* has 2 .*\"[bc]\""):
        read(foreign(id=["a", "b", "c", "a"]))


def test_a_run_without_a_split_that_others_have_is_refused() -> None:
    with pytest.raises(InputError, match="different rows of split"):
        read(foreign(split=["dev", "test", "test", "test"]))


@pytest.mark.parametrize(
    ("column", "values", "what"),
    [
        ("label", ["0", "1", "0", "0"], "label"),
        ("group", ["x", None, None, "y"], "groups"),
        ("cluster", ["x", "y", "y", "z"], "cluster"),
    ],
)
def test_a_row_that_differs_between_runs_is_refused(column: str, values: list[object], what: str) -> None:
    with pytest.raises(InputError, match=f'id "[ab]".*another {what}'):
        read(foreign(**{column: values}))


def test_clusters_may_be_given_in_several_ways() -> None:
    items = read(foreign(cluster=["ann|kind", "bob|kind", "bob|kind", "ann|kind"])).items["test"]
    np.testing.assert_array_equal(items.clusters, [[0, 1], [0, 0]])
    with pytest.raises(InputError, match=r"\[1, 2\] entries"):
        read(foreign(cluster=["ann|kind", "bob", "bob", "ann|kind"]))


def test_without_clusters_every_row_stands_alone() -> None:
    np.testing.assert_array_equal(read(foreign()).items["test"].clusters, [[0, 1]])


def test_an_unknown_split_and_an_empty_table_are_refused() -> None:
    with pytest.raises(InputError, match=r'split "tset" is unknown.*Did you mean "test"'):
        read(foreign(split=["tset"] * 4))
    with pytest.raises(InputError, match="no rows"):
        read(foreign().slice(0, 0))


def test_one_run_is_the_placebo_of_one_arm() -> None:
    with pytest.raises(InputError, match="placebo_of"):
        read(foreign(placebo_of=["x", "y", "", ""]))
    assert read(foreign(placebo_of=["", "", "raw", "raw"])).runs[1].placebo_of == "raw"


def test_labels_that_became_numbers_meet_their_names() -> None:
    assert read(foreign(label=[0.0, 1.0, 1.0, 0.0])).labels == ("0", "1")
    assert read(foreign(label=[False, True, True, False])).labels == ("false", "true")


def test_a_row_without_a_label_is_named() -> None:
    with pytest.raises(InputError, match=r'row 3 has no "label"'):
        read(foreign(label=["0", "1", None, "0"]))


def test_an_unreadable_value_is_refused() -> None:
    with pytest.raises(InputError, match='column "seed" cannot be read'):
        read(foreign(seed=["zero"] * 4))


@pytest.mark.parametrize("name", ["scores.csv", "scores.parquet", "runs/raw/0.scores.parquet"])
def test_files_give_what_the_table_gives(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".csv"):
        foreign().to_pandas().to_csv(path, index=False)
    else:
        pq.write_table(foreign(), path)
    found = read(path if "/" not in name else tmp_path / "runs")
    wanted = read(foreign())
    assert found.runs == wanted.runs
    np.testing.assert_array_equal(found.score["test"], wanted.score["test"])
    assert found.items["test"].groups == wanted.items["test"].groups


def test_a_data_frame_is_read() -> None:
    np.testing.assert_array_equal(read(foreign().to_pandas()).score["test"], read(foreign()).score["test"])


def test_write_and_load_are_inverse_and_keep_the_schema(tmp_path: Path) -> None:
    table = normalise(foreign(cluster=["x|y"] * 4))
    assert load(write(table, tmp_path / "s.parquet")).equals(table)
    assert table.schema.equals(SCORES)
    assert concat([foreign(), table]).num_rows == 8


def test_files_that_are_not_scores_are_refused(tmp_path: Path) -> None:
    for name, text in (("a.csv", ""), ("b.parquet", "no"), ("c.txt", "x")):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=name):
            read(tmp_path / name)
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "nowhere.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"scores\.parquet"):
        read(tmp_path / "empty")


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(12)))
def test_row_order_never_matters(order: list[int]) -> None:
    rows = [(arm, item) for arm in ("raw", "b", "c") for item in ("x", "y", "z", "w")]
    table = pa.table(
        {
            "arm": [arm for arm, _ in rows],
            "id": [item for _, item in rows],
            "label": [str(int(item in "xy")) for _, item in rows],
            "score": [float(at) for at in range(12)],
            "cluster": [(item in "xz" and "one") or "two" for _, item in rows],
            "group": ["|".join(sorted({item, "q"})) for _, item in rows],
        }
    )
    straight, shuffled = read(table), seam.align(seam.normalise(table.take(pa.array(order))))
    assert straight.runs == shuffled.runs
    np.testing.assert_array_equal(straight.score["test"], shuffled.score["test"])
    for name in ("label", "pattern", "clusters"):
        np.testing.assert_array_equal(getattr(straight.items["test"], name), getattr(shuffled.items["test"], name))


def blocks() -> list[pa.Table]:
    """A table for each run, all on the same rows in the same order, as runs are stored."""
    ids = ["c", "a", "b", "a"]
    return [
        pa.table(
            {
                "arm": [arm] * 4,
                "seed": [seed] * 4,
                "split": ["test", "test", "test", "dev"],
                "id": ids,
                "label": [0, 1, 0, 1],
                "groups": [["x"], [], ["x", "y"], []],
                "cluster": [["k"], ["l"], ["k"], ["k"]],
                "score": [seed + at / 10 + (arm == "z") / 100 for at in range(4)],
            }
        )
        for arm, seed in (("z", 1), ("raw", 2), ("z", 0), ("raw", 0))
    ]


def test_runs_that_repeat_their_rows_are_read_as_in_any_other_order(tmp_path: Path) -> None:
    whole = concat(blocks())
    for at, block in enumerate(blocks()):
        write(block, tmp_path / f"{at}.scores.parquet")
    mixed = whole.take(pa.array([5, 0, 15, 7, 1, 9, 12, 3, 2, 14, 4, 6, 8, 10, 11, 13]))
    want = read(mixed)
    for found in (read(whole), read(tmp_path)):
        assert found.runs == want.runs
        for split in ("dev", "test"):
            assert found.items[split].ids.equals(want.items[split].ids)
            for name in ("label", "pattern", "clusters"):
                assert (getattr(found.items[split], name) == getattr(want.items[split], name)).all()
            assert (found.score[split] == want.score[split]).all()


def test_a_run_that_differs_in_one_row_is_still_refused() -> None:
    first, second, *rest = blocks()
    for name, value in (("label", [1, 1, 0, 1]), ("groups", [["y"], [], ["x", "y"], []]), ("id", ["a", "a", "b", "a"])):
        changed = second.set_column(second.column_names.index(name), name, pa.array(value))
        with pytest.raises(InputError):
            read(concat([first, changed, *rest]))
    twice = [block.set_column(3, "id", pa.array(["a", "a", "b", "a"])) for block in blocks()]
    with pytest.raises(InputError, match="occurs twice"):
        read(concat(twice))
