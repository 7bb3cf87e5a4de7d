"""The command line: parse, call one function, print. No logic lives here.

Exit codes: 0 done or passed, 1 a check or a verdict failed, 2 the input or the usage is wrong, 3 unclear (too little
evidence), 4 a defect in evenset, 130 stopped by Ctrl-C, 143 by SIGTERM.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

import click

from . import __version__
from .commands.audit import audit, measures
from .commands.card import card
from .commands.check import check
from .commands.completion import completion, equip
from .commands.curate import curate, explain, restore
from .commands.demo import demo, sample
from .commands.finetune import finetune, run
from .commands.folder import NothingKept
from .commands.help import Group
from .commands.lexicon import lexicon
from .commands.screen import hush, printable
from .commands.stopping import STOPPED, Ended, leave, listen
from .commands.verdict import attribute, upstream, verify

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(
    cls=Group,
    context_settings=CONTEXT,
    epilog="Exit codes: 0 done or passed, 1 a check or a verdict failed, 2 the input or the usage is wrong, 3 too "
    "little evidence, 4 a defect in evenset, 130 and 143 stopped from outside.",
)
@click.version_option(__version__, prog_name="evenset")
def cli() -> None:
    """Will your fine-tuning data teach a model a social bias? Audit it, change it, and prove that the gap shrank.

    \b
    evenset demo                         # the whole loop on a built-in sample
    evenset audit comments.csv           # score your own data
    evenset check comments.csv --init    # write evenset.toml from today's data
    evenset check --config evenset.toml  # fail CI when the bias grows
    evenset run --config evenset.toml    # audit, curate, train, verdict
    """


for command in (
    audit, curate, explain, restore, finetune, run, verify, attribute, upstream, check, card, demo, sample,
    lexicon, measures, completion,
):  # fmt: skip
    cli.add_command(command)
equip(cli)


def main() -> None:
    """Entry point of the `evenset` command: turns results and errors into exit codes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a character gets it spelt out; a file name may hold bytes that are no text at all.
            stream.reconfigure(errors="backslashreplace")
    listen()
    code = invoke(None)
    if code in STOPPED:
        leave(code)
    sys.exit(code)


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
        click.echo(f"error: {printable(error.format_message())} See `{command} --help`.", err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        chain = _causes(error)
        return _stopped(
            kept=not any(isinstance(one, NothingKept) for one in chain),
            code=143 if any(isinstance(one, Ended) for one in chain) else 130,
        )
    except MemoryError:
        click.echo(
            "error: the memory of this machine does not suffice. What was finished is kept; the same command goes on "
            "from there once there is more, or with less data or fewer workers",
            err=True,
        )
        return EXIT_INPUT
    except EvensetError as error:
        click.echo(f"error: {printable(str(error))}", err=True)
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
            f"defect: {type(error).__name__}: {printable(str(error))}\nThis is a fault of evenset {__version__}, not "
            "of your data. Please report it with the output of the same command under EVENSET_DEBUG=1.",
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
        hush()


if __name__ == "__main__":
    main()
