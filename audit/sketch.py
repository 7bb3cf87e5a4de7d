"""How many rows two data sets share, from counts that add.

Each row's content (text, label, weight) has a hash, of which 20 bits are used; a `Print` counts rows by a few of them
and adds all of them up. The difference of two prints then tells how many rows were added and removed between them. The
prints of an axis go by the groups of the row too, so that a row which changes its group is another row there.

What this tells about a row: the prints of two data sets that differ by one row give the 20 bits of that row, whatever
the axes. About one in a million other texts has the same, so no row can be read from them; but somebody who guesses a
row can find that it is not there, or that it is more likely to be. Sets of fewer than 8 rows have no print in what is
written, nor have those that would leave fewer when taken from their axis.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..data.hashing import Keys, combine, content_keys, hash64

if TYPE_CHECKING:
    from ..data.dataset import Batch
    from ..data.membership import Membership

Ints = npt.NDArray[np.int64]
Name = tuple[str, str]

ALL: Name = ("", "")
BUCKETS = 1024
GROUP_BUCKETS = 256
LOAD = 4  # rows a bucket at least in what is written, so that a bucket says nothing about one text
FEWEST = 8  # fewer rows have no print of their own in what is written
BITS = 20  # of a row's hash: all that any print depends on
TOTALS = 1 << BITS


@dataclass(frozen=True, eq=False, slots=True)
class Print:
    """Of a set of rows.

    Attributes
    ----------
    rows : int
    total : int
        Sum of the hashes modulo 2**20. Of other rows, as many, it is the same once in a million times.
    buckets : int64 array
        Rows by the lowest bits of their hash; its size is a power of 2.
    """

    rows: int
    total: int
    buckets: Ints

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Print):
            return NotImplemented
        return self.rows == other.rows and self.total == other.total and np.array_equal(self.buckets, other.buckets)

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Print) -> Print:
        one, two = _alike(self, other)
        return Print(self.rows + other.rows, (self.total + other.total) % TOTALS, one + two)

    def __sub__(self, other: Print) -> Print:
        """Of the rows of the first that are not in the second, which is a part of it."""
        one, two = _alike(self, other)
        return Print(self.rows - other.rows, (self.total - other.total) % TOTALS, one - two)

    def folded(self, size: int) -> Ints:
        """The buckets, no more than `size` of them."""
        size = min(size, len(self.buckets))
        result: Ints = self.buckets.reshape(-1, size).sum(axis=0)
        return result

    def written(self) -> dict[str, Any]:
        """As in audit.json: so few buckets that each holds several rows."""
        size = 1 << max(0, int(math.log2(max(self.rows / LOAD, 1))))
        counts = self.folded(size).tolist()
        return {"rows": self.rows, "total": self.total, "buckets": " ".join(map(str, counts))}

    @staticmethod
    def read(values: Mapping[str, Any]) -> Print:
        """Read what `written` made."""
        buckets = np.array([int(count) for count in values["buckets"].split()], np.int64)
        rows = int(values["rows"])
        if not len(buckets) or len(buckets) & (len(buckets) - 1) or int(buckets.sum()) != rows or (buckets < 0).any():
            raise ValueError("the counts of rows do not fit together")
        total = int(values["total"])
        if not 0 <= total < TOTALS:
            raise ValueError("a sum of hashes out of its range")
        return Print(rows, total, buckets)


def _alike(one: Print, other: Print) -> tuple[Ints, Ints]:
    size = min(len(one.buckets), len(other.buckets))
    return one.folded(size), other.folded(size)


@dataclass(frozen=True, slots=True)
class Sketch:
    """Prints of all rows, and by axis of all rows with their groups and of the rows of each group.

    Attributes
    ----------
    prints : mapping of (axis, group) to Print
        ("", "") are all rows, ("", axis) all rows with their groups on the axis. A group that never came has none.

    Examples
    --------
    >>> one = Sketch({ALL: Print(2, 7, np.array([1, 1]))})
    >>> (one + one).prints[ALL].rows
    4
    """

    prints: Mapping[Name, Print] = field(default_factory=dict)

    def __add__(self, other: Sketch) -> Sketch:
        return summed([self, other])

    @staticmethod
    def of(batch: Batch, members: Mapping[str, Membership]) -> Sketch:
        """Of one batch."""
        keys = content_keys(batch.text, batch.label)
        if batch.weight is not None:
            keys = combine(keys, (batch.weight + 0.0).view(np.uint64))  # + 0.0: there is a negative zero
        keys = keys & np.uint64(TOTALS - 1)  # axes hash these again and so tell no more of a row than these
        prints = {ALL: _print(keys)}
        for axis, member in members.items():
            prints.update(_groups(axis, member, keys))
        return Sketch(prints)

    def whole(self, axis: str) -> Print:
        """All rows with their groups on an axis; where that is not known, all rows."""
        found = self.prints.get(("", axis))
        return self.prints[ALL] if found is None else found

    def written(self) -> list[dict[str, Any]] | None:
        """As in audit.json; None: too few rows for it."""
        if ALL not in self.prints or self.prints[ALL].rows < FEWEST:
            return None
        kept = {name for name in self.prints if not name[0]}
        for axis in {axis for axis, _ in self.prints if axis}:
            kept |= self._kept(axis)
        return [{"axis": name[0], "group": name[1], **self.prints[name].written()} for name in sorted(kept)]

    def _kept(self, axis: str) -> set[Name]:
        """The groups whose print is written: neither they nor what they leave of the axis are few rows."""
        whole = self.whole(axis).rows
        rows = sorted((one.rows, name) for name, one in self.prints.items() if name[0] == axis)
        kept = [(n, name) for n, name in rows if n >= FEWEST and not 0 < whole - n < FEWEST]
        while kept and 0 < abs(whole - sum(n for n, _ in kept)) < FEWEST:
            kept = kept[1:]
        return {name for _, name in kept}


def _print(keys: Keys) -> Print:
    bucket = (keys & np.uint64(BUCKETS - 1)).astype(np.int64)
    total = int((keys & np.uint64(TOTALS - 1)).sum(dtype=np.uint64)) if len(keys) else 0
    return Print(len(keys), total % TOTALS, np.bincount(bucket, minlength=BUCKETS))


def _groups(axis: str, member: Membership, keys: Keys) -> dict[Name, Print]:
    """Counts by set of groups first, then the sets of each group added up."""
    sets = len(member.patterns)
    code = member.code.astype(np.int64)
    keys = combine(keys, hash64([json.dumps(sorted(one)) for one in member.patterns], salt="evenset.groups")[code])
    place = code * GROUP_BUCKETS + (keys & np.uint64(GROUP_BUCKETS - 1)).astype(np.int64)
    counts = np.bincount(place, minlength=sets * GROUP_BUCKETS).reshape(sets, GROUP_BUCKETS)
    # Sums of up to 2**33 of them are exact in float64.
    totals = np.bincount(code, weights=(keys & np.uint64(TOTALS - 1)).astype(np.float64), minlength=sets)
    of: dict[str, list[int]] = {}
    for at, pattern in enumerate(member.patterns):
        for group in pattern:
            of.setdefault(group, []).append(at)
    found = {("", axis): _print(keys)}
    for group, places in of.items():
        buckets = counts[places].sum(axis=0)
        if rows := int(buckets.sum()):
            found[axis, group] = Print(rows, sum(int(totals[at]) for at in places) % TOTALS, buckets)
    return found


def summed(sketches: Iterable[Sketch]) -> Sketch:
    """The sum of many."""
    rows: dict[Name, int] = {}
    totals: dict[Name, int] = {}
    buckets: dict[Name, Ints] = {}
    for sketch in sketches:
        for name, one in sketch.prints.items():
            if name not in rows:
                rows[name], totals[name], buckets[name] = one.rows, one.total, one.buckets.copy()
                continue
            size = min(len(buckets[name]), len(one.buckets))
            rows[name] += one.rows
            totals[name] = (totals[name] + one.total) % TOTALS
            buckets[name] = buckets[name].reshape(-1, size).sum(axis=0) + one.folded(size)
    return Sketch({name: Print(rows[name], totals[name], buckets[name]) for name in rows})


@dataclass(frozen=True, slots=True)
class Shared:
    """What two sets of rows have in common.

    Attributes
    ----------
    old, new : int
        Rows of each.
    rows : float
        Rows that are in both: an estimate from below.
    same : bool
        Whether they are the same rows.
    """

    old: int
    new: int
    rows: float
    same: bool


def shared(old: Print, new: Print) -> Shared:
    """How many rows two sets share.

    Notes
    -----
    With U rows removed, V added and B buckets, the squared differences of the buckets add up to
    (U + V)(1 - 1/B) + (V - U)²/B on average (the second moment of a sketch: Alon, Matias and Szegedy 1996), with a
    variance of about 2(U + V)²/B; and V - U is known. The estimate of U is raised by one standard deviation.
    A row that comes r times is taken for r² changed rows: fewer are called shared than are.
    The same rows are those whose number, buckets and sum of hashes are all equal: of other rows that happens at most
    about once in a million times (2**-20).

    Examples
    --------
    >>> old = Print(8, 11, np.array([3, 1, 2, 2]))
    >>> shared(old, old).same, shared(old, old + Print(1, 5, np.array([0, 1, 0, 0]))).rows > 6
    (True, True)
    """
    one, two = _alike(old, new)
    if old.rows == new.rows and old.total == new.total and np.array_equal(one, two):
        return Shared(old.rows, new.rows, float(old.rows), same=True)
    size, grown = len(one), new.rows - old.rows
    most = float(min(old.rows, new.rows))
    if size == 1:
        return Shared(old.rows, new.rows, 0.0, same=False)
    squares = float(((two - one) ** 2).sum())
    changed = max((squares - grown**2 / size) / (1 - 1 / size), abs(grown))
    changed *= 1 + math.sqrt(2 / size)
    removed = max((changed - grown) / 2, -grown, 0.0)
    return Shared(old.rows, new.rows, min(max(old.rows - removed, 0.0), most), same=False)
