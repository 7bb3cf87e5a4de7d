"""Results in a notebook: what IPython's own formatter shows, and that names from the data stay text."""

import html
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import score_sim

import evenset.data
from evenset import audit, curate
from evenset.audit.page.notebook import SHOWN, notebook
from evenset.curate.book.ledger import read_ledger
from evenset.data.config import CheckRule, inline_plan
from evenset.finetune import verify

EVIL = "<script>alert('x')</script>"


class Outline(HTMLParser):
    """Tags that are opened and closed, in pairs."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.open, self.text = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in {"br", "hr", "col", "meta"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text.append(data)


def shown(result):
    """What a cell that ends with the result shows."""
    formatters = pytest.importorskip("IPython.core.formatters")
    bundle, _ = formatters.DisplayFormatter().format(result)
    page = bundle["text/html"]
    outline = Outline(page)
    assert outline.open == [], "a tag is not closed"
    assert not set(outline.tags) & {"script", "iframe", "img", "link"}
    assert not re.search(r"(?:src|href)=|url\(|@import", page), "something would be fetched"
    return page, " ".join(outline.text), outline


def rows(n=600, group="gay"):
    who = (group, "christian", "tall")
    return [
        {"text": f"A {who[k % 3]} person, post {k}.", "label": int(k // 3 % 5 < (3, 1, 1)[k % 3]), "who": who[k % 3]}
        for k in range(n)
    ]


@pytest.fixture(scope="module")
def report():
    return audit.run(evenset.data.open(rows()), axes=["identity"])


def test_an_audit_is_a_sentence_scores_a_chart_and_a_table(report):
    page, text, outline = shown(report)
    assert report.conclusion() in text
    score = report.scores["identity"]
    assert f"{score['value']:.2f} ({score['low']:.2f} to {score['high']:.2f})" in text
    assert "svg" in outline.tags
    assert 'gay labelled "1"' in text
    assert outline.tags.count("table") == 2
    body = page.rpartition("<table>")[2]
    assert body.count("<tr>") == SHOWN + 1
    assert f"and {len(report.findings) - SHOWN:,} more: " in text
    worst = next(one for one in report.findings if one.status == "fail")
    assert worst.measure in body
    assert "post 17" not in page, "a row of the data"


def test_names_of_the_data_are_text():
    values = [
        {"text": f"Post {k}.", EVIL: f"{EVIL}{k % 2}", "label": EVIL if k % 4 < 2 + k % 2 else "b"} for k in range(400)
    ]
    data = evenset.data.open(values, text="text", label="label")
    found = audit.run(data, axes=[f"column:{EVIL}"])
    strict = audit.check(found, [CheckRule(measure="label_rate", fail=0.01)])
    for result in (found, strict, curate.run(data, inline_plan([f"reweight:column:{EVIL}"]))):
        page, text, _ = shown(result)
        assert EVIL in text
        assert EVIL not in page
        assert html.escape(EVIL) in page


def test_a_check_says_what_did_not_pass(report):
    result = audit.check(report, report.rules)
    _, text, _ = shown(result)
    assert result.summary() in text
    bad = [case for case in result.cases if case.status != "pass"]
    assert bad
    assert all(case.message in text for case in bad[:SHOWN])


def test_a_curation_says_before_and_after(tmp_path):
    (tmp_path / "posts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()))
    data = evenset.data.open(tmp_path / "posts.jsonl")
    done = curate.run(data, inline_plan(["reweight:identity"]), axes=["identity"], out=tmp_path / "out")
    _, text, outline = shown(done)
    assert "reweight on identity: 600 rows became 600" in text
    assert "svg" in outline.tags
    assert 'gay labelled "1"' in text
    assert done.summary().splitlines()[0] in text
    _, text, _ = shown(read_ledger(tmp_path / "out" / "ledger.parquet"))
    assert "Ledger of 600 rows that became 600" in text
    _, text, _ = shown(curate.explain(tmp_path / "out", "#3"))
    assert "row 3 of the original" in text
    _, text, outline = shown(curate.run(data, inline_plan(["reweight:identity"]), dry_run=True))
    assert "svg" not in outline.tags


def test_a_verdict_shows_the_gap_of_every_arm():
    arms = {
        "raw": score_sim.Arm(0.35), "mine": score_sim.Arm(0.05), "mine~placebo": score_sim.Arm(0.34, placebo_of="mine")
    }  # fmt: skip
    scores = score_sim.simulate(np.random.default_rng(0), arms, seeds=4)
    verdict = verify(scores, score_sim.stick(), bootstrap=0, measures=False)
    _, text, outline = shown(verdict)
    assert verdict.decision in text
    assert "svg" in outline.tags
    for gap in verdict.gaps:
        assert gap.arm in text
        assert f"{gap.gap:.2f} ({gap.gap_low:.2f} to {gap.gap_high:.2f})".replace("-", "−") in text


def test_the_style_touches_nothing_but_its_own():
    style = re.search(r"<style>(.*)</style>", notebook(), re.DOTALL)[1]
    depth, selector, heads = 0, "", []
    for char in style:
        if char == "{":
            if depth == 0:
                heads.append(selector.strip())
            depth, selector = depth + 1, ""
        elif char == "}":
            depth, selector = depth - 1, ""
        else:
            selector += char
    assert depth == 0
    assert all(".evenset-nb" in head or head == "@media (prefers-color-scheme:dark)" for head in heads)
    assert "--paper:" in style
    assert "--fail:" in style
