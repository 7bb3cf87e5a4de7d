"""CSV and TSV as a stream of record batches, every column as strings.

Arrow parses; the values are taken as bytes and checked here, because Arrow cannot say in which row a byte is wrong.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from .dataset import Piece
from .errors import InputError
from .sniff import duplicates
from .streams import BOM, Watched, damaged, open_bytes

# Arrow reads some thirty blocks ahead, so they are small; the rows of several make one batch.
_BLOCK = 1 << 20
_BATCH = 8 << 20
# A row beyond this is a quote that was never closed, not a text.
LONGEST_ROW = 512 << 20


@dataclass(frozen=True, slots=True)
class Layout:
    """How a CSV file is written, so that it can be written the same way again."""

    names: tuple[str, ...]
    delimiter: str
    line_end: str
    bom: bool
    quote_all: bool
    encoding: str


def read_layout(path: Path, form: str, encoding: str, head: bytes) -> Layout:
    """Find the columns and the way of writing from the first bytes (decompressed, UTF-8)."""
    bom = head.startswith(BOM)
    start = head.removeprefix(BOM)
    if b"\0" in start[:4096].split(b"\n", 1)[0]:
        raise InputError(f'the header of "{path.name}" holds a NUL byte; is it text, and in which --encoding?')
    text = start.decode("utf-8", "replace")
    delimiter = "\t" if form == "tsv" else ","
    names, line = _header(text, delimiter, path)
    if len(names) == 1:
        # Spreadsheets of many countries write semicolons; and tabs are often called csv.
        others = [(len(_header(text, other, path)[0]), other) for other in "\t;|," if other != delimiter]
        most, other = max(others, key=lambda pair: pair[0])
        if most > 1 and (other != "," or form == "tsv"):
            delimiter = other
            names, line = _header(text, delimiter, path)
    if "\ufffd" in line and "\ufffd".encode() not in start[: 4 * len(line)]:
        raise InputError(
            f'the header of "{path.name}" is not valid UTF-8; say the encoding, for example --encoding latin-1'
        )
    duplicates(names, f'"{path.name}"')
    body = line.rstrip("\r\n")
    return Layout(
        names=tuple(names),
        delimiter=delimiter,
        line_end="\r\n" if line.endswith("\r\n") else "\n",
        bom=bom,
        quote_all=body.startswith('"') and body.endswith('"') and body.count('"') >= 2 * len(names),
        encoding=encoding,
    )


def _header(text: str, delimiter: str, path: Path) -> tuple[list[str], str]:
    lines = io.StringIO(text.lstrip("\r\n"), newline="")
    try:
        names = next(csv.reader(lines, delimiter=delimiter))
    except (csv.Error, StopIteration):
        raise InputError(f'the header of "{path.name}" cannot be read; the first row must name the columns') from None
    raw = text.lstrip("\r\n")[: lines.tell()]
    return names, raw


@dataclass(frozen=True)
class CsvSource:
    """A `Source` of one or more CSV files with the same columns."""

    paths: tuple[Path, ...]
    compression: str | None
    encoding: str
    layouts: tuple[Layout, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.layouts[0].names

    @property
    def schema(self) -> pa.Schema | None:
        """No types are stored: all are strings."""
        return None

    def where(self, file: int, row: int) -> str:
        """Words for a row."""
        return f'row {row + 1} of "{self.paths[file].name}"'

    def read(self, columns: Sequence[str] | None) -> Iterator[Piece]:
        """All rows of all files."""
        for file in range(len(self.paths)):
            yield from self._file(file, columns)

    def _file(self, file: int, columns: Sequence[str] | None) -> Iterator[Piece]:
        done = 0
        block = _BLOCK
        while True:
            seen = 0
            try:
                for table in _gathered(self._blocks(file, columns, block)):
                    seen += table.num_rows
                    fresh = min(table.num_rows, seen - done)  # the rest came before the block had to grow
                    if fresh > 0:
                        rows = table.slice(table.num_rows - fresh)
                        yield Piece(self._strings(rows, file, done), file, done)
                        done += fresh
                return
            except pa.ArrowInvalid as error:
                if "straddling" not in str(error):
                    raise damaged(self.paths[file], error) from error
                block *= 4
            if block > LONGEST_ROW:
                raise InputError(
                    f"{self.where(file, done)}, or one soon after it, never ends; look for a quote that is not closed"
                )

    def _blocks(self, file: int, columns: Sequence[str] | None, block: int) -> Iterator[pa.RecordBatch]:
        path, layout = self.paths[file], self.layouts[file]
        # The last column is always read: it is where a quote that is never closed shows.
        wanted = layout.names if columns is None else [*dict.fromkeys([*columns, layout.names[-1]])]
        ragged: list[Any] = []

        def refuse(row: Any) -> str:
            ragged.append(row)
            return "error"

        stream = Watched(open_bytes(path, self.compression, self.encoding))
        last: pa.RecordBatch | None = None
        rows = 0
        try:
            reader = pacsv.open_csv(
                pa.PythonFile(stream, mode="r"),
                # Only the unthreaded parser can say the number of a bad row; streaming it is no slower.
                read_options=pacsv.ReadOptions(block_size=block, use_threads=False),
                parse_options=pacsv.ParseOptions(
                    delimiter=layout.delimiter, newlines_in_values=True, invalid_row_handler=refuse
                ),
                convert_options=pacsv.ConvertOptions(
                    column_types=dict.fromkeys(layout.names, pa.binary()),
                    include_columns=list(wanted),
                    strings_can_be_null=False,
                    check_utf8=False,
                ),
            )
            for batch in reader:
                rows += batch.num_rows
                if batch.num_rows:
                    last = batch
                    yield batch
        except pa.ArrowInvalid as error:
            if ragged:
                raise InputError(self._ragged(file, ragged[0])) from None
            if "Empty CSV" in str(error):  # a header without a line end
                return
            raise
        except pa.ArrowException as error:
            raise damaged(path, error) from error
        finally:
            stream.close()
        if last is not None:
            self._closed(
                file, rows - 1, last.column(last.num_columns - 1 if columns is None else len(wanted) - 1), stream
            )

    def _ragged(self, file: int, row: Any) -> str:
        # Arrow counts the header as row 1.
        where = self.where(file, row.number - 2) if row.number is not None else f'a row of "{self.paths[file].name}"'
        return (
            f"{where} (not counting the header) has {row.actual_columns} "
            f"value{'s' if row.actual_columns != 1 else ''} where the header names {row.expected_columns} columns; "
            "check its quotes and separators"
        )

    def _closed(self, file: int, row: int, values: pa.Array, stream: Watched) -> None:
        value = values[len(values) - 1].as_py()
        if (b"\n" in value or b"\r" in value) and stream.tail != b'"':
            raise InputError(
                f"{self.where(file, row)} opens a quote that is never closed, so the rest of the file is one value; "
                "close or remove that quote"
            )

    def _strings(self, batch: pa.RecordBatch, file: int, first: int) -> pa.RecordBatch:
        """Check the bytes of every column and call them strings."""
        columns = []
        for name, values in zip(batch.schema.names, batch.columns, strict=True):
            offsets, data = buffers(values)
            if len(data) and data.min() == 0:
                at = (
                    int(np.searchsorted(offsets, int(np.flatnonzero(data == 0)[0]) + int(offsets[0]), side="right")) - 1
                )
                raise InputError(
                    f'{self.where(file, first + at)}, column "{name}", holds a NUL byte; '
                    "is the file text, and in which --encoding?"
                )
            try:
                columns.append(values.cast(pa.string()))
            except pa.ArrowInvalid:
                at = first_invalid(values)
                raise InputError(
                    f'{self.where(file, first + at)}, column "{name}", is not valid UTF-8; '
                    "say the encoding, for example --encoding latin-1 or --encoding cp1252"
                ) from None
        return pa.record_batch(columns, names=batch.schema.names)


def _gathered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Join batches up to some megabytes; what came before an error is still given."""
    waiting: list[pa.RecordBatch] = []
    try:
        for batch in batches:
            waiting.append(batch)
            if sum(one.nbytes for one in waiting) >= _BATCH:
                yield _join(waiting)
                waiting = []
    except (InputError, pa.ArrowException):
        if waiting:
            yield _join(waiting)
        raise
    if waiting:
        yield _join(waiting)


def _join(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    table = pa.Table.from_batches(batches).combine_chunks()
    return table.to_batches()[0] if table.num_rows else batches[0]


def buffers(values: pa.Array) -> tuple[Any, Any]:
    """Offsets of a binary or string array and the bytes between the first and the last of them."""
    wide = pa.types.is_large_binary(values.type) or pa.types.is_large_string(values.type)
    _, offset_buffer, data_buffer = values.buffers()
    if offset_buffer is None or len(values) == 0:
        return np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.uint8)
    offsets = np.frombuffer(offset_buffer, dtype=np.int64 if wide else np.int32)
    offsets = offsets[values.offset : values.offset + len(values) + 1]
    if data_buffer is None:
        return offsets, np.empty(0, dtype=np.uint8)
    return offsets, np.frombuffer(data_buffer, dtype=np.uint8)[offsets[0] : offsets[-1]]


def first_invalid(values: pa.Array) -> int:
    """Place of the first value that is not UTF-8."""
    for at, value in enumerate(values.cast(pa.large_binary()).to_pylist()):
        if value is not None:
            try:
                value.decode("utf-8")
            except UnicodeDecodeError:
                return at
    return 0
