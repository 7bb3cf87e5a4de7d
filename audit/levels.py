"""Where the data stands on the scale of spurious correlation of Wang and Russakovsky 2023."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from . import intervals
from .cells import AxisCells
from .comparison import natural
from .emit import emit
from .findings import LEVEL, Finding, Settings
from .intervals import Interval

_LEVELS = 10


def correlation_level(cells: AxisCells, settings: Settings) -> list[Finding]:
    """Level of the label between two groups, or between a group and the rest: 5 is balanced."""
    found = natural(cells, settings)
    return emit(
        "correlation_level",
        cells,
        found.groups,
        found.labels,
        level_interval(found.x1, found.n1, found.x2, found.n2, level=settings.level),
        found.rows1 + found.rows2 if found.pair else found.rows1,
        "from the log odds ratio +0.5",
        effective=found.effective,
        smallest=found.smallest,
        cells4=found.fewest,
        only_enough=True,
    )


def level_interval(
    x1: npt.ArrayLike, n1: npt.ArrayLike, x2: npt.ArrayLike, n2: npt.ArrayLike, *, level: float = LEVEL
) -> Interval:
    """The level of correlation from 0 (the label goes with the first side) over 5 (balanced) to 10 (with the second).

    Parameters
    ----------
    x1, n1, x2, n2 : array
        Rows with the label and all rows of either side; may be fractional.
    level : float
        Confidence level.

    Notes
    -----
    At level s the published data sets take (10-s)/10 of the rows from {first, with label} and {second, without}, and
    s/10 from the other two cells, so that label and group are 50/50 at every level and only their correlation 1 - s/5
    moves. Data with other margins is put on this scale by bringing both to 50/50, which leaves the odds ratio OR as it
    is: s = 10 / (1 + √OR), and 1 - s/5 is Yule's coefficient of colligation. Interval: that of the log odds ratio with
    half a row added to each cell (Gart 1966), put through the same function.

    Examples
    --------
    >>> [round(float(end), 2) for end in level_interval(80, 100, 20, 100)]  # as built at level 2
    [2.03, 1.53, 2.64]
    """
    x1, n1, x2, n2 = (np.asarray(value, dtype=np.float64) for value in (x1, n1, x2, n2))
    x1, n1, x2, n2 = np.broadcast_arrays(x1, n1, x2, n2)
    four = [x1 + 0.5, np.maximum(n1 - x1, 0) + 0.5, x2 + 0.5, np.maximum(n2 - x2, 0) + 0.5]
    ratio = np.log(four[0]) - np.log(four[1]) - np.log(four[2]) + np.log(four[3])
    half = intervals.z_of(level) * np.sqrt(sum(1 / value for value in four))
    empty = (n1 <= 0) | (n2 <= 0)
    ends = (_LEVELS / (1 + np.exp(value / 2)) for value in (ratio, ratio + half, ratio - half))
    return Interval(*(np.where(empty, np.nan, value) for value in ends))
