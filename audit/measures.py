"""The one table of measures: name, formula, source, range, function.

A measure is a pure function from the counts of an axis to findings, without a status: rules give that (`rules`).
Adding one is a function and a row of `MEASURES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..data.errors import InputError, suggest
from .association import cramers_v
from .by_length import label_log_ratio_by_length, label_rate_by_length
from .cells import AxisCells
from .contrasts import label_log_ratio, label_rate, label_rate_gap, log_ratio, log_ratio_centred
from .exact import residual_terms
from .findings import Finding, Settings
from .information import nmi, npmi, pmi
from .levels import correlation_level
from .log_odds import log_odds, log_odds_z
from .parity import label_parity_max
from .representation import representation, representation_ratio
from .tally import Tally

if TYPE_CHECKING:
    from ..data.axes import Axis


@dataclass(frozen=True, slots=True)
class Measure:
    """One row of the table.

    Attributes
    ----------
    name, summary, formula, source, range : str
        In plain words, as shown by `evenset measures` and in docs/measures.md.
    function : callable or None
        Counts of an axis and the settings to findings; None where a measure needs rows, and a section of the audit
        gives it.
    asked : bool
        Whether it is made only when a rule or `--measures` names it.
    """

    name: str
    summary: str
    formula: str
    source: str
    range: str
    function: Callable[[AxisCells, Settings], list[Finding]] | None
    asked: bool = False

    def of(self, tally: Tally, axis: str, settings: Settings | None = None) -> list[Finding]:
        """Findings of this measure on one axis of a tally; none where it needs rows."""
        return [] if self.function is None else self.function(AxisCells.of(tally, axis), settings or Settings())


def findings_of(
    tally: Tally, settings: Settings, *, measures: Iterable[str] | None = None, axes: Sequence[Axis] = ()
) -> tuple[Finding, ...]:
    """All findings of a tally, axis by axis and measure by measure, screened family by family (`screening`).

    Parameters
    ----------
    tally : Tally
        The counts.
    settings : Settings
        Positive label, reference and level.
    measures : iterable of str, optional
        Names of the table; by default all but those that have to be asked for.
    axes : sequence of Axis, optional
        Those that were counted: they know which combinations of groups an intersection can have, so that those without
        a row are reported too. Without them a part is known if it is an axis of the tally or a built-in word list.

    Raises
    ------
    InputError
        When there is no such measure, or the reference names an axis that was not counted.
    """
    every = [name for name, measure in MEASURES.items() if not measure.asked]
    chosen = every if measures is None else list(dict.fromkeys(measures))
    for name in chosen:
        known_measure(name)
    for axis in settings.reference:
        if axis not in tally.axes:
            raise InputError(
                f'reference: axis "{axis}" is not audited.{suggest(axis, tally.axes)} Axes: {", ".join(tally.axes)}.'
            )
    result: list[Finding] = []
    for axis in tally.axes:
        cells = AxisCells.of(tally, axis, axes)
        for name in chosen:
            function = MEASURES[name].function
            result += [] if function is None else function(cells, settings)
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
            "How much of the data mentions or belongs to the group. Of an intersection also combinations without a "
            "row, and the axis as a whole.",
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
            "label_rate_by_length",
            "The label's rate among the group's rows of one range of lengths in characters (the stratum of the "
            "finding), and among all rows of it (group null).",
            "P(y | group, length); Wilson interval; tasks with two labels; groups with 30 rows or more",
            "Dixon et al. 2018; Wilson 1927",
            "0 to 1",
            label_rate_by_length,
        ),
        Measure(
            "label_log_ratio_by_length",
            "What is left of label_log_ratio (of two groups: log_ratio_centred) when texts of the same length are "
            "compared, and whether it differs by length.",
            "ln of the common ratio over the buckets of length, +0.5 on events and rows; heterogeneity by Woolf's Q",
            "Mantel and Haenszel 1959; interval: Greenland and Robins 1985; Woolf 1955",
            "-inf to inf; 0 parity",
            label_log_ratio_by_length,
        ),
        Measure(
            "label_parity_max",
            "Label parity over all groups: the largest difference of the label's rate between two groups with 30 rows. "
            "The note names them and says how large it is on average when there is no difference at all.",
            "max over a, b of P(y | a) - P(y | b)",
            "demographic parity of labels; interval: Newcombe 1998 for all pairs at once, by a bootstrap of cells "
            "(Efron 1979)",
            "0 to 1; 0 parity",
            label_parity_max,
        ),
        Measure(
            "pmi",
            "How much more often group and label stand together in a row than if they had nothing to do with each "
            "other, as a natural log.",
            "ln P(y, group) / (P(y) P(group)), +0.5 on events and rows",
            "Church and Hanks 1990; interval: MOVER, Zou and Donner 2008",
            "-inf to -ln P(y, group); 0 independent",
            pmi,
        ),
        Measure(
            "npmi",
            "The same from -1, never together, to 1, never apart.",
            "PMI / -ln P(y, group), +0.5 on events and rows",
            "Bouma 2009; interval: MOVER, Zou and Donner 2008",
            "-1 to 1; 0 independent",
            npmi,
        ),
        Measure(
            "log_odds",
            "How much higher the odds of the label are among the group's rows than among the rest (of two groups: "
            "among the first than among the second), as a natural log.",
            "log-odds with a Dirichlet prior of 1 row that is spread as the labels are, difference of the two",
            "Monroe, Colaresi and Quinn 2008, with the variance of both outcomes",
            "-inf to inf; 0 parity",
            log_odds,
        ),
        Measure(
            "log_odds_z",
            "The same in standard errors: how sure rather than how much; it grows with the rows.",
            "log_odds / its standard error; the interval's ends likewise",
            "Monroe, Colaresi and Quinn 2008, with the variance of both outcomes",
            "-inf to inf; beyond 1.96 unlikely by luck",
            log_odds_z,
        ),
        Measure(
            "correlation_level",
            "Where the data stands on the scale of data sets built with a spurious correlation: 0 the label goes with "
            "the group only, 5 balanced, 10 with the rest only (of two groups: first and second).",
            "10 / (1 + √OR), +0.5 on each cell; 1 - level/5 is the correlation after both margins are brought to 50/50 "
            "(Yule's Y)",
            "Wang and Russakovsky 2023; Yule 1912; interval: Gart 1966",
            "0 to 10; 5 balanced",
            correlation_level,
        ),
        Measure(
            "nmi",
            "How much groups and labels say about each other, as a share of the geometric mean of what each says.",
            "max(0, I - (r - 1)(c - 1) / 2N) / √(H(group) H(label)), corrected for bias; sets and labels pooled as for "
            "cramers_v",
            "Miller 1955; Strehl and Ghosh 2002; interval: noncentral chi-square of 2N·I, widened to the multinomial "
            "variance",
            "0 to 1",
            nmi,
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
        Measure(
            "leakage_auc",
            "How well a linear probe tells the group from the text, within labels, once the axis's own words are "
            "hidden (section leakage).",
            "mean over labels of the AUC of held-out scores, weighed by n1 n0 / (n1 + n0); five folds by cluster",
            "Wang et al. 2019 (data leakage), within labels; interval: DeLong et al. 1988 by cluster, variance doubled "
            "for cross-validation",
            "0 to 1; 0.5 chance",
            None,
        ),
        Measure(
            "residual_terms",
            "Rows that still hold an unambiguous word of the axis, and of each of its groups; for rules on data whose "
            "words were to be hidden. Only where a rule or --measures names it.",
            "count of all rows; the interval is the count itself",
            "exact",
            "0 to all rows; 0 none is left",
            residual_terms,
            asked=True,
        ),
        Measure(
            "invalid_weights",
            "Rows whose weight is missing, negative or not finite; they weigh 0 in everything else. Only where a rule "
            "names it (without such a rule they are an error), and with a --weight column.",
            "count of all rows; the interval is the count itself",
            "exact",
            "0 to all rows; 0 all are valid",
            None,
            asked=True,
        ),
        Measure(
            "ledger_mismatches",
            "Rows of curated data that are not what its ledger says. Only where a rule names it, and with --ledger.",
            "count of all rows; the interval is the count itself",
            "exact",
            "0 to all rows; 0 the data is as the ledger says",
            None,
            asked=True,
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
        "`pmi`, `npmi`, `log_odds`, `log_odds_z`, `correlation_level` and `label_log_ratio_by_length` are given only "
        "for groups and labels with rows enough; `label_rate`, `label_rate_gap` and `label_log_ratio` also for the "
        "rest. With more than two labels a cell is left out of these three when no row is in it and less than one was "
        "to be expected.",
        "",
        "A finding that is a test (p: the label is as frequent on both sides, or the ratio or difference is 0) has q "
        "beside it: p corrected by Benjamini and Hochberg's method for all comparisons of its measure on its axis, "
        "listed or not, whose groups are judged and have 30 rows. With q above 0.05 a finding neither warns nor fails, "
        "however far off it is.",
        "",
        "| measure | what it says | formula | range | source |",
        "|---|---|---|---|---|",
    ]
    for measure in MEASURES.values():
        cells = (f"`{measure.name}`", measure.summary, measure.formula, measure.range, measure.source)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
