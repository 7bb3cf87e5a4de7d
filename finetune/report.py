"""The verdict for people: a table that fits 80 columns, decision first, reasons in plain words."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .records import ArmVerdict
from .verdict import Verdict

if TYPE_CHECKING:
    from rich.console import RenderableType

_STYLES = {
    "shrunk-meaningfully": "bold green",
    "shrunk": "green",
    "no-gap": "green",
    "unclear": "yellow",
}


def _number(value: float) -> str:
    return "?" if math.isnan(value) else f"{value:+.3f}"


def _span(value: float, low: float, high: float) -> str:
    return f"{_number(value)} [{_number(low)}, {_number(high)}]"


def _what(verdict: Verdict) -> str:
    stick = verdict.yardstick
    if stick.kind == "fpr":
        return f"false positives by how toxic a term is in the raw data, over {len(stick.used)} terms"
    return f"recall of {stick.first} minus {stick.second} by the share of {stick.first}, over {len(stick.used)} labels"


def _facts(arm: ArmVerdict) -> list[str]:
    """Reasons first, then what stands beside the decision."""
    lines = list(arm.reasons)
    if not math.isnan(arm.guard_loss):
        lines.append(
            f"{arm.guard}: loss {_span(arm.guard_loss, arm.guard_loss_low, arm.guard_loss_high)}, {arm.guard_state}"
        )
    worst = _span(arm.worst_group_loss, arm.worst_group_loss_low, arm.worst_group_loss_high)
    lines.append(
        f"worst-off group {arm.worst_group}: loss {worst}, {arm.worst_group_state}; from the {arm.worst_group_source}"
    )
    if arm.placebo_arm:
        beyond = _span(arm.placebo_margin, arm.placebo_margin_low, arm.placebo_margin_high)
        lines.append(f"beyond the placebo: {beyond}")
    flip = arm.sign_flip_note or f"sign-flip p {arm.sign_flip_p:.3f}"
    lines.append(f"multi-bootstrap {_number(arm.boot_low)} to {_number(arm.boot_high)}; {flip}")
    lines.append(f"variance from seeds {arm.v_seed:.2e}, from {arm.clusters} test clusters {arm.v_ex:.2e}")
    return lines


def verdict_table(verdict: Verdict, *, details: bool = True) -> RenderableType:
    """The verdict as a rich renderable, 80 columns wide at most.

    Parameters
    ----------
    verdict : Verdict
        From `verify`.
    details : bool
        Whether reasons and what stands beside the decision follow the table.

    Returns
    -------
    rich renderable
    """
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = [Text(f"Gap: {_what(verdict)}. Positive follows the data's own imbalance.")]
    if verdict.arms:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("Decision", no_wrap=True)
        table.add_column("Arm", overflow="fold", max_width=18)
        table.add_column("Gap before, after", no_wrap=True)
        table.add_column("Reduction [95 %]", no_wrap=True)
        for arm in verdict.arms:
            name = arm.arm if arm.upstream == "pretrained" else f"{arm.arm}, {arm.upstream}"
            table.add_row(
                Text(arm.decision, style=_STYLES.get(arm.decision, "red")),
                Text(name),
                f"{_number(arm.base_gap)} {_number(arm.gap)}",
                Text(_span(arm.reduction, arm.reduction_low, arm.reduction_high)),
            )
        parts.append(table)
        for arm in verdict.arms if details else ():
            parts.append(Text(f"{arm.arm}, {arm.upstream}: {arm.decision}", style="bold"))
            parts += [Padding(Text(f"- {line}"), (0, 0, 0, 2)) for line in _facts(arm)]
    else:
        parts.append(Text("One arm: gaps and no verdict. A verdict needs a base arm, a curated arm and its placebo."))
        for gap in verdict.gaps:
            interval = _span(gap.gap, gap.gap_low, gap.gap_high)
            parts.append(Text(f"{gap.arm}, {gap.upstream}, {len(gap.seeds)} seeds: gap {interval}", style="bold"))
            table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
            table.add_column("Group", overflow="fold", max_width=26)
            table.add_column("Rows", justify="right", no_wrap=True)
            table.add_column("Rate [95 %]", no_wrap=True)
            table.add_column("Minus the others", no_wrap=True)
            for row in gap.groups:
                table.add_row(
                    Text(row.group if row.label is None else f"{row.label} / {row.group}"),
                    str(row.n),
                    Text(f"{row.rate:.3f} [{row.low:.3f}, {row.high:.3f}]"),
                    ""
                    if math.isnan(row.gap)
                    else Text(f"{_number(row.gap)} [{row.gap_low:+.2f}, {row.gap_high:+.2f}]"),
                )
            parts.append(table)
    parts += [Text(f"Note: {note}") for note in verdict.notes]
    return Padding(Group(*parts), 0, expand=False)


def verdict_html(verdict: Verdict) -> str:
    """The same as a small HTML table, for notebooks."""
    if not verdict.arms:
        rows = [(g.arm, g.upstream, _span(g.gap, g.gap_low, g.gap_high)) for g in verdict.gaps]
        head: tuple[str, ...] = ("Arm", "Upstream", "Gap [95 %]")
        return _html(head, rows)
    found = [
        (
            arm.decision,
            arm.arm,
            arm.upstream,
            _span(arm.base_gap, arm.base_gap_low, arm.base_gap_high),
            _span(arm.gap, arm.gap_low, arm.gap_high),
            _span(arm.reduction, arm.reduction_low, arm.reduction_high),
            "; ".join(arm.reasons),
        )
        for arm in verdict.arms
    ]
    return _html(("Decision", "Arm", "Upstream", "Gap before", "Gap after", "Reduction", "Why"), found)


def _html(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    def line(cells: tuple[str, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "<table>" + line(head, "th") + "".join(line(tuple(row), "td") for row in rows) + "</table>"
