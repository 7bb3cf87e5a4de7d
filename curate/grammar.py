"""The few rules of English that swapping words needs: the case of a pronoun, a or an, and capitals.

They look at the word and at the next one, nothing more; word lists are in ``grammar.toml``. Rules are chosen so that
swapping to the opposite can be undone by swapping again, and where it cannot, the caller leaves the word alone.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..data.lexicon import Form
from ..data.tokens import Tokens
from .edits import Bools, Ints, gather

# What may stand between a pronoun and the word that it determines: blanks, perhaps opening quotation marks or a tag's
# sign ("his #1 fan").
_CLOSE = re.compile(r"\s+[\"'“‘«`*#@]{0,3}\Z")
# "her now very well known book"
_MOST_ADVERBS = 3
_VOWEL = re.compile(r"[aeiouyáàâäãåéèêëíìîïóòôöõúùûüœæ]")


@cache
def _lists() -> dict[str, dict[str, str]]:
    with (Path(__file__).parent / "grammar.toml").open("rb") as handle:
        lists: dict[str, dict[str, str]] = tomllib.load(handle)
    return lists


@cache
def _not_nouns() -> frozenset[str]:
    return frozenset(word for words in _lists()["not_nouns"].values() for word in words.split())


@cache
def _degree() -> frozenset[str]:
    return frozenset(_lists()["degree"]["words"].split())


@cache
def _nouns_in_ly() -> frozenset[str]:
    return frozenset(_lists()["nouns_in_ly"]["words"].split())


@cache
def _prefixes(name: str) -> tuple[str, ...]:
    return tuple(_lists()["articles"][name].split())


def noun_like(folded: str) -> bool | None:
    """Whether a word may begin what a determiner determines; None: an adverb, so that the word after it decides.

    Whatever is not known to be something else may begin a noun phrase.

    Examples
    --------
    >>> [noun_like(word) for word in ("book", "red", "and", "family", "most", "critically")]
    [True, True, False, True, None, None]
    """
    if folded in _not_nouns():
        return False
    if folded in _degree() or (folded.endswith("ly") and len(folded) > 4 and folded not in _nouns_in_ly()):
        return None
    return True


def before_noun(tokens: Tokens, token: Ints, length: Ints, *, words: frozenset[str]) -> Bools:
    """Whether each match (first token, number of tokens) stands before a noun-like word, adverbs between them allowed.

    Parameters
    ----------
    tokens : Tokens
        Of a batch.
    token, length : int64 arrays
        First token and number of tokens of each match.
    words : frozenset of str
        Folded words that never count as nouns besides the listed ones: the lexicon's own, since a swap changes them.
    """
    result = np.zeros(len(token), np.bool_)
    open_cases = np.arange(len(token))
    following = token + length
    last = tokens.splits[tokens.row_of(token) + 1]
    for _ in range(_MOST_ADVERBS + 1):
        there = following[open_cases] < last[open_cases]
        open_cases = open_cases[there]
        if not len(open_cases):
            break
        word = following[open_cases]
        kind = _kinds(tokens, word, words)
        # "her on-screen partner": before a hyphen any word begins a compound.
        kind[_hyphenated(tokens, word, last[open_cases])] = 1
        kind[~_close(tokens, word)] = 0
        result[open_cases[kind == 1]] = True
        open_cases = open_cases[kind == 2]
        following[open_cases] += 1
    return result


def _kinds(tokens: Tokens, word: Ints, words: frozenset[str]) -> npt.NDArray[np.int8]:
    """0 no noun, 1 noun-like, 2 ask the next word; for each of the given tokens."""
    used, back = np.unique(tokens.ids[word], return_inverse=True)
    folded = [tokens.folded[spelling] for spelling in used.tolist()]
    kinds = [0 if text in words else {False: 0, True: 1, None: 2}[noun_like(text)] for text in folded]
    return np.array(kinds, np.int8)[back]


def _close(tokens: Tokens, word: Ints) -> Bools:
    """Whether only blanks, perhaps with an opening quotation mark, separate each token from the one before it."""
    gaps = gather(tokens.data, tokens.ends[word - 1], tokens.starts[word]).dictionary_encode()
    close = np.array([_CLOSE.match(gap) is not None for gap in gaps.dictionary.to_pylist()], np.bool_)
    result: Bools = close[gaps.indices.to_numpy()]
    return result


def _hyphenated(tokens: Tokens, word: Ints, last: Ints) -> Bools:
    """Whether a hyphen joins each token with the next one of its row."""
    following = np.minimum(word + 1, tokens.n - 1)
    joined = (word + 1 < last) & (tokens.starts[following] - tokens.ends[word] == 1)
    result: Bools = joined & (tokens.data[np.minimum(tokens.ends[word], len(tokens.data) - 1)] == ord("-"))
    return result


def resolve(forms: Sequence[Form], *, noun: bool) -> Form:
    """Which of the forms that share one spelling is meant: "her" the determiner before a noun, else the object.

    Examples
    --------
    >>> her = [Form("her", 0, "object", False), Form("her", 0, "determiner", False)]
    >>> resolve(her, noun=True).slot, resolve(her, noun=False).slot
    ('determiner', 'object')
    """
    if len(forms) == 1:
        return forms[0]
    fitting = [form for form in forms if (form.slot == "determiner") == noun]
    return (fitting or list(forms))[0]


def article(word: str) -> str:
    """The indefinite article that a word takes.

    Examples
    --------
    >>> [article(word) for word in ("gay", "asian", "European", "LGBT", "heir", "unitarian", "unimpressed")]
    ['a', 'an', 'a', 'an', 'an', 'a', 'an']
    """
    folded = word.casefold()
    if not _VOWEL.search(folded):
        return "an" if folded[:1] in _lists()["articles"]["spelt_out"] else "a"
    if folded.startswith(_prefixes("vowel")):
        return "an"
    if folded.startswith(_prefixes("consonant")) and not folded.startswith(_prefixes("still_vowel")):
        return "a"
    return "an" if _VOWEL.match(folded) else "a"


def like(source: str, target: str) -> str:
    """Write the folded words of `target` with the capitals of `source`: none, the first letter, each word's, or all.

    Examples
    --------
    >>> like("gay", "muslim"), like("Gay", "middle eastern"), like("GAY", "asian")
    ('muslim', 'Middle eastern', 'ASIAN')
    >>> like("African American", "middle eastern")
    'Middle Eastern'
    """
    letters = [character for character in source if character.isalpha()]
    if not letters or not letters[0].isupper():
        return target
    if len(letters) > 1 and all(not letter.islower() for letter in letters):
        return target.upper()
    words = re.split(r"[ \-_]", source)
    if len(words) > 1 and all(word[:1].isupper() for word in words):
        return " ".join(word[:1].upper() + word[1:] for word in target.split(" "))
    return target[:1].upper() + target[1:]
