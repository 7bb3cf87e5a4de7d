"""Limits for a search: how they are written, what they are about, when findings keep them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenset.audit.findings import Finding
from evenset.audit.tally import AxisNote, Cell, GroupNote, Tally
from evenset.curate.finding.until import bound, parse, standing
from evenset.data.errors import InputError


def finding(group="gay", label="1", estimate=0.1, half=0.05, *, measure="label_log_ratio", axis="identity", **more):
    return Finding(axis, group, label, measure, estimate, estimate - half, estimate + half, 100, "Katz", **more)


@pytest.fixture
def tally():
    groups = {"gay": GroupNote(), "muslim": GroupNote(), "old": GroupNote(status=False, ambiguous=True)}
    cells = {("1", ("gay",), 0): Cell(10, 10, 10), ("a:b", (), 0): Cell(10, 10, 10)}
    return Tally(
        edges=(82,),
        axes={
            "identity": AxisNote("lexicon", groups),
            "column:gender": AxisNote("column", {"f": GroupNote(), "m": GroupNote()}),
            "column:gender>=0.5": AxisNote("column", {"gender": GroupNote()}),
        },
        cells={"identity": cells, "column:gender": {}, "column:gender>=0.5": {}},
    )


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("label_log_ratio<=0.2", (None, None, None)),
        ("label_log_ratio:identity <= 0.2", ("identity", None, None)),
        ("label_log_ratio:identity:gay≤0.2", ("identity", "gay", None)),
        ("label_log_ratio:identity:gay:1<=0.2", ("identity", "gay", "1")),
        ("label_log_ratio:identity:gay:a:b<=0.2", ("identity", "gay", "a:b")),
        ("cramers_v:identity:<=0.2", ("identity", "", None)),
        ("cramers_v:identity::<=0.2", ("identity", "", "")),
        ("log_ratio:identity:gay/muslim:<=0.2", ("identity", "gay/muslim", "")),
        ("label_log_ratio:column:gender:f<=0.2", ("column:gender", "f", None)),
        ("label_log_ratio:column:gender>=0.5<=0.2", ("column:gender>=0.5", None, None)),
        ("label_log_ratio:column:gender>=0.5:gender:1<=0.2", ("column:gender>=0.5", "gender", "1")),
    ],
)
def test_what_a_limit_says(text, parts, tally):
    limit = bound(parse(text), tally)
    assert (limit.axis, limit.group, limit.label) == parts
    assert limit.value == 0.2
    assert not limit.strict


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label_log_ratio", "write MEASURE"),
        ("<=0.2", "write MEASURE"),
        ("", "write MEASURE"),
        ("label_log_ratio>=0.2", "only upper limits"),
        ("label_log_ratio=0.2", "only upper limits"),
        ("label_log_ratio<=", "is no limit"),
        ("label_log_ratio<=-0.2", "is no limit"),
        ("label_log_ratio<=nan", "is no limit"),
        ("label_log_ratio<=much", "is no limit"),
        ("lable_log_ratio<=0.2", 'Did you mean "label_log_ratio"'),
        ("leakage_auc:identity<=0.6", "leakage = VALUE"),
        ("correlation_level<=1", "5 is balanced"),
    ],
)
def test_what_is_no_limit(text, message):
    with pytest.raises(InputError, match="--until") as error:
        parse(text)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cramers_v:identty<=0.1", 'Did you mean "identity"'),
        ("label_log_ratio:identity:gya<=0.1", 'Did you mean "gay"'),
        ("label_log_ratio:identity:gay:2<=0.1", 'no row has the label "2"'),
        ("label_log_ratio:race<=0.1", "Axes: identity, column:gender"),
    ],
)
def test_names_that_are_not_there(text, message, tally):
    with pytest.raises(InputError) as error:
        bound(parse(text), tally)
    assert message in str(error.value)


def test_the_absolute_value_is_meant():
    for sign in (1, -1):
        found = standing(parse("label_log_ratio<=0.2"), [finding(estimate=0.1), finding("muslim", estimate=sign * 0.3)])
        assert found.size == pytest.approx(0.3)
        assert found.worst is not None
        assert found.worst.group == "muslim"
        assert not found.reached


def test_strictly_below_or_at():
    at = [finding(estimate=0.2)]
    assert standing(parse("label_log_ratio<=0.2"), at).reached
    assert not standing(parse("label_log_ratio<0.2"), at).reached


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=6), st.floats(0, 2))
def test_reached_means_that_none_is_beyond(values, value):
    found = standing(parse(f"label_log_ratio<={value!r}"), [finding(f"g{k}", estimate=v) for k, v in enumerate(values)])
    assert found.reached == all(abs(v) <= value for v in values)
    assert found.certain is not True or found.reached


def test_certain_only_where_the_interval_says_so():
    limit = parse("label_log_ratio<=0.2")
    assert standing(limit, [finding(estimate=0.1)]).certain is True
    assert standing(limit, [finding(estimate=0.18)]).certain is None
    assert standing(limit, [finding(estimate=0.3)]).certain is False
    # Picked from many, a finding that screening did not let through is beyond nothing for certain.
    assert standing(limit, [finding(estimate=0.3, q=0.4)]).certain is None


def test_which_findings_count():
    limit = parse("label_log_ratio<=0.2")
    few = finding("sikh", estimate=3.0, enough=False)
    ambiguous = finding("old", estimate=3.0, judged=False)
    nothing = finding("trans", estimate=math.nan)
    other = finding(measure="label_rate", estimate=0.9)
    found = standing(limit, [finding(), few, ambiguous, nothing, other])
    assert found.counted == ("label_log_ratio:identity:gay:1",)
    assert found.few == 2
    assert found.reached


def test_a_limit_that_names_an_ambiguous_group_means_it(tally):
    limit = bound(parse("label_log_ratio:identity:old<=0.2"), tally)
    assert not standing(limit, [finding("old", estimate=3.0, judged=False)]).reached


def test_a_finding_keeps_no_limit_by_vanishing():
    limit = parse("label_log_ratio<=0.2")
    before = standing(limit, [finding(estimate=1.0), finding("muslim", estimate=0.0)])
    few = standing(limit, [finding(estimate=0.9, enough=False), finding("muslim", estimate=0.0)], before=before.counted)
    assert not few.reached
    assert few.thin == 1
    gone = standing(limit, [finding("muslim", estimate=0.0)], before=before.counted)
    assert gone.lost == ("label_log_ratio:identity:gay:1",)
    assert not gone.reached
    assert math.isinf(gone.excess)
