"""Chat, instruction and preference data curated in place: what changes, what does not, and that it can be undone."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import evenset.data
from evenset.curate import restore, run
from evenset.curate.edits import Edits
from evenset.curate.places import Places
from evenset.curate.prepare import prepare
from evenset.data.config import parse
from evenset.data.conversation_source import ConversationSource
from evenset.data.errors import InputError
from evenset.data.messages import SEGMENTS
from evenset.data.tokens import tokenize


def plan(*steps):
    return parse({"plan": {"p": {"step": list(steps)}}}).plan["p"]


SWAP = {"do": "swap", "axis": "pronouns"}
RANDOM = {"do": "swap", "axis": "identity", "to": "random"}
DROP = {"do": "scrub", "axis": "pronouns", "with": "drop"}
MASK = {"do": "scrub", "axis": "identity", "with": "é_"}
AUGMENT = {**SWAP, "mode": "augment"}
UNDER = {"do": "resample", "axis": "pronouns", "target": "independent"}
OVER = {"do": "resample", "axis": "column:side", "level": 1.0, "method": "over"}
WEIGH = {"do": "reweight", "axis": "pronouns"}

EDITS = {"swap": plan(SWAP), "random": plan(RANDOM), "drop": plan(DROP, MASK), "copies": plan(MASK, AUGMENT)}
ROWS = {
    "repeats": plan(SWAP, OVER),
    "drops": plan(DROP, UNDER),
    "weights": plan(SWAP, WEIGH),
    "all": plan(MASK, AUGMENT, UNDER, WEIGH),
}

WORDS = ["She", "he", "told", "him", "her", "gay", "asian", "an", "it's", "😀", "naïve", '"q"', "\n\n", "back\\slash", "/"]
texts = st.lists(st.sampled_from(WORDS), max_size=7).map(" ".join)


def turn(role, content, **more):
    return {"role": role, "content": content, **more}


@st.composite
def chats(draw, *, parts=False):
    said = texts | st.none()
    if parts:
        part = st.builds(lambda text: {"type": "text", "text": text}, texts)
        said = st.lists(part, max_size=2)
        if parts == "mixed":
            image = st.just({"type": "image_url", "image_url": {"url": "she"}})
            said = texts | st.none() | st.lists(part | image, max_size=3)
    one = st.tuples(st.sampled_from(["system", "user", "assistant", "assistant"]), said)
    return [turn(role, content) for role, content in draw(st.lists(one, max_size=4))]


def as_sharegpt(messages):
    return [{"from": {"user": "human", "assistant": "gpt"}.get(m["role"], "system"), "value": m["content"]} for m in messages]


def replies(prompt, reply, form):
    if form == "text":
        return reply
    if form == "transcript":
        return f"\n\nHuman: {prompt}\n\nAssistant: {reply}"
    if form == "prompted":
        return prompt + reply
    return [turn("user", prompt), turn("assistant", reply)]


@st.composite
def conversations(draw, form):
    """Rows of one format; each label has both sides, so that every goal of a plan can be reached."""
    rows = []
    for label, side in [*((label, side) for label in "ab" for side in "lr"), *draw(st.lists(st.sampled_from(["al", "br"]), max_size=4))]:
        row = {"label": label, "side": side, "number": len(rows)}
        if form in {"chat", "strings"}:
            row["messages"] = draw(chats() | st.none())
        elif form == "parts":
            row["messages"] = draw(chats(parts=True))
        elif form == "mixed":
            row["messages"] = draw(chats(parts="mixed") | st.none())
        elif form == "sharegpt":
            row["conversations"] = as_sharegpt(draw(chats()))
        elif form == "alpaca":
            row |= {"instruction": draw(texts), "input": draw(st.none() | texts), "output": draw(texts)}
        else:
            prompt, said = draw(texts), [draw(texts), draw(texts)] if rows else ["She told him.", "He ran."]
            row |= {"prompt": prompt, "chosen": replies(prompt, said[0], form), "rejected": replies(prompt, said[1], form)}
        rows.append(row)
    certain = {"chat": "messages", "strings": "messages", "parts": "messages", "mixed": "messages", "sharegpt": "conversations"}
    if form in certain:  # the form has to show
        sure = [turn("user", "Who?"), turn("assistant", "She told him.")]
        if form == "parts":
            sure = [turn(m["role"], [{"type": "text", "text": m["content"]}]) for m in sure]
        rows[0][certain[form]] = as_sharegpt(sure) if form == "sharegpt" else sure
    return rows


def write_jsonl(path, rows, *, ascii_only=True):
    path.write_text("".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows), encoding="utf-8")


def write_raw(path, rows):
    """Not one line is plain ASCII, so that nothing is left to guess of how it spells characters."""
    write_jsonl(path, [{"ü": 1, **row} for row in rows], ascii_only=False)


def write_parquet(path, rows):
    schema = pa.Table.from_pylist(rows).schema
    for at, field in enumerate(schema):
        if field.name == "output":
            schema = schema.set(at, field.with_type(pa.dictionary(pa.int32(), pa.string())))
    pq.write_table(pa.Table.from_pylist(rows, schema).replace_schema_metadata({"about": "kept"}), path)


def with_strings(rows):
    return [{**row, "messages": None if row["messages"] is None else json.dumps(row["messages"])} for row in rows]


def write_csv(path, rows):
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


FILES = {
    "jsonl": write_jsonl,
    "raw.jsonl": write_raw,
    "parquet": write_parquet,
    "csv": write_csv,
}
CASES = [
    *(("chat", name) for name in ("jsonl", "raw.jsonl", "parquet")),
    ("parts", "parquet"),
    ("mixed", "jsonl"),
    *(("strings", name) for name in ("jsonl", "parquet", "csv")),
    *(("sharegpt", name) for name in ("jsonl", "parquet")),
    *(("alpaca", name) for name in ("raw.jsonl", "parquet", "csv")),
    *((form, "jsonl") for form in ("text", "transcript", "prompted", "messages")),
    *(("messages", name) for name in ("raw.jsonl", "parquet")),
]
PAIRS = {"text", "transcript", "prompted", "messages"}


def opened(path, form):
    if form in PAIRS:
        return evenset.data.open(path, format="preference")
    named = {"sharegpt": "sharegpt", "alpaca": "alpaca"}.get(form, "chat")
    return evenset.data.open(path, format=named, label="label", axes_columns=["side"])


def same(back, path):
    if path.suffix == ".parquet":
        before, after = pq.read_table(path), pq.read_table(back)
        assert after.schema.equals(before.schema, check_metadata=True)
        assert after.equals(before)
    else:
        assert back.read_bytes() == path.read_bytes()


def values_of(dataset):
    return [text for batch in dataset.batches() for text in batch.text.to_pylist()]


def check(form, name, steps, rows, seed, folder):
    path = folder / f"in.{name}"
    FILES[name](path, with_strings(rows) if form == "strings" else rows)
    data = opened(path, form)
    out = folder / "out"
    try:
        curation = run(data, steps, seed=seed, out=out, audited=False)
    except InputError as error:
        if "no message" in str(error) or "has a message" in str(error) or "every row of label" in str(error):
            return None
        raise
    (curated,) = out.glob("data.*")
    drops = curation.report["counts"]["drops"]
    back = restore(curated, out / "ledger.parquet", original=path if drops else None, out=folder / "back")
    same(back, path)
    return data, curated, curation


@pytest.mark.parametrize(("form", "name"), CASES)
@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_restore_after_edits_is_the_identity(form, name, data, tmp_path_factory):
    steps = data.draw(st.sampled_from(list(EDITS)))
    rows, seed = data.draw(conversations(form)), data.draw(st.integers(0, 3))
    done = check(form, name, EDITS[steps], rows, seed, tmp_path_factory.mktemp("law"))
    if done is None or form in PAIRS or steps == "drop":  # an emptied message is none any more
        return
    # The same plan on the texts alone, which go nowhere near the messages.
    before, curated, _ = done
    assert values_of(opened(curated, form)) == run(before, EDITS[steps], seed=seed).rows["text"].to_pylist()


@pytest.mark.parametrize(("form", "name"), [case for case in CASES if case[0] not in PAIRS])
@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_restore_after_rows_moved_is_the_identity(form, name, data, tmp_path_factory):
    steps = data.draw(st.sampled_from(list(ROWS)))
    rows, seed = data.draw(conversations(form)), data.draw(st.integers(0, 3))
    check(form, name, ROWS[steps], rows, seed, tmp_path_factory.mktemp("law"))
