"""Groups before and after, the worst-off group, and the answer under other thresholds."""

from __future__ import annotations

from typing import Any

from ...audit.page.document import Section, beside, computed, figure
from ...audit.page.html import Html, join, tag
from ...audit.page.plot.forest import Bar, forest, spelt
from ...audit.page.plot.scales import known
from ...audit.page.table import Cell, Column, table
from .reading import (
    OWN,
    STATES,
    UPSTREAMS,
    Json,
    arm_name,
    best_of,
    cell,
    decided,
    items,
    key_of,
    part,
    said,
    status_of,
    three,
    up,
    upstreams,
)

_MOST = 60  # rows of a chart; the table has them all
_ALL = 1500  # rows of the table of all arms


def groups(verdict: Json) -> Section | None:
    """Rate of each group before and after the best arm; the same of every arm as a table."""
    base = said(verdict.get("base_arm"))
    gaps = {key_of(gap): gap for gap in items(verdict, "gaps")}
    best = best_of(verdict)
    if best is None:
        shown: list[tuple[Json, Json | None, Json | None]] = [(gap, None, gap) for gap in list(gaps.values())[:3]]
    else:
        ups = upstreams(items(verdict, "arms"))
        bests = [
            max(mine, key=lambda arm: (arm is best, arm["reduction"] if known(arm.get("reduction")) else -1.0))
            for name in ups
            if name in OWN or name == "random"
            for mine in [[arm for arm in items(verdict, "arms") if said(arm.get("upstream")) == name]]
        ] or [best]
        shown = [(arm, gaps.get((base, said(arm.get("upstream")))), gaps.get(key_of(arm))) for arm in bests]
    several = len({said(one.get("upstream")) for one, _, _ in shown}) > 1
    parts = [_forest(verdict, one, before, after, at, several=several) for at, (one, before, after) in enumerate(shown)]
    drawn = [piece for piece in parts if piece is not None]
    if not drawn:
        return None
    every = _every(verdict)
    tpr = part(verdict, "yardstick").get("measure") == "tpr"
    what = (
        "Recall of each group within each label" if tpr else "False positives among harmless rows that name each term"
    )
    note = computed(
        "Rates are means over seeds; intervals over seeds and clusters of test rows. Groups with few training or test "
        "rows, and terms with another everyday sense, are shown but do not count in the gap.",
    )
    return Section("groups", "Groups before and after", beside(join([*drawn, every]), note), f"{what}.")


def _rates(record: Json | None) -> dict[tuple[str, str], Json]:
    return (
        {}
        if record is None
        else {(said(one.get("group")), said(one.get("label"))): one for one in items(record, "groups")}
    )


def _forest(
    verdict: Json, one: Json, before: Json | None, after: Json | None, at: int, *, several: bool
) -> Html | None:  # fmt: skip
    first, second = _rates(before), _rates(after)
    changes = _rates(one) if before is not None else {}
    bars, rows = [], []
    for key, rate in second.items():
        value = (rate.get("rate"), rate.get("low"), rate.get("high"))
        was = first.get(key, {})
        old = (was.get("rate"), was.get("low"), was.get("high")) if was else None
        change = three(changes.get(key, {}), "change")
        rows.append([" / ".join(filter(None, (key[1], key[0]))), rate.get("n"), "yes" if rate.get("in_gap") else "no",
                     *([cell(*old, signed=False)] if old else [None] if before else []), cell(*value, signed=False),
                     *([cell(*change)] if before else []), cell(*three(rate, "gap"))])  # fmt: skip
        if known(value[0]) and len(bars) < _MOST and rate.get("in_gap"):
            bars.append(
                Bar(key[0], *value, n=rate.get("n"), before=old, group=key[1], note=_moved(old, value, change),
                    status="" if old is None or _moves(change) else "quiet")
            )  # fmt: skip
    if not rows:
        return None
    tpr = part(verdict, "yardstick").get("measure") == "tpr"
    x = "recall (true-positive rate)" if tpr else "false-positive rate"
    name = arm_name(one, several=several)
    drawn = forest(
        bars, title=f"{x} by group, {name}", x=x, reference=None, signed=False,
        names={"": f"{name}: the rate moved", "quiet": f"{name}: may not have"} if before else {},
        before=said(verdict.get("base_arm")) if before else "",
    )  # fmt: skip
    columns = [Column("Group"), Column("Rows", "number"), Column("In the gap"),
               *([Column("Rate before", "number")] if before else []), Column("Rate", "number"),
               *([Column("Change", "number")] if before else []), Column("Minus the others", "number")]  # fmt: skip
    data = table(columns, rows, caption=f"Groups with {name}", anchor=f"groups-{at}")
    head = tag("h3", f"{said(verdict.get('base_arm'))} and {name}" if before else name)
    if not bars:
        return join([head, data])
    caption = "Hollow: before. Filled: after; grey where the change may be 0. At the right: the change."
    return join([head, figure(drawn, caption if before else "95 % intervals.", data)])


def _moved(old: Any, value: Any, change: tuple[Any, Any, Any]) -> str:
    return spelt(*change) if old is not None and known(change[0]) else spelt(*value, signed=False)


def _moves(change: tuple[Any, Any, Any]) -> bool:
    """Whether the interval of the change leaves out 0."""
    return known(change[1]) and known(change[2]) and (change[1] > 0 or change[2] < 0)


