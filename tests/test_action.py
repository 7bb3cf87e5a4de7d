"""The GitHub Action: its own steps, run by bash as GitHub runs them."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ci_steps import ROOT, run_action

HARD = '[[check]]\nmeasure = "label_rate"\naxis = "pronouns"\nwarn = 0.0001\nfail = 0.0002\n'
SOFT = '[[check]]\nmeasure = "log_ratio_centred"\naxis = "pronouns"\nwarn = 8\nfail = 9\n'
BIASED = '[[check]]\nmeasure = "log_ratio_centred"\naxis = "pronouns"\nwarn = 0.1\nfail = 0.2\n'
THIN = '[[check]]\nmeasure = "log_ratio_centred"\naxis = "pronouns"\nwarn = 0.9\nfail = 1.1\n'


def rows(n: int = 400, bias: int = 3) -> str:
    """She-rows have label 1 `bias` times as often as he-rows."""
    lines = [f"{'she' if i % 2 else 'he'} wrote line {i},{int(i % 8 < (2 * bias if i % 2 else 2))}" for i in range(n)]
    return "text,label\n" + "\n".join(lines) + "\n"


@pytest.fixture
def there(tmp_path) -> tuple[Path, Path]:
    """A workspace and a folder for temporary files."""
    workspace, temp = tmp_path / "work space", tmp_path / "temp"
    workspace.mkdir()
    temp.mkdir()
    (workspace / "comments.csv").write_text(rows())
    (workspace / "soft.toml").write_text(SOFT)
    (workspace / "biased.toml").write_text(BIASED)
    return workspace, temp


def test_no_expression_reaches_a_script():
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    runs = [step for step in action["runs"]["steps"] if "run" in step]
    assert len(runs) == 2
    for step in runs:
        assert "${{" not in step["run"], step
        assert step["shell"] == "bash"
    for name in ("check.sh", "check.py"):
        assert "${{" not in (ROOT / ".github/action" / name).read_text(encoding="utf-8")
    used = set(re.findall(r"inputs\.([\w-]+)", json.dumps(action["runs"])))
    assert used == set(action["inputs"])
    assert {spec["value"] for spec in action["outputs"].values()} == {
        f"${{{{ steps.check.outputs.{name} }}}}" for name in action["outputs"]
    }


def test_a_check_that_passes(there):
    """Modules that lie in the folder worked in are not imported."""
    for module in ("pandas", "evenset", "click", "json"):
        (there[0] / f"{module}.py").write_text("raise SystemExit(77)\n")
    before = sorted(there[0].iterdir())
    job = run_action(*there, install="false", data="comments.csv", config="soft.toml")
    assert (job.failed, job.outputs["status"], job.outputs["exit-code"]) == (0, "pass", "0"), job.log
    report = Path(job.outputs["report"])
    assert report.parent == there[1]
    assert {"check.json", "junit.xml", "check.md"} <= {path.name for path in report.iterdir()}
    assert job.summary == (report / "check.md").read_text(encoding="utf-8").rstrip("\n") + "\n"
    assert job.annotations == []
    assert sorted(there[0].iterdir()) == before


ODD = [
    "it's \"quoted\".csv", "  blank  .csv", "ünï—コメント.csv", "-dash.csv", "--out=x.csv", "$(touch pwned).csv",
    "`touch pwned`.csv", "a;touch pwned;.csv", "100%0A::error::x.csv", "a,b:c.csv", "[list].csv", "--help",
]  # fmt: skip
ORDER = "::error::pwned"


@pytest.mark.parametrize(
    "names", [pytest.param(ODD, id="lines", marks=pytest.mark.slow), pytest.param(["one\nname.csv", *ODD], id="json")]
)
def test_a_check_that_fails_whatever_its_files_and_columns_are_called(there, names):
    """Names give no orders, neither to the shell nor to GitHub; each failing case is an annotation."""
    table = rows().replace(",1\n", f",{ORDER}\n")
    for name in names:
        (there[0] / name).write_text(table)
    config = "con'fig $(touch pwned).toml"
    (there[0] / config).write_text(BIASED)
    before = sorted(there[0].iterdir())
    job = run_action(
        *there, install="false", data=json.dumps(names) if "one\nname.csv" in names else "\n".join([*names, "\r\n"]),
        config=config, out="re\nport", args=f"--label label --positive '{ORDER}'",
    )  # fmt: skip
    assert (job.failed, job.outputs["status"], job.outputs["exit-code"]) == (1, "fail", "1"), job.log
    assert job.outputs["report"] == str(there[0] / "re\nport")
    assert sorted(there[0].iterdir()) == sorted([*before, there[0] / "re\nport"])
    cases = json.loads((there[0] / "re\nport/check.json").read_text(encoding="utf-8"))["cases"]
    assert job.annotations
    assert job.annotations == [("error", case["message"]) for case in cases if case["status"] == "fail"]
    assert all(ORDER in message for _, message in job.annotations)
    assert job.summary.strip()


@pytest.mark.slow
@pytest.mark.parametrize(("allow", "code", "level"), [("false", 3, "error"), ("true", 0, "warning")])
def test_too_little_evidence_is_an_answer_of_its_own(there, allow, code, level):
    (there[0] / "thin.csv").write_text(rows(60))
    (there[0] / "evenset.toml").write_text(THIN)  # found by its name
    job = run_action(*there, install="false", data="thin.csv", allow_unclear=allow)
    assert (job.failed, job.outputs["status"], job.outputs["exit-code"]) == (code, "unclear", str(code))
    assert {kind for kind, _ in job.annotations} == {level}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"config": "nothing.toml"}, "nothing.toml"),
        ({"config": "soft.toml", "allow_unclear": "perhaps"}, 'write "true" or "false"'),
        ({"config": "soft.toml", "args": "--text 'open"}, "close the quotes"),
        ({"config": "soft.toml", "args": "--txet text"}, "--text"),
        *(
            ({"config": "soft.toml", "args": args}, "args: ")
            for args in (
                "--out q",
                "--out=q",
                "--help",
                "-h",
                "--init",
                "--json",
                "--md x.md",
                "--label label --md=-",
            )
        ),
        ({"config": "soft.toml", "args": "--text txet"}, 'Did you mean "text"'),
        pytest.param({"config": "broken.toml"}, "broken.toml", marks=pytest.mark.slow),
        pytest.param({"config": "unknown.toml"}, "log_ratio_centred", marks=pytest.mark.slow),
        pytest.param({"config": "soft.toml", "data": ""}, "no DATA given", marks=pytest.mark.slow),
    ],
)
def test_what_cannot_be_checked_is_one_annotation_and_exit_2(there, given, said):
    (there[0] / "broken.toml").write_text("[[check]\n")
    (there[0] / "unknown.toml").write_text(SOFT.replace("log_ratio_centred", "log_ratio_centered"))
    job = run_action(*there, **({"install": "false", "data": "comments.csv"} | given))
    assert (job.failed, job.outputs["status"], job.outputs["exit-code"]) == (2, "error", "2")
    ((level, message),) = job.annotations
    assert level == "error"
    assert said in message
    assert said in job.summary
    assert "Traceback" not in job.log


def test_a_check_that_leaves_no_result_is_an_error(there):
    spec = importlib.util.spec_from_file_location("action_check", ROOT / ".github/action/check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.raises(module.WrongError, match="left no result"):
        module.results(str(there[0]))


def test_more_cases_than_github_shows(capfdbinary):
    """The worst come first, line breaks and percent signs are escaped, and what is left out is said."""
    spec = importlib.util.spec_from_file_location("action_check", ROOT / ".github/action/check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    statuses = ["unclear"] * 3 + ["pass", "warn"] + ["fail"] * 9
    module.annotate_cases(
        [{"status": status, "message": f"{i} is 5 %\n::error::{status}"} for i, status in enumerate(statuses)],
        allow_unclear=False,
    )
    lines = capfdbinary.readouterr().out.decode().splitlines()
    assert lines[0] == "::error title=evenset check%3A fail::5 is 5 %25%0A::error::fail"
    assert [line.partition(" ")[0] for line in lines] == ["::error"] * 10 + ["::warning"]
    assert lines[9].endswith("::and 3 more; all are in the summary and check.json")
    module.annotate_cases([{"status": "unclear", "message": "thin"}], allow_unclear=True)
    assert capfdbinary.readouterr().out == b"::warning title=evenset check%3A unclear::thin\n"


def test_names_of_data_files():
    spec = importlib.util.spec_from_file_location("action_check", ROOT / ".github/action/check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.data_files("") == []
    assert module.data_files("a b.csv\r\n\n  c.csv\n") == ["a b.csv", "  c.csv"]
    assert module.data_files('["a\\nb.csv", "c.csv"]') == ["a\nb.csv", "c.csv"]
    assert module.data_files("[1].csv") == ["[1].csv"]
    assert module.data_files("[1]") == ["[1]"]


@pytest.mark.slow
def test_a_baseline_gates_on_change(there):
    run = [sys.executable, "-m", "evenset", "audit", "comments.csv", "--out", "main", "--quiet"]
    subprocess.run(run, cwd=there[0], check=True)
    same = run_action(*there, install="false", data="comments.csv", config="biased.toml", baseline="main")
    assert same.outputs["status"] in ("pass", "warn"), same.log
    lost = run_action(*there, install="false", data="comments.csv", config="biased.toml", baseline="nowhere")
    assert lost.outputs["exit-code"] == "2"
    assert "nowhere" in lost.annotations[0][1]


@pytest.mark.slow
def test_it_installs_its_own_checkout(there):
    """Into an environment of its own; what evenset needs is borrowed, so that nothing is fetched."""
    site = Path(yaml.__file__).parents[1]
    borrowed = {"PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PYTHONPATH": str(site)}
    checkout = there[1] / "action-1"
    shutil.copytree(ROOT, checkout, ignore=shutil.ignore_patterns(".git", ".venv", "build", "demo", "out", ".*_cache"))
    job = run_action(*there, checkout=checkout, data="comments.csv", config="biased.toml", env=borrowed)
    assert (job.failed, job.outputs["status"]) == (1, "fail"), job.log
    (made,) = there[1].glob("evenset-python-*")
    assert list(made.glob("lib/python*/site-packages/evenset/cli.py"))
