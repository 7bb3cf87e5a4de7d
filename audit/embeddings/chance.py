"""What chance makes of pairs of words: random pairs of like frequency, and how far they share a direction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...data.tokens import fold
from .pairs import Pairs
from .vectors import Vectors

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

RANDOM = 1000
NEAREST = 100
"""Words at least among which the counterpart of a definitional word is drawn."""


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """Words that are in every model, their rows in each, and their rank by frequency among them."""

    words: tuple[str, ...]
    rows: tuple[Ints, ...]
    ranks: Ints
    names: Vectors
    place: dict[str, int]

    def row(self, word: str) -> int | None:
        """Place of a word among the shared ones."""
        at = self.names.index(word)
        return None if at is None else self.place.get(self.names.words[at])

    def drawable(self, pairs: Pairs) -> Ints:
        """Words that begin with a letter, other than the definitional ones: among them random pairs are drawn."""
        own = pairs.words
        return np.array(
            [at for at, word in enumerate(self.words) if word[:1].isalpha() and fold(word) not in own], np.int64
        )

    def scored(self, words: Iterable[str] | None, pairs: Pairs) -> tuple[list[str], Ints]:
        """Words to score and their places."""
        own = pairs.words
        names = self.words if words is None else dict.fromkeys(words)
        found = [(word, self.row(word)) for word in names if fold(word) not in own]
        kept = [(word, at) for word, at in found if at is not None]
        return [word for word, _ in kept], np.array([at for _, at in kept], np.int64)


def shared_words(models: Sequence[Vectors]) -> Shared:
    """What the models have in common."""
    first = models[0]
    if len(models) == 1:
        rows = np.arange(len(first.words), dtype=np.int64)
        return Shared(first.words, (rows,), first.ranks, first, {word: at for at, word in enumerate(first.words)})
    common = set(first.words).intersection(*(model.words for model in models[1:]))
    words = tuple(word for word in first.words if word in common)
    per_model: list[Ints] = []
    ranks = np.zeros(len(words))
    for model in models:
        at = {word: row for row, word in enumerate(model.words)}
        per_model.append(np.array([at[word] for word in words], np.int64))
        ranks += model.ranks[per_model[-1]]
    place = {word: at for at, word in enumerate(words)}
    return Shared(words, tuple(per_model), (ranks / len(models)).astype(np.int64), first, place)


def explained_by_chance(units: Sequence[Floats], drawn: Ints) -> Floats:
    """`explained` for each draw of random pairs, mean over models; some draws at a time, since pairs may be many."""
    parts = [
        np.mean([explained((unit[part[..., 0]] - unit[part[..., 1]]) / 2) for unit in units], axis=0)
        for part in np.array_split(drawn, max(1, drawn[..., 0].size // 2_000))
    ]
    return np.concatenate(parts)


def explained(halves: Floats) -> npt.NDArray[np.float64]:
    """Share of the first component in the variance of half differences (…, pairs, dimensions)."""
    gram = halves @ np.swapaxes(halves, -1, -2)
    values = np.linalg.eigvalsh(gram)
    total = values.sum(axis=-1)
    return np.where(total > 0, values[..., -1] / np.where(total > 0, total, 1.0), np.nan)


def component(halves: Floats) -> Floats:
    """The first component, turned towards the first side of the pairs."""
    _, _, right = np.linalg.svd(halves, full_matrices=False)
    first: Floats = right[0]
    return first if (halves @ first).mean() >= 0 else -first


def random_pairs(ranks: Ints, at: Ints, others: Ints, rng: np.random.Generator) -> Ints:
    """Random pairs (draws, pairs, 2): for each word another between half and twice its rank by frequency."""
    order = others[np.argsort(ranks[others], kind="stable")]
    sorted_ranks = ranks[order]
    result = np.empty((RANDOM, *at.shape), np.int64)
    nearest = min(NEAREST, len(order))
    for pair, side in np.ndindex(*at.shape):
        rank = int(ranks[at[pair, side]])
        low, high = np.searchsorted(sorted_ranks, [rank // 2, 2 * rank + 1])
        if high - low < nearest:
            low = max(0, min((low + high - nearest) // 2, len(order) - nearest))
            high = low + nearest
        picks = rng.integers(low, high, size=RANDOM)
        if side == 1:  # never a word with itself
            same = order[picks] == result[:, pair, 0]
            picks[same] = low + (picks[same] - low + 1) % (high - low)
        result[:, pair, side] = order[picks]
    return result
