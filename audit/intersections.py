"""Which groups an intersection of axes can have, so that a combination without a row is reported and not dropped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from math import prod
from typing import TYPE_CHECKING

from ..data.membership import CROSS
from .tally import AxisNote, GroupNote, Tally

if TYPE_CHECKING:
    from ..data.axes import Axis

# As many combinations without a row are listed one by one; of more the finding on the axis says how many there are.
MOST_ABSENT = 500

Groups = Mapping[str, GroupNote]


@dataclass(frozen=True, slots=True)
class Combinations:
    """What can occur on an intersection.

    Attributes
    ----------
    parts : tuple of mapping of group to GroupNote
        The groups of each part; empty where a part's are not known.
    judged : int
        How many combinations of groups that set a status there can be.
    met : int
        How many of these occur.
    absent : mapping of group to GroupNote
        Those that do not, at most 500, of the groups with most rows first.
    """

    parts: tuple[Groups, ...]
    judged: int
    met: int
    absent: Groups

    @staticmethod
    def of(tally: Tally, axis: str, axes: Sequence[Axis] = ()) -> Combinations:
        """The combinations of an axis of a tally.

        Parameters
        ----------
        tally : Tally
            With the axis.
        axis : str
            Its name, "A+B".
        axes : sequence of Axis, optional
            The axes that were counted. Without them a part is known if it was counted as an axis of its own or if it is
            a built-in word list.

        Notes
        -----
        The groups of a column are known where the column was counted as an axis of its own; else those count that occur
        together with a group of the other part.
        """
        met = tally.axes[axis].groups
        parts = _parts(tally, axis, axes)
        kept = [_by_rows(tally, name, groups) for name, groups in parts]
        judged = prod(len(groups) for groups in kept) if kept else 0
        absent: dict[str, GroupNote] = {}
        occurring = sum(note.status for note in met.values())
        if judged > occurring:
            names = (CROSS.join(names) for names in product(*kept))
            missing = (name for name in names if name not in met)
            absent = {name: GroupNote(subaxis=axis) for name in islice(missing, MOST_ABSENT)}
        return Combinations(tuple(groups for _, groups in parts), judged, occurring, absent)

    def has(self, group: str) -> bool:
        """Whether such a group can occur."""
        return cut(group, self.parts) is not None

    def note(self, group: str) -> GroupNote:
        """What is known about a group that can occur: it sets a status if all that it is made of do."""
        notes = [part[name] for name, part in zip(cut(group, self.parts) or (), self.parts, strict=False)]
        return GroupNote(all(note.status for note in notes), any(note.ambiguous for note in notes))

    @property
    def remark(self) -> str:
        """How many combinations have no row, in words."""
        none = self.judged - self.met
        if not self.parts or none <= 0:
            return ""
        listed = "" if none <= len(self.absent) else f"; {len(self.absent)} of them are listed"
        return f"{none:,} of {self.judged:,} combinations of judged groups have no row (n=0){listed}"


def cut(group: str, parts: Sequence[Iterable[str]]) -> tuple[str, ...] | None:
    """The groups that a combination is made of, or None; a column's value may itself hold " & ".

    Examples
    --------
    >>> cut("she & R & D", [["she", "he"], ["R & D", "sales"]])
    ('she', 'R & D')
    """
    if len(parts) == 1:
        return (group,) if group in set(parts[0]) else None
    for first in parts[0] if parts else ():
        if group.startswith(first + CROSS):
            rest = cut(group[len(first) + len(CROSS) :], parts[1:])
            if rest is not None:
                return (first, *rest)
    return None


def _parts(tally: Tally, axis: str, axes: Sequence[Axis]) -> list[tuple[str, Groups]]:
    """Name and groups of each part; nothing where one is not to be known."""
    counted = next((known for known in axes if known.name == axis), None)
    names = axis.split("+") if counted is None else [part.name for part in counted.parts]
    given = {} if counted is None else {part.name: part for part in counted.parts}
    notes: dict[str, Groups | None] = {}
    for name in names:
        if name in tally.axes:
            notes[name] = tally.axes[name].groups
        else:
            notes[name] = _groups(given[name]) if name in given else _builtin(name)
    met = tally.axes[axis]
    for at, name in enumerate(names):
        if notes[name] is None:
            notes[name] = _met(met, at, [notes[other] for other in names])
    parts = [(name, groups) for name in names if (groups := notes[name])]
    return parts if len(parts) == len(names) else []


def _builtin(name: str) -> Groups | None:
    from ..data.axes import parse_axes
    from ..data.lexicon import builtin_names

    if name not in builtin_names():
        return None
    return _groups(parse_axes([name], names=())[0])


def _groups(axis: Axis) -> Groups | None:
    if axis.groups is None:
        return None
    return {info.name: GroupNote(info.status, info.ambiguous, info.subaxis) for info in axis.groups}


def _met(note: AxisNote, at: int, known: Sequence[Groups | None]) -> Groups:
    """The groups of one part as far as they occur in combinations."""
    found: dict[str, GroupNote] = {}
    for group in note.groups:
        words = group.split(CROSS)
        if len(words) == len(known):
            found[words[at]] = GroupNote()
        elif len(known) == 2:
            other = known[1 - at] or {}
            for name in other:
                if at == 0 and group.endswith(CROSS + name):
                    found[group.removesuffix(CROSS + name)] = GroupNote()
                if at == 1 and group.startswith(name + CROSS):
                    found[group.removeprefix(name + CROSS)] = GroupNote()
    return found


def _by_rows(tally: Tally, name: str, groups: Groups) -> list[str]:
    """The groups that set a status, those with most rows first where that is known."""
    rows: dict[str, int] = {}
    for (_, pattern, _), cell in tally.cells.get(name, {}).items():
        for group in pattern:
            rows[group] = rows.get(group, 0) + cell.rows
    judged = [group for group, note in groups.items() if note.status]
    return sorted(judged, key=lambda group: (-rows.get(group, 0), group))
