"""The verdict for people: one table that fits 80 columns, decision first, then a line or two an arm on why."""

from __future__ import annotations

import html
import math
import re
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


def _short(value: float) -> str:
    """Three decimals without what says nothing.

    Examples
    --------
    >>> _short(0.1234), _short(-0.02), _short(1.0)
    ('.123', '-.020', '1.000')
    """
    return "?" if math.isnan(value) else f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.3f}"


def _range(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"{_short(low)} to {_short(high)}"


def _name(arm: str, upstream: str) -> str:
    """The arm, and its upstream where that says something."""
    return arm if upstream in ("pretrained", "none") else f"{arm}, {upstream}"


_GUARDS = {"auc": "AUC", "macro_f1": "F1"}
_STATES = {"passed": "kept", "failed": "lost", "unresolved": "open"}


def _cells(arm: ArmVerdict) -> list[str]:
    """What the table says of an arm, two lines a cell."""
    beyond = "none" if not arm.placebo_arm else _short(arm.placebo_margin)
    return [
        f"{_short(arm.base_gap)} → {_short(arm.gap)}\n{_range(arm.gap_low, arm.gap_high)}",
        f"{_short(arm.reduction)}\n{_range(arm.reduction_low, arm.reduction_high)}",
        f"{beyond}\n{_range(arm.placebo_margin_low, arm.placebo_margin_high)}",
        f"{_GUARDS[arm.guard]} {_STATES[arm.guard_state]}\ngroup {_STATES[arm.worst_group_state]}",
    ]


def _why(arm: ArmVerdict) -> str:
    """The first two reasons, what would settle it, and how many more reasons the file holds."""
    said = [*arm.reasons[:2]]
    rest = [reason for reason in arm.reasons[2:] if "would settle" in reason]
    if arm.collapsed:
        rest.append(f"{len(arm.collapsed)} collapsed runs are in")
    more = len([reason for reason in arm.reasons if reason not in said + rest and "collapsed" not in reason])
    text = "; ".join([*said, *rest]) + (f" (and {more} more)" if more > 0 else "")
    return re.sub(r" \[[-+\d., ]+\]", "", text)  # the table has the intervals


def _worth(arm: ArmVerdict) -> str:
    """The model's worth on the test set as it is and where label and groups are independent."""
    name, said = _GUARDS[arm.guard], []
    for what, where in ((arm.guard, "test"), (f"{arm.guard}_independent", "with groups and labels independent")):
        if what in arm.utility and not math.isnan(arm.utility[what]["after"]):
            said.append(f"{_short(arm.utility[what]['before'])} → {_short(arm.utility[what]['after'])} ({where})")
    return f"{name} {', '.join(said)}" if said else ""


def _moved(arm: ArmVerdict) -> str:
    """The reduction and the decision under each rule for the threshold."""
    said = [f"{one['rule']} {_short(one['reduction'])} {one['decision']}" for one in arm.thresholds]
    return f"Reduction by threshold: {'; '.join(said)}" if said else ""


def _flips(arm: ArmVerdict) -> str:
    """How often swapping the words of groups turns a decision."""
    found = arm.measures.get("flip_rate")
    if not found:
        return ""
    return (
        f"Decisions that a swap turns: {_short(found['before'])} → {_short(found['after'])} of {found['n']} rows that "
        f"it changes (change {_range(found['change_low'], found['change_high'])})"
    )


def verdict_table(verdict: Verdict, *, details: bool = True) -> RenderableType:
    """The verdict as a rich renderable, 80 columns wide at most.

    Parameters
    ----------
    verdict : Verdict
        From `verify`.
    details : bool
        Whether a line or two on why follow the table for each arm. All else is in `verdict.json`.

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
        table.add_column("Decision, arm", overflow="fold", max_width=22)
        table.add_column("Gap, 95 %", no_wrap=True)
        table.add_column("Reduction", no_wrap=True)
        table.add_column("Over placebo", no_wrap=True)
        table.add_column("Guards", no_wrap=True)
        for arm in verdict.arms:
            head = Text(arm.decision, style=_STYLES.get(arm.decision, "red"))
            head.append(f"\n{_name(arm.arm, arm.upstream)}", style="default")
            table.add_row(head, *(Text(cell) for cell in _cells(arm)))
        parts.append(table)
        for arm in verdict.arms if details else ():
            parts.append(Text.assemble((f"{_name(arm.arm, arm.upstream)}: ", "bold"), _why(arm)))
            parts += [Text(f"  {line}") for line in (_worth(arm), _moved(arm), _flips(arm)) if line]
        if details:
            worst = sorted({arm.worst_group for arm in verdict.arms})
            parts.append(Text(f"Guards: {_GUARDS[verdict.margins.guard]}; group: {', '.join(worst)}, the worst off."))
    else:
        parts.append(Text("One arm: gaps and no verdict. A verdict needs a base arm, a curated arm and its placebo."))
        for gap in verdict.gaps:
            interval = _span(gap.gap, gap.gap_low, gap.gap_high)
            seeds = f"{len(gap.seeds)} seed{'s' * (len(gap.seeds) > 1)}"
            parts.append(Text(f"{_name(gap.arm, gap.upstream)}, {seeds}: gap {interval}", style="bold"))
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
