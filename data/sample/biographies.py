"""Synthetic biographies with a planted share of she/her in every occupation, and planted proxies."""

from __future__ import annotations

import math
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any

import pyarrow as pa

from .bank import Pronoun, Slots, bank, draws, expand, join, pick, pronouns
from .options import SPLIT_OF_20, check, log_odds, probability

MIN_CHARS, MAX_CHARS = 150, 600
_MAX_SENTENCES = 6
_FRESH = frozenset({"number", "later"})
_YEARS = {5: "five", 10: "ten", 15: "fifteen", 20: "twenty", 25: "twenty-five", 30: "thirty", 35: "thirty-five"}
# How many sentences speak of the work, and how often one is the occupation's own and not its family's:
# tuned so that a bag of words recovers about four titles in five, as it does on real biographies.
_WORK_SENTENCES = (1, 2, 2, 3, 3)
_OWN = 0.35


@dataclass(frozen=True, slots=True)
class _Phrases:
    """The templates of one occupation with one pronoun: for each sentence its written-out variants."""

    own: tuple[tuple[str, ...], ...]
    family: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class _Proxy:
    word: str
    group: str | None
    strength: float
    rate: dict[str, float]


def labels() -> tuple[str, ...]:
    """Give the 28 occupations in alphabetical order, which is their index order in Bias in Bios."""
    return tuple(sorted(_occupations()))


@cache
def _occupations() -> dict[str, dict[str, Any]]:
    return {k: v for part in ("care", "arts", "office") for k, v in bank(f"occupations_{part}")["occupation"].items()}


@cache
def _families() -> dict[str, list[str]]:
    return {k: v for part in ("care", "arts", "office") for k, v in bank(f"occupations_{part}")["family"].items()}


def _inflected(templates: Sequence[str], pronoun: Pronoun) -> tuple[tuple[str, ...], ...]:
    return tuple(expand(pronoun.inflect(t)) for t in templates)


@cache
def _phrases(label: str, pronoun: Pronoun) -> _Phrases:
    occupation = _occupations()[label]
    family = [t for name in occupation["families"] for t in _families()[name]]
    return _Phrases(_inflected(occupation["own"], pronoun), _inflected(family, pronoun))


@cache
def _general(kind: str, pronoun: Pronoun) -> tuple[tuple[str, ...], ...]:
    section = bank("bios")["proxies"]["sentences"] if kind == "hobbies" else bank("bios")["general"][kind]
    return _inflected(section, pronoun)


@cache
def _surnames(split: str | None) -> tuple[str, ...]:
    names = bank("bios")["surnames"]["names"].split()
    return tuple(n for i, n in enumerate(names) if split is None or SPLIT_OF_20[i % 20] == split)


def _proxies(bias: float) -> list[_Proxy]:
    planted = bank("bios")["proxies"]
    base = log_odds(planted["base"])
    proxies = []
    for group, sign in (("she", 0.5), ("he", -0.5)):
        for word, strength in planted[group].items():
            rate = {
                "she": probability(base + sign * bias * strength),
                "he": probability(base - sign * bias * strength),
                "other": probability(base),
            }
            proxies.append(_Proxy(word, group, round(bias * strength, 6), rate))
    flat = {"she": planted["base"], "he": planted["base"], "other": planted["base"]}
    return proxies + [_Proxy(word, None, 0.0, flat) for word in planted["neutral"]]


def bios(
    rows: int, seed: int, *, bias: float = 1.0, uniform: bool = False, split: str | None = None
) -> tuple[pa.Table, dict[str, Any]]:
    """Write biographies whose occupation is to be told from the text, as in Bias in Bios (without the title sentence).

    Given the occupation, the pronoun is drawn with the planted share of she/her; given the pronoun, each proxy word is
    there with its planted rate, whatever the occupation. Nothing else in a row depends on the pronoun, so a classifier
    that leans on pronouns or proxies has learned the planted association and nothing more.

    Parameters
    ----------
    rows, seed
        Size, and the seed that all draws come from. A longer sample starts with the shorter one of the same seed.
    bias
        1 plants the published shares and the full strength of the proxies, 0 none (every share one half), values
        between scale both.
    uniform
        Give all occupations the same share of rows, not the published one.
    split
        ``"train"``, ``"dev"`` or ``"test"``: samples of different splits share no surname, hence no person. ``None``
        uses all.

    Returns
    -------
    table : pa.Table
        ``id, text, label, group``; group is the subject pronoun.
    truth : dict
        ``log_ratio`` holds ln(share / (1 − share)) of she over he, as planted, an occupation; ``realised_log_ratio``
        and ``counts`` what the draw gave; ``proxies`` each word with its group, its strength (log odds ratio) and its
        rates.

    Raises
    ------
    InputError
        When an option is out of its range.

    Examples
    --------
    >>> table, truth = bios(100, 0)
    >>> table.column_names
    ['id', 'text', 'label', 'group']
    >>> round(truth["log_ratio"]["surgeon"], 2)
    -1.74
    """
    check(rows, bias=bias, split=split)
    occupations = _occupations()
    names = labels()
    size = {name: 1.0 if uniform else occupations[name]["rows"] for name in names}
    total = sum(size.values())
    share = {name: round(0.5 + bias * (occupations[name]["she"] - 0.5), 9) for name in names}
    proxies = _proxies(bias)
    writer = _Writer(list(accumulate(size[n] / total for n in names)), share, proxies, _surnames(split))
    columns: dict[str, list[str]] = {"id": [], "text": [], "label": [], "group": []}
    for i in range(rows):
        text, label, group = writer.row(draws("bios", seed, split or "all", i))
        columns["id"].append(f"bio-{split or 'all'}-{seed}-{i:06d}")
        columns["text"].append(text)
        columns["label"].append(label)
        columns["group"].append(group)
    counts = Counter(zip(columns["label"], columns["group"], strict=True))
    truth = {
        "kind": "bios",
        "rows": rows,
        "seed": seed,
        "bias": bias,
        "split": split,
        "log_ratio": {n: round(log_odds(share[n]), 9) for n in names},
        "proxies": [
            {"word": p.word, "group": p.group, "strength": p.strength, "rate": {g: p.rate[g] for g in ("she", "he")}}
            for p in proxies
            if p.group is not None
        ],
        "term_rate": {},
        "share": share,
        "class_share": {n: round(size[n] / total, 9) for n in names},
        "neutral_words": [p.word for p in proxies if p.group is None],
        "counts": {n: {g: counts[n, g] for g in pronouns()} for n in names},
        "realised_log_ratio": {
            n: round(math.log((counts[n, "she"] + 0.5) / (counts[n, "he"] + 0.5)), 9) for n in names
        },
    }
    return pa.table({k: pa.array(v, pa.string()) for k, v in columns.items()}), truth


