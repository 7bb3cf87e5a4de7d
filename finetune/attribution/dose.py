"""How much change of the data does it take? Gap and worth against the dose, pre-trained and from scratch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...data.errors import InputError
from ..judging.decide import Margins
from ..judging.design import design
from ..judging.gaps import Measured, measure
from ..judging.inference import Interval, t_interval
from ..judging.scores import Floats, ScoreSet
from ..judging.yardstick import Yardstick
from .dose_claim import Claim, claims
from .dose_curve import Dose, Draws, Line, draw, first_at, line, met, monotone, span

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = "evenset.dose/1"
SCRATCH = "random"


@dataclass(frozen=True, slots=True)
class Point:
    """One level of one curve.

    Attributes
    ----------
    level : float
    gap, gap_low, gap_high : float
        G with its t interval over seeds and clusters.
    fitted : float
        The monotone curve there.
    guard, guard_low, guard_high : float
        AUC or macro-F1 on the test rows; NaN without any.
    loss, loss_low, loss_high : float
        Of the guard against the first level, paired by seed; positive is worse.
    threshold_free : float
        Mean over seeds of the slope without a threshold.
    within : bool
        Whether the whole interval of the gap lies within the margin.
    collapsed : tuple of str
        Runs that are no models; they stay in.
    saturated : bool
    """

    level: float
    gap: float
    gap_low: float
    gap_high: float
    fitted: float
    guard: float
    guard_low: float
    guard_high: float
    loss: float
    loss_low: float
    loss_high: float
    threshold_free: float
    within: bool
    collapsed: tuple[str, ...]
    saturated: bool


@dataclass(frozen=True, slots=True)
class Curve:
    """The curve of one upstream.

    Attributes
    ----------
    upstream : str
    seeds : tuple of int
    points : tuple of Point
        In the order of treatment.
    line : Line
    crossing : Dose
        Where the monotone curve comes to 0.
    smallest : Dose
        The smallest dose at which its distance from 0 is at most the margin.
    to_control : Dose or None
        The smallest dose at which its gap is no larger than that of the control at the first level.
    shown_within : float
        The smallest level whose whole interval lies within the margin, each level by itself; NaN where none does.
    raw : tuple of float or None
        Gap of the raw arm, all rows as they are, with its interval.
    """

    upstream: str
    seeds: tuple[int, ...]
    points: tuple[Point, ...]
    line: Line
    crossing: Dose
    smallest: Dose
    to_control: Dose | None
    shown_within: float
    raw: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more dose one upstream needs than another: the first minus the second, with intervals.

    Attributes
    ----------
    first, second : str
    smallest, smallest_low, smallest_high : float
        Difference of the smallest doses within the margin, from joint draws; infinite: the first never gets there.
    slope, slope_low, slope_high : float
        Difference of the slopes, by t.
    """

    first: str
    second: str
    smallest: float
    smallest_low: float
    smallest_high: float
    slope: float
    slope_low: float
    slope_high: float


