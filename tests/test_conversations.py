"""Chat, instruction and preference data: every form, the way back into the messages, and what is refused."""

import gzip
import io
import json
import string

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evenset.audit
import evenset.data
from evenset.cli import invoke
from evenset.data import InputError, readers_jsonl
from evenset.data.match import Matcher
from evenset.data.messages import SEGMENTS, SEPARATOR
from evenset.data.parts import cut
from evenset.data.tokens import tokenize


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def lines(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def texts(data):
    return [
        None if null else text
        for batch in data.batches()
        for text, null in zip(batch.text.to_pylist(), batch.text_null, strict=True)
    ]


def at(pointer, row):
    """The value of a JSON pointer, by RFC 6901."""
    for step in pointer.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        row = row[int(step)] if isinstance(row, list) else row[step]
    return row


def check_segments(data, rows, each=1):
    """What the segments say is so, and together with the separators they are the whole text."""
    for batch in data.batches(columns=[SEGMENTS]):
        held = [text.encode() for text in batch.text.to_pylist()]
        pieces = [[] for _ in held]
        for one in batch.segments().to_pylist():
            row = rows[(batch.start + one["row"]) // each]
            value = at(one["pointer"], row).encode()
            size = one["end"] - one["start"]
            assert held[one["row"]][one["start"] : one["end"]] == value[one["at"] : one["at"] + size]
            assert size > 0
            pieces[one["row"]].append((one["start"], one["end"]))
        for text, found in zip(held, pieces, strict=True):
            assert SEPARATOR.encode().join(text[start:end] for start, end in found) == text


# -- the forms ---------------------------------------------------------------------------------------------------------

CHAT = [
    {"messages": [
        {"role": "system", "content": "Be kind."},
        *(user("Who?"), assistant("She is."), user("And?"), assistant("He é.")),
    ]},
    {"messages": [user("Hi."), assistant("They are.")]},
    {"messages": [user("Nobody answers.")]},
    {"messages": []},
    {"messages": None},
    {"messages": [user("Call it."), assistant(None), assistant("")]},
]  # fmt: skip
CHAT_TEXTS = ["She is.\n\nHe é.", "They are.", None, None, None, ""]


def _parquet(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path)


def _gzip(path, rows):
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))


def _zstd(path, rows):
    path.write_bytes(pa.compress("".join(json.dumps(row) + "\n" for row in rows).encode(), "zstd", asbytes=True))


def _arrow(path, rows):
    table = pa.Table.from_pylist(rows)
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


def _json_strings(path, rows):
    """The list of messages as a string of JSON in a column."""
    name = next(iter(rows[0]))
    values = [None if row[name] is None else json.dumps(row[name]) for row in rows]
    pq.write_table(pa.table({name: pa.array(values, pa.string())}), path)


WRITERS = {
    "a.jsonl": lines,
    "a.jsonl.gz": _gzip,
    "a.jsonl.zst": _zstd,
    "a.parquet": _parquet,
    "a.arrow": _arrow,
    "b.parquet": _json_strings,
}


@pytest.mark.parametrize("name", WRITERS)
def test_chat_reads_the_same_from_every_file(name, tmp_path):
    WRITERS[name](tmp_path / name, CHAT)
    data = evenset.data.open(tmp_path / name)
    assert data.conversation.format == "chat"
    (note,) = data.notes
    assert note.startswith("read as chat: text=assistant messages, no label; change with --format, --roles, --label (")
    assert texts(data) == CHAT_TEXTS
    check_segments(data, CHAT)


def test_a_table_in_memory_and_large_lists():
    table = pa.Table.from_pylist(CHAT)
    assert texts(evenset.data.open(table)) == CHAT_TEXTS
    message = pa.struct([("content", pa.large_string()), ("role", pa.dictionary(pa.int32(), pa.string()))])
    wide = table.cast(pa.schema([("messages", pa.large_list(pa.struct(list(table.schema.field(0).type.value_type))))]))
    assert texts(evenset.data.open(wide)) == CHAT_TEXTS
    coded = pa.table({"messages": pa.array([row["messages"] for row in CHAT], pa.list_(message))})
    assert texts(evenset.data.open(coded)) == CHAT_TEXTS
    assert texts(evenset.data.open(table.slice(1, 2))) == CHAT_TEXTS[1:3]
    assert texts(evenset.data.open(CHAT[:3])) == CHAT_TEXTS[:3]


