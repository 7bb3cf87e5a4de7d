"""Measures of association and intersections: against slow counts of real posts, published values, planted truth."""

import csv
import math
import re
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenset.audit.association import _pooled as pooled
from evenset.audit.bootstrap import resampled
from evenset.audit.by_length import mantel_haenszel
from evenset.audit.cells import AxisCells, Counts, ranges
from evenset.audit.findings import Settings
from evenset.audit.information import nmi_interval, npmi_of, pmi_of, pointwise_interval
from evenset.audit.intersections import MOST_ABSENT, cut
from evenset.audit.intervals import cramers_v, log_ratio_rates
from evenset.audit.levels import level_interval
from evenset.audit.log_odds import log_odds_interval
from evenset.audit.measures import findings_of
from evenset.audit.parity import parity_interval
from evenset.audit.screening import benjamini_hochberg
from evenset.audit.tally import Tally, total
from evenset.data.axes import parse_axes
from evenset.data.dataset import Dataset
from evenset.data.errors import InputError
from evenset.data.lexicon import load
from evenset.data.scan import scan

COUNT = st.integers(0, 300)
ROWS = 5_000
EDGES = [0, 82, 159, 281, 536, 10**9]


def tally(rows, specs, **columns):
    table = pa.table(
        {"text": [text for text, _ in rows], "label": pa.array([label for _, label in rows], pa.string()), **columns}
    )
    data = Dataset.of(table, text="text", label="label", weight="w" if "w" in columns else None)
    axes = parse_axes(specs, names=data.names)
    return total((Tally.of(scanned, axes) for scanned in scan(data, axes)), start=Tally.zero(axes)), axes


def found(rows, specs, *, positive=None, reference=None, **columns):
    counted, axes = tally(rows, specs, **columns)
    findings = findings_of(counted, Settings(positive=positive, reference=reference or {}), axes=axes)
    return {finding.id: finding for finding in findings}


# -- real posts, counted again word by word ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def posts(shared_data):
    with (shared_data / "gab" / "train.csv").open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["label"]) for _, row in zip(range(ROWS), csv.DictReader(file), strict=False)]


@pytest.fixture(scope="module")
def of_posts(posts):
    return found(posts, ["identity", "pronouns"], positive="1")


@pytest.fixture(scope="module")
def terms(posts):
    """Group to the numbers of the posts with one of its words: groups of words that are part of no longer form."""
    lexicon = load("identity")
    long = " ".join(form.text for form in lexicon.forms if " " in form.text).split()
    words = [set(re.findall(r"[^\W_]+", text.casefold())) for text, _ in posts]
    result = {}
    for group in lexicon.groups:
        forms = {form.text.casefold() for form in lexicon.forms_of(group.name)}
        if not any(" " in form or form in long for form in forms):
            result[group.name] = {k for k, seen in enumerate(words) if seen & forms}
    return {name: rows for name, rows in result.items() if len(rows) >= 30}


def cell(posts, rows):
    """Toxic and all posts, with the group and without it."""
    toxic = {k for k, (_, label) in enumerate(posts) if label == "1"}
    return len(rows & toxic), len(rows), len(toxic - rows), len(posts) - len(rows)


