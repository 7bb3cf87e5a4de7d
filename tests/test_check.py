"""The gate: intervals against limits, the narrowest rule decides, and what a CI system reads."""

import json
import math
import random
import tomllib
from xml.etree import ElementTree

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenset.audit import Finding, check, init_config, run
from evenset.audit.rules import default_rules, judge, rows_needed, rule_for, status_of
from evenset.data.config import CheckRule, load, parse
from evenset.data.dataset import Dataset
from evenset.data.errors import InputError


def finding(low=0.9, high=1.1, *, measure="label_log_ratio", axis="identity", group="gay", label="1", n=100, **more):
    return Finding(axis, group, label, measure, (low + high) / 2, low, high, n, "Katz", **more)


def rule(measure="label_log_ratio", warn=0.2, fail=0.5, **narrowed):
    return CheckRule(measure=measure, warn=warn, fail=fail, **narrowed)


def comments(rates, *, rows=200, seed=1):
    draw = random.Random(seed)
    table = {"text": [], "label": []}
    for term, rate in rates.items():
        for k in range(rows if term else 2000):
            table["text"].append(f"{term} person {k}".strip())
            table["label"].append("1" if draw.random() < rate else "0")
    return Dataset.of(pa.table(table), text="text", label="label", positive="1")


# -- one interval -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "status"),
    [
        (0.5, 0.9, "fail"),
        (-0.9, -0.5, "fail"),
        (0.2, 0.5, "warn"),
        (0.3, 2.0, "warn"),
        (-2.0, -0.3, "warn"),
        (-0.19, 0.19, "pass"),
        (0.1, 0.19, "pass"),
        (-0.2, 0.1, "unclear"),
        (0.1, 0.9, "unclear"),
        (-2.0, 2.0, "unclear"),
        (math.nan, math.nan, "unclear"),
        (-math.inf, -0.6, "fail"),
        (-math.inf, 0.6, "unclear"),
    ],
)
def test_the_whole_interval_decides(low, high, status):
    assert status_of(finding(low, high), rule()) == status


def test_one_limit_is_enough():
    assert status_of(finding(0.3, 0.9), rule(fail=None)) == "warn"
    assert status_of(finding(0.6, 0.9), rule(warn=None)) == "fail"
    assert status_of(finding(0.1, 0.4), rule(warn=None)) == "pass"
    assert status_of(finding(0.1, 0.6), rule(warn=None)) == "unclear"
    assert status_of(finding(-0.9, -0.6), rule(warn=-0.2, fail=-0.5)) == "fail"


@given(st.floats(-3, 3), st.floats(0, 2), st.floats(0, 1), st.floats(0, 1))
def test_turning_the_sign_changes_no_status_and_a_narrower_interval_changes_no_decision(middle, half, narrower, warn):
    limits = rule(warn=warn, fail=warn + 0.3)
    wide = status_of(finding(middle - half, middle + half), limits)
    assert status_of(finding(-middle - half, -middle + half), limits) == wide
    narrow = status_of(finding(middle - half * narrower, middle + half * narrower), limits)
    if wide in ("pass", "fail"):
        assert narrow == wide
    if wide == "warn":
        assert narrow in ("warn", "fail")


def test_too_few_rows_are_never_a_pass_nor_a_fail():
    assert status_of(finding(2, 3, enough=False), rule()) == "unclear"
    assert status_of(finding(-0.01, 0.01, enough=False), rule()) == "unclear"


def test_unclear_findings_say_how_many_rows_would_decide():
    unclear = finding(0.0, 0.8, n=100)  # 0.4 ± 0.4, limit 0.2: half the width would do
    assert rows_needed(unclear, rule()) == 400
    (judged,) = judge([unclear], [rule()])
    assert judged.remark == "about 400 rows would decide"
    assert judge([judged], [rule()]) == (judged,)
    assert rows_needed(finding(0.5, 0.9, n=12, enough=False), rule()) == 30
    assert rows_needed(finding(math.nan, math.nan, n=12), rule()) is None
    (at_the_limit,) = judge([finding(0.1, 0.3)], [rule()])
    assert "too near the limit" in at_the_limit.remark


def test_planted_rows_needed_are_about_right():
    """With as many rows as were asked for, and the same rates, the finding is decided."""
    few = run(comments({"": 0.1, "gay": 0.16}, rows=60), ["identity"])
    unclear = next(f for f in few.findings if f.id == "label_log_ratio:identity:gay:1")
    assert unclear.status == "unclear"
    share = unclear.estimate
    needed = rows_needed(unclear, default_rules()[0])
    rate = 0.1 * math.exp(share)
    texts = ["gay person"] * int(needed * 1.1) + ["person"] * 200_000
    labels = ["1" if k < rate * needed * 1.1 else "0" for k in range(int(needed * 1.1))]
    labels += ["1" if k < 20_000 else "0" for k in range(200_000)]
    table = pa.table({"text": texts, "label": labels})
    many = run(Dataset.of(table, text="text", label="label", positive="1"), ["identity"])
    assert next(f for f in many.findings if f.id == unclear.id).status in ("warn", "fail", "pass")


