"""Shares of what moved the gap, whether they tell it, and the sentence that says so.

One place decides whether the shares are an answer: sentence, table and figure must not differ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ..judging.gaps import Measured
from ..judging.scores import Floats
from . import factorial
from .cells import GapTable, Grid
from .shares import resampled

_WORDS = {"upstream": "pre-training", "data": "data", "interaction": "their interaction"}


@dataclass(frozen=True, slots=True)
class Shares:
    """How much of what moved the gap each factor explains.

    Attributes
    ----------
    response : str
    effects : tuple of factorial.Effect
        Upstream, data, interaction.
    chance : float
        What is left: seeds, and how they differ between arms.
    error : float
        Mean square of the rest.
    doubt : str
        Why what moved the gap cannot be told from these shares; empty where it can.
    """

    response: str
    effects: tuple[factorial.Effect, ...]
    chance: float
    error: float
    doubt: str = ""

    def of(self, name: str) -> factorial.Effect:
        """The effect of a factor."""
        return next(effect for effect in self.effects if effect.name == name)


def share_out(
    response: str,
    slope: Floats | None,
    gaps: Floats,
    c: Floats | None,
    repetitions: int,
    seed: int,
    rows: Floats | None = None,
) -> Shares | None:
    """Shares with intervals; None where nothing varies.

    Parameters
    ----------
    response : str
        What is shared out, in words.
    slope : numpy.ndarray or None
        Upstreams × plans × seeds; None: the gaps of single targets around their own means.
    gaps : numpy.ndarray
        Targets × upstreams × plans × seeds.
    c : numpy.ndarray or None
        Imbalance of the targets; None without a slope.
    repetitions, seed : int
        Of resamples and permutations.
    rows : numpy.ndarray or None
        By how much other test rows move the slope, from `redrawn`.
    """
    found = factorial.squares(gaps).pooled() if slope is None else factorial.squares(slope)
    if not float(found.total) > 1e-18:
        return None
    p = {} if slope is None else factorial.permutation_p(slope, repetitions=repetitions, seed=seed)
    spread = resampled(gaps, c, repetitions=repetitions, seed=seed, fixed=c is not None, rows=rows)
    others = {} if c is None else resampled(gaps, c, repetitions=repetitions, seed=seed)
    effects = []
    for effect in factorial.effects(found):
        low, high = _around(effect.share, spread[effect.name])
        far = _around(effect.share, others[effect.name]) if others else (math.nan, math.nan)
        effects.append(
            replace(effect, low=low, high=high, low_targets=far[0], high_targets=far[1], p=p.get(effect.name, math.nan))
        )
    return Shares(response, tuple(effects), 1 - sum(effect.share for effect in effects), float(found.error))


def _around(share: float, ends: tuple[float, float]) -> tuple[float, float]:
    # Drawing shifts what it takes off for chance a little; an interval that leaves its estimate out would mislead.
    if math.isnan(ends[0]):
        return math.nan, math.nan
    return min(ends[0], max(share, 0.0)), max(ends[1], share)


def _top(shares: Shares) -> list[str]:
    return sorted(("data", "upstream", "interaction"), key=lambda name: -shares.of(name).share)


def doubt_of(shares: Shares, slope: Floats, measured: Measured, table: GapTable, grid: Grid) -> str:
    """Why shares do not tell what moved the gap: in the sentence, the table and the figure alike; empty if they do.

    Parameters
    ----------
    shares : Shares
        Of the slope.
    slope : numpy.ndarray
        Upstreams × plans × seeds.
    measured : Measured
        The runs.
    table : GapTable
        Where they are.
    grid : Grid
        What the shares are of.
    """
    at = [table.at[u, d, s] for u in grid.upstreams for d in grid.plans for s in grid.seeds]
    facts = [measured.runs[row] for row in at]
    top = _top(shares)[0]
    if collapsed := sum(bool(fact.collapsed) for fact in facts):
        return f"{collapsed} of {len(facts)} runs are collapsed"
    if (stuck := sum(fact.saturated for fact in facts)) * 2 > len(facts):
        return f"{stuck} of {len(facts)} runs are saturated"
    if measured.design.positive is not None:
        free = np.array([fact.threshold_free for fact in facts]).reshape(slope.shape)
        if not np.isfinite(free).all():
            return "the gap without a threshold cannot be measured"
        one, two = (factorial.part(values, top) for values in (slope, free))
        if not float((one * two).sum()) > 0:
            return "it depends on the threshold: without one it moves the other way"
    if all(shares.of(name).p > 0.05 for name in factorial.FACTORS):
        return "none of the shares is more than chance makes by itself (p > .05)"
    if math.isnan(shares.of(top).low):
        return "two seeds give shares no interval"
    return "" if shares.of(top).low > 0 else "every share may be 0"


def of_others(shares: Shares, targets: int) -> list[str]:
    """How far the largest share could go were other terms or labels drawn, as a note."""
    one = shares.of(_top(shares)[0])
    if math.isnan(one.low_targets):
        return []
    return [
        f"the shares are of these {targets} terms or labels; were others drawn, that of {_WORDS[one.name]} could be "
        f"anything from {percent(one.low_targets)} to {percent(one.high_targets)} %"
    ]


def percent(value: float) -> str:
    """A share in whole per cent; "?" where it is not known."""
    return "?" if math.isnan(value) else f"{100 * max(value, 0.0):.0f}"


def sentence(shares: Shares | None, grid: Grid, why: str) -> str:
    """The answer, or that there is none.

    Parameters
    ----------
    shares : Shares or None
        Of the slope.
    grid : Grid
        What they are of.
    why : str
        Why there are no shares, where there are none.
    """
    if shares is None:
        return f"What moved the gap cannot be told: {why}."
    parts: list[str] = []
    order = _top(shares)
    words = _WORDS | ({"interaction": "the interaction of data and pre-training"} if order[0] == "interaction" else {})
    for name in order:
        effect = shares.of(name)
        between = "" if math.isnan(effect.low) else f" [{percent(effect.low)}, {percent(effect.high)}]"
        parts.append(f"{words[name]} {'explains ' * (not parts)}{percent(effect.share)} %{between}")
    size = f"{len(grid.upstreams)} upstreams × {len(grid.plans)} plans × {len(grid.seeds)} seeds"
    if shares.doubt:
        return f"What moved the gap cannot be told: {shares.doubt}. At face value {', '.join(parts)} of it ({size})."
    parts[0] = parts[0][0].upper() + parts[0][1:] + " of what moved the gap"
    return f"{', '.join(parts)}; the rest is chance ({size})."
