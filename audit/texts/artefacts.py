"""Artefacts of the data that make bias figures wrong.

Copies and leaks between splits, text that the word lists cannot see, columns that contradict the text, labels that
contradict each other or a model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...data.match import Matcher
from .copies import Copies, share_by_cluster
from .duplicates import near_duplicates
from .gender_checks import gendered, matched, state_code
from .language import LEAST_POOLED, languages
from .noise import disagreements
from .quality import Quality, QualityFinding, Severity, of_share, said_share
from .repeats import Split, copied, leaked, nearly

if TYPE_CHECKING:
    from ...data.axes import Axis
    from .sampling import Rows

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

WARN_CONTRADICTED = 0.01
WARN_STATE_CODE = 0.001
WARN_OTHER = 0.02
UNCLEAR_OTHER = 0.10
LEAST_SEEN = 0.01
LEAST_ROWS = 30
_EXAMPLES = 5


def artefacts(
    rows: Rows,
    axes: Sequence[Axis],
    *,
    copies: Copies | None = None,
    splits: Mapping[str, Split] | None = None,
    noise: bool = True,
    seed: int = 0,
) -> Quality:
    """Look for what makes bias figures wrong.

    Parameters
    ----------
    rows : Rows
        The sample of the (training) data.
    axes : sequence of Axis
        Those that the sample was drawn with.
    copies : Copies, optional
        Hashes of all rows; without them exact duplicates are counted in the sample.
    splits : mapping of name to Split, optional
        Others, to be held against this one.
    noise : bool
        Whether to estimate disagreement of labels and a model by group.
    seed : int
        Of that model's folds.

    Returns
    -------
    Quality

    Examples
    --------
    >>> import pyarrow as pa
    >>> from evenset.audit.texts.sampling import draw
    >>> from evenset.data import Dataset
    >>> from evenset.data.axes import parse_axes
    >>> axes = parse_axes(["pronouns"], names=["text"])
    >>> text = [f"Sie ist seit {i} Jahren in der Praxis." for i in range(50)]
    >>> data = Dataset.of(pa.table({"text": text}), text="text")
    >>> [(finding.kind, finding.severity) for finding in artefacts(draw(data, axes), axes).unclear]
    [('language', 'unclear'), ('coverage', 'unclear')]
    """
    every = rows.all_rows()
    cluster = near_duplicates(every.tokens, shared=every.cluster).cluster
    found = [
        *copied(every, copies),
        *nearly(every),
        *leaked(rows, copies, splits or {}),
        *_language(every, axes, cluster),
        *_genders(every, axes, cluster),
    ]
    if noise:
        found += disagreements(every, axes, cluster, seed)
    return Quality(tuple(found))


def _language(rows: Rows, axes: Sequence[Axis], cluster: Ints) -> Iterator[QualityFinding]:
    """Whether the word lists can see this text at all."""
    lexicons = {lexicon.name: lexicon for axis in axes for lexicon in axis.lexicons()}
    english = {name: lexicon for name, lexicon in lexicons.items() if lexicon.language.split("-")[0] == "en"}
    if not lexicons or not rows.n:
        return
    blind = False
    if english:
        seen = languages(rows.tokens)
        other = share_by_cluster(seen.other, cluster)
        blind = other.low >= UNCLEAR_OTHER or seen.pooled < LEAST_POOLED or not seen.known.any()
        severity: Severity = "unclear" if blind else "warn" if other.low >= WARN_OTHER else "info"
        unknown = f"; {1 - seen.known.mean():.0%} of rows are too short to tell" if not seen.known.all() else ""
        said = "" if math.isnan(seen.pooled) else f"; {seen.pooled:.0%} of words are English function words"
        yield QualityFinding(
            "language",
            "",
            severity,
            other.estimate,
            other.low,
            other.high,
            other.n,
            f"Rows that are not in English, as far as can be seen: {said_share(other)}{said}{unknown}",
            ""
            if severity == "info"
            else f"these word lists are English ({', '.join(english)}): bring lists in the language of the text "
            "(--axis lexicon:FILE), or keep the English rows only",
            tuple(np.sort(rows.position[seen.other])[:_EXAMPLES].tolist()),
        )
    for name, lexicon in lexicons.items():
        hit = matched(rows.tokens, Matcher(lexicon))
        per_row = np.zeros(rows.n, np.bool_)
        per_row[rows.tokens.row_of(np.flatnonzero(hit))] = True
        share = share_by_cluster(per_row, cluster)
        nothing = rows.n >= LEAST_ROWS and not per_row.any()
        level: Severity = "unclear" if nothing or (blind and name in english) else "info"
        if level == "info" and share.high < LEAST_SEEN:
            level = "warn"
        words = hit.mean() if len(hit) else 0.0
        yield QualityFinding(
            "coverage",
            name,
            level,
            share.estimate,
            share.low,
            share.high,
            share.n,
            f'Rows in which the word list "{name}" finds anything: {said_share(share)}; {words:.2%} of all words',
            ""
            if level == "info"
            else "what this list does not see is not counted: choose a list that fits the text, or a column of groups",
        )


def _genders(rows: Rows, axes: Sequence[Axis], cluster: Ints) -> Iterator[QualityFinding]:
    columns = [axis for axis in axes if axis.kind == "column" and axis.threshold is None]
    code = state_code(rows.tokens)
    told = False
    for axis in columns:
        member = rows.members[axis.name]
        found = gendered(rows.tokens, member, cluster)
        if found is None:
            continue
        told = True
        yield of_share(
            "contradicts_pronouns",
            axis.name,
            found.contradicted,
            warn=WARN_CONTRADICTED,
            message=f'Rows with pronouns of one kind where {axis.name} ("{found.she}" goes with she) says the other',
            what_to_do="look at these rows: the column or the text is about somebody else; leave them out of gaps",
            rows=tuple(rows.position[list(found.rows)].tolist()),
        )
        she, he = member.rows_with(found.she), member.rows_with(found.he)
        share = share_by_cluster(code[she], cluster[she])
        before = she.sum() / max((she | he).sum(), 1)
        after = (she & ~code).sum() / max(((she & ~code) | he).sum(), 1)
        effect = f"; without them {after:.1%} of the rows are {found.she}, with them {before:.1%}"
        yield of_share(
            "state_code_ms",
            axis.name,
            share,
            warn=WARN_STATE_CODE,
            message=f'Rows of {axis.name} = {found.she} whose only sign of a woman is "MS" in capitals (a state, a '
            f"degree){effect if share.count else ''}",
            what_to_do=f"set their {axis.name} anew or drop them: a pattern took the state code for a title",
            rows=tuple(np.sort(rows.position[she & code])[:_EXAMPLES].tolist()),
        )
    if not told and code.any():
        yield of_share(
            "state_code_ms",
            "",
            share_by_cluster(code, cluster),
            warn=1.0,
            message='Rows whose only sign of a woman is "MS" in capitals (a state, a degree, a disease)',
            what_to_do='leave "ms" out of word lists that ignore case',
            rows=tuple(np.sort(rows.position[code])[:_EXAMPLES].tolist()),
        )