class _Writer:
    """Writes one biography from one stream of numbers."""

    def __init__(
        self, edges: list[float], share: dict[str, float], proxies: list[_Proxy], surnames: tuple[str, ...]
    ) -> None:
        self.edges, self.names, self.share, self.proxies, self.surnames = edges, labels(), share, proxies, surnames
        self.pronouns = pronouns()
        self.slots = bank("bios")["slots"]
        rates = bank("bios")["rates"]
        self.others: list[tuple[str, float]] = list(rates.items())
        self.doctor = {n: 0.6 if _occupations()[n].get("doctor") else 0.0 for n in self.names}

    def row(self, draw: Callable[[], float]) -> tuple[str, str, str]:
        label = self.names[min(bisect(self.edges, draw()), len(self.names) - 1)]
        group = self._group(draw(), draw(), label)
        # Drawn for every row in the same order, so a change of strength moves single words and not the whole sample.
        column = group if group in ("she", "he") else "other"
        hobbies = [p.word for p in self.proxies if draw() < p.rate[column]]
        pronoun = self.pronouns[group]
        slots = self._slots(draw, label)
        return self._text(_phrases(label, pronoun), pronoun, slots, hobbies, draw), label, group

    def _group(self, u: float, v: float, label: str) -> str:
        for group, rate in self.others:
            if u < rate:
                return group
            u -= rate
        return "she" if v < self.share[label] else "he"

    def _slots(self, draw: Callable[[], float], label: str) -> Slots:
        start = 1986 + int(draw() * 31)
        slots = Slots({**self.slots, "later": _later(start)}, draw, fresh=_FRESH)
        slots["year"] = str(start)
        slots["years"] = _YEARS[(2024 - start) // 5 * 5]
        surname = pick(self.surnames, draw())
        slots["N"] = f"Dr {surname}" if draw() < self.doctor[label] else surname
        return slots

    def _text(
        self, phrases: _Phrases, pronoun: Pronoun, slots: Slots, hobbies: list[str], draw: Callable[[], float]
    ) -> str:
        used: set[tuple[str, ...]] = set()

        def one(templates: tuple[tuple[str, ...], ...]) -> str:
            # Each sentence at most once in a biography: where it has been said, the next one that has not.
            at = int(draw() * len(templates))
            while templates[at] in used:
                at = (at + 1) % len(templates)
            used.add(templates[at])
            return str(pick(templates[at], draw()).format_map(slots))

        work = [one(phrases.own if draw() < _OWN else phrases.family) for _ in range(pick(_WORK_SENTENCES, draw()))]
        life = _general("life", pronoun)
        # The kinds of sentence with a pronoun in every template: one of them is always there.
        u = draw()
        extra = one(_general("education" if u < 0.4 else "origin" if u < 0.65 else "life", pronoun))
        sentences = [*work, extra] if draw() < 0.75 else [extra, *work]
        last = ""
        if hobbies:
            slots["hobbies"] = join(sorted(hobbies, key=lambda _: draw()))
            last = one(_general("hobbies", pronoun))
        length = len(last) + sum(map(len, sentences)) + len(sentences)
        while length <= MIN_CHARS:
            sentences.append(one(life))
            length += len(sentences[-1]) + 1
        while length > MAX_CHARS or len(sentences) + bool(last) > _MAX_SENTENCES:
            length -= len(sentences.pop()) + 1
        return " ".join([*sentences, last] if last else sentences)


@cache
def _later(start: int) -> tuple[str, ...]:
    """Give the years in which somebody who graduated in ``start`` may have gone on to something."""
    return tuple(str(y) for y in range(start + 1, min(start + 13, 2023)))
