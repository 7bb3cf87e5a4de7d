"""The words of one batch: documents by word, label and side, by sorting whole numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..data.errors import InputError
from .tally import AxisNote
from .vocabulary import MOST_COLUMNS, SHIFT, TOO_MANY_COLUMNS, Column, Ints, Words, numbering, starts

if TYPE_CHECKING:
    from ..data.membership import Membership
    from ..data.scan import Scanned


def count_words(
    scanned: Scanned, axes: Mapping[str, AxisNote], label: Ints, labels: Sequence[str | None], *, limit: int
) -> Words:
    """Count the documents of a scanned batch by word.

    Parameters
    ----------
    scanned : Scanned
        Scanned with its tokens.
    axes : mapping of axis to AxisNote
        With all groups of the batch.
    label : int array of shape (rows,)
        Index into `labels`.
    labels : sequence of str or None
        Those of the batch, None where a row has none.
    limit : int
        As in `Words`; one batch is always counted exactly.

    Notes
    -----
    An axis whose word list contrasts two groups counts the rows of each without the other. Any other axis counts, for
    each group that sets a status, the rows that have no other such group and those that have, and besides all rows.
    """
    tokens = scanned.tokens
    if tokens is None:
        raise ValueError("scan with tokens=True to count words")
    number = numbering()
    spelling = np.fromiter(map(number.__getitem__, tokens.folded), np.int64, len(tokens.folded))
    words = tuple(number)
    views = [_Side.of(name, scanned.members[name], note) for name, note in axes.items()]
    # Rows by label and by the side of one axis, so that after the sort a word's documents come column by column.
    first = max((view for view in views if view.single), key=lambda view: view.rows, default=None)
    order = np.lexsort((label,) if first is None else (first.of_row, label))
    of_label = label[order]
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    bits = max(len(order), 1).bit_length()
    key = np.repeat(rank, np.diff(tokens.splits))
    key |= (spelling << bits)[tokens.ids]
    key.sort()
    key = key[starts(key)]
    word, row = key >> bits, key & ((1 << bits) - 1)
    table = _Table()
    if not all(is_pair(note) for note in axes.values()):
        columns = [Column(None, None, alone=False, label=text) for text in labels]
        table.put(columns, word, of_label[row], of_label, ordered=True)
    for view in views:
        columns = [Column(view.axis, group, alone, text) for text in labels for group, alone in view.sides]
        picked, column = view.columns(row, of_label, order)
        _, documents = view.columns(np.arange(len(order)), of_label, order)
        table.put(columns, word[picked], column, documents, ordered=view is first)
    return table.words(words, np.bincount(word, minlength=len(words)), limit)


@dataclass(frozen=True, slots=True)
class _Side:
    """The sides of one axis that occur.

    Attributes
    ----------
    sides : list of (group, alone)
    code : int array of shape (rows,)
        The set of groups of each row.
    begin, size : int arrays of shape (sets,)
        Where the sides of a set begin in `side`, and how many they are.
    side : int array
    """

    axis: str
    sides: list[tuple[str, bool]]
    code: npt.NDArray[np.int32]
    begin: Ints
    size: Ints
    side: Ints

    @staticmethod
    def of(axis: str, member: Membership, note: AxisNote) -> _Side:
        number: dict[tuple[str, bool], int] = {}
        size, side = [], []
        for pattern in member.patterns:
            groups = [group for group in pattern if note.groups[group].status]
            if is_pair(note) and len(groups) != 1:
                groups = []
            size.append(len(groups))
            side += [number.setdefault((group, len(groups) == 1), len(number)) for group in groups]
        sizes = np.array(size, np.int64)
        return _Side(axis, list(number), member.code, np.cumsum(sizes) - sizes, sizes, np.array(side, np.int64))

    @property
    def single(self) -> bool:
        """Whether no row is on two sides."""
        return bool(self.size.max(initial=0) <= 1)

    @property
    def rows(self) -> int:
        return int(np.count_nonzero(self.size[self.code]))

    @property
    def of_row(self) -> Ints:
        """The side of each row, one less than the first where it has none; for a single axis."""
        if not len(self.side):
            return np.full(len(self.code), -1)
        of_set = np.where(self.size > 0, self.side[np.minimum(self.begin, len(self.side) - 1)], -1)
        return of_set[self.code]

    def columns(self, row: Ints, of_label: Ints, order: Ints) -> tuple[Ints, Ints]:
        """For rows in the order given: which are on a side, as often as they are, and the column of each time."""
        width = len(self.sides)
        if self.single:
            side = self.of_row[order]
            column = np.where(side >= 0, of_label * width + side, -1)[row]
            picked = np.flatnonzero(column >= 0)
            return picked, column[picked]
        sides, begin = self.size[self.code[order]], self.begin[self.code[order]]
        some = np.flatnonzero(sides[row])
        times = sides[row[some]]
        picked = np.repeat(some, times)
        within = np.arange(len(picked)) - np.repeat(np.cumsum(times) - times, times)
        at = row[picked]
        return picked, of_label[at] * width + self.side[begin[at] + within]


class _Table:
    """Columns put side by side."""

    def __init__(self) -> None:
        self.columns: list[Column] = []
        self.documents, self.pairs = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        self.key, self.count = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]

    def put(self, columns: Sequence[Column], word: Ints, column: Ints, rows: Ints, *, ordered: bool) -> None:
        """Count the pairs (word, column), of which each is one document, and the column of each row."""
        documents = np.bincount(rows, minlength=len(columns))
        used = np.flatnonzero(documents)
        if len(used) + len(self.columns) >= MOST_COLUMNS:
            raise InputError(TOO_MANY_COLUMNS)
        place = np.cumsum(documents > 0) - 1
        key = (word << SHIFT) + place[column]
        if not ordered:
            key.sort()
        first = starts(key)
        self.key.append(key[first] + len(self.columns))
        self.count.append(np.diff(first, append=len(key)))
        self.documents.append(documents[used])
        self.pairs.append(np.bincount(column, minlength=len(columns))[used])
        self.columns += [columns[at] for at in used.tolist()]

    def words(self, words: tuple[str, ...], score: Ints, limit: int) -> Words:
        key, counts = np.concatenate(self.key), np.concatenate(self.count)
        documents, pairs = np.concatenate(self.documents), np.concatenate(self.pairs)
        return Words(limit, 0, words, score, tuple(self.columns), documents, pairs, key, counts)


def is_pair(note: AxisNote) -> bool:
    """Whether the axis contrasts two groups that are known before any row."""
    return note.kind == "lexicon" and sum(known.status for known in note.groups.values()) == 2
