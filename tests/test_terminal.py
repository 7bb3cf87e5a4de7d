"""What a terminal gets of every command: help, width, colour, clean JSON, errors that say how to go on."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import click
import pytest

import evenset
from evenset.cli import cli, invoke

CONFIG = """
[data]
text = "text"
label = "label"
positive = "1"
axes = ["identity"]
[[check]]
measure = "label_log_ratio"
axis = "identity"
warn = 0.0001
fail = 0.0002
"""


def every(group: click.Group = cli, before: tuple[str, ...] = ()) -> dict[tuple[str, ...], click.Command]:
    """All commands with the words that call them."""
    found: dict[tuple[str, ...], click.Command] = {}
    for name, command in group.commands.items():
        found[(*before, name)] = command
        if isinstance(command, click.Group):
            found |= every(command, (*before, name))
    return found


COMMANDS = every()
NAMES = [" ".join(words) for words in COMMANDS]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Data, a curation of them, and predictions about them."""
    folder = tmp_path_factory.mktemp("terminal")
    assert invoke(["sample", "comments", "--rows", "2500", "--out", str(folder / "s"), "--quiet"]) == 0
    data = str(folder / "s" / "comments.parquet")
    (folder / "evenset.toml").write_text(CONFIG)
    assert invoke(["curate", data, "--do", "scrub:identity", "--out", str(folder / "curated"), "--quiet"]) == 0
    counts = ["--axis", "identity", "--measures", "counts"]
    assert invoke(["audit", data, *counts, "--out", str(folder / "audit"), "--quiet"]) == 0
    terms = ("gay", "muslim", "christian", "american")
    rows = "".join(f"{i},{i % 2},{(i * 7 % 10) / 10},{terms[i // 2 % 4]}\n" for i in range(900))
    (folder / "scores.csv").write_text("id,label,score,group\n" + rows)
    return folder


# Every command that has --json, on real work; the rest is in the next list.
WITH_JSON = {
    "audit": ["audit", "{}/s/comments.parquet", "--axis", "identity", "--measures", "counts"],
    "check": ["check", "{}/s/comments.parquet", "--config", "{}/evenset.toml"],
    "curate": ["curate", "{}/s/comments.parquet", "--do", "resample:identity,target=independent", "--dry-run"],
    "explain": ["explain", "{}/curated", "--row", "#5"],
    "lexicon show": ["lexicon", "show", "identity"],
    "verify": ["verify", "{}/scores.csv", "--yardstick", "{}/audit/audit.json"],
}
# These train, load a model or read a finished run; tests of their own parse their JSON.
ELSEWHERE = {"finetune", "run", "attribute", "upstream"}


def words(given: list[str], made: Path) -> list[str]:
    return [word.replace("{}", str(made)) for word in given]


def test_no_command_with_json_is_left_out():
    having = {
        " ".join(name) for name, command in COMMANDS.items()
        if any("--json" in parameter.opts for parameter in command.params)
    }  # fmt: skip
    assert having - ELSEWHERE - {"card"} == set(WITH_JSON)


