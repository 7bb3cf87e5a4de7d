"""The first screen of a verdict: the conclusion, the scores, what matters most and what to do."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

from ...audit.page.document import Matter, Tile
from ...audit.page.plot.forest import spelt
from ...audit.page.plot.scales import known
from ..judging.headline import headline
from .reading import (
    CERTIFIED,
    GUARDS,
    Json,
    arm_name,
    best_of,
    between,
    items,
    part,
    plain,
    said,
    status_of,
    three,
    upstreams,
)

_NAN = float("nan")
_DO = {
    "shrunk-meaningfully": "Train on what this plan makes of the data, and check again when data or model change.",
    "shrunk": "Use it if any reduction is worth having; more seeds may show whether it is beyond the margin.",
    "no-gap": "Leave the data as they are on this axis; where little was to be seen, audit more rows first.",
    "widened": "Do not use this plan for this purpose.",
    "overshot": "Use a weaker form of the plan: a lower level, a cap on weights, fewer added rows.",
    "not-shrunk": "Do not use this plan for this purpose; try one that changes more, or another kind of step.",
    "harmful-tradeoff": (
        "Use a weaker form of the plan, or decide before the next training, not after this one, what loss is accepted "
        "([verdict] guard_loss, worst_group_loss)."
    ),
}


def conclusion(verdict: Json) -> str:
    """The sentence that the terminal says."""
    gaps = tuple(_record(gap, ("gap", "gap_low", "gap_high")) for gap in items(verdict, "gaps"))
    arms = tuple(_record(arm, ("gap", "base_gap", "guard_loss")) for arm in items(verdict, "arms"))
    if not gaps and not arms:
        return "This verdict holds no arm: nothing was judged."
    seen: Any = SimpleNamespace(gaps=gaps, arms=arms, base_arm=said(verdict.get("base_arm")))
    return headline(seen)


def _record(found: Json, numbers: tuple[str, ...]) -> SimpleNamespace:
    given = {name: found[name] if known(found.get(name)) else _NAN for name in numbers}
    return SimpleNamespace(
        **given, arm=said(found.get("arm")), upstream=said(found.get("upstream")), role=said(found.get("role")),
        seeds=tuple(found.get("seeds") or ()), collapsed=tuple(found.get("collapsed") or ()),
        decision=said(found.get("decision")), guard=said(found.get("guard")),
    )  # fmt: skip


def status(verdict: Json) -> str | None:
    """The status of the whole; None without a verdict."""
    arms = items(verdict, "arms")
    return status_of(verdict.get("decision") or arms[0].get("decision")) if arms else None


def tiles(verdict: Json) -> list[Tile]:
    """The scores: gap before and after, how much of it went, what it cost, how many arms came through."""
    best = best_of(verdict)
    if best is None:
        gaps = [gap for gap in items(verdict, "gaps") if gap.get("role") != "placebo"]
        several = len(upstreams(gaps)) > 1
        return [
            Tile(
                label=f"Gap of {arm_name(gap, several=several)}",
                value=plain(gap.get("gap")),
                interval=between(gap.get("gap_low"), gap.get("gap_high")),
                note=_seeds(gap),
            )
            for gap in gaps[:4]
        ]
    arms = items(verdict, "arms")
    margins = part(verdict, "margins")
    name = arm_name(best, several=len(upstreams(arms)) > 1)
    found = [
        Tile(
            label=f"Gap of {said(verdict.get('base_arm')) or 'the raw data'}",
            value=plain(best.get("base_gap")),
            interval=between(*three(best, "base_gap")[1:]),
            note=f"as the data are; {_seeds(best)}",
        ),
        Tile(
            label=f"Gap of {name}",
            value=plain(best.get("gap")),
            interval=between(*three(best, "gap")[1:]),
            note="certified" if best.get("decision") in CERTIFIED else said(best.get("decision")),
            status=status_of(best.get("decision")),
        ),
        Tile(
            label="Reduction",
            value=plain(best.get("reduction")),
            interval=between(*three(best, "reduction")[1:]),
            note=_share(best) + (f"; worth having from {margins['margin']:g}" if known(margins.get("margin")) else ""),
        ),
        Tile(
            label=f"Loss of {_guard(best)}",
            value=plain(best.get("guard_loss")),
            interval=between(*three(best, "guard_loss")[1:]),
            note=f"accepted up to {margins['guard_loss']:g}" if known(margins.get("guard_loss")) else "",
            status={"passed": "pass", "failed": "fail", "unresolved": "unclear"}.get(said(best.get("guard_state"))),
        ),
    ]
    counts = Counter(said(arm.get("decision")) for arm in arms)
    if len(arms) > 1:
        good = sum(counts[name] for name in CERTIFIED)
        others = ", ".join(f"{many} {name}" for name, many in counts.most_common() if name not in CERTIFIED)
        if len(arms) <= 6:
            several = len(upstreams(arms)) > 1
            others = "; ".join(f"{arm_name(arm, several=several)}: {said(arm.get('decision'))}" for arm in arms)
        found.append(Tile(label="Certified", value=f"{good} of {len(arms)} arms", note=others))
    return found


def _seeds(record: Json) -> str:
    many = len(record.get("seeds") or ())
    return f"{many} seed{'s' * (many != 1)}, 95 % interval" if many else ""


def _share(arm: Json) -> str:
    share, low, high = three(arm, "reduction_share")
    return f"{spelt(share, low, high, signed=False, percent=True)} of the gap" if known(share) else "share not known"


def _guard(arm: Json) -> str:
    return GUARDS.get(said(arm.get("guard")), said(arm.get("guard")) or "the guard")


def matters(verdict: Json) -> list[Matter]:
    """The three things that matter most, the worst first."""
    arms, several = items(verdict, "arms"), len(upstreams(items(verdict, "gaps"))) > 1
    found: list[Matter] = []
    changed = [said(note) for note in verdict.get("notes") or () if said(note).startswith("not fixed before training")]
    if changed:
        found.append(
            Matter(
                title="What should have been fixed was changed after training began",
                what=changed[0],
                todo="Take this as a first look; fix margins and seeds, and train again with fresh seeds to certify.",
                status="fail",
            )
        )
    best = best_of(verdict)
    if best is not None:
        found.append(_about(best, arms, several=several))
    if (bad := _collapsed(verdict)) is not None:
        found.append(bad)
    others = [arm for arm in arms if arm is not best]
    unclear = [arm for arm in others if arm.get("decision") == "unclear"]
    harmful = [arm for arm in others if arm.get("decision") in ("harmful-tradeoff", "widened", "overshot")]
    if unclear:
        found.append(_open(unclear, several=several))
    if harmful:
        names = _listed([arm_name(arm, several=several) for arm in harmful])
        lost = max(harmful, key=lambda arm: arm["guard_loss"] if known(arm.get("guard_loss")) else -1.0)
        found.append(
            Matter(
                title=f"{len(harmful)} other arm{'s' * (len(harmful) > 1)} did harm: {names}",
                what=f"The most with {arm_name(lost, several=several)}: {'; '.join(lost.get('reasons') or ())}.",
                todo=_DO[said(lost.get("decision"))],
                status="fail",
            )
        )
    told = said(part(verdict, "attribution").get("sentence"))
    if told:
        found.append(Matter(title="What moved the gap", what=told, todo="See data or pre-training, below."))
    if not arms and items(verdict, "gaps"):
        found.append(
            Matter(
                title="Gaps and no verdict: there is one arm",
                what="A verdict needs a base arm, a curated arm and its placebo, with the same three seeds or more.",
                todo="Train the same model on the raw data, on the curated data and on the curation's placebo.",
                status="unclear",
            )
        )
    if (left := _left(verdict, best)) is not None:
        found.append(left)
    if (worst := _worst(verdict)) is not None:
        found.append(worst)
    return found[:3]


def _about(arm: Json, arms: list[Json], *, several: bool) -> Matter:
    decision = said(arm.get("decision"))
    name = arm_name(arm, several=several)
    if decision == "unclear":
        return Matter(
            title=f"Whether {name} helps is not settled",
            what=_sentence([reason for reason in arm.get("reasons") or () if "would settle" not in said(reason)]),
            todo=settle(arm),
            status="unclear",
        )
    moved = f"{plain(arm.get('base_gap'))} → {plain(arm.get('gap'))}"
    first = {"pass": "is certified", "fail": "is not certified", "unclear": ""}[status_of(decision)]
    if decision == "no-gap":
        return Matter(title="There is no gap to shrink", what=_sentence(arm.get("reasons") or ()), todo=_DO["no-gap"],
                      status="pass")  # fmt: skip
    most = " of all arms" if len(arms) > 1 and decision not in CERTIFIED else ""
    return Matter(
        title=f"{name} {first} ({moved}{', the most' + most if most else ''}): {decision}",
        what=_sentence(arm.get("reasons") or ()),
        todo=_DO.get(decision, ""),
        status=status_of(decision),
    )


def _left(verdict: Json, best: Json | None) -> Matter | None:
    """What a certified arm leaves of the gap."""
    if best is None or best.get("decision") not in CERTIFIED:
        return None
    gap, low, high = three(best, "gap")
    margin = part(verdict, "margins").get("margin")
    if not (known(low) and known(high) and known(margin)) or max(-low, high) <= margin:
        return None
    sure = low > margin or high < -margin
    return Matter(
        title=f"{'A gap is' if sure else 'A gap may be'} left: {spelt(gap, low, high)}",
        what=f"Certified means smaller, not gone; the interval {'is' if sure else 'reaches'} beyond {margin:g} of 0.",
        todo="Look at the groups below that still differ; a stronger plan, or two steps together, may do more.",
        status="warn" if sure else "unclear",
    )


def _open(arms: list[Json], *, several: bool) -> Matter:
    names = _listed([arm_name(arm, several=several) for arm in arms])
    need = max((arm.get("seeds_needed") or 0 for arm in arms), default=0)
    return Matter(
        title=f"{len(arms)} other arm{'s are' if len(arms) > 1 else ' is'} unclear: {names}",
        what=f"{arm_name(arms[0], several=several)}: {_sentence(arms[0].get('reasons') or ())}",
        todo=f"Train up to {need} seeds ([finetune] seeds)." if need else settle(arms[0]),
        status="unclear",
    )


def settle(arm: Json) -> str:
    """What would settle an arm that is unclear."""
    seeds, rows = arm.get("seeds_needed"), arm.get("clusters_needed")
    parts = []
    if known(seeds):
        parts.append(f"train about {seeds:,} seeds instead of {len(arm.get('seeds') or ())} ([finetune] seeds)")
    if known(rows):
        parts.append(f"judge on about {rows:,} independent test rows instead of {said(arm.get('clusters'))}")
    reasons = " ".join(map(said, arm.get("reasons") or ()))
    if "no placebo arm" in reasons:
        parts.append("add the arm's placebo: as much change, at random")
    if "no dev rows" in reasons or "predictions without scores" in reasons:
        parts.append("give scores of dev rows, so that the threshold is fixed by rule")
    if "probe saturated" in reasons:
        parts.append("take a probe whose rates are neither all 0 nor all 1")
    if not parts and "neither" in reasons:
        return (
            "More seeds or rows will not settle it, it is too near the limit: decide by the price, or try another plan."
        )
    return f"{parts[0][0].upper()}{'; '.join(parts)[1:]}." if parts else "See the reasons below."


def _collapsed(verdict: Json) -> Matter | None:
    gaps = items(verdict, "gaps")
    runs = sum(len(gap.get("collapsed") or ()) for gap in gaps)
    stuck = [gap for gap in gaps if gap.get("saturated")]
    if runs:
        where = [arm_name(gap, several=True) for gap in gaps if gap.get("collapsed")]
        return Matter(
            title=f"{runs} run{'s' * (runs > 1)} collapsed: they predict one class or guess",
            what=f"In {_listed(where)}. They count in all figures.",
            todo="Lower the learning rate or train longer ([finetune] lr, epochs; random_lr, random_epochs).",
            status="warn",
        )
    if stuck:
        names = _listed([arm_name(gap, several=True) for gap in stuck])
        return Matter(
            title=f"The probe is saturated in {len(stuck)} arm{'s' * (len(stuck) > 1)}",
            what=f"Most rates are under .01 or over .99 in {names}: gaps there cannot move, and mean little.",
            todo="Judge on a probe whose sentences the model finds harder.",
            status="unclear",
        )
    return None


def _worst(verdict: Json) -> Matter | None:
    gaps = [gap for gap in items(verdict, "gaps") if gap.get("role") == "base"] or items(verdict, "gaps")
    for arm in gaps:
        worst = part(arm, "worst_gap")
        if known(worst.get("shrunk")):
            name = " / ".join(said(worst[key]) for key in ("label", "group") if worst.get(key))
            gap = spelt(worst["shrunk"], worst.get("low"), worst.get("high"))
            return Matter(
                title=f"The largest gap of one group with {said(arm.get('arm'))}: {name}",
                what=f"Its gap to the others, once luck is taken out, is {gap}.",
                todo="Look at its rows first: evenset audit names what they hold.",
            )
    return None


def _sentence(reasons: Any) -> str:
    text = "; ".join(map(said, reasons))
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _listed(names: list[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
