"""The one table of measures: name, formula, source, range, function.

A measure is a pure function from the counts of an axis to findings, without a status: rules give that (`rules`).
Adding one is a function and a row of `MEASURES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..data.errors import InputError, suggest
from .association import cramers_v
from .cells import AxisCells
from .contrasts import label_log_ratio, label_rate, label_rate_gap, log_ratio, log_ratio_centred
from .findings import Finding, Settings
from .representation import representation, representation_ratio
from .tally import Tally


@dataclass(frozen=True, slots=True)
class Measure:
    """One row of the table.

    Attributes
    ----------
    name, summary, formula, source, range : str
        In plain words, as shown by `evenset measures` and in docs/measures.md.
    function : callable
        Counts of an axis and the settings to findings.
    """

    name: str
    summary: str
    formula: str
    source: str
    range: str
    function: Callable[[AxisCells, Settings], list[Finding]]

    def of(self, tally: Tally, axis: str, settings: Settings | None = None) -> list[Finding]:
        """Findings of this measure on one axis of a tally."""
        return self.function(AxisCells.of(tally, axis), settings or Settings())


def findings_of(tally: Tally, settings: Settings, *, measures: Iterable[str] | None = None) -> tuple[Finding, ...]:
    """All findings of a tally, axis by axis and measure by measure.

    Parameters
    ----------
    tally : Tally
        The counts.
    settings : Settings
        Positive label, reference and level.
    measures : iterable of str, optional
        Names of the table; by default all.

    Raises
    ------
    InputError
        When there is no such measure, or the reference names an axis that was not counted.
    """
    chosen = list(MEASURES) if measures is None else list(dict.fromkeys(measures))
    for name in chosen:
        known_measure(name)
    for axis in settings.reference:
        if axis not in tally.axes:
            raise InputError(
                f'reference: axis "{axis}" is not audited.{suggest(axis, tally.axes)} Axes: {", ".join(tally.axes)}.'
            )
    result: list[Finding] = []
    for axis in tally.axes:
        cells = AxisCells.of(tally, axis)
        for name in chosen:
            result += MEASURES[name].function(cells, settings)
    return tuple(result)


def known_measure(name: str) -> Measure:
    """The measure of this name, or an InputError that suggests the right one."""
    if name not in MEASURES:
        raise InputError(f'there is no measure "{name}".{suggest(name, MEASURES)} Measures: {", ".join(MEASURES)}.')
    return MEASURES[name]


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure(
            "representation",
            "How much of the data mentions or belongs to the group.",
            "share of all rows; Wilson interval",
            "Wilson 1927",
            "0 to 1",
            representation,
        ),
        Measure(
            "representation_ratio",
            "Is the group more or less present than in a reference that you give?",
            "ln(share of rows / reference share); among the named groups' rows where the reference adds up to 1",
            "interval: log of the Wilson bounds",
            "-inf to inf; 0 as in the reference",
            representation_ratio,
        ),
        Measure(
            "log_ratio",
            "Of two groups, which one has more rows with the label (label null: in the whole data)?",
            "ln(n_y,first + 0.5) - ln(n_y,second + 0.5)",
            "Steed et al. 2022 (dataset bias of biographies); +0.5: Haldane 1956",
            "-inf to inf; 0 as many of both",
            log_ratio,
        ),
        Measure(
            "log_ratio_centred",
            "Of two groups, which one has the label more often, given how many rows each has?",
            "ln P(y | first) - ln P(y | second), +0.5 on events and rows; is log_ratio minus that of all labels",
            "centred form of Steed et al. 2022; interval: Katz 1978 with +0.5, widened where events are few",
            "-inf to inf; 0 no association",
            log_ratio_centred,
        ),
        Measure(
            "label_rate",
            "How often the group's rows have the label.",
            "P(y | group); Wilson interval",
            "Dixon et al. 2018; Wilson 1927",
            "0 to 1",
            label_rate,
        ),
        Measure(
            "label_rate_gap",
            "Label parity: how much more often the group's rows have the label than the rest.",
            "P(y | group) - P(y | not group); of two groups P(y | first) - P(y | second); Newcombe interval",
            "demographic parity of labels; Newcombe 1998, method 10",
            "-1 to 1; 0 parity",
            label_rate_gap,
        ),
        Measure(
            "label_log_ratio",
            "How many times as often the group's rows have the label as rows without the group, as a natural log.",
            "ln P(y | group) - ln P(y | not group), +0.5 on events and rows",
            "Steed et al. 2022 (dataset bias of identity terms), against rows without the group; interval: Katz 1978 "
            "with +0.5, widened where events are few",
            "-inf to inf; 0 parity; 0.69 twice as often",
            label_log_ratio,
        ),
        Measure(
            "cramers_v",
            "How strongly labels go with groups, in one number: of the axis, and of each group against the rest.",
            "sqrt(phi2~ / min(r~ - 1, c~ - 1)), corrected for bias; sets of groups and labels with fewer than 30 rows "
            "are pooled; of two groups only their rows",
            "Bergsma 2013; interval: Smithson 2003, widened to the multinomial variance (Bishop, Fienberg and Holland "
            "1975)",
            "0 to 1",
            cramers_v,
        ),
    )
}


def measures_markdown() -> str:
    """The table of measures as docs/measures.md."""
    lines = [
        "# Measures",
        "",
        "Made from the table in `audit/measures.py`; change it there.",
        "",
        "Every finding carries n, an interval (95 %) and its method. Findings on fewer than 30 rows are shown as "
        "`unclear`, never as 0, and so are ratios with fewer than 5 rows, counted or expected, with and without the "
        "label on either side; ambiguous groups and groups without status are shown and not judged. Rows without label "
        "are counted and left out of label measures. Weighted rows enter intervals with their effective number, "
        "(Σw)² / Σw² (Kish).",
        "",
        "| measure | what it says | formula | range | source |",
        "|---|---|---|---|---|",
    ]
    for measure in MEASURES.values():
        cells = (f"`{measure.name}`", measure.summary, measure.formula, measure.range, measure.source)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
