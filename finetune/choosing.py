"""One arm an upstream, chosen on dev rows by screening seeds; only it is certified, on fresh seeds and test rows.

Trying a dozen arms and certifying the best of them on the same rows flatters it. Chosen elsewhere, it is one arm, and
nothing is lost to a correction for many.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.config import Config
from ..data.errors import InputError
from ..data.files import write_json
from .arms import RAW, expand
from .judging.decide import Margins
from .judging.design import design
from .judging.gaps import measure
from .judging.judge import guard_loss
from .judging.scores import ScoreSet
from .judging.yardstick import Yardstick
from .runs import Job, empty_scores

if TYPE_CHECKING:
    from .pipeline import Trained
    from .progress import Progress
    from .task import Task

FILE = "choice.json"


@dataclass(frozen=True, slots=True)
class Candidate:
    """What an arm did on the dev rows.

    Attributes
    ----------
    arm, upstream : str
    reduction, low, high : float
        Of the gap on dev rows, positive where it came nearer to 0; mean over screening seeds with its t interval.
    guard_loss : float
        Mean loss of the guard on dev rows.
    holds : bool
        Whether that is within what is accepted.
    chosen : bool
    """

    arm: str
    upstream: str
    reduction: float
    low: float
    high: float
    guard_loss: float
    holds: bool
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """The arms that go on to be certified.

    Attributes
    ----------
    candidates : tuple of Candidate
    seeds : tuple of int
        The screening seeds.
    rows : int
        Dev rows on which the gap was measured.
    notes : tuple of str
    """

    candidates: tuple[Candidate, ...]
    seeds: tuple[int, ...]
    rows: int
    notes: tuple[str, ...]

    @property
    def arms(self) -> dict[str, str]:
        """The chosen arm of each upstream."""
        return {one.upstream: one.arm for one in self.candidates if one.chosen}

    def to_dict(self) -> dict[str, Any]:
        """The contents of `choice.json`."""
        numbers = ("reduction", "low", "high", "guard_loss")
        return {
            "seeds": list(self.seeds),
            "rows": self.rows,
            "candidates": [
                {
                    key: None if key in numbers and not math.isfinite(value) else value
                    for key, value in zip(
                        Candidate.__slots__, map(one.__getattribute__, Candidate.__slots__), strict=True
                    )
                }
                for one in self.candidates
            ],
            "notes": list(self.notes),
        }


def screening_jobs(config: Config) -> tuple[Job, ...]:
    """The raw arm and every other arm with the screening seeds; no placebos.

    Raises
    ------
    InputError
        There are no screening seeds.
    """
    jobs = expand(config)
    later = sorted({job.seed for job in jobs if job.screening})
    if not later:
        raise InputError(
            "verdict.choose: arms are chosen by screening seeds; set finetune.screening_seeds to 2 or more"
        )
    arms = dict.fromkeys(
        (job.arm, job.plan, job.upstream) for job in jobs if job.plan != RAW and job.placebo_of is None
    )
    if not arms:
        raise InputError("verdict.choose: there is no arm to choose; add [plan.NAME] or [[arm]]")
    raw = tuple(job for job in jobs if job.screening)
    return (*raw, *(Job(arm, plan, up, seed, screening=True) for arm, plan, up in arms for seed in later))


def certified_jobs(config: Config, arms: Mapping[str, str]) -> tuple[Job, ...]:
    """The raw arm, each upstream's chosen arm and its placebo, with the fresh seeds."""
    return tuple(
        job
        for job in expand(config)
        if not job.screening
        # An upstream of which nothing was chosen has no chosen arm, and is not one whose placebo is None.
        and (job.plan == RAW or (job.upstream in arms and arms[job.upstream] in (job.arm, job.placebo_of)))
    )


def check(task: Task, stick: Yardstick) -> None:
    """Refuse, before anything is trained, dev rows that cannot show the gap.

    Raises
    ------
    InputError
        Fewer than two terms or labels have 30 rows among the dev rows.
    """
    empty = empty_scores(task.splits, labels=task.labels, positive=task.positive)
    try:
        design(empty, stick, split="dev")
    except InputError as error:
        raise InputError(
            f"verdict.choose: the dev rows cannot show the gap, so no arm can be chosen by them ({error}). Give more "
            "dev rows, or set choose = false: then every arm is judged and Holm's correction is for their number"
        ) from error


