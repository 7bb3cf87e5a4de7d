"""The pre-commit hooks: the manifest by pre-commit's own rules, and pre-commit itself on a repository."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import evenset

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = ROOT / ".pre-commit-hooks.yaml"
HOOKS = {hook["id"]: hook for hook in yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))}
CONFIG = """
[data]
train = "data/comments.csv"
text = "text"
label = "label"
positive = "1"
axes = ["pronouns"]
[[check]]
measure = "log_ratio_centred"
axis = "pronouns"
warn = 0.6
fail = 0.8
"""


def rows(bias: int) -> str:
    lines = [f"{'she' if i % 2 else 'he'} wrote line {i},{int(i % 8 < (2 * bias if i % 2 else 2))}" for i in range(600)]
    return "text,label\n" + "\n".join(lines) + "\n"


class Repository:
    """A git repository with hooks."""

    def __init__(self, folder: Path, hooks: dict[str, object]) -> None:
        self.folder = folder
        folder.mkdir()
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(Path(evenset.__path__[0]).parent),
            "PRE_COMMIT_HOME": str(folder.parent / "home"), "PRE_COMMIT_COLOR": "never",
            "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull,
            "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org",
        }  # fmt: skip
        self.run("git", "init", "-q")
        self.write(".pre-commit-config.yaml", yaml.safe_dump({"repos": [hooks]}))

    def run(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            words, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(exist_ok=True)
        (self.folder / name).write_text(text)
        self.run("git", "add", "-A")


def script(folder: Path) -> str:
    """`evenset` as an installed script would be found, which a run from a checkout has not."""
    path = folder / "bin" / "evenset"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m evenset "$@"\n')
    path.chmod(0o755)
    return str(path.parent)


def test_pre_commit_accepts_the_manifest():
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "validate-manifest", str(MANIFEST)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_hooks_are_commands_that_exist():
    from evenset.cli import cli

    for hook in HOOKS.values():
        name, *words = hook["entry"].split()
        assert name == "evenset"
        command = cli
        for word in words:
            command = command.commands[word]
        options = {one for parameter in command.params for one in parameter.opts}
        assert {word.partition("=")[0] for word in hook.get("args", [])} <= options


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("data/comments.csv", True), ("a.jsonl.zst", True), ("x/train.parquet", True), ("evenset.toml", True),
        ("ci/evenset-hate.toml", True), ("pyproject.toml", False), ("a.py", False), ("README.md", False),
        ("csv", False), ("a.csv.py", False),
    ],
)  # fmt: skip
def test_when_the_check_runs(name, runs):
    assert bool(re.search(HOOKS["evenset-check"]["files"], name)) is runs


def test_a_commit_of_worse_data_is_stopped(tmp_path):
    hook = HOOKS["evenset-check"] | {"language": "system"}
    repository = Repository(tmp_path / "work", {"repo": "local", "hooks": [hook]})
    repository.environment["PATH"] = f"{script(tmp_path)}{os.pathsep}{repository.environment['PATH']}"
    repository.run("pre-commit", "install")
    repository.write("readme.md", "no data yet\n")
    assert "no files to check" in repository.run("git", "commit", "-m", "one")  # and so no config is missed
    repository.write("evenset.toml", CONFIG)
    repository.write("data/comments.csv", rows(bias=1))
    assert "Passed" in repository.run("git", "commit", "-m", "two")
    repository.write("data/comments.csv", rows(bias=3))
    said = repository.run("git", "commit", "-m", "three", code=1)
    assert "FAILED: 1 fail" in said
    assert "exit code: 1" in said
    assert "worse" not in repository.run("git", "log", "--format=%s")


@pytest.mark.slow
def test_the_hooks_come_out_of_a_clone(tmp_path):
    """As from GitHub, `repo:` and `rev:`; only the environment is the present one, so that nothing is fetched."""
    clone = tmp_path / "evenset"
    clone.mkdir()
    (clone / MANIFEST.name).write_bytes(MANIFEST.read_bytes())
    repository = Repository(tmp_path / "work", {"repo": str(clone), "rev": "v1", "hooks": [
        {"id": "evenset-check", "language": "system", "args": ["--config=evenset.toml", "--allow-unclear"]},
        {"id": "evenset-lexicon-validate", "language": "system"},
    ]})  # fmt: skip
    repository.environment["PATH"] = f"{script(tmp_path)}{os.pathsep}{repository.environment['PATH']}"
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"], ["tag", "v1"]):
        repository.run("git", "-C", str(clone), *words)
    repository.write("evenset.toml", CONFIG)
    repository.write("data/comments.csv", "\n".join(rows(bias=1).split("\n")[:21]) + "\n")  # too few rows to tell
    good = (ROOT / "data/lexicons/pronouns.toml").read_text(encoding="utf-8")
    repository.write("lexicons/good.toml", good)
    repository.write("lexicons/good too.toml", good)
    assert repository.run("pre-commit", "run", "--all-files").count("Passed") == 2
    repository.write("lexicons/bad.toml", good.replace("version", "vresion", 1))
    said = repository.run("pre-commit", "run", "--all-files", code=1)
    assert "bad.toml" in said
    assert "good.toml: fine" in said
