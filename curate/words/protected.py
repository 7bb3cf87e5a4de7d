"""Places in a text that edits leave alone: URLs, e-mail addresses, @handles and code.

What changes there breaks: a link leads nowhere, a program does not run. The words of #hashtags are words.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...data.tokens import Tokens
from ..edits import NONE, Bools, Edits, Ints, touched

KINDS = ("urls", "emails", "handles", "code")

# Bytes beyond ASCII count as parts of an address: a letter with an accent must not cut it in two.
_ALNUM = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_WORD = _ALNUM | set(b"_") | set(range(0x80, 0x100))


def _table(inside: Collection[int]) -> Bools:
    """For each byte whether it is one of these."""
    return np.isin(np.arange(256), list(inside))


_LETTERS, _IS_ALNUM, _IS_WORD = _table(_ALNUM - set(b"0123456789")), _table(_ALNUM), _table(_WORD)
_SCHEME, _LOCAL, _DOMAIN = _table(_ALNUM | set(b"+.-")), _table(_WORD | set(b".%+-")), _table(_WORD | set(b".-"))
_URL = ~_table(b' \t\n\r\f\v<>"`')
# What follows a link, or a domain, more often than it belongs to it.
_NO_DOT = ~_table(b".")
_BEHIND, _HYPHENS = _table(b".,;:!?'\")]}*_"), _table(b".-")
_MOST_SCHEME, _MOST_LOCAL = 31, 64
# So many bytes are walked one by one; what is longer is looked for in all places where something ends.
_STEPS = 32
_FENCE = 3
_NOWHERE = np.zeros(0, np.int64)
# Bytes that are looked through at a time: few enough to stay in the processor's cache.
_BLOCK = 1 << 18
_OVERLAP = 4


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
    >>> from ...data.tokens import tokenize
    >>> text = "She: www.she.org/her, her@she.com, @her and `she`. #Her\n```\nshe = her"
    >>> tokens = tokenize(pa.array([text]))
    >>> found = shield(tokens)
    >>> [text[start:end] for start, end in zip(found.start, found.end)]
    ['www.she.org/her', 'her@she.com', '@her', '`she`', '```\nshe = her']
    >>> shield(tokens, ["urls", "emails", "handles", "code"]).n
    0
    """
    wanted = frozenset(KINDS) - set(inside)
    marks = _marks(tokens)
    parts = [NONE]
    if len(marks.links) or len(marks.webs) or len(marks.ats):
        parts += _addresses(tokens, marks, wanted)
    if "code" in wanted and len(marks.ticks):
        parts.append(_codes(tokens, marks.ticks))
    return joined(parts)


def joined(parts: Sequence[Edits]) -> Edits:
    """Places of several origins as one, those that overlap put together: what a step must not touch."""
    parts = [part for part in parts if part.n]
    if not parts:
        return NONE
    row, start, end = (np.concatenate([getattr(part, name) for part in parts]) for name in ("row", "start", "end"))
    order = np.argsort(start, kind="stable")
    return _spans(row[order], start[order], end[order])


def _spans(row: Ints, start: Ints, end: Ints) -> Edits:
    """Disjoint places of ones that are in the order of their starts."""
    if not len(start):
        return NONE
    reach = np.maximum.accumulate(end)
    fresh = np.ones(len(start), np.bool_)
    fresh[1:] = start[1:] >= reach[:-1]
    first = np.flatnonzero(fresh)
    nothing = np.zeros(len(first), np.int64)
    last = np.append(first[1:], len(start)) - 1
    return Edits(row[first], start[first], reach[last], nothing, nothing, nothing, nothing - 1, ("",))


class _Marks(NamedTuple):
    """Where the bytes stand without which there is nothing to protect: "://", "www.", "@" and "`"."""

    links: Ints
    webs: Ints
    ats: Ints
    ticks: Ints


