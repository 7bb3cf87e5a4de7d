"""Dose curves: levels of one size, planted curves found again, doses with intervals, and what is refused."""

import json
import math
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import score_sim
from hypothesis import given
from hypothesis import strategies as st

import evenset.data
from evenset import cli, curate
from evenset.curate.selection.resample import wanted
from evenset.data import config as settings
from evenset.data.config import Plan, ResampleStep
from evenset.data.errors import InputError
from evenset.data.sample import bios
from evenset.finetune import dose_report
from evenset.finetune.attribution.dose_claim import FAILS, HOLDS, UNTOLD, claims
from evenset.finetune.attribution.dose_curve import first_at, monotone, span
from evenset.finetune.attribution.levels import doses, find_plan, parse_levels
from evenset.finetune.dosing import BOTH, _with_arms, raw_level
from evenset.finetune.judging.decide import Margins
from evenset.finetune.judging.design import design
from evenset.finetune.judging.gaps import measure
from evenset.finetune.judging.resampling import bootstrap_draws, multi_bootstrap
from evenset.finetune.judging.scores import read
from evenset.finetune.judging.yardstick import Entry, Yardstick

LEVELS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0)


def resample(**options):
    return ResampleStep.model_validate({"do": "resample", "axis": "pronouns", **options})


def plan_of(**options):
    return Plan.model_validate({"step": [{"do": "resample", "axis": "pronouns", **options}]})


# Levels of one size


@given(counts=st.lists(st.tuples(st.integers(10, 400), st.integers(10, 400)), min_size=3, max_size=6))
def test_held_labels_have_one_size_at_every_level_and_the_share_that_methods_say(counts):
    have = np.array(counts)[:, :, None]
    names = [f"job{at}" for at in range(len(counts))]
    sizes = set()
    for level in LEVELS:
        try:
            found = wanted(
                resample(level=level, labels="held"), have, labels=names, patterns=[("she",), ("he",)],
                groups=["she", "he"], positive=None,
            ).want[:, :, 0]  # fmt: skip
        except InputError:
            # Only where a share would be less than half a row.
            share = have[:, 0, 0] / have[:, :, 0].sum(axis=1)
            meant = (1 - level) * share + level * 0.5
            size = have[:, :, 0].min(axis=1) * have[:, :, 0].sum(axis=1) // have[:, :, 0].max(axis=1)
            assert (np.minimum(meant, 1 - meant) * size <= 0.5 + 1e-9).any()
            continue
        sizes.add(tuple(found.sum(axis=1).tolist()))
        assert (found <= have[:, :, 0]).all()
        share = have[:, 0, 0] / have[:, :, 0].sum(axis=1)
        meant = (1 - level) * share + level * 0.5
        assert (np.abs(found[:, 0] - meant * found.sum(axis=1)) <= 0.5 + 1e-9).all()
    assert len(sizes) <= 1


@given(cells=st.tuples(*[st.integers(1, 300)] * 4), others=st.integers(0, 50))
def test_two_labels_are_half_and_half_at_every_level_and_only_the_correlation_moves(cells, others):
    have = np.array([[cells[0], cells[1], others], [cells[2], cells[3], others]])[:, :, None]
    m = min(cells)
    phi = []
    for level in LEVELS:
        found = wanted(
            resample(level=level, labels="equal"), have, labels=["0", "1"], patterns=[("she",), ("he",), ()],
            groups=["she", "he"], positive="1",
        ).want[:, :, 0]  # fmt: skip
        assert found[:, 2].tolist() == [0, 0]
        pair = found[:, :2]
        assert pair.sum(axis=1).tolist() == [m, m]
        assert pair.sum(axis=0).tolist() == [m, m]
        phi.append((pair[0, 0] * pair[1, 1] - pair[0, 1] * pair[1, 0]) / m**2)
    sign = 1 if cells[0] * cells[3] >= cells[1] * cells[2] else -1
    assert phi[0] == sign
    assert phi[-1] == -sign
    assert np.allclose(phi, sign * (1 - np.array(LEVELS)), atol=1 / m + 1e-9)


