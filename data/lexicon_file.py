"""What a lexicon file may hold, and everything that can be wrong with one.

The words of a form are split by the one tokenizer, so that what a lexicon can hold is exactly what a text can show.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from .errors import suggest
from .tokens import tokenize

CASES = ("subject", "object", "determiner", "possessive", "reflexive")
"""The slots of a pronoun, in the order in which a lexicon's ``cases`` are read."""

_METADATA = ("name", "version", "language", "source", "licence")
_GROUP_KEYS = ("axis", "name", "forms", "cases", "ambiguous", "capitalised", "exclusive_with", "status")
# What may stand between two words of one form, and how the form is then written.
_JOINS = {" ": " ", "-": " ", "_": " ", "'": "'", "\u2019": "'"}


@dataclass(frozen=True, slots=True)
class Form:
    """One way in which a group is named.

    Attributes
    ----------
    text : str
        Folded words joined by one space (or by an apostrophe, where the form has one).
    group : int
        Index into `Lexicon.groups`.
    slot : str
        Grammatical place: a case ("subject", "object", ...) or the position in ``forms`` ("0", "1", ...). Forms of
        different groups with the same slot stand for each other when text is swapped.
    ambiguous : bool
        Whether the form commonly means something else; such forms are counted apart.
    capitalised : bool
        Whether it only counts where its first letter is a capital, as names do.
    """

    text: str
    group: int
    slot: str
    ambiguous: bool
    capitalised: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """People who are named by the same forms.

    Attributes
    ----------
    axis : str
        The sub-axis, for example "religion".
    name : str
        Unique in the lexicon. Ambiguous forms of a group that also has plain ones make a group "NAME (ambiguous)".
    ambiguous : bool
        Whether the group's forms are the ambiguous ones.
    status : bool
        False: reported, but sets no status.
    exclusive_with : tuple of str
        Groups of which a row is only a member when it is none of this one's; with both it is "mixed".
    """

    axis: str
    name: str
    ambiguous: bool = False
    status: bool = True
    exclusive_with: tuple[str, ...] = ()


@dataclass(slots=True)
class _Entry:
    """A form as the file writes it, on its way to `Form`."""

    key: str
    raw: str
    group: int
    slot: str
    ambiguous: bool
    capitalised: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """What a good file holds."""

    metadata: dict[str, str]
    groups: tuple[Group, ...]
    forms: tuple[Form, ...]


def parse(content: bytes) -> tuple[Content | None, list[str]]:
    """Read the bytes of a lexicon file.

    Parameters
    ----------
    content : bytes
        TOML.

    Returns
    -------
    Content or None
        None where something is wrong.
    list of str
        What is wrong, a sentence each, naming the key.
    """
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        return None, [f"is not UTF-8 (byte {error.start})"]
    except tomllib.TOMLDecodeError as error:
        return None, [f"is not valid TOML: {error}"]
    problems = _unknown(document, ("lexicon", "group"), "")
    metadata = _metadata(document.get("lexicon"), problems)
    tables = document.get("group")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        problems.append("has no [[group]]")
        return None, problems
    entries: list[_Entry] = []
    for index, table in enumerate(tables):
        entries.extend(_entries(table, index, f"group {index + 1}{_called(table)}", problems))
    _spell(entries, problems)
    _unique(entries, tables, problems)
    if problems:
        return None, problems
    return Content(metadata, *_assemble(entries, tables)), []


def _metadata(table: Any, problems: list[str]) -> dict[str, str]:
    if not isinstance(table, dict):
        problems.append("has no [lexicon] table with " + ", ".join(_METADATA))
        return {}
    problems += _unknown(table, _METADATA, "lexicon.")
    for key in _METADATA:
        value = table.get(key)
        if not isinstance(value, str) or not value.strip():
            problems.append(f"lexicon.{key} is missing or no string; every lexicon says its {key}")
    name = table.get("name")
    if isinstance(name, str) and name and not name.replace("_", "a").replace("-", "a").isalnum():
        problems.append(
            f'lexicon.name "{name}" may hold letters, digits, "-" and "_" only, because axes are named by it'
        )
    return {key: table.get(key, "") for key in _METADATA}


def _entries(table: dict[str, Any], index: int, where: str, problems: list[str]) -> Iterator[_Entry]:
    """The forms of one group, checked for everything but the words themselves."""
    problems += _unknown(table, _GROUP_KEYS, f"{where}: ")
    for key in ("axis", "name"):
        if not isinstance(table.get(key), str) or not table[key].strip():
            problems.append(f"{where}: {key} is missing or no string")
    if not isinstance(table.get("status", True), bool):
        problems.append(f"{where}: status is true or false")
    apart = _strings(table.get("ambiguous", []), f"{where}: ambiguous", problems)
    _strings(table.get("exclusive_with", []), f"{where}: exclusive_with", problems)
    placed: list[tuple[str, str, list[str]]] = []
    cases = table.get("cases", {})
    if not isinstance(cases, dict):
        problems.append(f'{where}: cases is a table such as {{ subject = "she", object = "her" }}')
        cases = {}
    problems += _unknown(cases, CASES, f"{where}: cases.")
    for case in CASES:
        if case in cases:
            key = f"{where}: cases.{case}"
            placed.append((key, case, _spellings(cases[case], key, problems)))
    forms = table.get("forms", [])
    if not isinstance(forms, list):
        problems.append(f"{where}: forms is a list of strings")
        forms = []
    for position, form in enumerate(forms):
        placed.append((f"{where}: forms", str(position), _spellings(form, f"{where}: forms", problems)))
    known = {spelling for _, _, spellings in placed for spelling in spellings}
    # An ambiguous form that also has its place keeps it; others go on counting positions.
    extra = [form for form in apart if form not in known]
    placed += [(f"{where}: ambiguous", str(len(forms) + k), [form]) for k, form in enumerate(extra)]
    if not placed:
        problems.append(f"{where}: has no forms (give forms, cases or ambiguous)")
    capitals = table.get("capitalised", [])
    if isinstance(capitals, bool):
        capitals = [spelling for _, _, spellings in placed for spelling in spellings] if capitals else []
    _strings(capitals, f"{where}: capitalised (or true)", problems)
    known |= set(apart)
    problems += [f'{where}: capitalised: "{form}" is no form of the group' for form in capitals if form not in known]
    for key, slot, spellings in placed:
        for spelling in spellings:
            yield _Entry(key, spelling, index, slot, spelling in apart, spelling in capitals)


