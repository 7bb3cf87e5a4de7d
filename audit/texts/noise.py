"""Labels that a model reads otherwise, by group: labels wrong more often for one group make bias figures wrong too."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...data.features import Matrix, features_of, frequent, narrowed
from ...data.hashing import combine
from ...data.match import Matcher
from ..findings import LEVEL
from ..intervals import z_of
from .copies import Share, share_by_cluster
from .gender_checks import gendered, hidden, matched
from .probe import MIN_ROWS, folds_of, logistic
from .quality import QualityFinding

if TYPE_CHECKING:
    from ...data.axes import Axis
    from ...data.hashing import Keys
    from .sampling import Rows

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

LEAST_ROWS = 50
MOST_ROWS = 8_000
MOST_GROUPS = 8
FOLDS = 3
C = 1.0


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How often labels and model disagree in two sets of rows.

    Attributes
    ----------
    first, second : Share
        Rows whose label the model contradicts with confidence.
    difference, low, high : float
        First minus second among rows of the same label.
    sd : float
        Standard error of the difference.
    """

    first: Share
    second: Share
    difference: float
    low: float
    high: float
    sd: float


def contradicted(features: Matrix, label: Ints, cluster: Ints, key: Keys, *, seed: int = 0) -> Bools | None:
    """Rows whose label is contradicted by a model that has not seen them.

    Parameters
    ----------
    features : scipy.sparse.csr_matrix
        From `features_of`.
    label : int64 array
        From 0.
    cluster, key : array
        As for `folds_of`.
    seed : int
        Of the folds.

    Returns
    -------
    bool array, or None
        When fewer than two labels have 50 rows.

    Notes
    -----
    Confident learning (Northcutt, Jiang and Chuang 2021): out-of-fold probabilities of one logistic regression a label;
    a row's label is contradicted when another label's probability is at least that label's mean among its own rows, and
    the largest of those that are. Labels with fewer than 50 rows neither contradict nor are contradicted.
    """
    size = np.bincount(label)
    known = np.flatnonzero(size >= LEAST_ROWS)
    if len(known) < 2:
        return None
    columns = frequent(features, cluster.astype(np.uint64), least=MIN_ROWS)
    x = narrowed(features, columns)
    fold = folds_of(cluster, key, folds=FOLDS, seed=seed)
    scores = np.zeros((len(label), len(known)))
    for k in range(FOLDS):
        train = fold != k
        inside, outside = x[train], x[~train]
        for place, one in enumerate(known.tolist() if len(known) > 2 else known[1:].tolist(), start=len(known) == 2):
            target = label[train] == one
            base = math.log((target.sum() + 0.5) / ((~target).sum() + 0.5))
            scores[~train, place] = outside @ logistic(inside, target, np.full(len(target), base), c=C) + base
    odds = np.exp(np.minimum(scores, 30))
    if len(known) > 2:
        odds = odds / (1 + odds)
    share = odds / odds.sum(axis=1, keepdims=True)
    own = label[:, None] == known
    threshold = np.array([share[own[:, k], k].mean() for k in range(len(known))])
    sure = np.where(share >= threshold, share, -1.0)
    best = sure.argmax(axis=1)
    found: Bools = (sure.max(axis=1) > 0) & (known[best] != label) & np.isin(label, known)
    return found


