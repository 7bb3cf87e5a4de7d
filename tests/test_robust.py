"""What goes wrong while models are trained: memory, disk, numbers that are none, processes that are stopped."""

import errno
import json
import math
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from test_encoder import corpus, folder, make_rows, make_split, make_trainer, one_thread, scores  # noqa: F401
from test_pipeline import files, make_config, raw_config  # noqa: F401 - fixtures
from test_stacked import TEST, trainers
from test_workers import make_config as make_encoder_config
from test_workers import probabilities, rows  # noqa: F401 - fixtures

from evenset import cli
from evenset.data import display
from evenset.data.errors import InputError
from evenset.data.files import OutputFolder
from evenset.finetune import memory, pipeline, spread, stacked

torch = pytest.importorskip("torch")


# -- memory ------------------------------------------------------------------------------------------------------------


def many(n):
    return [(make_rows(*corpus(60, seed=seed)), seed) for seed in range(n)]


def cramped(monkeypatch, most):
    """A device whose memory holds so many runs."""
    usual, seen = stacked._Stack.run, []

    def run(self):
        seen.append(self.k)
        if self.k > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return usual(self)

    monkeypatch.setattr(stacked._Stack, "run", run)
    return seen


def test_a_stack_that_memory_does_not_hold_is_halved(folder, monkeypatch):  # noqa: F811
    _, trainer = trainers(folder)
    runs = many(5)
    whole = trainer.train_many(runs)
    seen = cramped(monkeypatch, 2)
    told = []
    trainer.told = lambda done, total: told.append((done, total))
    found = trainer.train_many(runs)
    assert seen == [5, 3, 2, 2, 1]
    assert told == [(16, 39), (31, 39), (39, 39)]
    for one, other in zip(whole, found, strict=True):
        assert np.allclose(one.probabilities["test"], other.probabilities["test"], atol=1e-5)
        assert (one.record.get("stacked_most"), other.record["stacked_most"]) == (None, 2)
    seen.clear()
    trainer.train_many(runs)
    assert seen == [2, 2, 1]


def test_memory_that_does_not_hold_one_run_is_one_message(folder, monkeypatch):  # noqa: F811
    _, trainer = trainers(folder)
    cramped(monkeypatch, 0)
    with pytest.raises(InputError, match=r"too little of it for a single run; lower finetune\.batch"):
        trainer.train_many(many(3))


def test_scoring_a_stack_takes_smaller_batches_where_memory_ends(folder, monkeypatch):  # noqa: F811
    _, trainer = trainers(folder)
    trainer.splits = [("test", trainer.tokens.add(make_split(*TEST).text))]
    whole = trainer.train_many(many(2))
    usual, sizes = stacked.bert.logits, []

    def logits(shape, weights, words, real, salt, **more):
        if salt is None:
            sizes.append(words.shape[1])
            if words.shape[1] > 7:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return usual(shape, weights, words, real, salt, **more)

    monkeypatch.setattr(stacked.bert, "logits", logits)
    found = trainer.train_many(many(2))
    assert max(sizes) > 7
    for one, other in zip(whole, found, strict=True):
        assert np.allclose(one.probabilities["test"], other.probabilities["test"], atol=1e-6)


def test_memory_that_ends_beside_captured_steps_lets_go_of_them(folder, monkeypatch):  # noqa: F811
    trainer = make_trainer(folder)
    some = make_rows(*corpus(64))
    expected = scores(trainer, some)
    stepper = trainer._stepper
    usual = type(stepper).run

    def run(self, *args, **more):
        if self.graphs:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return usual(self, *args, **more)

    monkeypatch.setattr(type(stepper), "run", run)
    stepper.graphs = {16: object()}
    found = memory.trying(lambda: trainer.train(some, seed=0), trainer.relieve, "")
    assert (found.probabilities["test"] == expected).all()
    assert not found.record["graphs"]
    monkeypatch.setattr(type(stepper), "run", lambda *_, **__: (_ for _ in ()).throw(torch.cuda.OutOfMemoryError()))
    with pytest.raises(InputError, match="memory ran out; try less"):
        memory.trying(lambda: trainer.train(some, seed=0), trainer.relieve, "try less")


def capture():
    try:
        raise torch.cuda.OutOfMemoryError
    finally:
        raise RuntimeError("capture was not ended")


def test_lack_of_memory_is_known_by_any_of_its_names():
    with pytest.raises(RuntimeError) as error:
        torch.empty(1 << 60)
    assert memory.short(error.value)
    with pytest.raises(RuntimeError, match="capture") as error:
        capture()
    assert memory.short(error.value)
    assert not memory.short(RuntimeError("shapes differ"))


def test_what_memory_did_not_hold_is_said(rows, folder, tmp_path, monkeypatch):  # noqa: F811
    cramped(monkeypatch, 2)
    trained = pipeline.train(make_encoder_config(rows, folder, stacked=4, workers=1), tmp_path)
    assert len(trained.jobs) == 7
    assert any("did not hold 4 runs at once: 2 were trained together" in note for note in trained.notes)


