"""Files of word vectors: word2vec text and binary, GloVe text, and numpy arrays with a list of words."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...data.errors import InputError
from ...data.files import sha256_file
from ...data.streams import CHUNK, damaged, open_bytes
from .vectors import Floats, Vectors, pickled

if TYPE_CHECKING:
    from .vectors import Wanted

_MOST_DIMENSIONS = 100_000
_LONGEST_WORD = 10_000  # bytes; something longer is no word of word2vec's binary form
_LINES = 20_000
_FASTTEXT = (793712314).to_bytes(4, "little")
_ENDINGS = (".txt", ".words.txt", ".parquet")
_CUT = "the file may be cut off; copy or download it again"


def read_words2vec(path: Path, keep: Wanted | None) -> Vectors:
    """Read word2vec's text or binary form, or GloVe's text, told apart by the first bytes."""
    compression = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix.casefold())
    source = f'--vectors: "{path.name}"'
    stream = _Stream(path, compression)
    try:
        head = stream.peek()
        _refuse(head, path, source)
        first = head.partition(b"\n")[0].split()
        header = len(first) == 2 and all(part.isdigit() for part in first)
        if not header:
            words, ranks, matrix = _text(stream, None, keep, source)
        else:
            stream.line()
            shape = int(first[0]), int(first[1])
            if not 0 < shape[1] <= _MOST_DIMENSIONS:
                raise InputError(f"{source} says in its first line that vectors have {shape[1]:,} numbers")
            read = _text if _is_text(stream.peek(), shape[1]) else _binary
            words, ranks, matrix = read(stream, shape, keep, source)
    finally:
        stream.close()
    return Vectors.of(words, matrix, source=path.name, sha256=sha256_file(path), ranks=ranks)


class _Stream:
    """Lines and bytes of a file, decompressed, a chunk at a time."""

    def __init__(self, path: Path, compression: str | None) -> None:
        self._bytes = open_bytes(path, compression)
        self._held = b""
        self._at = 0

    def _more(self) -> bool:
        part = self._bytes.read(CHUNK)
        self._held = self._held[self._at :] + part
        self._at = 0
        return bool(part)

    def peek(self, size: int = 1 << 16) -> bytes:
        """The next bytes, which stay; fewer only at the end."""
        while len(self._held) - self._at < size and self._more():
            pass
        return self._held[self._at : self._at + size]

    def take(self, size: int) -> bytes:
        """The next bytes; fewer only at the end."""
        part = self.peek(size)
        self._at += len(part)
        return part

    def until(self, mark: bytes, most: int) -> bytes | None:
        """The bytes before the next mark, which is passed over; None where it does not come within so many."""
        while True:
            end = self._held.find(mark, self._at, self._at + most)
            if end >= 0:
                part = self._held[self._at : end]
                self._at = end + len(mark)
                return part
            if len(self._held) - self._at >= most or not self._more():
                return None

    def line(self) -> bytes:
        """The next line, without its end."""
        return next(self.lines(), b"")

    def lines(self) -> Iterator[bytes]:
        """All lines that follow, without their ends."""
        while True:
            end = self._held.find(b"\n", self._at)
            if end < 0:
                if self._more():
                    continue
                if self._at < len(self._held):
                    rest, self._at = self._held[self._at :], len(self._held)
                    yield rest.rstrip(b"\r")
                return
            part = self._held[self._at : end]
            self._at = end + 1
            yield part.rstrip(b"\r")

    def close(self) -> None:
        self._bytes.close()


def _refuse(head: bytes, path: Path, source: str) -> None:
    if not head.strip():
        raise InputError(f"{source} is empty")
    if head.startswith((b"\x80", b"PK\x03\x04")):  # pickles of protocol 2 and up, and what torch saves
        raise pickled(path.name)
    if head.startswith(_FASTTEXT):
        raise InputError(f"{source} is a fastText model; give the .vec file that fastText writes beside it")
    if head.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd")):
        raise InputError(f"{source} is compressed; let its name end in .gz or .zst")
    if head.startswith(b"\x93NUMPY"):
        raise InputError(f"{source} is a numpy array; let its name end in .npy, and put its words beside it")


def _is_text(data: bytes, dimensions: int) -> bool:
    """Whether what follows a header looks like a line of text: a word and as many numbers."""
    line, end, _ = data.partition(b"\n")
    fields = line.split()[-dimensions:]
    if not end:  # longer than was peeked at, or the only line
        fields = fields[:-1]
    try:
        return len([float(field) for field in fields]) > 0
    except ValueError:
        return False


def _text(
    stream: _Stream, shape: tuple[int, int] | None, keep: Wanted | None, source: str
) -> tuple[list[str], list[int], Floats]:
    """A word and its numbers a line. Without a header the first line says how many there are."""
    words: list[str] = []
    ranks: list[int] = []
    parts: list[Floats] = []
    first = 1 if shape is None else 2
    dimensions = 0 if shape is None else shape[1]
    rows, last = 0, b""
    lines = stream.lines()
    while chunk := list(itertools.islice(lines, _LINES)):
        numbers: list[bytes] = []
        places: list[int] = []
        for line in chunk:
            if not line.strip():
                continue
            line = line.rstrip(b" \t")
            if not dimensions:
                dimensions = len(line.split()) - 1
                if dimensions < 1:
                    raise InputError(f"{source} line 1 holds no word with numbers, so these are no word vectors")
            rank, rows, last = rows, rows + 1, line
            if keep is None or keep(rank, line.split(None, 1)[0]):
                word, fields = _fields(line, dimensions, f"{source} line {rank + first}")
                if keep is None or keep(rank, word):
                    words.append(_decoded(word, f"{source} line {rank + first}"))
                    ranks.append(rank)
                    numbers.append(fields)
                    places.append(rank + first)
        if numbers:
            parts.append(_parsed(numbers, dimensions, places, source))
    if last:  # also where its word is not wanted: a file that was cut off ends in the middle of a line
        _parsed([_fields(last, dimensions, f"{source} line {rows + first - 1}")[1]], dimensions, [rows], source)
    if shape is not None and rows != shape[0]:
        raise InputError(
            f"{source} says in its first line that it holds {shape[0]:,} words, and holds {rows:,}; {_CUT}"
        )
    return words, ranks, _stacked(parts, dimensions)


def _fields(line: bytes, dimensions: int, where: str) -> tuple[bytes, bytes]:
    """A line's word, which may hold blanks, and its numbers."""
    word, *rest = line.split(None, 1)
    fields = rest[0] if rest else b""
    if fields.count(b" ") != dimensions - 1 or b"  " in fields or b"\t" in fields:
        parts = line.rsplit(None, dimensions)
        if len(parts) != dimensions + 1:
            raise InputError(f"{where} holds {len(parts) - 1:,} numbers where {dimensions:,} are expected; {_CUT}")
        word, fields = parts[0], b" ".join(parts[1:])
    return word, fields


