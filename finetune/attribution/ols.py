"""Least squares whose standard errors allow for few clusters: CR2 with Satterthwaite's degrees of freedom."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...data.errors import InputError
from ..judging.inference import LEVEL, dense
from ..judging.scores import Floats, Ints

WEBB = np.sqrt([1.5, 1.0, 0.5])
"""Webb's six points (with both signs): Rademacher's two repeat themselves with few clusters."""

FEW = 12
"""Up to so many clusters Webb's points are drawn."""


@dataclass(frozen=True, slots=True)
class Fit:
    """An ordinary least-squares fit and what its clusters say.

    Attributes
    ----------
    x, y : numpy.ndarray
        n × k and n.
    code : numpy.ndarray
        Cluster of each row, 0 to clusters - 1.
    clusters : int
    coef : numpy.ndarray
    bread : numpy.ndarray
        (X'X)⁻¹.
    residual : numpy.ndarray
    """

    x: Floats
    y: Floats
    code: Ints
    clusters: int
    coef: Floats
    bread: Floats
    residual: Floats

    @property
    def r2(self) -> float:
        """Share of the centred sum of squares."""
        total = float(((self.y - self.y.mean()) ** 2).sum())
        return 1 - float(self.residual @ self.residual) / total if total > 0 else math.nan

    def members(self) -> list[Ints]:
        """Rows of each cluster."""
        return [np.flatnonzero(self.code == g) for g in range(self.clusters)]

    def cr2(self) -> tuple[Floats, Floats]:
        """Standard error and Satterthwaite degrees of freedom of each coefficient.

        Returns
        -------
        (numpy.ndarray, numpy.ndarray)

        Notes
        -----
        Bell and McCaffrey 2002 with the symmetric square root of the pseudo-inverse and an identity working model;
        Pustejovsky and Tipton 2018. `A_g = (I - H_gg)^(-1/2)`, `V = B (Σ X_g' A_g e_g e_g' A_g X_g) B`,
        `df = (Σλ)² / Σλ²` with λ the eigenvalues of `G'G`, `g_j = (I - H)_j' A_j X_j B c`.
        """
        n, k = self.x.shape
        scores, adjusted = np.empty((self.clusters, k)), np.zeros((self.clusters, n, k))
        for g, rows in enumerate(self.members()):
            here = self.x[rows]
            inner = np.eye(len(rows)) - here @ self.bread @ here.T
            value, vector = np.linalg.eigh(inner)
            root = np.where(value > 1e-10, np.maximum(value, 1e-300) ** -0.5, 0.0)
            ax = (vector * root) @ vector.T @ here @ self.bread  # A_g X_g B
            scores[g] = self.residual[rows] @ ax
            # (I - H) applied to A_g X_g B, which is 0 outside the cluster.
            adjusted[g] = -self.x @ (self.bread @ (here.T @ ax))
            adjusted[g][rows] += ax
        se = np.sqrt((scores**2).sum(axis=0))
        df = np.empty(k)
        for j in range(k):
            p = adjusted[:, :, j] @ adjusted[:, :, j].T
            bottom = float((p**2).sum())
            df[j] = float(np.trace(p)) ** 2 / bottom if bottom > 0 else math.nan
        return se, df

    def _way(self, code: Ints, clusters: int) -> Floats:
        """Variance of the coefficients by one way of clustering, with the factor G/(G-1)·(n-1)/(n-k) (CR1)."""
        n, k = self.x.shape
        scores = np.zeros((clusters, k))
        np.add.at(scores, code, self.x * self.residual[:, None])
        factor = clusters / (clusters - 1) * (n - 1) / (n - k)
        return np.asarray(factor * (self.bread @ scores.T @ scores @ self.bread), dtype=np.float64)

    def two_way(self, other: Ints) -> Floats:
        """Standard errors clustered both ways (Cameron, Gelbach and Miller 2011), never below either way alone."""
        other = dense(other)[1]
        count = int(other.max()) + 1
        if self.clusters < 2 or count < 2:
            return np.full(self.x.shape[1], np.nan)
        both = dense(self.code * count + other)[1]
        ways = [np.diag(self._way(self.code, self.clusters)), np.diag(self._way(other, count))]
        joint = ways[0] + ways[1] - np.diag(self._way(both, int(both.max()) + 1))
        return np.asarray(np.sqrt(np.maximum.reduce([joint, *ways])), dtype=np.float64)

    def wild_p(self, j: int, *, repetitions: int, seed: int) -> float:
        """P of "coefficient j is 0" by the wild cluster bootstrap, null imposed.

        Notes
        -----
        Cameron, Gelbach and Miller 2008: residuals of the fit without the variable, one sign a cluster; the statistic
        is t with CR1. With 12 clusters or fewer Webb's (2014) six points are drawn instead of Rademacher's two.
        """
        others = np.delete(self.x, j, axis=1)
        left = self.y - others @ np.linalg.lstsq(others, self.y, rcond=None)[0]
        row = self.x @ self.bread[:, j]  # the coefficient is row @ y
        # share[g, h]: what the residuals of cluster h, left as they are, add to the score of cluster g.
        parts = np.zeros((len(self.y), self.clusters))
        parts[np.arange(len(self.y)), self.code] = left
        after = parts - self.x @ (self.bread @ (self.x.T @ parts))
        share = np.zeros((self.clusters, self.clusters))
        np.add.at(share, self.code, row[:, None] * after)
        pull = row @ parts
        rng = np.random.default_rng([seed, 0x71D])
        sign = rng.choice([-1.0, 1.0], size=(repetitions, self.clusters))
        if self.clusters <= FEW:
            sign *= rng.choice(WEBB, size=sign.shape)
        sign = np.vstack([np.ones(self.clusters), sign])  # the first is the sample itself
        bottom = np.sqrt(((sign @ share.T) ** 2).sum(axis=1))
        t = np.abs(sign @ pull)
        t = np.divide(t, bottom, out=np.full_like(t, np.inf), where=bottom > 1e-12 * max(float(bottom.max()), 1e-300))
        return float((t >= t[0] * (1 - 1e-9)).mean())


