"""The part of a dataset card: what it says, what it leaves alone, and what it lets nobody smuggle in."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evenset.data
from evenset import audit, cli, curate
from evenset.audit import card
from evenset.audit.card_words import LIMITS, Told, read_audit, read_curation
from evenset.data.config import inline_plan
from evenset.data.errors import InputError


def rows(n=600):
    """Of posts about gay people 60 % are labelled 1, of all others 20 %."""
    who = ("gay", "christian", "tall")
    return [
        {"text": f"A {who[k % 3]} person, post {k}.", "label": int(k // 3 % 5 < (3, 1, 1)[k % 3])} for k in range(n)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("card")
    (place / "posts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()))
    data = evenset.data.open(place / "posts.jsonl")
    audit.run(data, axes=["identity", "pronouns"], measures=["counts", "association"]).save(place / "audit")
    curate.run(data, inline_plan(["reweight:identity"]), axes=["identity"], out=place / "curated")
    return place


def run(capsys, *words):
    code = cli.invoke(["card", *map(str, words)])
    return code, *capsys.readouterr()


def test_it_says_what_audit_json_says(folder, capsys):
    found = read_audit(folder / "audit")
    code, text, _ = run(capsys, folder / "audit")
    assert code == 0
    score = found["scores"]["identity"]
    assert f"| identity | {score['value']:.2f} ({score['low']:.2f} to {score['high']:.2f}), " in text
    assert "| pronouns | not enough rows to tell |" in text
    bad = [one for one in found["findings"] if one["status"] in ("fail", "warn")]
    assert bad, "the planted bias is not found"
    table = [line for line in text.splitlines() if line.startswith(("| fail |", "| warn |"))]
    assert len(table) == len(bad)
    assert any('mention "gay" are labelled "1"' in line and f"{bad[0]['n']:,} rows" in line for line in table)
    assert f"600 rows of posts.jsonl (SHA-256 {found['dataset']['sha256']})" in text
    assert all(f"{one['name']} {one['version']}" in text for one in found["lexicons"])
    assert f"written by evenset {evenset.__version__}" in text
    assert all(card.md(limit) in text for limit in LIMITS)
    assert "post 17" not in text, "a row of the data"


def test_the_rest_of_the_card_is_not_touched(folder, tmp_path, capsys):
    readme = tmp_path / "README.md"
    before = b"\xef\xbb\xbf---\nlicense: mit\ntags: [a,  b]\n---\n\n#  Mine \n\nend without a line break"
    readme.write_bytes(before)
    assert run(capsys, folder / "audit", "--readme", tmp_path)[0] == 0
    once = readme.read_bytes()
    assert once.startswith(before + b"\n\n<!-- evenset:begin")
    readme.write_bytes(once + b"\nAfter it. \n")
    assert run(capsys, folder / "audit", "--readme", readme, "--curation", folder / "curated")[0] == 0
    again = readme.read_bytes()
    assert again.startswith(before + b"\n\n<!-- evenset:begin")
    assert again.endswith(b"<!-- evenset:end -->\n\nAfter it. \n")
    assert b"### Curation" in again
    assert run(capsys, folder / "audit", "--readme", readme, "--curation", folder / "curated")[0] == 0
    assert readme.read_bytes() == again


def test_a_card_with_the_line_ends_of_windows_keeps_them(folder):
    part = card.section(read_audit(folder / "audit"))
    made = card.updated(b"# Mine\r\n\r\nText\r\n", part)
    assert b"\n" not in made.replace(b"\r\n", b"")
    assert card.updated(made, part) == made


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_stands_around_stays(before, after):
    part = card.BEGIN + "\nnew\n" + card.END + "\n"
    old = f"{before}<!-- evenset:begin -->old<!-- evenset:end -->{after}".encode()
    made = card.updated(old, part)
    assert made.startswith(before.encode())
    assert made.endswith(after.encode())
    assert card.updated(made, part) == made
    new = card.updated(before.encode(), part)
    assert new.startswith(before.encode())
    assert card.updated(new, part) == new


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!-- evenset:begin -->", "1 marks"),
        (b"<!-- evenset:end --><!-- evenset:begin -->", "in this order"),
        (b"<!-- evenset:begin --><!-- evenset:begin --><!-- evenset:end -->", "2 marks"),
        (b"<!-- evenset:begin --> <!-- evenset:end", 'has no "-->"'),
        (b"caf\xe9", "is not UTF-8"),
    ],
)
def test_a_card_that_cannot_be_updated_stays_as_it_is(content, message, folder, tmp_path, capsys):
    (tmp_path / "README.md").write_bytes(content)
    code, _, err = run(capsys, folder / "audit", "--readme", tmp_path / "README.md")
    assert code == 2
    assert message in err
    assert (tmp_path / "README.md").read_bytes() == content


EVIL = (
    "<script>alert(1)</script> [x](javascript:1) `a` | <!-- evenset:end --> ![y](//z) www.evil.org @all $x$ _b_ "
    "\u202e\x07"
)


def test_names_are_shown_as_text(tmp_path):
    label = "__bold__ | <img src=x onerror=1>"
    values = [
        {"text": f"Post {k}.", EVIL: f"g{k % 2}", "label": label if k % 4 < 2 + k % 2 else "b"} for k in range(200)
    ]
    made = audit.run(
        evenset.data.open(values, text="text", label="label"), axes=[f"column:{EVIL}"], measures=["counts"]
    ).to_dict()
    made["lexicons"] = [{"name": EVIL, "version": EVIL}]
    made["left_out"] = {EVIL: EVIL}
    made["proxies"] = [{"axis": EVIL, "group": EVIL, "word": EVIL}]
    text = card.section(made)
    body = text.removeprefix(card.BEGIN).rpartition(card.END)[0]
    assert not re.search(r"<[a-zA-Z!/]", body)
    assert not re.search(r"[`\[\]$@\x07\u202e]", body)
    assert "www.evil" not in body
    assert "javascript:1" not in body
    assert text.count("<!-- evenset:end") == 1
    for line in body.splitlines():
        if line.startswith("|"):
            assert line.count("|") in (3, 4)
    import html

    assert "<script>alert(1)</script>" in html.unescape(body), "it is still legible"


@given(st.text())
def test_escaped_text_is_one_line_without_markup(text):
    found = card.md(text)
    assert not set(found) & set("<>|*`[]\\~@!$^{}\n\r")
    assert "__" not in found
    assert "://" not in found


def test_a_curation_says_what_was_done(folder):
    found, done = read_audit(folder / "audit"), read_curation(folder / "curated")
    told = Told(found, done)
    assert told.when == "before"
    text = card.section(found, done)
    assert "reweight on identity" in text
    assert "600 rows became 600: 0 dropped, 0 added" in text
    assert "of the rows before this curation" in text
    after = audit.run(evenset.data.open(folder / "curated" / "data.jsonl", weight="weight"), axes=["identity"])
    assert Told(after.to_dict(), done).when == "after"
    with pytest.raises(InputError, match="of other data than the audit"):
        card.section({**found, "dataset": {**found["dataset"], "sha256": "0"}}, done)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no"),
        ("{", "cannot be read as audit.json"),
        ("[]", "is no audit.json"),
        ("{}", "is no evenset.audit/1"),
    ],
)
def test_what_is_no_audit(content, message, tmp_path, capsys):
    if content is not None:
        (tmp_path / "audit.json").write_text(content)
    code, out, err = run(capsys, tmp_path / "audit.json")
    assert (code, out) == (2, "")
    assert message in err


def test_nothing_beyond_the_limits(capsys):
    even = [{"text": f"{('She', 'He')[k % 2]} ran {k} miles.", "label": k // 2 % 2} for k in range(4000)]
    made = audit.run(evenset.data.open(even), axes=["pronouns"], measures=["counts", "association"]).to_dict()
    text = card.section(made)
    assert "No finding is beyond the limits" in text
    assert "\nNone.\n" in text
