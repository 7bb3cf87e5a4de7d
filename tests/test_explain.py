"""`evenset explain`: what happened to a row, found by id, key or number, and what it refuses."""

import json
import re
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evenset import cli, curate
from evenset.curate.book.ledger import SCHEMA
from evenset.data import open as open_data
from evenset.data.config import inline_plan
from evenset.data.errors import InputError

N = 240


def table():
    """Rows of which each third has she, he, or neither; labels go with the pronouns."""
    texts, labels = [], []
    for k in range(N):
        who = ("She", "He", "It")[k % 3]
        texts.append(f"{who} is here, said number {k}; {who.lower()} was.")
        labels.append("ab"[(k % 3 == 0) ^ (k % 5 == 0)])
    return pa.table({"name": [f"row-{k}" for k in range(N)], "text": texts, "label": labels})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("data")
    pq.write_table(table(), place / "d.parquet")
    return place


def curated(folder, out, *steps, named=True, placebo=False):
    data = open_data(folder / "d.parquet", text="text", label="label", id="name" if named else None)
    return curate.run(data, inline_plan(steps), out=out, audited=False, placebo=placebo)


def spaced(text):
    return " ".join(text.split())


def test_the_three_ways_to_name_a_row_agree(folder, tmp_path):
    done = curated(folder, tmp_path, "scrub:pronouns")
    entry = done.ledger.to_pylist()[0]
    found = [curate.explain(tmp_path, name) for name in (f"#{entry['position'] + 1}", entry["row"], "row-0")]
    assert {one.key for one in found} == {entry["row"]}
    assert {one.position for one in found} == {0}
    assert found[0].entries == found[1].entries == found[2].entries
    assert len({tuple(one.lines()) for one in found}) == 1


def test_an_edit_says_where_and_shows_words_only_when_asked(folder, tmp_path):
    curated(folder, tmp_path, "scrub:pronouns")
    explained = curate.explain(tmp_path, "row-0")
    (line,) = explained.lines()
    assert line.startswith("Step 1 (scrub pronouns, rule scrub.v")
    assert "changed 2 words (2 of she): bytes 0 to 3, bytes 28 to 31." in line
    assert "She" not in explained.summary()
    assert "She" not in json.dumps(explained.to_dict())
    assert '("She" became "_")' in explained.summary(words=True)
    assert explained.to_dict(words=True)["entries"][0]["before"] == "She"


def test_a_row_that_was_left_alone_says_why(folder, tmp_path):
    curated(folder, tmp_path, "scrub:pronouns")
    for name in ("#3", "row-2"):
        text = spaced(curate.explain(tmp_path, name).summary())
        assert "it has no word of pronouns that the step acts on" in text
        assert "It is in the curated data as it was" in text


def test_a_weight_comes_with_its_arithmetic(folder, tmp_path):
    done = curated(folder, tmp_path, "reweight:pronouns")
    rows = table().to_pylist()
    group = [{"She": "she", "He": "he"}.get(row["text"].split()[0], "no group") for row in rows]
    for k in (0, 1, 2, 3, 5):
        label = rows[k]["label"]
        both = sum(g == group[k] and row["label"] == label for g, row in zip(group, rows, strict=True))
        one, other = sum(row["label"] == label for row in rows), group.count(group[k])
        factor = one * other / both / N
        explained = curate.explain(tmp_path, f"row-{k}")
        text = spaced(explained.summary())
        assert f"({both} rows)" in text
        assert (
            f"P(label) {one / N:.4g} × P(groups) {other / N:.4g} / P(label, groups) {both / N:.4g} = {factor:.4g}."
            in text
        )
        assert explained.own[0]["value"] == pytest.approx(factor)
        assert f"gave it the weight {factor:.4g}" in text
    assert done.report["steps"][0]["rows_touched"] == N


