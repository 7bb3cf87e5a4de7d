"""The two sides of a contrast: documents of each word by label, from the word counts of a tally."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ..data.errors import InputError, suggest
from .tally import AxisNote, Tally
from .vocabulary import COLUMN, SHIFT, Ints, Words, starts, summed

Against = Literal["others", "rest"]

_LEAST = 2  # rows of each side that a label needs: as in the leakage of a probe, which this is compared with


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """Documents by word, label and side.

    Attributes
    ----------
    axis, first, second : str
        The axis and what the sides are called.
    labels : tuple of str or None
        Labels with rows on both sides; one None where no row has a label.
    words : tuple of str
        Words on either side.
    rows : int64 array of shape (2, labels)
        Documents of each side.
    pairs : int64 array of shape (2, labels)
        Sum over all words of documents with the word.
    word, label : int64 arrays
        Of each pair of a word and a label that it stands in; by word.
    with_word : int64 array of shape (2, pairs of word and label)
        Documents of each side with the word.
    bound : int
        By how much the counts of a word may fall short in all.
    """

    axis: str
    first: str
    second: str
    labels: tuple[str | None, ...]
    words: tuple[str, ...] = field(repr=False)
    rows: Ints = field(repr=False)
    pairs: Ints = field(repr=False)
    word: Ints = field(repr=False)
    label: Ints = field(repr=False)
    with_word: Ints = field(repr=False)
    bound: int = 0

    @property
    def totals(self) -> Ints:
        """Documents with each word on either side."""
        return np.bincount(self.word, weights=self.with_word.sum(0), minlength=len(self.words)).astype(np.int64)

    def keep(self, chosen: Ints) -> Sides:
        """Only these words, ascending numbers."""
        place = np.full(len(self.words), -1, np.int64)
        place[chosen] = np.arange(len(chosen))
        at = np.flatnonzero(place[self.word] >= 0)
        words = tuple(self.words[k] for k in chosen.tolist())
        return Sides(
            self.axis,
            self.first,
            self.second,
            self.labels,
            words,
            self.rows,
            self.pairs,
            place[self.word[at]],
            self.label[at],
            self.with_word[:, at],
            self.bound,
        )


def sides_of(tally: Tally, axis: str, *, against: Against | None = None, least: int = 0) -> Iterator[Sides]:
    """The contrasts of an axis.

    Parameters
    ----------
    tally : Tally
        With its words.
    axis : str
        Its name.
    against : {"others", "rest"}, optional
        What a group is compared with where there are more than two: "others" compares rows that name this group only
        with rows that name exactly one other; "rest" compares all its rows with all that do not name it. "others" by
        default, since texts that name any group differ from all others in length and kind, which tells nothing about
        this one. An axis of one group can only be compared with the rest.
    least : int
        Contrasts with fewer rows on a side come without words.

    Yields
    ------
    Sides
        For a pair of groups one, else one for each group that sets a status.

    Raises
    ------
    InputError
        When the tally has no such axis or counts no words.
    """
    note = note_of(tally, axis)
    if tally.words is None:
        raise InputError("this tally counts no words; audit the data again with its words counted")
    groups = status_groups(note)
    if not groups:
        return
    table = _Columns(tally.words, axis, least)
    if len(groups) == 2 and note.kind != "intersection":
        one, other = (table.sum(group, alone=True) for group in groups)
        yield table.sides(axis, (groups[0], groups[1]), one, other)
        return
    if against is None:
        against = "others" if len(groups) > 1 else "rest"
    elif against == "others" and len(groups) == 1:
        raise InputError(f'axis "{axis}" has one group, so there are no others; compare it with the rest')
    every = table.sum(None) if against == "rest" else table.sum_of(groups)
    for group in groups:
        one = table.sum(group, alone=None if against == "rest" else True)
        yield table.sides(axis, (group, "others" if against == "others" else f"not {group}"), one, _less(every, one))


def note_of(tally: Tally, axis: str) -> AxisNote:
    """What is known of an axis; one that the tally does not have is an InputError."""
    if axis not in tally.axes:
        names = tuple(tally.axes)
        raise InputError(f'the tally has no axis "{axis}"; it has {", ".join(names)}.{suggest(axis, names)}')
    return tally.axes[axis]


def status_groups(note: AxisNote) -> tuple[str, ...]:
    """Groups that may set a status; a lexicon's in its order, others sorted."""
    groups = [group for group, known in note.groups.items() if known.status]
    return tuple(groups if note.kind == "lexicon" else sorted(groups))


