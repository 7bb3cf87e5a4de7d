"""Where a model to be measured comes from: a folder, a GGUF file, a package or the hub; no pickle, none of its code."""

from __future__ import annotations

from contextlib import nullcontext, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

from ...data.errors import InputError, require
from ...data.packages import PACKAGE, carried
from ..checkpoint import _quiet, resolve
from .language import Kind, LanguageModel


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
        # transformers counts the tensors of a GGUF file aloud, whatever its own settings say.
        with _quiet(folder), redirect_stderr(StringIO()) if file else nullcontext():
            loaded, kind = _loaded(folder, file)
        tokenizer = _tokenizer(folder, file)
    except InputError as error:
        said = str(error).replace("finetune.model: ", "model: ").replace('say "linear", a folder', "say a folder")
        raise InputError(said.replace(" as a model that classifies text", "")) from error
    return LanguageModel.checked(loaded.to(_device(device)), tokenizer, kind, model)


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
