"""What a dataset is to the rest of evenset: a stream of record batches with known columns.

Never the whole file: `Dataset.batches` reads from the start each time it is called and holds one batch at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .errors import InputError, suggest
from .files import sha256_files

if TYPE_CHECKING:
    from .axis_labels import AxisLabels
    from .conversations import Conversation

BATCH_ROWS = 65_536
BATCH_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column is what.

    Attributes
    ----------
    text, label : str
        Names of the columns; a dataset may have no label.
    positive : str, optional
        The label that counts as positive, in its normalised spelling.
    label_threshold : float, optional
        Labels are numbers; at or above it is "1", below it is "0".
    label_names : tuple of str, optional
        Labels are indices into these names.
    id, weight, cluster : str, optional
        Names of the columns of row ids, of row weights, and of what rows share (a person, a template).
    value_names : tuple of (column, names)
        Other columns whose indices have names, such as the gender column of Bias in Bios.
    """

    text: str
    label: str | None = None
    positive: str | None = None
    label_threshold: float | None = None
    label_names: tuple[str, ...] | None = None
    id: str | None = None
    weight: str | None = None
    cluster: str | None = None
    value_names: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def roles(self) -> tuple[str, ...]:
        """Names of the columns that have a part, each once."""
        named = (self.text, self.label, self.id, self.weight, self.cluster)
        return tuple(dict.fromkeys(name for name in named if name is not None))


@dataclass(frozen=True, slots=True)
class Batch:
    """Some consecutive rows.

    Attributes
    ----------
    table : RecordBatch
        The columns as the file has them (CSV and JSONL: strings).
    text : large_string array
        Never null, valid UTF-8; a null text is an empty one.
    label : string array or None
        Normalised: 3 and 3.0 are "3", true is "true", with a threshold "1" or "0", with label names the name. Null
        stays null.
    weight : float64 array or None
    start : int
        Number of the first row in the dataset, from 0.
    text_null : bool array
        Where the file has no text.
    file : int
        Index into the dataset's paths.
    value_names : tuple of (column, names)
        As in `Columns`.
    bad_weight : bool array or None
        Rows whose weight is missing, negative or not finite, where these are counted and not refused; they weigh 0.
    """

    table: pa.RecordBatch
    text: pa.LargeStringArray
    label: pa.StringArray | None
    weight: npt.NDArray[np.float64] | None
    start: int
    text_null: npt.NDArray[np.bool_]
    file: int = 0
    value_names: tuple[tuple[str, tuple[str, ...]], ...] = ()
    bad_weight: npt.NDArray[np.bool_] | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.text)

    def column(self, name: str) -> pa.Array:
        """Values of one column; where its values have names (`Columns.value_names`) the names."""
        at = self.table.schema.get_field_index(name)
        if at < 0:
            names = self.table.schema.names
            raise InputError(f'there is no column "{name}"; the columns are {listed(names)}.{suggest(name, names)}')
        values = self.table.column(at)
        for column, value_names in self.value_names:
            if column == name:
                from .normalise import named_values

                return named_values(values, value_names, f'column "{name}"', self.start)
        return values

    def stored(self, name: str) -> pa.Array:
        """Values of one column as they are stored, whatever names they have."""
        return replace(self, value_names=()).column(name)

    def segments(self) -> pa.Table:
        """Where the messages of a conversation stand in the texts: the way back from a text to its file.

        Returns
        -------
        Table
            A row a message, in order: ``row`` in this batch, ``pointer`` (JSON pointer to the value in the row of the
            file, such as /messages/2/content), ``at`` (byte of the value from which on it is in the text: not 0 where
            the value begins with what is not the message), ``start`` and ``end`` (bytes of the row's text). So
            ``text[start:end]`` is what the value holds from ``at`` on, as long.

        Raises
        ------
        InputError
            When the batch was read without them: ask `Dataset.batches` for "__segments__".
        """
        from .messages import SEGMENTS

        if SEGMENTS not in self.table.schema.names:
            raise InputError(f'these rows were read without "{SEGMENTS}"; conversations have it, and only on demand')
        values = self.table.column(self.table.schema.get_field_index(SEGMENTS))
        row = pc.list_parent_indices(values).cast(pa.int64())
        return pa.Table.from_arrays([row, *values.flatten().flatten()], ["row", "pointer", "at", "start", "end"])

    def take(self, indices: npt.NDArray[np.integer[Any]] | Sequence[int]) -> Batch:
        """The rows at these places of the batch, in this order; a place may come more than once."""
        places = np.asarray(indices, dtype=np.int64)
        arrow = pa.array(places)
        return replace(
            self,
            table=self.table.take(arrow),
            text=self.text.take(arrow),
            label=None if self.label is None else self.label.take(arrow),
            weight=None if self.weight is None else self.weight[places],
            text_null=self.text_null[places],
            bad_weight=None if self.bad_weight is None else self.bad_weight[places],
        )


