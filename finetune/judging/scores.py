"""The one seam of finetune: a table of scores, checked once and aligned on shared rows.

Whatever trains a model writes this table; gaps, verdict and attribution read nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...data.errors import InputError, suggest

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

COPIES = {"scrubbed": "test.scrubbed", "swapped": "test.swapped"}
"""Splits with the rows of test under the same ids, their words scrubbed or swapped."""

SPLITS = ("dev", "test", "probe", *COPIES.values())
PREDICTED = ("predicted", "prediction")
WIDE = "score:"
SEPARATOR = "|"  # in a csv, several groups or clustering ways share one field

SCORES = pa.schema(
    [
        ("arm", pa.string()),
        ("upstream", pa.string()),
        ("seed", pa.int64()),
        ("split", pa.string()),
        ("id", pa.string()),
        ("label", pa.string()),
        ("predicted", pa.string()),  # null where only a score is known
        ("groups", pa.list_(pa.string())),
        ("cluster", pa.list_(pa.string())),  # one entry a clustering way; empty: rows are independent
        ("score", pa.float64()),  # P(positive) for two labels, P(predicted) for more
        ("placebo_of", pa.string()),  # the arm that this run is the placebo of
        ("changed", pa.bool_()),  # of a copy's row: whether its text differs from that of the test row
    ]
)
"""Schema of `scores.parquet`."""


@dataclass(frozen=True, slots=True, order=True)
class Run:
    """One trained model: an arm, an upstream and a seed."""

    arm: str
    upstream: str
    seed: int
    placebo_of: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"arm {self.arm}, upstream {self.upstream}, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Items:
    """The rows of one split, shared by all runs, sorted by id.

    Attributes
    ----------
    ids : pyarrow.Array
        Row ids, unique.
    label : numpy.ndarray
        Index into `labels`, one a row.
    labels : tuple of str
        All labels of the score set, sorted.
    pattern : numpy.ndarray
        Index into `patterns`, one a row.
    patterns : tuple of tuple of str
        Sets of groups; `()` is a row without any.
    clusters : numpy.ndarray
        Codes, one row a clustering way and one column an item.
    changed : numpy.ndarray or None
        Of a copy of the test rows: whether each text differs from the test row's; None where the file does not say.
    """

    ids: pa.Array
    label: Ints
    labels: tuple[str, ...]
    pattern: Ints
    patterns: tuple[tuple[str, ...], ...]
    clusters: Ints
    changed: Bools | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.label)

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of all groups that occur, sorted."""
        present = np.unique(self.pattern)
        return tuple(sorted({name for code in present for name in self.patterns[code]}))

    def member(self, group: str) -> Bools:
        """Whether each row belongs to the group; a row may belong to several."""
        has: Bools = np.array([group in pattern for pattern in self.patterns], dtype=bool)
        return np.asarray(has[self.pattern])

    def is_label(self, label: str) -> Bools:
        """Whether each row carries the label."""
        code = self.labels.index(label) if label in self.labels else -1
        return np.asarray(self.label == code)