def _strings(value: Any, key: str, problems: list[str]) -> list[str]:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    problems.append(f"{key} is a list of strings")
    return []


def _spellings(value: Any, key: str, problems: list[str]) -> list[str]:
    """One place of a group: a form, or a list of spellings of the same form, of which the first is written."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return value
    problems.append(f"{key} holds strings, or lists of spellings of one form")
    return []


def _spell(entries: list[_Entry], problems: list[str]) -> None:
    """Fill in each entry's folded words, by the one tokenizer."""
    tokens = tokenize(pa.array([entry.raw for entry in entries], pa.large_string()))
    for row, entry in enumerate(entries):
        first, last = int(tokens.splits[row]), int(tokens.splits[row + 1])
        begin, end = int(tokens.offsets[row]), int(tokens.offsets[row + 1])
        if first == last:
            what = "is empty" if not entry.raw.strip() else "holds no letter or digit"
            problems.append(f'{entry.key}: "{entry.raw}" {what}')
            continue
        edges = [begin, *(int(x) for k in range(first, last) for x in (tokens.starts[k], tokens.ends[k])), end]
        gaps = [tokens.data[low:high].tobytes().decode() for low, high in zip(edges[::2], edges[1::2], strict=True)]
        if gaps[0] or gaps[-1]:
            problems.append(
                f'{entry.key}: "{entry.raw}" begins or ends with "{gaps[0] or gaps[-1]}", no part of a word'
            )
            continue
        wrong = next((gap for gap in gaps[1:-1] if gap not in _JOINS), None)
        if wrong is not None:
            problems.append(
                f'{entry.key}: "{entry.raw}" has "{wrong}" between two words; '
                "one space, hyphen, underscore or apostrophe can be matched"
            )
            continue
        words = [tokens.folded[tokens.ids[k]] for k in range(first, last)]
        joined = (_JOINS[gap] + word for gap, word in zip(gaps[1:-1], words[1:], strict=True))
        entry.text = words[0] + "".join(joined)


def _unique(entries: list[_Entry], tables: list[dict[str, Any]], problems: list[str]) -> None:
    """One form belongs to one group, and groups have names of their own."""
    owner: dict[str, _Entry] = {}
    for entry in entries:
        before = owner.setdefault(entry.text, entry) if entry.text else entry
        if before.group != entry.group:
            problems.append(f'{entry.key}: "{entry.raw}" is also in {before.key.split(":")[0]}; a form has one group')
    names = [str(table.get("name", "")) for table in tables]
    for index, name in enumerate(names):
        if name and name in names[:index]:
            problems.append(f'group {index + 1}: there is another group "{name}"')
    if "mixed" in names and any(table.get("exclusive_with") for table in tables):
        problems.append('a group may not be called "mixed" where groups exclude each other: rows with both are')
    for index, table in enumerate(tables):
        others = table.get("exclusive_with", [])
        for other in others if isinstance(others, list) else []:
            if other not in names or other == names[index]:
                hint = suggest(str(other), [name for name in names if name != names[index]])
                problems.append(
                    f'group {index + 1}{_called(table)}: exclusive_with names no other group "{other}".{hint}'
                )


def _assemble(entries: list[_Entry], tables: list[dict[str, Any]]) -> tuple[tuple[Group, ...], tuple[Form, ...]]:
    """Groups and forms; ambiguous forms beside plain ones get a group of their own."""
    groups: list[Group] = []
    forms: list[Form] = []
    for index, table in enumerate(tables):
        own = [entry for entry in entries if entry.group == index]
        # A surface form is ambiguous or not as a whole, whatever places it has.
        apart = {entry.text for entry in own if entry.ambiguous}
        capitals = {entry.text for entry in own if entry.capitalised}
        both = any(entry.text not in apart for entry in own) and bool(apart)
        for ambiguous in (False, True):
            mine = [entry for entry in own if (entry.text in apart) == ambiguous]
            if not mine:
                continue
            name = table["name"] + (" (ambiguous)" if both and ambiguous else "")
            exclusive = () if both and ambiguous else tuple(table.get("exclusive_with", ()))
            groups.append(Group(table["axis"], name, ambiguous, table.get("status", True), exclusive))
            seen = dict.fromkeys((entry.text, entry.slot) for entry in mine)
            forms += [Form(text, len(groups) - 1, slot, ambiguous, text in capitals) for text, slot in seen]
    return tuple(groups), tuple(forms)


def _unknown(table: dict[str, Any], allowed: tuple[str, ...], prefix: str) -> list[str]:
    return [
        f"{prefix}{key} is no key; there are {', '.join(allowed)}.{suggest(key, allowed)}"
        for key in table
        if key not in allowed
    ]


def _called(table: dict[str, Any]) -> str:
    return f' "{table["name"]}"' if isinstance(table.get("name"), str) else ""
