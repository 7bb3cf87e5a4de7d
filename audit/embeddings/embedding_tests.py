"""Tests of word sets on word vectors: WEAT, RND, RNSB, RIPA, MAC and ECT.

Each takes given vectors, or several models trained on resamples of the audited text: of one set of vectors the interval
redraws words, of several models it is over models. WEAT and MAC look at angles only; the others see lengths too, and by
default here vectors of length 1, so that a scale changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ...data.errors import InputError
from .embedding_result import DRAWS, EmbeddingTest, Floats, Found, Models, Words, by_word, evaluate, named, values_of
from .rnsb import rnsb
from .vectors import Vectors, units
from .weat import weat

__all__ = ["EmbeddingTest", "ect", "mac", "ripa", "rnd", "rnsb", "weat"]


def rnd(
    vectors: Models,
    first: Words,
    second: Words,
    attributes: Words,
    *,
    name: str = "RND",
    sets: Sequence[str] = ("first", "second", "attributes"),
    distance: str = "norm",
    normalise: bool = True,
    draws: int = DRAWS,
    seed: int = 0,
) -> EmbeddingTest:
    """Relative norm distance: are the attributes nearer to the first targets' mean (below 0) or the second's (above 0)?

    Parameters
    ----------
    vectors, name, sets, draws, seed
        As in `weat`.
    first, second : sequence of str
        Target words.
    attributes : sequence of str
        Words whose nearness is compared.
    distance : {"norm", "cosine"}
        Euclidean, or 1 - cosine.
    normalise : bool
        Give all vectors length 1 first, as Garg et al. do; WEFE's default is not to.

    Notes
    -----
    Mean over attributes w of |w - m_1| - |w - m_2|, m_1 and m_2 the means of the targets (Garg, Schiebinger, Jurafsky
    and Zou 2018; they sum, WEFE takes the mean). WEFE's "cos" is a similarity, hence of opposite sign. `words` has each
    attribute's difference, mean over models.

    Examples
    --------
    >>> vectors = Vectors.of(["she", "her", "he", "his", "home", "kin"],
    ...                      [[1, 0], [9, 1], [0, 1], [1, 9], [8, 2], [7, 3]])
    >>> rnd(vectors, ["she", "her"], ["he", "his"], ["home", "kin"]).estimate < 0
    True
    """
    if distance not in ("norm", "cosine"):
        raise InputError(f'RND: distance is "norm" or "cosine", not "{distance}"')
    found = Found.of(vectors, named(sets, (first, second, attributes)), normalise=normalise)

    def differences(matrices: Sequence[Floats]) -> Floats:
        middles = [matrices[at].mean(axis=0) for at in (0, 1)]
        if distance == "cosine":
            turned = units(matrices[2])
            return turned @ units(middles[1]) - turned @ units(middles[0])
        one, other = (np.linalg.norm(matrices[2] - middle, axis=1) for middle in middles)
        result: Floats = one - other
        return result

    def statistic(matrices: Sequence[Floats]) -> float:
        return float(differences(matrices).mean())

    words = by_word(found, 2, differences)
    return evaluate("rnd", name, found, statistic, redraw=(True, True, True), draws=draws, seed=seed, words=words)


def ripa(
    vectors: Models,
    first: Words,
    second: Words,
    attributes: Words,
    *,
    name: str = "RIPA",
    sets: Sequence[str] = ("first", "second", "attributes"),
    normalise: bool = True,
    draws: int = DRAWS,
    seed: int = 0,
) -> EmbeddingTest:
    """Relational inner product association: how far the attributes lie along the differences of pairs of targets.

    Parameters
    ----------
    vectors, name, sets, draws, seed
        As in `weat`.
    first, second : sequence of str
        Words that belong together in pairs by position; a pair with a missing word is left out.
    attributes : sequence of str
        Words whose nearness is compared.
    normalise : bool
        Give all vectors length 1 first. The authors leave the lengths, since they say how common a word is; then the
        number goes with the scale of the vectors.

    Notes
    -----
    Mean over attributes w and pairs (x, y) of w·b, b = (x - y) / |x - y| (Ethayarajh, Duvenaud and Hirst 2019). `words`
    has each attribute's mean over pairs.

    Examples
    --------
    >>> vectors = Vectors.of(["she", "her", "he", "his", "nurse", "maid"],
    ...                      [[3, 1], [2, 1], [1, 3], [1, 2], [4, 1], [5, 2]])
    >>> ripa(vectors, ["she", "her"], ["he", "his"], ["nurse", "maid"]).estimate > 0
    True
    """
    if len(first) != len(second):
        raise InputError(f"RIPA: {len(first)} and {len(second)} words do not pair up; give as many of both")
    models = (vectors,) if isinstance(vectors, Vectors) else tuple(vectors)
    pairs = list(zip(first, second, strict=True))
    there = [all(model.index(word) is not None for model in models for word in pair) for pair in pairs]
    lost = {
        sets[at]: [word for word, kept in zip(listed, there, strict=True) if not kept]
        for at, listed in enumerate((first, second))
    }
    whole = [[word for word, kept in zip(listed, there, strict=True) if kept] for listed in (first, second)]
    found = Found.of(vectors, named(sets, (*whole, attributes)), normalise=normalise)
    if len(found.words[sets[0]]) != len(found.words[sets[1]]):
        raise InputError("RIPA: a word comes twice among the pairs, in one spelling or another; give each once a side")
    found.missing.update({name: tuple(words) for name, words in lost.items()})

    def products(matrices: Sequence[Floats]) -> Floats:
        apart = matrices[0] - matrices[1]
        apart = apart[apart.any(axis=1)]
        if not len(apart):
            return np.full(len(matrices[2]), math.nan)
        result: Floats = (matrices[2] @ units(apart).T).mean(axis=1)
        return result

    def statistic(matrices: Sequence[Floats]) -> float:
        return float(products(matrices).mean())

    words = by_word(found, 2, products)
    return evaluate(
        "ripa",
        name,
        found,
        statistic,
        redraw=(True, True, True),
        together=(0, 1),
        draws=draws,
        seed=seed,
        words=words,
        what="words and pairs",
    )


def mac(
    vectors: Models,
    targets: Mapping[str, Words],
    attributes: Mapping[str, Words],
    *,
    name: str = "MAC",
    draws: int = DRAWS,
    seed: int = 0,
) -> EmbeddingTest:
    """Mean average cosine distance of targets to attributes; the nearer to 1, the less they have to do with each other.

    Parameters
    ----------
    vectors, name, draws, seed
        As in `weat`.
    targets, attributes : mapping of str to sequence of str
        Sets of words by their names.

    Notes
    -----
    Mean over target words t and attribute sets A_j of the mean over a in A_j of 1 - cos(t, a) (Manzini, Lim, Tsvetkov
    and Black 2019). It says nothing about a difference between the targets: compare it before and after a change.
    `words` has each target's mean.

    Examples
    --------
    >>> vectors = Vectors.of(["she", "her", "home", "kin"], [[1, 0], [2, 0], [0, 1], [0, 2]])
    >>> mac(vectors, {"women": ["she", "her"]}, {"family": ["home", "kin"]}).estimate
    1.0
    """
    found = Found.of(vectors, {**targets, **attributes})
    if len(found.words) != len(targets) + len(attributes):
        raise InputError("MAC: a set of targets and a set of attributes have the same name")
    k = len(targets)

    def distances(matrices: Sequence[Floats]) -> Floats:
        all_targets = np.concatenate(list(matrices[:k]))
        result: Floats = 1 - np.mean([(all_targets @ m.T).mean(axis=1) for m in matrices[k:]], axis=0)
        return result

    def statistic(matrices: Sequence[Floats]) -> float:
        return float(distances(matrices).mean())

    listed = [word for words in list(found.words.values())[:k] for word in words]
    words = values_of(found, listed, distances)
    return evaluate(
        "mac", name, found, statistic, redraw=(True,) * len(found.words), draws=draws, seed=seed, words=words
    )


def ect(
    vectors: Models,
    first: Words,
    second: Words,
    attributes: Words,
    *,
    name: str = "ECT",
    sets: Sequence[str] = ("first", "second", "attributes"),
    normalise: bool = True,
    draws: int = DRAWS,
    seed: int = 0,
) -> EmbeddingTest:
    """Embedding coherence test: are the attributes in the same order of nearness to both targets? 1 if so, down to -1.

    Parameters
    ----------
    vectors, name, sets, draws, seed
        As in `weat`.
    first, second : sequence of str
        Target words.
    attributes : sequence of str
        Words whose nearness is compared.
    normalise : bool
        Give all vectors length 1 before the means are taken; Dev and Phillips 2019, and WEFE by default, do not.

    Notes
    -----
    Spearman's correlation, over the attributes, of their cosine with the mean of the first targets and with that of the
    second (Dev and Phillips 2019).

    Examples
    --------
    >>> vectors = Vectors.of(["she", "her", "he", "his", "a", "b", "c"],
    ...                      [[9, 1], [9, 2], [1, 9], [2, 9], [1, 0.5], [0.5, 1], [-1, -1]])
    >>> round(ect(vectors, ["she", "her"], ["he", "his"], ["a", "b", "c"]).estimate, 2)
    0.5
    """
    from scipy.stats import rankdata

    found = Found.of(vectors, named(sets, (first, second, attributes)), normalise=normalise)

    def statistic(matrices: Sequence[Floats]) -> float:
        # The length of the mean changes no order, those of the attributes do.
        ranks = [rankdata(units(matrices[2]) @ matrices[at].mean(axis=0)) for at in (0, 1)]
        one, other = (rank - rank.mean() for rank in ranks)
        scale = math.sqrt(float(one @ one) * float(other @ other))
        return float(one @ other) / scale if scale > 0 else math.nan

    return evaluate("ect", name, found, statistic, redraw=(True, True, True), draws=draws, seed=seed)
