"""Great Expectations in a project of one's own, its data docs, the ledger, and `evenset check --gx --ledger`."""

import json
import random
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

import evenset.data
from evenset.cli import invoke
from evenset.curate import run as curate
from evenset.data.config import Config, parse
from evenset.data.errors import InputError

with warnings.catch_warnings():
    # Great Expectations' own imports: older releases read parts of marshmallow and pandas that are going away.
    warnings.simplefilter("ignore", DeprecationWarning)
    gx = pytest.importorskip("great_expectations", reason="the extra gx is not installed")
    from evenset.audit import expectations as ex
    from evenset.audit.expectations import load_suite, suite
    from evenset.audit.expectations.words import plain
    from evenset.curate.expectations import ExpectEvensetCuratedMatchesLedger

SECRET = "zanzibar"
FAILS = {"measure": "label_log_ratio", "axis": "identity", "warn": 0.2, "fail": 0.5}
LEFT = {"measure": "residual_terms", "axis": "identity", "fail": 1}


def comments(rows: int = 40) -> pd.DataFrame:
    draw = random.Random(1)
    table: dict[str, list] = {"text": [], "label": []}
    for term, rate in (("gay", 0.6), ("", 0.2)):
        for k in range(rows if term else 3 * rows):
            table["text"].append(f"{term} person {SECRET} {k}".strip())
            table["label"].append("1" if draw.random() < rate else "0")
    return pd.DataFrame(table)


def config(*rules: dict, axes: tuple[str, ...] = ("identity",)) -> Config:
    return parse({"data": {"text": "text", "label": "label", "axes": list(axes)}, "check": list(rules)})


def test_data_docs_hold_our_words_no_row_and_no_markup_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = comments()
    evil = "<script>alert(1)</script> $text *x*"
    frame["side"] = [evil if k % 2 else "b" for k in range(len(frame))]
    cfg = config(
        {"measure": "label_rate", "axis": "column:side", "group": evil, "fail": 0.9},
        {"measure": "residual_terms", "axis": "identity", "fail": 1},
        axes=("identity", "column:side"),
    )
    done = ex.validate(frame, suite(cfg, rows=True), out=tmp_path)
    assert done.docs == tmp_path / "gx" / "index.html"
    pages = {path: path.read_text() for path in (tmp_path / "gx").rglob("*.html")}
    assert len(pages) == 3  # index, suite, result
    result = next(text for path, text in pages.items() if "validations" in path.parts)
    assert "label_rate (axis <b>column:side</b>" in result
    assert "fails when its whole interval is at or beyond ±0.9" in result
    assert plain(evil) in result
    assert "still holds a word of axis" in result
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.suffix in {".html", ".json"}:
            assert SECRET not in path.read_text()
            assert "<script>alert" not in path.read_text()
    # A second run, into a folder that is named from where one stands, replaces the first.
    monkeypatch.chdir(tmp_path)
    ex.validate(frame, suite(cfg, rows=True), out="")
    assert len(list((tmp_path / "gx" / "validations").rglob("*.html"))) == 1


def test_a_project_keeps_the_suite_and_runs_it(tmp_path: Path) -> None:
    cfg = config(FAILS, LEFT)
    data = comments(200)
    context = gx.get_context(mode="file", project_root_dir=tmp_path)
    made = ex.checkpoint(suite(cfg, rows=True), context=context)
    assert not made.run(batch_parameters={"dataframe": data}).success
    again = gx.get_context(mode="file", project_root_dir=tmp_path)
    kept = again.suites.get("evenset")
    assert [one.expectation_type for one in kept.expectations] == [
        "expect_evenset_association_below", "expect_evenset_no_residual_identity_terms",
    ]  # fmt: skip
    assert not again.checkpoints.get("evenset").run(batch_parameters={"dataframe": data}).success
    stored = tmp_path / "gx" / "expectations" / "evenset.json"
    assert [one.expectation_type for one in load_suite(stored).expectations] == [
        one.expectation_type for one in kept.expectations
    ]
    # Made again, it replaces itself.
    ex.checkpoint(suite(cfg, rows=True), context=again)


# -- the ledger -------------------------------------------------------------------------------------------------------


@pytest.fixture
def curated(tmp_path: Path) -> tuple[Path, Path, Path]:
    source = tmp_path / "in.csv"
    comments().to_csv(source, index=False)
    plan = parse({"plan": {"p": {"step": [{"do": "scrub", "axis": "identity"}]}}}).plan["p"]
    curate(evenset.data.open(source, text="text", label="label"), plan, out=tmp_path / "out")
    return source, tmp_path / "out" / "data.csv", tmp_path / "out" / "ledger.parquet"


def only(frame: pd.DataFrame, expectation):
    done = ex.validate(frame, gx.ExpectationSuite("one", [expectation]))
    return next(iter(done.result.run_results.values())).results[0]


