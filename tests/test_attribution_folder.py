"""Attribution of whole runs: the biases of rows and models, what is kept, and doing it again without training."""

import json
import math
from functools import cached_property

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from test_encoder import folder, one_thread  # noqa: F401 - fixtures

from evenset.cli import cli
from evenset.data import config as settings
from evenset.data.errors import InputError
from evenset.data.sample import comments, probe
from evenset.finetune import pipeline
from evenset.finetune.attribution import gather
from evenset.finetune.attribution.attribution import Attribution
from evenset.finetune.attribution.finished import attribute_folder, finished_jobs
from evenset.finetune.judging import yardstick as sticks
from evenset.finetune.linear import LinearTrainer
from evenset.finetune.runs import Job
from evenset.finetune.task import open_task
from evenset.finetune.workshop import Workshop

SCRUB = {"step": [{"do": "scrub", "axis": "identity"}]}
REWEIGHT = {"step": [{"do": "reweight", "axis": "identity", "method": "per-term"}]}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    where = tmp_path_factory.mktemp("data")
    for split, rows in {"train": 2400, "dev": 200, "test": 300}.items():
        pq.write_table(comments(rows, 0, bias=1.0, split=split)[0], where / f"{split}.parquet")
    pq.write_table(probe(64)[0], where / "probe.parquet")
    return where


def make_config(files, model, **more):
    columns = {"text": "text", "label": "label", "positive": "1"}
    return settings.parse(
        {
            "data": {
                **{split: str(files / f"{split}.parquet") for split in ("train", "dev", "test")},
                **columns,
                "axes": ["identity"],
            },
            "probe": {"path": str(files / "probe.parquet"), **columns, "cluster": "template"},
            "plan": {"scrub": SCRUB, "reweight": REWEIGHT},
            "arm": [
                {"plan": plan, "upstream": upstream, "placebo": False}
                for upstream in ("pretrained", "random")
                for plan in ("raw", "scrub", "reweight")
            ],
            "finetune": {
                "model": str(model), "seeds": 2, "screening_seeds": 1, "epochs": 1, "random_epochs": 1,
                "max_tokens": 16, "device": "cpu",
            },
            "attribution": {"repetitions": 100},
            **more,
        }
    )  # fmt: skip


def asked(config, stick, name):
    """A measure that knows: as much blame as the yardstick says."""

    class Found:
        def to_dict(self):
            return {
                "kind": "negativity",
                "reliability": {"value": 0.9},
                "notes": [],
                "targets": [{"target": e.name, "score": e.raw} for e in stick.entries if e.used],
            }

    return Found()


class Quick:
    """Trains a linear model in the place of each encoder: what is tested here is what comes after."""

    def __init__(self, workshop):
        task = workshop.task
        raw = workshop.rows(Job("raw", "raw", "pretrained", 0))
        self.real = LinearTrainer(raw, task.splits, n_labels=len(task.labels), bootstrap=True)

    def train(self, rows, *, seed, upstream, save=None):
        return self.real.train(rows, seed=seed + 100 * (upstream == "random"), upstream="none")


@pytest.fixture(scope="module")
def finished(files, folder, tmp_path_factory):  # noqa: F811
    patch = pytest.MonkeyPatch()
    patch.setattr(gather, "_ask", asked)
    trainer = cached_property(Quick)
    trainer.__set_name__(Workshop, "trainer")
    patch.setattr(Workshop, "trainer", trainer)
    out = tmp_path_factory.mktemp("out")
    verdict = pipeline.run(make_config(files, folder), out, write_curated=False)
    yield out, verdict
    patch.undo()


def test_a_run_that_crosses_plans_and_upstreams_is_attributed(finished):
    out, verdict = finished
    record = json.loads((out / "verdict.json").read_text())["attribution"]
    assert record == verdict.attribution
    assert record["grid"]["upstreams"] == ["pretrained", "random"]
    assert record["grid"]["plans"] == ["raw", "reweight", "scrub"] or set(record["grid"]["plans"]) == {
        "raw", "scrub", "reweight",
    }  # fmt: skip
    assert record["grid"]["seeds"] == [0, 1]
    assert len(record["interaction"]) == 2
    assert {claim["id"] for claim in record["claims"]} == {"A2", "A3", "A5", "A6"}
    assert any("not pre-trained" in note for note in record["notes"])
    assert record["upstream_bias"]["pretrained"]["reliability"] == 0.9


