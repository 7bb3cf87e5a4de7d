"""The tally: everything audit knows of the data, as exact counts that add.

A tally of two shards is the sum of their tallies, in any order and with any cuts: a commutative monoid. So the same
code streams, resumes and distributes, and every measure is a function of the sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..data.errors import InputError
from ..data.scan import BUCKET_EDGES
from .sketch import Sketch, summed
from .vocabulary import LIMIT_WORDS, Gather, Words

if TYPE_CHECKING:
    from ..data.axes import Axis
    from ..data.scan import Scanned

UNIT = 1 << 20  # weights are counted in units of 2**-20, so that sums are exact in any order
MAX_WEIGHT = 1e6

Pattern = tuple[str, ...]
CellKey = tuple[str | None, Pattern, int]
TermKey = tuple[str, str | None]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cell:
    """Rows of one cell, and the sums of their weights and squared weights in units of 2**-20."""

    rows: int
    w: int
    w2: int

    def __add__(self, other: Cell) -> Cell:
        return Cell(self.rows + other.rows, self.w + other.w, self.w2 + other.w2)


@dataclass(frozen=True, slots=True)
class GroupNote:
    """What the axis says about one of its groups.

    Attributes
    ----------
    status : bool
        Whether findings about it may pass or fail; otherwise they are reported only.
    ambiguous : bool
        Whether its words have another everyday sense.
    subaxis : str
        Its kind, for example "religion".
    """

    status: bool = True
    ambiguous: bool = False
    subaxis: str = ""


@dataclass(frozen=True, slots=True)
class AxisNote:
    """Kind of an axis and its groups met so far, a lexicon's all from the start."""

    kind: str
    groups: Mapping[str, GroupNote]


@dataclass(frozen=True, slots=True)
class LexiconNote:
    """Which word list was used; tallies of different ones do not add."""

    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the text a word list can see."""

    rows: int = 0
    tokens: int = 0

    def __add__(self, other: Coverage) -> Coverage:
        return Coverage(self.rows + other.rows, self.tokens + other.tokens)


@dataclass(frozen=True)
class Tally:
    """Exact counts of a set of rows.

    Attributes
    ----------
    edges : tuple of int
        Upper edges of the length buckets, in characters; tallies with other edges do not add.
    axes : mapping of axis name to AxisNote
    lexicons : mapping of lexicon name to LexiconNote
    rows, null_texts, empty_texts, null_labels, tokens : int
        Rows without text, with an empty one, without label; tokens of all texts.
    cells : mapping of axis name to mapping of (label, groups of the row, length bucket) to Cell
        A label of None: the row has none. No groups: ().
    bad_weights : int
        Rows whose weight is missing, negative or not finite, where these were counted and not refused; they weigh 0.
    terms : mapping of lexicon name to mapping of (form, label) to documents
    coverage : mapping of lexicon name to Coverage
    words : Words or None
        Documents by word of the open vocabulary, if they were asked for.
    sketch : Sketch or None
        What tells how many rows these share with others; None where rows were counted without.

    Examples
    --------
    >>> one = Tally(edges=(82,), rows=2)
    >>> (one + one).rows
    4
    >>> one + Tally(edges=(82,)) == one
    True
    """

    edges: tuple[int, ...]
    axes: Mapping[str, AxisNote] = field(default_factory=dict)
    lexicons: Mapping[str, LexiconNote] = field(default_factory=dict)
    rows: int = 0
    null_texts: int = 0
    empty_texts: int = 0
    null_labels: int = 0
    tokens: int = 0
    bad_weights: int = 0
    cells: Mapping[str, Mapping[CellKey, Cell]] = field(default_factory=dict)
    terms: Mapping[str, Mapping[TermKey, int]] = field(default_factory=dict)
    coverage: Mapping[str, Coverage] = field(default_factory=dict)
    words: Words | None = None
    sketch: Sketch | None = None

    def __add__(self, other: Tally) -> Tally:
        return total([other], start=self)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of all cells, sorted; rows without label have none."""
        return tuple(sorted({key[0] for cells in self.cells.values() for key in cells if key[0] is not None}))

    @property
    def weighted(self) -> bool:
        """Whether any row weighs other than 1."""
        return any(
            cell.w != cell.rows * UNIT or cell.w2 != cell.w for cells in self.cells.values() for cell in cells.values()
        )

    @staticmethod
    def zero(axes: Sequence[Axis], edges: Sequence[int] = BUCKET_EDGES, *, words: bool | int = False) -> Tally:
        """The tally of no rows: adding it changes nothing.

        Parameters
        ----------
        axes : sequence of Axis
            The axes that will be counted; a lexicon's groups are known from the start.
        edges : sequence of int
            Upper edges of the length buckets.
        words : bool or int
            As in `Tally.of`.
        """
        from .counting import notes

        axis_notes, lexicons = notes(axes)
        return Tally(
            edges=tuple(edges),
            axes=axis_notes,
            lexicons=lexicons,
            cells={name: {} for name in axis_notes},
            terms={name: {} for name in lexicons},
            coverage={name: Coverage() for name in lexicons},
            words=Words.zero(LIMIT_WORDS if words is True else words) if words else None,
        )

    @staticmethod
    def of(
        scanned: Scanned, axes: Sequence[Axis], edges: Sequence[int] = BUCKET_EDGES, *, words: bool | int = False
    ) -> Tally:
        """The tally of one scanned batch. No step walks over the rows in Python.

        Parameters
        ----------
        scanned : Scanned
            Rows with their matches and groups.
        axes : sequence of Axis
            Those it was scanned with.
        edges : sequence of int
            Those it was scanned with.
        words : bool or int
            Whether to count the open vocabulary too: each word by label and side of every axis. A number says how many
            words are kept exactly, True 2**18. The batch must have been scanned with ``tokens=True``.
        """
        from .counting import tally_batch

        return tally_batch(scanned, axes, edges, words=words)

    def to_arrow(self) -> pa.Table:
        """The tally as one table, nothing lost."""
        from .storing import to_arrow

        return to_arrow(self)

    @staticmethod
    def from_arrow(table: pa.Table) -> Tally:
        """Read what `to_arrow` made."""
        from .storing import from_arrow

        return from_arrow(table)

    def save(self, path: str | Path) -> None:
        """Write the tally to an Arrow file, whole or not at all."""
        from .storing import save

        save(self, path)

    @staticmethod
    def load(path: str | Path) -> Tally:
        """Read what `save` wrote; a file that is missing, damaged or no tally is an InputError."""
        from .storing import load

        return load(path)


