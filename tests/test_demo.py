"""The demo's own promise: what was planted is found, and nothing is found where nothing was planted."""

import json

import pytest

from evenset.finetune import demo


@pytest.mark.slow
def test_the_demo_recovers_what_was_planted(tmp_path):
    result = demo.run(tmp_path / "demo")
    assert [fact.planted for fact in result.facts if not fact.matched] == []
    written = json.loads((tmp_path / "demo" / "demo.json").read_text())
    assert written["matched"] is True
    assert len(written["facts"]) == 4


def test_a_missed_truth_is_a_missed_demo():
    facts = (demo.Fact("a", "a", matched=True), demo.Fact("b", "c", matched=False))
    missed = demo.Demo(verdict=None, twin=None, facts=facts)  # type: ignore[arg-type]
    assert not missed.matched
    assert missed.to_dict()["facts"][1] == {"planted": "b", "found": "c", "matched": False}
