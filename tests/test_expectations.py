"""Great Expectations comes to the verdict of the check, and shows no row."""

import json
import random
import warnings
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evenset.audit import Finding, check, run
from evenset.audit.exact import exact
from evenset.audit.measures import MEASURES
from evenset.data import open as open_rows
from evenset.data.config import Config, parse
from evenset.data.errors import InputError

with warnings.catch_warnings():
    # Great Expectations' own imports: older releases read parts of marshmallow and pandas that are going away.
    warnings.simplefilter("ignore", DeprecationWarning)
    gx = pytest.importorskip("great_expectations", reason="the extra gx is not installed")
    from evenset.audit import expectations as ex
    from evenset.audit.expectations import load_suite, save_suite, suite
    from evenset.audit.expectations.metrics import EvensetFindings
    from evenset.audit.expectations.running import quiet_context
    from evenset.audit.expectations.words import plain

SECRET = "zanzibar"


def comments(rates: dict[str, float], *, rows: int = 200, seed: int = 1, weight: bool = False) -> pd.DataFrame:
    draw = random.Random(seed)
    table: dict[str, list] = {"text": [], "label": []}
    for term, rate in rates.items():
        for k in range(rows if term else 3 * rows):
            table["text"].append(f"{term} person {SECRET} {k}".strip())
            table["label"].append("1" if draw.random() < rate else "0")
    if weight:
        table["weight"] = [1.0 + k % 3 for k in range(len(table["text"]))]
    return pd.DataFrame(table)


DATA = comments({"gay": 0.6, "muslim": 0.3, "": 0.2})


def config(*rules: dict, axes: tuple[str, ...] = ("identity",), **data: object) -> Config:
    return parse({"data": {"text": "text", "label": "label", "axes": list(axes), **data}, "check": list(rules)})


def audited(frame: pd.DataFrame, cfg: Config):
    data = cfg.data
    counted = any(rule.measure == "invalid_weights" for rule in cfg.check)
    dataset = open_rows(
        frame, text=data.text, label=data.label, weight=data.weight, need_label=True, count_bad_weights=counted
    )
    return run(dataset, axes=data.axes, rules=cfg.check, reference=cfg.reference, measures=None)


def native(report, cfg: Config) -> tuple[str, int, int]:
    result = check(report, cfg.check)
    return result.status, result.exit_code(), result.exit_code(allow_unclear=True)


def through(found, made) -> tuple[str, int, int]:
    done = ex.validate(found, made)
    # Success is exactly what the check exits with 0 for.
    assert done.success == (done.exit_code() == 0)
    return done.status, done.exit_code(), done.exit_code(allow_unclear=True)


# -- the same verdict -------------------------------------------------------------------------------------------------


def findings(draw: st.DrawFn) -> list[Finding]:
    number = st.floats(-2, 2, allow_nan=False).map(lambda value: round(value, 2))
    made = []
    for measure in ("label_log_ratio", "representation", "cramers_v", "label_rate"):
        for axis, group, label in draw(
            st.lists(
                st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["x", "y", None]), st.sampled_from(["0", None])),
                max_size=3, unique=True,
            )
        ):  # fmt: skip
            low, high = sorted((draw(number), draw(number)))
            made.append(
                Finding(
                    axis, group, label, measure, (low + high) / 2, low, high, draw(st.integers(0, 500)), "made",
                    enough=draw(st.booleans()), judged=draw(st.booleans()), q=draw(st.sampled_from([None, 0.01, 0.5])),
                )
            )  # fmt: skip
    made.append(exact("residual_terms", draw(st.integers(0, 3)), 100, axis="a"))
    return made


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[Finding], Config]:
    rules = []
    for _ in range(draw(st.integers(1, 5))):
        measures = ["label_log_ratio", "representation", "cramers_v", "label_rate", "residual_terms", "leakage_auc"]
        rule: dict = {"measure": draw(st.sampled_from(measures))}
        for key, values in (("axis", ["a", "b", "none"]), ("group", ["x", "y", "", "z"]), ("label", ["0", "9"])):
            if draw(st.booleans()):
                rule[key] = draw(st.sampled_from(values))
        kind = draw(st.sampled_from(["upper", "lower"]))
        warn, fail = sorted((draw(st.floats(0, 2)), draw(st.floats(0, 2))))
        names = ("warn", "fail") if kind == "upper" else ("fail_below", "warn_below")
        which = draw(st.sampled_from([(0,), (1,), (0, 1)]))
        rule |= {names[at]: (warn, fail)[at] for at in which}
        rules.append(rule)
    return findings(draw), parse({"check": rules})


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(problems())
def test_every_expectation_is_judged_as_its_rule_is(problem: tuple[list[Finding], Config]) -> None:
    found, cfg = problem
    cases = check(found, cfg.check).cases
    again = ex.findings_of(ex.findings_frame(found))
    for rule, made in zip(cfg.check, suite(cfg).expectations, strict=True):
        ours = [(case.finding and case.finding.id, case.status) for case in cases if case.rule is rule]
        judged = made.judge(again)
        assert [(case.finding and case.finding.id, case.status) for case in judged.cases] == ours
        for allow in (False, True):
            result = made.copy(update={"allow_unclear": allow})._validate({"table.evenset_findings": again})
            assert result["success"] == (judged.exit_code(allow_unclear=allow) == 0)


