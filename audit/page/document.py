"""The page around a report: its first screen, its sections, and a policy that lets nothing in from outside."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from .html import Html, join, tag
from .plot.style import CSS

STATUSES = {"fail": "✕", "warn": "▲", "unclear": "?", "pass": "✓"}
"""Each status with its sign, which says the same as its colour."""

_SCRIPT = "script.js"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One score of the first screen.

    Attributes
    ----------
    label, value : str
    interval : str
        Such as "0.25 to 0.30"; empty where there is none.
    note : str
        What it means in a few words.
    status : str or None
        A key of `STATUSES`.
    """

    label: str
    value: str
    interval: str = ""
    note: str = ""
    status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """One of the findings that matter most.

    Attributes
    ----------
    title : str
        The finding in a sentence.
    what : str
        What there is to know besides; may be empty.
    todo : str
        What to do about it, and what it would cost.
    command : str
        That as a command; may be empty.
    status : str or None
    """

    title: str
    what: str = ""
    todo: str = ""
    command: str = ""
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page.

    Attributes
    ----------
    anchor : str
        Of the link to it; letters, digits and hyphens.
    title : str
    body : Html
    lead : str
        The part in a sentence, first.
    """

    anchor: str
    title: str
    body: Html
    lead: str = ""


def document(
    *,
    title: str,
    kind: str,
    status: str | None,
    conclusion: str,
    tiles: Sequence[Tile],
    matters: Sequence[Matter],
    sections: Sequence[Section],
    footer: Html | str = "",
    matters_title: str = "What matters most, and what to do",
) -> str:
    """The whole file.

    Parameters
    ----------
    title : str
        Of the window.
    kind : str
        What is reported on, in a line above the conclusion.
    status : str or None
        Of the whole: a key of `STATUSES`.
    conclusion : str
        One sentence.
    tiles : sequence of Tile
        The scores with their intervals.
    matters : sequence of Matter
        Those findings that matter most, the worst first; usually three.
    sections : sequence of Section
        In the order of the page.
    footer : Html or str
        What is the same of every such report.
    matters_title : str
        The heading above the matters.

    Returns
    -------
    str
        HTML that needs no other file and no network; a policy in it forbids every script and style but its own, by
        their hashes, and everything else. So no element may have a ``style`` attribute: use classes, and in SVG
        attributes such as ``fill="var(--accent)"``.

    Examples
    --------
    >>> page = document(title="x", kind="audit", status="pass", conclusion="<ok>", tiles=[], matters=[], sections=[])
    >>> "&lt;ok&gt;" in page, "<ok>" in page
    (True, False)
    """
    style, script = _style(), _read(_SCRIPT)
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; base-uri 'none'; "
        "form-action 'none'"
    )
    head = (
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("style", Html(style)),
    )
    body = (
        tag("a", "Skip to the findings", href="#main", class_="skip"),
        _top(kind, status, conclusion, tiles, matters, matters_title),
        tag("div", _contents(sections), tag("main", *map(_section, sections), id="main"), class_="sheet"),
        tag("footer", footer) if footer else None,
        tag("script", Html(script)),
    )
    page = tag("html", "\n", tag("head", *head), "\n", tag("body", *body), "\n", lang="en")
    return "<!doctype html>\n" + page + "\n"


def status_mark(status: str | None) -> Html:
    """A status as a sign and a word; a dash where nothing is judged.

    Examples
    --------
    >>> print(status_mark("fail"))
    <span class="status fail"><span aria-hidden="true">✕ </span>fail</span>
    """
    if status is None:
        return tag("span", "not judged", class_="muted")
    return tag("span", tag("span", STATUSES[status] + " ", aria_hidden="true"), status, class_=f"status {status}")


def figure(svg: Html, caption: Html | str, data: Html | None = None) -> Html:
    """A chart with what it shows in words, and where it is given the same as a table to open."""
    more = None if data is None else tag("details", tag("summary", "The same as a table"), data)
    return tag("figure", svg, tag("figcaption", caption), more)


def command(text: str) -> Html:
    """A command to copy: one click takes all of it, and no flag is broken in two.

    Examples
    --------
    >>> print(command("evenset --help"))
    <pre class="command"><span>evenset</span> <span>--help</span></pre>
    """
    return tag("pre", join([tag("span", word) for word in text.split(" ")], " "), class_="command")


def computed(*paragraphs: Html | str, title: str = "How this was computed") -> Html:
    """Methods in place: how the figures beside it came about, their source and their limits."""
    return tag("aside", tag("p", tag("strong", title)), *(tag("p", one) for one in paragraphs), class_="computed")


def beside(body: object, note: Html) -> Html:
    """A body with its methods: next to it where the page is wide, below it where it is not."""
    return tag("div", tag("div", body), note, class_="beside")


def _top(
    kind: str,
    status: str | None,
    conclusion: str,
    tiles: Sequence[Tile],
    matters: Sequence[Matter],
    matters_title: str,
) -> Html:
    mark = None if status is None else status_mark(status)
    parts: list[Html] = [tag("p", kind, class_="kind"), tag("h1", mark, " " if mark else None, conclusion)]
    if tiles:
        parts.append(tag("ul", *map(_tile, tiles), class_="tiles"))
    if matters:
        listed = tag("ol", *map(_matter, matters))
        parts.append(tag("div", tag("h2", matters_title), listed, class_="matters"))
    return tag("header", *parts, class_="top")


def _tile(tile: Tile) -> Html:
    said = [part for part in (status_mark(tile.status) if tile.status else None, tile.note) if part]
    return tag(
        "li",
        tag("span", tile.label, class_="label"),
        tag("span", tile.value, class_="value"),
        tag("span", " ", tile.interval, class_="interval") if tile.interval else None,
        tag("span", join(said, " · "), class_="note") if said else None,
        class_=tile.status,
    )  # fmt: skip


def _matter(matter: Matter) -> Html:
    return tag(
        "li",
        tag("h3", status_mark(matter.status) if matter.status else None, " " if matter.status else None, matter.title),
        tag("p", matter.what) if matter.what else None,
        tag("p", tag("strong", "Do: "), matter.todo) if matter.todo else None,
        command(matter.command) if matter.command else None,
    )


def _contents(sections: Sequence[Section]) -> Html:
    links = (tag("li", tag("a", section.title, href=f"#{section.anchor}")) for section in sections)
    return tag(
        "nav", tag("h2", "Contents", id="contents"), tag("ul", *links), class_="contents", aria_labelledby="contents"
    )


def _section(section: Section) -> Html:
    name = f"{section.anchor}-title"
    return tag(
        "section",
        tag("h2", section.title, id=name),
        tag("p", section.lead, class_="lead") if section.lead else None,
        section.body,
        id=section.anchor,
        class_="part",
        aria_labelledby=name,
    )


@functools.cache
def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8").strip()


@functools.cache
def _style() -> str:
    return _read("style.css") + CSS


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
