"""Files written whole or not at all, and their hashes. `atomic` and `OutputFolder` are to be had here too."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from .atomic import MEDIUM, atomic, atomic_folder, unwritable
from .folder import OutputFolder

__all__ = [
    "MEDIUM",
    "OutputFolder",
    "atomic",
    "atomic_folder",
    "json_text",
    "plain",
    "sha256_file",
    "sha256_files",
    "unwritable",
    "write_bytes",
    "write_json",
    "write_text",
]


def write_bytes(path: str | PurePath, content: bytes, *, mode: int | None = None) -> None:
    """Write bytes through `atomic`."""
    with atomic(path, mode=mode) as part, part.open("wb") as handle:
        handle.write(content)


def write_text(path: str | PurePath, content: str, *, mode: int | None = None) -> None:
    """Write text as UTF-8 through `atomic`, line ends as they are."""
    write_bytes(path, content.encode("utf-8"), mode=mode)


def write_json(path: str | PurePath, content: object, *, mode: int | None = None) -> None:
    """Write a value as JSON through `atomic`: keys in their order, numbers that are not finite as null.

    Dataclasses, tuples, sets (sorted), paths and numpy values are written as what they hold.
    """
    write_text(path, json_text(content) + "\n", mode=mode)


def json_text(content: object) -> str:
    """A value as JSON that UTF-8 can hold: a file name may be of bytes that are no UTF-8, and is then escaped."""
    text = json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(plain(content), indent=1, allow_nan=False)
    return text


def plain(value: Any) -> Any:
    """Turn a value into what JSON has words for.

    Examples
    --------
    >>> plain({"rate": float("nan"), "at": (1, 2)})
    {'rate': None, 'at': [1, 2]}
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return [plain(item) for item in sorted(value)]
    if isinstance(value, PurePath):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return plain(value.tolist())
    raise TypeError(f"no JSON for {type(value).__name__}")


def sha256_file(path: str | PurePath) -> str:
    """SHA-256 of a file's bytes as hex digits; remembered while path, size and time of change stay the same."""
    return sha256_files([path])


def sha256_files(paths: Sequence[str | PurePath]) -> str:
    """SHA-256 of the bytes of several files one after the other; remembered like that of one."""
    key = []
    for path in paths:
        place = os.path.realpath(path)
        state = Path(place).stat()
        key.append((place, state.st_size, state.st_mtime_ns))
    return _sha256(tuple(key))


@functools.lru_cache(maxsize=256)
def _sha256(files: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path, _, _ in files:
        with Path(path).open("rb") as handle:
            while part := handle.read(1 << 20):
                digest.update(part)
    return digest.hexdigest()
