"""Findings about copies: in the data itself, and between it and other splits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from .copies import Copies, CopyCounts, Share, leaks, near_leaks, share_of, words_of
from .duplicates import THRESHOLD, near_duplicates
from .quality import QualityFinding, of_share

if TYPE_CHECKING:
    from .sampling import Rows

WARN_COPIES = 0.01
WARN_NEAR = 0.02
WARN_CONFLICTS = 0.05
LEAST_CONFLICTS = 0.0005
WARN_LEAK = 0.005
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Split:
    """Another split of the data, such as the test rows.

    Attributes
    ----------
    rows : Rows or None
        Its sample, for near duplicates.
    copies : Copies or None
        Its hashes, for exact ones.
    """

    rows: Rows | None = None
    copies: Copies | None = None


def copied(rows: Rows, given: Copies | None) -> Iterator[QualityFinding]:
    """Rows and words that repeat, rows without words, copies with different labels."""
    copies = given
    if copies is None:
        copies = Copies()
        label = _labels(rows)
        copies.add(rows.tokens, rows.text, label)
    counts = copies.counts()

    def numbers(of: tuple[int, ...]) -> tuple[int, ...]:
        return of if given is not None else tuple(rows.position[list(of)].tolist())

    seen = "" if counts.searched == counts.rows else f" in a sample of {counts.searched:,} of {counts.rows:,} rows"
    again = "drop the copies, or name what rows share with --cluster, so that intervals do not take them for evidence"
    yield of_share(
        "exact_duplicates",
        "",
        counts.exact,
        warn=WARN_COPIES,
        message=f"Rows whose text has come before{seen}",
        what_to_do=again,
    )
    yield of_share(
        "same_words",
        "",
        counts.words,
        warn=WARN_COPIES,
        message=f"Rows whose words, whatever case and punctuation, have come before{seen}",
        what_to_do=again,
        rows=numbers(counts.copied_rows),
    )
    if counts.empty:
        yield _empty(counts)
    if _labelled(rows):
        yield of_share(
            "label_conflicts",
            "",
            counts.conflicts,
            # Of a handful of repeated texts in many rows none is worth a warning.
            warn=WARN_CONFLICTS if counts.conflicts.count >= LEAST_CONFLICTS * counts.searched else math.inf,
            message=f"Texts that come more than once and have different labels{seen}",
            what_to_do="look at these rows and give each text one label, or drop them",
            rows=numbers(counts.conflicting_rows),
        )


def _empty(counts: CopyCounts) -> QualityFinding:
    n = counts.rows + counts.empty
    share = share_of(np.repeat([1, 0], [counts.empty, counts.rows]), np.ones(n)) if n <= 10**6 else None
    estimate = counts.empty / n
    low, high = (share.low, share.high) if share is not None else (estimate, estimate)
    return QualityFinding(
        "empty",
        "",
        "warn" if estimate >= WARN_COPIES else "info",
        estimate,
        low,
        high,
        n,
        f"Rows without a word: {counts.empty:,} of {n:,}",
        "drop them: they belong to no group and have nothing to learn from",
    )


def nearly(rows: Rows) -> Iterator[QualityFinding]:
    """Rows that nearly repeat another one, beyond those with the very same words."""
    near = near_duplicates(rows.tokens)
    worded = np.diff(rows.tokens.splits) > 0
    if not worded.any():
        return
    first = np.unique(np.stack([near.cluster[worded].astype(np.uint64), words_of(rows.tokens)[worded]]), axis=1)[0]
    unit, size = np.unique(near.cluster[worded], return_counts=True)
    kinds = np.bincount(np.searchsorted(unit, first.astype(np.int64)), minlength=len(unit))
    part = (
        "" if rows.n == rows.total else f" (at least: both must be in the sample of {rows.n:,} of {rows.total:,} rows)"
    )
    crowd = f"; {near.skipped:,} rows of very similar texts were not all compared" if near.skipped else ""
    yield of_share(
        "near_duplicates",
        "",
        share_of(kinds - 1, size),
        warn=WARN_NEAR,
        message=f"Rows that share {THRESHOLD:.0%} of their three-word runs with an earlier one{part}{crowd}",
        what_to_do="keep them in one split, and name what they share with --cluster",
        rows=tuple(np.sort(rows.position[worded][near.cluster[worded] != np.flatnonzero(worded)])[:_EXAMPLES].tolist()),
    )


def leaked(rows: Rows, copies: Copies | None, splits: Mapping[str, Split]) -> Iterator[QualityFinding]:
    """Rows of other splits that are, exactly or nearly, in this one."""
    mine = rows.all_rows()
    for name, split in splits.items():
        if copies is not None and split.copies is not None:
            leak = leaks(copies, split.copies)
            yield of_share(
                "split_leak",
                name,
                leak.exact,
                warn=WARN_LEAK,
                message=f'Rows of "{name}" whose words are those of a training row',
                what_to_do=f'drop these rows from "{name}": a model is rewarded for having seen them',
                rows=leak.rows,
            )
            if leak.conflicts.n:
                yield of_share(
                    "split_label_conflicts",
                    name,
                    leak.conflicts,
                    warn=WARN_CONFLICTS,
                    message=f'Of these rows of "{name}", those with a label that no such training row has',
                    what_to_do="look at these rows and give each text one label",
                )
        if split.rows is not None:
            theirs = split.rows.all_rows()
            yield _near_leak(mine, theirs, name)


def _near_leak(mine: Rows, theirs: Rows, name: str) -> QualityFinding:
    from ...data.tokens import tokenize

    both = tokenize(pa.concat_arrays([mine.text, theirs.text]))
    cluster = near_duplicates(both).cluster
    hit = near_leaks(np.arange(mine.n), cluster)[mine.n :]
    unit = np.unique(cluster[mine.n :], return_inverse=True)[1]
    whole = mine.n == mine.total and theirs.n == theirs.total
    part = "" if whole else " (at least: samples of both were compared)"
    return of_share(
        "split_near_leak",
        name,
        share_of(np.bincount(unit, hit), np.bincount(unit)) if theirs.n else Share(0, 0, math.nan, math.nan, math.nan),
        warn=WARN_LEAK,
        message=f'Rows of "{name}" that are in a group of near duplicates with a training row{part}',
        what_to_do=f'drop these rows from "{name}", or split the data anew by these groups',
        rows=tuple(np.sort(theirs.position[hit])[:_EXAMPLES].tolist()),
    )


def _labelled(rows: Rows) -> bool:
    return bool((rows.label >= 0).any())


def _labels(rows: Rows) -> pa.Array | None:
    if not _labelled(rows):
        return None
    return pa.array(rows.labels, pa.string()).take(pa.array(rows.label, mask=rows.label < 0))
