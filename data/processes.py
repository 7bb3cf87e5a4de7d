"""Worker processes on this machine: how they are started, fed with tasks, watched and ended.

A worker is a fresh interpreter that reads messages from its standard input and answers on its standard output. It
inherits nothing: no threads, no locks, no `__main__` to import again. When the parent is gone, be it killed, the worker
goes too.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from .errors import EvensetError, InputError

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Variables that say how many threads numerical libraries may use."""

# What a worker says, as the first byte of a message: a word on the task it is at; that it may be given the next task
# already; that a task is done; that the input is wrong; that it broke down.
PART, NEXT, DONE, INPUT, BROKEN = b"+", b">", b".", b"i", b"!"

_PATIENCE = 20.0  # seconds that a worker has to end by itself
_LENGTH = struct.Struct("<Q")


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Said:
    """What a worker said.

    Attributes
    ----------
    worker : int
        Which of them.
    task : int
        Place of the task that it is about.
    done : bool
        Whether the task is done; else it is a word in between.
    content : bytes
    """

    worker: int
    task: int
    done: bool
    content: bytes


@dataclass(frozen=True, slots=True)
class Crew:
    """Workers of one kind.

    Attributes
    ----------
    module : str
        Dotted name of the module whose ``serve()`` a worker runs.
    name : str
        What one is called in messages: "a training worker".
    advice : str
        What may help where one was killed: "try finetune.workers = 1".
    kept : str
        What is kept then: "Finished runs are kept".
    """

    module: str
    name: str
    advice: str
    kept: str

    def each(
        self,
        hello: bytes,
        tasks: Sequence[Any],
        workers: Sequence[Mapping[str, str]],
        *,
        pack: Callable[[Any], bytes],
    ) -> Iterator[Said]:
        """Give every task to some worker; yield what they say, as it comes.

        Parameters
        ----------
        hello : bytes
            The first message to each worker.
        tasks : sequence
            Begun in this order, each given to the first worker that is free.
        workers : sequence of mapping
            One for each worker: environment variables of its own.
        pack : callable
            Makes the message of a task, when it is given away.

        Raises
        ------
        InputError
            What a worker found wrong with the input.
        EvensetError
            A worker broke down or is gone.
        """
        waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for place in range(len(tasks)):
            waiting.put(place)
        said: queue.SimpleQueue[Said | BaseException] = queue.SimpleQueue()

        def give(process: subprocess.Popen[bytes]) -> Iterator[int]:
            """Give a worker the next task, if there is one."""
            with contextlib.suppress(queue.Empty):
                place = waiting.get_nowait()
                _send(process.stdin, pack(tasks[place]))
                yield place

        processes = [start(self.module, environment) for environment in workers]
        threads = [
            threading.Thread(target=self._feed, args=(number, process, hello, give, said), daemon=True)
            for number, process in enumerate(processes)
        ]
        left = len(tasks)
        try:
            for thread in threads:
                thread.start()
            while left:
                found = said.get()
                if isinstance(found, BaseException):
                    raise found
                left -= found.done
                yield found
        finally:
            # Also after Ctrl-C: what a worker has not finished is left out, what it has is on disk.
            for process in processes:
                process.terminate()
            for process in processes:
                _end(process)

    def _feed(
        self,
        number: int,
        process: subprocess.Popen[bytes],
        hello: bytes,
        give: Callable[[subprocess.Popen[bytes]], Iterator[int]],
        said: queue.SimpleQueue[Said | BaseException],
    ) -> None:
        """Give one worker task after task until none is left; pass on what it says."""
        assert process.stdin is not None
        assert process.stdout is not None
        given: deque[int] = deque()
        try:
            _send(process.stdin, hello)
            given.extend(give(process))
            while given:
                message = _receive(process.stdout)
                if message is None:
                    raise EvensetError(self._gone(process))
                kind, content = message[:1], message[1:]
                if kind == INPUT:
                    raise InputError(content.decode())
                if kind == BROKEN:
                    raise EvensetError(f"{self.name} broke down\n{content.decode()}")
                if kind == NEXT:
                    given.extend(give(process))
                    continue
                said.put(Said(number, given[0], kind == DONE, content))
                if kind == DONE:
                    given.popleft()
                    if not given:
                        given.extend(give(process))
        except BrokenPipeError:
            said.put(EvensetError(self._gone(process)))
        except BaseException as error:
            said.put(error)

    def _gone(self, process: subprocess.Popen[bytes]) -> str:
        code = process.wait()
        why = f"it was killed, as happens when memory runs out; {self.advice}" if code == -9 else f"exit code {code}"
        return f"{self.name} is gone: {why}. {self.kept}; the same command goes on from there"


def start(module: str, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a worker that runs ``serve()`` of a module; numerical libraries get one thread unless told otherwise."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)  # noqa: PTH109 - as the interpreter reads it
    return subprocess.Popen(
        [sys.executable, "-c", f"from {module} import serve; serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **dict.fromkeys(THREADS, "1"), "PYTHONPATH": path, **environment},
        # A session of its own: Ctrl-C goes to the parent alone, which ends its workers in an orderly way.
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for a worker that was told to go, and not for ever.

    A signal may reach any of its threads, and then the one that waits for a task does not wake: the end of its input
    wakes it. What a signal handler raises inside a destructor is dropped: that worker is killed after a while.
    """
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


def _send(pipe: IO[bytes] | None, content: bytes) -> None:
    assert pipe is not None
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


# -- in the worker -----------------------------------------------------------------------------------------------------


class Line:
    """A worker's line to its parent."""

    __slots__ = ("_answers",)

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no answer
        # Ends as an error does, so that half-written files are removed.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        threading.Thread(target=_follow, args=(os.getppid(),), daemon=True).start()

    def take(self) -> bytes | None:
        """The next message; None once there is none to come."""
        return _receive(sys.stdin.buffer)

    def tell(self, kind: bytes, content: bytes = b"") -> None:
        """Say something to the parent."""
        try:
            _send(self._answers, kind + content)
        except BrokenPipeError:  # the parent was killed; what is done is on disk
            os._exit(0)

    def fail(self, error: Exception) -> None:
        """Tell the parent of an error, which it raises in its turn."""
        if isinstance(error, InputError):
            self.tell(INPUT, str(error).encode())
        elif isinstance(error, MemoryError):
            self.tell(INPUT, b"a worker ran out of memory; let fewer of them work at a time, or free some memory")
        else:
            self.tell(BROKEN, "".join(traceback.format_exception(error)).encode("utf-8", "backslashreplace"))


def answer_each(begin: Callable[[bytes], Callable[[bytes], bytes]]) -> None:
    """Be a worker that answers one task after the other.

    Parameters
    ----------
    begin : callable
        Gets the first message and gives the function from a task to its answer.
    """
    line = Line()
    hello = line.take()
    if hello is None:
        return
    try:
        work = begin(hello)
    except Exception as error:
        line.fail(error)
        return
    while (task := line.take()) is not None:
        try:
            answer = work(task)
        except Exception as error:
            line.fail(error)
        else:
            line.tell(DONE, answer)


def _follow(parent: int) -> None:
    """End this worker soon after its parent has ended, in whatever way that came about."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE)
    os._exit(143)  # the signal was lost
