"""Data quality: what is planted is found, what is not is not, and a text that the lists cannot see is no clean bill."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest

import evenset.data
from evenset.audit.texts.artefacts import artefacts
from evenset.audit.texts.copies import Copies, Share
from evenset.audit.texts.gender_checks import gendered, state_code
from evenset.audit.texts.language import languages
from evenset.audit.texts.noise import compared, contradicted
from evenset.audit.texts.quality import said_share
from evenset.audit.texts.repeats import Split
from evenset.audit.texts.sampling import draw
from evenset.data import Dataset
from evenset.data.axes import parse_axes
from evenset.data.membership import Membership
from evenset.data.sample import bios, comments
from evenset.data.scan import scan
from evenset.data.tokens import tokenize

GERMAN = [
    "Die Krankenschwester arbeitet seit {} Jahren in einem großen Krankenhaus und hat dort viele Kranke betreut.",
    "Er ist Arzt und hat in der Stadt {} studiert, bevor er seine eigene Praxis eröffnet hat.",
    "Man will nicht so sein wie die anderen {}, die in so einem Haus leben.",
]
FRENCH = [
    "Elle travaille depuis {} ans dans un grand hôpital de la ville et elle a soigné de nombreux patients.",
    "Il est médecin et il a fait ses études avec {} amis avant d'ouvrir son propre cabinet à Lyon.",
    "On ne peut pas dire que tout le monde est content de {}.",
]
CHINESE = ["她在这家医院工作了{}年，照顾了许多病人。", "他是一名医生，曾在大学学习{}年。"]
POLISH = [
    "Ona pracuje od {} lat w dużym szpitalu w mieście i opiekowała się tam wieloma pacjentami, którzy byli chorzy.",
]
ENGLISH = ["She has worked at this hospital for {} years.", "He is a doctor and trained for {} years."]


def written(templates, n=60):
    return [templates[i % len(templates)].format(i) for i in range(n)]


def strings(values):
    return pa.array(list(values), pa.large_string())


def look(data, axes=("pronouns",), splits=None, **options):
    parsed = parse_axes(list(axes), names=data.names)
    split = both(data, parsed)
    others = {name: both(other, parsed) for name, other in (splits or {}).items()}
    return artefacts(split.rows, parsed, copies=split.copies, splits=others, **options)


def both(data, axes):
    copies = Copies()
    for scanned in scan(data, axes, tokens=True):
        copies.add(scanned.tokens, scanned.batch.text, scanned.batch.label, start=scanned.batch.start)
    return Split(draw(data, axes), copies)


def one(quality, kind, about=None):
    found = [finding for finding in quality.of(kind) if about is None or finding.about == about]
    assert len(found) == 1
    return found[0]


# -- language ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("templates", [GERMAN, FRENCH, CHINESE, POLISH])
def test_another_language_is_unclear_and_never_a_clean_bill(templates):
    quality = look(Dataset.of([{"text": text} for text in written(templates)], text="text"))
    assert one(quality, "language").severity == "unclear"
    assert one(quality, "coverage").severity == "unclear"
    assert "lists in the language" in one(quality, "language").what_to_do
    assert languages(tokenize(strings(written(templates)))).other.mean() > 0.9


def test_english_is_english():
    for texts in (
        written(ENGLISH),
        bios(300, 0)[0]["text"].to_pylist(),
        comments(300, 0)[0]["text"].to_pylist(),
        [f"Andrew is a hateful {word}" for word in ("gay", "man", "friend", "neighbour")] * 20,
    ):
        quality = look(Dataset.of([{"text": text} for text in texts], text="text"))
        assert one(quality, "language").severity == "info"
        assert one(quality, "language").estimate < 0.01


def test_a_part_in_another_language_is_said():
    texts = written(ENGLISH, 950) + written(FRENCH, 50)
    finding = one(look(Dataset.of([{"text": text} for text in texts], text="text")), "language")
    assert finding.severity == "warn"
    assert abs(finding.estimate - 0.05) < 0.005
    assert finding.low < 0.05 < finding.high
    assert set(finding.rows) <= set(range(950, 1000))


def test_a_list_in_another_language_is_not_judged_as_english(tmp_path):
    file = tmp_path / "de.toml"
    file.write_text(
        '[lexicon]\nname = "berufe"\nversion = "1"\nlanguage = "de"\nsource = "x"\nlicence = "x"\n'
        '[[group]]\naxis = "beruf"\nname = "arzt"\nforms = ["arzt"]\n'
    )
    quality = look(Dataset.of([{"text": text} for text in written(GERMAN)], text="text"), [f"lexicon:{file}"])
    assert not quality.of("language")
    assert one(quality, "coverage").severity == "info"
    assert not quality.unclear


def test_words_in_code_and_no_words_at_all():
    nothing = look(Dataset.of([{"text": text} for text in ["...", "", "?!"] * 20], text="text"))
    assert one(nothing, "language").severity == "unclear"
    assert one(nothing, "empty").severity == "warn"


# -- copies ------------------------------------------------------------------------------------------------------------


def bios_rows(n, seed=0):
    return bios(n, seed)[0].to_pylist()


def test_planted_copies_and_conflicts_are_counted():
    rows = bios_rows(600)
    rows += [dict(row, text=row["text"]) for row in rows[:30]]
    rows += [dict(row, text=row["text"].upper()) for row in rows[30:50]]
    rows += [dict(row, text=row["text"], label="judge") for row in rows[50:60]]
    rows += [dict(row, text=row["text"] + " Ask.") for row in rows[60:100]]
    quality = look(Dataset.of(rows, text="text", label="label"), noise=False)
    assert round(one(quality, "exact_duplicates").estimate * len(rows)) == 40
    assert round(one(quality, "same_words").estimate * len(rows)) == 60
    conflicts = one(quality, "label_conflicts")
    assert (round(conflicts.estimate * conflicts.n), conflicts.n) == (10, 60)
    assert conflicts.severity == "warn"
    near = one(quality, "near_duplicates")
    assert 38 <= round(near.estimate * near.n) <= 42
    assert all(rows[at]["label"] != "" for at in conflicts.rows)
    assert json.loads(json.dumps(quality.to_dict()))[0]["kind"] == "exact_duplicates"


def test_clean_data_is_clean():
    quality = look(Dataset.of(bios_rows(800), text="text", label="label"), ["pronouns", "column:group"])
    assert [finding.id for finding in quality.findings if finding.severity != "info"] == []


def test_rows_of_a_split_in_another_are_found():
    train, test = bios_rows(500, 1), bios_rows(300, 2)
    test += train[:6] + [dict(row, label="judge") for row in train[6:10]]
    test += [dict(row, text=row["text"] + " Ask.") for row in train[20:25]]
    quality = look(
        Dataset.of(train, text="text", label="label"),
        splits={"test": Dataset.of(test, text="text", label="label")},
        noise=False,
    )
    exact, near = one(quality, "split_leak", "test"), one(quality, "split_near_leak", "test")
    assert (round(exact.estimate * exact.n), exact.n) == (10, len(test))
    assert 14 <= round(near.estimate * near.n) <= 16
    assert exact.severity == "warn"
    assert exact.rows == (300, 301, 302, 303, 304)
    assert math.isclose(one(quality, "split_label_conflicts", "test").estimate, 0.4)


# -- genders -----------------------------------------------------------------------------------------------------------


def test_the_state_code_is_found_and_other_evidence_is_not():
    texts = {
        "Dr. Li is a chiropractor who practises in Lucedale, MS 39452.": True,
        "He holds an MS in physics.": True,
        "Ms. Li practises in Lucedale, MS.": False,
        "She practises in Lucedale, MS.": False,
        "The actress lives in Jackson, MS.": False,
        "CALL NOW MS OFFICE": False,
        "Dr. Li is a chiropractor.": False,
        "The msn network.": False,
    }
    assert state_code(tokenize(strings(texts))).tolist() == list(texts.values())


def test_columns_that_contradict_pronouns_and_the_state_code():
    rows = [{"text": f"She has {i} patients.", "g": "1"} for i in range(400)]
    rows += [{"text": f"He has {i} patients.", "g": "0"} for i in range(400)]
    rows += [{"text": f"He has {i} of our patients.", "g": "1"} for i in range(30)]
    rows += [{"text": f"Dr Li has {i} patients in Lucedale, MS 39452.", "g": "1"} for i in range(20)]
    quality = look(Dataset.of(rows, text="text"), ["column:g"])
    contradicted = one(quality, "contradicts_pronouns")
    assert (contradicted.n, round(contradicted.estimate * contradicted.n)) == (830, 30)
    assert contradicted.severity == "warn"
    assert all(800 <= at < 830 for at in contradicted.rows)
    code = one(quality, "state_code_ms")
    assert (code.n, round(code.estimate * code.n), code.severity) == (450, 20, "warn")
    assert "52.9%" in code.message
    assert "51.8%" in code.message


def test_a_column_that_is_no_gender_is_left_alone():
    rng = np.random.default_rng(0)
    text = [f"{'She' if i % 2 else 'He'} has {i} patients." for i in range(300)]
    member = Membership(((), ("a",), ("b",)), rng.integers(1, 3, 300).astype(np.int32))
    assert gendered(tokenize(strings(text)), member, np.arange(300)) is None
    few = Membership(((), ("a",), ("b",)), np.array([1, 2] * 10, np.int32))
    assert gendered(tokenize(strings(text[:20])), few, np.arange(20)) is None


# -- labels ------------------------------------------------------------------------------------------------------------


def noisy(seed, wrong_she, wrong_he, n=1600):
    """Rows whose label the text tells plainly, then flipped for some of either group."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        label = int(rng.integers(0, 2))
        she = bool(rng.integers(0, 2))
        words = " ".join(f"{'xy'[label]}{k}" for k in rng.integers(0, 25, 4))
        filler = " ".join(f"w{k}" for k in rng.integers(0, 60, 6))
        given = label ^ int(rng.random() < (wrong_she if she else wrong_he))
        rows.append({"text": f"{'She' if she else 'He'} saw {words} and {filler} {i}", "label": str(given)})
    return Dataset.of(rows, text="text", label="label")


