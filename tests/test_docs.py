"""The documents: what they mention exists, and the scripts that say so can say no."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


examples = script("run_examples")
mentions = script("check_mentions")


@pytest.fixture
def root() -> click.Group:
    from evenset.cli import cli

    return cli


def run_text(tmp_path, text: str) -> tuple[bool, str]:
    page = tmp_path / "page.md"
    page.write_text(text)
    good, said = examples.run_file(str(page))
    return good, "\n".join(said)


def test_blocks_share_a_folder_and_stop_at_the_first_that_fails(tmp_path):
    good, said = run_text(tmp_path, "```sh\necho 1 > a\n```\n\n```python\nassert open('a').read() == '1\\n'\n```\n")
    assert good
    assert "2 blocks run, 0 not" in said
    good, said = run_text(tmp_path, "```sh\nfalse\n```\n\n```sh\necho never > b\n```\n")
    assert not good
    assert ":1: exit 1, expected 0" in said


def test_a_pipe_that_breaks_and_an_unset_name_fail(tmp_path):
    assert not run_text(tmp_path, "```sh\nfalse | cat\n```\n")[0]
    assert not run_text(tmp_path, "```sh\necho $nowhere_set\n```\n")[0]


def test_notes(tmp_path):
    good, said = run_text(tmp_path, "<!-- not run: needs a GPU -->\n```sh\nfalse\n```\n")
    assert good
    assert "2: not run: needs a GPU" in said
    assert run_text(tmp_path, "<!-- exit 3 -->\n```sh\nexit 3\n```\n")[0]
    assert not run_text(tmp_path, "<!-- exit 3 -->\n```sh\ntrue\n```\n")[0]
    for note in ("skip", "not run:", "exit three"):
        good, said = run_text(tmp_path, f"<!-- {note} -->\n```sh\ntrue\n```\n")
        assert not good
        assert "unknown note" in said


def test_shown_output_is_compared(tmp_path):
    block = "```sh\nprintf 'gap  0.21\\n  to 0.30'\n```\n\nSo:\n\n```text\n{}\n```\n"
    assert run_text(tmp_path, block.format("gap 0.21 to\n0.30"))[0]
    assert run_text(tmp_path, block.format("gap ... 0.30\n..."))[0]
    good, said = run_text(tmp_path, block.format("gap 0.22"))
    assert not good
    assert "does not hold" in said


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("`evenset audit --axes x`", "no option --axes"),
        ("```sh\nevenset check a.csv \\\n  --baselin b --out c\n```\n", "no option --baselin"),
        ("```sh\necho a | evenset audit - --out x && evenset curat x\n```\n", 'no command "curat"'),
        ("`evenset lexicon check FILE`", 'no command "check"'),
        ("see `--rolls A`", "no command has an option --rolls"),
    ],
)
def test_a_wrong_mention_is_found(root, text, wrong):
    found = list(mentions.wrong_mentions(text, root))
    assert len(found) == 1
    assert wrong in found[0]


@pytest.mark.parametrize(
    "text",
    [
        "`evenset lexicon validate FILE`, `--roles A,B`, `evenset audit COMMAND`, `pip install --x`, `evenset.audit`",
        "```sh\nevenset audit a.csv --axis pronouns | jq --raw-output .\npython -m evenset run --config c\n```\n",
        "```python\nfrom evenset import audit\n```\n",
    ],
)
def test_a_right_mention_is_left_alone(root, text):
    assert list(mentions.wrong_mentions(text, root)) == []


def test_links(tmp_path):
    page, other = tmp_path / "a.md", tmp_path / "b.md"
    other.write_text("# One thing, `x` & more\n```sh\n# no heading\n```\n")
    page.write_text("x")
    text = "[a](b.md#one-thing-x--more) [b](https://x.y/z.md) [c](c.md) [d](b.md#no-heading) [e](#there)\n"
    assert [one.split()[3] for one in mentions.wrong_links(page, text)] == ["c.md", "b.md#no-heading", "#there"]


def test_an_example_with_an_unknown_key_is_found(tmp_path):
    (tmp_path / "a.toml").write_text("[data]\ntrian = 'x'\n")
    assert "trian" in "".join(mentions.wrong_examples(tmp_path))


def test_the_documents(capsys, monkeypatch):
    monkeypatch.setenv("EVENSET_DATA", "data")
    code = mentions.main()
    assert code == 0, capsys.readouterr().out


def _inputs_used(steps) -> list[set[str]]:
    return [set(step["with"]) for step in steps if "evenset@" in step.get("uses", "") and "with" in step]


def test_workflows_and_hooks_that_are_shown_use_what_there_is():
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    hooks = {hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    workflow = yaml.safe_load((ROOT / "examples" / "github-workflow.yml").read_text())
    page = (ROOT / "docs" / "howto" / "ci.md").read_text()
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    used = _inputs_used([step for job in workflow["jobs"].values() for step in job["steps"]])
    used += _inputs_used([step for block in blocks if isinstance(block, list) for step in block])
    assert len(used) >= 2
    for names in used:
        assert names <= set(action["inputs"])
    shown = {
        hook["id"]
        for block in blocks
        if isinstance(block, dict)
        for repo in block.get("repos", [])
        for hook in repo["hooks"]
    }
    assert shown == hooks
    outputs = set(
        re.findall(r"steps\.evenset\.outputs\.([\w-]+)", page + (ROOT / "examples/github-workflow.yml").read_text())
    )
    assert outputs
    assert outputs <= set(action["outputs"])