def test_curated_rows_of_all_levels_are_as_many_of_each_label():
    rows = [("She is a doctor", "doctor", 30), ("He is a doctor", "doctor", 70), ("She is a nurse", "nurse", 88),
            ("He is a nurse", "nurse", 22), ("It is a clerk", "clerk", 9), ("She is a clerk", "clerk", 4),
            ("He is a clerk", "clerk", 60)]  # fmt: skip
    table = pa.table(
        {
            "text": [f"{text} number {at}" for text, _, n in rows for at in range(n)],
            "label": [label for _, label, n in rows for _ in range(n)],
        }
    )
    ready = curate.prepare(evenset.data.open(table, text="text", label="label"), ["pronouns"])
    made = doses("balance", plan_of(level=1), LEVELS, n_labels=3)
    sizes, women = set(), []
    for arm in made.arms:
        got = curate.run(ready, made.plans[arm], seed=3).rows
        sizes.add(tuple(sorted(Counter(got.column("label").to_pylist()).items())))
        women.append(
            Counter(
                (t.split()[0], y) for t, y in zip(*(got.column(c).to_pylist() for c in ("text", "label")), strict=True)
            )
        )
    # 30/70: 100 * 30/70 rows; 88/22: 110 * 22/88; clerks are left as they are, for 4 of them are women.
    assert sizes == {(("clerk", 73), ("doctor", 42), ("nurse", 27))}
    assert [found["She", "doctor"] for found in women[::5]] == [13, 21, 29]
    assert [found["She", "nurse"] for found in women[::5]] == [22, 14, 5]
    assert {found["She", "clerk"] for found in women} == {4}


def test_min_rows_needs_a_level_and_equal_needs_under():
    with pytest.raises(InputError, match="min_rows goes with a `level`"):
        settings.parse({"plan": {"a": {"step": [{"do": "resample", "axis": "x", "log_ratio": 1, "min_rows": 3}]}}})
    for wrong in ({"level": 1, "method": "over"}, {"log_ratio": 1}):
        step = {"do": "resample", "axis": "x", "labels": "equal", **wrong}
        with pytest.raises(InputError, match='labels = "equal" goes with'):
            settings.parse({"plan": {"a": {"step": [step]}}})
    have = np.array([[5, 5], [5, 5], [5, 5]])[:, :, None]
    cells = {"patterns": [("she",), ("he",)], "groups": ["she", "he"], "positive": None}
    with pytest.raises(InputError, match='"equal" needs two labels, and there are 3'):
        wanted(resample(level=1, labels="equal"), have, labels=["a", "b", "c"], **cells)
    with pytest.raises(InputError, match=r"no label has 9 rows \(min_rows\)"):
        wanted(resample(level=1, min_rows=9), have, labels=["a", "b", "c"], **cells)
    with pytest.raises(InputError, match='"b" has no row of group "he"'):
        wanted(resample(level=1, labels="equal"), np.array([[5, 5], [5, 0]])[:, :, None], labels=["a", "b"], **cells)


# Levels and plans as they are given


@pytest.mark.parametrize(
    ("given_", "why"),
    [
        ("0,,2", "nothing between two commas"), ("a", '"a" is no number'), ("-1,0", "-1 is below 0"),
        ("0,1,1.0", "level 1 is there twice"), ("", "is empty"), ("1", "two levels at least"),
        ("nan,1", "no number"), ("1e999,1", "no number"), ("0,...,2", "two numbers before"),
        ("0,0.3,...,2", "do not lead to 2"), ("0,1,...", "one after it"), ("0,0.0001,...,2", "too many"),
        ("0;1", "no number"), ("0,0x1", "no number"),
    ],
)  # fmt: skip
def test_bad_levels_are_refused(given_, why):
    with pytest.raises(InputError, match=why):
        parse_levels(given_)


def test_levels_are_read():
    assert parse_levels("2, 0,1") == (0.0, 1.0, 2.0)
    assert parse_levels("0,0.2,…,2") == LEVELS


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([{"do": "reweight", "axis": "pronouns"}], "has no dose: reweight weighs to independence"),
        ([{"do": "scrub", "axis": "pronouns"}], "has no dose: scrub"),
        ([{"do": "swap", "axis": "pronouns"}], "has no dose: swap"),
        ([{"do": "resample", "axis": "pronouns", "target": "independent"}], "one point and no scale; write level = 1"),
        ([{"do": "resample", "axis": "i", "rate": "overall"}], "write a number for rate"),
        ([{"do": "resample", "axis": "a", "level": 1}, {"do": "resample", "axis": "b", "rate": 0.1}], "several steps"),
    ],
)
def test_plans_without_one_dose_are_refused(steps, why):
    with pytest.raises(InputError, match=why):
        doses("mine", Plan.model_validate({"step": steps}), [0, 1], n_labels=5)