def compared(
    wrong: Bools, first: Bools, second: Bools, label: Ints, cluster: Ints, *, level: float = LEVEL
) -> Disagreement | None:
    """Hold two sets of rows against each other, label by label.

    Parameters
    ----------
    wrong : bool array
        From `contradicted`.
    first, second : bool array
        The two sets.
    label, cluster : int64 array
        Of each row.
    level : float
        Confidence level.

    Returns
    -------
    Disagreement, or None
        When either set has fewer than 50 rows.

    Notes
    -----
    Differences within labels weighed n₁n₀/(n₁+n₀) (Mantel and Haenszel). The variance is by cluster, and never less
    than that under equal rates, which does not vanish where one of the sets has no such row.
    """
    if min(first.sum(), second.sum()) < LEAST_ROWS:
        return None
    n1, n0 = (np.bincount(label[side], minlength=int(label.max()) + 1).astype(float) for side in (first, second))
    weight = np.where((n1 > 0) & (n0 > 0), n1 * n0 / np.maximum(n1 + n0, 1), 0.0)
    if not weight.any():
        return None
    weight /= weight.sum()
    influence, difference = np.zeros(len(wrong)), 0.0
    for side, n, sign in ((first, n1, 1.0), (second, n0, -1.0)):
        rate = np.bincount(label[side], wrong[side], len(n)) / np.maximum(n, 1)
        difference += sign * float(weight @ rate)
        at = np.flatnonzero(side)
        influence[at] = sign * weight[label[at]] * (wrong[at] - rate[label[at]]) / n[label[at]]
    sums = np.bincount(cluster, influence)
    used = weight > 0
    either = first | second
    p = np.bincount(label[either], wrong[either], len(n1))[used] / (n1 + n0)[used]
    equal = float((weight[used] ** 2 * p * (1 - p) * (1 / n1[used] + 1 / n0[used])).sum())
    sd = math.sqrt(max(float(sums @ sums), equal))
    half = z_of(level) * sd
    one, other = (share_by_cluster(wrong[side], cluster[side]) for side in (first, second))
    return Disagreement(one, other, difference, difference - half, difference + half, sd)


def disagreements(rows: Rows, axes: Sequence[Axis], cluster: Ints, seed: int) -> Iterator[QualityFinding]:
    """Where labels and a model that has not seen them disagree more for one group, in at most 8,000 rows."""
    at = np.flatnonzero(rows.label >= 0)[:MOST_ROWS]
    if not len(at):
        return
    part = rows.take(at)
    unit = np.unique(cluster[at], return_inverse=True)[1].astype(np.int64)
    key = combine(part.key, np.arange(part.n, dtype=np.uint64))
    for axis in axes:
        # The model must not read the group itself, or labels that are biased, not wrong, would look wrong.
        keep = np.ones(part.tokens.n, np.bool_)
        for lexicon in axis.lexicons():
            keep &= ~matched(part.tokens, Matcher(lexicon))
        if axis.kind == "column" and gendered(part.tokens, part.members[axis.name], unit) is not None:
            keep &= ~hidden(part.tokens, ("pronouns", "gendered_nouns"))
        wrong = contradicted(features_of(part.tokens, keep), part.label, unit, key, seed=seed)
        if wrong is None:
            continue
        pairs = [(name, compared(wrong, one, two, part.label, unit)) for name, one, two in _pairs(part, axis)]
        found = [(name, one) for name, one in pairs if one is not None]
        for name, one in found:
            yield _disagreement(axis.name, name, one, among=len(found))


def _disagreement(axis: str, name: str, found: Disagreement, *, among: int) -> QualityFinding:
    apart = abs(found.difference) > z_of(1 - 0.05 / among) * found.sd
    return QualityFinding(
        "label_disagreement",
        f"{axis}:{name}",
        "warn" if apart else "info",
        found.difference,
        found.low,
        found.high,
        found.first.n + found.second.n,
        f"{name}: a model that has not seen the row reads another label with confidence in {found.first.estimate:.1%} "
        f"against {found.second.estimate:.1%} of rows; among rows of one label the difference is "
        f"{100 * found.difference:.1f} points ({100 * found.low:.1f} to {100 * found.high:.1f})",
        "read some rows of the group where they disagree more: labels may be wrong more often there, the texts harder "
        "to read, or the model may have learnt a bias of the data; this figure cannot tell which"
        if apart
        else "",
    )


def _pairs(rows: Rows, axis: Axis) -> Iterator[tuple[str, Bools, Bools]]:
    member = rows.members[axis.name]
    names = sorted({group for pattern in member.patterns for group in pattern if axis.info(group).status})
    sides = {name: member.rows_with(name) for name in names}
    status = axis.status_groups
    if len(names) == 2 and axis.kind != "intersection" and (status is None or len(status) == 2):
        one, other = names if status is None else status
        both = sides[one] & sides[other]
        yield f"{one}/{other}", sides[one] & ~both, sides[other] & ~both
        return
    for name in sorted(names, key=lambda name: (-int(sides[name].sum()), name))[:MOST_GROUPS]:
        yield name, sides[name], ~sides[name]
