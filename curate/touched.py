"""Rows touched: what a curation costs, in rows."""

from __future__ import annotations

import numpy as np

from .edits import Bools
from .state import State
from .units import Floats, Units

_SAME = 1e-9
"""A weight that is this near to the mean one is no change."""


def mean_factor(state: State | None) -> float:
    """What weights are multiplied by on average, rows without a change being multiplied by just that."""
    if state is None:
        return 1.0
    before = _before(state.units, state).sum()
    return float(state.units.weight.sum() / before) if before else 1.0


def weight_changed(units: Units, state: State | None, mean: float) -> Bools:
    """Which units weigh other than they would with the mean factor.

    Parameters
    ----------
    units : Units
        Some of those of the state.
    state : State or None
        After the last step; without one nothing is weighted.
    mean : float
        From `mean_factor`.
    """
    if state is None:
        return np.zeros(units.n, np.bool_)
    expected = _before(units, state) * mean
    return np.abs(units.weight - expected) > _SAME * np.abs(expected)


def _before(units: Units, state: State) -> Floats:
    """Weights that the units came with: of a row of the data its own, of a pool's row 1."""
    weight = np.ones(units.n)
    own = units.position < state.before.n
    weight[own] = state.before.weight[units.position[own]]
    return weight
