"""A curation of data too large for memory: cut into parts, each counted and curated by itself, then joined in order.

The parts that are done lie in a folder of the output folder until all is written, so that the same command goes on
where it was stopped. What is written does not depend on how the data was cut, or on who worked on it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...data.atomic import unwritable
from ...data.conversation_source import ConversationSource
from ...data.dataset import Dataset
from ...data.errors import InputError
from ...data.files import write_json
from ...data.normalise import Census as Labels
from ...data.normalise import place_of
from ...data.parts import Part, cut, sample_sha256, size_of
from ...data.readers_arrow import TableSource
from ...data.scan import FAST_BYTES
from ..changes import Changer
from ..placebo import Vocabulary
from ..plan import EditStep, Resolved
from ..prepare import Census, Prepared
from ..spilling import decide
from ..state import State
from ..units import Units
from ..words.scrub import Scrub
from ..words.swap import Swap
from .numbering import Numbered, count_part, numbered, vocabulary_of
from .pieces import Piece, Work, read_piece, write_piece
from .workers import Engine

PART_BYTES = 32 << 20
MOST_PARTS = 2_000
# Data of less than this are done before a second process has begun.
_ALONE_BYTES = 64 << 20
STAGE = ".evenset-parts"


def cuttable(dataset: Dataset) -> bool:
    """Whether data can be curated in parts: files of rows, not of conversations, whose rows may belong together."""
    return not isinstance(dataset.source, (TableSource, ConversationSource))


@contextmanager
def stage_of(out: Path, about: dict[str, Any]) -> Iterator[Path]:
    """Give the folder for parts that are done: that of an earlier run of the same work, or an empty one.

    It goes when the block ends well or the input is wrong; it stays when the run is stopped.
    """
    stage = out / STAGE
    said = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()
    mark = stage / "work.json"
    kept = new = False
    try:
        try:
            before = _said(mark)
            new = before.get("new", False) or not out.exists()
            if before.get("work") != said:
                shutil.rmtree(stage, ignore_errors=True)
            stage.mkdir(parents=True, exist_ok=True)
            write_json(mark, {"work": said, "new": new})
        except OSError as error:
            raise unwritable(out, error) from error
        yield stage
    except BaseException as error:
        kept = not isinstance(error, InputError) or getattr(error, "resumable", False)
        raise
    finally:
        if not kept:
            shutil.rmtree(stage, ignore_errors=True)
            if new and out.is_dir() and not any(out.iterdir()):
                out.rmdir()


def _said(mark: Path) -> dict[str, Any]:
    try:
        content = json.loads(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def fingerprint(dataset: Dataset, **work: Any) -> dict[str, Any]:
    """Everything on which the parts depend."""
    from ... import __version__

    files = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in _files(dataset)]
    return {"evenset": __version__, "files": files, "sample": sample_sha256(dataset), "of": repr(dataset)} | work


def _files(dataset: Dataset) -> list[Path]:
    from ...data.readers_arrow import data_files

    return list(data_files(dataset.form, dataset.paths))


@dataclass(frozen=True)
class Parted:
    """Data cut into parts, and who works on them.

    Attributes
    ----------
    prepared : Prepared
    changer : Changer
    engine : Engine
    parts : tuple of Part
    stage : Path
    extra : dict of name to Arrow type
        Columns that the output has besides those of the data.
    overwrites : str or None
        As in `Emitter`.
    """

    prepared: Prepared
    changer: Changer
    engine: Engine
    parts: tuple[Part, ...]
    stage: Path
    extra: dict[str, pa.DataType]
    overwrites: str | None

    @staticmethod
    def of(
        prepared: Prepared,
        changer: Changer,
        engine: Engine,
        stage: Path,
        *,
        extra: dict[str, pa.DataType],
        overwrites: str | None,
        part_bytes: int | None = None,
    ) -> Parted:
        """Cut data into parts."""
        dataset = prepared.dataset
        size = size_of(dataset)
        count = max(1, -(-size // max(part_bytes or PART_BYTES, -(-size // MOST_PARTS), 1)))
        if part_bytes is None and engine.kind == "local" and size < _ALONE_BYTES:
            engine = replace(engine, workers=1)
        prepared = replace(prepared, hold=False, _held={})
        return Parted(
            prepared,
            replace(changer, memory=None),
            engine,
            tuple(cut(dataset, count)),
            stage,
            extra,
            overwrites,
        )

    @property
    def needs_keys(self) -> bool:
        """Whether the plan's edits, or the names of rows, need keys before a row is written."""
        resolved = self.changer.resolved
        if self.changer.placebo or self.prepared.dataset.columns.id is not None:
            return True
        return resolved.moves_rows or needs_keys(resolved)

    @cached_property
    def work(self) -> Work:
        """What is done to each part."""
        return Work(
            self.prepared,
            self.changer,
            self.extra,
            self.overwrites,
            self.stage,
            fast=size_of(self.prepared.dataset) >= FAST_BYTES,
            keyed=False,
            moves=False,
        )

    @cached_property
    def keyed_work(self) -> Work:
        """The same when the first pass is done."""
        return replace(self.work, keyed=self.needs_keys)

    def vocabulary(self) -> Vocabulary:
        """Words of all rows: a pass of its own, for placebos of edits."""
        total = Vocabulary()
        for _, words in self.engine.each(vocabulary_of, self.work, self.parts):
            for word, count in words.items():
                total.documents[word] = total.documents.get(word, 0) + count
        return total

    def numbered(self, *, cells: bool, hashes: bool) -> Numbered:
        """The first pass: keys of all rows and, where rows move, their cells and the copies made of them."""
        changer = replace(self.changer, placebo=False, vocabulary=None)
        work = replace(self.work, changer=changer)
        copies = bool(changer.resolved.augments)
        # Copies drawn by row keys can only be made when the keys are known: by a pass before.
        before = cells and copies and needs_keys(changer.resolved)
        found = self._pass(work, cells=cells and not before, hashes=hashes, keys=True)
        if before:
            keyed = replace(work, keyed=True)
            found = replace(self._pass(keyed, cells=True, hashes=hashes, keys=False), rows=found.rows)
        return found

    def _pass(self, work: Work, *, cells: bool, hashes: bool, keys: bool) -> Numbered:
        shared = (work, cells, hashes)
        counted = [found for _, found in sorted(self._tried(count_part, shared), key=lambda pair: pair[0])]
        labels = Labels()
        for one in counted:
            join_labels(labels, one.labels)
        self.judge(labels)
        return numbered(work, counted, cells=cells, hashes=hashes, keys=keys)

    def _tried(self, function: Any, shared: Any) -> Iterator[tuple[int, Any]]:
        """Work on all parts; what is wrong with a row is said in the words of one pass over all, which numbers them."""
        try:
            yield from self.engine.each(function, shared, self.parts)
        except InputError as error:
            if getattr(error, "resumable", False) or len(self.parts) == 1:
                raise
            for _ in self.prepared.chunks():
                pass
            raise

    def census(self, *, hashes: bool) -> tuple[Census, dict[int, Units]]:
        """All rows in cells, and the copies that the plan's steps (not their placebos) make of them."""
        return self.numbered(cells=True, hashes=hashes).census()

    def pieces(self, state: State | None, rows: tuple[int, ...] | None) -> Iterator[Piece]:
        """The second pass: the piece of each part, in order."""
        if state is not None:
            assert rows is not None
            decide(self.work, state, rows)
        work = replace(self.keyed_work, moves=state is not None)
        done: dict[int, Piece] = {}
        left = []
        for part in self.parts:
            piece = read_piece(work.piece_at(part.number))
            if piece is None:
                left.append(part)
            else:
                done[part.number] = piece
        labels = Labels()
        due = 1
        for piece in self._all(done, work, left):
            done[piece.number] = piece
            while due in done:
                one = done.pop(due)
                join_labels(labels, one.labels)
                yield one
                due += 1
        self.judge(labels)

    def _all(self, done: dict[int, Piece], work: Work, left: list[Part]) -> Iterator[Piece]:
        yield from list(done.values())
        for _, piece in replace(self, parts=tuple(left))._tried(write_piece, work) if left else ():
            yield piece

    def judge(self, labels: Labels) -> None:
        """Refuse what can only be judged by all rows."""
        dataset = self.prepared.dataset
        labels.judge(dataset.columns, place_of(dataset.paths), need_label=dataset.need_label)


def join_labels(total: Labels, more: Labels) -> None:
    """Add rows and classes."""
    total.rows += more.rows
    total.labelled += more.labelled
    total.classes |= more.classes


def needs_keys(resolved: Resolved) -> bool:
    """Whether the edits of a plan depend on more than text and label of a row."""
    return any(not _by_content(step) for step in (*resolved.edits, *resolved.augments))


def _by_content(step: EditStep) -> bool:
    how = step.how
    return isinstance(how, Scrub) or (isinstance(how, Swap) and how.to != "random")
