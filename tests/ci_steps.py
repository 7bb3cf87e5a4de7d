"""A runner of composite actions, as small as ours needs: inputs become environment, steps are run by bash."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import yaml

import evenset

ROOT = Path(__file__).resolve().parents[1]
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


@dataclass
class Job:
    """What a job's files and log hold after the action."""

    outputs: dict[str, str] = field(default_factory=dict)
    log: str = ""
    summary: str = ""
    failed: int = 0

    @property
    def annotations(self) -> list[tuple[str, str]]:
        """(level, message) of the workflow commands that the runner obeys, unescaped."""
        found, stopped = [], None
        for line in self.log.splitlines():
            command = re.fullmatch(r"::([\w-]+)(?: [^:]*)?::(.*)", line)
            if stopped is not None:
                stopped = None if line == f"::{stopped}::" else stopped
            elif command and command[1] == "stop-commands":
                stopped = command[2]
            elif command:
                message = command[2].replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
                found.append((command[1], message))
        return found


def outputs_of(path: Path) -> dict[str, str]:
    """The file behind GITHUB_OUTPUT: name=value, or name<<end."""
    found: dict[str, str] = {}
    lines = iter(path.read_bytes().decode("utf-8", "surrogateescape").split("\n"))
    for line in lines:
        if "<<" in line.partition("=")[0]:
            name, _, end = line.partition("<<")
            value = []
            for part in lines:
                if part == end:
                    break
                value.append(part)
            found[name] = "\n".join(value)
        elif line:
            name, _, value = line.partition("=")
            found[name] = value
    return found


def resolved(text: str, known: dict[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        assert re.fullmatch(r"(inputs|steps|github)\.[\w.-]+", match[1]), match[1]
        return known.get(match[1], "")

    return EXPRESSION.sub(value, str(text))


def holds(condition: str, known: dict[str, str]) -> bool:
    """`a == 'b' && c != 'd'`, which is all that action.yml uses."""
    for part in condition.split("&&"):
        name, sign, literal = re.fullmatch(r"\s*([\w.-]+) (==|!=) '([^']*)'\s*", part).groups()
        if (known.get(name, "") == literal) != (sign == "=="):
            return False
    return True


def run_action(
    workspace: Path, temp: Path, *, checkout: Path = ROOT, env: dict[str, str] | None = None, **given: str
) -> Job:
    """Run action.yml of `checkout` in `workspace` as GitHub would; names of inputs are given with _ for -."""
    action = yaml.safe_load((checkout / "action.yml").read_text(encoding="utf-8"))
    inputs = {name: str(spec["default"]) for name, spec in action["inputs"].items()}
    wrong = {name.replace("_", "-") for name in given} - inputs.keys()
    assert not wrong, wrong
    inputs |= {name.replace("_", "-"): value for name, value in given.items()}
    known = {f"inputs.{name}": value for name, value in inputs.items()}
    job = Job()
    summary = temp / "summary.md"
    summary.touch()
    scripts = Path(sys.executable).parent
    for step in action["runs"]["steps"]:
        if job.failed or ("if" in step and not holds(step["if"], known)):
            continue
        if step.get("uses", "").startswith("actions/setup-python@"):
            known[f"steps.{step['id']}.outputs.python-path"] = sys.executable
            continue
        output = temp / f"output-{step['id']}"
        output.touch()
        script = temp / f"{step['id']}.sh"
        script.write_text(resolved(step["run"], known))
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
            cwd=workspace, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            env=os.environ | {
                "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
                "PYTHONPATH": str(Path(evenset.__path__[0]).parent),
                "GITHUB_ACTION_PATH": str(checkout), "GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary),
                "RUNNER_TEMP": str(temp), "CI": "true", "GITHUB_ACTIONS": "true",
            } | {name: resolved(value, known) for name, value in step.get("env", {}).items()} | (env or {}),
        )  # fmt: skip
        job.log += done.stdout.decode("utf-8", "replace")
        job.failed = done.returncode
        known |= {f"steps.{step['id']}.outputs.{name}": value for name, value in outputs_of(output).items()}
    job.summary = summary.read_text(encoding="utf-8", errors="surrogateescape")
    job.outputs = {name: resolved(spec["value"], known) for name, spec in action["outputs"].items()}
    return job
