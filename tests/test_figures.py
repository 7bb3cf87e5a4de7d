"""Figures of a verdict: made from its parts alone, readable by machines and people, silent where a part is missing."""

import json
import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from evenset.audit import figures as base
from evenset.commands.folder import drawn
from evenset.data.errors import InputError
from evenset.finetune.figures import draw_all
from evenset.finetune.figures.common import named
from evenset.finetune.figures.gaps import draw_gaps
from evenset.finetune.figures.imbalance import draw_imbalance
from evenset.finetune.figures.tradeoff import draw_tradeoff

pytest.importorskip("matplotlib")

RENDERS = True
DOCS = Path(__file__).parents[1] / "docs" / "experiments"
SVG = "{http://www.w3.org/2000/svg}"


def verdict(name="professions"):
    return json.loads((DOCS / f"{name}.verdict.json").read_text())


def dose():
    points = [
        {"level": level, "gap": 0.4 - 0.4 * level, "gap_low": 0.3 - 0.4 * level, "gap_high": 0.5 - 0.4 * level,
         "fitted": 0.4 - 0.4 * level, "guard": 0.8, "guard_low": 0.78, "guard_high": 0.82}
        for level in (0.0, 1.0, 2.0)
    ]  # fmt: skip
    found = {"estimate": 0.75, "low": 0.5, "high": "beyond"}
    curves = [{"upstream": up, "points": points, "smallest": found} for up in ("pretrained", "random")]
    return {"schema": "evenset.dose/1", "plan": "balance", "key": "level", "guard": "auc", "curves": curves,
            "margins": {"margin": 0.1}, "yardstick": {"measure": "tpr", "first": "she", "second": "he"}}  # fmt: skip


def attribution():
    effects = [{"name": "data", "share": 0.7, "low": 0.5, "high": 0.8},
               {"name": "upstream", "share": 0.1, "low": None, "high": None},
               {"name": "interaction", "share": None, "low": None, "high": None}]  # fmt: skip
    return {"shares": {"effects": effects, "chance": 0.2}, "per_target": None}


def words(path):
    """All texts of an SVG, with its title and description."""
    root = ET.parse(path).getroot()
    texts = [" ".join("".join(node.itertext()).split()) for node in root.iter(f"{SVG}text")]
    return root, texts, root.findtext(f"{SVG}title"), root.findtext(f"{SVG}desc")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return draw_all(verdict() | {"attribution": attribution()}, tmp_path_factory.mktemp("figures"))


def test_a_verdict_with_all_parts_gives_all_figures(written):
    assert {path.name for path in written} == {
        f"{name}.{form}" for name in ("gaps", "tradeoff", "imbalance", "shares") for form in ("svg", "png")
    }
    for path in written:
        if path.suffix == ".png":
            assert path.read_bytes().startswith(b"\x89PNG")
            continue
        root, texts, title, described = words(path)
        assert root.get("role") == "img"
        assert title
        assert described is not None
        assert described.startswith(title)
        assert len(described) > len(title) + 20
        # The title is drawn, too, on as many lines as it takes.
        assert title.split()[0] in " ".join(texts)
        # 9 points on 4.7 inches are 6 points on 8 cm.
        sizes = [float(size) for size in re.findall(r"font(?:-size)?: ?(?:bold )?([\d.]+)px", path.read_text())]
        assert sizes
        assert min(sizes) >= 9


def test_titles_say_what_came_out(written):
    titles = {path.stem: words(path)[2] for path in written if path.suffix == ".svg"}
    assert titles["gaps"] == "1 of 4 certified to shrink the gap, most with swap-augment: 1.43 to 0.30"
    assert titles["tradeoff"] == "swap-augment has the smallest gap at no loss of macro-F1: 1.43 to 0.30"
    assert titles["imbalance"].endswith("much less, slope 1.43 to 0.30")
    assert titles["shares"] == "Data explains 70 % of what moved the gap, pre-training 10 %"


