"""`evenset curate`, `explain`, `restore`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .apart import CURATED, Named, apart, sources
from .folder import axes_of, claimed, listed, load, opened, split_words
from .help import Command
from .options import (
    Place,
    column_options,
    config_option,
    json_option,
    out_option,
    overwrite_option,
    quiet_option,
    seed_option,
)
from .screen import answer, print_json, say, stdout

if TYPE_CHECKING:
    from ..data.config import Config


@click.command(cls=Command, short_help="Change a data set by a plan, with a ledger of every change.")
@click.argument("data", nargs=-1)
@config_option
@click.option("--plan", "plan_name", help="Which [plan.NAME] of the config; needless where there is one.")
@click.option(
    "--do",
    "steps",
    multiple=True,
    metavar="STEP:AXIS[,OPTION=VALUE]",
    help="A step without a config, for example resample:pronouns,level=1. Repeatable, in this order.",
)
@click.option("--placebo", is_flag=True, help="Apply the plan's placebo instead: as many changes, at random.")
@click.option("--dry-run", is_flag=True, help="Say what would change; write nothing.")
@click.option(
    "--engine",
    default="local",
    show_default=True,
    metavar="local|dask[:ADDRESS]",
    help="Who curates: processes of this machine, Dask on this machine, or the Dask scheduler at ADDRESS.",
)
@click.option(
    "--workers", type=int, metavar="N", help="Processes for large data, some 250 MB each; default one a core."
)
@click.option(
    "--until",
    multiple=True,
    metavar="MEASURE:AXIS<=VALUE",
    help="Instead of a plan: look for one that brings these findings under the limit and touches few rows; apply it. "
    "MEASURE[:AXIS[:GROUP[:LABEL]]]<=VALUE; the absolute value is meant. Repeatable.",
)
@click.option("--minimise", type=click.Choice(["rows"]), help="What the plan of --until keeps small: rows touched.")
@click.option(
    "--allow", metavar="STEP,...", help="Steps --until may use: reweight, resample (default), swap, topup, scrub."
)
@click.option("--pool", metavar="FILE", help="Harmless rows for --allow topup.")
@click.option("--pool-text", metavar="COL", help="Column of the pool's text.")
@click.option(
    "--measures",
    metavar="NAME,...",
    help="What to compare before and after besides the counts: leakage, association, ..., or names of measures.",
)
@column_options
@out_option
@overwrite_option
@seed_option
@quiet_option
@json_option
def curate(
    data: tuple[str, ...],
    config_path: Path | None,
    plan_name: str | None,
    steps: tuple[str, ...],
    placebo: bool,
    dry_run: bool,
    engine: str,
    workers: int | None,
    until: tuple[str, ...],
    minimise: str | None,
    allow: str | None,
    pool: str | None,
    pool_text: str | None,
    measures: str | None,
    out: Path | None,
    overwrite: bool,
    seed: int,
    quiet: bool,
    as_json: bool,
    **flags: Any,
) -> int:
    """Apply a plan to DATA: edits, then copies, then selection, then weights. Every change goes into a ledger.

    \b
    evenset curate train.csv --do reweight:identity --out curated/
    evenset curate train.csv --config evenset.toml --plan scrub --dry-run
    evenset curate --config evenset.toml --plan balance --out curated/
    evenset curate train.csv --until "label_log_ratio:identity<=0.2" \\
        --minimise rows --out curated/
    """
    from .. import curate as room
    from ..data import InputError
    from ..data.config import inline_plan

    compared = [] if measures is None else listed(measures)
    if until:
        if plan_name is not None or steps or placebo:
            raise InputError("--until looks for a plan; leave out --plan, --do and --placebo.")
        return _searched(
            data, load(config_path), flags, config_path=config_path, until=until, allow=allow, pool=pool,
            pool_text=pool_text, measures=compared, dry_run=dry_run, out=out, overwrite=overwrite, seed=seed,
            quiet=quiet, as_json=as_json,
        )  # fmt: skip
    for flag, value in (("--minimise", minimise), ("--allow", allow), ("--pool", pool), ("--pool-text", pool_text)):
        if value is not None:
            raise InputError(f'{flag} goes with --until LIMIT, for example --until "label_log_ratio:identity<=0.2".')
    if config_path is None and not steps:
        raise InputError(
            "curate needs steps: --do STEP:AXIS, for example --do reweight:pronouns, or --config FILE with a "
            "[plan.NAME]. `evenset check DATA --init` writes a first one."
        )
    if plan_name is not None and steps:
        raise InputError("give either --plan NAME or --do STEP:AXIS, not both.")
    if out is None and not dry_run:
        raise InputError("curate needs --out DIR for the curated rows, or --dry-run to write nothing.")
    config = load(config_path)
    if plan_name is None and not steps:
        if len(config.plan) != 1:
            raise InputError(f"--plan NAME is needed; plans in {config_path}: {', '.join(config.plan) or 'none'}.")
        plan_name = next(iter(config.plan))
    plan = inline_plan(steps) if plan_name is None else config.get_plan(plan_name)
    named: list[Named] = [("--config", config_path)]
    keys = ("pool", "placebo_pool", "audit")
    named += [(key, getattr(step, key, None)) for step in plan.step for key in keys]
    apart([*sources(data, config.data.train), *named], (), out=None if dry_run else out, writes=CURATED)
    dataset = opened(data, config, flags, quiet=quiet, spool=out, compare=False)
    axes = axes_of(config, flags, dataset)
    key = {
        "data": dataset.sha256(), "steps": plan.model_dump_json(by_alias=True), "seed": seed, "placebo": placebo,
        "axes": axes, "measures": compared,
    }  # fmt: skip
    target = None if dry_run else out
    with claimed(target, "curate", key, overwrite=overwrite):
        result = room.run(
            dataset, plan, axes=axes, seed=seed, placebo=placebo, out=target, dry_run=dry_run, engine=engine,
            workers=workers, measures=compared,
        )  # fmt: skip
    note = "dry run: nothing was written" if dry_run else f"written: {out}"
    answer(result, result.summary, note, quiet=quiet, as_json=as_json)
    return 0


def _searched(
    data: tuple[str, ...],
    config: Config,
    flags: dict[str, Any],
    *,
    config_path: Path | None,
    until: tuple[str, ...],
    allow: str | None,
    pool: str | None,
    pool_text: str | None,
    measures: list[str],
    dry_run: bool,
    out: Path | None,
    overwrite: bool,
    seed: int,
    quiet: bool,
    as_json: bool,
) -> int:
    """Look for a small plan that keeps the limits, write and apply it."""
    from .. import curate as room
    from ..data import InputError

    if out is None and not dry_run:
        raise InputError("curate --until needs --out DIR for the plan and the curated rows, or --dry-run.")
    named: list[Named] = [("--config", config_path), ("--pool", pool)]
    apart([*sources(data, config.data.train), *named], (), out=None if dry_run else out, writes=CURATED)
    dataset = opened(data, config, flags, quiet=quiet, spool=out, compare=True)
    axes = axes_of(config, flags, dataset)
    allowed = room.ALLOWED if allow is None else tuple(split_words(allow, "--allow"))
    key = {
        "data": dataset.sha256(), "limits": until, "steps": allowed, "pool": pool, "text of the pool": pool_text,
        "seed": seed, "axes": axes, "measures": measures,
    }  # fmt: skip
    target = None if dry_run else out
    curation = None
    with claimed(target, "curate --until", key, overwrite=overwrite):
        found = room.search(
            dataset, until, axes=axes, allow=allowed, pool=pool, pool_text=pool_text, seed=seed,
            say=lambda words: say(words, quiet=quiet or as_json),
        )  # fmt: skip
        if target is not None:
            if found.plan is not None:
                curation = room.run(dataset, found.plan, axes=axes, seed=seed, out=target, measures=measures)
            for note in found.save(target):
                say(note, quiet=quiet)
    if as_json:
        print_json({"search": found.to_dict(), "curation": None if curation is None else curation.to_dict()})
    else:
        stdout().print(found.summary())
        if curation is not None:
            stdout().print(curation.summary())
        written = f"written: {out} (plan.toml, tradeoff.svg)" if curation is not None else f"written: {out}/tradeoff.*"
        say("dry run: nothing was written" if target is None else written, quiet=quiet)
    return 0 if found.plan is not None or found.needless else 1


@click.command(cls=Command, short_help="Say what a curation did to one row, and why.")
@click.argument("curated", type=click.Path(path_type=Path))
@click.option(
    "--row",
    required=True,
    metavar="ID",
    help="Value of the --id column, or the row's key (16 hex digits, as in ledger.parquet and flagged.parquet), or #N "
    "for row N of the original data, counted from 1.",
)
@click.option("--text", "show", is_flag=True, help="Show the words that were changed, not only where and how many.")
@json_option
def explain(curated: Path, row: str, show: bool, as_json: bool) -> int:
    """Say what `evenset curate` did to one row and why: its edits, copies, drop and weight.

    CURATED is the --out folder of the curation. The ledger holds the words that were taken out; they are shown only
    with --text.

    \b
    evenset explain curated/ --row "#17"
    evenset explain curated/ --row a3f09b2277de5c01 --text
    """
    from .. import curate as room

    explained = room.explain(curated, row)
    if as_json:
        print_json(explained.to_dict(words=show))
    else:
        stdout().print(explained.summary(words=show))
    return 0


@click.command(cls=Command, short_help="Undo a curation from its ledger.")
@click.argument("curated")
@click.option("--ledger", required=True, type=click.Path(path_type=Path), help="ledger.parquet of the curation.")
@click.option("--original", help="The data before curation; needed where rows were dropped.")
@click.option("--text", help="Column with the text; default the one in the ledger.")
@click.option("--out", required=True, type=Place(path_type=Path), help="Folder for the restored rows.")
@overwrite_option
@quiet_option
def restore(
    curated: str, ledger: Path, original: str | None, text: str | None, out: Path, overwrite: bool, quiet: bool
) -> int:
    """Give back the rows as they were before a curation, order included.

    \b
    evenset restore curated/data.csv --ledger curated/ledger.parquet \\
        --out back/
    evenset restore curated/data.csv --ledger curated/ledger.parquet \\
        --original train.csv --out back/  # where rows were dropped
    """
    from .. import curate as room

    given: list[Named] = [("--ledger", ledger), ("--original", original), ("CURATED", curated)]
    apart(given, (), out=out, writes=CURATED)
    with claimed(out, "restore", [curated, str(ledger)], overwrite=overwrite):
        written = room.restore(curated, ledger, text=text, original=original, out=out)
    say(f"written: {written}", quiet=quiet)
    return 0
