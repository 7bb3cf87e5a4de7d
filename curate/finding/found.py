"""What a search found: the plan as a config, the curve of rows touched against bias left, and both in words."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...audit.findings import MINIMUM_ROWS
from ...data.config import Plan
from ...data.dataset import Dataset
from ..summary import folded
from .candidates import Candidate, settings_of
from .until import Standing, reached

SCHEMA = "evenset.tradeoff/1"
NAME = "found"


@dataclass(frozen=True)
class Found:
    """The result of `search`.

    Attributes
    ----------
    dataset : Dataset
        What was searched for.
    axes : tuple of str
        Axes that were counted, as they were written.
    seed : int
    rows : int
        Of the data.
    before : tuple of Standing
        One a limit, of the data as they are.
    best : Candidate or None
        The plan that touches fewest rows of those tried, carried out and audited; None where nothing had to be done, or
        no plan that was carried out keeps all limits.
    candidates : tuple of Candidate
        All plans that were looked at, those that touch fewest rows first.
    untried : int
        Plans that would touch fewer rows and keep the limits by counts, but were not carried out: the search had
        carried out as many as it does.
    """

    dataset: Dataset = field(repr=False)
    axes: tuple[str, ...]
    seed: int
    rows: int
    before: tuple[Standing, ...]
    best: Candidate | None
    candidates: tuple[Candidate, ...] = field(repr=False)
    untried: int = 0

    @property
    def needless(self) -> bool:
        """Whether the data keep all limits as they are."""
        return reached(self.before)

    @property
    def nearest(self) -> Candidate | None:
        """Where no plan keeps the limits, the one that comes nearest to them."""
        done = [one for one in self.candidates if one.touched is not None and not one.reaches]
        return min(done, key=lambda one: (one.excess, one.touched, one.name), default=None)

    @property
    def plan(self) -> Plan | None:
        """The plan that was found."""
        return None if self.best is None else self.best.plan

    def to_dict(self) -> dict[str, Any]:
        """The content of tradeoff.json."""
        from ... import __version__

        nearest = None if self.best is not None or self.needless else self.nearest
        return {
            "schema": SCHEMA,
            "evenset": __version__,
            "input": {"rows": self.rows, "sha256": self.dataset.sha256()},
            "axes": list(self.axes),
            "seed": self.seed,
            "until": [one.limit.text for one in self.before],
            "before": [one.to_dict() for one in self.before],
            "needless": self.needless,
            "best": None if self.best is None else self.best.to_dict(),
            "nearest": None if nearest is None else nearest.to_dict(),
            "untried": self.untried,
            "candidates": [one.to_dict() for one in self.candidates],
        }

    def toml(self) -> str:
        """The plan as a config: ``--config plan.toml --plan found`` runs it with the same columns and axes.

        Raises
        ------
        ValueError
            When no plan was found.
        """
        if self.best is None:
            raise ValueError("no plan was found")
        lines = [
            "# Found by `evenset curate --until`: "
            f"{', '.join(one.limit.text for one in self.before)}; {self.best.touched:,} rows touched.",
            f"# evenset curate DATA --config plan.toml --plan {NAME} --seed {self.seed} --out DIR",
            "",
            "[data]",
            *_data(self.dataset),
            f"axes = {_toml(list(self.axes))}",
            "",
            f"[plan.{NAME}]",
        ]
        for step in self.best.plan.step:
            lines += ["", f"[[plan.{NAME}.step]]"]
            lines += [f"{key} = {_toml(value)}" for key, value in settings_of(step).items()]
        return "\n".join(lines) + "\n"

    def save(self, folder: str | Path) -> list[str]:
        """Write plan.toml (where a plan was found), tradeoff.json and the figures tradeoff.svg and .png.

        Returns
        -------
        list of str
            What had to be left out, and why.
        """
        from ...data.errors import InputError
        from ...data.files import write_json, write_text
        from .tradeoff import draw

        folder = Path(folder)
        if self.best is not None:
            write_text(folder / "plan.toml", self.toml())
        write_json(folder / "tradeoff.json", self.to_dict())
        try:
            draw(self, folder)
        except InputError as error:  # the extra is not installed; the numbers are in tradeoff.json
            return [f"no figure: {error}"]
        return []

    def summary(self) -> str:
        """The result in some lines for the terminal."""
        return "\n".join(_lines(self))

    def _repr_html_(self) -> str:
        from ..notebook import text_html

        return text_html(self.summary())


def _data(dataset: Dataset) -> list[str]:
    """The columns as they were read, so that nothing has to be guessed again."""
    columns = dataset.columns
    given: dict[str, Any] = {
        "text": columns.text, "label": columns.label, "positive": columns.positive,
        "label_threshold": columns.label_threshold, "id": columns.id, "weight": columns.weight,
        "preset": dataset.preset,
    }  # fmt: skip
    talk = dataset.conversation
    if talk is not None:  # its columns are made of the messages
        given = {"format": talk.format, "roles": list(talk.roles), "id": columns.id}
    if dataset.axis_labels is not None:
        given |= {"label": dataset.axis_labels.spec, "positive": None}
    encoding = getattr(dataset.source, "encoding", "utf-8")
    if encoding != "utf-8":
        given["encoding"] = encoding
    return [f"{key} = {_toml(value)}" for key, value in given.items() if value is not None]


def _toml(value: Any) -> str:
    """A value as TOML, whose strings, numbers and arrays are those of JSON but for one character."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _lines(found: Found) -> list[str]:
    lines = []
    if found.needless:
        lines.append("nothing to do: the data keep the limits as they are")
        return lines + [_standing(one) for one in found.before]
    tried = f"{len(found.candidates):,} plans tried"
    best = found.best
    if best is not None:
        share = (best.touched or 0) / found.rows if found.rows else 0.0
        lines.append(f"found: {best.touched:,} of {found.rows:,} rows touched ({share:.1%}); the smallest of {tried}")
        lines += [line for part in best.to_dict()["do"] for line in folded(f"  --do {part}", "    ")]
        lines += [_standing(after, before) for before, after in zip(found.before, best.standings, strict=True)]
        others = [one for one in found.candidates if one.reaches and one.name != best.name]
        kinds: dict[str, Candidate] = {}
        for one in others:
            kinds.setdefault(" then ".join(step.do for step in one.plan.step), one)
        for one in list(kinds.values())[:3]:
            if one.plan.step[0].do != best.plan.step[0].do:
                lines += folded(f"  instead {one.name}: {one.touched:,} rows touched", "    ")
        return lines + _untried(found) + _wider(found)
    lines.append(f"no plan keeps {'the limit' if len(found.before) == 1 else 'all limits'}; {tried}")
    nearest = found.nearest
    if nearest is None:
        lines += ["  none of the steps can be done:"]
        problems = dict.fromkeys(one.problem for one in found.candidates)
        return lines + [line for problem in list(problems)[:3] for line in folded(f"    {problem}", "    ")]
    lines += folded(f"  the nearest, {nearest.touched:,} rows touched: {nearest.name}", "    ")
    lines += [_standing(after, before) for before, after in zip(found.before, nearest.standings, strict=True)]
    lines += _untried(found)
    lines.append("  raise the limit, or allow other steps: --allow reweight,resample,swap,topup,scrub")
    return lines


