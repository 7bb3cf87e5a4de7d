"""The one tokenizer: counting, matching, scrubbing and vectors all use it, so they cannot disagree about what a word is.

A token is a maximal run of letters, marks and digits (Unicode categories L*, M*, N*). Everything else separates, also
apostrophes, hyphens, underscores, ``#``, ``/`` and ``@``, and so does the end of a row. Positions are byte offsets of the
raw text, which is never changed; case is folded once for each vocabulary string, never over the text.
"""

import sys
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .errors import InputError

# Small enough that a block, its mask and its temporaries stay in the processor's second-level cache.
_BLOCK = 1 << 17
_WORD_ASCII = bytes(b for b in range(128) if chr(b).isalnum())
_SEPARATING_ASCII = bytes(b for b in range(128) if not chr(b).isalnum())


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
        The distinct tokens of this batch as they are spelt, in order of first appearance.
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

    def rows(self) -> npt.NDArray[np.int64]:
        """The row of each token (made when asked for)."""
        return np.repeat(np.arange(self.n_rows, dtype=np.int64), np.diff(self.splits))

    def row_of(self, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The rows of the given tokens; cheaper than :meth:`rows` when they are few."""
        return np.searchsorted(self.splits, tokens, side="right").astype(np.int64) - 1


def fold(text: str) -> str:
    """Return the form under which two spellings of a word count as one: full case folding of the composed text (NFC).

    Composing first makes "é" as one code point and "e" with a combining accent the same word. Accents are kept.

    Examples
    --------
    >>> fold("STRASSE") == fold("Straße")
    True
    >>> fold("e\\u0301") == fold("\\u00c9")
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
        One text a row; other Arrow string types and chunked arrays are accepted and cast. A null counts as an empty text.

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
    data, offsets = _bytes(text)
    edges, words = _edges(data)
    edges = _split_at_rows(edges, offsets)
    starts = np.ascontiguousarray(edges[0::2])
    ends = np.ascontiguousarray(edges[1::2])
    vocabulary, ids = _intern(words, ends - starts)
    return Tokens(
        starts=starts,
        ends=ends,
        splits=np.searchsorted(starts, offsets, side="left").astype(np.int64),
        offsets=offsets,
        ids=ids,
        vocabulary=vocabulary,
        folded=_fold_all(vocabulary),
        data=data,
    )


def _bytes(text: Any) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
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


def _edges(data: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.int64], bytes]:
    """Where runs of word bytes begin and end (alternating), rows ignored; and all the word bytes, end to end."""
    edges, words = [], []
    inside, low, size = False, 0, len(data)
    while low < size:
        high = min(low + _BLOCK, size)
        while high < size and (data[high] & 0xC0) == 0x80:  # never cut a code point in two
            high -= 1
            if high == low:
                raise _not_utf8()
        block = data[low:high]
        word, ascii_only = _word_bytes(block)
        change = np.empty(len(block), np.bool_)
        change[0] = word[0] != inside
        np.not_equal(word[1:], word[:-1], out=change[1:])
        edges.append(np.flatnonzero(change) + low)
        # bytes.translate drops bytes several times faster than a boolean index, which pays for every run.
        kept = block if ascii_only else np.where(word, block, np.uint8(32))
        words.append(kept.tobytes().translate(None, _SEPARATING_ASCII))
        inside, low = bool(word[-1]), high
    if inside:
        edges.append(np.array([size]))
    return (np.concatenate(edges) if edges else np.zeros(0)).astype(np.int64, copy=False), b"".join(words)


def _word_bytes(block: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.bool_], bool]:
    """Which bytes of a block belong to a letter, mark or digit; and whether the block is plain ASCII."""
    # Unsigned arithmetic wraps round, so one comparison tests both ends of a range.
    word = ((block | 0x20) - np.uint8(97)) < 26
    word |= (block - np.uint8(48)) < 10
    beyond = block >= 0x80
    if not beyond.any():
        return word, True
    where = np.flatnonzero(beyond)
    # The bytes beyond ASCII, without the rest, are whole code points one after another.
    coded = np.concatenate([block[where], np.zeros(3, np.uint8)])
    lead = np.flatnonzero(coded >= 0xC0)
    length = np.diff(lead, append=len(where))
    first = coded[lead].astype(np.int32)
    expected = 2 + (first >= 0xE0) + (first >= 0xF0)
    if len(lead) == 0 or lead[0] != 0 or not np.array_equal(length, expected):
        raise _not_utf8()
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
        raise _not_utf8()
    word[where] = np.repeat(_word_points()[point], length)
    return word, False


@cache
def _word_points() -> npt.NDArray[np.bool_]:
    """For each code point, whether it is a letter, a mark or a digit. Made on first use: plain ASCII text needs none."""
    table = np.zeros(sys.maxunicode + 1, np.bool_)
    # The planes between hold no character and the last two are for private use, so only these are looked up; a test
    # compares the whole table with unicodedata.
    for low, high in ((0, 0x40000), (0xE0000, 0xE1000)):
        table[low:high] = [unicodedata.category(chr(point))[0] in "LMN" for point in range(low, high)]
    table.flags.writeable = False
    return table


def _split_at_rows(edges: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """End a run where its row ends, and begin another: each row start inside a run is put in twice."""
    inner = np.unique(offsets[1:-1])
    before = np.searchsorted(edges, inner, side="left")
    inside = before % 2 == 1
    inner, before = inner[inside], before[inside]
    cut = edges[before] != inner  # an odd count of edges before it means that one more follows
    if not cut.any():
        return edges
    return np.insert(edges, np.repeat(before[cut], 2), np.repeat(inner[cut], 2))


def _intern(words: bytes, lengths: npt.NDArray[np.int64]) -> tuple[Any, npt.NDArray[np.int32]]:
    """The distinct strings among the tokens, and each token as an index into them. Exact: Arrow compares, not only hashes."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    spelt = pa.LargeStringArray.from_buffers(len(lengths), pa.py_buffer(offsets), pa.py_buffer(words))
    coded = spelt.dictionary_encode()
    return coded.dictionary, coded.indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)


def _fold_all(vocabulary: Any) -> list[str]:
    """:func:`fold` of every string. A line feed is no token byte and folds and composes with nothing: one call does all."""
    if len(vocabulary) == 0:
        return []
    joined: str = pc.binary_join(pa.ListArray.from_arrays([0, len(vocabulary)], vocabulary), pa.scalar("\n", pa.large_string()))[0].as_py()
    return fold(joined).split("\n")


def _not_utf8() -> InputError:
    return InputError("the text is not valid UTF-8; open the file with its right encoding (--encoding, for example latin-1)")
