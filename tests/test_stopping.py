"""Ctrl-C and SIGTERM: never lost in an import, and no crash of the interpreter on the way out."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import evenset

SWALLOWS = """
import os, signal, time
try:
    os.kill(os.getpid(), signal.{name})
    time.sleep(0.2)
except BaseException:
    pass
finished = True
"""
PROGRAM = """
import sys, time
from evenset.commands.stopping import Ended, leave, listen
listen()
try:
    import swallows
    assert swallows.finished
    time.sleep(30)
except Ended:
    leave(143)
except KeyboardInterrupt:
    leave(130)
"""


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_during_an_import_counts_after_it(tmp_path, name, code):
    (tmp_path / "swallows.py").write_text(SWALLOWS.format(name=name))
    places = os.pathsep.join([str(tmp_path), str(Path(evenset.__path__[0]).parent)])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | {"PYTHONPATH": places}, capture_output=True, timeout=20,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (code, b"")


def test_a_reader_that_is_stopped_does_not_bring_the_interpreter_down(tmp_path):
    data = tmp_path / "data.csv"
    with data.open("w") as file:
        file.write("text,label\n")
        file.writelines(f"the gay person number {k} said a lot of things that day,{k % 2}\n" for k in range(400_000))
    base = os.environ | {"PYTHONPATH": str(Path(evenset.__path__[0]).parent), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "evenset", "audit", str(data), "--axis", "identity", "--measures", "counts"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=base,
    )  # fmt: skip
    assert process.stderr.readline()  # the columns that were guessed: the file is open
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=20)[1]
    assert process.returncode == 130
    (line,) = said.decode().split("\n")[1:-1]  # behind the ^C of a terminal comes a new line
    assert line.startswith("stopped.")
