"""Proxies: the planted ones are found, nothing is found where nothing is planted, and each rule keeps something out."""

import csv
import json
import math
import re
from collections import Counter

import pyarrow as pa
import pytest

from evenset.audit.proxies import definitional_words, proxies
from evenset.audit.sides import sides_of
from evenset.audit.tally import Tally, total
from evenset.data.axes import parse_axes
from evenset.data.dataset import Dataset
from evenset.data.errors import InputError
from evenset.data.sample import bios, comments
from evenset.data.scan import scan


def tally_of(table, *specs, label="label", words=True):
    data = table if isinstance(table, Dataset) else Dataset.of(table, text="text", label=label)
    axes = parse_axes(specs, names=data.names)
    parts = (Tally.of(scanned, axes, words=words) for scanned in scan(data, axes, tokens=True))
    return total(parts, start=Tally.zero(axes, words=words))


def made(*parts):
    """Rows of (how many, text, label)."""
    return pa.table(
        {
            "text": [text for n, text, _ in parts for _ in range(n)],
            "label": [label for n, _, label in parts for _ in range(n)],
        }
    )


def summary(report):
    return [(proxy.word, proxy.group) for proxy in report.proxies]


@pytest.fixture(scope="module")
def planted():
    table, truth = bios(6000, 7)
    return tally_of(table, "pronouns"), truth


def test_planted_proxies_come_out_on_top(planted):
    tally, truth = planted
    report = proxies(tally, "pronouns")
    wanted = {(one["word"], one["group"]): one["strength"] for one in truth["proxies"]}
    found = summary(report)
    hits = [name for name in found if name in wanted]
    assert len(hits) >= 0.9 * len(wanted)
    assert len(hits) >= 0.9 * len(found)
    assert found[: len(hits)] == hits
    assert not {proxy.word for proxy in report.proxies} & set(truth["neutral_words"])
    for proxy in report.proxies[: len(hits)]:
        assert abs(math.log(proxy.odds_ratio) - wanted[proxy.word, proxy.group]) < 0.5
        assert proxy.auc > 0.5 + 0.02 * wanted[proxy.word, proxy.group] / 2
    strengths = [wanted[name] for name in hits]
    assert strengths[:2] == [2.2, 2.2]
    assert sorted(strengths[-2:]) == [0.7, 0.7]
    assert report.status == "found"


@pytest.mark.slow
def test_planted_proxies_over_seeds():
    precision, recall = [], []
    for seed in range(100, 108):
        table, truth = bios(6000, seed)
        found = summary(proxies(tally_of(table, "pronouns"), "pronouns"))
        wanted = {(one["word"], one["group"]) for one in truth["proxies"]}
        precision.append(len(wanted & set(found)) / max(len(found), 1))
        recall.append(len(wanted & set(found)) / len(wanted))
    assert sum(precision) / 8 >= 0.95
    assert sum(recall) / 8 >= 0.95


def test_nothing_is_found_where_nothing_is_planted():
    # In 500 such samples 5 had a proxy; among 10 more than 1 would be a wonder.
    assert (
        sum(bool(proxies(tally_of(bios(900, seed, bias=0.0)[0], "pronouns"), "pronouns").proxies) for seed in range(10))
        <= 1
    )


@pytest.mark.slow
def test_nothing_is_found_in_comments_where_nothing_is_planted():
    tallies = (tally_of(comments(2500, seed, bias=0.0)[0], "identity") for seed in range(12))
    assert sum(bool(proxies(tally, "identity").proxies) for tally in tallies) <= 2


def test_a_word_of_the_task_is_no_proxy():
    # "uniform" stands with nurses, most of whom are she; among nurses it says less about she than about being one.
    table = made(
        (160, "she wears a uniform", "nurse"), (15, "he wears a uniform", "nurse"), (20, "she is kind", "nurse"),
        (10, "he is kind", "nurse"), (15, "she wears a uniform", "judge"), (4, "he wears a uniform", "judge"),
        (120, "she is kind", "judge"), (150, "he is kind", "judge"), (40, "she sings", "judge"),
        (5, "he sings", "nurse"), (40, "she sings", "nurse"), (5, "he sings", "judge"),
    )  # fmt: skip
    report = proxies(tally_of(table, "pronouns"), "pronouns")
    assert "uniform" in {one.word for one in report.near if one.kind == "task"}
    assert ("sings", "she") in summary(report)
    uniform = next(one for one in report.near if one.word == "uniform")
    assert uniform.about_label > uniform.about_group > 0
    assert "label" in uniform.why


