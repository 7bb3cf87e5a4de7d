"""Axes: ways of grouping rows. On each axis a row is a member of any number of groups, also of none.

What a user writes is one word an axis: a built-in lexicon (``pronouns``, ``identity``, ...), ``lexicon:FILE``,
``column:COL``, ``column:COL>=0.5`` or an intersection ``A+B``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .arrays import distinct
from .dataset import Batch, listed
from .errors import InputError, suggest
from .lexicon import Lexicon, builtin_names, load
from .match import Matches
from .membership import CROSS, Membership, coded, intersection, masked
from .normalise import numbers_of, strings_of

__all__ = ["MIXED", "Axis", "GroupInfo", "Membership", "parse_axes"]

MIXED = "mixed"
"""The group of rows with forms of groups that exclude each other, such as she and he."""

_BITS = 64


@dataclass(frozen=True, slots=True)
class GroupInfo:
    """What is known about a group.

    Attributes
    ----------
    name : str
    subaxis : str
        For example "religion" on the axis "identity"; elsewhere the axis itself.
    status : bool
        Whether findings about the group may set a status. They do not for groups that the lexicon excepts, for
        "mixed", and for ambiguous ones unless `parse_axes` was asked to.
    ambiguous : bool
        Whether the forms that make the group commonly mean something else.
    """

    name: str
    subaxis: str
    status: bool
    ambiguous: bool


@dataclass(frozen=True)
class Axis:
    """One way of grouping rows. Get them from `parse_axes`.

    Attributes
    ----------
    name : str
        As it was written, for ``lexicon:FILE`` the name inside the file.
    kind : "lexicon", "column" or "intersection"
    lexicon : Lexicon or None
    column : str or None
    threshold : float or None
        Of ``column:COL>=0.5``; `above` says that it was ``>``.
    parts : tuple of Axis
        Of an intersection.
    count_ambiguous : bool
        Whether ambiguous groups set a status.
    given : str
        As it was written, path included, so that commands can be repeated; "" where it was not written.
    """

    name: str
    kind: Literal["lexicon", "column", "intersection"]
    lexicon: Lexicon | None = field(default=None, repr=False)
    column: str | None = None
    threshold: float | None = None
    above: bool = False
    parts: tuple[Axis, ...] = ()
    count_ambiguous: bool = False
    given: str = field(default="", repr=False, compare=False)

    @property
    def groups(self) -> tuple[GroupInfo, ...] | None:
        """All groups that can occur, or None where only the data can tell (the values of a column)."""
        if self.lexicon is not None:
            infos = [
                GroupInfo(g.name, g.axis, g.status and (self.count_ambiguous or not g.ambiguous), g.ambiguous)
                for g in self.lexicon.groups
            ]
            exclusive = next((g for g in self.lexicon.groups if g.exclusive_with), None)
            if exclusive is not None:
                infos.append(GroupInfo(MIXED, exclusive.axis, status=False, ambiguous=False))
            return tuple(infos)
        if self.kind == "column":
            if self.threshold is None:
                return None
            return (GroupInfo(str(self.column), self.name, status=True, ambiguous=False),)
        pairs: tuple[GroupInfo, ...] = (GroupInfo("", "", status=True, ambiguous=False),)
        for part in self.parts:
            groups = part.groups
            if groups is None:
                return None
            pairs = tuple(_crossed(self.name, a, b) for a in pairs for b in groups)
        return pairs

    @property
    def status_groups(self) -> tuple[str, ...] | None:
        """Names of the groups that may set a status; None where only the data can tell."""
        groups = self.groups
        return None if groups is None else tuple(group.name for group in groups if group.status)

    def info(self, group: str) -> GroupInfo:
        """What is known about a group that occurred on this axis.

        Raises
        ------
        InputError
            When no such group can occur.
        """
        if self.kind == "intersection":
            info = GroupInfo("", "", status=True, ambiguous=False)
            for part, name in zip(self.parts, self._split(group), strict=True):
                info = _crossed(self.name, info, part.info(name))
            return info
        groups = self.groups
        if groups is None:
            return GroupInfo(group, self.name, status=True, ambiguous=False)
        for known in groups:
            if known.name == group:
                return known
        names = [known.name for known in groups]
        raise InputError(f'axis "{self.name}" has no group "{group}".{suggest(group, names)}')

    def _split(self, group: str) -> list[str]:
        """The groups of the parts; a column's value may itself hold " & ", so every way to cut is tried."""
        words = group.split(CROSS)
        if len(words) == len(self.parts):
            return words
        for cut in range(1, len(words)):
            first, rest = CROSS.join(words[:cut]), CROSS.join(words[cut:])
            groups = self.parts[0].groups
            if len(self.parts) == 2 and (groups is None or any(known.name == first for known in groups)):
                return [first, rest]
        raise InputError(f'axis "{self.name}" has no group "{group}"; its groups are written "A & B"')

    def lexicons(self) -> tuple[Lexicon, ...]:
        """The lexicons that must be matched for this axis."""
        own = () if self.lexicon is None else (self.lexicon,)
        return own + tuple(lexicon for part in self.parts for lexicon in part.lexicons())

    def columns(self) -> tuple[str, ...]:
        """The columns that must be read for this axis."""
        own = () if self.column is None else (self.column,)
        return own + tuple(column for part in self.parts for column in part.columns())

    def members(self, batch: Batch, matches: Mapping[str, Matches]) -> Membership:
        """The groups of each row of a batch.

        Parameters
        ----------
        batch : Batch
            The rows.
        matches : mapping of str to Matches
            By name of lexicon, for the same rows.

        Returns
        -------
        Membership

        Raises
        ------
        InputError
            When a column that is compared with a number holds something else: names the row.
        """
        if self.lexicon is not None:
            return _of_matches(matches[self.lexicon.name], self.lexicon, batch.n)
        if self.kind == "intersection":
            membership = self.parts[0].members(batch, matches)
            for part in self.parts[1:]:
                membership = intersection(membership, part.members(batch, matches))
            return membership
        column = str(self.column)
        values = batch.column(column) if self.threshold is None else batch.stored(column)
        if self.threshold is None:
            return _of_values(values, self, batch)
        where = f'--axis "{self.name}"'
        number = numbers_of(values, f'{where}: column "{self.column}"', lambda at: f"row {batch.start + at + 1}")
        holds = (pc.greater if self.above else pc.greater_equal)(number, self.threshold)
        code = pc.fill_null(holds.cast(pa.int32()), 0).to_numpy(zero_copy_only=False)
        return Membership(((), (str(self.column),)), code)


