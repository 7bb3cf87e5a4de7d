"""Plans whose steps undo each other say so."""

import pytest

import evenset.data
from evenset.curate import run
from evenset.data.config import parse

SCRUB = {"do": "scrub", "axis": "pronouns"}
SWAP = {"do": "swap", "axis": "pronouns"}
WEIGH = {"do": "reweight", "axis": "pronouns"}


def notes(*steps: dict[str, object]) -> list[str]:
    plan = parse({"plan": {"p": {"step": list(steps)}}}).plan["p"]
    rows = [{"text": f"{('She', 'He')[n % 2]} ran {n}", "label": "ab"[n % 3 == 0]} for n in range(20)]
    found: list[str] = run(evenset.data.open(rows, text="text", label="label"), plan, dry_run=True).report["notes"]
    return found


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((SWAP, SCRUB), "step 2 (scrub) finds the words of \"pronouns\" changed already by step 1 (swap)"),
        ((SCRUB, SWAP), "step 2 (swap) finds the words of \"pronouns\" changed already by step 1 (scrub)"),
        ((SCRUB, SCRUB), "changed already by step 1 (scrub) and leaves them; leave one of the two out"),
        ((SCRUB, SWAP | {"mode": "augment"}), "makes no copies"),
        ((SCRUB | {"groups": ["she"]}, SWAP), "finds some words"),
        ((SCRUB, WEIGH), "groups of the raw text, as they were before step 1 (scrub)"),
    ],
)  # fmt: skip
def test_steps_on_the_same_words(steps: tuple[dict[str, object], ...], message: str) -> None:
    assert [note for note in notes(*steps) if message in note]


@pytest.mark.parametrize(
    "steps",
    [
        (SCRUB,),
        (SCRUB | {"groups": ["she"]}, SCRUB | {"groups": ["he"], "with": "drop"}),
        (SCRUB, {"do": "scrub", "axis": "identity"}),
        (SWAP | {"mode": "augment"}, WEIGH),
        (WEIGH,),
    ],
)
def test_steps_on_different_words(steps: tuple[dict[str, object], ...]) -> None:
    assert not [note for note in notes(*steps) if 'column "weight"' not in note]
