"""The check of action.yml: run `evenset check`, then tell GitHub: a summary, outputs, an annotation a failing case.

Only the standard library, and everything comes in as an environment variable. Names from the data are untrusted: what
evenset prints is kept from being read as workflow commands, and what goes into one is escaped.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

SHOWN = 10  # GitHub shows this many annotations of a level and step, and drops the rest without a word
SUMMARY_BYTES = 900_000  # GitHub drops a summary of more than 1 MiB
NOT_HERE = ("--help", "-h", "--init", "--json", "--md", "--out")  # no check is made, or its results go elsewhere
RANK = {"fail": 0, "unclear": 1, "warn": 2}


class WrongError(Exception):
    """An input of the action that cannot be used."""


def setting(name: str) -> str:
    """An input; YAML blocks end it with a line break."""
    return os.environ.get(f"EVENSET_{name}", "").rstrip("\r\n")


def switch(name: str, called: str) -> bool:
    """A yes or no; anything else is refused."""
    value = setting(name).strip().lower() or "false"
    if value not in ("true", "false"):
        raise WrongError(f'{called}: write "true" or "false", not "{value}".')
    return value == "true"


def data_files(text: str) -> list[str]:
    """One name a line, or a JSON list, which can also hold names with line breaks."""
    if text.lstrip().startswith("["):
        try:
            names = json.loads(text)
        except ValueError:
            names = None
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return names
    return [line for line in (part.rstrip("\r") for part in text.split("\n")) if line.strip()]


def command(out: str) -> list[str]:
    """The command line; values are joined to their options and names follow --, so a leading dash changes nothing."""
    try:
        further = shlex.split(setting("ARGS"))
    except ValueError as error:
        raise WrongError(f"args: cannot be split into words ({error}); close the quotes.") from error
    refuse(further)
    config = setting("CONFIG") or ("evenset.toml" if Path("evenset.toml").is_file() else "")
    words = [sys.executable, "-m", "evenset", "check", f"--out={out}"]
    words += [f"--config={config}"] if config else []
    words += [f"--baseline={setting('BASELINE')}"] if setting("BASELINE") else []
    words += ["--allow-unclear"] if switch("ALLOW_UNCLEAR", "allow-unclear") else []
    return [*words, *further, "--", *data_files(setting("DATA_FILES"))]


def refuse(further: Sequence[str]) -> None:
    """Refuse options that leave this action without a result to tell of."""
    for word in further:
        if word == "--":
            return
        name = word.partition("=")[0]
        if name in NOT_HERE:
            other = 'use the input "out"' if name == "--out" else "leave it out"
            raise WrongError(f"args: {name} has no place in this action; {other}.")


def results(out: str) -> tuple[dict[str, Any], str]:
    """What the check wrote: check.json and check.md."""
    try:
        result = json.loads((Path(out) / "check.json").read_text(encoding="utf-8"))
        return result, (Path(out) / "check.md").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise WrongError(f"evenset check left no result in {out} ({error}); look at args and at the log.") from error


def run(words: Sequence[str]) -> tuple[int, str]:
    """Exit code and stderr; both streams are shown as they come, with workflow commands switched off meanwhile."""
    token = secrets.token_hex(16)
    say(f"::stop-commands::{token}")
    heard: list[bytes] = []
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        listener = threading.Thread(target=listen, args=(process.stderr, heard))
        listener.start()
        code = process.wait()
        listener.join()
    say(f"::{token}::")
    return code, b"".join(heard).decode("utf-8", "replace")


def listen(stream: IO[bytes], heard: list[bytes]) -> None:
    """Show a stream as it comes, and keep it."""
    for line in stream:
        heard.append(line)
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()


def say(line: str) -> None:
    """A line of the log, where GitHub looks for workflow commands."""
    sys.stdout.buffer.write(line.encode("utf-8", "surrogateescape") + b"\n")
    sys.stdout.buffer.flush()


def annotate(level: str, title: str, message: str, file: str = "") -> None:
    """One workflow command; the escapes are those of the runner (actions/toolkit, core/src/command.ts)."""
    message = message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    properties = [f"title={escaped(title)}"] + ([f"file={escaped(file)}"] if file else [])
    say(f"::{level} {','.join(properties)}::{message}")


def escaped(value: str) -> str:
    """A property of a workflow command."""
    for character, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"), (":", "%3A"), (",", "%2C")):
        value = value.replace(character, code)
    return value


def annotate_cases(cases: Sequence[dict[str, Any]], *, allow_unclear: bool) -> None:
    """An error or a warning a case that did not pass, the worst first, as many as GitHub shows."""
    levels: dict[str, list[dict[str, Any]]] = {"error": [], "warning": []}
    for case in sorted(cases, key=lambda case: RANK.get(case["status"], 3)):
        if case["status"] in RANK:
            mild = case["status"] == "warn" or (
                case["status"] == "unclear" and allow_unclear and case.get("finding", "") is not None
            )
            levels["warning" if mild else "error"].append(case)
    for level, ours in levels.items():
        shown = ours if len(ours) <= SHOWN else ours[: SHOWN - 1]
        for case in shown:
            annotate(level, f"evenset check: {case['status']}", case["message"], setting("CONFIG"))
        if len(ours) > len(shown):
            annotate(
                level, "evenset check", f"and {len(ours) - len(shown)} more; all are in the summary and check.json"
            )


def append(name: str, text: str) -> None:
    """Add to one of GitHub's files; outside GitHub there is none."""
    if path := os.environ.get(name):
        with Path(path).open("a", encoding="utf-8", errors="surrogateescape", newline="\n") as handle:
            handle.write(text)


