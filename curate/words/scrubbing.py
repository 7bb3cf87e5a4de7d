"""From what a scrub step says to how it scrubs: words and proxies, names, or neutral forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...data.config import ScrubStep
from ...data.errors import InputError
from ...data.match import Matcher
from .lexical import Words
from .neutral import Neutral
from .persons import Names
from .scrub import Scrub
from .swap import Swap
from .tagging import KNOWN, Tagger, load

if TYPE_CHECKING:
    from .proxy_words import Learned

NAMES = "names"
"""Name of the axis of persons' names."""

Learn = Callable[[ScrubStep, Scrub], "Learned"]
"""Finds the proxies of a step that takes out its axis's own words so far."""

_NEUTRAL_GROUPS = ("they", "neutral")


@dataclass(frozen=True, slots=True)
class Scrubbing:
    """How a step scrubs, what the report says of it, and what its reader should know."""

    how: Scrub | Names | Neutral
    about: Mapping[str, Any]
    notes: tuple[str, ...]


def scrubbing(
    step: ScrubStep, words: Words, matcher: Matcher, index: int, *, names: bool, learn: Learn | None
) -> Scrubbing:
    """The way of scrubbing that a step asks for.

    Parameters
    ----------
    step : ScrubStep
        Of a plan.
    words : Words
        Of the step's axis.
    matcher : Matcher
        Of its lexicon.
    index : int
        Of the step in the plan, from 0.
    names : bool
        Whether the axis is that of persons' names.
    learn : callable or None
        Finds proxies.

    Raises
    ------
    InputError
        For a group that is not there, a mask that would be scrubbed itself, and what has no neutral forms.

    Examples
    --------
    >>> from evenset.data.lexicon import load
    >>> lexicon = load("pronouns")
    >>> step = ScrubStep.model_validate({"do": "scrub", "axis": "pronouns", "with": "drop"})
    >>> scrubbing(step, Words(lexicon), Matcher(lexicon), 0, names=False, learn=None).how.mask is None
    True
    """
    about: dict[str, Any] = {}
    notes: list[str] = []
    mask = None if step.with_ == "drop" else step.with_
    tagger = load(step.tagger) if names or step.with_ == "neutral" else None
    if tagger is not None:
        about["tagger"] = f"{tagger.name} {tagger.version}"
    elif step.tagger == "off" and (names or step.with_ == "neutral"):
        about["tagger"] = None
        notes += _unused(index, names=names)
    how: Scrub | Names | Neutral
    if names:
        how = _names(index, step, words, matcher, mask, tagger)
    elif step.with_ == "neutral":
        how = _neutral(index, step, words, matcher, tagger)
    else:
        how = Scrub(words, matcher, index, tuple(words.chosen(step.groups)), mask, own=step.words)
        if step.proxies is not None:
            if learn is None:
                raise InputError(f"{words.where}proxies can only be learned from rows of data")
            learned = learn(step, how)
            about["proxies"] = dict(learned.about)
            notes += [f"step {index + 1}: {note}" for note in learned.notes]
            how = Scrub(words, matcher, index, how.groups, mask, own=step.words, proxies=learned.matcher)
    return Scrubbing(how, about, tuple(notes))


def _names(
    index: int, step: ScrubStep, words: Words, matcher: Matcher, mask: str | None, tagger: Tagger | None
) -> Names:
    if step.with_ == "neutral":
        raise InputError(f'{words.where}with = "neutral": names have no neutral forms; use a mask or "drop"')
    if step.proxies is not None:
        raise InputError(f"{words.where}proxies: names have none; they are those of an axis of groups")
    if step.groups is None:
        every = words.lexicon.groups
        groups = [at for at, group in enumerate(every) if step.ambiguous or not group.ambiguous]
    else:
        groups = words.chosen(step.groups)
    if mask is not None and "`" in mask:
        raise InputError(f'{words.where}with = "{mask}": a backtick begins code; choose another mask')
    return Names(words, matcher, index, tuple(groups), mask, tagger)


def _neutral(index: int, step: ScrubStep, words: Words, matcher: Matcher, tagger: Tagger | None) -> Neutral:
    if step.proxies is not None:
        raise InputError(
            f'{words.where}with = "neutral": proxies have no neutral forms; scrub them in a step of their own'
        )
    names = [group.name for group in words.lexicon.groups]
    name = next((name for name in _NEUTRAL_GROUPS if name in names), None)
    if name is None:
        raise InputError(
            f'{words.where}with = "neutral" writes the forms of the group "{_NEUTRAL_GROUPS[0]}" (or '
            f'"{_NEUTRAL_GROUPS[1]}"), which the lexicon "{words.lexicon.name}" does not have; use another mask'
        )
    target = names.index(name)
    groups = tuple(group for group in words.chosen(step.groups) if group != target)
    return Neutral(Swap(words, matcher, index, groups, target, tagger), tagger)


def _unused(index: int, *, names: bool) -> list[str]:
    """A remark that a pipeline which would do better is installed."""
    from importlib.util import find_spec

    found = next((name for name in KNOWN if find_spec(name) is not None), None)
    if found is None:
        return []
    does = "finds names by the list" if names else "agrees only those verbs that plain rules are sure of"
    return [f'step {index + 1} {does}; with tagger = "auto" it would use the pipeline {found}, which is installed']
