"""How wide words are, without a font to ask: enough to keep labels apart and inside the frame."""

from __future__ import annotations

import textwrap
import unicodedata

from ..html import esc

SIZE = 12.0
_NARROW, _BROAD = frozenset("fijlrtI.,:;'|!()[]{} -"), frozenset("mwMW%@—")


def words_width(text: object, size: float = SIZE) -> float:
    """Width of a line in pixels, a little more rather than less.

    Examples
    --------
    >>> words_width("ill") < words_width("mow") < words_width("漢字漢")
    True
    """
    total = 0.0
    for char in str(text):
        if unicodedata.combining(char):
            continue
        if unicodedata.east_asian_width(char) in "WF":
            total += 1.05
        elif char in _NARROW:
            total += 0.36
        elif char in _BROAD:
            total += 0.92
        else:
            total += 0.68 if char.isupper() else 0.58
    return total * size


def line(text: object) -> str:
    r"""A name from the data as one line, what cannot be printed left as a dot.

    Examples
    --------
    >>> line("a\nb\x00c")
    'a·b·c'
    """
    return "".join(char if char.isprintable() else "·" for char in str(text))


def fitted(text: object, width: float, size: float = SIZE) -> str:
    """A name cut in the middle until it fits; the whole name belongs in a tooltip and a table.

    Examples
    --------
    >>> fitted("short", 100), fitted("a-very-long-name-of-an-arm", 90)
    ('short', 'a-very…-an-arm')
    """
    whole = line(text)
    if words_width(whole, size) <= width:
        return whole
    keep = len(whole) - 1
    while keep > 2:
        first = keep // 2
        cut = f"{whole[:first]}…{whole[len(whole) - (keep - first) :]}"
        if words_width(cut, size) <= width:
            return cut
        keep -= 1
    return "…"


def folded(text: object, width: float, size: float = SIZE) -> list[str]:
    """Text in lines of at most `width` pixels."""
    return textwrap.wrap(line(text), max(8, int(width / (0.55 * size))), break_on_hyphens=False) or [""]


def same(text: object, shown: str) -> bool:
    """Whether a name is shown whole."""
    return str(esc(text)) == str(esc(shown))
