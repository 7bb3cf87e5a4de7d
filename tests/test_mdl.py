"""Description length: chance costs one bit an example, a telling text costs less, and the code can be recomputed."""

import itertools
import math

import numpy as np
import pyarrow as pa
import pytest

from evenset.audit.texts.mdl import FRACTIONS, PENALTIES, balanced, code_length, ends, online_bits
from evenset.audit.texts.probe import MIN_ROWS, logistic
from evenset.data.features import featurise, frequent, narrowed


def corpus(n, telling, seed=0, share=0.5):
    rng = np.random.default_rng(seed)
    target = rng.random(n) < share
    words = rng.integers(0, 60, (n, 8))
    tell = rng.random(n) < telling
    texts = [
        " ".join([*(f"w{k}" for k in words[i]), *([f"mark{int(target[i])}"] if tell[i] else [])]) for i in range(n)
    ]
    return featurise(pa.array(texts, pa.large_string())), target


def lengths(n, telling, seed=0, share=0.5):
    features, target = corpus(n, telling, seed, share)
    keys = np.random.default_rng(seed + 100).integers(0, 2**63, n).astype(np.uint64)
    return code_length(features, target, np.zeros(n, np.int64), np.arange(n), keys)


def test_the_fractions_are_those_published():
    assert FRACTIONS[:3] == (0.02, 0.03, 0.044)
    assert ends(10_000).tolist() == [200, 300, 440, 650, 950, 1400, 2100, 3100, 4570, 6760, 10_000]
    assert ends(3).tolist() == [1, 2, 3]


@pytest.mark.parametrize("share", [0.5, 0.15])
def test_chance_compresses_to_one(share):
    found = [lengths(1500, 0.0, seed, share) for seed in range(4)]
    assert all(0.985 < one.compression < 1.005 for one in found)
    assert all(0.985 < one.control < 1.005 for one in found)
    assert all(math.isclose(one.uniform, one.n) for one in found)


def test_what_the_text_tells_is_saved():
    weak, strong = lengths(1500, 0.3), lengths(1500, 1.0)
    # With a mark in three rows of ten the best code still costs 0.7 bits a row.
    assert 1.1 < weak.compression < 1 / 0.7
    assert weak.low < weak.compression < weak.high
    assert strong.compression > 5
    assert math.isclose(strong.bits * strong.compression, 1.0)
    assert strong.control < 1.01


def test_bits_are_those_of_a_mixture_written_out():
    features, target = corpus(300, 0.5)
    keys = np.arange(300, dtype=np.uint64)
    found = online_bits(features, target, keys)
    edges = ends(300).tolist()
    assert (found[: edges[0]] == 1).all()
    weights = [0.25] * 4
    expected = [1.0] * edges[0]
    for start, end in itertools.pairwise(edges):
        columns = frequent(features[:start], keys[:start], least=MIN_ROWS)
        sent, coming = (narrowed(features[part], columns).toarray() for part in (slice(0, start), slice(start, end)))
        coefs = [logistic(narrowed(features[:start], columns), target[:start], np.zeros(start), c=c) for c in PENALTIES]
        assert sent.shape[0] == start
        for row, truth in zip(coming, target[start:end], strict=True):
            chances = [0.5] + [1 / (1 + math.exp(-float(row @ coef))) for coef in coefs]
            each = [chance if truth else 1 - chance for chance in chances]
            total = sum(w * p for w, p in zip(weights, each, strict=True))
            expected.append(-math.log2(total / sum(weights)))
            weights = [w * p for w, p in zip(weights, each, strict=True)]
    assert np.allclose(found, expected, atol=1e-6)


def test_each_label_sends_as_many_rows_of_either_group():
    target = np.array([True, True, True, False, False, True, False])
    stratum = np.array([0, 0, 0, 0, 1, 1, 1])
    key = np.array([5, 1, 3, 2, 9, 4, 8], np.uint64)
    assert balanced(target, stratum, key).tolist() == [1, 3, 5, 6]


def test_a_label_that_gives_the_group_away_is_not_paid_for():
    # Group and label go together, the text says nothing of the group beyond the label.
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 3000)
    target = rng.random(3000) < np.where(label == 1, 0.8, 0.2)
    texts = [f"job{one} " + " ".join(f"w{k}" for k in rng.integers(0, 60, 6)) for one in label]
    keys = rng.integers(0, 2**63, 3000).astype(np.uint64)
    found = code_length(featurise(pa.array(texts)), target, label, np.arange(3000), keys)
    assert 0.98 < found.compression < 1.01


def test_too_few_rows_give_nothing():
    assert lengths(150, 1.0) is None
