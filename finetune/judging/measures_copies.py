"""What models make of the test rows scrubbed and swapped: worth and gap on scrubbed text, decisions a swap turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...audit.findings import MINIMUM_ROWS as MIN_CELL
from ...data.errors import InputError
from . import metrics
from .design import Design, design
from .gaps import Measured, decided, hits_on
from .inference import Clusters
from .scores import COPIES, Floats, Items, ScoreSet
from .stats import Stat, mean_of


@dataclass(frozen=True, slots=True)
class Copies:
    """The copies of a score set, made ready once for all arms.

    Attributes
    ----------
    designs : mapping of str to Design
        Of the gap on the test rows and on their scrubbed copy, where they have rows enough for one.
    notes : tuple of str
    """

    designs: Mapping[str, Design]
    notes: tuple[str, ...] = ()


def ready(scores: ScoreSet, measured: Measured) -> Copies:
    """Check the copies, and say on which of them the gap can be measured.

    Raises
    ------
    InputError
        There is a copy without the test rows, or its ids or labels are not theirs.
    """
    test = scores.items.get("test")
    for name in COPIES.values():
        if name in scores.items:
            _same(scores.items[name], test, name)
    scrubbed = COPIES["scrubbed"]
    if scrubbed not in scores.items:
        return Copies({})
    plan, notes = measured.design, []
    designs = {}
    seen = _as_test(scores)
    for name in ("test", scrubbed):
        try:
            designs[name] = design(seen, plan.stick, positive=plan.positive, split=name)
        except InputError as error:
            notes.append(f"no gap on split {name}: {str(error).removeprefix('yardstick: ')}")
    return Copies(designs, tuple(notes[:1]))  # both have the same rows, so the same reason


def _as_test(scores: ScoreSet) -> ScoreSet:
    """With groups and clusters of the test rows on their copies: where groups are read from text, a copy's are gone."""
    test, name = scores.items.get("test"), COPIES["scrubbed"]
    if test is None:
        return scores
    return replace(scores, items={**scores.items, name: replace(test, changed=scores.items[name].changed)})


def _same(copy: Items, test: Items | None, name: str) -> None:
    if test is None:
        raise InputError(f"scores: split {name} is a copy of the test rows, of which there are none; score them too")
    if not copy.ids.equals(test.ids) or (copy.label != test.label).any():
        raise InputError(
            f"scores: split {name} has other ids or labels than split test ({copy.n} and {test.n} rows); a copy has "
            "the rows of test under the same ids"
        )


def on_copies(
    scores: ScoreSet, measured: Measured, copies: Copies, runs: Sequence[int]
) -> tuple[dict[str, Stat], tuple[dict[str, Any], ...]]:
    """Figures of one arm on the copies.

    Parameters
    ----------
    scores : ScoreSet
        All runs.
    measured : Measured
        Of the same runs; their thresholds hold for the copies.
    copies : Copies
        From `ready`.
    runs : sequence of int
        The arm's.

    Returns
    -------
    dict of str to Stat
        `scrubbed_auc` or `scrubbed_macro_f1`, for two labels `scrubbed_fpr` and `scrubbed_tpr`, `scrubbed_gap` beside
        `test_gap` (the same rows as they are); `flip_rate`, the share of the rows that the swap changed whose decision
        it turned, `flip_to_positive`, the share that it turned to the positive label, and `swap_score_change`, the mean
        absolute difference of scores.
    tuple of dict
        The flip rate by group of the row as it was: group, what it became (of two opposite groups), n, rate, low,
        high.
    """
    found: dict[str, Stat] = {}
    flips: tuple[dict[str, Any], ...] = ()
    if COPIES["scrubbed"] in scores.items:
        found |= _on_scrubbed(scores, measured, copies, runs)
    if COPIES["swapped"] in scores.items:
        turned, flips = _on_swapped(scores, measured, runs)
        found |= turned
    return found, flips


