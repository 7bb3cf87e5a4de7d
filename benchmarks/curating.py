"""How fast rows are scrubbed, swapped, reweighted and resampled, and in how much memory, beside simpler ways.

    python benchmarks/curating.py [--mb 256] [--rows long short] [--forms csv jsonl parquet] [--steps scrub ...]
                                  [--rounds 2] [--workers N] [--folder DIR]

Made-up English-looking text of about 650 bytes a row (long) or 150 (short); three rows in five hold words of the
lexicons. Each run is a process of its own: the rows read, changed and written with the ledger, whose before and after
are not audited here. Memory is the sum over the process and its workers, looked at every 50 ms. Beside them, in the
same run and on the same rows in memory: pandas, a `str.replace` of the same words (which writes nothing and keeps no
ledger), and Arrow's `replace_substring_regex`, the ceiling. Rounds alternate; the best of each is given. Files are
removed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from corpus import FORMS, text_of, write

STEPS: dict[str, dict[str, object]] = {
    "scrub": {"do": "scrub", "axis": "identity"},
    "swap": {"do": "swap", "axis": "pronouns"},
    "reweight": {"do": "reweight", "axis": "identity"},
    "resample": {"do": "resample", "axis": "pronouns", "target": "independent"},
}
WORDS = ("she", "he", "her", "his", "gay", "muslim", "women", "black")

CHILD = """
import json, resource, sys, time
import evenset.data
from evenset.curate import run
from evenset.data.config import parse
path, out, step, workers = sys.argv[1:]
plan = parse({"plan": {"p": {"step": [json.loads(step)]}}}).plan["p"]
begun = time.perf_counter()
data = evenset.data.open(path, text="text", label="label")
report = run(data, plan, out=out, audited=False, workers=int(workers) or None).report
wall = time.perf_counter() - begun
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
cpu = sum(one.ru_utime + one.ru_stime for one in used)
print(json.dumps({"wall": wall, "cpu": cpu, "rows": report["input"]["rows"], "edits": report["counts"]["edits"]}))
"""


def planted(size: int, rng: np.random.Generator, *, short: bool) -> list[str]:
    """Text with words of the lexicons in three rows of five."""
    documents = text_of(size, rng)
    if short:
        documents = [text[low : low + 150] for text in documents for low in range(0, len(text), 150)]
    made = []
    for text in documents:
        words = text.split(" ")
        if rng.random() < 0.6:
            for place in rng.integers(0, len(words), max(1, len(words) // 25)).tolist():
                words[place] = WORDS[int(rng.integers(0, len(WORDS)))]
        made.append(" ".join(words))
    return made


def tree(root: int) -> int:
    """Memory of a process and its descendants, in MB."""
    children: dict[int, list[int]] = {}
    resident: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:  # it has ended
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.name))
        resident[int(entry.name)] = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    total, waiting = 0, [root]
    while waiting:
        one = waiting.pop()
        total += resident.get(one, 0)
        waiting += children.get(one, [])
    return total // 1_000_000


def measured(path: Path, out: Path, step: str, workers: int) -> dict[str, Any]:
    """One run of evenset."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, path, out, json.dumps(STEPS[step]), str(workers)],
        stdout=subprocess.PIPE,
        text=True,
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, tree(process.pid))
        time.sleep(0.05)
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(process.stdout.read())
    subprocess.run(["rm", "-r", str(out)], check=True)
    return found | {"peak": peak}


def beside(texts: list[str]) -> dict[str, float]:
    """Seconds that simpler ways of replacing the words of the scrub take."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    from evenset.data.lexicon import load

    forms = sorted({form.text for form in load("identity").forms}, key=len, reverse=True)
    words = "|".join(re.escape(form) for form in forms)
    frame, arrow = pd.Series(texts), pa.array(texts, pa.large_string())
    compiled = re.compile(rf"\b(?:{words})\b", re.IGNORECASE)
    ways = {
        "pandas, a loop": lambda: [compiled.sub("_", text) for text in frame],
        "pandas str.replace": lambda: frame.str.replace(compiled, "_", regex=True),
        "Arrow regex": lambda: pc.replace_substring_regex(arrow, rf"(?i)\b(?:{words})\b", "_"),
    }
    seconds = {}
    for name, way in ways.items():
        begun = time.perf_counter()
        way()
        seconds[name] = time.perf_counter() - begun
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=float, default=256)
    parser.add_argument("--rows", nargs="+", choices=("long", "short"), default=["long", "short"])
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=["csv", "parquet"])
    parser.add_argument("--steps", nargs="+", choices=tuple(STEPS), default=list(STEPS))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=0, help="processes; by default one a core")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    print(f"{given.mb:g} MB, best of {given.rounds}; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    heads = ("s", "CPU s", "MB/s", "rows/s", "peak MB")
    for kind in given.rows:
        texts = planted(int(min(given.mb, 16) * 1e6), rng, short=kind == "short")
        labels = [str(label) for label in rng.integers(0, 2, len(texts))]
        size = sum(len(text.encode()) for text in texts) / 1e6
        print(f"\n{kind + ' rows':20}" + "".join(f"{head:>11}" for head in heads) + f"{'evenset /':>11}")
        others: dict[str, float] = {}
        speed = 0.0
        for form in given.forms:
            with tempfile.TemporaryDirectory(dir=given.folder) as folder:
                path = Path(folder) / f"rows.{form}"
                write(path, texts, labels, int(given.mb * 1e6))
                for step in given.steps:
                    runs = []
                    for _ in range(given.rounds):
                        runs.append(measured(path, Path(folder) / "out", step, given.workers))
                        if step == "scrub":
                            for name, seconds in beside(texts).items():
                                others[name] = min(seconds, others.get(name, seconds))
                    best = min(runs, key=lambda run: float(run["wall"]))
                    rate = given.mb / best["wall"]
                    speed = max(speed, rate if step == "scrub" else 0)
                    peak = max(run["peak"] for run in runs)
                    print(
                        f"{step + ', ' + form:20}{best['wall']:11.1f}{best['cpu']:11.1f}{rate:11.1f}"
                        f"{best['rows'] / best['wall']:11,.0f}{peak:11,}",
                        flush=True,
                    )
        for name, seconds in others.items():
            rate = size / seconds
            print(
                f"{name:20}{seconds:11.1f}{'':11}{rate:11.1f}{len(texts) / seconds:11,.0f}{'':11}{speed / rate:11.2f}"
            )


if __name__ == "__main__":
    main()
