"""What dose curves say in words: how much is enough, and whether "a shift of 20 %" is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .dose import Curve, Difference, DoseReport

SHIFT = 0.4
"""20 % of the way from one full correlation (0) to the other (2): two of the ten steps of Wang and Russakovsky."""

_SAME = 1e-9  # levels closer than this are one

HOLDS, FAILS, UNTOLD = "holds", "does not hold", "cannot be told"


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of Wang and Russakovsky 2023, held against the curves.

    Attributes
    ----------
    claim : str
        "a shift of 20 % is enough" or "pre-training costs a shift of 20 % at most".
    upstream : str
        Of the curve; "pretrained - random" for a difference.
    answer : str
        "holds", "does not hold" or "cannot be told".
    bound, estimate, low, high : float
        The level that the claim allows, and what was found.
    sentence : str
    """

    claim: str
    upstream: str
    answer: str
    bound: float
    estimate: float
    low: float
    high: float
    sentence: str


def claims(report: DoseReport, *, start: float | None = None) -> tuple[Claim, ...]:
    """Hold "often requires only a 20 % shift in correlation levels" against the curves.

    Parameters
    ----------
    report : DoseReport
        With curves and differences.
    start : float, optional
        The level at which the raw data are, where it is not the first level.

    Returns
    -------
    tuple of Claim
        One a curve, and one a pair of pre-trained and random; none unless levels are levels of correlation.

    Notes
    -----
    The claim is about levels from full correlation over balance to its mirror image, a range of 2; a shift of 20 % is
    0.4 of it. In the first form the gap must come within the margin by that shift. In the second, a pre-trained model
    may need so much more dose than one trained from scratch. An interval wholly on one side of the bound decides.

    Nothing can be told where nothing was to correct: the gap of the raw arm, or at the level of the raw data, may be 0
    or is within the margin. Nor from levels at which runs are no models (collapsed, or saturated, where every gap is
    near 0 by itself), nor where the slope without a threshold goes the other way.
    """
    if report.key != "level":
        return ()
    found = [_enough(report, curve, start) for curve in report.curves]
    by = {curve.upstream: curve for curve in report.curves}
    for one in report.differences:
        if one.second == "random":
            first, second = by[one.first], by[one.second]
            # All levels that a smallest dose may hang on, or all where it may be beyond them.
            found.append(_costs(one, (_in_doubt(report, first, start, first.smallest.high),
                                      _in_doubt(report, second, start, second.smallest.high))))  # fmt: skip
    return tuple(found)


def _enough(report: DoseReport, curve: Curve, start: float | None) -> Claim:
    begin = curve.points[0].level if start is None else start
    bound, dose, margin = begin + SHIFT, curve.smallest, report.margins.margin
    name = "a shift of 20 % is enough"
    levels = f"level {begin:.2g} to {bound:.2g}"
    last = curve.points[-1].level
    if bound > last:
        answer, sentence = UNTOLD, f"the levels end at {last:g}, before the {bound:.2g} that would tell"
    elif doubt := _in_doubt(report, curve, start, bound):
        answer, sentence = UNTOLD, doubt
    else:
        answer = _side(dose.low, dose.high, bound)
        sentence = f"a gap within {margin:g} takes level {spanned(dose.estimate, dose.low, dose.high)}"
    return Claim(
        name, curve.upstream, answer, bound, dose.estimate, dose.low, dose.high,
        f"{_titled(curve.upstream)}: a shift of 20 % ({levels}) is enough: {answer}; {sentence}.",
    )  # fmt: skip


