"""A model as the upstream measures need it: with its language-model head where it has one, and given weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ...data.errors import InputError, require
from ...data.packages import PACKAGE, carried
from ..checkpoint import _quiet, resolve
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
        return cls._checked(model, tokenizer, kind, str(getattr(model, "name_or_path", "") or architecture))

    @classmethod
    def _checked(cls, model: Any, tokenizer: Any, kind: Kind, name: str) -> LanguageModel:
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

    def at_blank(self, template_text: str, filled_text: str, fill: str) -> int | None:
        """Id of the one token by which a fill differs from the mask, in its place; None where it is several.

        Parameters
        ----------
        template_text, filled_text : str
            The sentence with the mask and with the fill.
        fill : str
            The fill.
        """
        masked = self.tokenizer(template_text)["input_ids"]
        written = self.tokenizer(filled_text)["input_ids"]
        if len(masked) != len(written) or fill == "":
            return None
        at = masked.index(self.tokenizer.mask_token_id)
        same = masked[:at] == written[:at] and masked[at + 1 :] == written[at + 1 :]
        return int(written[at]) if same and written[at] != self.tokenizer.unk_token_id else None

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


def open_lm(model: str, *, device: str = "auto") -> LanguageModel:
    """Open a model for measuring: with its language-model head if its weights have one.

    Parameters
    ----------
    model : str
        A folder, a ``.gguf`` file, ``package:NAME`` or an id of the Hugging Face hub.
    device : {"auto", "cpu", "cuda"}
        Where it lies.

    Returns
    -------
    LanguageModel
        In float32.

    Raises
    ------
    InputError
        There is no such model, it cannot be loaded, or it has no tokenizer.
    """
    if not model.strip() or model == "linear":
        raise InputError(f'model "{model}": nothing comes before its training; name a folder, package:NAME or a hub id')
    for module in ("torch", "transformers"):
        require(module, extra="finetune", why="measuring a model")
    file = _gguf(model)
    try:
        folder = file.parent if file else resolve(model)
        with _quiet(folder):
            loaded, kind = _loaded(folder, file)
        tokenizer = _tokenizer(folder, file)
    except InputError as error:
        said = str(error).replace("finetune.model: ", "model: ").replace('say "linear", a folder', "say a folder")
        raise InputError(said.replace(" as a model that classifies text", "")) from error
    return LanguageModel._checked(loaded.to(_device(device)), tokenizer, kind, model)


def _device(name: str) -> str:
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise InputError('device "cuda": there is no CUDA device here; say cpu or auto')
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def _gguf(model: str) -> Path | None:
    """The GGUF file of a model that comes as nothing else."""
    if model.startswith(PACKAGE):
        name = model.removeprefix(PACKAGE)
        files = carried(name, "*.gguf").files
        return files[0] if files and not carried(name, "*.safetensors").files else None
    path = Path(model).expanduser()
    if path.is_file() and path.suffix == ".gguf":
        return path
    files = tuple(sorted(path.glob("*.gguf"))) if path.is_dir() and not list(path.glob("*.safetensors")) else ()
    if len(files) > 1:
        raise InputError(f'model "{model}" holds {len(files)} GGUF files; name one of them: {files[0]}')
    return files[0] if files else None


def _loaded(folder: Path, file: Path | None) -> tuple[Any, Kind]:
    """The model with the head that its weights bring."""
    import torch
    import transformers as tf

    common: dict[str, Any] = {"dtype": torch.float32, "trust_remote_code": False, "local_files_only": True}
    if file is not None:
        require("gguf", extra="finetune", why="reading a GGUF file")
        return tf.AutoModelForCausalLM.from_pretrained(folder, gguf_file=file.name, **common), "causal"
    config = tf.AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    if getattr(config, "is_encoder_decoder", False):
        raise ValueError("it is an encoder-decoder; give an encoder, a masked or a causal language model")
    common["use_safetensors"] = True
    named = " ".join(getattr(config, "architectures", None) or ())
    causal = "CausalLM" in named or type(config) not in tf.MODEL_FOR_MASKED_LM_MAPPING
    if not causal or type(config) in tf.MODEL_FOR_CAUSAL_LM_MAPPING:
        maker = tf.AutoModelForCausalLM if causal else tf.AutoModelForMaskedLM
        model, info = maker.from_pretrained(folder, output_loading_info=True, **common)
        body = f"{model.base_model_prefix}."
        lacking = [*info["missing_keys"], *(k if isinstance(k, str) else k[0] for k in info["mismatched_keys"])]
        if any(name.startswith(body) for name in lacking):
            raise ValueError("its weights do not fit its config.json; some of the body's are missing")
        if not lacking:
            return model, "causal" if causal else "masked"
    return tf.AutoModel.from_pretrained(folder, **common), "encoder"


def _tokenizer(folder: Path, file: Path | None) -> Any:
    from transformers import AutoTokenizer

    extra = {} if file is None else {"gguf_file": file.name}
    try:
        with _quiet(folder):
            return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True, **extra)
    except InputError as error:
        raise InputError(f'model: "{folder}" has no tokenizer that can be read: {error.__cause__}') from error
