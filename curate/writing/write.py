"""Curated rows, ledger and report as files: all of them or none."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...data.dataset import Batch, Dataset
from ...data.errors import InputError
from ...data.files import sha256_files, unwritable, write_json
from ...data.opening import open_dataset
from ...data.readers_arrow import data_files
from ...data.writers import open_writer, output_name
from ...data.written import record, refuse_foreign
from ..book.ledger import VERSION, LedgerWriter
from ..emit import Emitter, Part
from ..plan import Resolved
from ..state import State
from .joining import LedgerJoiner, grouped, joiner
from .parted import Parted
from .pieces import extra_values

PARENT = "evenset_parent"
WEIGHT = "weight"
# Begins like all that evenset keeps for itself in an output folder, so that it never makes the folder look taken.
_STAGE = ".evenset-partial"


@dataclass(frozen=True, slots=True)
class Written:
    """What was written.

    Attributes
    ----------
    name : str
        Of the curated rows in the output folder.
    sha256 : str
    files : list of str
        Names of the files of rows, relative to `name` where they are several.
    """

    name: str
    sha256: str
    files: list[str]


def check_columns(dataset: Dataset, *, weights: bool) -> None:
    """Refuse data in which a column that curation writes means something else.

    Raises
    ------
    InputError
    """
    if weights and WEIGHT in dataset.names and dataset.columns.weight != WEIGHT:
        raise InputError(
            f'the data have a column "{WEIGHT}" of their own, where curation writes its weights; say --weight {WEIGHT} '
            "if it holds weights, which then multiply, or rename it"
        )
    if PARENT in dataset.names:
        raise InputError(
            f'the data have a column "{PARENT}", so they are curated already; curate the original with one plan that '
            "does both, or drop that column"
        )


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Give a folder inside `out` whose entries replace those of the same names when the block ends well."""
    stage = out / _STAGE
    new = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir()
    except OSError as error:
        raise unwritable(out, error) from error
    try:
        yield stage
        for entry in stage.iterdir():
            refuse_foreign(out / entry.name)
        try:
            for entry in sorted(stage.iterdir()):
                target = out / entry.name
                record(target, entry)
                if target.is_dir() and not target.is_symlink():
                    shutil.rmtree(target)
                entry.replace(target)
        except OSError as error:
            raise unwritable(out, error) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if new and not any(out.iterdir()):
            out.rmdir()


def added_columns(resolved: Resolved) -> dict[str, pa.DataType]:
    """Columns that the output has besides those of the data."""
    extra: dict[str, pa.DataType] = {}
    if resolved.weights:
        extra[WEIGHT] = pa.float64()
    if resolved.copies:
        extra[PARENT] = pa.string()
    return extra


def write_all(
    out: Path,
    emitter: Emitter,
    *,
    about: Callable[[], dict[str, Any]],
    report: Callable[[Written, Path], dict[str, Any]],
    parted: Parted | None = None,
    rows: tuple[int, ...] | None = None,
) -> dict[str, Any]:
    """Write rows, ledger and report into a folder.

    Parameters
    ----------
    out : Path
        The folder.
    emitter : Emitter
        Gives the rows.
    about : callable
        Metadata of the ledger, asked for when all rows are written.
    report : callable
        Content of curation.json, from what was written and where it lies for now.
    parted : Parted, optional
        Works on the data in parts; without it the rows are written one batch after the other.
    rows : tuple of int, optional
        Of each part, where they had to be counted.

    Returns
    -------
    dict
        The report.
    """
    dataset = emitter.prepared.dataset
    resolved = emitter.changer.resolved
    extra = added_columns(resolved)
    with staged(out) as stage:
        name = output_name(dataset)
        ledger_path = stage / "ledger.parquet"
        ledger = LedgerWriter(ledger_path)
        metadata: dict[str, Any] | None = None
        try:
            ascii_only: bool | None = None
            if parted is None:
                ascii_only = _one_by_one(stage / name, emitter, extra, ledger)
                written = _written(stage / name, dataset, extra)
            else:
                digest = _in_parts(stage / name, emitter, parted, rows, ledger)
                written = _written(stage / name, dataset, extra, digest=digest)
            metadata = {
                "schema": VERSION,
                **about(),
                "input": {
                    **_described(dataset, emitter),
                    "rows": emitter.counts.rows_in,
                    **({} if dataset.conversation is None else {"ascii": ascii_only}),
                },
                "output": {
                    "name": name,
                    "sha256": written.sha256,
                    "rows": emitter.counts.rows_out,
                    "files": written.files,
                },
                "extra": list(extra),
                "counts": counted(emitter),
            }
        finally:
            ledger.close(metadata)
        content = report(written, stage)
        write_json(stage / "curation.json", content)
    return content


