"""One part of the data curated by itself: a piece of the output, of the ledger, and what was counted.

Rows are numbered within their part, and where a plan's edits need no keys the names of rows are left open: whoever
joins the pieces in order knows both.
"""

from __future__ import annotations

import json
import os
import pickle
import secrets
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...data import parts
from ...data.atomic import MEDIUM, unwritable
from ...data.axes import Axis
from ...data.dataset import Batch, Dataset
from ...data.hashing import Keys, content_keys
from ...data.normalise import Census as Labels
from ...data.scan import Scanner, wanted
from ...data.sinks import Rows, Sink
from ...data.writers import open_writer, output_name
from ...data.writers_arrow import ArrowSink
from ..book.ledger import SCHEMA
from ..changes import Changer
from ..edits import distinct
from ..emit import Counts, Emitter, Part
from ..prepare import Prepared
from ..state import Added
from ..units import Codes, Ints, Units
from ..words.scrub import Scrub
from ..words.swap import Swap
from . import skim
from .skim import Skim

# Bytes of text worked on at a time: few enough that a process of 250 MB will do.
_SLICE = 4 << 20
_TEXT_FORMS = frozenset({"csv", "tsv", "jsonl"})
LEDGER, DONE = "ledger.arrow", "done.pickle"


@dataclass(frozen=True)
class Work:
    """What is done to every part.

    Attributes
    ----------
    prepared : Prepared
        Of the whole data.
    changer : Changer
    extra : dict of name to Arrow type
        Columns that the output has besides those of the data.
    overwrites : str or None
        As in `Emitter`.
    stage : Path
        The folder that all workers share.
    fast : bool
        As in `Scanner`.
    keyed : bool
        Whether row keys are in the stage.
    moves : bool
        Whether what is written of each row is decided there too.
    """

    prepared: Prepared
    changer: Changer
    extra: dict[str, pa.DataType]
    overwrites: str | None
    stage: Path
    fast: bool
    keyed: bool
    moves: bool

    def keys_at(self, number: int) -> Path:
        """Where the row keys of a part lie."""
        return self.stage / "keys" / f"{number:05}.bin"

    def decided_at(self, number: int) -> Path:
        """Where the units of a part lie."""
        return self.stage / "decided" / f"{number:05}.npz"

    def named_at(self) -> Path:
        """Where the names of the cells lie."""
        return self.stage / "decided" / "cells.json"

    def piece_at(self, number: int) -> Path:
        """Where the piece of a part lies."""
        return self.stage / "pieces" / f"{number:05}"


@dataclass(frozen=True, slots=True)
class Piece:
    """What was done to a part.

    Attributes
    ----------
    number : int
    counts : Counts
    labels : Labels
        Rows and label classes.
    named : int64 array
        Rows of the part that its ledger names, where they have no keys yet, ascending.
    contents : uint64 array
        Hash of the content of each of these.
    """

    number: int
    counts: Counts
    labels: Labels
    named: npt.NDArray[np.int64]
    contents: Keys


@dataclass(slots=True)
class Share:
    """What was decided about the rows of a part: as much of a `State` as writing them takes."""

    units: Units
    dropped_by: npt.NDArray[np.int8]
    added: list[tuple[Added, Units]]
    before: Codes
    names: dict[str, list[str]]
    mean: float

    def cell_of(self, position: Ints) -> Codes:
        """Cell of rows of the part."""
        return self.before[position]

    def names_of(self, index: int) -> list[str]:
        """The name of each cell on the axis of a step."""
        return self.names[str(index)]

    def pool(self) -> list[tuple[Added, Units]]:
        """As `State.pool`; the last part writes them."""
        return self.added


