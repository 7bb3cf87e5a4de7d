"""From the config to the models that have to be trained, and from a plan to the rows that an arm is trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..data.config import ArmConfig, Config, Plan, SwapStep, phase
from ..data.dataset import Dataset
from ..data.errors import InputError
from ..data.hashing import Seen, row_keys
from .rows import TrainingRows
from .runs import Job

if TYPE_CHECKING:
    from ..curate import Prepared

RAW = "raw"
PLACEBO = "~placebo"
NO_UPSTREAM = "none"


def expand(config: Config) -> tuple[Job, ...]:
    """List every model of a config: the raw arm first, then each arm and its placebo, all with the same seeds.

    Parameters
    ----------
    config : Config
        Without any ``[[arm]]`` each plan is an arm.

    Returns
    -------
    tuple of Job
        The raw arm is there for every upstream that an arm has, whether or not the config lists it. Screening runs are
        raw runs with the seeds after the others.

    Raises
    ------
    InputError
        Two arms have one name, or an arm asks for an upstream that the model does not have; or `frozen` is asked of a
        model that is no encoder, or together with `stacked`.

    Examples
    --------
    >>> from evenset.data.config import parse
    >>> config = parse({"plan": {"mask": {"step": [{"do": "scrub", "axis": "pronouns"}]}},
    ...                 "finetune": {"seeds": 1, "screening_seeds": 1}})
    >>> [(str(job), job.screening) for job in expand(config)]
    [('raw/none/1', True), ('raw/none/0', False), ('mask/none/0', False), ('mask~placebo/none/0', False)]
    """
    settings = config.finetune
    linear = settings.model == "linear"
    if settings.frozen and linear:
        raise InputError('finetune.frozen = true needs an encoder, and model = "linear" is none; name a model')
    if settings.frozen and settings.stacked > 1:
        raise InputError("finetune.frozen trains no encoder, so there is nothing to stack; leave finetune.stacked out")
    arms: dict[tuple[str, str], tuple[str, bool]] = {}
    listed = config.arm or [ArmConfig(plan=plan) for plan in config.plan]
    for arm in listed:
        name, plan, placebo = arm.name or arm.plan, arm.plan, arm.placebo
        upstream: str = arm.upstream
        if linear and upstream == "random":
            raise InputError(
                f'arm "{name}": upstream = "random" means nothing for model = "linear", which is never pre-trained; '
                "leave it out or name a model"
            )
        _fits(config, name, upstream)
        if (name == RAW) != (plan == RAW):
            raise InputError(f'arm "{name}": plan "{RAW}" and the name "{RAW}" belong together; choose another name')
        where = (name, NO_UPSTREAM if linear else upstream)
        if where in arms:
            raise InputError(f'arm "{name}" with upstream "{upstream}" is there twice; give one of them another name')
        arms[where] = (plan, placebo)
    upstreams = list(dict.fromkeys(upstream for _, upstream in arms)) or [NO_UPSTREAM if linear else "pretrained"]
    first, seeds = settings.first_seed, range(settings.first_seed, settings.first_seed + settings.seeds)
    later = range(first + settings.seeds, first + settings.seeds + settings.screening_seeds)
    jobs = [Job(RAW, RAW, upstream, seed, screening=True) for upstream in upstreams for seed in later]
    jobs += [Job(RAW, RAW, upstream, seed) for upstream in upstreams for seed in seeds]
    for (name, upstream), (plan, placebo) in arms.items():
        if plan != RAW:
            jobs += [Job(name, plan, upstream, seed) for seed in seeds]
            if placebo:
                jobs += [Job(name + PLACEBO, plan, upstream, seed, placebo_of=name) for seed in seeds]
    return tuple(jobs)


def _fits(config: Config, arm: str, upstream: str) -> None:
    """Refuse an upstream that the config's model cannot have."""
    settings, spec = config.finetune, config.upstream.get(upstream)
    if spec is None:
        return
    if settings.model == "linear":
        raise InputError(
            f'arm "{arm}": upstream = "{upstream}" changes weights of a pre-trained model, and model = "linear" has '
            "none; leave it out or name a model"
        )
    if spec.kind == "inlp" and not settings.frozen:
        raise InputError(
            f'arm "{arm}": upstream = "{upstream}" is of kind "inlp", which changes frozen features; set '
            "finetune.frozen = true, or choose another kind"
        )