def test_a_frame_is_held_against_its_ledger(curated: tuple[Path, Path, Path]) -> None:
    source, rows, ledger = curated
    frame = pd.read_csv(rows)
    made = {"column": "text", "ledger": str(ledger), "original": str(source)}
    assert only(frame, ExpectEvensetCuratedMatchesLedger(**made)).success
    # Rows that were not edited can be told by the original alone.
    blind = only(frame, ExpectEvensetCuratedMatchesLedger(column="text", ledger=str(ledger)))
    assert (blind.success, blind.result["status"]) == (False, "unclear")
    assert blind.result["observed_value"]["high"] == 120
    frame.loc[[0, 100], "text"] += "!"
    found = only(frame, ExpectEvensetCuratedMatchesLedger(**made))
    assert (found.success, found.result["unexpected_count"]) == (False, 2)
    assert SECRET not in json.dumps(found.to_json_dict())
    assert only(frame, ExpectEvensetCuratedMatchesLedger(**made, fail=3)).success
    assert only(frame.drop(index=[157, 158, 159]), ExpectEvensetCuratedMatchesLedger(**made)).result[
        "unexpected_count"
    ] == 5  # fmt: skip


def test_a_ledger_that_cannot_be_used_is_an_error(curated: tuple[Path, Path, Path]) -> None:
    _, rows, ledger = curated
    frame = pd.read_csv(rows)
    with pytest.raises(InputError, match='texts in the column "text", not "label"'):
        only(frame, ExpectEvensetCuratedMatchesLedger(column="label", ledger=str(ledger)))
    with pytest.raises(InputError, match="there is no ledger"):
        only(frame, ExpectEvensetCuratedMatchesLedger(column="text", ledger="none.parquet"))


# -- the command ------------------------------------------------------------------------------------------------------


@dataclass
class Done:
    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    def run(*words: object) -> Done:
        capsys.readouterr()
        code = invoke([str(word) for word in words])
        return Done(code, *capsys.readouterr())

    return run


RULES = """
[data]
text = "text"
label = "label"
axes = ["identity"]
[[check]]
measure = "residual_terms"
axis = "identity"
fail = 1
"""


def test_check_takes_a_ledger(curated: tuple[Path, Path, Path], tmp_path: Path, command: Callable[..., Done]) -> None:
    _, rows, ledger = curated
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    done = command("check", rows, "--config", rules, "--ledger", ledger, "--json")
    assert done.exit_code == 0, done.output
    cases = json.loads(done.stdout)["cases"]
    assert "0 of 160 rows" in next(one["message"] for one in cases if one["rule"]["measure"] == "ledger_mismatches")
    rows.write_text(rows.read_text().replace(f"_ person {SECRET} 3,", f"_ person {SECRET} 3 changed,"))
    done = command("check", rows, "--config", rules, "--ledger", ledger)
    assert done.exit_code == 1
    assert "ledger_mismatches: 1 of 160 rows (perhaps up to 121)" in " ".join(done.stdout.split())
    allowed = rules.with_name("allowed.toml")
    allowed.write_text(RULES + '[[check]]\nmeasure = "ledger_mismatches"\nfail = 200\n')
    assert command("check", rows, "--config", allowed, "--ledger", ledger).exit_code == 0
    allowed.write_text(RULES + '[[check]]\nmeasure = "ledger_mismatches"\nfail = 5\n')
    assert command("check", rows, "--config", allowed, "--ledger", ledger).exit_code == 3
    assert command("check", rows, "--config", allowed).exit_code == 3  # no ledger: nothing to judge
    done = command("check", rows, "--config", rules, "--ledger", rows)
    assert done.exit_code == 2
    assert "no ledger" in done.stderr


def test_check_writes_data_docs(curated: tuple[Path, Path, Path], tmp_path: Path, command: Callable[..., Done]) -> None:
    source, rows, ledger = curated
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    done = command("check", source, "--config", rules, "--gx", "--out", tmp_path / "bad")
    assert done.exit_code == 1, done.output
    assert "Calculating" not in done.stderr
    page = next((tmp_path / "bad" / "gx" / "validations").rglob("*.html")).read_text()
    assert "residual_terms (identity): 40 of 160 rows" in page
    done = command("check", rows, "--config", rules, "--gx", "--ledger", ledger, "--out", tmp_path / "good")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "good" / "gx" / "index.html").exists()
    assert (tmp_path / "good" / "check.json").exists()
    # The audit's own limits, of which not all concern these data.
    done = command("check", rows, "--gx", "--out", tmp_path / "own", "--text", "text", "--label", "label")
    assert done.exit_code in (0, 1, 3), done.output
    for words, message in (
        (("--gx",), "name a folder with --out"),
        (("--gx", "--init"), "give one of the two"),
        (("--gx", "--out", tmp_path / "x", "--baseline", tmp_path / "audit.json"), "give one of the two"),
    ):
        done = command("check", rows, "--config", rules, *words)
        assert done.exit_code == 2, done.output
        assert message in done.stderr
        assert not (tmp_path / "x").exists()


def test_check_without_gx_does_not_import_it(curated: tuple[Path, Path, Path], tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    code = (
        "import sys; from evenset.cli import invoke; assert invoke(sys.argv[1:]) in (0, 3); "
        "sys.exit('great_expectations' in sys.modules)"
    )
    words = ["check", str(curated[1]), "--config", str(rules)]
    assert subprocess.run([sys.executable, "-c", code, *words], capture_output=True, check=False).returncode == 0


def test_without_the_extra_the_install_line_is_said() -> None:
    code = (
        "import sys; sys.modules['great_expectations'] = None\n"
        "try:\n    import evenset.audit.expectations\nexcept Exception as error:\n "
        "   print(type(error).__name__, error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True).stdout
    assert said.startswith("InputError evenset.audit.expectations needs Great Expectations")
    assert 'pip install "evenset[gx]"' in said
