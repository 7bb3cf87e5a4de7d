"""One finding: an estimate with its interval, the rows it rests on, and what was made of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["pass", "warn", "fail", "unclear"]

MINIMUM_ROWS = 30
LEVEL = 0.95
SCREEN = 0.05  # share of false alarms among what screening lets through (`screening`)
REPLICATES = 2_000
MOST_ROWS = 10**9  # more than this is as good as never


@dataclass(frozen=True, slots=True)
class Finding:
    """One number about one axis, group and label.

    Attributes
    ----------
    axis : str
        As given, for example "identity" or "pronouns+identity".
    group : str or None
        A group of the axis, "she/he" for a contrast of two; None for the axis as a whole.
    label : str or None
        None where the measure has none.
    measure : str
        A name of the table of measures.
    estimate, low, high : float
        NaN where there is nothing to estimate; never 0 in its place.
    n : int
        Rows that the estimate rests on; for a rate its denominator.
    method : str
        How the interval was computed.
    status : {"pass", "warn", "fail", "unclear"} or None
        None where no rule applies.
    note : str
        What a reader has to know besides, such as the rows that are missing.
    enough : bool
        Whether there are rows enough to report it; if not, a rule can only call it unclear.
    judged : bool
        Whether every rule may judge it; if not (ambiguous words, groups that are only reported), only one that names
        the group.
    needs : int or None
        Rows that would decide an unclear finding, as far as that can be told.
    p : float or None
        Of the hypothesis that the estimate is 0 in truth, where the measure has a test.
    q : float or None
        `p` after Benjamini and Hochberg's correction for all comparisons of its family (`screening`).
    stratum : str or None
        The part of the rows that it is about, for example a range of lengths; None: all.
    """

    axis: str
    group: str | None
    label: str | None
    measure: str
    estimate: float
    low: float
    high: float
    n: int
    method: str
    status: Status | None = None
    note: str = ""
    enough: bool = True
    judged: bool = True
    needs: int | None = None
    p: float | None = None
    q: float | None = None
    stratum: str | None = None

    @property
    def id(self) -> str:
        """Stable name: ``measure:axis:group:label``, empty where there is none, and ``:stratum`` where there is one.

        Examples
        --------
        >>> Finding("identity", "gay", "1", "label_rate", 0.5, 0.4, 0.6, 100, "Wilson").id
        'label_rate:identity:gay:1'
        """
        name = f"{self.measure}:{self.axis}:{self.group or ''}:{'' if self.label is None else self.label}"
        return name if self.stratum is None else f"{name}:{self.stratum}"

    @property
    def magnitude(self) -> tuple[float, float]:
        """The interval of the absolute value: what limits are compared with.

        Its near end is 0 for a finding that screening did not let through (`q` above 0.05): picked from many, it may be
        the luck of one, so it can pass or be unclear but neither warn nor fail.

        Examples
        --------
        >>> Finding("identity", "gay", "1", "label_log_ratio", -0.1, -0.3, 0.1, 100, "Katz").magnitude
        (0.0, 0.3)
        >>> Finding("identity", "sikh", "1", "label_log_ratio", 0.6, 0.3, 0.9, 40, "Katz", q=0.2).magnitude
        (0.0, 0.9)
        """
        ends = abs(self.low), abs(self.high)
        nearest = 0.0 if self.low <= 0 <= self.high or self.screened_out else min(ends)
        return nearest, max(ends)

    @property
    def screened_out(self) -> bool:
        """Whether it may be the luck of one of many (`screening`)."""
        return self.q is not None and self.q > SCREEN

    @property
    def remark(self) -> str:
        """The note, and for an unclear finding the rows that would decide."""
        if self.needs is None:
            return self.note
        enough = f"about {self.needs:,} rows would decide"
        needs = enough if self.needs < MOST_ROWS else "too near the limit for any number of rows"
        return f"{self.note}; {needs}" if self.note else needs

    def to_dict(self) -> dict[str, Any]:
        """As in audit.json: numbers to eight digits, null where there is none."""
        return {
            "id": self.id,
            "axis": self.axis,
            "group": self.group,
            "label": self.label,
            "measure": self.measure,
            "estimate": rounded(self.estimate),
            "low": rounded(self.low),
            "high": rounded(self.high),
            "n": self.n,
            "method": self.method,
            "status": self.status,
            "note": self.remark,
            "p": None if self.p is None else rounded(self.p, digits=4),
            "q": None if self.q is None else rounded(self.q, digits=4),
            "stratum": self.stratum,
        }


@dataclass(frozen=True, slots=True)
class Settings:
    """What the measures need to know besides the counts.

    Attributes
    ----------
    positive : str or None
        The positive label of a task with two labels.
    reference : mapping of axis to mapping of group to share
        The shares that representation is compared with; nothing is assumed to be 50/50.
    level : float
        Confidence level.
    replicates : int
        Draws of the bootstrap, where a measure has no closed form; fewer where there are very many cells.
    """

    positive: str | None = None
    reference: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    level: float = LEVEL
    replicates: int = REPLICATES


def rounded(value: float, *, digits: int = 8) -> float | None:
    """A number for JSON: the same digits on every machine, None where there is no number.

    Examples
    --------
    >>> rounded(1 / 3), rounded(float("nan"))
    (0.33333333, None)
    """
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None
