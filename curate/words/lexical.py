"""Which words of a lexicon a step acts on, and how one stands for another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from ...data.errors import InputError, suggest
from ...data.lexicon import CASES, Form, Group, Lexicon
from ..edits import Bools, Ints
from . import grammar
from .first_names import is_name
from .readings import BEFORE, OBJECT, PLAIN, Reader, Readings

Back = Literal["none", "rules", "tags"]
_AMBIGUOUS = " (ambiguous)"


class Replacement(NamedTuple):
    """What takes the place of a word: an article (or ""), the word as it is written, and the index of its form."""

    article: str
    word: str
    form: int


@dataclass(frozen=True)
class Words:
    """A lexicon as edits need it: forms of one spelling together, and what takes the place of what.

    Attributes
    ----------
    lexicon : Lexicon
    ambiguous : bool
        Whether ambiguous forms may be changed and written.
    where : str
        Beginning of every message.
    """

    lexicon: Lexicon
    ambiguous: bool = False
    where: str = ""
    _cache: dict[tuple[str, str, int, int, int, str], Replacement | None] = field(default_factory=dict, repr=False)
    _forms: dict[int, tuple[dict[str, Form], Form]] = field(default_factory=dict, repr=False)
    _asks: dict[int, Bools] = field(default_factory=dict, repr=False)

    @cached_property
    def first(self) -> dict[str, int]:
        """Index of the first form of each spelling: the one that matches name."""
        first: dict[str, int] = {}
        for index, form in enumerate(self.lexicon.forms):
            first.setdefault(form.text, index)
        return first

    @cached_property
    def spelt(self) -> dict[str, list[Form]]:
        """All forms of each spelling."""
        spelt: dict[str, list[Form]] = {}
        for form in self.lexicon.forms:
            spelt.setdefault(form.text, []).append(form)
        return spelt

    @cached_property
    def tokens(self) -> frozenset[str]:
        """Every word that occurs in a form."""
        return frozenset(word for text in self.spelt for word in re.split("[ ']", text))

    @cached_property
    def several(self) -> bool:
        """Whether some form is of more than one word."""
        return any(" " in text or "'" in text for text in self.spelt)

    @cached_property
    def reader(self) -> Reader:
        """Reads, by rules, what a word of several places is."""
        words: tuple[set[str], set[str]] = set(), set()
        plain: set[str] = set()
        for form in self.lexicon.forms:
            parts = re.split("[ ']", form.text)
            words[form.slot not in CASES].update(parts)
            if not form.capitalised:
                plain.update(parts)
        pronouns, nouns = words
        return Reader(frozenset(pronouns), frozenset(nouns - pronouns), frozenset(nouns - plain))

    @cached_property
    def titles(self) -> frozenset[str]:
        """Slots of titles that are another word elsewhere: lady and lord, where a lady is otherwise a gentleman."""
        slots: dict[str, set[str]] = {}
        for form in self.lexicon.forms:
            slots.setdefault(form.slot, set()).add(form.text)
        return frozenset(slot for slot, texts in slots.items() if texts <= grammar.title_words())

    @cached_property
    def unclear(self) -> Bools:
        """For each form, whether its spelling stands for several places that the words around it can tell apart."""
        return np.array([self._unclear(form.text) for form in self.lexicon.forms], np.bool_)

    @cached_property
    def both(self) -> Bools:
        """For each form, whether its spelling is an object as well as a determiner: "her"."""
        return np.array(
            [{"object", "determiner"} <= {f.slot for f in self.spelt[form.text]} for form in self.lexicon.forms],
            np.bool_,
        )

    @cached_property
    def names(self) -> bool:
        """Whether there are first names among the forms."""
        return any(is_name(form) for form in self.lexicon.forms)

    @cached_property
    def is_title(self) -> Bools:
        """For each form, whether it is no pronoun."""
        return np.array([form.slot not in CASES for form in self.lexicon.forms], np.bool_)

    def _unclear(self, text: str) -> bool:
        marked = {self._marked(form) for form in self.spelt[text]}
        return len(marked) > 1

    def _marked(self, form: Form) -> bool:
        return form.slot == "determiner" or form.slot in self.titles

    def asks(self, target: int) -> Bools:
        """For each form, whether its replacement by this group's depends on how it, or the replacement, is read."""
        if target not in self._asks:
            result = self.unclear.copy()
            for index, form in enumerate(self.lexicon.forms):
                result[index] |= any(self._unclear(self._form(own, target).text) for own in self.spelt[form.text])
            self._asks[target] = result
        return self._asks[target]

    def resolve(self, text: str, reading: int) -> Form:
        """Which of the forms of one spelling is meant: "her" the determiner before a noun, else the object."""
        forms = self.spelt[text]
        if len(forms) == 1:
            return forms[0]
        # "told him stories": before a noun, and yet no determiner, if the spelling has an object at all.
        marked = reading == BEFORE or (reading == OBJECT and all(form.slot != "object" for form in forms))
        return next((form for form in forms if self._marked(form) == marked), forms[0])

    def slot_codes(self, form: Ints, reading: Readings) -> Ints:
        """A number for the place that each match is read as having."""
        codes = self._slot_codes
        return codes[form, np.minimum(reading, OBJECT)]

    @cached_property
    def _slot_codes(self) -> Ints:
        slots: dict[str, int] = {}
        table = np.empty((len(self.lexicon.forms), 3), np.int64)
        for index, form in enumerate(self.lexicon.forms):
            for reading in (PLAIN, BEFORE, OBJECT):
                table[index, reading] = slots.setdefault(self.resolve(form.text, reading).slot, len(slots))
        return table

    @cached_property
    def joined(self) -> frozenset[str]:
        """Words of the forms of several words."""
        return frozenset(word for text in self.spelt if " " in text or "'" in text for word in re.split("[ ']", text))

    def chosen(self, names: Sequence[str] | None) -> list[int]:
        """Groups that a step acts on: those of these names, by default every group that sets a status.

        Raises
        ------
        InputError
            For a name that is no group, or whose forms are all ambiguous when such forms are not to be changed.
        """
        groups, ambiguous = self.lexicon.groups, self.ambiguous
        if names is None:
            return [at for at, group in enumerate(groups) if group.status and (ambiguous or not group.ambiguous)]
        known = [group.name for group in groups]
        chosen: list[int] = []
        for name in names:
            if name not in known and name + _AMBIGUOUS not in known:
                raise InputError(
                    f'{self.where}groups: lexicon "{self.lexicon.name}" has no group "{name}".{suggest(name, known)} '
                    f"Groups: {', '.join(known)}."
                )
            mine = [at for at, known_name in enumerate(known) if known_name in (name, name + _AMBIGUOUS)]
            fitting = [at for at in mine if ambiguous or not groups[at].ambiguous]
            if not fitting:
                raise InputError(
                    f'{self.where}groups: every form of "{name}" is ambiguous; '
                    "add ambiguous = true to act on them anyway"
                )
            chosen += fitting
        return sorted(set(chosen))

    def forms_of(self, groups: Sequence[int]) -> Bools:
        """For each form, whether it belongs to one of these groups."""
        return np.isin(np.array([form.group for form in self.lexicon.forms]), list(groups))

    def opposite(self, group: int) -> int:
        """The group that the lexicon sets against this one.

        Raises
        ------
        InputError
            When there is no such group, or more than one.
        """
        groups = self.lexicon.groups
        own = groups[self.family(group)[0]]
        against = set(own.exclusive_with) | {g.name for g in groups if own.name in g.exclusive_with}
        if len(against) == 1:
            return self.lexicon.group_index(against.pop())
        peers = [g.name for g in groups if g.axis == own.axis and _eligible(g)]
        if len(peers) == 2 and own.name in peers:
            return self.lexicon.group_index(peers[1 - peers.index(own.name)])
        raise InputError(
            f'{self.where}to = "opposite": the lexicon "{self.lexicon.name}" does not say what the opposite of '
            f'"{own.name}" is; use to = "random", name a group, or give groups that have one: groups = [...], on '
            "the command line groups=a+b"
        )

    def family(self, group: int) -> list[int]:
        """A group and, where ambiguous forms may be used, its other half: the plain forms first."""
        groups = self.lexicon.groups
        plain = groups[group].name.removesuffix(_AMBIGUOUS)
        both = [at for at, other in enumerate(groups) if other.name in (plain, plain + _AMBIGUOUS)]
        return [at for at in both if self.ambiguous or at == group or not groups[at].ambiguous]

    def targets(self, group: int) -> list[int]:
        """Groups that a random swap may choose instead of this one: all others with a status and unambiguous forms."""
        groups = self.lexicon.groups
        own = self.family(group)
        return [at for at, other in enumerate(groups) if _eligible(other) and at not in own]

    def replacement(
        self, article: str, raw: str, *, form: int, reading: int, target: int, back: Back
    ) -> Replacement | None:
        """What takes the place of a word and of the indefinite article before it.

        Parameters
        ----------
        article : str
            "a" or "an" as it is written, or "" where there is none.
        raw : str
            The word as it is written.
        form : int
            Index of its form.
        reading : int
            How its surroundings are read.
        target : int
            Index of the group that takes its place.
        back : "none", "rules" or "tags"
            Only a replacement that would be turned back: by the same rules, which read its surroundings as they do
            now; or if the tagger reads it as it should, which the caller sees to.

        Returns
        -------
        Replacement, or None where the rules are not sure
        """
        key = (article, raw, form, reading, target, back)
        if key not in self._cache:
            self._cache[key] = self._replacement(article, raw, form, reading, target, back)
        return self._cache[key]

    def _replacement(
        self, article: str, raw: str, form: int, reading: int, target: int, back: Back
    ) -> Replacement | None:
        source = self.resolve(self.lexicon.forms[form].text, reading)
        other = self._form(source, target) if back != "none" else self._named(source, target)
        made = _write(article, raw, other, keep_error=back != "none")
        if back != "none":
            if back == "tags":
                there = next((own for own in self.spelt[other.text] if own.slot == other.slot), other)
            else:
                there = self.resolve(other.text, reading)
            home = self._form(there, source.group)
            if not other.slot == there.slot == home.slot == source.slot:
                return None
            if _write(*made, home, keep_error=True) != (article, raw):
                return None
            # "mr" without a capital would become an "ms" that is not found again.
            if other.capitalised and not made[1][:1].isupper():
                return None
        return Replacement(*made, self.first[other.text])

    def _form(self, source: Form, target: int) -> Form:
        """The form of the target group in the same grammatical place, else its first."""
        by_slot, first = self._targets_of(target)
        return by_slot.get(source.slot, first)

    def _named(self, source: Form, target: int) -> Form:
        """The same with the group's ambiguous forms where no other has the place: for a group that is asked for."""
        by_slot, first = self._targets_of(target)
        if source.slot in by_slot:
            return by_slot[source.slot]
        groups = self.lexicon.groups
        plain = groups[target].name.removesuffix(_AMBIGUOUS)
        half = [at for at, other in enumerate(groups) if other.name == plain + _AMBIGUOUS]
        forms = (form for at in half for form in self.lexicon.forms_of(at) if form.slot == source.slot)
        return next(forms, first)

    def _targets_of(self, target: int) -> tuple[dict[str, Form], Form]:
        """The first form of a group in each place, and its first of all."""
        if target not in self._forms:
            forms = [form for group in self.family(target) for form in self.lexicon.forms_of(group)]
            by_slot: dict[str, Form] = {}
            for form in forms:
                by_slot.setdefault(form.slot, form)
            self._forms[target] = by_slot, forms[0]
        return self._forms[target]


def _write(article: str, raw: str, form: Form, *, keep_error: bool) -> tuple[str, str]:
    """A form in the capitals and with the hyphens of a word, and the article it takes.

    With `keep_error` an article that was wrong before the word is wrong after it, so that nothing is lost.
    """
    word = grammar.like(raw, form.text)
    joint = re.search(r"[-_]", raw)
    if joint:
        word = word.replace(" ", joint.group())
    if not article:
        return "", word
    right = grammar.article(word)
    if keep_error and article.casefold() != grammar.article(raw):
        right = "an" if right == "a" else "a"
    if right == article.casefold():
        return article, word
    shout = len(raw) > 1 and raw.isupper() and article.isupper()
    return (right.upper() if shout else right.capitalize() if article[0].isupper() else right), word


def _eligible(group: Group) -> bool:
    return group.status and not group.ambiguous
