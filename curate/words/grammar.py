"""The few rules of English that swapping words needs: what begins a noun phrase, a or an, and capitals.

Word lists are in ``grammar.toml``; what they decide in a sentence is in `readings`. Rules are chosen so that
swapping to the opposite can be undone by swapping again, and where it cannot, the caller leaves the word alone.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache, lru_cache
from pathlib import Path

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


@lru_cache(1 << 16)
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


@cache
def title_words() -> frozenset[str]:
    """Words that before a name are another title than elsewhere."""
    return frozenset(_lists()["titles"]["words"].split())


@cache
def context(name: str) -> frozenset[str]:
    """One of the lists of words that decide what "her" is."""
    return frozenset(_lists()["context"][name].split())


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