def test_a_dropped_row_says_how_many_of_its_kind_were_to_be_left(folder, tmp_path):
    done = curated(folder, tmp_path, "resample:pronouns,level=1")
    dropped = [entry for entry in done.ledger.to_pylist() if entry["op"] == "drop"]
    cells = {(cell["label"], cell["group"]): cell for cell in done.report["steps"][0]["cells"]}
    assert dropped
    for entry in dropped[:5]:
        row = table().slice(entry["position"], 1).to_pylist()[0]
        cell = cells[row["label"], row["text"].split()[0].lower()]
        (line,) = curate.explain(tmp_path, row["name"]).lines()
        said = re.search(r"dropped it: of (\d+) rows with label (\w) and group (\w+) (\d+) were to be left", line)
        assert said is not None
        assert said.groups() == (str(cell["before"]), cell["label"], cell["group"], str(cell["after"]))


def test_copies_are_named_with_the_row_and_lead_back_to_it(folder, tmp_path):
    done = curated(folder, tmp_path, "swap:pronouns,mode=augment", "resample:pronouns,level=1,method=over")
    copies = [entry for entry in done.ledger.to_pylist() if entry["op"] == "copy"]
    swapped = next(entry for entry in copies if entry["step"] == 1)
    parent = curate.explain(tmp_path, swapped["parent"])
    assert swapped["row"] in parent.copies
    assert f"made a copy of it, {swapped['row']}, and in the copy changed 2 words" in spaced(parent.summary())
    copy = curate.explain(tmp_path, swapped["row"])
    assert copy.copy_of == swapped["parent"]
    assert f"a copy of row {swapped['parent']} with words changed" in spaced(copy.summary())
    assert "as it was" not in copy.summary()


def test_repetitions_say_their_cell(folder, tmp_path):
    done = curated(folder, tmp_path, "resample:pronouns,level=1,method=over")
    entry = next(entry for entry in done.ledger.to_pylist() if entry["op"] == "copy")
    text = spaced(curate.explain(tmp_path, entry["parent"]).summary())
    assert re.search(r"repeated it as [0-9a-f]{16}: of \d+ rows with label \w and group \w+ there were to be \d+", text)


def test_a_placebo_says_that_it_is_one(folder, tmp_path):
    done = curated(folder, tmp_path, "reweight:pronouns", placebo=True)
    entry = done.ledger.to_pylist()[0]
    assert "a placebo deals the weights out at random" in spaced(curate.explain(tmp_path, entry["row"]).summary())


def test_every_entry_of_the_ledger_can_be_explained(folder, tmp_path):
    done = curated(folder, tmp_path, "scrub:pronouns,groups=she", "resample:pronouns,level=0.7", "reweight:pronouns")
    for entry in done.ledger.to_pylist()[::17]:
        explained = curate.explain(tmp_path, entry["row"])
        assert entry in explained.entries
        assert explained.lines()
        assert all(len(line) <= 80 for line in explained.summary().splitlines())


def test_every_row_without_a_name_is_found_by_its_key(folder, tmp_path):
    """Also those that the ledger does not mention: their keys are made from what was written."""
    from evenset.data.hashing import row_keys

    curated(folder, tmp_path, "scrub:pronouns", named=False)
    keys = row_keys(table()["text"].combine_chunks().cast(pa.large_string()), table()["label"].combine_chunks())
    for k in (0, 2, 5, N - 1):
        assert curate.explain(tmp_path, f"{int(keys[k]):016x}").lines()
    with pytest.raises(InputError, match="neither the ledger nor the curated rows"):
        curate.explain(tmp_path, f"{int(keys[0] ^ np.uint64(1)):016x}")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("row-00", 'Did you mean "row-'),
        ("#0", "give #1 to #240"),
        ("#241", "give #1 to #240"),
        ("#one", "give #1 to #240"),
        ("", "neither the ledger"),
    ],
)
def test_rows_that_are_not_there(row, message, folder, tmp_path):
    curated(folder, tmp_path, "scrub:pronouns")
    with pytest.raises(InputError) as error:
        curate.explain(tmp_path, row)
    assert message in str(error.value)


def test_without_ids_a_name_is_no_row(folder, tmp_path):
    curated(folder, tmp_path, "scrub:pronouns", named=False)
    with pytest.raises(InputError, match="curated without --id"):
        curate.explain(tmp_path, "row-1")


