"""Definitional pairs: words that differ in what a direction is to be about, and in little else (she and he)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...data.errors import InputError
from ...data.lexicon import Lexicon, load
from ...data.tokens import fold

BUILTIN = "definitional_pairs"


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of words that span a direction.

    Attributes
    ----------
    first, second : str
        What the two sides are called; a score above 0 is on the side of the first.
    pairs : tuple of (str, str)
        A word of the first side and its counterpart of the second.
    source : str
        Where they are from, for a report.
    """

    first: str
    second: str
    pairs: tuple[tuple[str, str], ...]
    source: str

    @property
    def words(self) -> frozenset[str]:
        """All words of the pairs, folded."""
        return frozenset(fold(word) for pair in self.pairs for word in pair)

    def swapped(self) -> Pairs:
        """The same pairs with the sides exchanged."""
        return Pairs(self.second, self.first, tuple((b, a) for a, b in self.pairs), self.source)

    def to_dict(self) -> dict[str, Any]:
        """For audit.json."""
        return {"first": self.first, "second": self.second, "pairs": [list(p) for p in self.pairs], "from": self.source}


def load_pairs(spec: str | Path = BUILTIN, *, groups: tuple[str, str] | None = None) -> Pairs:
    """Read definitional pairs.

    Parameters
    ----------
    spec : str or Path
        The name of a built-in lexicon, a lexicon file (TOML), or the pairs themselves: ``"woman-man,girl-boy"``.
    groups : (str, str), optional
        The two groups of the lexicon that are paired; may be left out where it has only two.

    Returns
    -------
    Pairs
        Forms of the two groups with the same position or case, as far as they are single words.

    Raises
    ------
    InputError
        There is no such lexicon or group, or nothing in it pairs up.

    Examples
    --------
    >>> load_pairs().pairs[:3]
    (('woman', 'man'), ('girl', 'boy'), ('she', 'he'))
    >>> load_pairs("pronouns", groups=("she", "he")).pairs[0]
    ('she', 'he')
    >>> load_pairs("rich-poor,wealthy-needy").first
    'rich'
    """
    text = str(spec)
    if isinstance(spec, str) and not text.endswith(".toml") and "-" in text:
        return _written(text)
    try:
        lexicon = load(spec)
    except InputError as error:
        raise InputError(
            f"--pairs: write the pairs, for example woman-man,girl-boy, or name a lexicon; {error}"
        ) from None
    first, second = _sides(lexicon, groups)
    others: dict[str, list[str]] = {}
    for form in lexicon.forms_of(second):
        others.setdefault(form.slot, []).append(form.text)
    pairs = [
        (form.text, other)
        for form in lexicon.forms_of(first)
        for other in others.get(form.slot, [])[:1]
        if form.text.isalnum() and other.isalnum() and form.text != other
    ]
    if not pairs:
        raise InputError(
            f'--pairs: in the lexicon "{lexicon.name}" no form of "{first}" has a counterpart among those of '
            f'"{second}": the same position in both is the same pair'
        )
    return Pairs(first, second, tuple(dict.fromkeys(pairs)), f"lexicon {lexicon.name} {lexicon.version}")


def _written(text: str) -> Pairs:
    pairs = []
    for part in text.split(","):
        sides = tuple(side.strip() for side in part.split("-"))
        if len(sides) != 2 or not all(side.isalnum() for side in sides) or fold(sides[0]) == fold(sides[1]):
            raise InputError(
                f'--pairs: "{part.strip()}" is no pair of two different words; write for example "woman-man,girl-boy", '
                "or name a lexicon file"
            )
        pairs.append((sides[0], sides[1]))
    first, second = pairs[0]
    return Pairs(first, second, tuple(dict.fromkeys(pairs)), "--pairs")


def _sides(lexicon: Lexicon, groups: tuple[str, str] | None) -> tuple[str, str]:
    if groups is not None:
        for name in groups:
            lexicon.group_index(name)  # says which groups there are
        return groups
    names = [group.name for group in lexicon.groups if not group.ambiguous]
    if len(names) != 2:
        raise InputError(
            f'--pairs: the lexicon "{lexicon.name}" has {len(names)} groups ({", ".join(names[:8])}); a direction goes '
            "from one of two groups to the other"
        )
    return names[0], names[1]
