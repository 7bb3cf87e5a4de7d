"""Bytes of a file, decompressed and as UTF-8, with errors that name the file."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from .errors import InputError, suggest

CHUNK = 8 << 20
BOM = b"\xef\xbb\xbf"


class Bytes(Protocol):
    """Something to read bytes from."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, none at the end."""

    def close(self) -> None:
        """Give the file free."""


def check_encoding(encoding: str) -> str:
    """The usual name of an encoding; "utf-8" for all spellings of it, with or without a mark."""
    try:
        name = codecs.lookup(encoding).name
        "".encode(name)  # some codecs (base64, rot13) do not make bytes of text
    except LookupError:
        near = suggest(encoding, ["utf-8", "latin-1", "cp1252", "utf-16", "gb18030", "shift_jis", "cp1251"])
        raise InputError(f'no encoding is called "{encoding}" (--encoding).{near}') from None
    return "utf-8" if name in {"utf-8", "utf-8-sig", "ascii"} else name


def damaged(path: Path, error: Exception) -> InputError:
    """Turn an error while reading `path` into the one message the user sees."""
    words = str(error)
    if isinstance(error, PermissionError):
        return InputError(f'cannot read "{path}": permission denied')
    if "runcated" in words or "nexpected end" in words or "EOF" in words:
        return InputError(f'"{path.name}" is cut off: its compressed data ends too early; copy or download it again')
    if "inflate" in words or "decompress" in words:
        return InputError(f'"{path.name}" is damaged or not compressed as its name says; copy or download it again')
    return InputError(f'cannot read "{path.name}": {words.splitlines()[0] if words else type(error).__name__}')


def open_bytes(path: Path, compression: str | None, encoding: str = "utf-8") -> Bytes:
    """Open a file for reading its bytes, decompressed and recoded to UTF-8."""
    try:
        # Arrow's own decompressor: faster than the standard library's, knows zstd, and notices a cut-off end.
        plain: Any = path.open("rb", buffering=0)
        stream = _Plain(plain, path) if compression is None else _Packed(plain, compression, path)
    except OSError as error:
        raise damaged(path, error) from error
    return stream if encoding == "utf-8" else _Recoded(stream, encoding, path)


def read_head(path: Path, compression: str | None, encoding: str, size: int) -> bytes:
    """The first bytes of a file, decompressed and recoded."""
    stream = open_bytes(path, compression, encoding)
    try:
        parts = []
        while size > 0 and (part := stream.read(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)
    finally:
        stream.close()


class _Plain:
    def __init__(self, file: Any, path: Path) -> None:
        self._file = file
        self._path = path

    def read(self, size: int, /) -> bytes:
        try:
            result: bytes = self._file.read(size)
            return result
        except (OSError, pa.ArrowException) as error:
            raise damaged(self._path, error) from error

    def close(self) -> None:
        self._file.close()


class _Packed(_Plain):
    def __init__(self, file: Any, compression: str, path: Path) -> None:
        super().__init__(pa.CompressedInputStream(pa.PythonFile(file, mode="r"), compression), path)
        self._inner = file

    def close(self) -> None:
        super().close()
        self._inner.close()


class _Recoded:
    """Bytes of another encoding as UTF-8."""

    def __init__(self, stream: Bytes, encoding: str, path: Path) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._encoding = encoding
        self._path = path
        self._lines = 0
        self._ended = False

    def read(self, size: int, /) -> bytes:
        while not self._ended:
            part = self._stream.read(size)
            self._ended = not part
            try:
                text = self._decoder.decode(part, final=self._ended)
            except UnicodeDecodeError as error:
                line = self._lines + bytes(error.object[: error.start]).count(b"\n") + 1
                raise InputError(
                    f'line {line} of "{self._path.name}" is not valid {self._encoding}; pass another --encoding'
                ) from None
            self._lines += text.count("\n")
            if text:
                return text.encode("utf-8", "surrogatepass")
        return b""

    def close(self) -> None:
        self._stream.close()


class Watched:
    """A stream as Arrow wants to read it, remembering the last byte that was no line end."""

    def __init__(self, stream: Bytes) -> None:
        self._stream = stream
        self.tail = b""
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes."""
        part = self._stream.read(CHUNK if size < 0 else size)
        self.tail = (part[-64:].rstrip(b"\r\n") or part.rstrip(b"\r\n"))[-1:] or self.tail
        return part

    def readable(self) -> bool:
        """Yes."""
        return True

    def writable(self) -> bool:
        """No."""
        return False

    def seekable(self) -> bool:
        """No: it may be compressed."""
        return False

    def close(self) -> None:
        """Give the file free."""
        self.closed = True
        self._stream.close()


class FileRange:
    """A stretch of a file that readers take for the file itself: some bytes of it, after a head such as a CSV's header.

    Attributes
    ----------
    path : Path
    low, high : int
        The stretch, in bytes of the file as it is on disk.
    head : bytes
        What is read before it.
    taken : int
        How many bytes of the stretch have been read since it was opened last.
    """

    __slots__ = ("head", "high", "low", "path", "taken")

    def __init__(self, path: Path, low: int, high: int, head: bytes = b"") -> None:
        self.path = path
        self.low = low
        self.high = high
        self.head = head
        self.taken = 0

    @property
    def name(self) -> str:
        """The name of the file, for messages."""
        return self.path.name

    def open(self, mode: str = "rb", buffering: int = 0) -> _Stretch:
        """The stretch as a file to read from."""
        if mode != "rb" or buffering:
            raise ValueError("a stretch of a file is read as raw bytes")
        self.taken = 0
        return _Stretch(self)


class _Stretch:
    """What `FileRange.open` gives; Arrow reads from it as from a file of Python."""

    def __init__(self, of: FileRange) -> None:
        self._of = of
        self._head = of.head
        self._file = of.path.open("rb", buffering=0)
        self._file.seek(of.low)
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        if self._head:
            part, self._head = (self._head, b"") if size < 0 else (self._head[:size], self._head[size:])
            return part
        left = self._of.high - self._of.low - self._of.taken
        part = self._file.read(left if size < 0 else min(size, left))
        self._of.taken += len(part)
        return part

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True
        self._file.close()
