"""verdict.html and dose.html: they say what the JSON files say, whatever version wrote them, and all of it as text."""

import copy
import json
import re
from pathlib import Path

import pyarrow as pa
import pytest
from browser import CONTRAST, width_of

from evenset.cli import invoke
from evenset.finetune.judging.headline import headline
from evenset.finetune.judging.verdict import verify
from evenset.finetune.judging.yardstick import fpr_yardstick
from evenset.finetune.page import dose_page, verdict_page

HELD = Path(__file__).parents[1] / "docs" / "experiments"
FILES = sorted(path.name for path in HELD.glob("*.verdict.json"))
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202e"


def held(name):
    return json.loads((HELD / name).read_text(encoding="utf-8"))


def judged(seeds=4, arms=("raw", "mine", "mine~placebo"), evil=""):
    """A verdict on made-up scores in which the raw arm leans on one term."""
    rows = {name: [] for name in ("arm", "id", "group", "label", "score", "seed", "placebo_of")}
    lean = {"raw": 0.3, "mine": 0.05, "mine~placebo": 0.28}
    for arm in arms:
        for seed in range(seeds):
            for at in range(240):
                bad = at % 3 == 0
                score = ((at * 7 + seed * 11) % 60) / 60 + (lean[arm] + 0.01 * seed if at % 2 else 0.0) + 0.4 * bad
                rows["arm"].append(arm.replace("mine", f"mine{evil}"))
                rows["id"].append(str(at))
                rows["group"].append(f"gay{evil}" if at % 2 else "sikh")
                rows["label"].append(int(bad))
                rows["score"].append(score)
                rows["seed"].append(seed)
                rows["placebo_of"].append(f"mine{evil}" if arm == "mine~placebo" else None)
    stick = fpr_yardstick({f"gay{evil}": (90, 50), "sikh": (90, 10)}, total_n=900, total_positive=100)
    return verify(pa.table(rows), stick)


def spread(name, arms=40):
    """A verdict with many arms, each a copy of the first."""
    found = held(name)
    for key in ("arms", "gaps"):
        found[key] += [
            {**copy.deepcopy(found[key][at % 3]), "arm": f"copy {at} of an arm with a long name"} for at in range(arms)
        ]
    return found


def emptied(value):
    """The same record with every number of an interval not known."""
    if isinstance(value, dict):
        return {
            key: None if re.search(r"(^|_)(low|high)$", key) and not isinstance(one, dict) else emptied(one)
            for key, one in value.items()
        }
    return [emptied(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", FILES)
def test_verdicts_of_every_version_are_shown(name):
    found = held(name)
    page = verdict_page(found)
    assert page.count("<h1>") == 1
    for arm in found["arms"]:
        assert arm["decision"] in page
    assert 'id="limits"' in page
    assert len(page) < 1_500_000


@pytest.mark.parametrize(("name", "width", "scheme"), [
    ("toxicity-pooled.verdict.json", 375, "light"), ("professions-frozen.verdict.json", 800, "dark"),
    pytest.param("toxicity-pooled.verdict.json", 1600, "dark", marks=pytest.mark.slow),
    pytest.param("professions-frozen.verdict.json", 375, "dark", marks=pytest.mark.slow),
])  # fmt: skip
def test_it_fits_and_can_be_read(open_page, name, width, scheme):
    sheet = open_page(verdict_page(held(name)), width=width, scheme=scheme)
    sheet.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert width_of(sheet) <= width
    assert sheet.evaluate(CONTRAST) == []
    assert sheet.evaluate(
        "[...document.querySelectorAll('svg')].every((one) => one.querySelector('title') && one.querySelector('desc'))"
    )
    ids = sheet.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))
    for fact in sheet.evaluate("[...document.querySelectorAll('dl.facts dd')].map((one) => one.clientWidth)"):
        assert fact > 200
    sheet.set_viewport_size({"width": 690, "height": 900})
    sheet.emulate_media(media="print")
    assert width_of(sheet) <= 690


