"""Cutting a dataset into parts that can be counted apart: on other days, in other processes, on other machines.

A cut is named in bytes of all files end to end, so it depends on the data alone. Each row belongs to the part in which
its first byte lies; of parquet, arrow and tables in memory the row group, record batch or row as a whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from .conversation_source import ConversationSource
from .dataset import Dataset, memory_sha256
from .errors import InputError
from .readers_arrow import ArrowSource, IndexedSource, ParquetSource, TableSource, batches_of, data_files, groups_of
from .readers_csv import CsvSource
from .readers_jsonl import JsonlSource
from .records import RecordStarts
from .streams import FileRange, damaged

_BLOCK = 1 << 20
_STRETCH = 1 << 16
_STRETCHES = 32


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a dataset.

    Attributes
    ----------
    number, of : int
        Which part, from 1, of how many.
    dataset : Dataset
        Reads the rows of the part and no others. Its rows are numbered from 0, and what can only be said of all rows,
        such as that a label never comes, is not said.
    size : int
        Bytes of the part on disk, or in memory.
    rows : int or None
        How many rows, where the form tells.
    ranges : tuple of FileRange
        The stretches of text files it reads.
    """

    number: int
    of: int
    dataset: Dataset
    size: int
    rows: int | None = None
    ranges: tuple[FileRange, ...] = ()

    def read_so_far(self, rows: int) -> int:
        """How many of its bytes have been read when `rows` rows have come."""
        if self.ranges:
            return min(self.size, sum(one.taken for one in self.ranges))
        return self.size * rows // self.rows if self.rows else 0


def size_of(dataset: Dataset) -> int:
    """Bytes of a dataset: of its files, or in memory."""
    source = dataset.source.inner if isinstance(dataset.source, ConversationSource) else dataset.source
    if isinstance(source, TableSource):
        return int(source.table.nbytes)
    total = 0
    for path in data_files(dataset.form, dataset.paths):
        try:
            total += path.stat().st_size
        except OSError as error:
            raise damaged(path, error) from error
    return total


