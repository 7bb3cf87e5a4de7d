"""`evenset audit` and the table of measures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .apart import AUDITED, apart, sources
from .folder import axes_of, claimed, listed, load, opened, splits_of
from .help import Command
from .options import (
    column_options,
    config_option,
    json_option,
    out_option,
    overwrite_option,
    quiet_option,
    seed_option,
)
from .screen import answer, print_json, progress_shown, say, stdout

if TYPE_CHECKING:
    from ..data.config import Config


@click.command(cls=Command, short_help="Score the bias of a data set.")
@click.argument("data", nargs=-1)
@config_option
@column_options
@click.option(
    "--measures",
    metavar="NAME,...",
    help="counts, association, directions, proxies, leakage, quality (default all), or names of `evenset measures`.",
)
@click.option(
    "--vectors",
    multiple=True,
    metavar="FILE",
    help="Word vectors (word2vec, GloVe, npy, a model folder, package:NAME); default trained on DATA. Repeatable.",
)
@click.option(
    "--pairs",
    multiple=True,
    metavar="A-B,C-D|FILE",
    help="Pairs of words that span a further direction, for example rich-poor,wealthy-needy. Repeatable.",
)
@click.option(
    "--engine",
    default="local",
    show_default=True,
    metavar="local|dask[:ADDRESS]",
    help="Who counts: this process, Dask on this machine, or the Dask scheduler at ADDRESS.",
)
@click.option("--shard", metavar="3/10", help="Count only this shard of DATA, into --out, for --merge.")
@click.option("--merge", is_flag=True, help="DATA are the --out folders of all shards: report on them together.")
@click.option(
    "--examples",
    type=click.IntRange(0, 100),
    default=0,
    metavar="N",
    help="Show up to N rows of DATA for each finding that fails or warns in audit.html; by default none.",
)
@out_option
@overwrite_option
@seed_option
@quiet_option
@json_option
def audit(
    data: tuple[str, ...],
    config_path: Path | None,
    measures: str | None,
    vectors: tuple[str, ...],
    pairs: tuple[str, ...],
    engine: str,
    shard: str | None,
    merge: bool,
    examples: int,
    out: Path | None,
    overwrite: bool,
    seed: int,
    quiet: bool,
    as_json: bool,
    **flags: Any,
) -> int:
    """Score the bias of DATA: who is mentioned, with which label, and how sure that is.

    DATA is csv, tsv, jsonl (.gz, .zst), parquet, arrow, a Hugging Face dataset folder, a glob, or - for stdin. Columns
    that are not named are guessed from the file and said aloud.

    \b
    evenset audit comments.csv
    evenset audit bios.parquet --text bio --label profession --out audit/
    evenset audit jigsaw.csv --preset jigsaw --json | jq .scores
    evenset audit new.csv --axis "column:muslim>=0.5" --axis identity
    evenset audit big.csv --shard 3/10 --out shard-3/  # on each machine; then
    evenset audit --merge shard-*/ --out audit/
    """
    from .. import audit as room
    from ..audit.engine import clear
    from ..curate import preview
    from ..data import InputError

    config = load(config_path)
    if examples and out is None:
        raise InputError("--examples shows rows in audit.html; say where to with --out DIR")
    if shard is not None or merge:
        if examples:
            raise InputError("--examples needs the rows; leave it out with --shard and --merge")
        if vectors or pairs:
            raise InputError("--vectors and --pairs need the rows; leave them out with --shard and --merge")
        return _sharded(
            data, config, flags, shard=shard, merge=merge, engine=engine, measures=measures, out=out,
            overwrite=overwrite, seed=seed, quiet=quiet, as_json=as_json,
        )  # fmt: skip
    apart([*sources(data, config.data.train), ("--config", config_path)], (), out=out, writes=AUDITED)
    dataset = opened(data, config, flags, quiet=quiet, spool=out, compare=True, ruled=True)
    chosen = listed(measures)
    axes = axes_of(config, flags, dataset)
    key = {
        "data": dataset.sha256(), "axes": axes, "measures": chosen, "vectors": vectors, "pairs": pairs,
        "config": config.model_dump_json(),
    }  # fmt: skip
    with claimed(out, "audit", key, overwrite=overwrite):
        with progress_shown(quiet=quiet or as_json) as progress:
            report = room.run(
                dataset,
                axes=axes,
                rules=config.check,
                reference=config.reference,
                measures=chosen,
                vectors=vectors,
                pairs=pairs,
                splits=splits_of(data, config, dataset),
                engine=engine,
                state=out,
                seed=seed,
                progress=progress,
                say=lambda words: say(words, quiet=quiet),
            )
        report = replace(report, remedies=preview(report))
        if out is not None:
            report.save(out, examples=examples)
            clear(out)
    note = written(out) if out else "to keep the report: --out DIR"
    answer(report, report.scorecard, note, quiet=quiet, as_json=as_json)
    return 0


def written(out: Path) -> str:
    """What was written, and what to open."""
    return f"written: {out / 'audit.json'}; to read it: {out / 'audit.html'}"


def _sharded(
    data: tuple[str, ...],
    config: Config,
    flags: dict[str, Any],
    *,
    shard: str | None,
    merge: bool,
    engine: str,
    measures: str | None,
    out: Path | None,
    overwrite: bool,
    seed: int,
    quiet: bool,
    as_json: bool,
) -> int:
    """Count one shard, or report on shards that were counted."""
    from ..audit import engine as counting
    from ..audit.shards import Job
    from ..data import InputError
    from ..data.axes import parse_axes

    if engine != "local":
        raise InputError(f"--engine {engine} counts a whole data set; leave it out with --shard and --merge")
    if shard is not None and merge:
        raise InputError("--shard counts and --merge reports; give one of them")
    if shard is not None:
        which = counting.parse_shard(shard)
        if out is None:
            raise InputError("--shard needs --out DIR for the count.")
        dataset = opened(data, config, flags, quiet=quiet, spool=out, compare=True)
        axes = parse_axes(axes_of(config, flags, dataset), names=dataset.names)
        settings = Job(dataset, axes, words=True).settings()
        with (
            claimed(out, "audit --shard", [shard, settings], overwrite=overwrite),
            progress_shown(quiet=quiet or as_json) as progress,
        ):
            path = counting.shard(dataset, axes, which, out, words=True, progress=progress)
        if as_json:
            print_json({"shard": which[0], "of": which[1], "count": str(path)})
        say(f"written: {path}; with the others: evenset audit --merge DIR... --out DIR", quiet=quiet)
        return 0
    if any(value not in (None, ()) for value in flags.values()):
        raise InputError("--merge takes axes and columns from the counts; give them with --shard")
    from ..audit import merged as room

    chosen = listed(measures)
    with claimed(out, "audit --merge", [sorted(data), chosen, config.model_dump_json()], overwrite=overwrite):
        report = room.run_merged(data, rules=config.check, reference=config.reference, measures=chosen, seed=seed)
        if out is not None:
            report.save(out)
    for section, why in report.parts.left_out.items():
        say(f"{section} left out: {why}", quiet=quiet)
    note = written(out) if out else "to keep the report: --out DIR"
    answer(report, report.scorecard, note, quiet=quiet, as_json=as_json)
    return 0


@click.command(cls=Command, short_help="The table of measures.")
def measures() -> int:
    """List every measure: name, formula, range and source.

    \b
    evenset measures
    evenset audit comments.csv --measures npmi,cramers_v
    """
    from rich.padding import Padding
    from rich.text import Text

    from ..audit.measures import MEASURES

    for measure in MEASURES.values():
        console = stdout()
        console.print(Text.assemble((measure.name, "bold"), f"  {measure.summary}"))
        for line in (measure.formula, f"range {measure.range}", str(measure.source)):
            console.print(Padding(line, (0, 0, 0, 4)))
    return 0
