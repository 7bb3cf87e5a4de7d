"""Data or upstream? Shares, contrasts, regressions and claims of one set of runs, gathered in one answer."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...data.errors import InputError
from ..judging.decide import Margins
from ..judging.design import design
from ..judging.gaps import Measured
from ..judging.gaps import measure as measure_runs
from ..judging.scores import Floats, ScoreSet
from ..judging.yardstick import Yardstick
from . import claims as papers
from . import contrasts, factorial
from .cells import GapTable, Grid, largest_grid
from .forms import UpstreamScores, regressions
from .mediation import Route, routes
from .regression import Regression
from .shares import aligned, redrawn, resampled
from .storing import plain, read

SCHEMA = "evenset.attribution/1"
_WORDS = {"upstream": "pre-training", "data": "data", "interaction": "their interaction"}


@dataclass(frozen=True, slots=True)
class Shares:
    """How much of what moved the gap each factor explains.

    Attributes
    ----------
    response : str
    effects : tuple of factorial.Effect
        Upstream, data, interaction.
    chance : float
        What is left: seeds, and how they differ between arms.
    error : float
        Mean square of the rest.
    doubt : str
        Why what moved the gap cannot be told from these shares; empty where it can.
    """

    response: str
    effects: tuple[factorial.Effect, ...]
    chance: float
    error: float
    doubt: str = ""

    def of(self, name: str) -> factorial.Effect:
        """The effect of a factor."""
        return next(effect for effect in self.effects if effect.name == name)


@dataclass(frozen=True, slots=True)
class Attribution:
    """What moved the gap: data, pre-training, or both together.

    Attributes
    ----------
    sentence : str
        The answer, first.
    grid : Grid
        Upstreams, plans and seeds that the shares are of.
    shares, per_target : Shares or None
        Of the slope of the gap on imbalance, and of the gaps of single terms or labels around their own means.
    data, upstream, interaction : tuple of contrasts.Effect
    routes : tuple of Route
        Where test rows have scrubbed copies: the gap through words and through proxies, by upstream.
    observational, within : tuple of Regression
        Steed's form, and fixed effects for each term or label.
    claims : tuple of papers.Claim
    dataset_bias : mapping of str to mapping
        By plan and target, as used.
    upstream_bias : mapping of str to UpstreamScores or None
    margin : float
    notes : tuple of str
    """

    sentence: str
    grid: Grid
    shares: Shares | None
    per_target: Shares | None
    data: tuple[contrasts.Effect, ...]
    upstream: tuple[contrasts.Effect, ...]
    interaction: tuple[contrasts.Effect, ...]
    routes: tuple[Route, ...]
    observational: tuple[Regression, ...]
    within: tuple[Regression, ...]
    claims: tuple[papers.Claim, ...]
    dataset_bias: Mapping[str, Mapping[str, float]]
    upstream_bias: Mapping[str, UpstreamScores | None]
    margin: float
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it: NaN and infinity are null."""
        found: dict[str, Any] = {"schema": SCHEMA, **plain(self)}
        return found

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Attribution:
        """Read what `to_dict` wrote.

        Raises
        ------
        InputError
            It is nothing that `to_dict` wrote.
        """
        if record.get("schema") != SCHEMA:
            raise InputError(f'attribution: the schema is "{record.get("schema")}", and only {SCHEMA} can be read')
        try:
            found: Attribution = read(cls, record)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"attribution: the record is not complete ({error!r}); make it again") from None
        return found