def _untried(found: Found) -> list[str]:
    """That the search stopped before it had carried out all that might do."""
    if not found.untried:
        return []
    fewer = " with fewer rows" if found.best is not None else ""
    said = f"  {found.untried:,} more plans keep the limits by counts{fewer}, and were not carried out: too many tries"
    return folded(said, "    ")


def _wider(found: Found) -> list[str]:
    """That a limit on one group is reached by changing all of its axis."""
    groups = list(dict.fromkeys(one.limit.group for one in found.before if one.limit.group))
    if not groups:
        return []
    one = f"a limit names {', '.join(groups)} only, and steps act on the whole axis, so fewer rows might do"
    return folded(f"  {one}", "    ")


def _standing(after: Standing, before: Standing | None = None) -> str:
    """A limit, where the worst finding stands, and how sure that is."""
    start = "" if before is None or before.worst is None else f"{before.size:.2f} → "
    worst = after.worst
    if worst is None:
        lines = folded(f"  {after.limit.text}: {start}none left to measure", "    ")
        said = []
    else:
        lines = folded(f"  {after.limit.text}: {start}{after.size:.2f}", "    ")
        named = ": ".join(part for part in (worst.group, worst.label) if part) or worst.axis
        sure = {True: "all intervals are within", False: "one is certainly beyond", None: "the intervals cannot tell"}
        said = [f"farthest {named} {worst.estimate:.2f} [{worst.low:.2f}, {worst.high:.2f}]", sure[after.certain]]
    if after.thin:
        said.append(
            f"{after.thin} of {len(after.counted)} now on fewer than {MINIMUM_ROWS} rows, counted by estimate as before"
        )
    if after.few:
        said.append(f"{after.few} not counted, too few rows")
    if after.lost:
        said.append(f"{len(after.lost)} would be gone")
    return "\n".join([*lines, *(folded(f"    {'; '.join(said)}", "    ") if said else ())])
