"""Gaps on measured biases: Steed's observational regression, and the form that compares arms within each label.

Across labels the bias of the upstream and that of the data both mirror the world, so the first form can rarely tell
them apart; it is there for comparison. The second asks how a label's gap moved when its measured biases were moved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...data.errors import InputError
from ..judging.inference import LEVEL, dense
from ..judging.scores import Floats, Ints
from . import ols
from .shares import lmg, r_squared

NOT_SEPARABLE = 0.8
PERMUTATIONS = 200
UPSTREAM, DATASET = "upstream bias", "dataset bias"


@dataclass(frozen=True, slots=True)
class Rows:
    """What a regression is made of: one row a target, upstream and plan, means over seeds.

    Attributes
    ----------
    y : numpy.ndarray
        The response.
    upstream, dataset : numpy.ndarray
        The two measured biases.
    controls : mapping of str to numpy.ndarray
    target, arm : numpy.ndarray
        Codes of target and of (upstream, plan); every target has every arm.
    arm_controls : int
        How many of the controls tell arms apart and nothing else.
    """

    y: Floats
    upstream: Floats
    dataset: Floats
    controls: Mapping[str, Floats]
    target: Ints
    arm: Ints
    arm_controls: int = 0


@dataclass(frozen=True, slots=True)
class Term:
    """One variable of a regression.

    Attributes
    ----------
    name : str
    coef, low, high, se, df : float
        Per unit; CR2 standard error with Satterthwaite's degrees of freedom, clustered by target.
    se_two_way : float
        Clustered by target and by arm; NaN with fewer than four arms.
    p_wild : float
        Wild cluster bootstrap, null imposed.
    beta_targets, beta_arms : float
        In standard deviations of the response (within arms; with fixed effects, within targets), per standard deviation
        across targets and across arms.
    partial_r2, vif : float
    lmg, lmg_low, lmg_high, lmg_adjusted : float
        Shapley's share of R², its interval over targets, and without what a permuted block explains.
    """

    name: str
    coef: float
    low: float
    high: float
    se: float
    df: float
    se_two_way: float
    p_wild: float
    beta_targets: float
    beta_arms: float
    partial_r2: float
    vif: float
    lmg: float
    lmg_low: float
    lmg_high: float
    lmg_adjusted: float


@dataclass(frozen=True, slots=True)
class Regression:
    """One regression of gaps on measured biases.

    Attributes
    ----------
    name, response : str
    n, targets, arms : int
        Rows, and how many terms or labels and arms they are of.
    terms : tuple of Term
        Upstream bias, then dataset bias.
    controls : tuple of str
    r2 : float
    r : float
        Correlation of the two biases.
    separable : bool
        Whether |r| is at most .8.
    reliability : float
        Of the upstream score; NaN where it is not known.
    disattenuated, disattenuated_low, disattenuated_high : float
        Standardised upstream coefficient corrected for the noise of the score (errors in variables, jackknife).
    equivalence : mapping
        TOST of the standardised upstream coefficient: bound, estimate, 90 % interval, p, "equivalent", of what, and
        "why_not" where noise in the score may hide an effect: then nothing is equivalent.
    notes : tuple of str
    """

    name: str
    response: str
    n: int
    targets: int
    arms: int
    terms: tuple[Term, ...]
    controls: tuple[str, ...]
    r2: float
    r: float
    separable: bool
    reliability: float
    disattenuated: float
    disattenuated_low: float
    disattenuated_high: float
    equivalence: Mapping[str, Any]
    notes: tuple[str, ...] = field(default=())

    def term(self, name: str) -> Term:
        """The term of a name."""
        return next(term for term in self.terms if term.name == name)


def regress(
    rows: Rows,
    *,
    name: str,
    response: str,
    within: bool,
    reliability: float,
    equivalence: float,
    repetitions: int,
    seed: int,
) -> Regression:
    """Regress gaps on the two biases.

    Parameters
    ----------
    rows : Rows
        The table.
    name, response : str
        For the record.
    within : bool
        Fixed effects for the targets: only what differs between arms counts, and biases are standardised by their
        spread across arms. Else across targets.
    reliability : float
        Of the upstream score across targets, in (0, 1]; NaN where it is not known.
    equivalence : float
        A standardised upstream coefficient nearer to 0 than this is no effect.
    repetitions, seed : int
        Of the bootstraps.

    Raises
    ------
    InputError
        Too few targets, or the biases cannot be told apart at all.
    """
    columns = {UPSTREAM: rows.upstream, DATASET: rows.dataset}
    columns |= {name: values for name, values in rows.controls.items() if np.ptp(values) > 1e-12}
    for label in (UPSTREAM, DATASET):
        spread = _across(columns[label], rows.target)[1 if within else 0]
        if not spread > 1e-12:
            raise InputError(f"the {label} does not differ between {'arms' if within else 'terms or labels'}")
    x = np.column_stack(list(columns.values()))
    y = rows.y
    if within:
        x, y = _demeaned(x, rows.target), _demeaned(y[:, None], rows.target)[:, 0]
        kept = (x**2).sum(axis=0) > 1e-12
        columns = {label: values for (label, values), keep in zip(columns.items(), kept, strict=True) if keep}
        x = x[:, kept]
    elif not _demeaned(y[:, None], rows.arm).var() > 1e-20:
        raise InputError("the gap does not differ between terms or labels")
    if not float(((y - y.mean()) ** 2).sum()) > 1e-20:
        raise InputError("the gap does not differ between arms")
    design = x if within else np.column_stack([x, np.ones(len(x))])
    found = ols.fit(design, y, rows.target, shared=rows.arm_controls)
    se, df = found.cr2()
    arms = int(rows.arm.max()) + 1
    wide = found.two_way(rows.arm) if arms > 3 else np.full(len(se), math.nan)
    # What arms do to all targets alike must not make every coefficient look small.
    sd_y = float((y if within else _demeaned(y[:, None], rows.arm)[:, 0]).std(ddof=1))
    controls = list(range(2, x.shape[1]))
    blocks: list[list[int]] = [[0], [1], *([controls] if controls else [])]
    share, low, high, adjusted = _lmg(x, y, rows, blocks, repetitions, seed)
    terms = []
    for j, label in enumerate((UPSTREAM, DATASET)):
        half = ols.quantile(df[j]) * se[j]
        targets, across = _across(columns[label], rows.target)
        coef = float(found.coef[j])
        explained = float(
            r_squared(_moments(np.column_stack([np.delete(x, j, axis=1), x[:, j]])), range(x.shape[1] - 1))
        )
        terms.append(
            Term(
                label, coef, coef - half, coef + half, float(se[j]), float(df[j]), float(wide[j]),
                found.wild_p(j, repetitions=repetitions, seed=seed),
                coef * targets / sd_y, coef * across / sd_y,
                _partial(found, j), 1 / max(1 - explained, 1e-12),
                share[j], low[j], high[j], adjusted[j],
            )
        )  # fmt: skip
    r = float(np.corrcoef(x[:, 0], x[:, 1])[0, 1])
    notes = []
    if abs(r) > NOT_SEPARABLE:
        notes.append(f"upstream and dataset bias go together (r = {r:+.2f}): not separable observationally")
    scale = _across(columns[UPSTREAM], rows.target)[1 if within else 0] / sd_y
    clean = (math.nan,) * 3
    if not within and 0 < reliability < 1:
        clean, said = _disattenuated(design, y, rows, reliability)
        notes += said
    elif within:
        notes.append("not corrected for the noise of the upstream score: how reliable its differences are is not known")
    half = ols.quantile(found.clusters - 1) * clean[1]
    return Regression(
        name=name,
        response=response,
        n=len(y),
        targets=found.clusters,
        arms=arms,
        terms=tuple(terms),
        controls=tuple(columns)[2:],
        r2=found.r2,
        r=r,
        separable=abs(r) <= NOT_SEPARABLE,
        reliability=reliability,
        disattenuated=clean[0] * scale,
        disattenuated_low=(clean[0] - half) * scale,
        disattenuated_high=(clean[0] + half) * scale,
        equivalence=_equivalence(terms[0], scale, equivalence, clean, found.clusters, reliability),
        notes=tuple(notes),
    )


def _equivalence(
    term: Term, scale: float, bound: float, clean: Sequence[float], clusters: int, reliability: float
) -> dict[str, Any]:
    """Two one-sided tests; of the corrected coefficient where there is one, with the wider of the standard errors.

    Noise in the score draws its coefficient to 0: one that is near 0 and not corrected is no evidence of no effect.
    """
    corrected = not math.isnan(clean[1])
    estimate = (clean[0] if corrected else term.coef) * scale
    se = (
        clean[1] if corrected else max(term.se, -math.inf if math.isnan(term.se_two_way) else term.se_two_way)
    ) * scale
    df = clusters - 1 if corrected else term.df
    half = ols.quantile(df, 2 * LEVEL - 1) * se
    p = ols.tost(estimate, se, df, bound)
    why_not = ""
    if not corrected and not reliability >= 1:
        why_not = "the noise of the upstream score, of unknown size, is not taken off"
    return {
        "bound": bound,
        "estimate": estimate,
        "low_90": estimate - half,
        "high_90": estimate + half,
        "p": p,
        "equivalent": bool(p < 1 - LEVEL) and not why_not,
        "of": "corrected for the noise of the upstream score" if corrected else "as measured",
        "why_not": why_not,
    }


def _across(values: Floats, target: Ints) -> tuple[float, float]:
    """Standard deviation across targets (of their means) and across arms (within targets)."""
    count = np.bincount(target)
    mean = np.bincount(target, weights=values) / count
    within = ((values - mean[target]) ** 2).sum() / max(len(values) - len(count), 1)
    return float(mean.std(ddof=1)) if len(mean) > 1 else math.nan, float(math.sqrt(within))


def _demeaned(x: Floats, target: Ints) -> Floats:
    sums = np.zeros((int(target.max()) + 1, x.shape[1]))
    np.add.at(sums, target, x)
    return np.asarray(x - (sums / np.bincount(target)[:, None])[target])


def _moments(z: Floats) -> Floats:
    z = z - z.mean(axis=0)
    return np.asarray(z.T @ z)


def _partial(found: ols.Fit, j: int) -> float:
    """What the variable explains of what the others leave over."""
    gained = float(found.coef[j]) ** 2 / float(found.bread[j, j])
    return gained / (gained + float(found.residual @ found.residual))


def _lmg(
    x: Floats, y: Floats, rows: Rows, blocks: list[list[int]], repetitions: int, seed: int
) -> tuple[list[float], list[float], list[float], list[float]]:
    """Shapley's shares of the two biases with intervals over targets, and adjusted for what chance explains."""
    z = np.column_stack([x, y])
    members = [np.flatnonzero(rows.target == g) for g in range(int(rows.target.max()) + 1)]
    sums = np.array([z[m].sum(axis=0) for m in members])
    products = np.array([z[m].T @ z[m] for m in members])
    rng = np.random.default_rng([seed, 0x13])
    weight = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=repetitions).astype(float)
    weight = np.vstack([np.ones(len(members)), weight])
    n = weight @ np.array([len(m) for m in members], np.float64)
    mean = (weight @ sums) / n[:, None]
    moments = np.tensordot(weight, products, axes=1) - n[:, None, None] * mean[:, :, None] * mean[:, None, :]
    parts = lmg(moments, blocks)
    grid = np.array(members)  # every target has every arm
    by_arm = grid[np.arange(len(grid))[:, None], np.argsort(rows.arm[grid], axis=1)]
    share, low, high, adjusted = [], [], [], []
    for at in range(2):
        share.append(float(parts[at][0]))
        ends = np.quantile(parts[at][1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        low.append(float(ends[0]))
        high.append(float(ends[1]))
        shuffled = []
        for _ in range(PERMUTATIONS):
            moved, column = z.copy(), z[:, at][by_arm]
            moved[by_arm, at] = column[rng.permutation(len(grid))][:, rng.permutation(len(members[0]))]
            shuffled.append(_moments(moved))
        chance = float(lmg(np.array(shuffled), blocks)[at].mean())
        adjusted.append((share[-1] - chance) / (1 - chance) if chance < 1 else math.nan)
    return share, low, high, adjusted


def _disattenuated(
    x: Floats, y: Floats, rows: Rows, reliability: float
) -> tuple[tuple[float, float, float], list[str]]:
    """Upstream coefficient when the noise of the score is taken off X'X; its jackknife standard error.

    Notes
    -----
    Errors in variables with known reliability (Fuller 1987): `(X'X - n·σ²_e·E)⁻¹ X'y`, σ²_e = (1 - reliability) times
    the variance of the score across targets within an arm, averaged over arms: rows of an upstream whose score is taken
    to be 0 have no noise in it, and a target's mean over arms has less than its rows.
    """
    each = _demeaned(rows.upstream[:, None], rows.arm)[:, 0] ** 2
    targets = int(rows.target.max()) + 1
    noise = (1 - reliability) * float(each.mean()) * targets / (targets - 1)

    def solved(keep: Any) -> float:
        here = x[keep]
        inner = here.T @ here
        inner[0, 0] -= len(here) * noise
        if np.linalg.eigvalsh(inner)[0] <= 1e-9 * np.trace(inner):
            return math.nan
        return float(np.linalg.solve(inner, here.T @ y[keep])[0])

    whole = solved(slice(None))
    count = int(rows.target.max()) + 1
    left = np.array([solved(rows.target != g) for g in range(count)])
    if math.isnan(whole) or np.isnan(left).any():
        said = (
            f"the upstream score is too noisy (reliability {reliability:.2f}) and too close to the dataset bias to "
            "correct its coefficient"
        )
        return (math.nan,) * 3, [said]
    se = math.sqrt((count - 1) / count * float(((left - left.mean()) ** 2).sum()))
    return (whole, se, float(count - 1)), []


def coded(names: Sequence[Any]) -> Ints:
    """Codes 0, 1, … of names in order of first appearance."""
    order = {name: at for at, name in enumerate(dict.fromkeys(names))}
    return dense(np.array([order[name] for name in names], np.int64))[1]
