"""How many proxies must go until the text tells the group no better than a target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...data.config import ScrubStep
from ..prepare import Prepared
from .proxy_words import matcher_of
from .scrub import Scrub

if TYPE_CHECKING:
    from ...audit.texts.hiding import Hiding
    from ...audit.texts.leakage import Estimate

MOST_ROWS = 20_000
"""Rows on which leakage is measured: each number of proxies that is tried takes fitting a probe to them."""

LEAST_HALVED = 2_000
"""Rows from which on one half of the sample chooses the number of proxies, and the other half says the leakage."""

_SALT = "evenset.leakage.half"


@dataclass(frozen=True, slots=True)
class Fewest:
    """The fewest proxies that reach a target.

    Attributes
    ----------
    target : float
    words : int
        How many go.
    area : Estimate
        Leakage with these gone: the AUC within labels of the contrast that leaks most. Where `halved`, on rows that did
        not choose the number.
    contrast : str
    met : bool
        By `area`.
    tried : tuple of (int, float)
        Numbers of proxies that were tried, and the AUC with each on the rows that chose.
    note : str
    halved : bool
        Whether other rows chose the number than those that `area` is of.
    """

    target: float
    words: int
    area: Estimate
    contrast: str
    met: bool
    tried: tuple[tuple[int, float], ...]
    note: str
    halved: bool

    def to_dict(self) -> dict[str, Any]:
        """For the report."""
        from ...audit.findings import rounded

        return {
            "target": self.target,
            **self.area.to_dict(),
            "contrast": self.contrast,
            "met": self.met,
            "halved": self.halved,
            "tried": [[words, rounded(area)] for words, area in self.tried],
        }


def fewest(prepared: Prepared, step: ScrubStep, scrub: Scrub, words: Sequence[tuple[str, str]]) -> Fewest:
    """The fewest of some words, strongest first, with which the leakage is at most the step's target.

    Notes
    -----
    0, 1, 2, 4, … words are tried until the target is met, and then those between by halving; so it is the fewest as
    long as more words never leak more. On a sample of the rows that depends on their texts alone; near duplicates and
    folds too, so every seed gets the same words.

    An AUC on the rows that chose the number is too low. So from 2,000 rows in the sample on, one half of it (persons
    and near duplicates together, by the hashes of their rows' keys) chooses the number, and AUC, interval and whether
    the target is met are those of the other half; with fewer rows, or where a half cannot be measured, all rows do
    both, and the note says so. Proxies that were found in these very rows were found in both halves, so on fresh rows
    the AUC may still be somewhat higher; an audit of other data has no such part in it.
    """
    target = step.leakage
    assert target is not None
    name = (
        "leakage", step.axis, tuple(words), target, scrub.own, scrub.groups, tuple(step.inside),
        step.ambiguous, step.audit,
    )  # fmt: skip
    found: Fewest = prepared.remembered(name, lambda: _fewest(prepared, step, scrub, words, target))
    return found


def _fewest(
    prepared: Prepared, step: ScrubStep, scrub: Scrub, words: Sequence[tuple[str, str]], target: float
) -> Fewest:
    from threadpoolctl import threadpool_limits

    axis = prepared.axes[step.axis]
    with threadpool_limits(limits=1):
        sample = _sample(prepared, step)
        halves = _halves(sample) if sample.rows.n >= LEAST_HALVED else None

        def leaking(k: int, rows: Hiding) -> tuple[Estimate, str]:
            hidden = replace(scrub, mask=None, proxies=matcher_of(axis.name, words[:k]))
            return _worst(rows, hidden, tuple(step.inside))

        if halves is not None and any(math.isnan(leaking(0, half)[0].estimate) for half in halves):
            halves = None
        choosing = sample if halves is None else halves[0]
        areas: dict[int, tuple[Estimate, str]] = {}

        def reaches(k: int) -> bool:
            if k not in areas:
                areas[k] = leaking(k, choosing)
            return areas[k][0].estimate <= target

        known = not math.isnan(_first(reaches, areas))
        best = _search(reaches, len(words)) if known else None
        chosen = best if best is not None else min(areas, key=lambda k: (areas[k][0].estimate, k))
        area, contrast = areas[chosen] if halves is None else leaking(chosen, halves[1])
    tried = tuple((k, areas[k][0].estimate) for k in sorted(areas))
    if not known:
        said = "leakage cannot be measured (too few rows of either group within a label), so all proxies are taken out"
        return Fewest(target, len(words), area, contrast, met=False, tried=tried, note=said, halved=False)
    met = area.estimate <= target
    found = f"{_said(area)} ({contrast})"
    if best is not None and met:
        said = f"leakage = {target:g} is met by {best} of {len(words)} proxies: {found}"
    elif best is not None:
        said = (
            f"leakage = {target:g} is met by {best} of {len(words)} proxies on the rows that chose the number (AUC "
            f"{areas[best][0].estimate:.3f}), but not on the others: {found}"
        )
    else:
        said = (
            f"leakage = {target:g} was not reached with the proxies that the audit lists ({len(words)}): nearest is "
            f"{found} with {chosen} gone, which is done"
        )
    if halves is not None:
        said += "; half of the sample chose the number, and the AUC is of the other half"
    else:
        said += "; the same rows chose the number and give the AUC, which is too low for it: too few rows for halves"
    return Fewest(target, chosen, area, contrast, met=met, tried=tried, note=said, halved=halves is not None)


def _halves(sample: Hiding) -> tuple[Hiding, Hiding]:
    """Two halves of a sample, whole persons and near duplicates in either: those that choose, and those that judge."""
    from ...data.hashing import mix

    of = np.unique(sample.cluster, return_inverse=True)[1].reshape(-1)
    least = np.full(int(of.max(initial=-1)) + 1, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(least, of, sample.rows.key)
    first = (mix(least, salt=_SALT)[of] & np.uint64(1)) == 0
    one, other = (
        replace(sample, chosen=tuple((where[half[where]], target[half[where]]) for where, target in sample.chosen))
        for half in (first, ~first)
    )
    return one, other


def _first(reaches: Any, areas: dict[int, tuple[Estimate, str]]) -> float:
    reaches(0)
    return areas[0][0].estimate


def _search(reaches: Any, most: int) -> int | None:
    """The smallest number of words that reaches the target: by doubling, then by halving."""
    if reaches(0):
        return 0
    low, high = 0, 1
    while high < most and not reaches(high):
        low, high = high, 2 * high
    high = min(high, most)
    if not most or not reaches(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


def _sample(prepared: Prepared, step: ScrubStep) -> Hiding:
    from ...audit.texts.gender_checks import matched
    from ...audit.texts.hiding import hiding
    from ...audit.texts.sampling import draw

    axis = prepared.axes[step.axis]

    def make() -> Hiding:
        from ...data.match import Matcher

        # Twice as many, for each half measures alone.
        rows = draw(prepared.dataset, [axis], most=2 * MOST_ROWS)
        keep = np.ones(rows.tokens.n, np.bool_)
        for lexicon in axis.lexicons():
            keep &= ~matched(rows.tokens, Matcher(lexicon))
        return hiding(rows, axis, keep=keep, most_rows=2 * MOST_ROWS)

    found: Hiding = prepared.remembered(("leakage sample", axis.name), make)
    return found


def _worst(sample: Hiding, scrub: Scrub, inside: tuple[str, ...]) -> tuple[Estimate, str]:
    """Leakage of the contrast that leaks most, with the places hidden that the step would take out."""
    from .protected import shield

    tokens = sample.tokens
    _, token, length = scrub.places(tokens, scrub.matcher.find(tokens)).free(tokens, shield(tokens, inside))
    keep = np.ones(tokens.n, np.bool_)
    for k in range(int(length.max(initial=0))):
        keep[token[length > k] + k] = False
    found = [(one.steps[0].area, one.name) for one in sample.areas(keep) if one.steps]
    known = [one for one in found if not math.isnan(one[0].estimate)]
    if not known:
        from ...audit.texts.leakage import Estimate

        return Estimate(math.nan, math.nan, math.nan), "no contrast"
    return max(known, key=lambda one: one[0].estimate)


def _said(area: Estimate) -> str:
    return f"AUC {area.estimate:.3f} [{area.low:.3f}, {area.high:.3f}]"
