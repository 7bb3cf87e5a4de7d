"""From a plan's words to what they act on: axes, lexicons, groups. Everything that can be wrong is found here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..data.axes import Axis, parse_axes
from ..data.config import Plan, ResampleStep, ReweightStep, ScrubStep, SwapStep, TopupStep
from ..data.errors import InputError
from ..data.lexicon import Lexicon
from ..data.match import Matcher
from .scrub import RULE as SCRUB_RULE
from .scrub import Scrub
from .swap import RULE as SWAP_RULE
from .swap import Swap
from .words import Words

_NEUTRAL_GROUP = "they"


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
    how : Scrub or Swap
    copies : bool
        Whether rows are copied and the copies edited.
    """

    index: int
    rule: str
    axis: str
    how: Scrub | Swap
    copies: bool

    @property
    def lexicon(self) -> Lexicon:
        """The words."""
        return self.how.words.lexicon


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
        return any(isinstance(step, ReweightStep) and not step.as_copies for step in self.plan.step)

    @property
    def copies(self) -> bool:
        """Whether the plan may write a row that was not there."""
        return any(
            isinstance(step, TopupStep)
            or (isinstance(step, SwapStep) and step.mode == "augment")
            or (isinstance(step, ResampleStep) and step.method != "under")
            or (isinstance(step, ReweightStep) and step.as_copies)
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


def resolve(plan: Plan, axes: Mapping[str, Axis], matchers: Mapping[str, Matcher]) -> Resolved:
    """Look up what the steps of a plan act on.

    Parameters
    ----------
    plan : Plan
        Already validated by itself.
    axes : mapping of str to Axis
        By the words that the steps use.
    matchers : mapping of str to Matcher
        By name of lexicon.

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
            edit = _edit_step(index, step, axis, matchers, where)
            (augments if edit.copies else edits).append(edit)
            if isinstance(step, ScrubStep) and step.with_ == "neutral":
                notes.append(
                    f"step {index + 1} makes pronouns neutral and leaves the verbs as they are (she runs: they runs)"
                )
        elif isinstance(step, TopupStep):
            if axis.lexicon is None:
                raise InputError(f'{where}axis = "{step.axis}" is no lexicon; a pool can only be searched for words')
            Words(axis.lexicon, ambiguous=step.ambiguous, where=where).chosen(step.groups)
            if edits:
                notes.append(f"step {index + 1} adds rows of the pool as they are: the plan's edits do not change them")
    return Resolved(
        plan, tuple(axes[step.axis].name for step in plan.step), tuple(edits), tuple(augments), tuple(notes)
    )


def _edit_step(
    index: int, step: ScrubStep | SwapStep, axis: Axis, matchers: Mapping[str, Matcher], where: str
) -> EditStep:
    if axis.lexicon is None:
        raise InputError(
            f'{where}axis = "{step.axis}" has no words to change; name a lexicon: pronouns, identity, lexicon:FILE'
        )
    words = Words(axis.lexicon, ambiguous=step.ambiguous, where=where)
    groups = words.chosen(step.groups)
    matcher = matchers[axis.lexicon.name]
    if isinstance(step, ScrubStep):
        if step.with_ != "neutral":
            mask = None if step.with_ == "drop" else step.with_
            scrub = Scrub(words, matcher, index, tuple(groups), mask)
            return EditStep(index, SCRUB_RULE, axis.name, scrub, copies=False)
        names = [group.name for group in axis.lexicon.groups]
        if _NEUTRAL_GROUP not in names:
            raise InputError(
                f'{where}with = "neutral" writes the forms of the group "{_NEUTRAL_GROUP}", which the lexicon '
                f'"{axis.lexicon.name}" does not have; use another mask'
            )
        target = names.index(_NEUTRAL_GROUP)
        neutral = Swap(words, matcher, index, tuple(group for group in groups if group != target), target)
        return EditStep(index, SCRUB_RULE, axis.name, neutral, copies=False)
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
    return EditStep(index, SWAP_RULE, axis.name, swap, copies=step.mode == "augment")


def _target(words: Words, name: str, where: str) -> int:
    try:
        return words.lexicon.group_index(name)
    except InputError as error:
        raise InputError(f'{where}to = "{name}" is neither "opposite" nor "random" nor a group: {error}') from None
