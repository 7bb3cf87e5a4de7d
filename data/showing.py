"""Text that anyone may have written, shown as characters that neither steer a terminal nor turn the direction."""

from __future__ import annotations

TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of writing, and so make a line read as what it is not."""

_LONG = 300


def hidden(char: str) -> bool:
    """Whether a character is a control character, turns the direction of writing or is none at all."""
    code = ord(char)
    return code < 0x20 or 0x7F <= code < 0xA0 or char in TURNING or 0xD800 <= code < 0xE000 or code in (0xFFFE, 0xFFFF)


def spelt(text: str, *, keep: str = "") -> str:
    r"""Text with hidden characters as escapes; those of `keep` stay.

    Examples
    --------
    >>> print(spelt("a\x1b[31m\nb\u202e"))
    a\x1b[31m\x0ab\u202e
    """
    if text.isprintable():
        return text
    return "".join(char if char in keep or not hidden(char) else _escape(ord(char)) for char in text)


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def clipped(name: object, most: int = _LONG) -> str:
    """A name from the data, cut where it is too long for a line.

    Examples
    --------
    >>> clipped("nurse"), clipped("a" * 100, 5)
    ('nurse', 'aaaa…')
    """
    text = str(name)
    return text if len(text) <= most else text[: most - 1] + "…"
