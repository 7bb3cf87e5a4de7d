"""Outputs are whole or absent: everything is written to a temporary name beside its place and renamed."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath

from .errors import InputError
from .written import record, refuse_foreign

# Trouble with the medium while writing: the user can mend it, so it is no defect of evenset.
MEDIUM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})
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
    short = path.name.encode(errors="ignore")[:100].decode(errors="ignore")
    return path.parent / f".{short}.{os.getpid()}-{secrets.token_hex(4)}.partial"


def _place(path: Path) -> Path:
    """Follow a symbolic link, so that the link stays and what it points to is replaced."""
    return Path(os.path.realpath(path)) if os.path.islink(path) else path  # noqa: PTH114 - Path's raises


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # not every file system can, and the rename itself is already atomic
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _medium_explained(target: Path) -> Iterator[None]:
    """Turn trouble with the medium inside the block into the one message."""
    try:
        yield
    except OSError as error:
        # An error of another kind may come from reading the input; it is not ours to explain.
        if error.errno in MEDIUM:
            raise unwritable(target, error) from error
        raise
    except Exception as error:
        # What is written in Rust, as the writer of safetensors, gives the number in words.
        number = re.search(r"\(os error (\d+)\)", str(error))
        if number is not None and int(number[1]) in MEDIUM:
            raise unwritable(target, OSError(int(number[1]), str(error))) from error
        raise


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
        with _medium_explained(target):
            yield temporary
        try:
            with temporary.open("rb+") as handle:
                os.fsync(handle.fileno())
            record(target, temporary)
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

    An older folder of that name is replaced as a whole; in an output folder of evenset that is refused where the older
    one holds what evenset did not write. Errors are those of `atomic`.
    """
    target = _place(Path(path))
    temporary = _temporary(target)
    old: Path | None = None
    try:
        try:
            if target.exists() and not target.is_dir():
                raise InputError(f'cannot write the folder "{target}": there is a file of that name; remove it')
            refuse_foreign(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.mkdir()
        except OSError as error:
            raise unwritable(target, error) from error
        with _medium_explained(target):
            yield temporary
        try:
            for entry in temporary.rglob("*"):
                if entry.is_file():
                    with entry.open("rb+") as handle:
                        os.fsync(handle.fileno())
            record(target, temporary)
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
