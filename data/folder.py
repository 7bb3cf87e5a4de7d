"""The output folder of one command: nobody else's files are touched, and two runs never mix in it.

What is removed from a folder, ever: files that evenset recorded as its own when it wrote them and that are unchanged.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, Self

from .atomic import atomic, unwritable
from .errors import InputError
from .written import LOCK, OURS, RECORD, begin, remove_others

MARKER = ".evenset.json"


class OutputFolder:
    """The folder of one command's outputs, claimed for one input and configuration and for one process at a time.

    A marker file tells whose outputs lie there. The same command with the same fingerprint goes on where it stopped;
    anything else is refused, so that results of two runs never mix. Use it as a context manager: leaving it gives
    the folder free for other processes, removes what an overwritten run has left, and after an error before anything
    was written leaves the folder as it was. Get one with `claim`.

    Attributes
    ----------
    path : Path
        The folder.
    resumed : bool
        Whether an earlier run of the same fingerprint has been here.
    """

    __slots__ = ("_before", "_lock", "_made", "_run", "_size", "path", "resumed")

    def __init__(self, path: Path, lock: int, run: tuple[str, str], made: list[Path], before: bytes | None) -> None:
        self.path = path
        self.resumed = _is(_read_marker(path), *run)
        self._lock: int | None = lock
        self._run = run
        self._made = made
        self._before = before
        self._size = begin(path, *run)

    @classmethod
    def claim(
        cls,
        path: str | PurePath,
        *,
        command: str,
        fingerprint: str,
        overwrite: bool = False,
        parts: Mapping[str, str] | None = None,
    ) -> Self:
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
            Take it whatever it holds. When the work ends well, what another evenset run wrote there and nobody
            changed since is removed; all other files stay.
        parts : mapping of str to str, optional
            What the fingerprint is made of, each with a hash of its own, so that a refusal can say what differs.

        Raises
        ------
        InputError
            When it holds something else, another process works in it, or it cannot be written.
        """
        folder = Path(path)
        run = (command, fingerprint)
        if not overwrite:
            _refuse_foreign(folder, *run, parts or {})
        made: list[Path] = []
        try:
            made = [place for place in (folder, *folder.parents) if not place.exists()]
            folder.mkdir(parents=True, exist_ok=True)
            lock = _take_lock(folder)
        except OSError as error:
            _drop_folders(made)
            raise unwritable(folder, error) from error
        marker = folder / MARKER
        before = marker.read_bytes() if marker.is_file() else None
        try:
            if not overwrite:  # once more, now that nobody else can change it
                _refuse_foreign(folder, *run, parts or {})
            claimed = cls(folder, lock, run, made, before)
            if not claimed.resumed:
                from .. import __version__

                content: dict[str, Any] = {"command": command, "fingerprint": fingerprint, "version": __version__}
                if parts:
                    content["parts"] = dict(parts)
                with atomic(marker) as part:
                    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
            return claimed
        except BaseException as error:
            if before is None:
                with suppress(OSError):
                    (folder / RECORD).unlink()
            _drop_lock(folder, lock)
            _drop_folders(made)
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
        try:
            if self._lock is not None:
                if kind is None:
                    remove_others(self.path, *self._run)
                else:
                    self._undo()
        except (OSError, InputError):
            pass  # tidying only: the results are there, or the error that is on its way says more
        finally:
            self.release()
            if kind is not None:
                _drop_folders(self._made)

    def _undo(self) -> None:
        """After an error before anything was written: the folder is whose it was."""
        record, marker = self.path / RECORD, self.path / MARKER
        lines = record.read_bytes()[self._size :].splitlines()
        if sum(1 for line in lines if line) > 1:
            return  # something was written, and the same command goes on from there
        if self._size:
            os.truncate(record, self._size)
        else:
            record.unlink()
        if self._before is None:
            marker.unlink()
        elif not self.resumed:
            with atomic(marker) as part:
                part.write_bytes(self._before)

    def release(self) -> None:
        """Let other processes claim the folder; a second call does nothing."""
        if self._lock is not None:
            _drop_lock(self.path, self._lock)
            self._lock = None


def _foreign(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if not entry.name.startswith(OURS)] if folder.is_dir() else []


def _read_marker(folder: Path) -> dict[str, Any] | None:
    try:
        content = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _is(marker: dict[str, Any] | None, command: str, fingerprint: str) -> bool:
    return marker is not None and marker.get("command") == command and marker.get("fingerprint") == fingerprint


def _refuse_foreign(folder: Path, command: str, fingerprint: str, parts: Mapping[str, str]) -> None:
    try:
        marker = _read_marker(folder)
        if _is(marker, command, fingerprint) or (marker is None and not _foreign(folder)):
            return
    except OSError as error:
        raise unwritable(folder, error) from error
    whose = "files that evenset did not write"
    if marker is not None:
        other = marker.get("command")
        whose = f"another run's files (evenset {other}{'' if other != command else _other(marker, parts)})"
    raise InputError(f'the folder "{folder}" holds {whose}; choose another --out or pass --overwrite')


def _other(marker: dict[str, Any], parts: Mapping[str, str]) -> str:
    """What sets the run of the marker apart from that of `parts`, as far as it is known."""
    theirs = marker.get("parts")
    if isinstance(theirs, dict):
        differ = [name for name, value in parts.items() if theirs.get(name) != value]
        if differ:
            return f" with other {', '.join(differ)}"
    return " of other data or settings"


def _drop_folders(made: list[Path]) -> None:
    with suppress(OSError):
        for place in made:
            place.rmdir()  # only where it is empty


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
        except OSError:  # the disk is full
            _drop_lock(folder, handle)
            raise
        os.close(handle)


def _drop_lock(folder: Path, handle: int) -> None:
    with suppress(OSError):
        (folder / LOCK).unlink()
    with suppress(OSError):
        os.close(handle)
