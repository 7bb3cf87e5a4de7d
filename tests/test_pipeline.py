"""The whole loop: what it writes, in which order, that it survives being stopped, and what it refuses."""

import json
import os
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evenset.data import config as settings
from evenset.data.errors import EvensetError, InputError
from evenset.data.sample import comments, probe
from evenset.finetune import pipeline
from evenset.finetune.arms import expand
from evenset.finetune.task import open_task
from evenset.finetune.workshop import Workshop

SCRUB = {"step": [{"do": "scrub", "axis": "identity"}]}
REWEIGHT = {"step": [{"do": "reweight", "axis": "identity"}]}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for split, rows in {"train": 4000, "dev": 500, "test": 800}.items():
        pq.write_table(comments(rows, 0, bias=1.0, split=split)[0], folder / f"{split}.parquet")
    pq.write_table(probe(64)[0], folder / "probe.parquet")
    return folder


def raw_config(files, **changes):
    found = {
        "data": {
            **{split: str(files / f"{split}.parquet") for split in ("train", "dev", "test")},
            "text": "text", "label": "label", "positive": "1", "axes": ["identity"],
        },
        "probe": {
            "path": str(files / "probe.parquet"), "text": "text", "label": "label", "positive": "1",
            "cluster": "template",
        },
        "plan": {"scrub": SCRUB, "reweight": REWEIGHT},
        "arm": [{"plan": "raw"}, {"plan": "scrub"}, {"plan": "reweight"}],
        "finetune": {"model": "linear", "seeds": 3, "screening_seeds": 1, "workers": 1},
        "verdict": {"measure": "fpr"},
    }  # fmt: skip
    for key, value in changes.items():
        section, _, name = key.partition("__")
        if name:
            found[section] = {**found[section], name: value}
        elif value is None:
            found.pop(section)
        else:
            found[section] = value
    return found


def make_config(files, **changes):
    return settings.parse(raw_config(files, **changes))


@pytest.fixture(scope="module")
def finished(files, tmp_path_factory):
    """A run of the whole loop, to look at."""
    out = tmp_path_factory.mktemp("out")
    told = []
    verdict = pipeline.run(make_config(files), out, progress=lambda *what: told.append(what))
    return out, verdict, told


def whole(out):
    """What a run came to, without what depends on the clock."""
    return {k: v for k, v in json.loads((out / "verdict.json").read_text()).items() if k != "environment"}


def times(out):
    return {path.relative_to(out).as_posix(): path.stat().st_mtime_ns for path in out.glob("runs/*/*/*.json")}


# -- what it does ------------------------------------------------------------------------------------------------------


def test_every_arm_its_placebo_and_the_raw_data_are_trained_with_the_same_seeds(finished):
    out, verdict, _ = finished
    runs = {path.relative_to(out / "runs").as_posix() for path in out.glob("runs/*/*/*.json")}
    arms = ("raw", "scrub", "scrub~placebo", "reweight", "reweight~placebo")
    assert runs == {f"{arm}/none/{seed}.json" for arm in arms for seed in (0, 1, 2)} | {"raw/none/3.json"}
    assert {arm.arm: arm.placebo_arm for arm in verdict.arms} == {
        "scrub": "scrub~placebo",
        "reweight": "reweight~placebo",
    }
    assert all(arm.seeds == (0, 1, 2) for arm in verdict.arms)
    assert all(arm.worst_group_source == "screening runs" for arm in verdict.arms)


def test_everything_promised_is_written(finished):
    out, verdict, _ = finished
    for name in ("audit/audit.json", "yardstick.json", "verdict.json", "runs/raw/none/0.scores.parquet"):
        assert (out / name).is_file(), name
    for plan in ("scrub", "reweight"):
        for name in ("data.parquet", "ledger.parquet", "curation.json"):
            assert (out / "curate" / plan / name).is_file(), name
    assert json.loads((out / "yardstick.json").read_text())["yardstick"]["entries"]
    assert json.loads((out / "verdict.json").read_text())["arms"][0]["arm"] == verdict.arms[0].arm


def test_a_planted_gap_is_found_and_reweighting_shrinks_it(finished):
    _, verdict, _ = finished
    arm = next(arm for arm in verdict.arms if arm.arm == "reweight")
    assert arm.base_gap_low > 0
    assert arm.reduction > 0


def test_progress_counts_runs_to_the_end(finished):
    trained = [(done, total) for what, done, total in finished[2] if what == "training"]
    assert trained == [(done, 16) for done in range(17)]


