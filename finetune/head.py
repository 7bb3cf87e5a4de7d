"""A logistic regression on features that are given: the head of an encoder that stays as it is."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.errors import InputError
from .rows import Floats, Ints

C = 0.01
"""Inverse strength of the head's L2 penalty, on standardised features."""

# Chosen once, by threefold cross-validation on 2,000 raw training rows of BUG (21 professions) and of Gab, features of
# MiniLM-L6. C of .001, .003, .01, .03, .1, .3, 1: log loss 2.20, 2.01, 1.98, 2.17, 2.66, 3.30, 4.14 on BUG and .233,
# .218, .218, .239, .297, .403, .592 on Gab; macro-F1 .169, .234, .286, .280, .270, .263, .260 on BUG; AUC .858, .856,
# .843, .822, .799, .781, .767 on Gab.

TOLERANCE = 1e-5
MAX_ITERATIONS = 1000


@dataclass(frozen=True, eq=False, slots=True)
class Head:
    """A logistic regression on standardised features.

    Attributes
    ----------
    mean, scale : numpy.ndarray
        Of each feature over the weighted training rows.
    coef, intercept : numpy.ndarray
        Classes × features and classes; for two classes those of the second, one row.
    classes : numpy.ndarray
        Label code of each output; labels without a training row have none.
    n_labels : int
    converged : bool
    iterations : int
    """

    mean: Floats
    scale: Floats
    coef: Floats
    intercept: Floats
    classes: Ints
    n_labels: int
    converged: bool
    iterations: int

    def probabilities(self, features: npt.NDArray[Any]) -> Floats:
        """Probability of each label, rows × labels; a label that was never trained on has 0."""
        scores = ((features - self.mean) / self.scale) @ self.coef.T + self.intercept
        if len(self.classes) == 2:
            scores = np.hstack([np.zeros_like(scores), scores])
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        found = np.zeros((len(scores), self.n_labels))
        found[:, self.classes] = odds / odds.sum(axis=1, keepdims=True)
        return found


def fit(features: npt.NDArray[Any], code: Ints, weight: Floats, *, n_labels: int) -> Head:
    """Fit a head to weighted rows.

    Parameters
    ----------
    features : numpy.ndarray
        Rows × features.
    code : numpy.ndarray
        Label of each row, below `n_labels`.
    weight : numpy.ndarray
        Rows of weight 0 take no part.
    n_labels : int
        Of the task.

    Raises
    ------
    InputError
        No row has a weight.

    Notes
    -----
    scikit-learn's StandardScaler and LogisticRegression (L-BFGS), both with the rows' weights: ``C * sum w_i loss_i +
    |coef|²/2`` with C = 0.01.

    Examples
    --------
    >>> head = fit(np.array([[0.0], [1.0], [2.0]]), np.array([0, 1, 1]), np.ones(3), n_labels=3)
    >>> head.probabilities(np.array([[2.0]])).round(1).tolist()
    [[0.3, 0.7, 0.0]]
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    rows = np.flatnonzero(weight > 0)
    if not len(rows):
        raise InputError("there is no row to train on: the plan dropped all rows, or gave all of them weight 0")
    used, own = np.asarray(features, np.float64)[rows], weight[rows]
    scaler = StandardScaler().fit(used, sample_weight=own)
    mean, scale = np.asarray(scaler.mean_, np.float64), np.asarray(scaler.scale_, np.float64)
    classes = np.unique(code[rows]).astype(np.int64)
    if len(classes) == 1:
        coef = np.zeros((1, used.shape[1]))
        return Head(mean, scale, coef, np.zeros(1), classes, n_labels, converged=True, iterations=0)
    model = LogisticRegression(C=C, tol=TOLERANCE, max_iter=MAX_ITERATIONS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit((used - mean) / scale, code[rows], sample_weight=own)
    return Head(
        mean,
        scale,
        coef=np.asarray(model.coef_, np.float64),
        intercept=np.asarray(model.intercept_, np.float64),
        classes=classes,
        n_labels=n_labels,
        converged=not any(issubclass(entry.category, ConvergenceWarning) for entry in caught),
        iterations=int(np.max(model.n_iter_)),
    )


def save(head: Head, path: Path, **more: Any) -> None:
    """Write a head's arrays, and others beside them, as `.npz`."""
    from ..data.files import atomic

    names = ("mean", "scale", "coef", "intercept", "classes")
    own: dict[str, Any] = {name: getattr(head, name) for name in names}
    with atomic(path) as part, part.open("wb") as handle:
        np.savez(handle, **own, **more)
