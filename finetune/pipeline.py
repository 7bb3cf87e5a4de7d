"""The whole loop of a config: audit the raw data, fix the yardstick, curate, train every arm, judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.config import Config, VerdictConfig
from ..data.errors import EvensetError
from . import ranks, spread
from .arms import PLACEBO, expand
from .attribution.finished import attribution_of
from .choosing import check, in_two_stages
from .judging import fixed as fixed_before
from .judging import yardstick as sticks
from .judging.decide import Margins
from .judging.design import design
from .judging.files import left_out
from .judging.fixed import Fixed, fix
from .judging.verdict import Verdict, verify
from .progress import Going, Progress, say
from .runs import Job, RunStore, empty_scores
from .task import Task, open_task, plans_of
from .workers import train_all
from .workshop import Workshop, environment

if TYPE_CHECKING:
    from ..audit import AuditReport

AUDIT, CURATED, YARDSTICK = "audit", "curate", fixed_before.FILE


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
    if lacking := spread.lacking(config.finetune):
        say(progress, lacking)
    task = open_task(config)
    jobs = expand(config)
    report = audit.run(
        task.train, config.data.axes, rules=config.check, reference=config.reference, seed=0, progress=progress
    )
    stick = yardstick_of(config, task, report)
    # Rows that cannot show the gap are refused now, not after hours of training, and before anything is written.
    design(empty_scores(task.splits, labels=task.labels, positive=task.positive), stick)
    if config.verdict.choose:
        check(task, stick)
    fixed = fix_yardstick(config, task, stick, out)
    report.save(out / AUDIT)
    if write_curated:
        _write_curated(config, task, out, progress)
    settings, choice = config.verdict, None
    if settings.choose:
        trained, choice = in_two_stages(config, out, task, stick, margins_of(settings), progress)
    else:
        trained = train(config, out, task=task, progress=progress)
    workshop, said = Workshop.open(config, out, task=task), list[str]()
    scores = trained.store.scores(trained.jobs)
    verdict = verify(
        scores,
        stick,
        margins=margins_of(settings),
        screening_seeds=sorted({job.seed for job in jobs if job.screening}),
        plans={job.arm: job.plan + PLACEBO * (job.placebo_of is not None) for job in jobs},
        chosen=settings.choose,
        attribution=attribution_of(workshop, scores, stick, trained.jobs, out, said),
        environment={
            **environment(config.finetune.model),
            "model": config.finetune.model,
            "bootstrap_rows": workshop.bootstrap,
            "data": dict(task.inputs),
            "trained_on": _trained_on(trained),
            "fixed": {key: value for key, value in fixed.to_dict().items() if key != "yardstick"},
            **({} if choice is None else {"choice": choice.to_dict()}),
        },
    )
    if idle := sorted(set(config.upstream) - {job.upstream for job in jobs}):
        said.append(f"no arm asks for upstream {', '.join(idle)}, so nothing was trained from it")
    said += left_out(verdict, stick, scores)
    verdict = replace(verdict, notes=(*task.notes, *fixed.notes(), *trained.notes, *verdict.notes, *said))
    verdict.save(out)
    return verdict


def train(
    config: Config,
    out: str | Path,
    *,
    task: Task | None = None,
    progress: Progress | None = None,
    jobs: Sequence[Job] | None = None,
) -> Trained:
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
    jobs : sequence of Job, optional
        Other runs than all of the config.

    Returns
    -------
    Trained

    Raises
    ------
    InputError
        Something is wrong with the config or the data.
    """
    out = Path(out)
    lacking = spread.lacking(config.finetune)
    if lacking is not None and task is None:
        say(progress, lacking)
    workshop = Workshop.open(config, out, task=task)
    store, jobs = workshop.store, expand(config) if jobs is None else jobs
    store.tidy()
    found = {job: store.find(job, workshop.inputs(job)) for job in jobs}
    notes = [
        f"run {job} was made from another {' and '.join(state.changed)}: trained again"
        for job, state in found.items()
        if state.state == "stale"
    ]
    if lacking is not None and len(found) > sum(state.state == "done" for state in found.values()):
        notes.append(lacking)
    if others := store.others(jobs):
        notes.append(
            f"{len(others)} runs in {store.folder} are of no arm of this config and are left out: {_some(others)}"
        )
    todo = [job for job in jobs if found[job].state != "done"]
    failed: dict[Job, str] = {}
    going = Going(progress, len(jobs) - len(todo), len(jobs), {str(job): workshop.epochs(job.upstream) for job in todo})
    going.begin()
    for job, why in _trained(workshop, out, todo, going):
        if why is not None:
            failed[job] = why
        going.ended(str(job))
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
    notes += _memory(store, done, config)
    return Trained(store, done, tuple(notes))


