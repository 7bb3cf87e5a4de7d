"""The sentences of the upstream measures: read from ``templates.toml`` or a file like it, and filled with targets."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ...data.errors import InputError, suggest

BUILTIN = Path(__file__).with_name("templates.toml")
_FIELD = re.compile(r"\{(\w*)\}")
_FIELDS = ("t", "T", "a", "A", "P", "p", "mask")
_TABLES = ("ranking.masked", "ranking.causal", "negativity", "association.professions", "association.terms")


@dataclass(frozen=True, slots=True)
class Sentences:
    """One table of the file.

    Attributes
    ----------
    templates : tuple of str
    neutral : tuple of str
        Words that say what zero is.
    first, second : tuple of str
        The two sides: one pronoun each (ranking), unkind and kind words (negativity), attributes (association).
    """

    templates: tuple[str, ...]
    neutral: tuple[str, ...]
    first: tuple[str, ...]
    second: tuple[str, ...]

    def swapped(self) -> Sentences:
        """The same with the sides exchanged."""
        return Sentences(self.templates, self.neutral, self.second, self.first)


@dataclass(frozen=True, slots=True)
class Templates:
    """A file of templates.

    Attributes
    ----------
    name, version, sha256 : str
    masked, causal : Sentences
        Pronoun ranking, by kind of model.
    negativity : Sentences
    professions, terms : Sentences
        Association.
    """

    name: str
    version: str
    sha256: str
    masked: Sentences
    causal: Sentences
    negativity: Sentences
    professions: Sentences
    terms: Sentences

    def tables(self) -> dict[str, Sentences]:
        """The tables under their names in the file."""
        own = (self.masked, self.causal, self.negativity, self.professions, self.terms)
        return dict(zip(_TABLES, own, strict=True))


@dataclass(frozen=True, slots=True)
class Filled:
    """A sentence.

    Attributes
    ----------
    text : str
    target : tuple of int
        Where the target stands: first character and the one behind the last.
    blank : int
        First character of the pronoun or the fill; -1 where there is none.
    """

    text: str
    target: tuple[int, int]
    blank: int


def fill(template: str, target: str, blank: str = "", *, as_is: bool = False) -> Filled:
    """Write a target, its article and what belongs in the blank into a template.

    Parameters
    ----------
    template : str
        With its places in braces.
    target : str
        What stands at {t}.
    blank : str
        The pronoun, the fill or the mask.
    as_is : bool
        The blank is a mask, which has no capital.

    Returns
    -------
    Filled

    Examples
    --------
    >>> fill("{P} is {a} {t}.", "engineer", "she")
    Filled(text='She is an engineer.', target=(10, 18), blank=0)
    >>> fill("{T} people are {mask}.", "gay", "[MASK]").text
    'Gay people are [MASK].'
    """
    from ...curate.words.grammar import article

    article_ = article(target)
    values = {"t": target, "T": _capital(target), "a": article_, "A": _capital(article_), "mask": blank, "p": blank}
    values["P"] = blank if as_is else _capital(blank)
    text, at, span, where = "", 0, (0, 0), -1
    for found in _FIELD.finditer(template):
        text += template[at : found.start()]
        value = values[found[1]]
        if found[1] in "tT":
            span = (len(text), len(text) + len(value))
        elif found[1] in ("P", "p", "mask"):
            where = len(text)
        text, at = text + value, found.end()
    return Filled(text + template[at:], span, where)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def spoken(name: str) -> str:
    """A label as it is said: ``software_engineer`` is "software engineer".

    Examples
    --------
    >>> spoken("software_engineer"), spoken(" middle  aged ")
    ('software engineer', 'middle aged')
    """
    return " ".join(name.replace("_", " ").split())


@cache
def load(path: str | Path | None = None) -> Templates:
    """Read a file of templates.

    Parameters
    ----------
    path : str or Path, optional
        TOML like the built-in one; tables that it leaves out are taken from there.

    Returns
    -------
    Templates

    Raises
    ------
    InputError
        The file cannot be read, or something in it is wrong: names file and key.

    Examples
    --------
    >>> load().masked.templates[0], load().masked.first
    ('{P} is {a} {t}.', ('she',))
    """
    file = BUILTIN if path is None else Path(path)
    where = f'templates "{file}"' if path is not None else "built-in templates"
    try:
        content = file.read_bytes()
        document = tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        raise InputError(f"{where}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{where}: is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}: is not valid TOML: {error}") from None
    flat = _flat(document, where)
    given = {name: _sentences(name, table, where) for name, table in flat.items()}
    if path is not None:
        given = load().tables() | given
    return Templates(
        str(document.get("name", file.stem)),
        str(document.get("version", "")),
        hashlib.sha256(content).hexdigest(),
        *(given[name] for name in _TABLES),
    )


def _flat(document: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The tables under their full names."""
    tables: dict[str, Any] = {}
    for name, table in document.items():
        if not isinstance(table, dict):
            continue
        inner = {f"{name}.{key}": part for key, part in table.items() if isinstance(part, dict)}
        tables |= inner if inner and name not in _TABLES else {name: table}
    for name in tables:
        if name not in _TABLES:
            raise InputError(
                f"{where}: there is no table [{name}]; tables are {', '.join(_TABLES)}.{suggest(name, _TABLES)}"
            )
    return tables


