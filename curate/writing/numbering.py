"""The first pass over data in parts: cells and content hashes of the rows of each, then the row keys of all.

A row's key needs the number of equal rows before it. So hashes are spilled part by part, and the numbers are made when
all are there: values that come more than once are found by sorting, and only their rows are counted through.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...data import parts
from ...data.errors import InputError
from ...data.hashing import Keys, combine, content_keys, hash64
from ...data.normalise import Census as Labels
from ...data.tokens import tokenize
from ..edits import distinct
from ..placebo import Vocabulary
from ..prepare import Census, cells_of
from ..selection.adding import CopyCollector
from ..spilling import constant, forget, spilled
from ..units import Cells, Codes, Units
from . import skim
from .pieces import Work, batches, scanner_of

_ARRAYS = ("cells", "texts", "weights")


@dataclass(frozen=True, slots=True)
class Count:
    """What the first pass leaves of a part, besides its arrays in the stage.

    Attributes
    ----------
    rows : int
    labels : Labels
    cells : Cells
        Numbered as they came in this part.
    copies : dict of int to Units
        By index of an augmenting step.
    weighted : bool
        Whether rows have weights.
    """

    rows: int
    labels: Labels
    cells: Cells
    copies: dict[int, Units]
    weighted: bool


@dataclass(frozen=True, slots=True)
class Numbered:
    """All parts counted.

    Attributes
    ----------
    work : Work
    counted : list of Count
    rows : tuple of int
        Of each part.
    hashes : bool
        Whether the hashes of texts were kept.
    """

    work: Work
    counted: list[Count]
    rows: tuple[int, ...]
    hashes: bool

    def census(self) -> tuple[Census, dict[int, Units]]:
        """All rows of the data in cells, and the copies of each step."""
        stage = self.work.stage
        cells = Cells(tuple(axis.name for axis in self.work.prepared.distinct))
        n = sum(self.rows)
        cell = np.empty(n, np.int32)
        weighted = self.counted[0].weighted
        weight = spilled(stage / "weight.bin", n, np.float64) if weighted else constant(np.float64(1), n)
        keys = spilled(stage / "keys.bin", n, np.uint64)
        position = spilled(stage / "position.bin", n, np.int64)
        copies: dict[int, list[Units]] = {step.index: [] for step in self.work.changer.resolved.augments}
        low = 0
        for number, one in enumerate(self.counted, 1):
            high = low + one.rows
            code = merged_codes(cells, one.cells)
            cell[low:high] = code[_read(stage, number, "cells", np.int32)]
            keys[low:high] = np.fromfile(self.work.keys_at(number), "<u8")
            position[low:high] = np.arange(low, high)
            if weighted:
                weight[low:high] = _read(stage, number, "weights", np.float64)
            for index, units in one.copies.items():
                if units.n:
                    copies[index].append(_moved(units, low, code, keys))
            for array in (keys, position, weight):
                forget(array)
            low = high
        nothing = constant(np.int32(0), n)
        units = Units(position, nothing, nothing, nothing, cell, keys, weight)
        texts = None
        if self.hashes:
            texts = distinct(
                np.concatenate([_read(stage, number, "texts", np.uint64) for number in range(1, len(self.rows) + 1)])
            )
        return Census(cells, units, texts), {index: Units.joined(found) for index, found in copies.items()}


def _moved(units: Units, by: int, code: Codes, keys: Keys) -> Units:
    """Copies of a part's rows as copies of rows of the data."""
    position = units.position + by
    return Units(
        position, units.variant, units.repeat, units.by, code[units.cell], np.asarray(keys[position]), units.weight
    )


def count_part(shared: tuple[Work, bool, bool], part: parts.Part) -> Count:
    """Spill what the first pass finds in the rows of a part.

    Parameters
    ----------
    shared : tuple of Work, bool and bool
        The work; whether cells are counted and copies made; whether hashes of the texts are kept.
    part : Part
        Which rows.
    """
    work, with_cells, hashes = shared
    prepared = work.prepared
    columns = prepared.dataset.columns
    cells = Cells(tuple(axis.name for axis in prepared.distinct))
    collector = CopyCollector(prepared, work.changer)
    labels = Labels()
    found: dict[str, list[Any]] = {"contents": [], **{name: [] for name in _ARRAYS}}
    weighted = False
    scanner = scanner_of(work, scans=with_cells)
    skims = skim.for_axes(prepared.distinct) if with_cells and not work.changer.resolved.augments else None
    for batch, keys in batches(work, part, write=False):
        labels.add(batch.label, batch.n)
        if not work.keyed:
            ids = None if columns.id is None else batch.column(columns.id)
            found["contents"].append(content_keys(batch.text, batch.label) if ids is None else id_keys(ids))
        if with_cells:
            chunk = prepared.chunk(skim.grouped(scanner, skims, batch), keys)
            codes = cells_of(cells, chunk.scanned)
            found["cells"].append(codes)
            collector.visit(chunk, cells, codes)
            if batch.weight is not None:
                weighted = True
                found["weights"].append(batch.weight)
        if hashes:
            found["texts"].append(hash64(batch.text, salt="evenset.text"))
    for name, some in found.items():
        if some:
            _write(work.stage, part.number, name, np.concatenate(some))
    return Count(labels.rows, labels, cells, collector.copies() if with_cells else {}, weighted)


