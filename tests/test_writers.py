"""Rows are written back in the form they came in: what was not touched is as it was, and all of it or nothing."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_open import FORMS, TEXTS, make, packed, save_hf, table

import evenset.data
from evenset.data import Dataset, InputError
from evenset.data.files import sha256_file
from evenset.data.writers import open_writer, output_name
from evenset.data.writers_text import edited

FIXTURE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
# What a CSV cell can hold: no NUL, no half surrogates.
CELL = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", ",", '"', '""', "\n", "\r\n", "\r", " ", 'a"b', "\t", "\ufeff", "'", ";", "a,b\nc"]
)


def copy(data: Dataset, path: Path, **extra: pa.DataType) -> Path:
    with open_writer(path, like=data, extra=extra) as writer:
        for batch in data.batches():
            writer.write(batch)
    return path


def interrupted(data: Dataset, path: Path, error: type[BaseException]) -> None:
    with open_writer(path, like=data) as writer:
        writer.write(next(data.batches()))
        raise error


def texts(data: Dataset) -> list[str]:
    return [text for batch in data.batches() for text in batch.text.to_pylist()]


def column(data: Dataset, name: str) -> list[object]:
    return [value for batch in data.batches(columns=[name]) for value in batch.column(name).to_pylist()]


@pytest.mark.parametrize("form", FORMS)
class TestEveryForm:
    def test_a_copy_is_the_same(self, tmp_path: Path, form: str) -> None:
        data = evenset.data.open(make(tmp_path, form))
        path = copy(data, tmp_path / "out" / output_name(data))
        again = evenset.data.open(path)
        assert (again.form, again.compression, again.names) == (data.form, data.compression, data.names)
        assert texts(again) == TEXTS
        if again.source.schema is not None:
            assert again.source.schema.equals(data.source.schema, check_metadata=True)
        assert [entry.name for entry in (tmp_path / "out").iterdir()] == [output_name(data)]

    def test_new_texts_extra_columns_and_fewer_rows(self, tmp_path: Path, form: str) -> None:
        data = evenset.data.open(make(tmp_path, form), axes_columns=["id"])
        path = tmp_path / "out" / output_name(data)
        extra = {"weight": pa.float64(), "evenset_parent": pa.string()}
        with open_writer(path, like=data, extra=extra) as writer:
            for batch in data.batches():
                part = batch.take([0, 1, 1])
                new = pa.array([part.text[0].as_py(), 'They _ran_,\nand "ran".', "kept"], pa.large_string())
                parents = pa.array([None, None, "ab12"])
                writer.write(part, text=new, extra={"weight": pa.array([1.0, 0.1, None]), "evenset_parent": parents})
            assert writer.rows == 3
        again = evenset.data.open(path, id="id")
        assert set(again.names) == {"id", "text", "label", "weight", "evenset_parent"}
        assert texts(again) == [TEXTS[0], 'They _ran_,\nand "ran".', "kept"]
        assert column(again, "id") == ["a", "b", "b"]
        assert [label for batch in again.batches() for label in batch.label.to_pylist()] == ["0", "1", "1"]
        weights = [float(value) if value not in {"", None} else None for value in column(again, "weight")]
        assert weights == [1.0, 0.1, None]
        assert [value or None for value in column(again, "evenset_parent")] == [None, None, "ab12"]

    def test_an_error_leaves_nothing(self, tmp_path: Path, form: str) -> None:
        data = evenset.data.open(make(tmp_path, form))
        path = tmp_path / "out" / output_name(data)
        for error in (ValueError, KeyboardInterrupt):
            with pytest.raises(error):
                interrupted(data, path, error)
        writer = open_writer(path, like=data)
        writer.write(next(data.batches()))
        writer.abort()
        writer.abort()
        assert list((tmp_path / "out").iterdir()) == []

    def test_an_extra_column_of_a_known_name_takes_its_place(self, tmp_path: Path, form: str) -> None:
        data = evenset.data.open(make(tmp_path, form), text="text", label="label")
        path = tmp_path / "out" / output_name(data)
        with open_writer(path, like=data, extra={"id": pa.int64()}) as writer:
            for batch in data.batches():
                writer.write(batch, extra={"id": pa.array(range(batch.n))})
        again = evenset.data.open(path)
        assert again.names == data.names
        assert [int(str(value)) for value in column(again, "id")] == [0, 1, 2, 3, 4]

    def test_no_rows_at_all(self, tmp_path: Path, form: str) -> None:
        data = evenset.data.open(make(tmp_path, form))
        path = tmp_path / "out" / output_name(data)
        with open_writer(path, like=data):
            pass
        with pytest.raises(InputError, match=r"no rows|is empty"):
            evenset.data.open(path)

    def test_the_same_rows_make_the_same_bytes(self, tmp_path: Path, form: str) -> None:
        data = evenset.data.open(make(tmp_path, form))
        hashes = set()
        for name in ("one", "two"):
            path = copy(data, tmp_path / name / output_name(data))
            files = sorted(path.iterdir()) if path.is_dir() else [path]
            hashes.add(tuple(sha256_file(file) for file in files))
        assert len(hashes) == 1

    def test_permissions(self, tmp_path: Path, form: str) -> None:
        data = evenset.data.open(make(tmp_path, form))
        path = tmp_path / output_name(data)
        if form != "hf":
            path = tmp_path / "mode"
            with open_writer(path, like=data, mode=0o600) as writer:
                writer.write(next(data.batches()))
            assert path.stat().st_mode & 0o777 == 0o600


class TestCsv:
    @FIXTURE
    @given(rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8), new=st.data(), tabs=st.booleans())
    def test_what_is_written_is_read(
        self, tmp_path: Path, rows: list[tuple[str, str]], new: st.DataObject, tabs: bool
    ) -> None:
        delimiter, name = ("\t", "a.tsv") if tabs else (",", "a.csv")
        source = io.StringIO(newline="")
        writer = csv.writer(source, delimiter=delimiter)
        writer.writerows([["text", "other"], *rows])
        (tmp_path / name).write_bytes(source.getvalue().encode())
        data = evenset.data.open(tmp_path / name, text="text")
        assert texts(data) == [text for text, _ in rows]
        changed = [new.draw(CELL) for _ in rows]
        with open_writer(tmp_path / "out" / name, like=data) as out:
            for batch in data.batches():
                out.write(batch, text=pa.array(changed, pa.large_string()))
        again = evenset.data.open(tmp_path / "out" / name, text="text")
        assert texts(again) == changed
        assert column(again, "other") == [other for _, other in rows]
        # Others read the same.
        content = (tmp_path / "out" / name).read_bytes().decode()
        with io.StringIO(content, newline="") as file:
            assert list(csv.reader(file, delimiter=delimiter))[1:] == [
                [text, other] for text, (_, other) in zip(changed, rows, strict=True)
            ]

    @FIXTURE
    @given(rows=st.lists(CELL, min_size=1, max_size=8))
    def test_a_single_column(self, tmp_path: Path, rows: list[str]) -> None:
        memory = evenset.data.open(pa.table({"text": rows}))
        with open_writer(tmp_path / "a.csv", like=memory) as out:
            out.write(next(memory.batches()))
        assert texts(evenset.data.open(tmp_path / "a.csv", text="text")) == rows

    @pytest.mark.parametrize(
        "content",
        [
            'text,label\r\n"a, b",0\r\nc,1\r\n',
            '"text","label"\n"a, b","0"\n"c","1"\n',
            "text;label\na, b;0\nc;1\n",
            "\ufefftext,label\na,0\nb,1\n",
            '"","text"\n"0","a"\n',
            "text|label\na|0\nb|1\n",
        ],
    )
    def test_the_way_of_writing_is_kept(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "a.csv").write_bytes(content.encode())
        data = evenset.data.open(tmp_path / "a.csv", text="text")
        assert copy(data, tmp_path / "b.csv").read_bytes().decode() == content

    @pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
    def test_the_encoding_is_kept(self, tmp_path: Path, encoding: str) -> None:
        content = "text,label\n" + "".join(f"café {at},0\nnaïve,1\n" for at in range(50))
        (tmp_path / "a.csv").write_bytes(content.encode(encoding))
        data = evenset.data.open(tmp_path / "a.csv", encoding=encoding)
        assert copy(data, tmp_path / "b.csv").read_bytes() == content.encode(encoding)

    def test_a_character_that_the_encoding_lacks(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_bytes("text,label\ncafé,0\nb,1\n".encode("latin-1"))
        data = evenset.data.open(tmp_path / "a.csv", encoding="latin-1")
        batch = next(data.batches())
        message = r"^the character U\+2014 cannot be written in the input's encoding"
        with pytest.raises(InputError, match=message), open_writer(tmp_path / "b.csv", like=data) as writer:
            writer.write(batch, text=pa.array(["a — b", "b"], pa.large_string()))
        assert not (tmp_path / "b.csv").exists()


class TestJsonl:
    LINES = (
        b'{"n": 1e5, "text": "caf\\u00e9", "nested": {"text": "x", "b": [1.0, null]}}',
        '  {"text":"Ünï","text":"ünï","n":1.00}  '.encode(),
        b'{"label": 1, "text": null}\r',
        b'{"text": "", "big": 123456789012345678901234567890}',
        b'{"n": 2}',
        b'{"text": "\\/ \\"q\\""}',
    )

    def open(self, folder: Path) -> Dataset:
        (folder / "a.jsonl").write_bytes(b"\n".join(self.LINES) + b"\n")
        return evenset.data.open(folder / "a.jsonl", text="text")

    def test_untouched_lines_byte_for_byte(self, tmp_path: Path) -> None:
        data = self.open(tmp_path)
        path = tmp_path / "b.jsonl"
        with open_writer(path, like=data, extra={"evenset_parent": pa.string()}) as writer:
            for batch in data.batches():
                writer.write(batch, text=batch.text)  # the same text is no change, a null one stays null
        assert path.read_bytes() == (tmp_path / "a.jsonl").read_bytes()

    def test_a_change_touches_nothing_else(self, tmp_path: Path) -> None:
        data = self.open(tmp_path)
        path = tmp_path / "b.jsonl"
        with open_writer(path, like=data) as writer:
            for batch in data.batches():
                writer.write(batch, text=pa.array(["é _"] * batch.n, pa.large_string()))
        assert path.read_bytes().splitlines() == [
            b'{"n": 1e5, "text": "\\u00e9 _", "nested": {"text": "x", "b": [1.0, null]}}',
            '  {"text":"Ünï","text":"é _","n":1.00}  '.encode(),
            '{"label": 1, "text": "é _"}'.encode(),
            '{"text": "é _", "big": 123456789012345678901234567890}'.encode(),
            '{"n": 2, "text": "é _"}'.encode(),
            '{"text": "é _"}'.encode(),
        ]

    @FIXTURE
    @given(
        item=st.dictionaries(
            st.text(max_size=4),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
                max_leaves=6,
            ),
            max_size=5,
        ),
        changes=st.dictionaries(st.text(max_size=4), st.text(max_size=6) | st.integers() | st.floats(allow_nan=False)),
        style=st.sampled_from([None, (",", ":"), (" , ", " : ")]),
        ascii_only=st.booleans(),
    )
    def test_edited_is_an_update(
        self, item: dict[str, object], changes: dict[str, object], style: tuple[str, str] | None, ascii_only: bool
    ) -> None:
        def whole(value: object) -> bool:
            return "\\ud" not in json.dumps(value)  # half surrogates are refused at reading

        if not (whole(item) and whole(changes)):
            return
        line = json.dumps(item, separators=style, ensure_ascii=ascii_only).encode()
        assert json.loads(edited(line, changes)) == {**item, **changes}

    def test_a_number_that_json_lacks(self) -> None:
        assert edited(b"{}", {"weight": float("nan")}) == b'{"weight": null}'


class TestTyped:
    def test_parquet_keeps_types_metadata_and_compression(self, tmp_path: Path) -> None:
        rows = pa.table(
            {
                "text": pa.array(["a", None, "c"]).dictionary_encode(),
                "label": pa.array([1, None, 0], pa.int8()),
                "tags": pa.array([["x"], [], None]),
                "when": pa.array([1, 2, 3], pa.timestamp("ms", tz="UTC")),
                "deep": pa.array([{"k": 1}, None, {"k": None}]),
            }
        ).replace_schema_metadata({"made by": "somebody"})
        pq.write_table(rows, tmp_path / "a.parquet", compression="zstd")
        data = evenset.data.open(tmp_path / "a.parquet")
        path = copy(data, tmp_path / "b.parquet", weight=pa.float64())
        again = pq.read_table(path)
        assert again.drop_columns(["weight"]).equals(rows)
        assert again.schema.metadata[b"made by"] == b"somebody"
        assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"
        with open_writer(path, like=data) as writer:
            for batch in data.batches():
                writer.write(batch, text=pa.array(["new", "", "c"], pa.large_string()))
        again = pq.read_table(path)
        assert again.column("text").to_pylist() == ["new", None, "c"]
        assert again.schema.equals(pq.read_schema(tmp_path / "a.parquet"), check_metadata=True)

    def test_pandas_reads_what_it_wrote(self, tmp_path: Path) -> None:
        frame = table().to_pandas()
        frame.to_parquet(tmp_path / "a.parquet")
        data = evenset.data.open(tmp_path / "a.parquet")
        with open_writer(tmp_path / "b.parquet", like=data, extra={"weight": pa.float64()}) as writer:
            writer.write(next(data.batches()).take([1, 3]), extra={"weight": pa.array([1.0, 2.0])})
        again = type(frame)(pq.read_table(tmp_path / "b.parquet").to_pandas())
        assert again["text"].tolist() == [TEXTS[1], TEXTS[3]]
        assert again["weight"].tolist() == [1.0, 2.0]

    def test_many_rows_become_large_row_groups(self, tmp_path: Path) -> None:
        rows = pa.table({"text": ["some words"] * 300_000, "label": [0, 1] * 150_000})
        pq.write_table(rows, tmp_path / "a.parquet", row_group_size=1000)
        path = copy(evenset.data.open(tmp_path / "a.parquet"), tmp_path / "b.parquet")
        assert pq.read_metadata(path).num_row_groups <= 3
        assert pq.read_table(path).equals(rows)

    def test_an_arrow_file_with_dictionaries(self, tmp_path: Path) -> None:
        rows = pa.table({"text": ["a", "b"] * 50, "label": pa.array(["x", "y"] * 50).dictionary_encode()})
        with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as file, pa.ipc.new_file(file, rows.schema) as writer:
            writer.write_table(rows, max_chunksize=10)
        path = copy(evenset.data.open(tmp_path / "a.arrow"), tmp_path / "b.arrow")
        with pa.memory_map(str(path)) as file:
            assert pa.ipc.open_file(file).read_all().equals(rows)


class TestHuggingFace:
    def test_datasets_opens_it(self, tmp_path: Path) -> None:
        datasets = pytest.importorskip("datasets")
        data = evenset.data.open(save_hf(tmp_path / "in", table()))
        extra = {"weight": pa.float64(), "evenset_parent": pa.string()}
        with open_writer(tmp_path / "out", like=data, extra=extra) as writer:
            for batch in data.batches():
                new = pa.array([text.upper() for text in batch.text.to_pylist()], pa.large_string())
                writer.write(batch, text=new, extra={"weight": pa.array([0.5] * batch.n)})
        rows = datasets.load_from_disk(str(tmp_path / "out"))
        assert rows["text"][:] == [text.upper() for text in TEXTS]
        assert rows["weight"][:] == [0.5] * 5
        assert rows["evenset_parent"][:] == [None] * 5
        assert rows["id"][:] == ["a", "b", "c", "d", "e"]
        assert rows.features["weight"].dtype == "float64"
        assert rows._fingerprint != datasets.load_from_disk(str(tmp_path / "in"))._fingerprint

    def test_class_labels_stay(self, tmp_path: Path) -> None:
        datasets = pytest.importorskip("datasets")
        datasets.disable_progress_bars()
        features = datasets.Features(
            {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["fine", "toxic"])}
        )
        rows = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]}, features=features)
        rows.save_to_disk(str(tmp_path / "in"))
        rows.to_parquet(str(tmp_path / "in.parquet"))
        copy(evenset.data.open(tmp_path / "in"), tmp_path / "out", weight=pa.float64())
        again = datasets.load_from_disk(str(tmp_path / "out"))
        assert again.features["label"].names == ["fine", "toxic"]
        path = copy(evenset.data.open(tmp_path / "in.parquet"), tmp_path / "out.parquet", weight=pa.float64())
        again = datasets.Dataset.from_parquet(str(path), cache_dir=str(tmp_path / "cache"))
        assert again.features["label"].names == ["fine", "toxic"]
        assert again.column_names == ["text", "label", "weight"]


class TestSeveralFiles:
    @pytest.mark.parametrize("form", [".csv", ".jsonl.gz", ".parquet"])
    def test_names_are_kept(self, tmp_path: Path, form: str) -> None:
        source = make(tmp_path, form)
        for name in ("x/1", "x/2", "y/1"):
            (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "in" / (name + form)).write_bytes(source.read_bytes())
        data = evenset.data.open(str(tmp_path / "in" / "*" / f"*{form}"))
        assert output_name(data) == "rows"
        with open_writer(tmp_path / "out" / "rows", like=data) as writer:
            for batch in data.batches():
                if batch.file != 1:
                    writer.write(batch.take([batch.file]))
        found = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
        assert found == [f"rows/x/1{form}", f"rows/x/2{form}", f"rows/y/1{form}"]
        assert texts(evenset.data.open(tmp_path / "out" / "rows" / "x" / f"1{form}")) == [TEXTS[0]]
        assert texts(evenset.data.open(tmp_path / "out" / "rows" / "y" / f"1{form}")) == [TEXTS[2]]
        with pytest.raises(InputError, match=r"no rows|is empty"):
            evenset.data.open(tmp_path / "out" / "rows" / "x" / f"2{form}")

    def test_batches_come_in_order(self, tmp_path: Path) -> None:
        for name in ("1", "2"):
            (tmp_path / f"{name}.csv").write_text("text,label\na,0\nb,1\n")
        data = evenset.data.open(str(tmp_path / "*.csv"))
        first, second = data.batches()
        writer = open_writer(tmp_path / "rows", like=data)
        writer.write(second)
        with pytest.raises(ValueError, match="order of the files"):
            writer.write(first)
        assert not (tmp_path / "rows").exists()


class TestMemory:
    @pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.csv", "a.tsv.gz", "a.jsonl"])
    def test_the_name_says_the_form(self, tmp_path: Path, name: str) -> None:
        data = evenset.data.open(table())
        assert texts(evenset.data.open(copy(data, tmp_path / name))) == TEXTS

    def test_a_name_that_says_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r'cannot tell the form of "a\.xyz"'):
            open_writer(tmp_path / "a.xyz", like=evenset.data.open(table()))


class TestUse:
    def test_wrong_calls(self, tmp_path: Path) -> None:
        data = evenset.data.open(make(tmp_path, ".parquet"))
        batch = next(data.batches())
        for arguments, words in (
            ({"text": pa.array(["x"])}, "1 texts for 5 rows"),
            ({"extra": {"weight": pa.array([1.0])}}, '1 values of "weight" for 5 rows'),
            ({"extra": {"other": pa.array([1.0] * 5)}}, "must be named in open_writer"),
        ):
            with (
                pytest.raises(ValueError, match=words),
                open_writer(tmp_path / "b.parquet", like=data, extra={"weight": pa.float64()}) as writer,
            ):
                writer.write(batch, **arguments)
        part = next(data.batches(columns=[]))
        with (
            pytest.raises(ValueError, match="read it with all columns"),
            open_writer(tmp_path / "b.parquet", like=data) as writer,
        ):
            writer.write(part)
        assert not (tmp_path / "b.parquet").exists()

    @pytest.mark.parametrize("form", FORMS)
    def test_a_full_disk(self, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
        data = evenset.data.open(make(tmp_path, form))

        def full(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        path = tmp_path / "out" / output_name(data)
        writer = open_writer(path, like=data)
        assert writer._sink is not None
        monkeypatch.setattr(type(writer._sink), "write", full)
        with pytest.raises(InputError, match="the disk is full; free some space or choose another --out"):
            writer.write(next(data.batches()))
        assert list((tmp_path / "out").iterdir()) == []

    def test_the_device_that_is_always_full(self, tmp_path: Path) -> None:
        # Arrow's own writers carry the number of the system's error, which the message hangs on.
        with pa.OSFile("/dev/full", "wb") as file, pytest.raises(OSError, match="No space left") as caught:
            file.write(bytes(100_000))
        assert caught.value.errno == errno.ENOSPC


@pytest.mark.real
class TestReal:
    def test_copies(self, shared_data: Path, tmp_path: Path) -> None:
        for name in (
            "gab/dev.csv",
            "iptts/bias_madlibs_77k.csv",
            "dixon_topup/random_snippets.tsv",
            "bug/balanced.csv",
        ):
            data = evenset.data.open(shared_data / name)
            again = evenset.data.open(copy(data, tmp_path / name))
            assert again.names == data.names
            for ours, theirs in zip(again.batches(), data.batches(), strict=True):
                assert ours.table.equals(theirs.table)

    def test_bytes_where_the_quoting_is_regular(self, shared_data: Path, tmp_path: Path) -> None:
        source = shared_data / "gab" / "test.csv"
        assert copy(evenset.data.open(source), tmp_path / "a.csv").read_bytes() == source.read_bytes()


def test_packed_files_open_elsewhere(tmp_path: Path) -> None:
    import gzip

    data = evenset.data.open(packed(tmp_path / "a.csv.gz", b"text,label\nan apple,0\na pear,1\n"))
    content = copy(data, tmp_path / "b.csv.gz").read_bytes()
    assert gzip.decompress(content) == b"text,label\nan apple,0\na pear,1\n"
    assert content[4:8] == bytes(4)  # no time in it
