"""From raw columns to text, labels and weights in one spelling, a column at a time, never a row at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .axis_labels import PREFIX
from .conversation_source import ConversationSource
from .dataset import BATCH_BYTES, BATCH_ROWS, Batch, Columns, Piece, Source
from .errors import InputError, suggest
from .messages import SEGMENTS
from .readers_csv import buffers, first_invalid

if TYPE_CHECKING:
    from .dataset import Dataset

Where = Callable[[int], str]

_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
# Batches smaller than this are joined: a Hugging Face folder comes in thousands of rows.
_JOIN_ROWS = 16_384
_JOIN_BYTES = 4 << 20


def is_text(kind: pa.DataType) -> bool:
    """Whether a type holds strings, perhaps behind a dictionary."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view() or pa.types.is_null(kind)
    )


def is_bytes(kind: pa.DataType) -> bool:
    """Whether a type holds bytes."""
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def text_of(values: pa.Array, name: str, where: Where) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Texts as valid UTF-8 without nulls, and where they were null.

    Raises
    ------
    InputError
        When the column holds something else than text, or bytes that are not UTF-8.
    """
    if not (is_text(values.type) or is_bytes(values.type)):
        raise InputError(f'column "{name}" holds {values.type}, not text; choose another --text')
    null = values.is_null().to_numpy(zero_copy_only=False).astype(bool)
    raw = values.cast(pa.large_string() if is_text(values.type) else pa.large_binary()).cast(pa.large_binary())
    if null.any():
        raw = pc.fill_null(raw, b"")
    try:
        return raw.cast(pa.large_string()), null  # this way round the cast looks at every byte
    except pa.ArrowInvalid:
        at = first_invalid(raw)
        raise InputError(f'{where(at)}, column "{name}", is not valid UTF-8; write the file again as UTF-8') from None


def strings_of(values: pa.Array, what: str, where: Where) -> pa.Array:
    """Values in one spelling: 3, 3.0 and "3.0" as "3", true as "true", blanks around cut off; NaN and "" as null."""
    if pa.types.is_dictionary(values.type):
        return strings_of(values.dictionary, what, where).take(values.indices)
    if pa.types.is_nested(values.type):
        raise InputError(f"{what} holds {values.type}, not single values; choose another column")
    if pa.types.is_null(values.type):
        return pa.nulls(len(values), pa.string())
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)
    if is_bytes(values.type) or is_text(values.type):
        texts, null = text_of(values, what, where)
        if null.any():
            texts = pc.if_else(pa.array(null), None, texts)
    else:
        texts = values.cast(pa.string())
    # Few distinct values: spell each of them once.
    coded = texts.dictionary_encode()
    distinct = pc.ascii_trim_whitespace(coded.dictionary.cast(pa.string()))
    distinct = pc.replace_substring_regex(distinct, r"^([+-]?\d+)\.0*$", r"\1")
    absent = pc.or_(pc.equal(distinct, ""), pc.equal(pc.ascii_lower(distinct), "nan"))
    return pc.if_else(absent, None, distinct).take(coded.indices)


def numbers_of(values: pa.Array, what: str, where: Where) -> pa.Array:
    """Values as float64; "" and NaN are null.

    Raises
    ------
    InputError
        When a value is no number, naming its row.
    """
    kind = values.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        if pa.types.is_boolean(kind):
            values = values.cast(pa.int8())
        numbers = values.cast(pa.float64(), safe=False)
        return pc.if_else(pc.is_nan(numbers), None, numbers) if pa.types.is_floating(kind) else numbers
    if pa.types.is_decimal(kind):
        return values.cast(pa.float64())
    texts = strings_of(values, what, where)
    texts = pc.if_else(pc.equal(texts, "true"), "1", pc.if_else(pc.equal(texts, "false"), "0", texts))
    bad = pc.invert(pc.fill_null(pc.match_substring_regex(texts, _NUMBER), True))  # noqa: FBT003 - Arrow's own signature
    if pc.any(bad).as_py():
        at = int(np.flatnonzero(bad.to_numpy(zero_copy_only=False))[0])
        raise InputError(f"{where(at)}: {what} is {texts[at].as_py()!r}, which is not a number")
    return pc.replace_substring_regex(texts, r"^\+", "").cast(pa.float64())


def weights_of(
    values: pa.Array, name: str, where: Where, *, counted: bool = False
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Weights: numbers from 0, none missing; and which of them are neither, which then have 0.

    Raises
    ------
    InputError
        For a value that is no number; unless they are `counted`, also for one that is missing, negative or not finite.
    """
    what = f'the weight (column "{name}")'
    numbers = numbers_of(values, what, where)
    result: npt.NDArray[np.float64] = numbers.to_numpy(zero_copy_only=False).astype(np.float64)
    bad = ~(np.isfinite(result) & (result >= 0))
    if bad.any() and not counted:
        at = int(np.flatnonzero(bad)[0])
        found = "missing" if numbers[at].as_py() is None else f"{result[at]:g}"
        raise InputError(f"{where(at)}: {what} is {found}; weights are finite numbers from 0 up")
    return np.where(bad, 0.0, result), bad


