"""Every form of input becomes the same stream of batches, and what was guessed is said aloud."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import evenset.data
from evenset.data import Columns, Dataset, InputError
from evenset.data.dataset import BATCH_BYTES
from evenset.data.presets import PROFESSIONS

TEXTS = ['He said "no", twice.', "She ran,\nand ran.", "", "Ünïcode 🎉\ttab", "plain"]
LABELS = [0, 1, 1, 0, 1]


def table() -> pa.Table:
    return pa.table({"id": ["a", "b", "c", "d", "e"], "text": TEXTS, "label": LABELS})


def csv_bytes(delimiter: str = ",") -> bytes:
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(table(), sink, pyarrow.csv.WriteOptions(delimiter=delimiter))
    return sink.getvalue().to_pybytes()


def jsonl_bytes() -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in table().to_pylist())


def packed(path: Path, content: bytes) -> Path:
    if path.suffix in {".gz", ".zst"}:
        codec = {".gz": "gzip", ".zst": "zstd"}[path.suffix]
        with pa.OSFile(str(path), "wb") as file, pa.CompressedOutputStream(file, codec) as out:
            out.write(content)
    else:
        path.write_bytes(content)
    return path


def save_hf(folder: Path, rows: pa.Table) -> Path:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    datasets.Dataset(rows).save_to_disk(str(folder), num_shards=2)
    return folder


def make(folder: Path, form: str) -> Path:
    path = folder / f"data{form}"
    if form == "hf":
        return save_hf(path, table())
    if form == ".parquet":
        pq.write_table(table(), path)
    elif form == ".arrow":
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table().schema) as writer:
            writer.write_table(table(), max_chunksize=2)
    elif form == ".arrows":
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table().schema) as writer:
            writer.write_table(table(), max_chunksize=2)
    else:
        content = jsonl_bytes() if "json" in form else csv_bytes("\t" if "tsv" in form else ",")
        packed(path, content)
    return path


FORMS = [".csv", ".csv.gz", ".csv.zst", ".tsv", ".tsv.gz", ".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet"]
FORMS += [".arrow", ".arrows", "hf"]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_rows(tmp_path: Path, form: str) -> None:
    data = evenset.data.open(make(tmp_path, form), id="id")
    assert data.names == ("id", "text", "label")
    assert data.columns == Columns(text="text", label="label", positive="1", id="id")
    assert data.notes == ("text=text, label=label (positive=1); change with --text, --label",)
    for _ in range(2):  # can be read again
        batches = list(data.batches())
        assert [text for batch in batches for text in batch.text.to_pylist()] == TEXTS
        assert [label for batch in batches for label in batch.label.to_pylist()] == [str(value) for value in LABELS]
        assert [name for batch in batches for name in batch.column("id").to_pylist()] == ["a", "b", "c", "d", "e"]
        assert batches[0].text.type == pa.large_string()
        assert batches[0].label.type == pa.string()
    assert len(data.sha256()) == 64
    assert data.describe()["columns"]["positive"] == "1"


def test_a_dataset_travels_to_another_process(tmp_path: Path) -> None:
    data = evenset.data.open(make(tmp_path, ".csv.gz"))
    again = pickle.loads(pickle.dumps(data))
    assert [batch.text.to_pylist() for batch in again.batches()] == [TEXTS]


def test_a_glob_reads_files_in_order_of_name_and_numbers_rows_through(tmp_path: Path) -> None:
    for name, text in (("b", "second"), ("a", "first")):
        (tmp_path / f"{name}.csv").write_text(f"text,label\n{text} one,0\n{text} two,1\n")
    data = evenset.data.open(str(tmp_path / "*.csv"))
    batches = list(data.batches())
    assert [(batch.file, batch.start, batch.text.to_pylist()) for batch in batches] == [
        (0, 0, ["first one", "first two"]),
        (1, 2, ["second one", "second two"]),
    ]
    assert [path.name for path in data.paths] == ["a.csv", "b.csv"]


def test_stdin_is_kept_in_the_output_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for content, form, compression in (
        (csv_bytes(), "csv", None),
        (csv_bytes("\t"), "tsv", None),
        (jsonl_bytes(), "jsonl", None),
        (gzip.compress(jsonl_bytes()), "jsonl", "gzip"),
        (make(tmp_path, ".parquet").read_bytes(), "parquet", None),
    ):
        spool = tmp_path / f"{form}{compression}"
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        data = evenset.data.open("-", spool=spool)
        assert (data.form, data.compression) == (form, compression)
        assert [text for batch in data.batches() for text in batch.text.to_pylist()] == TEXTS
        assert [entry.name for entry in spool.iterdir()] == [data.paths[0].name]
        assert data.paths[0].read_bytes() == content


def test_stdin_without_a_folder_is_kept_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(csv_bytes())))
    assert sum(batch.n for batch in evenset.data.open("-").batches()) == 5


class TestMemory:
    def test_tables_of_all_kinds(self) -> None:
        for rows in (table(), table().to_batches()[0], table().to_pandas(), table().to_pylist()):
            data = evenset.data.open(rows)
            assert data.form == "memory"
            assert [batch.text.to_pylist() for batch in data.batches()] == [TEXTS]
            assert data.paths == ()

    def test_a_hugging_face_dataset_with_its_own_order(self) -> None:
        datasets = pytest.importorskip("datasets")
        rows = datasets.Dataset(table()).select([4, 0])
        assert [batch.text.to_pylist() for batch in evenset.data.open(rows).batches()] == [[TEXTS[4], TEXTS[0]]]

    def test_pandas_nulls(self) -> None:
        frame = pd.DataFrame({"text": ["a", None, "c"], "label": [1.0, 0.0, np.nan]})
        batch = next(evenset.data.open(frame).batches())
        assert batch.text.to_pylist() == ["a", "", "c"]
        assert batch.text_null.tolist() == [False, True, False]
        assert batch.label.to_pylist() == ["1", "0", None]

    def test_dataset_of(self) -> None:
        data = Dataset.of(table(), text="text", label="label", positive="1")
        assert data.notes == ()
        assert data.sha256() == Dataset.of(table().to_pandas()).sha256()
        assert data.sha256() != Dataset.of(table().slice(1)).sha256()

    def test_rows_that_lack_keys(self) -> None:
        data = evenset.data.open([{"text": "a", "label": 0}, {"text": "b", "label": 1, "more": "x"}])
        assert data.names == ("text", "label", "more")


class TestGuess:
    def test_the_longer_of_known_names_is_the_text(self) -> None:
        rows = [{"title": "Short", "body": "A good deal longer than the title.", "label": "x"}]
        data = evenset.data.open(rows)
        assert data.columns.text == "body"

    def test_an_unknown_name_is_found_by_its_length(self) -> None:
        rows = [{"k": "abc", "said": "A sentence of some length, as people write them.", "label": "x"}]
        data = evenset.data.open(rows)
        assert data.columns.text == "said"
        assert data.notes == ("text=said, label=label; change with --text, --label",)

    def test_case_does_not_matter(self) -> None:
        data = evenset.data.open([{"Text": "a b", "Label": "BAD"}, {"Text": "c d", "Label": "NOT_BAD"}])
        assert (data.columns.text, data.columns.label, data.columns.positive) == ("Text", "Label", "BAD")

    def test_what_is_said_is_not_guessed(self) -> None:
        rows = [
            {"text": "a b", "other": "c d", "label": 0, "mine": "x"},
            {"text": "", "other": "", "label": 1, "mine": "y"},
        ]
        data = evenset.data.open(rows, text="other", label="mine", positive="y")
        assert data.columns == Columns(text="other", label="mine", positive="y")
        assert data.notes == ()

    @pytest.mark.parametrize(
        ("values", "positive"),
        [
            ([0, 1], "1"),
            ([False, True], "true"),
            (["False", "True"], "True"),
            (["no", "yes"], "yes"),
            (["normal", "hateful"], "hateful"),
            ([0.0, 1.0], "1"),
            (["a", "b"], None),
            (["yes", "true"], None),  # both could be
            ([0, 1, 2], None),
        ],
    )
    def test_positive(self, values: list[object], positive: str | None) -> None:
        data = evenset.data.open(pa.table({"text": [f"text {value}" for value in values], "label": values}))
        assert data.columns.positive == positive
        aloud = any("--positive" in note for note in data.notes)
        assert aloud == (positive is None and len(values) == 2)

    def test_positive_in_another_case(self) -> None:
        rows = [{"text": "a", "label": "Toxic"}, {"text": "b", "label": "Fine"}]
        assert evenset.data.open(rows, label="label", positive="toxic").columns.positive == "Toxic"

    def test_no_label_is_no_error_unless_needed(self) -> None:
        rows = [{"text": "a b"}, {"text": "c d"}]
        data = evenset.data.open(rows)
        assert data.columns.label is None
        assert next(data.batches()).label is None
        assert data.notes == ("text=text; change with --text",)
        with pytest.raises(InputError, match="which column of the table is the label"):
            evenset.data.open(rows, need_label=True)

    def test_a_score_gets_a_threshold(self) -> None:
        data = evenset.data.open(pa.table({"text": ["a", "b", "c"], "toxicity": [0.1, 0.5, None]}))
        assert data.columns.label_threshold == 0.5
        assert data.columns.positive == "1"
        assert next(data.batches()).label.to_pylist() == ["0", "1", None]
        assert data.notes == (
            "text=text, label=toxicity (1 where the score is at least 0.5); change with --text, --label",
        )

    def test_a_column_that_never_repeats_is_no_label(self) -> None:
        rows = [{"text": f"text {at}", "label": f"other text {at}"} for at in range(400)]
        assert evenset.data.open(rows).columns.label is None

    def test_separators_are_found_and_said(self, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"
        path.write_text("text;label\nein Satz, mit Komma;0\nnoch einer;1\n")
        data = evenset.data.open(path)
        assert data.names == ("text", "label")
        assert data.notes[0] == 'the columns of a.csv are separated by ";"'

    def test_a_name_without_a_form_is_looked_into(self, tmp_path: Path) -> None:
        for content, form in ((csv_bytes(), "csv"), (jsonl_bytes(), "jsonl"), (gzip.compress(csv_bytes("\t")), "tsv")):
            path = tmp_path / f"{form}.txt"
            path.write_bytes(content)
            data = evenset.data.open(path)
            assert data.form == form
            assert "read as" in data.notes[0]
            assert sum(batch.n for batch in data.batches()) == 5


class TestPresets:
    BIOS: ClassVar[dict[str, list[str] | list[int]]] = {
        "hard_text": ["She teaches.", "He operates.", "She writes."],
        "profession": [26, 25, 20],
        "gender": [1, 0, 1],
    }

    def test_bias_in_bios(self, tmp_path: Path) -> None:
        assert (len(PROFESSIONS), PROFESSIONS[0], PROFESSIONS[27]) == (28, "accountant", "yoga_teacher")
        pq.write_table(pa.table(self.BIOS), tmp_path / "train.parquet")
        for preset in (None, "bias-in-bios"):
            data = evenset.data.open(tmp_path / "train.parquet", preset=preset)
            batch = next(data.batches())
            assert batch.label.to_pylist() == ["teacher", "surgeon", "poet"]
            assert batch.column("gender").to_pylist() == ["female", "male", "female"]
            assert batch.table.column("gender").to_pylist() == [1, 0, 1]
            assert data.suggested_axes == ("column:gender",)
            assert data.preset == "bias-in-bios"
            assert data.notes[0] == "read as bias-in-bios (--preset)"

    def test_bias_in_bios_with_names_as_they_are(self) -> None:
        rows = {**self.BIOS, "profession": ["teacher", "surgeon", "a poet"], "gender": ["F", "M", "F"]}
        batch = next(evenset.data.open(pa.table(rows)).batches())
        assert batch.label.to_pylist() == ["teacher", "surgeon", "a poet"]
        assert batch.column("gender").to_pylist() == ["F", "M", "F"]

    def test_jigsaw(self, tmp_path: Path) -> None:
        path = tmp_path / "train.csv"
        path.write_text("id,comment_text,toxic,black,muslim\n1,good day,0,0.0,\n2,you rat,1,0.8,0.2\n")
        data = evenset.data.open(path)
        assert (data.preset, data.columns.label, data.columns.positive) == ("jigsaw", "toxic", "1")
        assert data.suggested_axes == ("column:muslim>=0.5", "column:black>=0.5")

    def test_civil_comments(self, tmp_path: Path) -> None:
        path = tmp_path / "train.csv"
        path.write_text("id,target,comment_text,black\n1,0.0,good day,\n2,0.83,you rat,0.8\n")
        data = evenset.data.open(path)
        assert (data.preset, data.columns.label, data.columns.label_threshold) == ("civil-comments", "target", 0.5)
        assert [batch.label.to_pylist() for batch in data.batches()] == [["0", "1"]]

    def test_another_text_is_no_preset(self) -> None:
        rows = {**self.BIOS, "cleaned": ["a", "b", "c"]}
        assert evenset.data.open(pa.table(rows), text="cleaned", label="profession").preset is None


class TestLabels:
    def open(self, labels: pa.Array, **options: object) -> list[str | None]:
        rows = pa.table({"text": ["t"] * len(labels), "label": labels})
        batch = next(evenset.data.open(rows, label="label", text="text", **options).batches())
        return batch.label.to_pylist()

    def test_one_spelling(self) -> None:
        assert self.open(pa.array([3, None])) == ["3", None]
        assert self.open(pa.array([1.0, float("nan"), 0.0])) == ["1", None, "0"]
        assert self.open(pa.array([True, False])) == ["true", "false"]
        assert self.open(pa.array([" a ", "1.0", "nan", "", "NaN"])) == ["a", "1", None, None, None]
        assert self.open(pa.array(["x", "y", "x", None]).dictionary_encode()) == ["x", "y", "x", None]

    def test_threshold(self) -> None:
        assert self.open(pa.array([0.1, 0.7, None, 0.5]), label_threshold=0.5) == ["0", "1", None, "1"]
        assert self.open(pa.array(["0.1", "7e-1", "", " +1"]), label_threshold=0.5) == ["0", "1", None, "1"]

    def test_fractions_stay(self) -> None:
        assert self.open(pa.array([1.5, 2.5])) == ["1.5", "2.5"]


class TestBatches:
    def test_weights(self) -> None:
        rows = pa.table({"text": ["a", "b"], "label": [0, 1], "w": ["1", "2.5"]})
        batch = next(evenset.data.open(rows, weight="w").batches())
        assert batch.weight is not None
        assert batch.weight.tolist() == [1.0, 2.5]

    def test_take(self) -> None:
        batch = next(evenset.data.open(table()).batches()).take([4, 0, 0])
        assert batch.n == 3
        assert batch.text.to_pylist() == [TEXTS[4], TEXTS[0], TEXTS[0]]
        assert batch.label is not None
        assert batch.label.to_pylist() == ["1", "0", "0"]
        assert batch.column("id").to_pylist() == ["e", "a", "a"]

    def test_long_texts_are_cut_into_batches(self) -> None:
        rows = pa.table({"text": ["x" * 5_000_000] * 8, "label": [0, 1] * 4})
        batches = list(evenset.data.open(rows).batches())
        assert [batch.start for batch in batches] == [0, 3, 6]
        assert all(pa.compute.sum(pa.compute.binary_length(batch.text)).as_py() <= BATCH_BYTES for batch in batches)

    def test_many_rows_are_cut_into_batches(self) -> None:
        rows = pa.table({"text": ["x"] * 150_000, "label": [0, 1] * 75_000})
        assert [batch.n for batch in evenset.data.open(rows).batches()] == [65_536, 65_536, 18_928]

    def test_few_rows_are_joined(self) -> None:
        pieces = pa.Table.from_batches(pa.table({"text": ["x"] * 9000, "label": [0, 1] * 4500}).to_batches(100))
        assert [batch.n for batch in evenset.data.open(pieces).batches()] == [9000]

    @pytest.mark.parametrize("form", [".csv", ".jsonl", ".parquet", ".arrow"])
    def test_only_the_columns_asked_for(self, tmp_path: Path, form: str) -> None:
        data = evenset.data.open(make(tmp_path, form), text="text", label="label")
        assert set(next(data.batches(columns=[])).table.schema.names) == {"text", "label"}
        assert set(next(data.batches(columns=["id"])).table.schema.names) == {"text", "label", "id"}
        with pytest.raises(InputError, match="no column"):
            next(data.batches(columns=["nosuch"]))

    def test_jsonl_keeps_lines_and_reads_the_columns_of_axes(self, tmp_path: Path) -> None:
        data = evenset.data.open(make(tmp_path, ".jsonl"), axes_columns=["id"])
        batch = next(data.batches())
        assert batch.table.schema.names == ["text", "label", "id", "__line__"]
        assert b"\n".join(batch.column("__line__").to_pylist()) + b"\n" == jsonl_bytes()

    def test_jsonl_values_have_one_spelling(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jsonl"
        path.write_text(
            '{"text": "a", "v": 1}\n\n{"text": "b", "v": [1, "é"]}\n{"text": null, "v": true}\n{"text": "d"}\n'
        )
        batch = next(evenset.data.open(path, axes_columns=["v"]).batches())
        assert batch.column("v").to_pylist() == ["1", '[1, "é"]', "true", None]
        assert batch.text.to_pylist() == ["a", "b", "", "d"]
        assert batch.text_null.tolist() == [False, False, True, False]


class TestEncodings:
    @pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le"])
    @pytest.mark.parametrize("form", [".csv", ".jsonl"])
    def test_other_encodings(self, tmp_path: Path, encoding: str, form: str) -> None:
        path = tmp_path / f"a{form}"
        rows = '"café, crème",0\nnaïve,1\n' if form == ".csv" else '{"text":"café, crème"}\n{"text":"naïve"}\n'
        path.write_text(("text,label\n" if form == ".csv" else "") + rows, encoding=encoding)
        data = evenset.data.open(path, encoding=encoding)
        assert next(data.batches()).text.to_pylist() == ["café, crème", "naïve"]

    @pytest.mark.parametrize("form", [".csv", ".jsonl"])
    def test_a_byte_order_mark_is_no_part_of_a_name(self, tmp_path: Path, form: str) -> None:
        content = b'"text",label\na,0\nb,1\n' if form == ".csv" else b'{"text":"a","label":0}\n{"text":"b","label":1}\n'
        path = tmp_path / f"a{form}"
        path.write_bytes(b"\xef\xbb\xbf" + content)
        data = evenset.data.open(path)
        assert data.names == ("text", "label")
        assert next(data.batches()).text.to_pylist() == ["a", "b"]


class TestCsv:
    def read(self, tmp_path: Path, content: bytes) -> list[str]:
        path = tmp_path / "a.csv"
        path.write_bytes(content)
        return [text for batch in evenset.data.open(path, text="text").batches() for text in batch.text.to_pylist()]

    def test_a_row_of_ten_megabytes(self, tmp_path: Path) -> None:
        long = "word, " * 2_000_000
        texts = self.read(tmp_path, f'text,label\nfirst,0\n"{long}",1\nlast,0\n'.encode())
        assert [len(text) for text in texts] == [5, len(long), 4]
        assert texts[1] == long

    def test_rows_before_a_long_one_come_once(self, tmp_path: Path) -> None:
        many = "".join(f"row {at} {'x' * 90},{at % 2}\n" for at in range(100_000))
        texts = self.read(tmp_path, f'text,label\n{many}"{"y" * 20_000_000}",1\nlast,0\n'.encode())
        assert len(texts) == 100_002
        assert len({*texts}) == 100_002

    def test_line_ends_and_blank_lines(self, tmp_path: Path) -> None:
        assert self.read(tmp_path, b'text,label\r\n"a\r\nb",0\r\n\r\nc,1\r\n') == ["a\r\nb", "c"]
        assert self.read(tmp_path, b'text,label\n"a\nb",0\nc,"1\n"\n\n\n') == ["a\nb", "c"]
        assert self.read(tmp_path, b"text,label\na,0\nb,1") == ["a", "b"]

    def test_an_unnamed_column(self, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"
        path.write_text('"","text","label"\n"0","a","0"\n"1","b","1"\n')
        data = evenset.data.open(path)
        assert data.names == ("", "text", "label")
        assert next(data.batches()).column("").to_pylist() == ["0", "1"]


@pytest.mark.real
class TestReal:
    def test_gab(self, shared_data: Path) -> None:
        data = evenset.data.open(shared_data / "gab" / "train.csv")
        assert data.names == ("", "text", "label", "a")
        assert data.notes == ("text=text, label=label (positive=1); change with --text, --label",)
        labels = np.concatenate([batch.label.to_numpy(zero_copy_only=False) for batch in data.batches()])
        assert len(labels) == 22_767
        assert (labels == "1").mean() == pytest.approx(0.083, abs=0.001)

    def test_gab_as_a_glob(self, shared_data: Path) -> None:
        data = evenset.data.open(str(shared_data / "gab" / "*.csv"))
        assert sum(batch.n for batch in data.batches()) == 22_767 + 1_586 + 1_344

    def test_templates(self, shared_data: Path) -> None:
        data = evenset.data.open(shared_data / "iptts" / "bias_madlibs_77k.csv")
        assert data.columns == Columns(text="Text", label="Label", positive="BAD")
        assert sum(batch.n for batch in data.batches()) == 76_564

    @pytest.mark.parametrize("name", ["identity_snippets.tsv", "random_snippets.tsv"])
    def test_snippets_with_lines_in_quotes(self, shared_data: Path, name: str) -> None:
        data = evenset.data.open(shared_data / "dixon_topup" / name)
        assert (data.columns.text, data.columns.label) == ("comment", "is_toxic")
        batches = list(data.batches())
        assert sum(batch.n for batch in batches) == 5_775
        assert {value for batch in batches for value in batch.label.to_pylist()} == {"False"}

    def test_bug(self, shared_data: Path) -> None:
        data = evenset.data.open(shared_data / "bug" / "balanced.csv")
        assert (data.columns.text, data.columns.label) == ("text", "profession")
        assert sum(batch.n for batch in data.batches()) == 25_504
