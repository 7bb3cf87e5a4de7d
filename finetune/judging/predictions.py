"""What one run predicted, as arrays for Fairlearn and scikit-learn, by the thresholds that evenset judges by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...data.errors import InputError, suggest
from .gaps import decided
from .metrics import threshold_for_rate
from .scores import Bools, Floats, Ints, Run, ScoreSet, read

if TYPE_CHECKING:
    import pandas as pd

OTHERS = "others"
"""Rows of none, or of several, of the groups that are compared."""


@dataclass(frozen=True)
class Predictions:
    """The rows of one split as one run predicted them.

    Attributes
    ----------
    run : Run
    split : str
    ids : list of str
    y_true, y_pred : numpy.ndarray
        One a row. Of two labels 1 where the label is positive, else 0; of more the labels themselves.
    score : numpy.ndarray or None
        As in the file: the probability of the positive label, or of the predicted one.
    threshold : float
        Scores from here on are predicted positive; NaN where the file held predictions.
    member : mapping of str to numpy.ndarray of bool
        For each group which rows belong to it; a row may belong to several or none.
    """

    run: Run
    split: str
    ids: list[str]
    y_true: npt.NDArray[Any]
    y_pred: npt.NDArray[Any]
    score: Floats | None
    threshold: float
    member: dict[str, Bools]

    def sensitive(self, *groups: str) -> npt.NDArray[np.str_]:
        """One feature for `fairlearn.metrics.MetricFrame`: the group of each row.

        Parameters
        ----------
        *groups : str
            One group: its rows against all "others". Several: a row has the name of the one that it belongs to, and is
            of the "others" where it belongs to none of them or to more than one.

        Raises
        ------
        InputError
            When no row is of the group.
        """
        if not groups:
            raise InputError(f"name a group to look at; there are {', '.join(self.member) or 'none'}")
        for name in groups:
            if name not in self.member:
                raise InputError(
                    f'no row of split {self.split} is of group "{name}"; groups are {", ".join(self.member) or "none"}.'
                    f"{suggest(name, self.member)}"
                )
        inside = np.array([self.member[name] for name in groups])
        which = np.where(inside.sum(axis=0) == 1, inside.argmax(axis=0), len(groups))
        return np.array([*groups, OTHERS])[which]

    def to_frame(self) -> pd.DataFrame:
        """A pandas table: ``id``, ``y_true``, ``y_pred``, ``score``, and a column of booleans a group."""
        import pandas as pd

        columns: dict[str, Any] = {"id": self.ids, "y_true": self.y_true, "y_pred": self.y_pred}
        if self.score is not None:
            columns["score"] = self.score
        return pd.DataFrame({**columns, **{f"group:{name}": rows for name, rows in self.member.items()}})


def predictions(
    scores: ScoreSet | str | Path | Any,
    *,
    arm: str | None = None,
    upstream: str | None = None,
    seed: int | None = None,
    split: str = "test",
    positive: str | None = None,
) -> Predictions:
    """What one run predicted, from saved scores.

    Parameters
    ----------
    scores : ScoreSet, path or table
        A ``scores.parquet``, a folder of runs, or whatever `scores.read` takes.
    arm, upstream, seed : optional
        Which run; needless where there is one.
    split : str
        Which rows: "test", "probe", "dev".
    positive : str, optional
        The positive one of two labels; default "1" or "true".

    Returns
    -------
    Predictions
        Two labels with scores: predicted positive from the score at which as many dev rows (without them: test rows)
        are predicted positive as are positive, the threshold that gaps and verdicts rest on. So a false-positive rate
        of a group is the same number in Fairlearn and in ``verdict.json``.

    Raises
    ------
    InputError
        Several runs fit, or none; or it is not known which label is positive.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"id": list("abcd"), "label": [0, 1, 0, 1], "score": [0.2, 0.9, 0.8, 0.4],
    ...                   "group": ["gay", "gay|muslim", None, "muslim"]})
    >>> found = predictions(table)
    >>> found.y_pred.tolist(), found.sensitive("gay").tolist()
    ([0, 1, 1, 0], ['gay', 'gay', 'others', 'others'])
    >>> found.sensitive("gay", "muslim").tolist()
    ['gay', 'others', 'others', 'muslim']
    """
    found = scores if isinstance(scores, ScoreSet) else read(scores)
    at = _which(found, arm, upstream, seed)
    if split not in found.items:
        raise InputError(f'scores: no rows of split "{split}"; there are {", ".join(found.items)}')
    items = found.items[split]
    binary = len(found.labels) <= 2
    wanted = _positive(found, positive) if binary else None
    threshold = math.nan
    if wanted is not None and found.score:
        source = "dev" if "dev" in found.items else "test" if "test" in found.items else split
        threshold = threshold_for_rate(found.score[source][at], int(found.items[source].is_label(wanted).sum()))
    elif split not in found.predicted:
        raise InputError('scores: more than two labels need a column "predicted"')
    code: Ints = decided(found, split, at, threshold, wanted)
    truth: npt.NDArray[Any]
    guess: npt.NDArray[Any]
    if wanted is not None:
        truth = items.is_label(wanted).astype(np.int64)
        guess = (code == found.labels.index(wanted)).astype(np.int64)
    else:
        names = np.array(found.labels)
        truth, guess = names[items.label], names[code]
    return Predictions(
        run=found.runs[at],
        split=split,
        ids=items.ids.to_pylist(),
        y_true=truth,
        y_pred=guess,
        score=found.score[split][at] if split in found.score else None,
        threshold=threshold,
        member={name: items.member(name) for name in items.groups},
    )


def _which(scores: ScoreSet, arm: str | None, upstream: str | None, seed: int | None) -> int:
    fits = [
        at
        for at, run in enumerate(scores.runs)
        if arm in (None, run.arm) and upstream in (None, run.upstream) and seed in (None, run.seed)
    ]
    if len(fits) != 1:
        there = "; ".join(str(run) for run in scores.runs[:8]) + ("; ..." if len(scores.runs) > 8 else "")
        raise InputError(
            f"scores: {len(fits) or 'no'} runs fit; say arm, upstream and seed of one of {len(scores.runs)}: {there}"
        )
    return fits[0]


def _positive(scores: ScoreSet, positive: str | None) -> str:
    if positive is not None and positive not in scores.labels:
        raise InputError(
            f'scores: no row has the label "{positive}"; labels are {", ".join(scores.labels)}.'
            f"{suggest(positive, scores.labels)}"
        )
    for choice in (positive, "1", "true"):
        if choice is not None and choice in scores.labels:
            return choice
    raise InputError(f"scores: which label is positive? Labels are {', '.join(scores.labels)}; give it with positive=")
