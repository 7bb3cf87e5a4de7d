"""Places in a text that edits leave alone: URLs, e-mail addresses, @handles and code.

What changes there breaks: a link leads nowhere, a program does not run. The words of #hashtags are words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ..data.tokens import Tokens
from .edits import NONE, Edits, Ints

KINDS = ("urls", "emails", "handles", "code")

# Bytes beyond ASCII count as parts of an address: a letter with an accent must not cut it in two. What may stand before
# one is any byte that ends a token, "_" among them, so that dropping the word before never takes the protection away.
# Lengths are bounded since a search from each byte of a long run would take its length squared.
_W = rb"[\w\x80-\xff]"
_ADDRESS = re.compile(
    rb"(?P<urls>(?:[A-Za-z][A-Za-z0-9+.-]{0,30}://|(?<![A-Za-z0-9])[Ww]{3}\.)[^\s<>\"`]+)"
    rb"|(?P<emails>[\w.%+\-\x80-\xff]{1,64}@" + _W + rb"(?:[\w\-\x80-\xff]*\.)+" + _W + rb"+(?:[.\-]" + _W + rb"+)*)"
    rb"|(?P<handles>(?<![A-Za-z0-9])@" + _W + rb"+(?:@" + _W + rb"+(?:[.\-]" + _W + rb"+)*)?)"
)
_TICKS = re.compile(rb"`+")
_FENCE = 3
_NOWHERE = np.zeros(0, np.int64)
# Bytes that are looked through at a time: few enough to stay in the processor's cache.
_BLOCK = 1 << 18
_OVERLAP = 3
# What follows a link more often than it belongs to it.
_BEHIND = b".,;:!?'\")]}*_"


def shield(tokens: Tokens, inside: Sequence[str] = ()) -> Edits:
    r"""Find the protected places of a batch.

    Parameters
    ----------
    tokens : Tokens
        Of the batch.
    inside : sequence of {"urls", "emails", "handles", "code"}
        Kinds that are not protected.

    Returns
    -------
    Edits
        Disjoint and ascending, one a place (or several that touch or overlap). They change nothing: only their rows,
        starts and ends mean something.

    Notes
    -----
    A URL has a scheme (``https://``) or begins with ``www.``; closing punctuation behind it is not part of it. Code
    stands between two backticks, or two runs of as many, and from a run of three or more to the next, or to the end
    of the text.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from ..data.tokens import tokenize
    >>> text = "She: www.she.org/her, her@she.com, @her and `she`. #Her\n```\nshe = her"
    >>> tokens = tokenize(pa.array([text]))
    >>> found = shield(tokens)
    >>> [text[start:end] for start, end in zip(found.start, found.end)]
    ['www.she.org/her', 'her@she.com', '@her', '`she`', '```\nshe = her']
    >>> shield(tokens, ["urls", "emails", "handles", "code"]).n
    0
    """
    wanted = frozenset(KINDS) - set(inside)
    rows, kinds = _candidates(tokens, wanted)
    found: list[tuple[int, int, int]] = []
    for row, address, code in zip(rows.tolist(), *(kind.tolist() for kind in kinds), strict=True):
        begin = int(tokens.offsets[row])
        text = tokens.data[begin : int(tokens.offsets[row + 1])].tobytes()
        spans = list(_addresses(text, wanted)) if address else []
        if code:
            spans = sorted([*spans, *_code(text)])
        found += [(row, begin + start, begin + end) for start, end in spans]
    if not found:
        return NONE
    row, start, end = np.array(found, np.int64).T
    return _spans(row, start, end)


def joined(parts: Sequence[Edits]) -> Edits:
    """Places of several origins as one, those that overlap put together: what a step must not touch."""
    parts = [part for part in parts if part.n]
    if not parts:
        return NONE
    if len(parts) == 1:
        return parts[0]
    row, start, end = (np.concatenate([getattr(part, name) for part in parts]) for name in ("row", "start", "end"))
    order = np.argsort(start, kind="stable")
    return _spans(row[order], start[order], end[order])


def _spans(row: Ints, start: Ints, end: Ints) -> Edits:
    """Disjoint places of ones that are in the order of their starts."""
    reach = np.maximum.accumulate(end)
    fresh = np.ones(len(start), np.bool_)
    fresh[1:] = start[1:] >= reach[:-1]
    first = np.flatnonzero(fresh)
    nothing = np.zeros(len(first), np.int64)
    last = np.append(first[1:], len(start)) - 1
    return Edits(row[first], start[first], reach[last], nothing, nothing, nothing, nothing - 1, ("",))


def _candidates(tokens: Tokens, wanted: frozenset[str]) -> tuple[Ints, tuple[npt.NDArray[np.bool_], ...]]:
    """Rows that hold the bytes without which there is nothing to protect, and which search each needs."""
    address = np.zeros(tokens.n_rows, np.bool_)
    code = np.zeros(tokens.n_rows, np.bool_)
    data = tokens.data
    scratch = np.empty((2, _BLOCK + _OVERLAP), np.bool_)
    for low in range(0, len(data), _BLOCK):
        # What begins in a block may end a few bytes behind it.
        part = data[low : low + _BLOCK + _OVERLAP]
        if wanted & {"emails", "handles"}:
            _mark(address, tokens, _places(part, ord("@"), scratch) + low)
        if "urls" in wanted:
            at = _places(part, ord(":"), scratch)
            at = at[at + 2 < len(part)]
            _mark(address, tokens, at[(part[at + 1] == ord("/")) & (part[at + 2] == ord("/"))] + low)
            _mark(address, tokens, _webs(part, scratch) + low)
        if "code" in wanted:
            _mark(code, tokens, _places(part, ord("`"), scratch) + low)
    rows = np.flatnonzero(address | code)
    return rows, (address[rows], code[rows])


def _places(part: npt.NDArray[np.uint8], byte: int, scratch: npt.NDArray[np.bool_]) -> Ints:
    """Where a byte stands. To see that there is none is several times as fast as to look where."""
    here = np.equal(part, byte, out=scratch[0, : len(part)])
    return np.flatnonzero(here) if here.any() else _NOWHERE


def _webs(part: npt.NDArray[np.uint8], scratch: npt.NDArray[np.bool_]) -> Ints:
    """Where "www" stands, in small letters or capitals."""
    if len(part) < _OVERLAP:
        return _NOWHERE
    small = np.bitwise_or(part, 0x20, out=scratch[1, : len(part)].view(np.uint8))
    w = np.equal(small, ord("w"), out=scratch[0, : len(part)])
    three = np.logical_and(w[:-2], w[1:-1], out=scratch[1, : len(part) - 2])
    three &= w[2:]
    return np.flatnonzero(three) if three.any() else _NOWHERE


def _mark(rows: npt.NDArray[np.bool_], tokens: Tokens, at: Ints) -> None:
    if len(at):
        rows[np.searchsorted(tokens.offsets, at, side="right") - 1] = True


def _addresses(text: bytes, wanted: frozenset[str]) -> Iterator[tuple[int, int]]:
    for match in _ADDRESS.finditer(text):
        if match.lastgroup in wanted:
            start, end = match.span()
            if match.lastgroup == "urls":
                end = start + len(match.group().rstrip(_BEHIND))
            yield start, end


def _code(text: bytes) -> Iterator[tuple[int, int]]:
    """Code between runs of backticks; it depends on the runs alone, which no edit changes."""
    runs = [match.span() for match in _TICKS.finditer(text)]
    sizes = [end - start for start, end in runs]
    at = 0
    while at < len(runs):
        size = sizes[at]
        if size >= _FENCE:
            close = next((k for k in range(at + 1, len(runs)) if sizes[k] >= size), None)
        else:
            close = next((k for k in range(at + 1, len(runs)) if sizes[k] == size), -1)
        if close is None:
            yield runs[at][0], len(text)
            return
        if close < 0:
            at += 1
            continue
        yield runs[at][0], runs[close][1]
        at = close + 1
