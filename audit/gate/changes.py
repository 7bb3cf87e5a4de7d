"""The findings of an audit beside those of a baseline."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..findings import MINIMUM_ROWS, SCREEN, Finding, Status
from ..intervals import z_of
from ..screening import benjamini_hochberg
from ..sections import FROM_ROWS
from ..sketch import Sketch, shared
from ..tally import Tally
from .change import Change, compare
from .parts import Split

if TYPE_CHECKING:
    from ...data.config import CheckRule
    from ..report import AuditReport
    from .baseline import Baseline

_LISTED = 5


@dataclass(frozen=True, slots=True)
class Changes:
    """What the findings of a report were on a baseline."""

    before: Mapping[str, Finding]
    old: Tally
    new: Tally
    level: float
    note: str
    split: Mapping[str, tuple[Split, Split]]

    @staticmethod
    def of(report: AuditReport, baseline: Baseline) -> Changes:
        """Compute the findings of the baseline by today's rules."""
        before = baseline.before(report)
        old = baseline.seen(report)
        settings = report.settings
        split = {
            axis: (Split.of(old, axis, settings), Split.of(report.tally, axis, settings)) for axis in report.tally.axes
        }
        note = baseline.note(report) + _listed(_gone(old, report.tally))
        return Changes(before, old, report.tally, settings.level, note, split)

    def change(self, finding: Finding, rule: CheckRule) -> Change | None:
        """The change of one finding; None where the baseline has nothing to compare with."""
        before = self.before.get(finding.id)
        few = before is not None and finding.enough and not before.enough
        rows = self._rows(finding)
        if before is None or (few and not rows):
            return None
        on_rows = finding.measure in FROM_ROWS
        old, new = self.old.sketch, self.new.sketch
        if on_rows and old is not None and new is not None and not _same(old, new, finding.axis):
            old = new = None  # a probe is fitted anew: nothing is known of how two of them go together
        if few:
            old = new = None
        untouched = finding.axis in self.new.cells and _cells(self.old, finding) == _cells(self.new, finding)
        split = self.split.get(finding.axis)
        first = (None, None) if split is None else (split[0].first(finding), split[1].first(finding))
        change = compare(finding, before, rule, old=old, new=new, level=self.level, untouched=untouched, first=first,
                       counted=self._counted(finding))  # fmt: skip
        return replace(change, remark=f"too few rows on the baseline ({rows})") if few else change

    def alone(self, finding: Finding) -> tuple[Status, str]:
        """Status of a finding that the baseline does not have, and why: only what is new there is judged by its level.

        Growth of the data alone brings findings on groups that had too few rows.
        """
        status: Status = finding.status or "unclear"
        rows = self._rows(finding)
        if not rows or (finding.label is not None and finding.label not in self.old.labels):
            what = "label" if rows else "group"
            return status, f"; not on the baseline, where no row has this {what}: judged by its level"
        few = f"too few rows on the baseline ({rows})" if rows < MINIMUM_ROWS else "no such finding on the baseline"
        return ("pass" if status == "pass" else "unclear"), f"; {few}"

    def gone_of(self, rule: CheckRule) -> str:
        """What became of the group that a rule names and no row has any more, in words."""
        found = [(axis, group, n) for axis, group, n in _gone(self.old, self.new) if group == rule.group]
        return "".join(
            f" It had {n:,} row{'' if n == 1 else 's'} on the baseline ({axis})."
            for axis, _, n in found
            if rule.axis in (None, axis)
        )

    def _rows(self, finding: Finding) -> int:
        """Rows on the baseline of the group, or of the smaller of two, or of all."""
        if finding.axis not in self.old.cells or not finding.group:
            return self.old.rows
        names = [finding.group]
        if finding.group not in self.new.axes[finding.axis].groups:
            names = finding.group.split("/")
        return min(rows_of(self.old, finding.axis, name) for name in names)

    def _counted(self, finding: Finding) -> Callable[[str], tuple[int, int]] | None:
        if finding.axis not in self.new.cells:
            return None
        axis = finding.axis
        return lambda group: (rows_of(self.old, axis, group), rows_of(self.new, axis, group))


def rows_of(tally: Tally, axis: str, group: str) -> int:
    """How many rows a group of an axis has."""
    return sum(cell.rows for (_, pattern, _), cell in tally.cells[axis].items() if group in pattern)


def _same(old: Sketch, new: Sketch, axis: str) -> bool:
    return shared(old.whole(axis), new.whole(axis)).same


def _cells(tally: Tally, finding: Finding) -> dict[object, object]:
    """The counts of the rows of the finding's groups."""
    groups = {finding.group, *(finding.group or "").split("/")}
    return {key: cell for key, cell in tally.cells[finding.axis].items() if groups.intersection(key[1])}


def screened(found: Sequence[tuple[Finding | None, Change | None]], *, level: float) -> list[Change | None]:
    """The changes of a check with the q of each: among many, some grow by luck.

    Notes
    -----
    p of no growth, one-sided and normal: .025 where the lower end of the interval is 0; the family is all
    that is compared in the check (Benjamini and Hochberg 1995), without exact counts and what rests on the same rows,
    where luck has no part.
    """
    z = z_of(level)
    tested = [
        at
        for at, (finding, change) in enumerate(found)
        if finding is not None
        and change is not None
        and not change.same
        and finding.low < finding.high
        and math.isfinite(change.low)
        and change.error > 0
    ]
    result = [change for _, change in found]
    p = []
    for at in tested:
        change = result[at]
        assert change is not None
        p.append(math.erfc(z * (change.low + change.error) / change.error / math.sqrt(2)) / 2)
    for at, q in zip(tested, benjamini_hochberg(p).tolist(), strict=True):
        change = result[at]
        assert change is not None
        luck = f"one of {len(tested):,} compared with the baseline, q={q:.2g}: its growth may be luck"
        remark = "; ".join(one for one in (change.remark, luck if q > SCREEN and change.low > 0 else "") if one)
        result[at] = replace(change, q=q, remark=remark)
    return result


def _gone(old: Tally, new: Tally) -> list[tuple[str, str, int]]:
    """Axis, name and rows of the groups that had rows and have none."""
    found = []
    for axis in new.cells:
        before, now = ({group for _, pattern, _ in tally.cells[axis] for group in pattern} for tally in (old, new))
        found += [(axis, group, rows_of(old, axis, group)) for group in sorted(before - now)]
    return found


def _listed(gone: Sequence[tuple[str, str, int]]) -> str:
    if not gone:
        return ""
    names = [f"{group} ({axis}; {n:,} row{'' if n == 1 else 's'} there)" for axis, group, n in gone[:_LISTED]]
    more = f" and {len(gone) - _LISTED} more" if len(gone) > _LISTED else ""
    return f"; groups of the baseline that no row has any more: {', '.join(names)}{more}"
