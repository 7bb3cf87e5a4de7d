"""Learned proxies: words that go with a group without naming it, from an audit or found in the rows themselves.

A list that would take out words of the task is refused unless the step says ``force``: a scrub that deletes what the
label is about destroys the data it should mend. A word is one of the task when it is part of a label's name, or when
it tells more about the label than about the group, I(w; label | group) / H(label | group) being the larger share
(methods: 8.0.8d). An audit lists no such words as proxies; a list made of other data or by hand may.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from ...data.config import ScrubStep
from ...data.errors import InputError
from ...data.lexicon import Form, Group, Lexicon
from ...data.match import Matcher
from ...data.tokens import tokenize
from ..prepare import Prepared
from .scrub import Scrub

if TYPE_CHECKING:
    from ...audit.tally import Tally
    from ...data.axes import Axis

_NAMED = 8
_SCHEMA = "evenset.audit/1"
_PREFIX = "proxy:"


class Word(NamedTuple):
    """A proxy: the word, its group, and the shares that it tells of the group and of the label (None: not known)."""

    word: str
    group: str
    about_group: float | None
    about_label: float | None


@dataclass(frozen=True, slots=True)
class Learned:
    """The proxies of a step.

    Attributes
    ----------
    matcher : Matcher or None
        Finds them; None where there are none.
    about : mapping
        For the report: where they come from, how many there are of each group, the words, and the leakage reached.
    notes : tuple of str
    """

    matcher: Matcher | None
    about: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a list comes from."""

    name: str
    words: tuple[Word, ...]
    same_data: bool
    notes: list[str] = field(default_factory=list)


def learned(prepared: Prepared, step: ScrubStep, scrub: Scrub) -> Learned:
    """The proxies that a step asks for.

    Parameters
    ----------
    prepared : Prepared
        The rows; what takes a pass over them is done once for all plans and seeds.
    step : ScrubStep
        What the plan says.
    scrub : Scrub
        The step without proxies.

    Raises
    ------
    InputError
        For an audit that cannot be read or has no proxies of the axis, and for words of the task without ``force``.
    """
    where, axis = scrub.words.where, prepared.axes[step.axis]
    source = _of_rows(prepared, axis) if step.audit is None else _of_audit(prepared, axis, step.audit, where)
    words = _strongest(source.words)
    notes = list(source.notes)
    if not words:
        notes.append(f'there are no proxies of "{axis.name}" ({source.name}), so none are taken out')
    if isinstance(step.proxies, int):
        if step.proxies > len(words):
            notes.append(f"proxies = {step.proxies}, but there are {len(words)}")
        words = words[: step.proxies]
    reached = None
    if step.leakage is not None:
        from .proxy_leakage import fewest

        found = fewest(prepared, step, scrub, tuple((word.word, word.group) for word in words))
        words, reached = words[: found.words], found.to_dict()
        notes.append(found.note)
    task = _of_task(prepared, axis, words, same_data=source.same_data)
    if task and not step.force:
        named = ", ".join(f'"{word}"' for word in task[:_NAMED])
        more = f" and {len(task) - _NAMED} more" if len(task) > _NAMED else ""
        raise InputError(
            f"{where}proxies: {named}{more} tell more about the label than about the group, so taking them out would "
            "take out the task; leave them out of the list, or say force = true"
        )
    if task:
        notes.append(f"{len(task)} of the proxies tell more about the label than about the group; force = true")
    groups = [word.group for word in words]
    about: dict[str, Any] = {
        "source": source.name,
        "found": len(source.words),
        "words": len(words),
        "groups": {group: groups.count(group) for group in sorted(set(groups))},
        "list": [[word.word, word.group] for word in words],
    }
    if reached is not None:
        about["leakage"] = reached
    return Learned(matcher_of(axis.name, [(word.word, word.group) for word in words]), about, tuple(notes))


def matcher_of(axis: str, words: Sequence[tuple[str, str]]) -> Matcher | None:
    """Finds single words, each of a group; None for none.

    Examples
    --------
    >>> matcher = matcher_of("pronouns", [("ballet", "she"), ("rugby", "he")])
    >>> found = matcher.find(tokenize(pa.array(["Rugby, not ballet"])))
    >>> [matcher.lexicon.groups[group].name for group in matcher.group_of[found.form]]
    ['proxy:he', 'proxy:she']
    """
    if not words:
        return None
    names = sorted({group for _, group in words})
    groups = tuple(Group(axis, _PREFIX + name) for name in names)
    forms = tuple(Form(word, names.index(group), str(at), ambiguous=False) for at, (word, group) in enumerate(words))
    digest = hashlib.sha256(json.dumps(list(words)).encode()).hexdigest()
    name = f"proxies of {axis}"
    return Matcher(Lexicon(name, digest[:12], "", "learned from data", "", groups, forms, digest))


def _strongest(words: Sequence[Word]) -> list[Word]:
    """The strongest first, each word once, with the group that it tells most about."""
    ordered = sorted(words, key=lambda one: (-(one.about_group or 0.0), one.word, one.group))
    return list({one.word: one for one in reversed(ordered)}.values())[::-1]


def _of_rows(prepared: Prepared, axis: Axis) -> _Source:
    """Those that the audit finds in these very rows."""
    report, _ = _audited(prepared, axis)
    words = tuple(Word(one.word, one.group, one.about_group, one.about_label) for one in report.proxies)
    return _Source("found in these rows", words, same_data=True, notes=[report.note] if report.note else [])


