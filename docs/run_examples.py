"""Run the shell and Python blocks of Markdown files: each file in a fresh folder, its blocks in order.

A block fenced with ```sh is run by bash, one with ```python by Python. The line before the fence may say otherwise:

``<!-- not run: REASON -->``
    The block is left out (it needs a GPU, a network or a file of the reader's own) and the reason is printed.
``<!-- exit N -->``
    The block is meant to end with this exit code.

Any other note there is a mistake. A block fenced with ```text that stands right after a block that was run, with or
without a sentence between, shows its output: each of its lines must occur in it, blanks and line ends aside, and
``...`` stands for what is left out. Without files given, README.md, docs/*.md and docs/howto/*.md are run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(
    r"^(?:<!-- (?P<note>.*?) -->\n)?```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE
)
LANGUAGES = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
FOLDERS = ("docs", "docs/howto")
NOTES = re.compile(r"not run: (?P<reason>\S.*)|exit (?P<code>\d+)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: where it stands, what was noted before it, and the output shown after it."""

    line: int
    language: str
    code: str
    reason: str | None
    exit_code: int
    shown: tuple[str, ...]


class DocumentError(Exception):
    """A document that does not keep to the rules above."""


def blocks(text: str, name: str) -> Iterator[Block]:
    """The blocks of a document that can be run."""
    fences = list(FENCE.finditer(text))
    for at, fence in enumerate(fences):
        line = text.count("\n", 0, fence.start("code"))
        language = fence["language"]
        noted = NOTES.fullmatch(fence["note"]) if fence["note"] is not None else None
        if language not in LANGUAGES:
            if noted is not None:
                raise DocumentError(f"{name}:{line}: a note stands before a block that is never run")
            continue
        if fence["note"] is not None and noted is None:
            raise DocumentError(f"{name}:{line}: unknown note <!-- {fence['note']} -->; see the top of run_examples.py")
        shown: tuple[str, ...] = ()
        after = fences[at + 1] if at + 1 < len(fences) else None
        if after is not None and after["language"] == "text" and text[fence.end() : after.start()].count("\n\n") <= 2:
            shown = tuple(one for one in after["code"].splitlines() if one.strip() not in {"", "..."})
        reason = noted["reason"] if noted is not None else None
        code = int(noted["code"]) if noted is not None and noted["code"] else 0
        yield Block(line, language, fence["code"], reason, code, shown)


def run(block: Block, folder: str) -> str:
    """Run a block; say what is wrong, or nothing."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "80",
        "NO_COLOR": "1",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [*LANGUAGES[block.language], block.code],
        cwd=folder,
        env=environment,
        check=False,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode != block.exit_code:
        return f"exit {done.returncode}, expected {block.exit_code}\n{block.code}\n{done.stdout}"
    printed = " ".join(done.stdout.split())
    for line in block.shown:
        parts = [part for part in (" ".join(part.split()) for part in line.split("...")) if part]
        if not all(part in printed for part in parts):
            return f"the output does not hold the line that is shown:\n{line}\n\n{done.stdout}"
    return ""


def run_file(name: str) -> tuple[bool, list[str]]:
    """Run the blocks of one file in a fresh folder: whether all did what they should, and what to print."""
    start, ran, said = time.perf_counter(), 0, []
    with tempfile.TemporaryDirectory() as folder:
        try:
            for block in list(blocks(Path(name).read_text(encoding="utf-8"), name)):
                if block.reason is not None:
                    said.append(f"{name}:{block.line}: not run: {block.reason}")
                    continue
                if wrong := run(block, folder):
                    return False, [*said, f"{name}:{block.line}: {wrong}"]
                ran += 1
        except DocumentError as error:
            return False, [*said, str(error)]
    return True, [*said, f"{name}: {ran} blocks run, {len(said)} not, {time.perf_counter() - start:.0f} s"]


def main(given: list[str]) -> int:
    """Run the blocks of all files, as many files at once as there are cores; 1 if one failed."""
    files = given or ["README.md", *(str(path) for folder in FOLDERS for path in sorted(Path(folder).glob("*.md")))]
    failed, start = [], time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, (good, said) in zip(files, pool.map(run_file, files), strict=True):
            print("\n".join(said), flush=True)
            failed += [] if good else [name]
    spent = sum(os.times()[2:4])  # of the children; what a busy machine adds to the wall time is not in it
    print(f"{len(files)} files, {time.perf_counter() - start:.0f} s, {spent:.0f} s of CPU")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
