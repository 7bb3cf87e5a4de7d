"""`explain`: what a curation did to one row and why, from what it wrote."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...data.dataset import Dataset
from ...data.errors import InputError, suggest
from ...data.hashing import Seen, hash64, row_keys
from ..summary import folded
from .ledger import Ledger, names_of, read_ledger

_KEY = re.compile(r"[0-9a-f]{16}")
_MOST_IDS = 50_000
_WORDS = ("before", "after")


@dataclass(frozen=True)
class Explained:
    """What happened to a row.

    Attributes
    ----------
    asked : str
        The row as it was asked for.
    key : str or None
        Its key; None for a row asked for by number that the ledger does not mention.
    position : int or None
        Its number in the original data, from 0, as far as the ledger says it.
    copy_of : str or None
        Of a copy, the key of its row; "pool:KEY" for a row of a pool.
    entries : tuple of dict
        Of the ledger: those of the row, then those of its copies. They hold the words that were taken out.
    report : dict
        The content of curation.json.
    """

    asked: str
    key: str | None
    position: int | None
    copy_of: str | None
    entries: tuple[dict[str, Any], ...] = field(repr=False)
    report: dict[str, Any] = field(repr=False)

    @property
    def own(self) -> list[dict[str, Any]]:
        """Entries of the row itself."""
        return [one for one in self.entries if one["row"] == self.key]

    @property
    def copies(self) -> list[str]:
        """Keys of the copies made of it."""
        return list(dict.fromkeys(one["row"] for one in self.entries if one["row"] != self.key))

    def to_dict(self, *, words: bool = False) -> dict[str, Any]:
        """For JSON; the words of edits only where they are asked for."""
        entries = [
            {name: value for name, value in one.items() if words or one["op"] != "edit" or name not in _WORDS}
            for one in self.entries
        ]
        return {
            "row": self.asked,
            "key": self.key,
            "number": None if self.position is None else self.position + 1,
            "copy_of": self.copy_of,
            "entries": entries,
            "says": self.lines(words=words),
        }

    def lines(self, *, words: bool = False) -> list[str]:
        """What happened, a sentence each."""
        from .sentences import sentences

        return sentences(self, words=words)

    def summary(self, *, words: bool = False) -> str:
        """The sentences for the terminal."""
        number = "" if self.position is None else f"row {self.position + 1:,} of the original"
        key = "" if self.key is None else f"key {self.key}"
        head = ", ".join(part for part in (number, key) if part) or f"row {self.asked}"
        return "\n".join(
            [f"{head}:", *(line for one in self.lines(words=words) for line in folded(f"  {one}", "    "))]
        )

    def _repr_html_(self) -> str:
        from ..notebook import text_html

        return text_html(self.summary())


def explain(curated: str | Path, row: str) -> Explained:
    """Say what a curation did to one row.

    Parameters
    ----------
    curated : path
        The folder that the curation wrote: curation.json, ledger.parquet and the rows.
    row : str
        The value of the id column; or the row's key, 16 hex digits, as in the ledger; or ``#N`` for row N of the
        original data, from 1. What looks like a key is first taken for an id where there is an id column.

    Returns
    -------
    Explained

    Raises
    ------
    InputError
        When the folder is no curation or only half of one, its ledger is of another, or there is no such row.

    Notes
    -----
    The ledger is read by filter. Only a row that it does not mention is looked for in the curated rows, to tell one
    that was left alone from one that never was there.
    """
    folder = Path(curated)
    book, report = _opened(folder)
    about = book.about["input"]
    if row.startswith("#"):
        position = _number(row, int(about["rows"]))
        found = _entries(book, position=position)
        own = next((one for one in found if one["parent"] is None), None)
        key = None if own is None else str(own["row"])
        return Explained(row, key, position, None, _ordered(found, key), report)
    keys = []
    if about["id"] is not None:
        keys += names_of(hash64([row], salt="evenset.id")).to_pylist()
    if _KEY.fullmatch(row.lower()):
        keys.append(row.lower())
    if not keys:
        raise InputError(
            f'"{row}" is no key of a row (16 hex digits), and these data were curated without --id, so rows have no '
            f'other name; give a key of the column "row" of ledger.parquet, or #N for row N of 1 to {about["rows"]}'
        )
    for key in keys:
        found = _entries(book, key=key)
        if found:
            copy_of = next((one["parent"] for one in found if one["row"] == key), None)
            positions = [one["position"] for one in found if one["position"] is not None]
            own_number = positions[0] if positions and copy_of is None else None
            return Explained(row, key, own_number, copy_of, _ordered(found, key), report)
    key = _among_curated(folder, book, row, keys)
    return Explained(row, key, None, None, (), report)


def _opened(folder: Path) -> tuple[Ledger, dict[str, Any]]:
    """Ledger and report of a curation, after making sure that they are of the same one."""
    place = folder / "curation.json"
    if folder.is_file():
        raise InputError(f'"{folder}" is a file; name the folder that evenset curate wrote, here "{folder.parent}"')
    if not folder.is_dir():
        raise InputError(f'"{folder}" is no folder of a curation; evenset curate --out writes one')
    if not place.is_file():
        half = " A curation was stopped there; run it again." if (folder / ".evenset-partial").is_dir() else ""
        raise InputError(f'"{folder}" has no curation.json, so it is no folder of a curation.{half}')
    try:
        report = json.loads(place.read_text(encoding="utf-8"))
        schema = str(report["schema"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f'"{place}" cannot be read as the report of a curation; run evenset curate again') from None
    if not schema.startswith("evenset.curation/"):
        raise InputError(f'"{place}" is of the form {schema}, not the report of a curation')
    book = read_ledger(folder / "ledger.parquet")
    same = all(book.about.get(name) == report.get(name) for name in ("plan", "seed", "placebo"))
    hashes = [(book.about[side]["sha256"], report[side].get("sha256")) for side in ("input", "output")]
    if not same or any(one != other for one, other in hashes):
        raise InputError(
            f'"{folder}": ledger.parquet and curation.json are not of the same curation; run evenset curate again, or '
            "take both files from one folder"
        )
    return book, report


def _number(row: str, rows: int) -> int:
    if not row[1:].isdecimal() or not 1 <= int(row[1:]) <= rows:
        raise InputError(f'"{row}": the original data have {rows:,} rows; give #1 to #{rows}')
    return int(row[1:]) - 1


def _entries(book: Ledger, *, position: int | None = None, key: str | None = None) -> list[dict[str, Any]]:
    """Entries of a row and of its copies."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if key is not None:
        # The narrow columns first; with the position most of the file need not be read.
        mine = (pc.field("row") == key) | (pc.field("parent") == key)
        narrow = pq.read_table(book.path, columns=["row", "parent", "position"], filters=mine)
        positions = pc.unique(narrow["position"]).to_pylist()
        if not positions:
            return []
        where = mine
        if None not in positions:
            where = mine & pc.field("position").isin(positions)
    else:
        where = pc.field("position") == position
    entries: list[dict[str, Any]] = pq.read_table(book.path, filters=where).to_pylist()
    return entries


