"""How the variance of a comparison is shared by the two sets of rows that are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..cells import AxisCells
from ..comparison import natural
from ..findings import Finding, Settings
from ..intervals import Floats
from ..tally import Tally

# The variance that one side, of x events in n rows, adds to a measure.
_VARIANCE: dict[str, Callable[[Floats, Floats], Floats]] = {
    **dict.fromkeys(
        ("label_log_ratio", "log_ratio_centred", "label_log_ratio_by_length"),
        lambda x, n: 1 / (x + 0.5) - 1 / (n + 1.0),
    ),
    "label_rate_gap": lambda x, n: (x + 0.5) * (n - x + 0.5) / (n + 1.0) ** 3,
    "log_odds": lambda x, n: 1 / (x + 0.5) + 1 / (n - x + 0.5),
}


@dataclass(frozen=True, slots=True)
class Split:
    """Of each group and label of an axis: which share of the variance comes from the first of the two sets.

    Attributes
    ----------
    groups, labels : mapping of name to place
    share : mapping of measure to array of shape (groups, labels)
    """

    groups: Mapping[str, int]
    labels: Mapping[str, int]
    share: Mapping[str, Floats]

    @staticmethod
    def of(tally: Tally, axis: str, settings: Settings) -> Split:
        """Of one axis."""
        found = natural(AxisCells.of(tally, axis), settings)
        share = {}
        for measure, variance in _VARIANCE.items():
            first, second = variance(found.x1, found.n1), variance(found.x2, found.n2)
            share[measure] = first / np.maximum(first + second, 1e-300)
        return Split(
            {group: at for at, group in enumerate(found.groups)},
            {label: at for at, label in enumerate(found.labels)},
            share,
        )

    def first(self, finding: Finding) -> float | None:
        """The share of the first set in the variance of a finding; None where it is not known."""
        share = self.share.get(finding.measure)
        group, label = self.groups.get(finding.group or ""), self.labels.get(finding.label or "")
        return None if share is None or group is None or label is None else float(share[group][label])
