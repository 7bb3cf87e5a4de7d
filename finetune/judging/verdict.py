"""The verdict: did an arm shrink the gap, by enough, at no cost, and by more than its placebo did?"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...data.errors import InputError, suggest
from . import yardstick as sticks
from .decide import PASSED, Margins
from .design import design
from .gaps import Measured
from .gaps import measure as measure_runs
from .judge import Judged, judge
from .measures import Downstream
from .records import ArmGap, ArmVerdict, plain
from .scores import ScoreSet, read
from .tables import CellContrasts, changes, rates
from .thresholds import sensitivity
from .yardstick import Yardstick

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = "evenset.verdict/1"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Gaps of all arms, and the verdict on each curated one.

    Attributes
    ----------
    yardstick : Yardstick
        As used, restricted to what the test rows can measure.
    margins : Margins
    arms : tuple of ArmVerdict
        Empty where there is a single arm: then there are gaps and no verdict.
    gaps : tuple of ArmGap
        Every arm, base and placebos included.
    base_arm : str
    attribution, environment : mapping
        As passed in.
    notes : tuple of str
    """

    yardstick: Yardstick
    margins: Margins
    arms: tuple[ArmVerdict, ...]
    gaps: tuple[ArmGap, ...]
    base_arm: str
    attribution: Mapping[str, Any]
    environment: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def decision(self) -> str:
        """The best decision among the arms; empty without any."""
        names = [arm.decision for arm in self.arms]
        definite = [name for name in names if name != "unclear"]
        return next((name for name in (*PASSED, *definite, *names) if name in names), "")

    @property
    def exit_code(self) -> int:
        """0, 1 or 3.

        0: at least one arm is `shrunk-meaningfully`, `shrunk` or `no-gap`, or there is a single arm and no verdict.
        1: no arm is, and at least one has another definite decision. 3: all are `unclear`.
        """
        names = {arm.decision for arm in self.arms}
        if not names or names & set(PASSED):
            return 0
        return 3 if names == {"unclear"} else 1

    def to_dict(self) -> dict[str, Any]:
        """The contents of `verdict.json`."""
        return {
            "schema": SCHEMA,
            "yardstick": self.yardstick.to_dict(),
            "margins": dataclasses.asdict(self.margins),
            "decision": self.decision,
            "exit_code": self.exit_code,
            "arms": [plain(arm) for arm in self.arms],
            "attribution": dict(self.attribution),
            "environment": dict(self.environment),
            "base_arm": self.base_arm,
            "gaps": [plain(arm) for arm in self.gaps],
            "notes": list(self.notes),
        }

    def to_frame(self) -> pd.DataFrame:
        """One row an arm with a verdict; without any, one row an arm with its gap."""
        import pandas as pd

        rows: Sequence[ArmVerdict | ArmGap] = self.arms or self.gaps
        nested = (
            "groups",
            "utility",
            "secondary",
            "measures",
            "thresholds",
            "flips",
            "calibration",
            "worst_gap",
            "runs",
        )
        return pd.DataFrame([{k: v for k, v in plain(row).items() if k not in nested} for row in rows])

    def save(self, folder: str | Path) -> Path:
        """Write `verdict.json` and its page `verdict.html`, each whole or not at all; returns the path of the first."""
        from ...data.files import write_json, write_text
        from ..page import verdict_page

        path = Path(folder) / "verdict.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, self.to_dict())
        # From what is in the file, so that page and file cannot say different things.
        write_text(path.with_suffix(".html"), verdict_page(json.loads(path.read_text(encoding="utf-8"))))
        return path

    def _repr_html_(self) -> str:
        from ..notebook import verdict_html

        return verdict_html(self)


