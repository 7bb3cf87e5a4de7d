"""A check for the terminal: the verdict in a line, then what did not pass, in 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Group

    from ..check import CheckResult

SHOWN = 8
WIDTH = 80
RANK = {"fail": 0, "unclear": 1, "warn": 2, "pass": 3}
_COLOUR = {"fail": "bold red", "unclear": "bold yellow", "warn": "yellow", "pass": "bold green"}


def screen(result: CheckResult) -> Group:
    """One line, then what did not pass, the worst first."""
    from rich.console import Group, RenderableType
    from rich.constrain import Constrain
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = [
        Text.assemble((result.verdict, _COLOUR[result.status]), f": {result.said}"),
    ]
    bad = result.not_passed
    if bad:
        table = Table.grid(padding=(0, 2))
        for case in bad[:SHOWN]:
            table.add_row(Text(case.status, style=_COLOUR[case.status]), Text(case.message))
        parts.append(Constrain(table, WIDTH))
    if len(bad) > SHOWN:
        parts.append(Text(f"and {len(bad) - SHOWN} more; all are in check.json (--out DIR)"))
    if result.note:
        parts.append(Constrain(Text(result.note), WIDTH))
    return Group(*parts)
