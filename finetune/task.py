"""A task: the raw training set, and the rows that every model is judged on, as aligned arrays."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..data.axes import Axis, parse_axes
from ..data.config import Config, DataConfig, Plan, ProbeConfig
from ..data.dataset import Dataset, listed
from ..data.errors import InputError, suggest
from ..data.hashing import Keys, Seen, hash64, row_keys
from ..data.opening import open_dataset
from ..data.scan import Scanned, scan
from ..data.subsample import cut, subsample
from .copies import copies_of
from .rows import Split

SHARES = {"train": 0.65, "dev": 0.10, "test": 0.25}
"""Parts into which one file is cut."""

MOST_OVERLAP = 0.01
"""Largest share of test rows whose text may also be in train."""

SKELETON = "skeleton"


@dataclass(frozen=True)
class Task:
    """What is to be learnt and where it is judged.

    Attributes
    ----------
    train : Dataset
        The raw training rows.
    splits : tuple of Split
        dev, test and, where there are any, probe and copies of test.
    labels : tuple of str
        Sorted; label codes index into them.
    positive : str or None
        The positive label where there are two labels.
    axis : str
        Name of the axis on which gaps are measured.
    inputs : mapping of str to str
        Hashes of everything above, for telling whether a finished run still counts.
    notes : tuple of str
        What was guessed, cut or left out; to be said aloud.
    """

    train: Dataset
    splits: tuple[Split, ...]
    labels: tuple[str, ...]
    positive: str | None
    axis: str
    inputs: Mapping[str, str]
    notes: tuple[str, ...] = ()


def open_task(config: Config) -> Task:
    """Open train, dev, test and probe of a config.

    Parameters
    ----------
    config : Config
        Where test or dev is missing, it is cut off train by a hash of the text: 25 % and 10 %.

    Returns
    -------
    Task

    Raises
    ------
    InputError
        A file or column is missing, a label of dev or test never occurs in train, or more than 1 % of test rows have
        the text of a training row (unless ``data.allow_overlap``).
    """
    data = config.data
    if data.train is None:
        raise InputError('the config has no [data] train = "..."; name the training data')
    if data.train == "-":
        raise InputError("data.train: training reads its rows more than once, so they cannot come from -; name a file")
    train = _open(data, data.train, need_label=True)
    with _said_of("data"):
        axes = parse_axes(data.axes, names=train.names)
    for name, plan in config.plan.items():  # now, and not when the audit is through
        for number, step in enumerate(plan.step, start=1):
            with _said_of(f"plan.{name}.step[{number}]"):
                parse_axes([step.axis], names=train.names)
    axis = _verdict_axis(config, axes)
    parts, notes = _parts(config, train)
    labels, texts, counted = _census(parts["train"])
    notes += counted
    columns = parts["train"].columns
    positive = columns.positive if len(labels) == 2 and columns.positive in labels else None
    if config.verdict.measure == "fpr" and positive is None:
        raise InputError(
            f'verdict.measure = "fpr" needs two labels of which one is positive; the labels are {listed(labels)}. '
            'Say data.positive, or data.label_threshold for scores, or measure = "tpr"'
        )
    splits, inputs = [], {"train": parts["train"].sha256(), "axis": _axis_hash(axis)}
    for name in ("dev", "test", "probe"):
        if name not in parts:
            continue
        cluster = config.probe.cluster if name == "probe" and config.probe else data.cluster if name == "test" else None
        probe_positive = (
            parts[name].columns.positive if name == "probe" and config.probe and config.probe.positive else None
        )
        split, said = split_of(name, parts[name], axis.name, data.axes, cluster, labels, positive, probe_positive)
        notes += said + _overlap(split, texts, allowed=data.allow_overlap)
        splits.append(split)
        inputs[name] = f"{parts[name].sha256()} {cluster} {probe_positive}"
    if config.finetune.copies:
        test = next(split for split in splits if split.name == "test")
        spec = config.data.axes[axes.index(axis)]
        copies, inputs["copies"], said_of_copies = copies_of(test, axis, spec, config.finetune.copies)
        splits += copies
        notes += said_of_copies
    return Task(parts["train"], tuple(splits), labels, positive, axis.name, inputs, tuple(notes))


def _open(data: DataConfig, path: str, *, need_label: bool = False, like: Dataset | None = None) -> Dataset:
    """A file of the config; dev and test have the columns that train turned out to have."""
    known = data if like is None else like.columns
    with _said_of("data"):
        return open_dataset(
            path,
            text=known.text,
            label=known.label,
            positive=known.positive,
            label_threshold=known.label_threshold,
            id=data.id,
            weight=data.weight if like is None else None,
            preset=data.preset,
            format=data.format,
            roles=data.roles,
            encoding=data.encoding,
            need_label=need_label,
        )


@contextmanager
def _said_of(section: str) -> Iterator[None]:
    """Let messages name keys of the config, where there are no flags."""
    try:
        yield
    except InputError as error:
        message = re.sub(r"--([a-z-]+)", lambda flag: f"{section}.{_key(section, flag.group(1))}", str(error))
        raise InputError(message if f"{section}." in message else f"{section}: {message}") from error


def _parts(config: Config, train: Dataset) -> tuple[dict[str, Dataset], list[str]]:
    data = config.data
    notes = list(train.notes)
    parts: dict[str, Dataset] = {}
    if data.subsample is not None:
        if data.dev or data.test:
            raise InputError(
                "[data.subsample] makes train, dev and test of data.train; leave data.dev and data.test out"
            )
        train = subsample(train, data.subsample)
        notes = list(train.notes)
        parts = dict(zip(SHARES, cut(train, data.subsample.split), strict=True))
    else:
        given = {"dev": data.dev, "test": data.test}
        missing = [name for name, path in given.items() if path is None]
        parts = {name: _open(data, path, like=train) for name, path in given.items() if path is not None}
        if missing:
            shares = [SHARES[name] for name in missing]
            pieces = cut(train, (1 - sum(shares), *shares))
            parts |= dict(zip(["train", *missing], pieces, strict=True))
            words = " and ".join(f"{SHARES[name]:.0%} as {name}" for name in missing)
            notes.append(
                f"the config names no {' and no '.join(missing)}: cut off train by a hash of the text, {words}"
            )
        else:
            parts["train"] = train
    if config.probe is not None:
        parts["probe"] = _open_probe(config.probe, train)
    return parts, notes


def _key(section: str, flag: str) -> str:
    return "axes" if (section, flag) == ("data", "axis") else flag.replace("-", "_")


def _open_probe(probe: ProbeConfig, train: Dataset) -> Dataset:
    with _said_of("probe"):
        names = open_dataset(probe.path, text=probe.text, label=probe.label, encoding=probe.encoding).names
        columns = train.columns
        return open_dataset(
            probe.path,
            text=probe.text or (columns.text if columns.text in names else None),
            label=probe.label or (columns.label if columns.label in names else None),
            positive=probe.positive or (columns.positive if probe.label is None else None),
            label_threshold=columns.label_threshold if probe.label is None and probe.positive is None else None,
            encoding=probe.encoding,
            need_label=True,
        )


def _verdict_axis(config: Config, axes: Sequence[Axis]) -> Axis:
    wanted = config.verdict.axis
    if wanted is None and len(axes) > 1:
        usual = "identity" if config.verdict.measure == "fpr" else "pronouns"
        wanted = next((axis.name for axis in axes if axis.name == usual), None)
        if wanted is None:
            raise InputError(
                f"verdict.axis: say on which of the axes the gap is measured: {listed([a.name for a in axes])}"
            )
    if wanted is None:
        return axes[0]
    for spec, axis in zip(config.data.axes, axes, strict=True):
        if wanted in (spec, axis.name):
            return axis
    raise InputError(
        f'verdict.axis: "{wanted}" is none of data.axes ({listed(config.data.axes)}).'
        f"{suggest(wanted, config.data.axes)}"
    )


def _census(train: Dataset) -> tuple[tuple[str, ...], Keys, list[str]]:
    """Labels of the training set and hashes of its texts."""
    labels: set[str] = set()
    texts, rows, unlabelled = [], 0, 0
    for batch in train.batches(columns=train.columns.roles()):
        assert batch.label is not None
        labels.update(value for value in pc.unique(batch.label).to_pylist() if value is not None)
        unlabelled += batch.label.null_count
        rows += batch.n
        texts.append(hash64(batch.text, salt="evenset.text"))
    notes = [f"train: {unlabelled} of {rows} rows have no label and are not trained on"] if unlabelled else []
    return tuple(sorted(labels)), np.sort(np.concatenate(texts)), notes


def split_of(
    name: str,
    dataset: Dataset,
    axis_name: str,
    specs: Sequence[str],
    cluster: str | list[str] | None,
    labels: tuple[str, ...],
    positive: str | None,
    probe_positive: str | None,
) -> tuple[Split, list[str]]:
    """The rows of a data set as they are scored, and what is to be said of them; rows without a label are left out."""
    where = f"data.{name}" if name != "probe" else "probe"
    axis = next(axis for axis in parse_axes(specs, names=dataset.names) if axis.name == axis_name)
    given = [cluster] if isinstance(cluster, str) else list(cluster or ())
    ways = [_way(spec, dataset, axis, f"{where}.cluster") for spec in given]
    seen = Seen()
    texts, names, groups = [], [], []
    ids: list[str] = []
    clusters: list[list[list[str | None]]] = [[] for _ in ways]
    id_name = dataset.columns.id if name != "probe" else None
    wanted = [spec for spec in given if spec in dataset.names]
    for scanned in scan(dataset, [axis], columns=[*dataset.columns.roles(), *wanted]):
        batch = scanned.batch
        own = None if id_name is None else batch.column(id_name)
        keys = row_keys(batch.text, batch.label, ids=own, seen=seen, start=batch.start, id_name=id_name or "id")
        ids += own.cast(pa.string()).to_pylist() if own is not None else [f"{key:016x}" for key in keys.tolist()]
        texts.append(batch.text)
        names.append(batch.label)
        groups += scanned.members[axis.name].sets()
        for found, way in zip(clusters, ways, strict=True):
            found.append(way(scanned))
    label = pa.chunked_array(names, pa.string())
    if probe_positive is not None and positive is not None:
        hit = pc.equal(label, probe_positive)
        if not pc.any(hit).as_py():
            found_labels = [value for value in pc.unique(label).to_pylist() if value is not None]
            raise InputError(
                f'probe.positive: no row has the label "{probe_positive}".{suggest(probe_positive, found_labels)}'
            )
        negative = next(value for value in labels if value != positive)
        label = pc.if_else(hit, positive, negative)
    code = _codes(label, labels, where)
    kept = np.flatnonzero(code >= 0)
    notes = [f"{name}: {len(code) - len(kept)} rows have no label and are left out"] if len(kept) < len(code) else []
    if not len(kept):
        raise InputError(f"{where}: no row has a label")
    at = pa.array(kept)
    texts_kept = pa.concat_arrays(texts).take(at)
    columns = [[value for part in found for value in part] for found in clusters]
    # A row without a cluster is a cluster of its own.
    cluster_rows = [
        [str(way[row]) if way[row] is not None else f"row {ids[row]}" for way in columns] for row in kept.tolist()
    ]
    return (
        Split(
            name=name,
            text=texts_kept,
            ids=pa.array(ids, pa.string()).take(at),
            code=code[kept],
            groups=pa.array(groups, pa.list_(pa.string())).take(at),
            cluster=pa.array(cluster_rows, pa.list_(pa.string())),
        ),
        notes,
    )


def _codes(label: pa.ChunkedArray, labels: tuple[str, ...], where: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    code = pc.fill_null(pc.index_in(label, value_set=pa.array(labels, pa.string())), -1).to_numpy().astype(np.int64)
    strange = Counter(value for value in label.filter(pa.array(code < 0)).to_pylist() if value is not None)
    if strange:
        shown = ", ".join(f'"{value}" ({count} rows)' for value, count in strange.most_common(5))
        more = " Say probe.positive, the value that stands for the positive label." if where == "probe" else ""
        raise InputError(
            f"{where}: {shown} never occur as a label in train, whose labels are {listed(labels)}; a model cannot "
            f"learn them. Mend or drop these rows.{more}"
        )
    return np.asarray(code)


def _overlap(split: Split, train_texts: Keys, *, allowed: bool) -> list[str]:
    """Count rows whose text is also in train; a test set that was trained on shows nothing."""
    key = hash64(split.text, salt="evenset.text")
    at = np.minimum(np.searchsorted(train_texts, key), len(train_texts) - 1)
    n = int((train_texts[at] == key).sum())
    if n > MOST_OVERLAP * split.n and not allowed and split.name != "dev":
        raise InputError(
            f"{split.name}: {n} of {split.n} rows have the text of a training row, more than {MOST_OVERLAP:.0%}; "
            "remove them from one side, or set data.allow_overlap = true"
        )
    return [f"{split.name}: {n} of {split.n} rows have the text of a training row"] if n else []


Way = Callable[[Scanned], list[str | None]]


def _way(spec: str, dataset: Dataset, axis: Axis, where: str) -> Way:
    """A way of clustering rows: a column, the skeleton, or the part of the text that a regular expression captures."""
    if spec in dataset.names:
        return lambda scanned: scanned.batch.column(spec).cast(pa.string()).to_pylist()
    if spec == SKELETON:
        if not axis.lexicons():
            raise InputError(
                f'{where}: "skeleton" is the text without the words of an axis, but "{axis.name}" has no words'
            )
        return lambda scanned: list(skeletons(scanned, axis))
    if len(spec) > 2 and spec.startswith("/") and spec.endswith("/"):
        try:
            expression = re.compile(spec[1:-1])
        except re.error as error:
            raise InputError(f"{where}: {spec} is no regular expression: {error}") from None

        def captured(scanned: Scanned) -> list[str | None]:
            found = [expression.search(text) for text in scanned.batch.text.to_pylist()]
            # A skeleton can never equal a captured part: it keeps the mark of its kind.
            fallback = skeletons(scanned, axis)
            return [
                f"{SKELETON}: {rest}" if hit is None else next((g for g in hit.groups() if g is not None), hit.group())
                for hit, rest in zip(found, fallback, strict=True)
            ]

        return captured
    raise InputError(
        f'{where}: "{spec}" is neither a column, nor "skeleton", nor an expression like "/^(\\\\w+) is/"; the columns '
        f"are {listed(dataset.names)}.{suggest(spec, [*dataset.names, SKELETON])}"
    )


def skeletons(scanned: Scanned, axis: Axis) -> list[str]:
    """Each text with the matched words of an axis replaced by "_"; a text without any as it is."""
    texts: list[str] = scanned.batch.text.to_pylist()
    spans: dict[int, list[tuple[int, int]]] = {}
    for lexicon in axis.lexicons():
        matches = scanned.matches[lexicon.name]
        for row, start, end in zip(matches.row.tolist(), matches.start.tolist(), matches.end.tolist(), strict=True):
            spans.setdefault(row, []).append((start, end))
    for row, found in spans.items():
        raw, done, pieces = texts[row].encode(), 0, []
        for start, end in sorted(found):
            if start >= done:
                pieces += [raw[done:start], b"_"]
                done = end
        texts[row] = b"".join([*pieces, raw[done:]]).decode()
    return texts


def _axis_hash(axis: Axis) -> str:
    words = " ".join(lexicon.sha256 for lexicon in axis.lexicons())
    return hashlib.sha256(f"{axis.name} {words}".encode()).hexdigest()[:16]


def pool_hashes(config: Config, plan: str) -> str:
    """Hashes of the files that a plan draws rows from; empty for most plans."""
    from ..data.files import sha256_file

    if plan not in config.plan:
        return ""
    paths = [
        path for step in config.plan[plan].step if step.do == "topup" for path in (step.pool, step.placebo_pool) if path
    ]
    return " ".join(sha256_file(Path(path)) if Path(path).is_file() else path for path in paths)


def plans_of(config: Config) -> dict[str, Plan]:
    """The plans of a config as they are run: no topup adds rows whose text is in the dev or test file.

    Examples
    --------
    >>> from ..data.config import parse
    >>> step = {"do": "topup", "axis": "identity", "pool": "pool.csv"}
    >>> config = parse({"data": {"test": "test.csv"}, "plan": {"more": {"step": [step]}}})
    >>> plans_of(config)["more"].step[0].exclude
    ['test.csv']
    """
    kept = [path for path in (config.data.dev, config.data.test) if path]
    return {
        name: plan.model_copy(
            update={
                "step": [
                    step.model_copy(update={"exclude": step.exclude or kept}) if step.do == "topup" else step
                    for step in plan.step
                ]
            }
        )
        for name, plan in config.plan.items()
    }