def _one_by_one(place: Path, emitter: Emitter, extra: dict[str, pa.DataType], ledger: LedgerWriter) -> bool | None:
    """Write batch by batch; returns whether texts of conversations were written in ASCII, where that is asked."""
    dataset = emitter.prepared.dataset
    entries = grouped(ledger)
    with open_writer(place, like=dataset, extra=extra) as writer:
        last: Batch | None = None
        for part in emitter.parts():
            if part.batch is None:
                assert last is not None
                part = of_pool(part, dataset, last)
            batch = part.batch
            assert batch is not None
            last = batch
            writer.write(batch, text=part.text, extra=extra_values(part, extra), splices=part.splices)
            for some in part.ledger.to_batches():
                entries.add(some)
        ascii_only: bool | None = getattr(writer, "ascii", None)
    entries.close()
    return ascii_only


def _in_parts(
    place: Path, emitter: Emitter, parted: Parted, rows: tuple[int, ...] | None, ledger: LedgerWriter
) -> str | None:
    """Join the pieces of all parts as they are done; returns the hash of the rows, where it is known."""
    state = emitter.state if isinstance(emitter.state, State) else None
    joined = joiner(place, emitter.prepared.dataset, parted.extra)
    entries = LedgerJoiner.of(parted.keyed_work, ledger)
    try:
        for piece, part in zip(parted.pieces(state, rows), parted.parts, strict=True):
            folder = parted.work.piece_at(piece.number)
            joined.add(folder, part)
            entries.add(folder, piece)
            emitter.counts.add(piece.counts)
    except BaseException:
        joined.abort()
        raise
    entries.groups.close()
    return joined.close()


def counted(emitter: Emitter) -> dict[str, int]:
    """Entries of the ledger by kind, and rows with an edit."""
    counts = emitter.counts
    return {
        "edits": counts.edits,
        "rows_edited": counts.rows_edited,
        "copies": counts.copies,
        "drops": counts.drops,
        "weights": counts.weights,
    }


def _described(dataset: Dataset, emitter: Emitter) -> dict[str, Any]:
    """What `restore` has to know of the data."""
    schema = dataset.source.schema
    columns = dataset.columns
    talk = dataset.conversation
    return {
        "sha256": emitter.prepared.sha256(),
        "form": dataset.form,
        "files": [path.name for path in dataset.paths],
        "names": list(dataset.names),
        "conversation": None
        if talk is None
        else {
            "format": talk.format,
            "roles": list(talk.roles),
            "columns": list(talk.columns),
            "made": list(talk.made),
        },
        "text": columns.text,
        "label": columns.label,
        "weight": columns.weight,
        "id": columns.id,
        "label_threshold": columns.label_threshold,
        "preset": dataset.preset,
        "encoding": getattr(dataset.source, "encoding", "utf-8"),
        "arrow_schema": None if schema is None else base64.b64encode(schema.serialize()).decode(),
    }


def _written(place: Path, dataset: Dataset, extra: dict[str, pa.DataType], *, digest: str | None = None) -> Written:
    """Hash what was written in the way in which a dataset's own hash is made, unless that was done while writing."""
    from ...data.writers import relative_names

    if dataset.conversation is not None:
        # What the messages say now need not be a conversation that evenset reads: an edit may leave none of it.
        names = relative_names(dataset.paths) if place.name == "rows" else []
        paths = tuple(place / name for name in names) or (place,)
        held = data_files(dataset.form, paths)
        return Written(place.name, sha256_files(held), names or [path.name for path in held])
    if place.name == "rows":
        files = relative_names(dataset.paths)
        again = open_again(dataset, [place / name for name in files], weight=WEIGHT in extra)
        return Written(place.name, digest or again.sha256(), files)
    again = open_again(dataset, place, weight=WEIGHT in extra)
    return Written(place.name, digest or again.sha256(), [path.name for path in data_files(again.form, again.paths)])