def random_plan(plan: Plan) -> bool:
    """Whether what a plan does depends on the seed. A placebo always does."""
    return any(
        step.do in ("topup", "resample")
        or (isinstance(step, SwapStep) and step.to == "random")
        or (step.do == "reweight" and step.as_copies)
        for step in plan.step
    )


def raw_rows(dataset: Dataset, labels: Sequence[str]) -> TrainingRows:
    """The training rows as they are, keyed as curation keys them; rows without a label are left out."""
    columns = dataset.columns
    seen = Seen()
    texts, names, weights, keys = [], [], [], []
    for batch in dataset.batches(columns=columns.roles()):
        ids = None if columns.id is None else batch.column(columns.id)
        keys.append(
            row_keys(batch.text, batch.label, ids=ids, seen=seen, start=batch.start, id_name=columns.id or "id")
        )
        texts.append(batch.text)
        names.append(batch.label)
        weights.append(np.ones(batch.n) if batch.weight is None else batch.weight)
    return _rows(
        pa.chunked_array(texts, pa.large_string()),
        pa.chunked_array(names, pa.string()),
        np.concatenate(weights),
        np.concatenate(keys),
        labels,
    )


@dataclass(slots=True)
class Curator:
    """Makes the training rows of plans, scanning the data once; remembers what does not depend on the seed.

    Attributes
    ----------
    prepared : Prepared
        From `evenset.curate.prepare`.
    raw : TrainingRows
        The same rows as they are.
    plans : mapping of str to Plan
    labels : sequence of str
        Names of the label codes.
    positive : str or None
    """

    prepared: Prepared
    raw: TrainingRows
    plans: Mapping[str, Plan]
    labels: Sequence[str]
    positive: str | None
    _last: dict[str, tuple[TrainingRows, dict[str, Any]]] = field(default_factory=dict)

    def rows(self, job: Job) -> tuple[TrainingRows, dict[str, Any]]:
        """The rows that a job is trained on, and what curation says about them."""
        from ..curate import run

        plan, placebo = self.plans[job.plan], job.placebo_of is not None
        fixed = not placebo and not random_plan(plan)
        if fixed and job.plan in self._last:
            return self._last[job.plan]
        found = run(self.prepared, plan, seed=job.seed, placebo=placebo, positive=self.positive)
        table = found.rows
        assert table is not None
        rows = _rows(
            table.column("text"),
            table.column("label"),
            table.column("weight").to_numpy(),
            table.column("evenset_row").to_numpy(),
            self.labels,
        )
        if all(phase(step) == 0 for step in plan.step):
            # Edits keep every row and weigh none: what the data weigh themselves is not in the curated rows.
            rows = replace(rows, weight=self.raw.weight)
        made = rows, {"rows": found.report["output"]["rows"], "counts": found.report["counts"]}
        if fixed:
            self._last = {job.plan: made}  # only one is kept: jobs come arm by arm
        return made


def _rows(text: pa.ChunkedArray, label: pa.ChunkedArray, weight: Any, root: Any, labels: Sequence[str]) -> TrainingRows:
    code = pc.index_in(label, value_set=pa.array(list(labels), pa.string()))
    known = np.flatnonzero(code.is_valid().to_numpy())
    kept = pa.array(known)
    texts = text.take(kept).combine_chunks()
    return TrainingRows(
        text=texts if isinstance(texts, pa.Array) else pa.array([], pa.large_string()),
        code=code.take(kept).to_numpy().astype(np.int64),
        weight=np.asarray(weight, np.float64)[known],
        root=np.asarray(root, np.uint64)[known],
    )
