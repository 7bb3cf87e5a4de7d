"""What the papers claim, held against these runs: holds, does not hold, or cannot be told, with the numbers.

Nothing here assumes a sign. "Holds" needs evidence for the claim: an effect that is not significant is no evidence of
no effect, so "does little" is an interval inside the margin, never a large p. "Does not hold" is said of the worst of
several cases, so their p values are corrected for how many there are (Holm). Runs that are no models, rates that cannot
move and changes that hang on the threshold decide nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..judging.decide import span
from ..judging.inference import Interval, holm
from .contrasts import Effect
from .regression import DATASET, UPSTREAM, Regression

HOLDS, FAILS, OPEN = "holds", "does not hold", "cannot be told"
LARGE = 0.5
"""A plan that takes at least this part of the gap away does much."""

ALPHA = 0.05

MOVED = 0.5
"""An upstream whose scores lie this many standard deviations (across targets) off the pre-trained ones was moved."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of methods 2.8 and what became of it here.

    Attributes
    ----------
    id : str
        "A2", "A3", "A5" or "A6".
    text : str
        In a plain sentence.
    state : {"holds", "does not hold", "cannot be told"}
    evidence : tuple of str
        The numbers, a sentence each.
    """

    id: str
    text: str
    state: str
    evidence: tuple[str, ...]


def claims(
    *,
    observational: Sequence[Regression],
    why_none: str,
    data: Sequence[Effect],
    upstream: Sequence[Effect],
    interaction: Sequence[Effect],
    scores: Mapping[str, Mapping[str, float]],
    kinds: Mapping[str, str],
    margin: float,
    pretrained: str,
    scratch: Iterable[str],
) -> tuple[Claim, ...]:
    """Hold claims A2, A3, A5 and A6 against the evidence.

    Parameters
    ----------
    observational : sequence of Regression
        Steed's form; the first decides.
    why_none : str
        Why there is no such regression, where there is none.
    data, upstream, interaction : sequence of Effect
        From `contrasts`.
    scores : mapping of str to mapping
        Measured upstream scores of each upstream, by target.
    kinds : mapping of str to str
        What each plan does: "scrub", "rebalance", or anything else.
    margin : float
        Least change of the gap worth having.
    pretrained : str
        The upstream that others are compared with.
    scratch : iterable of str
        Upstreams that are not pre-trained.

    Returns
    -------
    tuple of Claim
    """
    return (
        _a2(observational, why_none),
        _a3(upstream, scores, margin, pretrained),
        _a5(data, interaction, kinds, margin, pretrained, set(scratch)),
        _a6(data, kinds, margin, pretrained),
    )


def _a2(found: Sequence[Regression], why: str) -> Claim:
    text = "Once the bias of the data is known, that of the upstream adds nothing; more bias in the data, more gap."
    if not found:
        return Claim("A2", text, OPEN, (why or "the upstream's bias was not measured",))
    one = found[0]
    up, data, tested = one.term(UPSTREAM), one.term(DATASET), one.equivalence
    evidence = [
        f"upstream bias {tested['estimate']:+.2f} SD per SD (90 % [{tested['low_90']:+.2f}, {tested['high_90']:+.2f}], "
        f"no effect within {tested['bound']:g}), {tested['of']}; dataset bias {data.coef:+.3f} "
        f"[{data.low:+.3f}, {data.high:+.3f}]"
    ]
    if tested.get("why_not"):
        evidence.append(f"that there is no effect cannot be shown: {tested['why_not']}")
    if not one.separable:
        evidence.append(f"upstream and dataset bias go together (r = {one.r:+.2f}): not separable observationally")
        return Claim("A2", text, OPEN, tuple(evidence))
    if tested["equivalent"] and data.low > 0:
        return Claim("A2", text, HOLDS, tuple(evidence))
    beyond = min(abs(tested["low_90"]), abs(tested["high_90"])) > tested["bound"]
    clear = tested["low_90"] * tested["high_90"] > 0 and beyond and up.low * up.high > 0
    return Claim("A2", text, FAILS if clear or data.high < 0 else OPEN, tuple(evidence))


def _a3(found: Sequence[Effect], scores: Mapping[str, Mapping[str, float]], margin: float, pretrained: str) -> Claim:
    text = "Changing the upstream moves its own scores much and the gap of the trained model little."
    cases, evidence = [], []
    for effect in found:
        moved = _moved(scores.get(pretrained, {}), scores.get(effect.upstream, {}))
        change, doubts = effect.change, effect.doubts()
        said = f"{effect.upstream}: the gap moves by {span(-change)}"
        if math.isnan(moved):
            evidence.append(f"{said}; its upstream scores are not known: it decides nothing{_but(doubts)}")
            continue
        # That an upstream changes nothing where there is no gap to change is no evidence.
        bare = not _gap(effect)
        evidence.append(
            f"{said}; its upstream scores by {moved:.1f} SD"
            + (f"; the gap when {pretrained} may be 0" if bare else "")
            + _but(doubts)
        )
        # An upstream whose scores hardly moved says nothing about the claim.
        sound = moved >= MOVED and not doubts
        cases.append(
            _Case(
                sound and not bare and -margin < change.low and change.high < margin,
                (_beyond(change, margin), _beyond(-change, margin)) if sound and _clear(effect) else (),
            )
        )
    nothing = "no upstream with scores of its own has raw runs" if found else "only one upstream has raw runs"
    return Claim("A3", text, _all(cases), tuple(evidence) or (nothing,))


def _moved(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Root mean square difference of two upstreams' scores, in standard deviations across targets of the first."""
    both = [name for name in one if name in other]
    if len(both) < 2:
        return math.nan
    a, b = (np.array([scores[name] for name in both]) for scores in (one, other))
    spread = float(a.std(ddof=1))
    return float(np.sqrt(((a - b) ** 2).mean())) / spread if spread > 0 else math.nan


