"""The figure of a search: rows touched against bias left, one panel a limit, one point a plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .candidates import Candidate

if TYPE_CHECKING:
    from .found import Found

_PANELS = 4


def kind_of(candidate: Candidate) -> str:
    """The family that a plan belongs to, by which points are coloured."""
    return " then ".join(
        f"{step.do} ({step.method})" if hasattr(step, "method") else step.do for step in candidate.plan.step
    )


def points(found: Found, limit: int) -> dict[str, list[tuple[int, float, bool]]]:
    """For each family the plans that can be done: rows touched, size of the worst finding, whether all limits are kept.

    Those that touch the same number of rows and leave the same bias are one point.
    """
    families: dict[str, set[tuple[int, float, bool]]] = {}
    for one in found.candidates:
        if one.touched is not None and not one.standings[limit].lost:
            families.setdefault(kind_of(one), set()).add((one.touched, one.standings[limit].size, one.reaches))
    return {name: sorted(families[name]) for name in sorted(families)}


def draw(found: Found, folder: Path) -> None:
    """Write tradeoff.svg and tradeoff.png.

    Raises
    ------
    InputError
        When the extra `figures` is not installed.
    """
