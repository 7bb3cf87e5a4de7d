"""An axis as a heat map: groups by labels, or of a task with two labels by the length of the text."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...data.showing import clipped
from ..findings import MINIMUM_ROWS, Finding
from ..page.document import beside
from ..page.html import Html, join, tag
from ..page.plot.heat import Spot, heat
from ..scorecard import speaker
from ..words import times
from .wording import factor, method, percent

if TYPE_CHECKING:
    from ..report import AuditReport

MOST_LINES, MOST_COLUMNS = 40, 16


def group_heat(report: AuditReport, found: Mapping[str, list[Finding]], anchor: str) -> Html | None:
    """Groups by labels; of a task with two labels, where one label says it all, groups by length of text."""
    labels = {one.label for one in found["pmi"]}
    if len(labels) > 1:
        return _heat_labels(found["pmi"], anchor)
    return _heat_lengths(report, found["label_rate_by_length"], anchor)


def _heat_labels(cells: list[Finding], anchor: str) -> Html:
    rows_of: dict[str, float] = defaultdict(float)
    most: dict[str, float] = defaultdict(float)
    for one in cells:
        rows_of[str(one.group)] = max(rows_of[str(one.group)], one.n)
        near = one.magnitude[0]
        most[str(one.label)] = max(most[str(one.label)], near if math.isfinite(near) else 0.0)
    groups = sorted(rows_of, key=lambda name: (-rows_of[name], name))
    labels = sorted(most, key=lambda name: (-most[name], name))
    columns, lines = groups[:MOST_COLUMNS], labels[:MOST_LINES]
    spots = {}
    for one in cells:
        if one.group in columns and one.label in lines and math.isfinite(one.estimate):
            tip = f"{factor(one.low)} to {factor(one.high)}; {one.n:,} rows"
            clear = one.low > 0 or one.high < 0
            spots[lines.index(str(one.label)), columns.index(str(one.group))] = Spot(
                times(one.estimate), one.estimate if clear else None, tip
            )
    cut = []
    if len(labels) > len(lines):
        cut.append(f"the {len(lines)} of {len(labels):,} labels that are furthest from it")
    if len(groups) > len(columns):
        cut.append(f"the {len(columns)} of {len(groups):,} groups with most rows")
    chart = heat(
        [clipped(name, 50) for name in lines],
        [clipped(name, 40) for name in columns],
        spots,
        title="Groups and labels: how many times as often together as if they had nothing to do with each other"
        + (f" ({' and '.join(cut)})" if cut else ""),
        corner="label",
        anchor=f"{anchor}-heat",
    )
    note = method(
        ["pmi"], f"Shaded where the interval leaves 1× out. A dot: under {MINIMUM_ROWS} rows, or too few expected."
    )
    return beside(join([tag("h3", "Group by label"), chart]), note)


def _heat_lengths(report: AuditReport, cells: list[Finding], anchor: str) -> Html | None:
    strata = list(dict.fromkeys(str(one.stratum) for one in cells if one.group is None))
    base = {one.stratum: one for one in cells if one.group is None}
    groups: dict[str, int] = defaultdict(int)
    for one in cells:
        if one.group is not None and one.enough and math.isfinite(one.estimate):
            groups[one.group] += one.n
    if not groups or not strata:
        return None
    lines = sorted(groups, key=lambda name: (-groups[name], name))[:MOST_LINES]
    names = ["all rows", *lines]
    spots = {}
    for one in cells:
        if not one.enough or math.isnan(one.estimate) or (one.group is not None and one.group not in lines):
            continue
        whole = base.get(one.stratum)
        tip = f"{percent(one.low)} to {percent(one.high)}; {one.n:,} rows"
        away = None
        if (
            one.group is not None
            and whole is not None
            and whole.estimate > 0
            and not one.low <= whole.estimate <= one.high
        ):
            away = math.log(max(one.estimate, 1e-9) / whole.estimate)
        at = 0 if one.group is None else names.index(one.group)
        spots[at, strata.index(str(one.stratum))] = Spot(percent(one.estimate), away, tip)
    label = speaker(report).label(cells[0].label)
    chart = heat(
        [clipped(name, 50) for name in names],
        [f"{name} characters" for name in strata],
        spots,
        title=f"How often {label} is given, by group and length of text",
        corner="group",
        sides=("rarer than in all rows of that length", "more often"),
        anchor=f"{anchor}-heat",
    )
    note = method(
        ["label_rate_by_length"],
        f"Shaded where the interval leaves the rate of all rows of that length out. A dot: under {MINIMUM_ROWS} rows; "
        "groups with only dots are not shown.",
    )
    return beside(join([tag("h3", "Group by length of text"), chart]), note)
