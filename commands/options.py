"""The options that commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def options(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, in this order."""

    def apply(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


class Place(click.Path):
    """A path; an empty one (an unset variable of a script) is an error and not the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse the empty path."""
        if value == "":
            self.fail("is empty; name a folder.", param, ctx)
        return super().convert(value, param, ctx)


config_option = click.option(
    "--config", "config_path", type=click.Path(path_type=Path), help="evenset.toml; flags override it."
)
out_option = click.option(
    "--out", type=Place(path_type=Path), help="Folder for the results; whole or absent, never half."
)
seed_option = click.option("--seed", type=int, default=0, show_default=True, help="Seed of every random draw.")
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Use the --out folder even if it holds another run's files."
)
quiet_option = click.option("--quiet", is_flag=True, help="No progress and no guesses on stderr.")
json_option = click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout; the rest on stderr.")
column_options = options(
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
