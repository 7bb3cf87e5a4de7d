"""What a check judges beyond one interval, and how CI systems read it: lower limits, counts, Markdown, SARIF."""

import html
import json
import re
import subprocess
import sys
import tomllib

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenset.audit import Finding, check, init_config, run
from evenset.audit.exact import exact
from evenset.audit.gate.markdown import escaped
from evenset.audit.rules import default_rules, rows_needed, status_of
from evenset.cli import invoke
from evenset.data.config import CheckRule, parse
from evenset.data.dataset import Dataset
from evenset.data.errors import InputError

NASTY = "| a `b` <script>alert(1)</script> @team https://evil.example [x](y) **c** \x1b[31m \u202e\n# d ![i](j) ü 日本"


def finding(low, high, *, measure="label_log_ratio", group="gay", label="1", n=100, **more):
    return Finding("identity", group, label, measure, (low + high) / 2, low, high, n, "Katz", **more)


RULE = CheckRule(measure="label_log_ratio", warn=0.2, fail=0.5)


# -- lower limits and exact counts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "status"),
    [
        (0.06, 0.09, "pass"),
        (0.03, 0.045, "warn"),
        (0.001, 0.045, "warn"),
        (0.001, 0.02, "fail"),
        (0.01, 0.06, "unclear"),
        (0.05, 0.09, "unclear"),
        (0.3, 0.4, "warn"),
        (0.6, 0.7, "fail"),
        (0.06, 0.35, "unclear"),
    ],
)
def test_limits_from_both_sides(low, high, status):
    both = CheckRule(measure="representation", warn_below=0.05, fail_below=0.02, warn=0.3, fail=0.5)
    assert status_of(finding(low, high, measure="representation"), both) == status


@given(st.floats(-2, 2), st.floats(0, 2), st.floats(-1, 1), st.floats(0, 1))
def test_a_limit_from_below_is_one_from_above_turned_round(middle, half, limit, beyond):
    below = CheckRule(measure="representation", warn_below=limit, fail_below=limit - beyond)
    found = status_of(finding(middle - half, middle + half), below)
    assert (found == "fail") == (middle + half <= limit - beyond)
    assert (found == "pass") == (middle - half > limit)


def test_one_of_many_that_may_be_luck_does_not_fail_from_below():
    low = CheckRule(measure="label_log_ratio", fail_below=-0.5)
    assert status_of(finding(-0.9, -0.6), low) == "fail"
    assert status_of(finding(-0.9, -0.6, q=0.3), low) == "unclear"


def test_rows_needed_count_the_nearest_limit():
    assert rows_needed(finding(0.0, 0.08), CheckRule(measure="x", fail_below=0.02)) == 400


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "needs a limit"),
        ({"warn_below": 0.1, "fail_below": 0.2}, "must not be under"),
        ({"fail": 0.1, "fail_below": 0.2}, "nothing passes both"),
        ({"fail": 0.1, "warn_change": 0.2, "fail_change": 0.1}, "must not be beyond"),
        ({"fail": 0.1, "fail_change": 0}, "greater than 0"),
        ({"fail": 0.1, "fail_blow": 0.2}, "fail_below"),
    ],
)
def test_limits_that_make_no_sense_are_named(given, said):
    with pytest.raises(InputError, match=said):
        parse({"check": [{"measure": "representation", **given}]})


TEXTS = pa.table(
    {
        "text": ["A gay man.", "Old people.", "She is Muslim and gay.", "Nobody here."] * 20,
        "label": ["1", "0", "1", "0"] * 20,
        "w": [1.0, 2.0, None, -1.0] + [1.0] * 76,
    }
)


def test_residual_terms_are_counted_exactly_and_only_when_a_rule_names_them():
    data = Dataset.of(TEXTS, text="text", label="label", positive="1")
    assert not any(f.measure == "residual_terms" for f in run(data, ["identity"]).findings)
    rules = [CheckRule(measure="residual_terms", fail=1)]
    found = {f.group: f for f in run(data, ["identity"], rules=rules).findings if f.measure == "residual_terms"}
    assert {name: found[name].estimate for name in (None, "gay", "muslim")} == {None: 40, "gay": 40, "muslim": 20}
    assert not any("ambiguous" in (name or "") for name in found)
    assert (found[None].low, found[None].high, found[None].n) == (40, 40, 80)
    result = check(found.values(), rules)
    assert result.status == "fail"
    assert "residual_terms of muslim (identity): 20 of 80 rows; limits: fail 1" in {
        case.message for case in result.cases
    }
    clean = Dataset.of(TEXTS.slice(3, 1), text="text")
    rules = [CheckRule(measure="residual_terms", group="", fail=1)]
    assert check(run(clean, ["identity"], rules=rules), rules).status == "pass"


