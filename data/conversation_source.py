"""A `Source` around another one: its rows, and the columns made of the messages in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from .conversations import CHOSEN, REJECTED, Conversation
from .dataset import BATCH_BYTES, Piece, Source
from .errors import InputError
from .messages import SEGMENTS, Gathered, Messages, from_arrow
from .readers_jsonl import LINE, JsonlSource, parse, read_lines
from .turns import TOOL_CALL, BadRowError, Field, Roles, Turn, alike, transcript, walk

# Beyond this one block is too much for Arrow's 32-bit offsets.
_BLOCK = 1 << 30


class _Read(NamedTuple):
    """Rows of the file: the columns that it has itself, the messages, and where the rows stand."""

    columns: dict[str, pa.Array]
    messages: Messages
    pairs: pa.Array | None
    n: int
    file: int
    first: int


@dataclass(frozen=True)
class ConversationSource:
    """A `Source` whose texts are the chosen messages of another's rows; preference pairs make two rows each.

    Attributes
    ----------
    inner : Source
        The file.
    conversation : Conversation
        How it holds messages.
    judge : bool
        Whether to refuse, at the end, roles that never came; not of a part of the data.
    """

    inner: Source
    conversation: Conversation
    judge: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the file's columns, then of those made here."""
        return (*self.inner.names, *self.conversation.made)

    @property
    def schema(self) -> pa.Schema | None:
        """The stored schema of the file."""
        return self.inner.schema

    @property
    def encoding(self) -> str:
        """Of the file."""
        return str(getattr(self.inner, "encoding", "utf-8"))

    @property
    def each(self) -> int:
        """How many rows a row of the file becomes."""
        return 2 if self.conversation.format == "preference" else 1

    def where(self, file: int, row: int) -> str:
        """Words for a row."""
        return self.inner.where(file, row // self.each)

    def check_files(self, needed: Sequence[str]) -> None:
        """Of several JSONL files each must have the keys that have a part."""
        if isinstance(self.inner, JsonlSource):
            own = [name for name in needed if name not in self.conversation.made]
            fields = [field.name for field in self.conversation.fields if field.role in {None, "assistant"}]
            self.inner.check_files([*fields, *own])

    def read(self, columns: Sequence[str] | None) -> Iterator[Piece]:
        """All rows of all files; `SEGMENTS` is a column like others.

        Raises
        ------
        InputError
            For a row that is no conversation, naming it; at the end, when a role was asked for that never comes.
        """
        made = self.conversation.made
        if columns is None:
            columns = [*self.names, *((LINE,) if isinstance(self.inner, JsonlSource) else ()), SEGMENTS]
        own = [name for name in columns if name not in made and name != SEGMENTS]
        roles = Roles(self.conversation.roles)
        reading = self._jsonl if isinstance(self.inner, JsonlSource) else self._arrow
        rows = 0
        for found in reading(own, roles):
            yield self._piece(found, columns)
            rows += found.n
        if rows and self.judge and (lacking := roles.lacking()):
            raise InputError(self._never(lacking, roles))

    def _never(self, lacking: Sequence[str], roles: Roles) -> str:
        paths = getattr(self.inner, "paths", ())
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        place = f'"{paths[0].name}"{more}' if paths else "the table"
        there = ", ".join(f'"{role[:40]}"' for role in list(roles.met)[:12])
        if not there:
            return f"no row of {place} has a message in {self._columns()}; choose another --format or --text"
        one = " or ".join(f'"{role}"' for role in lacking)
        return f"no message of {place} has the role {one}; the roles are {there}: choose with --roles"

    def _columns(self) -> str:
        return " or ".join(f'"{field.name}"' for field in self.conversation.fields)

    def _piece(self, found: _Read, columns: Sequence[str]) -> Piece:
        conversation, each = self.conversation, self.each
        rows = found.n * each
        twice = pa.array(np.repeat(np.arange(found.n), each)) if each > 1 else None
        arrays = []
        for name in columns:
            if name == conversation.text:
                arrays.append(found.messages.joined())
            elif name == conversation.label:
                arrays.append(pa.array([CHOSEN, REJECTED], pa.string()).take(pa.array(np.arange(rows) % 2)))
            elif name == conversation.pair:
                assert found.pairs is not None
                arrays.append(found.pairs.take(twice))
            elif name == SEGMENTS:
                arrays.append(found.messages.segments(conversation.fields, conversation.keys[1]))
            else:
                arrays.append(found.columns[name] if twice is None else found.columns[name].take(twice))
        return Piece(pa.record_batch(arrays, names=list(columns)), found.file, found.first * each)

    # -- JSON lines ---------------------------------------------------------------------------------------------------

    def _jsonl(self, own: Sequence[str], roles: Roles) -> Iterator[_Read]:
        inner = self.inner
        assert isinstance(inner, JsonlSource)
        for file, path in enumerate(inner.paths):
            first = 0
            for numbers, lines in read_lines(path, inner.compression, inner.encoding):
                found: dict[str, pa.Array] = {}
                messages, pairs = (self._quick(lines, roles) if set(own) <= {LINE} else None), None
                if messages is None:
                    objects = parse(path, numbers, lines)
                    values = [[item.get(name) for item in objects] for name in self.conversation.columns]
                    try:
                        messages, pairs = self._gather(values, len(lines), roles)
                    except BadRowError as error:
                        raise InputError(f'line {numbers[error.row]} of "{path.name}": {error}') from None
                    found = {name: inner.column(name, path, numbers, lines, objects) for name in own if name != LINE}
                if LINE in own:
                    found[LINE] = pa.array(lines, pa.large_binary())
                yield _Read(found, messages, pairs, len(lines), file, first)
                first += len(lines)

    def _quick(self, lines: Sequence[bytes], roles: Roles) -> Messages | None:
        """Messages by Arrow's own JSON reader, which takes about a third of the time; None where it cannot say.

        It knows one type a key and no line ends, so anything but plain messages, one object a line, goes the other way.
        What it reads it reads as Python does: it refuses a key that comes twice and half of a surrogate pair.
        """
        import pyarrow.json as pj

        field, keys = self.conversation.fields[0], self.conversation.keys
        if len(self.conversation.fields) > 1 or field.role is not None or TOOL_CALL in roles.asked:
            return None
        block = b"\n".join(lines)
        if len(block) > _BLOCK or not all(line[:1] == b"{" and line.rstrip()[-1:] == b"}" for line in lines):
            return None
        message = pa.struct([(key, pa.string()) for key in keys])
        try:
            if not block.isascii():
                block.decode("utf-8")
            table = pj.read_json(
                pa.BufferReader(block),
                read_options=pj.ReadOptions(block_size=len(block) + 1, use_threads=False),
                parse_options=pj.ParseOptions(
                    explicit_schema=pa.schema([(field.name, pa.list_(message))]), unexpected_field_behavior="ignore"
                ),
            )
            if table.num_rows != len(lines):
                return None
            return from_arrow(_one(table.column(field.name)), field, keys, roles)
        except (pa.ArrowException, UnicodeDecodeError, BadRowError):
            return None

    # -- every other form ---------------------------------------------------------------------------------------------

    def _arrow(self, own: Sequence[str], roles: Roles) -> Iterator[_Read]:
        conversation = self.conversation
        wanted = list(dict.fromkeys([*own, *conversation.columns]))
        for piece in self.inner.read(wanted):
            for table, start in _cut(piece.table):
                columns = {name: table.column(table.schema.get_field_index(name)) for name in wanted}
                first = piece.first + start
                try:
                    messages = pairs = None
                    field = conversation.fields[0]
                    if len(conversation.fields) == 1 and TOOL_CALL not in roles.asked:
                        messages = from_arrow(columns[field.name], field, conversation.keys, roles)
                    if messages is None:
                        values = [_pylist(columns[name], name) for name in conversation.columns]
                        messages, pairs = self._gather(values, table.num_rows, roles)
                except BadRowError as error:
                    raise InputError(f"{self.inner.where(piece.file, first + error.row)}: {error}") from None
                own_columns = {name: columns[name] for name in own}
                yield _Read(own_columns, messages, pairs, table.num_rows, piece.file, first)

    # -- a walk over Python values ------------------------------------------------------------------------------------

    def _gather(self, values: Sequence[Sequence[Any]], n: int, roles: Roles) -> tuple[Messages, pa.Array | None]:
        gathered = Gathered(n * self.each)
        paired = self.conversation.format == "preference"
        pairs: list[str | None] = []
        for row, found in enumerate(zip(*values, strict=True)):
            try:
                if paired:
                    pairs.append(self._pair(row, found, roles, gathered))
                else:
                    self._row(row, found, roles, gathered)
            except ValueError as error:
                raise BadRowError(row, str(error)) from None
        try:
            return gathered.messages(), pa.array(pairs, pa.string()) if paired else None
        except BadRowError as error:
            raise BadRowError(error.row // self.each, str(error)) from None

    def _row(self, row: int, values: Sequence[Any], roles: Roles, gathered: Gathered) -> None:
        keys, calls = self.conversation.keys, TOOL_CALL in roles.asked
        for number, (field, value) in enumerate(zip(self.conversation.fields, values, strict=True)):
            for turn in walk(value, field, keys, calls=calls):
                if self._takes(turn, field, roles) and turn.text is not None:
                    gathered.add(row, number, turn)

    def _pair(self, row: int, values: Sequence[Any], roles: Roles, gathered: Gathered) -> str | None:
        """Add the two replies of a pair; returns a name that the pair has in whatever part of the data it is read."""
        fields, keys, calls = self.conversation.fields, self.conversation.keys, TOOL_CALL in roles.asked
        prompt = values[2] if len(values) > 2 else None
        before = prompt if type(prompt) is str else ""
        chosen, rejected = (
            _turns(value, field, keys, before, calls=calls) for value, field in zip(values, fields, strict=False)
        )
        if values[0] is None or values[1] is None:  # with half of a pair nothing can be compared
            return None
        same = alike(chosen, rejected)
        said: list[Any] = [prompt if prompt is not None else chosen[same - 1].text if same else None]
        for side, turns in enumerate((chosen[same:], rejected[same:])):
            for turn in turns:
                if self._takes(turn, fields[side], roles) and turn.text is not None:
                    gathered.add(2 * row + side, side, turn)
            said += ["", *(turn.text for turn in turns)]
        named = "\0".join([part if type(part) is str else json.dumps(part, default=str) for part in said])
        return hashlib.blake2b(named.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()

    def _takes(self, turn: Turn, field: Field, roles: Roles) -> bool:
        try:
            return roles.takes(turn.role)
        except ValueError as error:
            raise ValueError(f"{field.role_pointer(turn.message, self.conversation.keys[0])} {error}") from None


def _turns(value: Any, field: Field, keys: tuple[str, str], prompt: str, *, calls: bool) -> list[Turn]:
    """The turns of one side of a pair; a text that repeats the prompt begins behind it."""
    turns = list(walk(value, field, keys, calls=calls))
    if type(value) is not str:
        return turns
    spoken = transcript(value)
    if spoken is not None:
        return spoken
    if prompt and value.startswith(prompt):
        return [turns[0]._replace(text=value[len(prompt) :], at=len(prompt.encode("utf-8", "surrogatepass")))]
    return turns


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _pylist(values: pa.Array, name: str) -> list[Any]:
    try:
        found: list[Any] = values.to_pylist()
    except UnicodeDecodeError:
        for row, value in enumerate(values):
            try:
                value.as_py()
            except UnicodeDecodeError:
                raise BadRowError(row, f'column "{name}" is not valid UTF-8; write the file again as UTF-8') from None
        raise
    return found


def _cut(table: pa.RecordBatch) -> Iterator[tuple[pa.RecordBatch, int]]:
    """A batch in pieces of some megabytes: conversations are long, and 65,536 of them are many."""
    step = max(1, min(table.num_rows, table.num_rows * BATCH_BYTES // max(table.nbytes, 1)))
    for start in range(0, table.num_rows, step):
        yield table.slice(start, step), start
