"""Every measure of the table against a slow count, on planted data, and at its edges."""

import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from evenset.audit import MEASURES, measures_markdown, run
from evenset.audit.association import axis_table
from evenset.audit.cells import AxisCells, Counts
from evenset.audit.comparison import against_rest, rates
from evenset.audit.findings import Settings
from evenset.audit.intervals import wilson as wilson_interval
from evenset.audit.measures import findings_of
from evenset.audit.tally import Tally, total
from evenset.audit.yardsticks import yardsticks
from evenset.data.axes import parse_axes
from evenset.data.dataset import Dataset
from evenset.data.errors import InputError
from evenset.data.scan import scan

Z = 1.959963984540054


def dataset(rows, **columns):
    """Rows of (text, label) with other columns beside them."""
    table = pa.table(
        {"text": [text for text, _ in rows], "label": pa.array([label for _, label in rows], pa.string()), **columns}
    )
    return Dataset.of(table, text="text", label="label", weight="w" if "w" in columns else None)


def tally(data, specs):
    axes = parse_axes(specs, names=data.names)
    return total((Tally.of(scanned, axes) for scanned in scan(data, axes)), start=Tally.zero(axes))


def found(rows, specs, *, positive=None, reference=None, **columns):
    counted = tally(dataset(rows, **columns), specs)
    return {f.id: f for f in findings_of(counted, Settings(positive=positive, reference=reference or {}))}


def wilson(x, n):
    p, centre = x / n, (x + Z * Z / 2) / (n + Z * Z)
    half = Z / (n + Z * Z) * math.sqrt(n * p * (1 - p) + Z * Z / 4)
    return centre - half, centre + half


COMMENTS = [
    (f"a {term} neighbour {k}", "1" if k < toxic else "0")
    for term, toxic, rows in [
        ("gay", 60, 100), ("muslim", 30, 120), ("sikh", 3, 12),
        ("old", 9, 60), ("nice", 80, 900), ("gay muslim", 20, 25),
    ]
    for k in range(rows)
]  # fmt: skip
BIOS = [
    (f"{who} works {k}", job)
    for job, she, he in [("nurse", 90, 10), ("surgeon", 12, 88), ("teacher", 52, 48), ("dj", 2, 9)]
    for who, rows in [("She", she), ("He", he)]
    for k in range(rows)
] + [("They work", "nurse")] * 40


def test_label_measures_of_terms_against_a_slow_count():
    findings = found(COMMENTS, ["identity"], positive="1")
    for group in ("gay", "muslim", "sikh", "old"):
        inside = [label for text, label in COMMENTS if group in text.split()]
        outside = [label for text, label in COMMENTS if group not in text.split()]
        x1, n1, x2, n2 = inside.count("1"), len(inside), outside.count("1"), len(outside)
        rate = findings[f"label_rate:identity:{group}:1"]
        assert (rate.estimate, rate.n) == (pytest.approx(x1 / n1), n1)
        assert (rate.low, rate.high) == pytest.approx(wilson(x1, n1))
        ratio = findings[f"label_log_ratio:identity:{group}:1"]
        assert ratio.estimate == pytest.approx(math.log((x1 + 0.5) / (n1 + 0.5) / ((x2 + 0.5) / (n2 + 0.5))))
        assert ratio.n == n1
        if group != "sikh":
            half = Z * math.sqrt(1 / (x1 + 0.5) - 1 / (n1 + 0.5) + 1 / (x2 + 0.5) - 1 / (n2 + 0.5))
            assert (ratio.low, ratio.high) == pytest.approx((ratio.estimate - half, ratio.estimate + half))
        gap = findings[f"label_rate_gap:identity:{group}:1"]
        assert gap.estimate == pytest.approx(x1 / n1 - x2 / n2)
        (low1, high1), (low2, high2) = wilson(x1, n1), wilson(x2, n2)
        assert gap.low == pytest.approx(gap.estimate - math.hypot(x1 / n1 - low1, high2 - x2 / n2))
        assert gap.high == pytest.approx(gap.estimate + math.hypot(high1 - x1 / n1, x2 / n2 - low2))
        share = findings[f"representation:identity:{group}:"]
        assert (share.estimate, share.n, share.label) == (pytest.approx(n1 / len(COMMENTS)), len(COMMENTS), None)
        assert (share.low, share.high) == pytest.approx(wilson(n1, len(COMMENTS)))


