"""One finding about the quality of the data, and all of them together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..findings import rounded
from .copies import Share

Severity = Literal["info", "warn", "unclear"]


@dataclass(frozen=True, slots=True)
class QualityFinding:
    """Something in the data that can make bias figures wrong.

    Attributes
    ----------
    kind : str
        What was looked for, such as "exact_duplicates" or "label_conflicts".
    about : str
        The axis, lexicon or split; empty for the data as a whole.
    severity : "info", "warn" or "unclear"
        Unclear: the word lists cannot see this text, so nothing that rests on them is a clean bill.
    estimate, low, high : float
        A share with its interval; NaN where there is none.
    n : int
        What the share is of.
    message, what_to_do : str
    rows : tuple of int
        Numbers of some of the rows, from 0.
    """

    kind: str
    about: str
    severity: Severity
    estimate: float
    low: float
    high: float
    n: int
    message: str
    what_to_do: str
    rows: tuple[int, ...] = ()

    @property
    def id(self) -> str:
        """Stable name.

        Examples
        --------
        >>> QualityFinding("split_leak", "test", "info", 0.0, 0.0, 0.1, 40, "", "").id
        'quality:split_leak:test'
        """
        return f"quality:{self.kind}:{self.about}"

    def to_dict(self) -> dict[str, Any]:
        """As in audit.json."""
        return {
            "id": self.id,
            "kind": self.kind,
            "about": self.about,
            "severity": self.severity,
            "estimate": rounded(self.estimate),
            "low": rounded(self.low),
            "high": rounded(self.high),
            "n": self.n,
            "message": self.message,
            "what_to_do": self.what_to_do,
            "rows": list(self.rows),
        }


@dataclass(frozen=True, slots=True)
class Quality:
    """All findings about the quality of a dataset.

    Attributes
    ----------
    findings : tuple of QualityFinding
    """

    findings: tuple[QualityFinding, ...]

    @property
    def unclear(self) -> tuple[QualityFinding, ...]:
        """Findings that forbid a clean bill."""
        return tuple(finding for finding in self.findings if finding.severity == "unclear")

    def of(self, kind: str) -> tuple[QualityFinding, ...]:
        """Findings of one kind."""
        return tuple(finding for finding in self.findings if finding.kind == kind)

    def to_dict(self) -> list[dict[str, Any]]:
        """As in audit.json."""
        return [finding.to_dict() for finding in self.findings]


def of_share(
    kind: str,
    about: str,
    share: Share,
    *,
    warn: float,
    message: str,
    what_to_do: str,
    rows: Sequence[int] = (),
) -> QualityFinding:
    """A finding of a share: a warning when even the lower end of its interval is above a limit.

    Parameters
    ----------
    kind, about : str
        As in `QualityFinding`.
    share : Share
        Its estimate.
    warn : float
        The limit.
    message : str
        The share and its interval are added to it.
    what_to_do : str
        Kept only where there is something to do.
    rows : sequence of int
        Examples.
    """
    severity: Severity = "warn" if share.count and share.low >= warn else "info"
    said = f"{message}: {said_share(share)}"
    what = what_to_do if share.count else ""
    return QualityFinding(
        kind, about, severity, share.estimate, share.low, share.high, share.n, said, what, tuple(rows)
    )


def said_share(share: Share) -> str:
    """A share in words.

    Examples
    --------
    >>> said_share(Share(3, 200, 0.015, 0.005, 0.043))
    '3 of 200 (1.5 %, 0.5 to 4.3)'
    """
    if not share.n or math.isnan(share.estimate):
        return "none to look at"
    estimate, low, high = (_percent(value) for value in (share.estimate, share.low, share.high))
    ends = f"{estimate} %, {low} to {high}"
    return f"{share.count:,} of {share.n:,} ({ends})"


def _percent(share: float) -> str:
    value = 100 * share
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
