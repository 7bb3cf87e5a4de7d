"""The one tokenizer: what a token is, where it stands, and that every fast path gives the obvious answer."""

import sys
import unicodedata
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evenset.data import tokens as tokens_module
from evenset.data.errors import InputError
from evenset.data.tokens import fold, tokenize

# Letters of every width in UTF-8, combining marks, digits of other scripts, and things that separate.
ALPHABET = (
    "abcXYZ019"
    + "éßİǆ"
    + "न्हिمरح"
    + "中あ"
    + "𝒜🄰𐐀"
    + "\u0301\u0308\U000e0101"
    + "٣Ⅷ½²"
    + " \t\n\x00.,'’-_#/@+—…🙂\u200d\u200b\u00a0\U0010ffff"
)
texts = st.lists(
    st.one_of(st.none(), st.text(st.sampled_from(ALPHABET), max_size=40), st.text(max_size=12)), max_size=8
)


def is_word(character):
    return unicodedata.category(character)[0] in "LMN"


def obvious(rows):
    """(row, start byte, end byte, word) of each token, one character at a time."""
    found = []
    for row, text in enumerate(rows):
        start, word, at = 0, "", 0
        for character in [*(text or ""), None]:
            if character is not None and is_word(character):
                if not word:
                    start = at
                word += character
            elif word:
                found.append((row, start, at, word))
                word = ""
            at += 0 if character is None else len(character.encode())
    return found


def told(tokens):
    """The same of a `Tokens`."""
    rows = tokens.rows()
    begin = tokens.offsets[rows]
    words = tokens.vocabulary.take(pa.array(tokens.ids)).to_pylist()
    return list(
        zip(rows.tolist(), (tokens.starts - begin).tolist(), (tokens.ends - begin).tolist(), words, strict=True)
    )


def array(rows):
    return pa.array(rows, pa.large_string())


@given(texts, st.integers(4, 20))
@example(["naïve", "naïve"], 4)
@example(["a" * 8, "a" * 9, "a" * 16, "a" * 17, "b" * 8], 9)
@example(["", None, "x", ""], 4)
@settings(max_examples=300, deadline=None)
def test_agrees_with_the_obvious_way_whatever_the_block_size(rows, block):
    with mock.patch.object(tokens_module, "_BLOCK", block):
        small = tokenize(array(rows))
    assert told(small) == told(tokenize(array(rows))) == obvious(rows)


@given(texts, st.data())
@settings(deadline=None)
def test_slices_and_chunks_are_read_where_they_are(rows, data):
    low = data.draw(st.integers(0, len(rows)))
    high = data.draw(st.integers(low, len(rows)))
    assert told(tokenize(array(rows)[low:high])) == obvious(rows[low:high])
    assert told(tokenize(pa.array(rows, pa.string())[low:high])) == obvious(rows[low:high])
    chunked = pa.chunked_array([array(rows[:low]), array(rows[low:])])
    assert told(tokenize(chunked)) == obvious(rows)


@given(texts)
@settings(deadline=None)
def test_the_vocabulary_holds_each_spelling_once_and_folds_it(rows):
    tokens = tokenize(array(rows))
    spelt = tokens.vocabulary.to_pylist()
    assert len(set(spelt)) == len(spelt)
    assert set(spelt) == {word for *_, word in obvious(rows)}
    assert tokens.folded == [unicodedata.normalize("NFC", word).casefold() for word in spelt]


def test_words_that_differ_only_late_stay_apart():
    stem = "abcdefghijklmnopqrstuvwxyz"
    rows = [stem[:size] + end for size in range(1, 26) for end in "xy"] * 2
    tokens = tokenize(array(rows))
    assert told(tokens) == obvious(rows)
    assert len(tokens.vocabulary) == len(set(rows))


def test_every_code_point_is_judged_by_its_category():
    points = np.arange(sys.maxunicode + 1, dtype=np.int32)
    truth = np.fromiter((is_word(chr(point)) for point in range(len(points))), np.bool_, len(points))
    assert np.array_equal(tokens_module._is_word(points), truth)


def test_what_separates():
    rows = ["African-American she/her she's #women me@home snake_case a\x00b don’t"]
    words = [word for *_, word in told(tokenize(array(rows)))]
    assert words == [
        "African",
        "American",
        "she",
        "her",
        "she",
        "s",
        "women",
        "me",
        "home",
        "snake",
        "case",
        "a",
        "b",
        "don",
        "t",
    ]


def test_rows_separate_though_their_bytes_touch():
    tokens = tokenize(array(["wo", "man", "", "ly"]))
    assert told(tokens) == [(0, 0, 2, "wo"), (1, 0, 3, "man"), (3, 0, 2, "ly")]
    assert tokens.splits.tolist() == [0, 1, 2, 2, 3]


def test_nothing_gives_nothing():
    for rows in ([], [None], ["", " .,"], [None, None]):
        tokens = tokenize(array(rows))
        assert (tokens.n, tokens.n_rows, len(tokens.vocabulary), tokens.folded) == (0, len(rows), 0, [])
        assert tokens.splits.tolist() == [0] * (len(rows) + 1)


def test_bytes_under_a_null_are_not_read():
    held = pa.Array.from_buffers(
        pa.large_string(), 2, [pa.py_buffer(b"\x02"), pa.py_buffer(np.array([0, 4, 8])), pa.py_buffer(b"herehere")]
    )
    assert held.to_pylist() == [None, "here"]
    assert told(tokenize(held)) == [(1, 0, 4, "here")]


def test_a_long_row_and_a_long_word():
    rows = ["word, " * 300_000, "x" * 2_000_000, "é" * 400_000]
    tokens = tokenize(array(rows))
    assert np.diff(tokens.splits).tolist() == [300_000, 1, 1]
    assert (tokens.ends - tokens.starts)[-2:].tolist() == [2_000_000, 800_000]
    assert len(tokens.vocabulary) == 3


def test_the_text_is_not_copied():
    text = array(["one two", "three"])
    assert np.shares_memory(tokenize(text).data, np.frombuffer(text.buffers()[2], np.uint8))


def test_the_rows_of_some_tokens():
    tokens = tokenize(array(["", "a b", "", "c", ""]))
    assert tokens.row_of(np.array([0, 1, 2])).tolist() == tokens.rows().tolist() == [1, 1, 3]


@pytest.mark.parametrize(
    "wrong", [b"caf\xe9", b"\xe9t", b"\x80\x80", b"a\xf8\x88\x80\x80\x80b", b"\xc3", b"\xf4\xbf\xbf\xbf"]
)
def test_bytes_that_are_not_utf8_are_refused(wrong):
    offsets = pa.py_buffer(np.array([0, len(wrong)]))
    with pytest.raises(InputError, match="not valid UTF-8"):
        tokenize(pa.LargeStringArray.from_buffers(1, offsets, pa.py_buffer(wrong)))


@given(st.text(max_size=8))
@settings(deadline=None)
def test_composed_and_decomposed_spellings_fold_to_one(text):
    assert fold(unicodedata.normalize("NFD", text)) == fold(unicodedata.normalize("NFC", text)) == fold(text)
