"""Swapping: grammar by case, opposite twice is the identity, random targets by row key, copies."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evenset.data
from evenset.curate import Curation, run
from evenset.data.config import Plan, parse
from evenset.data.errors import InputError

COLOURS = """
[lexicon]
name = "{name}"
version = "1"
language = "en"
source = "test"
licence = "none"
"""


def plan(**step: object) -> Plan:
    return parse({"plan": {"p": {"step": [{"do": "swap", **step}]}}}).plan["p"]


def curate(rows: list[str], *, seed: int = 0, **step: object) -> Curation:
    data = evenset.data.open(pa.table({"text": rows, "label": ["x"] * len(rows)}), text="text", label="label")
    return run(data, plan(**step), seed=seed)


def texts(rows: list[str], **step: object) -> list[str]:
    curation = curate(rows, **step)
    assert curation.rows is not None
    return curation.rows["text"].to_pylist()


def lexicon(folder: Path, name: str, *groups: tuple[str, str]) -> str:
    """A lexicon file of groups (name, more keys in TOML)."""
    parts = [f'[[group]]\naxis = "a"\nname = "{group}"\n{rest}\n' for group, rest in groups]
    path = folder / f"{name}.toml"
    path.write_text(COLOURS.format(name=name) + "\n".join(parts))
    return f"lexicon:{path}"


@pytest.mark.parametrize(
    ("raw", "swapped"),
    [
        ("She saw him.", "He saw her."),
        ("I saw her.", "I saw him."),
        ("I gave her the book.", "I gave him the book."),
        ("I saw her and left.", "I saw him and left."),
        ("Her red book", "His red book"),
        ("her", "him"),
        ("The book is his.", "The book is hers."),
        ("His is better.", "Hers is better."),
        ("The book is hers, not his.", "The book is his, not hers."),
        ("HE HIMSELF", "SHE HERSELF"),
        ("He hurt himself.", "She hurt herself."),
        ("her critically acclaimed book", "his critically acclaimed book"),
        ("treated her badly.", "treated him badly."),
        ("her most famous book", "his most famous book"),
        ("loved her most.", "loved him most."),
        ("her on-screen partner", "his on-screen partner"),
        ('called her "best friend" Jo', 'called his "best friend" Jo'),
        ("saw her, the best", "saw him, the best"),
        ("her family", "his family"),
        ("he's his", "she's hers"),
        ("They saw them.", "They saw them."),
    ],
)
def test_pronouns_by_grammatical_case(raw: str, swapped: str) -> None:
    assert texts([raw], axis="pronouns", to="opposite") == [swapped]


def test_what_could_not_be_swapped_back_is_left_and_counted() -> None:
    # "her stories" would come back as "his stories".
    curation = curate(["I read him stories.", "sHe ran."], axis="pronouns", to="opposite")
    assert curation.rows is not None
    assert curation.rows["text"].to_pylist() == ["I read him stories.", "sHe ran."]
    assert curation.report["steps"][0]["unsure"] == 2
    # To a group by name there is no way back to keep.
    assert texts(["I read him stories."], axis="pronouns", to="she") == ["I read her stories."]


def test_swapping_to_a_group_leaves_that_group_alone() -> None:
    assert texts(["She told him."], axis="pronouns", to="they") == ["They told them."]
    assert texts(["She told him his story."], axis="pronouns", to="he") == ["He told him his story."]


@pytest.mark.parametrize(
    ("raw", "swapped"),
    [
        ("a gay man", "an asian man"),
        ("A gay man", "An asian man"),
        ("A GAY MAN", "AN ASIAN MAN"),
        ("the Gay men", "the Asian men"),
        ("two gays", "two asians"),
        ("an african-american club", "an asian club"),
        ("a  gay man", "a  asian man"),
        ("vitamin a, gay", "vitamin a, asian"),
    ],
)
def test_articles_capitals_and_number(raw: str, swapped: str) -> None:
    assert texts([raw], axis="identity", to="asian") == [swapped]


def test_the_article_is_part_of_the_same_edit() -> None:
    edits = curate(["he is a gay man"], axis="identity", to="asian").ledger.to_pylist()
    assert [(edit["before"], edit["after"], edit["start"]) for edit in edits] == [("a gay", "an asian", 6)]


def test_sounds_rule_articles() -> None:
    assert texts(["an old-time gay bar", "an asian bar"], axis="identity", to="european") == [
        "an old-time european bar",
        "a european bar",
    ]
    assert texts(["a gay group"], axis="identity", to="lgbt") == ["an lgbt group"]


def test_several_words_keep_how_they_are_joined() -> None:
    assert texts(["African-American and african american"], axis="identity", to="middle eastern") == [
        "Middle-Eastern and middle eastern"
    ]


def test_a_two_group_axis_has_opposites(tmp_path: Path) -> None:
    axis = lexicon(tmp_path, "two", ("north", 'forms = ["north", "norths"]'), ("up", 'forms = ["up"]'))
    rows = ["a north wind", "an up", "norths"]
    # "norths" has no counterpart to come back from.
    assert texts(rows, axis=axis, to="opposite") == ["an up wind", "a north", "norths"]
    assert texts(["a up"], axis=axis, to="opposite") == ["an north"]  # what was wrong stays wrong, so it can come back


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"axis": "identity", "to": "opposite"}, 'to = "random"'),
        ({"axis": "pronouns", "to": "hee"}, "nor a group"),
        ({"axis": "column:label", "to": "random"}, "has no words to change"),
        ({"axis": "identity", "groups": ["gey"]}, 'Did you mean "gay"?'),
    ],
)
def test_what_cannot_be_done_is_said(step: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        texts(["A gay man."], **step)


def test_random_targets_are_of_other_groups_and_the_same_for_a_term_in_a_row() -> None:
    rows = [f"gay {number} gay, and a Muslim; GAY." for number in range(40)]
    targets = set()
    for raw, text in zip(rows, texts(rows, axis="identity", to="random"), strict=True):
        first, rest = text.split(f" {raw.split()[1]} ")
        second, third = rest.split(", and ")
        assert first == second
        assert third.endswith(f"; {first.upper()}.")
        assert "gay" not in text.casefold().split()
        targets.add(first)
    assert len(targets) > 10
    assert not targets & {"old", "black", "white", "blind", "straight"}


def test_random_targets_depend_on_seed_and_row_alone() -> None:
    rows = [f"a gay man, number {number}" for number in range(30)]
    step = {"axis": "identity", "to": "random"}
    first = dict(zip(rows, texts(rows, **step), strict=True))
    again = dict(zip(rows[::-1], texts(rows[::-1], **step), strict=True))
    assert first == again
    other = curate(rows, seed=1, **step).rows
    assert other is not None
    assert other["text"].to_pylist() != list(first.values())


def test_augment_copies_each_row_with_a_match_once() -> None:
    curation = curate(["She ran.", "It ran.", "I read him stories.", "He ran."], axis="pronouns", mode="augment")
    rows = curation.rows
    assert rows is not None
    assert rows["text"].to_pylist() == ["She ran.", "He ran.", "It ran.", "I read him stories.", "He ran.", "She ran."]
    assert rows["label"].to_pylist() == ["x"] * 6
    keys = [f"{key:016x}" for key in rows["evenset_row"].to_pylist()]
    assert rows["evenset_parent"].to_pylist() == [None, keys[0], None, None, None, keys[4]]
    assert keys[1] == keys[0]
    assert curation.report["steps"][0]["copies"] == 2


def test_a_copy_carries_the_edits_of_its_row() -> None:
    steps = [
        {"do": "scrub", "axis": "identity"},
        {"do": "swap", "axis": "pronouns", "mode": "augment", "to": "opposite"},
    ]
    data = evenset.data.open([{"text": "She is gay.", "label": "x"}], text="text", label="label")
    curation = run(data, parse({"plan": {"p": {"step": steps}}}).plan["p"])
    assert curation.rows is not None
    assert curation.rows["text"].to_pylist() == ["She is _.", "He is _."]


def test_edits_after_copies_are_a_config_error() -> None:
    steps = [{"do": "swap", "axis": "pronouns", "mode": "augment"}, {"do": "scrub", "axis": "identity"}]
    with pytest.raises(InputError, match="the order is edits, then copies"):
        parse({"plan": {"p": {"step": steps}}})


subject = st.sampled_from(["She", "he", "The nurse", "HE", "Sam"])
verb = st.sampled_from(["saw", "told", "hurt", "read", "let", "made"])
thing = st.sampled_from(
    [
        "her.",
        "him.",
        "his book",
        "her red hat and his",
        "the friend of hers",
        "himself!",
        "him stories",
        "her go",
        "hers work",
    ]
)
more = st.sampled_from(
    ["", " and her", " her most", ", he's his", " with her now husband", " (her)", " his-and-hers day", " HIS"]
)
clause = st.builds(lambda a, b, c, d: f"{a} {b} {c}{d}", subject, verb, thing, more)
PRONOUNS = [
    *("she", "her", "hers", "Herself", "he", "him", "HIS", "himself", "book", "most", "and", "very", "a", "the", "ran"),
    *("quickly", "family"),
]
NOUNS = [
    *("a", "an", "A", "the", "woman", "Man", "MEN", "actress", "actor", "mother", "ladies", "gentleman", "ma'am", "ms"),
    *("miss", "ex-wife", "uncle", "ran"),
]
loose = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "she",
                "her",
                "hers",
                "Herself",
                "he",
                "him",
                "HIS",
                "himself",
                "book",
                "most",
                "and",
                "very",
                "a",
                "the",
                "ran",
                "quickly",
                "family",
            ]
        ),
        st.sampled_from([" ", " ", " ", "  ", "-", ", ", ' "', "'", "\n"]),
    ),
    max_size=10,
).map(lambda parts: "".join(word + gap for word, gap in parts))


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(clause | loose, min_size=1, max_size=6))
def test_opposite_twice_is_the_identity(rows: list[str]) -> None:
    once = texts(rows, axis="pronouns", to="opposite")
    assert texts(once, axis="pronouns", to="opposite") == rows


nouns = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "a",
                "an",
                "A",
                "the",
                "woman",
                "Man",
                "MEN",
                "actress",
                "actor",
                "mother",
                "ladies",
                "gentleman",
                "ma'am",
                "ms",
                "miss",
                "ex-wife",
                "uncle",
                "ran",
            ]
        ),
        st.sampled_from([" ", " ", "-", ", ", "\n"]),
    ),
    max_size=10,
).map(lambda parts: "".join(word + gap for word, gap in parts))


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(nouns, min_size=1, max_size=6), ambiguous=st.booleans())
def test_opposite_twice_is_the_identity_for_nouns_too(rows: list[str], ambiguous: bool) -> None:
    step = {"axis": "gendered_nouns", "to": "opposite", "ambiguous": ambiguous}
    once = texts(rows, **step)
    assert texts(once, **step) == rows


@settings(max_examples=40, deadline=None)
@given(parts=st.lists(st.sampled_from(["red", "blue", "red hot", "hot", "blue hot", "x"]), max_size=6))
def test_opposite_twice_is_the_identity_where_words_join(
    parts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    # "blue hot" made of "red" and "hot" is another form than its parts.
    folder = tmp_path_factory.mktemp("join")
    axis = lexicon(folder, "join", ("red", 'forms = ["red", "x"]'), ("blue", 'forms = ["blue", "blue hot"]'))
    rows = [" ".join(parts)]
    once = texts(rows, axis=axis, to="opposite")
    assert texts(once, axis=axis, to="opposite") == rows
