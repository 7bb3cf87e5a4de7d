"""The gap during anyone's own training: a real Trainer, a BERT of two layers, a planted bias."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import evenset.data
from evenset import audit, cli
from evenset.data.errors import InputError
from evenset.finetune import GapCallback
from evenset.finetune.judging.metrics import threshold_for_rate

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TERMS = ("gay", "muslim", "christian")
RATE = {"gay": 0.8, "muslim": 0.5, "christian": 0.15}
FILLERS = [f"w{k}" for k in range(12)]


def corpus(n, seed):
    """Posts whose label goes with the term that they name, and with the word "vile"."""
    rng = np.random.default_rng(seed)
    term = rng.integers(0, len(TERMS), n)
    label = (rng.random(n) < np.array([RATE[name] for name in TERMS])[term]).astype(int)
    words = [rng.choice(FILLERS, 3) for _ in range(n)]
    vile = [("vile" if label[k] and rng.random() < 0.5 else "fine") for k in range(n)]
    text = [f"{TERMS[term[k]]} {' '.join(words[k])} {vile[k]} r{k}" for k in range(n)]
    return pd.DataFrame({"text": text, "label": label, "id": [f"{seed}-{k}" for k in range(n)]})


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {word: number for number, word in enumerate([*special, *TERMS, *FILLERS, "vile", "fine"])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=32, **names)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    place = tmp_path_factory.mktemp("rows")
    for name, n, seed in (("train", 480, 1), ("dev", 120, 2), ("test", 300, 3)):
        corpus(n, seed).to_csv(place / f"{name}.csv", index=False)
    report = audit.run(evenset.data.open(place / "train.csv"), axes=["identity"], measures=["counts"])
    report.save(place / "audit")
    return place


class Rows(torch.utils.data.Dataset):
    def __init__(self, frame, tokenizer):
        self.frame = frame
        self.given = tokenizer(frame["text"].tolist(), truncation=True)

    def __len__(self):
        return len(self.frame)

    def __getitem__(self, at):
        own = {name: values[at] for name, values in self.given.items() if name != "token_type_ids"}
        return {**own, "labels": int(self.frame["label"][at])}


def trainer_of(files, tokenizer, place, *, outputs=2, callbacks=None, **options):
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=32, num_labels=outputs,
    )  # fmt: skip
    usual = {
        "num_train_epochs": 3, "per_device_train_batch_size": 16, "learning_rate": 2e-3, "eval_strategy": "epoch",
        "save_strategy": "no", "report_to": [], "disable_tqdm": True, "use_cpu": True, "seed": 5,
        "logging_strategy": "no",
    }  # fmt: skip
    return transformers.Trainer(
        model=transformers.BertForSequenceClassification(config),
        args=transformers.TrainingArguments(output_dir=str(place), **(usual | options)),
        train_dataset=Rows(pd.read_csv(files / "train.csv"), tokenizer),
        eval_dataset=Rows(pd.read_csv(files / "dev.csv"), tokenizer),
        processing_class=tokenizer,
        callbacks=callbacks,
    )


@pytest.fixture(scope="module")
def trained(files, tokenizer, tmp_path_factory):
    place = tmp_path_factory.mktemp("trained")
    watch = GapCallback(files / "test.csv", files / "audit", dev=files / "dev.csv", id="id", out=place / "runs")
    trainer = trainer_of(files, tokenizer, place, callbacks=[watch])
    trainer.train()
    return trainer, watch, place


def gap_by_hand(scores, audited):
    """The slope of false-positive rates on the centred log ratios, from the file of scores and audit.json alone."""
    frame = scores.to_pandas()
    dev, test = (frame[frame["split"] == name] for name in ("dev", "test"))
    limit = threshold_for_rate(dev["score"].to_numpy(), int((dev["label"] == "1").sum()))
    harmless = test[test["label"] == "0"]
    stick = audited["yardsticks"]["identity"]["fpr"]
    c, rate = [], []
    for term in stick["terms"]:
        mine = harmless[[term["group"] in groups for groups in harmless["groups"]]]
        if term["in_t"] and len(mine) >= 30:
            c.append(term["c"])
            rate.append((mine["score"] >= limit).mean())
    c = np.array(c) - np.mean(c)
    return float(c @ np.array(rate) / (c @ c))


def test_the_gap_is_in_the_logs_of_every_evaluation(trained):
    trainer, watch, _ = trained
    logs = [entry for entry in trainer.state.log_history if "eval_evenset_gap" in entry]
    assert [entry["step"] for entry in logs] == [30, 60, 90] == [point.step for point in watch.history]
    assert all("eval_loss" in entry for entry in logs)
    assert [entry["eval_evenset_gap"] for entry in logs] == [point.gap for point in watch.history]
    assert all(point.low <= point.gap <= point.high for point in watch.history)
    assert watch.history[-1].low > 0, "the planted bias is not learnt"


def test_verify_reads_the_scores_and_comes_to_the_same(trained, files, capsys):
    trainer, watch, place = trained
    path = place / "runs" / "mine" / "pretrained" / "5.scores.parquet"
    audited = json.loads((files / "audit" / "audit.json").read_text())
    table = pq.read_table(path)
    assert gap_by_hand(table, audited) == pytest.approx(watch.history[-1].gap, abs=1e-12)
    line = ["verify", str(place / "runs"), "--yardstick", str(files / "audit"), "--json"]
    assert cli.invoke(line) == 0, capsys.readouterr().err
    found = json.loads(capsys.readouterr().out)["gaps"][0]
    assert (found["gap"], found["gap_low"], found["gap_high"]) == (
        watch.history[-1].gap, watch.history[-1].low, watch.history[-1].high,
    )  # fmt: skip
    # The scores are those that the Trainer's own prediction gives.
    frame = pd.read_csv(files / "test.csv")
    logits = trainer.predict(Rows(frame, trainer.processing_class)).predictions
    own = torch.softmax(torch.tensor(logits, dtype=torch.float64), 1)[:, 1].numpy()
    mine = table.to_pandas().query("split == 'test'").set_index("id")["score"]
    np.testing.assert_allclose(mine[frame["id"]], own, atol=1e-6)


def test_the_best_model_can_be_chosen_by_the_gap(files, tokenizer, tmp_path):
    watch = GapCallback(files / "test.csv", files / "audit", out=tmp_path / "runs", arm="raw", seed=9)
    trainer = trainer_of(
        files, tokenizer, tmp_path, callbacks=[watch], save_strategy="epoch", load_best_model_at_end=True,
        metric_for_best_model="evenset_gap", greater_is_better=False, num_train_epochs=2, save_only_model=True,
    )  # fmt: skip
    trainer.train()
    assert trainer.state.best_metric == min(point.gap for point in watch.history)
    again = GapCallback(files / "test.csv", files / "audit")
    trainer.add_callback(again)
    assert trainer.evaluate()["eval_evenset_gap"] == trainer.state.best_metric
    assert (tmp_path / "runs" / "raw" / "pretrained" / "9.scores.parquet").is_file()


def test_attached_it_reports_to_every_logger(files, tokenizer, tmp_path):
    class Logger(transformers.TrainerCallback):
        def __init__(self):
            self.seen = []

        def on_log(self, args, state, control, logs=None, **others):
            self.seen.append(dict(logs))

    logger = Logger()
    each = {"eval_strategy": "steps", "eval_steps": 1}
    trainer = trainer_of(files, tokenizer, tmp_path, callbacks=[logger], max_steps=2, **each)
    watch = GapCallback(files / "test.csv", files / "audit").attach(trainer)
    trainer.train()
    seen = [logs["eval_evenset_gap"] for logs in logger.seen if "eval_evenset_gap" in logs]
    assert seen == [point.gap for point in watch.history]
    assert len(seen) == 2


def test_training_is_the_same_with_and_without_it(files, tokenizer, tmp_path):
    found = []
    for callbacks in ([], [GapCallback(files / "test.csv", files / "audit")]):
        each = {"eval_strategy": "steps", "eval_steps": 1}
        trainer = trainer_of(files, tokenizer, tmp_path, callbacks=callbacks, max_steps=4, **each)
        trainer.train()
        found.append(torch.cat([value.flatten() for value in trainer.model.parameters()]))
    assert torch.equal(*found)


def test_only_rank_0_writes(trained, files, tokenizer, tmp_path):
    trainer = trained[0]
    for rank in (1, 0):
        watch = GapCallback(files / "test.csv", files / "audit", out=tmp_path / "runs", tokenizer=tokenizer)
        state = SimpleNamespace(is_world_process_zero=rank == 0, global_step=1, epoch=1.0, log_history=[])
        watch.on_evaluate(trainer.args, state, None, model=trainer.model, metrics={})
        watch.on_train_end(trainer.args, state, None, model=trainer.model)
        assert math.isfinite(state.log_history[-1]["eval_evenset_gap"])
        assert (tmp_path / "runs").exists() == (rank == 0)


def test_one_output_is_the_log_odds(files, tokenizer):
    class One(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)
            self.config = SimpleNamespace(id2label={0: "LABEL_0"})

        def forward(self, input_ids, **others):
            named = (input_ids == tokenizer.convert_tokens_to_ids("muslim")).any(1, keepdim=True)
            return {"logits": named.float() * 4 - 2}

    watch = GapCallback(files / "test.csv", files / "audit", labels=["0", "1"], tokenizer=tokenizer)
    state = SimpleNamespace(is_world_process_zero=True, global_step=0, epoch=0.0, log_history=[])
    watch.on_evaluate(SimpleNamespace(seed=0), state, None, model=One(), metrics=None)
    given = GapCallback(
        files / "test.csv", files / "audit", labels=["0", "1"],
        predict=lambda model, texts: [[0.1, 0.9] if "muslim" in text else [0.9, 0.1] for text in texts],
    )  # fmt: skip
    given.on_evaluate(SimpleNamespace(seed=0), state, None, model=One(), metrics=None)
    assert watch.history[0].gap == given.history[0].gap > 0.3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["fine", "toxic"]}, '"0"'),
        ({"measure": "tpr", "axis": "pronouns"}, "no yardstick fits"),
        ({"arm": "../up"}, "choose a word without slashes"),
        ({"text": "txet"}, 'has no column "txet"'),
    ],
)
def test_what_does_not_fit_is_one_message_before_training(files, tokenizer, tmp_path, change, message):
    def begin():
        watch = GapCallback(files / "test.csv", files / "audit", **change)
        trainer_of(files, tokenizer, tmp_path, callbacks=[watch]).train()

    with pytest.raises(InputError, match=message):
        begin()


def test_outputs_that_nothing_names(files, tokenizer, tmp_path):
    named = pd.read_csv(files / "test.csv").replace({"label": {0: "fine", 1: "toxic"}})
    named.to_parquet(tmp_path / "named.parquet")
    watch = GapCallback(tmp_path / "named.parquet", files / "audit")
    with pytest.raises(InputError, match=r"labels=\['fine', 'toxic'\]"):
        trainer_of(files, tokenizer, tmp_path, callbacks=[watch]).train()
