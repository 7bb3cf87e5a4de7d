"""Finding things in the record of a verdict, whatever version wrote it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ...audit.page.document import STATUSES
from ...audit.page.html import Html, join, tag
from ...audit.page.plot.forest import spelt
from ...audit.page.plot.scales import known
from ...audit.page.table import Cell

Json = Mapping[str, Any]

GUARDS = {"auc": "AUC", "macro_f1": "macro-F1"}
OWN = ("pretrained", "none")  # upstreams as they are had; "none" is a model without pre-training to vary
CERTIFIED = ("shrunk-meaningfully", "shrunk")
UPSTREAMS = {"pretrained": "pre-trained", "random": "from scratch", "none": "no pre-training to vary"}
STATES = {"passed": "pass", "failed": "fail", "unresolved": "unclear"}
STATE_WORDS = {"passed": "kept", "failed": "lost", "unresolved": "open"}


def items(record: Json, key: str) -> list[Json]:
    """The records of a list; what is no record is left out."""
    return [one for one in record.get(key) or () if isinstance(one, Mapping)]


def part(record: Json, key: str) -> Json:
    """A record in a record; empty where there is none."""
    found = record.get(key)
    return found if isinstance(found, Mapping) else {}


def three(record: Json, name: str) -> tuple[Any, Any, Any]:
    """An estimate with the ends of its interval.

    Examples
    --------
    >>> three({"gap": 0.2, "gap_low": 0.1}, "gap")
    (0.2, 0.1, None)
    """
    return record.get(name), record.get(f"{name}_low"), record.get(f"{name}_high")


def plain(value: object) -> str:
    """A number without a sign.

    Examples
    --------
    >>> plain(0.2172), plain(-0.02), plain(None)
    ('0.217', '−0.020', '?')
    """
    return f"{round(value, 3) + 0.0:.3f}".replace("-", "−") if known(value) else "?"


def between(low: object, high: object) -> str:
    """An interval for a first screen; empty where there is none."""
    return f"{plain(low)} to {plain(high)}" if known(low) and known(high) else ""


def cell(value: Any, low: Any = None, high: Any = None, *, signed: bool = True, percent: bool = False) -> Cell:
    """An estimate with its interval as a cell that sorts by the estimate."""
    said = spelt(value, low, high, signed=signed, percent=percent) if known(value) else "–"
    return Cell(tag("span", said, class_="nowrap"), float(value) if known(value) else "")


def stacked(value: Any, low: Any = None, high: Any = None, *, signed: bool = True, percent: bool = False) -> Cell:
    """The same with the interval below the estimate, where a table has many columns."""
    whole = cell(value, low, high, signed=signed, percent=percent)
    first, found, rest = (spelt(value, low, high, signed=signed, percent=percent) if known(value) else "–").partition(
        " ["
    )
    return (
        Cell(join([first, tag("br"), tag("span", found.strip() + rest, class_="small")]), whole.value)
        if found
        else whole
    )


def status_of(decision: object) -> str:
    """What a decision amounts to, as a key of STATUSES."""
    if decision in CERTIFIED or decision == "no-gap":
        return "pass"
    return "unclear" if decision == "unclear" else "fail"


def decided(decision: object) -> Html:
    """A decision with its sign."""
    kind = status_of(decision)
    return tag("span", tag("span", f"{STATUSES[kind]} ", aria_hidden="true"), decision, class_=f"status {kind}")


def state(name: object) -> Cell | None:
    """Whether a guard was kept, as a cell."""
    if name not in STATES:
        return None
    kind = STATES[str(name)]
    mark = tag("span", f"{STATUSES[kind]} ", aria_hidden="true")
    return Cell(tag("span", mark, STATE_WORDS[str(name)], class_=f"status {kind}"), STATE_WORDS[str(name)])


def said(text: object) -> str:
    """A text that may be missing."""
    return "" if text is None else str(text)


def up(record: Json) -> str:
    """The upstream in words."""
    name = said(record.get("upstream"))
    return UPSTREAMS.get(name, name)


def upstreams(records: Sequence[Json]) -> list[str]:
    """Each upstream once: as released first, from scratch last."""
    names = dict.fromkeys(said(one.get("upstream")) for one in records)
    return sorted(names, key=lambda name: (name == "random", name not in OWN))


def arm_name(record: Json, *, several: bool) -> str:
    """An arm, and its upstream where there are several."""
    return f"{said(record.get('arm'))} ({up(record)})" if several else said(record.get("arm"))


def key_of(record: Json) -> tuple[str, str]:
    """What names an arm."""
    return said(record.get("arm")), said(record.get("upstream"))


def fell(arm: Json) -> float:
    """By how much the gap came nearer to 0."""
    before, after = arm.get("base_gap"), arm.get("gap")
    return abs(before) - abs(after) if known(before) and known(after) else -math.inf


def best_of(verdict: Json) -> Json | None:
    """The arm that the first screen is about, as the headline has it: certified ones first, of the released model."""
    arms = items(verdict, "arms")
    for some in ([arm for arm in arms if arm.get("decision") in CERTIFIED], arms):
        own = [arm for arm in some if arm.get("upstream") in OWN] or some
        if own:
            return max(own, key=fell)
    return None


def what_gap(record: Json) -> str:
    """The gap in words, for an axis."""
    stick = part(record, "yardstick")
    if stick.get("measure") == "tpr":
        return (
            f"gap: recall of {said(stick.get('first'))} minus {said(stick.get('second'))} per unit of the share of "
            f"{said(stick.get('first'))}"
        )
    if stick.get("measure") == "fpr":
        return "gap: false-positive rate per unit of log ratio in the raw data"
    return "gap"


def gap_in_words(record: Json) -> str:
    """What the gap is and over what, in a sentence."""
    stick = part(record, "yardstick")
    used = sum(1 for entry in items(stick, "entries") if entry.get("used"))
    if stick.get("measure") == "tpr":
        first, second = said(stick.get("first")), said(stick.get("second"))
        what = f"The gap is the slope of recall of {first} minus {second} on the share of {first}, over {used} labels"
    elif stick.get("measure") == "fpr":
        what = (
            f"The gap is the slope of the false-positive rate on how toxic a term is in the raw data, over {used} terms"
        )
    else:
        return "What the gap is made of is not in this file."
    return f"{what}. Positive follows the imbalance of the raw data; 0 is no gap."
