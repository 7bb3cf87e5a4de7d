"""Parts of the data worked on side by side: in this process, in processes of this machine, or on a Dask cluster.

Processes are those of `evenset.data.processes`: each reads pickled tasks and answers each with a pickle.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from typing import Any

from ...data.errors import InputError, suggest
from ...data.processes import Crew, answer_each, cores

_MOST = 8  # processes by default, each of some 250 MB
_CREW = Crew(__name__, "a curating worker", "try --workers 1", "Parts that are done are kept")

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


def _on_dask(address: str | None, function: Task, shared: Any, tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    from ...audit.dask_engine import connected, each

    with ExitStack() as stack:
        client = connected(address, stack)
        yield from each(client, function, shared, tasks)


def _beside(workers: int, function: Task, shared: Any, tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    for said in _CREW.each(_packed((function, shared)), tasks, [{}] * workers, pack=_packed):
        yield said.task, pickle.loads(said.content)


def _packed(value: Any) -> bytes:
    return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)


class _NoPandas(MetaPathFinder):
    """Arrow loads pandas where it is there, and needs nothing of it: that would be time and 70 MB a worker."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:  # noqa: ARG002 - Python's own signature
        if fullname == "pandas":
            raise ImportError("a curating worker does without pandas")


def serve() -> None:
    """Be a worker: the first message says what to do, each further one what to do it to."""
    sys.meta_path.insert(0, _NoPandas())
    answer_each(_begin)


def _begin(hello: bytes) -> Callable[[bytes], bytes]:
    function, shared = pickle.loads(hello)
    return lambda task: _packed(function(shared, pickle.loads(task)))