def output(name: str, value: str) -> None:
    """An output of the step; the value may have any number of lines."""
    end = f"end-{secrets.token_hex(16)}"
    append("GITHUB_OUTPUT", f"{name}<<{end}\n{value}\n{end}\n")


def quoted(text: str) -> str:
    """Text in a fence that it cannot close."""
    fence = "`" * 3
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}\n"


def summarise(markdown: str) -> None:
    """Add to the summary of the job."""
    data = markdown.encode("utf-8", "surrogateescape")
    if len(data) > SUMMARY_BYTES:
        data = data[:SUMMARY_BYTES].rpartition(b"\n")[0] + b"\n\nCut short here; the whole is in check.md.\n"
    append("GITHUB_STEP_SUMMARY", data.decode("utf-8", "surrogateescape").rstrip("\n") + "\n")


def main() -> int:
    """Check, tell, and hand the exit code on."""
    out = setting("OUT") or tempfile.mkdtemp(prefix="evenset-check-", dir=os.environ.get("RUNNER_TEMP") or None)
    out = str(Path(out).absolute())
    status = "error"
    try:
        code, heard = run(command(out))
        failed = "\n" + heard.strip()
        result, markdown = results(out) if code in (0, 1, 3) else ({}, "")
    except WrongError as wrong:
        code, failed = 2, f"\nerror: {wrong}"
    if code in (0, 1, 3):
        status = result["status"]
        annotate_cases(result["cases"], allow_unclear=switch("ALLOW_UNCLEAR", "allow-unclear"))
        summarise(markdown)
    else:
        # The last message is what went wrong; what comes before are notes on the columns.
        start = max(failed.rfind("\nerror: "), failed.rfind("\ndefect: "), 0)
        message = failed[start:].strip() or f"evenset check ended with exit code {code}"
        annotate("error", "evenset check could not be made", message, setting("CONFIG"))
        summarise(f"## evenset check could not be made\n\n{quoted(message)}")
    for name, value in (("status", status), ("exit-code", str(code)), ("report", out)):
        output(name, value)
    return code


if __name__ == "__main__":
    sys.exit(main())
