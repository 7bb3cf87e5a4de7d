"""Which rows stand behind the findings that fail or warn: a second pass, only where there are any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .counting import label_codes
from .findings import Finding

if TYPE_CHECKING:
    from ..data.axes import Axis
    from ..data.dataset import Batch, Dataset
    from ..data.hashing import Seen
    from ..data.membership import Membership

SCHEMA = pa.schema([("row", pa.string()), ("position", pa.int64()), ("finding", pa.string())])
_MEASURES = frozenset({"label_rate", "label_rate_gap", "label_log_ratio", "log_ratio", "log_ratio_centred"})


@dataclass(frozen=True, slots=True)
class Target:
    """The cell of a finding: rows of the group whose label is, or is not, the one given."""

    id: str
    axis: str
    group: str
    label: str
    other: bool = False

    @staticmethod
    def of(finding: Finding, *, labels: Sequence[str], pairs: dict[str, tuple[str, str] | None]) -> Target | None:
        """The cell whose rows are too many; None where a finding has no such cell.

        Parameters
        ----------
        finding : Finding
            Judged.
        labels : sequence of str
            All labels there are.
        pairs : mapping of axis name to its two groups or None
            The groups that an axis contrasts.
        """
        if finding.status not in ("fail", "warn") or finding.measure not in _MEASURES:
            return None
        if finding.group is None or finding.label is None:
            return None
        pair = pairs.get(finding.axis)
        if pair is not None and finding.group == "/".join(pair):
            return Target(finding.id, finding.axis, pair[0] if finding.estimate > 0 else pair[1], finding.label)
        # Labelled too seldom: with two labels the rows with the other one are too many; with more the cell itself.
        other = finding.estimate < 0 and finding.measure != "label_rate" and len(labels) == 2
        return Target(finding.id, finding.axis, finding.group, finding.label, other)


def write_flagged(path: Path, dataset: Dataset, axes: Sequence[Axis], targets: Sequence[Target]) -> int:
    """Write the rows behind the targets: row id, position, finding id; no text.

    Parameters
    ----------
    path : Path
        A parquet file, written whole or not at all.
    dataset : Dataset
        Read once more, unless there are no targets.
    axes : sequence of Axis
        Those of the audit.
    targets : sequence of Target
        The cells whose rows are wanted.

    Returns
    -------
    int
        How many (row, finding) pairs were written.
    """
    import pyarrow.parquet as pq

    from ..data.files import atomic

    written = 0
    with atomic(path) as temporary, pq.ParquetWriter(temporary, SCHEMA) as writer:
        if not targets:
            writer.write_table(SCHEMA.empty_table())
        else:
            for part in _parts(dataset, axes, targets):
                writer.write_batch(part)
                written += part.num_rows
    return written


def _parts(dataset: Dataset, axes: Sequence[Axis], targets: Sequence[Target]) -> Iterator[pa.RecordBatch]:
    names = pa.array([target.id for target in targets])
    for batch, ids, at, which in flagged_batches(dataset, axes, targets):
        yield pa.record_batch([ids(at), pa.array(at + batch.start), names.take(pa.array(which))], schema=SCHEMA)


def flagged_batches(
    dataset: Dataset, axes: Sequence[Axis], targets: Sequence[Target]
) -> Iterator[tuple[Batch, _Ids, npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Read the data once more: each batch, what names its rows, the rows behind targets, and the target of each."""
    from ..data.hashing import Seen
    from ..data.scan import scan

    needed = [axis for axis in axes if any(target.axis == axis.name for target in targets)]
    seen = Seen()
    columns = sorted({column for axis in needed for column in axis.columns()})
    for scanned in scan(dataset, needed, columns=columns):
        ids = _ids(dataset, scanned.batch, seen)
        label, labels = label_codes(scanned.batch)
        rows, found = [], []
        for axis in needed:
            ours = [(k, target) for k, target in enumerate(targets) if target.axis == axis.name]
            for at, which in _hits(scanned.members[axis.name], label, labels, ours):
                rows.append(at)
                found.append(which)
        at, which = np.concatenate(rows), np.concatenate(found)
        order = np.lexsort((which, at))
        yield scanned.batch, ids, at[order], which[order]


def _hits(
    member: Membership,
    label: npt.NDArray[np.int64],
    labels: Sequence[str | None],
    targets: Iterable[tuple[int, Target]],
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Rows of the batch and the targets they belong to."""
    yield np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    code = {name: index for index, name in enumerate(labels)}
    members: dict[str, npt.NDArray[np.bool_]] = {}
    for which, target in targets:
        if target.group not in members:
            members[target.group] = member.rows_with(target.group)
        same = label == code.get(target.label, -1)
        if target.other:
            same = ~same & (label != code[None])
        at = np.flatnonzero(members[target.group] & same)
        yield at, np.full(len(at), which, dtype=np.int64)


class _Ids:
    """Ids of rows of a batch: the column's, or the key that curation knows the row by."""

    def __init__(self, given: pa.Array | None, keys: npt.NDArray[np.uint64] | None) -> None:
        self.given, self.keys = given, keys

    def __call__(self, at: npt.NDArray[np.int64]) -> pa.Array:
        if self.given is not None:
            return self.given.take(pa.array(at)).cast(pa.string())
        keys = () if self.keys is None else self.keys[at].tolist()
        return pa.array([f"{key:016x}" for key in keys], pa.string())


def _ids(dataset: Dataset, batch: Batch, seen: Seen) -> _Ids:
    from ..data.hashing import row_keys

    if dataset.columns.id is not None:
        return _Ids(batch.column(dataset.columns.id), None)
    return _Ids(None, row_keys(batch.text, batch.label, seen=seen, start=batch.start))
