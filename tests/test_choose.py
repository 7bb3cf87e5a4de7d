"""An arm is chosen on dev rows by screening seeds, and certified on rows and seeds that had no say in it."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from score_sim import Arm, items, simulate, stick

from evenset.data import config as settings
from evenset.data.errors import InputError
from evenset.data.sample import comments, probe
from evenset.finetune import choosing, pipeline
from evenset.finetune.arms import expand
from evenset.finetune.judging import fixed
from evenset.finetune.judging.decide import Margins
from evenset.finetune.judging.files import verify_files
from evenset.finetune.judging.verdict import verify
from evenset.finetune.runs import Job


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for part, rows in {"train": 2500, "dev": 2500, "test": 400}.items():
        pq.write_table(comments(rows, 0, bias=1.0, split=part)[0], folder / f"{part}.parquet")
    pq.write_table(probe(64)[0], folder / "probe.parquet")
    return folder


def config_of(files, **verdict):
    return settings.parse(
        {
            "data": {
                **{part: str(files / f"{part}.parquet") for part in ("train", "dev", "test")},
                "text": "text", "label": "label", "positive": "1", "axes": ["identity"],
            },
            "probe": {
                "path": str(files / "probe.parquet"), "text": "text", "label": "label", "positive": "1",
                "cluster": "template",
            },
            "plan": {
                "scrub": {"step": [{"do": "scrub", "axis": "identity", "groups": ["gay"]}]},
                "reweight": {"step": [{"do": "reweight", "axis": "identity"}]},
            },
            "finetune": {"model": "linear", "seeds": 3, "screening_seeds": 2, "workers": 1},
            "verdict": {"measure": "fpr", "choose": True, "guard_loss": 0.05, **verdict},
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(files, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return out, pipeline.run(config_of(files), out, write_curated=False)


def test_every_arm_is_screened_and_only_one_goes_on(files):
    config = config_of(files)
    first = choosing.screening_jobs(config)
    assert {(job.arm, job.seed) for job in first} == {(arm, s) for arm in ("raw", "scrub", "reweight") for s in (3, 4)}
    assert all(job.screening and job.placebo_of is None for job in first)
    then = choosing.certified_jobs(config, {"none": "reweight"})
    assert {(job.arm, job.seed) for job in then} == {
        (arm, s) for arm in ("raw", "reweight", "reweight~placebo") for s in (0, 1, 2)
    }
    # The second stage trains nothing that a run without choosing would not.
    assert set(then) < set(expand(config))


def test_the_chosen_arm_alone_has_a_verdict_on_fresh_seeds(finished):
    out, verdict = finished
    assert [arm.arm for arm in verdict.arms] == ["reweight"]
    arm = verdict.arms[0]
    assert arm.seeds == (0, 1, 2)
    assert arm.p_holm == arm.p  # one arm: nothing to correct for
    assert arm.worst_group_source == "screening runs"
    assert {path.name for path in (out / "runs").glob("*/*/*.json")} == {f"{seed}.json" for seed in range(5)}
    assert not (out / "runs" / "scrub" / "none" / "0.json").exists()
    assert not (out / "runs" / "scrub~placebo").exists()
    choice = json.loads((out / "choice.json").read_text())
    by = {one["arm"]: one for one in choice["candidates"]}
    assert by["reweight"]["chosen"]
    assert not by["scrub"]["chosen"]
    assert by["reweight"]["reduction"] > by["scrub"]["reduction"]
    assert choice == verdict.environment["choice"]
    assert any("chosen of 2 arms" in note for note in verdict.notes)


def test_scores_alone_give_the_same_verdict_again(finished):
    out, verdict = finished
    again = verify_files([out / "runs"], None, settings=settings.VerdictConfig())
    for name in ("decision", "gap", "reduction", "reduction_low", "p", "p_holm", "placebo_margin", "worst_group"):
        assert getattr(again.arms[0], name) == getattr(verdict.arms[0], name)
    assert [dataclasses.asdict(one)["measures"] for one in again.gaps] == [
        dataclasses.asdict(one)["measures"] for one in verdict.gaps
    ]


def test_a_second_call_trains_nothing(finished, files):
    out, verdict = finished
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").glob("*/*/*.json")}
    again = pipeline.run(config_of(files), out, write_curated=False)
    assert {path: path.stat().st_mtime_ns for path in (out / "runs").glob("*/*/*.json")} == before
    assert again.arms[0].reduction == verdict.arms[0].reduction


def test_dev_rows_that_cannot_show_the_gap_are_refused_before_training(files, tmp_path):
    pq.write_table(comments(60, 0, bias=1.0, split="dev")[0], tmp_path / "dev.parquet")
    config = config_of(files)
    config = config.model_copy(update={"data": config.data.model_copy(update={"dev": str(tmp_path / "dev.parquet")})})
    with pytest.raises(InputError, match=r"verdict\.choose: the dev rows cannot show the gap"):
        pipeline.run(config, tmp_path / "out", write_curated=False)
    assert not (tmp_path / "out" / "runs").exists()


def test_without_screening_seeds_or_arms_there_is_nothing_to_choose_by(files):
    config = config_of(files)
    none = config.model_copy(update={"finetune": config.finetune.model_copy(update={"screening_seeds": 0})})
    with pytest.raises(InputError, match="screening_seeds to 2 or more"):
        choosing.screening_jobs(none)
    with pytest.raises(InputError, match="no arm to choose"):
        choosing.screening_jobs(config.model_copy(update={"plan": {}}))


def sim(arms, seed=0, **options):
    """Simulated runs whose dev rows can show a gap: the probe's rows under another name."""
    found = simulate(np.random.default_rng(seed), arms, seeds=3, skeletons=60, rows=300, **options)
    there = found.items["probe"]
    dev = items(there.label, [there.patterns[code] for code in there.pattern], np.arange(there.n), "d")
    return dataclasses.replace(
        found, items={**found.items, "dev": dev}, score={**found.score, "dev": found.score["probe"]}
    )


