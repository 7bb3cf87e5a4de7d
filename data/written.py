"""The record of what evenset wrote into an output folder, so that nothing else is ever removed from it.

Every file that is put in its place while a folder is claimed gets a line: its path in the folder, its size and its time
of change. A file that somebody else put there, or changed since, has no such line and is left alone.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from .errors import InputError

OURS = ".evenset"
LOCK = ".evenset.lock"
RECORD = ".evenset.files"

State = tuple[int, int]


def state_of(path: Path) -> State:
    """Size and time of change; a file that somebody changed has another."""
    found = os.lstat(path)
    return found.st_size, found.st_mtime_ns


def record(path: Path, now: Path) -> None:
    """Note that `path` is about to be written by evenset, its content being in `now`.

    Only for folders that a command holds at the moment; before the file is in place, so that a process that is killed
    between the two leaves nothing unrecorded. Several processes may write into one folder: a line is one write.
    """
    folder = _claimed(path)
    if folder is None:
        return
    lines = []
    for entry in sorted(now.rglob("*")) if now.is_dir() else [now]:
        if entry.is_file():
            place = path / entry.relative_to(now) if entry != now else path
            name = str(place.absolute().relative_to(folder.absolute()))
            if not name.startswith(OURS):
                lines.append(json.dumps([name, *state_of(entry)]) + "\n")
    if lines:
        _append(folder, "".join(lines))


def begin(folder: Path, command: str, fingerprint: str) -> int:
    """Note that what follows is of this run; returns the size of the record before."""
    size = (folder / RECORD).stat().st_size if (folder / RECORD).is_file() else 0
    _append(folder, json.dumps({"command": command, "fingerprint": fingerprint}) + "\n")
    return size


def written(folder: Path) -> dict[str, tuple[tuple[str, str], State]]:
    """For each recorded file the last run that wrote it, as (command, fingerprint), and its state then."""
    found: dict[str, tuple[tuple[str, str], State]] = {}
    run = ("", "")
    try:
        lines = (folder / RECORD).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return found
    for line in lines:
        with suppress(ValueError, TypeError, KeyError):  # a line cut off by a full disk
            entry = json.loads(line)
            if isinstance(entry, dict):
                run = (str(entry["command"]), str(entry["fingerprint"]))
            else:
                name, size, changed = entry
                found[str(name)] = run, (int(size), int(changed))
    return found


def remove_others(folder: Path, command: str, fingerprint: str) -> None:
    """Remove what other runs wrote and nobody changed since, and folders that are empty then; forget about it."""
    kept = []
    for name, (run, state) in written(folder).items():
        if run == (command, fingerprint):
            kept.append(json.dumps([name, *state]) + "\n")
        elif not (Path(name).is_absolute() or ".." in Path(name).parts):
            _remove(folder, name, state)
    (folder / RECORD).unlink(missing_ok=True)
    _append(folder, "".join([json.dumps({"command": command, "fingerprint": fingerprint}) + "\n", *kept]))


def refuse_foreign(folder: Path) -> None:
    """Before a folder inside an output folder is replaced as a whole: nothing in it may be of somebody else.

    Raises
    ------
    InputError
        When it holds a file that evenset did not write, or that was changed since.
    """
    root = _claimed(folder)
    if root is None or not folder.is_dir():
        return
    ours = {root.absolute() / name: state for name, (_, state) in written(root).items()}
    for entry in sorted(folder.rglob("*")):
        if not entry.is_dir() or entry.is_symlink():
            path = entry.absolute()
            if path not in ours or ours[path] != state_of(path):
                raise InputError(
                    f'cannot replace the folder "{folder}": it holds "{entry.relative_to(folder)}", which evenset did '
                    "not write or which was changed since; move it away or choose another --out"
                )


def _claimed(path: Path) -> Path | None:
    return next((folder for folder in path.absolute().parents if (folder / LOCK).is_file()), None)


def _append(folder: Path, text: str) -> None:
    handle = os.open(folder / RECORD, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        # A line break first: the last line may have been cut off by a full disk.
        os.write(handle, ("\n" + text).encode("utf-8", "backslashreplace"))
    finally:
        os.close(handle)


def _remove(folder: Path, name: str, state: State) -> None:
    path = folder / name
    with suppress(OSError):
        inside = path.parent.resolve().is_relative_to(folder.resolve())  # never through a link to elsewhere
        if inside and state_of(path) == state:
            path.unlink()
            for parent in list(Path(name).parents)[:-1]:
                (folder / parent).rmdir()  # only where it is empty now
