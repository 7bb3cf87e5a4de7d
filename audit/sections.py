"""The parts of an audit: what each is called, what it needs, and what it found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..data.errors import InputError, suggest
from .measures import MEASURES, known_measure

if TYPE_CHECKING:
    from ..data.config import CheckRule
    from .embeddings.directions import Direction
    from .embeddings.embedding_result import EmbeddingTest
    from .proxy_report import ProxyReport
    from .texts.leakage import Leakage
    from .texts.quality import Quality

COUNTS = ("representation", "representation_ratio", "label_rate", "label_rate_by_length")
SECTIONS = ("counts", "association", "directions", "proxies", "leakage", "quality")
QUICK = ("counts", "association")
FROM_ROWS = {"leakage_auc": "leakage"}
"""Measures that rest on rows, and the section that gives them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an audit is to do.

    Attributes
    ----------
    measures : tuple of str
        Names of the table of measures.
    sections : frozenset of str
        Those of the other parts that are wanted.
    named : bool
        Whether the user named them, so that what cannot be done is an error and not a remark.
    """

    measures: tuple[str, ...]
    sections: frozenset[str]
    named: bool

    @property
    def rows(self) -> bool:
        """Whether rows are needed besides the counts."""
        return bool(self.sections - {"proxies"})

    def also(self, named: Iterable[str]) -> Wanted:
        """The same, with those that are made only when a rule names them."""
        asked = [name for name in named if name in MEASURES and MEASURES[name].asked]
        return replace(self, measures=tuple(dict.fromkeys([*self.measures, *asked])))


def wanted(names: Iterable[str] | None) -> Wanted:
    """Read what comes after ``--measures``.

    Parameters
    ----------
    names : iterable of str, optional
        Sections and measures; ``all`` is every section. By default what the counts alone tell.

    Raises
    ------
    InputError
        For a name that is neither; suggests the right one.

    Examples
    --------
    >>> wanted(["counts", "proxies"]).sections
    frozenset({'proxies'})
    >>> wanted(["lekage"])
    Traceback (most recent call last):
        ...
    evenset.data.errors.InputError: --measures: there is no "lekage". Did you mean "leakage"? Sections: all, counts, \
association, directions, proxies, leakage, quality; single measures: evenset measures.
    """
    chosen = list(dict.fromkeys(QUICK if names is None else names))
    every = "all" in chosen
    if every:
        chosen = [*SECTIONS, *(name for name in chosen if name not in SECTIONS and name != "all")]
    measures: list[str] = []
    sections = set()
    for name in chosen:
        if name in QUICK:
            counted = (known for known, one in MEASURES.items() if one.function is not None and not one.asked)
            measures += [known for known in counted if (known in COUNTS) == (name == "counts")]
        elif name in SECTIONS:
            sections.add(name)
        elif name in FROM_ROWS:
            sections.add(FROM_ROWS[name])
        elif name in MEASURES:
            measures.append(name)
        else:
            raise InputError(
                f'--measures: there is no "{name}".{suggest(name, [*SECTIONS, *MEASURES])} Sections: all, '
                f"{', '.join(SECTIONS)}; single measures: evenset measures."
            )
    return Wanted(tuple(dict.fromkeys(measures)), frozenset(sections), named=names is not None and not every)


def needed_by(rules: Iterable[CheckRule]) -> list[str]:
    """What an audit has to do for these rules to be held against it.

    Examples
    --------
    >>> needed_by([])
    ['counts', 'association']
    """
    return [*QUICK, *dict.fromkeys(FROM_ROWS[rule.measure] for rule in rules if rule.measure in FROM_ROWS)]


def listed_measures(names: str | None) -> list[str]:
    """Measures named with commas; the section "leakage" stands for what it measures.

    Raises
    ------
    InputError
        For what is no measure; suggests the right one.

    Examples
    --------
    >>> listed_measures("leakage, nmi"), listed_measures(None)
    (['leakage_auc', 'nmi'], [])
    """
    of_section = {section: measure for measure, section in FROM_ROWS.items()}
    given = [name.strip() for name in (names or "").split(",") if name.strip()]
    return [known_measure(of_section.get(name, name)).name for name in dict.fromkeys(given)]


@dataclass(frozen=True)
class Parts:
    """What the parts of an audit found that go beyond the counts; None where a part was not wanted or left out.

    Attributes
    ----------
    proxies : mapping of axis to ProxyReport
    directions : tuple of Direction
    embedding_tests : tuple of EmbeddingTest
        WEAT and its kin, on the same vectors.
    leakage : mapping of axis to Leakage
    quality : Quality
    left_out : mapping of section to why
        Wanted, and not done.
    """

    proxies: Mapping[str, ProxyReport] | None = None
    directions: tuple[Direction, ...] | None = None
    embedding_tests: tuple[EmbeddingTest, ...] | None = None
    leakage: Mapping[str, Leakage] | None = None
    quality: Quality | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As in audit.json: null where a part was not done."""
        return {
            "proxies": None
            if self.proxies is None
            else [{"axis": axis, **word.to_dict()} for axis, report in self.proxies.items() for word in report.proxies],
            "proxy_search": None
            if self.proxies is None
            else {axis: _without(report.to_dict(), "proxies") for axis, report in self.proxies.items()},
            "directions": None if self.directions is None else [one.to_dict() for one in self.directions],
            "embedding_tests": None
            if self.embedding_tests is None
            else [one.to_dict() for one in self.embedding_tests],
            "leakage": None
            if self.leakage is None
            else {axis: _without(one.to_dict(), "axis") for axis, one in self.leakage.items()},
            "quality": None if self.quality is None else self.quality.to_dict(),
            "left_out": dict(self.left_out),
        }


def _without(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}