def _marks(tokens: Tokens) -> _Marks:
    data = tokens.data
    found: list[list[Ints]] = [[], [], [], []]
    scratch = np.empty((2, _BLOCK + _OVERLAP), np.bool_)
    for low in range(0, len(data), _BLOCK):
        # What begins in a block may end a few bytes behind it.
        part = data[low : low + _BLOCK + _OVERLAP]
        colon = _places(part, ord(":"), scratch)
        colon = colon[colon + 2 < len(part)]
        colon = colon[(part[colon + 1] == ord("/")) & (part[colon + 2] == ord("/"))]
        every = (colon, _webs(part, scratch), _places(part, ord("@"), scratch), _places(part, ord("`"), scratch))
        for places, at in zip(found, every, strict=True):
            if len(at):
                places.append(at[at < _BLOCK] + low)
    return _Marks(*(np.concatenate([_NOWHERE, *places]) for places in found))


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
    at = np.flatnonzero(three) if three.any() else _NOWHERE
    at = at[at + 3 < len(part)]
    found: Ints = at[part[at + 3] == ord(".")]
    return found


def _addresses(tokens: Tokens, marks: _Marks, wanted: frozenset[str]) -> list[Edits]:
    """URLs, then e-mail addresses and handles outside them."""
    urls = joined([_links(tokens, marks.links), _webs_of(tokens, marks.webs)])
    found = [urls] if "urls" in wanted else []
    at = marks.ats
    if len(at) and wanted & {"emails", "handles"}:
        found += _at_signs(tokens, at[~touched(urls, at, at + 1)], wanted)
    return found


def _links(tokens: Tokens, at: Ints) -> Edits:
    """URLs around "://": a scheme before it and something behind it."""
    data, row, low, high = _rows(tokens, at)
    start = reach(data, at, np.maximum(low, at - _MOST_SCHEME), _SCHEME, back=True)
    # A scheme begins with a letter.
    start = reach(data, start, at, ~_LETTERS)
    end = reach(data, at + 3, high, _URL)
    whole = (start < at) & (end > at + 3)
    row, start, end, at = row[whole], start[whole], end[whole], at[whole]
    return _spans(row, start, reach(data, end, at, _BEHIND, back=True))


def _webs_of(tokens: Tokens, at: Ints) -> Edits:
    """URLs that begin with "www."."""
    data, row, low, high = _rows(tokens, at)
    end = reach(data, at + 4, high, _URL)
    whole = ((at == low) | ~_IS_ALNUM[data[np.maximum(at - 1, 0)]]) & (end > at + 4)
    row, at, end = row[whole], at[whole], end[whole]
    return _spans(row, at, reach(data, end, at, _BEHIND, back=True))


def _at_signs(tokens: Tokens, at: Ints, wanted: frozenset[str]) -> list[Edits]:
    """E-mail addresses and handles around "@"; @name@server is a handle."""
    data, row, low, high = _rows(tokens, at)
    after = data[np.minimum(at + 1, len(data) - 1)]
    named = (at + 1 < high) & _IS_WORD[after]
    start = reach(data, at, np.maximum(low, at - _MOST_LOCAL), _LOCAL, back=True)
    domain = reach(data, at + 1, high, _DOMAIN)
    domain = reach(data, domain, at + 1, _HYPHENS, back=True)
    dot = reach(data, at + 1, domain, _NO_DOT)
    server = (start > low) & (data[np.maximum(start - 1, 0)] == ord("@"))
    mail = named & (start < at) & (dot < domain)
    # Any byte that ends a token may stand before a handle, so that dropping the word before it leaves it one.
    handle = named & ((at == low) | ~_IS_ALNUM[data[np.maximum(at - 1, 0)]])
    end = reach(data, at + 1, high, _IS_WORD)
    found = []
    if "emails" in wanted:
        found.append(_spans(*(part[mail & ~server] for part in (row, start, domain))))
    if "handles" in wanted:
        found += [_spans(*(part[handle] for part in (row, at, end)))]
        found += [_spans(*(part[mail & server] for part in (row, start, domain)))]
    return found


