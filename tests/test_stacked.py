"""Many runs at once: a stack gives what the plain loop gives, and a run is the same in any company."""

import json
import math

import numpy as np
import pytest
from test_encoder import TEST, corpus, folder, make_rows, make_split, one_thread  # noqa: F401 - fixtures

from evenset.data.config import FinetuneConfig
from evenset.data.errors import InputError

torch = pytest.importorskip("torch")


def settings(where, **more):
    return FinetuneConfig(
        model=str(where),
        epochs=3,
        batch=16,
        lr=1e-3,
        random_lr=1e-3,
        random_epochs=2,
        max_tokens=32,
        device="cpu",
        **more,
    )


def trainers(where, **more):
    from evenset.finetune.encoder import EncoderTrainer
    from evenset.finetune.stacked import StackedTrainer

    given = (settings(where, **more), [make_split(*TEST)])
    return [kind(*given, labels=["a", "b"], raw_rows=200) for kind in (EncoderTrainer, StackedTrainer)]


@pytest.fixture(scope="module")
def still(folder, tmp_path_factory):  # noqa: F811
    """The same model without dropout, whose random numbers the two loops draw differently."""
    import shutil

    path = tmp_path_factory.mktemp("still") / "model"
    shutil.copytree(folder, path)
    config = json.loads((path / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (path / "config.json").write_text(json.dumps(config))
    return path


@pytest.fixture(scope="module")
def arms():
    values, code = corpus(200)
    fewer, other = corpus(150, seed=3)
    weight = np.random.default_rng(0).uniform(0.2, 3, 150)
    return [(make_rows(values, code), 0), (make_rows(fewer, other, weight), 1), (make_rows(values, code), 2)]


@pytest.mark.parametrize("upstream", ["pretrained", "random"])
def test_a_stack_agrees_with_the_plain_loop(still, arms, upstream):
    plain, stacked = trainers(still)
    many = stacked.train_many(arms, upstream=upstream)
    for (rows, seed), found in zip(arms, many, strict=True):
        one = plain.train(rows, seed=seed, upstream=upstream)
        # float32 on both sides, sums in another order: 1e-4 of probability after 39 steps, far below any gap.
        assert np.allclose(found.probabilities["test"], one.probabilities["test"], atol=1e-4)
        assert found.record["loss"] == pytest.approx(one.record["loss"], abs=1e-4)
        assert found.record["steps"] == one.record["steps"]
    assert np.abs(many[0].probabilities["test"] - many[2].probabilities["test"]).max() > 1e-3


def test_a_run_is_the_same_in_any_company(folder, arms):  # noqa: F811
    _, stacked = trainers(folder)
    many = stacked.train_many(arms)
    for at in (1, 2):
        rows, seed = arms[at]
        alone = stacked.train(rows, seed=seed)
        assert np.allclose(alone.probabilities["test"], many[at].probabilities["test"], atol=1e-5)


def test_dropout_drops_its_share_and_keeps_the_mean(folder):  # noqa: F811
    from evenset.finetune.stacked_bert import Shape, _places, dropped

    shape = Shape(1, 32, 2, 64, 2, 64, 1e-12, 0.1, 0.1, 0.1)
    place, pair = _places(shape, 40, 24, "cpu")
    salt = torch.tensor([5, 6], dtype=torch.int32)
    for index, axes in ((place, 2), (pair, 4)):
        x = torch.ones(2, *index.shape[1:])
        out = dropped(x, index, salt.view(-1, *(1,) * axes), 0.1)
        share = (out == 0).float().flatten(1).mean(1)
        assert torch.allclose(share, torch.full((2,), 0.1), atol=4 * math.sqrt(0.09 / x[0].numel()))
        assert out.unique().numel() == 2
        # Neither runs nor neighbours share a mask.
        both = ((out[0] == 0) & (out[1] == 0)).float().mean()
        assert abs(float(both) - 0.01) < 4 * math.sqrt(0.0099 / x[0].numel())
        along = ((out[..., 1:] == 0) & (out[..., :-1] == 0)).float().mean()
        assert abs(float(along) - 0.01) < 0.004


def test_words_that_no_row_has_are_decayed_as_in_the_plain_loop(still, arms):
    plain, stacked = trainers(still, weight_decay=0.5)
    rows, seed = arms[0]
    split = make_split(["unheard of"] * 3 + TEST[0], [0, 1, 0, *TEST[1]])
    for trainer in (plain, stacked):
        trainer.splits = [(split.name, trainer.tokens.add(split.text))]
    one, other = plain.train(rows, seed=seed), stacked.train(rows, seed=seed)
    assert np.allclose(one.probabilities["test"], other.probabilities["test"], atol=1e-4)


def test_a_loss_that_is_no_number_fails_that_run_only(folder, arms, monkeypatch):  # noqa: F811
    from evenset.finetune.checkpoint import Checkpoint

    _, stacked = trainers(folder)
    true = Checkpoint.weights

    def poisoned(self, *, seed, upstream):
        state = true(self, seed=seed, upstream=upstream)
        if seed == 1:
            state["classifier.weight"] *= math.nan
        return state

    whole = stacked.train_many(arms)
    monkeypatch.setattr(Checkpoint, "weights", poisoned)
    found = stacked.train_many(arms)
    assert "no longer a number" in found[1].failed
    assert not found[1].probabilities
    for at in (0, 2):
        assert found[at].failed is None
        assert np.allclose(found[at].probabilities["test"], whole[at].probabilities["test"], atol=1e-5)


def test_a_saved_run_can_be_loaded_and_scores_the_same(folder, arms, tmp_path):  # noqa: F811
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    _, stacked = trainers(folder)
    found = stacked.train_many(arms[:2], saves=[None, tmp_path / "1"])[1]
    tokens = AutoTokenizer.from_pretrained(tmp_path / "1.model")(TEST[0], padding=True, return_tensors="pt")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "1.model").eval()
    with torch.inference_mode():
        scores = torch.softmax(model(tokens["input_ids"], tokens["attention_mask"]).logits.double(), dim=1)
    assert np.allclose(scores.numpy(), found.probabilities["test"], atol=1e-5)


def test_another_architecture_is_refused(tmp_path):
    from test_encoder import transformers

    from evenset.finetune.stacked_bert import Shape

    assert Shape.of(transformers.RobertaConfig()) is None
    assert Shape.of(transformers.BertConfig(hidden_act="relu")) is None
    assert Shape.of(transformers.BertConfig()) is not None


def test_the_refusal_says_what_to_do(folder, monkeypatch):  # noqa: F811
    from evenset.finetune import stacked_bert

    monkeypatch.setattr(stacked_bert.Shape, "of", classmethod(lambda cls, config: None))
    with pytest.raises(InputError, match=r"cannot be stacked, only those of plain BERT.*leave finetune\.stacked out"):
        trainers(folder)