LEANS = {f"w{k}": (0.1 * (-1) ** k, 0.02, 1.0) for k in range(50)}


@pytest.mark.parametrize(
    ("lean", "why"),
    [
        ((0.4, 0.1, 1.0), ""),
        ((-0.4, 0.1, 1.0), "other side"),
        ((0.4, 0.3, 0.7), "70%"),
        ((0.01, 0.001, 1.0), "hardly"),
        (None, "nothing sure"),
    ],
)
def test_a_word_whose_vectors_do_not_bear_it_out_is_listed_as_unstable(planted, lean, why):
    tally, _ = planted
    leans = {**LEANS, **({} if lean is None else {"ballet": lean})}
    report = proxies(tally, "pronouns", femaleness=leans)
    everything = {one.word: one for one in (*report.proxies, *report.near)}
    ballet = everything["ballet"]
    assert ballet.kind == ("unstable" if why else "proxy")
    assert why in ballet.why
    assert ballet.femaleness == (None if lean is None else lean[0])
    assert everything["rugby"].kind == "unstable"  # no vector at all


def test_longer_texts_of_one_side_make_no_proxies():
    # Texts with she are twice as long: every word is more frequent among them.
    table = {"text": [], "label": []}
    for k in range(400):
        for who, length in (("she", 20), ("he", 10)):
            table["text"].append(" ".join([who, *(f"w{(7 * k + 3 * j) % 40}" for j in range(length))]))
            table["label"].append(str(k % 2))
    report = proxies(tally_of(pa.table(table), "pronouns"), "pronouns")
    assert report.near_counts["length"] > 0
    assert len(report.proxies) <= report.near_counts["length"] / 3


def test_opposite_signs_in_different_labels_are_told():
    table = made(
        (60, "she sings", "a"), (20, "he sings", "a"), (140, "she runs", "a"), (180, "he runs", "a"),
        (20, "she sings", "b"), (60, "he sings", "b"), (180, "she runs", "b"), (140, "he runs", "b"),
    )  # fmt: skip
    report = proxies(tally_of(table, "pronouns"), "pronouns")
    assert summary(report) == []
    assert {one.word for one in report.near} == {"sings", "runs"}
    assert {one.kind for one in report.near} == {"opposed"}
    assert report.status == "none"


def test_words_that_name_the_groups_are_left_out():
    table = made((60, "she is a mother and dances", "a"), (60, "he is a father and boxes", "a"), (9, "it rains", "b"))
    tally = tally_of(table, "pronouns")
    assert {"she", "he", "mother", "father", "mary"} <= definitional_words(tally, "pronouns")
    assert set(summary(proxies(tally, "pronouns"))) == {("dances", "she"), ("boxes", "he")}
    assert {"mother", "she"} <= {proxy.word for proxy in proxies(tally, "pronouns", definitional=()).proxies}
    identity = tally_of(made((30, "an African-American and a gay writer", "a")), "identity")
    assert {"african", "american", "gay"} <= definitional_words(identity, "identity")
    faith = Dataset.of(pa.table({"text": ["mother"] * 4, "label": ["a", "b"] * 2, "faith": ["x", "y"] * 2}))
    assert "mother" not in definitional_words(tally_of(faith, "column:faith"), "column:faith")
    sex = Dataset.of(pa.table({"text": ["mother"] * 4, "label": ["a", "b"] * 2, "sex": ["F", "M"] * 2}))
    assert "mother" in definitional_words(tally_of(sex, "column:sex"), "column:sex")


GROUPS = made(
    (50, "a muslim and his mosque", "a"), (50, "a jewish man writes", "a"), (50, "a catholic man writes", "a"),
    (40, "a muslim and his mosque", "b"), (40, "a jewish man writes", "b"), (40, "a catholic man writes", "b"),
    (500, "the man writes a letter", "a"), (500, "nobody writes a letter", "b"), (40, "a muslim and a jewish man", "a"),
)  # fmt: skip


