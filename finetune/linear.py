"""The embedded trainer: logistic regression on hashed words and pairs of words. Seconds on a CPU, no pre-training.

Words come from the one tokenizer, so this model sees exactly what audit counted and curate changed.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..data.errors import InputError
from ..data.features import BITS, Matrix, featurise, frequent, narrowed
from ..data.hashing import hash64
from .rows import Outcome, Split, TrainingRows, counts_of

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]

__all__ = ["BITS", "MIN_ROWS", "TOLERANCE", "C", "Fitted", "LinearTrainer", "fit"]

C = 3.0
"""Inverse strength of the L2 penalty."""

MIN_ROWS = 3
"""A feature counts if so many training rows have it. Copies of a row count once: copying adds no words."""

# C, MIN_ROWS and binary values were chosen once, by AUC on the dev rows of the Gab Hate Corpus after training on its
# raw rows. C of 2, 3, 5, 10, 20: .866, .869, .869, .865, .859. Least rows 1, 2, 3, 5 (at C = 3): .866, .868, .869,
# .868; three also halves the time of one. Values log(1 + count) instead of binary: about .003 less.

TOLERANCE = 1e-6
MAX_ITERATIONS = 200


@dataclass(frozen=True, slots=True)
class Fitted:
    """A logistic regression.

    Attributes
    ----------
    columns : numpy.ndarray
        Features in use.
    coef, intercept : numpy.ndarray
        Classes × features and classes; for two classes those of the second, one row.
    classes : numpy.ndarray
        Label code of each output; labels without a training row have none.
    n_labels : int
    converged : bool
    iterations : int
    """

    columns: Ints
    coef: Floats
    intercept: Floats
    classes: Ints
    n_labels: int
    converged: bool
    iterations: int

    def probabilities(self, features: Matrix) -> Floats:
        """Probability of each label: rows × labels; a label that was never trained on has 0."""
        scores = narrowed(features, self.columns) @ self.coef.T + self.intercept
        if len(self.classes) == 2:
            scores = np.hstack([np.zeros_like(scores), scores])
        scores -= scores.max(axis=1, keepdims=True)
        odds = np.exp(scores)
        found = np.zeros((scores.shape[0], self.n_labels))
        found[:, self.classes] = odds / odds.sum(axis=1, keepdims=True)
        return found


def fit(features: Matrix, code: Ints, weight: Floats, root: npt.NDArray[np.uint64], *, n_labels: int) -> Fitted:
    """Fit to weighted rows.

    Parameters
    ----------
    features : scipy.sparse.csr_matrix
        From `featurise`.
    code : numpy.ndarray
        Label of each row, below `n_labels`.
    weight : numpy.ndarray
        Rows of weight 0 take no part.
    root : numpy.ndarray of uint64
        Row of the raw data that each row comes from.
    n_labels : int
        Of the task; labels without a row get no probability.

    Returns
    -------
    Fitted

    Raises
    ------
    InputError
        No row has a weight.

    Notes
    -----
    Minimises ``C * sum w_i loss_i + |coef|²/2`` (softmax; the intercept is not penalised) with scikit-learn's
    Newton-CG. Of its solvers this one is exact for weights of any size: on 22,767 posts it takes as long as liblinear,
    which penalises the intercept, a third of L-BFGS, and on 20 classes SAG needs ten times longer once weights differ.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    # Which words count is settled before the bootstrap, by the arm's rows, so that it is the same for all seeds.
    columns = frequent(features, root, least=MIN_ROWS)
    rows = np.flatnonzero(weight > 0)
    classes = np.unique(code[rows])
    if not len(rows):
        raise InputError("there is no row to train on: the plan dropped all rows, or gave all of them weight 0")
    if len(classes) == 1:
        return Fitted(
            columns, np.zeros((1, len(columns))), np.zeros(1), classes, n_labels, converged=True, iterations=0
        )
    model = LogisticRegression(C=C, solver="newton-cg", tol=TOLERANCE, max_iter=MAX_ITERATIONS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(narrowed(features[rows], columns), code[rows], sample_weight=weight[rows])
    return Fitted(
        columns=columns,
        coef=np.asarray(model.coef_, np.float64),
        intercept=np.asarray(model.intercept_, np.float64),
        classes=classes.astype(np.int64),
        n_labels=n_labels,
        converged=not any(issubclass(entry.category, ConvergenceWarning) for entry in caught),
        iterations=int(np.max(model.n_iter_)),
    )


class LinearTrainer:
    """Trains arms of one task; features of raw and of judged rows are made once.

    Parameters
    ----------
    raw : TrainingRows
        The raw training rows; a row of an arm that still has the text of one of them takes over its features.
    splits : sequence of Split
        Rows to score after each training.
    n_labels : int
    bootstrap : bool
        Weigh rows by Poisson(1) numbers of (seed, root): without it all seeds of an arm are one run.
    """

    def __init__(self, raw: TrainingRows, splits: Sequence[Split], *, n_labels: int, bootstrap: bool = True) -> None:
        self.told: object = None  # there are no steps to tell of
        self._n_labels = n_labels
        self._bootstrap = bootstrap
        self._features = featurise(raw.text)
        self._known, self._place = np.unique(_text_keys(raw.text), return_index=True)
        self._splits = [(split.name, featurise(split.text)) for split in splits]

    def features(self, rows: TrainingRows) -> Matrix:
        """Features of an arm's rows; only texts that the raw rows do not have are tokenised."""
        import scipy.sparse as sparse

        key = _text_keys(rows.text)
        at = np.minimum(np.searchsorted(self._known, key), len(self._known) - 1)
        new = np.flatnonzero(self._known[at] != key)
        place = self._place[at]
        place[new] = self._features.shape[0] + np.arange(len(new))
        if not len(new):
            return self._features[place]
        fresh = featurise(rows.text.take(pa.array(new)))
        return sparse.vstack([self._features, fresh], format="csr")[place]

    def train(self, rows: TrainingRows, *, seed: int, upstream: str = "none", save: Path | None = None) -> Outcome:
        """Train on an arm's rows and score every split.

        Parameters
        ----------
        rows : TrainingRows
            The arm's rows.
        seed : int
            Of the bootstrap.
        upstream : str
            Not used: a linear model has no upstream.
        save : Path, optional
            Write the model there as `.npz`.
        """
        del upstream
        weight = rows.weight * counts_of(rows.root, seed=seed) if self._bootstrap else rows.weight
        fitted = fit(self.features(rows), rows.code, weight, rows.root, n_labels=self._n_labels)
        if save is not None:
            _save(fitted, save.with_suffix(".npz"))
        return Outcome(
            probabilities={name: fitted.probabilities(features) for name, features in self._splits},
            record={
                "bootstrap": self._bootstrap,
                "rows": rows.n,
                "rows_used": int((weight > 0).sum()),
                "weight_sum": float(weight.sum()),
                "features": len(fitted.columns),
                "converged": fitted.converged,
                "iterations": fitted.iterations,
            },
        )


def _text_keys(text: pa.Array) -> npt.NDArray[np.uint64]:
    return hash64(text, salt="evenset.linear.text")


def _save(fitted: Fitted, path: Path) -> None:
    from ..data.files import atomic

    with atomic(path) as part, part.open("wb") as handle:
        np.savez(
            handle,
            columns=fitted.columns,
            coef=fitted.coef.astype(np.float32),
            intercept=fitted.intercept,
            classes=fitted.classes,
        )
