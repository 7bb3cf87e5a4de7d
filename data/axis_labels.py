"""Labels from an axis: ``--label axis:NAME`` labels a row by the group of a lexicon that its text mentions most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from .errors import InputError, suggest
from .lexicon import Lexicon, builtin_names, load
from .match import Matcher
from .tokens import tokenize

PREFIX = "axis:"


@dataclass(frozen=True)
class AxisLabels:
    """Labels rows by the groups of a lexicon. Get one with `AxisLabels.parse`.

    Attributes
    ----------
    spec : str
        As the user wrote it, ``axis:occupations``.
    lexicon : Lexicon

    Notes
    -----
    The label is the group with most mentions in the text. No mention, or as many of another group, is no label, and so
    are groups that exclude each other (she and he) in one text. Ambiguous forms, and groups that set no status, such as
    they, make no label. A row without label is left out of rates and counted.
    """

    spec: str
    lexicon: Lexicon = field(repr=False)
    matcher: Matcher = field(repr=False, compare=False)

    @staticmethod
    def parse(spec: str, names: Sequence[str]) -> AxisLabels | None:
        """What ``axis:NAME`` or ``axis:lexicon:FILE`` means; None where `spec` is the name of a column.

        Raises
        ------
        InputError
            When there is no such lexicon, or it has no group that can label.

        Examples
        --------
        >>> AxisLabels.parse("axis:occupations", names=[]).groups[:2]
        ('accountant', 'architect')
        """
        if spec in names or not spec.startswith(PREFIX):
            return None
        name = spec.removeprefix(PREFIX).strip()
        if name.startswith("column:"):
            raise InputError(
                f'--label "{spec}": a column is a label as it is; say --label {name.removeprefix("column:")}'
            )
        if name.startswith("lexicon:"):
            lexicon = load(Path(name.removeprefix("lexicon:").strip()).expanduser())
        elif name in builtin_names():
            lexicon = load(name)
        else:
            known = builtin_names()
            raise InputError(
                f'--label "{spec}" means nothing; there are axis:lexicon:FILE and axis: before one of '
                f"{', '.join(known)}.{suggest(name, known)}"
            )
        labels = AxisLabels(spec, lexicon, Matcher(lexicon))
        if len(labels.groups) < 2:
            raise InputError(f'--label "{spec}": the lexicon "{lexicon.name}" has fewer than two groups that can label')
        return labels

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that can be labels."""
        return tuple(group.name for group in self.lexicon.groups if group.status and not group.ambiguous)

    @property
    def positive(self) -> str | None:
        """Of two groups the one called positive, as in the lexicon affect."""
        return "positive" if len(self.groups) == 2 and "positive" in self.groups else None

    def of(self, text: pa.Array) -> pa.StringArray:
        """The label of each text; null where it has none."""
        return self._labelled(text)[0]

    def shares(self, text: pa.Array) -> tuple[pa.StringArray, float, float]:
        """The labels, and which shares of the texts mention no group, and several equally."""
        label, several = self._labelled(text)
        rows = max(len(text), 1)
        tied = int(several.sum())
        return label, (label.null_count - tied) / rows, tied / rows

    def _labelled(self, text: pa.Array) -> tuple[pa.StringArray, np.ndarray]:
        groups = self.lexicon.groups
        n = len(groups)
        able = np.array([group.status and not group.ambiguous for group in groups], np.bool_)
        found = self.matcher.find(tokenize(text))
        group = self.matcher.group_of[found.form].astype(np.int64)
        counted = able[group]
        key, count = np.unique(found.row[counted] * n + group[counted], return_counts=True)
        row, group = key // n, key % n
        order = np.lexsort((count, row))
        row, group, count = row[order], group[order], count[order]
        last = np.flatnonzero(np.append(row[1:] != row[:-1], True)) if len(row) else np.zeros(0, np.int64)
        before = np.maximum(last - 1, 0)
        tied = (before < last) & (row[before] == row[last]) & (count[before] == count[last])
        several = np.zeros(len(text), np.bool_)
        several[row[last[tied]]] = True
        for number, one in enumerate(groups):
            for other in one.exclusive_with:
                both = np.intersect1d(row[group == number], row[group == self.lexicon.group_index(other)])
                several[both] = True
        code = np.full(len(text), -1, np.int64)
        code[row[last]] = group[last]
        code[several] = -1
        names = pa.array([item.name for item in groups], pa.string())
        return names.take(pa.array(code, mask=code < 0)), several
