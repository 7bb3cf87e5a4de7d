"""The manifest of a curation, curation.json: what was done to which data, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..data.config import Plan
from ..data.dataset import Dataset
from .book.reasons import weight_cells
from .book.touched import mean_factor, weight_changed, weights_before
from .emit import Emitter
from .plan import Resolved
from .prepare import Prepared
from .refusals import losses
from .selection.tables import effect
from .state import State
from .writing.write import Written, counted, open_again

REPORT = "evenset.curation/1"
QUICK = ("cramers_v", "label_rate", "label_log_ratio", "log_ratio_centred", "representation")
"""What is compared before and after without being asked for; measures of single words would make it megabytes."""


def report_of(
    emitter: Emitter,
    state: State | None,
    plan: Plan,
    *,
    seed: int,
    placebo: bool,
    dry_run: bool,
    written: Written | None,
) -> dict[str, Any]:
    """The content of curation.json but for the findings, which `compared` adds."""
    prepared = emitter.prepared
    resolved = emitter.changer.resolved
    content: dict[str, Any] = {
        "schema": REPORT,
        "evenset": version(),
        "plan": plan.model_dump(by_alias=True, mode="json"),
        "seed": seed,
        "placebo": placebo,
        "dry_run": dry_run,
        "input": {"rows": emitter.counts.rows_in, **prepared.remembered("described", prepared.dataset.describe)},
        "output": {"rows": emitter.counts.rows_out},
        "lexicons": lexicons_of(prepared),
        "counts": counted(emitter),
        "touched": touched_of(emitter),
        "steps": [_step(index, resolved, emitter, state) for index in range(len(plan.step))],
        "effect": {},
        "notes": [*resolved.notes, *losses(emitter.counts.alike, emitter.counts.emptied, emitter.counts.rows_in)],
    }
    if written is not None:
        content["output"] |= {"name": written.name, "sha256": written.sha256, "files": written.files}
    if state is not None:
        # The effect of edits is not in the cells, which are those of the raw text: the audit after it shows that.
        content["notes"] += [note for index in sorted(state.reports) for note in state.reports[index].get("notes", [])]
        content["effect"] = {
            axis.name: effect(state.cells, axis, state.before, state.units) for axis in prepared.distinct
        }
    return content


def touched_of(emitter: Emitter) -> dict[str, Any]:
    """Rows touched: dropped, added (copies, repetitions, rows of pools), and kept with an edit or another weight.

    Each row counts once. A weight within 1e-9 of the mean one is no change, and weights that the data came with are
    none either.
    """
    counts = emitter.counts
    rows = counts.drops + counts.copies + counts.rows_changed
    return {
        "rows": rows,
        "share": rows / counts.rows_in if counts.rows_in else 0.0,
        "dropped": counts.drops,
        "added": counts.copies,
        "changed": counts.rows_changed,
    }


def _step(index: int, resolved: Resolved, emitter: Emitter, state: State | None) -> dict[str, Any]:
    step = resolved.plan.step[index]
    numbers: dict[str, Any] = {"step": index + 1, "do": step.do, "axis": resolved.axis_of[index]}
    if index in emitter.steps:
        numbers["rule"] = emitter.steps[index].rule
        numbers |= dict(emitter.counts.steps.get(index, {}))
        groups: dict[str, int] = dict(emitter.counts.groups.get(index, {}))
        if groups:
            numbers["groups"] = dict(sorted(groups.items()))
        # What else a step works with: the tagger's name and version, the audit that its proxies are of.
        numbers |= dict(emitter.steps[index].about)
    else:
        numbers["rule"] = f"{step.do}.v1"
    if state is not None and index in state.reports:
        own = {name: value for name, value in state.reports[index].items() if name != "notes"}
        if step.do == "topup":
            own["cells"] = [asdict(cell) for cell in own["cells"]]
        if step.do == "reweight" and state.aimed is None:
            own.setdefault("cells", weight_cells(state, index))
        numbers |= own
    numbers["rows_touched"] = _touched_by(numbers, state)
    return numbers


def _touched_by(step: dict[str, Any], state: State | None) -> int:
    """Rows that a step touches, whatever other steps do to them."""
    if step["do"] == "topup":
        return int(step["added"])
    if "dropped" in step:
        return int(step["dropped"] + step["repeated"])
    if step["do"] != "reweight":
        return int(step.get("copies", step.get("rows", 0)))
    assert state is not None
    before = weights_before(state.units, state)
    return int(weight_changed(state.units.weight, before, mean_factor(state)).sum())


def compared(
    dataset: Dataset,
    written: Written,
    stage: Path,
    specs: Sequence[str],
    *,
    weights: bool,
    measures: Sequence[str] = (),
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Audits before and after, finding by finding.

    Parameters
    ----------
    dataset : Dataset
        Before.
    written : Written
        After.
    stage : Path
        Folder where that lies for now.
    specs : sequence of str
        Axes.
    weights : bool
        Whether the written rows have weights.
    measures : sequence of str
        Sections and measures as of an audit, besides `QUICK`.
    seed : int
        Of an audit that draws.

    Returns
    -------
    list of dict
        ``judged`` says whether rules may judge the finding and it has rows enough, before or after; ``before`` and
        ``after`` are null where there is no such finding.
    """
    from .. import audit

    place: Path | list[Path] = stage / written.name
    if written.name == "rows":
        place = [stage / written.name / name for name in written.files]
    after = open_again(dataset, place, weight=weights)
    chosen = list(dict.fromkeys([*QUICK, *measures]))
    reports = [audit.run(data, list(specs), measures=chosen, seed=seed) for data in (dataset, after)]
    found = [{one.id: one for one in report.findings} for report in reports]
    result = []
    for name in dict.fromkeys([*found[0], *found[1]]):
        pair = [one.get(name) for one in found]
        some = [one.to_dict() for one in pair if one is not None]
        result.append({
            **{key: some[0][key] for key in ("id", "axis", "group", "label", "measure")},
            "judged": any(one is not None and one.judged and one.enough for one in pair),
            **{
                when: None
                if one is None
                else {key: one.to_dict()[key] for key in ("estimate", "low", "high", "n", "method")}
                for when, one in zip(("before", "after"), pair, strict=True)
            },
        })  # fmt: skip
    return result


