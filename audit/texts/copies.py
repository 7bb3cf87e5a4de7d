"""Exact duplicates over all rows, in 18 bytes a row: repeated texts, repeated words, and labels that contradict.

Each row leaves a hash of its folded words, half a hash of its text, its label and its number. Beyond `MOST` rows only
texts with small hashes stay, all copies of each, so that shares remain right on average.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...data.errors import InputError
from ...data.hashing import Keys, combine, hash64
from ...data.tokens import Tokens
from ..findings import LEVEL
from ..intervals import wilson

Ints = npt.NDArray[np.int64]

MOST = 8_000_000
"""Rows held at most: 144 MB, and for a moment twice that."""

_EXAMPLES = 5
_NO_LABEL = 0xFFFF
_BLOCK = 1 << 15
_STEP, _ODD = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_EVERY = np.uint64(2**64 - 1)
_ROW = np.dtype([("words", "<u8"), ("text", "<u4"), ("row", "<u4"), ("label", "<u2")])


@dataclass(frozen=True, slots=True)
class Share:
    """A share of rows (or of texts) with its interval.

    Attributes
    ----------
    count, n : int
    estimate, low, high : float
    """

    count: int
    n: int
    estimate: float
    low: float
    high: float


def share_of(hits: npt.ArrayLike, sizes: npt.ArrayLike, *, level: float = LEVEL) -> Share:
    """Share of rows with something, where rows come in clusters.

    Parameters
    ----------
    hits, sizes : array
        Rows with it, and rows, of each cluster.
    level : float
        Confidence level.

    Notes
    -----
    A ratio of two cluster totals; its linearised variance says how many independent rows it is worth, and Wilson's
    interval is that of so many rows, never more than there are.

    Examples
    --------
    >>> share = share_of([0, 1, 0, 2], [1, 2, 3, 4])
    >>> share.count, share.n, round(share.low, 3), round(share.high, 3)
    (3, 10, 0.104, 0.614)
    """
    x, m = np.asarray(hits, np.float64), np.asarray(sizes, np.float64)
    n = float(m.sum())
    if not n:
        return Share(0, 0, math.nan, math.nan, math.nan)
    p = float(x.sum()) / n
    off = x - p * m
    variance = float(off @ off) / n**2 * len(m) / max(len(m) - 1, 1)
    # All or nothing: the variance is 0 whatever the clusters, so the clusters are what is counted.
    worth = min(p * (1 - p) / variance, n) if variance > 0 else float(len(m))
    found = wilson(p * worth, worth, level=level)
    return Share(int(x.sum()), int(n), p, float(found.low), float(found.high))


@dataclass(frozen=True, slots=True)
class CopyCounts:
    """What repeats in a dataset.

    Attributes
    ----------
    rows : int
        With words; only they can be copies.
    searched : int
        Rows among them that were looked at.
    empty : int
        Rows without a word.
    exact : Share
        Rows whose text, byte for byte, has come before.
    words : Share
        Rows whose words, whatever their case and punctuation, have come before.
    conflicts : Share
        Texts (by their words) that are there more than once with labels, in which two labels differ.
    conflicting_rows : tuple of int
        Numbers of some rows of such texts, from 0.
    copied_rows : tuple of int
        Numbers of some rows whose words have come before.
    """

    rows: int
    searched: int
    empty: int
    exact: Share
    words: Share
    conflicts: Share
    conflicting_rows: tuple[int, ...]
    copied_rows: tuple[int, ...]


class Copies:
    """Collects hashes while batches go by.

    Parameters
    ----------
    most : int
        Rows to hold.

    Examples
    --------
    >>> from evenset.data.tokens import tokenize
    >>> copies = Copies()
    >>> text = pa.array(["Be kind.", "be KIND", "Be kind.", "Go."], pa.large_string())
    >>> copies.add(tokenize(text), text, pa.array(["a", "b", "a", "b"]))
    >>> found = copies.counts()
    >>> found.exact.count, found.words.count, found.conflicts.count, found.conflicting_rows
    (1, 2, 1, (0, 1, 2))
    """

    def __init__(self, *, most: int = MOST) -> None:
        self.most = most
        self.rows = 0
        self.empty = 0
        self.labels: dict[str, int] = {}
        self._limit = _EVERY
        self._parts: list[npt.NDArray[np.void]] = []
        self._held = 0

    def add(self, tokens: Tokens, text: pa.Array, label: pa.Array | None = None, *, start: int | None = None) -> None:
        """Take in one batch.

        Parameters
        ----------
        tokens : Tokens
            Of `text`.
        text : Arrow array of strings
            One a row.
        label : Arrow array of strings, optional
            One a row; null where there is none.
        start : int, optional
            Number of the first row; by default they go on counting.
        """
        n = tokens.n_rows
        first = self.rows + self.empty if start is None else start
        part = np.zeros(n, _ROW)
        part["words"] = words_of(tokens)
        part["text"] = hash64(text, salt="evenset.text") >> np.uint64(32)
        part["row"] = np.arange(first, first + n)
        part["label"] = self._codes(label, n)
        part = part[np.diff(tokens.splits) > 0]
        self.rows += len(part)
        self.empty += n - len(part)
        self._keep(part)

    def _codes(self, label: pa.Array | None, n: int) -> npt.NDArray[np.uint16]:
        if label is None:
            return np.full(n, _NO_LABEL, np.uint16)
        coded = label.dictionary_encode()
        number = [self.labels.setdefault(name, len(self.labels)) for name in coded.dictionary.to_pylist()]
        if len(self.labels) >= _NO_LABEL:
            raise InputError("the label has more than 65,000 different values; name another with --label")
        codes = np.array([*number, _NO_LABEL], np.uint16)
        found: npt.NDArray[np.uint16] = codes[np.asarray(coded.indices.fill_null(len(number)))]
        return found

    def merge(self, other: Copies, *, offset: int = 0) -> None:
        """Add what another has collected; `offset` is the number of its first row."""
        number = [self.labels.setdefault(name, len(self.labels)) for name in other.labels]
        codes = np.append(np.array(number, np.uint16), np.full(_NO_LABEL + 1 - len(number), _NO_LABEL, np.uint16))
        for theirs in other._parts:
            part = theirs.copy()
            part["label"] = codes[theirs["label"]]
            part["row"] += offset
            self._keep(part)
        self.rows += other.rows
        self.empty += other.empty
        self._limit = min(self._limit, other._limit)
        self._thin()

    def _keep(self, part: npt.NDArray[np.void]) -> None:
        part = part[part["words"] <= self._limit] if self._limit != _EVERY else part
        self._parts.append(part)
        self._held += len(part)
        while self._held > self.most:
            self._limit = self._limit >> np.uint64(1)
            self._thin()

    def _thin(self) -> None:
        self._parts = [part[part["words"] <= self._limit] for part in self._parts]
        self._held = sum(len(part) for part in self._parts)

    def table(self) -> npt.NDArray[np.void]:
        """All that is held: a structured array of words, text, row and label."""
        self._parts = [np.concatenate(self._parts) if self._parts else np.zeros(0, _ROW)]
        return self._parts[0]

    @property
    def limit(self) -> np.uint64:
        """Texts whose hash of words is at most this are held."""
        return self._limit

    def counts(self) -> CopyCounts:
        """What repeats."""
        held = self.table()
        order = np.lexsort((held["row"], held["text"], held["words"]))
        words, text = held["words"][order], held["text"][order]
        label, row = held["label"][order], held["row"][order]
        new_words = np.ones(len(order), np.bool_)
        new_words[1:] = words[1:] != words[:-1]
        new_text = new_words.copy()
        new_text[1:] |= text[1:] != text[:-1]
        starts = np.flatnonzero(new_words)
        size = np.diff(np.append(starts, len(order)))
        texts = np.add.reduceat(new_text.astype(np.int64), starts) if len(starts) else size
        given = label != _NO_LABEL
        many, differ = np.zeros(0, np.bool_), np.zeros(0, np.bool_)
        if len(starts):
            many = np.add.reduceat(given.astype(np.int64), starts) > 1
            least = np.minimum.reduceat(np.where(given, label, _NO_LABEL), starts)
            differ = many & (np.maximum.reduceat(np.where(given, label, 0), starts) > least)
        return CopyCounts(
            rows=self.rows,
            searched=len(held),
            empty=self.empty,
            exact=share_of(size - texts, size),
            words=share_of(size - 1, size),
            conflicts=share_of(differ[many], np.ones(int(many.sum()))),
            conflicting_rows=_some(row[np.repeat(differ, size)]),
            copied_rows=_some(row[~new_words]),
        )


def _some(rows: npt.NDArray[np.uint32]) -> tuple[int, ...]:
    return tuple(np.sort(rows)[:_EXAMPLES].tolist())


def words_of(tokens: Tokens) -> Keys:
    """A hash of each row's folded words in their order; rows without words have 0."""
    hashes = hash64(tokens.folded, salt="evenset.linear")
    begins = np.repeat(tokens.splits[:-1].astype(np.uint64), np.diff(tokens.splits))
    running = np.zeros(tokens.n + 1, np.uint64)
    for low in range(0, tokens.n, _BLOCK):  # in pieces that stay in the cache
        part = slice(low, low + _BLOCK)
        ids = tokens.ids[part]
        each = np.arange(low, low + len(ids), dtype=np.uint64) - begins[part]
        # The hash of a word is well mixed already; its place is added and one more round makes the sum depend on it.
        each *= _STEP
        each += hashes[ids]
        each ^= each >> np.uint64(32)
        each *= _ODD
        each ^= each >> np.uint64(29)
        np.cumsum(each, out=running[low + 1 : low + 1 + len(ids)])
        running[low + 1 : low + 1 + len(ids)] += running[low]
    found: Keys = running[tokens.splits[1:]] - running[tokens.splits[:-1]]
    return found


