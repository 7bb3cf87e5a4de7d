"""Steps of a plan of which one undoes another, or leaves it nothing to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..data.config import Plan, ResampleStep, ReweightStep, SwapStep


def conflicts(plan: Plan, axis_of: Sequence[str], groups: Mapping[int, tuple[str, tuple[int, ...]]]) -> list[str]:
    """What a reader should know of steps of one plan on the same words.

    Parameters
    ----------
    plan : Plan
        Whose steps are compared.
    axis_of : sequence of str
        Name of each step's axis.
    groups : mapping of int to (str, tuple of int)
        By index of an editing step, its axis and the groups whose words it changes.

    Notes
    -----
    Edits are of the raw text, and where two steps want the same word the earlier one has it: the later finds it taken.
    """
    notes = []
    indices = sorted(groups)
    for at, second in enumerate(indices):
        for first in indices[:at]:
            (axis, mine), (other, theirs) = groups[first], groups[second]
            one, two = plan.step[first], plan.step[second]
            if axis != other or not set(mine) & set(theirs) or (isinstance(one, SwapStep) and one.mode == "augment"):
                continue
            part = "the words" if set(theirs) <= set(mine) else "some words"
            said = (
                f'step {second + 1} ({two.do}) finds {part} of "{axis}" changed already by step {first + 1} ({one.do})'
            )
            if isinstance(two, SwapStep) and two.mode == "augment":
                notes.append(f"{said}, so it makes no copies for them; leave one of the two out")
            elif one.do == two.do:
                notes.append(f"{said} and leaves them; leave one of the two out")
            else:
                notes.append(f"{said} and leaves them: of each word only the first change is made; leave one out")
    for at, step in enumerate(plan.step):
        edited = [k for k in indices if k < at and axis_of[k] == axis_of[at] and _in_place(plan, k)]
        if edited and isinstance(step, ResampleStep | ReweightStep):
            notes.append(
                f"step {at + 1} ({step.do}) counts groups of the raw text, as they were before step {edited[0] + 1} "
                f"({plan.step[edited[0]].do}) changed their words; that is as it should be"
            )
    return notes


def _in_place(plan: Plan, index: int) -> bool:
    step = plan.step[index]
    return not (isinstance(step, SwapStep) and step.mode == "augment")
