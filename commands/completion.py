"""`evenset completion`, and what the shell offers while a command is typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from .help import Command

VARIABLE = "_EVENSET_COMPLETE"
"""Set by the shell's script; click answers it before any command runs."""

STEPS = ("reweight", "resample", "swap", "topup", "scrub")

Offer = Callable[[click.Context, str], Iterable[Any]]


@click.command(cls=Command, short_help="Print the script that completes commands in a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print the script that makes SHELL complete commands, options, axes, presets, plans, measures and columns.

    \b
    evenset completion bash >> ~/.bashrc
    evenset completion zsh >> ~/.zshrc                          behind compinit
    evenset completion fish > ~/.config/fish/completions/evenset.fish
    """
    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(context.find_root().command, {}, "evenset", VARIABLE).source())
    return 0


def equip(root: click.Group) -> None:
    """Let the options of all commands offer what they take; told apart by the names of their parameters."""
    for command in root.commands.values():
        if isinstance(command, click.Group):
            equip(command)
        for param in command.params:
            files = isinstance(param, click.Argument) and param.name in _FILES
            offer: Offer | None = _files if files else _OFFERS.get(str(param.name))
            if offer is not None and not isinstance(param.type, click.Choice | click.Path) and not _flag(param):
                _attach(param, offer)


def _flag(param: click.Parameter) -> bool:
    return isinstance(param, click.Option) and param.is_flag


def _attach(param: click.Parameter, offer: Offer) -> None:
    def shell_complete(context: click.Context, incomplete: str) -> list[CompletionItem]:
        try:
            found = list(offer(context, incomplete))
        except Exception:  # whatever is wrong, the command itself will say it; a shell must stay quiet
            return []
        items = [one if isinstance(one, CompletionItem) else CompletionItem(one) for one in found]
        return [one for one in items if one.type != "plain" or str(one.value).startswith(incomplete)]

    setattr(param, "shell_complete", shell_complete)  # noqa: B010 - a method of click's own


def _files(context: click.Context, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    return [CompletionItem(incomplete, type="file")]


def _axes(context: click.Context, incomplete: str) -> list[str]:
    """Axes; behind "+" a second one, behind "column:" the columns of the data."""
    from ..data.lexicon import builtin_names

    done, plus, last = incomplete.rpartition("+")
    names = [*dict.fromkeys(("pronouns", "identity", *builtin_names())), "column:", "lexicon:"]
    if last.startswith("column:"):
        names = [f"column:{name}" for name in _columns(context, "")]
    return [f"{done}{plus}{name}" for name in names if name not in done.split("+")]


def _columns(context: click.Context, incomplete: str) -> list[str]:  # noqa: ARG001
    """Columns of the data that the line names, or else the config."""
    from ..data.readers import open_source

    # An option that waits for its value keeps click from handing the arguments out.
    given = context.params.get("data") or [word for word in context.args if not word.startswith("--")]
    train = None if given else _config(context).data.train
    source = given[0] if given else train
    if source is None or source == "-":
        return []
    return list(open_source(source, encoding="utf-8", spool=None).source.names)


def _labels(context: click.Context, incomplete: str) -> list[str]:
    return [*_columns(context, incomplete), "axis:"]


def _presets(context: click.Context, incomplete: str) -> list[str]:  # noqa: ARG001
    from ..data.presets import PRESETS

    return list(PRESETS)


def _formats(context: click.Context, incomplete: str) -> list[str]:  # noqa: ARG001
    from ..data.conversations import FORMATS

    return list(FORMATS)


def _measures(context: click.Context, incomplete: str) -> list[str]:  # noqa: ARG001
    """Sections and measures, several with commas."""
    from ..audit.measures import MEASURES
    from ..audit.sections import SECTIONS

    return _listed(incomplete, ["all", *SECTIONS, *MEASURES])


def _listed(incomplete: str, names: Sequence[str]) -> list[str]:
    done, comma, _ = incomplete.rpartition(",")
    return [f"{done}{comma}{name}" for name in names if name not in done.split(",")]


def _config(context: click.Context) -> Any:
    from ..data import config

    path = context.params.get("config_path")
    return config.load(path if path is not None else Path("evenset.toml"))


def _plans(context: click.Context, incomplete: str) -> list[str]:  # noqa: ARG001
    """Plans of the config that the line names, or of evenset.toml here."""
    return list(_config(context).plan)


def _steps(context: click.Context, incomplete: str) -> list[str]:
    """A step, then its axis."""
    step, colon, axis = incomplete.partition(":")
    if not colon:
        return [f"{name}:" for name in STEPS]
    return [f"{step}:{name}" for name in _axes(context, axis)]


def _allowed(context: click.Context, incomplete: str) -> list[str]:  # noqa: ARG001
    return _listed(incomplete, STEPS)


def _engines(context: click.Context, incomplete: str) -> list[str]:  # noqa: ARG001
    return ["local", "dask", "dask:"]


_FILES = frozenset({"data", "scores", "curated", "model", "name"})
_OFFERS: dict[str, Offer] = {
    "axes": _axes,
    "axis": _axes,
    "preset": _presets,
    "form": _formats,
    "measures": _measures,
    "plan_name": _plans,
    "steps": _steps,
    "allow": _allowed,
    "engine": _engines,
    "text": _columns,
    "label": _labels,
    "weight": _columns,
    "id_column": _columns,
    "cluster": _columns,
    "vectors": _files,
    "pool": _files,
    "original": _files,
}
