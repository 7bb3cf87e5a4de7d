"""Proxies: words that tell the group of a row without naming it, and are not what the task is about.

A word is one when it (a) does not name a group of the axis, (b) leans the same way in word vectors, where such are
given, (c) goes with one side within labels, surely and by more than a trifle, and not only since texts there
are longer, and (d) tells more about the group than about the label. What failed one of the last rules is listed apart.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..data.errors import InputError
from .definitional import definitional_words
from .findings import LEVEL, MINIMUM_ROWS
from .intervals import z_of
from .keyness import Keyness, keyness
from .proxy_report import NEAR, Kind, Proxy, ProxyReport
from .sides import Against, sides_of

if TYPE_CHECKING:
    from .intervals import Floats
    from .tally import Tally

MINIMUM_DOCUMENTS = 20
LEAST_EVENTS = 5
"""Documents of the favoured side that a word needs to be called a proxy."""
LIMIT = math.log(1.25)
RATE = 0.05
LEAST_SHARE = math.log(1.1)
"""Least log odds of the word among all words: texts that are longer hold more of every word."""
LEAN = 1.0
SAME_SIGN = 0.9
MOST_NEAR = 50

Femaleness = Mapping[str, tuple[float, float, float]]

_SPARSE_LABELS = 3
_SPARSE_SHARE = 0.8


def proxies(
    tally: Tally,
    axis: str,
    *,
    femaleness: Femaleness | None = None,
    definitional: Collection[str] | None = None,
    against: Against | None = None,
    minimum: int = MINIMUM_DOCUMENTS,
    limit: float = LIMIT,
    rate: float = RATE,
    lean: float = LEAN,
) -> ProxyReport:
    """Find the words that tell the group of a row.

    Parameters
    ----------
    tally : Tally
        With its words.
    axis : str
        Its name.
    femaleness : mapping of word to (mean, standard deviation, share of runs with the sign of the mean), optional
        How far word vectors of several runs lean to the first of the two groups. Without it rule (b) does not apply.
    definitional : collection of str, optional
        Words that name the groups, in place of `definitional_words`.
    against : {"others", "rest"}, optional
        As in `sides_of`.
    minimum : int
        Documents on both sides together that a word needs to be tested.
    limit : float
        Least log odds ratio that matters.
    rate : float
        Of false discoveries (Benjamini & Hochberg 1995), over all words and contrasts of the axis.
    lean : float
        Least distance of a lean from 0, in robust standard deviations of all leans.

    Raises
    ------
    InputError
        When the tally has no such axis, counts no words, or an argument is out of its range.

    Examples
    --------
    >>> from evenset.audit.tally import Tally, total
    >>> from evenset.data.axes import parse_axes
    >>> from evenset.data.dataset import Dataset
    >>> from evenset.data.sample import bios
    >>> from evenset.data.scan import scan
    >>> data = Dataset.of(bios(3000, 0)[0], text="text", label="label")
    >>> axes = parse_axes(["pronouns"], names=data.names)
    >>> parts = (Tally.of(scanned, axes, words=True) for scanned in scan(data, axes))
    >>> report = proxies(total(parts, start=Tally.zero(axes, words=True)), "pronouns")
    >>> [(proxy.word, proxy.group) for proxy in report.proxies[:4]]
    [('ballet', 'she'), ('rugby', 'he'), ('knitting', 'she'), ('fishing', 'he')]
    """
    if minimum < 1:
        raise InputError(f"proxies: minimum is {minimum}; a word needs at least 1 document")
    if not 0 < rate < 1 or limit < 0:
        raise InputError("proxies: rate must be between 0 and 1, and limit not below 0")
    excluded = definitional_words(tally, axis) if definitional is None else frozenset(definitional)
    seen = rare = named = 0
    found: list[_Contrast] = []
    for sides in sides_of(tally, axis, against=against, least=MINIMUM_ROWS):
        enough = sides.totals >= minimum
        free = np.array([word not in excluded for word in sides.words], np.bool_)
        seen += len(sides.words)
        named += int((~free).sum())
        rare += int((free & ~enough).sum())
        chosen = sides.keep(np.flatnonzero(enough & free))
        rows = sides.rows.sum(axis=1)
        names = (sides.first, sides.second)
        found.append(_Contrast(*names, sides.labels, chosen.words, int(rows.min()), int(rows.sum()), keyness(chosen)))
    if femaleness is not None and len(found) != 1:
        raise InputError(f'axis "{axis}" contrasts no two groups, so there is no direction for word vectors to lean in')
    judged = _judge(found, femaleness, limit=limit, rate=rate, lean=lean)
    by_kind: dict[str, list[Proxy]] = {"proxy": [], **{kind: [] for kind in NEAR}}
    for proxy in sorted(judged, key=lambda one: (-one.about_group, one.word, one.group)):
        by_kind[proxy.kind].append(proxy)
    count = sum(len(one.words) for one in found)
    near = [proxy for kind in NEAR for proxy in by_kind[kind][:MOST_NEAR]]
    return ProxyReport(
        axis=axis,
        status="found" if by_kind["proxy"] else "none" if count else "unclear",
        note=_note(tally, axis, found, count, minimum),
        proxies=tuple(by_kind["proxy"]),
        near=tuple(near),
        near_counts={kind: len(by_kind[kind]) for kind in NEAR},
        seen=seen,
        rare=rare,
        definitional=named,
        tested=count,
        rows=max((one.rows for one in found), default=0),
        labels=max((len(one.labels) for one in found), default=0),
        minimum=minimum,
        limit=math.exp(limit),
        rate=rate,
        bound=0 if tally.words is None else tally.words.bound,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Contrast:
    """One contrast after its words were counted: what is needed to judge and name them."""

    first: str
    second: str
    labels: tuple[str | None, ...]
    words: tuple[str, ...]
    smaller: int
    rows: int
    key: Keyness


def _judge(
    found: Sequence[_Contrast], femaleness: Femaleness | None, *, limit: float, rate: float, lean: float
) -> Iterable[Proxy]:
    if not found:
        return
    cuts = np.cumsum([len(one.words) for one in found])[:-1]
    q_all, q_label_all = (
        np.split(_q_values(np.concatenate(parts)), cuts)
        for parts in ([one.key.p for one in found], [one.key.p_labels for one in found])
    )
    leans = None if femaleness is None else _Leans(femaleness, lean)
    for contrast, q, q_labels in zip(found, q_all, q_label_all, strict=True):
        key = contrast.key
        nearest = np.where(key.log_odds > 0, key.low, -key.high) - key.slack
        sure = (q <= rate) & (nearest > limit)
        sure &= np.where(key.log_odds > 0, key.first, key.second) >= LEAST_EVENTS
        opposed = (q > rate) & (q_labels <= rate) & (key.p_differs <= rate)
        if len(found) > 1:  # a word that a group avoids is one of the others'
            sure &= key.log_odds > 0
        for at in np.flatnonzero(sure | opposed).tolist():
            mixed = bool(opposed[at])
            yield _proxy(contrast, at, float((q_labels if mixed else q)[at]), opposed=mixed, leans=leans)


def _q_values(p: Floats) -> Floats:
    """What could not be tested stays out of the family."""
    from .screening import benjamini_hochberg

    q = np.full(len(p), np.inf)
    known = np.flatnonzero(~np.isnan(p))
    q[known] = benjamini_hochberg(p[known])
    return q


class _Leans:
    """Rule (b)."""

    def __init__(self, femaleness: Femaleness, lean: float) -> None:
        means = np.array([mean for mean, _, _ in femaleness.values()])
        spread = 1.4826 * float(np.median(np.abs(means - np.median(means)))) if len(means) else math.nan
        self.least = lean * spread
        self.of = femaleness

    def fault(self, word: str, sign: float) -> str:
        """Why the word's lean does not bear out that it goes with a side; empty if it does."""
        if word not in self.of:
            return "word vectors say nothing sure of it"
        mean, _, same = self.of[word]
        if same < SAME_SIGN:
            return f"its word vectors lean to one side in {same:.0%} of runs only"
        if not abs(mean) >= self.least:
            return "its word vectors hardly lean to a side"
        return "" if mean * sign > 0 else "its word vectors lean to the other side"


