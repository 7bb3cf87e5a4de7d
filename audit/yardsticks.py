"""The yardsticks that finetune measures gaps against: how unequal the raw data is, term by term and label by label."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .cells import AxisCells, Counts
from .findings import MINIMUM_ROWS, rounded
from .tally import Tally

PRIOR_ROWS = 20


def yardsticks(tally: Tally, *, positive: str | None) -> dict[str, dict[str, Any]]:
    """The section "yardsticks" of audit.json.

    Parameters
    ----------
    tally : Tally
        Of the raw training data.
    positive : str or None
        The positive label; without one there is no "fpr" yardstick.

    Returns
    -------
    dict of axis to dict
        "fpr": for each term n, rate, rate of rows without it, and c. "tpr", of axes that contrast two groups: for each
        label the share of the first group, and c.

    Notes
    -----
    "fpr": c is the log ratio of the label's rate among rows with the term to that among rows without it, both shrunk
    with 20 rows at the overall rate, minus its mean over T; T (`in_t`) are the terms with 30 rows or more that are
    neither ambiguous nor merely reported. Terms outside T have the same mean taken off.
    "tpr": c is the share minus its mean over the labels with 30 rows of each group.
    """
    found = {}
    for axis in tally.axes:
        cells = AxisCells.of(tally, axis)
        kinds = {"fpr": _fpr(cells, positive), "tpr": _tpr(cells, positive)}
        found[axis] = {kind: section for kind, section in kinds.items() if section is not None}
    return {axis: kinds for axis, kinds in found.items() if kinds}


def _binary(cells: AxisCells, positive: str | None) -> bool:
    return positive in cells.labels and len(cells.labels) == 2


def _fpr(cells: AxisCells, positive: str | None) -> dict[str, Any] | None:
    if not _binary(cells, positive):
        return None
    at = cells.labels.index(str(positive))
    x_all, n_all = _events(cells.labelled.over(np.ones((1, len(cells.patterns)), dtype=bool)), at)
    base = float(x_all[0] / n_all[0])
    if not 0 < base < 1:
        return None
    inside, outside = cells.labelled.over(cells.has), cells.labelled.over(~cells.has)
    (x1, n1), (x0, n0) = _events(inside, at), _events(outside, at)
    rows = inside.rows.sum(axis=1)
    terms = []
    for k, group in enumerate(cells.groups):
        known = cells.note.groups[group]
        if not rows[k] or not n0[k] or not (known.status or known.ambiguous):
            continue
        shrunk = (x1[k] + PRIOR_ROWS * base) / (n1[k] + PRIOR_ROWS)
        without = (x0[k] + PRIOR_ROWS * base) / (n0[k] + PRIOR_ROWS)
        terms.append(
            {
                "group": group,
                "n": int(rows[k]),
                "rate": _exact(x1[k] / n1[k]),
                "rate_without": _exact(x0[k] / n0[k]),
                "c": math.log(shrunk / without),
                "in_t": bool(known.status and rows[k] >= MINIMUM_ROWS),
                "ambiguous": known.ambiguous,
            }
        )
    return {
        "terms": _centred(terms),
        "positive": positive,
        "prior_rows": PRIOR_ROWS,
        "base_rate": _exact(base),
    }


def _tpr(cells: AxisCells, positive: str | None) -> dict[str, Any] | None:
    if cells.pair is None or len(cells.labels) < 2:
        return None
    first, second = cells.labelled.over(cells.contrast()).rows
    labels = [
        {
            "label": label,
            "share": int(one) / int(one + two),
            "n_first": int(one),
            "n_second": int(two),
            "c": int(one) / int(one + two),
            "in_t": bool(min(one, two) >= MINIMUM_ROWS),
        }
        for label, one, two in zip(cells.labels, first, second, strict=True)
        if one + two
    ]
    return {
        "first": cells.pair[0],
        "second": cells.pair[1],
        "labels": _centred(labels),
        "positive": positive if _binary(cells, positive) else None,
    }


def _events(counts: Counts, label: int) -> tuple[Any, Any]:
    """Effective events and rows of each set."""
    whole = counts.sum(1)
    n = whole.effective
    return counts.w[:, label] / np.maximum(whole.w, 1e-300) * n, n


def _centred(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Take the mean of c over T off all of them; without T there is no c."""
    used = [entry["c"] for entry in entries if entry["in_t"]]
    mean = math.fsum(used) / len(used) if used else math.nan
    for entry in entries:
        entry["c"] = _exact(entry["c"] - mean)
        if "share" in entry:
            entry["share"] = _exact(entry["share"])
    return entries


def _exact(value: float) -> float | None:
    return rounded(float(value), digits=12)
