"""Rows behind findings, for who asks for them: at most so many each, cut short."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...data.showing import clipped
from ..flagged import Target, flagged_batches
from ..page.document import Section, computed
from ..page.html import join, tag
from ..page.table import Column, table
from .wording import counted

if TYPE_CHECKING:
    from ...data.axes import Axis
    from ...data.dataset import Dataset

MOST_CHARACTERS = 280
MOST_FINDINGS = 60


@dataclass(frozen=True, slots=True)
class Example:
    """A row behind a finding.

    Attributes
    ----------
    finding : str
        Its id.
    row : str
        The row's id, or the key that curation knows it by.
    position : int
        Number of the row, from 0.
    label : str or None
    text : str
        Cut after `MOST_CHARACTERS`.
    """

    finding: str
    row: str
    position: int
    label: str | None
    text: str


def examples(dataset: Dataset, axes: Sequence[Axis], targets: Sequence[Target], most: int) -> list[Example]:
    """The first rows behind each target, in the order of the file.

    Parameters
    ----------
    dataset : Dataset
        Read once more, until every target has its rows.
    axes : sequence of Axis
        Those of the audit.
    targets : sequence of Target
        Only the first `MOST_FINDINGS` are served.
    most : int
        Rows a target.
    """
    chosen = list(targets[:MOST_FINDINGS])
    found: dict[str, list[Example]] = defaultdict(list)
    if not chosen or most < 1:
        return []
    for batch, ids, at, which in flagged_batches(dataset, axes, chosen):
        first: list[tuple[int, int]] = []
        room = {k: most - len(found[target.id]) for k, target in enumerate(chosen)}
        for row, k in zip(at.tolist(), which.tolist(), strict=True):
            if room[k] > 0:
                room[k] -= 1
                first.append((row, k))
        for row, k in first:
            text = batch.text[row].as_py()
            label = None if batch.label is None else batch.label[row].as_py()
            name = ids(np.array([row]))[0].as_py()
            target = chosen[k]
            found[target.id].append(
                Example(target.id, str(name), batch.start + row, label, clipped(text, MOST_CHARACTERS))
            )
        if all(len(found[target.id]) >= most for target in chosen):
            break
    return [one for target in chosen for one in found[target.id]]


def example_section(rows: Sequence[Example]) -> Section:
    """The rows that were asked for."""
    columns = [
        Column("finding", "code"),
        Column("row", "code"),
        Column("position", "number"),
        Column("label"),
        Column("text", "long"),
    ]
    shown = [(clipped(one.finding), clipped(one.row), one.position, clipped(one.label or ""), one.text) for one in rows]
    body = (
        table(columns, shown, caption="Rows behind findings that fail or warn", anchor="examples-table")
        if shown
        else tag("p", "No finding fails or warns, or none has rows of its own.")
    )
    note = computed(
        f"The first rows of the file behind each finding, at most {MOST_FINDINGS} findings, texts cut after "
        f"{MOST_CHARACTERS} characters. "
        "They illustrate; they are no random sample and prove nothing. flagged.parquet names all rows."
    )
    lead = f"{counted(len(rows), 'row')} of the data, shown because --examples asked for them."
    return Section("examples", "Rows behind findings", join([body, note]), lead)
