"""Counting parts of the data by themselves, with the checks that one pass over all rows makes."""

from __future__ import annotations

import json
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from .. import __version__
from ..data.errors import InputError
from ..data.hashing import Keys, row_keys
from ..data.normalise import Census, place_of
from ..data.parts import Part, sample_sha256, size_of
from ..data.scan import BUCKET_EDGES, FAST_BYTES, Scanned, scan_batches, wanted
from .counting import tally_batch
from .sums import Sums
from .tally import Tally, total
from .vocabulary import LIMIT_WORDS

if TYPE_CHECKING:
    from ..data.axes import Axis
    from ..data.dataset import Batch, Dataset

# More different groups of a column, or labels, than this are ids or scores rather than classes.
MOST_VALUES = 2_000

Say = Callable[[str], None]
Watch = Callable[[Scanned], None]


class MisreadError(InputError):
    """Rows that cannot be counted, numbered within their part: see `retold`."""


class TwiceError(MisreadError):
    """An id that comes twice, in rows that are not named yet."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What a pass over some rows leaves: their tally, and the hashes of their ids, ascending, 8 bytes a row."""

    tally: Tally
    ids: Keys = field(default_factory=lambda: np.empty(0, np.uint64))


@dataclass(frozen=True)
class Job:
    """What is counted, and how.

    Attributes
    ----------
    dataset : Dataset
        All of it.
    axes : tuple of Axis
    words : bool or int
        As in `Tally.of`.
    edges : tuple of int
        Upper edges of the length buckets.
    """

    dataset: Dataset
    axes: tuple[Axis, ...]
    words: bool | int = False
    edges: tuple[int, ...] = BUCKET_EDGES

    def zero(self) -> Tally:
        """The tally of no rows."""
        return Tally.zero(self.axes, self.edges, words=self.words)

    def settings(self) -> dict[str, Any]:
        """Everything on which a count depends; counts add only where all of it is the same."""
        dataset = self.dataset
        columns: dict[str, Any] = json.loads(json.dumps(asdict(dataset.columns), default=str))
        return {
            "evenset version": __version__,
            "Unicode version": unicodedata.unidata_version,
            "data": {
                "form": dataset.form,
                "files": [path.name for path in dataset.paths],
                "bytes": size_of(dataset),
                "sample": sample_sha256(dataset),
            },
            "columns": {name: value for name, value in columns.items() if value is not None},
            "messages": str(getattr(dataset.source, "conversation", "")),
            "axes": [axis.name + (" (ambiguous forms count)" if axis.count_ambiguous else "") for axis in self.axes],
            "word lists": {
                lexicon.name: f"{lexicon.version} {lexicon.sha256}" for axis in self.axes for lexicon in axis.lexicons()
            },
            "length buckets": list(self.edges),
            "words kept": LIMIT_WORDS if self.words is True else int(self.words),
        }


def count(
    job: Job,
    parts: Iterable[Part],
    *,
    workers: int = 2,
    watch: Watch | None = None,
    came: Callable[[Part, int], None] | None = None,
) -> Iterator[tuple[Part, Counted]]:
    """Count parts one after the other, without a pause between them.

    Parameters
    ----------
    job : Job
        What to count.
    parts : iterable of Part
        Of its dataset.
    workers : int
        Threads.
    watch : callable, optional
        Is shown each scanned batch, its rows numbered through.
    came : callable, optional
        Called after each batch with its part and how many rows of it have come.

    Raises
    ------
    MisreadError
        When a row cannot be read, or a column that is used as groups or labels has more than 2,000 different values.
    """
    try:
        yield from _count(job, parts, workers=workers, watch=watch, came=came)
    except MisreadError:
        raise
    except InputError as error:
        raise MisreadError(str(error)) from error


def _count(
    job: Job,
    parts: Iterable[Part],
    *,
    workers: int,
    watch: Watch | None,
    came: Callable[[Part, int], None] | None,
) -> Iterator[tuple[Part, Counted]]:
    of: deque[Part] = deque()  # the part of each batch on its way
    opened: deque[Part] = deque()
    id_name = job.dataset.columns.id
    columns = wanted(job.dataset, job.axes, () if id_name is None else (id_name,))

    def batches() -> Iterator[Batch]:
        for part in parts:
            opened.append(part)
            for batch in part.dataset.batches(columns=columns):
                of.append(part)
                yield batch

    scanned = scan_batches(
        batches(),
        job.axes,
        edges=job.edges,
        tokens=bool(job.words),
        workers=workers,
        fast=size_of(job.dataset) >= FAST_BYTES,
    )
    values = Values(job)
    stream = ((of.popleft(), one) for one in scanned)
    before = 0
    for number, group in groupby(stream, key=lambda pair: pair[0].number):
        while opened[0].number != number:
            yield opened.popleft(), Counted(job.zero())
        ids: list[Keys] = []
        sums = Sums(job.axes, len(job.edges) + 1)
        each = _each(job, opened[0], (one for _, one in group), ids, values, sums, before, watch, came)
        rest = total(each, start=job.zero())
        # With weights the cells are in `rest`, else in `sums`.
        cells = {name: {**rest.cells[name], **table} for name, table in sums.cells().items()}
        before += rest.rows
        yield opened.popleft(), Counted(replace(rest, cells=cells, terms=sums.terms()), joined_ids(ids))
    for part in opened:
        yield part, Counted(job.zero())


