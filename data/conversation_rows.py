"""From rows of text back to the rows of a file of conversations: its own columns, words changed inside the messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .conversation_source import ConversationSource
from .dataset import Batch, Columns, Dataset
from .errors import InputError
from .messages import SEGMENTS
from .nested import changed_columns
from .pointers import MisfitError, Splices, Tree, in_json
from .readers_jsonl import LINE, JsonlSource


def file_of(dataset: Dataset) -> Dataset:
    """The file behind a dataset of conversations, its rows as they are: to write, not to read texts from."""
    source = dataset.source
    if not isinstance(source, ConversationSource):
        return dataset
    return replace(
        dataset, source=source.inner, names=source.inner.names, columns=Columns(text=""), conversation=None, notes=()
    )


def columns_to_read(dataset: Dataset, *, write: bool) -> list[str] | None:
    """What to ask `Dataset.batches` for, to write the rows or only to look at them; None for all.

    Where the messages stand in the texts takes time to say, so it is asked for only where rows are written.
    """
    source = dataset.source
    if not isinstance(source, ConversationSource):
        return None
    pair = source.conversation.pair
    shared = [] if pair is None else [pair]
    if not write:
        return [*dataset.extra_columns, *shared]
    own = [LINE] if isinstance(source.inner, JsonlSource) else source.inner.names
    return list(dict.fromkeys([*dataset.extra_columns, *own, *shared, SEGMENTS]))


def rows_of_file(
    source: ConversationSource, batch: Batch, splices: Splices | None, extra: Mapping[str, pa.Array]
) -> tuple[pa.RecordBatch, dict[str, pa.Array]]:
    """The rows of the file that some rows of text are of, with words changed.

    Parameters
    ----------
    source : ConversationSource
        Where the rows come from.
    batch : Batch
        Read with `columns_to_read`; of preference pairs both rows, the chosen one first.
    splices : Splices or None
        Changes of words, by row of the batch.
    extra : dict of name to Arrow array
        Columns to add, a value a row of the batch; of a pair the first one counts.

    Returns
    -------
    table : RecordBatch
        The file's own columns; for JSON lines the lines.
    extra : dict of name to Arrow array
        A value a row of the table.
    """
    names = [LINE] if isinstance(source.inner, JsonlSource) else list(source.inner.names)
    missing = [name for name in names if name not in batch.table.schema.names]
    if missing:
        raise ValueError(f"the batch was read without {missing}; read it with columns_to_read")
    table = batch.table.select(names)
    given = dict(extra)
    each = source.each
    if each > 1:
        label = batch.table.column(batch.table.schema.get_field_index(str(source.conversation.label)))
        if batch.n % each or label[::each].unique().to_pylist() not in ([], ["chosen"]):
            raise ValueError("a preference pair is written whole: its chosen row, then its rejected one")
        table = table.take(pa.array(range(0, batch.n, each), pa.int64()))
        given = {name: values[::each] for name, values in given.items()}
    if splices is None or not len(splices.row):
        return table, given
    _check_calls(splices)
    trees = replace(splices, row=splices.row // each).trees()
    made, wrong = spliced(table, trees)
    if wrong:
        raise ValueError(f"{len(wrong)} rows do not hold the words that were to be changed")
    return made, given


def _check_calls(splices: Splices) -> None:
    """Arguments of tool calls are JSON in a string: refuse words that would end a string in it."""
    calls = pc.ends_with(splices.pointer, "/arguments")
    breaks = pc.and_(calls, pc.match_substring_regex(splices.new, r'["\\\x00-\x1f]'))
    if pc.any(breaks).as_py():
        word = splices.new.filter(breaks)[0].as_py()
        raise InputError(
            f"the words {word!r} would break the JSON of a tool call's arguments; write others, or leave tool_call out "
            "of --roles"
        )


def spliced(
    table: pa.RecordBatch, trees: Mapping[int, Tree], *, escaped: bool = False
) -> tuple[pa.RecordBatch, list[int]]:
    """Rows of a file with the changes of `Splices.trees` made, and the rows in which other words stand.

    `escaped`: as in `evenset.data.pointers.in_json`.
    """
    at = table.schema.get_field_index(LINE)
    if at < 0:
        return changed_columns(table, trees)
    lines: list[Any] = table.column(at).to_pylist()
    wrong = []
    for row, tree in trees.items():
        try:
            lines[row] = in_json(lines[row].decode("utf-8"), tree, escaped=escaped).encode("utf-8")
        except MisfitError:
            wrong.append(row)
    return table.set_column(at, table.schema.field(at), pa.array(lines, table.schema.field(at).type)), sorted(wrong)
