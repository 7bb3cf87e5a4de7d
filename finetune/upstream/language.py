"""A model as the upstream measures need it: with its language-model head where it has one, and given weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ...data.errors import InputError
from .templates import Filled

Floats = npt.NDArray[np.float64]
Kind = Literal["masked", "causal", "encoder"]

_LOGITS = 1 << 24  # numbers of a batch's output held at once


@dataclass(frozen=True, eq=False, slots=True)
class LanguageModel:
    """A model, its tokenizer and what can be asked of it.

    Attributes
    ----------
    model : torch.nn.Module
        In evaluation mode.
    tokenizer : transformers tokenizer
        One of the fast ones, which say where in the text a token stands.
    kind : {"masked", "causal", "encoder"}
        "encoder": without a language-model head.
    name : str
        For messages and results.
    """

    model: Any
    tokenizer: Any
    kind: Kind
    name: str

    @classmethod
    def of(cls, model: Any, tokenizer: Any) -> LanguageModel:
        """Of a model that is in memory already.

        Raises
        ------
        InputError
            The tokenizer is none, or lacks what is needed.
        """
        architecture = type(model).__name__
        kind: Kind = "encoder"
        if "CausalLM" in architecture or "LMHead" in architecture:
            kind = "causal"
        elif "MaskedLM" in architecture:
            kind = "masked"
        return cls.checked(model, tokenizer, kind, str(getattr(model, "name_or_path", "") or architecture))

    @classmethod
    def checked(cls, model: Any, tokenizer: Any, kind: Kind, name: str) -> LanguageModel:
        """Of a model whose kind is known, once it is sure that it can be asked."""
        # transformers makes an empty tokenizer where there are no files of one.
        if tokenizer is None or len(tokenizer) <= len(tokenizer.all_special_tokens):
            raise InputError(f'"{name}" has no tokenizer; put its tokenizer.json (or vocab files) beside its weights')
        if not tokenizer.is_fast:
            raise InputError(f'"{name}": its tokenizer does not say where a token stands; it needs a tokenizer.json')
        size = int(model.get_input_embeddings().weight.shape[0])
        if len(tokenizer) > size:
            raise InputError(f'"{name}": its tokenizer has {len(tokenizer)} words, its weights only {size}')
        if kind == "masked" and tokenizer.mask_token_id is None:
            raise InputError(
                f'"{name}" is a masked language model whose tokenizer has no mask token, so nothing can be hidden from '
                "it; set mask_token in its tokenizer_config.json"
            )
        return cls(model.eval(), tokenizer, kind, name)

    def encode(self, filled: Filled) -> tuple[list[int], list[int]]:
        """Token ids of a sentence, and which of them are the target's.

        Raises
        ------
        InputError
            The tokenizer cannot spell the target, or the sentence is too long.
        """
        found = self.tokenizer(filled.text, return_offsets_mapping=True)
        ids = list(found["input_ids"])
        low, high = filled.target
        mine = [at for at, (start, end) in enumerate(found["offset_mapping"]) if start < high and end > low]
        unknown = self.tokenizer.unk_token_id
        text = filled.text[low:high]
        known = [ids[at] for at in mine if ids[at] != unknown]
        if high > low and (not mine or len(known) < len(mine)):
            raise InputError(f'the target "{text}" cannot be spelt by the tokenizer of "{self.name}"; leave it out')
        if len(ids) > self._longest():
            raise InputError(f'the target "{text[:40]}…" is too long for "{self.name}" ({self._longest()} tokens)')
        return ids, mine

    def _longest(self) -> int:
        limit = getattr(self.model.config, "max_position_embeddings", None) or 1 << 20
        # RoBERTa and its kin count positions from behind the padding token.
        return min(int(self.tokenizer.model_max_length), int(limit) - 2)

    def at_blank(self, masked: str, written: Sequence[str]) -> list[int | None]:
        """Ids of the one token by which each sentence differs from that with the mask; None where it is several.

        So a fill gets the token of its place: with the capital and the blank that belong there.
        """
        with_mask = list(self.tokenizer(masked)["input_ids"])
        at = with_mask.index(self.tokenizer.mask_token_id)
        found: list[int | None] = []
        for ids in self.tokenizer(list(written))["input_ids"]:
            same = len(ids) == len(with_mask) and ids[:at] == with_mask[:at] and ids[at + 1 :] == with_mask[at + 1 :]
            found.append(int(ids[at]) if same and ids[at] != self.tokenizer.unk_token_id else None)
        return found

    def started(self, ids: Sequence[int]) -> list[int]:
        """Ids behind what a text begins with, so that a causal model says how likely the first token is.

        It is the tokenizer's own start of text or, where it has none, its end of text, which stands between texts.
        """
        start = self.tokenizer.bos_token_id
        start = self.tokenizer.eos_token_id if start is None else start
        ids = list(ids)
        return ids if start is None or ids[:1] == [start] else [start, *ids]

    def batches(self, sequences: Sequence[Sequence[int]], *, width: int) -> Iterator[tuple[list[int], Any, Any]]:
        """Sequences of like length together: their numbers, ids and mask of what is no padding.

        Parameters
        ----------
        sequences : sequence of sequence of int
            Token ids.
        width : int
            Numbers that the model gives for a token, for the memory of a batch.
        """
        import torch

        device = next(self.model.parameters()).device
        order = sorted(range(len(sequences)), key=lambda at: len(sequences[at]))
        padding = self.tokenizer.pad_token_id
        padding = 0 if padding is None else padding
        while order:
            longest = max(1, len(sequences[order[-1]]))
            size = max(1, min(256, _LOGITS // (longest * width)))
            chosen, order = order[-size:], order[:-size]
            ids = torch.full((len(chosen), longest), padding, dtype=torch.long)
            seen = torch.zeros((len(chosen), longest), dtype=torch.long)
            for row, at in enumerate(chosen):
                ids[row, : len(sequences[at])] = torch.tensor(list(sequences[at]))
                seen[row, : len(sequences[at])] = 1
            yield chosen, ids.to(device), seen.to(device)

    def logits(self, sequences: Sequence[Sequence[int]], places: Sequence[int]) -> Iterator[tuple[int, Floats]]:
        """What the model gives for every word of its vocabulary at one place of each sequence, in any order."""
        import torch

        with torch.inference_mode():
            for chosen, ids, seen in self.batches(sequences, width=self.vocabulary):
                given = self.model(input_ids=ids, attention_mask=seen).logits
                for row, at in enumerate(chosen):
                    yield at, given[row, places[at]].double().cpu().numpy()

    def likelihood(self, sequences: Sequence[Sequence[int]]) -> Floats:
        """Log probability of each sequence under a causal model: of all tokens but the first, in nats."""
        import torch

        found = np.zeros(len(sequences))
        with torch.inference_mode():
            for chosen, ids, seen in self.batches(sequences, width=self.vocabulary):
                given = self.model(input_ids=ids, attention_mask=seen).logits[:, :-1].float()
                each = given.gather(2, ids[:, 1:, None])[..., 0].double() - given.logsumexp(2).double()
                found[chosen] = (each * seen[:, 1:]).sum(1).cpu().numpy()
        return found

    def states(self, sequences: Sequence[Sequence[int]], places: Sequence[Sequence[int]]) -> Floats:
        """Mean over the given places of the last layer's states, one row a sequence."""
        import torch

        body = self.model.base_model
        width = int(self.model.get_input_embeddings().weight.shape[1])
        found: list[Floats | None] = [None] * len(sequences)
        with torch.inference_mode():
            for chosen, ids, seen in self.batches(sequences, width=8 * width):
                given = body(input_ids=ids, attention_mask=seen).last_hidden_state
                for row, at in enumerate(chosen):
                    found[at] = given[row, list(places[at])].double().mean(0).cpu().numpy()
        return np.array(found)

    @property
    def vocabulary(self) -> int:
        """Rows of the embedding matrix."""
        return int(self.model.get_input_embeddings().weight.shape[0])

    @contextmanager
    def wearing(self, weights: Mapping[str, Any] | None) -> Iterator[None]:
        """Put other weights on the model's body for the time of a block; the head stays, a tied one follows.

        Parameters
        ----------
        weights : mapping from str to torch.Tensor, optional
            State of a model with this body: its own, or that of one that classifies sequences. What is outside the
            body (a classification head, a pooler) is left out.

        Raises
        ------
        InputError
            They are no weights of this body.
        """
        if weights is None:
            yield
            return
        body = self.model.base_model
        own = body.state_dict()
        prefix = f"{self.model.base_model_prefix}."
        inner = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        inner = inner or dict(weights)
        lacking = [name for name, _ in body.named_parameters() if name not in inner]
        # A pooler is read by classification heads only, so a state without one is whole for our purpose.
        lacking = [name for name in lacking if not name.startswith("pooler.")]
        wrong = [name for name in own if name in inner and inner[name].shape != own[name].shape]
        if lacking or wrong:
            raise InputError(
                f'these weights do not fit the body of "{self.name}": {(lacking + wrong)[0]} is '
                f"{'missing' if lacking else 'of another shape'}; give the weights of the same model"
            )
        before = {name: value.detach().clone() for name, value in own.items() if name in inner}
        body.load_state_dict({name: inner[name] for name in before}, strict=False)
        try:
            yield
        finally:
            body.load_state_dict(before, strict=False)
