"""Steps that add rows: edited copies, and rows of a pool."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...data.axes import Axis
from ...data.config import TopupStep
from ...data.errors import InputError
from ...data.hashing import Keys
from ..changes import Changer, Copies
from ..edits import Bools, Ints, splice_rows
from ..prepare import Census, Chunk, Prepared, cells_of, census
from ..state import Added, Report, State
from ..units import Cells, Codes, Units
from ..words.lexical import Words
from . import topup
from .pool_check import probed
from .tables import by_bucket, holds


class CopyCollector:
    """Notes in the first pass which copies the augmenting steps make, and in which cells these are.

    Parameters
    ----------
    prepared : Prepared
        The rows.
    changer : Changer
        Of the steps themselves, not of their placebos.
    """

    def __init__(self, prepared: Prepared, changer: Changer) -> None:
        self._prepared = prepared
        self._changer = changer
        self._parts: dict[int, list[Units]] = {step.index: [] for step in changer.resolved.augments}

    def visit(self, chunk: Chunk, cells: Cells, codes: Codes) -> None:
        """Note the copies of a chunk; `codes` are the cells of its rows."""
        if not self._parts:
            return
        weight = chunk.scanned.batch.weight
        for made in self._changer.changes(chunk).copies:
            n = len(made.rows)
            nothing = np.zeros(n, np.int32)
            units = Units(
                position=made.rows + chunk.start,
                variant=nothing + np.int32(made.step.variant),
                repeat=nothing,
                by=nothing,
                cell=self._cells(chunk, cells, made) if n else codes[:0],
                root=chunk.keys[made.rows],
                weight=np.ones(n) if weight is None else weight[made.rows],
            )
            self._parts[made.step.index].append(units)

    def _cells(self, chunk: Chunk, cells: Cells, made: Copies) -> Codes:
        """A copy is a text of its own: its groups are those of its words, before the plan's other edits."""
        tokens = chunk.scanned.tokens
        assert tokens is not None
        batch = replace(chunk.scanned.batch.take(made.rows), text=splice_rows(tokens, made.own, made.rows))
        scanned = self._prepared.scanner.scan(batch)
        # The length bucket travels with the row.
        return cells_of(cells, replace(scanned, bucket=chunk.scanned.bucket[made.rows]))

    def copies(self) -> dict[int, Units]:
        """The copies of each step, by its index."""
        return {index: Units.joined(found) for index, found in self._parts.items()}


def first_pass(prepared: Prepared, changer: Changer, *, hashes: bool) -> tuple[Census, dict[int, Units]]:
    """Count the rows and, in the same pass, the copies that the plan's steps (not their placebos) make of them."""
    collector = CopyCollector(prepared, replace(changer, placebo=False, vocabulary=None))
    if not prepared.hold:
        counted = census(prepared, hashes=hashes, visit=collector.visit)
        return counted, collector.copies()
    counted = prepared.remembered(("census", hashes), lambda: census(prepared, hashes=hashes))
    counted = replace(counted, cells=counted.cells.copy())
    for chunk in prepared.chunks():
        collector.visit(chunk, counted.cells, counted.units.cell[chunk.start : chunk.start + chunk.n])
    return counted, collector.copies()


