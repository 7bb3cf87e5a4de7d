"""Lexicon files: what they may hold, what is wrong with a bad one, and what the built-in ones promise."""

import hashlib
from collections import defaultdict

import pytest

from evenset.data.errors import InputError
from evenset.data.lexicon import CASES, builtin_names, load, validate

HEAD = '[lexicon]\nname = "faith"\nversion = "1"\nlanguage = "en"\nsource = "me"\nlicence = "CC0-1.0"\n'


@pytest.fixture
def write(tmp_path):
    def write(body, head=HEAD):
        path = tmp_path / "faith.toml"
        path.write_text(head + body, encoding="utf-8")
        return path

    return write


def group(body, name="muslim", axis="religion"):
    return f'[[group]]\naxis = "{axis}"\nname = "{name}"\n{body}\n'


def test_reading_a_file(write):
    path = write(
        group('forms = ["Muslim", "Muslims", "Middle-Eastern"]') + group('forms = ["sikh"]\nstatus = false', "sikh")
    )
    lexicon = load(path)
    assert (lexicon.name, lexicon.version, lexicon.language, lexicon.source, lexicon.licence) == (
        "faith",
        "1",
        "en",
        "me",
        "CC0-1.0",
    )
    assert lexicon.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [(form.text, form.group, form.slot) for form in lexicon.forms] == [
        ("muslim", 0, "0"),
        ("muslims", 0, "1"),
        ("middle eastern", 0, "2"),
        ("sikh", 1, "0"),
    ]
    assert [(g.name, g.axis, g.status, g.ambiguous) for g in lexicon.groups] == [
        ("muslim", "religion", True, False),
        ("sikh", "religion", False, False),
    ]
    assert lexicon.group_index("sikh") == 1
    assert lexicon.forms_of("sikh") == lexicon.forms_of(1) == lexicon.forms[3:]
    assert load(str(path)) == lexicon
    assert validate(path) == []


def test_ambiguous_forms_beside_plain_ones_are_a_group_of_their_own(write):
    lexicon = load(
        write(
            group('forms = ["xem", "ey", "em"]\nambiguous = ["em", "fae"]\nexclusive_with = ["he"]', "ey")
            + group('forms = ["he"]', "he")
        )
    )
    assert [(g.name, g.ambiguous, g.exclusive_with) for g in lexicon.groups] == [
        ("ey", False, ("he",)),
        ("ey (ambiguous)", True, ()),
        ("he", False, ()),
    ]
    # "em" keeps its place among the forms, "fae" comes after them.
    assert [(f.text, f.slot, f.ambiguous) for f in lexicon.forms_of("ey (ambiguous)")] == [
        ("em", "2", True),
        ("fae", "3", True),
    ]


def test_a_group_of_ambiguous_forms_only_keeps_its_name(write):
    lexicon = load(write(group('ambiguous = ["white", "whites"]', "white")))
    assert [(g.name, g.ambiguous) for g in lexicon.groups] == [("white", True)]
    assert [f.slot for f in lexicon.forms] == ["0", "1"]


def test_spellings_share_a_place(write):
    lexicon = load(write(group('forms = [["millennial", "millenial"], "millennials"]')))
    assert [(f.text, f.slot) for f in lexicon.forms] == [("millennial", "0"), ("millenial", "0"), ("millennials", "1")]


def test_one_form_may_have_several_cases(write):
    lexicon = load(write(group('cases = { reflexive = "herself", object = "her", determiner = "Her" }')))
    assert [(f.text, f.slot) for f in lexicon.forms] == [
        ("her", "object"),
        ("her", "determiner"),
        ("herself", "reflexive"),
    ]


