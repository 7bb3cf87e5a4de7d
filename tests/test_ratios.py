"""Goals of resampling beyond levels: log ratios, rates, held labels, length buckets; met, minimal, or refused."""

import itertools
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import evenset.data
from evenset import audit
from evenset.curate import Curation, run
from evenset.curate.selection.moves import Contrast, Moves, worst
from evenset.curate.selection.ratios import at_rate, nearest, within
from evenset.curate.selection.resample import contrasts_of, wanted
from evenset.data.config import Plan, ResampleStep, parse
from evenset.data.errors import InputError

METHODS = ("under", "over", "mixed")


def plan(**step: object) -> Plan:
    return parse({"plan": {"p": {"step": [{"do": "resample", "axis": "identity", **step}]}}}).plan["p"]


def step(**options: object) -> ResampleStep:
    return ResampleStep.model_validate({"do": "resample", "axis": "pronouns", **options})


WORDS = {"gay": "a gay man", "asian": "an asian man", "both": "a gay asian man", "none": "some man"}
RAW = {
    ("1", "gay"): 50, ("0", "gay"): 60, ("1", "asian"): 30, ("0", "asian"): 70, ("1", "both"): 9, ("0", "both"): 4,
    ("1", "none"): 80, ("0", "none"): 800,
}  # fmt: skip


def rows(counts: dict[tuple[str, str], int], *, long: bool = False) -> evenset.data.Dataset:
    tail = " and so on" * 9
    made = [
        (f"{WORDS[group]} {label} {n}{tail if long and n % 2 else ''}", label)
        for (label, group), number in counts.items()
        for n in range(number)
    ]
    table = pa.table({"text": [text for text, _ in made], "label": [label for _, label in made]})
    return evenset.data.open(table, text="text", label="label", positive="1")


def ratios(curation: Curation) -> dict[str, float]:
    """What an audit of the result finds."""
    assert curation.rows is not None
    data = evenset.data.open(curation.rows.select(["text", "label"]), text="text", label="label", positive="1")
    report = audit.run(data, ["identity"], measures=("label_log_ratio", "label_rate"))
    return {str(f.group): f.estimate for f in report.findings if f.measure == "label_log_ratio"}


@pytest.mark.parametrize("held", ["free", "held"])
@pytest.mark.parametrize("method", METHODS)
def test_an_audit_of_the_result_finds_no_ratio_beyond_the_limit(method: str, held: str) -> None:
    if held == "held" and method != "mixed":
        with pytest.raises(InputError, match='method = "mixed"'):
            run(rows(RAW), plan(log_ratio=0.3, method=method, labels=held))
        return
    curation = run(rows(RAW), plan(log_ratio=0.3, method=method, labels=held))
    found = ratios(curation)
    assert max(abs(value) for value in found.values()) <= 0.3 + 1e-9
    report = curation.report["steps"][0]
    assert report["dropped"] + report["repeated"] > 0
    if method != "mixed":
        assert report["repeated" if method == "under" else "dropped"] == 0
    if held == "held":
        assert report["labels"] == {"0": 934, "1": 169}
        assert report["dropped"] == report["repeated"]


def test_a_limit_that_holds_already_touches_nothing() -> None:
    assert run(rows(RAW), plan(log_ratio=3.0)).ledger.num_rows == 0


def test_two_groups_are_held_to_each_other_label_by_label() -> None:
    rng = np.random.default_rng(1)
    have = rng.integers(40, 400, (6, 3))
    labels = [str(n) for n in range(6)]
    patterns = [(), ("he",), ("she",)]
    for method in METHODS:
        found = wanted(
            step(log_ratio=0.15, method=method), have[:, :, None], labels=labels, patterns=patterns,
            groups=["she", "he"], positive=None,
        )  # fmt: skip
        table = found.want[:, :, 0]
        she, he = table[:, 2], table[:, 1]
        centred = np.log((she + 0.5) / (she.sum() + 0.5)) - np.log((he + 0.5) / (he.sum() + 0.5))
        assert np.abs(centred).max() <= 0.15 + 1e-9
        # Rows of neither group are nobody's business.
        assert (table[:, 0] == have[:, 0]).all()


def brute(have: np.ndarray, contrasts: list[Contrast], limit: float, method: str, *, held: bool) -> int | None:
    """The fewest rows touched, by trying every table near enough."""
    moves = Moves.of(have, method, contrasts, held=held)
    spans = [range(0 if moves.drop else n, n + (7 if moves.repeat and n else 1)) for n in have.reshape(-1).tolist()]
    best = None
    for values in itertools.product(*spans):
        table = np.array(values).reshape(have.shape)
        cost = moves.cost(table)
        if (best is None or cost < best) and moves.allows(table) and worst(table, contrasts) <= limit + 1e-9:
            best = cost
    return best


