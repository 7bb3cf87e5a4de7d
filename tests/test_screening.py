"""p and q of findings, and what they do to a status."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, false_discovery_control, fisher_exact

from evenset.audit.findings import Finding, Settings
from evenset.audit.measures import findings_of
from evenset.audit.rules import default_rules, judge, status_of
from evenset.audit.screening import benjamini_hochberg, luck, q_values, rate_test
from evenset.audit.tally import Tally, total
from evenset.data.axes import parse_axes
from evenset.data.config import CheckRule
from evenset.data.dataset import Dataset
from evenset.data.scan import scan

ASSOCIATION = ("label_log_ratio", "log_ratio_centred", "label_rate_gap", "npmi", "log_odds_z")


def findings(labels, **columns):
    data = Dataset.of(pa.table({"text": ["t"] * len(labels), "label": labels, **columns}), text="text", label="label")
    axes = parse_axes([f"column:{name}" for name in columns], names=data.names)
    counted = total((Tally.of(scanned, axes) for scanned in scan(data, axes)), start=Tally.zero(axes))
    return findings_of(counted, Settings(), measures=ASSOCIATION)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_q_is_that_of_scipy_and_by_its_definition(p):
    q = benjamini_hochberg(p)
    assert q == pytest.approx(false_discovery_control(p))
    ranked = sorted(p)
    for value, found in zip(p, q, strict=True):
        assert found == pytest.approx(
            min(1.0, *(len(p) * other / (k + 1) for k, other in enumerate(ranked) if other >= value))
        )


def test_the_published_example():
    # Benjamini and Hochberg 1995, section 3: 15 hypotheses of a trial; four are rejected at 5 %.
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.324,
        0.4262,
        0.5719,
        0.6528,
        0.759,
        1.0,
    ]
    assert int((benjamini_hochberg(p) <= 0.05).sum()) == 4


def test_cells_outside_the_family_have_no_q_and_cost_nothing():
    p = np.array([[0.01, 0.5], [0.04, np.nan]])
    q = q_values(p, np.array([[True, False], [True, True]]))
    assert q[0, 0] == pytest.approx(0.02)
    assert q[1, 0] == pytest.approx(0.04)
    assert np.isnan([q[0, 1], q[1, 1]]).all()


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 400), st.integers(0, 400))
def test_the_test_does_not_mind_the_order_of_sides_or_labels(x1, y1, x2, y2):
    n1, n2 = x1 + y1 + 1, x2 + y2 + 1
    p = float(rate_test(x1, n1, x2, n2))
    assert 0 <= p <= 1
    assert p == pytest.approx(float(rate_test(x2, n2, x1, n1)))
    assert p == pytest.approx(float(rate_test(n1 - x1, n1, n2 - x2, n2)))


@pytest.mark.parametrize(
    ("x1", "n1", "x2", "n2"), [(30, 100, 80, 1000), (5, 100, 95, 9900), (0, 100, 500, 9900), (9, 40, 800, 9000)]
)
def test_the_test_is_near_fishers_and_never_much_surer(x1, n1, x2, n2):
    exact = fisher_exact([[x1, n1 - x1], [x2, n2 - x2]])[1]
    assert 0.7 * exact < float(rate_test(x1, n1, x2, n2)) < 3 * exact


def test_under_equal_rates_small_p_are_no_more_frequent_than_they_say():
    for n, rate in [(30, 0.02), (60, 0.05), (200, 0.01), (100, 0.5), (1000, 0.003)]:
        x = np.arange(n + 1)
        p = rate_test(x, n, rate * 50_000, 50_000)
        weight = binom.pmf(x, n, rate)
        for limit in (0.05, 0.01, 0.001):
            assert weight[p <= limit].sum() < 1.5 * limit


def test_without_any_bias_no_cell_of_hundreds_is_called_biased_in_nineteen_audits_of_twenty():
    rng = np.random.default_rng(1)
    named, plain = 0, 0
    rare = np.array([0.5, *[0.02] * 25])
    for _ in range(20):
        group = rng.integers(0, 15, 3_000).astype(str)
        label = rng.choice(26, 3_000, p=rare).astype(str)
        found = [f for f in findings(label, g=group) if f.measure in ("label_log_ratio", "npmi", "log_odds_z")]
        assert len(found) > 300
        named += any(f.q is not None and f.q <= 0.05 for f in found)
        plain += sum(f.low > 0.2 or f.high < -0.2 for f in found if f.enough and f.measure == "label_log_ratio")
        judged = judge(found, default_rules())
        assert not [f for f in judged if f.status in ("fail", "warn") and f.q > 0.05]
    assert named <= 4  # 1 expected; 5 or more in 1 of 400
    assert plain > 20  # what the interval alone would have called biased


def test_a_planted_bias_is_let_through_among_many_cells():
    rng = np.random.default_rng(2)
    group, label = rng.integers(0, 15, 3_000), rng.integers(0, 20, 3_000)
    label[(group == 3) & (rng.random(3_000) < 0.3)] = 7
    found = {f.id: f for f in findings(label.astype(str), g=group.astype(str))}
    planted = found["label_log_ratio:column:g:3:7"]
    assert planted.q < 1e-6
    assert planted.q >= planted.p
    assert planted.magnitude[0] > 0.5
    npmi, gap = found["npmi:column:g:3:7"], found["label_rate_gap:column:g:3:7"]
    assert npmi.p == gap.p == planted.p


def test_the_family_is_all_comparisons_of_a_measure_on_an_axis_that_are_judged():
    rng = np.random.default_rng(3)
    label = rng.integers(0, 3, 400).astype(str)
    group = np.where(rng.random(400) < 0.03, "tiny", rng.choice(["a", "b", "c"], 400))
    found = [f for f in findings(label, g=group, h=group) if f.axis == "column:g" and f.measure == "label_log_ratio"]
    family = [f for f in found if f.q is not None]
    assert {f.group for f in family} == {"a", "b", "c"}
    assert {f.group for f in found if f.q is None} == {"tiny"}
    assert [f.q for f in family] == pytest.approx(benjamini_hochberg([f.p for f in family]).tolist())


def test_rare_cells_count_in_the_family_though_they_are_not_judged():
    # 500 labels of about 6 rows in a group of 100: a cell with five rows is the luck of one.
    rng = np.random.default_rng(4)
    group = np.where(np.arange(3_000) % 30 == 0, "small", "large")
    label = rng.integers(0, 500, 3_000).astype(str)
    found = [f for f in findings(label, g=group, h=rng.choice(["u", "v", "w"], 3_000)) if f.axis == "column:g"]
    assert all(f.q is None or f.q > 0.05 for f in found if f.measure == "log_ratio_centred")


def test_a_finding_that_may_be_luck_neither_warns_nor_fails_and_says_so():
    rule = CheckRule(measure="label_log_ratio", warn=0.2, fail=0.5)

    def of(q, low=0.55, high=1.6):
        return Finding("a", "g", "1", "label_log_ratio", 1.0, low, high, 99, "Katz", p=0.001, q=q)

    assert [status_of(of(q), rule) for q in (None, 0.05, 0.051)] == ["fail", "fail", "unclear"]
    assert status_of(of(0.4, 0.01, 0.19), rule) == "pass"
    assert luck(0.2, 0.1, 0.5, 40) == "one of 40 comparisons, q=0.2: may be luck"
    assert luck(0.04, 0.1, 0.5, 40) == luck(0.9, -0.1, 0.5, 40) == ""


def test_p_and_q_are_in_the_record_and_the_id_is_as_it_was():
    finding = Finding("identity", "gay", "1", "label_rate_gap", 0.1, 0.05, 0.2, 99, "Newcombe", p=1 / 3, q=1e-300)
    assert finding.id == "label_rate_gap:identity:gay:1"
    record = finding.to_dict()
    assert (record["p"], record["q"], record["stratum"]) == (0.3333, 1e-300, None)
    assert Finding("identity", "gay", "1", "x", 0, 0, 0, 9, "m", stratum="0-81").id == "x:identity:gay:1:0-81"
    bare = Finding("identity", "gay", "1", "label_rate", 0.1, 0.05, 0.2, 99, "Wilson").to_dict()
    assert bare["p"] is bare["q"] is None
    assert math.isclose(finding.magnitude[0], 0.05)
