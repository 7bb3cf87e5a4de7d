"""A direction in word vectors: from one side of definitional pairs to the other, and how far words lie along it.

The direction is the first principal component of the pairs, each centred on its middle (Bolukbasi et al. 2016). It is
only used if it explains more of them than it would of pairs drawn at random: otherwise nothing is scored.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...data.errors import InputError
from ..findings import LEVEL, rounded
from .chance import component, explained, explained_by_chance, random_pairs, shared_words
from .pairs import Pairs, load_pairs
from .vectors import Vectors

__all__ = ["Direction", "direction", "directions"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FEWEST_PAIRS = 2
FEWEST_WORDS = 50
STABLE = 0.95
"""Share of models, or of directions with one pair left out, that have to agree on the sign of a word."""


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """A direction and the words along it.

    Attributes
    ----------
    pairs : Pairs
        Those that were asked for.
    used, missing : tuple of (str, str)
        Pairs with both words in every model, and the others.
    vectors : mapping
        Where the vectors are from (`Vectors.to_dict`).
    models : int
        How many models were trained; 1 for given vectors.
    share : float
        Share of the pairs' variance that the first component explains, mean over models; NaN where there is none.
    null : float
        95th percentile of that share for as many random pairs of words of like frequency.
    fits : tuple of float
        Of each used pair the cosine of its difference with the direction, mean over models: near 1 where the pair
        differs in this and little else, near 0 or below where it had better be left out.
    scored : bool
        Whether words are scored.
    why : str
        Why they are not; empty where they are.
    words : tuple of str
        The scored words, without the definitional ones.
    mean, sd, sign_share : numpy.ndarray of float64
        For each word its cosine with the direction, above 0 towards the first side, as mean over models; its standard
        error, which is the standard deviation over models or, of given vectors, the jackknife's over pairs; and the
        share of models, or of the directions with one pair left out, that give it the same sign.
    method : str
        What `sd` is over.
    seed : int
        Of the random pairs.
    settings : mapping
        Of the training.
    """

    pairs: Pairs
    used: tuple[tuple[str, str], ...]
    missing: tuple[tuple[str, str], ...]
    vectors: dict[str, Any]
    models: int
    share: float
    null: float
    fits: tuple[float, ...]
    scored: bool
    why: str
    words: tuple[str, ...]
    mean: Floats
    sd: Floats
    sign_share: Floats
    method: str
    seed: int
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def stable(self) -> npt.NDArray[np.bool_]:
        """For each word, whether its sign is."""
        return self.sign_share >= STABLE

    @property
    def clear(self) -> npt.NDArray[np.bool_]:
        """For each word, whether its sign is stable and its interval leaves 0 out."""
        low, high = self.interval()
        return self.stable & ((low > 0) | (high < 0))

    @property
    def femaleness(self) -> dict[str, tuple[float, float, float]]:
        """Word to (mean, sd, share of the same sign), stable or not; empty where nothing is scored."""
        rows = zip(self.words, self.mean.tolist(), self.sd.tolist(), self.sign_share.tolist(), strict=True)
        return {word: (mean, sd, sign) for word, mean, sd, sign in rows}

    def interval(self) -> tuple[Floats, Floats]:
        """Ends of the 95 % interval of each word's mean: t, with one degree fewer than models, or than pairs."""
        from scipy.special import stdtrit

        replicates = self.models if self.models > 1 else len(self.used)
        factor = float(stdtrit(max(replicates - 1, 1), (1 + LEVEL) / 2))
        return np.maximum(self.mean - factor * self.sd, -1.0), np.minimum(self.mean + factor * self.sd, 1.0)

    def to_dict(self, *, top: int = 20) -> dict[str, Any]:
        """As in audit.json, with the words furthest out on either side whose sign is stable."""
        low, high = self.interval()
        order = np.argsort(-self.mean, kind="stable")
        order = order[self.stable[order]]

        def row(at: int) -> dict[str, Any]:
            ends = {"low": rounded(float(low[at])), "high": rounded(float(high[at]))}
            return {"word": self.words[at], "score": rounded(float(self.mean[at])), **ends}

        sides = {
            self.pairs.first: [row(at) for at in order[:top].tolist() if self.mean[at] > 0],
            self.pairs.second: [row(at) for at in order[::-1][:top].tolist() if self.mean[at] < 0],
        }
        return {
            "first": self.pairs.first,
            "second": self.pairs.second,
            "pairs_from": self.pairs.source,
            "pairs": [list(pair) for pair in self.used],
            "missing": [list(pair) for pair in self.missing],
            "vectors": self.vectors,
            "models": self.models,
            "explained": rounded(self.share),
            "explained_by_chance": rounded(self.null),
            "fits": [rounded(fit) for fit in self.fits],
            "scored": self.scored,
            "why": self.why,
            "words": len(self.words),
            "unstable": int(np.count_nonzero(~self.stable)),
            "top": sides,
            "method": self.method,
            "seed": self.seed,
            "settings": self.settings,
        }