def test_a_task_with_a_positive_label_reports_that_one_only_and_others_report_each():
    labels = {f.label for f in found(COMMENTS, ["identity"], positive="1").values() if f.measure == "label_rate"}
    assert labels == {"1"}
    labels = {f.label for f in found(COMMENTS, ["identity"]).values() if f.measure == "label_log_ratio"}
    assert labels == {"0", "1"}


def test_log_ratios_of_two_groups_against_a_slow_count():
    findings = found(BIOS, ["pronouns"])
    she_all = sum(text.startswith("She") for text, _ in BIOS)
    he_all = sum(text.startswith("He") for text, _ in BIOS)
    whole = findings["log_ratio:pronouns:she/he:"]
    assert (whole.estimate, whole.label, whole.n) == (
        pytest.approx(math.log((she_all + 0.5) / (he_all + 0.5))), None, she_all + he_all,
    )  # fmt: skip
    for job in ("nurse", "surgeon", "teacher", "dj"):
        she = sum(text.startswith("She") and label == job for text, label in BIOS)
        he = sum(text.startswith("He") and label == job for text, label in BIOS)
        ratio = findings[f"log_ratio:pronouns:she/he:{job}"]
        expected = math.log((she + 0.5) / (he + 0.5))
        half = Z * math.sqrt(1 / (she + 0.5) + 1 / (he + 0.5))
        assert (ratio.estimate, ratio.low, ratio.high) == pytest.approx((expected, expected - half, expected + half))
        assert ratio.n == she + he
        centred = findings[f"log_ratio_centred:pronouns:she/he:{job}"]
        assert centred.estimate == pytest.approx(expected - whole.estimate)
        assert centred.n == she + he
        gap = findings[f"label_rate_gap:pronouns:she/he:{job}"]
        assert gap.estimate == pytest.approx(she / she_all - he / he_all)
    assert not [f for f in findings.values() if f.measure == "label_log_ratio"]
    assert [findings[f"log_ratio_centred:pronouns:she/he:{job}"].enough for job in ("nurse", "dj")] == [True, False]


def test_a_column_with_two_values_is_a_contrast_and_with_three_is_not():
    rows = [("text", "a" if k % 3 else "b") for k in range(120)]
    two = found(rows, ["column:sex"], sex=["f", "m"] * 60)
    assert "log_ratio_centred:column:sex:f/m:a" in two
    three = found(rows, ["column:sex"], sex=["f", "m", "x"] * 40)
    assert "label_log_ratio:column:sex:x:a" in three
    assert not [f for f in three.values() if f.measure.startswith("log_ratio")]


def test_an_intersection_is_no_contrast_even_if_only_two_of_its_groups_occur():
    rows = [("she is gay", "a"), ("he is muslim", "b")] * 40
    measures = {f.measure for f in found(rows, ["pronouns+identity"]).values()}
    assert "label_log_ratio" in measures
    assert "log_ratio" not in measures


def test_rows_with_both_groups_of_a_contrast_count_for_neither():
    rows = [("t", "a")] * 60 + [("t", "b")] * 60
    values = pa.array([["f"], ["m"], ["f", "m"]] * 40)
    findings = found(rows, ["column:sex"], sex=values)
    assert findings["log_ratio:column:sex:f/m:"].n == 80
    assert findings["representation:column:sex:f:"].estimate == pytest.approx(2 / 3)


def test_exchanging_the_groups_flips_the_sign_and_nothing_else():
    exchanged = [(text.replace("She", "X").replace("He", "She").replace("X", "He"), label) for text, label in BIOS]
    one, other = found(BIOS, ["pronouns"]), found(exchanged, ["pronouns"])
    for name, finding in one.items():
        if finding.measure in ("log_ratio", "log_ratio_centred", "label_rate_gap"):
            assert (other[name].estimate, other[name].low) == pytest.approx((-finding.estimate, -finding.high))
    v = "cramers_v:pronouns::"
    assert (one[v].estimate, one[v].low, one[v].high) == pytest.approx((other[v].estimate, other[v].low, other[v].high))


# -- what is not judged -----------------------------------------------------------------------------------------------


def test_few_rows_are_shown_as_insufficient_with_their_estimate():
    rate = found(COMMENTS, ["identity"], positive="1")["label_rate:identity:sikh:1"]
    assert (rate.estimate, rate.n, rate.enough) == (0.25, 12, False)
    assert "n<30 (12 rows)" in rate.note


