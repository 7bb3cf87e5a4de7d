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
    assert (
        invoke(["audit", str(folder / "comments.parquet"), "--axis", "pronouns", "--out", "report", "--overwrite"]) == 0
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["audit"], "no DATA given"),
        (["audit", "{data}", "--text", "txet"], 'Did you mean "text"'),
        (["audit", "{data}", "--axis", "pronuons"], 'Did you mean "pronouns"'),
        (["audit", "{data}", "--measures", "log_ratoi"], 'Did you mean "log_ratio"'),
        (["audit", "nothing.csv"], "nothing.csv"),
        (["audit", "{data}", "--config", "nothing.toml"], "no such config file"),
        (["curate", "{data}", "--out", "x"], "needs steps: --do STEP:AXIS"),
        (["curate", "{data}", "--do", "reweight", "--out", "x"], "write STEP:AXIS"),
        (["curate", "{data}", "--do", "reweigh:identity", "--out", "x"], 'Did you mean "reweight"'),
        (["curate", "{data}", "--do", "reweight:identity,cop=3", "--out", "x"], 'Did you mean "cap"'),
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
    assert (
        invoke(["curate", data, "--config", str(folder / "evenset.toml"), "--plan", "hide", "--out", "c", "--quiet"])
        == 0
    )
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
    (here / "hard.toml").write_text(
        '[[check]]\nmeasure = "cramers_v"\naxis = "identity"\nwarn = 0.0001\nfail = 0.0002\n'
    )
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
    for command in ("audit", "curate", "restore", "finetune", "run", "verify", "check", "demo", "sample", "upstream"):
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


@pytest.mark.parametrize("parts", [False, True])
def test_a_curation_that_is_stopped_says_whether_anything_is_kept(monkeypatch, folder, here, capsys, parts):
    import evenset.curate

    def stopped(*_: object, **__: object) -> None:
        if parts:
            (here / "out" / ".evenset-parts").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(evenset.curate, "run", stopped)
    command = ["curate", str(folder / "comments.parquet"), "--do", "reweight:identity", "--out", "out"]
    assert invoke(command) == 130
    said = capsys.readouterr().err
    assert ("goes on from there" in said, "Nothing was written" in said) == (parts, not parts)


def cli(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "evenset.cli", *map(str, arguments)], capture_output=True, check=False, **options
    )


ESCAPE = "\x1b[31mred"