def _decoded(word: bytes, where: str) -> str:
    try:
        return word.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{where} holds a word that is not valid UTF-8; recode the file to UTF-8") from None


def _parsed(numbers: list[bytes], dimensions: int, places: list[int], source: str) -> Floats:
    """Numbers of lines as a matrix. Arrow parses them, faster than numpy and as strictly."""
    try:
        fields = pc.split_pattern(pa.array([b" ".join(numbers)], pa.large_binary()).cast(pa.large_string()), " ")
        values: Floats = pc.cast(fields.flatten(), pa.float32()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, UnicodeDecodeError):
        for line, place in zip(numbers, places, strict=True):
            for field in line.split():
                try:
                    float(field)
                except ValueError:
                    shown = field[:30].decode("utf-8", "replace")
                    raise InputError(f'{source} line {place}: "{shown}" is no number') from None
        # Python reads more spellings of a number ("+1") than Arrow does.
        values = np.array([float(field) for line in numbers for field in line.split()], np.float32)
    return values.reshape(len(numbers), dimensions)


def _binary(
    stream: _Stream, shape: tuple[int, int], keep: Wanted | None, source: str
) -> tuple[list[str], list[int], Floats]:
    """Word2vec's binary form: a word, a blank, its float32 numbers, and with some writers a line end."""
    words: list[str] = []
    ranks: list[int] = []
    parts: list[bytes] = []
    for rank in range(shape[0]):
        word = stream.until(b" ", _LONGEST_WORD)
        numbers = b"" if word is None else stream.take(4 * shape[1])
        if word is None or len(numbers) < 4 * shape[1]:
            if stream.peek(1):
                raise InputError(f"{source} is neither text nor binary word vectors (at word {rank + 1:,})")
            raise InputError(f"{source} ends after {rank:,} of {shape[0]:,} words; {_CUT}")
        word = word.lstrip(b"\r\n")
        if keep is None or keep(rank, word):
            words.append(_decoded(word, f"{source} word {rank + 1:,}"))
            ranks.append(rank)
            parts.append(numbers)
    if stream.peek(64).strip():
        raise InputError(f"{source} goes on after the {shape[0]:,} words that it says it holds; {_CUT}")
    return words, ranks, np.frombuffer(b"".join(parts), "<f4").reshape(len(parts), shape[1])