def _every(verdict: Json) -> Html | None:
    arms = items(verdict, "arms")
    rows = [
        [" / ".join(filter(None, (said(one.get("label")), said(one.get("group"))))), said(arm.get("arm")), up(arm),
         one.get("n"), one.get("before"), one.get("after"), cell(*three(one, "change"))]
        for arm in arms
        for one in items(arm, "groups")
        if one.get("in_gap")
    ]  # fmt: skip
    if len(arms) < 2 or not rows:
        return None
    columns = [
        Column("Group"),
        Column("Arm"),
        Column("Upstream"),
        Column("Rows", "number"),
        Column("Before", "number", ".3f"),
        Column("After", "number", ".3f"),
        Column("Change", "number"),
    ]
    cut = f"The first {_ALL:,} of {len(rows):,}; all are in verdict.json." if len(rows) > _ALL else ""
    made = table(columns, rows[:_ALL], caption="Groups in the gap, every arm", anchor="groups-all", remark=cut)
    return tag("details", tag("summary", "Every arm"), made)


def worst(verdict: Json) -> Section | None:
    """What became of the worst-off group."""
    arms = [arm for arm in items(verdict, "arms") if arm.get("worst_group")]
    if not arms:
        return None
    limit, ups = part(verdict, "margins").get("worst_group_loss"), upstreams(arms)
    bars = [
        Bar(f"{said(arm.get('arm'))}: {said(arm.get('worst_group'))}", *three(arm, "worst_group_loss"),
            status=STATES.get(said(arm.get("worst_group_state")), ""),
            group=UPSTREAMS.get(name, name) if len(ups) > 1 else "")
        for name in ups
        for arm in arms
        if said(arm.get("upstream")) == name and known(arm.get("worst_group_loss"))
    ]  # fmt: skip
    drawn = forest(bars, title="Loss of the worst-off group", x="loss of the worst-off group (below 0: a gain)",
                   limits=[limit] if known(limit) else [],
                   names={"pass": "kept", "fail": "lost", "unclear": "open"})  # fmt: skip
    rows = []
    for gap in items(verdict, "gaps"):
        one = part(gap, "worst_gap")
        if known(one.get("shrunk")):
            rows.append(
                [
                    said(gap.get("arm")),
                    up(gap),
                    " / ".join(filter(None, (said(one.get("label")), said(one.get("group"))))),
                    one.get("n"),
                    one.get("gap"),
                    cell(one.get("shrunk"), one.get("low"), one.get("high")),
                ]
            )
    columns = [
        Column("Arm"),
        Column("Upstream"),
        Column("Group with the largest gap"),
        Column("Rows", "number"),
        Column("Gap as counted", "number", ".3f"),
        Column("Gap, luck taken out", "number"),
    ]
    how = ", ".join(sorted({said(arm.get("worst_group_source")) for arm in arms} - {""}))
    caption = "95 % intervals; dashed: the most that is accepted." if known(limit) else "95 % intervals."
    body = join([
        figure(drawn, caption) if bars else None,
        table(columns, rows, caption="The largest gap of any group", anchor="worst-table") if rows else None,
    ])  # fmt: skip
    note = computed(
        f"A gap can shrink by hurting those who were better off; so the group that was worst off must not lose. It is "
        f"named before the arms are judged ({how or 'how is not in this file'}). Where a group has the largest of many "
        "gaps, part of that is luck: it is shrunk towards the others (empirical Bayes).",
    )
    return Section("worst", "The worst-off group", beside(body, note))


def thresholds(verdict: Json) -> Section | None:
    """The reduction under every rule for the threshold."""
    arms = [arm for arm in items(verdict, "arms") if items(arm, "thresholds")]
    if not arms:
        return None
    several = len(upstreams(arms)) > 1
    rows = [
        [arm_name(arm, several=several), said(one.get("rule")), cell(one.get("base_gap")), cell(one.get("gap")),
         cell(*three(one, "reduction")), cell(one.get("reduction_share"), percent=True, signed=False),
         Cell(decided(one.get("decision")), said(one.get("decision")))]
        for arm in arms
        for one in items(arm, "thresholds")
    ]  # fmt: skip
    columns = [Column("Arm"), Column("Threshold"), Column("Gap before", "number"), Column("after", "number"),
               Column("Reduction", "number"), Column("Share gone", "number"), Column("Decision")]  # fmt: skip
    data = table(columns, rows, caption="The answer under other thresholds", anchor="thresholds-table")
    first = arms if len(arms) <= 8 else [arm for arm in arms if arm.get("upstream") in OWN][:8] or arms[:8]
    bars = [
        Bar(said(one.get("rule")), *three(one, "reduction"), status=status_of(one.get("decision")),
            group=arm_name(arm, several=several))
        for arm in first
        for one in items(arm, "thresholds")
        if known(one.get("reduction"))
    ]  # fmt: skip
    drawn = forest(bars, title="Reduction of the gap under each threshold", x="reduction of the gap",
                   names={"pass": "certified, or no gap", "fail": "not certified"})  # fmt: skip
    more = "" if len(first) == len(arms) else f" The first {len(first)} arms; the table has all {len(arms)}."
    moved = [
        arm_name(arm, several=several)
        for arm in arms
        if len({said(one.get("decision")) for one in items(arm, "thresholds")}) > 1
    ]
    lead = (
        f"The decision changes with the threshold for {len(moved)} of {len(arms)} arms."
        if moved
        else "No decision changes with the threshold."
    )
    note = computed(
        "The verdict's own rule: for each run the score at which as many raw dev rows are called positive as are "
        "positive. The other rules decide nothing; they show how much of the answer hangs on the rule.",
    )
    body = join([figure(drawn, f"95 % intervals.{more}") if bars else None, data])
    return Section("thresholds", "Other thresholds", beside(body, note), lead)


__all__ = ["groups", "thresholds", "worst"]
