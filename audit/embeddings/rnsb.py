"""Relative negative sentiment bias: how unequally words that should be equal are taken for negative ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .embedding_result import EmbeddingTest, Floats, Found, Models, Words, by_word, evaluate, named
from .logistic import ridge_logistic

_REFITS = 200


def rnsb(
    vectors: Models,
    targets: Words,
    positive: Words,
    negative: Words,
    *,
    name: str = "RNSB",
    sets: Sequence[str] = ("targets", "positive", "negative"),
    normalise: bool = True,
    strength: float = 1.0,
    draws: int = _REFITS,
    seed: int = 0,
) -> EmbeddingTest:
    """Relative negative sentiment bias: how unequally a classifier of sentiment takes the targets for negative words.

    Parameters
    ----------
    vectors, name, sets, draws, seed
        As in `weat`.
    targets : sequence of str
        Words that should be equal in this, such as faiths.
    positive, negative : sequence of str
        The words that the classifier learns from.
    normalise : bool
        Give all vectors length 1 first; the authors and WEFE do not.
    strength : float
        Inverse of the penalty (scikit-learn's C; both use 1).

    Returns
    -------
    EmbeddingTest
        `estimate` is KL(P || uniform) in nats, 0 where all targets are equally negative; `words` has each target's
        probability of being negative.

    Notes
    -----
    Logistic regression with an L2 penalty on weights and intercept, on all words of the lexicon (Sweeney and Najafian
    2019; WEFE holds a random fifth back, so its numbers vary from run to run). P is the probability of the negative
    class, normalised over the targets. The interval redraws the lexicon, not the targets. A KL divergence cannot be
    below 0, so an interval that does not reach 0 is no evidence by itself: compare vectors, or lexicons.

    Examples
    --------
    >>> from evenset.audit.embeddings.vectors import Vectors
    >>> vectors = Vectors.of(["one", "other", "good", "fine", "bad", "vile"],
    ...                      [[3, 1], [1, 3], [9, 1], [8, 2], [1, 9], [2, 8]])
    >>> found = rnsb(vectors, ["one", "other"], ["good", "fine"], ["bad", "vile"])
    >>> found.estimate > 0, found.words["other"] > found.words["one"]
    (True, True)
    """
    found = Found.of(vectors, named(sets, (targets, positive, negative)), normalise=normalise)

    def negativity(matrices: Sequence[Floats]) -> Floats:
        labels = np.repeat([0.0, 1.0], [len(matrices[1]), len(matrices[2])])
        weights, intercept = ridge_logistic(np.concatenate(matrices[1:]), labels, strength=strength)
        result: Floats = 1 / (1 + np.exp(-(matrices[0] @ weights + intercept)))
        return result

    def statistic(matrices: Sequence[Floats]) -> float:
        shares = negativity(matrices)
        total = float(shares.sum())
        if not total > 0:
            return math.nan
        shares = shares[shares > 0] / total
        # Rounding may leave -1e-17 where all are equal.
        return max(0.0, float((shares * np.log(shares * len(matrices[0]))).sum()))

    words = by_word(found, 0, negativity)
    return evaluate(
        "rnsb",
        name,
        found,
        statistic,
        redraw=(False, True, True),
        draws=draws,
        seed=seed,
        words=words,
        what="the lexicon's words",
    )
