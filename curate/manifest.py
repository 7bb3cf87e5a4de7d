"""The manifest of a curation, curation.json: what was done to which data, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..data.config import Plan
from ..data.dataset import Dataset
from .emit import Emitter
from .plan import Resolved
from .prepare import Prepared
from .state import State
from .tables import effect
from .write import Written, counted, open_again

REPORT = "evenset.curation/1"
# What is compared before and after; the measures of single words would make a report of megabytes.
_COMPARED = ("cramers_v", "label_rate", "label_log_ratio", "log_ratio_centred", "representation")


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
        "steps": [_step(index, resolved, emitter, state) for index in range(len(plan.step))],
        "effect": {},
        "notes": list(resolved.notes),
    }
    if written is not None:
        content["output"] |= {"name": written.name, "sha256": written.sha256, "files": written.files}
    if state is not None:
        # The effect of edits is not in the cells, which are those of the raw text: the audit after it shows that.
        content["effect"] = {
            axis.name: effect(state.cells, axis, state.before, state.units) for axis in prepared.distinct
        }
    return content


def _step(index: int, resolved: Resolved, emitter: Emitter, state: State | None) -> dict[str, Any]:
    step = resolved.plan.step[index]
    numbers: dict[str, Any] = {"step": index + 1, "do": step.do, "axis": resolved.axis_of[index]}
    if index in emitter.steps:
        numbers["rule"] = emitter.steps[index].rule
        numbers |= dict(emitter.counts.steps.get(index, {}))
        groups: dict[str, int] = dict(emitter.counts.groups.get(index, {}))
        if groups:
            numbers["groups"] = dict(sorted(groups.items()))
    else:
        numbers["rule"] = f"{step.do}.v1"
    if state is not None and index in state.reports:
        own = dict(state.reports[index])
        if step.do == "topup":
            own["cells"] = [asdict(cell) for cell in own["cells"]]
        numbers |= own
    return numbers


def compared(
    dataset: Dataset, written: Written, stage: Path, specs: Sequence[str], *, weights: bool
) -> list[dict[str, Any]]:
    """Audits before and after, finding by finding."""
    from .. import audit

    place: Path | list[Path] = stage / written.name
    if written.name == "rows":
        place = [stage / written.name / name for name in written.files]
    after = open_again(dataset, place, weight=weights)
    reports = [audit.run(data, list(specs), measures=_COMPARED) for data in (dataset, after)]
    numbers = [{finding.id: finding.to_dict() for finding in report.findings} for report in reports]
    compared = []
    for name in dict.fromkeys([*numbers[0], *numbers[1]]):
        pair = [found.get(name) for found in numbers]
        some = pair[0] or pair[1]
        assert some is not None
        compared.append({
            **{key: some[key] for key in ("id", "axis", "group", "label", "measure")},
            **{
                when: None if found is None else {key: found[key] for key in ("estimate", "low", "high", "n", "method")}
                for when, found in zip(("before", "after"), pair, strict=True)
            },
        })  # fmt: skip
    return compared


def lexicons_of(prepared: Prepared) -> list[dict[str, str]]:
    """Name, version and hash of the lexicons of all axes."""
    found = {lexicon.name: lexicon for axis in prepared.distinct for lexicon in axis.lexicons()}
    return [{"name": item.name, "version": item.version, "sha256": item.sha256} for item in found.values()]


def version() -> str:
    """Of evenset."""
    from .. import __version__

    return __version__


def lines_of(report: dict[str, Any]) -> list[str]:
    """What a person wants to know first."""
    counts = report["counts"]
    name = report["plan"]["name"] or "plan"
    lines = [
        f"{name}{' (placebo)' if report['placebo'] else ''}: {report['input']['rows']:,} rows in, "
        f"{report['output']['rows']:,} rows out"
    ]
    lines += [f"  {step['step']}. {step['do']} {step['axis']}: {_words(step)}" for step in report["steps"]]
    for axis, found in report["effect"].items():
        if found:
            v = found["cramers_v"]
            lines.append(
                f"  {axis} and label: Cramér's V {v['before']:.3f} → {v['after']:.3f} (uncorrected, from the counts)"
            )
    kinds = [f"{counts[kind]:,} {kind}" for kind in ("edits", "copies", "drops", "weights") if counts[kind]]
    lines.append("  ledger: " + (", ".join(kinds) or "nothing changed"))
    return lines + [f"  note: {note}" for note in report["notes"]]


def _words(step: dict[str, Any]) -> str:
    """The numbers of a step in words."""
    match step["do"]:
        case "scrub" | "swap":
            words = f"{step.get('edits', 0):,} words in {step.get('rows', 0):,} rows"
            if step.get("copies") is not None:
                words += f", {step['copies']:,} copies"
            if step.get("unsure"):
                words += f"; {step['unsure']:,} left because the rules were not sure"
            return words + (f"; {step['short']:,} could not be matched" if step.get("short") else "")
        case "topup":
            short = f"; the pool lacks {step['short']:,}" if step["short"] else ""
            return f"{step['added']:,} rows added as {step['label']}{short}"
        case "resample":
            moved = f"{step['dropped']:,} dropped, {step['repeated']:,} repeated"
            return f"{step['before']:,} → {step['after']:,} rows ({moved})"
        case _:
            capped = f"; {step['capped']:,} rows at the cap" if step["capped"] else ""
            return (
                f"weights {step['least']:.2f} to {step['most']:.2f}, "
                f"worth {step['effective_rows']:,.0f} unweighted rows{capped}"
            )