def _proxy(sides: _Contrast, at: int, q: float, *, opposed: bool, leans: _Leans | None) -> Proxy:
    word, key = sides.words[at], sides.key
    turned = bool(key.log_odds[at] < 0) and not opposed
    sign = -1.0 if turned else 1.0
    ends = sorted((sign * float(key.low[at]), sign * float(key.high[at])))
    about_group, about_label = float(key.about_group[at]), float(key.about_label[at])
    fault = "" if leans is None else leans.fault(word, sign)
    group, other = (sides.second, sides.first) if turned else (sides.first, sides.second)
    kind: Kind
    if opposed:
        kind, why = "opposed", f"goes with {group} in some labels and with {other} in others, which cancel"
    else:
        why = f"goes with {group} within labels"
        if math.isnan(about_label):
            why += "; with one label it cannot be told from a word of the task"
        if about_label > about_group:
            kind, why = "task", f"{why}, but tells more about the label than about the group"
        elif sign * float(key.z[at]) < z_of(LEVEL) or sign * float(key.delta[at]) < LEAST_SHARE:
            kind, why = "length", f"{why}, but hardly makes up more of the words there: texts are longer"
        elif fault:
            kind, why = "unstable", f"{why}, but {fault}"
        else:
            kind = "proxy"
            why += "" if math.isnan(about_label) else "; tells more about the group than about the label"
            why += "" if leans is None else "; its word vectors lean the same way"
    first, second = int(key.first[at]), int(key.second[at])
    few = len(sides.labels) > _SPARSE_LABELS and int(key.labels[at]) < _SPARSE_LABELS
    return Proxy(
        word=word,
        group=group,
        against=other,
        kind=kind,
        n=first + second,
        group_n=second if turned else first,
        odds_ratio=math.exp(sign * float(key.log_odds[at])),
        low=math.exp(ends[0]),
        high=math.exp(ends[1]),
        q=q,
        z=sign * float(key.z[at]),
        about_group=about_group,
        about_label=about_label,
        auc=float(key.auc[at]),
        femaleness=None if leans is None or word not in leans.of else float(leans.of[word][0]),
        labels=int(key.labels[at]),
        sparse=few or (len(sides.labels) > 1 and bool(key.top_share[at] > _SPARSE_SHARE)),
        why=why,
    )


def _note(tally: Tally, axis: str, found: Sequence[_Contrast], tested: int, minimum: int) -> str:
    """What a reader has to know besides; where nothing was tested, why."""
    if not found:
        return f'no group of the axis "{axis}" sets a status'
    smaller = [one.smaller for one in found]
    if not max(smaller):
        return "no label has two rows on both sides, so there is nothing to compare"
    if max(smaller) < MINIMUM_ROWS:
        return f"insufficient: the smaller side has {max(smaller)} rows; {MINIMUM_ROWS} are needed"
    if not tested:
        return f"insufficient: no word that may be a proxy stands in {minimum} documents"
    notes = []
    thin = sum(rows < MINIMUM_ROWS for rows in smaller)
    if thin:
        notes.append(f"{thin} of {len(found)} groups have fewer than {MINIMUM_ROWS} rows to compare and were left out")
    if all(len(one.labels) <= 1 for one in found):
        notes.append("with fewer than two labels, words of the task cannot be told apart")
    if tally.words is not None and tally.words.bound:
        notes.append(f"each count may fall short by at most {tally.words.bound:,} documents, which is allowed for")
    return "; ".join(notes)
