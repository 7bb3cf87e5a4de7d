"""The page of a verdict, part by part."""

from __future__ import annotations

from ...audit.page.document import Section, document
from ...audit.page.shorten import shortened, shortener
from .arms import decisions, gaps, placebos, scratch, tradeoff
from .attributed import attributed
from .first import conclusion, matters, status, tiles
from .groups import groups, thresholds, worst
from .more import secondary
from .reading import Json, gap_in_words, items, part, said
from .record import fixed, limits, made

FOOTER = (
    "evenset. This page is verdict.json in words and charts: every figure in it is in that file, and it holds no row "
    "of any data. All intervals are 95 %."
)


def page(verdict: Json) -> str:
    """The whole file, from the contents of verdict.json."""
    stick = part(verdict, "yardstick")
    kind = " · ".join(
        text for text in ("Verdict", said(stick.get("axis")), said(part(verdict, "environment").get("model"))) if text
    )
    made_of: list[Section | None] = [
        decisions(verdict),
        gaps(verdict),
        tradeoff(verdict),
        scratch(verdict),
        placebos(verdict),
        groups(verdict),
        worst(verdict),
        thresholds(verdict),
        secondary(verdict),
        attributed(verdict),
        fixed(verdict),
        made(verdict),
        limits(verdict),
    ]
    cut = shortener(
        one.get(key) for name in ("arms", "gaps") for one in items(verdict, name) for key in ("arm", "upstream")
    )
    scores, found = shortened(tiles(verdict), matters(verdict), cut, "How it was made")
    return document(
        title=f"Verdict: {said(verdict.get('decision')) or 'gaps'}",
        kind=cut(f"{kind}. {gap_in_words(verdict)}"),
        status=status(verdict),
        conclusion=cut(conclusion(verdict)),
        tiles=scores,
        matters=found,
        sections=[section for section in made_of if section is not None],
        footer=FOOTER,
    )
