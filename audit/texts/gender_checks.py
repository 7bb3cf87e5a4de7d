"""Checks of a column of genders against the pronouns of the texts, and the state code that passes for a woman."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...data.lexicon import load
from ...data.match import Matcher
from .copies import Share, share_of

if TYPE_CHECKING:
    from ...data.membership import Membership
    from ...data.tokens import Tokens

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

AGREEMENT = 0.75
"""Share of rows that must agree before a column counts as one of genders."""

LEAST_ROWS = 30
_EXAMPLES = 5


def hidden(tokens: Tokens, names: tuple[str, ...]) -> Bools:
    """Which tokens belong to a form of the built-in lexicons of these names."""
    found = np.zeros(tokens.n, np.bool_)
    for name in names:
        found |= matched(tokens, Matcher(load(name)))
    return found


def matched(tokens: Tokens, matcher: Matcher) -> Bools:
    """Which tokens belong to a form of the lexicon, all words of a form of several words."""
    matches = matcher.find(tokens)
    found = np.zeros(tokens.n, np.bool_)
    for k in range(int(matches.length.max(initial=0))):
        found[matches.token[matches.length > k] + k] = True
    return found


def sides(tokens: Tokens, lexicon: str, first: str, second: str, *, ambiguous: bool = False) -> tuple[Bools, Bools]:
    """Which rows hold a form of each of two groups of a built-in lexicon."""
    words = load(lexicon)
    matches = Matcher(words).find(tokens)
    found = []
    for name in (first, second):
        indices = [words.group_index(name)]
        if ambiguous and f"{name} (ambiguous)" in [group.name for group in words.groups]:
            indices.append(words.group_index(f"{name} (ambiguous)"))
        of_form = np.array([form.group in indices for form in words.forms], np.bool_)
        rows = np.zeros(tokens.n_rows, np.bool_)
        rows[matches.row[of_form[matches.form]]] = True
        found.append(rows)
    return found[0], found[1]


@dataclass(frozen=True, slots=True)
class Gendered:
    """A column whose two commonest values go with she and he.

    Attributes
    ----------
    she, he : str
        The value that goes with each.
    contradicted : Share
        Of the rows with one of the values and pronouns of one kind only, those where the two disagree.
    rows : tuple of int
        Places of some of them.
    """

    she: str
    he: str
    contradicted: Share
    rows: tuple[int, ...]


def gendered(tokens: Tokens, member: Membership, cluster: Ints) -> Gendered | None:
    """Tell whether a column holds genders, by the pronouns of the texts, and where the two contradict each other.

    Parameters
    ----------
    tokens : Tokens
        The texts.
    member : Membership
        Of a column axis, for the same rows.
    cluster : int64 array
        Rows that belong together, for the interval.

    Returns
    -------
    Gendered, or None
        When fewer than 30 rows can be compared, or the values do not go with pronouns.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from evenset.data.membership import Membership
    >>> from evenset.data.tokens import tokenize
    >>> text = pa.array(["She ran."] * 40 + ["He ran."] * 40)
    >>> member = Membership(((), ("f",), ("m",)), np.array([1] * 39 + [2] * 41, np.int32))
    >>> found = gendered(tokenize(text), member, np.arange(80))
    >>> found.she, found.he, found.contradicted.count, found.rows
    ('f', 'm', 1, (39,))
    """
    she, he = sides(tokens, "pronouns", "she", "he")
    names = sorted({group for pattern in member.patterns for group in pattern})
    values = {name: member.rows_with(name) for name in names}
    common = sorted(names, key=lambda name: (-int((values[name] & (she ^ he)).sum()), name))[:2]
    if len(common) < 2:
        return None
    one, other = common
    rows = np.flatnonzero((she ^ he) & (values[one] ^ values[other]))
    agree = values[one][rows] == she[rows]
    if len(rows) < LEAST_ROWS or not she[rows].any() or not he[rows].any():
        return None
    if agree.mean() < 0.5:
        one, other, agree = other, one, ~agree
    if agree.mean() < AGREEMENT:
        return None
    unit = np.unique(cluster[rows], return_inverse=True)[1]
    contradicted = share_of(np.bincount(unit, ~agree), np.bincount(unit))
    return Gendered(one, other, contradicted, tuple(rows[~agree][:_EXAMPLES].tolist()))


def state_code(tokens: Tokens) -> Bools:
    """Rows whose only sign of a woman is "MS" in capitals, which is also a state, a degree and a disease.

    Parameters
    ----------
    tokens : Tokens
        The texts.

    Returns
    -------
    bool array

    Notes
    -----
    The pattern that made the groups of Bias in Bios reads "ms" in any case. A row counts when it has the word MS, no
    she-form, no female noun or title besides, and "Ms" in no other spelling; texts all in capitals do not count.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from evenset.data.tokens import tokenize
    >>> text = ["He practises in Lucedale, MS 39452.", "Ms Li has an MS in physics.", "She lives in Jackson, MS."]
    >>> state_code(tokenize(pa.array(text))).tolist()
    [True, False, False]
    """
    spelt = tokens.vocabulary.to_pylist()
    rows = tokens.rows()

    def has(chosen: list[bool]) -> Bools:
        found = np.zeros(tokens.n_rows, np.bool_)
        found[rows[np.array(chosen, np.bool_)[tokens.ids]]] = True
        return found

    capitals = has([word == "MS" for word in spelt])
    if not capitals.any():
        return capitals
    other = has([word != "MS" and folded == "ms" for word, folded in zip(spelt, tokens.folded, strict=True)])
    small = has([word != word.upper() and len(word) > 1 for word in spelt])
    she, _ = sides(tokens, "pronouns", "she", "he")
    female, _ = sides(tokens, "gendered_nouns", "female", "male")
    found: Bools = capitals & small & ~other & ~she & ~female
    return found
