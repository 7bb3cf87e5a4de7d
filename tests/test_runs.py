"""The store of finished runs: what is whole counts, what was made from something else does not."""

import json

import numpy as np
import pyarrow as pa
import pytest

from evenset.data.errors import InputError
from evenset.finetune.judging import scores
from evenset.finetune.rows import Outcome, Split
from evenset.finetune.runs import Job, RunStore, score_table

JOB = Job("scrub~placebo", "scrub", "none", 3, placebo_of="scrub")
INPUTS = {"data": "d", "plan": "p", "settings": "s"}


def make_split(name, n, seed=0):
    rng = np.random.default_rng(seed)
    groups = [[["gay"], [], ["gay", "muslim"]][k] for k in rng.integers(0, 3, n)]
    return Split(
        name,
        pa.array([f"text {i}" for i in range(n)], pa.large_string()),
        pa.array([f"{name}{k:03d}" for k in rng.permutation(n)]),
        rng.integers(0, 2, n),
        pa.array(groups, pa.list_(pa.string())),
        pa.array([[f"c{i % 4}", f"d{i % 3}"] for i in range(n)], pa.list_(pa.string())),
    )


def make_outcome(splits, seed, labels=2):
    rng = np.random.default_rng(seed)
    return Outcome({split.name: rng.dirichlet(np.ones(labels), split.n) for split in splits}, {"rows": 5})


def fill(store, jobs, *, labels=("0", "1"), positive="1"):
    splits = [make_split("dev", 20), make_split("test", 30, 1)]
    for number, job in enumerate(jobs):
        outcome = make_outcome(splits, number, len(labels))
        store.save(
            job, INPUTS, outcome, score_table(job, splits, outcome, labels=labels, positive=positive), {"note": 1}
        )


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs")


def test_a_run_is_found_where_the_contract_says(store):
    assert store.find(JOB, INPUTS).state == "missing"
    fill(store, [JOB])
    assert store.find(JOB, INPUTS).state == "done"
    record = json.loads((store.folder / "scrub~placebo" / "none" / "3.json").read_text())
    assert record["schema"] == "evenset.run/1"
    assert (record["arm"], record["seed"], record["placebo_of"], record["failed"]) == (
        "scrub~placebo",
        3,
        "scrub",
        None,
    )
    assert (store.folder / "scrub~placebo" / "none" / "3.scores.parquet").is_file()


@pytest.mark.parametrize("part", sorted(INPUTS))
def test_a_run_of_something_else_is_stale_and_says_what_changed(store, part):
    fill(store, [JOB])
    found = store.find(JOB, INPUTS | {part: "other"})
    assert (found.state, found.changed) == ("stale", (part,))


def test_a_new_kind_of_input_makes_older_runs_stale(store):
    fill(store, [JOB])
    assert store.find(JOB, INPUTS | {"model": "m"}).changed == ("model",)


def test_scores_without_a_record_do_not_count(store):
    fill(store, [JOB])
    (store.folder / "scrub~placebo" / "none" / "3.json").unlink()
    assert store.find(JOB, INPUTS).state == "missing"


def test_a_record_without_scores_does_not_count(store):
    fill(store, [JOB])
    store.scores_path(JOB).unlink()
    assert store.find(JOB, INPUTS).state == "missing"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"inputs": 3}'])
def test_a_damaged_record_does_not_count(store, content):
    fill(store, [JOB])
    (store.folder / "scrub~placebo" / "none" / "3.json").write_text(content)
    assert store.find(JOB, INPUTS).state == "missing"


def test_a_failed_run_is_recorded_and_replaces_older_scores(store):
    fill(store, [JOB])
    store.save(JOB, INPUTS, Outcome({}, {}, failed="the loss is no number"), None, {})
    found = store.find(JOB, INPUTS)
    assert found.state == "failed"
    assert found.record["failed"] == "the loss is no number"
    assert not store.scores_path(JOB).exists()


def test_writing_that_breaks_off_leaves_no_run(store, monkeypatch):
    fill(store, [JOB])

    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("evenset.finetune.runs.write_json", broken)
    with pytest.raises(KeyboardInterrupt):
        fill(store, [JOB])
    assert store.find(JOB, INPUTS).state == "missing"


def test_tidy_removes_only_what_a_killed_process_was_writing(store):
    fill(store, [JOB])
    left = store.scores_path(JOB).with_name(".3.scores.parquet.99-abc.partial")
    left.write_text("half")
    store.tidy()
    assert not left.exists()
    assert store.find(JOB, INPUTS).state == "done"


def test_runs_of_no_arm_are_named(store):
    other = Job("old", "old", "none", 0)
    fill(store, [JOB, other])
    assert store.others([JOB]) == ("old/none/0",)


@pytest.mark.parametrize("labels", [("0", "1"), ("judge", "nurse", "surgeon")])
def test_stacked_scores_are_those_of_the_generic_reader(store, labels):
    jobs = [Job("raw", "raw", "none", s) for s in (1, 0)] + [JOB, Job("scrub", "scrub", "none", 10)]
    fill(store, jobs, labels=labels, positive="1" if len(labels) == 2 else None)
    mine, theirs = store.scores(jobs), scores.read(store.folder)
    assert mine.runs == theirs.runs
    assert [run.placebo_of for run in mine.runs] == [run.placebo_of for run in theirs.runs]
    assert mine.labels == theirs.labels
    assert mine.items.keys() == theirs.items.keys()
    for name, item in mine.items.items():
        other = theirs.items[name]
        assert item.ids.to_pylist() == other.ids.to_pylist()
        assert [item.labels[k] for k in item.label] == [other.labels[k] for k in other.label]
        assert [item.patterns[k] for k in item.pattern] == [other.patterns[k] for k in other.pattern]
        assert (item.clusters == other.clusters).all()
        assert (mine.score[name] == theirs.score[name]).all()
    assert mine.predicted.keys() == theirs.predicted.keys()
    for name in mine.predicted:
        assert (mine.predicted[name] == theirs.predicted[name]).all()


def test_runs_over_different_rows_are_refused(store):
    fill(store, [JOB])
    other = Job("raw", "raw", "none", 0)
    splits = [make_split("dev", 19), make_split("test", 30, 1)]
    outcome = make_outcome(splits, 0)
    store.save(other, INPUTS, outcome, score_table(other, splits, outcome, labels=("0", "1"), positive="1"), {})
    with pytest.raises(InputError, match="its rows are not those of"):
        store.scores([JOB, other])


def test_without_runs_there_are_no_scores(store):
    with pytest.raises(InputError, match="no finished run"):
        store.scores([])


def test_two_labels_give_the_probability_of_the_positive_one_and_no_prediction():
    splits = [make_split("test", 6)]
    outcome = make_outcome(splits, 0)
    table = score_table(JOB, splits, outcome, labels=("bad", "good"), positive="bad")
    assert table.schema.equals(scores.SCORES)
    assert table.column("score").to_pylist() == outcome.probabilities["test"][:, 0].tolist()
    assert table.column("predicted").null_count == 6


def test_more_labels_give_the_best_one_and_its_probability():
    splits = [make_split("test", 6)]
    outcome = make_outcome(splits, 0, 3)
    table = score_table(JOB, splits, outcome, labels=("a", "b", "c"), positive=None)
    assert table.column("score").to_pylist() == outcome.probabilities["test"].max(axis=1).tolist()
    assert table.column("predicted").to_pylist() == ["abc"[k] for k in outcome.probabilities["test"].argmax(axis=1)]