@pytest.fixture(scope="module")
def odd(tmp_path_factory) -> Path:
    """Names that a terminal or a markup language would take for orders."""
    import csv

    groups = ["[bold]x[/bold]", "<script>a/b</script>", ESCAPE, ":smile:", "[/]", "emoji 👩‍🚀", "long" * 60]
    path = tmp_path_factory.mktemp("odd") / "odd.csv"
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["[red]text", "[i]label", "[b]group"])
        for i in range(700):
            writer.writerow([f"she {i}", ESCAPE if (i // 7) % (2 + i % 7) else "[good]", groups[i % 7]])
    (path.parent / "odd.toml").write_text(
        '[data]\ntext = "[red]text"\nlabel = "[i]label"\npositive = "[good]"\naxes = ["column:[b]group"]\n'
        '[[check]]\nmeasure = "label_log_ratio"\nwarn = 0.001\nfail = 0.002\n'
        '[plan.w]\n[[plan.w.step]]\ndo = "reweight"\naxis = "column:[b]group"\n'
    )
    return path


@pytest.mark.parametrize("command", [["audit"], ["check"], ["curate", "--dry-run"]])
def test_names_that_look_like_markup_are_shown_as_they_are(odd, here, capsys, command):
    assert invoke([*command, str(odd), "--config", str(odd.with_suffix(".toml"))]) in (0, 1)
    out, err = capsys.readouterr()
    assert "[b]group" in out
    assert "\x1b" not in out + err
    if command == ["check"]:
        for name in ("[bold]x[/bold]", "<script>a/b</script>", "\\x1b[31mred", ":smile:", "[/]", "👩‍🚀", "longlong"):
            assert name in out
    assert invoke([*command, str(odd), "--config", str(odd.with_suffix(".toml")), "--json", "--quiet"]) in (0, 1)
    json.loads(capsys.readouterr().out)


def test_messages_spell_control_characters_out(odd, here, capsys):
    assert invoke(["audit", str(odd), "--text", ESCAPE]) == 2
    err = capsys.readouterr().err
    assert '"\\x1b[31mred"' in err
    assert "\x1b" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["audit", "{data}", "--out", ""], "is empty"),
        (["audit", ""], "DATA is empty"),
        (["audit", "{data}", "--text", "text", "--label", "text"], "both name"),
        (["audit", "{data}", "--label-threshold", "nan"], "finite"),
        (["audit", "{data}", "--id", "label"], "comes again in row"),
        (["audit", "{one}", "--label", "label"], "has only one class"),
        (["check", "{data}", "--config", "{empty}", "--out", "x"], "nothing to check against"),
        (["audit", "{data}", "--axis", "column:grup", "--out", "x"], 'Did you mean "group"'),
        (["verify", "{data}", "--yardstick", "no.json", "--out", "x"], "no.json: no such file"),
        (["restore", "{data}", "--ledger", "{data}", "--out", "x/y"], "no ledger of evenset"),
        (["sample", "bios", "--rows", "0", "--out", "x"], "0 is not in the range"),
        (["run", "--config", "{outside}", "--out", "x"], 'arm name "../../up"'),
        (["run", "--config", "{column}", "--out", "x"], "(data.text)"),
        (["run", "--config", "{step}", "--out", "x"], 'plan.hide.step[1].axis "identiti" means nothing'),
        (["run", "--config", "{axes}", "--out", "x"], 'data.axes "identiti" means nothing'),
        (["run", "--config", "{probe}", "--out", "x"], "probe: there is no file"),
    ],
)
def test_a_wrong_call_leaves_no_folder_behind(folder, here, tmp_path_factory, capsys, arguments, message):
    other = tmp_path_factory.mktemp("other")
    (other / "one.csv").write_text("text,label\n" + "she is a nurse,1\n" * 40)
    text = (folder / "evenset.toml").read_text()
    (other / "outside.toml").write_text(text + '[[arm]]\nplan = "hide"\nname = "../../up"\n')
    (other / "empty.toml").write_text('[data]\ntext = "text"\n')
    (other / "column.toml").write_text(text.replace('text = "text"', 'text = "txet"'))
    (other / "axes.toml").write_text(text.replace('axes = ["identity"]', 'axes = ["identiti"]'))
    (other / "step.toml").write_text(text.replace('"scrub"\naxis = "identity"', '"scrub"\naxis = "identiti"'))
    (other / "probe.toml").write_text(text + '[probe]\npath = "nothing.csv"\n')
    names = {f"{{{path.stem}}}": str(path) for path in other.iterdir()} | {"{data}": str(folder / "comments.parquet")}
    assert invoke([names.get(word, word) for word in arguments]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert err.count("error: ") == 1
    assert out == ""
    assert list(here.iterdir()) == []


def test_init_writes_to_a_config_that_is_not_there_yet(folder, here, capsys):
    assert invoke(["check", str(folder / "comments.parquet"), "--init", "--config", "ci.toml"]) == 0
    assert (here / "ci.toml").exists()
    assert invoke(["check", str(folder / "comments.parquet"), "--init", "--config", "ci.toml"]) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_failed_overwrite_loses_nothing(folder, here, capsys):
    data = str(folder / "comments.parquet")
    assert invoke(["audit", data, "--out", "report", "--quiet"]) == 0
    (here / "report/notes.txt").write_text("precious")
    before = {name: (here / "report" / name).read_bytes() for name in files(here / "report")}
    assert invoke(["audit", data, "--axis", "typo", "--out", "report", "--overwrite", "--quiet"]) == 2
    assert {name: (here / "report" / name).read_bytes() for name in files(here / "report")} == before
    assert invoke(["check", data, "--config", str(folder / "evenset.toml"), "--out", "report", "--overwrite"]) == 2
    (here / "c.toml").write_text('[[check]]\nmeasure = "cramers_v"\nfail = 0.9\n')
    assert (
        invoke(["check", data, "--config", "c.toml", "--out", "report", "--overwrite", "--quiet", "--allow-unclear"])
        == 0
    )
    kept = {name for name in files(here / "report") if not name.startswith(".evenset")}
    assert kept == {"check.json", "check.md", "check.sarif", "junit.xml", "notes.txt"}


def test_standard_input_is_not_left_in_the_output_folder(here):
    rows = b"text,label\n" + b"".join(b"she is a nurse number %d,%d\n" % (i, i % 2) for i in range(50))
    assert cli("audit", "-", "--out", "report", "--quiet", input=rows).returncode == 0
    assert not [name for name in files(here / "report") if "stdin" in name]
    assert cli("audit", "-", "--axis", "typo", "--out", "new", input=rows).returncode == 2
    assert not (here / "new").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_output_that_cannot_be_written(folder, here):
    data = folder / "comments.parquet"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "evenset.cli", "audit", str(data), "--quiet"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 2
    assert b"no space left" in done.stderr
    narrow = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = cli("audit", data, "--quiet", env=narrow)
    assert done.returncode == 0, done.stderr
    assert json.loads(cli("audit", data, "--quiet", "--json", env=narrow).stdout)["schema"] == "evenset.audit/1"


@pytest.mark.parametrize(
    "arguments", [["lexicon", "show", "identity"], ["measures"], ["audit", "{data}", "--json", "--quiet"]]
)
def test_a_reader_that_goes_away_is_no_failure(folder, here, arguments):
    words = [word.replace("{data}", str(folder / "comments.parquet")) for word in arguments]
    process = subprocess.Popen(
        [sys.executable, "-m", "evenset.cli", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 0


@pytest.mark.parametrize("arguments", [["lexicon", "show", "identity"], ["lexicon", "show"], ["measures"]])
def test_what_is_printed_fits_80_columns(here, capsys, arguments):
    assert invoke(arguments) == 0
    assert max(len(line) for line in capsys.readouterr().out.splitlines()) <= 80


def test_a_file_name_that_is_no_utf8(folder, here):
    name = os.fsencode(here) + b"/b\xff.csv"
    try:
        Path(os.fsdecode(name)).write_bytes(
            b"text,label\n" + b"".join(b"she is gay %d,%d\n" % (i, i % 2) for i in range(50))
        )
    except OSError:
        pytest.skip("this file system has only names in UTF-8")
    done = cli("audit", os.fsdecode(name), "--out", "report", "--quiet")
    assert done.returncode == 0, done.stderr
    json.loads((here / "report/audit.json").read_bytes())
    done = cli(
        "curate", os.fsdecode(name), "--config", folder / "evenset.toml", "--plan", "hide", "--out", "c", "--quiet"
    )
    assert (done.returncode, b"rename it" in done.stderr) == (2, True)
    assert not (here / "c").exists()


def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "evenset", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("evenset, version ")


def test_ctrl_c_during_the_imports_is_one_line():
    code = (
        "import builtins, runpy, sys\n"
        "known = builtins.__import__\n"
        "def stop(name, *rest):\n"
        "    if name == 'click': raise KeyboardInterrupt\n"
        "    return known(name, *rest)\n"
        "builtins.__import__ = stop\n"
        "from evenset.__main__ import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped.\n")
