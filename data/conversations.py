"""Chat, instruction and preference data as rows of text: which form a file has, and a `Source` that reads it so.

The text of a row is what the chosen roles say in it, joined by a blank line; `Batch.segments` is the way back.

========== ====================================================================== ===============================
form       a row of the file                                                      becomes
========== ====================================================================== ===============================
chat       ``messages``: a list of {role, content}; content is text or text parts  one row
sharegpt   ``conversations``: a list of {from, value}                              one row
alpaca     ``instruction``, ``input``, ``output`` (also ``prompt``, ``completion``) one row
preference ``chosen`` and ``rejected``: texts or lists of messages                 two rows, labelled chosen, rejected
========== ====================================================================== ===============================
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import pyarrow as pa

from .dataset import Columns, Source, listed
from .errors import InputError, suggest
from .readers_jsonl import JsonlSource, parse, read_lines
from .turns import Field, canonical, walk

if TYPE_CHECKING:
    from .readers import Opened

Format = Literal["chat", "sharegpt", "alpaca", "preference"]
FORMATS: tuple[str, ...] = get_args(Format)

DEFAULT_ROLES = ("assistant",)
CHOSEN, REJECTED = "chosen", "rejected"
_COLUMNS = ("messages", "conversations", "conversation", "dialogue", "dialog", "turns", "chat")
_KEYS = {"chat": ("role", "content"), "sharegpt": ("from", "value")}
_PEEK = 200
# The columns of each field of alpaca, and what is said in it by whom: names in use, the usual one first.
_ALPACA = (
    ("system", ("system", "system_prompt")),
    ("user", ("instruction", "prompt")),
    ("user", ("input", "context")),
    ("assistant", ("output", "response", "completion")),
)


@dataclass(frozen=True, slots=True)
class Conversation:
    """How a file holds conversations, and which part of them is the text.

    Attributes
    ----------
    format : "chat", "sharegpt", "alpaca" or "preference"
    fields : tuple of Field
        The columns of the file that hold messages.
    keys : (str, str)
        Names of the role and of the text in a message.
    roles : tuple of str
        Whose messages are the text.
    text : str
        Name of the column made of them.
    label, pair : str or None
        Of preference pairs: names of the columns made for chosen or rejected, and for what a pair's two rows share.
    prompt : str or None
        Of preference pairs: the column with what both reply to.
    guessed : frozenset of str
        Which of "format" and "roles" the user did not say.
    """

    format: str
    fields: tuple[Field, ...]
    keys: tuple[str, str]
    roles: tuple[str, ...]
    text: str
    label: str | None = None
    pair: str | None = None
    prompt: str | None = None
    guessed: frozenset[str] = frozenset()

    @property
    def made(self) -> tuple[str, ...]:
        """Names of the columns that the file itself does not have."""
        return tuple(name for name in (self.text, self.label, self.pair) if name is not None)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the file's columns that are read for them."""
        return (*(field.name for field in self.fields), *((self.prompt,) if self.prompt is not None else ()))

    @property
    def named(self) -> str | None:
        """The column to name as the text where the file shall be read in this way again."""
        return self.fields[0].name if self.format in _KEYS else None

    def options(self) -> list[str]:
        """What to write on the command line to read the file in this way again."""
        said: list[str] = []
        if "format" not in self.guessed:
            said += ["--format", self.format]
        if "roles" not in self.guessed:
            said += ["--roles", ",".join(self.roles)]
        return said

    def notes(self, columns: Columns) -> tuple[str, ...]:
        """What was guessed, in one line; nothing where nothing was."""
        parts = ["read as preference pairs, two rows each"] if self.format == "preference" else []
        if not parts and "format" in self.guessed:
            parts = [f"read as {self.format}"]
        flags = ["--format"] if "format" in self.guessed else []
        said = []
        if "roles" in self.guessed:
            said.append(f"text={self.text}")
            flags.append("--roles")
        if columns.label == self.label and self.label is not None:
            said.append(f"label={self.label} (positive={columns.positive})")
            flags.append("--label")
        elif columns.label is None:
            said.append("no label")
            flags.append("--label (a column, or words: axis:affect, axis:occupations)")
        if not said and "format" not in self.guessed:
            return ()
        heading = ": ".join([*parts, ", ".join(said)]) if said else parts[0]
        return (f"{heading}; change with {', '.join(flags)}",)


