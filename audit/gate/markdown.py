"""A check as Markdown, for the summary of a CI run or a comment on a pull request.

Names of groups, labels and files come from data: nothing in them is read as Markdown or HTML, no one is mentioned by
them and nothing is linked.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from .screen import RANK
from .words import amount, limits, number, rule_text, subject

if TYPE_CHECKING:
    from ..check import Case, CheckResult

SHOWN = 40
_SIGN = {"fail": "❌", "unclear": "❔", "warn": "⚠️", "pass": "✅"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~$-])")
_LINKS = re.compile(r"@|://|(?<=www)\.", re.IGNORECASE)
_MARK = "<!-- -->"
_TODO = {
    "fail": "Fail: the data teaches more of this than the limit allows. Look at the rows behind it with `evenset audit "
    "DATA --out DIR` (flagged.parquet), change them or balance with `evenset curate`, or move the limit in the config.",
    "unclear": "Unclear: too little evidence to say. More rows decide; where that is no option, `--allow-unclear` lets "
    "the check pass.",
    "warn": "Warn: beyond the first limit and not beyond the second; the check passes.",
}


def escaped(text: str) -> str:
    r"""Text as Markdown that shows it as it is, in one line.

    Examples
    --------
    >>> print(escaped("a|b <c> `d`"))
    a\|b &lt;c&gt; \`d\`
    """
    safe = _SPECIAL.sub(r"\\\1", html.escape(spelt_out(text), quote=False))
    return _LINKS.sub(lambda found: _broken(found.group()), safe)


def spelt_out(text: str) -> str:
    """One line of characters that show."""
    return "".join(char if char.isprintable() else " " if char in "\n\t\r" else _spelt(char) for char in text)


def _broken(text: str) -> str:
    return f":{_MARK}//" if text == "://" else f"{text}{_MARK}" if text == "@" else f"{_MARK}{text}"


def _spelt(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def markdown(result: CheckResult) -> str:
    """The verdict, what did not pass, its limits and what to do."""
    lines = [f"### evenset check: {_SIGN[result.status]} {result.verdict}", "", f"{result.said}.", ""]
    if result.sources:
        named = ", ".join(escaped(path.name) for path in result.sources[:5])
        lines += [f"Data: {named}{', …' if len(result.sources) > 5 else ''}", ""]
    if result.note:
        lines += [f"{escaped(result.note)}.", ""]
    bad = result.not_passed
    if bad:
        lines += _table(bad[:SHOWN])
        if len(bad) > SHOWN:
            lines += ["", f"and {len(bad) - SHOWN} more, in check.json."]
        lines += ["", *(f"- {_TODO[status]}" for status in RANK if status in {case.status for case in bad})]
    known = [case for case in result.cases if case.known]
    if known:
        lines += ["", "<details><summary>" + f"{len(known)} known from the baseline</summary>", ""]
        lines += [*_table(known[:SHOWN]), "", "</details>"]
    return "\n".join(lines).rstrip("\n") + "\n"


def _table(cases: list[Case]) -> list[str]:
    lines = ["| | finding | value (95 % interval) | since the baseline | limits |", "|---|---|---|---|---|"]
    for case in cases:
        if case.finding is None:
            cells = [escaped(case.message), "", "", escaped(rule_text(case.rule))]
        else:
            cells = [
                escaped(subject(case.finding)),
                escaped(amount(case.finding) + (f"; {case.finding.remark}" if case.finding.remark else "")),
                _change(case),
                escaped(limits(case.rule)),
            ]
        lines.append(f"| {_SIGN[case.status]} {case.status} | " + " | ".join(cells) + " |")
    return lines


def _change(case: Case) -> str:
    if case.change is None:
        return ""
    if case.change.same:
        return "the same rows"
    ends = " to ".join(number(value) for value in (case.change.low, case.change.high))
    return escaped(f"worse by {number(case.change.estimate)} ({ends})")
