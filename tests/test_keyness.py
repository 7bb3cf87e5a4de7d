"""Figures of words on two sides: published values, plain sums, exact tails and shuffles."""

import math
import random
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from evenset.audit.keyness import PRIOR, keyness
from evenset.audit.sides import Sides


def sides_of_tables(words, *, rows, pairs=None, bound=0):
    """Of {word: [(a, b) a label]} and rows [(first, second) a label]; labels without the word are left out."""
    cells = [(w, k, a, b) for w, table in enumerate(words.values()) for k, (a, b) in enumerate(table) if a or b]
    word, label, a, b = (np.array(part, np.int64) for part in zip(*cells, strict=True))
    rows = np.array(rows, np.int64).T
    return Sides(
        "axis",
        "she",
        "he",
        tuple(f"l{k}" for k in range(rows.shape[1])),
        tuple(words),
        rows,
        rows * 20 if pairs is None else np.array(pairs, np.int64).T,
        word,
        label,
        np.stack([a, b]),
        bound,
    )


# Smoking and lung cancer in eight cities of China (Liu 1992; Agresti 2002, section 6.3): smokers and all, cases and
# controls.
CITIES = [
    (126, 161, 100, 161), (908, 1405, 688, 1495), (913, 1249, 747, 1345), (235, 293, 172, 293),
    (402, 523, 308, 523), (182, 254, 156, 254), (60, 71, 99, 142), (104, 125, 89, 125),
]  # fmt: skip


def test_mantel_haenszel_gives_the_published_figures():
    sides = sides_of_tables(
        {"smokes": [(a, b) for a, _, b, _ in CITIES]}, rows=[(cases, controls) for _, cases, _, controls in CITIES]
    )
    found = keyness(sides)
    # Agresti 2002, section 6.3: pooled odds ratio 2.17, interval 1.98 to 2.38, statistic 280.1.
    assert math.exp(found.log_odds[0]) == pytest.approx(2.17, abs=0.005)
    assert (math.exp(found.low[0]), math.exp(found.high[0])) == pytest.approx((1.98, 2.38), abs=0.005)
    assert found.p[0] == pytest.approx(math.erfc(math.sqrt(280.1 / 2)), rel=0.2)


LABEL = st.tuples(st.integers(2, 30), st.integers(2, 30)).flatmap(
    lambda rows: st.tuples(st.just(rows), st.tuples(st.integers(0, rows[0]), st.integers(0, rows[1])))
)
TABLES = st.lists(LABEL, min_size=1, max_size=6).filter(lambda labels: any(a or b for _, (a, b) in labels))


def slow_odds(labels):
    """Robins, Breslow & Greenland 1986, label by label."""
    R = S = pr = psqr = qs = 0.0
    for (rows_a, rows_b), (a, b) in labels:
        c, d, n = rows_a - a, rows_b - b, rows_a + rows_b
        r, s, p, q = a * d / n, b * c / n, (a + d) / n, (b + c) / n
        R, S, pr, psqr, qs = R + r, S + s, pr + p * r, psqr + p * s + q * r, qs + q * s
    if R == 0 or S == 0:
        return None
    return math.log(R / S), math.sqrt(pr / (2 * R * R) + psqr / (2 * R * S) + qs / (2 * S * S))


def slow_information(labels):
    """I(word; side | label) over H(side | label) by definition, less its mean over all shuffles of each label."""
    whole = sum(sum(rows) for rows, _ in labels)
    information = entropy = 0.0
    for rows, has in labels:
        n, m = sum(rows), sum(has)
        entropy -= sum(side / whole * math.log(side / n) for side in rows)
        information += within(rows, has[0], m) / whole
        for a in range(max(0, m - rows[1]), min(rows[0], m) + 1):
            chance = math.comb(rows[0], a) * math.comb(rows[1], m - a) / math.comb(n, m)
            information -= chance * within(rows, a, m) / whole
    return information / entropy


def within(rows, a, m):
    """Sum of count × ln(count / expected) over the four cells of a label."""
    n = sum(rows)
    cells = [(a, m, rows[0]), (m - a, m, rows[1]), (rows[0] - a, n - m, rows[0]), (rows[1] - m + a, n - m, rows[1])]
    return sum(count * math.log(count * n / (of * side)) for count, of, side in cells if count)


def slow_auc(labels):
    """Every pair of rows of one label; labels by n1 n2 / (n1 + n2)."""
    value = weight = 0.0
    for (one, other), (a, b) in labels:
        wins = sum((x > y) + (x == y) / 2 for x, y in product([1] * a + [0] * (one - a), [1] * b + [0] * (other - b)))
        h = one * other / (one + other)
        value, weight = value + h * wins / (one * other), weight + h
    return max(value / weight, 1 - value / weight)