def test_too_little_memory_of_the_machine_names_the_run(files, tmp_path, monkeypatch, capsys):  # noqa: F811
    from evenset.finetune.linear import LinearTrainer

    def train(self, *_, **__):
        raise MemoryError

    monkeypatch.setattr(LinearTrainer, "train", train)
    with pytest.raises(InputError, match="memory ran out; there is too little for run raw/none/3"):
        pipeline.train(make_config(files), tmp_path)
    monkeypatch.setattr("evenset.finetune.run", train)
    (tmp_path / "evenset.toml").write_text("")
    assert cli.invoke(["run", "--config", str(tmp_path / "evenset.toml"), "--out", str(tmp_path / "out")]) == 2
    assert "error: the memory of this machine does not suffice" in capsys.readouterr().err


def test_no_gpu_is_said_and_an_order_for_one_refused(rows, folder, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    config = make_encoder_config(rows, folder, device="auto", seeds=1, screening_seeds=0)
    assert "no GPU was found" in spread.lacking(config.finetune)
    assert any("trained on the CPU" in note for note in pipeline.train(config, tmp_path).notes)
    assert not any("CPU" in note for note in pipeline.train(config, tmp_path).notes)
    with pytest.raises(InputError, match=r'finetune\.device = "cuda", but torch sees no CUDA device'):
        pipeline.run(make_encoder_config(rows, folder, device="cuda"), tmp_path)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert spread.lacking(config.finetune) is None


# -- numbers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("together", [1, 4])
def test_a_loss_that_is_no_number_stops_one_run_and_is_named(rows, folder, tmp_path, monkeypatch, together):  # noqa: F811
    from evenset.finetune.checkpoint import Checkpoint

    true = Checkpoint.weights

    def poisoned(self, *, seed, **more):
        state = true(self, seed=seed, **more)
        if seed == 1:
            state["classifier.weight"] *= math.nan
        return state

    monkeypatch.setattr(Checkpoint, "weights", poisoned)
    trained = pipeline.train(make_encoder_config(rows, folder, stacked=together, workers=1), tmp_path)
    assert {job.seed for job in trained.jobs} == {0, 2}
    failed = [note for note in trained.notes if "failed and is left out" in note]
    assert len(failed) == 3
    assert "run scrub/pretrained/1 failed and is left out: the loss is no longer a number before step 8" in failed[1]


# -- the disk ----------------------------------------------------------------------------------------------------------


def test_a_full_disk_keeps_the_runs_before_it(files, tmp_path, monkeypatch):  # noqa: F811
    import pyarrow.parquet as pq

    usual, left = pq.write_table, [3]

    def write(*args, **more):
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        return usual(*args, **more)

    monkeypatch.setattr(pq, "write_table", write)
    with pytest.raises(InputError, match=r'cannot write ".*scores\.parquet": the disk is full'):
        pipeline.train(make_config(files), tmp_path)
    monkeypatch.undo()
    assert len(list(tmp_path.glob("runs/*/*/*.json"))) == 3
    assert not list(tmp_path.rglob("*.partial"))
    assert len(pipeline.train(make_config(files), tmp_path).jobs) == 16


def test_a_library_written_in_rust_that_meets_a_full_disk_is_understood(tmp_path):
    from evenset.data.files import atomic_folder

    with pytest.raises(InputError, match="the disk is full"), atomic_folder(tmp_path / "1.model"):
        raise Exception("Error while serializing: I/O error: No space left on device (os error 28)")  # noqa: TRY002
    with pytest.raises(ValueError, match="other"), atomic_folder(tmp_path / "1.model"):
        raise ValueError("other (os error 2)")
    assert not list(tmp_path.iterdir())


def start(files, tmp_path, *, changes=None, before="", stdin=subprocess.PIPE, **more):  # noqa: F811
    """`evenset finetune` in a process of its own."""
    path = tmp_path / "evenset.toml"
    path.write_text(as_toml(raw_config(files, **(changes or {}))))
    code = f"import sys\n{before}\nfrom evenset.__main__ import main\nmain()"
    what = ["finetune", "--config", str(path), "--out", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", code, *what], env=environment, stdin=stdin, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, **more,
    )  # fmt: skip


def as_toml(raw):
    lines = []
    for section, content in raw.items():
        for one in content if isinstance(content, list) else [content]:
            if section == "plan":
                for name, plan in one.items():
                    lines += [f"[[plan.{name}.step]]\n" + pairs(step) for step in plan["step"]]
            else:
                lines.append((f"[[{section}]]\n" if isinstance(content, list) else f"[{section}]\n") + pairs(one))
    return "\n".join(lines)


def pairs(section):
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in section.items())


def wait_for(count, out, process):
    until = time.monotonic() + 120
    while len(list(out.glob("runs/*/*/*.json"))) < count and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)


@pytest.mark.slow
def test_a_file_that_the_system_cuts_off_is_one_message(files, tmp_path):  # noqa: F811
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    process = start(files, tmp_path, preexec_fn=limited)
    _, said = process.communicate(timeout=200)
    assert process.returncode == 2, said
    assert said.startswith("error: cannot write")
    assert "too large for this file system" in said
    assert said.count("\n") == 1


