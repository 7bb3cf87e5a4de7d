"""What a trainer gets and gives: the rows of an arm, the rows to score, and the outcome of one run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..data.hashing import combine, mix, uniform

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Keys: TypeAlias = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """Rows to train on.

    Attributes
    ----------
    text : large_string array
    code : numpy.ndarray
        Index of the label among the task's labels.
    weight : numpy.ndarray
        At least 0; 1 where nothing weighs.
    root : numpy.ndarray of uint64
        Key of the raw row that each row comes from: a copy shares it with its parent.
    """

    text: pa.LargeStringArray
    code: Ints
    weight: Floats
    root: Keys

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.code)

    def keys(self) -> Keys:
        """A key for each row: its root's for the first row of a root, so that arms share it; others for copies."""
        order = np.argsort(self.root, kind="stable")
        ordered = self.root[order]
        first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])) if self.n else np.zeros(0, np.int64)
        number = np.empty(self.n, np.uint64)
        number[order] = np.arange(self.n) - np.repeat(first, np.diff(np.append(first, self.n)))
        return np.where(number == 0, self.root, combine(self.root, number))


@dataclass(frozen=True, slots=True)
class Split:
    """Rows to score.

    Attributes
    ----------
    name : str
        "dev", "test", "probe", or that of a copy: "test.scrubbed" or "test.swapped".
    text : large_string array
        As it is: no arm's curation touches it; a copy's is the same for every arm.
    ids : string array
        Unique.
    code : numpy.ndarray
        Index of the label among the task's labels.
    groups, cluster : list<string> arrays
        Groups of each row on the verdict's axis; clusters, one entry a clustering way.
    changed : numpy.ndarray or None
        Of a copy: whether each row's text differs from that of the test row.
    """

    name: str
    text: pa.LargeStringArray
    ids: pa.StringArray
    code: Ints
    groups: pa.ListArray
    cluster: pa.ListArray
    changed: npt.NDArray[np.bool_] | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.code)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one training.

    Attributes
    ----------
    probabilities : mapping of str to numpy.ndarray
        Rows × labels, a split. Empty where the run failed.
    record : mapping
        What is worth knowing about the run, as JSON takes it.
    failed : str or None
        Why there is no model.
    """

    probabilities: Mapping[str, Floats]
    record: Mapping[str, Any] = field(default_factory=dict)
    failed: str | None = None


class Trainer(Protocol):
    """Trains one model at a time on the rows of an arm."""

    def train(self, rows: TrainingRows, *, seed: int, upstream: str, save: Any = None) -> Outcome:
        """Train and score every split."""


_POISSON = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(20)])


def counts_of(root: Keys, *, seed: int) -> Floats:
    """How often each row counts in the bootstrap of a seed: Poisson(1), the same for all rows of a root.

    Notes
    -----
    The Poisson bootstrap (Hanley and MacGibbon 2006): a number of its own for every row, so that an arm that drops or
    copies rows changes nothing for the others. Numbers are quantiles of a hash of (seed, root).

    Examples
    --------
    >>> counts = counts_of(np.arange(100_000, dtype=np.uint64), seed=0)
    >>> bool(abs(counts.mean() - 1) < 0.02 and abs(counts.var() - 1) < 0.03)
    True
    >>> len(set(counts_of(np.array([7, 7], dtype=np.uint64), seed=1)))
    1
    """
    quantile = uniform(mix(root, salt=(seed, "evenset.bootstrap")))
    return np.searchsorted(_POISSON, quantile, side="right").astype(np.float64)
