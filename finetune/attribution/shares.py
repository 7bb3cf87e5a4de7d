"""Shapley's shares of what is explained, and intervals for them from resampling seeds, test rows and targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from math import factorial

import numpy as np

from ..judging.design import Contrast
from ..judging.inference import LEVEL
from ..judging.scores import Floats
from .factorial import FACTORS, squares
from .ols import quantile


def shapley(worth: Callable[[frozenset[int]], Floats], players: int) -> list[Floats]:
    """Average over all orders of what each player adds: the LMG share where `worth` is R².

    Parameters
    ----------
    worth : callable
        Of a set of players; arrays of one shape.
    players : int
        How many there are.

    Returns
    -------
    list of numpy.ndarray
        One a player; they add up to the worth of all minus that of none.

    Notes
    -----
    Lindeman, Merenda and Gold 1980; Shapley 1953. Weights |S|! (k - |S| - 1)! / k! instead of k! orders.

    Examples
    --------
    >>> [float(part) for part in shapley(lambda some: np.float64(len(some) ** 2), 2)]
    [2.0, 2.0]
    """
    known = {
        frozenset(some): worth(frozenset(some))
        for size in range(players + 1)
        for some in combinations(range(players), size)
    }
    found = []
    for player in range(players):
        total = np.zeros_like(known[frozenset()], dtype=np.float64)
        for some, value in known.items():
            if player not in some:
                weight = factorial(len(some)) * factorial(players - len(some) - 1) / factorial(players)
                total = total + weight * (known[some | {player}] - value)
        found.append(total)
    return found


def r_squared(moments: Floats, columns: Sequence[int]) -> Floats:
    """R² of the last variable on some of the others, from centred moment matrices.

    Parameters
    ----------
    moments : numpy.ndarray
        (…, k, k), sums of products of centred variables, the response last.
    columns : sequence of int
        Of the variables that explain.
    """
    total = moments[..., -1, -1]
    if not len(columns):
        return np.zeros_like(total)
    a = moments[..., columns, :][..., columns]
    b = moments[..., columns, -1]
    # The pseudo-inverse takes resamples in which columns coincide as what they are: one column.
    fit = (np.linalg.pinv(a, rcond=1e-10, hermitian=True) @ b[..., None])[..., 0]
    return np.asarray(np.divide((fit * b).sum(axis=-1), total, out=np.zeros_like(total), where=total > 0))


def lmg(moments: Floats, blocks: Sequence[Sequence[int]]) -> list[Floats]:
    """Shapley's share of R² for each block of columns; moments as in `r_squared`."""

    def worth(some: frozenset[int]) -> Floats:
        return r_squared(moments, [column for block in sorted(some) for column in blocks[block]])

    return shapley(worth, len(blocks))


def aligned(gap: Floats, c: Floats, weight: Floats) -> Floats:
    """Slope of the gap on imbalance with weighted targets.

    Parameters
    ----------
    gap : numpy.ndarray
        Targets × anything.
    c : numpy.ndarray
        Imbalance of each target.
    weight : numpy.ndarray
        Resamples × targets.

    Returns
    -------
    numpy.ndarray
        Resamples × anything; NaN where the targets of a resample have one imbalance.
    """
    centred = c - (weight @ c / weight.sum(axis=1))[:, None]
    bottom = (weight * centred**2).sum(axis=1, keepdims=True)
    coefficients = np.divide(weight * centred, bottom, out=np.full_like(weight, np.nan), where=bottom > 1e-12)
    return np.asarray(np.tensordot(coefficients, gap, axes=(1, 0)))


def redrawn(gap: Contrast, hits: Floats, *, repetitions: int, seed: int) -> Floats:
    """By how much drawing other test rows moves the gap of each cell of a grid.

    Parameters
    ----------
    gap : Contrast
        The gap, with the clusters of its rows.
    hits : numpy.ndarray
        Cells × rows: mean hits over seeds.
    repetitions, seed : int
        Number of draws, and what they are drawn from.

    Returns
    -------
    numpy.ndarray
        Draws × cells.

    Notes
    -----
    Whole clusters are drawn, to first order (by the gap's influence function); several ways of clustering are drawn
    independently and multiplied (Owen 2007). Few clusters are stretched by C/(C-1) and by t, as the contrasts do.
    """
    influence = np.array([gap.influence(cell) for cell in hits])
    rng = np.random.default_rng([seed, 0xB0])
    c = gap.clusters.n
    stretch = np.sqrt(c / (c - 1)) * quantile(c - 1) / quantile(np.inf)
    ways = gap.clusters.parts[: gap.clusters.ways]
    moved = np.empty((repetitions, len(hits)))
    for at in range(repetitions):
        weight = np.ones(influence.shape[1])
        for _, code, count in ways:
            weight *= np.bincount(rng.integers(0, count, count), minlength=count)[code]
        moved[at] = influence @ (weight - 1)
    return np.asarray(stretch * moved)


