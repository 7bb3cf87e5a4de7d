"""What a command reads and what it writes are different files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

CURATED = ("data", "data.*", "rows", "rows/*", "ledger.parquet", "curation.json", "plan.toml", "tradeoff.*")
"""What a curation writes into its folder."""
CHECKED = ("check.json", "junit.xml", "check.md", "check.sarif")
AUDITED = ("audit.json", "audit.html", "flagged.parquet")
Named = tuple[str, str | Path | None]


def sources(data: Sequence[str], train: str | None = None) -> list[Named]:
    """The files that DATA name, or else `train` of the config; what is not there is refused where it is read."""
    from ..data import InputError
    from ..data.readers import find

    found: list[Named] = []
    for name in data or ([train] if train else []):
        if name and name != "-":
            try:
                found += [("DATA", path) for path in find(name)]
            except InputError:
                continue
    return found


def apart(
    inputs: Iterable[Named], outputs: Iterable[Named], *, out: Path | None = None, writes: Sequence[str] = ()
) -> None:
    """Refuse outputs that would take the place of an input or of each other, before anything is read.

    Parameters
    ----------
    inputs : iterable of (str, path or None)
        What each is called, and where it is.
    outputs : iterable of (str, path or None)
        The same of what is written.
    out : Path, optional
        The folder of results: also what an earlier run wrote there is no input, as --overwrite removes it.
    writes : sequence of str
        Patterns of what is written into it.

    Raises
    ------
    InputError
        Says which of the two is to be named anew.
    """
    from ..data import InputError
    from ..data.written import written

    read = [(word, path, _real(path)) for word, path in inputs if path is not None]
    taken: dict[str, str] = {}
    for flag, target in outputs:
        if target is None or not _plain(target):
            continue
        place = _real(target)
        for word, path, real in read:
            inside = os.path.isdir(real) and os.path.exists(place) and Path(place).is_relative_to(real)  # noqa: PTH110, PTH112
            if place == real or inside:
                raise InputError(
                    f'{flag} "{target}" would be written over {word} ("{path}"); name another place with {flag}'
                )
        if place in taken:
            raise InputError(f'{taken[place]} and {flag} both name "{target}"; give each its own file')
        taken[place] = flag
    if out is None:
        return
    folder = Path(_real(out))
    earlier = written(folder)
    for word, path, real in read:
        if Path(real).is_relative_to(folder):
            name = Path(real).relative_to(folder).as_posix()
            own = name in earlier or any(one.startswith(f"{name}/") for one in earlier if name != ".")
            if own or any(fnmatchcase(name, pattern) for pattern in writes):
                raise InputError(
                    f'--out "{out}" holds {word} ("{path}"), which would be overwritten or removed; '
                    "name another folder with --out"
                )


def _real(path: str | Path) -> str:
    return os.path.realpath(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises for an unknown user


def _plain(path: str | Path) -> bool:
    """Whether it is a file, or will be one: into /dev/null two may write."""
    place = Path(_real(path))
    return place.is_file() or not place.exists()
