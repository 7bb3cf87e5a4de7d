"""The smallest of the plans tried, by rows touched, that brings findings under limits.

Selection and weights are computed on counts (`outcome`), so hundreds of plans cost seconds whatever the data's size;
steps that change texts are tried on all rows. What is found is carried out and audited before it is believed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import Any

from ...audit.cells import AxisCells
from ...audit.findings import Finding, Settings
from ...audit.measures import findings_of
from ...audit.tally import Tally
from ...data.config import Plan, ScrubStep, Step, phase
from ...data.dataset import Dataset
from ...data.errors import InputError, suggest
from ..curation import run
from ..prepare import Prepared, census, prepare, small
from ..writing.write import open_again
from .candidates import KINDS, Candidate, Knob, knobs, on_rows, spelt
from .found import Found
from .outcome import Frame, Outcome
from .tradeoff import kind_of
from .until import Limit, Standing, bound, parse, reached, standing

ALLOWED = ("reweight", "resample")
_RUNGS = 6  # of a ladder of strengths, for the curve
_HALVINGS = 4  # between what is not enough and what cannot be done
_PAIRS = 12  # compositions whose strengths are turned down
_TRIES = 10  # plans that are carried out before the search gives up
_MARGIN = (0.5, 0.97)  # least and most of its margin that a family keeps when one of its plans has missed
_RATIOS = ("label_log_ratio", "log_ratio_centred")


def search(
    data: Any,
    until: Sequence[str],
    *,
    axes: Sequence[str] | None = None,
    allow: Sequence[str] = ALLOWED,
    pool: str | None = None,
    pool_text: str | None = None,
    seed: int = 0,
    say: Callable[[str], None] | None = None,
) -> Found:
    """Of the plans tried, find the one that touches fewest rows and keeps all limits.

    Parameters
    ----------
    data : Dataset, table or list of dicts
        The rows.
    until : sequence of str
        Limits as `until.parse` reads them.
    axes : sequence of str, optional
        Axes to count; by default those that the data set suggests, else pronouns and identity. Steps act on those that
        a limit is about.
    allow : sequence of str
        Kinds of step: "reweight", "resample", "swap", "topup" (needs a pool), "scrub".
    pool, pool_text : str, optional
        File of harmless rows for topup, and the column of its text.
    seed : int
        Of the draws of rows and words.
    say : callable, optional
        Told what goes on.

    Returns
    -------
    Found
        The plan, if there is one, and all plans that were looked at.

    Raises
    ------
    InputError
        For limits and kinds of step that mean nothing, and data without a finding to limit.

    Notes
    -----
    Rows touched: rows dropped, rows added (repeated, copied, from a pool), and rows kept that have an edit or another
    weight than the mean, each row once. Estimates are compared with the limits, not intervals; `until.Standing.certain`
    says whether the intervals agree. A finding that counted before still counts by its estimate on however few rows
    (`until.Standing.thin` of them are on fewer than 30); one that is no more keeps no limit, unless a scrub hides its
    words. Steps act on whole axes also where a limit names one group, so fewer rows might do. Steps alone come first,
    each as weak as the limits allow; pairs of two only where no step alone is enough. At most 10 plans are carried out.

    Examples
    --------
    >>> rows = [{"text": "She is kind.", "label": label} for label in ["nurse"] * 120 + ["judge"] * 40]
    >>> rows += [{"text": "He is kind.", "label": label} for label in ["nurse"] * 40 + ["judge"] * 120]
    >>> found = search(rows, ["cramers_v:pronouns:<=0.1"], axes=["pronouns"], allow=["reweight"])
    >>> found.best.name, found.best.touched
    ('reweight:pronouns', 320)
    """
    limits = [parse(text) for text in until]
    if not limits:
        raise InputError("a search needs a limit: --until label_log_ratio:identity<=0.2")
    for kind in allow:
        if kind not in KINDS:
            raise InputError(f'--allow: "{kind}" is no kind of step.{suggest(kind, KINDS)} Kinds: {", ".join(KINDS)}.')
    if "topup" in allow and pool is None:
        raise InputError(
            "--allow topup needs --pool FILE: harmless rows, of which those with the axis's words are added"
        )
    dataset = data if isinstance(data, Dataset) else Dataset.of(data)
    names = list(axes or dataset.suggested_axes or ("pronouns", "identity"))
    return _Search(prepare(dataset, names, hold=small(dataset)), limits, names, seed, say).run(allow, pool, pool_text)


class _Search:
    """One search; remembers every plan it has looked at."""

    def __init__(
        self,
        prepared: Prepared,
        limits: Sequence[Limit],
        names: Sequence[str],
        seed: int,
        say: Callable[[str], None] | None,
    ) -> None:
        self.prepared = prepared
        self.names = list(names)
        self.seed = seed
        self.say = say or (lambda _: None)
        counted = census(prepared, hashes=False)
        self.frame = Frame.of(prepared, counted)
        self.start = Outcome.start(self.frame, counted)
        self.settings = Settings(positive=prepared.dataset.columns.positive)
        tally = self.start.tally()
        self.limits = [bound(limit, tally) for limit in limits]
        self.measures = list(dict.fromkeys(limit.measure for limit in limits))
        whole = any(limit.axis is None for limit in self.limits)
        meant = {limit.axis for limit in self.limits}
        self.axes = [axis.name for axis in prepared.distinct if whole or axis.name in meant]
        self.counted: dict[str, tuple[str, ...]] = {}
        self.seen: dict[str, Candidate] = {}
        self.before = self.standings(self.findings(tally))
        self.counted = {one.limit.text: one.counted for one in self.before}
        for one in self.before:
            if not one.counted:
                few = f"; {one.few} have too few rows" if one.few else ""
                raise InputError(f'--until "{one.limit.text}": the data have no such finding to limit{few}')

    def run(self, allow: Sequence[str], pool: str | None, pool_text: str | None) -> Found:
        if reached(self.before):
            return self.found(None)
        dials = [knob for name in self.axes for knob in self.knobs(name, allow)]
        late = [knob for knob in dials if knob.late]
        dials = [knob for knob in dials if not knob.late]
        self.say(f"trying {len(dials)} ways to select and weight rows")
        for knob in dials:
            self.ladder((), knob)
        steps = [
            step
            for name in self.axes
            for step in on_rows(self.spec(name), self.prepared.axes[self.spec(name)], allow, pool, pool_text)
        ]
        for step in steps:
            self.say(f"trying {spelt(step)} on the rows")
            self.on_rows((step,))
        if not self.reaching():
            for knob in late:
                self.ladder((), knob)
        if not self.reaching():
            self.pairs(dials, steps)
        return self.verified()

    def reaching(self) -> list[Candidate]:
        return [one for one in self.seen.values() if one.reaches]

    # -- single steps ------------------------------------------------------------------------------------------------

    def spec(self, axis: str) -> str:
        """The axis in the words of a plan."""
        return next(spec for spec, found in self.prepared.axes.items() if found.name == axis)

    def knobs(self, name: str, allow: Sequence[str]) -> list[Knob]:
        tally = self.start.tally([name])
        pair = AxisCells.of(tally, name).pair is not None
        found = findings_of(tally, self.settings, measures=_RATIOS, axes=self.prepared.distinct)
        ratio = max((abs(one.estimate) for one in found if one.judged and one.enough), default=0.0)
        spec = self.spec(name)
        meant = [one.value for one in self.limits if one.measure in _RATIOS and one.axis in (None, name)]
        likely = min(meant, default=None)
        return list(knobs(spec, pair=pair, ratio=ratio, likely=likely, allow=allow))

    def ladder(self, first: tuple[Step, ...], knob: Knob) -> Candidate:
        """Plans of the first steps and this one, at some strengths; gives the weakest that keeps the limits."""

        def at(strength: int) -> Candidate:
            return self.on_counts((*first, knob.step(strength)))

        just = knob.likely
        if just is not None:
            if at(just).touched is None:
                return at(just)  # what is stronger cannot be done either, and what is weaker is not enough
            if at(just).reaches and (just == 1 or not at(just - 1).reaches):
                self.curve(at, just)  # what is stronger is not needed, and slow to compute where it cannot be done
                return at(just)
        found = {0: False} | self.curve(at, knob.most)
        step = next(((low, high) for low, high in pairwise(found) if found[high] and not found[low]), None)
        if step is None:
            step = self.below(at, found)
        if step is None:
            return at(knob.most)
        low, high = step
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if at(middle).reaches else (middle, high)
        return at(high)

    def below(self, at: Callable[[int], Candidate], found: dict[int, bool]) -> tuple[int, int] | None:
        """Between a strength that is not enough and one that cannot be done there may be one that is enough."""
        weak = [strength for strength in found if strength == 0 or at(strength).touched is not None]
        low, high = max(weak), min((strength for strength in found if strength > max(weak)), default=max(weak))
        for _ in range(_HALVINGS):
            middle = (low + high) // 2
            if middle in (low, high):
                break
            if at(middle).reaches:
                return low, middle
            low, high = (low, middle) if at(middle).touched is None else (middle, high)
        return None

    def curve(self, at: Callable[[int], Candidate], most: int) -> dict[int, bool]:
        """Whether the limits are kept at some strengths, the greatest among them."""
        rungs = sorted({-(-most * rung // _RUNGS) for rung in range(1, _RUNGS + 1)})
        return {strength: at(strength).reaches for strength in rungs}

    # -- two steps ---------------------------------------------------------------------------------------------------

    def pairs(self, dials: Sequence[Knob], steps: Sequence[Step]) -> None:
        """Plans of two steps, each at its strongest; those that keep the limits are then turned down."""
        self.say("no step alone is enough; trying two")
        strong = [(knob, knob.step(knob.most)) for knob in dials]
        strong = [(knob, step) for knob, step in strong if self.on_counts((step,)).touched is not None]
        reaching: list[tuple[Candidate, Knob, Knob]] = []
        for (one, first), (two, second) in product(strong, strong):
            if (first.axis, phase(first)) != (second.axis, phase(second)) and phase(first) <= phase(second):
                found = self.on_counts((first, second))
                if found.reaches:
                    reaching.append((found, one, two))
        reaching.sort(key=lambda item: _rank(item[0]))
        for _, one, two in reaching[:_PAIRS]:
            first = self.weakest(one, two.step(two.most))
            self.ladder((first,), two)
        best = sorted((self.on_counts((step,)) for _, step in strong), key=lambda item: (item.excess, _rank(item)))
        for edit, done in product(steps, best[:2]):
            if self.on_rows((edit,)).touched is not None:
                self.on_rows((edit, *done.plan.step))

    def weakest(self, knob: Knob, second: Step) -> Step:
        """The weakest setting of a first step with which the pair keeps the limits."""
        low, high = 0, knob.most
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.on_counts((knob.step(middle), second)).reaches else (middle, high)
        return knob.step(high)

    # -- one plan ----------------------------------------------------------------------------------------------------

    def findings(self, tally: Tally) -> tuple[Finding, ...]:
        return findings_of(tally, self.settings, measures=self.measures, axes=self.prepared.distinct)

    def standings(self, findings: Sequence[Finding], plan: Plan | None = None) -> tuple[Standing, ...]:
        hidden = (
            {self.prepared.axes[step.axis].name for step in plan.step if isinstance(step, ScrubStep)} if plan else ()
        )
        return tuple(
            standing(
                limit,
                findings,
                before=[name for name in self.counted.get(limit.text, ()) if not _of_axes(name, hidden)],
            )
            for limit in self.limits
        )

    def on_counts(self, steps: tuple[Step, ...]) -> Candidate:
        """What a plan of selection and weights would do, from the counts."""
        plan = Plan(step=list(steps), name="found")
        key = plan.model_dump_json(by_alias=True)
        if key not in self.seen:
            try:
                outcome = self.start.after(plan)
            except InputError as error:
                self.seen[key] = Candidate(plan, None, problem=str(error))
            else:
                standings = self.standings(self.findings(outcome.tally(self.axes)), plan)
                self.seen[key] = Candidate(plan, outcome.touched, standings)
        return self.seen[key]

    def on_rows(self, steps: tuple[Step, ...]) -> Candidate:
        """What a plan does, carried out on all rows and audited."""
        from ... import audit

        plan = Plan(step=list(steps), name="found")
        key = plan.model_dump_json(by_alias=True)
        known = self.seen.get(key)
        if known is not None and (known.by == "rows" or known.touched is None):
            return known
        dataset = self.prepared.dataset
        try:
            with tempfile.TemporaryDirectory(prefix="evenset-") as folder:
                done = run(self.prepared, plan, axes=self.names, seed=self.seed, out=folder, audited=False)
                output = done.report["output"]
                place: Path | list[Path] = Path(folder) / output["name"]
                if output["name"] == "rows":
                    place = [Path(folder) / "rows" / name for name in output["files"]]
                weights = any(step.do == "reweight" for step in plan.step)
                after = open_again(dataset, place, weight=weights)
                report = audit.run(after, self.prepared.distinct, measures=self.measures)
            standings = self.standings(report.findings, plan)
            self.seen[key] = Candidate(plan, done.report["touched"]["rows"], standings, by="rows")
        except InputError as error:
            self.seen[key] = Candidate(plan, None, by="rows", problem=str(error))
        return self.seen[key]

    # -- the end -----------------------------------------------------------------------------------------------------

    def verified(self) -> Found:
        """The plan of fewest rows, of those that keep the limits by counts, that keeps them on the rows too.

        Where chance spreads rows over the other axes otherwise than in proportion, a plan that just keeps the limits on
        paper may miss them; then one of its family that is further inside is next, and other families as they are.
        """
        margins: dict[str, float] = {}
        for _ in range(_TRIES):
            left = self.reaching()
            near = [one for one in left if one.by == "rows" or one.excess <= margins.get(_family(one), 1.0)]
            # Where every family has missed by its margin, what is left of them may still do.
            best = min(near or left, key=_rank, default=None)
            if best is None or best.by == "rows":
                return self.found(best)
            self.say(f"carrying out {best.name} to see whether it does")
            done = self.on_rows(tuple(best.plan.step))
            if not done.reaches:
                # As far inside as this one was off, within bounds.
                margin = margins.get(_family(best), 1.0)
                off = best.excess / done.excess if done.excess else 1.0
                margins[_family(best)] = min(max(off, _MARGIN[0] * margin), _MARGIN[1] * margin)
        best = min((one for one in self.reaching() if one.by == "rows"), key=_rank, default=None)
        untried = sum(one.by == "counts" and (best is None or _rank(one) < _rank(best)) for one in self.reaching())
        if untried:
            self.say(
                f"{_TRIES} plans were carried out, which is as many as a search tries; {untried:,} more keep the "
                "limits by counts and were not carried out"
            )
        return self.found(best, untried)

    def found(self, best: Candidate | None, untried: int = 0) -> Found:
        return Found(
            dataset=self.prepared.dataset,
            axes=tuple(self.names),
            seed=self.seed,
            rows=int(self.start.rows.sum()),
            before=self.before,
            best=best,
            candidates=tuple(sorted(self.seen.values(), key=_rank)),
            untried=untried,
        )


def _rank(candidate: Candidate) -> tuple[float, int, str]:
    """Fewest rows first; of equals the shorter plan, then by name: nothing depends on the order of trying."""
    touched = float("inf") if candidate.touched is None else candidate.touched
    return touched, len(candidate.plan.step), candidate.name


def _family(candidate: Candidate) -> str:
    """Plans that differ in nothing but their strength."""
    return " then ".join([kind_of(candidate), *(step.axis for step in candidate.plan.step)])


def _of_axes(finding: str, axes: Sequence[str] | set[str]) -> bool:
    """Whether a finding's id is of one of the axes."""
    return any(finding.split(":", 1)[1].startswith(f"{axis}:") for axis in axes)
