"""Worker processes: stacks dealt out, the same runs whoever makes them, and what becomes of processes that die."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_encoder import corpus, folder, one_thread  # noqa: F401 - fixtures

from evenset.data import config as settings
from evenset.data import processes
from evenset.data.errors import EvensetError, InputError
from evenset.finetune import pipeline, spread
from evenset.finetune.runs import Job

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Texts that a model of a few words can tell apart, some of which name a group."""
    where = tmp_path_factory.mktemp("rows")
    for seed, (name, n) in enumerate({"train": 120, "dev": 40, "test": 60}.items()):
        values, code = corpus(n, seed=seed)
        texts = [f"{text} {('gay', 'muslim', '')[k % 3]} {name}{k}" for k, text in enumerate(values)]
        pq.write_table(pa.table({"text": texts, "label": [str(c) for c in code]}), where / f"{name}.parquet")
    return where


def make_config(rows, model, **finetune):
    return settings.parse({
        "data": {
            **{split: str(rows / f"{split}.parquet") for split in ("train", "dev", "test")},
            "text": "text", "label": "label", "positive": "1", "axes": ["identity"],
        },
        "plan": {"scrub": {"step": [{"do": "scrub", "axis": "identity"}]}},
        "arm": [{"plan": "scrub"}],
        "finetune": {
            "model": str(model), "seeds": 2, "screening_seeds": 1, "epochs": 1, "batch": 16, "lr": 1e-3,
            "device": "cpu", "max_tokens": 32, **finetune,
        },
    })  # fmt: skip


def probabilities(out):
    return {
        path.relative_to(out).as_posix(): np.asarray(pq.read_table(path).column("score"))
        for path in sorted(out.glob("runs/*/*/*.scores.parquet"))
    }


@pytest.fixture(scope="module")
def alone(rows, folder, tmp_path_factory):  # noqa: F811
    out = tmp_path_factory.mktemp("alone")
    pipeline.train(make_config(rows, folder, stacked=4, workers=1), out)
    return probabilities(out)


# -- who trains what ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_workers_that_train_stacks_come_to_the_same(alone, rows, folder, tmp_path):  # noqa: F811
    told = []
    pipeline.train(make_config(rows, folder, stacked=4, workers=2), tmp_path, progress=lambda *what: told.append(what))
    found = probabilities(tmp_path)
    assert found.keys() == alone.keys()
    assert len(found) == 7
    for name, score in found.items():
        assert np.allclose(score, alone[name], atol=1e-5), name
    assert [(done, total) for what, done, total in told if what == "training"] == [(k, 7) for k in range(8)]
    steps = [(done, total) for what, done, total in told if what == "steps"]
    assert steps[-1] == (7 * 8, 7 * 8)
    assert steps == sorted(steps)


JOBS = st.lists(st.tuples(st.sampled_from(["pretrained", "random"]), st.integers(0, 200)), unique=True, max_size=60)


@given(JOBS, st.integers(2, 20), st.integers(1, 9))
def test_stacks_hold_every_run_once_and_one_upstream_each(keys, most, workers):
    jobs = [Job("raw", "raw", upstream, seed) for upstream, seed in keys]
    epochs = {"pretrained": 3.0, "random": 6.0}
    found = spread.stacks(jobs, most=most, workers=workers, epochs=epochs)
    assert sorted(str(job) for some in found for job in some) == sorted(map(str, jobs))
    assert all(len({job.upstream for job in some}) == 1 and len(some) <= most for some in found)
    cost = [epochs[some[0].upstream] * (len(some) + 2) for some in found]
    assert cost == sorted(cost, reverse=True)
    whole = spread.stacks(jobs, most=most, workers=1, epochs=epochs)
    assert last(found, workers, epochs) <= last(whole, workers, epochs)


def last(stacks, workers, epochs):
    """When the last of the workers is done, each taking the next stack as it is free."""
    busy = [0.0] * workers
    for some in stacks:
        busy.sort()
        busy[0] += epochs[some[0].upstream] * (len(some) + 2)
    return max(busy)


def test_one_worker_gets_full_stacks():
    jobs = [Job("raw", "raw", "pretrained", seed) for seed in range(40)]
    assert [len(some) for some in spread.stacks(jobs, most=16, workers=1, epochs={})] == [16, 16, 8]