def test_it_is_the_same_again_without_training(finished):
    out, verdict = finished
    again = attribute_folder(out).to_dict()
    # What only the config says is what it is by default here, but for the number of resamples.
    for key in ("grid", "data", "upstream", "interaction", "dataset_bias", "upstream_bias", "margin"):
        assert json.dumps(again[key], sort_keys=True) == json.dumps(verdict.attribution[key], sort_keys=True), key


def test_with_its_config_it_is_the_very_same(finished, files, folder):  # noqa: F811
    out, verdict = finished
    again = attribute_folder(out, config=make_config(files, folder)).to_dict()
    assert json.dumps(again, sort_keys=True) == json.dumps(verdict.attribution, sort_keys=True)
    other = make_config(files, folder, plan={"other": SCRUB}, arm=[])
    with pytest.raises(InputError, match=r"no plan .*scrub"):
        attribute_folder(out, config=other)


def test_nothing_is_measured_twice(finished, files, folder, monkeypatch):  # noqa: F811
    out, _ = finished
    monkeypatch.setattr(gather, "_ask", lambda *_: pytest.fail("measured again"))
    monkeypatch.setattr(gather, "dataset_bias", lambda *_: pytest.fail("counted again"))
    attribute_folder(out, config=make_config(files, folder))


def test_the_command_says_the_answer_first(finished, tmp_path):
    out, _ = finished
    said = CliRunner().invoke(cli, ["attribute", str(out), "--out", str(tmp_path / "a")])
    assert said.exit_code == 0, said.output
    assert " explains " in said.stdout.splitlines()[0] or said.stdout.startswith("What moved")
    kept = json.loads((tmp_path / "a" / "attribution.json").read_text())
    assert Attribution.from_dict(kept).grid.seeds == (0, 1)
    nothing = CliRunner().invoke(cli, ["attribute", str(tmp_path)])
    assert nothing.exit_code != 0
    assert "evenset run" in str(nothing.exception)


def test_screening_runs_and_failed_runs_are_known_from_their_records(finished):
    out, _ = finished
    jobs = finished_jobs(out)
    assert {job.seed for job in jobs if job.screening} == {2}
    assert len([job for job in jobs if not job.screening]) == 12


def by_hand(rows, stick, texts_of):
    rate = {}
    base = sum(w for w, y in zip(rows.weight, rows.code, strict=True) if y) / rows.weight.sum()
    for name in stick.used:
        inside = np.array([name in text.lower().split() for text in texts_of])
        found = []
        for chosen in (inside, ~inside):
            w, y = rows.weight[chosen], rows.code[chosen]
            n = w.sum() ** 2 / (w**2).sum() if w.sum() else 0.0
            events = (w * y).sum() / w.sum() * n if w.sum() else 0.0
            found.append((events + 20 * base) / (n + 20))
        rate[name] = math.log(found[0] / found[1])
    return rate


def test_dataset_bias_is_the_log_ratio_of_rates(files, folder, tmp_path, finished):  # noqa: F811
    out, _ = finished
    config = make_config(files, folder)
    task = open_task(config)
    workshop = Workshop.open(config, tmp_path, task=task)
    stick = sticks.load(out / "yardstick.json")
    found = {
        plan: gather.dataset_bias(workshop.rows(Job(plan, plan, "pretrained", 0)), task, config, stick)
        for plan in ("raw", "scrub", "reweight")
    }
    raw = {entry.name: entry.raw for entry in stick.entries if entry.used}
    names = sorted(raw)
    # The yardstick is centred, so only differences can be held against each other.
    assert np.diff([found["raw"][n] for n in names]) == pytest.approx(np.diff([raw[n] for n in names]), abs=1e-9)
    assert all(value == pytest.approx(0, abs=1e-12) for name, value in found["scrub"].items() if name in raw)
    assert max(abs(found["reweight"][n]) for n in names) < max(abs(found["raw"][n]) for n in names)
    rows = workshop.rows(Job("reweight", "reweight", "pretrained", 0))
    single = [n for n in names if " " not in n]
    hand = by_hand(rows, stick, [t.replace(".", " ").replace(",", " ") for t in rows.text.to_pylist()])
    assert len(single) > 3
    near = [found["reweight"][n] - hand[n] for n in single]
    assert np.median(np.abs(near)) < 0.02  # by plain words, where the lexicon also knows plurals


