"""The one tokenizer: counting, matching, scrubbing and vectors share it, so they cannot disagree about what a word is.

A token is a maximal run of letters, marks and digits (Unicode categories L*, M*, N*). Everything else separates, also
apostrophes, hyphens, underscores, ``#``, ``/`` and ``@``, and so does the end of a row. Positions are byte offsets of
the raw text, which is never changed; case is folded once for each vocabulary string, never over the text.
"""

import sys
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .arrays import distinct
from .errors import InputError

# Bytes, and tokens, that are worked on at a time: few enough to stay in the processor's second-level cache.
_BLOCK = 1 << 18
_CHUNK = 1 << 15
# Unicode is looked up in pages of this many bits.
PAGE_BITS = 12
_PAGE_LAST = (1 << PAGE_BITS) - 1
# _KEEP[k] keeps the first k bytes of eight, read little-endian.
_KEEP = np.array([(1 << 8 * k) - 1 for k in range(9)], "<u8")
_Ints: TypeAlias = npt.NDArray[np.int64]
# Distinct strings (an Arrow array) and each token as an index into them.
_Coded: TypeAlias = tuple[Any, npt.NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a batch of texts, as arrays.

    Attributes
    ----------
    starts, ends : numpy.ndarray of int64
        Where each token begins and ends, as byte offsets into ``data``.
    splits : numpy.ndarray of int64
        ``n_rows + 1`` values; row r holds the tokens ``splits[r]:splits[r + 1]``.
    offsets : numpy.ndarray of int64
        ``n_rows + 1`` values; the text of row r is ``data[offsets[r]:offsets[r + 1]]``.
    ids : numpy.ndarray of int32
        Each token as an index into the vocabulary.
    vocabulary : pyarrow.LargeStringArray
        The distinct tokens of this batch as they are spelt, in an order that depends on the texts alone.
    folded : list of str
        The same strings after :func:`fold`; several spellings may fold to one string.
    data : numpy.ndarray of uint8
        The UTF-8 bytes of all rows, end to end. It is the Arrow buffer itself, not a copy.
    """

    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    splits: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int32]
    vocabulary: Any  # pa.LargeStringArray
    folded: list[str]
    data: npt.NDArray[np.uint8]

    @property
    def n(self) -> int:
        """The number of tokens."""
        return len(self.starts)

    @property
    def n_rows(self) -> int:
        """The number of rows, empty ones included."""
        return len(self.offsets) - 1

    def rows(self) -> _Ints:
        """The row of each token (made when asked for)."""
        return np.repeat(np.arange(self.n_rows, dtype=np.int64), np.diff(self.splits))

    def row_of(self, tokens: _Ints) -> _Ints:
        """The rows of the given tokens."""
        if len(tokens) > self.n // 50:  # a search takes as long as writing down the rows of some fifty tokens
            return self.rows()[tokens]
        return np.searchsorted(self.splits, tokens, side="right").astype(np.int64) - 1


def fold(text: str) -> str:
    r"""Return the form under which two spellings of a word count as one: full case folding of the composed text (NFC).

    Composing first makes "é" as one code point and "e" with a combining accent the same word. Accents are kept.

    Examples
    --------
    >>> fold("STRASSE") == fold("Straße")
    True
    >>> fold("e\u0301") == fold("\u00c9")
    True
    >>> fold("café") == fold("cafe")
    False
    """
    return (text if text.isascii() else unicodedata.normalize("NFC", text)).casefold()


def tokenize(text: Any) -> Tokens:
    """Split every text of an Arrow string array into tokens.

    Parameters
    ----------
    text : pyarrow.LargeStringArray
        One text a row; other Arrow string types and chunked arrays are cast. A null counts as an empty text.

    Returns
    -------
    Tokens

    Raises
    ------
    InputError
        If the bytes are not valid UTF-8.

    Notes
    -----
    Which code points are letters, marks or digits comes from the running Python's ``unicodedata``; a newer Python may
    therefore know more of them.

    Examples
    --------
    >>> import pyarrow as pa
    >>> tokens = tokenize(pa.array(["She's African-American.", None, "#Yes she"], pa.large_string()))
    >>> tokens.vocabulary.take(pa.array(tokens.ids)).to_pylist()
    ['She', 's', 'African', 'American', 'Yes', 'she']
    >>> tokens.splits.tolist(), tokens.folded
    ([0, 4, 4, 6], ['she', 's', 'african', 'american', 'yes', 'she'])
    """
    data, offsets = bytes_of(text)
    starts, ends = _spans(data, offsets)
    vocabulary, ids = _intern(data, starts, ends - starts)
    return Tokens(
        starts=starts,
        ends=ends,
        splits=np.searchsorted(starts, offsets, side="left").astype(np.int64, copy=False),
        offsets=offsets,
        ids=ids,
        vocabulary=vocabulary,
        folded=fold_all(vocabulary),
        data=data,
    )


def bytes_of(text: Any) -> tuple[npt.NDArray[np.uint8], _Ints]:
    """The bytes of all rows and where each row begins, for sliced, null-holding and empty arrays alike."""
    if isinstance(text, pa.ChunkedArray):
        text = text.combine_chunks()
    if text.type != pa.large_string():
        text = text.cast(pa.large_string())
    if text.null_count:
        text = text.fill_null("")  # a null may still cover bytes of the buffer
    if len(text) == 0:
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    _, where, held = text.buffers()
    offsets = np.frombuffer(where, np.int64)[text.offset : text.offset + len(text) + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    data = np.zeros(0, np.uint8) if held is None else np.frombuffer(held, np.uint8)[first:last]
    return data, offsets - first


def _spans(data: npt.NDArray[np.uint8], offsets: _Ints) -> tuple[_Ints, _Ints]:
    """Where tokens begin and where they end."""
    starts, ends = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    rows = distinct(offsets[1:-1])
    # One scratch space for all blocks: fresh memory would cost more than the arithmetic.
    scratch = np.empty((3, min(_BLOCK, len(data))), np.uint8)
    inside, low, size = False, 0, len(data)
    while low < size:
        high = min(low + _BLOCK, size)
        while high < size and (data[high] & 0xC0) == 0x80:  # never cut a code point in two
            high -= 1
            if high == low:
                raise not_utf8()
        part = scratch[:, : high - low]
        word, change = part[0].view(np.bool_), part[1].view(np.bool_)
        _word_bytes(data[low:high], word, part[2])
        change[0] = word[0] != inside
        np.not_equal(word[1:], word[:-1], out=change[1:])
        edges = np.flatnonzero(change).astype(np.int64, copy=False)
        # A row that starts inside a run ends one token and begins another.
        begins = rows[slice(*np.searchsorted(rows, (max(low, 1), high)))] - low
        begins = begins[word[begins] & ~change[begins]]
        if len(begins):
            edges = np.insert(edges, np.repeat(np.searchsorted(edges, begins), 2), np.repeat(begins, 2))
        # Edges alternate, and the first ends a token where the last block left one open.
        starts.append(edges[int(inside) :: 2] + low)
        ends.append(edges[int(not inside) :: 2] + low)
        inside, low = bool(word[-1]), high
    if inside:
        ends.append(np.array([size], np.int64))
    return np.concatenate(starts), np.concatenate(ends)


def _word_bytes(block: npt.NDArray[np.uint8], word: npt.NDArray[np.bool_], scratch: npt.NDArray[np.uint8]) -> None:
    """Say in `word` which bytes of a block belong to a letter, mark or digit."""
    # Unsigned arithmetic wraps round, so one comparison tests both ends of a range.
    other = scratch.view(np.bool_)
    np.subtract(block, np.uint8(48), out=scratch)
    np.less(scratch, 10, out=word)
    np.bitwise_or(block, np.uint8(0x20), out=scratch)
    np.subtract(scratch, np.uint8(97), out=scratch)
    np.less(scratch, 26, out=other)
    np.logical_or(word, other, out=word)
    if block.max() < 0x80:
        return
    where = np.flatnonzero(np.greater_equal(block, 0x80, out=other))
    # The bytes beyond ASCII, without the rest, are whole code points one after another.
    coded = np.concatenate([block[where], np.zeros(3, np.uint8)])
    lead = np.flatnonzero(coded >= 0xC0)
    length = np.diff(lead, append=len(where))
    first = coded[lead].astype(np.int32)
    expected = 2 + (first >= 0xE0) + (first >= 0xF0)
    if len(lead) == 0 or lead[0] != 0 or not np.array_equal(length, expected):
        raise not_utf8()
    second, third, fourth = (coded[lead + k].astype(np.int32) & 0x3F for k in (1, 2, 3))
    point = np.where(
        length == 2,
        (first & 0x1F) << 6 | second,
        np.where(
            length == 3,
            (first & 0x0F) << 12 | second << 6 | third,
            (first & 0x07) << 18 | second << 12 | third << 6 | fourth,
        ),
    )
    if point.max() > sys.maxunicode:
        raise not_utf8()
    word[where] = np.repeat(_is_word(point), length)


def _is_word(points: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """For each code point, whether it is a letter, a mark or a digit. Only the pages that occur are ever looked up."""
    page = points >> PAGE_BITS
    pages = np.flatnonzero(np.bincount(page))
    found = np.empty(len(points), np.bool_)
    for number in pages.tolist():
        here = page == number
        found[here] = page_of(number)[points[here] & _PAGE_LAST]
    return found


@cache
def page_of(number: int) -> npt.NDArray[np.bool_]:
    """Whether each code point of a page is a letter, a mark or a digit, from unicodedata."""
    points = range(number << PAGE_BITS, (number + 1) << PAGE_BITS)
    page = np.array([unicodedata.category(chr(point))[0] in "LMN" for point in points], np.bool_)
    page.flags.writeable = False
    return page


def _intern(data: npt.NDArray[np.uint8], starts: _Ints, lengths: _Ints) -> tuple[Any, npt.NDArray[np.int32]]:
    """The distinct strings among the tokens, and each token as an index into them.

    Exact: Arrow compares the values, not only their hashes. Nine tokens in ten have at most 8 bytes and most others at
    most 16. As integers and short fixed-size values they are interned some times faster than as strings, which leaves
    few tokens, of any length, for the general way.
    """
    ids = np.empty(len(starts), np.int32)
    vocabulary = [pa.array([], pa.large_string())]
    size, short, long = 0, lengths <= 8, lengths > 16
    for chosen, encode in ((short, _encode_8), (~(short | long), _encode_16), (long, _encode_any)):
        at = np.flatnonzero(chosen)
        if not len(at):
            continue
        strings, codes = encode(data, starts[at], lengths[at])
        ids[at] = codes + np.int32(size)
        vocabulary.append(strings)
        size += len(strings)
    return pa.concat_arrays(vocabulary), ids


def _encode_8(data: npt.NDArray[np.uint8], starts: _Ints, lengths: _Ints) -> _Coded:
    return _encode_fixed(data, starts, lengths, pa.uint64(), 8)


def _encode_16(data: npt.NDArray[np.uint8], starts: _Ints, lengths: _Ints) -> _Coded:
    return _encode_fixed(data, starts, lengths, pa.binary(16), 16)


def _encode_fixed(data: npt.NDArray[np.uint8], starts: _Ints, lengths: _Ints, kind: Any, width: int) -> _Coded:
    """Intern tokens of at most `width` bytes, padded with NUL, which is no token byte and so is unambiguous."""
    if len(data) < width:
        data = np.concatenate([data, np.zeros(width - len(data), np.uint8)])
    last = len(data) - width
    windows: npt.NDArray[Any] = np.ndarray((last + 1,), f"V{width}", buffer=data, strides=(1,))
    cells = np.empty((len(starts), width // 8), "<u8")
    for low in range(0, len(starts), _CHUNK):  # fresh memory for all tokens at once would cost more than the work
        at = slice(low, low + _CHUNK)
        cells[at] = windows[np.minimum(starts[at], last)].view("<u8").reshape(-1, width // 8)
        for part in range(width // 8):
            cells[at, part] &= _KEEP[np.clip(lengths[at] - 8 * part, 0, 8)]
    for late in np.flatnonzero(starts > last):  # at most `width` tokens, where the window would pass the end
        token = data[starts[late] : starts[late] + lengths[late]].tobytes()
        cells[late] = np.frombuffer(token.ljust(width, b"\0"), "<u8")
    coded = pa.Array.from_buffers(kind, len(cells), [None, pa.py_buffer(cells)]).dictionary_encode()
    distinct = np.frombuffer(coded.dictionary.buffers()[1], np.uint8, len(coded.dictionary) * width).reshape(-1, width)
    used = distinct != 0
    return _strings(distinct[used], used.sum(axis=1)), _codes(coded)


def _encode_any(data: npt.NDArray[np.uint8], starts: _Ints, lengths: _Ints) -> _Coded:
    """Intern tokens of any length: their bytes are laid end to end first."""
    coded = strings_from(data, starts, lengths).dictionary_encode()
    return coded.dictionary, _codes(coded)


def strings_from(data: npt.NDArray[np.uint8], starts: _Ints, lengths: _Ints) -> Any:
    """An Arrow string array of stretches of bytes."""
    before = np.cumsum(lengths) - lengths
    where = np.repeat(starts - before, lengths)
    where += np.arange(len(where))
    return _strings(data[where], lengths)


def _strings(data: npt.NDArray[np.uint8], lengths: _Ints) -> Any:
    """An Arrow string array over bytes that lie end to end."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return pa.LargeStringArray.from_buffers(len(lengths), pa.py_buffer(offsets), pa.py_buffer(data))


def _codes(coded: Any) -> npt.NDArray[np.int32]:
    """The indices of a dictionary array (its own to_numpy would import pandas)."""
    return np.frombuffer(coded.indices.buffers()[1], np.int32, len(coded))


def fold_all(vocabulary: Any) -> list[str]:
    """:func:`fold` of every string, in one call: a line feed is no token byte, folds and composes with nothing."""
    if len(vocabulary) == 0:
        return []
    all_in_one = pa.ListArray.from_arrays([0, len(vocabulary)], vocabulary)
    joined: str = pc.binary_join(all_in_one, pa.scalar("\n", pa.large_string()))[0].as_py()
    return fold(joined).split("\n")


def not_utf8() -> InputError:
    """The text has bytes that are no characters."""
    return InputError("the text is not valid UTF-8; name the encoding of the file (--encoding, for example latin-1)")
