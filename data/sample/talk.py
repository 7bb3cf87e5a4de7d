"""Synthetic talk-page comments: identity terms tied to toxicity by planted strengths, stronger in short comments."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import blake2b
from itertools import accumulate
from typing import Any

import pyarrow as pa

from .bank import Slots, bank, draws, expand, join, pick
from .options import SPLIT_OF_20, check, log_odds, probability

# Dixon et al. 2018, in characters. Kept here as well as in the scan: a change of the scan's default must not change the
# sample.
EDGES = (82, 159, 281, 536)
_LIMITS = ((8, 80), (84, 157), (161, 279), (283, 534), (538, 900))  # inside a bucket, whichever way edges are read
_KINDS = ("insult", "implicit", "quoted", "polite")
_TRIES = 12
_FRESH = frozenset({"count", "town", "day", "month", "year"})
_ROOMY = 60


def terms() -> tuple[str, ...]:
    """Give the identity terms of the sample, the most over-associated first."""
    return tuple(bank("comments")["terms"]["strength"])


def written(term: str) -> str:
    """Give a term as it stands in a sentence: ``"american"`` is written American."""
    found: str = bank("comments")["terms"]["written"].get(term, term)
    return found


def term_rates(bias: float) -> dict[str, list[float]]:
    """Give the planted P(toxic | term) in each length bucket."""
    planted = bank("comments")["terms"]
    base = log_odds(bank("comments")["rates"]["toxic"])
    return {
        t: [probability(base + bias * s * by) for by in planted["by_bucket"]] for t, s in planted["strength"].items()
    }


def comments(rows: int, seed: int, *, bias: float = 1.0, split: str | None = None) -> tuple[pa.Table, dict[str, Any]]:
    """Write comments that are toxic or not, as in the Wikipedia Talk data.

    A comment's label and length bucket are drawn first, then its words from the label; identity terms are added with
    P(term | label, bucket) = P(term) P(label | term, bucket) / P(label), each on its own, and only ever name the page
    talked about. A term changes nothing else that is said, so a fair classifier's score does not move with it, and one
    whose score does has learned the planted association. The words do not settle the label, or terms would be of no
    use to anyone: some toxic comments carry no insult, some clean ones quote one, and some labels are simply wrong.

    Parameters
    ----------
    rows, seed
        Size, and the seed that all draws come from. A longer sample starts with the shorter one of the same seed.
    bias
        1 plants the full strengths, 0 none (terms independent of the label), values between scale the log odds ratios.
    split
        ``"train"``, ``"dev"`` or ``"test"``: samples of different splits share no text, terms blanked. ``None`` uses
        all.

    Returns
    -------
    table : pa.Table
        ``id, text, label, group``; label is 1 for toxic, group the comment's terms joined by ``|``, null where it has
        none.
    truth : dict
        ``term_rate`` holds the planted P(toxic | term), ``term_rate_by_bucket`` the same in each length bucket;
        ``term_share`` the share of comments with the term, ``toxic_rate`` the base rate; ``noise`` what is said given
        the label; ``counts`` what the draw gave.

    Raises
    ------
    InputError
        When an option is out of its range.

    Examples
    --------
    >>> table, truth = comments(50, 0)
    >>> table.column_names
    ['id', 'text', 'label', 'group']
    >>> truth["term_rate"]["gay"] > truth["toxic_rate"] > truth["term_rate"]["canadian"]
    True
    """
    check(rows, bias=bias, split=split)
    writer = _Writer(bias)
    ids, texts, toxic, found = [], [], [], []
    for i in range(rows):
        draw = draws("comments", seed, split or "all", i)
        text, label, mentioned = writer.row(draw)
        # Which split a text belongs to is a property of the text: no two splits can share one, whatever their seeds.
        while split is not None and _split(text, mentioned) != split:
            text, label, mentioned = writer.row(draw)
        ids.append(f"comment-{split or 'all'}-{seed}-{i:06d}")
        texts.append(text)
        toxic.append(label)
        found.append(mentioned)
    rates = bank("comments")["rates"]
    counts = {t: [0, 0] for t in terms()}
    for label, mentioned in zip(toxic, found, strict=True):
        for term in mentioned:
            counts[term][label] += 1
    truth = {
        "kind": "comments",
        "rows": rows,
        "seed": seed,
        "bias": bias,
        "split": split,
        "log_ratio": {},
        "proxies": [],
        "term_rate": {t: round(_mean(by, rates["buckets"]), 9) for t, by in writer.rate.items()},
        "term_rate_by_bucket": {t: [round(p, 9) for p in by] for t, by in writer.rate.items()},
        "bucket_edges": list(EDGES),
        "bucket_share": rates["buckets"],
        "term_share": bank("comments")["terms"]["rate"],
        "toxic_rate": rates["toxic"],
        "noise": {"said_if_toxic": rates["said_if_toxic"], "said_if_clean": rates["said_if_clean"]},
        "counts": {t: {"clean": n[0], "toxic": n[1]} for t, n in counts.items()},
    }
    table = pa.table(
        {
            "id": pa.array(ids, pa.string()),
            "text": pa.array(texts, pa.string()),
            "label": pa.array(toxic, pa.int64()),
            "group": pa.array(["|".join(m) or None for m in found], pa.string()),
        }
    )
    return table, truth


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)


def _phrase(mentioned: Sequence[str]) -> str:
    return join([written(t) for t in mentioned])


def _split(text: str, mentioned: Sequence[str]) -> str:
    skeleton = text.replace(_phrase(mentioned), "_") if mentioned else text
    return SPLIT_OF_20[int.from_bytes(blake2b(skeleton.encode(), digest_size=8).digest(), "big") % 20]


@cache
def _expanded(*path: str) -> tuple[tuple[str, ...], ...]:
    found: Any = bank("comments")
    for key in path:
        found = found[key]
    return tuple(expand(t) for t in found)


class _Writer:
    """Writes one comment from one stream of numbers."""

    def __init__(self, bias: float) -> None:
        rates, planted = bank("comments")["rates"], bank("comments")["terms"]
        self.toxic: float = rates["toxic"]
        self.edges = list(accumulate(rates["buckets"]))
        self.said = [
            list(accumulate(rates[key].get(kind, 0.0) for kind in _KINDS)) for key in ("said_if_clean", "said_if_toxic")
        ]
        self.rate = term_rates(bias)
        # attach[bucket][label] = [(term, P(term | label, bucket))]
        self.attach = [
            [
                [(t, planted["rate"][t] * (1 - by[b]) / (1 - self.toxic)) for t, by in self.rate.items()],
                [(t, planted["rate"][t] * by[b] / self.toxic) for t, by in self.rate.items()],
            ]
            for b in range(len(_LIMITS))
        ]
        self.slots = bank("comments")["slots"]

    def row(self, draw: Callable[[], float]) -> tuple[str, int, list[str]]:
        label = int(draw() < self.toxic)
        bucket = min(bisect_left(self.edges, draw()), len(_LIMITS) - 1)
        said = _KINDS[min(bisect_left(self.said[label], draw()), len(_KINDS) - 1)]
        mentioned = [t for t, p in self.attach[bucket][label] if draw() < p]
        mentioned.sort(key=lambda _: draw())
        return self._text(said, bucket, mentioned, draw), label, mentioned

    def _slots(self, draw: Callable[[], float], mentioned: list[str]) -> Slots:
        slots = Slots(self.slots, draw, fresh=_FRESH)
        slots["user"] = slots["User"] = pick(self.slots["user"], draw())
        plain = _expanded("topics", "plain")
        framed = mentioned or draw() < 0.6
        slots["kind"] = _phrase(mentioned) if mentioned else pick(bank("comments")["topics"]["kinds"], draw())
        slots["topic"] = pick(pick(_expanded("topics", "frames") if framed else plain, draw()), draw()).format_map(
            slots
        )
        slots["Topic"] = slots["topic"][0].upper() + slots["topic"][1:]
        return slots

    def _text(self, said: str, bucket: int, mentioned: list[str], draw: Callable[[], float]) -> str:
        low, high = _LIMITS[bucket]
        core = ""
        # A short comment needs a short sentence: keep the shortest of some tries if none fits.
        for _ in range(_TRIES):
            slots = self._slots(draw, mentioned)
            tried = self._core(said, slots, draw, need_topic=bool(mentioned))
            core = min(core, tried, key=len) if core else tried
            if len(core) <= high:
                break
        sentences = [core]
        length = len(core)
        target = low + (high - low) * draw()
        opening = pick(bank("comments")["around"]["opening"], draw()).format_map(slots)
        if draw() < 0.25 and length + 1 + len(opening) <= high:
            sentences.insert(0, opening)
            length += 1 + len(opening)
        while length < target:
            # Asides are short: now and then, and where there is no room for more.
            room = high - length - 1
            kind = "aside" if room < _ROOMY or draw() < 0.1 else "filler"
            found = self._filler(_expanded("around", kind), room, sentences, slots, draw)
            if not found:
                if length >= low:
                    break
                target, sentences, length = low, [core], len(core)
                continue
            # The point of a comment is not always its first sentence.
            sentences.insert(len(sentences) - (draw() < 0.3), found)
            length += 1 + len(found)
        return " ".join(sentences)

    def _filler(
        self, fillers: tuple[tuple[str, ...], ...], room: int, said: list[str], slots: Slots, draw: Callable[[], float]
    ) -> str:
        for _ in range(_TRIES):
            filler: str = pick(pick(fillers, draw()), draw()).format_map(slots)
            if len(filler) <= room and filler[:12] not in {s[:12] for s in said}:
                return filler
        return ""

    def _core(self, said: str, slots: Slots, draw: Callable[[], float], *, need_topic: bool) -> str:
        template = pick(pick(_expanded("main", said), draw()), draw())
        text: str = template.format_map(slots)
        if need_topic and "opic}" not in template:
            text = f"{text} {pick(bank('comments')['topics']['about'], draw()).format_map(slots)}"
        return text
