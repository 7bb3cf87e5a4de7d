"""Counts of parts on disk: to go on after a stop, and to join what was counted elsewhere.

A count is three files: the tally, the hashes of the rows' ids where there are ids, and a JSON file, written last, that
names both with their checksums and says what was counted, how. Only counts of the same data, counted the same way, are
ever added.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.errors import InputError
from ..data.files import sha256_file, write_bytes, write_json
from .shards import Counted
from .tally import Tally, total

if TYPE_CHECKING:
    from ..data.parts import Part

SCHEMA = "evenset.shard/1"
FOLDER = "shards"


class Damaged(InputError):  # noqa: N818 - a count that is to be made again, not an error of the user
    """A count on disk that cannot be used."""


class Store:
    """Counts of parts on disk.

    Parameters
    ----------
    folder : Path
        Where they lie; made when the first is kept. Inside a claimed `OutputFolder` its files are evenset's own.
    settings : mapping
        `Job.settings`.
    about : mapping
        What a report says about the data.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], about: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        self.settings = json.loads(json.dumps(settings))
        self.about = dict(about or {})

    def keep(self, part: Part, counted: Counted) -> Path:
        """Write the count of a part; whoever is killed half-way leaves none."""
        path = self._path(part.number, part.of)
        tally = path.with_suffix(".arrow")
        counted.tally.save(tally)
        files = {tally.name: sha256_file(tally)}
        if len(counted.ids):
            ids = path.with_suffix(".ids")
            write_bytes(ids, counted.ids.astype("<u8").tobytes())
            files[ids.name] = sha256_file(ids)
        write_json(
            path,
            {
                "schema": SCHEMA,
                "shard": part.number,
                "of": part.of,
                "files": files,
                "settings": self.settings,
                "dataset": self.about,
            },
        )
        return path

    def find(self, part: Part) -> Counted | None:
        """The count of a part, None where there is none.

        Raises
        ------
        Damaged
            When there is one that cannot be used.
        """
        path = self._path(part.number, part.of)
        if not path.is_file():
            return None
        shard = read_shard(path)
        other = differing(self.settings, shard.settings)
        if other is not None:
            raise Damaged(f"{path}: it was counted with other {other}")
        return shard.load()

    def clear(self) -> None:
        """Remove the counts, once the whole is written."""
        for path in sorted(self.folder.glob("shard-*-of-*.json")) if self.folder.is_dir() else ():
            for one in (path, path.with_suffix(".arrow"), path.with_suffix(".ids")):
                one.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _path(self, number: int, of: int) -> Path:
        return self.folder / f"shard-{number:05}-of-{of:05}.json"


@dataclass(frozen=True, slots=True)
class Shard:
    """A count on disk, its tally not yet read."""

    path: Path
    number: int
    of: int
    settings: Mapping[str, Any]
    about: Mapping[str, Any]
    files: Mapping[str, str]

    def load(self) -> Counted:
        """Read it.

        Raises
        ------
        Damaged
            When a file is missing or is not what was written.
        """
        ids = np.empty(0, np.uint64)
        tally = None
        for name, digest in self.files.items():
            path = self.path.parent / name
            if not path.is_file():
                raise Damaged(f"{path}: the file is missing")
            if sha256_file(path) != digest:
                raise Damaged(f"{path}: the file is damaged (its checksum is another)")
            if path.suffix == ".ids":
                ids = np.fromfile(path, "<u8").astype(np.uint64)
            else:
                try:
                    tally = Tally.load(path)
                except InputError as error:
                    raise Damaged(str(error)) from None
        if tally is None:
            raise Damaged(f"{self.path}: it names no tally")
        return Counted(tally, ids)