def test_a_ratio_needs_five_rows_counted_or_expected():
    rows = [("a gay man", "1" if k < toxic else "0") for toxic, n in [(2, 40)] for k in range(n)]
    rest = [("a man", "1")] * 1 + [("a man", "0")] * 4000
    thin = found(rows + rest, ["identity"], positive="1")["label_log_ratio:identity:gay:1"]
    assert not thin.enough  # two where 0.03 were expected
    assert "5 rows, counted or expected, with and without the label" in thin.note
    rest = [("a man", "1")] * 2000 + [("a man", "0")] * 2000
    none = found([("a gay man", "0")] * 60 + rest, ["identity"], positive="1")["label_log_ratio:identity:gay:1"]
    assert none.enough  # none where 30 were expected
    assert none.high < -1


def test_ambiguous_and_reported_groups_are_measured_and_not_judged():
    findings = found(COMMENTS + [("they said", "1")] * 40, ["identity", "pronouns"], positive="1")
    old, gay = findings["label_log_ratio:identity:old:1"], findings["label_log_ratio:identity:gay:1"]
    assert (old.judged, gay.judged) == (False, True)
    assert "ambiguous" in old.note
    they = findings["label_rate:pronouns:they:1"]
    assert (they.judged, they.n) == (False, 40)
    assert "reported only" in they.note


def test_rows_without_label_count_for_representation_only():
    rows = [("a gay man", "1"), ("a gay man", None), ("a man", "0"), ("a man", None)] * 30
    findings = found(rows, ["identity"], positive="1")
    assert findings["representation:identity:gay:"].estimate == 0.5
    assert findings["label_rate:identity:gay:1"].estimate == 1.0
    assert findings["label_rate:identity:gay:1"].n == 30


def test_groups_that_never_occur_have_a_share_of_zero_with_an_upper_bound_and_no_rates():
    findings = found(COMMENTS, ["identity"], positive="1")
    absent = findings["representation:identity:taoist:"]
    assert (absent.estimate, absent.low) == (0, 0)
    assert 0 < absent.high < 0.01
    assert "label_rate:identity:taoist:1" not in findings


def test_without_labels_only_representation_is_measured():
    table = pa.table({"text": ["She", "He", "it"] * 20})
    report = run(Dataset.of(table, text="text"), ["pronouns"])
    assert {f.measure for f in report.findings} == {"representation", "log_ratio"}
    assert report.scores["pronouns"]["value"] is None


# -- weights ----------------------------------------------------------------------------------------------------------


def test_weights_of_one_change_nothing():
    plain, weighted = found(BIOS, ["pronouns"]), found(BIOS, ["pronouns"], w=[1.0] * len(BIOS))
    assert plain == weighted


def test_equal_weights_are_worth_their_rows_whatever_their_size():
    plain, weighted = (
        found(COMMENTS, ["identity"], positive="1"),
        found(COMMENTS, ["identity"], positive="1", w=[4.0] * len(COMMENTS)),
    )
    for name, finding in plain.items():
        other = weighted[name]
        assert (other.estimate, other.low, other.high, other.n) == pytest.approx(
            (finding.estimate, finding.low, finding.high, finding.n), nan_ok=True
        )


def test_unequal_weights_use_their_sums_and_their_effective_rows():
    draw = random.Random(5)
    weights = [draw.choice([0.5, 1.0, 4.0]) for _ in COMMENTS]
    rate = found(COMMENTS, ["identity"], positive="1", w=weights)["label_rate:identity:muslim:1"]
    ours = [(w, label) for w, (text, label) in zip(weights, COMMENTS, strict=True) if "muslim" in text.split()]
    total_weight, squares = sum(w for w, _ in ours), sum(w * w for w, _ in ours)
    share = sum(w for w, label in ours if label == "1") / total_weight
    variance = sum((w / total_weight * ((label == "1") - share)) ** 2 for w, label in ours)
    n = share * (1 - share) / variance
    assert n != pytest.approx(total_weight**2 / squares, rel=1e-3)
    assert rate.estimate == pytest.approx(share)
    assert (rate.low, rate.high) == pytest.approx(wilson(share * n, n))
    assert rate.n == len(ours)


