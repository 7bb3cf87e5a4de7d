"""A report of shards that were counted elsewhere: from counts alone, without what needs the rows themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .measures import known_measure
from .pipeline import proxies_of, report_of
from .report import AuditReport
from .rules import default_rules
from .sections import Parts, wanted
from .shard_files import merge

if TYPE_CHECKING:
    from ..data.config import CheckRule

NEEDS_ROWS = "it needs the rows themselves, and merged shards are counts only"


def run_merged(
    folders: Sequence[str | Path],
    *,
    rules: Sequence[CheckRule] = (),
    reference: Mapping[str, Mapping[str, float]] | None = None,
    measures: Iterable[str] | None = None,
    seed: int = 0,
) -> AuditReport:
    """Audit what ``evenset audit --shard`` counted.

    Parameters
    ----------
    folders : sequence of path
        The ``--out`` of each shard, in any order.
    rules, reference, measures, seed
        As in `evenset.audit.run`.

    Returns
    -------
    AuditReport
        The same findings as from all rows. Of the further sections only proxies, and those without a direction; the
        others are in ``parts.left_out``.

    Raises
    ------
    InputError
        As in `evenset.audit.shard_files.merge`.
    """
    chosen = tuple(rules) or default_rules()
    for rule in chosen:
        known_measure(rule.measure)
    want = wanted(measures).also(rule.measure for rule in chosen)
    merged = merge(folders)
    tally = merged.tally
    report = report_of(
        tally,
        (),
        rules=chosen,
        reference=reference,
        measures=want.measures,
        dataset=merged.about,
        positive=merged.about["columns"]["positive"],
        seed=seed,
        paired=merged.about.get("format") == "preference",
    )
    lexicons = tuple(
        {"name": name, "version": note.version, "sha256": note.sha256} for name, note in sorted(tally.lexicons.items())
    )
    found = None
    if "proxies" in want.sections:
        from ..data.axis_labels import AxisLabels

        label = merged.about["columns"]["label"]
        found = proxies_of(tally, (), None if label is None else AxisLabels.parse(label, names=()))
    left_out = dict.fromkeys(sorted(want.sections - {"proxies"}), NEEDS_ROWS)
    return replace(report, lexicons=lexicons, parts=Parts(proxies=found, left_out=left_out))
