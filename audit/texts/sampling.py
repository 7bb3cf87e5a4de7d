"""A sample of rows held in memory, the same on any machine, in any order and from any engine.

Probes and the search for near duplicates cannot work on counts. They get the rows whose texts have the smallest hashes:
copies of a text are in it together or not at all, and rows of rare groups have a sample of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...data.hashing import Keys, hash64, mix
from ...data.membership import Membership
from ...data.tokens import Tokens, tokenize

if TYPE_CHECKING:
    from ...data.axes import Axis
    from ...data.dataset import Batch, Dataset
    from ...data.scan import Scanned

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MOST_ROWS = 60_000
"""Rows of the sample of all rows, and of the sample of each axis's members."""

_SALT = "evenset.sample"
_EVERY = np.uint64(2**64 - 1)


@dataclass(frozen=True)
class Rows:
    """Some rows of a dataset, in the order of their keys.

    Attributes
    ----------
    text : large_string array
    label : int64 array
        Index into `labels`, -1 where there is none.
    labels : tuple of str
        Sorted.
    members : dict of str to Membership
        By name of axis.
    cluster : uint64 array
        What rows share (a person, a template); 0 where nothing is known.
    key : uint64 array
        Hash of the text.
    position : int64 array
        Number of the row in the dataset, from 0.
    uniform : bool array
        Rows of the sample of all rows; the others are there because they are members of a group.
    total : int
        Rows of the dataset.
    """

    text: pa.LargeStringArray
    label: Ints
    labels: tuple[str, ...]
    members: dict[str, Membership]
    cluster: Keys
    key: Keys
    position: Ints
    uniform: Bools
    total: int

    @property
    def n(self) -> int:
        """How many rows."""
        return len(self.text)

    @cached_property
    def tokens(self) -> Tokens:
        """The tokens of the texts."""
        return tokenize(self.text)

    def take(self, at: Ints) -> Rows:
        """The rows at these places."""
        return Rows(
            text=self.text.take(pa.array(at)),
            label=self.label[at],
            labels=self.labels,
            members={name: Membership(one.patterns, one.code[at]) for name, one in self.members.items()},
            cluster=self.cluster[at],
            key=self.key[at],
            position=self.position[at],
            uniform=self.uniform[at],
            total=self.total,
        )

    def all_rows(self) -> Rows:
        """Only the sample of all rows, which shares and coverage are estimated from."""
        return self if self.uniform.all() else self.take(np.flatnonzero(self.uniform))


@dataclass(slots=True)
class _Held:
    """Rows that are still in the running; `inside` has a column for each sample."""

    key: Keys
    position: Ints
    inside: Bools
    text: Any
    label: Any
    cluster: Keys
    codes: npt.NDArray[np.int32]  # axes × rows, into Sampler.patterns

    def take(self, at: Ints) -> _Held:
        where = pa.array(at)
        return _Held(
            self.key[at],
            self.position[at],
            self.inside[at],
            self.text.take(where),
            self.label.take(where),
            self.cluster[at],
            self.codes[:, at],
        )


