"""From what the user names to a `Source`: one file, several, a folder, standard input or a table in memory."""

from __future__ import annotations

import atexit
import glob
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from .dataset import Source, listed
from .errors import InputError, suggest
from .files import atomic
from .huggingface import folder_of, split_folder, splits_of
from .readers_arrow import (
    ArrowSource,
    IndexedSource,
    ParquetSource,
    TableSource,
    arrow_schema,
    data_files,
    parquet_schema,
    to_table,
)
from .readers_csv import CsvSource, read_layout
from .readers_jsonl import JsonlSource, sample_names
from .sniff import HEAD, check_content, content, read_name, text_form
from .streams import BOM, check_encoding, damaged, read_head

__all__ = ["FORMS", "Opened", "data_files", "find", "open_source", "spool_stdin"]

FORMS = "csv, tsv, jsonl (each also .gz or .zst), parquet, arrow, a Hugging Face dataset folder, a glob, or - for stdin"
_TEXT = frozenset({"csv", "tsv", "jsonl"})


@dataclass(frozen=True, slots=True)
class Opened:
    """A source and what is said about where it comes from."""

    source: Source
    form: str
    paths: tuple[Path, ...] = ()
    compression: str | None = None
    notes: tuple[str, ...] = ()


def open_source(source: Any, *, encoding: str, spool: Path | None) -> Opened:
    """Find the files, check that they are what they are called, and read their columns."""
    encoding = check_encoding(encoding)
    table = to_table(source)
    if table is not None:
        if not table.num_columns:
            raise InputError("the table has no columns")
        return Opened(TableSource(table), "memory")
    if isinstance(source, (str, Path)):
        if str(source) == "-":
            return _open_files((spool_stdin(spool),), encoding)
        paths = find(source)
    elif isinstance(source, Sequence) and source and all(isinstance(item, (str, Path)) for item in source):
        paths = tuple(path for item in source for path in find(item))
        if len(set(paths)) < len(paths):
            twice = next(path for at, path in enumerate(paths) if path in paths[:at])
            raise InputError(f'"{twice}" is named twice, so its rows would count twice; name it once')
    else:
        raise InputError(f"cannot read rows from a {type(source).__name__}; give {FORMS}, or a table")
    folders = [path for path in paths if path.is_dir()]
    if not folders:
        return _open_files(paths, encoding)
    if len(paths) > 1:
        raise InputError(f'"{folders[0]}" is a folder among several files; name one folder, or a glob of files')
    only = splits_of(folders[0])
    if len(only) == 1:
        folders = [folders[0] / only[0]]
    folder = folder_of(folders[0])
    for path in folder.data:
        _check(path, "arrow", None, "utf-8")
        _same(folders[0], arrow_schema(folder.data[0]), path, arrow_schema(path))
    notes = (f'the only split of "{paths[0].name}" is read, "{only[0]}"',) if len(only) == 1 else ()
    if folder.indices:
        found = IndexedSource(folder.data, folder=folders[0], indices=folder.indices)
        return Opened(found, "hf", tuple(folders), notes=notes)
    return Opened(ArrowSource(folder.data, folder=folders[0]), "hf", tuple(folders), notes=notes)


def find(source: str | Path) -> tuple[Path, ...]:
    """The files that a path or a glob names, in order of name."""
    path = Path(os.path.expanduser(source))  # noqa: PTH111 - Path.expanduser raises for an unknown user
    try:
        if path.exists():
            return (path,)
    except OSError as error:
        raise damaged(path, error) from error
    if glob.has_magic(str(path)):
        found = tuple(Path(name) for name in sorted(glob.glob(str(path), recursive=True)) if Path(name).is_file())  # noqa: PTH207 - Path.glob takes no absolute pattern
        if not found:
            raise InputError(f'no file matches "{source}"')
        return found
    split = split_folder(str(path))
    if split is not None:
        return (split,)
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f'there is no file "{source}": the folder "{folder}" does not exist')
    near = suggest(path.name, [entry.name for entry in folder.iterdir()])
    raise InputError(f'there is no file "{source}".{near}')


