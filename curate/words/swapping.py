"""From what a swap step says to the swaps that it makes: targets, names, the tagger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...data.config import SwapStep
from ...data.errors import InputError, suggest
from ...data.lexicon import Lexicon
from ...data.match import Matcher
from .first_names import with_names
from .lexical import Words
from .swap import Swap
from .tagging import Tagger, load


def swaps(step: SwapStep, lexicon: Lexicon, matcher: Matcher, index: int, *, where: str) -> tuple[Swap, ...]:
    """The swaps of a step: one, or with ``to = "others"`` one for every group that rows can be copied to.

    Parameters
    ----------
    step : SwapStep
        Of a plan.
    lexicon : Lexicon
        Of the step's axis.
    matcher : Matcher
        Of the lexicon.
    index : int
        Of the step in the plan, from 0.
    where : str
        Beginning of every message.

    Raises
    ------
    InputError
        For a group that is not there, and targets that the lexicon does not define.

    Examples
    --------
    >>> from evenset.data.lexicon import load
    >>> lexicon = load("pronouns")
    >>> step = SwapStep(do="swap", axis="pronouns", to={"she": "xe", "he": "ze"})
    >>> [lexicon.groups[to].name for to in swaps(step, lexicon, Matcher(lexicon), 0, where="")[0].to[:2]]
    ['xe', 'ze']
    """
    if step.names:
        lexicon = with_names(lexicon, where=where)
        matcher = Matcher(lexicon)
    words = Words(lexicon, ambiguous=step.ambiguous, where=where)
    tagger = load(step.tagger)
    if isinstance(step.to, dict):
        groups, table = _table(words, step, where)
        return (_swap(words, matcher, index, groups, table, step, tagger),)
    groups = words.chosen(step.groups)
    if step.to == "opposite":
        for group in groups:
            words.opposite(group)
        return (_swap(words, matcher, index, groups, step.to, step, tagger),)
    if step.to in ("random", "others"):
        if any(not words.targets(group) for group in groups):
            raise InputError(f'{where}to = "{step.to}" needs a lexicon with more than one group')
        if step.to == "random":
            return (_swap(words, matcher, index, groups, step.to, step, tagger),)
        # Groups that are named are also the ones to which rows are copied.
        targets = dict.fromkeys(target for group in groups for target in words.targets(group))
        if step.groups is not None:
            targets = {target: None for target in targets if target in groups}
            if len(targets) < 2:
                raise InputError(
                    f'{where}to = "others" copies rows from each of the groups to the others; name several'
                )
        made = []
        for target in sorted(targets):
            rest = [group for group in groups if group not in words.family(target)]
            made.append(_swap(words, matcher, index, rest, target, step, tagger, others=True))
        return tuple(made)
    to = _target(words, step.to, where)
    rest = [group for group in groups if group not in words.family(to)]
    return (_swap(words, matcher, index, rest, to, step, tagger),)


def about(swap: Swap) -> Mapping[str, Any]:
    """What the report says of a swap besides counts."""
    tagger = swap.tagger
    return {} if tagger is None else {"tagger": f"{tagger.name} {tagger.version}"}


def _swap(
    words: Words,
    matcher: Matcher,
    index: int,
    groups: list[int],
    to: str | int | tuple[int, ...],
    step: SwapStep,
    tagger: Tagger | None,
    *,
    others: bool = False,
) -> Swap:
    # Without words that could be read in two ways there is nothing to tag.
    needed = tagger if words.both.any() else None
    return Swap(words, matcher, index, tuple(groups), to, needed, step.mixed == "leave", others)


def _table(words: Words, step: SwapStep, where: str) -> tuple[list[int], tuple[int, ...]]:
    """The groups that a table from group to group swaps, and for every group its target or -1."""
    assert isinstance(step.to, dict)
    if not step.to:
        raise InputError(f'{where}to is empty; write for example to = {{ she = "they" }}')
    if step.groups is not None and set(step.groups) != set(step.to):
        raise InputError(f"{where}give either groups or a table as to; the table names the groups already")
    table = [-1] * len(words.lexicon.groups)
    groups = words.chosen(list(step.to))
    names = [group.name for group in words.lexicon.groups]
    for source, name in step.to.items():
        target = _target(words, name, f'{where}to, "{source}": ')
        for group in groups:
            if names[group].removesuffix(" (ambiguous)") == source.removesuffix(" (ambiguous)"):
                if target in words.family(group):
                    raise InputError(f'{where}to sends "{source}" to itself; leave it out')
                table[group] = target
    return groups, tuple(table)


def _target(words: Words, name: str, where: str) -> int:
    known = [group.name for group in words.lexicon.groups]
    if name not in known:
        raise InputError(
            f'{where}"{name}" is neither "opposite", "random" nor "others" nor a group of the lexicon '
            f'"{words.lexicon.name}".{suggest(name, known)} Groups: {", ".join(known)}.'
        )
    return known.index(name)
