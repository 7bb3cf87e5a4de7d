"""Charts as SVG: where things are drawn, what is said of them, and that no name breaks out."""

import math
import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from browser import CONTRAST, width_of
from hypothesis import given
from hypothesis import strategies as st

from evenset.audit.page.document import Section, document
from evenset.audit.page.plot.forest import Bar, forest, spelt
from evenset.audit.page.plot.frame import NARROW, WIDE
from evenset.audit.page.plot.letters import fitted, words_width
from evenset.audit.page.plot.scales import Scale, linear, log_ticks, logarithmic, nice_ticks, tick_words
from evenset.audit.page.plot.scatter import Dot, Guide, scatter

EVIL = "<script>alert(1)</script>\"'&\x00\u202e"
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)


def pictures(markup):
    """The wide and the narrow picture, parsed."""
    root = ET.fromstring(f"<root>{markup}</root>")
    return [element for element in root.iter() if element.tag.endswith("svg")]


def named(picture, name):
    return [element for element in picture.iter() if element.tag.split("}")[-1] == name]


@given(
    st.tuples(NUMBERS, NUMBERS).filter(lambda ends: ends[1] - ends[0] > 1e-6 * max(1, abs(ends[0]))), st.integers(2, 9)
)
def test_ticks_are_round_evenly_apart_inside_and_not_too_many(ends, most):
    ticks = nice_ticks(*ends, most)
    width = ends[1] - ends[0]
    assert 1 <= len(ticks) <= most
    assert all(ends[0] - 1e-6 * width <= tick <= ends[1] + 1e-6 * width for tick in ticks)
    steps = [two - one for one, two in pairwise(ticks)]
    assert all(step == pytest.approx(steps[0], rel=1e-6) for step in steps)
    if steps:
        lead = steps[0] / 10 ** math.floor(math.log10(steps[0]) + 1e-9)
        assert min(abs(lead - one) for one in (1, 2, 2.5, 5, 10)) < 1e-4


@given(st.floats(1e-6, 1e3), st.floats(1.5, 1e8), st.integers(2, 8))
def test_ticks_of_ratios_are_ones_twos_and_fives(low, factor, most):
    ticks = log_ticks(low, low * factor, most)
    assert len(ticks) <= most
    assert all(low <= tick <= low * factor for tick in ticks)
    if len(ticks) > 1:
        assert all(f"{tick:e}"[0] in "125" and float(f"{tick:e}"[1:].split("e")[0] or 0) == 0 for tick in ticks)


@given(st.lists(st.one_of(NUMBERS, st.none(), st.just(math.nan)), max_size=8), st.booleans())
def test_a_scale_holds_every_known_value_between_its_ends(values, log):
    scale = (logarithmic if log else linear)(values, 10, 200)
    assert scale.low < scale.high
    for value in values:
        if value is not None and math.isfinite(value) and (value > 0 or not log):
            assert 10 <= scale(value) <= 200
            assert scale.low <= value * (1 + 1e-9) + 1e-9


def test_places_are_proportional_and_beyond_the_ends_they_stop():
    assert [Scale(-1, 1, 0, 100)(value) for value in (-1, 0, 0.5, 7)] == [0, 50, 75, 100]
    assert [round(Scale(0.1, 10, 0, 100, log=True)(value)) for value in (0.1, 1, 10, 0)] == [0, 50, 100, 0]
    assert tick_words((-0.25, 0.0, 1500.0)) == ("−0.25", "0", "1,500")


def test_a_forest_draws_estimate_and_interval_where_the_axis_says():
    found = forest([Bar("a", 0.5, 0.25, 1.0), Bar("b", -0.25, -0.5, 0.0)], title="Gaps", x="gap", limits=[0.25])
    wide, narrow = pictures(found)
    assert [picture.get("viewBox").split()[2] for picture in (wide, narrow)] == [str(WIDE), str(NARROW)]
    ticks = {
        text.text: float(text.get("x")) for text in named(wide, "text") if re.fullmatch(r"−?[\d.]+", text.text or "")
    }
    one, two = ((ticks[name], float(name.replace("−", "-"))) for name in list(ticks)[:: len(ticks) - 1])

    def back(x):
        return one[1] + (float(x) - one[0]) / (two[0] - one[0]) * (two[1] - one[1])

    spans = [line for line in named(wide, "line") if "p-span" in line.get("class")]
    assert [back(end) for line in spans for end in (line.get("x1"), line.get("x2"))] == pytest.approx(
        [0.25, 1.0, -0.5, 0.0], abs=0.005
    )
    marks = [circle for circle in named(wide, "circle") if "p-mark" in circle.get("class")]
    assert [back(circle.get("cx")) for circle in marks] == pytest.approx([0.5, -0.25], abs=0.005)
    limit = next(line for line in named(wide, "line") if "p-limit" in line.get("class"))
    assert back(limit.get("x1")) == pytest.approx(0.25, abs=0.005)
    zero = next(line for line in named(wide, "line") if "p-zero" in line.get("class"))
    assert back(zero.get("x1")) == pytest.approx(0, abs=0.005)


def test_a_chart_has_a_role_a_title_and_a_description_with_the_numbers():
    for picture in pictures(forest([Bar("a", 0.5, 0.25, 1.0, note="fine")], title="Gaps of arms", x="gap")):
        assert picture.get("role") == "img"
        assert named(picture, "title")[0].text == "Gaps of arms"
        assert "a: +0.500 [+0.250, +1.000], fine" in named(picture, "desc")[0].text