def test_doses_keep_the_other_steps_and_say_which_levels_there_are():
    plan = Plan.model_validate(
        {"step": [{"do": "scrub", "axis": "identity"}, {"do": "resample", "axis": "pronouns", "log_ratio": 0.5}]}
    )
    made = doses("mine", plan, [0.1, 1.0], n_labels=2)
    assert [step.do for step in made.plans["dose-0.1"].step] == ["scrub", "resample"]
    assert made.plans["dose-0.1"].step[1].log_ratio == 0.1
    assert (made.labels, made.method, made.key) == ("held", "mixed", "log_ratio")
    with pytest.raises(InputError, match="no usual list"):
        doses("mine", plan, None, n_labels=2)
    with pytest.raises(InputError, match=r"2.5: level goes from 0 to 2"):
        doses("mine", plan_of(level=1), [0, 2.5], n_labels=2)
    assert doses("mine", plan_of(level=1), None, n_labels=2).levels == LEVELS
    assert doses("mine", plan_of(level=1), None, n_labels=2).labels == "equal"
    assert doses("mine", plan_of(level=1, method="mixed"), None, n_labels=2).labels == "held"


def test_a_plan_is_a_name_or_a_file(tmp_path):
    config = settings.parse({"plan": {"balance": {"step": [{"do": "resample", "axis": "pronouns", "level": 1}]}}})
    assert find_plan(config, "balance")[0] == "balance"
    with pytest.raises(InputError, match=r'no plan "balanec".*Did you mean "balance"'):
        find_plan(config, "balanec")
    file = tmp_path / "plan.toml"
    with pytest.raises(InputError, match="no such file"):
        find_plan(config, str(file))
    file.write_text('[[plan.found.step]]\ndo = "resample"\naxis = "pronouns"\nlevel = 0.5\n')
    assert find_plan(config, str(file))[0] == "found"
    file.write_text("[finetune]\nseeds = 2\n")
    with pytest.raises(InputError, match=r"has 0 plans \(none\)"):
        find_plan(config, str(file))


def test_upstreams_are_those_that_arms_name_else_both():
    raw = {"plan": {"balance": {"step": [{"do": "resample", "axis": "pronouns", "level": 1}]}},
           "arm": [{"plan": "balance"}], "finetune": {"model": "some/encoder"}}  # fmt: skip

    def upstreams(raw_):
        config = settings.parse(raw_)
        made = doses("balance", config.plan["balance"], [0, 1], n_labels=3)
        arms = _with_arms(config, made).arm
        assert not any(arm.placebo for arm in arms)
        return tuple(dict.fromkeys(arm.upstream for arm in arms))

    assert upstreams(raw) == BOTH
    assert upstreams(raw | {"arm": [{"plan": "balance", "upstream": "random"}]}) == ("random",)
    noise = {"upstream": {"noise": {"kind": "noise"}},
             "arm": [{"plan": "raw", "upstream": "pretrained"}, {"plan": "raw", "upstream": "noise"}]}  # fmt: skip
    assert upstreams(raw | noise) == ("pretrained", "noise")


# Curves


@given(gaps=st.lists(st.floats(-1, 1), min_size=2, max_size=12), upper=st.floats(-1, 1))
def test_laws_of_the_monotone_curve_and_its_dose(gaps, upper):
    gaps, x = np.array(gaps), np.arange(len(gaps), dtype=float)
    curve = monotone(gaps)
    assert (np.diff(curve) <= 1e-12).all()
    assert math.isclose(curve.mean(), gaps.mean(), abs_tol=1e-9)
    # No other monotone sequence is nearer: shifts and the constant among them.
    assert ((gaps - curve) ** 2).sum() <= ((gaps - gaps.mean()) ** 2).sum() + 1e-9
    dose = first_at(curve, x, upper)
    if math.isinf(dose):
        assert (curve > upper).all()
    else:
        assert np.interp(dose, x, curve) <= upper + 1e-9
        assert dose == 0 or math.isclose(np.interp(dose, x, curve), upper, abs_tol=1e-9)


