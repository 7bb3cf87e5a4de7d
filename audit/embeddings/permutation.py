"""The exact or sampled permutation test of a difference of sums over two sets."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def partition_p(first: Floats, second: Floats, *, most: int = 20_000, seed: int = 0) -> tuple[float, str]:
    """One-sided p of sum(first) - sum(second) among the ways of parting all values into sets of these sizes.

    Parameters
    ----------
    first, second : float64 arrays
        The values of the two sets.
    most : int
        All ways are counted where there are at most so many; else so many are drawn.
    seed : int
        Of the drawn ones.

    Returns
    -------
    float
        Share of the ways whose difference is at least the observed one, itself included.
    str
        The method, in words.

    Examples
    --------
    >>> partition_p(np.array([3.0, 4.0]), np.array([1.0, 2.0]))
    (0.16666666666666666, 'one-sided exact permutation test, all 6 ways of parting the targets')
    """
    values = np.concatenate([first, second])
    size, n = len(first), len(values)
    ways = math.comb(n, size)
    # For fixed sizes the difference grows with the sum of the first alone.
    observed = float(first.sum())
    slack = 1e-9 * float(np.abs(values).sum())
    if ways <= most:
        chosen = np.fromiter((at for part in combinations(range(n), size) for at in part), np.int64, ways * size)
        sums = values[chosen].reshape(ways, size).sum(axis=1)
        p = float(np.mean(sums >= observed - slack))
        return p, f"one-sided exact permutation test, all {ways:,} ways of parting the targets"
    rng = np.random.default_rng([seed, n])
    order = rng.permuted(np.tile(values, (most, 1)), axis=1)
    beyond = int(np.count_nonzero(order[:, :size].sum(axis=1) >= observed - slack))
    return (beyond + 1) / (most + 1), f"one-sided permutation test, {most:,} drawn of {ways:.3g} ways (seed {seed})"
