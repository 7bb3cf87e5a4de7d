"""Leakage of texts with any tokens hidden, asked again and again about one sample of rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...data.features import features_of
from .duplicates import near_duplicates
from .leakage import MOST_GROUPS, MOST_ROWS, Contrast, Estimate
from .leaking import LEAST_ROWS, _contrast, _contrasts, _rows_of, _Version

if TYPE_CHECKING:
    from ...data.axes import Axis
    from ...data.tokens import Tokens
    from .probe import Bools, Ints
    from .sampling import Rows

_NOT_KNOWN = Estimate(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Hiding:
    """A sample of rows whose leakage can be measured with tokens hidden. Get one with `hiding`.

    Attributes
    ----------
    rows : Rows
        All rows that are used.
    asked : tuple of (str, str or None)
        The contrasts.
    chosen : tuple of (int64 array, bool array)
        For each contrast its rows, and which are of the first group.
    cluster : int64 array
        Persons and near duplicates.
    seed : int
        Of the folds.
    """

    rows: Rows
    asked: tuple[tuple[str, str | None], ...]
    chosen: tuple[tuple[Ints, Bools], ...]
    cluster: Ints
    seed: int

    @property
    def tokens(self) -> Tokens:
        """Those that may be hidden."""
        return self.rows.tokens

    def areas(self, keep: Bools) -> tuple[Contrast, ...]:
        """Each contrast with one step: the text with only these tokens kept."""
        features = features_of(self.tokens, keep)
        version = _Version("hidden", (), keep)
        return tuple(
            _contrast(
                self.rows,
                names,
                where,
                target,
                self.cluster,
                [(version, features[where])],
                version,
                _NOT_KNOWN,
                permutations=0,
                bits=False,
                seed=self.seed,
            )
            for names, (where, target) in zip(self.asked, self.chosen, strict=True)
        )


def hiding(rows: Rows, axis: Axis, *, keep: Bools | None = None, most_rows: int = MOST_ROWS, seed: int = 0) -> Hiding:
    """Choose the rows on which leakage is measured, as `leakage` does.

    Parameters
    ----------
    rows : Rows
        Drawn with this axis.
    axis : Axis
        Whose groups are contrasted.
    keep : bool array, optional
        Tokens of `rows` without which near duplicates are looked for, those of the axis hidden; default all.
    most_rows : int
        Shared out among the contrasts.
    seed : int
        Of the folds.

    Examples
    --------
    >>> from evenset.audit.texts.sampling import draw
    >>> from evenset.data import Dataset
    >>> from evenset.data.axes import parse_axes
    >>> from evenset.data.sample import bios
    >>> data = Dataset.of(bios(1500, 0)[0], text="text", label="label", id="id")
    >>> axis = parse_axes(["pronouns"], names=data.names)[0]
    >>> sample = hiding(draw(data, [axis]), axis)
    >>> sample.areas(np.ones(sample.tokens.n, np.bool_))[0].steps[0].area.low > 0.5
    True
    """
    pair, groups, _ = _contrasts(rows, axis, MOST_GROUPS)
    each = max(most_rows // max(len(groups), 1), LEAST_ROWS)
    asked: list[tuple[str, str | None]] = [pair] if pair is not None else [(group, None) for group in groups]
    chosen = [_rows_of(rows, axis, first, second, most_rows if pair else each) for first, second in asked]
    every = np.unique(np.concatenate([np.zeros(0, np.int64), *(where for where, _ in chosen)]))
    part = rows.take(every)
    if keep is None:
        kept = np.ones(part.tokens.n, np.bool_)
    else:
        inside = np.zeros(rows.n, np.bool_)
        inside[every] = True
        kept = keep[np.repeat(inside, np.diff(rows.tokens.splits))]
    cluster = near_duplicates(part.tokens, keep=kept, shared=part.cluster).cluster
    return Hiding(
        part, tuple(asked), tuple((np.searchsorted(every, where), target) for where, target in chosen), cluster, seed
    )
