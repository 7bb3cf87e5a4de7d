"""Edits as arrays of spans over the raw text of a batch, and the text that they lead to.

All spans are byte offsets into the batch's raw bytes (`Tokens.data`), so edits of several steps never shift each other;
where two want the same bytes, the earlier step has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..data.tokens import Tokens

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Edits of up to so many bytes are made a byte at a time, all at once; the few longer ones one by one.
_SHORT = 16


@dataclass(frozen=True, slots=True)
class Edits:
    """Disjoint spans in ascending order, and what is put in their place.

    Attributes
    ----------
    row : int64 array
        Row in the batch.
    start, end : int64 arrays
        The span, as offsets into `Tokens.data`.
    token, length : int64 arrays
        First token and number of tokens of the word that was the reason; a span may be wider than its word.
    after : int64 array
        Index into `texts`.
    step : int64 array
        Index of the plan's step.
    texts : tuple of str
        The replacements, each once.
    """

    row: Ints
    start: Ints
    end: Ints
    token: Ints
    length: Ints
    after: Ints
    step: Ints
    texts: tuple[str, ...]

    @property
    def n(self) -> int:
        """Number of edits."""
        return len(self.row)

    def take(self, which: Ints | Bools) -> Edits:
        """The edits at these places, in this order."""
        if which.dtype == np.bool_ and which.all():
            return self
        return replace(
            self,
            row=self.row[which],
            start=self.start[which],
            end=self.end[which],
            token=self.token[which],
            length=self.length[which],
            after=self.after[which],
            step=self.step[which],
        )

    def of_rows(self, rows: Bools) -> Edits:
        """The edits of the rows marked in a mask over the batch."""
        return self if rows.all() else self.take(rows[self.row])


_EMPTY = np.zeros(0, np.int64)
NONE = Edits(_EMPTY, _EMPTY, _EMPTY, _EMPTY, _EMPTY, _EMPTY, _EMPTY, ())


def merged(parts: Sequence[Edits]) -> Edits:
    """The edits of several steps as one, in ascending order."""
    parts = [part for part in parts if part.n]
    if not parts:
        return NONE
    if len(parts) == 1:
        return parts[0]
    shift = np.cumsum([0, *(len(part.texts) for part in parts[:-1])])
    joined = Edits(
        row=np.concatenate([part.row for part in parts]),
        start=np.concatenate([part.start for part in parts]),
        end=np.concatenate([part.end for part in parts]),
        token=np.concatenate([part.token for part in parts]),
        length=np.concatenate([part.length for part in parts]),
        after=np.concatenate([part.after + by for part, by in zip(parts, shift, strict=True)]),
        step=np.concatenate([part.step for part in parts]),
        texts=tuple(text for part in parts for text in part.texts),
    )
    return joined.take(np.argsort(joined.start, kind="stable"))


def touched(taken: Edits, start: Ints, end: Ints) -> Bools:
    """Whether each span shares a byte with one of the (disjoint, ascending) edits."""
    if taken.n == 0:
        return np.zeros(len(start), np.bool_)
    before = np.searchsorted(taken.start, end, side="left") - 1
    result: Bools = (before >= 0) & (taken.end[np.maximum(before, 0)] > start)
    return result


def distinct(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The distinct values, ascending. Sorting beats the hash table of `numpy.unique` where most values differ."""
    ordered = values if (values[1:] >= values[:-1]).all() else np.sort(values)
    fresh = np.ones(len(ordered), np.bool_)
    fresh[1:] = ordered[1:] != ordered[:-1]
    return ordered[fresh]


