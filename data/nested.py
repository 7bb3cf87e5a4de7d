"""Arrow columns with some of their strings changed, however deep these lie; types, nulls and the rest as they were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .errors import InputError
from .pointers import MisfitError, Tree, cut, in_json

_Todo = list[tuple[int, Any, int]]
"""Place in an array, tree of changes below it, row."""


def changed_columns(table: pa.RecordBatch, trees: Mapping[int, Tree]) -> tuple[pa.RecordBatch, list[int]]:
    """Columns with changes made.

    Parameters
    ----------
    table : RecordBatch
        The rows.
    trees : mapping of row to tree
        Of `Splices.trees`; its first steps are names of columns.

    Returns
    -------
    table : RecordBatch
        Of the same schema.
    wrong : list of int
        Rows in which other words stand than a change says; what is written of them is not to be used.

    Raises
    ------
    InputError
        For a type in which strings cannot be changed.

    Examples
    --------
    >>> from .pointers import Cut
    >>> table = pa.record_batch({"messages": [[{"role": "user", "content": "Hi, she."}], None]})
    >>> made, wrong = changed_columns(table, {0: {"messages": {"0": {"content": [Cut(4, 7, "she", "he")]}}}})
    >>> made.to_pylist()[0], made.schema.equals(table.schema), wrong
    ({'messages': [{'role': 'user', 'content': 'Hi, he.'}]}, True, [])
    """
    by_column: dict[str, _Todo] = {}
    wrong: set[int] = set()
    for row, tree in trees.items():
        for name, below in tree.items():
            by_column.setdefault(name, []).append((row, below, row))
    for name, todo in by_column.items():
        at = table.schema.get_field_index(name)
        if at < 0:
            wrong.update(row for _, _, row in todo)
            continue
        column = _changed(table.column(at), todo, wrong, name)
        table = table.set_column(at, table.schema.field(at), column)
    return table, sorted(wrong)


def _changed(values: pa.Array, todo: _Todo, wrong: set[int], name: str) -> pa.Array:
    kind = values.type
    if pa.types.is_dictionary(kind):
        made = _changed(values.cast(kind.value_type), todo, wrong, name)
        return made.dictionary_encode().cast(kind)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view():
        return _strings(values, todo, wrong)
    valid = values.is_valid().to_numpy(zero_copy_only=False)
    todo = _there(todo, valid, wrong)
    if pa.types.is_struct(kind):
        return _struct(values, todo, wrong, name)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _list(values, todo, wrong, name)
    if pa.types.is_null(kind):
        wrong.update(row for _, _, row in todo)
        return values
    raise InputError(
        f'column "{name}" holds its messages as {kind}, which cannot be edited in place; write it as lists of structs, '
        "or the data as JSON lines"
    )


def _there(todo: _Todo, valid: Any, wrong: set[int]) -> _Todo:
    """Without those for which there is nothing."""
    kept = []
    for place, tree, row in todo:
        if isinstance(tree, list) or not valid[place]:
            wrong.add(row)
        else:
            kept.append((place, tree, row))
    return kept


def _strings(values: pa.Array, todo: _Todo, wrong: set[int]) -> pa.Array:
    todo = sorted(todo, key=lambda one: one[0])
    places = [place for place, _, _ in todo]
    found = values.take(pa.array(places, pa.int64())).to_pylist()
    made = []
    for old, (_, tree, row) in zip(found, todo, strict=True):
        try:
            if old is None:
                raise MisfitError
            made.append(cut(old, tree) if isinstance(tree, list) else in_json(old, tree))
        except MisfitError:
            wrong.add(row)
            made.append(old)
    mask = np.zeros(len(values), np.bool_)
    mask[places] = True
    wide = values.cast(pa.large_string())
    return pc.replace_with_mask(wide, pa.array(mask), pa.array(made, pa.large_string())).cast(values.type)


def _struct(values: pa.StructArray, todo: _Todo, wrong: set[int], name: str) -> pa.Array:
    by_field: dict[str, _Todo] = {}
    for place, tree, row in todo:
        for step, below in tree.items():
            by_field.setdefault(step, []).append((place, below, row))
    fields = list(values.type)
    arrays = [values.field(number) for number in range(len(fields))]
    for step, below in by_field.items():
        at = values.type.get_field_index(step)
        if at < 0:
            wrong.update(row for _, _, row in below)
        else:
            arrays[at] = _changed(arrays[at], below, wrong, name)
    return pa.StructArray.from_arrays(arrays, fields=fields, mask=_nulls(values))


def _list(values: Any, todo: _Todo, wrong: set[int], name: str) -> pa.Array:
    offsets = np.asarray(values.offsets)
    first, last = int(offsets[0]), int(offsets[-1])
    offsets = offsets - offsets.dtype.type(first)
    below: _Todo = []
    for place, tree, row in todo:
        for step, subtree in tree.items():
            at = int(offsets[place]) + int(step) if step.isdecimal() else -1
            if 0 <= at < offsets[place + 1]:
                below.append((at, subtree, row))
            else:
                wrong.add(row)
    items = _changed(values.values.slice(first, last - first), below, wrong, name)
    make = pa.ListArray if pa.types.is_list(values.type) else pa.LargeListArray
    return make.from_arrays(pa.array(offsets), items, type=values.type, mask=_nulls(values))


def _nulls(values: pa.Array) -> pa.Array | None:
    return values.is_null() if values.null_count else None
