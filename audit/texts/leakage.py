"""Leakage: how well the group of a row can be told from its text, given its label, before and after words are hidden.

The estimate is the mean within-label AUC of a linear probe on held-out rows; its null is one half.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..findings import Finding, Status, rounded
from .mdl import CodeLength

if TYPE_CHECKING:
    from ...data.axes import Axis
    from ...data.lexicon import Lexicon
    from .leaking import Question
    from .sampling import Rows

MOST_ROWS = 40_000
MOST_GROUPS = 8
PERMUTATIONS = 20
METHOD = (
    "mean within-label AUC of a held-out linear probe, labels weighed n1*n0/(n1+n0); interval by clusters, variance "
    "doubled for cross-validation"
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval; NaN where there is none."""

    estimate: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """As in audit.json."""
        return {"estimate": rounded(self.estimate), "low": rounded(self.low), "high": rounded(self.high)}


@dataclass(frozen=True, slots=True)
class Step:
    """One version of the text and how well it gives the group away.

    Attributes
    ----------
    name : str
        "raw", "scrubbed", "scrubbed of NAME too", "without proxies".
    hidden : tuple of str
        Lexicons whose words are hidden, and how many proxies.
    area : Estimate
        Mean within-label AUC.
    areas : mapping of label to AUC
    permutations : int
        How often the groups were shuffled within labels and all probes fitted again; 0 if not done for this step.
    null_mean, null_sd, p : float
        Mean and standard deviation of the AUC of these, and the chance of an AUC so high among them (t distribution).
    """

    name: str
    hidden: tuple[str, ...]
    area: Estimate
    areas: Mapping[str, float]
    permutations: int = 0
    null_mean: float = math.nan
    null_sd: float = math.nan
    p: float = math.nan

    def to_dict(self) -> dict[str, Any]:
        """As in audit.json."""
        null = {"permutations": self.permutations, "mean": rounded(self.null_mean), "sd": rounded(self.null_sd)}
        return {
            "name": self.name,
            "hidden": list(self.hidden),
            **self.area.to_dict(),
            "labels": {label: rounded(area) for label, area in self.areas.items()},
            "null": null if self.permutations else None,
            "p": rounded(self.p),
        }


@dataclass(frozen=True, slots=True)
class Explained:
    """What one word explains of the leakage.

    Attributes
    ----------
    word : str
    fall : Estimate
        How much lower the AUC is when the word, and pairs with it, are left out of the held-out scores. The probe is
        not fitted again, so words that always come together each count alone.
    rows : int
        Rows of the sample that have the word.
    """

    word: str
    fall: Estimate
    rows: int

    def to_dict(self) -> dict[str, Any]:
        """As in audit.json."""
        return {"word": self.word, **self.fall.to_dict(), "rows": self.rows}


