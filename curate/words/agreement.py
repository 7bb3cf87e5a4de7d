"""The verb of a pronoun that becomes "they": runs → run, is → are, she's → they're or they've.

With tags (Penn Treebank) of a pipeline the finite verb is looked for, also behind asides and coordinated ones; without,
only the words right after the pronoun, before it in a question, and what "and" or "or" joins to the verb directly.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


def lists(name: str) -> frozenset[str]:
    """Words of a list of ``agreement.toml``."""
    words: str = _LISTS[name]["words"]
    return frozenset(words.split())


with (Path(__file__).parent / "agreement.toml").open("rb") as _handle:
    _LISTS = tomllib.load(_handle)

_AUXILIARIES = {"is": "are", "was": "were", "has": "have", "does": "do"}
_NEGATED = {"isn": "aren", "wasn": "weren", "hasn": "haven", "doesn": "don"}
_IRREGULAR = _AUXILIARIES | {"goes": "go", "undergoes": "undergo", "forgoes": "forgo"}
_ADVERBS = lists("adverbs")
_NO_VERBS_IN_S = lists("no_verbs_in_s")
_JOINS = lists("joins")
_AFTER_VERBS = lists("after_verbs")
_ENDS = (".", "!", "?", "\n", ";", ":")
# After 's these are participles of "has", never of "is".
_OF_HAS = lists("of_has")
_OF_IS = lists("of_is")
_KEEP_E_IN_CHES = ("aches", "caches", "psyches", "avalanches")
_IN_S = ("focuses", "refocuses", "biases", "buses", "gases", "canvases")
_KEEP_E_IN_OES = ("shoes", "hoes", "canoes", "toes")
_FAR = 40
_ASIDE = 8


@dataclass(frozen=True, slots=True)
class Line:
    """Words of a row around a pronoun.

    Attributes
    ----------
    words : sequence of str
        Folded.
    gaps : sequence of str
        What stands before each.
    tags : sequence of str or None
        Tag of each; "" where there is none.
    """

    words: Sequence[str]
    gaps: Sequence[str]
    tags: Sequence[str] | None


def plural(word: str) -> str | None:
    """The form of a verb for "they" of its form for "she"; None where the word is no such form.

    Examples
    --------
    >>> [plural(word) for word in ("runs", "is", "tries", "watches", "loses", "goes", "passes", "dies", "sing", "this")]
    ['run', 'are', 'try', 'watch', 'lose', 'go', 'pass', 'die', None, None]
    """
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 3 or not word.endswith("s") or word in _NO_VERBS_IN_S or word.endswith(("ss", "us", "is")):
        return None
    if word in _IN_S:
        return word[:-2]
    if word.endswith("ies"):
        return word[:-1] if len(word) <= 4 else word[:-3] + "y"
    if word.endswith(("sses", "shes", "xes", "zzes")) or (word.endswith("ches") and word not in _KEEP_E_IN_CHES):
        return word[:-2]
    if word.endswith("oes") and word not in _KEEP_E_IN_OES:
        return word[:-2]
    return word[:-1]


def agreed(line: Line, at: int) -> tuple[list[tuple[int, str]], int]:
    """What to write for the verbs of the pronoun at a place, and how many verbs could not be decided on.

    Parameters
    ----------
    line : Line
        Words around it.
    at : int
        Place of the pronoun.

    Returns
    -------
    list of (int, str)
        Places of verbs and their new forms.
    int

    Examples
    --------
    >>> words = "she often runs and jumps".split()
    >>> agreed(Line(words, [""] + [" "] * 4, None), 0)
    ([(2, 'run'), (4, 'jump')], 0)
    """
    if _is_s(line, at + 1):
        return _contracted(line, at + 1)
    place, missed = _verb(line, at)
    if place is None:
        before = _inverted(line, at)
        return ([(before, _form(line.words[before]))] if before is not None else []), missed
    made = []
    if _to_change(line, place):
        made.append((place, _form(line.words[place])))
    more, unsure = _coordinated(line, place)
    return made + more, missed + unsure


def _form(word: str) -> str:
    form = _NEGATED.get(word) or plural(word)
    assert form is not None
    return form


def _is_s(line: Line, k: int) -> bool:
    return k < len(line.words) and line.words[k] == "s" and line.gaps[k] in ("'", "\u2019")


def _open(line: Line, k: int) -> bool:
    """Whether the clause goes on to this word."""
    return k < len(line.words) and not any(mark in line.gaps[k] for mark in _ENDS)


def _adverb(line: Line, k: int) -> bool:
    word = line.words[k]
    if line.tags is not None and line.tags[k]:
        return line.tags[k] in ("RB", "RBR", "RBS") or word in ("n", "t")
    return word in _ADVERBS or (word.endswith("ly") and len(word) > 4 and word not in ("rely", "apply", "reply"))


def _after_adverbs(line: Line, k: int) -> int:
    while _open(line, k) and line.gaps[k] in (" ", "'", "\u2019") and _adverb(line, k):
        k += 1
    return k


def _finite(line: Line, k: int) -> bool:
    assert line.tags is not None
    return line.tags[k] in ("VBZ", "VBD", "VBP", "MD") or line.words[k] in _NEGATED


def _to_change(line: Line, k: int) -> bool:
    """Whether the word is a verb that "they" would change."""
    word = line.words[k]
    if word in _NEGATED or word in _AUXILIARIES:
        return True
    if line.tags is not None and line.tags[k] and line.tags[k] not in ("VBZ", "NNS", "NNPS"):
        return False
    return plural(word) is not None


def _verb(line: Line, at: int) -> tuple[int | None, int]:
    """Place of the finite verb after the pronoun, changed or not; and whether one is likely but not found."""
    k = _after_adverbs(line, at + 1)
    if not _open(line, k):
        return None, 0
    if "," in line.gaps[at + 1] or "(" in line.gaps[at + 1]:
        return _behind_aside(line, at + 1)
    if line.words[k] == "who":
        return None, 1
    if line.gaps[k] not in (" ", "  "):
        return None, 0
    if line.words[k] in _NEGATED or line.words[k] in _AUXILIARIES:
        return k, 0
    if line.tags is not None and _finite(line, k):
        return k, 0
    if line.words[k] in _JOINS or (line.tags is not None and line.tags[k] in ("CC", "WDT", "WP")):
        return None, 0
    if plural(line.words[k]) is not None and _inverted(line, at) is None:
        return k, 0
    return (k if line.tags is None and _inverted(line, at) is None else None), 0


def _behind_aside(line: Line, k: int) -> tuple[int | None, int]:
    """The verb behind an aside: she, however, runs."""
    if line.tags is None:
        return None, 1
    for end in range(k + 1, min(k + _ASIDE, len(line.words))):
        if not _open(line, end):
            return None, 1
        if "," in line.gaps[end] or ")" in line.gaps[end]:
            verb = _after_adverbs(line, end) if not _adverb(line, end) else end
            while verb < len(line.words) and _adverb(line, verb):
                verb += 1
            found = verb < len(line.words) and (_finite(line, verb) or _to_change(line, verb))
            return (verb, 0) if found else (None, 1)
    return None, 1


def _inverted(line: Line, at: int) -> int | None:
    """Place of an auxiliary before the pronoun whose subject it is: is she, doesn't she."""
    k = at - 1
    if k >= 0 and line.words[k] == "t" and line.gaps[at] == " ":
        k -= 1
        if k >= 0 and line.words[k] in _NEGATED:
            return k
        return None
    if k >= 0 and line.words[k] == "not" and k > 0:
        k -= 1
    if k < 0 or line.gaps[at] != " " or line.words[k] not in _AUXILIARIES:
        return None
    following = _after_adverbs(line, at + 1)
    if line.words[k] in ("is", "was") and _open(line, following):
        if line.tags is not None and _finite(line, following):
            return None
        if line.tags is None and (line.words[following] in _AUXILIARIES or plural(line.words[following]) is not None):
            return None
    return k