def _decisions(scores: ScoreSet, measured: Measured, split: str, runs: Sequence[int]) -> Any:
    return np.array([decided(scores, split, at, measured.runs[at].threshold, measured.design.positive) for at in runs])


def _on_scrubbed(scores: ScoreSet, measured: Measured, copies: Copies, runs: Sequence[int]) -> dict[str, Stat]:
    name = COPIES["scrubbed"]
    items, positive = scores.items["test"], measured.design.positive
    clusters = Clusters.of(items.clusters)
    called = _decisions(scores, measured, name, runs)
    found = {}
    f1 = [metrics.macro_f1(items.label, one) for one in called]
    found["scrubbed_macro_f1"] = _stat([value for value, _ in f1], [part for _, part in f1], clusters)
    if positive is not None:
        truth, yes = items.is_label(positive), scores.labels.index(positive)
        if name in scores.score:
            auc = [metrics.auc_influence(scores.score[name][at], truth) for at in runs]
            found["scrubbed_auc"] = _stat([value for value, _ in auc], [part for _, part in auc], clusters)
        for what, rows in (("scrubbed_fpr", np.flatnonzero(~truth)), ("scrubbed_tpr", np.flatnonzero(truth))):
            if len(rows):
                hit = (called[:, rows] == yes).astype(np.float64)
                found[what] = mean_of(hit, Clusters.of(items.clusters[:, rows]))
    for what, split in (("test_gap", "test"), ("scrubbed_gap", name)):
        if split in copies.designs:
            plan = copies.designs[split]
            table = np.array([hits_on(scores, plan, at, measured.runs[at].threshold) for at in runs]).astype(np.float64)
            gap = plan.gap
            found[what] = Stat(gap.values(table), gap.influence(table.mean(axis=0)), gap.clusters, len(gap.rows))
    return found


def _stat(values: list[float], influence: list[Floats], clusters: Clusters) -> Stat:
    return Stat(np.array(values), np.mean(influence, axis=0), clusters, len(influence[0]))


def _on_swapped(
    scores: ScoreSet, measured: Measured, runs: Sequence[int]
) -> tuple[dict[str, Stat], tuple[dict[str, Any], ...]]:
    name, positive = COPIES["swapped"], measured.design.positive
    # Of the test rows, whose groups are those of the rows as they were: a swapped text is of the other group.
    items, changed = scores.items["test"], scores.items[name].changed
    # Where a file does not say which rows changed, all count: the rate is then too low, and a note says so.
    rows = np.arange(items.n) if changed is None else np.flatnonzero(changed)
    if not len(rows):
        return {}, ()
    before, after = (_decisions(scores, measured, split, runs)[:, rows] for split in ("test", name))
    turned = (before != after).astype(np.float64)
    clusters = Clusters.of(items.clusters[:, rows])
    found = {"flip_rate": mean_of(turned, clusters)}
    if positive is not None:
        yes = scores.labels.index(positive)
        found["flip_to_positive"] = mean_of(turned * (after == yes), clusters)
    if name in scores.score and "test" in scores.score:
        moved = np.abs(scores.score[name][list(runs)] - scores.score["test"][list(runs)])[:, rows]
        found["swap_score_change"] = mean_of(moved, clusters)
    stick = measured.design.stick
    parts = []
    for group in items.groups:
        mine = items.member(group)[rows]
        became = {stick.first: stick.second, stick.second: stick.first}.get(group) if stick.kind == "tpr" else None
        if became is not None:
            mine &= ~items.member(became)[rows]  # of a row with words of both, neither direction can be told
        at = np.flatnonzero(mine)
        if len(at) >= MIN_CELL:
            rate = mean_of(turned[:, at], Clusters.of(items.clusters[:, rows[at]])).interval
            parts.append(
                {"group": group, "became": became, "n": len(at), "rate": rate.estimate, "low": rate.low}
                | {"high": rate.high}
            )
    return found, tuple(parts)
