"""The placebo of every step: as much change as the step makes, at random, without its aim (methods: 8.0.6).

What is changed in place of a group's words are random other words of the same rows that occur in about as many rows:
words are put in bands by the binary logarithm of their document frequency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..data.hashing import Keys, combine, hash64, mix
from ..data.match import Matches
from ..data.tokens import Tokens
from .edits import NONE, Bools, Edits, Ints, distinct, touched
from .units import Codes
from .words import grammar

_MOST_BANDS = 64
# Of each band so many words are kept to write in place of others: those with the smallest hashes.
_WORDS = 512


@dataclass(slots=True)
class Vocabulary:
    """In how many rows each folded word of the data occurs, and some words of each band to write.

    Attributes
    ----------
    documents : dict of str to int
    """

    documents: dict[str, int] = field(default_factory=dict)
    _samples: dict[int, list[str]] = field(default_factory=dict)

    def add(self, tokens: Tokens) -> None:
        """Count the rows of a batch."""
        if not tokens.n:
            return
        coded = pa.array(tokens.folded, pa.large_string()).dictionary_encode()
        of_spelling = coded.indices.to_numpy().astype(np.int64)
        size = len(coded.dictionary)
        pairs = distinct(tokens.rows() * size + of_spelling[tokens.ids])
        counts = np.bincount(pairs % size, minlength=size).tolist()
        documents = self.documents
        for word, count in zip(coded.dictionary.to_pylist(), counts, strict=True):
            documents[word] = documents.get(word, 0) + count

    def bands(self, folded: Sequence[str]) -> npt.NDArray[np.int64]:
        """Band of each word: the whole part of the binary logarithm of its document frequency."""
        counts = np.array([self.documents[word] for word in folded], np.float64)
        return np.floor(np.log2(counts)).astype(np.int64)

    def words(self, band: int) -> list[str]:
        """Words of a band, at most 512, in the order of their hashes."""
        if not self._samples:
            names = list(self.documents)
            hashes = hash64(names, salt="evenset.placebo")
            bands = self.bands(names)
            order = np.lexsort((hashes, bands))
            starts = np.searchsorted(bands[order], np.arange(_MOST_BANDS + 1)).tolist()
            for code in range(_MOST_BANDS):
                self._samples[code] = [names[at] for at in order[starts[code] : starts[code + 1]][:_WORDS].tolist()]
        return self._samples[band]


@dataclass(frozen=True)
class Lots:
    """What a placebo of edits draws from.

    Attributes
    ----------
    vocabulary : Vocabulary
        Of all rows.
    salt : tuple
        Seed and step.
    """

    vocabulary: Vocabulary
    salt: tuple[str | int, ...]

    def tokens(
        self, tokens: Tokens, matches: Matches, real: Edits, keys: Keys, taken: Edits
    ) -> tuple[Ints, npt.NDArray[np.int64], int]:
        """A random other token of the same row and, if there is one, of the same band, for every real edit.

        Parameters
        ----------
        tokens : Tokens
            Of a batch.
        matches : Matches
            Of the step's lexicon; its words are never drawn.
        real : Edits
            What the step itself would do.
        keys : uint64 array
            Row keys.
        taken : Edits
            Of earlier steps; their places are never drawn.

        Returns
        -------
        tokens : int64 array
            Ascending. Fewer than edits where a row has no other words left.
        bands : int64 array
            Of each of them.
        off_band : int
            Tokens of another band than that of the edit, because the row had none of it left.
        """
        if not real.n:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), 0
        rows = distinct(real.row)
        candidates = np.concatenate([np.arange(tokens.splits[row], tokens.splits[row + 1]) for row in rows.tolist()])
        candidates = candidates[~_within(matches, candidates)]
        candidates = candidates[~touched(taken, tokens.starts[candidates], tokens.ends[candidates])]
        band_of = self._bands(tokens, np.concatenate([candidates, real.token, real.token + real.length - 1]))
        row = tokens.row_of(candidates)
        place = (candidates - tokens.splits[row]).astype(np.uint64)
        lot = mix(combine(keys[row], place), salt=self.salt)
        wanted = np.minimum(band_of[real.token], band_of[real.token + real.length - 1])
        drawn, off_band = _drawn(row, band_of[candidates], lot, real.row, wanted)
        chosen = np.sort(candidates[drawn])
        return chosen, band_of[chosen], off_band

    def words(self, tokens: Tokens, token: Ints, band: Ints, keys: Keys, avoid: frozenset[str]) -> list[str]:
        """A random word of the same band for each token, in its capitals, and never the token itself."""
        row = tokens.row_of(token)
        lots = mix(
            combine(keys[row], token.astype(np.uint64) - tokens.splits[row].astype(np.uint64)),
            salt=(*self.salt, "word"),
        )
        lists = {code: self._choice(code, avoid) for code in np.unique(band).tolist()}
        spelt = tokens.vocabulary.take(pa.array(tokens.ids[token])).to_pylist()
        made: list[str] = []
        for raw, spelling, code, lot in zip(
            spelt, tokens.ids[token].tolist(), band.tolist(), lots.tolist(), strict=True
        ):
            choice = lists[code]
            word = choice[lot % len(choice)] if choice else raw
            if word == tokens.folded[spelling]:
                word = choice[(lot + 1) % len(choice)]
            made.append(grammar.like(raw, word))
        return made

    def _choice(self, band: int, avoid: frozenset[str]) -> list[str]:
        """Words of a band, with those of its neighbours where it has fewer than two."""
        choice: list[str] = []
        for distance in range(_MOST_BANDS):
            for code in sorted({band - distance, band + distance}):
                if 0 <= code < _MOST_BANDS:
                    choice += [word for word in self.vocabulary.words(code) if word not in avoid]
            if len(choice) > 1:
                break
        return choice

    def _bands(self, tokens: Tokens, which: Ints) -> Ints:
        """Band of each token of the batch, known only for those asked for."""
        used = distinct(tokens.ids[which])
        of_spelling = np.zeros(len(tokens.folded), np.int64)
        of_spelling[used] = self.vocabulary.bands([tokens.folded[spelling] for spelling in used.tolist()])
        return of_spelling[tokens.ids]


def put(tokens: Tokens, token: Ints, step: int, texts: Sequence[str]) -> Edits:
    """Edits that put a text in the place of each of these tokens."""
    if not len(token):
        return NONE
    distinct = sorted(set(texts))
    code = {text: at for at, text in enumerate(distinct)}
    return Edits(
        row=tokens.row_of(token),
        start=tokens.starts[token],
        end=tokens.ends[token],
        token=token,
        length=np.ones(len(token), np.int64),
        after=np.array([code[text] for text in texts], np.int64),
        step=np.full(len(token), step, np.int64),
        texts=tuple(distinct),
    )


def shuffled(
    value: npt.NDArray[np.float64], stratum: Codes, keys: Keys, *, salt: tuple[str | int, ...]
) -> npt.NDArray[np.float64]:
    """The values dealt out anew within each stratum, at random but whatever the order of the rows.

    Examples
    --------
    >>> dealt = shuffled(np.array([1.0, 2.0, 3.0]), np.zeros(3, np.int32), np.arange(3, dtype=np.uint64), salt=(0,))
    >>> sorted(dealt.tolist())
    [1.0, 2.0, 3.0]
    """
    result = np.empty_like(value)
    result[np.lexsort((mix(keys, salt=salt), stratum))] = value[np.lexsort((keys, stratum))]
    return result


def _within(matches: Matches, tokens: Ints) -> Bools:
    """Whether each token is part of a match."""
    before = np.searchsorted(matches.token, tokens, side="right") - 1
    if not matches.n:
        return np.zeros(len(tokens), np.bool_)
    held = np.maximum(before, 0)
    result: Bools = (before >= 0) & (tokens < matches.token[held] + matches.length[held])
    return result


def _drawn(row: Ints, band: Ints, lot: Keys, wanted_row: Ints, wanted_band: Ints) -> tuple[Ints, int]:
    """For each wanted (row, band) another candidate: of that band, or else of the nearest one that has any left.

    Also how many are of another band than the one wanted.
    """
    have = np.arange(len(row))
    drawn: list[Ints] = []
    off_band = 0
    left_row, left_band = wanted_row, wanted_band
    for distance in sorted(range(-_MOST_BANDS, _MOST_BANDS + 1), key=lambda d: (abs(d), d)):
        if not len(left_row) or not len(have):
            break
        key, want = row[have] * _MOST_BANDS + band[have], left_row * _MOST_BANDS + left_band + distance
        inside = (left_band + distance >= 0) & (left_band + distance < _MOST_BANDS)
        have = have[np.lexsort((lot[have], key))]
        key = np.sort(key)
        turn = np.argsort(want, kind="stable")
        ordered = want[turn]
        rank = np.arange(len(want)) - np.searchsorted(ordered, ordered, side="left")
        place = np.searchsorted(key, ordered, side="left") + rank
        met = (place < np.searchsorted(key, ordered, side="right")) & inside[turn]
        drawn.append(have[place[met]])
        off_band += int(met.sum()) if distance else 0
        missed = np.sort(turn[~met])
        left_row, left_band = left_row[missed], left_band[missed]
        free = np.isin(row[have], left_row)
        free[place[met]] = False
        have = have[free]
    return (np.concatenate(drawn) if drawn else np.zeros(0, np.int64)), off_band