def _contracted(line: Line, k: int) -> tuple[list[tuple[int, str]], int]:
    """she's: they're or they've."""
    following = _after_adverbs(line, k + 1)
    if not _open(line, following):
        return [(k, "re")], 0
    word = line.words[following]
    tag = "" if line.tags is None else line.tags[following]
    by = following + 1 < len(line.words) and line.words[following + 1] == "by"
    has = "re"
    if word in _OF_HAS and not (word in _OF_IS and not _has_object(line, following)) and not by:
        has = "ve"
    elif word not in _OF_IS and not by and line.gaps[following] == " ":
        if tag in ("VBN", "VBD"):
            has = "ve"
        elif line.tags is None and word.endswith("ed") and len(word) > 4:
            return [], 1
    made = [(k, has)]
    more, missed = _coordinated(line, following - 1)
    return made + more, missed


def _has_object(line: Line, k: int) -> bool:
    """Whether what follows a participle looks like its object: she's done it."""
    return k + 1 < len(line.words) and line.gaps[k + 1] == " " and line.words[k + 1] in (
        "it", "that", "this", "the", "a", "an", "to", "her", "his", "their", "so", "everything", "nothing", "much",
    )  # fmt: skip


def _coordinated(line: Line, verb: int) -> tuple[list[tuple[int, str]], int]:
    """Further verbs of the same subject."""
    return _tagged_chain(line, verb) if line.tags is not None else _plain_chain(line, verb)


