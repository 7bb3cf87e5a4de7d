"""Data curated in parts: the same bytes however it is cut and whoever works; killed, it goes on; full disk, nothing."""

import csv
import errno
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evenset.data
from evenset.curate import restore, run, spilling
from evenset.curate.prepare import prepare
from evenset.curate.units import draw
from evenset.curate.writing import parted, pieces
from evenset.curate.writing.numbering import _occurrences
from evenset.curate.writing.skim import Skim, for_axes, grouped
from evenset.curate.writing.workers import Engine
from evenset.data.axes import parse_axes
from evenset.data.config import Plan, parse
from evenset.data.errors import InputError
from evenset.data.hashing import Seen, mix
from evenset.data.scan import Scanner


def plan(*steps: dict[str, object]) -> Plan:
    return parse({"plan": {"p": {"step": list(steps)}}}).plan["p"]


SCRUB = {"do": "scrub", "axis": "pronouns", "groups": ["she"]}
PLANS = {
    "scrub": plan(SCRUB),
    "random": plan({"do": "swap", "axis": "identity", "to": "random"}),
    "augment": plan({"do": "swap", "axis": "identity", "mode": "augment", "to": "random"}),
    "all": plan(
        SCRUB,
        {"do": "swap", "axis": "pronouns", "mode": "augment"},
        {"do": "resample", "axis": "pronouns", "level": 1.0, "method": "over"},
        {"do": "reweight", "axis": "identity"},
    ),
}


def rows(n: int = 400) -> list[dict[str, object]]:
    who, whom = ("She", "He", "It", "É. She"), ("a gay", "an asian", 'a "quoted",', "a\nbroken")
    made: list[dict[str, object]] = [
        {"text": f"{who[k * 7 % 4]} met {whom[k * 5 % 4]} man, {k % 90}", "label": str(k * 3 % 7 % 2), "n": k}
        for k in range(n)
    ]
    return made + [dict(row) for row in made[: n // 4]]  # equal rows, which are told apart by number only


def write(folder: Path, form: str) -> str:
    folder.mkdir()
    if form == "csv":
        with (folder / "in.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label", "n"])
            writer.writerows([row.values() for row in rows()])
    elif form == "jsonl":
        (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()))
    elif form == "gz":
        for part in range(3):
            with gzip.open(folder / f"in{part}.jsonl.gz", "wt") as file:
                file.write("".join(json.dumps(row) + "\n" for row in rows()[part::3]))
        return str(folder / "*.gz")
    else:
        pq.write_table(pa.Table.from_pylist(rows()), folder / "in.parquet", row_group_size=37)
    return str(next(folder.iterdir()))


def opened(path: str) -> evenset.data.Dataset:
    return evenset.data.open(path, text="text", label="label")


def content(out: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    assert not any(name.startswith(".evenset") for name in found)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "jsonl", "gz", "parquet"])
@pytest.mark.parametrize("name", PLANS)
def test_the_cut_never_matters(form: str, name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "in", form)
    for placebo in (False, True):
        made = []
        for part_bytes in (None, 1 << 30, 5_000):
            out = tmp_path / f"out-{placebo}-{part_bytes}"
            run(opened(path), PLANS[name], seed=2, placebo=placebo, out=out, part_bytes=part_bytes, workers=1)
            made.append(content(out))
        assert made[0] == made[1] == made[2]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_processes_write_what_one_does(form: str, tmp_path: Path) -> None:
    path = write(tmp_path / "in", form)
    made = []
    for workers in (1, 2):
        run(opened(path), PLANS["all"], out=tmp_path / str(workers), part_bytes=9_000, workers=workers, audited=False)
        made.append(content(tmp_path / str(workers)))
    assert made[0] == made[1]
    back = restore(tmp_path / "2" / f"data.{form}", tmp_path / "2" / "ledger.parquet", out=tmp_path / "back")
    if form == "csv":
        assert back.read_bytes() == Path(path).read_bytes()


