"""Anyone's predictions: what is understood, and what is refused with one message that says how to mend it."""

from __future__ import annotations

import dataclasses
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from score_sim import TERMS, Arm, simulate, stick, to_table

from evenset.cli import invoke
from evenset.data.config import VerdictConfig
from evenset.data.errors import InputError
from evenset.finetune.judging.design import design
from evenset.finetune.judging.files import verify_files
from evenset.finetune.judging.gaps import measure
from evenset.finetune.judging.headline import headline, short
from evenset.finetune.judging.report import verdict_table
from evenset.finetune.judging.scores import read
from evenset.finetune.judging.thresholds import equal_error, moved, rules
from evenset.finetune.judging.verdict import verify
from evenset.finetune.judging.yardstick import fpr_yardstick, tpr_yardstick

N = 400
TERMS_AUDIT = fpr_yardstick({"gay": (90, 50), "muslim": (90, 30), "sikh": (90, 9)}, total_n=2000, total_positive=300)
JOBS_AUDIT = tpr_yardstick({"nurse": (90, 40), "surgeon": (40, 160)})


def toxic(n=N, **changes):
    """One arm's predictions as a person would have them in a table."""
    rng = np.random.default_rng(0)
    term = np.array(["gay", "muslim", "sikh", ""])[np.arange(n) % 4]
    label = (np.arange(n) % 5 == 0).astype(int)
    score = 1 / (1 + np.exp(-(rng.normal(0, 1, n) + 2 * label + (term == "gay"))))
    rows = {"id": [f"r{i}" for i in range(n)], "label": label, "score": score, "group": term}
    return {key: value for key, value in {**rows, **changes}.items() if value is not None}


