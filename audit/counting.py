"""From a scanned batch to its tally: integers and bincounts, no walk over rows in Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from ..data.arrays import distinct
from ..data.errors import InputError
from ..data.scan import BUCKET_EDGES
from .documents import count_words
from .sketch import Sketch
from .sums import Sums, term_table
from .tally import MAX_WEIGHT, UNIT, AxisNote, Cell, CellKey, Codes, Coverage, GroupNote, LexiconNote, Tally, TermKey
from .vocabulary import LIMIT_WORDS

if TYPE_CHECKING:
    from ..data.axes import Axis
    from ..data.dataset import Batch
    from ..data.lexicon import Lexicon
    from ..data.match import Matches
    from ..data.membership import Membership
    from ..data.scan import Scanned

_SPLIT = 31  # bits of the low half of a squared weight: the halves of a batch add exactly in float64
_DENSE = 1 << 20  # up to so many possible cells counting is an array, beyond it a sort


def notes(axes: Sequence[Axis]) -> tuple[dict[str, AxisNote], dict[str, LexiconNote]]:
    """What is known of axes and their word lists before any row; groups of columns and intersections only when met."""
    axis_notes = {
        axis.name: AxisNote(
            axis.kind,
            {}
            if axis.kind == "intersection"
            else {info.name: GroupNote(info.status, info.ambiguous, info.subaxis) for info in axis.groups or ()},
        )
        for axis in axes
    }
    return axis_notes, {name: LexiconNote(lexicon.version, lexicon.sha256) for name, lexicon in _lexicons(axes).items()}


def _lexicons(axes: Sequence[Axis]) -> dict[str, Lexicon]:
    return {lexicon.name: lexicon for axis in axes for lexicon in axis.lexicons()}


def tally_batch(
    scanned: Scanned,
    axes: Sequence[Axis],
    edges: Sequence[int] = BUCKET_EDGES,
    *,
    words: bool | int = False,
    into: Sums | None = None,
) -> Tally:
    """Count one scanned batch.

    Parameters
    ----------
    scanned : Scanned
        Rows with their matches and groups.
    axes : sequence of Axis
        Those it was scanned with.
    edges : sequence of int
        Those it was scanned with.
    words : bool or int
        As in `Tally.of`.
    into : Sums, optional
        Where cells and terms are added instead; the tally then has none.

    Raises
    ------
    InputError
        For a weight that is missing, negative, not finite or above a million: names the row.
    """
    batch = scanned.batch
    label, labels = label_codes(batch)
    weight = None if batch.weight is None else _fixed(batch.weight, batch.start)
    axis_notes, lexicon_notes = notes(axes)
    cells: dict[str, dict[CellKey, Cell]] = {}
    for axis in axes:
        member = scanned.members[axis.name]
        if into is not None and weight is None:
            into.add_cells(axis.name, label, labels, member, scanned.bucket)
            cells[axis.name] = {}
        else:
            cells[axis.name] = _cells(label, labels, member, scanned.bucket, len(edges) + 1, weight)
        known = dict(axis_notes[axis.name].groups)
        for pattern in member.patterns:
            for group in pattern:
                if group not in known:
                    info = axis.info(group)
                    known[group] = GroupNote(info.status, info.ambiguous, info.subaxis)
        axis_notes[axis.name] = AxisNote(axis.kind, known)
    found = {
        name: _terms(lexicon, scanned.matches[name], label, labels, into) for name, lexicon in _lexicons(axes).items()
    }
    length = np.asarray(pc.binary_length(batch.text))
    return Tally(
        edges=tuple(edges),
        axes=axis_notes,
        lexicons=lexicon_notes,
        rows=batch.n,
        null_texts=int(batch.text_null.sum()),
        empty_texts=int(((length == 0) & ~batch.text_null).sum()),
        null_labels=0 if batch.label is None else batch.label.null_count,
        tokens=0 if scanned.tokens is None else scanned.tokens.n,
        bad_weights=0 if batch.bad_weight is None else int(batch.bad_weight.sum()),
        cells=cells,
        terms={name: terms for name, (terms, _) in found.items()},
        coverage={name: coverage for name, (_, coverage) in found.items()},
        words=count_words(scanned, axis_notes, label, labels, limit=LIMIT_WORDS if words is True else words)
        if words
        else None,
        sketch=Sketch.of(batch, scanned.members) if batch.n else None,
    )


def label_codes(batch: Batch) -> tuple[Codes, list[str | None]]:
    """The label of each row as an index into the labels of the batch, None the last of them."""
    if batch.label is None:
        return np.zeros(batch.n, dtype=np.int64), [None]
    coded = batch.label.dictionary_encode()
    names: list[str | None] = [*coded.dictionary.to_pylist(), None]
    return np.asarray(coded.indices.fill_null(len(names) - 1)).astype(np.int64), names


def _fixed(weight: npt.NDArray[np.float64], start: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Weights and their squares as whole numbers of 2**-20."""
    good = (weight >= 0) & (weight <= MAX_WEIGHT)  # not-a-number compares as false
    if not good.all():
        at = int(np.flatnonzero(~good)[0])
        raise InputError(
            f"row {start + at + 1} has the weight {weight[at]}; weights must be numbers from 0 to {MAX_WEIGHT:,.0f}"
        )
    return np.rint(weight * UNIT).astype(np.int64), np.rint(weight * weight * UNIT).astype(np.int64)


