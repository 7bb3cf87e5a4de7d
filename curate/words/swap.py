"""Put the words of another group in the place of a group's words (rule ``swap.v2``).

To the opposite group only where the lexicon says which that is, to a group by name or by a table, or to a random one,
drawn for each row and each group in it by the hash of seed, row key and group. What cannot be decided, or would not be
turned back by swapping again where every group has its counterpart, is left as it is and counted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from ...data.hashing import Keys, combine, hash64, mix
from ...data.match import Matcher, Matches
from ...data.tokens import Tokens, tokenize
from ..edits import NONE, Bools, Edits, Ints, distinct, gather, merged, splice_rows, touched
from .first_names import evident, unshared
from .lexical import Back, Words
from .places import Made, Places, Situations, differ, first_of, span
from .readings import PLAIN, Readings, tagged
from .tagging import Tagger

RULE = "swap.v2"


@dataclass(frozen=True)
class Swap:
    """One way of swapping the words of a lexicon.

    Attributes
    ----------
    words : Words
    matcher : Matcher
    step : int
        Index of the plan's step.
    groups : tuple of int
        Groups whose words are swapped.
    to : "opposite", "random", a group's index, or for every group the index of its target (-1: none)
    tagger : Tagger or None
        Reads what the rules are less sure of. Only rows with such a word are tagged.
    leave_mixed : bool
        Whether rows with words of several of the groups stay as they are.
    others : bool
        Whether rows that have words of the target already stay as they are: it is a copy for every other group.
    """

    words: Words
    matcher: Matcher
    step: int
    groups: tuple[int, ...]
    to: str | int | tuple[int, ...]
    tagger: Tagger | None = None
    leave_mixed: bool = False
    others: bool = False

    @cached_property
    def mutual(self) -> bool:
        """Whether every group is its target's target, so that swapping again must give the text back."""
        if isinstance(self.to, tuple):
            return all(self.to[self.to[group]] == group for group in self.groups)
        return self.to == "opposite"

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
        """The edits of a batch that touch none of those already taken, and how many places were left alone.

        Parameters
        ----------
        tokens : Tokens
            Of the batch.
        matches : Matches
            Of the step's lexicon.
        keys : uint64 array
            Row keys.
        taken : Edits
            Of earlier steps.
        seed : int
            Of random targets.
        counts : Counter, optional
            Is given "mixed" (rows left because they have words of several groups), "names" (names left because they
            are given to both, or may be no names) and "tagged" (rows that the tagger read).
        """
        counts = Counter() if counts is None else counts
        at = np.flatnonzero(self._mine[matches.form])
        start, end = span(tokens, matches, at)
        at = at[~touched(taken, start, end)]
        left = 0
        if self.words.names:
            shown = evident(self.words, tokens, matches, at)
            left = int((~shown).sum()) + unshared(self.words, matches)
            counts["names"] += left
            at = at[shown]
        at = at[self._whole_rows(tokens, matches, at, counts)]
        if not len(at):
            return NONE, left
        target = self._targets(matches.row[at], matches.form[at].astype(np.int64), keys, seed)
        places = Places(tokens, matches, at, target)
        reading = self._read(places)
        edits = self._sure(places, reading, taken)
        asks = places.row[self._asks_tags(places)] if self.tagger is not None else np.zeros(0, np.int64)
        if len(asks):
            rows = distinct(asks)
            counts["tagged"] += len(rows)
            edits = self._by_tags(places, reading, edits, rows, taken)
        if self.leave_mixed:
            # A row that is swapped in part only would have words of several groups after it.
            part = np.bincount(places.row, minlength=tokens.n_rows) != np.bincount(edits.row, minlength=tokens.n_rows)
            edits = edits.take(~part[edits.row])
        return edits, left + len(at) - edits.n

    @cached_property
    def _mine(self) -> Bools:
        return self.words.forms_of(self.groups)

    def _whole_rows(self, tokens: Tokens, matches: Matches, at: Ints, counts: Counter[str]) -> Bools:
        """Which matches are in rows that are not left alone as a whole."""
        keep = np.ones(len(at), np.bool_)
        if self.leave_mixed and len(at):
            family = np.array([min(self.words.family(group)) for group in range(len(self.words.lexicon.groups))])
            group = family[self.matcher.group_of[matches.form[at]]]
            row = matches.row[at]
            other = np.zeros(tokens.n_rows, np.bool_)
            other[row[1:][(row[1:] == row[:-1]) & (group[1:] != group[:-1])]] = True
            counts["mixed"] += int(other.sum())
            keep &= ~other[row]
        if self.others and isinstance(self.to, int):
            has = np.zeros(tokens.n_rows, np.bool_)
            has[matches.row[self.words.forms_of(self.words.family(self.to))[matches.form]]] = True
            keep &= ~has[matches.row[at]]
        return keep

    def _targets(self, row: Ints, form: Ints, keys: Keys, seed: int) -> Ints:
        """Index of the group that takes the place of each match's group."""
        group = self.matcher.group_of[form].astype(np.int64)
        if isinstance(self.to, int):
            return np.full(len(form), self.to, np.int64)
        if isinstance(self.to, tuple):
            return np.array(self.to, np.int64)[group]
        target = np.zeros(len(form), np.int64)
        lexicon = self.words.lexicon
        drawn = mix(keys[row], salt=(seed, "swap", self.step)) if self.to == "random" else keys[:0]
        for source in distinct(group).tolist():
            mine = np.flatnonzero(group == source)
            if self.to == "opposite":
                target[mine] = self.words.opposite(source)
            else:
                choice = np.array(self.words.targets(source), np.int64)
                name = hash64([lexicon.groups[source].name], salt="evenset.group")
                target[mine] = choice[(combine(drawn[mine], name) % np.uint64(len(choice))).astype(np.int64)]
        return target

    # -- how places are read -----------------------------------------------------------------------------------------

    def _asks(self, places: Places) -> Bools:
        """Which places are written in a way that depends on how they are read."""
        result = np.zeros(len(places.at), np.bool_)
        for target in distinct(places.target).tolist():
            mine = places.target == target
            result[mine] = self.words.asks(target)[places.form[mine]]
        return result

    def _asks_tags(self, places: Places) -> Bools:
        return self._asks(places) & ~self.words.is_title[places.form]

    def _read(self, places: Places) -> Readings:
        """The reading of every place by the rules."""
        reading = np.full(len(places.at), PLAIN, np.int8)
        if not self.words.unclear.any():
            return reading
        which = np.flatnonzero(self._asks(places))
        title = self.words.is_title[places.form[which]]
        for some, read in ((which[~title], self.words.reader.pronoun), (which[title], self.words.reader.title)):
            if len(some):
                reading[some] = read(places.tokens, places.token[some], places.length[some])
        return reading

    def _tags(self, places: Places, reading: Readings) -> Readings:
        """The same with the tagger's help where a pronoun is an object or a determiner."""
        assert self.tagger is not None
        result = reading.copy()
        both = self.words.both[places.form]
        which = np.flatnonzero(both)
        result[which] = tagged(self.tagger, places.tokens, places.row[which], places.token[which], reading[which])
        return result

    # -- what is written ---------------------------------------------------------------------------------------------

    def _sure(self, places: Places, reading: Readings, taken: Edits) -> Edits:
        """The edits that rules alone would make, each of which they would turn back."""
        edits, form = self._made(places, reading, taken, "rules" if self.mutual else "none")
        if self.mutual and self.words.several and edits.n:
            edits = edits.take(self._turns_back(places, edits, form))
        return edits

    def _made(self, places: Places, reading: Readings, taken: Edits, back: Back) -> tuple[Edits, Ints]:
        """Edits, and the form that each writes."""
        tokens = places.tokens
        start, end = places.start, places.end
        article, article_start = self._articles(places, taken)
        wide = np.where(article, article_start, start)
        made, case = self._look_up(places, Situations(gather(tokens.data, wide, end), reading, article), back)
        sure = np.array([it is not None for it in made], np.bool_)[case]
        moved = np.array([it is not None and it.moved for it in made], np.bool_)[case]
        form = np.array([-1 if it is None else it.form for it in made], np.int64)[case[sure]]
        edits = Edits(
            row=places.row,
            start=np.where(moved, wide, start),
            end=end,
            token=places.token,
            length=places.length,
            after=case,
            step=np.full(len(places.at), self.step, np.int64),
            texts=tuple("" if it is None else it.text for it in made),
        ).take(sure)
        return edits, form

    def _articles(self, places: Places, taken: Edits) -> tuple[Bools, Ints]:
        """Whether a free "a" or "an" stands one space before each match, and where it begins."""
        tokens, token = places.tokens, places.token
        before = np.maximum(token - 1, 0)
        length = tokens.ends[before] - tokens.starts[before]
        gap = tokens.data[np.minimum(tokens.ends[before], len(tokens.data) - 1)]
        there = (length <= 2) & (tokens.starts[token] - tokens.ends[before] == 1) & (gap == ord(" "))
        there &= token > tokens.splits[places.row]
        some = np.flatnonzero(there)
        articles = {"a", "an"} - self.words.tokens
        used, back = np.unique(tokens.ids[before[some]], return_inverse=True)
        there[some] = np.array([tokens.folded[spelling] in articles for spelling in used.tolist()], np.bool_)[back]
        there &= ~touched(taken, tokens.starts[before], tokens.ends[before])
        return there, tokens.starts[before]

    def _look_up(self, places: Places, situations: Situations, back: Back) -> tuple[list[Made | None], Ints]:
        """What to write in each distinct situation (None: not sure), and the situation of each match."""
        spelt = situations.spelt.dictionary_encode()
        raw = spelt.dictionary.to_pylist()
        code = spelt.indices.to_numpy().astype(np.int64)
        flat = (code * (int(places.target.max()) + 1) + places.target) * 6
        flat += situations.reading.astype(np.int64) * 2 + situations.article
        first, case = first_of(flat, 6 * len(raw) * (int(places.target.max()) + 1))
        made: list[Made | None] = []
        for place in first.tolist():
            text = raw[code[place]]
            article, word = text.split(" ", 1) if situations.article[place] else ("", text)
            new = self.words.replacement(
                article,
                word,
                form=int(places.form[place]),
                reading=int(situations.reading[place]),
                target=int(places.target[place]),
                back=back,
            )
            if new is None:
                made.append(None)
                continue
            moved = new.article != article
            made.append(Made(f"{new.article} {new.word}" if moved else new.word, moved, new.form))
        return made, case

    # -- swapping twice is the identity ------------------------------------------------------------------------------

    def _turns_back(self, places: Places, edits: Edits, form: Ints) -> Bools:
        """Which edits to keep: none in rows where a new word joins its neighbours to another form of the lexicon."""
        rows = self._joining(places, edits)
        if not len(rows):
            return np.ones(edits.n, np.bool_)
        inside = np.isin(edits.row, rows)
        _, bad = self._after(places, edits.take(inside), form[inside], rows)
        wrong = np.zeros(places.tokens.n_rows, np.bool_)
        wrong[rows[bad]] = True
        keep: Bools = ~wrong[edits.row]
        return keep

    def _joining(self, places: Places, edits: Edits) -> Ints:
        """Rows with a word of a form of several words, either before the edits or after them."""
        tokens = places.tokens
        old = np.array([word in self.words.joined for word in tokens.folded], np.bool_)[tokens.ids[edits.token]]
        texts = tokenize(pa.array(edits.texts, pa.large_string()))
        hit = np.array([word in self.words.joined for word in texts.folded], np.bool_)[texts.ids]
        new = np.zeros(len(edits.texts), np.bool_)
        new[texts.rows()[hit]] = True
        return distinct(edits.row[old | new[edits.after] | (edits.length > 1)])

    def _after(self, places: Places, edits: Edits, form: Ints, rows: Ints) -> tuple[Places, Bools]:
        """The same places in some rows after the edits, and which of these rows do not show the expected forms."""
        tokens, matches = places.tokens, places.matches
        changed = tokenize(splice_rows(tokens, edits, rows))
        found = self.matcher.find(changed)
        expected = self._first[matches.form]
        expected[np.searchsorted(matches.token, edits.token)] = form
        inside = np.flatnonzero(np.isin(matches.row, rows))
        row = np.searchsorted(rows, matches.row[inside])
        bad = differ(row, expected[inside], found.row, self._first[found.form], len(rows))
        # Where the forms are as expected, match follows match as before.
        mine = np.flatnonzero(np.isin(places.row, rows))
        mine = mine[~bad[np.searchsorted(rows, places.row[mine])]]
        here = np.searchsorted(rows, places.row[mine])
        before = np.searchsorted(row, np.arange(len(rows)))
        rank = np.searchsorted(inside, places.at[mine]) - before[here]
        at = np.searchsorted(found.row, np.arange(len(rows)))[here] + rank
        target = self._targets(found.row[at], found.form[at].astype(np.int64), np.zeros(0, np.uint64), 0)
        return Places(changed, found, at, target), bad

    def _by_tags(self, places: Places, reading: Readings, edits: Edits, rows: Ints, taken: Edits) -> Edits:
        """The edits with those of the given rows as the tagger reads them.

        Where swapping again must give the text back, that is tried: the changed row is tagged too, and if a place is
        then read as another one, the row is swapped by the rules alone, unless the tagger would swap that otherwise,
        too; then it is left. So each row has one way in which it is swapped, there and back.
        """
        tags = self._tags(places, reading)
        chosen = np.zeros(places.tokens.n_rows, np.bool_)
        chosen[rows] = True
        inside = edits.of_rows(chosen)
        outside = edits.of_rows(~chosen)
        some = places.take(np.flatnonzero(chosen[places.row]))
        some_tags = tags[chosen[places.row]]
        made, form = self._made(some, some_tags, taken, "tags" if self.mutual else "none")
        if not self.mutual:
            return merged([outside, made])
        good = self._agrees(some, some_tags, made, form, rows)
        bad = np.zeros(places.tokens.n_rows, np.bool_)
        bad[rows[~good]] = True
        rules = inside.of_rows(bad)
        if rules.n:
            rules = rules.of_rows(~self._tagger_turns(places, rules))
        return merged([outside, made.of_rows(~bad), rules])

    def _agrees(self, places: Places, reading: Readings, edits: Edits, form: Ints, rows: Ints) -> Bools:
        """Which of the rows are read the same, place by place, once the edits are made."""
        after, bad = self._after(places, edits, form, rows)
        good = ~bad
        if not len(after.at):
            return good
        again = self._tags(after, self._read(after))
        here = np.searchsorted(rows, places.row)
        kept = np.flatnonzero(~bad[here])
        slot = self.words.slot_codes(places.form[kept], reading[kept])
        # A place that was left alone has kept its form, and what is asked of it is whether it would be left again.
        wrong = slot != self.words.slot_codes(after.form, again)
        good[here[kept[wrong]]] = False
        return good

    def _tagger_turns(self, places: Places, rules: Edits) -> Bools:
        """Rows (a mask over the batch) that, once swapped by rules, the tagger would swap in its own way."""
        turns = np.zeros(places.tokens.n_rows, np.bool_)
        rows = distinct(rules.row)
        form = self._written(rules)
        after, bad = self._after(places, rules, form, rows)
        turns[rows[bad]] = True
        if not len(after.at):
            return turns
        tags = self._tags(after, self._read(after))
        made, new = self._made(after, tags, NONE, "tags")
        inner = distinct(after.row)
        turns[rows[inner[self._agrees(after, tags, made, new, inner)]]] = True
        return turns

    def _written(self, edits: Edits) -> Ints:
        """The form that each edit writes, found again in its text."""
        found = self.matcher.find(tokenize(pa.array(edits.texts, pa.large_string())))
        of_text = np.full(len(edits.texts), -1, np.int64)
        of_text[found.row] = self._first[found.form]
        return of_text[edits.after]

    @cached_property
    def _first(self) -> Ints:
        """For each form the first one of the same spelling."""
        return np.array([self.words.first[form.text] for form in self.words.lexicon.forms], np.int64)
