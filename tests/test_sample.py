from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evenset.data import lexicon
from evenset.data.axes import parse_axes
from evenset.data.dataset import Dataset
from evenset.data.errors import InputError
from evenset.data.sample import DEFAULT_ROWS, bios, comments, probe, write
from evenset.data.sample.bank import bank, draws, expand
from evenset.data.scan import BUCKET_EDGES, scan

FORMS = {
    "she": {"she", "her", "hers", "herself"},
    "he": {"he", "him", "his", "himself"},
    "they": {"they", "them", "their", "theirs", "themselves"},
    "xe": {"xe", "xem", "xyr", "xyrs", "xemself"},
}
RUDE = "idiot moron clown fool loser liar stupid dumb garbage trash crap pathetic brainless"
PLURAL_AFTER = {"has", "is", "was", "does", "works", "lives", "teaches", "holds", "writes", "makes", "finds", "enjoys"}


@cache
def big_bios(bias: float = 1.0) -> tuple[pa.Table, dict]:
    return bios(12_000, 11, bias=bias)


@cache
def big_comments(bias: float = 1.0) -> tuple[pa.Table, dict]:
    return comments(12_000, 11, bias=bias)


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def texts(table: pa.Table) -> list[str]:
    return table["text"].to_pylist()


def digest(table: pa.Table) -> str:
    return hashlib.sha256(json.dumps(table.to_pydict(), ensure_ascii=True).encode()).hexdigest()


def z_of_share(hits: int, n: int, p: float) -> float:
    return (hits - n * p) / math.sqrt(n * p * (1 - p))


def log_odds_ratio(table: np.ndarray) -> tuple[float, float]:
    table = table + 0.5
    return float(np.log(table[0, 0] * table[1, 1] / (table[0, 1] * table[1, 0]))), float(np.sqrt((1 / table).sum()))


def everything() -> list[str]:
    return texts(big_bios()[0]) + texts(big_comments()[0]) + texts(probe(400)[0])


# What is written is the same on every machine.


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: bios(60, 7), "6abac3f086d88fd60f2f7f64bb835469859206b98aa3ca0a78407e028290cfd8"),
        (lambda: comments(60, 7), "0ff6cc4035a2b75533caac226e41fde95954c4bd5a65c96263e48ca609bd9a3b"),
        (lambda: probe(16, 7), "4f552f308aa1f2387acd18cbc5eb15bd9f54a64aa81c882430154f469cf2c9a3"),
    ],
)
def test_a_seed_pins_every_byte(made, expected):
    assert digest(made()[0]) == expected
    assert made()[1] == made()[1]


@pytest.mark.parametrize("make", [bios, comments])
def test_a_longer_sample_starts_with_the_shorter_one_and_another_seed_is_another_sample(make):
    short, long, other = make(30, 3)[0], make(80, 3)[0], make(30, 4)[0]
    assert long.slice(0, 30).to_pydict() == short.to_pydict()
    assert texts(other) != texts(short)


def test_what_a_row_says_does_not_depend_on_the_strength_of_the_bias_but_for_what_is_planted():
    full, none = bios(300, 5)[0], bios(300, 5, bias=0.0)[0]
    assert full["label"].to_pylist() == none["label"].to_pylist()
    kept = sum(a == b for a, b in zip(full["group"].to_pylist(), none["group"].to_pylist(), strict=True))
    assert 200 < kept < 300


# Biographies.


def test_bios_have_the_columns_of_the_contract_and_unique_ids():
    table, _ = big_bios()
    assert table.schema.names == ["id", "text", "label", "group"]
    assert len(set(table["id"].to_pylist())) == table.num_rows
    assert len(set(texts(table))) == table.num_rows
    assert len(set(table["label"].to_pylist())) == 28


