"""`evenset.data.open`: from a file's name and a few words to a `Dataset`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from .axis_labels import AxisLabels
from .conversation_source import ConversationSource
from .conversations import recognise, with_made
from .dataset import Columns, Dataset, Source, listed
from .errors import InputError, suggest
from .guess import (
    LABEL_NAMES,
    TEXT_NAMES,
    Sample,
    candidates,
    check_named,
    find_preset,
    guess_columns,
    text_column,
)
from .huggingface import class_names
from .normalise import Census, labels_of, place_of, spelling, text_of, weights_of
from .readers import open_source
from .readers_jsonl import SAMPLE_BYTES, SAMPLE_ROWS, JsonlSource

if TYPE_CHECKING:
    import pandas as pd


# So many rows show what share of texts has no label of an axis.
_LABELLED_ROWS = 5_000


def open_dataset(
    source: str | Path | Sequence[Any] | pa.Table | pd.DataFrame,
    *,
    text: str | None = None,
    label: str | None = None,
    positive: str | None = None,
    label_threshold: float | None = None,
    id: str | None = None,  # noqa: A002 - the word of --id
    weight: str | None = None,
    cluster: str | None = None,
    preset: str | None = None,
    format: str | None = None,  # noqa: A002 - the word of --format
    roles: Sequence[str] | None = None,
    encoding: str = "utf-8",
    axes_columns: Sequence[str] = (),
    spool: Path | None = None,
    need_label: bool = False,
    count_bad_weights: bool = False,
) -> Dataset:
    """Open a dataset: find out its form and columns, and check the first rows.

    Parameters
    ----------
    source : path, sequence of paths, table
        A csv, tsv or jsonl file (each also ``.gz`` or ``.zst``), a parquet or arrow file, a Hugging Face dataset
        folder (``folder#train`` for one of its splits), a glob, ``-`` for standard input,
        several files of one form, or a table in memory: Arrow, pandas, polars, a ``datasets.Dataset``, anything that
        exports Arrow, a list of dicts.
    text, label, id, weight, cluster : str, optional
        Names of columns. Text and label are guessed where they are not said. A label ``axis:occupations`` (any lexicon,
        also ``axis:lexicon:FILE``) is made of the text: the group that it mentions most; none and ties have no label.
    positive : str, optional
        The label that counts as positive; guessed for two classes with a usual name.
    label_threshold : float, optional
        The label is a number; from here on it is "1", below "0".
    preset : str, optional
        "bias-in-bios", "jigsaw" or "civil-comments"; also recognised from the columns.
    format : str, optional
        "chat", "sharegpt", "alpaca" or "preference" (`evenset.data.conversations`); also recognised from the first
        rows. Then `text` may name the column that holds the messages.
    roles : sequence of str, optional
        Whose messages are the text: "assistant" unless said, or "user", "system", "tool", "tool_call", or words of the
        file. System prompts and tool calls are never part of it otherwise.
    encoding : str
        Of csv, tsv and jsonl.
    axes_columns : sequence of str
        Other columns that will be needed; they must exist.
    spool : Path, optional
        Folder in which standard input is kept.
    need_label : bool
        Refuse data without a label or with a single class.
    count_bad_weights : bool
        Count rows whose weight is missing, negative or not finite as rows of weight 0, and do not refuse them.

    Returns
    -------
    Dataset
        What was guessed is in its `notes`.

    Raises
    ------
    InputError
        When something is wrong with the input: the message names the file, row or column and what to do. What can
        only be judged when all rows have been seen is raised at the end of `Dataset.batches`.

    Examples
    --------
    >>> data = open_dataset([{"comment_text": "You are great.", "toxic": 0}, {"comment_text": "You rat.", "toxic": 1}])
    >>> data.notes
    ('read as jigsaw (--preset)', 'text=comment_text, label=toxic (positive=1); change with --text, --label')
    """
    opened = open_source(source, encoding=encoding, spool=spool)
    place = place_of(opened.paths)
    conversation = None
    if preset is None or format is not None or roles is not None:
        conversation = recognise(opened, format=format, roles=roles, text=text, place=place)
    if conversation is not None:
        opened = replace(opened, source=ConversationSource(opened.source, conversation))
        text = conversation.text
    names = opened.source.names
    axis_labels = None if label is None else AxisLabels.parse(label, names)
    named = None if axis_labels is not None else label
    check_named(
        names,
        [
            *(("--text", text), ("--label", named), ("--id", id), ("--weight", weight), ("--cluster", cluster)),
            *(("--axis", name) for name in axes_columns),
        ],
        place,
    )
    if text is not None and text == label:
        raise InputError(f'--text and --label both name the column "{text}" of {place}; the label is another column')
    if label_threshold is not None and not math.isfinite(label_threshold):
        raise InputError(f"--label-threshold {label_threshold} is no number that labels can reach; give a finite one")
    if label_threshold is not None and axis_labels is not None:
        raise InputError(f"--label-threshold is for labels that are numbers; {label} labels with words")
    known = find_preset(names, preset, text, label, place)
    asked = Columns(text or "", label, positive, label_threshold, None, id, weight, cluster)
    if conversation is not None:
        asked = with_made(asked, conversation)
    if axis_labels is not None and positive is None:
        asked = replace(asked, positive=axis_labels.positive)
    sample = _sample(opened.source, [name for name in _sampled(names, asked, known is not None) if name in names])
    if not sample.rows:
        only = "has a header but no rows" if opened.form in {"csv", "tsv"} else "has no rows"
        raise InputError(f"{place} {only}")
    said: tuple[str, ...] = ()
    if axis_labels is not None:
        sample, said = _labelled(sample, asked, asked.text or text_column(sample, known, asked, place), axis_labels)
    guess = guess_columns(sample, asked, known, place)
    columns = guess.columns
    notes = (*opened.notes, *(() if conversation is None else conversation.notes(columns)), *guess.notes, *said)
    if label_threshold is not None and columns.label is None:
        raise InputError(f"--label-threshold needs a label column, and none was found in {place}; say it with --label")
    rows_source = opened.source
    if isinstance(rows_source, (JsonlSource, ConversationSource)):
        parts = [name for name in columns.roles() if axis_labels is None or name != label]
        rows_source.check_files([*parts, *axes_columns])
    if isinstance(rows_source, JsonlSource):
        rows_source = replace(rows_source, text=columns.text)
    dataset = Dataset(
        columns=columns,
        names=names,
        form=opened.form,
        source=rows_source,
        paths=opened.paths,
        compression=opened.compression,
        notes=notes,
        suggested_axes=() if guess.preset is None else guess.preset.axes(names),
        need_label=need_label,
        count_bad_weights=count_bad_weights,
        preset=None if guess.preset is None else guess.preset.name,
        extra_columns=tuple(axes_columns),
        conversation=conversation,
        axis_labels=axis_labels,
    )
    return _checked(dataset, sample)


def _sampled(names: Sequence[str], asked: Columns, preset: bool) -> list[str]:  # noqa: FBT001
    """Columns to look at: all of them only where no name tells anything."""
    if not asked.text and not preset and not candidates(names, TEXT_NAMES):
        return list(names)
    wanted = [name for name in asked.roles() if name]
    if not asked.text:
        wanted += candidates(names, TEXT_NAMES)
    if asked.label is None:
        wanted += candidates(names, LABEL_NAMES)
    if preset:
        wanted += [name for name in ("hard_text", "comment_text", "profession", "gender", "toxic") if name in names]
    return list(dict.fromkeys(wanted))


def _sample(source: Source, columns: Sequence[str]) -> Sample:
    batches: list[pa.RecordBatch] = []
    starts: list[tuple[int, int, int]] = []
    rows = size = 0
    complete = True
    for piece in source.read(columns):
        if rows >= SAMPLE_ROWS or size >= SAMPLE_BYTES:
            complete = False
            break
        table = piece.table.slice(0, SAMPLE_ROWS - rows)
        complete = table.num_rows == piece.table.num_rows
        batches.append(table)
        starts.append((rows, piece.file, piece.first))
        rows += table.num_rows
        size += table.nbytes
        if not complete:
            break
    table = pa.Table.from_batches(batches) if batches else None

    def column(name: str) -> pa.Array:
        assert table is not None
        values = table.column(name).combine_chunks()
        return pa.concat_arrays(values.chunks) if isinstance(values, pa.ChunkedArray) else values

    def where(at: int) -> str:
        start, file, first = max(entry for entry in starts if entry[0] <= at)
        return source.where(file, first + at - start)

    return Sample(source.names, rows, complete, column, where, class_names(source.schema))


def _labelled(sample: Sample, asked: Columns, text: str, axis_labels: AxisLabels) -> tuple[Sample, tuple[str, ...]]:
    """A sample whose label is made of its text, and what is said about rows without one."""
    if asked.positive is not None and asked.positive not in axis_labels.groups:
        raise InputError(
            f'--positive "{asked.positive}" is no group of {asked.label}; its groups are {listed(axis_labels.groups)}.'
            f"{suggest(asked.positive, axis_labels.groups)}"
        )
    texts = text_of(sample.column(text), text, sample.where)[0].slice(0, _LABELLED_ROWS)
    label, none, tied = axis_labels.shares(texts)
    whole = sample.complete and len(texts) == sample.rows
    rows = f"the first {len(texts):,} rows" if not whole else f"{len(texts):,} rows"
    changed = replace(
        sample,
        complete=whole,
        column=lambda name: label if name == axis_labels.spec else sample.column(name),
    )
    return changed, (
        f"{axis_labels.spec} labels a text by the group that it mentions most; of {rows} {100 * none:.0f} % mention "
        f"none and {100 * tied:.0f} % several equally: they have no label",
    )


def _checked(dataset: Dataset, sample: Sample) -> Dataset:
    """Let the first rows show what is wrong before anybody waits for the rest."""
    columns = dataset.columns
    text_of(sample.column(columns.text), columns.text, sample.where)
    if columns.weight is not None:
        counted = dataset.count_bad_weights
        weights_of(sample.column(columns.weight), columns.weight, sample.where, counted=counted)
    if columns.label is None:
        if dataset.need_label:
            raise InputError(
                f"cannot tell which column of {place_of(dataset.paths)} is the label; its columns are "
                f"{', '.join(dataset.names)}: say it with --label"
            )
        return dataset
    labels = labels_of(sample.column(columns.label), columns, sample.where)
    census = Census()
    census.add(labels, sample.rows)
    if columns.positive is not None:
        columns = replace(columns, positive=_positive(columns, census.classes))
        dataset = replace(dataset, columns=columns)
    if sample.complete:
        census.judge(columns, place_of(dataset.paths), need_label=dataset.need_label)
    return dataset


def _positive(columns: Columns, classes: set[str]) -> str:
    """The positive value as the labels spell it; case does not matter where only one label fits."""
    assert columns.positive is not None
    value = spelling(columns.positive, columns)
    if columns.label_threshold is not None and value not in {"0", "1"}:
        raise InputError(
            f'with --label-threshold the labels are "1" and "0", so --positive cannot be "{value}"; leave it out'
        )
    near = [name for name in classes if name.casefold() == value.casefold()]
    return near[0] if value not in classes and len(near) == 1 else value
