"""Outputs are whole or absent: everything is written to a temporary name beside its place and renamed."""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import functools
import hashlib
import json
import math
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, Self

from .errors import InputError

# Trouble with the medium while writing: the user can mend it, so it is no defect of evenset.
_MEDIUM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})
_WORDS = {
    errno.ENOSPC: "the disk is full; free some space or choose another --out",
    errno.EDQUOT: "your disk quota is used up; free some space or choose another --out",
    errno.EFBIG: "the file is too large for this file system; choose another --out",
    errno.EROFS: "the file system is read-only; choose another --out",
    errno.EACCES: "you may not write there; choose another --out or change the permissions",
    errno.EPERM: "you may not write there; choose another --out or change the permissions",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another --out",
    errno.EEXIST: "a part of the path is a file, not a folder; choose another --out",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter --out",
}


def unwritable(path: Path, error: OSError) -> InputError:
    """Turn an error of the operating system while writing `path` into the one message the user sees."""
    words = _WORDS.get(error.errno or 0, f"{error.strerror or error}")
    return InputError(f'cannot write "{path}": {words}')


def _temporary(path: Path) -> Path:
    # The name is cut so that a name of the longest allowed length still has a temporary neighbour.
    return path.parent / f".{path.name[:100]}.{os.getpid()}-{secrets.token_hex(4)}.partial"


def _place(path: Path) -> Path:
    """Follow a symbolic link, so that the link stays and what it points to is replaced."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # not every file system can, and the rename itself is already atomic
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def atomic(path: str | PurePath, *, mode: int | None = None) -> Iterator[Path]:
    """Give a temporary file in the folder of `path`, renamed to `path` when the block ends well.

    Parameters
    ----------
    path : path
        Where the file shall be. Missing folders are made.
    mode : int, optional
        Permissions, for example ``0o600``; by default those of any new file.

    Yields
    ------
    Path
        An existing empty file to write to.

    Raises
    ------
    InputError
        When the place cannot be written or the disk is full. Whatever is raised in the block, an interrupt
        included, the temporary file is removed and `path` is as it was.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with atomic(folder / "a.txt") as part:
    ...     _ = part.write_text("whole")
    >>> [entry.name for entry in folder.iterdir()]
    ['a.txt']
    """
    target = _place(Path(path))
    temporary = _temporary(target)
    try:
        try:
            if target.is_dir():
                raise InputError(f'cannot write "{target}": there is a folder of that name; remove it or rename it')
            if target.exists() and not target.is_file():
                raise InputError(f'cannot write "{target}": it is not an ordinary file; choose another name')
            target.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666 if mode is None else mode))
        except OSError as error:
            raise unwritable(target, error) from error
        try:
            yield temporary
        except OSError as error:
            # An error of another kind may come from reading the input; it is not ours to explain.
            if error.errno in _MEDIUM:
                raise unwritable(target, error) from error
            raise
        try:
            with temporary.open("rb+") as handle:
                os.fsync(handle.fileno())
            temporary.replace(target)
        except OSError as error:
            raise unwritable(target, error) from error
        _sync_folder(target.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


@contextmanager
def atomic_folder(path: str | PurePath) -> Iterator[Path]:
    """Give a temporary folder beside `path`, renamed to `path` when the block ends well.

    An older folder of that name is replaced as a whole. Errors are those of `atomic`.
    """
    target = _place(Path(path))
    temporary = _temporary(target)
    old: Path | None = None
    try:
        try:
            if target.exists() and not target.is_dir():
                raise InputError(f'cannot write the folder "{target}": there is a file of that name; remove it')
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.mkdir()
        except OSError as error:
            raise unwritable(target, error) from error
        try:
            yield temporary
        except OSError as error:
            if error.errno in _MEDIUM:
                raise unwritable(target, error) from error
            raise
        try:
            for entry in temporary.rglob("*"):
                if entry.is_file():
                    with entry.open("rb+") as handle:
                        os.fsync(handle.fileno())
            if target.exists():
                old = _temporary(target)
                target.replace(old)
            temporary.replace(target)
        except OSError as error:
            raise unwritable(target, error) from error
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
        _sync_folder(target.parent)
    except BaseException:
        if old is not None and not target.exists():
            with suppress(OSError):
                old.replace(target)
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def write_bytes(path: str | PurePath, content: bytes, *, mode: int | None = None) -> None:
    """Write bytes through `atomic`."""
    with atomic(path, mode=mode) as part, part.open("wb") as handle:
        handle.write(content)


def write_text(path: str | PurePath, content: str, *, mode: int | None = None) -> None:
    """Write text as UTF-8 through `atomic`, line ends as they are."""
    write_bytes(path, content.encode("utf-8"), mode=mode)


def write_json(path: str | PurePath, content: object, *, mode: int | None = None) -> None:
    """Write a value as JSON through `atomic`: keys in their order, numbers that are not finite as null.

    Dataclasses, tuples, sets (sorted), paths and numpy values are written as what they hold.
    """
    text = json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n", mode=mode)


def plain(value: Any) -> Any:
    """Turn a value into what JSON has words for.

    Examples
    --------
    >>> plain({"rate": float("nan"), "at": (1, 2)})
    {'rate': None, 'at': [1, 2]}
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return [plain(item) for item in sorted(value)]
    if isinstance(value, PurePath):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return plain(value.tolist())
    raise TypeError(f"no JSON for {type(value).__name__}")


def sha256_file(path: str | PurePath) -> str:
    """SHA-256 of a file's bytes as hex digits; remembered while path, size and time of change stay the same."""
    return sha256_files([path])


def sha256_files(paths: Sequence[str | PurePath]) -> str:
    """SHA-256 of the bytes of several files one after the other; remembered like that of one."""
    key = []
    for path in paths:
        place = os.path.realpath(path)
        state = Path(place).stat()
        key.append((place, state.st_size, state.st_mtime_ns))
    return _sha256(tuple(key))


@functools.lru_cache(maxsize=256)
def _sha256(files: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path, _, _ in files:
        with Path(path).open("rb") as handle:
            while part := handle.read(1 << 20):
                digest.update(part)
    return digest.hexdigest()


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
                write_json(folder / MARKER, content)
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