def open_again(dataset: Dataset, place: Path | list[Path], *, weight: bool) -> Dataset:
    """Open written rows as the data were opened; `weight` says that they carry weights."""
    columns = dataset.columns
    talk = dataset.conversation
    return open_dataset(
        place,
        text=columns.text if talk is None else talk.named,
        label=columns.label,
        positive=columns.positive,
        label_threshold=columns.label_threshold,
        weight=WEIGHT if weight else columns.weight,
        preset=dataset.preset,
        encoding=getattr(dataset.source, "encoding", "utf-8"),
        axes_columns=dataset.extra_columns,
        format=None if talk is None else talk.format,
        roles=None if talk is None else talk.roles,
    )


def of_pool(part: Part, dataset: Dataset, like: Batch) -> Part:
    """Give rows of a pool the data's columns: text and label, a name where rows have names, and nothing else."""
    from dataclasses import replace

    n = part.units.n
    columns = dataset.columns
    known: dict[str, Any] = {columns.text: part.text}
    if columns.label is not None:
        known[columns.label] = _labels(part.label, dataset, like)
    if columns.id is not None:
        known[columns.id] = part.parent
    if columns.weight is not None:
        known[columns.weight] = pa.array(np.ones(n))
    arrays = []
    for field in like.table.schema:
        if field.name == "__line__":
            given = [name for name in dataset.names if name in known]
            rows = zip(*(known[name].to_pylist() for name in given), strict=True)
            lines = [json.dumps(dict(zip(given, row, strict=True)), ensure_ascii=False).encode() for row in rows]
            arrays.append(pa.array(lines, field.type))
        elif field.name in known:
            arrays.append(_as(known[field.name], field.type))
        else:
            arrays.append(pa.nulls(n, field.type))
    table = pa.RecordBatch.from_arrays(
        arrays, schema=pa.schema([pa.field(field.name, field.type) for field in like.table.schema])
    )
    batch = replace(
        like, table=table, text=part.text, label=part.label, weight=None, text_null=np.zeros(n, np.bool_)
    )  # fmt: skip
    return replace(part, batch=batch)


def _labels(label: Any, dataset: Dataset, like: Batch) -> Any:
    """Labels as the file writes them: indices where labels have names, numbers in JSON where they are numbers."""
    columns = dataset.columns
    values = label.to_pylist()
    limit = columns.label_threshold
    if limit is not None:  # a number on the label's side of the threshold
        number = {"0": 0.0 if limit > 0 else limit - 1, "1": 1.0 if limit <= 1 else limit}
        return pa.array([number[value] for value in values], pa.float64())
    old = like.table.column(like.table.schema.get_field_index(columns.label))
    names = columns.label_names
    if names is not None and (
        pa.types.is_integer(old.type) or not all(_is_name(value, names) for value in old.to_pylist())
    ):
        values = [str(names.index(value)) for value in values]
    if dataset.form == "jsonl":
        lines = like.table.column(like.table.schema.get_field_index("__line__"))
        sample = next((json.loads(line.as_py()).get(columns.label) for line in lines if line.is_valid), None)
        if not isinstance(sample, str):
            return pa.array([json.loads(value) for value in values])
    return pa.array(values, pa.large_string())


def _is_name(value: Any, names: tuple[str, ...]) -> bool:
    return value is None or str(value) in names


def _as(values: Any, kind: pa.DataType) -> Any:
    """Values in a column's type; null where it has no such value, as "pool:..." in a column of whole numbers."""
    if pa.types.is_dictionary(kind):
        return values.cast(kind.value_type).dictionary_encode().cast(kind)
    try:
        return values.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.nulls(len(values), kind)