def test_labels_wrong_more_often_for_one_group_are_found():
    finding = one(look(noisy(0, 0.15, 0.02)), "label_disagreement")
    assert finding.severity == "warn"
    assert finding.low < 0.13 < finding.high
    assert finding.low > 0.05
    assert "cannot tell which" in finding.what_to_do


def test_labels_wrong_equally_often_are_not():
    warned = 0
    for seed in range(4):
        finding = one(look(noisy(seed, 0.08, 0.08, n=800)), "label_disagreement")
        warned += finding.severity == "warn"
    assert warned <= 1


def test_a_group_without_a_single_contradiction_proves_nothing():
    wrong = np.zeros(1060, bool)
    wrong[:20] = True
    second = np.arange(1060) < 1000
    found = compared(wrong, ~second, second, np.zeros(1060, int), np.arange(1060))
    assert found.difference == pytest.approx(-0.02)
    assert found.high > 0
    assert compared(wrong, np.arange(1060) < 30, second, np.zeros(1060, int), np.arange(1060)) is None


def test_one_label_cannot_be_contradicted():
    from evenset.data.features import featurise

    x = featurise(strings(f"w{i % 7}" for i in range(100)))
    keys = np.arange(100, dtype=np.uint64)
    assert contradicted(x, np.zeros(100, int), np.arange(100), keys) is None


