"""How time and memory grow with the data: a count of 10 MB to 5 GB in CSV, JSONL and parquet.

    python benchmarks/scaling.py [--mb 10 100 1000 5000] [--forms csv jsonl parquet] [--words] [--ids] [--folder DIR]

Each count runs in a process of its own: 3,000 terms × 28 labels, kept part by part as `evenset audit --out` does.
Parquet is one row group, the worst case. Prints wall time, CPU time, memory before the count and at its peak (VmHWM of
/proc), and the straight line through CPU time, which a busy machine disturbs less than wall time. Files are removed.
"""

from __future__ import annotations

import argparse
import json
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from corpus import FORMS, LABELS, terms_of, text_of, write

CHILD = """
import json, pickle, sys, time
from pathlib import Path
from corpus import axis_of
from evenset.audit.engine import clear, counting
from evenset.data import open as open_data
path, terms, out, words, ids = sys.argv[1:]
data = open_data(path, text="text", label="label", id="id" if ids == "1" else None)
axes = [axis_of(pickle.loads(Path(terms).read_bytes()))]
def peak():  # getrusage also counts what the parent had
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
start = peak()
begun, worked = time.perf_counter(), time.process_time()
found = counting(data, axes, words=words == "1", state=Path(out))
wall, cpu = time.perf_counter() - begun, time.process_time() - worked
clear(Path(out))
print(json.dumps({"wall": wall, "cpu": cpu, "peak": peak(), "start": start, "rows": found.tally.rows,
    "parts": found.parts, "tokens": found.tally.tokens, "numba": "numba" in sys.modules}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=float, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    parser.add_argument("--words", action="store_true", help="count the open vocabulary too")
    parser.add_argument("--ids", action="store_true", help="with a column of ids, which must be unique")
    parser.add_argument(
        "--folder", type=Path, help="where the files are made; by default the system's temporary folder"
    )
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    documents = text_of(int(min(64, min(given.mb)) * 1e6) if max(given.mb) < 64 else 64_000_000, rng)
    labels = [f"label {k}" for k in rng.integers(0, LABELS, len(documents))]
    headings = ("MB", "rows", "parts", "wall s", "MB/s", "CPU s", "MB/CPU s", "before", "peak MB")
    widths = (8, 12, 6, 9, 7, 9, 9, 8, 9)
    print(f"{'form':8}" + "".join(f"{head:>{width}}" for head, width in zip(headings, widths, strict=True)) + "  numba")
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        terms = Path(folder) / "terms.pickle"
        terms.write_bytes(pickle.dumps(terms_of(documents, rng)))
        for form in given.forms:
            sizes, cpu = [], []
            for mb in given.mb:
                path = Path(folder) / f"rows.{form}"
                few = documents[: max(1, int(len(documents) * mb / 64))] if mb < 64 else documents
                write(path, few, labels[: len(few)], int(mb * 1e6))
                if given.ids:
                    with_ids(path)
                text = mb if form == "parquet" else path.stat().st_size / 1e6
                out = Path(folder) / "out"
                done = subprocess.run(
                    [sys.executable, "-c", CHILD, path, terms, out, str(int(given.words)), str(int(given.ids))],
                    check=True,
                    capture_output=True,
                    text=True,
                    cwd=Path(__file__).parent,
                )
                path.unlink()
                found = json.loads(done.stdout)
                sizes.append(text)
                cpu.append(found["cpu"])
                print(
                    f"{form:8}{text:8.0f}{found['rows']:12,}{found['parts']:6}{found['wall']:9.1f}"
                    f"{text / found['wall']:7.1f}{found['cpu']:9.1f}{text / found['cpu']:9.1f}{found['start']:8.0f}"
                    f"{found['peak']:9.0f}  {found['numba']}",
                    flush=True,
                )
            if len(sizes) > 2:
                slope, offset = np.polyfit(sizes, cpu, 1)
                off = max(
                    abs(slope * size + offset - seconds) / seconds
                    for size, seconds in zip(sizes, cpu, strict=True)
                    if size >= 100
                )
                print(
                    f"{form}: CPU s = {offset:.2f} + {1000 * slope:.2f} a GB; from 100 MB on the largest deviation is "
                    f"{100 * off:.0f} %"
                )


def with_ids(path: Path) -> None:
    """Give a CSV a column of unique ids."""
    import pyarrow as pa
    import pyarrow.csv as pacsv

    if path.suffix != ".csv":
        raise SystemExit("--ids: only with --forms csv")
    new = path.with_suffix(".new")
    first = 0
    with (
        pacsv.open_csv(path, parse_options=pacsv.ParseOptions(newlines_in_values=True)) as rows,
        new.open("wb") as file,
    ):
        for batch in rows:
            ids = pa.array([f"row {k}" for k in range(first, first + batch.num_rows)])
            table = pa.Table.from_batches([batch]).append_column("id", ids)
            pacsv.write_csv(table, file, pacsv.WriteOptions(include_header=first == 0))
            first += batch.num_rows
    new.replace(path)


if __name__ == "__main__":
    main()
