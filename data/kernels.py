"""The inner loops of tokenising and matching, compiled by numba: for large data only, and never needed.

What they give is what `evenset.data.tokens` and `evenset.data.match` give, down to the last byte offset (only the
vocabulary of a batch is numbered in another order). Importing this module compiles, or loads what was compiled before.

All loops are in this one file, because numba's cache notices a change only in the file of the loop itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .match import APOSTROPHE, CURLY, JOINING, Matches
from .tokens import PAGE_BITS, Tokens, bytes_of, fold_all, not_utf8, page_of, strings_from

if TYPE_CHECKING:
    from .match import Matcher

F = TypeVar("F", bound=Callable[..., Any])

_Bytes = types.Array(types.uint8, 1, "C", readonly=True)
_Flags = types.Array(types.boolean, 1, "C")
_I64 = types.Array(types.int64, 1, "C")
_I64_READ = types.Array(types.int64, 1, "C", readonly=True)
_I32 = types.Array(types.int32, 1, "C")
_I8 = types.Array(types.int8, 1, "C")
_U64_2D = types.Array(types.uint64, 2, "C")

_DONE, _FULL, _BAD, _PAGE = -1, -2, -3, -4  # what a loop ends with; _PAGE - k: page k of Unicode is needed
_LEAST_BITS = 17  # of the places of a table: most batches have fewer than 2**16 different words

_U = np.uint64
_HIGH, _LOW, _CASE = _U(0x8080808080808080), _U(0x7F7F7F7F7F7F7F7F), _U(0x2020202020202020)
# Added to a byte, these carry into its high bit from "a", from beyond "z", from "0" and from beyond "9".
_A, _Z, _0, _9 = _U(0x1F1F1F1F1F1F1F1F), _U(0x0505050505050505), _U(0x5050505050505050), _U(0x4646464646464646)
_MIX, _MIX2 = _U(0x9E3779B97F4A7C15), _U(0xD6E8FEB86659FD93)


def _compiled(signature: Any) -> Callable[[F], F]:
    """Compile at once and keep the result for the next process, where there is a place to keep it."""

    def compile_(function: F) -> F:
        options = {"nogil": True, "boundscheck": False}
        try:
            return numba.njit(signature, cache=True, **options)(function)  # type: ignore[no-any-return]
        except RuntimeError:  # neither beside this file nor in the user's cache may be written
            return numba.njit(signature, **options)(function)  # type: ignore[no-any-return]

    return compile_


@intrinsic  # type: ignore[untyped-decorator]
def _load(typing_context: Any, array: Any, at: Any) -> Any:  # noqa: ARG001 - numba's own signature
    """Eight bytes from anywhere, the first the lowest."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        held = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(held.data, [arguments[1]])
        value = builder.load(builder.bitcast(place, ir.IntType(64).as_pointer()), typ=ir.IntType(64))
        value.align = 1
        return value

    return types.uint64(array, types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def _zeros(typing_context: Any, value: Any) -> Any:  # noqa: ARG001 - numba's own signature
    """How many bits below the lowest that is set."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), code


@numba.njit(nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _words(x: Any) -> Any:
    """The high bit of each of eight bytes that is an ASCII letter or digit."""
    low = x & _LOW
    letter = low | _CASE
    return (((letter + _A) & ~(letter + _Z)) | ((low + _0) & ~(low + _9))) & _HIGH & ~x


@numba.njit(nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _is_ascii_word(byte: Any) -> Any:
    return (48 <= byte <= 57) or (97 <= (byte | 0x20) <= 122)


@_compiled(types.UniTuple(types.int64, 2)(_Bytes, types.int64, _Flags, _Flags))
def _decode(data: Any, at: Any, is_word: Any, known: Any) -> Any:
    """Bytes of the code point at a place (or what a loop ends with), and whether it belongs to a word."""
    first = np.int64(data[at])
    if first < 0xC0 or first > 0xF7:
        return _BAD, 0
    size = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    if at + size > len(data):
        return _BAD, 0
    point = first & (0xFF >> (size + 1))
    for k in range(1, size):
        byte = np.int64(data[at + k])
        if byte & 0xC0 != 0x80:
            return _BAD, 0
        point = (point << 6) | (byte & 0x3F)
    if point > 0x10FFFF:
        return _BAD, 0
    if not known[point >> PAGE_BITS]:
        return _PAGE - (point >> PAGE_BITS), 0
    return size, np.int64(is_word[point])


@numba.njit(nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _tail(data: Any, at: Any, long: Any) -> Any:
    """Up to eight bytes as a number, never reading beyond the end of the data."""
    if long == 0:
        return _U(0)
    if at + 8 <= len(data):
        return _load(data, at) & (_U(0xFFFFFFFFFFFFFFFF) >> _U(8 * (8 - long)))
    value = _U(0)
    for k in range(long):
        value |= _U(data[at + k]) << _U(8 * k)
    return value


@numba.njit(nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _same(data: Any, one: Any, other: Any, long: Any) -> Any:
    k = 0
    while k + 8 <= long:
        if _load(data, one + k) != _load(data, other + k):
            return False
        k += 8
    while k < long:
        if data[one + k] != data[other + k]:
            return False
        k += 1
    return True


@_compiled(types.UniTuple(types.int64, 2)(_Bytes, _I64_READ, _Flags, _Flags, types.Array(types.int64, 2, "C"), _I64))
def _segment(data: Any, offsets: Any, is_word: Any, known: Any, edges: Any, splits: Any) -> Any:
    """Write where tokens begin and end; returns how it ended and how many tokens there are.

    Eight bytes are looked at together. Where some of them are not ASCII, code points are judged one by one, and of one
    that goes on into the next eight the judgement is carried over.
    """
    n = 0  # edges: a token has two
    for row in range(len(offsets) - 1):
        splits[row] = n >> 1
        begin, end = offsets[row], offsets[row + 1]
        inside = _U(0)  # the flag of the byte before
        ahead, ahead_word = 0, False  # bytes of a code point that are yet to come, and what it is
        for at in range(begin, end, 8):
            left = min(end - at, 8)
            x = _tail(data, at, left)
            flags = _words(x)
            if x & _HIGH or ahead:
                flags, k = _U(0), 0
                while k < left:
                    if ahead == 0:
                        byte = data[at + k]
                        if byte < 0x80:
                            ahead, ahead_word = 1, _is_ascii_word(byte)
                        else:
                            ahead, word = _decode(data, at + k, is_word, known)
                            if ahead < 0:
                                return ahead, n >> 1
                            ahead_word = word != 0
                    here = min(ahead, left - k)
                    if ahead_word:
                        for one in range(k, k + here):
                            flags |= _U(0x80) << _U(8 * one)
                    k += here
                    ahead -= here
            change = (flags ^ ((flags << _U(8)) | inside)) & _HIGH
            if left < 8:
                change &= (_U(1) << _U(8 * left)) - _U(1)
            while change:
                edges[n & 1, n >> 1] = at + np.int64(_zeros(change) >> _U(3))
                n += 1
                change &= change - _U(1)
            inside = flags >> _U(56) if left == 8 else _U(0)
        if n & 1:
            edges[1, n >> 1] = end
            n += 1
    splits[len(offsets) - 1] = n >> 1
    return _DONE, n >> 1


@_compiled(types.UniTuple(types.int64, 2)(_Bytes, _I64_READ, _I64_READ, _I32, _U64_2D, _U64_2D, _I64, _I64))
def _intern(data: Any, starts: Any, ends: Any, ids: Any, short: Any, long: Any, first: Any, length: Any) -> Any:
    """Number the tokens; returns how it ended and how many different ones there are.

    A token of at most eight bytes is its own key (no byte of it is NUL, so 0 is free to mean an empty place); longer
    ones are hashed, and compared byte by byte. A place in a table holds the key and the number.
    """
    v, used_short, used_long, most = 0, 0, 0, len(first)
    mask = _U(len(short) - 1)
    shift = _U(64) - _zeros(_U(len(short)))
    for n in range(len(starts)):
        start, end = starts[n], ends[n]
        size = end - start
        if size <= 8:
            key = _tail(data, start, size)
            place = (key * _MIX) >> shift
            while short[place, 0] != key:
                if short[place, 0] == 0:
                    if v == most or 2 * used_short > len(short):
                        return _FULL, v
                    short[place, 0], short[place, 1] = key, v
                    first[v], length[v] = start, size
                    v, used_short = v + 1, used_short + 1
                    break
                place = (place + _U(1)) & mask
            ids[n] = short[place, 1]
        else:
            key, at = _U(size), start
            while at + 8 <= end:
                key = (key ^ _load(data, at)) * _MIX
                key ^= key >> _U(32)
                at += 8
            key = (key ^ _tail(data, at, end - at)) * _MIX2
            key = max(key ^ (key >> _U(29)), _U(1))
            place = key & mask
            while True:
                if long[place, 0] == 0:
                    if v == most or 2 * used_long > len(long):
                        return _FULL, v
                    long[place, 0], long[place, 1] = key, v
                    first[v], length[v] = start, size
                    v, used_long = v + 1, used_long + 1
                    break
                if long[place, 0] == key:
                    other = long[place, 1]
                    if length[other] == size and _same(data, first[other], start, size):
                        break
                place = (place + _U(1)) & mask
            ids[n] = long[place, 1]
    return _DONE, v


_CURLY = tuple(int(byte) for byte in CURLY)


@numba.njit(nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _join(data: Any, begin: Any, end: Any, joining: Any) -> Any:
    """What stands between two tokens."""
    if end - begin == 1:
        return np.int64(joining[data[begin]])
    if end - begin == 3 and data[begin] == _CURLY[0] and data[begin + 1] == _CURLY[1] and data[begin + 2] == _CURLY[2]:
        return np.int64(APOSTROPHE)
    return np.int64(-1)


@_compiled(
    types.UniTuple(types.int64, 2)(
        _Bytes, _I64_READ, _I64_READ, types.Array(types.int32, 1, "C", readonly=True), _I64_READ, _I64, _I64,
        _Flags, _Flags, _I32, _I64, _I64, types.int64, _I8, _I64, _I64, _I32,
    )
)  # fmt: skip
def _occurrences(
    data: Any,
    starts: Any,
    ends: Any,
    ids: Any,
    splits: Any,
    number: Any,
    begins: Any,
    later: Any,
    goes_on: Any,
    ending: Any,
    keys: Any,
    targets: Any,
    words: Any,
    joining: Any,
    token: Any,
    length: Any,
    form: Any,
) -> Any:
    """All occurrences, overlapping or not, in the order of their first token, and how many have several words.

    Returns (-1, needed) where they do not fit.
    """
    n = several = 0
    for row in range(len(splits) - 1):
        for at in range(splits[row], splits[row + 1]):
            state = begins[ids[at]]
            if state == 0:
                continue
            long, last = 1, splits[row + 1]
            while True:
                if ending[state] >= 0:
                    if n < len(token):
                        token[n], length[n], form[n] = at, long, ending[state]
                    n += 1
                    several += long > 1
                if not goes_on[state] or at + long >= last or not later[ids[at + long]]:
                    break
                join = _join(data, ends[at + long - 1], starts[at + long], joining)
                if join < 0:
                    break
                key = (state * 2 + join) * words + number[ids[at + long]]
                place = np.searchsorted(keys, key)
                if place == len(keys) or keys[place] != key:
                    break
                state = targets[place]
                long += 1
    return (n, several) if n <= len(token) else (-1, n)


@_compiled(
    types.int64(
        _I64, _I64, _I32, _I64_READ, types.boolean, _I64_READ, _I64_READ, _I64_READ, _I64_READ, _I64, _I64, _I64
    )
)
def _stand(
    token: Any,
    length: Any,
    form: Any,
    longest_first: Any,
    clash: Any,
    starts: Any,
    ends: Any,
    splits: Any,
    offsets: Any,
    row: Any,
    start: Any,
    end: Any,
) -> Any:
    """Keep the occurrences that stand, each place once, and say where they are; returns how many.

    `longest_first` are those of several words: the longer before the shorter, left before right.
    """
    if clash:
        taken = np.zeros(len(starts), np.bool_)
        for k in longest_first:
            free = True
            for one in range(token[k], token[k] + length[k]):
                free &= not taken[one]
            if free:
                taken[token[k] : token[k] + length[k]] = True
            else:
                form[k] = -1
        for k in range(len(token)):
            if length[k] == 1 and taken[token[k]]:
                form[k] = -1
    n, at = 0, 0
    for k in range(len(token)):
        if form[k] < 0:
            continue
        while splits[at + 1] <= token[k]:
            at += 1
        token[n], length[n], form[n], row[n] = token[k], length[k], form[k], at
        start[n] = starts[token[k]] - offsets[at]
        end[n] = ends[token[k] + length[k] - 1] - offsets[at]
        n += 1
    return n


_IS_WORD = np.zeros(0x110000, np.bool_)
_KNOWN = np.zeros(0x110000 >> PAGE_BITS, np.bool_)


def _learn(page: int) -> None:
    """Look up a page of Unicode; two threads may do so at once, they write the same."""
    _IS_WORD[page << PAGE_BITS : (page + 1) << PAGE_BITS] = page_of(page)
    _KNOWN[page] = True


def tokenize(text: Any) -> Tokens:
    """`evenset.data.tokens.tokenize`, in one pass over the bytes."""
    data, offsets = bytes_of(text)
    offsets = np.ascontiguousarray(offsets)
    splits = np.empty(len(offsets), np.int64)
    edges = np.empty((2, len(data) // 2 + len(offsets)), np.int64)  # every second byte, and one token a row
    while True:
        ended, n = _segment(data, offsets, _IS_WORD, _KNOWN, edges, splits)
        if ended == _DONE:
            break
        if ended == _BAD:
            raise not_utf8()
        _learn(_PAGE - ended)
    starts, ends, ids = edges[0, :n], edges[1, :n], np.empty(n, np.int32)
    bits = min(_LEAST_BITS, max(8, int(n).bit_length() + 1))
    while True:
        places = 1 << bits
        first, length = np.empty((2, places), np.int64)
        short, long = np.zeros((2, places, 2), np.uint64)
        ended, v = _intern(data, starts, ends, ids, short, long, first, length)
        if ended == _DONE:
            break
        bits += 1
    vocabulary = strings_from(data, first[:v], length[:v])
    return Tokens(
        starts=starts,
        ends=ends,
        splits=splits,
        offsets=offsets,
        ids=ids,
        vocabulary=vocabulary,
        folded=fold_all(vocabulary),
        data=data,
    )


def find(matcher: Matcher, tokens: Tokens) -> Matches:
    """`evenset.data.match.Matcher.find`, in one pass over the tokens."""
    tree = matcher.tree
    number = matcher.numbers(tokens)
    begins, later = tree.first[number], tree.later[number]
    room = max(1024, tokens.n // 4)
    while True:
        token, length, form = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int32)
        n, several = _occurrences(
            tokens.data, tokens.starts, tokens.ends, tokens.ids, tokens.splits, number, begins, later,
            tree.goes_on, tree.ending, tree.keys, tree.targets, tree.words, JOINING, token, length, form,
        )  # fmt: skip
        if n >= 0:
            break
        room = several
    token, length, form = token[:n], length[:n], form[:n]
    order = np.zeros(0, np.int64)
    if several:
        order = np.flatnonzero(length > 1)
        order = order[np.lexsort((token[order], -length[order]))]
    row, start, end = np.empty((3, n), np.int64)
    kept = _stand(
        token, length, form, order, bool(several), tokens.starts, tokens.ends, tokens.splits, tokens.offsets,
        row, start, end,
    )  # fmt: skip
    return Matches(row[:kept], token[:kept], length[:kept], start[:kept], end[:kept], form[:kept])
