"""Ctrl-C and SIGTERM end a command in one orderly way, and never in the middle of an import.

An exception that is raised inside an import may be swallowed by the module that is imported, or leave it half made for
whoever imports it next: the command then goes on, or fails for no reason that anyone could see.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

STOPPED = (130, 143)

_AGAIN = 0.05  # seconds until a signal that came during an import is looked at once more
_pending: list[int] = []


class Ended(KeyboardInterrupt):
    """Stopped by SIGTERM, as batch systems do: in the same orderly way as by Ctrl-C."""


def listen() -> None:
    """Let SIGINT and SIGTERM raise KeyboardInterrupt and `Ended` as soon as no import is under way."""
    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, _stop)
        signal.signal(signal.SIGTERM, _stop)
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, _look_again)


def _stop(number: int, frame: FrameType | None) -> None:
    if importing(frame) and hasattr(signal, "setitimer"):
        _pending.append(number)
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)
        return
    _pending.clear()
    if number == signal.SIGTERM:
        raise Ended
    raise KeyboardInterrupt


def _look_again(_: int, frame: FrameType | None) -> None:
    if _pending:
        _stop(_pending.pop(), frame)


def leave(code: int) -> NoReturn:
    """End the process after a stop: in good order, but without waiting for the threads of a reader that was stopped.

    Arrow's threads may still hold a piece of Python; where the interpreter is taken down under them it aborts.
    """
    atexit._run_exitfuncs()  # removes temporary folders
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


def importing(frame: FrameType | None) -> bool:
    """Whether a frame, or one that called it, belongs to an import.

    Examples
    --------
    >>> import sys
    >>> importing(sys._getframe())
    False
    """
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
