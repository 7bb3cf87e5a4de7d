"""Columns of units that cost no memory: constants, and arrays that lie in files."""

from __future__ import annotations

import json
import mmap
import pickle
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from .state import State
    from .writing.pieces import Work


_STRETCH = 1 << 20


def constant(value: Any, n: int) -> npt.NDArray[Any]:
    """An array of one value that takes no memory; it cannot be written to."""
    return np.broadcast_to(value, n)


def is_constant(values: npt.NDArray[Any]) -> bool:
    """Whether an array is known to hold one value only."""
    return values.strides == (0,) or not len(values)


def spilled(path: Path, n: int, kind: Any) -> Any:
    """An array in a file."""
    if not n:
        return np.zeros(0, kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    return np.memmap(path, dtype=kind, mode="w+", shape=(n,))


def is_zero(values: npt.NDArray[Any]) -> bool:
    """Whether an array holds nothing but zeros; of a constant one that is known at once."""
    return not (values[:1] if values.strides == (0,) else values).any()


def stretches(n: int) -> Iterator[slice]:
    """Slices of so many places that what is made of one does not matter."""
    for low in range(0, n, _STRETCH):
        yield slice(low, min(low + _STRETCH, n))


def taken(values: npt.NDArray[Any], which: npt.NDArray[Any]) -> Any:
    """Values at some places: constants stay so, and of an array in a file a large part goes to another file."""
    n = int(which.sum()) if which.dtype == np.bool_ else len(which)
    if values.strides == (0,) and len(values):
        return constant(values[0], n)
    if not isinstance(values, np.memmap) or n < _STRETCH:
        return np.asarray(values[which])
    assert values.filename is not None
    path = Path(values.filename)
    made = spilled(path.with_name(f"{path.stem}-{secrets.token_hex(4)}.bin"), n, values.dtype)
    low = 0
    for at in stretches(len(which)):
        some = values[at][which[at]] if which.dtype == np.bool_ else values[which[at]]
        made[low : low + len(some)] = some
        low += len(some)
        forget(values)
        forget(made)
    return made


def forget(values: Any) -> None:
    """Give the memory of an array in a file back; its values stay in the file."""
    held = getattr(values, "_mmap", None)
    if held is not None and hasattr(mmap, "MADV_DONTNEED"):
        held.madvise(mmap.MADV_DONTNEED)


def decide(work: Work, state: State, rows: tuple[int, ...]) -> None:
    """Write down what is written of each part's rows."""
    from .book.touched import mean_factor  # which needs units, which need this module

    units = state.units
    # Drops, repeats and weights are named by their cells in the ledger.
    steps = state.changer.resolved.plan.step
    named = [index for index, step in enumerate(steps) if step.do in ("resample", "reweight")]
    edges = np.cumsum([0, *rows])
    cuts = np.searchsorted(units.position, edges)
    last = max((number for number, n in enumerate(rows, 1) if n), default=1)
    for number, n in enumerate(rows, 1):
        low, high = int(cuts[number - 1]), int(cuts[number])
        position = np.asarray(units.position[low:high]) - edges[number - 1]
        columns: dict[str, Any] = {"rows": np.int64(n)}
        if high - low != n or (position != np.arange(n)).any():
            columns["position"] = position
        for name in ("variant", "repeat", "by"):
            values = getattr(units, name)
            if not is_constant(values) and (some := values[low:high]).any():
                columns[name] = some
        if not is_constant(units.weight):
            columns["weight"] = units.weight[low:high]
        dropped = state.dropped_by[edges[number - 1] : edges[number]]
        if dropped.any():
            columns["dropped_by"] = dropped
        if named:
            columns["cell"] = units.cell[low:high]
            if dropped.any():
                columns["before"] = state.before.cell[edges[number - 1] : edges[number]]
        path = work.decided_at(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **columns)
        pool = path.with_suffix(".pool")
        pool.unlink(missing_ok=True)
        if number == last and state.added:
            pool.write_bytes(pickle.dumps(state.pool()))
    about = {"names": {str(index): state.names_of(index) for index in named}, "mean": mean_factor(state)}
    work.named_at().parent.mkdir(parents=True, exist_ok=True)
    work.named_at().write_text(json.dumps(about))
