"""Frozen features and a logistic head: against a fit by hand, and what nullspace projection leaves of a group."""

import json

import numpy as np
import pyarrow as pa
import pytest
from test_encoder import TEST, corpus, folder, make_rows, make_split, one_thread  # noqa: F401 - fixtures

from evenset.data.config import FinetuneConfig, UpstreamConfig, parse
from evenset.data.errors import InputError
from evenset.finetune.frozen import FrozenTrainer
from evenset.finetune.head import fit as fit_head
from evenset.finetune.rows import TrainingRows, counts_of
from evenset.finetune.upstream.nullspace import HELD_OUT, nullspace, two_sides

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("sklearn")

LEVERS = {
    "noise": UpstreamConfig(kind="noise"),
    "project": UpstreamConfig(kind="project", axis="w0-w1,w2-w3,good-bad"),
    "inlp": UpstreamConfig(kind="inlp", rounds=20),
}


def make_trainer(where, raw, **options):
    chosen = FinetuneConfig(model=str(where), frozen=True, device="cpu")
    return FrozenTrainer(chosen, raw, [make_split(*TEST)], labels=("bad", "good"), upstreams=LEVERS, **options)


def by_hand(where, texts, state=None):
    """Mean of the last layer over real tokens, one text at a time and so without padding."""
    model = transformers.BertModel.from_pretrained(where).eval()
    if state is not None:
        model.load_state_dict({k.removeprefix("bert."): v for k, v in state.items() if k.startswith("bert.")})
    tokenizer = transformers.AutoTokenizer.from_pretrained(where)
    with torch.inference_mode():
        return np.stack(
            [
                model(input_ids=torch.tensor([tokenizer(text)["input_ids"]])).last_hidden_state[0].mean(0).numpy()
                for text in texts
            ]
        )


@pytest.mark.parametrize(("upstream", "bootstrap"), [("pretrained", False), ("pretrained", True), ("noise", True)])
def test_a_head_agrees_with_scikit_learn_by_hand(folder, upstream, bootstrap, tmp_path):  # noqa: F811
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    values, code = corpus(120)
    rows = make_rows(values, code, np.random.default_rng(1).uniform(0, 3, 120))
    trainer = make_trainer(folder, rows, bootstrap=bootstrap)
    outcome = trainer.train(rows, seed=5, upstream=upstream, save=tmp_path / "5")
    weight = rows.weight * (counts_of(rows.root, seed=5) if bootstrap else 1)
    state = trainer.checkpoint.weights(seed=5, upstream=upstream)
    train, test = by_hand(folder, values, state), by_hand(folder, TEST[0], state)
    # Rows of weight 2 count as two rows: weights by repeated fits of scikit-learn itself.
    scaler = StandardScaler().fit(train, sample_weight=weight)
    model = LogisticRegression(C=0.01, tol=1e-10, max_iter=10_000)
    model.fit(scaler.transform(train), code, sample_weight=weight)
    expected = model.predict_proba(scaler.transform(test))
    assert np.allclose(outcome.probabilities["test"], expected, atol=2e-3)
    assert outcome.record["converged"]
    assert [path.name for path in tmp_path.iterdir()] == ["5.npz"]
    saved = np.load(tmp_path / "5.npz", allow_pickle=False)
    odds = ((test - saved["mean"]) / saved["scale"]) @ saved["coef"][0] + saved["intercept"][0]
    assert np.allclose(1 / (1 + np.exp(-odds)), outcome.probabilities["test"][:, 1], atol=1e-4)


def test_a_weight_of_two_is_two_rows_and_one_of_none_is_no_row(folder):  # noqa: F811
    values, code = corpus(60)
    rows, weight = make_rows(values, code), np.arange(60) % 3
    repeated = np.repeat(np.arange(60), weight)
    twice = TrainingRows(
        rows.text.take(pa.array(repeated)), code[repeated], np.ones(len(repeated)), rows.root[repeated]
    )
    trainer = make_trainer(folder, rows, bootstrap=False)
    one = trainer.train(make_rows(values, code, weight.astype(float)), seed=0).probabilities["test"]
    other = trainer.train(twice, seed=0).probabilities["test"]
    assert np.allclose(one, other, atol=1e-3)
    plain = trainer.train(rows, seed=0).probabilities["test"]
    assert np.abs(plain - one).max() > 0.01