def test_isotonic_by_hand():
    assert monotone(np.array([0.5, 0.3, 0.4, 0.1])).tolist() == pytest.approx([0.5, 0.35, 0.35, 0.1])
    assert first_at(np.array([-0.5, -0.6]), np.array([0.0, 1.0]), 0.1, -0.1) == math.inf
    assert span(np.array([0.1, 0.2, math.inf] * 100)) == (0.1, math.inf)
    assert all(map(math.isnan, span(np.array([0.1, math.nan]))))


def scores_of(rng, truth, *, seeds=5, seed_sd=0.05, upstream="pretrained", skeletons=60):
    """Runs of every level whose slope is what `truth` says of it."""
    arms = {f"dose-{level:g}": score_sim.Arm(slope) for level, slope in truth.items()}
    found = score_sim.simulate(rng, arms, seeds=seeds, seed_sd=seed_sd, skeletons=skeletons, rows=300)
    runs = tuple(type(run)(run.arm, upstream, run.seed) for run in found.runs)
    return type(found)(runs, found.items, found.score, found.predicted, found.labels)


def report_of(scores, truth, **options):
    arms = {f"dose-{level:g}": level for level in truth}
    given_ = {"plan": "balance", "repetitions": 300, "margins": Margins(margin=0.02)} | options
    return dose_report(scores, score_sim.stick(), arms, **given_)


PLANTED = {0.0: 0.5, 0.5: 0.3, 1.0: 0.0, 1.5: -0.2, 2.0: -0.4}


def test_a_planted_curve_is_found_again():
    found = report_of(scores_of(np.random.default_rng(1), PLANTED, seed_sd=0.02, skeletons=150), PLANTED)
    (curve,) = found.curves
    assert [point.level for point in curve.points] == sorted(PLANTED)
    assert curve.crossing.low < 1.0 < curve.crossing.high
    assert curve.line.slope.high < 0
    assert curve.line.trend_p < 1e-3
    assert curve.line.rises == ()
    assert 0.5 < curve.smallest.estimate < 1.0
    assert curve.smallest.low <= curve.smallest.estimate <= curve.smallest.high
    # Each point is the gap that the judging room gives for that arm.
    scores = scores_of(np.random.default_rng(1), PLANTED, seed_sd=0.02, skeletons=150)
    measured = measure(scores, design(scores, score_sim.stick()))
    mine = [run.gap for run in measured.runs if run.run.arm == "dose-0.5"]
    assert curve.points[1].gap == pytest.approx(np.mean(mine))
    # The line's crossing is that of least squares on the points.
    slope, start = np.polyfit([p.level for p in curve.points], [p.gap for p in curve.points], 1)
    assert curve.line.slope.estimate == pytest.approx(slope)
    assert curve.line.crossing.estimate == pytest.approx(-start / slope)


def test_a_limit_of_the_log_ratio_is_read_downwards():
    truth = {0.0: -0.3, 0.5: 0.2, 1.0: 0.5}
    found = report_of(scores_of(np.random.default_rng(2), truth, seed_sd=0.02), truth, key="log_ratio")
    (curve,) = found.curves
    assert [point.level for point in curve.points] == [1.0, 0.5, 0.0]
    assert 0 < curve.smallest.estimate < 0.5
    assert curve.smallest.low >= curve.smallest.high  # along the treatment
    assert curve.line.slope.estimate > 0
    assert found.claims == ()


def test_a_curve_that_rises_is_said_to():
    truth = {0.0: 0.3, 1.0: 0.0, 2.0: 0.5}
    (curve,) = report_of(scores_of(np.random.default_rng(3), truth, seed_sd=0.02), truth).curves
    assert [(before, after) for before, after, _ in curve.line.rises] == [(1.0, 2.0)]
    assert curve.line.trend_p > 0.025