def _ordered(entries: list[dict[str, Any]], key: str | None) -> tuple[dict[str, Any], ...]:
    """The row's own first, then copy by copy; each in the order of the steps and of the text."""
    return tuple(
        sorted(
            entries,
            key=lambda one: (one["row"] != key, one["row"], one["step"], one.get("pointer") or "", one["start"] or 0),
        )
    )


def _among_curated(folder: Path, book: Ledger, row: str, keys: list[str]) -> str:
    """The key among these that a row of the curated data has, which the ledger does not mention: it was left alone."""
    about = book.about["input"]
    wanted = {int(key, 16): key for key in keys}
    seen = Seen()
    near: list[str] = []
    try:
        rows = _curated(folder, book)
    except InputError as error:
        raise InputError(
            f'the ledger does not mention row "{row}", and the curated rows cannot be read to look for it: {error}'
        ) from None
    for batch in rows.batches():
        ids = None if about["id"] is None else batch.column(about["id"])
        if ids is not None:
            named = ids.cast(pa.large_string())
            near += named[: max(_MOST_IDS - len(near), 0)].to_pylist()
            found = hash64(named.drop_null(), salt="evenset.id")
        else:
            found = row_keys(batch.text, batch.label, seen=seen)
        for key in found[[int(one) in wanted for one in found.tolist()]].tolist():
            return wanted[int(key)]
    known = "" if about["id"] is None else suggest(row, [one for one in near if one is not None])
    raise InputError(
        f'no row "{row}": neither the ledger nor the curated rows know it.{known} Rows are named by '
        f"{'their id, ' if about['id'] is not None else ''}their key (column row of ledger.parquet) or their number, "
        f"#1 to #{about['rows']}."
    )


def _curated(folder: Path, book: Ledger) -> Dataset:
    """The curated rows, read as the data were."""
    from ...data.opening import open_dataset

    about, output = book.about["input"], book.about["output"]
    place: Path | list[Path] = folder / output["name"]
    if output["name"] == "rows":
        place = [folder / "rows" / name for name in output["files"]]
    talk = about.get("conversation")
    if talk is not None:
        return open_dataset(place, format=talk["format"], roles=talk["roles"], id=about["id"], label=about["label"])
    return open_dataset(
        place,
        text=about["text"],
        label=about["label"],
        label_threshold=about["label_threshold"],
        preset=about["preset"],
        encoding=about["encoding"],
        axes_columns=() if about["id"] is None else (about["id"],),
    )
