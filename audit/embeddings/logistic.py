"""Logistic regression with an L2 penalty, small and exact: a few words in many dimensions, fitted hundreds of times."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_STEPS = 100


def ridge_logistic(values: Floats, labels: Floats, *, strength: float = 1.0) -> tuple[Floats, float]:
    """Fit P(label 1) = 1 / (1 + exp(-(x·w + b))).

    Parameters
    ----------
    values : float64 array, rows × dimensions
        One row an example.
    labels : float64 array
        0 or 1.
    strength : float
        C: the minimised sum is C × log loss + (|w|² + b²) / 2. The intercept is penalised too, as in liblinear.

    Returns
    -------
    w : float64 array
    b : float

    Notes
    -----
    Newton's method with halved steps, in the space that the rows span: the penalty does not depend on the axes, so with
    fewer rows than dimensions nothing outside it is ever used.

    Examples
    --------
    >>> w, b = ridge_logistic(np.array([[1.0], [2.0], [-1.0], [-2.0]]), np.array([1.0, 1.0, 0.0, 0.0]))
    >>> round(float(w[0]), 3), abs(b) < 1e-9
    (1.007, True)
    """
    wide = np.column_stack([values, np.ones(len(values))])
    left, scale, right = np.linalg.svd(wide, full_matrices=False)
    inner = left * scale
    theta = np.zeros(inner.shape[1])
    loss = _loss(inner, labels, theta, strength)
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(inner @ theta, -500, 500)))
        gradient = strength * inner.T @ (p - labels) + theta
        if np.abs(gradient).max() < 1e-10:
            break
        hessian = strength * (inner * (p * (1 - p))[:, None]).T @ inner + np.eye(len(theta))
        step = np.linalg.solve(hessian, gradient)
        rate = 1.0
        while (tried := _loss(inner, labels, theta - rate * step, strength)) > loss and rate > 1e-8:
            rate /= 2
        theta, loss = theta - rate * step, tried
    found = right.T @ theta
    return found[:-1], float(found[-1])


def _loss(inner: Floats, labels: Floats, theta: Floats, strength: float) -> float:
    z = inner @ theta
    return float(strength * (np.logaddexp(0, z) - labels * z).sum() + theta @ theta / 2)
