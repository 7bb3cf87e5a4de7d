"""Near duplicates: texts that share at least four fifths of their three-word runs, and the clusters that they form.

MinHash finds the pairs worth looking at, the exact Jaccard similarity decides. Rows that share a person or a template
can be joined to the same clusters, so that no probe is tested on what it was trained on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...data.features import distinct_keys, word_hashes
from ...data.hashing import Keys, combine, mix
from ...data.tokens import Tokens

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SHINGLE = 3
PERMUTATIONS = 64
BANDS = 16
THRESHOLD = 0.8
# 16 bands of 4: a pair at the threshold becomes a candidate with probability .9998, one at .5 with .64.
_ROWS = PERMUTATIONS // BANDS
# A pair at the threshold agrees in fewer of 64 places than this once in 10^6; those below need no exact look.
_LEAST_EQUAL = 35
# In a bucket every row is compared with the first, the rest with the first of the rest, and so on, up to so many
# comparisons a band.
_COMPARISONS = 2_000_000
_HASH_BITS = 40
_BLOCK = 1 << 15
_PAIRS = 1 << 15
_MULTIPLIERS = mix(np.arange(PERMUTATIONS, dtype=np.uint64), salt="evenset.minhash.a") | np.uint64(1)
_ADDENDS = mix(np.arange(PERMUTATIONS, dtype=np.uint64), salt="evenset.minhash.b")


@dataclass(frozen=True, slots=True)
class Shingles:
    """The distinct three-word runs of each row; a shorter text has one, all its words.

    Attributes
    ----------
    keys : uint64 array
        Row << 40 | hash, ascending.
    splits : int64 array
        Row r has ``keys[splits[r]:splits[r + 1]]``.
    """

    keys: Keys
    splits: Ints

    @staticmethod
    def of(tokens: Tokens, keep: Bools | None = None) -> Shingles:
        """Make them of tokenised texts, of which some tokens may be hidden.

        Parameters
        ----------
        tokens : Tokens
            Fewer than 2**24 rows.
        keep : bool array, optional
            One entry a token.
        """
        if tokens.n_rows >= 1 << (64 - _HASH_BITS):
            raise ValueError("too many rows for one search; sample them first")
        words, row = word_hashes(tokens), tokens.rows()
        if keep is not None:
            words, row = words[keep], row[keep]
        count = np.bincount(row, minlength=tokens.n_rows)
        run = words
        for width in range(1, SHINGLE):
            # After each step run[i] stands for the words i .. i + width, or to the end of a row that has no more.
            on = np.flatnonzero(row[width:] == row[:-width]) if len(row) > width else np.zeros(0, np.int64)
            longer = run.copy()
            longer[on] = combine(run[on], words[on + width])
            run = longer
        begins = np.cumsum(count) - count
        place = np.arange(len(row)) - begins[row]
        whole = (place + SHINGLE <= count[row]) | (place == 0)
        key = row[whole].astype(np.uint64) << np.uint64(_HASH_BITS) | run[whole] >> np.uint64(64 - _HASH_BITS)
        keys = distinct_keys(key)
        edges = np.arange(tokens.n_rows + 1, dtype=np.uint64) << np.uint64(_HASH_BITS)
        return Shingles(keys, np.searchsorted(keys, edges).astype(np.int64))

    def signatures(self) -> tuple[Ints, npt.NDArray[np.uint32]]:
        """Rows that have words, and for each the smallest of its hashes under 64 hash functions."""
        size = np.diff(self.splits)
        rows = np.flatnonzero(size)
        found = np.empty((len(rows), PERMUTATIONS), np.uint32)
        starts = self.splits[rows]
        low = 0
        while low < len(rows):
            high = max(int(np.searchsorted(starts, starts[low] + _BLOCK)), low + 1)
            first, last = int(starts[low]), int(self.splits[rows[high - 1] + 1])
            hashes = self.keys[first:last] & np.uint64((1 << _HASH_BITS) - 1)
            for k in range(PERMUTATIONS):
                values = (hashes * _MULTIPLIERS[k] + _ADDENDS[k]) >> np.uint64(32)
                found[low:high, k] = np.minimum.reduceat(values, starts[low:high] - first)
            low = high
        return rows, found

    def jaccard(self, one: Ints, other: Ints) -> npt.NDArray[np.float64]:
        """Shared shingles over all shingles of each pair of rows; exact but for hashes of 40 bits."""
        found = np.empty(len(one))
        mask = np.uint64((1 << _HASH_BITS) - 1)
        size = np.diff(self.splits)
        for low in range(0, len(one), _PAIRS):
            a, b = one[low : low + _PAIRS], other[low : low + _PAIRS]
            a, b = np.where(size[a] <= size[b], a, b), np.where(size[a] <= size[b], b, a)
            length = size[a]
            pair = np.repeat(np.arange(len(a)), length)
            at = (
                np.arange(len(pair)) - np.repeat(np.cumsum(length) - length, length) + np.repeat(self.splits[a], length)
            )
            wanted = b[pair].astype(np.uint64) << np.uint64(_HASH_BITS) | self.keys[at] & mask
            place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
            shared = np.bincount(pair, self.keys[place] == wanted, len(a))
            found[low : low + _PAIRS] = shared / np.maximum(size[a] + size[b] - shared, 1)
        return found


@dataclass(frozen=True, slots=True)
class Near:
    """Which rows belong together.

    Attributes
    ----------
    cluster : int64 array
        For each row the first row of its cluster; a row without words is alone.
    skipped : int
        Rows of crowded buckets that were not compared with all of their neighbours.
    """

    cluster: Ints
    skipped: int


def near_duplicates(tokens: Tokens, *, keep: Bools | None = None, shared: Keys | None = None) -> Near:
    """Join the rows that are near duplicates of each other, directly or over others.

    Parameters
    ----------
    tokens : Tokens
        The texts; a sample where there are many: 100,000 rows of 70 words take some seconds and 300 MB.
    keep : bool array, optional
        Tokens that count; the others are hidden.
    shared : uint64 array, optional
        What each row shares with others (a person, a template), 0 for nothing known: such rows are joined too.

    Returns
    -------
    Near

    Notes
    -----
    MinHash (Broder 1997) with 64 hash functions over the sets of three-word runs, 16 bands of 4 (Leskovec, Rajaraman
    and Ullman, *Mining of Massive Datasets*, chapter 3), candidates verified by their exact Jaccard similarity of at
    least 0.8. In a bucket of many similar but different texts, such as templates, not all pairs are looked at.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from evenset.data.tokens import tokenize
    >>> text = "one two three four five six seven eight nine ten eleven twelve thirteen"
    >>> near_duplicates(tokenize(pa.array([text, "something else", text + " fourteen", ""]))).cluster.tolist()
    [0, 1, 0, 3]
    """
    shingles = Shingles.of(tokens, keep)
    rows, signature = shingles.signatures()
    component = np.arange(tokens.n_rows)
    if shared is not None:
        given = np.flatnonzero(shared)
        first = np.unique(shared[given], return_index=True, return_inverse=True)
        component = _joined(component, given, given[first[1]][first[2]])
    skipped = np.zeros(tokens.n_rows, np.bool_)
    for band in range(BANDS):
        bucket = _buckets(signature[:, band * _ROWS : (band + 1) * _ROWS])
        # Another order in each band, so that a row of a crowd does not always meet the same first one.
        order = np.lexsort((mix(rows.astype(np.uint64), salt=("evenset.minhash", band)), bucket))
        for one, other in _rounds(bucket, order, rows, component, shingles, signature, skipped):
            component = _joined(component, one, other)
    return Near(component, int(skipped.sum()))


def _buckets(part: npt.NDArray[np.uint32]) -> Keys:
    """One key of the hashes of a band."""
    halves = np.ascontiguousarray(part).view(np.uint64)
    return combine(halves[:, 0], halves[:, 1])


def _rounds(
    bucket: Keys,
    left: Ints,
    rows: Ints,
    component: Ints,
    shingles: Shingles,
    signature: npt.NDArray[np.uint32],
    skipped: Bools,
) -> Iterator[tuple[Ints, Ints]]:
    """Verified pairs of one band: in each bucket the rows against the first, what is left against its first, …"""
    compared = 0
    while compared < _COMPARISONS:
        key = bucket[left]
        fresh = np.ones(len(left), np.bool_)
        fresh[1:] = key[1:] != key[:-1]
        size = np.diff(np.append(np.flatnonzero(fresh), len(left)))
        crowd = np.repeat(size, size) > 1
        left, fresh, size = left[crowd], fresh[crowd], size[size > 1]
        if not len(left):
            return
        compared += len(left)
        leader = np.repeat(left[fresh], size)
        same = component[rows[leader]] == component[rows[left]]
        at = np.flatnonzero(~same)
        one, other = leader[at], left[at]
        likely = np.empty(len(at), np.bool_)
        for low in range(0, len(at), _PAIRS):
            part = slice(low, low + _PAIRS)
            likely[part] = (signature[one[part]] == signature[other[part]]).sum(axis=1) >= _LEAST_EQUAL
        likely[likely] = shingles.jaccard(rows[one[likely]], rows[other[likely]]) >= THRESHOLD
        yield rows[one[likely]], rows[other[likely]]
        done = same.copy()
        done[at[likely]] = True
        left = left[~done]
    key = bucket[left]
    again = np.zeros(len(left), np.bool_)
    again[1:] = key[1:] == key[:-1]
    again[:-1] |= again[1:]
    skipped[rows[left[again]]] = True


def _joined(component: Ints, one: Ints, other: Ints) -> Ints:
    """Components after some more edges, each named by its first row."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    if not len(one):
        return component
    n = len(component)
    ends = np.concatenate([np.arange(n), one]), np.concatenate([component, other])
    graph = coo_matrix((np.ones(len(ends[0]), np.int8), ends), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    first = np.full(int(label.max()) + 1, n, np.int64)
    np.minimum.at(first, label, np.arange(n))
    found: Ints = first[label]
    return found