def parse_axes(specs: Sequence[str], *, names: Sequence[str], ambiguous: bool = False) -> tuple[Axis, ...]:
    """Turn what the user wrote into axes.

    Parameters
    ----------
    specs : sequence of str
        ``pronouns``, ``identity`` or another built-in lexicon; ``lexicon:FILE``; ``column:COL`` (the value is the
        group; null and empty are none); ``column:COL>=0.5`` or ``column:COL>0.5`` (the one group is COL); ``A+B``
        (groups "a & b" for every pair of groups that a row has).
    names : sequence of str
        The columns there are.
    ambiguous : bool
        Whether groups of ambiguous forms set a status like others.

    Returns
    -------
    tuple of Axis

    Raises
    ------
    InputError
        When a word means nothing, a column or a lexicon is missing, or two axes have one name.

    Examples
    --------
    >>> [(axis.name, axis.kind) for axis in parse_axes(["pronouns", "pronouns+column:race"], names=["text", "race"])]
    [('pronouns', 'lexicon'), ('pronouns+column:race', 'intersection')]
    >>> parse_axes(["pronouns"], names=[])[0].status_groups
    ('she', 'he')
    """
    axes = tuple(_axis(spec.strip(), names, ambiguous) for spec in specs)
    seen: dict[str, str] = {}
    for axis, spec in zip(axes, specs, strict=True):
        if axis.name in seen:
            raise InputError(f'--axis "{spec}" and --axis "{seen[axis.name]}" are both called "{axis.name}"; give one')
        seen[axis.name] = spec
    return axes


def _axis(spec: str, names: Sequence[str], ambiguous: bool) -> Axis:  # noqa: FBT001
    if spec.startswith("lexicon:"):
        lexicon = load(Path(spec.removeprefix("lexicon:").strip()).expanduser())
        return Axis(lexicon.name, "lexicon", lexicon=lexicon, count_ambiguous=ambiguous, given=spec)
    if spec in builtin_names():
        return Axis(spec, "lexicon", lexicon=load(spec), count_ambiguous=ambiguous)
    column = spec.removeprefix("column:").strip()
    # A column's own name may hold "+" or ">", so it is looked for before the word is taken apart.
    if spec.startswith("column:") and ("+" not in column or _column(column, names) is not None):
        found = _column(column, names)
        if found is not None:
            return replace(found, name=spec)
        wanted = re.split(r"\s*>=?\s*", column)[0]
        raise InputError(
            f'--axis "{spec}": there is no column "{wanted}"; the columns are {listed(names)}.{suggest(wanted, names)}'
        )
    if "+" in spec:
        parts = tuple(_axis(part, names, ambiguous) for part in _parts(spec, names))
        return Axis(spec, "intersection", parts=parts)
    known = [*builtin_names(), "lexicon:FILE", "column:COL"]
    hint = f' Did you mean "column:{spec}"?' if spec in names else suggest(spec, known)
    raise InputError(f'--axis "{spec}" means nothing; there are {", ".join(known)}, column:COL>=0.5 and A+B.{hint}')