def top_up(state: State, index: int, step: TopupStep) -> None:
    """Add rows of the pool, or of the placebo's pool."""
    where = f"step {index + 1} (topup): "
    positive, other = _labels(state, step, where)
    axis = state.prepared.axes[step.axis]
    assert axis.lexicon is not None
    words = Words(axis.lexicon, ambiguous=step.ambiguous, where=where)
    groups = [axis.lexicon.groups[at].name for at in words.chosen(step.groups)]
    pool = state.prepared.pool(step.pool, step.pool_text, where=where, label=step.pool_label)
    excluded = _excluded(state, step, where)
    rate = _rate(state, positive) if step.target is None else step.target
    if rate <= 0:
        raise InputError(f"{where}target = {rate:g} cannot be reached by adding rows; give a rate above 0")
    n_buckets = int(max(state.cells.bucket_of().max(), pool.bucket.max())) + 1
    have, rest = _counts(state, axis.name, groups, positive, n_buckets)
    found = pool.members[axis.name]
    member = holds(found.patterns, groups)[found.code]
    free, seen = _free(state, pool, excluded)
    clean, said = _clean(pool, positive)
    rows, filled = topup.fill(
        groups,
        have,
        rest,
        1 - rate,
        member=member,
        bucket=pool.bucket,
        free=free & clean,
        rank=topup.ranks(pool, seed=state.seed, step=index, purpose="topup"),
    )
    short = sum(cell.wanted - cell.added for cell in filled)
    names_one: Bools = np.asarray(member.any(axis=1))
    report: Report = {
        "pool": {"rows": len(names_one), "named": int(names_one.sum())}
        | {name: int((names_one & which).sum()) for name, which in {**seen, **said, "usable": free & clean}.items()},
        "excluded": [{"file": file, "column": column} for file, column, _ in excluded],
    }
    notes = _short_notes(index, filled, short)
    if not len(rows):
        notes += _none_notes(index, step, state.prepared.dataset.columns.label, pool, short, report["pool"])
    if state.aimed is None and step.pool_label is None:
        report["probe"] = _probed(state, axis, positive, pool, np.flatnonzero(names_one & free))
        notes += _probe_notes(index, report["probe"])
    reasons = {row: " + ".join(found.patterns[found.code[row]]) for row in rows.tolist()}
    if state.aimed is not None:
        if step.placebo_pool is None:
            raise InputError(f"{where}its placebo adds rows at random; name a placebo_pool = ... that has them")
        per_bucket = np.array(state.aimed.reports[index]["buckets"], np.int64)
        pool = state.prepared.pool(step.placebo_pool, step.pool_text, where=f"{where}placebo_")
        rank = topup.ranks(pool, seed=state.seed, step=index, purpose="placebo")
        free, _ = _free(state, pool, excluded)
        rows = topup.fill_at_random(per_bucket, bucket=pool.bucket, free=free, rank=rank)
        short = int(per_bucket.sum()) - len(rows)
        reasons = dict.fromkeys(rows.tolist(), "placebo")
    buckets = np.bincount(pool.bucket[rows], minlength=n_buckets).tolist()
    _add(state, Added(index, _first(state), pool, other, reasons), rows)
    state.reports[index] = report | {
        "notes": notes if state.aimed is None else [],
        "added": len(rows),
        "label": other,
        "rate": rate,
        "short": short,
        "buckets": buckets,
        "cells": filled,
    }


def _rate(state: State, positive: str) -> float:
    """Share of the positive label among the labelled rows of the data."""
    label = state.cells.label_of()[state.before.cell]
    codes = [code for code, name in enumerate(state.cells.labels) if name is not None]
    return float((label == state.cells.labels.index(positive)).sum() / np.isin(label, codes).sum())


def _counts(state: State, axis: str, groups: list[str], positive: str, n_buckets: int) -> tuple[Ints, Ints]:
    """Positive and other labelled units, groups × buckets."""
    cells = state.cells
    label, bucket = cells.label_of(), cells.bucket_of()
    held = holds(cells.patterns[axis], groups)[cells.pattern_of(axis)]
    counts = np.bincount(state.units.cell, minlength=len(cells.table))
    is_positive = np.array([name == positive for name in cells.labels], np.bool_)[label]
    is_other = np.array([name not in (None, positive) for name in cells.labels], np.bool_)[label]
    return by_bucket(counts * is_positive, held, bucket, n_buckets), by_bucket(
        counts * is_other, held, bucket, n_buckets
    )


Excluded = list[tuple[str, str, Keys]]


def _excluded(state: State, step: TopupStep, where: str) -> Excluded:
    """Name, text column and hashes of the texts of each file whose rows must not be added."""
    prepared, column = state.prepared, state.prepared.dataset.columns.text
    found: Excluded = []
    for path in step.exclude:
        hashes, named = prepared.remembered(
            ("exclude", path), lambda path=path: topup.read_texts(path, column, where=where)
        )
        found.append((Path(path).name, named, hashes))
    return found


def _free(state: State, pool: topup.Pool, excluded: Excluded) -> tuple[Bools, dict[str, Bools]]:
    """Rows of a pool that may be added: not in the data or a file excluded, not twice in the pool, not added before."""
    assert state.hashes is not None
    seen = {"twice": ~pool.fresh, "in_data": _among(pool.hashes, state.hashes)}
    seen["excluded"] = np.zeros(len(pool.hashes), np.bool_)
    for _, _, hashes in excluded:
        seen["excluded"] |= _among(pool.hashes, hashes)
    free = ~np.any(list(seen.values()), axis=0)
    for before in state.added:
        mine = state.units.position[state.units.variant == before.step + 1] - before.first
        free &= ~np.isin(pool.hashes, before.pool.hashes[mine])
    return free, seen


def _among(hashes: Keys, known: Keys) -> Bools:
    """Which hashes are among some in ascending order."""
    if not len(known):
        return np.zeros(len(hashes), np.bool_)
    found: Bools = known[np.minimum(np.searchsorted(known, hashes), len(known) - 1)] == hashes
    return found


