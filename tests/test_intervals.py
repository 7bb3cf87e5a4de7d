"""Intervals: known values, laws, and that a 95 % interval holds the truth about 95 times in 100."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from evenset.audit.intervals import (
    cramers_v,
    kish,
    log_ratio_counts,
    log_ratio_rates,
    newcombe_difference,
    wilson,
    z_of,
)

COUNT = st.integers(0, 400)


def probabilities(n, p):
    x = np.arange(n + 1)
    return x, binom.pmf(x, n, p)


def test_published_examples():
    # Newcombe 1998, table II: 56/70 - 48/80, method 10; table I, method 3: 81/263 and 0/20.
    assert [round(float(end), 4) for end in newcombe_difference(56, 70, 48, 80)] == [0.2, 0.0524, 0.3339]
    assert [round(float(end), 4) for end in wilson(81, 263)[1:]] == [0.2553, 0.3662]
    assert [round(float(end), 4) for end in wilson(0, 20)[1:]] == [0.0, 0.1611]
    assert z_of(0.99) == pytest.approx(2.5758, abs=1e-4)


@given(COUNT, st.integers(1, 400))
def test_wilson_mirrors_and_stays_inside(x, extra):
    n = x + extra
    p, low, high = wilson(x, n)
    assert 0 <= low <= p <= high <= 1
    q, low_mirrored, high_mirrored = wilson(n - x, n)
    assert (q, low_mirrored, high_mirrored) == pytest.approx((1 - p, 1 - high, 1 - low))


@given(COUNT, COUNT, COUNT, COUNT)
def test_exchanging_the_groups_only_flips_the_sign(x1, y1, x2, y2):
    n1, n2 = x1 + y1 + 1, x2 + y2 + 1
    for interval in (newcombe_difference, log_ratio_rates):
        one, other = interval(x1, n1, x2, n2), interval(x2, n2, x1, n1)
        assert one.estimate == pytest.approx(-other.estimate)
        assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
        assert one.low <= one.estimate <= one.high
    one, other = log_ratio_counts(x1 + 1, x2), log_ratio_counts(x2, x1 + 1)
    assert (one.estimate, one.low, one.high) == pytest.approx((-other.estimate, -other.high, -other.low))


@given(COUNT, COUNT, COUNT, COUNT)
def test_the_centred_log_ratio_is_the_log_ratio_minus_that_of_all_labels(x1, y1, x2, y2):
    n1, n2 = x1 + y1 + 1, x2 + y2 + 1
    centred = math.log((x1 + 0.5) / (x2 + 0.5)) - math.log((n1 + 0.5) / (n2 + 0.5))
    assert log_ratio_rates(x1, n1, x2, n2).estimate == pytest.approx(centred)


def test_empty_cells_are_not_numbers():
    for interval in (
        wilson(0, 0),
        newcombe_difference(0, 0, 5, 10),
        log_ratio_rates(5, 10, 0, 0),
        log_ratio_counts(0, 0),
    ):
        assert all(np.isnan(value) for value in interval)


def test_arrays_go_through_as_one_at_a_time():
    x1, n1, x2, n2 = np.array([0, 3, 40]), np.array([30, 30, 50]), np.array([10, 300, 7]), np.array([90, 900, 70])
    for interval in (newcombe_difference, log_ratio_rates):
        together = interval(x1, n1, x2, n2)
        for k in range(3):
            alone = interval(x1[k], n1[k], x2[k], n2[k])
            assert [float(part[k]) for part in together] == [float(part) for part in alone]


@given(st.integers(1, 50), st.floats(0.01, 100))
def test_equal_weights_are_worth_their_rows(rows, weight):
    assert kish(rows * weight, rows * weight**2) == pytest.approx(rows)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=30))
def test_weights_are_never_worth_more_than_their_rows(weights):
    worth = kish(sum(weights), sum(w * w for w in weights))
    assert 1 - 1e-9 <= worth <= len(weights) + 1e-9


@pytest.mark.parametrize("n", [30, 100, 400])
def test_coverage_of_wilson(n):
    covered = []
    for p in np.linspace(0.05, 0.95, 37):
        x, weight = probabilities(n, p)
        _, low, high = wilson(x, n)
        covered.append(weight[(low <= p) & (p <= high)].sum())
    assert min(covered) > 0.92
    assert 0.945 < np.mean(covered) < 0.957


@pytest.mark.parametrize(("n1", "n2"), [(30, 30), (30, 300), (60, 120)])
def test_coverage_of_newcombe(n1, n2):
    covered = []
    for p1, p2 in [(0.1, 0.1), (0.1, 0.3), (0.5, 0.5), (0.5, 0.8), (0.9, 0.6)]:
        (x1, weight1), (x2, weight2) = probabilities(n1, p1), probabilities(n2, p2)
        _, low, high = newcombe_difference(x1[:, None], n1, x2[None, :], n2)
        inside = (low <= p1 - p2) & (p1 - p2 <= high)
        covered.append((weight1[:, None] * weight2[None, :])[inside].sum())
    assert min(covered) > 0.93


@pytest.mark.parametrize(
    ("n1", "n2", "p", "least"),
    # The cells of methods 6.2, where the plain interval holds .784, .888, .917 and .949.
    [(30, 300, 0.95, 0.97), (50, 500, 0.05, 0.945), (20, 200, 0.8, 0.94), (200, 5000, 0.02, 0.945)],
)
def test_coverage_of_the_log_ratio_at_equal_rates(n1, n2, p, least):
    (x1, weight1), (x2, weight2) = probabilities(n1, p), probabilities(n2, p)
    _, low, high = log_ratio_rates(x1[:, None], n1, x2[None, :], n2)
    inside = (low <= 0) & (high >= 0)
    assert (weight1[:, None] * weight2[None, :])[inside].sum() > least


def test_coverage_of_the_log_ratio_where_events_are_few():
    covered, plain = [], []
    for n in (30, 50, 100, 300, 1000):
        for p in (0.002, 0.005, 0.01, 0.02, 0.05, 0.95, 0.98):
            x, weight = probabilities(n, p)
            truth = math.log(p / 0.08)
            estimate, low, high = log_ratio_rates(x, n, 1600, 20_000)
            covered.append(weight[(low <= truth) & (truth <= high)].sum())
            half = 1.96 * np.sqrt(1 / (x + 0.5) - 1 / (n + 0.5) + 1 / 1600.5 - 1 / 20_000.5)
            plain.append(weight[np.abs(estimate - truth) <= half].sum())
    assert min(plain) < 0.75
    # With n·p under one nothing but 0 or 1 events happen, and no interval can do better than in lumps.
    assert min(covered) > 0.86
    assert np.mean(covered) > 0.94


@pytest.mark.parametrize("n", [40, 200, 1000])
def test_coverage_of_the_ratio_of_counts(n):
    for share in (0.1, 0.3, 0.5, 0.8):
        x, weight = probabilities(n, share)
        _, low, high = log_ratio_counts(x, n - x)
        truth = math.log(share / (1 - share))
        assert weight[(low <= truth) & (truth <= high)].sum() > 0.93


# -- Cramér's V -------------------------------------------------------------------------------------------------------


def two_by_two(group, label, given_group):
    """Shares of a table: rows in and out of the group, columns with and without the label."""
    rest = (label - group * given_group) / (1 - group)
    return np.array([[group * given_group, group * (1 - given_group)], [(1 - group) * rest, (1 - group) * (1 - rest)]])


TERMS = np.array([0.85, *[0.01] * 15])
TOXIC = np.array([0.06, 0.5, 0.4, 0.3, 0.3, 0.25, 0.2, 0.2, 0.15, 0.1, 0.1, 0.08, 0.08, 0.06, 0.05, 0.02])
TABLES = {
    "rare label in a rare group": two_by_two(0.01, 0.083, 0.5),
    "identity rows": two_by_two(0.1, 0.083, 0.32),
    "balanced": two_by_two(0.5, 0.5, 0.65),
    "fifteen terms": np.stack([TERMS * TOXIC, TERMS * (1 - TOXIC)], axis=1),
}


def true_v(p):
    phi2 = (p**2 / np.outer(p.sum(axis=1), p.sum(axis=0))).sum() - 1
    return math.sqrt(phi2 / (min(p.shape) - 1))


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("n", [2_000, 20_000])
def test_coverage_of_cramers_v(name, n):
    p = TABLES[name]
    draws = np.random.default_rng(7).multinomial(n, p.ravel(), size=300).reshape(300, *p.shape)
    found = [cramers_v(table) for table in draws]
    assert np.mean([v.low <= true_v(p) <= v.high for v in found]) > 0.91
    assert np.mean([v.estimate for v in found]) == pytest.approx(true_v(p), abs=0.012)


def test_without_association_v_is_about_zero_and_its_interval_says_so():
    p = np.outer([0.7, 0.2, 0.1], [0.5, 0.3, 0.15, 0.05])
    draws = np.random.default_rng(3).multinomial(500, p.ravel(), size=400).reshape(400, 3, 4)
    found = [cramers_v(table) for table in draws]
    plain = [math.sqrt(((t - e) ** 2 / e).sum() / 500 / 2) for t in draws for e in [np.outer(t.sum(1), t.sum(0)) / 500]]
    assert np.mean([v.low == 0 for v in found]) > 0.95
    assert np.mean([v.estimate for v in found]) < 0.03 < 0.07 < np.mean(plain)


def test_v_by_bergsmas_formula():
    table = np.array([[30, 12, 8], [5, 40, 21]])
    n, (r, c) = table.sum(), table.shape
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    phi2 = ((table - expected) ** 2 / expected).sum() / n
    corrected = max(0, phi2 - (r - 1) * (c - 1) / (n - 1))
    rows, columns = r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)
    assert cramers_v(table).estimate == pytest.approx(math.sqrt(corrected / min(rows - 1, columns - 1)))


@given(st.lists(st.lists(st.integers(0, 60), min_size=3, max_size=3), min_size=2, max_size=5), st.randoms())
def test_v_does_not_depend_on_the_names_of_rows_and_columns(table, random):
    counts = np.array(table)
    shuffled = list(range(len(table)))
    random.shuffle(shuffled)
    one, other, turned = cramers_v(counts), cramers_v(counts[shuffled][:, ::-1]), cramers_v(counts.T)
    assert tuple(one) == pytest.approx(tuple(other), nan_ok=True)
    assert tuple(one) == pytest.approx(tuple(turned), nan_ok=True)
    if not math.isnan(one.estimate):
        assert 0 <= one.low <= one.estimate <= one.high <= 1


def test_v_of_perfect_association_is_one():
    estimate, low, high, n = cramers_v([[500, 0], [0, 500]])
    assert (estimate, high, n) == (pytest.approx(1, abs=1e-9), 1, 1000)
    assert 0.9 < low < 1


@pytest.mark.parametrize("table", [[[5, 5]], [[0, 0], [0, 0]], [[3, 0], [4, 0]], [[0, 0], [5, 5]]])
def test_v_of_less_than_two_rows_or_columns_is_no_number(table):
    assert math.isnan(cramers_v(table).estimate)


def test_the_interval_does_not_jump_where_the_method_for_large_counts_takes_over():
    p = TABLES["balanced"]
    # chi-square of 4,900 and 5,100: on either side of the switch
    ends = []
    for chi2 in (4_900, 4_999, 5_001, 5_100):
        n = chi2 / true_v(p) ** 2
        v = cramers_v(p * n)
        ends.append((v.low * math.sqrt(n), v.high * math.sqrt(n)))
    steps = np.diff(np.array(ends), axis=0)
    assert (steps > 0).all()
    assert steps[1].max() < 0.05