CONFIGS = {
    "fails": [{"measure": "label_log_ratio", "axis": "identity", "warn": 0.2, "fail": 0.5}],
    "narrower rules decide": [
        {"measure": "label_log_ratio", "fail": 0.3},
        {"measure": "label_log_ratio", "group": "gay", "warn": 0.1, "fail": 5.0},
    ],
    "warns": [{"measure": "label_log_ratio", "group": "gay", "warn": 0.1}],
    "passes": [{"measure": "label_rate_gap", "fail": 0.99}, {"measure": "cramers_v", "group": "", "fail": 0.9}],
    "unclear": [{"measure": "label_log_ratio", "group": "muslim", "fail": 0.2}],
    "no such group": [{"measure": "label_log_ratio", "group": "buddhist", "fail": 0.4}],
    "no such axis": [{"measure": "cramers_v", "axis": "pronouns", "fail": 0.4}],
    "matches nothing": [{"measure": "representation_ratio", "fail": 0.4}],
    "a share too small": [{"measure": "representation", "group": "gay", "fail_below": 0.5}],
    "words left": [{"measure": "residual_terms", "axis": "identity", "fail": 1}],
    "some words left": [{"measure": "residual_terms", "axis": "identity", "warn": 100, "fail": 5000}],
    "words of a group": [{"measure": "residual_terms", "group": "gay", "fail": 201}],
    "words of no axis": [{"measure": "residual_terms", "axis": "pronouns", "fail": 1}],
    "fail and unclear": [
        {"measure": "label_log_ratio", "group": "muslim", "fail": 0.2},
        {"measure": "label_log_ratio", "group": "gay", "fail": 0.4},
    ],
}


@pytest.mark.parametrize("name", CONFIGS)
def test_great_expectations_comes_to_the_verdict_of_the_check(name: str) -> None:
    cfg = config(*CONFIGS[name])
    report = audited(DATA, cfg)
    wanted = native(report, cfg)
    assert through(report, suite(cfg)) == wanted
    assert through(DATA, suite(cfg, rows=True)) == wanted


def test_the_four_outcomes_are_all_among_the_configs() -> None:
    found = {native(audited(DATA, config(*rules)), config(*rules))[0] for rules in CONFIGS.values()}
    assert found == {"pass", "warn", "fail", "unclear"}


@pytest.mark.parametrize(("bad", "status"), [([], "pass"), ([3], "warn"), ([1, 2, 3], "fail")])
def test_weights_are_counted_alike(bad: list[int], status: str) -> None:
    frame = comments({"gay": 0.6, "": 0.2}, weight=True)
    frame.loc[bad, "weight"] = [-1.0, float("nan"), float("inf")][: len(bad)]
    rules = [{"measure": "invalid_weights", "warn": 1, "fail": 2}, {"measure": "label_log_ratio", "fail": 9}]
    cfg = config(*rules, weight="weight")
    report = audited(frame, cfg)
    assert native(report, cfg)[0] == status
    assert through(report, suite(cfg)) == native(report, cfg)
    assert through(frame, suite(cfg, rows=True)) == native(report, cfg)
    kinds = [one.expectation_type for one in suite(cfg, rows=True).expectations]
    assert kinds == ["expect_evenset_weights_valid", "expect_evenset_association_below"]


def test_reference_and_seed_reach_the_audit_of_rows() -> None:
    cfg = parse(
        {
            "data": {"text": "text", "label": "label", "axes": ["identity"]},
            "reference": {"identity": {"gay": 0.02}},
            "check": [{"measure": "representation_ratio", "fail": 0.5}],
        }
    )
    report = audited(DATA, cfg)
    assert native(report, cfg)[0] == "fail"
    assert through(DATA, suite(cfg, rows=True)) == native(report, cfg)


