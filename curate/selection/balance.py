"""Whole numbers of rows for levels of two groups, and for independence of label and groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...data.config import ResampleStep
from ...data.errors import InputError
from ..units import Pattern
from .moves import Ints, shared

ADD = 'add such rows first (topup, swap with mode = "augment")'
"""What helps where there is nothing to repeat."""

_PER_LEVEL = 1000  # levels that are tried when the nearest one is looked for


@dataclass(frozen=True, slots=True)
class Found:
    """A table, or why there is none."""

    want: Ints
    problems: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def levels_of(
    step: ResampleStep,
    have: Ints,
    labels: Sequence[str],
    patterns: Sequence[Pattern],
    groups: Sequence[str],
    where: str,
) -> Found:
    """Move the share of the first of two groups within each label from what it is towards its mirror image.

    Parameters
    ----------
    step : ResampleStep
        With a level: 0 leaves all as it is, 1 makes the two groups equal in every label, 2 mirrors their shares: the
        share wanted is ``share + level (1/2 − share)``.
    have : int64 array, labels × patterns
        Rows as they are.
    labels, patterns, groups, where
        Names, for messages.

    Notes
    -----
    The dose of Wang and Russakovsky 2023 (``(1 − L) share + L/2`` for L from 0 to 1), for any number of labels and at
    the size that the data allow. The group that is not changed keeps all its rows, unless sizes are held; the other
    gets the nearest whole number; where that would be none of a group, the level is refused. Rows of both groups, of
    others and of none are not touched, nor are labels that have fewer than ``min_rows`` of either.
    """
    assert step.level is not None
    if len(groups) != 2:
        raise InputError(
            f'{where}level needs an axis with two groups, and "{step.axis}" has {len(groups)}; '
            'use target = "independent" or log_ratio, which take any number'
        )
    columns = [patterns.index((group,)) if (group,) in patterns else -1 for group in groups]
    counts = np.stack([have[:, at] if at >= 0 else np.zeros(len(have), np.int64) for at in columns], axis=1)
    if step.labels == "equal":
        return _quartered(step, have, counts, columns, labels, groups, where)
    problems: list[str] = []
    held = step.labels == "held" or step.method == "mixed"
    sizes = np.zeros_like(counts)
    left: list[str] = []
    for row, (first, second) in enumerate(counts.tolist()):
        sizes[row] = first, second
        if min(first, second) < step.min_rows:
            left += [f'label "{labels[row]}"'] * bool(first + second)
            continue
        if not first + second or (step.level == 0 and not (held and step.method != "mixed")):
            continue
        if 0 in (first, second):
            missing = groups[0] if first == 0 else groups[1]
            problems.append(
                f'label "{labels[row]}" has no row of group "{missing}" ({first + second} of the other); the only '
                "level it can have is 0"
            )
            continue
        sizes[row] = _sized(first, second, step.level, step.method, held=held)
        if not sizes[row].all():
            problems.append(_none_left(step, labels[row], groups, (first, second), sizes[row], held=held))
    if problems:
        problems[-1] += f". Drop such labels from the data, leave them as they are with min_rows, or {ADD}"
        return Found(have, tuple(problems))
    if left and len(left) == np.count_nonzero(counts.any(axis=1)):
        return Found(have, (f"no label has {step.min_rows} rows (min_rows) of each group",))
    want = have.copy()
    for at, column in enumerate(columns):
        if column >= 0:
            want[:, column] = sizes[:, at]
    return Found(want, left=tuple(left))


def _quartered(
    step: ResampleStep,
    have: Ints,
    counts: Ints,
    columns: Sequence[int],
    labels: Sequence[str],
    groups: Sequence[str],
    where: str,
) -> Found:
    """Two labels and two groups, all of one size at every level, so that only their correlation moves: ``1 − level``.

    Notes
    -----
    Wang and Russakovsky 2023: of m, the rows of the rarest cell, each label has ``(1 − level/2) m`` of the group that
    is more often with it in the data as they are, and ``level/2 m`` of the other. Rows of both groups, of others and of
    none are dropped, for they would not be half and half.
    """
    assert step.level is not None
    if len(labels) != 2:
        raise InputError(f'{where}labels = "equal" needs two labels, and there are {len(labels)}; use labels = "held"')
    least = int(counts.min())
    if least == 0:
        row, side = (int(at) for at in np.argwhere(counts == 0)[0])
        none = f'label "{labels[row]}" has no row of group "{groups[side]}"'
        return Found(have, (f"{none}, and the rarest cell is the size of all; {ADD}",))
    often = _nearest((1 - step.level / 2) * least)
    (a, b), (c, d) = counts.tolist()
    first = often if a * d >= b * c else least - often
    want = np.zeros_like(have)
    for at, of_groups in zip(columns, ((first, least - first), (least - first, first)), strict=True):
        want[:, at] = of_groups
    return Found(want)


def _none_left(
    step: ResampleStep, label: str, groups: Sequence[str], counts: tuple[int, int], sizes: Ints, *, held: bool
) -> str:
    """That a share which is more than none would get no row, and the nearest level at which it gets one."""
    assert step.level is not None
    wanted = step.level
    at = int(np.argmin(sizes))
    share = counts[at] / sum(counts)
    share += wanted * (0.5 - share)
    near = sorted((k / _PER_LEVEL for k in range(2 * _PER_LEVEL + 1)), key=lambda level: abs(level - wanted))
    level = next((level for level in near if all(_sized(*counts, level, step.method, held=held))), None)
    reached = "no level leaves it one" if level is None else f"the nearest level that leaves it one is {level:g}"
    return (
        f'label "{label}" would keep no row of group "{groups[at]}" ({counts[at]} now, and {counts[1 - at]} of the '
        f"other) though its share is to be {share:.2g}; {reached}"
    )


def _sized(first: int, second: int, level: float, method: str, *, held: bool) -> tuple[int, int]:
    """Rows of two groups at a level."""
    total = first + second
    share = first / total
    target = share + level * (0.5 - share)
    if held:
        few, many = min(first, second), max(first, second)
        size = total if method == "mixed" else few * total // many if method == "under" else -(-many * total // few)
        one = min(max(_nearest(target * size), 0), size)
        return one, size - one
    if level == 0 or first == second:
        return first, second
    # Too many of the first group: it shrinks, or the second one grows; and the other way round.
    if (method == "under") == (target < share):
        return _nearest(second * target / (1 - target)), second
    return first, _nearest(first * (1 - target) / target)


def _nearest(value: float) -> int:
    return int(np.floor(value + 0.5))


def independence(have: Ints, method: str, labels: Sequence[str], patterns: Sequence[Pattern]) -> Found:
    """Give every pattern of groups the label distribution of all rows.

    Parameters
    ----------
    have : int64 array, labels × patterns
        Rows as they are.
    method : "under", "over" or "mixed"
        Drop rows, repeat them, or both.
    labels, patterns
        Names, for messages.

    Returns
    -------
    Found
        In a pattern, ``round(t q)`` rows of a label whose share of all rows is q; t is the largest (over: the smallest)
        whole number for which no label needs more (over: fewer) rows than there are. Computed in whole numbers. With
        "mixed" every label and every pattern keeps its number of rows, and cells are the product of both, rounded;
        patterns that lack a label shrink as with "under", and the others grow by as much.

    Examples
    --------
    >>> have = np.array([[90, 5], [10, 5]])
    >>> independence(have, "under", ["0", "1"], [(), ("a",)]).want.tolist()
    [[66, 5], [10, 1]]
    >>> independence(have, "mixed", ["0", "1"], [(), ("a",)]).want.tolist()
    [[86, 9], [14, 1]]
    """
    return _margins_held(have, labels, patterns) if method == "mixed" else _scaled(have, method, labels, patterns)


def _scaled(have: Ints, method: str, labels: Sequence[str], patterns: Sequence[Pattern]) -> Found:
    want = np.zeros_like(have)
    total = int(have.sum())
    of_label = [int(number) for number in have.sum(axis=1)]
    present = [row for row, number in enumerate(of_label) if number]
    stuck: list[str] = []
    for column in range(have.shape[1]):
        mine = [int(number) for number in have[:, column]]
        if not any(mine):
            continue
        # round(t q) = floor(t q + 1/2) <= n  <=>  2 t N_y < (2 n + 1) N   and   >= n  <=>  2 t N_y >= (2 n - 1) N
        most = min(((2 * mine[row] + 1) * total - 1) // (2 * of_label[row]) for row in present)
        if method == "under":
            size = most
        else:
            size = max(-((1 - 2 * mine[row]) * total // (2 * of_label[row])) for row in present)
            lacking = [row for row in present if mine[row] == 0]
            if any((2 * size * of_label[row] + total) // (2 * total) > 0 for row in lacking):
                stuck.append(_lacks(patterns[column], labels[lacking[0]], sum(mine)))
                continue
        for row in present:
            want[row, column] = (2 * size * of_label[row] + total) // (2 * total)
    if stuck:
        stuck[-1] += f'. There is nothing to repeat: method = "under" reaches it by dropping rows, or {ADD}'
    return Found(want, tuple(stuck))


def _lacks(pattern: Pattern, label: str, rows: int) -> str:
    return f'{" + ".join(pattern) or "no group"} (no "{label}" among {rows} rows)'


def _margins_held(have: Ints, labels: Sequence[str], patterns: Sequence[Pattern]) -> Found:
    """The product of the margins in whole numbers that add up to both: a transport problem, so whole by itself."""
    import scipy.sparse as sparse
    from scipy.optimize import linprog

    total, of_label, of_pattern = int(have.sum()), have.sum(axis=1), have.sum(axis=0)
    lacking = ((have == 0) & (2 * of_label[:, None] * of_pattern >= total)).any(axis=0)
    if lacking.any():
        # They shrink to what their rows allow, and the others grow by as much.
        size = _scaled(have, "under", labels, patterns).want.sum(axis=0)
        if lacking.all() or not (have[:, ~lacking].any(axis=1) | (of_label == 0)).all():
            named = [
                _lacks(patterns[at], labels[int(np.argmin(have[:, at]))], int(of_pattern[at]))
                for at in lacking.nonzero()[0]
            ]
            return Found(have, (*named, f"there is nothing to repeat; {ADD}"))
        of_pattern = np.where(lacking, size, 0) + shared(
            total - int(size[lacking].sum()), np.where(lacking, 0, of_pattern), capped=False
        )
    product = of_label[:, None] * of_pattern
    down, rest = np.divmod(np.where(have > 0, product, 0), total)
    n_labels, n_patterns = have.shape
    cell = np.arange(have.size)
    rows, columns = np.divmod(cell, n_patterns)
    # One more row in a cell or not; what a pattern has too many or too few of is dear.
    ones = sparse.csr_matrix((np.ones(have.size), (rows, cell)), shape=(n_labels, have.size))
    each = sparse.csr_matrix((np.ones(have.size), (columns, cell)), shape=(n_patterns, have.size))
    slack = sparse.identity(n_patterns)
    nothing = sparse.csr_matrix((n_labels, 2 * n_patterns))
    matrix = sparse.vstack([sparse.hstack([ones, nothing]), sparse.hstack([each, slack, -slack])])
    goal = np.concatenate([of_label - down.sum(axis=1), of_pattern - down.sum(axis=0)])
    cost = np.concatenate([1 - 2 * (rest / total).reshape(-1) + 1e-7 * cell / have.size, np.full(2 * n_patterns, 10.0)])
    # What patterns that lack a label leave over may fall to one cell; else a cell is rounded up or down.
    room = np.where(have > 0, np.inf if (have == 0).any() else rest > 0, 0).reshape(-1)
    bounds = np.column_stack([np.zeros(len(cost)), np.append(room, np.full(2 * n_patterns, np.inf))])
    found = linprog(cost, A_eq=matrix.tocsr(), b_eq=goal, bounds=bounds, method="highs-ds")
    if found.x is None:
        return Found(have, ("the labels' sizes cannot all be held, because too many sets of groups lack a label",))
    return Found(down + np.rint(found.x[: have.size]).astype(np.int64).reshape(have.shape))
