"""The audit's page, put together from its parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..page.document import Section, document
from ..page.html import join, tag
from ..page.shorten import shortened, shortener
from ..scorecard import conclusion
from .about_part import about_section
from .away_part import away_section
from .axis_part import axis_section
from .data_part import findings_section, next_section, quality_section, yardstick_section
from .examples import Example, example_section
from .first_screen import matters, named, names, tiles
from .term_part import term_section
from .vector_part import vector_section

if TYPE_CHECKING:
    from ..report import AuditReport


def audit_page(report: AuditReport, *, examples: Sequence[Example] | None = None) -> str:
    """The content of audit.html: a function of the report alone, with no row of the data unless examples are given.

    Parameters
    ----------
    report : AuditReport
        With whatever parts were wanted.
    examples : sequence of Example, optional
        Rows that were asked for; the page says that it shows them.

    Examples
    --------
    >>> from evenset.audit import run
    >>> from evenset.data import Dataset
    >>> from evenset.data.sample import bios
    >>> page = audit_page(run(Dataset.of(bios(300, 0)[0], text="text", label="label"), ["pronouns"]))
    >>> page.startswith("<!doctype html>"), "No row of the data is shown" in page
    (True, True)
    """
    status, sentence = conclusion(report)
    heading, found = matters(report)
    cut = shortener(names(report))
    scores, found = shortened(tiles(report), found, cut, "What to do next")
    parts: list[Section | None] = [
        next_section(report),
        *(axis_section(report, axis, at) for at, axis in enumerate(report.tally.axes)),
        term_section(report),
        away_section(report),
        vector_section(report),
        quality_section(report),
        yardstick_section(report),
        None if examples is None else example_section(examples),
        findings_section(report),
        about_section(report),
    ]
    rows = (
        "No row of the data is shown in this file, only words, labels, groups and counts."
        if examples is None
        else "This file shows rows of the data, as --examples asked for. Handle it like the data."
    )
    footer = join([tag("p", "Made by evenset audit. The same numbers for machines: audit.json. ", rows)])
    return document(
        title=f"Audit of {named(report)}",
        kind=f"evenset audit · {named(report)} · {report.tally.rows:,} rows"
        + ("" if examples is None else " · shows rows of the data"),
        status=status,
        conclusion=cut(sentence),
        tiles=scores,
        matters=found,
        matters_title=heading,
        sections=[part for part in parts if part is not None],
        footer=footer,
    )
