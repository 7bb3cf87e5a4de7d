"""`evenset check`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from .folder import axes_of, claimed, load, opened
from .options import (
    column_options,
    config_option,
    json_option,
    out_option,
    overwrite_option,
    quiet_option,
    seed_option,
)
from .screen import answer, progress_shown, say


@click.command(short_help="Hold a data set against thresholds; for CI.")
@click.argument("data", nargs=-1)
@config_option
@column_options
@click.option("--init", "write_init", is_flag=True, help="Write a config with thresholds from today's data and stop.")
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
    from .. import audit as room
    from ..audit.rules import default_rules
    from ..audit.sections import needed_by
    from ..data import InputError
    from ..data.files import write_text

    target = config_path or Path("evenset.toml")
    if write_init and target.exists() and not overwrite:
        raise InputError(f"{target}: exists already; --overwrite replaces it.")
    config = load(None if write_init and not target.exists() else config_path)
    rules = tuple(config.check)
    if not write_init:
        if config_path is None:
            rules = default_rules()
            say("no --config: judged by the default limits of an audit; --init writes your own", quiet=quiet)
        room.check((), rules)  # rules that cannot be used are refused before the data are read
    dataset = opened(data, config, flags, quiet=quiet, spool=out, compare=True, ruled=not write_init)
    axes = axes_of(config, flags, dataset)
    if write_init:
        with progress_shown(quiet=quiet or as_json) as progress:
            report = room.run(dataset, axes=axes, reference=config.reference, seed=seed, progress=progress)
        write_text(target, room.init_config(report, dataset=dataset, axes=axes))
        again = " ".join(map(shlex.quote, [*data, "--config", str(target)]))
        say(f"written: {target}. Next: evenset check {again}", quiet=quiet)
        return 0
    with claimed(out, "check", [dataset.sha256(), axes, config.model_dump_json()], overwrite=overwrite):
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
        result = room.check(report, rules=rules)
        if out is not None:
            result.save(out)
    note = f"written: {out / 'check.json'}, {out / 'junit.xml'}" if out else "for CI: --out DIR writes junit.xml"
    answer(result, result.table, note, quiet=quiet, as_json=as_json)
    return int(result.exit_code(allow_unclear=allow_unclear))
