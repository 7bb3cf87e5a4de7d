"""Lexicons: versioned files of word forms, each form in one group, each group on a sub-axis.

Some come with evenset, as TOML in the folder ``lexicons``; users bring their own. What a file may hold is in
`lexicon_file`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path

from .errors import InputError, suggest
from .lexicon_file import CASES, Form, Group, parse

__all__ = ["CASES", "Form", "Group", "Lexicon", "builtin_names", "load", "validate"]


@dataclass(frozen=True)
class Lexicon:
    """Groups and their forms, with the file's name, version, language, source, licence and SHA-256."""

    name: str
    version: str
    language: str
    source: str
    licence: str
    groups: tuple[Group, ...] = field(repr=False)
    forms: tuple[Form, ...] = field(repr=False)
    sha256: str

    def group_index(self, name: str) -> int:
        """Index of the group of this name.

        Raises
        ------
        InputError
            When there is none.
        """
        names = [group.name for group in self.groups]
        if name not in names:
            raise InputError(f'lexicon "{self.name}" has no group "{name}".{suggest(name, names)}')
        return names.index(name)

    def forms_of(self, group: int | str) -> tuple[Form, ...]:
        """All forms of a group, given by its index or its name, in the order of the file."""
        index = self.group_index(group) if isinstance(group, str) else group
        return tuple(form for form in self.forms if form.group == index)


def builtin_names() -> tuple[str, ...]:
    """Names of the lexicons that come with evenset.

    Examples
    --------
    >>> builtin_names()
    ('affect', 'definitional_pairs', 'gender', 'gendered_nouns', 'identity', 'names', 'occupations', 'pronouns')
    """
    files = (resources.files(__package__) / "lexicons").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def load(name_or_path: str | Path) -> Lexicon:
    """Read a lexicon.

    Parameters
    ----------
    name_or_path : str or Path
        Name of a built-in lexicon, or a TOML file (a `Path`, or text that ends in ".toml" or names a folder).

    Returns
    -------
    Lexicon

    Raises
    ------
    InputError
        When there is no such lexicon, or something is wrong with it: names the file and the key.

    Examples
    --------
    >>> pronouns = load("pronouns")
    >>> [(form.text, form.slot) for form in pronouns.forms_of("she")]
    ... # doctest: +NORMALIZE_WHITESPACE
    [('she', 'subject'), ('her', 'object'), ('her', 'determiner'), ('hers', 'possessive'), ('herself', 'reflexive')]
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text or "\\" in text:
        where, content = f'lexicon file "{text}"', _read(Path(name_or_path))
    elif text in builtin_names():
        where = f'built-in lexicon "{text}"'
        content = (resources.files(__package__) / "lexicons" / f"{text}.toml").read_bytes()
    else:
        names = builtin_names()
        raise InputError(
            f'there is no lexicon "{text}"; built in are {", ".join(names)}; '
            f"a file of your own ends in .toml.{suggest(text, names)}"
        )
    parsed, problems = _parsed(content)
    if parsed is None:
        more = f" (and {len(problems) - 1} more: evenset lexicon validate)" if len(problems) > 1 else ""
        raise InputError(f"{where}: {problems[0]}{more}")
    digest = hashlib.sha256(content).hexdigest()
    return Lexicon(**parsed.metadata, groups=parsed.groups, forms=parsed.forms, sha256=digest)


def validate(path: str | Path) -> list[str]:
    """Say everything that is wrong with a lexicon file.

    Parameters
    ----------
    path : str or Path
        A TOML file.

    Returns
    -------
    list of str
        One sentence a problem, naming the key; empty when the file is fine.

    Raises
    ------
    InputError
        When the file cannot be read.
    """
    return parse(_read(Path(path)))[1]


# The same few files are asked for again and again, by every axis and every step of a plan.
_parsed = lru_cache(maxsize=16)(parse)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f'lexicon file "{path}": {error.strerror or error}') from error
