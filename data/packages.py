"""Files that an installed package carries: ``package:NAME`` wherever weights or vectors are named."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "package:"


@dataclass(frozen=True, slots=True)
class Carried:
    """What a package carries.

    Attributes
    ----------
    installed : bool
        Whether there is such a package at all.
    files : tuple of Path
        Those that were looked for, sorted: nearest to the package's root first.
    """

    installed: bool
    files: tuple[Path, ...]


def carried(name: str, *patterns: str) -> Carried:
    """Find files in an installed package, which is not imported.

    Parameters
    ----------
    name : str
        Of the distribution or of the module, "-" and "_" being the same.
    *patterns : str
        Of file names, such as ``*.npy``.

    Returns
    -------
    Carried

    Examples
    --------
    >>> [file.name for file in carried("numpy", "py.typed").files][:1]
    ['py.typed']
    >>> carried("no-such-package-anywhere", "*").installed
    False
    """
    if not name:
        return Carried(installed=False, files=())
    from importlib.metadata import PackageNotFoundError, files
    from importlib.util import find_spec

    module = name.replace("-", "_")
    spec = find_spec(module) if module.isidentifier() else None
    roots = [Path(root) for root in (spec.submodule_search_locations or ())] if spec else []
    found = {path for root in roots for pattern in patterns for path in root.rglob(pattern)}
    installed = spec is not None
    if not found:
        # The name of a distribution may differ from that of the folder it installs.
        with suppress(PackageNotFoundError):
            listed = files(name) or ()
            installed = True
            found = {Path(str(path.locate())) for path in listed if any(path.match(pattern) for pattern in patterns)}
    return Carried(installed, tuple(sorted(found, key=lambda path: (len(path.parts), str(path)))))