@settings(max_examples=25, deadline=None)
@given(
    have=st.lists(st.integers(0, 6), min_size=4, max_size=4),
    limit=st.sampled_from([0.1, 0.2, 0.5]),
    method=st.sampled_from(METHODS),
    held=st.booleans(),
)
def test_one_ratio_is_met_with_the_fewest_rows(have: list[int], limit: float, method: str, held: bool) -> None:
    table = np.array(have).reshape(2, 2)
    assume((table.sum(axis=0) > 0).all())
    held = held and method == "mixed"
    group = Contrast("g", 1, np.array([False, True]), np.array([True, False]))
    least = brute(table, [group], limit, method, held=held)
    found = within(table, [group], limit, method=method, held=held)
    if found is None:
        assert least is None
        return
    assert worst(found, [group]) <= limit + 1e-9
    cost = int(np.abs(found - table).sum())
    # The search by trying stops after six repeats of a cell.
    assert least is None or cost <= least


@settings(max_examples=12, deadline=None)
@given(have=st.lists(st.integers(0, 3), min_size=8, max_size=8), limit=st.sampled_from([0.2, 0.5]))
def test_overlapping_groups_take_at_most_two_rows_more_than_the_fewest(have: list[int], limit: float) -> None:
    table = np.array(have).reshape(2, 4)
    first, second = np.array([False, True, False, True]), np.array([False, False, True, True])
    contrasts = [Contrast("a", 1, first, ~first), Contrast("b", 1, second, ~second)]
    assume(all(table[:, side].any() for c in contrasts for side in (c.inside, c.outside)))
    least = brute(table, contrasts, limit, "under", held=False)
    found = within(table, contrasts, limit, method="under", held=False)
    if found is not None:
        assert worst(found, contrasts) <= limit + 1e-9
        assert least is not None
        assert int(np.abs(found - table).sum()) <= least + 2


def test_a_limit_out_of_reach_names_the_nearest_and_whose_it_is() -> None:
    # One group has the label always, the other never: repeating rows can bring the rest to one of them only.
    counts = {
        ("1", "gay"): 60, ("0", "gay"): 0, ("1", "asian"): 0, ("0", "asian"): 100, ("1", "none"): 80, ("0", "none"): 80
    }  # fmt: skip
    with pytest.raises(InputError, match=r"rows: the nearest that was found is log_ratio = \d.*asian") as error:
        run(rows(counts), plan(log_ratio=0.2, method="over"))
    reached = float(str(error.value).split("log_ratio = ")[2].split(" ")[0])
    curation = run(rows(counts), plan(log_ratio=reached, method="over"))
    assert max(abs(value) for value in ratios(curation).values()) <= reached + 1e-9


def test_groups_that_an_audit_would_not_judge_are_left_alone_and_named() -> None:
    counts = RAW | {("1", "asian"): 9, ("0", "asian"): 1, ("1", "both"): 0, ("0", "both"): 0}
    curation = run(rows(counts), plan(log_ratio=0.3))
    assert curation.report["steps"][0]["left"] == ["asian"]
    assert any("too few rows for a ratio to be judged: asian" in note for note in curation.report["notes"])
    assert curation.rows is not None
    assert sum("asian" in text for text in curation.rows["text"].to_pylist()) == 10


def test_groups_that_come_to_be_too_few_are_named() -> None:
    counts = RAW | {("1", "asian"): 60, ("0", "asian"): 20, ("1", "both"): 0, ("0", "both"): 0}
    report = run(rows(counts), plan(log_ratio=0.2)).report
    assert any("fewer than 30 rows of: asian" in note for note in report["notes"])


@pytest.mark.parametrize("method", METHODS)
def test_a_rate_is_met_to_half_a_row_in_every_group(method: str) -> None:
    for rate, share in (("overall", 169 / 1103), (0.25, 0.25)):
        curation = run(rows(RAW), plan(rate=rate, method=method))
        assert curation.rows is not None
        for word in ("gay", "asian"):
            labels = [
                label
                for text, label in zip(
                    curation.rows["text"].to_pylist(), curation.rows["label"].to_pylist(), strict=True
                )
                if word in text.split()
            ]
            assert abs(labels.count("1") - share * len(labels)) <= 0.5 + 1e-9


@settings(max_examples=40, deadline=None)
@given(
    have=st.lists(st.integers(0, 40), min_size=8, max_size=8),
    rate=st.floats(0.1, 0.9),
    method=st.sampled_from(METHODS),
)
def test_rates_hold_on_the_counts_or_are_refused(have: list[int], rate: float, method: str) -> None:
    table = np.array(have).reshape(2, 4)
    member = np.array([[False, False], [True, False], [False, True], [True, True]])
    found = at_rate(table, member, 1, rate, method=method, held=False)
    if found is None:
        return
    assert (found[table == 0] == 0).all()
    for column in range(2):
        inside = found[:, member[:, column]]
        assert abs(inside[1].sum() - rate * inside.sum()) <= 0.5 + 1e-6
        assert inside.any() == table[:, member[:, column]].any()


