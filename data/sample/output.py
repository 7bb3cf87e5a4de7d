"""Put a sample into a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError, suggest
from ..files import atomic, write_json
from .biographies import bios
from .crossed import probe
from .options import SPLIT_OF_20, SPLITS
from .talk import comments

DEFAULT_ROWS: Mapping[str, int] = MappingProxyType({"bios": 6_000, "comments": 8_000})


def write(
    kind: str,
    rows: int | None,
    seed: int,
    out: str | Path,
    *,
    bias: float = 1.0,
    uniform: bool = False,
    splits: bool = False,
) -> dict[str, Path]:
    """Write a sample and its truth.

    Parameters
    ----------
    kind
        ``"bios"`` or ``"comments"``.
    rows
        Size in all; None for the size of the demo.
    seed, bias, uniform
        As in :func:`bios` and :func:`comments`; uniform is for bios.
    out
        The folder, made if it is not there.
    splits
        Write ``train``, ``dev`` and ``test`` (65, 10 and 25 %) in place of one file.

    Returns
    -------
    dict
        The files by name: ``bios`` or ``comments``, or the splits; for comments also ``probe``; and ``truth``.

    Raises
    ------
    InputError
        When an option is out of its range or the folder can't be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sorted(path.name for path in write("comments", 40, 0, folder).values())
    ['comments.parquet', 'probe.parquet', 'truth.json']
    """
    if kind not in DEFAULT_ROWS:
        raise InputError(f'"{kind}" is no sample; choose bios or comments.{suggest(kind, list(DEFAULT_ROWS))}')
    if kind == "comments" and uniform:
        raise InputError("uniform is an option of bios; comments have two classes and a planted base rate")
    total = DEFAULT_ROWS[kind] if rows is None else rows
    if splits and total < len(SPLIT_OF_20):
        raise InputError(f"rows is {total}; three splits need at least {len(SPLIT_OF_20)}")

    def draw(size: int, split: str | None) -> tuple[pa.Table, dict[str, Any]]:
        if kind == "bios":
            return bios(size, seed, bias=bias, uniform=uniform, split=split)
        return comments(size, seed, bias=bias, split=split)

    tables: dict[str, pa.Table] = {}
    if splits:
        sizes = {s: total * SPLIT_OF_20.count(s) // len(SPLIT_OF_20) for s in ("dev", "test")}
        sizes["train"] = total - sum(sizes.values())
        parts = {s: draw(sizes[s], s) for s in SPLITS}
        tables.update((s, table) for s, (table, _) in parts.items())
        # What is planted is the same for all splits; what the draw gave is not.
        truth = {k: v for k, v in parts["train"][1].items() if k not in ("split", "counts", "realised_log_ratio")}
        truth["rows"] = total
        truth["splits"] = {
            s: {k: part[k] for k in ("rows", "counts", "realised_log_ratio") if k in part}
            for s, (_, part) in parts.items()
        }
    else:
        tables[kind], truth = draw(total, None)
    if kind == "comments":
        tables["probe"], truth["probe"] = probe(seed=seed)
    folder = Path(out)
    paths: dict[str, Path] = {}
    for name, table in tables.items():
        paths[name] = folder / f"{name}.parquet"
        with atomic(paths[name]) as place:
            pq.write_table(table, place)
    paths["truth"] = folder / "truth.json"
    write_json(paths["truth"], truth)
    return paths