def per_row(report: dict[str, Any]) -> list[dict[str, Any]]:
    """How much association, and leakage where it was asked for, a curation removes, and for how many rows.

    Parameters
    ----------
    report : dict
        With findings, where the data were audited before and after; else the effect computed from the counts.

    Returns
    -------
    list of dict
        A row an axis and measure: ``before``, ``after``, ``removed`` (of leakage what is above 0.5) and
        ``per_1000_rows`` touched, null where none is.
    """
    rows = report["touched"]["rows"]
    pairs: list[tuple[str, str, float, float]] = []
    for one in report.get("findings", []):
        if one["before"] is None or one["after"] is None:
            continue
        values = one["before"]["estimate"], one["after"]["estimate"]
        whole = one["measure"] == "cramers_v" and one["group"] is None
        if (whole or (one["measure"] == "leakage_auc" and one["label"] is None)) and None not in values:
            pairs.append((f"{one['measure']}:{one['axis']}:{one['group'] or ''}", one["measure"], *values))
    if not report.get("findings"):
        for axis, found in report["effect"].items():
            if found:
                v = found["cramers_v"]
                pairs.append((f"cramers_v:{axis}:", "cramers_v", v["before"], v["after"]))
    result = []
    for name, measure, before, after in pairs:
        least = 0.5 if measure == "leakage_auc" else 0.0
        removed = max(before, least) - max(after, least)
        result.append({
            "of": name, "before": before, "after": after, "removed": removed,
            "per_1000_rows": removed / rows * 1000 if rows else None,
        })  # fmt: skip
    return result


def lexicons_of(prepared: Prepared) -> list[dict[str, str]]:
    """Name, version and hash of the lexicons of all axes."""
    found = {lexicon.name: lexicon for axis in prepared.distinct for lexicon in axis.lexicons()}
    return [{"name": item.name, "version": item.version, "sha256": item.sha256} for item in found.values()]


def version() -> str:
    """Of evenset."""
    from .. import __version__

    return __version__
