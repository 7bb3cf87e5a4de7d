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
    data = tokens.data
    marks: list[Ints] = []
    if wanted & {"emails", "handles"}:
        marks.append(np.flatnonzero(data == ord("@")))
    if "urls" in wanted:
        at = np.flatnonzero(data[: len(data) - 2] == ord(":")) if len(data) > 2 else np.zeros(0, np.int64)
        marks.append(at[(data[at + 1] == ord("/")) & (data[at + 2] == ord("/"))])
        at = np.flatnonzero(data == ord("."))
        at = at[at >= 3]
        for back in (1, 2, 3):
            at = at[(data[at - back] | 0x20) == ord("w")]
        marks.append(at)
    address = np.zeros(tokens.n_rows, np.bool_)
    code = np.zeros(tokens.n_rows, np.bool_)
    for at in marks:
        address[np.searchsorted(tokens.offsets, at, side="right") - 1] = True
    if "code" in wanted:
        code[np.searchsorted(tokens.offsets, np.flatnonzero(data == ord("`")), side="right") - 1] = True
    rows = np.flatnonzero(address | code)
    return rows, (address[rows], code[rows])


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
