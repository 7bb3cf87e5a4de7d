"""Counting a whole dataset: here, or on a Dask cluster; from the start, or from where a killed run stopped.

Whatever the engine, the data is cut the same way and the counts are the same to the last integer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.errors import InputError, suggest
from ..data.parts import Part, cut, size_of
from .shard_files import FOLDER, Damaged, Store
from .shards import Counted, Job, MisreadError, Say, TwiceError, Watch, add, count, judge, retold
from .tally import Tally

if TYPE_CHECKING:
    from ..data.axes import Axis
    from ..data.dataset import Dataset

PART_BYTES = 256 << 20
MOST_PARTS = 2_000
READING = "reading"
"""What progress is called while rows are read; it is told in bytes."""

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class Counting:
    """The count of a dataset.

    Attributes
    ----------
    tally : Tally
    parts, resumed : int
        Parts the data was cut into, and how many of them an earlier run had counted.
    watched : bool
        Whether `watch` was shown every row.
    """

    tally: Tally
    parts: int
    resumed: int
    watched: bool


def counting(
    dataset: Dataset,
    axes: Sequence[Axis],
    *,
    words: bool | int = False,
    engine: str = "local",
    state: Path | None = None,
    progress: Progress | None = None,
    say: Say | None = None,
    watch: Watch | None = None,
    part_bytes: int | None = None,
) -> Counting:
    """Count a dataset.

    Parameters
    ----------
    dataset : Dataset
        All rows.
    axes : sequence of Axis
        What to count by.
    words : bool or int
        As in `Tally.of`.
    engine : str
        ``local``, ``dask`` (a cluster of this machine's cores, for this call) or ``dask:ADDRESS`` of a scheduler, whose
        workers must see the files under the same paths.
    state : Path, optional
        The output folder. The count of each part is kept in its folder ``shards``, so that the same call goes on where
        it was killed; `clear` removes them.
    progress : callable, optional
        Called with ("reading", bytes so far, bytes).
    say : callable, optional
        Told what the user should know: which part had been counted by an earlier run, and which count was damaged.
    watch : callable, optional
        Shown each scanned batch in the order of the rows, by the local engine only, and only of parts that no earlier
        run had counted: see `Counting.watched`.
    part_bytes : int, optional
        About how much is counted between two saves.

    Returns
    -------
    Counting

    Raises
    ------
    InputError
        When the data cannot be read, an id comes twice, the engine is unknown or its scheduler out of reach.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from evenset.data.axes import parse_axes
    >>> from evenset.data.dataset import Dataset
    >>> rows = pa.table({"text": ["She ran."] * 9, "label": ["a", "b", "b"] * 3})
    >>> data = Dataset.of(rows, text="text", label="label")
    >>> axes = parse_axes(["pronouns"], names=data.names)
    >>> counting(data, axes, part_bytes=50).tally == counting(data, axes).tally
    True
    """
    kind, _, address = engine.partition(":")
    if kind not in {"local", "dask"} or (kind == "local" and address):
        raise InputError(
            f'--engine "{engine}" is none of local, dask, dask:ADDRESS.{suggest(engine, ["local", "dask"])}'
        )
    job = Job(dataset, tuple(axes), words)
    of = _parts(dataset, part_bytes, cutting=state is not None or kind == "dask" or part_bytes is not None)
    store = None if state is None else Store(state / FOLDER, job.settings(), dataset.describe(hashed=False))
    parts = list(cut(dataset, of))
    meter = _Meter(progress, sum(part.size for part in parts))
    resumed: list[Part] = []

    def counts() -> Iterator[Counted]:
        left = []
        for part in parts:
            known = None if store is None else _known(store, part, say)
            if known is None:
                left.append(part)
            else:
                resumed.append(part)
                meter.finished(part)
                yield known
        if resumed and say is not None:
            say(f"going on: {len(resumed)} of {len(parts)} parts were counted before")
        if left and kind == "dask":
            from .dask_engine import run

            yield run(job, left, address or None, store, meter.finished)
        elif left:
            yield from _local(job, left, store, watch, meter)

    try:
        whole = add(job, counts())
    except MisreadError as error:
        if of == 1 and not isinstance(error, TwiceError):
            raise InputError(str(error)) from None
        raise retold(job, error) from None
    judge(dataset, whole.tally)
    return Counting(whole.tally, of, len(resumed), watched=kind == "local" and not resumed)


def clear(state: Path) -> None:
    """Remove what `counting` kept in an output folder, once the whole is written."""
    Store(state / FOLDER, {}).clear()


def shard(
    dataset: Dataset,
    axes: Sequence[Axis],
    which: tuple[int, int],
    out: Path,
    *,
    words: bool | int = False,
    progress: Progress | None = None,
) -> Path:
    """Count one of several shards and write nothing but its count, for `evenset.audit.shard_files.merge`.

    Parameters
    ----------
    dataset : Dataset
        All rows, as for every other shard.
    axes : sequence of Axis
        The same for every shard.
    which : (int, int)
        Number of the shard, from 1, and how many there are; see `parse_shard`.
    out : Path
        The output folder.
    words, progress
        As in `counting`.

    Returns
    -------
    Path
        The JSON file of the count.
    """
    number, of = which
    job = Job(dataset, tuple(axes), words)
    store = Store(out / FOLDER, job.settings(), dataset.describe(hashed=False))
    part = next(part for part in cut(dataset, of) if part.number == number)
    meter = _Meter(progress, part.size)
    try:
        ((_, counted),) = count(job, [part], came=meter.came)
    except MisreadError as error:
        raise retold(job, error) from None
    return store.keep(part, counted)


def parse_shard(text: str) -> tuple[int, int]:
    """What ``--shard 3/10`` means.

    Examples
    --------
    >>> parse_shard("3/10")
    (3, 10)
    """
    number, slash, of = text.partition("/")
    if not (slash and number.strip().isdecimal() and of.strip().isdecimal()):
        raise InputError(f'--shard "{text}": give it as NUMBER/OF, for example 3/10')
    which = int(number), int(of)
    if not 1 <= which[0] <= which[1]:
        raise InputError(f'--shard "{text}": the shards of {which[1]} are numbered 1 to {which[1]}')
    return which


def _parts(dataset: Dataset, part_bytes: int | None, *, cutting: bool) -> int:
    if not cutting:
        return 1
    size = size_of(dataset)
    return max(1, -(-size // max(part_bytes or PART_BYTES, -(-size // MOST_PARTS), 1)))


def _known(store: Store, part: Part, say: Say | None) -> Counted | None:
    """The count of a part that an earlier run has left."""
    try:
        return store.find(part)
    except Damaged as error:
        if say is not None:
            say(f"{error}; part {part.number} of {part.of} is counted again")
        return None


def _local(
    job: Job, parts: Sequence[Part], store: Store | None, watch: Watch | None, meter: _Meter
) -> Iterator[Counted]:
    for part, counted in count(job, parts, watch=watch, came=meter.came):
        if store is not None:
            store.keep(part, counted)
        meter.finished(part)
        yield counted


class _Meter:
    """Bytes read so far."""

    def __init__(self, progress: Progress | None, size: int) -> None:
        self._progress = progress
        self._size = size
        self._done = 0
        self._told = 0

    def came(self, part: Part, rows: int) -> None:
        """So many rows of a part have come."""
        self._tell(self._done + part.read_so_far(rows))

    def finished(self, part: Part) -> None:
        """All of a part has come."""
        self._done += part.size
        self._tell(self._done)

    def _tell(self, so_far: int) -> None:
        self._told = max(self._told, min(so_far, self._size))
        if self._progress is not None:
            self._progress(READING, self._told, self._size)
