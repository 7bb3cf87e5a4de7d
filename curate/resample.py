"""Drop or repeat rows until groups and labels have the association asked for (rule ``resample.v1``).

How many rows of each cell are wanted is computed here from counts; which ones is decided by the rank of their hashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..audit.cells import ranges
from ..data.config import ResampleStep
from ..data.errors import InputError
from ..data.scan import BUCKET_EDGES
from . import ratios
from .ratios import Contrast
from .units import Pattern

Ints = npt.NDArray[np.int64]
RULE = "resample.v1"
_ADD = 'add such rows first (topup, swap with mode = "augment")'


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many units of each cell there are and shall be.

    Attributes
    ----------
    have, want : int64 arrays
        Labels × groups; from `wanted` labels × patterns × strata, where a stratum is a length bucket or all rows.
    left : tuple of str
        Groups that are left as they are because they have too few rows for the audit to judge them.
    """

    have: Ints
    want: Ints
    left: tuple[str, ...] = ()

    @property
    def dropped(self) -> int:
        """Units that go."""
        return int(np.maximum(self.have - self.want, 0).sum())

    @property
    def repeated(self) -> int:
        """Units that are written once more."""
        return int(np.maximum(self.want - self.have, 0).sum())


def wanted(
    step: ResampleStep,
    counts: Ints,
    *,
    labels: Sequence[str],
    patterns: Sequence[Pattern],
    groups: Sequence[str],
    positive: str | None,
    where: str = "",
    pair: bool | None = None,
    nearest: bool = True,
) -> Wanted:
    """How many rows of each cell a resample step wants.

    Parameters
    ----------
    step : ResampleStep
        Goal, method, whether labels are held, and whether length buckets each reach the goal.
    counts : int64 array, labels × patterns × buckets
        Rows with a label.
    labels, patterns, groups
        What the cells are: sorted labels, sets of groups that set a status, and these groups in the axis's order.
    positive : str or None
        The positive label. Without one a `log_ratio` is meant for every label.
    where : str
        Begins messages.
    pair : bool, optional
        Whether the groups are two that are compared with each other; by default where they are two.
    nearest : bool
        Look for the nearest log ratio that can be reached, where the one asked for cannot: that takes longer.

    Returns
    -------
    Wanted
        ``want.shape[2]`` is the number of buckets with ``within = "length"``, else 1.

    Raises
    ------
    InputError
        When the goal cannot be reached: says by label or group what can.

    Notes
    -----
    ``labels = "held"`` keeps the rows of each label: for a level those of the two groups together. By dropping alone a
    level cannot do that, so there every label gets one smaller size, the largest that all levels from 0 to 2 can have,
    ``rows × fewer / more``; by repeating alone one larger size, ``rows × more / fewer``. So sets of different levels
    are equally large. ``method = "mixed"`` holds label sizes for a level and for independence in any case; for
    independence those of the sets of groups too.

    Examples
    --------
    >>> step = ResampleStep(do="resample", axis="pronouns", level=1, method="mixed")
    >>> cells = {"labels": ["nurse"], "patterns": [("he",), ("she",)], "groups": ["she", "he"], "positive": None}
    >>> wanted(step, np.array([[[10], [30]]]), **cells).want[:, :, 0].tolist()
    [[20, 20]]
    """
    strata = counts if step.within else counts.sum(axis=2, keepdims=True)
    want = strata.copy()
    left: set[str] = set()
    problems: list[str] = []
    if pair is None:
        pair = len(groups) == 2
    if step.labels == "held" and step.method != "mixed" and step.level is None:
        does = "dropping" if step.method == "under" else "repeating"
        raise InputError(f'{where}{does} rows alone cannot hold the labels\' numbers; use method = "mixed" with it')
    for at in range(strata.shape[2]):
        have = strata[:, :, at]
        among = f"texts of {ranges(BUCKET_EDGES)[at]} characters: " if step.within else ""
        if not have.any():
            continue
        if step.level is not None:
            found = _levels(step, have, labels, patterns, groups, where)
        elif step.target is not None:
            found = _independence(step, have, labels, patterns, where, among)
        elif step.log_ratio is not None:
            found = _log_ratios(step, have, labels, patterns, groups, positive, pair, nearest)
        else:
            found = _rates(step, have, labels, patterns, groups, positive, where)
        want[:, :, at] = found.want
        left.update(found.left)
        problems += [among + problem for problem in found.problems]
    if problems:
        shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
        wider = ' Without within = "length" there is more to draw from.' if step.within else ""
        raise InputError(f"{where}{_goal(step)} cannot be reached by {_DOES[step.method]}: {shown}.{wider}")
    lost = [label for label, row in enumerate(strata) if row.any() and not want[label].any()]
    if lost:
        raise InputError(
            f'{where}without dropping every row of label "{labels[lost[0]]}" label and groups cannot be made '
            f"independent, because hardly any set of groups has rows of all labels; {_ADD}, or use reweight, which "
            "gets as near as the rows allow"
        )
    return Wanted(strata, want, tuple(sorted(left)))


