"""Training in worker processes: one for a core or one for a GPU, fed with stacks of runs from one list."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from ..data.config import Config
from ..data.processes import DONE, NEXT, PART, Crew, Line
from .progress import Going
from .runs import Job

_CREW = Crew(__name__, "a training worker", "try finetune.workers = 1", "Finished runs are kept")


def train_all(
    config: Config,
    out: Path,
    stacks: Sequence[Sequence[Job]],
    *,
    workers: Sequence[Mapping[str, str]],
    going: Going | None = None,
) -> Iterator[tuple[Job, str | None]]:
    """Train stacks of runs in worker processes; yield each run as it ends, with why it failed if it did.

    Parameters
    ----------
    config : Config
        Whose runs they are.
    out : Path
        Runs go to ``out/runs``.
    stacks : sequence of sequence of Job
        Begun in this order, each by the first worker that is free. Which worker makes a run changes nothing in it.
    workers : sequence of mapping
        One for each process: environment variables of its own, such as the GPU that it may use.
    going : Going, optional
        Is told of steps.

    Raises
    ------
    InputError
        What a worker found wrong with the input.
    EvensetError
        A worker broke down or is gone.
    """
    hello = json.dumps({"config": config.model_dump_json(by_alias=True), "out": str(out)}).encode()
    for said in _CREW.each(hello, stacks, workers, pack=_packed):
        word = json.loads(said.content) if said.content else {}
        if "run" in word:
            yield stacks[said.task][word["run"]], word["failed"]
        elif "steps" in word and going is not None:
            going.steps([str(stacks[said.task][at]) for at in word["steps"]], word["done"], word["total"])


def _packed(stack: Sequence[Job]) -> bytes:
    return json.dumps([asdict(job) for job in stack]).encode()


def serve() -> None:
    """Be a worker: the first message is the config, each further one a stack of jobs."""
    line = Line()
    hello = line.take()
    if hello is None:
        return
    given: deque[list[Job]] = deque()

    def stacks() -> Iterator[list[Job]]:
        while (message := line.take()) is not None:
            given.append([Job(**job) for job in json.loads(message)])
            yield given[-1]

    def told(jobs: Sequence[Job], done: int, total: int) -> None:
        at = [given[0].index(job) for job in jobs]
        line.tell(PART, json.dumps({"steps": at, "done": done, "total": total}).encode())

    try:
        from .workshop import Workshop

        settings = json.loads(hello)
        workshop = Workshop.open(Config.model_validate_json(settings["config"]), settings["out"])
        left: list[Job] = []
        for job, failed in workshop.work(stacks(), told=told, ahead=lambda: line.tell(NEXT)):
            left = left or list(given[0])
            line.tell(PART, json.dumps({"run": given[0].index(job), "failed": failed}).encode())
            left.remove(job)
            if not left:
                given.popleft()
                line.tell(DONE)
    except Exception as error:
        line.fail(error)
