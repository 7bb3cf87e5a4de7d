"""The yardstick: what a gap is measured against, fixed from the raw training set before anything is trained.

A gap is a slope, `G = sum c_i m_i / sum c_i^2`: how much a model's error `m_i` (the false-positive rate of term i, or
the gap in true-positive rates of label i) grows with the imbalance `c_i` of the raw data. Positive is compounding
imbalance. Curation cannot move `c_i`, so it cannot look better by moving the yardstick.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ...audit.findings import MINIMUM_ROWS as MIN_CELL
from ...audit.yardsticks import PRIOR_ROWS
from ...data.errors import InputError
from .scores import Floats


@dataclass(frozen=True, slots=True)
class Entry:
    """One term (fpr) or one label (tpr) of a yardstick.

    Attributes
    ----------
    name : str
        The term or the label.
    n : int
        Raw training rows that it rests on.
    raw : float
        Imbalance before centring: log ratio of toxicity rates, or share of the first group.
    c : float
        Imbalance centred over the entries in use.
    used : bool
        Whether it counts in the gap; the others are reported only.
    events : float
        Of the n rows, those that are positive (fpr) or of the first group (tpr); NaN where it is not known.
    """

    name: str
    n: int
    raw: float
    c: float
    used: bool
    events: float = math.nan


@dataclass(frozen=True, slots=True)
class Yardstick:
    """Imbalance of the raw training set, centred over the entries in use.

    Attributes
    ----------
    kind : str
        "fpr" (terms) or "tpr" (labels).
    entries : tuple of Entry
        Sorted by name.
    axis : str
        The axis it was measured on.
    positive : str or None
        The positive label of a binary task.
    first, second : str
        The two groups of a tpr yardstick; the gap is first minus second.
    notes : tuple of str
        What was left out and why.
    """

    kind: str
    entries: tuple[Entry, ...]
    axis: str = ""
    positive: str | None = None
    first: str = ""
    second: str = ""
    notes: tuple[str, ...] = ()

    @property
    def used(self) -> tuple[str, ...]:
        """Names of the entries that count in the gap (T in the methods)."""
        return tuple(entry.name for entry in self.entries if entry.used)

    @property
    def c(self) -> Floats:
        """Centred imbalance of the entries in use, in the order of `used`."""
        return np.array([entry.c for entry in self.entries if entry.used])

    @property
    def coefficients(self) -> Floats:
        """`c_i / sum c^2`: the gap is their scalar product with what is measured."""
        return np.asarray(self.c / (self.c**2).sum())

    @property
    def chance(self) -> float:
        """How likely chance alone makes the entries in use differ as much as they do; NaN where it is not known.

        Without any imbalance in the population a training set still has some by accident, a model still follows it,
        and a slope on numbers that small can be any size. Pearson's chi-square test of equal rates over the entries in
        use; rows that name two terms count for both.
        """
        from scipy.special import chdtrc

        n = np.array([entry.n for entry in self.entries if entry.used], np.float64)
        events = np.array([entry.events for entry in self.entries if entry.used])
        if np.isnan(events).any() or not 0 < events.sum() < n.sum():
            return math.nan
        rate = events.sum() / n.sum()
        statistic = ((events - n * rate) ** 2 / (n * rate * (1 - rate))).sum()
        return float(chdtrc(len(n) - 1, statistic))

    def restrict(self, available: Iterable[str], why: str) -> Yardstick:
        """Leave out entries that the test rows cannot measure, and centre again over the rest."""
        keep = set(available)
        lost = [name for name in self.used if name not in keep]
        if not lost:
            return self
        note = f"left out of the gap, {why}: {', '.join(lost)}"
        entries = tuple(replace(entry, used=entry.used and entry.name in keep) for entry in self.entries)
        return replace(self, entries=_centre(entries, note), notes=(*self.notes, note))

    def to_dict(self) -> dict[str, Any]:
        """As written into `verdict.json`; `from_dict` reads it back."""
        return {
            "measure": self.kind,
            "axis": self.axis,
            "positive": self.positive,
            "first": self.first or None,
            "second": self.second or None,
            "entries": [
                {
                    "name": e.name,
                    "n": e.n,
                    "events": _number(e.events),
                    "raw": _number(e.raw),
                    "c": _number(e.c),
                    "used": e.used,
                }
                for e in self.entries
            ],
            "chance": _number(self.chance),
            "notes": list(self.notes),
        }

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> Yardstick:
        """Read what `to_dict` wrote."""
        entries = tuple(
            Entry(
                str(e["name"]), int(e["n"]), _float(e["raw"]), _float(e["c"]), bool(e["used"]), _float(e.get("events"))
            )
            for e in record["entries"]
        )
        return Yardstick(
            kind=record["measure"],
            entries=entries,
            axis=record.get("axis") or "",
            positive=record.get("positive"),
            first=record.get("first") or "",
            second=record.get("second") or "",
            notes=tuple(record.get("notes", ())),
        )


Source: TypeAlias = "Yardstick | Mapping[str, Any] | str | Path"


def fpr_yardstick(
    counts: Mapping[str, tuple[int, int]],
    *,
    total_n: int,
    total_positive: int,
    ambiguous: Sequence[str] = (),
    with_ambiguous: bool = False,
    prior_rows: float = PRIOR_ROWS,
    min_n: int = MIN_CELL,
    axis: str = "identity",
    positive: str = "1",
) -> Yardstick:
    """Imbalance of each term: log ratio of the toxicity rate of rows with it to rows without it.

    Parameters
    ----------
    counts : mapping of str to (int, int)
        Rows of the raw training set that name the term, and how many of them are positive.
    total_n, total_positive : int
        All rows, and all positive rows.
    ambiguous : sequence of str
        Terms with another everyday sense; left out of the gap unless `with_ambiguous`.
    with_ambiguous : bool
        Whether ambiguous terms count.
    prior_rows : float
        Rows at the base rate added to each rate, so that a rare term cannot claim a large ratio.
    min_n : int
        Least rows that a term needs to count.
    axis, positive : str
        The axis and the positive label, for the record.

    Returns
    -------
    Yardstick

    Raises
    ------
    InputError
        Fewer than two terms are left, or they do not differ.

    Notes
    -----
    Rows *without* the term are the reference: the overall rate contains the term's own rows.

    Examples
    --------
    >>> stick = fpr_yardstick({"gay": (100, 60), "muslim": (100, 30), "sikh": (5, 0)}, total_n=2000, total_positive=250)
    >>> stick.used
    ('gay', 'muslim')
    >>> stick.c.round(3).tolist()
    [0.399, -0.399]
    """
    if not 0 < total_positive < total_n:
        raise InputError(f"yardstick: {total_positive} of {total_n} raw rows are positive; both labels must occur")
    base = total_positive / total_n
    entries = []
    for name, (n, hits) in sorted(counts.items()):
        if not 0 <= hits <= n <= total_n or hits > total_positive or n - hits > total_n - total_positive:
            raise InputError(
                f'yardstick: term "{name}" has {hits} positives of {n} rows; all rows: {total_positive} of {total_n}'
            )
        rate = (hits + prior_rows * base) / (n + prior_rows)
        without = (total_positive - hits + prior_rows * base) / (total_n - n + prior_rows)
        used = n >= min_n and (with_ambiguous or name not in ambiguous)
        entries.append(Entry(name, n, math.log(rate / without), math.nan, used, hits))
    notes: tuple[str, ...] = ()
    if ambiguous and not with_ambiguous:
        left = [e.name for e in entries if e.name in ambiguous and e.n >= min_n]
        notes = (f"left out of the gap, ambiguous: {', '.join(left)}",) if left else ()
    return Yardstick("fpr", _centre(tuple(entries)), axis, positive, notes=notes)


def tpr_yardstick(
    counts: Mapping[str, tuple[int, int]],
    *,
    first: str = "she",
    second: str = "he",
    min_n: int = MIN_CELL,
    axis: str = "pronouns",
    positive: str | None = None,
) -> Yardstick:
    """Imbalance of each label: the first group's share of its rows.

    Parameters
    ----------
    counts : mapping of str to (int, int)
        For each label, raw training rows of the first and of the second group.
    first, second : str
        The groups. Exchanging them changes the sign of imbalance and of the gaps, hence not of the slope.
    min_n : int
        Least rows in both cells of a label that counts.
    axis, positive : str
        The axis, and the positive label where the task is binary.

    Returns
    -------
    Yardstick

    Raises
    ------
    InputError
        Fewer than two labels are left, or they do not differ.

    Examples
    --------
    >>> stick = tpr_yardstick({"nurse": (90, 40), "surgeon": (40, 160), "dj": (3, 20)})
    >>> stick.used
    ('nurse', 'surgeon')
    >>> stick.c.round(3).tolist()
    [0.246, -0.246]
    """
    entries = tuple(
        Entry(name, one + two, one / max(one + two, 1), math.nan, min(one, two) >= min_n, one)
        for name, (one, two) in sorted(counts.items())
    )
    return Yardstick("tpr", _centre(entries), axis, positive, first, second)


def _float(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _centre(entries: tuple[Entry, ...], note: str = "") -> tuple[Entry, ...]:
    used = [entry.raw for entry in entries if entry.used]
    if len(used) < 2 or max(used) - min(used) < 1e-9:
        names = ", ".join(f"{entry.name} (n={entry.n})" for entry in entries if entry.used) or "none"
        raise InputError(
            f"yardstick: needs two terms or labels with {MIN_CELL} rows and different imbalance; usable: {names}"
            f"{note and '; '}{note}. Use a larger training or test set, or another axis"
        )
    mean = math.fsum(used) / len(used)
    return tuple(replace(entry, c=entry.raw - mean) for entry in entries)


def load(
    source: Source, *, axis: str | None = None, measure: str | None = None, with_ambiguous: bool = False
) -> Yardstick:
    """A yardstick from an audit of the raw training set, from a verdict, or as it is.

    Parameters
    ----------
    source : Yardstick, mapping or path
        `audit.json` (its "yardsticks" section), `verdict.json`, or their contents.
    axis : str, optional
        Needed where the audit holds several.
    measure : {"fpr", "tpr"}, optional
        Needed where the audit holds both.
    with_ambiguous : bool
        Whether ambiguous terms count in the gap.

    Returns
    -------
    Yardstick

    Raises
    ------
    InputError
        The file is no audit, or the choice of axis and measure is not clear.
    """
    if isinstance(source, Yardstick):
        return source
    where = "yardstick"
    if isinstance(source, str | Path):
        where = str(source)
        try:
            record = json.loads(Path(source).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{where}: cannot be read as audit.json: {error}") from error
    else:
        record = dict(source)
    if not isinstance(record, dict):
        raise InputError(f"{where}: holds no audit; give the audit.json of the raw training set")
    if "entries" in record or isinstance(record.get("yardstick"), dict):
        return Yardstick.from_dict(record if "entries" in record else record["yardstick"])
    every = {
        (name, kind): section
        for name, kinds in record.get("yardsticks", {}).items()
        for kind, section in kinds.items()
        if section
    }
    found = {key: section for key, section in every.items() if axis in (None, key[0]) and measure in (None, key[1])}
    if len(found) != 1:
        have = ", ".join(f"{name}/{kind}" for name, kind in every) or "none; audit the raw training set with a label"
        asked = f"asked for axis {axis or 'any'}, measure {measure or 'any'}; there: {have}"
        raise InputError(
            f"{where}: {'several yardsticks fit' if found else 'no yardstick fits'} ({asked}); "
            "give the axis and the measure, fpr or tpr"
        )
    ((name, kind), section) = found.popitem()
    try:
        if kind == "fpr":
            return _audited_fpr(section, axis=name, with_ambiguous=with_ambiguous)
        if kind == "tpr":
            return _audited_tpr(section, axis=name)
    except (KeyError, TypeError) as error:
        raise InputError(f"{where}: the {kind} yardstick of {name} is not complete ({error}); audit again") from error
    raise InputError(f'{where}: measure "{kind}" is unknown; use fpr or tpr')


def _audited_fpr(section: Mapping[str, Any], *, axis: str, with_ambiguous: bool) -> Yardstick:
    entries = []
    for term in sorted(section["terms"], key=lambda term: str(term["group"])):
        n, ambiguous = int(term["n"]), bool(term.get("ambiguous", False))
        used = bool(term.get("in_t", n >= MIN_CELL and not ambiguous)) or (
            with_ambiguous and ambiguous and n >= MIN_CELL
        )
        # An audit may centre c over its own terms; only differences of c are used, so centring again is harmless.
        raw = term.get("c")
        if raw is None:
            used, raw = False, math.nan
        rate = term.get("rate")
        events = math.nan if rate is None else round(float(rate) * n)
        entries.append(Entry(str(term["group"]), n, float(raw), math.nan, used, events))
    return Yardstick("fpr", _centre(tuple(entries)), axis, str(section.get("positive") or "1"))


def _audited_tpr(section: Mapping[str, Any], *, axis: str) -> Yardstick:
    counts = {str(row["label"]): (int(row["n_first"]), int(row["n_second"])) for row in section["labels"]}
    first, second = str(section["first"]), str(section["second"])
    positive = None if section.get("positive") is None else str(section["positive"])
    return tpr_yardstick(counts, first=first, second=second, axis=axis, positive=positive)
