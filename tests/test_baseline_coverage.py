"""The paired interval of a change holds the true change: small worlds drawn again and again."""

import math

import numpy as np
import pytest

from evenset.audit.check import Changes
from evenset.audit.findings import Settings
from evenset.audit.gate.parts import Split
from evenset.audit.measures import findings_of
from evenset.audit.sketch import ALL, BUCKETS, GROUP_BUCKETS, Print, Sketch
from evenset.audit.tally import UNIT, AxisNote, Cell, GroupNote, Tally
from evenset.data.config import CheckRule

SETTINGS = Settings(positive="1")
RULE = CheckRule(measure="label_log_ratio", warn=0.2, fail=0.5)


class Rows:
    """Rows of a group or not, with a label or not; each has a key."""

    def __init__(self, rng, n, *, share, rate, base):
        self.group = rng.random(n) < share
        self.label = rng.random(n) < np.where(self.group, rate, base)
        self.key = rng.integers(0, 1 << 63, n, dtype=np.uint64)

    @staticmethod
    def joined(*parts):
        both = object.__new__(Rows)
        for name in ("group", "label", "key"):
            setattr(both, name, np.concatenate([getattr(part, name) for part in parts]))
        return both

    def only(self, kept):
        some = object.__new__(Rows)
        some.group, some.label, some.key = self.group[kept], self.label[kept], self.key[kept]
        return some

    def sketch(self):
        def of(keys, size):
            return Print(
                len(keys),
                int(keys.sum(dtype=np.uint64)),
                np.bincount((keys & np.uint64(size - 1)).astype(np.int64), minlength=size),
            )

        return Sketch({ALL: of(self.key, BUCKETS), ("a", "g"): of(self.key[self.group], GROUP_BUCKETS)})

    def tally(self):
        cells = {}
        for label in (False, True):
            for group in (False, True):
                n = int(((self.label == label) & (self.group == group)).sum())
                cells[str(int(label)), ("g",) if group else (), 0] = Cell(n, n * UNIT, n * UNIT)
        note = AxisNote("column", {"g": GroupNote()})
        return Tally((82,), {"a": note}, rows=len(self.key), cells={"a": cells}, sketch=self.sketch())


def found(tally, measure):
    """The finding of the group; of the measure of the whole axis that."""
    group = None if measure == "cramers_v" else "g"
    (one,) = [one for one in findings_of(tally, SETTINGS, measures=[measure]) if one.group == group]
    return one


def truth(measure, *, share, rate, base):
    if measure == "label_log_ratio":
        return math.log(rate / base)
    if measure == "label_rate_gap":
        return rate - base
    if measure == "label_rate":
        return rate
    if measure == "representation":
        return share
    table = np.array([[share * rate, share * (1 - rate)], [(1 - share) * base, (1 - share) * (1 - base)]])
    expected = np.outer(table.sum(1), table.sum(0))
    return math.sqrt(((table - expected) ** 2 / expected).sum())


def mixed(worlds, sizes):
    """Share and rates of rows of several worlds together."""
    total = sum(sizes)
    share = sum(n * w["share"] for n, w in zip(sizes, worlds, strict=True)) / total
    rate = sum(n * w["share"] * w["rate"] for n, w in zip(sizes, worlds, strict=True)) / total / share
    base = sum(n * (1 - w["share"]) * w["base"] for n, w in zip(sizes, worlds, strict=True)) / total / (1 - share)
    return {"share": share, "rate": rate, "base": base}


OLD = {"share": 0.05, "rate": 0.3, "base": 0.1}
WORSE = {"share": 0.2, "rate": 0.6, "base": 0.1}
SAME_AS_REST = {"share": 0.05, "rate": 0.1, "base": 0.1}


def coverage(measure, kind, old, new, *, n=6000, m=600, times=400, seed=0):
    """Share of worlds whose interval holds the true change, and the mean width."""
    rng = np.random.default_rng(seed)
    held, widths = 0, []
    if kind == "replaced":
        after = mixed([old, new], [n - m, m])
    elif kind == "added":
        after = mixed([old, new], [n, m])
    else:
        after = new
    true = abs(truth(measure, **after)) - abs(truth(measure, **old))
    for _ in range(times):
        one = Rows(rng, n, **old)
        if kind == "added":
            two = Rows.joined(one, Rows(rng, m, **new))
        elif kind == "replaced":
            two = Rows.joined(one.only(slice(m, None)), Rows(rng, m, **new))
        else:
            two = Rows(rng, n, **new)
        old_tally, new_tally = one.tally(), two.tally()
        before, now = found(old_tally, measure), found(new_tally, measure)
        split = {"a": (Split.of(old_tally, "a", SETTINGS), Split.of(new_tally, "a", SETTINGS))}
        change = Changes({before.id: before}, old_tally, new_tally, 0.95, "", split).change(now, RULE)
        held += change.low <= true <= change.high
        widths.append(change.high - change.low)
    return held / times, float(np.mean(widths))


PAIRS = {
    "same": (OLD, OLD),
    "worse": (OLD, WORSE),
    "none": (SAME_AS_REST, SAME_AS_REST),
    "from none": (SAME_AS_REST, OLD),
}
KINDS = (("added", 600), ("replaced", 600), ("disjoint", 600))
# The whole grid of measures, kinds and pairs takes minutes; what the rest has in common with these is left out.
CELLS = [
    *((measure, kind, pair) for measure in ("label_log_ratio", "cramers_v") for kind in KINDS for pair in PAIRS),
    *((measure, kind, "worse") for measure in ("label_rate_gap", "label_rate", "representation") for kind in KINDS[:2]),
    *((measure, ("added", 60), "same") for measure in ("label_log_ratio", "cramers_v")),
]


@pytest.mark.slow
@pytest.mark.parametrize(("measure", "kind", "pair"), CELLS)
def test_the_paired_interval_holds_the_true_change(measure, kind, pair):
    old, new = PAIRS[pair]
    share, _ = coverage(measure, kind[0], old, new, m=kind[1], times=200)
    assert share >= 0.93 - 2 * math.sqrt(0.93 * 0.07 / 200)


def test_the_paired_interval_is_much_narrower_than_that_of_independent_rows():
    paired, narrow = coverage("label_log_ratio", "added", OLD, OLD, times=60)
    _, wide = coverage("label_log_ratio", "disjoint", OLD, OLD, times=60)
    assert paired >= 0.85
    assert narrow < wide / 2
