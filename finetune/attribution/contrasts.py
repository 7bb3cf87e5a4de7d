"""Does the data lever work when pre-trained? Effects of plans and upstreams on the gap, and differences of effects.

Each is one contrast of the runs' hits, paired by seed, with the very interval that the verdict uses: it allows for
seeds and for test rows that belong together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..judging.decide import span
from ..judging.gaps import Measured
from ..judging.inference import Interval, fieller, holm

At = Mapping[tuple[str, str, int], int]
"""Index of the run of each (upstream, plan, seed)."""


@dataclass(frozen=True, slots=True)
class Effect:
    """A difference of gaps, or of such differences.

    Attributes
    ----------
    kind : {"data", "upstream", "interaction"}
        G(base) - G(plan) under one upstream; G(pretrained) - G(upstream) on raw data; the first when pre-trained minus
        the first under another upstream. Positive is a reduction, or a larger one when pre-trained.
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
        Of a data effect: the gap before.
    sentence : str
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
            before, after, change = gap.interval(one), gap.interval(two), gap.interval(one - two)
            share = fieller(before, after, change)
            said = f"{d}, {u}: the gap goes from {before.estimate:+.3f} by {span(-change)}"
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
            found.append(Effect("upstream", base, u, pretrained, seeds, change, two_sided(change), sentence=said))
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
        mine, theirs = gap.interval(raw - cured), gap.interval(other - other_cured)
        change = gap.interval((raw - cured) - (other - other_cured))
        found.append(Effect("interaction", d, pretrained, u, seeds, change, two_sided(change)))
        found[-1] = replace(found[-1], sentence=_worded(found[-1], mine, theirs))
    return _corrected(found)


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
