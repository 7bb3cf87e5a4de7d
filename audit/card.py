"""The part of a dataset card (README.md) that says what an audit found, between two marks; the rest is not touched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import __version__
from ..data.errors import InputError
from ..data.files import write_bytes
from ..data.showing import hidden
from .card_words import Told

BEGIN = "<!-- evenset:begin (this part is written by `evenset card`) -->"
END = "<!-- evenset:end -->"
_MARKS = (b"<!-- evenset:begin", b"<!-- evenset:end")
_MOST = 40
_MOST_WORDS = 12

# Characters that mean something in Markdown, in HTML inside it, to linkers or to those that draw formulas.
_SPECIAL = frozenset("&<>|*`[]\\~#@!$^{}")
# These mean nothing between letters, or before a blank, and are common in names of measures and in sentences.
_SOMETIMES = re.compile(r"(?<!\w)_|_(?!\w)|:(?!\s|$)|(?<=www)\.", re.ASCII)


def md(value: object) -> str:
    r"""Text that Markdown shows as it is: what would be markup becomes an entity, control characters are spelt out.

    Examples
    --------
    >>> md("a|b <script> [x](y) `code`")
    'a&#124;b &#60;script&#62; &#91;x&#93;(y) &#96;code&#96;'
    >>> md("two\nlines www.x.org")
    'two lines www&#46;x.org'
    """
    text = " ".join(str(value).split())
    return _SOMETIMES.sub(lambda hit: f"&#{ord(hit[0])};", "".join(_shown(char) for char in text))


def _shown(char: str) -> str:
    code = ord(char)
    if char in _SPECIAL:
        return f"&#{code};"
    return f"(U+{code:04X})" if hidden(char) else char


def section(audit: Mapping[str, Any], curation: Mapping[str, Any] | None = None) -> str:
    """The part of a card, marks included, lines ended by a line feed.

    Parameters
    ----------
    audit : mapping
        Contents of audit.json (`AuditReport.to_dict`, `card_words.read_audit`).
    curation : mapping, optional
        Contents of curation.json, of a curation that began or ended with these data.

    Returns
    -------
    str
        The same for the same input: no date, no path but the names of the data files, no row of the data.

    Raises
    ------
    InputError
        When the curation is of other data.

    Examples
    --------
    >>> from evenset import audit, data
    >>> rows = [{"text": f"{who} ran.", "label": label} for who in ("She", "He") for label in (0, 1)] * 20
    >>> text = section(audit.run(data.open(rows), axes=["pronouns"], measures=["counts", "association"]).to_dict())
    >>> text.splitlines()[2]
    '## Social bias'
    """
    told = Told(audit, curation)
    columns = audit["dataset"].get("columns") or {}
    counts = told.counts()
    lines = [BEGIN, "", "## Social bias", "", md(told.conclusion()), ""]
    lines += ["| axis | how much labels depend on it (Cramér's V, 95 % interval) |", "|---|---|"]
    lines += [f"| {md(axis)} | {md(told.score(axis))} |" for axis in audit["scores"]]
    lines += ["", "### What was measured", ""]
    digest = audit["dataset"].get("sha256")
    lines += [
        f"- {told.rows:,} rows of {md(told.name)}" + (f" (SHA-256 {md(digest)})" if digest else ""),
        f"- text: {md(columns.get('text'))}; label: {md(columns.get('label') or 'none')}"
        + (f", positive: {md(columns['positive'])}" if columns.get("positive") else ""),
        f"- word lists: {md(', '.join(told.lexicons()) or 'none')}",
        f"- findings: {counts['fail']} fail, {counts['warn']} warn, {counts['unclear']} unclear, {counts['pass']} pass",
        f"- limits: {md(_limits(audit))}",
        f"- measured with evenset; this part was written by evenset {__version__}",
        "",
        "### Findings beyond the limits",
        "",
        *_beyond(told),
        "",
    ]
    words = told.proxies()
    if words:
        lines += ["### Words that give a group away", "", "| axis | group | words |", "|---|---|---|"]
        for (axis, group), found in words.items():
            more = f" and {len(found) - _MOST_WORDS} more" if len(found) > _MOST_WORDS else ""
            lines.append(f"| {md(axis)} | {md(group)} | {md(', '.join(found[:_MOST_WORDS]))}{more} |")
        lines.append("")
    if told.curation is not None:
        lines += ["### Curation", "", *(f"- {md(said)}" for said in told.done()), ""]
    lines += ["### What this cannot tell", "", *(f"- {md(said)}" for said in told.limits()), "", END]
    return "\n".join(lines) + "\n"


def _limits(audit: Mapping[str, Any]) -> str:
    said = []
    for rule in audit.get("rules") or []:
        where = " ".join(str(rule[name]) for name in ("axis", "group", "label") if rule.get(name))
        levels = ", ".join(f"{name} {rule[name]:g}" for name in ("warn", "fail") if rule.get(name) is not None)
        said.append(f"{rule['measure']}{f' of {where}' if where else ''} {levels}")
    return "; ".join(said) or "none"


def _beyond(told: Told) -> list[str]:
    beyond = told.beyond()
    if not beyond:
        return ["None."]
    speaker = told.speaker
    lines = ["| status | finding (95 % interval; rows) | measure |", "|---|---|---|"]
    lines += [f"| {one.status} | {md(speaker.sentence(one))} | {md(one.measure)} |" for one in beyond[:_MOST]]
    if len(beyond) > _MOST:
        lines += ["", f"{len(beyond) - _MOST} more are in audit.json."]
    return lines


def updated(card: bytes, part: str) -> bytes:
    r"""A card with its part replaced, or put at its end; everything else stays byte for byte.

    Parameters
    ----------
    card : bytes
        What README.md holds; may be empty.
    part : str
        What `section` gives.

    Raises
    ------
    InputError
        When the card is no UTF-8, or its marks do not come as one pair.

    Examples
    --------
    >>> part = BEGIN + "\nnew\n" + END + "\n"
    >>> first = updated(b"---\nlicense: mit\n---\n", part)
    >>> first.splitlines()[2:5], updated(first, part) == first
    ([b'---', b'', b'<!-- evenset:begin (this part is written by `evenset card`) -->'], True)
    """
    try:
        card.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError("the card is not UTF-8; save it as UTF-8 and try again") from None
    new = part.encode("utf-8", "backslashreplace")
    if card.count(b"\r\n") * 2 > card.count(b"\n"):
        new = new.replace(b"\n", b"\r\n")
    begin, end = (_places(card, mark) for mark in _MARKS)
    if not begin and not end:
        line = b"\r\n" if b"\r\n" in new else b"\n"
        gap = b"" if not card else line if card.endswith(b"\n") else line * 2
        return card + gap + new
    if len(begin) != 1 or len(end) != 1 or begin[0] > end[0]:
        raise InputError(
            f'the card has {len(begin)} marks "<!-- evenset:begin" and {len(end)} "<!-- evenset:end", and needs one of '
            "each, in this order; remove what is too much and try again"
        )
    close = card.find(b"-->", end[0])
    if close < 0:
        raise InputError('the mark "<!-- evenset:end" of the card has no "-->"; mend it and try again')
    return card[: begin[0]] + new.rstrip(b"\r\n") + card[close + 3 :]


def _places(card: bytes, mark: bytes) -> list[int]:
    found, at = [], card.find(mark)
    while at >= 0:
        found.append(at)
        at = card.find(mark, at + 1)
    return found


def write_card(path: str | Path, audit: Mapping[str, Any], curation: Mapping[str, Any] | None = None) -> Path:
    """Write or update the part in a README.md (given the file or its folder); returns the file.

    Raises
    ------
    InputError
        See `section` and `updated`; and where the file cannot be read.
    """
    place = Path(path) / "README.md" if Path(path).is_dir() else Path(path)
    try:
        card = place.read_bytes() if place.exists() else b""
    except OSError as error:
        raise InputError(f'"{place}" cannot be read: {(error.strerror or str(error)).lower()}') from None
    try:
        write_bytes(place, updated(card, section(audit, curation)))
    except InputError as error:
        raise InputError(f'"{place}": {error}') from None
    return place
