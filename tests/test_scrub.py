"""Scrubbing: what goes, what stays byte for byte, and that doing it twice changes nothing more."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evenset.data
from evenset.curate import run
from evenset.data.config import Plan, parse
from evenset.data.errors import InputError

LEXICON = """
[lexicon]
name = "faith"
version = "1"
language = "en"
source = "test"
licence = "none"
[[group]]
axis = "religion"
name = "muslim"
forms = ["muslim", "muslims"]
[[group]]
axis = "origin"
name = "middle eastern"
forms = ["middle eastern"]
[[group]]
axis = "colour"
name = "black"
ambiguous = ["black", "blacks"]
"""


def plan(**step: object) -> Plan:
    return parse({"plan": {"p": {"step": [{"do": "scrub", **step}]}}}).plan["p"]


def texts(rows: list[str], **step: object) -> list[str]:
    data = evenset.data.open([{"text": row, "label": "x"} for row in rows], text="text", label="label")
    curation = run(data, plan(**step))
    assert curation.rows is not None
    return curation.rows["text"].to_pylist()


@pytest.fixture(scope="module")
def faith(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("lexicon") / "faith.toml"
    path.write_text(LEXICON)
    return f"lexicon:{path}"


@pytest.mark.parametrize(
    ("raw", "masked"),
    [
        ("She said HER dog bit him.", "_ said _ dog bit _."),
        ("she/her, #She", "_/_, #_"),
        ("The shed and the hero", "The shed and the hero"),
        ("They saw them.", "They saw them."),
        ("Só she — she’s", "Só _ — _’s"),
        ("", ""),
    ],
)
def test_pronouns_are_masked_and_the_rest_stays(raw: str, masked: str) -> None:
    assert texts([raw], axis="pronouns") == [masked]


@pytest.mark.parametrize(
    ("raw", "left"),
    [
        ("I saw her.", "I saw."),
        ("She ran home.", "Ran home."),
        ("she ran home.", "ran home."),
        ("SHE SAID. She said, she iPhones.", "SAID. Said, iPhones."),
        ("He left! He @bob left.\n  She went", "Left! @bob left.\n  Went"),
        ("Was it she?  She ran.", "Was it?  Ran."),
        ("x  she  y", "x y"),
        ("x she, y  he.", "x, y."),
        ("`` she `", "`` `"),
        ("he she it", "it"),
        ("it he she", "it"),
        ("x he  she y", "x y"),
        ("(she) and he-man", "() and-man"),
        ("he\nshe", "\n"),
    ],
)
def test_dropping_takes_what_goes_with_a_word(raw: str, left: str) -> None:
    assert texts([raw], axis="pronouns", **{"with": "drop"}) == [left]


@pytest.mark.parametrize(
    ("raw", "neutral"),
    [
        ("She saw him.", "They saw them."),
        ("HER book is hers; his book is his.", "THEIR book is theirs; their book is theirs."),
        ("He hurt himself, I told her", "They hurt themselves, I told them"),
        ("Her most famous book", "Their most famous book"),
        ("I loved her most.", "I loved them most."),
        ("Xe told xyr friends.", "Xe told xyr friends."),
    ],
)
def test_neutral_forms_follow_case_and_capitals(raw: str, neutral: str) -> None:
    assert texts([raw], axis="pronouns", **{"with": "neutral"}) == [neutral]


def test_ambiguous_forms_only_on_request(faith: str) -> None:
    rows = ["a black muslim"]
    assert texts(rows, axis=faith) == ["a black _"]
    assert texts(rows, axis=faith, ambiguous=True) == ["a _ _"]
    assert texts(rows, axis=faith, groups=["black"], ambiguous=True) == ["a _ muslim"]


def test_what_a_drop_brings_together_goes_too(faith: str) -> None:
    # "middle" and "eastern" are no term apart, but without the word between them they would be.
    assert texts(["the middle muslim eastern rite"], axis=faith, **{"with": "drop"}) == ["the rite"]
    assert texts(["the middle muslim eastern rite"], axis=faith) == ["the middle _ eastern rite"]


def test_an_earlier_step_has_a_word_first(faith: str) -> None:
    steps = [
        {"do": "scrub", "axis": faith, "with": "A"},
        {"do": "scrub", "axis": faith, "with": "B", "ambiguous": True},
    ]
    data = evenset.data.open([{"text": "black muslims", "label": "x"}], text="text", label="label")
    curation = run(data, parse({"plan": {"p": {"step": steps}}}).plan["p"])
    assert curation.rows is not None
    assert curation.rows["text"].to_pylist() == ["B A"]
    assert curation.ledger["step"].to_pylist() == [2, 1]


def test_two_dropping_steps_do_not_lose_each_others_words(faith: str) -> None:
    steps = [{"do": "scrub", "axis": name, "with": "drop"} for name in ("pronouns", faith)]
    rows = ["she muslim he", "muslim she muslim", "x she muslim y"]
    data = evenset.data.open([{"text": row, "label": "x"} for row in rows], text="text", label="label")
    curation = run(data, parse({"plan": {"p": {"step": steps}}}).plan["p"])
    assert curation.rows is not None
    for text in curation.rows["text"].to_pylist():
        assert not set(text.split()) & {"she", "he", "muslim"}


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"axis": "column:label"}, "has no words to change"),
        ({"axis": "pronouns", "with": "he"}, "itself a word"),
        ({"axis": "pronouns", "groups": ["shee"]}, 'Did you mean "she"?'),
        ({"axis": "identity", "with": "neutral"}, 'the forms of the group "they"'),
        ({"axis": "identity", "groups": ["black"]}, "ambiguous = true"),
    ],
)
def test_what_cannot_be_done_is_said(step: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        texts(["She is here."], **step)


WORDS = [
    *("she", "He", "HER", "his", "hers", "himself", "they", "middle", "eastern", "muslim", "Muslims", "black", "the"),
    *("dog,", "ran", "(it)", "é", "—", "x-y", "a"),
]
words = st.sampled_from(WORDS)
sentences = st.lists(
    st.tuples(words, st.sampled_from([" ", " ", " ", "  ", "-", "_", "\n", ", ", "'"])), max_size=12
).map(lambda parts: "".join(word + gap for word, gap in parts))


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(sentences, min_size=1, max_size=5), mask=st.sampled_from(["_", "drop", "[X]", "person"]))
@pytest.mark.parametrize("axis", ["pronouns", "faith"])
def test_scrubbing_twice_is_scrubbing_once(axis: str, faith: str, rows: list[str], mask: str) -> None:
    axis = faith if axis == "faith" else axis
    once = texts(rows, axis=axis, **{"with": mask})
    assert texts(once, axis=axis, **{"with": mask}) == once


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(sentences, min_size=1, max_size=5))
def test_the_ledger_accounts_for_every_byte(rows: list[str]) -> None:
    data = evenset.data.open([{"text": row, "label": "x"} for row in rows], text="text", label="label")
    curation = run(data, plan(axis="pronouns"))
    assert curation.rows is not None
    rebuilt = [row.encode() for row in rows]
    for edit in sorted(curation.ledger.to_pylist(), key=lambda edit: -edit["start"]):
        raw = rebuilt[edit["position"]]
        assert raw[edit["start"] : edit["end"]].decode() == edit["before"]
        rebuilt[edit["position"]] = raw[: edit["start"]] + edit["after"].encode() + raw[edit["end"] :]
    assert [raw.decode() for raw in rebuilt] == curation.rows["text"].to_pylist()