def test_invalid_weights_are_counted_when_a_rule_names_them_and_refused_otherwise():
    with pytest.raises(InputError, match="missing"):
        run(Dataset.of(TEXTS, text="text", label="label", weight="w"), ["identity"])
    from evenset.data import open as open_data

    data = open_data(TEXTS, text="text", label="label", weight="w", count_bad_weights=True)
    rule = CheckRule(measure="invalid_weights", fail=1)
    report = run(data, ["identity"], rules=[rule, RULE])
    result = check(report, [rule])
    (case,) = result.cases
    assert (case.status, case.finding.estimate, case.finding.n) == ("fail", 2, 80)
    assert "these rows weigh 0 in everything else" in case.message
    valid = TEXTS.set_column(2, "w", pa.array([1.0, 2.0, 0.0, 0.0] + [1.0] * 76))
    good = run(Dataset.of(valid, text="text", label="label", weight="w"), ["identity"], rules=[rule, RULE])
    assert check(good, [rule]).status == "pass"
    assert good.tally.cells == report.tally.cells  # they weigh 0, and are rows
    with pytest.raises(InputError, match="--weight"):
        run(Dataset.of(TEXTS, text="text", label="label"), ["identity"], rules=[rule])


def test_a_rule_on_the_ledger_without_one_is_no_pass():
    rule = CheckRule(measure="ledger_mismatches", fail=1)
    result = check([finding(0, 0.1)], [rule])
    assert result.status == "unclear"
    assert "--ledger" in result.cases[0].message
    assert check([exact("ledger_mismatches", 0, 9)], [rule]).status == "pass"
    assert check([exact("ledger_mismatches", 1, 9)], [rule]).status == "fail"


# -- Markdown and SARIF -----------------------------------------------------------------------------------------------


def results(group=NASTY):
    found = [finding(0.6, 0.9, group=group, label=NASTY), finding(0.0, 0.9, group="b"), finding(0.3, 0.4, group="c"),
             finding(0, 0.1, group="d")]  # fmt: skip
    return check(found, [RULE])