def id_keys(ids: Any) -> Keys:
    """Hashes of ids, which must all be there."""
    import pyarrow as pa

    if ids.null_count:
        raise InputError("a row has no value in the id column; fill it or leave --id out")
    if not (pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type)):
        ids = ids.cast(pa.large_string())
    return hash64(ids, salt="evenset.id")


def numbered(work: Work, counted: list[Count], *, cells: bool, hashes: bool, keys: bool) -> Numbered:
    """Make the row keys of all parts from the hashes of their contents."""
    rows = tuple(one.rows for one in counted)
    if keys:
        _number(work, rows)
    del cells
    return Numbered(work, counted, rows, hashes)


def _number(work: Work, rows: tuple[int, ...]) -> None:
    ids = work.prepared.dataset.columns.id is not None
    numbers = range(1, len(rows) + 1)
    everything = np.empty(sum(rows), np.uint64)
    low = 0
    for number, n in zip(numbers, rows, strict=True):
        everything[low : low + n] = _read(work.stage, number, "contents", np.uint64)
        low += n
    everything.sort()
    again = distinct(everything[1:][everything[1:] == everything[:-1]])
    del everything
    if ids and len(again):
        for _ in work.prepared.chunks():  # one pass over all rows knows which id it is
            pass
        raise InputError("an id comes twice; ids must be unique: choose another --id or leave it out")
    met = np.zeros(len(again), np.int64)
    work.keys_at(1).parent.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        contents = _read(work.stage, number, "contents", np.uint64)
        keys = contents if ids else combine(contents, _occurrences(contents, again, met))
        keys.astype("<u8").tofile(work.keys_at(number))
        _path(work.stage, number, "contents").unlink(missing_ok=True)


def _occurrences(contents: Keys, again: Keys, met: npt.NDArray[np.int64]) -> Keys:
    """How often each hash has come before it; `again` are those that come more than once, `met` how often so far."""
    before = np.zeros(len(contents), np.uint64)
    if not len(again):
        return before
    place = np.minimum(np.searchsorted(again, contents), len(again) - 1)
    which = np.flatnonzero(again[place] == contents)
    place = place[which]
    order = np.argsort(place, kind="stable")
    ordered = place[order]
    first = np.flatnonzero(np.diff(ordered, prepend=-1))
    sizes = np.diff(np.append(first, len(ordered)))
    within = np.arange(len(ordered)) - np.repeat(first, sizes) + met[ordered]
    before[which[order]] = within.astype(np.uint64)
    met[ordered[first]] += sizes
    return before


def merged_codes(cells: Cells, part: Cells) -> Codes:
    """Take up the cells of a part; for each of its codes the one among all."""
    if not part.table:
        return np.zeros(0, np.int32)
    label = cells.label_codes(part.labels)[part.label_of()]
    bucket = part.bucket_of().astype(np.int8)
    patterns = [cells.pattern_codes(name, part.patterns[name])[part.pattern_of(name)] for name in cells.axes]
    return cells.codes(label, bucket, patterns)


def vocabulary_of(work: Work, part: parts.Part) -> dict[str, int]:
    """In how many rows of a part each word occurs."""
    vocabulary = Vocabulary()
    for batch, _ in batches(work, part, write=False):
        vocabulary.add(tokenize(batch.text))
    return vocabulary.documents


def _path(stage: Path, number: int, name: str) -> Path:
    return stage / "counts" / f"{number:05}.{name}"


def _write(stage: Path, number: int, name: str, values: npt.NDArray[Any]) -> None:
    path = _path(stage, number, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    values.tofile(path)


def _read(stage: Path, number: int, name: str, kind: Any) -> Any:
    path = _path(stage, number, name)
    return np.fromfile(path, kind) if path.is_file() else np.zeros(0, kind)