@pytest.mark.real
def test_pointwise_measures_of_real_posts(posts, of_posts, terms):
    assert {"jewish", "muslim"} <= {group for group in terms if f"npmi:identity:{group}:1" in of_posts}
    for group, rows in terms.items():
        if f"pmi:identity:{group}:1" not in of_posts:
            continue
        x1, n1, x2, n2 = cell(posts, rows)
        n = n1 + n2
        inside, outside = (x1 + 0.5) / (n1 + 0.5), (x2 + 0.5) / (n2 + 0.5)
        joint = inside * n1 / n
        both = joint / (n1 / n * (joint + outside * n2 / n))
        pmi, npmi = of_posts[f"pmi:identity:{group}:1"], of_posts[f"npmi:identity:{group}:1"]
        assert (pmi.estimate, pmi.n) == (pytest.approx(math.log(both)), n1)
        assert npmi.estimate == pytest.approx(-math.log(both) / math.log(joint))
        assert pmi.estimate == pytest.approx(math.log(x1 * n / (n1 * (x1 + x2))), abs=0.2)  # the plain count, nearly
        share = (x1 + x2) / n
        odds = [math.log((x + share) / (m - x + 1 - share)) for x, m in ((x1, n1), (x2, n2))]
        error = math.sqrt(sum(1 / v for x, m in ((x1, n1), (x2, n2)) for v in (x + share, m - x + 1 - share)))
        log_odds, z = of_posts[f"log_odds:identity:{group}:1"], of_posts[f"log_odds_z:identity:{group}:1"]
        assert log_odds.estimate == pytest.approx(odds[0] - odds[1])
        assert (log_odds.low, log_odds.high) == pytest.approx(
            (odds[0] - odds[1] - 1.959964 * error, odds[0] - odds[1] + 1.959964 * error)
        )
        assert (z.estimate, z.high - z.low) == (pytest.approx((odds[0] - odds[1]) / error), pytest.approx(2 * 1.959964))
        ratio = (x1 + 0.5) * (n2 - x2 + 0.5) / ((n1 - x1 + 0.5) * (x2 + 0.5))
        agree = math.sqrt(ratio) / (1 + math.sqrt(ratio))  # of rows, when group and label are both brought to a half
        assert of_posts[f"correlation_level:identity:{group}:1"].estimate == pytest.approx(10 * (1 - agree))


@pytest.mark.real
def test_lengths_of_real_posts(posts, of_posts, terms):
    names = ranges(EDGES[1:-1])
    assert "label_log_ratio_by_length:identity:jewish:1" in of_posts
    for group, rows in terms.items():
        strata, over, under = [], 0.0, 0.0
        for name, low, high in zip(names, EDGES, EDGES[1:], strict=False):
            here = {k for k, (text, _) in enumerate(posts) if low <= len(text) < high}
            toxic = {k for k in here if posts[k][1] == "1"}
            a, m1, b, m2 = len(rows & toxic), len(rows & here), len(toxic - rows), len(here - rows)
            strata.append((a, m1, b, m2))
            if m1:
                rate = of_posts[f"label_rate_by_length:identity:{group}:1:{name}"]
                assert (rate.estimate, rate.n, rate.enough) == (pytest.approx(a / m1), m1, m1 >= 30)
            everyone = of_posts[f"label_rate_by_length:identity::1:{name}"]
            assert (everyone.estimate, everyone.n) == (pytest.approx(len(toxic) / len(here)), len(here))
        _, n1, _, n2 = (sum(column) for column in zip(*[s for s in strata if s[1] and s[3]], strict=True))
        for a, m1, b, m2 in strata:
            if m1 and m2:
                e1, e2 = 0.5 * m1 / n1, 0.5 * m2 / n2
                whole = m1 + m2 + e1 + e2
                over += (a + e1) * (m2 + e2) / whole
                under += (b + e2) * (m1 + e1) / whole
        common = of_posts.get(f"label_log_ratio_by_length:identity:{group}:1")
        if common is not None:
            assert common.estimate == pytest.approx(math.log(over / under))
            assert "by length" in common.note
            assert common.low < common.estimate < common.high


@pytest.mark.real
def test_the_largest_difference_of_real_posts(of_posts):
    rates = {f.group: f.estimate for f in of_posts.values() if f.measure == "label_rate" and f.enough and f.judged}
    rates = {group: rate for group, rate in rates.items() if f"label_rate:identity:{group}:1" in of_posts}
    assert len(rates) > 3
    widest = max(abs(rates[a] - rates[b]) for a, b in combinations(rates, 2))
    finding = of_posts["label_parity_max:identity::1"]
    assert finding.estimate == pytest.approx(widest)
    first, _, rest = finding.note.partition(" over ")
    assert rates[first] == max(rates.values())
    assert rates[rest.partition(",")[0]] == min(rates.values())
    null = float(re.search(r"; ([\d.]+) is the mean", finding.note)[1])
    assert 0 < null < widest


