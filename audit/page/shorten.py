"""Names from the data where there is no room for them: cut in the head of a page, whole in its tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

from ...data.showing import clipped
from .document import Matter, Tile

MOST = 60
_COMMAND = 700
_WORD = re.compile(rf"\S{{{MOST + 1},}}")


def shortener(names: Iterable[object]) -> Callable[[str], str]:
    """What cuts these names, and every word as long, wherever they stand in a text.

    Examples
    --------
    >>> cut = shortener(["an " + "endlessly " * 8 + "long name", "nurse"])
    >>> cut("fail: an " + "endlessly " * 8 + "long name, nurse"), len(cut("x" * 3000))
    ('fail: an endlessly endlessly endlessly endlessly endlessly endles…, nurse', 60)
    """
    # The longest first: a name may hold another.
    long = sorted({str(name) for name in names if len(str(name)) > MOST}, key=lambda name: (-len(name), name))
    known = re.compile("|".join(map(re.escape, long))) if long else None

    def cut(text: str) -> str:
        text = text if known is None else known.sub(lambda found: clipped(found.group(), MOST), text)
        return _WORD.sub(lambda found: clipped(found.group(), MOST), text)

    return cut


def shortened(
    tiles: Iterable[Tile], matters: Iterable[Matter], cut: Callable[[str], str], below: str
) -> tuple[list[Tile], list[Matter]]:
    """Tiles and matters with names cut; a command is whole or, where it is too long, only in the part named `below`."""
    return (
        [replace(one, label=cut(one.label), note=cut(one.note)) for one in tiles],
        [
            replace(
                one,
                title=cut(one.title),
                what=cut(one.what),
                todo=cut(one.todo) + (f" The command is under {below}." if len(one.command) > _COMMAND else ""),
                command=one.command if len(one.command) <= _COMMAND else "",
            )
            for one in matters
        ],
    )
