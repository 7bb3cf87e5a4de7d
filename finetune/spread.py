"""How runs are spread: which GPUs there are, how many workers, and which runs are trained together."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from ..data.config import FinetuneConfig
from ..data.errors import InputError
from ..data.processes import THREADS, cores
from .runs import Job

_OVERHEAD = 2.0
"""What a step of a stack costs besides its runs, in steps of one run more in a large stack: an estimate."""


def gpus(settings: FinetuneConfig) -> tuple[str, ...]:
    """The GPUs that a config may use."""
    return () if settings.model == "linear" or settings.device == "cpu" else visible()


def visible() -> tuple[str, ...]:
    """Names, for ``CUDA_VISIBLE_DEVICES``, of the GPUs that this process sees; none is touched."""
    try:
        import torch
    except ImportError:  # the trainer says so better
        return ()
    count = torch.cuda.device_count()
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [name.strip() for name in shown.split(",")] if shown else [str(at) for at in range(count)]
    return tuple(names[:count])


def lacking(settings: FinetuneConfig) -> str | None:
    """What to tell the user where there is no GPU for an encoder.

    Raises
    ------
    InputError
        The config insists on one.
    """
    without = find_spec("torch") is None  # which the trainer says better
    if settings.model == "linear" or settings.device == "cpu" or without or visible():
        return None
    if settings.device == "cuda":
        raise InputError('finetune.device = "cuda", but torch sees no CUDA device here; say "auto" or "cpu"')
    return "no GPU was found: models are trained on the CPU, which takes many times as long"


def how_many(settings: FinetuneConfig, devices: Sequence[str]) -> int:
    """Workers by default: for `linear` one a core, for an encoder one a GPU, or one process where there is none."""
    if settings.workers is not None:
        return settings.workers
    return cores() if settings.model == "linear" else max(1, len(devices))


def environments(workers: int, devices: Sequence[str]) -> list[dict[str, str]]:
    """Environment variables of each worker: GPUs in turn, and with a GPU its share of the cores for the rest.

    Examples
    --------
    >>> [one["CUDA_VISIBLE_DEVICES"] for one in environments(3, ["0", "2"])]
    ['0', '2', '0']
    >>> environments(2, [])
    [{}, {}]
    """
    if not devices:
        return [{} for _ in range(workers)]
    threads = dict.fromkeys(THREADS, str(max(1, cores() // workers)))
    return [{**threads, "CUDA_VISIBLE_DEVICES": devices[at % len(devices)]} for at in range(workers)]


def stacks(jobs: Sequence[Job], *, most: int, workers: int, epochs: Mapping[str, float]) -> list[list[Job]]:
    """Runs that are trained together, in the order in which they are dealt out.

    Parameters
    ----------
    jobs : sequence of Job
        Runs of one upstream share a stack, since they share rate and number of steps.
    most : int
        Runs of a stack at most; 1 keeps the order of `jobs`.
    workers : int
        Who take a stack each, and the next one when they are done.
    epochs : mapping of str to float
        Of each upstream.

    Returns
    -------
    list of list of Job
        Stacks so large that the last worker is done soonest, if a step costs the runs of its stack and a little more;
        the longest first.

    Examples
    --------
    >>> jobs = [Job("raw", "raw", "pretrained", seed) for seed in range(20)]
    >>> [len(some) for some in stacks(jobs, most=16, workers=1, epochs={})]
    [16, 4]
    >>> [len(some) for some in stacks(jobs, most=16, workers=2, epochs={})]
    [10, 10]
    """
    if most == 1:
        return [[job] for job in jobs]
    of_upstream: dict[str, list[Job]] = {}
    for job in jobs:
        of_upstream.setdefault(job.upstream, []).append(job)

    def cost(stack: Sequence[Job]) -> float:
        return epochs.get(stack[0].upstream, 1.0) * (len(stack) + _OVERHEAD)

    best: list[list[Job]] = []
    least = math.inf
    for size in range(most, 0, -1):
        cut = [some[at : at + size] for some in of_upstream.values() for at in range(0, len(some), size)]
        cut.sort(key=cost, reverse=True)
        busy = [0.0] * workers
        for stack in cut:
            at = busy.index(min(busy))
            busy[at] += cost(stack)
        if max(busy) < least:
            best, least = cut, max(busy)
    return best
