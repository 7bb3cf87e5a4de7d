"""The result of a test of word sets, and how its interval comes about: over trained models, or over words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ...data.errors import InputError
from ..findings import LEVEL, rounded
from .vectors import Vectors

Models = Vectors | Sequence[Vectors]
Words = Sequence[str]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
# The vectors of each set, a matrix each, to a number; NaN where it is not defined.
Statistic = Callable[[Sequence[Floats]], float]

DRAWS = 500
FEWEST = 2
LOST = 0.2
"""Share of a set's words that may be missing; with more, the sets are no longer the ones that were meant."""


@dataclass(frozen=True, slots=True)
class EmbeddingTest:
    """One test of word sets.

    Attributes
    ----------
    test : {"weat", "rnd", "rnsb", "ripa", "mac", "ect"}
    name : str
        Which sets, for a reader.
    estimate, low, high : float
        NaN where the test cannot be made.
    p : float
        One-sided p of a permutation test, of WEAT; else NaN.
    n : int
        Words that the estimate rests on.
    sets : mapping of str to int
        Words found, by set.
    missing : mapping of str to tuple of str
        Words not found, by set.
    method : str
        How interval and p were computed.
    enough : bool
        Whether each set has at least two words and lost at most a fifth; if not, the estimate is unclear.
    why : str
        What is not enough.
    words : mapping of str to float
        What each word has to do with it, where the test says so.
    source : str
        Where the vectors are from.
    more : mapping of str to float
        Other forms of the number.
    """

    test: str
    name: str
    estimate: float
    low: float
    high: float
    p: float
    n: int
    sets: dict[str, int]
    missing: dict[str, tuple[str, ...]]
    method: str
    enough: bool
    why: str
    words: dict[str, float]
    source: str
    more: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As in audit.json."""
        return {
            "test": self.test,
            "name": self.name,
            "estimate": rounded(self.estimate),
            "low": rounded(self.low),
            "high": rounded(self.high),
            "p": rounded(self.p),
            "n": self.n,
            "status": None if self.enough else "unclear",
            "why": self.why,
            "sets": dict(self.sets),
            "missing": {name: list(words) for name, words in self.missing.items() if words},
            "method": self.method,
            "words": {word: rounded(value) for word, value in self.words.items()},
            "more": {name: rounded(value) for name, value in self.more.items()},
            "vectors": self.source,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Sets of words, as far as every model has them.

    Attributes
    ----------
    words : dict of str to list of str
        The words found, by set.
    missing : dict of str to tuple of str
    rows : list of list of int arrays
        By model, then by set: rows of the words.
    """

    models: tuple[Vectors, ...]
    words: dict[str, list[str]]
    missing: dict[str, tuple[str, ...]]
    rows: list[list[Ints]]
    normalise: bool

    @classmethod
    def of(
        cls, vectors: Vectors | Sequence[Vectors], sets: Mapping[str, Sequence[str]], *, normalise: bool = True
    ) -> Found:
        """Look the words up; a word counts once in a set, and only if all models have it."""
        models = (vectors,) if isinstance(vectors, Vectors) else tuple(vectors)
        words: dict[str, list[str]] = {}
        missing: dict[str, tuple[str, ...]] = {}
        for name, listed in sets.items():
            distinct = list(dict.fromkeys(listed))
            common = [word for word in distinct if all(model.index(word) is not None for model in models)]
            words[name], _ = models[0].find(common)
            missing[name] = tuple(word for word in distinct if word not in common)
        rows = [[np.array([model.index(w) for w in found], np.int64) for found in words.values()] for model in models]
        return cls(models, words, missing, rows, normalise)

    def matrices(self, model: int) -> list[Floats]:
        """The vectors of each set in one model."""
        vectors = self.models[model]
        return [
            vectors.unit(rows) if self.normalise and len(rows) else vectors.matrix[rows].astype(np.float64)
            for rows in self.rows[model]
        ]

    def lacking(self) -> str:
        """Why the sets are not enough; empty where they are."""
        for name, found in self.words.items():
            asked = len(found) + len(self.missing[name])
            if len(found) < FEWEST:
                return f'{len(found)} of {asked} words of "{name}" have a vector; {FEWEST} are needed'
        for name, found in self.words.items():
            asked = len(found) + len(self.missing[name])
            if len(self.missing[name]) > LOST * asked:
                return f'{len(self.missing[name])} of {asked} words of "{name}" have no vector: more than a fifth'
        return ""


