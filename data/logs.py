"""Logs of libraries that advise on what nobody here has chosen."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hushed(library: str, level: int) -> Iterator[None]:
    """Let a library's log say nothing under `level`; afterwards it says what it said before.

    Examples
    --------
    >>> with hushed("somebody", logging.ERROR):
    ...     logging.getLogger("somebody").level == logging.ERROR
    True
    >>> logging.getLogger("somebody").level == logging.NOTSET
    True
    """
    logger = logging.getLogger(library)
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