@dataclass(frozen=True, slots=True)
class DoseReport:
    """Dose curves of one plan; ``dose.json`` as an object.

    Attributes
    ----------
    plan, key, axis : str
        What was dosed: a plan, the key of its step ("level", "log_ratio", "rate"), the step's axis.
    yardstick : Yardstick
    margins : Margins
    guard : str
        "auc" or "macro_f1".
    curves : tuple of Curve
    differences : tuple of Difference
    claims : tuple of Claim
    sizes : mapping of str to mapping of str to int
        Training rows of each label by arm.
    notes : tuple of str
    environment : mapping
    """

    plan: str
    key: str
    axis: str
    yardstick: Yardstick
    margins: Margins
    guard: str
    curves: tuple[Curve, ...]
    differences: tuple[Difference, ...]
    claims: tuple[Claim, ...]
    sizes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)

    @property
    def conclusion(self) -> str:
        """What came out, in a few sentences."""
        from .dose_claim import conclusion

        return conclusion(self)

    def _repr_html_(self) -> str:
        from ..notebook import dose_html

        return dose_html(self)

    def to_dict(self) -> dict[str, Any]:
        """The contents of ``dose.json``; what is not known is null, a dose that no level meets is "beyond"."""
        body = {
            "plan": self.plan, "key": self.key, "axis": self.axis, "guard": self.guard,
            "curves": [asdict(curve) for curve in self.curves],
            "differences": [asdict(one) for one in self.differences],
            "claims": [asdict(one) for one in self.claims],
            "sizes": {arm: dict(sizes) for arm, sizes in self.sizes.items()},
            "notes": list(self.notes), "environment": dict(self.environment),
        }  # fmt: skip
        return {
            "schema": SCHEMA,
            "conclusion": self.conclusion,
            "yardstick": self.yardstick.to_dict(),
            "margins": asdict(self.margins),
            **_plain(body),
        }

    def to_frame(self) -> pd.DataFrame:
        """One row a level and upstream."""
        import pandas as pd

        return pd.DataFrame([{"upstream": c.upstream, **asdict(point)} for c in self.curves for point in c.points])

    def save(self, folder: str | Path) -> Path:
        """Write ``dose.json`` and its page, ``dose.html``, each whole or not at all; returns the path of the first."""
        import json

        from ...data.files import write_json, write_text
        from ..page import dose_page

        path = Path(folder) / "dose.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, self.to_dict())
        write_text(path.with_suffix(".html"), dose_page(json.loads(path.read_text(encoding="utf-8"))))
        return path


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else "beyond" if value > 0 else None
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def dose_report(
    scores: ScoreSet,
    stick: Yardstick,
    arms: Mapping[str, float],
    *,
    plan: str,
    key: str = "level",
    axis: str = "",
    margins: Margins | None = None,
    base_arm: str = "raw",
    repetitions: int = 2000,
    seed: int = 0,
    start: float | None = None,
    sizes: Mapping[str, Mapping[str, int]] | None = None,
    notes: Sequence[str] = (),
    environment: Mapping[str, Any] | None = None,
) -> DoseReport:
    """Dose curves from scores alone.

    Parameters
    ----------
    scores : ScoreSet
        Runs of all levels; those of `base_arm` are shown beside the curve.
    stick : Yardstick
        From the raw training set.
    arms : mapping of str to float
        The level of each arm.
    plan, key, axis : str
        What was dosed.
    margins : Margins, optional
        Fixed before training.
    base_arm : str
        The arm trained on all raw rows.
    repetitions, seed : int
        Of the bootstrap.
    start : float, optional
        The level at which the raw data are, where it is not the first: see `Claim`.
    sizes, notes, environment
        Stored with the report.

    Returns
    -------
    DoseReport

    Raises
    ------
    InputError
        An arm has no runs, the upstreams share no seed, or the gap cannot be measured on these rows.
    """
    margins = margins or Margins()
    plan_of = design(scores, stick)
    measured = measure(scores, plan_of, guard=margins.guard)
    direction = -1.0 if key == "log_ratio" else 1.0
    names = sorted(arms, key=lambda arm: direction * arms[arm])
    x = np.array([direction * arms[arm] for arm in names])
    if len(names) < 2:
        raise InputError("a dose curve needs two levels at least")
    where: dict[str, dict[str, dict[int, int]]] = {}
    for at, run in enumerate(scores.runs):
        if run.arm in arms or run.arm == base_arm:
            where.setdefault(run.upstream, {}).setdefault(run.arm, {})[run.seed] = at
    said = [*plan_of.notes, *measured.notes, *notes]
    where, seeds = _paired(where, names, said)
    gap = plan_of.gap
    hits = {
        up: np.stack([measured.hits_of([mine[arm][s] for s in seeds]) for arm in names]) for up, mine in where.items()
    }
    intervals = {up: [gap.interval(part) for part in stacked] for up, stacked in hits.items()}
    signs = {up: -1.0 if found[0].high < 0 else 1.0 for up, found in intervals.items()}
    ups = list(hits)
    drawn = draw(gap, list(hits.values()), list(intervals.values()), key=f"dose:{seed}", repetitions=repetitions)
    control = SCRATCH if SCRATCH in ups and len(ups) > 1 else None
    curves, doses = [], {}
    for at, up in enumerate(ups):
        shown = _Shown(x, intervals[up], drawn, at, signs[up], direction, margins.margin)
        doses[up] = shown.draws_of(margins.margin, -margins.margin)
        other = None
        if control is not None and up != control:
            other = shown.to_control(intervals[control][0].estimate, ups.index(control), signs[control])
        at_first = [where[up][names[0]][s] for s in seeds]
        points = tuple(
            _point(measured, arms[arm], [where[up][arm][s] for s in seeds], at_first, found, fitted, margins.margin)
            for arm, found, fitted in zip(names, intervals[up], shown.fitted, strict=True)
        )
        fitted_line = line(gap, hits[up], x, sign=signs[up], falls=key != "rate")
        base = where[up].get(base_arm, {})
        raw = gap.interval(measured.hits_of([base[s] for s in seeds])) if set(seeds) <= set(base) else None
        curves.append(
            Curve(
                up, tuple(seeds), points, _turned(fitted_line, direction),
                shown.dose("gap of 0", 0.0), shown.dose("gap within the margin", margins.margin, -margins.margin),
                other, next((point.level for point in points if point.within), math.nan),
                None if raw is None else (raw.estimate, raw.low, raw.high),
            )
        )  # fmt: skip
    differences = tuple(
        _difference(first, second, curves[ups.index(first)], curves[ups.index(second)], doses, direction,
                    line(gap, hits[first] - hits[second], x, sign=1.0, falls=False).slope)
        for first, second in combinations(_ordered(ups), 2)
    )  # fmt: skip
    if len(seeds) < 3:
        said.append(f"{len(seeds)} seeds are too few for intervals to be trusted; 5 or more")
    report = DoseReport(
        plan, key, axis, plan_of.stick, replace(margins, guard=measured.guard), measured.guard, tuple(curves),
        differences, (), sizes or {}, tuple(dict.fromkeys(said)), environment or {},
    )  # fmt: skip
    return replace(report, claims=claims(report, start=start))


