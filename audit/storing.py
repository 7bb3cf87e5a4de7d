"""Tallies as Arrow tables and files: lossless, so that a tally can be resumed, sent and compared."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..data.errors import InputError
from ..data.files import atomic
from .sketch import Print, Sketch
from .tally import COUNTS, AxisNote, Cell, CellKey, Coverage, GroupNote, LexiconNote, Tally, TermKey
from .vocabulary import SHIFT, Column, Words

SCHEMA = "evenset.tally/1"
SCHEMA_WORDS = "evenset.tally/2"  # the same with the open vocabulary in a column of its own
_FIELDS = [
    pa.field("name", pa.string()),
    pa.field("label", pa.string()),
    pa.field("groups", pa.list_(pa.string())),
    pa.field("bucket", pa.int8()),
    pa.field("form", pa.string()),
    pa.field("rows", pa.int64()),
    pa.field("w", pa.decimal128(38, 0)),
    pa.field("w2", pa.decimal128(38, 0)),
]


def to_arrow(tally: Tally) -> pa.Table:
    """The tally as one table, nothing lost; the sums as decimals, because they may pass 64 bits."""
    cells = [
        (axis, label, list(pattern), bucket, None, cell.rows, Decimal(cell.w), Decimal(cell.w2))
        for axis in sorted(tally.cells)
        for (label, pattern, bucket), cell in sorted(tally.cells[axis].items(), key=lambda item: _order(item[0]))
    ]
    terms = [
        (lexicon, label, None, None, form, documents, None, None)
        for lexicon in sorted(tally.terms)
        for (form, label), documents in sorted(tally.terms[lexicon].items(), key=lambda item: _order(item[0]))
    ]
    columns = list(zip(*cells, *terms, strict=True)) or [()] * len(_FIELDS)
    table = pa.table(
        [pa.array(column, type=kind.type) for column, kind in zip(columns, _FIELDS, strict=True)],
        schema=pa.schema(_FIELDS),
    )
    header = _header(tally)
    if tally.words is not None:
        header["schema"] = SCHEMA_WORDS
        header["words"], blob = words_to_bytes(tally.words)
        header["words"]["sha256"] = hashlib.sha256(blob).hexdigest()
    header["digest"] = _digest(header, table)
    if tally.words is not None:
        last = pa.table({"words": pa.array([blob], pa.large_binary())})
        table = pa.concat_tables([table, last], promote_options="default")
    return table.replace_schema_metadata({"evenset": json.dumps(header, ensure_ascii=False)})


def _digest(header: dict[str, Any], table: pa.Table) -> str:
    """A hash of everything in a tally: a damaged file must not pass for other counts."""
    content = json.dumps([header, table.to_pydict()], default=str).encode()
    return hashlib.sha256(content).hexdigest()


def _header(tally: Tally) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "edges": list(tally.edges),
        "rows": tally.rows,
        "null_texts": tally.null_texts,
        "empty_texts": tally.empty_texts,
        "null_labels": tally.null_labels,
        "tokens": tally.tokens,
        "bad_weights": tally.bad_weights,
        "axes": {
            name: {
                "kind": note.kind,
                "groups": {
                    group: {"status": known.status, "ambiguous": known.ambiguous, "subaxis": known.subaxis}
                    for group, known in note.groups.items()
                },
            }
            for name, note in tally.axes.items()
        },
        "lexicons": {name: {"version": note.version, "sha256": note.sha256} for name, note in tally.lexicons.items()},
        "coverage": {name: {"rows": seen.rows, "tokens": seen.tokens} for name, seen in tally.coverage.items()},
        "prints": None
        if tally.sketch is None
        else [
            [*name, one.rows, f"{one.total:x}", one.buckets.tolist()]
            for name, one in sorted(tally.sketch.prints.items())
        ],
    }


def from_arrow(table: pa.Table) -> Tally:
    """Read what `to_arrow` made.

    Raises
    ------
    InputError
        When the table is no tally, or one of another version of evenset.
    """
    try:
        header = json.loads((table.schema.metadata or {}).get(b"evenset", b"{}"))
    except ValueError:
        header = {}
    if header.get("schema") not in (SCHEMA, SCHEMA_WORDS):
        raise InputError(
            f'not a tally that this version reads (found schema "{header.get("schema")}", needed "{SCHEMA}"); '
            "audit the data again"
        )
    blob = None
    if header["schema"] == SCHEMA_WORDS:
        blob = b"".join(table["words"].drop_null().to_pylist())
        table = table.slice(0, table.num_rows - 1).drop_columns("words")
    if header.pop("digest", None) != _digest(header, table) or (
        blob is not None and header["words"]["sha256"] != hashlib.sha256(blob).hexdigest()
    ):
        raise InputError(
            "the tally is damaged: its content does not fit its checksum; delete it and audit the data again"
        )
    cells: dict[str, dict[CellKey, Cell]] = {name: {} for name in header["axes"]}
    terms: dict[str, dict[TermKey, int]] = {name: {} for name in header["lexicons"]}
    for row in table.to_pylist():
        if row["form"] is None:
            key = (row["label"], tuple(row["groups"]), row["bucket"])
            cells[row["name"]][key] = Cell(row["rows"], int(row["w"]), int(row["w2"]))
        else:
            terms[row["name"]][row["form"], row["label"]] = row["rows"]
    return Tally(
        edges=tuple(header["edges"]),
        axes={
            name: AxisNote(note["kind"], {group: GroupNote(**known) for group, known in note["groups"].items()})
            for name, note in header["axes"].items()
        },
        lexicons={name: LexiconNote(**note) for name, note in header["lexicons"].items()},
        cells=cells,
        terms=terms,
        coverage={name: Coverage(**seen) for name, seen in header["coverage"].items()},
        words=None if blob is None else words_from_bytes(header["words"], blob),
        sketch=_sketch(header.get("prints")),
        **{name: header.get(name, 0) for name in COUNTS},
    )


def _sketch(rows: list[list[Any]] | None) -> Sketch | None:
    if rows is None:
        return None
    return Sketch(
        {
            (axis, group): Print(count, int(total, 16), np.array(buckets, np.int64))
            for axis, group, count, total, buckets in rows
        }
    )


def words_to_bytes(words: Words) -> tuple[dict[str, Any], bytes]:
    """What is small, for the header; and the rest as two Arrow streams. Equal counts give equal bytes."""
    words = words.canonical()
    header = {
        "limit": words.limit,
        "bound": words.bound,
        "columns": [[*column] for column in words.columns],
        "documents": words.documents.tolist(),
        "pairs": words.pairs.tolist(),
    }
    strings = pa.table({"word": pa.array(words.words, pa.large_string()), "score": words.score})
    width = max(len(words.columns), 1)
    cells = pa.table(
        {
            "cell": (words.key >> SHIFT) * width + (words.key & ((1 << SHIFT) - 1)),
            "documents": words.count,
        }
    )
    sink = pa.BufferOutputStream()
    codec = "zstd" if pa.Codec.is_available("zstd") else None
    for table in (strings, cells):
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as stream:
            stream.write_table(table)
    return header, sink.getvalue().to_pybytes()


def words_from_bytes(header: dict[str, Any], blob: bytes) -> Words:
    """Read what `words_to_bytes` made."""
    source = pa.BufferReader(blob)
    strings = pa.ipc.open_stream(source).read_all()
    cells = pa.ipc.open_stream(source).read_all()
    cell = cells["cell"].to_numpy()
    word, column = np.divmod(cell, max(len(header["columns"]), 1))
    return Words(
        limit=header["limit"],
        bound=header["bound"],
        words=tuple(strings["word"].to_pylist()),
        score=strings["score"].to_numpy().copy(),
        columns=tuple(Column(*column) for column in header["columns"]),
        documents=np.array(header["documents"], np.int64),
        pairs=np.array(header["pairs"], np.int64),
        key=(word << SHIFT) | column,
        count=cells["documents"].to_numpy().copy(),
    )


def save(tally: Tally, path: str | Path) -> None:
    """Write the tally to an Arrow file, whole or not at all."""
    table = to_arrow(tally)
    with (
        atomic(path) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as file,
    ):
        file.write_table(table)


def load(path: str | Path) -> Tally:
    """Read what `save` wrote.

    Raises
    ------
    InputError
        When the file is missing, damaged or no tally.
    """
    try:
        with pa.OSFile(str(path), "rb") as source:
            table = pa.ipc.open_file(source).read_all()
        table.validate(full=True)
        return from_arrow(table)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a tally ({error}); delete it and audit the data again") from error


def _order(key: Any) -> tuple[Any, ...]:
    """Sort keys that hold None: it comes first."""
    return tuple((part is not None, part if part is not None else "") for part in key)
