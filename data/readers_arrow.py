"""Parquet, Arrow IPC, Hugging Face folders and tables in memory: columns with their stored types."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from .dataset import BATCH_ROWS, Piece
from .errors import InputError
from .huggingface import folder_of, in_memory, read_indices
from .sniff import duplicates
from .streams import damaged

_ERRORS = (pa.ArrowException, OSError)
_BUFFER = 1 << 20
_BATCH_BYTES = 8 << 20


def _picked(schema: pa.Schema, columns: Sequence[str] | None) -> list[str]:
    return schema.names if columns is None else [name for name in schema.names if name in set(columns)]


@dataclass(frozen=True)
class ParquetSource:
    """A `Source` of one or more parquet files with the same columns.

    `units` are the row groups to read of each file, None all.
    """

    paths: tuple[Path, ...]
    units: tuple[tuple[int, ...], ...] | None = None

    @cached_property
    def schema(self) -> pa.Schema:
        """The stored schema with its metadata."""
        return parquet_schema(self.paths[0])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.schema.names)

    def where(self, file: int, row: int) -> str:
        """Words for a row."""
        return f'row {row + 1} of "{self.paths[file].name}"'

    def read(self, columns: Sequence[str] | None) -> Iterator[Piece]:
        """All rows of all files."""
        import pyarrow.parquet as pq

        for file, path in enumerate(self.paths):
            first = 0
            groups = None if self.units is None else list(self.units[file])
            if groups == []:
                continue
            try:
                # Buffered: otherwise a column of a row group is loaded whole, and row groups may be of any size.
                with pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as reader:
                    picked = _picked(reader.schema_arrow, columns)
                    rows = _batch_rows(reader.metadata)
                    for batch in reader.iter_batches(batch_size=rows, row_groups=groups, columns=picked):
                        # Parquet keeps the file's order whatever was asked for; the schema keeps its metadata.
                        yield Piece(batch.select(picked), file, first)
                        first += batch.num_rows
            except _ERRORS as error:
                raise damaged(path, error) from error


def _batch_rows(metadata: Any) -> int:
    """How many rows at a time: some megabytes, by what the file says of its size unpacked."""
    size = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    return int(min(max(_BATCH_BYTES * metadata.num_rows // max(size, 1), 64), BATCH_ROWS))


def groups_of(path: Path) -> list[tuple[int, int | None]]:
    """Size and rows of each row group of a parquet file."""
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path)
    except _ERRORS as error:
        raise damaged(path, error) from error
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    return [(group.total_byte_size, group.num_rows) for group in groups]


def parquet_schema(path: Path) -> pa.Schema:
    """Schema of a parquet file."""
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except _ERRORS as error:
        raise InputError(f'"{path.name}" is not a whole parquet file: {str(error).splitlines()[0]}') from error
    duplicates(schema.names, f'"{path.name}"')
    return schema


@dataclass(frozen=True)
class ArrowSource:
    """A `Source` of Arrow IPC files or streams with the same columns.

    `folder` is set for a Hugging Face folder, whose files are one dataset, counted through. `units` are the record
    batches to read of each file, None all.
    """

    paths: tuple[Path, ...]
    folder: Path | None = None
    units: tuple[tuple[int, ...], ...] | None = None

    @cached_property
    def schema(self) -> pa.Schema:
        """The stored schema with its metadata."""
        return arrow_schema(self.paths[0])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.schema.names)

    def where(self, file: int, row: int) -> str:
        """Words for a row."""
        place = self.folder or self.paths[file]
        return f'row {row + 1} of "{place.name}"'

    def read(self, columns: Sequence[str] | None) -> Iterator[Piece]:
        """All rows of all files."""
        first = 0
        for file, path in enumerate(self.paths):
            first = first if self.folder else 0
            units = None if self.units is None else self.units[file]
            try:
                with closing(_ipc_batches(path, units)) as batches:
                    for whole in batches:
                        picked = _picked(whole.schema, columns)
                        for start in range(0, whole.num_rows, BATCH_ROWS):
                            batch = whole.slice(start, BATCH_ROWS).select(picked)
                            yield Piece(batch, 0 if self.folder else file, first)
                            first += batch.num_rows
            except _ERRORS as error:
                raise damaged(path, error) from error


def is_ipc_file(path: Path) -> bool:
    """Whether an Arrow file is of the random access kind, not a stream."""
    with path.open("rb") as handle:
        return handle.read(6) == b"ARROW1"


def _ipc_batches(path: Path, units: tuple[int, ...] | None) -> Generator[pa.RecordBatch, None, None]:
    if units == ():
        return
    with pa.memory_map(str(path)) as file:
        if is_ipc_file(path):
            reader = pa.ipc.open_file(file)
            for at in range(reader.num_record_batches) if units is None else units:
                yield reader.get_batch(at)
        else:
            yield from pa.ipc.open_stream(file)


def batches_of(path: Path) -> list[tuple[int, int | None]]:
    """Size and rows of each record batch of an Arrow file; a stream is one unit, whose rows are not known."""
    if not is_ipc_file(path):
        return [(1, None)]
    try:
        with pa.memory_map(str(path)) as file:
            reader = pa.ipc.open_file(file)
            rows = [reader.get_batch(at).num_rows for at in range(reader.num_record_batches)]
    except _ERRORS as error:
        raise damaged(path, error) from error
    return [(max(count, 1), count) for count in rows]


def arrow_schema(path: Path) -> pa.Schema:
    """Schema of an Arrow IPC file or stream."""
    try:
        with pa.memory_map(str(path)) as file:
            reader = pa.ipc.open_file(file) if is_ipc_file(path) else pa.ipc.open_stream(file)
            schema = reader.schema
    except _ERRORS as error:
        raise InputError(f'"{path.name}" is not a whole Arrow file: {str(error).splitlines()[0]}') from error
    duplicates(schema.names, f'"{path.name}"')
    return schema


def folder_files(folder: Path) -> tuple[Path, ...]:
    """Files of a folder that `datasets.Dataset.save_to_disk` wrote, in order."""
    return folder_of(folder).files


def data_files(form: str, paths: Sequence[Path]) -> tuple[Path, ...]:
    """The files whose bytes are the data."""
    return folder_files(paths[0]) if form == "hf" else tuple(paths)


@dataclass(frozen=True)
class IndexedSource(ArrowSource):
    """A Hugging Face folder whose rows are chosen and ordered by an index, as older versions of datasets saved them.

    `paths` are the files of rows alone. It is one unit: a part of it has all its rows or none.
    """

    indices: tuple[Path, ...] = ()

    def read(self, columns: Sequence[str] | None) -> Iterator[Piece]:
        """The chosen rows, in the index's order."""
        if self.units is not None and not any(self.units):
            return
        first = 0
        try:
            whole = pa.Table.from_batches(
                [batch for path in self.paths for batch in _ipc_batches(path, None)], schema=self.schema
            )
            table = whole.select(_picked(whole.schema, columns))
            order = read_indices(self.indices)
            for start in range(0, len(order), BATCH_ROWS):
                some = table.take(order.slice(start, BATCH_ROWS)).combine_chunks()
                for batch in some.to_batches():
                    yield Piece(batch, 0, first)
                    first += batch.num_rows
        except _ERRORS as error:
            raise damaged(self.paths[0], error) from error


