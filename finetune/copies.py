"""Copies of the test rows, scrubbed and swapped, on which every model is scored beside the rows as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..data.axes import Axis
from ..data.config import parse
from ..data.errors import InputError
from ..data.lexicon import Lexicon
from ..data.lexicon import load as load_lexicon
from .judging.scores import COPIES
from .rows import Split

SEED = 0
"""Copies are the same for every arm and seed."""

# A text in which "she" became "he" and "mother" did not reads as nobody wrote it: what a model makes of that is not
# what the issue is. The lexicon "gender" has the pronouns and all that goes with them.
_WIDER = {"pronouns": "gender"}


def copies_of(
    split: Split, axis: Axis, spec: str, wanted: Sequence[str]
) -> tuple[tuple[Split, ...], str, tuple[str, ...]]:
    """Copies of a split with words of an axis scrubbed or swapped, made by the code that curates.

    Parameters
    ----------
    split : Split
        The test rows.
    axis : Axis
        The axis on which the gap is measured: its words are masked by "_", or put in the place of one another. Where
        each group has its opposite each word becomes that of the opposite group, otherwise that of a group drawn for
        each row. Pronouns are swapped with all words of the lexicon "gender".
    spec : str
        The axis as the config writes it.
    wanted : sequence of str
        "scrubbed", "swapped".

    Returns
    -------
    tuple of Split
        Named "test.scrubbed" and "test.swapped": ids, labels, groups, clusters and order of the split, and `changed`.
    str
        What the copies depend on besides the rows and the axis, to be hashed with a run's inputs.
    tuple of str
        How many rows changed.

    Raises
    ------
    InputError
        The axis has no words, or there is nothing to swap them for.

    Examples
    --------
    >>> from evenset.data.axes import parse_axes
    >>> lists = pa.list_(pa.string())
    >>> split = Split("test", pa.array(["She is his mother.", "It rains."], pa.large_string()), pa.array(["a", "b"]),
    ...               np.zeros(2, np.int64), pa.array([["she"], []], lists), pa.array([[], []], lists))
    >>> made, _, notes = copies_of(split, parse_axes(["pronouns"], names=())[0], "pronouns", ["scrubbed", "swapped"])
    >>> [copy.text.to_pylist() for copy in made]
    [['_ is _ mother.', 'It rains.'], ['He is her father.', 'It rains.']]
    >>> made[1].changed.tolist(), notes[1]
    ([True, False], 'test.swapped: 1 of 2 rows differ from the test rows (words of "gender" swapped, to = "opposite")')
    """
    lexicon = axis.lexicon
    if lexicon is None:
        raise InputError(
            f'finetune.copies: the verdict\'s axis "{axis.name}" has no words to scrub or swap; leave copies out, or '
            "choose verdict.axis with a lexicon"
        )
    made, used, notes = [], [], []
    for kind in dict.fromkeys(wanted):
        if kind == "scrubbed":
            step = {"do": "scrub", "axis": spec}
            words, how = lexicon, f'words of "{axis.name}" masked'
        else:
            wider = _WIDER.get(spec, spec)
            words = lexicon if wider == spec else load_lexicon(wider)
            to = _target(words)
            step = {"do": "swap", "axis": wider, "to": to}
            how = f'words of "{wider}" swapped, to = "{to}"'
        text = _edited(split, step)
        changed = np.asarray(pc.not_equal(text, split.text))
        name = COPIES[kind]
        made.append(replace(split, name=name, text=text, changed=changed))
        used.append(f"{kind} {step} {words.sha256}")
        notes.append(f"{name}: {int(changed.sum())} of {split.n} rows differ from the test rows ({how})")
    return tuple(made), "; ".join(used), tuple(notes)


def _target(lexicon: Lexicon) -> str:
    """Where each group that sets a status has its opposite, that; otherwise another group at random."""
    from ..curate.words.lexical import Words

    words = Words(lexicon)
    try:
        for group in words.chosen(None):
            words.opposite(group)
    except InputError:
        return "random"
    return "opposite"


def _edited(split: Split, step: dict[str, str]) -> pa.LargeStringArray:
    """The texts after one step that edits."""
    from ..curate import run
    from ..data.opening import open_dataset

    table = pa.table({"text": split.text, "id": split.ids})
    plan = parse({"plan": {"copy": {"step": [step]}}}).plan["copy"]
    # Draws go by the row's own id, so other rows change nothing for it.
    rows = run(open_dataset(table, text="text", id="id"), plan, seed=SEED).rows
    assert rows is not None
    assert rows.num_rows == split.n  # an edit keeps every row, in order
    text = rows.column("text").combine_chunks().cast(pa.large_string())
    return text if isinstance(text, pa.Array) else pa.array([], pa.large_string())