def test_forms_are_folded_like_text(write):
    lexicon = load(write(group('forms = ["FIANCE\u0301E", "Straße", "ma’am", "a_b"]')))
    assert [f.text for f in lexicon.forms] == ["fiancée", "strasse", "ma'am", "a b"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (group('forms = ["a"]\nform = ["b"]'), ['group 1 "muslim": form is no key', 'Did you mean "forms"?']),
        (group('cases = { subjct = "a" }'), ["cases.subjct is no key", 'Did you mean "subject"?', "has no forms"]),
        (group('forms = ["", " "]'), ['"" is empty', '" " is empty']),
        (group('forms = ["--"]'), ["holds no letter or digit"]),
        (group('forms = ["#a"]'), ['"#a" begins or ends with "#"']),
        (group('forms = ["a."]'), ['"a." begins or ends with "."']),
        (group('forms = ["a  b"]'), ['has "  " between two words']),
        (group('forms = ["she/her"]'), ['has "/" between two words']),
        (group("forms = [1]"), ["forms holds strings"]),
        (group('forms = "a"'), ["forms is a list"]),
        (group("forms = []"), ["has no forms"]),
        (group('forms = ["a"]\nstatus = "no"'), ["status is true or false"]),
        (group('forms = ["a"]\nambiguous = "a"'), ["ambiguous is a list of strings"]),
        (group('forms = ["a"]\nexclusive_with = ["muslin"]'), ['exclusive_with names no other group "muslin"']),
        (group('forms = ["a"]\nexclusive_with = ["muslim"]'), ['exclusive_with names no other group "muslim"']),
        ('[[group]]\naxis = "x"\nforms = ["a"]\n', ["group 1: name is missing"]),
        ('[[group]]\nname = "x"\nforms = ["a"]\n', ['group 1 "x": axis is missing']),
        (group('forms = ["a"]') + group('forms = ["b"]'), ['group 2: there is another group "muslim"']),
        (group('forms = ["Bé"]') + group('forms = ["be\u0301"]', "sikh"), ['is also in group 1 "muslim"']),
        (group('forms = ["a"]') + group('ambiguous = ["A"]', "sikh"), ['ambiguous: "A" is also in group 1']),
        (group('forms = ["a"]', "mixed") + group('forms = ["b"]\nexclusive_with = ["mixed"]', "b"), ['called "mixed"']),
        ("", ["has no [[group]]"]),
        ("group = 3\n", ["is no key", "has no [[group]]"]),
        ("[[group]\n", ["is not valid TOML"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(write, body, told):
    path = write(body)
    problems = "\n".join(validate(path))
    for part in told:
        assert part in problems
    with pytest.raises(InputError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert validate(path)[0] in str(caught.value)


def test_every_problem_is_told_at_once(write):
    path = write(
        group('forms = [""]\nfoo = 1') + group('forms = ["a/b"]', "sikh"),
        head='[lexicon]\nname = "a b"\nlicense = "x"\n',
    )
    problems = validate(path)
    assert len(problems) == 9
    assert any("license is no key" in p and 'Did you mean "licence"?' in p for p in problems)
    assert sum("is missing or no string" in p for p in problems) == 4
    with pytest.raises(InputError, match="and 8 more"):
        load(path)


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        load(tmp_path / "no.toml")
    with pytest.raises(InputError, match="No such file"):
        validate(tmp_path / "no.toml")
    (tmp_path / "latin.toml").write_bytes("name = 'é'".encode("latin-1"))
    assert validate(tmp_path / "latin.toml") == ["is not UTF-8 (byte 8)"]


def test_unknown_names_get_the_nearest():
    with pytest.raises(InputError, match='Did you mean "pronouns"'):
        load("pronoun")
    with pytest.raises(InputError, match=r'no group "shee".*Did you mean "she"'):
        load("pronouns").group_index("shee")


@pytest.mark.parametrize("name", builtin_names())
def test_built_in_lexicons_load_from_any_folder(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    lexicon = load(name)
    assert lexicon.name == name
    assert lexicon.language == "en"
    assert lexicon.forms


def test_pronouns_have_every_case():
    lexicon = load("pronouns")
    slots = defaultdict(set)
    for form in lexicon.forms:
        slots[lexicon.groups[form.group].name.removesuffix(" (ambiguous)")].add(form.slot)
    assert set(slots) == {"she", "he", "they", "xe", "ze", "ey", "fae"}
    assert all(found == set(CASES) for found in slots.values())
    assert {g.name for g in lexicon.groups if g.status} == {"she", "he"}
    assert [g.exclusive_with for g in lexicon.groups[:2]] == [("he",), ("she",)]
    assert "em" in {f.text for f in lexicon.forms_of("ey (ambiguous)")}


def test_identity_has_fifty_groups_on_seven_axes():
    lexicon = load("identity")
    assert len(lexicon.groups) == 50
    assert {g.axis for g in lexicon.groups} == {
        "gender",
        "orientation",
        "ethnicity",
        "nationality",
        "religion",
        "age",
        "disability",
    }
    assert {g.name for g in lexicon.groups if g.ambiguous} == {
        "old",
        "older",
        "young",
        "younger",
        "black",
        "white",
        "straight",
        "blind",
    }
    for index, known in enumerate(lexicon.groups):
        forms = lexicon.forms_of(index)
        assert known.name in {f.text for f in forms if f.slot == "0"}
        assert {f.slot for f in forms} <= {"0", "1"}
    assert [f.text for f in lexicon.forms_of("millenial")] == ["millennial", "millenial", "millennials", "millenials"]


@pytest.mark.parametrize("name", ["gendered_nouns", "definitional_pairs"])
def test_each_place_has_a_female_and_a_male_form(name):
    lexicon = load(name)
    slots = defaultdict(set)
    for form in lexicon.forms:
        slots[lexicon.groups[form.group].name.split()[0]].add(int(form.slot))
    assert slots["female"] == slots["male"] == set(range(len(slots["male"])))
    assert len(slots["male"]) == {"gendered_nouns": 175, "definitional_pairs": 10}[name]


def test_known_pairs_stand_at_the_same_place():
    lexicon = load("gendered_nouns")
    first = {}
    for form in lexicon.forms:
        first.setdefault(form.text, form.slot)
    pairs = (
        "woman man,women men,wives husbands,actress actor,spokeswomen spokesmen,girlish boyish,nun monk,"
        "fiancee fiance,sororities fraternities"
    )
    for pair in pairs.split(","):
        female, male = pair.split()
        assert first[female] == first[male]
    assert {f.slot for f in lexicon.forms if f.text == "mr"} >= {
        f.slot for f in lexicon.forms if f.text in {"ms", "mrs", "miss"}
    }


def test_occupations_are_the_28_of_bias_in_bios():
    lexicon = load("occupations")
    assert len(lexicon.groups) == 28
    assert {g.name for g in lexicon.groups if g.ambiguous} == {"model"}
    assert [f.text for f in lexicon.forms_of("software_engineer")] == ["software engineer", "software engineers"]


@pytest.mark.real
def test_the_identity_terms_are_those_of_the_templates(shared_data):
    terms = (shared_data / "iptts" / "identity_terms.txt").read_text(encoding="utf-8").split("\n")
    assert [g.name for g in load("identity").groups] == [term for term in terms if term]
