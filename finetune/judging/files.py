"""Judging score files that anybody made, with what was fixed before they were."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...audit.findings import MINIMUM_ROWS as MIN_CELL
from ...audit.gate.snapshot import damaged
from ...data.config import VerdictConfig
from ...data.errors import InputError, suggest
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
    base_arm: str = "raw",
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
    base_arm : str
        The arm trained on the data as they are.

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
    Screening seeds are those of the record. Without one there are none: a seed that an arm lacks is left out of its
    comparison, and the notes say so.
    """
    from ...data.files import sha256_file

    for path in paths:
        if not Path(path).exists():
            raise InputError(f"{path}: no such file; give a csv or parquet file of scores")
    yardstick = None if yardstick is None else _audit_file(Path(yardstick))
    record = _record(paths, yardstick)
    stick = _yardstick(yardstick, record, settings)
    margins, changed = _margins(settings, record)
    find = groups_of(stick.axis)
    scores = align(concat([load(path, groups=find) for path in paths]))
    files = [Path(path) for path in paths if Path(path).is_file()]
    files += [Path(yardstick)] if yardstick is not None and Path(yardstick).is_file() else []
    if base_arm not in scores.arms and len(scores.arms) > 1:
        raise InputError(
            f'verify: no arm "{base_arm}" to compare with; arms are {", ".join(scores.arms)}; say which was trained on '
            f"the data as they are: --base-arm NAME{suggest(base_arm, scores.arms)}"
        )
    environment: dict[str, Any] = {"files": {path.name: sha256_file(path) for path in files}}
    if record is not None:
        environment["fixed"] = {key: value for key, value in record.to_dict().items() if key != "yardstick"}
    verdict = verify(
        scores,
        stick,
        margins=margins,
        base_arm=base_arm,
        screening_seeds=() if record is None else record.screening_seeds,
        positive=positive,
        chosen=record is not None and record.choose,
        environment=environment,
    )
    said = (*(() if record is None else record.notes()), *changed, *_never_true(scores))
    kept = [note for note in verdict.notes if "seeds without a pair" not in note]
    lacking = _lacking(scores, base_arm, () if record is None else record.screening_seeds)
    return dataclasses.replace(verdict, notes=(*said, *kept, *lacking, *left_out(verdict, stick, scores)))


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


_HOLDS = ("yardsticks", "yardstick", "entries")


def _audit_file(path: Path) -> Path:
    """The file of a yardstick; a folder that holds one will do."""
    wanted = "give the audit.json of the raw training data: evenset audit TRAIN --out audit/"
    if path.is_dir():
        names = ("audit.json", records.FILE, "verdict.json")
        found = next((path / name for name in names if (path / name).is_file()), None)
        if found is None:
            raise InputError(f"{path}: this folder has no audit.json; {wanted}")
        return found
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {wanted}") from None
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({(error.strerror or 'no reason given').lower()}); {wanted}"
        ) from None
    except ValueError:
        raise InputError(f"{path}: this is no JSON, so no yardstick; {wanted}") from None
    if not isinstance(held, dict) or not any(name in held for name in _HOLDS):
        raise InputError(f"{path}: this JSON file holds no yardstick; {wanted}")
    if str(held.get("schema")).startswith("evenset.audit/") and (wrong := damaged(held.get("findings"))):
        raise InputError(f"{path}: is damaged: {wrong}; {wanted}")
    return path


def _margins(settings: VerdictConfig, record: Fixed | None) -> tuple[Margins, list[str]]:
    """The margins to judge by, and how they differ from those that were fixed."""
    given: dict[str, Any] = {name: getattr(settings, name) for name in _MARGINS}
    if record is None:
        return Margins(**given), []
    kept = {name: record.margins[name] for name in _MARGINS if name in record.margins}
    used = {**given, **{name: value for name, value in kept.items() if name not in settings.model_fields_set}}
    changed = [f"{name} was {kept[name]} and is {used[name]}" for name in kept if kept[name] != used[name]]
    return Margins(**used), [f"not what was fixed before training: {'; '.join(changed)}"] if changed else []


def _never_true(scores: ScoreSet) -> list[str]:
    """Predictions of a label that no row has: a slip of the pen, or a label that was left out of the test rows."""
    true = {items.labels[code] for items in scores.items.values() for code in np.unique(items.label)}
    said = []
    for at, name in enumerate(scores.labels):
        if name not in true:
            wrong = sum(int((table == at).sum()) for table in scores.predicted.values())
            every = sum(table.size for table in scores.predicted.values())
            said.append(
                f'{wrong} of {every} predictions are "{name}", which is the label of no row; they count as wrong'
            )
    return said


def _lacking(scores: ScoreSet, base_arm: str, screening: Sequence[int]) -> list[str]:
    """Seeds that an arm or its base arm lacks, so that they can be compared with nothing."""
    seeds: dict[tuple[str, str], set[int]] = {}
    for run in scores.runs:
        if run.seed not in screening:
            seeds.setdefault((run.upstream, run.arm), set()).add(run.seed)
    said = []
    for (upstream, arm), mine in seeds.items():
        base = seeds.get((upstream, base_arm), mine)
        for name, has, lost in ((arm, base_arm, base - mine), (base_arm, arm, mine - base)):
            if lost:
                of = "" if upstream in ("pretrained", "none") else f", {upstream},"
                which = f"seed{'s' * (len(lost) > 1)} {', '.join(map(str, sorted(lost)))}"
                said.append(f"arm {name}{of} lacks {which} that {has} has: left out of the comparison")
    return said


def left_out(verdict: Verdict, stick: Yardstick, scores: ScoreSet) -> list[str]:
    """What has no part in the gap for another reason than those that the restricted yardstick names; a note each."""
    of_terms = stick.kind == "fpr"
    known = {entry.name for entry in stick.entries}
    told = {name for note in stick.notes for name in note.partition(": ")[2].split(", ")}
    few = [entry.name for entry in stick.entries if not entry.used and entry.name not in told]
    groups = {name for items in scores.items.values() for name in items.groups}
    true = {items.labels[code] for items in scores.items.values() for code in np.unique(items.label)}
    measured = groups if of_terms else true
    few = [name for name in few if name in measured]
    alien = sorted(measured - known)
    said = []
    if few:
        where = "training rows" if of_terms else "training rows in a group"
        why = f"under {MIN_CELL} {where}" + (" or ambiguous" if of_terms else "")
        said.append(f"left out of the gap, {why}: {', '.join(few)}")
    if alien:
        said.append(f"left out of the gap, not in the training data's yardstick: {', '.join(alien)}")
    absent = sorted(entry.name for entry in stick.entries if entry.used and entry.name not in measured)
    noted = " ".join(verdict.yardstick.notes)
    if absent := [name for name in absent if name not in noted]:
        said.append(f"left out of the gap, in no test row: {', '.join(absent)}")
    if not of_terms and (others := sorted(groups - {stick.first, stick.second})):
        said.append(f"groups that the gap does not compare: {', '.join(others)}")
    return said
