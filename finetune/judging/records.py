"""What a verdict says of each arm: its gap as it is, and what became of it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .tables import GroupChange, GroupRate


@dataclass(frozen=True, slots=True)
class ArmGap:
    """One arm as it is: its gap, its rates, what it is worth as a model.

    Attributes
    ----------
    arm, upstream : str
    role : str
        "base", "curated" or "placebo".
    seeds : tuple of int
    gap, gap_low, gap_high : float
        G with its interval; positive is compounding imbalance.
    v_seed, v_ex, df : float
        Variance from seeds and from test clusters, degrees of freedom.
    threshold_free : float
    utility, secondary : mapping of str to float
        Means over seeds.
    saturated : bool
        Whether most runs are.
    collapsed : tuple of str
        Runs that are no models, with the reason; they stay in.
    groups : tuple of GroupRate
    measures : mapping of str to mapping
        Further figures with their intervals (`judging.measures`): value, low, high, n, method.
    flips : tuple of mapping
        How often swapping a group's words turns the decision, by group.
    calibration : tuple of mapping
        By group.
    worst_gap : mapping
        The group with the largest gap once luck is taken out.
    runs : tuple of float
        The gap of each run, in the order of `seeds`.
    """

    arm: str
    upstream: str
    role: str
    seeds: tuple[int, ...]
    gap: float
    gap_low: float
    gap_high: float
    v_seed: float
    v_ex: float
    df: float
    threshold_free: float
    utility: Mapping[str, float]
    secondary: Mapping[str, float]
    saturated: bool
    collapsed: tuple[str, ...]
    groups: tuple[GroupRate, ...]
    measures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    flips: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    calibration: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    worst_gap: Mapping[str, Any] = field(default_factory=dict)
    runs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ArmVerdict:
    """The verdict on one arm and upstream, against the base arm with the same upstream and seeds.

    `gap` is the arm's own, `base_gap` that of the base arm; `reduction` is positive where the gap came nearer to 0.
    These, `placebo_margin` (reduction beyond the placebo's), `guard_loss` and `worst_group_loss` (positive is worse)
    and `second_endpoint_change` (of the mean false-positive rate of the terms minus that of rows without a term) have
    `_low` and `_high` beside them. `v_seed`, `v_ex`, `df` and `clusters` are the reduction's. `boot_low` and
    `boot_high` are the multi-bootstrap's, `sign_flip_p` is the exact sign-flip test's: they decide nothing. `p` and
    `p_holm` are one-sided: that all conditions of a pass hold. NaN (null in the file) is "not known". `measures` has
    each further figure before and after, with its change and the share of it that is gone; `thresholds` the gap,
    reduction and decision under each rule for the threshold.
    """

    arm: str
    upstream: str
    plan: str
    seeds: tuple[int, ...]
    gap: float
    gap_low: float
    gap_high: float
    reduction: float
    reduction_low: float
    reduction_high: float
    reduction_share: float
    accuracy: float
    auc: float
    worst_group: str
    placebo_margin: float
    decision: str
    reasons: tuple[str, ...]
    seeds_needed: int | None
    clusters_needed: int | None
    base_gap: float
    base_gap_low: float
    base_gap_high: float
    reduction_share_low: float
    reduction_share_high: float
    placebo_arm: str | None
    placebo_margin_low: float
    placebo_margin_high: float
    guard: str
    guard_state: str
    guard_loss: float
    guard_loss_low: float
    guard_loss_high: float
    worst_group_source: str
    worst_group_state: str
    worst_group_loss: float
    worst_group_loss_low: float
    worst_group_loss_high: float
    second_endpoint_change: float
    second_endpoint_change_low: float
    second_endpoint_change_high: float
    threshold_free_base: float
    threshold_free: float
    v_seed: float
    v_ex: float
    df: float
    clusters: int
    boot_low: float
    boot_high: float
    sign_flip_p: float
    sign_flip_note: str
    p: float
    p_holm: float
    utility: Mapping[str, Mapping[str, float]]
    secondary: Mapping[str, Mapping[str, float]]
    collapsed: tuple[str, ...]
    groups: tuple[GroupChange, ...] = field(repr=False)
    measures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    thresholds: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)


def plain(record: ArmVerdict | ArmGap) -> dict[str, Any]:
    """As JSON takes it: NaN and infinity are null, tuples are lists."""

    def clean(value: Any) -> Any:
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        if isinstance(value, Mapping):
            return {key: clean(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [clean(part) for part in value]
        return value

    cleaned: dict[str, Any] = clean(dataclasses.asdict(record))
    return cleaned