def _cells(
    label: Codes,
    labels: Sequence[str | None],
    member: Membership,
    bucket: npt.NDArray[np.int8],
    buckets: int,
    weight: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None,
) -> dict[CellKey, Cell]:
    patterns = member.patterns
    code = (label * len(patterns) + member.code) * buckets + bucket
    possible = len(labels) * len(patterns) * buckets
    if possible <= _DENSE:
        rows = np.bincount(code, minlength=possible)
        found = np.flatnonzero(rows)
        rows, place = rows[found], code
    else:
        found, place, rows = np.unique(code, return_inverse=True, return_counts=True)
    if weight is None:
        sums = squares = [int(count) * UNIT for count in rows]
    else:
        size = possible if possible <= _DENSE else len(found)
        sums, squares = (_add(place, values, size) for values in weight)
        if possible <= _DENSE:
            sums, squares = [sums[k] for k in found.tolist()], [squares[k] for k in found.tolist()]
    cells = {}
    for key, count, w, w2 in zip(found.tolist(), rows.tolist(), sums, squares, strict=True):
        rest, at = divmod(key, buckets)
        which, pattern = divmod(rest, len(patterns))
        cells[labels[which], patterns[pattern], at] = Cell(count, w, w2)
    return cells


def _add(place: Codes, values: npt.NDArray[np.int64], size: int) -> list[int]:
    """Exact sums by place, as Python's numbers: the halves of each value add without rounding."""
    low = np.bincount(place, weights=values & ((1 << _SPLIT) - 1), minlength=size)
    high = np.bincount(place, weights=values >> _SPLIT, minlength=size)
    return [(int(h) << _SPLIT) + int(one) for h, one in zip(high.tolist(), low.tolist(), strict=True)]


def _terms(
    lexicon: Lexicon, matches: Matches, label: Codes, labels: Sequence[str | None], into: Sums | None
) -> tuple[dict[TermKey, int], Coverage]:
    """Documents by form and label, and how much of the batch the word list sees."""
    forms = len(lexicon.forms)
    document = distinct(matches.row * forms + matches.form)
    of_row, of_form = np.divmod(document, forms)
    counted = np.bincount(label[of_row] * forms + of_form, minlength=len(labels) * forms).reshape(-1, forms)
    coverage = Coverage(int(np.count_nonzero(np.diff(of_row, prepend=-1))), int(matches.length.sum()))
    if into is not None:
        into.add_terms(lexicon.name, counted, labels)
        return {}, coverage
    return term_table(lexicon, counted, labels), coverage
