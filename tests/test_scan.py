"""The one pass: in order, the same however the rows are cut into batches, and no work that nobody asked for."""

import threading

import pyarrow as pa
import pytest

from evenset.data import open as open_data
from evenset.data.axes import Axis, parse_axes
from evenset.data.dataset import Dataset
from evenset.data.errors import InputError
from evenset.data.lexicon import Form, Group, Lexicon, load
from evenset.data.scan import BUCKET_EDGES, Scanner, scan

ROWS = [f"Row {k}: {word} said é{'x' * (k * 7)}." for k, word in enumerate(["she", "he", "they", "a gay man", ""] * 12)]


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr("evenset.data.normalise.BATCH_ROWS", 7)
    monkeypatch.setattr("evenset.data.normalise._JOIN_ROWS", 7)


def dataset(rows=ROWS, **columns):
    return Dataset.of(
        pa.table({"text": rows, "label": [k % 2 for k in range(len(rows))], **columns}), text="text", label="label"
    )


def told(data, specs):
    axes = parse_axes(specs, names=data.names)
    rows = []
    for scanned in scan(data, axes):
        found = [[] for _ in range(scanned.batch.n)]
        for name, matches in scanned.matches.items():
            for row, start, end, form in zip(matches.row, matches.start, matches.end, matches.form, strict=True):
                found[row].append((name, int(start), int(end), int(form)))
        sets = {name: membership.sets() for name, membership in scanned.members.items()}
        for k in range(scanned.batch.n):
            groups = {name: of_rows[k] for name, of_rows in sets.items()}
            rows.append((scanned.batch.start + k, found[k], groups, int(scanned.bucket[k])))
    return rows


def test_however_the_rows_are_cut(monkeypatch):
    specs = ["pronouns", "identity", "column:label", "pronouns+identity"]
    whole = told(dataset(), specs)
    assert [row for row, *_ in whole] == list(range(len(ROWS)))
    assert whole[3][2] == {"pronouns": (), "identity": ("gay",), "column:label": ("1",), "pronouns+identity": ()}
    for size in (1, 7, 59):
        monkeypatch.setattr("evenset.data.normalise.BATCH_ROWS", size)
        monkeypatch.setattr("evenset.data.normalise._JOIN_ROWS", size)
        assert told(dataset(), specs) == whole


def test_buckets_count_characters_of_the_raw_text():
    lengths = [0, 81, 82, 158, 159, 280, 281, 535, 536, 9999]
    (scanned,) = scan(dataset(["é" * length for length in lengths]), [])
    assert scanned.bucket.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert BUCKET_EDGES == (82, 159, 281, 536)
    (scanned,) = scan(dataset(["", "中", "中文"]), [], edges=(2,))
    assert scanned.bucket.tolist() == [0, 0, 1]
    with pytest.raises(ValueError, match="ascend"):
        Scanner([], edges=(5, 5))


def test_text_is_tokenised_only_where_somebody_needs_it():
    data = dataset()
    column = parse_axes(["column:label"], names=data.names)
    assert [scanned.tokens for scanned in scan(data, column)] == [None]
    assert next(iter(scan(data, column, tokens=True))).tokens.n > 0
    (scanned,) = scan(data, parse_axes(["pronouns"], names=data.names))
    assert scanned.tokens.n_rows == len(ROWS)
    assert set(scanned.matches) == {"pronouns"}


def test_a_lexicon_of_several_axes_is_matched_once():
    data = dataset()
    scanner = Scanner(parse_axes(["pronouns", "pronouns+column:label", "identity"], names=data.names))
    assert set(scanner.matchers) == {"pronouns", "identity"}


def test_two_lexicons_of_one_name_are_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        '[lexicon]\nname = "identity"\nversion = "1"\nlanguage = "en"\nsource = "me"\nlicence = "CC0-1.0"\n'
        '[[group]]\naxis = "religion"\nname = "quaker"\nforms = ["quaker"]\n'
    )
    with pytest.raises(InputError, match='two different lexicons are called "identity"'):
        Scanner(parse_axes([f"lexicon:{path}", "identity+column:label"], names=["label"]))


def test_an_error_keeps_its_words_and_its_row(small_batches):
    toxic = ["0"] * len(ROWS)
    toxic[40] = "?"
    data = dataset(toxic=toxic)
    with pytest.raises(InputError, match="row 41"):
        list(scan(data, parse_axes(["column:toxic>=0.5"], names=data.names)))


def test_stopping_early_leaves_no_thread_behind(small_batches):
    before = threading.active_count()
    passing = scan(dataset(), parse_axes(["pronouns"], names=["text", "label"]))
    assert next(passing).batch.start == 0
    passing.close()
    assert threading.active_count() == before


def test_columns_of_axes_are_read_from_jsonl(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(
        '{"text": "she", "label": 1, "race": "a", "more": 1}\n{"text": "he", "label": 0, "race": "b", "more": 2}\n'
    )
    data = open_data(path, text="text", label="label")
    axes = parse_axes(["column:race", "pronouns"], names=data.names)
    for columns in (None, [], ["more"]):
        (scanned,) = scan(data, axes, columns=columns)
        assert scanned.members["column:race"].sets() == [("a",), ("b",)]
        assert ("more" in scanned.batch.table.schema.names) == (columns == ["more"])
    (scanned,) = scan(data, axes)
    assert "__line__" in scanned.batch.table.schema.names


@pytest.mark.real
def test_real_rows_with_several_terms(shared_data):
    terms = [group.name for group in load("identity").groups]
    groups = tuple(Group("identity", term) for term in terms)
    forms = tuple(Form(term, index, "0", ambiguous=False) for index, term in enumerate(terms))
    bare = Axis("bare", "lexicon", lexicon=Lexicon("bare", "1", "en", "-", "-", groups, forms, ""))
    data = open_data(shared_data / "gab" / "train.csv", text="text", label="label")
    sets = [found for scanned in scan(data, [bare]) for found in scanned.members["bare"].sets() if found]
    # An independent count, by a regular expression with the longest term first, gives the same numbers.
    assert (len(sets), sum(len(found) > 1 for found in sets), len(set(sets))) == (2410, 360, 226)
