"""Everything that decides nothing: further measures, calibration, decisions that a swap turns."""

from __future__ import annotations

from collections.abc import Sequence

from ...audit.page.document import Section, beside, computed
from ...audit.page.html import Html, join, tag
from ...audit.page.table import Column, table
from .reading import Json, arm_name, cell, items, part, said, three, up, upstreams

NAMES = {
    "flip_rate": "decisions that a swap of the groups' words turns",
    "flip_to_positive": "of these, turned to the positive label",
    "swap_score_change": "mean change of the score under a swap",
    "amplification": "bias amplification, data to predictions",
    "mean_square_gap": "mean square gap of the groups",
    "mean_fpr_minus_neutral": "mean false-positive rate of the terms minus that of rows without a term",
    "bpsn_slope": "slope of BPSN AUC on imbalance (no threshold)",
    "bnsp_slope": "slope of BNSP AUC on imbalance (no threshold)",
    "scrubbed_auc": "AUC on texts with the groups' words masked",
    "scrubbed_macro_f1": "macro-F1 on texts with the groups' words masked",
    "scrubbed_fpr": "false-positive rate on masked texts",
    "scrubbed_tpr": "recall on masked texts",
    "scrubbed_gap": "gap on masked texts",
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "auc": "AUC",
    "average_precision": "average precision",
    "auc_independent": "AUC with groups and labels independent",
    "macro_f1_independent": "macro-F1 with groups and labels independent",
}


def secondary(verdict: Json) -> Section | None:
    """Tables of what stands beside the verdict."""
    parts = [*_measures(verdict), *_means(verdict), *_flips(verdict), *_calibration(verdict)]
    if not parts:
        return None
    note = computed(
        "None of this decides. Share gone: of the figure before, with Fieller's interval. BPSN and BNSP: Borkan et al. "
        "2019; amplification: Wang and Russakovsky 2021. Figures without an interval are means over seeds.",
    )
    return Section("more", "Further measures", beside(join(parts), note))


def _measures(verdict: Json) -> list[Html]:
    arms = items(verdict, "arms")
    several = len(upstreams(arms)) > 1
    changed = [
        [NAMES.get(name, name), arm_name(arm, several=several), one.get("before"), one.get("after"),
         cell(*three(one, "change")), cell(*three(one, "share_gone"), percent=True, signed=False), one.get("n")]
        for arm in arms
        for name, one in part(arm, "measures").items()
    ]  # fmt: skip
    if changed:
        columns = [
            Column("Measure"),
            Column("Arm"),
            Column("Before", "number", ".3f"),
            Column("After", "number", ".3f"),
            Column("Change", "number"),
            Column("Share gone", "number"),
            Column("Rows", "number"),
        ]
        return [table(columns, changed, caption="Before and after, with 95 % intervals", anchor="measures-table")]
    gaps = items(verdict, "gaps")
    several = len(upstreams(gaps)) > 1
    rows = [
        [
            NAMES.get(name, name),
            arm_name(gap, several=several),
            cell(one.get("value"), one.get("low"), one.get("high"), signed=False),
            one.get("n"),
            said(one.get("method")),
        ]
        for gap in gaps
        for name, one in part(gap, "measures").items()
    ]
    columns = [Column("Measure"), Column("Arm"), Column("Value", "number"), Column("Rows", "number"), Column("Method")]
    return [table(columns, rows, caption="Measures with 95 % intervals", anchor="measures-table")] if rows else []


def _means(verdict: Json) -> list[Html]:
    gaps = items(verdict, "gaps")
    names = list(dict.fromkeys(name for gap in gaps for key in ("utility", "secondary") for name in part(gap, key)))
    if not names:
        return []
    columns = [
        Column("Arm"),
        Column("Upstream"),
        *(Column(NAMES.get(n, n.replace("_", " ")), "number", ".3f") for n in names),
    ]
    rows = [
        [
            said(gap.get("arm")),
            up(gap),
            *({**part(gap, "utility"), **part(gap, "secondary")}.get(name) for name in names),
        ]
        for gap in gaps
    ]
    made = table(columns, rows, caption="Means over seeds, every arm", anchor="means-table")
    return [tag("details", tag("summary", "What each arm is worth as a model, and plug-in gaps"), made)]


def _flips(verdict: Json) -> list[Html]:
    rows = [
        [said(one.get("group")), said(one.get("became")) or None, arm_name(gap, several=True), one.get("n"),
         cell(one.get("rate"), one.get("low"), one.get("high"), signed=False)]
        for gap in items(verdict, "gaps")
        for one in items(gap, "flips")
    ]  # fmt: skip
    columns = [
        Column("Group"),
        Column("Swapped for"),
        Column("Arm"),
        Column("Rows", "number"),
        Column("Decisions turned", "number"),
    ]
    return _folded("Decisions that a swap turns, by group", columns, rows, "flips-table")


def _calibration(verdict: Json) -> list[Html]:
    rows = [
        [said(one.get("group")), arm_name(gap, several=True), one.get("n"), cell(*three(one, "excess")), one.get("ece"),
         one.get("ece_null"), cell(*three(one, "slope"), signed=False)]
        for gap in items(verdict, "gaps")
        for one in items(gap, "calibration")
    ]  # fmt: skip
    columns = [
        Column("Group"),
        Column("Arm"),
        Column("Rows", "number"),
        Column("Score minus rate", "number"),
        Column("ECE", "number", ".3f"),
        Column("ECE by chance", "number", ".3f"),
        Column("Slope", "number"),
    ]
    return _folded("Calibration by group", columns, rows, "calibration-table")


def _folded(
    title: str, columns: list[Column], rows: Sequence[list[object]], anchor: str, most: int = 600
) -> list[Html]:
    if not rows:
        return []
    cut = f"The first {most} of {len(rows):,}; all are in verdict.json." if len(rows) > most else ""
    made = table(columns, rows[:most], caption=title, anchor=anchor, remark=cut)
    return [tag("details", tag("summary", title), made)]
