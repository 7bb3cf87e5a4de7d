"""Axes: what a user may write, and which groups a row then has."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenset.data.axes import Axis, parse_axes
from evenset.data.dataset import Dataset
from evenset.data.errors import InputError
from evenset.data.lexicon import load
from evenset.data.membership import Membership, coded
from evenset.data.scan import Scanner

NAMES = ("text", "label", "race", "toxic", "a+b", "x>=1")


def members(spec, ambiguous=False, **columns):
    """The set of groups of each row of a small table."""
    rows = len(next(iter(columns.values())))
    table = pa.table({"text": [""] * rows, **columns})
    (batch,) = Dataset.of(table, text="text").batches()
    (axis,) = parse_axes([spec], names=table.column_names, ambiguous=ambiguous)
    (membership,) = Scanner([axis]).scan(batch).members.values()
    assert membership.patterns[0] == ()
    assert membership.code.dtype == np.int32
    assert set(membership.code.tolist()) | {0} == set(range(len(membership.patterns)))
    return membership.sets()


def test_pronouns():
    rows = ["She said hers.", "HE, himself", "she told him", "they saw her", "xe and em", "nobody", ""]
    assert members("pronouns", text=rows) == [
        ("she",),
        ("he",),
        ("mixed",),
        ("she", "they"),
        ("ey (ambiguous)", "xe (ambiguous)"),
        (),
        (),
    ]


def test_what_is_known_of_the_groups():
    (axis,) = parse_axes(["pronouns"], names=[])
    assert axis.status_groups == ("she", "he")
    assert not axis.info("mixed").status
    assert not axis.info("they").status
    assert axis.info("ey (ambiguous)").ambiguous
    with pytest.raises(InputError, match='no group "her"'):
        axis.info("her")
    (axis,) = parse_axes(["identity"], names=[])
    assert axis.info("muslim").subaxis == "religion"
    assert len(axis.status_groups) == 42
    assert not axis.info("white").status
    (asked,) = parse_axes(["identity"], names=[], ambiguous=True)
    assert len(asked.status_groups) == 50
    assert (asked.info("white").status, asked.info("white").ambiguous) == (True, True)


def test_identity_rows_have_sets_of_groups():
    rows = ["a gay Muslim and an African-American", "whites", "american africans", "gays, gay"]
    assert members("identity", text=rows) == [
        ("african american", "gay", "muslim"),
        ("white",),
        ("african", "american"),
        ("gay",),
    ]


def test_a_lexicon_of_ones_own(tmp_path):
    path = tmp_path / "faith.toml"
    path.write_text(
        '[lexicon]\nname = "faith"\nversion = "1"\nlanguage = "en"\nsource = "me"\nlicence = "CC0-1.0"\n'
        '[[group]]\naxis = "religion"\nname = "quaker"\nforms = ["quaker", "friends meeting"]\n'
    )
    (axis,) = parse_axes([f"lexicon:{path}"], names=[])
    assert (axis.name, axis.kind, axis.status_groups) == ("faith", "lexicon", ("quaker",))
    assert members(f"lexicon:{path}", text=["Friends-Meeting", "friends"]) == [("quaker",), ()]
    with pytest.raises(InputError, match="No such file"):
        parse_axes([f"lexicon:{tmp_path / 'no.toml'}"], names=[])


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (["b", None, "a", "", "b"], [("b",), (), ("a",), (), ("b",)]),
        ([1, None, 2], [("1",), (), ("2",)]),
        ([1.0, 2.5, None, float("nan")], [("1",), ("2.5",), (), ()]),
        ([True, False, None], [("true",), ("false",), ()]),
        ([["b", "a", "b"], [], None, ["a"], [None, "c"]], [("a", "b"), (), (), ("a",), ("c",)]),
        (pa.array(["b", None, "a"]).dictionary_encode(), [("b",), (), ("a",)]),
        ([None, None], [(), ()]),
    ],
)
def test_a_column(values, told):
    assert members("column:race", race=values) == told
    (axis,) = parse_axes(["column:race"], names=["race"])
    assert (axis.name, axis.kind, axis.groups, axis.status_groups) == ("column:race", "column", None, None)
    assert axis.info("b").status


@pytest.mark.parametrize(
    "values", [[0.5, 0.49, None, 1, 0], ["0.5", "0.49", "", " 1 ", "0"], [0.5, 0.4, float("nan"), 2.0, -1]]
)
def test_a_column_with_a_threshold(values):
    values = pa.array(values, pa.string() if isinstance(values[0], str) else pa.float64())
    assert members("column:toxic>=0.5", toxic=values) == [("toxic",), (), (), ("toxic",), ()]
    assert members("column:toxic > 0.5", toxic=values) == [(), (), (), ("toxic",), ()]
    (axis,) = parse_axes(["column:toxic>=0.5"], names=["toxic"])
    assert (axis.name, axis.status_groups, axis.columns()) == ("column:toxic>=0.5", ("toxic",), ("toxic",))


def test_a_column_of_truth_values_has_a_threshold_too():
    assert members("column:toxic>=0.5", toxic=[True, False, None]) == [("toxic",), (), ()]


def test_what_is_no_number_is_told_with_its_row():
    with pytest.raises(InputError, match=r"row 3.*toxic.*'much'"):
        members("column:toxic>=0.5", toxic=["1", "0.2", "much"])


def test_crossing_axes():
    rows = {"text": ["she", "he", "she", "", "she and he"], "race": ["b", "b", None, "a", "a"]}
    assert members("pronouns+column:race", **rows) == [("she & b",), ("he & b",), (), (), ("mixed & a",)]
    (axis,) = parse_axes(["pronouns+column:race"], names=["race"])
    assert (axis.kind, axis.columns(), [x.name for x in axis.lexicons()]) == ("intersection", ("race",), ["pronouns"])
    assert axis.info("she & b").status
    assert not axis.info("they & b").status
    assert axis.info("she & this & that").status


def test_crossing_sets_gives_every_pair():
    assert members("identity+column:race", text=["gay muslim", "gay"], race=[["x", "y"], ["y"]]) == [
        ("gay & x", "gay & y", "muslim & x", "muslim & y"),
        ("gay & y",),
    ]
    assert members("pronouns+column:race+column:toxic>=0.5", text=["she"], race=["a"], toxic=[1]) == [
        ("she & a & toxic",)
    ]


def test_the_groups_of_a_crossing_are_known_where_its_parts_are():
    (axis,) = parse_axes(["pronouns+column:toxic>=1"], names=["toxic"])
    assert axis.status_groups == ("she & toxic", "he & toxic")
    (axis,) = parse_axes(["pronouns+column:race"], names=["race"])
    assert axis.groups is None


def test_signs_inside_the_names_of_columns():
    axes = parse_axes(["column:a+b", "column:x>=1", "column:x>=1>=2", "pronouns+column:a+b"], names=NAMES)
    assert [(axis.kind, axis.column, axis.threshold) for axis in axes] == [
        ("column", "a+b", None),
        ("column", "x>=1", None),
        ("column", "x>=1", 2.0),
        ("intersection", None, None),
    ]
    assert axes[3].parts[1].column == "a+b"


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("pronuons", 'Did you mean "pronouns"'),
        ("race", 'Did you mean "column:race"'),
        ("column:rice", 'no column "rice".*Did you mean "race"'),
        ("column:toxick>=0.5", 'no column "toxick".*Did you mean "toxic"'),
        ("column:toxic>=much", '"much" is no number'),
        ("column:", 'no column ""'),
        ("pronouns+rice", '"rice" means nothing'),
        ("pronouns+column:rice", 'no column "rice"'),
        ("", "means nothing"),
    ],
)
def test_what_means_nothing(spec, told):
    with pytest.raises(InputError, match=told):
        parse_axes([spec], names=NAMES)


def test_two_axes_of_one_name():
    with pytest.raises(InputError, match="both called"):
        parse_axes(["pronouns", " pronouns "], names=[])


@given(st.lists(st.sets(st.integers(0, 199), max_size=90), max_size=12), st.randoms())
@settings(deadline=None)
def test_any_number_of_groups_is_coded_exactly(sets, random):
    names = [f"g{k:03}" for k in range(200)]
    pairs = [(row, group) for row, groups in enumerate(sets) for group in groups] * 2
    random.shuffle(pairs)
    row, group = np.array(pairs, np.int64).reshape(-1, 2).T
    membership = coded(row, group, names, len(sets))
    assert membership.sets() == [tuple(names[k] for k in sorted(groups)) for groups in sets]
    assert len(set(membership.patterns)) == len(membership.patterns)


def test_rows_with_a_group():
    membership = Membership(((), ("a",), ("a", "b")), np.array([2, 0, 1], np.int32))
    assert membership.rows_with("a").tolist() == [True, False, True]
    assert membership.rows_with("c").tolist() == [False] * 3


def test_an_axis_compares_by_what_it_is():
    assert (
        parse_axes(["pronouns"], names=[])
        == parse_axes(["pronouns"], names=[])
        == (Axis("pronouns", "lexicon", load("pronouns")),)
    )


WORDS = ["she", "he", "they", "xe", "em", "gay", "muslim", "black", "old", "nobody"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=5), min_size=1, max_size=12))
def test_groups_as_bits_are_those_of_any_number_of_groups(rows):
    texts = [" ".join(words) for words in rows]
    for spec in ("pronouns", "identity"):
        bits = members(spec, text=texts)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("evenset.data.axes._BITS", 0)
            assert members(spec, text=texts) == bits
    mixed = members("pronouns", text=texts)
    for words, found in zip(rows, mixed, strict=True):
        assert ("mixed" in found) == ({"she", "he"} <= set(words))


def test_a_threshold_and_another_axis_cross_in_either_order():
    names = ["text", "muslim"]
    for spec in ("column:muslim>=0.5+pronouns", "pronouns+column:muslim>=0.5"):
        (axis,) = parse_axes([spec], names=names)
        assert axis.kind == "intersection"
        assert {part.threshold for part in axis.parts} == {0.5, None}
    with pytest.raises(InputError, match=r'"half" is no number'):
        parse_axes(["column:muslim>=half+pronouns"], names=names)
