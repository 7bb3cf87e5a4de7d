"""How a gap comes about: through the group's own words, or through what else gives the group away.

A gap that is left on a copy of the test rows without the words of the axis comes from proxies. If an upstream changes
that part, it changes what the model leans on; if it changes only the other, the bias may be hidden and not gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from ..judging.decide import span
from ..judging.design import design
from ..judging.gaps import Measured
from ..judging.gaps import measure as measure_runs
from ..judging.inference import Interval
from ..judging.scores import ScoreSet
from .contrasts import At

COPY = "test.scrubbed"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Route:
    """The gap of one upstream on raw data, taken apart.

    Attributes
    ----------
    upstream : str
    gap : Interval
        On the test rows as they are.
    proxies : Interval
        On their scrubbed copies.
    words : Interval
        The first minus the second, paired by row and seed.
    change : Interval or None
        Proxies when pre-trained minus proxies here, paired by seed; None for the pre-trained upstream itself.
    sentence : str
    """

    upstream: str
    gap: Interval
    proxies: Interval
    words: Interval
    change: Interval | None
    sentence: str


def routes(scores: ScoreSet, measured: Measured, at: At, *, base: str, pretrained: str) -> tuple[Route, ...]:
    """Take the gap on raw data apart for each upstream.

    Parameters
    ----------
    scores : ScoreSet
        The runs that were measured. Without scrubbed copies of the test rows there is nothing to take apart.
    measured : Measured
        Of a tpr yardstick: templates of false-positive rates differ in nothing but the words.
    at : mapping of (upstream, plan, seed) to int
        Index of each run.
    base, pretrained : str
        Plan and upstream.

    Returns
    -------
    tuple of Route
        Empty where there are no copies.
    """
    plan = measured.design
    if plan.stick.kind != "tpr" or plan.split != "test" or COPY not in scores.items:
        return ()
    copied = replace(
        scores,
        items=_swapped(scores.items),
        score=_swapped(scores.score),
        predicted=_swapped(scores.predicted),
    )
    there = measure_runs(copied, design(copied, plan.stick), guard=measured.guard)
    if not np.array_equal(there.design.rows, plan.rows):
        return ()
    found = []
    for u in dict.fromkeys(u for u, d, _ in at if d == base):
        seeds = sorted(s for up, d, s in at if (up, d) == (u, base))
        runs = [at[u, base, s] for s in seeds]
        whole, rest = measured.hits_of(runs), there.hits_of(runs)
        gap, proxies, words = (plan.gap.interval(hits) for hits in (whole, rest, whole - rest))
        change, end = None, ""
        shared = [s for s in seeds if (pretrained, base, s) in at]
        if u != pretrained and shared:
            one, two = (there.hits_of([at[up, base, s] for s in shared]) for up in (pretrained, u))
            change = plan.gap.interval(one - two)
            end = f"; instead of {pretrained} the part of proxies moves by {span(-change)}"
        said = f"{u}: of the gap {span(gap)} proxies make {span(proxies)}, the words {span(words)}{end}"
        found.append(Route(u, gap, proxies, words, change, said))
    return tuple(found)


def _swapped(of: Mapping[str, T]) -> dict[str, T]:
    """The copy in the place of the test rows."""
    return {("test" if name == COPY else name): value for name, value in of.items() if name != "test"}
