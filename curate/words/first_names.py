"""First names beside the words of a lexicon, and when a name that is also a word may be taken for a name.

A name counts only with a capital. One that is an everyday word too ("Hope", "Mark") is a name throughout a row if it
stands there once where only a name would: inside a sentence, with a capital, after no word that makes it a place, a
month or a thing ("in May", "the Grant"). The names of a pair share this evidence, so that a swap does not change it.
Names that both women and men have are left.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ...data.errors import InputError
from ...data.lexicon import Form, Group, Lexicon, load
from ...data.match import Matches
from ...data.tokens import Tokens
from ..edits import Bools, Ints
from . import grammar

if TYPE_CHECKING:
    from .lexical import Words

_NAMES = "names"
_UNSHARED = "unisex"
_NAME, _WORD = "name ", "word "  # what slots of names begin with


@lru_cache(8)
def with_names(lexicon: Lexicon, *, where: str) -> Lexicon:
    """A lexicon with groups she and he, and the first names of both.

    Parameters
    ----------
    lexicon : Lexicon
        Whose forms come first: a name that is one of them is left out.
    where : str
        Beginning of the message.

    Raises
    ------
    InputError
        When the lexicon has no such groups.

    Examples
    --------
    >>> both = with_names(load("gender"), where="")
    >>> [form.slot for form in both.forms_of("she") if form.text == "mary"]
    ['name 0']
    """
    own = [group.name for group in lexicon.groups]
    if not {"she", "he"} <= set(own):
        raise InputError(
            f'{where}names = true swaps the first names of the groups "she" and "he", and the lexicon '
            f'"{lexicon.name}" does not have both; use axis = "gender"'
        )
    names = load(_NAMES)
    known = {form.text for form in lexicon.forms}
    gone = {form.slot for form in names.forms if form.text in known}
    groups = (*lexicon.groups, Group(_NAMES, _UNSHARED, status=False))
    forms = list(lexicon.forms)
    for form in names.forms:
        name = names.groups[form.group].name
        plain = name.removesuffix(" (ambiguous)")
        if plain == _UNSHARED:
            if form.text not in known:
                forms.append(Form(form.text, len(groups) - 1, form.slot, ambiguous=False, capitalised=True))
        elif form.slot not in gone:
            slot = (_WORD if form.ambiguous else _NAME) + form.slot
            forms.append(Form(form.text, own.index(plain), slot, ambiguous=False, capitalised=True))
    return replace(
        lexicon,
        name=f"{lexicon.name}+{names.name}",
        version=f"{lexicon.version}+{names.version}",
        groups=groups,
        forms=tuple(forms),
        sha256=hashlib.sha256((lexicon.sha256 + names.sha256).encode()).hexdigest(),
    )


def is_name(form: Form) -> bool:
    """Whether a form is a first name."""
    return form.slot.startswith((_NAME, _WORD))


def evident(words: Words, tokens: Tokens, matches: Matches, at: Ints) -> Bools:
    """Which of the matches at these places may be changed: all but names that may be words, without evidence."""
    slot = np.array([_word_slot(form) for form in words.lexicon.forms], np.int64)[matches.form[at]]
    keep = slot < 0
    which = np.flatnonzero(~keep)
    if not len(which):
        return keep
    shown = np.array([_name_like(tokens, token) for token in matches.token[at[which]].tolist()], np.bool_)
    key = matches.row[at[which]] * (int(slot.max()) + 1) + slot[which]
    keep[which] = np.isin(key, key[shown])
    return keep


def unshared(words: Words, matches: Matches) -> int:
    """How many names of the matches are left because women and men have them."""
    group = words.lexicon.group_index(_UNSHARED)
    return int(words.forms_of([group])[matches.form].sum())


def _word_slot(form: Form) -> int:
    return int(form.slot.removeprefix(_WORD)) if form.slot.startswith(_WORD) else -1


def _name_like(tokens: Tokens, token: int) -> bool:
    """Whether a word with a capital stands where only a name would."""
    row = int(np.searchsorted(tokens.splits, token, side="right")) - 1
    if token == tokens.splits[row]:
        return False
    own, before = _spelt(tokens, token), _spelt(tokens, token - 1)
    gap = tokens.data[tokens.ends[token - 1] : tokens.starts[token]].tobytes()
    folded = before.casefold()
    if own.isupper() and len(own) > 1:
        return False
    if folded in grammar.context("name_after") and gap in (b" ", b". "):
        return True
    # Written as titles are, so that a swap makes another title of it.
    if folded in grammar.context("name_after_title") and gap == b" " and before.istitle():
        return True
    if gap not in (b" ", b", ") or folded in grammar.context("no_name_after"):
        return False
    if before[:1].isupper() and grammar.noun_like(folded) is not False:
        return False
    if token + 1 < tokens.splits[row + 1]:
        return not _spelt(tokens, token + 1).isdigit()
    return True


def _spelt(tokens: Tokens, token: int) -> str:
    return tokens.data[tokens.starts[token] : tokens.ends[token]].tobytes().decode()
