"""Checks beside a baseline: what has changed since an earlier audit, judged by intervals that know the shared rows."""

import json
import math
import random
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenset.audit import Finding, check, run
from evenset.audit.gate import snapshot
from evenset.audit.gate.baseline import Baseline
from evenset.audit.gate.change import Change, compare, limits_of, settled
from evenset.audit.gate.changes import screened
from evenset.audit.rules import default_rules, judge
from evenset.audit.sketch import ALL, FEWEST, LOAD, TOTALS, Print, Sketch, shared
from evenset.cli import invoke
from evenset.data.config import CheckRule
from evenset.data.dataset import Dataset
from evenset.data.errors import InputError

RULE = CheckRule(measure="label_log_ratio", warn=0.2, fail=0.5)


def rows(rates, *, n=300, rest=3000, seed=1, tag=""):
    draw = random.Random(seed)
    table = {"text": [], "label": []}
    for term, rate in rates.items():
        for k in range(n if term else rest):
            table["text"].append(f"{term} person {tag}{k}".strip())
            table["label"].append("1" if draw.random() < rate else "0")
    return table


def joined(*tables):
    return {name: [value for table in tables for value in table[name]] for name in ("text", "label")}


def dataset(table):
    return Dataset.of(pa.table(table), text="text", label="label", positive="1")


def audited(table, rules=()):
    return run(dataset(table), ["identity"], rules=rules)


MAIN = rows({"": 0.1, "gay": 0.4, "muslim": 0.12, "catholic": 0.1})


@pytest.fixture(scope="module")
def main(tmp_path_factory):
    folder = tmp_path_factory.mktemp("main")
    audited(MAIN).save(folder)
    return folder


# -- which rows are shared --------------------------------------------------------------------------------------------


def keys(n, seed=0):
    return np.random.default_rng(seed).integers(0, 1 << 63, n, dtype=np.uint64)


def printed(values, size=256):
    total = int(values.sum(dtype=np.uint64)) if len(values) else 0
    return Print(
        len(values), total % TOTALS, np.bincount((values & np.uint64(size - 1)).astype(np.int64), minlength=size)
    )


@given(st.lists(st.lists(st.integers(0, 2**63), max_size=20), min_size=3, max_size=3))
def test_prints_add_in_any_order_and_with_any_cuts(parts):
    one, two, three = (Sketch({ALL: printed(np.array(part, np.uint64))}) for part in parts)
    whole = Sketch({ALL: printed(np.array([key for part in parts for key in part], np.uint64))})
    assert ((one + two) + three).prints == (one + (three + two)).prints == whole.prints


def test_the_sketch_of_a_whole_is_that_of_its_shards():
    table = pa.table(MAIN)
    cut = [dataset(table.slice(0, 1000).to_pydict()), dataset(table.slice(1000).to_pydict())]
    parts = [run(part, ["identity", "pronouns"]).tally for part in cut]
    whole = run(dataset(MAIN), ["identity", "pronouns"]).tally
    assert (parts[0] + parts[1]).sketch.prints == whole.sketch.prints
    assert type(whole).from_arrow(whole.to_arrow()).sketch.prints == whole.sketch.prints
    mentions = sum(text.startswith("gay") for text in MAIN["text"])
    assert whole.sketch.prints["identity", "gay"].rows == mentions


@pytest.mark.parametrize(("removed", "added"), [(0, 50), (50, 0), (30, 30), (200, 400), (0, 3000), (3000, 3000)])
def test_the_number_of_shared_rows_is_about_right_and_seldom_too_high(removed, added):
    over = []
    for seed in range(40):
        every = keys(3000 + added, seed)
        old, new = printed(every[:3000], 1024), printed(every[removed:], 1024)
        found = shared(old, new)
        over.append((found.rows - (3000 - removed)) / max(removed + added, 1))
        assert not found.same
    assert max(over) < 0.12
    assert np.mean(np.array(over) > 0) < 0.4
    assert np.mean(over) > -0.12


