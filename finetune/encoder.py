"""Fine-tunes a Hugging Face encoder, one run after the other on one device.

A plain loop, made for many small runs: the tokens of all texts lie on the device, the batches of a run are laid out
before it begins, and on CUDA a whole step (forward, backward, clipping, AdamW) is captured once a shape as a graph and
replayed, for a small encoder spends most of its time on launching kernels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..data.config import FinetuneConfig, UpstreamConfig
from ..data.errors import InputError, require
from .batches import TokenStore, by_length, padded, schedule
from .checkpoint import Checkpoint, resolve
from .rows import Floats, Outcome, Split, TrainingRows
from .stepper import Stepper

LEARNT = 0.9
"""A run whose loss ends above this share of that of guessing by the labels' shares has hardly learnt anything."""

_SCORED_TOKENS = {"cuda": 1 << 17, "cpu": 1 << 13}


class EncoderTrainer:
    """Trains arms of one task on one device.

    Parameters
    ----------
    settings : FinetuneConfig
    splits : sequence of Split
        Rows to score after each training.
    labels : sequence of str
    raw_rows : int
        Rows of the raw training set: every arm gets as many optimiser steps as these take.
    bootstrap : bool
        Repeat rows by Poisson(1) numbers of (seed, root).
    upstreams : mapping of str to UpstreamConfig, optional
        Levers that `train` can be asked for by name.

    Raises
    ------
    InputError
        The model cannot be found or loaded, or the device is not there.
    """

    def __init__(
        self,
        settings: FinetuneConfig,
        splits: Sequence[Split],
        *,
        labels: Sequence[str],
        raw_rows: int,
        bootstrap: bool = False,
        upstreams: Mapping[str, UpstreamConfig] | None = None,
    ) -> None:
        require("torch", extra="finetune", why="fine-tuning an encoder")
        self.settings = settings
        self.bootstrap = bootstrap
        self.raw_rows = raw_rows
        self.device = device_of(settings.device)
        self.checkpoint = Checkpoint.load(resolve(settings.model), len(labels), upstreams=upstreams)
        self.names = tuple(labels)
        tokenizer = self.checkpoint.tokenizer()
        self.tokens = TokenStore(
            tokenizer, max_tokens=min(settings.max_tokens, self.checkpoint.longest(tokenizer)), device=self.device
        )
        self.splits = [(split.name, self.tokens.add(split.text)) for split in splits]
        self.tokens.keep()
        self.half = self._half()
        self._tokenizer = tokenizer
        self._stepper: Stepper | None = None
        self.told: Callable[[int, int], None] | None = None

    def _half(self) -> bool:
        import torch

        able = self.device.type == "cuda" and torch.cuda.is_bf16_supported()
        if self.settings.precision == "auto":
            return bool(able)
        return bool(self.settings.precision == "bf16")

    def train(
        self, rows: TrainingRows, *, seed: int, upstream: str = "pretrained", save: Path | None = None
    ) -> Outcome:
        """Train on an arm's rows and score every split.

        Parameters
        ----------
        rows : TrainingRows
            The arm's rows.
        seed : int
            Of head, order, dropout and, if asked for, bootstrap.
        upstream : str
            "pretrained", "random" or the name of a lever. Only random weights have a rate and a number of epochs of
            their own: whatever a lever leaves of the released weights is trained as they are.
        save : Path, optional
            Write the model there as a folder that transformers can load.

        Returns
        -------
        Outcome
            Failed where the loss stopped being a number.
        """
        settings = self.settings
        random = upstream == "random"
        epochs, lr = (settings.random_epochs, settings.random_lr) if random else (settings.epochs, settings.lr)
        self.tokens.trim()
        at = self.tokens.add(rows.text)
        plan = schedule(
            rows, at, self.tokens.length[at], seed=seed, batch=settings.batch, lr=lr, warmup=settings.warmup,
            steps=epochs * math.ceil(self.raw_rows / settings.batch), bootstrap=self.bootstrap,
            longest=self.tokens.max_tokens,
        )  # fmt: skip
        if self._stepper is None:
            self._stepper = Stepper.make(self.checkpoint, self.tokens, settings, half=self.half)
        stepper = self._stepper
        stepper.told = self.told
        broken = stepper.run(plan, self.checkpoint.weights(seed=seed, upstream=upstream), seed=seed)
        record = {
            "bootstrap": self.bootstrap, "rows": rows.n, "steps": plan.steps, "epochs": round(plan.epochs, 4), "lr": lr,
            "loss": [round(value, 5) for value in stepper.losses], "precision": "bf16" if self.half else "float32",
            "graphs": bool(stepper.graphs), "micro_batch": stepper.micro, **self.checkpoint.described(upstream),
        }  # fmt: skip
        if broken is not None:
            return Outcome({}, record, failed=broken)
        alone = guessing(rows, len(self.names))
        record |= {"loss_of_guessing": round(alone, 5), "learnt": stepper.losses[-1] < LEARNT * alone}
        found = {name: self._score(where) for name, where in self.splits}
        if not all(np.isfinite(values).all() for values in found.values()):
            return Outcome({}, record, failed="the model's scores are not numbers")
        if save is not None:
            self._save(save)
        return Outcome(found, record)

    def relieve(self) -> bool:
        """Give up the captured steps, which hold memory; steps are then made one by one, in parts where need be."""
        if self._stepper is None or not self._stepper.graphs:
            return False
        self._stepper.graphs = {}
        return True

    def _score(self, where: Any) -> Floats:
        """Probabilities of rows of the token store, in float32: rounded to bf16, thousands of templates would tie."""
        import torch

        assert self._stepper is not None
        model = self._stepper.model.eval()
        longest = self.tokens.max_tokens
        distinct, back = np.unique(where, return_inverse=True)
        length = self.tokens.length[distinct]
        found = torch.empty((len(distinct), len(self.names)), dtype=torch.float32, device=self.device)
        budget = _SCORED_TOKENS[self.device.type]
        queue = list(by_length(length, budget=budget, longest=longest))[::-1]
        with torch.inference_mode(), tensor_float(self.device):
            while queue:
                batch = queue.pop()
                size = int(padded(length[batch].max(keepdims=True), longest)[0])
                try:
                    row = torch.from_numpy(distinct[batch]).to(self.device)
                    real = torch.from_numpy(length[batch]).to(self.device)
                    ids = self.tokens.ids[row, :size].long()
                    mask = (torch.arange(size, device=self.device) < real[:, None]).long()
                    found[torch.from_numpy(batch).to(self.device)] = model(
                        input_ids=ids, attention_mask=mask
                    ).logits.float()
                except torch.cuda.OutOfMemoryError:
                    if len(batch) == 1:
                        raise
                    torch.cuda.empty_cache()
                    queue += [batch[len(batch) // 2 :], batch[: len(batch) // 2]]
            probabilities = torch.softmax(found.double(), dim=1).cpu().numpy()
        return np.asarray(probabilities[back], np.float64)

    def _save(self, path: Path) -> None:
        from ..data.files import atomic_folder

        assert self._stepper is not None
        with atomic_folder(path.with_suffix(".model")) as folder:
            self._stepper.model.save_pretrained(folder, safe_serialization=True)
            self._tokenizer.save_pretrained(folder)


def guessing(rows: TrainingRows, n_labels: int) -> float:
    """Loss of a model that knows the labels' shares and nothing else."""
    share = np.bincount(rows.code, weights=rows.weight, minlength=n_labels) / rows.weight.sum()
    return float(-(share * np.log(np.where(share > 0, share, 1.0))).sum())


def device_of(wanted: str) -> Any:
    """The device that ``finetune.device`` asks for."""
    import torch

    if wanted == "cuda" and not torch.cuda.is_available():
        raise InputError('finetune.device = "cuda", but torch sees no CUDA device here; say "auto" or "cpu"')
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


@contextmanager
def tensor_float(device: Any) -> Iterator[None]:
    """Multiply float32 matrices on tensor cores (ten bits of mantissa), for as long as this lasts."""
    import torch

    if device.type != "cuda":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
