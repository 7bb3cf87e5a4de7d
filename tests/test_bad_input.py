"""Bad input is refused with one message that names the place and says what to do; nothing is written."""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import evenset.data
from evenset.data import EvensetError, InputError
from evenset.data.hashing import row_keys
from evenset.data.writers import open_writer

GOOD = "text,label\nan apple,0\na pear,1\n"


def refuse(source: object, **options: object) -> str:
    """Open and read everything, expecting one message of one line."""
    with pytest.raises(InputError) as caught:
        for _ in evenset.data.open(source, **options).batches():
            pass
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_code == 2
    assert isinstance(caught.value, EvensetError)
    return message


def file(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


class TestColumns:
    def test_misspelt(self, tmp_path: Path) -> None:
        path = file(tmp_path, "a.csv", GOOD)
        for role in ("text", "label", "weight", "id", "cluster"):
            message = refuse(path, **{role: "lable"})
            assert message.startswith(f'"a.csv" has no column "lable" (--{role}); its columns are "text", "label".')
            assert message.endswith('Did you mean "label"?')
        assert '(--axis); its columns are "text", "label".' in refuse(path, axes_columns=["gender"])

    def test_no_text_to_be_found(self, tmp_path: Path) -> None:
        assert refuse(file(tmp_path, "a.csv", "a,b\n1,2\n")) == (
            'cannot tell which column of "a.csv" is the text; its columns are "a", "b": say it with --text'
        )

    def test_text_of_numbers(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "a.parquet")
        assert (
            refuse(tmp_path / "a.parquet", text="text") == 'column "text" holds int64, not text; choose another --text'
        )
        path = file(tmp_path, "a.jsonl", '{"text": "x"}\n{"text": 3}\n')
        assert refuse(path) == 'line 2 of "a.jsonl": "text" holds a number, not text; choose another --text'

    @pytest.mark.parametrize("delimiter", [",", "\t"])
    def test_twice_the_same_name(self, tmp_path: Path, delimiter: str) -> None:
        path = file(
            tmp_path, "a.csv" if delimiter == "," else "a.tsv", "text,label,text\na,0,b\n".replace(",", delimiter)
        )
        assert refuse(path) == f'"{path.name}" has two columns called "text" (columns 1 and 3); rename one of them'

    def test_twice_the_same_name_in_parquet_and_pandas(self, tmp_path: Path) -> None:
        twice = pa.table([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
        pq.write_table(twice, tmp_path / "a.parquet")
        assert 'two columns called "text"' in refuse(tmp_path / "a.parquet")
        assert refuse(twice).startswith("the table has two columns")
        assert refuse(pd.DataFrame([["a", "b"]], columns=["text", "text"])).startswith("the table has two columns")

    def test_presets(self, tmp_path: Path) -> None:
        path = file(tmp_path, "a.csv", GOOD)
        assert refuse(path, preset="jigsow") == (
            'there is no preset "jigsow"; there are "bias-in-bios", "jigsaw", "civil-comments". Did you mean "jigsaw"?'
        )
        assert "it has no column hard_text" in refuse(path, preset="bias-in-bios")

    def test_threshold_without_a_label(self) -> None:
        assert "--label-threshold needs a label" in refuse([{"text": "a b c"}], label_threshold=0.5)


class TestEmpty:
    @pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.arrow", "a.csv.gz"])
    def test_no_bytes(self, tmp_path: Path, name: str) -> None:
        assert refuse(file(tmp_path, name, "")) == f'"{name}" is empty: it has no bytes at all'

    def test_packed_nothing(self, tmp_path: Path) -> None:
        path = file(tmp_path, "a.csv.gz", gzip.compress(b""))
        assert refuse(path) == '"a.csv.gz" is empty: it holds nothing but blanks'

    @pytest.mark.parametrize("content", ["text,label", "text,label\n", "text,label\r\n\r\n"])
    def test_header_only(self, tmp_path: Path, content: str) -> None:
        assert refuse(file(tmp_path, "a.csv", content)) == '"a.csv" has a header but no rows'

    def test_blank_lines_only(self, tmp_path: Path) -> None:
        assert refuse(file(tmp_path, "a.jsonl", "\n  \n")) == '"a.jsonl" is empty: it holds nothing but blanks'

    def test_no_rows(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "a.parquet")
        assert refuse(tmp_path / "a.parquet") == '"a.parquet" has no rows'
        assert refuse(pa.table({"text": pa.array([], pa.string())})) == "the table has no rows"
        assert refuse(pa.table({})) == "the table has no columns"

    def test_stdin(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"")))
        assert refuse("-", spool=tmp_path) == "standard input is empty: it has no bytes at all"
        assert list(tmp_path.iterdir()) == []


class TestNotWhatItIsCalled:
    def test_all_sorts(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"text": ["a"]}), tmp_path / "real.parquet")
        parquet = (tmp_path / "real.parquet").read_bytes()
        html = "<!DOCTYPE html><html><body>404</body></html>"
        jsonl = '{"text": "a"}\n'
        cases = {
            "p.csv": (parquet, "looks like parquet; rename it to end in .parquet"),
            "c.parquet": (GOOD, "looks like text, perhaps csv; rename it to end in .csv, or in what it is"),
            "h.csv": (html, "looks like an HTML page; check where the file comes from"),
            "h.jsonl": (html, "looks like an HTML page"),
            "h.parquet": (html, "looks like an HTML page"),
            "h.arrow": (html, "looks like an HTML page"),
            "p.arrow": (parquet, "looks like parquet"),
            "j.csv": (jsonl, "looks like JSON lines; rename it to end in .jsonl"),
            "j.parquet": (jsonl, "looks like jsonl; rename it to end in .jsonl"),
            "a.jsonl": ('[{"text": "a"}]', "is one JSON array; write one object a line"),
            "z.csv": (gzip.compress(GOOD.encode()), 'rename it to "z.csv.gz"'),
            "z.csv.gz": (GOOD, "is not gzip-compressed though its name says so"),
            "z.csv.zst": (gzip.compress(GOOD.encode()), "is not zstd-compressed though its name says so"),
            "x.csv": (b"PK\x03\x04whatever", "looks like a zip archive (or a spreadsheet)"),
            "l.parquet": ("version https://git-lfs.github.com/spec/v1\n", "run git lfs pull"),
            "u.csv": (GOOD.encode("utf-16"), "looks like UTF-16 text, not UTF-8; pass --encoding utf-16"),
            "v.csv": (GOOD.encode("utf-16-le"), "pass --encoding utf-16-le"),
            "s.parquet.gz": (gzip.compress(parquet), "decompress it"),
            "b.dat": (bytes(range(256)) * 4, "cannot tell the form"),
        }
        for name, (content, words) in cases.items():
            message = refuse(file(tmp_path, name, content))
            assert words in message
            assert f'"{name}"' in message

    def test_csv_in_jsonl(self, tmp_path: Path) -> None:
        message = refuse(file(tmp_path, "a.jsonl", GOOD))
        assert message == 'line 1 of "a.jsonl" is not JSON: Expecting value (character 1); write one object a line'

    def test_half_a_parquet_file(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"text": ["a"] * 1000}), tmp_path / "a.parquet")
        content = (tmp_path / "a.parquet").read_bytes()
        path = file(tmp_path, "b.parquet", content[: len(content) // 2])
        assert refuse(path).startswith('"b.parquet" is not a whole parquet file')

    def test_half_an_arrow_file(self, tmp_path: Path) -> None:
        rows = pa.table({"text": ["a"] * 100_000})
        for kind, make in (("file", pa.ipc.new_file), ("stream", pa.ipc.new_stream)):
            sink = pa.BufferOutputStream()
            with make(sink, rows.schema) as writer:
                writer.write_table(rows)
            content = sink.getvalue().to_pybytes()
            assert '"' + kind in refuse(file(tmp_path, f"{kind}.arrow", content[: len(content) // 2]))


class TestLabels:
    @pytest.mark.parametrize("value", ["", "nan", "NaN", " "])
    def test_all_null(self, tmp_path: Path, value: str) -> None:
        path = file(tmp_path, "a.csv", f"text,label\nan apple,{value}\na pear,{value}\n")
        assert refuse(path, label="label") == (
            'the label column "label" of "a.csv" is empty in all 2 rows; choose another --label'
        )

    def test_one_class_only_where_two_are_needed(self, tmp_path: Path) -> None:
        path = file(tmp_path, "a.csv", "text,label\nan apple,0\na pear,0\n")
        assert next(evenset.data.open(path).batches()).n == 2
        assert refuse(path, need_label=True) == (
            'the label column "label" of "a.csv" has only one class, "0"; two are needed'
        )

    def test_positive_that_never_comes(self, tmp_path: Path) -> None:
        path = file(tmp_path, "a.csv", "text,label\nan apple,good\na pear,bad\n")
        message = refuse(path, positive="bed")
        assert (
            'the positive label "bed" never comes in column "label" of "a.csv"; its values are "bad", "good"' in message
        )
        assert message.endswith('Did you mean "bad"?')

    def test_what_only_the_last_row_shows(self) -> None:
        # The sample at opening does not reach the end, so reading to the end must tell.
        many = 60_000
        rows = pa.table({"text": ["x"] * many, "label": pa.array([None] * many, pa.string())})
        data = evenset.data.open(rows, label="label")
        with pytest.raises(InputError, match="empty in all 60,000 rows"):
            list(data.batches())
        bad = pa.table({"text": ["x"] * many, "label": ["0.5"] * (many - 1) + ["high"]})
        data = evenset.data.open(bad, label="label", label_threshold=0.5)
        with pytest.raises(InputError, match=r'^row 60000 of the table: the label \(column "label"\) is \'high\''):
            list(data.batches())

    def test_not_a_number(self, tmp_path: Path) -> None:
        path = file(tmp_path, "a.csv", "text,label,w\na,0.1,1\nb,high,x\n")
        assert refuse(path, label="label", label_threshold=0.5) == (
            'row 2 of "a.csv": the label (column "label") is \'high\', which is not a number'
        )
        assert refuse(path, label="label", weight="w") == (
            'row 2 of "a.csv": the weight (column "w") is \'x\', which is not a number'
        )

    @pytest.mark.parametrize(("weight", "found"), [("-1", "-1"), ("inf", "'inf'"), ("", "missing"), ("nan", "missing")])
    def test_weights_that_are_none(self, tmp_path: Path, weight: str, found: str) -> None:
        path = file(tmp_path, "a.csv", f"text,label,w\na,0,1\nb,1,{weight}\n")
        message = refuse(path, weight="w")
        assert message.startswith('row 2 of "a.csv": the weight (column "w") is ' + found)

    def test_in_jsonl_and_parquet(self, tmp_path: Path) -> None:
        path = file(tmp_path, "a.jsonl", '{"text": "a", "w": 1}\n{"text": "b", "w": "x"}\n')
        assert refuse(path, weight="w").startswith('row 2 of "a.jsonl"')
        pq.write_table(pa.table({"text": ["a", "b"], "w": [1.0, float("nan")]}), tmp_path / "a.parquet")
        assert refuse(tmp_path / "a.parquet", weight="w").startswith('row 2 of "a.parquet"')

    def test_index_without_a_name(self) -> None:
        rows = pa.table({"hard_text": ["a"] * 60_000, "profession": [0] * 59_999 + [28], "gender": [0] * 60_000})
        message = refuse(rows)
        assert message.startswith("row 60000 of the table: the label (column \"profession\") is '28'")

    def test_lists_are_no_labels(self) -> None:
        assert "not single values" in refuse(pa.table({"text": ["a"], "label": [["x"]]}), label="label")


class TestBytes:
    @pytest.mark.parametrize("column", ["text", "label"])
    def test_broken_utf8_in_csv(self, tmp_path: Path, column: str) -> None:
        row = b"b\xff,1\n" if column == "text" else b"b,\xff\n"
        path = file(tmp_path, "a.csv", b"text,label\na,0\n" + row)
        assert refuse(path) == (
            f'row 2 of "a.csv", column "{column}", is not valid UTF-8; '
            "say the encoding, for example --encoding latin-1 or --encoding cp1252"
        )

    def test_broken_utf8_far_down_and_in_packed_files(self, tmp_path: Path) -> None:
        rows = b"".join(b"some words of row %d,0\n" % at for at in range(400_000))
        path = file(tmp_path, "a.csv.gz", gzip.compress(b"text,label\n" + rows + b"caf\xe9,1\n", 1))
        assert refuse(path).startswith('row 400001 of "a.csv.gz", column "text", is not valid UTF-8')

    def test_broken_utf8_in_the_header(self, tmp_path: Path) -> None:
        assert 'the header of "a.csv" is not valid UTF-8' in refuse(file(tmp_path, "a.csv", b"t\xe9xt,label\na,0\n"))

    def test_broken_utf8_in_jsonl(self, tmp_path: Path) -> None:
        path = file(tmp_path, "a.jsonl", b'{"text": "a"}\n{"text": "caf\xe9"}\n')
        assert (
            refuse(path) == 'line 2 of "a.jsonl" is not valid UTF-8; say the encoding, for example --encoding latin-1'
        )

    def test_broken_utf8_in_parquet(self, tmp_path: Path) -> None:
        broken = pa.array([b"a", b"caf\xe9"]).view(pa.string())
        pq.write_table(pa.table({"text": broken}), tmp_path / "a.parquet")
        assert refuse(tmp_path / "a.parquet").startswith('row 2 of "a.parquet", column "text", is not valid UTF-8')

    def test_wrong_encoding(self, tmp_path: Path) -> None:
        path = file(tmp_path, "a.csv", b"text,label\na,0\n\x81\x8d,1\n")
        message = refuse(path, encoding="cp1252")
        assert message == 'line 3 of "a.csv" is not valid cp1252; pass another --encoding'
        assert refuse(path, encoding="latin-2x") == (
            'no encoding is called "latin-2x" (--encoding). Did you mean "latin-1"?'
        )

    def test_nul_bytes(self, tmp_path: Path) -> None:
        path = file(tmp_path, "a.csv", b"text,label\na,0\nb\x00c,1\n")
        assert refuse(path).startswith('row 2 of "a.csv", column "text", holds a NUL byte')
        path = file(tmp_path, "a.jsonl", b'{"text": "a"}\n{"text": "b\x00c"}\n')
        assert refuse(path).startswith('line 2 of "a.jsonl" holds a NUL byte')

    def test_half_a_surrogate_pair(self, tmp_path: Path) -> None:
        path = file(tmp_path, "a.jsonl", '{"text": "a"}\n{"text": "\\ud83d"}\n')
        assert refuse(path).startswith('line 2 of "a.jsonl": "text" holds half of a surrogate pair')

    @pytest.mark.parametrize("codec", ["gzip", "zstd"])
    @pytest.mark.parametrize("form", ["csv", "jsonl"])
    def test_cut_off(self, tmp_path: Path, codec: str, form: str) -> None:
        rows = [f"row {at} {at * 7919 % 10007}" for at in range(60_000)]
        text = "text,label\n" + "".join(f"{row},{len(row) % 2}\n" for row in rows)
        if form == "jsonl":
            text = "".join(json.dumps({"text": row}) + "\n" for row in rows)
        name = f"a.{form}.{'gz' if codec == 'gzip' else 'zst'}"
        with pa.OSFile(str(tmp_path / name), "wb") as whole, pa.CompressedOutputStream(whole, codec) as out:
            out.write(text.encode())
        content = (tmp_path / name).read_bytes()
        words = f'"{name}" is cut off: its compressed data ends too early; copy or download it again'
        for keep in (len(content) - 3, len(content) // 2, 30):
            assert refuse(file(tmp_path, name, content[:keep])) == words

    def test_damaged(self, tmp_path: Path) -> None:
        content = bytearray(gzip.compress(os.urandom(100_000).hex().encode()))
        content[5000:5100] = bytes(100)
        message = refuse(file(tmp_path, "a.csv.gz", bytes(content)), text="text")
        assert message.startswith('"a.csv.gz" is damaged')


class TestRows:
    @pytest.mark.parametrize(("row", "count"), [("b", "1 value"), ("b,1,2", "3 values")])
    def test_ragged(self, tmp_path: Path, row: str, count: str) -> None:
        path = file(tmp_path, "a.csv", f'text,label\n"a\na",0\n\n{row}\nc,1\n')
        assert refuse(path) == (
            f'row 2 of "a.csv" (not counting the header) has {count} where the header names 2 columns; '
            "check its quotes and separators"
        )

    def test_ragged_far_down(self, tmp_path: Path) -> None:
        rows = "".join(f'"some ""words"",\nof row {at}",{at % 2}\n' for at in range(400_000))
        path = file(tmp_path, "a.csv", f"text,label\n{rows}one,two,three\n")
        assert refuse(path).startswith('row 400001 of "a.csv" (not counting the header) has 3 values')

    def test_a_quote_that_is_never_closed(self, tmp_path: Path) -> None:
        path = file(tmp_path, "a.csv", 'label,text\n0,a\n1,"b\n0,c\n1,d\n')
        assert refuse(path).startswith('row 2 of "a.csv" opens a quote that is never closed')

    def test_a_bad_line(self, tmp_path: Path) -> None:
        for line, words in (
            ('{"text": "b"', "is not JSON"),
            ('{"text": "b"} {"text": "c"}', "is not JSON: Extra data (character 15)"),
            ('["b"]', "is a list, not a JSON object"),
            ("null", "is null, not a JSON object"),
        ):
            message = refuse(file(tmp_path, "a.jsonl", f'{{"text": "a"}}\n\n{line}\n'))
            assert message.startswith(f'line 3 of "a.jsonl" {words}')

    def test_null_and_empty_texts_are_counted_not_refused(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"text": pa.array(["", None], pa.string()), "label": [0, 1]}), tmp_path / "a.parquet")
        batch = next(evenset.data.open(tmp_path / "a.parquet").batches())
        assert batch.text.to_pylist() == ["", ""]
        assert batch.text_null.tolist() == [False, True]
        nothing = next(evenset.data.open(pa.table({"text": pa.nulls(2), "label": [0, 1]})).batches())
        assert nothing.text_null.tolist() == [True, True]

    @pytest.mark.parametrize("form", ["csv", "jsonl"])
    def test_the_same_id_twice(self, tmp_path: Path, form: str) -> None:
        lines = {"csv": "id,text\n1,a\n2,b\n1,c\n", "jsonl": ""}
        lines["jsonl"] = "".join(f'{{"id": {at}, "text": "a"}}\n' for at in (1, 2, 1))
        batch = next(evenset.data.open(file(tmp_path, f"a.{form}", lines[form]), id="id").batches())
        with pytest.raises(InputError, match=r"^the id '1' in column \"id\" comes again in row 3; ids must be unique"):
            row_keys(batch.text, ids=batch.column("id"), start=batch.start)


class TestPlaces:
    def test_missing(self, tmp_path: Path) -> None:
        file(tmp_path, "train.csv", GOOD)
        path = tmp_path / "trian.csv"
        assert refuse(path) == f'there is no file "{path}". Did you mean "train.csv"?'
        assert refuse(tmp_path / "no" / "x.csv") == (
            f'there is no file "{tmp_path / "no" / "x.csv"}": the folder "{tmp_path / "no"}" does not exist'
        )
        assert refuse(str(tmp_path / "*.parquet")) == f'no file matches "{tmp_path / "*.parquet"}"'

    def test_folders(self, tmp_path: Path) -> None:
        message = refuse(tmp_path)
        assert "is not a Hugging Face dataset (it has no state.json, as save_to_disk writes); give a file" in message
        file(tmp_path, "a.parquet", "")
        assert refuse(tmp_path).endswith(f'give its files as a glob, "{tmp_path}/*.parquet"')

    def test_several_splits(self, tmp_path: Path) -> None:
        datasets = pytest.importorskip("datasets")
        datasets.disable_progress_bars()
        one = datasets.Dataset.from_dict({"text": ["a"]})
        datasets.DatasetDict({"train": one, "test": one}).save_to_disk(str(tmp_path / "both"))
        assert refuse(tmp_path / "both") == (
            f'"{tmp_path / "both"}" holds several splits (train, test); name the one you want, '
            f'for example "{tmp_path / "both"}#train"'
        )
        assert next(evenset.data.open(tmp_path / "both" / "train").batches()).n == 1

    def test_a_folder_that_lost_a_file(self, tmp_path: Path) -> None:
        datasets = pytest.importorskip("datasets")
        datasets.disable_progress_bars()
        datasets.Dataset.from_dict({"text": ["a"]}).save_to_disk(str(tmp_path / "data"))
        (tmp_path / "data" / "data-00000-of-00001.arrow").unlink()
        assert "lacks data-00000-of-00001.arrow" in refuse(tmp_path / "data")

    def test_files_that_do_not_go_together(self, tmp_path: Path) -> None:
        file(tmp_path, "a.csv", GOOD)
        file(tmp_path, "b.csv", "text,lable\nx,0\n")
        assert refuse(str(tmp_path / "*.csv")) == (
            'the columns of "b.csv" and "a.csv" differ: "b.csv" lacks "label"; '
            "files read together must have the same columns"
        )
        file(tmp_path, "c.jsonl", '{"text": "x"}\n')
        assert "must be of one form" in refuse([tmp_path / "a.csv", tmp_path / "c.jsonl"])
        assert "named twice" in refuse([tmp_path / "a.csv", tmp_path / "a.csv"])
        pq.write_table(pa.table({"text": ["a"], "label": [0]}), tmp_path / "a.parquet")
        pq.write_table(pa.table({"text": ["a"], "label": ["0"]}), tmp_path / "b.parquet")
        assert refuse(str(tmp_path / "*.parquet")).startswith(
            'column "label" is string in "b.parquet" but int64 in "a.parquet"'
        )

    def test_jsonl_files_may_differ_in_keys_that_have_no_part(self, tmp_path: Path) -> None:
        file(tmp_path, "a.jsonl", '{"text": "x", "label": 0, "note": "rare"}\n')
        file(tmp_path, "b.jsonl", '{"text": "y", "label": 1}\n')
        assert sum(batch.n for batch in evenset.data.open(str(tmp_path / "*.jsonl")).batches()) == 2
        file(tmp_path, "c.jsonl", '{"text": "z", "lable": 1}\n')
        assert refuse(str(tmp_path / "*.jsonl")) == (
            '"c.jsonl" has no column "label", which other files have; its columns are "text", "lable". '
            'Did you mean "lable"?'
        )

    def test_things_that_hold_no_rows(self) -> None:
        assert refuse(3).startswith("cannot read rows from a int; give csv")
        assert refuse([]).startswith("cannot read rows from a list")


def test_nothing_is_written_when_a_late_row_is_bad(tmp_path: Path) -> None:
    rows = b"".join(b"some words of row %d,0\n" % at for at in range(400_000))
    data = evenset.data.open(file(tmp_path, "a.csv", b"text,label\n" + rows + b"one,two,three\n"), positive="1")
    written: list[int] = []

    def copy() -> None:
        with open_writer(tmp_path / "out" / "data.csv", like=data) as writer:
            for batch in data.batches():
                writer.write(batch)
                written.append(batch.n)

    with pytest.raises(InputError, match="row 400001"):
        copy()
    assert written
    assert list((tmp_path / "out").iterdir()) == []