def test_rare_events_of_great_weight_are_few_whatever_they_weigh():
    draw = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        events = draw.binomial(1000, 0.02)
        cell = Counts(
            np.array([[events], [1000 - events]]),
            *(np.array([[events * (0.2 / 0.02) ** k], [(1000 - events) * (0.8 / 0.98) ** k]]) for k in (1, 2)),
        )
        x, n, _, _ = rates(cell, np.array([[True]]), [0])
        _, low, high = wilson_interval(x, n)
        held += bool(low[0, 0] <= 0.2 <= high[0, 0])
    assert 0.92 <= held / 400 <= 0.985


def test_pmi_of_weighted_rows_takes_the_share_of_the_weight():
    rows = [("a", str(int(i < 40))) for i in range(100)] + [("b", str(int(i < 100))) for i in range(1000)]
    weights = [10.0] * 100 + [1.0] * 1000
    pmi = found(rows, ["column:g"], positive="1", w=weights, g=[text for text, _ in rows])["pmi:column:g:a:1"]
    assert pmi.estimate == pytest.approx(math.log(0.4 / 0.25), abs=0.02)
    assert pmi.low < math.log(0.4 / 0.25) < pmi.high


def test_pairs_count_half_in_every_measure():
    single = AxisCells.of(tally(dataset(COMMENTS), ["identity"]), "identity")
    once, twice = (
        replace(single, labelled=Counts(single.labelled.rows, single.labelled.w, k * single.labelled.w2))
        for k in (1, 2)
    )
    one, other = (against_rest(cells, Settings(positive="1")) for cells in (once, twice))
    np.testing.assert_array_equal(one.n1, one.rows1)
    for whole, half in ((one.n1, other.n1), (one.n2, other.n2), (one.both, other.both)):
        np.testing.assert_array_equal(whole / 2, half)
    (first, _), (second, _) = axis_table(once), axis_table(twice)
    assert first == pytest.approx(2 * second)


def test_weights_that_make_group_and_label_independent_bring_v_to_zero():
    def key(text, label):
        return text.split()[0], label

    rows = [row for row in BIOS if row[0] != "They work"]
    cells, who, job, n = {}, {}, {}, len(rows)
    for text, label in rows:
        first, _ = key(text, label)
        cells[first, label] = cells.get((first, label), 0) + 1
        who[first], job[label] = who.get(first, 0) + 1, job.get(label, 0) + 1
    weights = [who[text.split()[0]] * job[label] / (n * cells[text.split()[0], label]) for text, label in rows]
    before, after = found(rows, ["pronouns"]), found(rows, ["pronouns"], w=weights)
    assert before["cramers_v:pronouns::"].estimate > 0.5
    assert after["cramers_v:pronouns::"].estimate == 0
    assert after["log_ratio_centred:pronouns:she/he:nurse"].estimate == pytest.approx(0, abs=0.02)


def test_a_group_worth_under_30_rows_by_its_weights_is_insufficient():
    rows = [("a gay man", "1")] * 60 + [("a man", "0")] * 60
    weights = [100.0] + [0.1] * 59 + [1.0] * 60
    finding = found(rows, ["identity"], positive="1", w=weights)["label_rate:identity:gay:1"]
    assert not finding.enough
    assert "60 rows worth" in finding.note


# -- reference --------------------------------------------------------------------------------------------------------


def test_representation_against_shares_that_add_up_to_one_looks_at_these_groups_only():
    findings = found(BIOS, ["pronouns"], reference={"pronouns": {"she": 0.6, "he": 0.4}})
    she, he = 156, 155
    ratio = findings["representation_ratio:pronouns:she:"]
    assert ratio.estimate == pytest.approx(math.log((she + 0.5) / (she + he + 0.5) / 0.6))
    assert ratio.n == she + he
    assert ratio.low < ratio.estimate < ratio.high < 0


def test_representation_against_other_shares_looks_at_all_rows():
    findings = found(COMMENTS, ["identity"], positive="1", reference={"identity": {"gay": 0.05, "taoist": 0.01}})
    gay = sum("gay" in text.split() for text, _ in COMMENTS)
    ratio = findings["representation_ratio:identity:gay:"]
    assert ratio.estimate == pytest.approx(math.log((gay + 0.5) / (len(COMMENTS) + 0.5) / 0.05))
    absent = findings["representation_ratio:identity:taoist:"]
    assert absent.low == -math.inf
    assert absent.high < 0


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ({"pronoun": {"she": 0.5}}, 'Did you mean "pronouns"'),
        ({"pronouns": {"shee": 0.5}}, 'Did you mean "she"'),
        ({"pronouns": {"she": 0.0}}, "above 0"),
    ],
)
def test_a_reference_that_fits_nothing_says_what_was_meant(reference, said):
    with pytest.raises(InputError, match=said):
        found(BIOS, ["pronouns"], reference=reference)