def test_a_dose_that_no_level_reaches_is_beyond(tmp_path):
    truth = {0.0: 0.6, 1.0: 0.5, 2.0: 0.4}
    found = report_of(scores_of(np.random.default_rng(4), truth), truth)
    (curve,) = found.curves
    assert curve.smallest.estimate == math.inf
    assert curve.smallest.unmet == 1.0
    written = json.loads(found.save(tmp_path).read_text())
    assert written["schema"] == "evenset.dose/1"
    assert written["curves"][0]["smallest"]["high"] == "beyond"
    assert written["claims"][0]["answer"] == FAILS
    assert "at no level" in written["conclusion"]
    assert len(found.to_frame()) == 3


def test_pretrained_against_scratch():
    one, two = (
        {0.0: 0.6, 0.4: 0.55, 1.0: 0.3, 1.6: 0.0, 2.0: -0.2},
        {0.0: 0.5, 0.4: 0.0, 1.0: -0.2, 1.6: -0.4, 2.0: -0.5},
    )
    rng = np.random.default_rng(5)
    tables = [score_sim.to_table(scores_of(rng, truth, seed_sd=0.02, upstream=up)) for truth, up in
              ((one, "pretrained"), (two, "random"))]  # fmt: skip
    # The same rows, so that both are one set of scores.
    found = report_of(read(pa.concat_tables(tables)), one)
    assert [curve.upstream for curve in found.curves] == ["pretrained", "random"]
    (difference,) = found.differences
    assert (difference.first, difference.second) == ("pretrained", "random")
    assert difference.smallest_low > 0.4
    by = {(claim.claim[:6], claim.upstream): claim.answer for claim in found.claims}
    assert by["a shif", "pretrained"] == FAILS
    assert by["pre-tr", "pretrained - random"] == FAILS
    assert by["a shif", "random"] in (HOLDS, UNTOLD)
    control = found.curves[0].to_control
    assert control is not None
    assert control.low <= control.estimate <= control.high
    assert found.curves[1].to_control is None


def test_missing_levels_and_seeds_are_said_and_left_out():
    scores = scores_of(np.random.default_rng(6), PLANTED)
    table = score_sim.to_table(scores)

    def without(arm, seed):
        keep = [
            not (a == arm and s == seed)
            for a, s in zip(*(table.column(c).to_pylist() for c in ("arm", "seed")), strict=True)
        ]
        return read(table.filter(pa.array(keep)))

    found = report_of(without("dose-1", 2), PLANTED)
    assert found.curves[0].seeds == (0, 1, 3, 4)
    assert any("left out: 2" in note for note in found.notes)
    with pytest.raises(InputError, match="no upstream has a run at every level"):
        report_of(scores, {**PLANTED, 1.8: 0.0})


def test_one_seed_says_so():
    (curve,) = (found := report_of(scores_of(np.random.default_rng(7), PLANTED, seeds=1), PLANTED)).curves
    assert "one seed says nothing" in curve.smallest.method
    assert any("1 seeds are too few" in note for note in found.notes)