def test_the_planted_shares_are_the_published_ones():
    truth = big_bios()[1]
    assert truth["share"]["dietitian"] == 0.927
    assert truth["share"]["rapper"] == 0.097
    assert truth["class_share"]["professor"] == pytest.approx(0.298)
    overall = sum(truth["share"][n] * truth["class_share"][n] for n in truth["share"])
    assert overall == pytest.approx(0.4629, abs=0.001)
    for label, share in truth["share"].items():
        assert truth["log_ratio"][label] == pytest.approx(math.log(share / (1 - share)), abs=1e-8)


@pytest.mark.parametrize("bias", [1.0, 0.5, 0.0])
def test_the_share_of_women_is_within_binomial_error_of_the_truth(bias):
    table, truth = big_bios(bias)
    drawn = Counter(zip(table["label"].to_pylist(), table["group"].to_pylist(), strict=True))
    scores = []
    for label, share in truth["share"].items():
        she, he = drawn[label, "she"], drawn[label, "he"]
        assert {"she": she, "he": he} == {g: truth["counts"][label][g] for g in ("she", "he")}
        assert truth["realised_log_ratio"][label] == pytest.approx(math.log((she + 0.5) / (he + 0.5)), abs=1e-8)
        scores.append(z_of_share(she, she + he, share))
    assert max(map(abs, scores)) < 3.6
    assert sum(z * z for z in scores) < 56.9  # chi-squared, 28 degrees of freedom, p = .001


def test_bias_moves_every_share_in_proportion():
    full, half, none = (big_bios(b)[1] for b in (1.0, 0.5, 0.0))
    assert set(none["share"].values()) == {0.5}
    assert set(none["log_ratio"].values()) == {0.0}
    for label, share in full["share"].items():
        assert half["share"][label] - 0.5 == pytest.approx((share - 0.5) / 2)


def test_class_shares_are_published_or_uniform():
    table, truth = big_bios()
    drawn = Counter(table["label"].to_pylist())
    assert all(abs(z_of_share(drawn[n], table.num_rows, p)) < 4 for n, p in truth["class_share"].items())
    table, truth = bios(2_800, 2, uniform=True)
    drawn = Counter(table["label"].to_pylist())
    assert all(abs(z_of_share(drawn[n], 2_800, 1 / 28)) < 4 for n in truth["class_share"])


def test_a_hundredth_of_the_bios_use_neither_she_nor_he():
    drawn = Counter(big_bios()[0]["group"].to_pylist())
    assert abs(z_of_share(drawn["they"], 12_000, 0.008)) < 4
    assert abs(z_of_share(drawn["xe"], 12_000, 0.002)) < 4


@pytest.mark.parametrize("bias", [1.0, 0.0])
def test_a_proxy_has_its_planted_log_odds_and_a_neutral_word_none(bias):
    table, truth = big_bios(bias)
    group = np.array(table["group"].to_pylist())
    bags = [set(words(t)) for t in texts(table)]
    planted = {p["word"]: p["strength"] * (1 if p["group"] == "she" else -1) for p in truth["proxies"]}
    assert len(planted) == 12
    assert all((s == 0) == (bias == 0) for s in planted.values())
    for word, strength in {**planted, **dict.fromkeys(truth["neutral_words"], 0.0)}.items():
        there = np.array([word in bag for bag in bags])
        cells = np.array([[np.sum((group == g) & (there == t)) for t in (True, False)] for g in ("she", "he")])
        estimate, error = log_odds_ratio(cells)
        assert abs(estimate - strength) < 3.6 * error, word
        rate = next((p["rate"]["she"] for p in truth["proxies"] if p["word"] == word), 0.06)
        assert abs(z_of_share(int(cells[0, 0]), int(cells[0].sum()), rate)) < 3.6


def test_given_the_pronoun_a_proxy_says_nothing_about_the_occupation():
    table, _ = big_bios()
    label, group = (np.array(table[c].to_pylist()) for c in ("label", "group"))
    golf = np.array(["golf" in words(t) for t in texts(table)])
    men = group == "he"
    rate = golf[men].mean()
    rows = [men & (label == n) for n in sorted(set(label))]
    scores = [z_of_share(int(golf[r].sum()), int(r.sum()), rate) for r in rows]
    assert sum(z * z for z in scores) < 56.9


