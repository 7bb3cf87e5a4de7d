"""Everything one process needs to train runs of a config: the task, the trainer, the curator and the store."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from ..data.axes import Axis, parse_axes
from ..data.config import Config, UpstreamConfig
from .arms import RAW, Curator, raw_rows
from .judging.metrics import auc, macro_f1
from .memory import trying
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
        if settings.frozen:
            from .frozen import FrozenTrainer

            return FrozenTrainer(
                settings, self._raw, task.splits, labels=task.labels, bootstrap=self.bootstrap,
                upstreams=self.config.upstream, sides=self._sides,
            )  # fmt: skip
        if settings.stacked > 1:
            from .stacked import StackedTrainer

            return StackedTrainer(
                settings, task.splits, labels=task.labels, raw_rows=self._raw.n, bootstrap=self.bootstrap,
                upstreams=self.config.upstream,
            )  # fmt: skip
        from .encoder import EncoderTrainer

        return EncoderTrainer(
            settings, task.splits, labels=task.labels, raw_rows=self._raw.n, bootstrap=self.bootstrap,
            upstreams=self.config.upstream,
        )  # fmt: skip

    def epochs(self, upstream: str) -> float:
        """Epochs of a run, in those of a pre-trained one's rows: what its training costs."""
        settings = self.config.finetune
        return float(settings.random_epochs if upstream == "random" else settings.epochs)

    @property
    def bootstrap(self) -> bool:
        """Whether rows are weighed anew for each seed."""
        settings = self.config.finetune
        alike = settings.model == "linear" or settings.frozen  # whose seeds would else be one run
        return alike if settings.bootstrap_rows is None else settings.bootstrap_rows

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
            if settings.frozen:
                from . import head

                used = {"frozen": True, "c": head.C, "tolerance": head.TOLERANCE, "max_tokens": settings.max_tokens}
                return self._inputs_of(model, used)
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
        return self._inputs_of(model, used)

    def _inputs_of(self, model: str, used: Mapping[str, Any]) -> dict[str, str]:
        return {
            "data": _hash([dict(self.task.inputs), self.task.labels, self.task.positive, str(self.task.train.columns)]),
            "model": model,
            "settings": _hash([used, self.bootstrap]),
            "version": VERSION,
        }

    def inputs(self, job: Job) -> dict[str, str]:
        """What a run of a job is made from, part by part."""
        return {**self._made_from, "plan": self._plan(job), **self._upstream(job)}

    def _upstream(self, job: Job) -> dict[str, str]:
        """The lever of a job, where it has one; of a projection with the pairs that its axis has now."""
        spec = self.config.upstream.get(job.upstream)
        if spec is None:
            return {}
        from .upstream.levers import pairs_of

        of: Any = ()
        if spec.kind == "project":
            of = pairs_of(spec.axis, job.upstream).pairs
        elif spec.kind == "inlp":
            axis = self._guessed(spec)
            of = [axis.name, *(lexicon.sha256 for lexicon in axis.lexicons()), self.config.verdict.measure]
        return {"upstream": _hash([spec.model_dump(), of])}

    def _guessed(self, spec: UpstreamConfig) -> Axis:
        """The axis whose groups "inlp" makes unguessable: the verdict's, or the one that the lever names."""
        specs, names = self.config.data.axes, self.task.train.names
        if "axis" in spec.model_fields_set:
            return parse_axes([spec.axis], names=names)[0]
        return next(axis for axis in parse_axes(specs, names=names) if axis.name == self.task.axis)

    def _sides(self, spec: UpstreamConfig) -> tuple[Any, str]:
        """On which of two sides each raw row is."""
        from ..data.scan import scan
        from .upstream.nullspace import two_sides

        train, axis = self.task.train, self._guessed(spec)
        groups: list[tuple[str, ...]] = []
        for scanned in scan(train, [axis], columns=train.columns.roles()):
            label = scanned.batch.label
            assert label is not None
            kept = label.is_valid().to_pylist()  # raw rows without a label are not trained on
            groups += [own for own, here in zip(scanned.members[axis.name].sets(), kept, strict=True) if here]
        return two_sides(groups, self.config.verdict.measure)

    def _plan(self, job: Job) -> str:
        if job.plan == RAW:
            return RAW
        plan = self.config.plan[job.plan]
        return _hash(
            [
                plan.model_dump_json(
                    by_alias=True,
                    # A pool counts by what is in it, and a key that was left out counts as it did before there was one.
                    exclude={"name": True, "step": {"__all__": {"pool", "placebo_pool"}}},
                    exclude_defaults=True,
                ),
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
        trainer = self.trainer
        outcome = trying(
            lambda: trainer.train(made.rows, seed=job.seed, upstream=job.upstream, save=self._place(job)),
            getattr(trainer, "relieve", lambda: False),
            f"there is too little for run {job}; lower finetune.max_tokens or finetune.workers, or take another model",
        )
        self._store(job, made, outcome, time.perf_counter() - begun)
        failed: str | None = outcome.failed
        return failed

    def work(
        self,
        stacks: Iterable[Sequence[Job]],
        *,
        told: Callable[[Sequence[Job], int, int], None] | None = None,
        ahead: Callable[[], None] | None = None,
    ) -> Iterator[tuple[Job, str | None]]:
        """Train stacks of jobs, those of a stack at once where `finetune.stacked` says so.

        Parameters
        ----------
        stacks : iterable of sequence of Job
            Of one upstream each. May wait for the next one to be given.
        told : callable, optional
            Called with (jobs, steps done, steps) as they are trained.
        ahead : callable, optional
            Asks for the next stack once half of one is done, so that its rows are curated meanwhile. Without it the
            next one is taken at once.

        Yields
        ------
        Job and str or None
            Each job that ended, and why it failed, if it did.
        """
        settings = self.config.finetune
        if settings.stacked > 1 and settings.model != "linear" and not settings.frozen:
            yield from self._stacked(iter(stacks), told, ahead)
            return
        for some in stacks:
            for job in some:
                self.trainer.told = None if told is None else partial(told, [job])
                yield job, self.do(job)

    def _stacked(
        self, stacks: Iterator[Sequence[Job]], told: Any, ask: Callable[[], None] | None
    ) -> Iterator[tuple[Job, str | None]]:
        from concurrent.futures import Future, ThreadPoolExecutor

        def ready() -> list[tuple[Job, _Made]]:
            return [(job, self._curated(job)) for job in next(stacks, ())]

        _ = self._raw  # needed on both sides
        with ThreadPoolExecutor(1) as beside:
            coming: list[Future[list[tuple[Job, _Made]]]] = [beside.submit(ready)]
            trainer = self.trainer
            while some := coming.pop().result():
                jobs = [job for job, _ in some]

                def prepare(done: int, total: int, jobs: Sequence[Job] = jobs) -> None:
                    if told is not None and done:
                        told(jobs, done, total)
                    if not coming and (ask is None or 2 * done >= total):
                        if ask is not None:
                            ask()
                        coming.append(beside.submit(ready))

                prepare(0, 1)
                trainer.told = prepare
                begun = time.perf_counter()
                outcomes = trainer.train_many(
                    [(made.rows, job.seed) for job, made in some],
                    upstream=jobs[0].upstream,
                    saves=[self._place(job) for job in jobs],
                )
                took = (time.perf_counter() - begun) / len(some)
                for (job, made), outcome in zip(some, outcomes, strict=True):
                    self._store(job, made, outcome, took)
                    yield job, outcome.failed
                if not coming:
                    coming.append(beside.submit(ready))

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
        ["numpy", "scipy", "scikit-learn"]
        if model == "linear"
        else ["torch", "transformers", "tokenizers", "numpy", "scikit-learn"]
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
