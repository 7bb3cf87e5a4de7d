"""An earlier audit to compare with: read, held beside today's, refused where the numbers are not comparable."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...data.errors import InputError
from ..findings import Finding
from ..sections import FROM_ROWS
from ..sketch import ALL, Shared, shared
from ..tally import Tally, total
from . import snapshot

if TYPE_CHECKING:
    from ...data.config import CheckRule
    from ..report import AuditReport

_SCHEMA = "evenset.audit/1"
_AGAIN = "make the baseline again from its data: evenset audit DATA --out DIR"
_COLUMNS = {
    "text": "column of text",
    "label": "column of the label",
    "positive": "label that counts as positive",
    "label_threshold": "threshold of the label",
    "weight": "column of weights",
}
_FEW = 0.02  # of the smaller data set: less than this shared is none


@dataclass(frozen=True)
class Baseline:
    """An audit.json of other rows: those on the main branch, of the last release.

    Attributes
    ----------
    name : str
        As the user wrote it.
    dataset : mapping
        What it says about its data.
    tally : Tally
        Its counts, with the sketch that tells which rows are shared.
    found : mapping of id to Finding
        Its findings that rest on rows.
    """

    name: str
    dataset: Mapping[str, Any]
    tally: Tally
    found: Mapping[str, Finding]

    @staticmethod
    def load(path: str | Path) -> Baseline:
        """Read an audit.json, or the one in an audit's folder.

        Raises
        ------
        InputError
            When it is missing, of another schema, of an evenset that wrote no counts into it, or damaged.
        """
        place = Path(path)
        if place.is_dir():
            place = place / "audit.json"
        if not place.is_file():
            raise InputError(f"--baseline {place}: no such file; write one with: evenset audit DATA --out DIR")
        try:
            content = json.loads(place.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"--baseline {place}: cannot be read as an audit.json ({error}); {_AGAIN}") from None
        schema = content.get("schema") if isinstance(content, dict) else None
        if schema != _SCHEMA:
            raise InputError(
                f'--baseline {place}: its schema is "{schema}", needed is "{_SCHEMA}", an audit.json; {_AGAIN}'
            )
        if content.get("tally") is None:
            raise InputError(
                f"--baseline {place}: an older evenset wrote it, without the counts that a comparison needs; {_AGAIN}"
            )
        if wrong := snapshot.damaged(content.get("findings")):
            raise InputError(f"--baseline {place}: is damaged: {wrong}; {_AGAIN}")
        try:
            tally = snapshot.read(content["tally"])
            found = {one["id"]: _finding(one) for one in content["findings"] if one["measure"] in _OUTSIDE}
            return Baseline(str(path), dict(content["dataset"]), tally, found)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
            raise InputError(f"--baseline {place}: damaged ({type(error).__name__}: {error}); {_AGAIN}") from None

    def before(self, report: AuditReport) -> dict[str, Finding]:
        """The findings of its counts by today's measures, rules and reference, by id.

        Raises
        ------
        InputError
            When its numbers are not comparable with today's: says what differs.
        """
        from ..pipeline import report_of

        self.refuse(report)
        measures = list(dict.fromkeys([*(one.measure for one in report.findings), *_named(report.rules)]))
        old = report_of(
            self.seen(report),
            report.axes,
            rules=report.rules,
            reference=report.settings.reference,
            measures=[name for name in measures if name not in _OUTSIDE],
            dataset=self.dataset,
            positive=report.settings.positive,
            seed=report.seed,
            paired=report.dataset.get("format") == "preference",
        )
        from ..rules import judge

        rows = judge(self.found.values(), report.rules)
        return {one.id: one for one in (*old.findings, *rows)}

    def added(self, report: AuditReport) -> AuditReport:
        """The audit of its rows and those of `report` together.

        Raises
        ------
        InputError
            When they are not comparable, are the same rows, or a rule needs the rows of both.
        """
        from ..pipeline import report_of

        self.refuse(report)
        needs = [rule.measure for rule in report.rules if rule.measure in _OUTSIDE]
        if needs:
            raise InputError(
                f"--added: {needs[0]} rests on rows, of which the baseline has none; check all rows together, without "
                "--added"
            )
        one, two = self.tally.sketch, report.tally.sketch
        if one is not None and two is not None and shared(one.prints[ALL], two.prints[ALL]).same:
            raise InputError("--added: DATA are the rows of the baseline itself; give only those that were added")
        tally = total([replace(report.tally, terms={name: {} for name in report.tally.terms}, words=None)],
                      start=self._of(report))  # fmt: skip
        both = report_of(
            tally,
            report.axes,
            rules=report.rules,
            reference=report.settings.reference,
            measures=list(dict.fromkeys([*(one.measure for one in report.findings), *_named(report.rules)])),
            dataset=report.dataset,
            positive=report.settings.positive,
            seed=report.seed,
            paired=report.dataset.get("format") == "preference",
        )
        return replace(both, axes=report.axes, source=report.source)

    def shares(self, report: AuditReport) -> Shared | None:
        """How many rows both have."""
        one, two = self.tally.sketch, report.tally.sketch
        return None if one is None or two is None else shared(one.prints[ALL], two.prints[ALL])

    def note(self, report: AuditReport) -> str:
        """What was compared, in a sentence or two."""
        found = self.shares(report)
        if found is None:
            return f"compared with {self.name} as with other rows: which are shared is not known"
        if found.same:
            return f"compared with {self.name}: the same {found.new:,} rows"
        counts = f"compared with {self.name}: {found.old:,} rows there, {found.new:,} here"
        if found.rows < _FEW * min(found.old, found.new):
            return (
                f"{counts}, none of them shared, so the two are taken for independent; if DATA are only the rows that "
                "were added, say --added"
            )
        return f"{counts}, about {_about(found.rows)} shared"

    def refuse(self, report: AuditReport) -> None:
        """Say what makes the numbers of both not comparable."""
        wrong = [*_columns(self.dataset, report.dataset), *_counts(self.tally, report.tally)]
        there = {one.measure for one in self.found.values()}
        missing = [name for name in _named(report.rules) if name in FROM_ROWS and name not in there]
        wrong += [f"it was made without {name} (evenset audit DATA --measures all gives it)" for name in missing]
        methods = {one.id: one.method for one in report.findings if one.measure in FROM_ROWS}
        for name, one in self.found.items():
            if name in methods and methods[name] != one.method:
                wrong.append(f'{one.measure} was measured as "{one.method}" there and as "{methods[name]}" here')
        if wrong:
            wrong = list(dict.fromkeys(wrong))
            raise InputError(
                f"--baseline {self.name} is not comparable with DATA: {'; '.join(wrong)}. To go on, {_AGAIN}"
            )

    def seen(self, report: AuditReport) -> Tally:
        """Its counts as the axes of today see them, so that both have the same kinds of findings.

        A column has the groups of both; where it contrasts two today, these alone.
        """
        tally = self._of(report)
        axes = dict(tally.axes)
        for name, now in report.tally.axes.items():
            if now.kind == "lexicon":
                continue
            pair = now.kind != "intersection" and sum(note.status for note in now.groups.values()) == 2
            axes[name] = replace(now, groups=now.groups if pair else {**axes[name].groups, **now.groups})
        return replace(tally, axes=axes)

    def _of(self, report: AuditReport) -> Tally:
        """Its counts on the axes of today."""
        tally, axes = self.tally, report.tally.axes
        lexicons = report.tally.lexicons
        return replace(
            tally,
            axes={name: tally.axes[name] for name in axes},
            cells={name: tally.cells[name] for name in axes},
            lexicons={name: tally.lexicons[name] for name in lexicons},
            terms={name: {} for name in lexicons},
            coverage={name: tally.coverage[name] for name in lexicons},
        )


_OUTSIDE = frozenset({*FROM_ROWS, "ledger_mismatches"})


def _named(rules: Sequence[CheckRule]) -> list[str]:
    return [rule.measure for rule in rules]


def _columns(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    one, two = old["columns"], new["columns"]
    wrong = [
        f"{what}: {_shown(one.get(name))} there, {_shown(two.get(name))} here"
        for name, what in _COLUMNS.items()
        if one.get(name) != two.get(name)
    ]
    wrong += [
        f"{name} of the messages: {_shown(old.get(name))} there, {_shown(new.get(name))} here"
        for name in ("format", "roles")
        if old.get(name) != new.get(name)
    ]
    return wrong


def _counts(old: Tally, new: Tally) -> list[str]:
    wrong = []
    for name, note in new.axes.items():
        if name not in old.axes:
            wrong.append(f'axis "{name}" was not audited there (it has {", ".join(old.axes)})')
        elif old.axes[name].kind != note.kind:
            wrong.append(f'axis "{name}" is a {old.axes[name].kind} there and a {note.kind} here')
        elif note.kind == "lexicon" and dict(old.axes[name].groups) != dict(note.groups):
            wrong.append(f'the groups of axis "{name}" are others (words counted as ambiguous, or other word lists)')
    for name, lexicon in new.lexicons.items():
        was = old.lexicons.get(name)
        if was is not None and was != lexicon:
            versions = f"version {was.version} there, {lexicon.version} here"
            wrong.append(
                f'word list "{name}": {versions if was.version != lexicon.version else "other words in one version"}'
            )
    if old.edges != new.edges:
        wrong.append(f"length buckets: {old.edges} there, {new.edges} here")
    if old.labels and new.labels and not set(old.labels) & set(new.labels):
        wrong.append(f"labels: {_some(old.labels)} there, {_some(new.labels)} here")
    return wrong


def _finding(one: Mapping[str, Any]) -> Finding:
    estimate, low, high = (
        float("nan") if one[name] is None else float(one[name]) for name in ("estimate", "low", "high")
    )
    return Finding(
        str(one["axis"]), one["group"], one["label"], str(one["measure"]), estimate, low, high, int(one["n"]),
        str(one["method"]), stratum=one.get("stratum"),
    )  # fmt: skip


def _some(labels: Sequence[str]) -> str:
    return ", ".join(_shown(label) for label in labels[:5]) + (", …" if len(labels) > 5 else "")


def _shown(value: object) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False)


def _about(rows: float) -> str:
    """Three digits are all that the sketch can tell."""
    return f"{float(f'{rows:.3g}'):,.0f}" if rows >= 1000 else f"{rows:.0f}"