@pytest.mark.real
def test_nmi_of_real_posts_and_of_permuted_labels(posts, of_posts):
    def rows_of(text):
        words = set(re.findall(r"[^\W_]+", text.casefold()))
        she, he = words & {"she", "her", "hers", "herself"}, words & {"he", "him", "his", "himself"}
        return "she" if she and not he else "he" if he and not she else None

    side = [(rows_of(text), label) for text, label in posts]
    side = [pair for pair in side if pair[0]]
    n, i = len(side), 0.0
    own = {0: 0.0, 1: 0.0}
    for at in (0, 1):
        for value in {pair[at] for pair in side}:
            p = sum(pair[at] == value for pair in side) / n
            own[at] += -p * math.log(p) + 0.5 / n
        own[at] -= 0.5 / n
    for pair in set(side):
        p = side.count(pair) / n
        first, second = (sum(other[at] == pair[at] for other in side) / n for at in (0, 1))
        i += p * math.log(p / (first * second))
    finding = of_posts["nmi:pronouns::"]
    assert finding.n == n
    assert finding.estimate == pytest.approx(max(0, i - 1 / (2 * n)) / math.sqrt(own[0] * own[1]), abs=1e-9)


# -- PMI and NPMI -----------------------------------------------------------------------------------------------------


def test_npmi_is_minus_one_never_zero_independent_and_one_always_together():
    share, rate = np.array(0.2), np.array(0.3)
    assert float(npmi_of(np.array(0.0), rate, share)) == -1
    assert float(npmi_of(rate, rate, share)) == pytest.approx(0, abs=1e-12)
    assert float(npmi_of(np.array(1.0), np.array(0.0), share)) == pytest.approx(1)
    assert float(pmi_of(np.array(0.6), np.array(0.1), share)) == pytest.approx(math.log(0.6 / 0.2))


@given(COUNT, COUNT, COUNT, COUNT)
def test_pointwise_intervals_hold_their_estimate(x1, y1, x2, y2):
    for function in (pmi_of, npmi_of):
        found = pointwise_interval(function, x1, x1 + y1 + 1, x2, x2 + y2 + 1)
        assert found.low <= found.estimate + 1e-12
        assert found.estimate <= found.high + 1e-12
        assert not math.isnan(float(found.high))
    assert all(np.isnan(value) for value in pointwise_interval(npmi_of, 0, 0, x1, x1 + 1))


@pytest.mark.parametrize(
    ("n", "share", "inside", "outside"),
    [
        (300, 0.3, 0.2, 0.05),
        (400, 0.6, 0.9, 0.3),
        (2_000, 0.05, 0.5, 0.083),
        (20_000, 0.002, 0.3, 0.01),
        (20_000, 0.01, 0.03, 0.083),
    ],
)
def test_coverage_of_pmi_and_npmi(n, share, inside, outside):
    p = [share * inside, share * (1 - inside), (1 - share) * outside, (1 - share) * (1 - outside)]
    d = np.random.default_rng(1).multinomial(n, p, size=4_000)
    for function in (pmi_of, npmi_of):
        truth = float(function(np.array(inside), np.array(outside), np.array(share)))
        found = pointwise_interval(function, d[:, 0], d[:, 0] + d[:, 1], d[:, 2], d[:, 2] + d[:, 3])
        assert 0.93 < np.mean((found.low <= truth) & (truth <= found.high)) < 0.985


# -- log-odds ---------------------------------------------------------------------------------------------------------


@given(COUNT, COUNT, COUNT, COUNT)
def test_log_odds_only_change_sign_with_the_order_of_sides_or_of_labels(x1, y1, x2, y2):
    n1, n2 = x1 + y1 + 1, x2 + y2 + 1
    one, error = log_odds_interval(x1, n1, x2, n2)
    other, _ = log_odds_interval(x2, n2, x1, n1)
    without, _ = log_odds_interval(n1 - x1, n1, n2 - x2, n2)
    if not 0 < x1 + x2 < n1 + n2:
        assert math.isnan(float(one.estimate))
        return
    for turned in (other, without):
        assert tuple(map(float, one)) == pytest.approx((-turned.estimate, -turned.high, -turned.low))
    assert float(error) > 0


@pytest.mark.parametrize(
    ("n1", "p1", "n2", "p2"), [(30, 0.5, 3000, 0.1), (100, 0.9, 3000, 0.3), (400, 0.02, 9000, 0.08)]
)
def test_coverage_of_log_odds(n1, p1, n2, p2):
    rng = np.random.default_rng(2)
    found, error = log_odds_interval(rng.binomial(n1, p1, 5_000), n1, rng.binomial(n2, p2, 5_000), n2)
    truth = math.log(p1 / (1 - p1)) - math.log(p2 / (1 - p2))
    assert 0.93 < np.mean((found.low <= truth) & (truth <= found.high)) < 0.98
    assert np.std(found.estimate) == pytest.approx(np.mean(error), rel=0.15)


