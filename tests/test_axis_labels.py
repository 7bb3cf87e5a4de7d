"""Labels made of the text: the group of a lexicon that it mentions most."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evenset.audit
import evenset.curate
import evenset.data
from evenset.data import InputError
from evenset.data.config import inline_plan


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_the_label_is_the_group_mentioned_most():
    rows = [
        {"text": "The nurse and the nurses met a dentist.", "label": "x"},
        {"text": "A nurse met a dentist.", "label": "x"},
        {"text": "Nobody was there.", "label": "x"},
        {"text": "The model is a dentist.", "label": "x"},  # "model" is ambiguous
        {"text": "", "label": "x"},
    ]
    data = evenset.data.open(rows, text="text", label="axis:occupations")
    (batch,) = data.batches()
    assert batch.label.to_pylist() == ["nurse", None, None, "dentist", None]
    assert "of 5 rows 40 % mention none and 20 % several equally" in data.notes[-1]


def test_groups_that_exclude_each_other_make_no_label():
    rows = [
        {"text": "She told him that she left."},
        {"text": "He left. They know."},
        {"text": "Hers. They, they, they."},
    ]
    (batch,) = evenset.data.open(rows, text="text", label="axis:pronouns").batches()
    assert batch.label.to_pylist() == [None, "he", "she"]


mentions = st.lists(st.sampled_from(["nurse", "nurses", "dentist", "poet", "model", "sea"]), max_size=7)


@settings(max_examples=50, deadline=None)
@given(st.lists(mentions, min_size=1, max_size=6))
def test_labels_are_those_of_a_count_by_hand(found):
    rows = [{"text": "nurse"}, {"text": "poet"}, *({"text": ", ".join(row)} for row in found)]
    (batch,) = evenset.data.open(rows, text="text", label="axis:occupations").batches()
    for row, label in zip(found, batch.label.to_pylist()[2:], strict=True):
        count = {job: sum(word.rstrip("s") == job for word in row) for job in ("nurse", "dentist", "poet")}
        most = max(count.values())
        best = [job for job in count if count[job] == most]
        assert label == (best[0] if most and len(best) == 1 else None)


def test_labels_from_an_axis_do_not_depend_on_batches(tmp_path):
    rng = np.random.default_rng(0)
    some = ["nurse", "poet", "dentist", "tree", "nurse and poet"]
    rows = [{"text": f"A {some[k]}, he said.", "other": "x"} for k in rng.integers(0, 5, 500)]
    path = lines(tmp_path / "a.jsonl", rows)
    whole = evenset.data.open(path, text="text", label="axis:occupations")
    expected = [label for batch in whole.batches() for label in batch.label.to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet", row_group_size=7)
    again = evenset.data.open(tmp_path / "a.parquet", text="text", label="axis:occupations")
    assert [label for batch in again.batches() for label in batch.label.to_pylist()] == expected
    tally = evenset.audit.run(whole, ["pronouns"]).tally
    assert tally.null_labels == expected.count(None)
    assert tally.labels == ("dentist", "nurse", "poet")


def test_affect_knows_what_is_positive(tmp_path):
    said = ("She is brilliant.", "He is rude, lazy and kind of fine.")
    rows = [{"messages": [{"role": "assistant", "content": text}]} for text in said]
    data = evenset.data.open(lines(tmp_path / "a.jsonl", rows), label="axis:affect")
    assert data.columns.positive == "positive"
    assert [label for batch in data.batches() for label in batch.label.to_pylist()] == ["positive", "negative"]


def test_both_lists_of_affect_are_as_long_and_share_no_word():
    book = evenset.data.lexicon.load("affect")
    good, bad = ({form.text for form in book.forms_of(group)} for group in ("positive", "negative"))
    assert not good & bad
    slots = [{form.slot for form in book.forms_of(group)} for group in ("positive", "negative")]
    assert slots[0] == slots[1]
    assert len(slots[0]) >= 150
    assert book.licence == "CC0-1.0"


def test_a_lexicon_of_ones_own_labels(tmp_path):
    book = tmp_path / "mine.toml"
    book.write_text(
        '[lexicon]\nname = "mine"\nversion = "1"\nlanguage = "en"\nsource = "me"\nlicence = "CC0-1.0"\n'
        '[[group]]\naxis = "a"\nname = "cat"\nforms = ["cat"]\n[[group]]\naxis = "a"\nname = "dog"\nforms = ["dog"]\n',
        encoding="utf-8",
    )
    rows = [{"text": "A cat."}, {"text": "Dog, dog, cat."}]
    (batch,) = evenset.data.open(rows, text="text", label=f"axis:lexicon:{book}").batches()
    assert batch.label.to_pylist() == ["cat", "dog"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": "axis:occupation"}, r'--label "axis:occupation" means nothing.*Did you mean "occupations"'),
        ({"label": "axis:column:x"}, "say --label x"),
        ({"label": "axis:lexicon:none.toml"}, "none.toml"),
        ({"label": "axis:affect", "label_threshold": 0.5}, "labels that are numbers"),
        ({"label": "axis:affect", "positive": "postive"}, 'no group of axis:affect.*Did you mean "positive"'),
        ({"label": "axis:affect"}, 'no text of the table mentions a group of "axis:affect"'),
    ],
)
def test_labels_that_cannot_be(options, message):
    with pytest.raises(InputError, match=message):
        evenset.data.open([{"text": "Nothing here."}] * 3, text="text", **options)


def test_a_single_group_is_no_contrast():
    rows = [{"text": "A nurse."}, {"text": "Nurses."}]
    with pytest.raises(InputError, match='mention only one group of "axis:occupations", "nurse"; two are needed'):
        evenset.data.open(rows, text="text", label="axis:occupations", need_label=True)


def test_a_column_of_that_name_is_the_column():
    rows = [{"text": "A nurse.", "axis:occupations": "mine"}, {"text": "A poet.", "axis:occupations": "yours"}]
    (batch,) = evenset.data.open(rows, text="text", label="axis:occupations").batches()
    assert batch.label.to_pylist() == ["mine", "yours"]


def test_curate_writes_rows_with_labels_from_an_axis_and_takes_them_back(tmp_path):
    rows = [{"text": f"{'She' if k % 3 else 'He'} is a {'nurse' if k % 2 else 'poet'}, no. {k}."} for k in range(300)]
    path = lines(tmp_path / "a.jsonl", rows)
    data = evenset.data.open(path, text="text", label="axis:occupations")
    plan = inline_plan(["swap:pronouns", "resample:pronouns,target=independent"])
    evenset.curate.run(data, plan, out=tmp_path / "out")
    written = [json.loads(line) for line in (tmp_path / "out" / "data.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {tuple(row) for row in written} == {("text",)}
    back = evenset.curate.restore(
        tmp_path / "out" / "data.jsonl", tmp_path / "out" / "ledger.parquet", original=path, out=tmp_path / "back"
    )
    assert back.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("scrub:affect", 'step 1 .scrub.: the words of "affect" are what --label axis:affect labels rows by'),
        ("topup:pronouns,pool=none.csv", r"step 1 .topup.: .*makes labels of the text"),
    ],
)
def test_curate_leaves_the_words_of_the_label(step, message, tmp_path):
    data = evenset.data.open([{"text": "She is lazy."}, {"text": "He is reliable."}], text="text", label="axis:affect")
    with pytest.raises(InputError, match=message):
        evenset.curate.run(data, inline_plan([step]))
