"""Rows on their way to the output, as arrays: what selection and weights work on.

A unit is a row that may be written: a row of the data, a copy that an edit made, or a row of a pool. It carries the
code of its cell (label, groups on each axis, length bucket) and its root's row key; everything random about it is a
function of that key. Units stand in the order of the output: by row of the data, then by the step that made them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ..data.hashing import Keys, Salt, combine, mix
from .spilling import forget, is_zero, stretches, taken

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Pattern = tuple[str, ...]
T = TypeVar("T")
_MOST_BINS = 1 << 22


_STEPS = 1 << 16


def variant_of(step: int, copy: int = 0) -> int:
    """Number of what a step (index) made: one copy of a row, or the first, second, ... of several.

    Examples
    --------
    >>> variant_of(0), variant_of(0, 2), step_of(np.array([variant_of(0), variant_of(4, 2)])).tolist()
    (1, 131073, [1, 5])
    """
    return copy * _STEPS + step + 1


def step_of(variant: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Number (from 1) of the step that made each variant; 0 for rows as they are."""
    return variant % _STEPS


@dataclass(slots=True)
class Cells:
    """The cells met so far, numbered in the order in which they came; nothing may depend on the numbers.

    Attributes
    ----------
    axes : tuple of str
        The axes whose groups tell cells apart.
    labels : list of str or None
        Label of each code.
    patterns : dict of axis name to list of patterns
        A pattern is the sorted tuple of a row's groups on the axis.
    table : list of tuple
        For each cell its label code, bucket and a pattern code an axis.
    """

    axes: tuple[str, ...]
    labels: list[str | None] = field(default_factory=list)
    patterns: dict[str, list[Pattern]] = field(default_factory=dict)
    table: list[tuple[int, ...]] = field(default_factory=list)
    _codes: dict[tuple[int, ...], int] = field(default_factory=dict)

    def label_codes(self, values: Sequence[str | None]) -> Codes:
        """Codes of labels, new ones added."""
        return _codes_of(self.labels, values)

    def pattern_codes(self, axis: str, values: Sequence[Pattern]) -> Codes:
        """Codes of an axis's patterns, new ones added."""
        return _codes_of(self.patterns.setdefault(axis, []), values)

    def copy(self) -> Cells:
        """The same cells, to which others can be added."""
        patterns = {axis: list(found) for axis, found in self.patterns.items()}
        return Cells(self.axes, list(self.labels), patterns, list(self.table), dict(self._codes))

    def codes(self, label: Codes, bucket: npt.NDArray[np.int8], patterns: Sequence[Codes]) -> Codes:
        """The cell of each row, from the codes of its label and of its patterns (an array an axis)."""
        rows = np.stack([label, bucket.astype(np.int32), *patterns], axis=1)
        if not len(rows):
            return np.zeros(0, np.int32)
        # One number a row sorts much faster than rows of numbers do.
        flat = np.zeros(len(rows), np.int64)
        for column in rows.T:
            flat = flat * (int(column.max()) + 1) + column
        _, first, back = np.unique(flat, return_index=True, return_inverse=True)
        found = np.empty(len(first), np.int32)
        for at, row in enumerate(map(tuple, rows[first].tolist())):
            if row not in self._codes:
                self._codes[row] = len(self.table)
                self.table.append(row)
            found[at] = self._codes[row]
        return found[back]

    def label_of(self) -> Codes:
        """Label code of each cell."""
        return np.array([row[0] for row in self.table], np.int32)

    def bucket_of(self) -> Codes:
        """Length bucket of each cell."""
        return np.array([row[1] for row in self.table], np.int32)

    def pattern_of(self, axis: str) -> Codes:
        """Pattern code of each cell on an axis."""
        at = 2 + self.axes.index(axis)
        return np.array([row[at] for row in self.table], np.int32)


def _codes_of(known: list[T], values: Sequence[T]) -> Codes:
    at = {value: code for code, value in enumerate(known)}
    codes = np.empty(len(values), np.int32)
    for place, value in enumerate(values):
        if value not in at:
            at[value] = len(known)
            known.append(value)
        codes[place] = at[value]
    return codes