def test_without_a_reference_nothing_is_assumed():
    assert not [f for f in found(BIOS, ["pronouns"]).values() if f.measure == "representation_ratio"]


# -- Cramér's V -------------------------------------------------------------------------------------------------------


def slow_v(table):
    table = np.array(table, float)
    n, (r, c) = table.sum(), table.shape
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    phi2 = max(0, ((table - expected) ** 2 / expected).sum() / n - (r - 1) * (c - 1) / (n - 1))
    return math.sqrt(phi2 / min(r - 1 - (r - 1) ** 2 / (n - 1), c - 1 - (c - 1) ** 2 / (n - 1)))


def test_v_of_an_axis_pools_small_sets_and_leaves_out_groups_without_status():
    findings = found(COMMENTS, ["identity"], positive="1")
    kept = {"gay": "gay", "muslim": "muslim"}
    table = {}
    for text, label in COMMENTS:
        groups = " ".join(sorted(kept[word] for word in text.split() if word in kept))
        groups = "small" if groups == "gay muslim" or "sikh" in text else groups
        cell = table.setdefault(groups, [0, 0])
        cell[int(label)] += 1
    assert set(table) == {"", "gay", "muslim", "small"}
    finding = findings["cramers_v:identity::"]
    assert finding.estimate == pytest.approx(slow_v(list(table.values())))
    assert finding.n == len(COMMENTS)


def test_v_of_a_group_is_that_of_the_group_against_the_rest():
    inside = [label for text, label in COMMENTS if "muslim" in text.split()]
    outside = [label for text, label in COMMENTS if "muslim" not in text.split()]
    table = [[side.count("0"), side.count("1")] for side in (inside, outside)]
    assert found(COMMENTS, ["identity"])["cramers_v:identity:muslim:"].estimate == pytest.approx(slow_v(table))


def test_v_of_two_groups_looks_at_their_rows_only_and_pools_rare_labels():
    jobs = [("nurse",), ("surgeon",), ("teacher",), ("dj", "poet")]
    rows = [*BIOS, *[("She rhymes", "poet")] * 4]
    table = [
        [sum(text.startswith(who) and label in job for text, label in rows) for job in jobs] for who in ("She", "He")
    ]
    assert found(rows, ["pronouns"])["cramers_v:pronouns::"].estimate == pytest.approx(slow_v(table))


def test_one_label_has_no_v():
    rows = [(text, "x") for text, _ in BIOS]
    assert not [f for f in found(rows, ["pronouns"]).values() if f.measure == "cramers_v"]


# -- planted data -----------------------------------------------------------------------------------------------------


def test_planted_rates_lie_in_their_intervals_about_as_often_as_promised():
    rng = np.random.default_rng(11)
    truth = {"gay": 0.45, "muslim": 0.3, "jewish": 0.2, "catholic": 0.08, "canadian": 0.05, "chinese": 0.03}
    hits = []
    for _ in range(12):
        rows = [(f"a {t} man", "1" if u < rate else "0") for t, rate in truth.items() for u in rng.random(150)]
        rows += [("a man", "1" if u < 0.06 else "0") for u in rng.random(3000)]
        findings = found(rows, ["identity"], positive="1")
        for term, rate in truth.items():
            finding = findings[f"label_rate:identity:{term}:1"]
            hits.append(finding.low <= rate <= finding.high)
            # The rest holds the other terms, so its true rate is a mixture.
            others = [r for t, r in truth.items() if t != term]
            rest = (150 * sum(others) + 3000 * 0.06) / (150 * len(others) + 3000)
            ratio = findings[f"label_log_ratio:identity:{term}:1"]
            hits.append(ratio.low <= math.log(rate / rest) <= ratio.high)
    assert np.mean(hits) > 0.9


def test_the_sample_of_biographies_shows_what_was_planted():
    from evenset.data.sample import bios

    table, truth = bios(4_000, 3)
    data = Dataset.of(table, text="text", label="label")
    findings = {f.id: f for f in run(data, ["pronouns"]).findings}
    inside = [
        findings[f"log_ratio:pronouns:she/he:{job}"].low <= value <= findings[f"log_ratio:pronouns:she/he:{job}"].high
        for job, value in truth["log_ratio"].items()
    ]
    assert np.mean(inside) > 0.85
    assert len(inside) >= 20