def test_shares_in_words():
    assert said_share(Share(100, 100, 1.0, 0.963, 1.0)) == "100 of 100 (100 %, 96 to 100)"
    assert said_share(Share(0, 0, math.nan, math.nan, math.nan)) == "none to look at"


# -- real data ---------------------------------------------------------------------------------------------------------


@pytest.mark.real
def test_gab_repeats_itself_across_splits_as_plain_python_finds(shared_data):
    import csv
    import re

    def words(path):
        with path.open(encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle))
        # Letters, marks and digits in ASCII text; rows with anything else are left to the tokenizer's own tests.
        return [tuple(re.findall(r"[a-z0-9]+", row["text"].lower())) for row in rows if row["text"].isascii()]

    def ascii_copies(path):
        data = evenset.data.open(path, text="text", label="label")
        copies = Copies()
        for batch in data.batches():
            plain = np.array([text.isascii() for text in batch.text.to_pylist()])
            text = batch.text.filter(pa.array(plain))
            copies.add(tokenize(text), text)
        return copies

    from evenset.audit.texts.copies import leaks

    train, dev = words(shared_data / "gab" / "train.csv"), words(shared_data / "gab" / "dev.csv")
    found = leaks(ascii_copies(shared_data / "gab" / "train.csv"), ascii_copies(shared_data / "gab" / "dev.csv"))
    known = {row for row in train if row}
    assert found.exact.count == sum(row in known for row in dev if row) > 5
    counts = ascii_copies(shared_data / "gab" / "train.csv").counts()
    assert counts.words.count == sum(bool(row) for row in train) - len(known) > 50
