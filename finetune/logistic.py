"""A weighted logistic regression over a task's labels, shared by the linear model and the head of frozen features."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data.errors import InputError
from .rows import Floats, Ints


@dataclass(frozen=True, eq=False, slots=True)
class Logistic:
    """Coefficients, and what became of the fit.

    Attributes
    ----------
    coef, intercept : numpy.ndarray
        Classes × features and classes; for two classes those of the second, one row.
    classes : numpy.ndarray
        Label code of each output; labels without a training row have none.
    n_labels : int
    converged : bool
    iterations : int
    """

    coef: Floats
    intercept: Floats
    classes: Ints
    n_labels: int
    converged: bool
    iterations: int

    def probabilities(self, features: Any) -> Floats:
        """Probability of each label, rows × labels; a label that was never trained on has 0."""
        scores = features @ self.coef.T + self.intercept
        if len(self.classes) == 2:
            scores = np.hstack([np.zeros_like(scores), scores])
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        found = np.zeros((scores.shape[0], self.n_labels))
        found[:, self.classes] = odds / odds.sum(axis=1, keepdims=True)
        return found


def weighted(weight: Floats) -> Ints:
    """Places of the rows that take part.

    Raises
    ------
    InputError
        No row has a weight.
    """
    rows = np.flatnonzero(weight > 0)
    if not len(rows):
        raise InputError("there is no row to train on: the plan dropped all rows, or gave all of them weight 0")
    return rows


def fit(features: Any, code: Ints, weight: Floats, *, n_labels: int, **settings: Any) -> Logistic:
    """Fit to rows that all have a weight.

    Parameters
    ----------
    features : array or sparse matrix
        Rows × features.
    code : numpy.ndarray
        Label of each row, below `n_labels`.
    weight : numpy.ndarray
        Above 0.
    n_labels : int
        Of the task; labels without a row get no probability.
    **settings
        Of scikit-learn's LogisticRegression.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    classes = np.unique(code).astype(np.int64)
    if len(classes) == 1:
        nothing = np.zeros((1, features.shape[1]))
        return Logistic(nothing, np.zeros(1), classes, n_labels, converged=True, iterations=0)
    model = LogisticRegression(**settings)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(features, code, sample_weight=weight)
    return Logistic(
        coef=np.asarray(model.coef_, np.float64),
        intercept=np.asarray(model.intercept_, np.float64),
        classes=classes,
        n_labels=n_labels,
        converged=not any(issubclass(entry.category, ConvergenceWarning) for entry in caught),
        iterations=int(np.max(model.n_iter_)),
    )


def save(path: Path, **arrays: Any) -> None:
    """Write arrays as `.npz`, whole or not at all."""
    from ..data.files import atomic

    with atomic(path) as part, part.open("wb") as handle:
        np.savez(handle, **arrays)