def test_the_yardstick_is_fixed_before_anything_is_trained(files, tmp_path, monkeypatch):
    def broken(self, job):
        assert (tmp_path / "yardstick.json").is_file()
        raise RuntimeError("stop here")

    monkeypatch.setattr(Workshop, "do", broken)
    with pytest.raises(RuntimeError, match="stop here"):
        pipeline.run(make_config(files), tmp_path)


def test_a_test_set_that_cannot_show_the_gap_is_refused_before_anything_is_trained(files, tmp_path, monkeypatch):
    monkeypatch.setattr(Workshop, "do", lambda *_: pytest.fail("trained in vain"))
    table = pq.read_table(files / "probe.parquet")
    pq.write_table(table.take(pa.array(range(0, table.num_rows, 37))), tmp_path / "few.parquet")
    with pytest.raises(InputError, match="under 30 harmless test rows"):
        pipeline.run(make_config(files, probe__path=str(tmp_path / "few.parquet")), tmp_path / "out")
    # Nothing stands there that would hold the mended config to what was refused; neither does it for a slip in a name.
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="no installed package carries a model"):
        pipeline.run(make_config(files, finetune__model="package:nope"), tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_what_is_trained_on_is_what_was_written(finished, files):
    out, _, _ = finished
    workshop = Workshop.open(make_config(files), out)
    job = next(job for job in expand(workshop.config) if job.arm == "scrub" and job.seed == 0)
    rows, _ = workshop._curator.rows(job)
    written = pq.read_table(out / "curate" / "scrub" / "data.parquet")
    assert rows.text.to_pylist() == written.column("text").to_pylist()


def test_raw_rows_have_the_keys_that_curation_gives_them(files, tmp_path):
    workshop = Workshop.open(make_config(files), tmp_path)
    job = next(job for job in expand(workshop.config) if job.arm == "reweight")
    rows, _ = workshop._curator.rows(job)
    assert (rows.root == workshop._raw.root).all()
    assert (rows.code == workshop._raw.code).all()
    assert (rows.weight != 1).any()


def test_weights_of_the_data_count_in_every_arm(files, tmp_path):
    table = pq.read_table(files / "train.parquet")
    own = [1.0 + (i % 3) for i in range(table.num_rows)]
    pq.write_table(table.append_column("w", pa.array(own)), tmp_path / "train.parquet")
    weighted = {"data": {**raw_config(files)["data"], "train": str(tmp_path / "train.parquet"), "weight": "w"}}
    workshop = Workshop.open(make_config(files, **weighted), tmp_path)
    jobs = {job.arm: job for job in expand(workshop.config) if job.seed == 0}
    assert workshop._raw.weight.tolist() == own
    assert workshop._curator.rows(jobs["scrub"])[0].weight.tolist() == own
    weight = workshop._curator.rows(jobs["reweight"])[0].weight
    assert abs(weight[own.index(3.0) :: 3].mean() / weight[own.index(1.0) :: 3].mean() - 3) < 0.3


# -- stopping and going on ---------------------------------------------------------------------------------------------


def test_the_same_call_again_trains_nothing_and_says_the_same(finished, files):
    out, _, _ = finished
    before, verdict = times(out), whole(out)
    pipeline.run(make_config(files), out)
    assert times(out) == before
    assert whole(out) == verdict


def test_stopped_by_hand_it_keeps_what_is_finished_and_goes_on(finished, files, tmp_path):
    def stop(what, done, total):
        if what == "training" and done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.run(make_config(files), tmp_path, progress=stop)
    kept = times(tmp_path)
    assert len(kept) == 5
    assert not (tmp_path / "verdict.json").exists()
    pipeline.run(make_config(files), tmp_path)
    after = times(tmp_path)
    assert {name: after[name] for name in kept} == kept
    assert whole(tmp_path) == whole(finished[0])


def test_killed_outright_it_goes_on_and_comes_to_the_same(finished, files, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(raw_config(files, finetune__workers=2)))
    out = tmp_path / "out"
    code = (
        "import json, sys; from evenset.data.config import parse; from evenset.finetune.pipeline import run\n"
        "run(parse(json.load(open(sys.argv[1]))), sys.argv[2])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path), str(out)], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    )
    until = time.monotonic() + 120
    while len(times(out)) < 3 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    assert len(times(out)) >= 3
    assert not (out / "verdict.json").exists()
    # Its workers notice within a second and go; should one end a run before that, it is as good as any.
    pipeline.run(make_config(files), out)
    assert whole(out) == whole(finished[0])
    assert not list(out.glob("runs/*/*/.*"))


def test_workers_come_to_the_same(finished, files, tmp_path):
    pipeline.run(make_config(files, finetune__workers=2), tmp_path)
    assert whole(tmp_path) == whole(finished[0])


def test_a_changed_plan_is_trained_again_and_nothing_else_is(files, tmp_path):
    small = {"finetune__seeds": 1, "finetune__screening_seeds": 0}
    pipeline.train(make_config(files, **small), tmp_path)
    before = times(tmp_path)
    changed = {"scrub": {"step": [{"do": "scrub", "axis": "identity", "with": "drop"}]}, "reweight": REWEIGHT}
    trained = pipeline.train(make_config(files, plan=changed, **small), tmp_path)
    after = times(tmp_path)
    assert {name for name in before if before[name] != after[name]} == {
        "runs/scrub/none/0.json",
        "runs/scrub~placebo/none/0.json",
    }
    assert "run scrub/none/0 was made from another plan: trained again" in trained.notes


def test_more_seeds_train_the_new_ones_only(files, tmp_path):
    pipeline.train(make_config(files, finetune__seeds=1, finetune__screening_seeds=1), tmp_path)
    before = times(tmp_path)
    trained = pipeline.train(make_config(files, finetune__seeds=2, finetune__screening_seeds=0), tmp_path)
    assert {name: times(tmp_path)[name] for name in before} == before
    assert len(trained.jobs) == 10
    assert trained.notes == ()


def test_runs_of_an_arm_that_is_gone_are_left_out_aloud(files, tmp_path):
    small = {"finetune__seeds": 1, "finetune__screening_seeds": 0}
    pipeline.train(make_config(files, **small), tmp_path)
    trained = pipeline.train(make_config(files, arm=[{"plan": "scrub", "placebo": False}], **small), tmp_path)
    assert [str(job) for job in trained.jobs] == ["raw/none/0", "scrub/none/0"]
    assert "3 runs" in trained.notes[0]


def test_a_failed_run_is_left_out_aloud_and_tried_again(files, tmp_path, monkeypatch):
    small = {"finetune__seeds": 1, "finetune__screening_seeds": 0}
    config = make_config(files, **small)
    trainer = Workshop.open(config, tmp_path).trainer
    usual = type(trainer).train

    def train(self, rows, *, seed, upstream="none", save=None):
        from evenset.finetune.rows import Outcome

        outcome = usual(self, rows, seed=seed, upstream=upstream, save=save)
        return outcome if (rows.weight == 1).all() else Outcome({}, {}, failed="the loss is no number")

    monkeypatch.setattr(type(trainer), "train", train)
    trained = pipeline.train(config, tmp_path)
    assert {job.arm for job in trained.jobs} == {"raw", "scrub", "scrub~placebo"}
    assert "run reweight/none/0 failed and is left out: the loss is no number" in trained.notes
    monkeypatch.undo()
    assert len(pipeline.train(config, tmp_path).jobs) == 5


def test_runs_that_learnt_nothing_are_named(files, tmp_path, monkeypatch):
    small = {"finetune__seeds": 1, "finetune__screening_seeds": 0}
    config = make_config(files, **small)
    trainer = Workshop.open(config, tmp_path).trainer
    usual = type(trainer).train

    def train(self, rows, **options):
        outcome = usual(self, rows, **options)
        outcome.record["learnt"] = bool((rows.weight == 1).all())
        return outcome

    monkeypatch.setattr(type(trainer), "train", train)
    trained = pipeline.train(config, tmp_path)
    assert len(trained.jobs) == 5
    assert "2 runs hardly learnt anything" in trained.notes[0]
    assert "reweight/none/0, reweight~placebo/none/0" in trained.notes[0]


def test_what_is_wrong_in_a_worker_is_said_by_the_parent(files, tmp_path):
    config = make_config(
        files,
        finetune__workers=2,
        plan={"up": {"step": [{"do": "topup", "axis": "identity", "pool": str(files / "none.csv")}]}},
        arm=[{"plan": "up", "placebo": False}],
    )
    with pytest.raises(InputError, match=r"none\.csv"):
        pipeline.train(config, tmp_path)


def test_a_worker_that_dies_is_no_silence(files, tmp_path, monkeypatch):
    from evenset.data import processes

    monkeypatch.setattr(processes, "start", lambda module, environment: _dead())
    with pytest.raises(EvensetError, match="is gone"):
        pipeline.train(make_config(files, finetune__workers=2), tmp_path)


def _dead():
    return subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.buffer.read(1)"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


# -- arms --------------------------------------------------------------------------------------------------------------


def jobs_of(**changes):
    base = {"plan": {"scrub": SCRUB}, "finetune": {"seeds": 1, "screening_seeds": 0}}
    return [str(job) for job in expand(settings.parse(base | changes))]


def test_an_encoder_has_a_raw_arm_for_every_upstream():
    arms = [{"plan": "scrub"}, {"plan": "scrub", "upstream": "random", "placebo": False}]
    found = jobs_of(arm=arms, finetune={"model": "some/model", "seeds": 1, "screening_seeds": 0})
    assert found == [
        "raw/pretrained/0", "raw/random/0", "scrub/pretrained/0", "scrub~placebo/pretrained/0", "scrub/random/0",
    ]  # fmt: skip


def test_without_plans_the_raw_arm_is_trained():
    assert jobs_of(plan={}) == ["raw/none/0"]


@pytest.mark.parametrize(
    ("arms", "words"),
    [
        ([{"plan": "scrub", "upstream": "random"}], "never pre-trained"),
        ([{"plan": "scrub"}, {"plan": "scrub"}], "is there twice"),
        ([{"plan": "scrub", "name": "raw"}], "belong together"),
        ([{"plan": "raw", "name": "base"}], "belong together"),
        ([{"plan": "scrub", "name": "x~placebo"}], "arm name"),
    ],
)
def test_arms_that_make_no_sense_are_refused(arms, words):
    with pytest.raises(InputError, match=words):
        jobs_of(arm=arms)


# -- the task ----------------------------------------------------------------------------------------------------------


def task_of(files, **changes):
    return open_task(make_config(files, **changes))


def test_what_is_missing_is_cut_off_train_and_said(files):
    task = task_of(files, data__dev=None, data__test=None)
    sizes = {split.name: split.n for split in task.splits}
    n = sum(batch.n for batch in task.train.batches())
    total = n + sizes["dev"] + sizes["test"]
    assert total == 4000
    assert 0.60 < n / total < 0.70
    assert 0.07 < sizes["dev"] / total < 0.13
    assert any("names no dev and no test" in note and "25% as test" in note for note in task.notes)
    again = task_of(files, data__dev=None)
    assert {split.name: split.n for split in again.splits}["test"] == 800
    assert 330 < {split.name: split.n for split in again.splits}["dev"] < 470


def test_a_test_set_that_was_trained_on_is_refused(files):
    train = str(files / "train.parquet")
    with pytest.raises(InputError, match=r"4000 of 4000 rows have the text of a training row.*allow_overlap"):
        task_of(files, data__test=train)
    task = open_task(make_config(files, data={**raw_config(files)["data"], "test": train, "allow_overlap": True}))
    assert any("4000 of 4000" in note for note in task.notes)


def write_rows(folder, name, **columns):
    pq.write_table(pa.table(columns), folder / name)
    return str(folder / name)


def test_a_label_that_never_occurs_in_train_is_refused(files, tmp_path):
    path = write_rows(tmp_path, "t.parquet", text=["a", "b"], label=["1", "maybe"])
    with pytest.raises(InputError, match=r'data\.test: "maybe" \(1 rows\) never occur'):
        task_of(files, data__test=path)
    with pytest.raises(InputError, match=r"Say probe\.positive"):
        open_task(make_config(files, probe={"path": path, "text": "text", "label": "label"}))


def test_the_probe_may_spell_labels_in_its_own_way(files, tmp_path):
    path = write_rows(tmp_path, "p.parquet", Text=["a gay man", "b", "c"], Verdict=["BAD", "OK", "BAD"])
    task = open_task(make_config(files, probe={"path": path, "text": "Text", "label": "Verdict", "positive": "BAD"}))
    assert [task.labels[code] for code in task.splits[-1].code] == ["1", "0", "1"]
    assert task.splits[-1].groups.to_pylist() == [["gay"], [], []]


def test_rows_without_a_label_are_left_out_and_counted(files, tmp_path):
    path = write_rows(tmp_path, "t.parquet", text=["a", "b", "c"], label=["1", None, "0"])
    task = task_of(files, data__test=path)
    assert next(split.n for split in task.splits if split.name == "test") == 2
    assert any("test: 1 rows have no label" in note for note in task.notes)


def clusters(files, tmp_path, cluster, **columns):
    texts = ["Ann is a kind gay", "Ann is a kind muslim", "Bob is a kind gay", "You are kind", "hate gay"]
    path = write_rows(tmp_path, "p.parquet", text=texts, label=["0", "0", "1", "0", "1"], **columns)
    probe_section = {"path": path, "text": "text", "label": "label", "positive": "1", "cluster": cluster}
    return open_task(make_config(files, probe=probe_section)).splits[-1].cluster.to_pylist()


def test_clusters_are_columns_skeletons_or_what_an_expression_captures(files, tmp_path):
    assert clusters(files, tmp_path, "skeleton") == [
        ["Ann is a kind _"], ["Ann is a kind _"], ["Bob is a kind _"], ["You are kind"], ["hate _"],
    ]  # fmt: skip
    ways = [r"/^(\w+) is a/", r"/(?:is a |are )(\w+)/"]
    assert clusters(files, tmp_path, ways) == [
        ["Ann", "kind"], ["Ann", "kind"], ["Bob", "kind"], ["skeleton: You are kind", "kind"],
        ["skeleton: hate _", "skeleton: hate _"],
    ]  # fmt: skip


def test_a_row_without_a_cluster_is_one_of_its_own(files, tmp_path):
    found = clusters(files, tmp_path, "who", who=["a", "a", None, None, "b"])
    assert found[:2] == [["a"], ["a"]]
    assert len({row[0] for row in found}) == 4


@pytest.mark.parametrize(
    ("cluster", "words"), [("skeletn", 'Did you mean "skeleton"'), ("/(/", "no regular expression")]
)
def test_clusters_that_mean_nothing_are_refused(files, tmp_path, cluster, words):
    with pytest.raises(InputError, match=words):
        clusters(files, tmp_path, cluster)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data__train": None}, "no .data. train"),
        ({"data__train": "-"}, "cannot come from -"),
        ({"data__positive": None, "data__label": "kind", "data__dev": None, "data__test": None}, "needs two labels"),
        ({"verdict__axis": "identty"}, 'none of data.axes.*Did you mean "identity"'),
        ({"data__axes": ["column:label", "column:text"]}, "say on which of the axes"),
    ],
)
def test_configs_that_cannot_work_are_refused(files, tmp_path, changes, words):
    table = pq.read_table(files / "train.parquet")
    kinds = pa.array([f"k{i % 3}" for i in range(table.num_rows)])
    pq.write_table(table.append_column("kind", kinds), tmp_path / "train.parquet")
    with pytest.raises(InputError, match=words):
        task_of(files, **({"data__train": str(tmp_path / "train.parquet")} | changes))


