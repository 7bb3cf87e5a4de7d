"""Which groups each row of a batch belongs to, as a code into the few sets of groups that occur."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .arrays import distinct

CROSS = " & "
"""Between the names of the two groups of an intersection."""


@dataclass(frozen=True, slots=True)
class Membership:
    """The set of groups of each row, coded: few different sets occur.

    Attributes
    ----------
    patterns : tuple of tuple of str
        The sets, each as sorted group names; the first is ``()``, no group.
    code : numpy.ndarray of int32
        For each row an index into `patterns`.
    """

    patterns: tuple[tuple[str, ...], ...]
    code: npt.NDArray[np.int32]

    def sets(self) -> list[tuple[str, ...]]:
        """The groups of each row."""
        return [self.patterns[code] for code in self.code]

    def rows_with(self, group: str) -> npt.NDArray[np.bool_]:
        """Which rows are members of the group."""
        has = np.array([group in pattern for pattern in self.patterns], np.bool_)
        return has[self.code]


def intersection(first: Membership, second: Membership) -> Membership:
    """Rows by the pairs of their groups."""
    both = first.code.astype(np.int64) * len(second.patterns) + second.code
    found, inverse = np.unique(both, return_inverse=True)
    patterns = [
        tuple(
            sorted(
                a + CROSS + b
                for a in first.patterns[k // len(second.patterns)]
                for b in second.patterns[k % len(second.patterns)]
            )
        )
        for k in found.tolist()
    ]
    return _renumbered(patterns, inverse)


def _renumbered(patterns: Iterable[tuple[str, ...]], code: npt.NDArray[np.integer[Any]]) -> Membership:
    """A membership in which each set has one number and no group is number 0."""
    number: dict[tuple[str, ...], int] = {(): 0}
    new = np.array([number.setdefault(pattern, len(number)) for pattern in patterns], np.int32)
    return Membership(
        tuple(number), new[code].astype(np.int32, copy=False) if len(new) else np.zeros(len(code), np.int32)
    )


def coded(row: npt.NDArray[np.int64], group: npt.NDArray[np.int64], names: Sequence[str], n_rows: int) -> Membership:
    """Number the sets of groups of the rows, exactly and for any number of groups.

    The groups of a row are the digits of its key. Before keys outgrow 64 bits they are numbered anew; rows that end
    earlier keep the key they have, so only keys of rows with equally many groups can be compared.
    """
    width = len(names)
    pair = distinct(row * width + group)
    row, group = pair // width, pair % width
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    counts = np.diff(starts, append=len(row))
    key, bound = np.zeros(len(starts), np.int64), 1
    for step in range(int(counts.max(initial=0))):
        on = np.flatnonzero(counts > step)
        if bound * width >= 1 << 62:
            key[on], bound = np.unique(key[on], return_inverse=True)[1], len(on)
        key[on] = key[on] * width + group[starts[on] + step]
        bound *= width
    key = counts * max(len(key), 1) + np.unique(key, return_inverse=True)[1]
    _, first, number = np.unique(key, return_index=True, return_inverse=True)
    patterns = [tuple(names[k] for k in group[starts[at] : starts[at] + counts[at]].tolist()) for at in first.tolist()]
    code = np.zeros(n_rows, np.int32)
    code[row[starts]] = number + 1
    return Membership(((), *patterns), code)


def masked(mask: npt.NDArray[np.uint64], rows: npt.NDArray[np.int64], names: Sequence[str], n_rows: int) -> Membership:
    """Number the sets of groups given as bits, for at most 64 groups.

    Parameters
    ----------
    mask : numpy.ndarray of uint64
        Bit k: the row is a member of the k-th of `names`.
    rows : numpy.ndarray of int64
        The rows, each once; all others have no group.
    names : sequence of str
        In the order in which they stand in a set.
    n_rows : int
        How many rows there are.
    """
    ordered = distinct(mask.view(np.int64)).view(np.uint64)
    patterns = [tuple(name for k, name in enumerate(names) if bits >> k & 1) for bits in ordered.tolist()]
    known = _renumbered(patterns, np.arange(len(patterns)))
    code = np.zeros(n_rows, np.int32)
    # The bits are ordered as signed numbers, as `distinct` has them.
    code[rows] = known.code[np.searchsorted(ordered.view(np.int64), mask.view(np.int64))]
    return Membership(known.patterns, code)