@dataclass(frozen=True, slots=True)
class ScoreSet:
    """Scores of many runs on the same rows.

    Attributes
    ----------
    runs : tuple of Run
        Sorted by arm, upstream and seed: the rows of the matrices below.
    items : mapping of str to Items
        The rows of each split that is present.
    score : mapping of str to numpy.ndarray
        Runs × rows, a split; without an entry where the file had no scores.
    predicted : mapping of str to numpy.ndarray
        Index into the labels, runs × rows; without an entry where the file had no predictions.
    labels : tuple of str
        All labels, sorted.
    """

    runs: tuple[Run, ...]
    items: Mapping[str, Items]
    score: Mapping[str, Floats]
    predicted: Mapping[str, Ints]
    labels: tuple[str, ...]

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms, sorted."""
        return tuple(dict.fromkeys(run.arm for run in self.runs))


def read(source: str | Path | pa.Table | Any) -> ScoreSet:
    """Read and check scores that any trainer made.

    Parameters
    ----------
    source : path, pyarrow.Table or pandas.DataFrame
        A csv or parquet file, a folder of `*.scores.parquet`, or a table. Needed columns: `id`, `label` and `score` or
        `predicted`. Known besides: `arm` (default "mine"), `upstream` ("pretrained"), `seed` (0), `split` ("test"),
        `group` ("a|b") or `groups` (a list), `cluster` ("x|y" or a list, one entry a clustering way), `placebo_of`,
        `changed` (in the splits "test.scrubbed" and "test.swapped").

    Returns
    -------
    ScoreSet

    Raises
    ------
    InputError
        A column is missing, a score is not a number, an id repeats within a run, runs cover different rows, or the
        same row has different labels, groups or clusters in different runs.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"arm": ["raw", "raw"], "id": ["a", "b"], "label": [0, 1], "score": [0.2, 0.9],
    ...                   "group": ["muslim", "gay|muslim"]})
    >>> scores = read(table)
    >>> scores.runs[0].upstream, scores.items["test"].groups
    ('pretrained', ('gay', 'muslim'))
    """
    return align(load(source))


def align(table: pa.Table) -> ScoreSet:
    """Align a `SCORES` table: one row index a split, one matrix of scores with a row a run.

    Raises
    ------
    InputError
        See `read`.
    """
    from .align import aligned

    return aligned(table)


def load(
    source: str | Path | pa.Table | Any, *, groups: Callable[[pa.ChunkedArray], pa.Array] | None = None
) -> pa.Table:
    """Read a foreign file or table into the `SCORES` schema, without aligning it.

    `groups` finds the groups of texts, where there is a column `text` and none of groups.
    """
    if isinstance(source, pa.Table):
        return normalise(source, groups=groups)
    if hasattr(source, "iloc"):  # a DataFrame, without importing pandas to ask
        return normalise(pa.Table.from_pandas(source, preserve_index=False), groups=groups)
    path = Path(source)
    if path.is_dir():
        files = sorted(path.rglob("*.scores.parquet"))
        if not files:
            raise InputError(f"{path}: no *.scores.parquet in this folder; give a csv or parquet file of scores")
        tables: list[pa.Table] = []
        for file in files:
            table = load(file)
            tables.append(_sharing(table, tables[0]) if tables else table)
        return concat(tables)
    if not path.exists():
        raise InputError(f"{path}: no such file; give a csv or parquet file of scores")
    name = path.name.lower()
    try:
        if name.endswith((".parquet", ".pq")):
            import pyarrow.parquet as pq

            return normalise(pq.read_table(path), where=str(path), groups=groups)
        if name.endswith((".csv", ".csv.gz")):
            from .csvs import read_csv

            text = ["arm", "upstream", "split", "id", "label", "group", "groups", "cluster", "placebo_of", "text"]
            text += PREDICTED
            kinds = {"seed": pa.int64(), "score": pa.float64(), "changed": pa.bool_()} | dict.fromkeys(
                text, pa.string()
            )
            return normalise(read_csv(path, kinds), where=str(path), groups=groups)
    except (pa.ArrowInvalid, OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be read as scores: {error}") from error
    raise InputError(f"{path}: scores are read from .csv, .csv.gz or .parquet; convert the file to one of these")


def write(table: pa.Table, path: str | Path) -> Path:
    """Write scores as parquet, whole or not at all; returns the path."""
    import pyarrow.parquet as pq

    from ...data.files import atomic

    checked = normalise(table)
    with atomic(Path(path)) as temporary:
        pq.write_table(checked, temporary, compression="zstd")
    return Path(path)


def _sharing(table: pa.Table, first: pa.Table) -> pa.Table:
    """The table with the columns of the first one where they say the same: a hundred runs then hold their rows once."""
    for at, name in enumerate(table.column_names):
        if name not in ("score", "seed") and table.column(name).equals(first.column(name)):
            table = table.set_column(at, SCORES.field(name), first.column(name))
    return table


def concat(tables: Sequence[pa.Table]) -> pa.Table:
    """Stack score tables, each brought to the `SCORES` schema first."""
    return pa.concat_tables([normalise(table) for table in tables])


def normalise(
    table: pa.Table, *, where: str = "scores", groups: Callable[[pa.ChunkedArray], pa.Array] | None = None
) -> pa.Table:
    """Bring a table to the `SCORES` schema, filling the columns that have a default.

    A column `prediction` is taken for `predicted`; columns ``score:LABEL``, one a label of three or more, for the
    prediction and its score; a column `text`, where there are no groups and `groups` can find them, for groups.

    Raises
    ------
    InputError
        A needed column is missing or has a type that cannot be read.
    """
    if table.schema.equals(SCORES):  # written by evenset
        return table
    if repeated := sorted({name for name in table.column_names if table.column_names.count(name) > 1}):
        raise InputError(f'{where}: two columns are called "{repeated[0]}"; drop or rename one')
    table = _foreign(table, where, groups)
    names = table.column_names
    for needed in ("id", "label"):
        if needed not in names:
            raise InputError(f'{where}: no column "{needed}"; columns are {", ".join(names)}.{suggest(needed, names)}')
    if "score" not in names and "predicted" not in names:
        raise InputError(f'{where}: needs a column "score" (probability of the positive label) or "prediction"')
    defaults = {"arm": "mine", "upstream": "pretrained", "seed": 0, "split": "test"}
    columns = []
    for wanted in SCORES:
        name = "group" if wanted.name == "groups" and "groups" not in names else wanted.name
        if name not in names:
            columns.append(_constant(defaults.get(wanted.name), wanted.type, table.num_rows))
            continue
        column = table.column(name)
        try:
            if pa.types.is_list(wanted.type):
                columns.append(_lists(column))
            elif wanted.type == pa.string():
                columns.append(_strings(column))
            else:
                columns.append(column.cast(wanted.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(f'{where}: column "{name}" cannot be read as {wanted.type}: {error}') from error
        if wanted.name in defaults and wanted.name != "arm":
            columns[-1] = columns[-1].fill_null(defaults[wanted.name])
    made = pa.table(columns, schema=SCORES)
    _probabilities(made.column("score"), where)
    return made


def _probabilities(score: pa.ChunkedArray, where: str) -> None:
    """Refuse what is no probability: a stars rating or a logit would be judged as if 0.5 were its middle."""
    if where == "scores":
        return  # a table of the caller's own, who knows what it holds
    wrong = pc.or_(pc.less(score, 0.0), pc.greater(score, 1.0))
    if pc.any(wrong).as_py():
        row = pc.index(wrong, pa.scalar(value=True)).as_py()
        raise InputError(
            f'{where}: row {row + 1} has the score {score[row].as_py():g}, and "score" is the probability of the '
            "positive label, from 0 to 1; turn logits or ratings into probabilities first"
        )


def _foreign(table: pa.Table, where: str, groups: Callable[[pa.ChunkedArray], pa.Array] | None) -> pa.Table:
    """What others call or lay out in another way."""
    names = table.column_names
    if "predicted" not in names and "prediction" in names:
        names = ["predicted" if name == "prediction" else name for name in names]
        table = table.rename_columns(names)
    wide = [name for name in names if name.startswith(WIDE) and len(name) > len(WIDE)]
    if wide and not {"score", "predicted"} & set(names):
        if len(wide) < 3:
            raise InputError(
                f'{where}: {len(wide)} columns "{WIDE}LABEL": with two labels give one column "score", the probability '
                "of the positive one"
            )
        try:
            values = np.column_stack([table.column(name).cast(pa.float64()).to_numpy() for name in wide])
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(f'{where}: columns "{WIDE}LABEL" must hold numbers: {error}') from error
        if not np.isfinite(values).all():
            row, column = (int(part) for part in np.argwhere(~np.isfinite(values))[0])
            raise InputError(f'{where}: row {row + 1} has no finite number in column "{wide[column]}"')
        best = values.argmax(axis=1)
        labels = pa.array([name.removeprefix(WIDE) for name in wide], pa.string())
        table = table.append_column("predicted", labels.take(pa.array(best)))
        table = table.append_column("score", pa.array(values[np.arange(len(best)), best]))
    if groups is not None and "text" in names and not {"group", "groups"} & set(names):
        table = table.append_column("groups", groups(table.column("text")))
    return table


def _constant(value: object, kind: pa.DataType, n: int) -> pa.Array:
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays(np.zeros(n + 1, dtype=np.int32), pa.array([], pa.string()))
    return pa.nulls(n, kind) if value is None else pa.repeat(pa.scalar(value, kind), n)


def _strings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_floating(column.type):  # what pandas and numpy write for nothing
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    # A label that pandas turned into 1.0 is the label "1": the audit writes it so, and they must meet.
    if pa.types.is_floating(column.type) and pc.all(pc.equal(column, pc.round(column)), skip_nulls=True).as_py():
        column = column.cast(pa.int64())
    text = column.cast(pa.string())
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)  # a csv writes null as nothing


def _lists(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return column.cast(pa.list_(pa.string())).fill_null([])
    return pc.split_pattern(_strings(column), SEPARATOR).fill_null([])
