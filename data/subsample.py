"""A task of chosen skew from one file: ``[data.subsample]``, for corpora that are balanced or have too many labels.

Rows are drawn by the rank of a hash of their key, so the same rows come out on every machine, in any row order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .axes import parse_axes
from .config import SubsampleConfig
from .dataset import Dataset, listed
from .errors import InputError, suggest
from .hashing import Keys, Seen, hash64, mix, row_keys, uniform
from .readers_arrow import TableSource
from .scan import Scanned, scan
from .tokens import fold, tokenize

Ints = npt.NDArray[np.int64]


def in_memory(dataset: Dataset, table: pa.Table, *, notes: Sequence[str] = ()) -> Dataset:
    """The dataset with other rows, held in memory; what its columns mean stays.

    Parameters
    ----------
    dataset : Dataset
        What the rows are from.
    table : pyarrow.Table
        The rows, with the dataset's columns or some of them.
    notes : sequence of str
        Added to those of the dataset.
    """
    return replace(
        dataset,
        names=tuple(table.column_names),
        form="memory",
        source=TableSource(table),
        paths=(),
        compression=None,
        notes=(*dataset.notes, *notes),
    )


def cut(dataset: Dataset, shares: Sequence[float]) -> tuple[Dataset, ...]:
    """Cut a dataset into parts by a hash of the text, so that rows of one text never part.

    Parameters
    ----------
    dataset : Dataset
        The rows.
    shares : sequence of float
        Expected share of each part; they sum to 1.

    Returns
    -------
    tuple of Dataset
        In memory, one a share.

    Raises
    ------
    InputError
        A part gets no row.

    Examples
    --------
    >>> import pyarrow as pa
    >>> data = Dataset.of(pa.table({"text": [f"row {i}" for i in range(1000)], "label": ["a", "b"] * 500}))
    >>> [sum(batch.n for batch in part.batches()) for part in cut(data, (0.65, 0.10, 0.25))]
    [667, 98, 235]
    """
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise InputError(
            f"the shares of a split are {', '.join(map(str, shares))}; they must be at least 0 and sum to 1"
        )
    tables, parts = [], []
    for batch in dataset.batches(columns=_all_columns(dataset)):
        tables.append(_plain(batch.table))
        place = uniform(mix(hash64(batch.text, salt="evenset.text"), salt=(0, "evenset.split")))
        parts.append(np.searchsorted(np.cumsum(shares)[:-1], place, side="right"))
    table, part = pa.Table.from_batches(tables), np.concatenate(parts)
    found = [table.filter(pa.array(part == number)) for number in range(len(shares))]
    if any(piece.num_rows == 0 for piece in found):
        sizes = ", ".join(str(piece.num_rows) for piece in found)
        raise InputError(f"{table.num_rows} rows are too few to be cut into parts: they would have {sizes} rows")
    return tuple(in_memory(dataset, piece) for piece in found)


def subsample(dataset: Dataset, settings: SubsampleConfig) -> Dataset:
    """Draw a task in which the first group has a chosen share of each label.

    Parameters
    ----------
    dataset : Dataset
        With a label.
    settings : SubsampleConfig
        ``[data.subsample]``.

    Returns
    -------
    Dataset
        In memory: for each label of `shares` as many rows as the share allows (at most `max_rows`), only rows of
        exactly one of the two groups, the words of `mask_column` hidden in the text. Its notes say what was drawn.

    Raises
    ------
    InputError
        A label or group does not occur, a column is missing, or fewer than two labels have `min_rows` rows.
    """
    axis = parse_axes([settings.axis], names=dataset.names)[0]
    if dataset.columns.label is None:
        raise InputError("[data.subsample] needs a label column; say data.label")
    if settings.mask_column is not None and settings.mask_column not in dataset.names:
        names = dataset.names
        raise InputError(
            f'data.subsample.mask_column: there is no column "{settings.mask_column}"; the columns are {listed(names)}.'
            f"{suggest(settings.mask_column, names)}"
        )
    labels = tuple(settings.shares)
    seen = Seen()
    tables, label, group, keys, found = [], [], [], [], set()
    for scanned in scan(dataset, [axis], columns=_all_columns(dataset)):
        batch = scanned.batch
        assert batch.label is not None
        ids = None if dataset.columns.id is None else batch.column(dataset.columns.id)
        keys.append(row_keys(batch.text, batch.label, ids=ids, seen=seen, start=batch.start))
        tables.append(_masked(scanned, dataset, settings))
        found.update(pc.unique(batch.label).to_pylist())
        code = pc.fill_null(pc.index_in(batch.label, value_set=pa.array(labels, pa.string())), -1)
        label.append(code.to_numpy(zero_copy_only=False).astype(np.int64))
        members = scanned.members[axis.name]
        first, second = members.rows_with(settings.first), members.rows_with(settings.second)
        group.append(np.where(first == second, -1, np.where(first, 0, 1)))
    for name in labels:
        if name not in found:
            known = sorted(value for value in found if value is not None)
            raise InputError(f'data.subsample.shares: no row has the label "{name}".{suggest(name, known)}')
    kept, notes = _drawn(np.concatenate(label), np.concatenate(group), np.concatenate(keys), settings)
    return in_memory(dataset, pa.Table.from_batches(tables).take(pa.array(kept)), notes=notes)


def _drawn(label: Ints, group: Ints, keys: Keys, settings: SubsampleConfig) -> tuple[Ints, list[str]]:
    rank = mix(keys, salt=(0, "evenset.subsample"))
    kept, sizes, few = [], [], []
    for code, (name, share) in enumerate(settings.shares.items()):
        cells = [np.flatnonzero((label == code) & (group == side)) for side in (0, 1)]
        limits = [len(cell) / part for cell, part in zip(cells, (share, 1 - share), strict=True) if part > 0]
        n = int(min([*limits, settings.max_rows or np.inf]))
        counts = (round(n * share), n - round(n * share))
        if n < settings.min_rows:
            few.append(f"{name} ({n})")
            continue
        sizes.append(n)
        kept += [cell[np.argsort(rank[cell], kind="stable")[:count]] for cell, count in zip(cells, counts, strict=True)]
    if len(sizes) < 2:
        raise InputError(
            f"[data.subsample]: fewer than two labels have {settings.min_rows} rows at their share of "
            f'"{settings.first}": too few in {", ".join(few)}; lower min_rows, or choose shares that are nearer to '
            "those of the data"
        )
    notes = [
        f"subsample: {sum(sizes)} rows of {len(sizes)} labels drawn at the shares asked for ({settings.first} of "
        f"{settings.first} and {settings.second})"
    ]
    if few:
        notes.append(f"subsample: left out, fewer than {settings.min_rows} rows: {', '.join(few)}")
    return np.sort(np.concatenate(kept)), notes


def _masked(scanned: Scanned, dataset: Dataset, settings: SubsampleConfig) -> pa.RecordBatch:
    """The batch's columns, the words of the mask column hidden in the text."""
    batch = scanned.batch
    table = _plain(batch.table)
    if settings.mask_column is None:
        return table
    values = batch.column(settings.mask_column).cast(pa.string()).to_pylist()
    hidden = {value: hidden_forms(value) for value in set(values) if value}
    tokens = scanned.tokens if scanned.tokens is not None else tokenize(batch.text)
    texts = batch.text.to_pylist()
    folded = tokens.folded
    for row, value in enumerate(values):
        forms = hidden.get(value)
        if not forms:
            continue
        first, last = int(tokens.splits[row]), int(tokens.splits[row + 1])
        words = [folded[number] for number in tokens.ids[first:last]]
        at, raw, done, pieces = 0, texts[row].encode(), 0, []
        offset = int(tokens.offsets[row])
        while at < len(words):
            size = next((len(form) for form in forms if tuple(words[at : at + len(form)]) == form), 0)
            if size:
                start = int(tokens.starts[first + at]) - offset
                end = int(tokens.ends[first + at + size - 1]) - offset
                pieces += [raw[done:start], settings.mask.encode()]
                done = end
            at += size or 1
        if pieces:
            texts[row] = b"".join([*pieces, raw[done:]]).decode()
    at = table.schema.get_field_index(dataset.columns.text)
    field = table.schema.field(at)
    return table.set_column(at, field.with_type(pa.large_string()), pa.array(texts, pa.large_string()))


