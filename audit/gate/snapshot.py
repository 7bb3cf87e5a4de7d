"""What of an audit a later one is compared with: its counts and its sketch, as the key "tally" of audit.json.

Counts of groups, labels and lengths, and prints of the rows: what they tell of a row see `evenset.audit.sketch`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..sketch import Print, Sketch
from ..tally import COUNTS, AxisNote, Cell, CellKey, Coverage, GroupNote, LexiconNote, Tally

VERSION = 2


def written(tally: Tally) -> dict[str, Any]:
    """The counts, without words and terms; numbers as strings, so that a file of them stays short."""
    return {
        "version": VERSION,
        "edges": " ".join(map(str, tally.edges)),
        **{name: getattr(tally, name) for name in COUNTS},
        "axes": {name: _axis(tally, name) for name in tally.axes},
        "lexicons": {name: {"version": note.version, "sha256": note.sha256} for name, note in tally.lexicons.items()},
        "sketch": None if tally.sketch is None else tally.sketch.written(),
    }


def _axis(tally: Tally, name: str) -> dict[str, Any]:
    note, table = tally.axes[name], tally.cells[name]
    labels: list[str | None] = [*sorted({key[0] for key in table if key[0] is not None}), None]
    patterns = sorted({key[1] for key in table})
    label_at, pattern_at = ({one: at for at, one in enumerate(each)} for each in (labels, patterns))
    numbers = sorted(
        (label_at[label], pattern_at[pattern], bucket, cell.rows, cell.w, cell.w2)
        for (label, pattern, bucket), cell in table.items()
    )
    return {
        "kind": note.kind,
        "groups": {
            group: {"status": known.status, "ambiguous": known.ambiguous, "subaxis": known.subaxis}
            for group, known in note.groups.items()
        },
        "labels": labels,
        "patterns": [list(pattern) for pattern in patterns],
        "cells": " ".join(",".join(map(str, cell)) for cell in numbers),
    }


def read(values: Mapping[str, Any]) -> Tally:
    """Read what `written` made; its terms and words are not there.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError, IndexError
        When it is something else.
    """
    if values["version"] != VERSION:
        raise ValueError(f"version {values['version']} of its counts, needed is {VERSION}")
    cells = {name: _cells(axis) for name, axis in values["axes"].items()}
    for name, table in cells.items():
        if sum(cell.rows for cell in table.values()) != values["rows"]:
            raise ValueError(f'the rows of its axis "{name}" do not add up')
    sketch = values["sketch"]
    return Tally(
        edges=tuple(int(edge) for edge in values["edges"].split()),
        axes={
            name: AxisNote(axis["kind"], {group: GroupNote(**known) for group, known in axis["groups"].items()})
            for name, axis in values["axes"].items()
        },
        lexicons={name: LexiconNote(**note) for name, note in values["lexicons"].items()},
        cells=cells,
        terms={name: {} for name in values["lexicons"]},
        coverage={name: Coverage() for name in values["lexicons"]},
        sketch=None if sketch is None else Sketch({(one["axis"], one["group"]): Print.read(one) for one in sketch}),
        rows=int(values["rows"]),
        null_texts=int(values["null_texts"]),
        empty_texts=int(values["empty_texts"]),
        null_labels=int(values["null_labels"]),
        tokens=int(values["tokens"]),
        bad_weights=int(values["bad_weights"]),
    )


def _cells(axis: Mapping[str, Any]) -> dict[CellKey, Cell]:
    labels, patterns = axis["labels"], [tuple(pattern) for pattern in axis["patterns"]]
    if not all(label is None or isinstance(label, str) for label in labels):
        raise ValueError("labels are texts")
    if unknown := {group for pattern in patterns for group in pattern} - set(axis["groups"]):
        raise ValueError(f"rows of groups that it does not name: {sorted(map(str, unknown))[:3]}")
    table: dict[CellKey, Cell] = {}
    for one in axis["cells"].split():
        label, pattern, bucket, rows, w, w2 = (int(number) for number in one.split(","))
        if min(label, pattern, bucket, rows, w, w2) < 0:
            raise ValueError("a count below 0")
        table[labels[label], patterns[pattern], bucket] = Cell(rows, w, w2)
    return table


def damaged(findings: object) -> str:
    """What is wrong with the findings of an audit.json as such; "" where nothing is: every audit has some.

    Examples
    --------
    >>> damaged([{"id": "representation:pronouns:she:"}]), damaged([])
    ('', 'its "findings" are empty')
    """
    if not isinstance(findings, list):
        return 'its "findings" are no list'
    if not findings:
        return 'its "findings" are empty'
    if not all(isinstance(one, dict) for one in findings):
        return 'its "findings" hold something else than findings'
    return ""