def _tagged_chain(line: Line, verb: int) -> tuple[list[tuple[int, str]], int]:
    made: list[tuple[int, str]] = []
    assert line.tags is not None
    joined = False
    for k in range(verb + 1, min(verb + _FAR, len(line.words))):
        if not _open(line, k):
            break
        tag = line.tags[k]
        if tag in ("CC",) or line.words[k] in _JOINS:
            joined = True
            continue
        comma = "," in line.gaps[k]
        if _adverb(line, k):
            joined = joined or comma
            continue
        if tag in ("WP", "WDT", "WRB", "WP$"):
            break
        # A pipeline takes the second of "runs and jumps" for a noun.
        bare = joined and k == verb + 2 and _to_change(line, k) and _to_change(line, verb)
        if _finite(line, k) or bare:
            if not joined and not comma:
                break
            if _to_change(line, k):
                made.append((k, _form(line.words[k])))
        joined = False
    return made, 0


def _plain_chain(line: Line, verb: int) -> tuple[list[tuple[int, str]], int]:
    """Without tags: only what is joined to the verb directly, and auxiliaries right after "and" in the sentence."""
    made: list[tuple[int, str]] = []
    missed = 0
    last = verb
    for k in range(verb + 1, min(verb + _FAR, len(line.words))):
        if not _open(line, k):
            break
        if line.words[k] in ("who", "which", "that", "he", "she", "it", "they", "we", "you", "i"):
            break
        if line.words[k] not in _JOINS:
            continue
        here = _after_adverbs(line, k + 1)
        if not _open(line, here) or line.gaps[here] != " ":
            continue
        word = line.words[here]
        if word in _AUXILIARIES or word in _NEGATED:
            made.append((here, _form(word)))
            last = here
        elif plural(word) is not None:
            # "runs and jumps", "sells cars and fixes them", "and now lives": verbs; "likes cats and dogs": who knows.
            bare = k == last + 1 and plural(line.words[last]) is not None and line.words[last] not in _AUXILIARIES
            behind = line.words[here + 1] if _open(line, here + 1) and line.gaps[here + 1] == " " else ""
            if bare or here > k + 1 or word in _IRREGULAR or behind in _AFTER_VERBS:
                made.append((here, _form(word)))
                last = here
            else:
                missed += 1
    return made, missed
