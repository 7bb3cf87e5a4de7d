"""Training under torchrun or accelerate: rank 0 leads and trains, the other ranks train, from one list of stacks.

The list lies in the launcher's store (`torch.distributed.TCPStore`); a rank takes the next stack when it is free. Ranks
exchange nothing else but the news of what has ended: each writes its runs to the folder itself. Nothing waits for a
rank that is gone: what it had taken is trained by rank 0.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..data.config import Config
from ..data.errors import EvensetError, InputError
from .progress import Going
from .runs import Job
from .workshop import Workshop

_NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_POLL = 0.1  # seconds between two looks at the store
_BEAT = 2.0  # seconds between two signs of life
_SILENCE = 60.0  # seconds after which a rank counts as gone

_here: Ranks | None = None


def rank() -> int | None:
    """Rank of this process, where a launcher started several; else None."""
    if all(os.environ.get(name) for name in _NEEDED) and int(os.environ["WORLD_SIZE"]) > 1:
        return int(os.environ["RANK"])
    return None


def joined() -> Ranks | None:
    """The ranks that this process leads, if it does."""
    return _here


@contextlib.contextmanager
def leading() -> Iterator[None]:
    """Lead the other ranks, if there are any, for as long as this lasts; at its end they go home."""
    global _here
    if rank() is None:
        yield
        return
    _here = Ranks()
    try:
        yield
    finally:
        ranks, _here = _here, None
        ranks.close()


def follow() -> int:
    """Train for rank 0 until it needs no more; returns an exit code.

    Raises
    ------
    EvensetError
        Rank 0 cannot be reached, or is gone.
    """
    try:
        ranks = Ranks()
    except RuntimeError as error:
        raise EvensetError(f"rank 0 cannot be reached: {str(error).splitlines()[0]}") from None
    return ranks.follow()


class Ranks:
    """One of the processes that a launcher started.

    Attributes
    ----------
    rank, world : int
    """

    def __init__(self) -> None:
        from torch.distributed import rendezvous

        _pin()
        self._store, self.rank, self.world = next(rendezvous("env://"))
        self._round = 0
        self._heard: dict[int, int] = {}
        self._seen: dict[int, tuple[bytes, float]] = {}
        self._stop = threading.Event()
        # A connection of its own: a call that waits holds its connection.
        threading.Thread(target=self._beat, args=(self._store.clone(),), daemon=True).start()

    def _beat(self, store: Any) -> None:
        number = 0
        with contextlib.suppress(RuntimeError):  # the store is gone, and this process with it
            while not self._stop.is_set():
                store.set(_key("beat", self.rank), str(number))
                number += 1
                self._stop.wait(_BEAT)

    def _silent(self, other: int) -> bool:
        """Whether a rank has given no sign of life for long."""
        now, key = time.monotonic(), _key("beat", other)
        beat = self._store.get(key) if self._store.check([key]) else b""
        before = self._seen.get(other)
        if before is None or before[0] != beat:
            self._seen[other] = (beat, now)
            return False
        return now - before[1] > _SILENCE

    def _claimed(self, number: int, stacks: Sequence[Sequence[Job]]) -> Iterator[Sequence[Job]]:
        """Stacks that this rank takes off the list, each when it is asked for."""
        while (at := self._store.add(_key(number, "next"), 1) - 1) < len(stacks):
            if self._store.check([_key("over")]):
                return
            self._store.set(_key(number, "taken", at), str(self.rank))
            yield stacks[at]

    # -- rank 0 --------------------------------------------------------------------------------------------------------

    def lead(
        self, workshop: Workshop, out: Path, stacks: Sequence[Sequence[Job]], going: Going
    ) -> Iterator[tuple[Job, str | None]]:
        """Train stacks together with the other ranks; yield each run once it has ended, with why it failed if it did.

        Raises
        ------
        InputError
            What a rank found wrong with the input.
        EvensetError
            A rank broke down.
        """
        number = self._round
        self._round += 1
        self._heard = {}
        config = workshop.config.model_dump_json(by_alias=True)
        work = {
            "config": config,
            "out": str(out.resolve()),
            "stacks": [[asdict(job) for job in some] for some in stacks],
        }
        self._store.set(_key(number, "work"), json.dumps(work))
        left = {str(job): job for some in stacks for job in some}

        def told(some: Sequence[Job], done: int, total: int) -> None:
            going.steps([str(job) for job in some], done, total)
            self._steps(number, going)

        for job, failed in workshop.work(self._claimed(number, stacks), told=told, ahead=lambda: None):
            if left.pop(str(job), None):
                yield job, failed
            yield from self._ended(number, left)
        while left:
            yield from self._ended(number, left)
            self._steps(number, going)
            lost = [job for at, some in enumerate(stacks) if self._lost(number, at) for job in some if str(job) in left]
            for job, failed in workshop.work([[job] for job in lost], told=told):
                del left[str(job)]
                yield job, failed
            time.sleep(_POLL)

    def _ended(self, number: int, left: dict[str, Job]) -> Iterator[tuple[Job, str | None]]:
        """Runs that other ranks have ended since the last look."""
        for other in range(1, self.world):
            while self._store.check([key := _key(number, "said", other, self._heard.get(other, 0))]):
                self._heard[other] = self._heard.get(other, 0) + 1
                word = json.loads(self._store.get(key))
                if "input_error" in word:
                    raise InputError(word["input_error"])
                if "error" in word:
                    raise EvensetError(f"rank {other} broke down\n{word['error']}")
                if job := left.pop(word["run"], None):
                    yield job, word["failed"]

    def _steps(self, number: int, going: Going) -> None:
        for other in range(1, self.world):
            if self._store.check([key := _key(number, "steps", other)]):
                going.steps(*json.loads(self._store.get(key)))

    def _lost(self, number: int, at: int) -> bool:
        """Whether a stack was taken by a rank that is gone."""
        key = _key(number, "taken", at)
        others = [int(self._store.get(key))] if self._store.check([key]) else range(1, self.world)
        return any(self._silent(other) for other in others if other != 0)

    def close(self) -> None:
        """Send the other ranks home. The store may end with this process, so wait until they have heard it."""
        until = time.monotonic() + 5
        with contextlib.suppress(RuntimeError):
            self._store.set(_key("over"), "1")
            while time.monotonic() < until and not self._store.check([_key("left", o) for o in range(1, self.world)]):
                time.sleep(_POLL)
        self._stop.set()

    # -- the others ----------------------------------------------------------------------------------------------------

    def follow(self) -> int:
        """Train what rank 0 lists, list after list, until it needs no more."""
        number = 0
        try:
            while not self._store.check([_key("over")]):
                if self._store.check([key := _key(number, "work")]):
                    self._help(number, json.loads(self._store.get(key)))
                    number += 1
                elif self._silent(0):
                    raise EvensetError("rank 0 has given no sign of life for a minute; this rank ends")
                time.sleep(_POLL)
            self._store.set(_key("left", self.rank), "1")
        except RuntimeError as error:
            raise EvensetError(f"rank 0 is gone: {str(error).splitlines()[0]}; finished runs are kept") from None
        finally:
            self._stop.set()
        return 0

    def _help(self, number: int, work: Mapping[str, Any]) -> None:
        place = 0

        def say(word: Mapping[str, Any]) -> None:
            nonlocal place
            self._store.set(_key(number, "said", self.rank, place), json.dumps(word))
            place += 1

        def told(some: Sequence[Job], done: int, total: int) -> None:
            self._store.set(_key(number, "steps", self.rank), json.dumps([[str(job) for job in some], done, total]))

        try:
            workshop = Workshop.open(Config.model_validate_json(work["config"]), work["out"])
            stacks = [[Job(**job) for job in some] for some in work["stacks"]]
            for job, failed in workshop.work(self._claimed(number, stacks), told=told, ahead=lambda: None):
                say({"run": str(job), "failed": failed})
        except InputError as error:
            say({"input_error": str(error)})
        except Exception:
            say({"error": traceback.format_exc()})


def _key(*parts: object) -> str:
    return "/".join(("evenset", *map(str, parts)))


def _pin() -> None:
    """Leave this process the GPU of its place on this machine, before CUDA is begun."""
    import torch

    from .spread import visible

    devices = visible()
    if len(devices) > 1 and not torch.cuda.is_initialized():
        os.environ["CUDA_VISIBLE_DEVICES"] = devices[int(os.environ.get("LOCAL_RANK") or 0) % len(devices)]
