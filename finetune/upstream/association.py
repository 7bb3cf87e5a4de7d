"""Embedding association: beside whose words a model puts a target, for encoders without a language-model head."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...data.errors import InputError
from .language import Floats, LanguageModel
from .templates import Sentences, fill


def associate(lm: LanguageModel, targets: Sequence[str], sentences: Sentences) -> Floats:
    """How much nearer a target is to the first words than to the second, in sentences that say nothing else.

    Parameters
    ----------
    lm : LanguageModel
        Of any kind: only its body is asked.
    targets : sequence of str
        As they are said.
    sentences : Sentences
        `first` and `second` are the attributes.

    Returns
    -------
    numpy.ndarray
        Targets × templates, differences of cosines: positive is nearer to the first than neutral words are.

    Raises
    ------
    InputError
        A side has no words; a target cannot be spelt.

    Notes
    -----
    `s(w, A, B) = mean_a cos(w, a) - mean_b cos(w, b)` (Caliskan et al. 2017) of contextual embeddings (May et al.
    2019, SEAT): each word is the mean of the last layer's states over its own tokens in a template, target and
    attributes in the same one. Less its mean over the neutral words.
    """
    for side in ("first", "second", "neutral"):
        if not getattr(sentences, side):
            raise InputError(f"templates: association needs a word in {side}")
    words = [*targets, *sentences.neutral, *sentences.first, *sentences.second]
    encoded = [lm.encode(fill(template, word)) for word in words for template in sentences.templates]
    states = lm.states([ids for ids, _ in encoded], [mine for _, mine in encoded])
    length = np.linalg.norm(states, axis=1, keepdims=True)
    units = np.divide(states, length, out=np.zeros_like(states), where=length > 0)
    units = units.reshape(len(words), len(sentences.templates), -1)
    ends = np.cumsum([len(targets), len(sentences.neutral), len(sentences.first)])
    mine, neutral, first, second = np.split(units, ends)
    along = first.mean(0) - second.mean(0)  # templates × dimensions; a mean of cosines is a cosine with the mean
    score = np.einsum("wtd,td->wt", mine, along)
    return np.asarray(score - np.einsum("wtd,td->wt", neutral, along).mean(0))
