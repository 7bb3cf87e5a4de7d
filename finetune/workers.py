"""Runs side by side, each worker a process of its own with one thread.

A worker is a fresh interpreter that reads jobs, one JSON line each, from its standard input and answers each with a
line. It inherits nothing: no threads, no locks, no `__main__` to import again. When the parent is gone, be it killed,
the worker goes too.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from ..data.config import Config
from ..data.errors import EvensetError, InputError
from .runs import Job

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_PATIENCE = 20.0  # seconds that a worker has to end by itself


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def train_all(config: Config, out: Path, jobs: Sequence[Job], *, workers: int) -> Iterator[tuple[Job, str | None]]:
    """Train jobs in worker processes; yield each as it ends, with why it failed if it did.

    Parameters
    ----------
    config : Config
        Whose runs they are.
    out : Path
        Runs go to ``out/runs``.
    jobs : sequence of Job
        Begun in this order.
    workers : int
        Processes at most.

    Raises
    ------
    InputError
        What a worker found wrong with the input.
    EvensetError
        A worker broke down.
    """
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    ended: queue.SimpleQueue[tuple[Job, str | None] | BaseException] = queue.SimpleQueue()
    processes = [_start() for _ in range(min(workers, len(jobs)))]
    hello = json.dumps({"config": config.model_dump_json(by_alias=True), "out": str(out)})
    threads = [threading.Thread(target=_feed, args=(p, hello, waiting, ended), daemon=True) for p in processes]
    try:
        for thread in threads:
            thread.start()
        for _ in jobs:
            found = ended.get()
            if isinstance(found, BaseException):
                raise found
            yield found
    finally:
        # Also after Ctrl-C: what a worker has not finished is left out, what it has is in the store.
        for process in processes:
            process.terminate()
        for process in processes:
            _end(process)


def _start() -> subprocess.Popen[str]:
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)  # noqa: PTH109 - as the interpreter reads it
    environment = {**os.environ, **dict.fromkeys(_THREADS, "1"), "PYTHONPATH": path}
    return subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import serve; serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=environment,
        # A session of its own: Ctrl-C goes to the parent alone, which ends its workers in an orderly way.
        start_new_session=True,
    )


def _end(process: subprocess.Popen[str]) -> None:
    """Wait for a worker that was told to go, and not for ever.

    A signal may reach any of its threads, and then the one that waits for a job does not wake: the end of its input
    wakes it. What a signal handler raises inside a destructor is dropped: that worker is killed after a while.
    """
    _close(process.stdin)
    try:
        process.wait(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _close(process.stdout)


def _close(pipe: IO[str] | None) -> None:
    if pipe is not None:
        with contextlib.suppress(OSError):  # what was not written to a worker that is gone
            pipe.close()


def _feed(process: subprocess.Popen[str], hello: str, waiting: Any, ended: Any) -> None:
    """Give one worker job after job until none is left; pass on what comes of each."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(hello + "\n")
        while True:
            try:
                job = waiting.get_nowait()
            except queue.Empty:
                return
            process.stdin.write(json.dumps(asdict(job)) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                raise EvensetError(_gone(process, job))
            answer = json.loads(line)
            if "input_error" in answer:
                raise InputError(answer["input_error"])
            if "error" in answer:
                raise EvensetError(f"training {job} broke down\n{answer['error']}")
            ended.put((job, answer["failed"]))
    except BrokenPipeError:
        ended.put(EvensetError(_gone(process, None)))
    except BaseException as error:
        ended.put(error)


def _gone(process: subprocess.Popen[str], job: Job | None) -> str:
    code = process.wait()
    what = f"the worker that trained {job}" if job else "a training worker"
    why = (
        "it was killed, as happens when memory runs out; try finetune.workers = 1"
        if code == -9
        else f"exit code {code}"
    )
    return f"{what} is gone: {why}. Finished runs are kept; the same command goes on from there"


def serve() -> None:
    """Be a worker: the first line is the config, each further line a job."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no answer
    # Ends as an error does, so that half-written files are removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    threading.Thread(target=_follow, args=(os.getppid(),), daemon=True).start()
    workshop = None
    hello: dict[str, Any] = {}
    for line in sys.stdin:
        message = json.loads(line)
        if "config" in message:
            hello = message
            continue
        try:
            if workshop is None:
                from .workshop import Workshop

                workshop = Workshop.open(Config.model_validate_json(hello["config"]), hello["out"])
            answer: dict[str, Any] = {"failed": workshop.do(Job(**message))}
        except InputError as error:
            answer = {"input_error": str(error)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        try:
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
        except BrokenPipeError:  # the parent was killed; the run itself is stored
            os._exit(0)


def _follow(parent: int) -> None:
    """End this worker soon after its parent has ended, in whatever way that came about."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE)
    os._exit(143)  # the signal was lost
