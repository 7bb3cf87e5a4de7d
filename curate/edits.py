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
        return self.take(rows[self.row])


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
    ordered = np.sort(values)
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
    # The bytes between and under the edits are one Arrow array over the same buffer: kept, edited, kept, edited, ...
    bounds = np.empty(2 * edits.n + 2, np.int64)
    bounds[0], bounds[-1] = 0, len(data)
    bounds[1:-1:2], bounds[2:-1:2] = edits.start, edits.end
    pieces = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), 2 * edits.n + 1, [None, pa.py_buffer(bounds), pa.py_buffer(np.ascontiguousarray(data))]
    )
    texts = pa.array(edits.texts, pa.large_string()).cast(pa.large_binary())
    which = np.zeros(2 * edits.n + 1, np.int64)
    which[1::2] = edits.after
    kept = np.ones(2 * edits.n + 1, np.bool_)
    kept[1::2] = False
    _, _, spliced = pc.coalesce(texts.take(pa.array(which, mask=kept)), pieces).buffers()
    grown = np.zeros(edits.n + 1, np.int64)
    if edits.n:
        sizes = np.diff(raw_bytes(texts)[1])
        np.cumsum(sizes[edits.after] - (edits.end - edits.start), out=grown[1:])
    # All edits of the rows before a boundary have moved it; edits never cross one.
    before = np.searchsorted(edits.row, np.arange(len(offsets)), side="left")
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets + grown[before]), spliced)


def splice_rows(tokens: Tokens, edits: Edits, rows: Ints) -> Any:
    """The texts of some rows (ascending) with their edits made; the others are not looked at."""
    whole = pa.LargeStringArray.from_buffers(tokens.n_rows, pa.py_buffer(tokens.offsets), pa.py_buffer(tokens.data))
    data, offsets = raw_bytes(whole.take(pa.array(rows)))
    place = np.searchsorted(rows, edits.row)
    shift = offsets[place] - tokens.offsets[edits.row]
    moved = replace(edits, row=place, start=edits.start + shift, end=edits.end + shift)
    return splice(data, offsets, moved)