def verify(
    scores: ScoreSet | str | Path | Any,
    yardstick: sticks.Source,
    *,
    margins: Margins | None = None,
    base_arm: str = "raw",
    screening_seeds: Sequence[int] = (),
    axis: str | None = None,
    measure: str | None = None,
    positive: str | None = None,
    with_ambiguous: bool = False,
    plans: Mapping[str, str] | None = None,
    chosen: bool = False,
    attribution: Mapping[str, Any] | Callable[[Measured], Mapping[str, Any]] | None = None,
    environment: Mapping[str, Any] | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
    measures: bool = True,
) -> Verdict:
    """Judge arms from their scores.

    Parameters
    ----------
    scores : ScoreSet, path or table
        See `evenset.finetune.judging.scores.read`. With a single arm there are gaps with intervals and no verdict.
    yardstick : Yardstick, path or mapping
        `audit.json` of the raw training set, or a `Yardstick`.
    margins : Margins, optional
        Fixed before training.
    base_arm : str
        The arm trained on the raw data.
    screening_seeds : sequence of int
        Seeds whose base runs name the worst-off group; their runs take no part in the verdict.
    axis, measure : str, optional
        Which yardstick of the audit; `measure` is "fpr" or "tpr".
    positive : str, optional
        The positive label, where the audit does not say.
    with_ambiguous : bool
        Whether terms with another everyday sense count in the gap.
    plans : mapping of str to str, optional
        The plan of each arm; by default it has the arm's name.
    chosen : bool
        Whether each upstream has one arm, chosen on dev rows by the screening seeds: then nothing is corrected for the
        number of arms.
    attribution, environment : mapping, optional
        Stored with the verdict. For `attribution` also a function of the measured runs that gives it.
    bootstrap : int
        Repetitions of the multi-bootstrap; 0 leaves it out.
    seed : int
        Of the multi-bootstrap.
    measures : bool
        Whether to add what decides nothing: further measures, and the answer under other thresholds. Without them many
        verdicts, in a simulation, take half the time.

    Returns
    -------
    Verdict

    Raises
    ------
    InputError
        Scores or yardstick cannot be used, or there is no base arm.

    Notes
    -----
    A pass (`shrunk`, `shrunk-meaningfully`) needs at least three seeds that differ, a placebo arm that did less, a
    threshold-free endpoint of the same sign, a guard and a worst-off group shown not to have lost more than accepted.
    Where several arms with a placebo are judged, it must also hold after Holm's correction for their number.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from evenset.finetune.judging.yardstick import fpr_yardstick
    >>> n = 240
    >>> group = ["gay" if i % 2 else "sikh" for i in range(n)]
    >>> score = [((i * 7) % 60) / 60 + (0.3 if i % 2 else 0.0) for i in range(n)]
    >>> table = pa.table({"arm": ["mine"] * n, "id": [str(i) for i in range(n)], "group": group,
    ...                   "label": [int(i % 3 == 0) for i in range(n)], "score": score})
    >>> stick = fpr_yardstick({"gay": (90, 50), "sikh": (90, 10)}, total_n=900, total_positive=100)
    >>> found = verify(table, stick)
    >>> found.arms, found.gaps[0].gap > 0
    ((), True)
    """
    margins = margins or Margins()
    scores = scores if isinstance(scores, ScoreSet) else read(scores)
    stick = sticks.load(yardstick, axis=axis, measure=measure, with_ambiguous=with_ambiguous)
    plan = design(scores, stick, positive=positive)
    measured = measure_runs(scores, plan, guard=margins.guard)
    margins = dataclasses.replace(margins, guard=measured.guard)
    contrasts = CellContrasts.of(plan)
    downstream = Downstream.of(scores, measured, contrasts)
    screening = {at for at, run in enumerate(scores.runs) if run.seed in set(screening_seeds)}
    arms: dict[tuple[str, str], dict[int, int]] = {}
    for at, run in enumerate(scores.runs):
        if at not in screening:
            arms.setdefault((run.arm, run.upstream), {})[run.seed] = at
    if not arms:
        raise InputError("verdict: every run has a screening seed; the verdict needs fresh ones")
    names = list(dict.fromkeys(arm for arm, _ in arms))
    single = len(names) == 1
    if base_arm not in names and not single:
        raise InputError(
            f'verdict: no arm "{base_arm}" to compare with; arms are {", ".join(names)}; say which is untreated with '
            f"base_arm.{suggest(base_arm, names)}"
        )
    screened = [at for at in sorted(screening) if scores.runs[at].arm == base_arm]
    placebo_of = {(run.arm, run.upstream): run.placebo_of for run in scores.runs}
    judged: tuple[Judged, ...] = ()
    thresholds: list[tuple[dict[str, Any], ...]] = []
    if not single:

        def again(found: Measured, repetitions: int = 0) -> tuple[Judged, ...]:
            return judge(found, arms, placebo_of, base_arm, screened, margins, repetitions, seed, chosen=chosen)

        judged = again(measured, bootstrap)
        thresholds = sensitivity(scores, measured, judged, again) if measures else [()] * len(judged)
    notes = [*plan.notes, *measured.notes, *downstream.notes]
    notes += [f"screening seeds, left out of the verdict: {', '.join(map(str, screening_seeds))}"] if screening else []
    verdicts = []
    for found, under in zip(judged, thresholds, strict=True):
        before, after = found.pairs
        base = arms[base_arm, found.upstream]
        verdicts.append(
            ArmVerdict(
                **found.fields,
                plan=(plans or {}).get(found.arm, found.arm),
                groups=changes(measured, contrasts, before, after),
                measures=downstream.of_pair(before, after) if measures else {},
                thresholds=under,
            )
        )
        unpaired = sorted(set(base) ^ set(arms[found.arm, found.upstream]))
        if unpaired:
            notes.append(
                f"{found.arm}, {found.upstream}: seeds without a pair, left out: {', '.join(map(str, unpaired))}"
            )
    gaps = [
        _arm_gap(
            measured,
            downstream,
            [seeds[s] for s in sorted(seeds)],
            "placebo" if placebo_of[key] else "base" if key[0] == base_arm else "curated",
            measures=measures,
        )
        for key, seeds in arms.items()
    ]
    return Verdict(
        yardstick=plan.stick,
        margins=margins,
        arms=tuple(verdicts),
        gaps=tuple(gaps),
        base_arm=base_arm,
        attribution=(attribution(measured) if callable(attribution) else attribution) or {},
        environment=environment or {},
        notes=tuple(notes),
    )


def _arm_gap(measured: Measured, downstream: Downstream, runs: list[int], role: str, *, measures: bool) -> ArmGap:
    hits = measured.hits_of(runs)
    interval = measured.design.gap.interval(hits)
    facts = [measured.runs[at] for at in runs]
    first = facts[0].run
    return ArmGap(
        arm=first.arm,
        upstream=first.upstream,
        role=role,
        seeds=tuple(fact.run.seed for fact in facts),
        gap=interval.estimate,
        gap_low=interval.low,
        gap_high=interval.high,
        v_seed=interval.v_seed,
        v_ex=interval.v_ex,
        df=interval.df,
        threshold_free=sum(fact.threshold_free for fact in facts) / len(facts),
        utility={key: sum(fact.utility[key] for fact in facts) / len(facts) for key in facts[0].utility},
        secondary={key: sum(fact.secondary[key] for fact in facts) / len(facts) for key in facts[0].secondary},
        saturated=sum(fact.saturated for fact in facts) * 2 > len(facts),
        collapsed=tuple(f"seed {fact.run.seed}: {fact.collapsed}" for fact in facts if fact.collapsed),
        groups=rates(measured, downstream.contrasts, runs),
        runs=tuple(map(float, measured.design.gap.values(hits))),
        **(downstream.of_arm(runs) if measures else {}),
    )
