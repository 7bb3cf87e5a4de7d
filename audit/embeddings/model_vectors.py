"""The input embeddings of a Hugging Face model as word vectors: of tokens that are whole words.

Weights are read from safetensors as the bytes that they are, without torch; the vocabulary from tokenizer.json.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ...data.errors import InputError
from ...data.files import sha256_files
from ...data.tokens import tokenize
from .vectors import Floats, Vectors

if TYPE_CHECKING:
    from .vectors import Wanted

# How the input embeddings end in the names of tensors: BERT and its kin, Llama and its kin, GPT-2, T5, XLNet,
# ModernBERT, CTRL, fairseq's.
_NAMES = (
    "word_embeddings.weight",
    "embed_tokens.weight",
    "wte.weight",
    "shared.weight",
    "word_embedding.weight",
    "tok_embeddings.weight",
    "embed_in.weight",
    "transformer.w.weight",
)
_TYPES = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "BF16": "<u2"}
_LARGEST_HEADER = 100 << 20  # the format's own limit


def read_model(folder: Path, keep: Wanted | None, *, source: str | None = None) -> Vectors:
    """Read the input embeddings of the whole-word tokens of a model.

    Parameters
    ----------
    folder : Path
        With config.json, tokenizer.json and safetensors.
    keep : Wanted or None
        Which words; None: all.
    source : str, optional
        What the vectors are called; by default the folder's name.

    Raises
    ------
    InputError
        Something is missing or damaged, or there are no weights in safetensors.

    Notes
    -----
    A token is a whole word if it stands at the beginning of a word (no ``##`` in front in WordPiece, the mark ``Ġ`` or
    ``▁`` in front in the others) and is one word to evenset's tokenizer. It may still begin longer words. Where two
    tokens are one word when their accents are composed, the first counts.
    """
    name = folder.name if source is None else source
    shown = f'--vectors: "{name}"'
    for file in ("config.json", "tokenizer.json"):
        if not (folder / file).is_file():
            raise InputError(f"{shown} has no {file}, so it is no folder of a Hugging Face model with a fast tokenizer")
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise InputError(
            f"{shown} has no weights in safetensors; other forms are pickles, which can run code and are never loaded"
        )
    tokens = whole_words(_json(folder / "tokenizer.json", shown), shown)
    path, entry, start = _embeddings(files, shown)
    matrix = _tensor(path, entry, start, shown)
    if tokens and max(tokens.values()) >= len(matrix):
        raise InputError(
            f"{shown} has {len(matrix):,} embeddings, and tokens up to number {max(tokens.values()):,}; the tokenizer "
            "belongs to another model"
        )
    kept = {word: row for word, row in tokens.items() if keep is None or keep(row, word.encode())}
    rows = np.fromiter(kept.values(), np.int64, len(kept))
    return Vectors.of(
        list(kept),
        _floats(matrix[rows], entry["dtype"]),
        source=name,
        sha256=sha256_files([*files, folder / "tokenizer.json"]),
        ranks=rows,
        notes=[f"{len(tokens):,} of {len(matrix):,} tokens are whole words"],
    )


def whole_words(tokenizer: Mapping[str, Any], shown: str = "tokenizer.json") -> dict[str, int]:
    """Words of a tokenizer.json and their rows, in the order of the rows.

    Examples
    --------
    >>> whole_words({"model": {"type": "WordPiece", "vocab": {"[PAD]": 0, "she": 1, "##s": 2, "!": 3, "he": 4}},
    ...              "added_tokens": [{"content": "[PAD]"}]})
    {'she': 1, 'he': 4}
    """
    given = tokenizer.get("model")
    model: dict[str, Any] = given if isinstance(given, dict) else {}
    listed = model.get("vocab")
    if isinstance(listed, list):  # Unigram: pairs of a token and its score
        listed = {pair[0]: row for row, pair in enumerate(listed)}
    if not isinstance(listed, dict) or not listed:
        raise InputError(f"{shown} holds no vocabulary that evenset can read; its tokenizer.json has no model.vocab")
    special = {str(token.get("content")) for token in tokenizer.get("added_tokens") or ()}
    vocabulary = sorted(((str(token), int(row)) for token, row in listed.items()), key=lambda item: item[1])
    vocabulary = [item for item in vocabulary if item[0] not in special]
    kind = model.get("type") or ("WordPiece" if "continuing_subword_prefix" in model else "BPE")
    mark, inner = "", None
    if kind == "WordPiece":
        inner = str(model.get("continuing_subword_prefix") or "##")
    elif kind != "WordLevel":
        mark = max(("Ġ", "▁"), key=lambda sign: sum(token.startswith(sign) for token, _ in vocabulary))
    bytes_of = _byte_level() if mark == "Ġ" else None
    found: list[tuple[str, int]] = []
    for token, row in vocabulary:
        if token.startswith(mark) and not (inner and token.startswith(inner)):
            word = token.removeprefix(mark)
            found.append((word if bytes_of is None else _decoded(word, bytes_of), row))
    return dict(found[at] for at in _one_word(word for word, _ in found))


def _one_word(words: Iterable[str]) -> list[int]:
    """Places of the words that are exactly one token of evenset's, of equal ones the first."""
    listed = list(words)
    tokens = tokenize(pa.array(listed, pa.large_string()))
    single = np.flatnonzero(np.diff(tokens.splits) == 1)
    first = tokens.splits[single]
    whole = tokens.ends[first] - tokens.starts[first] == np.diff(tokens.offsets)[single]
    seen: dict[str, int] = {}
    for place in single[whole].tolist():
        seen.setdefault(listed[place], place)
    return list(seen.values())