def resampled(
    gap: Floats,
    c: Floats | None,
    *,
    repetitions: int,
    seed: int,
    fixed: bool = False,
    rows: Floats | None = None,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of the shares, drawing seeds and, unless they are fixed, targets.

    Parameters
    ----------
    gap : numpy.ndarray
        Targets × upstreams × plans × seeds.
    c : numpy.ndarray or None
        Imbalance: shares are of the slope of the gap on it. None: of the gaps of single targets around their means.
    repetitions, seed : int
        Number of resamples, and what they are drawn from.
    fixed : bool
        Whether the shares are of these targets: a yardstick fixed before training has no others. Only with `c`.
    rows : numpy.ndarray or None
        Resamples × upstreams × plans, from `redrawn`: by how much other test rows move the slope. Only with `c`.

    Returns
    -------
    dict of str to (float, float)
        For each factor; NaN with fewer than three seeds, of which there is nothing to draw.

    Notes
    -----
    S - 1 of S seeds are drawn, so that the variance of a mean is neither too small nor too large (Rao and Wu 1988).
    What they move is stretched by t over the normal quantile, S - 1 degrees of freedom, or intervals would be short.
    The mean of drawn seeds has chance in it twice, once from training and once from drawing: both are taken off.
    Shares are of the gap on these test rows, so of what those add only what comes from drawing is taken off.
    """
    t, s = gap.shape[0], gap.shape[-1]
    nothing = dict.fromkeys(FACTORS, (np.nan, np.nan))
    if s < 3 or t < 2:
        return nothing
    rng = np.random.default_rng([seed, 0x5A])
    weight = rng.multinomial(t, np.full(t, 1 / t), size=repetitions).astype(np.float64)
    weight = np.ones((repetitions, t)) if fixed and c is not None else weight
    drawn = rng.multinomial(s - 1, np.full(s, 1 / s), size=repetitions) / (s - 1)
    # An array of (…, upstreams, plans, seeds), leading: resamples, and where there is no slope also targets.
    y = gap[None] if c is None else aligned(gap, c, weight)
    whole = squares(y)
    mean = np.einsum("tuds,rs->rtud", gap, drawn) if c is None else np.einsum("ruds,rs->rud", y, drawn)
    cell = y.mean(axis=-1, keepdims=True)
    # A normal quantile is too short for so few seeds: what they move is stretched as t is.
    stretch = quantile(s - 1) / quantile(np.inf)
    moved = cell[..., 0] + stretch * (mean - cell[..., 0])
    added = dict.fromkeys(FACTORS, 0.0)
    if rows is not None and c is not None:
        moved = moved + rows
        extra = squares(rows[..., None])
        added = {name: float(extra.factors[name].mean()) for name in FACTORS}
    found = squares(moved[..., None])
    by_seed = y.mean(axis=(-3, -2), keepdims=True)
    rest = ((y - cell - by_seed + y.mean(axis=(-3, -2, -1), keepdims=True)) ** 2).sum(axis=(-3, -2))
    rest = s * (rest * (drawn[:, None, :] if c is None else drawn)).sum(axis=-1)
    parts = {
        name: s * (found.factors[name] - added[name]) - (1 + stretch**2) * whole.df[name] * whole.error
        for name in FACTORS
    }
    # What is left to chance: the seeds' own part, the rest, and chance's part in the means of the cells.
    noise = whole.seed + rest + sum(whole.df[name] for name in FACTORS) * whole.error
    if c is None:
        parts = {name: (weight * value).sum(axis=1) for name, value in parts.items()}
        noise = (weight * noise).sum(axis=1)
    total = sum(parts.values()) + noise
    tail = (1 - LEVEL) / 2
    result = {}
    for name, value in parts.items():
        share = np.divide(value, total, out=np.full_like(total, np.nan), where=total > 0)
        share = share[np.isfinite(share)]
        low, high = np.quantile(share, [tail, 1 - tail]) if len(share) else (np.nan, np.nan)
        result[name] = (float(np.clip(low, 0, 1)), float(np.clip(high, 0, 1)))
    return result
