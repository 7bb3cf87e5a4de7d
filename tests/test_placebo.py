"""Placebos: as much change as the step makes, at random, and not of the words it is about."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evenset.data
from evenset.curate import Curation, prepare, run
from evenset.curate.placebo import Vocabulary, _drawn
from evenset.data.config import Plan, parse
from evenset.data.tokens import tokenize


def plan(*steps: dict[str, object]) -> Plan:
    return parse({"plan": {"p": {"step": list(steps)}}}).plan["p"]


def rows(n: int = 120) -> pa.Table:
    rare = [f"rare{number}" for number in range(n)]
    texts = [
        f"The {('gay', 'asian', 'quiet')[number % 3]} man met {('friends', 'foes')[number % 2]} near {rare[number]}"
        for number in range(n)
    ]
    return pa.table({"text": texts, "label": [str(number % 4 == 0) for number in range(n)]})


def curate(step: dict[str, object], *, seed: int = 0, placebo: bool = True) -> Curation:
    return run(evenset.data.open(rows(), text="text", label="label"), plan(step), seed=seed, placebo=placebo)


SCRUB: dict[str, object] = {"do": "scrub", "axis": "identity"}
SWAP: dict[str, object] = {"do": "swap", "axis": "identity", "to": "random"}
AUGMENT = SWAP | {"mode": "augment"}


def per_row(curation: Curation) -> Counter[int]:
    return Counter(edit["position"] for edit in curation.ledger.to_pylist() if edit["op"] == "edit")


@pytest.mark.parametrize("step", [SCRUB, SCRUB | {"with": "drop"}, SWAP, AUGMENT])
def test_as_many_changes_in_the_same_rows_and_none_of_the_words(step: dict[str, object]) -> None:
    real, placebo = curate(step, placebo=False), curate(step)
    assert per_row(real) == per_row(placebo)
    assert real.report["counts"]["copies"] == placebo.report["counts"]["copies"]
    assert {edit["reason"] for edit in placebo.ledger.to_pylist() if edit["op"] == "edit"} == {"placebo"}
    assert not {edit["before"].strip() for edit in placebo.ledger.to_pylist() if edit["before"]} & {"gay", "asian"}
    assert placebo.rows is not None
    words = [set(text.split()) for text in placebo.rows["text"].to_pylist()]
    # The words of the step stay where they were, in the copies as well.
    assert sum(bool(text & {"gay", "asian"}) for text in words) == (160 if "mode" in step else 80)


def test_the_words_drawn_are_as_frequent_as_those_of_the_step() -> None:
    # gay and asian are in 40 rows each; of the other words only friends and foes (60) are in that band.
    edits = [edit["before"] for edit in curate(SCRUB).ledger.to_pylist()]
    assert set(edits) == {"friends", "foes"}


def test_draws_from_another_band_are_counted() -> None:
    row, lot = np.array([0, 0, 1]), np.arange(3, dtype=np.uint64)
    drawn, off_band = _drawn(row, np.array([3, 5, 4]), lot, np.array([0, 0, 1]), np.array([3, 3, 4]))
    assert sorted(drawn.tolist()) == [0, 1, 2]
    assert off_band == 1
    step = curate(SCRUB).report["steps"][0]
    assert 0 <= step["off_band"] <= step["edits"]
    assert "off_band" not in curate(SCRUB, placebo=False).report["steps"][0]


def test_masks_and_words_are_written_as_the_step_does() -> None:
    assert {edit["after"] for edit in curate(SCRUB | {"with": "[X]"}).ledger.to_pylist()} == {"[X]"}
    swapped = curate(SWAP).ledger.to_pylist()
    assert all(edit["after"] != edit["before"] for edit in swapped)
    assert {edit["after"] for edit in swapped} <= {"friends", "foes", "quiet"}


def test_drawn_afresh_for_each_seed_and_whatever_the_order() -> None:
    step = plan(SCRUB | {"groups": ["gay"]})
    table = pa.table({"text": [f"gay a{n} b{n} c{n} d{n}" for n in range(30)], "label": ["x", "y"] * 15})
    drawn = []
    for seed, order in ((0, 1), (0, -1), (1, 1)):
        data = evenset.data.open(table.take(list(range(30))[::order]), text="text", label="label")
        curation = run(data, step, seed=seed, placebo=True)
        assert curation.rows is not None
        drawn.append(curation.rows["text"].to_pylist()[::order])
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_a_row_without_other_words_is_counted_as_short() -> None:
    table = pa.table({"text": ["gay", "gay and more"], "label": ["x", "y"]})
    report = run(evenset.data.open(table, text="text", label="label"), plan(SCRUB), placebo=True).report
    assert report["steps"][0]["short"] == 1
    assert report["counts"]["edits"] == 1


def test_resampling_keeps_as_many_of_each_label_at_random() -> None:
    table = pa.table({
        "text": [f"{'She' if n % 3 else 'He'} works {n}" for n in range(90)] + [f"It works {n}" for n in range(30)],
        "label": [str(n % 2) for n in range(120)],
    })  # fmt: skip
    prepared = prepare(evenset.data.open(table, text="text", label="label"), ["pronouns"])
    for method in ("under", "over"):
        step = plan({"do": "resample", "axis": "pronouns", "level": 1.0, "method": method})
        real, placebo = run(prepared, step), run(prepared, step, placebo=True)
        assert real.rows is not None
        assert placebo.rows is not None
        assert Counter(real.rows["label"].to_pylist()) == Counter(placebo.rows["label"].to_pylist())
        assert set(real.rows["text"].to_pylist()) != set(placebo.rows["text"].to_pylist()) or method == "over"
        other = run(prepared, step, placebo=True, seed=1)
        assert other.rows is not None
        assert other.rows["text"].to_pylist() != placebo.rows["text"].to_pylist()


def test_copies_and_their_labels_are_as_many_after_a_selection_too() -> None:
    table = pa.table({
        "text": [f"{'She' if n % 3 else 'He'} works {n}" for n in range(60)], "label": [str(n % 2) for n in range(60)],
    })  # fmt: skip
    steps = plan(
        {"do": "swap", "axis": "pronouns", "mode": "augment"},
        {"do": "resample", "axis": "pronouns", "target": "independent"},
        {"do": "reweight", "axis": "pronouns"},
    )
    data = evenset.data.open(table, text="text", label="label")
    real, placebo = run(data, steps), run(data, steps, placebo=True)
    assert real.rows is not None
    assert placebo.rows is not None
    for label in "01":
        mine = [
            rows.filter(pa.compute.equal(rows["label"], label))["weight"].to_numpy()
            for rows in (real.rows, placebo.rows)
        ]
        assert np.sort(mine[0]) == pytest.approx(np.sort(mine[1]))


@settings(max_examples=25, deadline=None)
@given(
    texts=st.lists(
        st.lists(st.sampled_from(["gay", "asian", "a", "b", "c", "d", "e", "f", "The", "THE"]), max_size=8).map(
            " ".join
        ),
        min_size=1,
        max_size=12,
    )
)
def test_every_change_has_its_placebo_while_words_last(texts: list[str]) -> None:
    data = evenset.data.open(pa.table({"text": texts, "label": ["x"] * len(texts)}), text="text", label="label")
    real, placebo = run(data, plan(SCRUB)), run(data, plan(SCRUB), placebo=True)
    wanted, made = per_row(real), per_row(placebo)
    for at, text in enumerate(texts):
        others = sum(word not in ("gay", "asian") for word in text.split())
        assert made[at] == min(wanted[at], others)
    assert placebo.report["steps"][0]["short"] == sum(wanted.values()) - sum(made.values())


def test_bands_are_powers_of_two_of_document_counts() -> None:
    vocabulary = Vocabulary()
    vocabulary.add(tokenize(pa.array(["a a b", "A c", "a"])))
    vocabulary.add(tokenize(pa.array(["a b", ""])))
    assert vocabulary.documents == {"a": 4, "b": 2, "c": 1}
    assert vocabulary.bands(["a", "b", "c"]).tolist() == [2, 1, 0]
    assert vocabulary.words(1) == ["b"]
