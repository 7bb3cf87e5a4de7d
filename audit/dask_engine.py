"""Counting on a Dask cluster: a map over the parts and a tree of sums.

Only this file imports dask, and only when it is asked for.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..data.errors import InputError, require
from ..data.readers_arrow import TableSource
from .shards import Counted, Job, add, count

if TYPE_CHECKING:
    from ..data.parts import Part
    from .shard_files import Store

_WAIT = 8  # seconds for an answer of the scheduler
_FAN = 8  # sums at a time


def run(
    job: Job, parts: Sequence[Part], address: str | None, store: Store | None, finished: Callable[[Part], None]
) -> Counted:
    """Count parts on the workers of a scheduler, or of a cluster of this machine made for the purpose.

    Parameters
    ----------
    job : Job
        What to count; its files must be within reach of the workers, under the same paths.
    parts : sequence of Part
        Of its dataset.
    address : str, optional
        Of the scheduler.
    store : Store, optional
        Where the count of each part is kept as it comes.
    finished : callable
        Told each part that is done.

    Raises
    ------
    InputError
        When dask is not installed, the scheduler cannot be reached or has no workers, a worker's evenset is another,
        workers die again and again over one part, or a row cannot be read.
    """
    distributed = require("distributed", extra="dask", why="--engine dask")
    if isinstance(job.dataset.source, TableSource):
        raise InputError("--engine dask counts files; rows in memory are counted with --engine local")
    with ExitStack() as stack:
        return _count(distributed, connected(address, stack), job, parts, store, finished)


def connected(address: str | None, stack: ExitStack) -> Any:
    """A client of the scheduler at an address, or of a cluster of this machine, whose workers have this evenset.

    Raises
    ------
    InputError
        As in `run`.
    """
    distributed = require("distributed", extra="dask", why="--engine dask")
    log = logging.getLogger("distributed")
    stack.callback(log.setLevel, log.level)
    log.setLevel(logging.CRITICAL)  # what matters of it becomes one message
    client = _client(distributed, address, stack)
    _same_evenset(client)
    return client


def each(
    client: Any, function: Callable[[Any, Any], Any], shared: Any, tasks: Sequence[Any]
) -> Iterator[tuple[int, Any]]:
    """Call ``function(shared, task)`` on the workers; yield the place of each task and what came of it, as they end.

    Raises
    ------
    InputError
        As in `run`.
    """
    distributed = require("distributed", extra="dask", why="--engine dask")
    run_id = secrets.token_hex(8)
    try:
        held = client.scatter(shared, broadcast=True, hash=False)
        futures = {
            client.submit(function, held, task, key=f"evenset-{run_id}-{place}", pure=False): place
            for place, task in enumerate(tasks)
        }
        for future in distributed.as_completed(list(futures), loop=client.loop):
            yield futures[future], future.result()
    except distributed.KilledWorker as error:
        raise InputError(
            f"the Dask workers died {error.allowed_failures + 1} times over one part (is their memory too small?); "
            "give them more, or use --engine local"
        ) from None
    except (TimeoutError, distributed.CancelledError) as error:
        lost = InputError(
            f"the connection to the Dask scheduler was lost ({_brief(error)}); start the same command again: it goes "
            "on with the parts that are done"
        )
        lost.resumable = True  # type: ignore[attr-defined]
        raise lost from None


def _client(distributed: Any, address: str | None, stack: ExitStack) -> Any:
    if address is None:
        cluster = stack.enter_context(
            distributed.LocalCluster(
                n_workers=os.cpu_count() or 1,
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",  # any free port: another run may have the usual one
                silence_logs=logging.CRITICAL,
            )
        )
        return stack.enter_context(distributed.Client(cluster, set_as_default=False))
    try:
        # First a question to the address: a client that found nobody there complains again when it is cleared away.
        asyncio.run(asyncio.wait_for(_ask(distributed, address), _WAIT))
        client = stack.enter_context(distributed.Client(address, timeout=_WAIT, set_as_default=False))
    except Exception as error:  # whatever listens at the address may answer anything
        raise InputError(
            f"cannot reach a Dask scheduler at {address} ({_brief(error)}); is it running, and is the address right?"
        ) from None
    try:
        client.wait_for_workers(1, timeout=_WAIT)
    except TimeoutError:
        raise InputError(f"the Dask scheduler at {address} has no workers; start some: dask worker {address}") from None
    return client


async def _ask(distributed: Any, address: str) -> None:
    async with distributed.rpc(address, timeout=_WAIT) as scheduler:
        answer = await scheduler.identity()
    if answer["type"] != "Scheduler":
        raise ValueError(f"a {answer['type']} is there")


def _brief(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _versions() -> tuple[str, str]:
    return __version__, unicodedata.unidata_version


def _same_evenset(client: Any) -> None:
    """Counts of two versions need not add."""
    try:
        found = client.run(_versions)
    except Exception as error:  # whatever a worker without evenset makes of it
        raise InputError(
            f"the Dask workers cannot run evenset ({_brief(error)}); install evenset {__version__} there too"
        ) from None
    for worker, versions in found.items():
        if tuple(versions) != _versions():
            raise InputError(
                f"the Dask worker {worker} has evenset {versions[0]} with Unicode {versions[1]}, here are "
                f"{__version__} and {_versions()[1]}; install the same evenset and Python there"
            )


def _leaf(job: Job, part: Part) -> Counted:
    ((_, counted),) = count(job, [part], workers=1)
    return counted


def _sum(job: Job, counted: list[Counted]) -> Counted:
    return add(job, counted)


def _count(
    distributed: Any,
    client: Any,
    job: Job,
    parts: Sequence[Part],
    store: Store | None,
    finished: Callable[[Part], None],
) -> Counted:
    run_id = secrets.token_hex(8)

    def submit(function: Callable[..., Counted], name: str, *arguments: Any) -> Any:
        return client.submit(function, job, *arguments, key=f"evenset-{run_id}-{name}", pure=False)

    leaves = {submit(_leaf, f"part-{part.number}", part): part for part in parts}
    level, height = list(leaves), 0
    while len(level) > 1:
        height += 1
        level = [submit(_sum, f"sum-{height}-{low}", level[low : low + _FAN]) for low in range(0, len(level), _FAN)]
    (root,) = level
    try:
        for leaf in distributed.as_completed(list(leaves), loop=client.loop):
            part = leaves[leaf]
            if leaf.status == "error":
                leaf.result()
            if store is not None:
                store.keep(part, leaf.result())
            finished(part)
        whole: Counted = root.result()
        return whole
    except distributed.KilledWorker as error:
        raise InputError(
            f"the Dask workers died {error.allowed_failures + 1} times while counting one part (is their memory too "
            "small?); give them more, or use --engine local"
        ) from None
    except InputError:
        raise
    except (OSError, TimeoutError, distributed.CancelledError) as error:
        raise InputError(
            f"the connection to the Dask scheduler was lost ({_brief(error)}); start the same command again: what was "
            "counted is kept where --out is given"
        ) from None
