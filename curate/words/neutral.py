"""Write neutral forms in the place of a group's words, and make the verbs agree: she runs → they run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ...data.hashing import Keys
from ...data.match import Matcher, Matches
from ...data.tokens import Tokens
from ..edits import NONE, Bools, Edits, Ints, distinct, merged, touched
from .agreement import Line, agreed
from .lexical import Words
from .swap import Swap
from .tagging import Tagger

_BEFORE, _AFTER = 3, 44
_AGREEMENT = "agreement"


@dataclass(frozen=True)
class Neutral:
    """One way of writing neutral forms.

    Attributes
    ----------
    swap : Swap
        To the neutral group.
    tagger : Tagger or None
        Finds verbs; without it only those are agreed of which the rules are sure.
    """

    swap: Swap
    tagger: Tagger | None = None

    @property
    def words(self) -> Words:
        """The lexicon."""
        return self.swap.words

    @property
    def matcher(self) -> Matcher:
        """Of the lexicon."""
        return self.swap.matcher

    @property
    def groups(self) -> tuple[int, ...]:
        """Groups whose words are changed."""
        return self.swap.groups

    def edits(
        self,
        tokens: Tokens,
        matches: Matches,
        keys: Keys,
        taken: Edits,
        *,
        seed: int,
        counts: Counter[str] | None = None,
    ) -> tuple[Edits, int]:
        """The edits of a batch that touch none of those already taken, and how many places the rules left alone.

        Parameters
        ----------
        tokens, matches, keys, taken, seed
            As for `Swap.edits`.
        counts : Counter, optional
            Gets "agreed", verbs that were changed, and "not_agreed", those that could not be decided on.
        """
        edits, unsure = self.swap.edits(tokens, matches, keys, taken, seed=seed)
        if not edits.n:
            return edits, unsure
        form = matches.form[np.searchsorted(matches.token, edits.token)]
        has = self._has_neutral()[form]
        unsure += int((~has).sum())
        edits, form = edits.take(has), form[has]
        subject = np.flatnonzero(self._subject()[form])
        verbs, missed = self._verbs(tokens, edits.token[subject], merged([taken, edits]) if taken.n else edits)
        if counts is not None:
            counts["agreed"] += verbs.n
            counts["not_agreed"] += missed
        return merged([edits, verbs]), unsure

    def reasons(self, tokens: Tokens, matches: Matches, edits: Edits) -> tuple[Ints, list[str]]:  # noqa: ARG002
        """Why each edit was made: the group whose word it was, or that a verb has to agree."""
        names = [group.name for group in self.words.lexicon.groups]
        why = np.full(edits.n, len(names), np.int64)
        if matches.n:
            place = np.minimum(np.searchsorted(matches.token, edits.token), matches.n - 1)
            hit = matches.token[place] == edits.token
            why[hit] = self.matcher.group_of[matches.form[place[hit]]]
        return why, [*names, _AGREEMENT]

    def _has_neutral(self) -> Bools:
        """For each form, whether the neutral group has one for its place."""
        forms, target = self.words.lexicon.forms, self.swap.to
        slots = {form.slot for form in forms if form.group == target}
        return np.array([form.slot in slots for form in forms], np.bool_)

    def _subject(self) -> Bools:
        return np.array([form.slot == "subject" for form in self.words.lexicon.forms], np.bool_)

    def _verbs(self, tokens: Tokens, pronoun: Ints, taken: Edits) -> tuple[Edits, int]:
        """Edits of the verbs of some pronouns, and how many could not be decided on."""
        if not len(pronoun):
            return NONE, 0
        row = tokens.row_of(pronoun)
        low = np.maximum(tokens.splits[row], pronoun - _BEFORE)
        high = np.minimum(tokens.splits[row + 1], pronoun + _AFTER)
        data = tokens.data
        tags = _Tags(tokens, distinct(row), self.tagger) if self.tagger is not None else None
        made: dict[int, str] = {}
        missed = 0
        for at, first, last, of in zip(pronoun.tolist(), low.tolist(), high.tolist(), row.tolist(), strict=True):
            ids, starts, ends = tokens.ids[first:last].tolist(), tokens.starts[first:last], tokens.ends[first:last]
            before = [first and int(tokens.ends[first - 1]), *ends[:-1].tolist()]
            gaps = [""] + [
                data[begin:end].tobytes().decode() for begin, end in zip(before[1:], starts[1:].tolist(), strict=True)
            ]
            line = Line(
                [tokens.folded[spelling] for spelling in ids],
                gaps,
                None if tags is None else tags.of(of, starts.tolist()),
            )
            found, lacking = agreed(line, at - first)
            missed += lacking
            for place, form in found:
                made.setdefault(first + place, form)
        if not made:
            return NONE, missed
        token = np.array(sorted(made), np.int64)
        start, end = tokens.starts[token], tokens.ends[token]
        free = ~touched(taken, start, end)
        missed += int((~free).sum())
        token, start, end = token[free], start[free], end[free]
        spelt = tokens.vocabulary.take(pa.array(tokens.ids[token])).to_pylist()
        texts = [_like(raw, made[place]) for raw, place in zip(spelt, token.tolist(), strict=True)]
        known = sorted(set(texts))
        number = {text: at for at, text in enumerate(known)}
        edits = Edits(
            row=tokens.row_of(token),
            start=start,
            end=end,
            token=token,
            length=np.ones(len(token), np.int64),
            after=np.array([number[text] for text in texts], np.int64),
            step=np.full(len(token), self.swap.step, np.int64),
            texts=tuple(known),
        )
        return edits, missed


class _Tags:
    """Tags of the rows that hold a pronoun, by the byte at which a token begins."""

    def __init__(self, tokens: Tokens, rows: Ints, tagger: Tagger) -> None:
        data, self.offsets = tokens.data, tokens.offsets
        texts = [data[tokens.offsets[row] : tokens.offsets[row + 1]].tobytes().decode() for row in rows.tolist()]
        self.known = {
            row: ([tag.start for tag in found], [tag.tag for tag in found])
            for row, found in zip(rows.tolist(), tagger.tags(texts), strict=True)
        }

    def of(self, row: int, starts: list[int]) -> list[str]:
        """The tag of the pipeline's token that each of these bytes lies in."""
        from bisect import bisect_right

        begins, tags = self.known[row]
        offset = int(self.offsets[row])
        places = [bisect_right(begins, start - offset) - 1 for start in starts]
        return [tags[place] if place >= 0 else "" for place in places]


def _like(raw: str, form: str) -> str:
    """The form in the capitals of a verb: none, the first letter's, or all."""
    if len(raw) > 1 and raw.isupper():
        return form.upper()
    return form[:1].upper() + form[1:] if raw[:1].isupper() and len(raw) > 1 else form
