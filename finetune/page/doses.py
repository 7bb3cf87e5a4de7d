"""The page of dose curves: how much of a change it takes."""

from __future__ import annotations

from ...audit.page.document import Matter, Section, Tile, beside, computed, document, figure
from ...audit.page.html import join, tag
from ...audit.page.plot.forest import Bar, forest
from ...audit.page.plot.scales import known
from ...audit.page.plot.scatter import Dot, Guide, scatter
from ...audit.page.table import Column, table
from .reading import GUARDS, Json, cell, gap_in_words, items, part, said, three, up, what_gap
from .record import fixed, limits, made

_ANSWERS = {"holds": "pass", "does not hold": "fail", "cannot be told": "unclear"}
_KEYS = {
    "level": "level: 0 raw, 1 balanced, 2 mirrored",
    "log_ratio": "largest log ratio left in the data (less is more change)",
    "rate": "share of the positive label in every group",
}


def page(report: Json) -> str:
    """The whole file, from the contents of dose.json."""
    curves = items(report, "curves")
    sections: list[Section | None] = [_curves(report, curves), _smallest(report, curves), _points(report, curves),
                                      fixed(report), made(report), limits(report)]  # fmt: skip
    return document(
        title=f"Dose curves: {said(report.get('plan'))}",
        kind=f"Dose curves · {said(report.get('plan'))} by {said(report.get('key'))}. {gap_in_words(report)}",
        status=None,
        conclusion=_first(said(report.get("conclusion"))) or "This report holds no curve.",
        tiles=[
            Tile(
                label=f"Smallest {said(report.get('key'))} within the margin, {up(curve)}",
                value=_dose(part(curve, "smallest").get("estimate")),
                interval=_ends(part(curve, "smallest")),
                note=f"{len(curve.get('seeds') or ())} seeds, 95 % interval",
            )
            for curve in curves
        ],
        matters=[
            Matter(title=f"{said(one.get('claim'))}: {said(one.get('answer'))}", what=said(one.get("sentence")),
                   todo=_todo(said(one.get("answer"))), status=_ANSWERS.get(said(one.get("answer"))))
            for one in items(report, "claims")[:3]
        ],
        sections=[section for section in sections if section is not None],
        footer="evenset. This page is dose.json in words and charts. All intervals are 95 %.",
        matters_title="What follows for the dose",
    )  # fmt: skip


def _first(text: str) -> str:
    """The sentences on the curves; the claims stand below them."""
    parts = text.split(". ")
    kept = [one for one in parts if "comes within" in one or "no level" in one or "not known" in one] or parts[:1]
    return ". ".join(kept).rstrip(".") + "." if text else ""


def _todo(answer: str) -> str:
    return "More seeds or levels near the limit would tell." if answer == "cannot be told" else ""


def _dose(value: object) -> str:
    return f"{value:.2f}" if known(value) else "more than was tried" if value == "beyond" else "not known"


def _ends(dose: Json) -> str:
    low, high = dose.get("low"), dose.get("high")
    return f"{_dose(low)} to {_dose(high)}" if known(low) else ""


