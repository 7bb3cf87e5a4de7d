"""The command line as a user meets it: output, exit codes, messages, nothing half-written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evenset.cli import invoke

CONFIG = """
[data]
train = "{folder}/comments.parquet"
text = "text"
label = "label"
positive = "1"
axes = ["identity"]

[plan.weigh]
[[plan.weigh.step]]
do = "reweight"
axis = "identity"

[plan.hide]
[[plan.hide.step]]
do = "scrub"
axis = "identity"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a comments sample and a config."""
    folder = tmp_path_factory.mktemp("cli")
    assert invoke(["sample", "comments", "--rows", "1500", "--out", str(folder), "--quiet"]) == 0
    (folder / "evenset.toml").write_text(CONFIG.format(folder=folder))
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_audit_prints_a_scorecard_that_fits_80_columns(folder, here, capsys):
    assert invoke(["audit", str(folder / "comments.parquet"), "--axis", "identity"]) == 0
    out, err = capsys.readouterr()
    assert "identity" in out
    assert max(len(line) for line in out.splitlines()) <= 80
    assert "\x1b" not in out
    assert "text=text" in err
    assert files(here) == set()


def test_json_on_stdout_is_clean(folder, here, capsys):
    assert invoke(["audit", str(folder / "comments.parquet"), "--axis", "identity", "--json"]) == 0
    out, _ = capsys.readouterr()
    report = json.loads(out)
    assert report["schema"] == "evenset.audit/1"
    assert report["dataset"]["rows"] == 1500
    assert set(report["scores"]) == {"identity"}


def test_audit_writes_what_the_contract_names(folder, here):
    assert invoke(["audit", str(folder / "comments.parquet"), "--axis", "identity", "--out", "report", "--quiet"]) == 0
    assert {"audit.json", "flagged.parquet"} <= {Path(name).name for name in files(here / "report")}
    first = (here / "report/audit.json").read_bytes()
    assert invoke(["audit", str(folder / "comments.parquet"), "--axis", "identity", "--out", "report", "--quiet"]) == 0
    assert (here / "report/audit.json").read_bytes() == first


def test_a_folder_of_another_run_is_not_touched(folder, here, capsys):
    assert invoke(["audit", str(folder / "comments.parquet"), "--out", "report", "--quiet"]) == 0
    before = {name: (here / "report" / name).read_bytes() for name in files(here / "report")}
    assert invoke(["audit", str(folder / "comments.parquet"), "--axis", "pronouns", "--out", "report", "--quiet"]) == 2
    assert "another run" in capsys.readouterr().err
    assert {name: (here / "report" / name).read_bytes() for name in files(here / "report")} == before
    assert invoke(["audit", str(folder / "comments.parquet"), "--axis", "pronouns", "--out", "report", "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["audit"], "no DATA given"),
        (["audit", "{data}", "--text", "txet"], 'Did you mean "text"'),
        (["audit", "{data}", "--axis", "pronuons"], 'Did you mean "pronouns"'),
        (["audit", "{data}", "--measures", "log_ratoi"], 'Did you mean "log_ratio"'),
        (["audit", "nothing.csv"], "nothing.csv"),
        (["audit", "{data}", "--config", "nothing.toml"], "no such config file"),
        (["curate", "{data}", "--out", "x"], "needs --config"),
        (["curate", "--config", "{config}", "--out", "x"], "--plan NAME is needed"),
        (["curate", "--config", "{config}", "--plan", "wiegh", "--out", "x"], 'Did you mean "weigh"'),
        (["curate", "--config", "{config}", "--plan", "weigh"], "needs --out DIR"),
        (["restore", "nothing.csv", "--ledger", "nothing.parquet", "--out", "x"], "nothing.parquet"),
        (["verify", "nothing.parquet", "--yardstick", "nothing.json"], "nothing"),
        (["check", "{data}"], "check"),
        (["nonsense"], "No such command"),
        (["lexicon", "show", "pronuons"], 'Did you mean "pronouns"'),
    ],
)
def test_a_wrong_call_is_one_message_exit_2_and_writes_nothing(folder, here, capsys, arguments, message):
    names = {"{data}": str(folder / "comments.parquet"), "{config}": str(folder / "evenset.toml")}
    assert invoke([names.get(word, word) for word in arguments]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert "Traceback" not in err
    assert out == ""
    assert {name for name in files(here) if not name.endswith(".evenset.json")} == set()


def test_curate_then_restore_gives_the_rows_back(folder, here):
    import pyarrow.parquet as pq

    data = str(folder / "comments.parquet")
    assert invoke(["curate", data, "--config", str(folder / "evenset.toml"), "--plan", "hide", "--out", "c", "--quiet"]) == 0
    assert {"data.parquet", "ledger.parquet", "curation.json"} <= files(here / "c")
    assert invoke(["restore", "c/data.parquet", "--ledger", "c/ledger.parquet", "--out", "back", "--quiet"]) == 0
    (restored,) = [here / "back" / name for name in files(here / "back") if name.endswith(".parquet")]
    assert pq.read_table(restored).equals(pq.read_table(data))


def test_a_dry_run_writes_nothing(folder, here, capsys):
    assert invoke(["curate", "--config", str(folder / "evenset.toml"), "--plan", "weigh", "--dry-run"]) == 0
    assert "nothing was written" in capsys.readouterr().err
    assert files(here) == set()


def test_init_then_check_passes_and_a_limit_of_nothing_fails(folder, here, capsys):
    data = str(folder / "comments.parquet")
    assert invoke(["check", data, "--init"]) == 0
    assert invoke(["check", data, "--config", "evenset.toml", "--out", "ok", "--allow-unclear"]) == 0
    assert {"check.json", "junit.xml"} <= files(here / "ok")
    (here / "hard.toml").write_text('[[check]]\nmeasure = "cramers_v"\naxis = "identity"\nwarn = 0.0001\nfail = 0.0002\n')
    assert invoke(["check", data, "--config", "hard.toml", "--out", "bad"]) == 1
    capsys.readouterr()


def test_data_comes_from_stdin(here):
    rows = "text,label\n" + "".join(f"she is a nurse number {i},{i % 2}\n" for i in range(50))
    done = subprocess.run(
        [sys.executable, "-m", "evenset.cli", "audit", "-", "--axis", "pronouns", "--json", "--quiet"],
        input=rows, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONWARNINGS": "default"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["dataset"]["rows"] == 50


def test_every_command_has_help_with_an_example(capsys):
    for command in ("audit", "curate", "restore", "finetune", "run", "verify", "check", "demo", "sample"):
        assert invoke([command, "--help"]) == 0
        assert f"\n    evenset {command} " in capsys.readouterr().out.replace("\n  evenset", "\n    evenset"), command


def test_a_defect_is_told_apart_from_bad_input(monkeypatch, folder, here, capsys):
    import evenset.audit

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(evenset.audit, "run", broken)
    assert invoke(["audit", str(folder / "comments.parquet")]) == 4
    err = capsys.readouterr().err
    assert "ZeroDivisionError" in err
    assert "Traceback" not in err


def test_ctrl_c_is_130_and_says_how_to_go_on(monkeypatch, folder, here, capsys):
    import evenset.audit

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(evenset.audit, "run", stopped)
    assert invoke(["audit", str(folder / "comments.parquet"), "--out", "report"]) == 130
    assert "same command" in capsys.readouterr().err
    assert "report/audit.json" not in files(here)
