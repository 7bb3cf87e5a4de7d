"""Rows held against their ledger: none is wrong as written, and every planted change is counted."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import evenset.data
from evenset.curate import run
from evenset.curate.book.matching import matched
from evenset.data.config import Plan, parse
from evenset.data.errors import InputError


def plan(*steps: dict[str, object]) -> Plan:
    return parse({"plan": {"p": {"step": list(steps)}}}).plan["p"]


SCRUB = {"do": "scrub", "axis": "pronouns", "with": "drop"}
AUGMENT = {"do": "swap", "axis": "pronouns", "mode": "augment"}
UNDER = {"do": "resample", "axis": "pronouns", "target": "independent"}
WEIGH = {"do": "reweight", "axis": "pronouns"}
PLANS = {
    "edits": plan(SCRUB),
    "copies": plan(AUGMENT),
    "drops": plan(SCRUB, UNDER),
    "weights": plan(SCRUB, WEIGH),
    "everything": plan(SCRUB, AUGMENT, UNDER, WEIGH),
}


def frame(rows: int = 60) -> pd.DataFrame:
    words = ["She told him so.", "he ran", "nothing here", "her dog", "He, she and they"]
    # Equal rows come often, so that keys need their numbers also after drops.
    return pd.DataFrame({
        "text": [f"{words[k % 5]} {k // 5 % 3}" for k in range(rows)],
        "label": ["a" if k % 3 else "b" for k in range(rows)],
        "other": range(rows),
    })


def write(path: Path, rows: pd.DataFrame, *, compression: str = "snappy") -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), path, compression=compression)
    elif path.suffix == ".csv":
        rows.to_csv(path, index=False)
    else:
        path.write_text("".join(json.dumps({k: v for k, v in row.items() if v == v}) + "\n" for row in rows.to_dict("records")))
    return path


def read(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, keep_default_na=False) if path.suffix == ".csv" else pd.read_json(path, lines=True)


def curated(folder: Path, name: str, suffix: str = ".csv") -> tuple[Path, Path, Path]:
    source = write(folder / f"in{suffix}", frame())
    out = folder / "out"
    run(evenset.data.open(source, text="text", label="label"), PLANS[name], out=out)
    return source, out / f"data{suffix}", out / "ledger.parquet"


@pytest.mark.parametrize(
    ("name", "suffix"),
    [*((name, ".csv") for name in PLANS), ("weights", ".jsonl"), ("copies", ".jsonl"), ("everything", ".parquet")],
)
def test_rows_as_curation_wrote_them_match(name: str, suffix: str, tmp_path: Path) -> None:
    source, rows, ledger = curated(tmp_path, name, suffix)
    whole = matched(rows, ledger)
    assert (whole.count, whole.unsaid, whole.same) == (0, 0, True)
    n = len(read(rows))
    assert len(whole.wrong) == n
    # Written anew by another program: the bytes are others, the rows are not.
    again = write(tmp_path / f"again{suffix}", read(rows), compression="zstd")
    if again.read_bytes() == rows.read_bytes():
        again.write_bytes(again.read_bytes() + b"\n")
    told = matched(again, ledger)
    assert (told.count, told.lacking) == (0, 0)
    assert told.finding().low == 0 and told.finding().high == told.unsaid
    copies = 0 if "evenset_parent" not in read(rows) else int((read(rows)["evenset_parent"].fillna("") != "").sum())
    assert matched(again, ledger, original=source).unsaid == copies
    assert matched(read(rows), ledger, original=source).count == 0


@pytest.mark.parametrize("name", PLANS)
def test_every_planted_change_is_counted_and_no_other(name: str, tmp_path: Path) -> None:
    source, rows, ledger = curated(tmp_path, name)
    own = read(rows)
    draw = np.random.default_rng(7)
    mine = own.index if "evenset_parent" not in own else own.index[own["evenset_parent"] == ""]
    for size in (1, 7):
        changed = own.copy()
        chosen = draw.choice(mine, size, replace=False)
        changed.loc[chosen, "text"] = changed.loc[chosen, "text"] + " and more"
        found = matched(changed, ledger, original=source)
        assert sorted(np.flatnonzero(found.wrong)) == sorted(chosen)
        assert found.count == size
        # Without the original it may miss rows that the ledger does not name, and then says how many it cannot tell.
        blind = matched(changed, ledger)
        assert set(np.flatnonzero(blind.wrong)) <= set(chosen)
        assert blind.count <= size <= blind.count + blind.unsaid


def test_a_changed_weight_is_counted(tmp_path: Path) -> None:
    _, rows, ledger = curated(tmp_path, "weights")
    changed = read(rows).astype({"weight": "float64"})
    changed.loc[[2, 9], "weight"] = [99.0, np.nan]
    assert np.flatnonzero(matched(changed, ledger).wrong).tolist() == [2, 9]


def test_rows_that_are_missing_or_too_many_are_counted(tmp_path: Path) -> None:
    source, rows, ledger = curated(tmp_path, "edits")
    own = read(rows)
    assert matched(own.iloc[:-4], ledger, original=source).count == 4
    more = matched(pd.concat([own, own.iloc[:3]]), ledger, original=source)
    assert np.flatnonzero(more.wrong).tolist() == [60, 61, 62]


def test_a_copy_that_nobody_made_is_counted(tmp_path: Path) -> None:
    _, rows, ledger = curated(tmp_path, "copies")
    own = read(rows)
    copies = own[own["evenset_parent"] != ""]
    assert len(copies)
    twice = pd.concat([own, copies.iloc[[0]]])
    found = matched(twice, ledger)
    assert np.flatnonzero(found.wrong).tolist() == [len(own)]


def test_what_cannot_be_held_against_a_ledger_is_refused(tmp_path: Path) -> None:
    _, rows, ledger = curated(tmp_path, "everything")
    with pytest.raises(InputError, match='held against "ledger.parquet".*"weight"'):
        matched(read(rows).drop(columns="weight"), ledger)
    with pytest.raises(InputError, match="there is no ledger"):
        matched(rows, tmp_path / "none.parquet")
    other = tmp_path / "other.csv"
    with other.open("w", newline="") as handle:
        csv.writer(handle).writerows([("text", "label"), ("a", "a"), ("b", "b")])
    with pytest.raises(InputError, match="is not the data"):
        matched(read(rows), ledger, original=other)


def test_conversations_are_told_by_their_edits(tmp_path: Path) -> None:
    lines = [
        {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": f"She said {k}."}], "label": k % 2}
        for k in range(20)
    ]
    source = tmp_path / "talk.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run(evenset.data.open(source, format="chat", label="label"), PLANS["edits"], out=tmp_path / "out")
    rows, ledger = tmp_path / "out" / "data.jsonl", tmp_path / "out" / "ledger.parquet"
    assert matched(rows, ledger).finding().high == 0
    kept = rows.read_text().splitlines()
    kept[4] = source.read_text().splitlines()[4].replace("She", "Xe")
    changed = tmp_path / "changed.jsonl"
    changed.write_text("\n".join(kept) + "\n")
    found = matched(changed, ledger)
    # A dropped word leaves nothing to find, so only where something stands in its place is it told.
    assert found.count + found.unsaid == 20
    with pytest.raises(InputError, match="as files"):
        matched(pd.DataFrame(lines), ledger)
