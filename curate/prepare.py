"""The rows as curation sees them: scanned, with row keys, batch by batch; kept in memory where they are used again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..data.axes import Axis
from ..data.conversation_rows import columns_to_read
from ..data.conversation_source import ConversationSource
from ..data.dataset import Batch, Dataset
from ..data.hashing import Keys, Seen, hash64, row_keys
from ..data.scan import Scanned, Scanner, scan
from .edits import distinct
from .placebo import Vocabulary
from .plan import known_axes
from .selection.topup import Pool, read_pool
from .units import Cells, Codes, Units

# Of data no larger than this (bytes of files) the scan is kept for the second pass.
_HOLD_BYTES = 48 << 20


@dataclass(frozen=True, slots=True)
class Chunk:
    """A batch, what the scan found in it, and its row keys.

    Attributes
    ----------
    scanned : Scanned
    keys : uint64 array
    draws : uint64 array
        What is random in the words of a row is drawn by these: the row keys, but both replies of a preference pair
        share one.
    """

    scanned: Scanned
    keys: Keys
    draws: Keys
    paired: bool = False

    @property
    def start(self) -> int:
        """Number of its first row in the dataset."""
        return self.scanned.batch.start

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.scanned.batch.n


@dataclass(frozen=True, eq=False)
class Prepared:
    """A dataset made ready for curation, for any number of plans and seeds. Get one with `prepare`.

    Attributes
    ----------
    dataset : Dataset
    axes : dict of str to Axis
        By the words by which they were asked for.
    hold : bool
        Whether the scanned rows are kept in memory.
    """

    dataset: Dataset
    axes: dict[str, Axis]
    hold: bool
    _held: dict[str, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def scanner(self) -> Scanner:
        """Scans further rows on the same axes."""
        return Scanner(self.distinct)

    @property
    def distinct(self) -> list[Axis]:
        """The axes, each once."""
        return list({axis.name: axis for axis in self.axes.values()}.values())

    def chunks(self, *, write: bool = True) -> Iterator[Chunk]:
        """All rows, in order; with all that writing them takes, or only what counting them does."""
        if "chunks" in self._held:
            yield from self._held["chunks"]
            return
        kept: list[Chunk] = []
        seen = Seen()
        columns = self.dataset.columns
        columns_read = columns_to_read(self.dataset, write=write or self.hold)
        for scanned in scan(self.dataset, self.distinct, columns=columns_read):
            batch = scanned.batch
            ids = None if columns.id is None else batch.column(columns.id)
            keys = row_keys(batch.text, batch.label, ids=ids, seen=seen, start=batch.start, id_name=columns.id or "id")
            chunk = self.chunk(scanned, keys)
            if self.hold:
                kept.append(chunk)
            yield chunk
        if self.hold:
            self._held["chunks"] = kept

    def chunk(self, scanned: Scanned, keys: Keys) -> Chunk:
        """Scanned rows with their keys."""
        return Chunk(scanned, keys, *self._draws(scanned.batch, keys))

    def _draws(self, batch: Batch, keys: Keys) -> tuple[Keys, bool]:
        """Keys for the draws of each row, and whether rows come in pairs."""
        source = self.dataset.source
        if not isinstance(source, ConversationSource) or source.conversation.pair is None:
            return keys, False
        pair = batch.column(source.conversation.pair)
        # Half a pair has no name: it draws by its own key.
        named = hash64(pair.fill_null(""), salt="evenset.pair")
        return np.where(pair.is_null().to_numpy(zero_copy_only=False), keys, named), True

    def with_axes(self, specs: Sequence[str]) -> Prepared:
        """The same data with further axes, scanned again only if there are any."""
        lacking = [spec for spec in specs if spec not in self.axes]
        if not lacking:
            return self
        wider = known_axes([*self.axes, *lacking], names=self.dataset.names)
        if {axis.name for axis in wider.values()} == {axis.name for axis in self.axes.values()}:
            return replace(self, axes=wider)
        return replace(self, axes=wider, _held={})

    def remembered(self, name: Any, make: Any) -> Any:
        """What `make` gives, made once for all plans and seeds if rows are kept in memory."""
        if not self.hold:
            return make()
        if name not in self._held:
            self._held[name] = make()
        return self._held[name]

    def pool(self, path: str, text: str | None, *, where: str, label: str | None = None) -> Pool:
        """The rows of a pool, with what its column `label` says of them."""
        threshold = self.dataset.columns.label_threshold
        pool: Pool = self.remembered(
            ("pool", path, text, label),
            lambda: read_pool(path, text, self.distinct, where=where, label=label, threshold=threshold),
        )
        return pool

    def sha256(self) -> str:
        """Hash of the data."""
        digest: str = self.remembered("sha256", self.dataset.sha256)
        return digest


def prepare(dataset: Any, axes: Sequence[str], *, hold: bool = True) -> Prepared:
    """Make a dataset ready for curation by many plans or with many seeds.

    Parameters
    ----------
    dataset : Dataset, table or list of dicts
        The rows.
    axes : sequence of str
        The axes that the plans name, and others that the report shall show.
    hold : bool
        Keep the scanned rows in memory, so that later runs do not read and scan them again.

    Returns
    -------
    Prepared
        To be given to `run` in place of the dataset.

    Raises
    ------
    InputError
        For axes that mean nothing.

    Examples
    --------
    >>> import evenset.data
    >>> data = evenset.data.open([{"text": "She ran.", "label": "a"}, {"text": "He ran.", "label": "b"}])
    >>> prepare(data, ["pronouns"]).axes["pronouns"].status_groups
    ('she', 'he')
    """
    if not isinstance(dataset, Dataset):
        dataset = Dataset.of(dataset)
    return Prepared(dataset, known_axes(axes, names=dataset.names), hold)


def small(dataset: Dataset) -> bool:
    """Whether rows are few enough to be kept between the two passes over them."""
    if dataset.form == "memory":
        return True
    if dataset.compression is not None or dataset.form == "hf":
        return False
    return sum(path.stat().st_size for path in dataset.paths) <= _HOLD_BYTES


@dataclass(frozen=True)
class Census:
    """All rows of the data as units, in cells.

    Attributes
    ----------
    cells : Cells
    units : Units
        One a row.
    hashes : uint64 array or None
        Of the texts, ascending, where asked for.
    """

    cells: Cells
    units: Units
    hashes: Keys | None


def census(prepared: Prepared, *, hashes: bool, visit: Callable[[Chunk, Cells, Codes], None] | None = None) -> Census:
    """The first pass: count cells and spill a cell code and a row key for each row.

    Parameters
    ----------
    prepared : Prepared
        The rows.
    hashes : bool
        Keep the hashes of the texts too.
    visit : callable, optional
        Called with each chunk, the cells so far and the cell of each of its rows.
    """
    cells = Cells(tuple(axis.name for axis in prepared.distinct))
    parts: list[tuple[Codes, Keys]] = []
    weights: list[Any] = []
    texts: list[Keys] = []
    for chunk in prepared.chunks(write=False):
        codes = cells_of(cells, chunk.scanned)
        parts.append((codes, chunk.keys))
        if visit is not None:
            visit(chunk, cells, codes)
        weights.append(chunk.scanned.batch.weight)
        if hashes:
            texts.append(hash64(chunk.scanned.batch.text, salt="evenset.text"))
    keys = np.concatenate([part[1] for part in parts])
    n = len(keys)
    nothing = np.zeros(n, np.int32)
    given = bool(weights) and weights[0] is not None
    units = Units(
        position=np.arange(n, dtype=np.int64),
        variant=nothing,
        repeat=nothing,
        by=nothing,
        cell=np.concatenate([part[0] for part in parts]),
        root=keys,
        weight=np.concatenate(weights) if given else np.ones(n),
    )
    return Census(cells, units, distinct(np.concatenate(texts)) if hashes else None)


def cells_of(cells: Cells, scanned: Scanned) -> Codes:
    """The cell of each row of a scanned batch."""
    batch = scanned.batch
    if batch.label is None:
        label = cells.label_codes([None]).repeat(batch.n)
    else:
        coded = batch.label.dictionary_encode()
        # A null is a label code of its own: null_encoding puts it behind the others.
        known = cells.label_codes([*coded.dictionary.to_pylist(), None])
        indices = coded.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False)
        label = known[indices]
    patterns = []
    for name in cells.axes:
        found = scanned.members[name]
        patterns.append(cells.pattern_codes(name, found.patterns)[found.code])
    return cells.codes(label, scanned.bucket, patterns)


def documents(prepared: Prepared) -> Vocabulary:
    """In how many rows each word occurs: a pass of its own, for placebos of edits only."""
    vocabulary = Vocabulary()
    for chunk in prepared.chunks():
        assert chunk.scanned.tokens is not None
        vocabulary.add(chunk.scanned.tokens)
    return vocabulary
