"""CSV, TSV and JSON lines, written."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .dataset import Dataset
from .errors import InputError
from .readers_csv import CsvSource, Layout
from .readers_jsonl import LINE, JsonlSource
from .sinks import Extra, Rows, as_strings, chosen, with_columns
from .streams import BOM


class Output:
    """A file of bytes, compressed and recoded where the input was.

    Arrow's gzip writes no time, so the same rows make the same bytes.
    """

    def __init__(self, path: Path, compression: str | None, encoding: str) -> None:
        self._file = pa.OSFile(str(path), "wb")
        self._out: Any = self._file if compression is None else pa.CompressedOutputStream(self._file, compression)
        self._encoding = encoding
        self._encoder = None if encoding == "utf-8" else codecs.getincrementalencoder(encoding)()

    def write(self, content: Any) -> None:
        """Write UTF-8 bytes."""
        if self._encoder is not None:
            text = bytes(content).decode("utf-8")
            try:
                content = self._encoder.encode(text)
            except UnicodeEncodeError as error:
                character = f"U+{ord(error.object[error.start]):04X}"
                raise InputError(
                    f"the character {character} cannot be written in the input's encoding, {self._encoding}; "
                    "recode the input to UTF-8 first"
                ) from None
        self._out.write(content)

    def close(self) -> None:
        """Finish the compression and close the file."""
        try:
            if self._out is not self._file:
                self._out.close()
        finally:
            self._file.close()


class CsvSink:
    """Quotes where needed, or everywhere if the input's header did; line ends and separators as they were."""

    def __init__(self, path: Path, like: Dataset, file: int, extra: Extra, form: str, compression: str | None) -> None:
        names = tuple(like.names)
        delimiter = "\t" if form == "tsv" else ","
        self._layout = Layout(names, delimiter, "\n", bom=False, quote_all=False, encoding="utf-8")
        if isinstance(like.source, CsvSource):
            self._layout = like.source.layouts[file]
        self._text = like.columns.text
        self._names = list(dict.fromkeys([*names, *extra]))
        self._out = Output(path, compression, self._layout.encoding)
        if self._layout.bom:
            self._out.write(BOM)
        header = [pa.array([name], pa.large_string()) for name in self._names]
        self._out.write(render(header, self._layout))

    def write(self, rows: Rows) -> None:
        """Add rows."""
        if not rows.table.num_rows:
            return
        columns = dict(with_columns(rows, self._text))
        self._out.write(render([as_strings(columns[name]) for name in self._names], self._layout))

    def close(self) -> None:
        """Close the file."""
        self._out.close()


def render(columns: list[pa.Array], layout: Layout) -> pa.Buffer:
    r"""Rows of CSV from columns of large strings, a column at a time.

    Examples
    --------
    >>> layout = Layout(("a", "b"), ",", "\\n", bom=False, quote_all=False, encoding="utf-8")
    >>> columns = [pa.array(["x,y", "z"], pa.large_string()), pa.array(["", None], pa.large_string())]
    >>> render(columns, layout).to_pybytes().decode()
    '"x,y",\\nz,\\n'
    """
    cells = [_quoted(column, layout, alone=len(columns) == 1) for column in columns]
    end = pa.scalar(layout.line_end, pa.large_string())
    empty = pa.scalar("", pa.large_string())
    lines = pc.binary_join_element_wise(*cells, pa.scalar(layout.delimiter, pa.large_string()))
    lines = pc.binary_join_element_wise(lines, end, empty)
    # The values of an array lie one behind the other: that is the text of the file.
    _, offsets, data = lines.buffers()
    ends = memoryview(offsets).cast("q")
    first, last = ends[lines.offset], ends[lines.offset + len(lines)]
    return data.slice(first, last - first)


