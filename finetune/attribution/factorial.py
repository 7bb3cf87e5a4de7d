"""The randomised factorial: how much of what moved the gap is the data, the pre-training, or both together.

Which data and which upstream a run gets is assigned, so the sums of squares are of causes, for these manipulations. On
a grid without holes the parts are orthogonal: their sums of squares add up whatever the order in which they are taken
(hence Shapley's shares are simply those of the sums of squares).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..judging.scores import Floats

FACTORS = ("upstream", "data", "interaction")
_AXES = {"upstream": (0,), "data": (1,), "interaction": (0, 1)}


@dataclass(frozen=True, slots=True)
class Squares:
    """Sums of squares of a grid; each is an array of the leading shape of what was decomposed.

    Attributes
    ----------
    factors : mapping of str to numpy.ndarray
        "upstream", "data" and "interaction".
    seed, rest, total : numpy.ndarray
        What the seeds do to all runs alike, what they do to each differently, and all of it.
    df : mapping of str to int
        Degrees of freedom of the factors and of "rest".
    """

    factors: Mapping[str, Floats]
    seed: Floats
    rest: Floats
    total: Floats
    df: Mapping[str, int]

    @property
    def error(self) -> Floats:
        """Mean square of the rest; NaN with one seed."""
        left = self.df["rest"]
        return self.rest / left if left else np.full_like(self.rest, np.nan)

    def pooled(self) -> Squares:
        """Sums over the leading dimension: of single targets, what moves each around its own mean."""
        return Squares(
            {name: value.sum(axis=0) for name, value in self.factors.items()},
            self.seed.sum(axis=0),
            self.rest.sum(axis=0),
            self.total.sum(axis=0),
            {name: value * len(self.total) for name, value in self.df.items()},
        )


def squares(y: Floats) -> Squares:
    """Take the sums of squares of `y ~ U + D + U:D + seed` on a balanced grid.

    Parameters
    ----------
    y : numpy.ndarray
        (…, upstreams, plans, seeds).

    Examples
    --------
    >>> y = np.zeros((2, 2, 2)) + np.array([0.0, 1.0])[None, :, None]
    >>> found = squares(y)
    >>> {name: float(value) for name, value in found.factors.items()}, float(found.total)
    ({'upstream': 0.0, 'data': 2.0, 'interaction': 0.0}, 2.0)
    """
    u, d, s = y.shape[-3:]
    y = y - y.mean(axis=(-3, -2, -1), keepdims=True)
    cell = y.mean(axis=-1)
    up, data, seed = cell.mean(axis=-1), cell.mean(axis=-2), y.mean(axis=(-3, -2))
    both = cell - up[..., :, None] - data[..., None, :]
    rest = y - cell[..., None] - seed[..., None, None, :]
    return Squares(
        {
            "upstream": d * s * (up**2).sum(axis=-1),
            "data": u * s * (data**2).sum(axis=-1),
            "interaction": s * (both**2).sum(axis=(-2, -1)),
        },
        u * d * (seed**2).sum(axis=-1),
        (rest**2).sum(axis=(-3, -2, -1)),
        (y**2).sum(axis=(-3, -2, -1)),
        {"upstream": u - 1, "data": d - 1, "interaction": (u - 1) * (d - 1), "rest": (u * d - 1) * (s - 1)},
    )


def part(y: Floats, name: str) -> Floats:
    """What one factor does to each cell.

    Parameters
    ----------
    y : numpy.ndarray
        Upstreams × plans × seeds.
    name : str
        "upstream", "data" or "interaction".

    Returns
    -------
    numpy.ndarray
        Upstreams × plans.

    Examples
    --------
    >>> part(np.array([[[1.0], [3.0]], [[1.0], [3.0]]]), "data").tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """
    cell: Floats = y.mean(axis=2) - y.mean()
    up: Floats = cell.mean(axis=1, keepdims=True) + 0 * cell
    data: Floats = cell.mean(axis=0, keepdims=True) + 0 * cell
    return {"upstream": up, "data": data, "interaction": cell - up - data}[name]


@dataclass(frozen=True, slots=True)
class Effect:
    """What one factor has to do with the gap.

    Attributes
    ----------
    name : str
        "upstream", "data" or "interaction".
    ss, df : float
    eta2 : float
        Share of the whole sum of squares; on a grid without holes also Shapley's (LMG) share.
    omega2 : float
        The same without the part that chance has in it; below 0 is possible. NaN with one seed.
    share, low, high : float
        Share adjusted for chance (epsilon squared), with its interval: of the slope, for the terms or labels of the
        yardstick, which is fixed before training; of single gaps, over terms or labels.
    p : float
        Of a permutation of the runs of each seed, the other factors held (Freedman and Lane); on these test rows, for
        which the interval of the slope's shares allows too.
    low_targets, high_targets : float
        Of the slope: the interval were other terms or labels drawn too; else NaN.
    """

    name: str
    ss: float
    df: int
    eta2: float
    omega2: float
    share: float
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    low_targets: float = math.nan
    high_targets: float = math.nan


def effects(found: Squares) -> tuple[Effect, ...]:
    """Eta, omega and epsilon squared of each factor, of scalar sums of squares.

    Raises
    ------
    ValueError
        Nothing varies.

    Notes
    -----
    eta² = SS/SST; omega² = (SS - df·MSE)/(SST + MSE); epsilon² = (SS - df·MSE)/SST, which is adjusted R² taken apart.
    Permuting what the other factors leave over gives epsilon² too: a permuted block explains df/(df + df_rest) of it.
    """
    total, error = float(found.total), float(found.error)
    if not total > 0:
        raise ValueError("nothing varies")
    result = []
    for name in FACTORS:
        ss, df = float(found.factors[name]), found.df[name]
        result.append(Effect(name, ss, df, ss / total, (ss - df * error) / (total + error), (ss - df * error) / total))
    return tuple(result)


def permutation_p(y: Floats, *, repetitions: int, seed: int) -> dict[str, float]:
    """P values of the three factors by permuting, within each seed, what the other factors leave over.

    Parameters
    ----------
    y : numpy.ndarray
        Upstreams × plans × seeds.
    repetitions, seed : int
        Number of permutations, and what they are drawn from.

    Returns
    -------
    dict of str to float
        NaN with one seed, where nothing tells an effect from chance.

    Notes
    -----
    Freedman and Lane 1983; the statistic is the share of the factor in what the others leave over.
    """
    u, d, s = y.shape
    if s < 2:
        return dict.fromkeys(FACTORS, math.nan)
    rng = np.random.default_rng([seed, 0xFAC])
    y = y - y.mean(axis=(0, 1), keepdims=True)  # the seed's own
    cell = y.mean(axis=2)
    parts = {
        "upstream": cell.mean(axis=1, keepdims=True) + 0 * cell,
        "data": cell.mean(axis=0, keepdims=True) + 0 * cell,
    }
    parts["interaction"] = cell - parts["upstream"] - parts["data"]
    found = {}
    for name in FACTORS:
        others = sum(part for other, part in parts.items() if other != name)
        left = (y - others[..., None]).reshape(u * d, s)
        order = rng.random((repetitions, u * d, s)).argsort(axis=1)
        drawn = np.take_along_axis(left[None], order, axis=1).reshape(repetitions, u, d, s)
        statistic = _ratio(squares(np.concatenate([left.reshape(1, u, d, s), drawn])), name)
        found[name] = float((statistic >= statistic[0] * (1 - 1e-9)).mean()) if statistic[0] > 0 else 1.0
    return found


def _ratio(of: Squares, name: str) -> Floats:
    both = of.factors[name] + of.rest
    return np.divide(of.factors[name], both, out=np.zeros_like(both), where=both > 0)
