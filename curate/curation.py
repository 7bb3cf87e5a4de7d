"""`run`: from a dataset and a plan to curated rows, their ledger and a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ..data.config import Plan
from ..data.dataset import Dataset
from ..data.errors import InputError
from .book.ledger import SCHEMA, read_ledger
from .changes import Changer
from .emit import Emitter
from .manifest import compared, lexicons_of, per_row, report_of, version
from .plan import axes_of, resolve
from .prepare import Prepared, documents, prepare, small
from .refusals import cautions, refuse
from .selection.adding import first_pass
from .selection.feasibility import draw_feasibility
from .selection.select import select
from .state import State
from .summary import lines_of
from .words.proxy_words import learned
from .writing.parted import Parted, cuttable, fingerprint, stage_of
from .writing.tables import as_dataset, whole_table, written_table
from .writing.workers import Engine
from .writing.write import WEIGHT, Written, added_columns, check_columns, write_all

if TYPE_CHECKING:
    import pandas as pd

ROWS = pa.schema([
    ("text", pa.large_string()),
    ("label", pa.string()),
    ("weight", pa.float64()),
    ("evenset_row", pa.uint64()),
    ("evenset_parent", pa.string()),
    ("bucket", pa.int8()),
])  # fmt: skip
"""Columns of curated rows in memory: evenset_row is the key of the row that a row or copy comes from."""


@dataclass(frozen=True)
class Curation:
    """What a plan did.

    Attributes
    ----------
    plan : Plan
    report : dict
        The content of curation.json.
    rows : Table or None
        The curated rows, where they were not written to files.
    where : Path or None
        The ledger's file, where it was written.
    """

    plan: Plan
    report: dict[str, Any]
    rows: pa.Table | None = field(repr=False)
    where: Path | None = None
    _ledger: pa.Table | None = field(default=None, repr=False)
    _whole: Callable[[], pa.Table] | None = field(default=None, repr=False, compare=False)

    @property
    def ledger(self) -> pa.Table:
        """Every edit, copy, drop and weight, read from its file if it has one; empty after a dry run."""
        if self.where is not None:
            import pyarrow.parquet as pq

            return pq.read_table(self.where)
        return SCHEMA.empty_table() if self._ledger is None else self._ledger

    def to_dict(self) -> dict[str, Any]:
        """The report."""
        return self.report

    def to_frame(self) -> pd.DataFrame:
        """The ledger as a pandas table."""
        frame: pd.DataFrame = self.ledger.to_pandas()
        return frame

    def to_table(self) -> pa.Table:
        """The curated rows with all columns of the data, and the columns that the plan adds: weight, evenset_parent.

        Raises
        ------
        InputError
            After a dry run, which keeps no rows; for chat data in memory.

        Examples
        --------
        >>> from evenset.data.config import inline_plan
        >>> rows = [{"text": f"{who} ran.", "label": k % 2, "id": k} for k, who in enumerate(("She", "He") * 2)]
        >>> run(rows, inline_plan(["reweight:pronouns"])).to_table().column_names
        ['text', 'label', 'id', 'weight']
        """
        if self.where is not None:
            encoding = read_ledger(self.where).about["input"]["encoding"]
            return written_table(self.where.parent, self.report["output"], encoding=encoding)
        if self._whole is None:
            raise InputError("a dry run keeps no rows; curate without dry_run to have them")
        return self._whole()

    def to_pandas(self) -> pd.DataFrame:
        """The curated rows as a pandas table: `to_table`."""
        frame: pd.DataFrame = self.to_table().to_pandas()
        return frame

    def to_dataset(self) -> Any:
        """The curated rows as a `datasets.Dataset`, class labels and other features as the data had them: `to_table`.

        Raises
        ------
        InputError
            Besides those of `to_table` where the library datasets is not installed.
        """
        return as_dataset(self.to_table())

    def save(self, folder: str | Path) -> None:
        """Write rows held in memory, the ledger (mode 0600) and curation.json; for rows in files `run` did so itself.

        Rows in memory have the columns of `ROWS`, not those of the data; to have them, give `run` an `out`.
        """
        import pyarrow.parquet as pq

        from ..data.files import atomic, write_json

        folder = Path(folder)
        if self.rows is not None:
            with atomic(folder / "rows.parquet") as part:
                pq.write_table(self.rows, part)
        with atomic(folder / "ledger.parquet", mode=0o600) as part:
            pq.write_table(self.ledger, part, compression="zstd")
        write_json(folder / "curation.json", self.report)

    def summary(self) -> str:
        """The report in some lines for the terminal."""
        return "\n".join(lines_of(self.report))

    def _repr_html_(self) -> str:
        from .notebook import curation_html

        return curation_html(self)


def run(
    data: Any,
    plan: Plan,
    *,
    axes: Sequence[str] | None = None,
    seed: int = 0,
    placebo: bool = False,
    out: str | Path | None = None,
    dry_run: bool = False,
    positive: str | None = None,
    audited: bool = True,
    engine: str = "local",
    workers: int | None = None,
    part_bytes: int | None = None,
    measures: Sequence[str] = (),
) -> Curation:
    """Curate a dataset by a plan.

    Parameters
    ----------
    data : Dataset, Prepared, table or list of dicts
        Give a `Prepared` to run several plans or seeds on the same rows.
    plan : Plan
        Edits, then copies, then selection, then weights.
    axes : sequence of str, optional
        Axes that the report shows besides those that the plan names.
    seed : int
        Of everything random. The same seed gives the same rows whatever their order.
    placebo : bool
        In place of each step as much change at random: other words of the same frequency in the same rows, as many
        rows of each label, the weights dealt out anew within each label, rows of the placebo pool.
    out : path, optional
        Folder for ``data.<suffix>`` (``rows/`` for several files), ``ledger.parquet`` and ``curation.json``. They
        appear when all are whole. Without it the rows are held in memory.
    dry_run : bool
        Write nothing and keep no rows: only say what would be done.
    positive : str, optional
        The positive label, where the dataset does not know it.
    audited : bool
        With `out`: audit the rows before and after, and put both into the report.
    engine : str
        With `out`: ``local``, ``dask`` (a cluster of this machine's cores, for this call) or ``dask:ADDRESS`` of a
        scheduler, whose workers must see the files and `out` under the same paths.
    workers : int, optional
        Processes of this machine for data of 64 MB and more, by default one a core, at most 8. Each takes some 250 MB.
    part_bytes : int, optional
        About how much is curated between two saves.
    measures : sequence of str
        What to compare then besides the counts: sections or measures of an audit, for example "leakage".

    Returns
    -------
    Curation

    Raises
    ------
    InputError
        For a step that cannot act on its axis, a goal that cannot be reached, and trouble with files.

    Notes
    -----
    Two passes over the data. The first counts cells (label × groups × length bucket) and keeps 12 bytes a row; copies,
    selection and weights are decided from that. The second applies them. A plan that only edits needs one pass. Groups
    and buckets are those of the raw text; a copy made by a swap has the groups of its own words.

    Examples
    --------
    >>> from evenset.data import open
    >>> from evenset.data.config import parse
    >>> plan = parse({"plan": {"mask": {"step": [{"do": "scrub", "axis": "pronouns"}]}}}).plan["mask"]
    >>> curation = run(open([{"text": "She ran.", "label": "a"}, {"text": "It ran.", "label": "b"}]), plan)
    >>> curation.rows["text"].to_pylist(), curation.ledger["before"].to_pylist()
    (['_ ran.', 'It ran.'], ['She'])
    """
    if measures:
        from ..audit.sections import wanted

        wanted(measures)  # a misspelt name is said before anything is written
    if isinstance(data, Dataset | Prepared):
        refuse(data if isinstance(data, Dataset) else data.dataset, plan, writes=out is not None or dry_run)
    specs = list(dict.fromkeys([*(axes or ()), *axes_of(plan)]))
    prepared = _prepared(data, specs, in_memory=out is None and not dry_run)
    dataset = prepared.dataset
    resolved = resolve(plan, prepared.axes, prepared.scanner.matchers, learn=partial(learned, prepared))
    resolved = replace(resolved, notes=(*resolved.notes, *cautions(dataset, plan)))
    if out is not None:
        check_columns(dataset, weights=resolved.weights)
    who = Engine.parse(engine, workers)
    apart = out is not None and _apart(prepared, who, part_bytes)
    words = placebo and bool(resolved.edits or resolved.augments)
    changer = Changer(resolved, seed, placebo, None, memory={} if prepared.hold else None)
    known = positive if positive is not None else dataset.columns.positive
    overwrites = WEIGHT if resolved.weights and dataset.columns.weight == WEIGHT and out is not None else None
    with ExitStack() as stack:
        parted: Parted | None = None
        state: State | None = None
        rows: tuple[int, ...] | None = None
        if apart:
            assert out is not None
            about_parts = fingerprint(
                dataset, plan=plan.model_dump(mode="json"), seed=seed, placebo=placebo, axes=specs
            )
            stage = stack.enter_context(stage_of(Path(out), about_parts | {"part_bytes": part_bytes}))
            parted = Parted.of(
                prepared,
                changer,
                who,
                stage,
                extra=added_columns(resolved),
                overwrites=overwrites,
                part_bytes=part_bytes,
            )
        if words:
            make = partial(documents, prepared) if parted is None else parted.vocabulary
            changer = replace(changer, vocabulary=prepared.remembered("documents", make))
            parted = None if parted is None else replace(parted, changer=replace(changer, memory=None))
        hashes = any(step.do == "topup" for step in plan.step)
        if parted is not None and parted.needs_keys:
            numbered = parted.numbered(cells=resolved.moves_rows, hashes=hashes)
            rows = numbered.rows
            if resolved.moves_rows:
                state = select(prepared, changer, *numbered.census(), positive=known)
        elif resolved.moves_rows:
            state = select(prepared, changer, *first_pass(prepared, changer, hashes=hashes), positive=known)
        emitter = Emitter(prepared, changer, state, overwrites=overwrites)

        def report(written: Written | None, stage: Path | None) -> dict[str, Any]:
            content = report_of(emitter, state, plan, seed=seed, placebo=placebo, dry_run=dry_run, written=written)
            if stage is not None:
                content["figures"], notes = draw_feasibility(content["steps"], stage)
                content["notes"] += notes
            if stage is not None and written is not None and audited:
                try:
                    content["findings"] = compared(
                        dataset, written, stage, specs, weights=resolved.weights, measures=measures, seed=seed
                    )
                except InputError as error:  # what cannot be audited can still be curated
                    content["notes"].append(f"not audited before and after: {error}")
            content["removed"] = per_row(content)
            return content

        if dry_run:
            for _ in emitter.parts():
                pass
            return Curation(plan, report(None, None), None)
        if out is None:
            table, ledger = _in_memory(emitter)
            whole = partial(whole_table, Emitter(prepared, changer, state, overwrites=overwrites))
            return Curation(plan, report(None, None), table, _ledger=ledger, _whole=whole)
        about = {
            "evenset": version(),
            "plan": plan.model_dump(by_alias=True, mode="json"),
            "seed": seed,
            "placebo": placebo,
            "lexicons": lexicons_of(prepared),
            "taggers": [step.about["tagger"] for step in emitter.steps.values() if step.about.get("tagger")],
        }
        content = write_all(Path(out), emitter, about=lambda: about, report=report, parted=parted, rows=rows)
        return Curation(plan, content, None, where=Path(out) / "ledger.parquet")


def _apart(prepared: Prepared, engine: Engine, part_bytes: int | None) -> bool:
    """Whether the data are curated in parts."""
    if cuttable(prepared.dataset):
        return engine.kind == "dask" or part_bytes is not None or not prepared.hold
    if engine.kind == "dask":
        raise InputError("--engine dask cuts files of rows; curate rows in memory and chat data with --engine local")
    return False


def _prepared(data: Any, specs: Sequence[str], *, in_memory: bool) -> Prepared:
    if isinstance(data, Prepared):
        return data.with_axes(specs)
    dataset = data if isinstance(data, Dataset) else Dataset.of(data)
    return prepare(dataset, specs, hold=in_memory or small(dataset))


def _in_memory(emitter: Emitter) -> tuple[pa.Table, pa.Table]:
    rows = []
    ledger = []
    for part in emitter.parts():
        n = part.units.n
        columns = {
            "text": part.text,
            "label": pa.nulls(n, pa.string()) if part.label is None else part.label,
            "weight": pa.array(part.units.weight),
            "evenset_row": pa.array(part.units.root),
            "evenset_parent": part.parent,
            "bucket": pa.array(part.bucket),
        }
        rows.append(pa.table([columns[name].cast(ROWS.field(name).type) for name in ROWS.names], schema=ROWS))
        ledger.append(part.ledger)
    if not rows:
        raise InputError("the data have no rows")
    return pa.concat_tables(rows), pa.concat_tables(ledger)
