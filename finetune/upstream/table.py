"""Measured upstream bias for people: one table that fits 80 columns, highest score first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .measured import Score, UpstreamBias

if TYPE_CHECKING:
    from rich.console import RenderableType


def _digits(bias: UpstreamBias) -> int:
    """Decimals that show three figures of the widest score, two at least."""
    largest = max((abs(found.score) for found in bias.targets.values()), default=1.0)
    return 2 if largest >= 1 or largest == 0 else min(5, 2 - math.floor(math.log10(largest)))


def _number(value: float, digits: int) -> str:
    return "?" if math.isnan(value) else f"{value:+.{digits}f}"


def _interval(found: Score, digits: int) -> str:
    return "" if math.isnan(found.low) else f"{_number(found.low, digits)} to {_number(found.high, digits)}"


def _headline(bias: UpstreamBias, digits: int) -> str:
    """What was found, in one sentence."""
    order = sorted(bias.targets.items(), key=lambda item: (-item[1].score, item[0]))
    if not order:
        return "Nothing was scored."
    said = [f"{name} ({_number(found.score, digits)})" for name, found in (order[0], order[-1])]
    if len(order) == 1:
        return f"The score of {said[0][:-1]}, {_interval(order[0][1], digits) or 'no interval'})."
    clear = sum(found.low > 0 or found.high < 0 for _, found in order)
    return f"Highest is {said[0]}, lowest {said[1]}; {clear} of {len(order)} intervals leave 0 out."


def upstream_table(bias: UpstreamBias) -> RenderableType:
    """The scores as a rich renderable, 80 columns wide at most.

    Parameters
    ----------
    bias : UpstreamBias
        What to show.

    Returns
    -------
    rich renderable
    """
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    digits = _digits(bias)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Target", overflow="fold", max_width=34)
    table.add_column("Score", no_wrap=True, justify="right")
    table.add_column("95 %, over templates", no_wrap=True)
    for name, found in sorted(bias.targets.items(), key=lambda item: (-item[1].score, item[0])):
        table.add_row(Text(name), _number(found.score, digits), _interval(found, digits))
    table.add_row(Text("mean", "bold"), _number(bias.overall.score, digits), _interval(bias.overall, digits))
    weights = "" if bias.upstream == "pretrained" else f", {bias.upstream}"
    weights += f", mean of {bias.seeds} seeds" if bias.seeds > 1 else ""
    parts: list[RenderableType] = [
        Text(_headline(bias, digits), style="bold"),
        Text(f"{bias.kind.replace('-', ' ').capitalize()} of {bias.model}{weights}"),
        Text(f"{bias.unit[:1].upper()}{bias.unit[1:]}."),
        table,
    ]
    about = bias.reliability
    if not math.isnan(about.value):
        span = "" if math.isnan(about.low) else f" ({about.low:.2f} to {about.high:.2f})"
        parts.append(Text(f"Split-half reliability over {len(bias.templates)} templates: {about.value:.2f}{span}"))
    parts += [Text(f"Note: {note}.") for note in bias.notes]
    return Group(*parts)
