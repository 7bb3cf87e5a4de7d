"""What a plan does to the words of a batch: its edits, and the copies with theirs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..data.match import Matches
from .edits import NONE, Edits, Ints, distinct, merged, splice, splice_rows, touched
from .placebo import Lots, Vocabulary, put
from .plan import EditStep, Resolved
from .prepare import Chunk
from .words.neutral import Neutral
from .words.protected import joined, shield
from .words.swap import Swap


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
    counts: dict of int to Counter
        By index of the step, whatever else it counts: "protected" places, verbs "agreed" and "not_agreed".
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
        shields = _shields(chunk, [*steps, *augments])
        aimed = made = NONE
        for step in steps:
            kept = shields[step.inside]
            real = _real(step, chunk, aimed, kept, seed=self.seed, counts=counts[step.index])
            unsure[step.index] = real.unsure
            aimed = merged([aimed, real.edits])
            if self.placebo:
                lots = self._placebo(step, chunk, real, joined([kept, made]), counts[step.index])
                short[step.index] = real.edits.n - lots.n
                made = merged([made, lots])
        if not self.placebo:
            made = aimed
        copies = []
        for step in augments:
            kept = shields[step.inside]
            real = _real(step, chunk, aimed, kept, seed=self.seed, counts=counts[step.index])
            own = real.edits
            unsure[step.index] = unsure.get(step.index, 0) + real.unsure
            rows = distinct(own.row)
            if chunk.paired:  # a copy of a pair has both its replies
                rows = distinct(np.concatenate([rows & ~1, rows | 1]))
            if self.placebo:
                lots = self._placebo(step, chunk, real, joined([kept, made]), counts[step.index])
                short[step.index] = short.get(step.index, 0) + own.n - lots.n
                own = lots
            copied = np.zeros(chunk.n, np.bool_)
            copied[rows] = True
            copies.append(Copies(step, rows, merged([made.of_rows(copied), own]), own, real.unsure))
        return Changes(made, tuple(copies), unsure, short, counts)

    def _placebo(self, step: EditStep, chunk: Chunk, real: _Real, taken: Edits, counts: Counter[str]) -> Edits:
        """As many changes of the same kind to random words of the same rows and frequency."""
        if self.vocabulary is None:
            return NONE
        tokens = chunk.scanned.tokens
        assert tokens is not None
        lots = Lots(self.vocabulary, (self.seed, "placebo", step.variant - 1))
        own = _each(real.token, real.length, step.matches(chunk.scanned))
        drawn, band, off_band = lots.tokens(tokens, own, real.edits, chunk.keys, taken)
        counts["off_band"] += off_band
        how = step.how
        if isinstance(how, Swap | Neutral):
            words = lots.words(tokens, drawn, band, chunk.keys, how.words.tokens)
            return put(tokens, drawn, step.index, words)
        return how.at(tokens, drawn, np.ones(len(drawn), np.int64), taken)


@dataclass(frozen=True, slots=True)
class _Real:
    """What a step does to a batch: its edits, places left alone, and all places that it is about."""

    edits: Edits
    unsure: int
    token: Ints
    length: Ints


def _shields(chunk: Chunk, steps: Sequence[EditStep]) -> dict[tuple[str, ...], Edits]:
    """The protected places of a batch, by the kinds that a step goes into."""
    tokens = chunk.scanned.tokens
    assert tokens is not None
    return {inside: shield(tokens, inside) for inside in {step.inside for step in steps}}


def _real(step: EditStep, chunk: Chunk, taken: Edits, kept: Edits, *, seed: int, counts: Counter[str]) -> _Real:
    """The edits of a step that touch neither earlier ones nor protected places, which are counted."""
    tokens, matches, how = chunk.scanned.tokens, step.matches(chunk.scanned), step.how
    assert tokens is not None
    unsure = 0
    free = joined([kept, taken]) if kept.n else taken
    if isinstance(how, Swap | Neutral):
        at = np.flatnonzero(how.words.forms_of(how.groups)[matches.form])
        token, length = matches.token[at], matches.length[at]
        edits, unsure = how.edits(tokens, matches, chunk.draws, free, seed=seed, counts=counts)
    else:
        found = how.places(tokens, matches)
        _, token, length = found
        edits = how.edits_at(tokens, found, free)
    if kept.n:
        start, end = tokens.starts[token], tokens.ends[token + length - 1]
        counts["protected"] += int((touched(kept, start, end) & ~touched(taken, start, end)).sum())
    return _Real(edits, unsure, token, length)


def _each(token: Ints, length: Ints, matches: Matches) -> Matches:
    """All tokens of some places and matches, each as a place of its own."""
    token, length = np.concatenate([token, matches.token]), np.concatenate([length, matches.length])
    first = np.cumsum(length) - length
    every = distinct(np.repeat(token - first, length) + np.arange(int(length.sum())))
    nothing = np.zeros(len(every), np.int64)
    return Matches(nothing, every, nothing + 1, nothing, nothing, nothing.astype(np.int32))
