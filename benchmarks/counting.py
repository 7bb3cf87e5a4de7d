"""How fast documents are counted by term: evenset beside spaCy's PhraseMatcher and scikit-learn's CountVectorizer.

    python benchmarks/counting.py [--mb 64] [--rounds 3]

Wall time counts (evenset works on two batches at a time), and CPU time beside it, which a busy machine does not spoil.
All three get the same made-up English-looking text in memory and the same 3,000 terms, 500 of two words, and say in how
many documents of each label each term stands. The peers get a smaller slice, as the table says; speeds are the best of
the rounds, which alternate, so that all see the same machine. On the last slice evenset's counts are compared with a
slow obvious count. The peers' own totals differ a little by design: CountVectorizer pairs words across punctuation, and
both count a term also inside a longer one.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from evenset.data.arrays import distinct
from evenset.data.axes import Axis
from evenset.data.dataset import Dataset
from evenset.data.lexicon import Form, Group, Lexicon
from evenset.data.scan import scan

SYLLABLES = [consonant + vowel for consonant in "bcdfghklmnprstvz" for vowel in "aeiou"]
LABELS = 2


def text_of(size: int, rng: np.random.Generator) -> list[str]:
    """Documents of sentences of words with Zipf frequencies, capitals, punctuation, digits and a few accents."""
    lengths = np.clip(rng.poisson(1.2, 50_000) + 1 + (np.arange(50_000) > 200), 1, 6)
    words = list(dict.fromkeys("".join(rng.choice(SYLLABLES, k)) for k in lengths))
    words = [word.replace("e", "é", 1) if k % 70 == 69 else word for k, word in enumerate(words)]
    share = 1 / np.arange(1, len(words) + 1) ** 1.05
    drawn = rng.choice(len(words), size // 5, p=share / share.sum())
    after = rng.choice(
        [" ", ", ", ". ", "-", "'s ", "; ", " 42 ", "! #"],
        len(drawn),
        p=[0.8, 0.06, 0.07, 0.02, 0.02, 0.01, 0.01, 0.01],
    )
    documents, at, total = [], 0, 0
    while total < size:
        count = int(rng.integers(20, 180))
        parts = [words[k] + gap for k, gap in zip(drawn[at : at + count], after[at : at + count], strict=True)]
        if not parts:
            at = 0
            continue
        parts[0] = parts[0].title()
        documents.append("".join(parts).strip())
        total += len(documents[-1].encode())
        at += count
    return documents


def terms_of(documents: list[str], rng: np.random.Generator) -> list[str]:
    """2,500 words and 500 pairs that stand side by side, of all frequencies but the 50 commonest words."""
    words, pairs = Counter[str](), Counter[tuple[str, str]]()
    for document in documents[:5000]:
        plain = document.lower().split(" ")
        words.update(word for word in plain if word.isalnum())
        pairs.update((a, b) for a, b in pairwise(plain) if a.isalnum() and b.isalnum())
    common = [word for word, _ in words.most_common()]
    stop = set(common[:50])
    pair = [f"{a} {b}" for (a, b), _ in pairs.most_common(100_000) if a not in stop and b not in stop]
    return [
        *rng.choice(common[50:6000], 2500, replace=False).tolist(),
        *rng.choice(pair[:3000], 500, replace=False).tolist(),
    ]


def evenset_counts(table: pa.Table, axis: Axis) -> npt.NDArray[np.int64]:
    """Documents by term and label, by the pass that `evenset audit` makes."""
    forms = len(axis.lexicons()[0].forms)
    counts = np.zeros(forms * LABELS, np.int64)
    for scanned in scan(Dataset.of(table, text="text", label="label"), [axis]):
        found = scanned.matches["terms"]
        pairs = distinct(found.row * forms + found.form)
        label = scanned.batch.label.dictionary_encode()
        value = np.array([int(name) for name in label.dictionary.to_pylist()])[label.indices.to_numpy()]
        counts += np.bincount(value[pairs // forms] * forms + pairs % forms, minlength=forms * LABELS)
    return counts.reshape(LABELS, forms)


def spacy_counts(documents: list[str], labels: npt.NDArray[np.int64], terms: list[str]) -> npt.NDArray[np.int64]:
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


def sklearn_counts(documents: list[str], labels: npt.NDArray[np.int64], terms: list[str]) -> npt.NDArray[np.int64]:
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(vocabulary=terms, ngram_range=(1, 2), binary=True, token_pattern=r"[^\W_]+")
    found = vectorizer.transform(documents)
    return np.stack([np.asarray(found[labels == label].sum(axis=0))[0] for label in range(LABELS)]).astype(np.int64)


def obvious_counts(documents: list[str], labels: npt.NDArray[np.int64], terms: list[str]) -> npt.NDArray[np.int64]:
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
    parser.add_argument("--mb", type=float, default=64, help="megabytes of text for evenset")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    documents = text_of(int(given.mb * 1e6), rng)
    labels = rng.integers(0, LABELS, len(documents))
    terms = terms_of(documents, rng)
    assert len(set(terms)) == 3000
    groups = tuple(Group("terms", f"group {k}") for k in range(8))
    forms = tuple(Form(term, k % 8, str(k), ambiguous=False) for k, term in enumerate(terms))
    axis = Axis("terms", "lexicon", lexicon=Lexicon("terms", "1", "en", "-", "-", groups, forms, ""))

    def sliced(megabytes: float) -> int:
        sizes = np.cumsum([len(document.encode()) for document in documents])
        return int(np.searchsorted(sizes, min(megabytes, given.mb) * 1e6)) or 1

    def table(rows: int) -> pa.Table:
        return pa.table({"text": pa.array(documents[:rows], pa.large_string()), "label": labels[:rows]})

    whole = table(len(documents))
    sizes = {"evenset": len(documents), "CountVectorizer": sliced(8), "PhraseMatcher": sliced(2)}
    ways: dict[str, Callable[[], npt.NDArray[np.int64]]] = {
        "evenset": lambda: evenset_counts(whole, axis),
        "CountVectorizer": lambda: sklearn_counts(
            documents[: sizes["CountVectorizer"]], labels[: sizes["CountVectorizer"]], terms
        ),
        "PhraseMatcher": lambda: spacy_counts(
            documents[: sizes["PhraseMatcher"]], labels[: sizes["PhraseMatcher"]], terms
        ),
    }
    best = dict.fromkeys(ways, float("inf"))
    work = dict.fromkeys(ways, float("inf"))
    counts: dict[str, npt.NDArray[np.int64]] = {}
    for _ in range(given.rounds):
        for name, way in ways.items():
            begun, worked = time.perf_counter(), time.process_time()
            counts[name] = way()
            best[name] = min(best[name], time.perf_counter() - begun)
            work[name] = min(work[name], time.process_time() - worked)

    rows = sliced(1)
    truth = obvious_counts(documents[:rows], labels[:rows], terms)
    assert np.array_equal(evenset_counts(table(rows), axis), truth), "evenset's counts are wrong"
    for name in ("CountVectorizer", "PhraseMatcher"):
        part = evenset_counts(table(sizes[name]), axis)
        assert 0.8 < counts[name].sum() / part.sum() < 1.3, f"{name} was not given the same work"

    print(f"{len(documents):,} documents, {given.mb:g} MB, {len(terms):,} terms; best of {given.rounds} rounds")
    size = {name: sum(len(document.encode()) for document in documents[: sizes[name]]) / 1e6 for name in ways}
    speed = {name: size[name] / best[name] for name in ways}
    effort = {name: size[name] / work[name] for name in ways}
    print(f"{'':16}{'MB':>8}{'seconds':>10}{'MB/s':>9}{'evenset / it':>14}{'MB/CPU s':>11}{'evenset / it':>14}")
    for name in ways:
        ratios = speed["evenset"] / speed[name], effort["evenset"] / effort[name]
        print(
            f"{name:16}{size[name]:8.1f}{best[name]:10.2f}{speed[name]:9.1f}{ratios[0]:14.1f}"
            f"{effort[name]:11.1f}{ratios[1]:14.1f}"
        )
    print(f"evenset's counts equal a slow count of {rows:,} documents ({truth.sum():,} hits)")


if __name__ == "__main__":
    main()
