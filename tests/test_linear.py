"""The embedded trainer: features, the exactness of the fit, and what seeds and copies mean."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenset.data.errors import InputError
from evenset.data.features import featurise, frequent, narrowed
from evenset.data.hashing import row_keys
from evenset.finetune import linear
from evenset.finetune.linear import LinearTrainer, fit
from evenset.finetune.rows import Split, TrainingRows, counts_of

WORDS = ["she", "he", "nurse", "Engineer", "walks", "é", "the"]
texts = st.lists(st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join), min_size=1, max_size=8)


def strings(values):
    return pa.array(list(values), pa.large_string())


def make_rows(values, code, weight=None, root=None):
    text = strings(values)
    return TrainingRows(
        text,
        np.asarray(code, np.int64),
        np.ones(len(values)) if weight is None else np.asarray(weight, np.float64),
        row_keys(text) if root is None else np.asarray(root, np.uint64),
    )


def make_split(values, code, name="test"):
    none = pa.array([[]] * len(values), pa.list_(pa.string()))
    return Split(
        name, strings(values), pa.array([str(i) for i in range(len(values))]), np.asarray(code, np.int64), none, none
    )


def corpus(n, seed=0, n_labels=2):
    """Rows in which one word goes with each label, most of the time."""
    rng = np.random.default_rng(seed)
    code = rng.integers(0, n_labels, n)
    seen = np.where(rng.random(n) < 0.85, code, rng.integers(0, n_labels, n))
    values = [" ".join([f"mark{seen[i]}", *(f"w{k}" for k in rng.integers(0, 40, 6))]) for i in range(n)]
    return values, code


# -- features ----------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(texts)
def test_features_of_rows_do_not_depend_on_their_neighbours(values):
    together = featurise(strings(values))
    for row, value in enumerate(values):
        assert (together[row] != featurise(strings([value]))[0]).nnz == 0


@settings(deadline=None)
@given(texts)
def test_rows_have_length_one_or_are_empty(values):
    sums = np.asarray(featurise(strings(values)).power(2).sum(axis=1)).ravel()
    empty = np.array([value == "" for value in values])
    assert np.allclose(sums, np.where(empty, 0, 1))


def test_features_are_words_and_neighbouring_pairs_whatever_their_case():
    def count(value):
        return featurise(strings([value])).nnz

    assert count("a") == 1
    assert count("a b") == 3
    assert count("a b a") == 4  # a, b, a b, b a
    assert (featurise(strings(["She IS"])) != featurise(strings(["she is"]))).nnz == 0
    assert (featurise(strings(["she is"])) != featurise(strings(["is she"]))).nnz > 0


def test_copies_of_a_row_do_not_make_a_word_frequent():
    features = featurise(strings(["rare word", "rare word", "rare word", "plain", "plain", "plain"]))
    columns = frequent(features, np.array([1, 1, 1, 2, 3, 4], np.uint64), least=3)
    assert len(columns) == 1
    assert narrowed(features, columns).getnnz(axis=1).tolist() == [0, 0, 0, 1, 1, 1]


# -- the fit -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_labels", [2, 4])
def test_the_fit_is_where_the_gradient_vanishes(n_labels):
    values, code = corpus(400, n_labels=n_labels)
    weight = np.random.default_rng(1).choice([0.0, 0.5, 1.0, 9.0], 400)
    rows = make_rows(values, code, weight)
    found = fit(featurise(rows.text), rows.code, rows.weight, rows.root, n_labels=n_labels)
    x = narrowed(featurise(rows.text), found.columns).toarray()
    truth = np.eye(n_labels)[code]
    off = linear.C * weight[:, None] * (found.probabilities(featurise(rows.text)) - truth)
    off = off[:, 1:] if n_labels == 2 else off
    slack = linear.C * weight.sum() * 10 * linear.TOLERANCE
    assert found.model.converged
    assert np.abs(off.T @ x + found.model.coef).max() < slack
    assert np.abs(off.sum(axis=0)).max() < slack


def test_whole_weights_are_repeated_rows():
    values, code = corpus(200)
    weight = np.random.default_rng(2).integers(0, 4, 200)
    rows = make_rows(values, code, weight)
    again = np.repeat(np.arange(200), weight)
    one = fit(featurise(rows.text), rows.code, rows.weight, rows.root, n_labels=2)
    features = featurise(rows.text.take(pa.array(again)))
    two = fit(features, code[again], np.ones(len(again)), np.arange(len(again)).astype(np.uint64), n_labels=2)
    shared = np.intersect1d(one.columns, two.columns)
    assert len(shared) > 20
    test = featurise(strings(["mark0 w1 w2", "mark1 w3"]))
    if len(one.columns) == len(two.columns):
        assert np.allclose(one.probabilities(test), two.probabilities(test), atol=1e-4)


def test_the_order_of_the_rows_does_not_matter():
    values, code = corpus(300)
    rows = make_rows(values, code)
    order = np.random.default_rng(3).permutation(300)
    shuffled = TrainingRows(rows.text.take(pa.array(order)), code[order], rows.weight[order], rows.root[order])
    split = make_split(*corpus(100, seed=9))
    scores = [LinearTrainer(r, [split], n_labels=2).train(r, seed=5).probabilities["test"] for r in (rows, shuffled)]
    assert np.allclose(*scores, atol=1e-5)


def test_a_label_without_rows_gets_no_probability():
    values, code = corpus(100)
    found = fit(featurise(strings(values)), code, np.ones(100), np.arange(100).astype(np.uint64), n_labels=3)
    assert (found.probabilities(featurise(strings(["mark1", ""])))[:, 2] == 0).all()
    one = fit(featurise(strings(values)), code, (code == 1) * 1.0, np.arange(100).astype(np.uint64), n_labels=3)
    assert one.probabilities(featurise(strings(["mark0"]))).tolist() == [[0, 1, 0]]


def test_an_arm_without_rows_is_refused():
    values, code = corpus(20)
    with pytest.raises(InputError, match="no row to train on"):
        fit(featurise(strings(values)), code, np.zeros(20), np.arange(20).astype(np.uint64), n_labels=2)


def test_a_planted_word_is_learnt():
    values, code = corpus(600)
    rows = make_rows(values, code)
    found = LinearTrainer(rows, [make_split(["mark1 w3", "mark0 w3"], [1, 0])], n_labels=2).train(rows, seed=0)
    assert found.probabilities["test"][0, 1] > 0.7
    assert found.probabilities["test"][1, 1] < 0.3


# -- seeds -------------------------------------------------------------------------------------------------------------


def test_seeds_differ_by_the_bootstrap_alone():
    values, code = corpus(300)
    rows, split = make_rows(values, code), make_split(*corpus(50, seed=4))

    def scores(bootstrap):
        trainer = LinearTrainer(rows, [split], n_labels=2, bootstrap=bootstrap)
        return [trainer.train(rows, seed=seed).probabilities["test"] for seed in (0, 0, 1)]

    first, again, other = scores(bootstrap=True)
    assert (first == again).all()
    assert np.abs(first - other).max() > 0.01
    fixed = scores(bootstrap=False)
    assert (fixed[0] == fixed[2]).all()


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=30), st.integers(0, 5))
def test_a_row_keeps_its_number_whatever_rows_are_beside_it(keys, seed):
    root = np.array(keys, np.uint64)
    assert [counts_of(root[i : i + 1], seed=seed)[0] for i in range(len(root))] == counts_of(root, seed=seed).tolist()


def test_bootstrap_numbers_are_poisson():
    counts = counts_of(np.arange(200_000, dtype=np.uint64), seed=7)
    expected = 200_000 * np.exp(-1) / np.array([1, 1, 2, 6, 24])
    assert np.abs(np.bincount(counts.astype(int))[:5] - expected).max() < 4.5 * np.sqrt(expected.max())
    assert np.corrcoef(counts, counts_of(np.arange(200_000, dtype=np.uint64), seed=8))[0, 1] < 0.01


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_features_of_an_arm_are_those_made_from_scratch(data):
    values, code = corpus(30)
    raw = make_rows(values, code)
    trainer = LinearTrainer(raw, [], n_labels=2)
    pick = data.draw(st.lists(st.integers(0, 29), min_size=1, max_size=40))
    edited = [values[i] + (" _ new" if data.draw(st.booleans()) else "") for i in pick]
    arm = make_rows(edited, code[pick], root=raw.root[pick])
    assert (trainer.features(arm) != featurise(arm.text)).nnz == 0


def test_copies_get_keys_of_their_own_and_first_rows_keep_theirs():
    rows = make_rows(["a", "b", "a", "a"], [0, 0, 0, 0], root=[5, 6, 5, 5])
    keys = rows.keys()
    assert keys[:2].tolist() == [5, 6]
    assert len(set(keys.tolist())) == 4
    assert make_rows([], [], root=[]).keys().tolist() == []
