"""The findings as a small table, one row each: what Great Expectations is handed instead of the data."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from ...data.errors import InputError
from ..findings import Finding

if TYPE_CHECKING:
    import pandas as pd

    from ..report import AuditReport

COLUMNS = tuple(field.name for field in fields(Finding))
"""axis, group, label, measure, estimate, low, high, n, method, status and what else a rule has to know of a finding."""

_WORDS = ("axis", "group", "label", "measure", "method", "status", "note", "stratum")
_NUMBERS = ("estimate", "low", "high", "p", "q")


def findings_frame(report: AuditReport | Iterable[Finding]) -> pd.DataFrame:
    """The findings of an audit as a table without any row of the data.

    Parameters
    ----------
    report : AuditReport or iterable of Finding

    Returns
    -------
    pandas.DataFrame
        A row a finding; the columns are those of `Finding`, absent values null.

    Examples
    --------
    >>> found = Finding("identity", "gay", "1", "label_rate", 0.5, 0.4, 0.6, 100, "Wilson")
    >>> findings_frame([found])[["measure", "group", "low", "high"]].to_dict("records")
    [{'measure': 'label_rate', 'group': 'gay', 'low': 0.4, 'high': 0.6}]
    """
    import pandas as pd

    from ..report import AuditReport

    found = list(report.findings if isinstance(report, AuditReport) else report)
    kinds = dict.fromkeys(_WORDS, "object") | dict.fromkeys(_NUMBERS, "float64")
    kinds |= {"n": "int64", "enough": "bool", "judged": "bool", "needs": "Int64"}
    columns = {name: pd.Series([getattr(one, name) for one in found], dtype=kinds[name]) for name in COLUMNS}
    return pd.DataFrame(columns)


def findings_of(frame: pd.DataFrame) -> tuple[Finding, ...]:
    """The findings in such a table, also after it went through a file.

    Raises
    ------
    InputError
        When the table is none of findings: names the first column that is missing, or the row that cannot be read.

    Examples
    --------
    >>> found = Finding("identity", None, "1", "cramers_v", 0.5, 0.4, float("inf"), 100, "Smithson")
    >>> findings_of(findings_frame([found])) == (found,)
    True
    """
    lacking = [name for name in COLUMNS if name not in frame.columns]
    if lacking:
        raise InputError(
            f'this batch is no table of findings: it has no column "{lacking[0]}". Hand over '
            "evenset.audit.expectations.findings_frame(report), or name the column of the text (text=...) to audit "
            "the rows of the batch"
        )
    found = []
    for at, row in enumerate(frame[list(COLUMNS)].to_dict("records")):
        try:
            found.append(_finding(row))
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"row {at + 1} of the table of findings cannot be read: {error}") from None
    return tuple(found)


def _finding(row: dict[str, Any]) -> Finding:
    words = {name: _word(row[name]) for name in _WORDS}
    numbers = {name: None if _null(row[name]) else float(row[name]) for name in _NUMBERS}
    for name in ("axis", "measure"):
        if words[name] is None:
            raise ValueError(f"it has no {name}")
    known = {name: math.nan if (value := numbers[name]) is None else value for name in ("estimate", "low", "high")}
    finding = Finding(
        axis=words["axis"] or "", group=words["group"], label=words["label"], measure=words["measure"] or "",
        n=int(row["n"]), method=words["method"] or "", note=words["note"] or "", stratum=words["stratum"],
        p=numbers["p"], q=numbers["q"], needs=None if _null(row["needs"]) else int(row["needs"]),
        enough=_flag(row["enough"]), judged=_flag(row["judged"]),
        estimate=known["estimate"], low=known["low"], high=known["high"],
    )  # fmt: skip
    status = words["status"]
    if status not in (None, "pass", "warn", "fail", "unclear"):
        raise ValueError(f'"{status}" is no status')
    return replace(finding, status=status)


def _null(value: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(value))


def _word(value: Any) -> str | None:
    if _null(value):
        return None
    # A label of digits that went through a CSV file comes back as a number.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _flag(value: Any) -> bool:
    if str(value) not in ("True", "False"):
        raise ValueError(f"{value!r} is neither True nor False")
    return str(value) == "True"
