"""The same count from any engine, and one message when a cluster is not what it should be."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evenset.audit import dask_engine
from evenset.audit.engine import counting
from evenset.audit.shard_files import FOLDER
from evenset.data import open as open_data
from evenset.data.axes import parse_axes
from evenset.data.errors import InputError
from evenset.data.readers_arrow import ParquetSource

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

SPECS = ["pronouns", "identity", "column:team"]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    texts = ["She ran.", "He told her.", "a gay man", "", "They said\nso", "muslim women, and men"]
    numbers = range(300)
    table = pa.table({
        "text": [f"{texts[k % 6]} {k % 17}" for k in numbers],
        "label": [["yes", "no", None][k % 3] for k in numbers],
        "team": ["ab"[k % 2] for k in numbers],
        "number": [f"row {k}" for k in numbers],
    })  # fmt: skip
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    pq.write_table(table, path, row_group_size=10)
    return path


@pytest.fixture(scope="module")
def threads():
    """A cluster of threads of this process."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield f"dask:{cluster.scheduler_address}"


@pytest.fixture(scope="module")
def processes():
    """A cluster of processes of this machine; one death of a worker is made good, two over one part are not."""
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", silence_logs=50
        ) as cluster,
    ):
        yield f"dask:{cluster.scheduler_address}"


def opened(path, **options):
    data = open_data(path, text="text", label="label", **options)
    return data, parse_axes(SPECS, names=data.names)


def test_dask_counts_as_this_process_does(rows, threads, tmp_path):
    data, axes = opened(rows, id="number")
    told = []
    found = counting(
        data, axes, words=True, engine=threads, part_bytes=200, progress=lambda *args: told.append(args)
    )  # fmt: skip
    assert found.parts > 9  # so that sums are added up in more than one step
    assert not found.watched
    assert found.tally == counting(data, axes, words=True).tally
    assert told[-1] == ("reading", rows.stat().st_size, rows.stat().st_size)


def test_what_dask_counted_is_kept_and_gone_on_with(rows, threads, tmp_path):
    data, axes = opened(rows, id="number")
    whole = counting(data, axes).tally
    assert counting(data, axes, engine=threads, part_bytes=400, state=tmp_path).tally == whole
    kept = sorted((tmp_path / FOLDER).glob("*.json"))
    kept[0].unlink()
    kept[2].unlink()
    found = counting(data, axes, engine=threads, part_bytes=400, state=tmp_path)
    assert (found.tally, found.resumed) == (whole, len(kept) - 2)
    assert counting(data, axes, part_bytes=400, state=tmp_path).resumed == len(kept)


def test_a_mistake_in_a_row_is_told_as_without_dask(rows, threads, tmp_path):
    table = pq.read_table(rows)
    ids = table.column("number").to_pylist()
    ids[222] = "row 7"
    path = tmp_path / "rows.parquet"
    pq.write_table(table.set_column(3, "number", pa.array(ids)), path, row_group_size=10)
    data, axes = opened(path, id="number")
    with pytest.raises(InputError, match="'row 7' in column \"number\" comes again in row 223"):
        counting(data, axes, engine=threads, part_bytes=400)


@pytest.mark.parametrize("engine", ["spark", "local:8", "", "dask tcp://x:1"])
def test_an_unknown_engine(rows, engine):
    with pytest.raises(InputError, match=f'--engine "{engine}" is none of local, dask'):
        counting(*opened(rows), engine=engine)


def test_nobody_at_the_address(rows, monkeypatch):
    monkeypatch.setattr(dask_engine, "_WAIT", 1)
    begun = time.monotonic()
    with pytest.raises(InputError, match=r"cannot reach a Dask scheduler at tcp://127.0.0.1:9 "):
        counting(*opened(rows), engine="dask:tcp://127.0.0.1:9")
    assert time.monotonic() - begun < 10
    with pytest.raises(InputError, match="cannot reach a Dask scheduler at nonsense"):
        counting(*opened(rows), engine="dask:nonsense")


