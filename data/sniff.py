"""What a file is: said by its name, checked against its first bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import InputError

HEAD = 1 << 20

_FORMS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".jsonlines": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
_COMPRESSIONS = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd"}
_MAGIC = (
    (b"PAR1", "parquet"),
    (b"PARE", "encrypted parquet"),
    (b"ARROW1\0\0", "arrow"),
    (b"\xff\xff\xff\xff", "arrow stream"),
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PK\x03\x04", "a zip archive (or a spreadsheet)"),
    (b"%PDF", "PDF"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x80\x04\x95", "a Python pickle"),
    (b"\x93NUMPY", "a numpy array"),
    (b"version https://git-lfs", "a Git LFS pointer (the file itself was never fetched: run git lfs pull)"),
    (b"\xff\xfe\0\0", "UTF-32 text"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
)
_HTML = (b"<!doctype", b"<html", b"<head", b"<body", b"<?xml", b"<svg", b"<script")
_TEXT = frozenset({"csv", "tsv", "jsonl"})


@dataclass(frozen=True, slots=True)
class Name:
    """What a file's name says."""

    form: str | None
    compression: str | None
    suffix: str  # as written, ".csv.gz", for the output's name


def read_name(path: Path) -> Name:
    """Form, compression and suffix that a file's name says.

    Examples
    --------
    >>> read_name(Path("a.b.CSV.gz"))
    Name(form='csv', compression='gzip', suffix='.CSV.gz')
    """
    suffixes = path.suffixes
    compression = _COMPRESSIONS.get(suffixes[-1].lower()) if suffixes else None
    kept = suffixes[-2:] if compression else suffixes[-1:]
    form = _FORMS.get(kept[0].lower()) if kept else None
    return Name(form, compression, "".join(kept) if form or compression else "")


def content(head: bytes) -> str:
    """What the first bytes of a file (decompressed or not) look like: a form, or words for what it is."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        return "empty"
    if start[:20].lower().startswith(_HTML):
        return "HTML"
    if start.startswith(b"["):
        return "a JSON array" if start[1:].lstrip()[:1] in {b"{", b"]"} else "text"
    if start.startswith(b"{"):
        return "jsonl" if _is_object(start) else "text"
    even, odd = head[:4000:2], head[1:4000:2]
    if even.count(0) + odd.count(0) > len(head[:4000]) // 4:
        # Latin letters in UTF-16 have a zero in every other place.
        if odd.count(0) > 9 * even.count(0):
            return "UTF-16-LE text"
        return "UTF-16-BE text" if even.count(0) > 9 * odd.count(0) else "binary data"
    return "text"


def _is_object(start: bytes) -> bool:
    line = start.split(b"\n", 1)[0]
    if b"\n" not in start and len(start) > HEAD // 2:
        return True  # one line longer than the head: what else begins with a brace
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        # An object over several lines, or a first line that is damaged; the reader will name it.
        return start[1:].lstrip()[:1] in {b'"', b"}"}


def text_form(head: bytes) -> str:
    """Which of the text forms a head without a telling name is in."""
    if content(head) == "jsonl":
        return "jsonl"
    line = head.split(b"\n", 1)[0]
    return "tsv" if b"\t" in line and b"," not in line else "csv"


def check_content(path: Path, form: str, compression: str | None, head: bytes, raw: bytes, *, recoded: bool) -> None:
    """Refuse a file that is not what its name says.

    Parameters
    ----------
    path : Path
        For messages.
    form, compression : str
        What the name says.
    head : bytes
        The first bytes, decompressed and recoded.
    raw : bytes
        The first bytes as they are.
    recoded : bool
        Whether an encoding was given, so that the head is certainly text.
    """
    name = path.name
    if not raw:
        raise InputError(f'"{name}" is empty: it has no bytes at all')
    kind = content(head)
    if kind == "empty":
        raise InputError(f'"{name}" is empty: it holds nothing but blanks')
    if kind in {"gzip", "zstd"} and compression is None:
        ending = ".gz" if kind == "gzip" else ".zst"
        raise InputError(
            f'"{name}" is {kind}-compressed though its name does not say so; rename it to "{name}{ending}"'
        )
    if form in _TEXT:
        fine = kind == "text" or (form == "jsonl" and kind == "jsonl")
        if form != "jsonl" and kind == "jsonl":
            raise InputError(f'"{name}" is called {form} but looks like JSON lines; rename it to end in .jsonl')
        if kind == "a JSON array" and form == "jsonl":
            raise InputError(f'"{name}" is one JSON array; write one object a line (JSON lines) instead')
        if kind.startswith("UTF-") and not recoded:
            word = kind.split(" ", maxsplit=1)[0].lower()
            raise InputError(f'"{name}" looks like {kind}, not UTF-8; pass --encoding {word}')
        if not fine and kind != "a JSON array":
            raise InputError(_mismatch(name, form, kind))
    else:
        wanted = {"parquet": {"parquet"}, "arrow": {"arrow", "arrow stream"}}[form]
        if kind not in wanted:
            raise InputError(_mismatch(name, form, "text, perhaps csv" if kind == "text" else kind))


def _mismatch(name: str, form: str, kind: str) -> str:
    known = {"parquet": ".parquet", "arrow": ".arrow", "arrow stream": ".arrow", "jsonl": ".jsonl"}
    advice = f"rename it to end in {known[kind]}" if kind in known else "check where the file comes from"
    if kind.startswith("text"):
        advice = "rename it to end in .csv, or in what it is"
    words = {"HTML": "an HTML page", "arrow": "an Arrow file", "arrow stream": "an Arrow stream"}.get(kind, kind)
    return f'"{name}" is called {form} but looks like {words}; {advice}'


def duplicates(names: Sequence[str], path: str) -> None:
    """Refuse columns of the same name."""
    seen: set[str] = set()
    for at, name in enumerate(names):
        if name in seen:
            first = list(names).index(name) + 1
            raise InputError(
                f'{path} has two columns called "{name}" (columns {first} and {at + 1}); rename one of them'
            )
        seen.add(name)
