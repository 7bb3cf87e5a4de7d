"""What became of the gap in each arm: decisions, gaps with every run, the price, pre-trained against from scratch."""

from __future__ import annotations

from ...audit.page.document import Section, beside, computed, figure
from ...audit.page.html import Html, join, tag
from ...audit.page.plot.forest import Bar, forest
from ...audit.page.plot.scales import known
from ...audit.page.plot.scatter import Dot, Guide, scatter
from ...audit.page.table import Cell, Column, table
from .first import settle
from .reading import (
    CERTIFIED,
    GUARDS,
    OWN,
    STATES,
    UPSTREAMS,
    Json,
    arm_name,
    cell,
    decided,
    items,
    key_of,
    part,
    plain,
    said,
    stacked,
    state,
    status_of,
    three,
    up,
    upstreams,
    what_gap,
)

_MANY = 8  # reasons of more arms are opened, not read in passing
NAMES = {"pass": "certified, or no gap", "fail": "not certified", "unclear": "unclear", "base": "raw data"}
RULE = (
    "Decided by the first rule that fits: no-gap (the raw gap's interval holds 0), widened (the reduction's interval "
    "is below 0), overshot (the gap turned round), harmful-tradeoff (it shrank, and the loss of a guard is by estimate "
    "beyond what is accepted), not-shrunk (the reduction's interval is below the margin), shrunk-meaningfully (its "
    "interval is above the margin; guards kept, placebo beaten), shrunk (above 0, same), else unclear.",
    "A pass also needs three seeds that differ, an imbalance of the raw data beyond chance, the same direction without "
    "any threshold, and, with several arms, to hold after Holm's correction for their number.",
    "Interval of the reduction: runs paired by seed; variance over seeds plus variance over clusters of test rows, t "
    "with Satterthwaite's degrees of freedom.",
)


def decisions(verdict: Json) -> Section | None:
    """The decision on every arm, with why."""
    arms = items(verdict, "arms")
    if not arms:
        return None
    several = len(upstreams(arms)) > 1
    columns = [
        Column("Arm"), *([Column("Upstream")] if several else []), Column("Decision"), Column("Gap before", "number"),
        Column("Gap after", "number"), Column("Reduction", "number"), Column("Share gone", "number"),
        Column("Guard"), Column("Worst-off group"), Column("Runs", "number"), Column("p, Holm", "number", ".3f"),
    ]  # fmt: skip
    rows = [
        [
            said(arm.get("arm")), *([up(arm)] if several else []),
            Cell(decided(arm.get("decision")), said(arm.get("decision"))),
            stacked(*three(arm, "base_gap")), stacked(*three(arm, "gap")), stacked(*three(arm, "reduction")),
            stacked(*three(arm, "reduction_share"), percent=True, signed=False),
            state(arm.get("guard_state")), state(arm.get("worst_group_state")), len(arm.get("seeds") or ()) or None,
            arm.get("p_holm"),
        ]
        for arm in arms
    ]  # fmt: skip
    reasons = [
        tag("p", tag("strong", f"{arm_name(arm, several=several)}: "), decided(arm.get("decision")), ". ",
            "; ".join(map(said, arm.get("reasons") or ())), ".", _settled(arm))
        for arm in arms
    ]  # fmt: skip
    why = (
        tag("details", tag("summary", f"Why, and what would settle it, for each of {len(arms)} arms"), *reasons)
        if len(arms) > _MANY
        else join([tag("h3", "Why"), *reasons])
    )
    shown = table(columns, rows, caption="Decision for each arm, with 95 % intervals", anchor="decisions-table")
    return Section("decisions", "Decision for each arm", join([shown, why, computed(*RULE, title="The rule")]))


def _settled(arm: Json) -> Html | None:
    return tag("em", " To settle it: ", settle(arm)) if arm.get("decision") == "unclear" else None