def _a5(
    data: Sequence[Effect],
    interaction: Sequence[Effect],
    kinds: Mapping[str, str],
    margin: float,
    pretrained: str,
    scratch: set[str],
) -> Claim:
    text = "Scrubbing terms shrinks the gap of models trained from scratch, not of pre-trained ones."
    cases, evidence = [], []
    by = {(effect.plan, effect.upstream): effect for effect in data}
    for plan in dict.fromkeys(effect.plan for effect in data if kinds.get(effect.plan) == "scrub"):
        mine = by.get((plan, pretrained))
        for up in sorted(scratch):
            theirs = by.get((plan, up))
            if mine is None or theirs is None:
                continue
            both = next((e for e in interaction if e.plan == plan and e.against == up), None)
            evidence.append(
                f"{plan}: off the gap {span(theirs.change)} from {up} weights, {span(mine.change)} when {pretrained}"
                + ("" if both is None else f"; difference {span(both.change)}, p {max(both.p_holm, 0.001):.3f} (Holm)")
                + _but([f"{effect.upstream}: {said}" for effect in (mine, theirs) for said in effect.doubts()])
            )
            doubts = [said for effect in (mine, theirs) for said in effect.doubts()]
            # That one effect is clear and the other is not does not make them differ: the difference must be clear.
            differ = both is not None and not both.doubts() and both.change.high < 0 and both.p_holm < ALPHA
            alone = theirs.change.low > margin and _clear(theirs) and mine.change.high < margin and _gap(mine)
            against = [_beyond(mine.change, margin)] if _clear(mine) else []
            against += [_beyond(-theirs.change, -margin)] if _gap(theirs) else []
            cases.append(_Case(differ and alone and not doubts, () if doubts else tuple(against)))
    return Claim(
        "A5", text, _all(cases), tuple(evidence) or ("needs a plan that scrubs, pre-trained and from scratch",)
    )


def _a6(data: Sequence[Effect], kinds: Mapping[str, str], margin: float, pretrained: str) -> Claim:
    text = "Re-balancing hardly changes the gap of a pre-trained model."
    cases, evidence = [], []
    for effect in data:
        if effect.upstream != pretrained or kinds.get(effect.plan) != "rebalance":
            continue
        change = effect.change
        size = ""
        if not math.isnan(effect.share_low):
            size = f", {effect.share:.0%} [{effect.share_low:.0%}, {effect.share_high:.0%}] of it"
        if change.low > 0 or change.high < 0:
            size += (
                ": a large effect"
                if effect.share_low >= LARGE
                else ": an effect"
                if change.low > 0
                else ": the gap grew"
            )
        doubts = effect.doubts()
        evidence.append(f"{effect.plan}: off the gap {span(change)}{size}{_but(doubts)}")
        little = -margin < change.low and change.high < margin and _gap(effect)
        against = (_beyond(change, margin), _beyond(-change, margin)) if _clear(effect) and not doubts else ()
        cases.append(_Case(little and not doubts, against))
    return Claim("A6", text, _all(cases), tuple(evidence) or ("no plan that re-balances was trained when pre-trained",))


def _gap(effect: Effect) -> bool:
    """Whether there was a gap to shrink: that a plan leaves no gap as it is says nothing of the plan."""
    return effect.base is not None and effect.change.se > 0 and not effect.base.low <= 0 <= effect.base.high


def _clear(effect: Effect) -> bool:
    """Whether an effect is there after correcting for all effects of its kind."""
    return effect.p_holm < ALPHA


def _but(doubts: Sequence[str]) -> str:
    return f"; nothing can be concluded: {', '.join(dict.fromkeys(doubts))}" if doubts else ""


def _beyond(change: Interval, bound: float) -> float:
    """P of "the change is at most `bound`", doubled: below 5 % where a 95 % interval lies beyond the bound."""
    return min(1.0, 2 * change.p_below(bound))


@dataclass(frozen=True, slots=True)
class _Case:
    """What one plan or upstream says of a claim: whether it bears it out, and p values of what speaks for it."""

    holds: bool
    against: tuple[float, ...]


def _all(cases: Sequence[_Case]) -> str:
    """Of a claim about every case: one case against it is enough, if it is more than the worst of so many by chance."""
    if any(p < ALPHA for p in holm([p for case in cases for p in case.against])):
        return FAILS
    return HOLDS if cases and all(case.holds for case in cases) else OPEN