def test_texts_are_encoded_once_by_each_set_of_weights(folder, monkeypatch):  # noqa: F811
    rows = make_rows(*corpus(50))
    trainer, encoded = make_trainer(folder, rows), []
    usual = FrozenTrainer._encode
    monkeypatch.setattr(FrozenTrainer, "_encode", lambda self, at: encoded.append(len(at)) or usual(self, at))
    texts = len({*corpus(50)[0], *TEST[0]})
    first = trainer.train(rows, seed=0).probabilities["test"]
    assert sum(encoded) == texts
    second = trainer.train(rows, seed=1).probabilities["test"]
    assert sum(encoded) == texts
    assert np.abs(first - second).max() > 1e-4  # the bootstrap
    for upstream, times in (("project", 1), ("noise", 2), ("random", 2)):
        encoded.clear()
        for seed in (0, 1, 0):
            trainer.train(rows, seed=seed, upstream=upstream)
        assert sum(encoded) == times * texts
    assert (trainer.train(rows, seed=0).probabilities["test"] == first).all()


def test_features_stay_with_their_texts_when_the_store_is_cut(folder, monkeypatch):  # noqa: F811
    from evenset.finetune import batches

    rows, other, third = (make_rows(*corpus(30, seed=at)) for at in (0, 1, 2))
    trainer = make_trainer(folder, rows, bootstrap=False)
    expected = make_trainer(folder, third, bootstrap=False).train(third, seed=0).probabilities["test"]
    trainer.train(other, seed=0)
    monkeypatch.setattr(batches, "_SPARE", 5)
    assert np.allclose(trainer.train(third, seed=0).probabilities["test"], expected, atol=1e-5)
    assert len(trainer.tokens.length) < len({*corpus(30)[0], *corpus(30, seed=1)[0], *corpus(30, seed=2)[0], *TEST[0]})


def test_one_label_and_no_rows():
    features = np.random.default_rng(0).normal(size=(5, 2))
    found = fit_head(features, np.ones(5, np.int64), np.ones(5), n_labels=3).probabilities(features)
    assert (found == [0, 1, 0]).all()
    with pytest.raises(InputError, match="no row to train on"):
        fit_head(features, np.ones(5, np.int64), np.zeros(5), n_labels=3)


# -- nullspace projection ----------------------------------------------------------------------------------------------


def planted(n=3000, width=12, share=0.5, seed=0):
    """A group along three directions that no single feature is, and something else along a fourth."""
    basis = np.linalg.qr(np.random.default_rng(7).normal(size=(width, width)))[0]
    rng = np.random.default_rng(seed)
    group, other = (rng.random(n) < share).astype(np.int64), rng.integers(0, 2, n)
    features = rng.normal(size=(n, width))
    for at, strength in enumerate((3.0, 1.0, 0.5)):
        features += strength * group[:, None] * basis[at] * (1 + 0.5 * rng.normal(size=(n, 1)))
    features += 2 * other[:, None] * basis[5]
    return features, group, other, np.arange(n, dtype=np.uint64)


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_a_linear_guesser_of_other_rows_is_left_at_chance_and_the_rest_stays(share):
    from sklearn.linear_model import LogisticRegression

    features, group, _, keys = planted(share=share)
    found = nullspace(features, group, keys, rounds=12)
    assert found.before > 0.85
    assert found.at_chance
    assert 1 <= found.rounds < 12
    assert np.allclose(found.taken @ found.taken.T, np.eye(found.rounds), atol=1e-9)
    fresh, same, other, _ = planted(share=share, seed=1)
    left = found.apply(fresh)
    half = len(left) // 2
    for target, low, high in ((same, 0.4, 0.58), (other, 0.75, 1.0)):
        model = LogisticRegression(class_weight="balanced").fit(left[:half], target[:half])
        said, true = model.predict(left[half:]), target[half:]
        assert low < np.mean([(said[true == side] == side).mean() for side in (0, 1)]) < high
    # Taking out twice takes out once.
    again = left - (left @ found.taken.T) @ found.taken
    assert np.allclose(again, left, atol=1e-9)


def test_rounds_are_at_most_as_many_as_asked_for_and_nothing_is_taken_where_nothing_is():
    features, group, _, keys = planted()
    short = nullspace(features, group, keys, rounds=1)
    assert (short.rounds, short.at_chance) == (1, False)
    none = nullspace(np.random.default_rng(3).normal(size=(4000, 5)), group.repeat(2)[:4000], np.arange(4000, dtype=np.uint64), rounds=9)  # fmt: skip  # noqa: E501
    assert none.rounds <= 1
    assert none.at_chance
    ignored = np.where(np.arange(len(group)) % 2, group, -1)
    assert nullspace(features, ignored, keys, rounds=3).rows == len(group) // 2


