"""The arithmetic of many BERT encoders at once: weights with a leading run axis, batched matrix products.

Each run has its own weights, its own batch and its own dropout, so that a run comes out the same (up to rounding)
whichever other runs it is stacked with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_ABSENT = "bert.embeddings.position_ids"


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a BERT that classifies sequences.

    Attributes
    ----------
    layers, hidden, heads, inner, labels, positions : int
    epsilon : float
        Of the layer norms.
    dropout, attention_dropout, head_dropout : float
    """

    layers: int
    hidden: int
    heads: int
    inner: int
    labels: int
    positions: int
    epsilon: float
    dropout: float
    attention_dropout: float
    head_dropout: float

    @classmethod
    def of(cls, config: Any) -> Shape | None:
        """From a transformers config; None where the model is no plain BERT, which cannot be stacked."""
        plain = (
            getattr(config, "model_type", "") == "bert"
            and getattr(config, "position_embedding_type", "absolute") in (None, "absolute")
            and config.hidden_act == "gelu"
            and not getattr(config, "is_decoder", False)
            and not getattr(config, "add_cross_attention", False)
        )
        if not plain:
            return None
        head = getattr(config, "classifier_dropout", None)
        return cls(
            config.num_hidden_layers, config.hidden_size, config.num_attention_heads, config.intermediate_size,
            config.num_labels, config.max_position_embeddings, config.layer_norm_eps, config.hidden_dropout_prob,
            config.attention_probs_dropout_prob, config.hidden_dropout_prob if head is None else head,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """One parameter: its own name, its shape without the run axis, and the model's tensors that it is made of.

    Matrices stand input × output, which batched products want; several of them may stand side by side.
    """

    name: str
    shape: tuple[int, ...]
    sources: tuple[str, ...]

    def pack(self, state: Mapping[str, Any]) -> Any:
        """The parameter from a model's tensors."""
        import torch

        tensors = [state[name] for name in self.sources]
        if len(self.shape) == 2:
            return torch.cat([tensor.T for tensor in tensors], dim=1)
        return torch.cat(tensors)

    def unpack(self, value: Any) -> Iterator[tuple[str, Any]]:
        """The model's tensors from the parameter."""
        pieces = value.chunk(len(self.sources), dim=-1)
        for name, piece in zip(self.sources, pieces, strict=True):
            yield name, piece.T if len(self.shape) == 2 else piece


def matrices(shape: Shape) -> list[Part]:
    """The matrices that are multiplied in bf16 where that is asked for."""
    h, found = shape.hidden, []
    for layer in range(shape.layers):
        at = f"bert.encoder.layer.{layer}."
        own = [f"{at}attention.self.{name}.weight" for name in ("query", "key", "value")]
        found += [
            Part(f"{layer}.qkv", (h, 3 * h), tuple(own)),
            Part(f"{layer}.mix", (h, h), (f"{at}attention.output.dense.weight",)),
            Part(f"{layer}.up", (h, shape.inner), (f"{at}intermediate.dense.weight",)),
            Part(f"{layer}.down", (shape.inner, h), (f"{at}output.dense.weight",)),
        ]
    return found


def heads(shape: Shape) -> list[Part]:
    """The other matrices: the pooler's and the classifier's."""
    return [
        Part("pool", (shape.hidden, shape.hidden), ("bert.pooler.dense.weight",)),
        Part("out", (shape.hidden, shape.labels), ("classifier.weight",)),
    ]


def vectors(shape: Shape) -> list[Part]:
    """Biases and norms, which are not decayed."""
    h = shape.hidden
    found = [_norm("embed", "bert.embeddings.LayerNorm", h, kind) for kind in ("weight", "bias")]
    for layer in range(shape.layers):
        at = f"bert.encoder.layer.{layer}."
        own = [f"{at}attention.self.{name}.bias" for name in ("query", "key", "value")]
        found += [
            Part(f"{layer}.qkv.bias", (3 * h,), tuple(own)),
            Part(f"{layer}.mix.bias", (h,), (f"{at}attention.output.dense.bias",)),
            Part(f"{layer}.up.bias", (shape.inner,), (f"{at}intermediate.dense.bias",)),
            Part(f"{layer}.down.bias", (h,), (f"{at}output.dense.bias",)),
        ]
        for name, where in (("first", "attention.output.LayerNorm"), ("second", "output.LayerNorm")):
            found += [_norm(f"{layer}.{name}", at + where, h, kind) for kind in ("weight", "bias")]
    return [
        *found,
        Part("pool.bias", (h,), ("bert.pooler.dense.bias",)),
        Part("out.bias", (shape.labels,), ("classifier.bias",)),
    ]


def _norm(name: str, where: str, size: int, kind: str) -> Part:
    return Part(f"{name}.norm.{kind}", (size,), (f"{where}.{kind}",))


TABLES = {
    "words": "bert.embeddings.word_embeddings.weight",
    "positions": "bert.embeddings.position_embeddings.weight",
    "types": "bert.embeddings.token_type_embeddings.weight",
}
"""Tables that are looked up; their rows are decayed like matrices."""


def known(shape: Shape) -> frozenset[str]:
    """Names of all tensors that a stackable model has."""
    parts = [*matrices(shape), *heads(shape), *vectors(shape)]
    return frozenset([*TABLES.values(), *(name for part in parts for name in part.sources)])


def fits(shape: Shape, state: Mapping[str, Any]) -> bool:
    """Whether a model has exactly the tensors that are stacked here."""
    return set(state) - {_ABSENT} == known(shape)


# -- dropout -----------------------------------------------------------------------------------------------------------


def _hashed(x: Any) -> Any:
    """A 32-bit mixing function on int32 (lowbias32 of C. Wellons): every bit depends on every bit."""
    x = x ^ ((x >> 16) & 0xFFFF)
    x = x * 0x7FEB352D
    x = x ^ ((x >> 15) & 0x1FFFF)
    x = x * -0x7B935975  # 0x846CA68B
    return x ^ ((x >> 16) & 0xFFFF)


def dropped(x: Any, index: Any, salt: Any, p: float) -> Any:
    """Dropout whose mask is a function of the run's own number and the place, not of other runs or of padding.

    Parameters
    ----------
    x : tensor
        Runs × anything.
    index : int32 tensor
        Place of each element within a run, of the same shape but for the run axis, which is 1.
    salt : int32 tensor
        A number for each run (and step and layer), of shape runs × 1 × ...
    p : float
        Probability.
    """
    import torch

    lot = _hashed(index + salt) & 0x7FFFFFFF
    return torch.where(lot >= int(p * 2**31), x * (1 / (1 - p)), 0.0)


# -- forward -----------------------------------------------------------------------------------------------------------


def norm(x: Any, scale: Any, shift: Any, epsilon: float) -> Any:
    """Layer norm with the scale and shift of each run, in float32."""
    import torch

    done = torch.nn.functional.layer_norm(x.float(), x.shape[-1:], eps=epsilon)
    return done * scale[:, None, :] + shift[:, None, :]


def linear(x: Any, weight: Any, bias: Any) -> Any:
    """Each run's rows times its matrix, in the matrix's type."""
    import torch

    return torch.bmm(x.to(weight.dtype), weight) + bias[:, None, :].to(weight.dtype)


def layer(
    x: Any, mask: Any, place: Any, pair: Any, salt: Any | None, weights: Sequence[Any], sizes: tuple[int, int],
    rates: tuple[float, float, float],
) -> Any:  # fmt: skip
    """One layer of the encoder.

    Parameters
    ----------
    x : float32 tensor
        Runs × (rows · tokens) × hidden.
    mask : tensor, runs or 1 × rows × 1 × 1 × tokens
        0 for tokens, minus infinity for padding.
    place, pair : int32 tensors
        Number of each place of a row's text, and of each pair of places and head, for dropout.
    salt : int32 tensor of shape (runs,) or None
        For dropout, another one for each step and layer.
    weights : sequence of tensor
        In the order of `OWN`.
    sizes : (int, int)
        Rows and heads.
    rates : (float, float, float)
        Epsilon of the norms, dropout, dropout of attention.
    """
    import torch

    qkv, qkv_bias, mix, mix_bias, scale1, shift1, up, up_bias, down, down_bias, scale2, shift2 = weights
    rows, heads = sizes
    epsilon, p, p_attention = rates
    runs, _, h = x.shape
    each = h // heads
    three = linear(x, qkv, qkv_bias).view(runs, rows, -1, 3, heads, each)
    query, key, value = (three[:, :, :, at].transpose(2, 3) for at in range(3))
    scores = torch.matmul(query, key.transpose(3, 4)) * (1 / math.sqrt(each)) + mask
    shares = torch.softmax(scores.float(), dim=-1)
    if salt is not None and p_attention > 0:
        shares = dropped(shares, pair, _hashed(salt + 1).view(-1, 1, 1, 1, 1), p_attention)
    mixed = linear(torch.matmul(shares.to(qkv.dtype), value).transpose(2, 3).reshape(x.shape), mix, mix_bias)
    if salt is not None and p > 0:
        mixed = dropped(mixed, place, _hashed(salt + 2).view(-1, 1, 1), p)
    x = norm(mixed + x, scale1, shift1, epsilon)
    inner = linear(torch.nn.functional.gelu(linear(x, up, up_bias)), down, down_bias)
    if salt is not None and p > 0:
        inner = dropped(inner, place, _hashed(salt + 3).view(-1, 1, 1), p)
    return norm(inner + x, scale2, shift2, epsilon)


OWN = (
    "qkv", "qkv.bias", "mix", "mix.bias", "first.norm.weight", "first.norm.bias", "up", "up.bias", "down", "down.bias",
    "second.norm.weight", "second.norm.bias",
)  # fmt: skip
"""The weights of a layer, by their names behind its number."""


def logits(
    shape: Shape,
    weights: Mapping[str, Any],
    words: Any,
    real: Any,
    salt: Any | None,
    *,
    layer: Callable[..., Any] = layer,
) -> Any:
    """Logits of a batch of every run.

    Parameters
    ----------
    shape : Shape
        Of the model.
    weights : mapping of str to tensor
        By names of parts and of `TABLES`; "words" is not needed. Layers' matrices are multiplied in their own type.
    words : float32 tensor, runs × rows × tokens × hidden
        Word embeddings of the tokens.
    real : bool tensor, runs × rows × tokens
        Which tokens are no padding; of the first axis 1 where all runs see the same rows.
    salt : int32 tensor of shape (runs,) or None
        For dropout, another number each step; None for none.
    layer : callable
        `layer`, compiled or not.

    Returns
    -------
    tensor, runs × rows × labels
        In float32.
    """
    import torch

    runs, rows, size, h = words.shape
    kind = weights["0.qkv"].dtype
    place, pair = _places(shape, rows, size, words.device) if salt is not None else (None, None)
    x = words + weights["positions"][:, None, :size] + weights["types"][:, :1, None, :]
    x = norm(x.reshape(runs, rows * size, h), weights["embed.norm.weight"], weights["embed.norm.bias"], shape.epsilon)
    if salt is not None and shape.dropout > 0:
        x = dropped(x, place, _hashed(salt).view(-1, 1, 1), shape.dropout)
    mask = torch.where(real, 0.0, -math.inf)[:, :, None, None, :].to(kind)
    _any_length((x, 1), (mask, 4), (place, 1), (pair, 3), (pair, 4))
    for number in range(shape.layers):
        own = None if salt is None else _hashed(salt + 8 * (number + 1))
        x = layer(
            x, mask, place, pair, own, [weights[f"{number}.{name}"] for name in OWN], (rows, shape.heads),
            (shape.epsilon, shape.dropout, shape.attention_dropout),
        )  # fmt: skip
    first = x.view(runs, rows, size, h)[:, :, 0]
    pooled = torch.tanh(linear(first, weights["pool"], weights["pool.bias"]))
    if salt is not None and shape.head_dropout > 0:
        index = place.view(1, rows, size, h)[:, :, 0]  # type: ignore[union-attr]
        pooled = dropped(pooled, index, _hashed(salt + 4).view(-1, 1, 1), shape.head_dropout)
    return linear(pooled, weights["out"], weights["out.bias"])


def _any_length(*axes: tuple[Any, int]) -> None:
    """Tell the compiler that these axes differ from batch to batch, so that it compiles once for all lengths."""
    import torch

    for tensor, axis in axes:
        if tensor is not None:
            torch._dynamo.maybe_mark_dynamic(tensor, axis)


def _places(shape: Shape, rows: int, size: int, device: Any) -> tuple[Any, Any]:
    """A number for each place of a text, and for each pair of places and head, whatever texts are padded to."""
    import torch

    row, token, channel, head = (
        torch.arange(count, device=device, dtype=torch.int32) for count in (rows, size, shape.hidden, shape.heads)
    )
    place = (row[:, None] * shape.positions + token).reshape(1, -1, 1) * shape.hidden + channel
    pair = ((row[:, None, None, None] * shape.heads + head[:, None, None]) * shape.positions + token[:, None]) * (
        shape.positions
    ) + token
    return place, pair[None]


def losses(scores: Any, code: Any, weight: Any) -> Any:
    """Weighted cross-entropy of each run: runs × rows × labels, runs × rows and runs × rows to runs."""
    import torch

    chosen = torch.log_softmax(scores, dim=-1).gather(2, code[:, :, None]).squeeze(2)
    return -(chosen * weight).sum(dim=1)


def stack(parts: Sequence[Part], states: Sequence[Mapping[str, Any]], device: Any) -> Any:
    """The parameters of all runs end to end: runs × numbers, float32."""
    import torch

    rows = [torch.cat([part.pack(state).reshape(-1) for part in parts]) for state in states]
    return torch.stack(rows).to(device)


def views(parts: Sequence[Part], flat: Any) -> dict[str, Any]:
    """Each parameter as a view of the numbers of all runs."""
    found, at = {}, 0
    for part in parts:
        size = math.prod(part.shape)
        found[part.name] = flat[:, at : at + size].view(flat.shape[0], *part.shape)
        at += size
    return found
