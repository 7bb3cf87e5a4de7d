"""Laws of every way of scrubbing: twice is once, order does not matter, and restore gives the bytes back."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import evenset.data
from evenset.curate import prepare, restore, run
from evenset.data.config import Plan, parse

AUDIT = """{"schema": "evenset.audit/1", "dataset": {}, "proxies": [
{"axis": "pronouns", "word": "ballet", "group": "she", "about_group": 0.1, "about_label": 0.0},
{"axis": "pronouns", "word": "dog", "group": "he", "about_group": 0.1, "about_label": 0.0}]}"""
NAMES = """[lexicon]
name = "names"
version = "1"
language = "en"
source = "test"
licence = "none"
[[group]]
axis = "gender"
name = "female"
forms = ["mary", "ann"]
"""
PIECES = [
    *("She", "he", "HER", "his", "the", "dog", "ballet", "runs", "is", "'s", "and", "Mary", "Smith", "é", "\0", "😀"),
    *("http://x.org/she", "@he", "her@x.org", "`", "```", "#", "_", ".", ",", "(", ")", "-", "\\", '"'),
    *(" ", " ", " ", " ", "  ", "\n", "\r\n"),
]
strange = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
MODES = ["mask", "drop", "neutral", "proxies", "dropped proxies", "names", "inside", "all"]


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Plan]:
    folder = tmp_path_factory.mktemp("given")
    (folder / "audit.json").write_text(AUDIT)
    (folder / "names.toml").write_text(NAMES)
    base = {"do": "scrub", "axis": "pronouns"}
    learned = base | {"proxies": "all", "audit": str(folder / "audit.json")}
    names = {"do": "scrub", "axis": f"lexicon:{folder / 'names.toml'}", "with": "drop"}
    steps: dict[str, list[dict[str, object]]] = {
        "mask": [base],
        "drop": [base | {"with": "drop"}],
        "neutral": [base | {"with": "neutral"}],
        "proxies": [learned | {"with": "[X]"}],
        "dropped proxies": [learned | {"with": "drop"}],
        "names": [names],
        "inside": [base | {"inside": ["urls", "emails", "handles", "code"], "with": "drop"}],
        "all": [names, learned | {"words": False, "with": "drop"}, base | {"with": "neutral"}],
    }
    assert list(steps) == MODES
    return {name: parse({"plan": {"p": {"step": each}}}).plan["p"] for name, each in steps.items()}


def curated(rows: list[str], plan: Plan, *, placebo: bool = False) -> list[str]:
    data = evenset.data.open([{"text": row, "label": "x"} for row in rows], text="text", label="label")
    made = run(data, plan, placebo=placebo).rows
    assert made is not None
    found: list[str] = made["text"].to_pylist()
    return found


@pytest.mark.slow
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(strange, min_size=1, max_size=5))
@pytest.mark.parametrize("mode", MODES)
def test_scrubbing_twice_is_scrubbing_once(plans: dict[str, Plan], mode: str, rows: list[str]) -> None:
    once = curated(rows, plans[mode])
    assert curated(once, plans[mode]) == once
    assert curated(rows[::-1], plans[mode])[::-1] == once
    assert [text for row in rows for text in curated([row], plans[mode])] == once


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(strange, min_size=1, max_size=5), placebo=st.booleans())
@pytest.mark.parametrize("mode", MODES)
def test_restore_gives_the_bytes_back(
    plans: dict[str, Plan], mode: str, rows: list[str], *, placebo: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder: Path = tmp_path_factory.mktemp("law")
    table = pa.table({"text": pa.array(rows, pa.string()), "label": ["x"] * len(rows)})
    pq.write_table(table, folder / "in.parquet")
    data = evenset.data.open(folder / "in.parquet", text="text", label="label")
    made = run(data, plans[mode], out=folder / "out", audited=False, placebo=placebo)
    changed = {edit["position"] for edit in made.ledger.to_pylist()}
    after = pq.read_table(folder / "out" / "data.parquet")["text"].to_pylist()
    for at, (row, text) in enumerate(zip(rows, after, strict=True)):
        assert at in changed or text == row
    restore(folder / "out" / "data.parquet", folder / "out" / "ledger.parquet", out=folder / "back")
    assert pq.read_table(folder / "back" / "data.parquet")["text"].to_pylist() == rows


def test_a_prepared_data_set_gives_the_same(plans: dict[str, Plan]) -> None:
    rows = [{"text": "She has a dog.", "label": "x"}, {"text": "Mary's ballet @she", "label": "y"}]
    data = evenset.data.open(rows, text="text", label="label")
    ready = prepare(data, ["pronouns"])
    for plan in plans.values():
        first, second = run(ready, plan), run(data, plan)
        assert first.rows is not None
        assert first.rows.equals(second.rows)
        assert first.ledger.equals(second.ledger)