def test_dataset_bias_of_labels_and_of_a_column(tmp_path):
    rng = np.random.default_rng(0)
    n = 600
    label = np.where(np.arange(n) % 3 == 0, "nurse", np.where(np.arange(n) % 3 == 1, "pilot", "cook"))
    she = rng.random(n) < np.where(label == "nurse", 0.8, 0.3)
    rows = {
        "text": [f"{'She' if s else 'He'} is at work number {i}." for i, s in enumerate(she)],
        "label": label.tolist(),
        "who": ["f" if s else "m" for s in she],
    }
    import pyarrow as pa

    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
    for axis, first, second in (("pronouns", "she", "he"), ("column:who", "f", "m")):
        config = settings.parse(
            {
                "data": {"train": str(tmp_path / "rows.parquet"), "text": "text", "label": "label", "axes": [axis]},
                "verdict": {"measure": "tpr"},
                "plan": {"even": {"step": [{"do": "resample", "axis": axis, "level": 1}]}},
            }
        )
        task = open_task(config)
        workshop = Workshop.open(config, tmp_path, task=task)
        stick = sticks.tpr_yardstick(
            {"nurse": (90, 40), "pilot": (40, 90), "cook": (40, 80)}, first=first, second=second
        )
        raw = workshop.rows(Job("raw", "raw", "none", 0))
        found = gather.dataset_bias(raw, task, config, stick)
        texts = raw.text.to_pylist()
        for code, name in enumerate(task.labels):
            here = [text for text, y in zip(texts, raw.code, strict=True) if y == code]
            one = sum(text.startswith("She") for text in here)
            assert found[name] == pytest.approx(math.log((one + 0.5) / (len(here) - one + 0.5)))
        even = gather.dataset_bias(workshop.rows(Job("even", "even", "none", 0)), task, config, stick)
        assert all(abs(value) < 0.05 for value in even.values())


def test_what_cannot_be_measured_is_said(files, folder, tmp_path, monkeypatch):  # noqa: F811
    def refuse(*_):
        raise InputError("this model cannot be asked")

    monkeypatch.setattr(gather, "_ask", refuse)
    config = make_config(files, folder)
    stick = sticks.fpr_yardstick({"gay": (90, 50), "sikh": (90, 10)}, total_n=900, total_positive=100)
    workshop = Workshop.open(config, tmp_path, task=open_task(config))
    scores, notes = gather.upstream_biases(workshop, stick, ["pretrained", "random"], tmp_path)
    assert scores["pretrained"] is None
    assert scores["random"].assumed
    assert notes == ["the bias of pretrained could not be measured: this model cannot be asked"]
    off = make_config(files, folder, attribution={"measure": "none"})
    scores, notes = gather.upstream_biases(
        Workshop.open(off, tmp_path, task=workshop.task), stick, ["pretrained"], tmp_path
    )
    assert scores == {"pretrained": None}
    assert "none" in notes[0]


def test_scores_are_turned_to_the_first_group():
    record = {
        "found": {"kind": "pronoun-ranking", "reliability": {"value": None}, "targets": [{"target": "a", "score": 1.0}]}
    }
    for first, sign in (("she", 1), ("he", -1)):
        counts = {"a": (50, 60), "b": (70, 40)}
        stick = sticks.tpr_yardstick(counts, first=first, second="they")
        assert gather.scores_of(record, stick).scores == {"a": sign * 1.0}
        assert math.isnan(gather.scores_of(record, stick).reliability)
