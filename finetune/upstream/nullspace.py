"""Iterative nullspace projection: take out of features whatever a linear guesser can tell two groups by."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ...data.errors import InputError
from ...data.hashing import mix, uniform
from ..rows import Floats, Ints, Keys

HELD_OUT = 0.3
"""Share of rows that guessers are judged on."""

NOISE = 1.645
"""Standard errors above chance up to which a guesser counts as knowing nothing: the 95th percentile."""

FEWEST = 20
"""Held-out rows that each group needs."""


@dataclass(frozen=True, eq=False, slots=True)
class Nullspace:
    """What was taken out of features, and how well groups could be guessed before and after.

    Attributes
    ----------
    mean, scale : numpy.ndarray of float64
        By which each feature was centred and scaled.
    taken : numpy.ndarray of float64
        Orthonormal directions of the scaled features, rounds × features.
    before, after : float
        Balanced accuracy of a guesser on held-out rows; 0.5 is chance.
    error : float
        Standard error of `after`.
    rows : int
        Rows of the two groups, held-out ones included.
    guessed : str
        What was told apart.
    """

    mean: Floats
    scale: Floats
    taken: Floats
    before: float
    after: float
    error: float
    rows: int
    guessed: str

    @property
    def rounds(self) -> int:
        """Number of directions that were taken out."""
        return len(self.taken)

    @property
    def at_chance(self) -> bool:
        """Whether the last guesser knew nothing."""
        return self.after <= 0.5 + NOISE * self.error

    def apply(self, features: npt.NDArray[Any]) -> Floats:
        """Scaled features without what was taken out."""
        scaled = (np.asarray(features, np.float64) - self.mean) / self.scale
        result: Floats = scaled - (scaled @ self.taken.T) @ self.taken
        return result

    def to_dict(self) -> dict[str, Any]:
        """As a run's record has it."""
        return {
            "rounds": self.rounds, "guessed": self.guessed, "rows": self.rows, "guesser_before": round(self.before, 4),
            "guesser_after": round(self.after, 4), "guesser_error": round(self.error, 4), "chance": 0.5,
            "at_chance": self.at_chance,
        }  # fmt: skip


def two_sides(groups: Sequence[Sequence[str]], measure: Literal["fpr", "tpr"]) -> tuple[Ints, str]:
    """Which of two sides each row is on: 0, 1, or -1 for neither.

    Parameters
    ----------
    groups : sequence of sequence of str
        Of each row.
    measure : {"fpr", "tpr"}
        Of the verdict. "tpr" compares groups: the sides are the rows of one of the two most frequent groups and of no
        other. "fpr" compares rows with a group to all: the sides are rows with a group and rows without.

    Raises
    ------
    InputError
        There are not two sides.

    Examples
    --------
    >>> sides, what = two_sides([("she",), ("he",), (), ("she", "he")], "tpr")
    >>> sides.tolist(), what
    ([1, 0, -1, -1], 'he or she')
    >>> two_sides([("gay",), (), ("old", "gay")], "fpr")[0].tolist()
    [1, 0, 1]
    """
    if measure == "fpr":
        side = np.array([1 if own else 0 for own in groups], np.int64)
        what, said = "any group or none", "both rows with a group and rows without one"
    else:
        counted = Counter(own[0] for own in groups if len(own) == 1)
        pair = sorted(name for name, _ in sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:2])
        code = {name: at for at, name in enumerate(pair)}
        side = np.array([code.get(own[0], -1) if len(own) == 1 else -1 for own in groups], np.int64)
        what, said = " or ".join(pair), "rows of two groups"
    if len({*side.tolist()} - {-1}) < 2:
        raise InputError(f'an upstream of kind "inlp" needs {said} in the training data; its axis has not')
    return side, what


def nullspace(features: npt.NDArray[Any], side: Ints, keys: Keys, *, rounds: int, guessed: str = "") -> Nullspace:
    """Find the directions by which two groups can be told apart.

    Parameters
    ----------
    features : numpy.ndarray
        Rows × features.
    side : numpy.ndarray
        0 or 1; rows of -1 take no part.
    keys : numpy.ndarray of uint64
        Of rows; decides who is held out.
    rounds : int
        Most directions to take out.
    guessed : str
        What is told apart, for the record.

    Returns
    -------
    Nullspace

    Raises
    ------
    InputError
        A side has fewer than 20 held-out rows.

    Notes
    -----
    Ravfogel et al. 2020: a linear guesser is trained on what is left, its direction is taken out, and so on until it is
    at chance. Guessers are logistic regressions with both sides weighing the same, so chance is 1/2 however rare one
    side is; their accuracy is the mean over both sides on held-out rows, with the binomial standard error of that mean,
    and at chance means within 1.645 of them. Features are centred and scaled first, by these rows.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> side = np.arange(400) % 2
    >>> features = rng.normal(size=(400, 5)) + 4 * side[:, None] * np.eye(5)[0]
    >>> found = nullspace(features, side, np.arange(400, dtype=np.uint64), rounds=9)
    >>> found.before > 0.9, found.at_chance
    (True, True)
    """
    at = np.flatnonzero(side >= 0)
    given, code = np.asarray(features, np.float64)[at], side[at]
    held = uniform(mix(keys[at], salt=(0, "evenset.inlp"))) < HELD_OUT
    counts = np.bincount(code[held], minlength=2)
    if counts.min() < FEWEST or np.bincount(code[~held], minlength=2).min() < FEWEST:
        raise InputError(
            f'an upstream of kind "inlp" guesses {guessed or "groups"} on held-out rows, at least {FEWEST} a side; '
            f"there are {int(counts[0])} and {int(counts[1])}"
        )
    mean, spread = given.mean(axis=0), given.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    left = (given - mean) / scale
    taken = np.zeros((0, left.shape[1]))
    before = None
    while True:
        direction, hits = _guesser(left[~held], code[~held], left[held], code[held])
        accuracy = float(hits.mean())
        error = math.sqrt(float((hits * (1 - hits) / counts).sum())) / 2
        # At 0 or 1 the binomial has no spread; that of chance is its widest.
        error = error or math.sqrt(float((0.25 / counts).sum())) / 2
        before = accuracy if before is None else before
        if accuracy <= 0.5 + NOISE * error or len(taken) >= rounds or direction is None:
            return Nullspace(mean, scale, taken, before, accuracy, error, len(at), guessed)
        direction = direction - (direction @ taken.T) @ taken
        taken = np.vstack([taken, direction / np.linalg.norm(direction)])
        left -= np.outer(left @ taken[-1], taken[-1])


def _guesser(train: Floats, code: Ints, held: Floats, expected: Ints) -> tuple[Floats | None, Floats]:
    """A guesser's direction, None where it has none, and its share of hits on each side of the held-out rows."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(class_weight="balanced", max_iter=1000).fit(train, code)
    said = model.predict(held)
    hits = np.array([(said[expected == side] == side).mean() for side in (0, 1)])
    direction = np.asarray(model.coef_[0], np.float64)
    return (direction if float(np.linalg.norm(direction)) > 1e-9 else None), hits