_DOES = {"under": "dropping rows", "over": "repeating rows", "mixed": "dropping and repeating rows"}


def _goal(step: ResampleStep) -> str:
    if step.level is not None:
        return f"level {step.level:g}"
    if step.log_ratio is not None:
        return f"log_ratio = {step.log_ratio:g}"
    if step.rate is not None:
        return f"rate = {step.rate}" if isinstance(step.rate, str) else f"rate = {step.rate:g}"
    return "independence"


@dataclass(frozen=True, slots=True)
class _Found:
    """A table, or why there is none."""

    want: Ints
    problems: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


# -- levels --------------------------------------------------------------------------------------------------------


def _levels(
    step: ResampleStep,
    have: Ints,
    labels: Sequence[str],
    patterns: Sequence[Pattern],
    groups: Sequence[str],
    where: str,
) -> _Found:
    assert step.level is not None
    if len(groups) != 2:
        raise InputError(
            f'{where}level needs an axis with two groups, and "{step.axis}" has {len(groups)}; '
            'use target = "independent" or log_ratio, which take any number'
        )
    columns = [patterns.index((group,)) if (group,) in patterns else -1 for group in groups]
    counts = np.stack([have[:, at] if at >= 0 else np.zeros(len(have), np.int64) for at in columns], axis=1)
    problems: list[str] = []
    held = step.labels == "held" or step.method == "mixed"
    sizes = np.zeros_like(counts)
    for row, (first, second) in enumerate(counts.tolist()):
        sizes[row] = first, second
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
        if not sizes[row].any():
            problems.append(f'label "{labels[row]}" would lose all {first + second} rows; drop it from the data')
    if problems:
        problems[-1] += f". Drop such labels from the data, or {_ADD}"
        return _Found(have, tuple(problems))
    want = have.copy()
    for at, column in enumerate(columns):
        if column >= 0:
            want[:, column] = sizes[:, at]
    return _Found(want)


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


