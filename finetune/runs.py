"""The store of finished runs: each is written whole when it ends, and knows what it was made from.

A command that was interrupted, even killed, goes on with the runs that are missing. A run made from other data,
another plan or other settings is never taken for this one: it is trained again, and what had changed is said.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from ..data.errors import InputError
from ..data.files import write_json
from .judging.scores import SCORES, Run, ScoreSet, align, normalise, write
from .rows import Outcome, Split

SCHEMA = "evenset.run/1"

State = Literal["done", "missing", "stale", "failed"]


@dataclass(frozen=True, slots=True)
class Job:
    """One model to train.

    Attributes
    ----------
    arm : str
        Name of the arm; of a placebo that of its arm with "~placebo".
    plan : str
        "raw" or the name of a plan.
    upstream : str
        "pretrained", "random" or a lever of the config; "none" for a model that has no upstream.
    seed : int
    placebo_of : str or None
        The arm that this one is the placebo of.
    screening : bool
        Whether the run only names the worst-off group and takes no part in the verdict.
    """

    arm: str
    plan: str
    upstream: str
    seed: int
    placebo_of: str | None = None
    screening: bool = False

    @property
    def run(self) -> Run:
        """What the run is called in scores and verdict."""
        return Run(self.arm, self.upstream, self.seed, self.placebo_of)

    def __str__(self) -> str:
        return f"{self.arm}/{self.upstream}/{self.seed}"


@dataclass(frozen=True, slots=True)
class Found:
    """What the store holds for a job.

    Attributes
    ----------
    state : {"done", "missing", "stale", "failed"}
        "stale" was made from something else; "failed" came to nothing and is tried again.
    changed : tuple of str
        Of a stale run, what differs: "data", "plan", "model", "settings", ...
    record : mapping
        The run's own record; empty where there is none.
    """

    state: State
    changed: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunStore:
    """Runs under one folder, as ``ARM/UPSTREAM/SEED.json`` and ``.scores.parquet``.

    The record is written last, so a run with a record is whole. Nothing is held in memory.

    Attributes
    ----------
    folder : Path
    """

    folder: Path

    def path(self, job: Job) -> Path:
        """Where the record of a run is, without its suffix."""
        return self.folder / job.arm / job.upstream / str(job.seed)

    def scores_path(self, job: Job) -> Path:
        """Where the scores of a run are."""
        return self.path(job).with_name(f"{job.seed}.scores.parquet")

    def record(self, job: Job) -> dict[str, Any]:
        """The record of a run; empty where there is none, or none that can be read."""
        try:
            found = json.loads(self.path(job).with_name(f"{job.seed}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def find(self, job: Job, inputs: Mapping[str, str]) -> Found:
        """Say whether a run is there and still is what it would be now.

        Parameters
        ----------
        job : Job
            The run.
        inputs : mapping of str to str
            What the run is made from, each part as a hash or a short text.
        """
        record = self.record(job)
        made_from = record.get("inputs")
        if not isinstance(made_from, dict):
            return Found("missing")
        changed = tuple(sorted(key for key in {*made_from, *inputs} if made_from.get(key) != inputs.get(key)))
        if changed:
            return Found("stale", changed, record)
        if record.get("failed"):
            return Found("failed", record=record)
        return Found("done" if self.scores_path(job).is_file() else "missing", record=record)

    def save(
        self, job: Job, inputs: Mapping[str, str], outcome: Outcome, table: pa.Table | None, record: Mapping[str, Any]
    ) -> None:
        """Write a finished run: scores first, the record last, each whole or not at all.

        Parameters
        ----------
        job : Job
            The run.
        inputs : mapping of str to str
            As in `find`.
        outcome : Outcome
            What the trainer gave.
        table : pyarrow.Table or None
            From `score_table`; None where the run failed.
        record : mapping
            More to write into the record.
        """
        at = self.path(job)
        # What is there belongs to another run from here on, whatever happens next.
        at.with_name(f"{job.seed}.json").unlink(missing_ok=True)
        if table is not None:
            write(table, self.scores_path(job))
        else:
            self.scores_path(job).unlink(missing_ok=True)
        write_json(
            at.with_name(f"{job.seed}.json"),
            {
                "schema": SCHEMA,
                "arm": job.arm,
                "upstream": job.upstream,
                "seed": job.seed,
                "plan": job.plan,
                "placebo_of": job.placebo_of,
                "failed": outcome.failed,
                "inputs": dict(inputs),
                "training": dict(outcome.record),
                **record,
            },
        )

    def others(self, jobs: Iterable[Job]) -> tuple[str, ...]:
        """Runs in the folder that are none of these jobs: left where they are, and left out."""
        known = {str(job) for job in jobs}
        found = (path.relative_to(self.folder).with_suffix("").as_posix() for path in self.folder.glob("*/*/*.json"))
        return tuple(sorted(name for name in found if name not in known))

    def tidy(self) -> None:
        """Remove what a killed process was writing. Only for the process that has claimed the folder."""
        for path in self.folder.glob("*/*/.*.partial"):
            if path.is_dir():  # a model
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def scores(self, jobs: Sequence[Job]) -> ScoreSet:
        """Scores of finished runs, aligned.

        The rows of all runs are the same, so they are read once: what is held is one matrix a split, not one table a
        run.

        Raises
        ------
        InputError
            There is no run, or a run's rows are not those of the first.
        """
        if not jobs:
            raise InputError(f"{self.folder}: there is no finished run")
        import pyarrow.parquet as pq

        first = pq.read_table(self.scores_path(jobs[0]))
        pieces = []
        for job in jobs:
            piece = pq.read_table(self.scores_path(job), columns=["split", "id", "predicted", "score"])
            if not (
                piece.column("id").equals(first.column("id")) and piece.column("split").equals(first.column("split"))
            ):
                raise InputError(
                    f"{self.scores_path(job)}: its rows are not those of {self.scores_path(jobs[0])}; remove both "
                    "runs and run again"
                )
            pieces.append(
                (piece.column("score").to_numpy(), piece.column("predicted").combine_chunks().dictionary_encode())
            )
        return _stacked(align(normalise(first)), first, [job.run for job in jobs], pieces)


def _stacked(base: ScoreSet, first: pa.Table, runs: Sequence[Run], pieces: Sequence[tuple[Any, Any]]) -> ScoreSet:
    """Put the scores of many runs into the frame of the first."""
    values = [_values(coded) for _, coded in pieces]
    labels = tuple(sorted({*base.labels, *(value for part in values for value in part)}))
    of_label = np.array([labels.index(label) for label in base.labels], np.int64)
    order = sorted(range(len(runs)), key=lambda at: runs[at])
    splits = np.asarray(first.column("split").to_pylist(), dtype=object)
    ids = np.asarray(first.column("id").to_pylist(), dtype=object)
    items, score, predicted = {}, {}, {}
    for name, item in base.items.items():
        rows = np.flatnonzero(splits == name)
        # `align` sorts items by id.
        rows = rows[np.argsort(ids[rows], kind="stable")]
        items[name] = replace(item, labels=labels, label=of_label[item.label])
        score[name] = np.array([pieces[at][0][rows] for at in order], np.float64)
        if all(len(part) for part in values):
            codes = [_codes(pieces[at][1], values[at], labels)[rows] for at in order]
            predicted[name] = np.array(codes, np.int64)
    return ScoreSet(runs=tuple(runs[at] for at in order), items=items, score=score, predicted=predicted, labels=labels)


def _values(coded: Any) -> list[str]:
    return list(coded.dictionary.to_pylist()) if coded.null_count < len(coded) else []


def _codes(coded: Any, values: Sequence[str], labels: Sequence[str]) -> Any:
    return np.array([labels.index(value) for value in values], np.int64)[coded.indices.to_numpy(zero_copy_only=False)]


def score_table(
    job: Job, splits: Sequence[Split], outcome: Outcome, *, labels: Sequence[str], positive: str | None
) -> pa.Table:
    """Scores of one run in the `SCORES` schema.

    Parameters
    ----------
    job : Job
        The run.
    splits : sequence of Split
        The rows that were scored.
    outcome : Outcome
        What the trainer gave.
    labels : sequence of str
        Names of the label codes.
    positive : str or None
        The positive label of a binary task: then the score is its probability and nothing is predicted, for where the
        threshold lies is the verdict's business. Otherwise the score is that of the predicted label.
    """
    names = pa.array(list(labels), pa.string())
    tables = []
    for split in splits:
        found = outcome.probabilities[split.name]
        if positive is not None:
            score, predicted = found[:, list(labels).index(positive)], pa.nulls(split.n, pa.string())
        else:
            best = found.argmax(axis=1)
            score, predicted = found[np.arange(split.n), best], names.take(pa.array(best))
        constants: dict[str, Any] = {
            "arm": job.arm, "upstream": job.upstream, "seed": job.seed, "split": split.name,
            "placebo_of": job.placebo_of,
        }  # fmt: skip
        columns = {
            name: pa.repeat(pa.scalar(value, SCORES.field(name).type), split.n) for name, value in constants.items()
        } | {
            "id": split.ids,
            "label": names.take(pa.array(split.code)),
            "predicted": predicted,
            "groups": split.groups,
            "cluster": split.cluster,
            "score": pa.array(score, pa.float64()),
            "changed": pa.nulls(split.n, pa.bool_()) if split.changed is None else pa.array(split.changed),
        }
        tables.append(pa.table([columns[name] for name in SCORES.names], schema=SCORES))
    return pa.concat_tables(tables)


def empty_scores(splits: Sequence[Split], *, labels: Sequence[str], positive: str | None) -> ScoreSet:
    """The rows of a task as a score set of one run that knows nothing: to see what they can measure before training.

    Parameters
    ----------
    splits : sequence of Split
        The rows that will be scored.
    labels : sequence of str
        Names of the label codes.
    positive : str or None
        The positive label of a binary task.
    """
    even = Outcome({split.name: np.full((split.n, len(labels)), 1 / len(labels)) for split in splits})
    return align(score_table(Job("raw", "raw", "none", 0), splits, even, labels=labels, positive=positive))