def evaluate(
    test: str,
    name: str,
    found: Found,
    statistic: Statistic,
    *,
    redraw: Sequence[bool],
    together: tuple[int, int] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    p: float = math.nan,
    p_method: str = "",
    words: Mapping[str, float] | None = None,
    more: Mapping[str, float] | None = None,
    what: str = "words",
) -> EmbeddingTest:
    """Compute a test with its interval.

    Parameters
    ----------
    test, name : str
        As in the result; so are `p`, `words` and `more`.
    found : Found
        The sets.
    statistic : callable
        The vectors of the sets to the estimate.
    redraw : sequence of bool
        By set, whether its words are redrawn for an interval over words.
    together : (int, int), optional
        Two sets whose words belong together in pairs, and are redrawn as pairs.
    draws, seed : int
        Redraws, and their seed.
    p, words, more
        Go into the result where the test can be made.
    p_method, what : str
        How p was computed; what is redrawn.
    """
    why = found.lacking()
    computable = all(len(words) >= FEWEST for words in found.words.values())
    values = [statistic(found.matrices(model)) for model in range(len(found.models))] if computable else [math.nan]
    estimate = float(np.mean(values))
    low = high = math.nan
    method = "no interval: the test cannot be made"
    if math.isfinite(estimate) and len(values) > 1:
        from scipy.special import stdtrit

        margin = float(stdtrit(len(values) - 1, (1 + LEVEL) / 2)) * float(np.std(values, ddof=1))
        low, high = estimate - margin, estimate + margin
        method = f"mean and t interval over {len(values)} models, each of its own seed and bootstrap of documents"
    elif math.isfinite(estimate) and draws < 1:
        method = "no interval asked for"
    elif math.isfinite(estimate):
        low, high = _over_words(found.matrices(0), statistic, redraw, together, draws, seed)
        method = f"bootstrap over {what}: how much hangs on the choice of {what}, nothing about the text"
    return EmbeddingTest(
        test=test,
        name=name,
        estimate=estimate,
        low=low,
        high=high,
        p=p if computable else math.nan,
        n=sum(len(words) for words in found.words.values()),
        sets={name: len(words) for name, words in found.words.items()},
        missing=found.missing,
        method=method + (f"; {p_method}" if p_method and computable else ""),
        enough=not why and math.isfinite(estimate),
        why=why or ("" if math.isfinite(estimate) else "not defined: the words do not differ"),
        words=dict(words or {}) if computable else {},
        source=found.models[0].source if len(found.models) == 1 else f"{len(found.models)} models of the audited text",
        more=dict(more or {}) if computable else {},
    )


def _over_words(
    matrices: Sequence[Floats],
    statistic: Statistic,
    redraw: Sequence[bool],
    together: tuple[int, int] | None,
    draws: int,
    seed: int,
) -> tuple[float, float]:
    """Percentile interval over redraws of the words, each set within itself."""
    rng = np.random.default_rng([seed, len(matrices)])
    values = np.empty(draws)
    for draw in range(draws):
        picks = [
            rng.integers(len(m), size=len(m)) if again else np.arange(len(m))
            for m, again in zip(matrices, redraw, strict=True)
        ]
        if together is not None:
            picks[together[1]] = picks[together[0]]
        values[draw] = statistic([matrix[pick] for matrix, pick in zip(matrices, picks, strict=True)])
    values = values[np.isfinite(values)]
    if len(values) < 0.9 * draws:  # too few words to redraw them
        return math.nan, math.nan
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def named(names: Sequence[str], sets: Sequence[Words]) -> dict[str, Words]:
    """Sets by their names."""
    if len(set(names)) != len(sets):
        raise InputError(f"word sets need {len(sets)} different names; they are {', '.join(names)}")
    return dict(zip(names, sets, strict=True))


def by_word(found: Found, at: int, values: Callable[[Sequence[Floats]], Floats]) -> dict[str, float]:
    """`values_of` the words of one set."""
    return values_of(found, list(found.words.values())[at], values)


def values_of(found: Found, words: Sequence[str], values: Callable[[Sequence[Floats]], Floats]) -> dict[str, float]:
    """A value a word, mean over models; nothing where a set has too few words."""
    if any(len(listed) < 2 for listed in found.words.values()):
        return {}
    mean = np.mean([values(found.matrices(model)) for model in range(len(found.models))], axis=0)
    return dict(zip(words, mean.tolist(), strict=True))
