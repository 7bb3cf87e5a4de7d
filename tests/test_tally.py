"""The tally: exact counts that add in any order, with any cuts, and survive being written."""

import re
from collections import Counter
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenset.audit.counting import tally_batch
from evenset.audit.tally import UNIT, AxisNote, Cell, Coverage, GroupNote, LexiconNote, Tally, total
from evenset.data.axes import parse_axes
from evenset.data.dataset import Dataset
from evenset.data.errors import InputError
from evenset.data.scan import BUCKET_EDGES, Scanner, scan

SPECS = ["pronouns", "identity", "column:team", "pronouns+column:team"]
WORDS = {"she": ("she",), "he": ("he",), "both": ("she", "he"), "none": (), "gay": ("gay",), "many": ("gay", "muslim")}


def rows_of(draws):
    """(kind, label, weight, team, filler) to columns; what each row is a member of follows from its kind."""
    texts = [None if kind is None else " ".join(["so", *WORDS[kind], *["xx"] * fill]) for kind, *_, fill in draws]
    return pa.table(
        {
            "text": pa.array(texts, pa.string()),
            "label": pa.array([label for _, label, _, _, _ in draws], pa.string()),
            "w": pa.array([weight for _, _, weight, _, _ in draws], pa.float64()),
            "team": pa.array([team for _, _, _, team, _ in draws], pa.string()),
        }
    )


ROW = st.tuples(
    st.sampled_from([None, *WORDS]),
    st.sampled_from([None, "a", "b", "ü"]),
    st.sampled_from([0.0, 1.0, 0.1, 2.5, 1e6, 1 / 3]),
    st.sampled_from([None, "x", "y & z"]),
    st.sampled_from([0, 1, 30, 60, 200]),
)


def tally(table, *, weight="w", specs=SPECS, cuts=()):
    data = Dataset.of(table, text="text", label="label", weight=weight)
    axes = parse_axes(specs, names=data.names)
    scanner = Scanner(axes)
    parts = []
    for batch in data.batches():
        places = np.split(np.arange(batch.n), [cut for cut in cuts if 0 < cut < batch.n])
        parts += [Tally.of(scanner.scan(batch.take(at)), axes) for at in places if len(at)]
    return total(parts, start=Tally.zero(axes))


def padded(draws):
    """At least one label, without which no dataset can be opened."""
    return rows_of([*draws, ("none", "a", 1.0, None, 0)])


def slow(draws, axis):
    """The cells of the pronouns or team axis, counted row by row with exact fractions."""
    cells = {}
    for kind, label, weight, team, fill in [*draws, ("none", "a", 1.0, None, 0)]:
        words = () if kind is None else WORDS[kind]
        if axis == "pronouns":
            found = {word for word in words if word in ("she", "he")}
            groups = ("mixed",) if len(found) == 2 else tuple(sorted(found))
        else:
            groups = () if team is None else (team,)
        text = "" if kind is None else " ".join(["so", *words, *["xx"] * fill])
        bucket = sum(len(text) >= edge for edge in BUCKET_EDGES)
        rows, w, w2 = cells.get((label, groups, bucket), (0, 0, 0))
        exact = Fraction(weight)
        cells[label, groups, bucket] = (rows + 1, w + round(exact * UNIT), w2 + round(weight * weight * UNIT))
    return {key: Cell(*sums) for key, sums in cells.items()}


@settings(max_examples=60, deadline=None)
@given(st.lists(ROW, max_size=40))
def test_cells_are_those_of_a_slow_count(draws):
    counted = tally(padded(draws))
    assert counted.cells["pronouns"] == slow(draws, "pronouns")
    assert counted.cells["column:team"] == slow(draws, "team")
    assert counted.rows == len(draws) + 1
    assert counted.null_texts == sum(kind is None for kind, *_ in draws)
    assert counted.null_labels == sum(label is None for _, label, *_ in draws)
    assert counted.tokens == 1 + sum(0 if k is None else 1 + len(WORDS[k]) + fill for k, *_, fill in draws)