@given(st.lists(st.builds(
    Bar, st.text(max_size=40), *[st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))] * 3,
    status=st.sampled_from(["", "pass", "warn", "fail", "unclear", "base", "quiet"]), group=st.sampled_from(["", "g<"]),
), max_size=6), st.booleans())  # fmt: skip
def test_whatever_is_not_known_or_not_finite_is_drawn_nowhere_and_breaks_nothing(bars, log):
    found = forest(bars, title="t", x="x", log=log, reference=1.0)
    assert len(pictures(found)) == (2 if bars else 0)
    assert not re.search(r'="[^"]*\b(nan|inf)\b[^"]*"', re.sub(r"aria-label=\"[^\"]*\"", "", found))


def test_one_wild_interval_does_not_squeeze_the_rest_and_ends_in_an_arrow():
    rows = [Bar(str(at), at / 10, at / 10 - 0.1, at / 10 + 0.1) for at in range(8)]
    wide = pictures(forest([*rows, Bar("wild", 0.3, -500.0, 500.0)], title="t", x="x"))[0]
    marks = [float(circle.get("cx")) for circle in named(wide, "circle")]
    assert max(marks) - min(marks) > 60
    assert len([path for path in named(wide, "path") if "p-span" in path.get("class")]) == 2


def test_names_are_cut_to_the_room_there_is_and_kept_whole_under_the_pointer():
    name = "a-very-long-name-" * 12
    wide, narrow = pictures(forest([Bar(name, 0.1, 0.0, 0.2)], title="t", x="x"))
    for picture in (wide, narrow):
        shown = next(text.text for text in named(picture, "text") if "…" in text.text)
        assert words_width(shown) < 320
        assert any(name in (title.text or "") for title in named(picture, "title"))
    assert fitted("short", 500) == "short"


def test_a_scatter_names_points_without_one_name_over_another():
    dots = [Dot(f"point {at}", (at % 5) * 0.01, (at // 5) * 0.01) for at in range(25)]
    for picture in pictures(scatter(dots, title="t", x="x", y="y", guides=[Guide(0.0, solid=True)])):
        boxes = []
        for text in named(picture, "text"):
            if not text.text.startswith("point"):
                continue
            x, y, wide = float(text.get("x")), float(text.get("y")), words_width(text.text, 11)
            start = x - wide if "p-end" in text.get("class") else x - wide / 2 if "p-mid" in text.get("class") else x
            boxes.append((start, y - 9, start + wide, y + 2))
        assert boxes
        for at, one in enumerate(boxes):
            for two in boxes[at + 1 :]:
                assert not (one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3])
        assert {title.text.split(":")[0] for title in named(picture, "title")} >= {dot.name for dot in dots}


def test_numbers_in_words():
    assert spelt(-0.0001, -0.2, 0.1) == "+0.000 [−0.200, +0.100]"
    assert spelt(math.nan) == spelt(None) == "not known"
    assert spelt(0.5, None, 0.7) == "+0.500"


def charts():
    bars = [
        Bar("scrub", 0.1, 0.05, 0.2, n=8, status="pass", group="one", runs=(0.1, 0.12), band=(0.15, 0.2, 0.25)),
        Bar(EVIL, 0.2, 0.1, 0.3, status="fail", group=EVIL, before=(0.3, 0.2, 0.4), note=EVIL),
        Bar("漢字の名前がとても長い場合でも読めること", 0.3, status="warn"),
        Bar("unknown", None, status="unclear"),
    ]
    dots = [Dot(EVIL, 0.1, 0.2, 0.0, 0.2, 0.1, 0.3), Dot("other", 0.3, 0.1, series=-1), Dot("raw", 0.2, 0.2, base=True)]
    return forest(bars, title=EVIL, x=EVIL, band="placebo", runs="run", before="before") + scatter(
        dots, title=EVIL, x=EVIL, y=EVIL, series=[EVIL], quiet=EVIL, base=EVIL, zone=(0.1, None, None, 0.2),
        zone_name=EVIL,
        guides=[Guide(0.15, name=EVIL), Guide(0.2, upright=True, name=EVIL)], paths=[(0, [(0.1, 0.1), (0.3, 0.3)])],
    )  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1600])
def test_charts_fit_are_legible_and_show_markup_as_text(open_page, width, scheme):
    page = document(
        title="t", kind="k", status=None, conclusion="c", tiles=[], matters=[], sections=[Section("a", "A", charts())]
    )
    sheet = open_page(page, width=width, scheme=scheme)
    assert width_of(sheet) <= width
    assert sheet.evaluate("document.scripts.length") == 1
    assert "<script>alert(1)" in sheet.evaluate("document.querySelector('svg title').textContent")
    sizes = sheet.evaluate("""() => [...document.querySelectorAll('svg text')].filter((e) => e.checkVisibility()).map(
        (e) => parseFloat(getComputedStyle(e).fontSize) * e.ownerSVGElement.getBoundingClientRect().width
            / e.ownerSVGElement.viewBox.baseVal.width)""")
    assert sizes
    assert min(sizes) >= 9.5
    assert sheet.evaluate("[...document.querySelectorAll('svg')].filter((e) => e.checkVisibility()).length") == 2
    assert sheet.evaluate(CONTRAST) == []
