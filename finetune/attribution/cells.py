"""Gaps as one table: for each term or label, upstream, plan and seed; and the largest part of it without holes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ..judging.design import ALL, NEUTRAL
from ..judging.gaps import Measured
from ..judging.scores import Floats

MOST_SETS = 64
"""Sets of seeds and of upstreams that are tried when looking for the largest grid without holes."""


@dataclass(frozen=True, slots=True)
class GapTable:
    """Gaps of all runs that take part, one row a run and one column a target.

    Attributes
    ----------
    targets : tuple of str
        Terms or labels in the gap, in the order of the yardstick.
    c : numpy.ndarray
        Imbalance of each target in the raw data, centred.
    n : numpy.ndarray
        Raw training rows of each target.
    at : mapping of (upstream, plan, seed) to int
        Row of `gap` and `log_ratio`, and index into the runs of `Measured`.
    gap : numpy.ndarray
        Runs × targets. Terms: false-positive rate minus that of rows without a term (without such rows: of all rows).
        Labels: true-positive rate of the first group minus the second.
    log_ratio : numpy.ndarray
        Runs × targets: log FPR ratio to all rows, or log TPR ratio first to second; +0.5 events and rows.
    notes : tuple of str
    """

    targets: tuple[str, ...]
    c: Floats
    n: Floats
    at: Mapping[tuple[str, str, int], int]
    gap: Floats
    log_ratio: Floats
    notes: tuple[str, ...] = ()

    @staticmethod
    def of(measured: Measured, plans: Mapping[str, str], *, leave_out: Collection[int] = ()) -> GapTable:
        """Gaps of every run that is neither a placebo nor a screening run.

        Parameters
        ----------
        measured : Measured
            From `judging.gaps.measure`.
        plans : mapping of str to str
            Plan of each arm; an arm that is missing has its own name.
        leave_out : collection of int
            Screening seeds.
        """
        design = measured.design
        stick, used = design.stick, len(design.stick.used)
        hits = measured.hits_of(range(len(measured.runs)))
        rate = np.array([hits[:, cell.rows].mean(axis=1) for cell in design.cells]).T
        n = np.array([cell.n for cell in design.cells], np.float64)
        smooth = np.log((rate * n + 0.5) / (n + 0.5))
        notes: list[str] = []
        if stick.kind == "fpr":
            bare = design.find(NEUTRAL)
            reference = bare if bare >= 0 else design.find(ALL)
            if bare < 0:
                notes.append("no rows without a term: gaps of single terms are taken from the rate of all rows")
            gap = rate[:, :used] - rate[:, [reference]]
            log_ratio = smooth[:, :used] - smooth[:, [design.find(ALL)]]
        else:
            gap = rate[:, 0 : 2 * used : 2] - rate[:, 1 : 2 * used : 2]
            log_ratio = smooth[:, 0 : 2 * used : 2] - smooth[:, 1 : 2 * used : 2]
        at: dict[tuple[str, str, int], int] = {}
        for row, facts in enumerate(measured.runs):
            run = facts.run
            if run.placebo_of is not None or run.seed in leave_out:
                continue
            key = (run.upstream, plans.get(run.arm, run.arm), run.seed)
            if key in at:
                other = measured.runs[at[key]].run.arm
                said = f'arms "{other}" and "{run.arm}" are one plan under {run.upstream}: only "{other}" is attributed'
                notes += [] if said in notes else [said]
                continue
            at[key] = row
        rows = {entry.name: float(entry.n) for entry in stick.entries}
        return GapTable(
            stick.used, stick.c, np.array([rows[name] for name in stick.used]), at, gap, log_ratio, tuple(notes)
        )

    def array(self, what: Floats, grid: Grid) -> Floats:
        """Values of a runs × targets table as targets × upstreams × plans × seeds."""
        rows = [[[self.at[u, d, s] for s in grid.seeds] for d in grid.plans] for u in grid.upstreams]
        return np.moveaxis(what[np.array(rows)], -1, 0)


@dataclass(frozen=True, slots=True)
class Grid:
    """Upstreams × plans × seeds, every combination of which was trained.

    Attributes
    ----------
    upstreams, plans : tuple of str
    seeds : tuple of int
    left_out : tuple of str
        What a grid without holes had no room for, in plain words.
    """

    upstreams: tuple[str, ...]
    plans: tuple[str, ...]
    seeds: tuple[int, ...]
    left_out: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of runs."""
        return len(self.upstreams) * len(self.plans) * len(self.seeds)


