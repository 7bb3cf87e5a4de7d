"""Learned proxies: from an audit or the rows, all, the strongest, or as many as a target of leakage needs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evenset.data
from evenset import audit
from evenset.audit.texts.hiding import hiding
from evenset.audit.texts.leakage import leakage
from evenset.audit.texts.sampling import draw
from evenset.curate import Curation, prepare, run
from evenset.curate.prepare import Prepared
from evenset.curate.words import proxy_leakage
from evenset.data.axes import parse_axes
from evenset.data.config import parse
from evenset.data.dataset import Dataset
from evenset.data.errors import InputError

PLANTED = ["ballet", "rugby", "knitting", "fishing"]


@pytest.fixture(scope="module")
def bios() -> Dataset:
    """Every she-row has a planted word of hers with its own chance, strongest first; labels are of their own."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(1600):
        she = bool(rng.random() < 0.5)
        likely, other = (0.9, 0.1) if she else (0.1, 0.9)
        words = [
            *(["ballet"] if rng.random() < likely * 0.7 else []),
            *(["rugby"] if rng.random() < other * 0.6 else []),
            *(["knitting"] if rng.random() < likely * 0.4 else []),
            *(["fishing"] if rng.random() < other * 0.3 else []),
            *rng.choice(["tea", "music", "films", "books", "dogs", "travel", "maps"], 2).tolist(),
        ]
        label = ("nurse", "judge")[number % 2]
        likes = " and ".join(rng.permutation(words).tolist())
        rows.append({"text": f"{'She' if she else 'He'} likes {likes} number{number}.", "label": label})
    return evenset.data.open(rows, text="text", label="label")


@pytest.fixture(scope="module")
def prepared(bios: Dataset) -> Prepared:
    return prepare(bios, ["pronouns"])


