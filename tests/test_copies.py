"""Scrubbed and swapped copies of the test rows."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evenset.data import config as settings
from evenset.data.axes import parse_axes
from evenset.data.errors import InputError
from evenset.data.sample import comments, probe
from evenset.finetune import pipeline
from evenset.finetune.copies import copies_of
from evenset.finetune.judging.scores import read
from evenset.finetune.rows import Split
from evenset.finetune.runs import Job
from evenset.finetune.task import open_task
from evenset.finetune.workshop import Workshop


def split_of(texts, groups=None):
    lists = pa.list_(pa.string())
    n = len(texts)
    return Split(
        "test",
        pa.array(texts, pa.large_string()),
        pa.array([f"r{i}" for i in range(n)]),
        np.zeros(n, np.int64),
        pa.array(groups or [[]] * n, lists),
        pa.array([[]] * n, lists),
    )


def made(texts, spec, kind):
    axis = parse_axes([spec], names=())[0]
    found, _, notes = copies_of(split_of(texts), axis, spec, [kind])
    return found[0], notes[0]


def test_a_scrubbed_copy_masks_the_words_of_the_axis_and_keeps_the_rest():
    copy, note = made(["She fixed her car.", "The gay pride.", ""], "pronouns", "scrubbed")
    assert copy.text.to_pylist() == ["_ fixed _ car.", "The gay pride.", ""]
    assert copy.changed.tolist() == [True, False, False]
    assert copy.name == "test.scrubbed"
    assert "1 of 3" in note


def test_pronouns_are_swapped_with_all_that_goes_with_them():
    copy, _ = made(["He told his wife.", "It rains.", "The waitress left."], "pronouns", "swapped")
    assert copy.text.to_pylist() == ["She told her husband.", "It rains.", "The waiter left."]
    assert copy.changed.tolist() == [True, False, True]


def test_identity_terms_become_another_drawn_by_the_row_alone():
    texts = [f"number {i}: gay people are here" for i in range(40)]
    copy, _ = made(texts, "identity", "swapped")
    assert copy.changed.all()
    terms = {text.split(": ")[1] for text in copy.text.to_pylist()}
    assert len(terms) > 5
    assert not any(term.startswith("gay ") for term in terms)
    again, _ = made(texts, "identity", "swapped")
    assert again.text.equals(copy.text)
    # The draw hangs on the row's key, not on the rows around it.
    axis = parse_axes(["identity"], names=())[0]
    whole = split_of(texts)
    part = Split("test", whole.text[7:9], whole.ids[7:9], whole.code[7:9], whole.groups[7:9], whole.cluster[7:9])
    assert copies_of(part, axis, "identity", ["swapped"])[0][0].text.to_pylist() == copy.text.to_pylist()[7:9]


def test_an_axis_without_words_cannot_be_copied():
    axis = parse_axes(["column:side"], names=("side",))[0]
    with pytest.raises(InputError, match=r"finetune\.copies.*no words"):
        copies_of(split_of(["a"]), axis, "column:side", ["scrubbed"])


@pytest.fixture(scope="module")
def files(tmp_path_factory):

    folder = tmp_path_factory.mktemp("data")
    for part, rows in {"train": 3000, "dev": 400, "test": 600}.items():
        pq.write_table(comments(rows, 0, bias=1.0, split=part)[0], folder / f"{part}.parquet")
    pq.write_table(probe(64)[0], folder / "probe.parquet")
    return folder


def config_of(files, **finetune):
    return settings.parse(
        {
            "data": {
                **{part: str(files / f"{part}.parquet") for part in ("train", "dev", "test")},
                "text": "text", "label": "label", "positive": "1", "axes": ["identity"],
            },
            "probe": {"path": str(files / "probe.parquet"), "text": "text", "label": "label", "positive": "1"},
            "plan": {"scrub": {"step": [{"do": "scrub", "axis": "identity"}]}},
            "finetune": {"model": "linear", "seeds": 2, "screening_seeds": 0, "workers": 1, **finetune},
            "verdict": {"measure": "fpr"},
        }
    )  # fmt: skip


def test_a_task_has_copies_only_where_they_are_asked_for(files):
    plain = open_task(config_of(files))
    task = open_task(config_of(files, copies=["scrubbed", "swapped"]))
    assert [split.name for split in plain.splits] == ["dev", "test", "probe"]
    assert [split.name for split in task.splits] == ["dev", "test", "probe", "test.scrubbed", "test.swapped"]
    test = task.splits[1]
    for copy in task.splits[3:]:
        assert copy.ids.equals(test.ids)
        assert copy.groups.equals(test.groups)
        assert copy.cluster.equals(test.cluster)
        assert (copy.code == test.code).all()
        named = np.array([bool(groups) for groups in test.groups.to_pylist()])
        assert (copy.changed == named).all()
    assert {k: v for k, v in task.inputs.items() if k != "copies"} == dict(plain.inputs)
    one = open_task(config_of(files, copies=["scrubbed"]))
    assert one.inputs["copies"] != task.inputs["copies"]
    job = Job("raw", "raw", "none", 0)
    assert Workshop.open(config_of(files), files).inputs(job) != Workshop.open(
        config_of(files, copies=["swapped"]), files
    ).inputs(job)


def test_copies_flow_through_the_store_and_leave_gaps_as_they_are(files, tmp_path):
    plain = pipeline.run(config_of(files), tmp_path / "plain", write_curated=False)
    with_copies = pipeline.run(config_of(files, copies=["scrubbed", "swapped"]), tmp_path / "copies")
    assert [gap.gap for gap in with_copies.gaps] == [gap.gap for gap in plain.gaps]
    scores = read(tmp_path / "copies" / "runs")
    assert set(scores.items) == {"dev", "test", "probe", "test.scrubbed", "test.swapped"}
    changed = scores.items["test.swapped"].changed
    assert 0 < changed.sum() < len(changed)
    assert scores.items["test"].changed is None
    same = scores.score["test"][:, ~changed] == scores.score["test.swapped"][:, ~changed]
    assert same.all()
    assert json.loads((tmp_path / "copies" / "verdict.json").read_text())["gaps"]
