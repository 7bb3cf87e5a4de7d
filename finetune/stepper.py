"""A model with its optimiser on one device, reused for all runs: makes the steps of a schedule."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.config import FinetuneConfig
from ..data.errors import InputError
from .batches import Schedule, TokenStore, sizes
from .checkpoint import Checkpoint, number_of

CLIP = 1.0
"""Largest norm of a step's gradient."""

_LOOK = 200  # steps between two looks at the loss: each look makes the device wait
_WARM = 2


@dataclass(frozen=True, slots=True)
class _Inputs:
    """One step's batch, at a fixed place in the device's memory, as graphs need it."""

    ids: Any
    length: Any
    code: Any
    weight: Any


class Stepper:
    """Makes optimiser steps.

    Parameters
    ----------
    model : torch.nn.Module
        On the device; its weights are replaced at the beginning of each run.
    tokens : TokenStore
    settings : FinetuneConfig
    half : bool
        Compute in bf16 where autocast says so; weights and optimiser stay in float32.
    """

    def __init__(self, model: Any, tokens: TokenStore, settings: FinetuneConfig, *, half: bool) -> None:
        import torch

        self.model = model
        self.tokens = tokens
        self.device = tokens.ids.device
        self.half = half
        self.micro = settings.batch
        self.losses: list[float] = []
        self.graphs: dict[int, Any] = {}
        self.told: Callable[[int, int], None] | None = None
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        # Biases and the scales of norms are not decayed, as is usual for such models.
        decayed, plain = [p for p in self._parameters if p.ndim > 1], [p for p in self._parameters if p.ndim <= 1]
        cuda = self.device.type == "cuda"
        # A rate that lies on the device can change between two replays of a graph.
        self._rate: Any = torch.zeros((), device=self.device) if cuda else 0.0
        self.optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=self._rate,
            fused=cuda,
            capturable=cuda,
        )
        batch = settings.batch
        self._inputs = _Inputs(
            torch.full((batch, tokens.max_tokens), tokens.pad, dtype=torch.int32, device=self.device),
            torch.ones(batch, dtype=torch.long, device=self.device),
            torch.zeros(batch, dtype=torch.long, device=self.device),
            torch.zeros(batch, dtype=torch.float32, device=self.device),
        )
        self._loss = torch.zeros((), device=self.device)

    @classmethod
    def make(cls, checkpoint: Checkpoint, tokens: TokenStore, settings: FinetuneConfig, *, half: bool) -> Stepper:
        """Put a copy of the checkpoint's model on the device, and capture its steps where that can be."""
        stepper = cls(copy.deepcopy(checkpoint.model).to(tokens.ids.device), tokens, settings, half=half)
        if stepper.device.type == "cuda":
            stepper._capture()
        return stepper

    def run(self, plan: Schedule, weights: dict[str, Any], *, seed: int) -> str | None:
        """Train from the given weights through all steps of a schedule.

        Parameters
        ----------
        plan : Schedule
            The steps.
        weights : dict of str to torch.Tensor
            Of the model at the beginning.
        seed : int
            Of dropout.

        Returns
        -------
        str or None
            Why it stopped early, if it did.
        """
        import torch

        self.model.load_state_dict(weights)
        self.model.train()
        for state in self.optimiser.state.values():
            for value in state.values():
                value.zero_()
        self.losses = []
        self._loss.zero_()
        to = self.device
        row, length = torch.from_numpy(plan.row).to(to), torch.from_numpy(self.tokens.length[plan.row]).to(to)
        code, weight = torch.from_numpy(plan.code).to(to), torch.from_numpy(plan.weight.astype(np.float32)).to(to)
        rate = torch.from_numpy(plan.lr.astype(np.float32)).to(to)
        last = 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(number_of(seed, "evenset.dropout"))
            for step in range(plan.steps):
                torch.index_select(self.tokens.ids, 0, row[step], out=self._inputs.ids)
                self._inputs.length.copy_(length[step])
                self._inputs.code.copy_(code[step])
                self._inputs.weight.copy_(weight[step])
                self._set_rate(rate[step])
                self._step(int(plan.tokens[step]))
                if (step + 1) % _LOOK == 0 or step + 1 == plan.steps:
                    mean = float(self._loss) / (step + 1 - last)
                    self._loss.zero_()
                    last = step + 1
                    self.losses.append(mean)
                    if self.told is not None:
                        self.told(step + 1, plan.steps)
                    if not math.isfinite(mean):
                        return f"the loss is no longer a number before step {step + 1} of {plan.steps}"
        return None

    def _set_rate(self, rate: Any) -> None:
        if self.device.type == "cuda":
            self._rate.copy_(rate)
            return
        for group in self.optimiser.param_groups:
            group["lr"] = float(rate)

    def _step(self, size: int) -> None:
        """One optimiser step on the batch in the inputs, padded to `size` tokens."""
        import torch

        if size in self.graphs:
            self.graphs[size].replay()
            return
        while True:
            try:
                loss = self._gradients(size)
                break
            except torch.cuda.OutOfMemoryError:
                if self.micro == 1:
                    raise InputError(
                        "the device has too little memory for a single row; lower finetune.max_tokens, or choose a "
                        "smaller model"
                    ) from None
                # Half as many rows at a time, their gradients summed: the step stays the same.
                self.micro = -(-self.micro // 2)
                self.optimiser.zero_grad(set_to_none=True)
                torch.cuda.empty_cache()
        self._loss += loss
        self._update()

    def _gradients(self, size: int) -> Any:
        """Gradients of the batch's weighted loss, and the loss."""
        import torch

        self.optimiser.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        place = torch.arange(size, device=self.device)
        for first in range(0, len(self._inputs.code), self.micro):
            part = slice(first, first + self.micro)
            ids = self._inputs.ids[part, :size].long()
            mask = (place < self._inputs.length[part, None]).long()
            # Without a cache of casts: a graph must not keep a cast of weights that have changed since.
            cast = (
                torch.autocast(self.device.type, dtype=torch.bfloat16, cache_enabled=False)
                if self.half
                else nullcontext()
            )
            with cast:
                logits = self.model(input_ids=ids, attention_mask=mask).logits
            losses = torch.nn.functional.cross_entropy(logits.float(), self._inputs.code[part], reduction="none")
            loss = (losses * self._inputs.weight[part]).sum()
            loss.backward()
            total += loss.detach()
        return total

    def _update(self) -> None:
        import torch

        torch.nn.utils.clip_grad_norm_(self._parameters, CLIP)
        self.optimiser.step()

    def _capture(self) -> None:
        """Capture a whole step for each length that a batch can be padded to; without it steps are made one by one.

        The rate is 0 meanwhile, and each run brings its own weights and clears the optimiser.
        """
        import torch

        self.model.train()
        graphs: dict[int, Any] = {}
        pool = None
        side = torch.cuda.Stream(self.device)
        try:
            for size in sizes(self.tokens.max_tokens)[::-1]:
                side.wait_stream(torch.cuda.current_stream(self.device))
                with torch.cuda.stream(side):
                    for _ in range(_WARM):
                        self._gradients(size)
                        self._update()
                torch.cuda.current_stream(self.device).wait_stream(side)
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph, pool=pool):
                    self._loss += self._gradients(size)
                    self._update()
                pool = graph.pool()
                graphs[size] = graph
        except RuntimeError:
            # A model that looks at its data while it computes cannot be captured, nor one too large for the memory.
            torch.cuda.synchronize(self.device)
            torch.cuda.empty_cache()
            graphs = {}
        self.graphs = graphs
