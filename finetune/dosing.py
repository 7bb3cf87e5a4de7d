"""Train every level of a plan over upstreams and seeds, then the dose curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.config import ArmConfig, Config, ResampleStep
from ..data.errors import InputError
from .attribution.levels import Doses, doses, find_plan
from .judging.design import design
from .runs import empty_scores

if TYPE_CHECKING:
    from .attribution.dose import DoseReport
    from .judging.yardstick import Yardstick
    from .task import Task

Progress = Callable[[str, int, int | None], None]

BOTH = ("pretrained", "random")


def run_doses(
    config: Config,
    plan: str,
    levels: Sequence[float] | None = None,
    *,
    out: str | Path,
    progress: Progress | None = None,
) -> DoseReport:
    """Train every level × upstream × seed of a config, and say which dose is enough.

    Parameters
    ----------
    config : Config
        From `evenset.data.config.load`. Upstreams are those that its arms name, else pretrained and random; none for
        ``model = "linear"``.
    plan : str
        Name of one of its plans, or a plan.toml.
    levels : sequence of float, optional
        Values of the plan's key, ascending; by default 0, 0.2 … 2 for ``level``.
    out : path
        Gets ``audit/``, ``yardstick.json``, ``runs/`` and ``dose.json``. Stopped half-way, or called with more levels,
        it goes on with the runs that are missing.
    progress : callable, optional
        Called with (what, done, total).

    Returns
    -------
    DoseReport

    Raises
    ------
    InputError
        The plan has no dose, a level cannot be had from the rows, or something is wrong with config or data.

    Notes
    -----
    There are no placebos: the first level is as large as the others and stands where a random draw of the size would.
    """
    from .. import audit
    from .attribution.dose import dose_report
    from .pipeline import AUDIT, fix_yardstick, margins_of, train, yardstick_of
    from .task import open_task
    from .workshop import environment

    out = Path(out)
    name, found = find_plan(config, plan)
    dosed_config = config.model_copy(update={"plan": {name: found}, "arm": []})
    task = open_task(dosed_config)
    made = doses(name, found, levels, n_labels=len(task.labels))
    dosed_config = _with_arms(config, made)
    sizes, left = _sizes(dosed_config, task, made, progress)
    report = audit.run(
        task.train, config.data.axes, rules=config.check, reference=config.reference, seed=0, progress=progress
    )
    stick = yardstick_of(dosed_config, task, report)
    design(empty_scores(task.splits, labels=task.labels, positive=task.positive), stick)
    fix_yardstick(dosed_config, task, stick, out)
    report.save(out / AUDIT)
    trained = train(dosed_config, out, task=task, progress=progress)
    notes = [*task.notes, *made.notes, *_size_notes(made, sizes), *left, *trained.notes]
    if made.axis not in (task.axis, config.verdict.axis):
        notes.append(f"the plan doses the axis {made.axis}, and the gap is measured on {task.axis}")
    result = dose_report(
        trained.store.scores(trained.jobs),
        stick,
        dict(zip(made.arms, made.levels, strict=True)),
        plan=name,
        key=made.key,
        axis=made.axis,
        margins=margins_of(config.verdict),
        start=raw_level(stick) if made.labels == "equal" and made.axis == task.axis else None,
        sizes=sizes,
        notes=notes,
        environment={
            **environment(config.finetune.model), "model": config.finetune.model, "data": dict(task.inputs),
            "labels": made.labels, "method": made.method,
        },
    )  # fmt: skip
    result.save(out)
    return result


def _with_arms(config: Config, made: Doses) -> Config:
    """The config with one arm a level and upstream, without placebos and screening runs."""
    if config.finetune.model == "linear":
        upstreams: Sequence[str] = ("pretrained",)  # `expand` makes "none" of it
    else:
        said = any("upstream" in arm.model_fields_set for arm in config.arm)
        upstreams = list(dict.fromkeys(arm.upstream for arm in config.arm)) if said else BOTH
    arms = [ArmConfig(plan=name, upstream=up, placebo=False) for up in upstreams for name in made.plans]
    settings = config.finetune.model_copy(update={"screening_seeds": 0})
    return config.model_copy(update={"plan": dict(made.plans), "arm": arms, "finetune": settings})


def _sizes(
    config: Config, task: Task, made: Doses, progress: Progress | None
) -> tuple[dict[str, dict[str, int]], list[str]]:
    """Rows of each label at each level, as the first seed draws them, and what all levels leave as it is.

    Refuses levels that the rows do not allow, before anything is trained.
    """
    from ..curate import prepare, run
    from .task import plans_of

    ready = plans_of(config)
    specs = dict.fromkeys([*config.data.axes, *(step.axis for plan in ready.values() for step in plan.step)])
    prepared = prepare(task.train, list(specs))
    sizes: dict[str, dict[str, int]] = {}
    refused: dict[float, str] = {}
    left: dict[str, None] = {}
    for at, (arm, level) in enumerate(zip(made.arms, made.levels, strict=True)):
        if progress is not None:
            progress("drawing levels", at, len(made.levels))
        try:
            drawn = run(prepared, ready[arm], seed=config.finetune.first_seed, positive=task.positive)
        except InputError as error:
            refused[level] = str(error)
            continue
        step = next(step for step in drawn.report["steps"] if step["do"] == "resample")
        sizes[arm] = {str(label): int(rows) for label, rows in step["labels"].items()}
        left |= dict.fromkeys(step["left"])
    if progress is not None:
        progress("drawing levels", len(made.levels), len(made.levels))
    if refused:
        listed = ", ".join(f"{level:g}" for level in refused)
        rest = [f"{level:g}" for level in made.levels if level not in refused]
        can = f"{', '.join(rest)} can" if rest else "nor can any other of --levels"
        raise InputError(
            f"--levels: {made.key} {listed} cannot be had from these rows; {can}. For {next(iter(refused)):g}: "
            f"{next(iter(refused.values()))}"
        )
    if not left:
        return sizes, []
    named = ", ".join(list(left)[:8]) + (f" and {len(left) - 8} more" if len(left) > 8 else "")
    least = next(step.min_rows for step in ready[made.arms[0]].step if isinstance(step, ResampleStep))
    why = f"fewer than {least} rows of either group" if made.key == "level" else "too few rows for a ratio"
    return sizes, [f"as they are at every level, for they have {why}: {named}"]


def _size_notes(made: Doses, sizes: Mapping[str, Mapping[str, int]]) -> list[str]:
    """How many rows the levels have, and whether they all have the same."""
    distinct = {tuple(sorted(one.items())) for one in sizes.values()}
    rows = [sum(one.values()) for one in sizes.values()]
    notes = ["no placebos: every level is as large, and the first one stands for a random draw"]
    if len(distinct) > 1:
        notes = [f"levels differ in size, {min(rows):,} to {max(rows):,} rows: part of a change may be that"]
    else:
        few = min(next(iter(sizes.values())).items(), key=lambda item: item[1])
        notes.append(f'{rows[0]:,} rows at every level; label "{few[0]}" has the fewest, {few[1]:,}')
    if made.labels == "equal":
        notes.append(
            "levels of two labels: half of each label and of each group; 0 is full correlation, 1 none, 2 the reverse; "
            "rows of both groups or of none are left out"
        )
    return notes


def raw_level(stick: Yardstick) -> float | None:
    """The level, half of each label and group, at which the odds ratio is that of the raw data; None if not known.

    Notes
    -----
    With half of each, a share a of the frequent pairs has the odds ratio ``(a / (1 − a))²``, and the level is
    ``2 (1 − a)``.
    """
    if stick.kind != "tpr" or len(stick.entries) != 2:
        return None
    (one, two) = ((entry.events, entry.n - entry.events) for entry in stick.entries)
    if not min(*one, *two) > 0:  # not known is NaN
        return None
    odds = math.exp(abs(math.log(one[0] * two[1] / (one[1] * two[0]))))
    return float(2 / (1 + math.sqrt(odds)))
