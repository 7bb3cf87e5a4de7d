"""The yardstick is fixed by raw counts alone, and knows what it leaves out."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenset.data.errors import InputError
from evenset.finetune.judging.yardstick import Yardstick, fpr_yardstick, load, tpr_yardstick

COUNTS = {"gay": (120, 70), "muslim": (60, 20), "old": (300, 30), "sikh": (8, 1), "deaf": (30, 0)}


def test_imbalance_is_the_log_ratio_to_rows_without_the_term() -> None:
    found = fpr_yardstick(COUNTS, total_n=4000, total_positive=400, ambiguous=["old"])
    assert found.used == ("deaf", "gay", "muslim")
    raw = {}
    for name in found.used:
        n, hits = COUNTS[name]
        raw[name] = math.log((hits + 20 * 0.1) / (n + 20)) - math.log((400 - hits + 2.0) / (4000 - n + 20))
    mean = sum(raw.values()) / 3
    np.testing.assert_allclose(found.c, [raw[name] - mean for name in found.used])
    assert found.c.sum() == pytest.approx(0)
    np.testing.assert_allclose(found.coefficients, found.c / (found.c**2).sum())


def test_rare_and_ambiguous_terms_are_reported_but_never_used() -> None:
    found = fpr_yardstick(COUNTS, total_n=4000, total_positive=400, ambiguous=["old"])
    assert {entry.name for entry in found.entries if not entry.used} == {"old", "sikh"}
    assert "old" in found.notes[0]
    asked = fpr_yardstick(COUNTS, total_n=4000, total_positive=400, ambiguous=["old"], with_ambiguous=True)
    assert "old" in asked.used
    assert asked.notes == ()


def test_a_term_that_is_all_toxic_or_never_toxic_stays_finite() -> None:
    found = fpr_yardstick({"a": (30, 30), "b": (30, 0)}, total_n=100, total_positive=30)
    assert np.isfinite(found.c).all()


@pytest.mark.parametrize(
    ("counts", "n", "positive", "message"),
    [
        ({"a": (40, 4)}, 400, 40, "two terms"),
        ({"a": (40, 4), "b": (40, 4)}, 400, 40, "different imbalance"),
        ({"a": (40, 50), "b": (40, 4)}, 400, 60, '"a" has 50 positives of 40'),
        ({"a": (40, 4), "b": (40, 8)}, 400, 0, "both labels must occur"),
    ],
)
def test_counts_that_make_no_yardstick_are_refused(
    counts: dict[str, tuple[int, int]], n: int, positive: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        fpr_yardstick(counts, total_n=n, total_positive=positive)


def test_tpr_imbalance_is_the_share_of_the_first_group() -> None:
    found = tpr_yardstick({"nurse": (90, 30), "dj": (30, 120), "poet": (50, 50), "rapper": (10, 200)})
    assert found.used == ("dj", "nurse", "poet")
    np.testing.assert_allclose(found.c, np.array([0.2, 0.75, 0.5]) - (0.2 + 0.75 + 0.5) / 3)


def test_the_slope_is_the_weighted_sum_of_the_methods() -> None:
    """Uniform w scaled so that sum w c^2 = 1, G = sum w c Gap."""
    found = tpr_yardstick({"nurse": (90, 30), "dj": (30, 120), "poet": (50, 50)})
    gaps = np.array([0.1, -0.2, 0.05])
    w = 1 / (found.c**2).sum()
    assert found.coefficients @ gaps == pytest.approx((w * found.c * gaps).sum())
    assert (w * found.c**2).sum() == pytest.approx(1)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(30, 500), st.integers(30, 500)), min_size=3, max_size=8))
def test_exchanging_the_groups_only_flips_the_sign(cells: list[tuple[int, int]]) -> None:
    cells = [*cells, (31, 469)]  # never all alike
    counts = {f"label{at}": cell for at, cell in enumerate(cells)}
    if len({one / (one + two) for one, two in cells}) < 2:
        return
    turned = tpr_yardstick({name: (two, one) for name, (one, two) in counts.items()}, first="he", second="she")
    np.testing.assert_allclose(turned.c, -tpr_yardstick(counts).c, atol=1e-12)


def test_restricting_centres_again_and_says_so() -> None:
    whole = fpr_yardstick(COUNTS, total_n=4000, total_positive=400)
    part = whole.restrict(["gay", "muslim", "old"], "no test rows")
    assert part.used == ("gay", "muslim", "old")
    assert part.c.sum() == pytest.approx(0)
    assert part.notes[-1] == "left out of the gap, no test rows: deaf"
    assert whole.restrict(whole.used, "-") is whole
    with pytest.raises(InputError, match="two terms"):
        whole.restrict(["gay"], "-")


def audit() -> dict[str, object]:
    terms = [
        {"group": "gay", "n": 120, "rate": 0.5, "rate_without": 0.1, "c": 1.5, "in_t": True, "ambiguous": False},
        {"group": "muslim", "n": 60, "rate": 0.3, "rate_without": 0.1, "c": 0.5, "in_t": True, "ambiguous": False},
        {"group": "old", "n": 300, "rate": 0.1, "rate_without": 0.1, "c": 0.1, "in_t": False, "ambiguous": True},
        {"group": "sikh", "n": 0, "rate": None, "rate_without": 0.1, "c": None, "in_t": False, "ambiguous": False},
    ]
    labels = [
        {"label": "nurse", "share": 0.75, "n_first": 90, "n_second": 30, "c": 0.1},
        {"label": "dj", "share": 0.2, "n_first": 30, "n_second": 120, "c": -0.1},
    ]
    return {
        "schema": "evenset.audit/1",
        "yardsticks": {
            "identity": {"fpr": {"terms": terms, "prior_rows": 20, "base_rate": 0.1}},
            "pronouns": {"tpr": {"first": "she", "second": "he", "labels": labels}, "fpr": None},
        },
    }


def test_an_audit_gives_its_yardsticks(tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    path.write_text(json.dumps(audit()))
    fpr = load(path, axis="identity")
    assert (fpr.kind, fpr.used, fpr.positive) == ("fpr", ("gay", "muslim"), "1")
    np.testing.assert_allclose(fpr.c, [0.5, -0.5])
    assert load(audit(), measure="fpr", with_ambiguous=True).used == ("gay", "muslim", "old")
    tpr = load(audit(), measure="tpr")
    assert (tpr.first, tpr.second, tpr.used) == ("she", "he", ("dj", "nurse"))


def test_an_audit_that_leaves_a_choice_asks_for_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"several.*identity/fpr, pronouns/tpr.*give the axis"):
        load(audit())
    with pytest.raises(InputError, match=r"no yardstick fits.*axis nowhere.*identity/fpr"):
        load(audit(), axis="nowhere")
    with pytest.raises(InputError, match="not complete"):
        load({"yardsticks": {"identity": {"fpr": {"base_rate": 0.1}}}})
    with pytest.raises(InputError, match='"auc" is unknown'):
        load({"yardsticks": {"identity": {"auc": {"terms": []}}}})
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(InputError, match=r"broken.json: cannot be read"):
        load(tmp_path / "broken.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(InputError, match="holds no audit"):
        load(tmp_path / "list.json")


@pytest.mark.parametrize(
    "stick", [fpr_yardstick(COUNTS, total_n=4000, total_positive=400), load(audit(), measure="fpr")]
)
def test_a_record_gives_the_yardstick_back(stick: Yardstick) -> None:
    again = load(json.loads(json.dumps({"yardstick": stick.to_dict()})))
    assert again.to_dict() == stick.to_dict()
    np.testing.assert_array_equal(again.c, stick.c)
    assert load(stick) is stick


def test_chance_tells_planted_from_accidental_imbalance():
    rng = np.random.default_rng(3)
    names = [f"t{i}" for i in range(12)]

    def p_of(rates: list[float]) -> float:
        counts = {name: (100, int(rng.binomial(100, rate))) for name, rate in zip(names, rates, strict=True)}
        return fpr_yardstick(counts, total_n=20_000, total_positive=2_000).chance

    fair = [p_of([0.1] * 12) for _ in range(300)]
    biased = [p_of([0.05, 0.3] * 6) for _ in range(20)]
    # Under no imbalance p is below .05 about 5 % of the time: 300 draws, binomial bound at .999.
    assert sum(p < 0.05 for p in fair) <= 27
    assert max(biased) < 0.001


def test_chance_survives_the_file():
    stick = fpr_yardstick({"gay": (100, 60), "muslim": (100, 30)}, total_n=2000, total_positive=250)
    assert Yardstick.from_dict(stick.to_dict()).chance == pytest.approx(stick.chance)
