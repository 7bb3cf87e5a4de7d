"""What a dataset card says of an audit, in plain sentences: from audit.json alone, whoever made it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.errors import InputError
from .findings import Finding
from .gate.snapshot import damaged
from .report import SCHEMA
from .words import Speaker, strength

_RANK = {"fail": 0, "warn": 1}
_CONTRAST = frozenset({"log_ratio_centred", "log_ratio"})
_CURATION = "evenset.curation/"

LIMITS = (
    "Only groups that the word lists or columns name are seen. A row belongs to a group because its text mentions it, "
    "which says nothing about who wrote it.",
    "Pronoun groups are she, he and a few others; people are more than that. The word lists are English.",
    "A proxy is a word that goes with a group, not a cause of anything.",
    "Whether the labels are right is not measured: an unequal share of labels can be the world, the sampling or the "
    "annotators.",
    "These are numbers about data. What a model makes of them has to be measured on a model's predictions.",
)
"""What no audit of this kind can tell."""


def read_audit(path: str | Path) -> dict[str, Any]:
    """The contents of audit.json, given the file or its folder.

    Raises
    ------
    InputError
        When there is none, or it is of another schema.
    """
    place = Path(path) / "audit.json" if Path(path).is_dir() else Path(path)
    found = _json(place, "audit.json", "evenset audit DATA --out audit/")
    if found.get("schema") == SCHEMA and (wrong := damaged(found.get("findings"))):
        raise InputError(f'"{place}" is damaged: {wrong}; make it anew: evenset audit DATA --out audit/')
    if found.get("schema") != SCHEMA:
        raise InputError(
            f'"{place}" is no {SCHEMA} (it says {found.get("schema")!r}); make it anew: evenset audit DATA --out audit/'
        )
    return found


def read_curation(path: str | Path) -> dict[str, Any]:
    """The contents of curation.json, given the file or its folder.

    Raises
    ------
    InputError
        When there is none, or it is of another schema.
    """
    place = Path(path) / "curation.json" if Path(path).is_dir() else Path(path)
    found = _json(place, "curation.json", "evenset curate DATA --out curated/")
    if not str(found.get("schema")).startswith(_CURATION):
        raise InputError(f'"{place}" is no curation.json of evenset (its schema is {found.get("schema")!r})')
    return found


def _json(place: Path, name: str, command: str) -> dict[str, Any]:
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f'there is no "{place}"; give a folder with {name}, as `{command}` writes it') from None
    except (OSError, ValueError) as error:
        raise InputError(f'"{place}" cannot be read as {name}: {error}') from None
    if not isinstance(found, dict):
        raise InputError(f'"{place}" is no {name}; `{command}` writes one')
    return found


@dataclass(frozen=True)
class Told:
    """An audit and, if there was one, a curation, ready to be put into words.

    Attributes
    ----------
    audit, curation : mapping
        Contents of audit.json and curation.json.
    """

    audit: Mapping[str, Any]
    curation: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.curation is not None and self.when is None:
            raise InputError(
                "the curation is of other data than the audit (neither its input nor its output has the audit's "
                "SHA-256); audit the data that it was made of, or its result"
            )

    @property
    def when(self) -> str | None:
        """Whether the audited rows are those "before" or "after" the curation."""
        if self.curation is None:
            return None
        digest = self.audit["dataset"].get("sha256")
        if digest is None:
            return None
        ends = {"after": self.curation.get("output", {}), "before": self.curation.get("input", {})}
        return next((name for name, end in ends.items() if end.get("sha256") == digest), None)

    @property
    def rows(self) -> int:
        """Rows of the data."""
        return int(self.audit["dataset"].get("rows", 0))

    @property
    def name(self) -> str:
        """What the data are called: the name of their first file."""
        paths = self.audit["dataset"].get("paths") or []
        return str(paths[0]) if paths else "dataset"

    @property
    def speaker(self) -> Speaker:
        """How rows, labels and groups are called."""
        columns = self.audit["dataset"].get("columns") or {}
        return Speaker(columns.get("text"), columns.get("label"), {axis: _kind(axis) for axis in self.audit["scores"]})

    @property
    def findings(self) -> list[Finding]:
        """All findings."""
        return [_finding(one) for one in self.audit["findings"]]

    def beyond(self) -> list[Finding]:
        """Findings that fail or warn, the farthest first."""
        found = [one for one in self.findings if one.status in _RANK]
        return sorted(found, key=lambda one: (_RANK[str(one.status)], -one.magnitude[0], one.id))

    def counts(self) -> dict[str, int]:
        """How many findings have each status."""
        every = [one.status for one in self.findings]
        return {name: every.count(name) for name in ("fail", "warn", "unclear", "pass")}

    def conclusion(self) -> str:
        """The audit in one sentence."""
        beyond = [one for one in self.beyond() if one.group is not None or one.measure in _CONTRAST]
        counts = self.counts()
        if beyond:
            parts = []
            for axis in dict.fromkeys(one.axis for one in beyond):
                mine = [one for one in beyond if one.axis == axis]
                names = list(dict.fromkeys(str(one.label if one.measure in _CONTRAST else one.group) for one in mine))
                shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
                parts.append(f"on {axis} for {shown}")
            can = "can" if counts["fail"] else "may"
            return f"This data {can} teach a model a bias: labels or shares are beyond the limits {'; '.join(parts)}."
        if counts["fail"] or counts["warn"]:
            return "This data may teach a model a bias: labels and groups go together beyond the limits."
        if counts["pass"]:
            return f"No finding is beyond the limits; {counts['unclear']} are too uncertain to tell."
        return "Too little was judged to say whether labels go with groups."

    def score(self, axis: str) -> str:
        """The score of an axis in words, with its interval."""
        score = self.audit["scores"][axis]
        value, low, high = (score.get(name) for name in ("value", "low", "high"))
        if value is None or low is None or high is None:
            return "not enough rows to tell"
        return f"{value:.2f} ({low:.2f} to {high:.2f}), {strength(low, high)}"

    def proxies(self) -> dict[tuple[str, str], list[str]]:
        """By axis and group the words that give the group away, the strongest first."""
        found: dict[tuple[str, str], list[str]] = {}
        for one in self.audit.get("proxies") or []:
            found.setdefault((str(one["axis"]), str(one["group"])), []).append(str(one["word"]))
        return found

    def lexicons(self) -> list[str]:
        """Word lists with their versions."""
        return [f"{one['name']} {one['version']}" for one in self.audit.get("lexicons") or []]

    def limits(self) -> list[str]:
        """What this audit cannot tell: always, and because of these data."""
        said = []
        unclear = self.counts()["unclear"]
        if unclear:
            said.append(f"{unclear} findings are unclear: there are too few rows to tell. That is no pass.")
        left = self.audit.get("left_out") or {}
        said += [f"Not measured: {name} ({why})." for name, why in left.items()]
        if not self.audit.get("leakage"):
            said.append("How far the rest of the text gives groups away was not measured.")
        return [*LIMITS, *said]

    def done(self) -> list[str]:
        """The curation in sentences; empty without one."""
        if self.curation is None:
            return []
        about = self.curation
        steps = [f"{step['do']} on {step['axis']}" for step in about.get("plan", {}).get("step", [])]
        touched = about.get("touched") or {}
        said = [
            f'evenset {about.get("evenset")} applied the plan "{about.get("plan", {}).get("name", "")}" with seed '
            f"{about.get('seed')}: {', then '.join(steps) or 'no step'}.",
            f"{about['input'].get('rows', 0):,} rows became {about['output'].get('rows', 0):,}: "
            f"{touched.get('dropped', 0):,} dropped, {touched.get('added', 0):,} added, {touched.get('changed', 0):,} "
            "kept with a changed text or weight.",
        ]
        if any(step["do"] == "reweight" and not step.get("as_copies") for step in about["plan"].get("step", [])):
            said.append('The column "weight" holds weights that a trainer must use; without it they change nothing.')
        for one in about.get("removed") or []:
            if one.get("before") is not None and one.get("after") is not None:
                of = str(one["of"]).replace("cramers_v:", "Cramér's V of ").rstrip(":")
                said.append(f"{of} went from {one['before']:.2f} to {one['after']:.2f}.")
        which = {"before": "before this curation", "after": "after this curation"}[str(self.when)]
        said.append(f"The findings here are of the rows {which}.")
        return said


def _kind(axis: str) -> str:
    if axis.startswith("column:"):
        return "column"
    return "intersection" if "+" in axis else "lexicon"


def _finding(one: Mapping[str, Any]) -> Finding:
    estimate, low, high = (math.nan if one.get(name) is None else float(one[name]) for name in _NUMBERS)
    return Finding(
        axis=str(one["axis"]), group=one.get("group"), label=one.get("label"), measure=str(one["measure"]),
        estimate=estimate, low=low, high=high, n=int(one.get("n") or 0), method=str(one.get("method") or ""),
        status=one.get("status"), note=str(one.get("note") or ""), q=one.get("q"), stratum=one.get("stratum"),
    )  # fmt: skip


_NUMBERS: Sequence[str] = ("estimate", "low", "high")
