"""`restore`: the rows as they were before a curation, from the curated rows and their ledger."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...data.dataset import Batch, Columns, Dataset
from ...data.errors import InputError
from ...data.hashing import Seen, row_keys
from ...data.opening import open_dataset
from ...data.readers import find, open_source
from ...data.readers_arrow import ArrowSource, ParquetSource
from ...data.writers import open_writer, output_name
from ..writing.write import WEIGHT, staged
from .ledger import Ledger, read_ledger
from .undo import Undone, overwritten, same_bytes
from .undo_messages import FilePart, UndoneFile, check_file, compared

# A file of which at least so many rows are those of the ledger was changed; of which fewer are, is another file.
_SAME_ROWS = 0.5


def restore(
    curated: str | Path,
    ledger: str | Path,
    *,
    text: str | None = None,
    original: str | Path | None = None,
    out: str | Path,
) -> Path:
    """Give back the rows as they were before a curation.

    Parameters
    ----------
    curated : path
        The curated rows: ``data.<suffix>``, or the folder ``rows`` of several files.
    ledger : path
        The ledger of the same curation.
    text : str, optional
        Column of the text; by default the one in the ledger.
    original : path, optional
        The data before curation, needed where rows were dropped.
    out : path
        Folder for the restored rows.

    Returns
    -------
    Path
        The restored file, or folder.

    Raises
    ------
    InputError
        When the ledger is of other rows, the curated rows were changed by hand, the original is missing or another
        one: the message says which.

    Notes
    -----
    Edits are undone, copies and added rows left out, the columns that curation wrote taken away. With dropped rows the
    rows of the original are written, after every curated one has been held against them. The texts are those of
    the original byte for byte, and the order is its order; how a file is otherwise written (quotes, row groups) need
    not be.

    Of conversations every row of a parquet or arrow file equals that of the original, value and type. In JSON lines the
    line is that of the original byte for byte: rows without an edit always, edited ones unless their edited words
    themselves were spelt otherwise than the rest of the line spells: é in one place, its code in another.
    """
    book = read_ledger(ledger)
    about = book.about["input"]
    if text is not None and text != about["text"]:
        raise InputError(f'the ledger is of texts in the column "{about["text"]}", not "{text}"; leave --text out')
    talk = about.get("conversation") is not None
    changed = (open_file if talk else _open)(curated_files(curated, book), about)
    (check_file if talk else _check)(changed, book)
    if book.drops and original is None:
        raise InputError(
            f"{book.drops:,} rows were dropped by this curation, and they are not in the curated rows; "
            "give the data they came from with --original"
        )
    undone = UndoneFile(changed, book) if talk else Undone(changed, book)
    with staged(Path(out)) as stage:
        if original is None:
            like = _like(changed, about, book)
            name = output_name(like)
            with open_writer(stage / name, like=like, extra=_weight_type(like, book)) as writer:
                for part in undone.parts():
                    if part.wrong:
                        raise InputError(f'the ledger "{book.path.name}" was changed by hand: its words are not there')
                    if isinstance(part, FilePart):
                        writer.write_rows(part.piece.table, file=part.piece.file, extra=part.extra)
                    else:
                        writer.write(part.batch, text=part.text, extra=part.extra)
            _mend_folder(stage / name, like, book)
        else:
            like = _original(original, book)
            name = output_name(like)
            with open_writer(stage / name, like=like) as writer:
                if isinstance(undone, UndoneFile):
                    for piece in compared(like, undone, book):
                        writer.write_rows(piece.table, file=piece.file)
                else:
                    for batch in _compared(like, undone, book):
                        writer.write(batch)
    return Path(out) / name


def curated_files(curated: str | Path | Sequence[str | Path], book: Ledger) -> Path | list[Path]:
    """The curated files in the order in which they were written."""
    given = [Path(curated)] if isinstance(curated, (str, Path)) else [Path(one) for one in curated]
    output = book.about["output"]
    if output["name"] != "rows":
        return given[0] if len(given) == 1 else given
    place = given[0]
    if len(given) > 1 or not place.is_dir():
        paths = given if len(given) > 1 else find(place)
        place = _shared_folder(paths, output["files"])
    lacking = [name for name in output["files"] if not (place / name).is_file()]
    if lacking:
        raise InputError(f'"{place}" lacks "{lacking[0]}", which the ledger names; give the folder that curation wrote')
    return [place / name for name in output["files"]]


def _shared_folder(paths: Sequence[Path], names: Sequence[str]) -> Path:
    """The folder below which files of these names lie."""
    for path in paths:
        for name in names:
            if str(path).endswith(name):
                return Path(str(path)[: -len(name)] or ".")
    raise InputError(f'none of the files is "{names[0]}", which the ledger names; give the folder that curation wrote')


def _open(place: Path | list[Path], about: dict[str, Any]) -> Dataset:
    return open_dataset(
        place,
        text=about["text"],
        label=about["label"],
        id=about["id"],
        label_threshold=about["label_threshold"],
        preset=about["preset"],
        encoding=about["encoding"],
    )


def open_file(place: Any, about: dict[str, Any]) -> Dataset:
    """A file of conversations, its rows as they are."""
    opened = open_source(place, encoding=about["encoding"], spool=None)
    return Dataset(Columns(text=""), opened.source.names, opened.form, opened.source, opened.paths, opened.compression)


def _check(changed: Dataset, book: Ledger) -> None:
    """Refuse rows that are not those of the ledger, and say what is wrong with them."""
    output = book.about["output"]
    if changed.sha256() == output["sha256"]:
        return
    name = changed.paths[0].name if output["name"] != "rows" else "rows"
    other = f'the ledger "{book.path.name}" is of another curation than "{name}"'
    lacking = [column for column in book.about["extra"] if column not in changed.names]
    if lacking and changed.form != "jsonl":
        raise InputError(f'{other}, or somebody removed the column "{lacking[0]}"; restore what curation wrote')
    undone = Undone(changed, book)
    parts, keys = [], []
    seen = Seen()
    id_column = book.about["input"]["id"]
    for part in undone.parts():
        parts.append((part.edits, part.wrong, part.first_wrong))
        ids = None if id_column is None else part.batch.column(id_column)
        keys.append(row_keys(part.text, part.batch.label, ids=ids, seen=seen))
    if undone.rows != output["rows"]:
        raise InputError(
            f'"{name}" has {undone.rows:,} rows and the ledger is of {output["rows"]:,}: it is the ledger of another '
            "curation, or rows were added or removed by hand; restore what curation wrote"
        )
    known = book.rows()
    if len(known) and np.isin(known, np.concatenate(keys)).mean() < _SAME_ROWS:
        raise InputError(f"{other}: it names other rows; give the ledger that curation wrote beside these")
    first = min((part[2] for part in parts if part[1]), default=-1)
    where = "elsewhere than in the words that it edited"
    if first >= 0:
        where = f"row {first + 1} no longer reads as it did, or rows changed places"
    raise InputError(
        f'"{name}" was changed by hand after curation ({where}), or "{book.path.name}" is the ledger of another '
        "curation; restore the file that curation wrote with the ledger beside it"
    )


def _weight_type(like: Dataset, book: Ledger) -> dict[str, Any]:
    """The weights that were written over, as a column to write, where the form has columns."""
    if not overwritten(book) or like.form == "jsonl":
        return {}
    schema = like.source.schema
    return {WEIGHT: pa.large_string() if schema is None else schema.field(WEIGHT).type}


class _Parquet(ParquetSource):
    """A parquet file with the columns that the data had before."""

    stored: pa.Schema

    @cached_property
    def schema(self) -> pa.Schema:
        """The stored schema of the data before."""
        return self.stored


class _Arrow(ArrowSource):
    """Arrow files with the columns that the data had before."""

    stored: pa.Schema

    @cached_property
    def schema(self) -> pa.Schema:
        """The stored schema of the data before."""
        return self.stored


def _like(changed: Dataset, about: dict[str, Any], book: Ledger) -> Dataset:
    """The curated dataset as it would be described without what curation added."""
    stored = about["arrow_schema"]
    source = changed.source
    if stored is not None:
        schema = pa.ipc.read_schema(pa.BufferReader(base64.b64decode(stored)))
        if isinstance(source, ArrowSource):
            source = _Arrow(source.paths, source.folder)
        elif isinstance(source, ParquetSource):
            source = _Parquet(source.paths)
        if isinstance(source, _Arrow | _Parquet):
            object.__setattr__(source, "stored", schema)
    extra = [name for name in book.about["extra"] if not (name == WEIGHT and overwritten(book))]
    return replace(changed, source=source, names=tuple(name for name in changed.names if name not in extra))


def _mend_folder(place: Path, like: Dataset, book: Ledger) -> None:
    """Take the columns that curation added out of what a Hugging Face folder says of itself."""
    about = place / "dataset_info.json"
    if like.form != "hf" or not about.is_file():
        return
    content = json.loads(about.read_text(encoding="utf-8"))
    features = content.get("features")
    if isinstance(features, dict):
        for name in book.about["extra"]:
            if name not in like.names:
                features.pop(name, None)
        about.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")


def _original(original: str | Path, book: Ledger) -> Dataset:
    about = book.about["input"]
    place = Path(original) if Path(original).exists() else list(find(original))
    dataset = (_open if about.get("conversation") is None else open_file)(place, about)
    if dataset.sha256() != about["sha256"]:
        raise InputError(
            f'--original "{original}" is not the data that was curated (its SHA-256 is another); the ledger is of '
            f"{', '.join(about['files'][:3]) or 'rows held in memory'}"
        )
    return dataset


def _compared(like: Dataset, undone: Undone, book: Ledger) -> Iterator[Batch]:
    """The original's batches, each row that was kept held against the curated one."""
    parts = undone.parts()
    left: Any = pa.array([], pa.large_string())
    dropped = undone.dropped
    for batch in like.batches():
        low, high = np.searchsorted(dropped, [batch.start, batch.start + batch.n])
        kept = np.ones(batch.n, np.bool_)
        kept[dropped[low:high] - batch.start] = False
        own = batch.text.filter(pa.array(kept))
        while len(left) < len(own):
            part = next(parts, None)
            if part is None:
                raise InputError(f'the curated rows end before the original; is "{book.path.name}" their ledger?')
            left = pa.concat_arrays([left, part.text])
        if not same_bytes(own, left.slice(0, len(own))).all():
            raise InputError(
                "the curated rows, undone, are not those of the original: the ledger was changed by hand, or it is "
                "that of another curation"
            )
        left = left.slice(len(own))
        yield batch
