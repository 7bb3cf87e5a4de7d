"""Leakage: the area is exact, planted proxies explain it, no bias gives one half, too little is unclear."""

import json
import math
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenset.audit.texts.auc import area_interval, midranks, stratified_auc
from evenset.audit.texts.leakage import leakage
from evenset.audit.texts.probe import Removal, folds_of, logistic, permuted
from evenset.audit.texts.sampling import Sampler, draw
from evenset.data import Dataset
from evenset.data.axes import parse_axes
from evenset.data.features import featurise, places, word_hashes
from evenset.data.hashing import combine
from evenset.data.sample import bios
from evenset.data.scan import scan


def open_bios(n, seed=0, bias=1.0):
    table, truth = bios(n, seed, bias=bias)
    return Dataset.of(table, text="text", label="label", id="id"), truth


def ask(data, axis="pronouns", most=60_000, **options):
    axes = parse_axes([axis], names=data.names)
    return leakage(draw(data, axes, most=most), axes[0], **options)


# -- the area ----------------------------------------------------------------------------------------------------------

cases = st.lists(
    st.tuples(st.integers(0, 6), st.booleans(), st.integers(0, 2), st.integers(0, 5)), min_size=1, max_size=40
)


@settings(deadline=None)
@given(cases)
def test_the_area_is_that_of_counting_pairs(rows):
    score, first, stratum, cluster = (np.array(column) for column in zip(*rows, strict=True))
    total = weight = 0.0
    for k in set(stratum.tolist()):
        ones = score[(stratum == k) & first]
        others = score[(stratum == k) & ~first]
        if min(len(ones), len(others)) < 2:
            continue
        w = len(ones) * len(others) / (len(ones) + len(others))
        total += w * np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a in ones for b in others])
        weight += w
    found = stratified_auc(score.astype(float), first, stratum, cluster)
    assert math.isnan(found.estimate) if weight == 0 else math.isclose(found.estimate, total / weight)


def test_the_variance_is_that_of_delong():
    rng = np.random.default_rng(0)
    ones, others = rng.normal(1, 1, 13), rng.normal(0, 1, 9)
    wins = (ones[:, None] > others) + 0.5 * (ones[:, None] == others)
    delong = wins.mean(axis=1).var(ddof=1) / 13 + wins.mean(axis=0).var(ddof=1) / 9
    first = np.arange(22) < 13
    found = stratified_auc(np.concatenate([ones, others]), first, np.zeros(22, int), np.arange(22))
    assert math.isclose(found.variance, delong)
    # All rows twice, as clusters of two: nothing more is known.
    twice = np.repeat(np.arange(22), 2)
    again = stratified_auc(np.concatenate([ones, others])[twice], first[twice], np.zeros(44, int), twice)
    assert math.isclose(again.estimate, found.estimate)
    assert 0.85 < again.variance / found.variance < 1


def test_midranks_are_those_of_scipy():
    from scipy.stats import rankdata

    score = np.random.default_rng(1).integers(0, 5, 50).astype(float)
    assert np.allclose(midranks(score, np.zeros(50, int)), rankdata(score))


def test_the_interval_holds_the_area_even_at_the_end():
    assert area_interval(1.0, 0.0, 40)[0] < 0.95
    assert area_interval(1.0, 0.0, 40)[1] == 1.0
    assert all(math.isnan(end) for end in area_interval(math.nan, math.nan, 40))


# -- the probe ---------------------------------------------------------------------------------------------------------


def test_the_probe_is_that_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    x = featurise(pa.array([" ".join(f"w{k}" for k in rng.integers(0, 30, 6)) for _ in range(300)]))
    x = x[:, np.flatnonzero(np.asarray(x.sum(axis=0)).ravel())]
    target = rng.random(300) < 0.5
    mine = x @ logistic(x, target, np.zeros(300), c=1.0)
    theirs = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-8).fit(x, target).decision_function(x)
    assert np.corrcoef(mine, theirs)[0, 1] > 0.995


def test_shuffles_keep_groups_within_labels_and_clusters_together():
    rng = np.random.default_rng(0)
    label, cluster = rng.integers(0, 3, 200), rng.integers(0, 120, 200)
    group = rng.random(120) < 0.4
    target, key = group[cluster], rng.integers(0, 2**63, 200).astype(np.uint64)
    shuffled = [permuted(target, label, cluster, key=key, seed=seed) for seed in range(5)]
    for one in shuffled:
        assert (np.bincount(label[one]) == np.bincount(label[target])).all()
        for name in set(zip(label.tolist(), cluster.tolist(), strict=True)):
            inside = (label == name[0]) & (cluster == name[1])
            assert len(set(one[inside].tolist())) == 1
    assert len({one.tobytes() for one in shuffled}) == 5
    order = rng.permutation(200)
    other = permuted(target[order], label[order], cluster[order], key=key[order], seed=3)
    assert (other == shuffled[3][order]).all()


