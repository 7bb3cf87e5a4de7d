"""The shell of a report: tables, policy, widths, schemes, paper and keyboard, in a real browser."""

import re
from itertools import pairwise

import pytest
from browser import CONTRAST, width_of

from evenset.audit.page.document import Matter, Section, Tile, computed, document, figure
from evenset.audit.page.html import tag
from evenset.audit.page.table import Cell, Column, table

BAD = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> \u202eabc\x00 &amp;"


def sample(word: str = "jewish", rows: int = 12) -> str:
    columns = (
        Column("group"), Column("rate", "number"), Column("rows", "number"), Column("status", "status"),
        Column("note", "long"), Column("id", "code"),
    )  # fmt: skip
    statuses = ("fail", "warn", "unclear", "pass", None)
    cells = [
        (f"{word} {i}", float("nan") if i == 3 else (7 * i % 12) / 10 - 0.3, i * 1000, statuses[i % 5], word * 3, word)
        for i in range(rows)
    ]
    cells[0] = (Cell(word, "a"), float("-inf"), 5, "fail", word, word)
    body = table(columns, cells, caption=f"Rates of {word}", anchor="rates", remark="All of them.")
    mark = tag("text", word, x=10, y=20, fill="var(--ink)")
    svg = tag("svg", tag("title", word), mark, viewBox="0 0 100 40", role="img")
    return document(
        title=f"audit of {word}",
        kind=f"evenset audit of {word}",
        status="fail",
        conclusion=f"This data can teach a bias: labels are skewed for 10 of 12 {word} groups.",
        tiles=[Tile(label=word, value="0.28", interval="0.25 to 0.30", note=f"moderate {word}", status="warn")] * 3,
        matters=[
            Matter(title=f"Rows that mention {word}", what=word, todo=word, command=f"evenset {word}", status=status)
            for status in ("fail", "warn", "unclear")
        ],
        sections=[Section("one", word, body, lead=word), Section("two", "Two", figure(svg, word) + computed(word))],
        footer=word,
    )  # fmt: skip


def test_what_stands_in_the_page_is_text(open_page):
    sheet = open_page(sample(BAD))
    assert sheet.locator("main script, main img, header img, footer img").count() == 0
    assert "<script>alert(1)</script>" in sheet.locator("h1").inner_text()
    assert "\\u202eabc\\x00 &amp;" in sheet.locator("#rates tbody th").nth(0).inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 800, 1600])
def test_nothing_scrolls_sideways_and_all_text_can_be_read(open_page, width, scheme):
    sheet = open_page(
        sample("jewish" if width > 375 else "antidisestablishmentarianism" * 2), width=width, scheme=scheme
    )
    assert width_of(sheet) <= width
    assert sheet.evaluate(CONTRAST) == []


def test_the_contrast_check_sees_pale_text(open_page):
    pale = sample().replace("--muted: #575c64", "--muted: #b0b0b0")
    pale = re.sub(r"style-src &#x27;sha256-[^;]*;", "style-src &#x27;unsafe-inline&#x27;;", pale)
    assert open_page(pale).evaluate(CONTRAST)


def test_a_foreign_script_and_a_request_are_refused(open_page, chromium, tmp_path):
    path = tmp_path / "x.html"
    path.write_text(
        sample().replace("</main>", "<script>document.title='run'</script><img src='http://127.0.0.1:9/x'></main>")
    )
    context = chromium.new_context()
    sheet = context.new_page()
    said = []
    sheet.on("console", lambda message: said.append(message.text))
    sheet.goto(path.as_uri())
    assert sheet.title() == "audit of jewish"
    assert any("Content Security Policy" in line for line in said)
    context.close()


def test_sorting_by_keyboard(open_page):
    sheet = open_page(sample())
    head = sheet.locator("#rates thead th").nth(1)
    button = head.locator("button")
    button.focus()
    sheet.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    column = sheet.locator("#rates tbody tr td:nth-child(2)")
    shown = [text.replace("−", "-") for text in column.all_inner_texts()]
    assert shown[-1] == "–"  # nothing to sort by comes last both ways
    assert shown[-2] == "-∞"
    numbers = [float(text) for text in shown[:-2]]
    assert numbers == sorted(numbers, reverse=True)
    sheet.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "ascending"
    shown = column.all_inner_texts()
    assert (shown[0], shown[-1]) == ("−∞", "–")
    assert sheet.locator("#rates [aria-sort]").count() == 1
    assert "sorted by rate, ascending" in sheet.locator("#rates output").inner_text()


def test_a_status_sorts_by_how_bad_it_is(open_page):
    sheet = open_page(sample())
    sheet.locator("#rates thead th button").nth(3).click()
    shown = [text.strip().split()[-1] for text in sheet.locator("#rates tbody tr td:nth-child(4)").all_inner_texts()]
    order = ["fail", "warn", "unclear", "pass", "judged"]
    assert shown == sorted(shown, key=order.index)


def test_filtering(open_page):
    sheet = open_page(sample())
    sheet.get_by_label("Filter").fill("WARN jewish")
    sheet.locator("#rates output").filter(has_text="of 12").wait_for()
    assert sheet.locator("#rates tbody tr:visible").count() == 3
    assert "3 of 12" in sheet.locator("#rates output").inner_text()


def test_without_script_the_table_is_there_and_promises_nothing(open_page):
    sheet = open_page(sample(), script=False)
    assert sheet.locator("#rates tbody tr:visible").count() == 12
    assert sheet.locator("button, input, select").count() == 0


def test_on_paper_there_are_no_controls(open_page):
    sheet = open_page(sample(rows=80), media="print")
    assert sheet.locator("input:visible, .controls:visible, nav:visible, summary:visible").count() == 0
    assert sheet.evaluate("getComputedStyle(document.querySelector('th button'), '::after').content") == "none"
    assert sheet.locator("#rates tbody tr:visible").count() == 60
    assert "first 60 of 80" in sheet.locator("#rates .only-print").inner_text()


def test_for_a_screen_reader(open_page):
    sheet = open_page(sample())
    levels = [
        int(name[1]) for name in sheet.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => h.tagName)")
    ]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert sheet.locator("svg:not(:has(title))").count() == 0
    assert sheet.evaluate("document.documentElement.lang") == "en"
    ids = sheet.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    assert sheet.get_by_role("region", name="Rates of jewish").count() == 1
    assert sheet.get_by_role("table", name="Rates of jewish").count() == 1
    sheet.keyboard.press("Tab")
    assert sheet.evaluate("document.activeElement.className") == "skip"