def test_the_tables_hold_the_numbers_of_the_file(open_page):
    found = held("toxicity-pooled.verdict.json")
    sheet = open_page(verdict_page(found), width=1280, script=False)
    seen = sheet.evaluate("""() => [...document.querySelectorAll('#decisions-table tbody tr')].map((row) =>
        [...row.cells].map((cell) => [cell.textContent, cell.dataset.v]))""")
    assert len(seen) == len(found["arms"])
    for row, arm in zip(seen, found["arms"], strict=True):
        assert row[0][0] == arm["arm"]
        assert arm["decision"] in row[1][0]
        for cell, name in zip(row[2:5], ("base_gap", "gap", "reduction"), strict=True):
            assert float(cell[1]) == pytest.approx(arm[name], rel=1e-5)
            written = [float(number) for number in re.findall(r"[+-]\d+\.\d+", cell[0].replace("−", "-"))]
            assert written == pytest.approx([arm[name], arm[f"{name}_low"], arm[f"{name}_high"]], abs=0.0005001)
    groups = sheet.evaluate("""() => Object.fromEntries(
        [...document.querySelectorAll('#groups-0 tbody tr')].map((row) =>
        [row.cells[0].textContent, [...row.cells].map((cell) => Number(cell.dataset.v))]))""")
    best = next(arm for arm in found["arms"] if arm["arm"] == "swap-replace")
    for one in best["groups"]:
        assert groups[one["group"]][3:6] == pytest.approx([one["before"], one["after"], one["change"]], abs=1e-5)


def test_the_first_screen_has_the_headline_the_gap_and_three_things_to_do(open_page):
    found = judged()
    page = verdict_page(found.to_dict())
    sheet = open_page(page, width=1280)
    assert headline(found) in sheet.inner_text("h1")
    tiles = sheet.inner_text(".tiles")
    arm = found.arms[0]
    for value in (arm.base_gap, arm.base_gap_low, arm.base_gap_high, arm.gap, arm.gap_low, arm.gap_high, arm.reduction):
        assert f"{value:.3f}".replace("-", "−") in tiles
    assert 1 <= sheet.locator(".matters li").count() <= 3
    assert sheet.locator(".matters li").first.inner_text().count("Do:") == 1


def test_every_run_is_a_dot_and_their_mean_is_the_gap():
    found = judged(seeds=5)
    record = json.loads(json.dumps(found.to_dict()))
    for gap in record["gaps"]:
        assert len(gap["runs"]) == len(gap["seeds"]) == 5
        assert sum(gap["runs"]) / 5 == pytest.approx(gap["gap"])
    wide = verdict_page(record).split('id="gaps"')[1].split('class="plot-narrow"')[0]
    assert wide.count('class="p-run"') == 1 + 2 * 5  # the key, and each run of the arms that are no placebo


def test_one_arm_has_gaps_and_says_what_a_verdict_needs():
    found = verdict_page(judged(arms=("raw",)).to_dict())
    assert "Gaps and no verdict" in found
    assert "its placebo" in found
    assert 'id="decisions"' not in found


def test_an_arm_without_a_placebo_is_told_to_get_one():
    found = verdict_page(judged(arms=("raw", "mine")).to_dict())
    assert "Without a placebo, and so never certified: mine" in found
    assert "dd the arm&#x27;s placebo" in found


def test_unclear_is_an_answer_with_what_would_settle_it():
    found = held("toxicity-grid.verdict.json")
    arm = next(one for one in found["arms"] if one["decision"] == "unclear" and one["seeds_needed"])
    found["arms"] = [arm]
    page = verdict_page(found)
    assert "is not settled" in page
    assert f"rain about {arm['seeds_needed']} seeds instead of {len(arm['seeds'])}" in page


def test_what_was_changed_after_training_comes_first():
    found = held("toxicity-pooled.verdict.json")
    found["notes"] = ["not fixed before training: margin was 0.05 and is 0.02", *found["notes"]]
    page = verdict_page(found)
    assert page.index("changed after training began") < page.index("swap-replace is certified")
    assert "Changed since: </strong>not fixed before training: margin was 0.05" in page


@pytest.mark.parametrize("found", [
    {}, {"arms": None, "gaps": None}, {"gaps": [{"arm": "a"}], "arms": []},
    {"gaps": [{"arm": "a", "upstream": "u", "gap": None, "seeds": []}], "arms": [{"arm": "b", "decision": "unclear"}]},
    emptied(held("professions-frozen.verdict.json")), emptied(held("toxicity-linear.verdict.json")),
])  # fmt: skip
def test_what_is_missing_is_left_out_and_never_made_up(found):
    page = verdict_page(found)
    assert "<h1>" in page
    assert not re.search(r">[^<]*\b(nan|None|null)\b(?! None)[^<]*</(td|th|text)>", page)


