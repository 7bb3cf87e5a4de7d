"""audit.html in a real browser: what it says, that it says it safely, and that no row of the data is in it."""

import json
import os
import re
import stat
import subprocess
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from browser import CONTRAST, width_of

from evenset.audit import run
from evenset.audit.sheet.examples import MOST_CHARACTERS
from evenset.audit.sheet.vector_part import documents
from evenset.audit.sheet.whole import audit_page
from evenset.audit.sheet.wording import typed
from evenset.cli import invoke
from evenset.curate import preview
from evenset.data import Dataset
from evenset.data import open as open_data
from evenset.data.sample import bios, write

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202eabc"
SECRET = "zanzibar quillfeather"


def audited(table, axes=("pronouns",), measures=("counts", "association", "proxies"), **columns):
    report = run(
        Dataset.of(table, **{"text": "text", "label": "label", **columns}), list(axes), measures=list(measures)
    )
    return replace(report, remedies=preview(report))


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Biographies with every part of an audit, word vectors and leakage included."""
    table = bios(1500, 0)[0]
    words = sorted({word for text in table["text"].to_pylist() for word in re.findall(r"[a-z]+", text.casefold())})
    sides = {
        "she": 1,
        "her": 1,
        "woman": 1,
        "girl": 1,
        "mother": 1,
        "he": -1,
        "his": -1,
        "man": -1,
        "boy": -1,
        "father": -1,
    }
    path = tmp_path_factory.mktemp("vectors") / "vectors.txt"
    draw = np.random.default_rng(0)
    lines = []
    for word in dict.fromkeys([*sides, *words]):
        values = 0.2 * draw.standard_normal(12)
        values[0] += sides.get(word, 0.4 * draw.standard_normal())
        lines.append(" ".join([word, *(f"{value:.4f}" for value in values)]))
    path.write_text(f"{len(lines)} 12\n" + "\n".join(lines) + "\n")
    data = Dataset.of(table, text="text", label="label", id="id")
    report = run(data, ["pronouns"], measures=["all"], vectors=[str(path)])
    return replace(report, remedies=preview(report))


def skewed(rows=400, groups=("a", "b"), labels=("1", "0"), text="{word} ran"):
    draw = np.random.default_rng(0)
    which = draw.integers(len(groups), size=rows)
    label = np.where(draw.random(rows) < np.where(which == 0, 0.7, 0.2), 0, draw.integers(len(labels), size=rows))
    texts = [text.format(word=("she", "he")[w % 2]) for w in which]
    return pa.table({"text": texts, "label": [labels[at] for at in label], "kind": [groups[at] for at in which]})


@pytest.mark.parametrize(("width", "scheme"), [
    (375, "light"), (1600, "dark"),
    *(pytest.param(width, scheme, marks=pytest.mark.slow)
      for width, scheme in ((375, "dark"), (800, "light"), (800, "dark"), (1600, "light"))),
])  # fmt: skip
def test_every_part_fits_and_can_be_read(open_page, people, width, scheme):
    sheet = open_page(audit_page(people), width=width, scheme=scheme)
    assert width_of(sheet) <= width
    assert sheet.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)") is None
    assert width_of(sheet) <= width
    assert sheet.evaluate(CONTRAST) == []
    if folder := os.environ.get("EVENSET_SCREENSHOTS"):
        sheet.screenshot(path=f"{folder}/audit-{width}-{scheme}.png", full_page=True)


def test_paper_is_not_shrunk_by_a_wide_table(open_page, people):
    sheet = open_page(audit_page(people), width=690, media="print")
    sheet.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert width_of(sheet) <= 690
    assert sheet.locator("input:visible, nav:visible, summary:visible").count() == 0
    assert sheet.evaluate(CONTRAST) == []


def test_it_says_what_the_report_says(open_page, people):
    sheet = open_page(audit_page(people), width=1280)  # once: a page of every part is slow to lay out
    first_screen_says_what_the_scorecard_says(sheet, people)
    all_parts_are_there_with_their_methods(sheet)
    the_table_holds_every_finding_of_audit_json(sheet, people)


def first_screen_says_what_the_scorecard_says(sheet, people):
    top = sheet.locator("header")
    assert people.conclusion() in top.locator("h1").inner_text()
    score = people.scores["pronouns"]
    assert f"{score['value']:.2f}" in top.inner_text()
    assert f"{score['low']:.2f} to {score['high']:.2f}" in top.inner_text()
    assert top.locator(".matters li").count() == 3
    for said in top.locator(".matters h3").all_inner_texts():
        assert re.search(r"\(.* to .*; [\d,]+ rows\)", said)
    assert "reweight:pronouns" in top.inner_text()


def all_parts_are_there_with_their_methods(sheet):
    for anchor in ("next", "axis-1", "terms", "away", "vectors", "data", "yardsticks", "findings", "about"):
        part = sheet.locator(f"section#{anchor}")
        assert part.count() == 1, anchor
        assert sheet.locator(f"nav a[href='#{anchor}']").count() == 1
        if anchor not in ("findings", "about"):
            assert part.locator("aside.computed").count() >= 1, anchor
    assert sheet.locator("svg:not(:has(> title))").count() == 0
    assert sheet.locator("svg:not([role=img])").count() == 0
    levels = [
        int(tag[1]) for tag in sheet.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => h.tagName)")
    ]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = sheet.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    assert sheet.locator("[style]").count() == 0


def test_the_forest_shows_the_intervals_of_audit_json(people):
    page = audit_page(people)
    found = [f for f in people.findings if f.measure == "log_ratio_centred" and f.status == "fail"]
    assert found
    for finding in found:
        ends = [np.exp(end) for end in (finding.low, finding.high)]
        low, high = (f"{end:.0f}" if end >= 9.95 else f"{end:.1f}" if end >= 0.95 else f"{end:.2g}" for end in ends)
        assert f"({low} to {high})" in page
        assert str(finding.label) in page


def the_table_holds_every_finding_of_audit_json(sheet, people):
    rows = sheet.locator("#findings-table tbody tr").count()
    assert rows == min(len(people.findings), 1500)
    head = sheet.locator("#findings-table thead th button").nth(7)
    head.focus()
    sheet.keyboard.press("Enter")
    assert sheet.locator("#findings-table thead th").nth(7).get_attribute("aria-sort") == "descending"
    first = sheet.locator("#findings-table tbody tr").first.locator("td").nth(6).inner_text()
    assert int(first.replace(",", "")) == max(f.n for f in people.findings)


def test_nothing_from_the_data_is_markup(open_page, tmp_path):
    table = skewed(groups=(EVIL, "b\x00\u2066c"), labels=(EVIL + "1", EVIL + "0"), text="{word} " + EVIL)
    evil = table.rename_columns(["text", EVIL + "label", EVIL])
    path = tmp_path / "<img src=x onerror=alert(3)>.parquet"
    import pyarrow.parquet as pq

    pq.write_table(evil, path)
    lexicon = tmp_path / "evil.toml"
    lexicon.write_text(
        f"[lexicon]\nname = 'evil'\nversion = '1'\nlanguage = 'en'\nsource = 'x'\nlicence = 'CC0-1.0'\n"
        f"[[group]]\naxis = 'x'\nname = {json.dumps(EVIL + 'g')}\nforms = ['she']\n"
        "[[group]]\naxis = 'x'\nname = 'other'\nforms = ['he']\n"
    )
    data = open_data(path, text="text", label=EVIL + "label")
    report = run(
        data, ["column:" + EVIL, f"lexicon:{lexicon}"], measures=["counts", "association", "proxies", "quality"]
    )
    report = replace(report, remedies=preview(report))
    report.save(tmp_path / "out", examples=2)
    sheet = open_page(tmp_path / "out" / "audit.html", width=375)
    assert sheet.locator("script").count() == 1
    assert sheet.locator("img, [onerror]").count() == 0
    text = sheet.locator("body").inner_text()
    assert "<script>alert(1)</script>" in text
    assert "onerror=alert(3)" in text
    assert "\u202e" not in sheet.content()
    assert "\\u202e" in text
    assert width_of(sheet) <= 375


def rows_with_secrets(tmp_path):
    words = [f"{('she', 'he')[i % 2]} {SECRET} {i} " + "long " * 200 for i in range(400)]
    labels = [("nurse" if i % 2 == 0 else "smith") if i % 10 else "clerk" for i in range(400)]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps({"text": t, "label": x}) for t, x in zip(words, labels, strict=True)))
    return path


def test_examples_are_shown_clipped_and_kept_private(tmp_path, open_page):
    path = rows_with_secrets(tmp_path)
    arguments = ["audit", str(path), "--axis", "pronouns", "--measures", "counts,association", "--quiet"]
    plain, shown = tmp_path / "plain", tmp_path / "shown"
    assert invoke([*arguments, "--out", str(plain)]) == 0
    assert SECRET not in (plain / "audit.html").read_text()
    assert invoke([*arguments, "--out", str(shown), "--examples", "3"]) == 0
    assert (plain / "audit.json").read_bytes() == (shown / "audit.json").read_bytes()
    assert stat.S_IMODE((shown / "audit.html").stat().st_mode) == 0o600
    sheet = open_page(shown / "audit.html")
    failing = {
        f["id"] for f in json.loads((shown / "audit.json").read_text())["findings"] if f["status"] in ("fail", "warn")
    }
    lines = sheet.locator("#examples-table tbody tr")
    texts = lines.locator("td:last-child").all_inner_texts()
    assert 0 < len(texts) <= 3 * len(failing)
    assert all(SECRET in text and len(text) <= MOST_CHARACTERS for text in texts)
    named = lines.locator("th").all_inner_texts()
    assert set(named) <= failing
    assert max(named.count(name) for name in named) == 3
    assert "shows rows of the data" in sheet.locator("header").inner_text()


def test_examples_need_rows_and_a_folder(tmp_path, capsys):
    path = rows_with_secrets(tmp_path)
    assert invoke(["audit", str(path), "--examples", "2"]) == 2
    assert "--out" in capsys.readouterr().err
    assert invoke(["audit", str(path), "--shard", "1/1", "--out", str(tmp_path / "s"), "--examples", "2"]) == 2
    assert "--examples needs the rows" in capsys.readouterr().err


def test_the_page_is_a_function_of_the_report(people):
    assert audit_page(people) == audit_page(people)


def test_long_names_do_not_fill_the_head(open_page):
    long = "g" * 3000
    page = audit_page(audited(skewed(groups=(long, "b " * 200 + "c")), ["column:kind"]))
    sheet = open_page(page, width=375)
    head = sheet.locator("header").inner_text()
    assert "b…" in head
    assert "g" * 61 not in head
    assert "b " * 31 not in head
    cells = sheet.locator("table th[scope=row], table td").all_inner_texts()
    assert "g" * 200 in " ".join(cells)
    assert "g" * 301 not in " ".join(cells)
    assert width_of(sheet) <= 375


def test_a_command_is_read_by_the_shell_as_it_was():
    words = ["evenset", EVIL, "a\n\tb'\\", "\x01f", "plain", "two words", "\u2066\U000e0001é", "$HOME `id`\u202e"]
    line = typed(words)
    assert line.isprintable()
    shell = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )
    assert shell.stdout.decode().split("\0")[:-1] == words


@pytest.mark.slow
def test_very_many_labels_and_groups_stay_usable(open_page, tmp_path):
    draw = np.random.default_rng(1)
    rows = 60_000
    group, label = draw.integers(50, size=rows), draw.integers(161, size=rows)
    label = np.where(draw.random(rows) < 0.3, group * 3, label)
    table = pa.table({
        "text": [f"w{i % 97} word" for i in range(rows)],
        "label": [f"label {at}" for at in label],
        "kind": [f"group {at}" for at in group],
    })  # fmt: skip
    report = audited(table, ["column:kind"], measures=["counts", "association"])
    page = audit_page(report)
    assert len(page.encode()) < 3_000_000
    assert len(report.findings) > 5_000
    assert "the worst first; all are in audit.json" in page
    sheet = open_page(page, width=375)
    assert width_of(sheet) <= 375
    sheet.locator("#findings-table").get_by_label("Filter").fill("group 7")
    sheet.locator("#findings-table output").filter(has_text=" of ").wait_for()


def weighted():
    table = skewed().append_column("w", pa.array(np.linspace(0.1, 3, 400)))
    return audited(table, ["column:kind", "pronouns", "column:kind+pronouns"], weight="w")


COUNTED = ("counts", "association")
CASES = {
    "one label": lambda: audited(skewed(labels=("1", "1")), ["column:kind"]),
    "no label": lambda: audited(skewed().select(["text", "kind"]), ["pronouns", "column:kind"], label=None),
    "three rows": lambda: audited(skewed(rows=3), measures=[*COUNTED, "quality"]),
    "one measure": lambda: audited(skewed(), ["column:kind"], measures=["nmi"]),
    "no group": lambda: audited(skewed(text="it ran"), measures=COUNTED),
    "three labels": lambda: audited(skewed(labels=("x", "y", "z")), ["column:kind"], measures=COUNTED),
    "three groups": lambda: audited(skewed(groups=("a", "b", "c"), labels=("x", "y", "z")), ["column:kind"]),
    "weights": weighted,
}


@pytest.mark.parametrize("name", CASES)
def test_little_or_odd_data_has_a_page_too(open_page, name):
    report = CASES[name]()
    sheet = open_page(audit_page(report), width=375)
    assert report.conclusion() in sheet.locator("h1").inner_text()
    assert width_of(sheet) <= 375
    assert not re.search(r"\b(nan|None|inf)\b", sheet.locator("body").inner_text())
    assert sheet.locator("aside.computed:not(:has(p + p))").count() == 0  # no method without words


def test_conversations_and_pairs_of_replies(open_page, tmp_path):
    path = tmp_path / "chat.jsonl"
    rows = [
        {
            "messages": [
                {"role": "user", "content": "Tell me."},
                {"role": "assistant", "content": f"{('She', 'He')[i % 2]} is fine {i}."},
            ]
        }
        for i in range(80)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    report = run(open_data(path), ["pronouns"], measures=["counts", "association"])
    assert report.conclusion() in open_page(audit_page(report)).locator("h1").inner_text()
    pairs = tmp_path / "pairs.jsonl"
    rows = [{"prompt": "Who?", "chosen": "She did it.", "rejected": "He did it."} for _ in range(80)]
    pairs.write_text("\n".join(json.dumps(row) for row in rows))
    report = run(open_data(pairs), ["pronouns"], measures=["counts", "association"])
    assert "chosen" in open_page(audit_page(report)).locator("main").inner_text()


def test_merged_shards_say_what_is_left_out(open_page, tmp_path):
    rows = write("comments", 1500, 3, tmp_path)["comments"]
    for at in (1, 2):
        arguments = ["audit", str(rows), "--shard", f"{at}/2", "--out", str(tmp_path / f"s{at}"), "--quiet"]
        assert invoke(arguments) == 0
    out = tmp_path / "out"
    shards = [str(tmp_path / "s1"), str(tmp_path / "s2")]
    assert invoke(["audit", "--merge", *shards, "--out", str(out), "--measures", "all"]) == 0
    assert not (out / "flagged.parquet").exists()
    text = open_page(out / "audit.html").locator("#about").inner_text()
    assert "leakage" in text
    assert "merged shards are counts only" in text


@pytest.mark.slow
@pytest.mark.real
def test_real_comments(open_page, shared_data, tmp_path):
    data = open_data(shared_data / "gab" / "train.csv", text="text", label="label", positive="1")
    report = run(data, ["identity"], measures=["counts", "association", "proxies"])
    report = replace(report, remedies=preview(report))
    page = audit_page(report)
    texts = [str(text) for batch in data.batches() for text in batch.text.to_pylist()[:500]]
    assert not [text for text in texts if len(text) > 40 and text in page]
    sheet = open_page(page, width=375)
    assert width_of(sheet) <= 375
    assert 'mention "jewish"' in sheet.locator(".matters").inner_text()


def test_words_are_placed_by_their_direction_and_proxies_are_named(people):
    page = audit_page(people)
    part = page[page.index('id="vectors"') : page.index('id="data"')]
    assert part.count("<svg") == 2  # wide and narrow
    proxies = [proxy for proxy in people.parts.proxies["pronouns"].proxies if proxy.femaleness is not None]
    assert proxies
    drawn = [proxy for proxy in proxies if f">{proxy.word}</text>" in part]
    assert len(drawn) >= min(3, len(proxies))


def test_rows_with_a_word_are_counted_once_each(people):
    found = documents(people)
    texts = [re.findall(r"[\w]+", str(text).casefold()) for text in bios(1500, 0)[0]["text"].to_pylist()]
    words = [proxy.word for proxy in people.parts.proxies["pronouns"].proxies[:5]]
    for word in words:
        # Only rows of she or he, not of both, are counted on an axis of two groups.
        sides = [{"she", "her", "hers", "herself"} & set(text) for text in texts]
        others = [{"he", "him", "his", "himself"} & set(text) for text in texts]
        one = sum(word in text and bool(a) != bool(b) for text, a, b in zip(texts, sides, others, strict=True))
        assert found[word] == one