def _clean(pool: topup.Pool, positive: str) -> tuple[Bools, dict[str, Bools]]:
    """Rows of a pool that its own label does not speak against, and those that it does."""
    if pool.label is None:
        return np.ones(len(pool.hashes), np.bool_), {}
    import pyarrow.compute as pc

    unlabelled = pool.label.is_null().to_numpy(zero_copy_only=False)
    bad = pc.fill_null(pc.equal(pool.label, positive), False).to_numpy(zero_copy_only=False)  # noqa: FBT003 - Arrow's own
    return ~(unlabelled | bad), {"positive": bad, "unlabelled": unlabelled}


def _probed(state: State, axis: Axis, positive: str, pool: topup.Pool, rows: Ints) -> dict[str, Any]:
    import pyarrow as pa

    texts = pool.text.take(pa.array(rows))
    return probed(state.prepared, axis, positive, texts, pool.keys[rows], n=state.before.n)


def _probe_notes(index: int, probe: dict[str, Any]) -> list[str]:
    """Warn where the pool looks at least as positive as the data."""
    if not probe["checked"]:
        return [f"step {index + 1}: nothing says whether the pool is free of the positive label: {probe['why']}"]
    if probe["above"] <= probe["base"]:
        return []
    return [
        f"step {index + 1}: {probe['above']:.0%} of the pool's rows look positive to a probe trained on the data with "
        f"the axis's words hidden (of the data {probe['base']:.0%}; its AUC is {probe['auc']:.2f}); look at the pool, "
        "or name a column with pool_label"
    ]


def _short_notes(index: int, cells: list[topup.Cell], short: int) -> list[str]:
    if not short:
        return []
    lacking: dict[str, int] = {}
    for cell in cells:
        lacking[cell.group] = lacking.get(cell.group, 0) + cell.wanted - cell.added
    worst = sorted(((name, rows) for name, rows in lacking.items() if rows), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{name} {rows:,}" for name, rows in worst[:5])
    more = f" and {len(worst) - 5} more groups" if len(worst) > 5 else ""
    return [f"step {index + 1}: the pool lacks {short:,} rows: {named}{more}"]


def _none_notes(
    index: int, step: TopupStep, label: str | None, pool: topup.Pool, short: int, counts: dict[str, int]
) -> list[str]:
    """Why no row is added at all, and what would help."""
    if not short:
        return [f"step {index + 1} adds nothing: no group has more of the positive label than the rate asked for"]
    why = f"of the pool's {counts['rows']:,} rows {counts['named']:,} name a group and {counts['usable']:,} can be used"
    notes = [f"step {index + 1} adds nothing: {why}, none of them where rows are wanted; give another pool"]
    if step.pool_label is None and label in pool.columns:
        notes.append(
            f'step {index + 1}: the pool has a column "{label}" as the data have; pool_label={label} says that these '
            "are its rows' labels"
        )
    return notes


def _first(state: State) -> int:
    return state.before.n + sum(len(added.pool.keys) for added in state.added)


def _add(state: State, added: Added, rows: Ints) -> None:
    cells, pool = state.cells, added.pool
    code = cells.label_codes([added.label])[0]
    patterns = []
    for name in cells.axes:
        found = pool.members.get(name)
        if found is None:  # an axis of columns, which a pool does not have
            patterns.append(np.repeat(cells.pattern_codes(name, [()]), len(rows)))
        else:
            patterns.append(cells.pattern_codes(name, found.patterns)[found.code[rows]])
    cell = cells.codes(np.full(len(rows), code, np.int32), pool.bucket[rows], patterns)
    nothing = np.zeros(len(rows), np.int32)
    variant = nothing + np.int32(added.step + 1)
    state.join(Units(added.first + rows, variant, nothing, nothing, cell, pool.keys[rows], np.ones(len(rows))))
    state.added.append(added)


def _labels(state: State, step: TopupStep, where: str) -> tuple[str, str]:
    """The positive label and the one that added rows get."""
    used = set(state.cells.label_of()[np.unique(state.before.cell)].tolist())
    labels = sorted(name for code, name in enumerate(state.cells.labels) if name is not None and code in used)
    listed = ", ".join(f'"{label}"' for label in labels[:12])
    if not labels:
        raise InputError(f"{where}the data have no labels; name their column with --label")
    if state.positive is None:
        raise InputError(f"{where}which label is the positive one? The labels are {listed}; say it with --positive")
    if state.positive not in labels:
        raise InputError(f'{where}no row has the positive label "{state.positive}"; the labels are {listed}')
    if step.label is not None:
        if step.label == state.positive:
            raise InputError(f'{where}label = "{step.label}" is the positive label; added rows must have another one')
        return state.positive, step.label
    others = [label for label in labels if label != state.positive]
    if len(others) != 1:
        raise InputError(f"{where}the labels are {listed}; say with label = ... which one added rows get")
    return state.positive, others[0]
