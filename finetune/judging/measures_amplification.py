"""Directional bias amplification: does a model give a group its usual label more often than is true?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...audit.findings import MINIMUM_ROWS as MIN_CELL
from .gaps import Measured, decided
from .inference import Clusters
from .scores import Floats, ScoreSet
from .stats import Stat
from .yardstick import Yardstick


def directions(stick: Yardstick, labels: Sequence[str], positive: str | None) -> dict[tuple[str, str], int]:
    """For each (group, label), whether they go together in the raw training rows (1) or shun each other (-1).

    Parameters
    ----------
    stick : Yardstick
        Of all its entries, those in the gap or not: of terms and the positive label, or of labels and the two groups.
    labels : sequence of str
        Of the task.
    positive : str or None
        The positive label; needed for terms.

    Returns
    -------
    dict
        The sign of P(a, t) - P(a) P(t); pairs whose sign is 0 or not known are left out.

    Examples
    --------
    >>> from .yardstick import tpr_yardstick
    >>> stick = tpr_yardstick({"nurse": (90, 40), "surgeon": (40, 160)})
    >>> directions(stick, ["nurse", "surgeon"], None)[("she", "surgeon")]
    -1
    """
    found: dict[tuple[str, str], float] = {}
    if stick.kind == "fpr":
        # The log ratio of the rate with the term to that without has the sign of P(a, t) - P(a) P(t).
        found = {(entry.name, positive or ""): entry.raw for entry in stick.entries}
    else:
        known = [entry for entry in stick.entries if entry.n and entry.name in labels]
        rows, first = sum(entry.n for entry in known), sum(entry.raw * entry.n for entry in known)
        for entry in known:
            excess = entry.raw - first / rows
            found |= {(stick.first, entry.name): excess, (stick.second, entry.name): -excess}
    return {pair: int(np.sign(value)) for pair, value in found.items() if np.isfinite(value) and abs(value) > 1e-12}


def amplification(scores: ScoreSet, measured: Measured, runs: Sequence[int]) -> Stat | None:
    """BiasAmp from groups to labels, on the test rows.

    Parameters
    ----------
    scores : ScoreSet
        All runs.
    measured : Measured
        Of the same runs: yardstick and thresholds.
    runs : sequence of int
        The arm's.

    Returns
    -------
    Stat or None
        None without test rows of a group (at least 30). Positive: predictions follow the training data's association
        of group and label more than the test labels do.

    Notes
    -----
    Wang and Russakovsky 2021, A→T: the mean over (a, t) of ``y_at (P(T'=t | A=a) - P(T=t | A=a))``, ``y_at`` the sign
    of ``P(a, t) - P(a) P(t)`` in the training data. Of two exclusive groups only rows of one of them count.
    """
    test, stick, positive = scores.items.get("test"), measured.design.stick, measured.design.positive
    if test is None:
        return None
    signs = directions(stick, scores.labels, positive)
    member = {group: test.member(group) for group in dict.fromkeys(group for group, _ in signs)}
    if stick.kind == "tpr" and set(member) >= {stick.first, stick.second}:
        one, two = member[stick.first], member[stick.second]
        member = {stick.first: one & ~two, stick.second: two & ~one}
    rows = {group: np.flatnonzero(mask) for group, mask in member.items() if mask.sum() >= MIN_CELL}
    pairs = [(rows[group], scores.labels.index(label), sign) for (group, label), sign in signs.items() if group in rows]
    if not pairs:
        return None
    values, influence = np.zeros(len(runs)), np.zeros(test.n)
    for number, at in enumerate(runs):
        predicted = decided(scores, "test", at, measured.runs[at].threshold, positive)
        for mine, code, sign in pairs:
            more: Floats = (predicted[mine] == code).astype(np.float64) - (test.label[mine] == code)
            mean = more.mean()
            values[number] += sign * mean / len(pairs)
            influence[mine] += sign * (more - mean) / (len(mine) * len(pairs) * len(runs))
    touched = np.unique(np.concatenate([mine for mine, _, _ in pairs]))
    return Stat(values, influence[touched], Clusters.of(test.clusters[:, touched]), len(touched))
