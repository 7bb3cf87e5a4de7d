"""What was fixed before training, what was changed since, where it was made, and what it cannot tell."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence

from ...audit.page.document import Section, beside, computed
from ...audit.page.html import Html, join, tag
from ...audit.page.table import Column, table
from .reading import Json, items, part, said

_MARGINS = {
    "margin": "Reduction worth having",
    "guard": "Guard",
    "guard_loss": "Loss of the guard accepted",
    "worst_group_loss": "Loss of the worst-off group accepted",
    "min_seeds": "Least seeds for a pass",
}
_ROWS = re.compile(r"([0-9a-f]{16,}) (None|\[.*\]|\S+) (.+)", re.DOTALL)
_LIMITS = (
    "A verdict holds for this data, this model, these test rows and this rule for the threshold.",
    "Words, not people: a row that says she is about someone called she; who wrote it is not known. A verdict on "
    "pronouns compares two groups; they and neopronouns are counted, but hold too few rows for a gap.",
    "The built-in word lists are English; where nothing was found in another language, nothing was looked for.",
    "A word that goes with a group need not be why a model treats the group differently.",
    "Probe sentences are not the world: few of them are distinct, so clusters decide how wide an interval is.",
    "The label may be the problem: where annotators were harsher on one group, balancing rates treats a symptom.",
)


def fixed(verdict: Json) -> Section | None:
    """Margins, seeds and yardstick, and what was changed after the first run."""
    margins, stick = part(verdict, "margins"), part(verdict, "yardstick")
    record = part(part(verdict, "environment"), "fixed")
    facts = [(words, said(margins.get(key))) for key, words in _MARGINS.items() if margins.get(key) is not None]
    for key, words in (("seeds", "Seeds"), ("screening_seeds", "Seeds that name the worst-off group, left out")):
        if record.get(key):
            facts.append((words, ", ".join(map(said, record[key]))))
    if record:
        facts.append(("Arm chosen on dev rows first", "yes" if record.get("choose") else "no"))
        facts.append(("Commit when training began", said(record.get("git")) or "not in git"))
    changed = [said(note) for note in verdict.get("notes") or () if said(note).startswith("not fixed before training")]
    if changed:
        state: Html = tag("p", tag("strong", "Changed since: "), "; ".join(changed), class_="status-note")
    elif record:
        state = tag("p", tag("strong", "Changed since: "), "nothing.")
    else:
        state = tag(
            "p", "There is no record of when this was fixed: the scores were made elsewhere, or by an earlier version."
        )
    rows = [
        [
            said(one.get("name")),
            one.get("n"),
            one.get("events"),
            one.get("raw"),
            one.get("c"),
            "yes" if one.get("used") else "no",
        ]
        for one in items(stick, "entries")
    ]
    tpr = stick.get("measure") == "tpr"
    columns = [Column("Label" if tpr else "Term"), Column("Training rows", "number"),
               Column(f"of which {said(stick.get('first'))}" if tpr else "positive", "number"),
               Column("Share" if tpr else "Log ratio", "number", ".3f"), Column("Weight c", "number", ".3f"),
               Column("Counts in the gap")]  # fmt: skip
    if not facts and not rows:
        return None
    chance = stick.get("chance")
    note = computed(
        "Margins, seeds and yardstick come from the raw training data and the config, and are written down before the "
        "first model is trained, so that curating cannot move them."
        + (
            f" How likely chance alone makes the raw data this unbalanced: p = {chance:.2g}."
            if isinstance(chance, float)
            else ""
        ),
    )
    body = join(
        [_facts(facts), state, table(columns, rows, caption="Yardstick", anchor="yardstick-table") if rows else None]
    )
    return Section("fixed", "Fixed before training", beside(body, note))


def made(verdict: Json) -> Section | None:
    """Versions, machines, seeds and hashes."""
    found = part(verdict, "environment")
    seeds = sorted({seed for gap in items(verdict, "gaps") for seed in gap.get("seeds") or () if isinstance(seed, int)})
    facts = [("Seeds", ", ".join(map(str, seeds[:40])) + (", …" if len(seeds) > 40 else ""))] if seeds else []
    runs = sum(len(gap.get("seeds") or ()) for gap in items(verdict, "gaps"))
    facts += [("Runs judged", f"{runs:,}")] if runs else []
    facts += [
        (said(key), _words(value))
        for key, value in found.items()
        if key not in ("fixed", "data", "trained_on", "choice")
    ]
    facts += [(f"data: {said(key)}", _fingerprint(value)) for key, value in part(found, "data").items()]
    facts += [("trained on", _words(one)) for one in items(found, "trained_on")]
    if found.get("choice"):
        facts.append(("choice of the arm", _words(found["choice"])))
    return Section("environment", "How it was made", _facts(facts)) if facts else None


def limits(verdict: Json) -> Section:
    """Notes of the run, and what no verdict can tell."""
    notes = [said(note) for note in (*(verdict.get("notes") or ()), *(part(verdict, "yardstick").get("notes") or ()))]
    parts = [
        *([tag("h3", "Notes of this run"), tag("ul", *(tag("li", note) for note in notes))] if notes else []),
        tag("h3", "What a verdict cannot tell"),
        tag("ul", *(tag("li", one) for one in _LIMITS)),
    ]
    return Section("limits", "Notes and limits", join(parts))


def _facts(facts: Sequence[tuple[str, str]]) -> Html:
    return tag("dl", *(piece for key, value in facts for piece in (tag("dt", key), tag("dd", value))), class_="facts")


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {_words(one)}" for key, one in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_words, value)) or "none"
    return "none given" if value is None else said(value)


def _fingerprint(value: object) -> str:
    """A hash of rows, and with it the columns that make clusters and the positive label of a probe, in words."""
    found = _ROWS.fullmatch(said(value))
    if found is None:
        return _words(value)
    digest, clusters, positive = found.groups()
    if clusters.startswith("["):
        try:
            clusters = ", ".join(map(said, ast.literal_eval(clusters)))
        except (ValueError, SyntaxError):
            clusters = clusters.strip("[]")
    given = {"clusters": clusters, "positive label": positive}
    return "; ".join([digest, *(f"{name}: {'none given' if one == 'None' else one}" for name, one in given.items())])
