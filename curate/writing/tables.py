"""Curated rows as a table in memory, with all columns of the data: for pandas, datasets and scikit-learn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ...data.conversation_source import ConversationSource
from ...data.dataset import Batch, Dataset
from ...data.errors import InputError, require
from ...data.normalise import place_of
from ...data.readers import open_source
from ...data.readers_arrow import to_table
from ...data.readers_jsonl import LINE
from ...data.sinks import Rows, with_columns
from ...data.writers_arrow import output_schema
from ..emit import Emitter
from .pieces import extra_values
from .write import PARENT, added_columns, check_columns, of_pool


def whole_table(emitter: Emitter) -> pa.Table:
    """The rows of a curation in memory.

    Raises
    ------
    InputError
        For chat data, whose edits are made in their file, and for data with columns of the names that curation adds.
    """
    dataset = emitter.prepared.dataset
    if isinstance(dataset.source, ConversationSource):
        raise InputError("chat data are curated in the form of their file; give out=FOLDER and read what is there")
    resolved = emitter.changer.resolved
    check_columns(dataset, weights=resolved.weights)
    extra = added_columns(resolved)
    schema = _schema(dataset, extra)
    batches = []
    last: Batch | None = None
    for part in emitter.parts():
        if part.batch is None:
            assert last is not None
            part = of_pool(part, dataset, last)
        assert part.batch is not None
        last = part.batch
        changed = pc.not_equal(part.text, part.batch.text)
        text = pc.if_else(changed, part.text, pa.scalar(None, part.text.type))  # a null text without edits stays one
        rows = Rows(part.batch.table, text, extra_values(part, extra))
        columns = dict(with_columns(rows, dataset.columns.text))
        arrays = [columns[field.name].cast(field.type) for field in schema]
        batches.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return pa.Table.from_batches(batches, schema=schema)


def _schema(dataset: Dataset, extra: dict[str, pa.DataType]) -> pa.Schema:
    if dataset.source.schema is None:
        raise InputError(
            f"the columns of {place_of(dataset.paths)} have no types; give out=FOLDER, or a table (parquet, pandas)"
        )
    return output_schema(dataset, extra)


def written_table(folder: Path, output: dict[str, Any], *, encoding: str = "utf-8") -> pa.Table:
    """The rows that a curation wrote; of CSV, columns of nothing but numbers become numbers."""
    place = folder / str(output["name"])
    several = place.is_dir() and not (place / "state.json").is_file()
    opened = open_source(
        [place / name for name in output["files"]] if several else place, encoding=encoding, spool=None
    )
    batches = [piece.table for piece in opened.source.read(None)]
    if opened.source.schema is not None:
        return pa.Table.from_batches(batches, schema=opened.source.schema)
    table = pa.Table.from_batches(batches)
    if LINE in table.column_names:
        made = to_table([json.loads(line) for line in table.column(LINE).to_pylist()])
        assert made is not None
        return made
    columns = [_typed(name, table.column(name)) for name in table.column_names]
    return pa.table(columns, names=table.column_names)


def _typed(name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Strings of a CSV file as numbers, where all of them are; keys of rows are names, whatever they look like."""
    values = pc.if_else(pc.equal(values, ""), pa.scalar(None, values.type), values)
    if name == PARENT or values.null_count == len(values):
        return values
    for kind in (pa.int64(), pa.float64()):
        try:
            return values.cast(kind)
        except pa.ArrowInvalid:
            continue
    return values


def as_dataset(table: pa.Table) -> Any:
    """A table as a `datasets.Dataset`; its features are those in the table's metadata where there are any."""
    require("datasets", extra="dev", why="a datasets.Dataset")
    import datasets

    return datasets.Dataset(datasets.table.InMemoryTable(table))
