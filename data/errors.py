"""The two errors evenset raises on purpose, and the helpers that make their messages useful."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class EvensetError(Exception):
    """Base of every error that evenset raises knowingly; by itself it means a defect in evenset.

    The command line turns it into one message and ``exit_code``, never a traceback.
    """

    exit_code = 4


class InputError(EvensetError):
    """The input or the usage is wrong: the message names the file, row or key and says what to do."""

    exit_code = 2


def suggest(word: str, choices: Iterable[str]) -> str:
    """Say which of the choices was probably meant.

    Parameters
    ----------
    word : str
        What the user wrote.
    choices : iterable of str
        What could have been written.

    Returns
    -------
    str
        A sentence with a leading blank, or an empty string where nothing is near.

    Examples
    --------
    >>> suggest("txet", ["text", "label"])
    ' Did you mean "text"?'
    >>> suggest("zzz", ["text", "label"])
    ''
    """
    folded = {choice.casefold(): choice for choice in choices}
    near = difflib.get_close_matches(word.casefold(), list(folded), n=1, cutoff=0.55)
    return f' Did you mean "{folded[near[0]]}"?' if near else ""


def require(module: str, *, extra: str, why: str) -> ModuleType:
    """Import an optional module, or say which extra brings it.

    Parameters
    ----------
    module : str
        Dotted name of the module.
    extra : str
        Name of evenset's extra that installs it.
    why : str
        What needs it, the beginning of the message: "drawing word vectors".

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    InputError
        When it cannot be imported.

    Examples
    --------
    >>> require("json", extra="dev", why="writing json").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f'{why} needs the package "{module.partition(".")[0]}", which cannot be imported ({error}). '
            f'Install it with: pip install "evenset[{extra}]"'
        ) from error