def test_roles_are_chosen_in_the_words_of_any_form(tmp_path):
    path = lines(tmp_path / "a.jsonl", CHAT)
    assert texts(evenset.data.open(path, roles=["system"]))[:2] == ["Be kind.", None]
    both = evenset.data.open(path, roles=["gpt", "human"])
    assert both.columns.text == "assistant and user messages"
    assert texts(both)[0] == "Who?\n\nShe is.\n\nAnd?\n\nHe é."
    # Its own name for the text, as a report or a written config says it, means the same.
    assert texts(evenset.data.open(path, text="assistant and user messages")) == texts(both)


def test_parts_and_tool_calls(tmp_path):
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"who": "his"}'}}
    first = [
        user([{"type": "text", "text": "Look."}, {"type": "image_url", "image_url": {"url": "x"}}]),
        assistant([{"type": "text", "text": "She."}, {"type": "text", "text": ""}, {"type": "text", "text": "He."}]),
        assistant(None, tool_calls=[call]),
        {"role": "tool", "content": "42", "tool_call_id": "1"},
        assistant("Done."),
    ]
    second = [user("Old."), {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}]
    rows = [{"messages": first}, {"messages": second}]
    path = lines(tmp_path / "a.jsonl", rows)
    data, called = evenset.data.open(path), evenset.data.open(path, roles=["tool_call"])
    assert texts(data) == ["She.\n\nHe.\n\nDone.", None]
    assert texts(called) == ['{"who": "his"}', "{}"]
    assert texts(evenset.data.open(path, roles=["tool"])) == ["42", None]
    check_segments(data, rows)
    check_segments(called, rows)


def test_parts_and_tool_calls_of_a_table():
    call = {"id": "1", "function": {"name": "f", "arguments": "{}"}}
    said = [user([{"type": "text", "text": "Look."}]), assistant([{"type": "text", "text": "She."}], tool_calls=[call])]
    rows = [{"messages": said}, {"messages": None}]
    for asked, expected in {"assistant": "She.", "tool_call": "{}"}.items():
        data = evenset.data.open(pa.Table.from_pylist(rows), roles=[asked])
        assert texts(data) == [expected, None]
        check_segments(data, rows)


def test_sharegpt(tmp_path):
    rows = [
        {
            "id": "a",
            "conversations": [
                {"from": "system", "value": "He."},
                {"from": "human", "value": "Hi."},
                {"from": "gpt", "value": "She."},
                {"from": "function_call", "value": "{}"},
                {"from": "observation", "value": "3"},
            ],
        },
        {"id": "b", "conversations": [{"from": "human", "value": "Hi."}, {"from": "gpt", "value": "They."}]},
    ]
    for path in (lines(tmp_path / "a.jsonl", rows), pa.Table.from_pylist(rows)):
        data = evenset.data.open(path)
        assert data.conversation.format == "sharegpt"
        assert texts(data) == ["She.", "They."]
        check_segments(data, rows)
        assert texts(evenset.data.open(path, roles=["tool_call", "tool"]))[0] == "{}\n\n3"
    data = evenset.data.open(tmp_path / "a.jsonl", id="id")
    assert [batch.column("id").to_pylist() for batch in data.batches()] == [["a", "b"]]


def test_messages_under_another_name(tmp_path):
    rows = [{"dia/log~": [{"role": "user", "content": "a"}, assistant("She.")], "chat": "no list"}]
    path = lines(tmp_path / "a.jsonl", rows)
    for data in (evenset.data.open(path), evenset.data.open(path, format="chat", text="dia/log~")):
        assert texts(data) == ["She."]
        check_segments(data, rows)
    # A plain text that the user names is that and nothing else.
    assert evenset.data.open(path, text="chat").conversation is None


def test_alpaca(tmp_path):
    rows = [
        {"instruction": "Describe her.", "input": "a nurse", "output": "She is kind.", "text": "all of it"},
        {"instruction": "Go.", "input": "", "output": None, "text": "x"},
        {"instruction": "Go.", "output": "", "text": "x"},
    ]
    for path in (lines(tmp_path / "a.jsonl", rows), pa.Table.from_pylist(rows)):
        data = evenset.data.open(path)
        assert data.conversation.format == "alpaca"
        assert texts(data) == ["She is kind.", None, ""]
        check_segments(data, rows)
        asked = evenset.data.open(path, roles=["user"])
        assert texts(asked) == ["Describe her.\n\na nurse", "Go.", "Go."]
        check_segments(asked, rows)
    (tmp_path / "a.csv").write_text("instruction,input,output\nDescribe.,,She is.\n", encoding="utf-8")
    assert texts(evenset.data.open(tmp_path / "a.csv")) == ["She is."]
    assert texts(evenset.data.open(tmp_path / "a.csv", text="instruction")) == ["Describe."]