def gaps(verdict: Json) -> Section | None:
    """The gap of each arm over the band of its placebo, with every run as a dot."""
    found = [gap for gap in items(verdict, "gaps") if known(gap.get("gap"))]
    shown = [gap for gap in found if gap.get("role") != "placebo"] or found
    if not shown:
        return None
    judged = {key_of(arm): arm for arm in items(verdict, "arms")}
    named = {key_of(gap): gap for gap in found}
    ups = upstreams(shown)
    bars = []
    for name in ups:
        mine = [gap for gap in shown if said(gap.get("upstream")) == name]
        # The raw arm first, then the largest gap, so that what works best is last.
        for gap in sorted(mine, key=lambda gap: (gap.get("role") != "base", -gap["gap"], said(gap.get("arm")))):
            arm = judged.get(key_of(gap))
            placebo = named.get((said(arm.get("placebo_arm")), name)) if arm and arm.get("placebo_arm") else None
            bars.append(
                Bar(
                    said(gap.get("arm")), *three(gap, "gap"), n=None,
                    status="base" if gap.get("role") == "base" else status_of(arm.get("decision")) if arm else "",
                    group=UPSTREAMS.get(name, name) if len(ups) > 1 else "",
                    note=said(arm.get("decision")) if arm else "as it is" if gap.get("role") == "base" else "",
                    runs=tuple(run for run in gap.get("runs") or () if known(run)),
                    band=None if placebo is None else (placebo.get("gap_low"), placebo["gap"], placebo.get("gap_high")),
                )
            )  # fmt: skip
    runs = any(bar.runs for bar in bars)
    drawn = forest(
        bars, title="Gap of each arm with its 95 % interval", x=what_gap(verdict), names=NAMES,
        band="its placebo, 95 %", runs="one run",
    )  # fmt: skip
    margin = part(verdict, "margins").get("margin")
    caption = (
        "Lines: 95 % intervals over seeds and clusters of test rows. Grey: the placebo of each arm, as much change at "
        "random; an arm that does no better than its band shows nothing. "
        + ("Small dots: single runs. " if runs else "Single runs are not in this file. ")
        + (f"A reduction is worth having from {margin:g}." if known(margin) else "")
    )
    order = [
        Column("Arm"),
        Column("Upstream"),
        Column("Role"),
        Column("Gap", "number"),
        Column("Seeds", "number"),
        Column("Variance from seeds", "number", ".2g"),
        Column("from test rows", "number", ".2g"),
        Column("Without a threshold", "number", ".3f"),
        *([Column("Each run", "long")] if runs else []),
    ]
    rows = [
        [
            said(gap.get("arm")), up(gap), said(gap.get("role")), cell(*three(gap, "gap")),
            len(gap.get("seeds") or ()) or None, gap.get("v_seed"), gap.get("v_ex"), gap.get("threshold_free"),
            *([", ".join(plain(run) for run in gap.get("runs") or ()) or None] if runs else []),
        ]
        for gap in found
    ]  # fmt: skip
    data = table(order, rows, caption="Gap of every arm, placebos too", anchor="gaps-table")
    return Section("gaps", "The gap of each arm", figure(drawn, caption, data))


def tradeoff(verdict: Json) -> Section | None:
    """Gap cut against loss of the guard, with both margins."""
    arms = [arm for arm in items(verdict, "arms") if known(arm.get("reduction")) and known(arm.get("guard_loss"))]
    if not arms:
        return None
    ups, margins = upstreams(arms), part(verdict, "margins")
    many = len(arms) > 14
    margin, limit = margins.get("margin"), margins.get("guard_loss")
    guard = GUARDS.get(said(arms[0].get("guard")), said(arms[0].get("guard")))
    dots = []
    for arm in sorted(arms, key=lambda arm: (arm.get("upstream") not in OWN, -arm["reduction"])):
        x, y = three(arm, "reduction"), three(arm, "guard_loss")
        x, y = ((x[0], None, None), (y[0], None, None)) if many else (x, y)
        at = ups.index(said(arm.get("upstream")))
        dots.append(Dot(said(arm.get("arm")), x[0], y[0], x[1], x[2], y[1], y[2], series=at))
    told = ". ".join(
        f"{arm_name(arm, several=len(ups) > 1)}: reduction {plain(arm['reduction'])}, loss {plain(arm['guard_loss'])}"
        for arm in arms
    )
    guides = [Guide(0.0, upright=True, solid=True), Guide(0.0, solid=True)]
    if known(margin):
        guides.append(Guide(margin, upright=True, name="margin"))
    if known(limit):
        guides.append(Guide(limit, name="most loss accepted"))
    drawn = scatter(
        dots, desc=told,
        title=f"Reduction of the gap against loss of {guard}", x="reduction of the gap (more is better)",
        y=f"loss of {guard} (less is better)", guides=guides,
        series=[UPSTREAMS.get(name, name) for name in ups] if len(ups) > 1 else [],
        zone=(margin, None, None, limit) if known(margin) and known(limit) else None,
        zone_name="worth having at an accepted loss",
    )  # fmt: skip
    worth = f"{said(arms[0].get('guard'))}_independent"
    columns = [
        Column("Arm"),
        Column("Upstream"),
        Column("Reduction", "number"),
        Column(f"Loss of {guard}", "number"),
        Column("Guard"),
        Column(f"{guard} before", "number", ".3f"),
        Column("after", "number", ".3f"),
        Column("before, groups and labels independent", "number", ".3f"),
        Column("after, same", "number", ".3f"),
    ]
    rows = []
    for arm in arms:
        plain_, other = (part(part(arm, "utility"), name) for name in (said(arm.get("guard")), worth))
        rows.append([said(arm.get("arm")), up(arm), cell(*three(arm, "reduction")), cell(*three(arm, "guard_loss")),
                     state(arm.get("guard_state")), plain_.get("before"), plain_.get("after"), other.get("before"),
                     other.get("after")])  # fmt: skip
    caption = "Right and low is good. " + (
        "Intervals are in the table." if many else "Lines: 95 % intervals; a mark alone decides nothing."
    )
    note = computed(
        "An ordinary test set shares the bias of its corpus, so a model that drops the bias must lose a little there. "
        "The table also has the guard on the same rows weighted so that groups and labels are independent.",
    )
    data = table(columns, rows, caption="Reduction and its price", anchor="tradeoff-table")
    return Section("tradeoff", "What it cost", beside(figure(drawn, caption, data), note))