def test_what_is_no_curation(folder, tmp_path):
    def refused(place, message):
        with pytest.raises(InputError) as error:
            curate.explain(place, "#1")
        assert message in str(error.value)

    refused(tmp_path / "none", "is no folder")
    refused(folder / "d.parquet", "name the folder")
    (tmp_path / "half" / ".evenset-partial").mkdir(parents=True)
    refused(tmp_path / "half", "was stopped there")
    one, other = tmp_path / "one", tmp_path / "other"
    curated(folder, one, "scrub:pronouns")
    curated(folder, other, "scrub:pronouns,groups=she")
    shutil.copy(other / "ledger.parquet", one / "ledger.parquet")
    refused(one, "not of the same curation")
    (other / "curation.json").write_text("{", encoding="utf-8")
    refused(other, "cannot be read")
    (other / "curation.json").write_text('{"schema": "evenset.audit/1"}', encoding="utf-8")
    refused(other, "not the report of a curation")
    curated(folder, other, "scrub:pronouns")
    (other / "ledger.parquet").write_bytes(b"PAR1")
    refused(other, "ledger")
    pq.write_table(SCHEMA.empty_table(), other / "ledger.parquet")
    refused(other, "no ledger of evenset")
    (other / "ledger.parquet").unlink()
    refused(other, "there is no ledger")


def test_rows_that_cannot_be_looked_for(folder, tmp_path):
    curated(folder, tmp_path, "scrub:pronouns")
    next(tmp_path.glob("data.*")).unlink()
    assert curate.explain(tmp_path, "row-0").entries
    with pytest.raises(InputError, match="curated rows cannot be read"):
        curate.explain(tmp_path, "row-2")


def test_restore_refuses_what_is_not_of_one_curation(folder, tmp_path):
    """Another ledger, rows changed by hand, half a folder: one message each, and nothing is written."""
    one, other = tmp_path / "one", tmp_path / "other"
    curated(folder, one, "scrub:pronouns")
    data = pq.read_table(folder / "d.parquet")
    texts = pa.array([f"{text} Other." for text in data["text"].to_pylist()])
    pq.write_table(data.set_column(1, "text", texts), tmp_path / "d.parquet")
    curated(tmp_path, other, "scrub:pronouns", named=False)

    def refused(message, rows, ledger):
        with pytest.raises(InputError) as error:
            curate.restore(rows, ledger, out=tmp_path / "back")
        assert message in str(error.value)
        assert "\n" not in str(error.value)
        assert not (tmp_path / "back").exists()

    refused("of another curation", one / "data.parquet", other / "ledger.parquet")
    written = pq.read_table(one / "data.parquet").to_pylist()
    written[2]["text"] += " By hand."
    pq.write_table(pa.Table.from_pylist(written), tmp_path / "hand.parquet")
    refused('or "ledger.parquet" is the ledger of another curation', tmp_path / "hand.parquet", one / "ledger.parquet")
    refused("changed by hand", tmp_path / "hand.parquet", one / "ledger.parquet")
    pq.write_table(pa.Table.from_pylist(written[1:]), tmp_path / "fewer.parquet")
    refused("rows were added or removed by hand", tmp_path / "fewer.parquet", one / "ledger.parquet")
    (one / "ledger.parquet").write_bytes((one / "ledger.parquet").read_bytes()[:200])
    refused("no whole parquet file", one / "data.parquet", one / "ledger.parquet")
    (one / "ledger.parquet").unlink()
    refused("there is no ledger", one / "data.parquet", one / "ledger.parquet")


def test_the_command(folder, tmp_path, capsys):
    curated(folder, tmp_path, "scrub:pronouns")
    assert cli.invoke(["explain", str(tmp_path), "--row", "#1"]) == 0
    assert "changed 2 words" in capsys.readouterr().out
    assert cli.invoke(["explain", str(tmp_path), "--row", "#1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["number"] == 1
    assert "before" not in told["entries"][0]
    assert cli.invoke(["explain", str(tmp_path), "--row", "#1", "--text"]) == 0
    assert '"She" became "_"' in spaced(capsys.readouterr().out)
    assert cli.invoke(["explain", str(tmp_path), "--row", "#999"]) == 2
    assert "error:" in capsys.readouterr().err
    assert cli.invoke(["explain", "--help"]) == 0
    said = spaced(capsys.readouterr().out)
    assert "#N" in said
    assert "16 hex digits" in said
    assert "--id" in said
