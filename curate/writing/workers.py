"""Parts of the data worked on side by side: in this process, in processes of this machine, or on a Dask cluster.

A worker is a fresh interpreter that reads pickled tasks from its standard input and answers each with a pickle. It
inherits nothing: no threads, no locks, no `__main__` to import again. When the parent is gone, be it killed, the worker
goes too.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from typing import IO, Any

from ...data.errors import EvensetError, InputError, suggest

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_PATIENCE = 10.0  # seconds that a worker has to end by itself
_MOST = 8  # processes by default, each of some 250 MB
_LENGTH = struct.Struct("<Q")

Task = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Engine:
    """Who works.

    Attributes
    ----------
    kind : str
        "local" or "dask".
    address : str or None
        Of a Dask scheduler; None for a cluster of this machine.
    workers : int
        Processes; 1 means this one.
    """

    kind: str = "local"
    address: str | None = None
    workers: int = 1

    @staticmethod
    def parse(text: str, workers: int | None = None) -> Engine:
        """What ``--engine`` and ``--workers`` mean.

        Raises
        ------
        InputError

        Examples
        --------
        >>> Engine.parse("dask:10.0.0.1:8786").address
        '10.0.0.1:8786'
        """
        kind, _, address = text.partition(":")
        if kind not in {"local", "dask"} or (kind == "local" and address):
            raise InputError(
                f'--engine "{text}" is none of local, dask, dask:ADDRESS.{suggest(text, ["local", "dask"])}'
            )
        if workers is not None and workers < 1:
            raise InputError(f"--workers {workers}: give at least 1")
        return Engine(kind, address or None, workers or min(cores(), _MOST))

    def each(self, function: Task, shared: Any, tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Call ``function(shared, task)`` for each task; yield its place and what came of it, as they end.

        Raises
        ------
        InputError
            What a worker found wrong with the input.
        EvensetError
            A worker broke down.
        """
        if self.kind == "dask":
            yield from _on_dask(self.address, function, shared, tasks)
        elif min(self.workers, len(tasks)) <= 1:
            for place, task in enumerate(tasks):
                yield place, function(shared, task)
        else:
            yield from _beside(min(self.workers, len(tasks)), function, shared, tasks)


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _on_dask(address: str | None, function: Task, shared: Any, tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    from ...audit.dask_engine import connected, each

    with ExitStack() as stack:
        client = connected(address, stack)
        yield from each(client, function, shared, tasks)


def _beside(workers: int, function: Task, shared: Any, tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for place in range(len(tasks)):
        waiting.put(place)
    ended: queue.SimpleQueue[tuple[int, Any] | BaseException] = queue.SimpleQueue()
    hello = pickle.dumps((function, shared), protocol=pickle.HIGHEST_PROTOCOL)
    processes = [_start() for _ in range(workers)]
    threads = [threading.Thread(target=_feed, args=(p, hello, tasks, waiting, ended), daemon=True) for p in processes]
    try:
        for thread in threads:
            thread.start()
        for _ in tasks:
            found = ended.get()
            if isinstance(found, BaseException):
                raise found
            yield found
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            _end(process)


def _start() -> subprocess.Popen[bytes]:
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)  # noqa: PTH109 - as the interpreter reads it
    environment = {**os.environ, **dict.fromkeys(_THREADS, "1"), "PYTHONPATH": path}
    return subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import serve; serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        # A session of its own: Ctrl-C goes to the parent alone, which ends its workers in an orderly way.
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    _close(process.stdin)
    try:
        process.wait(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _close(process.stdout)


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        with contextlib.suppress(OSError):  # what was not written to a worker that is gone
            pipe.close()


def _feed(process: subprocess.Popen[bytes], hello: bytes, tasks: Sequence[Any], waiting: Any, ended: Any) -> None:
    """Give one worker task after task until none is left; pass on what comes of each."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        _send(process.stdin, hello)
        while True:
            try:
                place = waiting.get_nowait()
            except queue.Empty:
                return
            _send(process.stdin, pickle.dumps(tasks[place], protocol=pickle.HIGHEST_PROTOCOL))
            answer = _receive(process.stdout)
            if answer is None:
                raise EvensetError(_gone(process))
            kind, content = pickle.loads(answer)
            if kind == "input":
                raise InputError(content)
            if kind == "error":
                raise EvensetError(f"a curating worker broke down\n{content}")
            ended.put((place, content))
    except BrokenPipeError:
        ended.put(EvensetError(_gone(process)))
    except BaseException as error:
        ended.put(error)


def _send(pipe: IO[bytes], content: bytes) -> None:
    pipe.write(_LENGTH.pack(len(content)))
    pipe.write(content)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes | None:
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    size = _LENGTH.unpack(head)[0]
    content = pipe.read(size)
    return content if len(content) == size else None


def _gone(process: subprocess.Popen[bytes]) -> str:
    code = process.wait()
    why = "it was killed, as happens when memory runs out; try --workers 1" if code == -9 else f"exit code {code}"
    return f"a curating worker is gone: {why}. Parts that are done are kept; the same command goes on from there"


class _NoPandas(MetaPathFinder):
    """Arrow loads pandas where it is there, and needs nothing of it: that would be time and 70 MB a worker."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:  # noqa: ARG002 - Python's own signature
        if fullname == "pandas":
            raise ImportError("a curating worker does without pandas")


def serve() -> None:
    """Be a worker: the first message says what to do, each further one what to do it to."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no answer
    # Ends as an error does, so that half-written files are removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    threading.Thread(target=_follow, args=(os.getppid(),), daemon=True).start()
    sys.meta_path.insert(0, _NoPandas())
    hello = _receive(sys.stdin.buffer)
    if hello is None:
        return
    function, shared = pickle.loads(hello)
    while (message := _receive(sys.stdin.buffer)) is not None:
        try:
            answer = ("done", function(shared, pickle.loads(message)))
        except InputError as error:
            answer = ("input", str(error))
        except Exception:
            answer = ("error", traceback.format_exc())
        try:
            _send(answers, pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL))
        except BrokenPipeError:  # the parent was killed; what is done is on disk
            os._exit(0)


def _follow(parent: int) -> None:
    """End this worker soon after its parent has ended, in whatever way that came about."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE)
    os._exit(143)  # the signal was lost
