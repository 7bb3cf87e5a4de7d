"""The compiled loops give what the reference gives, on any text."""

import subprocess
import sys
import unicodedata
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evenset.audit.tally import Tally, total
from evenset.data import tokens as tokens_module
from evenset.data.axes import Axis
from evenset.data.dataset import Dataset
from evenset.data.errors import InputError
from evenset.data.lexicon import Form, Group, Lexicon
from evenset.data.match import Matcher
from evenset.data.scan import scan, scan_batches
from evenset.data.tokens import tokenize

kernels = pytest.importorskip("evenset.data.kernels", reason="numba is not installed", exc_type=ImportError)

# Letters of every width in UTF-8, combining marks, digits of other scripts, and things that separate.
ALPHABET = (
    "abzAZ019"
    + "éßİǆ"
    + "न्हिمرح"
    + "中あ"
    + "𝒜🄰𐐀"
    + "\u0301\u0308"
    + "٣½²"
    + " \t\n\x00.,'’-_@[`{/:"
    + "🙂\u200d\u00a0\U0010ffff"
)
WORDS = [
    "she",
    "African",
    "american",
    "it's",
    "don’t",
    "gay",
    "GAY",
    "man",
    "é",
    "e\u0301",
    "中",
    "a",
    "b",
    "longerthaneight",
    "a" * 8,
    "a" * 9,
    "a" * 17,
]
GAPS = [" ", "-", "_", "'", "’", "  ", ", ", "\n", "/", "—"]
texts = st.lists(
    st.one_of(
        st.none(),
        st.text(st.sampled_from(ALPHABET), max_size=40),
        st.text(max_size=12),
        st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(GAPS)), max_size=12).map(
            lambda pairs: "".join(word + gap for word, gap in pairs)
        ),
    ),
    max_size=8,
)
FORMS = [
    "she",
    "african",
    "african american",
    "american man",
    "a b",
    "a b a",
    "b a",
    "it's",
    "don't",
    "gay",
    "é",
    "中 中",
    "longerthaneight a",
    "aaaaaaaaa",
]


def lexicon(forms=FORMS):
    groups = (Group("x", "one"), Group("x", "two"))
    made = tuple(Form(form, k % 2, str(k), ambiguous=False) for k, form in enumerate(forms))
    return Lexicon("terms", "1", "en", "-", "-", groups, made, "")


def array(rows):
    return pa.array(rows, pa.large_string())


def same(fast, slow):
    """Everything but the numbering of the vocabulary."""
    for name in ("starts", "ends", "splits", "offsets", "data"):
        assert np.array_equal(getattr(fast, name), getattr(slow, name)), name
    words = [tokens.vocabulary.take(pa.array(tokens.ids)).to_pylist() for tokens in (fast, slow)]
    assert words[0] == words[1]
    assert sorted(fast.vocabulary.to_pylist()) == sorted(slow.vocabulary.to_pylist())
    assert dict(zip(fast.vocabulary.to_pylist(), fast.folded, strict=True)) == dict(
        zip(slow.vocabulary.to_pylist(), slow.folded, strict=True)
    )