@pytest.mark.slow
def test_leakage_is_judged_alike() -> None:
    frame = comments({"gay": 0.5, "": 0.5}, rows=300)
    cfg = config({"measure": "leakage_auc", "fail": 0.99})
    dataset = open_rows(frame, text="text", label="label", need_label=True)
    report = run(dataset, axes=["identity"], rules=cfg.check, measures=["counts", "association", "leakage"])
    made = suite(cfg, rows=True)
    assert made.expectations[0].expectation_type == "expect_evenset_leakage_below"
    assert through(frame, made) == through(report, suite(cfg)) == native(report, cfg)


# -- results ----------------------------------------------------------------------------------------------------------


def only(found, expectation):
    done = ex.validate(found, gx.ExpectationSuite("one", [expectation]))
    return next(iter(done.result.run_results.values())).results[0]


def test_unclear_is_no_success_unless_allowed_and_says_so() -> None:
    report = audited(DATA, config(*CONFIGS["unclear"]))
    fields = {"measure": "label_log_ratio", "group": "muslim", "fail": 0.2}
    strict = only(report, ex.ExpectEvensetAssociationBelow(**fields))
    assert (strict.success, strict.result["status"], strict.result["exit_code"]) == (False, "unclear", 3)
    lenient = only(report, ex.ExpectEvensetAssociationBelow(**fields, allow_unclear=True))
    assert (lenient.success, lenient.result["status"], lenient.result["exit_code"]) == (True, "unclear", 0)
    finding = next(one for one in report.findings if one.id == "label_log_ratio:identity:muslim:1")
    shown = strict.result["observed_value"]
    assert shown["low"] < 0.2 < shown["high"]
    assert (shown["estimate"], shown["n"], shown["status"]) == (pytest.approx(finding.estimate), finding.n, "unclear")


def test_a_batch_is_audited_once_for_all_expectations(monkeypatch: pytest.MonkeyPatch) -> None:
    from evenset.audit import pipeline

    calls = []
    original = pipeline.run
    monkeypatch.setattr(pipeline, "run", lambda *args, **more: calls.append(1) or original(*args, **more))
    cfg = config(*CONFIGS["narrower rules decide"], *CONFIGS["passes"], *CONFIGS["a share too small"])
    ex.validate(DATA, suite(cfg, rows=True))
    assert len(calls) == 1
    assert EvensetFindings.metric_name == "table.evenset_findings"


@pytest.mark.parametrize("wanted", ["BOOLEAN_ONLY", "BASIC", "SUMMARY", "COMPLETE"])
def test_no_format_of_results_shows_a_row(wanted: str) -> None:
    frame = comments({"gay": 0.6, "": 0.2}, rows=40, weight=True).rename(columns={"weight": "w"})
    batch = (
        quiet_context().data_sources.add_pandas("s").add_dataframe_asset("a")
        .add_batch_definition_whole_dataframe("b").get_batch({"dataframe": frame})
    )  # fmt: skip
    form = {"result_format": wanted}
    if wanted == "COMPLETE":
        form |= {"include_unexpected_rows": True, "unexpected_index_column_names": ["text"]}
    for one in (
        ex.ExpectEvensetNoResidualIdentityTerms(column="text", axis="identity"),
        ex.ExpectEvensetWeightsValid(column="w", fail=1),
        ex.ExpectEvensetAssociationBelow(measure="pmi", axis="identity", fail=0.01, text="text", label="label"),
    ):
        result = batch.validate(one, result_format=form)
        assert SECRET not in json.dumps(result.to_json_dict())
        assert result.success == (one.expectation_type == "expect_evenset_weights_valid")


def test_the_page_shows_hostile_names_as_text() -> None:
    assert plain("<b>&\"'$x*_`\x1b") == "&lt;b&gt;&amp;&quot;&#x27;&#36;x&#42;_&#96;&#92;x1b"


# -- in a project of one's own ----------------------------------------------------------------------------------------


def test_a_suite_goes_through_its_file(tmp_path: Path) -> None:
    cfg = config(*(rule for rules in CONFIGS.values() for rule in rules))
    for rows in (False, True):
        made = suite(cfg, rows=rows)
        save_suite(made, tmp_path / "suite.json")
        assert load_suite(tmp_path / "suite.json").expectations == made.expectations
        severities = {getattr(one, "severity", None) for one in made.expectations}
        assert len(severities) <= 2


def test_findings_go_through_a_file(tmp_path: Path) -> None:
    report = audited(DATA, config(*CONFIGS["fails"]))
    frame = ex.findings_frame(report)
    assert ex.findings_of(frame) == report.findings
    frame.to_csv(tmp_path / "f.csv", index=False)
    frame.to_parquet(tmp_path / "f.parquet")
    for read in (pd.read_csv(tmp_path / "f.csv"), pd.read_parquet(tmp_path / "f.parquet")):
        assert through(read, suite(config(*CONFIGS["fails"]))) == through(report, suite(config(*CONFIGS["fails"])))