def recognise(
    opened: Opened,
    *,
    format: str | None,  # noqa: A002 - the word of --format
    roles: Sequence[str] | None,
    text: str | None,
    place: str,
) -> Conversation | None:
    """The conversations of a file, as asked for or as its columns show; None where it has none.

    Parameters
    ----------
    opened : Opened
        The file.
    format, roles : optional
        As the user said them.
    text : str, optional
        The column that the user called the text: it must be the one with the messages, or the name that
        `Conversation.text` once had.
    place : str
        The file in words.

    Raises
    ------
    InputError
        When the form is unknown or not the file's, or roles are asked for where there are none.
    """
    if format is not None and format not in FORMATS:
        raise InputError(f'--format "{format}" is none of {", ".join(FORMATS)}.{suggest(format, FORMATS)}')
    names = opened.source.names
    guessed = {name for name, value in (("format", format), ("roles", roles)) if value is None}
    if text is not None and text not in names:
        known = re.fullmatch(r"(\S+(?: and \S+)*) messages", text)
        if known is None:
            return None  # refused where columns are checked
        roles, text = roles or known[1].split(" and "), None
    asked = _asked(roles)
    found = _find(opened.source, names, format, text)
    if found is None:
        if format is not None:
            raise InputError(f"{_wanting(place, format, text)}; its columns are {listed(names)}")
        if roles is not None:
            raise InputError(
                f"--roles is for chat, sharegpt, alpaca and preference data, and {place} looks like none of them; its "
                f"columns are {listed(names)}: say the form with --format"
            )
        return None
    form, fields, keys, prompt = found
    said = " and ".join(asked) + " messages"
    return Conversation(
        form,
        fields,
        keys,
        asked,
        _free(said, names),
        label=_free("preference", names) if form == "preference" else None,
        pair=_free("pair", names) if form == "preference" else None,
        prompt=prompt,
        guessed=frozenset(guessed),
    )


def _asked(roles: Sequence[str] | None) -> tuple[str, ...]:
    if roles is None:
        return DEFAULT_ROLES
    words = [roles] if isinstance(roles, str) else list(roles)
    asked = tuple(dict.fromkeys(canonical(word) for word in words if word.strip()))
    if not asked:
        raise InputError("--roles names no role; say for example --roles assistant")
    return asked


def _free(name: str, names: Sequence[str]) -> str:
    """A name that no column of the file has."""
    while name in names:
        name += " (evenset)"
    return name


_Found = tuple[str, tuple[Field, ...], tuple[str, str], str | None]


def _find(source: Source, names: Sequence[str], format: str | None, text: str | None) -> _Found | None:  # noqa: A002
    """The form that the first rows show; a column of messages under any name comes last."""
    folded = {name.casefold(): name for name in reversed(names)}
    likely = [folded[name] for name in _COLUMNS if name in folded]
    if format in {None, "preference"} and text is None and (found := _preference(source, folded)) is not None:
        return found
    if format not in {None, "preference", "alpaca"} or (format is None and text is not None):
        return _messages(source, [*likely, *names] if text is None else [text], likely, format)
    if format is None and (found := _messages(source, likely, likely, format)) is not None:
        return found
    if format in {None, "alpaca"} and text is None and (found := _alpaca(source, folded, format)) is not None:
        return found
    return _messages(source, names, likely, format) if format is None else None


def _messages(source: Source, names: Sequence[str], likely: Sequence[str], format: str | None) -> _Found | None:  # noqa: A002
    """The first of these columns that holds lists of messages."""
    order = [
        name for name in dict.fromkeys(names) if name in likely or format is not None or _may_hold_lists(source, name)
    ]
    first = _peek(source, order)
    forms = {name: form for name in order if (form := next(filter(None, map(_form_of, first[name])), None)) is not None}
    name = next((name for name in order if name in forms and format in {None, forms[name]}), None)
    if name is None and format is not None:  # said, so the reader shall say what is wrong with it
        name = next((name for name in order if len(order) == 1 or name in likely), None)
    if name is None:
        return None
    form = format or forms[name]
    return form, (Field(name),), _KEYS[form], None