# -- the level of correlation -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.5, 2, 5, 8])
def test_data_built_at_a_level_is_found_at_it_whatever_its_margins(level):
    m = 100_000
    aligned, crossed = (10 - level) / 10 * m, level / 10 * m
    assert float(level_interval(aligned, m, crossed, m).estimate) == pytest.approx(level, abs=0.01)
    # Fewer rows of the second group and fewer without the label: other margins, the same odds ratio.
    assert float(
        level_interval(aligned, aligned + crossed / 7, crossed / 3, crossed / 3 + aligned / 21).estimate
    ) == pytest.approx(level, abs=0.02)


def test_coverage_of_the_level():
    rng = np.random.default_rng(4)
    for n1, p1, n2, p2 in [(40, 0.3, 4000, 0.08), (200, 0.03, 4000, 0.08), (80, 0.8, 90, 0.5)]:
        found = level_interval(rng.binomial(n1, p1, 4_000), n1, rng.binomial(n2, p2, 4_000), n2)
        truth = 10 / (1 + math.sqrt(p1 * (1 - p2) / ((1 - p1) * p2)))
        assert 0.93 < np.mean((found.low <= truth) & (truth <= found.high)) < 0.985


# -- lengths ----------------------------------------------------------------------------------------------------------


@given(COUNT, COUNT, COUNT, COUNT)
def test_one_stratum_is_the_plain_log_ratio(x1, y1, x2, y2):
    n1, n2 = x1 + y1 + 1, x2 + y2 + 1
    common = mantel_haenszel(*(np.array([value], float) for value in (x1, n1, x2, n2)))
    plain = log_ratio_rates(x1, n1, x2, n2)
    assert float(common.interval.estimate) == pytest.approx(float(plain.estimate))
    if min(x1, y1, x2, y2) >= 5:
        assert (float(common.interval.low), float(common.interval.high)) == pytest.approx(
            (float(plain.low), float(plain.high))
        )
    assert int(common.df) == 0


def test_a_difference_of_lengths_only_is_none_within_lengths():
    # Short texts are toxic and name the group: 2.6 times as often over all, equally often in each length.
    rows = [("a gay man", "1" if k % 2 else "0") for k in range(200)] + [
        ("a man", "1" if k % 2 else "0") for k in range(200)
    ]
    long = "word " * 20
    rows += [(f"a gay man {long}", "1" if k % 10 == 0 else "0") for k in range(50)]
    rows += [(f"a man {long}", "1" if k % 10 == 0 else "0") for k in range(1000)]
    findings = found(rows, ["identity"], positive="1")
    plain, common = (findings[f"{name}:identity:gay:1"] for name in ("label_log_ratio", "label_log_ratio_by_length"))
    assert plain.low > 0.7
    assert common.estimate == pytest.approx(0, abs=0.02)
    assert common.low < 0 < common.high
    assert common.p > 0.5
    assert "no sign of a difference by length" in common.note
    assert findings["label_rate_by_length:identity:gay:1:0-81"].estimate == 0.5
    assert findings["label_rate_by_length:identity:gay:1:82-158"].estimate == pytest.approx(0.1)


def test_a_ratio_that_differs_by_length_is_said_to():
    n = [np.array(value, float) for value in ([80, 10], [100, 100], [100, 100], [1000, 1000])]
    assert float(mantel_haenszel(*n).p_heterogeneity) < 1e-4
    rows = np.array([[100, 100], [1000, 1000]], float)
    alike = mantel_haenszel(np.array([20, 10.0]), rows[0], np.array([100, 50.0]), rows[1])
    assert float(alike.p_heterogeneity) > 0.8