def test_pronouns_agree_with_the_group_in_every_row():
    for row in big_bios()[0].to_pylist():
        found = set(words(row["text"]))
        assert found & FORMS[row["group"]], row
        for other in FORMS.keys() - {row["group"]}:
            assert not found & FORMS[other], row


def test_verbs_agree_with_they():
    they = [r["text"] for r in bios(12_000, 12)[0].to_pylist() if r["group"] == "they"]
    others = [r["text"] for r in bios(2_000, 12)[0].to_pylist() if r["group"] in ("she", "he", "xe")]
    assert len(they) > 60
    for text in they:
        assert not {after for after in re.findall(r"\b[Tt]hey (\w+)", text) if after in PLURAL_AFTER}, text
    for text in others:
        after = re.findall(r"\b(?:[Ss]he|[Hh]e|[Xx]e) (\w+)", text)
        assert not {"have", "are", "were", "do", "work", "live", "teach", "enjoy"} & set(after), text


def test_a_surname_takes_a_singular_verb_in_every_bank():
    # {N} with {has/have} would read "Okafor have" where the pronoun is they.
    for name in ("bios", "occupations_care", "occupations_arts", "occupations_office"):
        for sentence in re.findall(r'"([^"]*\{N\}[^"]*)"', json.dumps(bank(name), ensure_ascii=False)):
            after = sentence[sentence.index("{N}") :]
            agreeing = re.search(r"\{\w+/\w+\}", after)
            assert agreeing is None or "{s}" in after[: agreeing.start()], sentence


def test_no_title_is_in_any_biography():
    titles = {label.replace("_", " ") for label in big_bios()[1]["share"]}
    pattern = re.compile(rf"\b(?:{'|'.join(sorted(titles))})s?\b", re.IGNORECASE)
    assert [t for t in texts(big_bios()[0]) if pattern.search(t)] == []


def test_no_gendered_noun_and_no_identity_term_is_in_any_biography():
    for name in ("gendered_nouns", "identity"):
        forms = {form.text for form in lexicon.load(name).forms}
        assert Counter(w for t in texts(big_bios()[0]) for w in words(t) if w in forms) == {}


def test_bios_have_two_to_six_sentences_and_150_to_600_characters():
    for text in texts(big_bios()[0]):
        assert 150 <= len(text) <= 600
        assert 2 <= len(re.findall(r"[.?!](?: |$)", text)) <= 6, text


def test_the_pronouns_axis_finds_the_groups_that_were_planted():
    table = bios(1_500, 1)[0]
    (axis,) = parse_axes(["pronouns"], names=table.column_names)
    expected = [(g,) if g in ("she", "he", "they") else None for g in table["group"].to_pylist()]
    found = []
    for part in scan(Dataset.of(table, text="text", label="label"), [axis]):
        members = part.members[axis.name]
        found += [members.patterns[c] for c in members.code]
    assert [f for f, e in zip(found, expected, strict=True) if e] == [e for e in expected if e]


# Comments.


def bucket_of(text: str) -> int:
    return int(np.searchsorted(BUCKET_EDGES, len(text), side="right"))


def test_comments_have_the_columns_of_the_contract():
    table, _ = big_comments()
    assert table.schema.names == ["id", "text", "label", "group"]
    assert table.schema.field("label").type == pa.int64()
    assert len(set(table["id"].to_pylist())) == table.num_rows