def test_prompt_and_completion(tmp_path):
    rows = [{"prompt": [user("Hi.")], "completion": [assistant("She.")], "label": 1}] * 2
    data = evenset.data.open(lines(tmp_path / "a.jsonl", rows))
    assert (data.conversation.format, data.columns.label, texts(data)) == ("alpaca", "label", ["She."] * 2)
    check_segments(data, rows)


# -- preference pairs --------------------------------------------------------------------------------------------------

TALK = "\n\nHuman: Whö?\n\nAssistant: Wait.\n\nHuman: Who now?\n\nAssistant: "
PAIRS = {
    "texts": [{"prompt": "Who?", "chosen": "He is.", "rejected": "She is."}],
    "with the prompt": [{"prompt": "Whö? ", "chosen": "Whö? He is.", "rejected": "Whö? She is."}],
    "transcripts": [{"chosen": TALK + "He is.", "rejected": TALK + "She is."}],
    "transcripts without a blank line": [{"chosen": (TALK + "He is.")[2:], "rejected": (TALK + "She is.")[2:]}],
    "lists": [
        {
            "chosen": [user("Who?"), assistant("Wait."), user("Well?"), assistant("He is.")],
            "rejected": [user("Who?"), assistant("Wait."), user("Well?"), assistant("She is.")],
        }
    ],
    "replies": [{"prompt": [user("Who?")], "chosen": [assistant("He is.")], "rejected": [assistant("She is.")]}],
    "single messages": [
        {
            "conversations": [{"from": "human", "value": "Who?"}],
            "chosen": {"from": "gpt", "value": "He is."},
            "rejected": {"from": "gpt", "value": "She is."},
        }
    ],
}


@pytest.mark.parametrize("form", PAIRS)
def test_pairs_become_two_rows_of_what_differs(form, tmp_path):
    rows = PAIRS[form]
    for path in (lines(tmp_path / "a.jsonl", rows), pa.Table.from_pylist(rows)):
        data = evenset.data.open(path)
        assert data.conversation.format == "preference"
        assert (data.columns.label, data.columns.positive) == ("preference", "chosen")
        assert texts(data) == ["He is.", "She is."]
        check_segments(data, rows, each=2)
        (batch,) = data.batches()
        assert batch.label.to_pylist() == ["chosen", "rejected"]
        assert len(set(batch.column(data.columns.cluster).to_pylist())) == 1


def test_pairs_have_names_of_their_own_wherever_they_stand(tmp_path):
    rows = [{"prompt": f"Q{k % 5}", "chosen": "Yes", "rejected": f"No {k % 3}"} for k in range(12)]
    names = {}
    for order in (rows, rows[::-1]):
        data = evenset.data.open(lines(tmp_path / "a.jsonl", order))
        (batch,) = data.batches()
        pairs = batch.column(data.columns.cluster).to_pylist()
        assert pairs[::2] == pairs[1::2]
        for row, pair in zip(order, pairs[::2], strict=True):
            assert names.setdefault(json.dumps(row), pair) == pair
    assert len(set(names.values())) == len(names) == 12


def test_an_id_names_the_pair(tmp_path):
    rows = [{"uid": k, "chosen": "He.", "rejected": "She."} for k in range(3)]
    data = evenset.data.open(lines(tmp_path / "a.jsonl", rows), id="uid")
    (batch,) = data.batches()
    assert (data.columns.id, data.columns.cluster) == (None, "uid")
    assert batch.column("uid").to_pylist() == ["0", "0", "1", "1", "2", "2"]


def test_half_a_pair_and_equal_replies_have_no_text(tmp_path):
    rows = [
        {"chosen": "He.", "rejected": "She."},
        {"chosen": "He.", "rejected": None},
        {"chosen": "Same.", "rejected": "Same."},
    ]
    data = evenset.data.open(lines(tmp_path / "a.jsonl", rows))
    assert texts(data) == ["He.", "She.", None, None, None, None]


