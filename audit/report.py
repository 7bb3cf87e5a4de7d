"""An audit: its findings, scores and yardsticks, and the files they are written to."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.errors import InputError
from .findings import Finding, Settings, rounded
from .measures import findings_of, known_measure
from .remedies import Remedy
from .rules import default_rules, judge
from .tally import Tally, total
from .yardsticks import yardsticks

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Group

    from ..data.axes import Axis
    from ..data.config import CheckRule
    from ..data.dataset import Dataset

SCHEMA = "evenset.audit/1"
SCORE = "cramers_v"
# More different groups of a column, or labels, than this are ids or scores rather than classes.
MOST_VALUES = 2_000
LEAST_MEAN_WEIGHT = 0.03
_SHOWN_IN_NOTEBOOK = 30

Progress = Callable[[str, int, int | None], None]


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
            "proxies": None,
            "directions": None,
            "leakage": None,
            "coverage": self.coverage,
            "yardsticks": self.yardsticks,
            "rules": [rule.model_dump(exclude_none=True) for rule in self.rules],
            "settings": {
                "level": self.settings.level,
                "reference": {axis: dict(shares) for axis, shares in self.settings.reference.items()},
                "seed": self.seed,
            },
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
        ]
        return pd.DataFrame.from_records(records, columns=columns)

    def save(self, folder: str | Path) -> None:
        """Write audit.json and flagged.parquet, each whole or not at all.

        flagged.parquet names the rows behind the findings that fail or warn: id, position and finding, no text. Where
        there are such findings the data is read once more.
        """
        from ..data.files import write_json
        from .flagged import write_flagged

        folder = Path(folder)
        write_json(folder / "audit.json", self.to_dict())
        if self.source is not None:
            write_flagged(folder / "flagged.parquet", self.source, self.axes, self._targets())

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
        order = {"fail": 0, "warn": 1, "unclear": 2, "pass": 3, None: 4}
        first = sorted(self.findings, key=lambda found: (order[found.status], -(rounded(found.magnitude[0]) or 0)))
        heading = ("status", "measure", "axis", "group", "label", "estimate", "low", "high", "n", "remark")
        lines = [
            "<tr>" + "".join(f"<td>{html.escape(_shown(getattr(finding, name)))}</td>" for name in heading) + "</tr>"
            for finding in first[:_SHOWN_IN_NOTEBOOK]
        ]
        more = len(first) - len(lines)
        return (
            f"<p>{html.escape(self.conclusion())}</p><table><tr>"
            + "".join(f"<th>{name}</th>" for name in heading)
            + "</tr>"
            + "".join(lines)
            + "</table>"
            + (f"<p>and {more} more: <code>to_frame()</code></p>" if more else "")
        )

    def conclusion(self) -> str:
        """The audit in one sentence."""
        from .scorecard import conclusion

        return conclusion(self)[1]


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        number = rounded(value, digits=3)
        return "" if number is None else f"{number:g}"
    return str(value)


def run(
    dataset: Dataset,
    axes: Sequence[str | Axis] = ("pronouns", "identity"),
    *,
    rules: Sequence[CheckRule] = (),
    reference: Mapping[str, Mapping[str, float]] | None = None,
    measures: Iterable[str] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> AuditReport:
    """Audit a dataset in one pass.

    Parameters
    ----------
    dataset : Dataset
        From `evenset.data.open`.
    axes : sequence of str or Axis
        As after ``--axis``: ``pronouns``, ``identity``, ``column:COL``, ``A+B``, ...
    rules : sequence of CheckRule
        Limits that give findings a status; without any the defaults of `evenset.audit.rules`.
    reference : mapping of axis to mapping of group to share
        What representation is compared with; without it there is no such comparison.
    measures : iterable of str, optional
        Names of the table of measures; by default all.
    seed : int
        Recorded; nothing in this version of the audit is random.
    progress : callable, optional
        Called with ("audit", rows so far, None) after each batch.

    Returns
    -------
    AuditReport

    Raises
    ------
    InputError
        When an axis, a measure or a reference is not known, the data cannot be read, or a column that is used as
        groups or labels has more than 2,000 different values.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from evenset.data import open
    >>> rows = {"text": ["She is kind."] * 40 + ["He is kind."] * 40, "label": ["nurse"] * 30 + ["judge"] * 50}
    >>> report = run(open(pa.table(rows), text="text", label="label"), ["pronouns"])
    >>> [finding.id for finding in report.findings if finding.status == "fail"]
    ['log_ratio_centred:pronouns:she/he:judge', 'log_ratio_centred:pronouns:she/he:nurse', 'cramers_v:pronouns::']
    """
    from ..data.axes import Axis as AxisClass
    from ..data.axes import parse_axes

    chosen = tuple(rules) or default_rules()
    for rule in chosen:
        known_measure(rule.measure)
    wanted = None if measures is None else [known_measure(name).name for name in measures]
    words = [axis for axis in axes if not isinstance(axis, AxisClass)]
    parsed = dict(zip(words, parse_axes(words, names=dataset.names), strict=True))
    used = tuple(axis if isinstance(axis, AxisClass) else parsed[axis] for axis in axes)
    if not used:
        raise InputError("audit: name at least one axis, for example pronouns or identity")
    tally = total(_tallies(dataset, used, progress), start=Tally.zero(used))
    _refuse_tiny_weights(tally, dataset)
    settings = Settings(positive=dataset.columns.positive, reference=dict(reference or {}))
    findings = judge(findings_of(tally, settings, measures=wanted), chosen)
    lexicons = {lexicon.name: lexicon for axis in used for lexicon in axis.lexicons()}
    return AuditReport(
        findings=findings,
        scores=_scores(findings, [axis.name for axis in used]),
        tally=tally,
        dataset=dataset.describe(),
        lexicons=tuple(
            {"name": name, "version": lexicons[name].version, "sha256": lexicons[name].sha256}
            for name in sorted(lexicons)
        ),
        rules=chosen,
        settings=settings,
        seed=seed,
        source=dataset,
        axes=used,
    )


def _tallies(dataset: Dataset, axes: Sequence[Axis], progress: Progress | None) -> Iterator[Tally]:
    """The tally of each batch; stops where groups or labels turn out to be no classes."""
    from ..data.hashing import Seen, row_keys
    from ..data.scan import scan

    id_name, seen = dataset.columns.id, Seen()
    groups: dict[str, set[str]] = {axis.name: set() for axis in axes if axis.columns()}
    labels: set[str] = set()
    done = 0
    needed = {column for axis in axes for column in axis.columns()} | ({id_name} if id_name is not None else set())
    for scanned in scan(dataset, axes, columns=sorted(needed)):
        batch = scanned.batch
        if id_name is not None:  # ids that come twice would name the wrong rows in flagged.parquet
            row_keys(batch.text, ids=batch.column(id_name), seen=seen, start=batch.start, id_name=id_name)
        tally = Tally.of(scanned, axes)
        for name, met in groups.items():
            met.update(tally.axes[name].groups)
            if len(met) > MOST_VALUES:
                raise InputError(
                    f'--axis "{name}" has more than {MOST_VALUES:,} different groups; for a column of numbers give a '
                    "limit, as in column:COL>=0.5"
                )
        labels.update(tally.labels)
        if len(labels) > MOST_VALUES:
            raise InputError(
                f'the label column "{dataset.columns.label}" has more than {MOST_VALUES:,} different values; name '
                "another with --label, or cut a score with --label-threshold"
            )
        yield tally
        done += tally.rows
        if progress is not None:
            progress("audit", done, None)


def _refuse_tiny_weights(tally: Tally, dataset: Dataset) -> None:
    """Weights are counted in steps of 2**-20 and their squares too: on average they must be well above that."""
    from .tally import UNIT

    sums = [cell.w for cell in next(iter(tally.cells.values())).values()]
    mean = sum(sums) / UNIT / max(tally.rows, 1)
    if tally.weighted and mean < LEAST_MEAN_WEIGHT:
        raise InputError(
            f'the weights in column "{dataset.columns.weight}" average {mean:.2g}; multiply them by a constant so that '
            "they average about 1 (only their ratios matter)"
        )


def _scores(findings: Iterable[Finding], axes: Sequence[str]) -> dict[str, dict[str, Any]]:
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
