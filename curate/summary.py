"""A curation in some lines for someone in a hurry, none wider than 80 columns."""

from __future__ import annotations

from typing import Any

from .selection.feasibility import tabulated

_WIDTH = 79
_SHOWN = 4
_RATIOS = ("log_ratio_centred", "label_log_ratio")


def lines_of(report: dict[str, Any]) -> list[str]:
    """What was done, what came of the worst findings, what it cost, and what to do next.

    Parameters
    ----------
    report : dict
        The content of curation.json.
    """
    counts, touched = report["counts"], report["touched"]
    name = report["plan"]["name"] or "plan"
    lines = folded(
        f"{name}{' (placebo)' if report['placebo'] else ''}: {report['input']['rows']:,} rows in, "
        f"{report['output']['rows']:,} rows out; {_touched(touched)}",
        "  ",
    )
    for step in report["steps"]:
        told = report["plan"]["step"][step["step"] - 1]
        mask = f' with "{told["with"]}"' if told["do"] == "scrub" else ""
        lines += folded(f"  {step['step']}. {step['do']} {step['axis']}{mask}: {_words(step)}", "     ")
    lines += _findings(report) or _effects(report)
    kinds = [f"{counts[kind]:,} {kind}" for kind in ("edits", "copies", "drops", "weights") if counts[kind]]
    lines.append("  ledger: " + (", ".join(kinds) or "nothing changed"))
    for note in report["notes"]:
        lines += folded(f"  note: {note}", "    ")
    if report["dry_run"]:
        lines += [table for step in report["steps"] if (table := tabulated(step))]
    return lines + _next(report)


def _touched(touched: dict[str, Any]) -> str:
    """Rows touched and their share; rows that are added are no share of those that came in."""
    if not touched.get("added"):
        return f"{touched['rows']:,} rows touched ({touched['share']:.1%})"
    own = touched["changed"] + touched["dropped"]
    return f"{own:,} of them changed or dropped, {touched['added']:,} added"


def _findings(report: dict[str, Any]) -> list[str]:
    """Before and after: of each axis how much groups and labels go together, and the findings that were worst."""
    judged = [
        one for one in report.get("findings", ())
        if one["judged"] and one["before"] is not None and one["before"]["estimate"] is not None
    ]  # fmt: skip
    shown = []
    for axis in dict.fromkeys(one["axis"] for one in judged):
        mine = [one for one in judged if one["axis"] == axis]
        shown += [one for one in mine if one["measure"] == "cramers_v" and one["group"] is None]
        shown += [one for one in mine if one["measure"] == "leakage_auc"][:_SHOWN]
        ratio = next((name for name in _RATIOS if any(one["measure"] == name for one in mine)), None)
        worst = [one for one in mine if one["measure"] == ratio]
        worst.sort(key=lambda one: (-abs(one["before"]["estimate"]), one["id"]))
        shown += worst[:_SHOWN]
    if not shown:
        return []
    width = min(max(len(_named(one)) for one in shown), 29)
    lines = ["  before → after, the farthest from 0 of each axis, with 95 % intervals:"]
    scrubbed = {step["axis"] for step in report["plan"]["step"] if step["do"] == "scrub" and not step.get("groups")}
    return lines + [
        f"    {_cut(_named(one), width):<{width}} {_number(one['before'])} → "
        f"{_number(one['after'], gone='words' if one['axis'] in scrubbed else 'rows')}"
        for one in shown
    ]


def _named(one: dict[str, Any]) -> str:
    """A finding in few words."""
    if one["label"] is not None and "/" in (one["group"] or ""):
        return f"{one['measure']} {one['label']}"  # of two groups there is but one contrast
    group = one["group"] or one["axis"]
    return f"{one['measure']} {group}" + (f": {one['label']}" if one["label"] is not None else "")


def _number(found: dict[str, Any] | None, *, gone: str = "rows") -> str:
    """An estimate with its interval, or why there is none."""
    if found is None or found["estimate"] is None:
        few = found.get("n") if found is not None and gone == "rows" else None
        return f"too few rows ({few:,})" if few else f"no such {gone} left"
    ends = [f"{found[end]:.2f}" if found[end] is not None else "?" for end in ("low", "high")]
    return f"{found['estimate']:5.2f} [{ends[0]}, {ends[1]}]"


def _effects(report: dict[str, Any]) -> list[str]:
    lines = []
    for axis, found in report["effect"].items():
        if found:
            v = found["cramers_v"]
            lines += folded(
                f"  {axis} and label: Cramér's V {v['before']:.3f} → {v['after']:.3f} (uncorrected, from the counts)",
                "    ",
            )
    return lines


def _next(report: dict[str, Any]) -> list[str]:
    """What to do with it."""
    if report["dry_run"] or "name" not in report["output"]:
        return []
    weighted = any(step["do"] == "reweight" and not step.get("as_copies") for step in report["plan"]["step"])
    if weighted and report["counts"]["weights"]:
        return folded(
            '  next: give the trainer the column "weight" as sample weights, or nothing has changed for it', "    "
        )
    if report["plan"]["step"] and report["counts"]["copies"]:
        return folded('  next: train on it as it is; the column "evenset_parent" tells copies from rows', "    ")
    return ["  next: train on it as it is"]


def _words(step: dict[str, Any]) -> str:
    """The numbers of a step in words."""
    match step["do"]:
        case "scrub" | "swap":
            words = f"{step.get('edits', 0):,} words in {step.get('rows', 0):,} rows"
            if step.get("copies") is not None:
                words += f", {step['copies']:,} copies"
            if step.get("unsure"):
                words += f"; {step['unsure']:,} left because the rules were not sure"
            if step.get("names"):
                words += f"; {step['names']:,} names left that are given to both or perhaps none"
            if step.get("protected"):
                words += f"; {step['protected']:,} left in links, addresses, handles or code"
            if step.get("proxies"):
                words += f"; {step['proxies']['words']:,} proxies"
            if step.get("agreed") or step.get("not_agreed"):
                words += f"; {step.get('agreed', 0):,} verbs agreed, {step.get('not_agreed', 0):,} perhaps not"
            if step.get("mixed"):
                words += f"; {step['mixed']:,} rows left with words of several groups"
            return words + (f"; {step['short']:,} could not be matched" if step.get("short") else "")
        case "topup":
            short = f"; the pool lacks {step['short']:,}" if step["short"] else ""
            return f"{step['added']:,} rows added as {step['label']}{short}"
        case "resample":
            moved = f"{step['dropped']:,} dropped, {step['repeated']:,} repeated"
            return f"{step['before']:,} → {step['after']:,} rows ({moved})"
        case _:
            capped = f"; {step['capped']:,} rows at the cap" if step["capped"] else ""
            if "dropped" in step:
                return (
                    f"{step['before']:,} → {step['after']:,} rows in place of weights ({step['dropped']:,} dropped, "
                    f"{step['repeated']:,} repeated), worth {step['effective_rows']:,.0f}{capped}"
                )
            return (
                f"weights {step['least']:.2f} to {step['most']:.2f}, "
                f"worth {step['effective_rows']:,.0f} unweighted rows{capped}"
            )


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def folded(text: str, indent: str) -> list[str]:
    """A line that is too long, on several."""
    import textwrap

    start = text[: len(text) - len(text.lstrip())]
    return textwrap.wrap(
        text.lstrip(), _WIDTH, initial_indent=start, subsequent_indent=indent, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