@settings(max_examples=80, deadline=None)
@given(TABLES)
def test_figures_are_those_of_plain_sums(labels):
    found = keyness(sides_of_tables({"w": [has for _, has in labels]}, rows=[rows for rows, _ in labels]))
    expected = slow_odds(labels)
    if expected is not None:
        assert found.log_odds[0] == pytest.approx(expected[0], abs=1e-9)
        assert (found.high - found.low)[0] / 2 == pytest.approx(1.959964 * expected[1], rel=1e-6)
    assert found.low[0] < found.log_odds[0] < found.high[0]
    assert found.auc[0] == pytest.approx(slow_auc(labels), abs=1e-9)
    assert (found.first[0], found.second[0]) == (sum(a for _, (a, _) in labels), sum(b for _, (_, b) in labels))
    assert found.labels[0] == sum(a + b > 0 for _, (a, b) in labels)
    assert found.about_group[0] == pytest.approx(slow_information(labels), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(TABLES)
def test_turning_the_sides_turns_the_signs_only(labels):
    one = keyness(sides_of_tables({"w": [has for _, has in labels]}, rows=[rows for rows, _ in labels]))
    other = keyness(sides_of_tables({"w": [has[::-1] for _, has in labels]}, rows=[rows[::-1] for rows, _ in labels]))
    assert one.log_odds[0] == pytest.approx(-other.log_odds[0], abs=1e-9)
    assert one.low[0] == pytest.approx(-other.high[0], abs=1e-9)
    assert one.z[0] == pytest.approx(-other.z[0], abs=1e-9)
    for name in ("p", "about_group", "about_label", "auc"):
        assert getattr(one, name)[0] == pytest.approx(getattr(other, name)[0], rel=1e-6, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize(
    "labels",
    [
        [((100, 900), 20)], [((100, 900), 400)], [((500, 500), 300)], [((60, 1000), 30)], [((30, 300), 5)] * 10,
        [((30, 40), 20)] * 10, [((300, 300), 60)], [((20, 5), 2)] * 28, [((200, 800), 250)], [((40, 60), 95)],
    ],
)  # fmt: skip
def test_p_is_small_no_more_often_than_it_says(labels):
    """All outcomes of given margins, with their exact probabilities."""
    exact = np.ones(1)
    for (one, other), m in labels:
        exact = np.convolve(exact, hypergeom.pmf(np.arange(m + 1), one + other, one, m))
    words = {}
    for total in range(len(exact)):
        if exact[total] < 1e-14:
            continue
        left, table = total, []
        for (one, _), m in labels:  # any way to share it out has the same sum, on which p depends
            a = min(left, one, m)
            table.append((a, m - a))
            left -= a
        if all(b <= other for ((_, other), _), (_, b) in zip(labels, table, strict=True)):
            words[total] = table
    found = keyness(sides_of_tables(words, rows=[rows for rows, _ in labels]))
    chance = exact[list(words)]
    for level in (0.05, 1e-2, 1e-4, 1e-6):
        assert chance[found.p <= level].sum() <= 1.6 * level
    # And it is not much more timid than an exact test with its tail doubled.
    above = exact[::-1].cumsum()[::-1][list(words)]
    tail = 2 * np.minimum(above, exact.cumsum()[list(words)])
    small = (tail < 1e-2) & (tail > 1e-6)
    assert (found.p[small] <= 5 * tail[small] ** 0.8).all()


def shuffled(documents, labels, share, presence, words, seed):
    """Words that have nothing to do with either the side or the label, as tables."""
    generator = random.Random(seed)
    rows = [(round(documents / labels * share), round(documents / labels * (1 - share))) for _ in range(labels)]
    place = [(k, side) for k, row in enumerate(rows) for side in (0, 1) for _ in range(row[side])]
    tables = {}
    for word in range(words):
        table = [[0, 0] for _ in rows]
        for k, side in generator.sample(place, presence):
            table[k][side] += 1
        tables[f"w{word}"] = [tuple(has) for has in table]
    return sides_of_tables(tables, rows=rows)


@pytest.mark.parametrize(("presence", "share"), [(5, 0.5), (20, 0.3), (60, 0.5), (300, 0.2)])
def test_information_of_shuffled_words_is_nothing_on_average(presence, share):
    found = keyness(shuffled(700, 14, share, presence, 400, seed=presence))
    for values in (found.about_group, found.about_label):
        # Uncorrected it would be some hundred standard errors above 0 for the label.
        assert abs(values.mean()) < 4 * values.std() / math.sqrt(len(values))


def test_the_information_about_the_label_is_that_of_its_definition():
    rows, has = [(60, 40), (30, 70), (50, 50)], [(30, 5), (3, 10), (20, 20)]
    whole, information, entropy = 300, 0.0, 0.0
    for side in (0, 1):
        n, m = sum(row[side] for row in rows), sum(one[side] for one in has)
        for row, one in zip(rows, has, strict=True):
            entropy -= row[side] / whole * math.log(row[side] / n)
            for count, of in ((one[side], m), (row[side] - one[side], n - m)):
                information += count / whole * math.log(count * n / (of * row[side]))
    found = keyness(sides_of_tables({"w": has}, rows=rows))
    # Every cell expects many, so chance gives (3 - 1) / 2n on each side.
    assert found.about_label[0] == pytest.approx((information - 2 / whole) / entropy, rel=1e-2)


def test_the_prior_draws_log_odds_to_nothing_as_monroe_says():
    sides = sides_of_tables({"w": [(30, 10)]}, rows=[(100, 120)], pairs=[(2000, 2400)])
    found = keyness(sides)
    prior = PRIOR * 40 / 4400
    one, other = (30 + prior, 2000 + PRIOR), (10 + prior, 2400 + PRIOR)
    delta = math.log(one[0] / (one[1] - one[0])) - math.log(other[0] / (other[1] - other[0]))
    assert found.delta[0] == pytest.approx(delta)
    assert found.z[0] == pytest.approx(delta / math.sqrt(1 / one[0] + 1 / other[0]), rel=0.01)
    # Twice as long texts of the first side: the same documents say less.
    longer = sides_of_tables({"w": [(30, 10)]}, rows=[(100, 120)], pairs=[(4000, 2400)])
    assert keyness(longer).delta[0] < found.delta[0]
    assert keyness(longer).log_odds[0] == found.log_odds[0]


def test_opposite_signs_cancel_in_one_test_and_not_in_the_other():
    rows = [(200, 200)] * 2
    found = keyness(sides_of_tables({"turns": [(60, 20), (20, 60)], "even": [(60, 20), (60, 20)]}, rows=rows))
    assert found.p[0] > 0.9 > 1e-9 > found.p_labels[0]
    assert found.p_differs[0] < 1e-9
    assert found.p[1] < 1e-9
    assert found.p_differs[1] > 0.9
    rare = keyness(sides_of_tables({"rare": [(2, 1), (1, 2)]}, rows=rows))
    assert math.isnan(rare.p_labels[0])


def test_a_word_of_one_side_only_has_a_finite_interval():
    found = keyness(sides_of_tables({"w": [(25, 0), (10, 0)]}, rows=[(100, 100), (50, 60)]))
    assert math.isfinite(found.low[0])
    assert found.low[0] > math.log(5)
    assert found.p[0] < 1e-9


def test_a_word_in_every_document_says_nothing():
    found = keyness(sides_of_tables({"the": [(30, 40)]}, rows=[(30, 40)]))
    assert found.p[0] == 1
    assert found.auc[0] == 0.5
    assert found.about_group[0] == pytest.approx(0, abs=0.02)
    assert found.low[0] < 0 < found.high[0]


@settings(max_examples=80, deadline=None)
@given(TABLES, st.integers(1, 4), st.randoms(use_true_random=False))
def test_no_counts_within_the_bound_bring_the_odds_nearer_to_one_than_the_slack(labels, bound, generator):
    words = {"w": [has for _, has in labels]}
    found = keyness(sides_of_tables(words, rows=[rows for rows, _ in labels], bound=bound))
    before = slow_odds(labels)
    if before is None or not math.isfinite(found.slack[0]):
        return
    truth = [[list(rows), list(has)] for rows, has in labels]
    for _ in range(bound):  # documents that the sketch missed
        rows, has = generator.choice(truth)
        side = generator.randrange(2)
        has[side] = min(has[side] + 1, rows[side])
    after = slow_odds([(tuple(rows), tuple(has)) for rows, has in truth])
    assert after is None or math.copysign(1, before[0]) * after[0] >= abs(before[0]) - found.slack[0] - 1e-9


def test_shuffled_words_of_many_labels_have_p_as_often_as_it_says():
    generator = np.random.default_rng(0)
    rows = np.full((2, 28), 5000)
    word = np.repeat(np.arange(20_000), 28)
    with_word = generator.poisson(3.0, (2, len(word)))
    sides = Sides(
        "x", "a", "b", tuple(str(k) for k in range(28)), tuple(map(str, range(20_000))), rows, rows * 50,
        word, np.tile(np.arange(28), 20_000), with_word,
    )  # fmt: skip
    found = keyness(sides)
    assert np.isfinite(found.log_odds).all()
    assert np.mean(found.p < 0.05) == pytest.approx(0.045, abs=0.01)
