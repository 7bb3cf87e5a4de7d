"""From a plan's words to what they act on: axes, lexicons, groups. Everything that can be wrong is found here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.axes import Axis, parse_axes
from ..data.config import Plan, ResampleStep, ReweightStep, ScrubStep, SwapStep, TopupStep
from ..data.errors import InputError
from ..data.lexicon import Lexicon
from ..data.match import Matcher
from .conflicts import conflicts
from .neutral import Neutral
from .persons import Names
from .scrub import RULE as SCRUB_RULE
from .scrub import Scrub
from .swap import RULE as SWAP_RULE
from .swap import Swap
from .tagging import KNOWN, load
from .words import Words

if TYPE_CHECKING:
    from ..data.scan import Scanned
    from .edits import Edits, Ints
    from .proxy_words import Learned

_NEUTRAL_GROUPS = ("they", "neutral")
_NAMES = "names"

Learn = Callable[[ScrubStep, Scrub], "Learned"]
"""Finds the proxies of a step that takes out its axis's own words so far."""


@dataclass(frozen=True)
class EditStep:
    """A step that changes words, in the rows themselves or in a copy of each.

    Attributes
    ----------
    index : int
        Of the step in the plan, from 0.
    rule : str
        Name and version of the rule.
    axis : str
        Name of the axis.
    how : Scrub, Names, Neutral or Swap
    copies : bool
        Whether rows are copied and the copies edited.
    inside : tuple of str
        Kinds of protected places that it goes into.
    about : mapping
        What the report says of it besides counts.
    """

    index: int
    rule: str
    axis: str
    how: Scrub | Names | Neutral | Swap
    copies: bool
    inside: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lexicon(self) -> Lexicon:
        """The words."""
        return self.how.words.lexicon

    @property
    def groups(self) -> tuple[int, ...]:
        """Groups whose words are changed."""
        own = not isinstance(self.how, Scrub) or self.how.own
        return self.how.groups if own else ()

    def reasons(self, scanned: Scanned, edits: Edits) -> tuple[Ints, list[str]]:
        """Why each of its edits was made, as an index into names: mostly the group whose word it was."""
        matches = scanned.matches[self.lexicon.name]
        if not isinstance(self.how, Swap):
            assert scanned.tokens is not None
            return self.how.reasons(scanned.tokens, matches, edits)
        place = np.searchsorted(matches.token, edits.token, side="right") - 1
        group = self.how.matcher.group_of[matches.form[place]].astype(np.int64)
        return group, [group.name for group in self.lexicon.groups]


@dataclass(frozen=True)
class Resolved:
    """A plan and what its steps act on.

    Attributes
    ----------
    plan : Plan
    axis_of : tuple of str
        Name of each step's axis.
    edits : tuple of EditStep
        Steps of the first phase.
    augments : tuple of EditStep
        Steps of the second phase that copy.
    notes : tuple of str
        What a reader of the report should know.
    """

    plan: Plan
    axis_of: tuple[str, ...]
    edits: tuple[EditStep, ...]
    augments: tuple[EditStep, ...]
    notes: tuple[str, ...]

    @property
    def moves_rows(self) -> bool:
        """Whether any step copies, adds, drops or weights rows."""
        return any(
            not isinstance(step, ScrubStep) and getattr(step, "mode", "") != "replace" for step in self.plan.step
        )

    @property
    def weights(self) -> bool:
        """Whether the plan writes weights."""
        return any(isinstance(step, ReweightStep) for step in self.plan.step)

    @property
    def copies(self) -> bool:
        """Whether the plan may write a row that was not there."""
        return any(
            isinstance(step, TopupStep)
            or (isinstance(step, SwapStep) and step.mode == "augment")
            or (isinstance(step, ResampleStep) and step.method == "over")
            for step in self.plan.step
        )


def axes_of(plan: Plan) -> list[str]:
    """The axes that the steps name, each once, as they are written."""
    return list(dict.fromkeys(step.axis for step in plan.step))


def known_axes(specs: Sequence[str], *, names: Sequence[str]) -> dict[str, Axis]:
    """The axis of each word; two words for one lexicon give one axis."""
    axes: dict[str, Axis] = {}
    for spec in dict.fromkeys(specs):
        (axis,) = parse_axes([spec], names=names)
        same = next((known for known in axes.values() if known.name == axis.name), axis)
        if same != axis:
            raise InputError(f'two axes are called "{axis.name}"; rename one of the lexicons')
        axes[spec] = same
    return axes


