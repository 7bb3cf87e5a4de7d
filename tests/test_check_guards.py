"""What a check, a curation and a card refuse before they read or write anything."""

import json

import pytest

from evenset.cli import invoke

ROWS = "text,label\n" + "".join(
    f"{'she' if i % 2 else 'he'} wrote line {i},{int(i % 8 < (6 if i % 2 else 2))}\n" for i in range(200)
)
RULES = '[data]\naxes = ["pronouns"]\n[[check]]\nmeasure = "log_ratio_centred"\naxis = "pronouns"\nwarn = 8\nfail = 9\n'


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder that is worked in, with data and a config."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ok.csv").write_text(ROWS)
    (tmp_path / "evenset.toml").write_text(RULES)
    return tmp_path


def run(capsys, *words):
    code = invoke([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


def state(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# -- what is read is not written over ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("check ok.csv --sarif ok.csv", 'over DATA ("ok.csv")'),
        ("check ok.csv --md ./ok.csv", 'over DATA ("ok.csv")'),
        ("check ok.csv --md link.csv", 'over DATA ("ok.csv")'),
        ("check *.csv --md ok.csv", "over DATA"),
        ("check ok.csv --config evenset.toml --md evenset.toml", "over --config"),
        ("check ok.csv --baseline base --sarif base/audit.json", "over --baseline"),
        ("check ok.csv --baseline base/audit.json --sarif base/audit.json", "over --baseline"),
        ("check ok.csv --ledger ledger.parquet --md ledger.parquet", "over --ledger"),
        ("check ok.csv --md f --sarif f", '--md and --sarif both name "f"'),
        ("check ok.csv --md o/check.json --out o", "--md and --out both name"),
        ("check o/check.md --out o --overwrite", "over DATA"),
        ("check ok.csv --config ok.csv --init --overwrite", "ok.csv"),
        ("curate data.csv --do reweight:pronouns --out . --overwrite", '--out "." holds DATA ("data.csv")'),
        ("curate data.csv --until label_log_ratio:pronouns<=0.2 --out . --overwrite", "holds DATA"),
        ("restore data.csv --ledger nowhere.parquet --out . --overwrite", 'holds CURATED ("data.csv")'),
        ("restore ok.csv --ledger ledger.parquet --out . --overwrite", 'holds --ledger ("ledger.parquet")'),
        ("card base --readme ok.csv", "ends in .md"),
        ("card base --readme base/audit.json", "ends in .md"),
        ("card base --croissant base/audit.json", "over AUDIT"),
    ],
)
def test_nothing_is_written_over_what_is_read(here, capsys, words, said):
    for name in ("data.csv", "ledger.parquet", "base/audit.json", "o/check.md"):
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text(ROWS)
    (here / "link.csv").symlink_to("ok.csv")
    before = state(here)
    code, out, err = run(capsys, *words.split())
    assert (code, out) == (2, ""), err
    assert said in err
    assert state(here) == before


def test_what_another_run_wrote_into_the_folder_is_no_input(here, capsys):
    """--overwrite would remove it when the run ends well."""
    assert run(capsys, "curate", "ok.csv", "--do", "reweight:pronouns", "--out", "curated")[0] == 0
    before = state(here)
    code, _, err = run(capsys, "audit", "curated/data.csv", "--axis", "pronouns", "--out", "curated", "--overwrite")
    assert (code, state(here)) == (2, before)
    assert "would be overwritten or removed" in err


def test_outputs_beside_inputs_are_written(here, capsys):
    words = ["check", "ok.csv", "--config", "evenset.toml", "--out", "o", "--md", "o/check.md", "--sarif", "s.sarif"]
    assert run(capsys, *words)[0] == 0
    assert json.loads((here / "s.sarif").read_text()) == json.loads((here / "o/check.sarif").read_text())

    assert (here / "ok.csv").read_text() == ROWS


# -- names in rules ---------------------------------------------------------------------------------------------------

EASY = '[data]\naxes = ["pronouns"]\n[[check]]\nmeasure = "representation"\naxis = "pronouns"\nwarn = 8\nfail = 9\n'


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ('measure = "label_rate"\naxis = "pronuns"', 'no axis "pronuns". Did you mean "pronouns"?'),
        ('measure = "label_rate"\naxis = "pronouns"\ngroup = "sheh"', 'no group "sheh". Did you mean "she"?'),
        ('measure = "label_rate"\ngroup = "zz"', 'no group "zz". There are: '),
        ('measure = "label_rate"\nlabel = "yes"', 'no label "yes". There are: 0, 1.'),
        ('measure = "cramers_v"\naxis = "pronouns"\ngroup = "shee"', 'Did you mean "she"?'),
    ],
)
def test_a_slip_of_the_pen_in_a_rule_is_no_pass(here, capsys, rule, said):
    (here / "evenset.toml").write_text(f"{EASY}[[check]]\n{rule}\nfail = 5\n")
    code, out, err = run(capsys, "check", "ok.csv", "--config", "evenset.toml", "--allow-unclear", "--out", "o")
    assert (code, out) == (2, ""), err
    assert said in err
    assert "the rule (measure =" in err
    assert not (here / "o").exists()


