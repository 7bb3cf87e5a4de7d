"""Hugging Face datasets, read and written as folders and objects; the library datasets itself says what is right."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import evenset.data
from evenset import audit, cli, curate
from evenset.data.config import inline_plan
from evenset.data.errors import InputError
from evenset.data.parts import cut

datasets = pytest.importorskip("datasets")
datasets.disable_progress_bars()

NAMES = ["fine", "toxic"]
FEATURES = datasets.Features(
    {
        "text": datasets.Value("string"),
        "label": datasets.ClassLabel(names=NAMES),
        "who": datasets.ClassLabel(names=["ann", "bob"]),
        "tags": datasets.Sequence(datasets.Value("int32")),
    }
)


def rows(n=60, *, missing=False):
    who = [k % 2 for k in range(n)]
    label = [int(k % 3 == 0 or (k % 2 == 0 and k % 5 == 0)) for k in range(n)]
    if missing:
        label[7] = -1
    text = [f"{('She', 'He')[k % 2]} ran {k} miles, said the {('gay', 'muslim', 'old')[k % 3]} man." for k in range(n)]
    return datasets.Dataset.from_dict(
        {"text": text, "label": label, "who": who, "tags": [[k, k + 1] for k in range(n)]}, features=FEATURES
    )


def read(source, **options):
    data = evenset.data.open(source, **options)
    batches = list(data.batches())
    return data, [v for b in batches for v in b.text.to_pylist()], [v for b in batches for v in b.label.to_pylist()]


def refuse(source, **options):
    with pytest.raises(InputError) as caught:
        evenset.data.open(source, **options)
    return str(caught.value)


@pytest.fixture
def both(tmp_path):
    whole = datasets.DatasetDict({"train": rows(), "test": rows(24)})
    whole.save_to_disk(str(tmp_path / "both"), num_shards={"train": 3, "test": 1})
    return tmp_path / "both"


# -- reading -----------------------------------------------------------------------------------------------------------


def test_a_split_is_named_behind_the_folder(both):
    expected = datasets.load_from_disk(str(both))["train"]
    data, text, label = read(f"{both}#train")
    assert data.form == "hf"
    assert len(list((both / "train").glob("*.arrow"))) == 3
    assert text == expected["text"][:]
    assert label == [NAMES[code] for code in expected["label"]]
    assert data.columns.positive == "toxic"
    assert read(both / "train")[1:] == (text, label)
    assert read(f"{both}#test")[1] == text[:24]


def test_splits_that_are_not_there_are_said(both):
    assert refuse(both).endswith(
        f'"{both}" holds several splits (train, test); name the one you want, for example "{both}#train"'
    )
    assert (
        refuse(f"{both}#tarin") == f'"{both}" has no split "tarin"; its splits are train, test. Did you mean "train"?'
    )
    assert "is not a folder of splits (it has no dataset_dict.json" in refuse(f"{both}/train#train")
    assert 'there is no file "' in refuse(f"{both}-not#train")


def test_a_folder_with_one_split_is_read(tmp_path):
    datasets.DatasetDict({"only": rows(6)}).save_to_disk(str(tmp_path / "one"))
    data, text, _ = read(tmp_path / "one")
    assert len(text) == 6
    assert 'the only split of "one" is read, "only"' in data.notes


def test_class_labels_have_their_names(tmp_path):
    rows(missing=True).save_to_disk(str(tmp_path / "in"))
    data, _, label = read(tmp_path / "in")
    assert label[:9] == ["toxic", "fine", "fine", "toxic", "fine", "fine", "toxic", None, "fine"]
    batch = next(data.batches())
    assert batch.column("who").to_pylist()[:2] == ["ann", "bob"]
    report = audit.run(evenset.data.open(tmp_path / "in"), axes=["column:who", "column:who>=0.5"], measures=["counts"])
    assert {found.group for found in report.findings if found.axis == "column:who"} >= {"ann", "bob"}
    assert set(report.coverage["labels"]) == set(NAMES)
    assert report.coverage["null_labels"] == 1
    assert report.coverage["labels"]["toxic"] == rows(missing=True)["label"][:].count(1)


def test_names_that_are_numbers_are_names(tmp_path):
    stars = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["1", "2", "3"])})
    values = datasets.Dataset.from_dict({"text": list("abcd"), "label": [0, 1, 2, 0]}, features=stars)
    values.save_to_disk(str(tmp_path / "stars"))
    assert read(tmp_path / "stars", text="text", label="label")[2] == ["1", "2", "3", "1"]
    assert read(values, text="text", label="label", positive="1")[0].columns.positive == "1"
    assert "which is neither a name nor an index of 0 to 2" in _refused_rows(values, stars)


def _refused_rows(values, features):
    table = values.with_format("arrow")[:]
    table = table.set_column(1, "label", pa.array([0, 1, 2, 7])).replace_schema_metadata(features.arrow_schema.metadata)
    with pytest.raises(InputError) as caught:
        list(evenset.data.open(table, text="text", label="label").batches())
    return str(caught.value)


def test_a_parquet_file_of_the_hub_has_the_names_too(tmp_path):
    rows().to_parquet(str(tmp_path / "hub.parquet"))
    assert read(tmp_path / "hub.parquet")[2] == [NAMES[code] for code in rows()["label"]]


def old_folder(place, order):
    """As datasets wrote selected rows before it flattened them: all rows, and a file that says which count."""
    rows().save_to_disk(str(place), num_shards=2)
    index = pa.table({"indices": pa.array(order, pa.uint64())})
    with pa.OSFile(str(place / "indices.arrow"), "wb") as file, pa.ipc.new_stream(file, index.schema) as writer:
        writer.write_table(index)
    state = json.loads((place / "state.json").read_text())
    state["_indices_data_files"] = [{"filename": "indices.arrow"}]
    (place / "state.json").write_text(json.dumps(state))
    return place


def test_rows_behind_an_index(tmp_path):
    order = [50, 3, 3, 41, *range(10, 30)]
    place = old_folder(tmp_path / "old", order)
    expected = rows().select(order)
    data, text, label = read(place)
    assert text == expected["text"][:]
    assert label == [NAMES[code] for code in expected["label"]]
    assert sum(sum(b.n for b in part.dataset.batches()) for part in cut(data, 3)) == len(order)
    assert data.sha256() != evenset.data.open(old_folder(tmp_path / "other", order[:-1])).sha256()
    assert [b.table.schema.names for b in data.batches(columns=["who"])] == [["text", "label", "who"]]
    curate.run(data, inline_plan(["scrub:pronouns"]), out=tmp_path / "out")
    again = datasets.load_from_disk(str(tmp_path / "out" / "data"))
    assert again["text"][0] == expected["text"][0].replace("She", "_")
    assert again["tags"][:] == expected["tags"][:]
    curate.restore(tmp_path / "out" / "data", tmp_path / "out" / "ledger.parquet", out=tmp_path / "back")
    assert datasets.load_from_disk(str(tmp_path / "back" / "data"))["text"][:] == text


def test_an_index_that_lacks_or_leaves_the_folder(tmp_path):
    place = old_folder(tmp_path / "old", [1, 2])
    (place / "indices.arrow").unlink()
    assert refuse(place).endswith("lacks indices.arrow, which its state.json names")
    state = json.loads((place / "state.json").read_text())
    state["_data_files"] = [{"filename": "../secret.arrow"}]
    (place / "state.json").write_text(json.dumps(state))
    (tmp_path / "secret.arrow").write_bytes(b"")
    assert "lacks ../secret.arrow" in refuse(place)


def test_an_index_beyond_the_rows_is_one_message(tmp_path):
    with pytest.raises(InputError, match="data-00000-of-00002"):
        read(old_folder(tmp_path / "old", [1, 99]))


# -- objects -----------------------------------------------------------------------------------------------------------


def test_objects_in_memory_read_as_their_folders(tmp_path):
    chosen = rows().shuffle(seed=3).filter(lambda row: row["label"] == 1 or row["who"] == 0)
    chosen.save_to_disk(str(tmp_path / "in"))
    data, text, label = read(chosen)
    assert (text, label) == read(tmp_path / "in")[1:]
    assert data.columns.label_names == tuple(NAMES)
    assert read(datasets.DatasetDict({"train": chosen}))[1] == text
    assert 'holds several splits (train, test); give the one you want, for example data["train"]' in refuse(
        datasets.DatasetDict({"train": chosen, "test": chosen})
    )
    assert "is streamed" in refuse(chosen.to_iterable_dataset())


def test_tables_of_other_libraries():
    frame = pd.DataFrame({"text": ["She ran.", "He ran."], "label": pd.Categorical(["a", "b"]), "n": [1, 2]})
    expected = read(frame)[1:]

    class Exporter:
        def __arrow_c_stream__(self, requested_schema=None):
            return pa.Table.from_pandas(frame).__arrow_c_stream__(requested_schema)

    assert read(Exporter())[1:] == expected
    polars = pytest.importorskip("polars")

    class Views:  # what polars exports has strings of another kind
        def __arrow_c_stream__(self, requested_schema=None):
            return polars.from_pandas(frame).__arrow_c_stream__(requested_schema)

    for given in (polars.from_pandas(frame), Views()):
        data, *found = read(given)
        assert tuple(found) == expected
        assert data.source.schema.field("text").type == pa.large_string()
    assert "cannot read rows from a" in refuse(object())


# -- writing -----------------------------------------------------------------------------------------------------------


def test_a_curated_folder_loads_with_its_features(both, tmp_path, capsys):
    source = datasets.load_from_disk(str(both))["train"]
    line = ["--do", "swap:pronouns,mode=augment", "--do", "reweight:column:who", "--out", str(tmp_path / "out")]
    assert cli.invoke(["curate", f"{both}#train", *line]) == 0, capsys.readouterr().err
    again = datasets.load_from_disk(str(tmp_path / "out" / "data"))
    assert dict(again.features.items()) == {
        **dict(source.features.items()),
        "weight": datasets.Value("float64"),
        "evenset_parent": datasets.Value("string"),
    }
    own = again.filter(lambda row: row["evenset_parent"] is None)
    assert own["text"][:] == source["text"][:]
    assert own["label"][:] == source["label"][:]
    assert own["tags"][:] == source["tags"][:]
    copies = again.filter(lambda row: row["evenset_parent"] is not None)
    assert len(copies) == len(source)
    assert again.with_format("numpy")["weight"][:].min() > 0
    assert "audit" not in {path.name for path in (tmp_path / "out").iterdir()}
    # What is written is read: by evenset and by datasets, which keeps working on it.
    assert read(tmp_path / "out" / "data")[2] == [NAMES[code] for code in again["label"]]
    assert again.train_test_split(0.5, seed=0)["train"].features["label"].names == NAMES


def test_rows_of_a_pool_get_the_number_of_their_label(tmp_path):
    rows().save_to_disk(str(tmp_path / "in"))
    pd.DataFrame({"comment": [f"A gay person and a muslim, line {k}, all well." for k in range(80)]}).to_csv(
        tmp_path / "pool.csv", index=False
    )
    plan = inline_plan([f"topup:identity,pool={tmp_path / 'pool.csv'},pool_text=comment"])
    curation = curate.run(tmp_path_dataset(tmp_path / "in"), plan, out=tmp_path / "out")
    again = datasets.load_from_disk(str(tmp_path / "out" / "data"))
    added = again.filter(lambda row: (row["evenset_parent"] or "").startswith("pool:"))
    assert len(added) > 0
    assert set(added["label"]) == {NAMES.index("fine")}
    assert curation.to_dataset().features == again.features


def tmp_path_dataset(place):
    return evenset.data.open(place, positive="toxic")


@pytest.mark.parametrize("form", ["hf", "parquet", "csv", "jsonl"])
def test_curated_rows_as_tables(form, tmp_path):
    values = rows().remove_columns("tags")
    plain = values.to_pandas().assign(label=[NAMES[code] for code in values["label"]])
    source = tmp_path / f"in.{form}"
    {
        "hf": lambda: values.save_to_disk(str(source)),
        "parquet": lambda: values.to_parquet(str(source)),
        "csv": lambda: plain.to_csv(source, index=False),
        "jsonl": lambda: plain.to_json(source, orient="records", lines=True),
    }[form]()
    plan = inline_plan(["resample:pronouns,level=1", "reweight:column:who"])
    written = curate.run(evenset.data.open(source), plan, out=tmp_path / "out").to_pandas()
    held = curate.run(values, plan)
    expected = held.to_pandas()
    if form in ("csv", "jsonl"):
        expected["label"] = [NAMES[code] for code in expected["label"]]
    pd.testing.assert_frame_equal(written, expected, check_dtype=False)
    made = held.to_dataset()
    assert made.features["label"].names == NAMES
    assert made["weight"][:] == expected["weight"].tolist()


def test_a_dry_run_has_no_rows():
    found = curate.run(rows(), inline_plan(["scrub:pronouns"]), dry_run=True)
    with pytest.raises(InputError, match="a dry run keeps no rows"):
        found.to_pandas()


def test_columns_of_the_same_name_are_refused_in_memory_too():
    own = rows().add_column("weight", list(range(60)))
    with pytest.raises(InputError, match='the data have a column "weight" of their own'):
        curate.run(own, inline_plan(["reweight:pronouns"])).to_table()


def test_a_null_text_stays_null():
    table = pa.table({"text": ["She ran.", None, "He ran."], "label": ["a", "b", "b"]})
    assert curate.run(table, inline_plan(["scrub:pronouns"])).to_table()["text"].to_pylist() == [
        "_ ran.",
        None,
        "_ ran.",
    ]


# -- scikit-learn ------------------------------------------------------------------------------------------------------


def test_sample_weight_straight_from_the_curated_file(tmp_path):
    """Kamiran and Calders' weights by hand, P(a)P(y)/P(a, y), train the model that the curated file's column trains."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    values = rows(90).to_pandas().drop(columns="tags")
    values.to_parquet(tmp_path / "in.parquet")
    data = evenset.data.open(tmp_path / "in.parquet")
    curate.run(data, inline_plan(["reweight:column:who,cap=1000"]), out=tmp_path / "out")
    frame = pd.read_parquet(tmp_path / "out" / "data.parquet")
    together = values.groupby(["who", "label"])["text"].transform("size")
    margins = values.groupby("who")["text"].transform("size") * values.groupby("label")["text"].transform("size")
    by_hand = (margins / (len(values) * together)).to_numpy()
    assert by_hand.std() > 0.05
    np.testing.assert_allclose(frame["weight"], by_hand, rtol=1e-9)
    words = CountVectorizer().fit_transform(frame["text"])
    fits = [LogisticRegression().fit(words, frame["label"], sample_weight=w) for w in (frame["weight"], by_hand)]
    np.testing.assert_allclose(fits[0].coef_, fits[1].coef_, rtol=1e-5, atol=1e-8)
    assert np.abs(fits[0].coef_ - LogisticRegression().fit(words, frame["label"]).coef_).max() > 1e-3


