"""The search for a small plan: what it computes is what a curation does, and it finds the smallest of those tried."""

import json
import random
import tomllib

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from evenset import audit, cli, curate
from evenset.audit.contrasts import log_ratio_centred
from evenset.audit.findings import Finding
from evenset.curate.finding.candidates import Candidate, spelt
from evenset.curate.finding.outcome import Frame, Outcome
from evenset.curate.finding.search import _Search
from evenset.curate.finding.until import parse, standing
from evenset.curate.prepare import census, prepare
from evenset.data import open as open_data
from evenset.data.config import inline_plan, load
from evenset.data.errors import InputError
from evenset.data.sample import write

RENDERS = True
TEXTS = {"she": "She is kind {}.", "he": "He is kind {}.", "": "It is {} kind."}


def rows(counts, *, seed=0):
    """Rows of (pronoun, word, label) cells in random order, each text another."""
    made = [
        {"text": TEXTS[who].format(f"{word} {k}"), "label": label}
        for (who, word, label), n in counts.items()
        for k in range(n)
    ]
    random.Random(seed).shuffle(made)
    return made


SKEWED = {
    ("she", "", "nurse"): 300, ("he", "", "nurse"): 90, ("she", "", "judge"): 60, ("he", "", "judge"): 200,
    ("", "", "nurse"): 150, ("", "", "judge"): 130,
}  # fmt: skip
TWO = {
    (who, word, label): 60 * (1 + 2 * ((who == "she") == (label == "1"))) * (1 + ((word == "gay") == (label == "1")))
    for who in ("she", "he") for word in ("gay", "big") for label in ("0", "1")
}  # fmt: skip