@given(texts)
@example(["naïve", "naïve", "a" * 8, "a" * 9, "a" * 16, "a" * 17, "b" * 8])
@example(["", None, "x", ""])
@example(["wo", "man", "", "ly"])
@example(["@A[Z`a{z/0:9", "é@", "éa", "aé", "aaaaaaaé", "aaaaaaaaé"])
@settings(max_examples=250, deadline=None)
def test_tokens_and_matches_are_those_of_the_reference(rows):
    fast, slow = kernels.tokenize(array(rows)), tokenize(array(rows))
    same(fast, slow)
    matcher = Matcher(lexicon())
    found, expected = kernels.find(matcher, fast), matcher.find(slow)
    for name in ("row", "token", "length", "start", "end", "form"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
        assert getattr(found, name).dtype == getattr(expected, name).dtype


@given(texts, st.data())
@settings(max_examples=50, deadline=None)
def test_slices_and_chunks(rows, data):
    low = data.draw(st.integers(0, len(rows)))
    high = data.draw(st.integers(low, len(rows)))
    same(kernels.tokenize(array(rows)[low:high]), tokenize(array(rows)[low:high]))
    same(kernels.tokenize(pa.chunked_array([array(rows[:low]), array(rows[low:])])), tokenize(array(rows)))


def test_every_code_point():
    for low in range(0, 0x110000, 0x8000):
        points = [point for point in range(low, low + 0x8000) if not 0xD800 <= point < 0xE000]
        rows = array(["".join(map(chr, points[at : at + 997])) for at in range(0, len(points), 997)])
        same(kernels.tokenize(rows), tokenize(rows))


def test_more_different_words_than_places_at_first():
    rows = [" ".join(f"w{k}" for k in range(low, low + 1000)) for low in range(0, 150_000, 1000)]
    rows += [" ".join(f"longer{k:07}" for k in range(low, low + 1000)) for low in range(0, 150_000, 1000)]
    same(kernels.tokenize(array(rows)), tokenize(array(rows)))


@pytest.mark.parametrize(
    "wrong",
    [
        b"caf\xe9",
        b"\xe9t",
        b"\x80\x80",
        b"a\xf8\x88\x80\x80\x80b",
        b"\xc3",
        b"\xf4\xbf\xbf\xbf",
        b"abcdefgh\xff12345678",
    ],
)
def test_bytes_that_are_not_utf8_are_refused(wrong):
    offsets = pa.py_buffer(np.array([0, len(wrong)]))
    with pytest.raises(InputError, match="not valid UTF-8"):
        kernels.tokenize(pa.LargeStringArray.from_buffers(1, offsets, pa.py_buffer(wrong)))


def test_nothing_is_read_beyond_the_end_of_the_text():
    """A token at the very end, of a buffer that ends with it."""
    for long in range(1, 40):
        text = ("ab " * 20)[:long]
        held = np.frombuffer(text.encode(), np.uint8).copy()
        made = pa.LargeStringArray.from_buffers(1, pa.py_buffer(np.array([0, long])), pa.py_buffer(held))
        same(kernels.tokenize(made), tokenize(array([text])))


def test_tallies_of_a_scan_are_the_same_and_large_data_takes_the_compiled_way(monkeypatch):
    rows = ["She saw an African-American man.", "don’t be a b a", "É é 中 中", None, "gay GAY"] * 50
    data = Dataset.of(pa.table({"text": rows, "label": ["x", "y"] * 125}), text="text", label="label")
    axis = Axis("terms", "lexicon", lexicon=lexicon())

    def tally(**options):
        passing = scan_batches(data.batches(), [axis], **options)
        return total((Tally.of(one, [axis]) for one in passing), start=Tally.zero([axis]))

    with mock.patch.object(kernels, "tokenize", wraps=kernels.tokenize) as used:
        slow = tally(fast=False)
        assert not used.called
        assert tally(fast=True) == slow
        assert used.called
        used.reset_mock()
        list(scan(data, [axis]))
        assert not used.called
        monkeypatch.setattr("evenset.data.scan.FAST_BYTES", 1)
        list(scan(data, [axis]))
        assert used.called


def test_small_data_imports_no_numba():
    code = (
        "import sys, pyarrow as pa, evenset.data, evenset.audit\n"
        "data = evenset.data.open(pa.table({'text': ['She ran.', 'He ran.'], 'label': [0, 1]}))\n"
        "evenset.audit.run(data, ['pronouns'])\n"
        "assert 'numba' not in sys.modules and 'distributed' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_numba_large_data_is_read_by_the_reference(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "evenset.data.kernels")
    data = Dataset.of(pa.table({"text": ["She ran."] * 4, "label": ["x", "y"] * 2}), text="text", label="label")
    (scanned,) = scan_batches(data.batches(), [Axis("terms", "lexicon", lexicon=lexicon())], fast=True)
    assert scanned.matches["terms"].n == 4


def test_the_table_of_code_points_is_that_of_unicodedata():
    tokens = kernels.tokenize(array(["é中𝒜"]))
    assert tokens.n == 1
    for page in np.flatnonzero(kernels._KNOWN).tolist():
        points = range(page << tokens_module.PAGE_BITS, (page + 1) << tokens_module.PAGE_BITS)
        truth = [unicodedata.category(chr(point))[0] in "LMN" for point in points]
        assert kernels._IS_WORD[points.start : points.stop].tolist() == truth
