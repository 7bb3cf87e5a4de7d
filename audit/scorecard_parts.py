"""The lines of the scorecard about proxies, leakage, directions and quality."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..data.lexicon import load

if TYPE_CHECKING:
    from .embeddings.directions import Direction
    from .proxy_report import ProxyReport
    from .report import AuditReport
    from .texts.leakage import Contrast, Leakage

Line = tuple[str, str, str]  # style, mark, text

_FEW = 3
_WORDS = 6
_STYLE = {"warn": "bold yellow", "unclear": "bold yellow"}


def given_away(report: AuditReport) -> tuple[str, list[Line]]:
    """What in the text tells the group besides its own words: leakage and proxies, axis by axis."""
    parts = report.parts
    lines: list[Line] = []
    for axis in report.tally.axes:
        said: list[str] = []
        if parts.leakage is not None and axis in parts.leakage:
            said += _leaks(parts.leakage[axis])
        if parts.proxies is not None and axis in parts.proxies:
            said += _proxies(parts.proxies[axis])
        lines += [("", axis if not at else "", text) for at, text in enumerate(said)]
    rows = {leakage.rows for leakage in (parts.leakage or {}).values() if leakage.rows < leakage.total}
    sample = f", in samples of up to {max(rows):,} rows" if rows else ""
    return f"What gives a group away besides its own words (AUC within labels{sample}; 0.5 is chance)", lines


def _leaks(leakage: Leakage) -> Iterator[str]:
    known = [one for one in leakage.contrasts if one.headline is not None]
    known.sort(key=lambda one: -_low(one))
    for contrast in known[:_FEW]:
        yield _leak(contrast)
    clear = [one for one in known[_FEW:] if _low(one) > 0.5]
    if clear:
        yield f"and {len(clear)} more of {len(known)} groups above chance"
    if not known:
        why = next((one.note for one in leakage.contrasts if one.note), "too few rows")
        yield f"the text: unclear ({why})"


def _low(contrast: Contrast) -> float:
    step = contrast.headline
    return 0.0 if step is None else step.area.low


def _leak(contrast: Contrast) -> str:
    step = contrast.headline
    assert step is not None
    area = step.area
    other = f" from {contrast.second}" if contrast.second is not None else ""
    later = contrast.steps[contrast.steps.index(step) + 1 :]
    # "scrubbed of gendered_nouns too", "without proxies"
    said = [f"{one.area.estimate:.2f} {_without(one.name)}" for one in later]
    tells = "tells" if area.low > 0.5 else "does not surely tell"
    return (
        f"the rest of the text {tells} {contrast.first}{other}: {area.estimate:.2f} ({area.low:.2f} to {area.high:.2f})"
        + (f"; {', '.join(said)}" if said else "")
    )


def _without(step: str) -> str:
    """A later step in words: each hides what came before too."""
    if step == "without proxies":
        return "without the proxies too (picked on these rows)"
    return "without " + step.removeprefix("scrubbed of ").removesuffix(" too").replace("_", " ")


def _proxies(found: ProxyReport) -> Iterator[str]:
    if found.status == "unclear":
        yield f"proxies: unclear ({found.note})" if found.note else "proxies: unclear"
        return
    if not found.proxies:
        yield f"proxies: none among {found.tested:,} words"
        return
    shown = ", ".join(f"{proxy.word} ({proxy.group})" for proxy in found.proxies[:_WORDS])
    more = len(found.proxies) - _WORDS
    yield f"proxies: {shown}" + (f" and {more} more" if more > 0 else "")


def leanings(report: AuditReport) -> tuple[str, list[Line]]:
    """Where word vectors put words between two sides."""
    return "Word vectors", [("", "", _direction(one)) for one in report.parts.directions or ()]


def _direction(one: Direction) -> str:
    name = f"{one.pairs.first}/{one.pairs.second}"
    if not one.scored:
        return f"{name}: not scored, {one.why}"
    # Words that name the side say nothing new.
    named = frozenset(form.text for lexicon in ("pronouns", "gendered_nouns") for form in load(lexicon).forms)
    top = one.to_dict(top=len(named) + _WORDS)["top"]
    words = {side: [row["word"] for row in rows if row["word"] not in named][:_WORDS] for side, rows in top.items()}
    sides = "; ".join(f"{side}: {', '.join(found) or 'none'}" for side, found in words.items())
    return f"{name} explains {one.share:.0%} of its pairs (chance up to {one.null:.0%}). Furthest out: {sides}"


def defects(report: AuditReport) -> tuple[str, list[Line]]:
    """What makes the figures wrong."""
    quality = report.parts.quality
    if quality is None:
        return "", []
    found = [finding for finding in quality.findings if finding.severity != "info"]
    if not found:
        return "", [("dim", "", f"Data quality: {len(quality.findings)} checks found nothing to worry about.")]
    order = {"unclear": 0, "warn": 1}
    found.sort(key=lambda finding: order[finding.severity])
    lines: list[Line] = []
    for finding in found[:_FEW]:
        todo = f" {finding.what_to_do[:1].upper()}{finding.what_to_do[1:]}." if finding.what_to_do else ""
        lines.append((_STYLE[finding.severity], finding.severity, f"{finding.message}.{todo}"))
    if len(found) > _FEW:
        lines.append(("dim", "", f"and {len(found) - _FEW} more in audit.json, under quality"))
    return "What makes these figures less than they seem", lines


def left_out(report: AuditReport) -> list[Line]:
    """Parts that were wanted and not done."""
    return [("dim", "", f"Left out: {section}: {why}") for section, why in report.parts.left_out.items()]
