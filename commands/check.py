"""`evenset check`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from .apart import CHECKED, Named, apart, sources
from .expecting import refuse_gx, with_ledger, with_ledger_rule, write_docs
from .folder import axes_of, claimed, load, opened
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
from .screen import answer, progress_shown, say


@click.command(cls=Command, short_help="Hold a data set against thresholds; for CI.")
@click.argument("data", nargs=-1)
@config_option
@column_options
@click.option("--init", "write_init", is_flag=True, help="Write a config with thresholds from today's data and stop.")
@click.option(
    "--baseline",
    "baseline_path",
    type=Place(path_type=Path),
    metavar="audit.json|DIR",
    help="An audit of earlier data: what counts is the change since.",
)
@click.option(
    "--added", is_flag=True, help="DATA are only the rows added since --baseline: judge old and new together."
)
@click.option(
    "--md", type=Place(), metavar="FILE|-", help="Write the result as Markdown, for a CI summary; - is stdout."
)
@click.option("--sarif", type=Place(path_type=Path), help="Write the result as SARIF 2.1.0, for code hosts.")
@click.option(
    "--measures",
    metavar="NAME,...",
    help="With --init: further measures to write limits for, for example leakage_auc.",
)
@click.option(
    "--ledger",
    "ledger_path",
    type=Place(path_type=Path),
    help="DATA are curated rows: fail where they are not what this ledger says (measure ledger_mismatches).",
)
@click.option("--gx", is_flag=True, help="Run the rules through Great Expectations too; data docs go to --out.")
@click.option("--allow-unclear", is_flag=True, help="Exit 0 instead of 3 where the evidence is too thin.")
@out_option
@overwrite_option
@seed_option
@quiet_option
@json_option
def check(
    data: tuple[str, ...],
    config_path: Path | None,
    write_init: bool,
    baseline_path: Path | None,
    added: bool,
    md: str | None,
    sarif: Path | None,
    measures: str | None,
    ledger_path: Path | None,
    gx: bool,
    allow_unclear: bool,
    out: Path | None,
    overwrite: bool,
    seed: int,
    quiet: bool,
    as_json: bool,
    **flags: Any,
) -> int:
    """Compare the audit of DATA with limits; exit 0 passed, 1 failed, 3 unclear.

    Without --config the limits are the audit's own. With --baseline what counts is how much worse DATA are than the
    data of an earlier audit.

    \b
    evenset check comments.csv                         # the audit's own limits
    evenset check comments.csv --init                  # writes evenset.toml
    evenset check --config evenset.toml --out check/   # for CI, as files
    evenset check --config evenset.toml --baseline main/audit.json \\
        --md - >> summary.md
    evenset check new-rows.csv --config evenset.toml \\
        --baseline main/audit.json --added
    evenset check curated/data.csv --config evenset.toml \\
        --ledger curated/ledger.parquet
    evenset check comments.csv --gx --out check/       # check/gx/index.html
    """
    from .. import audit as room
    from ..audit.check import usable
    from ..audit.gate.baseline import Baseline
    from ..audit.rules import default_rules
    from ..audit.sections import listed_measures, needed_by
    from ..data import InputError
    from ..data.files import write_json, write_text

    if gx:
        refuse_gx(out, baseline=baseline_path is not None, init=write_init)
    target = config_path or Path("evenset.toml")
    if write_init and target.exists() and not overwrite:
        raise InputError(f"{target}: exists already; --overwrite replaces it.")
    if write_init and baseline_path is not None:
        raise InputError("--init writes limits from today's data alone; leave --baseline out")
    if write_init and out is not None:
        raise InputError(f"--init writes a config, {target}; leave --out out, and say where else with --config FILE")
    if added and baseline_path is None:
        raise InputError("--added needs --baseline: the audit of the rows that were there before")
    if as_json and md == "-":
        raise InputError("--json and --md - both want standard output; give --md a file")
    config = load(None if write_init and not target.exists() else config_path)
    _apart(sources(data, config.data.train), flags, config_path=config_path, target=target if write_init else None,
           baseline=baseline_path, ledger=ledger_path, md=md, sarif=sarif, out=out)  # fmt: skip
    rules = tuple(config.check)
    if not write_init:
        if config_path is None:
            rules = default_rules()
            say("no --config: judged by the default limits of an audit; --init writes your own", quiet=quiet)
        if ledger_path is not None:
            rules = with_ledger_rule(rules, ledger_path)
        usable(rules, baseline=baseline_path is not None)
        if baseline_path is None and any(rule.warn_change or rule.fail_change for rule in rules):
            say("note: limits of change (warn_change, fail_change) count only with --baseline", quiet=quiet)
    asked = listed_measures(measures)
    if asked and not write_init:
        raise InputError("--measures goes with --init; in a check the rules of the config say what is measured")
    baseline = None if baseline_path is None or write_init else Baseline.load(baseline_path)
    dataset = opened(data, config, flags, quiet=quiet, spool=out, compare=True, ruled=not write_init)
    axes = axes_of(config, flags, dataset)
    if write_init:
        with progress_shown(quiet=quiet or as_json) as progress:
            report = room.run(
                dataset, axes=axes, reference=config.reference, measures=[*needed_by([]), *asked], seed=seed,
                progress=progress,
            )  # fmt: skip
        write_text(target, room.init_config(report, dataset=dataset, axes=axes, measures=asked))
        again = " ".join(map(shlex.quote, [*data, "--config", str(target)]))
        say(f"written: {target}. Next: evenset check {again}", quiet=quiet)
        return 0
    key: dict[str, Any] = {"data": dataset.sha256(), "axes": axes, "config": config.model_dump_json()}
    if baseline:
        key |= {"use of --added": added, "baseline": None if baseline_path is None else _content(baseline_path)}
    if ledger_path is not None:
        key["ledger"] = _content(ledger_path)
    if gx:
        key["use of --gx"] = True
    with claimed(out, "check", key, overwrite=overwrite):
        with progress_shown(quiet=quiet or as_json) as progress:
            report = room.run(
                dataset,
                axes=axes,
                rules=rules,
                reference=config.reference,
                measures=needed_by(rules),
                seed=seed,
                progress=progress,
            )
        if ledger_path is not None:
            report = with_ledger(report, dataset, ledger_path)
        if baseline is not None and added:
            report = baseline.added(report)
        result = room.check(report, rules=rules, baseline=baseline, default=config_path is None)
        if out is not None:
            result.save(out)
            if gx:
                write_docs(report, result, config, out, allow_unclear=allow_unclear)
    note = (
        f"written: {out / 'check.json'}, junit.xml, check.md, check.sarif{', gx/index.html' if gx else ''}"
        if out
        else "for CI: --out DIR writes junit.xml"
    )
    if md is not None and md != "-":
        write_text(md, result.markdown())
    if sarif is not None:
        write_json(sarif, result.sarif())
    if md == "-":
        click.echo(result.markdown(), nl=False)
    else:
        answer(result, result.table, note, quiet=quiet, as_json=as_json)
    return int(result.exit_code(allow_unclear=allow_unclear))


def _apart(
    data: list[Named],
    flags: dict[str, Any],
    *,
    config_path: Path | None,
    target: Path | None,
    baseline: Path | None,
    ledger: Path | None,
    md: str | None,
    sarif: Path | None,
    out: Path | None,
) -> None:
    """Refuse results that would be written over what they are made of; `target` is where --init writes."""
    inputs: list[Named] = [*data, ("--ledger", ledger)]
    inputs += [("--axis", axis[8:]) for axis in flags.get("axes") or () if axis.startswith("lexicon:")]
    inputs += [("--config", config_path)] if target is None else []
    inputs += [] if baseline is None else [("--baseline", baseline / "audit.json" if baseline.is_dir() else baseline)]
    outputs: list[Named] = [("--config", target), ("--md", None if md == "-" else md), ("--sarif", sarif)]
    if out is not None:
        same = {"check.md": md, "check.sarif": sarif}  # the same text, under the same name
        own = [name for name in CHECKED if same.get(name) is None or Path(str(same[name])) != out / name]
        outputs += [("--out", out / name) for name in own]
    apart(inputs, outputs, out=out, writes=CHECKED)


def _content(path: Path) -> str:
    """Hash of a baseline."""
    from ..data.files import sha256_file

    return sha256_file(path / "audit.json" if path.is_dir() else path)