def named_values(values: pa.Array, names: tuple[str, ...], what: str, start: int) -> pa.Array:
    """Indices as the names they stand for, names as they are."""
    return _named(values, names, what, lambda at: f"row {start + at + 1}")


def _named(values: pa.Array, names: tuple[str, ...], what: str, where: Where) -> pa.Array:
    texts = strings_of(values, what, where)
    known: dict[str, str | None] = {str(at): name for at, name in enumerate(names)}
    if pa.types.is_integer(values.type):
        known["-1"] = None  # the library datasets writes so that a row has no label
    else:
        known |= {name: name for name in names}
    coded = texts.dictionary_encode()
    distinct = coded.dictionary.to_pylist()
    for code, value in enumerate(distinct):
        if value is not None and value not in known:
            at = int(np.flatnonzero(pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False) == code)[0])
            raise InputError(
                f"{where(at)}: {what} is {value!r}, which is neither a name nor an index of 0 to {len(names) - 1}"
            )
    return pa.array([None if value is None else known[value] for value in distinct], pa.string()).take(coded.indices)


def labels_of(values: pa.Array, columns: Columns, where: Where) -> pa.Array:
    """Labels in one spelling (see `Batch.label`)."""
    what = f'the label (column "{columns.label}")'
    if columns.label_threshold is not None:
        numbers = numbers_of(values, what, where)
        above = pc.greater_equal(numbers, columns.label_threshold)
        return pc.if_else(above, "1", "0").cast(pa.string())
    if columns.label_names is None:
        return strings_of(values, what, where)
    return _named(values, columns.label_names, what, where)


def spelling(value: str, columns: Columns) -> str:
    """A label value given by the user in the spelling that `labels_of` gives."""
    value = re.sub(r"^([+-]?\d+)\.0*$", r"\1", value.strip())
    names = columns.label_names or ()
    if value not in names and value.isdigit() and int(value) < len(names):
        return names[int(value)]
    return value


@dataclass(slots=True)
class Census:
    """What of the labels can only be judged when all rows have been seen."""

    rows: int = 0
    labelled: int = 0
    classes: set[str] = field(default_factory=set)

    def add(self, label: pa.Array | None, rows: int) -> None:
        """Count a batch."""
        self.rows += rows
        if label is not None:
            self.labelled += len(label) - label.null_count
            if len(self.classes) < 10_000:
                self.classes.update(value for value in pc.unique(label).to_pylist() if value is not None)

    def judge(self, columns: Columns, place: str, *, need_label: bool) -> None:
        """Refuse labels that say nothing."""
        if not self.rows:
            raise InputError(f"{place} has no rows")
        if columns.label is None:
            return
        name = f'the label column "{columns.label}" of {place}'
        if not self.labelled and columns.label.startswith(PREFIX):
            raise InputError(f'no text of {place} mentions a group of "{columns.label}"; choose another --label')
        if not self.labelled:
            raise InputError(f"{name} is empty in all {self.rows:,} rows; choose another --label")
        # With a single class the data may just be one-sided, such as a pool of harmless texts.
        several = len(self.classes) > 1 or need_label
        if columns.positive is not None and several and columns.positive not in self.classes:
            raise InputError(
                f'the positive label "{columns.positive}" never comes in column "{columns.label}" of {place}; its '
                f"values are {shown(self.classes)}; change --positive.{suggest(columns.positive, self.classes)}"
            )
        if need_label and len(self.classes) < 2:
            only = next(iter(self.classes))
            if columns.label.startswith(PREFIX):
                raise InputError(
                    f'texts of {place} mention only one group of "{columns.label}", "{only}"; two are needed'
                )
            raise InputError(f'{name} has only one class, "{only}"; two are needed')


def shown(classes: set[str], *, most: int = 12) -> str:
    """Some label values for a message."""
    ordered = sorted(value if len(value) <= 40 else value[:40] + "…" for value in classes)
    words = ", ".join(f'"{value}"' for value in ordered[:most])
    return words if len(ordered) <= most else f"{words}, … ({len(ordered):,} in all)"


