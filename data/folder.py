"""The output folder of one command: nobody else's files are touched, and two runs never mix in it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, Self

from .atomic import atomic, unwritable
from .errors import InputError

MARKER = ".evenset.json"
LOCK = ".evenset.lock"
_OURS = ".evenset"


class OutputFolder:
    """The folder of one command's outputs, claimed for one input and configuration and for one process at a time.

    A marker file tells whose outputs lie there. The same command with the same fingerprint goes on where it stopped;
    anything else is refused, so that results of two runs never mix. Use it as a context manager: leaving it gives
    the folder free for other processes. Get one with `claim`.

    Attributes
    ----------
    path : Path
        The folder.
    resumed : bool
        Whether an earlier run of the same fingerprint has been here.
    """

    __slots__ = ("_lock", "path", "resumed")

    def __init__(self, path: Path, lock: int, *, resumed: bool) -> None:
        self.path = path
        self.resumed = resumed
        self._lock: int | None = lock

    @classmethod
    def claim(cls, path: str | PurePath, *, command: str, fingerprint: str, overwrite: bool = False) -> Self:
        """Make the folder, or take it again for the same work.

        Parameters
        ----------
        path : path
            The folder.
        command : str
            The command, such as ``audit``.
        fingerprint : str
            A hash of everything that the outputs depend on.
        overwrite : bool
            Take it whatever it holds. Outputs of the other evenset run are removed; files that were there before
            evenset first came are not.

        Raises
        ------
        InputError
            When it holds something else, another process works in it, or it cannot be written.
        """
        folder = Path(path)
        if not overwrite:
            _refuse_foreign(folder, command, fingerprint)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = _take_lock(folder)
        except OSError as error:
            raise unwritable(folder, error) from error
        try:
            if not overwrite:  # once more, now that nobody else can change it
                _refuse_foreign(folder, command, fingerprint)
            marker = _read_marker(folder)
            same = _is(marker, command, fingerprint)
            if not same:
                if marker is None:
                    found = sorted(entry.name for entry in _foreign(folder))
                else:
                    found = [str(name) for name in marker.get("found", [])]
                    _clear(folder, keep=frozenset(found))
                from .. import __version__

                content = {"command": command, "fingerprint": fingerprint, "version": __version__, "found": found}
                with atomic(folder / MARKER) as part:
                    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
            return cls(folder, lock, resumed=same)
        except BaseException as error:
            _drop_lock(folder, lock)
            if isinstance(error, OSError):
                raise unwritable(folder, error) from error
            raise

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Let other processes claim the folder; a second call does nothing."""
        if self._lock is not None:
            _drop_lock(self.path, self._lock)
            self._lock = None


def _foreign(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if not entry.name.startswith(_OURS)] if folder.is_dir() else []


def _read_marker(folder: Path) -> dict[str, Any] | None:
    try:
        content = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _is(marker: dict[str, Any] | None, command: str, fingerprint: str) -> bool:
    return marker is not None and marker.get("command") == command and marker.get("fingerprint") == fingerprint


def _refuse_foreign(folder: Path, command: str, fingerprint: str) -> None:
    try:
        marker = _read_marker(folder)
        if _is(marker, command, fingerprint) or (marker is None and not _foreign(folder)):
            return
    except OSError as error:
        raise unwritable(folder, error) from error
    whose = "files that evenset did not write"
    if marker is not None:
        other = marker.get("command")
        whose = f"another run's files (evenset {other}{'' if other != command else ' of other data or settings'})"
    raise InputError(f'the folder "{folder}" holds {whose}; choose another --out or pass --overwrite')


def _clear(folder: Path, *, keep: frozenset[str]) -> None:
    for entry in _foreign(folder):
        if entry.name in keep:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _take_lock(folder: Path) -> int:
    """Lock the folder for this process; the lock of a process that died is nobody's, the system sees to that."""
    path = folder / LOCK
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(handle, 32).decode("ascii", "replace").strip()
            os.close(handle)
            raise InputError(
                f'another evenset process{f" ({owner})" if owner else ""} is writing to "{folder}"; '
                "wait for it or choose another --out"
            ) from None
        # Between our opening and locking it, the last owner may have removed the file: then lock the new one.
        try:
            if os.path.samestat(os.fstat(handle), path.stat()):
                os.truncate(handle, 0)
                os.write(handle, str(os.getpid()).encode())
                return handle
        except FileNotFoundError:
            pass
        os.close(handle)


def _drop_lock(folder: Path, handle: int) -> None:
    with suppress(OSError):
        (folder / LOCK).unlink()
    with suppress(OSError):
        os.close(handle)
