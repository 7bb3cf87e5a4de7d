"""What intervals of rates by group cost: evenset beside Fairlearn's MetricFrame bootstrap, in one process.

    pip install fairlearn
    python benchmarks/intervals.py [--rows 200000] [--peer-replicates 4] [--rounds 3]

Both get the same rows: a group and a 0/1 label each. First the rate of the label in each of 8 groups with a bootstrap
interval. Fairlearn draws rows again and again; evenset counts the cells once (that is in its time) and draws the cells,
which is the same bootstrap. Fairlearn does few replicates and its time for as many as evenset's is its time a replicate
multiplied; point values must be equal and intervals nearly so. Then what only evenset is asked for: 28 labels × 50
groups, all cells with 10,000 replicates, and every measure of the table that is computed by cells.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from evenset.audit.bootstrap import resampled
from evenset.audit.findings import Settings
from evenset.audit.measures import findings_of
from evenset.audit.tally import Tally, total
from evenset.data.axes import parse_axes
from evenset.data.dataset import Dataset
from evenset.data.scan import scan

REPLICATES = 10_000
GROUPS, LABELS = 50, 28


def spent(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of the CPU, which a busy machine does not spoil as much."""
    begun, worked = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begun, time.process_time() - worked


def least(rounds: int, work: Callable[[], object]) -> tuple[float, float]:
    """The same of the quickest round."""
    clock, cpu = zip(*(spent(work) for _ in range(rounds)), strict=True)
    return min(clock), min(cpu)


def percentiles(table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The 2.5 % and 97.5 % points of the rate of each column in each row, over resampled tables."""

    def rates(tables: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        rows = tables.sum(axis=2, keepdims=True)
        with np.errstate(invalid="ignore"):
            return (tables / rows).astype(np.float32)

    drawn = resampled(table, rates, replicates=REPLICATES).reshape(REPLICATES, -1).T.copy()
    below = round(0.025 * (REPLICATES - 1))
    drawn.partition((below, REPLICATES - 1 - below), axis=1)
    return drawn[:, [below, REPLICATES - 1 - below]].astype(np.float64)


def counted(group: npt.NDArray[np.int64], label: npt.NDArray[np.int64], groups: int) -> npt.NDArray[np.float64]:
    return np.bincount(group * 2 + label, minlength=2 * groups).reshape(groups, 2).astype(np.float64)


def peer(group: npt.NDArray[np.int64], label: npt.NDArray[np.int64], replicates: int) -> npt.NDArray[np.float64]:
    """Rates by Fairlearn, which makes its intervals at once."""
    from fairlearn.metrics import MetricFrame, selection_rate

    frame = MetricFrame(
        metrics=selection_rate,
        y_true=label,
        y_pred=label,
        sensitive_features=group,
        n_boot=replicates,
        ci_quantiles=[0.025, 0.975],
        random_state=0,
    )
    assert len(frame.by_group_ci) == 2
    return np.asarray(frame.by_group, dtype=np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--peer-replicates", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    group = rng.choice(8, given.rows, p=np.arange(1, 9) / 36)
    label = (rng.random(given.rows) < np.linspace(0.05, 0.4, 8)[group]).astype(np.int64)

    peer(group[:2000], label[:2000], 2)  # imports
    one = spent(lambda: peer(group, label, 1))
    rates = peer(group, label, 1)
    several = spent(lambda: peer(group, label, given.peer_replicates))
    theirs = [(more - less) / (given.peer_replicates - 1) for more, less in zip(several, one, strict=True)]
    table = counted(group, label, 8)
    mine = percentiles(table).reshape(8, 2, 2)[:, 1]
    ours = least(given.rounds, lambda: percentiles(counted(group, label, 8)))
    assert np.allclose(table[:, 1] / table.sum(axis=1), rates), "the rates differ"
    half = 1.96 * np.sqrt(rates * (1 - rates) / table.sum(axis=1))
    assert np.allclose((mine[:, 1] - mine[:, 0]) / 2, half, rtol=0.1), "the intervals are not those of the rates"
    print(
        f"{given.rows:,} rows, 8 groups: rate of a label, bootstrap interval of {REPLICATES:,} replicates; equal rates"
    )
    print(
        f"{'':12}{'done':>8}{'s a replicate':>15}{'s for all':>12}{'it / evenset':>14}"
        f"{'CPU s for all':>15}{'it / evenset':>14}"
    )
    for name, count, wall, work in (
        ("evenset", REPLICATES, *(value / REPLICATES for value in ours)),
        ("Fairlearn", given.peer_replicates, *theirs),
    ):
        print(
            f"{name:12}{count:8,}{wall:15.6f}{REPLICATES * wall:12.2f}{REPLICATES * wall / ours[0]:14,.0f}"
            f"{REPLICATES * work:15.2f}{REPLICATES * work / ours[1]:14,.0f}"
        )

    share, kinds = rng.dirichlet(np.ones(GROUPS)), rng.dirichlet(np.ones(LABELS), size=GROUPS)
    many = rng.multinomial(400_000, (share[:, None] * kinds).ravel()).reshape(GROUPS, LABELS).astype(np.float64)
    clock, cpu = least(given.rounds, lambda: percentiles(many))
    print(
        f"\n{LABELS} labels × {GROUPS} groups, {REPLICATES:,} replicates of all cells: {clock:.2f} s ({cpu:.2f} CPU s)"
    )
    at = np.repeat(np.arange(GROUPS * LABELS), many.ravel().astype(np.int64))
    names = np.array([f"g{k}" for k in range(GROUPS)]), np.array([f"l{k}" for k in range(LABELS)])
    columns = {"text": pa.array(["t"] * len(at)), "label": names[1][at % LABELS], "g": names[0][at // LABELS]}
    data = Dataset.of(pa.table(columns), text="text", label="label")
    axes = parse_axes(["column:g"], names=data.names)
    tally = total((Tally.of(scanned, axes) for scanned in scan(data, axes)), start=Tally.zero(axes))
    closed = least(given.rounds, lambda: findings_of(tally, Settings(), measures=["label_rate"]))
    whole = least(given.rounds, lambda: findings_of(tally, Settings()))
    count = len(findings_of(tally, Settings()))
    print(f"the same cells in closed form (Wilson): {closed[0]:.3f} s ({closed[1]:.3f} CPU s)")
    print(f"all measures, {count:,} findings with q: {whole[0]:.2f} s ({whole[1]:.2f} CPU s)")


if __name__ == "__main__":
    main()
