"""What a step can reach is said before anything is written, as a table, as numbers and as a figure."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import evenset.data
from evenset.audit import figures
from evenset.curate import run
from evenset.curate.selection.feasibility import Feasibility, feasibility
from evenset.curate.selection.resample import wanted
from evenset.data.config import Plan, ResampleStep, parse
from evenset.data.errors import InputError

RENDERS = True
CELLS = {"labels": ["judge", "nurse"], "patterns": [(), ("he",), ("she",)], "groups": ["she", "he"], "positive": None}
COUNTS = np.array([[3, 20, 5], [7, 10, 30]])[:, :, None]


def step(**options: object) -> ResampleStep:
    return ResampleStep.model_validate({"do": "resample", "axis": "pronouns", **options})


def plan(**options: object) -> Plan:
    return parse({"plan": {"p": {"step": [{"do": "resample", "axis": "pronouns", **options}]}}}).plan["p"]


def rows() -> evenset.data.Dataset:
    counts = {("nurse", "She"): 30, ("nurse", "He"): 10, ("judge", "She"): 5, ("judge", "He"): 20}
    made = [(f"{who} works {n}", label) for (label, who), number in counts.items() for n in range(number)]
    table = pa.table({"text": [text for text, _ in made], "label": [label for _, label in made]})
    return evenset.data.open(table, text="text", label="label")


@pytest.mark.parametrize("labels", ["free", "held"])
def test_every_level_and_method_costs_what_the_step_then_does(labels: str) -> None:
    found = feasibility(COUNTS, step=step(level=1, labels=labels), **CELLS)
    assert {reach.value for reach in found.reaches} == {0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2}
    assert len(found.reaches) == 27
    for reach in found.reaches:
        table = wanted(step(level=reach.value, method=reach.method, labels=labels), COUNTS, **CELLS)
        assert reach.reachable
        assert (reach.dropped, reach.repeated, reach.rows) == (table.dropped, table.repeated, int(table.want.sum()))
        assert reach.kept == 75 - reach.dropped
        # The rows written one by one.
        times: list[int] = []
        for have, want in zip(table.have.reshape(-1).tolist(), table.want.reshape(-1).tolist(), strict=True):
            times += [want // have + (at < want % have) for at in range(have)]
        assert reach.effective == pytest.approx(sum(times) ** 2 / sum(number**2 for number in times))
    assert [(reach.value, reach.method) for reach in found.reaches if reach.chosen] == [(1, "under")]


def test_what_is_out_of_reach_says_why() -> None:
    counts = COUNTS.copy()
    counts[0, 2] = 0
    found = feasibility(counts, step=step(level=1), **CELLS)
    by = {(reach.value, reach.method): reach for reach in found.reaches}
    assert by[0, "under"].reachable
    assert not by[0.25, "over"].reachable
    assert 'label "judge" has no row of group "she"' in by[0.25, "over"].why
    independent = feasibility(counts, step=step(target="independent"), **CELLS)
    assert [(reach.method, reach.reachable) for reach in independent.reaches] == [
        ("under", True), ("over", False), ("mixed", True)
    ]  # fmt: skip


@pytest.mark.parametrize("goal", [{"level": 1}, {"target": "independent"}, {"log_ratio": 0.4}, {"rate": "overall"}])
def test_the_table_is_narrow_and_the_numbers_come_back(goal: dict[str, object]) -> None:
    counts = COUNTS * 20
    counts[1, 0] = 0
    found = feasibility(counts, step=step(**goal), **{**CELLS, "positive": "nurse"})
    lines = found.summary().splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert sum(line.startswith("*") for line in lines) == 1
    assert Feasibility.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert len(found.to_frame()) == len(found.reaches) == len(lines) - 2


def test_curation_reports_it_and_a_dry_run_shows_the_table(tmp_path: Path) -> None:
    dry = run(rows(), plan(level=1.0), dry_run=True)
    assert "pronouns: what can be reached, of 65 rows" in dry.summary()
    wet = run(rows(), plan(level=1.0), out=tmp_path / "out", audited=False)
    assert "what can be reached" not in wet.summary()
    assert wet.report["steps"] == dry.report["steps"]
    assert wet.report["steps"][0]["feasibility"]["goal"] == "level"
    assert "feasibility" not in run(rows(), plan(level=1.0), placebo=True).report["steps"][0]
    json.dumps(wet.report)


def test_the_figures_are_written_beside_the_rows_and_always_the_same(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("one", "two"):
        curation = run(rows(), plan(level=1.0), out=tmp_path / name, audited=False)
        assert curation.report["figures"] == ["feasibility-1.svg", "feasibility-1.png"]
    for name in ("feasibility-1.svg", "feasibility-1.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    svg = (tmp_path / "one" / "feasibility-1.svg").read_text()
    words = "".join(ElementTree.fromstring(svg).itertext())
    assert "what each level costs" in words
    assert "drop and repeat" in words
    assert "The step as planned leaves 30 rows, worth 30." in words
    assert "1.25" in words
    assert (tmp_path / "one" / "feasibility-1.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "find_spec", lambda _: None)
    curation = run(rows(), plan(level=1.0), out=tmp_path / "out", audited=False)
    assert curation.report["figures"] == []
    assert any("evenset[figures]" in note for note in curation.report["notes"])
    with pytest.raises(InputError, match=r"evenset\[figures\]"):
        figures.figure("a", x="b", y="c", alt="d")


def test_figures_change_nothing_global_and_tell_series_apart_twice(tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    before = dict(matplotlib.rcParams)
    drawn = figures.figure("A $ title <b>", x="x", y="y", alt='Alt "text" & more.')
    for at in range(3):
        drawn.line([0, 1], [at, at + 1], f"series {at}")
    drawn.legend()
    lines = drawn.axes.lines
    assert len({line.get_color() for line in lines}) == len({line.get_marker() for line in lines}) == 3
    svg, png = drawn.save(tmp_path, "figure")
    assert "A $ title <b>" in "".join(ElementTree.parse(svg).getroot().itertext())
    assert 'Alt "text" & more.' in "".join(ElementTree.parse(svg).getroot().itertext())
    assert b"Alt" in png.read_bytes()
    assert dict(matplotlib.rcParams) == before
