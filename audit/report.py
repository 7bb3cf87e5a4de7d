"""An audit: its findings, scores and yardsticks, and the files they are written to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .findings import Finding, Settings, rounded
from .gate import snapshot
from .remedies import Remedy
from .sections import Parts
from .tally import Tally
from .yardsticks import yardsticks

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Group

    from ..data.axes import Axis
    from ..data.config import CheckRule
    from ..data.dataset import Dataset

SCHEMA = "evenset.audit/1"
SCORE = "cramers_v"


@dataclass(frozen=True)
class AuditReport:
    """What an audit found.

    Attributes
    ----------
    findings : tuple of Finding
    scores : mapping of axis to {"value", "low", "high", "measure"}
    tally : Tally
        The counts that everything is made of.
    dataset : mapping
        Form, names of the files, hash and columns of the data; no row of it.
    lexicons : tuple of mapping
        Name, version and hash of the word lists.
    rules : tuple of CheckRule
        What the statuses rest on.
    settings : Settings
    seed : int
    remedies : tuple of Remedy
        What steps of curation would make of the findings; `evenset.curate.preview` computes them.
    parts : Parts
        Proxies, directions, leakage and quality, as far as they were wanted.
    source : Dataset or None
        The data, for a second pass over the rows that stand behind findings.
    axes : tuple of Axis
    """

    findings: tuple[Finding, ...]
    scores: Mapping[str, Mapping[str, Any]]
    tally: Tally
    dataset: Mapping[str, Any]
    lexicons: tuple[Mapping[str, str], ...]
    rules: tuple[CheckRule, ...]
    settings: Settings
    seed: int = 0
    remedies: tuple[Remedy, ...] = ()
    parts: Parts = field(default_factory=Parts)
    source: Dataset | None = field(default=None, repr=False, compare=False)
    axes: tuple[Axis, ...] = field(default=(), repr=False, compare=False)

    @property
    def yardsticks(self) -> dict[str, dict[str, Any]]:
        """What gaps of models trained on this data are measured against."""
        return yardsticks(self.tally, positive=self.settings.positive)

    @property
    def coverage(self) -> dict[str, Any]:
        """Rows, what is missing in them, labels, and how much of the text the word lists see."""
        tally = self.tally
        labels: dict[str, int] = {}
        for (label, _, _), cell in next(iter(tally.cells.values()), {}).items():
            if label is not None:
                labels[label] = labels.get(label, 0) + cell.rows
        return {
            "rows": tally.rows,
            "null_texts": tally.null_texts,
            "empty_texts": tally.empty_texts,
            "null_labels": tally.null_labels,
            "tokens": tally.tokens,
            "weighted": tally.weighted,
            "labels": {label: labels[label] for label in sorted(labels)},
            "lexicons": {
                name: {"rows": seen.rows, "tokens": seen.tokens} for name, seen in sorted(tally.coverage.items())
            },
        }

    def to_dict(self) -> dict[str, Any]:
        """The content of audit.json: nothing in it depends on when or where it was made.

        What this version does not measure is null, not empty.
        """
        return {
            "schema": SCHEMA,
            "dataset": {"rows": self.tally.rows, **self.dataset},
            "lexicons": [dict(lexicon) for lexicon in self.lexicons],
            "scores": {axis: dict(score) for axis, score in self.scores.items()},
            "findings": [finding.to_dict() for finding in self.findings],
            "remedies": [remedy.to_dict() for remedy in self.remedies],
            **self.parts.to_dict(),
            "coverage": self.coverage,
            "yardsticks": self.yardsticks,
            "rules": [rule.model_dump(exclude_none=True) for rule in self.rules],
            "settings": {
                "level": self.settings.level,
                "reference": {axis: dict(shares) for axis, shares in self.settings.reference.items()},
                "seed": self.seed,
            },
            "tally": snapshot.written(self.tally),
        }

    def to_frame(self) -> pd.DataFrame:
        """The findings as a pandas table, one row each."""
        import pandas as pd

        records = [finding.to_dict() for finding in self.findings]
        columns = [
            "id",
            "axis",
            "group",
            "label",
            "measure",
            "estimate",
            "low",
            "high",
            "n",
            "method",
            "status",
            "note",
            "p",
            "q",
            "stratum",
        ]
        return pd.DataFrame.from_records(records, columns=columns)

    def save(self, folder: str | Path, *, examples: int = 0) -> None:
        """Write audit.json, flagged.parquet and audit.html, each whole or not at all.

        flagged.parquet names the rows behind the findings that fail or warn: id, position and finding, no text. Where
        there are such findings the data is read once more.

        Parameters
        ----------
        folder : path
            Where to.
        examples : int
            Show so many rows of the data for each of these findings in audit.html, which then is for its owner's eyes
            only (mode 0600). By default the page shows none.

        Raises
        ------
        InputError
            When rows are asked for and there are only counts.
        """
        from ..data.errors import InputError
        from ..data.files import write_json, write_text
        from .flagged import write_flagged
        from .sheet.examples import examples as rows_behind
        from .sheet.whole import audit_page

        if examples and self.source is None:
            raise InputError("examples need the rows themselves, and this report has counts only; leave them out.")
        folder = Path(folder)
        write_json(folder / "audit.json", self.to_dict())
        rows = None
        if self.source is not None:
            targets = self._targets()
            write_flagged(folder / "flagged.parquet", self.source, self.axes, targets)
            rows = rows_behind(self.source, self.axes, targets, examples) if examples else None
        page = audit_page(self, examples=rows)
        write_text(folder / "audit.html", page, mode=None if rows is None else 0o600)

    def _targets(self) -> list[Any]:
        from .cells import AxisCells
        from .flagged import Target

        pairs = {axis: AxisCells.of(self.tally, axis).pair for axis in self.tally.axes}
        labels = self.tally.labels
        found = (Target.of(finding, labels=labels, pairs=pairs) for finding in self.findings)
        return [target for target in found if target is not None]

    def scorecard(self) -> Group:
        """The audit for the terminal: what matters, in ten seconds."""
        from .scorecard import scorecard

        return scorecard(self)

    def _repr_html_(self) -> str:
        from .notebook import audit_html

        return audit_html(self)

    def conclusion(self) -> str:
        """The audit in one sentence."""
        from .scorecard import conclusion

        return conclusion(self)[1]


def scores_of(findings: Iterable[Finding], axes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """One number an axis: Cramér's V until an experiment shows which number predicts the gap of a model best."""
    whole = {finding.axis: finding for finding in findings if finding.measure == SCORE and finding.group is None}
    empty: dict[str, Any] = {"value": None, "low": None, "high": None}
    return {
        axis: {
            **(
                empty
                if axis not in whole
                else {
                    "value": rounded(whole[axis].estimate),
                    "low": rounded(whole[axis].low),
                    "high": rounded(whole[axis].high),
                }
            ),
            "measure": SCORE,
        }
        for axis in axes
    }
