"""What attribution needs beyond scores: how biased each plan's rows are, and how biased each upstream is.

Both are kept in the output folder with what they were made from, so that neither is made twice.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...data.config import Config, Plan
from ...data.errors import EvensetError
from ...data.files import write_json
from ..arms import RAW
from ..judging.yardstick import Yardstick
from ..rows import TrainingRows
from ..runs import Job
from ..task import Task
from ..workshop import Workshop
from .forms import UpstreamScores

UPSTREAM, DATASET = "upstream.json", "dataset_bias.json"
DRAWS = 3
"""Seeds whose weights are measured where an upstream is drawn anew for each."""

_REBALANCE = {"resample", "reweight", "topup"}


def kind_of(plan: Plan) -> str:
    """What a plan does, for the papers' claims: "scrub", "rebalance", "swap" or "mixed".

    Examples
    --------
    >>> kind_of(Plan.model_validate({"step": [{"do": "reweight", "axis": "identity"}]}))
    'rebalance'
    """
    done = {step.do for step in plan.step}
    if done <= _REBALANCE:
        return "rebalance"
    return done.pop() if len(done) == 1 else "mixed"


def crossed(jobs: Iterable[Job]) -> bool:
    """Whether at least two plans are each trained under the same two upstreams.

    Examples
    --------
    >>> crossed([Job(d, d, u, 0) for u in ("pretrained", "random") for d in ("raw", "scrub")])
    True
    """
    of_upstream: dict[str, set[str]] = {}
    for job in jobs:
        if not job.screening and job.placebo_of is None:
            of_upstream.setdefault(job.upstream, set()).add(job.plan)
    sets = list(of_upstream.values())
    return any(len(one & other) > 1 for at, one in enumerate(sets) for other in sets[at + 1 :])


def dataset_biases(
    workshop: Workshop, stick: Yardstick, plans: Sequence[str], out: Path
) -> dict[str, dict[str, float]]:
    """Bias of each plan's rows of the first seed, by term or label.

    Parameters
    ----------
    workshop : Workshop
        Curates as training does.
    stick : Yardstick
        Says which bias: of terms or of labels.
    plans : sequence of str
        "raw" and names of the config's plans.
    out : Path
        Where they are kept.
    """
    config = workshop.config
    known = _kept(out / DATASET)
    found: dict[str, Any] = {}
    for plan in plans:
        job = Job(plan, plan, "pretrained", config.finetune.first_seed)
        inputs = workshop.inputs(job)
        made_from = _hash([inputs["data"], inputs["plan"], job.seed, stick.kind, stick.first, stick.second])
        if known.get(plan, {}).get("inputs") != made_from:
            bias = dataset_bias(workshop.rows(job), workshop.task, config, stick)
            kind = RAW if plan == RAW else kind_of(config.plan[plan])
            known[plan] = {"inputs": made_from, "kind": kind, "bias": bias}
        found[plan] = known[plan]
    write_json(out / DATASET, {"schema": "evenset.dataset_bias/1", "measure": stick.kind, "kept": found})
    return {plan: record["bias"] for plan, record in found.items()}


def dataset_bias(rows: TrainingRows, task: Task, config: Config, stick: Yardstick) -> dict[str, float]:
    """Bias of training rows, by term or label, from an audit's counts.

    Parameters
    ----------
    rows : TrainingRows
        With their weights.
    task : Task
        Its axis, labels and raw rows.
    config : Config
        Names the axes.
    stick : Yardstick
        fpr: log ratio of the positive label's rate among rows with the term to that among rows without it, both with
        20 rows at the overall rate, as the yardstick itself. tpr: log of rows of the first group over rows of the
        second, +0.5 each. A term or group that no row has is 0: there is nothing to lean on.
    """
    from ...audit.cells import AxisCells
    from ...audit.tally import Tally, total
    from ...audit.yardsticks import PRIOR_ROWS
    from ...data.axes import parse_axes
    from ...data.dataset import Dataset
    from ...data.scan import scan

    axis = next(a for a in parse_axes(config.data.axes, names=task.train.names) if a.name == task.axis)
    labels = pa.array(list(task.labels), pa.string())
    columns = {"text": rows.text, "label": labels.take(pa.array(rows.code)), "weight": pa.array(rows.weight)}
    if wanted := axis.columns():
        # Curated rows have no other columns: a copy's group is that of the row it comes from.
        columns |= _columns_of(rows, task, wanted)
    data = Dataset.of(pa.table(columns), text="text", label="label", weight="weight")
    tally = total((Tally.of(scanned, [axis]) for scanned in scan(data, [axis])), start=Tally.zero([axis]))
    cells = AxisCells.of(tally, axis.name)
    if stick.kind == "tpr":
        first, second = cells.member(stick.first), cells.member(stick.second)
        one, two = cells.labelled.over(np.stack([first & ~second, second & ~first])).w
        ratio = np.log((one + 0.5) / (two + 0.5))
        return dict.fromkeys(task.labels, 0.0) | dict(zip(cells.labels, map(float, ratio), strict=True))
    at = cells.labels.index(str(stick.positive))
    whole = cells.labelled.over(np.ones((1, len(cells.patterns)), dtype=bool))
    base = float(whole.w[0, at] / whole.w[0].sum())
    rate = []
    for chosen in (cells.has, ~cells.has):
        found = cells.labelled.over(chosen)
        n = found.sum(1).effective
        events = found.w[:, at] / np.maximum(found.w.sum(axis=1), 1e-300) * n
        rate.append((events + PRIOR_ROWS * base) / (n + PRIOR_ROWS))
    ratio = np.log(rate[0] / rate[1])
    return dict.fromkeys(stick.used, 0.0) | dict(zip(cells.groups, map(float, ratio), strict=True))


def _columns_of(rows: TrainingRows, task: Task, wanted: Sequence[str]) -> dict[str, pa.Array]:
    from ..arms import raw_rows

    raw = raw_rows(task.train, task.labels)
    known = set(task.labels)
    values: dict[str, list[Any]] = {name: [] for name in wanted}
    for batch in task.train.batches(columns=[*task.train.columns.roles(), *wanted]):
        assert batch.label is not None
        kept = [i for i, label in enumerate(batch.label.to_pylist()) if label in known]
        for name in wanted:
            values[name] += batch.column(name).take(pa.array(kept, pa.int64())).to_pylist()
    order = np.argsort(raw.root, kind="stable")
    at = np.minimum(np.searchsorted(raw.root[order], rows.root), max(raw.n - 1, 0))
    there = raw.root[order][at] == rows.root
    place = pa.array(order[at], pa.int64(), mask=~there)
    return {name: pa.array(column).take(place) for name, column in values.items()}


def upstream_biases(
    workshop: Workshop, stick: Yardstick, upstreams: Sequence[str], out: Path
) -> tuple[dict[str, UpstreamScores | None], list[str]]:
    """Measured bias of each upstream, by term or label; None where it could not be measured, and why.

    Parameters
    ----------
    workshop : Workshop
        Its config names the model, the levers and the measure.
    stick : Yardstick
        Its terms or labels are asked about.
    upstreams : sequence of str
        "pretrained", "random" and names of the config's levers.
    out : Path
        Where they are kept.
    """
    config = workshop.config
    if config.attribution.measure == "none":
        return dict.fromkeys(upstreams), ["attribution.measure is none: the bias of the upstream was not measured"]
    inputs = workshop.inputs(Job(RAW, RAW, "pretrained", config.finetune.first_seed))
    known = _kept(out / UPSTREAM)
    kept: dict[str, Any] = {}
    for name in upstreams:
        spec = config.upstream[name].model_dump_json() if name in config.upstream else ""
        made_from = _hash([inputs["model"], name, spec, config.attribution.measure, stick.kind, list(stick.used)])
        if known.get(name, {}).get("inputs") != made_from:
            known[name] = {"inputs": made_from, **_measured(config, stick, name)}
        kept[name] = known[name]
    write_json(out / UPSTREAM, {"schema": "evenset.upstreams/1", "kept": kept})
    return {name: scores_of(record, stick) for name, record in kept.items()}, _notes_of(kept, stick)


def _measured(config: Config, stick: Yardstick, name: str) -> dict[str, Any]:
    if name == "random":
        return {"found": None, "assumed": True, "why": ""}
    if name in config.upstream and config.upstream[name].kind == "inlp":
        return {"found": None, "assumed": False, "why": "INLP changes features, not the model that could be asked"}
    try:
        found = _ask(config, stick, name)
    except EvensetError as error:
        return {"found": None, "assumed": False, "why": str(error)}
    return {"found": found.to_dict(), "assumed": False, "why": ""}


def _ask(config: Config, stick: Yardstick, name: str) -> Any:
    """Ask one upstream about the terms or labels of the yardstick."""
    from ..checkpoint import Checkpoint, resolve
    from ..upstream.measure import measure_upstream

    folder, settings = resolve(config.finetune.model), config.finetune
    weights = None
    if name in config.upstream:
        checkpoint = Checkpoint.load(folder, 2, upstreams=config.upstream)
        seeds = range(settings.first_seed, settings.first_seed + min(DRAWS, settings.seeds))
        weights = (checkpoint.weights(seed=seed, upstream=name) for seed in seeds)
    return measure_upstream(
        str(folder),
        targets=list(stick.used),
        axis="identity" if stick.kind == "fpr" else "pronouns",
        kind=config.attribution.measure,
        weights=weights,
        upstream=name,
        device=settings.device,
    )


def scores_of(record: Mapping[str, Any], stick: Yardstick) -> UpstreamScores | None:
    """What was kept of one upstream as scores, turned so that positive favours the yardstick's first group."""
    if record.get("assumed"):
        return UpstreamScores(dict.fromkeys(stick.used, 0.0), assumed=True)
    found = record.get("found")
    if not found:
        return None
    sign = -1.0 if stick.kind == "tpr" and stick.first == "he" else 1.0
    reliability = found["reliability"]["value"]
    return UpstreamScores(
        {entry["target"]: sign * entry["score"] for entry in found["targets"] if entry["score"] is not None},
        math.nan if reliability is None else float(reliability),
        found["kind"],
    )


