"""Run every shell block of the given Markdown files, in order, in one fresh folder; stop at the first that fails.

A block fenced with ```sh is run by bash. A block that cannot run here (it needs a GPU, a network or the user's own
file) is preceded by the line ``<!-- not run: REASON -->``; the reason is printed. A block that is meant to end with
another exit code is preceded by ``<!-- exit N -->``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

BLOCK = re.compile(r"(?:<!-- (?P<note>[^>]*?) -->\n)?```sh\n(?P<code>.*?)```", re.DOTALL)


def main(files: list[str]) -> int:
    """Run the blocks of `files`; return the number that failed (at most one)."""
    root = Path.cwd()
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "80",
    }
    with tempfile.TemporaryDirectory() as folder:
        for name in files:
            text = (root / name).read_text(encoding="utf-8")
            for block in BLOCK.finditer(text):
                note, code = block["note"] or "", block["code"]
                line = text.count("\n", 0, block.start("code"))
                if note.startswith("not run:"):
                    print(f"{name}:{line}: {note}")
                    continue
                wanted = int(note.removeprefix("exit ")) if note.startswith("exit ") else 0
                done = subprocess.run(
                    ["bash", "-ec", code],
                    cwd=folder,
                    env=environment,
                    check=False,
                    text=True,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
                if done.returncode != wanted:
                    print(f"{name}:{line}: exit {done.returncode}, expected {wanted}\n{code}\n{done.stdout}")
                    return 1
                print(f"{name}:{line}: ok")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