def test_joint_draws_are_those_of_one_arm_and_share_seeds():
    rng = np.random.default_rng(8)
    hits = (rng.random((4, 90)) < 0.4).astype(float)
    cells, coefficients = (np.arange(45), np.arange(45, 90)), np.array([1.0, -1.0])
    codes = (np.arange(90) // 3)[None, :]
    low, high = multi_bootstrap(hits, cells, coefficients, codes, key="a", repetitions=400)
    both = bootstrap_draws(np.stack([hits, 1 - hits]), cells, coefficients, codes, key="a", repetitions=400)
    assert np.quantile(both[:, 0], [0.025, 0.975]) == pytest.approx([low, high])
    assert both[:, 1] == pytest.approx(-both[:, 0])
    # With one seed fewer, the variance over seeds is that of a mean.
    apart = np.repeat(np.array([[0.0], [1.0], [0.0], [1.0]]), 90, axis=1)
    apart[:, 45:] = 0.0
    draws = bootstrap_draws(apart[None], cells, coefficients, codes, key="b", repetitions=20_000, seeds_drawn=3)
    assert draws.var() == pytest.approx((1 / 3) / 4, rel=0.05)


def test_the_level_of_raw_data_has_their_odds():
    entries = (Entry("0", 100, 0.2, -0.3, used=True, events=20), Entry("1", 100, 0.8, 0.3, used=True, events=80))
    stick = Yardstick("tpr", entries, "pronouns", "1", "she", "he")
    level = raw_level(stick)
    a = 1 - level / 2
    assert (a / (1 - a)) ** 2 == pytest.approx((80 / 20) * (80 / 20))
    assert level == pytest.approx(0.4)
    unknown = Yardstick("tpr", tuple(Entry(e.name, 100, e.raw, e.c, used=True) for e in entries), "p", "1", "she", "he")
    assert raw_level(unknown) is None


@pytest.mark.slow
def test_the_interval_of_the_dose_covers_the_truth():
    """The true curve is that of many seeds and skeletons; of 60 intervals some 57 should cover, 51 must."""
    big = scores_of(np.random.default_rng(99), PLANTED, seeds=40, seed_sd=0.06, skeletons=600)
    measured = measure(big, design(big, score_sim.stick()))
    x = np.array(sorted(PLANTED))
    true = monotone(
        np.array([np.mean([r.gap for r in measured.runs if r.run.arm == f"dose-{level:g}"]) for level in x])
    )
    crossing, smallest = first_at(true, x, 0.0), first_at(true, x, 0.02)
    hit = Counter()
    for trial in range(60):
        (curve,) = report_of(
            scores_of(np.random.default_rng([7, trial]), PLANTED, seeds=4, seed_sd=0.06, skeletons=40), PLANTED,
            repetitions=200,
        ).curves  # fmt: skip
        hit["crossing"] += curve.crossing.low <= crossing <= curve.crossing.high
        hit["smallest"] += curve.smallest.low <= smallest <= curve.smallest.high
    assert min(hit["crossing"], hit["smallest"]) >= 51, hit


# Claims


def claimed(gaps, *, start=None, raw=None, smallest=None, key="level", **changed):
    """What is claimed of curves whose levels have these gaps, give or take .01; `changed` by the number of a level."""

    def curve(upstream, changed):
        points = tuple(
            SimpleNamespace(
                **{
                    "level": level, "gap": gap, "gap_low": gap - 0.01, "gap_high": gap + 0.01, "threshold_free": gap,
                    "collapsed": (), "saturated": False,
                }
                | changed.get(f"at{number}", {})
            )
            for number, (level, gap) in enumerate(gaps.items())
        )  # fmt: skip
        dose = SimpleNamespace(**dict(zip(("estimate", "low", "high"), smallest or (0.2, 0.1, 0.3), strict=True)))
        return SimpleNamespace(upstream=upstream, points=points, smallest=dose, raw=raw, seeds=(0, 1, 2))

    difference = SimpleNamespace(first="pretrained", second="random", smallest=0.1, smallest_low=0.0, smallest_high=0.2)
    report = SimpleNamespace(
        key=key, curves=(curve("pretrained", changed), curve("random", {})), differences=(difference,),
        margins=SimpleNamespace(margin=0.02),
    )  # fmt: skip
    found = claims(report, start=start)
    return found[0].answer, found[0].sentence, found[2].answer, found[2].sentence


FALLING = {0.0: 0.4, 0.2: 0.02, 0.4: 0.0, 0.6: 0.0}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"at2": {"collapsed": ("seed 0: AUC 0.50",)}}, "at level 0.4 1 of 3 runs collapsed"),
        ({"at1": {"saturated": True}}, "at level 0.2 most runs are saturated"),
        ({"at0": {"saturated": True}}, "at level 0 most runs are saturated"),
        ({"at2": {"threshold_free": 0.6}}, "it depends on the threshold: from level 0 to 0.4"),
    ],
)
def test_a_gap_that_went_with_the_model_is_no_success(changed, why):
    assert claimed(FALLING)[::2] == (HOLDS, HOLDS)
    answer, sentence, costs, said = claimed(FALLING, **changed)
    assert answer == UNTOLD
    assert why in sentence
    if "at2" not in changed:  # the smallest dose is at .3 at most, so the level behind it counts, and no further one
        assert costs == UNTOLD
        assert why in said