def attribute(
    scores: ScoreSet,
    stick: Yardstick,
    *,
    plans: Mapping[str, str] | None = None,
    kinds: Mapping[str, str] | None = None,
    dataset_bias: Mapping[str, Mapping[str, float]] | None = None,
    upstream_bias: Mapping[str, UpstreamScores | None] | None = None,
    screening_seeds: Collection[int] = (),
    base: str = "raw",
    pretrained: str = "pretrained",
    scratch: Collection[str] = ("random",),
    margin: float | None = None,
    equivalence: float = 0.1,
    repetitions: int = 2000,
    seed: int = 0,
    notes: Sequence[str] = (),
    measured: Measured | None = None,
) -> Attribution:
    """Say what moved the gap.

    Parameters
    ----------
    scores : ScoreSet
        Of all runs; placebos and screening runs take no part.
    stick : Yardstick
        From the raw training set.
    plans : mapping of str to str, optional
        The plan of each arm; by default it has the arm's name.
    kinds : mapping of str to str, optional
        What each plan does, "scrub" or "rebalance", for the claims.
    dataset_bias : mapping of str to mapping of str to float, optional
        Of each plan's training rows, by term or label. Without it there are no regressions.
    upstream_bias : mapping of str to UpstreamScores or None, optional
        Of each upstream; None or missing: not known, and left out of the regressions.
    screening_seeds : collection of int
        Seeds of runs that take no part.
    base, pretrained : str
        The plan and the upstream that others are compared with.
    scratch : collection of str
        Upstreams that are not pre-trained.
    margin : float, optional
        Least change of the gap worth having; by default that of `Margins`.
    equivalence : float
        A standardised upstream coefficient nearer to 0 than this is no effect.
    repetitions, seed : int
        Of bootstraps and permutations.
    notes : sequence of str
        To go before those found here.
    measured : Measured, optional
        The runs measured, where that is done already.

    Returns
    -------
    Attribution

    Raises
    ------
    InputError
        The runs do not cross at least two upstreams with at least two plans.
    """
    measured = measured or measure_runs(scores, design(scores, stick))
    margin = Margins().margin if margin is None else margin
    table = GapTable.of(measured, plans or {}, leave_out=screening_seeds)
    grid = largest_grid(table.at, base=base, pretrained=pretrained)
    if len(grid.upstreams) < 2 or len(grid.plans) < 2:
        have = sorted({f"{d} under {u}" for u, d, _ in table.at})
        raise InputError(
            "attribution needs at least two plans, each trained under the same two upstreams or more; there are "
            + (", ".join(have) or "none")
        )
    said = [*notes, *table.notes, *grid.left_out]
    collapsed = [str(f.run) for f in measured.runs if f.collapsed and not f.run.placebo_of]
    if collapsed:
        said.append(f"{len(collapsed)} collapsed runs are in: {', '.join(collapsed[:3])}{', …' * (len(collapsed) > 3)}")
    stuck = sum(measured.runs[at].saturated for at in table.at.values())
    if stuck:
        said.append(
            f"{stuck} of {len(table.at)} runs are saturated (over half of the terms have FPR < .01 or > .99): gaps "
            "that cannot move say nothing of what moves them"
        )
    gaps = table.array(table.gap, grid)
    shares = per_target = None
    why_none = ""
    if len(grid.seeds) < 2:
        why_none = "one seed in every arm, so effects cannot be told from chance"
    else:
        slope = aligned(gaps, table.c, np.ones((1, len(table.targets))))[0]
        cells = [[table.at[u, d, s] for s in grid.seeds] for u in grid.upstreams for d in grid.plans]
        hits = np.array([measured.hits_of(runs).mean(axis=0) for runs in cells])
        rows = redrawn(measured.design.gap, hits, repetitions=repetitions, seed=seed)
        rows = rows.reshape(repetitions, len(grid.upstreams), len(grid.plans))
        shares = _shares("slope of the gap on imbalance", slope, gaps, table.c, repetitions, seed, rows)
        per_target = _shares("gaps of single targets", None, gaps, None, repetitions, seed)
        if shares is None:
            why_none = "the gap is the same in every run, there is nothing to share out"
        else:
            shares = replace(shares, doubt=doubt_of(shares, slope, measured, table, grid))
            said += _of_others(shares, len(table.targets))
        if shares is not None and len(grid.seeds) < 3:
            said.append("two seeds: shares have no interval, which takes three")
    effects = {
        "data": contrasts.data_effects(measured, table.at, base=base),
        "upstream": contrasts.upstream_effects(measured, table.at, base=base, pretrained=pretrained),
        "interaction": contrasts.interactions(measured, table.at, base=base, pretrained=pretrained),
    }
    known = {name: found for name, found in (upstream_bias or {}).items() if found is not None}
    observational, within, why = regressions(
        table, grid, dataset_bias or {}, known, base, pretrained, equivalence, repetitions, seed, measured
    )
    said += why
    found = papers.claims(
        observational=observational,
        why_none=why[0] if why else "",
        **effects,
        scores={name: one.scores for name, one in known.items() if not one.assumed},
        kinds=kinds or {},
        margin=margin,
        pretrained=pretrained,
        scratch=[name for name in scratch if name in grid.upstreams],
    )
    return Attribution(
        sentence=_sentence(shares, grid, why_none),
        grid=grid,
        shares=shares,
        per_target=per_target,
        **effects,
        routes=routes(scores, measured, table.at, base=base, pretrained=pretrained),
        observational=observational,
        within=within,
        claims=found,
        dataset_bias=dataset_bias or {},
        upstream_bias=upstream_bias or {},
        margin=margin,
        notes=tuple(dict.fromkeys(said)),
    )