@pytest.mark.parametrize("bias", [1.0, 0.0])
def test_a_term_has_its_planted_toxicity_in_every_length_bucket(bias):
    table, truth = big_comments(bias)
    label = np.array(table["label"].to_pylist())
    bucket = np.array([bucket_of(t) for t in texts(table)])
    mentions = [set((g or "").split("|")) for g in table["group"].to_pylist()]
    assert tuple(truth["bucket_edges"]) == BUCKET_EDGES
    scores = []
    for term, rate in truth["term_rate"].items():
        there = np.array([term in m for m in mentions])
        assert truth["counts"][term] == {
            "clean": int(np.sum(there & (label == 0))),
            "toxic": int(np.sum(there & (label == 1))),
        }
        assert abs(z_of_share(int(label[there].sum()), int(there.sum()), rate)) < 3.6, term
        assert abs(z_of_share(int(there.sum()), table.num_rows, truth["term_share"][term])) < 3.6, term
        for b, planted in enumerate(truth["term_rate_by_bucket"][term]):
            here = there & (bucket == b)
            scores.append(z_of_share(int(label[here].sum()), int(here.sum()), planted))
    assert sum(z * z for z in scores) < 118.6  # chi-squared, 75 degrees of freedom, p = .001


def test_the_association_is_stronger_in_short_comments_and_absent_without_bias():
    truth = big_comments()[1]
    assert sorted(truth["term_rate_by_bucket"]["gay"], reverse=True) == truth["term_rate_by_bucket"]["gay"]
    assert sorted(truth["term_rate_by_bucket"]["canadian"]) == truth["term_rate_by_bucket"]["canadian"]
    assert truth["term_rate"]["gay"] > 0.5 > truth["toxic_rate"] > truth["term_rate"]["canadian"]
    assert all(p == pytest.approx(0.1) for p in big_comments(0.0)[1]["term_rate"].values())


def test_base_rate_and_buckets_are_as_planted():
    table, truth = big_comments()
    label = np.array(table["label"].to_pylist())
    bucket = np.array([bucket_of(t) for t in texts(table)])
    for b, share in enumerate(truth["bucket_share"]):
        assert abs(z_of_share(int(np.sum(bucket == b)), table.num_rows, share)) < 3.6
        assert abs(z_of_share(int(label[bucket == b].sum()), int(np.sum(bucket == b)), truth["toxic_rate"])) < 3.6


def test_given_the_label_the_words_are_the_same_with_and_without_terms():
    # The other words are what a fair model goes by: terms must not change them.
    table, _ = big_comments()
    rude = set(re.findall(r"\w+", RUDE))
    label = np.array(table["label"].to_pylist())
    with_term = np.array([g is not None for g in table["group"].to_pylist()])
    insult = np.array([bool(rude & set(words(t))) for t in texts(table)])
    for y, most in ((0, 0.05), (1, 0.9)):
        a, b = insult[(label == y) & with_term], insult[(label == y) & ~with_term]
        error = math.sqrt(a.var() / a.size + b.var() / b.size)
        assert abs(a.mean() - b.mean()) < 3.6 * error + 0.01
        assert 0 < b.mean() < most  # neither certain nor impossible


def test_the_group_is_what_the_identity_axis_finds():
    table = comments(4_000, 2)[0]
    (axis,) = parse_axes(["identity"], names=table.column_names)
    found = []
    for part in scan(Dataset.of(table, text="text", label="label"), [axis]):
        members = part.members[axis.name]
        found += [members.patterns[c] for c in members.code]
    expected = [tuple(sorted(g.split("|"))) if g else () for g in table["group"].to_pylist()]
    assert found == expected
    assert max(map(len, expected)) > 1


# The probe.


def test_the_probe_is_fully_crossed():
    table, truth = probe(96, 1)
    every = set(truth["terms"]) | set(truth["plain"])
    by_skeleton: dict[str, set[str]] = {}
    for row in table.to_pylist():
        by_skeleton.setdefault(row["skeleton"], set()).add(row["word"])
        assert (row["term"] is None) == (row["word"] in truth["plain"])
        assert row["term"] in (None, row["word"])
        assert row["skeleton"].startswith(row["template"] + "-")
        assert row["word"] in words(row["text"])
        assert row["name"] in row["text"]
        assert row["item"] in words(row["text"])
    assert len(by_skeleton) == 96
    assert all(found == every for found in by_skeleton.values())
    assert len(set(texts(table))) == table.num_rows == 96 * len(every)
    assert sum(table["label"].to_pylist()) * 2 == table.num_rows
    assert len(set(table["template"].to_pylist())) == 48


