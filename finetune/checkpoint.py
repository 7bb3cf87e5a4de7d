"""How a model is loaded, without pickles and without any code of its own, and the weights that a run starts from."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stderr
from dataclasses import dataclass, field
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from ..data.config import UpstreamConfig
from ..data.errors import InputError, require
from ..data.hashing import hash64, mix
from .origin import fingerprint, gguf_of, resolve

__all__ = ["Checkpoint", "fingerprint", "gguf_of", "number_of", "resolve"]

_WHY = "fine-tuning an encoder"
# The last is all that tokenizers of bytes or characters have.
_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model", "spm.model",
               "sentencepiece.bpe.model", "tokenizer_config.json")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model folder, ready to give fresh weights for any seed.

    Attributes
    ----------
    folder : Path
    n_labels : int
    model : torch.nn.Module
        On the CPU in float32, with the released weights; the head's are without meaning.
    head : tuple of str
        Parameters that the released weights do not bring, and all outside the encoder's body.
    upstreams : mapping of str to UpstreamConfig
        Levers by name.
    """

    folder: Path
    n_labels: int
    model: Any
    head: tuple[str, ...]
    upstreams: Mapping[str, UpstreamConfig] = field(default_factory=dict)
    _tokenizers: list[Any] = field(default_factory=list, repr=False)
    _described: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, folder: Path, n_labels: int, *, upstreams: Mapping[str, UpstreamConfig] | None = None) -> Checkpoint:
        """Load the released weights with a classification head for so many labels.

        Raises
        ------
        InputError
            The folder does not hold a model that classifies sequences.
        """
        require("torch", extra="finetune", why=_WHY)
        require("transformers", extra="finetune", why=_WHY)
        import torch
        from transformers import AutoModelForSequenceClassification

        gguf = gguf_of(folder)
        if gguf is not None and find_spec("gguf") is None:
            raise InputError(
                f'finetune.model: "{folder / gguf}" is in the form GGUF, which takes the package gguf to read; run '
                "`pip install gguf`"
            )
        # transformers counts the tensors of a GGUF file aloud, whatever its own settings say.
        with _quiet(folder), redirect_stderr(StringIO()) if gguf else nullcontext():
            model, info = AutoModelForSequenceClassification.from_pretrained(
                folder,
                num_labels=n_labels,
                dtype=torch.float32,
                **({"use_safetensors": True} if gguf is None else {"gguf_file": gguf}),
                trust_remote_code=False,
                local_files_only=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
            if gguf is not None:
                model = _plain(model)
        config = model.config.get_text_config()
        config.use_cache = False  # of keys and values, for writing text
        names = [name for name, _ in model.named_parameters()]
        lacking = set(info["missing_keys"]) | {
            key if isinstance(key, str) else key[0] for key in info["mismatched_keys"]
        }
        if len(lacking & set(names)) > len(names) / 2:
            raise InputError(
                f'finetune.model: the weights in "{folder}" do not fit its config.json; most of them are missing'
            )
        body = f"{model.base_model_prefix}."
        head = tuple(name for name in names if name in lacking or not name.startswith(body))
        found = cls(folder, n_labels, model, head, dict(upstreams or {}))
        # A decoder classifies by the last token that is no padding, so it has to know what padding is.
        if config.pad_token_id is None or config.pad_token_id >= _rows(model):
            config.pad_token_id = found.tokenizer().pad_token_id
        return found

    def tokenizer(self) -> Any:
        """The model's tokenizer, with a token for padding that the model knows.

        Raises
        ------
        InputError
            There is none, or it belongs to another model.
        """
        if not self._tokenizers:
            self._tokenizers.append(self._load_tokenizer())
        return self._tokenizers[0]

    def _load_tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        gguf = gguf_of(self.folder)
        if gguf is None and not any((self.folder / name).is_file() for name in _TOKENIZERS):
            raise InputError(
                f'finetune.model: "{self.folder}" has no tokenizer (none of {", ".join(_TOKENIZERS)}); save the '
                "model's tokenizer there too"
            )
        with _quiet(self.folder):
            tokenizer = AutoTokenizer.from_pretrained(
                self.folder, **({} if gguf is None else {"gguf_file": gguf}), trust_remote_code=False,
                local_files_only=True,
            )  # fmt: skip
        rows = _rows(self.model)
        if int(tokenizer.vocab_size) > rows:
            raise InputError(
                f'finetune.model: the tokenizer in "{self.folder}" has {tokenizer.vocab_size} tokens and the model '
                f"embeds {rows}; it belongs to another model"
            )
        # What the model takes for padding comes first: a decoder looks for the last token that is none.
        config = self.model.config.get_text_config()
        known = (config.pad_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id, 0)
        tokenizer.pad_token_id = next(int(token) for token in known if isinstance(token, int) and 0 <= token < rows)
        tokenizer.padding_side = tokenizer.truncation_side = "right"
        return tokenizer

    def longest(self, tokenizer: Any) -> int:
        """Most tokens the model takes."""
        config = self.model.config.get_text_config()
        limits = [int(tokenizer.model_max_length), int(getattr(config, "max_position_embeddings", 0) or 10**9)]
        # RoBERTa and its kin count positions from behind the padding token.
        offset = (
            2 if getattr(self.model.config, "model_type", "") in ("roberta", "xlm-roberta", "camembert", "mpnet") else 0
        )
        return min(limits[0], limits[1] - offset)

    def weights(self, *, seed: int, upstream: str) -> dict[str, Any]:
        """Weights to start a run from.

        Parameters
        ----------
        seed : int
            Of everything that is drawn. The head is the same in all arms of a seed.
        upstream : str
            "pretrained"; "random", the whole model drawn as its architecture prescribes; or the name of a lever.

        Raises
        ------
        InputError
            There is no such lever, or the model has not what it changes.
        """
        source = self._random(seed) if upstream == "random" else self.model
        state = {name: value.detach().clone() for name, value in source.state_dict().items()}
        if upstream not in ("pretrained", "random"):
            from .upstream.levers import changed, spec_of

            spec = spec_of(self.upstreams, upstream)
            state |= changed(self.model, spec, name=upstream, seed=seed, tokenizer=self.tokenizer())
        spread = float(getattr(self.model.config, "initializer_range", 0.02) or 0.02)
        for name in self.head:
            state[name] = _drawn(name, state[name], seed, spread)
        return state

    def described(self, upstream: str) -> dict[str, Any]:
        """What a run's record says of its lever; nothing where there is none."""
        if upstream not in self.upstreams:
            return {}
        if upstream not in self._described:
            from .upstream.levers import described

            spec = self.upstreams[upstream]
            self._described[upstream] = described(self.model, spec, name=upstream, tokenizer=self.tokenizer())
        return {"upstream": self._described[upstream]}

    def _random(self, seed: int) -> Any:
        import torch
        from transformers import AutoModelForSequenceClassification

        # Only the process-wide generator reaches into a model's own initialisation; it is put back afterwards.
        with torch.random.fork_rng(devices=[]), _quiet(self.folder):
            torch.manual_seed(number_of(seed, "evenset.random"))
            return AutoModelForSequenceClassification.from_config(self.model.config)


def _rows(model: Any) -> int:
    """How many tokens the model embeds; without limit where that is no matrix."""
    try:
        weight = model.get_input_embeddings().weight
    except (NotImplementedError, AttributeError):
        return 1 << 62
    return int(weight.shape[0])


def _plain(model: Any) -> Any:
    """The same weights in a model that no longer knows that they were quantised."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    given = model.config.to_dict()
    given.pop("quantization_config", None)
    with torch.random.fork_rng(devices=[]):
        fresh = AutoModelForSequenceClassification.from_config(AutoConfig.for_model(**given))
    fresh.load_state_dict(model.state_dict())
    return fresh


def number_of(seed: int, purpose: str) -> int:
    """A seed for torch from a seed and a purpose."""
    return int(mix(np.zeros(1, np.uint64), salt=(seed, purpose))[0] >> np.uint64(1))


def _drawn(name: str, like: Any, seed: int, spread: float) -> Any:
    """A head's weights: normal for matrices, 1 for the scale of a norm, 0 for biases."""
    import torch

    if like.ndim < 2:
        return torch.ones_like(like) if name.endswith("weight") else torch.zeros_like(like)
    own = int(hash64([name], salt="evenset.head")[0] >> np.uint64(33))
    generator = torch.Generator().manual_seed(number_of(seed, f"evenset.head.{own}"))
    return torch.empty(like.shape, dtype=like.dtype).normal_(0.0, spread, generator=generator)


@contextmanager
def _quiet(folder: Path) -> Iterator[None]:
    """Keep transformers from printing about a new head, which is meant to be new; name the folder in errors."""
    from safetensors import SafetensorError
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    except (OSError, ValueError, KeyError, IndexError, struct.error, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f'finetune.model: "{folder}" cannot be loaded as a model that classifies text: {reason}'
        ) from error
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
