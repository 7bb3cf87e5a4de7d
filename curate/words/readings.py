"""How a word that could be one of several is read: "her" the object or the determiner, "Lady" before a name or not.

By rules from the words around it, or by a tagger. A rule asks the word before the place and those behind it, and takes
every word of the lexicon for the same whatever group it is of, so that a swap changes no reading.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...data.tokens import Tokens
from ..edits import Bools, Ints, gather
from . import grammar
from .tagging import Tagger

Readings = npt.NDArray[np.int8]

PLAIN, BEFORE, OBJECT = 0, 1, 2
"""Not before what it would determine; before it; before a word that looks like it, but the object after all."""

# What may stand between a pronoun and the word that it determines: blanks, perhaps opening quotation marks or a tag's
# sign ("his #1 fan").
_CLOSE = re.compile(r"\s+[\"'“‘«`*#@]{0,3}\Z")
_SPACE = ord(" ")
# "her now very well known book"
_MOST_ADVERBS = 3
_LISTS = (
    "giving", "telling", "letting", "making", "seeing", "holding", "naming", "electing", "moving",
    "things", "kin", "verbs", "states", "offices", "days", "homes", "times", "of", "joining", "friends", "sights",
)  # fmt: skip
_WORD, _NOUN, _ADVERB, _NUMBER, _CAPITAL, _PLURAL, _ING, _OWN = (1 << k for k in range(8))
_IN = {name: 1 << (8 + k) for k, name in enumerate(_LISTS)}


@lru_cache(1 << 17)
def _plain_bits(folded: str) -> int:
    """All that the lists and the shape of a word say of it."""
    kind = grammar.noun_like(folded)
    bits = _WORD | (_ADVERB if kind is None else _NOUN if kind else 0)
    if folded.isdigit():
        bits |= _NUMBER
    if len(folded) > 3 and folded.endswith("s") and not folded.endswith(("ss", "us", "is", "ness")):
        bits |= _PLURAL
    if len(folded) > 5 and folded.endswith("ing") and folded not in grammar.context("nouns_in_ing"):
        bits |= _ING
    return bits | sum(bit for name, bit in _IN.items() if folded in grammar.context(name))


@dataclass(frozen=True)
class Reader:
    """Reads places by rules.

    Attributes
    ----------
    pronouns, nouns, proper : frozenset of str
        Folded words of the lexicon: those that never begin a noun phrase, those that always do, and of these the ones
        that are words of the lexicon only with a capital.
    """

    pronouns: frozenset[str]
    nouns: frozenset[str]
    proper: frozenset[str]
    _bits: dict[str, int] = field(default_factory=dict, repr=False)

    def pronoun(self, tokens: Tokens, token: Ints, length: Ints) -> Readings:
        """The reading of pronouns (first token, number of tokens)."""
        result = np.zeros(len(token), np.int8)
        last = tokens.splits[tokens.row_of(token) + 1]
        following = token + length
        first = self._behind(tokens, following, last)
        open_cases = np.flatnonzero(first & (_NOUN | _ADVERB))
        bits = first[open_cases]
        for _ in range(_MOST_ADVERBS + 1):
            noun = bits & _NOUN != 0
            result[open_cases[noun]] = BEFORE
            open_cases = open_cases[bits & _ADVERB != 0]
            if not len(open_cases):
                break
            following[open_cases] += 1
            bits = self._behind(tokens, following[open_cases], last[open_cases])
        which = np.flatnonzero(result == BEFORE)
        if len(which):
            place = token[which]
            behind, more = first[which], self._behind(tokens, place + length[which] + 1, last[which])
            before = self._before(tokens, place)
            result[which[_object(before, behind, more)]] = OBJECT
            of = np.flatnonzero(before & _IN["of"])
            head = self._before(tokens, place[of] - 1) * (place[of] > 0)
            alone = (head & _IN["friends"] != 0) & (behind[of] & _PLURAL != 0) & (behind[of] & _IN["kin"] == 0)
            result[which[of[alone & (more[of] & (_NOUN | _ADVERB) == 0)]]] = PLAIN
            result[which[of[(head & _IN["sights"] != 0) & (behind[of] & _ING != 0)]]] = OBJECT
        self._coordinate(tokens, token, length, last, first, result)
        return result

    def _coordinate(self, tokens: Tokens, token: Ints, length: Ints, last: Ints, first: Ints, result: Readings) -> None:
        """Both words of "his and her views" are determiners at the beginning of a sentence."""
        which = np.flatnonzero(first & _IN["joining"])
        which = which[self._before(tokens, token[which]) == 0]
        if len(which):
            following = token[which] + length[which]
            again = self._behind(tokens, following + 1, last[which]) & _OWN != 0
            noun = self._behind(tokens, following + 2, last[which]) & _NOUN != 0
            result[which[again & noun]] = BEFORE

    def title(self, tokens: Tokens, token: Ints, length: Ints) -> Readings:
        """The reading of titles: before a name, that is a word with a capital, or not."""
        last = tokens.splits[tokens.row_of(token) + 1]
        behind = self._behind(tokens, token + length, last)
        own = _bits_of(tokens, token, lambda _, spelt: _CAPITAL * (spelt[:1].isupper() and not spelt.isupper()))
        return np.where((behind & _CAPITAL != 0) & (own != 0), BEFORE, PLAIN).astype(np.int8)

    def _behind(self, tokens: Tokens, word: Ints, last: Ints) -> Ints:
        """What the words at these places are; nothing where the row ends or something stands before the word."""
        inside = word < last
        place = np.minimum(word, tokens.n - 1)
        bits = _bits_of(tokens, place, self._of)
        # "her on-screen partner": before a hyphen any word begins a compound.
        hyphen = _hyphenated(tokens, place, last)
        bits[hyphen] = (bits[hyphen] & _CAPITAL) | _WORD | _NOUN
        bits[~(inside & _close(tokens, place))] = 0
        return bits

    def _before(self, tokens: Tokens, token: Ints) -> Ints:
        """What the words before these places are; nothing where there is none."""
        place = np.maximum(token - 1, 0)
        bits = _bits_of(tokens, place, self._of)
        there = (token > tokens.splits[tokens.row_of(token)]) & _close(tokens, token)
        bits[~there] = 0
        return bits

    def _of(self, folded: str, spelt: str) -> int:
        if spelt not in self._bits:
            capital = _CAPITAL if spelt[:1].isupper() else 0
            if folded in self.pronouns:
                bits = _WORD | _OWN
            elif folded in self.nouns and (capital or folded not in self.proper):
                bits = _WORD | _NOUN | _IN["kin"] | capital
            else:
                bits = _plain_bits(folded) | capital
            self._bits[spelt] = bits
        return self._bits[spelt]


def _object(before: Ints, behind: Ints, more: Ints) -> Bools:
    """Whether a pronoun before a noun-like word is the object of a verb all the same: by the words around it."""

    def is_in(bits: Ints, *names: str) -> Bools:
        wanted = sum(_IN[name] for name in names)
        result: Bools = bits & wanted != 0
        return result

    kin = is_in(behind, "kin")
    closed = more & (_NOUN | _ADVERB) == 0
    number = behind & _NUMBER != 0
    capital = behind & _CAPITAL != 0
    result: Bools = is_in(before, "giving") & (is_in(behind, "things") | number)
    result |= is_in(before, "telling") & ((behind & _PLURAL != 0) | is_in(more, "things")) & ~kin
    result |= is_in(before, "letting") & ~kin
    result |= is_in(before, "making") & is_in(behind, "verbs")
    result |= is_in(before, "seeing") & (behind & _ING != 0)
    result |= is_in(before, "holding") & is_in(behind, "states") & closed
    result |= is_in(before, "naming") & capital & closed
    result |= is_in(before, "electing") & is_in(behind, "offices") & closed
    result |= is_in(before, "moving") & is_in(behind, "homes") & closed
    days = is_in(behind, "days") & (is_in(more, "times") | (capital & closed))
    result |= days & (before & _NOUN != 0)
    return result


def tagged(tagger: Tagger, tokens: Tokens, rows: Ints, token: Ints, by_rules: Readings) -> Readings:
    """The reading of pronouns by the tags of their rows; where the tag says nothing, or none may be asked, by rules.

    Parameters
    ----------
    tagger : Tagger
        To be asked.
    tokens : Tokens
        Of a batch.
    rows : int64 array
        Row of each place, ascending.
    token : int64 array
        Token of each place.
    by_rules : int8 array
        What the rules read there. Only where a noun seems to follow the tag is asked.
    """
    result = by_rules.copy()
    asked = np.flatnonzero(by_rules == BEFORE)
    # Capital letters all through mislead taggers.
    shouted = _bits_of(tokens, token[asked], lambda _, spelt: int(spelt.isupper()))
    asked = asked[shouted == 0]
    if not len(asked):
        return result
    used, back = np.unique(rows[asked], return_inverse=True)
    texts = [tokens.data[tokens.offsets[row] : tokens.offsets[row + 1]].tobytes().decode() for row in used.tolist()]
    tags = [{(tag.start, tag.end): tag.tag for tag in found} for found in tagger.tags(texts)]
    start = tokens.starts[token[asked]] - tokens.offsets[rows[asked]]
    end = tokens.ends[token[asked]] - tokens.offsets[rows[asked]]
    for place, text, span in zip(
        asked.tolist(), back.tolist(), zip(start.tolist(), end.tolist(), strict=True), strict=True
    ):
        tag = tags[text].get(span)
        if tag in ("PRP$", "PRP"):
            result[place] = BEFORE if tag == "PRP$" else OBJECT
    return result


def _bits_of(tokens: Tokens, which: Ints, of: Callable[[str, str], int]) -> Ints:
    """A number for each of the given tokens, worked out once for each spelling."""
    ids = tokens.ids[which]
    there = np.zeros(len(tokens.folded), np.bool_)
    there[ids] = True
    used = np.flatnonzero(there)
    spelt = tokens.vocabulary.take(pa.array(used)).to_pylist()
    table = np.zeros(len(there), np.int64)
    table[used] = [of(tokens.folded[at], text) for at, text in zip(used.tolist(), spelt, strict=True)]
    result: Ints = table[ids]
    return result


def _close(tokens: Tokens, word: Ints) -> Bools:
    """Whether only blanks, perhaps with an opening quotation mark, separate each token from the one before it."""
    start, end = tokens.ends[np.maximum(word - 1, 0)], tokens.starts[word]
    close: Bools = (end - start == 1) & (tokens.data[np.minimum(start, len(tokens.data) - 1)] == _SPACE)
    wide = np.flatnonzero(~close & (word > 0))
    gaps = gather(tokens.data, start[wide], end[wide]).dictionary_encode()
    fits = np.array([_CLOSE.match(gap) is not None for gap in gaps.dictionary.to_pylist()], np.bool_)
    close[wide] = fits[gaps.indices.to_numpy()]
    return close


def _hyphenated(tokens: Tokens, word: Ints, last: Ints) -> Bools:
    """Whether a hyphen joins each token with the next one of its row."""
    following = np.minimum(word + 1, tokens.n - 1)
    joined = (word + 1 < last) & (tokens.starts[following] - tokens.ends[word] == 1)
    result: Bools = joined & (tokens.data[np.minimum(tokens.ends[word], len(tokens.data) - 1)] == ord("-"))
    return result
