"""How fast documents are counted by term and label: evenset beside polars, scikit-learn and spaCy.

    python benchmarks/counting.py [--mb 512] [--rounds 3]

Wall time counts (evenset and polars use two threads), and CPU time beside it, which a busy machine spoils less. All get
the same made-up English-looking text in memory, 3,000 terms, 500 of them of two words, and 28 labels. evenset makes the
whole Tally of `evenset audit`: documents by term and label, rows by groups, label and length. CountVectorizer and
PhraseMatcher count documents by term and label; polars only finds the hits (`find_many` of " term " in lower-cased text
whose punctuation became blanks), which is less. Slower peers get a smaller slice. The rounds alternate, so that all see
the same machine; the best and the median of them are given. On the last slice evenset's counts are compared with a slow
obvious count. The peers' totals differ a little by design: they count a term also inside a longer one, and across
punctuation.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from corpus import LABELS, axis_of, terms_of, text_of

from evenset.audit.engine import counting
from evenset.data.axes import Axis
from evenset.data.dataset import Dataset

Counts = npt.NDArray[np.int64]
NAMES = [f"label {k}" for k in range(LABELS)]


def evenset_counts(table: pa.Table, axis: Axis, *, fast: bool) -> Counts:
    """Documents by label and term, from the Tally that `evenset audit` makes."""
    limit = 0 if fast else 1 << 60
    with mock.patch("evenset.audit.shards.FAST_BYTES", limit):
        tally = counting(Dataset.of(table, text="text", label="label"), [axis]).tally
    terms, labels = tally.terms["terms"], {name: k for k, name in enumerate(NAMES)}
    forms = {form.text: k for k, form in enumerate(axis.lexicons()[0].forms)}
    counts = np.zeros((LABELS, len(forms)), np.int64)
    for (form, label), documents in terms.items():
        counts[labels[str(label)], forms[form]] = documents
    return counts


def polars_hits(frame: Any, terms: list[str]) -> int:
    import polars as pl

    padded = [f" {term} " for term in terms]
    marks = [",", ".", "-", "'", ";", "!", "#"]
    text = pl.concat_str(pl.lit(" "), pl.col("text").str.to_lowercase(), pl.lit(" ")).str.replace_many(
        marks, [" "] * len(marks)
    )
    found = (
        frame.lazy().select(text.str.find_many(padded, overlapping=True).list.len().sum()).collect(engine="streaming")
    )
    return int(found.item())


def spacy_counts(documents: list[str], labels: Counts, terms: list[str]) -> Counts:
    import spacy
    from spacy.matcher import PhraseMatcher

    nlp = spacy.blank("en")
    matcher = PhraseMatcher(nlp.vocab, attr="LOWER")
    for number, term in enumerate(terms):
        matcher.add(str(number), [nlp.make_doc(term)])
    counts = np.zeros((LABELS, len(terms)), np.int64)
    names = {nlp.vocab.strings[str(number)]: number for number in range(len(terms))}
    for document, label in zip(nlp.pipe(documents), labels, strict=True):
        for name in {name for name, _, _ in matcher(document)}:
            counts[label, names[name]] += 1
    return counts


def sklearn_counts(documents: list[str], labels: Counts, terms: list[str]) -> Counts:
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(vocabulary=terms, ngram_range=(1, 2), binary=True, token_pattern=r"[^\W_]+")
    found = vectorizer.transform(documents)
    return np.stack([np.asarray(found[labels == label].sum(axis=0))[0] for label in range(LABELS)]).astype(np.int64)


def obvious_counts(documents: list[str], labels: Counts, terms: list[str]) -> Counts:
    """Word by word: two-word terms from the left, then single words where no pair was taken."""
    number = {term: k for k, term in enumerate(terms)}
    counts = np.zeros((LABELS, len(terms)), np.int64)
    for document, label in zip(documents, labels, strict=True):
        words, gaps, word, gap = [], [], "", ""
        for character in document + "\n":
            if character.isalnum():
                if not word:
                    gaps.append(gap)
                word, gap = word + character, ""
            else:
                if word:
                    words.append(word.casefold())
                word, gap = "", gap + character
        taken, found = [False] * len(words), set()
        for k in range(len(words) - 1):
            two = f"{words[k]} {words[k + 1]}"
            if gaps[k + 1] in {" ", "-", "_"} and two in number and not (taken[k] or taken[k + 1]):
                taken[k] = taken[k + 1] = True
                found.add(number[two])
        found |= {number[word] for word, gone in zip(words, taken, strict=True) if not gone and word in number}
        for k in found:
            counts[label, k] += 1
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=float, default=512, help="megabytes of text for evenset and polars")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    unit = min(given.mb, 64)
    documents = text_of(int(unit * 1e6), rng)
    labels = rng.integers(0, LABELS, len(documents))
    terms = terms_of(documents, rng)
    assert len(set(terms)) == 3000
    axis = axis_of(terms)
    ends = np.cumsum([len(document.encode()) for document in documents])

    def rows(megabytes: float) -> int:
        return int(np.searchsorted(ends, min(megabytes, unit) * 1e6)) or 1

    def table(count: int) -> pa.Table:
        text = pa.array(documents[:count], pa.large_string())
        return pa.table({"text": text, "label": [NAMES[k] for k in labels[:count]]})

    times = max(1, round(given.mb / unit))
    whole = pa.concat_tables([table(len(documents))] * times)
    small, smaller = rows(8), rows(2)
    size = {"whole": ends[-1] * times / 1e6, "small": ends[small - 1] / 1e6, "smaller": ends[smaller - 1] / 1e6}
    ways: dict[str, tuple[float, Callable[[], Any]]] = {}
    try:
        import numba  # noqa: F401 - only whether it is there

        ways["evenset"] = size["whole"], lambda: evenset_counts(whole, axis, fast=True)
    except ImportError:
        print("numba is not installed")
    ways["evenset, no numba"] = size["whole"], lambda: evenset_counts(whole, axis, fast=False)
    try:
        import polars

        frame = polars.from_arrow(whole)
        ways["polars find_many"] = size["whole"], lambda: polars_hits(frame, terms)
    except ImportError:
        print("polars is not installed: pip install polars")
    ways["CountVectorizer"] = size["small"], lambda: sklearn_counts(documents[:small], labels[:small], terms)
    ways["PhraseMatcher"] = size["smaller"], lambda: spacy_counts(documents[:smaller], labels[:smaller], terms)

    slice_ = rows(1)
    truth = obvious_counts(documents[:slice_], labels[:slice_], terms)
    for fast in (True, False):  # also loads the compiled loops, which takes a moment the first time
        assert np.array_equal(evenset_counts(table(slice_), axis, fast=fast), truth), "evenset's counts are wrong"
    wall: dict[str, list[float]] = {name: [] for name in ways}
    work: dict[str, list[float]] = {name: [] for name in ways}
    results: dict[str, Any] = {}
    for _ in range(given.rounds):
        for name, (_, way) in ways.items():
            begun, worked = time.perf_counter(), time.process_time()
            results[name] = way()
            wall[name].append(time.perf_counter() - begun)
            work[name].append(time.process_time() - worked)
    first = next(iter(ways))
    if first == "evenset":
        assert np.array_equal(results[first], results["evenset, no numba"]), "the two ways of evenset differ"
    for name, count in (("CountVectorizer", small), ("PhraseMatcher", smaller)):
        part = evenset_counts(table(count), axis, fast=False)
        assert 0.8 < results[name].sum() / part.sum() < 1.3, f"{name} was not given the same work"

    load = os.getloadavg()[0]
    print(
        f"{len(documents) * times:,} documents, {size['whole']:,.0f} MB, {len(terms):,} terms, {LABELS} labels; ",
        end="",
    )
    print(f"{given.rounds} rounds; load average {load:.1f} on {os.cpu_count()} cores")
    print(f"{'':20}{'MB':>7}{'best s':>9}{'MB/s':>8}{'median':>8}{first + ' /':>11}{'MB/CPU s':>10}{first + ' /':>11}")
    speed = {name: mb / min(wall[name]) for name, (mb, _) in ways.items()}
    effort = {name: mb / min(work[name]) for name, (mb, _) in ways.items()}
    for name, (mb, _) in ways.items():
        print(
            f"{name:20}{mb:7.0f}{min(wall[name]):9.2f}{speed[name]:8.1f}{mb / statistics.median(wall[name]):8.1f}"
            f"{speed[first] / speed[name]:11.1f}{effort[name]:10.1f}{effort[first] / effort[name]:11.1f}"
        )
    print(f"evenset's counts equal a slow count of {slice_:,} documents ({truth.sum():,} hits)")


if __name__ == "__main__":
    main()
