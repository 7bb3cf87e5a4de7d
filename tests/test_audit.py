"""A whole audit: what is written is complete and the same every time, and the screen says what matters."""

import csv
import io
import json
import math
import re
import shlex
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from evenset.audit import AuditReport, run
from evenset.audit.words import Speaker, strength
from evenset.data import open as open_data
from evenset.data.config import CheckRule
from evenset.data.dataset import Dataset
from evenset.data.errors import InputError
from evenset.data.hashing import row_keys

COMMENTS = [
    (f"a {term} neighbour {k}", "1" if k < toxic else "0")
    for term, toxic, rows in [
        ("gay", 60, 100),
        ("muslim", 30, 120),
        ("catholic", 1, 90),
        ("sikh", 3, 12),
        ("nice", 80, 900),
    ]
    for k in range(rows)
]
BIOS = [
    (f"{who} works {k}", job)
    for job, she, he in [("nurse", 90, 10), ("surgeon", 12, 88), ("teacher", 52, 48)]
    for who, rows in [("She", she), ("He", he)]
    for k in range(rows)
]


def dataset(rows, *, positive=None, label="label", **columns):
    table = pa.table(
        {"text": [text for text, _ in rows], label: pa.array([of for _, of in rows], pa.string()), **columns}
    )
    given = {name: name for name in ("id", "w") if name in columns}
    return Dataset.of(table, text="text", label=label, positive=positive, id=given.get("id"), weight=given.get("w"))


def screen(report, *, width=80, colour=False):
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=colour, color_system="standard" if colour else None).print(
        report.scorecard()
    )
    return out.getvalue()


# -- what is written --------------------------------------------------------------------------------------------------


def test_audit_json_has_what_the_contract_says(tmp_path):
    path = tmp_path / "c.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *COMMENTS])
    report = run(open_data(path), ["pronouns", "identity"], seed=7)
    report.save(tmp_path / "out")
    names = sorted(entry.name for entry in (tmp_path / "out").iterdir())
    assert names == ["audit.html", "audit.json", "flagged.parquet"]
    content = json.loads((tmp_path / "out" / "audit.json").read_text(encoding="utf-8"))
    assert content["schema"] == "evenset.audit/1"
    assert content["dataset"]["rows"] == len(COMMENTS)
    assert re.fullmatch("[0-9a-f]{64}", content["dataset"]["sha256"])
    assert content["dataset"]["columns"]["label"] == "label"
    assert [set(lexicon) for lexicon in content["lexicons"]] == [{"name", "version", "sha256"}] * 2
    assert set(content["scores"]) == {"pronouns", "identity"}
    assert set(content["scores"]["identity"]) == {"value", "low", "high", "measure"}
    for finding in content["findings"]:
        assert list(finding) == [
            "id", "axis", "group", "label", "measure", "estimate", "low", "high", "n", "method", "status", "note",
            "p", "q", "stratum",
        ]  # fmt: skip
        assert finding["status"] in ("pass", "warn", "fail", "unclear", None)
    assert content["proxies"] is content["directions"] is content["leakage"] is None
    assert content["coverage"]["labels"] == {"0": 1048, "1": 174}
    assert content["coverage"]["lexicons"]["identity"]["rows"] == 322
    assert set(content["yardsticks"]["identity"]) == {"fpr"}
    assert content["settings"]["seed"] == 7
    assert str(tmp_path) not in json.dumps(content)


