"""From a plan and a list of levels to one plan a level, all of one size, so that only the correlation moves."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...data.config import Config, Plan, ResampleStep, load
from ...data.errors import InputError, suggest

MOST = 2.0
"""The last level: shares mirrored."""

DEFAULT = tuple(round(0.2 * step, 1) for step in range(11))
MAX_LEVELS = 51

MIN_ROWS = 10
"""Labels with fewer training rows of either group stay as they are, unless the plan says min_rows."""

_WHY_NONE = {
    "scrub": "scrub removes words or leaves them",
    "swap": "swap replaces words or leaves them",
    "topup": "topup adds rows up to one target",
    "reweight": "reweight weighs to independence or not at all",
}


@dataclass(frozen=True, slots=True)
class Doses:
    """The arms of a dose curve.

    Attributes
    ----------
    plan : str
        Name of the plan that is dosed.
    key : str
        "level", "log_ratio" or "rate": what the levels are values of.
    axis : str
        Axis of the dosed step.
    labels : str
        "equal", "held": how label sizes stay the same; see `evenset.data.config.ResampleStep`.
    method : str
        "under", "over" or "mixed".
    plans : mapping of str to Plan
        By arm, in the order of the levels.
    levels : tuple of float
        Ascending, one an arm.
    notes : tuple of str
    """

    plan: str
    key: str
    axis: str
    labels: str
    method: str
    plans: Mapping[str, Plan]
    levels: tuple[float, ...]
    notes: tuple[str, ...] = ()

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms, ``dose-LEVEL``."""
        return tuple(self.plans)


def arm_of(level: float) -> str:
    """The arm of a level.

    Examples
    --------
    >>> arm_of(0.2), arm_of(2.0)
    ('dose-0.2', 'dose-2')
    """
    return f"dose-{level:g}"


