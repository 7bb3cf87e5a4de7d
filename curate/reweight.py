"""Weights under which group and label are independent (rule ``reweight.v1``)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .units import Floats

RULE = "reweight.v1"
_MOST_ROUNDS = 500
_NEAR = 1e-9


@dataclass(frozen=True, slots=True)
class Raked:
    """Factors a cell, and how well they do.

    Attributes
    ----------
    factor : float64 array, labels × patterns
    rounds : int
        Rounds of raking, 0 where none were needed.
    worst : float
        Largest distance that is left between a group's weighted share of a label and that of all rows.
    """

    factor: Floats
    rounds: int
    worst: float


def kamiran_calders(mass: Floats) -> Floats:
    """Factor of each cell by which group and label become independent, both margins staying as they are.

    Parameters
    ----------
    mass : float64 array, labels × patterns
        Rows of each cell, or the sum of their weights. A pattern is the whole set of a row's groups, so groups may
        overlap.

    Returns
    -------
    float64 array
        ``P(pattern) P(label) / P(pattern, label)``; 1 where there are no rows. A cell without rows cannot be given
        weight, so where there is one the margins are kept only nearly; `independence` says how nearly.

    Notes
    -----
    Kamiran and Calders 2012, reweighing.

    Examples
    --------
    >>> kamiran_calders(np.array([[6.0, 2.0], [1.0, 1.0]])).round(3).tolist()
    [[0.933, 1.2], [1.4, 0.6]]
    """
    total = mass.sum()
    expected = mass.sum(axis=1, keepdims=True) * mass.sum(axis=0, keepdims=True) / total
    factor: Floats = np.divide(expected, mass, out=np.ones_like(mass), where=mass > 0)
    return factor


def per_term(mass: Floats, member: npt.NDArray[np.bool_]) -> Raked:
    """Factors under which every group has the label shares of all rows, by raking.

    Parameters
    ----------
    mass : float64 array, labels × patterns
        Rows of each cell, or the sum of their weights.
    member : bool array, patterns × groups
        Which groups a pattern holds.

    Returns
    -------
    Raked
        The share of each group in all rows and the label shares of all rows stay as they are. Groups that lack a
        label cannot be raked and are left out.

    Notes
    -----
    Iterative proportional fitting (Deming and Stephan 1940) over the tables label × has the group, one after another.
    Weaker than `kamiran_calders`, which makes whole sets of groups independent of the label, and gentler: sets that
    are rare are not forced each for itself.

    Examples
    --------
    >>> mass = np.array([[80.0, 6.0, 3.0], [10.0, 4.0, 3.0]])
    >>> raked = per_term(mass, np.array([[False, False], [True, False], [True, True]]))
    >>> weighted = raked.factor * mass
    >>> bool(np.allclose(weighted[1, 1:].sum() / weighted[:, 1:].sum(), mass[1].sum() / mass.sum()))
    True
    """
    total, of_label = mass.sum(), mass.sum(axis=1)
    rated = rateable(mass, member)
    weighted = mass.astype(np.float64).copy()
    rounds, worst = 0, _off(weighted, member, rated, of_label / total)
    while worst > _NEAR and rounds < _MOST_ROUNDS:
        for group in rated:
            for side in (member[:, group], ~member[:, group]):
                now = weighted[:, side].sum(axis=1)
                goal = of_label * mass[:, side].sum() / total
                weighted[:, side] *= np.divide(goal, now, out=np.ones_like(now), where=now > 0)[:, None]
        rounds += 1
        worst = _off(weighted, member, rated, of_label / total)
    return Raked(np.divide(weighted, mass, out=np.ones_like(weighted), where=mass > 0), rounds, worst)


def rateable(mass: Floats, member: npt.NDArray[np.bool_]) -> list[int]:
    """Groups of which every label that occurs has rows, inside and outside the group."""
    labels = mass.sum(axis=1) > 0
    inside, outside = mass @ member, mass @ ~member
    return [
        group
        for group in range(member.shape[1])
        if (inside[labels, group] > 0).all() and (outside[labels, group] > 0).all()
    ]


def _off(weighted: Floats, member: npt.NDArray[np.bool_], groups: list[int], share: Floats) -> float:
    """Largest difference between a group's label shares and those wanted."""
    table = (weighted @ member)[:, groups]
    if not table.size:
        return 0.0
    return float(np.abs(table / table.sum(axis=0) - share[:, None]).max())


def capped(factor: Floats, mass: Floats, cap: float) -> Floats:
    """Factors no larger than the cap whose mean over the rows is 1.

    Where none is above the cap they are only scaled; otherwise the others are scaled up by what the cap takes away.

    Parameters
    ----------
    factor, mass : float64 arrays of one shape
        Factor and rows of each cell.
    cap : float
        More than 1, or no such factors exist.
    """
    total = mass.sum()
    held = np.zeros(factor.shape, np.bool_)
    while True:
        free = float((factor * mass)[~held].sum())
        scale = (total - cap * float(mass[held].sum())) / free if free > 0 else 1.0
        over = ~held & (factor * scale > cap) & (mass > 0)
        if not over.any():
            result: Floats = np.where(held, cap, factor * scale)
            return result
        held |= over


def effective_size(weight: Floats) -> float:
    """Effective sample size of weighted rows, ``(Σw)² / Σw²`` (Kish 1965).

    Examples
    --------
    >>> effective_size(np.array([1.0, 1.0, 0.0]))
    2.0
    """
    squares = float((weight**2).sum())
    return float(weight.sum()) ** 2 / squares if squares else 0.0


def cramers_v(table: Floats) -> float:
    """Cramér's V of a table of counts or weights, without correction: the association that is there, not an estimate.

    Examples
    --------
    >>> cramers_v(np.array([[10.0, 20.0], [20.0, 40.0]])), cramers_v(np.array([[5.0, 0.0], [0.0, 5.0]]))
    (0.0, 1.0)
    """
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    least = min(table.shape) - 1
    if least < 1:
        return 0.0
    total = table.sum()
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / total
    return float(np.sqrt((((table - expected) ** 2) / expected).sum() / (total * least)))
