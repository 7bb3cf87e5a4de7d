"""How often groups have a label: two groups against each other, or each group against the rows without it."""

from __future__ import annotations

import numpy as np

from . import intervals
from .cells import AxisCells, Counts
from .comparison import Comparison, against_each_other, against_rest, natural
from .emit import emit, row
from .findings import Finding, Settings
from .intervals import Floats

_KATZ = "log ratio of rates +0.5 (Katz)"


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
    return _log_ratios("log_ratio_centred", cells, against_each_other(cells, settings), settings)


def label_log_ratio(cells: AxisCells, settings: Settings) -> list[Finding]:
    """Log ratio of the label's share among the group's rows to that among the rows without the group."""
    if cells.pair is not None:
        return []
    return _log_ratios("label_log_ratio", cells, against_rest(cells, settings), settings)


def label_rate(cells: AxisCells, settings: Settings) -> list[Finding]:
    """Share of the label among the group's rows."""
    found = against_rest(cells, settings)
    estimate = intervals.wilson(found.x1, found.n1, level=settings.level)
    return emit(
        "label_rate",
        cells,
        found.groups,
        found.labels,
        estimate,
        found.rows1,
        "Wilson",
        effective=found.n1,
        shown=found.shown,
    )


def label_rate_gap(cells: AxisCells, settings: Settings) -> list[Finding]:
    """Share of the label among the group's rows minus that among the others."""
    found = natural(cells, settings)
    return emit(
        "label_rate_gap",
        cells,
        found.groups,
        found.labels,
        intervals.newcombe_difference(found.x1, found.n1, found.x2, found.n2, level=settings.level),
        found.rows1 + found.rows2 if found.pair else found.rows1,
        "Newcombe",
        effective=found.effective,
        smallest=found.smallest,
        shown=found.shown,
        p=found.p,
    )


def _log_ratios(measure: str, cells: AxisCells, found: Comparison, settings: Settings) -> list[Finding]:
    rows, smallest = found.rows1, found.smallest
    if found.pair:  # the rows with the label, as in `log_ratio`: they carry the evidence
        rows = found.events1 + found.events2
        smallest = np.minimum(smallest, rows)
    return emit(
        measure,
        cells,
        found.groups,
        found.labels,
        intervals.log_ratio_rates(found.x1, found.n1, found.x2, found.n2, level=settings.level),
        rows,
        _KATZ,
        effective=found.effective,
        smallest=smallest,
        cells4=found.fewest,
        shown=found.shown,
        p=found.p,
    )


def _scaled_pair(counts: Counts) -> tuple[Floats, Floats]:
    """Weighted counts of two rows of cells, scaled to what both are worth for the share of the first."""
    both = counts.sum(0)
    first = Counts(counts.rows[0], counts.w[0], counts.w2[0])
    factor = first.effective_of(both) / np.maximum(both.w, 1e-300)
    return counts.w[0] * factor, counts.w[1] * factor