def test_clusters_are_never_in_two_folds():
    rng = np.random.default_rng(0)
    cluster, key = rng.integers(0, 50, 300), rng.integers(0, 2**63, 300).astype(np.uint64)
    fold = folds_of(cluster, key)
    assert all(len(set(fold[cluster == k].tolist())) == 1 for k in range(50))
    assert set(fold.tolist()) == set(range(5))


# -- truth -------------------------------------------------------------------------------------------------------------


def test_planted_proxies_leak_and_explain_it():
    data, truth = open_bios(4000)
    planted = [proxy["word"] for proxy in truth["proxies"]]
    found = ask(data, proxies=[*planted, *truth["neutral_words"]], permutations=10)
    contrast = found.contrasts[0]
    steps = {step.name: step for step in contrast.steps}
    assert contrast.name == "she/he"
    assert steps["raw"].area.estimate > 0.99
    assert contrast.headline is steps["scrubbed"]
    assert steps["scrubbed"].area.low > 0.65
    assert steps["scrubbed"].p < 1e-4
    bare = steps["without proxies"]
    assert bare.area.low < 0.5 < bare.area.high
    assert bare.p > 0.01
    assert abs(bare.null_mean - 0.5) < 0.03
    assert contrast.label_only.low > 0.6
    assert contrast.mdl.low > 1.02
    strong = {one["word"] for one in truth["proxies"] if one["strength"] >= 1.3}
    assert {one.word for one in found.explained[:8]} == strong
    assert all(one.fall.low > 0 for one in found.explained[:8])
    assert all(one.fall.estimate < 0.004 for one in found.explained if one.word in truth["neutral_words"])
    assert json.loads(json.dumps(found.to_dict()))["contrasts"][0]["steps"][1]["name"] == "scrubbed"
    assert found.findings()[0].estimate == steps["scrubbed"].area.estimate


def test_leaving_a_word_out_is_what_scoring_without_it_gives():
    data, _ = open_bios(1500)
    question = ask(data, permutations=0, bits=False).contrasts[0].question
    probe, tokens = question.probe, question.tokens
    share, rows = Removal(tokens, question.keep, question.rows, probe).contribution("ballet")
    column = {int(name): at for at, name in enumerate(probe.columns)}
    words = word_hashes(tokens)
    count = 0
    for place, row in enumerate(question.rows.tolist()):
        inside = slice(*tokens.splits[row : row + 2])
        kept = words[inside][question.keep[inside]]
        said = [tokens.folded[k] for k in tokens.ids[inside][question.keep[inside]]]
        names = {int(places(kept[k : k + 1])[0]) for k, word in enumerate(said) if word == "ballet"}
        for k in range(len(said) - 1):
            if "ballet" in said[k : k + 2]:
                names.add(int(places(combine(kept[k : k + 1], kept[k + 1 : k + 2]))[0]))
        used = [column[name] for name in names if name in column]
        expected = probe.coef[probe.fold[place], used].sum() * probe.scale[place]
        assert math.isclose(share[place], expected, abs_tol=1e-12)
        count += "ballet" in said
    assert rows == count > 50


def test_without_bias_the_interval_holds_one_half():
    inside, ps = 0, []
    for seed in range(10):
        data, _ = open_bios(400, seed=seed, bias=0.0)
        step = ask(data, permutations=6, bits=False).contrasts[0].headline
        inside += step.area.low <= 0.5 <= step.area.high
        ps.append(step.p)
    assert inside >= 8
    assert sum(p < 0.05 for p in ps) <= 3
    assert max(ps) > 0.5


def test_copies_with_swapped_pronouns_do_not_fool_the_probe():
    # Each text once with she and once with he: nothing is left to tell, and a probe that met the twin would say the
    # opposite of the truth.
    data, _ = open_bios(800)
    table = data.source.table
    swap = {"she": "he", "her": "his", "hers": "his", "herself": "himself", "he": "she", "him": "her", "his": "her"}
    swap["himself"] = "herself"
    swap |= {word.capitalize(): other.capitalize() for word, other in swap.items()}
    twins = [re.sub(r"\w+", lambda m: swap.get(m[0], m[0]), text) for text in table["text"].to_pylist()]
    both = pa.table({"text": table["text"].to_pylist() + twins, "label": table["label"].to_pylist() * 2})
    step = ask(Dataset.of(both, text="text", label="label"), permutations=0, bits=False).contrasts[0].headline
    assert step.area.low < 0.5 < step.area.high
    assert abs(step.area.estimate - 0.5) < 0.03


