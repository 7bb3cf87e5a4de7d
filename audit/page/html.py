"""Markup that cannot be broken by what stands in it: every string is escaped unless it is markup already."""

from __future__ import annotations

import html
import re

from ...data.showing import spelt

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9:_-]*")
_VOID = frozenset({"br", "col", "hr", "img", "input", "link", "meta", "wbr"})


class Html(str):
    """Text that is markup; only `tag`, `esc` and `join` make it, so nothing from the data gets in unescaped."""

    __slots__ = ()

    def __add__(self, other: str) -> Html:
        return Html(str(self) + str(esc(other)))


def esc(value: object) -> Html:
    """Escape a value; control characters and those that turn the direction of writing are spelt out.

    Examples
    --------
    >>> print(esc("<script>alert('x')</script>"))
    &lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;
    >>> print(esc(Html("<b>bold</b>")))
    <b>bold</b>
    """
    if isinstance(value, Html):
        return value
    return Html(html.escape(spelt(str(value), keep="\n\t"), quote=True))


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """One element.

    Parameters
    ----------
    name : str
        Of the element.
    *children : object
        Escaped, unless they are `Html`; None is left out.
    **attributes : object
        ``class_`` and ``for_`` lose their underscore, other underscores become hyphens; True gives a bare attribute,
        None and False leave it out.

    Examples
    --------
    >>> print(tag("a", "x < y", href="#top", class_="quiet", aria_label="up"))
    <a href="#top" class="quiet" aria-label="up">x &lt; y</a>
    >>> print(tag("input", type="search", disabled=True))
    <input type="search" disabled>
    """
    given = "".join(
        f" {_attribute(key)}" if value is True else f' {_attribute(key)}="{esc(value)}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{join(children)}</{name}>")


def join(parts: object, between: str = "") -> Html:
    """Several pieces as one; strings are escaped, None is left out.

    Examples
    --------
    >>> print(join(["a & b", tag("b", "c")], " "))
    a &amp; b <b>c</b>
    """
    pieces = parts if isinstance(parts, (list, tuple)) else [parts]
    return Html(str(esc(between)).join(str(esc(piece)) for piece in pieces if piece is not None))


def _attribute(key: str) -> str:
    name = key.rstrip("_").replace("_", "-")
    if not _NAME.fullmatch(name):
        raise ValueError(f"no attribute can be called {key!r}")
    return name