# -- what cannot be used ----------------------------------------------------------------------------------------------


def test_a_suite_without_expectations_never_passes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing to check against.*--init"):
        suite(parse({}))
    empty = gx.ExpectationSuite("empty")
    with pytest.raises(InputError, match="has no expectation, so it would pass"):
        ex.checkpoint(empty)
    with pytest.raises(InputError, match="has no expectation"):
        ex.validate(DATA, empty, out=tmp_path)
    assert not (tmp_path / "gx").exists()
    save_suite(empty, tmp_path / "empty.json")
    with pytest.raises(InputError, match="has no expectation"):
        load_suite(tmp_path / "empty.json")


def of(raw: dict) -> dict:
    return raw["expectations"][0]["kwargs"]


def stored(tmp_path: Path, change) -> Path:
    path = tmp_path / "suite.json"
    save_suite(suite(config(*CONFIGS["fails"])), path)
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw["meta"].update(great_expectations_version="0.18.21"), r"by Great Expectations 0\.18\.21"),
        (lambda raw: raw["meta"]["evenset"].update(schema="evenset.expectations/9"), r"expectations/9.*write it anew"),
        (lambda raw: of(raw).update(fial=3), 'unknown field "fial".*Did you mean "fail"'),
        (lambda raw: of(raw).update(measure="label_logratio"), 'Did you mean "label_log_ratio"'),
        (
            lambda raw: raw["expectations"][0].update(type="expect_evenset_assocation_below"),
            "Did you mean.*association",
        ),
        (lambda raw: of(raw).update(warn=9), "must not be beyond"),
        (lambda raw: raw["expectations"][0].pop("kwargs"), "no type and kwargs"),
        (lambda raw: raw.update(expectations={}), "no list of expectations"),
    ],
)
def test_a_suite_of_another_version_is_one_message(change, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_suite(stored(tmp_path, change))
    assert "\n" not in str(caught.value)


def test_what_is_no_suite_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no suite"):
        load_suite(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read as a suite"):
        load_suite(tmp_path / "bad.json")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ex.ExpectEvensetAssociationBelow(measure="label_logratio", fail=1), 'Did you mean "label_log_ratio"'),
        (lambda: ex.ExpectEvensetAssociationBelow(measure="representation", fail=1), "is not about"),
        (lambda: ex.ExpectEvensetAssociationBelow(measure="cramers_v"), "needs a limit"),
        (lambda: ex.ExpectEvensetAssociationBelow(fail=1, label="label"), "name the column of its text too"),
        (lambda: ex.ExpectEvensetLeakageBelow(warn=0.9, fail=0.6), "must not be beyond"),
        (lambda: ex.ExpectEvensetMeasureWithin(measure="pmi", fail=1, unless=[{"grup": "x"}]), 'Did you mean "group"'),
        (lambda: ex.ExpectEvensetNoResidualIdentityTerms(column="text", axis="column:x"), "x"),
        (lambda: ex.ExpectEvensetNoResidualIdentityTerms(column="text", mostly=0.9), "warn and fail"),
    ],
)
def test_fields_that_make_no_sense_are_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_what_cannot_be_evaluated_is_an_error_with_its_reason() -> None:
    with pytest.raises(InputError, match=r"no table of findings.*text="):
        ex.validate(DATA, suite(config(*CONFIGS["fails"])))
    with pytest.raises(InputError, match='no column "txt"'):
        only(DATA, ex.ExpectEvensetNoResidualIdentityTerms(column="txt"))
    with pytest.raises(InputError, match=r'no column "labl".*Did you mean "label"'):
        only(DATA, ex.ExpectEvensetAssociationBelow(fail=1, text="text", label="labl", axis="identity"))
    with pytest.raises(InputError, match="no rows"):
        only(DATA.iloc[:0], ex.ExpectEvensetAssociationBelow(fail=1, text="text", label="label", axis="identity"))
    frame = ex.findings_frame(audited(DATA, config(*CONFIGS["fails"])))
    frame["status"] = "maybe"
    with pytest.raises(InputError, match=r'row 1 .*"maybe" is no status'):
        ex.validate(frame, suite(config(*CONFIGS["fails"])))


def test_rows_need_columns_that_are_named() -> None:
    with pytest.raises(InputError, match=r"name \[data\] text"):
        suite(parse({"check": CONFIGS["fails"]}), rows=True)


def test_every_measure_has_an_expectation() -> None:
    for measure in MEASURES:
        made = suite(parse({"check": [{"measure": measure, "fail": 1.0}]})).expectations[0]
        assert made.rule.measure == measure


def test_great_expectations_sends_nothing() -> None:
    import os

    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