def test_what_lies_behind_the_bound_changes_nothing():
    beyond = {"collapsed": ("seed 0: AUC 0.50",), "saturated": True, "threshold_free": 9.0}
    assert claimed(FALLING, at3=beyond)[0] == HOLDS
    assert claimed(FALLING, smallest=(0.9, 0.8, 1.0), at3=beyond)[0] == FAILS
    # Not known without a threshold: no objection.
    assert claimed(FALLING, **{f"at{at}": {"threshold_free": math.nan} for at in range(4)})[0] == HOLDS


@pytest.mark.parametrize("start", [None, 0.1])
def test_where_nothing_was_to_correct_nothing_is_told(start):
    nothing, little = {0.0: 0.0, 0.2: 0.0, 0.6: 0.0}, {0.0: 0.0105, 0.2: 0.005, 0.6: 0.0}
    within = {"at0": {"gap": 0.012, "gap_low": 0.005, "gap_high": 0.019}}
    for gaps, changed, raw, why in (
        (nothing, {}, None, "at level 0 includes 0"),
        (little, within, None, "at level 0 is within 0.02 already"),
        (FALLING, {}, (0.0, -0.1, 0.1), "of the raw arm includes 0"),
        (FALLING, {}, (0.01, 0.005, 0.015), "of the raw arm is within 0.02 already"),
    ):
        answer, sentence, costs, said = claimed(gaps, start=start, raw=raw, **changed)
        assert answer == costs == UNTOLD
        assert why in sentence
        assert why in said
    assert claimed(FALLING, start=start, raw=(0.4, 0.3, 0.5))[0] == HOLDS


# The whole way


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs")
    table = bios(3000, 0)[0]
    kept = pc.is_in(table.column("label"), pa.array(["professor", "physician", "attorney", "teacher"]))
    pq.write_table(table.filter(kept), folder / "bios.parquet")
    (folder / "mine.toml").write_text(
        f"""
[data]
train = "{folder / "bios.parquet"}"
text = "text"
label = "label"
axes = ["pronouns"]
[plan.balance]
[[plan.balance.step]]
do = "resample"
axis = "pronouns"
level = 1
[plan.scrub]
[[plan.scrub.step]]
do = "scrub"
axis = "pronouns"
[finetune]
model = "linear"
seeds = 1
screening_seeds = 1
workers = 1
[verdict]
measure = "tpr"
margin = 0.1
"""
    )
    return folder


def test_the_command_trains_levels_and_goes_on(jobs, capsys):
    out = jobs / "out"
    arguments = ["finetune", "--config", str(jobs / "mine.toml"), "--dose", "balance", "--out", str(out)]
    assert cli.invoke([*arguments, "--levels", "0,2"]) == 0
    screen = capsys.readouterr().out
    assert screen.startswith("Model: the gap is")
    assert all(len(line) <= 80 for line in screen.splitlines())
    found = json.loads((out / "dose.json").read_text())
    sizes = found["sizes"]
    assert sizes["dose-0"] == sizes["dose-2"]
    before = {path: path.stat().st_mtime_ns for path in out.glob("runs/dose-*/*/*.json")}
    assert len(before) == 2
    assert not list(out.glob("runs/*placebo*"))
    assert (out / "figures" / "doses.svg").exists()
    assert cli.invoke([*arguments, "--levels", "0,1,2", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert [point["level"] for point in again["curves"][0]["points"]] == [0, 1, 2]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert again["curves"][0]["raw"] is not None


def test_the_command_refuses_what_cannot_be(jobs, capsys, monkeypatch):
    base = ["finetune", "--config", str(jobs / "mine.toml"), "--out", str(jobs / "no")]

    def said(*more):
        assert cli.invoke([*base, *more]) == 2
        return capsys.readouterr().err

    assert "Name a plan with --dose" in said("--levels", "0,1")
    assert "nothing between two commas" in said("--dose", "balance", "--levels", "0,,2")
    assert "has no dose: scrub" in said("--dose", "scrub")
    assert 'no plan "nothing"' in said("--dose", "nothing")

    def few(ready, plan, **_):
        if plan.name != "dose-0":
            raise InputError("too few of them")
        return curated(ready, plan, **_)

    curated = curate.run
    monkeypatch.setattr(curate, "run", few)
    message = said("--dose", "balance", "--levels", "0,1,2")
    assert "level 1, 2 cannot be had from these rows; 0 can. For 1: too few of them" in message
    assert not (jobs / "no" / "runs").exists()
