"""The whole loop of a config: audit the raw data, fix the yardstick, curate, train every arm, judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.config import Config, VerdictConfig
from ..data.errors import EvensetError
from ..data.files import write_json
from .arms import PLACEBO, expand
from .attribution.finished import attribution_of
from .judging import yardstick as sticks
from .judging.decide import Margins
from .judging.design import design
from .judging.verdict import Verdict, verify
from .runs import Job, RunStore, empty_scores
from .task import Task, open_task, plans_of
from .workers import cores, train_all
from .workshop import Workshop, environment

if TYPE_CHECKING:
    from ..audit import AuditReport

Progress = Callable[[str, int, int | None], None]

AUDIT, CURATED, YARDSTICK = "audit", "curate", "yardstick.json"


@dataclass(frozen=True, slots=True)
class Trained:
    """Finished runs of a config.

    Attributes
    ----------
    store : RunStore
    jobs : tuple of Job
        Those that have scores.
    notes : tuple of str
        Runs that were made again, that failed, or that are left out.
    """

    store: RunStore
    jobs: tuple[Job, ...]
    notes: tuple[str, ...] = ()


def run(config: Config, out: str | Path, *, progress: Progress | None = None, write_curated: bool = True) -> Verdict:
    """Audit, curate, train, judge. Stopped half-way, the same call goes on where it was.

    Parameters
    ----------
    config : Config
        From `evenset.data.config.load`.
    out : path
        Gets ``audit/``, ``yardstick.json`` (before anything is trained), ``curate/PLAN/`` with the rows of the first
        seed, ``runs/ARM/UPSTREAM/SEED.json`` and ``.scores.parquet``, and ``verdict.json``; where plans are
        crossed with upstreams also ``dataset_bias.json`` and ``upstream.json``.
    progress : callable, optional
        Called with (what, done, total).
    write_curated : bool
        Whether to write the curated rows; arms are trained on the same rows either way.

    Returns
    -------
    Verdict

    Raises
    ------
    InputError
        Something is wrong with the config or the data, or no run came to an end.

    Notes
    -----
    An arm whose plan draws at random is drawn anew for each seed, and so is every placebo; what lies under
    ``curate/`` are the rows of the first seed.
    """
    from .. import audit

    out = Path(out)
    task = open_task(config)
    jobs = expand(config)
    report = audit.run(
        task.train, config.data.axes, rules=config.check, reference=config.reference, seed=0, progress=progress
    )
    report.save(out / AUDIT)
    stick = _fix_yardstick(config, task, report, out)
    # Test rows that cannot show the gap are refused now, not after hours of training.
    design(empty_scores(task.splits, labels=task.labels, positive=task.positive), stick)
    if write_curated:
        _write_curated(config, task, out, progress)
    trained = train(config, out, task=task, progress=progress)
    settings = config.verdict
    workshop, said = Workshop.open(config, out, task=task), list[str]()
    scores = trained.store.scores(trained.jobs)
    verdict = verify(
        scores,
        stick,
        margins=margins_of(settings),
        screening_seeds=sorted({job.seed for job in jobs if job.screening}),
        plans={job.arm: job.plan + PLACEBO * (job.placebo_of is not None) for job in jobs},
        attribution=attribution_of(workshop, scores, stick, trained.jobs, out, said),
        environment={
            **environment(config.finetune.model),
            "model": config.finetune.model,
            "bootstrap_rows": workshop.bootstrap,
            "data": dict(task.inputs),
        },
    )
    verdict = replace(verdict, notes=(*task.notes, *trained.notes, *verdict.notes, *said))
    verdict.save(out)
    return verdict


def train(config: Config, out: str | Path, *, task: Task | None = None, progress: Progress | None = None) -> Trained:
    """Train every arm of a config that has no finished run yet.

    Parameters
    ----------
    config : Config
        From `evenset.data.config.load`.
    out : path
        Runs go to ``out/runs``.
    task : Task, optional
        The config's task, if it is open already.
    progress : callable, optional
        Called with (what, done, total).

    Returns
    -------
    Trained

    Raises
    ------
    InputError
        Something is wrong with the config or the data.
    """
    out = Path(out)
    workshop = Workshop.open(config, out, task=task)
    store, jobs = workshop.store, expand(config)
    store.tidy()
    found = {job: store.find(job, workshop.inputs(job)) for job in jobs}
    notes = [
        f"run {job} was made from another {' and '.join(state.changed)}: trained again"
        for job, state in found.items()
        if state.state == "stale"
    ]
    if others := store.others(jobs):
        notes.append(
            f"{len(others)} runs in {store.folder} are of no arm of this config and are left out: {_some(others)}"
        )
    todo = [job for job in jobs if found[job].state != "done"]
    finished = len(jobs) - len(todo)
    failed: dict[Job, str] = {}
    if progress is not None:
        progress("training", finished, len(jobs))
    for job, why in _trained(workshop, out, todo):
        if why is not None:
            failed[job] = why
        finished += 1
        if progress is not None:
            progress("training", finished, len(jobs))
    notes += [f"run {job} failed and is left out: {why}" for job, why in failed.items()]
    done = tuple(job for job in jobs if job not in failed)
    if not done:
        raise EvensetError(f"no run came to an end: {next(iter(failed.values()), 'there is nothing to train')}")
    idle = tuple(str(job) for job in done if store.record(job).get("training", {}).get("learnt") is False)
    if idle:
        notes.append(
            f"{len(idle)} runs hardly learnt anything, their loss ended near that of guessing: {_some(idle)}. They "
            "count; a lower rate or more epochs (lr and epochs, random_lr and random_epochs) may mend that"
        )
    return Trained(store, done, tuple(notes))


def _trained(workshop: Workshop, out: Path, jobs: list[Job]) -> Any:
    """Train the jobs, side by side where the model is small enough for that."""
    settings = workshop.config.finetune
    if settings.model != "linear" and settings.stacked > 1:
        yield from workshop.do_stacked(jobs, runs=settings.stacked)
        return
    # An encoder has the device to itself unless asked: several are faster where a small model leaves a GPU idle.
    workers = min(settings.workers or (cores() if settings.model == "linear" else 1), len(jobs))
    if workers > 1:
        yield from train_all(workshop.config, out, jobs, workers=workers)
        return
    for job in jobs:
        yield job, workshop.do(job)


def margins_of(settings: VerdictConfig) -> Margins:
    """The margins of ``[verdict]``."""
    return Margins(
        margin=settings.margin,
        guard=settings.guard or "auto",
        guard_loss=settings.guard_loss,
        worst_group_loss=settings.worst_group_loss,
    )


def _fix_yardstick(config: Config, task: Task, report: AuditReport, out: Path) -> sticks.Yardstick:
    """Take the yardstick from the audit of the raw rows, and write it with the margins before any training."""
    stick = sticks.load(
        report.to_dict(), axis=task.axis, measure=config.verdict.measure, with_ambiguous=config.verdict.ambiguous
    )
    write_json(out / YARDSTICK, {"yardstick": stick.to_dict(), "margins": asdict(margins_of(config.verdict))})
    return stick


def _write_curated(config: Config, task: Task, out: Path, progress: Progress | None) -> None:
    """Write the rows of every plan that an arm has, as drawn for the first seed."""
    from .. import curate

    ready = plans_of(config)
    plans = list(dict.fromkeys(job.plan for job in expand(config) if job.plan in config.plan))
    for number, name in enumerate(plans):
        if progress is not None:
            progress("curating", number, len(plans))
        curate.run(
            task.train,
            ready[name],
            axes=config.data.axes,
            seed=config.finetune.first_seed,
            out=out / CURATED / name,
            positive=task.positive,
        )
    if progress is not None and plans:
        progress("curating", len(plans), len(plans))


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
