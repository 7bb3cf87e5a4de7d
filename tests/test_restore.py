"""Restore undoes curate through real files, and says what is wrong where it cannot."""

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import evenset.data
from evenset.curate import restore, run
from evenset.curate.book.undo import without_keys
from evenset.data.config import Plan, parse
from evenset.data.errors import InputError


def plan(*steps: dict[str, object]) -> Plan:
    return parse({"plan": {"p": {"step": list(steps)}}}).plan["p"]


SCRUB = {"do": "scrub", "axis": "pronouns", "with": "drop"}
SWAP = {"do": "swap", "axis": "identity", "to": "random"}
AUGMENT = {"do": "swap", "axis": "pronouns", "mode": "augment"}
UNDER = {"do": "resample", "axis": "pronouns", "target": "independent"}
OVER = {"do": "resample", "axis": "column:side", "level": 1.0, "method": "over"}
WEIGH = {"do": "reweight", "axis": "pronouns"}
TOPUP = {"do": "topup", "axis": "identity"}

PLANS = {
    "edits": plan(SCRUB, SWAP),
    "copies": plan(SWAP, AUGMENT, OVER),
    "drops": plan(SCRUB, UNDER),
    "weights": plan(SCRUB, WEIGH),
    "mask": plan({**SCRUB, "with": "_"}, WEIGH),
    "all": plan(SCRUB, SWAP, AUGMENT, UNDER, WEIGH),
}

Row = tuple[str, str, str, int]


def write_csv(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([("text", "label", "side", "number"), *rows])


def write_jsonl(path: Path, rows: list[Row]) -> None:
    lines = [
        json.dumps(
            {"number": number, "text": text, "label": label, "side": side, "more": [1, {"a": None}]},
            ensure_ascii=number % 2 == 0,
        )
        for text, label, side, number in rows
    ]
    path.write_bytes("\n".join([*lines, ""]).encode())


def write_parquet(path: Path, rows: list[Row]) -> None:
    columns = list(zip(*rows, strict=True))
    table = pa.table({
        "text": columns[0], "label": pa.array(columns[1]).dictionary_encode(), "side": columns[2],
        "number": pa.array(columns[3], pa.int16()),
    })  # fmt: skip
    pq.write_table(table.replace_schema_metadata({"about": "kept"}), path)


WRITERS: dict[str, Callable[[Path, list[Row]], None]] = {
    "csv": write_csv,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
}

WORDS = [
    *("She", "he", "told", "him", "her", "gay", "asian", "a", "an", "it's", "😀", "naïve"),
    *('"quoted"', "x,y", "\n", "back\\slash", "&", "hers"),
]
texts = st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join)


