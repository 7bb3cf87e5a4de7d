"""The ledger: its columns, what it accounts for, who may read it, and what it says of itself."""

import stat
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import evenset.data
from evenset.curate import SCHEMA, run
from evenset.curate.book.ledger import names_of, read_ledger
from evenset.data.config import Plan, parse
from evenset.data.errors import InputError

COLUMNS = [
    *("row", "position", "op", "step", "rule", "pointer", "start", "end", "before", "after"),
    *("value", "reason", "parent"),
]


def plan(*steps: dict[str, object]) -> Plan:
    return parse({"plan": {"p": {"step": list(steps)}}}).plan["p"]


def data() -> pa.Table:
    texts = [f"{('She', 'He', 'It')[number % 3]} told me {number}." for number in range(12)]
    return pa.table({"text": texts, "label": [str(int(number in (0, 3, 4, 8))) for number in range(12)]})


EVERYTHING = plan(
    {"do": "scrub", "axis": "identity"},
    {"do": "swap", "axis": "pronouns", "groups": ["she"], "mode": "augment", "to": "he"},
    {"do": "resample", "axis": "pronouns", "target": "independent"},
    {"do": "reweight", "axis": "pronouns"},
)


def test_the_schema_is_the_contract() -> None:
    assert SCHEMA.names == COLUMNS
    assert SCHEMA.field("position").type == pa.int64()
    assert SCHEMA.field("step").type == pa.int32()


def test_every_row_is_accounted_for(tmp_path: Path) -> None:
    opened = evenset.data.open(data(), text="text", label="label")
    curation = run(opened, EVERYTHING, out=tmp_path)
    entries = curation.ledger.to_pylist()
    assert curation.ledger.schema.names == COLUMNS
    kinds = {kind: [entry for entry in entries if entry["op"] == kind] for kind in ("edit", "copy", "drop", "weight")}
    out = pq.read_table(tmp_path / "data.parquet")
    assert len(kinds["weight"]) == out.num_rows
    assert out.num_rows == 12 + len(kinds["copy"]) - len(kinds["drop"])
    assert sorted(entry["value"] for entry in kinds["weight"]) == sorted(out["weight"].to_pylist())
    assert len(kinds["copy"]) == sum(parent is not None for parent in out["evenset_parent"].to_pylist())
    report = curation.report["counts"]
    assert [report[name] for name in ("edits", "copies", "drops", "weights")] == [
        len(found) for found in kinds.values()
    ]
    for entry in kinds["edit"]:
        # Edits of copies: the words of the parent's raw text.
        raw = data()["text"][entry["position"]].as_py().encode()
        assert raw[entry["start"] : entry["end"]].decode() == entry["before"]
        assert (entry["rule"], entry["step"], entry["reason"]) == ("swap.v2", 2, "she")
        assert entry["parent"] is not None
    assert {entry["rule"] for entry in kinds["drop"]} == {"resample.v1"}
    assert all(entry["step"] == 3 for entry in kinds["drop"])


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    opened = evenset.data.open(data(), text="text", label="label")
    curation = run(opened, plan({"do": "scrub", "axis": "pronouns"}), out=tmp_path / "a")
    assert stat.S_IMODE((tmp_path / "a" / "ledger.parquet").stat().st_mode) == 0o600
    curation.save(tmp_path / "b")
    assert stat.S_IMODE((tmp_path / "b" / "ledger.parquet").stat().st_mode) == 0o600


def test_its_metadata_say_what_it_is_of(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("text,label\n" + "".join(f"{a},{b}\n" for a, b in zip(*data().to_pydict().values(), strict=True)))
    opened = evenset.data.open(path)
    run(opened, EVERYTHING, seed=7, out=tmp_path / "out")
    book = read_ledger(tmp_path / "out" / "ledger.parquet")
    about = book.about
    assert about["schema"] == "evenset.ledger/2"
    assert about["input"]["sha256"] == opened.sha256()
    assert about["output"]["sha256"] == evenset.data.open(tmp_path / "out" / "data.csv").sha256()
    assert (about["seed"], about["placebo"], about["plan"]["name"]) == (7, False, "p")
    assert {lexicon["name"] for lexicon in about["lexicons"]} == {"identity", "pronouns"}
    assert all(len(lexicon["sha256"]) == 64 for lexicon in about["lexicons"])
    assert about["input"]["rows"] == 12
    assert len(book.dropped()) == book.drops


@pytest.mark.parametrize("content", [None, b"no parquet", "other"])
def test_what_is_no_ledger_is_refused(content: bytes | str | None, tmp_path: Path) -> None:
    path = tmp_path / "ledger.parquet"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "other":
        pq.write_table(data(), path)
    with pytest.raises(InputError, match="ledger"):
        read_ledger(path)


def test_entries_are_in_the_order_of_the_rows_whatever_the_batches() -> None:
    opened = evenset.data.open(data(), text="text", label="label")
    positions = run(opened, EVERYTHING).ledger["position"].to_pylist()
    assert positions == sorted(positions)


def test_names_are_sixteen_hex_digits() -> None:
    keys = np.array([0, 2**63, 255], np.uint64)
    assert names_of(keys).to_pylist() == ["0" * 16, "8" + "0" * 15, "0" * 14 + "ff"]
    assert names_of(keys[:0]).to_pylist() == []
    assert names_of(keys[2:], prefix="pool:").to_pylist() == ["pool:" + "0" * 14 + "ff"]
