"""Does the data lever work when pre-trained? Effects of plans and upstreams on the gap, and differences of effects.

Each is one contrast of the runs' hits, paired by seed, with the very interval that the verdict uses: it allows for
seeds and for test rows that belong together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..judging.decide import span
from ..judging.gaps import Measured
from ..judging.inference import Interval, fieller, holm
from .ols import quantile

At = Mapping[tuple[str, str, int], int]
"""Index of the run of each (upstream, plan, seed)."""


@dataclass(frozen=True, slots=True)
class Effect:
    """A difference of gaps, or of such differences.

    Attributes
    ----------
    kind : {"data", "upstream", "interaction"}
        G(base) - G(plan) under one upstream; G(pretrained) - G(upstream) on raw data; the first when pre-trained minus
        the first under another upstream. Positive is a reduction, or a larger one when pre-trained: where the gap of an
        upstream on raw data is clearly below 0, it shrinks upwards, and its reductions are turned round.
    plan, upstream : str
    against : str
        The other upstream of an interaction.
    seeds : tuple of int
    change : Interval
    p, p_holm : float
        Two-sided, and corrected for all effects of the kind.
    share, share_low, share_high : float
        Of a data effect: part of the base gap that is gone, with Fieller's interval; NaN where the base gap may be 0.
    base : Interval or None
        The gap before: of the base under the upstream of a data effect, of the pre-trained base of the two others.
    sentence : str
    collapsed, saturated, runs : int
        How many of the runs compared are no models, or have rates that cannot move; and how many there are.
    stuck : tuple of str
        "plan, upstream" where most runs are saturated.
    free, free_low, free_high : float
        The same change without a threshold, paired by seed, with its t interval over seeds (NaN with one seed).
    has_threshold : bool
        Whether decisions hang on a threshold at all.
    """

    kind: str
    plan: str
    upstream: str
    against: str
    seeds: tuple[int, ...]
    change: Interval
    p: float
    p_holm: float = math.nan
    share: float = math.nan
    share_low: float = math.nan
    share_high: float = math.nan
    base: Interval | None = None
    sentence: str = ""
    collapsed: int = 0
    saturated: int = 0
    runs: int = 0
    stuck: tuple[str, ...] = ()
    free: float = math.nan
    free_low: float = math.nan
    free_high: float = math.nan
    has_threshold: bool = False

    def doubts(self) -> tuple[str, ...]:
        """Why nothing can be concluded from this effect, whatever its interval says; empty where nothing is wrong."""
        found = []
        if self.collapsed:
            found.append(f"{self.collapsed} of {self.runs} runs are collapsed")
        if self.stuck:
            found.append(f"most runs are saturated ({'; '.join(self.stuck)})")
        if self.has_threshold and math.isnan(self.free):
            found.append("the change without a threshold cannot be measured")
        elif self.has_threshold:
            clear = self.change.low * self.change.high > 0 or self.free_low * self.free_high > 0
            if clear and not self.free * self.change.estimate > 0:
                found.append(f"it depends on the threshold: without one the change is {self.free:+.3f}")
        return tuple(found)


def two_sided(found: Interval) -> float:
    """P of "there is no difference"; NaN where the variance is not known.

    Examples
    --------
    >>> round(two_sided(Interval(2.0, 0.04, 3.96, 1.0, 1e9, 1.0, 0.0, 9, 9)), 4)
    0.0455
    """
    below = found.p_below(0.0)
    if not found.se > 0:
        return below if math.isnan(below) else float(found.estimate == 0)
    return min(1.0, 2 * min(below, (-found).p_below(0.0)))


def data_effects(measured: Measured, at: At, *, base: str) -> tuple[Effect, ...]:
    """Reduction of the gap by each plan under each upstream, runs paired by seed."""
    found = []
    for u, d in _cells(at):
        if d != base and (seeds := _shared(at, (u, base), (u, d))):
            gap = measured.design.gap
            one, two = (measured.hits_of([at[u, plan, s] for s in seeds]) for plan in (base, d))
            before, after, moved = gap.interval(one), gap.interval(two), gap.interval(one - two)
            share = fieller(before, after, moved)
            sign = _sign(before)
            change = moved if sign > 0 else -moved
            said = f"{d}, {u}: the gap goes from {before.estimate:+.3f} by {span(-moved)}"
            found.append(
                Effect(
                    "data",
                    d,
                    u,
                    "",
                    seeds,
                    change,
                    two_sided(change),
                    math.nan,
                    *share,
                    base=before,
                    sentence=said,
                    **_soundness(measured, at, seeds, {(u, base): sign, (u, d): -sign}),
                )
            )
    return _corrected(found)


def upstream_effects(measured: Measured, at: At, *, base: str, pretrained: str) -> tuple[Effect, ...]:
    """Gap on raw data when pre-trained minus that under each other upstream, paired by seed."""
    found = []
    for u, d in _cells(at):
        if d == base and u != pretrained and (seeds := _shared(at, (pretrained, base), (u, base))):
            one, two = (measured.hits_of([at[up, base, s] for s in seeds]) for up in (pretrained, u))
            change = measured.design.gap.interval(one - two)
            said = f"{u} instead of {pretrained}, {base} data: the gap moves by {span(-change)}"
            found.append(
                Effect(
                    "upstream",
                    base,
                    u,
                    pretrained,
                    seeds,
                    change,
                    two_sided(change),
                    base=measured.design.gap.interval(one),
                    sentence=said,
                    **_soundness(measured, at, seeds, {(pretrained, base): 1.0, (u, base): -1.0}),
                )
            )
    return _corrected(found)


def interactions(measured: Measured, at: At, *, base: str, pretrained: str) -> tuple[Effect, ...]:
    """[Reduction by a plan when pre-trained] minus [its reduction under another upstream], paired by seed."""
    found = []
    gap = measured.design.gap
    for u, d in _cells(at):
        corners = ((pretrained, base), (pretrained, d), (u, base), (u, d))
        if d == base or u == pretrained or not (seeds := _shared(at, *corners)):
            continue
        raw, cured, other, other_cured = (measured.hits_of([at[up, plan, s] for s in seeds]) for up, plan in corners)
        before = gap.interval(raw)
        here, there = _sign(before), _sign(gap.interval(other))
        mine, theirs = gap.interval(here * (raw - cured)), gap.interval(there * (other - other_cured))
        change = gap.interval(here * (raw - cured) - there * (other - other_cured))
        signs = dict(zip(corners, (here, -here, -there, there), strict=True))
        found.append(
            Effect(
                "interaction",
                d,
                pretrained,
                u,
                seeds,
                change,
                two_sided(change),
                base=before,
                **_soundness(measured, at, seeds, signs),
            )
        )
        found[-1] = replace(found[-1], sentence=_worded(found[-1], mine, theirs))
    return _corrected(found)


def _sign(before: Interval) -> float:
    """Which way a gap shrinks; only one that is clearly below 0 turns it, or noise would choose it."""
    return -1.0 if before.high < 0 else 1.0


def _soundness(
    measured: Measured, at: At, seeds: Sequence[int], signs: Mapping[tuple[str, str], float]
) -> dict[str, Any]:
    """What of an effect's runs is to be known beside its interval; the signs are those of its cells."""
    cells = {cell: [measured.runs[at[*cell, s]] for s in seeds] for cell in signs}
    every = [fact for facts in cells.values() for fact in facts]
    free = np.array(
        [sum(sign * cells[cell][i].threshold_free for cell, sign in signs.items()) for i in range(len(seeds))]
    )
    half = quantile(len(free) - 1) * float(free.std(ddof=1)) / math.sqrt(len(free)) if len(free) > 1 else math.nan
    return {
        "collapsed": sum(bool(fact.collapsed) for fact in every),
        "saturated": sum(fact.saturated for fact in every),
        "runs": len(every),
        "stuck": tuple(
            f"{d}, {u}" for (u, d), facts in cells.items() if 2 * sum(fact.saturated for fact in facts) > len(facts)
        ),
        "free": float(free.mean()),
        "free_low": float(free.mean()) - half,
        "free_high": float(free.mean()) + half,
        "has_threshold": measured.design.positive is not None,
    }


def _worded(effect: Effect, mine: Interval, theirs: Interval) -> str:
    if math.isnan(effect.change.low):
        end = "one seed or one cluster: how sure this is cannot be said"
    elif effect.change.high < 0:
        end = f"it does less when {effect.upstream}"
    elif effect.change.low > 0:
        end = f"it does more when {effect.upstream}"
    else:
        end = "which of the two is larger cannot be told"
    return (
        f"{effect.plan} takes {span(mine)} off the gap when {effect.upstream} and {span(theirs)} when "
        f"{effect.against}; difference {span(effect.change)}: {end}"
    )


def _cells(at: At) -> list[tuple[str, str]]:
    return list(dict.fromkeys((u, d) for u, d, _ in at))


def _shared(at: At, *cells: tuple[str, str]) -> tuple[int, ...]:
    """Seeds that all cells have, ascending."""
    have = [{s for u, d, s in at if (u, d) == cell} for cell in cells]
    return tuple(sorted(set.intersection(*have)))


def _corrected(found: Sequence[Effect]) -> tuple[Effect, ...]:
    adjusted = holm([effect.p for effect in found])
    return tuple(replace(effect, p_holm=p) for effect, p in zip(found, adjusted, strict=True))