def test_the_largest_reduction_whose_guard_holds_is_chosen():
    scores = sim({"raw": Arm(0.8), "some": Arm(0.4), "most": Arm(0.1), "ruin": Arm(0.0, quality=0.5)})
    choice = choosing.choose(scores, stick(), Margins(guard_loss=0.05))
    assert choice.arms == {"pretrained": "most"}
    by = {one.arm: one for one in choice.candidates}
    assert not by["ruin"].holds
    assert by["ruin"].guard_loss > 0.05
    assert choice.seeds == (0, 1, 2)


def test_if_no_guard_holds_the_least_loss_is_chosen_aloud():
    scores = sim({"raw": Arm(0.8), "ruin": Arm(0.0, quality=0.3), "hurt": Arm(0.4, quality=0.9)})
    choice = choosing.choose(scores, stick(), Margins(guard_loss=0.001))
    assert choice.arms == {"pretrained": "hurt"}
    assert "no arm kept its guard" in " ".join(choice.notes)


def test_test_and_probe_rows_have_no_say():
    scores = sim({"raw": Arm(0.8), "some": Arm(0.4), "most": Arm(0.1)})
    noise = np.random.default_rng(9)
    blind = dataclasses.replace(
        scores,
        score={k: (v if k == "dev" else noise.random(v.shape)) for k, v in scores.score.items()},
    )
    one, two = (choosing.choose(there, stick(), Margins()) for there in (scores, blind))
    assert one == two


@pytest.mark.slow
def test_choosing_flatters_nobody():
    """Arms that do nothing: the best of eight on dev rows must not pass more often than an arm taken blindly."""
    passed = 0
    for seed in range(12):
        arms = {"raw": Arm(0.5)} | {f"a{i}": Arm(0.5) for i in range(4)}
        first = sim(arms, seed)
        best = choosing.choose(first, stick(), Margins()).arms["pretrained"]
        fresh = simulate(
            np.random.default_rng(1000 + seed),
            {"raw": Arm(0.5), best: Arm(0.5), "p": Arm(0.5, placebo_of=best)},
            seeds=4, skeletons=60, rows=300,
        )  # fmt: skip
        passed += verify(fresh, stick(), bootstrap=0, chosen=True, measures=False).arms[0].decision in (
            "shrunk",
            "shrunk-meaningfully",
        )
    assert passed <= 2


# What was fixed before


def test_margins_seeds_and_commit_are_written_before_training(finished):
    out, verdict = finished
    record = json.loads((out / "yardstick.json").read_text())
    assert record["margins"]["margin"] == 0.02
    assert record["seeds"] == [0, 1, 2]
    assert record["screening_seeds"] == [3, 4]
    assert record["choose"] is True
    assert "git" in record
    assert verdict.environment["fixed"]["seeds"] == (0, 1, 2) or verdict.environment["fixed"]["seeds"] == [0, 1, 2]
    assert not any("not fixed" in note for note in verdict.notes)


