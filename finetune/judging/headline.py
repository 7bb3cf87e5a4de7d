"""The verdict in one sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .decide import PASSED
from .records import ArmVerdict
from .verdict import Verdict

_MOST = 4
_GUARDS = {"auc": "AUC", "macro_f1": "macro-F1"}
_OWN = ("pretrained", "none")


def short(value: float) -> str:
    """Three decimals without what says nothing.

    Examples
    --------
    >>> short(0.1234), short(-0.02), short(1.0)
    ('.123', '-.020', '1.000')
    >>> short(-0.0001)
    '.000'
    """
    value = round(value, 3) + 0.0  # there is no −.000
    return "?" if math.isnan(value) else f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.3f}"


def listed(names: Sequence[str], *, most: int = _MOST) -> str:
    """Names as a sentence has them.

    Examples
    --------
    >>> listed(["a", "b", "c"]), listed(list("abcdef"))
    ('a, b and c', 'a, b, c, d and 2 more')
    """
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def no_models(verdict: Verdict) -> set[tuple[str, str]]:
    """Arm and upstream of which every run predicts one class or guesses: there is nothing to judge."""
    return {(gap.arm, gap.upstream) for gap in verdict.gaps if gap.seeds and len(gap.collapsed) == len(gap.seeds)}


def headline(verdict: Verdict) -> str:
    """What came out, in one sentence; arms of pre-trained models come first.

    Examples
    --------
    >>> from types import SimpleNamespace as Record
    >>> gap = Record(arm="mine", upstream="none", role="base", gap=0.2, gap_low=0.1, gap_high=0.3, seeds=(0,),
    ...              collapsed=())
    >>> headline(Record(gaps=(gap,), arms=(), base_arm="raw"))
    'The gap of mine is .200 [.100 to .300].'
    """
    empty = no_models(verdict)
    if empty and len(empty) == len(verdict.gaps):
        runs = sum(len(gap.seeds) for gap in verdict.gaps)
        arms = sorted({gap.arm for gap in verdict.gaps}, key=lambda arm: (arm != verdict.base_arm, arm))
        names = listed(arms)
        said = f"All {runs} runs of {names} predict" if runs > 1 else f"The run of {names} predicts"
        return f"{said} one class or guess{'es' * (runs == 1)}: nothing can be judged."
    said = _of_arms(verdict) if verdict.arms else _as_it_is(verdict)
    if empty:
        several = len({gap.upstream for gap in verdict.gaps}) > 1
        names = listed([f"{arm} ({up})" if several else arm for arm, up in sorted(empty)])
        said += f" Not to be judged, for all their runs predict one class or guess: {names}."
    return said


def _as_it_is(verdict: Verdict) -> str:
    several = len(verdict.gaps) > 1
    parts = []
    for gap in sorted(verdict.gaps, key=lambda gap: gap.upstream not in _OWN):
        ends = "" if math.isnan(gap.gap_low) else f" [{short(gap.gap_low)} to {short(gap.gap_high)}]"
        name = f"{gap.arm} ({gap.upstream})" if several else gap.arm
        parts.append(f"of {name} is {short(gap.gap)}{ends}")
    return f"The gap {listed(parts)}."


def _of_arms(verdict: Verdict) -> str:
    arms = sorted(verdict.arms, key=lambda arm: arm.upstream not in _OWN)
    several = len({arm.upstream for arm in arms}) > 1

    def name(arm: ArmVerdict) -> str:
        return f"{arm.arm} ({arm.upstream})" if several else arm.arm

    def moved(arm: ArmVerdict) -> str:
        return f"{short(arm.base_gap)} → {short(arm.gap)}"

    certified = [arm for arm in arms if arm.decision in ("shrunk-meaningfully", "shrunk")]
    if certified:
        return f"Certified: {listed([f'{name(arm)} ({moved(arm)})' for arm in certified])}, of {_arms(len(arms))}."
    if all(arm.decision in PASSED for arm in arms):
        return (
            f"There is no gap to shrink: {listed([f'{verdict.base_arm} {short(arm.base_gap)}' for arm in arms[:1]])}."
        )
    own = [arm for arm in arms if arm.upstream in _OWN] or arms
    best = max(own, key=lambda arm: _fell(arm))
    none = f"None of {len(arms)} arms is certified" if len(arms) > 1 else f"{name(arms[0])} is not certified"
    if not _fell(best) > 0:
        return f"{none}, and {'in none did the gap fall' if len(arms) > 1 else f'its gap did not fall: {moved(best)}'}."
    cost = ""
    if not math.isnan(best.guard_loss):
        what = "loss" if best.guard_loss >= 0 else "gain"
        cost = f", at a {what} of {short(abs(best.guard_loss))} {_GUARDS.get(best.guard, best.guard)}"
    if len(arms) == 1:
        return f"{none} ({best.decision}); its gap: {moved(best)}{cost}."
    among = "of the pre-trained models' arms " if several and len(own) < len(arms) else ""
    return f"{none}; {among}the gap fell most with {name(best)}: {moved(best)}{cost}."


def _fell(arm: ArmVerdict) -> float:
    fell = abs(arm.base_gap) - abs(arm.gap)
    return -math.inf if math.isnan(fell) else fell


def _arms(n: int) -> str:
    return f"{n} arm{'s' * (n != 1)}"
