"""What goes in and where it comes out: the config, the data, the --out folder."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .screen import say

if TYPE_CHECKING:
    from ..data import Dataset
    from ..data.config import Config


def load(path: Path | None) -> Config:
    """The config at `path`, or one of defaults."""
    from ..data import config

    return config.load(path) if path is not None else config.Config()


def axes_of(config: Config, flags: dict[str, Any], dataset: Dataset) -> list[str]:
    """The axes that the flags name, else the config, else the data set's preset, else the defaults."""
    if flags.get("axes"):
        return list(flags["axes"])
    if "axes" in config.data.model_fields_set or not dataset.suggested_axes:
        return list(config.data.axes)
    return list(dataset.suggested_axes)


def opened(
    data: Sequence[str],
    config: Config,
    flags: dict[str, Any],
    *,
    quiet: bool,
    spool: Path | None,
    compare: bool,
    ruled: bool = False,
) -> Dataset:
    """The dataset that the arguments, or else the config, name; what had to be guessed is said on stderr.

    `ruled` says that the config's rules will be held against it: with one on invalid weights these are counted.
    """
    from .. import data as room

    section = config.data
    source: str | list[str]
    if "" in data:
        raise room.InputError("DATA is empty; name a file.")
    if data:
        source = data[0] if len(data) == 1 else list(data)
    elif section.train is not None:
        source = section.train
    else:
        raise room.InputError('no DATA given: name a file, or a config with [data] train = "...".')
    chosen: dict[str, Any] = {
        name: flags.get(flag) if flags.get(flag) is not None else getattr(section, name)
        for name, flag in {
            "text": "text", "label": "label", "positive": "positive", "label_threshold": "label_threshold",
            "weight": "weight", "id": "id_column", "preset": "preset", "encoding": "encoding",
            "format": "form", "roles": "roles",
        }.items()
    }  # fmt: skip
    if isinstance(chosen["roles"], str):
        chosen["roles"] = chosen["roles"].split(",")
    if source == "-" and spool is not None:
        spool = spool_folder(spool)
    # Who names a label wants labels compared, and one class leaves nothing to compare.
    cluster = flags.get("cluster") or section.cluster
    chosen["cluster"] = cluster if isinstance(cluster, str) else None  # several ways of clustering: of test rows only
    chosen["count_bad_weights"] = ruled and any(rule.measure == "invalid_weights" for rule in config.check)
    dataset = room.open(source, spool=spool, need_label=compare and chosen["label"] is not None, **chosen)
    for note in dataset.notes:
        say(note, quiet=quiet)
    return dataset


def listed(measures: str | None) -> list[str]:
    """The names after ``--measures``; all where it is not given."""
    if measures is None:
        return ["all"]
    names = [name.strip() for name in measures.split(",") if name.strip()]
    if not names:
        from ..data import InputError

        raise InputError("--measures is empty; name some, for example counts,association, or leave it out for all")
    return names


def splits_of(data: Sequence[str], config: Config, dataset: Dataset) -> dict[str, Dataset]:
    """The other splits that the config names, read as the training data is."""
    from .. import data as room

    section = config.data
    if data and list(data) != [section.train]:
        return {}
    columns = dataset.columns
    named = {name: path for name in ("dev", "test") if (path := getattr(section, name)) is not None}
    return {
        name: room.open(
            path, text=columns.text, label=columns.label, positive=columns.positive, encoding=section.encoding,
            label_threshold=columns.label_threshold, preset=section.preset, format=section.format, roles=section.roles,
        )
        for name, path in named.items()
    }  # fmt: skip


def spool_folder(out: Path) -> Path:
    """A folder inside `out` for standard input, which is read more than once; gone when the command ends."""
    import shutil

    new, folder = not out.exists(), out / f".evenset-stdin-{os.getpid()}"

    def remove() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        if new:
            with contextlib.suppress(OSError):
                out.rmdir()  # only where nothing was written

    click.get_current_context().call_on_close(remove)
    return folder


class NothingKept(KeyboardInterrupt):
    """Stopped by hand before anything was finished."""


@contextlib.contextmanager
def kept_or_not(out: Path | None, command: str) -> Iterator[None]:
    """Tell a curation that was stopped without finished parts from one that goes on from them."""
    try:
        yield
    except KeyboardInterrupt as stopped:
        from ..curate.writing.parted import STAGE

        if command.startswith("curate") and (out is None or not (out / STAGE).exists()):
            raise NothingKept from stopped
        raise


@contextlib.contextmanager
def claimed(out: Path | None, command: str, key: list[Any], *, overwrite: bool) -> Iterator[None]:
    """Hold the output folder for the time of the command, if there is one."""
    if out is None:
        with kept_or_not(None, command):
            yield
        return
    import errno
    import hashlib

    from ..data.atomic import MEDIUM, unwritable
    from ..data.files import OutputFolder

    fingerprint = hashlib.sha256(json.dumps(key, default=str).encode()).hexdigest()[:16]
    try:
        claim = OutputFolder.claim(out, command=command, fingerprint=fingerprint, overwrite=overwrite)
        with claim, kept_or_not(out, command):
            yield
    except OSError as error:
        if error.errno in MEDIUM and error.errno != errno.EIO:  # a library's own message, without the folder
            raise unwritable(out, error) from error
        raise


def split_words(words: str, flag: str) -> list[str]:
    """The words of a list with commas; `flag` is named where there are none."""
    names = [name.strip() for name in words.split(",") if name.strip()]
    if not names:
        from ..data import InputError

        raise InputError(f"{flag} is empty; name some or leave it out")
    return names


def drawn(result: dict[str, Any], out: Path, *, quiet: bool) -> None:
    """Draw the figures of a finished run; what keeps them from being drawn is said and fails nothing."""
    from ..data import InputError
    from ..finetune.figures import draw_all

    try:
        draw_all(result, out / "figures")
    except InputError as error:
        say(f"no figures: {error}", quiet=quiet)