@pytest.mark.parametrize("name", NAMES)
def test_help_fits_and_has_examples_that_can_be_called(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert invoke([*name.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown
    examples = re.findall(r"^ {1,4}evenset (.*(?:\\\n.*)*)", shown, re.MULTILINE)
    assert any(one.startswith(name.split()[0]) for one in examples), shown
    for example in examples:
        text = re.sub(r"\s#\s.*|\||>.*(?=$)", "", example.replace("\\\n", " ")) if '"' not in example else example
        called = [word for word in text.split() if not word.startswith("-")]
        command: click.Command = cli.commands[called[0]]
        if isinstance(command, click.Group):
            command = command.commands[called[1]]
        options = {one for parameter in command.params for one in parameter.opts}
        used = set(re.findall(r"(?<![\w-])--[a-z-]+", text))
        assert used <= options, example


def test_the_first_help_lists_every_command_once_in_the_order_of_the_work(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert invoke(["--help"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    listed = re.findall(r"^  ([a-z]+) {2,}\S", shown, re.MULTILINE)
    listed = [name for name in listed if name in cli.commands]
    assert sorted(listed) == sorted(cli.commands)
    order = ["demo", "audit", "check", "curate", "run", "verify", "measures"]
    assert [name for name in listed if name in order] == order
    assert "More:" not in shown  # a new command is given its place in commands/help.py
    for code in ("0 ", "1 ", "2 ", "3 ", "4 "):
        assert code in shown[shown.index("Exit codes") :]


def test_options_are_listed_once_each(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert invoke(["curate", "--help"]) == 0
    shown = capsys.readouterr().out
    listed = re.findall(r"^  (?:-h, )?(--[a-z-]+)", shown, re.MULTILINE)
    options = [one for parameter in cli.commands["curate"].params for one in parameter.opts if one.startswith("--")]
    assert sorted(listed) == sorted([*options, "--help"])
    assert shown.index("\nOptions:") < shown.index("\nColumns:") < shown.index("\nOutput:")


@pytest.mark.parametrize("name", WITH_JSON)
def test_json_is_all_there_is_on_stdout(name, made, capsys):
    assert invoke([*words(WITH_JSON[name], made), "--json"]) in (0, 1, 3)
    assert json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("name", [*WITH_JSON, "measures"])
def test_tables_fit(name, width, made, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    assert invoke(words(WITH_JSON.get(name, [name]), made)) in (0, 1, 3)
    out, err = capsys.readouterr()
    assert out.strip()
    too_wide = [line for line in out.splitlines() if len(line.rstrip()) > width]
    # Names of files and commands to copy are never cut in two, and what can be reached is a table of 80 columns.
    assert [line for line in too_wide if name != "curate" or width >= 80] == []
    assert "\x1b" not in out + err


def in_terminal(arguments: list[str], **environment: str) -> str:
    """What a command writes when stdout and stderr are a terminal of 80 columns."""
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    base = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "FORCE_COLOR")}
    base["PYTHONPATH"] = str(Path(evenset.__path__[0]).parent)
    process = subprocess.Popen(
        [sys.executable, "-m", "evenset", *arguments], stdin=subprocess.DEVNULL, stdout=other, stderr=other,
        env=base | {"TERM": "xterm-256color"} | environment,
    )  # fmt: skip
    os.close(other)
    said = b""
    while True:
        try:
            part = os.read(main, 4096)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        said += part
    os.close(main)
    assert process.wait() in (0, 1, 3)
    return said.decode()


COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize(
    ("environment", "colour"),
    [({}, True), ({"NO_COLOR": "1"}, False), pytest.param({"TERM": "dumb"}, False, marks=pytest.mark.slow)],
)
def test_colour_is_for_terminals_that_want_it(environment, colour, made):
    shown = in_terminal(words(WITH_JSON["check"], made), **environment)
    codes = [code for code in COLOUR.findall(shown) if re.search(r"(?<!\d)3[0-8](?=[;m])", code)]
    assert bool(codes) is colour
    if environment.get("TERM") == "dumb":
        assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["audti"], 'Did you mean "audit"?'),
        (["lexicon", "shwo"], 'Did you mean "show"?'),
        (["nothing-like-it"], "There are attribute, audit"),
        (["audit", "{}/s/comments.parquet", "--txet", "x"], "--text"),
        (["audit", "{}/s/comments.parquet", "--axis", "pronoun"], 'Did you mean "pronouns"?'),
        (["audit", "{}/s/comments.parquet", "--measures", "npm"], 'Did you mean "npmi"?'),
        (["audit", "{}/s/comments.parquet", "--measures", "leakge"], 'Did you mean "leakage"?'),
        (["audit", "{}/s/comments.parquet", "--preset", "jigsw"], 'Did you mean "jigsaw"?'),
        (["audit", "{}/s/comments.parqet"], 'Did you mean "'),
        (["audit", "{}/s/comments.parquet", "--engine", "dusk"], "dask"),
        (["curate", "{}/s/comments.parquet", "--do", "scurb:identity", "--out", "x"], 'Did you mean "scrub"?'),
        (["curate", "{}/s/comments.parquet", "--do", "scrub:identiti", "--out", "x"], 'Did you mean "identity"?'),
        (["explain", "{}/s", "--row", "1"], "evenset curate --out"),
        (["attribute", "{}/s"], "evenset run"),
        (["verify", "{}/nothing.csv"], "give a csv or parquet file of scores"),
        (["run"], "See `evenset run --help`"),
        (["run", "--config", "nothing.toml"], "evenset check DATA --init"),
    ],
)
def test_an_error_ends_with_what_to_type_next(arguments, said, made, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert invoke(words(arguments, made)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err.splitlines()[-1]
    assert "Traceback" not in err
