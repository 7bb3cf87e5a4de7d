"""Rows in place of weights: how often each is written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...data.hashing import Keys, Salt, hash64, mix, uniform
from ..units import Floats, Ints


def as_copies(factor: Floats, stratum: Ints, names: Sequence[str], keys: Keys, *, salt: Salt) -> Ints:
    """How often each row is written so that it stands for its factor in expectation: 0 drops it.

    Parameters
    ----------
    factor : float64 array
        Of each row, not negative.
    stratum : int64 array
        Rows of one stratum have one factor; negative: written once.
    names : sequence of str
        Of the strata: what their rounding is drawn from, so that it does not depend on their numbers.
    keys : uint64 array
        Row keys.
    salt : str, int or tuple
        What the draw is for, the seed included.

    Returns
    -------
    int64 array

    Notes
    -----
    Systematic sampling (Madow 1949) in the order of the rows' hashes, with a start drawn from the hash of the stratum's
    name: each row comes ⌊factor⌋ or ⌈factor⌉ times, the stratum's sum is within one of the sum of its factors, and both
    have the factors as expectation.

    Examples
    --------
    >>> keys = np.arange(10, dtype=np.uint64)
    >>> int(as_copies(np.full(10, 1.5), np.zeros(10, np.int64), ["a"], keys, salt=0).sum())
    15
    """
    times = np.ones(len(factor), np.int64)
    inside = np.flatnonzero(stratum >= 0)
    if not len(inside):
        return times
    order = inside[np.lexsort((mix(keys[inside], salt=salt), stratum[inside]))]
    ordered = stratum[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    sizes = np.diff(np.append(first, len(ordered)))
    rank = np.arange(len(ordered)) - np.repeat(first, sizes)
    start = uniform(mix(hash64(list(names), salt="evenset.copies"), salt=salt))
    # Whole parts apart, so that no sum of many rows loses the digits that decide.
    each = factor[order]
    whole = np.floor(each + 1e-12)
    rest = np.maximum(each - whole, 0.0)
    begun = start[ordered]
    more = np.floor((rank + 1) * rest + begun) - np.floor(rank * rest + begun)
    times[order] = (whole + more).astype(np.int64)
    return times