def choose(scores: ScoreSet, stick: Yardstick, margins: Margins, *, base_arm: str = RAW) -> Choice:
    """Pick for each upstream the arm with the largest reduction on dev rows whose guard holds.

    Parameters
    ----------
    scores : ScoreSet
        Screening runs; only their dev rows are looked at.
    stick : Yardstick
        Of the raw training rows.
    margins : Margins
        Guard and its accepted loss.
    base_arm : str
        The untreated arm.

    Returns
    -------
    Choice

    Raises
    ------
    InputError
        The dev rows cannot show the gap, or no arm shares a seed with the base.
    """
    dev = {"dev": scores.items["dev"], "test": scores.items["dev"]}  # the guard is measured on dev rows too

    def twice(tables: Mapping[str, Any]) -> dict[str, Any]:
        return dict.fromkeys(("dev", "test"), tables["dev"]) if "dev" in tables else {}

    seen = replace(scores, items=dev, score=twice(scores.score), predicted=twice(scores.predicted))
    plan = design(seen, stick, split="dev")
    measured = measure(seen, plan, guard=margins.guard)
    arms: dict[tuple[str, str], dict[int, int]] = {}
    for at, run in enumerate(scores.runs):
        arms.setdefault((run.arm, run.upstream), {})[run.seed] = at
    found, notes = [], [f"the dev rows leave out of the gap: {note}" for note in plan.stick.notes[len(stick.notes) :]]
    for (arm, upstream), runs in arms.items():
        base = arms.get((base_arm, upstream), {})
        shared = sorted(set(base) & set(runs))
        if arm == base_arm:
            continue
        if not shared:
            notes.append(f"{arm}, {upstream}: no screening seed in common with {base_arm}: not among the choices")
            continue
        before, after = [base[seed] for seed in shared], [runs[seed] for seed in shared]
        one, two = measured.hits_of(before), measured.hits_of(after)
        sign = -1.0 if plan.gap.interval(one).high < 0 else 1.0
        reduction, loss = plan.gap.interval(sign * (one - two)), guard_loss(measured, before, after)
        lost = math.nan if loss is None else loss.estimate
        found.append(
            Candidate(
                arm, upstream, reduction.estimate, reduction.low, reduction.high, lost, lost <= margins.guard_loss
            )
        )
    if not found:
        raise InputError(f'verdict.choose: no arm shares a screening seed with "{base_arm}"; see the runs that failed')
    marked = _marked(found)
    notes += [
        f"{one.upstream}: no arm kept its guard on the dev rows; chosen is the one that lost least"
        for one in marked
        if one.chosen and not one.holds
    ]
    return Choice(marked, tuple(sorted({run.seed for run in scores.runs})), len(plan.gap.rows), tuple(notes))


def _marked(found: Sequence[Candidate]) -> tuple[Candidate, ...]:
    best: dict[str, Candidate] = {}
    for one in found:
        held = best.get(one.upstream)
        if held is None or _rank(one) > _rank(held):
            best[one.upstream] = one
    return tuple(replace(one, chosen=one is best[one.upstream]) for one in found)


def _rank(one: Candidate) -> tuple[bool, float]:
    value = one.reduction if one.holds else -one.guard_loss
    return one.holds, -math.inf if math.isnan(value) else value


def in_two_stages(
    config: Config, out: Path, task: Task, stick: Yardstick, margins: Margins, progress: Progress | None
) -> tuple[Trained, Choice]:
    """Train every arm with the screening seeds, choose, then train what is to be certified with the fresh ones.

    Returns
    -------
    Trained
        Of both stages; the verdict leaves screening seeds out.
    Choice
        Also written to ``choice.json``.
    """
    from .pipeline import train

    first = screening_jobs(config)
    screened = train(config, out, task=task, progress=progress, jobs=first)
    choice = choose(screened.store.scores(screened.jobs), stick, margins)
    write_json(out / FILE, choice.to_dict())
    trained = train(config, out, task=task, progress=progress, jobs=(*first, *certified_jobs(config, choice.arms)))
    said = ", ".join(f"{arm} ({upstream})" for upstream, arm in choice.arms.items())
    tried = len({(one.arm, one.upstream) for one in choice.candidates})
    notes = (
        f"chosen of {tried} arms by {choice.rows} dev rows and {len(choice.seeds)} screening seeds: {said}; the "
        "others have no verdict",
        *choice.notes,
    )
    return replace(trained, notes=(*notes, *trained.notes)), choice
