"""The gap of every arm with its interval, before the band of its placebo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .common import (
    BAND,
    BLACK,
    GREY,
    LIGHT,
    PASSED,
    SMALL,
    Json,
    arm_name,
    colour,
    drawn,
    footnote,
    known,
    named,
    number,
    ordered,
    what_gap,
)

ROW = 0.3
NAME = "gaps"


def draw_gaps(verdict: Json, folder: str | Path) -> list[Path]:
    """Draw ``gaps``: one row an arm, the largest gap first, under each upstream.

    Parameters
    ----------
    verdict : mapping
        Contents of verdict.json.
    folder : path
        Gets ``gaps.svg`` and ``gaps.png``.

    Returns
    -------
    list of Path
        Empty where no arm has a gap.
    """
    gaps = [gap for gap in verdict.get("gaps") or () if known(gap.get("gap"))]
    shown = [gap for gap in gaps if gap.get("role") != "placebo"]
    if not shown:
        return []
    judged = {(arm["arm"], arm["upstream"]): arm for arm in verdict.get("arms") or ()}
    placebos = {(gap["arm"], gap["upstream"]): gap for gap in gaps if gap.get("role") == "placebo"}
    rows: list[tuple[str, Json | None]] = []
    ups = ordered([gap["upstream"] for gap in shown])
    for up in ups:
        if len(ups) > 1:
            rows.append((up, None))
        mine = [gap for gap in shown if gap["upstream"] == up]
        # The raw arm first, then the largest gap, so that what works best is last.
        rows += [
            ("", gap) for gap in sorted(mine, key=lambda gap: (gap.get("role") != "base", -gap["gap"], gap["arm"]))
        ]
    title = _title(verdict, shown)
    made = drawn(title, x=what_gap(verdict).replace("\n", " "), y="", alt=_alt(title, shown, judged),
                 height=1.35 + ROW * len(rows))  # fmt: skip
    axes = made.axes
    ends = [0.0]
    base: Json | None = None
    labels: list[str] = []
    said_placebo = False
    for at, (up, gap) in enumerate(rows):
        y = -float(at)
        if gap is None:
            base = None
            labels.append(named(up, 22))
            continue
        labels.append(named(gap["arm"], 22))
        is_base = gap.get("role") == "base"
        if is_base:
            base = gap
        arm = judged.get((gap["arm"], gap["upstream"]))
        placebo = placebos.get((arm.get("placebo_arm") or "", gap["upstream"])) if arm else None
        if placebo is not None and known(placebo["gap_low"], placebo["gap_high"]):
            low, high = placebo["gap_low"], placebo["gap_high"]
            axes.barh(y, high - low, left=low, height=0.62, color=BAND, zorder=1)
            axes.plot([placebo["gap"]] * 2, [y - 0.31, y + 0.31], color=LIGHT, linewidth=1.6, zorder=2)
            ends += [low, high]
            said_placebo = True
        if base is not None and not is_base:
            axes.plot([base["gap"]] * 2, [y - 0.5, y + 0.5], color=BLACK, linewidth=1, linestyle=":", zorder=2)
        ink = BLACK if is_base else colour(0) if arm is None or arm["decision"] in PASSED else colour(1)
        face = ink if arm is None or arm["decision"] in PASSED else "white"
        if known(gap["gap_low"], gap["gap_high"]):
            axes.plot([gap["gap_low"], gap["gap_high"]], [y, y], color=ink, linewidth=1.8, zorder=3)
            ends += [gap["gap_low"], gap["gap_high"]]
        axes.plot([gap["gap"]], [y], marker="s" if is_base else "o", markersize=6, color=ink, markerfacecolor=face,
                  zorder=4)  # fmt: skip
        ends.append(gap["gap"])
        words = "as it is" if is_base else arm["decision"] if arm else ""
        axes.annotate(words, (1.0, y), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
                      va="center", fontsize=SMALL, color=GREY)  # fmt: skip
    axes.axvline(0, color=BLACK, linewidth=1)
    axes.set_yticks([-float(at) for at in range(len(rows))], labels)
    for (_, gap), tick in zip(rows, axes.get_yticklabels(), strict=True):
        tick.set_fontweight("bold" if gap is None else "normal")
    axes.set_ylim(-len(rows) + 0.4, 0.6)
    reach = max(ends) - min(ends) or 1.0
    axes.set_xlim(min(ends) - 0.03 * reach, max(ends) + 0.03 * reach)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    below = "Lines: 95 % intervals." + (" Grey: each placebo, as much change at random." if said_placebo else "")
    hollow = any(arm["decision"] not in PASSED for arm in judged.values())
    below += " Hollow: not certified." if hollow else ""
    below += " Dotted: raw." if len(shown) > 1 and any(gap.get("role") == "base" for gap in shown) else ""
    footnote(made, below)
    return made.save(folder, NAME)


def _title(verdict: Json, shown: Sequence[Json]) -> str:
    arms = [arm for arm in verdict.get("arms") or () if known(arm.get("gap"), arm.get("base_gap"))]
    if not arms:
        first = shown[0]
        ends = f" [{number(first['gap_low'])} to {number(first['gap_high'])}]" if known(first["gap_low"]) else ""
        return f"The gap of {named(first['arm'])} is {number(first['gap'])}{ends}"
    several = len({arm["upstream"] for arm in arms}) > 1
    passed = [arm for arm in arms if arm["decision"] in ("shrunk-meaningfully", "shrunk")]
    best = max(passed or arms, key=lambda arm: abs(arm["base_gap"]) - abs(arm["gap"]))
    name = arm_name(best["arm"], best["upstream"], several=several)
    moved = f"{name}: {number(best['base_gap'])} to {number(best['gap'])}"
    if not passed and abs(best["gap"]) >= abs(best["base_gap"]):
        return f"None of {len(arms)} changes of the data shrank the gap"
    if not passed:
        return f"None of {len(arms)} is certified; the gap fell most with {moved}"
    return f"{len(passed)} of {len(arms)} certified to shrink the gap, most with {moved}"


def _alt(title: str, shown: Sequence[Json], judged: dict[tuple[str, str], Json]) -> str:
    several = len({gap["upstream"] for gap in shown}) > 1
    parts = []
    for gap in shown:
        arm = judged.get((gap["arm"], gap["upstream"]))
        ends = f" ({number(gap['gap_low'])} to {number(gap['gap_high'])})" if known(gap["gap_low"]) else ""
        words = f", {arm['decision']}" if arm else ""
        parts.append(
            f"{arm_name(gap['arm'], gap['upstream'], several=several, width=60)} {number(gap['gap'])}{ends}{words}"
        )
    return f"{title}. Gaps with 95 % intervals: {'; '.join(parts)}."