def _shares(
    response: str,
    slope: Floats | None,
    gaps: Floats,
    c: Floats | None,
    repetitions: int,
    seed: int,
    rows: Floats | None = None,
) -> Shares | None:
    """Shares with intervals; None where nothing varies."""
    found = factorial.squares(gaps).pooled() if slope is None else factorial.squares(slope)
    if not float(found.total) > 1e-18:
        return None
    p = {} if slope is None else factorial.permutation_p(slope, repetitions=repetitions, seed=seed)
    spread = resampled(gaps, c, repetitions=repetitions, seed=seed, fixed=c is not None, rows=rows)
    others = {} if c is None else resampled(gaps, c, repetitions=repetitions, seed=seed)
    effects = []
    for effect in factorial.effects(found):
        low, high = _around(effect.share, spread[effect.name])
        far = _around(effect.share, others[effect.name]) if others else (math.nan, math.nan)
        effects.append(
            replace(effect, low=low, high=high, low_targets=far[0], high_targets=far[1], p=p.get(effect.name, math.nan))
        )
    return Shares(response, tuple(effects), 1 - sum(effect.share for effect in effects), float(found.error))


def _around(share: float, ends: tuple[float, float]) -> tuple[float, float]:
    # Drawing shifts what it takes off for chance a little; an interval that leaves its estimate out would mislead.
    if math.isnan(ends[0]):
        return math.nan, math.nan
    return min(ends[0], max(share, 0.0)), max(ends[1], share)


def _top(shares: Shares) -> list[str]:
    return sorted(("data", "upstream", "interaction"), key=lambda name: -shares.of(name).share)


def doubt_of(shares: Shares, slope: Floats, measured: Measured, table: GapTable, grid: Grid) -> str:
    """Why shares do not tell what moved the gap: in the sentence, the table and the figure alike; empty if they do.

    Parameters
    ----------
    shares : Shares
        Of the slope.
    slope : numpy.ndarray
        Upstreams × plans × seeds.
    measured : Measured
        The runs.
    table : GapTable
        Where they are.
    grid : Grid
        What the shares are of.
    """
    at = [table.at[u, d, s] for u in grid.upstreams for d in grid.plans for s in grid.seeds]
    facts = [measured.runs[row] for row in at]
    top = _top(shares)[0]
    if collapsed := sum(bool(fact.collapsed) for fact in facts):
        return f"{collapsed} of {len(facts)} runs are collapsed"
    if (stuck := sum(fact.saturated for fact in facts)) * 2 > len(facts):
        return f"{stuck} of {len(facts)} runs are saturated"
    if measured.design.positive is not None:
        free = np.array([fact.threshold_free for fact in facts]).reshape(slope.shape)
        if not np.isfinite(free).all():
            return "the gap without a threshold cannot be measured"
        one, two = (factorial.part(values, top) for values in (slope, free))
        if not float((one * two).sum()) > 0:
            return "it depends on the threshold: without one it moves the other way"
    if all(shares.of(name).p > 0.05 for name in factorial.FACTORS):
        return "none of the shares is more than chance makes by itself (p > .05)"
    if math.isnan(shares.of(top).low):
        return "two seeds give shares no interval"
    return "" if shares.of(top).low > 0 else "every share may be 0"


def _of_others(shares: Shares, targets: int) -> list[str]:
    """What would be another answer were other terms or labels drawn."""
    one = shares.of(_top(shares)[0])
    if math.isnan(one.low_targets):
        return []
    return [
        f"the shares are of these {targets} terms or labels; were others drawn, that of {_WORDS[one.name]} could be "
        f"anything from {percent(one.low_targets)} to {percent(one.high_targets)} %"
    ]


def percent(value: float) -> str:
    """A share in whole per cent; "?" where it is not known."""
    return "?" if math.isnan(value) else f"{100 * max(value, 0.0):.0f}"


def _sentence(shares: Shares | None, grid: Grid, why: str) -> str:
    if shares is None:
        return f"What moved the gap cannot be told: {why}."
    parts: list[str] = []
    order = _top(shares)
    words = _WORDS | ({"interaction": "the interaction of data and pre-training"} if order[0] == "interaction" else {})
    for name in order:
        effect = shares.of(name)
        between = "" if math.isnan(effect.low) else f" [{percent(effect.low)}, {percent(effect.high)}]"
        parts.append(f"{words[name]} {'explains ' * (not parts)}{percent(effect.share)} %{between}")
    size = f"{len(grid.upstreams)} upstreams × {len(grid.plans)} plans × {len(grid.seeds)} seeds"
    if shares.doubt:
        return f"What moved the gap cannot be told: {shares.doubt}. At face value {', '.join(parts)} of it ({size})."
    parts[0] = parts[0][0].upper() + parts[0][1:] + " of what moved the gap"
    return f"{', '.join(parts)}; the rest is chance ({size})."