@dataclass(frozen=True, slots=True)
class Units:
    """Units in the order of the output.

    Attributes
    ----------
    position : int64 array
        Row of the data; rows of pools have numbers beyond the last one.
    variant : int32 array
        0 for the row as it is, else what a step of the plan made (`variant_of`, `step_of`).
    repeat : int32 array
        0, and for the repetitions that resampling made 1, 2, ...
    by : int32 array
        Number (from 1) of the step that made the repetition; 0 for the others.
    cell : int32 array
    root : uint64 array
        Key of the row of the data that it comes from; of a pool's row its own.
    weight : float64 array
    """

    position: Ints
    variant: Codes
    repeat: Codes
    by: Codes
    cell: Codes
    root: Keys
    weight: Floats

    @property
    def n(self) -> int:
        """Number of units."""
        return len(self.position)

    def keys(self) -> Keys:
        """A key for each unit; that of a row as it is is its row key. Not to be written to."""
        if is_zero(self.variant) and is_zero(self.repeat):
            return self.root
        keys = np.array(self.root)
        for part in (self.variant, self.repeat):
            made = np.flatnonzero(part)
            keys[made] = combine(keys[made], part[made].astype(np.uint64))
        return keys

    def take(self, which: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Units:
        """The units at these places, in this order."""
        return Units(
            taken(self.position, which),
            taken(self.variant, which),
            taken(self.repeat, which),
            taken(self.by, which),
            taken(self.cell, which),
            taken(self.root, which),
            taken(self.weight, which),
        )

    def count_of(self, cells: int) -> Ints:
        """Units in each of so many cells."""
        return sum((np.bincount(self.cell[at], minlength=cells) for at in stretches(self.n)), np.zeros(cells, np.int64))

    def mass_of(self, cells: int) -> Floats:
        """Sum of the units' weights in each of so many cells."""
        mass = np.zeros(cells)
        for at in stretches(self.n):
            mass += np.bincount(self.cell[at], weights=self.weight[at], minlength=cells)
        return mass

    def times(self, times: Ints, *, step: int) -> Units:
        """Each unit so many times: 0 drops it, more than one repeats it right behind itself.

        `step` is the index of the step that does so.
        """
        if (times == 1).all():
            return self
        if times.max(initial=0) <= 1 and is_zero(self.repeat):
            return self.take(times > 0)
        taken = self.take(np.repeat(np.arange(self.n), times))
        # Count anew within each row and variant, so that what is left of a row always includes repetition 0.
        same = np.zeros(taken.n, np.bool_)
        same[1:] = (taken.position[1:] == taken.position[:-1]) & (taken.variant[1:] == taken.variant[:-1])
        first = np.flatnonzero(~same)
        repeat = np.arange(taken.n) - np.repeat(first, np.diff(np.append(first, taken.n)))
        by = np.where(repeat == 0, 0, np.where(taken.repeat > 0, taken.by, step + 1))
        return replace(taken, repeat=repeat.astype(np.int32), by=by.astype(np.int32))

    def weighted(self, weight: Floats) -> Units:
        """The same units with other weights."""
        return replace(self, weight=weight)

    @staticmethod
    def joined(parts: Sequence[Units]) -> Units:
        """Several units as one, in the order of the output."""
        if not parts:
            none = np.zeros(0, np.int32)
            return Units(
                none.astype(np.int64),
                none,
                none,
                none,
                none,
                none.astype(np.uint64),
                none.astype(np.float64),
            )
        everything = Units(
            np.concatenate([part.position for part in parts]),
            np.concatenate([part.variant for part in parts]),
            np.concatenate([part.repeat for part in parts]),
            np.concatenate([part.by for part in parts]),
            np.concatenate([part.cell for part in parts]),
            np.concatenate([part.root for part in parts]),
            np.concatenate([part.weight for part in parts]),
        )
        return everything.take(np.lexsort((everything.repeat, everything.variant, everything.position)))


def draw(keys: Keys, group: Codes, wanted: Ints, *, salt: Salt) -> Ints:
    """How often each unit is kept so that each group ends with exactly as many units as wanted.

    Parameters
    ----------
    keys : uint64 array
        Key of each unit.
    group : int32 array
        Group of each unit; negative: kept once whatever happens.
    wanted : int64 array
        Units wanted of each group. A group without units must want none.
    salt : str, int or tuple
        What the draw is for, the seed included.

    Returns
    -------
    array of whole numbers, as small as they can be
        Every unit ``wanted // n`` times, and those with the smallest hashes once more.

    Examples
    --------
    >>> keys = np.arange(5, dtype=np.uint64)
    >>> times = draw(keys, np.array([0, 0, 0, 1, -1], np.int32), np.array([1, 3]), salt=0)
    >>> int(times[:3].sum()), times[3:].tolist()
    (1, [3, 1])
    """
    n = len(keys)
    sizes = np.zeros(len(wanted) + 1, np.int64)  # the last: of negative groups, which are found there too
    for at in stretches(n):
        sizes += np.bincount(np.maximum(group[at], -1) % len(sizes), minlength=len(sizes))[: len(sizes)]
    sizes = sizes[:-1]
    if (wanted[sizes == 0] > 0).any():
        raise ValueError("units wanted of a group that has none")
    whole, extra = np.divmod(wanted, np.maximum(sizes, 1))
    most = int(whole.max(initial=1)) + 1
    kind = next(kind for kind in (np.int8, np.int16, np.int32, np.int64) if most <= np.iinfo(kind).max)
    each = np.append(whole, 1).astype(kind)
    times: Ints = np.empty(n, kind)
    for at in stretches(n):
        times[at] = each[np.maximum(group[at], -1)]
    _draw_more(times, keys, group, extra, salt)
    return times


def _draw_more(times: Any, keys: Keys, group: Codes, extra: Ints, salt: Salt) -> None:
    """Once more those of each group with the smallest hashes, `extra` of them.

    By a histogram of the hashes' first bits it is known of nearly all units whether they are among them; the others
    are sorted. So only these take memory.
    """
    drawn = np.flatnonzero(extra)
    if not len(drawn):
        return
    slot_of = np.full(len(extra) + 1, -1, np.int32)
    slot_of[drawn] = np.arange(len(drawn))
    bits = min(max(int(np.log2(max(min(len(keys), _MOST_BINS) // len(drawn), 2))), 1), 16)

    def ranked() -> Iterator[tuple[Ints, Codes, Keys, Ints]]:
        for at in stretches(len(keys)):
            slot = slot_of[np.maximum(group[at], -1)]
            here = np.flatnonzero(slot >= 0)
            rank = mix(np.asarray(keys[at])[here], salt=salt)
            forget(keys)
            yield here + at.start, slot[here], rank, (rank >> np.uint64(64 - bits)).astype(np.int64)

    histogram = np.zeros(len(drawn) << bits, np.int64)
    for _, slot, _, first in ranked():
        histogram += np.bincount((slot.astype(np.int64) << bits) + first, minlength=len(histogram))
    below = np.cumsum(histogram.reshape(len(drawn), -1), axis=1)
    edge = (below < extra[drawn][:, None]).sum(axis=1)
    left = extra[drawn] - np.where(edge > 0, below[np.arange(len(drawn)), edge - 1], 0)
    near: list[tuple[Ints, Codes, Keys]] = []
    for place, slot, rank, first in ranked():
        times[place[first < edge[slot]]] += 1
        at_edge = first == edge[slot]
        near.append((place[at_edge], slot[at_edge], rank[at_edge]))
    place, slot, rank = (np.concatenate(part) for part in zip(*near, strict=True))
    order = np.lexsort((place, rank, slot))
    ordered = slot[order]
    within = np.arange(len(ordered)) - np.searchsorted(ordered, ordered, side="left")
    times[place[order[within < left[ordered]]]] += 1
