"""The one config: what is right loads, what is wrong is named with its key and the nearest spelling."""

import pytest

from evenset.data import InputError, config

PLAN = {"plan": {"a": {"step": [{"do": "scrub", "axis": "identity", "with": "drop"}]}}}


def problem(raw, match):
    with pytest.raises(InputError, match=match) as caught:
        config.parse(raw, source="evenset.toml")
    return str(caught.value)


def test_a_plan_loads_and_knows_its_name():
    loaded = config.parse(PLAN)
    assert loaded.get_plan("a").name == "a"
    assert loaded.get_plan("a").step[0].with_ == "drop"


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        ({"finetune": {"sedes": 3}}, 'finetune.sedes: unknown key. Did you mean "seeds"'),
        ({"finetun": {}}, 'finetun: unknown key. Did you mean "finetune"'),
        ({"finetune": {"seeds": "many"}}, "finetune.seeds: .*found 'many'"),
        ({"finetune": {"seeds": 0}}, "finetune.seeds: .*greater than or equal to 1.*found 0"),
        ({"plan": {"a": {"step": [{"do": "scrubb", "axis": "x"}]}}}, '"scrubb" is not one of .*Did you mean "scrub"'),
        (
            {"plan": {"a": {"step": [{"do": "scrub", "axsi": "x"}]}}},
            r'plan\.a\.step\[1\]\.axsi: unknown key. Did you mean "axis"',
        ),
        ({"plan": {"a": {"step": []}}}, "plan.a.step: .*at least 1"),
        ({"plan": {"raw": {"step": [{"do": "scrub", "axis": "x"}]}}}, 'plan name "raw"'),
        ({"arm": [{"plan": "nowhere"}]}, 'no plan "nowhere"'),
        (PLAN | {"arm": [{"plan": "b"}]}, 'no plan "b"'),
        ({"check": [{"measure": "x"}]}, "a check needs a limit: `warn`"),
        ({"check": [{"measure": "x", "warn": 0.5, "fail": 0.2}]}, "must not be beyond"),
        ({"plan": {"a": {"step": [{"do": "resample", "axis": "x"}]}}}, "exactly one of `level`"),
        (
            {"data": {"train": "${EVENSET_NO_SUCH_VARIABLE}/x"}},
            "data.train: the environment variable EVENSET_NO_SUCH_VARIABLE is not set",
        ),
    ],
)
def test_every_mistake_is_named(raw, match):
    assert problem(raw, match).startswith("evenset.toml: ")


def test_a_step_out_of_phase_is_refused():
    steps = [{"do": "reweight", "axis": "identity"}, {"do": "scrub", "axis": "identity"}]
    assert "edits, then copies, then selection, then weights" in problem({"plan": {"a": {"step": steps}}}, "step 2")


def test_all_problems_are_listed_at_once():
    message = problem({"finetune": {"seeds": 0, "epoks": 1}}, "2 problems")
    assert "finetune.seeds" in message
    assert "finetune.epoks" in message


def test_numbers_are_taken_as_label_text():
    assert config.parse({"data": {"positive": 1}}).data.positive == "1"


def test_the_environment_is_filled_in(monkeypatch, tmp_path):
    monkeypatch.setenv("EVENSET_TEST_FOLDER", "/somewhere")
    file = tmp_path / "evenset.toml"
    file.write_text('[data]\ntrain = "${EVENSET_TEST_FOLDER}/train.csv"\n')
    assert config.load(file).data.train == "/somewhere/train.csv"


@pytest.mark.parametrize(
    ("content", "match"),
    [(b"[data\n", "not valid TOML.*line 1"), (b"\xff\xfe", "cannot be read"), (None, "no such config")],
)
def test_files_that_are_no_config(tmp_path, content, match):
    file = tmp_path / "evenset.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=match):
        config.load(file)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("swap:pronouns,to=she:he,to=he:they", "option to is given twice; write to=she:he+he:they"),
        ("scrub:identity,groups=gay,groups=straight", "option groups is given twice; write groups=gay+straight"),
        ("scrub:pronouns,with=x,with=y", "option with is given twice; give it once"),
        ("swap:pronouns,to=she:he+he", 'to: "he" is no pair; write GROUP:GROUP, as in to=she:he+he:they'),
        ("resample:pronouns,rate=1.5", "rate: a number from 0 to 1, or overall; found 1.5"),
        ("resample:pronouns,level=abc", "level: must be a number; found 'abc'"),
        ("scrub:pronouns,proxies=0", "proxies: a whole number from 1 on, or all; found 0"),
        ("scrub:pronouns,with=dorp", 'did you mean "drop"?'),
        ("scrub:pronouns,with=netural", 'did you mean "neutral"?'),
        ("scrub:pronouns,with=", 'use with = "drop"'),
    ],
)
def test_mistakes_in_steps_of_the_command_line_take_one_line(step, message):
    with pytest.raises(InputError) as caught:
        config.inline_plan([step])
    assert str(caught.value).endswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mask", ["_", "drop", "neutral", "[drop]", "person", "X"])
def test_masks_that_are_no_slips(mask):
    assert config.inline_plan([f"scrub:pronouns,with={mask}"]).step[0].with_ == mask
