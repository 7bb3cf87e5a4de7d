"""Which column is what, where the user does not say: guessed from names and a sample, and said aloud."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from .dataset import Columns, listed
from .errors import InputError, suggest
from .normalise import is_bytes, is_text, labels_of, numbers_of
from .presets import PRESETS, Preset, recognise

TEXT_NAMES = (
    *("text", "comment_text", "comment", "hard_text", "sentence", "content", "body", "tweet", "post", "document"),
    *("review", "bio", "message", "utterance", "prompt", "question", "passage", "paragraph", "snippet", "title"),
)
LABEL_NAMES = (
    *("label", "labels", "toxic", "is_toxic", "toxicity", "target", "hate", "is_hate", "hateful", "hate_speech"),
    *("class", "category", "profession", "occupation", "sentiment", "gold", "gold_label", "y"),
)
POSITIVE_NAMES = frozenset(
    (
        *("1", "true", "yes", "y", "t", "positive", "pos", "toxic", "hate", "hateful", "hatespeech", "hate_speech"),
        *("bad", "abusive", "abuse", "offensive", "off", "harmful", "unsafe", "sexist", "racist", "spam", "biased"),
    )
)


@dataclass(frozen=True, slots=True)
class Sample:
    """The first rows of a dataset.

    `column` gives the raw values of a column as one array; `complete` says whether these are all rows; `classes` are
    the columns whose numbers have names that are stored with the data.
    """

    names: tuple[str, ...]
    rows: int
    complete: bool
    column: Callable[[str], pa.Array]
    where: Callable[[int], str]
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Guess:
    """Columns, the notes to say aloud and the preset."""

    columns: Columns
    notes: tuple[str, ...]
    preset: Preset | None


def check_named(names: Sequence[str], given: Iterable[tuple[str, str | None]], place: str) -> None:
    """Refuse a column that does not exist, with the nearest that does."""
    for option, name in given:
        if name is not None and name not in names:
            raise InputError(
                f'{place} has no column "{name}" ({option}); its columns are {listed(names)}.{suggest(name, names)}'
            )


def find_preset(
    names: Sequence[str], preset: str | None, text: str | None, label: str | None, place: str
) -> Preset | None:
    """The preset asked for, or the one that the columns show."""
    if preset is not None:
        if preset not in PRESETS:
            raise InputError(
                f'there is no preset "{preset}"; there are {listed(list(PRESETS))}.{suggest(preset, PRESETS)}'
            )
        chosen = PRESETS[preset]
        given = ({text, label} - {None}) & set(names)
        for option, wanted in (("text", chosen.text), ("label", chosen.label), *((n, (n,)) for n in chosen.needs)):
            if not any(name in names for name in wanted) and not (option in {"text", "label"} and given):
                raise InputError(
                    f'{place} is not of the preset "{preset}": it has no column {" or ".join(wanted)}; '
                    f"its columns are {listed(names)}.{suggest(wanted[0], names)}"
                )
        return chosen
    found = recognise(names)
    if found is None or text not in {None, found.text_in(names)}:
        return None
    return found


def candidates(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """Columns with a known name, in the order of the known names; upper and lower case do not matter."""
    folded = {name.casefold(): name for name in reversed(names)}
    return [folded[name] for name in known if name in folded]


def guess_columns(sample: Sample, asked: Columns, preset: Preset | None, place: str) -> Guess:
    """Fill in what was not said: in `asked`, the text is empty where it was not; `place` is for messages."""
    said: list[str] = []
    options: list[str] = []
    notes: list[str] = []
    columns = replace(asked, value_names=_stored_names(sample, asked))
    if preset is not None:
        notes.append(f"read as {preset.name} (--preset)")
    if not asked.text:
        columns = replace(columns, text=text_column(sample, preset, columns, place))
        said.append(f"text={columns.text}")
        options.append("--text")
    if columns.label is None:
        label = _label(sample, preset, columns)
        if label is not None:
            columns = replace(columns, label=label)
            said.append(f"label={label}")
            options.append("--label")
    if columns.label is not None:
        label_guessed = asked.label is None
        columns, more, flags = _meaning(sample, preset, columns)
        if label_guessed and more:
            said[-1] += f" ({', '.join(more)})"
        else:
            said.extend(more)
            options.extend(flags)
    if said:
        notes.append(f"{', '.join(said)}; change with {', '.join(dict.fromkeys(options))}")
    if columns.label is not None and columns.positive is None:
        count = len(_classes(sample, columns, most=3))
        if count == 2 or (count < 2 and not sample.complete):
            notes.append("which label is the positive one could not be guessed; say it with --positive")
    return Guess(columns, tuple(notes), preset)


def text_column(sample: Sample, preset: Preset | None, columns: Columns, place: str) -> str:
    """The column that looks most like the text."""
    if preset is not None and (found := preset.text_in(sample.names)) is not None:
        return found
    taken = {columns.label, columns.id, columns.weight, columns.cluster}
    known = [name for name in candidates(sample.names, TEXT_NAMES) if name not in taken]
    lengths = {name: _mean_length(sample.column(name)) for name in known}
    if any(length > 0 for length in lengths.values()):
        return max(lengths, key=lambda name: lengths[name])
    if known and len(known) == 1 and _may_be_text(sample.column(known[0])):
        return known[0]  # all its texts are empty: counted, not refused
    rest = {name: _mean_length(sample.column(name)) for name in sample.names if name not in taken and name not in known}
    longest = max(rest, key=lambda name: rest[name], default=None)
    if longest is None or rest[longest] < 15:
        raise InputError(
            f"cannot tell which column of {place} is the text; its columns are {listed(sample.names)}: "
            "say it with --text"
        )
    return longest


def _may_be_text(values: pa.Array) -> bool:
    return is_text(values.type) or is_bytes(values.type)


def _mean_length(values: pa.Array) -> float:
    if not _may_be_text(values) or pa.types.is_null(values.type):
        return 0.0
    return float(pc.mean(pc.binary_length(values.cast(pa.large_binary()))).as_py() or 0.0)


def _label(sample: Sample, preset: Preset | None, columns: Columns) -> str | None:
    if preset is not None and (found := preset.label_in(sample.names)) is not None:
        return found
    taken = {columns.text, columns.id, columns.weight, columns.cluster}
    for name in candidates(sample.names, LABEL_NAMES):
        if name in taken or pa.types.is_nested(sample.column(name).type):
            continue
        # A label repeats; a column that never does is an identifier or a second text.
        classes = _classes(sample, replace(columns, label=name, label_threshold=None), most=sample.rows)
        if 0 < len(classes) <= max(50, sample.rows // 4) or _is_score(sample, name):
            return name
    return None


def _meaning(sample: Sample, preset: Preset | None, columns: Columns) -> tuple[Columns, list[str], list[str]]:
    """Threshold, names and the positive value of the label."""
    said: list[str] = []
    options: list[str] = []
    label = columns.label
    assert label is not None
    if columns.label_threshold is None and columns.positive is None and _is_score(sample, label):
        columns = replace(columns, label_threshold=0.5)
        said.append("1 where the score is at least 0.5")
        options.append("--label-threshold")
    if columns.label_threshold is not None:
        return replace(columns, positive=columns.positive or "1"), said, options
    if preset is not None:
        columns = _preset_names(sample, preset, columns)
    if columns.label_names is None and label in sample.classes:
        columns = replace(columns, label_names=sample.classes[label])
    if columns.positive is None:
        classes = _classes(sample, columns, most=2)
        likely = [value for value in classes if value.casefold() in POSITIVE_NAMES]
        if len(classes) == 2 and len(likely) == 1:
            columns = replace(columns, positive=likely[0])
            said.append(f"positive={likely[0]}")
            options.append("--positive")
    return columns, said, options


def _preset_names(sample: Sample, preset: Preset, columns: Columns) -> Columns:
    """Give indices their names, where the file holds indices and not the names themselves."""
    if preset.label_names is not None and columns.label in preset.label:
        classes = _classes(sample, columns, most=len(preset.label_names))
        if all(value.isdigit() and int(value) < len(preset.label_names) for value in classes):
            columns = replace(columns, label_names=preset.label_names)
    values = list(columns.value_names)
    stored = {name for name, _ in values}
    for name, names in preset.value_names:
        if name in sample.names and name not in {columns.text, columns.label} | stored:
            found = _classes(sample, replace(columns, label=name, label_names=None), most=len(names))
            if set(found) <= {str(at) for at in range(len(names))}:
                values.append((name, names))
    return replace(columns, value_names=tuple(values))


def _stored_names(sample: Sample, asked: Columns) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Names of the values of columns that have no part of their own."""
    return tuple((name, names) for name, names in sample.classes.items() if name not in asked.roles())


def _is_score(sample: Sample, label: str) -> bool:
    """Whether the column holds numbers from 0 to 1 and some strictly between."""
    try:
        numbers = numbers_of(sample.column(label), "", sample.where)
    except (InputError, pa.ArrowException):
        return False
    ends = pc.min_max(numbers).as_py()
    if ends["min"] is None or ends["min"] < 0 or ends["max"] > 1:
        return False
    return bool(pc.any(pc.and_(pc.greater(numbers, 0), pc.less(numbers, 1))).as_py())


def _classes(sample: Sample, columns: Columns, *, most: int) -> list[str]:
    """Label values in the sample, one more than `most` at most."""
    assert columns.label is not None
    labels = labels_of(sample.column(columns.label), columns, sample.where)
    found = sorted(value for value in pc.unique(labels).to_pylist() if value is not None)
    return found[: most + 1]