def test_a_folder_that_another_process_writes_to(tmp_path, capsys):
    (tmp_path / "evenset.toml").write_text("")
    arguments = ["finetune", "--config", str(tmp_path / "evenset.toml"), "--out", str(tmp_path / "out")]
    with OutputFolder.claim(tmp_path / "out", command="run", fingerprint="0"):
        assert cli.invoke([*arguments, "--overwrite"]) == 2
    assert "another evenset process" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "evenset.toml").write_text("")
    (tmp_path / "file").write_text("")
    assert (
        cli.invoke(["finetune", "--config", str(tmp_path / "evenset.toml"), "--out", str(tmp_path / "file/out")]) == 2
    )
    assert "a part of the path is a file" in capsys.readouterr().err


# -- processes that are stopped ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_it_keeps_what_is_finished_and_leaves_nobody_behind(files, tmp_path, number, code):  # noqa: F811
    process = start(files, tmp_path, changes={"finetune__workers": 2, "finetune__seeds": 20})
    wait_for(2, tmp_path / "out", process)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert said.endswith("stopped. What was finished is kept; the same command goes on from there.\n")
    kept = len(list(tmp_path.glob("out/runs/*/*/*.json")))
    assert kept >= 2
    assert not list((tmp_path / "out").rglob("*.partial"))
    time.sleep(1)
    assert len(list(tmp_path.glob("out/runs/*/*/*.json"))) == kept


@pytest.mark.slow
def test_it_works_without_a_standard_input(files, tmp_path):  # noqa: F811
    changes = {"finetune__workers": 2, "finetune__seeds": 1}
    process = start(files, tmp_path, changes=changes, preexec_fn=lambda: os.close(0), stdin=None)
    _, said = process.communicate(timeout=200)
    assert process.returncode in (0, 1, 3), said


KILLS = """
import os, signal
from evenset.finetune.stacked import StackedTrainer
usual, number = StackedTrainer._together, [0]
def together(self, *args, **more):
    number[0] += 1
    if number[0] == 2:
        self.told = lambda done, total: os.kill(os.getpid(), signal.SIGKILL)
    return usual(self, *args, **more)
StackedTrainer._together = together
"""


@pytest.mark.slow
def test_killed_in_the_middle_of_a_stack_it_goes_on_after_the_one_before(rows, folder, tmp_path):  # noqa: F811
    config = make_encoder_config(rows, folder, stacked=3, workers=1)
    (tmp_path / "config.json").write_text(config.model_dump_json(by_alias=True))
    code = (
        f"{KILLS}\nimport json, sys\nfrom evenset.data.config import parse\n"
        "from evenset.finetune.pipeline import train\n"
        "train(parse(json.load(open(sys.argv[1]))), sys.argv[2])"
    )
    where = [str(tmp_path / "config.json"), str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code, *where], env=environment, timeout=200, check=False)
    assert done.returncode == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/runs/*/*/*.json")}
    assert len(kept) == 3
    pipeline.train(config, tmp_path / "out")
    pipeline.train(config, tmp_path / "whole")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    resumed, whole = probabilities(tmp_path / "out"), probabilities(tmp_path / "whole")
    assert resumed.keys() == whole.keys()
    for name, score in resumed.items():
        assert np.allclose(score, whole[name], atol=1e-5), name


def test_what_was_left_of_a_model_being_written_is_tidied_away(tmp_path):
    from evenset.finetune.runs import RunStore

    at = tmp_path / "raw" / "pretrained"
    (at / ".0.model.12-ab.partial").mkdir(parents=True)
    (at / ".0.model.12-ab.partial" / "config.json").write_text("{}")
    (at / ".0.json.12-ab.partial").write_text("{")
    RunStore(tmp_path).tidy()
    assert not list(at.iterdir())


# -- progress ----------------------------------------------------------------------------------------------------------


def test_a_log_gets_few_lines_and_a_short_command_none():
    now, said = [0.0], []
    lines = display.Lines(said.append, clock=lambda: now[0])
    for second in range(301):
        now[0] = float(second)
        lines("training", second // 10, 98)
        lines("steps", second * 100, 98_000)
        if second < 20:
            assert not said
    assert said[0] == "training: 2/98 runs, step 1,900/98,000, 17 min left"
    assert len(said) == 5
    assert said[-1].startswith("training: 26/98 runs, step 25,900/98,000, 13 min")


def test_a_terminal_shows_runs_steps_and_the_time_left():
    import io

    from rich.console import Console

    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    now = [0.0]
    with display.Bars(console) as bars:
        bars._watch.clock = lambda: now[0]
        bars.say("no GPU was found")
        bars("training", 0, 98)
        bars("steps", 0, 1000)
        now[0] = 20.0  # compiling, mostly: what the first steps took says nothing of the others
        bars("steps", 50, 1000)
        now[0] = 40.0
        bars("steps", 250, 1000)
        bars("training", 12, 98)
        bars._bar.refresh()
    shown = console.file.getvalue()
    assert "no GPU was found" in shown
    assert "12/98 runs  step 250/1,000  75 s left" in shown