def test_coverage_of_the_common_ratio_and_of_its_tests():
    rng = np.random.default_rng(5)
    base, shares = np.array([0.05, 0.08, 0.12, 0.17, 0.15]), np.array([0.45, 0.28, 0.17, 0.08, 0.02])
    for ratio in (1.0, 3.0):
        n1, n2 = rng.multinomial(300, shares[::-1], size=1_500).T, rng.multinomial(6000, shares, size=1_500).T
        x1, x2 = rng.binomial(n1, (base * ratio)[:, None]), rng.binomial(n2, base[:, None])
        common = mantel_haenszel(*(value.astype(float) for value in (x1, n1, x2, n2)))
        truth = math.log(ratio)
        assert 0.93 < np.mean((common.interval.low <= truth) & (truth <= common.interval.high)) < 0.975
        assert np.mean(common.p_heterogeneity < 0.05) < 0.09
        assert np.mean(common.p < 0.05) < 0.07 if ratio == 1 else np.mean(common.p < 0.05) > 0.99


def test_strata_with_one_side_only_say_nothing():
    both = mantel_haenszel(*(np.array([value], float) for value in (5, 50, 30, 500)))
    more = mantel_haenszel(*(np.array(value, float) for value in ([5, 0], [50, 0], [30, 80], [500, 90])))
    assert float(both.interval.estimate) == pytest.approx(float(more.interval.estimate))
    none = mantel_haenszel(*(np.array([value], float) for value in (0, 0, 3, 10)))
    assert math.isnan(float(none.interval.estimate))
    assert math.isnan(float(none.p))


# -- NMI --------------------------------------------------------------------------------------------------------------


def slow_nmi(table):
    n = table.sum()
    p, r, c = table / n, table.sum(axis=1) / n, table.sum(axis=0) / n
    i = sum(p[a, b] * math.log(p[a, b] / (r[a] * c[b])) for a, b in np.ndindex(*p.shape) if p[a, b])
    h = [-sum(v * math.log(v) for v in side) + (len(side) - 1) / (2 * n) for side in (r, c)]
    return i, max(0.0, i - (len(r) - 1) * (len(c) - 1) / (2 * n)) / math.sqrt(h[0] * h[1])


def test_nmi_by_its_formula_and_at_its_ends():
    table = np.array([[30.0, 12, 8], [5, 40, 21]])
    assert nmi_interval(table).estimate == pytest.approx(slow_nmi(table)[1])
    assert nmi_interval([[500, 0], [0, 500]]).estimate == pytest.approx(1, abs=2e-3)
    assert nmi_interval(table.T)[:3] == pytest.approx(nmi_interval(table)[:3])
    assert math.isnan(nmi_interval([[5, 5]]).estimate)


def test_the_correction_is_what_permuting_the_labels_gives():
    rng = np.random.default_rng(6)
    group = rng.choice(4, 800, p=[0.6, 0.25, 0.1, 0.05])
    label = rng.choice(3, 800, p=[0.7, 0.2, 0.1])
    plain, corrected, low = [], [], []
    for _ in range(300):
        table = np.zeros((4, 3))
        np.add.at(table, (group, rng.permutation(label)), 1)
        i, value = slow_nmi(table)
        plain.append(i)
        found = nmi_interval(table)
        assert found.estimate == pytest.approx(value, abs=1e-12)
        corrected.append(found.estimate)
        low.append(found.low)
    assert np.mean(plain) == pytest.approx(6 / 1600, rel=0.1)
    assert np.mean(corrected) < 0.35 * np.mean(plain) / 0.9
    assert np.mean(np.array(low) == 0) > 0.94


TERMS = np.array([0.85, *[0.01] * 15])
TOXIC = np.array([0.06, 0.5, 0.4, 0.3, 0.3, 0.25, 0.2, 0.2, 0.15, 0.1, 0.1, 0.08, 0.08, 0.06, 0.05, 0.02])


@pytest.mark.parametrize(
    "p", [np.array([[0.005, 0.005], [0.078, 0.912]]), np.stack([TERMS * TOXIC, TERMS * (1 - TOXIC)], axis=1)]
)
def test_coverage_of_nmi(p):
    draws = np.random.default_rng(7).multinomial(3_000, p.ravel(), size=400).reshape(400, *p.shape)
    r, c = p.sum(axis=1), p.sum(axis=0)
    truth = (p * np.log(p / np.outer(r, c))).sum() / math.sqrt((r * np.log(r)).sum() * (c * np.log(c)).sum())
    found = [nmi_interval(table) for table in draws]
    assert 0.92 < np.mean([v.low <= truth <= v.high for v in found]) < 0.985
    assert np.mean([v.estimate for v in found]) == pytest.approx(truth, rel=0.08)


