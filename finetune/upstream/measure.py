"""Measure the bias of a model before any fine-tuning: choose the kind, ask, and gather what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

import numpy as np

from ...data import lexicon
from ...data.errors import InputError, suggest
from .association import associate
from .language import Floats, LanguageModel
from .measured import UpstreamBias
from .models import open_lm
from .negativity import TOP, negativity
from .ranking import rank
from .templates import Sentences, load, spoken

MeasureKind: TypeAlias = Literal["auto", "pronoun-ranking", "negativity", "association"]
KINDS: tuple[str, ...] = get_args(MeasureKind)

Weights: TypeAlias = Mapping[str, Any]


def targets_of(axis: str) -> tuple[str, ...]:
    """What is asked about on an axis where nothing else is said.

    Parameters
    ----------
    axis : str
        "identity" or "lexicon:FILE": the groups of that lexicon; any other: the professions of Bias in Bios.

    Examples
    --------
    >>> len(targets_of("identity")), targets_of("pronouns")[:2]
    (50, ('accountant', 'architect'))
    """
    name = axis.removeprefix("lexicon:") if about_groups(axis) else "occupations"
    groups = lexicon.load(name).groups
    # Ambiguous forms of a group that also has plain ones are a group of their own here, and no other people.
    return tuple(group.name for group in groups if not group.name.endswith(" (ambiguous)"))


def about_groups(axis: str) -> bool:
    """Whether an axis is of groups of people that texts mention, and not of who a text is about."""
    return axis == "identity" or axis.startswith("lexicon:")


def measure_upstream(
    model: str | LanguageModel | tuple[Any, Any],
    *,
    targets: Sequence[str] | None = None,
    axis: str = "pronouns",
    kind: str = "auto",
    weights: Weights | Iterable[Weights] | None = None,
    upstream: str = "pretrained",
    templates: str | Path | None = None,
    pair: tuple[str, str] | None = None,
    prior: bool = True,
    top: int = TOP,
    device: str = "auto",
    seed: int = 0,
) -> UpstreamBias:
    """Measure the bias that a model brings along.

    Parameters
    ----------
    model : str, LanguageModel, or (model, tokenizer)
        A folder, a GGUF file, ``package:NAME`` or a hub id; or a model in memory.
    targets : sequence of str, optional
        Professions (labels of a task; underscores are read as blanks) or words for groups; by default `targets_of`.
    axis : str
        "identity" and "lexicon:FILE" are about groups, any other ("pronouns", "column:gender") about professions.
    kind : {"auto", "pronoun-ranking", "negativity", "association"}
        "auto": with a language-model head pronoun ranking for professions and negativity for groups; else association.
    weights : mapping, or iterable of mappings, optional
        State of the model's body to measure instead of its own, as `Checkpoint.weights` gives it; the language-model
        head stays, but one tied to the word embeddings follows theirs. Of several, such as draws of noise, the mean is
        told. An iterable is read one by one.
    upstream : str
        What these weights are called in the result.
    templates : path, optional
        A file like the built-in ``templates.toml``.
    pair : (str, str), optional
        The two pronouns that are ranked; the score is first minus second. By default she and he.
    prior : bool
        Correct pronoun ranking for what the model prefers without the target.
    top : int
        Fills of a masked model that negativity looks at.
    device : {"auto", "cpu", "cuda"}
        For a model that is opened here.
    seed : int
        Of the bootstrap of the reliability.

    Returns
    -------
    UpstreamBias

    Raises
    ------
    InputError
        The model cannot be opened or cannot be asked this; there are no targets or one cannot be spelt; the weights
        are not those of this model's body.
    """
    if kind not in KINDS:
        raise InputError(
            f'there is no upstream measure "{kind}"; measures are {", ".join(KINDS)}.{suggest(kind, KINDS)}'
        )
    _known(axis)
    names = _names(targets_of(axis) if targets is None else targets)
    book = load(templates)
    lm = _opened(model, device)
    notes: list[str] = []
    chosen = kind
    if kind == "auto":
        headless = "negativity" if about_groups(axis) else "pronoun-ranking"
        chosen = "association" if lm.kind == "encoder" else headless
        if lm.kind == "encoder":
            notes.append(
                f"the model has no language-model head, so {headless.replace('-', ' ')} cannot be asked of it: this is "
                "the association of its embeddings"
            )
    ranking = book.causal if lm.kind == "causal" else book.masked
    association = book.terms if about_groups(axis) else book.professions
    sentences = {"pronoun-ranking": ranking, "negativity": book.negativity}.get(chosen, association)
    if pair is not None:
        if chosen != "pronoun-ranking":
            raise InputError(f"pair: {chosen} asks for no pronouns; leave the pair out")
        sentences = Sentences(sentences.templates, sentences.neutral, (pair[0],), (pair[1],))
    spelt = [spoken(name) for name in names]
    states: Iterable[Weights | None] = [None]
    if weights is not None:
        states = [cast("Weights", weights)] if isinstance(weights, Mapping) else weights
        if lm.kind != "encoder" and chosen != "association":
            notes.append(_head(lm))
    found: list[Floats] = []
    for state in states:
        with lm.wearing(state):
            if chosen == "pronoun-ranking":
                found.append(rank(lm, spelt, sentences, prior=prior))
            elif chosen == "negativity":
                found.append(negativity(lm, spelt, sentences, top=top))
            else:
                found.append(associate(lm, spelt, sentences))
    if not found:
        raise InputError("weights: there are none; give at least one state, or leave them out")
    return UpstreamBias.of(
        np.stack(found), names, sentences.templates, kind=chosen, model=lm.name, axis=axis, upstream=upstream,
        unit=_unit(chosen, sentences, lm.kind, groups=about_groups(axis), prior=prior), notes=notes, seed=seed,
    )  # fmt: skip


def _head(lm: LanguageModel) -> str:
    """Which language-model head other weights of the body are asked through."""
    out, embeddings = lm.model.get_output_embeddings(), lm.model.get_input_embeddings()
    if out is not None and out.weight is embeddings.weight:
        return (
            "these weights are of the model's body; its language-model head is tied to the word embeddings, so it "
            "follows theirs, and only what else the head has is as released"
        )
    return "these weights are of the model's body; its language-model head is the released one"


def _opened(model: str | LanguageModel | tuple[Any, Any], device: str) -> LanguageModel:
    if isinstance(model, LanguageModel):
        return model
    return open_lm(model, device=device) if isinstance(model, str) else LanguageModel.of(*model)


def _known(axis: str) -> None:
    """A misspelt axis would else be taken for one of professions."""
    axes = lexicon.builtin_names()
    if ":" not in axis and "+" not in axis and axis not in axes:
        raise InputError(f'there is no axis "{axis}"; axes are {", ".join(axes)}, column:COL.{suggest(axis, axes)}')


def _names(targets: Sequence[str]) -> list[str]:
    if isinstance(targets, str):
        raise InputError(f'targets: "{targets}" is one text; give a list')
    names = list(targets)
    if not names:
        raise InputError("targets: there are none; name some, for example --targets nurse,engineer")
    for at, name in enumerate(names):
        if not spoken(name):
            raise InputError(f"targets: number {at + 1} is empty; leave it out")
        if name in names[:at]:
            raise InputError(f'targets: "{name}" is there twice; once is enough')
    return names


def _unit(kind: str, sentences: Sentences, model: str, *, groups: bool, prior: bool) -> str:
    """What a score is, in one line."""
    if kind == "pronoun-ranking":
        corrected = ", less that without the target" if prior else ""
        what = "pronoun" if model == "masked" else "sentence"
        first, second = sentences.first[0], sentences.second[0]
        return f"log probability of the {what} with {first} minus with {second}{corrected}; positive favours {first}"
    if kind == "negativity":
        return "share of blame in what comes next, less that of neutral words; positive is more negative"
    if groups:
        return "cosine with unpleasant minus pleasant words, less that of neutral words; positive is more negative"
    return "cosine with female minus male words, less that of neutral words; positive is nearer to female"