def test_the_same_data_gives_the_same_bytes_and_the_order_of_rows_does_not_matter(tmp_path):
    report = run(dataset(COMMENTS, positive="1"), ["identity"])
    for name in ("one", "two"):
        run(dataset(COMMENTS, positive="1"), ["identity"]).save(tmp_path / name)
    for name in ("audit.json", "flagged.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    turned = run(dataset(COMMENTS[::-1], positive="1"), ["identity"])
    assert turned.findings == report.findings
    assert turned.scores == report.scores
    assert turned.yardsticks == report.yardsticks


def test_batches_do_not_matter(monkeypatch):
    whole = run(dataset(COMMENTS + BIOS), ["identity", "pronouns", "pronouns+identity"])
    monkeypatch.setattr("evenset.data.normalise.BATCH_ROWS", 37)
    parts = run(dataset(COMMENTS + BIOS), ["identity", "pronouns", "pronouns+identity"])
    assert parts.tally == whole.tally
    assert parts.findings == whole.findings


def test_the_score_of_an_axis_is_its_cramers_v():
    report = run(dataset(BIOS), ["pronouns"])
    whole = next(finding for finding in report.findings if finding.id == "cramers_v:pronouns::")
    score = report.scores["pronouns"]
    assert (score["value"], score["low"], score["high"]) == pytest.approx((whole.estimate, whole.low, whole.high))
    assert score["measure"] == "cramers_v"
    assert 0.4 < score["low"] < score["value"] < score["high"] < 0.8


def test_to_frame_is_the_findings():
    report = run(dataset(COMMENTS, positive="1"), ["identity"])
    frame = report.to_frame()
    assert len(frame) == len(report.findings)
    assert list(frame["id"]) == [finding.id for finding in report.findings]
    assert frame.loc[frame["id"] == "label_log_ratio:identity:gay:1", "status"].item() == "fail"


# -- the rows behind a finding ----------------------------------------------------------------------------------------


def flagged(report, folder):
    report.save(folder)
    table = pq.read_table(folder / "flagged.parquet")
    assert table.schema.names == ["row", "position", "finding"]
    return table


def test_flagged_rows_are_those_of_the_group_with_the_label_that_is_too_frequent(tmp_path):
    report = run(dataset(COMMENTS, positive="1"), ["identity"])
    status = {f.group: f.status for f in report.findings if f.measure == "label_log_ratio"}
    assert status == {"gay": "fail", "muslim": "warn", "catholic": "fail", "sikh": "unclear"}
    table = flagged(report, tmp_path)
    found = {}
    for position, finding in zip(table["position"].to_pylist(), table["finding"].to_pylist(), strict=True):
        found.setdefault(finding, set()).add(position)

    def slow(term, label):
        return {k for k, (text, of) in enumerate(COMMENTS) if term in text.split() and of == label}

    assert found == {
        "label_log_ratio:identity:gay:1": slow("gay", "1"),
        "label_log_ratio:identity:muslim:1": slow("muslim", "1"),
        "label_log_ratio:identity:catholic:1": slow("catholic", "0"),  # too seldom toxic: the others are too many
    }
    keys = row_keys(pa.array([text for text, _ in COMMENTS]), pa.array([label for _, label in COMMENTS]))
    assert table["row"].to_pylist() == [f"{keys[k]:016x}" for k in table["position"].to_pylist()]


def test_flagged_rows_of_a_contrast_are_those_of_the_group_that_has_the_label_more(tmp_path):
    data = dataset(BIOS, id=[f"row-{k}" for k in range(len(BIOS))])
    table = flagged(run(data, ["pronouns"]), tmp_path)
    expected = Counter()
    for job, who in (("nurse", "She"), ("surgeon", "He")):
        expected[f"log_ratio_centred:pronouns:she/he:{job}"] = sum(t.startswith(who) and j == job for t, j in BIOS)
    assert Counter(table["finding"].to_pylist()) == expected
    assert table["row"].to_pylist() == [f"row-{k}" for k in table["position"].to_pylist()]


def test_flagged_rows_are_found_across_batches(tmp_path, monkeypatch):
    whole = flagged(run(dataset(COMMENTS, positive="1"), ["identity"]), tmp_path / "a")
    monkeypatch.setattr("evenset.data.normalise.BATCH_ROWS", 37)
    assert flagged(run(dataset(COMMENTS, positive="1"), ["identity"]), tmp_path / "b") == whole


def test_nothing_to_flag_is_an_empty_table_and_no_second_pass(tmp_path, monkeypatch):
    rows = [(f"a {term} man", str(k % 2)) for term in ("gay", "nice") for k in range(2000)]
    report = run(dataset(rows, positive="1"), ["identity"])
    monkeypatch.setattr("evenset.data.scan.scan", lambda *args, **kwargs: pytest.fail("read again"))
    assert flagged(report, tmp_path).num_rows == 0


# -- rules and arguments ----------------------------------------------------------------------------------------------


def test_rules_given_replace_the_defaults():
    report = run(
        dataset(COMMENTS, positive="1"), ["identity"], rules=[CheckRule(measure="label_rate", warn=0.5, fail=0.9)]
    )
    judged = {finding.id: finding.status for finding in report.findings if finding.status}
    assert set(judged) == {f"label_rate:identity:{g}:1" for g in ("gay", "muslim", "catholic", "sikh")}
    assert judged["label_rate:identity:muslim:1"] == "pass"
    assert report.to_dict()["rules"] == [{"measure": "label_rate", "warn": 0.5, "fail": 0.9}]


def test_what_cannot_be_measured_is_refused_before_reading(monkeypatch):
    monkeypatch.setattr("evenset.data.scan.scan", lambda *args, **kwargs: pytest.fail("read"))
    with pytest.raises(InputError, match='there is no measure "nonsense"'):
        run(dataset(BIOS), ["pronouns"], rules=[CheckRule(measure="nonsense", fail=1)])
    with pytest.raises(InputError, match='--measures: there is no "nonsense"'):
        run(dataset(BIOS), ["pronouns"], measures=["nonsense"])
    with pytest.raises(InputError, match='Did you mean "pronouns"'):
        run(dataset(BIOS), ["pronoun"])
    with pytest.raises(InputError, match="at least one axis"):
        run(dataset(BIOS), [])


def test_a_column_of_numbers_is_no_axis_and_a_score_no_label():
    many = [(f"text {k}", str(k % 2)) for k in range(2500)]
    with pytest.raises(InputError, match=r"column:score.*2,000 different groups.*>=0.5"):
        run(dataset(many, score=[k / 2500 for k in range(2500)]), ["column:score"])
    with pytest.raises(InputError, match=r"2,000 different values.*--label-threshold"):
        run(dataset([(text, f"class {k}") for k, (text, _) in enumerate(many)]), ["pronouns"])


def test_weights_that_are_too_small_to_count_are_refused_with_the_way_out():
    data = dataset(BIOS, w=[1 / len(BIOS)] * len(BIOS))
    with pytest.raises(InputError, match=r'column "w" average 0.0033; multiply them'):
        run(data, ["pronouns"])


def test_progress_is_told_the_rows(monkeypatch):
    monkeypatch.setattr("evenset.data.normalise.BATCH_ROWS", 100)
    told = []
    run(dataset(BIOS), ["pronouns"], progress=lambda *args: told.append(args))
    what, done, size = told[-1]
    assert (what, done) == ("reading", size)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


# -- the screen -------------------------------------------------------------------------------------------------------


def test_the_screen_says_what_matters_in_plain_words():
    text = screen(run(dataset(COMMENTS, positive="1"), ["pronouns", "identity"]))
    assert text.splitlines()[0].startswith("FAIL  This data can teach a model a bias: labels are skewed for 3 of 3")
    flat = " ".join(text.split())
    assert 'Rows that mention "gay" are labelled "1" 5.9× as often as others (4.7 to 7.5; 100 rows).' in flat
    assert 'Rows that mention "catholic" are labelled "1" 0.11× as often as others' in flat
    assert "Unclear: 1 has too few rows to tell. Nearest to an answer: sikh (has 12, needs about 55)" in flat
    assert "identity strong: 0.42 (0.35 to 0.49) 3 fail 1 warn 1 unclear" in flat
    assert '1,222 rows, 14.2 % labelled "1". Words found: pronouns in 0 %, identity in 26 % of rows.' in flat


def test_the_screen_names_rows_labels_and_groups_as_the_data_does():
    rows = pa.table(
        {
            "comment_text": [text for text, _ in COMMENTS],
            "toxic": [int(label) for _, label in COMMENTS],
            "sex": ["f" if label == "1" or k % 4 else "m" for k, (_, label) in enumerate(COMMENTS)],
        }
    )
    data = Dataset.of(rows, text="comment_text", label="toxic", positive="1")
    flat = " ".join(screen(run(data, ["identity", "column:sex"])).split())
    assert 'Comments that mention "gay" are labelled toxic 5.9× as often as others' in flat
    assert "Comments with sex = f are labelled toxic" in flat
    assert "as often as comments with sex = m" in flat


def test_a_contrast_is_told_from_the_side_of_the_larger_share():
    flat = " ".join(screen(run(dataset(BIOS), ["pronouns"])).split())
    assert "FAIL This data can teach a model a bias: 2 of 3 labels are skewed between she and he." in flat
    assert 'Rows with "she" words are labelled "nurse" 8.2× as often as rows with "he" words' in flat
    assert 'Rows with "he" words are labelled "surgeon" 7.5× as often as rows with "she" words' in flat


def test_balanced_data_passes_and_thin_data_is_unclear():
    fair = [(f"{who} works", job) for job in ("nurse", "judge") for who in ("She", "He") for _ in range(1500)]
    assert screen(run(dataset(fair), ["pronouns"])).startswith(
        "PASS  No label bias found beyond the limits on pronouns."
    )
    thin = fair[::300]
    assert screen(run(dataset(thin), ["pronouns"])).startswith("UNCLEAR  Too few rows to tell")
    none = [("text", label) for label in "ab" * 50]
    assert screen(run(dataset(none), ["pronouns"])).startswith("UNCLEAR  ")


def test_without_labels_the_screen_says_what_is_missing():
    report = run(Dataset.of(pa.table({"text": ["She ran"] * 50}), text="text"), ["pronouns"])
    assert "Name a column with --label" in " ".join(screen(report).split())


@pytest.mark.parametrize("width", [80, 60])
def test_the_screen_keeps_within_its_width_and_a_pipe_has_no_colour(width):
    report = run(dataset(COMMENTS + BIOS), ["pronouns", "identity"])
    text = screen(report, width=width)
    assert "\x1b" not in text
    assert max(len(line) for line in text.splitlines()) <= width
    assert "\x1b[" in screen(report, colour=True)


def test_names_with_markup_are_shown_as_they_are():
    who = ["[bold]x[/bold]" if label == "1" else "[/red]" if k % 2 else "z" for k, (_, label) in enumerate(COMMENTS)]
    report = run(dataset(COMMENTS, positive="1", who=who), ["column:who"])
    assert "[bold]x[/bold]" in screen(report)
    assert "<td>" in report._repr_html_()


def test_the_notebook_view_is_escaped():
    who = [
        "<script>alert(1)</script>" if label == "1" else "&" if k % 2 else "z" for k, (_, label) in enumerate(COMMENTS)
    ]
    page = run(dataset(COMMENTS, positive="1", who=who), ["column:who"])._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "&amp;" in page


def test_commands_on_the_screen_can_be_pasted(tmp_path):
    path = tmp_path / "my data.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("body", "kind"), *COMMENTS])
    text = screen(run(open_data(path, text="body", label="kind"), ["identity"]), width=200)
    command = text[text.index("  evenset check") :].split("\n\n")[0].replace("\\\n", "")
    words = shlex.split(command)
    assert words[:3] == ["evenset", "check", str(path)]
    assert words[-1] == "--init"
    assert words[3:-1] == ["--text", "body", "--label", "kind", "--axis", "identity"]


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0, 0.05, "none to weak"), (0.12, 0.2, "moderate"), (0.05, 0.5, "weak to strong"), (0.4, 1, "strong")],
)
def test_strength_in_words(low, high, words):
    assert strength(low, high) == words


