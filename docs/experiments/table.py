"""Print a verdict.json as the Markdown table of a recorded experiment: python table.py VERDICT."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def table(verdict: dict) -> str:
    gaps = {arm["arm"]: arm for arm in verdict["gaps"]}
    base = gaps[verdict["base_arm"]]
    guard = verdict["margins"]["guard"]
    other = "auc_independent" if guard == "auc" else "accuracy"
    lines = [
        f"| arm | gap [95 %] | placebo's gap | cut | {guard} | {other} | decision |",
        "|---|---|---|---|---|---|---|",
        f"| {base['arm']} | {span(base)} | | | {base['utility'][guard]:.3f} | {base['utility'][other]:.3f} | |",
    ]
    for arm in sorted(verdict["arms"], key=lambda arm: gaps[arm["arm"]]["gap"]):
        own = gaps[arm["arm"]]
        placebo = gaps.get(arm["placebo_arm"])
        cut = "" if arm["reduction_share"] is None else f"{arm['reduction_share']:.0%}"
        lines.append(
            f"| {arm['arm']} | {span(own)} | {'' if placebo is None else format(placebo['gap'], '.3f')} | {cut} "
            f"| {own['utility'][guard]:.3f} | {own['utility'][other]:.3f} | {arm['decision']} |"
        )
    return "\n".join(lines)


def span(arm: dict) -> str:
    return f"{arm['gap']:.3f} [{arm['gap_low']:.3f}, {arm['gap_high']:.3f}]"


if __name__ == "__main__":
    print(table(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
