"""Frozen features and a logistic head: the encoder stays as it is, and a run takes seconds once texts are encoded.

A text's features are the mean over its real tokens of the last layer's states: what sentence encoders are made for, and
defined for decoders too. (De-Arteaga et al. 2019 and Ravfogel et al. 2020 took the first token of BERT.)
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.config import FinetuneConfig, UpstreamConfig
from ..data.errors import InputError, require
from .batches import TokenStore, by_length, padded
from .checkpoint import Checkpoint, resolve
from .encoder import device_of, tensor_float
from .head import fit
from .head import save as save_head
from .rows import Ints, Outcome, Split, TrainingRows, counts_of
from .upstream.nullspace import Nullspace, nullspace

_TOKENS = {"cuda": 1 << 17, "cpu": 1 << 13}  # a batch
_CACHE = 1 << 30  # bytes of features that are kept

Sides = Callable[[UpstreamConfig], tuple[Ints, str]]


class FrozenTrainer:
    """Trains heads on the features of an encoder that stays as it is.

    Parameters
    ----------
    settings : FinetuneConfig
    raw : TrainingRows
        The raw training rows, from which "inlp" finds what to take out.
    splits : sequence of Split
        Rows to score after each training.
    labels : sequence of str
    bootstrap : bool
        Weigh rows by Poisson(1) numbers of (seed, root): without it all seeds of an arm are one run, but for weights
        that are drawn themselves.
    upstreams : mapping of str to UpstreamConfig, optional
        Levers by name.
    sides : callable, optional
        Given a lever, on which of two sides each raw row is, and what the sides are (`upstream.nullspace.two_sides`).

    Raises
    ------
    InputError
        The model cannot be found or loaded, or the device is not there.
    """

    def __init__(
        self,
        settings: FinetuneConfig,
        raw: TrainingRows,
        splits: Sequence[Split],
        *,
        labels: Sequence[str],
        bootstrap: bool = True,
        upstreams: Mapping[str, UpstreamConfig] | None = None,
        sides: Sides | None = None,
    ) -> None:
        require("torch", extra="finetune", why="encoding texts")
        self.device = device_of(settings.device)
        self.checkpoint = Checkpoint.load(resolve(settings.model), len(labels), upstreams=upstreams)
        tokenizer = self.checkpoint.tokenizer()
        longest = min(settings.max_tokens, self.checkpoint.longest(tokenizer))
        self.tokens = TokenStore(tokenizer, max_tokens=longest, device=self.device)
        self._splits = [(split.name, self.tokens.add(split.text)) for split in splits]
        self._raw = raw
        self._raw_at = self.tokens.add(raw.text)
        self.tokens.keep()
        self._n_labels = len(labels)
        self._bootstrap = bootstrap
        self._sides = sides
        self._model = copy.deepcopy(self.checkpoint.model).to(self.device).eval()
        self._holds: tuple[str, int] | None = None
        self._cache: OrderedDict[tuple[str, int], tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]] = OrderedDict()
        self._nullspaces: dict[str, Nullspace] = {}

    def train(
        self, rows: TrainingRows, *, seed: int, upstream: str = "pretrained", save: Path | None = None
    ) -> Outcome:
        """Train a head on an arm's rows and score every split.

        Parameters
        ----------
        rows : TrainingRows
            The arm's rows.
        seed : int
            Of the bootstrap, and of weights that are drawn.
        upstream : str
            "pretrained", "random" or the name of a lever.
        save : Path, optional
            Write the head there as `.npz`.
        """
        self._trim()
        at = self.tokens.add(rows.text)
        weight = rows.weight * counts_of(rows.root, seed=seed) if self._bootstrap else rows.weight
        found: dict[str, npt.NDArray[Any]] = {
            name: self._features(upstream, seed, where) for name, where in (("", at), *self._splits)
        }
        if not all(np.isfinite(values).all() for values in found.values()):
            return Outcome({}, self.checkpoint.described(upstream), failed="the encoder's features are not numbers")
        taken = self._nullspace(upstream)
        if taken is not None:
            found = {name: taken.apply(values) for name, values in found.items()}
        head = fit(found.pop(""), rows.code, weight, n_labels=self._n_labels)
        if save is not None:
            also = (
                {} if taken is None else {f"inlp_{name}": getattr(taken, name) for name in ("mean", "scale", "taken")}
            )
            save_head(head, save.with_suffix(".npz"), **also)
        record = {
            "bootstrap": self._bootstrap, "rows": rows.n, "rows_used": int((weight > 0).sum()),
            "weight_sum": float(weight.sum()), "features": len(head.mean), "pooling": "mean of the last layer",
            "converged": head.model.converged, "iterations": head.model.iterations,
            **self.checkpoint.described(upstream),
        }  # fmt: skip
        if taken is not None:
            record["upstream"] = record["upstream"] | taken.to_dict()
        return Outcome({name: head.probabilities(values) for name, values in found.items()}, record)

    def _nullspace(self, upstream: str) -> Nullspace | None:
        """What a lever of kind "inlp" takes out: found once, from the raw rows; None for other upstreams."""
        spec = self.checkpoint.upstreams.get(upstream)
        if spec is None or spec.kind != "inlp":
            return None
        if upstream not in self._nullspaces:
            if self._sides is None:
                raise InputError(f'upstream "{upstream}": kind = "inlp" needs the groups of the training rows')
            side, guessed = self._sides(spec)
            features = self._features(upstream, 0, self._raw_at)
            self._nullspaces[upstream] = nullspace(features, side, self._raw.root, rounds=spec.rounds, guessed=guessed)
        return self._nullspaces[upstream]

    def _features(self, upstream: str, seed: int, where: Ints) -> npt.NDArray[np.float32]:
        """Features of rows of the token store; each distinct text is encoded once by each set of weights."""
        spec = self.checkpoint.upstreams.get(upstream)
        if spec is not None and spec.kind == "inlp":
            upstream, spec = "pretrained", None
        drawn = upstream == "random" or (spec is not None and spec.kind != "project")
        key = (upstream, seed if drawn else 0)
        values, known = self._cached(key)
        missing = np.unique(where[~known[where]])
        if len(missing):
            if self._holds != key:
                self._model.load_state_dict(self.checkpoint.weights(seed=seed, upstream=upstream))
                self._holds = key
            values[missing] = self._encode(missing)
            known[missing] = True
        return values[where]

    def _trim(self) -> None:
        before = len(self.tokens.length)
        self.tokens.trim()
        left = len(self.tokens.length)
        if left < before:  # what stood behind will be of other texts
            for key, (values, known) in self._cache.items():
                self._cache[key] = values[:left].copy(), known[:left].copy()

    def _cached(self, key: tuple[str, int]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Features of all rows of the token store, and which of them are known."""
        n, width = len(self.tokens.length), int(self._model.config.get_text_config().hidden_size)
        values, known = self._cache.pop(key, (np.zeros((0, width), np.float32), np.zeros(0, np.bool_)))
        if len(known) < n:
            values = np.concatenate([values, np.zeros((n - len(known), width), np.float32)])
            known = np.concatenate([known, np.zeros(n - len(known), np.bool_)])
        self._cache[key] = values, known
        while len(self._cache) > 1 and sum(one.nbytes for one, _ in self._cache.values()) > _CACHE:
            self._cache.popitem(last=False)
        return values, known

    def _encode(self, rows: Ints) -> npt.NDArray[np.float32]:
        import torch

        body = self._model.base_model
        if self._model.config.is_encoder_decoder:
            body = self._model.get_encoder()
        longest, length = self.tokens.max_tokens, self.tokens.length[rows]
        queue = list(by_length(length, budget=_TOKENS[self.device.type], longest=longest))[::-1]
        found: npt.NDArray[np.float32] | None = None
        with torch.inference_mode(), tensor_float(self.device):
            while queue:
                batch = queue.pop()
                size = int(padded(length[batch].max(keepdims=True), longest)[0])
                try:
                    ids = self.tokens.ids[torch.from_numpy(rows[batch]).to(self.device), :size].long()
                    real = torch.from_numpy(length[batch]).to(self.device)[:, None]
                    mask = torch.arange(size, device=self.device) < real
                    states = body(input_ids=ids, attention_mask=mask.long()).last_hidden_state.float()
                    # Not by multiplying: a padded place may hold what is no number.
                    own = states.masked_fill(~mask[:, :, None], 0.0).sum(dim=1) / real
                except torch.cuda.OutOfMemoryError:
                    if len(batch) == 1:
                        raise
                    torch.cuda.empty_cache()
                    queue += [batch[len(batch) // 2 :], batch[: len(batch) // 2]]
                    continue
                found = np.zeros((len(rows), own.shape[1]), np.float32) if found is None else found
                found[batch] = own.cpu().numpy()
        assert found is not None
        return found
