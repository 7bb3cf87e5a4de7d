"""Finding forms: longest first, each place once, and only across what may join two words."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evenset.data.lexicon import Form, Group, Lexicon, load
from evenset.data.match import Matcher
from evenset.data.tokens import fold, tokenize

JOINING = {" ": " ", "-": " ", "_": " ", "'": "'", "’": "'"}


def lexicon(*forms):
    """A lexicon with a group for each form."""
    groups = tuple(Group("axis", form) for form in forms)
    return Lexicon(
        "test", "1", "en", "-", "-", groups, tuple(Form(f, k, "0", ambiguous=False) for k, f in enumerate(forms)), ""
    )


def obvious(rows, forms):
    """(row, start byte, end byte, form) by trying every length, longest first, at every place from the left."""
    found = []
    for row, text in enumerate(rows):
        words, gaps, at, word, gap = [], [], 0, "", ""
        for character in [*text, "\n"]:
            if character.isalnum():
                if not word:
                    gaps.append(gap)
                    words.append([at, at, ""])
                word += character
                gap = ""
            else:
                if word:
                    words[-1] = [words[-1][0], at, fold(word)]
                    word = ""
                gap += character
            at += len(character.encode())
        taken = [False] * len(words)
        for size in range(len(words), 0, -1):
            for first in range(len(words) - size + 1):
                between = gaps[first + 1 : first + size]
                if any(taken[first : first + size]) or any(g not in JOINING for g in between):
                    continue
                spelt = words[first][2] + "".join(JOINING[g] + words[first + k + 1][2] for k, g in enumerate(between))
                if spelt in forms:
                    taken[first : first + size] = [True] * size
                    found.append((row, words[first][0], words[first + size - 1][1], spelt))
    return sorted(found)


def told(rows, forms):
    matcher = Matcher(lexicon(*forms))
    found = matcher.find(tokenize(pa.array(rows, pa.large_string())))
    return [
        (row, start, end, matcher.forms[form])
        for row, start, end, form in zip(
            *(x.tolist() for x in (found.row, found.start, found.end, found.form)), strict=True
        )
    ]


words = st.sampled_from(["a", "b", "é", "longerthan8", "c", "straße"])
forms = st.lists(words, min_size=1, max_size=4).flatmap(
    lambda parts: st.lists(st.sampled_from(" '"), min_size=len(parts) - 1, max_size=len(parts) - 1).map(
        lambda joins: fold(parts[0] + "".join(j + p for j, p in zip(joins, parts[1:], strict=True)))
    )
)
separators = st.sampled_from([" ", " ", " ", "-", "_", "'", "’", "  ", "\n", ". ", "—", "/", "\t", ""])
rows_of_text = st.lists(
    st.lists(
        st.tuples(words.flatmap(lambda w: st.sampled_from([w, w.upper(), w.title()])), separators), max_size=12
    ).map(lambda pairs: "".join(w + s for w, s in pairs)),
    max_size=5,
)


@given(rows_of_text, st.sets(forms, max_size=12))
@example(["a b a b a"], {"a b a", "b a b", "a"})
@example(["a a a a a"], {"a a"})
@example(["a ", "b"], {"a b"})
@example(["a", " b"], {"a b"})
@settings(max_examples=200, deadline=None)
def test_agrees_with_the_obvious_way(rows, forms):
    assert told(rows, sorted(forms)) == obvious(rows, forms)


def test_longest_first_and_each_place_once():
    forms = ["african", "american", "african american", "american indian"]
    assert [form for *_, form in told(["An African-American Indian, an American."], forms)] == [
        "african american",
        "american",
    ]


def test_longest_first_wherever_it_stands():
    # Left to right "a b" would win; the longer "b c d" does, and leaves "a" for itself.
    assert [form for *_, form in told(["a b c d"], ["a", "a b", "b c d"])] == ["a", "b c d"]


@pytest.mark.parametrize("text", ["middle eastern", "Middle-Eastern", "MIDDLE_EASTERN"])
def test_what_joins_two_words(text):
    assert told([text], ["middle eastern"]) == [(0, 0, len(text), "middle eastern")]


@pytest.mark.parametrize("gap", ["  ", "\n", "\t", ". ", "--", "/", "\u00a0", "\u2010", "'", ""])
def test_what_does_not(gap):
    assert told([f"middle{gap}eastern"], ["middle eastern"]) == []


def test_an_apostrophe_joins_only_where_the_form_has_one():
    assert told(["Ma'am, ma’am, ma am, ma-am"], ["ma'am"]) == [(0, 0, 5, "ma'am"), (0, 7, 14, "ma'am")]
    assert told(["she's"], ["she", "she s"]) == [(0, 0, 3, "she")]


def test_whole_words_in_any_case_and_composition():
    assert told(["Fiance\u0301e FIANCÉE fiancée's fiancées"], ["fiancée"]) == [
        (0, 0, 9, "fiancée"),
        (0, 10, 18, "fiancée"),
        (0, 19, 27, "fiancée"),
    ]


def test_a_form_with_two_slots_is_found_once():
    matcher = Matcher(load("pronouns"))
    found = matcher.find(tokenize(pa.array(["I told her."], pa.large_string())))
    assert [matcher.forms[form] for form in found.form] == ["her"]
    assert matcher.lexicon.groups[matcher.group_of[found.form[0]]].name == "she"


def test_nothing_gives_nothing():
    for rows in ([], [""], ["nothing here"]):
        found = Matcher(lexicon("a b", "c")).find(tokenize(pa.array(rows, pa.large_string())))
        assert (found.n, found.form.dtype, found.row.dtype) == (0, np.int32, np.int64)


def test_thousands_of_forms():
    rng = np.random.default_rng(1)
    vocabulary = [f"w{k}" for k in range(4000)]
    forms = vocabulary[:2500] + sorted({" ".join(rng.choice(vocabulary[:60], 2 + k % 2)) for k in range(500)})
    rows = [" ".join(rng.choice(vocabulary[: 60 if k % 2 else 4000], 30)) for k in range(40)]
    found = told(rows, forms)
    assert found == obvious(rows, set(forms))
    assert sum(" " in form for *_, form in found) > 10


@pytest.mark.real
def test_each_template_term_is_found_in_its_own_rows_only(shared_data):
    from pyarrow import csv

    text = csv.read_csv(shared_data / "iptts" / "bias_madlibs_77k.csv").column("Text")
    matcher = Matcher(load("identity"))
    found = matcher.find(tokenize(text))
    pairs = np.unique(found.row * len(matcher.lexicon.groups) + matcher.group_of[found.form])
    rows = np.bincount(pairs % len(matcher.lexicon.groups))
    assert rows.tolist() == [1514] * 50
