"""Words change where a pointer says, in JSON and in nested columns, and nothing else does."""

import json
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from evenset.data.errors import InputError
from evenset.data.nested import changed_columns
from evenset.data.pointers import Cut, MisfitError, cut, in_json, steps

WORDS = ["she", "é", "😀", '"', "\\", "/", "\n", "ß\t", "he", "", "日本", "\ud83d", " ", "\x7f", "\u2028"]
strings = st.lists(st.sampled_from(WORDS), max_size=6).map("".join)
keys = st.sampled_from(["a", "b~", "c/d", "é", "", '"'])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | strings,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


def leaves(value, path=()):
    """Every string of a value with its steps."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from leaves(item, (*path, str(number)))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))


def put(value, path, new):
    if not path:
        return new
    if isinstance(value, list):
        return [put(item, path[1:], new) if str(n) == path[0] else item for n, item in enumerate(value)]
    return {key: put(item, path[1:], new) if key == path[0] else item for key, item in value.items()}


def tree_of(cuts):
    tree = {}
    for path, found in cuts:
        below = tree
        for step in path[:-1]:
            below = below.setdefault(step, {})
        below[path[-1]] = found
    return tree


def size(text):
    return len(text.encode("utf-8", "surrogatepass"))


@st.composite
def changes(draw):
    """A value, changes of some of its strings, the value with them, and the changes that undo them."""
    value = {"row": draw(values)}
    after, cuts, back = value, [], []
    for path, text in leaves(value):
        if not draw(st.booleans()):
            continue
        ends = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4, unique=True)))
        made, undo, new_text, done, grown = [], [], "", 0, 0
        for start, end in pairwise(ends):
            if not draw(st.booleans()):
                continue
            old, new = text[start:end], draw(strings)
            assume("\ud83d" not in old + new)
            first = size(text[:start])
            made.append(Cut(first, first + size(old), old, new))
            undo.append(Cut(first + grown, first + grown + size(new), new, old))
            grown += size(new) - size(old)
            new_text += text[done:start] + new
            done = end
        new_text += text[done:]
        if made:
            cuts.append((path, made[::-1]))  # the order of words that stand there does not matter
            back.append((path, undo))
            after = put(after, path, new_text)
    return value, tree_of(cuts), after, tree_of(back)


@given(
    changes(),
    st.booleans(),
    st.sampled_from([(", ", ": "), (",", ":"), (" , ", "  :\t")]),
)
def test_json_says_what_the_changed_value_says_and_comes_back_byte_for_byte(found, ascii_only, separators):
    value, tree, after, back = found
    lone = any("\ud83d" in text for _, text in leaves(value))
    ascii_only = ascii_only or lone
    source = json.dumps(value, ensure_ascii=ascii_only, separators=separators)
    made = in_json(source, tree, escaped=ascii_only)
    assert json.loads(made) == after
    if ascii_only:
        assert made.isascii()
    again = in_json(made, back, escaped=ascii_only)
    assert json.loads(again) == value
    if ascii_only or not again.isascii() or source.isascii():
        assert again == source


def test_all_that_is_not_edited_keeps_its_spelling():
    line = (
        r'{"z": 1.50e+3,"a" : "\u0041\/she\u00E9", "b":"\u0068e", '
        r'"b": "\/he" , "é": [ "x" , {"t":"\t\ud83d\ude00 her"}]}'
    )
    tree = {
        "a": [Cut(2, 5, "she", "he")],
        "b": [Cut(1, 3, "he", "she")],
        "é": {"1": {"t": [Cut(6, 9, "her", "their")]}},
    }
    made = in_json(line, tree)
    assert made == (
        r'{"z": 1.50e+3,"a" : "\u0041\/he\u00E9", "b":"\u0068e", '
        r'"b": "\/she" , "é": [ "x" , {"t":"\t\ud83d\ude00 their"}]}'
    )


@pytest.mark.parametrize("outer", [True, False])
@pytest.mark.parametrize("inner", [True, False])
def test_json_inside_a_string(outer, inner):
    messages = [{"role": "user", "content": 'She said "é"\n'}, {"role": "assistant", "content": "😀 he\\"}]
    text = json.dumps(messages, ensure_ascii=inner)
    line = json.dumps({"messages": text, "n": 1}, ensure_ascii=outer)
    tree = {"messages": {"0": {"content": [Cut(0, 3, "She", "Zoë")]}, "1": {"content": [Cut(5, 7, "he", '"x"')]}}}
    made = in_json(line, tree, escaped=outer)
    assert json.loads(json.loads(made)["messages"]) == [
        {"role": "user", "content": 'Zoë said "é"\n'},
        {"role": "assistant", "content": '😀 "x"\\'},
    ]
    back = {"messages": {"0": {"content": [Cut(0, 4, "Zoë", "She")]}, "1": {"content": [Cut(5, 8, '"x"', "he")]}}}
    assert in_json(made, back, escaped=outer) == line
    column = pa.record_batch({"messages": pa.array([None, text])})
    table, wrong = changed_columns(column, {1: tree})
    assert not wrong
    assert json.loads(table["messages"][1].as_py())[0]["content"] == 'Zoë said "é"\n'
    again, wrong = changed_columns(table, {1: back})
    assert not wrong
    assert again.equals(column)


@pytest.mark.parametrize(
    "tree",
    [
        {"a": [Cut(0, 3, "her", "x")]},
        {"a": [Cut(0, 9, "she", "x")]},
        {"a": [Cut(0, 3, "she", "x"), Cut(2, 3, "e", "x")]},
        {"b": [Cut(0, 3, "she", "x")]},
        {"a": {"0": [Cut(0, 3, "she", "x")]}},
        {"l": {"3": [Cut(0, 3, "she", "x")]}},
        {"l": {"x": [Cut(0, 3, "she", "x")]}},
        {"n": {"x": [Cut(0, 3, "she", "x")]}},
        {"l": [Cut(0, 3, "she", "x")]},
    ],
)
def test_what_does_not_fit_is_said(tree):
    line = '{"a": "she is", "l": ["she"], "n": 3}'
    with pytest.raises(MisfitError):
        in_json(line, tree)
    table = pa.record_batch({"a": ["he", "she is"], "l": [None, ["she"]], "n": [1, 3]})
    if "n" in tree:
        with pytest.raises(InputError, match='column "n" holds its messages as int64'):
            changed_columns(table, {1: tree})
    else:
        assert changed_columns(table, {1: tree})[1] == [1]


def test_steps_are_those_of_rfc_6901():
    assert steps("/a~1b/m~0n/0/") == ["a/b", "m~n", "0", ""]
    assert cut("é she", [Cut(3, 6, "she", "")]) == "é "


PART = pa.struct([("type", pa.string()), ("text", pa.large_string())])
TYPES = {
    "plain": pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])),
    "large": pa.large_list(
        pa.struct([("content", pa.large_string()), ("role", pa.dictionary(pa.int8(), pa.string()))])
    ),
    "named": pa.list_(pa.field("element", pa.struct([("content", pa.dictionary(pa.int32(), pa.string()))]))),
    "parts": pa.list_(pa.struct([("content", pa.list_(PART)), ("n", pa.int16())])),
}


def message(kind, text):
    if kind == "parts":
        return {"content": None if text is None else [{"type": "text", "text": text}, None], "n": 3}
    return {"content": text} if kind == "named" else {"content": text, "role": "user"}


@pytest.mark.parametrize("kind", TYPES)
@settings(max_examples=30, deadline=None)
@given(st.data())
def test_nested_columns_change_in_their_strings_alone(kind, data):
    texts = st.none() | strings.filter(lambda text: "\ud83d" not in text)
    rows = data.draw(st.lists(st.none() | st.lists(st.none() | texts.map(lambda t: message(kind, t)), max_size=3)))
    whole = pa.array([[message(kind, "x")], *rows, None, [message(kind, "y")]], TYPES[kind])
    table = pa.record_batch({"m": whole, "other": pa.array(range(len(whole)))}).slice(1, len(rows) + 1)
    trees, expected = {}, table.to_pylist()
    for at, row in enumerate(expected):
        for number, one in enumerate(row["m"] or ()):
            text = one and (one["content"][0]["text"] if kind == "parts" and one["content"] else one["content"])
            if not isinstance(text, str) or not data.draw(st.booleans()):
                continue
            cuts = [Cut(0, size(text), text, "new é")]
            below = {"0": {"text": cuts}} if kind == "parts" else cuts
            trees.setdefault(at, {}).setdefault("m", {})[str(number)] = {"content": below}
            if kind == "parts":
                one["content"][0]["text"] = "new é"
            else:
                one["content"] = "new é"
    made, wrong = changed_columns(table, trees)
    assert made.schema.equals(table.schema)
    assert made.to_pylist() == expected
    assert wrong == []
    made.validate(full=True)
