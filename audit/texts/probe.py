"""A linear probe: logistic regression that tells one group's texts from another's, scored on rows it has not seen.

The label of a row is given to the probe (as an offset), so what it learns from the text is what the label does not say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ...data.features import BITS, Matrix, distinct_keys, places, word_hashes
from ...data.hashing import Keys, combine, mix, uniform
from ...data.tokens import Tokens

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

C = 0.1
"""Inverse strength of the L2 penalty."""

MIN_ROWS = 3
"""Rows that must have a feature."""

FOLDS = 5
_WORKERS = 2
_ITERATIONS = 100


def logistic(features: Matrix, target: Bools, offset: Floats, *, c: float = C) -> Floats:
    """Fit a logistic regression without an intercept of its own.

    Parameters
    ----------
    features : scipy.sparse.csr_matrix
        One row a text.
    target : bool array
        One entry a row.
    offset : float64 array
        Log odds of each row before its features are looked at.
    c : float
        Inverse strength of the penalty.

    Returns
    -------
    float64 array
        One coefficient a column.

    Notes
    -----
    Minimises ``c Σ loss + |coef|²/2`` by L-BFGS (scipy), to a relative change of 1e-4: by then the order of the
    scores, which is all that is used, is settled. scikit-learn's logistic regression knows no offset; without one, and
    with one column a label in its place, it needs three to six times as long for the same scores.

    Examples
    --------
    >>> import scipy.sparse as sparse
    >>> x = sparse.csr_matrix(np.array([[1.0, 0.0], [0.0, 1.0]] * 10))
    >>> coef = logistic(x, np.array([True, False] * 10), np.zeros(20))
    >>> bool(coef[0] > 0 > coef[1])
    True
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    sign = np.where(target, 1.0, -1.0)
    turned = features.T

    def value(coef: Floats) -> tuple[float, Floats]:
        margin = sign * (features @ coef + offset)
        # log(1 + exp(-margin)), without overflow.
        loss = np.maximum(-margin, 0) + np.log1p(np.exp(-np.abs(margin)))
        slope = -c * sign * expit(-margin)
        return c * float(loss.sum()) + float(coef @ coef) / 2, turned @ slope + coef

    options = {"maxiter": _ITERATIONS, "ftol": 1e-4, "gtol": 1e-9, "maxcor": 8}
    found = minimize(value, np.zeros(features.shape[1]), jac=True, method="L-BFGS-B", options=options)
    coef: Floats = found.x
    return coef


def offsets(target: Bools, stratum: Ints, *, train: Bools) -> Floats:
    """Log odds of the first group in each row's stratum, half a row added to each, from the training rows."""
    strata = int(stratum.max(initial=0)) + 1
    first = np.bincount(stratum[train], target[train], strata)
    rows = np.bincount(stratum[train], minlength=strata)
    odds = np.log(first + 0.5) - np.log(rows - first + 0.5)
    found: Floats = odds[stratum]
    return found