# -- the largest difference -------------------------------------------------------------------------------------------


def parity(rng, sizes, rates):
    x = rng.binomial(sizes, rates)
    table = np.column_stack([x, np.array(sizes) - x]).astype(float)
    return parity_interval(table, np.eye(len(sizes), dtype=bool), table.sum(axis=1), level=0.95, replicates=400)


def test_the_null_of_the_largest_difference_and_its_coverage():
    rng = np.random.default_rng(8)
    same = [parity(rng, [100] * 8, [0.1] * 8) for _ in range(100)]
    spread = [np.ptp(rng.binomial(100, 0.1, 8) / 100) for _ in range(4000)]
    assert np.mean([found.null[0] for found in same]) == pytest.approx(np.mean(spread), rel=0.05)
    assert np.mean([found.interval.estimate[0] for found in same]) > 0.07  # the largest is biased up
    assert np.mean([found.interval.low[0] == 0 for found in same]) > 0.9
    assert np.mean([found.p[0] <= 0.05 for found in same]) < 0.12
    apart = [parity(rng, [40, 300, 1000], [0.4, 0.1, 0.1]) for _ in range(100)]
    assert np.mean([found.interval.low[0] <= 0.3 <= found.interval.high[0] for found in apart]) > 0.9
    assert np.mean([found.p[0] <= 0.05 for found in apart]) > 0.95


def test_a_great_difference_stays_significant_among_many_labels():
    table = np.array([[20.0] * 60 + [800.0], [20.0] * 60 + [800.0]])
    table[0, 7] = 120
    found = parity_interval(table, np.eye(2, dtype=bool), table.sum(axis=1), level=0.95, replicates=300)
    assert benjamini_hochberg(found.p)[7] < 1e-6
    assert found.p[[k for k in range(60) if k != 7]].min() > 1 / 301


def test_the_bootstrap_of_weighted_cells_has_the_spread_of_weighted_rows():
    # Labels of 2 % at weight 10: the same as the slow count of draws of rows, not that of as many effective rows.
    rows, weight = np.array([[20.0, 980], [30, 970]]), np.array([[10.0, 0.8], [10, 0.8]])
    rng, events = np.random.default_rng(3), [0.025, 0.025]
    drawn = rng.binomial(1000, events, size=(4000, 2))
    rate = 10 * drawn / (10 * drawn + 0.8 * (1000 - drawn))
    found = parity_interval(
        rows, np.eye(2, dtype=bool), np.array([[120.0, 150.0]]), weight=weight, level=0.95, replicates=2000
    )
    assert float(found.null[0]) == pytest.approx(np.abs(rate[:, 0] - rate[:, 1]).mean(), rel=0.1)


@pytest.mark.parametrize("shape", [(2, 2), (3, 4)])
def test_uneven_weights_make_no_association_of_independent_groups_and_labels(shape):
    rng = np.random.default_rng(4)
    p = np.outer(*(np.arange(1, size + 1) ** 2 / (np.arange(1, size + 1) ** 2).sum() for size in shape))
    weight = rng.choice([0.3, 1.0, 6.0], shape)
    if shape == (2, 2):
        weight = np.array([[8.0, 1.0], [1.0, 0.5]])
    chances = p / weight / (p / weight).sum()  # so that the weighted table is independent
    above = {"v": 0, "nmi": 0}
    for _ in range(200):
        rows = rng.multinomial(4000, chances.ravel()).reshape(shape)
        table, _ = pooled(Counts(rows, rows * weight, rows * weight**2))
        above["v"] += cramers_v(table).low > 0
        above["nmi"] += nmi_interval(table).low > 0
    assert max(above.values()) <= 10


def test_groups_that_share_rows_are_resampled_together():
    # Two groups of the same rows cannot differ, whatever is drawn.
    rows = np.array([100.0, 101])
    shared = np.array([[30.0, 70], [0, 1]]), np.array([[True, True], [False, True]])
    apart = np.array([[30.0, 70], [30, 71]]), np.eye(2, dtype=bool)
    one, other = (parity_interval(*table, rows, level=0.95, replicates=400) for table in (shared, apart))
    assert one.null[0] < 0.01
    assert other.null[0] > 0.03