def jobs(n=N, **changes):
    rng = np.random.default_rng(0)
    label = np.array(["nurse", "surgeon"])[np.arange(n) % 2]
    side = np.array(["she", "he"])[(np.arange(n) // 2) % 2]
    wrong = rng.random(n) < np.where((label == "surgeon") & (side == "she"), 0.5, 0.1)
    said = np.where(wrong, np.where(label == "nurse", "surgeon", "nurse"), label)
    return {"id": np.arange(n), "label": label, "prediction": said, "group": side, **changes}


def verdict_of(rows, yardstick, tmp_path, *, form="parquet", **options):
    path = tmp_path / f"scores.{form}"
    (pq.write_table if form == "parquet" else pyarrow.csv.write_csv)(pa.table(rows), path)
    record = tmp_path / "audit.json"
    record.write_text(json.dumps({"yardstick": yardstick.to_dict()}))
    return verify_files([path], record, settings=VerdictConfig(), **options)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_one_arm_without_a_name_gets_gaps_and_no_verdict(tmp_path, form):
    found = verdict_of(toxic(), TERMS_AUDIT, tmp_path, form=form)
    assert found.arms == ()
    assert found.exit_code == 0
    (gap,) = found.gaps
    assert gap.arm == "mine"
    assert gap.gap_low < gap.gap < gap.gap_high
    by = {row.group: row for row in gap.groups}
    assert by["gay"].rate > by["sikh"].rate
    assert set(gap.measures) >= {"amplification", "bpsn_slope", "mean_square_gap", "mean_fpr_minus_neutral"}


def test_predictions_alone_are_enough_for_recall_gaps(tmp_path):
    found = verdict_of(jobs(), JOBS_AUDIT, tmp_path)
    (gap,) = found.gaps
    # Surgeons who are women are found less often: recall of she minus he is lower where women are fewer.
    assert gap.gap_low > 0
    rows = jobs()
    label, said, side = (np.array(rows[name]) for name in ("label", "prediction", "group"))
    recall = {
        (job, who): (said == job)[(label == job) & (side == who)].mean()
        for job in ("nurse", "surgeon")
        for who in ("she", "he")
    }
    expected = sum(
        c * (recall[job, "she"] - recall[job, "he"])
        for job, c in zip(JOBS_AUDIT.used, JOBS_AUDIT.coefficients, strict=True)
    )
    assert gap.gap == pytest.approx(expected)


def test_groups_are_found_in_the_text_where_none_are_given(tmp_path):
    term = toxic()["group"]
    texts = [f"that is one {word} person" if word else "that is one person" for word in term]
    given = verdict_of(toxic(), TERMS_AUDIT, tmp_path)
    yardstick = dataclasses.replace(TERMS_AUDIT, axis="identity")
    found = verdict_of(toxic(group=None, text=texts), yardstick, tmp_path)
    assert found.gaps[0].gap == given.gaps[0].gap
    as_csv = verdict_of(toxic(group=None, text=texts), yardstick, tmp_path, form="csv")
    assert as_csv.gaps[0].gap == given.gaps[0].gap
    with pytest.raises(InputError, match='give a column "group"'):
        verdict_of(toxic(group=None, text=texts), dataclasses.replace(TERMS_AUDIT, axis="column:side"), tmp_path)


def test_a_score_column_a_label_is_a_prediction(tmp_path):
    rows = jobs()
    said = rows.pop("prediction")
    wide = {
        "score:nurse": np.where(said == "nurse", 0.6, 0.2),
        "score:surgeon": np.where(said == "surgeon", 0.7, 0.2),
        "score:clerk": np.full(N, 0.1),
    }
    found = verdict_of({**rows, **wide}, JOBS_AUDIT, tmp_path)
    assert found.gaps[0].gap == verdict_of(jobs(), JOBS_AUDIT, tmp_path).gaps[0].gap
    wide["score:clerk"] = np.where(np.arange(N) == 7, np.nan, 0.1)
    with pytest.raises(InputError, match='row 8 has no finite number in column "score:clerk"'):
        verdict_of({**rows, **wide}, JOBS_AUDIT, tmp_path)
    two = {name: wide[name] for name in ("score:nurse", "score:surgeon")}
    with pytest.raises(InputError, match='give one column "score"'):
        verdict_of({**rows, **two}, JOBS_AUDIT, tmp_path)


def test_labels_may_be_spelt_with_other_capitals_or_be_said(tmp_path):
    names = np.array(["False", "TRUE"])[toxic()["label"]]
    yardstick = dataclasses.replace(TERMS_AUDIT, positive="true")
    plain = verdict_of(toxic(), TERMS_AUDIT, tmp_path).gaps[0].gap
    assert verdict_of(toxic(label=names), yardstick, tmp_path).gaps[0].gap == plain
    said = np.array(["fine", "toxic"])[toxic()["label"]]
    assert verdict_of(toxic(label=said), TERMS_AUDIT, tmp_path, positive="toxic").gaps[0].gap == plain


def two_arms(**changes):
    """Two arms with two seeds each, in one table."""
    parts = []
    for arm in ("raw", "mend"):
        for seed in (0, 1):
            rows = toxic()
            parts.append(pa.table({**rows, "arm": [arm] * N, "seed": [seed] * N}))
    table = pa.concat_tables(parts)
    for name, column in changes.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(column))
    return table


BAD = {
    "a score that is no number": (
        toxic(score=np.where(np.arange(N) == 3, np.nan, 0.5)), 'finite number: arm mine.*"r3"',
    ),
    "an id twice": (
        toxic(id=["r0", "r0", *(f"r{i}" for i in range(2, N))]), "twice in arm mine.*columns arm, upstream and seed",
    ),
    "no id": (toxic(id=None), 'no column "id"'),
    "no label": (toxic(label=None), 'no column "label"'),
    "neither score nor prediction": (toxic(score=None), 'needs a column "score"'),
    "no groups": (toxic(group=None), 'no row of split test names a group; give a column "group" or "text"'),
    "groups of another world": (toxic(group=["elf"] * N), "usable: none"),
    "labels of another world": (
        toxic(label=np.array(["a", "b"])[toxic()["label"]]), 'label "1" does not occur.*--positive',
    ),
    "three labels": (toxic(label=np.arange(N) % 3), "need two labels; found 3"),
    "an empty label": (toxic(label=pa.array([None, *["1", "0"] * (N // 2 - 1), "1"])), 'row 1 has no "label"'),
    "scores of text": (toxic(score=["high"] * N), 'column "score" cannot be read'),
    "all one cluster": (toxic(cluster=["x"] * N), "are one cluster"),
    "an unknown split": (toxic(split=["tset"] * N), 'split "tset" is unknown.*test'),
    "only dev rows": (toxic(split=["dev"] * N), "not measured on dev rows"),
    "a seed that is no number": (toxic(seed=["first"] * N), 'column "seed" cannot be read'),
    "arms with different rows": (
        two_arms().slice(0, 4 * N - 5), "cover different rows.*score every run on the same rows",
    ),
    "a label that changes between arms": (
        two_arms(label=np.r_[np.tile(toxic()["label"], 3), 1 - toxic()["label"]]), "another label in one run",
    ),
    "no base arm": (two_arms(arm=["a"] * 2 * N + ["b"] * 2 * N), 'no arm "raw"'),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_judged_is_refused_in_one_line(what, tmp_path):
    rows, words = BAD[what]
    table = rows if isinstance(rows, pa.Table) else pa.table(rows)
    pq.write_table(table, tmp_path / "scores.parquet")
    (tmp_path / "audit.json").write_text(json.dumps({"yardstick": TERMS_AUDIT.to_dict()}))
    with pytest.raises(InputError, match=words) as error:
        verify_files([tmp_path / "scores.parquet"], tmp_path / "audit.json", settings=VerdictConfig())
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_labels_that_the_training_data_do_not_have_are_named(tmp_path):
    rows = jobs()
    rows["label"] = np.char.upper(rows["label"])
    rows["prediction"] = np.char.upper(rows["prediction"])
    with pytest.raises(InputError, match=r"NURSE, SURGEON.*nurse, surgeon; spell them as there"):
        verdict_of(rows, JOBS_AUDIT, tmp_path)


def test_two_columns_of_one_name_are_refused():
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"]), pa.array([1])], names=["id", "id", "label"])
    with pytest.raises(InputError, match='two columns are called "id"'):
        read(table)


def run_cli(capsys, *words):
    return invoke(["verify", *map(str, words)]), capsys.readouterr().err


def test_without_a_yardstick_the_command_says_what_it_needs(tmp_path, capsys):
    pq.write_table(pa.table(toxic()), tmp_path / "scores.parquet")
    code, said = run_cli(capsys, tmp_path / "scores.parquet")
    assert code == 2
    assert "evenset audit" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\x00\xff\x00", b"id,label,score,group\nr1,1,0.5\n"])
def test_files_that_are_no_scores_are_refused(tmp_path, content, capsys):
    (tmp_path / "scores.csv").write_bytes(content)
    (tmp_path / "audit.json").write_text(json.dumps({"yardstick": TERMS_AUDIT.to_dict()}))
    code, said = run_cli(capsys, tmp_path / "scores.csv", "--yardstick", tmp_path / "audit.json")
    assert code == 2
    assert "scores.csv" in said
    assert "Traceback" not in said


# The threshold


def test_the_equal_error_rate_is_where_both_errors_meet():
    rng = np.random.default_rng(0)
    truth = rng.random(2000) < 0.3
    score = np.round(rng.normal(0, 1, 2000) + 1.2 * truth, 2)
    at = equal_error(score, truth)
    gaps = {t: abs((score[~truth] >= t).mean() - (score[truth] < t).mean()) for t in np.unique(score)}
    assert gaps[at] == min(gaps.values())


def test_every_rule_is_the_verdict_with_decisions_taken_under_it(tmp_path):
    scores = simulate(
        np.random.default_rng(1),
        {"raw": Arm(0.6), "mend": Arm(0.1), "mend~placebo": Arm(0.6, placebo_of="mend")},
        seeds=4,
        skeletons=50,
    )
    scores = dataclasses.replace(scores, score={k: 1 / (1 + np.exp(-v)) for k, v in scores.score.items()})
    verdict = verify(scores, stick(), bootstrap=0)
    arm = verdict.arms[0]
    under = {one["rule"]: one for one in arm.thresholds}
    assert list(under) == ["dev base rate", "0.5", "probe median", "equal error rate"]
    assert under["dev base rate"]["reduction"] == arm.reduction
    assert under["dev base rate"]["decision"] == arm.decision
    # The same by hand: decide first, hand in predictions, and measure their gap.
    measured = measure(scores, design(scores, stick()))
    for name, cuts in rules(scores, measured).items():
        yes = {split: (table >= cuts[:, None]).astype(np.int64) for split, table in scores.score.items()}
        given = dataclasses.replace(scores, score={}, predicted=yes)
        by_hand = measure(given, design(given, stick()), guard="macro_f1")
        assert [run.gap for run in moved(scores, measured, cuts).runs] == [run.gap for run in by_hand.runs]
        of = {(run.run.arm, run.run.seed): run.gap for run in by_hand.runs}
        expected = np.mean([of["raw", seed] - of["mend", seed] for seed in range(4)])
        assert under[name]["reduction"] == pytest.approx(expected)
        f1 = {(run.run.arm, run.run.seed): run.utility["macro_f1"] for run in by_hand.runs}
        again = moved(scores, dataclasses.replace(measured, guard="macro_f1"), cuts)
        assert [run.utility["macro_f1"] for run in again.runs] == list(f1.values())
    text = io.StringIO()
    Console(file=text, width=80).print(verdict_table(verdict))
    assert "Reduction by threshold: dev base rate" in " ".join(text.getvalue().split())


def test_scores_beyond_one_have_no_half_and_predictions_no_threshold():
    scores = simulate(np.random.default_rng(1), {"raw": Arm(0.6), "mend": Arm(0.1)}, seeds=2, skeletons=40)
    assert "0.5" not in rules(scores, measure(scores, design(scores, stick())))
    yes = {split: (table >= 0).astype(np.int64) for split, table in scores.score.items()}
    given = dataclasses.replace(scores, score={}, predicted=yes)
    verdict = verify(given, stick(), bootstrap=0)
    assert verdict.arms[0].thresholds == ()


def test_the_verdict_does_not_hang_on_names_of_terms():
    arms = {"raw": Arm(0.6), "mend": Arm(0.2), "p": Arm(0.6, placebo_of="mend")}
    scores = simulate(np.random.default_rng(2), arms, seeds=4, skeletons=50)
    names = {term: f"z{number:02d}" for number, term in enumerate(reversed(TERMS))}
    yard = stick()
    entries = [dataclasses.replace(entry, name=names[entry.name]) for entry in yard.entries]
    renamed = dataclasses.replace(yard, entries=tuple(sorted(entries, key=lambda entry: entry.name)))
    table = to_table(scores)
    groups = pa.array([[names[name] for name in row] for row in table.column("groups").to_pylist()])
    other = table.set_column(table.column_names.index("groups"), "groups", groups)
    one, two = verify(scores, yard, bootstrap=0).arms[0], verify(other, renamed, bootstrap=0).arms[0]
    assert two.decision == one.decision
    assert names[one.worst_group] == two.worst_group
    for name in ("gap", "reduction", "reduction_low", "placebo_margin", "p"):
        assert getattr(two, name) == pytest.approx(getattr(one, name))
    for name, there in one.measures.items():
        assert two.measures[name]["change"] == pytest.approx(there["change"])


# What is said first, and what is never silent


def shown(verdict, width=80):
    text = io.StringIO()
    Console(file=text, width=width).print(verdict_table(verdict))
    return text.getvalue()


def judged(arms, **options):
    scores = simulate(np.random.default_rng(1), arms, seeds=3, skeletons=40)
    return verify(scores, stick(), bootstrap=0, measures=False, **options)


def test_the_first_line_is_the_answer():
    arms = {"raw": Arm(0.9), "mend": Arm(0.1), "mend~placebo": Arm(0.9, placebo_of="mend"), "same": Arm(1.2)}
    verdict = judged(arms)
    by_name = {arm.arm: arm for arm in verdict.arms}
    lost = dataclasses.replace(by_name["mend"], decision="unclear", guard="auc", guard_loss=0.0312)
    none = dataclasses.replace(verdict, arms=(by_name["same"], lost))
    said = headline(none)
    assert said.startswith("None of 2 arms is certified; the gap fell most with mend: ")
    assert said.endswith(f"{short(lost.base_gap)} → {short(lost.gap)}, at a loss of .031 AUC.")
    passed = dataclasses.replace(lost, decision="shrunk")
    # Arms of the pre-trained model come first, whatever the order of the file.
    other = dataclasses.replace(passed, arm="other", upstream="random")
    said = headline(dataclasses.replace(verdict, arms=(other, passed)))
    assert said.startswith("Certified: mend (pretrained) (")
    assert said.endswith("of 2 arms.")
    assert said.index("mend") < said.index("other")
    assert shown(none).startswith("None of 2 arms is certified;")
    one = judged({"raw": Arm(0.5)})
    gap = one.gaps[0]
    assert headline(one) == f"The gap of raw is {short(gap.gap)} [{short(gap.gap_low)} to {short(gap.gap_high)}]."


def test_runs_that_are_no_models_are_said_first(tmp_path):
    rows = jobs()
    tables = [{**rows, "prediction": np.full(N, "nurse"), "arm": np.full(N, arm)} for arm in ("raw", "fix")]
    both = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    verdict = verdict_of(both, JOBS_AUDIT, tmp_path)
    text = shown(verdict)
    assert text.startswith("All 2 runs of raw and fix predict one class or guess: nothing can be judged.")
    assert "kept" not in text


@pytest.mark.parametrize("width", [32, 40, 60, 71, 72, 80, 120])
def test_nothing_is_cut_however_narrow_the_terminal(width):
    arms = {"raw": Arm(0.9), "mend": Arm(0.1), "mend~placebo": Arm(0.9, placebo_of="mend"), "a-long-name" * 4: Arm(1.2)}
    for verdict in (judged(arms), judged({"raw": Arm(0.5)})):
        text = shown(verdict, width)
        assert max(map(len, text.splitlines())) <= width
        assert "…" not in text
        for arm in verdict.arms:
            assert arm.decision in text
            for value in (arm.base_gap, arm.gap, arm.gap_low, arm.gap_high, arm.reduction, arm.reduction_low):
                assert short(value) in text
        for row in verdict.gaps[0].groups if not verdict.arms else ():
            assert f"{row.rate:.3f} [{row.low:.3f}, {row.high:.3f}]" in text


@pytest.mark.parametrize("nothing", ["nan", "", "None", "NA"])
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_prediction_that_is_none_is_no_wrong_answer(nothing, form, tmp_path):
    rows = jobs()
    rows["prediction"] = np.where(np.arange(N) == 7, nothing, rows["prediction"].astype(object))
    with pytest.raises(InputError, match=r'no prediction.*id "7"'):
        verdict_of({**rows, "prediction": rows["prediction"].tolist()}, JOBS_AUDIT, tmp_path, form=form)


def test_predictions_of_a_label_that_no_row_has_are_counted(tmp_path):
    rows = jobs()
    rows["prediction"] = np.where(np.arange(N) < 9, "pilot", rows["prediction"].astype(object)).tolist()
    notes = verdict_of(rows, JOBS_AUDIT, tmp_path).notes
    assert any(note.startswith(f'9 of {N} predictions are "pilot"') for note in notes)


def arms_of(rows, **arms):
    """The same predictions for several arms and seeds."""
    parts = [
        {**rows, "arm": np.full(N, arm), "seed": np.full(N, seed)} for arm, seeds in arms.items() for seed in seeds
    ]
    return {name: np.concatenate([np.asarray(part[name]) for part in parts]) for name in parts[0]}


def test_seeds_that_an_arm_lacks_are_no_screening_seeds(tmp_path):
    verdict = verdict_of(arms_of(jobs(), raw=range(4), fix=range(2)), JOBS_AUDIT, tmp_path)
    assert "arm fix lacks seeds 2, 3 that raw has: left out of the comparison" in verdict.notes
    assert not [note for note in verdict.notes if "screening" in note]
    assert verdict.gaps[-1].seeds == (0, 1, 2, 3)


def test_the_untreated_arm_may_have_any_name(tmp_path):
    rows = arms_of(jobs(), base=range(2), fix=range(2))
    with pytest.raises(InputError, match=r"arms are base, fix.*--base-arm NAME"):
        verdict_of(rows, JOBS_AUDIT, tmp_path)
    assert [arm.arm for arm in verdict_of(rows, JOBS_AUDIT, tmp_path, base_arm="base").arms] == ["fix"]


def test_what_the_gap_leaves_out_is_named_with_the_reason(tmp_path):
    rows = jobs()
    rows["label"] = np.where(np.arange(N) < 40, "dj", rows["label"].astype(object))
    rows["label"] = np.where(np.arange(N) // 40 == 1, "poet", rows["label"]).tolist()
    rows["group"] = np.where(np.arange(N) % 50 == 49, "they", rows["group"].astype(object)).tolist()
    audit = tpr_yardstick({"nurse": (90, 40), "surgeon": (40, 160), "dj": (3, 20), "pilot": (50, 90)})
    notes = verdict_of(rows, audit, tmp_path).notes
    assert "left out of the gap, under 30 training rows in a group: dj" in notes
    assert "left out of the gap, not in the training data's yardstick: poet" in notes
    assert "left out of the gap, under 30 test rows in a group: pilot" in notes
    assert "groups that the gap does not compare: they" in notes


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,label,score\n1,0,0.5\n2,caf\xe9,0.5\n".encode("latin-1"), "line 3 is not valid UTF-8"),
        ("id,label,score\n1,0,0.5\n".encode("utf-16"), "UTF-16"),
        (b"id,label,score\n1,0,0.5\n" + b"x" * 9_000_000 + b",1,0.5\n", 'row 2, column "id" holds 9,000,000 bytes'),
    ],
)
def test_a_csv_that_is_none_is_refused_with_its_line(content, said, tmp_path):
    file = tmp_path / "scores.csv"
    file.write_bytes(content)
    with pytest.raises(InputError, match=said):
        read(file)


def test_the_yardstick_is_a_file_or_a_folder_with_one(tmp_path):
    verdict_of(jobs(), JOBS_AUDIT, tmp_path)
    scores = tmp_path / "scores.parquet"
    assert verify_files([scores], tmp_path, settings=VerdictConfig()).gaps
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.json").write_text("[1]")
    for path, said in {"nope.json": "no such file", "empty": "no audit.json", "other.json": "holds no yardstick",
                       "scores.parquet": "no JSON"}.items():  # fmt: skip
        with pytest.raises(InputError, match=said):
            verify_files([scores], tmp_path / path, settings=VerdictConfig())
    # What was asked to be judged is missed before what it is judged by.
    with pytest.raises(InputError, match=r"gone\.csv: no such file"):
        verify_files([tmp_path / "gone.csv"], tmp_path / "nope.json", settings=VerdictConfig())


def test_a_matplotlib_that_cannot_be_loaded_costs_the_figures_and_nothing_else(tmp_path, capsys, monkeypatch):
    verdict_of(jobs(), JOBS_AUDIT, tmp_path)

    def broken():
        raise ImportError("numpy.core is gone")

    monkeypatch.setattr("evenset.audit.figures.style", broken)
    code = invoke(["verify", str(tmp_path / "scores.parquet"), "--yardstick", str(tmp_path), "--measure", "tpr",
                   "--out", str(tmp_path / "out")])  # fmt: skip
    said = capsys.readouterr()
    assert code == 0
    assert said.out.startswith("The gap of mine is ")
    assert "no figures: " in said.err
    assert (tmp_path / "out" / "verdict.json").is_file()
