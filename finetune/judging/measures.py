"""All downstream measures of an arm that have an interval, from its saved scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .gaps import Measured
from .measures_amplification import amplification
from .measures_calibration import calibration
from .measures_copies import Copies, on_copies, ready
from .measures_ranking import ranking
from .measures_spread import mean_square_gap, worst_gap
from .scores import COPIES, ScoreSet
from .stats import Stat, compared
from .tables import CellContrasts


@dataclass(frozen=True, slots=True)
class Downstream:
    """Measures of a score set, made ready once for all arms.

    Attributes
    ----------
    scores : ScoreSet
    measured : Measured
    contrasts : CellContrasts
    copies : Copies
    """

    scores: ScoreSet
    measured: Measured
    contrasts: CellContrasts
    copies: Copies
    _known: dict[tuple[int, ...], tuple[dict[str, Stat], tuple[dict[str, Any], ...]]] = field(
        default_factory=dict, repr=False
    )

    @staticmethod
    def of(scores: ScoreSet, measured: Measured, contrasts: CellContrasts) -> Downstream:
        """Check the copies of the test rows, if there are any."""
        return Downstream(scores, measured, contrasts, ready(scores, measured))

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be measured and why."""
        swapped = self.scores.items.get(COPIES["swapped"])
        blind = swapped is not None and swapped.changed is None
        said = f"split {COPIES['swapped']}: no column changed, so rows that the swap left alone lower the flip rate"
        return (*self.copies.notes, *((said,) if blind else ()))

    def stats(self, runs: Sequence[int]) -> tuple[dict[str, Stat], tuple[dict[str, Any], ...]]:
        """Figures of some runs, and the flip rate by group."""
        key = tuple(runs)
        if key not in self._known:  # the base arm is compared with every other
            self._known[key] = self._stats(runs)
        return self._known[key]

    def _stats(self, runs: Sequence[int]) -> tuple[dict[str, Stat], tuple[dict[str, Any], ...]]:
        plan = self.measured.design
        found, flips = on_copies(self.scores, self.measured, self.copies, runs)
        named = {
            "amplification": amplification(self.scores, self.measured, runs),
            "mean_square_gap": mean_square_gap(self.measured, self.contrasts, runs),
        }
        if plan.second is not None:
            hits, second = self.measured.hits_of(runs), plan.second
            named["mean_fpr_minus_neutral"] = Stat(
                second.values(hits), second.influence(hits.mean(axis=0)), second.clusters, len(second.rows)
            )
        found |= {name: one for name, one in named.items() if one is not None}
        return found | ranking(self.scores, self.measured, runs), flips

    def of_arm(self, runs: Sequence[int]) -> dict[str, Any]:
        """What `verdict.json` says of an arm: `measures`, `flips`, `calibration`, `worst_gap`."""
        found, flips = self.stats(runs)
        return {
            "measures": {name: one.shown() for name, one in found.items()},
            "flips": flips,
            "calibration": calibration(self.scores, self.measured, runs),
            "worst_gap": worst_gap(self.measured, self.contrasts, runs),
        }

    def of_pair(self, before: Sequence[int], after: Sequence[int]) -> dict[str, dict[str, Any]]:
        """What became of each figure, runs paired by seed."""
        one, two = self.stats(before)[0], self.stats(after)[0]
        return {name: compared(one[name], two[name]) for name in two if name in one}
