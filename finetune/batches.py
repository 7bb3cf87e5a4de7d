"""Tokens of every text once, kept where the model computes; and the batches of a run, laid out before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ..data.errors import InputError
from ..data.hashing import combine, hash64, mix
from .rows import Floats, Ints, TrainingRows, counts_of

_MEGABATCH = 50
_SPARE = 200_000


class TokenStore:
    """Token ids of distinct texts as one padded matrix on the device.

    Parameters
    ----------
    tokenizer : object
        Of transformers.
    max_tokens : int
        Longer texts are cut.
    device : torch.device
    """

    def __init__(self, tokenizer: Any, *, max_tokens: int, device: Any) -> None:
        import torch

        self._tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        known = (getattr(tokenizer, "bos_token_id", None), getattr(tokenizer, "eos_token_id", None), self.pad)
        self._nothing = [next(token for token in known if token is not None)]
        self._where: dict[int, int] = {}
        self._kept = 0
        self.length = np.zeros(0, np.int64)
        self.ids = torch.zeros((0, max_tokens), dtype=torch.int32, device=device)

    def add(self, text: pa.Array) -> Ints:
        """Rows of the matrix for these texts; those that are new are tokenised."""
        import torch

        keys = hash64(text, salt="evenset.tokens").tolist()
        new: dict[int, int] = {}
        for at, key in enumerate(keys):
            if key not in self._where and key not in new:
                new[key] = at
        if new:
            texts = text.take(pa.array(list(new.values()))).to_pylist()
            found = self._tokenizer(texts, truncation=True, max_length=self.max_tokens, return_attention_mask=False)[
                "input_ids"
            ]
            # Tokenizers of decoders add nothing to a text, so that an empty one has no token at all.
            found = [ids or self._nothing for ids in found]
            length = np.array([len(ids) for ids in found], np.int64)
            matrix = np.full((len(found), self.max_tokens), self.pad, np.int32)
            matrix[np.arange(self.max_tokens) < length[:, None]] = np.concatenate(
                [np.asarray(ids, np.int32) for ids in found]
            )
            self._where |= {key: len(self.length) + at for at, key in enumerate(new)}
            self.length = np.concatenate([self.length, length])
            self.ids = torch.cat([self.ids, torch.from_numpy(matrix).to(self.ids.device)])
        return np.array([self._where[key] for key in keys], np.int64)

    def keep(self) -> None:
        """Hold on to all texts so far: `trim` lets go of later ones only."""
        self._kept = len(self.length)

    def trim(self) -> None:
        """Forget texts of former arms once they are many. Rows given out by `add` after `keep` are no longer good."""
        if len(self.length) - self._kept > _SPARE:
            self._where = {key: row for key, row in self._where.items() if row < self._kept}
            self.length = self.length[: self._kept]
            self.ids = self.ids[: self._kept].clone()


@dataclass(frozen=True, slots=True)
class Schedule:
    """All batches of a run.

    Attributes
    ----------
    row : numpy.ndarray
        Steps × batch: rows of the token store.
    code : numpy.ndarray
        Their labels.
    weight : numpy.ndarray
        Their share in the step's loss; sums to about 1 a step.
    tokens : numpy.ndarray
        Length that each step is padded to.
    lr : numpy.ndarray
        Learning rate of each step.
    epochs : float
        How often the arm's rows were seen.
    """

    row: Ints
    code: Ints
    weight: Floats
    tokens: Ints
    lr: Floats
    epochs: float

    @property
    def steps(self) -> int:
        """Number of optimiser steps."""
        return len(self.lr)


def sizes(longest: int) -> list[int]:
    """Lengths that batches are padded to: few shapes, each of which can be prepared once.

    Examples
    --------
    >>> sizes(100), sizes(256)[-3:]
    ([16, 32, 48, 64, 80, 96, 100], [128, 192, 256])
    """
    found = [*range(16, min(longest, 129), 16), *range(192, longest + 1, 64)]
    return found if found and found[-1] == longest else [*found, longest]


def padded(length: Ints, longest: int) -> Ints:
    """The length of `sizes` that each length is padded to."""
    known = np.array(sizes(longest), np.int64)
    return known[np.searchsorted(known, length, side="left")]


def schedule(
    rows: TrainingRows,
    at: Ints,
    length: Ints,
    *,
    seed: int,
    batch: int,
    steps: int,
    lr: float,
    warmup: float,
    bootstrap: bool,
    longest: int,
) -> Schedule:
    """Lay out a run: which rows are in which step, with which weight and learning rate.

    Parameters
    ----------
    rows : TrainingRows
        The arm's rows.
    at : numpy.ndarray
        Row of the token store of each training row.
    length : numpy.ndarray
        Its number of tokens.
    seed : int
        Of order and bootstrap.
    batch, steps : int
        Rows a step; number of steps, the same for all arms.
    lr, warmup : float
        Highest learning rate, and the share of steps in which it rises to it; then it falls to 0 in a line.
    bootstrap : bool
        Repeat each row a Poisson(1) number of times.
    longest : int
        Most tokens a row can have.

    Returns
    -------
    Schedule

    Raises
    ------
    InputError
        No row has a weight.

    Notes
    -----
    The order of an epoch is that of a hash of (seed, epoch, key of the row), so rows that two arms share stand in the
    same order in both. Some 50 batches at a time are sorted by length before they are cut, then dealt out again in
    hashed order: about as many padded tokens as with all rows sorted, and no epoch that goes from short to long. Which
    of the lengths comes when is the same in all runs (which rows have it is not), so that runs trained side by side
    are padded alike.
    """
    keys, pick = rows.keys(), np.flatnonzero(rows.weight > 0)
    if bootstrap:
        counts = counts_of(rows.root, seed=seed).astype(np.int64) * (rows.weight > 0)
        pick = np.repeat(np.arange(rows.n), counts)
        again = np.arange(len(pick)) - np.repeat(np.cumsum(counts) - counts, counts)
        keys = np.where(again > 0, combine(keys[pick], again.astype(np.uint64)), keys[pick])
    else:
        keys = keys[pick]
    if not len(pick):
        raise InputError("there is no row to train on: the plan dropped all rows, or gave all of them weight 0")
    mean = float(rows.weight[pick].mean())
    plan = _deal(keys, length[pick], seed=seed, steps=steps, batch=batch)
    place = pick[plan]
    rise = max(1, round(warmup * steps))
    step = np.arange(steps)
    return Schedule(
        row=at[place],
        code=rows.code[place],
        weight=rows.weight[place] / (batch * mean),
        tokens=padded(length[place].max(axis=1), longest),
        lr=lr * np.minimum((step + 1) / rise, (steps - step) / max(1, steps - rise)),
        epochs=plan.size / len(pick),
    )


def _deal(keys: Any, length: Ints, *, seed: int, steps: int, batch: int) -> Ints:
    """The rows of each step, steps × batch: one epoch after the other without a seam."""
    wanted, epoch = steps * batch, 0
    orders: list[Ints] = []
    while sum(len(order) for order in orders) < wanted:
        orders.append(np.argsort(mix(keys, salt=(seed, epoch, "evenset.order")), kind="stable"))
        epoch += 1
    stream = np.concatenate(orders)[:wanted]
    found = []
    for number, first in enumerate(range(0, wanted, batch * _MEGABATCH)):
        part = stream[first : first + batch * _MEGABATCH]
        part = part[np.argsort(length[part], kind="stable")].reshape(-1, batch)
        places = np.arange(len(part), dtype=np.uint64)
        found.append(part[np.argsort(mix(places, salt=(number, "evenset.batches")), kind="stable")])
    return np.concatenate(found)


def by_length(length: Ints, *, budget: int, longest: int) -> Sequence[Ints]:
    """Cut rows into batches of like length of at most so many padded tokens, for scoring."""
    order = np.argsort(length, kind="stable")
    size = padded(length[order], longest)
    found, first = [], 0
    while first < len(order):
        last = first + 1
        while last < len(order) and (last + 1 - first) * size[last] <= budget and size[last] == size[first]:
            last += 1
        found.append(order[first:last])
        first = last
    return found