def _in_doubt(report: DoseReport, curve: Curve, start: float | None, bound: float) -> str:
    """Why nothing can be told from the levels up to a bound; "" where it can."""
    begin = curve.points[0].level if start is None else start
    # Between two levels the gap at the beginning is at most that at the level before.
    first = next((point for point in reversed(curve.points) if point.level <= begin + _SAME), curve.points[0])
    shown = [(f"at level {first.level:g}", first.gap_low, first.gap_high)]
    shown += [] if curve.raw is None else [("of the raw arm", *curve.raw[1:])]
    for where, low, high in shown:
        if low <= 0 <= high:
            return f"the interval of the gap {where} includes 0: nothing to correct was shown"
        if max(-low, high) <= report.margins.margin:
            return f"the gap {where} is within {report.margins.margin:g} already: there was nothing to correct"
    # The curve up to the bound is drawn to the first level that is not below it.
    beyond = next((point for point in curve.points if point.level >= bound - _SAME), curve.points[-1])
    for point in curve.points:
        if point.level > beyond.level:
            break
        if point.collapsed:
            runs = f"{len(point.collapsed)} of {len(curve.seeds)} runs"
            return f"at level {point.level:g} {runs} collapsed: of no model there is a gap to read"
        if point.saturated:
            return f"at level {point.level:g} most runs are saturated: most rates are at 0 or 1, whatever the data"
    last = next((point for point in reversed(curve.points) if point.level <= bound + _SAME), first)
    fell, free = first.gap - last.gap, first.threshold_free - last.threshold_free
    if fell * free < 0:
        return (
            f"it depends on the threshold: from level {first.level:g} to {last.level:g} the gap goes from "
            f"{first.gap:+.3f} to {last.gap:+.3f}, without a threshold from {first.threshold_free:+.3f} to "
            f"{last.threshold_free:+.3f}"
        )
    return ""


def _costs(one: Difference, doubts: tuple[str, str]) -> Claim:
    answer = _side(one.smallest_low, one.smallest_high, SHIFT)
    told = [f"{_titled(up)}: {doubt}" for up, doubt in zip((one.first, one.second), doubts, strict=True) if doubt]
    if told:
        answer = UNTOLD
    found = "; ".join(told) or (
        "one or both never come within the margin"
        if math.isnan(one.smallest_low)
        else f"it needs {spanned(one.smallest, one.smallest_low, one.smallest_high, signed=True)} levels more"
    )
    return Claim(
        "pre-training costs a shift of 20 % at most", f"{one.first} - {one.second}", answer, SHIFT, one.smallest,
        one.smallest_low, one.smallest_high,
        f"{_titled(one.first)} needs at most a shift of 20 % ({SHIFT:g}) more than scratch: {answer}; {found}.",
    )  # fmt: skip


def _side(low: float, high: float, bound: float) -> str:
    if math.isnan(low) or math.isnan(high):
        return UNTOLD
    return HOLDS if high <= bound else FAILS if low > bound else UNTOLD


def number(value: float, *, signed: bool = False) -> str:
    """A level for people.

    Examples
    --------
    >>> number(0.8666), number(float("inf")), number(float("nan")), number(0.4, signed=True)
    ('0.87', 'beyond', '?', '+0.40')
    """
    if math.isnan(value):
        return "?"
    if math.isinf(value):
        return "beyond" if value > 0 else "-beyond"
    return f"{value:+.2f}" if signed else f"{value:.2f}"


def spanned(value: float, low: float, high: float, *, signed: bool = False) -> str:
    """A level with its interval."""
    if math.isnan(low):
        return f"{number(value, signed=signed)} [not known]"
    return f"{number(value, signed=signed)} [{number(low, signed=signed)} to {number(high, signed=signed)}]"


def _titled(upstream: str) -> str:
    return {"none": "Model", "random": "From scratch", "pretrained": "Pre-trained"}.get(
        upstream, f'Upstream "{upstream}"'
    )


def conclusion(report: DoseReport) -> str:
    """How far the gap moves and which dose is enough, then the claims."""
    said = [_sentence(report, curve) for curve in report.curves]
    return " ".join([*said, *(claim.sentence for claim in report.claims)])


def _sentence(report: DoseReport, curve: Curve) -> str:
    key, margin = report.key, report.margins.margin
    first, last, dose = curve.points[0], curve.points[-1], curve.smallest
    moved = (
        f"{_titled(curve.upstream)}: the gap is {first.gap:+.3f} at {key} {first.level:g} and {last.gap:+.3f} at "
        f"{last.level:g}"
    )
    ends = spanned(dose.estimate, dose.low, dose.high)
    if math.isinf(dose.estimate):
        said = f"at no {key} is it within {margin:g} (95 %: {ends.partition('[')[2].rstrip(']')})"
    elif dose.estimate == first.level and dose.high == first.level:
        said = f"it is within {margin:g} from the start"
    else:
        said = f"it comes within {margin:g} at {key} {ends}"
    trend = curve.line.trend_p
    if not math.isnan(trend) and trend > 0.025:
        said += "; that it falls at all is not shown"
    elif curve.line.rises:
        said += f"; but it rises from {curve.line.rises[0][0]:g} to {curve.line.rises[0][1]:g}"
    return f"{moved}; {said}."
