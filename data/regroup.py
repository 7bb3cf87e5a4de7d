"""Rows in groups of one size, whatever batches they come in: so that the same rows make the same file."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa


class Regrouped:
    """Hands on rows in groups of so many, the last one smaller.

    Parameters
    ----------
    schema : Schema
    rows : int
        Rows of a group.
    write : callable
        Gets each group as a table of one chunk a column, its dictionaries made one.

    Examples
    --------
    >>> schema = pa.schema([("n", pa.int64())])
    >>> sizes = []
    >>> groups = Regrouped(schema, 3, lambda table: sizes.append(table.num_rows))
    >>> for n in (2, 2, 3):
    ...     groups.add(pa.record_batch([list(range(n))], schema=schema))
    >>> groups.close()
    >>> sizes
    [3, 3, 1]
    """

    __slots__ = ("_n", "_rows", "_schema", "_waiting", "_write")

    def __init__(self, schema: pa.Schema, rows: int, write: Callable[[pa.Table], None]) -> None:
        self._schema = schema
        self._rows = rows
        self._write = write
        self._waiting: list[pa.RecordBatch] = []
        self._n = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        while self._n + batch.num_rows >= self._rows:
            missing = self._rows - self._n
            self._waiting.append(batch.slice(0, missing))
            self._flush()
            batch = batch.slice(missing)
        if batch.num_rows:
            self._waiting.append(batch)
            self._n += batch.num_rows

    def close(self) -> None:
        """Hand on what is left."""
        if self._waiting:
            self._flush()

    def _flush(self) -> None:
        table = pa.Table.from_batches(self._waiting, self._schema).unify_dictionaries().combine_chunks()
        self._waiting, self._n = [], 0
        self._write(table)
