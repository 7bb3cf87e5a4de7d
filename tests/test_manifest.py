"""curation.json and the summary: complete, true, and readable by someone in a hurry."""

import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evenset import __version__, audit, cli, curate
from evenset.curate.manifest import QUICK, per_row
from evenset.curate.summary import lines_of
from evenset.data import open as open_data
from evenset.data.config import inline_plan
from evenset.data.sample import write


@pytest.fixture(scope="module")
def comments(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comments")
    return open_data(write("comments", 2500, 3, folder)["comments"], text="text", label="label", positive="1")


@pytest.fixture(scope="module")
def curated(comments, tmp_path_factory):
    """A plan of all phases but topup."""
    out = tmp_path_factory.mktemp("curated")
    steps = [
        "scrub:identity,groups=gay", "swap:pronouns,mode=augment", "resample:identity,target=independent",
        "reweight:pronouns",
    ]  # fmt: skip
    done = curate.run(comments, inline_plan(steps), axes=["identity", "pronouns", "identity+pronouns"], seed=7, out=out)
    return done, out


def test_it_names_all_that_a_result_depends_on(curated, comments):
    report = json.loads((curated[1] / "curation.json").read_text())
    assert report["evenset"] == __version__
    assert report["seed"] == 7
    assert report["input"]["sha256"] == comments.sha256()
    assert [step["do"] for step in report["plan"]["step"]] == ["scrub", "swap", "resample", "reweight"]
    assert [step["rule"].partition(".")[0] for step in report["steps"]] == ["scrub", "swap", "resample", "reweight"]
    lexicons = {one["name"]: one for one in report["lexicons"]}
    assert set(lexicons) == {"identity", "pronouns"}
    assert all(one["version"] and len(one["sha256"]) == 64 for one in lexicons.values())


def test_the_same_work_gives_the_same_manifest(curated, comments, tmp_path):
    done, out = curated
    again = curate.run(comments, done.plan, axes=["identity", "pronouns", "identity+pronouns"], seed=7, out=tmp_path)
    assert again.report == done.report
    assert (tmp_path / "curation.json").read_bytes() == (out / "curation.json").read_bytes()


def test_findings_are_those_of_audits_before_and_after(curated, comments):
    done, out = curated
    axes = ["identity", "pronouns", "identity+pronouns"]
    after = open_data(next(out.glob("data.*")), text="text", label="label", positive="1", weight="weight")
    audits = [{one.id: one for one in audit.run(data, axes, measures=QUICK).findings} for data in (comments, after)]
    found = {one["id"]: one for one in done.report["findings"]}
    assert set(found) == set(audits[0]) | set(audits[1])
    assert {one["axis"] for one in found.values()} == set(axes)
    for name, one in found.items():
        for when, known in zip(("before", "after"), audits, strict=True):
            if name not in known:
                assert one[when] is None
            else:
                told = known[name].to_dict()
                assert one[when] == {key: told[key] for key in ("estimate", "low", "high", "n", "method")}


def test_rows_touched_agree_with_the_ledger(curated, comments):
    done, out = curated
    touched = done.report["touched"]
    ledger = done.ledger.to_pylist()
    ops = Counter(entry["op"] for entry in ledger)
    assert touched["dropped"] == ops["drop"]
    assert touched["added"] == ops["copy"]
    assert touched["rows"] == touched["dropped"] + touched["added"] + touched["changed"]
    table = pq.read_table(next(out.glob("data.*"))).to_pylist()
    mean = sum(row["weight"] for row in table) / len(table)
    own = [entry for entry in ledger if entry["parent"] is None]
    changed = {entry["row"] for entry in own if entry["op"] == "edit"}
    changed |= {entry["row"] for entry in own if entry["op"] == "weight" and abs(entry["value"] / mean - 1) > 1e-9}
    changed -= {entry["row"] for entry in own if entry["op"] == "drop"}
    assert touched["changed"] == len(changed)
    by_step = [step["rows_touched"] for step in done.report["steps"]]
    edits = {entry["row"] for entry in own if entry["op"] == "edit" and entry["step"] == 1}
    assert by_step[0] == len(edits)
    assert by_step[2] == done.report["steps"][2]["dropped"]


def test_a_dry_run_says_the_same_rows_touched(curated, comments):
    done = curated[0]
    dry = curate.run(comments, done.plan, axes=["identity", "pronouns"], seed=7, dry_run=True)
    assert dry.report["touched"] == done.report["touched"]


def test_weights_explain_themselves_cell_by_cell(comments):
    done = curate.run(comments, inline_plan(["reweight:identity"]))
    table = Counter()
    for row, sets in zip(done.rows.to_pylist(), _sets(comments), strict=True):
        table[row["label"], " + ".join(sets) or "no group"] += 1
    n = sum(table.values())
    cells = done.report["steps"][0]["cells"]
    assert sum(cell["rows"] for cell in cells) == n
    for cell in cells:
        key = cell["label"], cell["group"]
        assert cell["rows"] == table[key]
        assert cell["share_both"] == pytest.approx(table[key] / n)
        label = sum(count for (label, _), count in table.items() if label == key[0]) / n
        group = sum(count for (_, group), count in table.items() if group == key[1]) / n
        assert cell["share_label"] == pytest.approx(label)
        assert cell["share_groups"] == pytest.approx(group)
    exact = {cell["share_label"] * cell["share_groups"] / cell["share_both"] / cell["factor"] for cell in cells}
    assert max(exact) == pytest.approx(min(exact))  # up to the scale that makes weights average 1


def _sets(dataset):
    from evenset.data.axes import parse_axes
    from evenset.data.scan import scan

    (axis,) = parse_axes(["identity"], names=dataset.names)
    return [
        tuple(name for name in found if axis.info(name).status)
        for scanned in scan(dataset, [axis])
        for found in scanned.members["identity"].sets()
    ]


def test_association_removed_per_row():
    report = {
        "touched": {"rows": 200},
        "effect": {},
        "findings": [
            {"axis": "a", "group": None, "label": None, "measure": "cramers_v",
             "before": {"estimate": 0.3}, "after": {"estimate": 0.1}},
            {"axis": "a", "group": "g", "label": None, "measure": "leakage_auc",
             "before": {"estimate": 0.7}, "after": {"estimate": 0.4}},
            {"axis": "a", "group": "h", "label": None, "measure": "leakage_auc",
             "before": {"estimate": 0.7}, "after": None},
        ],
    }  # fmt: skip
    found = per_row(report)
    assert [one["of"] for one in found] == ["cramers_v:a:", "leakage_auc:a:g"]
    assert [one["removed"] for one in found] == pytest.approx([0.2, 0.2])
    assert [one["per_1000_rows"] for one in found] == pytest.approx([1.0, 1.0])
    assert per_row({**report, "touched": {"rows": 0}})[0]["per_1000_rows"] is None


def test_leakage_before_and_after_where_it_is_asked_for(tmp_path):
    rows = []
    for k in range(240):
        who, hint = ("She", "gown") if k % 2 else ("He", "suit")
        rows.append({"text": f"{who} wore a {hint} on day {k}.", "label": "ab"[k // 2 % 2]})
    data = open_data(rows, text="text", label="label")
    done = curate.run(
        data, inline_plan(["resample:pronouns,level=1"]), axes=["pronouns"], out=tmp_path, measures=["leakage"]
    )
    (leak,) = [one for one in done.report["findings"] if one["measure"] == "leakage_auc" and one["label"] is None]
    assert leak["before"]["estimate"] > 0.95
    assert leak["before"]["low"] <= leak["before"]["estimate"] <= leak["before"]["high"]
    assert "leakage_auc" in done.summary()
    assert any(one["of"].startswith("leakage_auc:pronouns") for one in done.report["removed"])


def test_the_summary_fits_and_says_what_to_do_next(curated, comments, tmp_path):
    for done in (curated[0], curate.run(comments, inline_plan(["reweight:identity"]), out=tmp_path)):
        lines = done.summary().splitlines()
        assert all(len(line) <= 80 for line in lines)
        assert "before → after" in done.summary()
        assert 'the column "weight"' in " ".join(" ".join(lines).split())
    dry = curate.run(comments, inline_plan(["reweight:identity"]), dry_run=True)
    assert "Cramér's V" in dry.summary()
    assert "next:" not in dry.summary()


def test_the_worst_findings_come_first():
    def one(group, estimate, *, judged=True):
        value = {"estimate": estimate, "low": estimate - 0.1, "high": estimate + 0.1}
        return {
            "id": f"label_log_ratio:identity:{group}:1",
            "axis": "identity", "group": group, "label": "1", "measure": "label_log_ratio", "judged": judged,
            "before": value, "after": None,
        }  # fmt: skip

    report = {
        "plan": {"name": "p", "step": []}, "placebo": False, "dry_run": False, "input": {"rows": 5}, "effect": {},
        "output": {"rows": 5}, "touched": {"rows": 0, "share": 0.0}, "steps": [], "notes": [],
        "counts": dict.fromkeys(("edits", "copies", "drops", "weights"), 0),
        "findings": [one("a", 0.1), one("b", -2.0), one("x" * 60, 0.5), one("d", 9.0, judged=False), one("e", 0.3),
                     one("f", 0.2)],
    }  # fmt: skip
    shown = [line for line in lines_of(report) if "label_log_ratio" in line]
    assert [line.split()[1][0] for line in shown] == ["b", "x", "e", "f"]
    assert all(len(line) <= 80 for line in shown)


def test_measures_on_the_command_line(tmp_path, capsys):
    pq.write_table(pa.table({"text": ["She ran.", "He ran."] * 40, "label": ["a", "b"] * 40}), tmp_path / "d.parquet")
    command = ["curate", str(tmp_path / "d.parquet"), "--do", "scrub:pronouns", "--axis", "pronouns", "--measures"]
    assert cli.invoke([*command, "npmi", "--out", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "curation.json").read_text())
    assert {one["measure"] for one in report["findings"]} >= {"npmi", "cramers_v"}
    assert cli.invoke([*command, "npmii", "--out", str(tmp_path / "other")]) == 2
    assert 'Did you mean "npmi"' in capsys.readouterr().err


def test_the_summary_says_why_a_finding_is_gone():
    before = {"estimate": 0.5, "low": 0.4, "high": 0.6, "n": 50}
    gone = {"estimate": None, "low": None, "high": None, "n": 3}
    report = {
        "plan": {"name": "p", "step": []}, "placebo": False, "dry_run": False, "input": {"rows": 5}, "effect": {},
        "output": {"rows": 9}, "touched": {"rows": 7, "share": 1.4, "added": 4, "changed": 2, "dropped": 1},
        "steps": [], "notes": [], "counts": dict.fromkeys(("edits", "copies", "drops", "weights"), 0),
        "findings": [
            {"id": name, "axis": "a", "group": name, "label": "1", "measure": "label_log_ratio", "judged": True,
             "before": before, "after": after}
            for name, after in (("few", gone), ("lost", None))
        ],
    }  # fmt: skip
    shown = "\n".join(lines_of(report))
    assert "too few rows (3)" in shown
    assert "no such rows left" in shown
    assert "9 rows out; 3 of them changed or dropped, 4 added" in " ".join(shown.split())
    assert "%" not in shown.splitlines()[0]
    step = {"step": 1, "do": "scrub", "axis": "a", "edits": 2, "rows": 2}
    scrubbed = {**report, "plan": {"name": "p", "step": [{"do": "scrub", "axis": "a", "with": "X"}]}, "steps": [step]}
    shown = "\n".join(lines_of(scrubbed))
    assert shown.count("no such words left") == 2
    assert '1. scrub a with "X": 2 words in 2 rows' in shown


def test_names_are_counted_beside_the_words_left():
    from evenset.curate.summary import _words

    step = {"do": "swap", "edits": 9, "rows": 9, "unsure": 3, "names": 2, "protected": 5}
    assert _words(step) == (
        "9 words in 9 rows; 3 left because the rules were not sure; 2 names left that are given to both or perhaps "
        "none; 5 left in links, addresses, handles or code"
    )


def test_rows_without_text_are_counted():
    rows = [{"text": text, "label": "ab"[k % 2]} for k, text in enumerate(["She", "he!", "she he", "her.", "The dog"])]
    for step, said in (("scrub:pronouns,with=drop", True), ("scrub:pronouns", False)):
        notes = " ".join(curate.run(open_data(rows, text="text", label="label"), inline_plan([step])).report["notes"])
        assert ("4 of 5 rows have no text left" in notes) == said


def test_what_a_step_cannot_do_is_said(tmp_path):
    def notes(rows, step):
        return " ".join(curate.run(open_data(rows, text="text", label="label"), inline_plan([step])).report["notes"])

    same = [{"text": f"{('She', 'He')[k % 2]} ran {k}.", "label": "01"[k % 2]} for k in range(60)]
    said = notes(same, "reweight:pronouns")
    assert "cannot be made independent: no row of he with label 0; no row of she with label 1" in said
    even = [{"text": row["text"], "label": "01"[k // 2 % 2]} for k, row in enumerate(same)]
    assert "cannot be made" not in notes(even, "reweight:pronouns")
    part = [row | {"label": None if k < 6 else row["label"]} for k, row in enumerate(even)]
    assert "6 rows without a label keep weight 1" in notes(part, "reweight:pronouns")
    said = notes([row | {"label": "0"} for row in even], "resample:pronouns,level=1")
    assert 'every row has the same label "0", so only the numbers of the groups change' in said


def test_a_topup_that_adds_nothing_names_the_remedy(tmp_path):
    rows = [{"text": f"{('a gay', 'a straight')[k % 2]} man {k}", "label": "10"[k % 2]} for k in range(40)]
    data = open_data(rows, text="text", label="label", positive="1")
    for texts, said in ((["It ran."] * 3, "pool_label=label"), (["It ran."], "none of them where rows are wanted")):
        pq.write_table(pa.table({"text": texts, "label": ["0"] * len(texts)}), tmp_path / "pool.parquet")
        plan = inline_plan([f"topup:identity,pool={tmp_path / 'pool.parquet'}"])
        assert said in " ".join(curate.run(data, plan).report["notes"])


def test_notes_of_verbs_and_of_labels_that_are_held():
    rows = [{"text": f"{('She', 'He', 'He')[k % 3]} ran {k}.", "label": "01"[k % 2]} for k in range(60)]
    data = open_data(rows, text="text", label="label")
    for step, said in (
        ("swap:pronouns,to=they", "verbs are not agreed"),
        ("swap:pronouns,to=she:they", "verbs are not agreed"),
        ("resample:pronouns,level=1,labels=held", "held at rows × fewer / more of the two groups, 60 → 30 rows"),
    ):
        assert said in " ".join(curate.run(data, inline_plan([step])).report["notes"])
    assert not curate.run(data, inline_plan(["swap:pronouns"])).report["notes"]