def fit(x: Floats, y: Floats, clusters: Sequence[str] | Ints, *, shared: int = 0) -> Fit:
    """Fit `y` on the columns of `x` (give a constant yourself).

    Parameters
    ----------
    x, y : numpy.ndarray
        n × k and n.
    clusters : sequence
        Of each row.
    shared : int
        So many of the columns are the same in every cluster (one for each arm that all have) and cost none.

    Raises
    ------
    InputError
        There are no more clusters than columns, or a column is a sum of others.

    Examples
    --------
    >>> x = np.column_stack([np.ones(6), [0.0, 1, 2, 3, 4, 5]])
    >>> found = fit(x, np.array([0.0, 2, 4, 6, 8, 10]), np.arange(6))
    >>> [abs(round(value, 6)) for value in found.coef.tolist()]
    [0.0, 2.0]
    """
    _, code = np.unique(np.asarray(clusters), return_inverse=True)
    count = int(code.max()) + 1 if len(code) else 0
    scale = np.sqrt((x**2).sum(axis=0))
    if count <= x.shape[1] - shared:
        raise InputError(f"{count} terms or labels are too few for {x.shape[1] - shared} coefficients")
    if (scale == 0).any() or np.linalg.matrix_rank(x / np.where(scale > 0, scale, 1), tol=1e-8) < x.shape[1]:
        raise InputError("the variables are not separable: one is a sum of the others, or does not vary")
    bread = np.linalg.inv((x / scale).T @ (x / scale)) / np.outer(scale, scale)
    coef = bread @ (x.T @ y)
    return Fit(x, y, np.asarray(code, np.int64), count, coef, bread, y - x @ coef)


def quantile(df: float, level: float = LEVEL) -> float:
    """Two-sided quantile of t."""
    from scipy.special import stdtrit

    return float(stdtrit(df, (1 + level) / 2))


def tost(estimate: float, se: float, df: float, bound: float) -> float:
    """P of "the truth is at least `bound` away from 0" (two one-sided tests): small means equivalent to 0.

    Examples
    --------
    >>> tost(0.0, 0.01, 30, 0.1) < 0.05, tost(0.0, 0.2, 30, 0.1) < 0.05
    (True, False)
    """
    from scipy.special import stdtr

    if not (se > 0 and df > 0):
        return math.nan
    return float(max(stdtr(df, (estimate - bound) / se), stdtr(df, (-bound - estimate) / se)))
