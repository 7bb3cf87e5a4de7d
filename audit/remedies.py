"""What a step of curation would make of the findings: the shape of that answer, which `curate.preview` computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .findings import rounded


@dataclass(frozen=True, slots=True)
class Remedy:
    """One step on one axis, and what it would do to the data that was audited. Nothing was changed.

    Attributes
    ----------
    axis : str
    do : str
        As after ``evenset curate --do``, for example ``reweight:identity``.
    rows : int
        Rows before.
    kept : int
        Rows after.
    worth_before, worth : float
        What the weighted rows are worth before and after: their effective number (Kish).
    before, after : float
        Cramér's V of the axis, corrected, before and after.
    estimates : mapping of finding id to float
        The findings on the axis as they would be.

    Examples
    --------
    >>> Remedy("pronouns", "reweight:pronouns", 100, 100, 100.0, 90.0, 0.4, 0.0, {}).cost
    'all rows stay, worth 90 of 100'
    """

    axis: str
    do: str
    rows: int
    kept: int
    worth_before: float
    worth: float
    before: float
    after: float
    estimates: Mapping[str, float]

    @property
    def left(self) -> float:
        """What is left of the data, in rows' worth."""
        return min(self.kept, self.worth)

    @property
    def cost(self) -> str:
        """What the step costs, in a few words."""
        if self.kept < self.rows:
            return f"{self.rows - self.kept:,} of {self.rows:,} rows go"
        if round(self.worth) < round(self.worth_before):
            return f"all rows stay, worth {self.worth:,.0f} of {self.worth_before:,.0f}"
        return "all rows stay"

    def to_dict(self) -> dict[str, Any]:
        """As in audit.json."""
        return {
            "axis": self.axis,
            "do": self.do,
            "rows": self.rows,
            "rows_after": self.kept,
            "effective_rows": {"before": rounded(self.worth_before), "after": rounded(self.worth)},
            "cramers_v": {"before": rounded(self.before), "after": rounded(self.after)},
            "estimates": {name: rounded(value) for name, value in self.estimates.items()},
        }
