"""What a plan cannot do to some data: refused before a row is read."""

from __future__ import annotations

from ..data.config import Plan
from ..data.conversations import Conversation
from ..data.dataset import Dataset
from ..data.errors import InputError
from ..data.turns import TOOL_CALL


def refuse(dataset: Dataset, plan: Plan, *, writes: bool) -> None:
    """Refuse what would corrupt the data or take its labels away.

    Parameters
    ----------
    dataset : Dataset
        The rows. A row of a file of conversations is written whole, so there no step may add single texts, nor drop,
        repeat or weight one reply of a preference pair. Labels made of the text (``axis:NAME``) follow the text, so no
        step may give rows labels or edit the words.
    plan : Plan
        What shall be done.
    writes : bool
        Whether curated rows are, or would be, written.

    Raises
    ------
    InputError

    Examples
    --------
    >>> from ..data.config import parse
    >>> plan = parse({"plan": {"hide": {"step": [{"do": "scrub", "axis": "affect"}]}}}).plan["hide"]
    >>> refuse(Dataset.of([{"text": "A kind, reliable one."}], text="text", label="axis:affect"), plan, writes=False)
    Traceback (most recent call last):
        ...
    evenset.data.errors.InputError: step 1 (scrub): the words of "affect" are what --label axis:affect labels rows by; \
edit another axis, or label by a column
    """
    if writes and dataset.conversation is not None:
        _whole(dataset.conversation, plan)
    labels = dataset.axis_labels
    if labels is None:
        return
    for number, step in enumerate(plan.step, start=1):
        if step.do == "topup":
            raise InputError(
                f"step {number} (topup): a topup gives rows a label, and --label {labels.spec} makes labels of the "
                "text; label by a column"
            )
        if step.do in {"scrub", "swap"} and step.axis in {labels.lexicon.name, labels.spec.removeprefix("axis:")}:
            raise InputError(
                f'step {number} ({step.do}): the words of "{step.axis}" are what --label {labels.spec} labels rows '
                "by; edit another axis, or label by a column"
            )


def _whole(talk: Conversation, plan: Plan) -> None:
    """Refuse steps that rows of a file of conversations cannot take."""
    for number, step in enumerate(plan.step, start=1):
        if step.do == "topup":
            raise InputError(
                f"step {number} (topup): a pool holds single texts, and a row of {talk.format} data is a whole "
                'conversation; add swapped copies of the conversations instead: do = "swap", mode = "augment"'
            )
        if talk.format == "preference" and step.do in {"resample", "reweight"}:
            raise InputError(
                f"step {number} ({step.do}): a preference pair is one row of the file, and half of it can be neither "
                'dropped nor weighted; edit the pairs (scrub, swap) or add swapped copies (mode = "augment")'
            )


def cautions(dataset: Dataset, plan: Plan) -> tuple[str, ...]:
    """What a reader of the report should know of a plan for such data.

    Examples
    --------
    >>> from ..data.config import parse
    >>> plan = parse({"plan": {"hide": {"step": [{"do": "scrub", "axis": "pronouns"}]}}}).plan["hide"]
    >>> said = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "She."}]
    >>> cautions(Dataset.of([{"messages": said}]), plan)
    ('step 1 writes "_" into messages that a model learns to say; with = "neutral", or a swap, leaves sentences',)
    """
    if dataset.conversation is None:
        return ()
    talk = dataset.conversation
    said = []
    if TOOL_CALL in talk.roles and any(step.do in {"scrub", "swap"} for step in plan.step):
        said.append("words of tool calls are changed wherever they stand, in the names of arguments too")
    for number, step in enumerate(plan.step, start=1):
        if step.do == "scrub" and step.with_ not in {"neutral", "drop"}:
            said.append(
                f'step {number} writes "{step.with_}" into messages that a model learns to say; with = "neutral", or a '
                "swap, leaves sentences"
            )
        elif step.do == "swap" and talk.format == "preference":
            said.append(f"step {number} swaps words of the replies; the prompt that they share stays as it is")
        elif step.do == "swap" and "user" not in talk.roles:
            said.append(
                f"step {number} swaps words of {' and '.join(talk.roles)} messages, so that an answer may no longer "
                f"fit its question; --roles user,{','.join(talk.roles)} swaps both"
            )
    return tuple(said)


def losses(alike: int, emptied: int, rows: int) -> tuple[str, ...]:
    """What a reader of the report should know of what was lost: replies of pairs that became one, texts that went.

    Examples
    --------
    >>> losses(0, 4, 5)
    ('4 of 5 rows have no text left: they were made of the dropped words only; with = "_" would leave a mark',)
    """
    said = []
    if alike:
        said.append(
            f"{alike:,} preference pairs have twice the same reply now, so nothing is to be learnt from them: the "
            "edited words were all that differed"
        )
    if emptied:
        said.append(
            f"{emptied:,} of {rows:,} rows have no text left: they were made of the dropped words only; "
            'with = "_" would leave a mark'
        )
    return tuple(said)