def test_too_few_rows_or_sides_are_said():
    features, group, _, keys = planted(60)
    with pytest.raises(InputError, match="at least 20 a side"):
        nullspace(features, group, keys, rounds=3)
    assert HELD_OUT * 60 < 40
    with pytest.raises(InputError, match="rows of two groups"):
        two_sides([("she",), (), ("she",)], "tpr")
    with pytest.raises(InputError, match="rows without one"):
        two_sides([("she",), ("he",)], "fpr")
    sides, what = two_sides([("they",)] + [("she",)] * 3 + [("he",)] * 2 + [("he", "she"), ()], "tpr")
    assert (sides.tolist(), what) == ([-1, 1, 1, 1, 0, 0, -1, -1], "he or she")


def test_inlp_takes_a_group_out_of_an_encoders_features(folder):  # noqa: F811
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    values = [" ".join(f"w{k}" for k in rng.integers(0, 30, 6)) for _ in range(600)]
    group = np.array([int("w3" in value.split() or "w4" in value.split()) for value in values])
    code = rng.integers(0, 2, 600)
    rows = make_rows(values, code)
    trainer = make_trainer(folder, rows, sides=lambda spec: (group, "with or without"))
    outcome = trainer.train(rows, seed=0, upstream="inlp")
    record = outcome.record["upstream"]
    assert record["kind"] == "inlp"
    assert record["guesser_before"] > 0.8 > record["guesser_after"]
    assert record["at_chance"]
    assert record["guessed"] == "with or without"
    taken = trainer._nullspace("inlp")
    assert trainer._nullspace("inlp") is taken
    left = taken.apply(by_hand(folder, values))
    held = LogisticRegression(class_weight="balanced").fit(left[:400], group[:400]).predict(left[400:])
    assert np.mean([(held[group[400:] == side] == side).mean() for side in (0, 1)]) < 0.65
    assert np.abs(outcome.probabilities["test"] - trainer.train(rows, seed=0).probabilities["test"]).max() > 1e-3
    with pytest.raises(InputError, match="needs the groups"):
        make_trainer(folder, rows).train(rows, seed=0, upstream="inlp")


# -- the whole way -----------------------------------------------------------------------------------------------------


def test_a_config_with_frozen_features_runs_with_all_upstreams(folder, tmp_path):  # noqa: F811
    from evenset.finetune.arms import expand
    from evenset.finetune.workshop import Workshop

    rng = np.random.default_rng(0)
    lines = ["text,label"]
    for at in range(400):
        who, label = rng.choice(["she", "he"]), rng.integers(0, 2)
        words = " ".join(f"w{k}" for k in rng.integers(0, 30, 5))
        lines.append(f"{who} {words} {('bad', 'good')[label]} {at},{('no', 'yes')[label]}")
    (tmp_path / "train.csv").write_text("\n".join(lines) + "\n")
    given = {
        "data": {"train": str(tmp_path / "train.csv"), "axes": ["pronouns"], "positive": "yes"},
        "plan": {"mask": {"step": [{"do": "scrub", "axis": "pronouns"}]}},
        "upstream": {"out": {"kind": "inlp"}, "loud": {"kind": "noise"}},
        "arm": [{"plan": "mask", "upstream": name, "placebo": False} for name in ("pretrained", "out", "loud")],
        "finetune": {"model": str(folder), "frozen": True, "seeds": 2, "screening_seeds": 0, "device": "cpu"},
        "verdict": {"measure": "tpr"},
    }
    config = parse(given)
    workshop = Workshop.open(config, tmp_path / "out")
    assert workshop.bootstrap
    jobs = expand(config)
    assert len(jobs) == 3 * 2 * 2
    for job in jobs:
        assert ("upstream" in workshop.inputs(job)) == (job.upstream != "pretrained")
        assert workshop.do(job) is None
    record = json.loads((tmp_path / "out/runs/mask/out/0.json").read_text())
    assert record["training"]["upstream"]["guessed"] == "he or she"
    assert record["training"]["pooling"] == "mean of the last layer"
    other = Workshop.open(parse(given | {"upstream": {"out": {"kind": "inlp", "rounds": 3}, "loud": {"kind": "noise", "scale": 2}}}), tmp_path / "out")  # fmt: skip  # noqa: E501
    states = {job: other.store.find(job, other.inputs(job)) for job in jobs}
    for job, state in states.items():
        assert (state.state, state.changed) == (("done", ()) if job.upstream == "pretrained" else ("stale", ("upstream",)))  # fmt: skip  # noqa: E501