def test_many_groups_are_held_against_the_rest():
    rng = np.random.default_rng(0)
    words = {"muslim": "mosque", "jewish": "rabbi", "christian": "parish", None: "town"}
    rows = []
    for _ in range(3000):
        group = [None, "muslim", "jewish", "christian"][rng.choice(4, p=[0.7, 0.1, 0.1, 0.1])]
        said = words[group] if rng.random() < 0.5 else "town"
        filler = " ".join(f"w{k}" for k in rng.integers(0, 80, 8))
        rows.append({"text": f"the {group or 'usual'} people of the {said} {filler}", "label": str(rng.integers(0, 2))})
    found = ask(Dataset.of(rows, text="text", label="label"), "identity", permutations=0, bits=False, most_groups=2)
    assert len(found.contrasts) == 2
    assert len(found.not_tested) == 1
    for contrast in found.contrasts:
        assert contrast.second is None
        assert contrast.headline.area.low > 0.6
        assert abs(contrast.label_only.estimate - 0.5) < 0.06
        assert contrast.n_second <= 5 * contrast.n_first + 40


def test_a_column_of_genders_is_scrubbed_of_pronouns_too():
    data, _ = open_bios(1500)
    found = ask(data, "column:group", permutations=0, bits=False)
    named = {contrast.first: contrast for contrast in found.contrasts}
    assert [step.name for step in named["she"].steps][:2] == ["raw", "scrubbed"]
    assert named["she"].steps[0].area.estimate > 0.99
    assert 0.6 < named["she"].steps[1].area.estimate < 0.9


# -- too little, and the sample ----------------------------------------------------------------------------------------


def test_too_few_rows_are_unclear():
    rows = [{"text": f"{'She' if i % 2 else 'He'} walks {i}", "label": "ab"[i % 4 // 2]} for i in range(60)]
    contrast = ask(Dataset.of(rows, text="text", label="label")).contrasts[0]
    assert contrast.status == "unclear"
    assert "20 independent rows" in contrast.note
    assert contrast.to_dict()["steps"] == []
    assert contrast.left_out == ("a", "b")


def test_one_person_is_one_row():
    rows = [{"text": f"{'She' if i % 2 else 'He'} walks {i}", "who": f"p{i % 6}", "label": "a"} for i in range(600)]
    alone = ask(Dataset.of(rows, text="text", label="label"), permutations=0, bits=False).contrasts[0]
    together = ask(Dataset.of(rows, text="text", label="label", cluster="who"), permutations=0).contrasts[0]
    assert alone.status is None
    assert together.status == "unclear"


def test_no_rows_and_no_labels():
    empty = ask(Dataset.of([{"text": "Nobody is here."}] * 3, text="text")).contrasts[0]
    assert empty.status == "unclear"
    data, _ = open_bios(800)
    plain = Dataset.of(pa.table({"text": data.source.table["text"]}), text="text")
    assert ask(plain, permutations=0, bits=False).contrasts[0].headline.area.low > 0.53


def test_the_sample_does_not_depend_on_order_batches_or_shards():
    data, _ = open_bios(900)
    table = data.source.table
    axes = parse_axes(["pronouns"], names=data.names)
    whole = draw(data, axes, most=200)
    order = np.random.default_rng(0).permutation(900)
    other = draw(Dataset.of(table.take(pa.array(order)), text="text", label="label", id="id"), axes, most=200)
    assert whole.text.equals(other.text)
    assert whole.label.tolist() == other.label.tolist()
    assert whole.members["pronouns"].sets() == other.members["pronouns"].sets()
    assert whole.position.tolist() == order[other.position].tolist()
    merged = Sampler(axes, most=200)
    for low in (0, 300, 600):
        part = Dataset.of(table.slice(low, 300), text="text", label="label", id="id")
        shard = Sampler(axes, most=200)
        for scanned in scan(part, axes):
            shard.add(scanned)
        merged.merge(shard, offset=low)
    rows = merged.rows()
    assert rows.text.equals(whole.text)
    assert rows.position.tolist() == whole.position.tolist()
    assert rows.uniform.sum() == 200
    assert rows.total == 900
    assert table["text"].take(pa.array(rows.position)).to_pylist() == rows.text.to_pylist()


@pytest.mark.slow
def test_intervals_cover_one_half_in_a_hundred_seeds():
    found = []
    for seed in range(100):
        data, _ = open_bios(300, seed=1000 + seed, bias=0.0)
        found.append(ask(data, permutations=0, bits=False).contrasts[0].headline.area)
    assert 0.91 <= np.mean([area.low <= 0.5 <= area.high for area in found]) <= 1.0
    assert abs(np.mean([area.estimate for area in found]) - 0.5) < 0.02
