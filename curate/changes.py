"""What a plan does to the words of a batch: its edits, and the copies with theirs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .edits import NONE, Edits, Ints, distinct, merged, splice, splice_rows
from .placebo import Lots, Vocabulary, put
from .plan import EditStep, Resolved
from .prepare import Chunk
from .scrub import Scrub
from .swap import Swap


@dataclass(frozen=True, slots=True)
class Copies:
    """The copies that one step makes of rows of a batch.

    Attributes
    ----------
    step : EditStep
    rows : int64 array
        Rows of the batch that are copied, ascending.
    edits : Edits
        All that tells the copies' texts from the raw ones: the plan's edits of the rows and the step's own.
    own : Edits
        The step's own.
    unsure : int
        Places left as they are because the rules were not sure.
    """

    step: EditStep
    rows: Ints
    edits: Edits
    own: Edits
    unsure: int

    def text(self, chunk: Chunk) -> Any:
        """Texts of the copies."""
        tokens = chunk.scanned.tokens
        assert tokens is not None
        return splice_rows(tokens, self.edits, self.rows)


@dataclass(frozen=True, slots=True)
class Changes:
    """What a plan does to the words of a batch.

    Attributes
    ----------
    edits : Edits
        Of the rows themselves.
    copies : tuple of Copies
    unsure : dict of int to int
        By index of the step, the places that its rules left alone.
    short : dict of int to int
        By index of the step, changes that a placebo could not make because a row has no other words left.
    counts : dict of int to Counter
        By index of the step, whatever else it counts.
    """

    edits: Edits
    copies: tuple[Copies, ...]
    unsure: dict[int, int]
    short: dict[int, int]
    counts: dict[int, Counter[str]] = field(default_factory=dict)

    def text(self, chunk: Chunk) -> Any:
        """Texts of the rows with the edits made."""
        if not self.edits.n:
            return chunk.scanned.batch.text
        tokens = chunk.scanned.tokens
        assert tokens is not None
        return splice(tokens.data, tokens.offsets, self.edits)


@dataclass(frozen=True)
class Changer:
    """Makes the `Changes` of a chunk.

    Attributes
    ----------
    resolved : Resolved
    seed : int
    placebo : bool
    vocabulary : Vocabulary or None
        For the placebo. Without it the placebo's copies are known but not their words.
    memory : dict or None
        Where the changes of a chunk are kept for the second pass, if there is room for them.
    """

    resolved: Resolved
    seed: int
    placebo: bool
    vocabulary: Vocabulary | None = None
    memory: dict[tuple[int, bool], Changes] | None = None

    def changes(self, chunk: Chunk) -> Changes:
        """What the plan does to the words of a chunk."""
        if self.memory is None:
            return self._changes(chunk)
        key = (chunk.start, self.placebo)
        if key not in self.memory:
            self.memory[key] = self._changes(chunk)
        return self.memory[key]

    def _changes(self, chunk: Chunk) -> Changes:
        steps, augments = self.resolved.edits, self.resolved.augments
        unsure: dict[int, int] = {}
        short: dict[int, int] = {}
        counts: dict[int, Counter[str]] = {step.index: Counter() for step in (*steps, *augments)}
        if not steps and not augments:
            return Changes(NONE, (), unsure, short)
        aimed = made = NONE
        for step in steps:
            real, unsure[step.index] = self._real(step, chunk, aimed, counts[step.index])
            aimed = merged([aimed, real])
            if self.placebo:
                lots = self._placebo(step, chunk, real, made)
                short[step.index] = real.n - lots.n
                made = merged([made, lots])
        if not self.placebo:
            made = aimed
        copies = []
        for step in augments:
            own, left = self._real(step, chunk, aimed, counts[step.index])
            unsure[step.index] = unsure.get(step.index, 0) + left
            rows = distinct(own.row)
            if self.placebo:
                lots = self._placebo(step, chunk, own, made)
                short[step.index] = short.get(step.index, 0) + own.n - lots.n
                own = lots
            copied = np.zeros(chunk.n, np.bool_)
            copied[rows] = True
            copies.append(Copies(step, rows, merged([made.of_rows(copied), own]), own, left))
        return Changes(made, tuple(copies), unsure, short, counts)

    def _real(self, step: EditStep, chunk: Chunk, taken: Edits, counts: Counter[str]) -> tuple[Edits, int]:
        tokens, matches = chunk.scanned.tokens, step.matches(chunk.scanned)
        assert tokens is not None
        if isinstance(step.how, Swap):
            return step.how.edits(tokens, matches, chunk.keys, taken, seed=self.seed, counts=counts)
        return step.how.edits(tokens, matches, chunk.keys, taken, seed=self.seed)

    def _placebo(self, step: EditStep, chunk: Chunk, real: Edits, taken: Edits) -> Edits:
        """As many changes of the same kind to random words of the same rows and frequency."""
        if self.vocabulary is None:
            return NONE
        tokens = chunk.scanned.tokens
        assert tokens is not None
        lots = Lots(self.vocabulary, (self.seed, "placebo", step.variant - 1))
        drawn, band = lots.tokens(tokens, step.matches(chunk.scanned), real, chunk.keys, taken)
        if isinstance(step.how, Scrub):
            return step.how.at(tokens, drawn, np.ones(len(drawn), np.int64), taken)
        words = lots.words(tokens, drawn, band, chunk.keys, step.how.words.tokens)
        return put(tokens, drawn, step.index, words)
