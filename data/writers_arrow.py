"""Parquet, Arrow IPC and Hugging Face folders, written: types and metadata as they were."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from .dataset import Dataset
from .errors import InputError
from .files import sha256_file
from .readers_arrow import ArrowSource, batches_of, data_files, groups_of, is_ipc_file
from .regroup import Regrouped
from .sinks import Extra, Rows, with_columns

_GROUP_ROWS = 131_072
_GROUP_BYTES = 32 << 20
_BATCH_ROWS = 16_384


def output_schema(like: Dataset, extra: Extra) -> pa.Schema:
    """Schema of the input with the extra columns, and with what its metadata says of columns brought up to date."""
    schema = like.source.schema
    assert schema is not None
    at = schema.get_field_index(like.columns.text)
    if at >= 0 and pa.types.is_null(schema.field(at).type):  # an all-null text column can become text
        schema = schema.set(at, schema.field(at).with_type(pa.string()))
    for name, kind in extra.items():
        at = schema.get_field_index(name)
        field = pa.field(name, kind)
        schema = schema.append(field) if at < 0 else schema.set(at, field)
    metadata = dict(schema.metadata or {})
    if b"huggingface" in metadata:
        # The library datasets takes its column types from here and refuses a file with others.
        about = json.loads(metadata[b"huggingface"])
        features = (about.get("info") or {}).get("features")
        if isinstance(features, dict):
            features.update(hf_features(extra))
            metadata[b"huggingface"] = json.dumps(about).encode()
            schema = schema.with_metadata(metadata)
    return schema


def hf_features(extra: Extra) -> dict[str, Any]:
    """How the library datasets describes columns."""
    return {name: {"dtype": _hf_name(kind), "_type": "Value"} for name, kind in extra.items()}


def _hf_name(kind: pa.DataType) -> str:
    names = {"double": "float64", "float": "float32", "halffloat": "float16"}
    return names.get(str(kind), str(kind))


def _batch(rows: Rows, text: str, schema: pa.Schema) -> pa.RecordBatch:
    columns = dict(with_columns(rows, text))
    missing = [name for name in schema.names if name not in columns]
    if missing:
        raise ValueError(f"the batch was read without {missing}; read it with all columns")
    arrays = [columns[field.name] for field in schema]
    arrays = [
        array if array.type == field.type else array.cast(field.type)
        for array, field in zip(arrays, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


class ParquetSink:
    """Compressed as the input was; row groups of about 131,072 rows, fewer where rows are long."""

    def __init__(self, path: Path, like: Dataset, file: int, extra: Extra) -> None:
        import pyarrow.parquet as pq

        self._schema = output_schema(like, extra)
        self._text = like.columns.text
        codec = _codec(like.paths[file]) if like.form == "parquet" else "snappy"
        self._writer = pq.ParquetWriter(str(path), self._schema, compression=codec)
        self._groups = Regrouped(self._schema, _rows(like, file, _GROUP_ROWS), self._write)

    def _write(self, table: pa.Table) -> None:
        self._writer.write_table(table, row_group_size=table.num_rows)

    def write(self, rows: Rows) -> None:
        """Add rows."""
        self._groups.add(_batch(rows, self._text, self._schema))

    def close(self) -> None:
        """Write the last rows and the footer."""
        try:
            self._groups.close()
        finally:
            self._writer.close()


def _rows(like: Dataset, file: int, most: int) -> int:
    """How many rows go together: by what the input says of its size, so that only the data decide."""
    if like.form == "memory":
        size, rows = like.source.table.nbytes, like.source.table.num_rows  # type: ignore[attr-defined]
    else:
        paths = data_files(like.form, like.paths)
        if like.form == "parquet":
            groups = groups_of(paths[file])
            size = sum(size for size, _ in groups)
        else:
            paths = paths if like.form == "hf" else paths[file : file + 1]
            groups = [group for path in paths for group in batches_of(path)]
            size = sum(path.stat().st_size for path in paths)
        rows = sum(rows or 0 for _, rows in groups)
    return int(min(max(_GROUP_BYTES * rows // max(size, 1), 64), most)) if rows else most


def _codec(path: Path) -> str:
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(path)
    if not metadata.num_row_groups or not metadata.num_columns:
        return "snappy"
    name = str(metadata.row_group(0).column(0).compression).lower()
    return {"uncompressed": "none", "lz4_raw": "lz4"}.get(name, name)


class _IpcSink:
    """Batches in Arrow's own format, with whatever writer is made for them."""

    def __init__(
        self, path: Path, like: Dataset, extra: Extra, make: Callable[[Any, pa.Schema], Any], *, rows: int = _BATCH_ROWS
    ) -> None:
        self._schema = output_schema(like, extra)
        self._text = like.columns.text
        self._file = pa.OSFile(str(path), "wb")
        self._writer = make(self._file, self._schema)
        self._groups = Regrouped(self._schema, rows, self._write)

    def _write(self, table: pa.Table) -> None:
        for batch in table.to_batches():
            self._writer.write_batch(batch)

    def write(self, rows: Rows) -> None:
        """Add rows."""
        self._groups.add(_batch(rows, self._text, self._schema))

    def close(self) -> None:
        """Write the end and close the file."""
        try:
            self._groups.close()
            self._writer.close()
        finally:
            self._file.close()


class ArrowSink(_IpcSink):
    """An IPC file, or a stream if the input was one."""

    def __init__(self, path: Path, like: Dataset, file: int, extra: Extra) -> None:
        random_access = like.form != "arrow" or is_ipc_file(like.paths[file])
        options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
        make = pa.ipc.new_file if random_access else pa.ipc.new_stream
        super().__init__(path, like, extra, partial(make, options=options), rows=_rows(like, file, _BATCH_ROWS))


class HfSink(_IpcSink):
    """A folder as `datasets.Dataset.save_to_disk` writes it, in one data file."""

    _NAME = "data-00000-of-00001.arrow"
    # The rows lie in the order in which they count.
    _INDEX = ("_indices_data_files", "_indices_files")
    # What these say of the original rows does not hold for the new ones.
    _STALE = ("splits", "dataset_size", "download_size", "size_in_bytes", "download_checksums")

    def __init__(self, path: Path, like: Dataset, extra: Extra) -> None:
        if not isinstance(like.source, ArrowSource) or like.source.folder is None:
            raise InputError("only a Hugging Face folder can be written as one")
        self._path = path
        self._folder = like.source.folder
        self._extra = extra
        super().__init__(path / self._NAME, like, extra, pa.ipc.new_stream, rows=_rows(like, 0, _BATCH_ROWS))

    def close(self) -> None:
        """Finish the data file, then the two files that describe it."""
        super().close()
        state = json.loads((self._folder / "state.json").read_text(encoding="utf-8"))
        state["_data_files"] = [{"filename": self._NAME}]
        state = {name: value for name, value in state.items() if name not in self._INDEX}
        # datasets keeps results of its own under this name: other rows must have another.
        state["_fingerprint"] = sha256_file(self._path / self._NAME)[:16]
        self._json("state.json", state)
        about_path = self._folder / "dataset_info.json"
        if about_path.is_file():
            about = json.loads(about_path.read_text(encoding="utf-8"))
            about = {name: value for name, value in about.items() if name not in self._STALE}
            if isinstance(about.get("features"), dict):
                about["features"].update(hf_features(self._extra))
            self._json("dataset_info.json", about)

    def _json(self, name: str, content: dict[str, Any]) -> None:
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (self._path / name).write_text(text, encoding="utf-8")
