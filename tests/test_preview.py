"""What the audit says that a step would do is what the step does."""

import shlex
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from evenset import audit, curate
from evenset.data import open as open_data
from evenset.data.config import inline_plan
from evenset.data.sample import write


def rows(table, **columns):
    return open_data(table, text="text", label="label", **columns)


@pytest.fixture(scope="module")
def comments(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comments")
    return open_data(write("comments", 3000, 3, folder)["comments"], text="text", label="label", positive="1")


@pytest.fixture(scope="module")
def bios(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bios")
    table = pq.read_table(write("bios", 4000, 3, folder)["bios"])
    few = ["professor", "journalist", "psychologist", "teacher", "attorney"]
    table = table.filter(pc.is_in(table["label"], pa.array(few)))
    pq.write_table(table, folder / "few.parquet")
    return open_data(folder / "few.parquet", text="text", label="label")


@pytest.mark.parametrize(("sample", "axis"), [("comments", "identity"), ("bios", "pronouns")])
def test_what_is_foretold_is_what_curation_does(sample, axis, request, tmp_path):
    data = request.getfixturevalue(sample)
    report = audit.run(data, [axis])
    remedies = curate.preview(report)
    assert [remedy.do.split(":")[0] for remedy in remedies] == ["reweight", "resample"]
    for at, remedy in enumerate(remedies):
        out = tmp_path / str(at)
        curate.run(data, inline_plan([remedy.do]), axes=[axis], out=out)
        weight = {"weight": "weight"} if remedy.do.startswith("reweight") else {}
        columns = {"positive": data.columns.positive} if data.columns.positive else {}
        after = audit.run(rows(next(out.glob("data.*")), **weight, **columns), [axis])
        found = {finding.id: finding for finding in after.findings}
        assert found[f"cramers_v:{axis}::"].estimate == pytest.approx(remedy.after, abs=2e-3)
        assert remedy.before == pytest.approx(report.scores[axis]["value"])
        compared = [name for name, value in remedy.estimates.items() if name in found and found[name].enough]
        assert len(compared) > 5
        for name in compared:
            assert found[name].estimate == pytest.approx(remedy.estimates[name], abs=0.02), name
        assert after.tally.rows == remedy.kept


def test_it_moves_nothing_but_the_cells_of_its_axis(bios):
    report = audit.run(bios, ["pronouns", "identity"])
    before = report.tally
    curate.preview(report)
    assert report.tally == before
    changed = curate.preview(replace(report, tally=before))
    assert {remedy.axis for remedy in changed} <= {"pronouns", "identity"}


def test_the_screen_says_the_step_its_effect_and_the_command(comments, tmp_path):
    from rich.console import Console

    report = audit.run(comments, ["identity"])
    report = replace(report, remedies=curate.preview(report))
    console = Console(width=80, record=True, file=(tmp_path / "screen").open("w"))
    console.print(report.scorecard())
    text = console.export_text()
    assert "reweight:identity would" in " ".join(text.split())
    command = text[text.index("  evenset curate") :].split("\n\n")[0].split("  evenset check")[0].replace("\\\n", "")
    words = shlex.split(command)
    assert words[:2] == ["evenset", "curate"]
    assert words[words.index("--do") + 1] == "reweight:identity"
    console.file.close()


def test_nothing_to_change_foretells_nothing():
    one = pa.table({"text": ["She ran.", "He ran."] * 40, "label": ["a"] * 80})
    assert curate.preview(audit.run(rows(one), ["pronouns"])) == ()
    assert curate.preview(audit.run(open_data(one, text="text"), ["pronouns"])) == ()
    nobody = pa.table({"text": ["Rain fell."] * 80, "label": ["a", "b"] * 40})
    assert curate.preview(audit.run(rows(nobody), ["pronouns"])) == ()


def test_steps_of_the_command_line_mean_what_a_config_means():
    plan = inline_plan(["swap:identity,mode=augment,to=random,groups=gay+muslim", "resample:pronouns,level=1.5"])
    assert plan.step[0].groups == ["gay", "muslim"]
    assert plan.step[0].mode == "augment"
    assert plan.step[1].level == 1.5