def test_gaps_are_sorted_and_described(tmp_path):
    with base.style():
        draw_gaps(verdict("toxicity-rows"), tmp_path)
    _, texts, title, described = words(tmp_path / "gaps.svg")
    assert title.startswith("None of 7 is certified")
    arms = [
        "raw",
        "scrub-proxies",
        "scrub",
        "topup-reweight",
        "log-ratio",
        "reweight",
        "reweight-length",
        "independent",
    ]
    assert [text for text in texts if text in arms] == arms
    assert texts.count("harmful-tradeoff") == 5
    assert "independent 0.016" in described


def test_dose_curves(tmp_path):
    written = draw_all(dose(), tmp_path)
    assert [path.name for path in written] == ["doses.svg", "doses.png"]
    _, texts, title, described = words(written[0])
    assert title == "To bring the gap within 0.1 of 0 it takes: pre-trained: level 0.75; from scratch: level 0.75"
    assert "from scratch" in texts
    assert "smallest dose within, 95 %; no end: no level is enough" in texts
    assert "smallest dose 0.75 (0.50 to beyond)" in described
    nothing = dose()
    nothing["curves"] = nothing["curves"][:1]
    nothing["curves"][0]["smallest"] = {"estimate": "beyond", "low": "beyond", "high": "beyond"}
    draw_all(nothing, tmp_path)
    assert words(tmp_path / "doses.svg")[2] == "No level that was tried brings the gap within 0.1 of 0"


def test_missing_parts_are_left_out(tmp_path):
    full = verdict()
    assert draw_all({}, tmp_path / "none") == []
    assert not (tmp_path / "none").exists()
    names = {}
    for gone in ("arms", "gaps", "yardstick"):
        drawn = draw_all({key: value for key, value in full.items() if key != gone}, tmp_path / gone)
        names[gone] = {path.stem for path in drawn}
    assert names == {"arms": {"gaps", "tradeoff"}, "gaps": set(), "yardstick": {"gaps", "tradeoff"}}
    assert draw_all({"curves": [{"upstream": "none", "points": []}]}, tmp_path) == []
    assert draw_all({"attribution": {"shares": {"effects": []}}}, tmp_path) == []


def test_one_arm_and_unknown_numbers(tmp_path):
    one = verdict()
    one["arms"], one["gaps"] = [], one["gaps"][:1]
    assert [path.name for path in draw_all(one, tmp_path)] == ["gaps.svg", "gaps.png"]
    assert "The gap of balance is 0.051" in words(tmp_path / "gaps.svg")[2]
    holes = verdict()
    for at, gap in enumerate(holes["gaps"]):
        gap["gap_low"] = gap["gap_high"] = None if at % 2 else math.nan
        gap["utility"] = {}
        gap["groups"] = gap["groups"][:1]
    for arm in holes["arms"]:
        arm["guard_loss_low"], arm["gap"] = None, arm["gap"] if arm["arm"] == "scrub" else None
    assert "gaps.svg" in {path.name for path in draw_all(holes, tmp_path / "holes")}


def test_names_from_the_data_are_only_names(tmp_path):
    found = verdict()
    strange = '<script>alert("x")</script> & $\\frac{1}{0}$ \x00\x1b[31m\n中文'
    text = json.dumps(found).replace('"swap-augment', '"' + json.dumps(strange)[1:-1])
    found = json.loads(text.replace('"nurse"', json.dumps("</text><b>nurse" + "x" * 300)))
    for path in draw_all(found, tmp_path):
        if path.suffix == ".svg":
            root, _, _, _ = words(path)  # it is XML
            assert not [node for node in root.iter() if node.tag.endswith(("script", "}b"))]
            assert "\x00" not in path.read_text()
    assert len(named("x" * 300)) == 26


