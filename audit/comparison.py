"""How often rows of a set have a label, beside rows of another set: what the measures of association start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .cells import AxisCells, Bools, Counts, Ints
from .findings import Settings
from .intervals import Floats
from .screening import rate_test

# Of more labels than this, cells in which nothing was counted and less than one row was to be expected are not
# reported.
_ALL_SHOWN = 2


@dataclass(frozen=True, slots=True)
class Comparison:
    """Labels in sets of rows and in the sets beside them, arrays of shape (sets, labels).

    Attributes
    ----------
    groups : sequence of str
        What the sets are called.
    labels : sequence of str
    x1, n1, x2, n2 : float64 array
        Effective rows with the label, and of any label, in the set and in the other; those of any label differ by label
        where weights do.
    share, both : float64 array of shape (sets, 1)
        Share of the weight of both sets that the set has, and the effective rows of that share.
    rows1, events1, rows2, events2 : int64 array
        The same as counted, whatever they weigh.
    pair : bool
        Whether two groups are compared, and not a group with the rows without it.
    """

    groups: Sequence[str]
    labels: Sequence[str]
    x1: Floats
    n1: Floats
    x2: Floats
    n2: Floats
    share: Floats
    both: Floats
    rows1: Ints
    events1: Ints
    rows2: Ints
    events2: Ints
    pair: bool

    @property
    def effective(self) -> Floats:
        """Effective rows of the smaller side."""
        return np.minimum(self.n1, self.n2)

    @property
    def smallest(self) -> Ints:
        """Rows of the smaller side."""
        return np.minimum(self.rows1, self.rows2)

    @property
    def fewest(self) -> Floats:
        """The smallest of the four cells: what was counted there or, if more, what was to be expected.

        A ratio of two events where 0.02 were expected is noise picked from thousands of cells; none where 16 were
        expected is not.
        """
        rate = (self.events1 + self.events2) / np.maximum(self.rows1 + self.rows2, 1)
        cells = [
            np.maximum(counted, expected)
            for events, rows in ((self.events1, self.rows1), (self.events2, self.rows2))
            for counted, expected in ((events, rate * rows), (rows - events, (1 - rate) * rows))
        ]
        smallest: Floats = np.min(np.stack(cells).astype(np.float64), axis=0)
        return smallest

    @property
    def shown(self) -> Bools:
        """Which cells are worth a finding: of many labels those with a row, or where one was to be expected."""
        if len(self.labels) <= _ALL_SHOWN:
            return np.ones(self.rows1.shape, dtype=np.bool_)
        rate = (self.events1 + self.events2) / np.maximum(self.rows1 + self.rows2, 1)
        shown: Bools = (self.events1 > 0) | (rate * self.rows1 >= 1)
        return shown

    @property
    def p(self) -> Floats:
        """Of the test that the label is as frequent in both sets."""
        return rate_test(self.x1, self.n1, self.x2, self.n2)


def against_rest(cells: AxisCells, settings: Settings) -> Comparison:
    """Each group beside the rows without it."""
    return _compared(cells, settings, cells.groups, cells.has, ~cells.has, pair=False)


def against_each_other(cells: AxisCells, settings: Settings) -> Comparison:
    """The two groups of an axis that contrasts two, rows of both left out."""
    one, other = cells.contrast()
    return _compared(cells, settings, ["/".join(cells.pair or ())], one[None, :], other[None, :], pair=True)


def natural(cells: AxisCells, settings: Settings) -> Comparison:
    """Two groups beside each other where the axis contrasts two, else each beside the rest."""
    return against_rest(cells, settings) if cells.pair is None else against_each_other(cells, settings)


def rates(counts: Counts, sets: Bools, chosen: Sequence[int]) -> tuple[Floats, Floats, Ints, Ints]:
    """Effective events and rows, and real rows and events, of each set of patterns (rows) and label (columns)."""
    found = counts.over(sets)
    whole = found.sum(1)
    columns = list(chosen)
    labelled = Counts(found.rows[:, columns], found.w[:, columns], found.w2[:, columns])
    n = labelled.effective_of(Counts(whole.rows[:, None], whole.w[:, None], whole.w2[:, None]))
    share = labelled.w / np.maximum(whole.w, 1e-300)[:, None]
    rows = np.repeat(whole.rows[:, None], len(chosen), axis=1)
    return share * n, n, rows, labelled.rows


def _compared(
    cells: AxisCells, settings: Settings, groups: Sequence[str], sets: Bools, others: Bools, *, pair: bool
) -> Comparison:
    chosen = cells.chosen_labels(settings.positive)
    x1, n1, rows1, events1 = rates(cells.labelled, sets, chosen)
    x2, n2, rows2, events2 = rates(cells.labelled, others, chosen)
    labels = [cells.labels[index] for index in chosen]
    one, other = (cells.labelled.over(side).sum(1) for side in (sets, others))
    whole = Counts(one.rows + other.rows, one.w + other.w, one.w2 + other.w2)
    share, both = one.w / np.maximum(whole.w, 1e-300), one.effective_of(whole)
    return Comparison(
        groups, labels, x1, n1, x2, n2, share[:, None], both[:, None], rows1, events1, rows2, events2, pair
    )
