"""What is said of proxies: one record a word, one report an axis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from .findings import rounded

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["found", "none", "unclear"]
Kind = Literal["proxy", "task", "unstable", "length", "opposed"]

NEAR: tuple[Kind, ...] = ("task", "unstable", "length", "opposed")


@dataclass(frozen=True, slots=True)
class Proxy:
    """One word that goes with a group.

    Attributes
    ----------
    word, group : str
        The word, folded, and the group it goes with.
    against : str
        What the group was compared with.
    kind : {"proxy", "task", "unstable", "length", "opposed"}
        A proxy; or what kept it from being one: a word of the task, word vectors that do not agree, one side's longer
        texts, or opposite signs in different labels.
    n, group_n : int
        Documents with the word on both sides, and those of the group.
    odds_ratio, low, high : float
        Mantel-Haenszel over labels, above 1; of an opposed word as it is for the first side.
    q : float
        Share of false ones to be expected among all words with at most this value; of an opposed word from the test
        with a degree of freedom a label.
    z : float
        Log odds with an informative prior over its standard error, positive towards the group.
    about_group, about_label : float
        Share of what there is to know about the group given the label that the word tells, and the other way round.
    auc : float
        Leakage of the word's presence alone: area under the curve within labels.
    femaleness : float or None
    labels : int
        In how many labels it stands.
    sparse : bool
        Whether it stands in fewer than three labels, where there are more, or four fifths of it in one.
    why : str
        The rules it passed and did not pass, in words.
    """

    word: str
    group: str
    against: str
    kind: Kind
    n: int
    group_n: int
    odds_ratio: float
    low: float
    high: float
    q: float
    z: float
    about_group: float
    about_label: float
    auc: float
    femaleness: float | None
    labels: int
    sparse: bool
    why: str

    def to_dict(self) -> dict[str, Any]:
        """As in audit.json."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: rounded(value) if isinstance(value, float) else value for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class ProxyReport:
    """The proxies of one axis, and what was looked at to find them.

    Attributes
    ----------
    axis : str
    status : {"found", "none", "unclear"}
        "unclear" where nothing could be tested.
    note : str
        Why, and what else a reader has to know.
    proxies : tuple of Proxy
        By what they tell about the group, most first.
    near : tuple of Proxy
        Words that failed only one rule, strongest first, at most 50 of each kind.
    near_counts : mapping of kind to int
        How many there were of each.
    seen, rare, definitional, tested : int
        Pairs of a word and a contrast with 30 rows on both sides: all, those with fewer than `minimum` documents, those
        that name a group, and the rest, which were tested.
    rows : int
        Documents compared, of the contrast with most.
    labels : int
        Labels with documents of both sides, of the contrast with most.
    minimum : int
    limit : float
        The odds ratio that the interval must pass.
    rate : float
    bound : int
        By how much the count of any word may fall short.
    """

    axis: str
    status: Status
    note: str
    proxies: tuple[Proxy, ...]
    near: tuple[Proxy, ...]
    near_counts: Mapping[str, int]
    seen: int
    rare: int
    definitional: int
    tested: int
    rows: int
    labels: int
    minimum: int
    limit: float
    rate: float
    bound: int

    def to_dict(self) -> dict[str, Any]:
        """As in audit.json: numbers to eight digits."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        values["proxies"] = [proxy.to_dict() for proxy in self.proxies]
        values["near"] = [proxy.to_dict() for proxy in self.near]
        values["near_counts"] = dict(self.near_counts)
        return {name: rounded(value) if isinstance(value, float) else value for name, value in values.items()}

    def to_frame(self) -> pd.DataFrame:
        """Proxies and near misses as a table."""
        import pandas as pd

        columns = [one.name for one in fields(Proxy)]
        return pd.DataFrame([proxy.to_dict() for proxy in (*self.proxies, *self.near)], columns=columns)