def test_other_columns_are_repeated_and_axes_see_them(tmp_path):
    rows = [{"chosen": f"He {k}.", "rejected": f"She {k}.", "source": "ab"[k % 2]} for k in range(40)]
    path = lines(tmp_path / "a.jsonl", rows)
    data = evenset.data.open(path, axes_columns=["source"])
    (batch,) = data.batches()
    assert batch.column("source").to_pylist()[:4] == ["a", "a", "b", "b"]
    report = evenset.audit.run(data, ["column:source"])
    cells = report.tally.cells["column:source"]
    assert {key[:2]: cell.rows for key, cell in cells.items()} == {
        (side, (source,)): 20 for side in ("chosen", "rejected") for source in "ab"
    }


def test_the_tally_of_pairs_is_the_count_by_hand(tmp_path):
    rng = np.random.default_rng(3)
    rows = []
    for _ in range(300):
        he, she = "He is a doctor.", "She is a doctor."
        if rng.random() < 0.3:
            he, she = she, he
        rows.append({"prompt": "Who?", "chosen": he, "rejected": she})
    data = evenset.data.open(lines(tmp_path / "a.jsonl", rows))
    cells = evenset.audit.run(data, ["pronouns"]).tally.cells["pronouns"]
    chosen_he = sum(row["chosen"].startswith("He") for row in rows)
    assert {key[:2]: cell.rows for key, cell in cells.items()} == {
        ("chosen", ("he",)): chosen_he,
        ("chosen", ("she",)): 300 - chosen_he,
        ("rejected", ("he",)): 300 - chosen_he,
        ("rejected", ("she",)): chosen_he,
    }


# -- the way back, for anything ----------------------------------------------------------------------------------------

words = st.text(st.sampled_from(string.ascii_letters + ' \n\t"\\/é—女\U0001f600\0'), max_size=12)
parts = st.lists(
    st.one_of(words.map(lambda text: {"type": "text", "text": text}), st.just({"type": "image_url", "url": "x"})),
    max_size=3,
)
contents = st.one_of(st.none(), words, words, parts)
roles = st.sampled_from(["user", "assistant", "assistant", "system", "tool"])
talks = st.lists(st.fixed_dictionaries({"role": roles, "content": contents}), max_size=5)
simple = st.lists(st.fixed_dictionaries({"role": roles, "content": st.one_of(st.none(), words)}), max_size=5)


def slow_text(messages, asked):
    """The text of a row by a plain walk."""
    if messages is None:
        return None
    said, there = [], False
    for message in messages:
        content = message["content"]
        if message["role"] not in asked or content is None:
            continue
        pieces = [content] if isinstance(content, str) else [part["text"] for part in content if part["type"] == "text"]
        there = there or bool(pieces)
        said += [piece for piece in pieces if piece]
    return SEPARATOR.join(said) if there else None


START = [user("x"), assistant("y"), {"role": "system", "content": "z"}, {"role": "tool", "content": "w"}]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), talks, simple), max_size=6), st.sampled_from([("assistant",), ("user", "tool")]))
def test_texts_and_segments_are_those_of_a_slow_walk(tmp_path_factory, found, asked):
    rows = [{"messages": START}, *({"messages": messages} for messages in found)]
    path = lines(tmp_path_factory.mktemp("talks") / "a.jsonl", rows)
    data = evenset.data.open(path, roles=asked)
    assert texts(data) == [slow_text(row["messages"], asked) for row in rows]
    check_segments(data, rows)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(st.none(), simple), max_size=8), st.integers(20, 400))
def test_quick_and_slow_ways_blocks_and_row_groups_change_nothing(tmp_path_factory, found, chunk):
    rows = [{"messages": START, "n": 0}, *({"messages": messages, "n": k} for k, messages in enumerate(found))]
    folder = tmp_path_factory.mktemp("ways")
    expected = [slow_text(row["messages"], ("assistant",)) for row in rows]
    path = lines(folder / "a.jsonl", rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers_jsonl, "CHUNK", chunk)
        assert texts(evenset.data.open(path)) == expected
        slow = evenset.data.open(path, axes_columns=["n"])  # another column takes the way through Python
        assert texts(slow) == expected
        check_segments(slow, rows)
    pq.write_table(pa.Table.from_pylist(rows), folder / "a.parquet", row_group_size=2)
    assert texts(evenset.data.open(folder / "a.parquet")) == expected