def _sentences(name: str, table: Any, where: str) -> Sentences:
    key = f"{where}: {name}"
    base = None if where == "built-in templates" else load()
    if not isinstance(table, dict):
        raise InputError(f"{key} must be a table: [{name}]")
    sides = ("negative", "positive") if name == "negativity" else ("first", "second")
    for entry in table:
        if entry not in ("templates", "neutral", *sides):
            raise InputError(f"{key}.{entry} is no key here; keys are templates, neutral, {sides[0]} and {sides[1]}")
    if base is not None:
        own = base.tables()[name]
        defaults = {"neutral": own.neutral, sides[0]: own.first, sides[1]: own.second}
    else:
        defaults = {}
    lists = {
        entry: _words(table[entry], f"{key}.{entry}") if entry in table else tuple(defaults.get(entry, ()))
        for entry in ("templates", "neutral", *sides)
    }
    if not lists["templates"]:
        raise InputError(f'{key} needs templates: templates = ["{{P}} is {{a}} {{t}}."]')
    for template in lists["templates"]:
        _check(template, name, f"{key}.templates")
    return Sentences(lists["templates"], lists["neutral"], lists[sides[0]], lists[sides[1]])


def _words(value: Any, key: str) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed or not all(isinstance(word, str) and word.strip() for word in listed):
        raise InputError(f"{key} must be a list of texts, none of them empty")
    twice = next((word for at, word in enumerate(listed) if word in listed[:at]), None)
    if twice is not None:
        raise InputError(f'{key} has "{twice}" twice')
    return tuple(listed)


def _check(template: str, name: str, key: str) -> None:
    """Exactly one target; exactly one blank where the measure asks for one."""
    fields = [found[1] for found in _FIELD.finditer(template)]
    unknown = next((field for field in fields if field not in _FIELDS), None)
    if unknown is not None:
        raise InputError(f'{key}: "{template}" has {{{unknown}}}; places are {", ".join(f"{{{f}}}" for f in _FIELDS)}')
    blanks = {"ranking": ("P", "p"), "negativity": ("mask",)}.get(name.partition(".")[0], ())
    if sum(field in ("t", "T") for field in fields) != 1:
        raise InputError(f'{key}: "{template}" needs the target once: {{t}}, or {{T}} with a capital')
    if [field for field in fields if field in ("P", "p", "mask")] not in ([[b] for b in blanks] or [[]]):
        needed = " or ".join(f"{{{blank}}}" for blank in blanks)
        raise InputError(f'{key}: "{template}" needs {f"{needed} once" if blanks else "no pronoun and no mask"}')
    if name == "negativity" and template.index("{mask}") < max(template.find("{t}"), template.find("{T}")):
        raise InputError(f'{key}: "{template}" has {{mask}} before the target; causal models read from the left')
