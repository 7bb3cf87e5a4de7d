"""What a plan cannot do to some data: refused before a row is read."""

from __future__ import annotations

from ..data.config import Plan
from ..data.conversation_source import ConversationSource
from ..data.dataset import Dataset
from ..data.errors import InputError


def refuse(dataset: Dataset, plan: Plan, *, writes: bool) -> None:
    """Refuse what would corrupt the data or take its labels away.

    Parameters
    ----------
    dataset : Dataset
        The rows. Texts made of messages cannot be written: there is no way yet to put them back into the messages.
        Labels made of the text (``axis:NAME``) follow the text, so no step may give rows labels or edit the words.
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
    source = dataset.source
    if writes and isinstance(source, ConversationSource):
        raise InputError(
            f"curate cannot write {source.conversation.format} data yet: changed texts would have to go back into "
            "their messages. audit and check read such data; to curate, write one text a row to a file first"
        )
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
