"""What the shell offers: click's own classes for each shell, and bash really run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

import evenset
from evenset import cli
from evenset.commands.completion import VARIABLE

CONFIG = """
[data]
train = "posts.csv"

[plan.mask]
[[plan.mask.step]]
do = "scrub"
axis = "identity"

[plan.balance]
[[plan.balance.step]]
do = "reweight"
axis = "identity"
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "posts.csv").write_text("comment,toxic,who\na,1,x\nb,0,y\n")
    (tmp_path / "my.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def offered(*words):
    *before, incomplete = words
    found = ShellComplete(cli.cli, {}, "evenset", VARIABLE).get_completions(before, incomplete)
    return [item.value for item in found]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("au",), ["audit"]),
        (("audit", "posts.csv", "--axis", "pro"), ["pronouns"]),
        (("audit", "--axis", "identity+pro"), ["identity+pronouns"]),
        (("audit", "posts.csv", "--axis", "column:"), ["column:comment", "column:toxic", "column:who"]),
        (("audit", "--preset", ""), ["bias-in-bios", "jigsaw", "civil-comments"]),
        (("audit", "--measures", "counts,lea"), ["counts,leakage", "counts,leakage_auc"]),
        (("audit", "posts.csv", "--text", ""), ["comment", "toxic", "who"]),
        (("audit", "--format", "cha"), ["chat"]),
        (("curate", "posts.csv", "--config", "my.toml", "--plan", ""), ["mask", "balance"]),
        (("curate", "--config", "my.toml", "--text", "comm"), ["comment"]),
        (("curate", "--do", "res"), ["resample:"]),
        (("curate", "--do", "resample:id"), ["resample:identity"]),
        (("curate", "--allow", "swap,to"), ["swap,topup"]),
        (("verify", "--axis", "ident"), ["identity"]),
        (("verify", "--measure", ""), ["fpr", "tpr"]),
        (("completion", ""), ["bash", "zsh", "fish"]),
        (("lexicon", "va"), ["validate"]),
    ],
)
def test_names_are_offered(here, words, expected):
    assert offered(*words) == expected


@pytest.mark.parametrize(
    "words",
    [
        ("curate", "--config", "not-there.toml", "--plan", ""),
        ("audit", "not-there.csv", "--text", ""),
        ("audit", "--text", ""),
        ("curate", "--plan", ""),
    ],
)
def test_what_is_wrong_offers_nothing_and_says_nothing(here, words, capfd):
    assert offered(*words) == []
    assert capfd.readouterr() == ("", "")


def test_data_are_files(here):
    (item,) = ShellComplete(cli.cli, {}, "evenset", VARIABLE).get_completions(["audit"], "po")
    assert (item.type, item.value) == ("file", "po")


@pytest.mark.parametrize(("shell", "made"), [("bash", BashComplete), ("zsh", ZshComplete), ("fish", FishComplete)])
def test_the_script_is_clicks_own(shell, made, capsys):
    assert cli.invoke(["completion", shell]) == 0
    assert capsys.readouterr().out == made(cli.cli, {}, "evenset", VARIABLE).source() + "\n"


def test_every_name_that_is_completed_is_a_parameter():
    from evenset.commands import completion

    names = {param.name for command in _all(cli.cli) for param in command.params}
    assert set(completion._OFFERS) | completion._FILES <= names


def _all(group):
    for command in group.commands.values():
        yield command
        if isinstance(command, click.Group):
            yield from _all(command)


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes(here):
    """The script that is printed, sourced by bash, which then asks as it does when Tab is pressed."""
    shim = here / "bin" / "evenset"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m evenset "$@"\n')
    shim.chmod(0o755)
    asked = [
        ("curate", "--config", "my.toml", "--plan", "ma"),
        ("audit", "--preset", "jig"),
        ("audit", "po"),
    ]
    lines = ['eval "$(evenset completion bash)"', "complete -p evenset"]
    for words in asked:
        quoted = " ".join(("evenset", *words))
        lines += [
            f"COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; COMPREPLY=()",
            f'_evenset_completion evenset "{words[-1]}" "{words[-2]}"; echo "got ${{COMPREPLY[*]}}"',
        ]
    place = str(Path(next(iter(evenset.__path__))).parent)
    path = os.pathsep.join([place, os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PATH": f"{shim.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": path}
    done = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", "\n".join(lines)],
        capture_output=True, text=True, cwd=here, env=environment, check=False,
    )  # fmt: skip
    found = done.stdout.splitlines()
    assert found[0].startswith("complete -o nosort -F _evenset_completion evenset"), done.stderr
    assert found[1:3] == ["got mask", "got jigsaw"]