def _ordered(ups: Sequence[str]) -> list[str]:
    """Scratch last, so that a difference is what pre-training adds."""
    return sorted(ups, key=lambda up: (up == SCRATCH, up != "pretrained", up))


def _paired(
    where: dict[str, dict[str, dict[int, int]]], names: Sequence[str], said: list[str]
) -> tuple[dict[str, dict[str, dict[int, int]]], list[int]]:
    """Upstreams that have every level, and the seeds that all of them have."""
    kept = {}
    for up, mine in where.items():
        missing = [name for name in names if name not in mine]
        if missing:
            if len(missing) < len(names):
                said.append(f"upstream {up} is left out: it has no run of {', '.join(missing[:3])}")
            continue
        kept[up] = mine
    if not kept:
        raise InputError("dose: no upstream has a run at every level; see the notes on failed runs")
    every = [set(mine[name]) for mine in kept.values() for name in names]
    seeds = sorted(set.intersection(*every))
    if not seeds:
        raise InputError(
            "dose: no seed has a run at every level of every upstream; train all levels with the same seeds"
        )
    if lost := sorted(set.union(*every) - set(seeds)):
        said.append(f"seeds without a run at every level, left out: {', '.join(map(str, lost))}")
    return {up: kept[up] for up in _ordered(list(kept))}, seeds


