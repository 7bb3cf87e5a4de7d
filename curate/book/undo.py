"""Undoing what a ledger says: edits, and in JSON lines the keys that curation added."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...data.dataset import Batch, Dataset
from ...data.readers_jsonl import LINE
from ...data.writers_text import edited
from ..edits import Bools, Edits, Ints, distinct, gather, raw_bytes, splice
from ..writing.write import PARENT, WEIGHT
from .ledger import EditReader, Ledger


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of the data among the curated ones.

    Attributes
    ----------
    batch : Batch
        As they are now; JSON lines already without what was added.
    text : large_string array
        Their old texts.
    extra : dict
        Old values of columns that were written over.
    edits : int
        Edits that the ledger has of them.
    wrong : int
        Rows in which they do not stand.
    first_wrong : int
        The first of them, as a row of the curated data; −1 where there is none.
    row : int64 array
        Which rows of the curated data these are.
    position : int64 array
        Which rows of the original.
    bad : int64 array
        The wrong ones, as rows of the curated data.
    """

    batch: Batch
    text: Any
    extra: dict[str, Any]
    edits: int
    wrong: int
    first_wrong: int
    row: Ints
    position: Ints
    bad: Ints


class Undone:
    """The curated rows that are rows of the data, with the edits undone.

    Attributes
    ----------
    rows : int
        Curated rows seen so far, copies included.
    dropped : int64 array
        Rows of the data that are missing, ascending.
    """

    def __init__(self, changed: Dataset, book: Ledger) -> None:
        self.changed = changed
        self.book = book
        self.rows = 0
        self.dropped = book.dropped()

    def parts(self) -> Iterator[Part]:
        """The rows in order."""
        self.rows = kept = 0
        reader = EditReader(self.book)
        before = old_weights(self.book)
        for batch in self.changed.batches():
            own = np.flatnonzero(~made_rows(batch.table, self.book))
            where = self.rows + own
            self.rows += batch.n
            if not len(own):
                continue
            position = positions(kept, len(own), self.dropped)
            kept += len(own)
            mine = batch if len(own) == batch.n else batch.take(own)
            weights = None if before is None else between(before, before["position"].to_numpy(), position)["before"]
            mine = replace(mine, table=cleaned(mine.table, self.book, weights))
            text, edits, bad = self._undo(mine.text, position, reader.between(int(position[0]), int(position[-1])))
            extra = {} if weights is None or self.changed.form == "jsonl" else {WEIGHT: weights.combine_chunks()}
            bad = where[bad]
            yield Part(mine, text, extra, edits, len(bad), int(bad[0]) if len(bad) else -1, where, position, bad)

    def _undo(self, text: Any, position: Ints, some: pa.Table | None) -> tuple[Any, int, Ints]:
        """Texts with the edits undone, how many there were, and the rows in which they do not stand."""
        if some is None or not some.num_rows:
            return text, 0, position[:0]
        data, offsets = raw_bytes(text)
        row = np.searchsorted(position, some["position"].to_numpy())
        start, end = some["start"].to_numpy(), some["end"].to_numpy()
        after = some["after"].combine_chunks().cast(pa.large_string())
        size = np.diff(raw_bytes(after)[1])
        # The edits before it in its row have moved an edit by as much as they made the row longer.
        grown = np.cumsum(size - (end - start)) - (size - (end - start))
        begin = offsets[row] + start + grown - grown[np.searchsorted(row, row)]
        finish = begin + size
        inside = (begin >= offsets[row]) & (finish <= offsets[row + 1])
        found = gather(data, np.where(inside, begin, 0), np.where(inside, finish, 0))
        wrong = distinct(row[~(inside & same_bytes(found, after))])
        good = ~np.isin(row, wrong)
        coded = some["before"].combine_chunks().dictionary_encode()
        nothing = np.zeros(len(row), np.int64)
        edits = Edits(
            row=row,
            start=begin,
            end=finish,
            token=nothing,
            length=nothing,
            after=coded.indices.to_numpy().astype(np.int64),
            step=nothing,
            texts=tuple(coded.dictionary.to_pylist()),
        )
        return splice(data, offsets, edits.take(good)), len(row), wrong


