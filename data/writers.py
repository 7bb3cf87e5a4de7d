"""Rows written back in the form in which they were read: whole or not at all.

What is not touched stays as it was: other columns and their types, a parquet file's metadata, and in JSON lines every
byte of a row without a change.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path, PurePath
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from .conversation_rows import file_of, rows_of_file
from .conversation_source import ConversationSource
from .dataset import Batch, Dataset
from .errors import InputError
from .files import MEDIUM, atomic, atomic_folder, unwritable
from .pointers import Splices
from .readers_jsonl import LINE
from .sinks import Extra, Rows, Sink, as_strings
from .sniff import read_name

__all__ = ["RowWriter", "as_strings", "open_writer", "output_name", "relative_names"]


def output_name(like: Dataset) -> str:
    """Name of the curated rows in an output folder: ``data`` with the input's suffix, ``rows`` for several files.

    Examples
    --------
    >>> from .opening import open_dataset
    >>> output_name(open_dataset([{"text": "Held in memory."}]))
    'data.parquet'
    """
    if like.form == "memory":
        return "data.parquet"
    if like.form == "hf":
        return "data"
    if len(like.paths) > 1:
        return "rows"
    path = like.paths[0]
    return f"data{read_name(path).suffix or path.suffix}"


def open_writer(
    path: str | PurePath,
    *,
    like: Dataset,
    extra: Mapping[str, pa.DataType] | None = None,
    mode: int | None = None,
) -> RowWriter:
    """Begin to write rows in the form of a dataset.

    Parameters
    ----------
    path : path
        The file; for several files, and for a Hugging Face dataset, the folder. Files keep their names in it.
    like : Dataset
        Where the rows come from. One in memory is written in the form that the path's suffix says; conversations are
        written as the rows of their file.
    extra : dict of name to Arrow type, optional
        Columns to add behind the others; one of a name that is there already takes that one's place.
    mode : int, optional
        Permissions of a file.

    Returns
    -------
    RowWriter
        Use it as a context manager: an error in the block leaves nothing.

    Examples
    --------
    >>> import tempfile
    >>> from .opening import open_dataset
    >>> data = open_dataset([{"text": "He ran.", "label": 0}, {"text": "She ran.", "label": 1}])
    >>> place = Path(tempfile.mkdtemp()) / "data.parquet"
    >>> with open_writer(place, like=data, extra={"weight": pa.float64()}) as writer:
    ...     for batch in data.batches():
    ...         writer.write(batch.take([1]), extra={"weight": pa.array([2.0])})
    >>> open_dataset(place).names
    ('text', 'label', 'weight')
    """
    return RowWriter(Path(path), like, dict(extra or {}), mode)


class RowWriter:
    """Writes batches; get one with `open_writer`.

    Attributes
    ----------
    rows : int
        Rows written so far.
    ascii : bool
        Whether no line of JSON that came was other than ASCII: such a file writes other characters as codes.
    """

    __slots__ = (
        *("_extra", "_file", "_folder", "_kind", "_like", "_names", "_path", "_sink", "_stack", "_talk"),
        *("ascii", "rows"),
    )

    def __init__(self, path: Path, like: Dataset, extra: Extra, mode: int | None) -> None:
        self._path = path
        self._talk = like.source if isinstance(like.source, ConversationSource) else None
        self._like = file_of(like)
        self._extra = extra
        self._stack = ExitStack()
        self._sink: Sink | None = None
        self._file = -1
        self.rows = 0
        self.ascii = True
        self._folder: Path | None = None
        self._names: list[str] = []
        self._kind = _form(path, like)
        self._guarded(lambda: self._begin(mode))

    def _begin(self, mode: int | None) -> None:
        if len(self._like.paths) > 1 and self._like.form != "hf":
            self._folder = self._stack.enter_context(atomic_folder(self._path))
            self._names = relative_names(self._like.paths)
        elif self._like.form == "hf":
            self._next(self._stack.enter_context(atomic_folder(self._path)), 0)
        else:
            self._next(self._stack.enter_context(atomic(self._path, mode=mode)), 0)

    def _next(self, place: Path, file: int) -> None:
        self._finish()
        self._sink, self._file = _open_sink(self._kind, place, file, self._like, self._extra), file

    def _finish(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.close()

    def _turn_to(self, file: int) -> None:
        """Several files are written one after the other; one without rows is written too."""
        if self._folder is None:
            return
        if file < self._file:
            raise ValueError("batches of several files must come in the order of the files")
        while self._file < file:
            place = self._folder / self._names[self._file + 1]
            place.parent.mkdir(parents=True, exist_ok=True)
            self._next(place, self._file + 1)

    def write(
        self,
        batch: Batch,
        *,
        text: pa.Array | None = None,
        extra: Mapping[str, pa.Array] | None = None,
        splices: Splices | None = None,
    ) -> None:
        """Write the rows of a batch.

        Parameters
        ----------
        batch : Batch
            Read with all columns (`Dataset.batches` without `columns`; of conversations with `columns_to_read`), whole
            or a part of it (`Batch.take`).
        text : Arrow array of strings, optional
            New texts, one a row. Of conversations it is `splices` that is written.
        extra : dict of name to Arrow array, optional
            Values of the extra columns; one that is left out is null.
        splices : Splices, optional
            Of conversations: the words that change inside the messages.
        """
        self._guarded(lambda: self._write(batch, text, extra or {}, splices))

    def write_rows(self, table: pa.RecordBatch, *, file: int = 0, extra: Mapping[str, pa.Array] | None = None) -> None:
        """Write rows of a file as they are: all its columns, for JSON lines the lines."""
        self._guarded(lambda: self._put(table, file, None, extra or {}))

    def _write(
        self, batch: Batch, text: pa.Array | None, extra: Mapping[str, pa.Array], splices: Splices | None
    ) -> None:
        if self._talk is not None:
            if splices is None and text is not None and text.cast(pa.large_string()) != batch.text:
                raise ValueError("texts of conversations change by splices, or they would be written unchanged")
            self._see(batch.table)
            table, extra = rows_of_file(self._talk, batch, splices, extra)
            self._put(table, batch.file, None, extra)
            return
        new = None
        if text is not None:
            if len(text) != batch.n:
                raise ValueError(f"{len(text)} texts for {batch.n} rows")
            text = text.cast(pa.large_string())
            changed = pc.not_equal(text, batch.text)
            if pc.any(changed).as_py():
                new = pc.if_else(changed, text, pa.scalar(None, pa.large_string()))
        self._put(batch.table, batch.file, new, extra)

    def _see(self, table: pa.RecordBatch) -> None:
        at = table.schema.get_field_index(LINE)
        if at >= 0 and self.ascii:
            self.ascii = bool(pc.all(pc.string_is_ascii(table.column(at).cast(pa.large_string()))).as_py())

    def _put(self, table: pa.RecordBatch, file: int, new: pa.Array | None, extra: Mapping[str, pa.Array]) -> None:
        unknown = set(extra) - set(self._extra)
        if unknown:
            raise ValueError(f"extra columns must be named in open_writer: {sorted(unknown)}")
        n = table.num_rows
        values = {}
        for name, kind in self._extra.items():
            column = extra.get(name)
            column = pa.nulls(n, kind) if column is None else column.cast(kind)
            if len(column) != n:
                raise ValueError(f'{len(column)} values of "{name}" for {n} rows')
            values[name] = column
        self._turn_to(file)
        assert self._sink is not None, "the writer is closed"
        self._sink.write(Rows(table, new, values))
        self.rows += n

    def close(self) -> None:
        """Finish: only now the file appears under its name."""

        def finish() -> None:
            if self._folder is not None:
                self._turn_to(len(self._names) - 1)
            self._finish()

        self._guarded(finish)
        self._stack.close()

    def abort(self) -> None:
        """Drop everything written; what lay under the name before is as it was."""
        with suppress(Exception):
            self._finish()
        with suppress(_AbortedError):
            # As if the block of the context manager had failed.
            error = _AbortedError()
            self._stack.__exit__(_AbortedError, error, None)

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except BaseException as error:
            self.abort()
            if isinstance(error, OSError) and error.errno in MEDIUM:
                raise unwritable(self._path, error) from error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


class _AbortedError(Exception):
    """Tells the stack of open places to clean up."""


def relative_names(paths: tuple[Path, ...]) -> list[str]:
    """Names of several files below the folder that they share."""
    whole = [os.path.abspath(path) for path in paths]  # noqa: PTH100 - resolve would follow links to other names
    shared = os.path.commonpath([os.path.dirname(name) for name in whole])  # noqa: PTH120
    return [os.path.relpath(name, shared) for name in whole]


def _form(path: Path, like: Dataset) -> tuple[str, str | None]:
    """Form and compression to write: the input's, or those that the name says for rows in memory."""
    if like.form != "memory":
        return like.form, like.compression
    name = read_name(path)
    if name.form is None:
        raise InputError(f'cannot tell the form of "{path.name}"; end the name in .parquet, .arrow, .csv or .jsonl')
    return name.form, name.compression


def _open_sink(kind: tuple[str, str | None], place: Path, file: int, like: Dataset, extra: Extra) -> Sink:
    from .writers_arrow import ArrowSink, HfSink, ParquetSink
    from .writers_text import CsvSink, JsonlSink

    form, compression = kind
    if form in {"csv", "tsv"}:
        return CsvSink(place, like, file, extra, form, compression)
    if form == "jsonl":
        return JsonlSink(place, like, compression)
    if form == "hf":
        return HfSink(place, like, extra)
    return ParquetSink(place, like, file, extra) if form == "parquet" else ArrowSink(place, like, file, extra)
