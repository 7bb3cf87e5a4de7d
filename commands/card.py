"""`evenset card`."""

from __future__ import annotations

from pathlib import Path

import click

from .apart import apart
from .help import Command
from .options import Place, quiet_option
from .screen import say


@click.command(cls=Command, short_help="Write what an audit found into a dataset card.")
@click.argument("audit", type=click.Path(path_type=Path))
@click.option(
    "--readme",
    type=Place(path_type=Path),
    help="README.md (or its folder) whose part on bias is written; default: it is printed.",
)
@click.option(
    "--croissant", "metadata", type=Place(path_type=Path), help="Croissant metadata (JSON-LD) to create or update."
)
@click.option("--curation", type=click.Path(path_type=Path), help="curation.json, or the --out folder of a curation.")
@click.option("--name", help="What the data are called in new Croissant metadata; default the name of the file.")
@quiet_option
def card(
    audit: Path, readme: Path | None, metadata: Path | None, curation: Path | None, name: str | None, quiet: bool
) -> int:
    """Write the part of a dataset card that says what AUDIT (audit.json, or its folder) found. No row of the data.

    The part stands between two marks and is replaced when it is written again; the rest of the card is not touched.

    \b
    evenset audit train.csv --out audit/
    evenset card audit/                          # prints it
    evenset card audit/ --readme README.md
    evenset card audit/ --readme README.md \\
        --curation curated/ --croissant croissant.json
    """
    from ..audit.card import section, write_card
    from ..audit.card_words import read_audit, read_curation
    from ..audit.croissant import write_croissant
    from ..data import InputError

    if name is not None and metadata is None:
        raise InputError("--name goes with --croissant FILE.")
    if readme is not None and not readme.is_dir() and readme.suffix.lower() not in (".md", ".markdown"):
        raise InputError(f'--readme "{readme}": a card is a file that ends in .md, or the folder of a README.md.')
    made = curation / "curation.json" if curation is not None and curation.is_dir() else curation
    of = [("AUDIT", audit / "audit.json" if audit.is_dir() else audit), ("--curation", made)]
    written = readme / "README.md" if readme is not None and readme.is_dir() else readme
    apart(of, [("--readme", written), ("--croissant", metadata)])
    found = read_audit(audit)
    done = None if curation is None else read_curation(curation)
    if readme is None and metadata is None:
        click.echo(section(found, done), nl=False)
        return 0
    if readme is not None:
        say(f"written: {write_card(readme, found, done)}", quiet=quiet)
    if metadata is not None:
        say(f"written: {write_croissant(metadata, found, done, name=name)}", quiet=quiet)
    return 0