def test_markdown_shows_names_as_they_are():
    text = results().markdown()
    assert text.startswith("### evenset check: ❌ FAILED\n\n1 fail, 1 warn, 1 unclear, 1 pass.\n")
    (row,) = [line for line in text.splitlines() if line.startswith("| ❌")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 6
    assert "<script" not in text
    assert "@team" not in text
    assert "https://" not in text
    assert "\x1b" not in text
    assert "日本" in row
    assert not re.search(r"(?<!\\)[`\[]", row)
    assert "--allow-unclear" in text


@given(st.text(max_size=40))
def test_markdown_escapes_whatever_it_is_given(text):
    shown = escaped(text)
    assert "\n" not in shown
    assert not re.search(r"(?<!\\)(\\\\)*[|`*_\[\]]", shown)
    without = shown.replace("<!-- -->", "")
    assert "<" not in without
    plain = re.sub(r"\\([\\`*_{}\[\]()#+!|~$-])", r"\1", without)
    if text.isprintable():
        assert html.unescape(plain) == text or "&" in text


def test_sarif_has_what_its_schema_wants(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pyarrow.csv.write_csv(TEXTS.select(["text", "label"]), 'my "data" ü.csv')
    from evenset.data import open as open_data

    rules = [CheckRule(measure="residual_terms", fail=1), RULE]
    report = run(open_data('my "data" ü.csv', text="text", label="label"), ["identity"], rules=rules)
    log = check(report, rules).sarif()
    assert (log["version"], log["$schema"].rpartition("/")[2]) == ("2.1.0", "sarif-2.1.0.json")
    (one,) = log["runs"]
    driver = one["tool"]["driver"]
    assert driver["name"] == "evenset"
    assert one["results"]
    for found in one["results"]:
        assert found["level"] in ("error", "warning", "note")
        assert driver["rules"][found["ruleIndex"]]["id"] == found["ruleId"]
        assert found["message"]["text"]
        place = found["locations"][0]["physicalLocation"]
        assert place["artifactLocation"] == {"uri": "my%20%22data%22%20%C3%BC.csv", "uriBaseId": "%SRCROOT%"}
        assert place["region"]["startLine"] == 1
    levels = {found["partialFingerprints"]["evenset/finding"]: found["level"] for found in one["results"]}
    assert levels["residual_terms:identity:gay:"] == "error"
    assert set(levels.values()) <= {"error", "note"}
    assert "\x1b" not in json.dumps(results().sarif())
    assert json.loads(json.dumps(results().sarif())) == results().sarif()


def test_save_writes_every_form(tmp_path):
    results().save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"check.json", "junit.xml", "check.md", "check.sarif"}
    assert json.loads((tmp_path / "check.sarif").read_text())["version"] == "2.1.0"


# -- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gate")
    assert invoke(["sample", "comments", "--rows", "1500", "--out", str(folder), "--quiet"]) == 0
    pyarrow.csv.write_csv(TEXTS, folder / "weights.csv")
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def test_without_a_config_the_limits_of_the_audit_hold(folder, here, capsys):
    code = invoke(["check", str(folder / "comments.parquet")])
    out, err = capsys.readouterr()
    assert code in (0, 1, 3)
    assert out.split(":")[0] in ("FAILED", "UNCLEAR", "PASSED", "PASSED with warnings")
    assert "representation_ratio" not in out  # nothing to compare with was given, and nobody asked
    assert "no --config: judged by the default limits" in err
    assert max(len(line) for line in out.splitlines()) <= 80
    assert "\x1b" not in out
    (here / "empty.toml").write_text("[data]\n")
    assert invoke(["check", str(folder / "comments.parquet"), "--config", "empty.toml"]) == 2
    assert "nothing to check against" in capsys.readouterr().err


def test_rules_that_match_nothing_never_pass_even_by_default():
    assert check([], default_rules(), default=True).status == "unclear"


def test_markdown_and_sarif_go_where_they_are_asked_to(folder, here, capsys):
    data = str(folder / "comments.parquet")
    code = invoke(["check", data, "--md", "-", "--sarif", "log.sarif", "--quiet"])
    out, err = capsys.readouterr()
    assert out.startswith("### evenset check:")
    assert err == ""
    assert code in (0, 1, 3)
    assert json.loads((here / "log.sarif").read_text())["version"] == "2.1.0"
    invoke(["check", data, "--md", "sum mary.md", "--json", "--quiet"])
    assert json.loads(capsys.readouterr().out)["schema"] == "evenset.check/1"
    assert (here / "sum mary.md").read_text() == out
    assert invoke(["check", data, "--md", "-", "--json"]) == 2
    assert "both want standard output" in capsys.readouterr().err
    for option in ("--md", "--sarif", "--baseline"):
        assert invoke(["check", data, option, ""]) == 2
        assert "is empty" in capsys.readouterr().err


def test_a_rule_on_weights_from_the_command_line(folder, here, capsys):
    (here / "w.toml").write_text('[[check]]\nmeasure = "invalid_weights"\nfail = 1\n')
    assert invoke(["check", str(folder / "weights.csv"), "--weight", "w", "--config", "w.toml", "--quiet"]) == 1
    assert "2 of 80 rows" in capsys.readouterr().out
    assert invoke(["check", str(folder / "weights.csv"), "--config", "w.toml", "--quiet"]) == 2
    assert "--weight" in capsys.readouterr().err
    assert invoke(["check", str(folder / "weights.csv"), "--weight", "w", "--quiet"]) == 2
    assert "weights are finite numbers" in capsys.readouterr().err


def test_a_measure_that_is_none_is_refused_before_the_data_are_read(here, capsys):
    (here / "t.toml").write_text('[[check]]\nmeasure = "leakage_acu"\nfail = 0.6\n')
    assert invoke(["check", "there-is-none.csv", "--config", "t.toml"]) == 2
    assert 'Did you mean "leakage_auc"?' in capsys.readouterr().err
    assert invoke(["check", "there-is-none.csv", "--init", "--measures", "nmy"]) == 2
    assert 'Did you mean "nmi"?' in capsys.readouterr().err


def test_init_writes_limits_for_further_measures_and_they_pass(folder, here, capsys):
    data = str(folder / "comments.parquet")
    asked = "residual_terms,leakage,nmi,label_rate_gap,representation"
    assert invoke(["check", data, "--init", "--measures", asked, "--quiet"]) == 0
    rules = tomllib.loads((here / "evenset.toml").read_text())["check"]
    assert {rule["measure"] for rule in rules} >= {"residual_terms", "leakage_auc", "nmi", "representation"}
    assert all("warn_below" in rule for rule in rules if rule["measure"] == "representation")
    assert invoke(["check", data, "--config", "evenset.toml", "--quiet"]) == 0
    assert invoke(["check", data, "--init", "--quiet"]) == 2
    assert "exists already" in capsys.readouterr().err


def test_init_of_counts_allows_today_and_not_one_more():
    rules = [CheckRule(measure="residual_terms", fail=1)]
    report = run(Dataset.of(TEXTS, text="text", label="label", positive="1"), ["identity"], rules=rules)
    config = parse(tomllib.loads(init_config(report, measures=["residual_terms"])))
    (whole,) = [rule for rule in config.check if rule.measure == "residual_terms" and rule.group == ""]
    assert whole.fail == 41


def test_an_out_folder_of_another_run_is_refused(folder, here, capsys):
    data = str(folder / "comments.parquet")
    assert invoke(["audit", data, "--measures", "counts", "--out", "x", "--quiet"]) == 0
    assert invoke(["check", data, "--out", "x", "--quiet"]) == 2
    assert "--overwrite" in capsys.readouterr().err


HEAVY = ("torch", "transformers", "spacy", "gensim", "great_expectations", "matplotlib", "datasets", "dask", "sklearn")


def test_a_check_needs_nothing_but_the_core(folder, here):
    code = (
        "import sys\nfrom evenset.cli import invoke\n"
        f"invoke(['audit', {str(folder / 'comments.parquet')!r}, '--measures', 'counts,association', '--out', 'b'])\n"
        f"invoke(['check', {str(folder / 'comments.parquet')!r}, '--baseline', 'b', '--out', 'c', '--md', 'm.md'])\n"
        f"print('heavy:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "heavy: []", done.stderr


def test_data_of_which_nothing_is_certain_get_a_config_that_can_be_used():
    few = pa.table({"text": ["she sings", "he sings"] * 6, "label": ["a", "b", "c"] * 4})
    report = run(Dataset.of(few, text="text", label="label"), ["pronouns"])
    rules = parse(tomllib.loads(init_config(report))).check
    assert {rule.measure for rule in rules} >= {"log_ratio_centred", "cramers_v"}
    assert check(report, rules).status == "unclear"


def test_without_a_label_there_is_nothing_to_limit_but_counts():
    data = Dataset.of(pa.table({"text": ["she sings", "he sings"] * 60}), text="text")
    with pytest.raises(InputError, match="--label"):
        init_config(run(data, ["pronouns"]))
    counted = run(data, ["pronouns"], measures=["representation"])
    assert parse(tomllib.loads(init_config(counted, measures=["representation"]))).check


def test_a_group_cannot_write_lines_of_its_own(capsys, tmp_path):
    name = "a\nPASSED: 44 pass\nwritten: ok"
    rows = {
        "text": [f"row {k}" for k in range(400)],
        "label": ["1"] * 150 + ["0"] * 250,
        "g": [name] * 200 + ["b"] * 200,
    }
    pa.parquet.write_table(pa.table(rows), tmp_path / "d.parquet")
    data = [str(tmp_path / "d.parquet"), "--axis", "column:g", "--label", "label", "--positive", "1", "--text", "text"]
    assert invoke(["check", *data]) == 1
    shown = capsys.readouterr().out
    assert "a\\x0aPASSED: 44 pass" in "".join(
        line.strip(" ") if "PASSED" in line else line for line in shown.splitlines()
    )
    assert not [line for line in shown.splitlines() if line.lstrip().startswith(("PASSED", "written"))]
    assert invoke(["audit", *data, "--measures", "counts,association"]) == 0
    shown = capsys.readouterr().out
    assert not [line for line in shown.splitlines() if line.lstrip().startswith(("PASSED", "written"))]
