"""JSON lines as a stream of record batches: the columns asked for as strings, and each raw line.

The raw line (`__line__`, bytes) is what makes a row that nobody touched come out byte for byte as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from .dataset import BATCH_ROWS, Piece, listed
from .errors import InputError, suggest
from .streams import BOM, CHUNK, open_bytes

LINE = "__line__"
SAMPLE_ROWS = 50_000
SAMPLE_BYTES = 64 << 20


@dataclass(frozen=True)
class JsonlSource:
    """A `Source` of one or more JSONL files.

    Attributes
    ----------
    names : tuple of str
        Keys met in the first rows of any file.
    own_names : tuple of tuple of str
        Those of each file.
    bom : bool
        Whether the first file begins with a byte order mark.
    text : str, optional
        The column that must hold nothing but text.
    """

    paths: tuple[Path, ...]
    compression: str | None
    encoding: str
    names: tuple[str, ...]
    own_names: tuple[tuple[str, ...], ...]
    bom: bool = False
    text: str | None = None
    schema: pa.Schema | None = field(default=None, init=False)

    def where(self, file: int, row: int) -> str:
        """Words for a row."""
        return f'row {row + 1} of "{self.paths[file].name}"'

    def check_files(self, needed: Sequence[str]) -> None:
        """Of several files each must have the keys that have a part; others may differ from line to line."""
        for path, own in zip(self.paths, self.own_names, strict=True):
            for name in needed:
                if name not in own:
                    raise InputError(
                        f'"{path.name}" has no column "{name}", which other files have; its columns are {listed(own)}.'
                        f"{suggest(name, own)}"
                    )

    def read(self, columns: Sequence[str] | None) -> Iterator[Piece]:
        """All rows of all files; `__line__` is a column like others."""
        wanted = [*self.names, LINE] if columns is None else list(columns)
        for file, path in enumerate(self.paths):
            first = 0
            for numbers, lines in read_lines(path, self.compression, self.encoding):
                objects = parse(path, numbers, lines)
                if not objects:
                    continue
                arrays = [self.column(name, path, numbers, lines, objects) for name in wanted]
                yield Piece(pa.record_batch(arrays, names=wanted), file, first)
                first += len(objects)

    def column(
        self, name: str, path: Path, numbers: Sequence[int], lines: Sequence[bytes], objects: Sequence[dict[str, Any]]
    ) -> pa.Array:
        """One key of parsed lines, as strings; `numbers` are those of the lines, for messages."""
        if name == LINE:
            return pa.array(lines, type=pa.large_binary())
        found = [item.get(name) for item in objects]
        if name == self.text:
            for at, value in enumerate(found):
                if value is not None and type(value) is not str:
                    raise InputError(
                        f'line {numbers[at]} of "{path.name}": "{name}" holds {_kind(value)}, not text; '
                        "choose another --text"
                    )
        values = [value if value is None or type(value) is str else spell(value) for value in found]
        try:
            return pa.array(values, type=pa.large_string())
        except UnicodeEncodeError:
            at = next(at for at, value in enumerate(values) if value is not None and not _encodable(value))
            raise InputError(
                f'line {numbers[at]} of "{path.name}": "{name}" holds half of a surrogate pair (such as \\ud83d '
                "alone), which is no character; mend or drop the line"
            ) from None


def spell(value: Any) -> str | None:
    """One spelling of a JSON value as a string: true as "true", 1.0 as "1.0", a list as its JSON; NaN is null."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, float):
        return None if value != value else repr(value)
    return str(value) if isinstance(value, int) else json.dumps(value, ensure_ascii=False)


def read_lines(path: Path, compression: str | None, encoding: str) -> Iterator[tuple[list[int], list[bytes]]]:
    """Lines that are not blank, with their numbers from 1, some megabytes at a time."""
    stream = open_bytes(path, compression, encoding)
    try:
        number = 1
        parts: list[bytes] = []
        first = True
        while True:
            part = stream.read(CHUNK)
            if first:
                part, first = part.removeprefix(BOM), False
            if part and b"\n" not in part:
                parts.append(part)
                continue
            parts.append(part)
            block = b"".join(parts)
            lines = block.split(b"\n")
            parts = [lines.pop()] if part else []
            for start in range(0, len(lines), BATCH_ROWS):
                chosen = lines[start : start + BATCH_ROWS]
                numbers = list(range(number, number + len(chosen)))
                number += len(chosen)
                if not all(line.strip() for line in chosen):
                    kept = [(at, line) for at, line in zip(numbers, chosen, strict=True) if line.strip()]
                    numbers, chosen = [at for at, _ in kept], [line for _, line in kept]
                if chosen:
                    yield numbers, chosen
            if not part:
                return
    finally:
        stream.close()


def parse(path: Path, numbers: Sequence[int], lines: Sequence[bytes]) -> list[dict[str, Any]]:
    """Parse lines, each to be one JSON object."""
    try:
        # Decoded here: json.loads would take bytes that are no valid UTF-8.
        objects = [_load(line.decode("utf-8")) for line in lines]
    except (ValueError, RecursionError):
        raise _bad_line(path, numbers, lines) from None
    for at, item in enumerate(objects):
        if type(item) is not dict:
            raise InputError(
                f'line {numbers[at]} of "{path.name}" is {_kind(item)}, not a JSON object; write one object a line'
            )
    return objects


# The scanner behind json.loads, which spends as long again on looking for blanks around the object.
_scan: Any = json.JSONDecoder().scan_once  # type: ignore[attr-defined, unused-ignore]


def _load(line: str) -> Any:
    if line[0] == "{":
        try:
            value, end = _scan(line, 0)
        except StopIteration:  # cut off where a value should begin
            end = -1
        if end == len(line):
            return value
    return json.loads(line)


def _bad_line(path: Path, numbers: Sequence[int], lines: Sequence[bytes]) -> InputError:
    for number, line in zip(numbers, lines, strict=True):
        where = f'line {number} of "{path.name}"'
        try:
            json.loads(line.decode("utf-8"))
        except UnicodeDecodeError:
            return InputError(f"{where} is not valid UTF-8; say the encoding, for example --encoding latin-1")
        except json.JSONDecodeError as error:
            if b"\0" in line:
                return InputError(f"{where} holds a NUL byte; is the file text, and in which --encoding?")
            return InputError(f"{where} is not JSON: {error.msg} (character {error.colno}); write one object a line")
        except (ValueError, RecursionError) as error:
            return InputError(f"{where} cannot be read: {error}")
    return InputError(f'"{path.name}" cannot be read')


def sample_names(paths: Sequence[Path], compression: str | None, encoding: str) -> list[tuple[str, ...]]:
    """Keys met in the first rows of each file, in the order in which they come."""
    result = []
    for path in paths:
        names: dict[str, None] = {}
        rows = size = 0
        for numbers, lines in read_lines(path, compression, encoding):
            for item in parse(path, numbers, lines):
                names.update(dict.fromkeys(item))
            rows += len(lines)
            size += sum(map(len, lines))
            if rows >= SAMPLE_ROWS or size >= SAMPLE_BYTES:
                break
        if not rows:
            raise InputError(f'"{path.name}" has no rows')
        result.append(tuple(names))
    return result


def _encodable(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    kinds: dict[type, str] = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "a list",
    }
    return kinds.get(type(value), "an object")