def _curves(report: Json, curves: list[Json]) -> Section | None:
    dots, paths, worth = [], [], []
    for at, curve in enumerate(curves):
        line = []
        for point in items(curve, "points"):
            if not known(point.get("level")):
                continue
            name = f"{up(curve)}, {point['level']:g}"
            dots.append(Dot(name, point["level"], *_y(three(point, "gap")), series=at, named=False))
            worth.append(Dot(name, point["level"], *_y(three(point, "guard")), series=at, named=False))
            if known(point.get("fitted")):
                line.append((float(point["level"]), float(point["fitted"])))
        paths.append((at, line))
    if not any(known(dot.y) for dot in dots):
        return None
    margin = part(report, "margins").get("margin")
    key, names = said(report.get("key")), [up(curve) for curve in curves]
    top = scatter(
        dots, title="Gap against the dose", x=_KEYS.get(key, key), y=what_gap(report), paths=paths,
        guides=[Guide(0.0, solid=True)], series=names,
        zone=(None, None, -margin, margin) if known(margin) else None, zone_name="within the margin",
    )  # fmt: skip
    guard = GUARDS.get(said(report.get("guard")), said(report.get("guard")))
    below = scatter(worth, title=f"{guard} against the dose", x=_KEYS.get(key, key), y=guard, series=names, tall=0.3)
    body = join([
        figure(top, "Marks: each level with its 95 % interval. Lines: a curve that never rises, fitted to them."),
        figure(below, "The price: what the model is worth at each level, 95 % intervals."),
    ])  # fmt: skip
    note = computed(
        "Every level has the same size, so the dose is the only difference. A monotone and a straight line are fitted "
        "to the gap; intervals of a dose come from joint draws of seeds and clusters, widened for few seeds.",
    )
    return Section("curves", "The gap at each dose", beside(body, note))


def _y(found: tuple[object, object, object]) -> tuple[float | None, None, None, float | None, float | None]:
    value, low, high = (float(one) if known(one) else None for one in found)
    return value, None, None, low, high


def _smallest(report: Json, curves: list[Json]) -> Section | None:
    rows, bars = [], []
    for curve in curves:
        line = part(curve, "line")
        found = {
            "gap within the margin": part(curve, "smallest"),
            "gap of 0, monotone": part(curve, "crossing"),
            "gap of 0, straight line": part(line, "crossing"),
            "as low as scratch at the first level": part(curve, "to_control"),
        }
        for words, dose in found.items():
            if not dose:
                continue
            value, low, high = (dose.get(key) if known(dose.get(key)) else None for key in ("estimate", "low", "high"))
            note = f"{_dose(dose.get('estimate'))} [{_ends(dose)}]" if _ends(dose) else _dose(dose.get("estimate"))
            bars.append(Bar(words, value, low, high, group=up(curve), note=note))
            rows.append([up(curve), words, note, dose.get("unmet"), said(dose.get("method"))])
    if not rows:
        return None
    drawn = forest(bars, title="Doses that it takes", x=said(report.get("key")), signed=False)
    columns = [Column("Upstream"), Column("To reach"), Column("Dose"), Column("Draws that never do", "number", ".4f"),
               Column("Method", "long")]  # fmt: skip
    told = [
        tag("p", tag("strong", f"{said(one.get('first'))} minus {said(one.get('second'))}: "), "smallest dose ",
            cell(*three(one, "smallest")).shown, "; slope ", cell(*three(one, "slope")).shown, ".")
        for one in items(report, "differences")
    ]  # fmt: skip
    data = table(columns, rows, caption="Doses with 95 % intervals", anchor="doses-table")
    return Section(
        "doses",
        "How much it takes",
        join([figure(drawn, "95 % intervals; without a line the interval has no end.", data), *told]),
    )


def _points(report: Json, curves: list[Json]) -> Section | None:
    rows = [
        [up(curve), point.get("level"), cell(*three(point, "gap")), cell(point.get("fitted")),
         cell(*three(point, "guard"), signed=False), "yes" if point.get("within") else "no",
         len(point.get("collapsed") or ()), "yes" if point.get("saturated") else "no"]
        for curve in curves
        for point in items(curve, "points")
    ]  # fmt: skip
    guard = GUARDS.get(said(report.get("guard")), said(report.get("guard")))
    columns = [
        Column("Upstream"),
        Column(said(report.get("key")), "number", "g"),
        Column("Gap", "number"),
        Column("Fit", "number"),
        Column(guard, "number"),
        Column("Within the margin"),
        Column("Collapsed runs", "number"),
        Column("Saturated"),
    ]
    return (
        Section(
            "levels", "Every level", table(columns, rows, caption="Levels with 95 % intervals", anchor="levels-table")
        )
        if rows
        else None
    )
