"""The small language of the phrase banks: alternatives, agreement with the pronoun, and slots filled once a row."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib import resources
from itertools import product
from random import Random
from typing import Any

_ALTERNATIVES = re.compile(r"<([^<>]*)>")
_AGREEMENT = re.compile(r"\{([^{}/]+)/([^{}/]+)\}")


@cache
def bank(name: str) -> dict[str, Any]:
    """Read a phrase bank that ships with the package. Treat it as read-only."""
    return tomllib.loads((resources.files(__package__) / f"{name}.toml").read_text(encoding="utf-8"))


def draws(*purpose: object) -> Callable[[], float]:
    """Give a stream of numbers in [0, 1) that depends on ``purpose`` alone.

    Python promises that ``Random(int).random()`` gives the same numbers on every machine and in every version; numpy
    promises it only for bit generators, and its platform-dependent ``exp`` and ``log`` have no place in a sample whose
    bytes are pinned. A stream a row makes a row independent of how many rows come before it: a longer sample starts
    with the shorter one.
    """
    key = "\x1f".join(map(str, purpose)).encode()
    return Random(int.from_bytes(blake2b(key, digest_size=8).digest(), "big")).random  # not for secrets


def pick(options: Sequence[Any], u: float) -> Any:
    """Give one of ``options`` with equal chance, from one number in [0, 1)."""
    return options[int(u * len(options))]


def expand(template: str) -> tuple[str, ...]:
    """Write out the alternatives of a template.

    >>> expand("a <b|c> d")
    ('a b d', 'a c d')
    """
    parts = _ALTERNATIVES.split(template)
    return tuple("".join(chosen) for chosen in product(*(p.split("|") if i % 2 else [p] for i, p in enumerate(parts))))


@dataclass(frozen=True, slots=True)
class Pronoun:
    """The forms of one pronoun, and how verbs agree with it."""

    group: str
    subject: str
    object: str
    determiner: str
    possessive: str
    reflexive: str
    plural: bool

    def inflect(self, template: str) -> str:
        """Put the pronoun into a template; other slots stay.

        >>> they = Pronoun("they", "they", "them", "their", "theirs", "themselves", True)
        >>> they.inflect("{S} {has/have} {d} own {firm}.")
        'They have their own {firm}.'
        """
        text = _AGREEMENT.sub(lambda m: m[2 if self.plural else 1], template)
        forms = {"s": self.subject, "o": self.object, "d": self.determiner, "p": self.possessive, "r": self.reflexive}
        for slot, form in forms.items():
            text = text.replace(f"{{{slot}}}", form).replace(f"{{{slot.upper()}}}", form.capitalize())
        return text


def pronouns() -> dict[str, Pronoun]:
    """Give the pronouns of the bank, by group name."""
    forms: dict[str, list[str]] = bank("bios")["pronouns"]
    return {g: Pronoun(g, s, o, d, p, r, number == "plural") for g, (s, o, d, p, r, number) in forms.items()}


class Slots(dict[str, str]):
    """The slots of one row: filled when first asked for and kept, so that a city stays the same city.

    Parameters
    ----------
    options
        What a slot may be filled with; an option may hold slots itself.
    draw
        The row's stream of numbers.
    fresh
        Slots to fill anew every time.
    """

    def __init__(
        self, options: Mapping[str, Sequence[str]], draw: Callable[[], float], *, fresh: frozenset[str] = frozenset()
    ) -> None:
        super().__init__()
        self._options, self._draw, self._fresh = options, draw, fresh

    def __missing__(self, slot: str) -> str:
        text: str = pick(self._options[slot], self._draw())
        if "{" in text:
            text = text.format_map(self)
        if slot not in self._fresh:
            self[slot] = text
        return text


def join(words: Sequence[str]) -> str:
    """Join words as in a sentence.

    >>> join(["chess", "golf", "ballet"])
    'chess, golf and ballet'
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def article(word: str) -> str:
    """Put *a* or *an* before a word of the banks.

    >>> article("American"), article("gay")
    ('an American', 'a gay')
    """
    return f"{'an' if word[0].lower() in 'aeiou' else 'a'} {word}"
