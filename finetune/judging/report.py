"""The verdict for people: the answer in one sentence, a table with the decision first, a line or two an arm on why.

The table fits 80 columns; where there are fewer, its cells stand below one another and nothing is cut.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .headline import headline, no_models, short
from .records import ArmGap, ArmVerdict
from .verdict import Verdict

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.text import Text

_NARROW = 72
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


def _range(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"{short(low)} to {short(high)}"


def _name(arm: str, upstream: str) -> str:
    """The arm, and its upstream where that says something."""
    return arm if upstream in ("pretrained", "none") else f"{arm}, {upstream}"


_GUARDS = {"auc": "AUC", "macro_f1": "F1"}
_STATES = {"passed": "kept", "failed": "lost", "unresolved": "open"}


def _cells(arm: ArmVerdict, *, empty: bool) -> list[str]:
    """What the table says of an arm, two lines a cell."""
    beyond = "none" if not arm.placebo_arm else short(arm.placebo_margin)
    guards = f"{_GUARDS[arm.guard]} {_STATES[arm.guard_state]}\ngroup {_STATES[arm.worst_group_state]}"
    return [
        f"{short(arm.base_gap)} → {short(arm.gap)}\n{_range(arm.gap_low, arm.gap_high)}",
        f"{short(arm.reduction)}\n{_range(arm.reduction_low, arm.reduction_high)}",
        f"{beyond}\n{_range(arm.placebo_margin_low, arm.placebo_margin_high)}",
        "no model" if empty else guards,  # what guesses before and after has nothing to lose
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
            said.append(f"{short(arm.utility[what]['before'])} → {short(arm.utility[what]['after'])} ({where})")
    return f"{name} {', '.join(said)}" if said else ""


def _moved(arm: ArmVerdict) -> str:
    """The reduction and the decision under each rule for the threshold."""
    said = [f"{one['rule']} {short(one['reduction'])} {one['decision']}" for one in arm.thresholds]
    return f"Reduction by threshold: {'; '.join(said)}" if said else ""


def _flips(arm: ArmVerdict) -> str:
    """How often swapping the words of groups turns a decision."""
    found = arm.measures.get("flip_rate")
    if not found:
        return ""
    return (
        f"Decisions that a swap turns: {short(found['before'])} → {short(found['after'])} of {found['n']} rows that "
        f"it changes (change {_range(found['change_low'], found['change_high'])})"
    )


def verdict_table(verdict: Verdict, *, details: bool = True) -> RenderableType:
    """The verdict as a rich renderable, 80 columns wide at most; in a narrower terminal cells are stacked.

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
    return _Shown(verdict, details=details)


class _Shown:
    """Laid out when it is printed, for only then the width is known."""

    def __init__(self, verdict: Verdict, *, details: bool) -> None:
        self.verdict, self.details = verdict, details

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.padding import Padding
        from rich.text import Text

        verdict = self.verdict
        yield Text(headline(verdict), style="bold")
        yield Text(f"Gap: {_what(verdict)}. Positive follows the data's own imbalance.")
        for part in _judged(verdict, options.max_width, details=self.details) if verdict.arms else ():
            yield Padding(part, 0, expand=False)
        if not verdict.arms:
            yield Text("One arm: gaps and no verdict. A verdict needs a base arm, a curated arm and its placebo.")
            for gap in verdict.gaps:
                seeds = f"{len(gap.seeds)} seed{'s' * (len(gap.seeds) > 1)}"
                interval = _span(gap.gap, gap.gap_low, gap.gap_high)
                yield Text(f"{_name(gap.arm, gap.upstream)}, {seeds}: gap {interval}", style="bold")
                yield Padding(_rates(gap, options.max_width), 0, expand=False)
        yield from (Text(f"Note: {note}") for note in verdict.notes)


_HEADS = ("Gap, 95 %", "Reduction", "Over placebo", "Guards")


def _judged(verdict: Verdict, width: int, *, details: bool) -> list[RenderableType]:
    """The arms that have a verdict."""
    from rich.text import Text

    empty = no_models(verdict)
    rows = [
        (arm, _cells(arm, empty=bool({(arm.arm, arm.upstream), (verdict.base_arm, arm.upstream)} & empty)))
        for arm in verdict.arms
    ]
    names = [_name(arm.arm, arm.upstream) for arm in verdict.arms]
    styles = [_STYLES.get(arm.decision, "red") for arm in verdict.arms]
    heads = [
        Text.assemble((arm.decision, style), f"\n{name}")
        for arm, style, name in zip(verdict.arms, styles, names, strict=True)
    ]
    parts: list[RenderableType] = [
        _table(
            ("Decision, arm", *_HEADS), [(head, *cells) for head, (_, cells) in zip(heads, rows, strict=True)], width
        )
    ]
    for arm, name in zip(verdict.arms, names, strict=True) if details else ():
        parts.append(Text.assemble((f"{name}: ", "bold"), _why(arm)))
        parts += [Text(f"  {line}") for line in (_worth(arm), _moved(arm), _flips(arm)) if line]
    if details:
        worst = sorted({arm.worst_group for arm in verdict.arms})
        parts.append(Text(f"Guards: {_GUARDS[verdict.margins.guard]}; group: {', '.join(worst)}, the worst off."))
    return parts


def _rates(gap: ArmGap, width: int) -> RenderableType:
    """Rates by group of one arm."""
    from rich.text import Text

    rows: list[tuple[Text, ...] | tuple[Text, str, str, str]] = []
    for row in gap.groups:
        minus = "" if math.isnan(row.gap) else f"{_number(row.gap)} [{row.gap_low:+.2f}, {row.gap_high:+.2f}]"
        name = row.group if row.label is None else f"{row.label} / {row.group}"
        rows.append((Text(name), str(row.n), f"{row.rate:.3f} [{row.low:.3f}, {row.high:.3f}]", minus))
    return _table(("Group", "Rows", "Rate [95 %]", "Minus the others"), rows, width, right=("Rows",))


def _table(
    heads: Sequence[str], rows: Sequence[Sequence[Text | str]], width: int, *, right: Sequence[str] = ()
) -> RenderableType:
    """A table; cells below one another where it does not fit, so that neither a decision nor a number is cut."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    def widest(values: Sequence[Text | str]) -> int:
        return max((len(line) for value in values for line in str(value).split("\n")), default=0)

    columns = list(zip(*rows, strict=True))
    # Names may fold at any place; a decision, the first line of its cell, may not.
    first = min(22, max((len(str(value).split("\n")[0]) for value in columns[0]), default=0)) if columns else 0
    needed = first + sum(2 + max(len(head), widest(cells)) for head, cells in zip(heads[1:], columns[1:], strict=False))
    if width >= _NARROW and needed <= width:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(heads[0], overflow="fold", max_width=26 if right else 22)
        for head in heads[1:]:
            table.add_column(head, no_wrap=True, justify="right" if head in right else "left")
        for row in rows:
            table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
        return table
    lines: list[Text] = []
    for row in rows:
        lines.append(row[0] if isinstance(row[0], Text) else Text(row[0]))
        for head, cell in zip(heads[1:], row[1:], strict=True):
            value, *more = [line for line in str(cell).split("\n") if line] or [""]
            if value:
                lines.append(Text(f"  {head.removesuffix(', 95 %').removesuffix(' [95 %]')}: {value}"))
            lines += [Text(f"    {line}") for line in more]
    return Group(*lines)