def test_forty_arms_fit(open_page):
    sheet = open_page(verdict_page(spread("toxicity-linear.verdict.json")), width=375)
    assert width_of(sheet) <= 375


def test_names_are_text_whatever_is_in_them(open_page):
    found = judged(evil=EVIL).to_dict()
    found["environment"] = {"model": EVIL, EVIL: EVIL, "fixed": {"git": EVIL, "seeds": [EVIL]}}
    found["notes"] = [EVIL]
    found["attribution"] = {"sentence": EVIL, "claims": [{"id": EVIL, "state": EVIL, "text": EVIL, "evidence": [EVIL]}]}
    sheet = open_page(verdict_page(found), width=800)
    assert sheet.evaluate("document.scripts.length") == 1
    assert sheet.evaluate("document.images.length") == 0
    assert "<script>alert(1)</script>" in sheet.inner_text("#limits")
    assert "mine<script>" in sheet.locator("#decisions-table").inner_text()
    assert width_of(sheet) <= 800


def test_dose_curves_have_a_page(open_page):
    found = held("professions-dose.dose.json")
    sheet = open_page(dose_page(found), width=375, scheme="dark")
    assert width_of(sheet) <= 375
    assert sheet.evaluate(CONTRAST) == []
    text = sheet.inner_text("body")
    for curve in found["curves"]:
        dose = curve["smallest"]
        assert f"{dose['estimate']:.2f}" in text
        assert f"{dose['low']:.2f} to {dose['high']:.2f}" in text
    rows = sheet.evaluate(
        "[...document.querySelectorAll('#levels-table tbody tr')].map((row) => Number(row.cells[2].dataset.v))"
    )
    assert rows == pytest.approx([point["gap"] for curve in found["curves"] for point in curve["points"]], rel=1e-5)
    for odd in ({}, {"curves": [{"upstream": EVIL, "points": [{}]}]}):
        assert "<h1>" in dose_page(odd)


def test_verify_writes_the_page_beside_the_file(tmp_path, open_page):
    found = judged()
    path = found.save(tmp_path / "out")
    page = path.with_name("verdict.html").read_text(encoding="utf-8")
    assert page == verdict_page(json.loads(path.read_text(encoding="utf-8")))
    assert headline(found) in open_page(path.with_name("verdict.html")).inner_text("h1")


def test_the_command_leaves_a_page(tmp_path):
    rows = {"id": [], "label": [], "score": [], "group": []}
    for at in range(200):
        rows["id"].append(str(at))
        rows["group"].append("gay" if at % 2 else "sikh")
        rows["label"].append(int(at % 4 == 0))
        rows["score"].append(((at * 7) % 50) / 50)
    import pyarrow.parquet as pq

    pq.write_table(pa.table(rows), tmp_path / "scores.parquet")
    stick = fpr_yardstick({"gay": (90, 50), "sikh": (90, 10)}, total_n=900, total_positive=100)
    (tmp_path / "yardstick.json").write_text(json.dumps(stick.to_dict()))
    found = invoke(["verify", str(tmp_path / "scores.parquet"), "--yardstick", str(tmp_path / "yardstick.json"),
                    "--out", str(tmp_path / "out"), "--quiet"])  # fmt: skip
    assert found == 0
    assert "The gap of" in (tmp_path / "out" / "verdict.html").read_text(encoding="utf-8")


def test_what_the_data_were_is_said_in_words():
    found = held("toxicity-pooled.verdict.json")
    digest = "14c1878de43928d7be684a83148c81496ef76adbd1d40b78a47a02ada1e1fb47"
    found["environment"] = {
        "bootstrap_rows": True,
        "data": {
            "dev": f"{digest} None None",
            "probe": f"{digest} ['template', 'name'] 1",
            "train": digest,
            "axis": None,
        },
    }
    page = verdict_page(found)
    assert f"{digest}; clusters: none given; positive label: none given</dd>" in page
    assert f"{digest}; clusters: template, name; positive label: 1</dd>" in page
    assert f"<dd>{digest}</dd>" in page
    assert "<dd>none given</dd>" in page
