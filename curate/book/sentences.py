"""What happened to a row, in plain sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .reasons import LABEL_GROUPS, cell_name

if TYPE_CHECKING:
    from .explain import Explained

_PLACES = 8


def sentences(explained: Explained, *, words: bool) -> list[str]:
    """One sentence for each thing that happened; for steps that did nothing, why.

    Parameters
    ----------
    explained : Explained
        The row and its entries.
    words : bool
        Show the words of edits.
    """
    report = explained.report
    own = explained.own
    lines = []
    if explained.copy_of is not None:
        made = next((one for one in own if one["op"] == "copy"), None)
        lines.append(_made(made, explained.copy_of, report))
    for step in report["steps"]:
        mine = [one for one in own if one["step"] == step["step"]]
        edits = [one for one in mine if one["op"] == "edit"]
        if edits:
            lines.append(f"{_step(step)} {_edited(edits, words=words)}")
        elif step["do"] in ("scrub", "swap") and "copies" not in step and not _gone(own) and explained.copy_of is None:
            lines.append(f"{_step(step)} changed nothing in it: {_why_not(step)}.")
        lines += [f"{_step(step)} {_dropped(one, step)}" for one in mine if one["op"] == "drop"]
        lines += [f"{_step(step)} {_weighted(one, report)}" for one in mine if one["op"] == "weight"]
    for key in explained.copies:
        lines += _copy(key, explained, words=words)
    if not explained.entries:
        done = [step["do"] for step in report["steps"] if step["do"] not in ("scrub", "swap") or "copies" in step]
        kept = " No step dropped, copied or weighted it." if done else ""
        lines.append(f"It is in the curated data as it was.{kept}")
    return lines


def _step(step: dict[str, Any]) -> str:
    return f"Step {step['step']} ({step['do']} {step['axis']}, rule {step['rule']})"


def _gone(entries: list[dict[str, Any]]) -> bool:
    return any(one["op"] == "drop" for one in entries)


def _why_not(step: dict[str, Any]) -> str:
    left = sum(int(step.get(name) or 0) for name in ("unsure", "protected"))
    more = f", or only such as it leaves alone ({left:,} in all rows)" if left else ""
    return f"it has no word of {step['axis']} that the step acts on{more}"


def _edited(edits: list[dict[str, Any]], *, words: bool) -> str:
    """How many words of which group, and where."""
    groups: dict[str, int] = {}
    for one in edits:
        groups[one["reason"] or "unknown"] = groups.get(one["reason"] or "unknown", 0) + 1
    counted = " and ".join(f"{count} of {group}" for group, count in sorted(groups.items()))
    places = []
    for one in edits[:_PLACES]:
        place = f"bytes {one['start']} to {one['end']}"
        if one.get("pointer"):
            place += f" of {one['pointer']}"
        if words:
            place += (
                f' ("{one["before"]}" became "{one["after"]}")' if one["after"] else f' ("{one["before"]}" removed)'
            )
        places.append(place)
    more = f" and {len(edits) - _PLACES} more" if len(edits) > _PLACES else ""
    return f"changed {_many(len(edits), 'word')} ({counted}): {', '.join(places)}{more}."


def _dropped(entry: dict[str, Any], step: dict[str, Any]) -> str:
    cell = _cell(step, entry["reason"])
    if cell is None:
        return f"dropped it ({entry['reason']})."
    return (
        f"dropped it: of {cell['before']:,} rows with label {cell['label']} and {_groups(cell['group'])} "
        f"{cell['after']:,} were to be left, and which ones is decided by the hashes of their keys."
    )


def _weighted(entry: dict[str, Any], report: dict[str, Any]) -> str:
    value = entry["value"]
    before = f" (it was {entry['before']})" if entry["before"] is not None else ""
    line = f"gave it the weight {value:.4g}{before}"
    if entry["reason"] == "placebo":
        return f"{line}: a placebo deals the weights out at random within each label."
    steps = [one for one in report["steps"] if one["do"] == "reweight" and "dropped" not in one]
    named = str(entry["reason"]).split("; ")
    if entry["reason"] == LABEL_GROUPS and len(steps) == 1:
        # Data curated in parts do not say the cell; where only one has this factor it is that one.
        fits = [one for one in steps[0].get("cells", ()) if abs(one["factor"] - value) <= 1e-9 * value]
        named = [_name(one) for one in fits] if len(fits) == 1 else named
    if len(named) != len(steps):
        return f"{line} ({entry['reason']})."
    parts = [part for one, name in zip(steps, named, strict=True) if (part := _factor(one, name, report))]
    return f"{line}. " + " ".join(parts) if parts else f"{line} ({entry['reason']})."


def _factor(step: dict[str, Any], name: str, report: dict[str, Any]) -> str | None:
    """The arithmetic of a factor."""
    cell = _cell(step, name)
    if cell is None or "factor" not in cell:
        return None
    method = report["plan"]["step"][step["step"] - 1].get("method")
    who = f"Label {cell['label']} with {_groups(cell['group'])} ({cell['rows']:,} rows)"
    if method != "kamiran-calders":
        how = {
            "per-term": "weights are raked until every group has the label shares of all rows",
            "inverse-propensity": "the inverse of the chance of the label given groups and length",
        }.get(str(method), str(method))
        return f"{who} has the factor {cell['factor']:.4g}: {how}."
    exact = cell["share_label"] * cell["share_groups"] / cell["share_both"]
    line = (
        f"{who}: P(label) {cell['share_label']:.4g} × P(groups) {cell['share_groups']:.4g} / P(label, groups) "
        f"{cell['share_both']:.4g} = {exact:.4g}"
    )
    if abs(cell["factor"] - exact) > 1e-6 * exact:
        why = f"the cap of {step['cap']:g} holds some back" if step.get("capped") else "some cells have no rows"
        line += f", scaled to {cell['factor']:.4g} because {why} and weights shall average 1"
    return f"{line}."


def _copy(key: str, explained: Explained, *, words: bool) -> list[str]:
    """What a copy of the row is."""
    entries = [one for one in explained.entries if one["row"] == key]
    made = next((one for one in entries if one["op"] == "copy"), None)
    if made is None:
        return []
    step = _of(explained.report, made["step"])
    edits = [one for one in entries if one["op"] == "edit"]
    if edits:
        line = f"{_step(step)} made a copy of it, {key}, and in the copy {_edited(edits, words=words)}"
    else:
        line = f"{_step(step)} repeated it as {key}{_repeated(step, made['reason'])}."
    weight = next((one for one in entries if one["op"] == "weight"), None)
    return [line] if weight is None else [line, f"The copy {key} has the weight {weight['value']:.4g}."]


def _made(made: dict[str, Any] | None, parent: str, report: dict[str, Any]) -> str:
    """How a row came to be that was not in the data."""
    if made is None:
        return f"It is a copy of {parent}."
    step = _of(report, made["step"])
    if parent.startswith("pool:"):
        return f"{_step(step)} added it from the pool ({made['reason']}); it was not in the data."
    if step["do"] == "swap":
        return f"{_step(step)} made it: a copy of row {parent} with words changed."
    return f"{_step(step)} made it: row {parent} once more{_repeated(step, made['reason'])}."


def _repeated(step: dict[str, Any], reason: str | None) -> str:
    cell = _cell(step, reason)
    if cell is None or "after" not in cell:
        return ""
    label, groups = cell["label"], _groups(cell["group"])
    return f": of {cell['before']:,} rows with label {label} and {groups} there were to be {cell['after']:,}"


def _cell(step: dict[str, Any], name: str | None) -> dict[str, Any] | None:
    """The cell of a step's table that a reason names."""
    for cell in step.get("cells") or ():
        if "label" in cell and "group" in cell and _name(cell) == name:
            return dict(cell)
    return None


def _name(cell: dict[str, Any]) -> str:
    return cell_name(cell["label"], () if cell["group"] == "no group" else (cell["group"],))


def _groups(name: str) -> str:
    return name if name == "no group" else f"groups {name}" if " + " in name else f"group {name}"


def _of(report: dict[str, Any], number: int) -> dict[str, Any]:
    return dict(next(step for step in report["steps"] if step["step"] == number))


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