@dataclass(frozen=True, eq=False)
class TableSource:
    """A `Source` of a table in memory."""

    table: pa.Table

    @property
    def schema(self) -> pa.Schema:
        """The table's schema."""
        return self.table.schema

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.table.schema.names)

    def where(self, file: int, row: int) -> str:  # noqa: ARG002 - there is only one
        """Words for a row."""
        return f"row {row + 1} of the table"

    def read(self, columns: Sequence[str] | None) -> Iterator[Piece]:
        """All rows."""
        first = 0
        table = self.table.select(_picked(self.table.schema, columns))
        for batch in table.to_batches(max_chunksize=BATCH_ROWS):
            yield Piece(batch, 0, first)
            first += batch.num_rows


def to_table(rows: Any) -> pa.Table | None:
    """An Arrow table of what lives in memory, or None where it is no table. Imports no library of its own.

    Examples
    --------
    >>> to_table([{"text": "a"}]).num_rows
    1
    >>> to_table("file.csv") is None
    True
    """
    if isinstance(rows, pa.Table):
        table = rows
    elif isinstance(rows, pa.RecordBatch):
        table = pa.Table.from_batches([rows])
    elif isinstance(rows, (str, bytes, Path)):
        return None
    else:
        table = _converted(rows)
        if table is None:
            return None
    duplicates(table.schema.names, "the table")
    return table


def _converted(rows: Any) -> pa.Table | None:
    kind = f"{type(rows).__module__}.{type(rows).__qualname__}"
    try:
        if kind.startswith("pandas.") and hasattr(rows, "columns"):
            return pa.Table.from_pandas(_named(rows), preserve_index=False)
        found = in_memory(rows)
        if found is not None:
            return found
        if kind.startswith("polars.") and hasattr(rows, "to_arrow"):
            return rows.to_arrow()  # its stream has strings of a kind that older versions of Arrow lack
        if hasattr(rows, "__arrow_c_stream__"):
            return _without_views(pa.table(rows))
        if hasattr(rows, "to_arrow"):
            return rows.to_arrow()
        if hasattr(rows, "to_pandas"):
            return pa.Table.from_pandas(_named(rows.to_pandas()), preserve_index=False)
        if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
            names = dict.fromkeys(str(name) for row in rows for name in row)  # from_pylist looks at the first row only
            return pa.table({name: [row.get(name) for row in rows] for name in names})
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise InputError(f"the {type(rows).__name__} cannot be turned into a table: {error}") from error
    return None


def _without_views(table: pa.Table) -> pa.Table:
    """Strings as every form can write them: what exports Arrow may give views, which few kernels take."""

    def plain(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_dictionary(kind):
            return pa.dictionary(kind.index_type, plain(kind.value_type), ordered=kind.ordered)
        return {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}.get(kind, kind)

    fields = [field.with_type(plain(field.type)) for field in table.schema]
    return table.cast(pa.schema(fields, table.schema.metadata))


def _named(frame: Any) -> Any:
    names = [str(name) for name in frame.columns]
    duplicates(names, "the table")
    return frame if names == list(frame.columns) else frame.set_axis(names, axis=1)
