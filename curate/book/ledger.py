"""The ledger: every edit, copy, drop and weight of a curation, so that it can be judged and undone.

A parquet file that only its owner may read (mode 0600), since it holds the words that were taken out. Its metadata say
which data, plan, seed and lexicons it is of.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...data.errors import InputError
from ...data.hashing import Keys
from ..units import Ints

SCHEMA = pa.schema([
    ("row", pa.string()),
    ("position", pa.int64()),
    ("op", pa.string()),
    ("step", pa.int32()),
    ("rule", pa.string()),
    ("pointer", pa.string()),
    ("start", pa.int64()),
    ("end", pa.int64()),
    ("before", pa.string()),
    ("after", pa.string()),
    ("value", pa.float64()),
    ("reason", pa.string()),
    ("parent", pa.string()),
])  # fmt: skip
"""Columns of the ledger.

row: key of the row, or of the copy; position: number of the row in the original data, from 0 (of preference pairs each
reply is a row: those of pair k are 2k and 2k + 1), for a copy that of its parent, for a row of a pool null; op: "edit",
"copy", "drop" or "weight"; step: number of the plan's step, from 1; pointer: of an edit in a conversation, the JSON
pointer (RFC 6901) to the string within its row of the file, such as /messages/2/content; it may go through a string
that holds JSON; null where the row has one text; start, end: bytes of the UTF-8 of that string, or of the raw text,
before any edit: row, pointer and span name an edit; before, after: the words of an edit, or before: the weight that was
written over; value: the weight; parent: of a copy, the key of the row that it was made of ("pool:KEY" for a row of a
pool).
"""

VERSION = "evenset.ledger/2"
_READ = ("evenset.ledger/1", VERSION)
_KEY = b"evenset"


def names_of(keys: Keys, *, prefix: str = "") -> Any:
    """Keys as Arrow strings: 16 hex digits each.

    Examples
    --------
    >>> names_of(np.array([10, 2**64 - 1], np.uint64)).to_pylist()
    ['000000000000000a', 'ffffffffffffffff']
    """
    digits = keys.astype(">u8").tobytes().hex().encode()
    offsets = np.arange(len(keys) + 1, dtype=np.int32) * 16
    if len(keys) * 16 > 2**31 - 1:
        raise ValueError("too many keys for one array")
    names = pa.StringArray.from_buffers(len(keys), pa.py_buffer(offsets), pa.py_buffer(digits))
    if not prefix:
        return names
    import pyarrow.compute as pc

    return pc.binary_join_element_wise(prefix, names, "")


def entries(op: str, row: Any, position: Ints, **columns: Any) -> pa.Table:
    """Entries of one kind; columns that are not given are null.

    Parameters
    ----------
    op : str
        "edit", "copy", "drop" or "weight".
    row : Arrow array of strings
        Names of the rows.
    position : int64 array
        Negative: null.
    **columns : Arrow arrays, numpy arrays, or one value for all
        Other columns of the ledger.
    """
    n = len(row)
    given: dict[str, Any] = {"row": row, "position": pa.array(position, mask=position < 0), "op": op, **columns}
    arrays = []
    for field in SCHEMA:
        value = given.get(field.name)
        if value is None:
            arrays.append(pa.nulls(n, field.type))
        elif isinstance(value, (pa.Array, pa.ChunkedArray)):
            arrays.append(value.cast(field.type))
        elif isinstance(value, np.ndarray):
            arrays.append(pa.array(value, field.type))
        else:
            arrays.append(pa.repeat(pa.scalar(value, field.type), n))
    return pa.table(arrays, schema=SCHEMA)


def in_order(parts: Iterable[pa.Table]) -> pa.Table:
    """Entries of some rows by position; those of one row in the order in which their kinds were given."""
    whole = pa.concat_tables(parts)
    position = whole["position"].fill_null(np.iinfo(np.int64).max).to_numpy()
    if not (position[1:] < position[:-1]).any():
        return whole
    return whole.take(pa.array(np.argsort(position, kind="stable")))


class LedgerWriter:
    """Writes a ledger batch by batch; what is known only at the end goes into its metadata."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        # Keys hardly come twice, so a dictionary of them would only cost time.
        few = ["op", "rule", "reason", "pointer", "before", "after"]
        self._writer = pq.ParquetWriter(str(path), SCHEMA, compression="zstd", use_dictionary=few)

    def write(self, table: pa.Table) -> None:
        """Add entries."""
        if table.num_rows:
            self._writer.write_table(table)

    def close(self, metadata: dict[str, Any] | None) -> None:
        """Write the metadata and close the file; None after an error."""
        if metadata is not None:
            self._writer.add_key_value_metadata({_KEY.decode(): json.dumps(metadata, ensure_ascii=False)})
        self._writer.close()


