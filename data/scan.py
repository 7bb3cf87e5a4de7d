"""The one pass over the rows that audit and curate share: tokens, matches, groups and length bucket of each batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from .axes import Axis, Membership
from .dataset import Batch, Dataset
from .errors import InputError
from .lexicon import Lexicon
from .match import Matcher, Matches
from .parts import size_of
from .tokens import Tokens, tokenize

BUCKET_EDGES = (82, 159, 281, 536)
"""Lengths in characters at which a new bucket begins: the inner quantiles of Dixon et al. 2018, section 3.

Bucket b holds the texts of at least ``edges[b - 1]`` and fewer than ``edges[b]`` characters.
"""

FAST_BYTES = 256 << 20
"""Data of at least this size is read by the compiled loops, where numba is installed."""

_WORKERS = 2


@dataclass(frozen=True, slots=True)
class Scanned:
    """A batch and what the one pass finds in it, all of the raw text.

    Attributes
    ----------
    batch : Batch
    tokens : Tokens or None
        None where no axis needed them and nobody asked.
    matches : dict of str to Matches
        By name of lexicon.
    members : dict of str to Membership
        By name of axis.
    bucket : numpy.ndarray of int8
        Length bucket of each row.
    """

    batch: Batch
    tokens: Tokens | None
    matches: dict[str, Matches]
    members: dict[str, Membership]
    bucket: npt.NDArray[np.int8]


class Scanner:
    """Makes a `Scanned` of a batch. Holds no state between batches, so threads and processes may share it.

    Parameters
    ----------
    axes : sequence of Axis
    edges : sequence of int
        Ascending lengths in characters.
    tokens : bool
        Tokenise even where no axis needs it.
    fast : bool
        Use the compiled loops where numba is installed: the results are the same, but it takes a moment to load them.
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        *,
        edges: Sequence[int] = BUCKET_EDGES,
        tokens: bool = False,
        fast: bool = False,
    ) -> None:
        self.axes = tuple(axes)
        self.edges = np.asarray(edges, np.int64)
        if (np.diff(self.edges) <= 0).any() or len(self.edges) > 126:
            raise ValueError("edges ascend strictly and are at most 126")
        lexicons: dict[str, Lexicon] = {}
        for lexicon in (lexicon for axis in axes for lexicon in axis.lexicons()):
            if lexicons.setdefault(lexicon.name, lexicon) != lexicon:
                raise InputError(f'two different lexicons are called "{lexicon.name}"; change lexicon.name in one file')
        self.matchers = {name: Matcher(lexicon) for name, lexicon in lexicons.items()}
        self._reads = tokens or bool(lexicons)
        self._tokenize, self._find = _loops() if fast and self._reads else (tokenize, Matcher.find)

    def scan(self, batch: Batch) -> Scanned:
        """Tokenise, match and group the rows of one batch."""
        tokens = self._tokenize(batch.text) if self._reads else None
        matches = {} if tokens is None else {name: self._find(m, tokens) for name, m in self.matchers.items()}
        members = {axis.name: axis.members(batch, matches) for axis in self.axes}
        length = np.asarray(pc.utf8_length(batch.text))
        bucket = np.searchsorted(self.edges, length, side="right").astype(np.int8)
        return Scanned(batch, tokens, matches, members, bucket)


def _loops() -> tuple[Callable[[Any], Tokens], Callable[[Matcher, Tokens], Matches]]:
    """How to tokenise and match large data."""
    try:
        from . import kernels
    except ImportError:  # the extra "speed" is not installed
        return tokenize, Matcher.find
    return kernels.tokenize, kernels.find


def scan(
    dataset: Dataset,
    axes: Sequence[Axis],
    *,
    edges: Sequence[int] = BUCKET_EDGES,
    tokens: bool = False,
    columns: Sequence[str] | None = None,
) -> Iterator[Scanned]:
    """Pass once over a dataset.

    Parameters
    ----------
    dataset : Dataset
        The rows.
    axes : sequence of Axis
        From `parse_axes`.
    edges : sequence of int
        Lengths in characters (not bytes) at which a new length bucket begins.
    tokens : bool
        Tokenise even where no axis needs it.
    columns : sequence of str, optional
        As in `Dataset.batches`; the columns of the axes are read in any case.

    Yields
    ------
    Scanned
        In the order of the rows.

    Notes
    -----
    Two threads work on the next batches while the caller uses one, so up to three batches are in memory. Most of the
    work is in Arrow, numpy and compiled loops, which release the interpreter.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from evenset.data.axes import parse_axes
    >>> data = Dataset.of(pa.table({"text": ["She ran.", "He told her."], "label": [0, 1]}), text="text", label="label")
    >>> [scanned.members["pronouns"].sets() for scanned in scan(data, parse_axes(["pronouns"], names=data.names))]
    [[('she',), ('mixed',)]]
    """
    batches = dataset.batches(columns=wanted(dataset, axes, columns))
    return scan_batches(batches, axes, edges=edges, tokens=tokens, fast=size_of(dataset) >= FAST_BYTES)


def scan_batches(
    batches: Iterator[Batch],
    axes: Sequence[Axis],
    *,
    edges: Sequence[int] = BUCKET_EDGES,
    tokens: bool = False,
    workers: int = _WORKERS,
    fast: bool = False,
) -> Iterator[Scanned]:
    """`scan` of batches from anywhere; they must have the columns that the axes need.

    Parameters
    ----------
    batches : iterator of Batch
        In their order.
    axes, edges, tokens
        As in `scan`.
    workers : int
        Threads; as many batches and one more are in memory.
    fast : bool
        As in `Scanner`.
    """
    scanner = Scanner(axes, edges=edges, tokens=tokens, fast=fast)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="evenset-scan")
    waiting: deque[Future[Scanned]] = deque()
    try:
        for batch in islice(batches, workers):
            waiting.append(pool.submit(scanner.scan, batch))
        while waiting:
            scanned = waiting.popleft().result()
            for batch in islice(batches, 1):
                waiting.append(pool.submit(scanner.scan, batch))
            yield scanned
    finally:  # also when the caller stops early
        pool.shutdown(wait=True, cancel_futures=True)


def wanted(dataset: Dataset, axes: Sequence[Axis], columns: Sequence[str] | None) -> Sequence[str] | None:
    """The columns to ask for: JSONL gives by default only those that have a part."""
    own = [column for axis in axes for column in axis.columns()]
    if columns is None:
        if dataset.form != "jsonl" or not own:
            return None
        columns = [*dataset.extra_columns, "__line__"]
    return list(dict.fromkeys([*columns, *own]))
