"""What is fixed before training, kept in a file, and whether it was changed since."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...data.files import write_json
from .decide import Margins
from .yardstick import Yardstick

FILE = "yardstick.json"
_MARGINS = tuple(field.name for field in dataclasses.fields(Margins))


@dataclass(frozen=True, slots=True)
class Fixed:
    """Yardstick, margins and seeds as they were before the first model was trained.

    Attributes
    ----------
    yardstick : mapping
        As `Yardstick.to_dict` writes it.
    margins : mapping
        Of `Margins`.
    seeds, screening_seeds : tuple of int
        Of the verdict; of the runs that take no part in it.
    choose : bool
        Whether one arm an upstream is picked on dev rows and screening seeds.
    git : str or None
        Commit of the folder in which training began, with "+" where files were changed since that commit.
    evenset : str
        Version.
    earlier : tuple of mapping
        What stood there before, where it was changed after runs were made.
    late : bool
        Whether there were runs already, and no record of what was fixed before them.
    """

    yardstick: Mapping[str, Any]
    margins: Mapping[str, Any]
    seeds: tuple[int, ...] = ()
    screening_seeds: tuple[int, ...] = ()
    choose: bool = False
    git: str | None = None
    evenset: str = ""
    earlier: tuple[Mapping[str, Any], ...] = ()
    late: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The contents of the file; `from_dict` reads them back."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> Fixed:
        """Read what `to_dict` wrote; files of before have no more than yardstick and margins."""
        return Fixed(
            yardstick=dict(record["yardstick"]),
            margins=dict(record["margins"]),
            seeds=tuple(record.get("seeds", ())),
            screening_seeds=tuple(record.get("screening_seeds", ())),
            choose=bool(record.get("choose", False)),
            git=record.get("git"),
            evenset=str(record.get("evenset", "")),
            earlier=tuple(record.get("earlier", ())),
            late=bool(record.get("late", False)),
        )

    def notes(self) -> tuple[str, ...]:
        """What was changed after the first runs were made, to be said with the verdict.

        Examples
        --------
        >>> before = Fixed({}, {"margin": 0.02}, seeds=(0, 1))
        >>> Fixed({}, {"margin": 0.01}, seeds=(0, 1, 2), earlier=(before.to_dict(),)).notes()
        ('not fixed before training: margin was 0.02 and is 0.01; seeds were 2 and are 3',)
        """
        found: list[str] = []
        for record in self.earlier:
            found += self.changes(Fixed.from_dict(record))
        if self.late:
            found.append(f"no record although runs exist: {FILE} was missing or broken, so what held is not known")
        said = list(dict.fromkeys(found))
        return (f"not fixed before training: {'; '.join(said)}",) if said else ()

    def changes(self, before: Fixed) -> list[str]:
        """What differs from an earlier record, in words."""
        found = [
            f"{name} was {before.margins[name]} and is {self.margins[name]}"
            for name in _MARGINS
            if name in before.margins and name in self.margins and before.margins[name] != self.margins[name]
        ]
        if before.seeds and self.seeds and before.seeds != self.seeds:
            one, two = len(before.seeds), len(self.seeds)
            found.append(f"seeds were {one} and are {two}" if one != two else "the seeds are others")
        # Files of before say nothing of seeds.
        if before.seeds and before.screening_seeds != self.screening_seeds:
            one, two = len(before.screening_seeds), len(self.screening_seeds)
            changed = f"screening seeds were {one} and are {two}"
            found.append(changed if one != two else "the screening seeds are others")
        if before.choose != self.choose:
            found.append(f"choose was {str(before.choose).lower()} and is {str(self.choose).lower()}")
        if before.yardstick != self.yardstick:
            found.append("the yardstick is another: measure, axis or training data were changed")
        return found


def fix(
    path: Path,
    yardstick: Yardstick,
    margins: Margins,
    *,
    seeds: Sequence[int],
    screening_seeds: Sequence[int],
    choose: bool,
    begun: bool,
) -> Fixed:
    """Write down what is fixed, before training.

    Parameters
    ----------
    path : Path
        The file.
    yardstick : Yardstick
        From the audit of the raw training rows.
    margins : Margins
        Of the config.
    seeds, screening_seeds : sequence of int
        That will be trained.
    choose : bool
        Whether an arm will be chosen.
    begun : bool
        Whether any run is finished already, of whatever arm or seed, since the test rows were seen then: a change is
        kept beside what stood there, and is said with every verdict, as is that nothing stood there.

    Returns
    -------
    Fixed
    """
    from ... import __version__

    now = Fixed(
        yardstick=yardstick.to_dict(),
        margins=dataclasses.asdict(margins),
        seeds=tuple(seeds),
        screening_seeds=tuple(screening_seeds),
        choose=choose,
        git=git_commit(),
        evenset=__version__,
    )
    before = read(path)
    if begun and before is not None:
        if now.changes(before):
            last = {key: value for key, value in before.to_dict().items() if key != "earlier"}
            now = dataclasses.replace(now, earlier=(*before.earlier, last), late=before.late)
        else:
            # Nothing is another than it was: what stands there was written before the first run, and is kept.
            return before
    elif begun:
        now = dataclasses.replace(now, late=True)
    write_json(path, now.to_dict())
    return now


def read(path: Path) -> Fixed | None:
    """What a file says was fixed; None where there is no such file, or it holds something else."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return Fixed.from_dict(record)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def git_commit() -> str | None:
    """The commit of the working folder, with "+" where tracked files differ from it; None outside git."""

    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", *words], capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = ask("rev-parse", "HEAD")
    return f"{commit}+" if commit and ask("status", "--porcelain", "--untracked-files=no") else commit or None