def test_resampled_tables_are_multinomial_and_do_not_depend_on_threads_or_empty_cells():
    counts = np.array([[30, 0, 10], [5, 55, 0]])
    one = resampled(counts, lambda tables: tables, replicates=4_000, seed=3)
    assert one.shape == (4_000, 2, 3)
    assert (one.sum(axis=(1, 2)) == 100).all()
    assert not one[:, 0, 1].any()
    assert one.mean(axis=0) == pytest.approx(counts, abs=0.4)
    assert one.var(axis=0) == pytest.approx(counts * (1 - counts / 100), rel=0.1)
    assert np.corrcoef(one[:, 0, 0], one[:, 1, 1])[0, 1] == pytest.approx(-0.72, abs=0.03)
    assert np.array_equal(one, resampled(counts, lambda tables: tables, replicates=4_000, seed=3))
    assert not np.array_equal(one, resampled(counts, lambda tables: tables, replicates=4_000, seed=4))


# -- intersections ----------------------------------------------------------------------------------------------------

MIXED = [("she is gay", "1")] * 40 + [("he is gay", "0")] * 35 + [("she is muslim", "1")] * 3 + [("he works", "0")] * 60


@pytest.mark.parametrize("beside", [[], ["pronouns", "identity"]])
def test_every_combination_of_judged_groups_is_reported_also_without_a_row(beside):
    findings = found(MIXED, [*beside, "pronouns+identity"], positive="1")
    lexicon = load("identity")
    judged = [group.name for group in lexicon.groups if group.status and not group.ambiguous]
    shares = {f.group: f for f in findings.values() if f.axis == "pronouns+identity" and f.measure == "representation"}
    assert {f"{who} & {group}" for who in ("she", "he") for group in judged} <= set(shares)
    assert not [name for name in shares if name and name.endswith("(ambiguous)")]
    none = shares["he & muslim"]
    assert (none.estimate, none.low, none.n) == (0, 0, len(MIXED))
    assert 0 < none.high < 0.04
    assert "n=0" in none.note
    assert not [f for f in findings.values() if f.group == "he & muslim" and f.label is not None]
    thin = findings["label_rate:pronouns+identity:she & muslim:1"]
    assert (thin.enough, thin.n) == (False, 3)
    whole = shares[None]
    assert whole.estimate == pytest.approx(78 / len(MIXED))
    assert f"{2 * len(judged) - 3:,} of {2 * len(judged):,} combinations" in whole.note


def test_combinations_of_columns_are_known_from_their_own_axes():
    values = {"a": ["x"] * 40 + ["y"] * 40, "b": ["R & D"] * 40 + ["sales"] * 40}
    rows = [("text", "1"), ("text", "0")] * 40
    findings = found(rows, ["column:a", "column:b", "column:a+column:b"], **values)
    assert findings["representation:column:a+column:b:x & sales:"].estimate == 0
    assert findings["representation:column:a+column:b:y & R & D:"].estimate == 0
    alone = found(rows, ["column:a+column:b"], **{**values, "b": ["p"] * 40 + ["q"] * 40})
    assert alone["representation:column:a+column:b:y & p:"].note.startswith("n=0")


def test_a_large_intersection_lists_some_empty_combinations_and_says_how_many_there_are():
    values = {"a": [f"a{k}" for k in range(60)], "b": [f"b{k}" for k in range(60)]}
    rows = [("text", str(k % 2)) for k in range(60)]
    counted, axes = tally(rows, ["column:a", "column:b", "column:a+column:b"], **values)
    shares = [
        f
        for f in findings_of(counted, Settings(), measures=["representation"], axes=axes)
        if f.axis == "column:a+column:b"
    ]
    assert len(shares) == 60 + MOST_ABSENT + 1
    assert "3,540 of 3,600 combinations of judged groups have no row (n=0); 500 of them are listed" in shares[-1].note