def scratch(verdict: Json) -> Section | None:
    """Each plan's reduction when pre-trained and from scratch, where both were trained."""
    arms = [arm for arm in items(verdict, "arms") if known(arm.get("reduction"))]
    by: dict[str, list[Json]] = {}
    for arm in arms:
        by.setdefault(said(arm.get("arm")), []).append(arm)
    crossed = {name: some for name, some in by.items() if len({arm.get("upstream") for arm in some}) > 1}
    if not crossed:
        return None
    ups = upstreams(arms)
    bars = [
        Bar(up(arm), *three(arm, "reduction"), status=status_of(arm.get("decision")), group=name)
        for name, some in crossed.items()
        for arm in sorted(some, key=lambda arm: ups.index(said(arm.get("upstream"))))
    ]
    margin = part(verdict, "margins").get("margin")
    drawn = forest(
        bars, title="Reduction of the gap by plan and upstream", x="reduction of the gap",
        limits=[margin] if known(margin) else [], names=NAMES,
    )  # fmt: skip
    told = [said(one.get("sentence")) for one in items(part(verdict, "attribution"), "interaction")]
    body = join(
        [
            figure(
                drawn,
                "95 % intervals; dashed: the margin. Whether two differ is told by the contrasts, not by overlap.",
            ),
            tag("ul", *(tag("li", one) for one in told)) if told else None,
        ]
    )
    lead = "Does a change of the data do as much for a pre-trained model as for one from scratch?"
    return Section("upstreams", "Pre-trained against from scratch", body, lead)


def placebos(verdict: Json) -> Section | None:
    """How much more each arm did than its placebo."""
    arms = [arm for arm in items(verdict, "arms") if known(arm.get("placebo_margin"))]
    without = [arm for arm in items(verdict, "arms") if not arm.get("placebo_arm")]
    if not arms and not without:
        return None
    ups = upstreams(arms)

    def verdict_on(arm: Json) -> str:
        low = arm.get("placebo_margin_low")
        return "unclear" if not known(low) or low <= 0 else "pass"

    bars = [
        Bar(said(arm.get("arm")), *three(arm, "placebo_margin"), status=verdict_on(arm),
            group=UPSTREAMS.get(name, name) if len(ups) > 1 else "")
        for name in ups
        for arm in arms
        if said(arm.get("upstream")) == name
    ]  # fmt: skip
    drawn = forest(bars, title="Reduction beyond that of the placebo", x="reduction beyond the placebo's",
                   names={"pass": "more than its placebo", "unclear": "may be no more"})  # fmt: skip
    names = ", ".join(arm_name(arm, several=len(upstreams(without)) > 1) for arm in without[:12])
    gone = f"Without a placebo, and so never certified: {names}{' and more' if len(without) > 12 else ''}."
    body = join([
        figure(drawn, "Paired by seed, 95 % intervals. A pass needs an interval above 0.") if bars else None,
        tag("p", gone) if without else None,
    ])  # fmt: skip
    note = computed(
        "A placebo changes the data as much, without aim: other words of the same frequency in the same rows, as many "
        "rows of each label, weights dealt out anew within labels, random rows of the same length; drawn afresh for "
        "each seed. Of several placebos the one hardest to beat counts.",
    )
    return Section("placebos", "Did it do more than its placebo?", beside(body, note))


__all__ = ["CERTIFIED", "NAMES", "STATES", "decisions", "gaps", "placebos", "scratch", "tradeoff"]
