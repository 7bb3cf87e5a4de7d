"""What the data docs say of an expectation and its result, in plain words that no name can turn into markup."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..gate.words import amount, subject

if TYPE_CHECKING:
    from ...data.config import CheckRule
    from ..check import Case

_SHOWN = 8
# Great Expectations puts a description through a template ($), the page is HTML, and others show it as Markdown.
# Character references mean the same sign in all three and are markup in none.
_SIGNS = {ord(sign): f"&#{ord(sign)};" for sign in "$*`[]|\\#~"}


def plain(text: str) -> str:
    """Text that came from the data or a config, as HTML and Markdown that show it and nothing else.

    Examples
    --------
    >>> plain('<script> $axis *x*')
    '&lt;script&gt; &#36;axis &#42;x&#42;'
    """
    shown = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
    # `#` belongs to the references themselves, so one pass does all.
    escaped = {ord(sign): html.escape(sign, quote=True) for sign in "&<>\"'"}
    return shown.translate(_SIGNS | escaped)


def describe(rule: CheckRule, *, allow_unclear: bool) -> str:
    """An expectation in a sentence.

    Examples
    --------
    >>> from evenset.data.config import CheckRule
    >>> describe(CheckRule(measure="label_log_ratio", axis="identity", warn=0.2, fail=0.5), allow_unclear=False)
    'label_log_ratio (axis <b>identity</b>): fails when its whole interval is at or beyond ±0.5, warns at or beyond \
±0.2; an interval across a limit is unclear, which is no success'
    """
    narrowed = [
        f"{word} <b>{plain(value)}</b>" if value else f"no {word}"
        for word, value in (("axis", rule.axis), ("group", rule.group), ("label", rule.label))
        if value is not None
    ]
    about = f" ({', '.join(narrowed)})" if narrowed else ""
    limits = []
    for verb, beyond, below in (("fails", "fail", "fail_below"), ("warns", "warn", "warn_below")):
        value, least = getattr(rule, beyond, None), getattr(rule, below, None)
        ends = [] if value is None else [f"at or beyond ±{abs(value):g}"]
        ends += [] if least is None else [f"at or below {least:g}"]
        if ends:
            limits.append(f"{verb} {'when its whole interval is ' if not limits else ''}{' or '.join(ends)}")
    unclear = "which is allowed here" if allow_unclear else "which is no success"
    return (
        f"{plain_measure(rule.measure)}{about}: {', '.join(limits)}; an interval across a limit is unclear, {unclear}"
    )


def plain_measure(name: str) -> str:
    """The name of a measure: letters and single underscores, which mean nothing inside a word."""
    return name if name.replace("_", "").isalnum() else plain(name)


def observed(result: Mapping[str, Any]) -> str:
    """What was found, the worst first, as markup.

    Examples
    --------
    >>> observed({"findings": ["fail: cramers_v (<i>)"]})
    '<b>fail</b>: cramers_v (&lt;i&gt;)'
    """
    found = result.get("findings") or []
    lines = []
    for line in found[:_SHOWN]:
        status, _, rest = str(line).partition(": ")
        lines.append(f"<b>{plain(status)}</b>: {plain(rest)}")
    left = sum((result.get("counts") or {}).values()) - len(lines)
    return "<br>".join([*lines, f"and {left} more"] if left > 0 else lines)


def said(case: Case) -> str:
    """One case in words, the limits left out: they stand beside it."""
    if case.finding is None:
        return case.message
    remark = f"; {case.finding.remark}" if case.finding.remark else ""
    return f"{subject(case.finding)}: {amount(case.finding)}{remark}"