def parse_levels(text: str) -> tuple[float, ...]:
    """Levels as they are given on the command line, ascending.

    Parameters
    ----------
    text : str
        Numbers with commas between; ``...`` goes on with the step before it up to the number after it.

    Raises
    ------
    InputError
        Something is no number from 0 on, or a level is there twice.

    Examples
    --------
    >>> parse_levels("0,0.5,...,2")
    (0.0, 0.5, 1.0, 1.5, 2.0)
    >>> parse_levels("0,,2")
    Traceback (most recent call last):
        ...
    evenset.data.errors.InputError: --levels "0,,2": nothing between two commas; write numbers, as in 0,0.5,1,2
    """
    where = f'--levels "{text}"'
    parts = [part.strip() for part in text.split(",")]
    if not text.strip():
        raise InputError("--levels is empty; write numbers, as in 0,0.5,1,2")
    found: list[float] = []
    for at, part in enumerate(parts):
        if not part:
            raise InputError(f"{where}: nothing between two commas; write numbers, as in 0,0.5,1,2")
        if part in ("...", "…"):
            found += _between(where, found, parts[at + 1] if at + 1 < len(parts) else "")
            continue
        found.append(_number(where, part))
    names = [arm_of(level) for level in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{where}: level {name.removeprefix('dose-')} is there twice; give each level once")
    if len(found) < 2:
        raise InputError(f"{where}: a curve needs two levels at least")
    if len(found) > MAX_LEVELS:
        raise InputError(f"{where}: {len(found)} levels are too many; {MAX_LEVELS} at most")
    return tuple(sorted(found))


def _number(where: str, part: str) -> float:
    # float() reads "1_0", "nan" and "١" too.
    if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", part, re.ASCII) or not math.isfinite(float(part)):
        raise InputError(f'{where}: "{part}" is no number; write numbers, as in 0,0.5,1,2')
    if float(part) < 0:
        raise InputError(f"{where}: {part} is below 0; levels are from 0 on")
    return abs(float(part))


def _between(where: str, found: Sequence[float], after: str) -> list[float]:
    """What ``...`` stands for."""
    if len(found) < 2 or not after or after in ("...", "…"):
        raise InputError(f"{where}: ... needs two numbers before it and one after it, as in 0,0.2,...,2")
    end, step = _number(where, after), round(found[-1] - found[-2], 12)
    count = (end - found[-1]) / step if step else math.nan
    if not step or count < 1 or abs(count - round(count)) > 1e-6:
        raise InputError(f"{where}: steps of {step:g} from {found[-1]:g} do not lead to {end:g}")
    if count > MAX_LEVELS:
        raise InputError(f"{where}: too many levels; {MAX_LEVELS} at most")
    return [round(found[-1] + step * number, 12) for number in range(1, round(count))]


def find_plan(config: Config, wanted: str) -> tuple[str, Plan]:
    """The plan that ``--dose`` names: one of the config, or that of a plan file.

    Parameters
    ----------
    config : Config
        With its plans.
    wanted : str
        Name of a ``[plan.NAME]``, or a file with one plan, as ``curate --until`` writes it.

    Raises
    ------
    InputError
        There is no such plan, or the file has several.
    """
    if wanted in config.plan:
        return wanted, config.plan[wanted]
    if not (wanted.endswith(".toml") or "/" in wanted or Path(wanted).is_file()):
        known = ", ".join(config.plan) or "none"
        raise InputError(
            f'--dose: no plan "{wanted}" in the config, and no such file.{suggest(wanted, config.plan)} '
            f"Plans there: {known}"
        )
    if not Path(wanted).is_file():
        raise InputError(f"--dose: {wanted}: no such file; name a plan of the config or a plan.toml")
    plans = load(wanted).plan
    if len(plans) != 1:
        raise InputError(f"--dose: {wanted} has {len(plans)} plans ({', '.join(plans) or 'none'}); it must have one")
    return next(iter(plans.items()))


def doses(name: str, plan: Plan, levels: Sequence[float] | None, *, n_labels: int) -> Doses:
    """One plan a level: the same steps, with the step that has a dose set to the level and to a fixed size.

    Parameters
    ----------
    name : str
        Of the plan, for messages.
    plan : Plan
        With one ``resample`` step that has a ``level``, ``log_ratio`` or ``rate``.
    levels : sequence of float or None
        Values of that key; by default 0, 0.2 … 2 for ``level``.
    n_labels : int
        Number of labels of the task: with two, levels are those of Wang and Russakovsky 2023, half of each label and
        group.

    Returns
    -------
    Doses

    Raises
    ------
    InputError
        The plan has no dose or several, or a level is beyond what the key takes.

    Examples
    --------
    >>> from evenset.data.config import Plan
    >>> balance = Plan.model_validate({"step": [{"do": "resample", "axis": "pronouns", "level": 1}]})
    >>> made = doses("balance", balance, [0, 1, 2], n_labels=20)
    >>> made.arms, made.plans["dose-2"].step[0].level, made.labels
    (('dose-0', 'dose-1', 'dose-2'), 2.0, 'held')
    """
    at, key = _dosed(name, plan)
    step = plan.step[at]
    assert isinstance(step, ResampleStep)
    if levels is None:
        if key != "level":
            raise InputError(f"--levels: say which values of {key} to train; there is no usual list")
        levels = DEFAULT
    most = {"level": MOST, "rate": 1.0}.get(key, math.inf)
    if beyond := [level for level in levels if level > most]:
        listed = ", ".join(f"{level:g}" for level in beyond)
        meant = " (0 raw, 1 balanced, 2 mirrored)" if key == "level" else ""
        raise InputError(f"--levels: {listed}: {key} goes from 0 to {most:g}{meant}")
    notes: list[str] = []
    if key == "level":
        labels, method = ("equal" if n_labels == 2 and step.method == "under" else "held"), step.method
        if labels == "held" and "min_rows" not in step.model_fields_set:
            step = step.model_copy(update={"min_rows": MIN_ROWS})
    else:
        labels, method = "held", "mixed"
        if (step.labels, step.method) != (labels, method):
            notes.append(
                f'plan {name}: dosed with labels = "held" and method = "mixed", so that every level has as many rows '
                "of each label"
            )
    plans = {}
    for level in levels:
        dosed = step.model_copy(update={key: float(level), "labels": labels, "method": method})
        arm = arm_of(level)
        plans[arm] = plan.model_copy(update={"name": arm, "step": [*plan.step[:at], dosed, *plan.step[at + 1 :]]})
    return Doses(name, key, step.axis, labels, method, plans, tuple(float(level) for level in levels), tuple(notes))


def _dosed(name: str, plan: Plan) -> tuple[int, str]:
    found = [
        (at, key)
        for at, step in enumerate(plan.step)
        if isinstance(step, ResampleStep)
        for key in ("level", "log_ratio", "rate")
        if getattr(step, key) is not None and getattr(step, key) != "overall"
    ]
    if len(found) == 1:
        return found[0]
    if found:
        listed = " and ".join(f"step {at + 1} ({key})" for at, key in found)
        raise InputError(f"--dose: plan {name} has several steps with a dose, {listed}; leave one")
    steps = plan.step
    at = next((at for at, step in enumerate(steps) if isinstance(step, ResampleStep)), None)
    if at is not None:
        step = steps[at]
        assert isinstance(step, ResampleStep)
        what = 'target = "independent"' if step.target else 'rate = "overall"'
        number = "level = 1" if step.target else "a number for rate"
        raise InputError(f"--dose: plan {name}: {what} is one point and no scale; write {number} (or a log_ratio)")
    why = "; ".join(dict.fromkeys(_WHY_NONE[step.do] for step in steps))
    raise InputError(
        f"--dose: plan {name} has no dose: {why}. A dose needs a resample step with level, log_ratio or rate"
    )