def _each(
    job: Job,
    part: Part,
    scanned: Iterable[Scanned],
    ids: list[Keys],
    values: Values,
    sums: Sums,
    before: int,
    watch: Watch | None,
    came: Callable[[Part, int], None] | None,
) -> Iterator[Tally]:
    id_name, rows = job.dataset.columns.id, 0
    for one in scanned:
        if id_name is not None:
            ids.append(row_keys(one.batch.text, ids=one.batch.column(id_name), start=one.batch.start, id_name=id_name))
        tally = tally_batch(one, job.axes, job.edges, words=job.words, into=sums)
        values.note(tally, () if one.batch.label is None else pc.unique(one.batch.label).to_pylist())
        if watch is not None:
            watch(replace(one, batch=replace(one.batch, start=before + rows)))
        yield tally
        rows += tally.rows
        if came is not None:
            came(part, rows)


class Values:
    """The different groups of columns and labels met so far: too many are no classes."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._groups: dict[str, set[str]] = {axis.name: set() for axis in job.axes if axis.columns()}
        self._labels: set[str] = set()

    def add(self, tally: Tally) -> None:
        """Note those of a tally."""
        self.note(tally, tally.labels)

    def note(self, tally: Tally, labels: Iterable[str | None]) -> None:
        """Note the groups of a tally, and labels.

        Raises
        ------
        InputError
            When there are more than 2,000.
        """
        for name, met in self._groups.items():
            met.update(tally.axes[name].groups)
            if len(met) > MOST_VALUES:
                raise InputError(
                    f'--axis "{name}" has more than {MOST_VALUES:,} different groups; for a column of numbers give a '
                    "limit, as in column:COL>=0.5"
                )
        self._labels.update(label for label in labels if label is not None)
        if len(self._labels) > MOST_VALUES:
            raise InputError(
                f'the label column "{self._job.dataset.columns.label}" has more than {MOST_VALUES:,} different values; '
                "name another with --label, or cut a score with --label-threshold"
            )


def joined_ids(parts: Sequence[Keys]) -> Keys:
    """Hashes of ids as one ascending array.

    Raises
    ------
    TwiceError
        When one comes twice.
    """
    if not parts:
        return np.empty(0, np.uint64)
    ids = np.sort(np.concatenate(parts))
    if len(ids) > 1 and (ids[1:] == ids[:-1]).any():
        raise TwiceError("an id comes twice; ids must be unique: choose another --id or leave it out")
    return ids


def add(job: Job, counted: Iterable[Counted]) -> Counted:
    """The sum of counts of different rows, checked as one pass over all of them would be."""
    values, ids = Values(job), []

    def tallies() -> Iterator[Tally]:
        for one in counted:  # one at a time: with words each is large
            values.add(one.tally)
            ids.append(one.ids)
            yield one.tally

    tally = total(tallies(), start=job.zero())
    return Counted(tally, joined_ids(ids))


def judge(dataset: Dataset, tally: Tally) -> None:
    """Refuse what can only be judged by all rows: no rows, labels that never come."""
    labels = set(tally.labels)
    Census(tally.rows, tally.rows - tally.null_labels, labels).judge(
        dataset.columns, place_of(dataset.paths), need_label=dataset.need_label
    )


def retold(job: Job, error: MisreadError) -> InputError:
    """The same error in the words of one pass over all rows, which knows their numbers; the rows are read again."""
    from ..data.hashing import Seen

    id_name, seen = job.dataset.columns.id, Seen()
    columns = wanted(job.dataset, job.axes, () if id_name is None else (id_name,))
    try:
        for one in scan_batches(job.dataset.batches(columns=columns), job.axes, edges=job.edges):
            if id_name is not None:
                row_keys(
                    one.batch.text, ids=one.batch.column(id_name), seen=seen, start=one.batch.start, id_name=id_name
                )
            Tally.of(one, job.axes, job.edges)
    except InputError as again:
        return again
    return InputError(str(error))
