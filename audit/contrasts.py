"""How often groups have a label: two groups against each other, or each group against the rows without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from . import intervals
from .cells import AxisCells, Bools, Counts, Ints
from .emit import emit, row
from .findings import Finding, Settings
from .intervals import Floats, Interval


def log_ratio(cells: AxisCells, settings: Settings) -> list[Finding]:
    """Rows of the first group against rows of the second, in each label and over all."""
    if cells.pair is None:
        return []
    each = cells.labelled.over(cells.contrast())
    everything = cells.all.over(cells.contrast())
    names: list[str | None] = [None, *cells.labels]
    counts = Counts(
        *(np.column_stack([getattr(everything, part), getattr(each, part)]) for part in ("rows", "w", "w2"))
    )
    x1, x2 = _scaled_pair(counts)
    estimate = intervals.log_ratio_counts(x1, x2, level=settings.level)
    rows = counts.rows.sum(axis=0)
    method = "log ratio of counts +0.5"
    return emit("log_ratio", cells, ["/".join(cells.pair)], names, row(estimate), rows[None, :], method)


def log_ratio_centred(cells: AxisCells, settings: Settings) -> list[Finding]:
    """The label's log ratio minus that of all labels: association without representation."""
    if cells.pair is None:
        return []
    return _contrast("log_ratio_centred", cells, settings, *_pair_sets(cells), intervals.log_ratio_rates)


def label_rate(cells: AxisCells, settings: Settings) -> list[Finding]:
    """Share of the label among the group's rows."""
    chosen = cells.chosen_labels(settings.positive)
    x, n, rows, _ = _rates(cells, cells.has, chosen)
    estimate = intervals.wilson(x, n, level=settings.level)
    labels = [cells.labels[index] for index in chosen]
    return emit("label_rate", cells, cells.groups, labels, estimate, rows, "Wilson", effective=n)


def label_rate_gap(cells: AxisCells, settings: Settings) -> list[Finding]:
    """Share of the label among the group's rows minus that among the others."""
    sets = _pair_sets(cells) if cells.pair else _group_sets(cells)
    return _contrast("label_rate_gap", cells, settings, *sets, intervals.newcombe_difference)


def label_log_ratio(cells: AxisCells, settings: Settings) -> list[Finding]:
    """Log ratio of the label's share among the group's rows to that among the rows without the group."""
    if cells.pair is not None:
        return []
    return _contrast("label_log_ratio", cells, settings, *_group_sets(cells), intervals.log_ratio_rates)


def _pair_sets(cells: AxisCells) -> tuple[Sequence[str], Bools, Bools]:
    one, other = cells.contrast()
    return ["/".join(cells.pair or ())], one[None, :], other[None, :]


def _group_sets(cells: AxisCells) -> tuple[Sequence[str], Bools, Bools]:
    return cells.groups, cells.has, ~cells.has


def _rates(cells: AxisCells, sets: Bools, chosen: Sequence[int]) -> tuple[Floats, Floats, Ints, Ints]:
    """Effective events and rows, and real rows and events, of each set of patterns (rows) and label (columns)."""
    counts = cells.labelled.over(sets)
    whole = counts.sum(1)
    n = np.repeat(whole.effective[:, None], len(chosen), axis=1)
    share = counts.w[:, list(chosen)] / np.maximum(whole.w, 1e-300)[:, None]
    rows = np.repeat(whole.rows[:, None], len(chosen), axis=1)
    return share * n, n, rows, counts.rows[:, list(chosen)]


def _contrast(
    measure: str,
    cells: AxisCells,
    settings: Settings,
    groups: Sequence[str],
    sets: Bools,
    others: Bools,
    function: Callable[..., Interval],
) -> list[Finding]:
    """Compare the label's share in sets of patterns with that in other sets."""
    chosen = cells.chosen_labels(settings.positive)
    x1, n1, rows1, events1 = _rates(cells, sets, chosen)
    x2, n2, rows2, events2 = _rates(cells, others, chosen)
    estimate = function(x1, n1, x2, n2, level=settings.level)
    pair, rows, smallest = cells.pair is not None, rows1, np.minimum(rows1, rows2)
    if pair and function is intervals.log_ratio_rates:
        rows = events1 + events2  # of two groups the rows with the label, as in `log_ratio`: they carry the evidence
        smallest = np.minimum(smallest, rows)
    elif pair:
        rows = rows1 + rows2
    method = "Newcombe" if function is intervals.newcombe_difference else "log ratio of rates +0.5 (Katz)"
    return emit(
        measure,
        cells,
        groups,
        [cells.labels[index] for index in chosen],
        estimate,
        rows,
        method,
        effective=np.minimum(n1, n2),
        smallest=smallest,
        cells4=None
        if function is intervals.newcombe_difference
        else _counted_or_expected(events1, rows1, events2, rows2),
    )


def _counted_or_expected(events1: Ints, rows1: Ints, events2: Ints, rows2: Ints) -> Floats:
    """The smallest of the four cells of a comparison, each taken as what was counted or, if more, what was expected.

    A ratio of two events where 0.02 were expected is noise picked from thousands of cells; none where 16 were expected
    is not.
    """
    rate = (events1 + events2) / np.maximum(rows1 + rows2, 1)
    cells = [
        np.maximum(counted, expected)
        for events, rows in ((events1, rows1), (events2, rows2))
        for counted, expected in ((events, rate * rows), (rows - events, (1 - rate) * rows))
    ]
    smallest: Floats = np.min(np.stack(cells).astype(np.float64), axis=0)
    return smallest


def _scaled_pair(counts: Counts) -> tuple[Floats, Floats]:
    """Weighted counts of two rows of cells, scaled so that they add up to the effective rows of both."""
    both = counts.sum(0)
    factor = both.effective / np.maximum(both.w, 1e-300)
    return counts.w[0] * factor, counts.w[1] * factor