def _parts(spec: str, names: Sequence[str]) -> list[str]:
    """Cut "A+B" at its plus signs, but not inside the name of a column."""
    words = [word.strip() for word in spec.split("+")]
    parts: list[str] = []
    while words:
        size = 1
        if words[0].startswith("column:"):
            sizes = range(len(words), 0, -1)
            joined = (("+".join(words[:k])).removeprefix("column:") for k in sizes)
            size = next((k for k, text in zip(sizes, joined, strict=True) if _column(text, names) is not None), 1)
        parts.append("+".join(words[:size]))
        words = words[size:]
    return parts


def _column(text: str, names: Sequence[str]) -> Axis | None:
    """The axis of a column, with or without a threshold; None where no such column exists."""
    if text in names:
        return Axis(text, "column", column=text)
    split = re.fullmatch(r"(.*?)\s*(>=|>)\s*([^>=]+)", text)
    if split is None or split[1] not in names:
        return None
    try:
        threshold = float(split[3])
    except ValueError:
        if "+" in split[3]:  # another axis follows
            return None
        raise InputError(f'--axis "column:{text}": "{split[3]}" is no number') from None
    return Axis(text, "column", column=split[1], threshold=threshold, above=split[2] == ">")


def _crossed(axis: str, first: GroupInfo, second: GroupInfo) -> GroupInfo:
    name = first.name + CROSS + second.name if first.name else second.name
    return GroupInfo(name, axis, first.status and second.status, first.ambiguous or second.ambiguous)


def _of_matches(found: Matches, lexicon: Lexicon, n_rows: int) -> Membership:
    """Rows by the groups whose forms they hold; groups that exclude each other become "mixed" where they meet."""
    of_form = np.array([form.group for form in lexicon.forms], np.int64)
    names = [group.name for group in lexicon.groups] + [MIXED]
    order = sorted(range(len(names)), key=names.__getitem__)  # in a pattern, groups are sorted by name
    rank = np.empty(len(names), np.int64)
    rank[order] = np.arange(len(names))
    excluding = {
        tuple(sorted((int(rank[index]), int(rank[names.index(other)]))))
        for index, one in enumerate(lexicon.groups)
        for other in one.exclusive_with
    }
    if len(names) > _BITS:
        return _of_many(found.row, rank[of_form[found.form]], [names[k] for k in order], excluding, n_rows)
    starts = np.flatnonzero(np.diff(found.row, prepend=-1))  # matches are in the order of rows
    row = found.row[starts]
    bit = (np.uint64(1) << rank.astype(np.uint64))[of_form][found.form]
    mask = np.bitwise_or.reduceat(bit, starts) if len(starts) else np.zeros(0, np.uint64)
    gone = np.zeros(len(mask), np.uint64)
    for one, other in excluding:
        pair = np.uint64(1 << one | 1 << other)
        gone[mask & pair == pair] |= pair
    mask = np.where(gone != 0, (mask & ~gone) | np.uint64(1 << int(rank[-1])), mask)
    return masked(mask, row, [names[k] for k in order], n_rows)


def _of_many(
    row: npt.NDArray[np.int64],
    group: npt.NDArray[np.int64],
    names: Sequence[str],
    excluding: Iterable[tuple[int, ...]],
    n_rows: int,
) -> Membership:
    """The same for more groups than a number has bits."""
    key = distinct(row * len(names) + group)
    row, group = key // len(names), key % len(names)
    mixed = np.zeros(len(row), np.bool_)
    for one, other in excluding:
        both = np.intersect1d(row[group == one], row[group == other], assume_unique=True)
        mixed |= ((group == one) | (group == other)) & np.isin(row, both)
    return coded(row, np.where(mixed, names.index(MIXED), group), names, n_rows)


def _of_values(values: pa.Array, axis: Axis, batch: Batch) -> Membership:
    """Rows by the value of a column, or by the values in a column of lists."""
    row = np.arange(batch.n)
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        row = pc.list_parent_indices(values).to_numpy(zero_copy_only=False)
        values = values.flatten()
    text = strings_of(values, f'column "{axis.column}"', lambda at: f"row {batch.start + at + 1}")
    spelt = text.dictionary_encode()
    code = pc.fill_null(spelt.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    names = spelt.dictionary.to_pylist()
    order = sorted(range(len(names)), key=names.__getitem__)
    rank = np.zeros(len(names), np.int64)
    rank[order] = np.arange(len(names))
    given = code >= 0
    return coded(row[given], rank[code[given]], [names[k] for k in order], batch.n)