@pytest.mark.parametrize("form", ["chat", "preference"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_parts_of_the_data_have_its_rows_and_its_pairs(form, name, tmp_path):
    rows = [{"messages": [user("x"), assistant(f"She {k}.")]} for k in range(60)]
    if form == "preference":
        rows = [{"chosen": f"He {k}.", "rejected": f"She {k}."} for k in range(60)]
    if name == "a.jsonl":
        lines(tmp_path / name, rows)
    else:
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name, row_group_size=7)
    data = evenset.data.open(tmp_path / name)
    pair = data.columns.cluster

    def read(some):
        return [
            (text, None if pair is None else batch.column(pair)[k].as_py())
            for batch in some.batches()
            for k, text in enumerate(batch.text.to_pylist())
        ]

    for of in (1, 3, 8):
        assert [row for part in cut(data, of) for row in read(part.dataset)] == read(data)


def test_no_form_of_a_lexicon_reaches_across_messages(tmp_path):
    rows = [{"messages": [assistant("He is African"), user("-"), assistant("American, she says.")]}]
    (batch,) = evenset.data.open(lines(tmp_path / "a.jsonl", rows)).batches()
    matcher = Matcher(evenset.data.lexicon.load("identity"))
    found = matcher.find(tokenize(batch.text))
    assert [matcher.forms[form] for form in found.form] == ["african", "american"]


def test_huge_rows(tmp_path):
    long = "She told him. " * 750_000  # about 10 MB
    rows = [{"messages": [user("Go."), assistant(long)]}, {"messages": [user("Go."), assistant("He.")]}] * 2
    data = evenset.data.open(lines(tmp_path / "a.jsonl", rows))
    batches = [(batch.n, batch.text.nbytes) for batch in data.batches()]
    assert sum(n for n, _ in batches) == 4
    assert max(size for _, size in batches) < 25 << 20


def test_segments_go_with_the_rows(tmp_path):
    data = evenset.data.open(lines(tmp_path / "a.jsonl", CHAT))
    (batch,) = data.batches(columns=[SEGMENTS])
    taken = batch.take([1, 0]).segments()
    assert taken["row"].to_pylist() == [0, 1, 1]
    assert taken["pointer"].to_pylist() == ["/messages/1/content", "/messages/2/content", "/messages/4/content"]
    (plain,) = data.batches(columns=[])
    with pytest.raises(InputError, match="only on demand"):
        plain.segments()


# -- what is refused ---------------------------------------------------------------------------------------------------


def talk(message):
    return '{"messages": [' + message + "]}"


HOSTILE = {
    "a string for the list": ('{"messages": "hello"}', r'line 2 of "a.jsonl": /messages is a string, not a list'),
    "a number for the list": ('{"messages": 5}', r"line 2.*/messages is a number"),
    "an object for the list": ('{"messages": {"role": "user"}}', r"line 2.*/messages is an object, not a list"),
    "a string for a message": (talk('"hello"'), r"line 2.*/messages/0 is a string, not an object with"),
    "null for a message": (talk("null"), r"line 2.*/messages/0 is null"),
    "no role": (talk('{"content": "x"}'), r'line 2.*/messages/0 has no "role", only "content"'),
    "null for the role": (talk('{"role": null, "content": "x"}'), r"line 2.*/messages/0/role is null, no role"),
    "a list for the role": (talk('{"role": ["user"], "content": "x"}'), r"line 2.*role is a list, no role"),
    "an empty role": (talk('{"role": "", "content": "x"}'), r"line 2.*role is empty, no role"),
    "a slip in the role": (
        talk('{"role": "asistant", "content": "x"}'),
        r'line 2.*role is "asistant"; did you mean "assistant".*--roles',
    ),
    "the other form": (talk('{"from": "gpt", "value": "x"}'), r"line 2.*is it --format sharegpt"),
    "a number for the content": (talk('{"role": "user", "content": 5}'), r"line 2.*/content is a number, not text"),
    "an object for the content": (talk('{"role": "user", "content": {}}'), r"line 2.*/content is an object"),
    "a string for a part": (talk('{"role": "user", "content": ["x"]}'), r'line 2.*/content/0 is no part with a "type"'),
    "a number for a part": (
        talk('{"role": "user", "content": [{"type": "text", "text": 5}]}'),
        r"line 2.*/content/0/text is a number",
    ),
    "half a surrogate pair": (
        talk('{"role": "assistant", "content": "\\ud83d"}'),
        r"line 2.*half of a surrogate pair",
    ),
    "deep nesting": (talk('{"role": "user", "content": ' + "[" * 100_000 + "]" * 100_000 + "}"), r"line 2"),
    "no JSON": ('{"messages": [', r"line 2.*is not JSON"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_bad_row_is_named(case, tmp_path):
    line, message = HOSTILE[case]
    good = json.dumps(CHAT[0])
    path = tmp_path / "a.jsonl"
    path.write_text(f"{good}\n{line}\n{good}\n", encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        texts(evenset.data.open(path))
    assert len(str(caught.value)) < 300


def test_a_bad_row_of_a_table_is_named():
    rows = [{"messages": [assistant("a")]}, {"messages": [assistant("b"), {"role": None, "content": "x"}]}]
    with pytest.raises(InputError, match="row 2 of the table: /messages/1/role is null, no role"):
        evenset.data.open(pa.Table.from_pylist(rows))
    rows[1]["messages"][1] = {"role": "asistant", "content": "x"}
    with pytest.raises(InputError, match='row 2 of the table: /messages/1/role is "asistant"; did you mean'):
        evenset.data.open(pa.Table.from_pylist(rows))
    rows[1]["messages"][1] = None
    with pytest.raises(InputError, match="row 2 of the table: /messages/1/role is null"):
        evenset.data.open(pa.Table.from_pylist(rows))


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"messages": [{"role": "assistant", "content": "\xff\xfe"}]}\n')
    with pytest.raises(InputError, match=r"line 1.*not valid UTF-8"):
        evenset.data.open(path)
    bad = pa.array([b"\xff"], pa.binary()).view(pa.string())
    for name in ("content", "role"):
        fields = {"role": pa.array(["assistant"]), "content": pa.array(["x"]), name: bad}
        struct = pa.StructArray.from_arrays(list(fields.values()), list(fields))
        good = pa.StructArray.from_arrays([pa.array(["assistant"]), pa.array(["x"])], ["role", "content"])
        table = pa.table({"messages": pa.ListArray.from_arrays([0, 1, 2], pa.concat_arrays([good, struct]))})
        with pytest.raises(InputError, match=r"row 2 of the table.*UTF-8"):
            evenset.data.open(table)


def test_roles_that_never_occur(tmp_path):
    path = lines(tmp_path / "a.jsonl", CHAT)
    with pytest.raises(InputError, match='the role "narrator"; the roles are "system", "user", "assistant"'):
        evenset.data.open(path, roles=["assistant", "narrator"])
    with pytest.raises(InputError, match="names no role"):
        evenset.data.open(path, roles=[" "])
    silent = lines(tmp_path / "b.jsonl", [{"messages": [user("x")]}])
    with pytest.raises(InputError, match='the role "assistant"; the roles are "user"'):
        evenset.data.open(silent)
    with pytest.raises(InputError, match=r'no row of "c.jsonl" has a message in "messages"'):
        evenset.data.open(lines(tmp_path / "c.jsonl", [{"messages": []}]), format="chat")
    many = [{"messages": [{"role": f"{k:07d}", "content": "x"}]} for k in range(1002)]
    with pytest.raises(InputError, match="are these roles"):
        evenset.data.open(lines(tmp_path / "d.jsonl", many))


def test_roles_of_ones_own(tmp_path):
    rows = [{"messages": [{"role": "Narrator", "content": "Once."}, assistant("She.")]}]
    path = lines(tmp_path / "a.jsonl", rows)
    assert texts(evenset.data.open(path)) == ["She."]
    assert texts(evenset.data.open(path, roles=["narrator"])) == ["Once."]


def test_a_form_that_the_file_is_not(tmp_path):
    path = lines(tmp_path / "a.jsonl", CHAT)
    for asked, message in {
        "alpaca": "is no alpaca data: it has no columns instruction and output",
        "preference": "has no columns chosen and rejected",
        "sharegpt": 'line 1.*has no "from", only "role", "content"; is it --format chat',
        "chta": 'is none of chat, sharegpt, alpaca, preference. Did you mean "chat"',
    }.items():
        with pytest.raises(InputError, match=message):
            evenset.data.open(path, format=asked)
    plain = lines(tmp_path / "b.jsonl", [{"text": "She.", "label": 1}])
    with pytest.raises(InputError, match=r'"b.jsonl" is no chat data.*its columns are "text", "label"'):
        evenset.data.open(plain, format="chat")
    with pytest.raises(InputError, match=r"--roles is for chat.*looks like none of them"):
        evenset.data.open(plain, roles=["user"])
    assert evenset.data.open(plain).conversation is None


def test_names_that_the_file_has_already(tmp_path):
    rows = [{"chosen": "He.", "rejected": "She.", "preference": "mine", "assistant messages": "own"}]
    data = evenset.data.open(lines(tmp_path / "a.jsonl", rows))
    (batch,) = data.batches()
    assert batch.text.to_pylist() == ["He.", "She."]
    assert batch.label.to_pylist() == ["chosen", "rejected"]


# -- the command line --------------------------------------------------------------------------------------------------


def planted(path, form, n=400):
    """Replies in which nurses are she and surgeons are he, four times in five; pairs prefer he, three times in four."""
    rows = []
    for k in range(n):
        job = ("nurse", "surgeon")[k % 2]
        usual, other = ("She", "He") if job == "nurse" else ("He", "She")
        text = f"{usual if k % 5 else other} is a {job} of note."
        he, she = f"He is a {job}.", f"She is a {job}."
        rows.append({
            "chat": {"messages": [{"role": "system", "content": "He."}, user(f"A {job}?"), assistant(text)]},
            "sharegpt": {"conversations": [{"from": "human", "value": job}, {"from": "gpt", "value": text}]},
            "alpaca": {"instruction": f"Describe a {job}.", "input": "", "output": text},
            "preference": {"prompt": job, "chosen": he if k % 4 else she, "rejected": she if k % 4 else he},
        }[form])  # fmt: skip
    return lines(path, rows)


@pytest.mark.parametrize("form", ["chat", "sharegpt", "alpaca", "preference"])
def test_audit_on_the_command_line(form, tmp_path, capsys):
    path = planted(tmp_path / "a.jsonl", form)
    flags = [] if form == "preference" else ["--label", "axis:occupations"]
    assert invoke(["audit", str(path), "--axis", "pronouns", *flags, "--out", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    assert f"read as {form}" in err
    assert "text=assistant messages" in err
    report = json.loads((tmp_path / "out" / "audit.json").read_text(encoding="utf-8"))
    assert (report["dataset"]["format"], report["dataset"]["roles"]) == (form, ["assistant"])
    assert report["scores"]["pronouns"]["value"] > 0.3
    assert "FAIL" in out


def test_the_file_says_more_than_the_guess(tmp_path, capsys):
    path = planted(tmp_path / "a.jsonl", "chat")
    config = tmp_path / "evenset.toml"
    config.write_text('[data]\nformat = "chat"\nroles = ["user"]\n', encoding="utf-8")
    assert (
        invoke(["audit", str(path), "--config", str(config), "--label", "axis:occupations", "--axis", "pronouns"]) == 0
    )
    assert "pronouns in 0 %" in " ".join(capsys.readouterr().out.split())
    assert invoke(["audit", str(path), "--roles", "user,assistant", "--label", "axis:occupations", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["dataset"]["roles"] == ["user", "assistant"]
    config.write_text('[data]\nformat = "cat"\nroles = []\n', encoding="utf-8")
    assert invoke(["audit", str(path), "--config", str(config)]) == 2
    err = capsys.readouterr().err
    assert 'data.format: "cat" is not one of chat, sharegpt, alpaca, preference' in err
    assert "data.roles" in err


def test_check_reads_back_what_it_wrote(tmp_path, capsys):
    path = planted(tmp_path / "a.jsonl", "preference")
    config = tmp_path / "evenset.toml"
    assert invoke(["check", str(path), "--axis", "pronouns", "--init", "--config", str(config)]) == 0
    assert invoke(["check", str(path), "--config", str(config)]) == 0
    assert invoke(["check", str(path), "--config", str(config), "--format", "chat"]) == 2
    capsys.readouterr()


def test_standard_input(tmp_path, capsys, monkeypatch):
    content = planted(tmp_path / "a.jsonl", "sharegpt", n=40).read_bytes()
    stdin = io.TextIOWrapper(io.BytesIO(content))
    monkeypatch.setattr("sys.stdin", stdin)
    assert invoke(["audit", "-", "--label", "axis:occupations", "--axis", "pronouns"]) == 0
    assert "read as sharegpt" in capsys.readouterr().err
