"""The word embedding association test."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .embedding_result import DRAWS, EmbeddingTest, Floats, Found, Models, Words, evaluate, named
from .permutation import partition_p

_PERMUTATIONS = 20_000


def weat(
    vectors: Models,
    first: Words,
    second: Words,
    a: Words,
    b: Words,
    *,
    name: str = "WEAT",
    sets: Sequence[str] = ("first", "second", "a", "b"),
    permutations: int = _PERMUTATIONS,
    draws: int = DRAWS,
    seed: int = 0,
) -> EmbeddingTest:
    """Word Embedding Association Test: do the first targets go with attributes a, more than the second ones do?

    Parameters
    ----------
    vectors : Vectors or sequence of Vectors
        Given vectors, or several models trained on resamples of the same text.
    first, second : sequence of str
        Target words.
    a, b : sequence of str
        Attribute words.
    name, sets : str and sequence of str
        What the test and its sets are called.
    permutations : int
        All ways of parting the targets are counted where there are at most so many, else so many are drawn.
    draws : int
        Redraws of the words for an interval, of given vectors; 0 for none.
    seed : int
        Of what is drawn.

    Returns
    -------
    EmbeddingTest
        `estimate` is the effect size d, from -2 to 2; `more` has the test statistic (the sum) and d over the standard
        deviation of the population, which WEFE reports; `words` the association s of each target.

    Notes
    -----
    s(w) = mean over a of cos(w, a) - mean over b of cos(w, b). Statistic: sum of s over the first - sum over the
    second. d = (mean of s over the first - mean over the second) / sample standard deviation of s over both (Caliskan,
    Bryson and Narayanan 2017). p is one-sided: the share of the ways of parting the targets in two sets of these sizes
    whose statistic is at least the observed one; drawn ones count the observed one too. Of several models s is the
    mean over them.

    Examples
    --------
    >>> from evenset.audit.embeddings.vectors import Vectors
    >>> vectors = Vectors.of(["x1", "x2", "y1", "y2", "a1", "a2", "b1", "b2"],
    ...                      [[9, 1], [8, 2], [1, 9], [2, 8], [1, 0], [2, 0], [0, 1], [0, 2]])
    >>> found = weat(vectors, ["x1", "x2"], ["y1", "y2"], ["a1", "a2"], ["b1", "b2"])
    >>> round(found.estimate, 2), round(found.p, 3), found.n
    (1.72, 0.167, 8)
    """
    found = Found.of(vectors, named(sets, (first, second, a, b)))
    matrices = [found.matrices(model) for model in range(len(found.models))]
    pair = list(found.words.values())[:2]
    p, p_method, words, more = math.nan, "", {}, {}
    if all(len(listed) >= 2 for listed in found.words.values()):
        mean = [np.mean([_associations(m[at], m[2], m[3]) for m in matrices], axis=0) for at in (0, 1)]
        p, p_method = partition_p(mean[0], mean[1], most=permutations, seed=seed)
        words = dict(zip(pair[0] + pair[1], np.concatenate(mean).tolist(), strict=False))
        more = {
            "statistic": float(mean[0].sum() - mean[1].sum()),
            "effect_size_population": float(np.mean([_effect(m, ddof=0) for m in matrices])),
        }
    return evaluate(
        "weat",
        name,
        found,
        _effect,
        redraw=(True,) * 4,
        draws=draws,
        seed=seed,
        p=p,
        p_method=p_method,
        words=words,
        more=more,
    )


def _associations(targets: Floats, a: Floats, b: Floats) -> Floats:
    result: Floats = (targets @ a.T).mean(axis=1) - (targets @ b.T).mean(axis=1)
    return result


def _effect(matrices: Sequence[Floats], *, ddof: int = 1) -> float:
    one, other = (_associations(matrices[at], matrices[2], matrices[3]) for at in (0, 1))
    spread = float(np.concatenate([one, other]).std(ddof=ddof))
    return float(one.mean() - other.mean()) / spread if spread > 1e-12 else math.nan