# -- yardsticks -------------------------------------------------------------------------------------------------------


def test_yardsticks_are_those_that_finetune_computes_from_counts():
    from evenset.finetune.judging.yardstick import fpr_yardstick, load, tpr_yardstick

    counted = tally(dataset(COMMENTS + [("They said", "1")] * 40), ["identity", "pronouns"])
    section = yardsticks(counted, positive="1")["identity"]["fpr"]
    rows = [*COMMENTS, *[("They said", "1")] * 40]
    counts = {}
    for term in ("gay", "muslim", "sikh", "old"):
        labels = [label for text, label in rows if term in text.split()]
        counts[term] = len(labels), labels.count("1")
    total_positive = sum(label == "1" for _, label in rows)
    expected = fpr_yardstick(counts, total_n=len(rows), total_positive=total_positive, ambiguous=["old"])
    told = {entry["group"]: entry for entry in section["terms"]}
    assert {name for name, entry in told.items() if entry["in_t"]} == set(expected.used) == {"gay", "muslim"}
    assert told["old"]["ambiguous"]
    for entry in expected.entries:
        if entry.used:
            assert told[entry.name]["c"] == pytest.approx(entry.c)
        assert told[entry.name]["n"] == entry.n
    assert told["gay"]["rate"] == pytest.approx(counts["gay"][1] / counts["gay"][0])
    assert (section["prior_rows"], section["base_rate"]) == (20, pytest.approx(total_positive / len(rows)))

    rows = [*BIOS * 4, *[("She rhymes", "poet")] * 9]
    section = yardsticks(tally(dataset(rows), ["pronouns"]), positive=None)["pronouns"]["tpr"]
    both = {
        job: tuple(sum(text.startswith(who) and label == job for text, label in rows) for who in ("She", "He"))
        for job in ("nurse", "surgeon", "teacher", "dj", "poet")
    }
    expected = tpr_yardstick(both)
    assert load({"yardsticks": {"pronouns": {"tpr": section}}}).entries == expected.entries
    told = {entry["label"]: entry for entry in section["labels"]}
    assert (
        {name for name, entry in told.items() if entry["in_t"]} == set(expected.used) == {"nurse", "surgeon", "teacher"}
    )
    for entry in expected.entries:
        assert told[entry.name]["share"] == pytest.approx(entry.raw)
        if entry.used:
            assert told[entry.name]["c"] == pytest.approx(entry.c)


def test_reported_groups_are_in_no_yardstick():
    counted = tally(dataset([("they said", "1")] * 50 + [("she said", "0")] * 50), ["pronouns"])
    assert [entry["group"] for entry in yardsticks(counted, positive="1")["pronouns"]["fpr"]["terms"]] == ["she"]


# -- the table --------------------------------------------------------------------------------------------------------


def test_the_document_is_made_from_the_table():
    path = Path(__file__).resolve().parents[1] / "docs" / "measures.md"
    assert path.read_text(encoding="utf-8") == measures_markdown()


def test_every_measure_is_complete_and_makes_findings_of_its_own_name():
    counted = tally(dataset(BIOS), ["pronouns", "identity"])
    settings = Settings(reference={"pronouns": {"she": 0.5, "he": 0.5}})
    for name, measure in MEASURES.items():
        assert all((measure.name == name, measure.summary, measure.formula, measure.source, measure.range))
        assert {f.measure for axis in counted.axes for f in measure.of(counted, axis, settings)} <= {name}


def test_only_the_measures_asked_for_and_unknown_ones_are_refused():
    counted = tally(dataset(BIOS), ["pronouns"])
    assert {f.measure for f in findings_of(counted, Settings(), measures=["label_rate"])} == {"label_rate"}
    report = run(dataset(BIOS), ["pronouns"], measures=(name for name in ["label_rate"]))
    assert {f.measure for f in report.findings} == {"label_rate"}
    with pytest.raises(InputError, match='Did you mean "label_rate"'):
        findings_of(counted, Settings(), measures=["lable_rate"])


def test_ids_are_unique():
    counted = tally(dataset(BIOS + COMMENTS), ["pronouns", "identity", "pronouns+identity"])
    ids = [finding.id for finding in findings_of(counted, Settings())]
    assert len(ids) == len(set(ids))