def _rows(tokens: Tokens, at: Ints) -> tuple[npt.NDArray[np.uint8], Ints, Ints, Ints]:
    """The bytes, and for each place its row and where that begins and ends."""
    row = np.searchsorted(tokens.offsets, at, side="right") - 1
    return tokens.data, row, tokens.offsets[row], tokens.offsets[row + 1]


def reach(data: npt.NDArray[np.uint8], at: Ints, limit: Ints, inside: Bools, *, back: bool = False) -> Ints:
    """How far the bytes of a kind reach from each place, forwards or back.

    Parameters
    ----------
    data : uint8 array
        The bytes.
    at : int64 array
        Places between bytes.
    limit : int64 array
        Where to stop at the latest.
    inside : bool array of 256
        The kind.
    back : bool
        Look at the bytes before each place.

    Examples
    --------
    >>> reach(np.frombuffer(b"ab  c", np.uint8), np.array([2, 0]), np.array([5, 5]), _table(b" ")).tolist()
    [4, 0]
    """
    end = at.copy()
    going = np.flatnonzero(at > limit if back else at < limit)
    for _ in range(_STEPS):
        here = end[going] - 1 if back else end[going]
        on = inside[data[here]]
        going, here = going[on], here[on]
        end[going] = here if back else here + 1
        going = going[end[going] > limit[going]] if back else going[end[going] < limit[going]]
        if not len(going):
            return end
    stops = np.flatnonzero(~inside[data])
    if back:
        place = np.searchsorted(stops, end[going], side="left") - 1
        last = np.where(place >= 0, stops[np.maximum(place, 0)] + 1, 0) if len(stops) else limit[going]
        end[going] = np.maximum(last, limit[going])
    else:
        place = np.searchsorted(stops, end[going], side="left")
        first = np.append(stops, len(data))[place]
        end[going] = np.minimum(first, limit[going])
    return end


def _codes(tokens: Tokens, ticks: Ints) -> Edits:
    """Code between runs of backticks; it depends on the runs alone, which no edit changes."""
    row = np.searchsorted(tokens.offsets, ticks, side="right") - 1
    fresh = np.ones(len(ticks), np.bool_)
    fresh[1:] = (ticks[1:] != ticks[:-1] + 1) | (row[1:] != row[:-1])
    first = np.flatnonzero(fresh)
    start, row = ticks[first], row[first]
    size = np.diff(np.append(first, len(ticks)))
    begins = np.flatnonzero(np.diff(row, prepend=-1))
    count = np.diff(np.append(begins, len(row)))
    # Mostly a row has two short runs of the same length; only others have to be walked.
    pair = begins[count == 2]
    pair = pair[(size[pair] == size[pair + 1]) & (size[pair] < _FENCE)]
    walked = np.setdiff1d(begins[(count > 1) | (size[begins] >= _FENCE)], pair, assume_unique=True)
    found = [_spans(row[pair], start[pair], start[pair + 1] + size[pair + 1])]
    spans: list[tuple[int, int, int]] = []
    ends = np.append(begins, len(row))[np.searchsorted(begins, walked) + 1]
    for low, high in zip(walked.tolist(), ends.tolist(), strict=True):
        at = int(row[low])
        runs = list(zip(start[low:high].tolist(), size[low:high].tolist(), strict=True))
        spans += [(at, *span) for span in _paired(runs, int(tokens.offsets[at + 1]))]
    if spans:
        found.append(_spans(*np.array(spans, np.int64).T))
    return joined(found)


def _paired(runs: Sequence[tuple[int, int]], last: int) -> Iterator[tuple[int, int]]:
    """Code between the runs of a row (start, size) that ends at `last`."""
    at = 0
    while at < len(runs):
        start, size = runs[at]
        fence = size >= _FENCE
        rest = range(at + 1, len(runs))
        close = next((k for k in rest if runs[k][1] == size or (fence and runs[k][1] > size)), None)
        if close is not None:
            yield start, runs[close][0] + runs[close][1]
            at = close + 1
        elif fence:
            yield start, last
            return
        else:
            at += 1
