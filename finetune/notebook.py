"""A verdict, an attribution and dose curves in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..audit.page.html import Html
from ..audit.page.notebook import conclusion, grid, interval, notebook, printed
from ..audit.page.plot.forest import Bar, forest
from ..data.showing import clipped
from .judging.headline import headline

if TYPE_CHECKING:
    from .attribution.attribution import Attribution
    from .attribution.dose import DoseReport
    from .judging.verdict import Verdict

_NAME = 30  # characters of a name in a chart
_STATUS = {"shrunk-meaningfully": "pass", "shrunk": "pass", "no-gap": "pass", "unclear": "unclear"}
_MOST = 24


def verdict_html(verdict: Verdict) -> str:
    """A verdict for `Verdict._repr_html_`: the answer, the gap of every arm, the arms that were judged."""
    rows = [
        (
            arm.decision, arm.arm, arm.upstream, interval(arm.base_gap, arm.base_gap_low, arm.base_gap_high),
            interval(arm.gap, arm.gap_low, arm.gap_high),
            interval(arm.reduction, arm.reduction_low, arm.reduction_high), "; ".join(arm.reasons),
        )
        for arm in verdict.arms
    ]  # fmt: skip
    judged = (
        grid(["decision", "arm", "upstream", "gap before", "gap after", "reduction", "why"], rows) if rows else None
    )
    gaps = [(one.arm, one.upstream, one.role, interval(one.gap, one.gap_low, one.gap_high)) for one in verdict.gaps]
    return notebook(
        conclusion(headline(verdict)),
        _gaps(verdict),
        judged,
        grid(["arm", "upstream", "role", "gap (95 % interval)"], gaps, more="gaps"),
    )


def _gaps(verdict: Verdict) -> Html:
    decided = {(arm.arm, arm.upstream): _STATUS.get(arm.decision, "fail") for arm in verdict.arms}
    several = len({one.upstream for one in verdict.gaps}) > 1
    bars = [
        Bar(
            clipped(one.arm, _NAME), one.gap, one.gap_low, one.gap_high,
            status="base" if one.role == "base" else decided.get((one.arm, one.upstream), "quiet"),
            group=clipped(one.upstream, _NAME) if several else "",
        )
        for one in verdict.gaps[:_MOST]
    ]  # fmt: skip
    return forest(bars, title="The gap of each arm", x="gap")


def attribution_html(found: Attribution) -> str:
    """An attribution for `Attribution._repr_html_`."""
    from .attribution.report import attribution_table

    return notebook(conclusion(found.sentence), printed(attribution_table(found)))


def dose_html(report: DoseReport) -> str:
    """Dose curves for `DoseReport._repr_html_`."""
    from .attribution.dose_table import dose_table

    return notebook(conclusion(report.conclusion), printed(dose_table(report)))