@dataclass(frozen=True)
class Ledger:
    """A ledger that was read.

    Attributes
    ----------
    path : Path
    about : dict
        Its metadata.
    """

    path: Path
    about: dict[str, Any]

    def _repr_html_(self) -> str:
        from ..notebook import ledger_html

        return ledger_html(self)

    @property
    def pointers(self) -> bool:
        """Whether edits say in which string of their row they are."""
        return bool(self.about["schema"] != _READ[0])

    @property
    def drops(self) -> int:
        """How many rows were dropped."""
        return int(self.about["counts"]["drops"])

    def edits(self) -> Iterator[pa.Table]:
        """Edits of rows of the data themselves (not of copies), some at a time in the order of the rows.

        Raises
        ------
        InputError
            When they are out of order, or the file is damaged.
        """
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        columns = ["position", "start", "end", "before", "after", *(["pointer"] if self.pointers else [])]
        last = -1
        with self._whole(), pq.ParquetFile(self.path) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=[*columns, "op", "parent"])
                own = pc.and_(pc.equal(table["op"], "edit"), pc.is_null(table["parent"]))
                table = table.filter(own).select(columns)
                place = table["position"].to_numpy()
                if not len(place):
                    continue
                if place[0] < last or (np.diff(place) < 0).any():
                    raise InputError(f'the ledger "{self.path.name}" was changed by hand: its rows are out of order')
                last = int(place[-1])
                yield table

    def dropped(self) -> npt.NDArray[np.int64]:
        """Positions of the dropped rows, ascending."""
        import pyarrow.parquet as pq

        table = self._read(pq, ["position"], [("op", "==", "drop")])
        return np.sort(table["position"].to_numpy())

    def weights_before(self) -> pa.Table:
        """Positions and the weights that rows had before, where the weight column was written over."""
        import pyarrow.parquet as pq

        table = self._read(pq, ["position", "before"], [("op", "==", "weight"), ("parent", "is_null", None)])
        return table.filter(table["before"].is_valid()).sort_by("position")

    def rows(self) -> Keys:
        """Keys of all rows of the data that the ledger names, but for those that were dropped."""
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        with self._whole():
            table = pq.read_table(self.path, columns=["row", "parent"], filters=pc.field("op") != "drop")
        names = pc.coalesce(table["parent"], table["row"])
        names = pc.unique(names.filter(pc.invert(pc.starts_with(names, "pool:"))))
        return np.array([int(name, 16) for name in names.to_pylist()], np.uint64)

    def own(self) -> pa.Table:
        """Keys, positions and weights of the rows of the data that are named for an edit or a weight."""
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        wanted = pc.field("op").isin(["edit", "weight"]) & pc.field("parent").is_null()
        with self._whole():
            return pq.read_table(self.path, columns=["row", "position", "value"], filters=wanted)

    def parents(self) -> list[str]:
        """What each copy was made of, as it stands in the rows."""
        import pyarrow.parquet as pq

        names: list[str] = self._read(pq, ["parent"], [("op", "==", "copy")])["parent"].to_pylist()
        return names

    def _read(self, pq: Any, columns: list[str], filters: list[tuple[str, str, Any]]) -> pa.Table:
        import pyarrow.compute as pc

        wanted: Any = None
        for name, kind, value in filters:
            one = pc.field(name).is_null() if kind == "is_null" else pc.field(name) == value
            wanted = one if wanted is None else wanted & one
        with self._whole():
            return pq.read_table(self.path, columns=columns, filters=wanted)

    @contextmanager
    def _whole(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f'the ledger "{self.path.name}" is damaged ({str(error).splitlines()[0]}); take the one that curation '
                "wrote, or curate again"
            ) from None


class EditReader:
    """The edits of a ledger, read on as the rows go by."""

    def __init__(self, book: Ledger) -> None:
        self._parts = book.edits()
        self._held: pa.Table | None = None

    def between(self, first: int, last: int) -> pa.Table | None:
        """Edits of the rows from `first` to `last`, by position and place; to be asked for in ascending order."""
        while self._held is None or not self._held.num_rows or self._held["position"][-1].as_py() <= last:
            part = next(self._parts, None)
            if part is None:
                break
            self._held = part if self._held is None else pa.concat_tables([self._held, part])
        if self._held is None:
            return None
        low, high = np.searchsorted(self._held["position"].to_numpy(), [first, last + 1])
        found = self._held.slice(int(low), int(high - low))
        self._held = self._held.slice(int(high))
        return found.sort_by([("position", "ascending"), ("start", "ascending")])


def read_ledger(path: str | Path) -> Ledger:
    """Open a ledger.

    Raises
    ------
    InputError
        When the file is missing, no parquet file, or no ledger.
    """
    import pyarrow.parquet as pq

    path = Path(path)
    try:
        found = pq.read_metadata(path)
    except FileNotFoundError:
        raise InputError(f'there is no ledger "{path}"; evenset curate writes it beside the curated rows') from None
    except (pa.ArrowException, OSError) as error:
        raise InputError(f'"{path}" is no whole parquet file, so no ledger: {str(error).splitlines()[0]}') from None
    metadata = found.metadata or {}
    if _KEY not in metadata:
        raise InputError(f'"{path}" is no ledger of evenset; curate writes one called ledger.parquet')
    try:
        about = json.loads(metadata[_KEY])
        schema, known = about["schema"], sum(about["counts"][kind] for kind in ("edits", "copies", "drops", "weights"))
    except (ValueError, KeyError, TypeError):
        raise InputError(f'"{path}" says nothing of itself that evenset can read; curate again') from None
    if schema not in _READ:
        raise InputError(f'"{path}" is a ledger of the form {schema}; this evenset reads {" and ".join(_READ)}')
    if found.num_rows < known:
        raise InputError(
            f'"{path}" has {found.num_rows:,} entries of {known:,}: the ledger was cut short; take the one that '
            "curation wrote, or curate again"
        )
    return Ledger(path, about)