def direction(
    vectors: Vectors | Sequence[Vectors],
    pairs: Pairs | None = None,
    *,
    words: Iterable[str] | None = None,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
) -> Direction:
    """Find the direction of definitional pairs and score words along it.

    Parameters
    ----------
    vectors : Vectors or sequence of Vectors
        Given vectors, or several models trained on resamples of the same text.
    pairs : Pairs, optional
        By default the ten gendered ones of Bolukbasi et al. 2016, towards the female side.
    words : iterable of str, optional
        Words to score; by default all that are in every model.
    seed : int
        Of the random pairs of the null.
    settings : mapping, optional
        Of the training, to be reported.

    Returns
    -------
    Direction
        Not scored where fewer than two pairs are there, or where the first component explains no more of the pairs
        than the 95th percentile of random ones: `why` says so.

    Raises
    ------
    InputError
        Given vectors hold none of the pairs.

    Notes
    -----
    Vectors have length 1 (v). Of each pair the half difference (v_a - v_b) / 2 and its opposite are a row; g is the
    first right singular vector, turned so that the mean of (v_a - v_b)·g is above 0; a word's score is v·g. The null
    draws, for each definitional word, a word whose rank by frequency is between half and twice its own, as many pairs,
    1,000 times, the same ones in all models; what is compared is the share of the first component, mean over models.
    With several models the standard deviation is that over models, each trained with another seed on another bootstrap
    of the documents: the spread of one estimate, not divided by their number. With one it is the jackknife's standard
    error, each pair left out in turn, which says how much hangs on the choice of pairs and nothing about the text.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> values, pair_words = rng.normal(size=(300, 20)), [("she", "he"), ("her", "his"), ("woman", "man")]
    >>> values[:6, 0] = [9, -9, 9, -9, 9, -9]
    >>> names = [word for pair in pair_words for word in pair] + [f"w{letter}" for letter in range(294)]
    >>> found = direction(Vectors.of(names, values), Pairs("she", "he", tuple(pair_words), "example"))
    >>> found.scored, found.share > found.null
    (True, True)
    """
    models = (vectors,) if isinstance(vectors, Vectors) else tuple(vectors)
    pairs = load_pairs() if pairs is None else pairs
    shared = shared_words(models)
    used = tuple(pair for pair in pairs.pairs if all(shared.row(word) is not None for word in pair))
    empty = Direction(
        pairs=pairs,
        used=used,
        missing=tuple(pair for pair in pairs.pairs if pair not in used),
        vectors=_described(models, len(shared.words)),
        models=len(models),
        share=math.nan,
        null=math.nan,
        fits=(),
        scored=False,
        why="",
        words=(),
        mean=np.zeros(0),
        sd=np.zeros(0),
        sign_share=np.zeros(0),
        method=_method(len(models)),
        seed=seed,
        settings=dict(settings or {}),
    )
    if not used and not models[0].trained:
        shown = ", ".join(f"{a}-{b}" for a, b in pairs.pairs[:4])
        raise InputError(
            f"{models[0].source}: none of the {len(pairs.pairs)} definitional pairs ({shown}, …) is among its "
            f"{len(models[0].words):,} words; give pairs of the vectors' language with --pairs, or other vectors"
        )
    if len(used) < FEWEST_PAIRS:
        why = f"{len(used)} of {len(pairs.pairs)} pairs are in the vocabulary; {FEWEST_PAIRS} are needed to tell a "
        return replace(empty, why=why + "direction from chance")
    at = np.array([[shared.row(word) for word in pair] for pair in used], np.int64)
    others = shared.drawable(pairs)
    if len(others) < FEWEST_WORDS:
        return replace(
            empty,
            why=f"only {len(others)} words besides the pairs, too few to draw random pairs from ({FEWEST_WORDS})",
        )
    rng = np.random.default_rng([seed, len(used)])
    units = [model.unit(rows) for model, rows in zip(models, shared.rows, strict=True)]
    halves = [(unit[at[:, 0]] - unit[at[:, 1]]) / 2 for unit in units]
    share = float(np.mean([explained(half) for half in halves]))
    drawn = random_pairs(shared.ranks, at, others, rng)
    null = float(np.quantile(explained_by_chance(units, drawn), LEVEL))
    axes = [component(half) for half in halves]
    fits = np.mean([_cosines(half, axis) for half, axis in zip(halves, axes, strict=True)], axis=0)
    empty = replace(empty, share=share, null=null, fits=tuple(fits.tolist()))
    if not share > null:
        why = (
            f"the first component explains {share:.0%} of the {len(used)} pairs, no more than it does of random pairs "
            f"(95th percentile {null:.0%}); the pairs share no direction in these vectors"
        )
        return replace(empty, why=why)
    names, chosen = shared.scored(words, pairs)
    scores = np.stack([unit[chosen] @ axis for unit, axis in zip(units, axes, strict=True)])
    if len(models) == 1:
        mean = scores[0]
        left_out = [np.delete(halves[0], out, axis=0) for out in range(len(used))]
        scores = np.stack([units[0][chosen] @ component(rest) for rest in left_out])
        sd = scores.std(axis=0) * math.sqrt(len(used) - 1)
    else:
        mean = scores.mean(axis=0)
        sd = scores.std(axis=0, ddof=1)
    return replace(
        empty,
        scored=True,
        words=tuple(names),
        mean=mean,
        sd=sd,
        sign_share=(np.sign(scores) == np.sign(mean)).mean(axis=0),
    )


def directions(
    vectors: Vectors | Sequence[Vectors],
    pairs: Sequence[Pairs] = (),
    *,
    words: Iterable[str] | None = None,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
) -> list[Direction]:
    """`direction` for each of several sets of pairs; by default for the gendered ones."""
    words = None if words is None else list(words)
    chosen = list(pairs) or [load_pairs()]
    return [direction(vectors, each, words=words, seed=seed, settings=settings) for each in chosen]


def _described(models: Sequence[Vectors], words: int) -> dict[str, Any]:
    source = models[0].source if len(models) == 1 else f"{len(models)} models of the audited text"
    return models[0].to_dict() | {"source": source, "words": words}


def _cosines(halves: Floats, axis: Floats) -> Floats:
    lengths = np.linalg.norm(halves, axis=1)
    cosines: Floats = (halves @ axis) / np.where(lengths > 0, lengths, 1.0)
    return cosines


def _method(models: int) -> str:
    if models > 1:
        return f"mean and spread over {models} models, each of its own seed and bootstrap of documents"
    return "one set of vectors; jackknife over the pairs"
