"""Turns of conversations: who says what in a value of JSON, and whose turns are wanted."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

TOOL_CALL = "tool_call"
KNOWN = ("system", "user", "assistant", "tool", TOOL_CALL)
ALIASES = {
    **dict.fromkeys(("human", "prompter"), "user"),
    **dict.fromkeys(("gpt", "chatgpt", "bot", "model", "ai", "bing", "bard"), "assistant"),
    **dict.fromkeys(("function", "observation", "ipython"), "tool"),
    "developer": "system",
    "function_call": TOOL_CALL,
}

MOST_ROLES = 1_000

# Where a text stands below its column.
VALUE, MESSAGE, PART, CALL, OLD_CALL, ONE = range(6)
_SPEAKERS = {"Human": "user", "Assistant": "assistant"}
# Beginning with a literal, so that it is looked for as quickly as a substring.
_TRANSCRIPT = re.compile(r"\n\n(Human|Assistant): ?")

_OPENINGS = tuple(f"{blank}{speaker}:" for blank in ("\n\n", "") for speaker in _SPEAKERS)


class BadRowError(Exception):
    """A row that cannot be read as a conversation: its number in the piece, and what is wrong with it."""

    def __init__(self, row: int, words: str) -> None:
        super().__init__(words)
        self.row = row


@dataclass(frozen=True, slots=True)
class Field:
    """A column of messages, or of single texts that are all of one role."""

    name: str
    role: str | None = None

    def role_pointer(self, index: int, key: str) -> str:
        """JSON pointer of the role of a message."""
        return self.pointer(MESSAGE if index >= 0 else ONE, index, 0, key)

    def pointer(self, kind: int, index: int, part: int, key: str) -> str:
        """JSON pointer (RFC 6901) of a text within its row."""
        below = {
            VALUE: "",
            MESSAGE: f"/{index}/{key}",
            PART: f"/{index}/{key}/{part}/text",
            CALL: f"/{index}/tool_calls/{part}/function/arguments",
            OLD_CALL: f"/{index}/function_call/arguments",
            ONE: f"/{key}",
        }
        return "/" + self.name.replace("~", "~0").replace("/", "~1") + below[kind]


def canonical(role: str) -> str:
    """One word for each role: user, assistant, system, tool, tool_call, or the file's own word in lower case.

    Examples
    --------
    >>> canonical("gpt"), canonical("Human"), canonical("narrator")
    ('assistant', 'user', 'narrator')
    """
    word = role.strip().casefold()
    return ALIASES.get(word, word)


@dataclass(slots=True)
class Roles:
    """The roles asked for, and those met so far by the words of the file."""

    asked: tuple[str, ...]
    met: dict[str, bool] = field(default_factory=dict)

    def takes(self, role: Any) -> bool:
        """Whether messages of this role are wanted.

        Raises
        ------
        ValueError
            When it is no role: not a word, or all but one of the words there are.
        """
        found = self.met.get(role) if type(role) is str else None
        return self._learn(role) if found is None else found

    def _learn(self, role: Any) -> bool:
        if type(role) is not str or not role.strip():
            raise ValueError(f"is {_kind(role) if role != '' else 'empty'}, no role")
        if len(self.met) >= MOST_ROLES:
            raise ValueError(f'is "{role[:40]}", and more than {MOST_ROLES:,} others came before it: are these roles?')
        word = canonical(role)
        if word not in KNOWN and word not in self.asked:
            # A slip of the pen would take the message out of the text unseen.
            near = difflib.get_close_matches(word, (*KNOWN, *ALIASES), n=1, cutoff=0.8)
            if near:
                raise ValueError(f'is "{role[:40]}"; did you mean "{near[0]}"? Mend it, or ask for it with --roles')
        self.met[role] = word in self.asked
        return self.met[role]

    def lacking(self) -> list[str]:
        """Roles that were asked for and never met."""
        met = {canonical(role) for role in self.met}
        return [role for role in self.asked if role not in met]


class Turn(NamedTuple):
    """One message; its text is None where it has none."""

    role: Any
    text: str | None
    kind: int
    message: int = -1
    part: int = -1
    at: int = 0


def walk(value: Any, column: Field, keys: tuple[str, str], *, calls: bool) -> Iterator[Turn]:
    """The messages of one value: a list of them, a single one, or a text of the column's own role.

    Parameters
    ----------
    value : list, dict, str or None
        As JSON or Arrow gives it; a text that is itself a JSON list is read as one where the column has no role.
    column : Field
        Where it stands.
    keys : (str, str)
        Names of the role and of the text in a message.
    calls : bool
        Whether the arguments of tool calls are wanted.

    Raises
    ------
    ValueError
        With words that begin with the place in the row.
    """
    if value is None:
        return
    here = column.pointer(VALUE, 0, 0, "")
    if type(value) is str:
        if column.role is not None:
            yield Turn(column.role, value, VALUE)
            return
        if not value.strip():  # csv has no other null
            return
        value = _parsed(value, here)
    if type(value) is dict:
        if column.role is None:
            raise ValueError(f"{here} is an object, not a list of messages")
        if keys[0] not in value:
            raise ValueError(f'{here} has no "{keys[0]}"')
        yield from _message(value, column, keys, ONE, -1, calls=calls)
        return
    if type(value) is not list:
        raise ValueError(f"{here} is {_kind(value)}, not a list of messages")
    for index, message in enumerate(value):
        if type(message) is not dict:
            raise ValueError(f'{here}/{index} is {_kind(message)}, not an object with "{keys[0]}" and "{keys[1]}"')
        if keys[0] not in message:
            raise ValueError(_no_role(f"{here}/{index}", message, keys))
        yield from _message(message, column, keys, MESSAGE, index, calls=calls)


def _message(
    message: dict[str, Any], column: Field, keys: tuple[str, str], kind: int, index: int, *, calls: bool
) -> Iterator[Turn]:
    role, content = message[keys[0]], message.get(keys[1])
    if content is None or type(content) is str:
        yield Turn(role, content, kind, index)
    elif type(content) is list and kind == MESSAGE:
        if not content:
            yield Turn(role, None, kind, index)
        for number, part in enumerate(content):
            if type(part) is not dict or type(part.get("type")) is not str:
                raise ValueError(f'{column.pointer(kind, index, 0, keys[1])}/{number} is no part with a "type"')
            text = part.get("text") if part["type"] == "text" else None
            if text is not None and type(text) is not str:
                raise ValueError(f"{column.pointer(PART, index, number, keys[1])} is {_kind(text)}, not text")
            yield Turn(role, text, PART, index, number)
    else:
        raise ValueError(f"{column.pointer(kind, index, 0, keys[1])} is {_kind(content)}, not text")
    if calls and kind == MESSAGE:
        for number, call in enumerate(message.get("tool_calls") or ()):
            function = call.get("function") if type(call) is dict else None
            text = function.get("arguments") if type(function) is dict else None
            yield Turn(TOOL_CALL, text if type(text) is str else None, CALL, index, number)
        old = message.get("function_call")
        if type(old) is dict and type(old.get("arguments")) is str:
            yield Turn(TOOL_CALL, old["arguments"], OLD_CALL, index)


def transcript(text: str) -> list[Turn] | None:
    r"""Turns of a text in which "\\n\\nHuman:" and "\\n\\nAssistant:" begin them; None where the text is no such thing.

    Examples
    --------
    >>> [(turn.role, turn.text, turn.at) for turn in transcript("\n\nHuman: Hi.\n\nAssistant: Hello.")]
    [('user', 'Hi.', 9), ('assistant', 'Hello.', 25)]
    """
    if not text.startswith(_OPENINGS):
        return None
    shift = 2 if text[0] != "\n" else 0  # without the blank line it begins in the middle of the first mark
    text = "\n\n"[:shift] + text
    marks = list(_TRANSCRIPT.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    plain = text.isascii()
    turns = []
    for mark, end in zip(marks, ends, strict=True):
        begin = mark.end()
        at = begin if plain else len(text[:begin].encode("utf-8", "surrogatepass"))
        turns.append(Turn(_SPEAKERS[mark[1]], text[begin:end], VALUE, at=at - shift))
    return turns


def alike(one: Sequence[Turn], other: Sequence[Turn]) -> int:
    """With how many equal turns two conversations begin."""
    same = 0
    for first, second in zip(one, other, strict=False):
        if first.role != second.role or first.text != second.text:
            break
        same += 1
    return same


def _parsed(text: str, here: str) -> Any:
    """A value of a text column that holds JSON."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if type(value) is not list:
        raise ValueError(f"{here} is a string, not a list of messages")
    return value


def _no_role(here: str, message: dict[str, Any], keys: tuple[str, str]) -> str:
    names = ", ".join(f'"{str(name)[:40]}"' for name in list(message)[:6]) or "nothing"
    other = {("role", "content"): ("from", "sharegpt"), ("from", "value"): ("role", "chat")}.get(keys)
    hint = f"; is it --format {other[1]}?" if other is not None and other[0] in message else ""
    return f'{here} has no "{keys[0]}", only {names}{hint}'


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    kinds: dict[type, str] = {
        bool: "true or false", int: "a number", float: "a number", str: "a string", list: "a list",
    }  # fmt: skip
    return kinds.get(type(value), "an object")