def made_rows(table: pa.RecordBatch, book: Ledger) -> Bools:
    """Which of some curated rows curation made."""
    if PARENT not in book.about["extra"]:
        return np.zeros(table.num_rows, np.bool_)
    at = table.schema.get_field_index(LINE)
    if at >= 0:
        lines = table.column(at).to_pylist()
        mark = PARENT.encode()
        return np.array([mark in line and bool(json.loads(line).get(PARENT)) for line in lines], np.bool_)
    parent = table.column(table.schema.get_field_index(PARENT)).cast(pa.large_string()).fill_null("")
    made: Bools = pc.not_equal(parent, "").to_numpy(zero_copy_only=False)
    return made


def old_weights(book: Ledger) -> pa.Table | None:
    """The weights that were written over, by position; None where none were."""
    return book.weights_before() if overwritten(book) else None


def overwritten(book: Ledger) -> bool:
    """Whether the data had weights in the column where curation wrote its own."""
    return WEIGHT in book.about["extra"] and book.about["input"]["weight"] == WEIGHT


def same_bytes(first: Any, second: Any) -> Bools:
    """Where two arrays of strings are equal; as bytes, since what stands at a wrong place need not be characters."""
    equal: Bools = pc.equal(first.view(pa.large_binary()), second.view(pa.large_binary())).to_numpy(
        zero_copy_only=False
    )
    return equal


def between(table: pa.Table, place: Ints, position: Ints) -> pa.Table:
    """The rows of a table (ascending in `place`) that belong to a run of positions."""
    low, high = np.searchsorted(place, [position[0], position[-1] + 1])
    return table.slice(int(low), int(high - low))


def positions(kept: int, n: int, dropped: Ints) -> Ints:
    """Rows of the data that the next n rows are, after `kept` others, when some were dropped."""
    # The k-th row that is left stands behind all drops d_j with d_j - j <= k.
    rank = np.arange(kept, kept + n)
    positions: Ints = rank + np.searchsorted(dropped - np.arange(len(dropped)), rank, side="right")
    return positions


def cleaned(table: pa.RecordBatch, book: Ledger, weights: Any) -> pa.RecordBatch:
    """JSON lines without the keys that curation wrote; where there are columns, the writer leaves them out."""
    extra = book.about["extra"]
    at = table.schema.get_field_index(LINE)
    if at < 0 or not extra:
        return table
    names = [name for name in extra if name != WEIGHT or weights is None]
    lines = [without_keys(line, names) for line in table.column(at).to_pylist()]
    if weights is not None:
        old = [json.loads(value) for value in weights.to_pylist()]
        lines = [edited(line, {WEIGHT: value}) for line, value in zip(lines, old, strict=True)]
    return table.set_column(at, table.schema.field(at), pa.array(lines, pa.large_binary()))


_DECODER = json.JSONDecoder()
_BLANKS = re.compile(r"[ \t\r\n]*")


def without_keys(line: bytes, names: Sequence[str]) -> bytes:
    """A JSON object without some of its keys, byte for byte as it was before they were added at its end.

    Examples
    --------
    >>> without_keys(b'{"n": 1e5, "text":"he","weight":2.0,"parent":"x"} ', ["weight", "parent"])
    b'{"n": 1e5, "text":"he"} '
    """
    source = line.decode("utf-8")
    for name in reversed(names):
        span = _span(source, name)
        if span is not None:
            source = source[: span[0]] + source[span[1] :]
    return source.encode("utf-8")


def _span(source: str, name: str) -> tuple[int, int] | None:
    """Where a key and its value lie, with the comma before it; for the first key with the one after it."""
    at = _skip(source, _skip(source, 0) + 1)
    before = at
    found: tuple[int, int] | None = None
    first = True
    while source[at] != "}":
        key, after_key = _DECODER.raw_decode(source, at)
        _, end = _DECODER.raw_decode(source, _skip(source, _skip(source, after_key) + 1))
        following = _skip(source, end)
        more = source[following] == ","
        if key == name:
            found = (before, end) if not first else (at, _skip(source, following + 1) if more else end)
        before, first = end, False
        at = _skip(source, following + 1) if more else following
    return found


def _skip(source: str, at: int) -> int:
    blanks = _BLANKS.match(source, at)
    return at if blanks is None else blanks.end()