# -- which rule -------------------------------------------------------------------------------------------------------


def test_the_narrowest_rule_decides_and_of_equals_the_last():
    by_axis = rule(warn=8, fail=9, axis="identity")
    by_group, by_label = (
        rule(warn=7, fail=9, axis="identity", group="gay"),
        rule(warn=6, fail=9, label="1", group="gay"),
    )
    exact = rule(warn=5, fail=9, axis="identity", group="gay", label="1")
    everything = [exact, by_label, by_group, by_axis, rule(warn=9, fail=9)]
    for k, wanted in enumerate(everything):
        assert rule_for(finding(), everything[k:]) is wanted
    assert rule_for(finding(), [rule(warn=0.3), rule(warn=0.1)]).warn == 0.1
    assert rule_for(finding(group="muslim"), [exact, by_axis]) is by_axis
    assert rule_for(finding(axis="pronouns"), [exact, by_axis]) is None


def test_an_empty_group_means_the_axis_as_a_whole():
    whole = finding(measure="cramers_v", group=None, label=None)
    one = finding(measure="cramers_v", group="gay", label=None)
    limits = rule("cramers_v", 0.1, 0.3, group="")
    assert [f.status for f in judge([whole, one], [limits])] == ["fail", None]


def test_groups_without_status_are_judged_only_when_named():
    aside = finding(group="white", judged=False)
    assert judge([aside], [rule()])[0].status is None
    assert judge([aside], [rule(axis="identity")])[0].status is None
    assert judge([aside], [rule(group="white")])[0].status == "fail"


def test_a_rule_on_an_unknown_measure_says_what_was_meant():
    for function in (lambda rules: judge([], rules), lambda rules: check([], rules)):
        with pytest.raises(InputError, match=r'no measure "label_log_ration".*Did you mean "label_log_ratio"'):
            function([rule("label_log_ration")])


# -- a whole check ----------------------------------------------------------------------------------------------------


def test_no_rules_are_an_error_not_a_pass():
    with pytest.raises(InputError, match=r"no \[\[check\]\] section.*--init"):
        check([finding()], [])


@pytest.mark.parametrize(
    ("found", "status", "code", "allowed"),
    [
        ([(0.6, 0.9), (0.0, 0.1)], "fail", 1, 1),
        ([(0.6, 0.9), (0.0, 0.9)], "fail", 1, 1),
        ([(0.3, 0.9), (0.0, 0.9)], "unclear", 3, 0),
        ([(0.3, 0.9), (0.0, 0.1)], "warn", 0, 0),
        ([(0.0, 0.1)], "pass", 0, 0),
    ],
)
def test_status_and_exit_code(found, status, code, allowed):
    result = check([finding(*ends, group=f"g{k}") for k, ends in enumerate(found)], [rule()])
    assert (result.status, result.exit_code(), result.exit_code(allow_unclear=True)) == (status, code, allowed)
    assert result.to_dict()["exit_code"] == code
    assert len(result.cases) == len(found)


@pytest.mark.parametrize(
    ("narrowed", "said"),
    [
        ({"group": "muslim"}, 'there is no group "muslim"'),
        ({"axis": "pronouns"}, 'there is no axis "pronouns"'),
        ({"label": "2"}, 'there is no label "2".'),
    ],
)
def test_a_rule_that_matches_nothing_is_unclear_and_says_why(narrowed, said):
    result = check([finding(0, 0.1)], [rule(), rule(**narrowed)])
    assert result.status == "unclear"
    (nothing,) = [case for case in result.cases if case.finding is None]
    assert said in nothing.message
    assert result.exit_code(allow_unclear=True) == 3
    assert check([finding(group="white", judged=False)], [rule()]).status == "unclear"


def test_a_rule_that_others_overrule_everywhere_is_no_case():
    result = check([finding(0, 0.1)], [rule(), rule(group="gay")])
    assert [case.status for case in result.cases] == ["pass"]


def test_statuses_of_the_audit_do_not_count():
    audited = judge([finding(0.6, 0.9)], [rule()])
    assert audited[0].status == "fail"
    assert check(audited, [rule(warn=2, fail=3)]).status == "pass"


NASTY = 'a "b" <c> & \x00\x1b[31m \ufffe ü 日本 ]]>\n'