def test_no_text_of_rows_and_nothing_but_numbers_and_names(tmp_path):
    found = verdict()
    found["rows"] = found["notes"] = ["SECRET ROW"]
    for gap in found["gaps"]:
        gap["text"] = "SECRET ROW"
    with base.style():
        drawn = [*draw_gaps(found, tmp_path), *draw_imbalance(found, tmp_path)]
    for path in drawn:
        assert b"SECRET" not in path.read_bytes()


@pytest.mark.slow
def test_thirty_arms_under_two_upstreams(tmp_path):
    found = verdict("toxicity-rows")
    arms, gaps = [], []
    for up in ("pretrained", "random"):
        for number in range(4):
            arms += [arm | {"arm": f"{arm['arm']}-{number}", "upstream": up} for arm in found["arms"]]
            for gap in found["gaps"]:
                name = gap["arm"] if gap["role"] == "base" else f"{gap['arm']}-{number}"
                if gap["role"] != "placebo" and not (gap["role"] == "base" and number):
                    gaps.append(gap | {"arm": name, "upstream": up})
    written = draw_all(found | {"arms": arms, "gaps": gaps}, tmp_path)
    assert {path.stem for path in written} == {"gaps", "tradeoff", "imbalance-pretrained", "imbalance-random"}
    _, texts, _, _ = words(tmp_path / "gaps.svg")
    assert texts.count("raw") == 2
    assert {"pretrained", "random"} <= set(texts)


def test_pretrained_stands_first_and_what_was_not_kept_is_not_called_kept(tmp_path):
    found = verdict()
    raw = next(gap for gap in found["gaps"] if gap["role"] == "base")
    keys = {"base_gap": 0.8, "guard_state": "unresolved", "guard_loss": 0.009, "decision": "unclear"}

    def drawn(pretrained, random):
        arms, gaps = [], []
        for up, changed in (("random", random), ("noise", {"gap": 0.7}), ("pretrained", pretrained)):
            arm = found["arms"][0] | {"arm": "balance", "upstream": up} | keys | changed
            arms.append(arm)
            gaps += [raw | {"arm": "raw", "upstream": up, "gap": 0.8},
                     raw | {"arm": "balance", "role": "arm", "upstream": up, "gap": arm["gap"]}]  # fmt: skip
        with base.style():
            draw_tradeoff(found | {"arms": arms, "gaps": gaps}, tmp_path)
            if not (tmp_path / "gaps.svg").exists():
                draw_gaps(found | {"arms": arms, "gaps": gaps}, tmp_path)
        return words(tmp_path / "tradeoff.svg")

    passed = {"gap": 0.01, "guard_state": "passed", "guard_loss": 0.0}
    _, texts, title, _ = drawn({"gap": 0.4}, passed)
    assert title == ("balance, pretrained: gap 0.80 to 0.40, macro-F1 0.009 lower; that macro-F1 is kept is not shown")
    ups = ("pretrained", "noise", "random")
    assert [text for text in texts if text in ups] == list(ups)
    assert [text for text in words(tmp_path / "gaps.svg")[1] if text in ups] == list(ups)
    lost = drawn({"gap": 0.4, "guard_state": "failed"}, passed)[2]
    assert lost == "No arm of pretrained has a smaller gap with macro-F1 shown to be kept"
    kept = drawn({"gap": 0.4, "guard_state": "passed"}, passed)[2]
    assert kept == "balance, pretrained has the smallest gap at no loss of macro-F1: 0.80 to 0.40"
    same = drawn({"gap": 0.4, "guard_loss": -0.0001}, passed)[2]
    assert "macro-F1 the same; that macro-F1 is kept is not shown" in same


def test_the_same_verdict_gives_the_same_bytes(tmp_path):
    with base.style():
        one, two = (draw_gaps(verdict(), tmp_path / name) for name in "ab")
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_without_matplotlib_it_is_said_and_nothing_fails(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(base, "available", lambda: False)
    with pytest.raises(InputError, match="figures need matplotlib"):
        draw_all(verdict(), tmp_path)
    drawn(verdict(), tmp_path, quiet=False)
    assert "no figures: figures need matplotlib" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
