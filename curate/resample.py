"""Drop or repeat rows until groups and labels have the association asked for (rule ``resample.v1``).

How many rows of each cell are wanted is computed here from counts; which ones is decided by the rank of their hashes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..data.errors import InputError
from .units import Pattern

Ints = npt.NDArray[np.int64]
RULE = "resample.v1"


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many units of each (label, group) cell there are and shall be.

    Attributes
    ----------
    have, want : int64 arrays, labels × groups
    """

    have: Ints
    want: Ints


def to_level(counts: Ints, *, level: float, method: str, labels: list[str], groups: tuple[str, str]) -> Wanted:
    """Move the share of the first of two groups within each label from what it is towards its mirror image.

    Parameters
    ----------
    counts : int64 array, labels × 2
        Rows of the first and of the second group.
    level : float
        0 leaves all as it is, 1 makes the two groups equal in every label, 2 mirrors their shares: the share wanted
        is ``share + level (1/2 − share)``.
    method : "under" or "over"
        Drop rows of the group that has too many, or repeat rows of the other one.
    labels, groups
        Names, for messages.

    Returns
    -------
    Wanted
        The group that is not changed keeps all its rows; the other gets the nearest whole number.

    Raises
    ------
    InputError
        When a label has rows of one group only, so that no other share than its own can be reached.

    Notes
    -----
    The dose of Wang and Russakovsky 2023 (``(1 − L) share + L/2``), for any number of labels and at the size that the
    data allow. The rows of other groups and those without a group are not touched.

    Examples
    --------
    >>> to_level(np.array([[30, 10]]), level=1, method="under", labels=["nurse"], groups=("she", "he")).want.tolist()
    [[10, 10]]
    >>> to_level(np.array([[30, 10]]), level=2, method="over", labels=["nurse"], groups=("she", "he")).want.tolist()
    [[30, 90]]
    """
    want = counts.copy()
    for row, (first, second) in enumerate(counts.tolist()):
        if level == 0 or first == second:
            continue
        if 0 in (first, second):
            missing = groups[0] if first == 0 else groups[1]
            raise InputError(
                f'resample: label "{labels[row]}" has no row of group "{missing}", so level {level:g} cannot be '
                f"reached there by dropping or repeating rows; the only level it can have is 0. Drop the label from "
                'the data, or add such rows first (topup, swap with mode = "augment").'
            )
        share = first / (first + second)
        target = share + level * (0.5 - share)
        # Too many of the first group: it shrinks, or the second one grows; and the other way round.
        shrink_first = target < share
        if (method == "under") == shrink_first:
            want[row, 0] = _nearest(second * target / (1 - target))
        else:
            want[row, 1] = _nearest(first * (1 - target) / target)
    return Wanted(counts, want)


def to_independence(counts: Ints, *, method: str, labels: list[str], patterns: list[Pattern]) -> Wanted:
    """Give every pattern of groups the label distribution of all rows.

    Parameters
    ----------
    counts : int64 array, labels × patterns
        Rows of each.
    method : "under" or "over"
        Drop rows or repeat them.
    labels, patterns
        Names, for messages.

    Returns
    -------
    Wanted
        In a pattern, ``round(t q)`` rows of a label whose share of all rows is q; t is the largest (over: the smallest)
        whole number for which no label needs more (over: fewer) rows than there are. Computed in whole numbers.

    Raises
    ------
    InputError
        With "over", when a pattern lacks a label altogether and is too large for that to be rounding; with "under",
        when a label would vanish.

    Examples
    --------
    >>> wanted = to_independence(np.array([[90, 5], [10, 5]]), method="under", labels=["0", "1"], patterns=[(), ("a",)])
    >>> wanted.want.tolist()
    [[66, 5], [10, 1]]
    """
    want = np.zeros_like(counts)
    total = int(counts.sum())
    of_label = [int(number) for number in counts.sum(axis=1)]
    present = [row for row, number in enumerate(of_label) if number]
    stuck: list[str] = []
    for column in range(counts.shape[1]):
        have = [int(number) for number in counts[:, column]]
        if not any(have):
            continue
        # round(t q) = floor(t q + 1/2) <= n  <=>  2 t N_y < (2 n + 1) N   and   >= n  <=>  2 t N_y >= (2 n - 1) N
        most = min(((2 * have[row] + 1) * total - 1) // (2 * of_label[row]) for row in present)
        if method == "under":
            size = most
        else:
            size = max(-((1 - 2 * have[row]) * total // (2 * of_label[row])) for row in present)
            lacking = [row for row in present if have[row] == 0]
            if any((2 * size * of_label[row] + total) // (2 * total) > 0 for row in lacking):
                name = " + ".join(patterns[column]) or "no group"
                stuck.append(f'{name} (no "{labels[lacking[0]]}" among {sum(have)} rows)')
                continue
        for row in present:
            want[row, column] = (2 * size * of_label[row] + total) // (2 * total)
    if stuck:
        shown = "; ".join(stuck[:5]) + (f"; and {len(stuck) - 5} more" if len(stuck) > 5 else "")
        raise InputError(
            f"resample: repeating rows cannot make label and groups independent, because there is nothing to repeat: "
            f'{shown}. method = "under" reaches it by dropping rows; a topup step before it adds what is missing.'
        )
    lost = [labels[row] for row in present if not want[row].any()]
    if lost:
        raise InputError(
            f'resample: without dropping every row of label "{lost[0]}" label and groups cannot be made independent, '
            "because hardly any set of groups has rows of all labels; add such rows first (topup, swap with "
            'mode = "augment"), or use reweight, which gets as near as the rows allow'
        )
    return Wanted(counts, want)


def _nearest(value: float) -> int:
    return int(np.floor(value + 0.5))
