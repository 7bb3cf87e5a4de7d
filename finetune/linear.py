"""The embedded trainer: logistic regression on hashed words and pairs of words. Seconds on a CPU, no pre-training.

Words come from the one tokenizer, so this model sees exactly what audit counted and curate changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..data.features import BITS, Matrix, featurise, frequent, narrowed
from ..data.hashing import hash64
from . import logistic
from .logistic import Logistic
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
    model : Logistic
        On these features.
    """

    columns: Ints
    model: Logistic

    def probabilities(self, features: Matrix) -> Floats:
        """Probability of each label: rows × labels; a label that was never trained on has 0."""
        return self.model.probabilities(narrowed(features, self.columns))


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
    # Which words count is settled before the bootstrap, by the arm's rows, so that it is the same for all seeds.
    columns = frequent(features, root, least=MIN_ROWS)
    rows = logistic.weighted(weight)
    model = logistic.fit(
        narrowed(features[rows], columns), code[rows], weight[rows], n_labels=n_labels,
        C=C, solver="newton-cg", tol=TOLERANCE, max_iter=MAX_ITERATIONS,
    )  # fmt: skip
    return Fitted(columns, model)


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
                "converged": fitted.model.converged,
                "iterations": fitted.model.iterations,
            },
        )


def _text_keys(text: pa.Array) -> npt.NDArray[np.uint64]:
    return hash64(text, salt="evenset.linear.text")


def _save(fitted: Fitted, path: Path) -> None:
    model = fitted.model
    logistic.save(
        path,
        columns=fitted.columns,
        coef=model.coef.astype(np.float32),
        intercept=model.intercept,
        classes=model.classes,
    )
