"""`evenset demo` and `sample`: the built-in synthetic data."""

from __future__ import annotations

from pathlib import Path

import click

from .folder import claimed
from .help import Command
from .options import (
    Place,
    overwrite_option,
    quiet_option,
    seed_option,
)
from .screen import progress_shown, say, stdout


@click.command(cls=Command, short_help="The whole loop on the built-in sample; no network, no GPU.")
@click.option(
    "--out", type=Place(path_type=Path), default=Path("demo"), show_default=True, help="Folder for the results."
)
@click.option("--rows", type=click.IntRange(min=500), default=None, help="Rows of the training sample.")
@overwrite_option
@quiet_option
def demo(out: Path, rows: int | None, overwrite: bool, quiet: bool) -> int:
    """Run audit, curate, finetune and verdict on a synthetic sample whose bias we planted, and compare with the truth.

    \b
    evenset demo --out demo/
    """
    from ..finetune import demo as room

    with claimed(out, "demo", [rows], overwrite=overwrite), progress_shown(quiet=quiet) as progress:
        result = room.run(out, rows=rows, progress=progress)
    stdout().print(result.summary())
    say(f"written: {out}", quiet=quiet)
    return 0 if result.matched else 4


@click.command(cls=Command, short_help="Write the built-in synthetic data, with its planted truth.")
@click.argument("kind", type=click.Choice(["bios", "comments"]))
@click.option("--rows", type=click.IntRange(min=1), default=6000, show_default=True)
@seed_option
@click.option("--out", type=Place(path_type=Path), default=Path("sample"), show_default=True)
@overwrite_option
@quiet_option
def sample(kind: str, rows: int, seed: int, out: Path, overwrite: bool, quiet: bool) -> int:
    """Write synthetic biographies or comments and truth.json, which says what was planted.

    \b
    evenset sample bios --rows 20000 --seed 1 --out sample/
    evenset audit sample/bios.parquet
    """
    from ..data import sample as room

    with claimed(out, "sample", {"kind": kind, "rows": rows, "seed": seed}, overwrite=overwrite):
        written = room.write(kind, rows, seed, out)
    say("written: " + ", ".join(str(path) for path in written.values()), quiet=quiet)
    return 0
