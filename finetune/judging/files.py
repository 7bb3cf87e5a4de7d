"""Judging score files that anybody made, with what was fixed before they were."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...data.config import VerdictConfig
from ...data.errors import InputError
from . import fixed as records
from . import yardstick as sticks
from .decide import Margins
from .fixed import Fixed
from .grouping import groups_of
from .scores import ScoreSet, align, concat, load
from .verdict import Verdict, verify
from .yardstick import Yardstick

_MARGINS = ("margin", "guard", "guard_loss", "worst_group_loss")


def verify_files(
    paths: Sequence[str | Path],
    yardstick: str | Path | None = None,
    *,
    settings: VerdictConfig,
    positive: str | None = None,
) -> Verdict:
    """Judge score files by the `[verdict]` part of a config, as `evenset verify` does.

    Parameters
    ----------
    paths : sequence of path
        Files or folders of scores; they are taken together. Where they have no groups but a column `text`, groups are
        found by the words of the yardstick's axis.
    yardstick : path, optional
        `audit.json` of the raw training set, or `yardstick.json` or `verdict.json` of an earlier run. Needless for the
        folder of runs that `evenset run` made: what was fixed before they were trained lies beside it.
    settings : VerdictConfig
        Measure, axis and margins. Where there is a record of what was fixed, what is not set here is taken from it, and
        what is set otherwise is said.
    positive : str, optional
        The positive label as the scores spell it, where that is not the training data's.

    Returns
    -------
    Verdict
        Its environment names the files by their SHA-256.

    Raises
    ------
    InputError
        Something is wrong with the files, or there is no yardstick.

    Notes
    -----
    Without a record, seeds that only the arm "raw" has are screening seeds, as `evenset run` trains them: they name the
    worst-off group.
    """
    from ...data.files import sha256_file

    record = _record(paths, yardstick)
    stick = _yardstick(yardstick, record, settings)
    margins, changed = _margins(settings, record)
    find = groups_of(stick.axis)
    scores = align(concat([load(path, groups=find) for path in paths]))
    files = [Path(path) for path in paths if Path(path).is_file()]
    files += [Path(yardstick)] if yardstick is not None and Path(yardstick).is_file() else []
    screening = list(record.screening_seeds) if record is not None and record.screening_seeds else _screening(scores)
    environment: dict[str, Any] = {"files": {path.name: sha256_file(path) for path in files}}
    if record is not None:
        environment["fixed"] = {key: value for key, value in record.to_dict().items() if key != "yardstick"}
    verdict = verify(
        scores,
        stick,
        margins=margins,
        screening_seeds=screening,
        positive=positive,
        chosen=record is not None and record.choose,
        environment=environment,
    )
    said = (*(() if record is None else record.notes()), *changed)
    return dataclasses.replace(verdict, notes=(*said, *verdict.notes))


def _record(paths: Sequence[str | Path], yardstick: str | Path | None) -> Fixed | None:
    """What was fixed before training: in the yardstick file itself, or beside the folder of runs."""
    places = [] if yardstick is None else [Path(yardstick)]
    places += [folder / records.FILE for path in paths if Path(path).is_dir() for folder in (Path(path), _up(path))]
    return next((found for found in map(records.read, places) if found is not None), None)


def _up(path: str | Path) -> Path:
    return Path(path).resolve().parent


def _yardstick(source: str | Path | None, record: Fixed | None, settings: VerdictConfig) -> Yardstick:
    if source is None:
        if record is None:
            raise InputError(
                "verify: no yardstick: what counts as a gap is fixed by the raw training data. Audit them (`evenset "
                "audit TRAIN --out audit/`) and give --yardstick audit/audit.json; or give the folder of runs that "
                "`evenset run` made"
            )
        return Yardstick.from_dict(record.yardstick)
    asked = settings.measure if "measure" in settings.model_fields_set else None
    try:
        return sticks.load(source, axis=settings.axis, measure=asked, with_ambiguous=settings.ambiguous)
    except InputError:
        if asked is not None:
            raise
        # An audit may hold both kinds; the config's own default then decides.
        return sticks.load(source, axis=settings.axis, measure=settings.measure, with_ambiguous=settings.ambiguous)


def _margins(settings: VerdictConfig, record: Fixed | None) -> tuple[Margins, list[str]]:
    """The margins to judge by, and how they differ from those that were fixed."""
    given: dict[str, Any] = {name: getattr(settings, name) for name in _MARGINS}
    if record is None:
        return Margins(**given), []
    kept = {name: record.margins[name] for name in _MARGINS if name in record.margins}
    used = {**given, **{name: value for name, value in kept.items() if name not in settings.model_fields_set}}
    changed = [f"{name} was {kept[name]} and is {used[name]}" for name in kept if kept[name] != used[name]]
    return Margins(**used), [f"not what was fixed before training: {'; '.join(changed)}"] if changed else []


def _screening(scores: ScoreSet, base_arm: str = "raw") -> list[int]:
    """Seeds that only the base arm has: they can be paired with nothing, so they are there to name the worst group."""
    base = {run.seed for run in scores.runs if run.arm == base_arm}
    others = {run.seed for run in scores.runs if run.arm != base_arm}
    return sorted(base - others) if others & base else []