@settings(max_examples=40, deadline=None)
@given(st.lists(ROW, max_size=30), st.lists(st.integers(1, 30), max_size=4), st.randoms(use_true_random=False))
def test_neither_cuts_nor_order_matter(draws, cuts, random):
    whole = tally(padded(draws))
    assert tally(padded(draws), cuts=sorted(set(cuts))) == whole
    table = padded(draws)
    order = list(range(table.num_rows))
    random.shuffle(order)
    assert tally(table.take(order)) == whole


@settings(max_examples=40, deadline=None)
@given(st.lists(ROW, max_size=12), st.lists(ROW, max_size=12), st.lists(ROW, max_size=12))
def test_adding_is_commutative_and_associative_and_zero_changes_nothing(one, two, three):
    a, b, c = (tally(padded(draws)) for draws in (one, two, three))
    zero = Tally.zero(parse_axes(SPECS, names=["text", "label", "w", "team"]))
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + zero == a == zero + a
    assert total([c, a], start=b) == a + b + c


@settings(max_examples=40, deadline=None)
@given(st.lists(ROW, max_size=30))
def test_arrow_and_back_loses_nothing(draws):
    counted = tally(padded(draws))
    assert Tally.from_arrow(counted.to_arrow()) == counted
    again = Tally.from_arrow(tally(padded(draws[::-1])).to_arrow())
    assert again.to_arrow().to_pylist() == counted.to_arrow().to_pylist()


def test_sums_beyond_64_bits_survive(tmp_path):
    huge = Cell(2**40, 2**90, 3**60)
    counted = Tally(
        edges=(82,),
        axes={"identity": AxisNote("lexicon", {"gay": GroupNote(True, False, "orientation")})},
        lexicons={"identity": LexiconNote("1", "ab")},
        rows=2**40,
        cells={"identity": {(None, (), 0): huge, ('ha"r\x00d', ("gay", "ü & x"), 1): Cell(1, 0, 0)}},
        terms={"identity": {("gay", None): 2**50}},
        coverage={"identity": Coverage(3, 4)},
    )
    counted.save(tmp_path / "t.arrow")
    assert Tally.load(tmp_path / "t.arrow") == counted
    assert (counted + counted).cells["identity"][None, (), 0] == Cell(2**41, 2**91, 2 * 3**60)


def test_weights_are_exact_sums_in_steps_of_two_to_the_minus_20():
    table = pa.table({"text": ["she"] * 30_000, "label": ["a"] * 30_000, "w": [1e6] * 29_999 + [0.1]})
    counted = tally(table, specs=["pronouns"])
    cell = counted.cells["pronouns"]["a", ("she",), 0]
    assert cell == Cell(30_000, 29_999 * 10**6 * UNIT + round(0.1 * UNIT), 29_999 * 10**12 * UNIT + round(0.01 * UNIT))
    assert counted.weighted
    assert not tally(table, specs=["pronouns"], weight=None).weighted


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf"), 1.1e6])
def test_an_unusable_weight_names_its_row(weight):
    table = pa.table({"text": ["a", "b", "c"], "label": ["x", "y", "x"]})
    data = Dataset.of(table, text="text", label="label")
    axes = parse_axes(["pronouns"], names=data.names)
    (batch,) = data.batches()
    object.__setattr__(batch, "weight", np.array([1.0, 1.0, weight]))
    with pytest.raises(InputError, match="row 3 has the weight"):
        tally_batch(Scanner(axes).scan(batch), axes)


def test_a_form_counts_documents_not_tokens_and_a_long_form_is_not_its_parts():
    texts = ["gay gay gay", "an African-American man", "African American or african", "gay"]
    table = pa.table({"text": texts, "label": ["1", "0", "1", None]})
    data = Dataset.of(table, text="text", label="label")
    axes = parse_axes(["identity"], names=data.names)
    (scanned,) = scan(data, axes)
    terms = Tally.of(scanned, axes).terms["identity"]
    assert terms["gay", "1"] == 1
    assert terms["gay", None] == 1
    assert terms["african american", "0"] == terms["african american", "1"] == 1
    assert ("african", "0") not in terms
    assert terms["african", "1"] == 1