def test_gpus_are_taken_from_what_the_process_may_see(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    some = settings.FinetuneConfig(model="m")
    assert spread.gpus(some) == ("0", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-7")
    assert spread.gpus(some) == ("3", "GPU-7")
    assert spread.how_many(some, spread.gpus(some)) == 2
    assert spread.gpus(some.model_copy(update={"device": "cpu"})) == ()
    assert spread.gpus(settings.FinetuneConfig()) == ()
    assert spread.how_many(some, ()) == 1
    assert spread.how_many(settings.FinetuneConfig(), ()) == processes.cores()
    given = spread.environments(3, ("3", "GPU-7"))
    assert [one["CUDA_VISIBLE_DEVICES"] for one in given] == ["3", "GPU-7", "3"]


def test_every_gpu_gets_a_worker_of_its_own(rows, folder, tmp_path, monkeypatch):  # noqa: F811
    from evenset.finetune import workers

    seen = []

    def each(self, hello, tasks, given, *, pack):
        seen.extend(given)
        raise InterruptedError

    monkeypatch.setattr(spread, "gpus", lambda some: ("0", "1"))
    monkeypatch.setattr(processes.Crew, "each", each)
    assert workers._CREW.module == "evenset.finetune.workers"
    with pytest.raises(InterruptedError):
        pipeline.train(make_config(rows, folder, stacked=4), tmp_path)
    assert [one["CUDA_VISIBLE_DEVICES"] for one in seen] == ["0", "1"]


# -- processes ---------------------------------------------------------------------------------------------------------

MODULE = """
import os, signal, time
from evenset.data.errors import InputError
from evenset.data.processes import answer_each

def begin(hello):
    def work(task):
        word, _, rest = task.decode().partition(" ")
        if word == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if word == "exit":
            os._exit(7)
        if word == "memory":
            raise MemoryError
        if word == "input":
            raise InputError("row 7 is empty")
        if word == "defect":
            raise ZeroDivisionError("odd")
        if word == "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if word == "sleep":
            open(rest, "w").write(str(os.getpid()))
            time.sleep(300)
        print("what a library prints is no answer")
        return hello + task
    return work

def serve():
    answer_each(begin)
"""


@pytest.fixture
def crew(tmp_path, monkeypatch):
    (tmp_path / "evenset_test_worker.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return processes.Crew("evenset_test_worker", "a test worker", "try fewer", "Much is kept")


def answers(crew, *tasks, workers=2):
    return {
        said.task: said.content for said in crew.each(b"<", [t.encode() for t in tasks], [{}] * workers, pack=bytes)
    }


def test_every_task_is_answered_once(crew):
    assert answers(crew, *"abcdefg") == {at: b"<" + bytes([97 + at]) for at in range(7)}


@pytest.mark.parametrize(
    ("task", "error", "words"),
    [
        ("kill", EvensetError, "a test worker is gone: it was killed.*try fewer. Much is kept"),
        ("exit", EvensetError, "a test worker is gone: exit code 7"),
        ("memory", InputError, "ran out of memory"),
        ("input", InputError, "^row 7 is empty$"),
        ("defect", EvensetError, "(?s)a test worker broke down.*ZeroDivisionError: odd"),
    ],
)
def test_what_befalls_a_worker_is_one_message(crew, task, error, words):
    with pytest.raises(error, match=words) as found:
        answers(crew, "a", task, "b", "c")
    assert type(found.value) is error


def test_a_worker_that_does_not_listen_is_killed_after_a_while(crew, monkeypatch):
    monkeypatch.setattr(processes, "_PATIENCE", 0.5)
    begun = time.monotonic()
    with pytest.raises(InputError, match="row 7"):
        answers(crew, "deaf", "deaf", "input")
    assert time.monotonic() - begun < 30


def test_workers_go_when_their_parent_is_killed(crew, tmp_path):
    code = (
        "import sys; from evenset.data.processes import Crew\n"
        "crew = Crew('evenset_test_worker', '', '', '')\n"
        "list(crew.each(b'', [f'sleep {name}'.encode() for name in sys.argv[1:]], [{}, {}], pack=bytes))"
    )
    places = [tmp_path / "1", tmp_path / "2"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([sys.executable, "-c", code, *map(str, places)], env=environment)
    until = time.monotonic() + 120
    while not all(place.exists() and place.read_text() for place in places) and time.monotonic() < until:
        time.sleep(0.05)
    pids = [int(place.read_text()) for place in places]
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while any(map(lives, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(lives, pids))


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
