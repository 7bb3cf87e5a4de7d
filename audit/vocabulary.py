"""The open vocabulary: in how many documents each word stands, by label and by side of each contrast.

Counts of two sets of rows add exactly while both together have no more words than the stated limit. Beyond it the
rarest words go, and how far any count may fall short is stored (Misra & Gries 1982; merging: Agarwal et al. 2013).
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..data.errors import InputError

LIMIT_WORDS = 1 << 18
CELLS_A_WORD = 24  # counts kept a word, on average: memory is bounded however many labels and groups there are

SHIFT = 24  # bits for the number of a column within a key
MOST_COLUMNS = 1 << SHIFT
TOO_MANY_COLUMNS = "there are too many different labels and groups to count words by; use fewer axes"
COLUMN = MOST_COLUMNS - 1
_BUFFER = 1 << 21  # counts that wait until they are merged in one go
_SLACK = 2  # so many times the words are let in before the rarest go, since that costs as much as it is rarely done

Ints = npt.NDArray[np.int64]


class Column(NamedTuple):
    """What documents are counted in one column.

    Attributes
    ----------
    axis, group : str or None
        None for all rows.
    alone : bool
        Rows in which the group is the only one of the axis that sets a status, or those with others besides.
    label : str or None
    """

    axis: str | None
    group: str | None
    alone: bool
    label: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """Documents by word and column, as keys and their counts.

    Attributes
    ----------
    limit : int
        Words up to which counts are exact.
    bound : int
        By how much any count may fall short; 0 while exact. Words that are missing stood in at most so many documents.
    words : tuple of str
        Folded; in any order.
    score : int64 array of shape (words,)
        The counter that decides which words stay: documents with the word, less what was taken off.
    columns : tuple of Column
    documents, pairs : int64 arrays of shape (columns,)
        Rows of each column, and the sum over all words of documents with the word; exact in any case.
    key : int64 array
        ``word << 24 | column``, in any order.
    count : int64 array
        Documents, as long as `key`.

    Examples
    --------
    >>> empty = Words.zero()
    >>> add([empty, empty], start=empty) == empty, empty.exact
    (True, True)
    """

    limit: int
    bound: int
    words: tuple[str, ...] = field(repr=False)
    score: Ints = field(repr=False)
    columns: tuple[Column, ...] = field(repr=False)
    documents: Ints = field(repr=False)
    pairs: Ints = field(repr=False)
    key: Ints = field(repr=False)
    count: Ints = field(repr=False)

    @staticmethod
    def zero(limit: int = LIMIT_WORDS) -> Words:
        """The counts of no rows."""
        if limit < 1:
            raise InputError(f"words: the limit is {limit}; it must be at least 1 word")
        none = np.zeros(0, np.int64)
        return Words(limit, 0, (), none, (), none, none, none, none)

    @property
    def exact(self) -> bool:
        """Whether every count is exact."""
        return self.bound == 0

    @property
    def nbytes(self) -> int:
        """Memory of the arrays and about that of the strings."""
        arrays = sum(part.nbytes for part in (self.score, self.documents, self.pairs, self.key, self.count))
        return arrays + sum(map(len, self.words)) + 57 * len(self.words)

    def canonical(self) -> Words:
        """The same counts with words and columns in order."""
        by_word = sorted(range(len(self.words)), key=self.words.__getitem__)
        by_column = sorted(range(len(self.columns)), key=lambda at: _order(self.columns[at]))
        key, count = summed(_renumbered(self.key, _inverse(by_word), _inverse(by_column)), self.count)
        return Words(
            self.limit,
            self.bound,
            tuple(self.words[at] for at in by_word),
            self.score[by_word],
            tuple(self.columns[at] for at in by_column),
            self.documents[by_column],
            self.pairs[by_column],
            key,
            count,
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Words):
            return NotImplemented
        one, two = self.canonical(), other.canonical()
        if (one.limit, one.bound, one.words, one.columns) != (two.limit, two.bound, two.words, two.columns):
            return False
        parts = ("score", "documents", "pairs", "key", "count")
        return all(np.array_equal(getattr(one, part), getattr(two, part)) for part in parts)

    __hash__ = None  # type: ignore[assignment]


def add(parts: Iterable[Words], *, start: Words) -> Words:
    """The sum of many counts.

    Parameters
    ----------
    parts : iterable of Words
        In any order. While all of them together have at most `Words.limit` words (and 24 times as many counts), the
        sum does not depend on the order or the cuts; beyond that every sum keeps within its own `Words.bound`.
    start : Words
        Usually `Words.zero`.
    """
    gather = Gather(start)
    for part in parts:
        gather.add(part)
    return gather.finish()


class Gather:
    """Adds counts up in place: a word list, and one sorted table with a buffer before it. See `add`."""

    def __init__(self, start: Words) -> None:
        self.limit, self.bound = start.limit, 0
        self.number = numbering()
        self.score = np.zeros(1 << 10, np.int64)
        self.column: dict[Column, int] = {}
        self.totals = np.zeros((2, 0), np.int64)
        self.key, self.count = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self.waiting: list[tuple[Ints, Ints]] = []
        self.buffered = 0
        self.add(start)

    def add(self, part: Words) -> None:
        """Add one; what is added is not changed."""
        if part.limit != self.limit:
            raise InputError(
                f"these word counts do not add: one keeps {self.limit:,} words, the other {part.limit:,}; "
                "audit the data again"
            )
        self.bound += part.bound
        word, column = self._numbers(part.words), self._columns(part.columns)
        self.score[word] += part.score  # no word comes twice in one part, nor does a column
        self.totals[:, column] += np.stack([part.documents, part.pairs])
        if len(part.key):
            self.waiting.append((_renumbered(part.key, word, column), part.count))
            self.buffered += len(part.key)
        if self.buffered >= _BUFFER:
            self._merge()
        self._keep_within(self.limit * _SLACK, self.limit * CELLS_A_WORD * 5 // 4)

    def finish(self) -> Words:
        """The sum. Nothing may be added after it."""
        self._merge()
        self._keep_within(self.limit, self.limit * CELLS_A_WORD)
        return Words(
            self.limit,
            self.bound,
            tuple(self.number),
            self.score[: len(self.number)].copy(),
            tuple(self.column),
            self.totals[0].copy(),
            self.totals[1].copy(),
            self.key,
            self.count,
        )

    def _numbers(self, words: Sequence[str]) -> Ints:
        found = np.fromiter(map(self.number.__getitem__, words), np.int64, len(words))
        if len(self.number) > len(self.score):
            self.score = np.concatenate([self.score, np.zeros(len(self.number), np.int64)])
        return found

    def _columns(self, columns: Sequence[Column]) -> Ints:
        found = np.array([self.column.setdefault(one, len(self.column)) for one in columns], np.int64)
        more = len(self.column) - self.totals.shape[1]
        if len(self.column) >= MOST_COLUMNS:
            raise InputError(TOO_MANY_COLUMNS)
        if more:
            self.totals = np.concatenate([self.totals, np.zeros((2, more), np.int64)], axis=1)
        return found

    def _merge(self) -> None:
        """Add what waits to the table; the table is never sorted again."""
        if not self.waiting:
            return
        key, count = (np.concatenate(part) for part in zip(*self.waiting, strict=True))
        self.waiting, self.buffered = [], 0
        key, count = summed(key, count)
        place = np.searchsorted(self.key, key)
        known = place < len(self.key)
        known[known] = self.key[place[known]] == key[known]
        self.count[place[known]] += count[known]
        if not known.all():
            new = ~known
            self.key = np.insert(self.key, place[new], key[new])
            self.count = np.insert(self.count, place[new], count[new])

    def _keep_within(self, most_words: int, most_cells: int) -> None:
        """Misra and Gries: what the first word to go has is taken off all; words with nothing left go."""
        words = len(self.number)
        if words <= most_words and len(self.key) + self.buffered > most_cells:
            self._merge()
        if words <= most_words and len(self.key) <= most_cells:
            return
        self._merge()
        limit = self.limit
        score = self.score[:words]
        cells = np.bincount(self.key >> SHIFT, minlength=words)
        order = np.argsort(-score, kind="stable")
        fits = (np.arange(1, words + 1) <= limit) & (np.cumsum(cells[order]) <= limit * CELLS_A_WORD)
        taken = int(score[order[int(np.argmin(fits))]])
        stays = score > taken
        self.bound += taken
        at = np.cumsum(stays) - 1
        of_word = self.key >> SHIFT
        kept = stays[of_word]
        self.key = (at[of_word[kept]] << SHIFT) | (self.key[kept] & COLUMN)
        self.count = self.count[kept]
        kept_words = [word for word, stay in zip(self.number, stays.tolist(), strict=True) if stay]
        self.number = numbering(kept_words)
        self.score = score[stays] - taken


def numbering(words: Sequence[str] = ()) -> defaultdict[str, int]:
    """A dictionary that numbers different words as it is asked for them.

    Examples
    --------
    >>> number = numbering(["she"])
    >>> number["ran"], number["she"]
    (1, 0)
    """
    return defaultdict(itertools.count(len(words)).__next__, zip(words, range(len(words)), strict=True))


def summed(key: Ints, count: Ints) -> tuple[Ints, Ints]:
    """Different keys, ascending, and the sum of the counts of each.

    Notes
    -----
    Whole numbers sort some five times as fast as they can be ordered by `numpy.argsort`, so where word, column and
    count fit into one number, that is sorted.
    """
    if not len(key):
        return key, count
    columns, counts = (int(part.max()).bit_length() for part in (key & COLUMN, count))
    if int(key.max() >> SHIFT).bit_length() + columns + counts < 64:
        packed = (((key >> SHIFT) << columns | (key & COLUMN)) << counts) | count
        packed.sort()
        count, packed = packed & ((1 << counts) - 1), packed >> counts
        key = (packed >> columns) << SHIFT | (packed & ((1 << columns) - 1))
    else:
        order = np.argsort(key)
        key, count = key[order], count[order]
    first = starts(key)
    return (key, count) if len(first) == len(key) else (key[first], np.add.reduceat(count, first))


def starts(ordered: Ints) -> Ints:
    """Where a new value begins.

    Examples
    --------
    >>> starts(np.array([3, 3, 5])).tolist()
    [0, 2]
    """
    new = np.empty(len(ordered), np.bool_)
    new[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return np.flatnonzero(new)


def _renumbered(key: Ints, word: Ints, column: Ints) -> Ints:
    result: Ints = (word[key >> SHIFT] << SHIFT) | column[key & COLUMN]
    return result


def _inverse(order: Sequence[int]) -> Ints:
    result = np.empty(len(order), np.int64)
    result[list(order)] = np.arange(len(order))
    return result


def _order(column: Column) -> tuple[tuple[bool, str], ...]:
    """Sort columns whose parts may be None: it comes first."""
    return tuple((part is not None, "" if part is None else str(part)) for part in column)
