"""What a topup takes from a pool: nothing positive, nothing that the data or another file has, and it says so."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

import evenset.data
from evenset.curate import Curation, run
from evenset.data.config import Plan, parse
from evenset.data.errors import InputError


def plan(**step: object) -> Plan:
    return parse({"plan": {"p": {"step": [{"do": "topup", "axis": "identity", **step}]}}}).plan["p"]


def csv(path: Path, **columns: list[object]) -> str:
    pacsv.write_csv(pa.table(columns), path)
    return str(path)


def data(n: int = 400) -> pa.Table:
    """Toxic rows say vile, mostly of gay men; the others say kind."""
    rng = np.random.default_rng(5)
    rows = []
    for number in range(n):
        toxic = number % 4 == 0
        who = "gay " if rng.random() < (0.8 if toxic else 0.1) else ""
        word = "vile" if rng.random() < (0.9 if toxic else 0.05) else "kind"
        rows.append((f"a {who}man is {word} {number % 9} {rng.integers(50)}", "1" if toxic else "0"))
    return pa.table({"text": [text for text, _ in rows], "label": [label for _, label in rows]})


def curate(step: Plan, **options: object) -> Curation:
    return run(evenset.data.open(data(), text="text", label="label", positive="1"), step, **options)


def added(curation: Curation) -> list[str]:
    assert curation.rows is not None
    return [row["text"] for row in curation.rows.to_pylist() if (row["evenset_parent"] or "").startswith("pool:")]


def test_files_named_are_excluded_by_exact_text(tmp_path: Path) -> None:
    texts = [f"the gay choir is kind {number}" for number in range(300)]
    pool = csv(tmp_path / "pool.csv", comment=texts)
    test = csv(tmp_path / "test.csv", text=texts[:200], label=["0"] * 200)
    # Another column of texts: the file has none called as the data's is.
    dev = csv(tmp_path / "dev.csv", body=[*texts[200:250], texts[250] + "!"], kind=["x"] * 51)
    curation = curate(plan(pool=pool, exclude=[test, dev]))
    assert set(added(curation)) == set(texts[250:])
    report = curation.report["steps"][0]
    assert report["pool"] == {
        "rows": 300, "named": 300, "twice": 0, "in_data": 0, "excluded": 250, "usable": 50
    }  # fmt: skip
    assert report["excluded"] == [{"file": "test.csv", "column": "text"}, {"file": "dev.csv", "column": "body"}]
    assert report["short"] == sum(cell["wanted"] - cell["added"] for cell in report["cells"])
    assert any(f"lacks {report['short']:,} rows: gay" in note for note in curation.report["notes"])
    with pytest.raises(InputError, match=r"exclude: .*nowhere\.csv"):
        curate(plan(pool=pool, exclude=[str(tmp_path / "nowhere.csv")]))


def test_a_column_of_the_pool_keeps_positive_and_unlabelled_rows_out(tmp_path: Path) -> None:
    texts = [f"the gay choir is kind {number}" for number in range(100)]
    kinds = [("0", "1", "0", None)[number % 4] for number in range(100)]
    pool = csv(tmp_path / "pool.csv", comment=texts, toxic=kinds)
    curation = curate(plan(pool=pool, pool_text="comment", pool_label="toxic"))
    assert set(added(curation)) == {text for text, kind in zip(texts, kinds, strict=True) if kind == "0"}
    report = curation.report["steps"][0]
    assert (report["pool"]["positive"], report["pool"]["unlabelled"], report["pool"]["usable"]) == (25, 25, 50)
    assert "probe" not in report
    with pytest.raises(InputError, match=r"pool: .*toxicity"):
        curate(plan(pool=pool, pool_text="comment", pool_label="toxicity"))


def test_a_pool_that_looks_positive_is_warned_of_and_the_terms_themselves_do_not_count(tmp_path: Path) -> None:
    shares = {}
    for word in ("kind", "vile"):
        texts = [f"a gay man is {word} {number}" for number in range(300)]
        curation = curate(plan(pool=csv(tmp_path / f"{word}.csv", comment=texts)))
        probe = curation.report["steps"][0]["probe"]
        assert probe["checked"]
        assert probe["auc"] > 0.75
        assert probe["base"] == pytest.approx(0.25, abs=0.06)
        shares[word] = probe["above"]
        warned = [note for note in curation.report["notes"] if "look positive" in note]
        assert bool(warned) == (word == "vile")
        assert "note: step 1" in curation.summary() or word == "kind"
    # Every row of both pools says gay, which four of five toxic rows of the data do.
    assert shares["kind"] < 0.1
    assert shares["vile"] > 0.9


def test_too_few_rows_to_check_with_is_said(tmp_path: Path) -> None:
    rows = pa.table({"text": ["a gay man", "a man", "a woman"], "label": ["1", "0", "0"]})
    pool = csv(tmp_path / "pool.csv", comment=["the gay choir"])
    report = run(evenset.data.open(rows, text="text", label="label", positive="1"), plan(pool=pool)).report
    assert report["steps"][0]["probe"]["checked"] is False
    assert any("nothing says whether the pool" in note for note in report["notes"])


def test_the_order_of_the_rows_does_not_change_what_the_probe_says(tmp_path: Path) -> None:
    pool = csv(tmp_path / "pool.csv", comment=[f"a gay man is {('kind', 'vile')[n % 2]} {n}" for n in range(80)])
    rows = data()
    found = [
        run(evenset.data.open(some, text="text", label="label", positive="1"), plan(pool=pool)).report["steps"][0]
        for some in (rows, rows.take(list(range(rows.num_rows))[::-1]))
    ]
    assert found[0] == found[1]


@pytest.mark.real
def test_dixons_snippets_look_clean_to_gab(shared_data: Path) -> None:
    gab = evenset.data.open(shared_data / "gab" / "train.csv", text="text", label="label", positive="1")
    step = plan(
        pool=str(shared_data / "dixon_topup" / "identity_snippets.tsv"), pool_text="comment",
        exclude=[str(shared_data / "gab" / "test.csv")],
    )  # fmt: skip
    probe = run(gab, step).report["steps"][0]["probe"]
    assert probe["auc"] > 0.7
    assert probe["above"] < probe["base"]
