"""What the gap cost: the model's worth against the gap, one point an arm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .common import (
    BLACK,
    GREY,
    GUARDS,
    LIGHT,
    RELEASED,
    SMALL,
    Json,
    along,
    arm_name,
    colour,
    drawn,
    footnote,
    halo,
    known,
    marker,
    named,
    number,
    ordered,
    place,
    what_gap,
)

NAME = "tradeoff"
_MANY = 14  # with more arms, intervals would hide the points


def draw_tradeoff(verdict: Json, folder: str | Path) -> list[Path]:
    """Draw ``tradeoff``: worth upwards, gap to the right, intervals on both.

    Parameters
    ----------
    verdict : mapping
        Contents of verdict.json.
    folder : path
        Gets ``tradeoff.svg`` and ``tradeoff.png``.

    Returns
    -------
    list of Path
        Empty where fewer than two arms have a gap and a worth.
    """
    margins = verdict.get("margins") or {}
    guard = margins.get("guard") or "auc"
    gaps = [gap for gap in verdict.get("gaps") or () if known(gap.get("gap"), (gap.get("utility") or {}).get(guard))]
    shown = [gap for gap in gaps if gap.get("role") != "placebo"]
    if len(shown) < 2:
        return []
    ups = ordered([gap["upstream"] for gap in shown])
    judged = {(arm["arm"], arm["upstream"]): arm for arm in verdict.get("arms") or ()}
    title = _title(verdict, guard, judged)
    worth = GUARDS.get(guard, guard)
    made = drawn(
        title, x=what_gap(verdict).replace("\n", " "), y=f"{worth} on the test rows", alt=_alt(title, shown, guard),
        height=3.9,
    )  # fmt: skip
    axes = made.axes
    avoid: list[tuple[float, float]] = []
    for gap in gaps:
        if gap.get("role") == "placebo":
            point = (gap["gap"], gap["utility"][guard])
            axes.plot(*point, marker="x", markersize=4, color=LIGHT, linestyle="none", zorder=2)
            avoid.append(point)
    for at, up in enumerate(ups):
        for gap in (gap for gap in shown if gap["upstream"] == up):
            is_base = gap.get("role") == "base"
            ink = BLACK if is_base else colour(at)
            x, y = gap["gap"], gap["utility"][guard]
            if known(gap["gap_low"], gap["gap_high"]) and len(shown) <= _MANY:
                axes.plot([gap["gap_low"], gap["gap_high"]], [y, y], color=ink, linewidth=0.9, alpha=0.6, zorder=2)
                avoid += along([gap["gap_low"], gap["gap_high"]], [y, y])
            arm = judged.get((gap["arm"], up))
            if (
                arm
                and len(shown) <= _MANY
                and known(arm.get("guard_loss_low"), arm.get("guard_loss_high"), arm.get("guard_loss"))
            ):
                top = y + arm["guard_loss"]  # the base's worth on the same seeds
                ends = [top - arm["guard_loss_high"], top - arm["guard_loss_low"]]
                axes.plot([x, x], ends, color=ink, linewidth=0.9, alpha=0.6, zorder=2)
                avoid += along([x, x], ends)
            axes.plot([x], [y], marker="s" if is_base else marker(at), markersize=7 if is_base else 6.5, color=ink,
                      linestyle="none", zorder=3)  # fmt: skip
    bases = [gap for gap in shown if gap.get("role") == "base"]
    if len(bases) == 1 and known(margins.get("guard_loss")):
        least = bases[0]["utility"][guard] - margins["guard_loss"]
        axes.axhline(least, color=GREY, linewidth=1, linestyle="--", zorder=1)
        axes.annotate("least worth accepted", (1, least), xycoords=("axes fraction", "data"), xytext=(-2, -2),
                      textcoords="offset points", ha="right", va="top", fontsize=SMALL, color=GREY,
                      path_effects=halo())  # fmt: skip
    axes.axvline(0, color=BLACK, linewidth=1)
    axes.margins(x=0.1, y=0.12)
    few = len(shown) <= _MANY
    below = "Lines: 95 % intervals, of the worth against raw." if few else ""
    if len(gaps) > len(shown):
        below += " Grey crosses: placebos."
    if not few:
        below += " Named: raw, and arms that no other beats in both."
    if len(ups) > 1:
        _handles(made, ups)
    footnote(made, below.strip())
    order = sorted(shown, key=lambda gap: (gap.get("role") != "base", -_front(gap, shown, guard), abs(gap["gap"])))
    order = [gap for gap in order if few or gap.get("role") == "base" or _front(gap, shown, guard)]
    names = [
        (
            gap["gap"], gap["utility"][guard],
            arm_name(gap["arm"], gap["upstream"], several=len(ups) > 1 and gap.get("role") == "base", width=22),
        )
        for gap in order
    ]  # fmt: skip
    if missing := place(made, names, avoid, [(gap["gap"], gap["utility"][guard]) for gap in shown]):
        footnote(made, f"{below} No room for {len(missing)} names.".strip())
    return made.save(folder, NAME)


def _handles(made: Any, ups: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=colour(at), marker=marker(at), markersize=6.5, linestyle="none", label=named(up, 18))
        for at, up in enumerate(ups)
    ]
    made.axes.legend(handles=lines, loc="best", fontsize=SMALL, frameon=True, framealpha=0.85, edgecolor="none")


def _front(gap: Json, shown: Sequence[Json], guard: str) -> bool:
    """Whether no other arm of the upstream has both a smaller gap and a higher worth."""
    return not any(
        abs(other["gap"]) < abs(gap["gap"]) and other["utility"][guard] > gap["utility"][guard]
        for other in shown
        if other["upstream"] == gap["upstream"]
    )


def _title(verdict: Json, guard: str, judged: dict[tuple[str, str], Json]) -> str:
    worth = GUARDS.get(guard, guard)
    ups = ordered([up for _, up in judged])
    # What a reader will use is the released model; others are told of where there is none.
    about = ups[:1] if ups and ups[0] in RELEASED else ups
    smaller = [
        arm
        for (_, up), arm in judged.items()
        if up in about and known(arm.get("gap"), arm.get("base_gap")) and abs(arm["gap"]) < abs(arm["base_gap"])
    ]
    kept = [arm for arm in smaller if arm.get("guard_state") == "passed"]
    open_ = [arm for arm in smaller if arm.get("guard_state") != "failed" and known(arm.get("guard_loss"))]
    if kept or open_:
        best = min(kept or open_, key=lambda arm: abs(arm["gap"]) / max(abs(arm["base_gap"]), 1e-12))
        name = arm_name(best["arm"], best["upstream"], several=len(ups) > 1)
        moved = f"{number(best['base_gap'])} to {number(best['gap'])}"
        if kept:
            return f"{name} has the smallest gap at no loss of {worth}: {moved}"
        lost = best["guard_loss"]
        turn = "lower" if lost > 0 else "higher"
        change = f"{worth} {number(abs(lost))} {turn}" if abs(lost) >= 0.0005 else f"{worth} the same"
        return f"{name}: gap {moved}, {change}; that {worth} is kept is not shown"
    if judged:
        whose = f" of {named(ups[0])}" if len(about) < len(ups) else ""
        return f"No arm{whose} has a smaller gap with {worth} shown to be kept"
    return f"Gap and {worth} of {named(len(verdict.get('gaps') or ()))} arms"


def _alt(title: str, shown: Sequence[Json], guard: str) -> str:
    several = len({gap["upstream"] for gap in shown}) > 1
    parts = [
        f"{arm_name(gap['arm'], gap['upstream'], several=several, width=60)} gap {number(gap['gap'])}, "
        f"{GUARDS.get(guard, guard)} {gap['utility'][guard]:.3f}"
        for gap in shown
    ]
    return f"{title}. {'; '.join(parts)}."
