"""Neutral forms: verbs agree with "they", and what could not be decided is counted."""

import pytest
from neutral_sentences import FRESH, PAIRS

import evenset.data
from evenset.curate import Curation, run
from evenset.curate.words.agreement import plural
from evenset.curate.words.tagging import KNOWN
from evenset.data.config import parse
from evenset.data.errors import InputError

HAS_PIPELINE = any(pytest.importorskip("importlib.util").find_spec(name) for name in KNOWN)
tagged = pytest.mark.skipif(not HAS_PIPELINE, reason="no spaCy pipeline is installed")


def curate(rows: list[str], *, axis: str = "pronouns", **step: object) -> Curation:
    plan = parse({"plan": {"p": {"step": [{"do": "scrub", "axis": axis, "with": "neutral", **step}]}}}).plan["p"]
    data = evenset.data.open([{"text": row, "label": "x"} for row in rows], text="text", label="label")
    return run(data, plan)


def texts(rows: list[str], **step: object) -> list[str]:
    curation = curate(rows, **step)
    assert curation.rows is not None
    return curation.rows["text"].to_pylist()


def exact(pairs: list[tuple[str, str]], **step: object) -> float:
    made = texts([raw for raw, _ in pairs], **step)
    return sum(text == right for text, (_, right) in zip(made, pairs, strict=True)) / len(pairs)


def test_there_are_enough_sentences() -> None:
    assert len(PAIRS) + len(FRESH) >= 100
    assert len({raw for raw, _ in [*PAIRS, *FRESH]}) == len(PAIRS) + len(FRESH)


def test_without_a_tagger() -> None:
    assert exact(PAIRS) >= 0.93
    assert exact(FRESH) >= 0.85


@pytest.mark.slow
@tagged
def test_with_a_tagger() -> None:
    assert exact(PAIRS, tagger="auto") >= 0.97
    assert exact(FRESH, tagger="auto") >= 0.92


@tagged
def test_the_report_names_the_pipeline_or_that_one_is_not_used() -> None:
    used = curate(["She runs."], tagger="auto").report
    name, version = used["steps"][0]["tagger"].split(" ")
    assert name in KNOWN
    assert version[0].isdigit()
    unused = curate(["She runs."]).report
    assert any('tagger = "auto"' in note for note in unused["notes"])
    assert not any('tagger = "auto"' in note for note in used["notes"])


def test_what_could_not_be_decided_is_counted() -> None:
    report = curate(["She likes cats and dogs.", "She's walked.", "He runs."]).report["steps"][0]
    assert (report["agreed"], report["not_agreed"]) == (2, 2)
    assert texts(["She's walked."]) == ["They's walked."]


def test_verbs_are_edits_of_their_own() -> None:
    ledger = curate(["Now she runs."]).ledger
    assert ledger["before"].to_pylist() == ["she", "runs"]
    assert ledger["after"].to_pylist() == ["they", "run"]
    assert ledger["reason"].to_pylist() == ["she", "agreement"]


def test_only_verbs_of_changed_pronouns_agree() -> None:
    assert texts(["He runs, it runs, she runs."], groups=["she"]) == ["He runs, it runs, they run."]
    assert texts(["They are here. It is."]) == ["They are here. It is."]


@pytest.mark.parametrize(
    ("verb", "form"),
    [
        ("catches", "catch"), ("caches", "cache"), ("mixes", "mix"), ("closes", "close"), ("focuses", "focus"),
        ("lies", "lie"), ("flies", "fly"), ("vetoes", "veto"), ("plays", "play"), ("has", "have"), ("does", "do"),
        ("always", None), ("his", None), ("pass", None), ("plus", None), ("sing", None), ("s", None),
    ],
)  # fmt: skip
def test_forms_of_verbs(verb: str, form: str | None) -> None:
    assert plural(verb) == form


def test_neutral_nouns_only_where_the_lexicon_has_them(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("lexicon") / "kin.toml"
    path.write_text(
        '[lexicon]\nname = "kin"\nversion = "1"\nlanguage = "en"\nsource = "test"\nlicence = "none"\n'
        '[[group]]\naxis = "kin"\nname = "female"\nforms = ["mother", "queen"]\n'
        '[[group]]\naxis = "kin"\nname = "neutral"\nforms = ["parent"]\nstatus = false\n'
    )
    made = curate(["Her Mother, the queen."], axis=f"lexicon:{path}")
    assert made.rows is not None
    assert made.rows["text"].to_pylist() == ["Her Parent, the queen."]
    assert made.report["steps"][0]["unsure"] == 1


def test_names_have_no_neutral_form_and_proxies_neither() -> None:
    with pytest.raises(InputError, match="no neutral forms"):
        curate(["She."], proxies=3)


def test_its_placebo_writes_as_many_other_words() -> None:
    rows = [f"She runs and he is near the old house number{n} of a friend" for n in range(20)]
    plan = parse({"plan": {"p": {"step": [{"do": "scrub", "axis": "pronouns", "with": "neutral"}]}}}).plan["p"]
    data = evenset.data.open([{"text": row, "label": "x"} for row in rows], text="text", label="label")
    real, placebo = run(data, plan), run(data, plan, placebo=True)
    assert real.report["counts"]["edits"] == placebo.report["counts"]["edits"] == 80
    assert not {"She", "he"} & set(placebo.ledger["before"].to_pylist())