def resolve(
    plan: Plan, axes: Mapping[str, Axis], matchers: Mapping[str, Matcher], *, learn: Learn | None = None
) -> Resolved:
    """Look up what the steps of a plan act on.

    Parameters
    ----------
    plan : Plan
        Already validated by itself.
    axes : mapping of str to Axis
        By the words that the steps use.
    matchers : mapping of str to Matcher
        By name of lexicon.
    learn : callable, optional
        Finds the proxies that a step asks for.

    Raises
    ------
    InputError
        For an axis that a step cannot use, a group that is not there, a swap that the lexicon does not define.
    """
    edits: list[EditStep] = []
    augments: list[EditStep] = []
    notes: list[str] = []
    for index, step in enumerate(plan.step):
        where = f"{f'plan {plan.name}, ' if plan.name else ''}step {index + 1} ({step.do}): "
        axis = axes[step.axis]
        if isinstance(step, ScrubStep | SwapStep):
            edit = _edit_step(index, step, axis, matchers, where, notes, learn)
            (augments if edit.copies else edits).append(edit)
        elif isinstance(step, TopupStep):
            if axis.lexicon is None:
                raise InputError(f'{where}axis = "{step.axis}" is no lexicon; a pool can only be searched for words')
            Words(axis.lexicon, ambiguous=step.ambiguous, where=where).chosen(step.groups)
            if edits:
                notes.append(f"step {index + 1} adds rows of the pool as they are: the plan's edits do not change them")
    axis_of = tuple(axes[step.axis].name for step in plan.step)
    notes += conflicts(plan, axis_of, {step.index: (step.axis, step.groups) for step in (*edits, *augments)})
    return Resolved(plan, axis_of, tuple(edits), tuple(augments), tuple(notes))


def _edit_step(
    index: int,
    step: ScrubStep | SwapStep,
    axis: Axis,
    matchers: Mapping[str, Matcher],
    where: str,
    notes: list[str],
    learn: Learn | None,
) -> EditStep:
    if axis.lexicon is None:
        raise InputError(
            f'{where}axis = "{step.axis}" has no words to change; name a lexicon: pronouns, identity, lexicon:FILE'
        )
    words = Words(axis.lexicon, ambiguous=step.ambiguous, where=where)
    matcher = matchers[axis.lexicon.name]
    if isinstance(step, ScrubStep):
        return _scrub_step(index, step, axis, words, matcher, notes, learn)
    groups = words.chosen(step.groups)
    if isinstance(step.to, dict):
        raise InputError(f"{where}to is a table; name one group, or a step for each")
    to: str | int = step.to
    if step.to == "opposite":
        for group in groups:
            words.opposite(group)
    elif step.to == "random":
        if any(not words.targets(group) for group in groups):
            raise InputError(f'{where}to = "random" needs a lexicon with more than one group')
    else:
        to = _target(words, step.to, where)
        groups = [group for group in groups if group != to]
    swap = Swap(words, matcher, index, tuple(groups), to)
    return EditStep(index, SWAP_RULE, axis.name, swap, copies=step.mode == "augment", inside=tuple(step.inside))


def _scrub_step(
    index: int, step: ScrubStep, axis: Axis, words: Words, matcher: Matcher, notes: list[str], learn: Learn | None
) -> EditStep:
    about: dict[str, Any] = {}
    mask = None if step.with_ == "drop" else step.with_
    tagger = load(step.tagger) if axis.name == _NAMES or step.with_ == "neutral" else None
    if tagger is not None:
        about["tagger"] = {"name": tagger.name, "version": tagger.version}
    elif step.tagger == "off" and (axis.name == _NAMES or step.with_ == "neutral"):
        about["tagger"] = None
        notes += _unused(index, axis.name == _NAMES)
    how: Scrub | Names | Neutral
    if axis.name == _NAMES:
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
    return EditStep(index, SCRUB_RULE, axis.name, how, copies=False, inside=tuple(step.inside), about=about)


def _names(index: int, step: ScrubStep, words: Words, matcher: Matcher, mask: str | None, tagger: Any) -> Names:
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


def _neutral(index: int, step: ScrubStep, words: Words, matcher: Matcher, tagger: Any) -> Neutral:
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
    return Neutral(Swap(words, matcher, index, groups, target), tagger)


def _unused(index: int, names: bool) -> list[str]:  # noqa: FBT001
    """A remark that a pipeline which would do better is installed."""
    from importlib.util import find_spec

    found = next((name for name in KNOWN if find_spec(name) is not None), None)
    if found is None:
        return []
    does = "finds names by the list" if names else "agrees only those verbs that plain rules are sure of"
    return [f'step {index + 1} {does}; with tagger = "auto" it would use the pipeline {found}, which is installed']


def _target(words: Words, name: str, where: str) -> int:
    try:
        return words.lexicon.group_index(name)
    except InputError as error:
        raise InputError(f'{where}to = "{name}" is neither "opposite" nor "random" nor a group: {error}') from None
