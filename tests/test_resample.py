"""Resampling: exact counts, the rows that are not concerned untouched, and goals that cannot be reached refused."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evenset.data
from evenset.curate import Curation, run
from evenset.curate.selection.resample import Wanted, wanted
from evenset.curate.units import draw
from evenset.data.config import Plan, ResampleStep, parse
from evenset.data.errors import InputError

TEXT = {"she": "She works.", "he": "He works.", "both": "She and he work.", "none": "It works."}


def plan(**step: object) -> Plan:
    return parse({"plan": {"p": {"step": [{"do": "resample", **step}]}}}).plan["p"]


def curate(counts: dict[tuple[str, str], int], *, seed: int = 0, **step: object) -> Curation:
    """Rows by (label, group)."""
    rows = [(label, f"{TEXT[group]} {number}") for (label, group), n in counts.items() for number in range(n)]
    table = pa.table({"text": [text for _, text in rows], "label": [label for label, _ in rows]})
    return run(evenset.data.open(table, text="text", label="label"), plan(axis="pronouns", **step), seed=seed)


def counted(curation: Curation) -> Counter[tuple[str, str]]:
    assert curation.rows is not None
    starts = {text.split(" work")[0]: group for group, text in TEXT.items()}
    return Counter(
        (label, starts[text.split(" work")[0]])
        for label, text in zip(curation.rows["label"].to_pylist(), curation.rows["text"].to_pylist(), strict=True)
    )


def to_level(have: np.ndarray, *, level: float, method: str, groups: tuple[str, str], **options: object) -> Wanted:
    step = ResampleStep.model_validate(
        {"do": "resample", "axis": "pronouns", "level": level, "method": method, **options}
    )
    labels = [str(row) for row in range(len(have))]
    found = wanted(
        step, have[:, :, None], labels=labels, patterns=[(group,) for group in groups], groups=groups, positive=None
    )
    return Wanted(found.have[:, :, 0], found.want[:, :, 0])


def to_independence(have: np.ndarray, *, method: str) -> Wanted:
    step = ResampleStep.model_validate({"do": "resample", "axis": "x", "target": "independent", "method": method})
    patterns = [(str(column),) for column in range(have.shape[1])]
    labels = [str(row) for row in range(len(have))]
    found = wanted(
        step, have[:, :, None], labels=labels, patterns=patterns, groups=[name for (name,) in patterns], positive=None
    )
    return Wanted(found.have[:, :, 0], found.want[:, :, 0])


RAW = {
    ("nurse", "she"): 30, ("nurse", "he"): 10, ("nurse", "both"): 4, ("nurse", "none"): 7,
    ("judge", "she"): 5, ("judge", "he"): 20, ("judge", "none"): 3,
}  # fmt: skip


def test_level_0_changes_nothing() -> None:
    for method in ("under", "over"):
        curation = curate(RAW, level=0.0, method=method)
        assert counted(curation) == RAW
        assert curation.ledger.num_rows == 0


def test_level_1_balances_every_label_exactly() -> None:
    under = counted(curate(RAW, level=1.0))
    assert under == RAW | {("nurse", "she"): 10, ("judge", "he"): 5}
    over = counted(curate(RAW, level=1.0, method="over"))
    assert over == RAW | {("nurse", "he"): 30, ("judge", "she"): 20}


def test_level_2_mirrors() -> None:
    assert counted(curate(RAW, level=2.0)) == RAW | {("nurse", "she"): 3, ("judge", "he"): 1}
    assert counted(curate(RAW, level=2.0, method="over")) == RAW | {("nurse", "he"): 90, ("judge", "she"): 80}


@given(
    counts=st.lists(st.tuples(st.integers(1, 400), st.integers(1, 400)), min_size=1, max_size=4),
    level=st.floats(0, 2),
    method=st.sampled_from(["under", "over"]),
)
def test_levels_meet_their_share_to_the_nearest_row(counts: list[tuple[int, int]], level: float, method: str) -> None:
    have = np.array(counts)
    try:
        want = to_level(have, level=level, method=method, groups=("she", "he")).want
    except InputError:  # no row would be left of a group, and only by dropping, and only beyond balance
        assert method == "under"
        assert level > 1
        return
    assert (want > 0).all()
    assert (want <= have).all() if method == "under" else (want >= have).all()
    assert ((want == have).any(axis=1)).all()
    share = have[:, 0] / have.sum(axis=1)
    target = share + level * (0.5 - share)
    # One row more or less in the cell that changed would be no nearer.
    for row in range(len(counts)):
        down = target[row] < share[row]
        column = int((method == "under") != down)
        other = want[row, 1 - column]
        goal = target[row] if column == 0 else 1 - target[row]
        if 0 < goal < 1:
            assert abs(want[row, column] - other * goal / (1 - goal)) <= 0.5 + 1e-6


def test_a_level_that_leaves_no_row_of_a_group_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r'would keep no row of group "she".*nearest level that leaves') as error:
        to_level(np.array([[990, 10]]), level=2.0, method="under", groups=("she", "he"))
    reached = float(str(error.value).split("leaves it one is ")[1].split(". ")[0])
    assert 1 < reached < 2
    assert to_level(np.array([[990, 10]]), level=reached, method="under", groups=("she", "he")).want.all()
    with pytest.raises(InputError):
        to_level(np.array([[990, 10]]), level=reached + 0.002, method="under", groups=("she", "he"))


def test_rows_that_are_written_very_often_are_named() -> None:
    counts = {("nurse", "she"): 60, ("nurse", "he"): 3, ("judge", "she"): 5, ("judge", "he"): 9}
    said = [note for note in curate(counts, level=1.0, method="over").report["notes"] if "times on average" in note]
    assert len(said) == 1
    assert "nurse × he (20 times)" in said[0]
    assert "judge" not in said[0]


def test_a_label_with_one_group_only_cannot_be_balanced() -> None:
    rows = {("nurse", "she"): 3, ("judge", "he"): 2, ("judge", "she"): 2}
    assert counted(curate(rows, level=0.0)) == rows
    with pytest.raises(InputError, match=r'label "nurse" has no row of group "he".*only level it can have is 0'):
        curate(rows, level=1.0)


def test_level_needs_two_groups() -> None:
    table = pa.table({"text": ["gay", "asian", "x"], "label": ["a", "b", "a"]})
    with pytest.raises(InputError, match='target = "independent"'):
        run(evenset.data.open(table, text="text", label="label"), plan(axis="identity", level=1.0))


def test_a_column_with_two_values_has_levels() -> None:
    table = pa.table(
        {"text": [f"row {n}" for n in range(9)], "label": ["a"] * 9, "sex": ["f"] * 6 + ["m"] * 2 + [None]}
    )
    data = evenset.data.open(table, text="text", label="label")
    curation = run(data, plan(axis="column:sex", level=1.0))
    assert curation.rows is not None
    assert curation.rows.num_rows == 5
    assert curation.rows["text"].to_pylist()[-3:] == ["row 6", "row 7", "row 8"]


def test_independent_under_and_over() -> None:
    counts = {("1", "she"): 8, ("0", "she"): 12, ("1", "he"): 4, ("0", "he"): 36, ("1", "none"): 20, ("0", "none"): 80}
    for method in ("under", "over"):
        found = counted(curate(counts, target="independent", method=method))
        rate = 32 / 160
        for group in ("she", "he", "none"):
            n = found[("0", group)] + found[("1", group)]
            assert found[("1", group)] == pytest.approx(n * rate, abs=0.5)
        assert all((found[cell] <= n) if method == "under" else (found[cell] >= n) for cell, n in counts.items())
    # The rows labelled 0 allow 15 in all: round(15 × 0.8) = 12.
    assert counted(curate(counts, target="independent"))[("0", "she")] == 12


def test_a_never_positive_pattern_is_kept_up_to_what_rounding_allows() -> None:
    counts = {("1", "none"): 10, ("0", "none"): 90, ("0", "she"): 30, ("0", "he"): 2}
    found = counted(curate(counts, target="independent"))
    # q = 10 / 132; round(t q) = 0 up to t = 6.
    assert found[("0", "she")] == 6
    assert found[("0", "he")] == 2


def test_repeating_cannot_make_what_is_not_there() -> None:
    counts = {("1", "none"): 10, ("0", "none"): 90, ("0", "she"): 30}
    with pytest.raises(InputError, match=r'she \(no "1" among 30 rows\).*"under" reaches it'):
        curate(counts, target="independent", method="over")


def test_a_label_never_vanishes() -> None:
    counts = {("1", "she"): 5, ("0", "he"): 5}
    with pytest.raises(InputError, match=r'every row of label "[01]"'):
        curate(counts, target="independent")


@given(
    counts=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=2, max_size=5),
    method=st.sampled_from(["under", "over"]),
)
def test_independence_is_exact_up_to_rounding_and_the_best_there_is(counts: list[tuple[int, int]], method: str) -> None:
    have = np.array(counts).T
    if (have.sum(axis=1) == 0).any():
        return
    try:
        want = to_independence(have, method=method).want
    except InputError as error:
        if method == "under" and "every row of label" not in str(error):
            raise
        return
    assert (want <= have).all() if method == "under" else (want >= have).all()
    share = have.sum(axis=1) / have.sum()
    for column in range(have.shape[1]):
        total = want[:, column].sum()
        assert np.abs(want[:, column] - share * total).max() <= 1
        if method == "under" and have[:, column].any():
            # One row more of the pattern would need more of some label than there are.
            larger = np.floor(np.arange(total, total + 4)[:, None] * share + 0.5)
            assert (larger[-1] > have[:, column]).any()


def test_rows_without_a_label_stay() -> None:
    table = pa.table({"text": ["She", "She too", "He", "She no label"], "label": ["a", "a", "a", None]})
    curation = run(evenset.data.open(table, text="text", label="label"), plan(axis="pronouns", level=1.0))
    assert curation.rows is not None
    assert "She no label" in curation.rows["text"].to_pylist()
    assert curation.rows.num_rows == 3


def test_repeats_stand_behind_their_row_and_name_it() -> None:
    curation = curate({("nurse", "she"): 3, ("nurse", "he"): 1}, level=1.0, method="over")
    rows = curation.rows
    assert rows is not None
    he = [at for at, text in enumerate(rows["text"].to_pylist()) if text.startswith("He")]
    assert he == [3, 4, 5]
    parent = f"{rows['evenset_row'][3].as_py():016x}"
    assert [rows["evenset_parent"][at].as_py() for at in he] == [None, parent, parent]
    copies = curation.ledger.to_pylist()
    assert [(copy["op"], copy["parent"], copy["rule"]) for copy in copies] == [("copy", parent, "resample.v1")] * 2
    assert len({copy["row"] for copy in copies}) == 2


def test_another_seed_draws_other_rows() -> None:
    drawn = []
    for seed in (0, 1):
        rows = curate({("nurse", "she"): 60, ("nurse", "he"): 20}, seed=seed, level=1.0).rows
        assert rows is not None
        drawn.append(set(rows["text"].to_pylist()))
    assert len(drawn[0]) == len(drawn[1]) == 40
    assert drawn[0] != drawn[1]


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_draw_gives_exact_counts_whatever_the_order(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 40))
    group = np.array(data.draw(st.lists(st.integers(-1, 3), min_size=n, max_size=n)), np.int32)
    sizes = np.bincount(group[group >= 0], minlength=4)
    wanted = np.array([data.draw(st.integers(0, 3 * size)) if size else 0 for size in sizes])
    keys = np.arange(n, dtype=np.uint64) * np.uint64(77)
    times = draw(keys, group, wanted, salt=(0, "test"))
    assert np.bincount(group[group >= 0], weights=times[group >= 0], minlength=4).tolist() == wanted.tolist()
    assert (times[group < 0] == 1).all()
    order = np.array(data.draw(st.permutations(range(n))))
    assert draw(keys[order], group[order], wanted, salt=(0, "test")).tolist() == times[order].tolist()