@dataclass(frozen=True, slots=True)
class Piece:
    """What a reader yields: rows of one file as they are, and where they stand in it."""

    table: pa.RecordBatch
    file: int
    first: int  # number of the first row in its file, from 0


class Source(Protocol):
    """A reader: opens its files anew at each call of `read`."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""

    @property
    def schema(self) -> pa.Schema | None:
        """The stored schema where the form has one."""

    def read(self, columns: Sequence[str] | None) -> Iterator[Piece]:
        """All rows, with at least these columns (None: all)."""

    def where(self, file: int, row: int) -> str:
        """Words for a row (from 0) of a file: 'row 3 of "a.csv"'."""


def listed(names: Sequence[str], *, most: int = 30) -> str:
    """Names for a message, not too many of them."""
    shown = ", ".join(f'"{name}"' for name in names[:most])
    return shown if len(names) <= most else f"{shown}, … ({len(names)} in all)"


@dataclass(frozen=True)
class Dataset:
    """Rows in files or in memory, and which column is what. Get one with `evenset.data.open`.

    Attributes
    ----------
    columns : Columns
    names : tuple of str
        The file's columns.
    form : str
        "csv", "tsv", "jsonl", "parquet", "arrow", "hf" or "memory".
    paths : tuple of Path
        The files, in order; for "hf" the one folder; for "memory" none.
    compression : str or None
        "gzip" or "zstd".
    notes : tuple of str
        What was guessed, to be said aloud.
    suggested_axes : tuple of str
        Axes that a recognised preset brings, in the words of ``--axis``.
    need_label : bool
        Whether two label classes are wanted.
    preset : str or None
        The well-known data set that this is a copy of.
    extra_columns : tuple of str
        Columns that axes need, read from JSONL besides those that have a part.
    part : bool
        Whether these are only some rows of the data (`evenset.data.parts`): what must hold of all is not judged then.
    conversation : Conversation or None
        How the file holds messages, where the text is made of them.
    axis_labels : AxisLabels or None
        What labels the rows, where their label is made of their text.
    count_bad_weights : bool
        Whether rows with a weight that is missing, negative or not finite are counted, weighing 0, and not refused.
    """

    columns: Columns
    names: tuple[str, ...]
    form: str
    source: Source = field(repr=False)
    paths: tuple[Path, ...] = ()
    compression: str | None = None
    notes: tuple[str, ...] = ()
    suggested_axes: tuple[str, ...] = ()
    need_label: bool = False
    preset: str | None = None
    extra_columns: tuple[str, ...] = ()
    part: bool = False
    conversation: Conversation | None = None
    axis_labels: AxisLabels | None = None
    count_bad_weights: bool = False

    def batches(self, *, columns: Sequence[str] | None = None) -> Iterator[Batch]:
        """Read the rows from the start.

        Parameters
        ----------
        columns : sequence of str, optional
            Columns wanted in `Batch.table` besides those that have a part; by default all. For JSONL the default is
            those that have a part, every other key staying in the raw line (`__line__`).

        Yields
        ------
        Batch
            At most 65,536 rows and about 16 MB of text.

        Raises
        ------
        InputError
            When a row cannot be read, naming it; at the end when no row has a label.
        """
        from .normalise import batches

        return batches(self, columns)

    def sha256(self) -> str:
        """SHA-256 over the bytes of the files, in order; in memory over the Arrow content."""
        from .readers_arrow import TableSource, data_files

        source = getattr(self.source, "inner", self.source)  # of conversations: the file, not what is made of it
        if isinstance(source, TableSource):
            return memory_sha256(source.table)
        return sha256_files(data_files(self.form, self.paths))

    def describe(self, *, hashed: bool = True) -> dict[str, Any]:
        """What a report says about the data: form, files, hash and columns; no row.

        The hash takes reading all of the data; without it, it is null.
        """
        columns = self.columns
        talk = self.conversation
        made = {} if talk is None else {"format": talk.format, "roles": list(talk.roles)}
        return {
            "form": self.form,
            **made,
            "paths": [path.name for path in self.paths],
            "sha256": self.sha256() if hashed else None,
            "columns": {
                "text": columns.text,
                "label": columns.label,
                "positive": columns.positive,
                "label_threshold": columns.label_threshold,
                "id": columns.id,
                "weight": columns.weight,
                "cluster": columns.cluster,
            },
            "preset": self.preset,
            "notes": list(self.notes),
        }

    @staticmethod
    def of(
        rows: Any,
        *,
        text: str | None = None,
        label: str | None = None,
        positive: str | None = None,
        label_threshold: float | None = None,
        id: str | None = None,  # noqa: A002 - the word of --id
        weight: str | None = None,
        cluster: str | None = None,
        preset: str | None = None,
        format: str | None = None,  # noqa: A002 - the word of --format
        roles: Sequence[str] | None = None,
        need_label: bool = False,
    ) -> Dataset:
        """A dataset of a table in memory: Arrow, pandas, a `datasets.Dataset`, or a list of dicts.

        Examples
        --------
        >>> import pyarrow as pa
        >>> data = Dataset.of(pa.table({"text": ["He ran.", "She ran."], "label": [0, 1]}), text="text", label="label")
        >>> [batch.label.to_pylist() for batch in data.batches()]
        [['0', '1']]
        """
        from .opening import open_dataset

        return open_dataset(
            rows,
            text=text,
            label=label,
            positive=positive,
            label_threshold=label_threshold,
            id=id,
            weight=weight,
            cluster=cluster,
            preset=preset,
            format=format,
            roles=roles,
            need_label=need_label,
        )


def memory_sha256(table: pa.Table) -> str:
    """Hash of a table in memory: its columns in Arrow's own stream format.

    Neither the metadata of the schema nor the chunks matter, nor whether strings have wide offsets: pandas and Arrow
    give the same hash to the same rows.
    """
    fields = [
        pa.field(field.name, pa.large_string() if _is_string(field.type) else field.type) for field in table.schema
    ]
    table = table.replace_schema_metadata(None).cast(pa.schema(fields)).combine_chunks()
    digest = _Digest()
    with pa.ipc.new_stream(pa.PythonFile(digest, mode="w"), table.schema) as writer:
        writer.write_table(table, max_chunksize=BATCH_ROWS)
    return digest.hash.hexdigest()


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or kind == pa.string_view())


class _Digest:
    """A file to write to that only hashes."""

    closed = False

    def __init__(self) -> None:
        self.hash = hashlib.sha256()

    def write(self, content: Any) -> int:
        self.hash.update(memoryview(content))
        return len(content)

    def flush(self) -> None: ...

    def close(self) -> None: ...
