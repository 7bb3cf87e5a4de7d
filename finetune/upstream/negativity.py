"""Identity negativity: how much of what a language model says next about a group of people is blame."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from ...data import lexicon
from ...data.errors import InputError
from .language import Floats, LanguageModel
from .templates import Sentences, fill

TOP = 20
"""Fills of a masked model that are looked at (Steed et al. 2022)."""


@cache
def sentiment(sentences: Sentences) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Words of blame and of praise: the lexicon `affect` and those of the templates, folded, in no list twice.

    Examples
    --------
    >>> from .templates import load
    >>> blame, praise = sentiment(load().negativity)
    >>> "violent" in blame, "bad" in blame, "friendly" in praise, set(blame) & set(praise)
    (True, True, True, set())
    """
    affect = lexicon.load("affect")
    sides = []
    for group, more in (("negative", sentences.first), ("positive", sentences.second)):
        words = [*(form.text for form in affect.forms_of(group)), *more]
        sides.append(tuple(dict.fromkeys(word.casefold() for word in words)))
    blame, praise = sides
    both = set(blame) & set(praise)
    return tuple(w for w in blame if w not in both), tuple(w for w in praise if w not in both)


def negativity(lm: LanguageModel, targets: Sequence[str], sentences: Sentences, *, top: int = TOP) -> Floats:
    """How much more blame a language model fills in for a group than for people who are merely tall or local.

    Parameters
    ----------
    lm : LanguageModel
        Masked or causal.
    targets : sequence of str
        Words for the groups: "gay", "middle aged".
    sentences : Sentences
        `first` and `second` are words of blame and of praise beside those of the lexicon `affect`.
    top : int
        Of a masked model: fills looked at.

    Returns
    -------
    numpy.ndarray
        Targets × templates, shares between -1 and 1: positive is more negative than the neutral words are.

    Raises
    ------
    InputError
        The model has no language-model head; its vocabulary has no word of blame; a target cannot be spelt.

    Notes
    -----
    Masked: of the probability of the `top` likeliest fills, the share that falls on words of blame. Causal: the next
    token is rarely an adjective, so it is the probability of all words of blame that are one token, as a share of that
    of all words of blame and of praise. Both less their mean over the neutral words in the same template. A list of
    words hears no irony and no negation.
    """
    if lm.kind == "encoder":
        raise InputError(f'"{lm.name}" has no language-model head, so it fills in nothing; use the kind association')
    if not sentences.neutral:
        raise InputError("templates: negativity.neutral needs a word, which says what zero is")
    if top < 1:
        raise InputError(f"top: {top} fills cannot be looked at; 1 is the least")
    words = [*targets, *sentences.neutral]
    sides = [_ids(lm, template, sentences) for template in sentences.templates]
    sequences, places = [], []
    for word in words:
        for template in sentences.templates:
            ids, place = _asked(lm, template, word)
            sequences.append(ids)
            places.append(place)
    found = np.zeros(len(sequences))
    for at, row in lm.logits(sequences, places):
        blame, praise = sides[at % len(sides)]
        probability = np.exp(row - row.max())
        if lm.kind == "masked":
            likeliest = np.argpartition(-probability, min(top, len(row)) - 1)[:top]
            found[at] = probability[np.intersect1d(likeliest, blame)].sum() / probability[likeliest].sum()
        else:
            unkind, kind = probability[blame].sum(), probability[praise].sum()
            found[at] = unkind / (unkind + kind)
    table = found.reshape(len(words), len(sentences.templates))
    return np.asarray(table[: len(targets)] - table[len(targets) :].mean(0))


def _asked(lm: LanguageModel, template: str, target: str) -> tuple[list[int], int]:
    """Tokens that the model sees, and at which of them it is asked for the fill."""
    if lm.kind == "masked":
        ids, _ = lm.encode(fill(template, target, lm.tokenizer.mask_token, as_is=True))
        return ids, ids.index(lm.tokenizer.mask_token_id)
    ids = lm.started(lm.encode(fill(template.partition("{mask}")[0].rstrip(), target))[0])
    return ids, len(ids) - 1


def _ids(lm: LanguageModel, template: str, sentences: Sentences) -> tuple[list[int], list[int]]:
    """Tokens of the words of blame and of praise that are one token in this template."""
    anyone = sentences.neutral[0]
    sides = sentiment(sentences)
    words = [*sides[0], *sides[1]]
    tokens: list[int | None] = []
    if lm.kind == "masked":
        masked = fill(template, anyone, lm.tokenizer.mask_token, as_is=True).text
        tokens = lm.at_blank(masked, [fill(template, anyone, word).text for word in words])
    else:
        start = fill(template.partition("{mask}")[0].rstrip(), anyone).text
        before = lm.tokenizer(start)["input_ids"]
        for ids in lm.tokenizer([f"{start} {word}" for word in words])["input_ids"]:
            whole = len(ids) == len(before) + 1 and ids[:-1] == before and ids[-1] != lm.tokenizer.unk_token_id
            tokens.append(int(ids[-1]) if whole else None)
    blame, praise = (
        sorted({token for token in part if token is not None})
        for part in (tokens[: len(sides[0])], tokens[len(sides[0]) :])
    )
    if not blame or not praise:
        raise InputError(
            f'"{lm.name}" knows no word of {"praise" if blame else "blame"} as one token, so its negativity cannot be '
            "measured; use the kind association"
        )
    return blame, praise
