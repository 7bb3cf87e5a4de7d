"""How numbers and names are written on the audit's page, and the methods behind them."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence

from ..findings import Finding
from ..measures import MEASURES
from ..page.document import computed
from ..page.html import Html
from ..page.table import Cell
from ..words import times

RANK = {"fail": 0, "warn": 1, "unclear": 2, "pass": 3, None: 4}
"""Statuses from the worst to the least."""


def typed(words: Sequence[str]) -> str:
    r"""A command as it is typed: what cannot be seen is written so that the shell reads it as it was.

    Examples
    --------
    >>> print(typed(["evenset", "audit", "my file.csv", "--axis", "column:a\u202eb's\n"]))
    evenset audit 'my file.csv' --axis $'column:a\u202eb\'s\n'
    """
    return " ".join(shlex.quote(word) if word.isprintable() else f"$'{''.join(map(_keyed, word))}'" for word in words)


def _keyed(char: str) -> str:
    code = ord(char)
    if char in "\\'":
        return "\\" + char
    if char.isprintable():
        return char
    if char in "\n\t\r":
        return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}[char]
    if 0xDC80 <= code <= 0xDCFF:  # A byte of a file name that is no UTF-8.
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun.

    Examples
    --------
    >>> counted(1, "group"), counted(1200, "category", "categories")
    ('1 group', '1,200 categories')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def share(value: float) -> Cell | None:
    """A share in per cent."""
    return None if math.isnan(value) else Cell(percent(value), value)


def percent(value: float) -> str:
    """A share in words.

    Examples
    --------
    >>> percent(0.0834), percent(-0.5), percent(0.00042)
    ('8.3 %', '−50.0 %', '0.04 %')
    """
    digits = 2 if 0 < abs(value) < 0.001 else 1
    return f"{100 * value:.{digits}f} %".replace("-", "−")


def shares(low: float, high: float) -> Cell | None:
    """An interval of a share."""
    if math.isnan(low) or math.isnan(high):
        return None
    return Cell(f"{shares_said(low, high)} %", low)


def shares_said(low: float, high: float) -> str:
    """The ends of an interval of a share, in per cent.

    Examples
    --------
    >>> shares_said(0.05, 0.1)
    '5.0 to 10.0'
    """
    return f"{percent(low).removesuffix(' %')} to {percent(high).removesuffix(' %')}"


def ratio(log_ratio: float) -> Cell | None:
    """A log ratio as a factor."""
    return None if math.isnan(log_ratio) else Cell(times(log_ratio), log_ratio)


def ratios(low: float, high: float) -> Cell | None:
    """An interval of a log ratio."""
    if math.isnan(low) or math.isnan(high):
        return None
    return Cell(f"{factor(low)} to {factor(high)}", low)


def factor(log_ratio: float) -> str:
    """A log ratio as a factor without its sign; of an end at infinity too.

    Examples
    --------
    >>> factor(math.log(6)), factor(-math.inf), factor(math.inf)
    ('6.0', '0', '∞')
    """
    if math.isinf(log_ratio):
        return "0" if log_ratio < 0 else "∞"
    return times(log_ratio).removesuffix("×")


def plain(low: float, high: float, form: str = ".2f") -> Cell | None:
    """An interval of a number."""
    if math.isnan(low) or math.isnan(high):
        return None
    return Cell(f"{low:{form}} to {high:{form}}".replace("-", "−"), low)


def worst_first(finding: Finding) -> tuple[int, float, float, str]:
    """Sort key: the worst status, then the farthest from nothing even at the near end, then the most rows."""
    near = finding.magnitude[0]
    return RANK[finding.status], -(near if math.isfinite(near) else 0.0), -finding.n, finding.id


def method(measures: Sequence[str], *more: Html | str) -> Html:
    """How measures are computed, from the table of measures, and what else is to be known."""
    said = [f"{name}: {MEASURES[name].formula}. Source: {MEASURES[name].source}." for name in measures]
    return computed(*said, *more)