def to_level(counts: Ints, *, level: float, method: str, labels: list[str], groups: tuple[str, str]) -> Wanted:
    """Move the share of the first of two groups within each label from what it is towards its mirror image.

    Parameters
    ----------
    counts : int64 array, labels × 2
        Rows of the first and of the second group.
    level : float
        0 leaves all as it is, 1 makes the two groups equal in every label, 2 mirrors their shares: the share wanted
        is ``share + level (1/2 − share)``.
    method : "under", "over" or "mixed"
        Drop rows of the group that has too many, repeat rows of the other one, or do both and keep the label's size.
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
    step = ResampleStep.model_validate({"do": "resample", "axis": "/".join(groups), "level": level, "method": method})
    patterns: list[Pattern] = [(group,) for group in groups]
    found = wanted(
        step, counts[:, :, None], labels=labels, patterns=patterns, groups=groups, positive=None, where="resample: "
    )
    return Wanted(found.have[:, :, 0], found.want[:, :, 0])


# -- independence --------------------------------------------------------------------------------------------------


def _independence(
    step: ResampleStep, have: Ints, labels: Sequence[str], patterns: Sequence[Pattern], where: str, among: str
) -> _Found:
    if step.method == "mixed":
        return _margins_held(have, labels, patterns)
    return _scaled(have, step.method, labels, patterns)


def to_independence(counts: Ints, *, method: str, labels: list[str], patterns: list[Pattern]) -> Wanted:
    """Give every pattern of groups the label distribution of all rows.

    Parameters
    ----------
    counts : int64 array, labels × patterns
        Rows of each.
    method : "under", "over" or "mixed"
        Drop rows, repeat them, or both.
    labels, patterns
        Names, for messages.

    Returns
    -------
    Wanted
        In a pattern, ``round(t q)`` rows of a label whose share of all rows is q; t is the largest (over: the smallest)
        whole number for which no label needs more (over: fewer) rows than there are. Computed in whole numbers. With
        "mixed" every label and every pattern keeps its number of rows, and cells are the product of both, rounded.

    Raises
    ------
    InputError
        With "over" and "mixed", when a pattern lacks a label altogether and is too large for that to be rounding; with
        "under", when a label would vanish.

    Examples
    --------
    >>> table = to_independence(np.array([[90, 5], [10, 5]]), method="under", labels=["0", "1"], patterns=[(), ("a",)])
    >>> table.want.tolist()
    [[66, 5], [10, 1]]
    """
    step = ResampleStep.model_validate({"do": "resample", "axis": "", "target": "independent", "method": method})
    groups = sorted({name for pattern in patterns for name in pattern})
    found = wanted(
        step, counts[:, :, None], labels=labels, patterns=patterns, groups=groups, positive=None, where="resample: "
    )
    return Wanted(found.have[:, :, 0], found.want[:, :, 0])


def _scaled(have: Ints, method: str, labels: Sequence[str], patterns: Sequence[Pattern]) -> _Found:
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
        stuck[-1] += f'. There is nothing to repeat: method = "under" reaches it by dropping rows, or {_ADD}'
    return _Found(want, tuple(stuck))


def _lacks(pattern: Pattern, label: str, rows: int) -> str:
    return f'{" + ".join(pattern) or "no group"} (no "{label}" among {rows} rows)'


def _margins_held(have: Ints, labels: Sequence[str], patterns: Sequence[Pattern]) -> _Found:
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
            return _Found(have, (*named, f"there is nothing to repeat; {_ADD}"))
        of_pattern = np.where(lacking, size, 0) + ratios.shared(
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
    # What patterns that lack a label leave over may fall to one cell.
    bounds = [(0, None if many else 0) for many in (have > 0).reshape(-1)] + [(0, None)] * (2 * n_patterns)
    found = linprog(cost, A_eq=matrix.tocsr(), b_eq=goal, bounds=bounds, method="highs-ds")
    if found.x is None:
        return _Found(have, ("the labels' sizes cannot all be held, because too many sets of groups lack a label",))
    return _Found(down + np.rint(found.x[: have.size]).astype(np.int64).reshape(have.shape))


# -- log ratios and rates ------------------------------------------------------------------------------------------


def contrasts_of(
    have: Ints,
    labels: Sequence[str],
    patterns: Sequence[Pattern],
    groups: Sequence[str],
    positive: str | None,
    *,
    pair: bool,
) -> list[Contrast]:
    """The ratios that the audit measures: label_log_ratio, or log_ratio_centred of two groups."""
    chosen = [labels.index(positive)] if positive in labels and (not pair or len(labels) == 2) else range(len(labels))
    has = {group: np.array([group in pattern for pattern in patterns], np.bool_) for group in groups}
    if pair:
        first, second = (has[group] for group in groups)
        return [Contrast(f'label "{labels[y]}"', y, first & ~second, second & ~first) for y in chosen]
    several = len(chosen) > 1
    return [
        Contrast(f'{group}, label "{labels[y]}"' if several else group, y, has[group], ~has[group])
        for group in groups
        for y in chosen
        if has[group].any()
    ]


def _log_ratios(
    step: ResampleStep,
    have: Ints,
    labels: Sequence[str],
    patterns: Sequence[Pattern],
    groups: Sequence[str],
    positive: str | None,
    pair: bool,
    nearest: bool,
) -> _Found:
    assert step.log_ratio is not None
    every = contrasts_of(have, labels, patterns, groups, positive, pair=pair)
    judged = [contrast for contrast in every if contrast.judged(have, pair=pair)]
    left = tuple(contrast.name for contrast in every if contrast not in judged)
    held = step.labels == "held"
    want = ratios.within(have, judged, step.log_ratio, method=step.method, held=held)
    if want is not None:
        return _Found(want, left=left)
    if not nearest:
        return _Found(have, (f"no table of these rows was found within {step.log_ratio:g}",))
    value, tight = ratios.nearest(have, judged, method=step.method, held=held)
    named = ", ".join(tight[:5]) + (f" and {len(tight) - 5} more" if len(tight) > 5 else "")
    return _Found(have, (f"the nearest that was found is log_ratio = {value:g} ({named})",))


def _rates(
    step: ResampleStep,
    have: Ints,
    labels: Sequence[str],
    patterns: Sequence[Pattern],
    groups: Sequence[str],
    positive: str | None,
    where: str,
) -> _Found:
    if positive is None or positive not in labels:
        listed = ", ".join(f'"{label}"' for label in labels[:12])
        raise InputError(f"{where}rate is that of the positive label; the labels are {listed}; say it with --positive")
    assert step.rate is not None
    label = labels.index(positive)
    rate = float(have[label].sum() / have.sum()) if isinstance(step.rate, str) else step.rate
    member = np.array([[group in pattern for group in groups] for pattern in patterns], np.bool_)
    member = member.reshape(len(patterns), len(groups))
    want = ratios.at_rate(have, member, label, rate, method=step.method, held=step.labels == "held")
    if want is not None:
        return _Found(want)
    problems = []
    for column, group in enumerate(groups):
        alone = ratios.at_rate(have, member[:, [column]], label, rate, method=step.method, held=False)
        if alone is None:
            mine = have[:, member[:, column]]
            now = float(mine[label].sum() / mine.sum())
            problems.append(f'{group} (of {int(mine.sum())} rows a share of {now:.3g} is "{positive}")')
    if not problems:
        problems = ["each group could be brought there by itself, but not all at once, because rows name several"]
    else:
        problems[-1] += (
            f": there a rate of {rate:.3g} needs rows that are not there, and what it has now is the nearest rate; {_ADD}"
        )
    return _Found(have, tuple(problems))


def _nearest(value: float) -> int:
    return int(np.floor(value + 0.5))
