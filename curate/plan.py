"""From a plan's words to what they act on: axes, lexicons, groups. Everything that can be wrong is found here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.axes import Axis, parse_axes
from ..data.config import Plan, ResampleStep, ReweightStep, ScrubStep, SwapStep, TopupStep
from ..data.errors import InputError
from ..data.lexicon import Lexicon
from ..data.match import Matcher, Matches
from .conflicts import conflicts
from .units import variant_of
from .words.lexical import Words
from .words.neutral import Neutral
from .words.persons import Names
from .words.scrub import RULE as SCRUB_RULE
from .words.scrub import Scrub
from .words.scrubbing import NAMES, Learn, scrubbing
from .words.swap import RULE as SWAP_RULE
from .words.swap import Swap
from .words.swapping import about, swaps

if TYPE_CHECKING:
    from ..data.scan import Scanned
    from .edits import Edits, Ints


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
    copy : int
        Which of the copies that a step makes of one row.
    """

    index: int
    rule: str
    axis: str
    how: Scrub | Names | Neutral | Swap
    copies: bool
    inside: tuple[str, ...] = ()
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

    @property
    def groups(self) -> tuple[int, ...]:
        """Groups whose words are changed."""
        own = not isinstance(self.how, Scrub) or self.how.own
        return self.how.groups if own else ()

    def matches(self, scanned: Scanned) -> Matches:
        """Where its words stand in a batch; what the scan did not look for is looked for now."""
        name = self.lexicon.name
        if name not in scanned.matches:
            assert scanned.tokens is not None
            scanned.matches[name] = self.how.matcher.find(scanned.tokens)
        return scanned.matches[name]

    def reasons(self, scanned: Scanned, edits: Edits) -> tuple[Ints, list[str]]:
        """Why each of its edits was made, as an index into names: mostly the group whose word it was."""
        matches = self.matches(scanned)
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
            made = _edit_steps(index, step, axis, matchers, where, notes, learn)
            (augments if made[0].copies else edits).extend(made)
        elif isinstance(step, TopupStep):
            if axis.lexicon is None:
                raise InputError(f'{where}axis = "{step.axis}" is no lexicon; a pool can only be searched for words')
            Words(axis.lexicon, ambiguous=step.ambiguous, where=where).chosen(step.groups)
            if edits:
                notes.append(f"step {index + 1} adds rows of the pool as they are: the plan's edits do not change them")
    axis_of = tuple(axes[step.axis].name for step in plan.step)
    notes += conflicts(plan, axis_of, {step.index: (step.axis, step.groups) for step in (*edits, *augments)})
    return Resolved(plan, axis_of, tuple(edits), tuple(augments), tuple(notes))


def _edit_steps(
    index: int,
    step: ScrubStep | SwapStep,
    axis: Axis,
    matchers: Mapping[str, Matcher],
    where: str,
    notes: list[str],
    learn: Learn | None,
) -> list[EditStep]:
    """What a step does: one thing, or a copy for every other group."""
    if axis.lexicon is None:
        raise InputError(
            f'{where}axis = "{step.axis}" has no words to change; '
            "name a lexicon: gender, pronouns, identity, lexicon:FILE"
        )
    matcher, inside = matchers[axis.lexicon.name], tuple(step.inside)
    if isinstance(step, SwapStep):
        copies = step.mode == "augment"
        if "they" in (step.to.values() if isinstance(step.to, dict) else [step.to]):
            notes.append(
                f'step {index + 1}: verbs are not agreed ("they doesn\'t"); do = "scrub", with = "neutral" does that'
            )
        return [
            EditStep(index, SWAP_RULE, axis.name, swap, copies=copies, inside=inside, about=about(swap), copy=copy)
            for copy, swap in enumerate(swaps(step, axis.lexicon, matcher, index, where=where))
        ]
    words = Words(axis.lexicon, ambiguous=step.ambiguous, where=where)
    made = scrubbing(step, words, matcher, index, names=axis.name == NAMES, learn=learn)
    notes += made.notes
    return [EditStep(index, SCRUB_RULE, axis.name, made.how, copies=False, inside=inside, about=made.about)]
