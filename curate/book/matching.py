"""Whether curated rows are what their ledger says: counted, row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...data.dataset import Dataset
from ...data.errors import InputError
from ...data.hashing import Keys, Seen, combine, content_keys
from ...data.opening import open_dataset
from ...data.readers_jsonl import LINE
from ..edits import Bools, Ints
from ..writing.write import PARENT, WEIGHT
from .ledger import Ledger, read_ledger
from .restore import curated_files, open_file
from .undo import Undone, made_rows, same_bytes
from .undo_messages import UndoneFile

MEASURE = "ledger_mismatches"
_TRIES = 10_000  # equal rows, dropped or changed, by which the number in a row's key may be off


@dataclass(frozen=True, slots=True)
class Matched:
    """What became of curated rows held against their ledger.

    Attributes
    ----------
    wrong : bool array
        Of each curated row: it is not what the ledger says. An edit is not in its place, the row with its edits undone
        is another one, its weight is another, it is a copy that was not made, or it is one row too many.
    unsaid : int
        Rows of which the ledger does not say enough to tell: those it does not name, copies, and everything outside
        the edits where rows have ids. 0 when the file is byte for byte the one that curation wrote.
    lacking : int
        Rows that the ledger has and the data have not.
    same : bool
        Whether the file is byte for byte the one that curation wrote.
    ledger : str
        Name of the ledger's file.
    """

    wrong: Bools
    unsaid: int
    lacking: int
    same: bool
    ledger: str

    @property
    def count(self) -> int:
        """Rows that are not what the ledger says, those that are missing included."""
        return int(self.wrong.sum()) + self.lacking

    @property
    def note(self) -> str:
        """What a reader has to know besides the count."""
        if self.same:
            return "byte for byte the file that curation wrote"
        missing = f"{self.lacking:,} of them are missing; " if self.lacking else ""
        unsaid = f"of {self.unsaid:,} others the ledger does not say enough to tell" if self.unsaid else "all were told"
        return f"{missing}not byte for byte the file that curation wrote; {unsaid}"

    def finding(self) -> Any:
        """The count as a finding: exact, or from the count to what it may be where the ledger cannot tell.

        Returns
        -------
        Finding
        """
        from dataclasses import replace

        from ...audit.exact import exact

        rows = len(self.wrong) + self.lacking
        one = exact(MEASURE, self.count, rows, note=self.note)
        if not self.unsaid:
            return one
        method = f"{one.method}; high: those too of which the ledger does not say enough to tell"
        return replace(one, high=float(self.count + self.unsaid), method=method)


def matched(curated: Any, ledger: str | Path, *, original: Any = None) -> Matched:
    """Hold curated rows against their ledger.

    Parameters
    ----------
    curated : path, sequence of paths, or a table in memory
        As for `evenset.data.open`.
    ledger : path
        The ledger of the same curation.
    original : optional
        The data before curation: then the texts of all rows that were kept are told, named in the ledger or not.

    Returns
    -------
    Matched

    Raises
    ------
    InputError
        When the ledger is none, a column that curation wrote is missing, or the original is another one.

    Notes
    -----
    The ledger names a row by the hash of its text and label before curation (or of its id), so a row with its edits
    undone can be held against its name. Rows are told by their order; after one that was removed or added by hand the
    others stand elsewhere, and are counted.
    """
    book = read_ledger(ledger)
    about = book.about["input"]
    talk = about.get("conversation") is not None
    in_memory = not isinstance(curated, (str, Path)) and not (
        isinstance(curated, (list, tuple)) and all(isinstance(one, (str, Path)) for one in curated)
    )
    place = curated if in_memory else curated_files(curated, book)
    if talk and in_memory:
        raise InputError("conversations are held against their ledger as files, not as tables in memory")
    weighed = WEIGHT in book.about["extra"] and not talk
    try:
        changed = open_file(place, about) if talk else _opened(place, book, weighed=weighed)
    except InputError as error:
        raise InputError(f'the rows cannot be held against "{book.path.name}": {error}') from None
    lacking = [name for name in book.about["extra"] if name not in changed.names]
    if lacking and changed.form != "jsonl":
        raise InputError(
            f'the rows have no column "{lacking[0]}", which the curation of "{book.path.name}" wrote; give the rows as '
            "curation wrote them"
        )
    if not in_memory and changed.sha256() == book.about["output"]["sha256"]:
        each = _each(book)
        wrong = np.zeros(book.about["output"]["rows"] // each, np.bool_)
        return Matched(wrong, 0, 0, same=True, ledger=book.path.name)
    if talk:
        return _of_file(UndoneFile(changed, book), book)
    return _of_rows(changed, book, None if original is None else _opened(original, book))


def _opened(place: Any, book: Ledger, *, weighed: bool = False) -> Dataset:
    about = book.about["input"]
    names = ("text", "label", "id", "label_threshold", "preset", "encoding")
    given = {name: about[name] for name in names if about[name] is not None}
    if weighed:
        given |= {"weight": WEIGHT, "count_bad_weights": True}
    return open_dataset(place, **given)


def _each(book: Ledger) -> int:
    talk = book.about["input"].get("conversation")
    return 2 if talk is not None and talk["format"] == "preference" else 1


def _of_file(undone: UndoneFile, book: Ledger) -> Matched:
    """Of a file of conversations: the edits are told, what stands around them is not."""
    bad = [part.bad for part in undone.parts()]
    wrong = np.zeros(undone.rows, np.bool_)
    wrong[np.concatenate([np.zeros(0, np.int64), *bad])] = True
    rows = book.about["output"]["rows"] // undone.each
    wrong[rows:] = True
    return Matched(wrong, int((~wrong).sum()), max(rows - undone.rows, 0), same=False, ledger=book.path.name)


@dataclass(frozen=True, slots=True)
class _Named:
    """What the ledger says of rows of the data themselves: ascending positions, keys, and weights (NaN: none said)."""

    position: Ints
    key: Keys
    weight: Any

    @staticmethod
    def of(book: Ledger) -> _Named:
        table = book.own()
        position, first = np.unique(table["position"].to_numpy(), return_index=True)
        key = np.array([int(name, 16) for name in table["row"].take(pa.array(first)).to_pylist()], np.uint64)
        weights = table.filter(table["value"].is_valid())
        weight = np.full(len(position), np.nan)
        weight[np.searchsorted(position, weights["position"].to_numpy())] = weights["value"].to_numpy()
        return _Named(position, key, weight)

    def at(self, position: Ints) -> tuple[Bools, Ints]:
        """Which of some rows are named, and where."""
        place = np.minimum(np.searchsorted(self.position, position), max(len(self.position) - 1, 0))
        named = self.position[place] == position if len(self.position) else np.zeros(len(position), np.bool_)
        return named, place


def _of_rows(changed: Dataset, book: Ledger, original: Dataset | None) -> Matched:
    about = book.about["input"]
    undone = Undone(changed, book)
    named = _Named.of(book)
    kept = None if original is None else _kept(original, undone.dropped, book)
    seen = Seen()
    wrong_rows, unsaid, own = [], 0, 0
    for part in undone.parts():
        wrong = np.isin(part.row, part.bad) | (part.position >= about["rows"])
        known, place = named.at(part.position)
        told = np.zeros(len(part.row), np.bool_)
        if about["id"] is None:
            content = content_keys(part.text, part.batch.label)
            number = seen.occurrences(content).astype(np.uint64)
            at = np.flatnonzero(known)
            others = len(undone.dropped) + sum(map(len, wrong_rows))
            same = _same_key(content[at], number[at], named.key[place[at]], others)
            wrong[at[~same]] = True
            told |= known
        weight, bad = part.batch.weight, part.batch.bad_weight
        if weight is not None and bad is not None and known.any():
            said = known & np.isfinite(named.weight[place])
            other = ~np.isclose(weight[said], named.weight[place[said]], rtol=1e-9, atol=0)
            wrong[said] |= other | bad[said]
        if kept is not None:
            texts = _next(kept, len(part.row))
            wrong[: len(texts)] |= ~same_bytes(part.text.slice(0, len(texts)), texts)
            wrong[len(texts) :] = True
            told[:] = True
        wrong_rows.append(part.row[wrong])
        unsaid += int((~told & ~wrong).sum())
        own += len(part.row)
    mask = np.zeros(undone.rows, np.bool_)
    mask[np.concatenate([np.zeros(0, np.int64), *wrong_rows])] = True
    if PARENT in book.about["extra"]:
        bad, fine = _copies(changed, book)
        mask[bad] = True
        unsaid += fine
    rows = book.about["output"]["rows"]
    return Matched(mask, unsaid, max(rows - undone.rows, 0), same=False, ledger=book.path.name)


def _same_key(content: Keys, number: Keys, wanted: Keys, others: int) -> Bools:
    """Whether rows have the keys wanted.

    The number in a key says how many equal rows came before it in the data. Of `others` rows, dropped or changed, some
    may have been equal to it, so that it has now come later, or sooner.
    """
    same: Bools = combine(content, number) == wanted
    left = np.flatnonzero(~same)
    for step in range(1, _TRIES + 1):
        if not len(left) or step > others + len(left):
            break
        hit = combine(content[left], number[left] + np.uint64(step)) == wanted[left]
        hit |= (number[left] >= step) & (combine(content[left], number[left] - np.uint64(step)) == wanted[left])
        same[left[hit]] = True
        left = left[~hit]
    return same


def _copies(changed: Dataset, book: Ledger) -> tuple[Ints, int]:
    """Copies in the data that the ledger has not, and how many it has."""
    left = Counter(book.parents())
    wrong, fine, start = [], 0, 0
    for batch in changed.batches():
        for at in np.flatnonzero(made_rows(batch.table, book)).tolist():
            parent = _parent(batch.table, at)
            if left[parent] > 0:
                left[parent] -= 1
                fine += 1
            else:
                wrong.append(start + at)
        start += batch.n
    return np.array(wrong, np.int64), fine


def _parent(table: pa.RecordBatch, at: int) -> str:
    import json

    line = table.schema.get_field_index(LINE)
    if line >= 0:
        return str(json.loads(table.column(line)[at].as_py())[PARENT])
    return str(table.column(table.schema.get_field_index(PARENT))[at].as_py())


def _kept(original: Dataset, dropped: Ints, book: Ledger) -> Iterator[Any]:
    """The texts of the original's rows that were kept."""
    if original.form != "memory" and original.sha256() != book.about["input"]["sha256"]:
        raise InputError(f'the original is not the data that the curation of "{book.path.name}" was of')
    for batch in original.batches():
        low, high = np.searchsorted(dropped, [batch.start, batch.start + batch.n])
        kept = np.ones(batch.n, np.bool_)
        kept[dropped[low:high] - batch.start] = False
        yield from batch.text.filter(pa.array(kept))


def _next(texts: Iterator[Any], n: int) -> Any:
    from itertools import islice

    return pa.array(list(islice(texts, n)), pa.large_string())
