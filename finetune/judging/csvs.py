"""Scores in csv files: read whole, and what is wrong with one said with its line."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc

from ...data.errors import InputError

_LONGEST = 10_000  # characters of a name
_BLOCK, _LARGEST = 1 << 20, 1 << 30


def read_csv(path: Path, kinds: Mapping[str, pa.DataType]) -> pa.Table:
    """A csv file, possibly .gz, as a table.

    Parameters
    ----------
    path : Path
        The file.
    kinds : mapping of str to DataType
        Types of the columns that are known.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    InputError
        It is not UTF-8, or a name in it is of no reasonable length.
    pyarrow.ArrowInvalid
        It is no csv.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "scores.csv"
    ...     _ = file.write_bytes(bytes([105, 100, 10, 55, 10]))
    ...     read_csv(file, {"id": pa.string()}).to_pylist()
    [{'id': '7'}]
    """
    from pyarrow import csv

    with _opened(path) as file:
        head = file.read(4096)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in head:
        raise InputError(f"{path}: not UTF-8 but UTF-16, it seems; write the file again as UTF-8")
    options: dict[str, Any] = {
        "convert_options": csv.ConvertOptions(column_types=dict(kinds), strings_can_be_null=False)
    }
    block = _BLOCK
    while True:
        try:
            table = csv.read_csv(path, read_options=csv.ReadOptions(block_size=block), **options)
            break
        except pa.ArrowInvalid as error:
            if "straddling" in str(error) and block < _LARGEST:
                block *= 8
                continue
            if (line := _not_utf8(path)) is not None:
                raise InputError(f"{path}: line {line} is not valid UTF-8; write the file again as UTF-8") from None
            raise
    for name in table.column_names:
        column = table.column(name)
        if name == "text" or not pa.types.is_string(column.type):
            continue
        lengths = pc.binary_length(column)
        if (pc.max(lengths).as_py() or 0) > _LONGEST:
            row = pc.index(pc.greater(lengths, _LONGEST), pa.scalar(value=True)).as_py()
            raise InputError(
                f'{path}: row {row + 1}, column "{name}" holds {lengths[row].as_py():,} bytes, too long for a name; '
                "is a quote left open there?"
            )
    return table


def _opened(path: Path) -> gzip.GzipFile | IO[bytes]:
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")


def _not_utf8(path: Path) -> int | None:
    """The first line that is not UTF-8, counted from 1."""
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return None