def write_piece(work: Work, part: parts.Part) -> Piece:
    """Curate a part into a folder of the stage, whole or not at all; a piece that is there is taken as it is."""
    place = work.piece_at(part.number)
    known = read_piece(place)
    if known is not None:
        return known
    place.parent.mkdir(parents=True, exist_ok=True)
    making = place.with_name(f".{place.name}.{os.getpid()}-{secrets.token_hex(4)}")
    making.mkdir()
    try:
        piece = _write(work, part, making)
        (making / DONE).write_bytes(pickle.dumps(piece))
        shutil.rmtree(place, ignore_errors=True)
        making.replace(place)
    except BaseException as error:
        shutil.rmtree(making, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in MEDIUM:
            raise unwritable(work.stage.parent, error) from error
        raise
    pa.default_memory_pool().release_unused()
    return piece


def read_piece(place: Path) -> Piece | None:
    """What was done to a part, where it is done."""
    try:
        piece: Piece = pickle.loads((place / DONE).read_bytes())
    except (OSError, EOFError, pickle.UnpicklingError):
        return None
    return piece


def _write(work: Work, part: parts.Part, folder: Path) -> Piece:
    from .write import of_pool

    dataset = work.prepared.dataset
    prepared = replace(work.prepared, dataset=part.dataset, _held={})
    share = _share(work, part.number) if work.moves else None
    emitter = Emitter(prepared, work.changer, share, overwrites=work.overwrites)
    labels = Labels()
    named: list[npt.NDArray[np.int64]] = []
    contents: list[Keys] = []
    with closing(PieceWriter(folder, part.dataset, dataset, work.extra)) as rows, _ledger(folder / LEDGER) as ledger:
        last: Batch | None = None
        for batch, keys in batches(work, part, write=True):
            last = batch
            labels.add(batch.label, batch.n)
            made = _made(work, emitter, batch, keys)
            rows.write(made)
            if not made.ledger.num_rows:
                continue
            ledger.write_table(made.ledger)
            if not work.keyed:
                own = distinct(made.ledger["position"].to_numpy())
                named.append(own)
                some = pa.array(own - batch.start)
                contents.append(
                    content_keys(batch.text.take(some), None if batch.label is None else batch.label.take(some))
                )
        for made in emitter.pool_parts():
            assert last is not None
            rows.write(of_pool(made, dataset, last))
            ledger.write_table(made.ledger)
    nothing = np.zeros(0, np.int64)
    return Piece(
        part.number,
        emitter.counts,
        labels,
        np.concatenate([nothing, *named]),
        np.concatenate([nothing.astype(np.uint64), *contents]),
    )


def _ledger(path: Path) -> Any:
    return pa.ipc.new_file(str(path), SCHEMA, options=pa.ipc.IpcWriteOptions(compression="lz4"))


class PieceWriter:
    """Writes the rows of a part: text forms as the whole output would be written, others as Arrow batches."""

    def __init__(self, folder: Path, like: Dataset, whole: Dataset, extra: dict[str, pa.DataType]) -> None:
        self._extra = extra
        self._folder = folder
        self._like = like
        self._sinks: dict[int, Sink] = {}
        self._rows = open_writer(folder / output_name(whole), like=like, extra=extra) if is_text(whole) else None

    def write(self, part: Part) -> None:
        """Add rows."""
        batch = part.batch
        assert batch is not None
        values = extra_values(part, self._extra)
        if self._rows is not None:
            self._rows.write(batch, text=part.text, extra=values)
            return
        if batch.file not in self._sinks:
            self._sinks[batch.file] = ArrowPiece(arrow_piece(self._folder, batch.file), self._like, self._extra)
        self._sinks[batch.file].write(
            Rows(batch.table, part.text, {name: values[name].cast(kind) for name, kind in self._extra.items()})
        )

    def close(self) -> None:
        """Finish; after an error the whole folder goes."""
        if self._rows is not None:
            self._rows.close()
        for sink in self._sinks.values():
            sink.close()


class ArrowPiece(ArrowSink):
    """Rows of a file on their way to one that cannot be joined byte by byte."""

    def __init__(self, path: Path, like: Dataset, extra: dict[str, pa.DataType]) -> None:
        options = pa.ipc.IpcWriteOptions(compression="lz4", emit_dictionary_deltas=False)
        super(ArrowSink, self).__init__(
            path, like, extra, lambda file, schema: pa.ipc.new_stream(file, schema, options=options)
        )


def arrow_piece(folder: Path, file: int) -> Path:
    """Where the rows of a file lie in a piece."""
    return folder / f"rows-{file:05}.arrow"


def is_text(dataset: Dataset) -> bool:
    """Whether the output can be joined byte by byte."""
    return dataset.form in _TEXT_FORMS


def extra_values(part: Part, extra: dict[str, pa.DataType]) -> dict[str, Any]:
    """Values of the columns that curation adds."""
    from .write import PARENT, WEIGHT

    known = {WEIGHT: lambda: pa.array(part.units.weight), PARENT: lambda: part.parent}
    return {name: known[name]() for name in extra}


def _made(work: Work, emitter: Emitter, batch: Batch, keys: Keys) -> Part:
    """The rows to write of a batch; only those that may change are looked at closely."""
    resolved = work.changer.resolved
    if not (resolved.edits or resolved.augments):
        return emitter.part(work.prepared.chunk(scanner_of(work, scans=False).scan(batch), keys))
    scanner = scanner_of(work)
    rows = skim.chosen(skim_of(work), batch)
    if work.moves or rows is None:
        return emitter.part(work.prepared.chunk(scanner.scan(batch), keys))
    some = replace(batch.take(rows), start=0)
    made = emitter.part(work.prepared.chunk(scanner.scan(some), keys[rows]))
    emitter.counts.rows_in += batch.n - some.n
    emitter.counts.rows_out += batch.n - some.n
    at = SCHEMA.get_field_index("position")
    position = rows[made.ledger["position"].to_numpy()] + batch.start
    ledger = made.ledger.set_column(at, SCHEMA.field(at), pa.array(position, pa.int64()))
    # What the other rows are besides their text is nobody's business here: they are written as they are.
    return replace(made, batch=batch, text=skim.put_back(batch.text, rows, made.text), ledger=ledger)


def batches(work: Work, part: parts.Part, *, write: bool) -> Iterator[tuple[Batch, Keys]]:
    """The rows of a part, some at a time, numbered from 0; with keys where they are known.

    `write` reads all that writing them takes.
    """
    dataset = work.prepared.dataset
    ids = () if dataset.columns.id is None else (dataset.columns.id,)
    columns = wanted(dataset, work.prepared.distinct, None if write else ids)
    keys = np.fromfile(work.keys_at(part.number), "<u8") if work.keyed else None
    at = 0
    for batch in part.dataset.batches(columns=columns):
        for some in sliced(batch):
            yield some, np.zeros(some.n, np.uint64) if keys is None else keys[at : at + some.n]
            at += some.n


def scanner_of(work: Work, *, scans: bool = True) -> Scanner:
    """What finds the words of the plan's axes."""
    return _scanner(tuple(work.prepared.distinct) if scans else (), work.fast)


@lru_cache(maxsize=2)
def _scanner(axes: tuple[Axis, ...], fast: bool) -> Scanner:  # noqa: FBT001 - a key of the cache
    return Scanner(axes, fast=fast)


def skim_of(work: Work) -> Skim | None:
    """What finds the rows that the plan's edits may change; None where they go by more than a lexicon."""
    resolved = work.changer.resolved
    if resolved.augments:
        return None
    lexicons = []
    for step in resolved.edits:
        how = step.how
        if type(how) is Scrub:
            if how.own:
                lexicons.append(how.matcher.lexicon)
            if how.proxies is not None:
                lexicons.append(how.proxies.lexicon)
        elif type(how) is Swap:
            lexicons.append(how.matcher.lexicon)
        else:
            return None
    return Skim.of(lexicons)


def sliced(batch: Batch) -> Iterator[Batch]:
    """A batch in slices of some megabytes, of an even number of rows each but for the last."""
    _, where, _ = batch.text.buffers() if batch.n else (None, None, None)
    size = 0 if where is None else _bytes(batch)
    count = max(1, -(-size // _SLICE))
    step = max(2, -(-batch.n // count) + 1 & ~1)
    for low in range(0, batch.n, step):
        rows = slice(low, min(low + step, batch.n))
        n = rows.stop - low
        yield replace(
            batch,
            table=batch.table.slice(low, n),
            text=batch.text.slice(low, n),
            label=None if batch.label is None else batch.label.slice(low, n),
            weight=None if batch.weight is None else batch.weight[rows],
            text_null=batch.text_null[rows],
            start=batch.start + low,
        )


def _bytes(batch: Batch) -> int:
    offsets = np.frombuffer(batch.text.buffers()[1], np.int64)
    return int(offsets[batch.text.offset + batch.n] - offsets[batch.text.offset])


def _share(work: Work, number: int) -> Share:
    """What was decided about the rows of a part."""
    with np.load(work.decided_at(number)) as held:
        rows = int(held["rows"])
        position = held.get("position", np.arange(rows, dtype=np.int64))
        nothing = np.broadcast_to(np.int32(0), len(position))
        keys = np.fromfile(work.keys_at(number), "<u8")
        units = Units(
            position=position,
            variant=held.get("variant", nothing),
            repeat=held.get("repeat", nothing),
            by=held.get("by", nothing),
            cell=held.get("cell", nothing),
            root=keys[position],
            weight=held.get("weight", np.broadcast_to(np.float64(1), len(position))),
        )
        dropped = held.get("dropped_by", np.broadcast_to(np.int8(0), rows))
        before = held.get("before", np.broadcast_to(np.int32(0), rows))
    pool = work.decided_at(number).with_suffix(".pool")
    added = pickle.loads(pool.read_bytes()) if pool.is_file() else []
    about = json.loads(work.named_at().read_text())
    return Share(units, dropped, added, before, about["names"], about["mean"])
