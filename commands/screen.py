"""What a command says: results on stdout, everything else on stderr, as plain characters."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from ..data.showing import spelt

if TYPE_CHECKING:
    from rich.console import Console


def stdout() -> Console:
    """The console of results."""
    return console_of(stderr=False)


def stderr() -> Console:
    """The console of everything else."""
    return console_of(stderr=True)


def console_of(*, stderr: bool) -> Console:
    """A terminal that shows names from the data as they are: no markup, no emoji codes, no control characters."""
    from rich.console import Console as Plain
    from rich.text import Text

    class Console(Plain):
        def render(self, renderable: Any, options: Any = None) -> Any:
            if isinstance(renderable, Text) and (shown := printable(renderable.plain)) != renderable.plain:
                renderable = Text(shown, renderable.style, overflow=renderable.overflow, no_wrap=renderable.no_wrap)
            return super().render(renderable, options)

        def on_broken_pipe(self) -> None:
            hush()

    # A pipe has no width of its own: 80 columns unless COLUMNS says otherwise.
    return Console(stderr=stderr, highlight=False, soft_wrap=False, markup=False, emoji=False)


def printable(text: str) -> str:
    """Text with the characters that would steer a terminal, line breaks apart, spelt out."""
    return spelt(text, keep="\n")


def hush() -> None:
    """Whoever read our output went away (for example `| head`): not our failure. The exit code stays what it is."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def answer(result: Any, screen: Callable[[], Any], note: str, *, quiet: bool, as_json: bool) -> None:
    """Print a result: as JSON alone, or as a person reads it with a note on what to do next."""
    if as_json:
        print_json(result.to_dict())
        return
    stdout().print(screen())
    say(note, quiet=quiet)


def say(message: str, *, quiet: bool) -> None:
    """One line on stderr, unless the user wants quiet."""
    if not quiet:
        click.echo(printable(message), err=True)


def print_json(value: object) -> None:
    """A result as JSON on stdout, in ASCII where the terminal knows no more."""
    from ..data.files import json_text

    text = json_text(value)
    if not _fits(text):
        text = json.dumps(json.loads(text), indent=1)
    try:
        click.echo(text)
    except BrokenPipeError:
        hush()


def _fits(text: str) -> bool:
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


@contextlib.contextmanager
def progress_shown(*, quiet: bool) -> Iterator[Callable[[str, int, int | None], None] | None]:
    """Yield a callback (what, done, total): a bar on stderr, in a pipe a line now and then; None where all is quiet."""
    if quiet:
        yield None
        return
    console = stderr()
    if not console.is_terminal:
        from ..data.display import Lines

        yield Lines(lambda text: say(text, quiet=False))
        return
    from ..data.display import Bars

    with Bars(console) as bars:
        yield bars