def _preference(source: Source, folded: Mapping[str, str]) -> _Found | None:
    if CHOSEN not in folded or REJECTED not in folded:
        return None
    fields = tuple(Field(folded[name], "assistant") for name in (CHOSEN, REJECTED))
    first = _peek(source, [field.name for field in fields])
    values = [value for field in fields for value in first[field.name] if value is not None]
    if not values or not all(isinstance(value, (str, list, dict)) for value in values):
        return None
    forms = {_form_of(value) for value in values} - {None}
    prompt = folded.get("prompt")
    return "preference", fields, _KEYS["sharegpt" if forms == {"sharegpt"} else "chat"], prompt


def _alpaca(source: Source, folded: Mapping[str, str], format: str | None) -> _Found | None:  # noqa: A002
    there = [(role, [folded[name] for name in known if name in folded]) for role, known in _ALPACA]
    fields = tuple(Field(found[0], role) for role, found in there if found)
    usual = {field.name.casefold() for field in fields}
    sure = ("instruction" in usual and usual & {"output", "response"}) or {"prompt", "completion"} <= usual
    if not {"user", "assistant"} <= {field.role for field in fields} or not (sure or format is not None):
        return None
    first = _peek(source, [field.name for field in fields])
    values = [value for field in fields for value in first[field.name] if value is not None]
    if not all(isinstance(value, (str, list)) for value in values):
        return None
    forms = {_form_of(value) for value in values if not isinstance(value, str)} - {None}
    return "alpaca", fields, _KEYS["sharegpt" if forms == {"sharegpt"} else "chat"], None


def _form_of(value: Any) -> str | None:
    """Which keys the first message of a value has."""
    if isinstance(value, str):
        if not value.lstrip().startswith("["):
            return None
        try:
            next(walk(value, Field(""), _KEYS["chat"], calls=False), None)
            return "chat"
        except ValueError:
            pass
        try:
            return "sharegpt" if next(walk(value, Field(""), _KEYS["sharegpt"], calls=False), None) else None
        except ValueError:
            return None
    message = value[0] if isinstance(value, list) and value else value
    if not isinstance(message, dict):
        return None
    return next((form for form, keys in _KEYS.items() if keys[0] in message and keys[1] in message), None)


def _may_hold_lists(source: Source, name: str) -> bool:
    """Whether a column is worth a look; texts of which nobody said that they are messages are not."""
    if isinstance(source, JsonlSource):
        return True
    return source.schema is not None and pa.types.is_nested(source.schema.field(name).type)


def _peek(source: Source, names: Sequence[str]) -> dict[str, list[Any]]:
    """Values of the first rows."""
    if isinstance(source, JsonlSource):
        for numbers, lines in read_lines(source.paths[0], source.compression, source.encoding):
            objects = parse(source.paths[0], numbers[:_PEEK], lines[:_PEEK])
            return {name: [item.get(name) for item in objects] for name in names}
    for piece in source.read(list(names)):
        table = piece.table.slice(0, _PEEK)
        return {name: _values(table.column(table.schema.get_field_index(name))) for name in names}
    return {name: [] for name in names}


def _values(column: Any) -> list[Any]:
    values = []
    for value in column:
        with suppress(UnicodeDecodeError):  # said with its row when it is read
            values.append(value.as_py())
    return values


def _wanting(place: str, format: str, text: str | None) -> str:  # noqa: A002
    if format in {"chat", "sharegpt"}:
        key, value = _KEYS[format]
        what = f'column "{text}"' if text is not None else "column"
        return f'{place} is no {format} data: it has no {what} of lists of messages with "{key}" and "{value}"'
    if text is not None:
        return f"--format {format} makes the text of several columns of {place}; leave --text out"
    wanted = "chosen and rejected" if format == "preference" else "instruction and output"
    return f"{place} is no {format} data: it has no columns {wanted} of texts or messages"


def with_made(columns: Columns, conversation: Conversation) -> Columns:
    """The user's columns, with those that the conversation makes where the user said nothing else."""
    columns = replace(columns, text=conversation.text)
    if conversation.label is None:
        return columns
    if columns.label in {None, conversation.label}:
        columns = replace(columns, label=conversation.label, positive=columns.positive or CHOSEN)
    # An id names a pair, not a row: it says which rows belong together.
    pair = columns.cluster or columns.id or conversation.pair
    return replace(columns, id=None, cluster=pair)
