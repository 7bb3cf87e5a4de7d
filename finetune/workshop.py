"""Everything one process needs to train runs of a config: the task, the trainer, the curator and the store."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..data.config import Config
from .arms import RAW, Curator, raw_rows
from .judging.metrics import auc, macro_f1
from .rows import Outcome, TrainingRows
from .runs import Job, RunStore, score_table
from .task import Task, open_task, plans_of, pool_hashes

VERSION = "2"
"""Raised when training changes so that runs of before are not what a run would be now."""

RUNS = "runs"


@dataclass(frozen=True, slots=True)
class _Made:
    """Rows of a job, what curation says of them, and the seconds it took."""

    rows: TrainingRows
    curation: Any
    seconds: float


@dataclass(frozen=True, eq=False)
class Workshop:
    """Trains one job after the other and stores each run.

    Attributes
    ----------
    config : Config
    task : Task
    store : RunStore
    """

    config: Config
    task: Task
    store: RunStore

    @classmethod
    def open(cls, config: Config, out: str | Path, *, task: Task | None = None) -> Workshop:
        """Open the task of a config; runs go to ``out/runs``."""
        return cls(config, task or open_task(config), RunStore(Path(out) / RUNS))

    @cached_property
    def _raw(self) -> TrainingRows:
        return raw_rows(self.task.train, self.task.labels)

    @cached_property
    def _curator(self) -> Curator:
        from ..curate import prepare

        specs = dict.fromkeys(
            [*self.config.data.axes, *(step.axis for plan in self.config.plan.values() for step in plan.step)]
        )
        prepared = prepare(self.task.train, list(specs))
        return Curator(prepared, self._raw, plans_of(self.config), self.task.labels, self.task.positive)

    @cached_property
    def trainer(self) -> Any:
        """The trainer of the config's model."""
        settings, task = self.config.finetune, self.task
        if settings.model == "linear":
            from .linear import LinearTrainer

            return LinearTrainer(self._raw, task.splits, n_labels=len(task.labels), bootstrap=self.bootstrap)
        if settings.stacked > 1:
            from .stacked import StackedTrainer

            return StackedTrainer(
                settings, task.splits, labels=task.labels, raw_rows=self._raw.n, bootstrap=self.bootstrap
            )
        from .encoder import EncoderTrainer

        return EncoderTrainer(settings, task.splits, labels=task.labels, raw_rows=self._raw.n, bootstrap=self.bootstrap)

    @property
    def bootstrap(self) -> bool:
        """Whether rows are weighed anew for each seed."""
        settings = self.config.finetune
        return settings.model == "linear" if settings.bootstrap_rows is None else settings.bootstrap_rows

    @cached_property
    def _made_from(self) -> dict[str, str]:
        settings = self.config.finetune
        if settings.model == "linear":
            from . import linear

            model, used = (
                "linear",
                {"bits": linear.BITS, "c": linear.C, "rows": linear.MIN_ROWS, "tolerance": linear.TOLERANCE},
            )
        else:
            from .checkpoint import fingerprint, resolve

            model = fingerprint(resolve(settings.model))
            keys = (
                "epochs",
                "batch",
                "lr",
                "random_epochs",
                "random_lr",
                "weight_decay",
                "warmup",
                "max_tokens",
                "precision",
            )
            used = {key: getattr(settings, key) for key in keys} | {"stacked": settings.stacked > 1}
        return {
            "data": _hash([dict(self.task.inputs), self.task.labels, self.task.positive, str(self.task.train.columns)]),
            "model": model,
            "settings": _hash([used, self.bootstrap]),
            "version": VERSION,
        }

    def inputs(self, job: Job) -> dict[str, str]:
        """What a run of a job is made from, part by part."""
        return {**self._made_from, "plan": self._plan(job)}

    def _plan(self, job: Job) -> str:
        if job.plan == RAW:
            return RAW
        plan = self.config.plan[job.plan]
        return _hash(
            [
                plan.model_dump_json(by_alias=True, exclude={"name"}),
                pool_hashes(self.config, job.plan),
                job.placebo_of or "",
            ]
        )

    def rows(self, job: Job) -> TrainingRows:
        """The rows that a job is trained on."""
        return self._curated(job).rows

    def do(self, job: Job) -> str | None:
        """Train, score and store one job; returns why it failed, if it did."""
        made = self._curated(job)
        begun = time.perf_counter()
        outcome = self.trainer.train(made.rows, seed=job.seed, upstream=job.upstream, save=self._place(job))
        self._store(job, made, outcome, time.perf_counter() - begun)
        failed: str | None = outcome.failed
        return failed

    def do_stacked(self, jobs: Sequence[Job], *, runs: int) -> Iterator[tuple[Job, str | None]]:
        """Train jobs so many at once; yield each with why it failed, if it did.

        Jobs of one upstream share a stack, since they share rate and number of steps. While a stack trains, the rows
        of the next one are curated.
        """
        from concurrent.futures import ThreadPoolExecutor

        of_upstream: dict[str, list[Job]] = {}
        for job in jobs:
            of_upstream.setdefault(job.upstream, []).append(job)
        stacks = [some[at : at + runs] for some in of_upstream.values() for at in range(0, len(some), runs)]
        trainer = self.trainer
        with ThreadPoolExecutor(1) as ahead:
            waiting = ahead.submit(lambda: [self._curated(job) for job in stacks[0]]) if stacks else None
            for number, some in enumerate(stacks):
                assert waiting is not None
                made = waiting.result()
                if number + 1 < len(stacks):
                    following = stacks[number + 1]
                    waiting = ahead.submit(lambda them: [self._curated(job) for job in them], following)
                begun = time.perf_counter()
                outcomes = trainer.train_many(
                    [(one.rows, job.seed) for one, job in zip(made, some, strict=True)],
                    upstream=some[0].upstream,
                    saves=[self._place(job) for job in some],
                )
                took = (time.perf_counter() - begun) / len(some)
                for job, one, outcome in zip(some, made, outcomes, strict=True):
                    self._store(job, one, outcome, took)
                    yield job, outcome.failed

    def _place(self, job: Job) -> Path | None:
        return self.store.path(job) if self.config.finetune.save_model else None

    def _curated(self, job: Job) -> _Made:
        begun = time.perf_counter()
        rows, curation = (self._raw, None) if job.plan == RAW else self._curator.rows(job)
        return _Made(rows, curation, time.perf_counter() - begun)

    def _store(self, job: Job, made: _Made, outcome: Outcome, seconds: float) -> None:
        table = None
        if outcome.failed is None:
            table = score_table(job, self.task.splits, outcome, labels=self.task.labels, positive=self.task.positive)
        record = {
            "curation": made.curation,
            "quality": self._quality(outcome),
            "seconds": {"curate": round(made.seconds, 3), "train": round(seconds, 3)},
            "environment": environment(self.config.finetune.model),
        }
        self.store.save(job, self.inputs(job), outcome, table, record)

    def _quality(self, outcome: Outcome) -> dict[str, Any]:
        """AUC, or macro-F1, on each split: enough to see a run that is no model. The verdict computes its own."""
        found: dict[str, Any] = {}
        for split in self.task.splits:
            p = outcome.probabilities.get(split.name)
            if p is None:
                continue
            if self.task.positive is not None:
                at = self.task.labels.index(self.task.positive)
                found[split.name] = {"auc": auc(p[:, at], split.code == at)}
            else:
                found[split.name] = {"macro_f1": macro_f1(split.code, p.argmax(axis=1))[0]}
        return found


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


@cache
def environment(model: str) -> Mapping[str, Any]:
    """Versions of what computes."""
    from importlib.metadata import PackageNotFoundError, version

    from .. import __version__

    names = (
        ["numpy", "scipy", "scikit-learn"] if model == "linear" else ["torch", "transformers", "tokenizers", "numpy"]
    )
    found: dict[str, Any] = {"evenset": __version__, "python": platform.python_version(), "machine": platform.machine()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    if model != "linear":
        import torch

        found["device"] = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
    return {key: value if not isinstance(value, np.generic) else value.item() for key, value in found.items()}
