"""Changes of words inside rows that hold JSON or nested values: which string by JSON pointer, where in it by bytes.

Only the bytes of the words themselves change: order of keys, spacing, numbers and the escapes of everything else in a
line of JSON stay as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

_DECODER = json.JSONDecoder()
_BLANKS = re.compile(r"[ \t\r\n]*")
# What stands for one character in a JSON string: a surrogate pair, a code, a letter.
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL)
_CODE = re.compile(r"\\u(?!00[0-7])[0-9a-fA-F]{4}")


class MisfitError(Exception):
    """The words that a change replaces do not stand where it says."""


class Cut(NamedTuple):
    """A change of one string: bytes of its UTF-8, what stands there and what shall."""

    start: int
    end: int
    old: str
    new: str


Tree = dict[str, Any]
"""Steps of JSON pointers to what lies below; the leaves are lists of `Cut`."""


@dataclass(frozen=True, slots=True)
class Splices:
    """Changes of words in some rows.

    Attributes
    ----------
    row : int64 array
        The row of each change.
    pointer : Arrow array of strings
        JSON pointer (RFC 6901) to the string within its row. It may go through a string that itself holds JSON.
    start, end : int64 arrays
        Bytes of the string's UTF-8 before any change.
    old, new : Arrow arrays of strings
        The words there, and those that take their place.
    """

    row: npt.NDArray[np.int64]
    pointer: Any
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    old: Any
    new: Any

    def trees(self) -> dict[int, Tree]:
        """The changes of each row by the steps of their pointers.

        Examples
        --------
        >>> import pyarrow as pa
        >>> at = np.array([0])
        >>> Splices(at, pa.array(["/messages/1/content"]), at, at + 3, pa.array(["She"]), pa.array(["He"])).trees()
        {0: {'messages': {'1': {'content': [Cut(start=0, end=3, old='She', new='He')]}}}}
        """
        trees: dict[int, Tree] = {}
        known: dict[str, tuple[list[str], str]] = {}
        columns = (self.pointer.to_pylist(), self.start.tolist(), self.end.tolist(), *self._words())
        for row, pointer, start, end, old, new in zip(self.row.tolist(), *columns, strict=True):
            if pointer not in known:
                *above, last = steps(pointer)
                known[pointer] = above, last
            above, last = known[pointer]
            tree = trees.setdefault(row, {})
            for step in above:
                tree = tree.setdefault(step, {})
            tree.setdefault(last, []).append(Cut(start, end, old, new))
        return trees

    def _words(self) -> tuple[list[str], list[str]]:
        return self.old.to_pylist(), self.new.to_pylist()


def steps(pointer: str) -> list[str]:
    """The steps of a JSON pointer.

    Examples
    --------
    >>> steps("/a~1b/0")
    ['a/b', '0']
    """
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def cut(value: str, cuts: Sequence[Cut]) -> str:
    """A string with changes made.

    Raises
    ------
    MisfitError

    Examples
    --------
    >>> cut("So é she ran.", [Cut(6, 9, "she", "they")])
    'So é they ran.'
    """
    data = _bytes(value)
    parts, done = [], 0
    for start, end, _, new in _checked(data, cuts):
        parts += [data[done:start], _bytes(new)]
        done = end
    return b"".join([*parts, data[done:]]).decode("utf-8", "surrogatepass")


def in_json(source: str, tree: Tree, *, escaped: bool = False) -> str:
    r"""A JSON text with the changes of a tree made, and nothing else of it touched.

    Parameters
    ----------
    source : str
        Of one JSON value.
    tree : dict
        Of `Splices.trees`.
    escaped : bool
        Write what is not ASCII as ``\u...`` where the text itself does not show how it does.

    Raises
    ------
    MisfitError
        When a pointer leads to no string, or other words stand there.

    Examples
    --------
    >>> in_json('{"n":1e5, "text": "Fr\\u00fch \\/ she"}', {"text": [Cut(8, 11, "she", "Zoë")]})
    '{"n":1e5, "text": "Fr\\u00fch \\/ Zo\\u00eb"}'
    """
    found: list[tuple[int, int, str]] = []
    try:
        _find(source, _skip(source, 0), tree, found, escaped=_escaped(source, escaped))
    except (IndexError, ValueError, RecursionError):
        raise MisfitError from None
    return _spliced(source, found)


def _spliced(source: str, found: Iterable[tuple[int, int, str]]) -> str:
    parts, done = [], 0
    for start, end, new in sorted(found, key=_span):
        parts += [source[done:start], new]
        done = end
    return "".join([*parts, source[done:]])


def _escaped(source: str, default: bool) -> bool:  # noqa: FBT001
    """Whether characters beyond ASCII are written as codes: as the text does it with others."""
    if not source.isascii():
        return False
    return _CODE.search(source) is not None or default


def _find(source: str, at: int, tree: Any, found: list[tuple[int, int, str]], *, escaped: bool) -> None:
    """Note where in the source what is to be written, for the value that begins at `at`."""
    opening = source[at]
    if opening == '"':
        found.extend(_in_string(source, at, tree, escaped=escaped))
        return
    if isinstance(tree, list):
        raise MisfitError
    if opening == "{":
        starts = _members(source, at, tree)
    elif opening == "[":
        starts = _items(source, at, tree)
    else:
        raise MisfitError
    if len(starts) != len(tree):
        raise MisfitError
    for step, start in starts.items():
        _find(source, start, tree[step], found, escaped=escaped)


def _members(source: str, at: int, wanted: Tree) -> dict[str, int]:
    """Where the values of some keys begin; of a key that comes twice the last one counts, as everywhere in Python."""
    starts: dict[str, int] = {}
    at = _skip(source, at + 1)
    while source[at] != "}":
        key, at = _DECODER.raw_decode(source, at)
        at = _skip(source, _skip(source, at) + 1)  # behind the colon
        if key in wanted:
            starts[key] = at
        _, at = _DECODER.raw_decode(source, at)
        at = _skip(source, at)
        if source[at] == ",":
            at = _skip(source, at + 1)
    return starts


def _items(source: str, at: int, wanted: Tree) -> dict[str, int]:
    """Where some items of a list begin."""
    starts: dict[str, int] = {}
    at = _skip(source, at + 1)
    number = 0
    while len(starts) < len(wanted) and source[at] != "]":
        step = str(number)
        if step in wanted:
            starts[step] = at
        _, at = _DECODER.raw_decode(source, at)
        at = _skip(source, at)
        if source[at] == ",":
            at = _skip(source, at + 1)
        number += 1
    return starts


def _in_string(source: str, at: int, tree: Any, *, escaped: bool) -> list[tuple[int, int, str]]:
    """Changes of a string as changes of its spelling in the source."""
    value, end = _DECODER.raw_decode(source, at)
    raw = source[at + 1 : end - 1]
    made: list[tuple[int, int, str]] = []
    if isinstance(tree, list):
        data = _bytes(value)
        checked = _checked(data, tree)
        if data.isascii() and "\\" not in raw:  # each byte is a character and stands for itself
            return [(at + 1 + start, at + 1 + end, _quoted(new, escaped=escaped)) for start, end, _, new in checked]
        made = [(_characters(data, value, one.start), _characters(data, value, one.end), one.new) for one in checked]
    else:  # the string holds JSON
        _find(value, _skip(value, 0), tree, made, escaped=_escaped(value, escaped))
        made.sort(key=_span)
    places = _spelt(raw, [place for start, stop, _ in made for place in (start, stop)])
    return [
        (at + 1 + places[2 * number], at + 1 + places[2 * number + 1], _quoted(new, escaped=escaped))
        for number, (_, _, new) in enumerate(made)
    ]


def _quoted(text: str, *, escaped: bool) -> str:
    """A text as it stands between the quotes of a JSON string."""
    if text.isascii() and text.isalnum():
        return text
    return json.dumps(text, ensure_ascii=escaped)[1:-1]


def _spelt(raw: str, places: Sequence[int]) -> list[int]:
    """Where characters of a JSON string, given by number ascending, begin in its spelling."""
    if "\\" not in raw:
        return list(places)
    spelt = []
    character = behind = 0  # both after the last escape so far
    escapes = _ESCAPE.finditer(raw)
    mark = next(escapes, None)
    for place in places:
        while mark is not None and character + (mark.start() - behind) < place:
            character += mark.start() - behind + 1
            behind = mark.end()
            mark = next(escapes, None)
        spelt.append(behind + place - character)
    return spelt


def _checked(data: bytes, cuts: Sequence[Cut]) -> list[Cut]:
    """The changes in order, each of words that stand there."""
    ordered = sorted(cuts, key=_span)
    done = 0
    for one in ordered:
        if not done <= one.start <= one.end <= len(data) or data[one.start : one.end] != _bytes(one.old):
            raise MisfitError
        done = one.end
    return ordered


def _span(one: tuple[Any, ...]) -> tuple[int, int]:
    """Where a change is; several that only insert at one place stay in their order."""
    return one[0], one[1]


def _characters(data: bytes, value: str, place: int) -> int:
    """How many characters the first bytes of a string are."""
    return place if len(data) == len(value) else len(data[:place].decode("utf-8", "surrogatepass"))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _skip(source: str, at: int) -> int:
    if source[at] not in " \t\r\n":
        return at
    blanks = _BLANKS.match(source, at)
    return at if blanks is None else blanks.end()
