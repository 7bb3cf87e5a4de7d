"""Two processes that torchrun starts share one list of runs; a rank that dies holds up nobody."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from test_encoder import folder, one_thread  # noqa: F401 - fixtures
from test_workers import make_config, probabilities, rows  # noqa: F401 - fixtures

from evenset.finetune import pipeline

pytest.importorskip("torch")

CODE = """
import json, os, sys
from evenset.data.config import parse
from evenset.finetune import pipeline, ranks
if ranks.rank():
    if os.environ.get("DIES"):
        import signal, evenset.finetune.workshop as shop
        shop.Workshop.do = lambda self, job: os.kill(os.getpid(), signal.SIGKILL)
    sys.exit(ranks.follow())
ranks._SILENCE = 3.0
told = []
with ranks.leading():
    trained = pipeline.train(parse(json.load(open(sys.argv[1]))), sys.argv[2], progress=lambda *what: told.append(what))
json.dump([told, len(trained.jobs)], open(sys.argv[3], "w"))
"""


def given(rows, folder, tmp_path, **finetune):  # noqa: F811
    config = make_config(rows, folder, **finetune)
    (tmp_path / "config.json").write_text(config.model_dump_json(by_alias=True))
    (tmp_path / "code.py").write_text(CODE)
    return [tmp_path / "code.py", tmp_path / "config.json", tmp_path / "out", tmp_path / "told.json"]


def environment(**more):
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1", **more}


@pytest.fixture(scope="module")
def alone(rows, folder, tmp_path_factory):  # noqa: F811
    out = tmp_path_factory.mktemp("alone")
    pipeline.train(make_config(rows, folder, stacked=2, workers=1), out)
    return probabilities(out)


@pytest.mark.slow
def test_two_ranks_of_torchrun_make_the_same_runs(alone, rows, folder, tmp_path):  # noqa: F811
    what = given(rows, folder, tmp_path, stacked=2)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*launch, *map(str, what)], env=environment(), capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    found = probabilities(tmp_path / "out")
    assert found.keys() == alone.keys()
    for name, score in found.items():
        assert np.allclose(score, alone[name], atol=1e-5), name
    told, trained = json.loads(what[3].read_text())
    assert trained == 7
    assert [entry for entry in told if entry[0] == "training"] == [["training", k, 7] for k in range(8)]


def launched(what, **more):
    """Two ranks that no launcher watches."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    return [
        subprocess.Popen(
            [sys.executable, *map(str, what)], env=environment(RANK=str(rank), **common, **more), stderr=subprocess.PIPE
        )
        for rank in (0, 1)
    ]


@pytest.mark.slow
def test_the_runs_of_a_rank_that_dies_are_made_by_rank_0(rows, folder, tmp_path):  # noqa: F811
    what = given(rows, folder, tmp_path)
    first, second = launched(what, DIES="1")
    try:
        assert second.wait(timeout=180) == -signal.SIGKILL
        assert first.wait(timeout=180) == 0, first.stderr.read()
    finally:
        for process in (first, second):
            process.kill()
            process.wait()
            process.stderr.close()
    assert json.loads(what[3].read_text())[1] == 7
    assert len(probabilities(tmp_path / "out")) == 7


@pytest.mark.slow
def test_a_rank_whose_leader_dies_ends(rows, folder, tmp_path):  # noqa: F811
    what = given(rows, folder, tmp_path)
    first, second = launched(what)
    try:
        until = time.monotonic() + 180
        while not list(tmp_path.glob("out/runs/*/*/*.json")) and time.monotonic() < until:
            time.sleep(0.05)
        first.kill()
        assert second.wait(timeout=60) != 0
        assert b"rank 0 is gone" in second.stderr.read()
    finally:
        for process in (first, second):
            process.kill()
            process.wait()
            process.stderr.close()
    pipeline.train(make_config(rows, folder), tmp_path / "out")
    assert len(probabilities(tmp_path / "out")) == 7
