"""Levers of the upstream: changes of a model's released weights that are made before it is fine-tuned.

What is drawn depends on the seed and on the tensor's name inside the encoder's body, not on what the lever is called:
two strengths of one kind of noise share their draws in a seed, and a model with a language head is changed as the same
model with a classification head is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...audit.embeddings.pairs import BUILTIN, Pairs, load_pairs
from ...data.config import UpstreamConfig
from ...data.errors import InputError
from ...data.hashing import hash64
from ..checkpoint import number_of

GENDERED = ("gender", "pronouns", "definitional_pairs")
"""Axes whose directions are those of the ten definitional pairs of Bolukbasi et al. 2016, as in the audit."""


@dataclass(frozen=True, eq=False, slots=True)
class Directions:
    """What definitional pairs have in common in a model's token embeddings.

    Attributes
    ----------
    rows : torch.Tensor
        Components × hidden size, orthonormal.
    used : tuple of (str, str)
        Pairs that the tokenizer knows and tells apart.
    share : float
        Share of the pairs' variance that the components explain.
    """

    rows: Any
    used: tuple[tuple[str, str], ...]
    share: float


def changed(model: Any, spec: UpstreamConfig, *, name: str, seed: int, tokenizer: Any = None) -> dict[str, Any]:
    """The weights that a lever changes, with their new values; the model stays as it is.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        With any head or none. Heads are not changed, but for weights that they share with the token embeddings.
    spec : UpstreamConfig
        Of kind "noise", "permute" or "project".
    name : str
        What the lever is called, for messages.
    seed : int
        Of noise and permutation; a projection is the same for all seeds.
    tokenizer : object, optional
        Of transformers; "project" needs it.

    Returns
    -------
    dict of str to torch.Tensor
        Named as in ``model.state_dict()``, tied weights under each of their names.

    Raises
    ------
    InputError
        The model has no matrix of token embeddings, or the axis no direction in it; or the lever is none of weights.

    Notes
    -----
    - noise (methods U2): Uniform(-c, c) or Normal(0, s²) is added to every entry of the token embeddings, c or s being
      ``scale`` standard deviations of the matrix; the sum is cut off at the matrix's own least and greatest entry.
    - permute (U2b): the entries of each matrix of the encoder's body, embeddings included, change places within it.
    - project (U3, after SentDebias, Liang et al. 2020): E - alpha · E V'V with V of `directions`.

    Examples
    --------
    >>> changed(None, UpstreamConfig(kind="inlp"), name="nullspace", seed=0)
    Traceback (most recent call last):
    evenset.data.errors.InputError: upstream "nullspace": kind = "inlp" changes frozen features, not weights; set ...
    """
    if spec.kind == "inlp":
        raise InputError(
            f'upstream "{name}": kind = "inlp" changes frozen features, not weights; set finetune.frozen = true'
        )
    if spec.kind == "permute":
        body = {key: value for key, value in model.base_model.named_parameters() if value.ndim > 1}
        found = {value.data_ptr(): _permuted(value, key, seed) for key, value in body.items()}
    else:
        key, table = embeddings(model, name)
        if spec.kind == "noise":
            new = _noisy(table, spec, key, seed)
        else:
            rows = directions(model, tokenizer, spec, name=name).rows
            new = table - spec.alpha * (table @ rows.T) @ rows
        found = {table.data_ptr(): new}
    state = model.state_dict()
    return {key: found[value.data_ptr()].clone() for key, value in state.items() if value.data_ptr() in found}


def apply(model: Any, spec: UpstreamConfig, *, name: str, seed: int, tokenizer: Any = None) -> None:
    """Change a model's weights in place, as `changed` says; for measuring the very upstream that is fine-tuned."""
    model.load_state_dict(changed(model, spec, name=name, seed=seed, tokenizer=tokenizer), strict=False)


def embeddings(model: Any, name: str) -> tuple[str, Any]:
    """The token embeddings: their name inside the encoder's body, and the matrix, vocabulary × hidden size."""
    try:
        layer = model.get_input_embeddings()
    except (NotImplementedError, AttributeError):
        layer = None
    table = getattr(layer, "weight", None)
    names = {} if table is None else {value.data_ptr(): key for key, value in model.base_model.named_parameters()}
    if table is None or table.ndim != 2 or table.data_ptr() not in names:
        raise InputError(
            f'upstream "{name}": this model has no matrix of token embeddings to change; use kind = "permute", '
            "or another model"
        )
    return names[table.data_ptr()], table.detach()