def _audited(prepared: Prepared, axis: Axis) -> tuple[Any, Tally]:
    """The proxies of the rows, and the counts that they rest on."""

    def audit() -> tuple[Any, Tally]:
        from ...audit import pipeline

        report = pipeline.run(prepared.dataset, [axis], measures=["proxies"])
        assert report.parts.proxies is not None
        return report.parts.proxies[axis.name], report.tally

    found: tuple[Any, Tally] = prepared.remembered(("proxies", axis.name), audit)
    return found


def _of_audit(prepared: Prepared, axis: Axis, path: str, where: str) -> _Source:
    """Those of an audit.json."""
    said = f'{where}audit = "{path}": '
    content = _read(path, said)
    make = f"evenset audit DATA --axis {axis.name} --measures proxies --out FOLDER"
    listed, searched = content.get("proxies"), content.get("proxy_search")
    if not isinstance(listed, list):
        raise InputError(f"{said}this audit looked for no proxies; make one that does: {make}")
    if isinstance(searched, dict) and axis.name not in searched:
        known = ", ".join(sorted(map(str, searched))) or "no axis"
        raise InputError(f'{said}it has proxies of {known}, not of "{axis.name}"; make one that does: {make}')
    words = [_word(one, at, said) for at, one in enumerate(listed, start=1) if _axis_of(one) == axis.name]
    data = content.get("dataset")
    theirs = data.get("sha256") if isinstance(data, dict) else None
    same = theirs is not None and theirs == prepared.remembered("described", prepared.dataset.describe)["sha256"]
    notes = []
    if not same:
        notes.append(
            f'the audit "{Path(path).name}" is of other data than this (their hashes differ); its proxies are taken as '
            "they are, and words of the task are judged by these rows"
        )
    return _Source(Path(path).name, tuple(words), same_data=same, notes=notes)


def _read(path: str, said: str) -> dict[str, Any]:
    try:
        content = json.loads(Path(path).expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{said}{error.strerror or error}; evenset audit DATA --out FOLDER writes one") from None
    except ValueError:
        raise InputError(f"{said}this is no JSON; name the audit.json that evenset audit wrote") from None
    if not isinstance(content, dict) or content.get("schema") != _SCHEMA:
        raise InputError(f"{said}this is no audit of this evenset ({_SCHEMA}); name its audit.json")
    return content


def _axis_of(one: Any) -> Any:
    return one.get("axis") if isinstance(one, dict) else None


def _word(one: dict[str, Any], at: int, said: str) -> Word:
    word, group = one.get("word"), one.get("group")
    if not isinstance(word, str) or not isinstance(group, str):
        raise InputError(f"{said}proxy {at} has no word and group")
    folded = tokenize(pa.array([word], pa.large_string())).folded
    if len(folded) != 1 or tokenize(pa.array([word], pa.large_string())).n != 1:
        raise InputError(f'{said}proxy {at}: "{word[:40]}" is no single word; proxies are single words')
    shares = [one.get(name) for name in ("about_group", "about_label")]
    known = [float(share) if isinstance(share, int | float) else None for share in shares]
    return Word(folded[0], group, known[0], known[1])


def _of_task(prepared: Prepared, axis: Axis, words: Sequence[Word], *, same_data: bool) -> list[str]:
    """Which of some words are the task's, strongest first."""
    if not words:
        return []
    task = _label_words(prepared)
    asked = [one.word for one in words if not same_data or one.about_group is None or one.about_label is None]
    # With one label there is no task, and its share is not known.
    of_label = (
        {one.word for one in words if (one.about_label or 0.0) > (one.about_group or 0.0)} if same_data else set()
    )
    if asked and prepared.dataset.columns.label is not None:
        of_label |= _about_label(prepared, axis, [one for one in words if one.word in set(asked)])
    return [one.word for one in words if one.word in task or one.word in of_label]


def _label_words(prepared: Prepared) -> frozenset[str]:
    """The words of the labels' names, and of the lexicon that labels are made by."""
    names = prepared.remembered("labels", lambda: _labels(prepared))
    made = prepared.dataset.axis_labels
    forms = [] if made is None else [form.text for form in made.lexicon.forms]
    return frozenset(tokenize(pa.array([*names, *forms], pa.large_string())).folded)


def _labels(prepared: Prepared) -> list[str]:
    import pyarrow.compute as pc

    names: set[str] = set()
    for chunk in prepared.chunks():
        if chunk.scanned.batch.label is not None:
            names.update(name for name in pc.unique(chunk.scanned.batch.label).to_pylist() if name is not None)
    return sorted(names)


def _about_label(prepared: Prepared, axis: Axis, words: Sequence[Word]) -> set[str]:
    """Words that tell more about the label than about the group, counted in these rows."""
    import numpy as np

    from ...audit.keyness import keyness
    from ...audit.sides import sides_of

    _, tally = _audited(prepared, axis)
    wanted = {one.word: one.group for one in words}
    found: set[str] = set()
    for sides in sides_of(tally, axis.name):
        chosen = sides.keep(np.array([at for at, word in enumerate(sides.words) if word in wanted], np.int64))
        if not chosen.words:
            continue
        key = keyness(chosen)
        for word, group, label in zip(chosen.words, key.about_group.tolist(), key.about_label.tolist(), strict=True):
            if wanted[word] in (sides.first, sides.second) and label > group:
                found.add(word)
    return found