def test_of_several_groups_each_is_compared_with_the_others():
    tally = tally_of(GROUPS, "identity")
    report = proxies(tally, "identity", definitional={"muslim", "jewish", "catholic"})
    assert {("mosque", "muslim"), ("writes", "jewish")} <= set(summary(report))
    assert "letter" not in {proxy.word for proxy in report.proxies}
    mosque = next(proxy for proxy in report.proxies if proxy.word == "mosque")
    assert (mosque.n, mosque.group_n, mosque.against) == (90, 90, "others")
    # Against all rows that do not name the group, rows with both count too, and so do rows without any.
    rest = proxies(tally, "identity", against="rest", definitional={"muslim", "jewish", "catholic"})
    assert ("mosque", "muslim") in summary(rest)
    sides = {one.first: one for one in sides_of(tally, "identity", against="rest")}
    assert sides["muslim"].rows.sum(axis=1).tolist() == [130, 1180]
    assert sides["muslim"].second == "not muslim"
    with pytest.raises(InputError, match="contrasts no two groups"):
        proxies(tally, "identity", femaleness=LEANS)


def test_an_axis_of_one_group_is_compared_with_the_rest():
    table = GROUPS.append_column("score", pa.array([1.0] * 50 + [0.0] * 100 + [1.0] * 40 + [0.0] * 1120))
    tally = tally_of(table, "column:score>=0.5")
    (sides,) = sides_of(tally, "column:score>=0.5")
    assert (sides.first, sides.second) == ("score", "not score")
    assert sides.rows.sum(axis=1).tolist() == [90, 1220]
    assert ("mosque", "score") in summary(proxies(tally, "column:score>=0.5"))
    with pytest.raises(InputError, match="one group"):
        proxies(tally, "column:score>=0.5", against="others")


def test_one_label_and_no_label_are_said():
    rows = (80, "she dances", "a"), (80, "he boxes", "a")
    one = proxies(tally_of(made(*rows), "pronouns"), "pronouns")
    assert set(summary(one)) == {("dances", "she"), ("boxes", "he")}
    assert "fewer than two labels" in one.note
    assert math.isnan(one.proxies[0].about_label)
    assert one.to_dict()["proxies"][0]["about_label"] is None
    assert "one label" in one.proxies[0].why
    unlabelled = pa.table({"text": ["she dances", "he boxes"] * 80, "label": pa.array([None] * 160, pa.string())})
    data = Dataset.of(unlabelled.append_column("other", pa.array(["x"] * 160)), text="text", label="other")
    axes = parse_axes(["pronouns"], names=data.names)
    (batch,) = data.batches()
    object.__setattr__(batch, "label", None)
    from evenset.data.scan import Scanner

    none = proxies(Tally.of(Scanner(axes, tokens=True).scan(batch), axes, words=True), "pronouns")
    assert set(summary(none)) == {("dances", "she"), ("boxes", "he")}
    assert "fewer than two labels" in none.note


@pytest.mark.parametrize(
    ("table", "note"),
    [
        (made((80, "she dances", "a"), (80, "it rains", "b")), "nothing to compare"),
        (made((80, "she dances", "a"), (80, "he boxes", "b")), "nothing to compare"),
        (made((80, "it rains", "a"), (80, "it snows", "b")), "nothing to compare"),
        (made((20, "she dances", "a"), (80, "he boxes", "a")), "the smaller side has 20 rows; 30 are needed"),
        (
            pa.table({"text": [f"{who} x{k}" for k in range(40) for who in ("she", "he")], "label": ["a"] * 80}),
            "stands in 20 documents",
        ),
    ],
)
def test_where_nothing_can_be_tested_it_is_unclear_and_said_why(table, note):
    report = proxies(tally_of(table, "pronouns"), "pronouns")
    assert report.status == "unclear"
    assert note in report.note
    assert report.proxies == report.near == ()
    assert report.tested == 0
    json.dumps(report.to_dict(), allow_nan=False)


def test_an_axis_without_groups_that_set_a_status_is_unclear():
    data = Dataset.of(pa.table({"text": ["a", "b"], "label": ["a", "b"], "team": pa.array([None, None], pa.string())}))
    report = proxies(tally_of(data, "column:team"), "column:team")
    assert report.status == "unclear"
    assert "no group" in report.note


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"axis": "pronuns"}, 'no axis "pronuns".*pronouns'),
        ({"minimum": 0}, "minimum is 0"),
        ({"rate": 1.0}, "rate"),
        ({"limit": -0.1}, "limit"),
    ],
)
def test_wrong_arguments_are_input_errors(planted, change, message):
    arguments = {"axis": "pronouns", **change}
    with pytest.raises(InputError, match=message):
        proxies(planted[0], **arguments)


