"""Where edits of a batch's texts stand in the rows of the file: in which string of a conversation, or in the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ...data.dataset import Batch
from ...data.messages import SEGMENTS
from ...data.pointers import Splices
from ...data.tokens import Tokens
from ..edits import Edits, Ints, gather
from ..units import Units


@dataclass(frozen=True, slots=True)
class Places:
    """The strings that the texts of a batch are made of. Get them with `Places.of`.

    Attributes
    ----------
    tokens : Tokens
        Of the batch.
    pointer : string array or None
        JSON pointer of each message; None where a text is one string of its row.
    at : int64 array
        Byte of the string at which each message begins.
    start, end : int64 arrays
        The messages, ascending, as offsets into `Tokens.data`.
    """

    tokens: Tokens
    pointer: Any
    at: Ints
    start: Ints
    end: Ints

    @staticmethod
    def of(batch: Batch, tokens: Tokens) -> Places:
        """Those of a batch; of conversations that were read without segments nothing is known."""
        if SEGMENTS not in batch.table.schema.names:
            nothing = np.zeros(0, np.int64)
            return Places(tokens, None, nothing, nothing, nothing)
        found = batch.segments()
        before = tokens.offsets[found["row"].to_numpy()]
        pointer = found["pointer"].combine_chunks()
        at, start, end = (found[name].to_numpy() for name in ("at", "start", "end"))
        return Places(tokens, pointer, at, before + start, before + end)

    def find(self, edits: Edits) -> tuple[Any, Ints, Ints]:
        """Pointer (null: the text itself), start and end in the string of each edit.

        Raises
        ------
        ValueError
            For an edit across two messages, which no step makes.
        """
        if self.pointer is None:
            before = self.tokens.offsets[edits.row]
            return pa.nulls(edits.n, pa.string()), edits.start - before, edits.end - before
        which = np.searchsorted(self.start, edits.start, side="right") - 1
        if ((which < 0) | (edits.end > self.end[which])).any():
            raise ValueError("an edit reaches across two messages")
        start = self.at[which] + edits.start - self.start[which]
        return self.pointer.take(pa.array(which)), start, start + edits.end - edits.start


def splices(places: Places, variants: dict[int, Edits], units: Units, row: Ints) -> Splices | None:
    """The edits of each unit in the strings of its conversation; None where texts are no conversations.

    Parameters
    ----------
    places : Places
        Of the batch.
    variants : dict of int to Edits
        All edits of the rows of each variant (`Units.variant`).
    units : Units
        What is written of the batch.
    row : int64 array
        Row of the batch of each unit.
    """
    if places.pointer is None:
        return None
    unit, chosen, shift = [], [], 0
    parts = []
    for variant, edits in variants.items():
        mine = np.flatnonzero(units.variant == variant)
        first = np.searchsorted(edits.row, row[mine], side="left")
        count = np.searchsorted(edits.row, row[mine], side="right") - first
        within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        unit.append(np.repeat(mine, count))
        chosen.append(shift + np.repeat(first, count) + within)
        shift += edits.n
        parts.append(edits)
    pointer, start, end, old, new = [], [], [], [], []
    for edits in parts:
        found = places.find(edits)
        pointer.append(found[0])
        start.append(found[1])
        end.append(found[2])
        old.append(gather(places.tokens.data, edits.start, edits.end))
        new.append(pa.array(edits.texts, pa.large_string()).take(pa.array(edits.after)))
    which = np.concatenate(chosen)
    arrow = pa.array(which)
    return Splices(
        np.concatenate(unit),
        pa.concat_arrays(pointer).take(arrow),
        np.concatenate(start)[which],
        np.concatenate(end)[which],
        pa.concat_arrays(old).take(arrow),
        pa.concat_arrays(new).take(arrow),
    )
