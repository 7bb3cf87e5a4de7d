"""Whether texts are in English at all: an English word list sees nothing in a text of another language.

Two cheap signs: function words (of English, and of six other languages in Latin script) and letters of other scripts.
"""

from __future__ import annotations

import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from ...data.tokens import Tokens

Bools = npt.NDArray[np.bool_]

LONG = 15
"""Words from which a text without English function words counts as another language."""

LEAST_SHARE = 0.05
LEAST_BROAD = 0.20
LEAST_POOLED = 0.25
# Pooled share of English function words (of both lists): .37 to .55 in five English corpora, encyclopaedia to chat; .05
# to .19 in short texts of German, French, Spanish, Dutch and Polish.


@cache
def _lists() -> tuple[frozenset[str], frozenset[str], tuple[frozenset[str], ...]]:
    content = tomllib.loads((resources.files(__package__) / "function_words.toml").read_text(encoding="utf-8"))
    only = frozenset(content["english"]["only"].split())
    english = only | frozenset(content["english"]["any"].split())
    others = [frozenset(words.split()) for words in content["other"].values()]
    return only, english, tuple(words - english for words in others)


@dataclass(frozen=True, slots=True)
class Languages:
    """What was seen, row by row.

    Attributes
    ----------
    other : bool array
        Rows in another language.
    known : bool array
        Rows that could be judged; shorter ones without any sign could not.
    pooled : float
        Share of English function words among all words of the rows in Latin script; NaN without such words.
    foreign_letters : float
        Share of letters that are not Latin.
    """

    other: Bools
    known: Bools
    pooled: float
    foreign_letters: float


def languages(tokens: Tokens) -> Languages:
    """Judge which rows are not English.

    Parameters
    ----------
    tokens : Tokens
        The texts.

    Notes
    -----
    A row is in another language when most of its letters are not Latin; or it has two or more function words of one of
    the six other languages and more of them than of English; or it has fifteen words or more and fewer than one in
    twenty is a function word of English alone, and fewer than one in five of English at all. A row is known to be
    English by two function words, or one in twenty of its words. Lists of names, code and headlines have few function
    words and may be taken for another language; a language that is neither in the lists nor in another
    script is seen only in texts of fifteen words or more.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from evenset.data.tokens import tokenize
    >>> text = ["She is a nurse and she likes it.", "Sie ist Ärztin und sie hat eine Praxis.", "她是护士。", "ok"]
    >>> found = languages(tokenize(pa.array(text)))
    >>> found.other.tolist(), found.known.tolist()
    ([False, True, True, False], [True, True, True, False])
    """
    only, english, others = _lists()
    words = tokens.folded
    rows = tokens.rows()
    n = tokens.n_rows

    def hits(chosen: frozenset[str]) -> npt.NDArray[np.float64]:
        seen = np.fromiter((word in chosen for word in words), np.bool_, len(words))
        return np.bincount(rows[seen[tokens.ids]], minlength=n).astype(np.float64)

    letters = np.fromiter((sum(map(str.isalpha, word)) for word in words), np.int64, len(words))
    strange = np.fromiter((0 if word.isascii() else _foreign(word) for word in words), np.int64, len(words))
    all_letters = np.bincount(rows, letters[tokens.ids], n)
    foreign = np.bincount(rows, strange[tokens.ids], n)
    latin = 2 * foreign <= all_letters
    size = np.diff(tokens.splits)
    strict, broad = hits(only), hits(english)
    best = np.max([hits(words) for words in others], axis=0) if n else np.zeros(0)
    other = ~latin | ((best >= 2) & (best > strict)) | _without(size, strict, broad)
    known = other | (broad >= 2) | ((broad >= 1) & (broad >= LEAST_SHARE * size))
    total = float(size[latin].sum())
    return Languages(
        other=other,
        known=known,
        pooled=float(broad[latin].sum()) / total if total else float("nan"),
        foreign_letters=float(foreign.sum() / max(all_letters.sum(), 1)),
    )


def _without(size: npt.NDArray[np.int64], strict: npt.NDArray[np.float64], broad: npt.NDArray[np.float64]) -> Bools:
    """Long texts with hardly a function word of English."""
    found: Bools = (size >= LONG) & (strict < LEAST_SHARE * size) & (broad < LEAST_BROAD * size)
    return found


def _foreign(word: str) -> int:
    """Letters of a word that are not Latin."""
    return sum(map(_not_latin, word))


@cache
def _not_latin(character: str) -> bool:
    return character.isalpha() and not unicodedata.name(character, "").startswith("LATIN")
