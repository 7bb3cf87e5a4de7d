"""Messages of conversations as flat arrays: chosen by role, joined to one text a row, and the way back.

Two ways lead to the same arrays: Arrow's own kernels for columns of list<struct<role, content>>, and a walk over Python
values for everything that such a column cannot hold (lists of parts, tool calls, strings beside lists).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .turns import MESSAGE, BadRowError, Field, Roles, Turn

SEPARATOR = "\n\n"
"""Between two messages of a row: no token, and no form of a lexicon reaches across it."""
SEGMENTS = "__segments__"
SEGMENT = pa.struct([("pointer", pa.string()), ("at", pa.int64()), ("start", pa.int64()), ("end", pa.int64())])


@dataclass(frozen=True, slots=True)
class Messages:
    """The chosen messages of some rows, in order.

    Attributes
    ----------
    rows : int
        How many rows.
    row : int64 array
        The row of each message.
    text : large_string array
        Its text, never null or empty.
    place : int64 array of shape (messages, 5)
        Field, kind, index of the message, index of the part, and the byte of the value at which the text begins.
    present : bool array
        Which rows have a chosen message at all, be it an empty one.
    """

    rows: int
    row: npt.NDArray[np.int64]
    text: pa.LargeStringArray
    place: npt.NDArray[np.int64]
    present: npt.NDArray[np.bool_]

    def joined(self) -> pa.LargeStringArray:
        """The text of each row; null where it has no chosen message."""
        count = np.bincount(self.row, minlength=self.rows)
        offsets = np.zeros(self.rows + 1, np.int64)
        np.cumsum(count, out=offsets[1:])
        if count.max(initial=0) <= 1:
            at = pa.array(offsets[:-1], mask=count == 0)
            text = pc.fill_null(self.text.take(at), "")
        else:
            messages = pa.LargeListArray.from_arrays(pa.array(offsets), self.text)
            text = pc.binary_join(messages, pa.scalar(SEPARATOR, pa.large_string()))
        return text if self.present.all() else pc.if_else(pa.array(self.present), text, None)

    def segments(self, fields: Sequence[Field], key: str) -> pa.ListArray:
        """Where each message stands in the text of its row, as a list of `SEGMENT` a row."""
        length = np.asarray(pc.binary_length(self.text)).astype(np.int64)
        count = np.bincount(self.row, minlength=self.rows)
        offsets = np.zeros(self.rows + 1, np.int64)
        np.cumsum(count, out=offsets[1:])
        before = np.zeros(len(length) + 1, np.int64)
        np.cumsum(length + len(SEPARATOR), out=before[1:])
        start = before[:-1] - before[offsets[self.row]]
        # Few different places occur, so each pointer is spelt once.
        distinct, which = np.unique(self.place[:, :4], axis=0, return_inverse=True)
        spelt = [fields[one].pointer(kind, index, part, key) for one, kind, index, part in distinct.tolist()]
        pointer = pa.array(spelt, pa.string()).take(pa.array(which.reshape(-1)))
        values = [pointer, pa.array(self.place[:, 4]), pa.array(start), pa.array(start + length)]
        return pa.ListArray.from_arrays(
            pa.array(offsets.astype(np.int32)), pa.StructArray.from_arrays(values, fields=list(SEGMENT))
        )


@dataclass(slots=True)
class Gathered:
    """Chosen messages as they are met, row by row."""

    rows: int
    _row: list[int] = field(default_factory=list)
    _text: list[str] = field(default_factory=list)
    _place: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    _present: list[int] = field(default_factory=list)

    def add(self, row: int, field_number: int, turn: Turn) -> None:
        """Add a message; empty ones only make the row one with a text."""
        self._present.append(row)
        if turn.text:
            self._row.append(row)
            self._text.append(turn.text)
            self._place.append((field_number, turn.kind, turn.message, turn.part, turn.at))

    def messages(self) -> Messages:
        """As arrays.

        Raises
        ------
        BadRowError
            For a text with half of a surrogate pair.
        """
        try:
            text = pa.array(self._text, pa.large_string())
        except UnicodeEncodeError:
            at = next(at for at, value in enumerate(self._text) if not _encodable(value))
            raise BadRowError(
                self._row[at],
                "a message holds half of a surrogate pair (such as \\ud83d alone), which is no character; mend or drop "
                "the row",
            ) from None
        present = np.zeros(self.rows, np.bool_)
        present[self._present] = True
        place = np.array(self._place, np.int64).reshape(-1, 5)
        return Messages(self.rows, np.array(self._row, np.int64), text, place, present)


def from_arrow(values: pa.Array, column: Field, keys: tuple[str, str], roles: Roles) -> Messages | None:
    """Messages of a column of list<struct<role, content>> without a walk; None for any other type.

    Raises
    ------
    BadRowError
        For a message that is null or has no role.
    """
    if not (pa.types.is_list(values.type) or pa.types.is_large_list(values.type)):
        return None
    kind = values.type.value_type
    if not pa.types.is_struct(kind) or any(kind.get_field_index(key) < 0 for key in keys):
        return None
    if any(not _is_string(kind.field(key).type) for key in keys):
        return None
    message = values.flatten()
    row = pc.list_parent_indices(values).to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
    first = np.searchsorted(row, row, side="left")
    index = np.arange(len(row)) - first
    coded = pc.struct_field(message, keys[0]).dictionary_encode()
    code = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
    missing = (code < 0) | message.is_null().to_numpy(zero_copy_only=False)
    if missing.any():
        bad = int(np.flatnonzero(missing)[0])
        raise BadRowError(int(row[bad]), f"{column.role_pointer(int(index[bad]), keys[0])} is null, no role")
    wanted = np.zeros(len(coded.dictionary) + 1, np.bool_)
    for number, role in enumerate(coded.dictionary):
        try:
            wanted[number] = roles.takes(_decoded(role))
        except ValueError as error:
            bad = int(np.flatnonzero(code == number)[0])
            place = column.role_pointer(int(index[bad]), keys[0])
            raise BadRowError(int(row[bad]), f"{place} {error}") from None
    content = pc.struct_field(message, keys[1])
    has = wanted[code] & content.is_valid().to_numpy(zero_copy_only=False)
    present = np.zeros(len(values), np.bool_)
    present[row[has]] = True
    length = pc.fill_null(pc.binary_length(content), 0).to_numpy(zero_copy_only=False)
    at = np.flatnonzero(has & (length > 0))
    text = content.take(pa.array(at)).cast(pa.large_string())
    stands = np.zeros((len(at), 5), np.int64)
    stands[:, 1], stands[:, 2], stands[:, 3] = MESSAGE, index[at], -1
    return Messages(len(values), row[at], text, stands, present)


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _decoded(role: Any) -> str:
    try:
        return str(role.as_py())
    except UnicodeDecodeError:
        raise ValueError("is not valid UTF-8") from None


def _encodable(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
