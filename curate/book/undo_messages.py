"""Undoing edits inside the messages of conversations, and holding the rows against an original."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from ...data.conversation_rows import spliced
from ...data.dataset import Dataset, Piece
from ...data.errors import InputError
from ...data.pointers import Splices
from ...data.readers_jsonl import LINE
from ..edits import Ints, raw_bytes
from ..writing.write import WEIGHT
from .ledger import EditReader, Ledger
from .undo import between, cleaned, made_rows, old_weights, positions

# A file in which more of the ledger's rows are others than this, and at least so many, is another file.
_OTHER, _ENOUGH = 0.5, 4


@dataclass(frozen=True, slots=True)
class FilePart:
    """Rows of the file among the curated ones.

    Attributes
    ----------
    piece : Piece
        With the edits undone, and in JSON lines without what was added.
    extra : dict
        Old values of columns that were written over.
    edited : int
        Rows of which the ledger has edits.
    wrong : int
        Those in which they do not stand.
    first_wrong : int
        The first of them, as a row of the curated data; −1 where there is none.
    bad : int64 array
        All of them.
    """

    piece: Piece
    extra: dict[str, Any]
    edited: int
    wrong: int
    first_wrong: int
    bad: Ints


class UndoneFile:
    """The curated rows of a file of conversations that are rows of the original, with the edits undone.

    Parameters
    ----------
    changed : Dataset
        The curated file (`evenset.data.conversation_rows.file_of`).
    book : Ledger

    Attributes
    ----------
    rows : int
        Curated rows seen so far, copies included.
    dropped : int64 array
        Rows of the original that are missing, ascending.
    """

    def __init__(self, changed: Dataset, book: Ledger) -> None:
        self.changed = changed
        self.book = book
        self.rows = 0
        self.each = rows_each(book)
        self.dropped = book.dropped() // self.each

    def parts(self) -> Iterator[FilePart]:
        """The rows in order."""
        self.rows = kept = 0
        reader = EditReader(self.book)
        before = old_weights(self.book)
        for piece in read_file(self.changed):
            own = np.flatnonzero(~made_rows(piece.table, self.book))
            where = self.rows + own
            self.rows += piece.table.num_rows
            if not len(own):
                continue
            row = positions(kept, len(own), self.dropped)
            kept += len(own)
            table = piece.table.take(pa.array(own)) if len(own) < piece.table.num_rows else piece.table
            weights = None if before is None else between(before, before["position"].to_numpy(), row)["before"]
            table = cleaned(table, self.book, weights)
            found = reader.between(int(row[0]) * self.each, int(row[-1]) * self.each + self.each - 1)
            local = row[:0]
            wrong: list[int] = []
            if found is not None and found.num_rows:
                some = _in_strings(found, self.each)
                local = np.searchsorted(row, some["row"].to_numpy())
                table, wrong = spliced(table, _backwards(some, local).trees(), escaped=self._escaped())
            extra = {} if weights is None or self.changed.form == "jsonl" else {WEIGHT: weights.combine_chunks()}
            bad = where[np.array(wrong, np.int64)]
            first = int(bad[0]) if len(bad) else -1
            yield FilePart(replace(piece, table=table), extra, len(np.unique(local)), len(bad), first, bad)

    def _escaped(self) -> bool:
        return bool(self.book.about["input"].get("ascii"))


def rows_each(book: Ledger) -> int:
    """How many rows of text a row of the file is."""
    return 2 if book.about["input"]["conversation"]["format"] == "preference" else 1


def read_file(dataset: Dataset) -> Iterator[Piece]:
    """The rows of a file as they are: all columns, for JSON lines the lines."""
    return dataset.source.read([LINE] if dataset.form == "jsonl" else None)


def _in_strings(edits: pa.Table, each: int) -> pa.Table:
    """Edits by row of the file, string and place; `row` is that of the file."""
    row = edits["position"].to_numpy() // each
    edits = edits.append_column("row", pa.array(row))
    return edits.sort_by([("row", "ascending"), ("pointer", "ascending"), ("start", "ascending")])


def _backwards(some: pa.Table, row: Ints) -> Splices:
    """The changes that undo edits; the edits before one in its string have moved it."""
    after = some["after"].combine_chunks().cast(pa.large_string())
    start, end = some["start"].to_numpy(), some["end"].to_numpy()
    size = np.diff(raw_bytes(after)[1])
    grown = size - (end - start)
    before = np.cumsum(grown) - grown
    code = some["pointer"].combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    new = np.ones(len(row), np.bool_)
    new[1:] = (row[1:] != row[:-1]) | (code[1:] != code[:-1])
    first = np.flatnonzero(new)
    begin = start + before - np.repeat(before[first], np.diff(np.append(first, len(row))))
    return Splices(row, some["pointer"].combine_chunks(), begin, begin + size, after, some["before"].combine_chunks())


def check_file(changed: Dataset, book: Ledger) -> None:
    """Refuse a file that is not the one that curation wrote, and say what is wrong with it.

    Raises
    ------
    InputError
    """
    output = book.about["output"]
    if changed.sha256() == output["sha256"]:
        return
    name = changed.paths[0].name if output["name"] != "rows" else "rows"
    other = f'the ledger "{book.path.name}" is of another curation than "{name}"'
    lacking = [column for column in book.about["extra"] if column not in changed.names]
    if lacking and changed.form != "jsonl":
        raise InputError(f'{other}, or somebody removed the column "{lacking[0]}"; restore what curation wrote')
    undone = UndoneFile(changed, book)
    edited = wrong = 0
    first = -1
    for part in undone.parts():
        edited += part.edited
        wrong += part.wrong
        first = part.first_wrong if first < 0 else first
    rows = output["rows"] // undone.each
    if undone.rows != rows:
        raise InputError(
            f'"{name}" has {undone.rows:,} rows and the ledger is of {rows:,}: it is the ledger of another curation, '
            "or rows were added or removed by hand; restore what curation wrote"
        )
    if edited >= _ENOUGH and wrong > _OTHER * edited:
        raise InputError(
            f"{other}, or the rows were put in another order: {wrong:,} of the {edited:,} rows that it names read "
            "otherwise; give the ledger that curation wrote beside these"
        )
    where = "elsewhere than in the words that it edited"
    if first >= 0:
        where = f"row {first + 1} no longer reads as it did, or rows changed places"
    raise _by_hand(name, where, book)


def _by_hand(name: str, where: str, book: Ledger) -> InputError:
    return InputError(
        f'"{name}" was changed by hand after curation ({where}), or "{book.path.name}" is the ledger of another '
        "curation; restore the file that curation wrote with the ledger beside it"
    )


def compared(like: Dataset, undone: UndoneFile, book: Ledger) -> Iterator[Piece]:
    """The original's rows, the messages of each that was kept held against the curated ones.

    Raises
    ------
    InputError
        When they differ.
    """
    columns = book.about["input"]["conversation"]["columns"]
    parts = undone.parts()
    left: pa.Table | None = None
    start = 0
    for piece in read_file(like):
        low, high = np.searchsorted(undone.dropped, [start, start + piece.table.num_rows])
        kept = np.ones(piece.table.num_rows, np.bool_)
        kept[undone.dropped[low:high] - start] = False
        start += len(kept)
        own = _messages(piece.table, columns).filter(pa.array(kept))
        while left is None or left.num_rows < own.num_rows:
            part = next(parts, None)
            if part is None:
                if left is None and not own.num_rows:
                    break
                raise InputError(f'the curated rows end before the original; is "{book.path.name}" their ledger?')
            more = _messages(part.piece.table, columns)
            left = more if left is None else pa.concat_tables([left, more])
        if left is not None:
            mine = left.slice(0, own.num_rows)
            # Arrow compares the codes of dictionaries, which may differ where the values do not.
            if not own.equals(mine) and own.to_pylist() != mine.to_pylist():
                raise InputError(
                    "the curated rows, undone, are not those of the original: the ledger was changed by hand, or it is "
                    "that of another curation"
                )
            left = left.slice(own.num_rows)
        yield piece


def _messages(table: pa.RecordBatch, columns: list[str]) -> pa.Table:
    """The columns with messages; of JSON lines the values of these keys."""
    at = table.schema.get_field_index(LINE)
    if at < 0:
        return pa.Table.from_batches([table.select(columns)])
    rows = (json.loads(line) for line in table.column(at).to_pylist())
    return pa.table(
        {"values": pa.array([json.dumps([row.get(name) for name in columns]) for row in rows], pa.string())}
    )