def place_of(paths: Sequence[Path]) -> str:
    """Words for the data: its first file, and how many more."""
    if not paths:
        return "the table"
    return f'"{paths[0].name}"' + ("" if len(paths) == 1 else f" and {len(paths) - 1} more")


def batches(dataset: Dataset, columns: Sequence[str] | None) -> Iterator[Batch]:
    """The rows of a dataset; see `Dataset.batches`."""
    census = Census()
    start = 0
    for piece in _joined(_source(dataset).read(wanted_columns(dataset, columns))):
        for batch in _cut(dataset, piece, start):
            census.add(batch.label, batch.n)
            start += batch.n
            yield batch
    if not dataset.part:
        census.judge(dataset.columns, place_of(dataset.paths), need_label=dataset.need_label)


def _source(dataset: Dataset) -> Source:
    """The reader; of a part it does not judge what can only be said of all rows."""
    source = dataset.source
    if dataset.part and isinstance(source, ConversationSource):
        return replace(source, judge=False)
    return source


def wanted_columns(dataset: Dataset, columns: Sequence[str] | None) -> list[str] | None:
    """Columns to read: those with a part and those asked for."""
    roles = [name for name in dataset.columns.roles() if dataset.axis_labels is None or name != dataset.columns.label]
    made = (SEGMENTS,) if isinstance(dataset.source, ConversationSource) else ()
    if columns is None:
        if dataset.form != "jsonl":
            return list(dataset.names) if made else None
        return list(dict.fromkeys([*roles, *dataset.extra_columns, "__line__"]))
    for name in columns:
        if name not in dataset.names and name != "__line__" and name not in made:
            raise InputError(f'there is no column "{name}" in {place_of(dataset.paths)}.{suggest(name, dataset.names)}')
    return list(dict.fromkeys([*roles, *columns]))


def _joined(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Join small pieces of one file."""
    waiting: list[Piece] = []
    rows = size = 0
    for piece in pieces:
        if waiting and (waiting[0].file != piece.file or rows + piece.table.num_rows > BATCH_ROWS):
            yield _join(waiting)
            waiting, rows, size = [], 0, 0
        waiting.append(piece)
        rows += piece.table.num_rows
        size += piece.table.nbytes
        if rows >= _JOIN_ROWS or size >= _JOIN_BYTES:
            yield _join(waiting)
            waiting, rows, size = [], 0, 0
    if rows:
        yield _join(waiting)


def _join(pieces: list[Piece]) -> Piece:
    if len(pieces) == 1:
        return pieces[0]
    table = pa.Table.from_batches([piece.table for piece in pieces]).combine_chunks()
    return Piece(table.to_batches()[0] if table.num_rows else pieces[0].table, pieces[0].file, pieces[0].first)


def _cut(dataset: Dataset, piece: Piece, start: int) -> Iterator[Batch]:
    """Make batches of a piece, several where its texts are long."""
    columns, table = dataset.columns, piece.table

    def where(at: int) -> str:
        return dataset.source.where(piece.file, piece.first + at)

    def column(name: str) -> Any:
        return table.column(table.schema.get_field_index(name))

    text, text_null = text_of(column(columns.text), columns.text, where)
    made = dataset.axis_labels
    label = None if columns.label is None or made is not None else labels_of(column(columns.label), columns, where)
    weight = bad = None
    if columns.weight is not None:
        weight, bad = weights_of(column(columns.weight), columns.weight, where, counted=dataset.count_bad_weights)
    offsets, _ = buffers(text)
    each = dataset.source.each if isinstance(dataset.source, ConversationSource) else 1
    done = 0
    while done < len(text):
        # As many rows as fit, but at least one; a preference pair is not torn apart.
        end = int(np.searchsorted(offsets, offsets[done] + BATCH_BYTES, side="right")) - 1
        end = min(max(end - end % each, done + each), done + BATCH_ROWS, len(text))
        rows, own = slice(done, end), text.slice(done, end - done)
        yield Batch(
            table=table.slice(done, end - done),
            text=own,
            label=made.of(own) if made is not None else None if label is None else label.slice(done, end - done),
            weight=None if weight is None else weight[rows],
            start=start + done,
            text_null=text_null[rows],
            file=piece.file,
            value_names=columns.value_names,
            bad_weight=bad[rows] if bad is not None and dataset.count_bad_weights else None,
        )
        done = end