def hidden_forms(value: str) -> tuple[tuple[str, ...], ...]:
    """The word, or words, of a mask column and their regular plurals, as folded tokens, longest first.

    Examples
    --------
    >>> hidden_forms("Secretary")
    (('secretaries',), ('secretarys',), ('secretary',))
    >>> hidden_forms("police officer")[-1], hidden_forms("fireman")[0]
    (('police', 'officer'), ('firemans',))
    """
    tokens = tokenize(pa.array([value], pa.large_string()))
    words = [tokens.folded[number] for number in tokens.ids]
    if not words:
        return ()
    last = words[-1]
    plurals = {f"{last}s"}
    if last.endswith("y"):
        plurals.add(f"{last[:-1]}ies")
    if last.endswith(("s", "x", "z", "ch", "sh")):
        plurals.add(f"{last}es")
    if last.endswith("man"):
        plurals.add(f"{last[:-3]}men")
    if last.endswith("person"):
        plurals.add(f"{last[:-6]}people")
    forms = [(*words[:-1], fold(plural)) for plural in sorted(plurals)] + [tuple(words)]
    return tuple(sorted(forms, key=lambda form: -len("".join(form))))


def _all_columns(dataset: Dataset) -> Sequence[str]:
    return dataset.names


def _plain(table: pa.RecordBatch) -> pa.RecordBatch:
    """Without the raw lines that JSONL carries: the rows are written anew."""
    names = [name for name in table.schema.names if name != "__line__"]
    return table.select(names)