def _notes_of(kept: Mapping[str, Mapping[str, Any]], stick: Yardstick) -> list[str]:
    notes = [
        f"the bias of {name} could not be measured: {record['why']}" for name, record in kept.items() if record["why"]
    ]
    told = [note for record in kept.values() if record["found"] for note in record["found"]["notes"]]
    if stick.kind == "tpr" and stick.first not in ("she", "he") and any(record["found"] for record in kept.values()):
        notes.append(f'upstream scores favour "she"; the gap favours "{stick.first}": mind the sign')
    return [*notes, *dict.fromkeys(f"upstream: {note}" for note in told)]


def kept_biases(
    out: Path, stick: Yardstick
) -> tuple[dict[str, dict[str, float]], dict[str, str], dict[str, UpstreamScores | None], list[str]]:
    """What an output folder holds: dataset bias and kind of each plan, bias of each upstream, and notes."""
    data, upstream = _kept(out / DATASET), _kept(out / UPSTREAM)
    return (
        {plan: record["bias"] for plan, record in data.items()},
        {plan: record["kind"] for plan, record in data.items()},
        {name: scores_of(record, stick) for name, record in upstream.items()},
        _notes_of(upstream, stick),
    )


def _kept(path: Path) -> dict[str, Any]:
    """What was kept; nothing where there is no such file, or none that can be read."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))["kept"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