def test_the_same_rows_are_the_same_and_one_other_row_is_not():
    one = keys(500)
    other = np.append(one[:-1], keys(1, 9))
    assert shared(printed(one), printed(one[::-1])).same
    assert not shared(printed(one), printed(other)).same


def test_what_is_written_says_nothing_about_one_text(main):
    content = json.loads((main / "audit.json").read_text())["tally"]["sketch"]
    assert content[0]["group"] == ""
    for one in content:
        counts = [int(count) for count in one["buckets"].split()]
        assert len(counts) == 1 or sum(counts) / len(counts) >= LOAD
        assert one["rows"] >= FEWEST
    assert "person" not in json.dumps(content)


def of_column(values, labels=None, texts=None):
    labels = ["0", "1"] * (len(values) // 2) if labels is None else labels
    table = {"text": texts or [f"row {k}" for k in range(len(values))], "label": labels, "g": values}
    return Dataset.of(pa.table(table), text="text", label="label", positive="1")


def audited_column(*args, rules=(), **more):
    return run(of_column(*args, **more), ["column:g"], rules=rules)


def saved(report, folder):
    (folder / "audit.json").write_text(json.dumps(report.to_dict()))
    return Baseline.load(folder / "audit.json")


@pytest.mark.parametrize("groups", [["a"] * 100 + ["b"] * 99 + ["rare"], ["a"] * 195 + ["b"] * 5, ["a"] * 4])
def test_no_small_set_of_rows_is_left_when_prints_are_taken_from_each_other(groups):
    written = audited_column(groups, ["1"] * len(groups)).tally.sketch.written()
    if len(groups) < FEWEST:
        assert written is None
        return
    rows = {(one["axis"], one["group"]): one["rows"] for one in written}
    whole = rows["", "column:g"]
    groups = [n for (axis, _), n in rows.items() if axis]
    assert all(one["total"] < TOTALS for one in written)
    for left in (*(whole - n for n in groups), whole - sum(groups), *groups):
        assert left == 0 or left >= FEWEST


def test_a_row_that_changes_its_group_is_another_row_there_and_the_same_row_elsewhere():
    one = audited_column(["a", "b"] * 200).tally.sketch
    two = audited_column(["a", "b"] * 199 + ["b", "a"]).tally.sketch
    assert one.prints[ALL] == two.prints[ALL]
    assert not shared(one.whole("column:g"), two.whole("column:g")).same
    assert 390 < shared(one.whole("column:g"), two.whole("column:g")).rows <= 400


@pytest.mark.slow
def test_groups_drawn_again_from_the_same_odds_are_no_change(tmp_path):
    rng = np.random.default_rng(11)
    rules = [
        CheckRule(measure="label_log_ratio", warn=0.1, fail=0.3, fail_change=0.05),
        CheckRule(measure="cramers_v", group="", warn=0.1, fail=0.2, fail_change=0.02),
    ]
    held, codes = {}, []
    for _ in range(60):
        label = (rng.random(500) < 0.3).astype(int)
        drawn = [
            ["xyz"[k] for k in (rng.random(500)[:, None] > np.array([[0.2, 0.5], [0.4, 0.7]])[label]).sum(1)]
            for _ in range(2)
        ]
        old, new = (audited_column(one, [str(k) for k in label], rules=rules) for one in drawn)
        result = check(new, rules, baseline=saved(old, tmp_path))
        codes.append(result.exit_code())
        for case in result.cases:
            held.setdefault(case.name, []).append(case.change.low <= 0 <= case.change.high)
    assert {name: np.mean(one) for name, one in held.items() if np.mean(one) < 0.9} == {}
    assert codes.count(1) <= 3


def test_counts_come_back_from_the_file(main):
    tally = audited(MAIN).tally
    back = snapshot.read(json.loads((main / "audit.json").read_text())["tally"])
    for name in ("rows", "edges", "axes", "cells", "lexicons", "empty_texts", "null_labels"):
        assert getattr(back, name) == getattr(tally, name)
    assert back.sketch.prints[ALL].total == tally.sketch.prints[ALL].total


# -- one change -------------------------------------------------------------------------------------------------------


def finding(low, high, **more):
    return Finding("identity", "gay", "1", "label_log_ratio", (low + high) / 2, low, high, 300, "Katz", **more)


def change(low, high, before="pass", **more):
    return Change(finding(0, 0.1, status=before), (low + high) / 2, low, high, same=False, paired=True, **more)


@pytest.mark.parametrize(
    ("now", "before", "ends", "expected"),
    [
        ("pass", "pass", (0.3, 0.4), ("pass", False)),  # inside its limits: no limits of change of its own
        ("fail", "fail", (0.25, 0.4), ("fail", False)),
        ("warn", "pass", (0.25, 0.4), ("warn", False)),  # never worse than the level
        ("fail", "fail", (0.12, 0.4), ("warn", False)),
        ("fail", "fail", (-0.01, 0.05), ("pass", True)),
        ("fail", "fail", (0.01, 0.05), ("pass", True)),
        ("fail", "warn", (0.01, 0.05), ("fail", False)),  # it crossed the limit, and has grown for certain
        ("fail", "warn", (-0.01, 0.05), ("pass", True)),
        ("fail", "fail", (-0.1, 0.15), ("pass", True)),
        ("fail", "fail", (-0.1, 0.25), ("unclear", False)),
        ("unclear", "unclear", (-0.02, 0.02), ("pass", True)),
        ("unclear", "unclear", (0.3, 0.6), ("fail", False)),
    ],
)
def test_what_counts_is_the_change(now, before, ends, expected):
    assert settled(finding(0.5, 0.9, status=now), change(*ends, before=before), RULE) == expected


@given(st.floats(-0.5, 1), st.floats(0, 1), st.floats(0, 1), st.sampled_from(["pass", "warn", "fail"]))
def test_what_has_grown_by_more_never_fares_better(low, width, more, before):
    order = {"pass": 0, "unclear": 1, "warn": 2, "fail": 3}
    for now in ("warn", "fail"):
        one, two = (
            settled(finding(0.5, 0.9, status=now), change(low + by, low + width + by, before=before), RULE)[0]
            for by in (0, more)
        )
        assert order[one] <= order[two]


def test_a_rule_may_limit_the_change_itself():
    own = CheckRule(measure="label_log_ratio", warn=0.2, fail=0.5, fail_change=0.05)
    assert settled(finding(0, 0.1, status="pass"), change(0.06, 0.08), own) == ("fail", False)
    assert settled(finding(0, 0.1, status="pass"), change(0.01, 0.04), own) == ("pass", False)
    assert limits_of(own) == (math.inf, 0.05)


def test_few_rows_that_have_changed_stay_unclear_and_few_that_have_not_are_known():
    thin = finding(0.1, 0.9, status="unclear", enough=False)
    assert settled(thin, change(-0.01, 0.01), RULE) == ("unclear", False)
    assert settled(thin, change(-0.01, 0.01, untouched=True), RULE) == ("pass", True)


def test_one_more_row_of_an_exact_count_over_its_limit_is_a_failure():
    rule = CheckRule(measure="residual_terms", fail=5)
    one = Finding("identity", None, None, "residual_terms", 10, 10, 10, 99, "count of all rows", status="fail")
    for now, status in ((11.0, "fail"), (10.0, "pass"), (9.0, "pass")):
        new = Finding("identity", None, None, "residual_terms", now, now, now, 99, "count of all rows", status="fail")
        grown = compare(new, one, rule, old=None, new=None)
        assert settled(new, grown, rule)[0] == status


@given(st.floats(-2, 2), st.floats(0.01, 0.5), st.floats(-2, 2), st.floats(0.01, 0.5))
def test_the_growth_lies_in_its_interval_and_turning_all_signs_changes_nothing(a, x, b, y):
    now, before = finding(a - x, a + x), finding(b - y, b + y)
    one = compare(now, before, RULE, old=None, new=None)
    assert one.low - 1e-9 <= abs(a) - abs(b) <= one.high + 1e-9
    turned = compare(finding(-a - x, -a + x), finding(-b - y, -b + y), RULE, old=None, new=None)
    assert (turned.low, turned.high) == pytest.approx((one.low, one.high))


def test_the_interval_is_that_of_a_bootstrap_that_shares_rows():
    """Rows in both data sets are drawn as often in either; brute force, by Poisson weights."""
    rng = np.random.default_rng(5)
    n, m, gone = 4000, 800, 300
    group, label = rng.random(n + m) < 0.2, rng.random(n + m) < 0.3
    every = keys(n + m, 5)
    sides = [np.arange(n + m) < n, np.arange(n + m) >= gone]

    def estimate(weight, side):
        x1, n1 = (weight * (side & group & label)).sum(), (weight * (side & group)).sum()
        x2, n2 = (weight * (side & ~group & label)).sum(), (weight * (side & ~group)).sum()
        return math.log((x1 + 0.5) / (n1 + 0.5)) - math.log((x2 + 0.5) / (n2 + 0.5))

    drawn = []
    for _ in range(1500):
        weight = rng.poisson(1.0, n + m)
        drawn.append(estimate(weight, sides[1]) - estimate(weight, sides[0]))
    from evenset.audit import intervals

    found, sketches = [], []
    for side in sides:
        counts = [(side & one & two).sum() for one in (group, ~group) for two in (label, label | True)]
        ends = (float(end) for end in intervals.log_ratio_rates(*counts))
        found.append(Finding("a", "g", "1", "label_log_ratio", *ends, int(side.sum()), "Katz"))
        sketches.append(Sketch({ALL: printed(every[side], 1024), ("a", "g"): printed(every[side & group])}))
    both = CheckRule(measure="label_log_ratio", warn_below=-9.0)  # the plain difference, whatever its sign
    paired = compare(found[1], found[0], both, old=sketches[0], new=sketches[1])
    alone = compare(found[1], found[0], both, old=None, new=None)
    half = 1.96 * float(np.std(drawn))
    assert 0.9 * half < (paired.high - paired.low) / 2 < 1.3 * half
    assert (alone.high - alone.low) / 2 > 1.8 * half


# -- whole checks -----------------------------------------------------------------------------------------------------


def test_unchanged_data_change_by_exactly_nothing_and_pass(main):
    report = audited(MAIN)
    result = check(report, default_rules(), baseline=Baseline.load(main), default=True)
    assert check(report, default_rules()).status == "fail"
    assert result.status == "pass"
    assert all((one.change.estimate, one.change.low, one.change.high) == (0, 0, 0) for one in result.cases)
    assert {one.finding.group for one in result.cases if one.known} >= {"gay"}
    assert "the same 3,900 rows" in result.note


def test_rows_in_another_order_are_the_same_rows(main):
    turned = {name: values[::-1] for name, values in MAIN.items()}
    assert "the same" in check(audited(turned), [RULE], baseline=Baseline.load(main)).note


def test_new_bias_fails_and_what_was_there_is_known(main):
    worse = joined(MAIN, rows({"muslim": 0.9}, n=250, tag="new"))
    result = check(audited(worse), [RULE], baseline=Baseline.load(main))
    assert result.status == "fail"
    assert {case.finding.group for case in result.cases if case.status == "fail"} == {"muslim"}
    (gay,) = [case for case in result.cases if case.finding.group == "gay"]
    assert (gay.status, gay.known) == ("pass", True)
    assert "known: not inside its limits on the baseline" in gay.message


def test_more_of_the_same_is_no_new_bias(main):
    more = joined(MAIN, rows({"": 0.1, "gay": 0.4, "muslim": 0.12, "catholic": 0.1}, n=20, rest=200, seed=7, tag="new"))
    result = check(audited(more), [RULE], baseline=Baseline.load(main))
    assert result.status == "pass"
    assert all(one.change.paired and one.change.low < 0 < one.change.high for one in result.cases if one.known)


def test_relabelled_rows_are_a_change(main):
    label = ["1" if text.startswith("catholic") and k % 2 else one for k, (text, one) in
             enumerate(zip(MAIN["text"], MAIN["label"], strict=True))]  # fmt: skip
    result = check(audited({**MAIN, "label": label}), [RULE], baseline=Baseline.load(main))
    assert {case.finding.group for case in result.cases if case.status == "fail"} == {"catholic"}


def test_other_rows_are_independent_and_added_is_named(main):
    other = rows({"": 0.1, "gay": 0.4, "muslim": 0.12, "catholic": 0.1}, seed=3, tag="other")
    result = check(audited(other), [RULE], baseline=Baseline.load(main))
    assert "--added" in result.note
    (gay,) = [case for case in result.cases if case.finding.group == "gay"]
    assert gay.change.high - gay.change.low > 0.3


def test_added_rows_are_judged_with_those_that_were_there(main):
    new = rows({"muslim": 0.9}, n=250, tag="new")
    baseline = Baseline.load(main)
    both = baseline.added(audited(new, [RULE]))
    whole = audited(joined(MAIN, new), [RULE])
    assert both.tally.cells == whole.tally.cells
    one, two = (check(report, [RULE], baseline=baseline) for report in (both, whole))
    assert [(case.name, case.status) for case in one.cases] == [(case.name, case.status) for case in two.cases]
    assert one.status == "fail"
    with pytest.raises(InputError, match="rows of the baseline itself"):
        baseline.added(audited(MAIN))


def test_a_group_that_is_not_on_the_baseline_is_judged_by_its_level(main):
    more = joined(MAIN, rows({"sikh": 0.8}, n=100, tag="new"))
    result = check(audited(more), [RULE], baseline=Baseline.load(main))
    (case,) = [case for case in result.cases if case.finding.group == "sikh"]
    assert case.status == "fail"
    assert "not on the baseline" in case.message


def test_a_column_that_gains_a_third_value_is_compared_with_what_it_was(tmp_path):
    rng = np.random.default_rng(4)
    groups = rng.choice(["x", "y"], 800).tolist()
    labels = [str(int(rng.random() < (0.6 if group == "x" else 0.2))) for group in groups]
    rules = default_rules()
    two = saved(audited_column(groups, labels), tmp_path)
    third = audited_column([*groups, "z"], [*labels, "0"])
    result = check(third, rules, baseline=two, default=True)
    assert result.exit_code() in (0, 3)
    changes = {case.finding.group: case for case in result.cases if case.finding.measure == "label_log_ratio"}
    assert changes["x"].known
    assert changes["y"].known
    three = saved(third, tmp_path)
    back = check(audited_column(groups, labels), rules, baseline=three, default=True)
    assert {case.finding.measure for case in back.cases if case.known} >= {"log_ratio_centred"}
    assert "groups of the baseline that no row has any more: z (column:g; 1 row there)" in back.note
    named = CheckRule(measure="label_log_ratio", group="z", fail=0.5)
    (case,) = check(audited_column(groups, labels), [named], baseline=three).cases
    assert case.status == "unclear"
    assert "It had 1 row on the baseline" in case.message


def test_a_group_that_had_too_few_rows_does_not_fail_for_more_of_the_same(tmp_path):
    few = joined(MAIN, rows({"sikh": 0.8}, n=26, rest=0, tag="few"))
    more = joined(few, rows({"sikh": 0.8}, n=10, rest=0, seed=2, tag="more"))
    result = check(audited(more), [RULE], baseline=saved(audited(few), tmp_path))
    (case,) = [case for case in result.cases if case.finding.group == "sikh"]
    assert case.finding.status == "fail"
    assert case.status == "unclear"
    assert "too few rows on the baseline (26)" in case.message


def test_a_measure_that_grows_with_the_rows_is_refused(main):
    rule = CheckRule(measure="log_odds_z", fail=4)
    assert check(audited(MAIN, [rule]), [rule], baseline=Baseline.load(main)).status == "pass"
    report = audited(joined(MAIN, rows({"": 0.1}, rest=50, tag="new")), [rule])
    with pytest.raises(InputError, match="use log_odds"):
        check(report, [rule], baseline=Baseline.load(main))


def test_what_was_unclear_and_is_so_still_is_known():
    thin = finding(0.1, 0.9, status="unclear", enough=False)
    assert settled(thin, change(-0.4, 0.5, before="unclear"), RULE) == ("pass", True)
    assert settled(thin, change(-0.4, 0.7, before="unclear"), RULE) == ("unclear", False)  # .15, the limit is .1
    assert settled(thin, change(-0.4, 0.5), RULE) == ("unclear", False)
    own = RULE.model_copy(update={"fail_change": 0.3})
    assert settled(thin, change(-0.4, 0.5, before="unclear"), own) == ("unclear", False)


def test_newly_worse_by_luck_among_many_is_unclear():
    one = finding(0.5, 0.9, status="fail")
    grown = replace(change(0.01, 0.15), error=0.07)
    still = replace(change(-0.1, 0.1), error=0.1)
    for others, status in ((0, "fail"), (19, "unclear")):
        found = screened([(one, grown)] + [(one, still)] * others, level=0.95)
        assert settled(one, found[0], RULE) == (status, False)
    assert "one of 20 compared" in found[0].remark
    large = screened([(one, replace(change(0.15, 0.29), error=0.07))] + [(one, still)] * 19, level=0.95)
    assert settled(one, large[0], RULE) == ("fail", False)


def test_a_limit_of_change_needs_a_baseline(main):
    rule = CheckRule(measure="cramers_v", group="", fail_change=0.02)
    report = audited(joined(MAIN, rows({"muslim": 0.9}, n=250, tag="new")))
    with pytest.raises(InputError, match="give an earlier audit as --baseline"):
        check(report, [rule])
    assert check(report, [rule], baseline=Baseline.load(main)).status == "fail"
    assert check(audited(MAIN), [rule], baseline=Baseline.load(main)).status == "pass"


def test_a_fall_under_a_lower_limit_is_a_change_for_the_worse(main):
    rule = CheckRule(measure="representation", group="gay", fail_below=0.1)  # 300 of 3,900: under it already
    fewer = {name: [one for one, text in zip(values, MAIN["text"], strict=True)
                    if not (text.startswith("gay") and text.endswith(("1", "3", "5", "7", "9")))]
             for name, values in MAIN.items()}  # fmt: skip
    assert check(audited(MAIN), [rule]).status == "fail"
    assert check(audited(MAIN), [rule], baseline=Baseline.load(main)).status == "pass"
    strict = rule.model_copy(update={"fail_change": 0.01})
    assert check(audited(fewer), [strict], baseline=Baseline.load(main)).status == "fail"


# -- baselines that cannot be used ------------------------------------------------------------------------------------


def edited(main, tmp_path, change):
    content = json.loads((main / "audit.json").read_text())
    change(content)
    (tmp_path / "audit.json").write_text(json.dumps(content))
    return tmp_path / "audit.json"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.update(schema="evenset.audit/9"), 'schema is "evenset.audit/9"'),
        (lambda c: c.pop("tally"), "an older evenset wrote it"),
        (lambda c: c["tally"].update(version=7), "version 7 of its counts"),
        (lambda c: c["tally"].update(rows=5), "do not add up"),
        (lambda c: c["tally"]["sketch"][0].update(buckets="1 2 3"), "damaged"),
        (lambda c: c["tally"].update(axes=3), "damaged"),
    ],
)
def test_a_file_that_is_no_baseline_is_refused(main, tmp_path, change, said):
    with pytest.raises(InputError, match=said) as caught:
        Baseline.load(edited(main, tmp_path, change))
    assert "make the baseline again" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["dataset"]["columns"].update(label="toxic"), 'column of the label: "toxic" there, "label" here'),
        (lambda c: c["dataset"]["columns"].update(positive="0"), 'label that counts as positive: "0" there, "1" here'),
        (
            lambda c: c["tally"]["lexicons"]["identity"].update(version="0.9"),
            'word list "identity": version 0.9 there, ',
        ),
        (lambda c: c["tally"]["lexicons"]["identity"].update(sha256="x"), "other words in one version"),
        (lambda c: c["tally"]["axes"].update(other=c["tally"]["axes"].pop("identity")), 'axis "identity" was not'),
        (lambda c: c["tally"]["axes"]["identity"].update(labels=["a", "b", None]), 'labels: "a", "b" there, "0", "1"'),
        (lambda c: c["tally"].update(edges="9 99 999 9999"), "length buckets"),
    ],
)
def test_numbers_that_are_not_comparable_are_refused_and_it_says_why(main, tmp_path, change, said):
    baseline = Baseline.load(edited(main, tmp_path, change))
    with pytest.raises(InputError, match="is not comparable with DATA") as caught:
        check(audited(MAIN), [RULE], baseline=baseline)
    assert said in str(caught.value)