def _stacked(parts: list[Floats], dimensions: int) -> Floats:
    return np.concatenate(parts) if parts else np.zeros((0, dimensions), np.float32)


def beside(path: Path) -> Path | None:
    """The list of words of an array: ``NAME.txt`` or ``NAME.parquet``, or the only .txt or .parquet of its folder."""
    for ending in _ENDINGS:
        if path.with_suffix(ending).is_file():
            return path.with_suffix(ending)
    others = [file for file in path.parent.iterdir() if file.suffix in {".txt", ".parquet"} and file.is_file()]
    return others[0] if len(others) == 1 else None


def read_array(path: Path, keep: Wanted | None, words: Path | None, *, source: str | None = None) -> Vectors:
    """Read a ``.npy`` and its words, mapped into memory rather than read where only some are wanted."""
    shown = f'--vectors: "{path.name}"'
    listed = beside(path) if words is None else words
    if listed is None:
        raise InputError(
            f'{shown} needs its words: put them beside it, in "{path.stem}.txt" (one a line) or "{path.stem}.parquet"'
        )
    try:
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        if any(sign in str(error) for sign in ("allow_pickle", "pickled", "Python objects")):
            raise pickled(path.name) from None
        raise InputError(f"{shown} is no numpy array, or cut off: {str(error).splitlines()[0]}") from None
    except OSError as error:
        raise damaged(path, error) from error
    names = _column(listed) if listed.suffix.casefold() == ".parquet" else _lines(listed)
    if matrix.ndim == 2 and len(names) != len(matrix):
        raise InputError(f'{shown} has {len(matrix):,} vectors, and "{listed.name}" {len(names):,} words')
    ranks = np.arange(len(names), dtype=np.int64)
    if keep is not None and matrix.ndim == 2:
        ranks = np.array([rank for rank, word in enumerate(names) if keep(rank, word.encode())], np.int64)
        names, matrix = [names[rank] for rank in ranks], matrix[ranks]
    name = path.name if source is None else source
    return Vectors.of(names, matrix, source=name, sha256=sha256_file(path), ranks=ranks)


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise damaged(path, error) from error
    except UnicodeDecodeError:
        raise InputError(f'the list of words "{path.name}" is not valid UTF-8; recode it') from None
    # Not splitlines: vocabularies hold characters that Unicode counts as line ends.
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def _column(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    try:
        table: Any = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise damaged(path, error) from error
    kinds = {name: table.schema.field(name).type for name in table.column_names}
    texts = [name for name, kind in kinds.items() if pa.types.is_string(kind) or pa.types.is_large_string(kind)]
    if len(texts) != 1:
        raise InputError(f'the list of words "{path.name}" has {len(texts)} columns of text; it needs exactly one')
    column = table.column(texts[0])
    if column.null_count:
        raise InputError(f'the list of words "{path.name}" has {column.null_count:,} words missing (null)')
    result: list[str] = column.to_pylist()
    return result
