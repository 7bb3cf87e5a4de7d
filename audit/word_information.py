"""What the presence of a word tells about the group given the label, and about the label given the group."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from .intervals import Floats
from .sides import Sides
from .vocabulary import Ints

_EXACT = 64  # documents with the word up to which chance is summed exactly
_LABELS = 256  # labels at a time


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Rows of each side in the label of each pair of word and label, and what is expected there."""

    word: Ints
    words: int
    rows: Floats  # of shape (2, labels)
    one: Floats
    other: Floats
    n: Floats
    m: Floats

    @staticmethod
    def of(sides: Sides) -> Cells:
        """Those of a contrast."""
        rows = sides.rows.astype(np.float64)
        one, other = rows[:, sides.label]
        return Cells(
            sides.word, len(sides.words), rows, one, other, one + other, sides.with_word.sum(0).astype(np.float64)
        )

    def sum(self, values: Floats) -> Floats:
        """Over the labels of each word."""
        result: Floats = np.bincount(self.word, weights=values, minlength=self.words).astype(np.float64)
        return result

    @property
    def expected(self) -> Floats:
        """Documents with the word on the first side, if it did not matter."""
        return self.m * self.one / self.n

    @property
    def variance(self) -> Floats:
        """Of the same (hypergeometric)."""
        return self.one * self.other * self.m * (self.n - self.m) / (self.n**2 * np.maximum(self.n - 1, 1))


def information(sides: Sides, cells: Cells, a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Shares of what there is to know about the side given the label, and about the label given the side.

    Both less what is left of them on average when documents are shuffled with the margins as they are; NaN for the
    label where there is only one.
    """
    n, m = cells.n, cells.m
    within = np.zeros(len(m))
    for count, rows in ((a, cells.one), (b, cells.other)):
        within += _terms(count, m * rows / n) + _terms(rows - count, (n - m) * rows / n)
    known = cells.sum(within - _chance_within(cells, sides.label))
    shares = cells.rows / np.maximum(cells.rows.sum(axis=0), 1)
    about_group = known / max(-float((cells.rows * np.log(shares)).sum()), 1e-300)
    if len(sides.labels) < 2:
        return about_group, np.full(cells.words, np.nan)
    found, entropy = np.zeros(cells.words), 0.0
    for row, count in zip(cells.rows, (a, b), strict=True):
        whole = row.sum()
        share = row / whole
        entropy -= float((row * np.log(share)).sum())
        of_word, at, of_label = cells.sum(count), share[sides.label], row[sides.label]
        found += cells.sum(_terms(count, of_word[cells.word] * at))
        found += cells.sum(_terms(of_label - count, (whole - of_word)[cells.word] * at))
        # In labels without the word all rows are rows without it.
        found += (whole - cells.sum(of_label)) * np.log(whole / np.maximum(whole - of_word, 1))
        found -= _chance_between(of_word.astype(np.int64), row)
    return about_group, found / entropy


def _terms(count: Floats, expected: Floats) -> Floats:
    """Each count × ln(count / expected), 0 where there is none."""
    some = (count > 0) & (expected > 0)  # a count where none can be is weighed with a chance of 0
    result: Floats = np.where(some, count * np.log(np.where(some, count, 1.0) / np.where(some, expected, 1.0)), 0.0)
    return result


def _chance_within(cells: Cells, label: Ints) -> Floats:
    """What shuffling leaves in the table of each label: word or not by side."""
    n = cells.rows.sum(axis=0)
    few = np.minimum(cells.m, cells.n - cells.m).astype(np.int64)  # the same table turned round
    exact = (_exact(cells.rows[0], n) + _exact(cells.rows[1], n))[label, np.minimum(few, _EXACT)]
    rough = _rough(few.astype(np.float64), cells.one, cells.n) + _rough(few.astype(np.float64), cells.other, cells.n)
    result: Floats = np.where(few <= _EXACT, exact, rough)
    return result


def _chance_between(of_word: Ints, rows: Floats) -> Floats:
    """What shuffling leaves in the table of one side: word or not by label; from its documents with the word alone."""
    whole = float(rows.sum())
    exact = _exact(rows, np.full(len(rows), whole)).sum(axis=0)
    grid = np.geomspace(_EXACT + 1, max(whole, _EXACT + 2), 100)
    rough = _rough(grid[:, None], rows, np.full(len(rows), whole)).sum(axis=1)
    found = np.interp(of_word, grid, rough)
    result: Floats = np.where(of_word <= _EXACT, exact[np.minimum(of_word, _EXACT)], found)
    return result


def _exact(rows: Floats, n: Floats) -> Floats:
    """Mean of X ln(X / EX) + (rows - X) ln((rows - X) / E(rows - X)), X hypergeometric of 0 to 64 draws.

    Parameters
    ----------
    rows, n : float64 array of shape (labels,)
        How many of n are drawn for.

    Returns
    -------
    float64 array of shape (labels, 65)
    """
    from scipy.special import gammaln

    def choose(of: Floats, k: Floats) -> Floats:
        good = (k >= 0) & (k <= of)
        k = np.where(good, k, 0.0)
        result: Floats = np.where(good, gammaln(of + 1) - gammaln(k + 1) - gammaln(of - k + 1), -np.inf)
        return result

    result = np.zeros((len(rows), _EXACT + 1))
    draws, x = np.arange(_EXACT + 1.0)[None, :, None], np.arange(_EXACT + 1.0)[None, None, :]
    for low in range(0, len(rows), _LABELS):
        part = slice(low, low + _LABELS)
        r, of = rows[part, None, None], n[part, None, None]
        possible = draws <= of
        chance = np.exp(choose(r, x) + choose(of - r, draws - x) - np.where(possible, choose(of, draws), 0.0))
        value = _terms(x, draws * r / of) + _terms(r - x, (of - draws) * r / of)
        result[part] = (chance * value).sum(axis=2)
    return result


def _rough(m: Floats, rows: Floats, n: Floats) -> Floats:
    """The same for more draws: of a Poisson variable of that mean, thinned as draws without replacement are."""
    share = rows / n
    return (1 - share) * ((1 - m / n) * _excess(m * share) + 0.5 * m / n)


def _excess(expected: Floats) -> Floats:
    """Mean of X ln(X / e) of a Poisson variable of mean e: 1/2 where e is large, less where it is small."""
    grid, value = _excess_table()
    result: Floats = np.interp(np.log(np.maximum(expected, 1e-300)), grid, value)
    return result


@cache
def _excess_table() -> tuple[Floats, Floats]:
    from scipy.special import gammaln

    log_mean = np.linspace(np.log(1e-6), np.log(200.0), 600)
    mean, x = np.exp(log_mean)[:, None], np.arange(1, 600)[None, :]
    chance = np.exp(x * np.log(mean) - mean - gammaln(x + 1))
    return log_mean, (chance * x * (np.log(x) - np.log(mean))).sum(axis=1)
