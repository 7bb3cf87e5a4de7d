"""Which rows may hold words of a lexicon, by Arrow's regular expressions: the others need not be tokenised.

Far faster than tokenising, and never wrong about a row that it leaves out: in a row of ASCII alone a form can only
stand where its first word stands between other characters than letters and digits. All other rows may hold anything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...data.axes import Axis
from ...data.dataset import Batch
from ...data.lexicon import Lexicon
from ...data.membership import Membership
from ...data.scan import Scanned, Scanner

# More words than this make the expression slow.
_MOST_WORDS = 1_000
# Where more of the rows may match, leaving out the others gains nothing.
_MOST_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Skim:
    """Finds rows that may hold words.

    Attributes
    ----------
    pattern : str
        What must be found in a row of ASCII.
    """

    pattern: str

    @staticmethod
    def of(lexicons: Sequence[Lexicon]) -> Skim | None:
        """For the forms of lexicons; None where there are too many.

        Examples
        --------
        >>> from evenset.data.lexicon import load
        >>> skim = Skim.of([load("pronouns")])
        >>> skim.rows(pa.array(["A sheet.", "Not-she", "Été"], pa.large_string())).tolist()
        [1, 2]
        """
        first = {re.split("[ ']", form.text)[0] for lexicon in lexicons for form in lexicon.forms}
        words = sorted(word for word in first if word.isascii())
        if not words or len(words) > _MOST_WORDS or not all(word.isalnum() for word in words):
            return None
        return Skim(f"(?i)(?:^|[^a-z0-9])(?:{'|'.join(words)})(?:[^a-z0-9]|$)")

    def rows(self, text: Any) -> npt.NDArray[np.int64]:
        """Rows that may hold a form, ascending."""
        may = pc.or_(pc.match_substring_regex(text, self.pattern), pc.invert(pc.string_is_ascii(text)))
        return np.flatnonzero(may.to_numpy(zero_copy_only=False))


def for_axes(axes: Sequence[Axis]) -> Skim | None:
    """For groups on axes; None where an axis is made of more than words."""
    if not axes or any(axis.columns() or not axis.lexicons() for axis in axes):
        return None
    return Skim.of([lexicon for axis in axes for lexicon in axis.lexicons()])


def grouped(scanner: Scanner, skim: Skim | None, batch: Batch) -> Scanned:
    """The groups of all rows; tokens and matches only where nearly all rows had to be looked at."""
    rows = None if skim is None else skim.rows(batch.text)
    if rows is None or len(rows) > _MOST_SHARE * batch.n:
        return scanner.scan(batch)
    found = scanner.scan(batch.take(rows))
    members = {}
    for name, some in found.members.items():
        code = np.zeros(batch.n, np.int32)
        code[rows] = some.code
        members[name] = Membership(some.patterns, code)
    length = np.asarray(pc.utf8_length(batch.text))
    bucket = np.searchsorted(scanner.edges, length, side="right").astype(np.int8)
    return Scanned(batch, None, {}, members, bucket)


def chosen(skim: Skim | None, batch: Batch) -> npt.NDArray[np.int64] | None:
    """The rows to look at; None for all."""
    rows = None if skim is None else skim.rows(batch.text)
    return None if rows is None or len(rows) > _MOST_SHARE * batch.n else rows


def put_back(text: Any, rows: npt.NDArray[np.int64], new: Any) -> Any:
    """Texts with those of some rows (ascending) put in place of the old ones."""
    mask = np.zeros(len(text), np.bool_)
    mask[rows] = True
    return pc.replace_with_mask(text, pa.array(mask), new)