def test_a_baseline_without_leakage_cannot_judge_it(main):
    rule = CheckRule(measure="leakage_auc", fail=0.9)
    report = judge(audited(MAIN).findings, [rule])
    with pytest.raises(InputError, match="made without leakage_auc"):
        check(audited(MAIN, [rule]), [rule], baseline=Baseline.load(main))
    assert report


def test_leakage_of_unchanged_data_has_not_changed_and_of_others_is_independent(tmp_path):
    rule = CheckRule(measure="leakage_auc", axis="pronouns", fail=0.55)
    draw = random.Random(3)
    table = {"text": [], "label": []}
    for k in range(400):
        who, what = draw.choice([("She", "nurse"), ("He", "judge")])
        table["text"].append(f"{who} works as a {what if draw.random() < 0.8 else 'clerk'} in town {k % 60}")
        table["label"].append(str(draw.random() < 0.5))
    data = Dataset.of(pa.table(table), text="text", label="label")
    report = run(data, ["pronouns"], rules=[rule], measures=["counts", "leakage"])
    report.save(tmp_path)
    assert check(report, [rule]).status == "fail"
    result = check(report, [rule], baseline=Baseline.load(tmp_path))
    assert result.status == "pass"
    assert all(case.known and case.change.high == 0 for case in result.cases)
    other = Dataset.of(pa.table(table).slice(20), text="text", label="label")
    later = run(other, ["pronouns"], rules=[rule], measures=["counts", "leakage"])
    assert not any(case.change.paired for case in check(later, [rule], baseline=Baseline.load(tmp_path)).cases)


