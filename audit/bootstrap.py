"""The bootstrap of rows, done on cells: its cost does not depend on how many rows there are.

Drawing N rows with replacement and counting them by cell is one multinomial draw of the cells. So any statistic of the
cells can be resampled without a row being touched, exactly as if all had been.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from .findings import REPLICATES
from .intervals import Floats

# Tables drawn with a seed of their own, whatever the number of threads: the result is the same on any machine.
_CHUNK = 500
_WORKERS = 2


def resampled(
    counts: npt.ArrayLike, statistic: Callable[[Floats], Floats], *, replicates: int = REPLICATES, seed: int = 0
) -> Floats:
    """A statistic of resampled tables.

    Parameters
    ----------
    counts : array
        Rows by cell, any shape; may be fractional (weighted counts scaled to the effective number of rows, which is
        rounded to whole rows).
    statistic : callable
        Tables of shape (some, *shape of counts), each with as many rows as `counts`, to values of shape (some, ...).
        Called from two threads, on at most 500 tables at a time.
    replicates : int
        How many tables.
    seed : int
        Of the random numbers.

    Returns
    -------
    array of shape (replicates, ...)

    Notes
    -----
    Efron 1979. The percentiles of a statistic are its interval only where it has little bias and skewness: a rate of a
    small group has a closed form that is better (`intervals.wilson`), a maximum over groups needs `parity`.

    Examples
    --------
    >>> resampled([[3, 1], [0, 6]], lambda tables: tables.sum(axis=(1, 2)), replicates=3).tolist()
    [10.0, 10.0, 10.0]
    """
    table = np.asarray(counts, dtype=np.float64)
    flat = table.ravel()
    total = float(flat.sum())
    rows, held = round(total), np.flatnonzero(flat > 0)
    # The largest first: a draw ends when its rows are used up.
    held = held[np.argsort(-flat[held], kind="stable")]
    share = flat[held] / total
    sizes = [min(_CHUNK, replicates - start) for start in range(0, replicates, _CHUNK)]

    def values(part: tuple[int, int]) -> Floats:
        number, size = part
        rng = np.random.default_rng([seed, number])
        tables = np.zeros((size, len(flat)))
        tables[:, held] = rng.multinomial(rows, share, size=size)
        return statistic(tables.reshape(size, *table.shape))

    with ThreadPoolExecutor(_WORKERS) as pool:
        return np.concatenate(list(pool.map(values, enumerate(sizes))))
