"""Add rows of a pool until each term's rows have the label rate of all rows (Dixon et al. 2018; rule ``topup.v1``)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...data.axes import Axis, Membership
from ...data.dataset import Columns, Dataset
from ...data.errors import InputError
from ...data.hashing import Keys, Seen, combine, hash64, mix, row_keys
from ...data.scan import Scanner
from ..edits import Bools, Ints

RULE = "topup.v1"


@dataclass(frozen=True)
class Pool:
    """Rows that may be added, in memory: a pool is small beside the data.

    Attributes
    ----------
    text : large_string array
    keys : uint64 array
        Row keys.
    hashes : uint64 array
        Of the texts.
    bucket : int8 array
    members : dict of axis name to Membership
        On the axes that are made of words.
    fresh : bool array
        False for texts that come again in the pool, all but one of them.
    label : string array or None
        What the pool says of its rows, where a column was named.
    columns : tuple of str
        Of its file.
    """

    text: Any
    keys: Keys
    hashes: Keys
    bucket: npt.NDArray[np.int8]
    members: dict[str, Membership]
    fresh: Bools
    label: Any = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cell:
    """What one term had, needed and got in one length bucket."""

    group: str
    bucket: int
    positive: int
    other: int
    wanted: int
    added: int


def needed(positive: int, other: int, share: float) -> int:
    """Rows to add until `share` of a term's rows are not positive.

    Notes
    -----
    Dixon et al. 2018: ``a = (f (t + n) − n) / (1 − f)`` with t positive and n other rows; never fewer than 0.

    Examples
    --------
    >>> needed(50, 50, 0.9), needed(1, 99, 0.9)
    (400, 0)
    """
    return max(0, int(np.floor((share * (positive + other) - other) / (1 - share) + 0.5)))


def fill(
    groups: list[str],
    positive: Ints,
    other: Ints,
    share: float,
    *,
    member: Bools,
    bucket: npt.NDArray[np.int8],
    free: Bools,
    rank: Keys,
) -> tuple[Ints, list[Cell]]:
    """Choose rows of a pool for every term and length bucket.

    Parameters
    ----------
    groups : list of str
        Names of the terms.
    positive, other : int64 arrays, groups × buckets
        Rows of the data.
    share : float
        Share of rows that shall not be positive.
    member : bool array, pool rows × groups
        Which terms a row of the pool holds.
    bucket : int8 array
        Of the pool's rows.
    free : bool array
        Which of them may be taken.
    rank : uint64 array
        Those with the smallest ranks are taken first.

    Returns
    -------
    rows : int64 array
        Places in the pool, each once.
    cells : list of Cell
        In the order in which they were filled: terms with the fewest rows in the pool first. A row that names several
        terms counts for all of them, so later ones need fewer.
    """
    free = free.copy()
    other = other.copy()
    taken: list[Ints] = []
    cells: list[Cell] = []
    for code in range(positive.shape[1]):
        here = free & (bucket == code)
        order = sorted(range(len(groups)), key=lambda g: (int((here & member[:, g]).sum()), groups[g]))
        for group in order:
            t, n = int(positive[group, code]), int(other[group, code])
            wanted = needed(t, n, share)
            candidates = np.flatnonzero(here & free & member[:, group]) if wanted else np.zeros(0, np.int64)
            chosen = candidates[np.argsort(rank[candidates], kind="stable")[:wanted]]
            free[chosen] = False
            other[:, code] += member[chosen].sum(axis=0)
            taken.append(chosen)
            if wanted:
                cells.append(Cell(groups[group], code, t, n, wanted, len(chosen)))
    return np.sort(np.concatenate(taken)) if taken else np.zeros(0, np.int64), cells


def fill_at_random(counts: Ints, *, bucket: npt.NDArray[np.int8], free: Bools, rank: Keys) -> Ints:
    """The placebo: as many rows of each bucket, whatever they say; fewer where the pool has not as many."""
    taken = []
    for code, count in enumerate(counts.tolist()):
        candidates = np.flatnonzero(free & (bucket == code))
        taken.append(candidates[np.argsort(rank[candidates], kind="stable")[:count]])
    return np.sort(np.concatenate(taken)) if taken else np.zeros(0, np.int64)


def read_texts(path: str, text: str, *, where: str) -> tuple[Keys, str]:
    """Hashes of a file's texts, ascending, and the column that they are from: that of the data if the file has it.

    Raises
    ------
    InputError
        When it cannot be read.
    """
    from ...data.opening import open_dataset

    try:
        dataset = open_dataset(path)
        if text in dataset.names:
            dataset = open_dataset(path, text=text)
    except InputError as error:
        raise InputError(f"{where}exclude: {error}") from None
    hashes = [hash64(batch.text, salt="evenset.text") for batch in _bare(dataset).batches(columns=[])]
    return np.unique(np.concatenate(hashes)) if hashes else np.zeros(0, np.uint64), dataset.columns.text


def read_pool(
    path: str,
    text: str | None,
    axes: list[Axis],
    *,
    where: str,
    label: str | None = None,
    threshold: float | None = None,
) -> Pool:
    """Read a pool whole.

    Parameters
    ----------
    path, text : str
        The file and its text column.
    axes : list of Axis
        Those made of words are looked for.
    where : str
        Begins messages.
    label : str, optional
        A column that says what the rows are.
    threshold : float, optional
        Where the data's labels are numbers: from here on the label is "1".

    Raises
    ------
    InputError
        When it cannot be read.
    """
    from ...data.opening import open_dataset

    try:
        dataset: Dataset = open_dataset(path, text=text, label=label, label_threshold=threshold if label else None)
    except InputError as error:
        raise InputError(f"{where}pool: {error}") from None
    worded = [axis for axis in axes if not axis.columns()]
    scanner = Scanner(worded)
    seen = Seen()
    texts, keys, buckets = [], [], []
    parts: dict[str, list[Membership]] = {axis.name: [] for axis in worded}
    labels: list[Any] = []
    bare = _bare(dataset)
    if label is not None:
        bare = replace(dataset, columns=replace(bare.columns, **_of_label(dataset.columns)), need_label=False)
    for batch in bare.batches(columns=[]):
        scanned = scanner.scan(batch)
        if label is not None:
            labels.append(batch.label)
        texts.append(batch.text)
        keys.append(row_keys(batch.text, seen=seen))
        buckets.append(scanned.bucket)
        for name, found in scanned.members.items():
            parts[name].append(found)
    import pyarrow as pa

    whole = pa.concat_arrays(texts)
    hashes = hash64(whole, salt="evenset.text")
    fresh = np.zeros(len(hashes), np.bool_)
    # Of equal texts the one with the occurrence number 0, which is the same whatever the order.
    key = np.concatenate(keys)
    fresh[key == combine(hashes, np.zeros(len(hashes), np.uint64))] = True
    return Pool(
        whole,
        key,
        hashes,
        np.concatenate(buckets),
        {name: _joined(found) for name, found in parts.items()},
        fresh,
        pa.chunked_array(labels, pa.string()).combine_chunks() if labels else None,
        tuple(dataset.names),
    )


def _of_label(columns: Columns) -> dict[str, Any]:
    return {name: getattr(columns, name) for name in ("label", "label_threshold", "label_names")}


def ranks(pool: Pool, *, seed: int, step: int, purpose: str) -> Keys:
    """A random order of a pool's rows, the same whatever the order in which they are stored."""
    return mix(pool.keys, salt=(seed, purpose, step))


def _bare(dataset: Dataset) -> Dataset:
    """The dataset with its text only: whatever its labels are, the plan says what they become."""
    return replace(dataset, columns=Columns(text=dataset.columns.text), need_label=False)


def _joined(parts: list[Membership]) -> Membership:
    patterns: dict[tuple[str, ...], int] = {(): 0}
    codes = []
    for part in parts:
        known = np.array([patterns.setdefault(pattern, len(patterns)) for pattern in part.patterns], np.int32)
        codes.append(known[part.code])
    return Membership(tuple(patterns), np.concatenate(codes))