def _open_files(paths: tuple[Path, ...], encoding: str) -> Opened:
    notes: list[str] = []
    kinds = [_kind(path, encoding, notes) for path in paths]
    form, compression = kinds[0]
    for path, kind in zip(paths, kinds, strict=True):
        if kind != kinds[0]:
            raise InputError(
                f'"{path.name}" is {_words(*kind)} while "{paths[0].name}" is {_words(form, compression)}; '
                "files read together must be of one form"
            )
    heads = [_check(path, form, compression, encoding) for path in paths]
    if form in {"parquet", "arrow"}:
        read = parquet_schema if form == "parquet" else arrow_schema
        schemas = [read(path) for path in paths]
        for path, schema in zip(paths, schemas, strict=True):
            _same(paths[0], schemas[0], path, schema)
        source: Source = ParquetSource(paths) if form == "parquet" else ArrowSource(paths)
        return Opened(source, form, paths, None, tuple(notes))
    if form == "jsonl":
        sampled = sample_names(paths, compression, encoding)
        names = tuple(dict.fromkeys(name for own in sampled for name in own))
        source = JsonlSource(paths, compression, encoding, names, tuple(sampled), bom=heads[0].startswith(BOM))
        return Opened(source, form, paths, compression, tuple(notes))
    layouts = tuple(read_layout(path, form, encoding, head) for path, head in zip(paths, heads, strict=True))
    for path, layout in zip(paths, layouts, strict=True):
        if layout.names != layouts[0].names:
            _differ(paths[0], layouts[0].names, path, layout.names)
    if layouts[0].delimiter != ("\t" if form == "tsv" else ","):
        word = {"\t": "tabs", ",": "commas"}.get(layouts[0].delimiter, f'"{layouts[0].delimiter}"')
        notes.append(f"the columns of {paths[0].name} are separated by {word}")
    return Opened(CsvSource(paths, compression, encoding, layouts), form, paths, compression, tuple(notes))


def _kind(path: Path, encoding: str, notes: list[str]) -> tuple[str, str | None]:
    """Form and compression by the name, or else by a look inside."""
    name = read_name(path)
    if name.form is not None:
        if name.compression is not None and name.form not in _TEXT:
            raise InputError(
                f'"{path.name}" is a compressed {name.form} file; decompress it ({name.form} packs itself)'
            )
        return name.form, name.compression
    raw = read_head(path, None, "utf-8", HEAD)
    packed = content(raw)
    compression = packed if packed in {"gzip", "zstd"} else None
    head = read_head(path, compression, encoding, HEAD)
    kind = content(head)
    form = {"parquet": "parquet", "arrow": "arrow", "arrow stream": "arrow", "jsonl": "jsonl"}.get(kind)
    if form is None and kind == "text" and b"\0" not in head[:4096]:
        form = text_form(head)
    if form is None:
        words = "binary data" if kind == "text" else kind
        raise InputError(f'cannot tell the form of "{path.name}", which looks like {words}; evenset reads {FORMS}')
    notes.append(f"{path.name} read as {_words(form, compression)}; name it .{form} to be sure")
    return form, compression


def _words(form: str, compression: str | None) -> str:
    return form if compression is None else f"{form} ({compression})"


def _check(path: Path, form: str, compression: str | None, encoding: str) -> bytes:
    raw = read_head(path, None, "utf-8", HEAD)
    if compression is not None and raw and content(raw) != compression:
        raise InputError(f'"{path.name}" is not {compression}-compressed though its name says so; rename it')
    recoded = encoding != "utf-8"
    head = read_head(path, compression, encoding, HEAD) if raw and (compression or recoded) else raw
    check_content(path, form, compression, head, raw, recoded=recoded)
    return head


def _same(first: Path, expected: pa.Schema, path: Path, schema: pa.Schema) -> None:
    if schema.names != expected.names:
        _differ(first, expected.names, path, schema.names)
    for ours, theirs in zip(expected, schema, strict=True):
        if ours.type != theirs.type:
            raise InputError(
                f'column "{ours.name}" is {theirs.type} in "{path.name}" but {ours.type} in "{first.name}"; '
                "files read together must have the same columns"
            )


def _differ(first: Path, expected: Sequence[str], path: Path, names: Sequence[str]) -> None:
    lacking = [name for name in expected if name not in names]
    extra = [name for name in names if name not in expected]
    words = f"lacks {listed(lacking)}" if lacking else f"has also {listed(extra)}" if extra else "has another order"
    raise InputError(
        f'the columns of "{path.name}" and "{first.name}" differ: "{path.name}" {words}; '
        "files read together must have the same columns"
    )


def spool_stdin(folder: Path | None, stream: BinaryIO | None = None) -> Path:
    """Keep standard input in a file, because it is read more than once; the name says what it seems to be.

    The file begins with ``.evenset``, so that it does not make the output folder look taken.
    """
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="evenset-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    stdin = sys.stdin.buffer if stream is None else stream
    start = folder / ".evenset-stdin"
    with atomic(start) as part:
        with part.open("wb") as handle:
            shutil.copyfileobj(stdin, handle, 1 << 20)
        if not part.stat().st_size:
            raise InputError("standard input is empty: it has no bytes at all")
        raw = read_head(part, None, "utf-8", HEAD)
        packed = content(raw)
        compression = packed if packed in {"gzip", "zstd"} else None
        head = raw if compression is None else read_head(part, compression, "utf-8", HEAD)
        kind = content(head)
        form = {"parquet": "parquet", "arrow": "arrow", "arrow stream": "arrow"}.get(kind) or text_form(head)
        ending = {"gzip": ".gz", "zstd": ".zst", None: ""}[compression]
    target = start.with_name(f"{start.name}.{form}{ending}")
    start.replace(target)
    return target