_Part = tuple[Ints, Ints, Ints, Ints]  # sorted keys of word and label, documents; rows and pairs of each label


class _Columns:
    """Columns of the word counts, picked and added up by label."""

    def __init__(self, words: Words, axis: str, least: int) -> None:
        self.words, self.least = words, least
        labels = sorted({one.label for one in words.columns if one.label is not None})
        # Rows without label tell nothing beside rows with one; where no row has one they are all there is.
        self.labels: tuple[str | None, ...] = tuple(labels) or (None,)
        self.place = {label: at for at, label in enumerate(self.labels)}
        # Keys column by column, so that a group's can be picked without looking at all.
        column = (words.key & COLUMN).astype(np.uint16 if len(words.columns) < 1 << 16 else np.int64)
        self.order = np.argsort(column, kind="stable")
        self.starts = np.searchsorted(column[self.order], np.arange(len(words.columns) + 1))
        self.at = [
            (at, one) for at, one in enumerate(words.columns) if one.axis in (axis, None) and one.label in self.place
        ]

    def sum(self, group: str | None, *, alone: bool | None = None) -> _Part:
        """Rows of a group, alone or with others or both; of None all rows."""
        return self._add([at for at, one in self.at if one.group == group and alone in (None, one.alone)])

    def sum_of(self, groups: Sequence[str]) -> _Part:
        """Rows that name exactly one of the groups."""
        return self._add([at for at, one in self.at if one.group in groups and one.alone])

    def _add(self, columns: Sequence[int]) -> _Part:
        words = self.words
        target = np.full(len(words.columns), -1, np.int64)
        for at in columns:
            target[at] = self.place[words.columns[at].label]
        chosen = np.concatenate(
            [np.zeros(0, np.int64), *(self.order[self.starts[at] : self.starts[at + 1]] for at in columns)]
        )
        key = words.key[chosen]
        key, count = summed((key & ~np.int64(COLUMN)) | target[key & COLUMN], words.count[chosen])
        rows, pairs = (
            np.bincount(target[list(columns)], weights=part[list(columns)], minlength=len(self.labels)).astype(np.int64)
            for part in (words.documents, words.pairs)
        )
        return key, count, rows, pairs

    def sides(self, axis: str, names: tuple[str, str], one: _Part, other: _Part) -> Sides:
        rows, pairs = np.stack([one[2], other[2]]), np.stack([one[3], other[3]])
        used = np.flatnonzero((rows >= _LEAST).all(axis=0))
        key = np.sort(np.concatenate([one[0], other[0]]))
        if rows[:, used].sum(axis=1).min() < self.least:
            key = key[:0]
        key = key[starts(key)]
        label = np.full(len(self.labels), -1, np.int64)
        label[used] = np.arange(len(used))
        key = key[label[key & COLUMN] >= 0]
        counts = np.stack([_at(key, part) for part in (one, other)])
        word = key >> SHIFT
        new = starts(word)
        return Sides(
            axis,
            *names,
            tuple(self.labels[at] for at in used.tolist()),
            tuple(self.words.words[at] for at in word[new].tolist()),
            rows[:, used],
            pairs[:, used],
            np.repeat(np.arange(len(new)), np.diff(new, append=len(word))),
            label[key & COLUMN],
            counts,
            self.words.bound,
        )


def _at(key: Ints, part: _Part) -> Ints:
    """The counts of these keys, 0 where there is none."""
    place = np.searchsorted(part[0], key)
    found = place < len(part[0])
    found[found] = part[0][place[found]] == key[found]
    result = np.zeros(len(key), np.int64)
    result[found] = part[1][place[found]]
    return result


def _less(every: _Part, one: _Part) -> _Part:
    """What is left of some rows without others of them."""
    return every[0], every[1] - _at(every[0], one), every[2] - one[2], every[3] - one[3]