class Sampler:
    """Collects the sample while batches go by, in memory that does not grow with the dataset.

    Parameters
    ----------
    axes : sequence of Axis
        Those that the batches are scanned with.
    most : int
        Rows of each sample.
    cluster : str, optional
        Name of the column of what rows share.
    """

    def __init__(self, axes: Sequence[Axis], *, most: int = MOST_ROWS, cluster: str | None = None) -> None:
        self.axes = tuple(axes)
        self.most = most
        self.cluster = cluster
        self.total = 0
        self._patterns: list[dict[tuple[str, ...], int]] = [{(): 0} for _ in axes]
        self._limit = np.full(1 + len(self.axes), _EVERY)
        self._held: list[_Held] = []
        self._waiting = 0
        self._full = self.most + self.most // 2 + 1

    def add(self, scanned: Scanned) -> None:
        """Take what may still be chosen from one batch."""
        batch = scanned.batch
        self.total += batch.n
        key = mix(hash64(batch.text, salt="evenset.text"), salt=_SALT)
        inside = np.empty((batch.n, 1 + len(self.axes)), np.bool_)
        inside[:, 0] = key <= self._limit[0]
        codes = np.empty((len(self.axes), batch.n), np.int32)
        for k, axis in enumerate(self.axes):
            member = scanned.members[axis.name]
            known = self._patterns[k]
            number = np.array([known.setdefault(pattern, len(known)) for pattern in member.patterns], np.int32)
            codes[k] = number[member.code]
            has = np.array([any(axis.info(group).status for group in pattern) for pattern in member.patterns], np.bool_)
            inside[:, 1 + k] = has[member.code] & (key <= self._limit[1 + k])
        at = np.flatnonzero(inside.any(axis=1))
        if not len(at):
            return
        where = pa.array(at)
        label = pa.nulls(len(at), pa.string()) if batch.label is None else batch.label.take(where)
        self._keep(
            _Held(
                key[at],
                at + batch.start,
                inside[at],
                batch.text.take(where),
                label,
                _shared(batch, self.cluster)[at],
                codes[:, at],
            )
        )

    def merge(self, other: Sampler, *, offset: int = 0) -> None:
        """Add what another sampler of the same axes has collected; `offset` is the number of its first row."""
        self.total += other.total
        for held in other._held:
            codes = np.empty_like(held.codes)
            for k, (mine, theirs) in enumerate(zip(self._patterns, other._patterns, strict=True)):
                number = np.array([mine.setdefault(pattern, len(mine)) for pattern in theirs], np.int32)
                codes[k] = number[held.codes[k]]
            self._keep(
                _Held(
                    held.key,
                    held.position + offset,
                    held.inside.copy(),
                    held.text,
                    held.label,
                    held.cluster,
                    codes,
                )
            )

    def _keep(self, held: _Held) -> None:
        self._held.append(held)
        self._waiting += len(held.key)
        if self._waiting >= self._full:
            self._held = [self._chosen()]
            self._waiting = len(self._held[0].key)
            self._full = self._waiting + self.most // 2 + 1

    def _chosen(self) -> _Held:
        """The samples as they stand, in the order of the keys."""
        label = pa.concat_arrays([held.label for held in self._held])
        whole = _Held(
            np.concatenate([held.key for held in self._held]),
            np.concatenate([held.position for held in self._held]),
            np.concatenate([held.inside for held in self._held]),
            pa.concat_arrays([held.text for held in self._held]),
            label,
            np.concatenate([held.cluster for held in self._held]),
            np.concatenate([held.codes for held in self._held], axis=1),
        )
        # Rows alike in text, label, groups and cluster can stand for each other: which of them is cut off is all one.
        groups = []
        for code, patterns in zip(whole.codes, self._patterns, strict=True):
            names = list(patterns)
            rank = np.empty(len(names), np.int64)
            rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
            groups.append(rank[code])
        order = np.lexsort((whole.position, whole.cluster, *groups, hash64(label, salt="evenset.label"), whole.key))
        inside = whole.inside[order]
        for k in range(inside.shape[1]):
            at = np.flatnonzero(inside[:, k])
            if len(at) > self.most:
                inside[at[self.most :], k] = False
                self._limit[k] = whole.key[order[at[self.most - 1]]]
        stay = np.flatnonzero(inside.any(axis=1))
        chosen = whole.take(order[stay])
        chosen.inside = inside[stay]
        return chosen

    def rows(self) -> Rows:
        """The sample."""
        if not self._held:
            nothing = np.zeros(0, np.int64)
            members = {axis.name: Membership(((),), nothing.astype(np.int32)) for axis in self.axes}
            keys = nothing.astype(np.uint64)
            text = pa.array([], pa.large_string())
            return Rows(text, nothing, (), members, keys, keys, nothing, nothing.astype(np.bool_), self.total)
        held = self._chosen()
        coded = held.label.dictionary_encode()
        names = coded.dictionary.to_pylist()
        order = sorted(range(len(names)), key=names.__getitem__)
        rank = np.full(len(names) + 1, -1, np.int64)
        rank[order] = np.arange(len(names))
        label = rank[np.asarray(coded.indices.fill_null(len(names)))] if len(names) else np.full(len(held.key), -1)
        return Rows(
            text=held.text,
            label=label.astype(np.int64),
            labels=tuple(names[k] for k in order),
            members={
                axis.name: Membership(tuple(self._patterns[k]), held.codes[k]) for k, axis in enumerate(self.axes)
            },
            cluster=held.cluster,
            key=held.key,
            position=held.position,
            uniform=held.inside[:, 0],
            total=self.total,
        )


def _shared(batch: Batch, name: str | None) -> Keys:
    """The hash of what each row shares with others, 0 where that is not known."""
    from ...data.normalise import strings_of

    if name is None:
        return np.zeros(batch.n, np.uint64)
    values = strings_of(batch.column(name), f'column "{name}"', lambda at: f"row {batch.start + at + 1}")
    keys = hash64(values, salt="evenset.cluster")
    keys[np.asarray(values.is_null())] = 0
    return keys


def draw(dataset: Dataset, axes: Sequence[Axis], *, most: int = MOST_ROWS) -> Rows:
    """Pass once over a dataset for its sample.

    Parameters
    ----------
    dataset : Dataset
        The rows; its cluster column, if it has one, is read.
    axes : sequence of Axis
        From `parse_axes`.
    most : int
        Rows of the sample of all rows, and of that of each axis's members.

    Returns
    -------
    Rows

    Examples
    --------
    >>> import pyarrow as pa
    >>> from evenset.data.axes import parse_axes
    >>> from evenset.data.dataset import Dataset
    >>> data = Dataset.of(pa.table({"text": [f"She ran {i} miles." for i in range(100)], "label": ["a", "b"] * 50}))
    >>> rows = draw(data, parse_axes(["pronouns"], names=data.names), most=10)
    >>> rows.n, rows.total, rows.labels, rows.members["pronouns"].sets()[0]
    (10, 100, ('a', 'b'), ('she',))
    """
    from ...data.scan import scan

    sampler = Sampler(axes, most=most, cluster=dataset.columns.cluster)
    for scanned in scan(dataset, axes):
        sampler.add(scanned)
    return sampler.rows()