def _quoted(values: pa.Array, layout: Layout, *, alone: bool) -> pa.Array:
    values = pc.fill_null(values, pa.scalar("", pa.large_string()))
    if layout.quote_all:
        must = None
    else:
        special = "".join({'"', "\r", "\n", layout.delimiter})
        must = pc.match_substring_regex(values, "[" + special.replace("|", r"\|").replace("\t", r"\t") + "]")
        if alone:
            must = pc.or_(must, pc.equal(values, ""))  # a blank line would be no row
        if not pc.any(must).as_py():
            return values
    quote = pa.scalar('"', pa.large_string())
    empty = pa.scalar("", pa.large_string())
    quoted = pc.binary_join_element_wise(quote, pc.replace_substring(values, '"', '""'), quote, empty)
    return quoted if must is None else pc.if_else(must, quoted, values)


class JsonlSink:
    """Rows without a change byte for byte; in the others only the value that changed, and new keys at the end."""

    def __init__(self, path: Path, like: Dataset, compression: str | None) -> None:
        source = like.source
        self._text = like.columns.text
        self._raw = isinstance(source, JsonlSource)
        encoding = source.encoding if isinstance(source, JsonlSource) else "utf-8"
        self._out = Output(path, compression, encoding)
        if isinstance(source, JsonlSource) and source.bom:
            self._out.write(BOM)

    def write(self, rows: Rows) -> None:
        """Add rows."""
        if not rows.table.num_rows:
            return
        lines = self._lines(rows.table)
        changes: dict[int, dict[str, Any]] = {}
        if rows.text is not None:
            for at in chosen(rows.text.is_valid()):
                changes.setdefault(at, {})[self._text] = rows.text[at].as_py()
        for name, values in rows.extra.items():
            for at in chosen(values.is_valid()):
                changes.setdefault(at, {})[name] = values[at].as_py()
        for at, change in changes.items():
            lines[at] = edited(lines[at], change)
        lines.append(b"")
        self._out.write(b"\n".join(lines))

    def _lines(self, table: pa.RecordBatch) -> list[bytes]:
        if self._raw:
            lines: list[bytes] = table.column(table.schema.get_field_index(LINE)).to_pylist()
            return lines
        return [json.dumps(row, ensure_ascii=False, default=str).encode() for row in table.to_pylist()]

    def close(self) -> None:
        """Close the file."""
        self._out.close()


_DECODER = json.JSONDecoder()
_BLANKS = " \t\r\n"


def edited(line: bytes, changes: dict[str, Any]) -> bytes:
    """Change values of a JSON object without touching anything else of its line.

    Examples
    --------
    >>> edited(b'{"n": 1e5, "text":"he"}', {"text": "_", "weight": 2.0})
    b'{"n": 1e5, "text":"_","weight":2.0}'
    """
    source = line.decode("utf-8")
    ascii_only = source.isascii() and "\\u" in source
    spans, end, empty, tight = _spans(source)
    parts: list[tuple[int, int, str]] = []
    added = []
    for name, value in changes.items():
        words = json.dumps(value, ensure_ascii=ascii_only)
        if value != value:  # NaN is not JSON
            words = "null"
        if name in spans:
            parts.append((*spans[name], words))
        else:
            added.append(f"{json.dumps(name, ensure_ascii=ascii_only)}:{'' if tight else ' '}{words}")
    if added:
        comma = "," if tight else ", "
        parts.append((end, end, ("" if empty else comma) + comma.join(added)))
    for start, stop, words in sorted(parts, reverse=True):
        source = source[:start] + words + source[stop:]
    return source.encode("utf-8")


def _spans(source: str) -> tuple[dict[str, tuple[int, int]], int, bool, bool]:
    """Where each key's value lies (the last one of a key counts), where the last value ends, and the style."""
    spans: dict[str, tuple[int, int]] = {}
    at = _skip(source, _skip(source, 0) + 1)
    end, tight = at, False
    while source[at] != "}":
        name, at = _DECODER.raw_decode(source, at)
        at = _skip(source, at) + 1  # the colon
        start = _skip(source, at)
        tight = start == at
        _, end = _DECODER.raw_decode(source, start)
        spans[name] = (start, end)
        at = _skip(source, end)
        if source[at] == ",":
            at = _skip(source, at + 1)
    return spans, end, not spans, tight


def _skip(source: str, at: int) -> int:
    while source[at] in _BLANKS:
        at += 1
    return at
