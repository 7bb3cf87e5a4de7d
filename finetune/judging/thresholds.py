"""How the answer moves with the rule for the threshold: the same scores, judged anew under other rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from . import metrics
from .gaps import Measured, decided, hits_on, is_saturated
from .judge import Judged
from .scores import Bools, Floats, ScoreSet

RULE = "dev base rate"
"""The rule by which the verdict is reached (`gaps.measure`)."""


def equal_error(score: Floats, truth: Bools) -> float:
    """The score at which the false-positive and the false-negative rate are nearest to each other.

    Examples
    --------
    >>> equal_error(np.array([0.1, 0.2, 0.6, 0.4, 0.8, 0.9]), np.array([False, False, False, True, True, True]))
    0.6
    """
    levels, at = np.unique(score, return_inverse=True)
    positive, negative = (np.bincount(at, weights=side.astype(np.float64)) for side in (truth, ~truth))
    missed = np.append(0.0, np.cumsum(positive)) / max(positive.sum(), 1)  # with the threshold at each level
    alarms = 1 - np.append(0.0, np.cumsum(negative)) / max(negative.sum(), 1)
    choices = np.append(levels, np.inf)
    return float(choices[np.argmin(np.abs(missed - alarms))])


def rules(scores: ScoreSet, measured: Measured) -> dict[str, Floats]:
    """Thresholds of each run under every other rule; none where decisions hang on no threshold.

    Parameters
    ----------
    scores : ScoreSet
        All runs.
    measured : Measured
        Of the same runs, under `RULE`.

    Returns
    -------
    dict of str to numpy.ndarray
        "0.5" (where all scores lie within 0 and 1), the median of the rows on which the gap is measured, and the equal
        error rate on the rows that set the threshold.
    """
    plan = measured.design
    if plan.positive is None or measured.threshold_source == "given" or plan.split not in scores.score:
        return {}
    found = {}
    here, source = scores.score[plan.split], measured.threshold_source
    if all(table.min(initial=0.0) >= 0 and table.max(initial=0.0) <= 1 for table in scores.score.values()):
        found["0.5"] = np.full(len(scores.runs), 0.5)
    found[f"{plan.split} median"] = np.median(here, axis=1)
    truth = scores.items[source].is_label(plan.positive)
    if truth.any() and not truth.all():
        found["equal error rate"] = np.array([equal_error(run, truth) for run in scores.score[source]])
    return found


def moved(scores: ScoreSet, measured: Measured, thresholds: Floats) -> Measured:
    """The same runs under other thresholds: what hangs on no threshold is taken over as it is."""
    plan = measured.design
    test = scores.items.get("test")
    runs, table, influence = [], [], []
    for at, (before, threshold) in enumerate(zip(measured.runs, thresholds.tolist(), strict=True)):
        hit = hits_on(scores, plan, at, threshold)
        rates = np.array([hit[cell.rows].mean() for cell in plan.cells])
        utility: Mapping[str, float] = before.utility
        if test is not None:
            f1, share = metrics.macro_f1(test.label, decided(scores, "test", at, threshold, plan.positive))
            utility = {**before.utility, "macro_f1": f1}
            influence.append(share)
        runs.append(
            replace(
                before,
                threshold=threshold,
                gap=float(plan.coefficients @ rates),
                utility=utility,
                saturated=is_saturated(plan, rates),
            )
        )
        table.append(hit)
    guard = np.array(influence) if measured.guard == "macro_f1" and influence else measured.guard_influence
    return replace(measured, runs=tuple(runs), hits=np.array(table), guard_influence=guard)


def sensitivity(
    scores: ScoreSet, measured: Measured, judged: tuple[Judged, ...], again: Callable[[Measured], tuple[Judged, ...]]
) -> list[tuple[dict[str, Any], ...]]:
    """For each arm its gap, reduction and decision under each rule, that of the verdict first.

    Parameters
    ----------
    scores : ScoreSet
        All runs.
    measured : Measured
        Under the rule of the verdict.
    judged : tuple of Judged
        The verdict's.
    again : callable
        Judges the arms anew from other measurements, in the same order.

    Returns
    -------
    list of tuple of dict
        One an arm; empty tuples where decisions hang on no threshold.
    """
    other = rules(scores, measured)
    if not other:
        return [()] * len(judged)
    first = RULE if measured.threshold_source == "dev" else f"{measured.threshold_source} base rate"
    every = {first: judged} | {name: again(moved(scores, measured, at)) for name, at in other.items()}
    keys = ("base_gap", "gap", "reduction", "reduction_low", "reduction_high", "reduction_share", "decision")
    return [
        tuple({"rule": name, **{key: found[at].fields[key] for key in keys}} for name, found in every.items())
        for at in range(len(judged))
    ]
