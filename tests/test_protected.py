"""Links, addresses, handles and code are left alone, by every edit step and its placebo, unless a step goes inside."""

import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evenset.data
from evenset.curate import Curation, run
from evenset.curate.edits import NONE
from evenset.curate.words.protected import joined, shield
from evenset.data.config import parse
from evenset.data.tokens import tokenize


def curate(rows: list[str], *steps: dict[str, object], placebo: bool = False) -> Curation:
    plan = parse({"plan": {"p": {"step": list(steps)}}}).plan["p"]
    data = evenset.data.open([{"text": row, "label": "x"} for row in rows], text="text", label="label")
    return run(data, plan, placebo=placebo)


def texts(rows: list[str], *steps: dict[str, object]) -> list[str]:
    curation = curate(rows, *steps)
    assert curation.rows is not None
    return curation.rows["text"].to_pylist()


def places(text: str, *inside: str) -> list[str]:
    raw = text.encode()
    found = shield(tokenize(pa.array([text])), inside)
    return [raw[start:end].decode() for start, end in zip(found.start, found.end, strict=True)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see https://x.org/she?q=her, she said", ["https://x.org/she?q=her"]),
        ("(www.she.com) WWW.HE.COM.", ["www.she.com", "WWW.HE.COM"]),
        ("awww.she and http:/she and ://", []),
        ("ftp://her/x<b>she", ["ftp://her/x"]),
        ("mail she.her@he.co.uk, or jo@she", ["she.her@he.co.uk"]),
        ("José@she.es", ["José@she.es"]),
        ("@she @her_1: #she a@b.", ["@she", "@her_1"]),
        ("@she@her.social", ["@she@her.social"]),
        ("_@she .@he (@her)", ["@she", "@he", "@her"]),
        ("say `she` and ``a ` he`` not she", ["`she`", "``a ` he``"]),
        ("```\nshe = `he`\n``` she", ["```\nshe = `he`\n```"]),
        ("``` she never closed", ["``` she never closed"]),
        ("it` she", []),
        ("`www.she.com @he`", ["`www.she.com @he`"]),
        ("", []),
    ],
)
def test_what_is_protected(text: str, found: list[str]) -> None:
    assert places(text) == found


def test_kinds_that_a_step_goes_into() -> None:
    text = "www.she.com her@she.org @he `him`"
    assert places(text, "urls") == ["her@she.org", "@he", "`him`"]
    assert places(text, "emails", "handles") == ["www.she.com", "`him`"]
    assert places(text, "code", "urls", "emails", "handles") == []


SCRUB = {"do": "scrub", "axis": "pronouns"}
SWAP = {"do": "swap", "axis": "pronouns"}
TEXT = "She: www.she.com/her her@she.org @he `him` #she"


def test_edits_go_around_them_and_count_them() -> None:
    curation = curate([TEXT], SCRUB)
    assert curation.rows is not None
    assert curation.rows["text"].to_pylist() == ["_: www.she.com/her her@she.org @he `him` #_"]
    assert curation.report["steps"][0]["protected"] == 6
    assert "6 left in links" in curation.summary()
    swapped = curate([TEXT], SWAP)
    assert swapped.rows is not None
    assert swapped.rows["text"].to_pylist() == ["He: www.she.com/her her@she.org @he `him` #he"]
    assert swapped.report["steps"][0]["protected"] == 6
    augmented = curate([TEXT], SWAP | {"mode": "augment"}).report["steps"][0]
    assert augmented["protected"] == 6


def test_each_step_has_its_own_reach() -> None:
    steps = [SCRUB | {"inside": ["code"], "groups": ["he"]}, SCRUB | {"with": "X"}]
    assert texts(["he `him she` she"], *steps) == ["_ `_ she` X"]


@pytest.mark.parametrize("step", [SCRUB, SCRUB | {"with": "drop"}, SWAP])
def test_placebos_draw_elsewhere(step: dict[str, object]) -> None:
    curation = curate(["she `alpha` www.beta.com gamma"] * 3 + ["he @alpha beta@gamma.com"], step, placebo=True)
    assert curation.rows is not None
    for text in curation.rows["text"].to_pylist():
        assert re.search(r"`alpha` www\.beta\.com|@alpha beta@gamma\.com", text)
    assert curation.report["steps"][0]["short"] == 1


def test_overlapping_places_become_one() -> None:
    tokens = tokenize(pa.array(["`see www.she.com` @he"]))
    both = joined([shield(tokens), shield(tokens, ["code"])])
    assert [(s, e) for s, e in zip(both.start.tolist(), both.end.tolist(), strict=True)] == [(0, 17), (18, 21)]
    assert joined([]) is NONE


def test_what_lies_across_blocks_and_rows() -> None:
    for before in range(12):
        filler = "x" * ((1 << 18) - before) + " "
        assert places(filler + "www.she.com @he `a` ftp://her/x") == ["www.she.com", "@he", "`a`", "ftp://her/x"]
    cut = tokenize(pa.array(["see http:", "//she", "www", ".he", "a@", "b.com", "`", "she`"]))
    assert shield(cut).n == 0


def test_hostile_texts_take_no_time() -> None:
    long = "a" * 200_000
    tokens = tokenize(pa.array([f"{long} @x", f"x@{'a.' * 50_000}", "`" * 100_000, "` `` " * 20_000, "://" * 50_000]))
    assert shield(tokens).n > 0


PIECES = [
    *("she", "He", "HER", "his", "the", "dog", "x", "é", "\0", "😀"),
    *("www.", "://", "http://", "@", ".com", "`", "``", "```", "#", "_", ".", "(", ")", "/", "-"),
    *(" ", " ", " ", "  ", "\n"),
]
strange = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(strange, min_size=1, max_size=4), mask=st.sampled_from(["_", "drop", "person"]))
def test_scrubbing_twice_is_scrubbing_once_around_protected_places(rows: list[str], mask: str) -> None:
    once = texts(rows, SCRUB | {"with": mask})
    assert texts(once, SCRUB | {"with": mask}) == once


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(rows=st.lists(strange, min_size=1, max_size=5), step=st.sampled_from([SCRUB, SCRUB | {"with": "drop"}, SWAP]))
def test_protected_bytes_stay_and_batches_do_not_matter(rows: list[str], step: dict[str, object]) -> None:
    made = texts(rows, step)
    for raw, text in zip(rows, made, strict=True):
        assert all(place in text for place in places(raw))
        assert texts([raw], step) == [text]
    assert texts(rows[::-1], step) == made[::-1]