@given(st.text(max_size=30), st.text(max_size=10))
def test_junit_is_xml_whatever_groups_and_labels_are_called(group, label):
    result = check([finding(0.6, 0.9, group=group + "x", label=label), finding(0.0, 0.9, group="u")], [rule()])
    root = ElementTree.fromstring(result.junit())
    assert len(root.findall("./testsuite/testcase")) == 2


def test_junit_has_a_failure_an_error_and_a_warning(tmp_path):
    found = [
        finding(0.6, 0.9, group=NASTY),
        finding(0.0, 0.9, group="b"),
        finding(0.3, 0.4, group="c"),
        finding(0, 0.1),
    ]
    result = check(found, [rule()])
    result.save(tmp_path)
    suite = ElementTree.fromstring((tmp_path / "junit.xml").read_bytes()).find("testsuite")
    assert {name: suite.get(name) for name in ("tests", "failures", "errors")} == {
        "tests": "4",
        "failures": "1",
        "errors": "1",
    }
    cases = suite.findall("testcase")
    assert "\\x00" in cases[0].get("name")
    assert "日本" in cases[0].get("name")
    assert cases[0].find("failure").get("message").startswith("label_log_ratio of a")
    assert cases[1].find("error").get("type") == "unclear"
    assert "warning" in cases[2].find("system-out").text
    assert list(cases[3]) == []
    written = json.loads((tmp_path / "check.json").read_text(encoding="utf-8"))
    assert written["schema"] == "evenset.check/1"
    assert [case["status"] for case in written["cases"]] == ["fail", "unclear", "warn", "pass"]
    assert written["counts"] == {"fail": 1, "warn": 1, "unclear": 1, "pass": 1}


def test_the_summary_is_one_line_that_says_what_failed():
    line = check([finding(0.6, 0.9), finding(0, 0.1, group="b")], [rule()]).summary()
    assert line.startswith("FAILED: 1 fail, 1 pass. First: label_log_ratio of gay")
    assert "\n" not in line
    assert check([finding(0, 0.1)], [rule()]).summary() == "PASSED: 1 pass."


# -- a first config ---------------------------------------------------------------------------------------------------

BIASED = {"": 0.08, "gay": 0.6, "muslim": 0.3, "catholic": 0.09}


def test_the_first_config_passes_on_the_data_it_was_made_from(tmp_path):
    report = run(comments(BIASED), ["identity"])
    assert report.conclusion().startswith("This data can teach a model a bias")
    path = tmp_path / "evenset.toml"
    path.write_text(init_config(report), encoding="utf-8")
    config = load(path)
    assert {(r.measure, r.group, r.label) for r in config.check} >= {
        ("label_log_ratio", "gay", "1"),
        ("cramers_v", "", None),
    }
    assert check(report, config.check).status == "pass"
    assert config.data.axes == ["identity"]
    assert (config.data.text, config.data.label, config.data.positive) == ("text", "label", "1")
    assert [step.do for step in config.get_plan("balance").step] == ["reweight"]


def test_the_first_config_fails_on_worse_data():
    report = run(comments(BIASED), ["identity"])
    config = parse(tomllib.loads(init_config(report)))
    worse = run(comments({**BIASED, "catholic": 0.5}), ["identity"])
    result = check(worse, config.check)
    assert result.exit_code() == 1
    assert {case.finding.group for case in result.cases if case.status == "fail"} >= {"catholic"}


def test_limits_are_never_stricter_than_the_defaults_and_thin_groups_are_named_in_a_comment():
    report = run(comments({"": 0.1, "gay": 0.1, "sikh": 0.1}, rows=1500), ["identity"])
    text = init_config(report)
    assert all(rule.warn >= 0.1 for rule in parse(tomllib.loads(text)).check)
    thin = run(comments({"": 0.1, "sikh": 0.5}, rows=12), ["identity"])
    assert "no rule (too few rows today): sikh 1 (12)" in init_config(thin)


def test_names_that_toml_or_the_config_would_read_otherwise_do_no_harm():
    table = pa.table(
        {"text": ["x"] * 400, "label": ['"a"\\\n', "b\x7f"] * 200, "who": ["${HOME}", 'p"\tr', "q", "q"] * 100}
    )
    report = run(Dataset.of(table, text="text", label="label"), ["column:who"])
    config = parse(tomllib.loads(init_config(report)))
    assert {rule.group for rule in config.check} == {"", 'p"\tr', "q"}
    assert check(report, config.check).exit_code() in (0, 3)


@pytest.mark.real
def test_a_first_config_of_gab_passes_on_gab(shared_data):
    from evenset.data import open as open_data

    report = run(open_data(shared_data / "gab" / "train.csv"), ["pronouns", "identity"])
    config = parse(tomllib.loads(init_config(report)))
    assert check(report, config.check).exit_code() == 0
    assert len(config.check) > 10
