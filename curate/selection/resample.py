"""Drop or repeat rows until groups and labels have the association asked for (rule ``resample.v1``).

How many rows of each cell are wanted is computed here from counts; which ones is decided by the rank of their hashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...audit.cells import ranges
from ...data.config import ResampleStep
from ...data.errors import InputError
from ...data.scan import BUCKET_EDGES
from ..units import Pattern
from . import ratios
from .balance import ADD, Found, independence, levels_of
from .moves import Contrast

Ints = npt.NDArray[np.int64]
RULE = "resample.v1"


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
            found = levels_of(step, have, labels, patterns, groups, where)
        elif step.target is not None:
            found = independence(have, step.method, labels, patterns)
        elif step.log_ratio is not None:
            found = _log_ratios(step, have, labels, patterns, groups, positive, pair=pair, nearest=nearest)
        else:
            found = _rates(step, have, labels, patterns, groups, positive, where, nearest=nearest)
        want[:, :, at] = found.want
        left.update(found.left)
        problems += [among + problem for problem in found.problems]
    if problems:
        shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
        wider = ' Without within = "length" there is more to draw from.' if step.within else ""
        # Levels and independence are computed; for ratios and rates tables are looked for, and not all there are.
        computed = step.level is not None or step.target is not None
        found_not = "cannot be reached" if computed else "was not found to be reachable"
        raise InputError(f"{where}{_goal(step)} {found_not} by {_DOES[step.method]}: {shown}.{wider}")
    lost = [label for label, row in enumerate(strata) if row.any() and not want[label].any()]
    if lost:
        raise InputError(
            f'{where}without dropping every row of label "{labels[lost[0]]}" label and groups cannot be made '
            f"independent, because hardly any set of groups has rows of all labels; {ADD}, or use reweight, which "
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


def contrasts_of(
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
    *,
    pair: bool,
    nearest: bool,
) -> Found:
    assert step.log_ratio is not None
    every = contrasts_of(labels, patterns, groups, positive, pair=pair)
    judged = [contrast for contrast in every if contrast.judged(have, pair=pair)]
    left = tuple(contrast.name for contrast in every if contrast not in judged)
    held = step.labels == "held"
    want = ratios.within(have, judged, step.log_ratio, method=step.method, held=held)
    if want is not None:
        return Found(want, left=left)
    if not nearest:
        return Found(have, (f"no table of these rows was found within {step.log_ratio:g}",))
    value, tight = ratios.nearest(have, judged, method=step.method, held=held)
    named = ", ".join(tight[:5]) + (f" and {len(tight) - 5} more" if len(tight) > 5 else "")
    return Found(have, (f"the nearest that was found is log_ratio = {value:g} ({named})",))


def _rates(
    step: ResampleStep,
    have: Ints,
    labels: Sequence[str],
    patterns: Sequence[Pattern],
    groups: Sequence[str],
    positive: str | None,
    where: str,
    *,
    nearest: bool,
) -> Found:
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
        return Found(want)
    if not nearest:
        return Found(have, (f"no table of these rows was found with a rate of {rate:.3g} in every group",))
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
            f": a rate of {rate:.3g} needs rows there that are missing, and what they have now is the nearest; {ADD}"
        )
    return Found(have, tuple(problems))