def test_no_sentence_of_the_probe_is_in_the_comments():
    templates = bank("comments")
    trained = {s for kind in templates["main"].values() for t in kind for s in expand(t)}
    assert not trained & {*templates["probe"]["clean"], *templates["probe"]["toxic"]}


@pytest.mark.parametrize("skeletons", [0, 3, -2, 10**6])
def test_a_probe_of_a_senseless_size_is_refused(skeletons):
    with pytest.raises(InputError, match=f"skeletons is {skeletons}"):
        probe(skeletons)


# It reads like English.


def test_nothing_of_the_template_language_is_left():
    for text in everything():
        assert not re.search(r"[{}<>|_/]", text), text
        assert "  " not in text
        assert text == text.strip()


def test_sentences_start_with_a_capital_and_end_with_a_stop():
    for text in everything():
        assert text[-1] in ".?", text
        for sentence in re.split(r"(?<=[.?]) ", text):
            assert sentence[0].isupper(), text
        assert not re.search(r"[.?,]{2}| [.?,]", text), text


def test_a_and_an_are_right():
    vowel_letter_but_a = {"university", "union", "user", "uniform", "one", "European", "used"}
    consonant_letter_but_an = {"hour", "honest", "honour", "heir"}
    for text in everything():
        for article, word in re.findall(r"\b([Aa]n?) ([^\W\d_]+)", text):
            an = (word[0].lower() in "aeiou" and word not in vowel_letter_but_a) or word in consonant_letter_but_an
            assert (article.lower() == "an") == an, text


# Splits and files.


def test_the_splits_of_bios_share_no_person():
    surnames = {*bank("bios")["surnames"]["names"].split()}
    ambiguous = {w for t in texts(bios(5_000, 0)[0]) for w in re.findall(r"\w+", t)} - surnames
    seen: list[set[str]] = []
    for split in ("train", "dev", "test"):
        table, truth = bios(2_000, 0, split=split)
        assert truth["split"] == split
        # A surname is only ever the first word of a sentence or after Dr.
        named = {m for t in texts(table) for m in re.findall(r"(?:^|[.?] |Dr )([^\W\d_]+)", t) if m in surnames}
        seen.append(named - ambiguous)
    train, dev, test = seen
    assert min(len(train), len(dev), len(test)) > 20
    assert not train & dev
    assert not (train | dev) & test


def test_the_splits_of_comments_share_no_text_even_with_the_terms_blanked():
    terms = re.compile("|".join(bank("comments")["terms"]["strength"]), re.IGNORECASE)
    train, dev, test = (
        {terms.sub("_", t) for t in texts(comments(3_000, s, split=split)[0])}
        for s, split in enumerate(("train", "dev", "test"))
    )
    assert not train & dev
    assert not (train | dev) & test


def test_write_puts_rows_and_truth_into_a_folder(tmp_path):
    paths = write("bios", 40, 3, tmp_path / "b")
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == ["bios.parquet", "truth.json"]
    assert pq.read_table(paths["bios"]).to_pydict() == bios(40, 3)[0].to_pydict()
    truth = json.loads(paths["truth"].read_text(encoding="utf-8"))
    assert truth == bios(40, 3)[1]
    assert {"log_ratio", "proxies", "term_rate"} <= truth.keys()
    assert {"word", "group", "strength"} <= truth["proxies"][0].keys()
    paths = write("comments", 40, 3, tmp_path / "c", bias=0.5)
    assert pq.read_table(paths["comments"]).to_pydict() == comments(40, 3, bias=0.5)[0].to_pydict()
    assert pq.read_table(paths["probe"]).to_pydict() == probe(seed=3)[0].to_pydict()


