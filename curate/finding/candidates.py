"""Which plans a search tries: steps with a strength that can be turned down, and what was found about each plan."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...data.axes import Axis
from ...data.config import Plan, ResampleStep, ReweightStep, ScrubStep, Step, SwapStep, TopupStep
from .until import Standing, reached

KINDS = ("reweight", "resample", "swap", "topup", "scrub")
_GRAIN = 1000
_METHODS = ("under", "over", "mixed")


@dataclass(frozen=True, slots=True)
class Knob:
    """A step whose strength can be chosen.

    Attributes
    ----------
    most : int
        The greatest strength; 1 is the least, and 0 would do nothing.
    step : callable
        From a strength to the step.
    likely : int or None
        A strength that may be just enough.
    late : bool
        Slow to compute and seldom better than the others: for when nothing else will do.
    """

    most: int
    step: Callable[[int], Step]
    likely: int | None = None
    late: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plan and what came of it.

    Attributes
    ----------
    plan : Plan
    touched : int or None
        Rows; None where the plan cannot be done.
    standings : tuple of Standing
        One a limit.
    by : "counts" or "rows"
        Whether it was computed from counts, or the rows were changed and audited.
    problem : str
        Why the plan cannot be done.
    """

    plan: Plan
    touched: int | None
    standings: tuple[Standing, ...] = ()
    by: str = "counts"
    problem: str = ""

    @property
    def name(self) -> str:
        """The plan as ``--do`` takes it."""
        return " then ".join(spelt(step) for step in self.plan.step)

    @property
    def reaches(self) -> bool:
        """Whether all limits are kept."""
        return self.touched is not None and reached(self.standings)

    @property
    def excess(self) -> float:
        """How many times its limit the farthest finding is."""
        return max((one.excess for one in self.standings), default=math.inf)

    def to_dict(self) -> dict[str, Any]:
        """For tradeoff.json."""
        return {
            "do": [spelt(step) for step in self.plan.step],
            "rows_touched": self.touched,
            "reaches": self.reaches,
            "by": self.by,
            "limits": [one.to_dict() for one in self.standings],
            "problem": self.problem or None,
        }


def spelt(step: Step) -> str:
    """A step as ``--do`` takes it: only what differs from the defaults.

    Examples
    --------
    >>> spelt(ResampleStep(do="resample", axis="identity", log_ratio=0.2))
    'resample:identity,log_ratio=0.2'
    """
    options = {name: value for name, value in settings_of(step).items() if name not in ("do", "axis")}
    return ",".join([f"{step.do}:{step.axis}", *(f"{name}={_value(value)}" for name, value in options.items())])


def settings_of(step: Step) -> dict[str, Any]:
    """What a config has to say of a step."""
    return {"do": step.do, "axis": step.axis} | step.model_dump(by_alias=True, exclude_defaults=True, mode="json")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "+".join(map(str, value))
    if isinstance(value, dict):
        return "+".join(f"{key}:{item}" for key, item in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def knobs(spec: str, *, pair: bool, ratio: float, likely: float | None, allow: Sequence[str]) -> Iterator[Knob]:
    """The steps on an axis that are computed from counts.

    Parameters
    ----------
    spec : str
        The axis in the words of a plan.
    pair : bool
        Whether it contrasts two groups.
    ratio : float
        The largest absolute log ratio that there is.
    likely : float or None
        The largest that may be left, where a limit says so.
    allow : sequence of str
        Of `KINDS`.
    """
    if "reweight" in allow:
        for weighting in ("kamiran-calders", "per-term"):
            yield _fixed(ReweightStep.model_validate({"do": "reweight", "axis": spec, "method": weighting}))
    if "resample" in allow:
        for method in _METHODS:
            base = {"do": "resample", "axis": spec, "method": method}
            yield _fixed(ResampleStep.model_validate({**base, "target": "independent"}))
            if pair:
                yield _levels(base)
            # Dropping and repeating together is never worse than repeating alone.
            yield replace(_fixed(_with(base, rate="overall")), late=method == "over")
            yield _ratios(base, ratio, likely, late=method == "over")


def _levels(base: dict[str, Any]) -> Knob:
    return Knob(_GRAIN, lambda strength: _with(base, level=strength / _GRAIN))


def _ratios(base: dict[str, Any], ratio: float, likely: float | None, *, late: bool) -> Knob:
    most = max(1, math.ceil(ratio * _GRAIN))
    just = None if likely is None else most - math.floor(likely * _GRAIN + 1e-9)
    return Knob(
        most,
        lambda strength: _with(base, log_ratio=(most - strength) / _GRAIN),
        just if just is not None and 1 <= just <= most else None,
        late,
    )


def _fixed(step: Step) -> Knob:
    return Knob(1, lambda _: step)


def _with(base: dict[str, Any], **goal: Any) -> Step:
    return ResampleStep.model_validate(base | goal)


def on_rows(spec: str, axis: Axis, allow: Sequence[str], pool: str | None, pool_text: str | None) -> Iterator[Step]:
    """The steps on an axis that change or add texts, so that only trying them tells what they do."""
    if axis.lexicon is None:
        return
    if "swap" in allow:
        two = len(axis.status_groups or ()) == 2
        for mode in ("augment", "replace"):
            for to in ("opposite",) if two else ("opposite", "random"):
                yield SwapStep.model_validate({"do": "swap", "axis": spec, "mode": mode, "to": to})
    if "topup" in allow and pool is not None:
        yield TopupStep(do="topup", axis=spec, pool=pool, pool_text=pool_text)
    if "scrub" in allow:
        yield ScrubStep.model_validate({"do": "scrub", "axis": spec})
