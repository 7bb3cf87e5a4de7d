"""Aligning a table of scores: one row index a split, one matrix of scores with a row a run."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...data.errors import InputError, suggest
from .scores import SPLITS, Bools, Floats, Ints, Items, Run, ScoreSet

_NOTHING = ("", "nan", "none", "null", "na", "n/a", "<na>")  # unless a row has it as its label
_UNIT = "\x1f"  # never typed by people, so joining a list with it loses nothing


def _codes(column: pa.ChunkedArray) -> tuple[Ints, pa.Array]:
    """Codes in the sorted order of the values (null is -1), so that row order can never matter."""
    encoded = column.dictionary_encode().unify_dictionaries()
    values = encoded.chunk(0).dictionary
    order = pc.sort_indices(values).to_numpy()
    rank = np.empty(len(values) + 1, dtype=np.int64)
    rank[order] = np.arange(len(values))
    rank[-1] = -1
    raw = np.concatenate([chunk.indices.cast(pa.int64()).fill_null(-1).to_numpy() for chunk in encoded.chunks])
    return rank[raw], values.take(pa.array(order))


def _list_codes(column: pa.ChunkedArray, *, as_set: bool) -> tuple[Ints, tuple[tuple[str, ...], ...]]:
    joined, values = _codes(pc.binary_join(column, _UNIT))
    if (joined < 0).any():
        raise InputError(f"scores: row {int(np.argmin(joined)) + 1} has an empty entry in groups or cluster; drop it")
    split = [tuple(value.split(_UNIT)) if value else () for value in values.to_pylist()]
    if as_set:
        split = [tuple(sorted(set(parts) - {""})) for parts in split]
    distinct = sorted(set(split))
    where = {parts: code for code, parts in enumerate(distinct)}
    return np.array([where[parts] for parts in split], dtype=np.int64)[joined], tuple(distinct)


def aligned(table: pa.Table) -> ScoreSet:
    """What `scores.align` says."""
    if table.num_rows == 0:
        raise InputError("scores: no rows")
    for name in ("arm", "id", "label"):
        if table.column(name).null_count:
            row = int(np.flatnonzero(table.column(name).is_null().to_numpy())[0])
            raise InputError(f'scores: row {row + 1} has no "{name}"; every row needs one')
    arm, arms = _codes(table.column("arm"))
    upstream, upstreams = _codes(table.column("upstream"))
    seed, seeds = _codes(table.column("seed"))
    runs, run = _runs(table, (arm, upstream, seed), (arms.to_pylist(), upstreams.to_pylist(), seeds.to_pylist()))
    # Where every run repeats the same rows, the rows of one run stand for all: `starts` is where each run begins.
    starts = _starts(table, run, len(runs))
    part = table if starts is None else table.slice(0, table.num_rows // len(runs))
    split, splits = _codes(part.column("split"))
    ids, id_values = _codes(part.column("id"))
    n = table.num_rows
    both = pa.chunked_array([*part.column("label").chunks, *table.column("predicted").chunks])
    label_codes, label_values = _codes(both)
    labels = tuple(label_values.to_pylist())
    label, predicted = label_codes[: part.num_rows], label_codes[part.num_rows :]
    true = set(np.unique(label).tolist())
    for code, name in enumerate(labels):
        if code not in true and name.strip().casefold() in _NOTHING:
            predicted = np.where(predicted == code, -1, predicted)
    pattern, patterns = _list_codes(part.column("groups"), as_set=True)
    way, ways = _list_codes(part.column("cluster"), as_set=False)
    changed = part.column("changed").cast(pa.int8()).fill_null(-1).to_numpy().astype(np.int64)
    score = table.column("score").fill_null(np.nan).to_numpy()
    has_score = table.column("score").null_count < n
    has_predicted = table.column("predicted").null_count < n

    items: dict[str, Items] = {}
    scores: dict[str, Floats] = {}
    predictions: dict[str, Ints] = {}
    for code, name in enumerate(splits.to_pylist()):
        if name not in SPLITS:
            raise InputError(f'scores: split "{name}" is unknown; use {", ".join(SPLITS)}.{suggest(name, SPLITS)}')
        rows = np.flatnonzero(split == code)
        if starts is None:
            grid = _grid(rows, run[rows], ids[rows], runs, id_values, name)
            for what, codes in (("label", label), ("groups", pattern), ("cluster", way), ("changed", changed)):
                _same(codes[grid], grid, ids, id_values, what, name)
            first = grid[0]
        else:
            first = _grid(rows, np.zeros(len(rows), np.int64), ids[rows], runs[:1], id_values, name)[0]
            grid = first + starts[:, None]
        items[name] = Items(
            ids=id_values.take(pa.array(ids[first])),
            label=label[first],
            labels=labels,
            pattern=pattern[first],
            patterns=patterns,
            clusters=_clusters(way[first], ways, name),
            changed=_changed(changed[first], name),
        )
        if has_score:
            scores[name] = score[grid]
            _complete(~np.isfinite(scores[name]), "score is not a finite number", runs, items[name], name)
        if has_predicted:
            predictions[name] = predicted[grid]
            _complete(predictions[name] < 0, "no prediction, though other rows have one", runs, items[name], name)
    return ScoreSet(runs=runs, items=items, score=scores, predicted=predictions, labels=labels)


def _starts(table: pa.Table, run: Ints, n_runs: int) -> Ints | None:
    """First table row of each run, if each is one block and all blocks name the same rows in the same order."""
    size, rest = divmod(table.num_rows, n_runs)
    if rest:
        return None
    starts = np.arange(n_runs) * size
    blocks = run[starts]
    if (run.reshape(n_runs, size) != blocks[:, None]).any() or len(np.unique(blocks)) < n_runs:
        return None
    for name in ("split", "id", "label", "groups", "cluster", "changed"):
        column = table.column(name)
        head = column.slice(0, size)
        if not all(column.slice(start, size).equals(head) for start in starts.tolist()):
            return None
    return np.asarray(starts[np.argsort(blocks)], dtype=np.int64)


def _runs(
    table: pa.Table, codes: tuple[Ints, Ints, Ints], values: tuple[list[str], list[str], list[int]]
) -> tuple[tuple[Run, ...], Ints]:
    shape = tuple(len(part) for part in values)
    keys, first, run = np.unique(np.ravel_multi_index(codes, shape), return_index=True, return_inverse=True)
    placebo, names = _codes(table.column("placebo_of"))
    if (wrong := placebo != placebo[first][run]).any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f'scores: row {row + 1} gives its run another "placebo_of" than the rows before; give one a run'
        )
    runs = []
    for key, row in zip(keys, first, strict=True):
        a, u, s = np.unravel_index(key, shape)
        of = names[int(placebo[row])].as_py() if placebo[row] >= 0 else None
        runs.append(Run(values[0][a], values[1][u], int(values[2][s]), of))
    return tuple(runs), run.astype(np.int64)


def _grid(rows: Ints, run: Ints, ids: Ints, runs: tuple[Run, ...], values: pa.Array, split: str) -> Ints:
    """Table rows as runs × items; refuses repeated ids and runs that cover different rows."""
    order = np.lexsort((ids, run))
    rows, run, ids = rows[order], run[order], ids[order]
    repeated = np.flatnonzero((run[1:] == run[:-1]) & (ids[1:] == ids[:-1]))
    if len(repeated):
        at = repeated[0]
        raise InputError(
            f'scores: id "{values[int(ids[at])]}" occurs twice in {runs[run[at]]}, split {split}; several runs in '
            "one file are told apart by the columns arm, upstream and seed"
        )
    bounds = np.searchsorted(run, np.arange(len(runs) + 1))
    reference = ids[bounds[0] : bounds[1]]
    for code, other in enumerate(runs):
        here = ids[bounds[code] : bounds[code + 1]]
        if not np.array_equal(here, reference):
            odd = np.setxor1d(here, reference)
            raise InputError(
                f"scores: runs cover different rows of split {split}: {runs[0]} has {len(reference)}, {other} has "
                f'{len(here)} (for example id "{values[int(odd[0])]}" is in one only); score every run on the same rows'
            )
    return rows.reshape(len(runs), -1)


def _same(grid: Ints, rows: Ints, ids: Ints, values: pa.Array, what: str, split: str) -> None:
    differs = (grid != grid[0]).any(axis=0)
    if differs.any():
        name = values[int(ids[rows[0, int(np.flatnonzero(differs)[0])]])]
        raise InputError(
            f'scores: id "{name}" of split {split} has another {what} in one run than in another; mend the file'
        )


def _complete(missing: Bools, what: str, runs: tuple[Run, ...], items: Items, split: str) -> None:
    if missing.any():
        run, item = (int(part) for part in np.argwhere(missing)[0])
        raise InputError(
            f'scores: {what}: {runs[run]}, split {split}, id "{items.ids[item]}"; score every row of every run'
        )


def _changed(code: Ints, split: str) -> Bools | None:
    if (code < 0).all():
        return None
    if (code < 0).any():
        raise InputError(
            f'scores: some rows of split {split} have no "changed" and others do; give it to all or to none'
        )
    return np.asarray(code == 1)


def _clusters(way: Ints, ways: tuple[tuple[str, ...], ...], split: str) -> Ints:
    present = np.unique(way)
    counts = {len(ways[code]) for code in present}
    if len(counts) > 1:
        raise InputError(
            f'scores: rows of split {split} have {sorted(counts)} entries in "cluster"; give each the same'
        )
    if counts == {0}:
        return np.arange(len(way), dtype=np.int64)[None, :]  # rows are independent
    columns = []
    for position in range(counts.pop()):
        names = sorted({ways[code][position] for code in present})
        where = {name: code for code, name in enumerate(names)}
        of_way = np.array([where.get(parts[position], -1) if len(parts) > position else -1 for parts in ways])
        columns.append(of_way[way])
    return np.array(columns, dtype=np.int64)