@pytest.mark.slow
def test_what_is_changed_after_training_is_said(files, tmp_path):
    config = config_of(files, choose=False)
    small = config.model_copy(update={"finetune": config.finetune.model_copy(update={"seeds": 2})})
    pipeline.run(small, tmp_path, write_curated=False)
    softer = small.model_copy(update={"verdict": small.verdict.model_copy(update={"margin": 0.001})})
    verdict = pipeline.run(softer, tmp_path, write_curated=False)
    said = [note for note in verdict.notes if "not fixed before training" in note]
    assert said == ["not fixed before training: margin was 0.02 and is 0.001"]
    # It stays said, whoever judges the scores, and a third call does not wash it off.
    pipeline.run(softer, tmp_path, write_curated=False)
    again = verify_files([tmp_path / "runs"], None, settings=settings.VerdictConfig())
    assert said[0] in again.notes
    assert again.margins.margin == 0.001
    other = verify_files([tmp_path / "runs"], None, settings=settings.VerdictConfig(margin=0.5))
    assert other.margins.margin == 0.5
    assert any("margin was 0.001 and is 0.5" in note for note in other.notes)


def test_a_record_of_before_is_still_read(tmp_path):
    path = tmp_path / "yardstick.json"
    path.write_text(json.dumps({"yardstick": stick().to_dict(), "margins": dataclasses.asdict(Margins())}))
    found = fixed.read(path)
    assert found.margins["margin"] == 0.02
    assert found.notes() == ()
    assert fixed.read(tmp_path / "nothing.json") is None
    path.write_text("[]")
    assert fixed.read(path) is None


FIXED = {"seeds": range(8), "screening_seeds": (8, 9), "choose": True}


def test_other_screening_seeds_are_a_change(tmp_path):
    path, margins = tmp_path / "yardstick.json", Margins()
    fixed.fix(path, stick(), margins, begun=False, **FIXED)
    more = fixed.fix(path, stick(), margins, begun=True, **{**FIXED, "screening_seeds": (20, 21, 22)})
    assert more.screening_seeds == (20, 21, 22)
    assert more.notes() == ("not fixed before training: screening seeds were 2 and are 3",)
    fixed.fix(path, stick(), margins, begun=False, **FIXED)
    other = fixed.fix(path, stick(), margins, begun=True, **{**FIXED, "screening_seeds": (20, 21)})
    assert other.notes() == ("not fixed before training: the screening seeds are others",)


def test_a_record_made_after_the_runs_says_so_for_good(tmp_path):
    path = tmp_path / "yardstick.json"
    fixed.fix(path, stick(), Margins(margin=0.02), begun=False, **FIXED)
    path.unlink()
    late = fixed.fix(path, stick(), Margins(margin=0.001), begun=True, **FIXED)
    assert len(late.notes()) == 1
    assert "no record although runs exist" in late.notes()[0]
    assert fixed.fix(path, stick(), Margins(margin=0.001), begun=True, **FIXED).notes() == late.notes()
    (again,) = fixed.fix(path, stick(), Margins(margin=0.3), begun=True, **FIXED).notes()
    assert "no record although runs exist" in again
    assert "margin was 0.001 and is 0.3" in again
    path.write_text("{")
    assert "no record although" in fixed.fix(path, stick(), Margins(), begun=True, **FIXED).notes()[0]


@pytest.mark.parametrize("gone", [False, True])
def test_runs_of_other_seeds_have_seen_the_test_rows_too(files, tmp_path, gone):
    config = config_of(files, choose=False)
    out = tmp_path / "out"
    config = config.model_copy(
        update={
            "plan": {"reweight": config.plan["reweight"]},
            "finetune": config.finetune.model_copy(update={"seeds": 2, "screening_seeds": 0}),
        }
    )
    assert not [note for note in pipeline.run(config, out, write_curated=False).notes if "not fixed" in note]
    if gone:
        (out / "yardstick.json").unlink()
    other = config.model_copy(
        update={
            "finetune": config.finetune.model_copy(update={"first_seed": 50}),
            "verdict": config.verdict.model_copy(update={"margin": 0.001}),
        }
    )
    (said,) = [note for note in pipeline.run(other, out, write_curated=False).notes if "not fixed" in note]
    assert ("no record although runs exist" in said) is gone
    assert ("margin was 0.02 and is 0.001; the seeds are others" in said) is not gone


def test_an_upstream_of_which_nothing_was_chosen_has_its_raw_arm_only(monkeypatch):
    arms = [Job(arm, arm, "random", 5) for arm in ("raw", "scrub", "reweight")]
    arms.append(Job("scrub~placebo", "scrub", "random", 5, placebo_of="scrub"))
    arms += [Job(job.arm, job.plan, "pretrained", 5, placebo_of=job.placebo_of) for job in arms]
    monkeypatch.setattr(choosing, "expand", lambda _: arms)
    found = choosing.certified_jobs(None, {"pretrained": "scrub"})
    assert {(job.upstream, job.arm) for job in found} == {
        ("random", "raw"), ("pretrained", "raw"), ("pretrained", "scrub"), ("pretrained", "scrub~placebo"),
    }  # fmt: skip
