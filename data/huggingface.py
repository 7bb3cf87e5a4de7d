"""Folders that `datasets.save_to_disk` writes, and what the library datasets says of columns; without that library."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from .errors import InputError, suggest

METADATA = b"huggingface"
"""Where an Arrow schema that datasets wrote keeps the features."""

SPLIT = "#"
"""What stands between a folder of several splits and the name of one."""


@dataclass(frozen=True, slots=True)
class Folder:
    """The files of a saved dataset.

    Attributes
    ----------
    data : tuple of Path
        Arrow files, in order.
    indices : tuple of Path
        Files that say which rows count, and in which order; empty where all do as they lie there.
    """

    data: tuple[Path, ...]
    indices: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them: their bytes are the data."""
        return (*self.data, *self.indices)


def splits_of(folder: Path) -> list[str]:
    """Names of the splits of a saved `DatasetDict`, as its own file orders them; none where it is something else."""
    about = folder / "dataset_dict.json"
    if not about.is_file():
        return []
    named = _json(about).get("splits")
    if isinstance(named, list) and named:
        return [str(name) for name in named]
    return [entry.name for entry in sorted(folder.iterdir()) if (entry / "state.json").is_file()]


def split_folder(source: str) -> Path | None:
    """The folder of a split named as ``folder#train``; None where the source is no such name.

    Raises
    ------
    InputError
        When the folder has no such split, or is no folder of splits.
    """
    place, mark, name = source.rpartition(SPLIT)
    if not mark or not Path(place).is_dir():
        return None
    splits = splits_of(Path(place))
    if not splits:
        raise InputError(
            f'"{place}" is not a folder of splits (it has no dataset_dict.json, as DatasetDict.save_to_disk writes), '
            f'so "#{name}" names nothing in it; leave it out'
        )
    if name not in splits:
        raise InputError(f'"{place}" has no split "{name}"; its splits are {", ".join(splits)}.{suggest(name, splits)}')
    return Path(place) / name


def folder_of(folder: Path) -> Folder:
    """The files of a folder that `datasets.Dataset.save_to_disk` wrote.

    Raises
    ------
    InputError
        When it is none, when it holds several splits, and when files are missing.
    """
    if (folder / "dataset_dict.json").is_file():
        splits = splits_of(folder)
        raise InputError(
            f'"{folder}" holds several splits ({", ".join(splits)}); name the one you want, '
            f'for example "{folder}{SPLIT}{splits[0] if splits else "train"}"'
        )
    if not (folder / "state.json").is_file():
        forms = (".parquet", ".arrow", ".csv", ".csv.gz", ".jsonl", ".tsv")
        inside = next((form for form in forms for entry in sorted(folder.iterdir()) if entry.name.endswith(form)), None)
        advice = f' give its files as a glob, "{folder}/*{inside}"' if inside else " give a file"
        raise InputError(
            f'the folder "{folder}" is not a Hugging Face dataset (it has no state.json, as save_to_disk '
            f"writes);{advice}"
        )
    state = _json(folder / "state.json")
    names = _named(state.get("_data_files"))
    order = _named(state.get("_indices_data_files") or state.get("_indices_files"))
    missing = [name for name in (*names, *order) if not _inside(folder, name)]
    if missing or not names:
        raise InputError(f'"{folder}" lacks {missing[0] if missing else "data files"}, which its state.json names')
    return Folder(tuple(folder / name for name in names), tuple(folder / name for name in order))


def _named(entries: Any) -> list[str]:
    listed = entries if isinstance(entries, list) else []
    return [str(entry["filename"]) for entry in listed if isinstance(entry, dict) and "filename" in entry]


def _inside(folder: Path, name: str) -> bool:
    """Whether a file is there and lies in the folder: what a state.json names elsewhere is not read."""
    return name not in {"", ".", ".."} and Path(name).name == name and (folder / name).is_file()


def class_names(schema: pa.Schema | None) -> dict[str, tuple[str, ...]]:
    """Columns of class labels, which are numbers, and what the numbers stand for.

    Examples
    --------
    >>> about = {"info": {"features": {"label": {"names": ["fine", "toxic"], "_type": "ClassLabel"}}}}
    >>> class_names(pa.schema([("label", pa.int64())], {b"huggingface": json.dumps(about).encode()}))
    {'label': ('fine', 'toxic')}
    """
    stored = (schema.metadata or {}).get(METADATA) if schema is not None else None
    if stored is None or schema is None:
        return {}
    try:
        features = json.loads(stored)["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    found = {}
    for name, feature in features.items() if isinstance(features, dict) else ():
        names = feature.get("names") if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" else None
        at = schema.get_field_index(name)
        if isinstance(names, list) and names and at >= 0 and pa.types.is_integer(schema.field(at).type):
            found[name] = tuple(str(one) for one in names)
    return found


def in_memory(rows: Any) -> pa.Table | None:
    """The table of a `datasets.Dataset`, selected and shuffled rows as they are, with its features; None else.

    Raises
    ------
    InputError
        For several splits, and for a dataset that is only streamed.
    """
    if isinstance(rows, dict) and rows and all(_is_dataset(one) for one in rows.values()):
        names = [str(name) for name in rows]
        if len(names) > 1:
            raise InputError(
                f"the {type(rows).__name__} holds several splits ({', '.join(names)}); give the one you want, for "
                f'example data["{names[0]}"]'
            )
        return in_memory(next(iter(rows.values())))
    if not _is_dataset(rows):
        return None
    if not hasattr(rows, "__len__"):
        raise InputError(
            f"the {type(rows).__name__} is streamed and evenset reads rows more than once; keep them first, for "
            "example datasets.Dataset.from_list(list(data))"
        )
    table: pa.Table = rows.with_format("arrow")[:]
    stored = getattr(rows.features, "arrow_schema", None)
    if stored is not None and (stored.metadata or {}).get(METADATA) is not None:
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), **stored.metadata})
    return table


def _is_dataset(rows: Any) -> bool:
    return hasattr(rows, "with_format") and hasattr(rows, "features")


def read_indices(paths: Sequence[Path]) -> pa.ChunkedArray:
    """Which rows count, from the first column of the files of indices."""
    from .readers_arrow import ArrowSource

    pieces = [piece.table.column(0) for piece in ArrowSource(tuple(paths)).read(None)]
    return pa.chunked_array(pieces, pa.uint64()) if pieces else pa.chunked_array([], pa.uint64())


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f'"{path}" cannot be read: {error}') from error
    if not isinstance(content, dict):
        raise InputError(f'"{path}" is not what save_to_disk writes')
    return content
