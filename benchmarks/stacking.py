"""Training many runs: Hugging Face Trainer, evenset's plain loop and its stack of runs, on one GPU in one process.

Usage: python benchmarks/stacking.py CONFIG [--runs 8 16] [--trainer 1] [--plain 2] [--json FILE]

The config is that of `evenset run` (a BERT encoder, a task with test rows). Every side trains raw rows and scores all
splits; examples a second count training rows seen over everything, scoring included. Ceiling: a bf16 product of two
8192 × 8192 matrices on the same card.
"""

from __future__ import annotations

import argparse
import json
import math
import time

import numpy as np
import torch

from evenset.data.config import load
from evenset.finetune.arms import raw_rows
from evenset.finetune.batches import padded
from evenset.finetune.encoder import EncoderTrainer
from evenset.finetune.judging.metrics import auc
from evenset.finetune.stacked import StackedTrainer
from evenset.finetune.task import open_task


def now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def ceiling() -> float:
    if not torch.cuda.is_available():
        return math.nan
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    for _ in range(5):
        a @ a
    begun = now()
    for _ in range(50):
        a @ a
    return 50 * 2 * 8192**3 / (now() - begun)


def trainer_run(task, rows, settings, folder) -> tuple[float, float]:
    """Hugging Face Trainer with bf16, batches grouped by length and workers: seconds, and AUC on test."""
    from tempfile import TemporaryDirectory

    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )  # fmt: skip

    tokenizer = AutoTokenizer.from_pretrained(folder)
    cuda = torch.cuda.is_available()

    class Rows(torch.utils.data.Dataset):
        def __init__(self, text, code):
            self.ids = tokenizer(text.to_pylist(), truncation=True, max_length=settings.max_tokens)["input_ids"]
            self.code = code

        def __len__(self):
            return len(self.code)

        def __getitem__(self, at):
            return {"input_ids": self.ids[at], "labels": int(self.code[at])}

    begun = now()
    train = Rows(rows.text, rows.code)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(task.labels), dtype=torch.float32)
    with TemporaryDirectory() as place:
        arguments = TrainingArguments(
            place, per_device_train_batch_size=settings.batch, per_device_eval_batch_size=512, bf16=cuda,
            train_sampling_strategy="group_by_length", dataloader_num_workers=4 if cuda else 0,
            learning_rate=settings.lr, num_train_epochs=settings.epochs, warmup_steps=0.06,
            weight_decay=settings.weight_decay, report_to=[],
            save_strategy="no", logging_strategy="no", disable_tqdm=True, optim="adamw_torch_fused",
        )  # fmt: skip
        run = Trainer(model, arguments, train_dataset=train, data_collator=DataCollatorWithPadding(tokenizer))
        run.train()
        for split in task.splits:
            found = run.predict(Rows(split.text, split.code))  # in the order of its own sampler
            if split.name == "test":
                quality = auc(found.predictions[:, 1] - found.predictions[:, 0], found.label_ids == 1)
    return now() - begun, quality


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    parser.add_argument("--runs", type=int, nargs="*", default=[8])
    parser.add_argument("--trainer", type=int, default=1)
    parser.add_argument("--plain", type=int, default=2)
    parser.add_argument("--json")
    given = parser.parse_args()
    config = load(given.config)
    settings, task = config.finetune, open_task(config)
    rows = raw_rows(task.train, task.labels)
    steps = settings.epochs * math.ceil(rows.n / settings.batch)
    seen = steps * settings.batch
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
    kept = {"device": device, "rows": rows.n, "steps": steps,
    "scored": sum(split.n for split in task.splits), "torch": torch.__version__, "sides": []}  # fmt: skip
    top = ceiling()
    kept["ceiling_tflops"] = top / 1e12

    def say(side: str, runs: int, seconds: float, quality: list[float], **more) -> None:
        rate = runs * seen / seconds
        first = kept["sides"][0]["examples_per_second"] if kept["sides"] else rate
        found = {"side": side, "runs": runs, "seconds": seconds, "examples_per_second": rate, "auc": quality, **more}
        kept["sides"].append(found)
        print(f"{side:28s} {seconds:7.1f} s  {rate:9,.0f} examples/s  {rate / first:5.1f}x  AUC "
              f"{np.mean(quality):.4f} ({np.std(quality):.4f}) {more or ''}", flush=True)  # fmt: skip

    where = None
    labels = {"labels": task.labels, "raw_rows": rows.n}
    test = next(split for split in task.splits if split.name == "test")
    plain = EncoderTrainer(settings, task.splits, **labels)
    where = plain.checkpoint.folder
    for _ in range(given.trainer):
        seconds, quality = trainer_run(task, rows, settings, where)
        say("Hugging Face Trainer, tuned", 1, seconds, [quality])
    seconds, quality = [], []
    for seed in range(given.plain):
        begun = now()
        out = plain.train(rows, seed=seed)
        seconds.append(now() - begun)
        quality.append(auc(out.probabilities["test"][:, 1], test.code == 1))
    if seconds:
        say("plain loop", len(seconds), sum(seconds), quality, first=seconds[0])
    del plain
    stacked = StackedTrainer(settings, task.splits, **labels)
    config_ = stacked.shape
    for k in given.runs:
        for turn in range(2):
            begun = now()
            out = stacked.train_many([(rows, seed) for seed in range(k)])
            took = now() - begun
            quality = [auc(one.probabilities["test"][:, 1], test.code == 1) for one in out if one.failed is None]
            say(f"stack of {k}" + (" (first, compiles)" if not turn else ""), k, took, quality, parts=stacked.seconds)
    # Products of matrices only, forward and backward, over the tokens that are computed.
    at = stacked.tokens.add(rows.text)
    tokens = padded(stacked.tokens.length[at], stacked.tokens.max_tokens).mean()
    weights = config_.layers * (4 * config_.hidden**2 + 2 * config_.hidden * config_.inner)
    flops = 6 * weights * tokens * seen * given.runs[-1] if given.runs else 0
    if given.runs:
        training = stacked.seconds["train"]
        kept["achieved_tflops"] = flops / training / 1e12
        print(f"training alone: {flops / training / 1e12:.0f} TFLOP/s of {top / 1e12:.0f} measured on this card")
    if given.json:
        with open(given.json, "w") as handle:  # noqa: PTH123
            json.dump(kept, handle, indent=1)


if __name__ == "__main__":
    main()