def directions(model: Any, tokenizer: Any, spec: UpstreamConfig, *, name: str) -> Directions:
    """The directions that definitional pairs of an axis span in the token embeddings.

    Parameters
    ----------
    model, tokenizer : object
        Of transformers.
    spec : UpstreamConfig
        `axis` and `components` count.
    name : str
        What the lever is called, for messages.

    Returns
    -------
    Directions

    Raises
    ------
    InputError
        The axis has no pairs, or fewer of them are known to the tokenizer than directions are asked for.

    Notes
    -----
    A word's vector is the mean over its sub-tokens, of the word as it stands inside a sentence. Each pair is centred on
    its middle; the directions are the first right singular vectors of all centred words. Lengths are left as they are.
    """
    import torch

    pairs = pairs_of(spec.axis, name)
    _, table = embeddings(model, name)
    halves, used = [], []
    for one, other in pairs.pairs:
        rows = [_tokens(tokenizer, word) for word in (one, other)]
        if rows[0] and rows[1] and rows[0] != rows[1]:
            first, second = (table[torch.tensor(row)].double().mean(dim=0) for row in rows)
            halves.append((first - second) / 2)
            used.append((one, other))
    if len(halves) < spec.components:
        raise InputError(
            f'upstream "{name}": the tokenizer knows {len(halves)} of the {len(pairs.pairs)} definitional pairs of '
            f'"{spec.axis}", too few for {spec.components} directions; lower components, or choose another axis'
        )
    # Both words of a centred pair lie on one line, so the halves alone have the same directions.
    _, size, across = torch.linalg.svd(torch.stack(halves), full_matrices=False)
    k = spec.components
    if not float(size[k - 1]) > 1e-9 * float(size[0]) or not float(size[0]) > 0:
        raise InputError(
            f'upstream "{name}": the definitional pairs of "{spec.axis}" span fewer than {k} directions; lower '
            "components"
        )
    share = float(size[:k].square().sum() / size.square().sum())
    return Directions(across[:k].to(table.dtype), tuple(used), share)


def pairs_of(axis: str, name: str) -> Pairs:
    """Definitional pairs of an axis: a lexicon with two groups, a lexicon file, or pairs written out."""
    axis = axis.removeprefix("lexicon:")
    try:
        return load_pairs(BUILTIN if axis in GENDERED else axis)
    except InputError as error:
        raise InputError(str(error).replace("--pairs", f"upstream.{name}.axis")) from None


def described(model: Any, spec: UpstreamConfig, *, name: str, tokenizer: Any = None) -> dict[str, Any]:
    """A lever as a run's record has it: its settings, and of a projection the pairs and what the directions explain."""
    used = {
        "noise": ("kind", "distribution", "scale"),
        "permute": ("kind",),
        "project": ("kind", "axis", "alpha", "components"),
        "inlp": ("kind",),
    }[spec.kind]
    record: dict[str, Any] = {key: getattr(spec, key) for key in used}
    if spec.kind == "project":
        found = directions(model, tokenizer, spec, name=name)
        record |= {"pairs": len(found.used), "explained": round(found.share, 4)}
    return record


def spec_of(upstreams: Mapping[str, UpstreamConfig], name: str) -> UpstreamConfig:
    """The lever called `name`."""
    if name not in upstreams:
        known = ", ".join(["pretrained", "random", *upstreams])
        raise InputError(f'there is no upstream "{name}"; those there are: {known}')
    return upstreams[name]


def _tokens(tokenizer: Any, word: str) -> list[int]:
    """Tokens of a word inside a sentence; none where it holds an unknown one."""
    # Byte-level vocabularies mark the space before a word; others drop it, or mark the beginning by themselves.
    forms: list[list[int]] = [
        list(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in (f" {word}", word)
    ]
    best = min(forms, key=lambda form: len(form))
    unknown = getattr(tokenizer, "unk_token_id", None)
    # Of byte-level vocabularies the unknown token is one that marks the end of a text, and no word gives it.
    return [] if unknown is not None and unknown in best else best


def _generator(seed: int, kind: str, key: str) -> Any:
    import torch

    own = int(hash64([key], salt=f"evenset.upstream.{kind}")[0] >> 33)
    return torch.Generator().manual_seed(number_of(seed, f"evenset.upstream.{own}"))


def _noisy(table: Any, spec: UpstreamConfig, key: str, seed: int) -> Any:
    import torch

    size = spec.scale * float(table.double().std())
    draws = _generator(seed, spec.distribution, key)
    noise = torch.empty(table.shape, dtype=table.dtype)
    if spec.distribution == "uniform":
        noise.uniform_(-1.0, 1.0, generator=draws)
    else:
        noise.normal_(0.0, 1.0, generator=draws)
    return torch.clamp(table + size * noise, min=table.min(), max=table.max())


def _permuted(value: Any, key: str, seed: int) -> Any:
    import torch

    order = torch.randperm(value.numel(), generator=_generator(seed, "permute", key))
    return value.detach().reshape(-1)[order].reshape(value.shape)
