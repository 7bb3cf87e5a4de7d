"""Gaps of trained models: what each run gets wrong, for whom, and what it costs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ...data.errors import InputError, suggest
from . import metrics
from .design import ALL, NEUTRAL, Design
from .inference import Clusters
from .scores import Bools, Floats, Ints, Items, Run, ScoreSet

COLLAPSED_AUC = 0.55
SATURATED = 0.01  # a false-positive rate this near 0 or 1 cannot move


@dataclass(frozen=True, slots=True)
class RunGaps:
    """Everything measured on one run.

    Attributes
    ----------
    run : Run
    threshold : float
        NaN where predictions were given.
    gap : float
        G; positive is compounding imbalance.
    threshold_free : float
        The same slope without a threshold, with the same sign; NaN where it does not apply.
    secondary, utility : mapping of str to float
    bpsn, bnsp : mapping of str to float
        AUC a term.
    saturated : bool
        Whether more than half of the terms have a false-positive rate that cannot move.
    collapsed : str
        Why the run is no model at all; empty where it is one.
    """

    run: Run
    threshold: float
    gap: float
    threshold_free: float
    secondary: Mapping[str, float]
    utility: Mapping[str, float]
    bpsn: Mapping[str, float]
    bnsp: Mapping[str, float]
    saturated: bool
    collapsed: str


@dataclass(frozen=True, slots=True)
class Measured:
    """All runs measured by one design.

    Attributes
    ----------
    design : Design
    runs : tuple of RunGaps
    hits : numpy.ndarray
        Runs × rows of the design.
    guard : str
        "auc" or "macro_f1".
    guard_influence : numpy.ndarray
        Runs × test rows; empty without test rows.
    guard_clusters : Clusters or None
    threshold_source : str
        "dev", "test" or "given" (predictions).
    fingerprints : tuple of str
        Of each run's scores: equal ones are one run under several names.
    notes : tuple of str
    """

    design: Design
    runs: tuple[RunGaps, ...]
    hits: npt.NDArray[np.bool_]
    guard: str
    guard_influence: Floats = field(repr=False)
    guard_clusters: Clusters | None
    threshold_source: str
    fingerprints: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def hits_of(self, at: Sequence[int]) -> Floats:
        """Hits of some runs as numbers, runs × rows."""
        return self.hits[list(at)].astype(np.float64)


def measure(scores: ScoreSet, plan: Design, *, guard: str = "auto") -> Measured:
    """Measure every run.

    Parameters
    ----------
    scores : ScoreSet
        Of all runs.
    plan : Design
        From `design`.
    guard : {"auto", "auc", "macro_f1"}
        What must not be lost; "auto" is AUC for two labels, macro-F1 for more.

    Returns
    -------
    Measured

    Raises
    ------
    InputError
        The guard does not fit the labels, or there is nothing to decide by.

    Notes
    -----
    Threshold rule: for each run, the score at which its predicted-positive rate on the dev rows equals their base rate.
    """
    binary = plan.positive is not None
    guard = ("auc" if binary else "macro_f1") if guard == "auto" else guard
    if guard == "auc" and not binary:
        raise InputError(f'verdict: guard "auc" needs two labels, found {len(scores.labels)}; use guard = "macro_f1"')
    if guard not in ("auc", "macro_f1"):
        raise InputError(
            f'verdict: guard "{guard}" is unknown; use auc or macro_f1.{suggest(guard, ("auc", "macro_f1"))}'
        )
    scored = binary and bool(scores.score)
    if not scored and not scores.predicted:
        raise InputError('scores: more than two labels need a column "predicted"')
    source = ("dev" if "dev" in scores.items else "test") if scored else "given"
    if source not in scores.score and scored:
        source = plan.split
    notes = {
        "given": ("predictions were used as they are: their threshold is unknown",) if binary else (),
        "dev": (),
    }.get(source, (f"no dev rows: the threshold was set on the {source} rows themselves",))
    test = scores.items.get("test")
    places = _places(scores, plan)
    runs, hits, influences = [], [], []
    for at in range(len(scores.runs)):
        threshold = math.nan
        if scored:
            count = int(scores.items[source].is_label(plan.positive or "").sum())
            threshold = metrics.threshold_for_rate(scores.score[source][at], count)
        hit = hits_on(scores, plan, at, threshold)
        utility, influence, one_class = _utility(scores, test, at, threshold, plan.positive, guard)
        free, bpsn, bnsp = _threshold_free(scores, plan, at, places)
        rates = np.array([hit[cell.rows].mean() for cell in plan.cells])
        collapsed = f"AUC {utility['auc']:.2f}" if utility.get("auc", 1.0) < COLLAPSED_AUC else ""
        runs.append(
            RunGaps(
                run=scores.runs[at],
                threshold=threshold,
                gap=float(plan.coefficients @ rates),
                threshold_free=free,
                secondary=_secondary(plan, rates, bpsn, bnsp),
                utility=utility,
                bpsn=bpsn,
                bnsp=bnsp,
                saturated=is_saturated(plan, rates),
                collapsed=collapsed or ("predicts one class" if one_class else ""),
            )
        )
        hits.append(hit)
        influences.append(influence)
    clusters = None if test is None else Clusters.of(test.clusters)
    return Measured(
        plan, tuple(runs), np.array(hits), guard, np.array(influences), clusters, source, _fingerprints(scores), notes
    )


def _fingerprints(scores: ScoreSet) -> tuple[str, ...]:
    tables = [*scores.score.values(), *scores.predicted.values()]
    digests = []
    for at in range(len(scores.runs)):
        digest = hashlib.blake2b(digest_size=8)
        for table in tables:
            digest.update(np.ascontiguousarray(table[at]).tobytes())
        digests.append(digest.hexdigest())
    return tuple(digests)


def decided(scores: ScoreSet, split: str, at: int, threshold: float, positive: str | None) -> Ints:
    """Predicted label codes of one run on one split; a threshold of NaN takes the predictions that were given."""
    if math.isnan(threshold):
        given: Ints = scores.predicted[split][at]
        return given
    yes = scores.labels.index(positive or "")
    no = 1 - yes if len(scores.labels) > 1 else -1
    return np.where(scores.score[split][at] >= threshold, yes, no)


def hits_on(scores: ScoreSet, plan: Design, at: int, threshold: float) -> Bools:
    """Whether each row of a design is a hit of one run: a false positive, or a row recovered."""
    predicted = decided(scores, plan.split, at, threshold, plan.positive)[plan.rows]
    wanted: Ints = scores.items[plan.split].label[plan.rows]
    if plan.stick.kind == "fpr":
        wanted = np.full(len(predicted), scores.labels.index(plan.positive or ""))
    return np.asarray(predicted == wanted)


def is_saturated(plan: Design, rates: Floats) -> bool:
    """Whether more than half of the terms in the gap have a false-positive rate (of all cells' rates) near 0 or 1."""
    used = rates[: len(plan.stick.used)]
    return plan.stick.kind == "fpr" and bool(((used < SATURATED) | (used > 1 - SATURATED)).mean() > 0.5)


def _utility(
    scores: ScoreSet, test: Items | None, at: int, threshold: float, positive: str | None, guard: str
) -> tuple[dict[str, float], Floats, bool]:
    if test is None:
        return {}, np.zeros(0), False
    predicted = decided(scores, "test", at, threshold, positive)
    f1, f1_influence = metrics.macro_f1(test.label, predicted)
    weight = metrics.independence_weights(test.label, test.pattern)
    found = {"accuracy": float((predicted == test.label).mean()), "macro_f1": f1}
    auc_influence = np.full(test.n, np.nan)
    if positive is not None and "test" in scores.score:
        score, truth = scores.score["test"][at], test.is_label(positive)
        found["auc"], auc_influence = metrics.auc_influence(score, truth)
        found["average_precision"] = metrics.average_precision(score, truth)
        found["auc_independent"] = metrics.auc(score, truth, weight)
    else:
        found["macro_f1_independent"] = metrics.macro_f1(test.label, predicted, weight)[0]
    return found, auc_influence if guard == "auc" else f1_influence, len(np.unique(predicted)) == 1


def _terms(plan: Design) -> list[str]:
    return [cell.group for cell in plan.cells if cell.group not in (ALL, NEUTRAL)]


def _places(scores: ScoreSet, plan: Design) -> list[tuple[Ints, Ints]]:
    """Where each term's rows are among the positives and the negatives: the same for every run."""
    if plan.positive is None or plan.stick.kind != "fpr":
        return []
    items = scores.items[plan.split]
    truth = items.is_label(plan.positive)
    return [metrics.split_members(truth, items.member(name)) for name in _terms(plan)]


def _threshold_free(
    scores: ScoreSet, plan: Design, at: int, places: list[tuple[Ints, Ints]]
) -> tuple[float, dict[str, float], dict[str, float]]:
    if plan.positive is None or plan.split not in scores.score:
        return math.nan, {}, {}
    items, score = scores.items[plan.split], scores.score[plan.split][at]
    truth = items.is_label(plan.positive)
    if plan.stick.kind == "fpr":
        names = _terms(plan)
        bpsn, bnsp = metrics.background_aucs(score, truth, places)
        # A low BPSN AUC is what a high false-positive rate is at every threshold at once: hence the sign.
        slope = -float(plan.stick.coefficients @ bpsn[: len(plan.stick.used)])
        return slope, dict(zip(names, bpsn.tolist(), strict=True)), dict(zip(names, bnsp.tolist(), strict=True))
    total = 0.0
    for at_cell in np.flatnonzero(plan.coefficients):
        cell = plan.cells[at_cell]
        mine, rows = np.zeros(items.n, dtype=bool), plan.rows[cell.rows]
        mine[rows] = True
        kept = mine | (
            truth if cell.label != plan.positive else ~truth
        )  # the group's rows of this label against all others
        total += plan.coefficients[at_cell] * metrics.auc(score[kept], truth[kept])
    return float(total), {}, {}


def _secondary(plan: Design, rates: Floats, bpsn: Mapping[str, float], bnsp: Mapping[str, float]) -> dict[str, float]:
    stick, used = plan.stick, len(plan.stick.used)
    if stick.kind == "fpr":
        every = rates[plan.find(ALL)]
        bare = rates[plan.find(NEUTRAL)] if plan.find(NEUTRAL) >= 0 else math.nan
        terms = [at for at, cell in enumerate(plan.cells) if cell.group not in (ALL, NEUTRAL)]
        found = {
            "fpr_overall": every,
            "fpr_neutral": bare,
            "mean_fpr_minus_neutral": rates[:used].mean() - bare,
            "mean_abs_gap": np.abs(rates[:used] - every).mean(),
            "mean_abs_gap_all_terms": np.abs(rates[terms] - every).mean(),
        }
        for name, table in (("bpsn", bpsn), ("bnsp", bnsp)):
            if table:
                aucs = np.array([table[term] for term in stick.used])
                found |= {f"{name}_slope": stick.coefficients @ aucs, f"{name}_spread": aucs.std(ddof=1)}
        return {name: float(value) for name, value in found.items()}
    one, two = rates[0 : 2 * used : 2], rates[1 : 2 * used : 2]
    n1, n2 = (np.array([cell.n for cell in plan.cells[start : 2 * used : 2]], dtype=np.float64) for start in (0, 1))
    gap = one - two
    square = (gap**2 - one * (1 - one) / (n1 - 1) - two * (1 - two) / (n2 - 1)).mean()
    pooled = (one * n1 + two * n2) / (n1 + n2)
    log_ratio = np.log((one * n1 + 0.5) / (n1 + 0.5)) - np.log((two * n2 + 0.5) / (n2 + 0.5))
    spread = gap.std()
    return {
        "rms_gap": float(np.sqrt((gap**2).mean())),
        "rms_gap_unbiased": float(np.sign(square) * np.sqrt(abs(square))),
        "rms_gap_null": float(np.sqrt((pooled * (1 - pooled) * (1 / n1 + 1 / n2)).mean())),
        "correlation": float(np.corrcoef(gap, stick.c)[0, 1]) if spread > 0 and used > 2 else math.nan,
        "log_ratio_slope": float(stick.coefficients @ log_ratio),
    }