@pytest.fixture(scope="module")
def audited(bios: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audit")
    audit.run(bios, ["pronouns"], measures=["counts", "proxies"]).save(folder)
    return folder / "audit.json"


def curate(prepared: Any, *, placebo: bool = False, seed: int = 0, **step: object) -> Curation:
    steps = [{"do": "scrub", "axis": "pronouns", **step}]
    return run(prepared, parse({"plan": {"p": {"step": steps}}}).plan["p"], placebo=placebo, seed=seed)


def listed(curation: Curation) -> list[str]:
    return [word for word, _ in curation.report["steps"][0]["proxies"]["list"]]


def altered(path: Path, folder: Path, change: Any) -> str:
    content = json.loads(path.read_text())
    change(content)
    (folder / "audit.json").write_text(json.dumps(content))
    return str(folder / "audit.json")


def test_all_and_the_strongest(prepared: Prepared) -> None:
    every = curate(prepared, proxies="all")
    assert listed(every) == PLANTED
    assert listed(curate(prepared, proxies=2)) == PLANTED[:2]
    assert every.rows is not None
    left = " ".join(every.rows["text"].to_pylist()).lower().split()
    assert not {"she", "he", *PLANTED} & set(left)
    groups = every.report["steps"][0]["groups"]
    assert set(groups) == {"she", "he", "proxy:she", "proxy:he"}
    reasons = dict(zip(every.ledger["before"].to_pylist(), every.ledger["reason"].to_pylist(), strict=True))
    assert (reasons["ballet"], reasons["rugby"], reasons["She"]) == ("proxy:she", "proxy:he", "she")
    more = curate(prepared, proxies=9)
    assert any("there are 4" in note for note in more.report["notes"])


def test_only_proxies(prepared: Prepared) -> None:
    made = curate(prepared, proxies="all", words=False)
    assert made.rows is not None
    text = " ".join(made.rows["text"].to_pylist())
    assert "She" in text
    assert "ballet" not in text


@pytest.mark.parametrize("mask", ["_", "drop", "[X]"])
def test_scrubbing_twice_is_scrubbing_once(prepared: Prepared, audited: Path, mask: str) -> None:
    once = curate(prepared, proxies="all", audit=str(audited), **{"with": mask})
    assert once.rows is not None
    rows = [{"text": text, "label": "x"} for text in once.rows["text"].to_pylist()]
    again = curate(
        evenset.data.open(rows, text="text", label="label"), proxies="all", audit=str(audited), **{"with": mask}
    )
    assert again.report["counts"]["edits"] == 0


def test_from_an_audit_of_the_same_rows(prepared: Prepared, audited: Path) -> None:
    made = curate(prepared, proxies="all", audit=str(audited))
    assert made.ledger.equals(curate(prepared, proxies="all").ledger)
    assert made.report["steps"][0]["proxies"]["source"] == "audit.json"
    assert not made.report["notes"]


def test_an_audit_of_other_rows_is_said(prepared: Prepared, audited: Path, tmp_path: Path) -> None:
    path = altered(audited, tmp_path, lambda content: content["dataset"].update(sha256="0"))
    made = curate(prepared, proxies="all", audit=path)
    assert listed(made) == PLANTED
    assert any("of other data than this" in note for note in made.report["notes"])


def test_words_of_the_task_are_refused(prepared: Prepared, audited: Path, tmp_path: Path) -> None:
    def add(word: str, **more: float) -> Any:
        entry = {"axis": "pronouns", "word": word, "group": "she", "about_group": 0.9, **more}
        return lambda content: content["proxies"].append(entry)

    # A label's own name; a word that says more about the label, by the audit.
    for word, more in (("nurse", {"about_label": 0.1}), ("tea", {"about_label": 0.95})):
        path = altered(audited, tmp_path, add(word, **more))
        with pytest.raises(InputError, match=f'"{word}" tell more about the label.*force = true'):
            curate(prepared, proxies="all", audit=path)
        forced = curate(prepared, proxies="all", audit=path, force=True)
        assert word in listed(forced)
        assert any("force = true" in note for note in forced.report["notes"])


def test_words_of_the_task_are_found_in_the_rows_where_the_audit_does_not_say(tmp_path: Path) -> None:
    rows = [
        {
            "text": f"{('She', 'He')[n % 2]} {('heals', 'rules')[(n // 2) % 2]} and reads {n}",
            "label": "ab"[(n // 2) % 2],
        }
        for n in range(400)
    ]
    data = evenset.data.open(rows, text="text", label="label")
    words = [{"axis": "pronouns", "word": word, "group": "she"} for word in ("heals", "reads")]
    path = tmp_path / "audit.json"
    path.write_text(json.dumps({"schema": "evenset.audit/1", "dataset": {}, "proxies": words}))
    with pytest.raises(InputError, match='proxies: "heals" tell'):
        curate(data, proxies="all", audit=str(path))


def test_a_target_takes_the_fewest_words_that_meet_it(prepared: Prepared, bios: Dataset) -> None:
    made = curate(prepared, leakage=0.7)
    found = made.report["steps"][0]["proxies"]
    areas = dict(found["leakage"]["tried"])
    k = found["words"]
    assert 0 < k < 4
    assert areas[k] <= 0.7 < areas[k - 1]
    assert listed(made) == PLANTED[:k]
    assert any("AUC" in note and "is met by" in note for note in made.report["notes"])
    # The audit, asked about the same words on the same rows, says the same.
    axis = parse_axes(["pronouns"], names=bios.names)[0]
    steps = leakage(draw(bios, [axis]), axis, proxies=PLANTED[:k], also_hide=[], permutations=0, bits=False)
    assert steps.contrasts[0].steps[-1].area.estimate == pytest.approx(found["leakage"]["estimate"], abs=1e-6)
    assert found["leakage"]["low"] < found["leakage"]["estimate"] < found["leakage"]["high"]


def test_a_target_met_without_proxies_takes_none(prepared: Prepared) -> None:
    assert curate(prepared, leakage=0.99).report["steps"][0]["proxies"]["words"] == 0


def test_a_target_that_cannot_be_met_says_the_nearest(prepared: Prepared) -> None:
    made = curate(prepared, leakage=0.5, proxies=1)
    found = made.report["steps"][0]["proxies"]
    assert found["words"] == 1
    assert not found["leakage"]["met"]
    assert any(
        "was not reached with the proxies that the audit lists (1): nearest is AUC" in note
        for note in made.report["notes"]
    )


def test_other_rows_say_the_leakage_than_those_that_choose(
    prepared: Prepared, bios: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = curate(prepared, leakage=0.7)
    assert not whole.report["steps"][0]["proxies"]["leakage"]["halved"]
    assert any("too few rows for halves" in note for note in whole.report["notes"])
    monkeypatch.setattr(proxy_leakage, "LEAST_HALVED", 500)
    made = curate(prepare(bios, ["pronouns"]), leakage=0.7)
    found = made.report["steps"][0]["proxies"]
    told = found["leakage"]
    assert told["halved"]
    assert told["met"] == (told["estimate"] <= 0.7)
    assert dict(told["tried"])[found["words"]] <= 0.7
    assert dict(told["tried"])[found["words"]] != told["estimate"]
    assert any("the AUC is of the other half" in note for note in made.report["notes"])


def test_halves_of_a_sample_share_no_row(bios: Dataset) -> None:
    axis = parse_axes(["pronouns"], names=bios.names)[0]
    sample = hiding(draw(bios, [axis]), axis)
    one, other = (half.chosen[0][0] for half in proxy_leakage._halves(sample))
    assert sorted([*one.tolist(), *other.tolist()]) == sorted(sample.chosen[0][0].tolist())
    assert not set(sample.cluster[one].tolist()) & set(sample.cluster[other].tolist())
    assert 0.4 < len(one) / len(sample.chosen[0][0]) < 0.6


def test_learned_once_for_all_seeds(bios: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    from evenset.audit import pipeline

    calls = []
    real = pipeline.run
    monkeypatch.setattr(pipeline, "run", lambda *args, **more: calls.append(1) or real(*args, **more))
    ready = prepare(bios, ["pronouns"])
    for seed in range(3):
        curate(ready, proxies="all", seed=seed, placebo=seed > 0)
    assert len(calls) == 1


def test_placebos_take_as_many_other_words(prepared: Prepared) -> None:
    real, placebo = curate(prepared, proxies="all"), curate(prepared, proxies="all", placebo=True)
    taken = {word.lower() for word in placebo.ledger["before"].to_pylist()}
    assert not taken & {"she", "he", *PLANTED}
    short = placebo.report["steps"][0]["short"]
    assert real.report["counts"]["edits"] == placebo.report["counts"]["edits"] + short


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ("{", "no JSON"),
        ("[]", "no audit of this evenset"),
        ({"proxies": None}, "looked for no proxies.*--measures proxies"),
        ({"proxies": [], "proxy_search": {"identity": {}}}, 'has proxies of identity, not of "pronouns"'),
        ({"proxies": [{"axis": "pronouns", "word": 3, "group": "she"}]}, "proxy 1 has no word"),
        ({"proxies": [{"axis": "pronouns", "word": "two words", "group": "she"}]}, "no single word"),
        ({"proxies": [{"axis": "pronouns", "word": "", "group": "she"}]}, "no single word"),
    ],
)
def test_audits_that_cannot_be_used(prepared: Prepared, tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "audit.json"
    if content is not None:
        whole = {"schema": "evenset.audit/1", **content} if isinstance(content, dict) else content
        path.write_text(whole if isinstance(whole, str) else json.dumps(whole))
    with pytest.raises(InputError, match=message):
        curate(prepared, proxies="all", audit=str(path))


def test_a_mask_that_is_a_proxy_is_refused(prepared: Prepared) -> None:
    with pytest.raises(InputError, match='"ballet" is itself a proxy'):
        curate(prepared, proxies="all", **{"with": "ballet"})
