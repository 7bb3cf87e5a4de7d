"""Rows touched: what a curation costs, in rows."""

from __future__ import annotations

import numpy as np

from ..edits import Bools
from ..state import State
from ..units import Floats, Units

_SAME = 1e-9
"""A weight that is this near to the mean one is no change."""


def mean_factor(state: object) -> float:
    """What weights are multiplied by on average; rows without a change are multiplied by just that.

    Parameters
    ----------
    state : object
        A `State` after its last step, or what was decided about a part, which knows its own; None: nothing was.
    """
    if not isinstance(state, State):
        return float(getattr(state, "mean", 1.0))
    before = weights_before(state.units, state).sum()
    return float(state.units.weight.sum() / before) if before else 1.0


def weight_changed(after: Floats, before: Floats, mean: float) -> Bools:
    """Which weights are others than the mean factor makes of those before.

    Examples
    --------
    >>> weight_changed(np.array([0.5, 1.0]), np.array([0.5, 0.5]), 1.0).tolist()
    [False, True]
    """
    expected = before * mean
    changed: Bools = np.abs(after - expected) > _SAME * np.abs(expected)
    return changed


def weights_before(units: Units, state: State) -> Floats:
    """Weights that the units came with: of a row of the data its own, of a pool's row 1."""
    weight = np.ones(units.n)
    own = units.position < state.before.n
    weight[own] = state.before.weight[units.position[own]]
    return weight
