"""From a plan's words to what they act on: axes, lexicons, groups. Everything that can be wrong is found here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..data.axes import Axis, parse_axes
from ..data.config import Plan, ResampleStep, ReweightStep, ScrubStep, SwapStep, TopupStep
from ..data.errors import InputError
from ..data.lexicon import Lexicon
from ..data.match import Matcher, Matches
from .scrub import RULE as SCRUB_RULE
from .scrub import Scrub
from .swap import RULE as SWAP_RULE
from .swap import Swap
from .swapping import about, swaps
from .units import variant_of
from .words import Words

if TYPE_CHECKING:
    from ..data.scan import Scanned

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
    about : mapping
        What the report says of it besides counts.
    copy : int
        Which of the copies that a step makes of one row.
    """

    index: int
    rule: str
    axis: str
    how: Scrub | Swap
    copies: bool
    about: Mapping[str, Any] = field(default_factory=dict)
    copy: int = 0

    @property
    def lexicon(self) -> Lexicon:
        """The words."""
        return self.how.words.lexicon

    @property
    def variant(self) -> int:
        """Number of what it makes of a row (`Units.variant`)."""
        return variant_of(self.index, self.copy)

    def matches(self, scanned: Scanned) -> Matches:
        """Where its words stand in a batch; what the scan did not look for is looked for now."""
        name = self.lexicon.name
        if name not in scanned.matches:
            assert scanned.tokens is not None
            scanned.matches[name] = self.how.matcher.find(scanned.tokens)
        return scanned.matches[name]


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
        if isinstance(step, SwapStep):
            if axis.lexicon is None:
                raise InputError(_no_words(step, where))
            for copy, swap in enumerate(swaps(step, axis.lexicon, matchers[axis.lexicon.name], index, where=where)):
                copies = step.mode == "augment"
                edit = EditStep(index, SWAP_RULE, axis.name, swap, copies, about(swap), copy)
                (augments if copies else edits).append(edit)
        elif isinstance(step, ScrubStep):
            edit = _edit_step(index, step, axis, matchers, where)
            edits.append(edit)
            if step.with_ == "neutral":
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


def _edit_step(index: int, step: ScrubStep, axis: Axis, matchers: Mapping[str, Matcher], where: str) -> EditStep:
    if axis.lexicon is None:
        raise InputError(_no_words(step, where))
    words = Words(axis.lexicon, ambiguous=step.ambiguous, where=where)
    groups = words.chosen(step.groups)
    matcher = matchers[axis.lexicon.name]
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


def _no_words(step: ScrubStep | SwapStep, where: str) -> str:
    return (
        f'{where}axis = "{step.axis}" has no words to change; name a lexicon: gender, pronouns, identity, lexicon:FILE'
    )
