"""Findings in plain English, for people who have never seen a log ratio."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..data.showing import spelt
from .findings import Finding

_NOUNS = {
    "comment": "Comments", "tweet": "Tweets", "post": "Posts", "bio": "Biographies", "review": "Reviews",
    "question": "Questions", "sentence": "Sentences", "message": "Messages", "headline": "Headlines", "note": "Notes",
}  # fmt: skip
_PLAIN_LABELS = frozenset({"label", "labels", "class", "target", "y", "category"})
_YES = frozenset({"1", "true", "yes", "True"})
_OF_PAIRS = frozenset({"chosen", "rejected"})
_BANDS = ((0.1, "weak"), (0.3, "moderate"), (math.inf, "strong"))


@dataclass(frozen=True, slots=True)
class Speaker:
    """How to name rows, labels and groups of one dataset.

    Attributes
    ----------
    text_column, label_column : str or None
    kinds : mapping of axis to its kind
    """

    text_column: str | None
    label_column: str | None
    kinds: dict[str, str]

    @property
    def rows(self) -> str:
        """What a row is called: "Comments" of a column comment_text, else "Rows"."""
        name = (self.text_column or "").casefold()
        return next((noun for word, noun in _NOUNS.items() if word in name), "Rows")

    def label(self, label: str | None) -> str:
        """A label in a sentence: toxic where the column toxic is 1, else "1" in quotes."""
        column = self.label_column or ""
        if label in _YES and column and column.casefold() not in _PLAIN_LABELS:
            return column
        return f'"{spelt(str(label))}"'

    def labelled(self, label: str | None) -> str:
        """A label as what was done to a row: 'labelled "nurse"', or of a pair of replies 'chosen'."""
        if (self.label_column or "").startswith("axis:"):
            return f'counted as "{label}" by their words'
        return str(label) if label in _OF_PAIRS else f"labelled {self.label(label)}"

    def members(self, axis: str, group: str) -> str:
        """Rows of a group, without the noun: 'that mention "gay"'."""
        kind, group = self.kinds.get(axis, "column"), spelt(group)
        if kind == "lexicon":
            return f'with "{group}" words' if axis == "pronouns" else f'that mention "{group}"'
        if kind == "column":
            column = axis.removeprefix("column:")
            return f"with {column}" if group in column else f"with {column} = {group}"
        return f'in "{group}"'

    def sentence(self, finding: Finding) -> str:
        """One finding as one sentence, with its interval and its rows."""
        say = {
            "label_log_ratio": self._against_rest,
            "log_ratio_centred": self._against_each_other,
            "log_ratio": self._counts,
            "label_rate": self._rate,
            "label_rate_gap": self._gap,
            "representation": self._share,
            "representation_ratio": self._reference,
            "cramers_v": self._association,
            "label_log_ratio_by_length": self._within_lengths,
            "leakage_auc": self._leak,
        }.get(finding.measure, self._other)
        return say(finding)

    def _against_rest(self, finding: Finding) -> str:
        who = f"{self.rows} {self.members(finding.axis, str(finding.group))} are {self.labelled(finding.label)}"
        return f"{who} {times(finding.estimate)} as often as others {_ends(finding)}"

    def _against_each_other(self, finding: Finding) -> str:
        finding, first, second = _turned(finding)
        one, other = (self.members(finding.axis, group) for group in (first, second))
        return (
            f"{self.rows} {one} are {self.labelled(finding.label)} {times(finding.estimate)} as often as "
            f"{self.rows.lower()} {other} {_ends(finding)}"
        )

    def _counts(self, finding: Finding) -> str:
        finding, first, second = _turned(finding)
        one, other = (self.members(finding.axis, group) for group in (first, second))
        where = "" if finding.label is None else f" {self.labelled(finding.label)}"
        return f"{self.rows}{where} {one} are {times(finding.estimate)} as many as those {other} {_ends(finding)}"

    def _rate(self, finding: Finding) -> str:
        who = f"{self.rows} {self.members(finding.axis, str(finding.group))}"
        return f"{who} are {self.labelled(finding.label)} in {_percent(finding, 'cases')}"

    def _gap(self, finding: Finding) -> str:
        who = f"{self.rows} {self.members(finding.axis, str(finding.group))}"
        points = f"{abs(100 * finding.estimate):.1f} points {'more' if finding.estimate > 0 else 'less'} often"
        ends = sorted(abs(100 * end) for end in (finding.low, finding.high))
        crossing = finding.low <= 0 <= finding.high
        between = f"{0 if crossing else ends[0]:.1f} to {ends[1]:.1f}"
        return f"{who} are {self.labelled(finding.label)} {points} ({between}; {finding.n:,} rows)"

    def _share(self, finding: Finding) -> str:
        if finding.group is None:
            return self._other(finding)
        return f"{self.rows} {self.members(finding.axis, str(finding.group))} are {_percent(finding, 'all rows')}"

    def _reference(self, finding: Finding) -> str:
        who = f"{self.rows} {self.members(finding.axis, str(finding.group))}"
        return f"{who} are {times(finding.estimate)} as frequent as in the reference {_ends(finding)}"

    def _within_lengths(self, finding: Finding) -> str:
        who = f"{self.rows} {self.members(finding.axis, str(finding.group))} are {self.labelled(finding.label)}"
        return f"{who} {times(finding.estimate)} as often as others of their length {_ends(finding)}"

    def _leak(self, finding: Finding) -> str:
        return (
            f"The rest of the text tells {finding.group} with AUC {finding.estimate:.2f} ({finding.low:.2f} to "
            f"{finding.high:.2f}; {finding.n:,} rows)"
        )

    def _other(self, finding: Finding) -> str:
        parts = [finding.axis, finding.group, finding.label, finding.stratum]
        of = ", ".join(part for part in parts if part is not None)
        return (
            f"{finding.measure} of {of}: {finding.estimate:.2f} ({finding.low:.2f} to {finding.high:.2f}; "
            f"{finding.n:,} rows)"
        )

    def _association(self, finding: Finding) -> str:
        of = f' and "{finding.group}"' if finding.group else f" and {finding.axis}"
        return (
            f"Labels{of} go together with Cramér's V {finding.estimate:.2f} "
            f"({finding.low:.2f} to {finding.high:.2f}; {finding.n:,} rows)"
        )


def strength(low: float, high: float) -> str:
    """An interval of Cramér's V in words.

    Examples
    --------
    >>> strength(0.02, 0.05), strength(0.25, 0.4), strength(0.0, 0.04)
    ('weak', 'moderate to strong', 'none to weak')
    """
    one, other = (next(word for limit, word in _BANDS if value < limit) for value in (low, high))
    if low <= 0:
        one = "none"
    return one if one == other else f"{one} to {other}"


def _turned(finding: Finding) -> tuple[Finding, str, str]:
    """The finding with its two groups in the order in which the ratio is above one."""
    from dataclasses import replace

    first, _, second = str(finding.group).partition("/")
    if finding.estimate >= 0:
        return finding, first, second
    turned = replace(finding, estimate=-finding.estimate, low=-finding.high, high=-finding.low)
    return turned, second, first


def _number(log_ratio: float) -> str:
    value = math.exp(log_ratio)
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.95 else f"{value:.2g}"


def times(log_ratio: float) -> str:
    """A log ratio as a factor.

    Examples
    --------
    >>> import math
    >>> times(math.log(12)), times(math.log(1.05)), times(math.log(0.083))
    ('12×', '1.1×', '0.083×')
    """
    return f"{_number(log_ratio)}×"


def _ends(finding: Finding) -> str:
    low = "0" if math.isinf(finding.low) else _number(finding.low)
    return f"({low} to {_number(finding.high)}; {finding.n:,} rows)"


def _percent(finding: Finding, of: str) -> str:
    estimate, low, high = (100 * value for value in (finding.estimate, finding.low, finding.high))
    return f"{estimate:.1f} % of {of} ({low:.1f} to {high:.1f}; {finding.n:,} rows)"
