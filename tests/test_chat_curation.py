"""Chat, instruction and preference data curated in place: what changes, what does not, and that it can be undone."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evenset.data
from evenset.curate import restore, run
from evenset.curate.book.places import Places
from evenset.curate.edits import Edits
from evenset.curate.prepare import prepare
from evenset.data.config import parse
from evenset.data.conversation_source import ConversationSource
from evenset.data.errors import InputError
from evenset.data.messages import SEGMENTS
from evenset.data.tokens import tokenize
from evenset.data.writers import open_writer


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

WORDS = [
    "She",
    "he",
    "told",
    "him",
    "her",
    "gay",
    "asian",
    "an",
    "it's",
    "😀",
    "naïve",
    '"q"',
    "\n\n",
    "back\\slash",
    "/",
]
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
    return [
        {"from": {"user": "human", "assistant": "gpt"}.get(m["role"], "system"), "value": m["content"]}
        for m in messages
    ]


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
    for label, side in [
        *((label, side) for label in "ab" for side in "lr"),
        *draw(st.lists(st.sampled_from(["al", "br"]), max_size=4)),
    ]:
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
            row |= {
                "prompt": prompt,
                "chosen": replies(prompt, said[0], form),
                "rejected": replies(prompt, said[1], form),
            }
        rows.append(row)
    certain = {
        "chat": "messages",
        "strings": "messages",
        "parts": "messages",
        "mixed": "messages",
        "sharegpt": "conversations",
    }
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


@pytest.mark.slow
@pytest.mark.parametrize(("form", "name"), [case for case in CASES if case[0] not in PAIRS])
@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_restore_after_rows_moved_is_the_identity(form, name, data, tmp_path_factory):
    steps = data.draw(st.sampled_from(list(ROWS)))
    rows, seed = data.draw(conversations(form)), data.draw(st.integers(0, 3))
    check(form, name, ROWS[steps], rows, seed, tmp_path_factory.mktemp("law"))


# -- what is edited and what is not ------------------------------------------------------------------------------------

CALL = {"id": "1", "type": "function", "function": {"name": "her", "arguments": '{"who": "his"}'}}
TALK = [
    {"id": 7, "messages": [
        turn("system", "She is kind."), turn("user", "Is she?"), turn("assistant", "She is. She told him."),
        turn("assistant", None, tool_calls=[CALL]), turn("tool", "he", tool_call_id="1"),
        turn("assistant", "So he is."),
    ]},
    {"id": 1.50, "messages": [turn("user", "Hi."), turn("assistant", "Nothing.")], "note": "she"},
]  # fmt: skip


def lines(path, rows, **options):
    path.write_text("".join(json.dumps(row, **options) + "\n" for row in rows), encoding="utf-8")
    return path


def curated(path, steps, out, **options):
    data = evenset.data.open(path, **options)
    curation = run(data, steps, out=out, audited=False)
    (rows,) = out.glob("data*")
    return curation, rows


def test_only_the_words_of_the_roles_change(tmp_path):
    path = lines(tmp_path / "a.jsonl", TALK)
    before = path.read_text().splitlines()
    _, rows = curated(path, plan(SWAP), tmp_path / "out")
    after = rows.read_text().splitlines()
    assert after[0] == before[0].replace("She is. She told him.", "He is. He told her.").replace(
        "So he is", "So she is"
    )
    assert after[1] == before[1]
    for role, old, new in (
        ("system", '"She is kind."', '"He is kind."'),
        ("user", '"Is she?"', '"Is he?"'),
        ("tool", '"content": "he"', '"content": "she"'),
        ("tool_call", r"{\"who\": \"his\"}", r"{\"who\": \"hers\"}"),
    ):
        _, rows = curated(path, plan(SWAP), tmp_path / role, roles=[role])
        assert rows.read_text().splitlines() == [before[0].replace(old, new), before[1]]


def test_the_ledger_names_the_string_and_the_bytes_in_it(tmp_path):
    said = [turn("assistant", [{"type": "text", "text": "é he"}]), turn("assistant", "né, she")]
    path = lines(tmp_path / "a.jsonl", [*TALK, {"messages": said}])
    curation, _ = curated(path, plan(SWAP), tmp_path / "out")
    found = curation.ledger.to_pylist()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [entry["pointer"] for entry in found] == [
        *["/messages/2/content"] * 3, "/messages/5/content", "/messages/0/content/0/text", "/messages/1/content",
    ]  # fmt: skip
    for entry in found:
        value = rows[entry["position"]]
        for step in entry["pointer"].split("/")[1:]:
            value = value[int(step)] if isinstance(value, list) else value[step]
        assert value.encode()[entry["start"] : entry["end"]].decode() == entry["before"]
    plain = run(evenset.data.open([{"text": "She."}], text="text"), plan(SWAP)).ledger
    assert plain["pointer"].to_pylist() == [None]


def test_no_edit_reaches_across_two_messages():
    rows = [{"messages": [turn("assistant", "he"), turn("assistant", "her")]}]
    data = evenset.data.open(pa.Table.from_pylist(rows))
    (batch,) = data.batches(columns=[SEGMENTS])
    tokens = tokenize(batch.text)
    places = Places.of(batch, tokens)

    def edit(start, end):
        one = np.array([0])
        return Edits(one, one + start, one + end, one, one + 1, one, one, ("x",))

    assert [value.tolist() for value in places.find(edit(4, 7))[1:]] == [[0], [3]]
    for start, end in ((0, 3), (1, 5), (2, 4), (3, 5), (0, 7)):
        with pytest.raises(ValueError, match="across two messages"):
            places.find(edit(start, end))


def test_a_transcript_and_json_in_a_string(tmp_path):
    text = "\n\nHuman: Is she é?\n\nAssistant: She is.\n\nHuman: he?\n\nAssistant: He is{}."
    pairs = [{"chosen": text.format(""), "rejected": text.format(" not")}]
    path = lines(tmp_path / "a.jsonl", pairs)
    _, rows = curated(path, plan(SWAP), tmp_path / "pairs")
    assert rows.read_text() == path.read_text().replace("He is", "She is")
    path = lines(tmp_path / "b.jsonl", [{"messages": json.dumps(row["messages"])} for row in TALK])
    curation, rows = curated(path, plan(SWAP), tmp_path / "strings", format="chat")
    assert rows.read_text() == path.read_text().replace("She is. She told him.", "He is. He told her.").replace(
        "So he is", "So she is"
    )
    assert curation.ledger["pointer"][0].as_py() == "/messages/2/content"


def test_texts_never_go_nowhere(tmp_path):
    path = lines(tmp_path / "a.jsonl", TALK)
    data = evenset.data.open(path)
    (batch,) = data.batches()
    with open_writer(tmp_path / "b.jsonl", like=data) as writer:
        writer.write(batch, text=batch.text)
    assert (tmp_path / "b.jsonl").read_bytes() == path.read_bytes()
    with (
        pytest.raises(ValueError, match="change by splices"),
        open_writer(tmp_path / "c.jsonl", like=data) as writer,
    ):
        writer.write(batch, text=pa.array(["x"] * batch.n))
    assert not (tmp_path / "c.jsonl").exists()


# -- preference pairs --------------------------------------------------------------------------------------------------

TERMS = ["gay", "muslim", "black", "deaf"]


def pairs(n=40):
    for k in range(n):
        term, prompt = TERMS[k % len(TERMS)], f"Who is number {k}?"
        yield {
            "chosen": [turn("user", prompt), turn("assistant", f"A {term} friend, he said.")],
            "rejected": [turn("user", prompt), turn("assistant", f"Only a {term} man {k}.")],
            "score": k,
        }


def term_of(messages):
    return messages[-1]["content"].split()[1 if messages[-1]["content"].startswith("A") else 2]


@pytest.mark.parametrize("batch_bytes", [None, 150])
def test_both_replies_of_a_pair_are_swapped_alike(batch_bytes, tmp_path, monkeypatch):
    if batch_bytes is not None:
        monkeypatch.setattr("evenset.data.normalise.BATCH_BYTES", batch_bytes)
    path = lines(tmp_path / "a.jsonl", pairs())
    _, rows = curated(path, plan(RANDOM), tmp_path / "out")
    after = [json.loads(line) for line in rows.read_text().splitlines()]
    drawn = [(term_of(row["chosen"]), term_of(row["rejected"])) for row in after]
    assert all(one == other for one, other in drawn)
    assert len({one for one, _ in drawn}) > 4
    assert [row["score"] for row in after] == list(range(40))
    # The same pairs in another order draw the same, also where two pairs share a reply.
    shared = [*pairs(), {**next(pairs()), "rejected": [turn("user", "Who is number 0?"), turn("assistant", "gay")]}]
    results = []
    for number, ordered in enumerate((shared, shared[::-1])):
        path = lines(tmp_path / f"{number}.jsonl", ordered)
        _, rows = curated(path, plan(RANDOM), tmp_path / f"out{number}")
        results.append(sorted(rows.read_text().splitlines()))
    assert results[0] == results[1]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_copies_of_pairs_are_whole(form, tmp_path):
    path = tmp_path / f"a.{form}"
    asked, yes = turn("user", "?"), turn("assistant", "Yes.")
    rows = [
        *pairs(3),
        {"chosen": [asked, yes], "rejected": [asked, turn("assistant", "She.")], "score": 9},
        {"chosen": [asked, yes], "rejected": [asked, turn("assistant", "No.")], "score": 9},
    ]
    FILES[form](path, rows)
    curation, out = curated(path, plan(AUGMENT), tmp_path / "out")
    after = (
        pq.read_table(out).to_pylist() if form == "parquet" else [json.loads(x) for x in out.read_text().splitlines()]
    )
    assert len(after) == 5 + 4
    made = [row for row in after if row.get("evenset_parent")]
    assert [(row["chosen"][-1]["content"], row["rejected"][-1]["content"]) for row in made] == [
        ("A gay friend, she said.", "Only a gay man 0."),
        ("A muslim friend, she said.", "Only a muslim man 1."),
        ("A black friend, she said.", "Only a black man 2."),
        ("Yes.", "He."),
    ]
    assert curation.report["counts"]["copies"] == 8
    same(restore(out, tmp_path / "out" / "ledger.parquet", out=tmp_path / "back"), path)


def test_what_rows_of_a_conversation_cannot_take_is_refused(tmp_path):
    path = lines(tmp_path / "a.jsonl", pairs())
    for step in (UNDER, WEIGH):
        with pytest.raises(InputError, match="a preference pair is one row of the file, and half of it"):
            run(evenset.data.open(path), plan(step), out=tmp_path / "out")
        with pytest.raises(InputError, match="a preference pair is one row"):
            run(prepare(evenset.data.open(path), []), plan(step), out=tmp_path / "out")
    chat = lines(tmp_path / "b.jsonl", TALK)
    topup = {"do": "topup", "axis": "identity", "pool": "pool.csv"}
    with pytest.raises(InputError, match=r"step 1 \(topup\): a pool holds single texts"):
        run(evenset.data.open(chat), plan(topup), dry_run=True)
    assert not (tmp_path / "out").exists()


def test_a_mask_in_messages_is_pointed_out(tmp_path):
    data = evenset.data.open(lines(tmp_path / "a.jsonl", TALK))
    for steps, said in ((plan(MASK), True), (plan(DROP), False), (plan(SWAP), False)):
        notes = run(data, steps, dry_run=True).report["notes"]
        assert any("a model learns to say" in note for note in notes) is said
    plain = evenset.data.open([{"text": "She."}], text="text")
    assert run(plain, plan(MASK)).report["notes"] == []


def test_what_a_swap_of_some_roles_leaves_is_pointed_out(tmp_path):
    chat, pair = lines(tmp_path / "a.jsonl", TALK), lines(tmp_path / "b.jsonl", pairs())

    def notes(path, **options):
        return run(evenset.data.open(path, **options), plan(SWAP), dry_run=True).report["notes"]

    assert any("--roles user,assistant swaps both" in note for note in notes(chat))
    assert notes(chat, roles=["user", "assistant"]) == []
    assert any("the prompt that they share stays" in note for note in notes(pair))


def test_pairs_that_an_edit_makes_alike_are_counted(tmp_path):
    rows = [{"chosen": "He is.", "rejected": "She is."}, {"chosen": "Yes.", "rejected": "Yes."}, *pairs(2)]
    data = evenset.data.open(lines(tmp_path / "a.jsonl", rows), format="preference")
    said = [note for note in run(data, plan(DROP), dry_run=True).report["notes"] if "twice the same reply" in note]
    assert [note.split()[0] for note in said] == ["1"]
    assert not any("twice" in note for note in run(data, plan(SWAP, AUGMENT), dry_run=True).report["notes"])
    # In memory a reply is a row of its own.
    assert run(data, plan(UNDER)).rows.num_rows < 8


def test_where_messages_stand_is_asked_for_only_to_write_them(tmp_path, monkeypatch):
    path = lines(tmp_path / "a.jsonl", [{**row, "label": "ab"[n % 2]} for n, row in enumerate(TALK * 20)])
    asked = []
    reading = ConversationSource.read
    monkeypatch.setattr(
        ConversationSource, "read", lambda self, columns: (asked.append(columns), reading(self, columns))[1]
    )
    data = evenset.data.open(path, label="label")
    monkeypatch.setattr("evenset.curate.curation.small", lambda _: False)
    asked.clear()
    run(data, plan(SWAP, OVER | {"axis": "pronouns"}), out=tmp_path / "out", audited=False)
    assert [SEGMENTS in columns for columns in asked] == [False, True]
    list(data.batches())
    assert SEGMENTS not in asked[-1]


# -- what cannot be restored is said -----------------------------------------------------------------------------------


def spoken(n=12):
    words = ["She told him.", "He is here.", "It is.", "They met her."]
    return [{"n": k, "messages": [turn("user", f"{k}?"), turn("assistant", f"{words[k % 4]} {k}")]} for k in range(n)]


def test_files_and_ledgers_that_do_not_belong_together(tmp_path):
    path = lines(tmp_path / "a.jsonl", spoken())
    _, rows = curated(path, plan(SWAP), tmp_path / "out")
    ledger, whole = tmp_path / "out" / "ledger.parquet", rows.read_bytes()

    def refused(message, *, book=ledger, **more):
        with pytest.raises(InputError, match=message) as caught:
            restore(rows, book, out=tmp_path / "back", **more)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "back").exists()

    for old, new, message in (
        (b"They met him", b"They met Jim", r"changed by hand after curation \(row 4 no longer reads"),
        (b"It is", b"It was", "changed by hand after curation .elsewhere"),
        (b'"n": 3', b'"n": 4', "changed by hand after curation .elsewhere"),
        (b'"content": "He told', b'"text": "He told', "changed by hand|has no|is null"),
    ):
        assert old in whole
        rows.write_bytes(whole.replace(old, new, 1))
        refused(message)
    every = whole.splitlines(keepends=True)
    rows.write_bytes(b"".join(every[:-1]))
    refused("has 11 rows and the ledger is of 12")
    rows.write_bytes(b"".join([*every, every[0]]))
    refused("has 13 rows and the ledger is of 12")
    rows.write_bytes(b"".join(every[1:] + every[:1]))
    refused("of another curation .* or the rows were put in another order")
    rows.write_bytes(whole[:-30])
    refused("is not JSON")
    rows.write_bytes(whole)
    other = lines(tmp_path / "b.jsonl", [{"messages": [turn("assistant", f"So she told {k}.")]} for k in range(12)])
    curated(other, plan(SWAP), tmp_path / "other")
    refused("is of another curation", book=tmp_path / "other" / "ledger.parquet")
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(ledger.read_bytes()[:-100])
    refused("no whole parquet file, so no ledger", book=cut)
    table = pq.read_table(ledger).replace_schema_metadata(pq.read_metadata(ledger).metadata)
    pq.write_table(table.slice(2), cut)
    refused("the ledger was cut short", book=cut)
    pq.write_table(table.replace_schema_metadata({"evenset": "{"}), cut)
    refused("says nothing of itself", book=cut)
    pq.write_table(table.take(pa.array(range(table.num_rows))[::-1]), cut)
    refused("the ledger .* rows are out of order", book=cut)
    broken = bytearray(ledger.read_bytes())
    broken[4:400] = bytes(396)
    cut.write_bytes(broken)
    refused("the ledger .* is damaged", book=cut)
    wrong = table.set_column(table.schema.get_field_index("after"), "after", pa.array(["x"] * table.num_rows))
    pq.write_table(wrong, cut)
    refused("the ledger .* was changed by hand", book=cut)
    back = restore(rows, ledger, out=tmp_path / "back")
    assert back.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("sizes", [(60, 1 << 20), (1 << 20, 90), (80, 80)])
def test_ledger_and_rows_are_read_side_by_side(form, sizes, tmp_path, monkeypatch):
    path = tmp_path / f"a.{form}"
    if form == "jsonl":
        rows = [{**row, "label": "ab"[n % 3 == 0]} for n, row in enumerate(spoken(60))]
        lines(path, rows)
    else:
        path.write_text("text,label\r\n" + "".join(f"{row['messages'][1]['content']},a\r\n" for row in spoken(60)))
    monkeypatch.setattr("evenset.data.normalise.BATCH_BYTES", sizes[0])
    monkeypatch.setattr("evenset.data.streams.CHUNK", sizes[0])
    monkeypatch.setattr("evenset.data.readers_jsonl.CHUNK", sizes[0])
    _, out = curated(path, plan(SWAP, {**AUGMENT, "axis": "identity", "to": "random"}), tmp_path / "out")
    ledger = tmp_path / "out" / "ledger.parquet"
    whole = pq.read_table(ledger).replace_schema_metadata(pq.read_metadata(ledger).metadata)
    pq.write_table(whole, ledger, row_group_size=7 if sizes[0] < 100 else 1000)
    monkeypatch.setattr("evenset.data.normalise.BATCH_BYTES", sizes[1])
    monkeypatch.setattr("evenset.data.readers_jsonl.CHUNK", sizes[1])
    same(restore(out, ledger, out=tmp_path / "back"), path)


@pytest.mark.slow
def test_dropped_conversations_need_their_original(tmp_path):
    rows = [{**row, "label": "ab"[n % 3 == 0]} for n, row in enumerate(spoken(40))]
    path = lines(tmp_path / "a.jsonl", rows)
    curation, out = curated(path, plan(SWAP, UNDER), tmp_path / "out", label="label")
    ledger = tmp_path / "out" / "ledger.parquet"
    assert curation.report["counts"]["drops"]
    with pytest.raises(InputError, match=r"rows were dropped.*--original"):
        restore(out, ledger, out=tmp_path / "back")
    other = lines(tmp_path / "b.jsonl", rows[1:])
    with pytest.raises(InputError, match="is not the data that was curated"):
        restore(out, ledger, original=other, out=tmp_path / "back")
    with pytest.raises(InputError, match="there is no file"):
        restore(out, ledger, original=tmp_path / "c.jsonl", out=tmp_path / "back")
    assert not (tmp_path / "back").exists()
    assert restore(out, ledger, original=path, out=tmp_path / "back").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_weights_that_were_written_over_come_back(form, tmp_path):
    rows = [{**row, "weight": 1 + n % 3, "label": "ab"[n % 2]} for n, row in enumerate(spoken())]
    path = tmp_path / f"a.{form}"
    if form == "jsonl":
        lines(path, rows)
    else:
        table = pa.Table.from_pylist(rows)
        at = table.schema.get_field_index("weight")
        pq.write_table(table.set_column(at, "weight", table["weight"].cast(pa.int8())), path)
    _, out = curated(path, plan(SWAP, WEIGH), tmp_path / "out", label="label", weight="weight")
    same(restore(out, tmp_path / "out" / "ledger.parquet", out=tmp_path / "back"), path)


def test_labels_made_of_the_messages(tmp_path):
    jobs = ["She is a nurse.", "He is a nurse.", "He is a surgeon.", "He is a surgeon.", "She is a nurse."]
    path = lines(tmp_path / "a.jsonl", [{"messages": [turn("assistant", jobs[n % 5])], "n": n} for n in range(30)])
    curation, out = curated(path, plan(SWAP, UNDER, WEIGH), tmp_path / "out", label="axis:occupations")
    assert curation.report["counts"]["drops"]
    same(restore(out, tmp_path / "out" / "ledger.parquet", original=path, out=tmp_path / "back"), path)


def test_ledgers_of_the_first_form_still_restore(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text\nShe told him.\nIt is.\n")
    _, rows = curated(path, plan(SWAP), tmp_path / "out", text="text")
    table = pq.read_table(tmp_path / "out" / "ledger.parquet")
    about = json.loads(pq.read_metadata(tmp_path / "out" / "ledger.parquet").metadata[b"evenset"]) | {
        "schema": "evenset.ledger/1"
    }
    about["input"] = {key: value for key, value in about["input"].items() if key not in {"conversation", "ascii"}}
    old = table.drop_columns("pointer").replace_schema_metadata({"evenset": json.dumps(about)})
    pq.write_table(old, tmp_path / "old.parquet")
    assert restore(rows, tmp_path / "old.parquet", out=tmp_path / "back").read_bytes() == path.read_bytes()


# -- files as others open them -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "a.csv"])
def test_datasets_and_pandas_open_what_is_written(name, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    pandas = pytest.importorskip("pandas")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    form = name.split(".")[1]
    path = tmp_path / name
    rows = [
        {"messages": row["messages"], "n": k, "score": k / 4, "tags": ["x", str(k)], "flag": k % 2 == 0, "note": "né"}
        for k, row in enumerate(spoken())
    ]
    if form == "csv":
        rows = [
            {"instruction": "Who?", "output": row["messages"][1]["content"], "n": row["n"], "score": row["score"]}
            for row in rows
        ]
    {
        "jsonl": write_jsonl,
        "csv": write_csv,
        "parquet": lambda path, rows: pq.write_table(pa.Table.from_pylist(rows), path),
    }[form](path, rows)
    curation, out = curated(path, plan(SWAP), tmp_path / "out")
    assert curation.report["counts"]["edits"] == 12
    kind = {"jsonl": "json"}.get(form, form)
    before, after = (
        datasets.load_dataset(kind, data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
        for file in (path, out)
    )
    assert after.features == before.features
    changed = "output" if form == "csv" else "messages"
    for column in before.column_names:
        assert (list(after[column]) == list(before[column])) is (column != changed)
    read = {
        "jsonl": lambda file: pandas.read_json(file, lines=True),
        "csv": pandas.read_csv,
        "parquet": pandas.read_parquet,
    }[form]
    frames = [read(file) for file in (path, out)]
    assert (frames[0].dtypes == frames[1].dtypes).all()
    others = [column for column in frames[0] if column != changed]
    pandas.testing.assert_frame_equal(frames[0][others], frames[1][others])


@pytest.mark.parametrize("form", ["hf", "arrow", "zst", "files"])
def test_other_places_come_back_too(form, tmp_path):
    rows = spoken()
    if form == "files":
        for part in range(3):
            lines(tmp_path / f"part{part}.jsonl", rows[4 * part : 4 * part + 4])
        _, out = None, run(evenset.data.open(str(tmp_path / "part*.jsonl")), plan(SWAP, AUGMENT), out=tmp_path / "out")
        back = restore(tmp_path / "out" / "rows", tmp_path / "out" / "ledger.parquet", out=tmp_path / "back")
        for part in range(3):
            assert (back / f"part{part}.jsonl").read_bytes() == (tmp_path / f"part{part}.jsonl").read_bytes()
        return
    table = pa.Table.from_pylist(rows)
    path = tmp_path / {"hf": "folder", "arrow": "a.arrow", "zst": "a.jsonl.zst"}[form]
    if form == "hf":
        pytest.importorskip("datasets").Dataset(table).save_to_disk(str(path))
    elif form == "arrow":
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=5)
    else:
        path.write_bytes(pa.compress("".join(json.dumps(row) + "\n" for row in rows).encode(), "zstd", asbytes=True))
    curation, out = curated(path, plan(SWAP, AUGMENT), tmp_path / "out")
    assert curation.report["counts"]["copies"] == 0  # its words are taken by the swap
    back = restore(out, tmp_path / "out" / "ledger.parquet", out=tmp_path / "back")
    first, again, changed = (next(evenset.data.open(place).batches()) for place in (path, back, out))
    assert again.table.to_pylist() == first.table.to_pylist()
    assert (first.text[0].as_py(), changed.text[0].as_py()) == ("She told him. 0", "He told her. 0")


def test_words_that_would_break_a_tool_call_are_refused(tmp_path):
    path = lines(tmp_path / "a.jsonl", TALK)
    data = evenset.data.open(path, roles=["assistant", "tool_call"])
    step = {**DROP, "with": '"x"'}
    with pytest.raises(InputError, match="would break the JSON of a tool call's arguments"):
        run(data, plan(step), out=tmp_path / "out", audited=False)
    assert not (tmp_path / "out").exists()
    curation, rows = curated(path, plan(step), tmp_path / "said", roles=["assistant"])
    assert '\\"x\\" is. \\"x\\" told' in rows.read_text()
    assert not any("tool calls" in note for note in curation.report["notes"])
    assert any("tool calls" in note for note in run(data, plan(SWAP), dry_run=True).report["notes"])