_SKETCHES = 64  # so many wait until they are added up
COUNTS = ("rows", "null_texts", "empty_texts", "null_labels", "tokens", "bad_weights")


def total(tallies: Iterable[Tally], *, start: Tally) -> Tally:
    """The sum of many tallies, in one set of tables: adding a small one to a large one costs what the small one is.

    Parameters
    ----------
    tallies : iterable of Tally
        What to add, in any order.
    start : Tally
        What to add to, usually `Tally.zero`; it is not changed.

    Raises
    ------
    InputError
        When the tallies have other length buckets, axes or word lists.
    """
    axes = dict(start.axes)
    lexicons = dict(start.lexicons)
    counts = {name: getattr(start, name) for name in COUNTS}
    cells = {name: dict(table) for name, table in start.cells.items()}
    terms = {name: dict(table) for name, table in start.terms.items()}
    coverage = dict(start.coverage)
    words = None if start.words is None else Gather(start.words)
    sketches = [start.sketch] if start.rows else []
    for tally in tallies:
        _same(start, tally)
        for name in COUNTS:
            counts[name] += getattr(tally, name)
        for name, note in tally.axes.items():
            known = axes[name].groups
            if any(group not in known for group in note.groups):
                axes[name] = AxisNote(note.kind, {**known, **note.groups})
        for name, cell_table in tally.cells.items():
            into = cells[name]
            for key, cell in cell_table.items():
                before = into.get(key)
                into[key] = cell if before is None else before + cell
        for name, term_table in tally.terms.items():
            documents = terms[name]
            for term, count in term_table.items():
                documents[term] = documents.get(term, 0) + count
        for name, seen in tally.coverage.items():
            coverage[name] = coverage[name] + seen
        if words is not None and tally.words is not None:
            words.add(tally.words)
        if tally.rows:
            sketches.append(tally.sketch)
            if len(sketches) == _SKETCHES:
                sketches = [_sketched(sketches)]
    return Tally(
        edges=start.edges,
        axes=axes,
        lexicons=lexicons,
        cells=cells,
        terms=terms,
        coverage=coverage,
        words=words.finish() if words is not None else None,
        sketch=_sketched(sketches),
        **counts,
    )


def _sketched(sketches: Sequence[Sketch | None]) -> Sketch | None:
    """Their sum; rows that have none leave nothing to be said of all."""
    known = [sketch for sketch in sketches if sketch is not None]
    return summed(known) if known and len(known) == len(sketches) else None


def _same(one: Tally, other: Tally) -> None:
    """Refuse to add what does not count the same things."""
    if (one.words is None) != (other.words is None):
        raise InputError("these tallies do not add: one counts words and the other does not; audit the data again")
    kinds = {name: note.kind for name, note in one.axes.items()}, {name: note.kind for name, note in other.axes.items()}
    for what, left, right in (
        ("length buckets", one.edges, other.edges),
        ("axes", *kinds),
        ("word lists", dict(one.lexicons), dict(other.lexicons)),
    ):
        if left != right:
            raise InputError(
                f"these tallies do not add: their {what} differ ({left} and {right}); audit the data again"
            )