@pytest.mark.slow
def test_dask_writes_what_one_process_does(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    path = write(tmp_path / "in", "csv")
    made = []
    for engine in ("local", "dask"):
        out = tmp_path / engine
        run(opened(path), PLANS["all"], out=out, part_bytes=9_000, engine=engine, workers=1, audited=False)
        made.append(content(out))
    assert made[0] == made[1]


def test_what_cannot_be_cut_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--engine dask cuts files"):
        run(evenset.data.open(rows()), PLANS["scrub"], out=tmp_path / "out", engine="dask")
    with pytest.raises(InputError, match="none of local, dask"):
        Engine.parse("spark")
    with pytest.raises(InputError, match="at least 1"):
        Engine.parse("local", 0)


def test_errors_name_the_row_among_all(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    lines = [json.dumps(row) for row in rows()]
    path.write_text("\n".join(lines))
    data = evenset.data.open(path, text="text", label="label")
    path.write_text("\n".join([*lines[:300], "{broken", *lines[301:]]))
    for name in ("scrub", "all"):
        with pytest.raises(InputError, match="line 301"):
            run(data, PLANS[name], out=tmp_path / "out", part_bytes=3_000, workers=1)
        assert not (tmp_path / "out").exists()
    pq.write_table(pa.Table.from_pylist(rows()), tmp_path / "in.parquet", row_group_size=50)
    twice = evenset.data.open(tmp_path / "in.parquet", text="text", label="label", id="n")
    with pytest.raises(InputError, match="comes again in row 401"):
        run(twice, PLANS["scrub"], out=tmp_path / "out", part_bytes=1_000, workers=1)


KILLED = """
import sys, evenset.data
from evenset.curate import run
from evenset.curate.writing import pieces
from evenset.data.config import parse
import json
path, out, plan, slow = sys.argv[1:]
write = pieces._write
def slowly(work, part, folder):
    if part.number == int(slow):
        print("here", flush=True)
        import time; time.sleep(60)
    return write(work, part, folder)
pieces._write = slowly
run(evenset.data.open(path, text="text", label="label"), parse(json.loads(plan)).plan["p"], seed=2, out=out,
    part_bytes=5_000, workers=1, audited=False)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_it_goes_on(how: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "in", "csv")
    out = tmp_path / "out"
    said = json.dumps({"plan": {"p": {"step": [step.model_dump(by_alias=True) for step in PLANS["all"].step]}}})
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, path, str(out), said, "4"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    process.send_signal(how)
    process.wait(timeout=30)
    process.stdout.close()
    assert sorted(entry.name for entry in out.iterdir() if not entry.name.startswith(".evenset")) == []
    done = sorted(path.name for path in (out / parted.STAGE / "pieces").iterdir() if not path.name.startswith("."))
    assert done == ["00001", "00002", "00003"]
    begun = []
    write_part = pieces._write
    monkeypatch.setattr(
        pieces, "_write", lambda work, part, folder: begun.append(part.number) or write_part(work, part, folder)
    )
    options = {"seed": 2, "part_bytes": 5_000, "workers": 1, "audited": False}
    plan_again = parse(json.loads(said)).plan["p"]
    run(opened(path), plan_again, out=out, **options)
    assert begun[0] == 4
    run(opened(path), plan_again, out=tmp_path / "straight", **options)
    assert content(out) == content(tmp_path / "straight")


def test_another_command_begins_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "in", "csv")
    out = tmp_path / "out"

    def stopped() -> None:
        with parted.stage_of(out, {"seed": 1}) as stage:
            found.append((stage / "kept").exists())
            (stage / "kept").touch()
            raise KeyboardInterrupt

    found: list[bool] = []
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            stopped()
    assert found == [False, True]
    with parted.stage_of(out, {"seed": 2}) as stage:
        assert not (stage / "kept").exists()
    assert not out.exists()
    data = opened(path)
    first = parted.fingerprint(data, seed=1)
    time.sleep(0.01)
    os.utime(path)
    assert parted.fingerprint(data, seed=1) != first


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "in", "parquet")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pieces.PieceWriter, "write", full)
    with pytest.raises(InputError, match="the disk is full"):
        run(opened(path), PLANS["scrub"], out=tmp_path / "out", part_bytes=5_000, workers=1)
    assert not (tmp_path / "out").exists()


@settings(max_examples=30)
@given(st.lists(st.integers(0, 6), max_size=40), st.integers(1, 9))
def test_numbers_of_equal_rows_are_those_of_one_pass(values: list[int], size: int) -> None:
    hashes = np.array(values, np.uint64)
    seen = Seen()
    expected = [int(n) for low in range(0, len(hashes), size) for n in seen.occurrences(hashes[low : low + size])]
    found, counts = np.unique(hashes, return_counts=True)
    again = found[counts > 1]
    met = np.zeros(len(again), np.int64)
    parts = [_occurrences(hashes[low : low + size], again, met) for low in range(0, len(hashes), size)]
    assert [int(n) for part in parts for n in part] == expected


WORDS = st.sampled_from(
    ["she", "SHE", "He", "sheet", "her", "gay", "African-American", "african", "ſhe", "ſ", "é", "x"]
)


@pytest.mark.slow
@given(
    st.lists(st.lists(st.tuples(WORDS, st.sampled_from([" ", "-", "_", "'", ".", "", "9"])), max_size=5), max_size=8)
)
def test_a_row_that_is_skimmed_over_holds_no_word(found: list[list[tuple[str, str]]]) -> None:
    texts = pa.array(["".join(word + gap for word, gap in row) for row in found] + ["plain"] * 9, pa.large_string())
    data = evenset.data.Dataset.of(pa.table({"text": texts, "label": ["a"] * len(texts)}), text="text", label="label")
    axes = parse_axes(["pronouns", "identity"], names=data.names)
    skim, scanner = for_axes(axes), Scanner(axes)
    assert skim is not None
    (batch,) = data.batches()
    slow, fast = scanner.scan(batch), grouped(scanner, skim, batch)
    for name, members in slow.members.items():
        assert fast.members[name].sets() == members.sets()
    assert fast.bucket.tolist() == slow.bucket.tolist()


def test_a_skim_is_not_made_of_columns() -> None:
    data = prepare([{"text": "She", "label": "a", "who": "x"}, {"text": "He", "label": "b", "who": "y"}], [])
    assert for_axes(parse_axes(["pronouns", "column:who"], names=data.dataset.names)) is None
    assert Skim.of([]) is None


@settings(max_examples=60)
@given(st.lists(st.integers(-1, 4), min_size=1, max_size=200), st.integers(0, 3), st.integers(2, 50))
def test_a_draw_keeps_the_smallest_hashes_of_each_group(groups: list[int], factor: int, stretch: int) -> None:
    group = np.array(groups, np.int32)
    keys = np.arange(len(group), dtype=np.uint64) * np.uint64(7919)
    sizes = np.bincount(group[group >= 0], minlength=5)
    wanted = np.minimum(sizes * factor // 2 + (sizes > 0), 1000 * sizes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spilling, "_STRETCH", stretch)
        times = draw(keys, group, wanted, salt=(1, "x"))
    rank = mix(keys, salt=(1, "x"))
    assert (times[group < 0] == 1).all()
    for code in range(5):
        members = np.flatnonzero(group == code)
        if not len(members):
            continue
        whole, extra = divmod(int(wanted[code]), len(members))
        expected = np.full(len(members), whole)
        expected[np.argsort(rank[members])[:extra]] += 1
        assert times[members].tolist() == expected.tolist()


@pytest.mark.parametrize("masked", [False, True])
def test_columns_in_files_and_constants_are_taken_as_arrays_are(
    masked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spilling, "_STRETCH", 7)
    plain = np.arange(50, dtype=np.int64) ** 2
    held = spilling.spilled(tmp_path / "a.bin", 50, np.int64)
    held[:] = plain
    spilling.forget(held)
    which = np.arange(50) % 3 > 0 if masked else np.sort(np.arange(60) * 7 % 50)
    assert np.array_equal(spilling.taken(held, which), plain[which])
    assert isinstance(spilling.taken(held, which), np.memmap)
    fixed = spilling.taken(spilling.constant(np.int32(4), 50), which)
    assert spilling.is_constant(fixed)
    assert np.array_equal(fixed, np.full(len(plain[which]), 4))
    assert len(spilling.taken(held, np.zeros(50, np.bool_))) == 0
