"""Which words of a lexicon a step acts on, and how one stands for another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..data.errors import InputError, suggest
from ..data.lexicon import Form, Group, Lexicon
from . import grammar
from .edits import Bools

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
    _cache: dict[tuple[str, str, int, bool, int, bool], Replacement | None] = field(default_factory=dict, repr=False)

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
    def unclear(self) -> Bools:
        """For each form, whether its spelling stands for several grammatical places, so that the next word decides."""
        return np.array([len({f.slot for f in self.spelt[form.text]}) > 1 for form in self.lexicon.forms], np.bool_)

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
        own = groups[self._family(group)[0]]
        against = set(own.exclusive_with) | {g.name for g in groups if own.name in g.exclusive_with}
        if len(against) == 1:
            return self.lexicon.group_index(against.pop())
        peers = [g.name for g in groups if g.axis == own.axis and _eligible(g)]
        if len(peers) == 2 and own.name in peers:
            return self.lexicon.group_index(peers[1 - peers.index(own.name)])
        raise InputError(
            f'{self.where}to = "opposite": the lexicon "{self.lexicon.name}" does not say what the opposite of '
            f'"{own.name}" is; use to = "random", name a group, or give groups = [...] that have one'
        )

    def _family(self, group: int) -> list[int]:
        """A group and, where ambiguous forms may be used, its other half: the plain forms first."""
        groups = self.lexicon.groups
        plain = groups[group].name.removesuffix(_AMBIGUOUS)
        both = [at for at, other in enumerate(groups) if other.name in (plain, plain + _AMBIGUOUS)]
        return [at for at in both if self.ambiguous or at == group or not groups[at].ambiguous]

    def targets(self, group: int) -> list[int]:
        """Groups that a random swap may choose instead of this one: all others with a status and unambiguous forms."""
        groups = self.lexicon.groups
        own = self._family(group)
        return [at for at, other in enumerate(groups) if _eligible(other) and at not in own]

    def replacement(
        self, article: str, raw: str, *, form: int, noun: bool, target: int, reversible: bool
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
        noun : bool
            Whether a noun-like word follows.
        target : int
            Index of the group that takes its place.
        reversible : bool
            Only a replacement that the same rule would turn back.

        Returns
        -------
        Replacement, or None where the rules are not sure
        """
        key = (article, raw, form, noun, target, reversible)
        if key not in self._cache:
            self._cache[key] = self._replacement(
                article, raw, form=form, noun=noun, target=target, reversible=reversible
            )
        return self._cache[key]

    def _replacement(
        self, article: str, raw: str, *, form: int, noun: bool, target: int, reversible: bool
    ) -> Replacement | None:
        source = grammar.resolve(self.spelt[self.lexicon.forms[form].text], noun=noun)
        other = self._form(source, target)
        made = _write(article, raw, other, keep_error=reversible)
        if reversible:
            back = grammar.resolve(self.spelt[other.text], noun=noun)
            home = self._form(back, source.group)
            if not other.slot == back.slot == home.slot == source.slot:
                return None
            if _write(*made, home, keep_error=True) != (article, raw):
                return None
        return Replacement(*made, self.first[other.text])

    def _form(self, source: Form, target: int) -> Form:
        """The form of the target group in the same grammatical place, else its first."""
        forms = [form for group in self._family(target) for form in self.lexicon.forms_of(group)]
        return next((form for form in forms if form.slot == source.slot), forms[0])


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