def _byte_level() -> dict[str, int]:
    """The characters by which byte-level BPE writes bytes: printable ones stand for themselves (GPT-2)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in set(plain)]
    return {chr(byte): byte for byte in plain} | {chr(256 + at): byte for at, byte in enumerate(others)}


def _decoded(token: str, bytes_of: Mapping[str, int]) -> str:
    """The text of a byte-level token; empty where it is only part of a character."""
    try:
        return bytes(bytes_of[sign] for sign in token).decode("utf-8")
    except (KeyError, UnicodeDecodeError):
        return ""


def _json(path: Path, shown: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{shown}: {path.name} cannot be read as JSON ({str(error).splitlines()[0]})") from None
    if not isinstance(content, dict):
        raise InputError(f"{shown}: {path.name} holds no JSON object")
    return content


def _header(path: Path, shown: str) -> tuple[dict[str, Any], int]:
    """The tensors that a safetensors file names, and where their bytes begin."""
    damaged = InputError(f"{shown}: {path.name} is damaged or no safetensors file; copy or download it again")
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if not 2 <= size <= _LARGEST_HEADER:
            raise damaged
        try:
            header = json.loads(file.read(size))
        except ValueError:
            raise damaged from None
    if not isinstance(header, dict):
        raise damaged
    return header, 8 + size


def _embeddings(files: list[Path], shown: str) -> tuple[Path, dict[str, Any], int]:
    """Which file holds the input embeddings, what its header says of them, and where the bytes begin."""
    found: list[tuple[int, int, str, Path, dict[str, Any], int]] = []
    for path in files:
        header, start = _header(path, shown)
        for name, entry in header.items():
            for order, ending in enumerate(_NAMES):
                if (name == ending or name.endswith("." + ending)) and len(entry.get("shape", ())) == 2:
                    found.append((order, len(name), name, path, entry, start))
    if not found:
        raise InputError(
            f"{shown} has no input embeddings under a name that evenset knows ({', '.join(_NAMES)}); save them as .npy "
            "with their words beside it"
        )
    _, _, _, path, entry, start = min(found, key=lambda item: item[:3])
    return path, entry, start


def _tensor(path: Path, entry: Mapping[str, Any], start: int, shown: str) -> Any:
    """A tensor of two dimensions, mapped into memory."""
    kind = _TYPES.get(str(entry.get("dtype")))
    if kind is None:
        raise InputError(
            f"{shown}: the input embeddings in {path.name} are {entry.get('dtype')}; evenset reads {', '.join(_TYPES)}"
        )
    rows, columns = (int(size) for size in entry["shape"])
    begin, end = (int(offset) for offset in entry.get("data_offsets", (0, 0)))
    if end - begin != rows * columns * np.dtype(kind).itemsize or start + end > path.stat().st_size or begin < 0:
        raise InputError(f"{shown}: {path.name} is damaged or cut off; copy or download it again")
    return np.memmap(path, kind, "r", start + begin, (rows, columns))


def _floats(values: Any, dtype: str) -> Floats:
    if dtype != "BF16":
        result: Floats = np.asarray(values, np.float32)
        return result
    # bfloat16 is the upper half of a float32.
    return (np.asarray(values, np.uint32) << np.uint32(16)).view(np.float32)
