"""What a resample step can reach, and what each goal would cost in rows, before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np

from ...data.config import ResampleStep
from ...data.errors import InputError
from ..edits import Ints
from ..units import Pattern
from . import resample
from .resample import Wanted

if TYPE_CHECKING:
    import pandas as pd

    from ...audit.figures import Figure

LEVELS = tuple(quarter / 4 for quarter in range(9))
LIMITS = (0.25, 0.5, 1.0)
RATES = (0.05, 0.1, 0.25, 0.5)
METHODS = ("under", "over", "mixed")
_WIDTH = 80
_NAMES = {"level": "level", "target": "goal", "log_ratio": "log ratio", "rate": "rate"}
_DOES = {"under": "drop rows", "over": "repeat rows", "mixed": "drop and repeat"}


@dataclass(frozen=True, slots=True)
class Reach:
    """What one goal costs by one method.

    Attributes
    ----------
    value : float or None
        Of the goal; None for independence and for the overall rate.
    method : "under", "over" or "mixed"
    reachable : bool
    why : str
        Why not.
    kept, dropped, repeated, rows : int
        Rows of the data that stay, that go, that are written once more, and rows afterwards.
    effective : float
        What the rows afterwards are worth: ``(Σt)² / Σt²`` over the rows of the data, t how often each is written.
    chosen : bool
        Whether the step asks for this one.
    """

    value: float | None
    method: str
    reachable: bool
    why: str
    kept: int
    dropped: int
    repeated: int
    rows: int
    effective: float
    chosen: bool


@dataclass(frozen=True, slots=True)
class Feasibility:
    """What a resample step can reach. Get it from `feasibility`.

    Attributes
    ----------
    axis : str
    goal : "level", "target", "log_ratio" or "rate"
    labels : "free", "held" or "equal"
    within : str or None
    rows : int
        Rows with a label.
    reaches : tuple of Reach
    """

    axis: str
    goal: str
    labels: str
    within: str | None
    rows: int
    reaches: tuple[Reach, ...]

    def to_dict(self) -> dict[str, Any]:
        """As in curation.json."""
        return asdict(self) | {"reaches": [asdict(reach) for reach in self.reaches]}

    @staticmethod
    def from_dict(found: dict[str, Any]) -> Feasibility:
        """What `to_dict` gave."""
        return Feasibility(**{**found, "reaches": tuple(Reach(**reach) for reach in found["reaches"])})

    def to_frame(self) -> pd.DataFrame:
        """One row a goal and method."""
        import pandas as pd

        return pd.DataFrame([asdict(reach) for reach in self.reaches])

    def summary(self) -> str:
        """A table for the terminal, at most 80 columns wide; ``*`` marks what the step asks for."""
        name = _NAMES[self.goal]
        head = f"  {name:>12} {'method':<7}{'rows':>10}{'kept':>10}{'dropped':>10}{'repeated':>10}{'worth':>10}"
        lines = [f"{self.axis}: what can be reached, of {self.rows:,} rows", head]
        for reach in self.reaches:
            start = f"{'*' if reach.chosen else ' '} {_shown(self.goal, reach.value):>12} {reach.method:<7}"
            if reach.reachable:
                numbers = (reach.rows, reach.kept, reach.dropped, reach.repeated, round(reach.effective))
                lines.append(start + "".join(f"{number:>10,}" for number in numbers))
            else:
                lines.append(start + " " + shorten("no: " + reach.why, _WIDTH - len(start) - 1, placeholder=" …"))
        return "\n".join(lines)

    def plot(self) -> Figure:
        """What the rows are worth at each goal, by method; goals out of reach are left out of a line.

        Raises
        ------
        InputError
            When matplotlib is not installed.
        """
        from ...audit.figures import COLOURS, MARKERS, figure

        best = max((reach for reach in self.reaches if reach.chosen), key=lambda r: r.effective, default=None)
        alt = f"Rows that are left of {self.rows:,} on the axis {self.axis}, and what they are worth, by "
        alt += f"{_NAMES[self.goal]} and method."
        if best is not None and best.reachable:
            alt += f" The step as planned leaves {best.rows:,} rows, worth {best.effective:,.0f}."
        drawn = figure(
            f"{self.axis}: what each {_NAMES[self.goal]} costs",
            x=_NAMES[self.goal] + _MEANS[self.goal],
            y="rows (dashed: what they are worth)",
            alt=alt,
        )
        for at, method in enumerate(METHODS):
            mine = [reach for reach in self.reaches if reach.method == method]
            if not any(reach.reachable for reach in mine):
                continue
            x = [0.0 if reach.value is None else reach.value for reach in mine]
            rows = [float(reach.rows) if reach.reachable else np.nan for reach in mine]
            worth = [reach.effective if reach.reachable else np.nan for reach in mine]
            style = {"color": COLOURS[at], "marker": MARKERS[at]}
            drawn.line(x, rows, _DOES[method], **style)
            if method != "under":  # rows that come once are worth what they are
                drawn.line(x, worth, None, linestyle="--", markerfacecolor="white", **style)
        if all(reach.value is None for reach in self.reaches):
            drawn.axes.set_xticks([0.0], ["independent" if self.goal == "target" else "overall"])
        drawn.axes.axhline(self.rows, color="#777777", linewidth=1, linestyle=":", label="rows of the data")
        drawn.axes.set_ylim(bottom=0)
        drawn.legend()
        return drawn


_MEANS = {
    "level": " (0 as it is, 1 balanced, 2 mirrored)",
    "target": "",
    "log_ratio": " that may be left",
    "rate": " of the positive label",
}


def feasibility(
    counts: Ints,
    *,
    step: ResampleStep,
    labels: Sequence[str],
    patterns: Sequence[Pattern],
    groups: Sequence[str],
    positive: str | None,
    pair: bool | None = None,
    values: Sequence[float] | None = None,
    methods: Sequence[str] | None = None,
    wanted: Wanted | None = None,
) -> Feasibility:
    """Work out what a resample step could reach and at what cost.

    Parameters
    ----------
    counts, labels, patterns, groups, positive, pair
        As for `resample.wanted`.
    step : ResampleStep
        Its kind of goal, `labels` and `within` hold for all.
    values : sequence of float, optional
        Goals to try besides the step's own: levels from 0 to 2 by quarters, log ratios of 0.25, 0.5 and 1, rates of 5,
        10, 25 and 50 %.
    methods : sequence of str, optional
        By default all three; of a log ratio, which takes longer to solve, the step's own.
    wanted : Wanted, optional
        What the step itself wants, if that is known already.

    Returns
    -------
    Feasibility

    Examples
    --------
    >>> step = ResampleStep(do="resample", axis="pronouns", level=1)
    >>> cells = {"labels": ["nurse"], "patterns": [("he",), ("she",)], "groups": ["she", "he"], "positive": None}
    >>> found = feasibility(np.array([[[10], [30]]]), step=step, values=[1], **cells)
    >>> [(reach.method, reach.rows, round(reach.effective)) for reach in found.reaches]
    [('under', 20, 20), ('over', 60, 30), ('mixed', 40, 27)]
    """
    goal = next(name for name in _NAMES if getattr(step, name) is not None)
    own = getattr(step, goal)
    tried: list[Any] = [own]
    if not isinstance(own, str):
        tried = sorted(
            {own, *({"level": LEVELS, "log_ratio": LIMITS, "rate": RATES}[goal] if values is None else values)}
        )
    elif goal == "rate":
        tried += list(RATES if values is None else values)
    if methods is None:
        methods = (step.method,) if goal == "log_ratio" or step.labels == "equal" else METHODS
    reaches = []
    for value in tried:
        for method in methods:
            chosen = value == own and method == step.method
            other = step.model_copy(update={goal: value, "method": method})
            number = None if isinstance(value, str) else float(value)
            try:
                found = wanted if chosen and wanted is not None else resample.wanted(
                    other, counts, labels=labels, patterns=patterns, groups=groups, positive=positive, pair=pair,
                    nearest=False,
                )  # fmt: skip
            except InputError as error:
                why = str(error)
                reaches.append(_no(number, method, why[why.find(": ") + 2 :], chosen=chosen))
                continue
            reaches.append(_reach(number, method, found, chosen=chosen))
    return Feasibility(step.axis, goal, step.labels, step.within, int(counts.sum()), tuple(reaches))


def tabulated(step: dict[str, Any]) -> str:
    """The table of a step of curation.json that has one, else nothing."""
    return Feasibility.from_dict(step["feasibility"]).summary() if step.get("feasibility") else ""


def draw_feasibility(steps: Sequence[dict[str, Any]], folder: Path) -> tuple[list[str], list[str]]:
    """Draw a figure for each step of curation.json that can have one.

    Parameters
    ----------
    steps : sequence of dict
        Of curation.json.
    folder : Path
        For feasibility-STEP.svg and .png.

    Returns
    -------
    names : list of str
        Of the files.
    notes : list of str
        What could not be drawn, and why.
    """
    from ...audit.figures import MISSING, available

    mine = [step for step in steps if step.get("feasibility")]
    if mine and not available():
        return [], [f"no figure of what can be reached: {MISSING}"]
    names = []
    for step in mine:
        drawn = Feasibility.from_dict(step["feasibility"]).plot()
        names += [path.name for path in drawn.save(folder, f"feasibility-{step['step']}")]
    return names, []


def _reach(value: float | None, method: str, found: Wanted, *, chosen: bool) -> Reach:
    have, want = found.have.reshape(-1), found.want.reshape(-1)
    some = have > 0
    have, want = have[some], want[some]
    # Every row comes ⌊want / have⌋ times, and some once more.
    times, more = np.divmod(want, have)
    squares = float((more * (times + 1.0) ** 2 + (have - more) * times.astype(np.float64) ** 2).sum())
    rows = int(want.sum())
    kept = int(np.minimum(have, want).sum())
    worth = rows**2 / squares if squares else 0.0
    gone = int(have.sum()) - kept
    return Reach(
        value,
        method,
        reachable=True,
        why="",
        kept=kept,
        dropped=gone,
        repeated=rows - kept,
        rows=rows,
        effective=worth,
        chosen=chosen,
    )


def _no(value: float | None, method: str, why: str, *, chosen: bool) -> Reach:
    return Reach(
        value, method, reachable=False, why=why, kept=0, dropped=0, repeated=0, rows=0, effective=0.0, chosen=chosen
    )


def _shown(goal: str, value: float | None) -> str:
    if value is None:
        return "independent" if goal == "target" else "overall"
    return f"{value:.2f}" if goal in ("level", "log_ratio") else f"{value:.3g}"
