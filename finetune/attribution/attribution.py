"""Data or upstream? Shares, contrasts, regressions and claims of one set of runs, gathered in one answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...data.errors import InputError
from ..judging.decide import Margins
from ..judging.design import design
from ..judging.gaps import Measured
from ..judging.gaps import measure as measure_runs
from ..judging.scores import ScoreSet
from ..judging.yardstick import Yardstick
from . import claims as papers
from . import contrasts
from .answer import Shares, doubt_of, of_others, sentence, share_out
from .cells import GapTable, Grid, largest_grid
from .forms import UpstreamScores, regressions
from .mediation import Route, routes
from .regression import Regression
from .shares import aligned, redrawn
from .storing import plain, read

SCHEMA = "evenset.attribution/1"


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

    def _repr_html_(self) -> str:
        from ..notebook import attribution_html

        return attribution_html(self)

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
        shares = share_out("slope of the gap on imbalance", slope, gaps, table.c, repetitions, seed, rows)
        per_target = share_out("gaps of single targets", None, gaps, None, repetitions, seed)
        if shares is None:
            why_none = "the gap is the same in every run, there is nothing to share out"
        else:
            shares = replace(shares, doubt=doubt_of(shares, slope, measured, table, grid))
            said += of_others(shares, len(table.targets))
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
        sentence=sentence(shares, grid, why_none),
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