def largest_grid(keys: Collection[tuple[str, str, int]], *, base: str = "raw", pretrained: str = "pretrained") -> Grid:
    """The largest set of upstreams × plans × seeds without holes; names in the order given, seeds ascending.

    Parameters
    ----------
    keys : collection of (upstream, plan, seed)
        Finished runs.
    base, pretrained : str
        Preferred where two grids are equally large.

    Returns
    -------
    Grid
        With two seeds rather than one, then with most runs. Possibly with fewer than two upstreams or plans.

    Examples
    --------
    >>> runs = [(u, d, s) for u in ("pretrained", "random") for d in ("raw", "scrub") for s in range(3)]
    >>> largest_grid(runs).size, largest_grid(runs[:-1]).seeds
    (12, (0, 1))
    """
    upstreams = sorted(dict.fromkeys(u for u, _, _ in keys), key=lambda name: name != pretrained)
    plans = sorted(dict.fromkeys(d for _, d, _ in keys), key=lambda name: name != base)
    seeds_of: dict[tuple[str, str], frozenset[int]] = {}
    for u, d, s in keys:
        seeds_of[u, d] = seeds_of.get((u, d), frozenset()) | {s}
    best: tuple[tuple[bool, bool, int, bool, bool], Grid] | None = None
    for seeds in _closed(seeds_of.values()):
        inside = {cell for cell, have in seeds_of.items() if have >= seeds}
        for chosen in _subsets(upstreams):
            kept = tuple(d for d in plans if all((u, d) in inside for u in chosen))
            crossed = len(chosen) > 1 and len(kept) > 1
            key = (
                crossed,
                len(seeds) > 1,
                len(chosen) * len(kept) * len(seeds),
                base in kept,
                pretrained in chosen,
            )
            if kept and (best is None or key > best[0]):
                best = key, Grid(chosen, kept, tuple(sorted(seeds)))
    if best is None:
        return Grid((), (), ())
    return _described(best[1], upstreams, plans, sorted({s for _, _, s in keys}), len(set(keys)))


def _closed(sets: Collection[frozenset[int]]) -> list[frozenset[int]]:
    """All intersections of the sets that are not empty, as many as there is room for."""
    found = list(dict.fromkeys(sets))
    for one in found:  # grows while it is walked over
        for other in list(found):
            both = one & other
            if both and both not in found and len(found) < MOST_SETS:
                found.append(both)
    return found


def _subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Every set of names that is not empty; of many names only all, each one left out, and pairs."""
    sizes = range(1, len(names) + 1) if 2 ** len(names) <= 1024 else (len(names), len(names) - 1, 2, 1)
    return [chosen for size in sizes for chosen in combinations(names, size)]


def _described(grid: Grid, upstreams: list[str], plans: list[str], seeds: list[int], runs: int) -> Grid:
    parts = (
        ("upstreams", [u for u in upstreams if u not in grid.upstreams]),
        ("plans", [d for d in plans if d not in grid.plans]),
        ("seeds", [str(s) for s in seeds if s not in grid.seeds]),
    )
    lost = [f"{what} {', '.join(names)}" for what, names in parts if names]
    if not lost:
        return grid
    note = (
        f"not every combination was trained: {'; '.join(lost)} left out of the shares "
        f"({runs - grid.size} of {runs} runs)"
    )
    return Grid(grid.upstreams, grid.plans, grid.seeds, (note,))
