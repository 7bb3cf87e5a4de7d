"""What to do when memory runs out: give up what can be done without, and try again."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import TypeVar

from ..data.errors import InputError

T = TypeVar("T")


def short(error: BaseException | None) -> bool:
    """Whether an error is a lack of memory, of the device or the machine, or came of one.

    Examples
    --------
    >>> short(MemoryError()), short(ValueError("no"))
    (True, False)
    """
    torch = sys.modules.get("torch")
    while error is not None:
        if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.cuda.OutOfMemoryError)):
            return True
        if isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def trying(call: Callable[[], T], relieve: Callable[[], bool], advice: str) -> T:
    """Call; where memory runs out, relieve it and call again.

    Parameters
    ----------
    call : callable
        Starts from scratch each time.
    relieve : callable
        Makes the next call need less; False where it cannot.
    advice : str
        What the user can do then.

    Raises
    ------
    InputError
        There is too little memory, and nothing left to relieve.

    Examples
    --------
    >>> size = [8]
    >>> def call():
    ...     if size[0] > 2:
    ...         raise MemoryError
    ...     return size[0]
    >>> def relieve():
    ...     size[0] //= 2
    ...     return size[0] > 0
    >>> trying(call, relieve, "buy some")
    2
    """
    while True:
        try:
            return call()
        except Exception as error:
            if isinstance(error, InputError) or not short(error):
                raise
        # Behind the handler: the error's frames held the memory.
        if not relieve():
            raise InputError(f"memory ran out; {advice}")
        freed()


def freed() -> None:
    """Give memory back that nothing uses any more."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
