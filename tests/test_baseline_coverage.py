"""The paired interval of a change holds the true change: small worlds drawn again and again."""

import math

import numpy as np
import pytest

from evenset.audit import intervals
from evenset.audit.findings import Finding
from evenset.audit.gate.change import compare
from evenset.audit.sketch import ALL, BUCKETS, GROUP_BUCKETS, Print, Sketch
from evenset.data.config import CheckRule

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

    def finding(self, measure):
        inside, outside = self.label[self.group], self.label[~self.group]
        x1, n1, x2, n2 = inside.sum(), len(inside), outside.sum(), len(outside)
        if measure == "label_log_ratio":
            found = intervals.log_ratio_rates(x1, n1, x2, n2)
        elif measure == "label_rate_gap":
            found = intervals.newcombe_difference(x1, n1, x2, n2)
        elif measure == "label_rate":
            found = intervals.wilson(x1, n1)
        elif measure == "representation":
            found = intervals.wilson(n1, n1 + n2)
        else:
            found = intervals.cramers_v([[x1, n1 - x1], [x2, n2 - x2]])[:3]
        return Finding("a", "g", "1", measure, *(float(end) for end in found), n1, "m")


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
        change = compare(two.finding(measure), one.finding(measure), RULE, old=one.sketch(), new=two.sketch())
        held += change.low <= true <= change.high
        widths.append(change.high - change.low)
    return held / times, float(np.mean(widths))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "m"), [("added", 60), ("added", 600), ("replaced", 600), ("disjoint", 600)])
@pytest.mark.parametrize("measure", ["label_log_ratio", "label_rate_gap", "label_rate", "representation", "cramers_v"])
@pytest.mark.parametrize(("old", "new"), [(OLD, OLD), (OLD, WORSE), (SAME_AS_REST, SAME_AS_REST), (SAME_AS_REST, OLD)])
def test_the_paired_interval_holds_the_true_change(measure, kind, old, new, m):
    share, _ = coverage(measure, kind, old, new, m=m)
    assert share >= 0.93 - 2 * math.sqrt(0.93 * 0.07 / 400)


def test_the_paired_interval_is_much_narrower_than_that_of_independent_rows():
    paired, narrow = coverage("label_log_ratio", "added", OLD, OLD, times=60)
    _, wide = coverage("label_log_ratio", "disjoint", OLD, OLD, times=60)
    assert paired >= 0.85
    assert narrow < wide / 2
