"""A logistic regression on features that are given: the head of an encoder that stays as it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import logistic
from .logistic import Logistic
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
    model : Logistic
        On the standardised features.
    """

    mean: Floats
    scale: Floats
    model: Logistic

    def probabilities(self, features: npt.NDArray[Any]) -> Floats:
        """Probability of each label, rows × labels; a label that was never trained on has 0."""
        return self.model.probabilities((features - self.mean) / self.scale)


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
    from sklearn.preprocessing import StandardScaler

    rows = logistic.weighted(weight)
    used, own = np.asarray(features, np.float64)[rows], weight[rows]
    scaler = StandardScaler().fit(used, sample_weight=own)
    mean, scale = np.asarray(scaler.mean_, np.float64), np.asarray(scaler.scale_, np.float64)
    settings = {"C": C, "tol": TOLERANCE, "max_iter": MAX_ITERATIONS}
    return Head(mean, scale, logistic.fit((used - mean) / scale, code[rows], own, n_labels=n_labels, **settings))


def save(head: Head, path: Path, **more: Any) -> None:
    """Write a head's arrays, and others beside them, as `.npz`."""
    model = head.model
    logistic.save(
        path,
        mean=head.mean,
        scale=head.scale,
        coef=model.coef,
        intercept=model.intercept,
        classes=model.classes,
        **more,
    )
