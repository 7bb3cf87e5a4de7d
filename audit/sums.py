"""Cells and terms of many batches as arrays: making tables of every batch would take longer than counting it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .tally import UNIT, Cell, CellKey, Codes, TermKey

if TYPE_CHECKING:
    from ..data.axes import Axis
    from ..data.lexicon import Lexicon
    from ..data.membership import Membership

_WAITING = 1 << 20  # counts of cells that wait until they are added up
_LABELS = 64  # room for labels at first

Ints = npt.NDArray[np.int64]


def term_table(lexicon: Lexicon, counted: Ints, labels: Sequence[str | None]) -> dict[TermKey, int]:
    """Documents by form and label, from an array of shape (labels, forms)."""
    forms = [form.text for form in lexicon.forms]
    table: dict[TermKey, int] = {}
    for label, counts in zip(labels, counted, strict=False):
        at = np.flatnonzero(counts)
        table.update(zip(((forms[form], label) for form in at.tolist()), counts[at].tolist(), strict=True))
    return table


class Sums:
    """Adds up cells of rows without weights, and terms.

    Parameters
    ----------
    axes : sequence of Axis
    buckets : int
        How many length buckets there are.
    """

    def __init__(self, axes: Sequence[Axis], buckets: int) -> None:
        self._buckets = buckets
        self._labels: dict[str | None, int] = {}
        self._patterns: dict[str, dict[tuple[str, ...], int]] = {axis.name: {} for axis in axes}
        self._keys: dict[str, list[Ints]] = {axis.name: [] for axis in axes}
        self._rows: dict[str, list[Ints]] = {axis.name: [] for axis in axes}
        self._waiting: dict[str, int] = {axis.name: 0 for axis in axes}
        self._lexicons = {lexicon.name: lexicon for axis in axes for lexicon in axis.lexicons()}
        self._terms = {
            name: np.zeros((_LABELS, len(lexicon.forms)), np.int64) for name, lexicon in self._lexicons.items()
        }

    def add_cells(
        self, axis: str, label: Codes, labels: Sequence[str | None], member: Membership, bucket: npt.NDArray[np.int8]
    ) -> None:
        """Count the rows of a batch by label, pattern of groups and bucket."""
        known = self._patterns[axis]
        pattern = np.array([known.setdefault(one, len(known)) for one in member.patterns], np.int64)
        # Labels and patterns are numbered as they come, so a key stays what it is when more of them come.
        code = ((self._numbers(labels)[label] << 40) | (pattern[member.code] << 8) | bucket).astype(np.int64)
        code.sort()
        starts = np.flatnonzero(np.diff(code, prepend=-1))
        self._keys[axis].append(code[starts])
        self._rows[axis].append(np.diff(starts, append=len(code)))
        self._waiting[axis] += len(starts)
        if self._waiting[axis] > _WAITING:
            self._settle(axis)

    def add_terms(self, lexicon: str, counted: Ints, labels: Sequence[str | None]) -> None:
        """Add documents by label and form."""
        number = self._numbers(labels)
        held = self._terms[lexicon]
        if len(self._labels) > len(held):
            room = np.zeros((2 * len(self._labels), held.shape[1]), np.int64)
            room[: len(held)] = held
            self._terms[lexicon] = held = room
        held[number] += counted  # the labels of a batch are all different

    def cells(self) -> dict[str, dict[CellKey, Cell]]:
        """The cells of each axis."""
        labels = list(self._labels)
        tables: dict[str, dict[CellKey, Cell]] = {}
        for axis, known in self._patterns.items():
            self._settle(axis)
            patterns = list(known)
            tables[axis] = {
                (labels[key >> 40], patterns[key >> 8 & 0xFFFFFFFF], key & 0xFF): Cell(rows, rows * UNIT, rows * UNIT)
                for key, rows in zip(self._keys[axis][0].tolist(), self._rows[axis][0].tolist(), strict=True)
            }
        return tables

    def terms(self) -> dict[str, dict[TermKey, int]]:
        """Documents by form and label for each lexicon."""
        return {name: term_table(self._lexicons[name], held, list(self._labels)) for name, held in self._terms.items()}

    def _numbers(self, labels: Sequence[str | None]) -> Ints:
        return np.array([self._labels.setdefault(label, len(self._labels)) for label in labels], np.int64)

    def _settle(self, axis: str) -> None:
        none = np.zeros(0, np.int64)
        key = np.concatenate([none, *self._keys[axis]])
        rows = np.concatenate([none, *self._rows[axis]])
        order = np.argsort(key, kind="stable")
        key, rows = key[order], rows[order]
        starts = np.flatnonzero(np.diff(key, prepend=-1))
        self._keys[axis] = [key[starts]]
        self._rows[axis] = [np.add.reduceat(rows, starts) if len(starts) else none]
        self._waiting[axis] = len(starts)