def sample_sha256(dataset: Dataset) -> str:
    """A hash of the size of each file and of stretches all over it: enough to tell two data sets apart, soon done."""
    digest = hashlib.sha256()
    source = dataset.source.inner if isinstance(dataset.source, ConversationSource) else dataset.source
    if isinstance(source, TableSource):
        return memory_sha256(source.table)
    for path in data_files(dataset.form, dataset.paths):
        try:
            with path.open("rb") as file:
                size = path.stat().st_size
                digest.update(f"{size}:".encode())
                for at in range(_STRETCHES):
                    file.seek(max(size - _STRETCH, 0) * at // (_STRETCHES - 1))
                    digest.update(file.read(_STRETCH))
        except OSError as error:
            raise damaged(path, error) from error
    return digest.hexdigest()


def cut(dataset: Dataset, of: int) -> Iterator[Part]:
    """Cut a dataset into parts of about equal size, in the order of its rows.

    Parameters
    ----------
    dataset : Dataset
        The whole.
    of : int
        How many parts, from 1. Some are empty where the data cannot be cut so finely: compressed files and files of
        another encoding than UTF-8 are never cut, a row group of parquet neither.

    Yields
    ------
    Part
        All rows are in exactly one of them.

    Examples
    --------
    >>> data = Dataset.of([{"text": f"Row {k}.", "label": k % 2} for k in range(10)], text="text", label="label")
    >>> [sum(batch.n for batch in part.dataset.batches()) for part in cut(data, 3)]
    [4, 3, 3]
    """
    total = size_of(dataset)
    outer = dataset.source
    cutter = _cutter(outer.inner if isinstance(outer, ConversationSource) else outer)
    for number in range(1, of + 1):
        source, rows, ranges = cutter.part(total * (number - 1) // of, total * number // of, last=number == of)
        size = total * number // of - total * (number - 1) // of
        if isinstance(outer, ConversationSource):
            source, rows = replace(outer, inner=source), None if rows is None else rows * outer.each
        yield Part(number, of, replace(dataset, source=source, part=True), size, rows, ranges)


def _cutter(source: Any) -> _Text | _Units:
    if isinstance(source, (CsvSource, JsonlSource)):
        return _Text(source)
    return _Units(source)


class _Text:
    """Cuts CSV and JSONL at bytes where a row begins."""

    def __init__(self, source: CsvSource | JsonlSource) -> None:
        self.source = source
        self.sizes = [path.stat().st_size for path in source.paths]
        self.whole = source.compression is not None or source.encoding != "utf-8"
        self.starts: dict[int, RecordStarts | _LineStarts] = {}

    def part(self, low: int, high: int, *, last: bool) -> tuple[Any, int | None, tuple[FileRange, ...]]:
        ranges, before = [], 0
        for file, (path, size) in enumerate(zip(self.source.paths, self.sizes, strict=True)):
            begin = self._row(file, low - before)
            # The last part holds the end, whatever has come to the file since.
            end = size if last else self._row(file, high - before)
            head = self._head(file) if 0 < begin < end else b""
            ranges.append(FileRange(path, begin, max(begin, end), head))
            before += size
        paths = cast("tuple[Path, ...]", tuple(ranges))
        return replace(self.source, paths=paths), None, tuple(ranges)

    def _row(self, file: int, target: int) -> int:
        """The first byte at or after `target` where a row begins; 0 and the size of the file where it lies outside."""
        size = self.sizes[file]
        if target <= 0 or target >= size or self.whole:
            return 0 if target <= 0 else size
        return self._starts(file).at_or_after(target)

    def _starts(self, file: int) -> RecordStarts | _LineStarts:
        if file not in self.starts:
            path = self.source.paths[file]
            self.starts[file] = (
                RecordStarts(path, self.source.layouts[file].delimiter)
                if isinstance(self.source, CsvSource)
                else _LineStarts(path)
            )
        return self.starts[file]

    def _head(self, file: int) -> bytes:
        starts = self._starts(file)
        return starts.head() if isinstance(starts, RecordStarts) else b""


class _LineStarts:
    """Where the lines of a file begin."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def at_or_after(self, target: int) -> int:
        with self.path.open("rb") as file:
            file.seek(target - 1)
            at = target - 1
            while block := file.read(_BLOCK):
                found = block.find(b"\n")
                if found >= 0:
                    return at + found + 1
                at += len(block)
        return at


class _Units:
    """Cuts what comes in units: row groups, record batches, rows. A unit belongs to the part where it begins."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.units: list[tuple[int, int, int, int | None]] = []  # file, unit, first byte of it, rows
        if isinstance(source, TableSource):
            return
        if isinstance(source, IndexedSource):
            self.units.append((0, 0, 0, None))
            return
        before = 0
        for file, path in enumerate(source.paths):
            size = path.stat().st_size
            if isinstance(source, ParquetSource):
                sizes = groups_of(path)
            elif isinstance(source, ArrowSource):
                sizes = batches_of(path)
            else:
                raise InputError(f"data of this form ({type(source).__name__}) cannot be cut into parts")
            share = size / max(sum(bytes_ for bytes_, _ in sizes), 1)
            at = 0
            for unit, (bytes_, rows) in enumerate(sizes):
                self.units.append((file, unit, before + int(at * share), rows))
                at += bytes_
            before += size

    def part(self, low: int, high: int, *, last: bool) -> tuple[Any, int | None, tuple[FileRange, ...]]:
        if isinstance(self.source, TableSource):
            table = self.source.table
            total = max(table.nbytes, 1)
            first, end = (-(-table.num_rows * at // total) for at in (low, high))
            end = table.num_rows if last else end
            return TableSource(table.slice(first, end - first)), end - first, ()
        chosen = [unit for unit in self.units if low <= unit[2] and (last or unit[2] < high)]
        by_file: dict[int, list[int]] = {file: [] for file in range(len(self.source.paths))}
        for file, unit, _, _ in chosen:
            by_file[file].append(unit)
        units = tuple(tuple(by_file[file]) for file in sorted(by_file))
        rows = [count for *_, count in chosen if count is not None]
        return replace(self.source, units=units), sum(rows) if len(rows) == len(chosen) else None, ()
