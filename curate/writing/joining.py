"""Pieces of the output joined in the order of their parts: text byte by byte, other forms row group by row group."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...data import parts
from ...data.dataset import Batch, Dataset
from ...data.hashing import Seen, combine
from ...data.regroup import Regrouped
from ...data.writers import open_writer, output_name, relative_names
from ..book.ledger import SCHEMA, LedgerWriter, names_of
from .pieces import LEDGER, Piece, Work, arrow_piece, is_text

_BLOCK = 1 << 20
_ENTRIES = 1 << 17


class Joiner(Protocol):
    """The rows of all pieces on their way into the output."""

    def add(self, folder: Path, part: parts.Part) -> None:
        """Add the rows of the next piece."""

    def close(self) -> str | None:
        """Finish; the hash of what was written, where it is known."""

    def abort(self) -> None:
        """Close what is open, after an error."""


def joiner(place: Path, dataset: Dataset, extra: dict[str, pa.DataType]) -> Joiner:
    """What joins pieces of a form."""
    return _Text(place, dataset, extra) if is_text(dataset) else _Arrow(place, dataset, extra)


class _Text:
    """Each piece has the files that the whole has, with what stands at their beginning; this is written once."""

    def __init__(self, place: Path, dataset: Dataset, extra: dict[str, pa.DataType]) -> None:
        self._place = place
        self._dataset = dataset
        self._name = output_name(dataset)
        several = len(dataset.paths) > 1
        self._names = relative_names(dataset.paths) if several else [""]
        with open_writer(place, like=dataset, extra=extra):
            pass  # files without rows
        self._heads = [(place / name).read_bytes() for name in self._names]
        self._hash = hashlib.sha256()
        self._file = -1
        self._out: Any = None

    def add(self, folder: Path, part: parts.Part) -> None:
        for file, (name, head) in enumerate(zip(self._names, self._heads, strict=True)):
            stretch = part.ranges[file]
            if stretch.low >= stretch.high:
                continue
            self._turn_to(file)
            with (folder / self._name / name).open("rb") as piece:
                begin = piece.read(len(head))
                if self._dataset.compression is not None:  # never cut: the file itself
                    self._put(begin)
                while block := piece.read(_BLOCK):
                    self._put(block)

    def _turn_to(self, file: int) -> None:
        while self._file < file:
            if self._out is not None:
                self._out.close()
            self._file += 1
            self._out = (self._place / self._names[self._file]).open("wb")
            if self._dataset.compression is None:
                self._put(self._heads[self._file])

    def _put(self, block: bytes) -> None:
        self._hash.update(block)
        self._out.write(block)

    def close(self) -> str | None:
        self._turn_to(len(self._names) - 1)
        self._out.close()
        return self._hash.hexdigest()

    def abort(self) -> None:
        if self._out is not None:
            self._out.close()


class _Arrow:
    def __init__(self, place: Path, dataset: Dataset, extra: dict[str, pa.DataType]) -> None:
        self._dataset = dataset
        self._extra = extra
        self._writer = open_writer(place, like=dataset, extra=extra)

    def add(self, folder: Path, part: parts.Part) -> None:  # noqa: ARG002 - pieces say themselves what they hold
        for file in range(len(self._dataset.paths)):
            path = arrow_piece(folder, file)
            if not path.is_file():
                continue
            with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as reader:
                for table in reader:
                    n = table.num_rows
                    text = table.column(table.schema.get_field_index(self._dataset.columns.text))
                    batch = Batch(table, text, None, None, 0, np.zeros(n, np.bool_), file)
                    values = {name: table.column(table.schema.get_field_index(name)) for name in self._extra}
                    self._writer.write(batch, extra=values)

    def close(self) -> str | None:
        self._writer.close()
        return None

    def abort(self) -> None:
        self._writer.abort()


@dataclass(slots=True)
class LedgerJoiner:
    """The entries of all pieces, with the numbers and names that rows have among all."""

    work: Work
    groups: Regrouped
    seen: Seen
    rows: int = 0

    @staticmethod
    def of(work: Work, writer: LedgerWriter) -> LedgerJoiner:
        """Join into a writer."""
        return LedgerJoiner(work, grouped(writer), Seen())

    def add(self, folder: Path, piece: Piece) -> None:
        """Add the entries of the next piece."""
        names = None
        if not self.work.keyed:
            names = names_of(combine(piece.contents, self.seen.occurrences(piece.contents).astype(np.uint64)))
        with pa.OSFile(str(folder / LEDGER)) as source, pa.ipc.open_file(source) as reader:
            for at in range(reader.num_record_batches):
                self.groups.add(self._placed(reader.get_batch(at), piece, names))
        self.rows += piece.counts.rows_in

    def _placed(self, batch: pa.RecordBatch, piece: Piece, names: Any) -> pa.RecordBatch:
        at = SCHEMA.get_field_index("position")
        position = batch.column(at)
        if names is not None:
            place = np.searchsorted(piece.named, position.to_numpy(zero_copy_only=False))
            batch = batch.set_column(SCHEMA.get_field_index("row"), SCHEMA.field("row"), names.take(pa.array(place)))
        moved = pc.add(position, pa.scalar(self.rows, pa.int64()))
        return batch.set_column(at, SCHEMA.field(at), moved)


def grouped(writer: LedgerWriter) -> Regrouped:
    """Entries on their way to the ledger, in groups that do not depend on the batches they come in."""
    return Regrouped(SCHEMA, _ENTRIES, writer.write)
