"""Pronoun ranking: which of two pronouns a language model expects with a target, beyond what it always expects.

Kurita et al. 2019 (Measuring bias in contextualized word representations) for masked models; for causal models the same
question asked of whole sentences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...data.errors import InputError
from .language import Floats, LanguageModel
from .templates import Sentences, fill


def rank(lm: LanguageModel, targets: Sequence[str], sentences: Sentences, *, prior: bool = True) -> Floats:
    """How much a language model prefers the first pronoun with each target.

    Parameters
    ----------
    lm : LanguageModel
        Masked or causal.
    targets : sequence of str
        As they are said: "nurse", "software engineer".
    sentences : Sentences
        `first` and `second` hold one pronoun each.
    prior : bool
        Take off what the model prefers where it is not told the target.

    Returns
    -------
    numpy.ndarray
        Targets × templates, in nats: positive prefers the first pronoun.

    Raises
    ------
    InputError
        The model has no language-model head; a pronoun is several tokens; a target cannot be spelt.

    Notes
    -----
    Masked: `ln p([MASK]=she | T(y)) - ln p([MASK]=he | T(y))`, less the same with each token of y masked too
    (Kurita et al. 2019, there he minus she). Causal: `ln p(T(she, y)) - ln p(T(he, y))` of the whole sentence, less
    its mean over neutral words ("person") in place of y, for a causal model cannot be shown a mask. That prior is the
    same for all targets, so it moves the zero and no order.
    """
    if len(sentences.first) != 1 or len(sentences.second) != 1:
        raise InputError("templates: first and second of ranking are one pronoun each")
    if lm.kind == "masked":
        return _masked(lm, targets, sentences, prior=prior)
    if lm.kind == "causal":
        return _causal(lm, targets, sentences, prior=prior)
    raise InputError(f'"{lm.name}" has no language-model head, so it ranks no pronouns; use the kind association')


def _masked(lm: LanguageModel, targets: Sequence[str], sentences: Sentences, *, prior: bool) -> Floats:
    mask, mask_id = lm.tokenizer.mask_token, lm.tokenizer.mask_token_id
    asked: dict[tuple[tuple[int, ...], int], int] = {}  # many targets share a prior sentence
    cells: list[tuple[int, int, int, int]] = []
    for target in targets:
        for template in sentences.templates:
            filled = fill(template, target, mask, as_is=True)
            ids, mine = lm.encode(filled)
            words = (sentences.first[0], sentences.second[0])
            first, second = _pronouns(lm, filled.text, {word: fill(template, target, word).text for word in words})
            place = ids.index(mask_id)
            hidden = [mask_id if at in mine else token for at, token in enumerate(ids)]
            raw, without = (asked.setdefault((tuple(each), place), len(asked)) for each in (ids, hidden))
            cells.append((raw, without, first, second))
    needed = {number for cell in cells for number in cell[: 2 if prior else 1]}
    keys = [key for key, number in asked.items() if number in needed]
    numbers = [asked[key] for key in keys]
    # The normaliser of the softmax is the same for both pronouns, so it drops out of their difference.
    pronouns: dict[int, set[int]] = {}
    for raw, without, first, second in cells:
        pronouns.setdefault(raw, set()).update((first, second))
        pronouns.setdefault(without, set()).update((first, second))
    given: dict[int, dict[int, float]] = {}
    for at, row in lm.logits([list(ids) for ids, _ in keys], [place for _, place in keys]):
        given[numbers[at]] = {token: float(row[token]) for token in pronouns[numbers[at]]}
    scores = [
        given[raw][first] - given[raw][second] - (given[without][first] - given[without][second] if prior else 0.0)
        for raw, without, first, second in cells
    ]
    return np.reshape(scores, (len(targets), len(sentences.templates)))


def _pronouns(lm: LanguageModel, masked: str, written: Mapping[str, str]) -> tuple[int, int]:
    """The tokens of both pronouns in their place."""
    found = lm.at_blank(masked, list(written.values()))
    for word, token in zip(written, found, strict=True):
        if token is None:
            raise InputError(
                f'"{word}" is not one word of the tokenizer of "{lm.name}", so one mask cannot stand for it; choose '
                "another pair of pronouns"
            )
    first, second = (int(token) for token in found if token is not None)
    return first, second


def _causal(lm: LanguageModel, targets: Sequence[str], sentences: Sentences, *, prior: bool) -> Floats:
    if prior and not sentences.neutral:
        raise InputError(
            "templates: ranking.causal.neutral needs a word, for a causal model is told a neutral target instead"
        )
    words = [*targets, *(sentences.neutral if prior else ())]
    sides = (sentences.first[0], sentences.second[0])
    sequences = [
        lm.started(lm.encode(fill(template, word, side))[0])
        for word in words
        for template in sentences.templates
        for side in sides
    ]
    found = lm.likelihood(sequences).reshape(len(words), len(sentences.templates), 2)
    scores = found[:, :, 0] - found[:, :, 1]
    scores, neutral = scores[: len(targets)], scores[len(targets) :]
    return np.asarray(scores - neutral.mean(0) if prior else scores)
