"""Score sets with a planted gap, for tests that must know the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from evenset.finetune.judging.scores import Items, Run, ScoreSet
from evenset.finetune.judging.yardstick import Entry, Yardstick

TERMS = ("asian", "blind", "catholic", "christian", "deaf", "gay", "jewish", "latino", "lesbian", "muslim", "queer",
         "sikh", "trans")  # fmt: skip
IMBALANCE = np.linspace(-1.2, 1.2, len(TERMS))


def stick(c: np.ndarray = IMBALANCE, terms: tuple[str, ...] = TERMS) -> Yardstick:
    centred = c - c.mean()
    entries = tuple(Entry(t, 100, float(a), float(b), used=True) for t, a, b in zip(terms, c, centred, strict=True))
    return Yardstick("fpr", entries, "identity", "1")


@dataclass(frozen=True)
class Arm:
    """How the models of an arm behave: the slope of their scores on imbalance, and how well they see the task."""

    slope: float
    quality: float = 1.5
    placebo_of: str | None = None
    shift: Mapping[str, float] | None = None  # scores of single terms, moved apart from the slope


def items(labels: np.ndarray, patterns: list[tuple[str, ...]], clusters: np.ndarray, name: str) -> Items:
    distinct = sorted(set(patterns))
    where = {p: i for i, p in enumerate(distinct)}
    return Items(
        ids=pa.array([f"{name}{i:06d}" for i in range(len(labels))]),
        label=labels.astype(np.int64),
        labels=("0", "1"),
        pattern=np.array([where[p] for p in patterns], dtype=np.int64),
        patterns=tuple(distinct),
        clusters=np.atleast_2d(clusters).astype(np.int64),
    )


def crossed(skeletons: int, *, positives: int = 0, neutral: bool = True) -> Items:
    """Every skeleton with every term (and bare), harmless skeletons first; clusters are skeletons."""
    per = len(TERMS) + neutral
    patterns = [(t,) for t in TERMS] + [()] * neutral
    labels = np.repeat(np.r_[np.zeros(skeletons), np.ones(positives)], per)
    return items(labels, patterns * (skeletons + positives), np.repeat(np.arange(skeletons + positives), per), "p")


def simulate(
    rng: np.random.Generator,
    arms: Mapping[str, Arm],
    *,
    seeds: int = 5,
    skeletons: int = 100,
    rows: int = 600,
    seed_sd: float = 0.05,
    skeleton_sd: float = 0.6,
    screening: int = 0,
) -> ScoreSet:
    """Probit scores: skeleton, row, seed and slope on imbalance; a row's luck is half shared by all runs."""
    probe = crossed(skeletons, positives=skeletons // 2)
    per = len(TERMS) + 1
    c = np.tile(np.append(IMBALANCE, 0.0), skeletons + skeletons // 2)
    truth = probe.label.astype(float)
    skeleton = np.repeat(rng.normal(0, skeleton_sd, skeletons + skeletons // 2), per)
    shared = rng.normal(0, np.sqrt(0.5), probe.n)
    flat = {}
    for name in ("dev", "test"):
        label = (np.arange(rows) % 3 == 0).astype(int)
        groups = [(TERMS[i % len(TERMS)],) if i % 4 == 0 else () for i in range(rows)]
        flat[name] = items(label, groups, np.arange(rows), name[0])
    ease = {name: rng.normal(0, np.sqrt(0.8), rows) for name in flat}
    runs, score = [], {"probe": [], "dev": [], "test": []}
    for arm in sorted(arms):
        how = arms[arm]
        moved = np.tile([(how.shift or {}).get(t, 0.0) for t in (*TERMS, "")], skeletons + skeletons // 2)
        for seed in range(seeds + screening):
            runs.append(Run(arm, "pretrained", seed, how.placebo_of))
            # One seed has one luck, whatever it was trained on; the rest is the arm's.
            slope = how.slope + rng.normal(0, seed_sd)
            score["probe"].append(
                how.quality * truth + slope * c + moved + skeleton + shared + rng.normal(0, np.sqrt(0.5), probe.n)
            )
            for name, where in flat.items():
                score[name].append(how.quality * where.label + ease[name] + rng.normal(0, np.sqrt(0.2), rows))
    return ScoreSet(
        runs=tuple(runs),
        items={"dev": flat["dev"], "probe": probe, "test": flat["test"]},
        score={name: np.array(rows_) for name, rows_ in score.items()},
        predicted={},
        labels=("0", "1"),
    )


def to_table(scores: ScoreSet) -> pa.Table:
    """The same as a table, as a file would hold it."""
    parts = []
    for split, there in scores.items.items():
        for at, run in enumerate(scores.runs):
            n = there.n
            parts.append(
                pa.table(
                    {
                        "arm": [run.arm] * n,
                        "upstream": [run.upstream] * n,
                        "seed": [run.seed] * n,
                        "split": [split] * n,
                        "id": there.ids,
                        "label": [scores.labels[code] for code in there.label],
                        "groups": [list(there.patterns[code]) for code in there.pattern],
                        "cluster": [[f"w{w}-{code}" for w, code in enumerate(column)] for column in there.clusters.T],
                        "score": scores.score[split][at],
                        "placebo_of": pa.array([run.placebo_of] * n, pa.string()),
                    }
                )
            )
    return pa.concat_tables(parts)
