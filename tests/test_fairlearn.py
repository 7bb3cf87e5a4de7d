"""Saved scores in Fairlearn: the same rates by group as evenset's own, and as counting gives."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from evenset.data.errors import InputError
from evenset.finetune import predictions, verify
from evenset.finetune.judging.scores import write
from evenset.finetune.judging.yardstick import fpr_yardstick, tpr_yardstick

metrics = pytest.importorskip("fairlearn.metrics")

TERMS = ("gay", "muslim", "sikh")


def binary(n=1500, seed=0):
    """Two runs on dev and test rows; a third of the rows names two groups, some none."""
    rng = np.random.default_rng(seed)
    tables = []
    for split, size in (("dev", n // 3), ("test", n)):
        label = (rng.random(size) < 0.3).astype(int)
        inside = rng.random((size, len(TERMS))) < (0.4, 0.3, 0.2)
        groups = [[name for name, there in zip(TERMS, row, strict=True) if there] for row in inside]
        for run in (1, 2):
            score = rng.random(size) + 0.5 * label + inside @ (0.4, 0.1, 0.0)
            tables.append(
                pa.table({
                    "arm": ["raw"] * size, "seed": [run] * size, "split": [split] * size,
                    "id": [f"{split}{k}" for k in range(size)], "label": label.astype(str), "groups": groups,
                    "score": score / 3,
                })
            )  # fmt: skip
    return pa.concat_tables(tables)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return write(binary(), tmp_path_factory.mktemp("scores") / "1.scores.parquet")


@pytest.mark.parametrize("seed", [1, 2])
def test_false_positive_rates_are_those_of_the_verdict(saved, seed):
    stick = fpr_yardstick({"gay": (90, 50), "muslim": (90, 30), "sikh": (90, 10)}, total_n=900, total_positive=200)
    table = binary()
    one = table.filter(pa.array(np.asarray(table["seed"]) == seed))
    own = {rate.group: rate for rate in verify(one, stick, bootstrap=0).gaps[0].groups}
    found = predictions(saved, seed=seed)
    assert found.run.seed == seed
    assert sum(found.member[name] for name in TERMS).max() > 1, "no row is of two groups"
    for name in TERMS:
        frame = metrics.MetricFrame(
            metrics={"fpr": metrics.false_positive_rate, "n": metrics.count},
            y_true=found.y_true, y_pred=found.y_pred, sensitive_features=found.sensitive(name),
        )  # fmt: skip
        assert frame.by_group["fpr"][name] == pytest.approx(own[name].rate, abs=1e-15)
        harmless = found.member[name] & (found.y_true == 0)
        assert harmless.sum() == own[name].n
        assert frame.by_group["n"][name] == found.member[name].sum()
        # By counting, from the table alone.
        rows = one.to_pandas().query("split == 'test' and label == '0'")
        mine = rows[[name in groups for groups in rows["groups"]]]
        assert (mine["score"] >= found.threshold).mean() == pytest.approx(own[name].rate, abs=1e-15)
    assert frame.overall["fpr"] == pytest.approx(own["(all rows)"].rate, abs=1e-15)


def several(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    names = np.array(["nurse", "poet", "surgeon"])
    label = rng.integers(0, 3, n)
    groups = [[("she",), ("he",), ("she", "he"), ()][k] for k in rng.choice(4, n, p=(0.4, 0.4, 0.1, 0.1))]
    hit = rng.random(n) < np.where([g == ("she",) for g in groups], 0.6 + 0.1 * label, 0.8 - 0.1 * label)
    guess = np.where(hit, label, (label + 1) % 3)
    return pa.table({
        "id": [str(k) for k in range(n)], "label": names[label], "predicted": names[guess], "groups": groups,
        "score": rng.random(n),
    })  # fmt: skip


def test_recall_by_label_and_group_is_that_of_the_verdict():
    stick = tpr_yardstick({"nurse": (90, 40), "poet": (60, 60), "surgeon": (40, 160)})
    own = {(rate.group, rate.label): rate.rate for rate in verify(several(), stick, bootstrap=0).gaps[0].groups}
    found = predictions(several())
    for label in ("nurse", "poet", "surgeon"):
        frame = metrics.MetricFrame(
            metrics=metrics.true_positive_rate,
            y_true=found.y_true == label, y_pred=found.y_pred == label, sensitive_features=found.sensitive("she", "he"),
        )  # fmt: skip
        assert set(frame.by_group.index) == {"she", "he", "others"}
        for group in ("she", "he"):
            assert frame.by_group[group] == pytest.approx(own[group, label], abs=1e-15)


def test_demographic_parity_of_fairlearn_takes_it(saved):
    found = predictions(saved, seed=1)
    gap = metrics.demographic_parity_difference(found.y_true, found.y_pred, sensitive_features=found.sensitive("gay"))
    rates = [found.y_pred[rows].mean() for rows in (found.member["gay"], ~found.member["gay"])]
    assert gap == pytest.approx(abs(rates[0] - rates[1]))


def test_a_frame_for_everything_else(saved):
    found = predictions(saved, seed=1)
    frame = found.to_frame()
    assert list(frame.columns) == ["id", "y_true", "y_pred", "score", "group:gay", "group:muslim", "group:sikh"]
    assert isinstance(frame, pd.DataFrame)
    assert (frame["y_pred"] == (frame["score"] >= found.threshold)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"2 runs fit; say arm, upstream and seed of one of 2: arm raw, upstream pretrained, seed 1; "),
        ({"seed": 7}, "no runs fit"),
        ({"seed": 1, "split": "probe"}, 'no rows of split "probe"; there are dev, test'),
        ({"seed": 1, "positive": "2"}, 'no row has the label "2"'),
    ],
)
def test_what_cannot_be_told_is_one_message(saved, options, message):
    with pytest.raises(InputError, match=message):
        predictions(saved, **options)


def test_groups_that_are_not_there(saved):
    found = predictions(saved, seed=1)
    with pytest.raises(InputError, match=r'is of group "gya"; groups are gay, muslim, sikh. Did you mean "gay"\?'):
        found.sensitive("gya")
    with pytest.raises(InputError, match="name a group"):
        found.sensitive()
