"""Cutting: every row is in exactly one part, whatever the file looks like."""

import csv
import gzip
import io
import json
import pickle
from itertools import chain

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenset.data import open as open_data
from evenset.data.dataset import Dataset
from evenset.data.errors import InputError
from evenset.data.parts import cut, size_of
from evenset.data.records import RecordStarts

VALUES = ["she", "a,b", 'say "x"', "two\nlines", "cr\rlf\r\n", "", '"', '""', "é\n\n", 'x"y', ",", "end\n"]


def texts(data):
    return [text for batch in data.batches() for text in batch.text.to_pylist()]


def told(data, of):
    """All texts, and those of each part, which must be pickled to be sent away."""
    whole = texts(data)
    parts = list(cut(data, of))
    assert [part.number for part in parts] == list(range(1, of + 1))
    assert sum(part.size for part in parts) == size_of(data)
    found = []
    for part in parts:
        again = pickle.loads(pickle.dumps(part.dataset))
        mine = texts(part.dataset)
        assert texts(again) == mine
        assert part.rows is None or part.rows == len(mine)
        assert part.read_so_far(len(mine)) <= part.size
        found.append(mine)
    return whole, found


ROWS = st.lists(st.tuples(st.sampled_from(VALUES), st.sampled_from(VALUES)), min_size=1, max_size=20)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(1, 9), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans(), st.integers(1, 40))
def test_csv_is_cut_between_its_rows(tmp_path_factory, rows, of, end, bom, quote_all, block):
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    held = io.StringIO(newline="")
    writer = csv.writer(held, lineterminator=end, quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL)
    writer.writerows(
        [("text", "label"), *((f"{number}{text}", f"l{label}") for number, (text, label) in enumerate(rows))]
    )
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + held.getvalue().encode())
    data = open_data(path, text="text")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evenset.data.records._BLOCK", block)
        whole, parts = told(data, of)
    assert list(chain.from_iterable(parts)) == whole
    assert len(whole) == len(rows)


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from('a,"\n'), max_size=60), st.integers(1, 7))
def test_quotes_in_odd_places_are_judged_as_the_parser_does(tmp_path_factory, body, block):
    """Single-column rows cannot be ragged, so any bytes are a file; the semicolon is the delimiter that never comes."""
    import pyarrow.csv as pacsv

    body = body.replace(",", ";")
    content = ("text\n" + body).encode()
    path = tmp_path_factory.mktemp("odd") / "rows.csv"
    path.write_bytes(content)

    def rows(part):
        options = pacsv.ParseOptions(delimiter="\x01", newlines_in_values=True)
        convert = pacsv.ConvertOptions(column_types={"text": pa.binary()}, strings_can_be_null=False)
        return pacsv.read_csv(pa.py_buffer(part), parse_options=options, convert_options=convert).column(0).to_pylist()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evenset.data.records._BLOCK", block)
        starts = RecordStarts(path, "\x01")
        head = starts.head()
        places = sorted({starts.at_or_after(target) for target in range(1, len(content))})
    assert head == b"text\n"
    whole = rows(content)
    for place in places:
        assert rows(content[:place]) + rows(head + content[place:]) == whole, (content, place)


def test_blank_lines_before_the_header_and_cuts_inside_it(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(
        b"\n\n" + b'"a long text column, quoted\n",label\n' + b"".join(b"row %d,x\n" % k for k in range(5))
    )
    data = open_data(path, text="a long text column, quoted\n", label="label")
    for of in range(1, 40):
        whole, parts = told(data, of)
        assert list(chain.from_iterable(parts)) == whole == [f"row {k}" for k in range(5)]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_equal_parts_of_a_large_text_file_are_about_equal(tmp_path, form):
    path = tmp_path / f"rows.{form}"
    lines = [f"the text of row {k}" for k in range(4000)]
    if form == "csv":
        path.write_text("text,label\n" + "".join(f"{line},x\n" for line in lines))
    else:
        path.write_text("\n".join(json.dumps({"text": line, "label": "x"}) for line in lines))
    whole, parts = told(open_data(path, text="text", label="label"), 8)
    assert list(chain.from_iterable(parts)) == whole == lines
    assert all(abs(len(part) - 500) < 30 for part in parts)


def test_jsonl_with_blank_lines_and_several_files(tmp_path):
    for name, count in (("a", 7), ("b", 0), ("c", 11)):
        rows = "".join(json.dumps({"text": f"{name} {k}\nline", "label": "x"}) + "\r\n\n" for k in range(count))
        (tmp_path / f"{name}.jsonl").write_text(rows or '{"text": "lone", "label": "y"}', newline="")
    data = open_data(str(tmp_path / "*.jsonl"), text="text", label="label")
    for of in (1, 2, 3, 7, 19, 200):
        whole, parts = told(data, of)
        assert list(chain.from_iterable(parts)) == whole
        assert len(whole) == 19


def test_a_compressed_file_and_one_of_another_encoding_stay_whole(tmp_path):
    rows = "text,label\n" + "".join(f"é {k},x\n" for k in range(50))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(rows.encode()))
    (tmp_path / "b.csv").write_bytes(rows.encode("latin-1"))
    for name, encoding in (("a.csv.gz", "utf-8"), ("b.csv", "latin-1")):
        whole, parts = told(open_data(tmp_path / name, text="text", label="label", encoding=encoding), 4)
        assert sorted(map(len, parts)) == [0, 0, 0, 50]
        assert list(chain.from_iterable(parts)) == whole