def _memory(store: RunStore, jobs: Sequence[Job], config: Config) -> list[str]:
    """What was done differently for lack of memory; the runs are what they would be with more."""
    notes, settings = [], config.finetune
    records = [store.record(job).get("training", {}) for job in jobs]
    few = [record["stacked_most"] for record in records if "stacked_most" in record]
    if few:
        notes.append(
            f"memory did not hold {settings.stacked} runs at once: {min(few)} were trained together, which takes "
            f"longer and changes no run; finetune.stacked = {min(few)} avoids the vain attempt"
        )
    parts = [record["micro_batch"] for record in records if record.get("micro_batch", settings.batch) < settings.batch]
    if parts:
        notes.append(
            f"memory did not hold a batch of {settings.batch} rows in {len(parts)} runs: it was computed in parts of "
            f"{min(parts)}, their gradients summed, which is the same step"
        )
    return notes


def _trained(workshop: Workshop, out: Path, jobs: list[Job], going: Going) -> Iterator[tuple[Job, str | None]]:
    """Train the jobs: spread over all GPUs, or side by side on the cores where the model is small enough for that."""
    settings = workshop.config.finetune
    group = ranks.joined()
    devices = spread.gpus(settings)
    workers = min(group.world if group else spread.how_many(settings, devices), len(jobs))
    most = settings.stacked if settings.model != "linear" else 1
    epochs = {job.upstream: workshop.epochs(job.upstream) for job in jobs}
    stacks = spread.stacks(jobs, most=most, workers=max(1, workers), epochs=epochs)
    if group is not None:
        yield from group.lead(workshop, out, stacks, going)
        return
    if min(workers, len(stacks)) > 1:
        given = spread.environments(min(workers, len(stacks)), devices)
        yield from train_all(workshop.config, out, stacks, workers=given, going=going)
        return
    yield from workshop.work(
        stacks, told=lambda some, done, total: going.steps([str(job) for job in some], done, total)
    )


def _trained_on(trained: Trained) -> list[Mapping[str, Any]]:
    """Where the runs were made, which need not be where they are judged: each machine and set of versions once."""
    found = [trained.store.record(job).get("environment") for job in trained.jobs]
    return [one for at, one in enumerate(found) if one and one not in found[:at]]


def margins_of(settings: VerdictConfig) -> Margins:
    """The margins of ``[verdict]``."""
    return Margins(
        margin=settings.margin,
        guard=settings.guard or "auto",
        guard_loss=settings.guard_loss,
        worst_group_loss=settings.worst_group_loss,
    )


def yardstick_of(config: Config, task: Task, report: AuditReport) -> sticks.Yardstick:
    """The yardstick of the raw training rows, from their audit."""
    return sticks.load(
        report.to_dict(), axis=task.axis, measure=config.verdict.measure, with_ambiguous=config.verdict.ambiguous
    )


def fix_yardstick(config: Config, task: Task, stick: sticks.Yardstick, out: Path) -> Fixed:
    """Write the yardstick with the margins, before any training."""
    jobs, workshop = expand(config), Workshop.open(config, out, task=task)
    for job in jobs:
        workshop.inputs(job)  # finds the model, or says that there is none before anything is written
    # Of any arm and seed: whatever was scored has shown the test rows.
    begun = any(workshop.store.folder.glob("*/*/*.scores.parquet"))
    out.mkdir(parents=True, exist_ok=True)
    return fix(
        out / YARDSTICK,
        stick,
        margins_of(config.verdict),
        seeds=sorted({job.seed for job in jobs if not job.screening}),
        screening_seeds=sorted({job.seed for job in jobs if job.screening}),
        choose=config.verdict.choose,
        begun=begun,
    )


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