@pytest.mark.real
def test_gab_as_a_folder_audits_as_the_file(shared_data, tmp_path):
    frame = pd.read_csv(shared_data / "gab" / "train.csv", usecols=["text", "label"], keep_default_na=False)
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "hate"])})
    whole = datasets.Dataset.from_dict(frame.to_dict("list"), features=features)
    whole.save_to_disk(str(tmp_path / "gab"), num_shards=4)
    frame.assign(label=["no" if code == 0 else "hate" for code in frame["label"]]).to_csv(
        tmp_path / "gab.csv", index=False
    )
    found = [
        audit.run(evenset.data.open(source), axes=["identity"], measures=["counts"])
        for source in (tmp_path / "gab", tmp_path / "gab.csv")
    ]
    assert found[0].to_dict()["findings"] == found[1].to_dict()["findings"]
    assert found[0].to_dict()["yardsticks"] == found[1].to_dict()["yardsticks"]
    curation = curate.run(evenset.data.open(tmp_path / "gab"), inline_plan(["reweight:identity"]), out=tmp_path / "out")
    made = curation.to_dataset()
    assert made.features["label"].names == ["no", "hate"]
    assert made["text"][:] == whole["text"][:]
    np.testing.assert_allclose(np.mean(made["weight"][:]), 1, rtol=1e-9)
