"""Names of persons: by a list without a pipeline, by a pipeline with one."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evenset.data
from evenset.curate import Curation, run
from evenset.curate.words.tagging import KNOWN
from evenset.data.config import parse
from evenset.data.errors import InputError

tagged = pytest.mark.skipif(not any(find_spec(name) for name in KNOWN), reason="no spaCy pipeline is installed")


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("lexicon") / "names.toml"
    path.write_text(
        '[lexicon]\nname = "names"\nversion = "1"\nlanguage = "en"\nsource = "test"\nlicence = "none"\n'
        '[[group]]\naxis = "gender"\nname = "female"\nforms = ["mary", "ann", "zoë"]\n'
        '[[group]]\naxis = "gender"\nname = "male"\nforms = ["john", "will"]\nambiguous = ["will"]\n'
    )
    return f"lexicon:{path}"


def curate(rows: list[str], axis: str, **step: object) -> Curation:
    plan = parse({"plan": {"p": {"step": [{"do": "scrub", "axis": axis, **step}]}}}).plan["p"]
    return run(evenset.data.open([{"text": row, "label": "x"} for row in rows], text="text", label="label"), plan)


def texts(rows: list[str], axis: str, **step: object) -> list[str]:
    curation = curate(rows, axis, **step)
    assert curation.rows is not None
    return curation.rows["text"].to_pylist()


@pytest.mark.parametrize(
    ("raw", "masked"),
    [
        ("Mary met John.", "_ met _."),
        ("Mary Ann Smith and John O'Brien-Jones", "_ and _"),
        ("We saw Mary J. Smith's house.", "We saw _'s house."),
        ("mary and the john", "mary and the john"),
        ("Zoë I know; Mary The Great", "_ I know; _ The Great"),
        ("MARY", "_"),
        ("Will came. Mary, Paris", "Will came. _, Paris"),
        ("Mary\nSmith", "_\nSmith"),
        ("mail mary@Mary.org @Mary `Mary`", "mail mary@Mary.org @Mary `Mary`"),
    ],
)
def test_names_of_the_list_where_capitalised(names: str, raw: str, masked: str) -> None:
    assert texts([raw], names) == [masked]


def test_ambiguous_names_and_groups_on_request(names: str) -> None:
    assert texts(["Will met Mary"], names, ambiguous=True) == ["_ met _"]
    assert texts(["John met Mary"], names, groups=["male"]) == ["_ met Mary"]


def test_dropping_a_name_gives_no_capital(names: str) -> None:
    assert texts(["Mary mary is here. Ann Lee, ann"], names, **{"with": "drop"}) == ["mary is here., ann"]


def test_report_and_ledger(names: str) -> None:
    curation = curate(["Mary Ann Smith ran"], names)
    assert curation.ledger["before"].to_pylist() == ["Mary Ann Smith"]
    assert curation.ledger["reason"].to_pylist() == ["name"]
    assert curation.report["steps"][0]["groups"] == {"name": 1}
    assert curation.report["steps"][0]["tagger"] is None
    assert any("finds names by the list" in note for note in curation.report["notes"]) == any(map(find_spec, KNOWN))


@tagged
def test_with_a_pipeline(names: str, tmp_path: Path) -> None:
    raw = "Yesterday Barack Obama visited Angela Merkel's office in Berlin."
    curation = curate([raw, ""], names, tagger="auto", **{"with": "[NAME]"})
    assert curation.rows is not None
    assert curation.rows["text"].to_pylist() == ["Yesterday [NAME] visited [NAME]'s office in Berlin.", ""]
    used = curation.report["steps"][0]["tagger"]
    assert used.split(" ")[0] in KNOWN
    again = curate(curation.rows["text"].to_pylist(), names, tagger="auto", **{"with": "[NAME]"})
    assert again.report["counts"]["edits"] == 0
    assert not any("finds names by the list" in note for note in curation.report["notes"])


@tagged
def test_the_ledger_names_the_pipeline(names: str, tmp_path: Path) -> None:
    from evenset.curate.book.ledger import read_ledger

    (tmp_path / "in.csv").write_text("text,label\nBarack Obama spoke.,x\n")
    plan = parse({"plan": {"p": {"step": [{"do": "scrub", "axis": names, "tagger": "auto"}]}}}).plan["p"]
    run(evenset.data.open(tmp_path / "in.csv"), plan, out=tmp_path / "out", audited=False)
    (used,) = read_ledger(tmp_path / "out" / "ledger.parquet").about["taggers"]
    assert used.split(" ")[0] in KNOWN


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"with": "neutral"}, "no neutral forms"),
        ({"proxies": "all"}, "names have none"),
        ({"with": "`x`"}, "backtick"),
        ({"tagger": "no_such_pipeline"}, "no such pipeline"),
    ],
)
def test_what_cannot_be_done_is_said(names: str, step: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        curate(["Mary"], names, **step)


pieces = st.sampled_from(["Mary", "mary", "Ann", "John", "Smith", "The", "x", " ", " ", ". ", "-", "'", "@", "\n", "I"])


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.lists(pieces, max_size=10).map("".join), min_size=1, max_size=4), mask=st.sampled_from("_d"))
def test_scrubbing_twice_is_scrubbing_once(names: str, rows: list[str], mask: str) -> None:
    with_ = {"with": "drop" if mask == "d" else "_"}
    once = texts(rows, names, **with_)
    assert texts(once, names, **with_) == once