def folds_of(cluster: Ints, key: Keys, *, folds: int = FOLDS, seed: int = 0) -> Ints:
    """A fold for each row, the same for all rows of a cluster, from the smallest key of the cluster.

    Examples
    --------
    >>> keys = np.array([5, 6, 7], np.uint64)
    >>> fold = folds_of(np.array([0, 0, 2]), keys)
    >>> bool(fold[0] == fold[1])
    True
    """
    smallest = np.full(int(cluster.max(initial=-1)) + 1, 2**64 - 1, np.uint64)
    np.minimum.at(smallest, cluster, key)
    place = uniform(mix(smallest[cluster], salt=(seed, "evenset.folds")))
    return (place * folds).astype(np.int64)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Scores of all rows, each from a probe that was fitted without the row's fold.

    Attributes
    ----------
    score : float64 array
        Log odds of the first group from the text alone, the offset not added. Comparable within a fold only.
    fold : int64 array
    columns : int64 array
        Features in use.
    coef : float64 array of shape (folds, columns)
    scale : float64 array
        What each feature of a row is worth: one over the square root of their number.
    """

    score: Floats
    fold: Ints
    columns: Ints
    coef: Floats
    scale: Floats


def held_out(features: Matrix, columns: Ints, target: Bools, stratum: Ints, fold: Ints, *, c: float = C) -> HeldOut:
    """Fit one probe a fold and score the rows it has not seen.

    Parameters
    ----------
    features : scipy.sparse.csr_matrix
        Narrowed to `columns`.
    columns : int64 array
        What its columns are called, for `Removal`.
    target : bool array
        Rows of the first group.
    stratum : int64 array
        Label of each row.
    fold : int64 array
        From `folds_of`.
    c : float
        As for `logistic`.
    """
    count = int(fold.max(initial=0)) + 1
    score, coef = np.zeros(len(target)), np.zeros((count, features.shape[1]))

    def one(k: int) -> None:
        train = fold != k
        coef[k] = logistic(features[train], target[train], offsets(target, stratum, train=train)[train], c=c)
        score[~train] = features[~train] @ coef[k]

    _run(one, range(count))
    size = np.diff(features.indptr)
    return HeldOut(score, fold, columns, coef, 1 / np.sqrt(np.maximum(size, 1)))


def refits(features: Matrix, targets: Sequence[Bools], stratum: Ints, fold: Ints, *, c: float = C) -> Iterator[Floats]:
    """Held-out scores for several targets on the same rows and folds."""
    count = int(fold.max(initial=0)) + 1
    scores = np.zeros((len(targets), features.shape[0]))
    for k in range(count):
        train = fold != k
        inside, outside = features[train], features[~train]

        def one(which: int, train: Bools = train, inside: Any = inside, outside: Any = outside) -> None:
            target = targets[which]
            coef = logistic(inside, target[train], offsets(target, stratum, train=train)[train], c=c)
            scores[which, ~train] = outside @ coef

        _run(one, range(len(targets)))
    yield from scores


def _run(task: Any, numbers: Sequence[int]) -> None:
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="evenset-probe") as pool:
        list(pool.map(task, numbers))


def permuted(target: Bools, stratum: Ints, cluster: Ints, *, key: Keys, seed: int) -> Bools:
    """The groups of the rows, shuffled among rows of the same label.

    Parameters
    ----------
    target : bool array
        Rows of the first group.
    stratum : int64 array
        Label of each row.
    cluster : int64 array
        Rows of a cluster with one label move together: their groups go to another cluster with as many such rows.
    key : uint64 array
        Key of each row, so that the order of the rows does not matter.
    seed : int
        Each gives another shuffle.

    Examples
    --------
    >>> target = np.array([True, True, False, False])
    >>> where = np.zeros(4, np.int64), np.array([0, 0, 1, 1])
    >>> keys = np.arange(4, dtype=np.uint64)
    >>> sorted({tuple(permuted(target, *where, key=keys, seed=s).tolist()) for s in range(20)})
    [(False, False, True, True), (True, True, False, False)]
    """
    unit = np.unique(np.stack([stratum, cluster]), axis=1, return_inverse=True)[1].ravel()
    size = np.bincount(unit)
    # Two orders of the rows: by unit as it is, and by units shuffled among those of the same label and size.
    smallest = np.full(len(size), 2**64 - 1, np.uint64)
    np.minimum.at(smallest, unit, key)
    drawn = mix(smallest, salt=(seed, "evenset.permuted"))
    here = np.lexsort((key, unit, smallest[unit], size[unit], stratum))
    there = np.lexsort((key, unit, drawn[unit], size[unit], stratum))
    found = np.empty_like(target)
    found[here] = target[there]
    return found


class Removal:
    """What single words contribute to held-out scores, so that they can be left out without fitting again.

    Parameters
    ----------
    tokens : Tokens
        The texts.
    keep : bool array
        The tokens that the probe saw.
    rows : int64 array
        The rows of the texts that the probe was fitted on, in its order.
    probe : HeldOut
    """

    def __init__(self, tokens: Tokens, keep: Bools, rows: Ints, probe: HeldOut) -> None:
        self._number = np.full(tokens.n_rows, -1, np.int64)
        self._number[rows] = np.arange(len(rows))
        seen = np.flatnonzero(keep & (self._number[tokens.rows()] >= 0))
        self._row = self._number[tokens.rows()[seen]]
        self._hash = word_hashes(tokens)[seen]
        self._ids = tokens.ids[seen]
        self._known: dict[str, list[int]] = {}
        for at, word in enumerate(tokens.folded):
            self._known.setdefault(word, []).append(at)
        self._column = np.full(1 << BITS, -1, np.int32)
        self._column[probe.columns] = np.arange(len(probe.columns))
        self._probe = probe

    def contribution(self, word: str) -> tuple[Floats, int]:
        """What a word, and the pairs that it is part of, add to the score of each row; and how many rows have it."""
        ids = np.array(self._known.get(word, []), self._ids.dtype)
        at = np.flatnonzero(np.isin(self._ids, ids))
        if not len(at):
            return np.zeros(len(self._probe.score)), 0
        last = len(self._row) - 1
        keys = [_key(self._row[at], self._hash[at])]
        for left in (at[at > 0] - 1, at[at < last]):
            pair = left[self._row[left] == self._row[left + 1]]
            keys.append(_key(self._row[pair], combine(self._hash[pair], self._hash[pair + 1])))
        key = distinct_keys(np.concatenate(keys))
        row = (key >> np.uint64(BITS)).astype(np.int64)
        column = self._column[(key & np.uint64((1 << BITS) - 1)).astype(np.int64)]
        row, column = row[column >= 0], column[column >= 0]
        weight = self._probe.coef[self._probe.fold[row], column] * self._probe.scale[row]
        return np.bincount(row, weight, len(self._probe.score)).astype(np.float64), len(np.unique(self._row[at]))


def _key(row: Ints, hashes: Keys) -> Keys:
    found: Keys = row.astype(np.uint64) << np.uint64(BITS) | places(hashes)
    return found