def test_write_splits_65_10_25(tmp_path):
    paths = write("comments", 200, 0, tmp_path, splits=True)
    sizes = {s: pq.read_table(paths[s]).num_rows for s in ("train", "dev", "test")}
    assert sizes == {"train": 130, "dev": 20, "test": 50}
    truth = json.loads(paths["truth"].read_text(encoding="utf-8"))
    assert {s: part["rows"] for s, part in truth["splits"].items()} == sizes
    ids = [i for s in sizes for i in pq.read_table(paths[s])["id"].to_pylist()]
    assert len(set(ids)) == 200


def test_the_same_call_writes_the_same_files(tmp_path):
    a, b = (write("bios", 50, 1, tmp_path / name, splits=True) for name in "ab")
    assert {k: p.read_bytes() for k, p in a.items()} == {k: p.read_bytes() for k, p in b.items()}


def test_the_default_sizes_are_those_of_the_demo(tmp_path):
    assert dict(DEFAULT_ROWS) == {"bios": 6_000, "comments": 8_000}
    assert pq.read_table(write("bios", None, 0, tmp_path)["bios"]).num_rows == 6_000


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: bios(0, 0), "rows is 0"),
        (lambda d: bios(10, 0, bias=1.5), "bias is 1.5"),
        (lambda d: bios(10, 0, bias=math.nan), "bias is nan"),
        (lambda d: comments(10, 0, bias=-0.1), "bias is -0.1"),
        (lambda d: comments(10, 0, split="tran"), 'split is "tran".* Did you mean "train"'),
        (lambda d: write("bio", 10, 0, d), '"bio" is no sample.* Did you mean "bios"'),
        (lambda d: write("comments", 10, 0, d, uniform=True), "uniform is an option of bios"),
        (lambda d: write("bios", 10, 0, d, splits=True), "rows is 10"),
    ],
)
def test_senseless_options_are_refused_in_one_message(call, message, tmp_path):
    with pytest.raises(InputError, match=message):
        call(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_streams_of_different_rows_differ_and_stay():
    first, again, other = draws("bios", 0, "all", 1), draws("bios", 0, "all", 1), draws("bios", 0, "all", 2)
    assert [first() for _ in range(5)] == [again() for _ in range(5)]
    assert first() != other()


# What a plain model learns from it.


@pytest.mark.slow
def test_a_bag_of_words_learns_the_planted_gap_and_none_without_it():
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    table, truth = probe(96, 0)
    word, label = (np.array(table[c].to_pylist()) for c in ("word", "label"))
    strength = bank("comments")["terms"]["strength"]
    c = np.array([strength[t] for t in truth["terms"]])
    c = c - c.mean()

    def slope(bias: float, *, reweighted: bool = False) -> float:
        train = comments(5_000, 1, bias=bias, split="train")[0]
        y, group = train["label"].to_pylist(), train["group"].to_pylist()
        cells, rows, labels = Counter(zip(group, y, strict=True)), Counter(group), Counter(y)
        kamiran_calders = [rows[g] * labels[v] / len(y) / cells[g, v] for g, v in zip(group, y, strict=True)]
        vectors = CountVectorizer(binary=True, min_df=2)
        model = LogisticRegression(C=0.3, max_iter=500)
        model.fit(vectors.fit_transform(texts(train)), y, sample_weight=kamiran_calders if reweighted else None)
        score = model.decision_function(vectors.transform(texts(table)))
        gap = np.array([score[(word == t) & (label == 0)].mean() for t in truth["terms"]])
        return float((c * gap).sum() / (c * c).sum())

    raw, weighted, none = slope(1.0), slope(1.0, reweighted=True), slope(0.0)
    assert raw > 0.4
    assert abs(weighted) < raw / 3
    assert abs(none) < raw / 4