@st.composite
def datasets(draw: st.DrawFn) -> list[Row]:
    """Rows in which every goal can be reached: each label has both sides."""
    rows = [(draw(texts), label, side) for label in "ab" for side in "lr"]
    rows += draw(st.lists(st.tuples(texts, st.sampled_from("ab"), st.sampled_from("lr")), max_size=8))
    return [(*row, number) for number, row in enumerate(draw(st.permutations(rows)))]


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("name", PLANS)
@settings(max_examples=8, deadline=None)
@given(rows=datasets(), seed=st.integers(0, 3))
def test_restore_after_curate_is_the_identity(
    name: str, form: str, rows: list[Row], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("law")
    path = folder / f"in.{form}"
    WRITERS[form](path, rows)
    data = evenset.data.open(path, text="text", label="label", axes_columns=["side"])
    try:
        curation = run(data, PLANS[name], seed=seed, out=folder / "out", audited=False)
    except InputError as error:
        if "every row of label" not in str(error):  # the one goal that these rows may put out of reach
            raise
        assume(condition=False)
    original = path if curation.report["counts"]["drops"] else None
    back = restore(
        folder / "out" / f"data.{form}", folder / "out" / "ledger.parquet", original=original, out=folder / "back"
    )
    assert back == folder / "back" / f"data.{form}"
    if form == "parquet":
        before, after = pq.read_table(path), pq.read_table(back)
        assert after.schema.equals(before.schema, check_metadata=True)
        assert after.equals(before)
    elif form == "csv" or original is not None:
        assert back.read_bytes() == path.read_bytes()
    else:
        # A line whose text was edited may write its characters in another of JSON's ways.
        ours, theirs = ([json.loads(line) for line in file.read_text().splitlines()] for file in (back, path))
        assert ours == theirs
        untouched = set(range(len(rows))) - set(
            curation.ledger.filter(pa.compute.equal(curation.ledger["op"], "edit"))["position"].to_pylist()
        )
        mine, raw = back.read_bytes().split(b"\n"), path.read_bytes().split(b"\n")
        assert all(mine[at] == raw[at] for at in untouched)


ROWS: list[Row] = [
    ("She is gay.", "a", "l", 0), ("He is here.", "a", "r", 1), ("It is.", "b", "l", 2), ("They met her.", "b", "r", 3),
    ("He told him.", "a", "l", 4), ("Nothing", "b", "l", 5),
]  # fmt: skip


def curated(
    folder: Path, name: str = "all", form: str = "csv", rows: list[Row] = ROWS, out: str = "out"
) -> tuple[Path, Path, Path]:
    path = folder / f"in.{form}"
    WRITERS[form](path, rows)
    data = evenset.data.open(path, text="text", label="label")
    run(data, PLANS[name], out=folder / out, audited=False)
    return path, folder / out / f"data.{form}", folder / out / "ledger.parquet"


def test_dropped_rows_need_the_original(tmp_path: Path) -> None:
    path, data, ledger = curated(tmp_path)
    with pytest.raises(InputError, match=r"rows were dropped.*--original"):
        restore(data, ledger, out=tmp_path / "back")
    assert not (tmp_path / "back").exists()
    assert restore(data, ledger, original=path, out=tmp_path / "back").read_bytes() == path.read_bytes()


def test_another_original_is_refused(tmp_path: Path) -> None:
    path, data, ledger = curated(tmp_path)
    other = tmp_path / "other.csv"
    other.write_bytes(path.read_bytes().replace(b"Nothing", b"Nothin."))
    with pytest.raises(InputError, match="is not the data that was curated"):
        restore(data, ledger, original=other, out=tmp_path / "back")


def test_a_file_changed_by_hand_is_refused_and_the_row_named(tmp_path: Path) -> None:
    _, data, ledger = curated(tmp_path, "mask")
    whole = data.read_bytes()
    data.write_bytes(whole.replace(b"told", b"asked"))
    with pytest.raises(InputError, match=r"changed by hand after curation \(row 5 no longer"):
        restore(data, ledger, out=tmp_path / "back")
    data.write_bytes(whole.replace(b"Nothing", b"Anything"))
    with pytest.raises(InputError, match=r"changed by hand after curation .elsewhere"):
        restore(data, ledger, out=tmp_path / "back")
    data.write_bytes(b"\r\n".join(whole.split(b"\r\n")[:-2]) + b"\r\n")
    with pytest.raises(InputError, match="has 5 rows and the ledger is of 6"):
        restore(data, ledger, out=tmp_path / "back")
    assert not list((tmp_path / "back").glob("*")) if (tmp_path / "back").exists() else True


def test_another_curations_ledger_is_refused(tmp_path: Path) -> None:
    _, data, _ = curated(tmp_path, "edits")
    others = [(f"She told him and her {number} things.", "ab"[number % 2], "l", number) for number in range(6)]
    _, _, ledger = curated(tmp_path, "edits", rows=others, out="other")
    with pytest.raises(InputError, match="is of another curation"):
        restore(data, ledger, out=tmp_path / "back")
    _, _, ledger = curated(tmp_path, "weights", out="third")
    with pytest.raises(InputError, match="is of another curation"):
        restore(data, ledger, out=tmp_path / "back")


def test_the_text_column_is_the_ledgers(tmp_path: Path) -> None:
    _, data, ledger = curated(tmp_path, "edits")
    assert restore(data, ledger, text="text", out=tmp_path / "back").is_file()
    with pytest.raises(InputError, match='the column "text", not "side"'):
        restore(data, ledger, text="side", out=tmp_path / "back")


def test_several_files_come_back_under_their_names(tmp_path: Path) -> None:
    for part, rows in enumerate((ROWS[:2], ROWS[2:5], ROWS[5:])):
        write_csv(tmp_path / f"part{part}.csv", rows)
    before = [(tmp_path / f"part{part}.csv").read_bytes() for part in range(3)]
    for name in ("copies", "drops"):
        data = evenset.data.open(str(tmp_path / "part*.csv"), text="text", label="label")
        out = tmp_path / name
        curation = run(data, PLANS[name], out=out)
        names = sorted(entry.name for entry in out.iterdir() if not entry.name.startswith("feasibility-"))
        assert names == ["curation.json", "ledger.parquet", "rows"]
        assert curation.report["output"]["files"] == ["part0.csv", "part1.csv", "part2.csv"]
        original = str(tmp_path / "part*.csv") if curation.report["counts"]["drops"] else None
        for curated_rows in (out / "rows", out / "rows" / "*.csv"):
            back = restore(curated_rows, out / "ledger.parquet", original=original, out=tmp_path / f"{name}-back")
            assert back.name == "rows"
            assert [(back / f"part{part}.csv").read_bytes() for part in range(3)] == before


def test_compressed_lines_come_back(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "in.jsonl", ROWS)
    packed = tmp_path / "in.jsonl.gz"
    packed.write_bytes(gzip.compress((tmp_path / "in.jsonl").read_bytes()))
    data = evenset.data.open(packed, text="text", label="label")
    run(data, PLANS["weights"], out=tmp_path / "out")
    back = restore(tmp_path / "out" / "data.jsonl.gz", tmp_path / "out" / "ledger.parquet", out=tmp_path / "back")
    lines = gzip.decompress(back.read_bytes()).decode().splitlines()
    assert [json.loads(line) for line in lines] == [
        json.loads(line) for line in (tmp_path / "in.jsonl").read_text().splitlines()
    ]


@pytest.mark.parametrize("form", ["data.arrow", "stream.arrow", "data.tsv", "data.csv.gz"])
@pytest.mark.parametrize("name", ["mask", "all"])
def test_other_forms_come_back_too(form: str, name: str, tmp_path: Path) -> None:
    columns = list(zip(*ROWS, strict=True))
    table = pa.table({"text": [*columns[0][:-1], None], "label": columns[1], "number": columns[3]})
    path = tmp_path / form
    if form.endswith("arrow"):
        make = pa.ipc.new_file if form == "data.arrow" else pa.ipc.new_stream
        with pa.OSFile(str(path), "wb") as file, make(file, table.schema) as writer:
            writer.write_table(table)
    else:
        table.to_pandas().to_csv(path, index=False, sep="\t" if form == "data.tsv" else ",")
    run(evenset.data.open(path, text="text", label="label"), PLANS[name], out=tmp_path / "out", audited=False)
    curated_rows = tmp_path / "out" / ("data" + form[form.index(".") :])
    back = restore(curated_rows, tmp_path / "out" / "ledger.parquet", original=path, out=tmp_path / "back")
    if form.endswith("gz"):
        assert gzip.decompress(back.read_bytes()) == gzip.decompress(path.read_bytes())
    elif form.endswith("tsv"):
        assert back.read_bytes() == path.read_bytes()
    else:
        tables = []
        for file in (back, path):
            opened = pa.ipc.open_file if form == "data.arrow" else pa.ipc.open_stream
            tables.append(opened(pa.BufferReader(file.read_bytes())).read_all())
        assert tables[0].equals(tables[1])


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_weights_that_were_written_over_come_back(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"in.{form}"
    rows = [("She is.", "a", 2), ("He is.", "a", 1), ("She was.", "b", 3), ("He was.", "b", 5)]
    if form == "parquet":
        columns = list(zip(*rows, strict=True))
        pq.write_table(
            pa.table({"text": columns[0], "label": columns[1], "weight": pa.array(columns[2], pa.int32())}), path
        )
    elif form == "csv":
        path.write_text("text,label,weight\n" + "".join(f"{a},{b},{c}.50\n" for a, b, c in rows))
    else:
        path.write_text("".join(json.dumps({"text": a, "weight": c, "label": b}) + "\n" for a, b, c in rows))
    data = evenset.data.open(path, text="text", label="label", weight="weight")
    run(data, plan(WEIGH), out=tmp_path / "out")
    back = restore(tmp_path / "out" / f"data.{form}", tmp_path / "out" / "ledger.parquet", out=tmp_path / "back")
    if form == "parquet":
        assert pq.read_table(back).equals(pq.read_table(path))
    else:
        assert back.read_bytes() == path.read_bytes()


def test_rows_of_a_pool_are_left_out_again(tmp_path: Path) -> None:
    rows: list[Row] = [
        ("a gay man", "1", "l", 0),
        ("a man", "1", "r", 1),
        *((f"man {n}", "0", "r", n) for n in range(2, 12)),
    ]
    (tmp_path / "pool.csv").write_text("text\n" + "".join(f"the gay choir {n}\n" for n in range(9)))
    steps = plan({**TOPUP, "pool": str(tmp_path / "pool.csv")}, WEIGH | {"axis": "identity"})
    for form, write in WRITERS.items():
        path = tmp_path / f"in.{form}"
        write(path, rows)
        data = evenset.data.open(path, text="text", label="label", positive="1")
        curation = run(data, steps, out=tmp_path / form)
        assert curation.report["steps"][0]["added"] > 2
        again = evenset.data.open(tmp_path / form / f"data.{form}", text="text", label="label")
        labels = [label for batch in again.batches() for label in batch.label.to_pylist()]
        assert labels[-1] == "0"
        back = restore(
            tmp_path / form / f"data.{form}", tmp_path / form / "ledger.parquet", out=tmp_path / f"{form}-back"
        )
        assert (
            pq.read_table(back).equals(pq.read_table(path))
            if form == "parquet"
            else back.read_bytes() == path.read_bytes()
        )


@given(
    st.dictionaries(
        st.text(max_size=4), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists), max_size=4
    ),
    st.sampled_from([(", ", ": "), (",", ":")]),
)
def test_keys_that_were_added_go_without_a_trace(row: dict[str, object], separators: tuple[str, str]) -> None:
    row.pop("weight", None)
    line = json.dumps(row, separators=separators).encode()
    longer = json.dumps({**row, "weight": 0.5, "evenset_parent": 'a"b'}, separators=separators).encode()
    assert without_keys(longer, ["weight", "evenset_parent"]) == line


@pytest.mark.real
def test_gab_comes_back_byte_for_byte(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "gab" / "train.csv"
    steps = plan(
        {"do": "scrub", "axis": "pronouns"},
        {"do": "swap", "axis": "identity", "mode": "augment", "to": "random"},
        {"do": "resample", "axis": "identity", "target": "independent"},
        {"do": "reweight", "axis": "identity"},
    )
    run(evenset.data.open(path), steps, out=tmp_path / "out", audited=False)
    back = restore(
        tmp_path / "out" / "data.csv", tmp_path / "out" / "ledger.parquet", original=path, out=tmp_path / "back"
    )
    assert back.read_bytes() == path.read_bytes()
    run(evenset.data.open(path), plan(steps.step[0].model_dump(by_alias=True)), out=tmp_path / "edits", audited=False)
    back = restore(tmp_path / "edits" / "data.csv", tmp_path / "edits" / "ledger.parquet", out=tmp_path / "back2")
    assert back.read_bytes() == path.read_bytes()