def test_a_reference_may_name_a_combination_without_a_row_but_none_that_cannot_be():
    shares = {"she & gay": 0.2, "he & muslim": 0.1, "they & gay": 0.01}
    findings = found(MIXED, ["pronouns+identity"], positive="1", reference={"pronouns+identity": shares})
    ratio = findings["representation_ratio:pronouns+identity:she & gay:"]
    assert ratio.estimate == pytest.approx(math.log(40.5 / (len(MIXED) + 0.5) / 0.2))
    absent = findings["representation_ratio:pronouns+identity:he & muslim:"]
    assert (absent.low, absent.judged) == (-math.inf, True)
    assert absent.high < 0
    assert not findings["representation_ratio:pronouns+identity:they & gay:"].judged
    with pytest.raises(InputError, match=r'no group "she & gray".*Did you mean "she & gay"'):
        found(MIXED, ["pronouns+identity"], reference={"pronouns+identity": {"she & gray": 0.1}})


def test_a_combination_is_cut_where_its_groups_are():
    assert cut("a & b & c", [["a", "a & b"], ["c", "x"]]) == ("a & b", "c")
    assert cut("a & b", [["a"], ["c"]]) is None
    assert cut("a", []) is None


# -- what is reported -------------------------------------------------------------------------------------------------


def test_cells_of_many_labels_with_nothing_seen_or_to_be_seen_are_left_out():
    rows = [("a gay man", f"l{k % 4}") for k in range(40)] + [("a man", f"l{k % 40}") for k in range(4000)]
    rates = {f.label for f in found(rows, ["identity"]).values() if f.measure == "label_rate" and f.group == "gay"}
    assert {"l0", "l1", "l2", "l3"} <= rates
    assert len(rates) < 40
    two = [("a sikh man", "0")] * 4 + [("a man", "1")] * 10 + [("a man", "0")] * 900
    thin = found(two, ["identity"], positive="1")["label_rate:identity:sikh:1"]
    assert (thin.estimate, thin.n, thin.enough) == (0, 4, False)


def test_length_buckets_add_up_to_the_labelled_rows():
    counted, _ = tally([("x" * k, str(k % 3)) for k in range(1, 700)], ["column:text"])
    cells = AxisCells.of(counted, "column:text")
    parts = list(cells.by_length())
    assert [name for name, _ in parts] == ["0-81", "82-158", "159-280", "281-535", "536+"]
    assert (sum(counts.rows for _, counts in parts) == cells.labelled.rows).all()
    assert [int(counts.rows.sum()) for _, counts in parts] == [81, 77, 122, 255, 164]


def test_equal_weights_change_nothing_in_the_new_measures():
    rows = [("she is gay", "1" if k % 3 else "0") for k in range(90)] + [
        ("he works", "1" if k % 4 == 0 else "0") for k in range(200)
    ]
    plain, weighted = (
        found(rows, ["pronouns", "identity"], positive="1", **extra) for extra in ({}, {"w": [4.0] * 290})
    )
    assert set(plain) == set(weighted)
    for name, finding in plain.items():
        other = weighted[name]
        assert (other.estimate, other.low, other.high, other.n) == pytest.approx(
            (finding.estimate, finding.low, finding.high, finding.n), nan_ok=True
        )


@pytest.mark.parametrize(
    "rows",
    [
        [("she", None)] * 40 + [("he", "1")],
        [("she is gay", "1")] * 40,
        [("", "1"), ("", "0")] * 40,
        [("she", "1"), ("he", "0")],
        [("she", "1")] * 50 + [("he", "0")] * 50,
        [("she is gay", str(k)) for k in range(60)],
    ],
)
@pytest.mark.parametrize(
    "specs", [["pronouns", "identity", "pronouns+identity"], ["column:none", "column:none+pronouns"]]
)
def test_little_or_odd_data_gives_findings_without_a_warning_or_a_wrong_number(rows, specs):
    columns = {"none": pa.array([None] * len(rows), pa.string())} if "column:none" in specs else {}
    for finding in found(rows, specs, positive="1", **columns).values():
        if not math.isnan(finding.estimate):
            assert finding.low <= finding.estimate + 1e-9
            assert finding.estimate <= finding.high + 1e-9
        assert finding.p is None or 0 <= finding.p <= 1
        assert finding.q is None or finding.p - 1e-12 <= finding.q <= 1


def test_a_tally_of_no_rows_has_no_findings():
    axes = parse_axes(["pronouns", "identity", "pronouns+identity"], names=())
    assert findings_of(Tally.zero(axes), Settings(), axes=axes) == ()