@dataclass(frozen=True, slots=True)
class Leak:
    """Rows of one split that are in another.

    Attributes
    ----------
    exact : Share
        Rows whose words are also those of a training row.
    conflicts : Share
        Of those rows with a label, the ones whose label no such training row has.
    rows : tuple of int
        Numbers of some of them.
    """

    exact: Share
    conflicts: Share
    rows: tuple[int, ...]


def leaks(train: Copies, other: Copies) -> Leak:
    """Look for the rows of one split in the training split.

    Parameters
    ----------
    train, other : Copies
        Filled. Where either holds only part of its texts, only those that both would hold are compared.

    Examples
    --------
    >>> from evenset.data.tokens import tokenize
    >>> def filled(texts):
    ...     copies, text = Copies(), pa.array(texts, pa.large_string())
    ...     copies.add(tokenize(text), text)
    ...     return copies
    >>> leaks(filled(["Be kind.", "Go."]), filled(["be kind", "stay"])).exact.count
    1
    """
    limit = min(train.limit, other.limit)
    mine, theirs = train.table(), other.table()
    mine, theirs = mine[mine["words"] <= limit], theirs[theirs["words"] <= limit]
    known = np.sort(mine["words"])
    inside = _in(theirs["words"], known)
    _, cluster = np.unique(theirs["words"], return_inverse=True)
    names = {name: code for code, name in enumerate(train.labels)}
    to = np.full(_NO_LABEL + 1, _NO_LABEL, np.uint64)
    for name, code in other.labels.items():
        to[code] = names.get(name, _NO_LABEL - 1)
    given = inside & (theirs["label"] != _NO_LABEL)
    labelled = mine[mine["label"] != _NO_LABEL]
    given &= _in(theirs["words"], np.sort(labelled["words"]))
    pairs = np.sort(combine(labelled["words"], labelled["label"].astype(np.uint64)))
    other_label = given & ~_in(combine(theirs["words"], to[theirs["label"]]), pairs)
    return Leak(
        exact=share_by_cluster(inside, cluster),
        conflicts=share_by_cluster(other_label[given], cluster[given]),
        rows=_some(theirs["row"][inside]),
    )


def _in(values: Keys, known: Keys) -> npt.NDArray[np.bool_]:
    if not len(known):
        return np.zeros(len(values), np.bool_)
    found: npt.NDArray[np.bool_] = known[np.minimum(np.searchsorted(known, values), len(known) - 1)] == values
    return found


def share_by_cluster(hit: npt.NDArray[np.bool_], cluster: Ints) -> Share:
    """The share of rows that are hit, where rows of one cluster go together."""
    unit = np.unique(cluster, return_inverse=True)[1]
    return share_of(np.bincount(unit, hit), np.bincount(unit))


def near_leaks(train: Sequence[int] | Ints, cluster: Ints) -> npt.NDArray[np.bool_]:
    """Which rows stand in a cluster that holds one of the given (training) rows."""
    known = np.unique(cluster[np.asarray(train, np.int64)])
    return np.isin(cluster, known)
