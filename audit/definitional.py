"""Words that name the groups of an axis, so that they are no proxies for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .sides import note_of, status_groups

if TYPE_CHECKING:
    from .tally import Tally


def definitional_words(tally: Tally, axis: str) -> frozenset[str]:
    """Words that name a group of an axis, so that they cannot be its proxies.

    Parameters
    ----------
    tally : Tally
        Of the data.
    axis : str
        Its name.

    Returns
    -------
    frozenset of str
        The forms of the axis's own word lists that occur, and the words of those of several words. Where the groups are
        genders (pronouns, words such as "female", columns with such values) also pronouns, gendered nouns and the
        definitional pairs, all built in.
    """
    note = note_of(tally, axis)
    names = [axis, *axis.split("+")]
    own: set[str] = set()
    for name in names:
        for form, _ in tally.terms.get(name.strip().removeprefix("lexicon:"), {}):
            own.update(form.replace("-", " ").split(" "))
    from ..data.lexicon import load

    lists = [load(name) for name in ("pronouns", "gendered_nouns", "definitional_pairs")]
    forms = {form.text for lexicon in lists for form in lexicon.forms}
    kinds = {known.subaxis for known in note.groups.values()}
    groups = {part for group in status_groups(note) for part in group.casefold().split(" & ")}
    gendered = bool(kinds & {"pronouns", "gender"} or groups & (forms | {"f", "m", "women", "men"}))
    # Of an axis with other groups besides, such as identity, gendered nouns name only a few: they are left out for all.
    return frozenset(own | ({word for word in forms if " " not in word} if gendered else set()))
