"""Data or pre-training: shares, contrasts, regressions and what the papers claim."""

from __future__ import annotations

from ...audit.page.document import STATUSES, Section, beside, computed, figure
from ...audit.page.html import Html, join, tag
from ...audit.page.plot.forest import Bar, forest
from ...audit.page.plot.scales import known
from ...audit.page.table import Cell, Column, table
from .reading import UPSTREAMS, Json, cell, items, part, said

_WORDS = {"upstream": "pre-training", "data": "data", "interaction": "both together"}
_FORMS = (("shares", "of the gap"), ("per_target", "of the gaps of single terms or labels"))
_STATES = {"holds": "pass", "does not hold": "fail", "cannot be told": "unclear"}


def attributed(verdict: Json) -> Section | None:
    """The part on attribution; None where nothing was attributed."""
    found = part(verdict, "attribution")
    parts = [*_shares(found), *_effects(found), *_claims(found), *_regressions(found), *_notes(found)]
    if not parts and not found.get("sentence"):
        return None
    note = computed(
        "Arms are assigned, so effects are those of these manipulations. Shares: of the sum of squares of the gap over "
        "plan × upstream × seed, by Shapley's averages over orderings, less what a permutation gains by chance; "
        "intervals from resampling seeds and test rows.",
        "Contrasts: runs paired by seed, the verdict's own interval; p corrected by Holm over plans. A lever that was "
        "barely moved cannot win a contest of shares.",
    )
    return Section("attribution", "Data or pre-training?", beside(join(parts), note), said(found.get("sentence")))


def _shares(found: Json) -> list[Html]:
    bars, rows = [], []
    for key, words in _FORMS:
        for one in items(part(found, key), "effects"):
            name = _WORDS.get(said(one.get("name")), said(one.get("name")))
            value = (one.get("share"), one.get("low"), one.get("high"))
            rows.append([name, words, cell(*value, percent=True, signed=False), one.get("p"),
                         cell(one.get("low_targets"), None, None, percent=True, signed=False),
                         cell(one.get("high_targets"), None, None, percent=True, signed=False)])  # fmt: skip
            if known(value[0]):
                bars.append(Bar(name, *value, group=f"Share {words}"))
        if known(part(found, key).get("chance")):
            rows.append(
                [
                    "chance (seeds)",
                    words,
                    cell(part(found, key)["chance"], percent=True, signed=False),
                    None,
                    None,
                    None,
                ]
            )
    if not rows:
        return []
    doubt = said(part(found, "shares").get("doubt"))
    caption = f"95 % intervals. {'What moved the gap cannot be told: ' + doubt + '.' if doubt else ''}"
    columns = [Column("Share of"), Column("In"), Column("Share", "number"), Column("p", "number", ".3f"),
               Column("were others drawn, from", "number"), Column("to", "number")]  # fmt: skip
    drawn = forest(bars, title="Shares of what moved the gap", x="share of what moved the gap, adjusted for chance",
                   percent=True, signed=False)  # fmt: skip
    data = table(columns, rows, caption="Shares", anchor="shares-table")
    return [tag("h3", "Shares"), figure(drawn, caption, data) if bars else data]


def _effects(found: Json) -> list[Html]:
    kinds = (("data", "Data as changed, upstream held"), ("upstream", "Another upstream, data as they are"),
             ("interaction", "Does the data lever do as much when pre-trained? Differences"),
             ("routes", "Through words or through proxies"))  # fmt: skip
    rows, bars = [], []
    for kind, words in kinds:
        for one in items(found, kind):
            change = part(one, "change")
            value = (change.get("estimate"), change.get("low"), change.get("high"))
            ups = [
                UPSTREAMS.get(said(one.get(key)), said(one.get(key))) for key in ("upstream", "against") if one.get(key)
            ]
            name = f"{said(one.get('plan'))}, {' − '.join(ups)}" if ups else said(one.get("plan"))
            rows.append([name, words, cell(*value), one.get("p_holm"), said(one.get("sentence"))])
            if known(value[0]) and kind != "data":
                bars.append(Bar(name, *value, group=words))
    if not rows:
        return []
    columns = [
        Column("Contrast"),
        Column("Kind"),
        Column("Takes off the gap", "number"),
        Column("p, Holm", "number", ".3f"),
        Column("In words", "long"),
    ]
    data = table(columns, rows, caption="Contrasts with 95 % intervals", anchor="contrasts-table")
    if not bars:
        return [tag("h3", "Contrasts"), data]
    drawn = forest(bars, title="Contrasts of upstreams", x="what it takes off the gap")
    return [tag("h3", "Contrasts"), figure(drawn, "95 % intervals; below 0 the gap grows.", data)]


def _claims(found: Json) -> list[Html]:
    rows = []
    for one in items(found, "claims"):
        state = said(one.get("state"))
        kind = _STATES.get(state, "unclear")
        mark = tag("span", tag("span", f"{STATUSES[kind]} ", aria_hidden="true"), state, class_=f"status {kind}")
        rows.append(
            [
                said(one.get("id")),
                Cell(mark, state),
                said(one.get("text")),
                "; ".join(map(said, one.get("evidence") or ())),
            ]
        )
    columns = [Column("Claim"), Column("Here"), Column("What the papers claim", "long"), Column("Evidence", "long")]
    return (
        [
            tag("h3", "What the papers claim"),
            table(columns, rows, caption="Claims, on these data", anchor="claims-table"),
        ]
        if rows
        else []
    )


def _regressions(found: Json) -> list[Html]:
    rows = [
        [said(one.get("name")), said(one.get("response")), said(term.get("name")),
         cell(term.get("coef"), term.get("low"), term.get("high")), term.get("p_wild"),
         cell(term.get("lmg"), term.get("lmg_low"), term.get("lmg_high"), percent=True, signed=False),
         one.get("r2"), one.get("targets"), "yes" if one.get("separable") else "no"]
        for key in ("observational", "within")
        for one in items(found, key)
        for term in items(one, "terms")
    ]  # fmt: skip
    if not rows:
        return []
    columns = [Column("Regression"), Column("Of"), Column("On"), Column("Coefficient", "number"),
               Column("p, wild", "number", ".3f"), Column("Share of R²", "number"), Column("R²", "number"),
               Column("Targets", "number"), Column("Separable")]  # fmt: skip
    made = table(columns, rows, caption="Regressions, as the papers ran them", anchor="regressions-table")
    return [tag("details", tag("summary", "Regressions on measured biases, for comparison"), made)]


def _notes(found: Json) -> list[Html]:
    notes = [said(note) for note in found.get("notes") or ()]
    return [tag("h3", "To be kept in mind"), tag("ul", *(tag("li", note) for note in notes))] if notes else []