@dataclass(frozen=True, slots=True)
class _Shown:
    """One curve with its draws, for finding doses."""

    x: Floats
    intervals: Sequence[Interval]
    drawn: Draws
    at: int
    sign: float
    direction: float
    margin: float

    @property
    def gaps(self) -> Floats:
        return self.sign * np.array([found.estimate for found in self.intervals])

    @property
    def fitted(self) -> list[float]:
        return [float(value) for value in self.sign * monotone(self.gaps)]

    def draws_of(self, upper: float | Floats, lower: float = -math.inf) -> Floats:
        mine = self.sign * self.drawn.gaps[:, self.at]
        return met(mine, self.x, np.broadcast_to(np.asarray(upper, np.float64), len(mine)), lower)

    def dose(self, target: str, upper: float, lower: float = -math.inf, *, draws: Floats | None = None) -> Dose:
        found = first_at(monotone(self.gaps), self.x, upper, lower)
        values = self.draws_of(upper, lower) if draws is None else draws
        low, high = span(values)
        unmet = float(np.isinf(values).mean()) if len(values) else math.nan
        return _directed(Dose(target, "monotone", found, low, high, unmet, self.drawn.method), self.direction)

    def to_control(self, gap: float, other: int, sign: float) -> Dose:
        """The dose that brings the gap to the control's at the first level, both as drawn."""
        bounds = sign * self.drawn.gaps[:, other, 0]
        return self.dose("gap of the control", sign * gap, draws=self.draws_of(bounds))


def _directed(dose: Dose, direction: float) -> Dose:
    """Back from the order of treatment to values of the key."""
    if direction > 0:
        return dose
    ends = (value if not math.isfinite(value) else -value for value in (dose.estimate, dose.low, dose.high))
    estimate, low, high = ends
    return replace(dose, estimate=estimate, low=low, high=high)


def _turned(found: Line, direction: float) -> Line:
    if direction > 0:
        return found
    return replace(
        found,
        slope=-found.slope,
        rises=tuple((-before, -after, p) for before, after, p in found.rises),
        crossing=_directed(found.crossing, direction),
    )


def _point(
    measured: Measured, level: float, runs: list[int], first: list[int], gap: Interval, fitted: float, margin: float
) -> Point:
    facts = [measured.runs[at] for at in runs]
    guard, loss = _guard(measured, runs, None), _guard(measured, first, runs)
    return Point(
        level, gap.estimate, gap.low, gap.high, fitted, *guard, *loss,
        sum(fact.threshold_free for fact in facts) / len(facts),
        bool(-margin <= gap.low and gap.high <= margin),
        tuple(f"seed {fact.run.seed}: {fact.collapsed}" for fact in facts if fact.collapsed),
        sum(fact.saturated for fact in facts) * 2 > len(facts),
    )  # fmt: skip


def _guard(measured: Measured, runs: list[int], minus: list[int] | None) -> tuple[float, float, float]:
    if measured.guard_clusters is None:
        return math.nan, math.nan, math.nan
    values = np.array([measured.runs[at].utility[measured.guard] for at in runs])
    influence = measured.guard_influence[runs].mean(axis=0)
    if minus is not None:
        values = values - np.array([measured.runs[at].utility[measured.guard] for at in minus])
        influence = influence - measured.guard_influence[minus].mean(axis=0)
    found = t_interval(values, influence, measured.guard_clusters)
    return found.estimate, found.low, found.high


def _difference(
    first: str, second: str, one: Curve, two: Curve, doses: Mapping[str, Floats], direction: float, slope: Interval
) -> Difference:
    with np.errstate(invalid="ignore"):  # neither gets there: no difference is known
        drawn = doses[first] - doses[second]
        estimate = direction * (np.float64(one.smallest.estimate) - two.smallest.estimate)
    low, high = span(drawn)
    turned = slope if direction > 0 else -slope
    if math.isinf(one.smallest.estimate) != math.isinf(two.smallest.estimate):
        estimate = np.float64(math.inf if math.isinf(one.smallest.estimate) else -math.inf)
    return Difference(first, second, float(estimate), low, high, turned.estimate, turned.low, turned.high)
