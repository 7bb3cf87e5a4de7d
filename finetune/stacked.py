"""Fine-tunes many runs of one encoder at once, on one device: the plain loop's schedules, a stack of weights.

A small encoder leaves a large GPU idle: of one run most of the time goes to reading weights and starting kernels. Runs
that share an architecture differ only in their numbers, so K of them are one set of batched matrix products. Each run
keeps its own rows, order, labels, weights and dropout; `train` gives what it gives in any company.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..data.config import FinetuneConfig, UpstreamConfig
from ..data.errors import InputError
from . import stacked_bert as bert
from .batches import Schedule, by_length, padded, schedule
from .checkpoint import number_of
from .encoder import LEARNT, EncoderTrainer, guessing
from .memory import trying
from .rows import Floats, Outcome, Split, TrainingRows
from .stepper import CLIP

_LOOK = 200
_WARM = 2
_ROUND = 8  # tokens that batches are padded to a multiple of
_BETAS = (0.9, 0.999)
_EPSILON = 1e-8
_SCORED_TOKENS = {"cuda": 1 << 18, "cpu": 1 << 13}


class StackedTrainer(EncoderTrainer):
    """Trains several runs of one task at once.

    Parameters
    ----------
    settings, splits, labels, raw_rows, bootstrap, upstreams
        As for `EncoderTrainer`.

    Raises
    ------
    InputError
        The model cannot be loaded, or is no plain BERT.
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
        super().__init__(settings, splits, labels=labels, raw_rows=raw_rows, bootstrap=bootstrap, upstreams=upstreams)
        shape = bert.Shape.of(self.checkpoint.model.config)
        if shape is None or not bert.fits(shape, self.checkpoint.model.state_dict()):
            kind = getattr(self.checkpoint.model.config, "model_type", "unknown")
            raise InputError(
                f'finetune.stacked: runs of "{settings.model}" (a {kind}) cannot be stacked, only those of plain BERT '
                "encoders; leave finetune.stacked out to train one run after the other"
            )
        self.shape = shape
        self.seconds: dict[str, float] = {}
        self.most: int | None = None  # runs that memory holds at once, where it did not hold a whole stack
        self._compiled: dict[str, Callable[..., Any]] = {}

    def train(
        self, rows: TrainingRows, *, seed: int, upstream: str = "pretrained", save: Path | None = None
    ) -> Outcome:
        """Train one run: a stack of one."""
        return self.train_many([(rows, seed)], upstream=upstream, saves=[save])[0]

    def train_many(
        self,
        runs: Sequence[tuple[TrainingRows, int]],
        *,
        upstream: str = "pretrained",
        saves: Sequence[Path | None] | None = None,
    ) -> list[Outcome]:
        """Train several runs at once and score every split with each.

        Parameters
        ----------
        runs : sequence of (TrainingRows, int)
            Rows of the arm, and the seed.
        upstream : str
            As for `EncoderTrainer.train`; the same for all, since it decides on rate and number of steps.
        saves : sequence of Path or None, optional
            Where to write each model.

        Returns
        -------
        list of Outcome
            In the order of `runs`. A run whose loss stops being a number fails; the others go on. Where memory does
            not hold them all, half of them are trained at once, and so on; a run is the same in any company.

        Raises
        ------
        InputError
            Memory does not hold a single run.
        """
        outcomes: list[Outcome] = []
        places = list(saves) if saves is not None else [None] * len(runs)
        told = self.told
        try:
            while len(outcomes) < len(runs):
                outcomes += trying(
                    partial(self._next, runs, places, len(outcomes), told, upstream),
                    partial(self._relieve, len(runs) - len(outcomes)),
                    "the device has too little of it for a single run; lower finetune.batch or finetune.max_tokens, or "
                    "leave finetune.stacked out: then a batch is computed in parts",
                )
        finally:
            self.told = told
        return outcomes

    def _relieve(self, runs: int) -> bool:
        """Train half as many runs at once."""
        before = min(self.most or runs, runs)
        self.most = -(-before // 2)
        return before > 1

    def _next(
        self,
        runs: Sequence[tuple[TrainingRows, int]],
        saves: Sequence[Path | None],
        at: int,
        told: Callable[[int, int], None] | None,
        upstream: str,
    ) -> list[Outcome]:
        """Train as many of the runs from place `at` on as memory holds."""
        some = slice(at, at + (self.most or len(runs)))
        n = len(runs[some])
        if told is not None:
            self.told = lambda done, total: told(round((at * total + n * done) / len(runs)), total)
        return self._together(runs[some], upstream=upstream, saves=saves[some])

    def _together(
        self, runs: Sequence[tuple[TrainingRows, int]], *, upstream: str, saves: Sequence[Path | None]
    ) -> list[Outcome]:
        settings = self.settings
        random = upstream == "random"
        epochs, lr = (settings.random_epochs, settings.random_lr) if random else (settings.epochs, settings.lr)
        begun = time.perf_counter()
        self.tokens.trim()
        plans = []
        for rows, seed in runs:
            at = self.tokens.add(rows.text)
            plans.append(
                schedule(
                    rows, at, self.tokens.length[at], seed=seed, batch=settings.batch, lr=lr, warmup=settings.warmup,
                    steps=epochs * math.ceil(self.raw_rows / settings.batch), bootstrap=self.bootstrap,
                    longest=self.tokens.max_tokens,
                )
            )  # fmt: skip
        seeds = [seed for _, seed in runs]
        states = [self.checkpoint.weights(seed=seed, upstream=upstream) for seed in seeds]
        stack = _Stack(self, states, plans, seeds)
        ready = time.perf_counter()
        means = stack.run()
        trained = time.perf_counter()
        found = {name: stack.score(where) for name, where in self.splits}
        self.seconds = {
            "prepare": ready - begun, "capture": stack.capturing, "train": trained - ready - stack.capturing,
            "score": time.perf_counter() - trained,
        }  # fmt: skip
        outcomes = []
        for k, ((rows, _), plan) in enumerate(zip(runs, plans, strict=True)):
            share = guessing(rows, len(self.names))
            record = {
                "bootstrap": self.bootstrap, "rows": rows.n, "steps": plan.steps, "epochs": round(plan.epochs, 4),
                "lr": lr, "loss": [round(float(mean[k]), 5) for mean in means], "stacked": len(runs),
                "precision": "bf16" if self.half else "float32", "graphs": stack.captured,
                "loss_of_guessing": round(share, 5), "learnt": bool(means[-1][k] < LEARNT * share),
                **self.checkpoint.described(upstream),
            }  # fmt: skip
            if self.most is not None:
                record["stacked_most"] = self.most
            bad = next((at for at, mean in enumerate(means, start=1) if not math.isfinite(mean[k])), None)
            if bad is not None:
                where = min(bad * _LOOK, plan.steps)
                outcomes.append(Outcome({}, record, f"the loss is no longer a number before step {where}"))
                continue
            own = {name: values[k] for name, values in found.items()}
            if not all(np.isfinite(values).all() for values in own.values()):
                outcomes.append(Outcome({}, record, failed="the model's scores are not numbers"))
                continue
            if saves[k] is not None:
                self._save_run(stack.state(k), saves[k])
            outcomes.append(Outcome(own, record))
        return outcomes

    def _save_run(self, state: dict[str, Any], path: Path | None) -> None:
        from ..data.files import atomic_folder

        assert path is not None
        model = self.checkpoint.model
        before = {name: value.clone() for name, value in model.state_dict().items()}
        try:
            model.load_state_dict(state, strict=False)
            with atomic_folder(path.with_suffix(".model")) as folder:
                model.save_pretrained(folder, safe_serialization=True)
                self._tokenizer.save_pretrained(folder)
        finally:
            model.load_state_dict(before)

    def compiled(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function compiled for this device, where it is a GPU; the same one for all stacks."""
        import torch

        if self.device.type != "cuda":
            return function
        if name not in self._compiled:
            self._compiled[name] = torch.compile(function)
        return self._compiled[name]


class _Stack:
    """The weights of some runs, their optimiser and their steps.

    Word embeddings are kept of those tokens only that the runs' rows hold: the others never get a gradient, so that
    decay alone changes them, and by a factor that is known in advance.
    """

    def __init__(
        self, trainer: StackedTrainer, states: Sequence[dict[str, Any]], plans: Sequence[Schedule], seeds: Sequence[int]
    ) -> None:
        import torch

        self.trainer, self.shape, self.plans = trainer, trainer.shape, plans
        self.device, self.half = trainer.device, trainer.half
        self.k = len(states)
        tokens, device, shape = trainer.tokens, trainer.device, trainer.shape
        used = [torch.unique(tokens.ids[torch.from_numpy(np.unique(plan.row)).to(device)]) for plan in plans]
        self.used = torch.unique(torch.cat(used)).long()
        self.tables = torch.stack([state[bert.TABLES["words"]] for state in states])
        self.compact = torch.full((self.tables.shape[1],), 0, dtype=torch.long, device=device)
        self.compact[self.used] = torch.arange(len(self.used), device=device)
        self.words = self.tables[:, self.used.cpu()].to(device).contiguous()
        self.matrices, self.heads, self.vectors = bert.matrices(shape), bert.heads(shape), bert.vectors(shape)
        self.tables_small = {
            name: torch.stack([state[bert.TABLES[name]] for state in states]).to(device)
            for name in ("positions", "types")
        }
        # One buffer for what is decayed and one for what is not; matrices first, since they have a copy in bf16.
        rest = [torch.stack([p.pack(s).reshape(-1) for s in states]).to(device) for p in self.heads]
        big = bert.stack(self.matrices, states, device)
        self.n_matrices = big.shape[1]
        self.decayed = torch.cat(
            [big, *rest, *(t.flatten(1) for t in self.tables_small.values()), self.words.flatten(1)], dim=1
        )
        self.plain = bert.stack(self.vectors, states, device)
        self.kind = torch.bfloat16 if self.half else torch.float32
        self._leaves()
        self.moments = [torch.zeros_like(flat) for flat in (self.decayed, self.decayed, self.plain, self.plain)]
        self.count = torch.zeros((), device=device)
        self.rate = torch.zeros((), device=device)
        self.salts = torch.tensor(
            [number_of(seed, "evenset.dropout") & 0x7FFFFFFF for seed in seeds], dtype=torch.int32, device=device
        )
        self.loss = torch.zeros(self.k, device=device)
        batch = plans[0].row.shape[1]
        self.ids = torch.zeros((self.k, batch, tokens.max_tokens), dtype=torch.int32, device=device)
        self.length = torch.ones((self.k, batch), dtype=torch.long, device=device)
        self.code = torch.zeros((self.k, batch), dtype=torch.long, device=device)
        self.weight = torch.zeros((self.k, batch), device=device)
        self.graphs: dict[int, Any] = {}
        self.captured = False
        self.capturing = 0.0

    def _leaves(self) -> None:
        """Views that gradients are asked for: of the layers' matrices in bf16, of the buffers for the rest."""
        import torch

        self.low = self.decayed[:, : self.n_matrices].to(self.kind) if self.half else self.decayed[:, : self.n_matrices]
        self.weights = bert.views(self.matrices, self.low) | bert.views(self.vectors, self.plain)
        at = self.n_matrices
        for part in self.heads:
            size = math.prod(part.shape)
            self.weights[part.name] = self.decayed[:, at : at + size].view(self.k, *part.shape)
            at += size
        for name, table in self.tables_small.items():
            size = table[0].numel()
            self.weights[name] = self.decayed[:, at : at + size].view(table.shape)
            at += size
        self.weights["words"] = self.decayed[:, at:].view(self.words.shape)
        self.names = [*(p.name for p in self.matrices), *(p.name for p in self.heads), *self.tables_small, "words",
                      *(p.name for p in self.vectors)]  # fmt: skip
        self.leaves = [self.weights[name].detach().requires_grad_() for name in self.names]
        self.n_decayed = len(self.matrices) + len(self.heads) + len(self.tables_small) + 1
        self.gradients = [
            torch.empty_like(self.decayed, dtype=self.kind if self.half else torch.float32),
            torch.empty_like(self.plain),
        ]

    def run(self) -> list[Floats]:
        """All steps; the mean loss of each run over every 200 steps."""
        import torch

        trainer, to = self.trainer, self.device
        row = torch.from_numpy(np.stack([plan.row for plan in self.plans], axis=1)).to(to)
        code = torch.from_numpy(np.stack([plan.code for plan in self.plans], axis=1)).to(to)
        weight = torch.from_numpy(np.stack([plan.weight for plan in self.plans], axis=1).astype(np.float32)).to(to)
        length = torch.from_numpy(trainer.tokens.length).to(to)
        rate = torch.from_numpy(self.plans[0].lr.astype(np.float32)).to(to)
        longest = trainer.tokens.length[np.stack([plan.row for plan in self.plans])].max(axis=(0, 2))
        tokens = np.minimum(-(-longest // _ROUND) * _ROUND, trainer.tokens.max_tokens)
        if to.type == "cuda":
            begun = time.perf_counter()
            self._capture(sorted({int(size) for size in tokens}, reverse=True))
            torch.cuda.synchronize(to)
            self.capturing = time.perf_counter() - begun
        means, last, steps = [], 0, self.plans[0].steps
        for step in range(steps):
            self.ids.copy_(trainer.tokens.ids[row[step]])
            self.length.copy_(length[row[step]])
            self.code.copy_(code[step])
            self.weight.copy_(weight[step])
            self.rate.copy_(rate[step])
            size = int(tokens[step])
            if size in self.graphs:
                self.graphs[size].replay()
            else:
                self._step(size)
            if (step + 1) % _LOOK == 0 or step + 1 == steps:
                means.append((self.loss / (step + 1 - last)).cpu().numpy().astype(np.float64))
                self.loss.zero_()
                last = step + 1
                if trainer.told is not None:
                    trainer.told(step + 1, steps)
                if not np.isfinite(means[-1]).any():
                    break
        self.graphs = {}
        return means

    def _step(self, size: int) -> None:
        import torch

        trainer = self.trainer
        ids = self.compact[self.ids[:, :, :size].long()]
        real = torch.arange(size, device=self.device) < self.length[:, :, None]
        self.count += 1
        salt = self.salts * 31 + self.count.to(torch.int32) * 0x3779B97
        own = self._loss(ids, real, salt)
        found = torch.autograd.grad(own.sum(), self.leaves)
        places = self._gradient_views()
        torch._foreach_copy_(places, list(found))
        self.loss += own.detach()
        trainer.compiled("update", _update)(
            self.decayed,
            self.plain,
            *self.moments,
            *self.gradients,
            self.count,
            self.rate,
            trainer.settings.weight_decay,
        )
        if self.half:
            self.low.copy_(self.decayed[:, : self.n_matrices])

    def _loss(self, ids: Any, real: Any, salt: Any) -> Any:
        """Loss of each run on the batch in the inputs."""
        import torch

        weights = dict(zip(self.names, self.leaves, strict=True))
        table = weights["words"]
        offset = torch.arange(self.k, device=ids.device)[:, None, None] * table.shape[1]
        words = torch.nn.functional.embedding(ids + offset, table.reshape(-1, table.shape[2]))
        layer = self.trainer.compiled("layer", bert.layer)
        return bert.losses(bert.logits(self.shape, weights, words, real, salt, layer=layer), self.code, self.weight)

    def _gradient_views(self) -> list[Any]:
        decayed, plain = self.gradients
        found, at = [], 0
        for leaf in self.leaves[: self.n_decayed]:
            size = leaf[0].numel()
            found.append(decayed[:, at : at + size].view(leaf.shape))
            at += size
        at = 0
        for leaf in self.leaves[self.n_decayed :]:
            size = leaf[0].numel()
            found.append(plain[:, at : at + size].view(leaf.shape))
            at += size
        return found

    def _capture(self, wanted: Sequence[int]) -> None:
        """Capture a step for each length. The rate is 0 meanwhile, and what it changed is put back."""
        import torch

        self.rate.zero_()
        kept = [self.decayed.clone(), self.plain.clone()]
        side, pool = torch.cuda.Stream(self.device), None
        for size in wanted:
            side.wait_stream(torch.cuda.current_stream(self.device))
            with torch.cuda.stream(side):
                for _ in range(_WARM):
                    self._step(size)
            torch.cuda.current_stream(self.device).wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool):
                self._step(size)
            pool = graph.pool()
            self.graphs[size] = graph
        self.decayed.copy_(kept[0])
        self.plain.copy_(kept[1])
        if self.half:
            self.low.copy_(self.decayed[:, : self.n_matrices])
        for moment in self.moments:
            moment.zero_()
        self.count.zero_()
        self.loss.zero_()
        self.captured = True

    # -- after training ------------------------------------------------------------------------------------------------

    def full_words(self) -> Any:
        """The whole table of word embeddings of each run, runs × vocabulary × hidden."""
        decay = float(np.prod(1 - self.plans[0].lr * self.trainer.settings.weight_decay))
        table = self.tables.to(self.device) * decay
        table[:, self.used] = self.weights["words"]
        return table

    def state(self, k: int) -> dict[str, Any]:
        """The weights of one run as the model's own tensors."""
        found = {bert.TABLES["words"]: self.full_words()[k]}
        for name in ("positions", "types"):
            found[bert.TABLES[name]] = self.weights[name][k]
        everything = {**bert.views(self.matrices, self.decayed[:, : self.n_matrices]), **self.weights}
        everything |= bert.views(self.matrices, self.decayed[:, : self.n_matrices])
        for part in (*self.matrices, *self.heads, *self.vectors):
            found |= dict(part.unpack(everything[part.name][k]))
        return {name: value.detach().cpu().clone() for name, value in found.items()}

    def score(self, where: Any) -> Floats:
        """Probabilities, runs × rows × labels, in float32: rounded to bf16, thousands of templates would tie."""
        import torch

        from .encoder import tensor_float

        tokens, longest, shape = self.trainer.tokens, self.trainer.tokens.max_tokens, self.shape
        distinct, back = np.unique(where, return_inverse=True)
        length = tokens.length[distinct]
        budget = max(1, _SCORED_TOKENS[self.device.type] // self.k)
        table = self.full_words()
        weights = {**self.weights, **bert.views(self.matrices, self.decayed[:, : self.n_matrices])}
        layer = self.trainer.compiled("layer", bert.layer)
        found = torch.empty((self.k, len(distinct), shape.labels), device=self.device)
        queue = list(by_length(length, budget=budget, longest=longest))[::-1]
        with torch.inference_mode(), tensor_float(self.device):
            while queue:
                batch = queue.pop()
                size = int(padded(length[batch].max(keepdims=True), longest)[0])
                try:
                    row = torch.from_numpy(distinct[batch]).to(self.device)
                    ids = tokens.ids[row, :size].long()
                    lengths = torch.from_numpy(length[batch]).to(self.device)
                    real = torch.arange(size, device=self.device) < lengths[:, None]
                    found[:, torch.from_numpy(batch).to(self.device)] = bert.logits(
                        shape, weights, table[:, ids], real[None], None, layer=layer
                    )
                except torch.cuda.OutOfMemoryError:
                    if len(batch) == 1:
                        raise
                    torch.cuda.empty_cache()
                    queue += [batch[len(batch) // 2 :], batch[: len(batch) // 2]]
            probabilities = torch.softmax(found.double(), dim=2).cpu().numpy()
        return np.asarray(probabilities[:, back], np.float64)


def _update(
    decayed: Any, plain: Any, m1: Any, v1: Any, m2: Any, v2: Any, g1: Any, g2: Any, count: Any, rate: Any, decay: float
) -> None:
    """Clip each run's gradient to the norm of 1, then one step of AdamW (Loshchilov and Hutter 2019)."""
    import torch

    norm = torch.sqrt(g1.float().square().sum(dim=1) + g2.square().sum(dim=1))
    scale = torch.clamp(CLIP / (norm + 1e-6), max=1.0)[:, None]
    one, two = _BETAS
    first, second = 1 - one**count, torch.sqrt(1 - two**count)
    for p, m, v, g, own in ((decayed, m1, v1, g1, decay), (plain, m2, v2, g2, 0.0)):
        clipped = g.float() * scale
        m.copy_(m * one + clipped * (1 - one))
        v.copy_(v * two + clipped.square() * (1 - two))
        p.copy_(p * (1 - rate * own) - rate / first * m / (torch.sqrt(v) / second + _EPSILON))
