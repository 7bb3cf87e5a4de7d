# ruff: noqa: E501 - lines of SVG are easier to read whole
"""Draw the gap of every arm in a verdict.json as an SVG, each arm above its placebo.

Usage: python plot_gaps.py VERDICT SVG TITLE.

Filled circles are arms, open squares their placebos, lines 95 % intervals; the band is the raw arm's interval. Shape
and fill carry the meaning, not colour alone.
"""

from __future__ import annotations

import json
import sys
from html import escape
from pathlib import Path

WIDTH, LEFT, RIGHT, ROW, TOP = 760, 190, 30, 34, 78
INK, CURATED, PLACEBO, BAND = "#1f2430", "#0b6e99", "#8a5a00", "#d9dee7"


def draw(verdict: dict, title: str) -> str:
    gaps = {arm["arm"]: arm for arm in verdict["gaps"]}
    decisions = {arm["arm"]: arm for arm in verdict["arms"]}
    base = gaps[verdict["base_arm"]]
    arms = [base["arm"], *sorted(decisions, key=lambda name: gaps[name]["gap"])]
    low = min(0.0, *(g["gap_low"] for g in gaps.values()))
    high = max(g["gap_high"] for g in gaps.values())
    low, high = low - 0.02, high + 0.02

    def x(value: float) -> float:
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    height = TOP + ROW * len(arms) + 64
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
        f'aria-label="{escape(title)}" font-family="system-ui, sans-serif" font-size="13" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="14" y="26" font-size="16" font-weight="600">{escape(title)}</text>',
        f'<text x="14" y="47" fill="#555">gap: slope of the false-positive rate on the bias of the data; 0 is no gap; 95 % intervals, '
        f"{len(base['seeds'])} seeds</text>",
        f'<rect x="{x(base["gap_low"]):.1f}" y="{TOP - 12}" width="{x(base["gap_high"]) - x(base["gap_low"]):.1f}" '
        f'height="{ROW * len(arms) + 8}" fill="{BAND}"/>',
        f'<line x1="{x(0):.1f}" x2="{x(0):.1f}" y1="{TOP - 12}" y2="{TOP + ROW * len(arms) - 4}" stroke="{INK}" stroke-width="1"/>',
    ]
    for at, name in enumerate(arms):
        y = TOP + ROW * at + 8
        words = decisions[name]["decision"] if name in decisions else "as it is"
        out.append(f'<text x="14" y="{y + 1}" font-weight="600">{escape(name)}</text>')
        out.append(f'<text x="14" y="{y + 15}" font-size="11" fill="#555">{escape(words)}</text>')
        out += mark(gaps[name], x, y, CURATED if name in decisions else INK, filled=True)
        placebo = decisions.get(name, {}).get("placebo_arm")
        if placebo:
            out += mark(gaps[placebo], x, y + 12, PLACEBO, filled=False)
    bottom = TOP + ROW * len(arms) + 4
    step = 0.05 if high - low < 0.6 else 0.1
    tick = -(-low // step) * step
    while tick <= high:
        out.append(f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{bottom - 8}" y2="{bottom - 3}" stroke="{INK}"/>')
        out.append(
            f'<text x="{x(tick):.1f}" y="{bottom + 11}" text-anchor="middle" font-size="11">{tick:.2f}</text>'.replace(
                "-0.00", "0.00"
            )
        )
        tick += step
    y = bottom + 38
    out.append(
        f'<circle cx="{LEFT}" cy="{y - 4}" r="5" fill="{CURATED}"/><text x="{LEFT + 12}" y="{y}">the change of the data</text>'
    )
    out.append(
        f'<rect x="{LEFT + 186}" y="{y - 9}" width="9" height="9" fill="#fff" stroke="{PLACEBO}" stroke-width="2"/>'
        f'<text x="{LEFT + 202}" y="{y}">its placebo: as much change, at random</text>'
    )
    return "\n".join([*out, "</svg>", ""])


def mark(arm: dict, x, y: float, colour: str, *, filled: bool) -> list[str]:
    line = f'<line x1="{x(arm["gap_low"]):.1f}" x2="{x(arm["gap_high"]):.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"/>'
    at = x(arm["gap"])
    shape = (
        f'<circle cx="{at:.1f}" cy="{y}" r="5" fill="{colour}"/>'
        if filled
        else f'<rect x="{at - 4:.1f}" y="{y - 4}" width="8" height="8" fill="#fff" stroke="{colour}" stroke-width="2"/>'
    )
    return [line, shape]


if __name__ == "__main__":
    source, target, title = sys.argv[1:]
    Path(target).write_text(draw(json.loads(Path(source).read_text(encoding="utf-8")), title), encoding="utf-8")
