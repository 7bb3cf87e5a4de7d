"""Print a verdict.json as the Markdown tables of a recorded experiment, one an upstream: python table.py VERDICT."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def table(verdict: dict, upstream: str) -> str:
    gaps = {gap["arm"]: gap for gap in verdict["gaps"] if gap["upstream"] == upstream}
    base = gaps[verdict["base_arm"]]
    guard = verdict["margins"]["guard"]
    other = "auc_independent" if guard == "auc" else "accuracy"
    free = guard == "auc"
    lines = [
        f"| arm | gap [95 %] | placebo's gap | cut |{' BPSN slope cut |' * free} {guard} | {other} | decision |",
        "|---|---|---|---|" + "---|" * free + "---|---|---|",
        f"| {base['arm']} | {span(base)} | | |{' |' * free} {base['utility'][guard]:.3f} "
        f"| {base['utility'][other]:.3f} | |",
    ]
    for arm in sorted(
        (arm for arm in verdict["arms"] if arm["upstream"] == upstream), key=lambda arm: gaps[arm["arm"]]["gap"]
    ):
        own = gaps[arm["arm"]]
        placebo = gaps.get(arm["placebo_arm"])
        slope = f" {1 - own['threshold_free'] / base['threshold_free']:.0%} |" if free else ""
        lines.append(
            f"| {arm['arm']} | {span(own)} | {'' if placebo is None else format(placebo['gap'], '.3f')} "
            f"| {cut(arm)} |{slope} {own['utility'][guard]:.3f} | {own['utility'][other]:.3f} | {arm['decision']} |"
        )
    return "\n".join(lines)


def cut(arm: dict) -> str:
    if arm["reduction_share"] is None:
        return ""
    low, high = arm.get("reduction_share_low"), arm.get("reduction_share_high")
    return f"{arm['reduction_share']:.0%}" + ("" if low is None else f" [{100 * low:.0f}, {100 * high:.0f}]")


def span(arm: dict) -> str:
    return f"{arm['gap']:.3f} [{arm['gap_low']:.3f}, {arm['gap_high']:.3f}]"


if __name__ == "__main__":
    found = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    upstreams = list(dict.fromkeys(gap["upstream"] for gap in found["gaps"]))
    for upstream in upstreams:
        print(f"\n{upstream}:\n" if len(upstreams) > 1 else "")
        print(table(found, upstream))
