"""What the writers of all forms share: the rows handed to them, and how a new text takes the old one's place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Extra = dict[str, pa.DataType]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to write.

    Attributes
    ----------
    table : RecordBatch
        As they were read.
    text : large_string array or None
        New texts, null where the text stays as it is; None where all do.
    extra : dict
        Values of the extra columns, of their declared types.
    """

    table: pa.RecordBatch
    text: pa.Array | None
    extra: dict[str, pa.Array]


class Sink(Protocol):
    """One file, or folder, being written."""

    def write(self, rows: Rows) -> None:
        """Add rows."""

    def close(self) -> None:
        """Write what is left."""


def with_columns(rows: Rows, text: str) -> list[tuple[str, pa.Array]]:
    """Columns of typed rows, the new text in the old one's type and the extra columns behind or in place."""
    columns = dict(zip(rows.table.schema.names, rows.table.columns, strict=True))
    if rows.text is not None:
        columns[text] = _retyped(columns[text], rows.text)
    columns.update(rows.extra)
    return list(columns.items())


def _retyped(old: pa.Array, new: pa.Array) -> pa.Array:
    kind = old.type
    if pa.types.is_dictionary(kind):
        merged = pc.coalesce(new, old.cast(pa.large_string()))
        return merged.cast(kind.value_type).dictionary_encode().cast(kind)
    if pa.types.is_null(kind):
        return new.cast(pa.string()) if new.null_count < len(new) else old
    return pc.coalesce(new.cast(kind), old)


def as_strings(values: pa.Array) -> pa.Array:
    """Values as large strings for a text form, null as null."""
    if pa.types.is_nested(values.type):
        from .readers_jsonl import spell

        return pa.array([None if value is None else spell(value) for value in values.to_pylist()], pa.large_string())
    if pa.types.is_dictionary(values.type):
        return as_strings(values.dictionary).take(values.indices)
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)
    return values.cast(pa.large_string())


def chosen(mask: pa.Array) -> list[int]:
    """Places where a mask is true."""
    places: list[int] = np.flatnonzero(mask.to_numpy(zero_copy_only=False)).tolist()
    return places