def test_from_the_command_line(tmp_path, monkeypatch, capsys):
    import pyarrow.csv

    monkeypatch.chdir(tmp_path)
    new = rows({"muslim": 0.9}, n=250, tag="new")
    for name, table in (("main", MAIN), ("new", new), ("all", joined(MAIN, new))):
        pyarrow.csv.write_csv(pa.table(table), f"{name}.csv")
    given = ["--axis", "identity", "--label", "label", "--positive", "1", "--quiet"]
    assert invoke(["audit", "main.csv", *given, "--measures", "counts,association", "--out", "base"]) == 0
    assert invoke(["check", "main.csv", *given]) == 1
    assert invoke(["check", "main.csv", *given, "--baseline", "base"]) == 0
    assert invoke(["check", "all.csv", *given, "--baseline", "base/audit.json", "--out", "gate"]) == 1
    written = json.loads((tmp_path / "gate/check.json").read_text())
    assert "shared" in written["compared"]
    assert {"before", "growth", "low", "high", "paired"} == set(written["cases"][0]["change"])
    assert invoke(["check", "new.csv", *given, "--baseline", "base", "--added"]) == 1
    assert invoke(["check", "all.csv", *given, "--baseline", "base", "--out", "gate"]) == 2 - 1  # the same run again
    assert invoke(["check", "all.csv", *given, "--baseline", "nothing", "--out", "no"]) == 2
    assert "nothing: no such file" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()
    assert invoke(["check", "all.csv", *given, "--added"]) == 2
    assert "--added needs --baseline" in capsys.readouterr().err
