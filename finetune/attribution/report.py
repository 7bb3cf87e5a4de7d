"""The attribution for people: the answer in a sentence, then the shares, the contrasts and the papers' claims."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..judging.decide import span
from .answer import Shares, percent
from .attribution import Attribution
from .claims import FAILS, HOLDS
from .contrasts import Effect
from .regression import Regression

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..judging.verdict import Verdict

_NAMES = {"data": "data", "upstream": "pre-training", "interaction": "both together"}
_STYLES = {HOLDS: "green", FAILS: "red"}


def attribution_table(found: Attribution) -> RenderableType:
    """The attribution as a rich renderable, 80 columns wide at most.

    Parameters
    ----------
    found : Attribution
        From `attribute`.
    """
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    parts: list[RenderableType] = [Text(found.sentence, style="bold")]
    if found.shares is not None:
        parts.append(_shares_table(found.shares, found.per_target))
    if found.interaction:
        parts += [
            Text("Does the data lever work when pre-trained? Reduction of the gap, 95 %"),
            _lever_table(found.interaction, found.data),
        ]
    if found.upstream:
        parts.append(Text("Another upstream, data as they are"))
        parts += [Text(f"  {effect.sentence}{_p(effect)}") for effect in found.upstream]
    if found.routes:
        parts.append(Text("Through words or through proxies, data as they are"))
        parts += [Text(f"  {route.sentence}") for route in found.routes]
    for one in (*found.observational, *found.within):
        parts.append(Text.assemble(("Regression, ", "bold"), (f"{one.name}: ", "bold"), _worded(one)))
    if found.claims:
        parts.append(Text("What the papers claim (here)", style="bold"))
        for claim in found.claims:
            parts.append(Text.assemble((f"{claim.id} {claim.state}: ", _STYLES.get(claim.state, "yellow")), claim.text))
            parts += [Text(f"   {line}") for line in claim.evidence]
    parts += [Text(f"Note: {note}") for note in found.notes]
    return Padding(Group(*parts), 0, expand=False)


def with_attribution(verdict: Verdict) -> RenderableType:
    """The table of a verdict, and below it that of its attribution where it has one."""
    from rich.console import Group
    from rich.text import Text

    from ..judging.report import verdict_table

    table = verdict_table(verdict)
    if not verdict.attribution:
        return table
    return Group(table, Text(), attribution_table(Attribution.from_dict(verdict.attribution)))


def _p(effect: Effect) -> str:
    return "" if math.isnan(effect.p) else f", p {_small(effect.p_holm)} (Holm)"


def _small(p: float) -> str:
    """A p value in three decimals."""
    return "?" if math.isnan(p) else "<.001" if p < 0.0005 else f"{p:.3f}"


def _share(value: float, low: float, high: float) -> str:
    return f"{percent(value)} %" + ("" if math.isnan(low) else f" [{percent(low)}, {percent(high)}]")


def _shares_table(shares: Shares, per_target: Shares | None) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in ("Share of", "the slope, 95 %", "p", "others drawn", "single gaps, 95 %"):
        table.add_column(head, no_wrap=True)
    for name, word in _NAMES.items():
        one = shares.of(name)
        other = None if per_target is None else per_target.of(name)
        p = _small(one.p)
        beside = "" if other is None else _share(other.share, other.low, other.high)
        far = "" if math.isnan(one.low_targets) else f"[{percent(one.low_targets)}, {percent(one.high_targets)}]"
        table.add_row(word, Text(_share(one.share, one.low, one.high)), p, Text(far), Text(beside))
    left = "" if per_target is None else f"{percent(per_target.chance)} %"
    table.add_row("chance (seeds)", f"{percent(shares.chance)} %", "", "", left)
    return table


def _lever_table(interactions: Sequence[Effect], data: Sequence[Effect]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    by = {(effect.plan, effect.upstream): effect for effect in data}
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Plan", overflow="fold", max_width=16)
    table.add_column("Upstream", overflow="fold", max_width=14)
    table.add_column("Takes off the gap", no_wrap=True)
    table.add_column("p, Holm", no_wrap=True)
    for plan in dict.fromkeys(effect.plan for effect in interactions):
        mine = [effect for effect in interactions if effect.plan == plan]
        for at, up in enumerate([mine[0].upstream, *(effect.against for effect in mine)]):
            effect = by[plan, up]
            table.add_row(plan if at == 0 else "", up, Text(span(effect.change)), _small(effect.p_holm))
        for effect in mine:
            name = "difference" if len(mine) == 1 else f"− {effect.against}"
            table.add_row("", Text(name, style="bold"), Text(span(effect.change), style="bold"), _small(effect.p_holm))
    return table


def _worded(one: Regression) -> str:
    up, data = one.terms
    tested = one.equivalence
    said = [
        f"{one.response} on ",
        *(
            f"{term.name} {term.coef:+.3f} [{term.low:+.3f}, {term.high:+.3f}] (wild p {term.p_wild:.3f}, share of R² "
            f"{percent(term.lmg)} %){end}"
            for term, end in ((up, " and "), (data, "; "))
        ),
        f"R² {one.r2:.2f}, {one.targets} targets. ",
    ]
    if not one.separable:
        said.append(f"The two biases go together (r {one.r:+.2f}): not separable observationally. ")
    verdict = "no effect" if tested["equivalent"] else "no effect is not shown"
    verdict += f": {tested['why_not']}" if tested.get("why_not") else ""
    said.append(
        f"Upstream per SD {tested['estimate']:+.2f}, 90 % [{tested['low_90']:+.2f}, {tested['high_90']:+.2f}] against "
        f"±{tested['bound']:g}: {verdict}."
    )
    return "".join(said)
