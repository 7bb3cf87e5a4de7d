"""The second pass: the rows as they are written, batch by batch, and their ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..data.dataset import Batch
from ..data.pointers import Splices
from .book.ledger import SCHEMA, entries, in_order, names_of
from .book.places import Places, splices
from .book.reasons import Reasons
from .book.touched import mean_factor, weight_changed
from .changes import Changer, Changes, Copies
from .edits import Edits, Ints, distinct, gather
from .plan import EditStep
from .prepare import Chunk, Prepared
from .selection import resample, reweight, topup
from .state import Added
from .units import Units, step_of
from .words import swap


@dataclass(frozen=True, slots=True)
class Part:
    """Rows to write.

    Attributes
    ----------
    batch : Batch or None
        The rows of the data that they are or come from, one each; None for rows of a pool.
    text : large_string array
    label : string array or None
    bucket : int8 array
    units : Units
    parent : string array
        Key of the row that a copy is of, null for the others.
    ledger : Table
    splices : Splices or None
        Of conversations: the edits of each row in the strings of its messages.
    """

    batch: Batch | None
    text: Any
    label: Any
    bucket: Any
    units: Units
    parent: Any
    ledger: pa.Table
    splices: Splices | None = None


class Decided(Protocol):
    """What was decided about rows: a `State`, or the `Share` of a part."""

    @property
    def units(self) -> Units:
        """What is written."""

    @property
    def dropped_by(self) -> npt.NDArray[np.int8]:
        """As in `State`."""

    def pool(self) -> list[tuple[Added, Units]]:
        """As in `State`."""


@dataclass(slots=True)
class Counts:
    """What was done, summed over the batches.

    Attributes
    ----------
    rows_in, rows_out : int
    edits, copies, drops, weights : int
        Entries of the ledger.
    rows_edited : int
        Rows of the data with an edit.
    emptied : int
        Rows of the data whose edits left no letter and no digit.
    alike : int
        Preference pairs, copies included, whose replies differed and are the same text now.
    rows_changed : int
        Rows of the data that are written with an edit or with another weight than the mean (`touched`).
    steps : dict of int to Counter
        By index of an editing step: edits, rows, unsure, short.
    groups : dict of int to Counter
        By index of an editing step: edits of each group.
    """

    rows_in: int = 0
    rows_out: int = 0
    edits: int = 0
    copies: int = 0
    drops: int = 0
    weights: int = 0
    rows_edited: int = 0
    emptied: int = 0
    alike: int = 0
    rows_changed: int = 0
    steps: dict[int, Counter[str]] = field(default_factory=dict)
    groups: dict[int, Counter[str]] = field(default_factory=dict)

    def add(self, other: Counts) -> None:
        """Add what was done to other rows."""
        for item in fields(self):
            mine, theirs = getattr(self, item.name), getattr(other, item.name)
            if isinstance(mine, int):
                setattr(self, item.name, mine + theirs)
                continue
            for index, counter in theirs.items():
                mine.setdefault(index, Counter()).update(counter)


class Emitter:
    """Walks over the rows a second time and applies what was decided.

    Parameters
    ----------
    prepared : Prepared
    changer : Changer
    state : State or Share or None
        After the selection, of all rows or those of a part; None where every row is written once.
    overwrites : str or None
        Name of the weight column where the new weights take its place, so that the ledger keeps the old ones.
    """

    def __init__(self, prepared: Prepared, changer: Changer, state: Decided | None, *, overwrites: str | None) -> None:
        self.prepared = prepared
        self.changer = changer
        self.state = state
        self.overwrites = overwrites
        self.counts = Counts()
        self._mean = mean_factor(state)
        self._why = Reasons(state, placebo=changer.placebo)
        self.steps = {step.index: step for step in (*changer.resolved.edits, *changer.resolved.augments)}

    def parts(self) -> Iterator[Part]:
        """The rows to write, in order."""
        for chunk in self.prepared.chunks():
            yield self.part(chunk)
        yield from self.pool_parts()

    def pool_parts(self) -> Iterator[Part]:
        """The rows that come of pools."""
        for added, units in () if self.state is None else self.state.pool():
            if units.n:
                yield self._pool_part(added, units)

    def part(self, chunk: Chunk) -> Part:
        """The rows to write of a chunk."""
        changes = self.changer.changes(chunk)
        batch = chunk.scanned.batch
        units = self._units(chunk)
        if chunk.paired:  # a pair is one row of the file
            units = units.take(np.lexsort((units.position, units.repeat, units.variant, units.position // 2)))
        row = units.position - chunk.start
        text = self._text(chunk, changes, units, row)
        if chunk.paired:
            self.counts.alike += _alike(text, units) - _alike(batch.text.take(pa.array(row)), units)
        self._note_emptied(changes, text, units, row)
        whole = units.n == chunk.n and not units.variant.any() and not units.repeat.any()
        made = (units.variant > 0) | (units.repeat > 0)
        parent = pa.nulls(units.n, pa.string())
        if made.any():
            which = np.flatnonzero(made)
            place = pa.array(np.cumsum(made) - 1, mask=~made)
            parent = names_of(units.root[which]).take(place)
        taken = batch if whole else batch.take(row)
        ledger = self._ledger(chunk, changes, units, parent, taken)
        self.counts.rows_in += chunk.n
        self.counts.rows_out += units.n
        made_of = self._splices(chunk, changes, units, row)
        return Part(taken, text, taken.label, chunk.scanned.bucket[row], units, parent, ledger, made_of)

    def _note_emptied(self, changes: Changes, text: Any, units: Units, row: Ints) -> None:
        """Count rows that a step which drops words leaves without any."""
        if not any(getattr(step.how, "mask", "") is None for step in self.changer.resolved.edits):
            return
        own = np.flatnonzero((units.variant == 0) & (units.repeat == 0) & np.isin(row, changes.edits.row))
        there = pc.match_substring_regex(text.take(pa.array(own)), r"[\pL\pN]")
        self.counts.emptied += len(own) - int(pc.sum(there).as_py() or 0)

    def _splices(self, chunk: Chunk, changes: Changes, units: Units, row: Ints) -> Splices | None:
        if chunk.scanned.tokens is None:
            return None
        variants = {0: changes.edits, **{copies.step.index + 1: copies.edits for copies in changes.copies}}
        return splices(Places.of(chunk.scanned.batch, chunk.scanned.tokens), variants, units, row)

    def _units(self, chunk: Chunk) -> Units:
        if self.state is None:
            nothing = np.broadcast_to(np.int32(0), chunk.n)
            position = np.arange(chunk.start, chunk.start + chunk.n)
            one = np.broadcast_to(np.float64(1), chunk.n)
            return Units(position, nothing, nothing, nothing, nothing, chunk.keys, one)
        units = self.state.units
        first, last = np.searchsorted(units.position, [chunk.start, chunk.start + chunk.n])
        return units.take(np.arange(first, last))

    def _text(self, chunk: Chunk, changes: Changes, units: Units, row: Ints) -> Any:
        """The text of each unit: of the row as the edits leave it, or of the copy of the unit's variant."""
        texts = [changes.text(chunk)]
        place = row.copy()
        behind = chunk.n
        for copies in changes.copies:
            mine = units.variant == copies.step.variant
            place[mine] = behind + np.searchsorted(copies.rows, row[mine])
            texts.append(copies.text(chunk))
            behind += len(copies.rows)
        if len(texts) == 1 and units.n == chunk.n and not units.repeat.any():
            return texts[0]
        return pa.concat_arrays(texts).take(pa.array(place))

    # -- the ledger --------------------------------------------------------------------------------------------------

    def _ledger(self, chunk: Chunk, changes: Changes, units: Units, parent: Any, taken: Batch) -> pa.Table:
        row = units.position - chunk.start
        first = units.repeat == 0
        written = np.zeros(chunk.n, np.bool_)
        written[row[first & (units.variant == 0)]] = True
        own = changes.edits.of_rows(written)
        self.counts.rows_edited += len(distinct(own.row))
        given = chunk.scanned.batch.weight
        came = np.ones(units.n) if given is None else given[row]
        weighed = self.state is not None and weight_changed(units.weight, came, self._mean)
        weighted = row[first & (units.variant == 0) & weighed]
        self.counts.rows_changed += len(distinct(np.concatenate([own.row, weighted])))
        self._note(changes, own)
        parts = [self._edits(chunk, own, chunk.keys, None)]
        parts.extend(self._copied_edits(chunk, copies, units, row) for copies in changes.copies)
        parts.append(self._copies(units, parent))
        parts.append(self._drops(chunk, written))
        parts.append(self._weights(units, parent, taken))
        return in_order(parts)

    def _note(self, changes: Changes, own: Edits) -> None:
        """Sum up what each editing step did."""
        for index in self.steps:
            edits = own.take(own.step == index)
            found = [copies.own for copies in changes.copies if copies.step.index == index]
            count = self.counts.steps.setdefault(index, Counter())
            count["edits"] += sum(own.n for own in found) if found else edits.n
            count["rows"] += len(distinct(np.concatenate([own.row for own in found or [edits]])))
            count["unsure"] += changes.unsure.get(index, 0)
            count.update(changes.counts.get(index, {}))
            if index in changes.short:
                count["short"] += changes.short[index]
            self.counts.groups.setdefault(index, Counter())

    def _edits(self, chunk: Chunk, edits: Edits, keys: Any, parents: Any) -> pa.Table:
        """Entries of edits; `keys` by row of the batch, `parents` by edit."""
        if not edits.n:
            return SCHEMA.empty_table()
        tokens = chunk.scanned.tokens
        assert tokens is not None
        pointer, start, end = Places.of(chunk.scanned.batch, tokens).find(edits)
        after: Any = edits.texts[0]
        if len(edits.texts) > 1:
            after = pa.array(edits.texts, pa.string()).take(pa.array(edits.after))
        self.counts.edits += edits.n
        return entries(
            "edit",
            names_of(keys[edits.row]),
            edits.row + chunk.start,
            step=edits.step + 1,
            rule=self._rules().take(pa.array(edits.step)) if len(self.steps) > 1 else self.steps[edits.step[0]].rule,
            pointer=pointer,
            start=start,
            end=end,
            before=gather(tokens.data, edits.start, edits.end),
            after=after,
            reason=self._reasons(chunk, edits),
            parent=parents,
        )

    def _rules(self) -> Any:
        """Rule of every step, null for those that edit nothing."""
        steps = len(self.changer.resolved.plan.step)
        return pa.array([self.steps[at].rule if at in self.steps else None for at in range(steps)], pa.string())

    def _reasons(self, chunk: Chunk, edits: Edits) -> Any:
        """The group whose words each edit changed; or that it is a placebo's."""
        if self.changer.placebo:
            return "placebo"
        names = np.empty(edits.n, np.int64)
        known: list[str] = []
        shift = 0
        for index in distinct(edits.step).tolist():
            step: EditStep = self.steps[index]
            mine = np.flatnonzero(edits.step == index)
            group, labels = step.reasons(chunk.scanned, edits if len(mine) == edits.n else edits.take(mine))
            names[mine] = shift + group
            shift += len(labels)
            known += labels
            found = np.bincount(group, minlength=len(labels)).tolist()
            self.counts.groups.setdefault(index, Counter()).update(
                {label: count for label, count in zip(labels, found, strict=True) if count}
            )
        return pa.array(known, pa.string()).take(pa.array(names))

    def _copied_edits(self, chunk: Chunk, copies: Copies, units: Units, row: Ints) -> pa.Table:
        variant = copies.step.variant
        mine = (units.variant == variant) & (units.repeat == 0)
        written = np.zeros(chunk.n, np.bool_)
        written[row[mine]] = True
        keys = chunk.keys.copy()
        keys[row[mine]] = units.take(mine).keys()
        edits = copies.edits.of_rows(written)
        return self._edits(chunk, edits, keys, names_of(chunk.keys[edits.row]))

    def _copies(self, units: Units, parent: Any) -> pa.Table:
        made = np.flatnonzero((units.variant > 0) | (units.repeat > 0))
        if not len(made):
            return SCHEMA.empty_table()
        some = units.take(made)
        self.counts.copies += len(made)
        step = np.where(some.repeat > 0, some.by, step_of(some.variant))
        rules = np.where(some.repeat > 0, self._selection()[some.by], swap.RULE)
        return entries(
            "copy",
            names_of(some.keys()),
            some.position,
            step=step,
            rule=pa.array(rules.tolist(), pa.string()),
            reason=self._why.copied(some, step),
            parent=parent.take(pa.array(made)),
        )

    def _drops(self, chunk: Chunk, written: Any) -> pa.Table:
        gone = np.flatnonzero(~written)
        if not len(gone) or self.state is None:
            return SCHEMA.empty_table()
        self.counts.drops += len(gone)
        place = gone + chunk.start
        step = self.state.dropped_by[place].astype(np.int32)
        why = self._why.dropped(place, step.astype(np.int64))
        return entries(
            "drop",
            names_of(chunk.keys[gone]),
            place,
            step=step,
            rule=pa.array(self._selection()[step].tolist(), pa.string()),
            reason=why,
        )

    def _selection(self) -> Any:
        """Rule of each step that drops and repeats rows, by its number."""
        steps = self.changer.resolved.plan.step
        weighs = np.array([False, *(step.do == "reweight" for step in steps)])
        return np.where(weighs, reweight.RULE, resample.RULE)

    def _weights(self, units: Units, parent: Any, taken: Batch | None) -> pa.Table:
        plan = self.changer.resolved.plan
        steps = [at for at, step in enumerate(plan.step) if step.do == "reweight" and not step.as_copies]
        if not steps or not units.n:
            return SCHEMA.empty_table()
        self.counts.weights += units.n
        before = None
        if self.overwrites is not None and taken is not None:
            from ..data.writers import as_strings

            before = as_strings(taken.column(self.overwrites))
        position = units.position if taken is not None else np.full(units.n, -1)
        return entries(
            "weight",
            names_of(units.keys()),
            position,
            step=steps[-1] + 1,
            rule=reweight.RULE,
            value=units.weight,
            before=before,
            reason=self._why.weighted(units, steps),
            parent=parent,
        )

    def _pool_part(self, added: Added, units: Units) -> Part:
        place = units.position - added.first
        parent = names_of(units.root, prefix="pool:")
        label = pa.repeat(pa.scalar(added.label, pa.string()), units.n)
        ledger = SCHEMA.empty_table()
        if units.n:
            self.counts.copies += units.n
            self.counts.rows_out += units.n
            again = units.repeat > 0
            reasons = [added.reasons[at] for at in place.tolist()]
            ledger = in_order([
                entries(
                    "copy",
                    names_of(units.keys()),
                    np.full(units.n, -1),
                    step=np.where(again, units.by, added.step + 1),
                    rule=pa.array(np.where(again, self._selection()[units.by], topup.RULE).tolist(), pa.string()),
                    reason=pa.array(reasons, pa.string()),
                    parent=parent,
                ),
                self._weights(units, parent, None),
            ])  # fmt: skip
        text = added.pool.text.take(pa.array(place))
        return Part(None, text, label, added.pool.bucket[place], units, parent, ledger)


def _alike(text: Any, units: Units) -> int:
    """How many pairs have twice the same text, of those that are whole."""
    both = units.position[1:] // 2 == units.position[:-1] // 2
    both &= (units.variant[1:] == units.variant[:-1]) & (units.repeat[1:] == units.repeat[:-1])
    first = np.flatnonzero(both)
    same = pc.equal(text.take(pa.array(first)), text.take(pa.array(first + 1)))
    return int(pc.sum(same).as_py() or 0)
