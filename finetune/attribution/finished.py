"""Attribution of a run that ends, and again of an output folder that holds a finished one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...data.config import Config
from ...data.errors import EvensetError, InputError
from ..arms import RAW
from ..judging import fixed
from ..judging.decide import Margins
from ..judging.gaps import Measured
from ..judging.scores import ScoreSet
from ..judging.yardstick import Yardstick, load
from ..runs import SCHEMA as RUN_SCHEMA
from ..runs import Job, RunStore
from ..workshop import RUNS, Workshop
from .attribution import Attribution, attribute
from .gather import crossed, dataset_biases, kept_biases, kind_of, upstream_biases


def attribution_of(
    workshop: Workshop, scores: ScoreSet, stick: Yardstick, jobs: Sequence[Job], out: Path, notes: list[str]
) -> Callable[[Measured], dict[str, Any]] | None:
    """What `verify` is to call with the measured runs; None where plans and upstreams are not crossed.

    Parameters
    ----------
    workshop : Workshop
        Of the config.
    scores : ScoreSet
        Of the jobs.
    stick : Yardstick
        From the raw training set.
    jobs : sequence of Job
        Finished runs.
    out : Path
        Gets ``dataset_bias.json`` and ``upstream.json``.
    notes : list of str
        Gets why there is no attribution, where one was to be expected.
    """
    if not crossed(jobs):
        return None

    def attributed(measured: Measured) -> dict[str, Any]:
        try:
            return _attributed(workshop, scores, stick, jobs, out, measured).to_dict()
        except (EvensetError, np.linalg.LinAlgError) as error:
            # Hours of training are not lost to a table that could not be made.
            notes.append(f"no attribution: {error}")
            return {}

    return attributed


def _attributed(
    workshop: Workshop,
    scores: ScoreSet,
    stick: Yardstick,
    jobs: Sequence[Job],
    out: Path,
    measured: Measured,
) -> Attribution:
    config = workshop.config
    plans = list(dict.fromkeys(job.plan for job in jobs))
    if strange := [plan for plan in plans if plan != RAW and plan not in config.plan]:
        raise InputError(f"the config has no plan {', '.join(strange)}, which these runs have; give theirs")
    upstreams = list(dict.fromkeys(job.upstream for job in jobs))
    used = measured.design.stick
    # Of all entries of the yardstick, not only those that these test rows measure: the files are for other uses too.
    data = dataset_biases(workshop, stick, plans, out)
    upstream, said = upstream_biases(workshop, used, upstreams, out)
    return attribute(
        scores,
        used,
        measured=measured,
        plans={job.arm: job.plan for job in jobs},
        kinds={plan: kind_of(config.plan[plan]) for plan in plans if plan in config.plan},
        dataset_bias=data,
        upstream_bias=upstream,
        screening_seeds={job.seed for job in jobs if job.screening},
        margin=config.verdict.margin,
        equivalence=config.attribution.equivalence,
        repetitions=config.attribution.repetitions,
        notes=said,
    )


def attribute_folder(out: str | Path, *, config: Config | None = None) -> Attribution:
    """Attribute the finished runs of an output folder, without training anything.

    Parameters
    ----------
    out : path
        As `run` wrote it.
    config : Config, optional
        With it biases that the folder does not hold are measured, and its settings count; without it regressions on
        biases that are not there are left out, and said to be.

    Returns
    -------
    Attribution

    Raises
    ------
    InputError
        The folder holds no finished runs, or they do not cross two plans with two upstreams.
    """
    out = Path(out)
    stick, margins = _yardstick(out)
    jobs = finished_jobs(out)
    store = RunStore(out / RUNS)
    if config is not None:
        from ..judging.design import design
        from ..judging.gaps import measure

        scores = store.scores(jobs)
        measured = measure(scores, design(scores, stick))
        return _attributed(Workshop.open(config, out), scores, stick, jobs, out, measured)
    data, kinds, upstream, said = kept_biases(out, stick)
    return attribute(
        store.scores(jobs),
        stick,
        plans={job.arm: job.plan for job in jobs},
        kinds=kinds,
        dataset_bias=data,
        upstream_bias=upstream,
        screening_seeds={job.seed for job in jobs if job.screening},
        margin=margins.margin,
        notes=said,
    )


def finished_jobs(out: Path) -> tuple[Job, ...]:
    """The runs of a folder that came to an end.

    Which seeds are screening seeds is what was written down before training. Where nothing was, they are those that
    only raw runs have.

    Raises
    ------
    InputError
        There is none.
    """
    records = []
    for path in sorted((out / RUNS).glob("*/*/*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # of a run that was stopped
        if isinstance(record, Mapping) and record.get("schema") == RUN_SCHEMA and not record.get("failed"):
            records.append(record)
    jobs = [Job(r["arm"], r["plan"], r["upstream"], int(r["seed"]), r.get("placebo_of")) for r in records]
    store = RunStore(out / RUNS)
    jobs = [job for job in jobs if store.scores_path(job).is_file()]
    if not jobs:
        raise InputError(f"{out}: there are no finished runs; give the folder that `evenset run` wrote")
    record = fixed.read(out / fixed.FILE)
    if record is not None and record.screening_seeds:
        screening = set(record.screening_seeds)
    else:
        cured = {job.seed for job in jobs if job.plan != RAW}
        screening = {job.seed for job in jobs} - cured if cured else set()
    return tuple(
        Job(job.arm, job.plan, job.upstream, job.seed, job.placebo_of, screening=job.seed in screening) for job in jobs
    )


def _yardstick(out: Path) -> tuple[Yardstick, Margins]:
    path = out / "yardstick.json"
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; give the folder that `evenset run` wrote")
    stick = load(path)
    record = json.loads(path.read_text(encoding="utf-8")).get("margins", {})
    return stick, Margins(**{key: value for key, value in record.items() if key in Margins.__dataclass_fields__})
