"""`evenset lexicon show` and `validate`."""

from __future__ import annotations

from pathlib import Path

import click

from .help import Group
from .options import (
    json_option,
)
from .screen import print_json, stdout


@click.group(cls=Group, short_help="Look at and validate word lists.")
def lexicon() -> None:
    """Look at the built-in lexicons and validate your own.

    \b
    evenset lexicon show                 # names of the built-in ones
    evenset lexicon show pronouns
    evenset lexicon validate faith.toml
    """


@lexicon.command("show", short_help="The groups and forms of a lexicon.")
@click.argument("name", required=False)
@json_option
def lexicon_show(name: str | None, as_json: bool) -> int:
    """Print the groups and forms of lexicon NAME (built-in or a file); without NAME list the built-in ones.

    \b
    evenset lexicon show
    evenset lexicon show identity --json
    evenset lexicon show faith.toml
    """
    from rich.table import Table

    from ..data import lexicon as room

    if name is None:
        names = room.builtin_names()
        if as_json:
            print_json(list(names))
        else:
            stdout().print("\n".join(names))
        return 0
    book = room.load(name)
    rows = [
        (g.axis, g.name, ", ".join(f.text for f in book.forms if f.group == i), g.ambiguous)
        for i, g in enumerate(book.groups)
    ]
    if as_json:
        print_json({
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
    stdout().print(table)
    stdout().print("* ambiguous: counted, shown apart, sets no status by default")
    return 0


@lexicon.command("validate", short_help="Check a lexicon file.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
def lexicon_validate(files: tuple[Path, ...]) -> int:
    """Check each lexicon FILE and list everything that is wrong with it.

    \b
    evenset lexicon validate faith.toml
    evenset lexicon validate lexicons/*.toml
    """
    from ..data import InputError
    from ..data import lexicon as room

    wrong: list[str] = []
    for file in files:
        if problems := room.validate(file):
            wrong.append(f"{file}: {len(problems)} problem(s)\n  " + "\n  ".join(problems))
        else:
            stdout().print(f"{file}: fine")
    if wrong:
        raise InputError("\n".join(wrong))
    return 0