def test_something_else_than_a_scheduler_at_the_address(rows, monkeypatch):
    import socket
    import threading

    monkeypatch.setattr(dask_engine, "_WAIT", 2)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
                connection.recv(1000)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(InputError, match="cannot reach a Dask scheduler"):
            counting(*opened(rows), engine=f"dask:tcp://127.0.0.1:{server.getsockname()[1]}")
        thread.join()


def test_a_scheduler_without_workers(rows, monkeypatch):
    monkeypatch.setattr(dask_engine, "_WAIT", 1)
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        pytest.raises(InputError, match=r"the Dask scheduler at inproc.* has no workers"),
    ):
        counting(*opened(rows), engine=f"dask:{cluster.scheduler_address}")


def test_another_evenset_on_the_workers(rows, threads, monkeypatch):
    real = dask_engine._versions()
    monkeypatch.setattr(dask_engine, "_versions", iter([("0.0.1", real[1]), *[real] * 9]).__next__)
    with pytest.raises(InputError, match=r"has evenset 0\.0\.1 with Unicode"):
        counting(*opened(rows), engine=threads)


def test_without_dask_there_is_the_line_that_installs_it(rows, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r'pip install "evenset\[dask\]"'):
        counting(*opened(rows), engine="dask")


def test_rows_in_memory_are_not_sent_about(threads):
    data = open_data(pa.table({"text": ["She ran."] * 4, "label": ["a", "b"] * 2}))
    with pytest.raises(InputError, match="--engine dask counts files"):
        counting(data, parse_axes(["pronouns"], names=data.names), engine=threads)


def test_no_dask_is_imported_unless_asked_for(rows):
    code = (
        "import sys\nfrom evenset.data import open\nfrom evenset.data.axes import parse_axes\n"
        "from evenset.audit.engine import counting\n"
        f"data = open({str(rows)!r}, text='text', label='label')\n"
        "counting(data, parse_axes(['pronouns'], names=data.names))\n"
        "assert not {'dask', 'distributed', 'numba'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@dataclass(frozen=True)
class Deadly(ParquetSource):
    """Kills the process that reads it, as long as there is a file that says so; never the test itself."""

    often: Path = Path()
    test: int = 0

    def read(self, columns):
        left = sorted(self.often.iterdir())
        if os.getpid() != self.test and left:
            left[0].unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        yield from super().read(columns)


def deadly(rows, folder, deaths):
    folder.mkdir()
    for number in range(deaths):
        (folder / str(number)).touch()
    data, axes = opened(rows)
    return replace(data, source=Deadly(data.source.paths, often=folder, test=os.getpid())), axes


@pytest.mark.slow
def test_processes_count_the_same_and_a_worker_that_dies_is_replaced(rows, processes, tmp_path):
    data, axes = opened(rows)
    whole = counting(data, axes).tally
    assert counting(data, axes, engine=processes, part_bytes=400).tally == whole
    dying, axes = deadly(rows, tmp_path / "once", 1)
    assert counting(dying, axes, engine=processes, part_bytes=10_000).tally == whole
    assert not list((tmp_path / "once").iterdir())


@pytest.mark.slow
def test_workers_that_die_again_and_again_are_one_message(rows, processes, tmp_path):
    dying, axes = deadly(rows, tmp_path / "ever", 99)
    with pytest.raises(InputError, match="the Dask workers died 2 times while counting one part"):
        counting(dying, axes, engine=processes, part_bytes=10_000)


@pytest.mark.slow
def test_a_cluster_of_its_own(rows, tmp_path):
    """Without an address evenset makes one; in a process of its own, as the command does."""
    code = (
        "from evenset.data import open\nfrom evenset.data.axes import parse_axes\n"
        "from evenset.audit.engine import counting\n"
        "if __name__ == '__main__':\n"
        f"    data = open({str(rows)!r}, text='text', label='label')\n"
        "    axes = parse_axes(['pronouns'], names=data.names)\n"
        "    assert counting(data, axes, engine='dask', part_bytes=900).tally == counting(data, axes).tally\n"
    )
    (tmp_path / "script.py").write_text(code)
    done = subprocess.run([sys.executable, tmp_path / "script.py"], text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
