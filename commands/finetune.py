"""`evenset finetune`, `run` and `demo`."""

from __future__ import annotations

from pathlib import Path

import click

from .folder import claimed, drawn, load
from .help import Command
from .options import (
    json_option,
    out_option,
    overwrite_option,
    quiet_option,
)
from .screen import answer, progress_shown


@click.command(cls=Command, short_help="Train every arm and seed of a config, then the verdict.")
@click.option("--config", "config_path", required=True, type=click.Path(path_type=Path), help="evenset.toml.")
@click.option(
    "--dose",
    metavar="PLAN",
    help="Train levels of this plan (a name in the config, or a plan.toml) in the arms' place.",
)
@click.option("--levels", metavar="L,L,…", help="Levels of --dose: 0 raw, 1 balanced, 2 mirrored  [0,0.2,...,2]")
@out_option
@overwrite_option
@quiet_option
@json_option
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

    What the config may hold: docs/config.md.

    \b
    evenset finetune --config evenset.toml --out out/
    evenset finetune --config evenset.toml --dose balance --levels 0,0.5,1 \\
        --out out/dose
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
    from .. import finetune as room
    from ..data import InputError
    from ..finetune import ranks
    from ..finetune.attribution.dose_table import dose_table
    from ..finetune.attribution.levels import parse_levels

    if dose is None:
        raise InputError("--levels: of what? Name a plan with --dose")
    wanted = None if levels is None else parse_levels(levels)
    if ranks.rank():
        return ranks.follow()
    with ranks.leading():
        config = load(config_path)
        out = out or Path("out") / f"{config_path.stem}-dose"
        key = [config_path.stem, dose]
        with (
            claimed(out, "finetune --dose", key, overwrite=overwrite),
            progress_shown(quiet=quiet or as_json) as progress,
        ):
            report = room.run_doses(config, dose, wanted, out=out, progress=progress)
            drawn(report.to_dict(), out, quiet=quiet or as_json)
        answer(report, lambda: dose_table(report), f"written: {out}", quiet=quiet, as_json=as_json)
    return 0


@click.command(cls=Command, short_help="Audit, curate, train, verdict: the whole loop.")
@click.option("--config", "config_path", required=True, type=click.Path(path_type=Path), help="evenset.toml.")
@out_option
@overwrite_option
@quiet_option
@json_option
def run(config_path: Path, out: Path | None, overwrite: bool, quiet: bool, as_json: bool) -> int:
    """Run the whole loop of a config. Stopped half-way, the same command goes on where it was.

    What the config may hold: docs/config.md; `evenset check DATA --init` writes a first one.

    \b
    evenset run --config examples/toxicity.toml --out out/toxicity
    """
    return _pipeline(config_path, out, overwrite=overwrite, quiet=quiet, as_json=as_json, write_curated=True)


def _pipeline(
    config_path: Path, out: Path | None, *, overwrite: bool, quiet: bool, as_json: bool, write_curated: bool
) -> int:
    from .. import finetune as room
    from ..finetune import ranks
    from ..finetune.attribution.report import with_attribution

    if ranks.rank():  # torchrun or accelerate started several processes: the first of them leads
        return ranks.follow()
    with ranks.leading():
        config = load(config_path)
        out = out or Path("out") / config_path.stem
        with (
            claimed(out, "run", [config_path.stem], overwrite=overwrite),
            progress_shown(quiet=quiet or as_json) as progress,
        ):
            verdict = room.run(config, out=out, progress=progress, write_curated=write_curated)
            drawn(verdict.to_dict(), out, quiet=quiet or as_json)
        answer(verdict, lambda: with_attribution(verdict), f"written: {out}", quiet=quiet, as_json=as_json)
    return int(verdict.exit_code)
