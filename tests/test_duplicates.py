"""Exact and near duplicates: planted ones are found, against brute force in plain Python."""

import itertools
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenset.audit.texts.copies import Copies, leaks, share_of, words_of
from evenset.audit.texts.duplicates import THRESHOLD, Shingles, near_duplicates
from evenset.data.tokens import tokenize

WORDS = [f"w{i}" for i in range(400)]


def strings(values):
    return pa.array(list(values), pa.large_string())


def runs(text):
    words = text.split()
    return {tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2))} if words else set()


def brute(texts):
    """Components of the graph of all pairs with a Jaccard similarity of at least the threshold."""
    sets = [runs(text) for text in texts]
    parent = list(range(len(texts)))

    def root(i):
        while parent[i] != i:
            i = parent[i]
        return i

    holders = {}
    for i, one in enumerate(sets):
        for run in one:
            holders.setdefault(run, []).append(i)
    pairs = {pair for rows in holders.values() for pair in itertools.combinations(rows, 2)}
    for i, j in pairs:
        if len(sets[i] & sets[j]) / len(sets[i] | sets[j]) >= THRESHOLD:
            a, b = sorted((root(i), root(j)))
            parent[b] = a
    return [root(i) for i in range(len(texts))]


def planted(seed, n=500, copies=150):
    draw = random.Random(seed)
    texts = [[draw.choice(WORDS) for _ in range(draw.randint(1, 50))] for _ in range(n)]
    for words in texts[:copies]:
        changed = list(words)
        for _ in range(draw.randint(0, 2)):
            changed[draw.randrange(len(changed))] = draw.choice(WORDS)
        texts.append(changed)
    draw.shuffle(texts)
    return [" ".join(words) for words in texts]


def test_near_duplicates_are_those_of_brute_force():
    found = wanted = both = 0
    for seed in range(4):
        texts = planted(seed)
        got, truth = near_duplicates(tokenize(strings(texts))), np.array(brute(texts))
        assert got.skipped == 0
        mine, theirs = got.cluster != np.arange(len(texts)), truth != np.arange(len(texts))
        found, wanted, both = found + mine.sum(), wanted + theirs.sum(), both + (got.cluster == truth)[theirs].sum()
    assert wanted > 150
    assert both / wanted > 0.99
    assert both / found > 0.99


def test_similarity_is_exact():
    texts = planted(9, n=60, copies=20)
    shingles = Shingles.of(tokenize(strings(texts)))
    pairs = np.array(list(itertools.combinations(range(len(texts)), 2)))
    wanted = [len(runs(texts[i]) & runs(texts[j])) / len(runs(texts[i]) | runs(texts[j])) for i, j in pairs]
    assert np.allclose(shingles.jaccard(pairs[:, 0], pairs[:, 1]), wanted)


def test_crowds_of_templates_are_told_from_copies():
    draw = random.Random(0)
    frame = [draw.choice(WORDS) for _ in range(12)]
    texts = [" ".join([*frame, *(draw.choice(WORDS) for _ in range(6))]) for _ in range(300)]
    texts += texts[:100]
    assert near_duplicates(tokenize(strings(texts))).cluster.tolist() == brute(texts)


def test_hidden_words_do_not_count():
    texts = [
        "she likes her own garden very much indeed and she tends it",
        "he likes his own garden very much indeed and he tends it",
    ]
    tokens = tokenize(strings(texts))
    apart = near_duplicates(tokens).cluster
    keep = np.array([word not in {"she", "he", "her", "his"} for word in tokens.folded])[tokens.ids]
    assert apart.tolist() == [0, 1]
    assert near_duplicates(tokens, keep=keep).cluster.tolist() == [0, 0]


def test_what_rows_share_joins_them_and_empty_rows_stay_alone():
    shared = np.array([7, 0, 7, 0, 0], np.uint64)
    found = near_duplicates(tokenize(strings(["one", "two", "three", "", "..."])), shared=shared)
    assert found.cluster.tolist() == [0, 1, 0, 3, 4]
    assert near_duplicates(tokenize(strings([]))).cluster.tolist() == []