@pytest.mark.parametrize(
    "rule",
    [
        'measure = "label_rate"\naxis = "pronouns"\ngroup = "they"',  # known to the lexicon, in no row
        'measure = "label_rate"\naxis = "identity"',  # an axis that is not audited here
        'measure = "representation"\naxis = "pronouns"\nlabel = "1"',  # a measure without labels
    ],
)
def test_a_rule_that_judged_nothing_stays_unclear_whatever_is_allowed(here, capsys, rule):
    (here / "evenset.toml").write_text(f"{EASY}[[check]]\n{rule}\nfail = 5\n")
    code, _, err = run(capsys, "check", "ok.csv", "--config", "evenset.toml", "--allow-unclear", "--quiet")
    assert code == 3, err


def test_great_expectations_says_the_same_of_names(here):
    pytest.importorskip("great_expectations")
    from evenset.audit import run as audit
    from evenset.audit.expectations import suite, validate
    from evenset.data import InputError
    from evenset.data import open as open_data
    from evenset.data.config import parse

    report = audit(open_data("ok.csv", text="text", label="label"), ["pronouns"])
    with pytest.raises(InputError, match='no axis "pronuns"'):
        validate(report, suite(parse({"check": [{"measure": "label_rate", "axis": "pronuns", "fail": 5}]})))
    absent = {"measure": "label_rate", "axis": "pronouns", "group": "they", "fail": 5}
    done = validate(report, suite(parse({"check": [absent]}), allow_unclear=True))
    assert (done.success, done.status, done.exit_code(allow_unclear=True)) == (False, "unclear", 3)


# -- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["warn", "fail", "warn_below", "fail_below", "warn_change", "fail_change"])
@pytest.mark.parametrize("limit", ["nan", "inf", "-inf", '"1"', "true"])
def test_limits_are_finite_numbers(here, capsys, key, limit):
    (here / "evenset.toml").write_text(f'[[check]]\nmeasure = "label_rate"\n{key} = {limit}\n')
    code, out, err = run(capsys, "check", "ok.csv", "--config", "evenset.toml")
    assert (code, out) == (2, ""), err
    assert key in err


# -- files that are damaged -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [None, [], {}, "x", [1]])
def test_an_audit_without_findings_is_damaged(here, capsys, wrong):
    assert run(capsys, "audit", "ok.csv", "--axis", "pronouns", "--out", "base")[0] == 0
    place = here / "base/audit.json"
    content = json.loads(place.read_text())
    place.write_text(json.dumps(content | {"findings": wrong}))
    (here / "scores.csv").write_text("id,label,score,group\na,1,0.5,she\nb,0,0.2,he\n")
    for words in (
        ["check", "ok.csv", "--config", "evenset.toml", "--baseline", "base"],
        ["card", "base"],
        ["verify", "scores.csv", "--yardstick", "base/audit.json", "--out", "v"],
    ):
        code, out, err = run(capsys, *words)
        assert (code, out) == (2, ""), err
        assert "is damaged" in err


@pytest.mark.parametrize("value", ["5", "-0.1", "1.0001"])
def test_scores_are_probabilities(here, capsys, value):
    assert run(capsys, "audit", "ok.csv", "--axis", "pronouns", "--out", "base")[0] == 0
    (here / "scores.csv").write_text(f"id,label,score,group\na,1,0.5,she\nb,0,{value},he\n")
    code, _, err = run(capsys, "verify", "scores.csv", "--yardstick", "base/audit.json", "--out", "v")
    assert code == 2
    assert f"scores.csv: row 2 has the score {value}," in err


# -- init, and limits that do not count -------------------------------------------------------------------------------


def test_a_first_config_of_standard_input_names_no_file(here, capsys, monkeypatch):
    import io
    import sys
    import tomllib

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(ROWS.encode())))
    assert run(capsys, "check", "-", "--axis", "pronouns", "--init", "--config", "new.toml")[0] == 0
    assert "train" not in tomllib.loads((here / "new.toml").read_text())["data"]
    code, _, err = run(capsys, "check", "ok.csv", "--init", "--config", "other.toml", "--out", "o")
    assert (code, (here / "other.toml").exists()) == (2, False)
    assert "--init writes a config, other.toml" in err


def test_limits_of_change_without_a_baseline_are_said_not_to_count(here, capsys):
    said = "count only with --baseline"
    assert said not in run(capsys, "check", "ok.csv", "--config", "evenset.toml")[2]
    (here / "evenset.toml").write_text(f"{RULES}fail_change = 0.1\n")
    code, _, err = run(capsys, "check", "ok.csv", "--config", "evenset.toml")
    assert (code, err.count(said)) == (0, 1)
