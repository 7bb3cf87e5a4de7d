"""[data.subsample]: a task of chosen skew, the same on every machine."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evenset.data
from evenset.data.config import SubsampleConfig
from evenset.data.errors import InputError
from evenset.data.subsample import cut, hidden_forms, subsample

LABELS = ("nurse", "judge", "poet")


def table(n=900, seed=0, order=None):
    rng = np.random.default_rng(seed)
    label = rng.choice(LABELS, n)
    pronoun = rng.choice(["she", "he", "they", "she and he"], n, p=[0.4, 0.4, 0.1, 0.1])
    text = [f"The {name} said {who} saw {i} {name}s." for i, (name, who) in enumerate(zip(label, pronoun, strict=True))]
    found = pa.table({"text": text, "job": label, "number": np.arange(n)})
    return found if order is None else found.take(pa.array(order))


def data(**options):
    return evenset.data.open(table(**options), text="text", label="job")


def rows_of(dataset):
    return pa.Table.from_batches([batch.table for batch in dataset.batches()])


def shares_of(found):
    counts = {}
    for text, label in zip(found["text"].to_pylist(), found["job"].to_pylist(), strict=True):
        counts.setdefault(label, []).append("she" in text.split())
    return {label: (len(seen), float(np.mean(seen))) for label, seen in counts.items()}


def test_each_label_gets_its_share_from_as_many_rows_as_that_allows():
    found = shares_of(rows_of(subsample(data(), SubsampleConfig(shares={"nurse": 0.9, "judge": 0.25, "poet": 0.5}))))
    for label, share in {"nurse": 0.9, "judge": 0.25, "poet": 0.5}.items():
        n, seen = found[label]
        assert n >= 100
        assert abs(seen - share) <= 0.5 / n + 1e-9


def test_only_rows_of_exactly_one_group_are_kept():
    found = rows_of(subsample(data(), SubsampleConfig(shares={"nurse": 0.5, "judge": 0.5})))
    words = [set(text.split()) & {"she", "he", "they"} for text in found["text"].to_pylist()]
    assert all(seen in ({"she"}, {"he"}) for seen in words)
    assert set(found["job"].to_pylist()) == {"nurse", "judge"}


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_may_be_nothing_or_all(share):
    found = shares_of(rows_of(subsample(data(), SubsampleConfig(shares={"nurse": share, "judge": 0.5}))))
    assert found["nurse"][1] == share
    assert found["nurse"][0] > 60


def test_max_rows_caps_and_min_rows_leaves_out_aloud():
    settings_ = SubsampleConfig(shares={"nurse": 0.5, "judge": 0.5, "poet": 0.999}, max_rows=80, min_rows=70)
    found = subsample(data(), settings_)
    assert {label: n for label, (n, _) in shares_of(rows_of(found)).items()} == {"nurse": 80, "judge": 80, "poet": 80}
    settings_ = SubsampleConfig(shares={"nurse": 0.5, "judge": 0.5, "poet": 0.999}, min_rows=200)
    found = subsample(data(), settings_)
    assert set(shares_of(rows_of(found))) == {"nurse", "judge"}
    assert any("left out" in note and "poet" in note for note in found.notes)


def test_too_few_labels_are_refused():
    with pytest.raises(InputError, match="fewer than two labels have 500 rows"):
        subsample(data(), SubsampleConfig(shares={"nurse": 0.5, "judge": 0.5}, min_rows=500))


def test_a_label_that_does_not_occur_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r'"nurze".* Did you mean "nurse"'):
        subsample(data(), SubsampleConfig(shares={"nurze": 0.5, "judge": 0.5}))


def test_a_mask_column_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match=r'mask_column: there is no column "jobs".* Did you mean "job"'):
        subsample(data(), SubsampleConfig(shares={"nurse": 0.5, "judge": 0.5}, mask_column="jobs"))


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(200)))
def test_the_order_of_the_rows_changes_no_draw(order):
    config = SubsampleConfig(shares={"nurse": 0.7, "judge": 0.3}, min_rows=10, max_rows=30)
    drawn = [sorted(rows_of(subsample(data(n=200, order=o), config))["number"].to_pylist()) for o in (None, order)]
    assert drawn[0] == drawn[1]


def test_the_word_is_hidden_wherever_it_stands_and_nothing_else_is():
    found = rows_of(subsample(data(), SubsampleConfig(shares={"nurse": 0.5, "judge": 0.5}, mask_column="job")))
    raw = table()["text"].to_pylist()  # the rows' numbers count from 0
    for number, text in zip(found["number"].to_pylist(), found["text"].to_pylist(), strict=True):
        words = raw[number].split()
        assert text == " ".join(["The", "_", *words[2:6], "_."])


@pytest.mark.parametrize(
    ("value", "text", "hidden"),
    [
        ("nurse", "Nurse's NURSES, nursery", "_'s _, nursery"),
        ("secretary", "secretaries and secretary", "_ and _"),
        ("coach", "coaches coached", "_ coached"),
        ("fireman", "two firemen", "two _"),
        ("police officer", "police officers: a police chief, an officer", "_: a police chief, an officer"),
        ("poète", "Les POÈTES", "Les _"),
    ],
)
def test_plurals_and_words_of_several_tokens(value, text, hidden):
    rows = [{"text": f"she {text}", "job": value}, {"text": f"he {text}", "job": value}] * 6
    rows += [{"text": "she x", "job": "b"}, {"text": "he x", "job": "b"}] * 6
    config = SubsampleConfig(shares={value: 0.5, "b": 0.5}, mask_column="job", min_rows=10)
    found = rows_of(subsample(evenset.data.open(rows, text="text", label="job"), config))
    assert {t for t, j in zip(found["text"].to_pylist(), found["job"].to_pylist(), strict=True) if j == value} == {
        f"she {hidden}",
        f"he {hidden}",
    }


def test_forms_of_nothing_are_none():
    assert hidden_forms("—") == ()


def test_cut_keeps_rows_of_one_text_together_and_loses_none():
    rows = pa.table({"text": [f"t{i % 300}" for i in range(900)], "label": ["a", "b", "c"] * 300, "n": range(900)})
    dataset = evenset.data.open(rows, text="text", label="label")
    parts = [rows_of(part) for part in cut(dataset, (0.6, 0.4))]
    assert sorted(n for part in parts for n in part["n"].to_pylist()) == list(range(900))
    assert not set(parts[0]["text"].to_pylist()) & set(parts[1]["text"].to_pylist())
    assert 0.5 < parts[0].num_rows / 900 < 0.7


def test_cut_keeps_what_the_columns_mean(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"body": "row {i}", "toxicity": {i / 400}, "w": 2}}\n' for i in range(400)))
    dataset = evenset.data.open(path, text="body", label="toxicity", label_threshold=0.5, weight="w")
    labels = {
        batch_label for part in cut(dataset, (0.5, 0.5)) for b in part.batches() for batch_label in b.label.to_pylist()
    }
    assert labels == {"0", "1"}
    weights = [b.weight for part in cut(dataset, (0.5, 0.5)) for b in part.batches()]
    assert (np.concatenate(weights) == 2).all()


def test_cut_refuses_shares_that_do_not_add_up_and_parts_without_rows():
    with pytest.raises(InputError, match="sum to 1"):
        cut(data(), (0.5, 0.4))
    with pytest.raises(InputError, match="too few"):
        cut(evenset.data.open([{"text": "a", "label": "x"}], text="text", label="label"), (0.5, 0.5))