@pytest.mark.parametrize("form", ["parquet", "arrow", "stream", "hf", "memory"])
def test_units_are_never_cut(tmp_path, form):
    table = pa.table({"text": [f"row {k}" for k in range(100)], "label": ["x", "y"] * 50})
    path = tmp_path / f"rows.{'parquet' if form == 'parquet' else 'arrow'}"
    if form == "parquet":
        pq.write_table(table, path, row_group_size=9)
    elif form in {"arrow", "stream"}:
        make = pa.ipc.new_file if form == "arrow" else pa.ipc.new_stream
        with pa.OSFile(str(path), "wb") as sink, make(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=9)
    elif form == "hf":
        datasets = pytest.importorskip("datasets")
        datasets.disable_progress_bars()
        path = tmp_path / "hf"
        datasets.Dataset(table).save_to_disk(path, num_shards=3)
    data = Dataset.of(table, text="text", label="label") if form == "memory" else open_data(path, text="text")
    for of in (1, 2, 5, 30):
        whole, parts = told(data, of)
        assert list(chain.from_iterable(parts)) == whole == table.column("text").to_pylist()
        if form in {"parquet", "arrow"} and of > 1:
            assert all(len(part) % 9 in {0, 1} for part in parts)
            assert sum(bool(part) for part in parts) > 1


def test_a_part_does_not_judge_what_only_all_rows_can_show(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,toxic\n" + "a,0\n" * 50 + "b,1\n" * 50 + "c,\n" * 50)
    data = open_data(path, text="text", label="toxic", positive="1", need_label=True)
    whole, parts = told(data, 6)
    assert list(chain.from_iterable(parts)) == whole


def test_conversations_are_cut_like_the_file_that_holds_them(tmp_path):
    path = tmp_path / "chat.jsonl"
    said = [[("user", f"hi {k}"), *([("assistant", f"she {k}")] if k < 50 else [])] for k in range(100)]
    rows = [{"messages": [{"role": role, "content": text} for role, text in turns]} for turns in said]
    path.write_text("\n".join(map(json.dumps, rows)))
    whole, parts = told(open_data(path), 5)
    assert list(chain.from_iterable(parts)) == whole == [f"she {k}" if k < 50 else "" for k in range(100)]
    pairs = [{"chosen": f"yes {k}", "rejected": f"no {k}"} for k in range(60)]
    pq.write_table(pa.Table.from_pylist(pairs), tmp_path / "pairs.parquet", row_group_size=7)
    whole, parts = told(open_data(tmp_path / "pairs.parquet"), 4)
    assert list(chain.from_iterable(parts)) == whole
    assert len(whole) == 120


def test_a_large_row_group_is_read_some_megabytes_at_a_time(tmp_path):
    path = tmp_path / "rows.parquet"
    table = pa.table({"text": [f"{k:06}" * 1000 for k in range(8000)], "label": ["x", "y"] * 4000})
    pq.write_table(table, path, row_group_size=8000, use_dictionary=False)
    data = open_data(path, text="text", label="label")
    sizes = [piece.table.nbytes for piece in data.source.read(None)]
    assert sum(sizes) > 40_000_000
    assert max(sizes) < 16_000_000


def test_csv_comes_in_batches_of_some_megabytes_and_rows_before_a_mistake_come_first(tmp_path):
    path = tmp_path / "rows.csv"
    rows = [f"{k:06}" * 20 for k in range(160_000)]
    path.write_text("text,label\n" + "".join(f"{text},x\n" for text in rows))
    data = open_data(path, text="text", label="label")
    pieces = list(data.source.read(None))
    assert all(4_000_000 < piece.table.nbytes < 16_000_000 for piece in pieces[:-1])
    assert [piece.first for piece in pieces] == [0, *(piece.first + piece.table.num_rows for piece in pieces)][:-1]
    with path.open("a") as file:
        file.write("one,two,three\n")
    seen = []
    with pytest.raises(InputError, match=r"row 160001 of .*has 3 values"):
        seen.extend(piece.table.num_rows for piece in data.source.read(None))
    assert sum(seen) > 100_000