def test_a_tally_without_words_is_refused():
    with pytest.raises(InputError, match="counts no words"):
        proxies(tally_of(made((3, "she", "a"), (3, "he", "b")), "pronouns", words=False), "pronouns")


def test_a_sketch_keeps_strong_proxies_and_says_its_bound(planted):
    table, truth = bios(3000, 3)
    exact = proxies(tally_of(table, "pronouns"), "pronouns")
    rough = tally_of(table, "pronouns", words=1000)
    assert rough.words.bound > 0
    report = proxies(rough, "pronouns")
    assert report.bound == rough.words.bound
    assert "may fall short" in report.note
    assert set(summary(report)) <= set(summary(exact))
    assert {("ballet", "she"), ("rugby", "he")} <= set(summary(report))
    assert truth["proxies"]


def test_the_report_is_json_and_a_table(planted):
    report = proxies(planted[0], "pronouns")
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert data["proxies"][0]["word"] == report.proxies[0].word
    assert data["tested"] + data["rare"] + data["definitional"] >= data["seen"]
    assert data["limit"] == 1.25
    frame = report.to_frame()
    assert len(frame) == len(report.proxies) + len(report.near)
    assert list(frame["word"])[: len(report.proxies)] == [word for word, _ in summary(report)]
    assert proxies(planted[0], "pronouns").to_dict() == report.to_dict()


def test_renaming_the_groups_only_renames_the_findings():
    table, _ = bios(2000, 5)
    she, he = r"\b(?:she|her|hers|herself)\b", r"\b(?:he|him|his|himself)\b"
    turn = {
        "she": lambda text: re.sub(she, "he", text, flags=re.IGNORECASE),
        "he": lambda text: re.sub(he, "she", text, flags=re.IGNORECASE),
    }
    rows = [row for row in table.to_pylist() if row["group"] in turn]
    one = pa.table({"text": [row["text"] for row in rows], "label": [row["label"] for row in rows]})
    texts = [turn[row["group"]](row["text"]) for row in rows]
    before = proxies(tally_of(one, "pronouns"), "pronouns")
    after = proxies(tally_of(one.set_column(0, "text", pa.array(texts)), "pronouns"), "pronouns")
    names = {"she": "he", "he": "she"}
    assert len(before.proxies) > 8
    assert [(proxy.word, names[proxy.group], proxy.n) for proxy in after.proxies] == [
        (proxy.word, proxy.group, proxy.n) for proxy in before.proxies
    ]
    for one_proxy, other in zip(before.proxies, after.proxies, strict=True):
        assert one_proxy.odds_ratio == pytest.approx(other.odds_ratio)
        assert one_proxy.q == pytest.approx(other.q, rel=1e-6)


@pytest.mark.real
def test_gab_against_a_slow_count(shared_data):
    path = shared_data / "gab" / "train.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(set(re.findall(r"[^\W_]+", row["text"].casefold())), row["label"]) for row in csv.DictReader(file)]
    she, he = {"she", "her", "hers", "herself"}, {"he", "him", "his", "himself"}
    sides = [(words, label, bool(words & she)) for words, label in rows if bool(words & she) != bool(words & he)]
    n = Counter((label, one) for _, label, one in sides)
    from evenset.data import open as open_data

    report = proxies(tally_of(open_data(path), "pronouns"), "pronouns")
    assert report.rows == len(sides)
    assert {"trump", "hillary"} <= {proxy.word for proxy in report.proxies}
    for proxy in report.proxies:
        has = Counter((label, one) for words, label, one in sides if proxy.word in words)
        r = s = 0.0
        for label in ("0", "1"):
            whole = n[label, True] + n[label, False]
            r += has[label, True] * (n[label, False] - has[label, False]) / whole
            s += has[label, False] * (n[label, True] - has[label, True]) / whole
        assert proxy.n == sum(has.values())
        assert proxy.odds_ratio == pytest.approx(max(r / s, s / r), rel=1e-9)