def read_shard(path: Path) -> Shard:
    """Read the JSON file of a count.

    Raises
    ------
    Damaged
        When it is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise Damaged(f'{path}: its schema is "{content["schema"]}", needed is "{SCHEMA}"')
        files = {str(name): str(digest) for name, digest in content["files"].items()}
        if any(not re.fullmatch(r"shard-\d+-of-\d+\.(arrow|ids)", name) for name in files):
            raise Damaged(f"{path}: it names files that are none of its own")
        return Shard(
            path, int(content["shard"]), int(content["of"]), dict(content["settings"]), dict(content["dataset"]), files
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"{path}: it cannot be read as the count of a shard ({type(error).__name__}: {error})") from None


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """What differs between the settings of two counts, in words; None where nothing does."""
    for name in dict.fromkeys([*one, *other]):
        if one.get(name) != other.get(name):
            return f"{name} ({_brief(one.get(name))} and {_brief(other.get(name))})"
    return None


def _brief(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else text[:200] + "…"


@dataclass(frozen=True, slots=True)
class Merged:
    """The whole, from counts of all its parts.

    Attributes
    ----------
    tally : Tally
    about : mapping
        What the counts say about the data, as `Dataset.describe` does; its "sha256" is None, for nobody read it all.
    settings : mapping
        How it was counted, see `evenset.audit.shards.Job.settings`.
    shards : int
    """

    tally: Tally
    about: Mapping[str, Any]
    settings: Mapping[str, Any]
    shards: int


def merge(folders: Sequence[str | Path]) -> Merged:
    """Join the counts that ``evenset audit --shard`` wrote.

    Parameters
    ----------
    folders : sequence of path
        The ``--out`` of each shard, in any order.

    Raises
    ------
    InputError
        When a folder holds none, one is damaged, missing or there twice, they are not of the same data and settings, or
        an id comes twice.
    """
    from .shards import joined_ids

    found = [shard for folder in folders for shard in _shards(Path(folder))]
    if not found:
        raise InputError("--merge needs folders with counted shards: evenset audit --merge D1 D2 … --out E")
    first = found[0]
    by_number: dict[int, Shard] = {}
    for shard in found:
        other = differing({"shards": first.of, **first.settings}, {"shards": shard.of, **shard.settings})
        if other is not None:
            raise InputError(
                f"these counts do not merge: {first.path.parent} and {shard.path.parent} differ in their {other}; "
                "count all shards of one data set with the same options and the same evenset"
            )
        again = by_number.setdefault(shard.number, shard)
        if again is not shard:
            raise InputError(
                f"shard {shard.number} of {shard.of} is there twice, in {again.path.parent} and {shard.path.parent}: "
                "its rows would count twice; name one of the two"
            )
    missing = [number for number in range(1, first.of + 1) if number not in by_number]
    if missing:
        named = ", ".join(map(str, missing[:10])) + (", …" if len(missing) > 10 else "")
        raise InputError(
            f"{len(missing)} of {first.of} shards {'is' if len(missing) == 1 else 'are'} missing: {named}; count each "
            f"with evenset audit DATA --shard {missing[0]}/{first.of} --out DIR, and name its folder too"
        )
    ids = []

    def tallies() -> Any:
        for number in sorted(by_number):
            counted = _loaded(by_number[number])
            ids.append(counted.ids)
            yield counted.tally

    each = tallies()
    tally = total(each, start=next(each))
    joined_ids(ids)
    return Merged(tally, {**first.about, "sha256": None}, first.settings, first.of)


def _shards(folder: Path) -> list[Shard]:
    inside = folder / FOLDER
    paths = sorted((inside if inside.is_dir() else folder).glob("shard-*-of-*.json"))
    if not paths:
        what = "is no folder" if not folder.is_dir() else "holds no counted shard"
        raise InputError(f'"{folder}" {what}; write one with evenset audit DATA --shard 1/10 --out "{folder}"')
    try:
        return [read_shard(path) for path in paths]
    except Damaged as error:
        raise InputError(f"{error}; count that shard again") from None


def _loaded(shard: Shard) -> Counted:
    try:
        return shard.load()
    except Damaged as error:
        raise InputError(f"{error}; count shard {shard.number}/{shard.of} again") from None