def test_sentences_of_every_measure():
    report = run(dataset(COMMENTS, positive="1"), ["identity"], reference={"identity": {"gay": 0.5}})
    speaker = Speaker("text", "label", {"identity": "lexicon"})
    said = {f.measure: speaker.sentence(f) for f in report.findings if f.group == "gay"}
    assert said["label_rate"].startswith('Rows that mention "gay" are labelled "1" in 60.0 % of cases (50.')
    assert "points more often" in said["label_rate_gap"]
    assert said["representation"].startswith('Rows that mention "gay" are 8.2 % of all rows')
    assert "0.16× as frequent as in the reference" in said["representation_ratio"]
    assert said["cramers_v"].startswith('Labels and "gay" go together with Cramér\'s V 0.')
    for sentence in said.values():
        assert "nan" not in sentence


def test_results_are_frozen():
    report = run(dataset(BIOS), ["pronouns"])
    assert isinstance(report, AuditReport)
    with pytest.raises(AttributeError):
        report.seed = 1


# -- real data --------------------------------------------------------------------------------------------------------


@pytest.mark.real
def test_gab_says_that_identity_goes_with_hate(shared_data, tmp_path):
    path = shared_data / "gab" / "train.csv"
    report = run(open_data(path), ["pronouns", "identity"])
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(set(re.findall(r"[^\W_]+", row["text"].casefold())), row["label"]) for row in csv.DictReader(file)]
    findings = {finding.id: finding for finding in report.findings}
    for group, forms in {
        "muslim": {"muslim", "muslims"},
        "gay": {"gay", "gays"},
        "catholic": {"catholic", "catholics"},
    }.items():
        inside = [label for words, label in rows if words & forms]
        outside = [label for words, label in rows if not words & forms]
        rate = findings[f"label_rate:identity:{group}:1"]
        assert (rate.n, rate.estimate) == (len(inside), pytest.approx(inside.count("1") / len(inside)))
        ratio = (inside.count("1") + 0.5) / (len(inside) + 0.5) / (outside.count("1") + 0.5) * (len(outside) + 0.5)
        assert findings[f"label_log_ratio:identity:{group}:1"].estimate == pytest.approx(math.log(ratio))
    assert findings["label_log_ratio:identity:muslim:1"].status == "fail"
    assert report.scores["identity"]["low"] > 0.2 > report.scores["pronouns"]["high"]
    report.save(tmp_path)
    table = pq.read_table(tmp_path / "flagged.parquet").to_pandas()
    ours = table[table["finding"] == "label_log_ratio:identity:muslim:1"]["position"]
    assert set(ours) == {k for k, (words, label) in enumerate(rows) if words & {"muslim", "muslims"} and label == "1"}


@pytest.mark.real
def test_bug_says_that_professions_go_with_pronouns(shared_data):
    path = shared_data / "bug" / "balanced.csv"
    report = run(open_data(path, label="profession"), ["pronouns"])
    she, he = {"she", "her", "hers", "herself"}, {"he", "him", "his", "himself"}
    counts = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            words = set(re.findall(r"[^\W_]+", row["text"].casefold()))
            if bool(words & she) != bool(words & he):
                counts.setdefault(row["profession"], [0, 0])[bool(words & he)] += 1
    findings = {finding.id: finding for finding in report.findings}
    for job in ("nurse", "surgeon", "secretary", "engineer"):
        ours = findings[f"log_ratio:pronouns:she/he:{job}"]
        assert ours.n == sum(counts[job])
        assert ours.estimate == pytest.approx(math.log((counts[job][0] + 0.5) / (counts[job][1] + 0.5)))
    assert findings["log_ratio_centred:pronouns:she/he:nurse"].status == "fail"
    assert findings["log_ratio_centred:pronouns:she/he:surgeon"].high < 0
