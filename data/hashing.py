"""Randomness and row keys come from content, never from row order.

A row's key is a 64-bit number: the hash of its id, or of its text and label with the number of times that the same
content has come before. Everything drawn at random is a function of (seed, purpose, row key), so shuffling, sharding
or streaming the rows changes no decision.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .errors import InputError

Keys = npt.NDArray[np.uint64]
Salt = str | int | tuple[str | int, ...]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def hash64(values: pa.Array | Sequence[bytes | str | None], *, salt: str) -> Keys:
    """Hash each value to 64 bits with BLAKE2b, the salt as its personalisation.

    Parameters
    ----------
    values : Arrow array of strings or bytes, or a sequence of them
        A null has a hash of its own, different from that of an empty string.
    salt : str
        What the hash is for; different salts give unrelated hashes.

    Returns
    -------
    uint64 array, one entry a value

    Examples
    --------
    >>> [hex(key) for key in hash64(["she", b"she"], salt="demo").tolist()]
    ['0xd7bc0869d987faeb', '0xd7bc0869d987faeb']
    """
    person = hashlib.blake2b(salt.encode(), digest_size=16).digest()
    blake = hashlib.blake2b
    if not isinstance(values, (pa.Array, pa.ChunkedArray)):
        values = pa.array(
            [value.encode() if isinstance(value, str) else value for value in values], type=pa.large_binary()
        )
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    values = values.cast(pa.large_binary())
    n = len(values)
    if n == 0:
        return np.empty(0, dtype=np.uint64)
    _, offset_buffer, data_buffer = values.buffers()
    offsets = np.frombuffer(offset_buffer, dtype=np.int64)[values.offset : values.offset + n + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    data = b"" if data_buffer is None else data_buffer.slice(first, last - first).to_pybytes()
    keys = np.frombuffer(b"".join(_digests(data, (offsets - first).tolist(), person)), dtype="<u8").astype(np.uint64)
    if values.null_count:
        absent = values.is_null().to_numpy(zero_copy_only=False)
        keys[absent] = np.frombuffer(blake(b"null", digest_size=8, key=person).digest(), dtype="<u8")[0]
    return keys


def _digests(data: bytes, offsets: list[int], person: bytes) -> list[bytes]:
    """The hash of each stretch of the data; a copy of a hash begun is made in half the time of a new one."""
    begun = hashlib.blake2b(digest_size=8, person=person).copy
    digests = []
    for start, end in itertools.pairwise(offsets):
        one = begun()
        one.update(data[start:end])
        digests.append(one.digest())
    return digests


def mix(keys: Keys, *, salt: Salt) -> Keys:
    """Derive new keys from keys, quickly: the source of order-free randomness.

    Parameters
    ----------
    keys : uint64 array
        Row keys.
    salt : str, int or tuple of them
        Usually ``(seed, purpose)``.

    Returns
    -------
    uint64 array of the same shape

    Notes
    -----
    The finaliser of SplitMix64 (Steele, Lea and Flood 2014), twice, with a hash of the salt added before each round.

    Examples
    --------
    >>> one = mix(np.arange(3, dtype=np.uint64), salt=(0, "resample"))
    >>> bool((one == mix(np.arange(3, dtype=np.uint64), salt=(1, "resample"))).any())
    False
    """
    parts = salt if isinstance(salt, tuple) else (salt,)
    name = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    first, second = np.frombuffer(hashlib.blake2b(name.encode(), digest_size=16).digest(), dtype="<u8")
    return _finish(_finish(np.asarray(keys, dtype=np.uint64) + first) + second)


def combine(keys: Keys, others: Keys) -> Keys:
    """One key of two, the order of the two mattering: for example of a row and of the number of a copy."""
    return _finish(_finish(keys) + np.asarray(others, dtype=np.uint64))


def _finish(keys: Keys) -> Keys:
    with np.errstate(over="ignore"):
        z = keys + _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * _FIRST
        z = (z ^ (z >> np.uint64(27))) * _SECOND
        result: Keys = z ^ (z >> np.uint64(31))
    return result


def uniform(keys: Keys) -> npt.NDArray[np.float64]:
    """Turn keys into numbers strictly between 0 and 1.

    Examples
    --------
    >>> ends = uniform(np.array([0, 2**64 - 1], dtype=np.uint64))
    >>> bool(0 < ends[0] < ends[1] < 1)
    True
    """
    # 52 bits and a half: with 53 the largest would round to 1.
    top = (np.asarray(keys, dtype=np.uint64) >> np.uint64(12)).astype(np.float64)
    result: npt.NDArray[np.float64] = (top + 0.5) * 2.0**-52
    return result


class Seen:
    """The multiset of hashes met so far, eight bytes each, for occurrence numbers across batches.

    Sorted runs whose sizes at least halve, so that adding is a merge now and then and asking is a few searches.
    """

    __slots__ = ("_runs",)

    def __init__(self) -> None:
        self._runs: list[Keys] = []

    def occurrences(self, hashes: Keys) -> npt.NDArray[np.int64]:
        """How often each hash has come before it, earlier batches and this one together; then remember them."""
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        fresh = np.ones(len(ordered), dtype=bool)
        fresh[1:] = ordered[1:] != ordered[:-1]
        first = np.flatnonzero(fresh)
        within = np.arange(len(ordered)) - np.repeat(first, np.diff(np.append(first, len(ordered))))
        for run in self._runs:
            within += np.searchsorted(run, ordered, side="right") - np.searchsorted(run, ordered, side="left")
        counts = np.empty(len(ordered), dtype=np.int64)
        counts[order] = within
        self._add(ordered)
        return counts

    def _add(self, ordered: Keys) -> None:
        self._runs.append(ordered)
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            last, before = self._runs.pop(), self._runs.pop()
            self._runs.append(np.sort(np.concatenate([before, last]), kind="stable"))


def row_keys(
    text: pa.Array,
    label: pa.Array | None = None,
    *,
    ids: pa.Array | None = None,
    seen: Seen | None = None,
    start: int = 0,
    id_name: str = "id",
) -> Keys:
    """Key of each row: its id's hash, or its content's hash with an occurrence number.

    Parameters
    ----------
    text, label : Arrow arrays of strings
        The content that counts: the raw text and, where there is one, the normalised label. Weights and other columns
        do not count, so that adding a column changes no key.
    ids : Arrow array, optional
        Values of the ``--id`` column; then content does not matter and an id may come only once.
    seen : Seen, optional
        Give the same one for all batches of a dataset; without it these rows are all there is.
    start : int
        Number of the first row in the dataset, for messages.
    id_name : str
        Name of the id column, for messages.

    Returns
    -------
    uint64 array

    Raises
    ------
    InputError
        When an id is missing or comes twice.

    Notes
    -----
    Content hash: BLAKE2b with 8 bytes of the text, mixed with that of the label. The occurrence number (0, 1, 2, …
    among rows of the same content) is mixed in, so identical rows have different keys, and which of them comes first
    in the file does not matter because they are identical. Two different rows among n share a key with
    probability about n²/2⁶⁵.

    Examples
    --------
    >>> keys = row_keys(pa.array(["a", "a", "b"]))
    >>> len(set(keys.tolist()))
    3
    >>> sorted(row_keys(pa.array(["b", "a", "a"])).tolist()) == sorted(keys.tolist())
    True
    """
    seen = Seen() if seen is None else seen
    if ids is not None:
        return _id_keys(ids, seen, start=start, name=id_name)
    keys = content_keys(text, label)
    return combine(keys, seen.occurrences(keys).astype(np.uint64))


def content_keys(text: pa.Array, label: pa.Array | None = None) -> Keys:
    """Hashes of text and label alone: `row_keys` combines them with how often the same content has come before."""
    keys = hash64(text, salt="evenset.text")
    if label is not None:
        coded = label.dictionary_encode()
        names = np.append(hash64(coded.dictionary, salt="evenset.label"), np.uint64(0))
        codes = pc.fill_null(coded.indices, len(names) - 1).to_numpy(zero_copy_only=False)
        keys = combine(keys, names[codes])
    return keys


def _id_keys(ids: pa.Array, seen: Seen, *, start: int, name: str) -> Keys:
    if ids.null_count:
        row = start + int(np.flatnonzero(ids.is_null().to_numpy(zero_copy_only=False))[0]) + 1
        raise InputError(f'row {row} has no value in the id column "{name}"; fill it or leave --id out')
    if not (pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type)):
        ids = ids.cast(pa.large_string())
    keys = hash64(ids, salt="evenset.id")
    again = np.flatnonzero(seen.occurrences(keys))
    if len(again):
        at = int(again[0])
        raise InputError(
            f'the id {ids[at].as_py()!r} in column "{name}" comes again in row {start + at + 1}; '
            "ids must be unique: choose another --id or leave it out"
        )
    return keys
