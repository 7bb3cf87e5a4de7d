"""Which regressions of gaps on measured biases are made, of which arms, and why one cannot be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...data.errors import InputError
from ..judging.gaps import Measured
from ..judging.scores import Floats
from .cells import GapTable, Grid
from .regression import Regression, Rows, coded, regress

MIN_TARGETS = 6
"""Fewer terms or labels are no sample to regress on."""


@dataclass(frozen=True, slots=True)
class UpstreamScores:
    """Measured bias of an upstream.

    Attributes
    ----------
    scores : mapping of str to float
        By label or term; positive favours the first group (she), or is more negative.
    reliability : float
        Split-half over templates; NaN where it is not known.
    kind : str
        How it was measured.
    assumed : bool
        Whether the scores are not measured but 0, since the upstream is not pre-trained.
    """

    scores: Mapping[str, float]
    reliability: float = math.nan
    kind: str = ""
    assumed: bool = False


def regressions(
    table: GapTable,
    grid: Grid,
    dataset: Mapping[str, Mapping[str, float]],
    upstream: Mapping[str, UpstreamScores],
    base: str,
    pretrained: str,
    equivalence: float,
    repetitions: int,
    seed: int,
    measured: Measured,
) -> tuple[tuple[Regression, ...], tuple[Regression, ...], list[str]]:
    """Steed's form and the one within targets, with why one is missing."""
    ups = [u for u in grid.upstreams if u in upstream]
    plans = [d for d in grid.plans if d in dataset]
    notes: list[str] = []
    if not ups or not plans:
        lacking = "bias of the upstream" if plans else "bias of the data" if ups else "bias of data and upstream"
        return (), (), [f"no regression on measured biases: the {lacking} is not known"]
    if lost := [u for u in grid.upstreams if u not in ups]:
        notes.append(f"left out of the regressions, their bias is not known: {', '.join(lost)}")
    notes += [
        f"{u} is not pre-trained: its upstream bias is taken to be 0 for all targets"
        for u in ups
        if upstream[u].assumed
    ]
    kept = [
        i
        for i, name in enumerate(table.targets)
        if all(name in upstream[u].scores for u in ups) and all(name in dataset[d] for d in plans)
    ]
    if lost := [name for i, name in enumerate(table.targets) if i not in kept]:
        notes.append(f"left out of the regressions, a bias is not known: {', '.join(lost)}")
    if len(kept) < MIN_TARGETS:
        return (
            (),
            (),
            [f"no regression on measured biases: {len(kept)} terms or labels, fewer than {MIN_TARGETS}", *notes],
        )
    ratio = "log FPR ratio to all rows" if measured.design.stick.kind == "fpr" else "log TPR ratio"
    every = [(u, d) for u in ups for d in plans]
    reliable = [upstream[u].reliability for u in ups if not upstream[u].assumed]
    settings: dict[str, Any] = {
        "reliability": float(np.mean(reliable)) if reliable else math.nan,
        "equivalence": equivalence,
        "repetitions": repetitions,
        "seed": seed,
    }
    steed: list[Regression] = []
    within: list[Regression] = []
    forms = [("all arms", every, table.log_ratio, ratio, False)]
    if pretrained in ups and base in plans and len(every) > 1:
        forms.append((f"{base}, {pretrained} only", [(pretrained, base)], table.log_ratio, ratio, False))
    if len(every) > 1:
        gap = "FPR minus that of rows without a term" if measured.design.stick.kind == "fpr" else "TPR gap"
        forms.append(("within targets", every, table.gap, gap, True))
    for name, arms, what, response, inside in forms:
        rows = _rows(table, grid, kept, arms, what, dataset, upstream)
        try:
            made = regress(rows, name=name, response=response, within=inside, **settings)
        except InputError as error:
            notes.append(f"regression ({name}): not possible, {error}")
            continue
        (within if inside else steed).append(made)
    return tuple(steed), tuple(within), notes


def _rows(
    table: GapTable,
    grid: Grid,
    kept: Sequence[int],
    arms: Sequence[tuple[str, str]],
    what: Floats,
    dataset: Mapping[str, Mapping[str, float]],
    upstream: Mapping[str, UpstreamScores],
) -> Rows:
    names = [table.targets[i] for i in kept]
    mean = [what[[table.at[u, d, s] for s in grid.seeds]].mean(axis=0)[list(kept)] for u, d in arms]
    place = [(i, at) for i in range(len(names)) for at in range(len(arms))]
    controls = {"log rows": np.array([math.log(max(table.n[kept[i]], 1.0)) for i, _ in place])}
    # What an arm does to all targets alike is no effect of their biases; without these it is taken for one, and the
    # factor that has fewer levels gets the smaller share of it.
    for number, (u, d) in enumerate(arms[1:], 1):
        controls[f"{d}, {u}"] = np.array([float(at == number) for _, at in place])
    return Rows(
        np.array([mean[at][i] for i, at in place]),
        np.array([upstream[arms[at][0]].scores[names[i]] for i, at in place]),
        np.array([dataset[arms[at][1]][names[i]] for i, at in place]),
        controls,
        coded([i for i, _ in place]),
        coded([at for _, at in place]),
        len(arms) - 1,
    )