def test_coverage_is_rows_and_tokens_that_a_word_list_sees():
    counted = tally(
        pa.table({"text": ["she and her", "it", "he"], "label": ["a", "b", "a"]}), weight=None, specs=["pronouns"]
    )
    assert counted.coverage["pronouns"] == Coverage(2, 3)


def test_many_different_groups_are_counted_by_sorting_as_by_an_array(monkeypatch):
    draws = [
        (kind, label, 1.5, team, fill) for kind in WORDS for label in "ab" for team in "xy" for fill in (0, 60)
    ] * 3
    dense = tally(rows_of(draws))
    monkeypatch.setattr("evenset.audit.counting._DENSE", 0)
    assert tally(rows_of(draws)) == dense


@pytest.mark.parametrize(
    ("change", "what"),
    [({"edges": (1, 2)}, "length buckets"), ({"axes": {}}, "axes"), ({"lexicons": {}}, "word lists")],
)
def test_unlike_tallies_do_not_add(change, what):
    axes = parse_axes(["pronouns"], names=[])
    known = Tally.zero(axes)
    parts = {name: getattr(known, name) for name in ("edges", "axes", "lexicons", "cells", "terms", "coverage")}
    with pytest.raises(InputError, match=f"{what} differ"):
        known + Tally(**{**parts, **change})


def test_other_versions_of_a_word_list_do_not_add():
    axes = parse_axes(["pronouns"], names=[])
    known = Tally.zero(axes)
    other = Tally(known.edges, known.axes, {"pronouns": LexiconNote("0", "other")}, cells={"pronouns": {}})
    with pytest.raises(InputError, match="word lists differ"):
        known + other


@pytest.mark.parametrize("damage", ["short", "garbage", "missing", "foreign"])
def test_a_damaged_file_is_an_input_error_that_names_it(tmp_path, damage):
    path = tmp_path / "t.arrow"
    tally(padded([]), specs=["pronouns"], weight=None).save(path)
    if damage == "short":
        path.write_bytes(path.read_bytes()[:200])
    elif damage == "garbage":
        path.write_bytes(b"not a tally")
    elif damage == "missing":
        path.unlink()
    else:
        foreign = pa.table({"a": [1]})
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, foreign.schema) as file:
            file.write_table(foreign)
    with pytest.raises(InputError, match=re.escape(str(path))):
        Tally.load(path)


def test_a_flipped_byte_never_loads_as_another_tally(tmp_path):
    path = tmp_path / "t.arrow"
    counted = tally(padded([("she", "a", 1.0, "x", 0)]), specs=["pronouns"], weight=None)
    counted.save(path)
    content = path.read_bytes()
    for at in range(0, len(content), 31):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
        try:
            loaded = Tally.load(path)
        except InputError:
            continue
        assert loaded == counted


@pytest.mark.real
def test_gab_against_a_slow_count(shared_data):
    import csv

    path = shared_data / "gab" / "dev.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    terms = {"muslim", "muslims", "gay", "gays", "jewish"}
    slow_terms: Counter[tuple[str, str]] = Counter()
    pronouns: Counter[tuple[str, tuple[str, ...]]] = Counter()
    she, he = {"she", "her", "hers", "herself"}, {"he", "him", "his", "himself"}
    for text, label in rows:
        words = set(re.findall(r"[^\W_]+", text.casefold()))
        slow_terms.update((term, label) for term in terms & words)
        has = bool(words & she), bool(words & he)
        pronouns[label, {(True, True): "mixed", (True, False): "she", (False, True): "he"}.get(has, "")] += 1

    from evenset.data import open as open_data

    data = open_data(path)
    axes = parse_axes(["pronouns", "identity"], names=data.names)
    counted = total((Tally.of(scanned, axes) for scanned in scan(data, axes)), start=Tally.zero(axes))
    assert counted.rows == len(rows)
    for (term, label), documents in slow_terms.items():
        assert counted.terms["identity"][term, label] == documents
    for group in ("she", "he", "mixed"):
        for label in ("0", "1"):
            found = sum(
                cell.rows
                for (of, pattern, _), cell in counted.cells["pronouns"].items()
                if of == label and group in pattern
            )
            assert found == pronouns[label, group]