def test_a_rate_out_of_reach_says_what_each_group_has() -> None:
    counts = RAW | {("1", "asian"): 0, ("1", "both"): 0}
    with pytest.raises(InputError, match=r'asian \(of 74 rows a share of 0 is "1"\)'):
        run(rows(counts), plan(rate=0.5, method="over"))
    table = pa.table({"text": ["a gay man", "a man"] * 20, "label": ["p", "q"] * 20})
    with pytest.raises(InputError, match="say it with --positive"):
        run(evenset.data.open(table, text="text", label="label"), plan(rate=0.5))


pairs = st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=1, max_size=4)


def levelled(counts: list[tuple[int, int]], **options: object) -> np.ndarray:
    found = wanted(
        step(**options), np.array(counts)[:, :, None], labels=[str(row) for row in range(len(counts))],
        patterns=[("she",), ("he",)], groups=["she", "he"], positive=None,
    )  # fmt: skip
    return found.want[:, :, 0]


@given(counts=pairs, level=st.sampled_from([0.0, 0.25, 0.5, 1.0, 1.6, 2.0]))
def test_mixed_levels_keep_every_labels_size_and_touch_as_few_rows_as_can_be(
    counts: list[tuple[int, int]], level: float
) -> None:
    want, have = levelled(counts, level=level, method="mixed"), np.array(counts)
    assert (want.sum(axis=1) == have.sum(axis=1)).all()
    share = have[:, 0] / have.sum(axis=1)
    target = (share + level * (0.5 - share)) * have.sum(axis=1)
    assert (np.abs(want[:, 0] - target) <= 0.5 + 1e-9).all()
    # With sizes kept each row dropped is matched by one repeated: no table at the level takes fewer.
    assert (np.abs(want - have).sum(axis=1) == 2 * np.abs(want[:, 0] - have[:, 0])).all()


@given(counts=pairs, method=st.sampled_from(["under", "over"]))
def test_held_labels_have_one_size_at_every_level(counts: list[tuple[int, int]], method: str) -> None:
    have = np.array(counts)
    few, many = have.min(axis=1), have.max(axis=1)
    sizes = []
    for level in (0.0, 0.25, 1.0, 1.75, 2.0):
        try:
            want = levelled(counts, level=level, method=method, labels="held")
        except InputError:  # so few rows that one group would get none of them
            assert method == "under"
            return
        assert (want <= have).all() if method == "under" else (want >= have).all()
        size = want.sum(axis=1)
        share = have[:, 0] / have.sum(axis=1)
        assert (np.abs(want[:, 0] - (share + level * (0.5 - share)) * size) <= 0.5 + 1e-9).all()
        sizes.append(size.tolist())
    assert all(size == sizes[0] for size in sizes)
    total = have.sum(axis=1)
    exact = total * few / many if method == "under" else total * many / few
    assert (np.abs(np.array(sizes[0]) - exact) < 1).all()


@settings(max_examples=30, deadline=None)
@given(counts=st.lists(st.lists(st.integers(3, 60), min_size=3, max_size=3), min_size=2, max_size=4))
def test_mixed_independence_keeps_both_margins(counts: list[list[int]]) -> None:
    have = np.array(counts)
    found = wanted(
        step(target="independent", method="mixed"), have[:, :, None], labels=[str(n) for n in range(len(have))],
        patterns=[(), ("a",), ("b",)], groups=["a", "b"], positive=None,
    )  # fmt: skip
    want = found.want[:, :, 0]
    assert (want.sum(axis=1) == have.sum(axis=1)).all()
    assert (want.sum(axis=0) == have.sum(axis=0)).all()
    product = have.sum(axis=1, keepdims=True) * have.sum(axis=0, keepdims=True) / have.sum()
    assert np.abs(want - product).max() < 1


def test_mixed_independence_shrinks_patterns_that_lack_a_label() -> None:
    have = np.array([[90, 20], [10, 0]])
    found = wanted(
        step(target="independent", method="mixed"), have[:, :, None], labels=["0", "1"], patterns=[(), ("a",)],
        groups=["a"], positive=None,
    )  # fmt: skip
    want = found.want[:, :, 0]
    assert want.sum(axis=1).tolist() == [110, 10]
    assert want[1, 1] == 0
    assert want[0, 1] < 6