@pytest.fixture(scope="module")
def comments(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comments")
    return open_data(write("comments", 3000, 3, folder)["comments"], text="text", label="label", positive="1")


def started(data, axes):
    prepared = prepare(data, axes)
    counted = census(prepared, hashes=False)
    return Outcome.start(Frame.of(prepared, counted), counted)


def test_the_counts_are_those_of_an_audit(comments):
    axes = ["identity", "pronouns", "identity+pronouns"]
    assert started(comments, axes).tally().cells == audit.run(comments, axes, measures=["cramers_v"]).tally.cells
    table = pa.table({"text": ["She ran.", "He ran.", "She sat."], "label": ["a", "b", None], "w": [0.5, 2.0, 1.25]})
    weighted = open_data(table, text="text", label="label", weight="w")
    found = started(weighted, ["pronouns"]).tally()
    assert found.cells == audit.run(weighted, ["pronouns"], measures=["cramers_v"]).tally.cells


@pytest.mark.parametrize(
    "steps",
    [
        ["resample:identity,target=independent"],
        ["reweight:identity"],
        ["reweight:identity,method=per-term,cap=1.5"],
        ["resample:identity,target=independent", "reweight:identity"],
        ["resample:pronouns,level=0.5,method=over", "reweight:identity"],
    ],
)
def test_what_is_computed_is_what_a_curation_does(steps, comments, tmp_path):
    plan = inline_plan(steps)
    outcome = started(comments, ["identity", "pronouns"]).after(plan)
    done = curate.run(comments, plan, axes=["identity"], out=tmp_path, audited=False)
    weight = {"weight": "weight"} if any(step.do == "reweight" for step in plan.step) else {}
    after = open_data(next(tmp_path.glob("data.*")), text="text", label="label", positive="1", **weight)
    tally = audit.run(after, ["identity"], measures=["cramers_v"]).tally
    found = outcome.tally(["identity"]).cells["identity"]
    # Length buckets of a cell are thinned in proportion here and by the luck of the draw there.
    of = {}
    for at, cells in enumerate((found, tally.cells["identity"])):
        for (label, pattern, _), cell in cells.items():
            row = of.setdefault((label, pattern), [[0, 0.0], [0, 0.0]])[at]
            row[0] += cell.rows
            row[1] += cell.w
    for pair in of.values():
        if len(steps) == 1:
            assert pair[0][0] == pair[1][0]
        assert pair[0][1] == pytest.approx(pair[1][1], rel=1e-5 if len(steps) == 1 else 0.2, abs=2 << 20)
    assert done.report["touched"]["rows"] == pytest.approx(outcome.touched, abs=0 if len(steps) == 1 else 5)


def test_rows_touched_counted_by_hand(tmp_path):
    """Against the two files: rows gone, rows more, rows with another text or another weight than the mean."""
    data = open_data(rows(SKEWED), text="text", label="label")
    plan = inline_plan(["swap:pronouns", "resample:pronouns,level=0.4,method=over", "reweight:pronouns"])
    done = curate.run(data, plan, out=tmp_path, audited=False)
    table = pq.read_table(next(tmp_path.glob("data.*"))).to_pylist()
    before = {row["text"] for row in rows(SKEWED)}
    mean = sum(row["weight"] for row in table) / len(table)
    own = [row for row in table if row["evenset_parent"] is None]
    changed = [row for row in own if row["text"] not in before or abs(row["weight"] / mean - 1) > 1e-9]
    dropped = data.source.table.num_rows - len(own)
    assert done.report["touched"]["rows"] == dropped + (len(table) - len(own)) + len(changed)
    assert done.report["touched"]["dropped"] == dropped


def test_a_plan_that_weights_nothing_touches_nothing():
    even = rows({(who, "", label): 50 for who in ("she", "he") for label in ("a", "b")})
    done = curate.run(even, inline_plan(["reweight:pronouns"]))
    assert done.report["touched"]["rows"] == 0


def test_the_level_found_is_the_smallest_that_keeps_the_limit():
    data = rows(SKEWED)
    found = curate.search(data, ["log_ratio_centred:pronouns<=0.8"], axes=["pronouns"], allow=["resample"])
    levels = [
        one for one in found.candidates
        if one.plan.step[0].level is not None and one.plan.step[0].method == found.best.plan.step[0].method
    ]  # fmt: skip
    assert found.best.by == "rows"
    outcome = started(open_data(data, text="text", label="label"), ["pronouns"])

    def worst(level):
        plan = inline_plan([f"resample:pronouns,level={level},method={found.best.plan.step[0].method}"])
        cells = audit.cells.AxisCells.of(outcome.after(plan).tally(), "pronouns")
        return max(abs(one.estimate) for one in log_ratio_centred(cells, audit.findings.Settings()))

    assert levels
    best = next(one.plan.step[0].level for one in levels if one.reaches)
    brute = next(k / 1000 for k in range(1, 1001) if worst(k / 1000) <= 0.8)
    assert best == brute


def test_among_all_that_were_looked_at_none_is_smaller():
    found = curate.search(rows(SKEWED), ["cramers_v:pronouns:<=0.2"], axes=["pronouns"])
    assert found.best.touched == min(one.touched for one in found.candidates if one.reaches)
    assert {one.plan.step[0].do for one in found.candidates} == {"resample", "reweight"}
    assert all(
        one.touched == 930 - 0 or one.plan.step[0].do == "resample" or one.touched > 600
        for one in found.candidates
        if one.touched
    )


@pytest.mark.slow
def test_the_order_of_the_rows_does_not_matter():
    found = [
        curate.search(rows(SKEWED, seed=seed), ["log_ratio_centred:pronouns<=0.5"], axes=["pronouns"])
        for seed in (0, 1)
    ]
    one, other = ([candidate.to_dict() for candidate in each.candidates] for each in found)
    assert one == other
    assert found[0].toml() == found[1].toml()


@pytest.mark.slow
def test_two_limits_on_two_axes_need_two_steps():
    limits = ["cramers_v:pronouns:<=0.05", "cramers_v:identity:<=0.05"]
    found = curate.search(rows(TWO), limits, axes=["pronouns", "identity"], allow=["reweight", "resample"])
    assert found.best is not None
    assert len(found.best.plan.step) == 2
    assert {step.axis for step in found.best.plan.step} == {"pronouns", "identity"}
    assert not any(one.reaches for one in found.candidates if len(one.plan.step) == 1)
    assert all(one.size <= 0.05 for one in found.best.standings)


class _Tries(_Search):
    """A search of plans made up, of which some keep the limits on the rows."""

    def __init__(self, plans, keep):
        self.seen = {name: _made(name, touched, excess) for name, (touched, excess) in plans.items()}
        self.keep, self.said, self.tried = keep, [], []
        self.say = self.said.append

    def on_rows(self, steps):
        name = spelt(steps[0])
        self.tried.append(name)
        one = self.seen[name]
        self.seen[name] = _made(name, one.touched, one.excess if name in self.keep else 1.2, by="rows")
        return self.seen[name]

    def found(self, best, untried=0):
        return best, untried


def _made(name, touched, excess, by="counts"):
    limit = parse("cramers_v:pronouns:<=0.1")
    finding = Finding("pronouns", "", "", "cramers_v", 0.1 * excess, 0, 1, 90, "")
    return Candidate(inline_plan([name]), touched, (standing(limit, [finding]),), by)


def test_a_plan_that_misses_on_the_rows_speaks_for_its_family_alone():
    def log_ratio(value):
        return f"resample:pronouns,log_ratio={value}"

    plans = {log_ratio(0.2): (10, 0.99), log_ratio(0.19): (11, 0.95), log_ratio(0.1): (30, 0.5)}
    plans |= {"resample:pronouns,level=0.5": (20, 0.98)}
    tries = _Tries(plans, {"resample:pronouns,level=0.5", log_ratio(0.1)})
    best, untried = tries.verified()
    # The second is of the family that missed; the next family is tried at its own margin.
    assert tries.tried == [log_ratio(0.2), "resample:pronouns,level=0.5"]
    assert (best.touched, untried) == (20, 0)
    tries = _Tries(plans, {log_ratio(0.19)})
    assert tries.verified()[0].touched == 11


def test_the_search_says_when_it_has_carried_out_as_many_as_it_does():
    plans = {f"resample:pronouns,level={0.01 * k:g}": (k, 0.99) for k in range(1, 15)}
    tries = _Tries(plans, ())
    assert tries.verified() == (None, 4)
    assert len(tries.tried) == 10
    assert "4 more keep the limits by counts" in tries.said[-1]


@pytest.mark.slow
def test_a_limit_on_one_group_says_that_steps_act_on_the_whole_axis():
    found = curate.search(rows(TWO), ["log_ratio_centred:pronouns:she/he<=0.2"], axes=["pronouns"])
    assert "the smallest of" in found.summary()
    assert "whole axis" in " ".join(found.summary().split())
    assert "whole axis" not in curate.search(rows(TWO), ["cramers_v:pronouns<=0.2"], axes=["pronouns"]).summary()


def test_texts_are_changed_only_where_that_is_allowed():
    data, limits = rows(SKEWED), ["log_ratio_centred:pronouns<=0.1"]
    kinds = {step.do for one in curate.search(data, limits, axes=["pronouns"]).candidates for step in one.plan.step}
    assert kinds == {"resample", "reweight"}
    found = curate.search(data, limits, axes=["pronouns"], allow=["swap"])
    assert found.best.name == "swap:pronouns,mode=augment"
    # Every row with a pronoun has its mirror image: 650 copies, and no association is left.
    assert found.best.touched == 650
    assert found.best.standings[0].size < 0.01


def test_a_scrub_hides_the_words_and_says_that_nothing_is_left():
    found = curate.search(rows(SKEWED), ["log_ratio_centred:pronouns<=0.1"], axes=["pronouns"], allow=["scrub"])
    assert found.best.touched == 650
    assert found.best.standings[0].worst is None
    assert "none left to measure" in found.summary()


def test_topup_needs_a_pool_and_uses_it(tmp_path):
    counts = {("", "gay", "1"): 60, ("", "gay", "0"): 60, ("", "big", "1"): 100, ("", "big", "0"): 700}
    data = open_data(rows(counts), text="text", label="label", positive="1")
    with pytest.raises(InputError, match="--pool FILE"):
        curate.search(data, ["label_log_ratio:identity<=0.1"], axes=["identity"], allow=["topup"])
    pool = pa.table({"text": [f"A gay day number {k} is here." for k in range(900)]})
    pq.write_table(pool, tmp_path / "pool.parquet")
    found = curate.search(
        data, ["label_log_ratio:identity<=0.4"], axes=["identity"], allow=["topup"], pool=str(tmp_path / "pool.parquet")
    )
    assert found.best is not None
    assert found.best.plan.step[0].do == "topup"
    # 60 / (120 + n) = 160 / 920, as Dixon's formula has it.
    assert found.best.touched == 225


@pytest.mark.slow
def test_the_plan_is_a_config_that_runs_to_the_same_result(tmp_path, capsys):
    pa.csv.write_csv(pa.Table.from_pylist(rows(SKEWED)), tmp_path / "data.csv")
    until = ["--until", "log_ratio_centred:pronouns<=0.5", "--axis", "pronouns"]
    out = tmp_path / "out"
    code = cli.invoke(
        ["curate", str(tmp_path / "data.csv"), "--minimise", "rows", *until, "--out", str(out), "--seed", "4"]
    )
    screen = capsys.readouterr().out
    assert code == 0
    assert all(len(line) <= 80 for line in screen.splitlines())
    assert "found:" in screen
    config = load(out / "plan.toml")
    assert list(config.plan) == ["found"]
    again = tmp_path / "again"
    command = ["--config", str(out / "plan.toml"), "--plan", "found", "--seed", "4", "--out", str(again)]
    assert cli.invoke(["curate", str(tmp_path / "data.csv"), *command]) == 0
    one, other = (json.loads((folder / "curation.json").read_text()) for folder in (out, again))
    assert one["output"]["sha256"] == other["output"]["sha256"]
    tradeoff = json.loads((out / "tradeoff.json").read_text())
    assert tradeoff["best"]["rows_touched"] == one["touched"]["rows"]
    worst = max(
        abs(found["after"]["estimate"])
        for found in one["findings"]
        if found["measure"] == "log_ratio_centred" and found["judged"]
    )
    assert worst == pytest.approx(abs(tradeoff["best"]["limits"][0]["estimate"]))
    assert worst <= 0.5
    assert tomllib.loads((out / "plan.toml").read_text())["data"]["axes"] == ["pronouns"]


def test_the_figure_is_drawn_and_is_the_same_each_time(tmp_path):
    pytest.importorskip("matplotlib")
    limits = ["log_ratio_centred:pronouns<=0.5", "cramers_v:pronouns:<=0.3"]
    found = curate.search(rows(SKEWED), limits, axes=["pronouns"])
    for name in ("one", "two"):
        assert found.save(tmp_path / name) == []
    for name in ("tradeoff.svg", "tradeoff.png", "tradeoff.json", "plan.toml"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    svg = (tmp_path / "one" / "tradeoff.svg").read_text()
    assert f"{found.best.touched:,}" in svg  # in the words for who cannot see it


def test_where_no_plan_does_it_says_the_nearest_and_writes_no_plan(tmp_path, capsys):
    lopsided = rows(
        {("she", "", "nurse"): 90, ("he", "", "judge"): 90, ("she", "", "judge"): 40, ("he", "", "nurse"): 40}
    )
    pa.csv.write_csv(pa.Table.from_pylist(lopsided), tmp_path / "data.csv")
    command = ["--until", "representation:pronouns<=0.1", "--axis", "pronouns", "--allow", "reweight", "--out"]
    assert cli.invoke(["curate", str(tmp_path / "data.csv"), *command, str(tmp_path / "out")]) == 1
    assert "no plan keeps the limit" in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith(".evenset")}
    assert names == {"tradeoff.json", "tradeoff.svg", "tradeoff.png"}
    assert json.loads((tmp_path / "out" / "tradeoff.json").read_text())["nearest"]["do"]


def test_where_nothing_is_to_be_done_nothing_is_done(tmp_path, capsys):
    pa.csv.write_csv(pa.Table.from_pylist(rows(SKEWED)), tmp_path / "data.csv")
    command = ["--until", "log_ratio_centred:pronouns<=5", "--axis", "pronouns", "--out", str(tmp_path / "out")]
    assert cli.invoke(["curate", str(tmp_path / "data.csv"), *command]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert not (tmp_path / "out" / "plan.toml").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--until", "cramers_v<=0.1"], "--out DIR"),
        (["--until", "cramers_v<=0.1", "--do", "scrub:pronouns", "--dry-run"], "leave out"),
        (["--minimise", "rows", "--do", "scrub:pronouns", "--dry-run"], "--minimise goes with --until"),
        (["--until", "cramers_v<=0.1", "--allow", "prune", "--dry-run"], '"prune" is no kind of step'),
        (["--until", "cramers_v<=0.1", "--allow", ",", "--dry-run"], "--allow is empty"),
        (["--until", "cramers_v:pronuns<=0.1", "--axis", "pronouns", "--dry-run"], 'Did you mean "pronouns"'),
        (["--until", "label_log_ratio:identity<=0.1", "--axis", "identity", "--dry-run"], "no such finding"),
    ],
)
def test_what_is_asked_wrongly(flags, message, tmp_path, capsys):
    pa.csv.write_csv(pa.Table.from_pylist(rows(SKEWED)), tmp_path / "data.csv")
    assert cli.invoke(["curate", str(tmp_path / "data.csv"), *flags]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


def test_steps_are_spelt_as_the_command_line_takes_them():
    spelled = [
        "resample:identity,log_ratio=0.2,method=mixed", "reweight:identity,method=per-term,cap=5",
        "swap:pronouns,mode=augment", "scrub:identity,with=drop,groups=gay+muslim", "swap:pronouns,to=she:he+he:they",
    ]  # fmt: skip
    for text in spelled:
        (step,) = inline_plan([text]).step
        assert inline_plan([spelt(step)]).step == [step]


@pytest.mark.slow
def test_a_seed_changes_rows_and_not_numbers(tmp_path):
    data, limits = rows(SKEWED), ["cramers_v:pronouns:<=0.1"]
    found = [curate.search(data, limits, axes=["pronouns"], allow=["resample"], seed=seed) for seed in (0, 1)]
    assert found[0].best.touched == found[1].best.touched
    kept = [curate.run(data, one.plan, seed=one.seed).rows["text"].to_pylist() for one in found]
    assert len(kept[0]) == len(kept[1])
    assert not np.array_equal(kept[0], kept[1])


@pytest.mark.real
@pytest.mark.slow
def test_gab_is_brought_under_a_limit(shared_data, tmp_path):
    data = open_data(shared_data / "gab" / "train.csv", text="text", label="label", positive="1")
    found = curate.search(data, ["label_log_ratio:identity<=0.2"], axes=["identity"])
    assert found.before[0].size > 1.5
    assert found.best is not None
    done = curate.run(data, found.plan, axes=["identity"], out=tmp_path)
    assert done.report["touched"]["rows"] == found.best.touched
    counted = set(found.before[0].counted)
    left = {one["id"]: abs(one["after"]["estimate"]) for one in done.report["findings"] if one["id"] in counted}
    assert set(left) == counted
    assert max(left.values()) <= 0.2