# -- exact ones --------------------------------------------------------------------------------------------------------

rows_strategy = st.lists(
    st.tuples(st.sampled_from(["a b", "A b", "a  b!", "b a", "c", "", "d e f"]), st.sampled_from(["x", "y", None])),
    max_size=12,
)


def filled(rows, at=None, most=10**6):
    """Fill in one batch, or in two cut at a place."""
    copies = Copies(most=most)
    cuts = [0, len(rows)] if at is None else [0, min(at, len(rows)), len(rows)]
    for low, high in itertools.pairwise(cuts):
        text = strings(text for text, _ in rows[low:high])
        copies.add(tokenize(text), text, pa.array([label for _, label in rows[low:high]], pa.string()))
    return copies


def folded(text):
    return tuple(text.casefold().replace("!", "").split())


@settings(deadline=None)
@given(rows_strategy, st.integers(0, 12))
def test_counts_are_those_of_plain_python_however_the_rows_are_cut(rows, at):
    worded = [(text, folded(text), label) for text, label in rows if folded(text)]
    counts = filled(rows, at).counts()
    assert counts.rows == len(worded)
    assert counts.empty == len(rows) - len(worded)
    assert counts.exact.count == len(worded) - len({text for text, _, _ in worded})
    assert counts.words.count == len(worded) - len({words for _, words, _ in worded})
    by_words = {}
    for _, words, label in worded:
        if label is not None:
            by_words.setdefault(words, []).append(label)
    many = [labels for labels in by_words.values() if len(labels) > 1]
    assert (counts.conflicts.n, counts.conflicts.count) == (len(many), sum(len(set(labels)) > 1 for labels in many))


@settings(deadline=None, max_examples=30)
@given(rows_strategy, rows_strategy)
def test_merged_is_as_if_read_at_once(one, other):
    both, together = filled(one), filled([*one, *other])
    both.merge(filled(other), offset=len(one))
    assert both.counts() == together.counts()


@settings(deadline=None, max_examples=30)
@given(rows_strategy, rows_strategy)
def test_leaks_are_those_of_plain_python(train, test):
    known = {folded(text) for text, _ in train if folded(text)}
    inside = [text for text, _ in test if folded(text) in known]
    found = leaks(filled(train), filled(test))
    assert found.exact.count == len(inside)
    assert found.exact.n == sum(bool(folded(text)) for text, _ in test)
    labels = {}
    for text, label in train:
        if label is not None:
            labels.setdefault(folded(text), set()).add(label)
    judged = [(text, label) for text, label in test if label is not None and folded(text) in labels and folded(text)]
    assert found.conflicts.n == len(judged)
    assert found.conflicts.count == sum(label not in labels[folded(text)] for text, label in judged)


def test_beyond_the_cap_whole_texts_are_left_out_and_the_share_stays():
    rows = [(f"text {i % 3000}", None) for i in range(6000)]
    copies = filled(rows, most=1000)
    counts = copies.counts()
    assert counts.rows == 6000
    assert 300 < counts.searched <= 1000
    assert counts.exact.estimate == 0.5  # both copies of a text are held, or neither
    assert filled(rows, at=2500, most=1000).counts() == counts


def test_words_in_another_order_are_another_text():
    one, two, three = words_of(tokenize(strings(["a b c", "c b a", "A, b; c"])))
    assert one == three != two


@pytest.mark.parametrize("size", [1, 5])
def test_the_interval_of_a_clustered_share_covers(size):
    # Whole clusters have the property or not; the interval must know that they are not so many rows.
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        hits = (rng.random(80) < 0.3) * size
        share = share_of(hits, np.full(80, size))
        inside += share.low <= 0.3 <= share.high
    assert 0.92 <= inside / 400 <= 0.98