@pytest.mark.parametrize("goal", [{"level": 1.0}, {"target": "independent"}, {"log_ratio": 0.2}])
def test_within_length_the_goal_is_met_in_each_bucket(goal: dict[str, object]) -> None:
    rng = np.random.default_rng(3)
    have = rng.integers(40, 200, (2, 3, 5))
    patterns = [(), ("he",), ("she",)]
    cells = {"labels": ["0", "1"], "patterns": patterns, "groups": ["she", "he"], "positive": "1"}
    found = wanted(step(within="length", **goal), have, **cells)
    assert found.want.shape == have.shape
    for bucket in range(5):
        alone = wanted(step(**goal), have[:, :, [bucket]], **cells)
        assert (found.want[:, :, [bucket]] == alone.want).all()


def test_within_length_an_empty_cell_is_named_with_its_lengths() -> None:
    counts = {("0", "gay"): 20, ("1", "gay"): 20, ("0", "none"): 20, ("1", "none"): 20}
    data = rows(counts, long=True)
    curation = run(data, plan(target="independent", within="length", method="over"))
    assert curation.report["steps"][0]["dropped"] == 0
    have = np.zeros((1, 2, 5), np.int64)
    have[0, :, 0] = 9, 9
    have[0, 0, 1] = 4
    with pytest.raises(InputError, match=r'texts of 82-158 characters: label "x" has no row of group "he" .*is 0'):
        wanted(
            step(level=1, within="length"), have, labels=["x"], patterns=[("she",), ("he",)], groups=["she", "he"],
            positive=None,
        )  # fmt: skip


def test_the_order_of_the_rows_never_matters() -> None:
    data = rows(RAW)
    (batch,) = list(data.batches())
    table = pa.table({"text": batch.text, "label": batch.label})
    back = evenset.data.open(table.take(list(range(len(table)))[::-1]), text="text", label="label", positive="1")
    for method in METHODS:
        one, two = (run(some, plan(log_ratio=0.3, method=method)).rows for some in (data, back))
        assert one is not None
        assert two is not None
        assert Counter(one["text"].to_pylist()) == Counter(two["text"].to_pylist())


def test_the_achieved_table_is_the_one_wanted() -> None:
    curation = run(rows(RAW), plan(log_ratio=0.3, method="mixed", labels="held"))
    assert curation.rows is not None
    got = Counter(
        (label, text.rsplit(" ", 2)[0])
        for text, label in zip(curation.rows["text"].to_pylist(), curation.rows["label"].to_pylist(), strict=True)
    )
    words = {"no group": "none", "gay": "gay", "asian": "asian", "asian + gay": "both"}
    changed = {(cell["label"], words[cell["group"]]): cell["after"] for cell in curation.report["steps"][0]["cells"]}
    assert {(label, WORDS[group]): n for (label, group), n in {**RAW, **changed}.items() if n} == dict(got)


def test_rows_without_labels_are_refused() -> None:
    with pytest.raises(InputError, match="--label"):
        run(evenset.data.open(pa.table({"text": ["a gay man"]}), text="text"), plan(log_ratio=0.1))


def test_a_ratio_that_cannot_move_is_nearest_where_it_is() -> None:
    have = np.array([[40, 40], [40, 0]])
    group = Contrast("g", 1, np.array([False, True]), np.array([True, False]))
    value, names = nearest(have, [group], method="over", held=False)
    assert names == ["g"]
    assert value <= abs(group.log_ratio(have)) + 1e-3
    assert within(have, [group], value, method="over", held=False) is not None
    assert contrasts_of(["0", "1"], [(), ("g",)], ["g"], "1", pair=False)[0].log_ratio(have) == group.log_ratio(have)


def test_tables_that_overshoot_are_tried_too_where_few_rows_are_touched() -> None:
    have = np.array([[37, 79], [28, 69]])
    group = Contrast("g", 1, np.array([False, True]), np.array([True, False]))
    found = within(have, [group], 0.0, method="mixed", held=False)
    assert found is not None
    assert int(np.abs(found - have).sum()) == 9
    assert worst(found, [group]) <= 1e-9


def test_the_nearest_is_found_also_where_it_is_small() -> None:
    have = np.array([[3_000, 30], [3, 300]])
    group = Contrast("g", 1, np.array([False, True]), np.array([True, False]))
    for method in ("under", "mixed"):
        value, _ = nearest(have, [group], method=method, held=False)
        assert within(have, [group], value, method=method, held=False) is not None
        lower = [value / 1.2, value / 1.5, value / 3]
        assert value <= 0.001 or all(within(have, [group], v, method=method, held=False) is None for v in lower)


@pytest.mark.real
def test_gab_needs_hardly_any_rows(shared_data) -> None:
    gab = evenset.data.open(shared_data / "gab" / "train.csv", text="text", label="label", positive="1")
    for method in ("under", "mixed"):
        report = run(gab, plan(log_ratio=0.2, method=method)).report["steps"][0]
        # Full independence takes 5,684.
        assert report["dropped"] + report["repeated"] < 500