def gather(data: npt.NDArray[np.uint8], start: Ints, end: Ints) -> Any:
    """The spans of a byte buffer as an Arrow array of strings."""
    lengths = end - start
    offsets = np.zeros(len(start) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    places = np.repeat(start - offsets[:-1], lengths) + np.arange(offsets[-1])
    return pa.LargeStringArray.from_buffers(len(start), pa.py_buffer(offsets), pa.py_buffer(data[places]))


def raw_bytes(text: Any) -> tuple[npt.NDArray[np.uint8], Ints]:
    """The bytes of an array of large strings without nulls, end to end, and where each row begins."""
    if not len(text):
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    _, where, held = text.buffers()
    offsets = np.frombuffer(where, np.int64)[text.offset : text.offset + len(text) + 1]
    data = np.zeros(0, np.uint8) if held is None else np.frombuffer(held, np.uint8)[offsets[0] : offsets[-1]]
    return data, offsets - offsets[0]


def splice(data: npt.NDArray[np.uint8], offsets: Ints, edits: Edits) -> Any:
    """The texts of all rows with the edits made.

    Parameters
    ----------
    data : uint8 array
        The raw bytes of all rows, end to end.
    offsets : int64 array
        Where each row begins, and the end.
    edits : Edits
        Disjoint and ascending.

    Returns
    -------
    pyarrow.LargeStringArray

    Examples
    --------
    >>> from evenset.data.tokens import tokenize
    >>> tokens = tokenize(pa.array(["She ran.", "So did he."]))
    >>> at, one = np.array([0, 4]), np.ones(2, np.int64)
    >>> edits = Edits(np.array([0, 1]), tokens.starts[at], tokens.ends[at], at, one, 0 * one, 0 * one, ("_",))
    >>> splice(tokens.data, tokens.offsets, edits).to_pylist()
    ['_ ran.', 'So did _.']
    """
    if not edits.n:
        return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))
    texts = pa.array(edits.texts, pa.large_string())
    size = np.diff(raw_bytes(texts)[1])[edits.after]
    length = edits.end - edits.start
    first = int(edits.after[0])
    if (edits.after == first).all():
        spliced = _joined(data, edits, texts[first])
    elif (size <= length).all():
        spliced = _overwritten(data, edits, texts, size)
    else:
        spliced = _interleaved(data, edits, texts)
    # All edits of the rows before a boundary have moved it; edits never cross one.
    grown = np.zeros(len(offsets), np.int64)
    np.cumsum(np.bincount(edits.row, size - length, len(offsets) - 1).astype(np.int64), out=grown[1:])
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets + grown), spliced)


def _pieces(data: npt.NDArray[np.uint8], edits: Edits) -> Any:
    """The bytes between and under the edits as one Arrow array over the same buffer: kept, edited, kept, edited, ..."""
    bounds = np.empty(2 * edits.n + 2, np.int64)
    bounds[0], bounds[-1] = 0, len(data)
    bounds[1:-1:2], bounds[2:-1:2] = edits.start, edits.end
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), 2 * edits.n + 1, buffers)


def _joined(data: npt.NDArray[np.uint8], edits: Edits, text: Any) -> Any:
    """The bytes with edits made that all write the same."""
    kept = _pieces(data, edits).take(pa.array(np.arange(0, 2 * edits.n + 1, 2)))
    whole = pc.binary_join(pa.LargeListArray.from_arrays([0, edits.n + 1], kept), text.cast(pa.large_binary()))
    return whole.buffers()[2]


def _overwritten(data: npt.NDArray[np.uint8], edits: Edits, texts: Any, size: Ints) -> Any:
    """The bytes with edits made that are no longer than what they replace: written over it, and the rest left out."""
    made, keep = data.copy(), np.ones(len(data), np.bool_)
    written, begins = raw_bytes(texts)
    begin, length = begins[edits.after], edits.end - edits.start
    for k in range(int(size.max())):
        has = size > k
        made[edits.start[has] + k] = written[begin[has] + k]
    longest = int(length.max())
    few = min(longest, _SHORT)
    for k in range(int(size.min()), few):
        gone = (k >= size) & (k < length)
        keep[edits.start[gone] + k] = False
    if longest > few:
        for at in np.flatnonzero(length > few).tolist():
            keep[edits.start[at] + max(few, int(size[at])) : edits.end[at]] = False
    return pa.py_buffer(made[keep])


def _interleaved(data: npt.NDArray[np.uint8], edits: Edits, texts: Any) -> Any:
    """The bytes with any edits made."""
    which = np.zeros(2 * edits.n + 1, np.int64)
    which[1::2] = edits.after
    kept = np.ones(2 * edits.n + 1, np.bool_)
    kept[1::2] = False
    _, _, spliced = pc.coalesce(
        texts.cast(pa.large_binary()).take(pa.array(which, mask=kept)), _pieces(data, edits)
    ).buffers()
    return spliced


def splice_rows(tokens: Tokens, edits: Edits, rows: Ints) -> Any:
    """The texts of some rows (ascending) with their edits made; the others are not looked at."""
    whole = pa.LargeStringArray.from_buffers(tokens.n_rows, pa.py_buffer(tokens.offsets), pa.py_buffer(tokens.data))
    data, offsets = raw_bytes(whole.take(pa.array(rows)))
    place = np.searchsorted(rows, edits.row)
    shift = offsets[place] - tokens.offsets[edits.row]
    moved = replace(edits, row=place, start=edits.start + shift, end=edits.end + shift)
    return splice(data, offsets, moved)