def test_a_subsampled_task_runs_from_end_to_end(tmp_path):
    from evenset.data.sample import bios

    pq.write_table(bios(4000, 1)[0], tmp_path / "bios.parquet")
    label = pq.read_table(tmp_path / "bios.parquet").column("label").value_counts().to_pylist()
    names = sorted(entry["values"] for entry in sorted(label, key=lambda e: -e["counts"])[:3])
    config = settings.parse(
        {
            "data": {
                "train": str(tmp_path / "bios.parquet"), "text": "text", "label": "label", "axes": ["pronouns"],
                "subsample": {"shares": dict(zip(names, (0.7, 0.5, 0.35), strict=True)), "split": [0.5, 0.1, 0.4]},
            },
            "plan": {"balance": {"step": [{"do": "resample", "axis": "pronouns", "level": 1.0}]}},
            "finetune": {"seeds": 1, "screening_seeds": 0, "workers": 1},
            "verdict": {"measure": "tpr"},
        }
    )  # fmt: skip
    verdict = pipeline.run(config, tmp_path / "out")
    assert [arm.arm for arm in verdict.arms] == ["balance"]
    assert any("subsample" in note for note in verdict.notes)
    assert (tmp_path / "out" / "curate" / "balance" / "ledger.parquet").is_file()


@pytest.mark.real
@pytest.mark.slow
def test_the_toxicity_example_reads_its_data(shared_data, monkeypatch, tmp_path):
    from pathlib import Path

    monkeypatch.setenv("EVENSET_DATA", str(shared_data))
    examples = Path(__file__).resolve().parents[1] / "examples"
    task = open_task(settings.load(examples / "toxicity.toml"))
    assert {split.name: split.n for split in task.splits} == {"dev": 1586, "test": 1344, "probe": 76564}
    ways = list(zip(*task.splits[-1].cluster.to_pylist(), strict=True))
    assert len({name for name in ways[0] if not name.startswith("skeleton")}) == 45
    task = open_task(settings.load(examples / "professions.toml"))
    assert len(task.labels) == 21
