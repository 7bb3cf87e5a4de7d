"""`run`: from a dataset and a plan to curated rows, their ledger and a report."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ..data.config import Plan
from ..data.dataset import Dataset
from ..data.errors import InputError
from .adding import first_pass
from .changes import Changer
from .emit import Emitter
from .feasibility import draw_feasibility, tabulated
from .ledger import SCHEMA
from .plan import Resolved, axes_of, resolve
from .prepare import Prepared, documents, prepare, small
from .refusals import refuse
from .select import select
from .state import State
from .tables import effect
from .write import WEIGHT, Written, check_columns, counted, open_again, write_all

if TYPE_CHECKING:
    import pandas as pd

REPORT = "evenset.curation/1"
# What is compared before and after; the measures of single words would make a report of megabytes.
_COMPARED = ("cramers_v", "label_rate", "label_log_ratio", "log_ratio_centred", "representation")

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
        return "\n".join(_lines(self.report))

    def _repr_html_(self) -> str:
        return "<pre>" + html.escape(self.summary()) + "</pre>"


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
    if isinstance(data, Dataset):
        refuse(data, plan, writes=out is not None or dry_run)
    specs = list(dict.fromkeys([*(axes or ()), *axes_of(plan)]))
    prepared = _prepared(data, specs, in_memory=out is None and not dry_run)
    dataset = prepared.dataset
    resolved = resolve(plan, prepared.axes, prepared.scanner.matchers)
    if out is not None:
        check_columns(dataset, weights=resolved.weights)
    words = placebo and bool(resolved.edits or resolved.augments)
    vocabulary = prepared.remembered("documents", lambda: documents(prepared)) if words else None
    changer = Changer(resolved, seed, placebo, vocabulary, memory={} if prepared.hold else None)
    state: State | None = None
    if resolved.moves_rows:
        hashes = any(step.do == "topup" for step in plan.step)
        rows, copies = first_pass(prepared, changer, hashes=hashes)
        known = positive if positive is not None else dataset.columns.positive
        state = select(prepared, changer, rows, copies, positive=known)
    overwrites = WEIGHT if resolved.weights and dataset.columns.weight == WEIGHT and out is not None else None
    emitter = Emitter(prepared, changer, state, overwrites=overwrites)

    def report(written: Written | None, stage: Path | None) -> dict[str, Any]:
        content = _report(emitter, state, plan, seed=seed, placebo=placebo, dry_run=dry_run, written=written)
        if stage is not None:
            content["figures"], notes = draw_feasibility(content["steps"], stage)
            content["notes"] += notes
        if stage is not None and written is not None and audited:
            try:
                content["findings"] = _findings(dataset, written, stage, specs, weights=resolved.weights)
            except InputError as error:  # what cannot be audited can still be curated
                content["notes"].append(f"not audited before and after: {error}")
        return content

    if dry_run:
        for _ in emitter.parts():
            pass
        return Curation(plan, report(None, None), None)
    if out is None:
        table, ledger = _in_memory(emitter)
        return Curation(plan, report(None, None), table, _ledger=ledger)
    about = {
        "evenset": _version(),
        "plan": plan.model_dump(by_alias=True, mode="json"),
        "seed": seed,
        "placebo": placebo,
        "lexicons": _lexicons(prepared),
    }
    content = write_all(Path(out), emitter, about=lambda: about, report=report)
    return Curation(plan, content, None, where=Path(out) / "ledger.parquet")


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


def _report(
    emitter: Emitter,
    state: State | None,
    plan: Plan,
    *,
    seed: int,
    placebo: bool,
    dry_run: bool,
    written: Written | None,
) -> dict[str, Any]:
    prepared = emitter.prepared
    resolved = emitter.changer.resolved
    content: dict[str, Any] = {
        "schema": REPORT,
        "evenset": _version(),
        "plan": plan.model_dump(by_alias=True, mode="json"),
        "seed": seed,
        "placebo": placebo,
        "dry_run": dry_run,
        "input": {"rows": emitter.counts.rows_in, **prepared.remembered("described", prepared.dataset.describe)},
        "output": {"rows": emitter.counts.rows_out},
        "lexicons": _lexicons(prepared),
        "counts": counted(emitter),
        "steps": [_step(index, resolved, emitter, state) for index in range(len(plan.step))],
        "effect": {},
        "notes": list(resolved.notes),
    }
    if written is not None:
        content["output"] |= {"name": written.name, "sha256": written.sha256, "files": written.files}
    if state is not None:
        # The effect of edits is not in the cells, which are those of the raw text: the audit after it shows that.
        content["notes"] += [note for index in sorted(state.reports) for note in state.reports[index].get("notes", [])]
        content["effect"] = {
            axis.name: effect(state.cells, axis, state.before, state.units) for axis in prepared.distinct
        }
    return content


def _step(index: int, resolved: Resolved, emitter: Emitter, state: State | None) -> dict[str, Any]:
    step = resolved.plan.step[index]
    numbers: dict[str, Any] = {"step": index + 1, "do": step.do, "axis": resolved.axis_of[index]}
    if index in emitter.steps:
        numbers["rule"] = emitter.steps[index].rule
        numbers |= dict(emitter.counts.steps.get(index, {}))
        groups: dict[str, int] = dict(emitter.counts.groups.get(index, {}))
        if groups:
            numbers["groups"] = dict(sorted(groups.items()))
    else:
        numbers["rule"] = f"{step.do}.v1"
    if state is not None and index in state.reports:
        own = {name: value for name, value in state.reports[index].items() if name != "notes"}
        if step.do == "topup":
            own["cells"] = [asdict(cell) for cell in own["cells"]]
        numbers |= own
    return numbers


def _findings(
    dataset: Dataset, written: Written, stage: Path, specs: Sequence[str], *, weights: bool
) -> list[dict[str, Any]]:
    """Audits before and after, finding by finding."""
    from .. import audit

    place: Path | list[Path] = stage / written.name
    if written.name == "rows":
        place = [stage / written.name / name for name in written.files]
    after = open_again(dataset, place, weight=weights)
    reports = [audit.run(data, list(specs), measures=_COMPARED) for data in (dataset, after)]
    numbers = [{finding.id: finding.to_dict() for finding in report.findings} for report in reports]
    compared = []
    for name in dict.fromkeys([*numbers[0], *numbers[1]]):
        pair = [found.get(name) for found in numbers]
        some = pair[0] or pair[1]
        assert some is not None
        compared.append({
            **{key: some[key] for key in ("id", "axis", "group", "label", "measure")},
            **{
                when: None if found is None else {key: found[key] for key in ("estimate", "low", "high", "n", "method")}
                for when, found in zip(("before", "after"), pair, strict=True)
            },
        })  # fmt: skip
    return compared


def _lexicons(prepared: Prepared) -> list[dict[str, str]]:
    found = {lexicon.name: lexicon for axis in prepared.distinct for lexicon in axis.lexicons()}
    return [{"name": item.name, "version": item.version, "sha256": item.sha256} for item in found.values()]


def _version() -> str:
    from .. import __version__

    return __version__


def _lines(report: dict[str, Any]) -> list[str]:
    """What a person wants to know first."""
    counts = report["counts"]
    name = report["plan"]["name"] or "plan"
    lines = [
        f"{name}{' (placebo)' if report['placebo'] else ''}: {report['input']['rows']:,} rows in, "
        f"{report['output']['rows']:,} rows out"
    ]
    lines += [f"  {step['step']}. {step['do']} {step['axis']}: {_words(step)}" for step in report["steps"]]
    for axis, found in report["effect"].items():
        if found:
            v = found["cramers_v"]
            lines.append(
                f"  {axis} and label: Cramér's V {v['before']:.3f} → {v['after']:.3f} (uncorrected, from the counts)"
            )
    if report["dry_run"]:
        lines += [tables for step in report["steps"] if (tables := tabulated(step))]
    kinds = [f"{counts[kind]:,} {kind}" for kind in ("edits", "copies", "drops", "weights") if counts[kind]]
    lines.append("  ledger: " + (", ".join(kinds) or "nothing changed"))
    return lines + [f"  note: {note}" for note in report["notes"]]


def _words(step: dict[str, Any]) -> str:
    """The numbers of a step in words."""
    match step["do"]:
        case "scrub" | "swap":
            words = f"{step.get('edits', 0):,} words in {step.get('rows', 0):,} rows"
            if step.get("copies") is not None:
                words += f", {step['copies']:,} copies"
            if step.get("unsure"):
                words += f"; {step['unsure']:,} left because the rules were not sure"
            return words + (f"; {step['short']:,} could not be matched" if step.get("short") else "")
        case "topup":
            short = f"; the pool lacks {step['short']:,}" if step["short"] else ""
            return f"{step['added']:,} rows added as {step['label']}{short}"
        case "resample":
            moved = f"{step['dropped']:,} dropped, {step['repeated']:,} repeated"
            return f"{step['before']:,} → {step['after']:,} rows ({moved})"
        case _:
            capped = f"; {step['capped']:,} rows at the cap" if step["capped"] else ""
            if "dropped" in step:
                return (
                    f"{step['before']:,} → {step['after']:,} rows in place of weights ({step['dropped']:,} dropped, "
                    f"{step['repeated']:,} repeated), worth {step['effective_rows']:,.0f}{capped}"
                )
            return (
                f"weights {step['least']:.2f} to {step['most']:.2f}, "
                f"worth {step['effective_rows']:,.0f} unweighted rows{capped}"
            )
