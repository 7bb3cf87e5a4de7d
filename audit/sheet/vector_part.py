"""Word vectors: how far words lie towards one side of a direction, and the tests of word sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...data.showing import clipped
from ..page.document import Section, beside, computed, figure
from ..page.html import Html, join, tag
from ..page.plot.scatter import Dot, Guide, scatter
from ..page.table import Column, table
from ..scorecard_parts import leanings
from ..vocabulary import COLUMN, SHIFT
from .wording import plain

if TYPE_CHECKING:
    from ..embeddings.directions import Direction
    from ..embeddings.embedding_result import EmbeddingTest
    from ..report import AuditReport

MOST_DOTS, MOST_WORDS, MOST_MISSING = 240, 40, 8


def vector_section(report: AuditReport) -> Section | None:
    """Directions with their words, and embedding tests."""
    parts = report.parts
    if parts.directions is None and parts.embedding_tests is None:
        return None
    _, lines = leanings(report)
    body: list[Html] = []
    for at, (one, line) in enumerate(zip(parts.directions or (), lines, strict=True)):
        body.append(_direction(report, one, line[2], f"direction-{at + 1}"))
    if parts.embedding_tests:
        body.append(_tests(parts.embedding_tests))
    if not body:
        return None
    lead = "What word vectors make of this text, or of the vectors that were given."
    return Section("vectors", "Word vectors", join(body), lead)


def _direction(report: AuditReport, one: Direction, said: str, anchor: str) -> Html:
    first, second = clipped(one.pairs.first, 40), clipped(one.pairs.second, 40)
    pairs = ", ".join(f"{clipped(a, 20)}–{clipped(b, 20)}" for a, b in one.used[:12])
    note = computed(
        f"The first principal component of {len(one.used)} pairs ({pairs}), each centred (Bolukbasi et al. 2016); a "
        "word's score is its "
        f"cosine with it. Used only if it explains more of the pairs than the 95th percentile of random pairs.",
        f"Interval: {one.method}. Vectors: {one.vectors.get('source', 'given')}, {one.vectors.get('words', 0):,} "
        "words.",
        "It shows what stands near what in this text, not what anyone means; with little text it is mostly noise.",
    )
    body: list[Html] = [tag("h3", f"Direction {first} to {second}"), tag("p", said + ".")]
    if one.scored and one.words:
        chart, shown = _scatter(report, one)
        if chart:
            body.append(figure(chart, shown))
        body.append(_furthest(one, anchor))
    return beside(join(body), note)


def documents(report: AuditReport) -> dict[str, int]:
    """In how many rows each word of the open vocabulary stands; empty where words were not counted.

    An axis that contrasts two groups counts words in their rows only, so there these are the rows that are meant.
    """
    words = report.tally.words
    if words is None or not words.columns:
        return {}
    whole = [at for at, column in enumerate(words.columns) if column.axis is None]
    if not whole:
        first = min(str(column.axis) for column in words.columns)
        whole = [at for at, column in enumerate(words.columns) if column.axis == first and column.alone]
    chosen = np.isin(words.key & COLUMN, whole)
    counts = np.bincount(words.key[chosen] >> SHIFT, weights=words.count[chosen], minlength=len(words.words))
    return {word: int(count) for word, count in zip(words.words, counts.tolist(), strict=True) if count}


def _scatter(report: AuditReport, one: Direction) -> tuple[Html, str]:
    rows = documents(report)
    proxies = {
        proxy.word: proxy.group
        for found in (report.parts.proxies or {}).values()
        for proxy in found.proxies
        if proxy.femaleness is not None
    }
    at = {word: i for i, word in enumerate(one.words)}
    low, high = one.interval()
    clear = one.clear
    counted = [word for word in one.words if rows.get(word)]
    told = [word for word in proxies if word in at and rows.get(word)]
    others = sorted(
        (word for word in counted if clear[at[word]] and word not in proxies),
        key=lambda word: (-abs(one.mean[at[word]]), word),
    )
    if not told and not others:
        return Html(""), ""
    rest = sorted(
        (word for word in counted if not clear[at[word]] and word not in proxies), key=lambda word: (-rows[word], word)
    )
    budget = MOST_DOTS - min(len(told), 60)
    chosen = [*told[:60], *others[: budget * 2 // 3]]
    chosen += rest[: MOST_DOTS - len(chosen)]
    named = set(told[:24] if told else others[:16])
    dots = [
        Dot(
            clipped(word, 30),
            float(one.mean[at[word]]),
            float(np.log10(rows[word])),
            series=0 if word in proxies else 1 if clear[at[word]] else -1,
            named=word in named,
        )
        for word in chosen
    ]
    chart = scatter(
        dots,
        title=f"Words between {one.pairs.second} and {one.pairs.first}, and how many rows have them",
        x=f"towards {clipped(one.pairs.second, 20)}  ←  cosine  →  towards {clipped(one.pairs.first, 20)}",
        y="rows with the word (powers of ten)",
        desc=", ".join(
            f"{clipped(word, 30)} {one.mean[at[word]]:.2f} ({low[at[word]]:.2f} to {high[at[word]]:.2f}), "
            f"{rows[word]:,} rows"
            for word in chosen[:30]
        ),
        guides=[Guide(0.0, upright=True, solid=True)],
        series=("proxy of a group", "surely on one side"),
        quiet="side not sure",
    )
    what = (
        "Proxies are named where there is room."
        if told
        else "The words furthest out are named; none of the proxies has a score."
    )
    return chart, f"{len(chosen):,} of {len(counted):,} scored words. {what}"


def _furthest(one: Direction, anchor: str) -> Html:
    low, high = one.interval()
    order = np.argsort(-one.mean, kind="stable")
    order = order[one.stable[order]]
    sides = [
        *(int(i) for i in order[:MOST_WORDS] if one.mean[i] > 0),
        *(int(i) for i in order[::-1][:MOST_WORDS] if one.mean[i] < 0),
    ]
    rows = [
        (
            clipped(one.words[i]),
            clipped(one.pairs.first if one.mean[i] > 0 else one.pairs.second),
            float(one.mean[i]),
            plain(float(low[i]), float(high[i])),
            float(one.sign_share[i]),
        )
        for i in sides
    ]
    columns = [
        Column("word", "long"),
        Column("towards"),
        Column("cosine", "number"),
        Column("interval", "number"),
        Column("same sign in", "number"),
    ]
    unstable = int(np.count_nonzero(~one.stable))
    remark = (
        f"Up to {MOST_WORDS} a side; {unstable:,} of {len(one.words):,} words have no stable sign and are left out."
    )
    made = table(columns, rows, caption="Words furthest out", anchor=anchor, remark=remark)
    return tag("details", tag("summary", "Words furthest out"), made)


def _tests(tests: tuple[EmbeddingTest, ...]) -> Html:
    made = [one for one in tests if one.enough]
    columns = [
        Column("test", "long"),
        Column("status", "status"),
        Column("value", "number", ".3f"),
        Column("interval", "number"),
        Column("p", "number", ".2g"),
        Column("words", "number"),
        Column("vectors"),
        Column("why not, or which words are missing", "long"),
    ]
    rows = []
    for one in sorted(tests, key=lambda one: not one.enough):
        lost = [word for words in one.missing.values() for word in words]
        missing = f"missing: {', '.join(map(clipped, lost[:MOST_MISSING]))}" if lost else ""
        missing += f" and {len(lost) - MOST_MISSING} more" if len(lost) > MOST_MISSING else ""
        rows.append(
            (
                one.name,
                None if one.enough else "unclear",
                one.estimate,
                plain(one.low, one.high, ".3f"),
                one.p,
                one.n,
                clipped(one.source, 60),
                one.why or missing,
            )
        )
    note = computed(
        "WEAT: Caliskan et al. 2017; RND: Garg et al. 2018; RIPA: Ethayarajh et al. 2019; ECT: Dev and Phillips 2019; "
        "MAC: Manzini et al. 2019; "
        "RNSB: Sweeney and Najafian 2019. p: one-sided, permutations, of WEAT only.",
        "A test is unclear where a set has lost more than a fifth of its words. These tests compare English word "
        "lists made for other corpora, "
        "and predict little of what a model does.",
    )
    table_ = table(
        columns,
        rows,
        caption=f"Tests of word sets ({len(made)} of {len(tests)} could be made)",
        anchor="embedding-tests",
    )
    return beside(join([tag("h3", "Tests of word sets"), table_]), note)