@dataclass(frozen=True)
class Contrast:
    """One group against another, or against all other rows.

    Attributes
    ----------
    first : str
    second : str or None
        None for the rest.
    n_first, n_second : int
        Rows of the sample in labels that are used.
    clusters : int
        Persons and groups of near duplicates that these rows make.
    steps : tuple of Step
        Empty when there are too few rows.
    label_only : Estimate
        AUC of telling the group from the label alone, for comparison; nothing is subtracted.
    left_out : tuple of str
        Labels with too few rows of either group.
    mdl : CodeLength or None
        Of the scrubbed text.
    status : "unclear" or None
    note : str
    """

    first: str
    second: str | None
    n_first: int
    n_second: int
    clusters: int
    steps: tuple[Step, ...]
    label_only: Estimate
    left_out: tuple[str, ...]
    mdl: CodeLength | None = None
    status: Status | None = None
    note: str = ""
    question: Question | None = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """'she/he', or 'muslim' against the rest."""
        return self.first if self.second is None else f"{self.first}/{self.second}"

    @property
    def headline(self) -> Step | None:
        """The step that says what is left once the axis's own words are hidden; of a column the raw text."""
        named = {step.name: step for step in self.steps}
        return named.get("scrubbed", named.get("raw"))

    def explain(self, words: Sequence[str]) -> tuple[Explained, ...]:
        """How much of the leakage of the scrubbed text each word explains, the most first."""
        return () if self.question is None else self.question.explain(words)

    def to_dict(self) -> dict[str, Any]:
        """As in audit.json."""
        return {
            "first": self.first,
            "second": self.second,
            "n_first": self.n_first,
            "n_second": self.n_second,
            "clusters": self.clusters,
            "steps": [step.to_dict() for step in self.steps],
            "label_only": self.label_only.to_dict(),
            "left_out": list(self.left_out),
            "mdl": None if self.mdl is None else self.mdl.to_dict(),
            "status": self.status,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Leakage:
    """The leakage of one axis.

    Attributes
    ----------
    axis : str
    contrasts : tuple of Contrast
    not_tested : tuple of str
        Groups that were left out because others have more rows.
    rows, total : int
        Rows of the sample, and of the dataset.
    explained : tuple of Explained
        Of the proxies that were given, for the first contrast.
    method : str
    """

    axis: str
    contrasts: tuple[Contrast, ...]
    not_tested: tuple[str, ...]
    rows: int
    total: int
    explained: tuple[Explained, ...] = ()
    method: str = METHOD

    def findings(self) -> list[Finding]:
        """The headline of each contrast as a finding of the measure ``leakage_auc``."""
        found = []
        for contrast in self.contrasts:
            step = contrast.headline
            area = Estimate(math.nan, math.nan, math.nan) if step is None else step.area
            found.append(
                Finding(
                    axis=self.axis,
                    group=contrast.name,
                    label=None,
                    measure="leakage_auc",
                    estimate=area.estimate,
                    low=area.low,
                    high=area.high,
                    n=contrast.n_first + contrast.n_second,
                    method=self.method,
                    status=contrast.status,
                    note=contrast.note,
                    enough=step is not None,
                )
            )
        return found

    def to_dict(self) -> dict[str, Any]:
        """As in audit.json."""
        return {
            "axis": self.axis,
            "contrasts": [contrast.to_dict() for contrast in self.contrasts],
            "not_tested": list(self.not_tested),
            "rows": self.rows,
            "total": self.total,
            "explained": [one.to_dict() for one in self.explained],
            "method": self.method,
        }


def leakage(
    rows: Rows,
    axis: Axis,
    *,
    proxies: Sequence[str] = (),
    also_hide: Sequence[Lexicon] | None = None,
    permutations: int = PERMUTATIONS,
    most_rows: int = MOST_ROWS,
    most_groups: int = MOST_GROUPS,
    bits: bool = True,
    seed: int = 0,
) -> Leakage:
    """Measure how well a linear probe tells the groups of an axis from the text, within each label.

    Parameters
    ----------
    rows : Rows
        From `evenset.audit.texts.sampling`, drawn with this axis.
    axis : Axis
        An axis of two groups contrasts these; others contrast each group with all rows outside it.
    proxies : sequence of str
        Words (folded) to hide in the last step; what each explains is then measured too.
    also_hide : sequence of Lexicon, optional
        Hidden one after another once the axis's own words are. By default gendered nouns and titles on the axis
        pronouns; for a column of genders pronouns and then these; else nothing.
    permutations : int
        How often groups are shuffled within labels and everything is fitted again, for the scrubbed text and for the
        last step; 0 leaves the test out.
    most_rows : int
        Rows that are used, shared out among the contrasts.
    most_groups : int
        Contrasts at most: those of the groups with the most rows.
    bits : bool
        Whether to measure the description length of the scrubbed text too.
    seed : int
        Of folds and shuffles.

    Returns
    -------
    Leakage

    Notes
    -----
    The probe is a logistic regression on hashed words and pairs (`data.features`) with the log odds of the row's label
    as offset, so it gains nothing from what the label says of the group. Five folds; persons and near duplicates (of
    the scrubbed text) are never in two of them. AUC is taken within label and fold; the mean weighs n₁n₀/(n₁+n₀). A
    label counts from 20 clusters of either group. Weights of rows are not used.

    The interval is Wilson's for as many rows as the variance (DeLong's, summed by cluster, doubled) is worth. Doubled,
    since in cross-validation each two rows of different folds judge each other twice, which under the null doubles the
    variance whatever the number of folds; where there is much leakage the interval is somewhat too wide.

    Examples
    --------
    >>> from evenset.audit.texts.sampling import draw
    >>> from evenset.data import Dataset
    >>> from evenset.data.axes import parse_axes
    >>> from evenset.data.sample import bios
    >>> data = Dataset.of(bios(1500, 0)[0], text="text", label="label", id="id")
    >>> axis = parse_axes(["pronouns"], names=data.names)[0]
    >>> found = leakage(draw(data, [axis]), axis, permutations=0, bits=False).contrasts[0]
    >>> [(step.name, step.area.low > 0.5) for step in found.steps]
    [('raw', True), ('scrubbed', True), ('scrubbed of gendered_nouns too', True)]
    """
    from .leaking import ask

    return ask(
        rows,
        axis,
        proxies=proxies,
        also_hide=also_hide,
        permutations=permutations,
        most_rows=most_rows,
        most_groups=most_groups,
        bits=bits,
        seed=seed,
    )
