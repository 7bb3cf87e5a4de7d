"""Made-up English-looking text, and terms to look for in it: what all benchmarks read."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np

from evenset.data.axes import Axis
from evenset.data.lexicon import Form, Group, Lexicon

SYLLABLES = [consonant + vowel for consonant in "bcdfghklmnprstvz" for vowel in "aeiou"]
LABELS = 28
FORMS = ("csv", "jsonl", "parquet")


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


def axis_of(terms: list[str], groups: int = 8) -> Axis:
    """An axis of the terms in some groups."""
    made = tuple(Group("terms", f"group {k}") for k in range(groups))
    forms = tuple(Form(term, k % groups, str(k), ambiguous=False) for k, term in enumerate(terms))
    return Axis("terms", "lexicon", lexicon=Lexicon("terms", "1", "en", "-", "-", made, forms, ""))


def write(path: Path, documents: list[str], labels: list[str], size: int) -> None:
    """Write documents again and again up to about `size` bytes; parquet as one row group, the worst case."""
    import csv
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    rounds = max(1, round(size / sum(len(document.encode()) for document in documents)))
    if path.suffix == ".parquet":
        table = pa.table({"text": pa.array(documents, pa.large_string()), "label": labels})
        with pq.ParquetWriter(path, table.schema, use_dictionary=["label"], compression="snappy") as writer:
            whole = pa.concat_tables([table] * rounds)
            writer.write_table(whole, row_group_size=whole.num_rows)
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            file.write("text,label\r\n")
        for _ in range(rounds):
            if path.suffix == ".csv":
                csv.writer(file).writerows(zip(documents, labels, strict=True))
            else:
                file.writelines(
                    json.dumps({"text": text, "label": label}, ensure_ascii=False) + "\n"
                    for text, label in zip(documents, labels, strict=True)
                )
